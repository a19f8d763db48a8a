//! The suite that every connector passes, on a server of its own.

use std::{path::Path, sync::Arc};

use acceptance_tests::servers::Strapi;
use async_trait::async_trait;
use connector::{
    Connector, ObjectRef, Platform, Setup, SystemClock,
    conformance::{self, Fixture, Wrap},
    transport::{HttpOptions, HttpTransport, Transport},
};
use domain::{Scope, Secret, Settings, settings::Setting};
use serde_json::{Value, json};

struct Cms(Strapi);

#[async_trait]
impl Fixture for Cms {
    fn platform(&self) -> &'static dyn Platform {
        &strapi::PLATFORM
    }

    fn kind(&self) -> &'static str {
        "strapi_client"
    }

    async fn connect(&self, wrap: Wrap<'_>) -> Arc<dyn Connector> {
        let address = self.0.address();
        let options = HttpOptions { address: address.clone(), ca_file: None };
        let http: Arc<dyn Transport> = Arc::new(HttpTransport::new(options).unwrap());
        let setup = Setup {
            name: "cms".into(),
            settings: Settings::default().with("address", Setting::Text(address)),
            credential: Some(Secret::new(self.0.token.as_str())),
            credential_id: None,
            transport: wrap(http),
            clock: Arc::new(SystemClock),
            keyring: None,
        };
        strapi::PLATFORM.connect(setup).unwrap().connector.unwrap()
    }

    fn settings(&self) -> Settings {
        Settings::default()
    }

    fn scopes(&self) -> Vec<Scope> {
        ["api::ticket.ticket.create", "api::ticket.ticket.find", "plugin::upload.content-api.find"]
            .map(Scope::canonical)
            .to_vec()
    }

    fn mints(&self) -> bool {
        false
    }

    async fn grant_by_hand(&self, object: &ObjectRef, scope: &Scope) -> bool {
        let one = self.0.named(&object.key).unwrap();
        let mut permissions = one["permissions"].as_array().cloned().unwrap_or_default();
        permissions.push(Value::String(scope.as_str().to_owned()));
        let path = format!("admin/api-tokens/{}", one["id"]);
        self.0.by_hand("PUT", &path, Some(&json!({ "permissions": permissions }))).unwrap();
        true
    }

    async fn create_by_hand(&self, name: &str) -> Option<String> {
        self.0.issue(name, &["api::ticket.ticket.find"]).unwrap();
        Some(name.to_owned())
    }
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn it_does_as_every_connector_must() {
    let cms = Cms(Strapi::start().unwrap());
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.txt");
    conformance::run(&cms).await.hold(&table);
}
