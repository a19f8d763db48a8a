//! Credentials of a client: keys of ours beside each other, or the one client secret.

use std::collections::BTreeSet;

use connector::{
    Ended, Error, IssueRequest, Issued, ObjectRef, Promise, Refusal, Result, port::unsupported,
};
use domain::{ObservedCredential, Secret, Settings};
use serde_json::{Map, Value, json};

use super::{Clients, THE_SECRET, change::give_grants, found::Found, refuse, unexpected};
use crate::{
    key,
    keyring::digest,
    tables::{
        ADD_OURS, ALGORITHMS, CLIENT, CLIENT_SECRET, FIRST_ONLY, KEY_PROFILES, METHODS,
        PRIVATE_KEY, SECRET_PROFILES,
    },
};

impl Clients {
    pub(super) async fn ways(&self, credential_type: &str) -> Result<Vec<Promise>> {
        let metadata = self.metadata().await?;
        let methods = &metadata.token_endpoint_auth_methods_supported;
        let signing = &metadata.token_endpoint_auth_signing_alg_values_supported;
        let profiles: &'static [connector::Profile] = match credential_type {
            PRIVATE_KEY if takes(methods, &["private_key_jwt"]) && takes(signing, &ALGORITHMS) => {
                &KEY_PROFILES
            }
            CLIENT_SECRET if takes(methods, &METHODS) => &SECRET_PROFILES,
            _ => &[],
        };
        Ok(profiles.iter().map(|profile| Promise { profile, because: None }).collect())
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
                    return Ok(issued(THE_SECRET, Some(secret), true));
                }
                self.has_room(&found, CLIENT_SECRET)?;
                if found.there.method() != "none" {
                    return Err(Error::Unsupported {
                        platform: "oauth",
                        what: "issue a second client secret: the server keeps the first for ever. Replace \
                               the integration, or use a private key",
                    });
                }
                let method = method_of(request.settings);
                let methods = &self.metadata().await?.token_endpoint_auth_methods_supported;
                needs("oauth_client_secret.method", methods, method)?;
                members.insert("token_endpoint_auth_method".into(), json!(method));
                match found.entry.wanted.ended.is_empty() {
                    true => self.put(&mut found, members).await?,
                    // Nobody gets a token with what comes now before it is seen to be another.
                    false => {
                        give_grants(&mut members, BTreeSet::new());
                        self.put_as(&mut found, members).await?;
                    }
                }
                let Some(secret) = found.secret() else {
                    return Err(unexpected("issue", "the server made no client secret"));
                };
                self.never_again(&mut found, &secret).await?;
                Ok(issued(THE_SECRET, Some(secret), false))
            }
            _ => unsupported("oauth", "issue in this way"),
        }
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
            _ => (found.secret().as_ref() == Some(secret)).then(|| THE_SECRET.to_owned()),
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
        if key_id == THE_SECRET {
            found.entry.wanted.ended.extend(found.secret().as_ref().map(digest));
        }
        if key_id == THE_SECRET || keys.is_empty() {
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
        if key_id != THE_SECRET {
            return Ok(());
        }
        let method = method_of(settings);
        let _turn = self.turns.take(&object.key).await;
        let mut found = self.existing(object).await?;
        if found.there.method() == method || !found.there.method().starts_with("client_secret") {
            return Ok(());
        }
        let methods = &self.metadata().await?.token_endpoint_auth_methods_supported;
        needs("oauth_client_secret.method", methods, method)?;
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
