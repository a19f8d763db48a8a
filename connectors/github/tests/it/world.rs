//! Connections to a GitHub of our own.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use connector::{
    Change, Connector, IssueRequest, Issued, NewIntegration, ObjectRef, Platform, Setup,
    SystemClock,
    transport::{
        Answer, Coalesce, HttpOptions, HttpTransport, Request, Retry, Revalidate, Transport,
        TransportError,
    },
};
use domain::{ObservedIntegration, OwnerRef, Record, Secret, Settings, settings::Setting};

use crate::fake::{APP_TOKEN, ENTERPRISE, Fake, ORG};

pub(crate) const INSTALLATION: &str = "github_installation";
pub(crate) const GRANT: &str = "github_token_grant";
pub(crate) const SSH_CLIENT: &str = "github_ssh_client";
pub(crate) const WEBHOOK: &str = "github_webhook";
pub(crate) const DEPLOY_KEY: &str = "github_deploy_key";
pub(crate) const SECRET: &str = "github_webhook_secret";
pub(crate) const MARKER: &str = "nhi1-k3x9q2-abcdefgh-g1-e1-mabcdefghijklm";

/// Real HTTP, every request noted as the log would show it; one may be lost on its way.
#[derive(Debug)]
pub(crate) struct Wire {
    inner: HttpTransport,
    sent: Mutex<Vec<String>>,
    loses: Mutex<Option<&'static str>>,
}

impl Wire {
    /// What was sent since this was last asked.
    pub(crate) fn sent(&self) -> Vec<String> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }

    /// The answer to the next request like this is lost.
    pub(crate) fn lose(&self, what: &'static str) {
        *self.loses.lock().unwrap() = Some(what);
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        let shown = format!("{request:?}");
        let lost = self.loses.lock().unwrap().take_if(|what| shown.contains(*what)).is_some();
        self.sent.lock().unwrap().push(shown);
        let answer = self.inner.send(request).await;
        if lost {
            let message = "the connection was reset".into();
            return Err(TransportError::network(message, connector::Outcome::Ambiguous));
        }
        answer
    }
}

/// A connection, and the way it sends.
pub(crate) struct World {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) wire: Arc<Wire>,
}

/// Settings of a connection with everything.
pub(crate) fn whole(address: &str) -> Settings {
    let text = |text: &str| Setting::Text(text.to_owned());
    Settings::default()
        .with("address", text(address))
        .with("organization", text(ORG))
        .with("enterprise", text(ENTERPRISE))
}

pub(crate) fn setup(transport: Arc<dyn Transport>, token: &str, settings: Settings) -> Setup {
    Setup {
        name: "github".into(),
        settings,
        credential: Some(Secret::new(format!("{token}\n"))),
        credential_id: None,
        transport,
        clock: Arc::new(SystemClock),
        keyring: None,
    }
}

impl World {
    /// As an App that may do everything.
    pub(crate) fn new(fake: &Fake) -> World {
        World::with(fake, APP_TOKEN, whole(&fake.address))
    }

    /// With any token and settings.
    pub(crate) fn with(fake: &Fake, token: &str, settings: Settings) -> World {
        let options = HttpOptions { address: fake.address.clone(), ca_file: None };
        let inner = HttpTransport::new(options).unwrap();
        let wire = Arc::new(Wire { inner, sent: Mutex::default(), loses: Mutex::default() });
        let transport = Arc::new(Revalidate::new(wire.clone()));
        let transport = Arc::new(Retry::new(transport, Arc::new(SystemClock)));
        let setup = setup(Arc::new(Coalesce::new(transport)), token, settings);
        let connector = github::PLATFORM.connect(setup).unwrap().connector.unwrap();
        World { connector, wire }
    }

    /// Makes an integration.
    pub(crate) async fn make(&self, kind: &str, name: &str, settings: Settings) -> ObjectRef {
        object_of(&self.connector.create(&new(kind, name, settings)).await.unwrap())
    }

