//! Credentials: tokens, issued with a marker in their name, listed, used, ended.
//!
//! The server knows a token by its secret alone, which is no id for a state or a ledger. So a key id is
//! the moment of the token's making, with a digest of what is fixed of it and no secret: two tokens
//! that it does not tell apart were made by one name in one millisecond, and are ended by nobody of ours.

use connector::{
    Ended, Error, Freshness, IssueRequest, Issued, ObjectRef, Probe, Refusal, Result,
    transport::Answer,
};
use data_encoding::HEXLOWER;
use domain::{LastUsed, ObservedCredential, Secret, Settings, settings::Setting};
use jiff::Timestamp;
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use serde_json::json;

use crate::{
    api::{Flags, Held, Said, Toggles, Token, parse, refused},
    name::{self, Beside},
    reach,
    server::{Server, unexpected},
    tables::{ADD_MARKED, BACKEND, DEFAULT, DEVELOPMENT, ENVIRONMENT, PROJECTS, TOKEN, TYPE},
};

/// What a probe asks for: no flag has such a name, so that the answer is short.
const ASKS: &str = "api/client/features?namePrefix=nhi-asks-for-none";

/// The end of what has none, where the server takes an end alone.
const NEVER: &str = "9999-01-01T00:00:00.000Z";

/// When a token ends; `None` where it does not.
fn end_of<S>(token: &Token<S>) -> Option<Timestamp> {
    let never = NEVER.parse().unwrap_or(Timestamp::MAX);
    token.expires_at.filter(|end| *end < never)
}

/// The key id of a token.
pub(crate) fn key_id<S>(token: &Token<S>) -> String {
    // What it reaches is none of it: a project that goes is taken out of the token.
    let fixed = [&token.token_name, kind_of(token), &token.environment];
    let digest = digest(&SHA256, fixed.join("\0").as_bytes());
    let digest = digest.as_ref().get(..4).unwrap_or_default();
    format!("{}.{}", token.created_at.as_millisecond(), HEXLOWER.encode(digest))
}

/// A token's type: the listing calls one for backends by an earlier name.
pub(crate) fn kind_of<S>(token: &Token<S>) -> &str {
    if token.kind == "client" { BACKEND } else { &token.kind }
}

/// A token as a credential.
pub(crate) fn observed<S>(token: &Token<S>, now: Timestamp) -> ObservedCredential {
    let marker = match name::read(&token.token_name).beside {
        Beside::Marker(marker) => Some(marker.to_owned()),
        _ => None,
    };
    let text = |text: &str| Setting::Text(text.to_owned());
    ObservedCredential {
        key_id: key_id(token),
        credential_type: TOKEN.to_owned(),
        marker,
        issued_at: Some(token.created_at),
        expires_at: end_of(token),
        last_used: token.seen_at.map_or(LastUsed::Unknown, LastUsed::At),
        live: token.expires_at.is_none_or(|end| end > now),
        disabled: false,
        settings: Settings::default()
            .with(TYPE, text(kind_of(token)))
            .with(ENVIRONMENT, text(&token.environment))
            .with(PROJECTS, Setting::Texts(token.projects.iter().cloned().collect())),
    }
}

/// Whether a token is one of an integration's credentials of this id.
fn is<S>(token: &Token<S>, object: &ObjectRef, key: &str) -> bool {
    name::read(&token.token_name).of == object.key && key_id(token) == key
}

