//! `scim2-server` from PyPI: a directory of people and teams.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};

use super::running;
use crate::{Result, http, tools};

/// The version that the stories were written against.
const VERSION: &str = "0.8.3";
/// Its bearer token. It opens nothing but that server.
pub const TOKEN: &str = "token";

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A running server. It ends with this value, or with the process that started it.
#[derive(Debug)]
pub struct Scim {
    _running: running::Server,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

/// The folder that it is installed in: `NHI_TEST_SCIM`, else the cache, else fetched into it.
///
/// # Errors
///
/// It cannot be had: what is missing and how to get it.
pub fn package() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NHI_TEST_SCIM") {
        return Ok(path.into());
    }
    super::fetched("scim2-server", "scim2_server", |folder| {
        let mut pip = tools::pip()?;
        pip.args(["install", "--quiet", "--target"])
            .arg(folder)
            .arg(format!("scim2-server=={VERSION}"));
        tools::run(&mut pip)
            .map_err(|error| format!("scim2-server cannot be fetched from PyPI: {error}"))
    })
}

impl Scim {
    /// Starts an empty one.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn start() -> Result<Scim> {
        const RUN: &str =
            "import sys; from scim2_server.testserver.cli import main; sys.exit(main())";
        let (package, python) = (package()?, tools::need("python3")?);
        let running = running::Server::start("Serving SCIM", |port| {
            let mut command = Command::new(&python);
            command.args(["-c", RUN, "--hostname", "127.0.0.1", "--port", &port.to_string()]);
            command.args(["--bearer-token", TOKEN]).env("PYTHONPATH", &package);
            command
        })?;
        Ok(Scim { port: running.port, _running: running })
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/v2", self.port)
    }

    fn office(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let (path, bearer) = (format!("/v2/{path}"), format!("Bearer {TOKEN}"));
        let answer = http::send_as(self.port, method, &path, ("Authorization", &bearer), body)?;
        match answer.status {
            200..300 => Ok(answer.json),
            status => Err(format!("{method} {path}: {status} {}", answer.json)),
        }
    }

    /// Somebody joins a department; returns the directory's id of them.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn hire(&self, name: &str, department: &str) -> Result<String> {
        let user = json!({
            "schemas": [USER, ENTERPRISE],
            "userName": name,
            "active": true,
            "emails": [{ "value": format!("{name}@acme.example"), "primary": true }],
            ENTERPRISE: { "department": department },
        });
        let made = self.office("POST", "Users", Some(&user))?;
        Ok(made["id"].as_str().unwrap_or_default().to_owned())
    }

    /// Somebody's account is switched off, or on.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn set_active(&self, id: &str, active: bool) -> Result<()> {
        let change = json!({
            "schemas": [PATCH],
            "Operations": [{ "op": "replace", "path": "active", "value": active }],
        });
        self.office("PATCH", &format!("Users/{id}"), Some(&change)).map(|_| ())
    }

    /// Somebody's account is deleted.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn delete(&self, id: &str) -> Result<()> {
        self.office("DELETE", &format!("Users/{id}"), None).map(|_| ())
    }
}
