//! One platform, as seen through one connection.

use std::{collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;
use domain::{
    GrantedScope, Observation, ObservedCredential, ObservedIntegration, Record, Secret, Settings,
    Span,
};
use jiff::Timestamp;
use secrets::Sink;

use crate::{Capabilities, Error, Kind, Obstacle, Platform, ProbeBudget, Profile, Result};

/// A connection offers what its platform is: a platform of integrations, a sink, a directory.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its platform.
    pub platform: &'static dyn Platform,
    /// Integrations, if it holds any.
    pub connector: Option<Arc<dyn Connector>>,
    /// A sink, if it is one.
    pub sink: Option<Arc<dyn Sink>>,
    /// A directory, if it is one.
    pub directory: Option<Arc<dyn Directory>>,
}

/// Which vendor object is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    /// The kind's name.
    pub kind: String,
    /// The vendor's key.
    pub key: String,
    /// This incarnation, where it is known: another one found there is [`Error::Recreated`].
    pub vendor_id: Option<String>,
    /// The name people know it by: names its keyring document where the key is the vendor's.
    pub name: String,
}

impl ObjectRef {
    /// That what was found is the incarnation that is meant, where one is.
    ///
    /// # Errors
    ///
    /// [`Error::Recreated`].
    pub fn check_incarnation(&self, found: &str) -> Result<()> {
        match &self.vendor_id {
            Some(expected) if expected != found => Err(Error::Recreated {
                what: format!("{} {:?}", self.kind, self.key),
                expected: expected.clone(),
                found: found.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// Which object of the platform a connection signs in as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ourselves {
    /// The kind's name.
    pub kind: String,
    /// The vendor's key.
    pub key: String,
    /// The credential's id, where the platform tells; without it, it may be any of the object's.
    pub key_id: Option<String>,
}

impl Ourselves {
    /// Whether it is this object of the platform.
    pub fn is(&self, kind: &str, key: &str) -> bool {
        (self.kind.as_str(), self.key.as_str()) == (kind, key)
    }

    /// Whether a credential of that object may be the one that we sign in with.
    pub fn may_be(&self, key_id: &str) -> bool {
        self.key_id.as_deref().is_none_or(|ours| ours == key_id)
    }
}

/// Whether an answer that this process already has will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// A listing shared with concurrent readers will do (plan).
    Shared,
    /// It must be asked for after this call began (a deed decides on it).
    Fresh,
}

/// What an observation should hold beside the objects themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Credentials too, where they cost further requests.
    pub credentials: bool,
    /// What is fixed of each credential (marker, times, settings) too, where that costs a request
    /// a credential. Without, such a platform gives ids only: whoever knows an id already needs no
    /// more, and asks [`Connector::credential`] about the others.
    pub details: bool,
    /// How fresh.
    pub freshness: Freshness,
}

impl Want {
    /// Everything, shared: what a scan wants.
    pub const PLAN: Want = Want { credentials: true, details: true, freshness: Freshness::Shared };
    /// Everything but what is fixed of credentials that the caller may know already, shared: the
    /// fewest requests, for a plan that knows its own key ids from state or claims.
    pub const LEAN: Want = Want { credentials: true, details: false, freshness: Freshness::Shared };
    /// Everything, fresh: what a deed wants.
    pub const DEED: Want = Want { credentials: true, details: true, freshness: Freshness::Fresh };
}

/// An integration to make. It is born parked: no scope and no way to get a token.
#[derive(Debug, Clone)]
pub struct NewIntegration {
    /// The kind's name.
    pub kind: String,
    /// The name people know it by; the key where [`crate::Capabilities::key_is_ours`].
    pub name: String,
    /// Settings, complete with our defaults.
    pub settings: Settings,
    /// The record, written in the same call where the platform can.
    pub record: Record,
}

/// What to change of one integration. `None` leaves a part as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The name people know it by, where it is not the key.
    pub name: Option<String>,
    /// All settings of the kind, complete.
    pub settings: Option<Settings>,
    /// The record.
    pub record: Option<Record>,
    /// All scopes, complete; empty is none at all.
    pub scopes: Option<BTreeSet<GrantedScope>>,
    /// The platform's own switch.
    pub enabled: Option<bool>,
}

/// A complete or incomplete listing of one integration's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialListing {
    /// What was listed.
    pub credentials: Vec<ObservedCredential>,
    /// Whether it is complete, so that absence means something.
    pub complete: bool,
    /// Types of which it shows whatever works, where it is not complete.
    pub shows_all_of: &'static [&'static str],
    /// When it was asked for.
    pub requested_at: Timestamp,
}

