//! A real `scim2-server`.

use acceptance_tests::servers::Scim;

/// A running server; it ends with this value.
pub(crate) struct Server {
    _running: Scim,
    pub(crate) address: String,
}

impl Server {
    /// Starts an empty one. Its bearer token is `token`.
    pub(crate) fn start() -> Server {
        let running = Scim::start().unwrap();
        let address = running.address();
        Server { _running: running, address }
    }
}
