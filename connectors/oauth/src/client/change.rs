//! Changing a client: the whole object is replaced, and what is in force is read back.

use std::collections::BTreeSet;

use connector::{Change, Error, ObjectRef, Refusal, Result, port::unsupported, transport::Request};
use domain::{ObservedIntegration, settings::Setting};
use serde_json::{Map, Value, json};

use super::{
    Clients, bearer,
    found::{Found, contacts},
    lifetime, refuse, setting, texts, unexpected,
};
use crate::{
    api::{Registration, refused, standard},
    keyring::{Entry, Phase},
    scope,
    tables::CLIENT,
};

/// Members whose presence gives something, so that they must go when they are taken away.
const GIVES: [&str; 3] = ["scope", "jwks", "jwks_uri"];

impl Clients {
    pub(super) async fn change(
        &self,
        object: &ObjectRef,
        change: &Change,
    ) -> Result<ObservedIntegration> {
        let _turn = self.turns.take(&object.key).await;
        let mut found = self.existing(object).await?;
        let members = apply(&mut found, change)?;
        self.put(&mut found, members).await?;
        let now = found.observed();
        if let Some(settings) = &change.settings {
            lifetime::stands(settings, &now.settings)?;
        }
        let others = change.settings.iter().flat_map(|settings| &settings.0);
        for (name, value) in others.filter(|(name, _)| *name != "token_lifetime") {
            let none = matches!(value, Setting::Texts(all) if all.is_empty());
            let stands = now.settings.0.get(name);
            if stands != Some(value) && !(none && stands.is_none()) {
                return Err(unexpected(
                    "modify",
                    format!("the server took the change and {CLIENT}.{name} is {stands:?}"),
                ));
            }
        }
        if let Some(record) = &change.record {
            let tenant = &self.metadata().await?.issuer;
            let stands = {
                let Entry { client_id, name, .. } = &found.entry;
                self.keyring()?.read(tenant, client_id, name).await?
            };
            if stands.as_ref().map(|entry| &entry.wanted.record) != Some(record) {
                return Err(unexpected(
                    "modify",
                    "somebody else wrote the record at the same time",
                ));
            }
        }
        if let Some(scopes) = &change.scopes
            && *scopes != now.scopes
        {
            return Err(unexpected(
                "modify",
                format!(
                    "the server took the change and other scopes are in force: {:?}",
                    now.scopes.iter().map(|one| one.scope.as_str()).collect::<Vec<_>>()
                ),
            ));
        }
        if change.enabled.is_some_and(|enabled| enabled != now.enabled) {
            return Err(unexpected(
                "modify",
                "the server took the switch and it does not stand so",
            ));
        }
        Ok(now)
    }

    /// Brings the whole object to what is wanted and reads back what is in force. What was wanted and
    /// refused is wanted no more.
    pub(super) async fn put(
        &self,
        found: &mut Found,
        mut members: Map<String, Value>,
    ) -> Result<()> {
        close_or_open(&found.entry, &mut members);
        self.put_as(found, members).await
    }

