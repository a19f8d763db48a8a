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

/// A bucket that refills with time; it is frozen for as long as the platform asks for patience.
pub struct Budget {
    inner: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    per_second: f64,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
    frozen_until: Option<Instant>,
}

/// The longest freeze that is obeyed.
const LONGEST_FREEZE: Duration = Duration::from_secs(3600);

impl Budget {
    /// Wraps a transport, with so many requests a second.
    pub fn new(inner: Arc<dyn Transport>, clock: Arc<dyn Clock>, per_second: u32) -> Budget {
        let per_second = f64::from(per_second.max(1));
        let bucket = Bucket { tokens: per_second, at: Instant::now(), frozen_until: None };
        Budget { inner, clock, per_second, bucket: Mutex::new(bucket) }
    }

    async fn wait(&self, deadline: Duration) -> Result<(), TransportError> {
        let begun = Instant::now();
        loop {
            let mut bucket = self.bucket.lock().await;
            let now = Instant::now();
            let earned = now.duration_since(bucket.at).as_secs_f64() * self.per_second;
            bucket.tokens = (bucket.tokens + earned).min(self.per_second);
            bucket.at = now;
            let wait = match bucket.frozen_until {
                Some(until) if until > now => until - now,
                _ if bucket.tokens >= 1.0 => {
                    bucket.tokens -= 1.0;
                    return Ok(());
                }
                _ => Duration::from_secs_f64((1.0 - bucket.tokens) / self.per_second),
            };
            drop(bucket);
            if begun.elapsed() + wait > deadline {
                let wait = wait.as_secs() + 1;
                let message = format!("the platform asked to wait {wait} more seconds");
                return Err(TransportError::network(message, Outcome::NotSent));
            }
            tokio::time::sleep(wait).await;
        }
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
            let until = Instant::now() + freeze.min(LONGEST_FREEZE);
            self.bucket.lock().await.frozen_until = Some(until);
        }
        Ok(answer)
    }
}
