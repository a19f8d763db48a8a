//! PgBouncer, a pooler that gives each transaction another connection: the machine's own, or Debian's
//! package unpacked into the cache. It never runs as root.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{
    postgresql::{PostgreSql, as_somebody, somebody},
    running,
};
use crate::{Result, tools};

/// Where Debian has it, and where what is unpacked has it.
const PROGRAM: &str = "usr/sbin/pgbouncer";

/// Fetches the package with the libraries that it needs beside those that every system has.
const FETCH: &str = r#"set -e; cd "$1"
    needs=$(apt-cache depends pgbouncer | sed -n 's/.*Depends: \(libevent[^ ]*\|libc-ares[^ ]*\)$/\1/p')
    apt-get -q download pgbouncer $needs
    for package in *.deb; do dpkg-deb -x "$package" .; rm "$package"; done"#;

/// A running pooler in front of a server. It ends with this value.
#[derive(Debug)]
pub struct PgBouncer {
    _running: running::Server,
    _folder: TempDir,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

/// Where its program is: the machine's, else in the cache, else fetched into it.
fn program() -> Result<PathBuf> {
    let there = Path::new("/").join(PROGRAM);
    if there.exists() {
        return Ok(there);
    }
    let package = super::fetched("pgbouncer", PROGRAM, |folder| {
        tools::run(Command::new("sh").args(["-c", FETCH, "sh"]).arg(folder))
            .map_err(|error| format!("pgbouncer cannot be fetched with apt-get: {error}"))
    })?;
    Ok(package.join(PROGRAM))
}

impl PgBouncer {
    /// Starts one that has so many connections to a server, each for one transaction at a time, and lets
    /// everybody in as its superuser.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn before(server: &PostgreSql, connections: u32) -> Result<PgBouncer> {
        let program = program()?;
        let failed = |error: std::io::Error| format!("a folder for PgBouncer: {error}");
        let who = somebody()?;
        let folder = tempfile::Builder::new().prefix("nhi-pgb-").tempdir().map_err(failed)?;
        let file = folder.path().join("pgbouncer.ini");
        let (at, password) = (server.port, &server.password);
        let libraries = program.ancestors().nth(3).unwrap_or(Path::new("/")).join("usr/lib");
        let libraries = fs::read_dir(&libraries).ok().and_then(|mut all| {
            all.find_map(|one| {
                Some(one.ok()?.path()).filter(|path| path.join("libevent-2.1.so.7").exists())
            })
        });
        let running = running::Server::start("process up", |port| {
            let written = fs::write(
                &file,
                format!(
                    "[databases]\n\
                     * = host=127.0.0.1 port={at} user=postgres password={password}\n\
                     [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n\
                     pool_mode = transaction\ndefault_pool_size = {connections}\n\
                     unix_socket_dir =\nmax_client_conn = 200\n"
                ),
            );
            let kept = written.and_then(|()| {
                fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
                if let Some((user, group, _)) = &who {
                    chown(folder.path(), Some(*user), Some(*group))?;
                    chown(&file, Some(*user), Some(*group))?;
                }
                Ok(())
            });
            // It says itself that it has none.
            let _ = kept;
            let mut command = as_somebody(&program, who.as_ref());
            if let Some(libraries) = &libraries {
                command.env("LD_LIBRARY_PATH", libraries);
            }
            command.arg(&file);
            command
        })?;
        Ok(PgBouncer { port: running.port, _running: running, _folder: folder })
    }
}
