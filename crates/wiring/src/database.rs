//! The way to a database that the ledger is kept in.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ledger_postgres::{Address, Way, shown};
use zeroize::Zeroizing;

use crate::{
    config::{DatabaseAddress, DatabaseConfig, Source},
    connections::read_secret_file,
    context::Environment,
};

/// Reads what is elsewhere each time that somebody signs in: a password is rotated, too.
pub(crate) fn way(config: &DatabaseConfig, folder: &Path, environment: &Environment) -> Way {
    let secret = Secrets { folder: folder.to_owned(), environment: environment.clone() };
    let ca_file = config.ca_file.as_ref().map(|file| folder.join(file));
    let named = match &config.address {
        DatabaseAddress::Parts { host, port, database, .. } => shown(host, *port, database),
        DatabaseAddress::Url(source) => match secret.address(&config.address) {
            Ok(address) => address.shown(),
            // It is no address of anything yet, and yet one that is meant to be.
            Err(_) => format!("postgresql://<{source}>"),
        },
    };
    let address = config.address.clone();
    Way {
        shown: named,
        address: Arc::new(move || secret.address(&address)),
        trust: Arc::new(move || connector::transport::tls(ca_file.as_deref())),
    }
}

struct Secrets {
    folder: PathBuf,
    environment: Environment,
}

impl Secrets {
    fn address(&self, config: &DatabaseAddress) -> Result<Address, String> {
        match config {
            DatabaseAddress::Url(source) => {
                let text = self.read(source)?;
                Address::parse(&text).map_err(|error| format!("{source}: {error}"))
            }
            DatabaseAddress::Parts { host, port, database, user, password, secured } => {
                Ok(Address {
                    host: host.clone(),
                    port: *port,
                    database: database.clone(),
                    user: user.clone(),
                    password: password.as_ref().map(|source| self.read(source)).transpose()?,
                    secured: *secured,
                })
            }
        }
    }

    fn read(&self, source: &Source) -> Result<Zeroizing<String>, String> {
        match source {
            Source::Env(name) => match self.environment.get(name).map(Zeroizing::new) {
                Some(text) if !text.is_empty() => Ok(text),
                _ => Err(format!("{source} is not set")),
            },
            Source::File(path) => {
                let path = self.folder.join(path);
                let read = read_secret_file(&path);
                let secret = read
                    .map_err(|(why, next)| format!("the file {}: {why}; {next}", path.display()))?;
                Ok(Zeroizing::new(secret.expose().to_owned()))
            }
            Source::Path { .. } | Source::Joined(_) => {
                Err(format!("{source} is not read before the ledger"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_read_when_somebody_signs_in_and_shown_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let environment =
            Environment::of(&[("URL", "postgresql://nhi:hunter2@db.acme.example:6432/history")]);
        let url = |name: &str| DatabaseConfig {
            address: DatabaseAddress::Url(Source::Env(name.to_owned())),
            ca_file: None,
        };
        let found = way(&url("URL"), folder.path(), &environment);
        assert_eq!(found.shown, "postgresql://db.acme.example:6432/history");
        assert!(!format!("{found:?}").contains("hunter2"));
        assert_eq!((found.address)().unwrap().password.as_deref().unwrap(), "hunter2");
        let missing = way(&url("NONE"), folder.path(), &environment);
        assert_eq!((missing.address)().unwrap_err(), "the environment variable NONE is not set");

        let parts = DatabaseConfig {
            address: DatabaseAddress::Parts {
                host: "db.acme.example".to_owned(),
                port: 5432,
                database: "history".to_owned(),
                user: "nhi".to_owned(),
                password: Some(Source::File("password".into())),
                secured: true,
            },
            ca_file: None,
        };
        let found = way(&parts, folder.path(), &environment);
        assert_eq!(found.shown, "postgresql://db.acme.example/history");
        assert!((found.address)().unwrap_err().contains("it is not there"));
        for password in ["one", "two"] {
            let file = folder.path().join("password");
            std::fs::write(&file, password).unwrap();
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            }
            let address = (found.address)().unwrap();
            assert_eq!(address.password.as_deref().map(String::as_str), Some(password));
        }
    }
}
