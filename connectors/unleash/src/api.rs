//! Their words: paths of the server's API and the shapes of its answers.
//!
//! The listing of tokens shows every secret in clear. It is read in two ways: [`Token`] without them,
//! which are skipped while the answer is parsed, and with a [`Secret`] each, for the deeds that need one:
//! the server knows a token by nothing but its secret, in the path of the call that ends it too.
//! Nothing of a body reaches an error: refusals are told apart by [`Said`] and worded by us.

use std::sync::Arc;

pub(crate) use connector::transport::json::{read as parse, write as json};
use connector::{
    Error, Refusal, Result,
    transport::{Answer, Effect, Request, Transport},
};
use domain::Secret;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use zeroize::Zeroizing;

/// What is escaped in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// All tokens.
const TOKENS: &str = "api/admin/api-tokens";
/// One token, by its secret, which no log shows.
const TOKEN: &str = "admin/api-tokens/{secret}";

/// One server, asked with our own token.
#[derive(Debug)]
pub(crate) struct Api {
    transport: Arc<dyn Transport>,
    connection: String,
    pub(crate) token: Option<Secret>,
}

/// What a refusal said, as far as anything hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// The server's own answer, with nothing in it that we know.
    Own,
    /// No such environment.
    NoEnvironment,
    /// No such project.
    NoProject,
    /// There are as many tokens as the server allows.
    TooMany,
    /// Nobody has the token that was shown.
    NoToken,
    /// The token is for another interface.
    OtherType,
    /// Our token may not do this.
    NotAllowed,
    /// Not an answer of the server's API.
    Foreign,
}

impl Said {
    /// Reads an error's body. Never kept, only compared.
    pub(crate) fn read(answer: &Answer) -> Said {
        #[derive(Deserialize)]
        struct Told {
            name: Option<String>,
            message: String,
        }
        let Ok(Told { name, message }) = serde_json::from_slice(&answer.body) else {
            return Said::Foreign;
        };
        let name = name.as_deref().unwrap_or_default();
        match (answer.status, name) {
            (401, "UnauthorizedError" | "AuthenticationRequired") => Said::NoToken,
            (401, "") if message.contains("requires an API token") => Said::NoToken,
            (403, "") if message.contains("expected a different token type") => Said::OtherType,
            (403, _) => Said::NotAllowed,
            (400, "BadDataError") if message.contains("Environment=") => Said::NoEnvironment,
            (400, "BadDataError") if message.contains("Project=") => Said::NoProject,
            (_, "ExceedsLimitError") => Said::TooMany,
            (_, "") => Said::Foreign,
            _ => Said::Own,
        }
    }

    /// In our own words.
    fn words(self) -> &'static str {
        match self {
            Said::NoEnvironment => "this Unleash has no such environment",
            Said::NoProject => "this Unleash does not have one of the projects",
            Said::TooMany => {
                "there are as many API tokens as this Unleash allows: end some that nobody uses, or raise its \
                 limit (UNLEASH_API_TOKENS_LIMIT)"
            }
            Said::NoToken => "this Unleash does not know the token",
            Said::OtherType => {
                "the connection's own token is of another type: it has to be one for the admin API"
            }
            Said::NotAllowed => "the connection's own token may not do this",
            Said::Own | Said::Foreign => "refused",
        }
    }
}

/// What an answer that is no success means.
pub(crate) fn refused(what: &str, answer: &Answer, changes: bool) -> Error {
    let said = Said::read(answer);
    if answer.status == 404 {
        // What is asked for is always there: no path of ours names what may be gone.
        return Error::UnexpectedAnswer {
            what: what.to_owned(),
            message: "status 404: is something else in between, and is the address right?"
                .to_owned(),
        };
    }
    let Some(refusal) = Refusal::of_status(answer.status) else {
        return Error::no_judgment(what, format!("status {}", answer.status), changes);
    };
    let hint = match (refusal, said) {
        (Refusal::Forbidden | Refusal::Unauthorized, Said::Own | Said::Foreign) => {
            "; is the connection's own token valid?"
        }
        _ => "",
    };
    Error::Refused {
        what: what.to_owned(),
        refusal,
        message: format!("status {}: {}{hint}", answer.status, said.words()),
    }
}

/// Reads a time.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// Reads a time that may be null.
fn perhaps<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

