//! What is known of a platform offline: compiled in, the same in every process.

use std::{collections::BTreeSet, fmt, sync::Arc};

use domain::{Action, Direction, Scope, Secret, Settings, field::Field};
use jiff::Timestamp;
use secrets::Sink;

use crate::{
    Clock, Connection, Profile, Result,
    transport::{self, Route, Transport},
};

/// A line of a platform's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogLine {
    /// Somebody was let in, or did something.
    Use(LogUse),
    /// Anything else; it still shows that the log goes on.
    Other(Option<Timestamp>),
}

/// A use, as a platform's log tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogUse {
    /// When.
    pub at: Timestamp,
    /// The mark of ours that the credential bears, where the log shows it.
    pub mark: Option<String>,
    /// What the integration is called.
    pub name: Option<String>,
    /// Scopes any of which it takes; none where it takes none.
    pub scopes: Vec<String>,
}

/// Where a marker can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkerPlace {
    /// On the credential, in the issuing call.
    Credential,
    /// The secret or its id is ours.
    Ours,
    /// On the parent, beforehand.
    Parent,
    /// Only in our keyring.
    Keyring,
    /// Nowhere.
    None,
}

/// One field of the main document that consumers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MainField {
    /// The integration's vendor id (role id, client id).
    VendorId,
    /// The secret.
    Secret,
    /// Whom its holder signs in as, where that is not the same with each: what stands behind the first
    /// `@` of its key id.
    User,
    /// The credential's own id, where a consumer needs it to use the secret. Secrets of such a type
    /// are `<key id>:<secret>`; the document holds the two apart.
    KeyId,
}

/// A type of credential.
#[derive(Debug)]
pub struct CredentialType {
    /// Its name in HCL, such as `openbao_secret_id`.
    pub name: &'static str,
    /// One sentence for people.
    pub doc: &'static str,
    /// Its settings.
    pub fields: &'static [Field],
    /// How it is issued, best first. Narrowed by the connection (see [`crate::Connector::promises`]).
    pub profiles: &'static [Profile],
    /// The default main document.
    pub main: &'static [(&'static str, MainField)],
}

impl CredentialType {
    /// Whether its holders sign in as one with one, and as another with the next.
    pub fn has_user(&self) -> bool {
        self.main.iter().any(|(_, field)| *field == MainField::User)
    }

    /// Whether its secrets are `<key id>:<secret>`.
    pub fn is_pair(&self) -> bool {
        self.main.iter().any(|(_, field)| *field == MainField::KeyId)
    }
}

/// What a kind can do, published by `nhi doctor` and in the docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// All integrations can be listed.
    pub lists: bool,
    /// Integrations can be created and deleted.
    pub creates: bool,
    /// We choose the vendor's key, so the id is known at plan.
    pub key_is_ours: bool,
    /// The record can be kept on the object.
    pub keeps_record: bool,
    /// Every integration needs a document in the keyring (RFC 7592).
    pub needs_keyring: bool,
    /// Scopes can be changed in place.
    pub changes_scopes: bool,
    /// The platform ends a dated scope by itself.
    pub ends_scopes: bool,
    /// An integration can be switched off without deleting it.
    pub disables: bool,
    /// Switching off also stops tokens that were already issued.
    pub disable_reaches_tokens: bool,
    /// Credentials can be listed.
    pub lists_credentials: bool,
    /// Last use is told, per credential.
    pub tells_last_use: bool,
    /// Where a marker goes.
    pub marker: MarkerPlace,
    /// Tokens minted from a credential can be found and revoked.
    pub sweeps_children: bool,
    /// Revocation can be proven by use.
    pub proves_by_use: bool,
    /// Access for a while can be minted, and ended before its time.
    pub mints_access: bool,
}

