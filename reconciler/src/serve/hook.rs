//! What is heard from outside, over the wire: a signed report, taken as `nhi signal` takes it.
//!
//! Whoever has the key is believed, within a few minutes of what they signed, and once.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use connector::Clock;

use data_encoding::HEXLOWER;
use domain::Secret;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use operations::{NewSignal, Problem, receive_signal};
use policy::signal::Kind;
use ring::hmac;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore};
use wiring::Loaded;

use super::notify::SIGNATURE;

/// Longer reports are refused.
const LARGEST: usize = 64 * 1024;
/// What was signed longer ago, or is to come, is refused.
const WINDOW: SignedDuration = SignedDuration::from_mins(5);
/// How many signatures are remembered at most; where more came within the window, none is taken.
const REMEMBERED: usize = 10_000;
/// A shorter key could be guessed.
const SHORTEST: usize = 32;

/// How many are answered at once, and for how long each at most.
const AT_ONCE: usize = 8;
const LONGEST: Duration = Duration::from_secs(30);
/// Where reports go.
const PATH: &str = "/signals";

/// The members of a report.
const MEMBERS: [&str; 9] =
    ["id", "kind", "subject", "key", "source", "at", "evidence", "until", "note"];

/// Where reports are taken.
pub(crate) struct Hook {
    key: hmac::Key,
    config: Option<String>,
    /// Signatures that were taken, each with when it was made.
    seen: Mutex<BTreeMap<String, Timestamp>>,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

type Refused = (StatusCode, &'static str);

/// A signature that is taken once: where what it signs was not kept, for whatever reason, it may be sent once
/// more, as it is. The same twice is no harm, since an id is known by then.
struct Once<'a> {
    hook: &'a Hook,
    signed: Option<String>,
}

impl Once<'_> {
    fn kept(mut self) {
        self.signed = None;
    }
}

impl Drop for Once<'_> {
    fn drop(&mut self) {
        if let Some(signed) = &self.signed {
            self.hook.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(signed);
        }
    }
}

impl Hook {
    /// The one that the configuration names, with where it listens, if it does.
    ///
    /// # Errors
    ///
    /// Its key is not there, or too short.
    pub(crate) fn begin(
        loaded: &Loaded,
        config: Option<&str>,
    ) -> Result<Option<(Arc<Hook>, String)>, Problem> {
        let Some(signals) = &loaded.config.signals else { return Ok(None) };
        let key = loaded.near(&signals.key, "signals.key")?;
        match Hook::new(&key, config) {
            Some(hook) => Ok(Some((Arc::new(hook), signals.listen.clone()))),
            None => Err(Problem::new("E-SECRET", "A secret of our own is too short")
                .detail(format!(
                    "signals.key: {SHORTEST} characters at least; whoever guesses it has credentials \
                     rotated."
                ))
                .next("openssl rand -hex 32 makes one")),
        }
    }

