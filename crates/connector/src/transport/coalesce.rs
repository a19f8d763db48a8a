//! Readers of one connection share one listing: a plan asks for the same page once.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::{Answer, Effect, Request, Transport, TransportError};

/// How long an answer may be shared. Longer than a plan's Reads take, shorter than a person's pause.
const KEPT: Duration = Duration::from_secs(60);

/// Shares answers of [`Request::shared`] reads, in flight and for a short while after. Any change
/// through the same connection ends all sharing: what follows it must see it.
pub struct Coalesce {
    inner: Arc<dyn Transport>,
    kept: Mutex<Kept>,
}

/// How often what is over is let go of: a look at all the rest.
const SWEPT: Duration = Duration::from_secs(10);

/// One answer, or the wait for it.
type Shared = Arc<OnceCell<Mutex<Answer>>>;

struct Kept {
    answers: HashMap<Box<str>, (Instant, Shared)>,
    swept: Instant,
}

impl Kept {
    fn new() -> Kept {
        Kept { answers: HashMap::new(), swept: Instant::now() }
    }

    fn let_go(&mut self, now: Instant) {
        if now.duration_since(self.swept) >= SWEPT {
            self.swept = now;
            self.answers.retain(|_, (begun, _)| now.duration_since(*begun) < KEPT);
        }
    }
}

impl Coalesce {
    /// Wraps a transport.
    pub fn new(inner: Arc<dyn Transport>) -> Coalesce {
        Coalesce { inner, kept: Mutex::new(Kept::new()) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self) {
        *self.kept() = Kept::new();
    }

    /// Forgets one answer, unless another has taken its place.
    fn forget(&self, key: &str, answer: &Shared) {
        let mut kept = self.kept();
        if kept.answers.get(key).is_some_and(|(_, one)| Arc::ptr_eq(one, answer)) {
            kept.answers.remove(key);
        }
    }

    fn entry(&self, key: &str) -> Shared {
        let (now, mut kept) = (Instant::now(), self.kept());
        kept.let_go(now);
        match kept.answers.get(key) {
            Some((begun, answer)) if now.duration_since(*begun) < KEPT => answer.clone(),
            _ => {
                let answer = Shared::default();
                kept.answers.insert(key.into(), (now, answer.clone()));
                answer
            }
        }
    }
}

impl fmt::Debug for Coalesce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Coalesce({:?})", self.inner)
    }
}

/// What makes two requests the same. Our credential does not: one connection has one.
fn key(request: &Request) -> String {
    let namespace = request
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("x-vault-namespace"))
        .map_or("", |(_, value)| value.expose());
    let body =
        request.body.as_ref().map_or("", |body| std::str::from_utf8(&body.bytes).unwrap_or(""));
    format!("{} {} {namespace} {body}", request.method, request.path)
}

/// Whether a refusal may be over at the next look: readers in flight share it, nobody after them.
fn passes(status: u16) -> bool {
    matches!(status, 401 | 429 | 500..)
}

/// One reader's copy. What was read once is not kept as bytes too.
fn copy(kept: &Mutex<Answer>) -> Answer {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.without_what_was_read();
    kept.clone()
}

#[async_trait]
impl Transport for Coalesce {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        if request.effect == Effect::Change {
            // Before and after: a reader between the two may see either, and neither may be kept.
            self.clear();
            let answer = self.inner.send(request).await;
            self.clear();
            return answer;
        }
        if !(request.shared && request.effect == Effect::Read) {
            return self.inner.send(request).await;
        }
        let key = key(&request);
        let shared = self.entry(&key);
        let answer = shared
            .get_or_try_init(|| async { self.inner.send(request).await.map(Mutex::new) })
            .await?;
        let answer = copy(answer);
        if passes(answer.status) {
            self.forget(&key, &shared);
        }
        Ok(answer)
    }
}
