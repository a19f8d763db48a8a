//! Reads are tried again, a little; changes never.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{Answer, Effect, NoAnswer, Request, Transport, TransportError, retry_after};
use crate::{Clock, Outcome};

/// How often a read is sent at most.
const ATTEMPTS: u32 = 3;
/// The longest that `Retry-After` is obeyed within one call.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Repeats reads that were refused for the moment or did not arrive, inside their deadline.
pub struct Retry {
    inner: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
}

impl Retry {
    /// Wraps a transport.
    pub fn new(inner: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Retry {
        Retry { inner, clock }
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Retry({:?})", self.inner)
    }
}

#[async_trait]
impl Transport for Retry {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        if request.effect != Effect::Read {
            return self.inner.send(request).await;
        }
        let begun = Instant::now();
        let mut attempt = 1;
        loop {
            // All attempts together have the deadline, and not each.
            let left = request.deadline.saturating_sub(begun.elapsed());
            let answer = self.inner.send(Request { deadline: left, ..request.again() }).await;
            let wait = match &answer {
                // A failing look (500) too: OpenBao writes on a role's first read, and of two such
                // reads at once one fails and then never again.
                Ok(answer) if matches!(answer.status, 429 | 500 | 502 | 503 | 504) => {
                    retry_after(answer, self.clock.now()).unwrap_or_else(|| pause(attempt))
                }
                // A refusal that is over after a while, by its own word.
                Ok(answer) if answer.status == 403 && answer.header("retry-after").is_some() => {
                    retry_after(answer, self.clock.now()).unwrap_or_else(|| pause(attempt))
                }
                Err(error)
                    if error.why != NoAnswer::ReadOnly && error.outcome != Outcome::Refused =>
                {
                    pause(attempt)
                }
                _ => return answer,
            };
            let left = request.deadline.saturating_sub(begun.elapsed());
            if attempt >= ATTEMPTS || wait > LONGEST_WAIT.min(left) {
                return answer;
            }
            attempt += 1;
            tokio::time::sleep(wait).await;
        }
    }
}

/// Longer each time, and never the same for two processes that began together.
fn pause(attempt: u32) -> Duration {
    let jitter = u64::from(std::process::id() % 97) + u64::from(attempt) * 31;
    Duration::from_millis(100 * u64::from(attempt * attempt) + jitter)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::SystemClock;

    /// Takes its time, fails, and remembers how long it might have taken.
    #[derive(Debug, Default)]
    struct Slow(Mutex<Vec<Duration>>);

    #[async_trait]
    impl Transport for Slow {
        async fn send(&self, request: Request) -> Result<Answer, TransportError> {
            self.0.lock().unwrap().push(request.deadline);
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok(Answer::new(503, Vec::new(), Vec::new()))
        }
    }

    #[tokio::test]
    async fn all_attempts_of_a_read_share_its_deadline() {
        let slow = Arc::new(Slow::default());
        let retry = Retry::new(slow.clone(), Arc::new(SystemClock));
        let deadline = Duration::from_secs(5);
        retry.send(Request { deadline, ..Request::get("a", "a") }).await.unwrap();
        let given = slow.0.lock().unwrap().clone();
        assert_eq!(given.len(), 3);
        assert!(given[1] <= deadline - Duration::from_millis(200), "{given:?}");
        assert!(given[2] <= given[1] - Duration::from_millis(200), "{given:?}");
    }
}