    /// The same, with just these grant types.
    pub(super) async fn put_as(
        &self,
        found: &mut Found,
        members: Map<String, Value>,
    ) -> Result<()> {
        let tenant = self.metadata().await?.issuer.clone();
        let keyring = self.keyring()?.clone();
        if found.there.secret.is_some() {
            // The server shows it to whoever asks: a copy of ours is of no use.
            found.entry.secret = None;
        }
        let renews = found.renews;
        if members == found.there.members && !renews {
            found.entry.phase = Phase::Settled;
            return keyring.write(&tenant, &mut found.entry).await;
        }
        let before = found.secret().filter(|_| !renews);
        let done = self.bring(found, members).await;
        if done.as_ref().is_err_and(|error| error.refusal().is_some()) {
            found.entry.wanted = found.stood.clone();
            found.entry.phase = Phase::Settled;
            // If this is lost, the next change finds and repairs it.
            let _ = keyring.write(&tenant, &mut found.entry).await;
        }
        done?;
        found.stood = found.entry.wanted.clone();
        if !found.there.method().starts_with("client_secret") {
            if found.entry.secret.take().is_some() {
                keyring.write(&tenant, &mut found.entry).await?;
            }
            return Ok(());
        }
        match (before, found.secret()) {
            (Some(before), Some(after)) if before != after => Err(unexpected(
                "PUT client registration",
                format!(
                    "the server took the change of client {:?} and made another client secret: the one \
                     that was delivered does not work any more. The new one is not lost, and the next \
                     apply delivers it",
                    found.entry.client_id
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Says what is wanted in the ways that servers differ in, until it is in force.
    async fn bring(&self, found: &mut Found, mut members: Map<String, Value>) -> Result<()> {
        const WHAT: &str = "PUT client registration";
        let gone: Vec<&str> = GIVES
            .into_iter()
            .filter(|name| found.there.has(name) && !members.contains_key(*name))
            .collect();
        let known = standard(&members);
        match self.replace(found, &members).await {
            // It may be a server that refuses every member that it does not know.
            Err(error) if error.refusal() == Some(Refusal::Invalid) && known != members => {
                self.replace(found, &known).await?;
                members = known;
            }
            other => other?,
        }
        // What is left out is deleted (RFC 7592 §2.2); a server that merges wants to be told.
        for word in ["null", "empty"] {
            let left: Vec<&str> =
                gone.iter().copied().filter(|name| found.there.has(name)).collect();
            if left.is_empty() {
                break;
            }
            let mut told = members.clone();
            for name in left {
                let empty = if name == "jwks" { json!({ "keys": [] }) } else { json!("") };
                told.insert(name.into(), if word == "null" { Value::Null } else { empty });
            }
            match self.replace(found, &told).await {
                Err(error) if error.refusal() == Some(Refusal::Invalid) => {}
                other => other.map_err(|error| error.after_change(WHAT))?,
            }
        }
        if let Some(left) = gone.iter().find(|name| found.there.has(name)) {
            return Err(unexpected(
                WHAT,
                format!("the server took the change and keeps `{left}`, which was taken away"),
            ));
        }
        let wanted: BTreeSet<String> = members
            .get("grant_types")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let extra: Vec<String> = found.there.grants().difference(&wanted).cloned().collect();
        if !extra.is_empty() {
            return Err(unexpected(
                WHAT,
                format!(
                    "the server took the change and gives grant types that nobody asked for: {extra:?}"
                ),
            ));
        }
        Ok(())
    }

    /// Replaces the whole object once: the intent is durable before, a new token or secret right after,
    /// and then what is in force is asked anew, since some servers answer what was sent.
    async fn replace(&self, found: &mut Found, members: &Map<String, Value>) -> Result<()> {
        let tenant = self.metadata().await?.issuer.clone();
        let keyring = self.keyring()?.clone();
        let stood = std::mem::replace(&mut found.entry.phase, Phase::Changing);
        keyring.write(&tenant, &mut found.entry).await?;
        let mut request = Request::change("PUT", found.entry.uri.clone(), "client registration")
            .header("Authorization", bearer(&found.entry.token));
        request.body = Some(found.there.body(members, found.renews)?);
        let what = request.what();
        let answer = self.send(request).await?;
        let read = Registration::read(&what, &answer.body);
        let mut news = read.as_ref().is_ok_and(|now| Self::adopt(&mut found.entry, now));
        // It may be shown here and never again.
        let secret = read.as_ref().ok().and_then(|now| now.secret.as_ref());
        if let Some(secret) = secret.filter(|secret| found.secret().as_ref() != Some(*secret)) {
            found.entry.secret = Some(secret.duplicate());
            found.entry.wanted.secrets = found.entry.wanted.secrets_by(Some(secret));
            // One is enough.
            found.renews = false;
            news = true;
        }
        let accepted = (200..300).contains(&answer.status);
        if news || accepted {
            found.entry.phase = Phase::Settled;
            keyring.keep(&tenant, &mut found.entry).await?;
        }
        if !accepted {
            let names_scope = members.get("scope") != found.there.members.get("scope");
            return Err(match answer.status {
                401 => {
                    found.entry.phase = stood;
                    self.lost(&what, &found.entry).await?
                }
                403 if names_scope => refuse(
                    &what,
                    Refusal::Forbidden,
                    "status 403: the server does not let a registration name these scopes. Its \
                     administrator gives them, or lets registrations do so; the client can still be managed",
                ),
                _ => asking(refused(&what, &answer, true), &found.there.members, members),
            });
        }
        found.there =
            self.look(&mut found.entry).await.map_err(|error| error.after_change(&what))?;
        Ok(())
    }
}

/// A server does not say which member it refuses, or in words of its own: it is one of these.
fn asking(error: Error, before: &Map<String, Value>, after: &Map<String, Value>) -> Error {
    let Error::Refused { what, refusal: Refusal::Invalid, message } = error else { return error };
    let others = after.iter().filter(|(name, value)| before.get(*name) != Some(*value));
    let asked: Vec<String> = others
        .map(|(name, value)| match value {
            Value::Object(_) => name.clone(),
            value => format!("{name} = {value}"),
        })
        .collect();
    let message = format!("{message}; it was asked for {}", asked.join(", "));
    Error::Refused { what, refusal: Refusal::Invalid, message }
}

/// Grant types follow from what is there: some only with a scope, a credential and the switch on.
pub(super) fn close_or_open(entry: &Entry, members: &mut Map<String, Value>) {
    let method =
        members.get("token_endpoint_auth_method").and_then(Value::as_str).unwrap_or_default();
    let keys = members.get("jwks").and_then(|jwks| jwks.get("keys")).and_then(Value::as_array);
    let credential = match method {
        "none" => false,
        "private_key_jwt" => {
            keys.is_some_and(|keys| !keys.is_empty()) || members.contains_key("jwks_uri")
        }
        _ => true,
    };
    let scoped =
        members.get("scope").and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty());
    let open = credential && (scoped || entry.wanted.unlimited) && entry.wanted.enabled;
    give_grants(members, if open { entry.wanted.grants.clone() } else { BTreeSet::new() });
}

/// Writes grant types, and what follows from them.
pub(super) fn give_grants(members: &mut Map<String, Value>, grants: BTreeSet<String>) {
    let code = grants.contains("authorization_code");
    members.insert("response_types".into(), texts(code.then(|| "code".to_owned())));
    members.insert("grant_types".into(), texts(grants));
}

pub(super) fn apply(found: &mut Found, change: &Change) -> Result<Map<String, Value>> {
    let mut members = found.there.members.clone();
    if let Some(name) = &change.name {
        members.insert("client_name".to_owned(), Value::String(name.clone()));
    }
    if let Some(settings) = &change.settings {
        found.entry.wanted.grants = setting(settings, "grant_types");
        for name in ["redirect_uris", "post_logout_redirect_uris"] {
            members.insert(name.to_owned(), texts(setting(settings, name)));
        }
        lifetime::wish(&mut members, found.lifetime.as_deref(), settings)?;
    }
    if let Some(record) = &change.record {
        let (before, after) = (contacts(&found.entry.wanted.record), contacts(record));
        // A server that keeps none is told once, and not with every change.
        if before != after || found.there.has("contacts") {
            members.insert("contacts".to_owned(), texts(after));
        }
        found.entry.wanted.record = record.clone();
    }
    if let Some(enabled) = change.enabled {
        found.entry.wanted.enabled = enabled;
    }
    if let Some(scopes) = &change.scopes {
        found.entry.wanted.unlimited = false;
        if scopes.iter().any(|one| one.until.is_some()) {
            return unsupported("oauth", "end a scope by itself");
        }
        if scopes.iter().any(|one| one.scope.as_str() == scope::UNLIMITED) {
            return Err(refuse(
                "modify",
                Refusal::Invalid,
                "\"*\" is never granted, only taken away",
            ));
        }
        let text: Vec<&str> = scopes.iter().map(|one| one.scope.as_str()).collect();
        match text.is_empty() {
            // Servers refuse an empty text; without grant types its absence gives nothing.
            true => members.remove("scope"),
            false => members.insert("scope".into(), Value::String(text.join(" "))),
        };
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_name_changes_the_client_that_is_there() {
        let body = br#"{"client_id":"c1","client_name":"old","grant_types":[]}"#;
        let there = Registration::read("a test", body).unwrap();
        let entry = Entry::new("old", BTreeSet::new(), domain::Record::default());
        let mut found = Found::new(entry, there, None);
        let change = Change { name: Some("new".into()), ..Change::default() };
        let members = apply(&mut found, &change).unwrap();
        assert_eq!((&members["client_name"], &members["client_id"]), (&json!("new"), &json!("c1")));
        // The document stays where it is; a client is found by its id from then on.
        assert_eq!(found.entry.name, "old");
    }

    #[test]
    fn a_client_is_open_only_with_scope_credential_and_switch() {
        let grants: BTreeSet<String> = ["client_credentials".to_owned()].into();
        let mut entry = Entry::new("x", grants, domain::Record::default());
        let open = |entry: &Entry, scope: Option<&str>, method: &str| {
            let mut members = Map::new();
            members.insert("token_endpoint_auth_method".into(), json!(method));
            if let Some(scope) = scope {
                members.insert("scope".into(), json!(scope));
            }
            close_or_open(entry, &mut members);
            members["grant_types"] != json!([])
        };
        assert!(open(&entry, Some("a"), "client_secret_basic"));
        assert!(!open(&entry, None, "client_secret_basic"));
        assert!(!open(&entry, Some("a"), "none"));
        assert!(!open(&entry, Some("a"), "private_key_jwt"), "no key");
        entry.wanted.enabled = false;
        assert!(!open(&entry, Some("a"), "client_secret_basic"));
    }
}
