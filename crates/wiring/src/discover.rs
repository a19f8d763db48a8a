//! Where `nhi.hcl` is: named, in the environment, or the nearest one upwards.

use std::path::{Path, PathBuf};

/// The file's name.
pub const FILE_NAME: &str = "nhi.hcl";

/// Why a configuration file could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It was named and is not there, or cannot be read.
    #[error("{path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// Anybody on this machine could have written it.
    #[error("{path} can be written by anybody on this machine")]
    WorldWritable {
        /// The file.
        path: String,
    },
}

impl FileError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            FileError::Unreadable { .. } => "correct the path, or who may read the file".to_owned(),
            FileError::WorldWritable { path } => format!("chmod o-w {path}"),
        }
    }
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file, if any.
    pub file: Option<PathBuf>,
    /// Where it was looked for, in order.
    pub looked: Vec<PathBuf>,
}

/// Looks for the configuration: `named`, else what `NHI_CONFIG` holds, else the nearest `nhi.hcl`
/// from `start` upwards, stopping at a folder with `.git` or at the root.
pub fn discover(named: Option<&str>, environment: Option<&str>, start: &Path) -> Found {
    if let Some(path) = named.or(environment) {
        let path = start.join(path);
        return Found { file: Some(path.clone()), looked: vec![path] };
    }
    let mut looked = Vec::new();
    for folder in start.ancestors() {
        let file = folder.join(FILE_NAME);
        let there = file.is_file();
        looked.push(file.clone());
        if there {
            return Found { file: Some(file), looked };
        }
        if folder.join(".git").exists() {
            break;
        }
    }
    Found { file: None, looked }
}

/// Reads the file's text.
///
/// # Errors
///
/// It cannot be read, or anybody may write it.
pub fn read(path: &Path) -> Result<String, FileError> {
    let shown = path.display().to_string();
    let unreadable = |error: std::io::Error| FileError::Unreadable {
        path: shown.clone(),
        reason: error.to_string(),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
        if mode & 0o002 != 0 {
            return Err(FileError::WorldWritable { path: shown });
        }
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_nearest_file_upwards_is_found_and_a_repository_is_the_end() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("repo/stack/prod");
        fs::create_dir_all(&deep).unwrap();
        fs::create_dir(root.path().join("repo/.git")).unwrap();
        fs::write(root.path().join(FILE_NAME), "").unwrap();
        assert_eq!(discover(None, None, &deep).file, None, "nothing above the repository is read");
        let file = root.path().join("repo").join(FILE_NAME);
        fs::write(&file, "").unwrap();
        assert_eq!(discover(None, None, &deep).file, Some(file));
        assert_eq!(discover(Some("x.hcl"), Some("y.hcl"), &deep).file, Some(deep.join("x.hcl")));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_anybody_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE_NAME);
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        let refused = read(&file).unwrap_err();
        assert!(matches!(refused, FileError::WorldWritable { .. }));
        assert_eq!(refused.remedy(), format!("chmod o-w {}", file.display()));
        assert!(!refused.to_string().contains("Next:"), "it is said once: {refused}");
    }
}