    fn new(key: &Secret, config: Option<&str>) -> Option<Hook> {
        let text = key.expose().trim();
        (text.len() >= SHORTEST).then(|| Hook {
            key: hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()),
            config: config.map(str::to_owned),
            seen: Mutex::default(),
        })
    }

    /// Takes a report: what is answered.
    pub(crate) async fn take(
        &self,
        signature: Option<&str>,
        body: impl Body<Data = Bytes>,
        now: Timestamp,
    ) -> (StatusCode, String) {
        let told = |(status, why): Refused| (status, format!("{why}\n"));
        let Some(body) = whole(body).await else {
            return told((StatusCode::PAYLOAD_TOO_LARGE, "a report has 64 KiB at most"));
        };
        let once = match self.verified(signature, &body, now) {
            Ok(signed) => Once { hook: self, signed: Some(signed) },
            Err(refused) => return told(refused),
        };
        let new = match read(&body) {
            Ok(new) => new,
            Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")),
        };
        match self.keep(&new).await {
            Ok(answer) => {
                once.kept();
                (StatusCode::OK, format!("{answer}\n"))
            }
            Err(problem) => {
                let status = match problem.code {
                    "E-SIGNAL" | "E-SIGNAL-NOTHING" => StatusCode::UNPROCESSABLE_ENTITY,
                    "E-SIGNAL-UNKNOWN" => StatusCode::NOT_FOUND,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                };
                // What there is else is nobody's business who only reports.
                let why = json!({ "code": problem.code, "summary": problem.summary });
                (status, format!("{why}\n"))
            }
        }
    }

    async fn keep(&self, new: &NewSignal) -> Result<Value, Problem> {
        let loaded = wiring::load(self.config.as_deref())?;
        let (context, _) = loaded.context_to_end("nhi", "webhook")?;
        let received = receive_signal(&context, new).await;
        let closed = context.ledger.close().await;
        let received = received?;
        closed?;
        let id = received.signals.first().map(|one| one.id.clone());
        Ok(json!({ "format": "nhi-signal/1", "id": id, "known": received.known }))
    }

    /// Whether a report is signed, now, and for the first time. `header`: `t=<seconds>,v1=<hex>`, the
    /// HMAC-SHA256 of `<seconds>.<body>`.
    fn verified(
        &self,
        header: Option<&str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<String, Refused> {
        const UNSIGNED: Refused =
            (StatusCode::UNAUTHORIZED, "it is not signed: nhi-signature: t=<seconds>,v1=<hex>");
        let parts: BTreeMap<&str, &str> = header
            .ok_or(UNSIGNED)?
            .split(',')
            .filter_map(|part| part.trim().split_once('='))
            .collect();
        let seconds: i64 = parts.get("t").and_then(|text| text.parse().ok()).ok_or(UNSIGNED)?;
        let tag = parts.get("v1").and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok());
        let tag = tag.ok_or(UNSIGNED)?;
        let mut signed = format!("{seconds}.").into_bytes();
        signed.extend_from_slice(body);
        // In the same time, whatever stands there.
        hmac::verify(&self.key, &signed, &tag).map_err(|_| {
            (StatusCode::UNAUTHORIZED, "it is not signed with the key of this place")
        })?;
        let at = Timestamp::from_second(seconds).map_err(|_| UNSIGNED)?;
        if at.duration_since(now).abs() > WINDOW {
            return Err((StatusCode::UNAUTHORIZED, "it was not signed within five minutes of now"));
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, at| at.duration_since(now).abs() <= WINDOW);
        let hex = HEXLOWER.encode(&tag);
        if seen.contains_key(&hex) {
            return Err((StatusCode::CONFLICT, "it was taken before"));
        }
        if seen.len() >= REMEMBERED {
            return Err((StatusCode::TOO_MANY_REQUESTS, "too much is reported"));
        }
        seen.insert(hex.clone(), at);
        Ok(hex)
    }
}

/// Where it may listen: whoever is asked nothing but their signature is on this machine.
///
/// # Errors
///
/// `E-LISTEN`.
pub(crate) fn place(text: &str) -> Result<SocketAddr, Problem> {
    let wrong = |why: &str| {
        Problem::new("E-LISTEN", "It does not listen there").detail(format!("{text:?}: {why}.")).next(
            "name a port of this machine, as in 127.0.0.1:9465; put a proxy with TLS before it where \
             others are to reach it",
        )
    };
    let at: SocketAddr =
        text.parse().map_err(|_| wrong("expected <address>:<port>, with a number for each"))?;
    match at.ip().is_loopback() {
        true => Ok(at),
        false => Err(wrong("it speaks without TLS, so it listens on this machine alone")),
    }
}

/// Answers until the listener is dropped.
pub(crate) async fn answer(
    listener: TcpListener,
    hook: Arc<Hook>,
    clock: impl Clock + Clone + 'static,
) {
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(turn) = gate.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // No file descriptor is left, or the like: it passes.
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let (hook, clock) = (hook.clone(), clock.clone());
        tokio::spawn(async move {
            let page = service_fn(|request| {
                let (hook, now) = (hook.clone(), clock.now());
                async move { Ok::<_, Infallible>(answered(&hook, request, now).await) }
            });
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), page);
            let _ = tokio::time::timeout(LONGEST, served).await;
            drop(turn);
        });
    }
}

async fn answered(hook: &Hook, request: Request<Incoming>, now: Timestamp) -> Response<String> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::POST, PATH) => {
            let signature = request.headers().get(SIGNATURE).and_then(|value| value.to_str().ok());
            let signature = signature.map(str::to_owned);
            hook.take(signature.as_deref(), request.into_body(), now).await
        }
        (_, PATH) => (StatusCode::METHOD_NOT_ALLOWED, "only POST\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "no such page\n".to_owned()),
    };
    let answer = Response::builder().status(status).header("cache-control", "no-store");
    answer.body(text).unwrap_or_default()
}

/// The whole body; `None` where it is too long, or breaks off.
async fn whole(body: impl Body<Data = Bytes>) -> Option<Vec<u8>> {
    let mut body = Box::pin(body);
    if body.size_hint().lower() > LARGEST as u64 {
        return None;
    }
    let mut text = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::as_mut(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        if text.len() + data.len() > LARGEST {
            return None;
        }
        text.extend_from_slice(&data);
    }
    Some(text)
}

