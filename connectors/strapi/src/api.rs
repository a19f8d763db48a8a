//! Their words: paths of the admin API and the shapes of its answers.
//!
//! One token by its id is asked for where its secret is to be compared with what was delivered, and
//! nowhere else: where the project has an encryption key, that answer shows it. The listing does not.
//! Nothing of a body reaches an error: refusals are told apart by [`Said`] and worded by us.

use std::sync::Arc;

pub(crate) use connector::transport::json::{Held, read as parse, write as json};
use connector::{
    Error, Refusal, Result,
    transport::{
        Answer, Effect, Request, Transport,
        json::{perhaps, time},
    },
};
use domain::Secret;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use zeroize::Zeroizing;

/// All tokens of the content API.
const TOKENS: &str = "admin/api-tokens";
/// What a token's use is tried with: files without a number, of which there are none. Every project
/// has this path.
const ASKS: &str = "api/upload/files?filters%5Bid%5D%5B%24eq%5D=0";

/// One project, asked with our own token.
#[derive(Debug)]
pub(crate) struct Api {
    transport: Arc<dyn Transport>,
    connection: String,
    token: Option<Secret>,
}

/// What a refusal said, as far as anything hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// The server's own answer, with nothing in it that we know.
    Own,
    /// No token has this id.
    NoToken,
    /// Another token has this name.
    NameTaken,
    /// The project has no such action.
    NoAction,
    /// Our own token may not do this.
    NotAllowed,
    /// Nobody has the token that was shown.
    Unknown,
    /// The token that was shown has ended.
    Ended,
    /// The person whose token it is may not sign in.
    OwnerGone,
    /// The token that was shown is known, and may not do this.
    Powerless,
    /// Not an answer of the server's API.
    Foreign,
}

impl Said {
    /// Reads an error's body. Never kept, only compared.
    pub(crate) fn read(answer: &Answer) -> Said {
        #[derive(Deserialize)]
        struct Whole {
            error: Told,
        }
        #[derive(Deserialize)]
        struct Told {
            name: String,
            message: String,
        }
        let Ok(Whole { error }) = serde_json::from_slice(&answer.body) else {
            return Said::Foreign;
        };
        match (answer.status, error.name.as_str(), error.message.as_str()) {
            (404, "NotFoundError", "API Token not found") => Said::NoToken,
            (400, "ApplicationError", "Name already taken") => Said::NameTaken,
            (400, "ValidationError", told) if told.starts_with("Unknown permissions") => {
                Said::NoAction
            }
            (401, "UnauthorizedError", "Token expired") => Said::Ended,
            (401, "UnauthorizedError", told) if told.starts_with("Token owner") => Said::OwnerGone,
            (401, "UnauthorizedError", _) => Said::Unknown,
            (403, "PolicyError", _) => Said::NotAllowed,
            (403, "ForbiddenError", _) => Said::Powerless,
            _ => Said::Own,
        }
    }

    /// In our own words.
    fn words(self) -> &'static str {
        match self {
            Said::NoToken => "there is no such token",
            Said::NameTaken => "another token has this name",
            Said::NoAction => "this project has no such action",
            Said::NotAllowed | Said::Powerless => {
                "the connection's own token may not do this: it has to be an admin token that may read, \
                 create, update, regenerate and delete API tokens"
            }
            Said::Unknown => {
                "the project does not know the connection's own token as an admin token: an API token is none"
            }
            Said::Ended => "the connection's own token has ended",
            Said::OwnerGone => "the person whose token the connection's own is may not sign in",
            Said::Own | Said::Foreign => "refused",
        }
    }
}

/// What an answer that is no success means.
pub(crate) fn refused(what: &str, answer: &Answer, changes: bool) -> Error {
    let said = Said::read(answer);
    if answer.status == 404 && said != Said::NoToken {
        return Error::UnexpectedAnswer {
            what: what.to_owned(),
            message: "status 404: is something else in between, and is the address right?"
                .to_owned(),
        };
    }
    let refusal = match said {
        Said::NameTaken => Some(Refusal::Conflict),
        _ => Refusal::of_status(answer.status),
    };
    let Some(refusal) = refusal else {
        return Error::no_judgment(what, format!("status {}", answer.status), changes);
    };
    Error::Refused {
        what: what.to_owned(),
        refusal,
        message: format!("status {}: {}", answer.status, said.words()),
    }
}

/// A token, without its secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Token {
    pub(crate) id: u64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) permissions: Vec<String>,
    #[serde(default, deserialize_with = "perhaps")]
    pub(crate) expires_at: Option<Timestamp>,
    #[serde(deserialize_with = "time")]
    pub(crate) created_at: Timestamp,
    #[serde(default, deserialize_with = "perhaps")]
    pub(crate) last_used_at: Option<Timestamp>,
}

