//! What sends: one request is one exchange over PostgreSQL's own protocol, its answer a status of HTTP
//! that means the same to every layer.
//!
//! | request | what is done |
//! |---|---|
//! | `path` | the database; the address's own where it is empty |
//! | headers `user`, `password` | who signs in |
//! | a look | one query of one text, in a session that cannot write |
//! | a change with `args` | one query of one text |
//! | a change without | several statements, which are one transaction by their own words |
//! | a sign-in | a connection of its own, and nothing said over it |

use std::{
    borrow::Cow,
    collections::HashMap,
    error::Error as _,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use connector::{
    Outcome,
    transport::{self, Answer, Effect, Request, Route, Transport, TransportError},
};
use domain::Secret;
use postgres_tls::Tls;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_postgres::{
    Client, Config,
    config::SslMode,
    error::{DbError, Severity},
    types::{ToSql, Type},
};

/// How many connections are open at once at most.
const AT_ONCE: usize = 4;
/// How long one that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(30);
/// How long a server may take to accept one.
const CONNECT: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const LARGEST: usize = 64 << 20;

/// What a request says, as its body. No secret is in it: of a password it has the verifier.
#[derive(Serialize, Deserialize)]
pub(crate) struct Saying<'a> {
    #[serde(borrow)]
    pub(crate) sql: Cow<'a, str>,
    /// Parameters, all texts; without, it is several statements that answer nothing.
    pub(crate) args: Option<Vec<Option<String>>>,
}

/// What the server answers where it says no, or where there is nothing to say.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    /// The code of its judgment; empty where it was done.
    pub(crate) sqlstate: String,
}

/// A server, and the sessions that are open with it.
pub(crate) struct Wire {
    config: Config,
    database: String,
    shown: String,
    tls: Tls,
    idle: Mutex<HashMap<Key, Vec<(Instant, Client)>>>,
    permits: Semaphore,
}

/// Database, and whether the session may write.
type Key = (String, bool);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({})", self.shown)
    }
}

impl Wire {
    /// Reads an address, `postgresql://host:port/database`. Sends nothing.
    pub(crate) fn new(route: &Route) -> Result<Wire, String> {
        let address = &route.address;
        let url = url::Url::parse(address)
            .map_err(|error| format!("{address:?} is no address: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an address must not hold a user or a password".into());
        }
        if !matches!(url.scheme(), "postgresql" | "postgres") {
            return Err(format!("{address:?} is not postgresql://<host>:<port>/<database>"));
        }
        // Of a scheme that it does not know, the parser takes an address for a name.
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| format!("{address:?} names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let database = percent_encoding::percent_decode_str(url.path().trim_start_matches('/'))
            .decode_utf8()
            .map_err(|_| format!("{address:?}: the database's name is not UTF-8"))?;
        let database = if database.is_empty() { "postgres".into() } else { database.into_owned() };
        let mut secured = !here;
        for (name, value) in url.query_pairs() {
            secured = match (&*name, &*value) {
                ("sslmode", "require" | "verify-full") => true,
                ("sslmode", "disable") => false,
                _ => {
                    return Err(format!(
                        "{address:?}: \"sslmode\" is \"verify-full\", \"require\" (which verifies too) or \
                         \"disable\", and nothing else is asked for here"
                    ));
                }
            };
        }
        let mut config = Config::new();
        config
            .host(host)
            .port(url.port().unwrap_or(5432))
            .application_name("nhi")
            .connect_timeout(CONNECT)
            .ssl_mode(if secured { SslMode::Require } else { SslMode::Disable });
        let ca_file = route.ca_file.clone();
        Ok(Wire {
            config,
            shown: format!("{host}/{database}"),
            database,
            tls: Tls(Arc::new(move || transport::tls(ca_file.as_deref()))),
            idle: Mutex::default(),
            permits: Semaphore::new(AT_ONCE),
        })
    }

    fn idle(&self, key: &Key) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let all = idle.get_mut(key)?;
        all.retain(|(since, client)| since.elapsed() < IDLE && !client.is_closed());
        all.pop().map(|(_, client)| client)
    }