fn read(body: &[u8]) -> Result<NewSignal, String> {
    let value: Value = serde_json::from_slice(body).map_err(|_| "it is no JSON".to_owned())?;
    let members = value.as_object().ok_or("it is no object")?;
    if let Some(name) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        let name: String = name.chars().filter(|one| !one.is_control()).take(40).collect();
        return Err(format!("nothing of the name {name:?} is read here: {}", MEMBERS.join(", ")));
    }
    let text = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{name} must be a text")),
    };
    let must = |name: &str| text(name)?.ok_or_else(|| format!("{name} is missing"));
    let moment = |name: &str| match text(name)? {
        None => Ok(None),
        Some(text) => text
            .parse::<Timestamp>()
            .map(Some)
            .map_err(|_| format!("{name} must be a moment, as 2026-11-22T08:30:00Z")),
    };
    let kind = Kind::from_word(&must("kind")?);
    Ok(NewSignal {
        // Without one, a report that is sent again after an answer was lost is another one.
        id: Some(must("id")?),
        kind: kind.ok_or("kind must be exposure, anomaly or incident")?,
        subject: must("subject")?,
        key: text("key")?,
        at: moment("at")?,
        source: must("source")?,
        evidence: text("evidence")?,
        ends_at: moment("until")?,
        note: text("note")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_795_500_000, 0);
    const BODY: &[u8] = br#"{"id":"1","kind":"exposure","subject":"hub/user/x","source":"siem"}"#;

    fn key(c: char) -> Secret {
        Secret::new(c.to_string().repeat(40))
    }

    fn hook() -> Hook {
        Hook::new(&key('k'), None).unwrap()
    }

    fn signed(key: &Secret, seconds: i64, body: &[u8]) -> String {
        let at = Timestamp::from_second(seconds).unwrap();
        super::super::notify::signature(key, at, std::str::from_utf8(body).unwrap())
    }

    #[test]
    fn what_is_signed_now_is_taken_once_and_nothing_else_is() {
        let hook = hook();
        let now = NOW.as_second();
        let status = |header: Option<&str>, body: &[u8]| {
            hook.verified(header, body, NOW).map(drop).map_err(|(status, _)| status.as_u16())
        };
        let good = signed(&key('k'), now, BODY);
        assert_eq!(status(None, BODY), Err(401));
        for wrong in ["", "t=1", "v1=00", "t=x,v1=00", &format!("t={now},v1=zz")] {
            assert_eq!(status(Some(wrong), BODY), Err(401), "{wrong}");
        }
        assert_eq!(status(Some(&signed(&key('x'), now, BODY)), BODY), Err(401), "another key");
        assert_eq!(status(Some(&good), b"{}"), Err(401), "another body");
        for away in [-301, 301] {
            let stale = signed(&key('k'), now + away, BODY);
            assert_eq!(status(Some(&stale), BODY), Err(401), "{away}");
        }
        assert_eq!(status(Some(&good), BODY), Ok(()));
        assert_eq!(status(Some(&good), BODY), Err(409), "a replay");
        // A signature of another moment is another one, and one whose time is over is forgotten.
        assert_eq!(status(Some(&signed(&key('k'), now + 1, BODY)), BODY), Ok(()));
        let later = NOW + SignedDuration::from_secs(400);
        let fresh = signed(&key('k'), now + 400, BODY);
        assert!(hook.verified(Some(&fresh), BODY, later).is_ok());
        assert_eq!(hook.seen.lock().unwrap().len(), 1);
        // Who is cut off before it is kept sends it once more.
        let signed = hook.seen.lock().unwrap().keys().next().cloned();
        drop(Once { hook: &hook, signed: signed.clone() });
        assert!(hook.verified(Some(&fresh), BODY, later).is_ok());
        Once { hook: &hook, signed }.kept();
        assert!(hook.verified(Some(&fresh), BODY, later).is_err());
        assert!(Hook::new(&Secret::new("short"), None).is_none());
    }

    #[test]
    fn a_report_says_what_it_is_or_what_is_wrong_with_it_is_said() {
        let new = read(BODY).unwrap();
        assert_eq!((new.kind, new.id.as_deref()), (Kind::Exposure, Some("1")));
        for (wrong, why) in [
            ("[]", "no object"),
            ("{", "no JSON"),
            (r#"{"id":"1"}"#, "kind is missing"),
            (r#"{"id":"1","kind":"x","subject":"a","source":"b"}"#, "kind must be"),
            (r#"{"id":1,"kind":"anomaly","subject":"a","source":"b"}"#, "id must be a text"),
            (r#"{"kind":"anomaly","subject":"a","source":"b"}"#, "id is missing"),
            (r#"{"id":"1","kind":"anomaly","subject":"a","source":"b","at":"x"}"#, "a moment"),
            (r#"{"id":"1","kind":"anomaly","subject":"a","source":"b","who":"x"}"#, "who"),
        ] {
            let said = read(wrong.as_bytes()).unwrap_err();
            assert!(said.contains(why), "{wrong}: {said}");
        }
    }
}
