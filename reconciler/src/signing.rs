//! What a person signs with: a key's file, an agent, or a hardware key that `ssh-keygen` speaks to.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use approval::{
    KeyFile, agent,
    key::fingerprint_of,
    sshsig::{self, Signed},
};
use operations::Problem;

/// A key, and the way to it.
#[derive(Debug)]
pub(crate) enum Pen {
    /// It is at hand.
    File(KeyFile),
    /// An agent has it.
    Agent {
        /// Where it listens.
        socket: PathBuf,
        /// The public key or the certificate.
        blob: Vec<u8>,
    },
    /// `ssh-keygen` leads to it.
    Hardware(PathBuf),
}

fn no_key(place: &str, why: impl std::fmt::Display) -> Problem {
    Problem::new("E-KEY", "There is no key to sign with")
        .detail(format!("{place}: {why}."))
        .next("name a key of yours with --key FILE, or add it to your agent: ssh-add FILE")
}

impl Pen {
    /// The key in this file, or the one that an agent has.
    ///
    /// # Errors
    ///
    /// There is none, or it is not known which of several.
    pub(crate) fn find(
        key: Option<&Path>,
        socket: Option<String>,
        ask: impl FnOnce(&str) -> Result<String, Problem>,
    ) -> Result<Pen, Problem> {
        let Some(path) = key else { return Pen::of_agent(socket, None) };
        let place = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| no_key(&place, error))?;
        let bytes = zeroize::Zeroizing::new(bytes);
        let file = KeyFile::read(&bytes).map_err(|error| no_key(&place, error))?;
        match file {
            KeyFile::Public(blob) => Pen::of_agent(socket, Some(blob)),
            KeyFile::Hardware => Ok(Pen::Hardware(path.to_owned())),
            KeyFile::Private(_) => Ok(Pen::File(file)),
            KeyFile::Encrypted(_) => {
                let phrase = zeroize::Zeroizing::new(ask(&place)?);
                let opened = file.opened(phrase.as_bytes());
                opened.map(Pen::File).map_err(|error| no_key(&place, error))
            }
        }
    }

    fn of_agent(socket: Option<String>, wanted: Option<Vec<u8>>) -> Result<Pen, Problem> {
        let Some(socket) = socket.filter(|one| !one.is_empty()) else {
            return Err(no_key("no agent", "SSH_AUTH_SOCK is not set"));
        };
        let place = format!("the agent at {socket}");
        let socket = PathBuf::from(socket);
        let held = connected(&socket)
            .and_then(|mut stream| agent::identities(&mut stream))
            .map_err(|error| no_key(&place, error))?;
        let fits: Vec<&agent::Identity> = match &wanted {
            None => held.iter().collect(),
            // A public key also stands for the certificate of it.
            Some(wanted) => {
                let print = fingerprint_of(wanted);
                let exact: Vec<_> = held.iter().filter(|one| one.blob == *wanted).collect();
                match exact.is_empty() {
                    false => exact,
                    true => held
                        .iter()
                        .filter(|one| print.is_some() && fingerprint_of(&one.blob) == print)
                        .collect(),
                }
            }
        };
        match fits.as_slice() {
            [one] => Ok(Pen::Agent { socket, blob: one.blob.clone() }),
            [] if wanted.is_some() => Err(no_key(&place, "it does not hold that key")),
            [] => Err(no_key(&place, "it holds no key")),
            several => {
                let names: Vec<String> = several
                    .iter()
                    .map(|one| {
                        let print = fingerprint_of(&one.blob).unwrap_or_default();
                        format!("{} {print}", one.comment)
                    })
                    .collect();
                let why = format!("it holds several keys: {}", names.join(", "));
                Err(no_key(&place, why).next("say which by its public half: --key FILE.pub"))
            }
        }
    }

    /// Signs bytes in a namespace.
    ///
    /// # Errors
    ///
    /// Whoever has the key did not sign.
    pub(crate) fn sign(&self, namespace: &str, bytes: &[u8]) -> Result<Vec<u8>, Problem> {
        match self {
            Pen::File(key) => key.sign(namespace, bytes).map_err(|error| no_key("the key", error)),
            Pen::Agent { socket, blob } => {
                let place = "the agent";
                let data = sshsig::to_sign(namespace, bytes).map_err(|e| no_key(place, e))?;
                let made = connected(socket)
                    .and_then(|mut stream| agent::sign(&mut stream, blob, &data))
                    .map_err(|error| no_key(place, format!("it did not sign: {error}")))?;
                sshsig::assembled(blob, namespace, &made).map_err(|error| no_key(place, error))
            }
            Pen::Hardware(path) => by_keygen(path, namespace, bytes),
        }
    }
}

/// The signature is checked before anybody else sees it.
///
/// # Errors
///
/// It is none.
pub(crate) fn checked(signature: &[u8], namespace: &str, bytes: &[u8]) -> Result<Signed, Problem> {
    sshsig::check(signature, bytes, namespace)
        .map_err(|error| no_key("what was signed does not hold", error))
}

#[cfg(unix)]
fn connected(socket: &Path) -> std::io::Result<std::os::unix::net::UnixStream> {
    std::os::unix::net::UnixStream::connect(socket)
}

#[cfg(not(unix))]
fn connected(_: &Path) -> std::io::Result<std::net::TcpStream> {
    Err(std::io::Error::other("agents are reached over a Unix socket, which is not here"))
}

/// A hardware key is led by OpenSSH itself, which asks for the touch and the PIN on the terminal.
fn by_keygen(path: &Path, namespace: &str, bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let place = path.display().to_string();
    let failed = |why: String| no_key(&place, format!("ssh-keygen -Y sign: {why}"));
    let mut child = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(bytes));
    let done = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !done.status.success() || !matches!(written, Some(Ok(()))) {
        return Err(failed("it did not sign".to_owned()));
    }
    let text = String::from_utf8_lossy(&done.stdout);
    sshsig::from_armour(&text).map_err(|error| failed(error.to_string()))
}

/// Asks for the passphrase of a key on the terminal, without showing it.
///
/// # Errors
///
/// There is no terminal.
pub(crate) fn passphrase(place: &str) -> Result<String, Problem> {
    rpassword::prompt_password(format!("Passphrase of {place}: ")).map_err(|error| {
        no_key(
            place,
            format!("it is encrypted, and nobody can be asked for its passphrase: {error}"),
        )
        .next("add it to your agent: ssh-add FILE, and name its public half: --key FILE.pub")
    })
}
