//! A filesystem mirror, in which `terraform init` and `tofu init` find a provider without a registry.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Under which names cores look for it: their registries differ.
const ADDRESSES: [&str; 2] =
    ["registry.terraform.io/open-nhi/nhi", "registry.opentofu.org/open-nhi/nhi"];

/// Puts a provider's program into a mirror and returns the folder's full path.
///
/// # Errors
///
/// A file could not be written: which.
pub fn fill(folder: &Path, program: &Path, version: &str) -> Result<PathBuf, String> {
    for place in places(folder, version) {
        put(program, &place)?;
    }
    fs::canonicalize(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// Whether another build of the same version is in a mirror. Cores keep its checksum in the lock
/// files of folders that were initialized with it, and refuse any other.
pub fn holds_another(folder: &Path, program: &Path, version: &str) -> bool {
    let new = fs::read(program).ok();
    places(folder, version).any(|place| place.is_file() && fs::read(place).ok() != new)
}

fn places(folder: &Path, version: &str) -> impl Iterator<Item = PathBuf> {
    let system = format!("{}_{}", os(), arch());
    let file = format!("terraform-provider-nhi_v{version}");
    ADDRESSES
        .map(|address| folder.join(address).join(version).join(&system).join(&file))
        .into_iter()
}

/// Copies a program to where it may be running just now: what runs keeps its file, and whoever
/// starts it gets the old one or the new one, never a part.
///
/// # Errors
///
/// It could not be written.
pub fn put(program: &Path, file: &Path) -> Result<(), String> {
    let beside = file.with_extension(format!("part-{}", std::process::id()));
    let copied = file
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::copy(program, &beside))
        .and_then(|_| fs::rename(&beside, file));
    copied.map_err(|error: io::Error| {
        let _ = fs::remove_file(&beside);
        format!("{} -> {}: {error}", program.display(), file.display())
    })
}

/// What a core's CLI configuration must say for it to look into a mirror.
pub fn cli_configuration(folder: &Path) -> String {
    let ours = ADDRESSES.map(|address| format!("\"{address}\"")).join(", ");
    format!(
        "provider_installation {{\n  filesystem_mirror {{\n    path    = {:?}\n    include = [{ours}]\n  \
         }}\n  direct {{\n    exclude = [{ours}]\n  }}\n}}\n",
        folder.display().to_string(),
    )
}

fn os() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_provider_that_runs_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let sleep = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|path| path.join("sleep"))
            .find(|path| path.is_file())
            .unwrap();
        let file = folder.path().join("deep/provider_v1.0.0");
        put(&sleep, &file).unwrap();
        let mut running = Command::new(&file).arg("60").stdin(Stdio::null()).spawn().unwrap();
        let again = put(&sleep, &file);
        running.kill().unwrap();
        running.wait().unwrap();
        again.unwrap();
        let all = fs::read_dir(file.parent().unwrap()).unwrap().count();
        assert_eq!(all, 1, "nothing is left beside it");
    }

    #[test]
    fn both_registries_find_it() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("built");
        fs::write(&program, "x").unwrap();
        let before = folder.path().join("mirror");
        assert!(!holds_another(&before, &program, "1.2.3"));
        let mirror = fill(&folder.path().join("mirror"), &program, "1.2.3").unwrap();
        for address in ADDRESSES {
            let place = mirror.join(address).join("1.2.3").join(format!("{}_{}", os(), arch()));
            assert_eq!(fs::read(place.join("terraform-provider-nhi_v1.2.3")).unwrap(), b"x");
        }
        assert!(cli_configuration(&mirror).contains(&mirror.display().to_string()));
        assert!(!holds_another(&mirror, &program, "1.2.3"), "the same again");
        fs::write(&program, "y").unwrap();
        assert!(holds_another(&mirror, &program, "1.2.3"));
        assert!(!holds_another(&mirror, &program, "1.2.4"), "of another version it is none");
    }
}
