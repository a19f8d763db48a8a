//! GitHub's published contract from npm, as a proxy before a server (`prism`): a request or an answer that
//! is not what the contract says is answered with an error in its place, and told.
//!
//! It belongs to the second ring: it is large.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::running;
use crate::{Result, tools};

/// The contract, and what holds to it, in the versions that the tests were written against.
const PACKAGES: [&str; 2] = ["@octokit/openapi@23.0.2", "@stoplight/prism-cli@5.16.0"];
/// The one document of many that is used.
const DOCUMENT: &str = "node_modules/@octokit/openapi/generated/ghec.json";

const HOST: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../connectors/github/tests/it/contract.mjs");

/// A running proxy. It ends with this value, or with the process that started it.
#[derive(Debug)]
pub struct Contract {
    _running: running::Server,
    told: tempfile::NamedTempFile,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

/// The folder that it is installed in: `NHI_TEST_GITHUB_CONTRACT`, else the cache, else fetched into it.
///
/// # Errors
///
/// It cannot be had: what is missing and how to get it.
pub fn package() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NHI_TEST_GITHUB_CONTRACT") {
        return Ok(path.into());
    }
    super::fetched("github-contract", DOCUMENT, |folder| {
        let npm = tools::need("npm")?;
        fs::write(folder.join("package.json"), "{\"private\":true}\n")
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        tools::run(
            Command::new(npm)
                .args(["install", "--silent", "--no-audit", "--no-fund"])
                .args(PACKAGES)
                .current_dir(folder),
        )
        .map_err(|error| format!("GitHub's contract cannot be fetched from npm: {error}"))?;
        forget_the_others(&folder.join(DOCUMENT))
    })
}

/// Takes the documents away that nobody uses: they are most of what was fetched.
fn forget_the_others(used: &Path) -> Result<()> {
    let failed = |error: std::io::Error| format!("{}: {error}", used.display());
    let folder = used.parent().unwrap_or(used);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path != used && path.extension().is_some_and(|end| end == "json") {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(())
}

impl Contract {
    /// Starts one before a server.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn before(upstream: &str) -> Result<Contract> {
        let (package, node) = (package()?, tools::need("node")?);
        let told = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        let running = running::Server::start("Prism is listening", |port| {
            let mut command = Command::new(&node);
            command.arg(HOST).arg(&package).arg(port.to_string()).arg(upstream).arg(told.path());
            command
        })?;
        Ok(Contract { port: running.port, _running: running, told })
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every request and answer that was not what the contract says, a line each.
    ///
    /// # Errors
    ///
    /// Its account of them cannot be read.
    pub fn violations(&self) -> Result<Vec<String>> {
        let told = fs::read_to_string(self.told.path()).map_err(|error| error.to_string())?;
        Ok(told.lines().map(str::to_owned).collect())
    }
}
