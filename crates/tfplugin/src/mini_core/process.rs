//! Starting a provider's program as a core does, and reading the one line that it says.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::Refusal;

/// How long cores wait for the line.
const START: Duration = Duration::from_secs(60);

/// What tells a provider that a core starts it.
const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

/// A program that said where to connect.
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) address: Address,
    /// Its certificate for this start; none where TLS was not asked for.
    pub(super) certificate: Option<Vec<u8>>,
    /// What it wrote to standard error so far.
    pub(super) log: Log,
}

/// Where a provider listens.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Unix(String),
    Tcp(String),
}

/// The lines of standard error.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) async fn start(
    program: &Path,
    environment: &[(&str, &str)],
    certificate: Option<&str>,
) -> Result<Started, Refusal> {
    let no = |what: &str, why: &dyn std::fmt::Display| {
        Refusal::wire(format!("{}: {what}: {why}", program.display()))
    };
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_a_core_s(name)) {
        command.env_remove(name);
    }
    command
        .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
        // Cores give them in any order.
        .env("PLUGIN_PROTOCOL_VERSIONS", "6,5")
        .env("PLUGIN_MIN_PORT", "10000")
        .env("PLUGIN_MAX_PORT", "25000")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(pem) = certificate {
        command.env("PLUGIN_CLIENT_CERT", pem);
    }
    let mut child = command.spawn().map_err(|error| no("does not start", &error))?;
    let log = Log::default();
    if let Some(errors) = child.stderr.take() {
        let log = log.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(errors).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                log.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
    }
    let Some(out) = child.stdout.take() else {
        return Err(no("says nothing", &"standard output is closed"));
    };
    let mut out = BufReader::new(out);
    let mut line = String::new();
    match tokio::time::timeout(START, out.read_line(&mut line)).await {
        Err(_) => return Err(no("says nothing", &"a minute has passed")),
        Ok(Err(error)) => return Err(no("cannot be heard", &error)),
        Ok(Ok(0)) => {
            let _ = tokio::time::timeout(Duration::from_secs(1), child.wait()).await;
            return Err(no("ended before the handshake", &log.lines().join("\n")));
        }
        Ok(Ok(_)) => {}
    }
    // Cores go on to read, and throw away.
    tokio::spawn(async move {
        let mut rest = Vec::new();
        let _ = out.read_to_end(&mut rest).await;
    });
    let (address, certificate) = read_line(&line).map_err(|why| no("bad handshake", &why))?;
    Ok(Started { child, address, certificate, log })
}

/// What a test must not hand on to the core that it plays.
fn is_a_core_s(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("TF_") || name.starts_with("PLUGIN_"))
}

fn read_line(line: &str) -> Result<(Address, Option<Vec<u8>>), String> {
    let Some(line) = line.strip_suffix('\n') else {
        return Err(format!("{line:?} is no whole line"));
    };
    let fields: Vec<&str> = line.split('|').collect();
    let &[core, app, network, address, protocol, certificate] = fields.as_slice() else {
        return Err(format!("{line:?} has {} fields, not 6", fields.len()));
    };
    if (core, app, protocol) != ("1", "6", "grpc") {
        return Err(format!("{line:?} does not speak of protocol 6 over gRPC"));
    }
    let address = match network {
        "unix" => Address::Unix(address.to_owned()),
        "tcp" => Address::Tcp(address.to_owned()),
        other => return Err(format!("there is no network {other:?}")),
    };
    let certificate = match certificate {
        "" => None,
        text => Some(STANDARD_NO_PAD.decode(text).map_err(|error| error.to_string())?),
    };
    Ok((address, certificate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_that_old_cores_understand_is_taken() {
        assert!(read_line("1|6|unix|/tmp/plugin1|grpc|\n").is_ok());
        for wrong in [
            "1|6|unix|/tmp/plugin1|grpc|",
            "1|5|unix|/tmp/plugin1|grpc|\n",
            "1|6|unix|/tmp/plugin1|netrpc|\n",
            "1|6|unix|/tmp/plugin1|grpc||true\n",
            "1|6|pigeon|/tmp/plugin1|grpc|\n",
            "hello\n",
        ] {
            assert!(read_line(wrong).is_err(), "{wrong:?}");
        }
    }
}
