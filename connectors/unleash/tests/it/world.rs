//! One server for the whole binary, and connections to it.

use std::sync::{Arc, LazyLock, Mutex};

use acceptance_tests::servers::Unleash;
use async_trait::async_trait;
use connector::{
    Connector, IssueRequest, Issued, NewIntegration, ObjectRef, Platform, Setup, SystemClock,
    transport::{Answer, Coalesce, HttpOptions, HttpTransport, Request, Transport, TransportError},
};
use domain::{OwnerRef, Record, Secret, Settings, settings::Setting};

pub(crate) const KIND: &str = "unleash_client";
pub(crate) const TYPE: &str = "unleash_token";
pub(crate) const MARKER: &str = "nhi1-k3x9q2-abcdefgh-g1-e1-mabcdefghijklm";

static SERVER: LazyLock<Unleash> = LazyLock::new(|| Unleash::start().unwrap());

/// The server, for other hands than ours.
pub(crate) fn flags() -> &'static Unleash {
    &SERVER
}

/// Real HTTP, every request noted as the log would show it.
#[derive(Debug)]
pub(crate) struct Counted {
    inner: HttpTransport,
    sent: Mutex<Vec<String>>,
}

impl Counted {
    /// What was sent since this was last asked.
    pub(crate) fn sent(&self) -> Vec<String> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

#[async_trait]
impl Transport for Counted {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        self.sent.lock().unwrap().push(format!("{request:?}"));
        self.inner.send(request).await
    }
}

/// A connection, and the way it sends.
pub(crate) struct World {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) wire: Arc<Counted>,
}

impl World {
    /// As an admin.
    pub(crate) fn new() -> World {
        World::with(&flags().token, Settings::default())
    }

    /// With any token and settings.
    pub(crate) fn with(token: &str, settings: Settings) -> World {
        let address = flags().address();
        let options = HttpOptions { address: address.clone(), ca_file: None };
        let inner = HttpTransport::new(options).unwrap();
        let wire = Arc::new(Counted { inner, sent: Mutex::default() });
        let setup = Setup {
            name: "flags".into(),
            settings: settings.with("address", Setting::Text(address)),
            credential: Some(Secret::new(format!("{token}\n"))),
            credential_id: None,
            transport: Arc::new(Coalesce::new(wire.clone())),
            clock: Arc::new(SystemClock),
            keyring: None,
        };
        let connector = unleash::PLATFORM.connect(setup).unwrap().connector.unwrap();
        World { connector, wire }
    }

    /// Makes an integration.
    pub(crate) async fn integration(&self, name: &str) -> ObjectRef {
        let made = self.connector.create(&new(name)).await.unwrap();
        object(name, Some(&made.vendor_id))
    }

    /// Issues a token.
    pub(crate) async fn issue(
        &self,
        object: &ObjectRef,
        settings: &Settings,
    ) -> connector::Result<(Secret, Issued)> {
        let request = IssueRequest {
            credential_type: TYPE,
            profile: "add-marked",
            marker: MARKER,
            secret: None,
            settings,
            expires_at: None,
        };
        let mut issued = self.connector.issue(object, request).await?;
        Ok((issued.secret.take().unwrap(), issued))
    }
}

pub(crate) fn new(name: &str) -> NewIntegration {
    NewIntegration {
        kind: KIND.into(),
        name: name.into(),
        settings: Settings::default(),
        record: record("Asks which features of the checkout are on"),
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

pub(crate) fn object(key: &str, vendor_id: Option<&str>) -> ObjectRef {
    let vendor_id = vendor_id.map(str::to_owned);
    ObjectRef { kind: KIND.into(), key: key.into(), vendor_id, name: key.into() }
}

/// What a token is to reach.
pub(crate) fn reaching(of: &str, environment: &str, projects: &[&str]) -> Settings {
    let text = |text: &str| Setting::Text(text.to_owned());
    Settings::default()
        .with("type", text(of))
        .with("environment", text(environment))
        .with("projects", Setting::Texts(projects.iter().map(|one| (*one).to_owned()).collect()))
}
