//! Access for a while: a token of a client, got with its own credential and revoked with it.

use connector::{
    Access, AccessRequest, Ended, Error, ObjectRef, Refusal, Result, port::unsupported,
};
use domain::Secret;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::json;

use super::{Clients, refuse, sign_in::Token, unexpected};
use crate::{
    api::{code, parse, refused},
    tables::{CLIENT_SECRET, PRIVATE_KEY},
};

/// What ends a token: it, and whose it is. It is nowhere but in the memory of whoever has it open.
#[derive(Deserialize)]
struct Handle {
    token: String,
    credential_type: String,
    secret: String,
    how: String,
}

impl Clients {
    pub(super) async fn mint_access(
        &self,
        object: &ObjectRef,
        request: AccessRequest<'_>,
    ) -> Result<Access> {
        const WHAT: &str = "access";
        let Some((credential_type, secret)) = request.with else {
            return Err(refuse(
                WHAT,
                Refusal::Invalid,
                "the server gives a token to whoever signs in as the client, and to nobody else: say \
                 credential = nhi_credential.NAME beside integration",
            ));
        };
        let found = self.seen(object).await?;
        if !found.there.grants().contains("client_credentials") {
            return Err(refuse(
                WHAT,
                Refusal::Invalid,
                "the client gets no token by itself: it is switched off, or has no scope, or \
                 client_credentials is not among its grant_types",
            ));
        }
        let how = found.signs_in_by(credential_type, secret)?;
        let scopes = found.there.text("scope");
        let (what, answer) =
            self.token_request(object, credential_type, secret, scopes, &how).await?;
        if answer.status != 200 {
            return Err(match code(&answer.body) {
                Some(said) if matches!(answer.status, 400 | 401) => refuse(
                    &what,
                    Refusal::Invalid,
                    format!(
                        "status {}, {said}: nobody gets in with this credential",
                        answer.status
                    ),
                ),
                _ => refused(&what, &answer, false),
            });
        }
        let got: Token = parse(&what, &answer.body)?;
        let token = Secret::new(got.access_token);
        let lives =
            got.expires_in.filter(|lives| (1..=request.life.as_signed_secs()).contains(lives));
        let end = lives.map(SignedDuration::from_secs);
        let Some(expires_at) = end.and_then(|end| self.clock.now().checked_add(end).ok()) else {
            let revoked = self.revoke(object, credential_type, secret, &how, &token).await;
            let told = got.expires_in.map_or_else(
                || "the server does not say how long its tokens live".to_owned(),
                |lives| {
                    format!(
                        "the server's tokens live {lives}s, which is more than expires_in: ask for as much, \
                         or declare token_lifetime of the client where the server takes it"
                    )
                },
            );
            let left =
                if revoked.unwrap_or(false) { "" } else { ". This one could not be revoked" };
            return Err(refuse(&what, Refusal::Invalid, format!("{told}{left}")));
        };
        if let Some(life) = lives {
            // What is lost with it is a statement about the time after an end.
            let _ = self.remember_life(object, life).await;
        }
        let handle = json!({
            "token": token.expose(),
            "credential_type": credential_type,
            "secret": secret.expose(),
            "how": how,
        });
        Ok(Access { handle: Secret::new(handle.to_string()), token, expires_at })
    }

    /// Revokes it as its client (RFC 7009), and asks afterwards where the server tells.
    pub(super) async fn end_minted(&self, object: &ObjectRef, handle: &Secret) -> Result<Ended> {
        let handle: Handle = serde_json::from_str(handle.expose())
            .map_err(|_| Error::Configuration("this is not what ends a token".into()))?;
        if self.metadata().await?.revocation_endpoint.is_none() {
            return unsupported("oauth", "revoke a token: the server offers none (RFC 7009)");
        }
        let credential_type = match handle.credential_type.as_str() {
            PRIVATE_KEY => PRIVATE_KEY,
            _ => CLIENT_SECRET,
        };
        let (secret, token) = (Secret::new(handle.secret), Secret::new(handle.token));
        match self.revoke(object, credential_type, &secret, &handle.how, &token).await? {
            true => Ok(Ended::Now),
            false => Err(unexpected(
                "POST revocation endpoint",
                "the server does not take the revocation, or calls the token active after it",
            )),
        }
    }
}
