//! The suite that every connector passes, on a server of its own.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use acceptance_tests::servers::{PostgreSql, postgresql::Session};
use async_trait::async_trait;
use connector::{
    Connector, ObjectRef, Platform,
    conformance::{self, Fixture, Token, Wrap},
};
use domain::{Scope, Secret, Settings, settings::Setting};

use crate::world::{connect, prepared};

struct Cluster(PostgreSql);

struct Held(Mutex<Session>);

#[async_trait]
impl Token for Held {
    async fn works(&self) -> bool {
        // The client hears of it a moment after the server has ended it.
        std::thread::sleep(Duration::from_millis(200));
        self.0.lock().unwrap().is_open()
    }
}

#[async_trait]
impl Fixture for Cluster {
    fn platform(&self) -> &'static dyn Platform {
        &postgresql::PLATFORM
    }

    fn kind(&self) -> &'static str {
        "postgresql_role"
    }

    async fn connect(&self, wrap: Wrap<'_>) -> Arc<dyn Connector> {
        connect(&self.0, "postgres", &self.0.password, wrap)
    }

    fn settings(&self) -> Settings {
        Settings::default()
            .with("inherit", Setting::Flag(true))
            .with("connection_limit", Setting::Count(7))
    }

    fn other_settings(&self) -> Option<Settings> {
        Some(
            Settings::default()
                .with("inherit", Setting::Flag(false))
                .with("connection_limit", Setting::Count(0)),
        )
    }

    fn scopes(&self) -> Vec<Scope> {
        ["table/shop/public/bill:select", "role/readers", "column/shop/public/bill/amount:update*"]
            .map(Scope::canonical)
            .to_vec()
    }

    async fn grant_by_hand(&self, object: &ObjectRef, scope: &Scope) -> bool {
        assert_eq!(scope.as_str(), "role/readers");
        self.0.by_hand(&format!("grant readers to \"{}\"", object.key)).unwrap();
        true
    }

    async fn issue_by_hand(&self, object: &ObjectRef) -> Option<String> {
        let connector = self.connect(&|transport| transport).await;
        self.0.by_hand(&format!("alter role \"{}\" password 'by hand'", object.key)).unwrap();
        let listed = connector.credentials(object).await.unwrap().credentials;
        listed.into_iter().next().map(|one| one.key_id)
    }

    async fn create_by_hand(&self, name: &str) -> Option<String> {
        self.0.by_hand(&format!("create role \"{name}\" login")).unwrap();
        Some(name.to_owned())
    }

    async fn sign_in(&self, object: &ObjectRef, secret: &Secret) -> Option<Arc<dyn Token>> {
        // What begins just after a password was set might have had the one before.
        tokio::time::sleep(Duration::from_millis(3_200)).await;
        let session = self.0.session(&object.key, secret.expose()).ok()?;
        Some(Arc::new(Held(Mutex::new(session))))
    }
}

#[tokio::test]
async fn it_does_as_every_connector_must() {
    let cluster = Cluster(prepared(PostgreSql::start().unwrap()));
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.txt");
    conformance::run(&cluster).await.hold(&table);
}
