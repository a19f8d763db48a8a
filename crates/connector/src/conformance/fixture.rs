//! What a connector brings to the suite: a real server, and somebody else's hand on it.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use domain::{GrantedScope, Record, Scope, Settings};

use crate::{
    Connector, IssueRequest, Issued, NewIntegration, ObjectRef, Origin, Platform, Profile, Result,
    transport::Transport,
};

use super::Stop;

/// Puts something between a connection and its server.
pub type Wrap<'a> = &'a (dyn Fn(Arc<dyn Transport>) -> Arc<dyn Transport> + Send + Sync);

/// One platform made ready for the suite. What a platform's hand cannot do stays at its default,
/// and the cases that need it are absent.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The platform.
    fn platform(&self) -> &'static dyn Platform;

    /// The kind under test.
    fn kind(&self) -> &'static str;

    /// A connection as another process would have it: nothing known from before. A platform without
    /// a transport ignores the wrap and says so by [`Fixture::sends`].
    async fn connect(&self, wrap: Wrap<'_>) -> Arc<dyn Connector>;

    /// Whether connections send requests that a wrap sees.
    fn sends(&self) -> bool {
        true
    }

    /// Settings of a new integration, complete.
    fn settings(&self) -> Settings;

    /// Other settings, complete, that a new integration can be changed to.
    fn other_settings(&self) -> Option<Settings> {
        None
    }

    /// Scopes that the platform knows, canonical; at least three where scopes can be changed.
    fn scopes(&self) -> Vec<Scope>;

    /// Whether the credentials that the suite issues can mint tokens. Of such as cannot, a connector
    /// that finds no minted tokens may say that there are none.
    fn mints(&self) -> bool {
        true
    }

    /// Gives a scope behind the connector's back.
    async fn grant_by_hand(&self, object: &ObjectRef, scope: &Scope) -> bool {
        let _ = (object, scope);
        false
    }

    /// Issues a credential behind the connector's back, and tells its key id.
    async fn issue_by_hand(&self, object: &ObjectRef) -> Option<String> {
        let _ = object;
        None
    }

    /// Makes an integration behind the connector's back, and tells its key.
    async fn create_by_hand(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }

    /// A connection of ours that signs in with a credential of this integration; `None` where none of
    /// the kind can be one of ours.
    async fn connect_with(
        &self,
        object: &ObjectRef,
        secret: &domain::Secret,
    ) -> Option<Arc<dyn Connector>> {
        let _ = (object, secret);
        None
    }

    /// Whether minted access lets its holder in; `None` where the fixture cannot try.
    async fn lets_in(&self, object: &ObjectRef, token: &domain::Secret) -> Option<bool> {
        let _ = (object, token);
        None
    }

    /// Signs in as the integration would and keeps the token. The answer tells whether it still
    /// works.
    async fn sign_in(&self, object: &ObjectRef, secret: &domain::Secret) -> Option<Arc<dyn Token>> {
        let _ = (object, secret);
        None
    }
}

/// A token that somebody holds.
#[async_trait]
pub trait Token: Send + Sync {
    /// Whether it still works.
    async fn works(&self) -> bool;
}

/// A straight connection.
pub(crate) async fn connect(fixture: &dyn Fixture) -> Arc<dyn Connector> {
    fixture.connect(&|transport| transport).await
}

/// The realm of the suite.
pub(crate) const REALM: &str = "k3x9q2";

pub(crate) fn record() -> Record {
    Record {
        realm: Some(REALM.into()),
        purpose: Some("Shows that a connector does as it must".into()),
        environment: Some("test".into()),
        labels: [("ä \"quoted\"".to_owned(), "\\ # */".to_owned())].into(),
        ..Record::default()
    }
}

/// A name that nothing else has: the fixture's server is its own.
pub(crate) fn name(case: &str) -> String {
    // As short as platforms want names to be.
    let case: String = case.chars().filter(|c| *c != '_').take(24).collect();
    format!("t-{case}")
}

pub(crate) fn new(fixture: &dyn Fixture, case: &str) -> NewIntegration {
    NewIntegration {
        kind: fixture.kind().to_owned(),
        name: name(case),
        settings: fixture.settings(),
        record: record(),
    }
}

/// Makes an integration and gives what refers to it.
pub(crate) async fn made(
    fixture: &dyn Fixture,
    connector: &dyn Connector,
    case: &str,
) -> std::result::Result<ObjectRef, Stop> {
    super::claims(super::can(fixture)?.creates, "integrations cannot be made")?;
    let made = connector.create(&new(fixture, case)).await?;
    Ok(ObjectRef {
        kind: made.kind,
        key: made.key,
        vendor_id: Some(made.vendor_id),
        name: name(case),
    })
}

pub(crate) fn standing(scopes: &[Scope]) -> BTreeSet<GrantedScope> {
    scopes.iter().cloned().map(GrantedScope::standing).collect()
}

/// Gives some power, so that a sign-in is possible where parked means none.
pub(crate) async fn open(
    fixture: &dyn Fixture,
    connector: &dyn Connector,
    object: &ObjectRef,
) -> std::result::Result<(), Stop> {
    if super::can(fixture)?.changes_scopes {
        let scopes = standing(&fixture.scopes()[..1]);
        let change = crate::Change { scopes: Some(scopes), ..crate::Change::default() };
        connector.modify(object, &change).await?;
    }
    Ok(())
}

/// A marker of generation `g`.
pub(crate) fn marker(g: u64) -> String {
    format!("nhi1-{REALM}-abcdefgh-g{g}-e1-mabcdefghijklm")
}

/// A credential with its secret.
pub(crate) struct Credential {
    pub(crate) issued: Issued,
    pub(crate) secret: domain::Secret,
    pub(crate) marker: String,
}

/// Issues in one way.
pub(crate) async fn issue(
    connector: &dyn Connector,
    object: &ObjectRef,
    credential_type: &'static str,
    profile: &Profile,
    generation: u64,
    expires_at: Option<jiff::Timestamp>,
) -> Result<Credential> {
    let (settings, marker) = (Settings::default(), marker(generation));
    let ours = match profile.origin {
        Origin::Ours | Origin::OursPublicKey => {
            Some(connector.choose_secret(credential_type, &settings, &marker)?)
        }
        Origin::VendorOnce | Origin::VendorReadable | Origin::Itself { .. } => None,
    };
    let request = IssueRequest {
        credential_type,
        profile: profile.name,
        marker: &marker,
        secret: ours.as_ref(),
        settings: &settings,
        expires_at,
    };
    let mut issued = connector.issue(object, request).await?;
    let secret = match (ours, issued.secret.take()) {
        (Some(ours), _) => ours,
        (None, Some(theirs)) => theirs,
        (None, None) => {
            return Err(crate::Error::UnexpectedAnswer {
                what: "issue".into(),
                message: "neither we nor the platform have the secret".into(),
            });
        }
    };
    Ok(Credential { issued, secret, marker })
}
