//! A real Chromium without a window, as npm's `@sparticuz/chromium` brings one, led by
//! `puppeteer-core`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{Result, tools};

/// The versions that were tried.
const CHROMIUM: &str = "153.0.0";
const PUPPETEER: &str = "25.16.0";

const HOST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/servers/browser.mjs");
const REVIEW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/servers/review.mjs");

/// The folder that it is installed in: `NHI_TEST_BROWSER`, else the cache, else fetched into it.
///
/// # Errors
///
/// It cannot be had: what is missing and how to get it.
pub fn package() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NHI_TEST_BROWSER") {
        return Ok(path.into());
    }
    super::fetched("browser", "node_modules/puppeteer-core", |folder| {
        let npm = tools::need("npm")?;
        fs::write(folder.join("package.json"), "{\"private\":true}\n")
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        tools::run(
            Command::new(npm)
                .args(["install", "--silent", "--no-audit", "--no-fund"])
                .args([
                    format!("@sparticuz/chromium@{CHROMIUM}"),
                    format!("puppeteer-core@{PUPPETEER}"),
                ])
                .current_dir(folder),
        )
        .map_err(|error| format!("Chromium cannot be fetched from npm: {error}"))
    })
}

/// Opens a page of a report, uses it as a person would, and tells what was seen.
///
/// # Errors
///
/// The browser cannot be had, or something on the page did not answer.
pub fn look_at(page: &Path, search: &str) -> Result<Value> {
    led(HOST, page, search, None)
}

/// The same of the page of a review. A picture of it is left there, if one is wanted.
///
/// # Errors
///
/// The browser cannot be had, or something on the page did not answer.
pub fn look_at_review(page: &Path, search: &str, picture: Option<&Path>) -> Result<Value> {
    led(REVIEW, page, search, picture)
}

fn led(host: &str, page: &Path, search: &str, picture: Option<&Path>) -> Result<Value> {
    let package = package()?;
    let mut command = Command::new(tools::need("node")?);
    command.arg(host).arg(package.join("node_modules")).arg(page).arg(search).args(picture);
    let done = command.output().map_err(|error| format!("node: {error}"))?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned());
    }
    serde_json::from_slice(&done.stdout).map_err(|error| format!("what the browser says: {error}"))
}
