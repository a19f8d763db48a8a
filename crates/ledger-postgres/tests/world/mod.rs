//! A server, and databases in it.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU32, Ordering},
};

use acceptance_tests::servers::PostgreSql;
use ledger_postgres::{Address, PostgresLedger, Way};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};

/// One server for all tests of this program.
pub(crate) fn server() -> &'static PostgreSql {
    static SERVER: OnceLock<PostgreSql> = OnceLock::new();
    SERVER.get_or_init(|| PostgreSql::start().expect("it starts"))
}

/// Trusts nobody: for connections that are not secured.
pub(crate) fn nobody() -> Result<ClientConfig, String> {
    trusting(None)
}

/// Trusts this authority and no other.
pub(crate) fn trusting(root: Option<CertificateDer<'static>>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if let Some(root) = root {
        roots.add(root).map_err(|error| error.to_string())?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(
        tokio_rustls::rustls::crypto::ring::default_provider(),
    ));
    let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// A database of its own.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
}

impl Database {
    /// A new, empty one.
    pub(crate) fn new() -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("nhi_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        server().by_hand(&format!("CREATE DATABASE {name}")).expect("made");
        Database { name }
    }

    /// The one that a ledger says it is in.
    pub(crate) fn of(place: &str) -> Database {
        let name = place.rsplit('/').next().expect("it has a name").to_owned();
        Database { name }
    }

    pub(crate) fn address(&self) -> Address {
        Address {
            host: "127.0.0.1".to_owned(),
            port: server().port,
            database: self.name.clone(),
            user: "postgres".to_owned(),
            password: Some(server().password.clone().into()),
            secured: false,
        }
    }

    pub(crate) fn way(&self, address: Address) -> Way {
        Way {
            shown: address.shown(),
            address: Arc::new(move || Ok(address.clone())),
            trust: Arc::new(nobody),
        }
    }

    pub(crate) fn open(&self, realm: &str) -> PostgresLedger {
        PostgresLedger::open(self.way(self.address()), Some(realm))
    }

    /// The same as somebody else.
    pub(crate) fn way_of(&self, user: &str, password: &str) -> Way {
        let password = Some(password.to_owned().into());
        self.way(Address { user: user.to_owned(), password, ..self.address() })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Says something as the superuser; the rows that it answers.
    pub(crate) fn by_hand(&self, sql: &str) -> Vec<String> {
        server().by_hand_in(&self.name, sql).expect("it is said")
    }
}
