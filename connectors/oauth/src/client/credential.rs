//! Credentials of a client: keys of ours beside each other, or the one client secret.

use std::collections::BTreeSet;

use connector::{
    Ended, Error, IssueRequest, Issued, ObjectRef, Promise, Refusal, Result, port::unsupported,
};
use domain::{Marker, ObservedCredential, Secret, Settings};
use serde_json::{Map, Value, json};

use super::{Clients, THE_SECRET, change::give_grants, found::Found, refuse, unexpected};
use crate::{
    key,
    keyring::{Called, Secrets, digest},
    tables::{
        ADD_OURS, ALGORITHMS, CLIENT, CLIENT_SECRET, FIRST_ONLY, KEY_PROFILES, METHODS,
        PRIVATE_KEY, REISSUES, REPLACE_ONCE, SECRET_PROFILES,
    },
};

impl Clients {
    pub(super) async fn ways(&self, credential_type: &str) -> Result<Vec<Promise>> {
        let metadata = self.metadata().await?;
        let methods = &metadata.token_endpoint_auth_methods_supported;
        let signing = &metadata.token_endpoint_auth_signing_alg_values_supported;
        const ONE_FOR_EVER: &str =
            "the connection does not say reissues = true, which is for servers that make another";
        let (first, because) = match credential_type {
            PRIVATE_KEY if takes(methods, &["private_key_jwt"]) && takes(signing, &ALGORITHMS) => {
                (ADD_OURS, None)
            }
            CLIENT_SECRET if takes(methods, &METHODS) && self.reissues => (REPLACE_ONCE, None),
            CLIENT_SECRET if takes(methods, &METHODS) => (FIRST_ONLY, Some(ONE_FOR_EVER)),
            _ => return Ok(Vec::new()),
        };
        let published = KEY_PROFILES.iter().chain(&SECRET_PROFILES);
        let used = published.filter(|profile| profile.name == first);
        Ok(used.map(|profile| Promise { profile, because }).collect())
    }

