//! One hub for the whole binary, and connections to it.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock, Mutex},
};

use acceptance_tests::servers::JupyterHub;
use async_trait::async_trait;
use connector::{
    Change, Connector, IssueRequest, Issued, NewIntegration, ObjectRef, Platform, Setup,
    SystemClock,
    transport::{Answer, Coalesce, HttpOptions, HttpTransport, Request, Transport, TransportError},
};
use domain::{
    GrantedScope, ObservedIntegration, OwnerRef, Record, Scope, Secret, Settings, settings::Setting,
};

pub(crate) const KIND: &str = "jupyterhub_user";
pub(crate) const TYPE: &str = "jupyterhub_token";
pub(crate) const MARKER: &str = "nhi1-k3x9q2-abcdefgh-g1-e1-mabcdefghijklm";

static SERVER: LazyLock<JupyterHub> = LazyLock::new(|| JupyterHub::start().unwrap());

/// The hub, for other hands than ours.
pub(crate) fn hub() -> &'static JupyterHub {
    &SERVER
}

/// Real HTTP, every request noted by method and template.
#[derive(Debug)]
pub(crate) struct Counted {
    inner: HttpTransport,
    sent: Mutex<Vec<String>>,
}

impl Counted {
    fn to(address: &str) -> Arc<Counted> {
        let options = HttpOptions { address: address.to_owned(), ca_file: None };
        Arc::new(Counted { inner: HttpTransport::new(options).unwrap(), sent: Mutex::default() })
    }

    /// What was sent since this was last asked.
    pub(crate) fn sent(&self) -> Vec<String> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

#[async_trait]
impl Transport for Counted {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        self.sent.lock().unwrap().push(request.what());
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
        World::at(hub(), &hub().token, Settings::default())
    }

    /// With a service's token.
    pub(crate) fn of(service: &str) -> World {
        World::at(hub(), &hub().token_of(service), Settings::default())
    }

    /// At any hub, with any token and settings.
    pub(crate) fn at(hub: &JupyterHub, token: &str, settings: Settings) -> World {
        let wire = Counted::to(&hub.address());
        let setup = Setup {
            name: "hub".into(),
            settings: settings.with("address", Setting::Text(hub.address())),
            credential: Some(Secret::new(format!("{token}\n"))),
            credential_id: None,
            transport: Arc::new(Coalesce::new(wire.clone())),
            clock: Arc::new(SystemClock),
            keyring: None,
        };
        let connector = jupyterhub::PLATFORM.connect(setup).unwrap().connector.unwrap();
        World { connector, wire }
    }

    /// Makes an integration.
    pub(crate) async fn integration(&self, name: &str) -> ObjectRef {
        let made = self.connector.create(&new(name)).await.unwrap();
        object(name, Some(&made.vendor_id))
    }

    /// Gives it scopes.
    pub(crate) async fn scope(
        &self,
        object: &ObjectRef,
        texts: &[&str],
    ) -> connector::Result<ObservedIntegration> {
        let change = Change { scopes: Some(scopes(texts)), ..Change::default() };
        self.connector.modify(object, &change).await
    }

    /// Issues a token.
    pub(crate) async fn issue(
        &self,
        object: &ObjectRef,
        marker: &str,
        scopes: &[&str],
    ) -> connector::Result<(Secret, Issued)> {
        let scopes = Setting::Texts(scopes.iter().map(|one| (*one).to_owned()).collect());
        let settings = Settings::default().with("scopes", scopes);
        let request = IssueRequest {
            credential_type: TYPE,
            profile: "add-marked",
            marker,
            secret: None,
            settings: &settings,
            expires_at: None,
        };
        let mut issued = self.connector.issue(object, request).await?;
        Ok((issued.secret.take().unwrap(), issued))
    }
}

pub(crate) fn new(name: &str) -> NewIntegration {
    let record = Record {
        realm: Some("k3x9q2".into()),
        purpose: Some("Copies grades into the register".into()),
        technical_owner: Some(OwnerRef { id: "owner/teaching".into(), email: None }),
        ..Record::default()
    };
    NewIntegration { kind: KIND.into(), name: name.into(), settings: Settings::default(), record }
}

pub(crate) fn object(key: &str, vendor_id: Option<&str>) -> ObjectRef {
    let vendor_id = vendor_id.map(str::to_owned);
    ObjectRef { kind: KIND.into(), key: key.into(), vendor_id, name: key.into() }
}

pub(crate) fn scopes(texts: &[&str]) -> BTreeSet<GrantedScope> {
    let parse = |text: &&str| jupyterhub::PLATFORM.parse_scope(KIND, text).unwrap();
    texts.iter().flat_map(parse).map(GrantedScope::standing).collect()
}

pub(crate) fn names(one: &ObservedIntegration) -> Vec<&str> {
    one.scopes.iter().map(|granted| Scope::as_str(&granted.scope)).collect()
}
