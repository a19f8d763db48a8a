//! Signing a client in, to prove what works and what does not.

use connector::{
    Error, ObjectRef, Probe, Result,
    transport::{Answer, Effect, Request},
};
use domain::Secret;
use ring::rand::{SecureRandom, SystemRandom};

use super::{Clients, found::Found};
use crate::{
    api::{Metadata, code, form, parse, refused},
    key,
    keyring::Phase,
    tables::{CLIENT_SECRET, PRIVATE_KEY},
};

/// What a server gives to whoever signs in.
#[derive(serde::Deserialize)]
pub(super) struct Token {
    pub(super) access_token: String,
    #[serde(default)]
    pub(super) expires_in: Option<i64>,
}

impl Found {
    /// A key under the id that it has there; a secret in the way that the client is registered for.
    pub(super) fn signs_in_by(&self, credential_type: &str, secret: &Secret) -> Result<String> {
        if credential_type != PRIVATE_KEY {
            return Ok(self.there.method().to_owned());
        }
        let jwk = key::public(secret, "")?;
        let keys = self.there.keys();
        let there = keys.iter().find(|one| key::same(one, &jwk));
        Ok(there.map_or_else(|| "unknown".to_owned(), key::kid_of))
    }
}

impl Clients {
    pub(super) async fn try_secret(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
    ) -> Result<Probe> {
        let found = self.seen(object).await?;
        let scope = found.there.text("scope").and_then(|text| text.split(' ').next());
        let how = found.signs_in_by(credential_type, secret)?;
        let (what, answer) =
            self.token_request(object, credential_type, secret, scope, &how).await?;
        match (answer.status, code(&answer.body)) {
            (200, _) => {}
            // Closed for want of a scope, or with other grant types only, the client gets no token of
            // this kind whoever asks. Where one that nobody issued is refused in another way, this one
            // did sign in (RFC 6749 §5.2).
            (400 | 401, Some(said))
                if said != "invalid_client"
                    && found.entry.wanted.enabled
                    && !found.there.grants().contains("client_credentials") =>
            {
                let random = random_like(credential_type, secret)?;
                let (_, control) =
                    self.token_request(object, credential_type, &random, scope, &how).await?;
                return Ok(match code(&control.body) {
                    Some(other) if other != said => {
                        Probe::Accepted { residual: None, scopes: None }
                    }
                    _ => Probe::Refused { class: format!("{} {said}", answer.status) },
                });
            }
            (
                400 | 401,
                Some(
                    said @ ("invalid_client"
                    | "unauthorized_client"
                    | "invalid_grant"
                    | "invalid_request"),
                ),
            ) => {
                return Ok(Probe::Refused { class: format!("{} {said}", answer.status) });
            }
            // It signed in, and asked for what it may not have.
            (400, Some("invalid_scope")) => {
                return Ok(Probe::Accepted { residual: None, scopes: None });
            }
            _ => return Err(refused(&what, &answer, false)),
        }
        let token: Token = parse(&what, &answer.body)?;
        let minted = Secret::new(token.access_token);
        let seconds = token.expires_in.unwrap_or(3600);
        let mut residual =
            self.clock.now().checked_add(jiff::SignedDuration::from_secs(seconds)).ok();
        if self.revoke(object, credential_type, secret, &how, &minted).await.unwrap_or(false) {
            residual = None;
        }
        if let Some(life) = token.expires_in {
            // What is lost with it is a statement about the time after an end.
            let _ = self.remember_life(object, life).await;
        }
        Ok(Probe::Accepted { residual, scopes: None })
    }

    pub(super) async fn token_request(
        &self,
        found: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
        scopes: Option<&str>,
        how: &str,
    ) -> Result<(String, Answer)> {
        let metadata = self.metadata().await?;
        let mut request =
            Request::change("POST", metadata.token_endpoint.clone(), "token endpoint");
        request.effect = Effect::SignIn;
        request.fresh_connection = true;
        let what = request.what();
        let mut fields = vec![("grant_type", "client_credentials")];
        fields.extend(scopes.map(|scopes| ("scope", scopes)));
        let request =
            self.authenticate(metadata, request, &fields, found, credential_type, secret, how)?;
        Ok((what, self.send(request).await?))
    }