    pub(super) async fn issue_credential(
        &self,
        object: &ObjectRef,
        request: IssueRequest<'_>,
    ) -> Result<Issued> {
        if request.expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(refuse("issue", Refusal::Invalid, "a credential cannot end in the past"));
        }
        let _turn = self.turns.take(&object.key).await;
        let mut found = self.existing(object).await?;
        let mut members = found.there.members.clone();
        let issued = |key_id: &str, secret: Option<Secret>, already_there| Issued {
            key_id: key_id.to_owned(),
            secret,
            issued_at: None,
            expires_at: None,
            already_there,
        };
        match (request.profile, request.secret) {
            (ADD_OURS, Some(secret)) => {
                let jwk = key::public(secret, request.marker)?;
                let mut keys = found.there.keys();
                if let Some(there) = keys.iter().find(|one| key::same(one, &jwk)) {
                    return Ok(issued(&key::id_of(there), None, true));
                }
                self.has_room(&found, PRIVATE_KEY)?;
                let signing =
                    &self.metadata().await?.token_endpoint_auth_signing_alg_values_supported;
                needs("oauth_private_key.algorithm", signing, key::algorithm(secret)?)?;
                let id = key::id_of(&jwk);
                keys.push(jwk);
                members.insert("token_endpoint_auth_method".into(), json!("private_key_jwt"));
                give_keys(&mut members, keys);
                self.put(&mut found, members).await?;
                match found.there.keys().iter().any(|one| key::id_of(one) == id) {
                    true => Ok(issued(&id, None, false)),
                    false => {
                        Err(unexpected("issue", "the server took the key and does not show it"))
                    }
                }
            }
            (FIRST_ONLY, None) => {
                // An answer was lost: the registration still shows what was made.
                if found.there.method().starts_with("client_secret")
                    && let Some(secret) = found.secret()
                {
                    self.never_again(&mut found, &secret).await?;
                    return Ok(issued(&found.secret_id(), Some(secret), true));
                }
                self.has_room(&found, CLIENT_SECRET)?;
                if found.there.method() != "none" {
                    return Err(Error::Unsupported {
                        platform: "oauth",
                        what: "issue a second client secret: the server keeps the first for ever. Replace \
                               the integration, or use a private key",
                    });
                }
                let method = self.method_taken(request.settings).await?;
                self.give_secret(&mut found, method).await?;
                let Some(secret) = found.secret() else {
                    return Err(unexpected("issue", "the server made no client secret"));
                };
                self.never_again(&mut found, &secret).await?;
                Ok(issued(&found.secret_id(), Some(secret), false))
            }
            (REPLACE_ONCE, None) => {
                let already_there = self.another_secret(&mut found, &request).await?;
                Ok(issued(&found.secret_id(), found.secret(), already_there))
            }
            _ => unsupported("oauth", "issue in this way"),
        }
    }

    /// Lets a client sign in with a secret that the server makes.
    async fn give_secret(&self, found: &mut Found, method: &str) -> Result<()> {
        let mut members = found.there.members.clone();
        members.insert("token_endpoint_auth_method".into(), json!(method));
        if found.entry.wanted.ended.is_empty() || found.there.method() != "none" {
            return self.put(found, members).await;
        }
        // Nobody gets a token with what comes now before it is seen to be another.
        give_grants(&mut members, BTreeSet::new());
        self.put_as(found, members).await
    }

    /// Has the server make another secret in the place of the one that is there. Whether an earlier call
    /// for the same generation had done so: its answer was lost, and the registration shows what it made.
    async fn another_secret(&self, found: &mut Found, request: &IssueRequest<'_>) -> Result<bool> {
        let made_for = generation_in(request.marker);
        let uses_secret = found.there.method().starts_with("client_secret");
        let before = found.secret();
        let secrets = found.entry.wanted.secrets_by(before.as_ref());
        if uses_secret && before.is_some() && secrets.made_for == made_for {
            self.note_secrets(found).await?;
            return Ok(true);
        }
        if !uses_secret {
            self.has_room(found, CLIENT_SECRET)?;
            if found.there.method() != "none" {
                let message = format!(
                    "the client signs in by {:?}, and a client has one way to sign in",
                    found.there.method()
                );
                return Err(refuse("issue", Refusal::Conflict, message));
            }
        }
        let method = self.method_taken(request.settings).await?;
        let first = secrets.number == 0 && before.is_none() && found.entry.wanted.ended.is_empty();
        let number = if first { 1 } else { secrets.number.max(1) + 1 };
        let called =
            Called { number, made_for, before: before.as_ref().map(digest).unwrap_or_default() };
        found.entry.wanted.secrets = Secrets { called: Some(called), ..secrets };
        found.renews = true;
        self.give_secret(found, method).await?;
        if !is_made(found) && found.there.method() != "none" {
            // It makes none for what is left out. Some do for a way to sign in that comes back.
            let mut members = found.there.members.clone();
            members.insert("token_endpoint_auth_method".into(), json!("none"));
            self.put(found, members).await?;
            found.renews = true;
            self.give_secret(found, method).await?;
        }
        found.renews = false;
        if !is_made(found) {
            return Err(self.none_made(found).await?);
        }
        self.note_secrets(found).await?;
        if let Some(secret) = found.secret() {
            self.never_again(found, &secret).await?;
        }
        Ok(false)
    }

    /// Writes which secret is there, once that is seen.
    async fn note_secrets(&self, found: &mut Found) -> Result<()> {
        let secrets = found.entry.wanted.secrets_by(found.secret().as_ref());
        if secrets == found.entry.wanted.secrets {
            return Ok(());
        }
        found.entry.wanted.secrets = secrets;
        let tenant = &self.metadata().await?.issuer;
        self.keyring()?.keep(tenant, &mut found.entry).await
    }

    /// The server was asked for another secret in every way that there is, and has the one before.
    async fn none_made(&self, found: &mut Found) -> Result<Error> {
        found.entry.wanted.secrets.called = None;
        match found.secret() {
            // What was ended is ended once more.
            Some(secret) => self.never_again(found, &secret).await?,
            None => return Ok(unexpected("issue", "the server made no client secret")),
        }
        let tenant = &self.metadata().await?.issuer;
        self.keyring()?.keep(tenant, &mut found.entry).await?;
        Ok(refuse(
            "issue",
            Refusal::Invalid,
            format!(
                "connections.{}.oauth.{REISSUES} says that the server makes another client secret, and it \
                 makes none: neither for an update without the secret, nor for a way to sign in that is \
                 taken away and given back. The one that is there works on. Take {REISSUES} out of the \
                 connection, and use oauth_private_key = {{}} where it is to rotate",
                self.connection
            ),
        ))
    }

    /// How the client is to send its secret, where the server takes that.
    async fn method_taken<'a>(&self, settings: &'a Settings) -> Result<&'a str> {
        let method = method_of(settings);
        let methods = &self.metadata().await?.token_endpoint_auth_methods_supported;
        needs("oauth_client_secret.method", methods, method)?;
        Ok(method)
    }

    /// That nothing which lives keeps another credential of this type from living.
    fn has_room(&self, found: &Found, wanted: &str) -> Result<()> {
        for one in found.credentials() {
            let (there, key_id) = (&one.credential_type, Some(one.key_id.as_str()));
            if let Some(obstacle) = self.platform.in_the_way(CLIENT, wanted, there, key_id) {
                let message = format!("{}: {}", obstacle.why, obstacle.next);
                return Err(refuse("issue", Refusal::Conflict, message));
            }
        }
        Ok(())
    }

    /// Servers keep a client's secret when its way to sign in is taken away, and give the same one
    /// with the next. What was ended stays so; anything else opens the client.
    async fn never_again(&self, found: &mut Found, secret: &Secret) -> Result<()> {
        if found.entry.wanted.ended.is_empty() {
            return Ok(());
        }
        let mut members = found.there.members.clone();
        if !found.entry.wanted.ended.contains(&digest(secret)) {
            return self.put(found, members).await;
        }
        members.insert("token_endpoint_auth_method".into(), json!("none"));
        self.put(found, members).await.map_err(|error| error.after_change("issue"))?;
        Err(Error::GivenAgain {
            what: format!("{CLIENT} {:?}", found.entry.client_id),
            message: "the server keeps a client's secret for ever: asked for another, it gave the one that \
                      was ended, which is ended once more"
                .into(),
            next: "choose oauth_private_key = {} for the nhi_credential, or replace the integration: terraform \
                   apply -replace with the address of its nhi_integration registers another client"
                .into(),
        })
    }

    pub(super) async fn find_credential(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>> {
        let found = self.seen(object).await?;
        let id = match credential_type {
            PRIVATE_KEY => {
                let jwk = key::public(secret, "")?;
                found.there.keys().iter().find(|one| key::same(one, &jwk)).map(key::id_of)
            }
            _ => (found.secret().as_ref() == Some(secret)).then(|| found.secret_id()),
        };
        let all = found.credentials();
        Ok(id.and_then(|id| all.into_iter().find(|one| one.key_id == id)))
    }

    pub(super) async fn end_credential(&self, object: &ObjectRef, key_id: &str) -> Result<Ended> {
        let _turn = self.turns.take(&object.key).await;
        let Some(mut found) = self.found(object).await? else { return Ok(Ended::AlreadyGone) };
        if !found.credentials().iter().any(|one| one.key_id == key_id) {
            return Ok(Ended::AlreadyGone);
        }
        let mut members = found.there.members.clone();
        let mut keys = found.there.keys();
        keys.retain(|one| key::id_of(one) != key_id);
        if found.there.text("jwks_uri") == Some(key_id) {
            members.remove("jwks_uri");
        }
        let is_secret = key_id.starts_with(THE_SECRET);
        if is_secret {
            let secrets = found.entry.wanted.secrets_by(found.secret().as_ref());
            let made_for = String::new();
            found.entry.wanted.secrets = Secrets { made_for, called: None, ..secrets };
            found.entry.wanted.ended.extend(found.secret().as_ref().map(digest));
        }
        if is_secret || keys.is_empty() {
            members.insert("token_endpoint_auth_method".into(), json!("none"));
            keys.clear();
        }
        give_keys(&mut members, keys);
        self.put(&mut found, members).await?;
        match found.credentials().iter().any(|one| one.key_id == key_id) {
            false => Ok(Ended::Now),
            true => Err(unexpected("end", "the server took the change and still shows it")),
        }
    }

    /// Another way to send the secret that is there.
    pub(super) async fn adjust_credential(
        &self,
        object: &ObjectRef,
        key_id: &str,
        settings: &Settings,
    ) -> Result<()> {
        if !key_id.starts_with(THE_SECRET) {
            return Ok(());
        }
        let method = method_of(settings);
        let _turn = self.turns.take(&object.key).await;
        let mut found = self.existing(object).await?;
        if found.there.method() == method || !found.there.method().starts_with("client_secret") {
            return Ok(());
        }
        let method = self.method_taken(settings).await?;
        let mut members = found.there.members.clone();
        members.insert("token_endpoint_auth_method".into(), json!(method));
        self.put(&mut found, members).await?;
        match found.there.method() {
            now if now == method => Ok(()),
            now => Err(unexpected(
                "adjust",
                format!("the server took the change and the client's way to sign in is {now:?}"),
            )),
        }
    }
}

