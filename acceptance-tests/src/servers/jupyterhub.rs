//! JupyterHub from PyPI: in memory, its API at its own address, no proxy before it.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    path::PathBuf,
    process::Command,
};

use serde_json::{Value, json};

use super::running;
use crate::{Result, curl, http, tools};

/// The version that the stories were written against.
const VERSION: &str = "6.1.1";

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/servers/jupyterhub_config.py");

/// A running server. It ends with this value, or with the process that started it.
#[derive(Debug)]
pub struct JupyterHub {
    _running: running::Server,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// An admin's token: another one for each server, and it opens nothing but that one.
    pub token: String,
}

/// The folder that it is installed in: `NHI_TEST_JUPYTERHUB`, else the cache, else fetched into it.
///
/// # Errors
///
/// It cannot be had: what is missing and how to get it.
pub fn package() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NHI_TEST_JUPYTERHUB") {
        return Ok(path.into());
    }
    super::fetched("jupyterhub", "jupyterhub", |folder| {
        let mut pip = tools::pip()?;
        pip.args(["install", "--quiet", "--target"])
            .arg(folder)
            .arg(format!("jupyterhub=={VERSION}"));
        tools::run(&mut pip)
            .map_err(|error| format!("jupyterhub cannot be fetched from PyPI: {error}"))
    })
}

impl JupyterHub {
    /// Starts one with the groups `readers` and `graders`, which have roles, and the user `veteran`,
    /// which has one of its own.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn start() -> Result<JupyterHub> {
        const RUN: &str = "import sys; from jupyterhub.app import main; sys.exit(main())";
        let (package, python) = (package()?, tools::need("python3")?);
        let token = format!("admin-{:016x}", RandomState::new().build_hasher().finish());
        let running = running::Server::start("JupyterHub is now running", |port| {
            let mut command = Command::new(&python);
            command.args(["-c", RUN, "-f", CONFIG]).env("PYTHONPATH", &package);
            command.env("HUB_PORT", port.to_string()).env("HUB_TOKEN", &token);
            command.env_remove("JUPYTERHUB_CRYPT_KEY");
            command
        })?;
        Ok(JupyterHub { port: running.port, _running: running, token })
    }

    /// The token of a service that is no admin: `keeper` may do every deed, `viewer` look at everything,
    /// `narrow` look at the members of one group.
    pub fn token_of(&self, service: &str) -> String {
        format!("{}-{service}", self.token)
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sends a request with a token, by curl.
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
        let (path, header) = (format!("/hub/api/{path}"), format!("token {token}"));
        curl::ask(self.port, method, &path, ("Authorization", &header), body)
    }

    /// Sends a request as an admin; it must succeed.
    ///
    /// # Errors
    ///
    /// The hub refused.
    pub fn by_hand(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let answer = self.ask_as(&self.token, method, path, body)?;
        match answer.status {
            200..300 => Ok(answer.json),
            status => Err(format!("{method} {path}: {status} {}", answer.json)),
        }
    }

    /// Whose token this is, and what it may do; `None` where it is nobody's.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn whose(&self, token: &str) -> Result<Option<Value>> {
        let answer = self.ask_as(token, "GET", "user", None)?;
        Ok((answer.status == 200).then_some(answer.json))
    }

    /// The ids and notes of a user's tokens.
    ///
    /// # Errors
    ///
    /// The hub refused.
    pub fn tokens(&self, user: &str) -> Result<Vec<(String, String)>> {
        let all = self.by_hand("GET", &format!("users/{user}/tokens"), None)?;
        let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let all = all["api_tokens"].as_array().cloned().unwrap_or_default();
        Ok(all.iter().map(|one| (text(one, "id"), text(one, "note"))).collect())
    }

    /// Puts somebody into a group by hand.
    ///
    /// # Errors
    ///
    /// The hub refused.
    pub fn join(&self, user: &str, group: &str) -> Result<()> {
        let users = json!({ "users": [user] });
        self.by_hand("POST", &format!("groups/{group}/users"), Some(&users)).map(|_| ())
    }

    /// The groups that somebody is in.
    ///
    /// # Errors
    ///
    /// The hub refused.
    pub fn groups_of(&self, user: &str) -> Result<Vec<String>> {
        let user = self.by_hand("GET", &format!("users/{user}"), None)?;
        let groups = user["groups"].as_array().cloned().unwrap_or_default();
        Ok(groups.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Every user and every group, by kind and name.
    ///
    /// # Errors
    ///
    /// The hub refused.
    pub fn everything(&self) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for kind in ["users", "groups"] {
            let listed = self.by_hand("GET", kind, None)?;
            let names = listed.as_array().cloned().unwrap_or_default();
            let name = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
            all.extend(names.iter().map(|one| format!("{kind} {}", name(one))));
        }
        Ok(all)
    }
}
