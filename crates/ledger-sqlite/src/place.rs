//! The file and what it lies on, before the database sees it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use ledger::Error;

/// Free space below which nothing new is begun, in bytes, beside twice the log.
const ROOM: u64 = 64 * 1024 * 1024;

/// A file's identity: a file that was replaced under the same name is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

/// The file's identity and size; `None` if there is no file.
pub(crate) fn look(path: &Path) -> Result<Option<(Identity, u64)>, Error> {
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    if !about.is_file() {
        let what = if about.is_dir() { "it is a folder" } else { "it is not an ordinary file" };
        return Err(Error::NotALedger { place: shown(path), what: what.to_owned() });
    }
    Ok(Some((Identity { device: about.dev(), inode: about.ino() }, about.len())))
}

/// Makes the file, readable by its owner only, unless it is there.
///
/// The database makes its `-wal` and `-shm` files with the same mode.
pub(crate) fn create(path: &Path) -> Result<(), Error> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        // Without this a power cut could take the name of a file whose content was synced.
        Ok(_) => File::open(folder(path)).and_then(|folder| folder.sync_all()).map_err(|error| {
            Error::Failed { place: shown(path), step: "sync its folder", why: error.to_string() }
        }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::Unreadable {
            place: shown(path),
            why: format!("its folder {} does not exist", folder(path).display()),
        }),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
            Err(Error::Full { place: shown(path) })
        }
        Err(error) => Err(Error::ReadOnly {
            place: shown(path),
            why: format!("no file can be made in {}: {error}", folder(path).display()),
        }),
    }
}

/// Refuses file systems on which the database's locks do not hold.
pub(crate) fn refuse_network(path: &Path) -> Result<(), Error> {
    match network(&folder(path)) {
        Some(system) => Err(Error::NetworkFileSystem { place: shown(path), system }),
        None => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn network(folder: &Path) -> Option<&'static str> {
    // A folder that cannot be asked is dealt with by whoever opens the file in it.
    let about = rustix::fs::statfs(folder).ok()?;
    // The field's width differs between architectures; the magic numbers have 32 bits.
    network_of(about.f_type as u32)
}

/// Not told apart: macOS has names where Linux has numbers, and elsewhere is nothing to ask. On Linux
/// a file system in user space (FUSE) shows one number whatever is behind it, so sshfs and the like
/// pass too. Whoever puts a ledger there must not open it on two machines.
#[cfg(not(target_os = "linux"))]
fn network(_: &Path) -> Option<&'static str> {
    None
}

/// The network file system of this magic number, from statfs(2).
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "statfs differs elsewhere"))]
fn network_of(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517B | 0xFE53_4D42 => "SMB",
        0xFF53_4D42 => "CIFS",
        0x0102_1997 => "9P",
        0x00C3_6400 => "Ceph",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x0BD0_0BD0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x0116_1970 => "GFS2",
        0x7461_636F => "OCFS2",
        _ => return None,
    })
}

/// The folder of a path; the current one for a bare name.
pub(crate) fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// The path of a file beside it, by what its name ends with. The database follows links, so that is
/// where its files are.
pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = real.into_os_string();
    name.push(end);
    PathBuf::from(name)
}

/// How long the log beside the file is, in bytes.
pub(crate) fn log_size(path: &Path) -> u64 {
    beside(path, "-wal").metadata().map_or(0, |log| log.len())
}

/// How much room there is left, and how much is needed for something new to begin, in bytes.
pub(crate) fn room(path: &Path) -> (u64, u64) {
    let free = rustix::fs::statvfs(folder(path))
        .map_or(u64::MAX, |about| about.f_bavail.saturating_mul(about.f_frsize));
    (free, ROOM + 2 * log_size(path))
}

/// The path as messages show it.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::Unreadable { place: shown(path), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_and_local_ones_are_not() {
        assert_eq!(network_of(0x6969), Some("NFS"));
        assert_eq!(network_of(0xFF53_4D42), Some("CIFS"));
        assert_eq!(network_of(0xEF53), None, "ext4");
        assert_eq!(network_of(0x0102_1994), None, "tmpfs");
        assert_eq!(network_of(0x794C_7630), None, "overlayfs");
    }
}