/// Which generation of which slot a marker is of, whoever is at work on it.
fn generation_in(marker: &str) -> String {
    match Marker::parse(marker) {
        Some(marker) => format!("{}-{}-g{}", marker.realm, marker.slot, marker.generation),
        None => marker.to_owned(),
    }
}

/// Whether the secret that is there is another than stood before it was called for.
fn is_made(found: &Found) -> bool {
    found.entry.wanted.secrets_by(found.secret().as_ref()).called.is_none()
}

fn method_of(settings: &Settings) -> &str {
    settings.text("method").unwrap_or(METHODS[0])
}

/// Whether a server takes one of these. One that does not say is asked.
fn takes(all: &Option<Vec<String>>, wanted: &[&str]) -> bool {
    all.as_ref().is_none_or(|all| all.iter().any(|one| wanted.contains(&one.as_str())))
}

fn needs(setting: &str, all: &Option<Vec<String>>, wanted: &str) -> Result<()> {
    if takes(all, &[wanted]) {
        return Ok(());
    }
    Err(refuse(
        setting,
        Refusal::Invalid,
        format!(
            "the server does not take {wanted:?}. It takes: {}",
            all.as_deref().unwrap_or_default().join(", ")
        ),
    ))
}

/// Writes the keys, and what they sign with where that is one thing: two of two kinds stand beside
/// each other while one follows the other.
fn give_keys(members: &mut Map<String, Value>, keys: Vec<Map<String, Value>>) {
    const SIGNING: &str = "token_endpoint_auth_signing_alg";
    let signing: BTreeSet<Option<&str>> =
        keys.iter().map(|key| key.get("alg").and_then(Value::as_str)).collect();
    match signing.into_iter().collect::<Vec<_>>()[..] {
        [Some(one)] => members.insert(SIGNING.into(), json!(one)),
        _ => members.remove(SIGNING),
    };
    if keys.is_empty() {
        members.remove("jwks");
        return;
    }
    let keys: Vec<Value> = keys.into_iter().map(Value::Object).collect();
    members.insert("jwks".into(), json!({ "keys": keys }));
}