/// What is asked for, with what stands around every answer.
#[derive(Debug, Deserialize)]
struct Whole<T> {
    data: T,
}

/// A token that was just made, with its secret.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Made {
    pub(crate) access_key: Held,
    #[serde(flatten)]
    pub(crate) token: Token,
}

/// A token by its id: with its secret where the project keeps what it can show.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(default)]
    access_key: Option<Held>,
}

/// Another secret of a token.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Regenerated {
    access_key: Held,
}

/// Which project it is, where it says so.
#[derive(Debug, Deserialize)]
struct Init {
    uuid: Value,
}

impl Api {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        connection: String,
        token: Option<Secret>,
    ) -> Api {
        Api { transport, connection, token }
    }

    /// Sends with a token. Any status is an answer.
    async fn send_as(&self, token: &Secret, request: Request) -> Result<Answer> {
        let what = request.what();
        let header = Zeroizing::new(format!("Bearer {}", token.expose().trim()));
        let request = request.header("Authorization", Secret::new(header.as_str()));
        self.transport.send(request).await.map_err(|error| error.of(what))
    }

    /// Sends as ourselves. Any status is an answer.
    async fn send(&self, request: Request) -> Result<Answer> {
        let token = self.token.as_ref().ok_or_else(|| {
            Error::Configuration(format!(
                "connection {:?} has no credential: an admin token of Strapi is needed",
                self.connection
            ))
        })?;
        self.send_as(token, request).await
    }

    /// Sends a change, once; what came of it.
    async fn change<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let what = request.what();
        let answer = self.send(request).await?;
        match answer.status {
            200..300 => parse::<Whole<T>>(&what, &answer.body).map(|whole| whole.data),
            _ => Err(refused(&what, &answer, true)),
        }
    }

    /// The project's id; `None` where it has none. Nobody has to sign in for it.
    pub(crate) async fn project(&self) -> Result<Option<String>> {
        let request = Request { shared: true, ..Request::get("admin/init", "admin/init") };
        let what = request.what();
        let answer = self.transport.send(request).await.map_err(|error| error.of(what.clone()))?;
        match answer.status {
            200 => {
                let Whole { data } = parse::<Whole<Init>>(&what, &answer.body)?;
                Ok(data.uuid.as_str().filter(|id| !id.is_empty()).map(str::to_owned))
            }
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// All tokens.
    pub(crate) async fn tokens(&self, shared: bool) -> Result<Arc<Vec<Token>>> {
        let request = Request { shared, ..Request::get(TOKENS, TOKENS) };
        let what = request.what();
        let answer = self.send(request).await?;
        match answer.status {
            200 => answer
                .read_once(|body| parse::<Whole<Vec<Token>>>(&what, body).map(|whole| whole.data)),
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// The secret of a token, where the project shows it; the answer is shared with nobody.
    pub(crate) async fn shown(&self, id: u64) -> Result<Option<Secret>> {
        let request = Request::get(format!("{TOKENS}/{id}"), "admin/api-tokens/{id}");
        let what = request.what();
        let answer = self.send(request).await?;
        match answer.status {
            200 => {
                let Whole { data } = parse::<Whole<Shown>>(&what, &answer.body)?;
                let secret = data.access_key.map(|Held(secret)| secret);
                Ok(secret.filter(|secret| !secret.expose().is_empty()))
            }
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// Makes a token, once.
    pub(crate) async fn make(&self, token: &Value) -> Result<Made> {
        let request = Request::change("POST", TOKENS, TOKENS);
        self.change(Request { body: Some(json(token)?), ..request }).await
    }

    /// Changes a token, once.
    pub(crate) async fn put(&self, id: u64, change: &Value) -> Result<Token> {
        let request = Request::change("PUT", format!("{TOKENS}/{id}"), "admin/api-tokens/{id}");
        self.change(Request { body: Some(json(change)?), ..request }).await
    }

    /// Has another secret made for a token, once. The one before is refused from then on.
    pub(crate) async fn regenerate(&self, id: u64) -> Result<Secret> {
        let path = format!("{TOKENS}/{id}/regenerate");
        let request = Request::change("POST", path, "admin/api-tokens/{id}/regenerate");
        let made: Regenerated = self.change(request).await?;
        Ok(made.access_key.0)
    }

    /// Deletes a token, once. Whether it was there: the server says yes also where it was not.
    pub(crate) async fn delete(&self, id: u64) -> Result<bool> {
        let path = format!("{TOKENS}/{id}");
        let request = Request::change("DELETE", path, "admin/api-tokens/{id}");
        let gone: Option<Token> = self.change(request).await?;
        Ok(gone.is_some())
    }

    /// Asks with a token of an application's, over a connection of its own.
    pub(crate) async fn ask(&self, token: &Secret) -> Result<Answer> {
        let request = Request::get(ASKS, "api/upload/files");
        self.send_as(token, Request { effect: Effect::SignIn, fresh_connection: true, ..request })
            .await
    }
}

#[cfg(test)]
mod tests {
    use connector::{Outcome, conformance::answer, recorded};

    use super::*;

    fn read<T: DeserializeOwned>(answer: Answer) -> T {
        assert!(matches!(answer.status, 200 | 201), "{}", answer.status);
        parse::<Whole<T>>("test", &answer.body).unwrap().data
    }

    #[test]
    fn recorded_answers_are_read_and_secrets_only_where_one_was_just_made() {
        let all: Vec<Token> = read(recorded!("tokens"));
        assert_eq!(all.len(), 5);
        let made: Made = read(recorded!("issued"));
        let another: Regenerated = read(recorded!("regenerated"));
        for Held(secret) in [&made.access_key, &another.access_key] {
            assert_eq!(secret.expose(), "recorded-secret");
        }
        assert!(!format!("{all:?}{made:?}{another:?}").contains("recorded-secret"));
        let listed = all.iter().find(|one| one.id == made.token.id).unwrap();
        assert_eq!(
            (&listed.name, listed.created_at, &listed.permissions, &listed.kind),
            (&made.token.name, made.token.created_at, &made.token.permissions, &made.token.kind)
        );
        // Without an encryption key a token by its id is as in the listing.
        let Shown { access_key } = read(recorded!("shown"));
        assert!(access_key.is_some_and(|Held(secret)| secret.expose() == "recorded-secret"));
        assert!(read::<Shown>(recorded!("changed")).access_key.is_none());
        assert!(read::<Shown>(answer(200, r#"{"data":{"accessKey":null}}"#)).access_key.is_none());
        let changed: Token = read(recorded!("changed"));
        assert_eq!(changed.permissions.len(), 2);
        assert!(changed.last_used_at.is_some() && changed.expires_at.is_none());
        let pieces = all.iter().filter(|one| one.expires_at.is_some());
        assert_eq!(pieces.count(), 1, "an end is read");
        assert!(read::<Option<Token>>(recorded!("deleted")).is_some());
        assert!(read::<Option<Token>>(recorded!("deleted-nothing")).is_none());
        let Init { uuid } = read(recorded!("init"));
        assert_eq!(uuid.as_str().map(str::len), Some(36));
    }

    #[test]
    fn every_recorded_refusal_means_one_thing() {
        for (answer, said, refusal) in [
            (recorded!("unknown"), Said::Unknown, Refusal::Unauthorized),
            (recorded!("not-an-admin-token"), Said::Unknown, Refusal::Unauthorized),
            (recorded!("ended"), Said::Ended, Refusal::Unauthorized),
            (recorded!("owner-gone"), Said::OwnerGone, Refusal::Unauthorized),
            (recorded!("powerless"), Said::Powerless, Refusal::Forbidden),
            (recorded!("not-allowed"), Said::NotAllowed, Refusal::Forbidden),
            (recorded!("name-taken"), Said::NameTaken, Refusal::Conflict),
            (recorded!("no-action"), Said::NoAction, Refusal::Invalid),
            (recorded!("wrong"), Said::Own, Refusal::Invalid),
            (recorded!("no-such-token"), Said::NoToken, Refusal::NotFound),
        ] {
            assert_eq!(Said::read(&answer), said);
            assert_eq!(refused("test", &answer, true).refusal(), Some(refusal), "{said:?}");
        }
    }

    #[test]
    fn no_404_but_the_servers_own_about_a_token_means_that_it_is_gone() {
        for answer in [recorded!("path-absent"), answer(404, "{}"), answer(404, "<html>")] {
            let error = refused("test", &answer, true);
            assert_eq!((error.refusal(), error.outcome()), (None, Outcome::Ambiguous), "{error}");
        }
    }

    #[test]
    fn no_error_quotes_a_body() {
        let body = r#"{"data":[{"accessKey":"verysecret"}],"error":{"name":"ValidationError","message":"verysecret"}}"#;
        for text in [
            refused("test", &answer(400, body), true).to_string(),
            parse::<Whole<Vec<Made>>>("test", body.as_bytes()).unwrap_err().to_string(),
        ] {
            assert!(!text.contains("verysecret"), "{text}");
        }
    }
}