    /// Issues in the one way that there is.
    pub(crate) async fn issue(
        &self,
        object: &ObjectRef,
        credential_type: &'static str,
        settings: &Settings,
    ) -> connector::Result<(Secret, Issued)> {
        let secret = self.connector.choose_secret(credential_type, settings, MARKER).unwrap();
        let issued = self.issue_this(object, credential_type, settings, &secret).await?;
        Ok((secret, issued))
    }

    /// The same with this secret.
    pub(crate) async fn issue_this(
        &self,
        object: &ObjectRef,
        credential_type: &'static str,
        settings: &Settings,
        secret: &Secret,
    ) -> connector::Result<Issued> {
        let profile = if credential_type == DEPLOY_KEY { "add-ours" } else { "replace-ours" };
        let request = IssueRequest {
            credential_type,
            profile,
            marker: MARKER,
            secret: Some(secret),
            settings,
            expires_at: None,
        };
        self.connector.issue(object, request).await
    }

    /// The key ids of an integration's credentials.
    pub(crate) async fn keys(&self, object: &ObjectRef) -> Vec<String> {
        let listing = self.connector.credentials(object).await.unwrap();
        listing.credentials.into_iter().map(|one| one.key_id).collect()
    }

    /// Writes another record.
    pub(crate) async fn write(
        &self,
        object: &ObjectRef,
        purpose: &str,
    ) -> connector::Result<ObservedIntegration> {
        let change = Change { record: Some(record(purpose)), ..Change::default() };
        self.connector.modify(object, &change).await
    }
}

pub(crate) fn new(kind: &str, name: &str, settings: Settings) -> NewIntegration {
    NewIntegration {
        kind: kind.into(),
        name: name.into(),
        settings,
        record: record("Deploys what was merged"),
    }
}

pub(crate) fn record(purpose: &str) -> Record {
    Record {
        realm: Some("k3x9q2".into()),
        purpose: Some(purpose.into()),
        technical_owner: Some(OwnerRef { id: "owner/shop".into(), email: None }),
        ..Record::default()
    }
}

pub(crate) fn object(kind: &str, key: &str) -> ObjectRef {
    ObjectRef { kind: kind.into(), key: key.into(), vendor_id: None, name: key.into() }
}

pub(crate) fn object_of(found: &ObservedIntegration) -> ObjectRef {
    ObjectRef {
        kind: found.kind.clone(),
        key: found.key.clone(),
        vendor_id: Some(found.vendor_id.clone()),
        name: found.name.clone(),
    }
}

/// Settings of an SSH client of a repository.
pub(crate) fn of_repository(name: &str) -> Settings {
    Settings::default().with("repository", Setting::Text(name.to_owned()))
}

/// Settings of a webhook, complete.
pub(crate) fn hook(url: &str, events: &[&str], repository: Option<&str>) -> Settings {
    let settings = Settings::default()
        .with("url", Setting::Text(url.to_owned()))
        .with("events", Setting::Texts(events.iter().map(|one| (*one).to_owned()).collect()))
        .with("content_type", Setting::Text("json".into()))
        .with("insecure_ssl", Setting::Flag(false));
    match repository {
        Some(name) => settings.with("repository", Setting::Text(name.to_owned())),
        None => settings,
    }
}

/// A private key of an App, as GitHub gives them out, and its public half. Another one each time.
pub(crate) fn app_key() -> (String, Vec<u8>) {
    const MAKE: &str =
        "const {privateKey, publicKey} = require('crypto').generateKeyPairSync('rsa', {
        modulusLength: 2048, privateKeyEncoding: {type: 'pkcs1', format: 'pem'},
        publicKeyEncoding: {type: 'pkcs1', format: 'der'}});
        console.log(JSON.stringify({key: privateKey, public: publicKey.toString('base64')}));";
    let node = acceptance_tests::tools::need("node").unwrap();
    let made = std::process::Command::new(node).args(["-e", MAKE]).output().unwrap();
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("key"), STANDARD.decode(text("public")).unwrap())
}
