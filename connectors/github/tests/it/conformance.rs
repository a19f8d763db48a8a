//! The suite that every connector passes, on a GitHub of our own, kind by kind.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use connector::{
    Connector, ObjectRef, Platform,
    conformance::{self, Fixture, Wrap},
    transport::{HttpOptions, HttpTransport, Revalidate, Transport},
};
use domain::{Scope, Settings};

use crate::{
    fake::{APP_TOKEN, Fake},
    world::{SSH_CLIENT, WEBHOOK, hook, of_repository, setup, whole},
};

/// One kind, at an address that leads to the server.
pub(crate) struct Of {
    pub(crate) kind: &'static str,
    pub(crate) fake: Fake,
    pub(crate) address: String,
}

impl Of {
    pub(crate) fn new(kind: &'static str, fake: Fake, address: String) -> Of {
        Of { kind, fake, address }
    }
}

#[async_trait]
impl Fixture for Of {
    fn platform(&self) -> &'static dyn Platform {
        &github::PLATFORM
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    async fn connect(&self, wrap: Wrap<'_>) -> Arc<dyn Connector> {
        let options = HttpOptions { address: self.address.clone(), ca_file: None };
        let http: Arc<dyn Transport> = Arc::new(HttpTransport::new(options).unwrap());
        let transport: Arc<dyn Transport> = Arc::new(Revalidate::new(wrap(http)));
        let setup = setup(transport, APP_TOKEN, whole(&self.address));
        github::PLATFORM.connect(setup).unwrap().connector.unwrap()
    }

    fn settings(&self) -> Settings {
        if self.kind == SSH_CLIENT {
            return of_repository("api");
        }
        hook("https://ci.acme.example/github", &["push"], None)
    }

    fn other_settings(&self) -> Option<Settings> {
        let other = || hook("https://ci.acme.example/moved", &["issues", "push"], None);
        (self.kind == WEBHOOK).then(other)
    }

    fn scopes(&self) -> Vec<Scope> {
        ["contents:read", "contents:write", "metadata:read"].map(Scope::canonical).to_vec()
    }

    fn mints(&self) -> bool {
        false
    }

    async fn create_by_hand(&self, name: &str) -> Option<String> {
        match self.kind {
            SSH_CLIENT => {
                self.fake.add_key("web", name);
                Some(format!("web/{name}"))
            }
            _ => {
                let url = format!("https://elsewhere.example/{name}");
                Some(self.fake.add_hook(&url, None).to_string())
            }
        }
    }

    async fn issue_by_hand(&self, object: &ObjectRef) -> Option<String> {
        let (repository, name) = object.key.split_once('/')?;
        (self.kind == SSH_CLIENT).then(|| self.fake.add_key(repository, name).to_string())
    }
}

pub(crate) fn table(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[tokio::test]
async fn deploy_keys_do_as_every_connector_must() {
    let fake = Fake::start();
    let address = fake.address.clone();
    let report = conformance::run(&Of::new(SSH_CLIENT, fake, address)).await;
    report.hold(&table("conformance.txt"));
}

#[tokio::test]
async fn webhooks_do_as_every_connector_must() {
    let fake = Fake::start();
    let address = fake.address.clone();
    let report = conformance::run(&Of::new(WEBHOOK, fake, address)).await;
    report.hold(&table("conformance-webhook.txt"));
}
