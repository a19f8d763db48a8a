//! No change is waited for longer than policy says: what is sent late is then late by a known time.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{Answer, Effect, Request, Transport, TransportError};

/// Cuts the deadline of whatever changes something.
pub struct Deadline {
    inner: Arc<dyn Transport>,
    longest: Duration,
}

impl Deadline {
    /// Wraps what sends.
    pub fn new(inner: Arc<dyn Transport>, longest: Duration) -> Deadline {
        Deadline { inner, longest }
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deadline({:?}, {:?})", self.longest, self.inner)
    }
}

#[async_trait]
impl Transport for Deadline {
    async fn send(&self, mut request: Request) -> Result<Answer, TransportError> {
        if request.effect == Effect::Change {
            request.deadline = request.deadline.min(self.longest);
        }
        self.inner.send(request).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Asked(Mutex<Vec<Duration>>);

    #[async_trait]
    impl Transport for Asked {
        async fn send(&self, request: Request) -> Result<Answer, TransportError> {
            self.0.lock().unwrap().push(request.deadline);
            Ok(Answer::new(200, Vec::new(), Vec::new()))
        }
    }

    #[tokio::test]
    async fn what_changes_something_is_waited_for_as_long_as_policy_says_and_what_looks_longer() {
        let asked = Arc::new(Asked::default());
        let deadline = Deadline::new(asked.clone(), Duration::from_secs(7));
        let short =
            Request { deadline: Duration::from_secs(3), ..Request::change("PUT", "x", "x") };
        for request in [Request::get("x", "x"), Request::change("PUT", "x", "x"), short] {
            deadline.send(request).await.unwrap();
        }
        assert_eq!(*asked.0.lock().unwrap(), [30, 7, 3].map(Duration::from_secs));
    }
}
