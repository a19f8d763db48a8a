//! A real `oidc-provider`.

use acceptance_tests::servers::Oidc;
use serde_json::json;

/// A running server; it ends with this value, or with the test process.
pub(crate) struct Server {
    running: Oidc,
    pub(crate) address: String,
}

impl Server {
    /// Starts an empty one, with variables for it. Its initial access token is `initial`.
    pub(crate) fn start(variables: &[(&'static str, &str)]) -> Server {
        let all = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let all: Vec<_> = all.collect();
        let running = Oidc::start_with(|_| all.clone()).unwrap();
        let address = running.address();
        Server { running, address }
    }

    /// Whether the server calls a token active when another client asks.
    pub(crate) fn knows(&self, token: &domain::Secret) -> bool {
        self.running.is_active(token.expose()).unwrap()
    }

    /// What an application is answered that asks for a token with a key.
    pub(crate) fn token_with(&self, client_id: &str, key: &domain::Secret) -> u16 {
        let document = json!({ "client_id": client_id, "private_key": key.expose() });
        self.running.token(&document, "tickets:read").unwrap().status
    }
}
