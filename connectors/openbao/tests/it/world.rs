//! One server for the whole binary, and connections to it.

use std::sync::{Arc, LazyLock};

use connector::{
    Connection, Connector, Platform, Setup, SystemClock,
    transport::{Request, Transport},
};
use domain::{Secret, Settings};
use secrets::Sink;
use serde_json::{Value, json};

use crate::{server::Server, wire::Plain};

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// The address of the shared server.
pub(crate) fn address() -> String {
    SERVER.address.clone()
}

/// A connection as root, and the way it sends.
pub(crate) struct World {
    pub(crate) connection: Connection,
    pub(crate) wire: Arc<Plain>,
}

impl World {
    pub(crate) async fn new() -> World {
        let wire = Arc::new(Plain::to(&address()));
        let setup = setup(wire.clone(), Settings::default(), Some("root"), None);
        let world = World { connection: openbao::PLATFORM.connect(setup).unwrap(), wire };
        // Enabling twice is refused: whoever is first does it.
        let _ = world.call("POST", "sys/auth/approle", Some(json!({"type": "approle"}))).await;
        world
    }

    pub(crate) fn connector(&self) -> Arc<dyn Connector> {
        self.connection.connector.clone().unwrap()
    }

    pub(crate) fn sink(&self) -> Arc<dyn Sink> {
        self.connection.sink.clone().unwrap()
    }

    /// Somebody's hand: a call past the connector.
    pub(crate) async fn call(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        call(&Plain::to(&address()), "root", method, path, body).await
    }
}

pub(crate) async fn call(
    wire: &dyn Transport,
    token: &str,
    method: &'static str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let mut request = Request { method, ..Request::get(format!("v1/{path}"), "hand") };
    request = request.header("X-Vault-Token", Secret::new(token));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = wire.send(request).await.unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

pub(crate) fn setup(
    transport: Arc<dyn Transport>,
    settings: Settings,
    credential: Option<&str>,
    credential_id: Option<&str>,
) -> Setup {
    Setup {
        name: "bao".into(),
        settings,
        credential: credential.map(Secret::new),
        credential_id: credential_id.map(str::to_owned),
        transport,
        clock: Arc::new(SystemClock),
        keyring: None,
    }
}
