//! Our own sign-in: a token as it is, or an AppRole of our own that mints one.

use std::sync::Arc;

use connector::{
    Clock, Error, Refusal, Result,
    transport::{Effect, Request},
};
use domain::Secret;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::api::{Api, Envelope, json, parse, refused, told};

/// Where a sign-in's answer, and a token, say of which role it is.
pub(crate) const ROLE: &str = "role_name";

/// Where our token comes from.
#[derive(Debug)]
pub(crate) struct Token {
    source: Source,
    clock: Arc<dyn Clock>,
    minted: Mutex<Minted>,
}

#[derive(Debug)]
enum Source {
    /// No credential is configured, or its source is not set.
    Missing { connection: String },
    /// A token.
    Given(Secret),
    /// A role of our own.
    AppRole { mount: String, role_id: String, secret_id: Secret },
}

#[derive(Debug)]
enum Minted {
    None,
    Live {
        token: Secret,
        until: Option<Timestamp>,
        /// How many seconds it lives.
        life: u64,
        /// The role's name, where the server tells.
        role: Option<String>,
    },
    /// Refused once: not tried again by this process, since refusals lock the role.
    Refused,
}

#[derive(Serialize)]
struct Login<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

impl Token {
    pub(crate) fn new(
        connection: &str,
        credential: Option<Secret>,
        credential_id: Option<String>,
        mount: &str,
        clock: Arc<dyn Clock>,
    ) -> Token {
        let source = match (credential, credential_id) {
            (Some(secret_id), Some(role_id)) => {
                Source::AppRole { mount: mount.to_owned(), role_id, secret_id }
            }
            // A file that ends in a newline is the usual way to hold a token.
            (Some(token), None) => Source::Given(Secret::new(token.expose().trim())),
            (None, _) => Source::Missing { connection: connection.to_owned() },
        };
        Token { source, clock, minted: Mutex::new(Minted::None) }
    }

    /// The token to send.
    pub(crate) async fn get(&self, api: &Api) -> Result<Secret> {
        let (mount, role_id, secret_id) = match &self.source {
            Source::Given(token) => return Ok(token.duplicate()),
            Source::Missing { connection } => {
                return Err(Error::Configuration(format!(
                    "connection {connection:?} has no credential: set the environment variable or \
                     the file that its `credential` names"
                )));
            }
            Source::AppRole { mount, role_id, secret_id } => (mount, role_id, secret_id),
        };
        let mut minted = self.minted.lock().await;
        match &*minted {
            Minted::Live { token, until, .. }
                if until.is_none_or(|until| self.clock.now() < until) =>
            {
                return Ok(token.duplicate());
            }
            Minted::Refused => return Err(refused_before()),
            _ => {}
        }
        let mut request = Request::change(
            "POST",
            format!("v1/auth/{}/login", crate::api::encode(mount)),
            "auth/{mount}/login",
        );
        request.effect = Effect::SignIn;
        request.body =
            Some(json(&Login { role_id: role_id.trim(), secret_id: secret_id.expose().trim() })?);
        let what = told(&request);
        let answer = api.send_anonymous(request).await?;
        if answer.status != 200 {
            let error = refused(&what, &answer, false);
            if (400..500).contains(&answer.status) && answer.status != 429 {
                *minted = Minted::Refused;
                return Err(locks(error));
            }
            return Err(error);
        }
        let auth = parse::<Envelope<serde::de::IgnoredAny>>(&what, &answer.body)?.auth.ok_or_else(
            || Error::UnexpectedAnswer {
                what: what.clone(),
                message: "a sign-in without a token".to_owned(),
            },
        )?;
        // Signed in anew well before the end: a change must not meet its token's last second.
        let life = auth.lease_duration;
        let until = (life > 0).then(|| {
            let use_for = SignedDuration::from_secs((life - life / 5).min(86_400) as i64);
            self.clock.now().checked_add(use_for).unwrap_or(Timestamp::MAX)
        });
        let (token, role) = (auth.client_token, auth.metadata.get(ROLE).cloned());
        *minted = Minted::Live { token: token.duplicate(), until, life, role };
        Ok(token)
    }
}

impl Token {
    /// The mount and the name of the role that a sign-in of our own is one of, and its secret id;
    /// `None` where there is no such sign-in, or the server tells no name.
    pub(crate) async fn role(&self, api: &Api) -> Result<Option<(&str, String, &Secret)>> {
        let Source::AppRole { mount, secret_id, .. } = &self.source else { return Ok(None) };
        self.get(api).await?;
        match &*self.minted.lock().await {
            Minted::Live { role, .. } => {
                Ok(role.clone().map(|role| (mount.as_str(), role, secret_id)))
            }
            Minted::None | Minted::Refused => Ok(None),
        }
    }

    /// How many seconds the token lives that a sign-in of our own minted; `None` where there was none.
    pub(crate) async fn life(&self) -> Option<u64> {
        match &*self.minted.lock().await {
            Minted::Live { life, .. } => Some(*life),
            Minted::None | Minted::Refused => None,
        }
    }
}

/// What a refused sign-in costs, which nobody expects.
const LOCKS: &str = "each run tries once, and five refused sign-ins lock our own role for every secret id, \
                     the good one included (for 15 minutes, unless the server is set otherwise): correct role \
                     id and secret id of the connection's credential before the next plan";

fn locks(error: Error) -> Error {
    match error {
        // Whatever the status: it is our own credential that is not accepted.
        Error::Refused { what, message, .. } => Error::Refused {
            what,
            refusal: Refusal::Unauthorized,
            message: format!("{message}; {LOCKS}"),
        },
        other => other,
    }
}

fn refused_before() -> Error {
    Error::Refused {
        what: "our own sign-in".to_owned(),
        refusal: Refusal::Unauthorized,
        message: format!("refused before in this run, and not tried again: {LOCKS}"),
    }
}
