//! Every request in the log and in a trace: what, how it ended, how long it took. Never a path, header or
//! body.

use std::{fmt, sync::Arc, time::Instant};

use async_trait::async_trait;
use tracing::Instrument;

use super::{Answer, Request, Transport, TransportError};

/// Logs requests of one connection.
pub struct Trace {
    inner: Arc<dyn Transport>,
    connection: String,
}

impl Trace {
    /// Wraps a transport.
    pub fn new(inner: Arc<dyn Transport>, connection: String) -> Trace {
        Trace { inner, connection }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({}, {:?})", self.connection, self.inner)
    }
}

#[async_trait]
impl Transport for Trace {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        let (method, template, begun) = (request.method, request.template, Instant::now());
        let span = telemetry::request(&self.connection, method, template);
        let answer = self.inner.send(request).instrument(span.clone()).await;
        match &answer {
            Ok(answer) => telemetry::answered(&span, answer.status),
            Err(_) => telemetry::failed(&span, "no_answer", None),
        }
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &answer {
            Ok(answer) => tracing::debug!(
                connection = self.connection,
                method,
                template,
                status = answer.status,
                ms,
                "request"
            ),
            Err(error) => tracing::debug!(
                connection = self.connection, method, template, outcome = ?error.outcome, ms,
                "request without an answer"
            ),
        }
        answer
    }
}
