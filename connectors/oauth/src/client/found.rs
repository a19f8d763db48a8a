//! A client as it was read: what the server shows joined with what its document wants.

use std::collections::BTreeSet;

use domain::{
    GrantedScope, LastUsed, ObservedCredential, ObservedIntegration, Record, Scope, Secret,
    Settings, settings::Setting,
};
use serde_json::Value;

use super::{THE_SECRET, lifetime};
use crate::{
    api::Registration,
    key,
    keyring::{Entry, Wanted},
    scope,
    tables::{CLIENT, CLIENT_SECRET, PRIVATE_KEY},
};

/// A client as it was read, with its document.
pub(super) struct Found {
    pub(super) entry: Entry,
    /// What the document wanted when it was read.
    pub(super) stood: Wanted,
    pub(super) there: Registration,
    /// The next change leaves the secret out, so that the server makes another.
    pub(super) renews: bool,
    /// The member in which this server takes how long tokens live.
    pub(super) lifetime: Option<String>,
}

/// Whom a server shows as a client's contacts: its owners.
pub(super) fn contacts(record: &Record) -> BTreeSet<String> {
    let owners = [&record.business_owner, &record.technical_owner];
    owners.into_iter().flatten().filter_map(|owner| owner.email.clone()).collect()
}

impl Found {
    pub(super) fn new(entry: Entry, there: Registration, lifetime: Option<String>) -> Found {
        Found { stood: entry.wanted.clone(), entry, there, renews: false, lifetime }
    }

    /// The client secret as far as it is known.
    pub(super) fn secret(&self) -> Option<Secret> {
        let known = self.there.secret.as_ref().or(self.entry.secret.as_ref());
        known.map(Secret::duplicate)
    }

    /// The key id of the client secret: the first is called by no number.
    pub(super) fn secret_id(&self) -> String {
        match self.entry.wanted.secrets_by(self.secret().as_ref()).number {
            0 | 1 => THE_SECRET.to_owned(),
            number => format!("{THE_SECRET}.{number}"),
        }
    }

    /// Neither a way to sign in nor one to get a token.
    pub(super) fn is_bare(&self) -> bool {
        self.there.method() == "none" && self.there.grants().is_empty()
    }

    pub(super) fn has_credential(&self) -> bool {
        match self.there.method() {
            "none" => false,
            "private_key_jwt" => {
                !self.there.keys().is_empty() || self.there.text("jwks_uri").is_some()
            }
            _ => true,
        }
    }

    fn scopes(&self) -> BTreeSet<GrantedScope> {
        match self.there.text("scope") {
            Some(text) => text
                .split(' ')
                .filter(|one| !one.is_empty())
                .map(|one| GrantedScope::standing(Scope::canonical(one)))
                .collect(),
            // No scope named and a way to get a token: the server sets no limit.
            None if !self.there.grants().is_empty() => {
                BTreeSet::from([GrantedScope::standing(Scope::canonical(scope::UNLIMITED))])
            }
            None => BTreeSet::new(),
        }
    }

    pub(super) fn credentials(&self) -> Vec<ObservedCredential> {
        let one =
            |key_id: String, credential_type: &str, marker: Option<String>, said: Settings| {
                ObservedCredential {
                    key_id,
                    credential_type: credential_type.to_owned(),
                    marker,
                    issued_at: None,
                    expires_at: None,
                    last_used: LastUsed::Unknown,
                    live: true,
                    disabled: false,
                    settings: said,
                }
            };
        let mut all: Vec<_> = self
            .there
            .keys()
            .iter()
            .map(|jwk| {
                let id = key::id_of(jwk);
                let marker = key::marker_of(jwk);
                let signs = jwk.get("alg").and_then(Value::as_str);
                let said = signs.map_or_else(Settings::default, |signs| {
                    Settings::default().with("algorithm", Setting::Text(signs.to_owned()))
                });
                one(id, PRIVATE_KEY, marker, said)
            })
            .collect();
        // What is behind it is its owner's business; that it opens the client is ours.
        if let Some(address) = self.there.text("jwks_uri") {
            all.push(one(address.to_owned(), PRIVATE_KEY, None, Settings::default()));
        }
        if self.there.method().starts_with("client_secret") {
            let method = Setting::Text(self.there.method().to_owned());
            let said = Settings::default().with("method", method);
            all.push(one(self.secret_id(), CLIENT_SECRET, None, said));
        }
        all.sort_by(|a, b| a.key_id.cmp(&b.key_id));
        all
    }

    /// Contacts that are shown and are not those of the record: a server may show none at all.
    fn contacts(&self) -> Option<BTreeSet<String>> {
        let shown: BTreeSet<String> = self.there.texts("contacts").into_iter().collect();
        let differ = !shown.is_empty() && shown != contacts(&self.entry.wanted.record);
        differ.then_some(shown)
    }

    pub(super) fn observed(&self) -> ObservedIntegration {
        let live = self.there.grants();
        let scopes = self.scopes();
        let should_be_open = self.has_credential() && !scopes.is_empty();
        // Closed for want of scopes or a credential, the wanted grant types are in the keyring.
        let grants = if live.is_empty() { self.entry.wanted.grants.clone() } else { live.clone() };
        let mut settings = Settings::default().with("grant_types", Setting::Texts(grants));
        for name in ["redirect_uris", "post_logout_redirect_uris"] {
            let uris = self.there.texts(name);
            if !uris.is_empty() {
                settings = settings.with(name, Setting::Texts(uris.into_iter().collect()));
            }
        }
        if let Some(lives) = lifetime::shown(&self.there.members, self.lifetime.as_deref()) {
            settings = settings.with("token_lifetime", lives);
        }
        ObservedIntegration {
            kind: CLIENT.to_owned(),
            key: self.entry.client_id.clone(),
            vendor_id: self.entry.client_id.clone(),
            name: self.there.text("client_name").unwrap_or(&self.entry.name).to_owned(),
            settings,
            record: self.entry.by_hand.is_none().then(|| self.entry.wanted.record.clone()),
            enabled: if should_be_open { !live.is_empty() } else { self.entry.wanted.enabled },
            parked: !should_be_open,
            scopes,
            contacts: self.contacts(),
            builtin: false,
            credentials: Some(self.credentials()),
            gaps: Vec::new(),
        }
    }
}
