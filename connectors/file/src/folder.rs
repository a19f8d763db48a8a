//! Opening what is ours, and refusing the rest: no links, no folder that others may look into.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, fstat, statat},
    io::Errno,
};
use zeroize::Zeroizing;

/// The most that a document may hold, in bytes: more is no credential.
const LARGEST: u64 = 4 << 20;

/// What went wrong, and whether it is a matter of what stands there rather than of the machine.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Something stands there that is not used: why, and what to do about it.
    Refused { reason: String, next: String },
    /// A file is there, and it is no document.
    NoDocument(String),
    /// The machine failed.
    Machine(io::Error),
}

impl Fault {
    /// What the system said of a path.
    fn at(path: &Path, error: Errno) -> Fault {
        let shown = path.display();
        let refused = |reason: String, next: String| Fault::Refused { reason, next };
        match error {
            Errno::LOOP | Errno::MLINK => refused(
                format!("{shown} is a symbolic link, which is never followed"),
                format!("rm {}, or name another path", quoted(path)),
            ),
            Errno::NOTDIR => refused(
                format!("{shown} is a link or a file, where a folder is needed"),
                format!("move {} away, or name another path", quoted(path)),
            ),
            Errno::ACCESS | Errno::PERM => refused(
                format!("{shown}: {}", io::Error::from(error)),
                format!(
                    "give {} to user {}, or name another folder in nhi.hcl",
                    quoted(path),
                    rustix::process::geteuid().as_raw()
                ),
            ),
            Errno::ROFS => refused(
                format!("{shown}: {}", io::Error::from(error)),
                "name a folder in nhi.hcl that can be written to".into(),
            ),
            error => Fault::Machine(error.into()),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Machine(error)
    }
}

pub(crate) type Result<T> = std::result::Result<T, Fault>;

const OPEN: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A path as a shell reads it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// A folder that is ours alone.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// That nobody else may look into it: into what is somebody else's, nothing is put.
fn check(stat: &Stat, path: &Path, shared: impl FnOnce() -> bool) -> Result<()> {
    let own = rustix::process::geteuid().as_raw();
    if stat.st_uid != own {
        return Err(Fault::Refused {
            reason: format!(
                "{} belongs to user {} and we run as {own}",
                path.display(),
                stat.st_uid
            ),
            next: format!("run as user {}, or name another folder in nhi.hcl", stat.st_uid),
        });
    }
    if stat.st_mode & 0o077 != 0 {
        return Err(Fault::Refused {
            reason: format!(
                "{} has mode {:04o}: others may look into it",
                path.display(),
                stat.st_mode & 0o7777
            ),
            next: match shared() {
                true => "name a folder in nhi.hcl that nothing else is kept in".into(),
                false => format!("chmod go= {}", quoted(path)),
            },
        });
    }
    Ok(())
}

fn taken_away(path: &Path) -> Fault {
    Fault::Refused {
        reason: format!("{} is taken away as soon as it is made", path.display()),
        next: "name another folder in nhi.hcl".into(),
    }
}

impl Folder {
    /// Opens the folder of the configuration; `None` where it is not there.
    pub(crate) fn open(path: &Path) -> Result<Option<Folder>> {
        let fd = match rustix::fs::open(path, OPEN, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(Fault::at(path, error)),
        };
        let stat = fstat(&fd).map_err(|error| Fault::at(path, error))?;
        let folder = Folder { fd, path: path.to_owned() };
        // One that holds other people's things, such as /etc, is not closed to them.
        let shared = || {
            let names = folder.names().unwrap_or_default();
            !names.is_empty() && !names.iter().any(|name| name == crate::store::ASIDE)
        };
        check(&stat, path, shared)?;
        Ok(Some(folder))
    }

    /// Opens the folder of the configuration, and makes it where it is not there.
    pub(crate) fn make(path: &Path) -> Result<Folder> {
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(Fault::at(path, error)),
        }
        Folder::open(path)?.ok_or_else(|| taken_away(path))
    }

    fn fault(&self, name: &str) -> impl Fn(Errno) -> Fault {
        let path = self.path.join(name);
        move |error| Fault::at(&path, error)
    }

