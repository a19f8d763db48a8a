//! What there is: tokens, and which of them belong together.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use connector::{
    Capabilities, Change, Children, Clock, Connector, CredentialListing, Ended, Error, Freshness,
    IssueRequest, Issued, Kind, NewIntegration, ObjectRef, Platform, Probe, Promise, Refusal,
    Result, Setup, Turns, Want,
};
use domain::{
    GrantedScope, Observation, ObservedCredential, ObservedIntegration, Record, Scope, Secret,
    Settings,
};
use tokio::sync::OnceCell;

use crate::{
    api::{Api, Token},
    name::{self, Beside},
    note::{self, Note},
    scope::CUSTOM,
    tables::{ADDING, CLIENT, OWN_TOKEN, REPLACING, TOKEN},
};

/// The tokens that every project is made with, and how they describe themselves.
const DEFAULTS: [(&str, &str); 2] = [
    ("Full Access", "A default API token with full access permissions"),
    ("Read Only", "A default API token with read-only permissions"),
];

/// A project through one connection.
#[derive(Debug)]
pub(crate) struct Project {
    platform: &'static dyn Platform,
    pub(crate) api: Api,
    pub(crate) clock: Arc<dyn Clock>,
    connection: String,
    pinned: Option<String>,
    tenant: OnceCell<String>,
    /// One at a time for each name.
    pub(crate) turns: Turns,
}

/// What is read of one integration: its own token, and those that bear its name with something beside.
#[derive(Debug, Default)]
pub(crate) struct Found<'a> {
    /// Its own; gone where somebody deleted it, and the others not.
    pub(crate) own: Option<&'a Token>,
    pub(crate) note: Note,
    pub(crate) record: Option<Record>,
    /// Further ones.
    pub(crate) tokens: Vec<&'a Token>,
    /// Those that hold its record, and no power.
    pub(crate) pieces: Vec<&'a Token>,
}

pub(crate) fn unexpected(what: &str, message: impl Into<String>) -> Error {
    Error::UnexpectedAnswer { what: what.to_owned(), message: message.into() }
}

pub(crate) fn no_such(name: &str) -> Error {
    Error::Refused {
        what: format!("{CLIENT} {name:?}"),
        refusal: Refusal::NotFound,
        message: "no token bears this name".into(),
    }
}

/// The key id of a secret: its token's number, and when it was made, since a database that is put back
/// gives a number out twice.
pub(crate) fn key_id(token: &Token, made: i64) -> String {
    format!("{}.{made}", token.id)
}

/// Whether a token holds a piece of a record, and lets nobody do anything.
pub(crate) fn is_piece(token: &Token) -> bool {
    let piece = matches!(name::read(&token.name).beside, Beside::Piece(..));
    piece && token.kind == CUSTOM && token.permissions.is_empty()
}

/// What a token may do.
fn reach(token: &Token) -> Vec<Scope> {
    match token.kind.as_str() {
        CUSTOM => token.permissions.iter().map(|one| Scope::canonical(one.as_str())).collect(),
        kind => vec![Scope::canonical(kind)],
    }
}

impl<'a> Found<'a> {
    /// What these tokens, which share a name, say of their integration; `None` where none of them lets
    /// anybody in.
    fn of(tokens: &[&'a Token]) -> Option<Found<'a>> {
        let mut found = Found::default();
        let mut sorted = tokens.to_vec();
        sorted.sort_by_key(|one| one.id);
        for one in sorted {
            let bare = name::read(&one.name).beside == Beside::Nothing;
            match () {
                () if is_piece(one) => found.pieces.push(one),
                // Whoever came second by a moment has no name of its own.
                () if bare && found.own.is_none() => found.own = Some(one),
                () => found.tokens.push(one),
            }
        }
        if let Some(own) = found.own {
            found.note = Note::read(own.description.as_deref().unwrap_or_default());
        }
        let ours = found.note.ours.clone().unwrap_or_default();
        let piece = |set: &str, number: usize| {
            let wanted = Beside::Piece(set, number);
            let piece = found.pieces.iter().find(|one| name::read(&one.name).beside == wanted)?;
            piece.description.as_deref()
        };
        found.record = ours.record.as_deref().and_then(|named| note::record(named, piece));
        if let Some(record) = &mut found.record {
            record.unfinished |= ours.begun;
        }
        (found.own.is_some() || !found.tokens.is_empty()).then_some(found)
    }

    /// This making of it.
    pub(crate) fn vendor_id(&self) -> String {
        let first = self.own.or_else(|| self.tokens.first().copied());
        first.map(|one| key_id(one, one.created_at.as_millisecond())).unwrap_or_default()
    }

    /// When the secret of its own token was made; `None` where nobody holds it.
    pub(crate) fn own_secret(&self) -> Option<i64> {
        match &self.note.ours {
            Some(ours) => ours.secret,
            // Whoever made the token was shown its secret.
            None => self.own.map(|own| own.created_at.as_millisecond()),
        }
    }

    /// All tokens that may let somebody in.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'a Token> {
        self.own.into_iter().chain(self.tokens.iter().copied())
    }
}

impl Project {
    pub(crate) fn new(platform: &'static dyn Platform, setup: Setup) -> Project {
        Project {
            platform,
            pinned: setup.settings.text("tenant").map(str::to_owned),
            api: Api::new(setup.transport, setup.name.clone(), setup.credential),
            connection: setup.name,
            clock: setup.clock,
            tenant: OnceCell::new(),
            turns: Turns::default(),
        }
    }

