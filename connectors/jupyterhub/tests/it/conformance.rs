//! The suite that every connector passes, on a server of its own.

use std::{path::Path, sync::Arc};

use acceptance_tests::servers::JupyterHub;
use async_trait::async_trait;
use connector::{
    Connector, ObjectRef, Platform, Setup, SystemClock,
    conformance::{self, Fixture, Wrap},
    transport::{HttpOptions, HttpTransport, Transport},
};
use domain::{Scope, Secret, Settings, settings::Setting};
use serde_json::json;

struct Hub(JupyterHub);

impl Hub {
    fn connect_as(&self, token: &str, wrap: Wrap<'_>) -> Arc<dyn Connector> {
        let address = self.0.address();
        let options = HttpOptions { address: address.clone(), ca_file: None };
        let http: Arc<dyn Transport> = Arc::new(HttpTransport::new(options).unwrap());
        let setup = Setup {
            name: "hub".into(),
            settings: Settings::default().with("address", Setting::Text(address)),
            credential: Some(Secret::new(token)),
            credential_id: None,
            transport: wrap(http),
            clock: Arc::new(SystemClock),
            keyring: None,
        };
        jupyterhub::PLATFORM.connect(setup).unwrap().connector.unwrap()
    }
}

#[async_trait]
impl Fixture for Hub {
    fn platform(&self) -> &'static dyn Platform {
        &jupyterhub::PLATFORM
    }

    fn kind(&self) -> &'static str {
        "jupyterhub_user"
    }

    async fn connect(&self, wrap: Wrap<'_>) -> Arc<dyn Connector> {
        self.connect_as(&self.0.token, wrap)
    }

    async fn connect_with(&self, _: &ObjectRef, secret: &Secret) -> Option<Arc<dyn Connector>> {
        Some(self.connect_as(secret.expose(), &|transport| transport))
    }

    fn settings(&self) -> Settings {
        Settings::default()
    }

    fn scopes(&self) -> Vec<Scope> {
        ["group/readers", "access:servers!server=owner/", "group/graders"]
            .map(Scope::canonical)
            .to_vec()
    }

    fn mints(&self) -> bool {
        // One that says nothing of its scopes has none.
        false
    }

    async fn lets_in(&self, object: &ObjectRef, token: &Secret) -> Option<bool> {
        let path = format!("users/{}", object.key);
        let answer = self.0.ask_as(token.expose(), "GET", &path, None).unwrap();
        Some(answer.status == 200)
    }

    async fn grant_by_hand(&self, object: &ObjectRef, scope: &Scope) -> bool {
        let body = json!({ "user": object.key, "scopes": [scope.as_str()] });
        self.0.by_hand("POST", "shares/owner/", Some(&body)).unwrap();
        true
    }

    async fn issue_by_hand(&self, object: &ObjectRef) -> Option<String> {
        let connector = self.connect(&|transport| transport).await;
        self.0.by_hand("POST", &format!("users/{}/tokens", object.key), None).unwrap();
        let listed = connector.credentials(object).await.unwrap().credentials;
        listed.into_iter().next().map(|one| one.key_id)
    }

    async fn create_by_hand(&self, name: &str) -> Option<String> {
        self.0.by_hand("POST", &format!("users/{name}"), None).unwrap();
        Some(name.to_owned())
    }
}

#[tokio::test]
async fn it_does_as_every_connector_must() {
    let hub = Hub(JupyterHub::start().unwrap());
    hub.0.by_hand("POST", "users/owner", None).unwrap();
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.txt");
    conformance::run(&hub).await.hold(&table);
}
