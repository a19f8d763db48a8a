//! The files that a ledger's history is written into.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use operations::Problem;

/// A file of which there was none before.
pub(crate) struct NewFile {
    path: PathBuf,
    /// What is written goes here.
    pub(crate) into: BufWriter<File>,
}

impl NewFile {
    /// Makes one that this user alone reads, as the ledger itself: the inventory is nobody else's business.
    ///
    /// # Errors
    ///
    /// `E-FILE`: it is there already, or cannot be made.
    pub(crate) fn create(path: &Path) -> Result<NewFile, Problem> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| refused(path, &error))?;
        Ok(NewFile { path: path.to_owned(), into: BufWriter::new(file) })
    }

    /// Has all of it on the disk.
    ///
    /// # Errors
    ///
    /// `E-FILE`: the disk does not take it.
    pub(crate) fn keep(&mut self) -> Result<(), Problem> {
        let kept = self.into.flush().and_then(|()| self.into.get_ref().sync_all());
        kept.map_err(|error| refused(&self.path, &error))
    }

    /// Has what its name leads to on the disk as well.
    ///
    /// # Errors
    ///
    /// `E-FILE`: the disk does not take it.
    pub(crate) fn keep_name(&self) -> Result<(), Problem> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder.and_then(|folder| folder.sync_all()).map_err(|error| refused(&self.path, &error))
    }
}

fn refused(path: &Path, error: &io::Error) -> Problem {
    Problem::new("E-FILE", "The file cannot be written")
        .detail(format!("{}: {error}.", path.display()))
        .next("name a file that is not there yet, in a folder that this user may write")
}
