//! A real core: terraform or tofu, each with a home and a configuration of its own.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Result, tools};

/// A core's program.
#[derive(Debug, Clone)]
pub struct Core {
    /// Where it is.
    pub path: PathBuf,
}

/// A run that ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Everything that it said, without colors.
    pub said: String,
}

impl Ran {
    /// The output, if the exit code is this.
    ///
    /// # Errors
    ///
    /// Another one, with all that was said.
    pub fn expect(self, code: i32) -> Result<String> {
        if self.code == code {
            Ok(self.said)
        } else {
            Err(format!("exit code {} where {code} was expected:\n{}", self.code, self.said))
        }
    }
}

impl Core {
    /// The one that is named, else the first on the PATH.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn find(named: Option<&Path>) -> Result<Core> {
        if let Some(path) = named {
            return Core::at(path);
        }
        let path = tools::find("terraform").or_else(|| tools::find("tofu"));
        Core::at(&path.map_or_else(|| tools::need("terraform"), Ok)?)
    }

    /// The one at a path, which may be relative: commands run in other folders.
    ///
    /// # Errors
    ///
    /// There is no program at it.
    fn at(path: &Path) -> Result<Core> {
        let told = |why: &str| {
            format!("{} is no core: {why}. Name the file of a terraform or tofu.", path.display())
        };
        let whole = std::fs::canonicalize(path).map_err(|error| told(&error.to_string()))?;
        if tools::is_program(&whole) {
            Ok(Core { path: whole })
        } else {
            Err(told("it cannot be run"))
        }
    }

    /// All that tests should run: those on the PATH and those in `NHI_TEST_CORES`.
    ///
    /// # Errors
    ///
    /// There is none, or one that is named is not there.
    pub fn all() -> Result<Vec<Core>> {
        let named = std::env::var_os("NHI_TEST_CORES").unwrap_or_default();
        let here = ["terraform", "tofu"].into_iter().filter_map(tools::find);
        let cores = Core::each(std::env::split_paths(&named).chain(here))?;
        if cores.is_empty() { Err(tools::need("terraform").unwrap_err()) } else { Ok(cores) }
    }

    /// Each once, whatever it is called.
    fn each(paths: impl Iterator<Item = PathBuf>) -> Result<Vec<Core>> {
        let mut cores: Vec<Core> = Vec::new();
        for path in paths.filter(|path| !path.as_os_str().is_empty()) {
            let core = Core::at(&path)?;
            if cores.iter().all(|one| one.path != core.path) {
                cores.push(core);
            }
        }
        Ok(cores)
    }

    /// A command in a folder. Inherited `TF_*` variables and the user's own configuration are kept
    /// out.
    pub fn command(&self, folder: &Path, home: &Path) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(folder).stdin(Stdio::null());
        clean(&mut command);
        command
            .env("HOME", home)
            .env("TF_CLI_CONFIG_FILE", home.join("cli.rc"))
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0");
        command
    }
}

/// Keeps inherited `TF_*` variables out.
pub fn clean(command: &mut Command) {
    let inherited: Vec<OsString> = std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| name.to_string_lossy().starts_with("TF_"))
        .collect();
    for name in inherited {
        command.env_remove(name);
    }
}

/// Runs a command to its end and takes what it said, both streams in one.
///
/// # Errors
///
/// It did not start.
pub fn ran(command: &mut Command) -> Result<Ran> {
    let done = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = [done.stdout, done.stderr].concat();
    Ok(Ran {
        code: done.status.code().unwrap_or(-1),
        said: String::from_utf8_lossy(&said).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_found_by_a_relative_path_and_taken_once_under_all_its_names() {
        let folder = tempfile::tempdir_in(".").unwrap();
        let real = folder.path().join("real");
        std::fs::copy("/bin/sh", &real).unwrap();
        let other = folder.path().join("other");
        std::os::unix::fs::symlink("real", &other).unwrap();
        let relative = PathBuf::from(folder.path().file_name().unwrap()).join("real");
        assert!(relative.is_relative());
        let cores = Core::each([real, other, relative, PathBuf::new()].into_iter()).unwrap();
        assert_eq!(cores.len(), 1);
        assert!(cores[0].path.is_absolute());
    }

    #[test]
    fn what_is_no_program_is_refused_in_one_line() {
        for (path, why) in [("no/such", "No such file"), ("Cargo.toml", "cannot be run")] {
            let said = Core::find(Some(Path::new(path))).unwrap_err();
            assert!(
                said.contains(path) && said.contains(why) && said.lines().count() == 1,
                "{said}"
            );
        }
    }
}
