//! A real `oidc-provider`.

use std::{path::Path, process::Command};

use acceptance_tests::servers::oidc;
use connector::conformance::server;

/// A running server; it ends with this value, or with the test process.
pub(crate) struct Server {
    _running: server::Server,
    pub(crate) address: String,
}

impl Server {
    /// Starts an empty one. Its initial access token is `initial`.
    pub(crate) fn start() -> Server {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/server.mjs");
        let package = oidc::package().unwrap();
        let running = server::Server::start("ready", |port| {
            let mut command = Command::new("node");
            command.arg(&script).arg(&package).arg(port.to_string());
            command
        });
        let address = format!("http://127.0.0.1:{}", running.port);
        Server { _running: running, address }
    }
}