    fn keep(&self, key: Key, client: Client) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.entry(key).or_default().push((Instant::now(), client));
    }

    /// Opens a session that has signed in.
    async fn open(&self, database: &str, user: &Secret, password: &Secret) -> Opened {
        let mut config = self.config.clone();
        config.dbname(database).user(user.expose()).password(password.expose());
        let opened = config.connect(self.tls.clone()).await.map(|(client, session)| {
            tokio::spawn(session);
            client
        });
        opened.map_err(|error| match error.as_db_error() {
            // Not a judgment on who asks: it starts, stops, or has no room.
            Some(said) if matches!(&said.code().code()[..2], "57" | "53" | "58" | "08") => {
                let code = said.code().code();
                Failed::Sent(not_sent(format!("the server accepts nobody now ({code})")))
            }
            Some(said) => Failed::Answered(answer_no(said)),
            None if transport::signed_by_a_stranger(&error) => {
                Failed::Sent(TransportError::untrusted())
            }
            None => Failed::Sent(not_sent(format!("no connection: {}", cause(&error)))),
        })
    }

    /// Opens a session for our own requests.
    async fn session(&self, key: &Key, user: &Secret, password: &Secret) -> Opened {
        let client = self.open(&key.0, user, password).await?;
        // Before anything else: nobody's function or table stands before the server's own.
        let mut words = String::from(
            "SET search_path = pg_catalog; SET standard_conforming_strings = on; \
             SET client_min_messages = error; SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
             SET idle_in_transaction_session_timeout = '30s'; SET quote_all_identifiers = off; \
             SET row_security = off",
        );
        if !key.1 {
            words.push_str("; SET default_transaction_read_only = on");
        }
        match client.batch_execute(&words).await {
            Ok(()) => Ok(client),
            Err(error) => Err(match error.as_db_error() {
                Some(said) => Failed::Answered(answer_no(said)),
                None => Failed::Sent(not_sent(format!("no session: {}", cause(&error)))),
            }),
        }
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, TransportError> {
        let header = |name: &str| {
            let found = request.headers.iter().find(|(have, _)| *have == name);
            found.map(|(_, value)| value).ok_or_else(|| not_sent(format!("no {name} is given")))
        };
        let (user, password) = (header("user")?, header("password")?);
        let database =
            if request.path.is_empty() { self.database.clone() } else { request.path.clone() };
        let _permit = self.permits.acquire().await.map_err(|_| not_sent("closed".into()))?;
        if request.effect == Effect::SignIn {
            return match self.open(&database, user, password).await {
                Ok(_) => Ok(answer(200, &Said::default())),
                Err(failed) => failed.into(),
            };
        }
        let body = request.body.as_ref().map_or(&[][..], |body| &body.bytes);
        let saying: Saying<'_> = serde_json::from_slice(body)
            .map_err(|_| not_sent("the request is no statement".into()))?;
        let key = (database, request.effect == Effect::Change);
        let client = match self.idle(&key) {
            Some(client) => client,
            None => match self.session(&key, user, password).await {
                Ok(client) => client,
                Err(failed) => return failed.into(),
            },
        };
        match say(&client, &saying).await {
            Ok(answer) => {
                self.keep(key, client);
                Ok(answer)
            }
            // A session in which something failed is not used again.
            Err(error) => match error.as_db_error() {
                Some(said) => Ok(answer_no(said)),
                None => Err(lost(cause(&error))),
            },
        }
    }
}

/// Why there is no session.
enum Failed {
    Sent(TransportError),
    Answered(Answer),
}

type Opened = Result<Client, Failed>;

impl From<Failed> for Result<Answer, TransportError> {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Sent(error) => Err(error),
            Failed::Answered(answer) => Ok(answer),
        }
    }
}

async fn say(client: &Client, saying: &Saying<'_>) -> Result<Answer, tokio_postgres::Error> {
    let Some(args) = &saying.args else {
        client.batch_execute(&saying.sql).await?;
        return Ok(answer(200, &Said::default()));
    };
    let args: Vec<(&(dyn ToSql + Sync), Type)> =
        args.iter().map(|arg| (arg as &(dyn ToSql + Sync), Type::TEXT)).collect();
    let rows = client.query_typed(&saying.sql, &args).await?;
    let text = match rows.first() {
        Some(row) => row.try_get::<_, Option<&str>>(0)?.unwrap_or_default(),
        None => "",
    };
    let status = if text.len() > LARGEST { 413 } else { 200 };
    Ok(Answer::new(status, Vec::new(), text.as_bytes().to_vec()))
}

