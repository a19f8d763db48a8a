//! How it goes, for those who watch: three pages on this machine.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use operations::Problem;
use tokio::{net::TcpListener, sync::Semaphore};

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
    text.push_str("# EOF\n");
    text
}

/// Where it may listen: on this machine alone, since whoever reaches it is not asked who they are.
///
/// # Errors
///
/// `E-LISTEN`.
pub(crate) fn place(text: &str) -> Result<SocketAddr, Problem> {
    let wrong = |why: &str| {
        Problem::new("E-LISTEN", "It does not listen there")
            .detail(format!("{text:?}: {why}."))
            .next(
                "name a port of this machine, as in 127.0.0.1:9464; put a proxy with TLS and \
                   authentication before it where others are to reach it",
            )
    };
    let at: SocketAddr =
        text.parse().map_err(|_| wrong("expected <address>:<port>, with a number for each"))?;
    if !at.ip().is_loopback() {
        return Err(wrong(
            "it speaks without TLS and asks nobody who they are, so it listens on this machine alone",
        ));
    }
    Ok(at)
}

/// Answers until the listener is dropped.
pub(crate) async fn answer(listener: TcpListener, health: Health) {
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(turn) = gate.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // No file descriptor is left, or the like: it passes.
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let health = health.clone();
        tokio::spawn(async move {
            let page = service_fn(|request| {
                let told = page(&health, &request);
                async move { Ok::<_, Infallible>(told) }
            });
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), page);
            let _ = tokio::time::timeout(LONGEST, served).await;
            drop(turn);
        });
    }
}

fn page(health: &Health, request: &Request<Incoming>) -> Response<String> {
    told(health, request.method(), request.uri().path())
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
    fn it_listens_on_this_machine_alone_and_says_why() {
        for fine in ["127.0.0.1:0", "127.8.8.8:9464", "[::1]:9464"] {
            assert!(place(fine).is_ok(), "{fine}");
        }
        for wrong in ["0.0.0.0:9464", "[::]:9464", "192.168.1.4:9464", "[::ffff:127.0.0.1]:1"] {
            let problem = place(wrong).unwrap_err();
            assert!(problem.detail.contains("TLS"), "{problem}");
        }
        assert!(place("localhost").unwrap_err().detail.contains("expected"));
    }

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
        health.note(|state| state.looked = false);
        assert_eq!(get("/readyz").status(), 503);
        assert_eq!(get("/").status(), 404);
        assert_eq!(told(&health, &Method::POST, "/metrics").status(), 405);
    }
}
