//! A real OpenBao in dev mode.

use std::path::Path;

use acceptance_tests::servers::{openbao, running as server};

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
        let root = openbao::root_token();
        let running = openbao::run(&root, mode).unwrap();
        let address = format!("{scheme}://127.0.0.1:{}", running.port);
        Server { _running: running, address, root }
    }
}
