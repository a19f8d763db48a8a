//! Strapi from npm, on a PostgreSQL of its own: a project with one API, written anew for each server.
//!
//! It belongs to the second ring: it is large.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::{BuildHasher, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{PostgreSql, running};
use crate::{Result, http, tools};

/// The version that the stories were written against, and what it runs with.
const PACKAGES: [&str; 7] = [
    "@strapi/strapi@5.54.0",
    "@strapi/plugin-users-permissions@5.54.0",
    "pg@8.23.1",
    "react@18.3.1",
    "react-dom@18.3.1",
    "react-router-dom@6.30.6",
    "styled-components@6.6.0",
];
/// Where it is in the folder.
const SERVER: &str = "node_modules/@strapi/strapi/bin/strapi.js";

/// The project: people who sign in, and an API of tickets.
const PROJECT: [(&str, &str); 10] = [
    (
        "config/server.js",
        "module.exports = ({ env }) => ({ host: '127.0.0.1', port: env.int('PORT'), app: { keys: [env('KEY')] },
           logger: { updates: { enabled: false } } });",
    ),
    (
        "config/admin.js",
        "module.exports = ({ env }) => ({ serveAdminPanel: false, auth: { secret: env('KEY') },
           apiToken: { salt: env('KEY') }, transfer: { token: { salt: env('KEY') } },
           secrets: { encryptionKey: env('KEY') } });",
    ),
    (
        "config/database.js",
        "module.exports = ({ env }) => ({ connection: { client: 'postgres',
           connection: { connectionString: env('DATABASE') } } });",
    ),
    (
        "config/plugins.js",
        "module.exports = ({ env }) => ({ 'users-permissions': { config: { jwtSecret: env('KEY') } } });",
    ),
    (
        "config/middlewares.js",
        "module.exports = ['logger', 'errors', 'security', 'cors', 'poweredBy', 'query', 'body', 'session',
           'favicon', 'public'].map((one) => `strapi::${one}`);",
    ),
    (
        "src/api/ticket/content-types/ticket/schema.json",
        r#"{ "kind": "collectionType", "collectionName": "tickets", "options": {},
             "info": { "singularName": "ticket", "pluralName": "tickets", "displayName": "Ticket" },
             "attributes": { "title": { "type": "string" } } }"#,
    ),
    (
        "src/api/ticket/controllers/ticket.js",
        "module.exports = require('@strapi/strapi').factories.createCoreController('api::ticket.ticket');",
    ),
    (
        "src/api/ticket/routes/ticket.js",
        "module.exports = require('@strapi/strapi').factories.createCoreRouter('api::ticket.ticket');",
    ),
    (
        "src/api/ticket/services/ticket.js",
        "module.exports = require('@strapi/strapi').factories.createCoreService('api::ticket.ticket');",
    ),
    ("public/uploads/.gitkeep", ""),
];

/// A running server. It ends with this value, or with the process that started it.
#[derive(Debug)]
pub struct Strapi {
    _running: running::Server,
    _database: PostgreSql,
    _project: TempDir,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// An admin token that may do everything with API tokens and nothing else: another one for each
    /// server, and it opens nothing but that one.
    pub token: String,
    /// What the first admin signs in with, for a while.
    session: String,
}

/// The folder that it is installed in: `NHI_TEST_STRAPI`, else the cache, else fetched into it.
///
/// # Errors
///
/// It cannot be had: what is missing and how to get it.
pub fn package() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NHI_TEST_STRAPI") {
        return Ok(path.into());
    }
    super::fetched("strapi", SERVER, |folder| {
        let npm = tools::need("npm")?;
        fs::write(folder.join("package.json"), "{\"private\":true}\n")
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        tools::run(
            Command::new(npm)
                .args(["install", "--silent", "--no-audit", "--no-fund", "--legacy-peer-deps"])
                .args(PACKAGES)
                .current_dir(folder),
        )
        .map_err(|error| format!("strapi cannot be fetched from npm: {error}"))
    })
}

