//! A connection that may look and nothing else.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::{Answer, Effect, NoAnswer, Request, Transport, TransportError};
use crate::Outcome;

/// Refuses every request that changes something, before it is sent.
pub struct ReadOnly {
    inner: Arc<dyn Transport>,
}

impl ReadOnly {
    /// Wraps a transport.
    pub fn new(inner: Arc<dyn Transport>) -> ReadOnly {
        ReadOnly { inner }
    }
}

impl fmt::Debug for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadOnly({:?})", self.inner)
    }
}

#[async_trait]
impl Transport for ReadOnly {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        if request.effect == Effect::Change {
            return Err(TransportError {
                message: format!(
                    "{}: this connection is read-only, nothing was sent",
                    request.what()
                ),
                outcome: Outcome::Refused,
                why: NoAnswer::ReadOnly,
            });
        }
        self.inner.send(request).await
    }
}
