//! The suite that every connector passes, on a server of its own.

use std::{path::Path, sync::Arc};

use acceptance_tests::servers::Moto;
use async_trait::async_trait;
use connector::{
    Connector, ObjectRef, Platform,
    conformance::{self, Fixture, Wrap},
};
use domain::{Scope, Secret, Settings, settings::Setting};
use serde_json::json;

use crate::account::{KIND, connect, http};

struct Account(Moto);

#[async_trait]
impl Fixture for Account {
    fn platform(&self) -> &'static dyn Platform {
        &aws_iam::PLATFORM
    }

    fn kind(&self) -> &'static str {
        KIND
    }

    async fn connect(&self, wrap: Wrap<'_>) -> Arc<dyn Connector> {
        let address = self.0.address();
        let key = (self.0.id.as_str(), self.0.secret.as_str());
        connect(&address, key, Settings::default(), wrap(http(&address)))
    }

    fn settings(&self) -> Settings {
        Settings::default().with("path", Setting::Text("/".into()))
    }

    fn other_settings(&self) -> Option<Settings> {
        Some(Settings::default().with("path", Setting::Text("/services/".into())))
    }

    fn scopes(&self) -> Vec<Scope> {
        [
            "s3:GetObject@arn:aws:s3:::invoices/*",
            "policy/arn:aws:iam::aws:policy/job-function/ViewOnlyAccess",
            "sqs:ReceiveMessage@*",
        ]
        .map(Scope::canonical)
        .to_vec()
    }

    async fn grant_by_hand(&self, object: &ObjectRef, scope: &Scope) -> bool {
        let arn = scope.as_str().strip_prefix("policy/").unwrap();
        let with = json!({ "UserName": object.key, "PolicyArn": arn });
        self.0.iam("attach_user_policy", with).is_ok()
    }

    async fn issue_by_hand(&self, object: &ObjectRef) -> Option<String> {
        let made = self.0.iam("create_access_key", json!({ "UserName": object.key })).ok()?;
        made["AccessKey"]["AccessKeyId"].as_str().map(str::to_owned)
    }

    async fn connect_with(&self, _: &ObjectRef, secret: &Secret) -> Option<Arc<dyn Connector>> {
        let (id, secret) = secret.expose().split_once(':')?;
        let address = self.0.address();
        Some(connect(&address, (id, secret), Settings::default(), http(&address)))
    }

    async fn create_by_hand(&self, name: &str) -> Option<String> {
        self.0.iam("create_user", json!({ "UserName": name })).ok()?;
        Some(name.to_owned())
    }
}

#[tokio::test]
async fn it_does_as_every_connector_must() {
    // Pages so small that every listing has several.
    let account = Account(Moto::with_pages_of(3).unwrap());
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.txt");
    conformance::run(&account).await.hold(&committed);
}
