//! Their words: paths of the hub's REST API and the shapes of its answers.
//!
//! Every answer becomes a typed value here, and a token becomes a [`Secret`] while it is parsed.
//! Nothing of a body reaches an error: refusals are told apart by [`Said`] and worded by us.

use std::{collections::BTreeMap, sync::Arc};

pub(crate) use connector::transport::json::{read as parse, write as json};
use connector::{
    Error, Refusal, Result,
    transport::{
        Answer, Request, Transport,
        json::{perhaps, time},
    },
};
use domain::Secret;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// What is escaped in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// What makes the hub say how many there are and where the next page begins.
const PAGED: &str = "application/jupyterhub-pagination+json";
/// As many as the hub gives in one page unless it is told otherwise.
pub(crate) const PAGE: usize = 200;

/// A segment of a path as it goes into a URL.
fn encode(segment: &str) -> String {
    utf8_percent_encode(segment, SEGMENT).to_string()
}

/// Paths, below the hub's address.
pub(crate) mod path {
    use super::encode;

    pub(crate) fn user(name: &str) -> String {
        format!("hub/api/users/{}", encode(name))
    }

    pub(crate) fn tokens(user: &str) -> String {
        format!("{}/tokens", self::user(user))
    }

    pub(crate) fn token(user: &str, id: &str) -> String {
        format!("{}/{}", tokens(user), encode(id))
    }

    pub(crate) fn shared(user: &str) -> String {
        format!("{}/shared", self::user(user))
    }

    pub(crate) fn group(name: &str) -> String {
        format!("hub/api/groups/{}", encode(name))
    }

    pub(crate) fn share(owner: &str, server: &str) -> String {
        format!("hub/api/shares/{}/{}", encode(owner), encode(server))
    }
}

/// One hub, asked with our own token.
#[derive(Debug)]
pub(crate) struct Api {
    transport: Arc<dyn Transport>,
    connection: String,
    token: Option<Secret>,
}

/// What a refusal said, as far as anything hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// The hub's own answer, with nothing in it that we know.
    Own,
    /// No such user.
    NoUser,
    /// No such token of a user that is there.
    NoToken,
    /// No such group.
    NoGroup,
    /// No such server.
    NoServer,
    /// Not there, or not for our token to see.
    Hidden,
    /// It exists already.
    Exists,
    /// A token was to do more than its user may.
    NotHeld,
    /// A scope that the hub does not have.
    NoScope,
    /// A token was to live longer than the hub allows.
    TooLong,
    /// The user's server has to stop first, and is about to.
    Stopping,
    /// Only an admin of the hub may do this.
    AdminsOnly,
    /// Our token may not do this.
    NotAllowed,
    /// Not an answer of the hub's API.
    Foreign,
}

impl Said {
    /// Reads an error's body. Never kept, only compared.
    pub(crate) fn read(answer: &Answer) -> Said {
        #[derive(Deserialize)]
        struct Told {
            status: u16,
            // Present in every refusal of the API, and often null.
            message: Value,
        }
        let told = match serde_json::from_slice::<Told>(&answer.body) {
            Ok(told) if told.status == answer.status => told,
            _ => return Said::Foreign,
        };
        let text = told.message.as_str().unwrap_or_default();
        let has = |needle: &str| text.contains(needle);
        if text.starts_with("No such user") {
            Said::NoUser
        } else if text.starts_with("No such token") {
            Said::NoToken
        } else if text.starts_with("No such group") {
            Said::NoGroup
        } else if text.starts_with("No such server") {
            Said::NoServer
        } else if has("No access to resources or resources not found") {
            Said::Hidden
        } else if has("already exists") {
            Said::Exists
        } else if has("Not assigning requested scopes") {
            Said::NotHeld
        } else if has("does not exist") {
            Said::NoScope
        } else if has("must not exceed") {
            Said::TooLong
        } else if has("in the process of stopping") {
            Said::Stopping
        } else if has("Only admins can") {
            Said::AdminsOnly
        } else if has("Action is not authorized") || has("Do not have permission") {
            Said::NotAllowed
        } else {
            Said::Own
        }
    }

    /// In our own words.
    fn words(self) -> &'static str {
        match self {
            Said::NoUser => "no such user",
            Said::NoToken => "no such token",
            Said::NoGroup => "no such group: it has to be made in the hub first",
            Said::NoServer => "no such server: its owner has to make it first",
            Said::Hidden => "it is not there, or the connection's own token may not see it",
            Said::Exists => "it exists already",
            Said::NotHeld => {
                "a token may do no more than its user: give the user the scopes first, through a group or \
                 a share, or ask for fewer"
            }
            Said::NoScope => "this hub does not have one of the scopes",
            Said::TooLong => "this hub lets no token live so long",
            Said::Stopping => "the user's server is just stopping: try again in a moment",
            Said::AdminsOnly => {
                "only an admin of the hub may do this: the connection's own token is none's"
            }
            Said::NotAllowed => "the connection's own token lacks the scope for this",
            Said::Own | Said::Foreign => "refused",
        }
    }
}

