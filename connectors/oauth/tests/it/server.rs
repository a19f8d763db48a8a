//! A real `oidc-provider`.

use acceptance_tests::servers::Oidc;

/// A running server; it ends with this value, or with the test process.
pub(crate) struct Server {
    _running: Oidc,
    pub(crate) address: String,
}

impl Server {
    /// Starts an empty one. Its initial access token is `initial`.
    pub(crate) fn start() -> Server {
        let running = Oidc::start().unwrap();
        let address = running.address();
        Server { _running: running, address }
    }
}
