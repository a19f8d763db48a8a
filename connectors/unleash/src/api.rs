//! Their words: paths of the server's API and the shapes of its answers.
//!
//! The listing of tokens shows every secret in clear. It is read in two ways: [`Token`] without them,
//! which are skipped while the answer is parsed, and with a [`Secret`] each, for the deeds that need one:
//! the server knows a token by nothing but its secret, in the path of the call that ends it too.
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
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{
    Deserialize,
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

/// What our own token may do. It is shown too, and skipped.
#[derive(Debug, Deserialize)]
pub(crate) struct Me {
    pub(crate) permissions: Vec<Permission>,
}

/// One of them, for the whole server where it names no project.
#[derive(Debug, Deserialize)]
pub(crate) struct Permission {
    pub(crate) permission: String,
    #[serde(default)]
    pub(crate) project: Option<String>,
}

impl Me {
    /// Whether it may do this to all tokens of a type, as the server's permissions name both: `READ`,
    /// `CREATE` or `DELETE`, and `CLIENT` or `FRONTEND`.
    pub(crate) fn may(&self, what: &str, to: &str) -> bool {
        let one = format!("{what}_{to}_API_TOKEN");
        let whole = self.permissions.iter().filter(|held| held.project.is_none());
        whole.into_iter().any(|held| held.permission == "ADMIN" || held.permission == one)
    }
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

    /// What our own token may do.
    pub(crate) async fn me(&self) -> Result<Me> {
        self.need(Request { shared: true, ..Request::get("api/admin/user", "admin/user") }).await
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

    /// Sets when a token ends, once.
    pub(crate) async fn limit(&self, secret: &Secret, end: &str) -> Result<()> {
        let path = format!("{TOKENS}/{}", utf8_percent_encode(secret.expose(), SEGMENT));
        let request = Request::change("PUT", path, TOKEN);
        let body = Some(json(&serde_json::json!({ "expiresAt": end }))?);
        let request = Request { body, ..request };
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

#[cfg(test)]
mod tests {
    use connector::{Outcome, conformance::answer, recorded};

    use super::*;

    fn read<T: DeserializeOwned>(answer: Answer) -> T {
        assert!(matches!(answer.status, 200 | 201), "{}", answer.status);
        parse("test", &answer.body).unwrap()
    }

    #[test]
    fn recorded_answers_are_read_and_their_secrets_only_where_they_are_asked_for() {
        let all: Tokens = read(recorded!("tokens"));
        assert_eq!(all.tokens.len(), 4);
        assert!(!format!("{all:?}").contains("recorded-secret"));
        let all: Tokens<Held> = read(recorded!("tokens"));
        let secrets = all.tokens.iter().map(|one| one.secret.0.expose());
        assert_eq!(secrets.filter(|one| one.contains(".recorded-")).count(), 4);
        assert!(!format!("{all:?}").contains("recorded-secret"));
        let one: Token<Held> = read(recorded!("token-issued"));
        let listed = all.tokens.iter().find(|listed| listed.token_name == one.token_name).unwrap();
        assert_eq!((one.created_at, one.expires_at), (listed.created_at, listed.expires_at));
        assert_eq!((one.kind.as_str(), listed.kind.as_str()), ("backend", "client"));
        assert_eq!(read::<Instance>(recorded!("instance")).instance_id.len(), 36);
        let Flags { query } = read(recorded!("flags"));
        let asked = (query.environment.as_str(), query.project);
        assert_eq!(asked, ("production", Some(vec!["default".to_owned()])));
        read::<Toggles>(recorded!("toggles"));
        let me: Me = read(recorded!("me"));
        assert!(me.may("READ", "CLIENT") && me.may("DELETE", "FRONTEND"));
    }

    #[test]
    fn a_right_in_one_project_is_none_on_the_whole_server() {
        let me = |permissions: &str| {
            serde_json::from_str::<Me>(&format!("{{\"permissions\":{permissions}}}")).unwrap()
        };
        let one = me(r#"[{"permission":"READ_CLIENT_API_TOKEN"}]"#);
        assert!(one.may("READ", "CLIENT") && !one.may("READ", "FRONTEND"));
        let one = me(r#"[{"permission":"READ_CLIENT_API_TOKEN","project":"default"}]"#);
        assert!(!one.may("READ", "CLIENT"));
    }

    #[test]
    fn every_recorded_refusal_means_one_thing() {
        for (answer, said, refusal) in [
            (recorded!("no-token"), Said::NoToken, Refusal::Unauthorized),
            (recorded!("no-admin"), Said::NoToken, Refusal::Unauthorized),
            (recorded!("other-type"), Said::OtherType, Refusal::Forbidden),
            (recorded!("not-allowed"), Said::NotAllowed, Refusal::Forbidden),
            (recorded!("not-allowed-to-make"), Said::NotAllowed, Refusal::Forbidden),
            (recorded!("no-environment"), Said::NoEnvironment, Refusal::Invalid),
            (recorded!("no-project"), Said::NoProject, Refusal::Invalid),
            (recorded!("wrong-type"), Said::Own, Refusal::Invalid),
            (recorded!("too-many"), Said::TooMany, Refusal::Invalid),
        ] {
            assert_eq!(Said::read(&answer), said);
            assert_eq!(refused("test", &answer, true).refusal(), Some(refusal), "{said:?}");
        }
    }

    #[test]
    fn no_404_means_that_something_is_gone() {
        for answer in [recorded!("path-absent"), answer(404, "{}"), answer(404, "<html>")] {
            let error = refused("test", &answer, true);
            assert_eq!((error.refusal(), error.outcome()), (None, Outcome::Ambiguous), "{error}");
        }
    }

    #[test]
    fn no_error_quotes_a_body() {
        let body =
            r#"{"name":"BadDataError","message":"verysecret","tokens":[{"secret":"verysecret"}]}"#;
        for text in [
            refused("test", &answer(400, body), true).to_string(),
            parse::<Tokens<Held>>("test", body.as_bytes()).unwrap_err().to_string(),
        ] {
            assert!(!text.contains("verysecret"), "{text}");
        }
    }
}
