//! The suite that every connector passes, on a server of its own.

use std::{path::Path, sync::Arc};

use acceptance_tests::servers::Unleash;
use async_trait::async_trait;
use connector::{
    Connector, ObjectRef, Platform, Setup, SystemClock,
    conformance::{self, Fixture, Wrap},
    transport::{HttpOptions, HttpTransport, Transport},
};
use domain::{Scope, Secret, Settings, settings::Setting};

struct Flags(Unleash);

#[async_trait]
impl Fixture for Flags {
    fn platform(&self) -> &'static dyn Platform {
        &unleash::PLATFORM
    }

    fn kind(&self) -> &'static str {
        "unleash_client"
    }

    async fn connect(&self, wrap: Wrap<'_>) -> Arc<dyn Connector> {
        let address = self.0.address();
        let options = HttpOptions { address: address.clone(), ca_file: None };
        let http: Arc<dyn Transport> = Arc::new(HttpTransport::new(options).unwrap());
        let setup = Setup {
            name: "flags".into(),
            settings: Settings::default().with("address", Setting::Text(address)),
            credential: Some(Secret::new(self.0.token.as_str())),
            credential_id: None,
            transport: wrap(http),
            clock: Arc::new(SystemClock),
            keyring: None,
        };
        unleash::PLATFORM.connect(setup).unwrap().connector.unwrap()
    }

    fn settings(&self) -> Settings {
        Settings::default()
    }

    fn scopes(&self) -> Vec<Scope> {
        ["backend/development/default", "frontend/production/*", "admin"]
            .map(Scope::canonical)
            .to_vec()
    }

    fn mints(&self) -> bool {
        false
    }

    async fn issue_by_hand(&self, object: &ObjectRef) -> Option<String> {
        self.0.issue(&object.key, "backend", "development").unwrap();
        let connector = self.connect(&|transport| transport).await;
        let listed = connector.credentials(object).await.unwrap().credentials;
        listed.into_iter().next().map(|one| one.key_id)
    }

    async fn create_by_hand(&self, name: &str) -> Option<String> {
        self.0.issue(name, "frontend", "production").unwrap();
        Some(name.to_owned())
    }
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn it_does_as_every_connector_must() {
    let flags = Flags(Unleash::start().unwrap());
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.txt");
    conformance::run(&flags).await.hold(&table);
}
