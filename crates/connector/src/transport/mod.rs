//! How a connector reaches its platform: one request in, one answer out, layers in between.

mod budget;
mod coalesce;
mod dated;
mod deadline;
mod http;
pub mod json;
mod read_only;
mod retry;
mod revalidate;
mod trace;

use std::{
    any::Any,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use domain::Secret;
use jiff::Timestamp;
use zeroize::Zeroizing;

pub use self::{
    budget::{Budget, SharedBudget},
    coalesce::Coalesce,
    dated::Dated,
    deadline::Deadline,
    http::{HttpOptions, HttpTransport, signed_by_a_stranger, tls},
    read_only::ReadOnly,
    retry::Retry,
    revalidate::Revalidate,
    trace::Trace,
};
use crate::{Clock, Error, Outcome, Refusal};

/// How a connection reaches its platform.
#[derive(Debug, Clone)]
pub struct Route {
    /// The connection's name, for the log.
    pub connection: String,
    /// Scheme, host, port, perhaps a path.
    pub address: String,
    /// Other addresses of the same platform, which requests name whole.
    pub also: Vec<String>,
    /// Certificates (PEM) to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Requests a second, at most.
    pub budget: u32,
    /// Nothing may be changed.
    pub read_only: bool,
    /// The longest that a call which changes something is waited for.
    pub call_deadline: Duration,
    /// The time, and who is told what time it is there.
    pub clock: Arc<dyn Clock>,
    /// Where the budget is one of several processes.
    pub shared: Option<Arc<dyn SharedBudget>>,
}

/// HTTP without layers: what most platforms speak.
///
/// # Errors
///
/// The address is not usable.
pub fn http(route: &Route) -> Result<Arc<dyn Transport>, String> {
    let options = HttpOptions { address: route.address.clone(), ca_file: route.ca_file.clone() };
    Ok(Arc::new(HttpTransport::new(options)?.with(route.also.clone())))
}

/// All layers around what sends, outermost first: shared, read-only, revalidated, retried, within a
/// deadline, budgeted, traced, dated. A turn that is waited for counts into the deadline.
pub fn connect(route: Route, wire: Arc<dyn Transport>) -> Arc<dyn Transport> {
    let Route { connection, budget, read_only, call_deadline, clock, shared, .. } = route;
    let transport: Arc<dyn Transport> =
        Arc::new(Dated::new(wire, connection.clone(), clock.clone()));
    let transport: Arc<dyn Transport> = Arc::new(Trace::new(transport, connection.clone()));
    let budgeted = Budget::new(transport, clock.clone(), budget).shared(shared, &connection);
    let transport: Arc<dyn Transport> = Arc::new(budgeted);
    let transport: Arc<dyn Transport> = Arc::new(Deadline::new(transport, call_deadline));
    let transport: Arc<dyn Transport> = Arc::new(Retry::new(transport, clock));
    let transport: Arc<dyn Transport> = Arc::new(Revalidate::new(transport));
    let transport: Arc<dyn Transport> =
        if read_only { Arc::new(ReadOnly::new(transport)) } else { transport };
    Arc::new(Coalesce::new(transport))
}

/// How long an answer asks to wait: seconds, or an HTTP date against our clock; at most an hour.
pub fn retry_after(answer: &Answer, now: Timestamp) -> Option<Duration> {
    const LONGEST: u64 = 3600;
    let text = answer.header("retry-after")?.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            u64::try_from(at.as_second() - now.as_second()).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(seconds.min(LONGEST)))
}

/// How long an answer asks to leave the platform alone; `None` where it does not. Beside a 429, some
/// say so with a 403 and a `Retry-After`, or with an answer that tells that no request is left until a
/// time (`x-ratelimit-remaining`, `x-ratelimit-reset`).
pub fn patience(answer: &Answer, now: Timestamp) -> Option<Duration> {
    const UNTOLD: Duration = Duration::from_secs(1);
    let asked = retry_after(answer, now);
    match answer.status {
        429 => asked.or_else(|| used_up(answer, now)).or(Some(UNTOLD)),
        403 => asked.or_else(|| used_up(answer, now)),
        _ => used_up(answer, now),
    }
}

