//! A real `oidc-provider`, found or fetched as the tests' own rule says.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The version that the tests were written against.
const VERSION: &str = "9.13.3";

/// A running server; it ends with this value, or with the test process.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The folder of the package: `NHI_TEST_OIDC`, else the cache, else from the registry.
fn package() -> PathBuf {
    if let Some(path) = std::env::var_os("NHI_TEST_OIDC") {
        return path.into();
    }
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/servers");
    let folder = cache.join("oidc-provider");
    if !folder.join("node_modules/oidc-provider").exists() {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("package.json"), "{\"private\":true}\n").unwrap();
        let done = Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund"])
            .arg(format!("oidc-provider@{VERSION}"))
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(
            done.as_ref().is_ok_and(std::process::ExitStatus::success),
            "oidc-provider cannot be fetched ({done:?}): install Node.js with npm, or set NHI_TEST_OIDC to a \
             folder that it is installed in"
        );
    }
    folder
}

impl Server {
    /// Starts an empty one. Its initial access token is `initial`.
    pub(crate) fn start() -> Server {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/server.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(package())
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("node does not start: {error}; install Node.js"));
        let output = BufReader::new(child.stdout.take().unwrap());
        let (said, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if line == "ready" {
                    let _ = said.send(());
                }
            }
        });
        heard.recv_timeout(Duration::from_secs(30)).expect("oidc-provider is not ready");
        Server { child, address: format!("http://127.0.0.1:{port}") }
    }
}
