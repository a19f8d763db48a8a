//! Credentials: further tokens, issued with a marker in their name, or the integration's own,
//! regenerated; listed, used, ended.
//!
//! Nothing that the server shows of a token tells which secret is in force. So when that of an own token
//! was made is written beside it, before the call that makes it: after a cut the listing names a secret
//! that nobody has, and never one that is dead as if it lived.

use connector::{Ended, Error, IssueRequest, Issued, ObjectRef, Outcome, Probe, Refusal, Result};
use domain::{LastUsed, ObservedCredential, Secret, Settings};
use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use crate::{
    api::{Held, Said, Token, refused},
    name::{self, Beside},
    note::Ours,
    project::{Found, Project, key_id, no_such, unexpected},
    scope::CUSTOM,
    tables::{ADD_MARKED, OWN_TOKEN, REPLACE_ONCE, TOKEN},
};

/// A further token's key id.
fn id_of(token: &Token) -> String {
    key_id(token, token.created_at.as_millisecond())
}

impl Project {
    /// An integration's credentials, the oldest first.
    pub(crate) fn credentials_of(&self, found: &Found<'_>) -> Vec<ObservedCredential> {
        let now = self.clock.now();
        let one = |token: &Token, credential_type: &str, made: i64| {
            let issued_at = Timestamp::from_millisecond(made).ok();
            // What is told of a token is told of all secrets that it ever had.
            let used = token.last_used_at.filter(|at| issued_at.is_none_or(|made| *at >= made));
            ObservedCredential {
                key_id: key_id(token, made),
                credential_type: credential_type.to_owned(),
                marker: match name::read(&token.name).beside {
                    Beside::Marker(marker) => Some(marker.to_owned()),
                    _ => None,
                },
                issued_at,
                expires_at: token.expires_at,
                last_used: used.map_or(LastUsed::Unknown, LastUsed::At),
                live: token.expires_at.is_none_or(|end| end > now),
                disabled: false,
                settings: Settings::default(),
            }
        };
        let own = found.own.zip(found.own_secret());
        let own = own.map(|(token, made)| one(token, OWN_TOKEN, made));
        let further = found.tokens.iter().map(|token| {
            let made = token.created_at.as_millisecond();
            one(token, TOKEN, made)
        });
        let mut all: Vec<_> = own.into_iter().chain(further).collect();
        all.sort_by(|a, b| (a.issued_at, &a.key_id).cmp(&(b.issued_at, &b.key_id)));
        all
    }

    pub(crate) async fn issue_token(
        &self,
        object: &ObjectRef,
        request: IssueRequest<'_>,
    ) -> Result<Issued> {
        if request.secret.is_some() || request.expires_at.is_some() {
            return connector::port::unsupported("strapi", "issue in this way");
        }
        let _turn = self.turns.take(&object.key).await;
        let all = self.all(connector::Freshness::Fresh).await?;
        let found = Project::existing(&all, object)?;
        let own = found.own.ok_or_else(|| no_such(&object.key))?;
        match (request.credential_type, request.profile) {
            (TOKEN, ADD_MARKED) => self.add(object, own, request.marker).await,
            (OWN_TOKEN, REPLACE_ONCE) => self.regenerate(&found, own).await,
            _ => connector::port::unsupported("strapi", "issue in this way"),
        }
    }

    /// A further token, which may do what the own one may.
    async fn add(&self, object: &ObjectRef, own: &Token, marker: &str) -> Result<Issued> {
        let mut token = json!({
            "name": name::marked(&object.key, marker),
            "description": "",
            "type": own.kind,
            "lifespan": null,
        });
        if own.kind == CUSTOM {
            token["permissions"] = json!(own.permissions);
        }
        let made = self.api.make(&token).await?;
        let Held(secret) = made.access_key;
        let same = |a: &[String]| {
            a.len() == own.permissions.len() && own.permissions.iter().all(|one| a.contains(one))
        };
        if made.token.kind != own.kind || (own.kind == CUSTOM && !same(&made.token.permissions)) {
            return Err(unexpected(
                "POST admin/api-tokens",
                "the token may do something else than was asked for",
            )
            .after_change("issue"));
        }
        Ok(Issued {
            key_id: id_of(&made.token),
            secret: Some(secret),
            issued_at: Some(made.token.created_at),
            expires_at: made.token.expires_at,
            already_there: false,
        })
    }

