//! A real `scim2-server`, found or fetched as the tests' own rule says.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use connector::conformance::server::{self, fetched, run};

/// The version that the tests were written against.
const VERSION: &str = "0.8.3";

/// A running server; it ends with this value.
pub(crate) struct Server {
    _running: server::Server,
    pub(crate) address: String,
}

/// The folder of the package: `NHI_TEST_SCIM`, else the cache, else from the registry.
fn package() -> PathBuf {
    match std::env::var_os("NHI_TEST_SCIM") {
        Some(path) => path.into(),
        None => fetched("scim2-server", "scim2_server", fetch),
    }
}

fn fetch(folder: &Path) -> Result<(), String> {
    run(Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--target"])
        .arg(folder)
        .arg(format!("scim2-server=={VERSION}")))
    .map_err(|error| {
        format!(
            "{error}; install Python 3 with pip, or set NHI_TEST_SCIM to a folder that it is installed in"
        )
    })
}

impl Server {
    /// Starts an empty one. Its bearer token is `token`.
    pub(crate) fn start() -> Server {
        let package = package();
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