/// One kind of platform object: one nested attribute of `nhi_integration`.
#[derive(Debug)]
pub struct Kind {
    /// Its name in HCL and in ids: `<platform>_<object>`.
    pub name: &'static str,
    /// One or two sentences for people.
    pub doc: &'static str,
    /// Its settings.
    pub fields: &'static [Field],
    /// What it can do.
    pub capabilities: Capabilities,
    /// The types of credential it may have; the first is the default. Empty: none.
    pub credential_types: &'static [&'static CredentialType],
    /// Why a name is not usable as this kind's key; `None` if it is.
    pub refuse_name: fn(&str) -> Option<String>,
}

/// Why a text is not a scope of a kind, and what may have been meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScopeError {
    /// What was expected.
    pub message: String,
    /// What may have been meant.
    pub suggestion: Option<String>,
}

/// Why a scope is shown where an integration holds it, and is never given to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlyShown {
    /// What is in the way.
    pub why: String,
    /// What to write instead.
    pub instead: String,
}

/// What keeps something that is declared from being done, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What is in the way.
    pub why: String,
    /// What a person does about it.
    pub next: String,
}

/// What a connection is made from.
#[derive(Debug)]
pub struct Setup {
    /// The connection's name in `nhi.hcl`.
    pub name: String,
    /// Its settings, checked against [`Platform::connection_fields`].
    pub settings: Settings,
    /// Our own credential for it, read from where the configuration says. Absent where the source
    /// is not set: such a connection can still be described.
    pub credential: Option<Secret>,
    /// The user part of our own credential where it has two parts (an AppRole's role id).
    pub credential_id: Option<String>,
    /// How it is reached.
    pub transport: Arc<dyn Transport>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where documents about single vendor objects are kept, with the folder they go into.
    pub keyring: Option<(Arc<dyn Sink>, String)>,
}

/// What people mostly write for a connection of a platform: what `nhi init` proposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usual {
    /// The connection's name.
    pub name: &'static str,
    /// Its address or folder, where one is usual.
    pub place: Option<&'static str>,
    /// The environment variable with our credential; `None` where there is no credential.
    pub variable: Option<&'static str>,
    /// The folder for our own documents, in a sink.
    pub custody: &'static str,
}

/// What our own credential for a connection may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnCredential {
    /// There is none.
    Nothing,
    /// One secret: a token.
    Secret,
    /// One secret, or an AppRole of our own, in two parts.
    SecretOrAppRole,
    /// An access key, in two parts or three: `<key id>:<secret>`, with `:<session token>` where it is
    /// one for a while.
    AccessKey,
}

/// One platform, offline. One line in `wiring` registers it.
pub trait Platform: fmt::Debug + Send + Sync {
    /// Its name in `nhi.hcl`, the same as its folder's in `connectors/`.
    fn name(&self) -> &'static str;

    /// One sentence for people.
    fn doc(&self) -> &'static str;

    /// The settings of a connection in `nhi.hcl`. Fields named `address` (with its default) and
    /// `ca_file` are read by wiring for the transport.
    fn connection_fields(&self) -> &'static [Field];

    /// Where requests of a connection go beside its `address`, for a platform that is spread over
    /// several.
    fn other_addresses(&self, settings: &Settings) -> Vec<String> {
        let _ = settings;
        Vec::new()
    }

    /// What sends its requests, without layers: HTTP, unless the platform speaks another protocol. Its
    /// requests then are one exchange each in that protocol, and an answer's status is one of HTTP's, so
    /// that every layer means the same by it. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// The address is not usable.
    fn wire(&self, route: &Route) -> std::result::Result<Arc<dyn Transport>, String> {
        transport::http(route)
    }

    /// The kinds it can hold; empty for a directory or a mere sink.
    fn kinds(&self) -> &'static [Kind];

    /// Whether its connections are sinks.
    fn is_sink(&self) -> bool {
        false
    }

