//! What there is: tokens, by the name that they share.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use connector::{
    Capabilities, Change, Children, Clock, Connector, CredentialListing, Ended, Error, Freshness,
    IssueRequest, Issued, Kind, NewIntegration, ObjectRef, Ourselves, Platform, Probe, Promise,
    Refusal, Result, Setup, Turns, Want,
};
use domain::{
    GrantedScope, Observation, ObservedCredential, ObservedIntegration, Record, Secret, Settings,
};
use tokio::sync::OnceCell;

use crate::{
    api::{Api, Me, Token, Tokens},
    name::{self, Beside},
    reach,
    tables::{CLIENT, PROFILES, TOKEN},
    token::{key_id, kind_of, observed},
};

/// A server through one connection.
#[derive(Debug)]
pub(crate) struct Server {
    platform: &'static dyn Platform,
    pub(crate) api: Api,
    pub(crate) clock: Arc<dyn Clock>,
    connection: String,
    pinned: Option<String>,
    tenant: OnceCell<String>,
    me: OnceCell<Me>,
    ourselves: OnceCell<Option<Ourselves>>,
    /// One at a time for each name.
    pub(crate) turns: Turns,
}

/// What is read of one integration: all tokens of its name.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// This making of it.
    pub(crate) vendor_id: String,
    pub(crate) record: Option<Record>,
    /// Its credentials.
    tokens: Vec<&'a Token>,
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

/// Which of two records of an integration counts: the last one that was written.
fn rank<S>(token: &Token<S>) -> (jiff::Timestamp, &str) {
    (token.created_at, token.token_name.as_str())
}

impl<'a> Found<'a> {
    /// What these tokens, which share a name, say of their integration.
    fn of(tokens: &[&'a Token]) -> Option<Found<'a>> {
        let oldest = tokens.iter().copied().min_by_key(|one| rank(one))?;
        let records = tokens.iter().filter_map(|one| match name::read(&one.token_name).beside {
            Beside::Record { incarnation, text } => Some((rank(one), incarnation, text)),
            _ => None,
        });
        // Whoever began first made it; what was written last is its record.
        let first = records.clone().min_by_key(|(rank, ..)| *rank);
        let (vendor_id, record) = match first {
            Some((_, made, _)) => {
                let of_it = records.filter(|(_, incarnation, _)| *incarnation == made);
                let last = of_it.max_by_key(|(rank, ..)| *rank);
                (made.to_owned(), last.and_then(|(.., text)| Record::from_json(text).ok()))
            }
            None => (format!("t{}", oldest.created_at.as_millisecond()), None),
        };
        Some(Found { vendor_id, record, tokens: tokens.to_vec() })
    }
}

impl Server {
    pub(crate) fn new(platform: &'static dyn Platform, setup: Setup) -> Server {
        Server {
            platform,
            pinned: setup.settings.text("tenant").map(str::to_owned),
            api: Api::new(setup.transport, setup.name.clone(), setup.credential),
            connection: setup.name,
            clock: setup.clock,
            tenant: OnceCell::new(),
            me: OnceCell::new(),
            ourselves: OnceCell::new(),
            turns: Turns::default(),
        }
    }

    /// The server's own id; an error where it is another than the pinned one.
    pub(crate) async fn instance(&self) -> Result<&String> {
        let found = self
            .tenant
            .get_or_try_init(|| async { self.api.instance().await.map(|one| one.instance_id) })
            .await?;
        match &self.pinned {
            Some(pinned) if pinned != found => Err(Error::Tenant {
                connection: self.connection.clone(),
                expected: pinned.clone(),
                found: found.clone(),
            }),
            _ => Ok(found),
        }
    }

    /// That it is the server which is meant, and that our own token sees all tokens there.
    pub(crate) async fn check(&self) -> Result<()> {
        self.instance().await?;
        let me = self.me.get_or_try_init(|| self.api.me()).await?;
        if ["CLIENT", "FRONTEND"].iter().all(|of| me.may("READ", of)) {
            return Ok(());
        }
        Err(Error::Refused {
            what: "GET admin/api-tokens".into(),
            refusal: Refusal::Forbidden,
            message: "the connection's own token needs READ_CLIENT_API_TOKEN and READ_FRONTEND_API_TOKEN on \
                      the whole server: what it does not see looks as if it were not there"
                .into(),
        })
    }

    pub(crate) async fn all(&self, freshness: Freshness) -> Result<Arc<Tokens>> {
        self.check().await?;
        self.api.tokens(freshness == Freshness::Shared).await
    }

    /// What there is of one integration.
    pub(crate) fn find<'a>(all: &'a Tokens, key: &str) -> Option<Found<'a>> {
        let is_its = |one: &&Token| name::read(&one.token_name).of == key;
        Found::of(&all.tokens.iter().filter(is_its).collect::<Vec<_>>())
    }