fn answer(status: u16, said: &Said) -> Answer {
    let body = serde_json::to_vec(said).unwrap_or_default();
    Answer::new(status, Vec::new(), body)
}

/// A no of the server: its code alone, since its words may quote what was said to it.
fn answer_no(said: &DbError) -> Answer {
    let code = said.code().code();
    // With an error the transaction is undone; what ends the session says nothing about it.
    let judged = matches!(said.parsed_severity(), Some(Severity::Error)) || code.starts_with("28");
    answer(if judged { status(code) } else { final_status(code) }, &Said { sqlstate: code.into() })
}

/// What a code means in the words of the layers.
fn status(code: &str) -> u16 {
    match code {
        "28P01" | "28000" => 401,
        "42501" | "0L000" | "0LP01" => 403,
        "42704" | "42P01" | "42703" | "3D000" | "3F000" | "42883" => 404,
        // It is there already, somebody else changed it, holds it, or depends on it; and what our own
        // comparison ends in, a division by nothing.
        "42710" | "23505" | "40001" | "40P01" | "55P03" | "57014" | "2BP01" | "22012" | "XX000" => {
            409
        }
        "53300" | "53400" => 503,
        _ => 400,
    }
}

/// The same where the session ended with it.
fn final_status(code: &str) -> u16 {
    match code {
        "42501" => 403,
        "3D000" => 404,
        "53300" => 503,
        _ => 500,
    }
}

fn not_sent(message: String) -> TransportError {
    TransportError::network(message, Outcome::NotSent)
}

fn lost(message: String) -> TransportError {
    TransportError::network(message, Outcome::Ambiguous)
}

/// The innermost cause, which quotes nothing that was said.
fn cause(error: &tokio_postgres::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        match tokio::time::timeout(request.deadline, self.exchange(&request)).await {
            Ok(answered) => answered,
            Err(_) => Err(lost("no answer within the deadline".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use connector::conformance::route;

    use super::*;

    fn wire(address: &str) -> Result<Wire, String> {
        Wire::new(&route(address))
    }

    #[test]
    fn an_address_is_secured_unless_it_is_this_machine_or_says_otherwise() {
        for (address, database, secured) in [
            ("postgresql://127.0.0.1:5433", "postgres", false),
            ("postgres://localhost/shop", "shop", false),
            ("postgresql://[::1]/a%20b", "a b", false),
            ("postgresql://db.acme.example/shop", "shop", true),
            ("postgresql://db.acme.example/shop?sslmode=disable", "shop", false),
            ("postgresql://127.0.0.1/?sslmode=require", "postgres", true),
        ] {
            let wire = wire(address).unwrap();
            assert_eq!(
                (&*wire.database, wire.config.get_ssl_mode() == SslMode::Require),
                (database, secured),
                "{address}"
            );
        }
        for wrong in [
            "postgresql://nhi:secret@db.acme.example/shop",
            "https://db.acme.example",
            "db.acme.example:5432",
            "postgresql:///shop",
            "postgresql://db.acme.example/?sslmode=prefer",
            "postgresql://db.acme.example/?options=-c",
        ] {
            let said = wire(wrong).unwrap_err();
            assert!(!said.contains("secret@"), "{said}");
        }
    }

    #[test]
    fn what_the_server_says_is_no_unless_it_ended_the_session() {
        for (code, ours) in [
            ("28P01", 401),
            ("42501", 403),
            ("42710", 409),
            ("40001", 409),
            ("2BP01", 409),
            ("42601", 400),
        ] {
            assert_eq!(status(code), ours, "{code}");
        }
        for code in ["57P01", "57P02", "XX000", "08006"] {
            assert_eq!(final_status(code), 500, "{code}");
        }
    }
}
