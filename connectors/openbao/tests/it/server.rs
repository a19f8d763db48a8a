//! A real OpenBao in dev mode.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    path::Path,
    process::Command,
};

use acceptance_tests::servers::{openbao, running as server};

/// Its last words before it serves: the dev banner.
const READY: &str = "Development mode should NOT be used";

/// A running server; it ends with this value.
pub(crate) struct Server {
    _running: server::Server,
    pub(crate) address: String,
    /// Its root token: another server's would not take it.
    pub(crate) root: String,
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
        let program = openbao::program().unwrap();
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
