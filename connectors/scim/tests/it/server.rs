//! A real `scim2-server`.

use std::process::Command;

use acceptance_tests::servers::scim;
use connector::conformance::server;

/// A running server; it ends with this value.
pub(crate) struct Server {
    _running: server::Server,
    pub(crate) address: String,
}

impl Server {
    /// Starts an empty one. Its bearer token is `token`.
    pub(crate) fn start() -> Server {
        let package = scim::package().unwrap();
        let running = server::Server::start("Serving SCIM", |port| {
            let run = "import sys; from scim2_server.testserver.cli import main; sys.exit(main())";
            let mut command = Command::new("python3");
            command.args(["-c", run, "--hostname", "127.0.0.1", "--port", &port.to_string()]);
            command.args(["--bearer-token", "token"]).env("PYTHONPATH", &package);
            command
        });
        let address = format!("http://127.0.0.1:{}/v2", running.port);
        Server { _running: running, address }
    }
}
