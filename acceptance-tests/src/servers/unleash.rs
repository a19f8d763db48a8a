//! Unleash from npm, on a PostgreSQL of its own. It wants a newer Node.js than many machines have, which
//! npm has too.
//!
//! It belongs to the second ring: what it shows takes minutes, and it is large.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::{BuildHasher, Hasher},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

use super::{PostgreSql, running};
use crate::{Result, http, tools};

/// The version that the stories were written against.
const VERSION: &str = "8.2.0";
/// The Node.js that it is run by.
const NODE: &str = "22.23.3";
/// Where the two are in the folder.
const SERVER: &str = "node_modules/unleash-server/dist/server.js";
const PROGRAM: &str = "node_modules/node/bin/node";

/// What it says when it is.
const READY: &str = "Unleash has started";

/// A running server. It ends with this value, or with the process that started it.
#[derive(Debug)]
pub struct Unleash {
    /// Nothing while it is killed.
    running: Mutex<Option<running::Server>>,
    package: PathBuf,
    database: PostgreSql,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// A token for its admin API: another one for each server, and it opens nothing but that one.
    pub token: String,
}

/// The folder that it is installed in: `NHI_TEST_UNLEASH`, else the cache, else fetched into it.
///
/// # Errors
///
/// It cannot be had: what is missing and how to get it.
pub fn package() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NHI_TEST_UNLEASH") {
        return Ok(path.into());
    }
    super::fetched("unleash", SERVER, |folder| {
        let npm = tools::need("npm")?;
        fs::write(folder.join("package.json"), "{\"private\":true}\n")
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        tools::run(
            Command::new(npm)
                .args(["install", "--silent", "--no-audit", "--no-fund"])
                .args([format!("unleash-server@{VERSION}"), format!("node@{NODE}")])
                .current_dir(folder),
        )
        .map_err(|error| format!("unleash-server cannot be fetched from npm: {error}"))
    })
}

fn command(package: &Path, database: &PostgreSql, token: &str, port: u16) -> Command {
    let (password, at) = (&database.password, database.port);
    let url = format!("postgres://postgres:{password}@127.0.0.1:{at}/unleash");
    let mut command = Command::new(package.join(PROGRAM));
    command.arg(package.join(SERVER));
    command.env("DATABASE_URL", url).env("DATABASE_SSL", "false");
    command.env("HTTP_HOST", "127.0.0.1").env("PORT", port.to_string());
    command.env("INIT_ADMIN_API_TOKENS", token).env("LOG_LEVEL", "info");
    command.env("CHECK_VERSION", "false").env("SEND_TELEMETRY", "false");
    command
}

impl Unleash {
    /// Starts one with the environments `development` and `production`, and the project `default`.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn start() -> Result<Unleash> {
        let (package, database) = (package()?, PostgreSql::start()?);
        database.by_hand("create database unleash")?;
        let token = format!("*:*.admin-{:016x}", RandomState::new().build_hasher().finish());
        let running =
            running::Server::start(READY, |port| command(&package, &database, &token, port))?;
        let port = running.port;
        Ok(Unleash { running: Mutex::new(Some(running)), package, database, port, token })
    }

    /// Kills the server, and not its database.
    ///
    /// # Errors
    ///
    /// It is killed already.
    pub fn kill(&self) -> Result<()> {
        self.running().take().ok_or("it is killed already")?.kill()
    }

    /// Starts it again where it was, after [`Unleash::kill`].
    ///
    /// # Errors
    ///
    /// It does not get ready.
    pub fn start_again(&self) -> Result<()> {
        let command = command(&self.package, &self.database, &self.token, self.port);
        let started = running::start(self.port, READY, &command);
        *self.running() = Some(started.map_err(|error| format!("started again: {error:?}"))?);
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, Option<running::Server>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sends a request with a token.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn ask_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<http::Answer> {
        http::send_as(self.port, method, &format!("/api/{path}"), ("Authorization", token), body)
    }

    /// Sends a request as an admin; it must succeed.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn by_hand(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let answer = self.ask_as(&self.token, method, path, body)?;
        match answer.status {
            200..300 => Ok(answer.json),
            // No path: one may have a secret in it.
            status => Err(format!("{method}: {status} {}", answer.json)),
        }
    }

    /// Makes a token for the default project by hand; the server's answer.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn issue(&self, name: &str, kind: &str, environment: &str) -> Result<Value> {
        let body = json!({
            "tokenName": name, "type": kind, "environment": environment, "projects": ["default"],
        });
        self.by_hand("POST", "admin/api-tokens", Some(&body))
    }

    /// Ends a token by hand. It is accepted for a while after that.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn end(&self, secret: &str) -> Result<()> {
        let plain = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        };
        let secret: String = secret.bytes().map(plain).collect();
        self.by_hand("DELETE", &format!("admin/api-tokens/{secret}"), None).map(|_| ())
    }

    /// All tokens, as the server lists them: with their secrets.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn tokens(&self) -> Result<Vec<Value>> {
        let all = self.by_hand("GET", "admin/api-tokens", None)?;
        Ok(all["tokens"].as_array().cloned().unwrap_or_default())
    }

    /// What an application with this backend token asks about, where; `None` where it is refused.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn asks(&self, token: &str) -> Result<Option<Value>> {
        let answer = self.ask_as(token, "GET", "client/features", None)?;
        Ok((answer.status == 200).then(|| answer.json["query"].clone()))
    }
}