    /// What there must be, in the incarnation that is meant.
    pub(crate) fn existing<'a>(all: &'a Tokens, object: &ObjectRef) -> Result<Found<'a>> {
        let found = Server::find(all, &object.key).ok_or_else(|| no_such(&object.key))?;
        object.check_incarnation(&found.vendor_id)?;
        Ok(found)
    }

    /// Its credentials. A token that keeps a record is one as soon as it lets somebody in.
    fn credentials_of(&self, found: &Found<'_>) -> Vec<ObservedCredential> {
        let now = self.clock.now();
        let each = found.tokens.iter().map(|one| observed(one, now));
        let mut credentials: Vec<_> = each
            .zip(&found.tokens)
            .filter(|(seen, one)| {
                let keeps = matches!(name::read(&one.token_name).beside, Beside::Record { .. });
                seen.live || !keeps
            })
            .map(|(seen, _)| seen)
            .collect();
        credentials.sort_by(|a, b| (a.issued_at, &a.key_id).cmp(&(b.issued_at, &b.key_id)));
        credentials
    }

    pub(crate) fn observe(
        &self,
        key: &str,
        found: &Found<'_>,
        credentials: bool,
    ) -> ObservedIntegration {
        let now = self.clock.now();
        let live = found.tokens.iter().filter(|one| one.expires_at.is_none_or(|end| end > now));
        let scopes: std::collections::BTreeSet<GrantedScope> = live
            .flat_map(|one| reach::of(kind_of(one), &one.environment, &one.projects))
            .map(GrantedScope::standing)
            .collect();
        ObservedIntegration {
            kind: CLIENT.to_owned(),
            key: key.to_owned(),
            vendor_id: found.vendor_id.clone(),
            name: key.to_owned(),
            settings: Settings::default(),
            record: found.record.clone(),
            parked: scopes.is_empty(),
            scopes,
            enabled: true,
            contacts: None,
            builtin: false,
            credentials: credentials.then(|| self.credentials_of(found)),
            gaps: Vec::new(),
        }
    }
}

#[async_trait]
impl Connector for Server {
    fn platform(&self) -> &'static dyn Platform {
        self.platform
    }

    async fn tenant(&self) -> Result<String> {
        self.instance().await.cloned()
    }

    async fn check_credential(&self) -> Result<()> {
        self.all(Freshness::Shared).await.map(drop)
    }

    async fn list(&self, want: Want) -> Result<Observation> {
        let requested_at = self.clock.now();
        let all = self.all(want.freshness).await?;
        let mut by_name: BTreeMap<&str, Vec<&Token>> = BTreeMap::new();
        for one in &all.tokens {
            by_name.entry(name::read(&one.token_name).of).or_default().push(one);
        }
        let integrations = by_name.iter().filter_map(|(key, tokens)| {
            Some(self.observe(key, &Found::of(tokens)?, want.credentials))
        });
        Ok(Observation {
            tenant: self.instance().await?.clone(),
            requested_at,
            integrations: integrations.collect(),
            gaps: Vec::new(),
        })
    }

    async fn read(&self, object: &ObjectRef, want: Want) -> Result<Option<ObservedIntegration>> {
        let all = self.all(want.freshness).await?;
        let Some(found) = Server::find(&all, &object.key) else { return Ok(None) };
        object.check_incarnation(&found.vendor_id)?;
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
        let found = Server::existing(&all, object)?;
        let credentials = self.credentials_of(&found);
        Ok(CredentialListing { credentials, complete: true, shows_all_of: &[], requested_at })
    }

    async fn ourselves(&self) -> Result<Option<Ourselves>> {
        let ask = async || {
            self.check().await?;
            let Some(ours) = &self.api.token else { return Ok(None) };
            let all = self.api.secrets().await?;
            let found = all.iter().find(|one| one.secret.0.expose() == ours.expose().trim());
            Ok(found.map(|one| Ourselves {
                kind: CLIENT.to_owned(),
                key: name::read(&one.token_name).of.to_owned(),
                key_id: Some(key_id(one)),
            }))
        };
        self.ourselves.get_or_try_init(ask).await.cloned()
    }

    async fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "This platform shows the secret of every API token, in clear, to whoever may list them: whoever \
             may read there may sign in as every application. It is taken into custody from there by nobody; \
             let few read the list."
                .to_owned(),
            "A token that was ended is accepted for up to a minute more, until every node has read its \
             tokens anew: a proof of its end waits for that."
                .to_owned(),
        ];
        let Some(me) = self.me.get() else { return notes };
        for (what, to) in [("CREATE", "issue"), ("UPDATE", "set the end of"), ("DELETE", "end")] {
            for of in ["CLIENT", "FRONTEND"].iter().filter(|of| !me.may(what, of)) {
                notes
                    .push(format!("The token cannot {to} tokens: it lacks {what}_{of}_API_TOKEN."));
            }
        }
        notes
    }

    async fn capabilities(&self, kind: &Kind) -> Result<Capabilities> {
        Ok(kind.capabilities)
    }

    /// Unleash gathers them for some minutes.
    fn last_use_lag(&self, _: &str) -> Option<domain::Span> {
        Some(domain::Span::from_secs(600))
    }

    async fn promises(&self, credential_type: &str) -> Result<Vec<Promise>> {
        if credential_type != TOKEN {
            return Ok(Vec::new());
        }
        Ok(PROFILES.iter().map(|profile| Promise { profile, because: None }).collect())
    }

    fn choose_secret(&self, _: &str, _: &Settings, _: &str) -> Result<Secret> {
        connector::port::unsupported("unleash", "take a token that we chose")
    }

    async fn issue(&self, object: &ObjectRef, request: IssueRequest<'_>) -> Result<Issued> {
        self.issue_token(object, request).await
    }

    async fn find(
        &self,
        object: &ObjectRef,
        _: &str,
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>> {
        self.find_token(object, secret).await
    }

    async fn set_expiry(
        &self,
        object: &ObjectRef,
        key_id: &str,
        at: Option<jiff::Timestamp>,
    ) -> Result<()> {
        self.limit_token(object, key_id, at).await
    }

    async fn end(&self, object: &ObjectRef, key_id: &str) -> Result<Ended> {
        self.end_token(object, key_id).await
    }

    async fn sweep(&self, _: &ObjectRef, _: Option<&str>) -> Result<Children> {
        // A token mints nothing.
        Ok(Children::None)
    }

    async fn probe(&self, object: &ObjectRef, _: &str, secret: &Secret) -> Result<Probe> {
        self.use_token(object, secret).await
    }

    fn random_like(&self, _: &str, secret: &Secret) -> Result<Secret> {
        crate::token::random_like(secret)
    }
}