    /// Whether its sinks can be custody. What rotations keep there must be gone once it was delivered,
    /// so a sink that cannot destroy one version says no; why is for the error's text.
    fn not_custody(&self) -> Option<&'static str> {
        (!self.is_sink()).then_some("it is no sink")
    }

    /// Whether its connections are directories of people and teams.
    fn is_directory(&self) -> bool {
        false
    }

    /// What people mostly write for a connection.
    fn usual(&self) -> Usual {
        Usual { name: self.name(), place: None, variable: Some("NHI_CREDENTIAL"), custody: "nhi" }
    }

    /// What our own credential for a connection may be.
    fn own_credential(&self) -> OwnCredential {
        OwnCredential::Secret
    }

    /// Requests a second that a connection sends at most where `budget` says nothing else. A
    /// service that others run is asked gently; a server that people run themselves may say more.
    fn usual_budget(&self) -> u32 {
        50
    }

    /// Reads a scope as people write it; sugar may give several. Pure.
    ///
    /// # Errors
    ///
    /// The text is outside the grammar. A scope that is merely unknown is none.
    fn parse_scope(&self, kind: &str, text: &str) -> std::result::Result<Vec<Scope>, ScopeError> {
        let _ = kind;
        Err(ScopeError {
            message: format!("{text:?}: {} has no scopes", self.name()),
            suggestion: None,
        })
    }

    /// Why a canonical scope is shown where it is held and is never given; `None` where it can be.
    /// What is held already may be kept, and taken away. Pure.
    fn only_shown(&self, kind: &str, scope: &Scope) -> Option<OnlyShown> {
        let _ = (kind, scope);
        None
    }

    /// Whether the platform itself takes this scope away when its time is over, where the kind ends
    /// scopes at all. Pure.
    fn ends_scope(&self, kind: &str, scope: &Scope) -> bool {
        let _ = (kind, scope);
        true
    }

    /// The setting of an integration that the platform refuses beside the others, and why. Pure.
    fn contradiction(&self, kind: &str, settings: &Settings) -> Option<(&'static str, Obstacle)> {
        let _ = (kind, settings);
        None
    }

    /// Why a credential of the type `wanted` cannot live beside one of the type `there`, whose id is
    /// `key_id` where it lives already; `None` where it can. Pure.
    fn in_the_way(
        &self,
        kind: &str,
        wanted: &str,
        there: &str,
        key_id: Option<&str>,
    ) -> Option<Obstacle> {
        let _ = (kind, wanted, there, key_id);
        None
    }

    /// Whether holding `a` adds everything that `b` gives. Used for echo, never to hide power.
    fn implies(&self, kind: &str, a: &Scope, b: &Scope) -> bool {
        let _ = kind;
        a == b
    }

    /// Whether a ceiling of these scopes leaves room for `scope`. `beside` is given with it at all times:
    /// where one permission limits another, that may take away what `scope` alone would give. Pure.
    fn covers(
        &self,
        kind: &str,
        ceiling: &BTreeSet<Scope>,
        scope: &Scope,
        beside: &BTreeSet<Scope>,
    ) -> bool {
        let _ = beside;
        ceiling.iter().any(|held| held == scope || self.implies(kind, held, scope))
    }

    /// What a scope lets its holder do, by the compiled-in table.
    fn action(&self, kind: &str, scope: &Scope) -> Action {
        let _ = (kind, scope);
        Action::Unknown
    }

    /// Which way a change of scopes goes.
    fn direction(
        &self,
        kind: &str,
        before: &BTreeSet<Scope>,
        after: &BTreeSet<Scope>,
    ) -> Direction {
        Direction::by_difference(before, after, |a, b| self.implies(kind, a, b))
    }

    /// What a line of the platform's own log tells of a use; `None` where such lines are not known. Pure.
    fn log_line(&self, line: &serde_json::Value) -> Option<LogLine> {
        let _ = line;
        None
    }

    /// Whether a line of a log can show that a scope was used. Of another nobody learns that it was not.
    /// Pure.
    fn is_shown_in_logs(&self, kind: &str, scope: &Scope) -> bool {
        let _ = (kind, scope);
        true
    }

    /// Opens a connection. Sends nothing.
    ///
    /// # Errors
    ///
    /// The settings are not usable.
    fn connect(&'static self, setup: Setup) -> Result<Connection>;
}
