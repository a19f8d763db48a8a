//! A real `oidc-provider`, found or fetched as the tests' own rule says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use connector::conformance::server::{self, fetched, run};

/// The version that the tests were written against.
const VERSION: &str = "9.13.3";

/// A running server; it ends with this value, or with the test process.
pub(crate) struct Server {
    _running: server::Server,
    pub(crate) address: String,
}

/// The folder of the package: `NHI_TEST_OIDC`, else the cache, else from the registry.
fn package() -> PathBuf {
    match std::env::var_os("NHI_TEST_OIDC") {
        Some(path) => path.into(),
        None => fetched("oidc-provider", "node_modules/oidc-provider", fetch),
    }
}

fn fetch(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    fs::write(folder.join("package.json"), "{\"private\":true}\n")
        .map_err(|error| error.to_string())?;
    run(Command::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund"])
        .arg(format!("oidc-provider@{VERSION}"))
        .current_dir(folder))
    .map_err(|error| {
        format!(
            "{error}; install Node.js with npm, or set NHI_TEST_OIDC to a folder that it is installed in"
        )
    })
}

impl Server {
    /// Starts an empty one. Its initial access token is `initial`.
    pub(crate) fn start() -> Server {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/server.mjs");
        let package = package();
        let running = server::Server::start("ready", |port| {
            let mut command = Command::new("node");
            command.arg(&script).arg(&package).arg(port.to_string());
            command
        });
        let address = format!("http://127.0.0.1:{}", running.port);
        Server { _running: running, address }
    }
}