    /// Another secret for the own token.
    async fn regenerate(&self, found: &Found<'_>, own: &Token) -> Result<Issued> {
        let now = self.clock.now();
        if own.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::Refused {
                what: "POST admin/api-tokens/{id}/regenerate".into(),
                refusal: Refusal::Invalid,
                message: "the integration's own token has ended, and another secret does not move its end: \
                          use strapi_token = {}"
                    .into(),
            });
        }
        let before = found.note.ours.clone();
        // Two that are made in one moment are told apart all the same.
        let made = now.as_millisecond().max(found.own_secret().map_or(0, |last| last + 1));
        let known = before.clone().unwrap_or_default();
        self.write_note(found, own, Some(Ours { secret: Some(made), ..known })).await?;
        let secret = match self.api.regenerate(own.id).await {
            Ok(secret) => secret,
            Err(error) => {
                // Nothing was made, and the one before is in force: that is what the listing is to say.
                if error.outcome() != Outcome::Ambiguous {
                    let _ = self.write_note(found, own, before).await;
                }
                return Err(error);
            }
        };
        Ok(Issued {
            key_id: key_id(own, made),
            secret: Some(secret),
            issued_at: Timestamp::from_millisecond(made).ok(),
            expires_at: own.expires_at,
            already_there: false,
        })
    }

    /// Ends one credential: a further token is deleted, the own one gets a secret that nobody keeps.
    pub(crate) async fn end_token(&self, object: &ObjectRef, key: &str) -> Result<Ended> {
        let _turn = self.turns.take(&object.key).await;
        let all = self.all(connector::Freshness::Fresh).await?;
        let found = Project::existing(&all, object)?;
        if let Some(one) = found.tokens.iter().find(|one| id_of(one) == key) {
            return Ok(match self.api.delete(one.id).await? {
                true => Ended::Now,
                false => Ended::AlreadyGone,
            });
        }
        let own = found.own.zip(found.own_secret());
        let Some((own, _)) = own.filter(|(own, made)| key_id(own, *made) == key) else {
            return Ok(Ended::AlreadyGone);
        };
        drop(self.api.regenerate(own.id).await?);
        let known = found.note.ours.clone().unwrap_or_default();
        // Until this is written the listing shows a credential that is refused: it is ended once more.
        self.write_note(&found, own, Some(Ours { secret: None, ..known }))
            .await
            .map_err(|error| error.after_change("end"))?;
        Ok(Ended::Now)
    }

    /// Asks as an application would. What a token may not do is answered otherwise than what nobody has.
    pub(crate) async fn use_token(&self, secret: &Secret) -> Result<Probe> {
        self.check().await?;
        let answer = self.api.ask(secret).await?;
        match (answer.status, Said::read(&answer)) {
            (200, _) | (403, Said::Powerless) => {
                Ok(Probe::Accepted { residual: None, scopes: None })
            }
            (401, Said::Unknown) => Ok(Probe::Refused { class: "401 unknown".into() }),
            (401, Said::Ended) => Ok(Probe::Refused { class: "401 ended".into() }),
            _ => Err(refused("GET api/upload/files", &answer, false)),
        }
    }
}

/// Another text of the same shape: each digit and letter is another hexadecimal digit.
pub(crate) fn random_like(secret: &Secret) -> Result<Secret> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut bytes = vec![0u8; secret.expose().chars().count()];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Configuration("this machine gives no random numbers".into()))?;
    let text = bytes.iter().map(|byte| char::from(DIGITS[usize::from(byte & 15)]));
    Ok(Secret::new(text.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_token_has_the_shape_of_a_real_one_and_another_secret() {
        for real in ["a0".repeat(128), "7f".repeat(32)] {
            let random = random_like(&Secret::new(real.as_str())).unwrap();
            assert_eq!(random.expose().len(), real.len());
            assert!(random.expose().bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert_ne!(random.expose(), real);
        }
    }
}
