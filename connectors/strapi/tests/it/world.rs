//! One server for the whole binary, and connections to it.

use std::sync::{Arc, LazyLock, Mutex};

use acceptance_tests::servers::Strapi;
use async_trait::async_trait;
use connector::{
    Change, Connector, IssueRequest, Issued, NewIntegration, ObjectRef, Platform, Probe, Setup,
    SystemClock,
    transport::{Answer, Coalesce, HttpOptions, HttpTransport, Request, Transport, TransportError},
};
use domain::{
    GrantedScope, ObservedIntegration, OwnerRef, Record, Scope, Secret, Settings, settings::Setting,
};

pub(crate) const KIND: &str = "strapi_client";
pub(crate) const TOKEN: &str = "strapi_token";
pub(crate) const OWN: &str = "strapi_own_token";
/// An action of the project's API.
pub(crate) const FIND: &str = "api::ticket.ticket.find";
pub(crate) const MARKER: &str = "nhi1-k3x9q2-abcdefgh-g1-e1-mabcdefghijklm";

static SERVER: LazyLock<Strapi> = LazyLock::new(|| Strapi::start().unwrap());

/// The server, for other hands than ours.
pub(crate) fn cms() -> &'static Strapi {
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
        World::with(&cms().token, Settings::default())
    }

    /// With any token and settings.
    pub(crate) fn with(token: &str, settings: Settings) -> World {
        World::at(&cms().address(), token, settings)
    }

    /// The same by another way.
    pub(crate) fn at(address: &str, token: &str, settings: Settings) -> World {
        let address = address.to_owned();
        let options = HttpOptions { address: address.clone(), ca_file: None };
        let inner = HttpTransport::new(options).unwrap();
        let wire = Arc::new(Counted { inner, sent: Mutex::default() });
        let setup = Setup {
            name: "cms".into(),
            settings: settings.with("address", Setting::Text(address)),
            credential: Some(Secret::new(format!("{token}\n"))),
            credential_id: None,
            transport: Arc::new(Coalesce::new(wire.clone())),
            clock: Arc::new(SystemClock),
            keyring: None,
        };
        let connector = strapi::PLATFORM.connect(setup).unwrap().connector.unwrap();
        World { connector, wire }
    }

    /// Lets an integration do this.
    pub(crate) async fn give(
        &self,
        object: &ObjectRef,
        scopes: &[&str],
    ) -> connector::Result<ObservedIntegration> {
        let standing = |one: &&str| GrantedScope::standing(Scope::canonical(*one));
        let scopes = Some(scopes.iter().map(standing).collect());
        self.connector.modify(object, &Change { scopes, ..Change::default() }).await
    }

    /// The key ids of an integration's credentials.
    pub(crate) async fn keys(&self, object: &ObjectRef) -> Vec<String> {
        let listing = self.connector.credentials(object).await.unwrap();
        listing.credentials.into_iter().map(|one| one.key_id).collect()
    }

    /// Whether somebody is let in with a secret.
    pub(crate) async fn lets_in(&self, object: &ObjectRef, secret: &Secret) -> bool {
        let probed = self.connector.probe(object, TOKEN, secret).await.unwrap();
        matches!(probed, Probe::Accepted { .. })
    }

    /// Makes an integration.
    pub(crate) async fn integration(&self, name: &str) -> ObjectRef {
        let made = self.connector.create(&new(name)).await.unwrap();
        object(name, Some(&made.vendor_id))
    }

    /// Issues a token of a type.
    pub(crate) async fn issue(
        &self,
        object: &ObjectRef,
        credential_type: &'static str,
    ) -> connector::Result<(Secret, Issued)> {
        let request = IssueRequest {
            credential_type,
            profile: if credential_type == OWN { "replace-once" } else { "add-marked" },
            marker: MARKER,
            secret: None,
            settings: &Settings::default(),
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
        record: record("Lists the tickets"),
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