/// What an answer that is no success means.
pub(crate) fn refused(what: &str, answer: &Answer, changes: bool) -> Error {
    let said = Said::read(answer);
    let refusal = match answer.status {
        404 if said == Said::Foreign => {
            return Error::UnexpectedAnswer {
                what: what.to_owned(),
                message:
                    "status 404, and not as the hub says it: is something else in between, and is \
                          the address right?"
                        .to_owned(),
            };
        }
        404 if said == Said::Hidden => Some(Refusal::Forbidden),
        status => Refusal::of_status(status),
    };
    let Some(refusal) = refusal else {
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

/// Reads a text straight into a [`Secret`].
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// Whoever a token belongs to, and what it may do.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Whoami {
    pub(crate) kind: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) admin: bool,
    pub(crate) scopes: Vec<String>,
    /// Which of its owner's tokens it is, where the hub tells.
    #[serde(default)]
    pub(crate) token_id: Option<String>,
}

/// A user. What our token may not see is left out.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct User {
    pub(crate) name: String,
    #[serde(default, deserialize_with = "perhaps")]
    pub(crate) created: Option<Timestamp>,
    pub(crate) admin: Option<bool>,
    pub(crate) groups: Option<Vec<String>>,
    pub(crate) roles: Option<Vec<String>>,
}

/// A group.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) properties: Option<Map<String, Value>>,
}

/// A token: everything but the secret.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) scopes: Vec<String>,
    #[serde(deserialize_with = "time")]
    pub(crate) created: Timestamp,
    #[serde(deserialize_with = "perhaps")]
    pub(crate) expires_at: Option<Timestamp>,
    #[serde(deserialize_with = "perhaps")]
    pub(crate) last_activity: Option<Timestamp>,
    pub(crate) note: Option<String>,
}

/// The tokens of one user.
#[derive(Debug, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) api_tokens: Vec<Token>,
}

/// A token that was just issued.
#[derive(Debug, Deserialize)]
pub(crate) struct NewToken {
    #[serde(deserialize_with = "secret")]
    pub(crate) token: Secret,
    #[serde(flatten)]
    pub(crate) about: Token,
}

/// A server that is shared with a user or with a group.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Share {
    pub(crate) scopes: Vec<String>,
    pub(crate) kind: String,
}

/// One page of a listing, by name.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: BTreeMap<String, T>,
    pub(crate) next: Option<usize>,
    pub(crate) total: usize,
}

/// A page as it comes.
#[derive(Debug, Deserialize)]
pub(crate) struct Paged<T> {
    pub(crate) items: Vec<T>,
    pub(crate) _pagination: Pagination,
}

/// Where a page stands among the others.
#[derive(Debug, Deserialize)]
pub(crate) struct Pagination {
    pub(crate) total: usize,
    pub(crate) next: Option<Next>,
}

/// Where the next page begins.
#[derive(Debug, Deserialize)]
pub(crate) struct Next {
    pub(crate) offset: usize,
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
    pub(crate) async fn send_as(&self, token: &Secret, request: Request) -> Result<Answer> {
        let what = request.what();
        let header = Zeroizing::new(format!("token {}", token.expose().trim()));
        let request = request.header("Authorization", Secret::new(header.as_str()));
        self.transport.send(request).await.map_err(|error| error.of(what))
    }