/// A credential to issue.
#[derive(Debug)]
pub struct IssueRequest<'a> {
    /// The credential type's name.
    pub credential_type: &'static str,
    /// The profile that the engine follows.
    pub profile: &'static str,
    /// Our marker, written in the issuing call where the platform can.
    pub marker: &'a str,
    /// The secret, where we choose it; made by [`Connector::choose_secret`]. Of what makes its own
    /// successor the current one, with which it is called; none where its parent makes the first.
    pub secret: Option<&'a Secret>,
    /// Settings fixed at issue.
    pub settings: &'a Settings,
    /// When it should end by itself.
    pub expires_at: Option<Timestamp>,
}

/// A credential that was issued.
#[derive(Debug)]
pub struct Issued {
    /// The vendor's id of it.
    pub key_id: String,
    /// The secret, where the platform made it.
    pub secret: Option<Secret>,
    /// When, by the vendor.
    pub issued_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// It had been there: a repeat of the same call found its own earlier deed.
    pub already_there: bool,
}

/// How a credential was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The platform accepted it.
    Now,
    /// It was gone already, under a parent that was readable.
    AlreadyGone,
}

/// Access for a while: what lets its holder in as an integration, in the place of a credential that
/// stays.
#[derive(Debug)]
pub struct Access {
    /// What its holder shows.
    pub token: Secret,
    /// By what the platform ends it; it may be the token itself.
    pub handle: Secret,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// Access to mint.
#[derive(Debug, Clone, Copy)]
pub struct AccessRequest<'a> {
    /// How long it may live at most.
    pub life: Span,
    /// Our marker, written where access stands among an integration's credentials.
    pub marker: &'a str,
    /// A credential of the integration, of a type, for a platform that mints access for whoever signs
    /// in as it only.
    pub with: Option<(&'static str, &'a Secret)>,
}

/// What became of tokens minted from a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Children {
    /// There were none, or the platform has none.
    None,
    /// So many were found and revoked.
    Swept(u32),
    /// They may live until then.
    Residual(Option<Timestamp>),
    /// Nothing is known.
    Unknown,
}

/// What [`Connector::sweep`] looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mints {
    /// Tokens that a sign-in gave out. Whether sessions live on is not known.
    Tokens,
    /// Sessions that live on after the end of what they began with.
    Sessions,
}

/// What a sign-in with a secret showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It authenticates. A token minted on the way was revoked, unless this says otherwise.
    Accepted {
        /// The minted token could not be revoked and lives until then.
        residual: Option<Timestamp>,
        /// What the platform says it may do, where it says.
        scopes: Option<BTreeSet<String>>,
    },
    /// It is refused.
    Refused {
        /// How: status and error code, so that two refusals can be compared. No text of the body.
        class: String,
    },
}

/// What a way of issuing can promise on one connection, printed at plan.
#[derive(Debug, Clone, Copy)]
pub struct Promise {
    /// The way.
    pub profile: &'static Profile,
    /// Why a better one of the type is not used here.
    pub because: Option<&'static str>,
}

