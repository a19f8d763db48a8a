//! How a connector reaches its platform: one request in, one answer out, layers in between.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use domain::Secret;
use zeroize::Zeroizing;

use crate::Outcome;

/// What a request does at the platform, which its method alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Looks. May be repeated, coalesced, and sent by a read-only connection.
    Read,
    /// Signs in or out with a credential under test, or revokes what that minted. Never repeated;
    /// allowed to a read-only connection only where it is our own sign-in.
    SignIn,
    /// Changes something. Sent once: no retry, no redirect.
    Change,
}

/// A request. Its `Debug` shows method and template only.
pub struct Request {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`, `LIST`.
    pub method: &'static str,
    /// Path and query relative to the connection's address, or an absolute URL on the same host.
    pub path: String,
    /// The path with every variable part replaced, for logs and errors: `auth/{mount}/role/{name}`.
    pub template: &'static str,
    /// Header names and values; values may be secret.
    pub headers: Vec<(&'static str, Secret)>,
    /// The body.
    pub body: Option<Body>,
    /// What it does.
    pub effect: Effect,
    /// A result that this process already has, or is just getting, will do.
    pub shared: bool,
    /// Use a connection of its own (probes).
    pub fresh_connection: bool,
    /// The longest it may take.
    pub deadline: Duration,
}

/// A request's body.
pub struct Body {
    /// `application/json`, `application/x-www-form-urlencoded`, …
    pub content_type: &'static str,
    /// The bytes, wiped when dropped.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// An answer. Its `Debug` shows the status only.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, wiped when dropped; it may carry live secrets.
    pub body: Zeroizing<Vec<u8>>,
}

impl Request {
    /// A look.
    pub fn get(path: impl Into<String>, template: &'static str) -> Request {
        Request {
            method: "GET",
            path: path.into(),
            template,
            headers: Vec::new(),
            body: None,
            effect: Effect::Read,
            shared: false,
            fresh_connection: false,
            deadline: Duration::from_secs(30),
        }
    }

    /// A change.
    pub fn change(method: &'static str, path: impl Into<String>, template: &'static str) -> Request {
        Request { method, effect: Effect::Change, ..Request::get(path, template) }
    }

    /// Adds a JSON body.
    #[must_use]
    pub fn json(mut self, value: &serde_json::Value) -> Request {
        let bytes = Zeroizing::new(value.to_string().into_bytes());
        self.body = Some(Body { content_type: "application/json", bytes });
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: Secret) -> Request {
        self.headers.push((name, value));
        self
    }

    /// Method and template: what may be said of it anywhere.
    pub fn what(&self) -> String {
        format!("{} {}", self.method, self.template)
    }
}

impl Answer {
    /// A header's text, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {})", self.method, self.template)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({})", self.status)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// In our own words.
    pub message: String,
    /// What is known of a change that ended so.
    pub outcome: Outcome,
    /// The connection is read-only: nothing was sent.
    pub read_only: bool,
}

/// A way to a platform. Layers wrap one another.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends a request and returns its answer, whatever its status.
    ///
    /// # Errors
    ///
    /// No whole answer came.
    async fn send(&self, request: Request) -> Result<Answer, TransportError>;
}
