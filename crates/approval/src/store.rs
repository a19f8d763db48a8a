//! Where statements are kept: beside the configuration, a folder for each change and a file for each
//! statement, so that two boards who sign in two branches never meet in one file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use policy::change::{Change, Digest};

use crate::{envelope::LARGEST, record};

/// What a statement's file ends with.
const ENDING: &str = ".dsse.json";

/// The most statements that are read of one change.
const MOST: usize = 256;

/// A statement as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where, for people.
    pub place: String,
    /// The envelope's bytes, or why they cannot be read.
    pub bytes: Result<Vec<u8>, String>,
}

/// Keeps statements.
pub trait Store {
    /// All of one change.
    ///
    /// # Errors
    ///
    /// The store cannot be read. That is never the same as that nobody signed.
    fn of(&self, digest: Digest) -> Result<Vec<Kept>, StoreError>;

    /// Adds one of each change that it names.
    ///
    /// # Errors
    ///
    /// It could not be kept; none may be half written.
    fn add(&self, digest: Digest, name: &str, bytes: &[u8]) -> Result<String, StoreError>;

    /// The changes whose digest begins so.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    fn beginning(&self, prefix: &str) -> Result<Vec<Digest>, StoreError>;

    /// Keeps the record of a change for those who are to sign it. Its name is its digest: one that is
    /// there already is the same.
    ///
    /// # Errors
    ///
    /// It could not be kept.
    fn keep(&self, change: &Change) -> Result<(), StoreError>;

    /// The record of a change, if it was kept.
    ///
    /// # Errors
    ///
    /// It is there and cannot be read, or is another's.
    fn record(&self, digest: Digest) -> Result<Option<Change>, StoreError>;
}

/// What keeps a store from working.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {why}")]
pub struct StoreError {
    /// Where.
    pub place: String,
    /// Why.
    pub why: String,
}

/// A folder, as it is kept in Git.
#[derive(Debug, Clone)]
pub struct Folder(pub PathBuf);

/// What the record of a change is called beside what is said of it.
const RECORD: &str = "change.json";

impl Folder {
    fn error(path: &Path, error: &io::Error) -> StoreError {
        StoreError { place: path.display().to_string(), why: error.to_string() }
    }
}

impl Store for Folder {
    fn of(&self, digest: Digest) -> Result<Vec<Kept>, StoreError> {
        let folder = self.0.join(digest.hex());
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            // Nobody said anything; but a store that is not there at all was lost, not empty.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.0.is_dir() => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(Folder::error(&folder, &error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Folder::error(&folder, &error))?;
            if entry.file_name().to_string_lossy().ends_with(ENDING) {
                names.push(entry.path());
            }
        }
        if names.len() > MOST {
            let why = format!("it has {} statements; at most {MOST} are read", names.len());
            return Err(StoreError { place: folder.display().to_string(), why });
        }
        names.sort();
        Ok(names
            .into_iter()
            .map(|path| Kept { bytes: read(&path), place: path.display().to_string() })
            .collect())
    }

    fn add(&self, digest: Digest, name: &str, bytes: &[u8]) -> Result<String, StoreError> {
        let folder = self.0.join(digest.hex());
        let path = folder.join(format!("{}{ENDING}", safe(name)));
        let write = || -> io::Result<()> {
            fs::create_dir_all(&folder)?;
            let half = folder.join(format!(".{}.half", safe(name)));
            fs::write(&half, bytes)?;
            // A link, not a renaming: what somebody has said is never written over.
            let kept = fs::hard_link(&half, &path);
            fs::remove_file(&half)?;
            kept
        };
        write().map_err(|error| Folder::error(&path, &error))?;
        Ok(path.display().to_string())
    }

    fn beginning(&self, prefix: &str) -> Result<Vec<Digest>, StoreError> {
        let prefix = prefix.strip_prefix("sha256:").unwrap_or(prefix);
        let entries = fs::read_dir(&self.0).map_err(|error| Folder::error(&self.0, &error))?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Folder::error(&self.0, &error))?;
            let name = entry.file_name();
            let digest = name.to_str().filter(|name| name.starts_with(prefix));
            found.extend(digest.and_then(Digest::parse));
        }
        found.sort();
        Ok(found)
    }

    fn keep(&self, change: &Change) -> Result<(), StoreError> {
        let folder = self.0.join(change.digest().hex());
        let path = folder.join(RECORD);
        let write = || -> io::Result<()> {
            fs::create_dir_all(&folder)?;
            let half = folder.join(format!(".{RECORD}.half"));
            fs::write(&half, change.canonical())?;
            fs::rename(&half, &path)
        };
        write().map_err(|error| Folder::error(&path, &error))
    }

    fn record(&self, digest: Digest) -> Result<Option<Change>, StoreError> {
        let path = self.0.join(digest.hex()).join(RECORD);
        if fs::symlink_metadata(&path).is_err() {
            return Ok(None);
        }
        let bytes = read(&path);
        let change = bytes
            .and_then(|bytes| record::read_of(&bytes, digest).map_err(|error| error.to_string()));
        change.map(Some).map_err(|why| StoreError { place: path.display().to_string(), why })
    }
}