/// A token as the server lists it, and what is kept of its secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Token<S = IgnoredAny> {
    /// What the server knows it by.
    pub(crate) secret: S,
    pub(crate) token_name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) environment: String,
    pub(crate) projects: Vec<String>,
    #[serde(default, deserialize_with = "perhaps")]
    pub(crate) expires_at: Option<Timestamp>,
    #[serde(deserialize_with = "time")]
    pub(crate) created_at: Timestamp,
    #[serde(default, deserialize_with = "perhaps")]
    pub(crate) seen_at: Option<Timestamp>,
}

/// A secret that is kept as one.
#[derive(Debug)]
pub(crate) struct Held(pub(crate) Secret);

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Held, D::Error> {
        String::deserialize(deserializer).map(|text| Held(Secret::new(text)))
    }
}

/// All tokens.
#[derive(Debug, Deserialize)]
pub(crate) struct Tokens<S = IgnoredAny> {
    pub(crate) tokens: Vec<Token<S>>,
}

/// Which server it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Instance {
    pub(crate) instance_id: String,
}

/// What a backend token was answered: where it asked, and about what.
#[derive(Debug, Deserialize)]
pub(crate) struct Flags {
    pub(crate) query: Query,
}

/// Where a token asks, and about what; all projects where none is named.
#[derive(Debug, Deserialize)]
pub(crate) struct Query {
    pub(crate) environment: String,
    pub(crate) project: Option<Vec<String>>,
}

/// What a frontend token was answered.
#[derive(Debug, Deserialize)]
pub(crate) struct Toggles {
    #[serde(rename = "toggles")]
    pub(crate) _toggles: Vec<IgnoredAny>,
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
        let header = Zeroizing::new(token.expose().trim().to_owned());
        let request = request.header("Authorization", Secret::new(header.as_str()));
        self.transport.send(request).await.map_err(|error| error.of(what))
    }

    /// Sends as ourselves. Any status is an answer.
    async fn send(&self, request: Request) -> Result<Answer> {
        let token = self.token.as_ref().ok_or_else(|| {
            Error::Configuration(format!(
                "connection {:?} has no credential: a token for Unleash's admin API is needed",
                self.connection
            ))
        })?;
        self.send_as(token, request).await
    }

    /// Reads something that must be there.
    async fn need<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let what = request.what();
        let answer = self.send(request).await?;
        match answer.status {
            200 => parse(&what, &answer.body),
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// Which server it is.
    pub(crate) async fn instance(&self) -> Result<Instance> {
        let path = "api/admin/instance-admin/statistics";
        let request = Request::get(path, "admin/instance-admin/statistics");
        self.need(Request { shared: true, ..request }).await
    }

    /// All tokens, without their secrets.
    pub(crate) async fn tokens(&self, shared: bool) -> Result<Arc<Tokens>> {
        let request = Request { shared, ..Request::get(TOKENS, "admin/api-tokens") };
        let what = request.what();
        let answer = self.send(request).await?;
        match answer.status {
            200 => answer.read_once(|body| parse::<Tokens>(&what, body)),
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// All tokens with their secrets, asked for now.
    pub(crate) async fn secrets(&self) -> Result<Vec<Token<Held>>> {
        let all: Tokens<Held> = self.need(Request::get(TOKENS, "admin/api-tokens")).await?;
        Ok(all.tokens)
    }

    /// Makes a token, once.
    pub(crate) async fn make(&self, token: &serde_json::Value) -> Result<Token<Held>> {
        let request = Request::change("POST", TOKENS, "admin/api-tokens");
        let request = Request { body: Some(json(token)?), ..request };
        let what = request.what();
        let answer = self.send(request).await?;
        match answer.status {
            201 => parse(&what, &answer.body),
            _ => Err(refused(&what, &answer, true)),
        }
    }

    /// Ends a token, once. The server says yes also where it did nothing: only a listing tells.
    pub(crate) async fn end(&self, secret: &Secret) -> Result<()> {
        let path = format!("{TOKENS}/{}", utf8_percent_encode(secret.expose(), SEGMENT));
        let request = Request::change("DELETE", path, TOKEN);
        let what = request.what();
        let answer = self.send(request).await?;
        match answer.status {
            200..300 => Ok(()),
            _ => Err(refused(&what, &answer, true)),
        }
    }

    /// Asks with a token of an application's, over a connection of its own.
    pub(crate) async fn ask(
        &self,
        token: &Secret,
        path: &'static str,
        template: &'static str,
    ) -> Result<Answer> {
        let request = Request::get(path, template);
        self.send_as(token, Request { effect: Effect::SignIn, fresh_connection: true, ..request })
            .await
    }
}
