//! `aiosmtpd` from PyPI: a server that takes mail and puts it into a folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::running;
use crate::{Result, tools};

/// The version that the stories were written against.
const VERSION: &str = "1.4.6";

/// A running server. It ends with this value, or with the process that started it.
#[derive(Debug)]
pub struct Mail {
    running: running::Server,
    folder: PathBuf,
}

/// The folder that it is installed in: `NHI_TEST_SMTP`, else the cache, else fetched into it.
///
/// # Errors
///
/// It cannot be had: what is missing and how to get it.
pub fn package() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NHI_TEST_SMTP") {
        return Ok(path.into());
    }
    super::fetched("aiosmtpd", "aiosmtpd", |folder| {
        let mut pip = tools::pip()?;
        pip.args(["install", "--quiet", "--target"])
            .arg(folder)
            .arg(format!("aiosmtpd=={VERSION}"));
        tools::run(&mut pip)
            .map_err(|error| format!("aiosmtpd cannot be fetched from PyPI: {error}"))
    })
}

impl Mail {
    /// Starts one that puts what it takes below a folder.
    ///
    /// # Errors
    ///
    /// It cannot be had, or does not get ready.
    pub fn start(folder: &Path) -> Result<Mail> {
        let (package, python) = (package()?, tools::need("python3")?);
        let folder = folder.join("mail");
        let running = running::Server::start("Server is listening", |port| {
            let mut command = Command::new(&python);
            command.args(["-m", "aiosmtpd", "-n", "-d", "-l", &format!("127.0.0.1:{port}")]);
            command.args(["-c", "aiosmtpd.handlers.Mailbox"]).arg(&folder);
            command.env("PYTHONPATH", &package);
            command
        })?;
        Ok(Mail { running, folder })
    }

    /// Its address, for `notify.mail.server`.
    pub fn address(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.running.port)
    }

    /// Every letter that it took.
    ///
    /// # Errors
    ///
    /// One cannot be read.
    pub fn letters(&self) -> Result<Vec<String>> {
        let Ok(all) = fs::read_dir(self.folder.join("new")) else { return Ok(Vec::new()) };
        let read = |entry: std::io::Result<fs::DirEntry>| fs::read_to_string(entry?.path());
        all.map(|entry| read(entry).map_err(|error| error.to_string())).collect()
    }
}
