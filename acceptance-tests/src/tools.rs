//! Programs that must be on the machine, each with one clear line when it is not.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Result;

/// How to get a tool.
fn remedy(tool: &str) -> &'static str {
    match tool {
        "python3" => "install Python 3 with pip (Debian: apt-get install python3 python3-pip)",
        "node" | "npm" => "install Node.js with npm (Debian: apt-get install nodejs npm)",
        "terraform" | "tofu" => {
            "install Terraform or OpenTofu and put it on the PATH, or name it (demo: --core PATH; tests: NHI_TEST_CORES)"
        }
        "curl" => "install curl (Debian: apt-get install curl)",
        "cc" => "install a C compiler (Debian: apt-get install gcc)",
        _ => "install it and put it on the PATH",
    }
}

/// Finds a program on the PATH.
pub fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| is_program(file))
}

/// Whether a file can be run.
pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Finds a program that is needed.
///
/// # Errors
///
/// One line that names it and how to get it.
pub fn need(tool: &str) -> Result<PathBuf> {
    find(tool).ok_or_else(|| format!("{tool} is needed and is not here: {}", remedy(tool)))
}

/// A pip that fetches, also where it is told to work in virtual environments alone: nothing is
/// installed.
///
/// # Errors
///
/// One line that says what is missing and how to get it.
pub fn pip() -> Result<Command> {
    let python = need("python3")?;
    let pip = || {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip"])
            .env("PIP_REQUIRE_VIRTUALENV", "0")
            .env("PIP_NO_INPUT", "1")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        pip
    };
    let works = pip().arg("--version").stdin(Stdio::null()).output();
    if works.is_ok_and(|done| done.status.success()) {
        Ok(pip())
    } else {
        Err(format!(
            "{} has no pip: install it (Debian: apt-get install python3-pip; elsewhere: python3 -m ensurepip)",
            python.display()
        ))
    }
}

/// The cargo that runs us, or the one on the PATH.
///
/// Without what cargo tells a program or a test of its own package: build scripts that ask for these
/// variables would take them for a change, and half of everything would be built again.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of| told.starts_with(of)) {
            command.env_remove(&name);
        }
    }
    command
}

/// A command as a person would write it: without what we set or removed of its environment.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Runs a program to its end, quietly.
///
/// # Errors
///
/// It failed; the end of what it said.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let done =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{shown}: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let end: String = said
        .lines()
        .rev()
        .take(6)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect::<Vec<_>>()
        .join("\n");
    Err(format!("{shown} failed:\n{end}"))
}

/// Where built programs are: beside whatever runs now.
///
/// # Errors
///
/// This program is nowhere that can be told.
pub fn build_folder() -> Result<PathBuf> {
    let exe = std::env::current_exe().map_err(|error| format!("this program's place: {error}"))?;
    let folder = exe.parent().unwrap_or(Path::new("."));
    // Tests run from `deps` inside it.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_owned())
}

/// Where fetched servers are kept.
///
/// # Errors
///
/// As [`build_folder`].
pub fn server_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("NHI_SERVERS_DIR") {
        return Ok(folder.into());
    }
    Ok(build_folder()?.parent().unwrap_or(Path::new("target")).join("servers"))
}
