//! `oidc-provider` from npm, in the host script that the connector's own tests use.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::running;
use crate::{Result, http, tools};

/// The version that the stories were written against.
const VERSION: &str = "9.13.3";
/// What it wants of whoever registers a client. It opens nothing but that server.
pub const INITIAL: &str = "initial";

const HOST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../connectors/oauth/tests/it/server.mjs");
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/servers/oidc_client.mjs");

/// A running server. It ends with this value, or with the process that started it.
#[derive(Debug)]
pub struct Oidc {
    _running: running::Server,
    told: tempfile::NamedTempFile,
    /// Its port on 127.0.0.1.
    pub port: u16,
    issuer: String,
}

/// The folder that it is installed in: `NHI_TEST_OIDC`, else the cache, else fetched into it.
///
/// # Errors
///
/// It cannot be had: what is missing and how to get it.
pub fn package() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NHI_TEST_OIDC") {
        return Ok(path.into());
    }
    super::fetched("oidc-provider", "node_modules/oidc-provider", |folder| {
        let npm = tools::need("npm")?;
        fs::write(folder.join("package.json"), "{\"private\":true}\n")
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        tools::run(
            Command::new(npm)
                .args(["install", "--silent", "--no-audit", "--no-fund"])
                .arg(format!("oidc-provider@{VERSION}"))
                .current_dir(folder),
        )
        .map_err(|error| format!("oidc-provider cannot be fetched from npm: {error}"))
    })
}

impl Oidc {
    /// Starts an empty one.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn start() -> Result<Oidc> {
        Oidc::start_with(|_| Vec::new())
    }

    /// The same, with variables for the server on a port.
    ///
    /// # Errors
    ///
    /// As [`Oidc::start`].
    pub fn start_with(variables: impl Fn(u16) -> Vec<(&'static str, String)>) -> Result<Oidc> {
        let (package, node) = (package()?, tools::need("node")?);
        let told = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        let issuer = std::cell::RefCell::new(None);
        let running = running::Server::start("ready", |port| {
            let variables = variables(port);
            let said = variables.iter().find(|(name, _)| *name == "OIDC_ISSUER");
            *issuer.borrow_mut() = said.map(|(_, issuer)| issuer.clone());
            let mut command = Command::new(&node);
            command.arg(HOST).arg(&package).arg(port.to_string()).arg(told.path());
            command.envs(variables);
            command
        })?;
        let own = || format!("http://127.0.0.1:{}", running.port);
        let issuer = issuer.take().unwrap_or_else(own);
        Ok(Oidc { port: running.port, _running: running, told, issuer })
    }

    /// Every token and secret that it gave to anybody, and everything that somebody signed in with.
    ///
    /// # Errors
    ///
    /// Its account of them cannot be read.
    pub fn told(&self) -> Result<Vec<String>> {
        let told = fs::read_to_string(self.told.path()).map_err(|error| error.to_string())?;
        Ok(told.lines().map(str::to_owned).collect())
    }

    /// Its issuer: its address, or that of what stands before it.
    pub fn address(&self) -> String {
        self.issuer.clone()
    }

    /// What the server answers an application that asks for a token with what its document holds.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn token(&self, document: &Value, scope: &str) -> Result<http::Answer> {
        let asked = json!({ "issuer": self.address(), "document": document, "scope": scope });
        let mut child = Command::new(tools::need("node")?)
            .arg(CLIENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("node: {error}"))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(asked.to_string().as_bytes()).map_err(|error| error.to_string())?;
        }
        let done = child.wait_with_output().map_err(|error| error.to_string())?;
        let said: Value = serde_json::from_slice(&done.stdout)
            .map_err(|_| String::from_utf8_lossy(&done.stderr).into_owned())?;
        let status = said["status"].as_u64().and_then(|status| status.try_into().ok());
        Ok(http::Answer { status: status.unwrap_or(0), json: said["json"].clone() })
    }

    /// Whether an application gets a token with what its document holds.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn signs_in(&self, document: &Value, scope: &str) -> Result<bool> {
        Ok(self.token(document, scope)?.status == 200)
    }

    /// Whether a token lets its holder in, as a service asks that gets it shown (RFC 7662).
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn is_active(&self, token: &str) -> Result<bool> {
        let form = format!("token={token}&{}", self.service()?);
        let answer = http::send_form(self.port, "/token/introspection", &form)?;
        answer.json["active"].as_bool().ok_or_else(|| format!("{} {}", answer.status, answer.json))
    }

    /// A service that gets tokens shown, and what of a form it signs in with.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn service(&self) -> Result<String> {
        let service = self.register(&json!({
            "client_name": "service",
            "redirect_uris": [],
            "response_types": [],
            "grant_types": ["client_credentials"],
            "token_endpoint_auth_method": "client_secret_post",
        }))?;
        let text = |name: &str| service[name].as_str().unwrap_or_default().to_owned();
        Ok(format!("client_id={}&client_secret={}", text("client_id"), text("client_secret")))
    }

    /// Registers a client past everybody, and gives the server's answer.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn register(&self, members: &Value) -> Result<Value> {
        let bearer = format!("Bearer {INITIAL}");
        let header = ("Authorization", bearer.as_str());
        let answer = http::send_as(self.port, "POST", "/reg", header, Some(members))?;
        match answer.status {
            201 => Ok(answer.json),
            status => Err(format!("POST /reg: {status} {}", answer.json)),
        }
    }

    /// Asks for a client, or changes it, with the token that manages it.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn registration(
        &self,
        method: &str,
        client_id: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let bearer = format!("Bearer {token}");
        let path = format!("/reg/{client_id}");
        let answer = http::send_as(self.port, method, &path, ("Authorization", &bearer), body)?;
        match answer.status {
            200 => Ok(answer.json),
            status => Err(format!("{method} {path}: {status} {}", answer.json["error"])),
        }
    }
}
