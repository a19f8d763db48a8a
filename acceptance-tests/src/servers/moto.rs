//! `moto` from PyPI: an AWS account on this machine, with the wire protocol, signatures and policies
//! checked; and AWS's own client for Python, which comes with it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::running;
use crate::{Result, tools};

/// The version that the stories were written against.
const VERSION: &str = "5.2.5";
/// Its account.
pub const ACCOUNT: &str = "123456789012";
/// Where its secrets are: IAM is signed for in another region.
pub const SECRETS_REGION: &str = "eu-central-1";

const HOST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/servers/moto_account.py");
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/servers/moto_client.py");

/// A running server. It ends with this value, or with the process that started it.
#[derive(Debug)]
pub struct Moto {
    _running: running::Server,
    package: PathBuf,
    /// AWS's own client, once somebody asks: it takes long to start.
    client: Mutex<Option<Client>>,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Who may do everything there: the id of a key.
    pub id: String,
    /// The key's secret: it opens nothing but that server.
    pub secret: String,
}

/// The folder that it is installed in: `NHI_TEST_MOTO`, else the cache, else fetched into it.
///
/// # Errors
///
/// It cannot be had: what is missing and how to get it.
pub fn package() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NHI_TEST_MOTO") {
        return Ok(path.into());
    }
    super::fetched("moto", "moto", |folder| {
        let mut pip = tools::pip()?;
        // What its extra `server` would bring for services that nobody asks here is left out.
        pip.args(["install", "--quiet", "--target"]).arg(folder).args([
            &format!("moto=={VERSION}"),
            "flask",
            "flask-cors",
        ]);
        tools::run(&mut pip).map_err(|error| format!("moto cannot be fetched from PyPI: {error}"))
    })
}

impl Moto {
    /// Starts an empty one.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn start() -> Result<Moto> {
        Moto::with_pages_of(1000)
    }

    /// Starts an empty one that puts at most so many users on a page.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn with_pages_of(users: u32) -> Result<Moto> {
        let (package, python) = (package()?, tools::need("python3")?);
        let told = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        let running = running::Server::start("Running on", |port| {
            let mut command = Command::new(&python);
            command.arg(HOST).arg(port.to_string()).arg(told.path());
            command.env("PYTHONPATH", &package).env("PAGE", users.to_string());
            command
        })?;
        let text = fs::read_to_string(told.path()).map_err(|error| error.to_string())?;
        let key: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let word = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
        let (id, secret) = (word("id"), word("secret"));
        let client = Mutex::default();
        Ok(Moto { port: running.port, _running: running, package, client, id, secret })
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What AWS's own client gets for a key, or the code of the refusal.
    ///
    /// # Errors
    ///
    /// The client came to no answer.
    pub fn ask_as(
        &self,
        (id, secret): (&str, &str),
        service: &str,
        operation: &str,
        with: Value,
    ) -> Result<std::result::Result<Value, String>> {
        let region = if service == "secretsmanager" { SECRETS_REGION } else { "us-east-1" };
        let asked = json!({
            "endpoint": self.address(), "region": region, "id": id, "secret": secret,
            "service": service, "operation": operation, "with": with,
        });
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let client = match &mut *client {
            Some(client) => client,
            none => none.insert(Client::start(&self.package)?),
        };
        let said = client.ask(&asked)?;
        match said["code"].as_str() {
            Some(code) => Ok(Err(code.to_owned())),
            None => Ok(Ok(said["ok"].clone())),
        }
    }

    /// Asks Secrets Manager as the administrator for what must be given.
    ///
    /// # Errors
    ///
    /// It is refused.
    pub fn secrets(&self, operation: &str, with: Value) -> Result<Value> {
        let answer = self.ask_as((&self.id, &self.secret), "secretsmanager", operation, with)?;
        answer.map_err(|code| format!("{operation}: {code}"))
    }

    /// Asks IAM as the administrator for what must be given.
    ///
    /// # Errors
    ///
    /// It is refused.
    pub fn iam(&self, operation: &str, with: Value) -> Result<Value> {
        let answer = self.ask_as((&self.id, &self.secret), "iam", operation, with)?;
        answer.map_err(|code| format!("{operation}: {code}"))
    }
}

/// AWS's own client, which answers line by line until it is dropped.
#[derive(Debug)]
struct Client {
    child: Child,
    asks: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Client {
    fn start(package: &Path) -> Result<Client> {
        let failed = |error: std::io::Error| format!("python3: {error}");
        let mut child = Command::new(tools::need("python3")?)
            .arg(CLIENT)
            .env("PYTHONPATH", package)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(asks), Some(says)) => Ok(Client { child, asks, says: BufReader::new(says) }),
            _ => Err("python3 has no pipes".into()),
        }
    }

    fn ask(&mut self, asked: &Value) -> Result<Value> {
        let mut line = String::new();
        let said = writeln!(self.asks, "{asked}")
            .and_then(|()| self.asks.flush())
            .and_then(|()| self.says.read_line(&mut line));
        said.map_err(|error| format!("AWS's client: {error}"))?;
        serde_json::from_str(&line).map_err(|_| format!("AWS's client said {line:?}"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
