//! No more requests than a tenant may be sent, and none while it asked for patience.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{Answer, Request, Transport, TransportError, patience};
use crate::{Clock, Outcome};

/// What several processes may ask of a tenant together.
#[async_trait]
pub trait SharedBudget: fmt::Debug + Send + Sync {
    /// Takes so many requests at most, of so many a second for all: how many, or how long to wait for one.
    /// `None` where nobody can be asked: then this process keeps count alone.
    async fn draw(
        &self,
        connection: &str,
        most: u32,
        per_second: u32,
    ) -> Option<Result<u32, Duration>>;

    /// The platform asked for patience: all leave it alone.
    async fn freeze(&self, connection: &str, time: Duration);
}

/// A bucket that refills with time; it is frozen for as long as the platform asks for patience.
pub struct Budget {
    inner: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    per_second: f64,
    /// Where it is shared, with whom, and the connection's name there.
    shared: Option<(Arc<dyn SharedBudget>, String)>,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
    frozen_until: Option<Instant>,
    /// What was drawn of what is shared and not spent yet, and when.
    drawn: (u32, Instant),
}

/// The longest freeze that is obeyed.
const LONGEST_FREEZE: Duration = Duration::from_secs(3600);

/// What was drawn and not spent for so long is not spent any more: others may have done so.
const DRAWN_FOR: Duration = Duration::from_secs(1);

impl Budget {
    /// Wraps a transport, with so many requests a second.
    pub fn new(inner: Arc<dyn Transport>, clock: Arc<dyn Clock>, per_second: u32) -> Budget {
        let per_second = f64::from(per_second.max(1));
        let now = Instant::now();
        let bucket = Bucket { tokens: per_second, at: now, frozen_until: None, drawn: (0, now) };
        Budget { inner, clock, per_second, shared: None, bucket: Mutex::new(bucket) }
    }

    /// With others: what is drawn together is no more than that.
    #[must_use]
    pub fn shared(self, with: Option<Arc<dyn SharedBudget>>, connection: &str) -> Budget {
        Budget { shared: with.map(|with| (with, connection.to_owned())), ..self }
    }

    /// Takes one, or says how long to wait.
    async fn take(&self) -> Result<(), Duration> {
        let mut bucket = self.bucket.lock().await;
        let now = Instant::now();
        if let Some(until) = bucket.frozen_until.filter(|until| *until > now) {
            return Err(until - now);
        }
        if let Some((shared, connection)) = &self.shared {
            let (left, at) = bucket.drawn;
            if left > 0 && at.elapsed() < DRAWN_FOR {
                bucket.drawn.0 -= 1;
                return Ok(());
            }
            // A tenth of a second's worth at once: others come to it as well.
            let per_second = self.per_second as u32;
            match shared.draw(connection, (per_second / 10).max(1), per_second).await {
                Some(Ok(drawn)) => {
                    bucket.drawn = (drawn.saturating_sub(1), Instant::now());
                    return Ok(());
                }
                Some(Err(wait)) => return Err(wait.max(Duration::from_millis(1))),
                None => {}
            }
        }
        let earned = now.duration_since(bucket.at).as_secs_f64() * self.per_second;
        bucket.tokens = (bucket.tokens + earned).min(self.per_second);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.tokens) / self.per_second))
    }

    async fn wait(&self, deadline: Duration) -> Result<(), TransportError> {
        let begun = Instant::now();
        while let Err(wait) = self.take().await {
            if begun.elapsed() + wait > deadline {
                let wait = wait.as_secs() + 1;
                let message = format!("the platform asked to wait {wait} more seconds");
                return Err(TransportError::network(message, Outcome::NotSent));
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({}/s, {:?})", self.per_second, self.inner)
    }
}

#[async_trait]
impl Transport for Budget {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        self.wait(request.deadline).await?;
        let answer = self.inner.send(request).await?;
        if let Some(freeze) = patience(&answer, self.clock.now()) {
            let freeze = freeze.min(LONGEST_FREEZE);
            self.bucket.lock().await.frozen_until = Some(Instant::now() + freeze);
            if let Some((shared, connection)) = &self.shared {
                shared.freeze(connection, freeze).await;
            }
        }
        Ok(answer)
    }
}