    /// The project's own id; an error where it is another than the pinned one.
    pub(crate) async fn check(&self) -> Result<&String> {
        let ask = || async {
            self.api.project().await?.ok_or_else(|| Error::Refused {
                what: "GET admin/init".into(),
                refusal: Refusal::Invalid,
                message: "this project has no id: set strapi.uuid in its package.json, any UUID of its own, \
                          and start it anew"
                    .into(),
            })
        };
        let found = self.tenant.get_or_try_init(ask).await?;
        match &self.pinned {
            Some(pinned) if pinned != found => Err(Error::Tenant {
                connection: self.connection.clone(),
                expected: pinned.clone(),
                found: found.clone(),
            }),
            _ => Ok(found),
        }
    }

    pub(crate) async fn all(&self, freshness: Freshness) -> Result<Arc<Vec<Token>>> {
        self.check().await?;
        self.api.tokens(freshness == Freshness::Shared).await
    }

    /// What there is of one integration.
    pub(crate) fn find<'a>(all: &'a [Token], key: &str) -> Option<Found<'a>> {
        let its = |one: &&Token| is_of(one, key);
        Found::of(&all.iter().filter(its).collect::<Vec<_>>())
    }

    /// What there must be, in the incarnation that is meant.
    pub(crate) fn existing<'a>(all: &'a [Token], object: &ObjectRef) -> Result<Found<'a>> {
        let found = Project::find(all, &object.key).ok_or_else(|| no_such(&object.key))?;
        object.check_incarnation(&found.vendor_id())?;
        Ok(found)
    }

    pub(crate) fn observe(&self, key: &str, found: &Found<'_>, want: bool) -> ObservedIntegration {
        let now = self.clock.now();
        let live = found.all().filter(|one| one.expires_at.is_none_or(|end| end > now));
        let scopes: BTreeSet<GrantedScope> =
            live.flat_map(reach).map(GrantedScope::standing).collect();
        let builtin = found.own.is_some_and(|own| {
            let says = own.description.as_deref().unwrap_or_default();
            DEFAULTS.iter().any(|(name, about)| own.name == *name && says.starts_with(about))
        });
        ObservedIntegration {
            kind: CLIENT.to_owned(),
            key: key.to_owned(),
            vendor_id: found.vendor_id(),
            name: key.to_owned(),
            settings: Settings::default(),
            record: found.record.clone(),
            parked: scopes.is_empty(),
            scopes,
            enabled: true,
            contacts: None,
            builtin,
            credentials: want.then(|| self.credentials_of(found)),
            gaps: Vec::new(),
        }
    }
}

/// Whether a token belongs to an integration. A name that only looks like ours is its own.
fn is_of(token: &Token, key: &str) -> bool {
    name::read(&token.name).of == key
}

