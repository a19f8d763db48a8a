//! Clients as integrations: registered, read, changed as whole objects, their tokens kept.
//!
//! A file a deed; `found` is a client as it was read.

mod access;
mod change;
mod create;
mod credential;
mod delete;
mod found;
mod lifetime;
mod look;
mod metadata;
mod notes;
mod sign_in;

pub(crate) use metadata::origin;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use connector::{
    Access, AccessRequest, Change, Children, Clock, Connector, CredentialListing, Ended, Error,
    Freshness, IssueRequest, Issued, NewIntegration, ObjectRef, Obstacle, Platform, Probe, Promise,
    Refusal, Result, Setup, Turns, Want,
    port::unsupported,
    transport::{Answer, Request, Transport},
};
use domain::{Observation, ObservedCredential, ObservedIntegration, Secret, Settings};
use secrets::SinkError;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::{
    api::Metadata,
    key,
    keyring::{Entry, Keyring},
    tables::{ALGORITHMS, PRIVATE_KEY, REISSUES},
};

/// What the key id of a client secret begins with.
const THE_SECRET: &str = "client_secret";

/// Clients of one server.
#[derive(Debug)]
pub(crate) struct Clients {
    platform: &'static dyn Platform,
    /// The member in which this server takes how long tokens live.
    lifetime: Option<String>,
    /// It makes another client secret.
    reissues: bool,
    connection: String,
    address: String,
    initial: Option<Secret>,
    keyring: Option<Keyring>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    metadata: OnceCell<Metadata>,
    /// One at a time for each client: a change replaces the whole object and the token.
    turns: Turns,
}

fn unexpected(what: &str, message: impl Into<String>) -> Error {
    Error::UnexpectedAnswer { what: what.to_owned(), message: message.into() }
}

fn refuse(what: &str, refusal: Refusal, message: impl Into<String>) -> Error {
    Error::Refused { what: what.to_owned(), refusal, message: message.into() }
}

fn texts(all: impl IntoIterator<Item = String>) -> Value {
    Value::Array(all.into_iter().map(Value::String).collect())
}

fn setting(settings: &Settings, name: &str) -> BTreeSet<String> {
    settings.texts(name).cloned().unwrap_or_default()
}

fn bearer(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.expose().trim()))
}

impl Clients {
    /// What a connection's settings make.
    ///
    /// # Errors
    ///
    /// A setting is missing, or not usable.
    pub(crate) fn new(platform: &'static dyn Platform, setup: Setup) -> Result<Clients> {
        let Setup { name, settings, credential, transport, clock, keyring, .. } = setup;
        let address = settings.text("address").ok_or_else(|| {
            Error::Configuration(format!("connection {name:?}: oauth.address is not set"))
        })?;
        Ok(Clients {
            platform,
            lifetime: lifetime::member(&name, settings.text("token_lifetime_member"))?,
            reissues: settings.flag(REISSUES).unwrap_or(false),
            connection: name,
            address: address.to_owned(),
            initial: credential,
            keyring: keyring.map(|(sink, folder)| Keyring::new(sink, &folder)),
            transport,
            clock,
            metadata: OnceCell::new(),
            turns: Turns::default(),
        })
    }

    fn keyring(&self) -> Result<&Keyring> {
        self.keyring.as_ref().ok_or_else(|| {
            Error::Configuration(format!(
                "connection {:?} needs `custody`: the token that manages a client changes with every \
                 change and has to be kept. Where nhi.hcl had it, bring that line back; `nhi init` sets \
                 it up anew",
                self.connection
            ))
        })
    }

    async fn send(&self, request: Request) -> Result<Answer> {
        let what = request.what();
        self.transport.send(request).await.map_err(|error| error.of(what))
    }

    /// The document of the client that is meant.
    async fn entry(&self, object: &ObjectRef) -> Result<Option<Entry>> {
        let keyring = self.keyring()?;
        let tenant = &self.metadata().await?.issuer;
        match keyring.read(tenant, &object.key, &object.name).await {
            // What was never ours, or was lost, somebody may have written down.
            Ok(None) => keyring.by_hand(tenant, &object.key).await,
            Err(Error::Keyring(SinkError::Unfit { place, reason, .. })) => {
                match keyring.by_hand(tenant, &object.key).await? {
                    None => Err(self.unknown(&object.key, &format!("{place}: {reason}")).await?),
                    written => Ok(written),
                }
            }
            known => known,
        }
    }
}

