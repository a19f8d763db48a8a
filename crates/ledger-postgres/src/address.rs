//! Where a database is, who signs in, and by what it is known.

use std::{fmt, net::IpAddr, sync::Arc};

use percent_encoding::percent_decode_str;
use postgres_tls::Trust;
use zeroize::Zeroizing;

/// Where PostgreSQL listens, unless said otherwise.
pub const PORT: u16 = 5432;

/// A database, and who signs in to it.
#[derive(Clone)]
pub struct Address {
    /// A name, an IP address, or the folder of a socket.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// Who signs in.
    pub user: String,
    /// With which password; none where the server asks for none.
    pub password: Option<Zeroizing<String>>,
    /// Whether the connection is encrypted and the server known by its certificate.
    pub secured: bool,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.shown())
    }
}

impl Address {
    /// Reads `postgresql://user:password@host:port/database`, with `?sslmode=` where it is not what
    /// the host says by itself.
    ///
    /// # Errors
    ///
    /// What is wrong with it. No part of it is repeated: any of it may be secret.
    pub fn parse(text: &str) -> Result<Address, String> {
        const FORM: &str = "it is not postgresql://<user>:<password>@<host>:<port>/<database>";
        let url = url::Url::parse(text.trim()).map_err(|_| FORM.to_owned())?;
        if !matches!(url.scheme().strip_prefix("postgres"), Some("" | "ql")) {
            return Err(FORM.to_owned());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("it names no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let decoded = |part: &str| {
            let text = percent_decode_str(part).decode_utf8();
            text.map(|text| text.into_owned()).map_err(|_| "a part of it is not UTF-8".to_owned())
        };
        let user = decoded(url.username())?;
        if user.is_empty() {
            return Err("it names no user".to_owned());
        }
        let password = url.password().map(decoded).transpose()?.map(Zeroizing::new);
        let database = match decoded(url.path().trim_start_matches('/'))? {
            none if none.is_empty() => user.clone(),
            database => database,
        };
        let mut secured = !is_here(&host);
        for (name, value) in url.query_pairs() {
            if name != "sslmode" {
                return Err("of parameters it may have sslmode and no other".to_owned());
            }
            secured = Self::mode(&value)?;
        }
        let port = url.port().unwrap_or(PORT);
        Ok(Address { host, port, database, user, password, secured })
    }

    /// Whether this mode of TLS secures the connection.
    ///
    /// # Errors
    ///
    /// It is none that we take: one that encrypts without looking who it is secures nothing.
    pub fn mode(word: &str) -> Result<bool, String> {
        match word {
            "verify-full" | "require" => Ok(true),
            "disable" => Ok(false),
            _ => Err("sslmode is verify-full, require (which verifies too) or disable".to_owned()),
        }
    }

    /// As messages show it: neither who signs in nor with what.
    pub fn shown(&self) -> String {
        shown(&self.host, self.port, &self.database)
    }
}

/// A database as messages show it.
pub fn shown(host: &str, port: u16, database: &str) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let port = if port == PORT { String::new() } else { format!(":{port}") };
    format!("postgresql://{host}{port}/{database}")
}

/// Whether a host is this very machine.
pub fn is_here(host: &str) -> bool {
    host == "localhost"
        || host.starts_with('/')
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// How there comes to be a connection. Both are asked for each one anew: a password is rotated, too.
#[derive(Clone)]
pub struct Way {
    /// As messages show it.
    pub shown: String,
    /// Where to, and who signs in.
    pub address: Arc<dyn Fn() -> Result<Address, String> + Send + Sync>,
    /// Whom to trust.
    pub trust: Trust,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Way({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_what_is_escaped_in_it() {
        let read = Address::parse("postgresql://nhi%40x:p%2Fw%3A@db.acme.example:6432/his%20tory");
        let read = read.expect("it is one");
        assert_eq!((&*read.user, &*read.host, read.port), ("nhi@x", "db.acme.example", 6432));
        assert_eq!(read.database, "his tory");
        assert_eq!(read.password.as_deref().map(String::as_str), Some("p/w:"));
        assert!(read.secured, "over a network it is");
        assert_eq!(read.shown(), "postgresql://db.acme.example:6432/his tory");
        assert!(!format!("{read:?}").contains("p/w"));
    }

    #[test]
    fn over_a_network_a_server_is_known_by_its_certificate_unless_that_is_switched_off() {
        let secured = |text: &str| Address::parse(text).map(|read| read.secured);
        assert_eq!(secured("postgresql://a@db.acme.example/x"), Ok(true));
        assert_eq!(secured("postgresql://a@db.acme.example/x?sslmode=disable"), Ok(false));
        assert_eq!(secured("postgresql://a@127.0.0.1/x"), Ok(false));
        assert_eq!(secured("postgresql://a@[::1]/x"), Ok(false));
        assert_eq!(secured("postgresql://a@127.0.0.1/x?sslmode=verify-full"), Ok(true));
        for mode in ["prefer", "allow", "verify-ca"] {
            let text = format!("postgresql://a@db.acme.example/x?sslmode={mode}");
            assert!(secured(&text).is_err(), "{mode} secures nothing, or not enough");
        }
    }

    #[test]
    fn what_is_no_address_is_not_repeated() {
        for text in [
            "hunter2",
            "mysql://a:hunter2@x/y",
            "postgresql://:hunter2@x/y",
            "postgresql://a:hunter2@/y",
            "postgresql://a:hunter2@x/y?password=hunter2",
            "postgresql://a:hunter2@x/y?sslmode=hunter2",
        ] {
            let said = Address::parse(text).expect_err("it is none");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
