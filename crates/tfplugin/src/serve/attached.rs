//! A provider within a process that is no provider: a real core is told where it is.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{answer, connection, environment::Environment, handshake, socket};
use crate::erased::AnyProvider;
use crate::rpc::Service;

/// A provider that is served by this process until this value is dropped.
#[derive(Debug)]
pub struct Attached {
    config: String,
    end: CancellationToken,
}

/// Serves a provider from within a test, so that a real core acts on what the test holds in memory:
/// a platform that is a fake, a clock that is moved by hand. The connection is a socket that only
/// this user can name, without TLS, as a core expects of a process that it did not start.
///
/// It needs a runtime with more than one thread where the test itself waits for the core.
///
/// # Errors
///
/// No socket could be made.
pub async fn attach(
    provider: impl AnyProvider + 'static,
    address: &str,
) -> Result<Attached, String> {
    let listener = socket::Listener::bind(&Environment::read())?;
    let config = handshake::reattach(address, &listener);
    let end = CancellationToken::new();
    let incoming = connection::incoming(listener, None, end.clone());
    tokio::spawn(answer(Service::new(Arc::new(provider)), incoming, end.clone(), true, None));
    Ok(Attached { config, end })
}

impl Attached {
    /// What the core's environment says as `TF_REATTACH_PROVIDERS`.
    pub fn reattach(&self) -> &str {
        &self.config
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.end.cancel();
    }
}
