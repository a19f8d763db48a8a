//! Readers of one connection share one listing: a plan asks for the same page once.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
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
    kept: Mutex<HashMap<String, Kept>>,
}

#[derive(Clone)]
struct Kept {
    begun: Instant,
    answer: Arc<OnceCell<Arc<Answer>>>,
}

impl Coalesce {
    /// Wraps a transport.
    pub fn new(inner: Arc<dyn Transport>) -> Coalesce {
        Coalesce { inner, kept: Mutex::default() }
    }

    fn clear(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets one answer, unless another has taken its place.
    fn forget(&self, key: &str, answer: &Arc<OnceCell<Arc<Answer>>>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.get(key).is_some_and(|one| Arc::ptr_eq(&one.answer, answer)) {
            kept.remove(key);
        }
    }

    fn entry(&self, key: String) -> Kept {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, one| one.begun.elapsed() < KEPT);
        kept.entry(key)
            .or_insert_with(|| Kept { begun: Instant::now(), answer: Arc::default() })
            .clone()
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

fn copy(answer: &Answer) -> Answer {
    Answer { status: answer.status, headers: answer.headers.clone(), body: answer.body.clone() }
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
        let kept = self.entry(key.clone());
        let answer = kept
            .answer
            .get_or_try_init(|| async { self.inner.send(request).await.map(Arc::new) })
            .await?;
        if passes(answer.status) {
            self.forget(&key, &kept.answer);
        }
        Ok(copy(answer))
    }
}
