//! Opening what is ours, and refusing the rest: no links, no folder that others may look into.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
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
    /// Something stands there that is not used.
    Refused(String),
    /// The machine failed.
    Machine(io::Error),
}

impl From<Errno> for Fault {
    fn from(error: Errno) -> Fault {
        match error {
            Errno::LOOP | Errno::MLINK => {
                Fault::Refused("it is a symbolic link, which is never followed".into())
            }
            Errno::NOTDIR => Fault::Refused("a part of the path is a link or no folder".into()),
            Errno::ACCESS | Errno::PERM | Errno::ROFS => {
                Fault::Refused(io::Error::from(error).to_string())
            }
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

/// A folder that is ours alone.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

fn check(stat: &Stat, what: &str) -> Result<()> {
    let own = rustix::process::geteuid().as_raw();
    if stat.st_uid != own {
        return Err(Fault::Refused(format!(
            "{what} belongs to user {} and we run as {own}",
            stat.st_uid
        )));
    }
    let open = stat.st_mode & 0o077;
    if open != 0 {
        return Err(Fault::Refused(format!(
            "{what} has mode {:04o}: others may look into it. Close it with `chmod go= …`",
            stat.st_mode & 0o7777
        )));
    }
    Ok(())
}

impl Folder {
    /// Opens the folder of the configuration; `None` where it is not there.
    pub(crate) fn open(path: &Path) -> Result<Option<Folder>> {
        match rustix::fs::open(path, OPEN, Mode::empty()) {
            Ok(fd) => Folder::ours(fd, &format!("{}", path.display())).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the folder of the configuration, and makes it where it is not there.
    pub(crate) fn make(path: &Path) -> Result<Folder> {
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        Folder::open(path)?
            .ok_or_else(|| Fault::Refused("it is taken away as soon as it is made".into()))
    }

    fn ours(fd: OwnedFd, what: &str) -> Result<Folder> {
        check(&fstat(&fd)?, what)?;
        Ok(Folder(fd))
    }

    /// A folder in it; `None` where it is not there.
    pub(crate) fn enter(&self, name: &str) -> Result<Option<Folder>> {
        match rustix::fs::openat(&self.0, name, OPEN, Mode::empty()) {
            Ok(fd) => Folder::ours(fd, &format!("the folder {name:?}")).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A folder in it, made where it is not there.
    pub(crate) fn enter_or_make(&self, name: &str) -> Result<Folder> {
        match rustix::fs::mkdirat(&self.0, name, Mode::RWXU) {
            Ok(()) => rustix::fs::fsync(&self.0)?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        self.enter(name)?
            .ok_or_else(|| Fault::Refused("it is taken away as soon as it is made".into()))
    }

    /// What stands under a name, links not followed; `None` where nothing does.
    pub(crate) fn stat(&self, name: &str) -> Result<Option<Stat>> {
        match statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A file's content and what stands there; `None` where nothing does.
    pub(crate) fn read(&self, name: &str) -> Result<Option<(Zeroizing<Vec<u8>>, Stat)>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = match rustix::fs::openat(&self.0, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stat = fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Fault::Refused("it is no file".into()));
        }
        check(&stat, "the file")?;
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > LARGEST {
            return Err(Fault::Refused(format!(
                "it has {size} bytes: no document of ours is so large"
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
        let fd = rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?;
        // Neither a loose nor a tight umask decides over a secret.
        rustix::fs::fchmod(&fd, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(fd);
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(fstat(&file)?)
    }

    /// Puts one name in the place of another, atomically.
    pub(crate) fn rename(&self, from: &str, into: &Folder, to: &str) -> Result<()> {
        rustix::fs::renameat(&self.0, from, &into.0, to)?;
        rustix::fs::fsync(&into.0)?;
        Ok(())
    }

    /// Gives a file a second name.
    pub(crate) fn link(&self, from: &str, into: &Folder, to: &str) -> Result<()> {
        into.remove(to)?;
        rustix::fs::linkat(&self.0, from, &into.0, to, AtFlags::empty())?;
        rustix::fs::fsync(&into.0)?;
        Ok(())
    }

    /// Removes a file; gone already is as good.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) => Ok(rustix::fs::fsync(&self.0)?),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A second holder of the same folder.
    pub(crate) fn again(&self) -> Result<Folder> {
        Ok(Folder(self.0.try_clone()?))
    }

    /// The names in it.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            if let Ok(name) = entry?.file_name().to_str()
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
        let fd = rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?;
        let how = if shared { FlockOperation::LockShared } else { FlockOperation::LockExclusive };
        rustix::fs::flock(&fd, how)?;
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
            let kind = rustix::fs::fstatfs(self.0.as_fd())?.f_type;
            Ok(REMOTE.contains(&(kind as u32)))
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = self.0.as_fd();
            Ok(false)
        }
    }
}