/// One platform, as seen through one connection.
///
/// A method whose capability is absent returns [`Error::Unsupported`] and sends nothing. Every
/// changing call is sent once and never repeated by a layer.
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync {
    /// The platform.
    fn platform(&self) -> &'static dyn Platform;

    /// The tenant's own id: cluster id, issuer, organisation. Stable over addresses and names.
    async fn tenant(&self) -> Result<String>;

    /// Lists the integrations that the connection can see.
    ///
    /// # Behavior
    ///
    /// - Integrations that nobody declared are included.
    /// - A page or object that cannot be read is a gap in the observation, not an error.
    /// - Nothing is changed.
    async fn list(&self, want: Want) -> Result<Observation>;

    /// One integration; `None` only where its absence is proven (a complete listing, or 404 under a
    /// readable parent).
    async fn read(&self, object: &ObjectRef, want: Want) -> Result<Option<ObservedIntegration>>;

    /// Makes an integration, parked, with its record.
    ///
    /// # Errors
    ///
    /// [`crate::Refusal::Conflict`] if one of that key exists and its record does not say that our
    /// own create of it is unfinished; such a one is resumed.
    async fn create(&self, new: &NewIntegration) -> Result<ObservedIntegration>;

    /// Changes parts of an integration and returns what is then in force, read back.
    ///
    /// # Behavior
    ///
    /// - Changes of one object are one after another in this process, and compare-and-set or
    ///   checked by reading back across processes.
    /// - Parts that are `None` stay as they are, those that we do not model too.
    async fn modify(&self, object: &ObjectRef, change: &Change) -> Result<ObservedIntegration>;

    /// Deletes an integration with everything that was made for it. Gone already is success.
    async fn delete(&self, object: &ObjectRef) -> Result<Ended>;

    /// Lists the credentials of one integration, asked for after this call began.
    async fn credentials(&self, object: &ObjectRef) -> Result<CredentialListing>;

    /// One credential by its vendor id, with all that is fixed of it; `None` where it is gone. What
    /// this process has learned of an id before will do, since it does not change.
    async fn credential(
        &self,
        object: &ObjectRef,
        key_id: &str,
    ) -> Result<Option<ObservedCredential>> {
        let listing = self.credentials(object).await?;
        Ok(listing.credentials.into_iter().find(|one| one.key_id == key_id))
    }

    /// Brings those settings of a live credential that need no other one to what is wanted; sends
    /// nothing where there is none to bring.
    async fn adjust(&self, object: &ObjectRef, key_id: &str, settings: &Settings) -> Result<()> {
        let _ = (object, key_id, settings);
        Ok(())
    }

    /// The secret of a live credential as the platform shows it now to whoever may read it; `None`
    /// where it is not shown. It may be another one than was issued.
    async fn shown(&self, object: &ObjectRef, key_id: &str) -> Result<Option<Secret>> {
        let _ = (object, key_id);
        Ok(None)
    }

    /// The command with which a person at the platform puts the record of an integration under the
    /// installation of this id; `None` where there is none.
    fn hand_over(&self, key: &str, id: &str) -> Option<String> {
        let _ = (key, id);
        None
    }

    /// Whether the platform takes our own credential, by the cheapest calls that need it and change
    /// nothing. `Ok` where there is no such call; then a note says so.
    async fn check_credential(&self) -> Result<()> {
        Ok(())
    }

    /// The setting of an integration that cannot be had through this connection, as it is set up, and
    /// why. Sends nothing.
    fn unfit(&self, kind: &str, settings: &Settings) -> Option<(&'static str, Obstacle)> {
        let _ = (kind, settings);
        None
    }

    /// Which of the platform's integrations the connection itself signs in as; `None` where it is none
    /// of them. It is asked for at most once a connection.
    ///
    /// # Errors
    ///
    /// It could not be asked. What the platform does not tell to us is no error.
    async fn ourselves(&self) -> Result<Option<Ourselves>> {
        Ok(None)
    }

    /// What is weaker on this connection than the platform's capabilities say, and why: whole
    /// sentences for `nhi doctor`. What cannot be asked is said too.
    async fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Objects that we cannot manage any more, since a call with what makes its own successor was not
    /// heard of: the id of each below the connection, and what is known and helps.
    async fn locked_out(&self) -> Result<Vec<(String, Error)>> {
        Ok(Vec::new())
    }

    /// What a kind can do on this connection: what its platform publishes, or less.
    async fn capabilities(&self, kind: &Kind) -> Result<Capabilities> {
        Ok(kind.capabilities)
    }

    /// The ways of issuing a type on this connection, best first; empty with a reason where none.
    async fn promises(&self, credential_type: &str) -> Result<Vec<Promise>>;

    /// Makes a secret of ours for a type: what will be stored before the platform hears of it.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where the platform makes its secrets itself.
    fn choose_secret(
        &self,
        credential_type: &str,
        settings: &Settings,
        marker: &str,
    ) -> Result<Secret>;

    /// Issues one credential. One attempt.
    ///
    /// # Behavior
    ///
    /// - With a secret of ours, a repeat finds the earlier deed and says so.
    async fn issue(&self, object: &ObjectRef, request: IssueRequest<'_>) -> Result<Issued>;

    /// Writes our marker beside a credential that its platform issues without one. Writing the same
    /// one again is none. Called where [`crate::Marks::Afterwards`] is published.
    async fn mark(&self, object: &ObjectRef, key_id: &str, marker: &str) -> Result<()> {
        let _ = (object, key_id, marker);
        unsupported(self.platform().name(), "mark a credential after it was issued")
    }

    /// The key id that a secret of ours will have or has, without sending the secret anywhere but
    /// to the platform; `None` where it is not there.
    async fn find(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>>;

    /// Whether one credential of a type can be switched off and on again. Sends nothing.
    fn disables(&self, credential_type: &str) -> bool {
        let types = self.platform().kinds().iter().flat_map(|kind| kind.credential_types);
        let mut of_it = types.filter(|one| one.name == credential_type);
        of_it.any(|one| one.profiles.iter().any(|profile| profile.disables))
    }

    /// The longest after which the platform tells that a credential of a type was used, and by which it
    /// may date a use late; `None` where what it tells is no evidence for a single one. Sends nothing.
    fn last_use_lag(&self, credential_type: &str) -> Option<Span> {
        let _ = credential_type;
        None
    }

    /// Switches one credential off, by its vendor id: it is refused, listed as such, and works again
    /// when it is switched on. It is not ended. Called where [`Connector::disables`].
    ///
    /// # Behavior
    ///
    /// - Switching off one that is off already succeeds; the others are untouched.
    ///
    /// # Errors
    ///
    /// [`crate::Refusal::NotFound`] where it is gone.
    async fn disable(&self, object: &ObjectRef, key_id: &str) -> Result<()> {
        let _ = (object, key_id);
        unsupported(self.platform().name(), "switch a credential off")
    }

    /// Switches one credential on that was switched off, in the same way.
    async fn enable(&self, object: &ObjectRef, key_id: &str) -> Result<()> {
        let _ = (object, key_id);
        unsupported(self.platform().name(), "switch a credential on")
    }

    /// Whether the end of a credential of a type can be set while it is there. Sends nothing.
    fn moves_expiry(&self, credential_type: &str) -> bool {
        let types = self.platform().kinds().iter().flat_map(|kind| kind.credential_types);
        let mut of_it = types.filter(|one| one.name == credential_type);
        of_it.any(|one| one.profiles.iter().any(|profile| profile.moves_expiry))
    }

    /// Sets when one credential ends by itself, by its vendor id; without a time, that it does not. Called
    /// where [`Connector::moves_expiry`].
    ///
    /// # Behavior
    ///
    /// - Setting the same end again succeeds; the others keep theirs.
    ///
    /// # Errors
    ///
    /// [`crate::Refusal::NotFound`] where it is gone.
    async fn set_expiry(
        &self,
        object: &ObjectRef,
        key_id: &str,
        at: Option<Timestamp>,
    ) -> Result<()> {
        let _ = (object, key_id, at);
        unsupported(self.platform().name(), "set the end of a credential that is there")
    }

    /// Ends one credential by its vendor id, never by name.
    ///
    /// # Behavior
    ///
    /// - Ending one that is gone succeeds; the others are untouched.
    async fn end(&self, object: &ObjectRef, key_id: &str) -> Result<Ended>;

    /// Finds and revokes tokens minted from a credential (`None`: from any of the integration's),
    /// or tells how long they may live.
    async fn sweep(&self, object: &ObjectRef, marker: Option<&str>) -> Result<Children>;

    /// What a sweep looks for.
    fn mints(&self) -> Mints {
        Mints::Tokens
    }

    /// Signs in with a secret, once, over a fresh connection, and revokes what that minted.
    async fn probe(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
    ) -> Result<Probe>;

    /// Mints access as an integration that ends by itself after its life at the latest.
    ///
    /// # Behavior
    ///
    /// - No credential is left behind, and those that are there are untouched.
    /// - What would live longer than asked for is ended again, and is an error.
    async fn mint(&self, object: &ObjectRef, request: AccessRequest<'_>) -> Result<Access> {
        let _ = (object, request);
        unsupported(self.platform().name(), "mint access for a while")
    }

    /// Ends access before its time, and sees that it has ended.
    ///
    /// # Behavior
    ///
    /// - Ending what has ended by itself succeeds; other access is untouched.
    async fn end_access(&self, object: &ObjectRef, handle: &Secret) -> Result<Ended> {
        let _ = (object, handle);
        unsupported(self.platform().name(), "end access before its time")
    }

    /// How many refused sign-ins are stood where this integration is: `usual` is what its way of
    /// issuing states, and a place may have been told to stand fewer.
    async fn probe_budget(&self, _object: &ObjectRef, usual: ProbeBudget) -> ProbeBudget {
        usual
    }

    /// A secret that looks like a real one and is none: the control of a proof.
    fn random_like(&self, credential_type: &str, secret: &Secret) -> Result<Secret>;
}

/// A person or team as a directory shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The directory's own id.
    pub id: String,
    /// `person`, `team` or `vendor` where the directory tells.
    pub kind: Option<String>,
    /// Whether the account is active.
    pub active: bool,
    /// The department, where the directory tells.
    pub department: Option<String>,
    /// Mail, where the directory tells.
    pub email: Option<String>,
    /// The name to show.
    pub display_name: Option<String>,
    /// When the directory last changed the entry.
    pub changed_at: Option<Timestamp>,
}

/// A directory of people and teams, read only.
#[async_trait]
pub trait Directory: fmt::Debug + Send + Sync {
    /// One member; `None` only where absence is proven (404 from a directory that answers).
    async fn member(&self, id: &str) -> Result<Option<Member>>;

    /// Whether the directory answers, and how many members it says it has.
    async fn check(&self) -> Result<u64>;
}

/// Convenience for methods that a platform does not have.
pub fn unsupported<T>(platform: &'static str, what: &'static str) -> Result<T> {
    Err(Error::Unsupported { platform, what })
}
