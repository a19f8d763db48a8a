//! A file beside the ledger that keeps room for the worst day, and tells whether others are at work.
//!
//! When the disk is full it is given up, so that what was begun can be journalled to its end and
//! power can still be taken away. Every writer holds a lock on it, since a second look at the
//! database's own files would drop the locks that the database holds on them.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};

use crate::place;

/// Gives up the reserve of a ledger that cannot be opened without its room; false if there is none.
pub(crate) fn give_up(ledger: &Path) -> bool {
    let file = OpenOptions::new().write(true).open(place::beside(ledger, "-reserve"));
    file.is_ok_and(|file| Reserve(file).give_up())
}

/// What is kept, in bytes.
pub(crate) const RESERVED: u64 = 16 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Reserve(File);

impl Reserve {
    /// Takes part in the lock on it, and tells whether nobody else does; then nobody can before
    /// [`Reserve::share`]. `None` where no such file can be made: then there is no reserve.
    pub(crate) fn hold(ledger: &Path) -> Option<(Reserve, bool)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(place::beside(ledger, "-reserve"))
            .ok()?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Some((Reserve(file), true));
        }
        flock(&file, FlockOperation::LockShared).ok()?;
        Some((Reserve(file), false))
    }

    /// Lets others in.
    pub(crate) fn share(&self) {
        let _ = flock(&self.0, FlockOperation::LockShared);
    }

    /// Keeps the room, unless it is kept already or there is too little to take it from.
    pub(crate) fn fill(&self, free: u64, needed: u64) {
        if self.size() < RESERVED && free >= RESERVED + needed {
            // A file system that cannot promise room keeps none.
            let kept = fallocate(&self.0, FallocateFlags::empty(), 0, RESERVED);
            let size = if kept.is_ok() { RESERVED } else { 0 };
            let _ = self.0.set_len(size);
        }
    }

    /// Gives the room up; false if there was none.
    pub(crate) fn give_up(&self) -> bool {
        self.size() > 0 && self.0.set_len(0).is_ok()
    }

    fn size(&self) -> u64 {
        self.0.metadata().map_or(0, |about| about.len())
    }
}