    /// A folder in it; `None` where it is not there.
    pub(crate) fn enter(&self, name: &str) -> Result<Option<Folder>> {
        let fd = match rustix::fs::openat(&self.fd, name, OPEN, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.fault(name)(error)),
        };
        let path = self.path.join(name);
        check(&fstat(&fd).map_err(self.fault(name))?, &path, || false)?;
        Ok(Some(Folder { fd, path }))
    }

    /// A folder in it, made where it is not there.
    pub(crate) fn enter_or_make(&self, name: &str) -> Result<Folder> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::RWXU) {
            Ok(()) => self.flush()?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(self.fault(name)(error)),
        }
        self.enter(name)?.ok_or_else(|| taken_away(&self.path.join(name)))
    }

    /// What stands under a name, links not followed; `None` where nothing does.
    pub(crate) fn stat(&self, name: &str) -> Result<Option<Stat>> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.fault(name)(error)),
        }
    }

    /// A file's content and what stands there; `None` where nothing does.
    pub(crate) fn read(&self, name: &str) -> Result<Option<(Zeroizing<Vec<u8>>, Stat)>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.fault(name)(error)),
        };
        let path = self.path.join(name);
        let stat = fstat(&fd).map_err(self.fault(name))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Fault::Refused {
                reason: format!("{} is no file", path.display()),
                next: format!("move {} away, or name another path", quoted(&path)),
            });
        }
        check(&stat, &path, || false)?;
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > LARGEST {
            return Err(Fault::NoDocument(format!(
                "{} has {size} bytes: no document of ours is so large",
                path.display()
            )));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(size as usize + 1));
        File::from(fd).take(LARGEST).read_to_end(&mut bytes)?;
        Ok(Some((bytes, stat)))
    }

    /// Writes a new file that only we can read, durably, and tells what stands there.
    pub(crate) fn create(&self, name: &str, bytes: &[u8]) -> Result<Stat> {
        // What a killed run left behind under this name is ours: the folder is locked.
        self.remove(name)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fault = self.fault(name);
        let fd =
            rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR).map_err(&fault)?;
        // Neither a loose nor a tight umask decides over a secret.
        rustix::fs::fchmod(&fd, Mode::RUSR | Mode::WUSR).map_err(&fault)?;
        let mut file = File::from(fd);
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Half a secret is a secret too, and on a full disk it takes the last of the room.
            let _ = self.remove(name);
            return Err(error.into());
        }
        fstat(&file).map_err(fault)
    }

    /// Puts one name in the place of another, atomically.
    pub(crate) fn rename(&self, from: &str, into: &Folder, to: &str) -> Result<()> {
        rustix::fs::renameat(&self.fd, from, &into.fd, to).map_err(into.fault(to))?;
        into.flush()
    }

    /// Removes a file; gone already is as good.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => self.flush(),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.fault(name)(error)),
        }
    }

    fn flush(&self) -> Result<()> {
        rustix::fs::fsync(&self.fd).map_err(|error| Fault::at(&self.path, error))
    }

    /// Where something of it is.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A second holder of the same folder.
    pub(crate) fn again(&self) -> Result<Folder> {
        Ok(Folder { fd: self.fd.try_clone()?, path: self.path.clone() })
    }

    /// The names in it.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let fault = |error| Fault::at(&self.path, error);
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(fault)? {
            if let Ok(name) = entry.map_err(fault)?.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Holds everybody else off until the returned file is dropped.
    pub(crate) fn lock(&self, name: &str, shared: bool) -> Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fault = self.fault(name);
        let fd =
            rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR).map_err(&fault)?;
        let how = if shared { FlockOperation::LockShared } else { FlockOperation::LockExclusive };
        rustix::fs::flock(&fd, how).map_err(fault)?;
        Ok(fd)
    }

    /// Whether it lies on another host, where locks and times are not to be relied on.
    pub(crate) fn is_remote(&self) -> Result<bool> {
        #[cfg(target_os = "linux")]
        {
            // NFS, SMB, CIFS, SMB2, AFS twice, Ceph, 9P, Lustre, GPFS, GFS2, OCFS2: those on which no
            // ledger is kept either.
            const REMOTE: [u32; 12] = [
                0x6969,
                0x517b,
                0xff53_4d42,
                0xfe53_4d42,
                0x5346_414f,
                0x6b41_4653,
                0x00c3_6400,
                0x0102_1997,
                0x0bd0_0bd0,
                0x4750_4653,
                0x0116_1970,
                0x7461_636f,
            ];
            let kind = rustix::fs::fstatfs(self.fd.as_fd())
                .map_err(|error| Fault::at(&self.path, error))?
                .f_type;
            Ok(REMOTE.contains(&(kind as u32)))
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = self.fd.as_fd();
            Ok(false)
        }
    }
}
