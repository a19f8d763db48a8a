//! A real `scim2-server`, found or fetched as the tests' own rule says.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The version that the tests were written against.
const VERSION: &str = "0.8.3";

/// A running server; it ends with this value.
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

/// The folder of the package: `NHI_TEST_SCIM`, else the cache, else from the registry.
fn package() -> PathBuf {
    if let Some(path) = std::env::var_os("NHI_TEST_SCIM") {
        return path.into();
    }
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/servers");
    let folder = cache.join("scim2-server");
    if !folder.join("scim2_server").exists() {
        // Beside first, then in place: two tests may come at once, and one may be stopped.
        let part = cache.join(format!("scim2-server-{}", std::process::id()));
        fs::create_dir_all(&cache).unwrap();
        let done = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--target"])
            .arg(&part)
            .arg(format!("scim2-server=={VERSION}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(
            done.as_ref().is_ok_and(std::process::ExitStatus::success),
            "scim2-server cannot be fetched ({done:?}): install Python 3 with pip, or set NHI_TEST_SCIM to a \
             folder that it is installed in"
        );
        if fs::rename(&part, &folder).is_err() {
            let _ = fs::remove_dir_all(part);
        }
    }
    folder
}

impl Server {
    /// Starts an empty one. Its bearer token is `token`.
    pub(crate) fn start() -> Server {
        let package = package();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let run = "import sys; from scim2_server.cli import main; sys.exit(main())";
        let script = package.join("bin/scim2-server");
        // The shell ends the server when this process is gone, however that comes about.
        let mut command = Command::new("sh");
        command.args(["-c", "\"$@\" & server=$!; read -r _; kill $server", "sh", "python3"]);
        if script.exists() {
            command.arg(script);
        } else {
            command.args(["-c", run]);
        }
        command.args([
            "--hostname",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--bearer-token",
            "token",
        ]);
        let child = command
            .env("PYTHONPATH", &package)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "scim2-server does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Server { child, address: format!("http://127.0.0.1:{port}/v2") }
    }
}