/// How long no request is left, where the answer tells that.
fn used_up(answer: &Answer, now: Timestamp) -> Option<Duration> {
    const LONGEST: u64 = 3600;
    if answer.header("x-ratelimit-remaining")?.trim() != "0" {
        return None;
    }
    let reset: i64 = answer.header("x-ratelimit-reset")?.trim().parse().ok()?;
    // Their second has to be over.
    let left = u64::try_from(reset.saturating_sub(now.as_second())).unwrap_or(0) + 1;
    Some(Duration::from_secs(left.min(LONGEST)))
}

/// What a request does at the platform, which its method alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Looks. May be repeated, coalesced, and sent by a read-only connection.
    Read,
    /// Signs in or out, or revokes what that minted. Never repeated; a read-only connection sends
    /// it, since it cannot look without its own and nothing that is declared changes.
    SignIn,
    /// Changes something. Sent once: no retry, no redirect.
    Change,
}

/// A request. Its `Debug` shows method and template only.
pub struct Request {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`, `LIST`.
    pub method: &'static str,
    /// Path and query relative to the connection's address, or an absolute URL of one of its
    /// addresses.
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
    /// An answer that this process has from before will do where the server says that it is still the
    /// same one (its `ETag`).
    pub revalidates: bool,
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
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers that any client of ours reads, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body, wiped when its last holder is dropped; it may carry live secrets. Empty once
    /// [`Answer::read_once`] has made something of it for all who share the answer.
    pub body: Arc<Zeroizing<Vec<u8>>>,
    reading: Arc<Mutex<Reading>>,
}

/// What was made of a body.
type Reading = Option<Arc<dyn Any + Send + Sync>>;

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
            revalidates: false,
            fresh_connection: false,
            deadline: Duration::from_secs(30),
        }
    }

    /// A change.
    pub fn change(
        method: &'static str,
        path: impl Into<String>,
        template: &'static str,
    ) -> Request {
        Request { method, effect: Effect::Change, ..Request::get(path, template) }
    }

    /// The same request once more, for layers that repeat reads.
    pub fn again(&self) -> Request {
        let body = self.body.as_ref().map(|body| Body {
            content_type: body.content_type,
            bytes: Zeroizing::new(body.bytes.to_vec()),
        });
        let headers = self.headers.iter().map(|(name, value)| (*name, value.duplicate())).collect();
        Request { headers, body, path: self.path.clone(), ..*self }
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
    /// An answer that nobody has read yet.
    pub fn new(status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> Answer {
        let body = Arc::new(Zeroizing::new(body));
        Answer { status, headers, body, reading: Arc::default() }
    }

    /// Reads the body once for all who share this answer, and lets what was made of it take the
    /// place of the bytes: a plan has thousands of readers of one long listing. Whoever comes while
    /// it is read waits. All readers of one path ask for the same `T`.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub fn read_once<T: Any + Send + Sync, E>(
        &self,
        read: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = reading.clone().and_then(|known| known.downcast().ok()) {
            return Ok(known);
        }
        let known = Arc::new(read(&self.body)?);
        *reading = Some(known.clone());
        Ok(known)
    }

    /// Lets go of the bytes, if something was made of them.
    fn without_what_was_read(&mut self) {
        if self.reading.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            self.body = Arc::default();
        }
    }

    /// A header's text, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| *have == name).map(|(_, value)| value.as_str())
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
    /// What kind of thing was in the way.
    pub why: NoAnswer,
}

/// What was in the way of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// The network, the server, or time.
    Network,
    /// The connection is read-only: nothing was sent.
    ReadOnly,
    /// Who signed the server's certificate is not known here: nothing was sent.
    Untrusted,
}

impl TransportError {
    /// Something between us and the server.
    pub fn network(message: String, outcome: Outcome) -> TransportError {
        TransportError { message, outcome, why: NoAnswer::Network }
    }

    /// A server whose certificate somebody signed who is not known here.
    pub fn untrusted() -> TransportError {
        TransportError {
            message: "who signed the server's certificate is not known here: name a file with the \
                      certificate of that authority in ca_file"
                .into(),
            outcome: Outcome::NotSent,
            why: NoAnswer::Untrusted,
        }
    }

    /// What a connector's caller is told of it.
    pub fn of(self, what: String) -> Error {
        let TransportError { message, outcome, why } = self;
        match why {
            NoAnswer::ReadOnly => Error::Refused { what, refusal: Refusal::ReadOnly, message },
            NoAnswer::Untrusted => Error::Untrusted { what, message },
            NoAnswer::Network => Error::Unreachable { what, message, outcome },
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemClock;

    /// Answers in order with these statuses, and counts.
    #[derive(Debug)]
    struct Script(Mutex<Vec<u16>>, Mutex<u32>);

    #[async_trait]
    impl Transport for Script {
        async fn send(&self, _request: Request) -> Result<Answer, TransportError> {
            *self.1.lock().unwrap() += 1;
            let mut script = self.0.lock().unwrap();
            let status = if script.len() > 1 { script.remove(0) } else { script[0] };
            let headers = match status {
                429 => vec![("retry-after", "1".to_owned())],
                _ => Vec::new(),
            };
            Ok(Answer::new(status, headers, b"verysecret-answer".to_vec()))
        }
    }

    fn script(statuses: &[u16]) -> Arc<Script> {
        Arc::new(Script(Mutex::new(statuses.to_vec()), Mutex::new(0)))
    }

    fn shared() -> Request {
        Request { shared: true, ..Request::get("a", "a") }
    }

    #[tokio::test]
    async fn readers_share_an_answer_until_something_changes() {
        let server = script(&[200]);
        let transport = Coalesce::new(server.clone());
        for _ in 0..5 {
            transport.send(shared()).await.unwrap();
        }
        assert_eq!(*server.1.lock().unwrap(), 1);
        transport.send(Request::change("PUT", "a", "a")).await.unwrap();
        transport.send(shared()).await.unwrap();
        assert_eq!(*server.1.lock().unwrap(), 3);
    }

    #[tokio::test]
    async fn a_failure_that_may_pass_is_not_kept_for_later_readers() {
        for (status, asked) in
            [(200, 1), (403, 1), (404, 1), (401, 2), (429, 2), (500, 2), (503, 2)]
        {
            let server = script(&[status]);
            let transport = Coalesce::new(server.clone());
            for _ in 0..2 {
                assert_eq!(transport.send(shared()).await.unwrap().status, status);
            }
            assert_eq!(*server.1.lock().unwrap(), asked, "{status}");
        }
    }

    #[tokio::test]
    async fn reads_are_repeated_and_changes_never() {
        for passing in [429, 500, 502, 503, 504] {
            let transport = Retry::new(script(&[passing, 200]), Arc::new(SystemClock));
            assert_eq!(transport.send(Request::get("a", "a")).await.unwrap().status, 200);
        }
        let server = script(&[503]);
        let transport = Retry::new(server.clone(), Arc::new(SystemClock));
        transport.send(Request::change("PUT", "a", "a")).await.unwrap();
        assert_eq!(*server.1.lock().unwrap(), 1);
    }

    #[tokio::test]
    async fn a_platform_that_asks_for_patience_is_left_alone_for_so_long() {
        let server = script(&[429, 200]);
        let transport = Budget::new(server.clone(), Arc::new(SystemClock), 100);
        let asked = std::time::Instant::now();
        assert_eq!(transport.send(Request::get("a", "a")).await.unwrap().status, 429);
        // Whoever cannot wait is told so, and nothing is sent for them.
        let hurried = Request { deadline: Duration::from_millis(50), ..Request::get("b", "b") };
        let error = transport.send(hurried).await.unwrap_err();
        assert!(error.outcome == Outcome::NotSent && error.message.contains("wait"), "{error}");
        assert_eq!(*server.1.lock().unwrap(), 1);
        assert_eq!(transport.send(Request::get("c", "c")).await.unwrap().status, 200);
        assert!(asked.elapsed() >= Duration::from_millis(990), "{:?}", asked.elapsed());
    }

    #[tokio::test]
    async fn no_more_is_sent_than_the_budget_gives() {
        let transport = Budget::new(script(&[200]), Arc::new(SystemClock), 10);
        let begun = std::time::Instant::now();
        // Ten are there at once, and five more are earned within half a second.
        for _ in 0..15 {
            transport.send(Request::get("a", "a")).await.unwrap();
        }
        assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
    }

    /// What is logged, for a test.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_log_has_method_template_and_status_and_nothing_that_may_be_secret() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        let _default = tracing::subscriber::set_default(subscriber);
        let request = || {
            Request::change("PUT", "api-tokens/verysecret-path", "api-tokens/{secret}")
                .header("Authorization", Secret::new("verysecret-header"))
                .json(&serde_json::json!({"secret": "verysecret-body"}))
        };
        let transport = Trace::new(script(&[200]), "unleash".into());
        transport.send(request()).await.unwrap();
        let refusing = Arc::new(ReadOnly::new(script(&[200])));
        Trace::new(refusing, "unleash".into()).send(request()).await.unwrap_err();
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        for said in ["unleash", "PUT", "api-tokens/{secret}", "200", "without an answer"] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(!text.contains("verysecret"), "{text}");
        assert!(!format!("{:?}", request()).contains("verysecret"));
    }

    #[tokio::test]
    async fn a_read_only_connection_sends_no_change() {
        let server = script(&[200]);
        let transport = ReadOnly::new(server.clone());
        let refused = transport.send(Request::change("PUT", "a", "a")).await.unwrap_err();
        assert_eq!(refused.why, NoAnswer::ReadOnly);
        assert_eq!(*server.1.lock().unwrap(), 0);
    }

    #[tokio::test]
    async fn what_one_reader_made_of_a_shared_answer_serves_all_and_replaces_its_bytes() {
        let transport = Coalesce::new(script(&[200]));
        let first = transport.send(shared()).await.unwrap();
        assert!(first.read_once(|_| Err::<String, _>("unreadable")).is_err(), "not kept");
        let body = Arc::downgrade(&first.body);
        let text = first.read_once(|body| String::from_utf8(body.to_vec())).unwrap();
        assert_eq!(*text, "verysecret-answer");
        drop(first);

        let second = transport.send(shared()).await.unwrap();
        assert!(second.body.is_empty() && body.strong_count() == 0, "the bytes are gone");
        let again = second.read_once(|_| Err::<String, _>("read twice")).unwrap();
        assert!(Arc::ptr_eq(&text, &again));
    }

    #[test]
    fn patience_is_read_in_seconds_and_as_a_date_and_has_an_end() {
        let now: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        let wait = |text: &str| {
            let headers = vec![("retry-after", text.to_owned())];
            retry_after(&Answer::new(429, headers, Vec::new()), now)
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sun, 22 Nov 2026 09:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("99999999"), Some(Duration::from_secs(3600)));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn a_limit_that_is_told_without_a_429_is_one_too() {
        let now: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        let wait = |status, headers: &[(&'static str, &str)]| {
            let headers = headers.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
            patience(&Answer::new(status, headers, Vec::new()), now).map(|wait| wait.as_secs())
        };
        let reset = (now.as_second() + 90).to_string();
        let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset.as_str())];
        let left = [("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", reset.as_str())];
        for status in [200, 304, 403, 429] {
            assert_eq!(wait(status, &used_up), Some(91), "{status}");
        }
        assert_eq!(wait(429, &left), Some(1));
        assert_eq!(wait(403, &[("retry-after", "7")]), Some(7));
        for (status, headers) in [(403, &left[..]), (200, &left), (403, &[]), (503, &[])] {
            assert_eq!(wait(status, headers), None, "{status}");
        }
        assert_eq!(wait(200, &[("x-ratelimit-remaining", "0")]), None, "nobody knows until when");
    }

    #[test]
    fn an_address_with_a_password_in_it_is_refused() {
        let new = |address: &str| {
            HttpTransport::new(HttpOptions { address: address.into(), ca_file: None }).err()
        };
        assert!(new("https://bao.example").is_none());
        assert!(new("https://a:b@bao.example").is_some());
        assert!(new("ftp://bao.example").is_some());
        assert!(new("bao").is_some());
    }
}