fn random() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// Writes the project, with an id of its own.
fn project(package: &Path) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("nhi-strapi-").tempdir();
    let folder = folder.map_err(|error| format!("no folder for Strapi: {error}"))?;
    let write = || -> std::io::Result<()> {
        for (path, text) in PROJECT {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
            fs::write(path, text)?;
        }
        let packages = package.canonicalize()?.join("node_modules");
        std::os::unix::fs::symlink(packages, folder.path().join("node_modules"))?;
        let named = PACKAGES.iter().filter_map(|one| one.rsplit_once('@'));
        let packages: serde_json::Map<_, _> =
            named.map(|(name, version)| (name.to_owned(), json!(version))).collect();
        let about = json!({
            "name": "nhi-test", "version": "0.0.0", "private": true, "dependencies": packages,
            "strapi": { "uuid": format!("00000000-0000-4000-8000-{}", &random()[4..]) },
        });
        fs::write(folder.path().join("package.json"), about.to_string())
    };
    write().map_err(|error| format!("{}: {error}", folder.path().display()))?;
    Ok(folder)
}

impl Strapi {
    /// Starts one, with its two default tokens and an API of tickets.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn start() -> Result<Strapi> {
        let (package, node, database) = (package()?, tools::need("node")?, PostgreSql::start()?);
        database.by_hand("create database strapi")?;
        let project = project(&package)?;
        let url =
            format!("postgres://postgres:{}@127.0.0.1:{}/strapi", database.password, database.port);
        let key = random();
        let running = running::Server::start("Strapi started successfully", |port| {
            let mut command = Command::new("sh");
            command.args(["-c", "cd \"$1\" && exec \"$2\" \"$3\" start", "sh"]);
            command.arg(project.path()).arg(&node).arg(SERVER);
            command.env("DATABASE", &url).env("KEY", &key).env("PORT", port.to_string());
            command.env("NODE_ENV", "production").env("STRAPI_TELEMETRY_DISABLED", "true");
            command
        })?;
        let mut strapi = Strapi {
            port: running.port,
            _running: running,
            _database: database,
            _project: project,
            token: String::new(),
            session: String::new(),
        };
        let admin = json!({
            "firstname": "A", "lastname": "B", "email": "admin@acme.example", "password": "Passw0rd",
        });
        let signed_in = strapi.by_hand("POST", "admin/register-admin", Some(&admin))?;
        strapi.session = text(&signed_in["data"]["token"]);
        strapi.token =
            strapi.admin_token("nhi", &["read", "create", "update", "delete", "regenerate"])?;
        Ok(strapi)
    }

    /// Makes an admin token that may do this with API tokens.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn admin_token(&self, name: &str, may: &[&str]) -> Result<String> {
        let one =
            |what: &&str| json!({ "action": format!("admin::api-tokens.{what}"), "subject": null });
        let body = json!({
            "name": name, "description": "", "lifespan": null,
            "adminPermissions": may.iter().map(one).collect::<Vec<_>>(),
        });
        let made = self.by_hand("POST", "admin/admin-tokens", Some(&body))?;
        Ok(text(&made["data"]["accessKey"]))
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
        let header = format!("Bearer {token}");
        let header = ("Authorization", header.as_str());
        http::send_as(self.port, method, &format!("/{path}"), header, body)
    }

    /// Sends a request as the first admin; it must succeed.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn by_hand(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let answer = self.ask_as(&self.session, method, path, body)?;
        match answer.status {
            200..300 => Ok(answer.json),
            status => Err(format!("{method} {path}: {status} {}", answer.json)),
        }
    }

    /// Makes a token by hand that may do this; the server's answer.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn issue(&self, name: &str, permissions: &[&str]) -> Result<Value> {
        let body = json!({
            "name": name, "description": "", "type": "custom", "permissions": permissions,
            "lifespan": null,
        });
        Ok(self.by_hand("POST", "admin/api-tokens", Some(&body))?["data"].clone())
    }

    /// All tokens, as the server lists them.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn tokens(&self) -> Result<Vec<Value>> {
        let all = self.by_hand("GET", "admin/api-tokens", None)?;
        Ok(all["data"].as_array().cloned().unwrap_or_default())
    }

    /// The one token of just this name.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn named(&self, name: &str) -> Result<Value> {
        let one = self.tokens()?.into_iter().find(|one| one["name"] == name);
        one.ok_or_else(|| format!("there is no token {name:?}"))
    }

    /// What a token by its id shows to whoever may read tokens: its secret, since the project has an
    /// encryption key.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn shown(&self, id: &Value) -> Result<String> {
        let one = self.by_hand("GET", &format!("admin/api-tokens/{id}"), None)?;
        Ok(text(&one["data"]["accessKey"]))
    }

    /// The status that an application with this token is answered when it lists the tickets.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn lists_tickets(&self, token: &str) -> Result<u16> {
        Ok(self.ask_as(token, "GET", "api/tickets", None)?.status)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