impl Server {
    pub(crate) async fn issue_token(
        &self,
        object: &ObjectRef,
        request: IssueRequest<'_>,
    ) -> Result<Issued> {
        if request.profile != ADD_MARKED || request.secret.is_some() {
            return connector::port::unsupported("unleash", "issue in this way");
        }
        if request.expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(Error::Configuration("a token cannot end in the past".into()));
        }
        let projects: Vec<&str> =
            request.settings.texts(PROJECTS).into_iter().flatten().map(String::as_str).collect();
        let projects = if projects.is_empty() { vec![DEFAULT] } else { projects };
        if projects.contains(&reach::ALL) && projects.len() > 1 {
            return Err(Error::Configuration(
                "\"*\" is all projects: no other one stands beside it".into(),
            ));
        }
        let all = self.all(Freshness::Fresh).await?;
        Server::existing(&all, object)?;
        let wanted = request.settings.text(TYPE).unwrap_or(BACKEND);
        let environment = request.settings.text(ENVIRONMENT).unwrap_or(DEVELOPMENT);
        let mut token = json!({
            "tokenName": name::marked(&object.key, request.marker),
            "type": wanted,
            "environment": environment,
            "projects": projects,
        });
        if let (Some(end), Some(token)) = (request.expires_at, token.as_object_mut()) {
            token.insert("expiresAt".into(), end.to_string().into());
        }
        let made = self.api.make(&token).await?;
        let Held(secret) = &made.secret;
        let same = |a: &[String]| {
            a.len() == projects.len() && projects.iter().all(|one| a.iter().any(|b| b == one))
        };
        if kind_of(&made) != wanted || made.environment != environment || !same(&made.projects) {
            return Err(unexpected(
                "POST admin/api-tokens",
                "the token reaches something else than was asked for",
            )
            .after_change("issue"));
        }
        Ok(Issued {
            key_id: key_id(&made),
            secret: Some(secret.duplicate()),
            issued_at: Some(made.created_at),
            expires_at: made.expires_at,
            already_there: false,
        })
    }

    pub(crate) async fn find_token(
        &self,
        object: &ObjectRef,
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>> {
        self.check().await?;
        let now = self.clock.now();
        let all = self.api.secrets().await?;
        let found = all
            .iter()
            .find(|one| one.secret.0 == *secret && name::read(&one.token_name).of == object.key);
        Ok(found.map(|one| observed(one, now)))
    }

    /// The secret of one token, by which alone the server takes a change of it.
    async fn secret_of(&self, object: &ObjectRef, key: &str) -> Result<Option<Secret>> {
        self.check().await?;
        let all = self.api.secrets().await?;
        let its: Vec<_> = all.iter().filter(|one| is(one, object, key)).collect();
        match its[..] {
            [] => Ok(None),
            [one] => Ok(Some(one.secret.0.duplicate())),
            _ => Err(Error::Refused {
                what: "DELETE admin/api-tokens/{secret}".into(),
                refusal: Refusal::Conflict,
                message: format!(
                    "{} tokens of one name were made in one moment, and cannot be told apart without \
                     their secrets: end the right one in Unleash",
                    its.len()
                ),
            }),
        }
    }

    /// Sets when one token ends, and sees that it does.
    pub(crate) async fn limit_token(
        &self,
        object: &ObjectRef,
        key: &str,
        at: Option<Timestamp>,
    ) -> Result<()> {
        let Some(secret) = self.secret_of(object, key).await? else {
            return Err(Error::Refused {
                what: "PUT admin/api-tokens/{secret}".into(),
                refusal: Refusal::NotFound,
                message: "there is no such token".into(),
            });
        };
        self.api
            .limit(&secret, &at.map_or_else(|| NEVER.to_owned(), |end| end.to_string()))
            .await?;
        let all = self.all(Freshness::Fresh).await.map_err(|error| error.after_change("limit"))?;
        // The server keeps thousandths of a second.
        let is_it = |end: Option<Timestamp>| {
            end.map(Timestamp::as_millisecond) == at.map(Timestamp::as_millisecond)
        };
        match all.tokens.iter().find(|one| is(one, object, key)) {
            Some(one) if !is_it(end_of(one)) => {
                Err(unexpected("limit", "the server said yes, and the token ends as before")
                    .after_change("limit"))
            }
            _ => Ok(()),
        }
    }

    /// Ends one token, and sees that it has gone: the server says yes to everything.
    pub(crate) async fn end_token(&self, object: &ObjectRef, key: &str) -> Result<Ended> {
        let Some(secret) = self.secret_of(object, key).await? else {
            return Ok(Ended::AlreadyGone);
        };
        self.api.end(&secret).await?;
        let left = self.all(Freshness::Fresh).await.map_err(|error| error.after_change("end"))?;
        if left.tokens.iter().any(|one| is(one, object, key)) {
            return Err(unexpected("end", "the server said yes, and the token is still there")
                .after_change("end"));
        }
        Ok(Ended::Now)
    }

    /// Asks what an application would ask, and is told where and about what.
    pub(crate) async fn use_token(&self, _: &ObjectRef, secret: &Secret) -> Result<Probe> {
        self.instance().await?;
        let answer = self.api.ask(secret, ASKS, "client/features").await?;
        let (answer, what) = match (answer.status, Said::read(&answer)) {
            (403, Said::OtherType) => {
                let what = "GET frontend";
                (self.api.ask(secret, "api/frontend", "frontend").await?, what)
            }
            _ => (answer, "GET client/features"),
        };
        match (answer.status, Said::read(&answer)) {
            (200, _) if what == "GET frontend" => {
                parse::<Toggles>(what, &answer.body)?;
                Ok(Probe::Accepted { residual: None, scopes: None })
            }
            (200, _) => {
                let Flags { query } = parse(what, &answer.body)?;
                let projects = query.project.unwrap_or_else(|| vec![reach::ALL.to_owned()]);
                let scopes = reach::of(BACKEND, &query.environment, &projects);
                let scopes = scopes.iter().map(ToString::to_string).collect();
                Ok(Probe::Accepted { residual: None, scopes: Some(scopes) })
            }
            (401, Said::NoToken) => Ok(Probe::Refused { class: class(&answer) }),
            _ => Err(refused(what, &answer, false)),
        }
    }
}

