//! Where `nhi.hcl` is: named, in the environment, or the nearest one upwards.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

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
    /// It is longer than any configuration, or has no end.
    #[error("{path} is longer than 1 MiB")]
    Long {
        /// The file.
        path: String,
    },
    /// It is in another encoding, or no text.
    #[error("{path} is not UTF-8, from line {line} on")]
    NotText {
        /// The file.
        path: String,
        /// Where that begins.
        line: usize,
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
            FileError::Long { .. } => {
                "name another file, or take out what does not belong there".to_owned()
            }
            FileError::NotText { .. } => "save it as UTF-8".to_owned(),
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
    // An empty variable is none, as everywhere.
    if let Some(path) = named.or(environment.filter(|path| !path.is_empty())) {
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

/// The longest file that is read.
const LONGEST: u64 = 1 << 20;

/// Reads the file's text.
///
/// # Errors
///
/// It cannot be read, is no text or too long, or anybody may write it.
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
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(FileError::Long { path: shown });
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        FileError::NotText { path: shown, line }
    })
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
        assert_eq!(discover(None, None, &deep).file, Some(file.clone()));
        assert_eq!(discover(None, Some(""), &deep).file, Some(file));
        assert_eq!(discover(Some("x.hcl"), Some("y.hcl"), &deep).file, Some(deep.join("x.hcl")));
    }

    #[test]
    fn what_is_no_text_of_ours_is_refused_with_where_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE_NAME);
        fs::write(&file, b"# 1\n# caf\xe9\n").unwrap();
        let refused = read(&file).unwrap_err();
        assert!(refused.to_string().contains("not UTF-8, from line 2 on"), "{refused}");
        assert_eq!(refused.remedy(), "save it as UTF-8");
        fs::write(&file, vec![b'#'; 1 + (1 << 20)]).unwrap();
        assert!(matches!(read(&file).unwrap_err(), FileError::Long { .. }));
        if cfg!(unix) {
            let endless = read(Path::new("/dev/zero")).unwrap_err();
            assert!(!matches!(endless, FileError::NotText { .. }), "{endless}");
        }
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
