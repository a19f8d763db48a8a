//! One server for the whole binary, and connections to it.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use connector::{
    Change, Connection, Connector, IssueRequest, Issued, NewIntegration, ObjectRef, Platform,
    Setup, SystemClock,
    transport::{Answer, Request, Transport},
};
use domain::{
    GrantedScope, ObservedIntegration, OwnerRef, Record, Secret, Settings, settings::Setting,
};
use secrets::Sink;
use serde_json::{Value, json};

use crate::{
    server::Server,
    wire::{Counted, Meddled, Vaultish, shared},
};

pub(crate) const KIND: &str = "openbao_approle";
pub(crate) const TYPE: &str = "openbao_secret_id";
pub(crate) const MARKER: &str = "nhi1-k3x9q2-abcdefgh-g1-e1-mabcdefghijklm";

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// The address of the shared server.
pub(crate) fn address() -> &'static str {
    &SERVER.address
}

/// Its root token.
pub(crate) fn root() -> &'static str {
    &SERVER.root
}

/// A connection, and the way it sends.
pub(crate) struct World {
    pub(crate) connection: Connection,
    pub(crate) wire: Arc<Counted>,
}

impl World {
    /// As root.
    pub(crate) async fn new() -> World {
        World::with(root(), Settings::default()).await
    }

    /// With a token and settings.
    pub(crate) async fn with(token: &str, settings: Settings) -> World {
        let wire = Counted::to(address());
        let setup = setup(shared(wire.clone()), settings, Some(token), None);
        let world = World { connection: openbao::PLATFORM.connect(setup).unwrap(), wire };
        // Enabling twice is refused: whoever is first does it.
        let _ = world.call("POST", "sys/auth/approle", Some(json!({"type": "approle"}))).await;
        world
    }

    /// As root, on a server that looks like Vault.
    pub(crate) async fn vaultish() -> World {
        World::new().await;
        let wire = Counted::to(address());
        let vaultish: Arc<dyn Transport> = Arc::new(Vaultish(wire.clone()));
        let setup = setup(shared(vaultish), Settings::default(), Some(root()), None);
        World { connection: openbao::PLATFORM.connect(setup).unwrap(), wire }
    }

    /// As root, with somebody in between.
    pub(crate) async fn meddled(
        meddle: impl Fn(&mut Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> World {
        World::new().await;
        let wire = Counted::to(address());
        let meddled: Arc<dyn Transport> = Arc::new(Meddled(wire.clone(), Box::new(meddle)));
        let setup = setup(shared(meddled), Settings::default(), Some(root()), None);
        World { connection: openbao::PLATFORM.connect(setup).unwrap(), wire }
    }

    pub(crate) fn connector(&self) -> Arc<dyn Connector> {
        self.connection.connector.clone().unwrap()
    }

    pub(crate) fn sink(&self) -> Arc<dyn Sink> {
        self.connection.sink.clone().unwrap()
    }

    /// The sink of another connection, in a namespace.
    pub(crate) fn sink_in(&self, namespace: &str) -> Arc<dyn Sink> {
        let settings = Settings::default().with("namespace", Setting::Text(namespace.to_owned()));
        let wire = Counted::to(address());
        let setup = setup(shared(wire), settings, Some(root()), None);
        openbao::PLATFORM.connect(setup).unwrap().sink.unwrap()
    }

    /// Makes an integration.
    pub(crate) async fn integration(&self, name: &str) -> (ObjectRef, ObservedIntegration) {
        let made = self.connector().create(&new(name)).await.unwrap();
        (object(name, Some(&made.vendor_id)), made)
    }

    /// Gives it scopes.
    pub(crate) async fn scope(
        &self,
        id: &ObjectRef,
        texts: &[&str],
    ) -> connector::Result<ObservedIntegration> {
        let change = Change { scopes: Some(scopes(texts)), ..Change::default() };
        self.connector().modify(id, &change).await
    }

    /// Issues a credential whose secret we chose.
    pub(crate) async fn issue(&self, id: &ObjectRef, settings: &Settings) -> (Secret, Issued) {
        let bao = self.connector();
        let secret = bao.choose_secret(TYPE, settings, MARKER).unwrap();
        let request = IssueRequest {
            credential_type: TYPE,
            profile: "add-ours",
            marker: MARKER,
            secret: Some(&secret),
            settings,
            expires_at: None,
        };
        let issued = bao.issue(id, request).await.unwrap();
        (secret, issued)
    }

    /// Somebody's hand: a call past the connector, as root.
    pub(crate) async fn call(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        call(&*Counted::to(address()), root(), method, path, body).await
    }

    /// A call by hand that must succeed.
    pub(crate) async fn by_hand(&self, method: &'static str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, Some(body)).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }
}

pub(crate) async fn call(
    wire: &dyn Transport,
    token: &str,
    method: &'static str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let mut request = Request { method, ..Request::get(format!("v1/{path}"), "by hand") };
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

pub(crate) fn record() -> Record {
    Record {
        realm: Some("k3x9q2".into()),
        purpose: Some("Copies paid invoices to the ledger".into()),
        technical_owner: Some(OwnerRef { id: "owner/payments".into(), email: None }),
        ..Record::default()
    }
}

pub(crate) fn new(name: &str) -> NewIntegration {
    let settings = Settings::default().with("token_ttl", Setting::Text("1h".into()));
    NewIntegration { kind: KIND.into(), name: name.into(), settings, record: record() }
}

pub(crate) fn object(key: &str, vendor_id: Option<&str>) -> ObjectRef {
    let vendor_id = vendor_id.map(str::to_owned);
    ObjectRef { kind: KIND.into(), key: key.into(), vendor_id, name: key.into() }
}

pub(crate) fn scopes(texts: &[&str]) -> BTreeSet<GrantedScope> {
    let parse = |text: &&str| openbao::PLATFORM.parse_scope(KIND, text).unwrap();
    texts.iter().flat_map(parse).map(GrantedScope::standing).collect()
}

pub(crate) fn names(one: &ObservedIntegration) -> Vec<String> {
    one.scopes.iter().map(|granted| granted.scope.to_string()).collect()
}

/// Access that is asked for.
pub(crate) fn for_a(life: domain::Span) -> connector::AccessRequest<'static> {
    connector::AccessRequest { life, marker: "nhi1-x", with: None }
}