    /// Ends a token that a sign-in minted. Whether it is over: a server that is asked afterwards and
    /// still calls it active has only said so.
    pub(super) async fn revoke(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
        how: &str,
        minted: &Secret,
    ) -> Result<bool> {
        let metadata = self.metadata().await?;
        let Some(endpoint) = &metadata.revocation_endpoint else { return Ok(false) };
        let ask = |endpoint: &String, template| {
            let request = Request {
                effect: Effect::SignIn,
                ..Request::change("POST", endpoint.clone(), template)
            };
            let fields = [("token", minted.expose()), ("token_type_hint", "access_token")];
            self.authenticate(metadata, request, &fields, object, credential_type, secret, how)
        };
        let revoked = self.send(ask(endpoint, "revocation endpoint")?).await?;
        if !(200..300).contains(&revoked.status) {
            return Ok(false);
        }
        let Some(endpoint) = &metadata.introspection_endpoint else { return Ok(true) };
        #[derive(serde::Deserialize)]
        struct Known {
            active: bool,
        }
        // A client that may not ask (RFC 7662 leaves it to the server) learns nothing against it.
        let asked = self.send(ask(endpoint, "introspection endpoint")?).await;
        let known = asked.ok().filter(|answer| answer.status == 200);
        let known = known.and_then(|answer| parse::<Known>("introspection", &answer.body).ok());
        Ok(!known.is_some_and(|known| known.active))
    }

    /// Remembers how long tokens of a client live, for what remains of those of others.
    pub(super) async fn remember_life(&self, object: &ObjectRef, life: i64) -> Result<()> {
        let _turn = self.turns.take(&object.key).await;
        match self.entry(object).await? {
            Some(mut entry)
                if entry.token_life != Some(life)
                    && entry.phase != Phase::Deleted
                    && entry.by_hand.is_none() =>
            {
                entry.token_life = Some(life);
                let tenant = &self.metadata().await?.issuer;
                self.keyring()?.write(tenant, &mut entry).await
            }
            _ => Ok(()),
        }
    }

    /// Adds a client's own authentication to a form.
    #[expect(clippy::too_many_arguments, reason = "whom, how, with what, and for what")]
    fn authenticate(
        &self,
        metadata: &Metadata,
        mut request: Request,
        fields: &[(&str, &str)],
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
        how: &str,
    ) -> Result<Request> {
        if credential_type == CLIENT_SECRET {
            if how == "client_secret_post" {
                let ours = [("client_id", object.key.as_str()), ("client_secret", secret.expose())];
                request.body = Some(form(&[fields, &ours].concat()));
                return Ok(request);
            }
            request.body = Some(form(fields));
            return Ok(request.header("Authorization", basic(&object.key, secret)));
        }
        // The issuer names the server whichever endpoint is asked, written as the server writes it.
        let signed = key::assertion(secret, how, &object.key, &metadata.issuer, self.clock.now())?;
        let mut fields = fields.to_vec();
        fields.push(("client_id", &object.key));
        fields.push((
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ));
        fields.push(("client_assertion", signed.expose()));
        request.body = Some(form(&fields));
        Ok(request)
    }
}

/// RFC 6749 §2.3.1: both parts form-encoded before they are joined.
fn basic(client_id: &str, secret: &Secret) -> Secret {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &percent_encoding::AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    let encode = |text: &str| utf8_percent_encode(text, KEPT).to_string();
    let pair =
        zeroize::Zeroizing::new(format!("{}:{}", encode(client_id), encode(secret.expose())));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

/// A secret of the same look that nobody issued.
pub(super) fn random_like(credential_type: &str, secret: &Secret) -> Result<Secret> {
    if credential_type == PRIVATE_KEY {
        return key::generate(key::algorithm(secret)?);
    }
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let random = SystemRandom::new();
    let mut text = String::with_capacity(secret.expose().len());
    for c in secret.expose().chars() {
        if !c.is_ascii_alphanumeric() {
            text.push(c);
            continue;
        }
        let mut bytes = [0u8; 8];
        random
            .fill(&mut bytes)
            .map_err(|_| Error::Configuration("this machine gives no random numbers".into()))?;
        let at = u64::from_le_bytes(bytes) % LETTERS.len() as u64;
        text.push(char::from(LETTERS[usize::try_from(at).unwrap_or(0)]));
    }
    Ok(Secret::new(text))
}
