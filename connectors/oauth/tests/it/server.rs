//! A real `oidc-provider`.

use acceptance_tests::servers::Oidc;

/// A running server; it ends with this value, or with the test process.
pub(crate) struct Server {
    _running: Oidc,
    pub(crate) address: String,
}

impl Server {
    /// Starts an empty one, with variables for it. Its initial access token is `initial`.
    pub(crate) fn start(variables: &[(&'static str, &str)]) -> Server {
        let all = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let all: Vec<_> = all.collect();
        let running = Oidc::start_with(|_| all.clone()).unwrap();
        let address = running.address();
        Server { _running: running, address }
    }
}