#[async_trait]
impl Connector for Project {
    fn platform(&self) -> &'static dyn Platform {
        self.platform
    }

    async fn tenant(&self) -> Result<String> {
        self.check().await.cloned()
    }

    async fn check_credential(&self) -> Result<()> {
        self.all(Freshness::Shared).await.map(drop)
    }

    async fn list(&self, want: Want) -> Result<Observation> {
        let requested_at = self.clock.now();
        let all = self.all(want.freshness).await?;
        let mut by_name: BTreeMap<&str, Vec<&Token>> = BTreeMap::new();
        for one in all.iter() {
            by_name.entry(name::read(&one.name).of).or_default().push(one);
        }
        let integrations = by_name.iter().filter_map(|(key, tokens)| {
            Some(self.observe(key, &Found::of(tokens)?, want.credentials))
        });
        Ok(Observation {
            tenant: self.check().await?.clone(),
            requested_at,
            integrations: integrations.collect(),
            gaps: Vec::new(),
        })
    }

    async fn read(&self, object: &ObjectRef, want: Want) -> Result<Option<ObservedIntegration>> {
        let all = self.all(want.freshness).await?;
        let Some(found) = Project::find(&all, &object.key) else { return Ok(None) };
        object.check_incarnation(&found.vendor_id())?;
        Ok(Some(self.observe(&object.key, &found, want.credentials)))
    }

    async fn create(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        self.make(new).await
    }

    async fn modify(&self, object: &ObjectRef, change: &Change) -> Result<ObservedIntegration> {
        self.apply(object, change).await
    }

    async fn delete(&self, object: &ObjectRef) -> Result<Ended> {
        self.unmake(object).await
    }

    async fn credentials(&self, object: &ObjectRef) -> Result<CredentialListing> {
        let requested_at = self.clock.now();
        let all = self.all(Freshness::Fresh).await?;
        let found = Project::existing(&all, object)?;
        let credentials = self.credentials_of(&found);
        Ok(CredentialListing { credentials, complete: true, shows_all_of: &[], requested_at })
    }

    async fn notes(&self) -> Vec<String> {
        vec![
            "Where the project has an encryption key (admin.secrets.encryptionKey, as new projects have), \
             Strapi shows the secret of each API token to whoever may read API tokens: let few."
                .to_owned(),
            "By that, an own token that somebody regenerates by hand is seen; without an encryption key it looks \
             as before, and only its users notice. A strapi_token is another token each time."
                .to_owned(),
        ]
    }

    async fn capabilities(&self, kind: &Kind) -> Result<Capabilities> {
        Ok(kind.capabilities)
    }

    /// Strapi writes it down at most once an hour.
    fn last_use_lag(&self, _: &str) -> Option<domain::Span> {
        Some(domain::Span::from_secs(2 * 3600))
    }

    async fn promises(&self, credential_type: &str) -> Result<Vec<Promise>> {
        let profiles: &'static [connector::Profile] = match credential_type {
            TOKEN => &ADDING,
            OWN_TOKEN => &REPLACING,
            _ => &[],
        };
        Ok(profiles.iter().map(|profile| Promise { profile, because: None }).collect())
    }

    fn choose_secret(&self, _: &str, _: &Settings, _: &str) -> Result<Secret> {
        connector::port::unsupported("strapi", "take a token that we chose")
    }

    async fn issue(&self, object: &ObjectRef, request: IssueRequest<'_>) -> Result<Issued> {
        self.issue_token(object, request).await
    }

    /// Of the own token alone: the secret of a further one changes with the token.
    async fn shown(&self, object: &ObjectRef, key: &str) -> Result<Option<Secret>> {
        let all = self.all(Freshness::Shared).await?;
        let found = Project::existing(&all, object)?;
        let own = found.own.zip(found.own_secret());
        match own.filter(|(own, made)| key_id(own, *made) == key) {
            Some((own, _)) => self.api.shown(own.id).await,
            None => Ok(None),
        }
    }

    async fn find(&self, _: &ObjectRef, _: &str, _: &Secret) -> Result<Option<ObservedCredential>> {
        // The server tells nobody which token a secret is of.
        Ok(None)
    }

    async fn end(&self, object: &ObjectRef, key_id: &str) -> Result<Ended> {
        self.end_token(object, key_id).await
    }

    async fn sweep(&self, _: &ObjectRef, _: Option<&str>) -> Result<Children> {
        // A token mints nothing.
        Ok(Children::None)
    }

    async fn probe(&self, _: &ObjectRef, _: &str, secret: &Secret) -> Result<Probe> {
        self.use_token(secret).await
    }

    fn random_like(&self, _: &str, secret: &Secret) -> Result<Secret> {
        crate::token::random_like(secret)
    }
}