fn class(answer: &Answer) -> String {
    format!("{} no API token", answer.status)
}

/// Another text of the same shape: what stands before the last point is the same, and behind it each
/// digit and letter is another of its kind.
pub(crate) fn random_like(secret: &Secret) -> Result<Secret> {
    let random = SystemRandom::new();
    let whole = secret.expose();
    let (kept, hidden) =
        whole.rsplit_once('.').map_or(("", whole), |(kept, _)| whole.split_at(kept.len() + 1));
    // What a token of the later form begins with there is no part of its secret.
    let (form, hidden) = match hidden.strip_prefix("v2_") {
        Some(rest) => ("v2_", rest),
        None => ("", hidden),
    };
    let is_hex = hidden.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut text = String::with_capacity(whole.len());
    text.push_str(kept);
    text.push_str(form);
    for c in hidden.chars() {
        let choices: &[u8] = match c {
            '-' | '_' => {
                text.push(c);
                continue;
            }
            _ if is_hex => b"0123456789abcdef",
            _ => b"abcdefghijklmnopqrstuvwxyz0123456789",
        };
        let mut bytes = [0u8; 8];
        random
            .fill(&mut bytes)
            .map_err(|_| Error::Configuration("this machine gives no random numbers".into()))?;
        let at = usize::try_from(u64::from_le_bytes(bytes) % choices.len() as u64).unwrap_or(0);
        text.push(char::from(choices[at]));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_token_has_the_shape_of_a_real_one_and_another_secret() {
        for real in [
            format!("default:development.{}", "a0".repeat(28)),
            "[]:production.v2_Ab3-x_y".to_owned(),
            "hand-made".to_owned(),
        ] {
            let random = random_like(&Secret::new(real.as_str())).unwrap();
            let point = real.rfind('.').map_or(0, |at| at + 1);
            assert_eq!(random.expose().len(), real.len());
            assert_eq!(&random.expose()[..point], &real[..point]);
            assert_ne!(random.expose(), real);
        }
    }
}