    /// Sends as ourselves. Any status is an answer.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer> {
        let token = self.token.as_ref().ok_or_else(|| {
            Error::Configuration(format!(
                "connection {:?} has no credential: a token of the hub is needed",
                self.connection
            ))
        })?;
        self.send_as(token, request).await
    }

    /// Reads something, or says why it is not there.
    pub(crate) async fn look<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<std::result::Result<T, Said>> {
        let what = request.what();
        let answer = self.send(request).await?;
        match (answer.status, Said::read(&answer)) {
            (200, _) => parse(&what, &answer.body).map(Ok),
            (404, said) if !matches!(said, Said::Foreign | Said::Hidden) => Ok(Err(said)),
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// Reads something that must be there.
    pub(crate) async fn need<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let what = request.what();
        let answer = self.send(request).await?;
        match answer.status {
            200 => parse(&what, &answer.body),
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// One page of a listing from an offset on, whose readers share what is made of it.
    pub(crate) async fn page(
        &self,
        listing: &str,
        template: &'static str,
        offset: usize,
        shared: bool,
    ) -> Result<Answer> {
        let path = format!("{listing}?offset={offset}&limit={PAGE}");
        let request = Request { shared, ..Request::get(path, template) };
        let request = request.header("Accept", Secret::new(PAGED));
        let what = request.what();
        let answer = self.send(request).await?;
        match answer.status {
            200 => Ok(answer),
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// Changes something, once.
    pub(crate) async fn change(&self, request: Request) -> Result<Answer> {
        let what = request.what();
        let answer = self.send(request).await?;
        match answer.status {
            200..300 => Ok(answer),
            _ => Err(refused(&what, &answer, true)),
        }
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
    fn recorded_answers_are_read() {
        let me: Whoami = read(recorded!("whoami"));
        assert!(me.admin && me.kind == "service" && me.scopes.len() > 40);
        let user: User = read(recorded!("user"));
        assert_eq!(user.groups.unwrap(), ["readers"]);
        assert_eq!((user.roles.unwrap(), user.admin), (vec!["user".to_owned()], Some(false)));
        assert!(user.created.is_some());
        let users: Paged<User> = read(recorded!("users"));
        assert_eq!((users.items.len(), users._pagination.total), (1, 2));
        assert_eq!(users._pagination.next.unwrap().offset, 1);
        let groups: Paged<Group> = read(recorded!("groups"));
        assert!(groups.items.len() == 3 && groups._pagination.next.is_none());
        let group: Group = read(recorded!("group"));
        assert_eq!(group.properties.unwrap()["nhi"]["realm"], "k3x9q2");
        let shares: Paged<Share> = read(recorded!("shared"));
        let kinds: Vec<&str> = shares.items.iter().map(|one| one.kind.as_str()).collect();
        assert_eq!(kinds, ["user", "group"]);
        assert_eq!(shares.items[0].scopes, ["access:servers!server=veteran/"]);
        let issued: NewToken = read(recorded!("token-issued"));
        assert_eq!(issued.token.expose(), "recorded-token");
        let one: Token = read(recorded!("token"));
        assert_eq!((&one.id, one.created), (&issued.about.id, issued.about.created));
        assert_eq!(one.note.as_deref(), Some("nhi1-recorded read:users!user"));
        assert!(one.last_activity.is_none() && one.expires_at > Some(one.created));
        assert_eq!(one.scopes.len(), 4, "one was asked for");
        assert_eq!(read::<Tokens>(recorded!("tokens")).api_tokens.len(), 1);
    }

    #[test]
    fn every_recorded_refusal_means_one_thing() {
        for (answer, said, refusal) in [
            (recorded!("user-absent"), Said::Own, Refusal::NotFound),
            (recorded!("user-exists"), Said::Exists, Refusal::Conflict),
            (recorded!("group-absent"), Said::NoGroup, Refusal::NotFound),
            (recorded!("group-exists"), Said::Exists, Refusal::Conflict),
            (recorded!("token-absent"), Said::NoToken, Refusal::NotFound),
            (recorded!("tokens-of-absent-user"), Said::NoUser, Refusal::NotFound),
            (recorded!("server-absent"), Said::NoServer, Refusal::NotFound),
            (recorded!("hidden"), Said::Hidden, Refusal::Forbidden),
            (recorded!("token-not-held"), Said::NotHeld, Refusal::Invalid),
            (recorded!("token-no-such-scope"), Said::NoScope, Refusal::Invalid),
            (recorded!("token-too-long"), Said::TooLong, Refusal::Invalid),
            (recorded!("not-allowed"), Said::NotAllowed, Refusal::Forbidden),
            (recorded!("admins-only"), Said::AdminsOnly, Refusal::Forbidden),
            (recorded!("refused"), Said::Own, Refusal::Forbidden),
        ] {
            assert_eq!(Said::read(&answer), said);
            assert_eq!(refused("test", &answer, true).refusal(), Some(refusal), "{said:?}");
        }
    }

    #[test]
    fn a_404_counts_only_as_the_hub_writes_it() {
        let foreign = ["", "{}", "<html>", r#"{"status":404}"#, r#"{"status":403,"message":""}"#];
        for body in foreign {
            let answer = answer(404, body);
            assert_eq!(Said::read(&answer), Said::Foreign, "{body}");
            let error = refused("test", &answer, true);
            assert_eq!((error.refusal(), error.outcome()), (None, Outcome::Ambiguous), "{error}");
        }
    }

    #[test]
    fn a_token_is_in_no_debug_and_no_error_quotes_a_body() {
        let issued: NewToken = read(recorded!("token-issued"));
        assert!(!format!("{issued:?}").contains("recorded-token"));
        let body = r#"{"status": 400, "message": "verysecret", "token": {"x": "verysecret"}}"#;
        for text in [
            refused("test", &answer(400, body), true).to_string(),
            parse::<NewToken>("test", body.as_bytes()).unwrap_err().to_string(),
        ] {
            assert!(!text.contains("verysecret"), "{text}");
        }
    }

    #[test]
    fn names_are_escaped_in_paths() {
        assert_eq!(path::share("a b", ""), "hub/api/shares/a%20b/");
        assert_eq!(path::group("Ü/x"), "hub/api/groups/%C3%9C%2Fx");
    }
}