/// One file, and no more of it than a statement may have. What is no file of its own is not followed.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let about = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if about.len() > LARGEST as u64 {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    fs::read(path).map_err(|error| error.to_string())
}

/// A name as a file's: what is no letter, digit or of `@._-` becomes `_`.
fn safe(name: &str) -> String {
    let one = |c: char| match c {
        c if c.is_ascii_alphanumeric() || "@._-".contains(c) => c,
        _ => '_',
    };
    let name: String = name.chars().map(one).collect();
    name.trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_kept_beside_others_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let store = Folder(folder.path().to_owned());
        let (one, other) = (Digest([1; 32]), Digest([2; 32]));
        assert_eq!(store.of(one).unwrap(), []);
        store.add(one, "ann@acme-1", b"a").unwrap();
        store.add(one, "../sam/é", b"b").unwrap();
        assert!(store.add(one, "ann@acme-1", b"c").is_err(), "written over");
        let kept: Vec<Vec<u8>> =
            store.of(one).unwrap().into_iter().map(|kept| kept.bytes.unwrap()).collect();
        assert_eq!(kept, [b"b".to_vec(), b"a".to_vec()]);
        assert_eq!(store.of(other).unwrap(), []);
        assert_eq!(store.beginning("0101").unwrap(), [one]);
        assert_eq!(store.beginning("sha256:").unwrap(), [one]);
        // Nothing half written is left, and nothing lies outside.
        let mut inside: Vec<String> = fs::read_dir(folder.path().join(one.hex()))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        inside.sort();
        assert_eq!(inside, ["_sam__.dsse.json", "ann@acme-1.dsse.json"]);
    }

    #[test]
    fn a_store_that_is_not_there_is_an_error_and_not_that_nobody_signed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Folder(folder.path().join("lost"));
        assert!(store.of(Digest([1; 32])).unwrap_err().to_string().contains("lost"));
        assert!(store.beginning("").is_err());
    }

    #[test]
    fn a_record_is_kept_under_its_digest_and_nothing_else_is_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Folder(folder.path().to_owned());
        let change = |generation| Change {
            tenant: "t".into(),
            kind: "nhi_scope".into(),
            object: "x".into(),
            action: policy::change::Action::Update,
            generation,
            before: policy::change::Value::Null,
            after: policy::change::Value::Null,
        };
        let (one, other) = (change(1), change(2));
        assert_eq!(store.record(one.digest()).unwrap(), None);
        store.keep(&one).unwrap();
        store.keep(&one).unwrap();
        assert_eq!(store.record(one.digest()).unwrap(), Some(one.clone()));
        assert_eq!(store.of(one.digest()).unwrap(), [], "it is no statement");
        let inside = folder.path().join(one.digest().hex()).join(RECORD);
        fs::write(inside, other.canonical()).unwrap();
        assert!(store.record(one.digest()).unwrap_err().to_string().contains("the record of"));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_of_its_own_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Folder(folder.path().to_owned());
        let digest = Digest([3; 32]);
        let inside = folder.path().join(digest.hex());
        fs::create_dir_all(&inside).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", inside.join("x.dsse.json")).unwrap();
        let kept = store.of(digest).unwrap();
        assert!(kept[0].bytes.as_ref().unwrap_err().contains("regular"));
    }
}
