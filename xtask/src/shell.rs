//! Running other programs, seen by whoever runs the chore.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use acceptance_tests::tools;
use serde_json::Value;

/// What a chore comes to.
pub type Result<T> = std::result::Result<T, String>;

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A cargo command in the repository.
pub fn cargo(words: &[&str]) -> Command {
    let mut command = tools::cargo();
    command.current_dir(root()).args(words).stdin(Stdio::null());
    command
}

/// Runs a command with its output shown.
///
/// # Errors
///
/// It did not start, or failed.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = tools::shown(command);
    let status = command.status().map_err(|error| format!("{shown}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown} failed")) }
}

/// A program that cargo has just built.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its package's version.
    pub version: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Programs that cargo has just built.
#[derive(Debug)]
pub struct Programs(Vec<Program>);

impl Programs {
    /// The one of this name.
    ///
    /// # Errors
    ///
    /// Cargo did not say that it built it.
    pub fn get(&self, name: &str) -> Result<&Program> {
        let found = self.0.iter().find(|program| program.name == name);
        found.ok_or_else(|| format!("cargo did not say where it built {name}"))
    }
}

/// Builds our two programs. Where they are is cargo's to say: its configuration and environment may
/// put them anywhere.
///
/// Where they are for tests, what others wrote is built as tests need it, which then build it no second
/// time; ours is as it is shipped.
///
/// # Errors
///
/// They do not build.
pub fn programs(release: bool) -> Result<Programs> {
    let all = ["-p", "provider", "-p", "nhi", "-p", "same-features"];
    built(if release { &all[..4] } else { &all }, release)
}

/// The provider alone, as it is released: where it is.
///
/// # Errors
///
/// It does not build.
pub fn released_provider() -> Result<PathBuf> {
    Ok(built(&["-p", "provider"], true)?.get("terraform-provider-nhi")?.path.clone())
}

/// Builds `nhi` as it is released, and gives its place.
///
/// # Errors
///
/// It could not be built.
pub fn released_nhi() -> Result<PathBuf> {
    Ok(built(&["-p", "nhi"], true)?.get("nhi")?.path.clone())
}

fn built(packages: &[&str], release: bool) -> Result<Programs> {
    let mut command = cargo(&["build"]);
    command.args(packages);
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    if release {
        command.arg("--release");
    }
    let done = command.output().map_err(|error| format!("cargo build: {error}"))?;
    if !done.status.success() {
        return Err("cargo build failed".into());
    }
    Ok(Programs(String::from_utf8_lossy(&done.stdout).lines().filter_map(program).collect()))
}

/// A line of cargo's messages, if it tells of a program.
fn program(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    // `path+file:///there#0.1.0`, or `…#name@0.1.0` where folder and package differ.
    let id = text(&message["package_id"])?;
    let version = id.rsplit(['#', '@']).next()?.to_owned();
    Some(Program {
        name: text(&message["target"]["name"])?,
        version,
        path: text(&message["executable"])?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_it_put_a_program_and_which_version_it_is() {
        for id in ["path+file:///x/provider#0.1.0", "path+file:///x/reconciler#nhi@0.1.0"] {
            let line = format!(
                r#"{{"reason":"compiler-artifact","package_id":"{id}","target":{{"name":"nhi"}},"executable":"/t/nhi"}}"#
            );
            let found = program(&line).unwrap();
            assert_eq!((found.version.as_str(), found.path), ("0.1.0", PathBuf::from("/t/nhi")));
        }
        assert!(program(r#"{"reason":"build-finished","success":true}"#).is_none());
    }
}
