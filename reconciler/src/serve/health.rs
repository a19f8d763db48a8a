//! How it goes, for those who watch: three pages.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
};

use super::door::{Door, Known};

/// How many are answered at once, and for how long each at most.
const AT_ONCE: usize = 32;
const LONGEST: Duration = Duration::from_secs(10);

/// What the last tick of a connection left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// What is declared there and was read.
    pub(crate) read: u64,
    /// What was to be done.
    pub(crate) due: u64,
    /// What is late, and was not done.
    pub(crate) overdue: u64,
    /// What could not be read, or was not asked.
    pub(crate) gaps: u64,
}

/// How it goes.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) ticks: u64,
    pub(crate) ticks_failed: u64,
    pub(crate) done: u64,
    pub(crate) failures: u64,
    pub(crate) last_begun: Option<Timestamp>,
    pub(crate) last_ended: Option<Timestamp>,
    /// The last tick could look at something.
    pub(crate) looked: bool,
    pub(crate) by_connection: BTreeMap<String, Counts>,
    /// What the last comparison of all that is declared came to, as OpenMetrics.
    pub(crate) report: Option<String>,
}

/// It, shared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health(Arc<Mutex<State>>);

impl Health {
    pub(crate) fn note(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn metrics(&self) -> String {
        metrics(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ready(&self) -> Result<(), &'static str> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (state.last_ended, state.looked) {
            (None, _) => Err("no tick has ended yet"),
            (Some(_), false) => Err("the last tick could look at nothing"),
            (Some(_), true) => Ok(()),
        }
    }
}

/// A name as a label's value.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn metrics(state: &State) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: Vec<(String, String)>| {
        let _ = writeln!(text, "# TYPE {name} {kind}\n# HELP {name} {help}");
        for (labels, value) in samples {
            let suffix = if kind == "counter" { "_total" } else { "" };
            let _ = writeln!(text, "{name}{suffix}{labels} {value}");
        }
    };
    let one = |value: u64| vec![(String::new(), value.to_string())];
    let at = |at: Option<Timestamp>| {
        at.map_or_else(Vec::new, |at| vec![(String::new(), at.as_second().to_string())])
    };
    family("nhi_ticks", "counter", "Ticks that were begun.", one(state.ticks));
    family("nhi_ticks_failed", "counter", "Ticks that could not be.", one(state.ticks_failed));
    family("nhi_done", "counter", "Deeds that were done.", one(state.done));
    family("nhi_failures", "counter", "Deeds that were not done.", one(state.failures));
    let help = "When the last tick began, in seconds since 1970.";
    family("nhi_tick_last_begun_seconds", "gauge", help, at(state.last_begun));
    let help = "When the last tick ended, in seconds since 1970.";
    family("nhi_tick_last_ended_seconds", "gauge", help, at(state.last_ended));
    let mut each = |name: &str, help: &str, of: fn(&Counts) -> u64| {
        let samples = state.by_connection.iter().map(|(connection, counts)| {
            (format!("{{connection=\"{}\"}}", label(connection)), of(counts).to_string())
        });
        family(name, "gauge", help, samples.collect());
    };
    each("nhi_read", "What is declared and was read at the last tick.", |one| one.read);
    each("nhi_due", "What was to be done at the last tick.", |one| one.due);
    each("nhi_overdue", "What is late and was not done.", |one| one.overdue);
    each("nhi_gaps", "What could not be read at the last tick.", |one| one.gaps);
    // One after the other: no family of one is a family of the other.
    let report = state.report.as_deref().unwrap_or_default();
    text.push_str(report.strip_suffix("# EOF").unwrap_or(report));
    text.push_str("# EOF\n");
    text
}

/// Answers until the listener is dropped.
pub(crate) async fn answer(listener: TcpListener, health: Health, door: Door) {
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(turn) = gate.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // No file descriptor is left, or the like: it passes.
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let Some(known) = door.known() else { continue };
        let health = health.clone();
        tokio::spawn(async move {
            let answered = async {
                match known.tls.clone() {
                    None => serve(stream, &health, &known).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, &health, &known).await;
                        }
                    }
                }
            };
            let _ = tokio::time::timeout(LONGEST, answered).await;
            drop(turn);
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, health: &Health, known: &Known) {
    let page = service_fn(|request| {
        let told = page(health, known, &request);
        async move { Ok::<_, Infallible>(told) }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), page).await;
}

fn page(health: &Health, known: &Known, request: &Request<Incoming>) -> Response<String> {
    let authorization = request.headers().get("authorization").map(|value| value.as_bytes());
    match known.lets_in(authorization) {
        true => told(health, request.method(), request.uri().path()),
        false => {
            let answer = Response::builder().status(StatusCode::UNAUTHORIZED);
            let answer =
                answer.header("www-authenticate", "Bearer").header("cache-control", "no-store");
            answer.body("who asks?\n".to_owned()).unwrap_or_default()
        }
    }
}

fn told(health: &Health, method: &Method, path: &str) -> Response<String> {
    const TEXT: &str = "text/plain; charset=utf-8";
    const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let (status, kind, text) = match (method, path) {
        (&Method::GET, "/healthz") => (StatusCode::OK, TEXT, "ok\n".to_owned()),
        (&Method::GET, "/readyz") => match health.ready() {
            Ok(()) => (StatusCode::OK, TEXT, "ready\n".to_owned()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
        },
        (&Method::GET, "/metrics") => (StatusCode::OK, METRICS, health.metrics()),
        (&Method::GET, _) => (StatusCode::NOT_FOUND, TEXT, "no such page\n".to_owned()),
        _ => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".to_owned()),
    };
    let answer = Response::builder().status(status).header("content-type", kind);
    answer.header("cache-control", "no-store").body(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_a_tick_could_look_and_the_counts_say_what_it_saw() {
        let health = Health::default();
        let get = |path| told(&health, &Method::GET, path);
        assert_eq!(get("/healthz").status(), 200);
        assert_eq!(get("/readyz").status(), 503);
        health.note(|state| {
            (state.ticks, state.looked) = (1, true);
            state.last_ended = Timestamp::from_second(1_795_500_000).ok();
            let counts = Counts { read: 4, due: 2, overdue: 1, gaps: 3 };
            state.by_connection.insert("ba\"o".into(), counts);
        });
        assert_eq!(get("/readyz").status(), 200);
        let metrics = get("/metrics").into_body();
        for line in [
            "nhi_ticks_total 1",
            "nhi_tick_last_ended_seconds 1795500000",
            "nhi_due{connection=\"ba\\\"o\"} 2",
            "nhi_overdue{connection=\"ba\\\"o\"} 1",
            "nhi_gaps{connection=\"ba\\\"o\"} 3",
        ] {
            assert!(metrics.lines().any(|one| one == line), "{line}: {metrics}");
        }
        assert!(metrics.ends_with("# EOF\n"));
        // Of the last report beside it there is one end, too.
        health.note(|state| state.report = Some("# TYPE nhi_x gauge\nnhi_x 1\n# EOF".into()));
        let metrics = get("/metrics").into_body();
        assert!(metrics.contains("\nnhi_x 1\n# EOF\n"), "{metrics}");
        assert_eq!(metrics.matches("# EOF").count(), 1, "{metrics}");
        health.note(|state| state.looked = false);
        assert_eq!(get("/readyz").status(), 503);
        assert_eq!(get("/").status(), 404);
        assert_eq!(told(&health, &Method::POST, "/metrics").status(), 405);
    }
}