#[async_trait]
impl Connector for Clients {
    fn platform(&self) -> &'static dyn Platform {
        self.platform
    }

    async fn tenant(&self) -> Result<String> {
        Ok(self.metadata().await?.issuer.clone())
    }

    async fn list(&self, _: Want) -> Result<Observation> {
        self.all_known().await
    }

    async fn read(&self, object: &ObjectRef, want: Want) -> Result<Option<ObservedIntegration>> {
        let _turn = self.turns.take(&object.key).await;
        let found = match want.freshness {
            Freshness::Shared => self.planned(object).await?,
            Freshness::Fresh => self.found(object).await?,
        };
        Ok(found.map(|found| found.observed()))
    }

    async fn create(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        self.register(new).await
    }

    async fn modify(&self, object: &ObjectRef, change: &Change) -> Result<ObservedIntegration> {
        self.change(object, change).await
    }

    async fn delete(&self, object: &ObjectRef) -> Result<Ended> {
        self.unregister(object).await
    }

    async fn credentials(&self, object: &ObjectRef) -> Result<CredentialListing> {
        let requested_at = self.clock.now();
        let found = self.seen(object).await?;
        Ok(CredentialListing {
            credentials: found.credentials(),
            complete: true,
            shows_all_of: &[],
            requested_at,
        })
    }

    async fn promises(&self, credential_type: &str) -> Result<Vec<Promise>> {
        self.ways(credential_type).await
    }

    fn choose_secret(&self, credential_type: &str, settings: &Settings, _: &str) -> Result<Secret> {
        match credential_type {
            PRIVATE_KEY => key::generate(settings.text("algorithm").unwrap_or(ALGORITHMS[0])),
            _ => unsupported("oauth", "take a client secret of ours"),
        }
    }

    fn unfit(&self, _: &str, settings: &Settings) -> Option<(&'static str, Obstacle)> {
        lifetime::unfit(self.lifetime.as_deref(), settings)
    }

    async fn issue(&self, object: &ObjectRef, request: IssueRequest<'_>) -> Result<Issued> {
        self.issue_credential(object, request).await
    }

    async fn adjust(&self, object: &ObjectRef, key_id: &str, settings: &Settings) -> Result<()> {
        self.adjust_credential(object, key_id, settings).await
    }

    async fn shown(&self, object: &ObjectRef, key_id: &str) -> Result<Option<Secret>> {
        if !key_id.starts_with(THE_SECRET) {
            return Ok(None);
        }
        let found = self.seen(object).await?;
        let uses_it = found.there.method().starts_with("client_secret");
        Ok(found.secret().filter(|_| uses_it && found.secret_id() == key_id))
    }

    async fn find(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>> {
        self.find_credential(object, credential_type, secret).await
    }

    async fn end(&self, object: &ObjectRef, key_id: &str) -> Result<Ended> {
        self.end_credential(object, key_id).await
    }

    async fn sweep(&self, object: &ObjectRef, _: Option<&str>) -> Result<Children> {
        // Tokens that others minted cannot be enumerated. How long one of ours was to live is known.
        let life = self.entry(object).await?.and_then(|entry| entry.token_life);
        let end = life.map(jiff::SignedDuration::from_secs);
        let end = end.and_then(|life| self.clock.now().checked_add(life).ok());
        Ok(end.map_or(Children::Unknown, |end| Children::Residual(Some(end))))
    }

    async fn probe(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
    ) -> Result<Probe> {
        self.try_secret(object, credential_type, secret).await
    }

    async fn mint(&self, object: &ObjectRef, request: AccessRequest<'_>) -> Result<Access> {
        self.mint_access(object, request).await
    }

    async fn end_access(&self, object: &ObjectRef, handle: &Secret) -> Result<Ended> {
        self.end_minted(object, handle).await
    }

    fn random_like(&self, credential_type: &str, secret: &Secret) -> Result<Secret> {
        sign_in::random_like(credential_type, secret)
    }

    async fn locked_out(&self) -> Result<Vec<(String, Error)>> {
        self.all_locked_out().await
    }

    async fn notes(&self) -> Vec<String> {
        self.weaknesses().await
    }
}
