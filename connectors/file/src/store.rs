//! Documents in a folder: the file that a program reads, and beside it what a sink must know.
//!
//! `apps/x` is the document, JSON, replaced atomically. `.nhi/apps/x.json` is its sidecar: version,
//! times, mirror, and the digest of the file itself. `.nhi/apps/x.v3` is version 3 while it is kept. A file that is not the one in the sidecar was written by somebody else, or by us just
//! before we were killed: either way it is the next version.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use rustix::fs::Stat;
use secrets::{
    Document, Expect, Home, Look, Mirror, Result, Sink, SinkCapabilities, SinkError, Stored,
    Version, segments,
};
use serde::{Deserialize, Serialize};

use crate::folder::{Fault, Folder, quoted};

/// The folder of everything that is not a document.
pub(crate) const ASIDE: &str = ".nhi";
/// Where Git reads what it is to leave alone.
const IGNORE: &str = ".gitignore";
/// How many earlier versions are kept, as KV does.
const KEPT: u64 = 10;

/// A sink in a folder.
#[derive(Clone)]
pub(crate) struct Store {
    root: Arc<PathBuf>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.root.display())
    }
}

/// What is kept beside a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Sidecar {
    /// The current version; 0 before the first write.
    version: u64,
    #[serde(default, with = "time")]
    written_at: Option<Timestamp>,
    /// The SHA-256 of the current version's file; none where it was destroyed. Its content says which
    /// file it is: a folder that was restored, copied or moved holds the same documents.
    digest: Option<String>,
    #[serde(default)]
    mirror: Mirror,
    /// No earlier version is kept.
    #[serde(default)]
    keeps_one: bool,
}

fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

#[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // The types differ by platform.
fn written_at(stat: &Stat) -> Option<Timestamp> {
    Timestamp::new(stat.st_mtime as i64, i32::try_from(stat.st_mtime_nsec as i64).ok()?).ok()
}

/// Times as texts, the way people read them.
mod time {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        at: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        at.map(|at| at.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

/// A document's places.
struct Place {
    /// Where the document's file is.
    folder: Folder,
    /// Where its sidecar and versions are.
    aside: Folder,
    name: String,
}

impl Place {
    fn sidecar(&self) -> String {
        format!("{}.json", self.name)
    }

    fn version(&self, number: u64) -> String {
        format!("{}{number}", self.version_prefix())
    }

    fn version_prefix(&self) -> String {
        format!("{}.v", self.name)
    }

    fn load(&self) -> std::result::Result<Sidecar, Fault> {
        let known = match self.aside.read(&self.sidecar())? {
            None => Sidecar::default(),
            Some((bytes, _)) => serde_json::from_slice(&bytes).map_err(|error| {
                let path = self.aside.path_of(&self.sidecar());
                Fault::Refused {
                    reason: format!("its sidecar {} is damaged ({error})", path.display()),
                    next: format!(
                        "rm {}; the document then begins anew at version 1",
                        quoted(&path)
                    ),
                }
            })?,
        };
        let Some((bytes, stat)) = self.folder.read(&self.name)? else {
            // Taken away past us.
            return Ok(Sidecar { digest: None, ..known });
        };
        let digest = Some(digest(&bytes));
        if known.digest == digest {
            return Ok(known);
        }
        // Written past us.
        let written_at = written_at(&stat);
        Ok(Sidecar { version: known.version + 1, written_at, digest, ..known })
    }

    fn save(&self, sidecar: &Sidecar) -> std::result::Result<(), Fault> {
        let bytes =
            serde_json::to_vec_pretty(sidecar).map_err(|error| Fault::Machine(error.into()))?;
        let part = format!("{}.part", self.sidecar());
        self.aside.create(&part, &bytes)?;
        self.aside.rename(&part, &self.aside, &self.sidecar())
    }
}

impl Sidecar {
    fn version(&self) -> Version {
        Version { number: self.version, created_at: self.written_at }
    }

    fn look(self) -> Option<Look> {
        (self.version > 0).then(|| Look {
            version: self.version(),
            deleted: self.digest.is_none(),
            mirror: self.mirror,
        })
    }
}

/// Whether the caller wants folders to be made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Find,
    Make,
}

/// The folders and the name of a path, as far as they are used for documents.
fn names(path: &str) -> std::result::Result<Vec<&str>, Fault> {
    let next = || "correct the path".to_owned();
    let parts = segments(path)
        .map_err(|error| Fault::Refused { reason: error.to_string(), next: next() })?;
    if parts.iter().any(|part| part.starts_with('.')) {
        return Err(Fault::Refused {
            reason: "a name that begins with a dot is not used for documents".into(),
            next: next(),
        });
    }
    Ok(parts)
}

impl Store {
    pub(crate) fn new(root: PathBuf) -> Store {
        Store { root: Arc::new(root) }
    }

    fn say(&self, path: &str, fault: Fault, changes: bool) -> SinkError {
        let place = format!("{}/{}", self.root.display(), path.trim_matches('/'));
        match fault {
            Fault::Refused { reason, next } => SinkError::Unfit { place, reason, next },
            Fault::NoDocument(reason) => SinkError::NoDocument { place, reason },
            // A full disk or a failed flush in the middle of a change: look before anything else.
            Fault::Machine(error) if changes => {
                SinkError::Ambiguous { place, reason: error.to_string() }
            }
            Fault::Machine(error) => SinkError::Unreachable { place, reason: error.to_string() },
        }
    }

    /// Opens folder by folder, so that no link on the way is ever followed.
    fn place(&self, path: &str, way: Way) -> std::result::Result<Option<Place>, Fault> {
        let parts = names(path)?;
        let Some((name, above)) = parts.split_last() else { return Ok(None) };
        let Some(folder) = self.walk(&[], above, way)? else { return Ok(None) };
        let Some(aside) = self.walk(&[ASIDE], above, Way::Make)? else { return Ok(None) };
        Ok(Some(Place { folder, aside, name: (*name).to_owned() }))
    }

    fn walk(
        &self,
        first: &[&str],
        then: &[&str],
        way: Way,
    ) -> std::result::Result<Option<Folder>, Fault> {
        let mut folder = match way {
            Way::Make => Folder::make(&self.root)?,
            Way::Find => match Folder::open(&self.root)? {
                Some(folder) => folder,
                None => return Ok(None),
            },
        };
        for part in first.iter().chain(then) {
            folder = match way {
                Way::Make => folder.enter_or_make(part)?,
                Way::Find => match folder.enter(part)? {
                    Some(folder) => folder,
                    None => return Ok(None),
                },
            };
        }
        Ok(Some(folder))
    }

    /// Does something to one document while nobody else does anything in the folder.
    async fn with<T: Send + 'static>(
        &self,
        path: &str,
        way: Way,
        act: impl FnOnce(&Place) -> std::result::Result<T, Fault> + Send + 'static,
    ) -> Result<Option<T>> {
        self.with_said(path, path, way, act).await
    }

    /// The same, where faults are told of another path than the one that is looked at.
    async fn with_said<T: Send + 'static>(
        &self,
        said: &str,
        path: &str,
        way: Way,
        act: impl FnOnce(&Place) -> std::result::Result<T, Fault> + Send + 'static,
    ) -> Result<Option<T>> {
        segments(path)?;
        let (store, said, path) = (self.clone(), said.to_owned(), path.to_owned());
        let changes = way == Way::Make;
        let run = move || -> Result<Option<T>> {
            let say = |fault, changes| store.say(&said, fault, changes);
            let root = match way {
                Way::Make => Some(Folder::make(&store.root)),
                Way::Find => Folder::open(&store.root).transpose(),
            };
            let Some(root) = root else { return Ok(None) };
            let root = root.map_err(|fault| say(fault, false))?;
            let aside = root.enter_or_make(ASIDE).map_err(|fault| say(fault, false))?;
            let _lock = aside.lock("lock", false).map_err(|fault| say(fault, false))?;
            if changes {
                keep_out_of_git(&root).map_err(|fault| say(fault, false))?;
            }
            let Some(place) = store.place(&path, way).map_err(|fault| say(fault, false))? else {
                return Ok(None);
            };
            act(&place).map(Some).map_err(|fault| say(fault, changes))
        };
        // Locks and flushes block: not on the runtime's own threads.
        match tokio::task::spawn_blocking(run).await {
            Ok(done) => done,
            Err(_) => Err(SinkError::Ambiguous {
                place: self.root.display().to_string(),
                reason: "the task was cut short".into(),
            }),
        }
    }
}

/// Wherever the folder lies, no commit takes its secrets along.
fn keep_out_of_git(root: &Folder) -> std::result::Result<(), Fault> {
    if root.stat(IGNORE)?.is_none() {
        root.create(IGNORE, b"*\n")?;
    }
    Ok(())
}

fn write(
    place: &Place,
    document: &[u8],
    expect: Expect,
) -> std::result::Result<Option<Version>, Fault> {
    let known = place.load()?;
    let expected = match expect {
        Expect::Nothing => 0,
        Expect::Version(number) => number,
    };
    if known.version != expected {
        return Ok(None);
    }
    if !known.keeps_one {
        // What somebody wrote past us is a version as well.
        if known.digest.is_some()
            && place.aside.stat(&place.version(known.version))?.is_none()
            && let Some((bytes, _)) = place.folder.read(&place.name)?
        {
            place.aside.create(&place.version(known.version), &bytes)?;
        }
        // A version is kept from when it is written: whoever writes over the file takes nothing away.
        place.aside.create(&place.version(known.version + 1), document)?;
    }
    let part = format!("{}.part", place.name);
    let stat = place.aside.create(&part, document)?;
    place.aside.rename(&part, &place.folder, &place.name)?;
    let written_at = written_at(&stat);
    let next =
        Sidecar { version: known.version + 1, written_at, digest: Some(digest(document)), ..known };
    place.save(&next)?;
    // Where somebody wrote past us in between, two versions were made since the last time.
    for old in [next.version.checked_sub(KEPT + 1), next.version.checked_sub(KEPT)] {
        if let Some(old) = old.filter(|old| *old > 0) {
            place.aside.remove(&place.version(old))?;
        }
    }
    Ok(Some(next.version()))
}

fn parse(bytes: &[u8]) -> std::result::Result<Document, Fault> {
    Document::from_json(bytes).map_err(Fault::NoDocument)
}

#[async_trait]
impl Sink for Store {
    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities {
            compare_and_set: true,
            readable: true,
            keeps_versions: true,
            destroys_versions: true,
            lists_mirrors: true,
            this_host_only: true,
        }
    }

    async fn home(&self, path: &str) -> Result<Home> {
        let parts = names(path).map_err(|fault| self.say(path, fault, false))?;
        // A folder that is not there yet has no other name.
        let root = std::fs::canonicalize(&*self.root).unwrap_or_else(|_| self.root.to_path_buf());
        let path = parts.iter().fold(root, |folder, part| folder.join(part));
        Ok(Home { store: "this host".into(), path: path.display().to_string() })
    }

    /// Folder and file are nobody else's, whatever the shell's umask is.
    async fn line_to_write(&self, path: &str, file: &str) -> Result<String> {
        let place = self.home(path).await?.path;
        let place = Path::new(&place);
        let folder = quoted(place.parent().unwrap_or(place));
        Ok(format!("(umask 077; mkdir -p {folder}; cp {file} {})", quoted(place)))
    }

    async fn check(&self, path: &str) -> Result<Option<String>> {
        let say = |fault| self.say(path, fault, false);
        names(path).map_err(say)?;
        // What is not there is made by the first write.
        Folder::open(&self.root).map_err(say)?;
        Ok(None)
    }

    async fn read(&self, path: &str) -> Result<Option<Stored>> {
        let read = |place: &Place| {
            let known = place.load()?;
            if known.version == 0 {
                return Ok(None);
            }
            let document = match place.folder.read(&place.name)? {
                Some((bytes, _)) => Some(parse(&bytes)?),
                None => None,
            };
            Ok(Some(Stored { document, version: known.version() }))
        };
        Ok(self.with(path, Way::Find, read).await?.flatten())
    }

    async fn read_version(&self, path: &str, number: u64) -> Result<Option<Document>> {
        let read = move |place: &Place| {
            if place.load()?.version == number {
                let found = place.folder.read(&place.name)?;
                return found.map(|(bytes, _)| parse(&bytes)).transpose();
            }
            // Of what somebody wrote past us and was no document, nothing can be read.
            let found = place.aside.read(&place.version(number))?;
            Ok(found.and_then(|(bytes, _)| parse(&bytes).ok()))
        };
        Ok(self.with(path, Way::Find, read).await?.flatten())
    }

    async fn kept_versions(&self, path: &str) -> Result<Vec<u64>> {
        let list = |place: &Place| {
            let known = place.load()?;
            let earlier = place.version_prefix();
            let names = place.aside.names()?;
            let numbers = names.iter().filter_map(|name| name.strip_prefix(&earlier)?.parse().ok());
            let mut kept: Vec<u64> = numbers.collect();
            // One that a killed run prepared was never written.
            kept.retain(|number| *number <= known.version);
            kept.extend(known.digest.map(|_| known.version));
            kept.sort_unstable();
            kept.dedup();
            Ok(kept)
        };
        Ok(self.with(path, Way::Find, list).await?.unwrap_or_default())
    }

    async fn look(&self, path: &str) -> Result<Option<Look>> {
        Ok(self.with(path, Way::Find, |place| Ok(place.load()?.look())).await?.flatten())
    }

    async fn look_all(&self, folder: &str) -> Result<BTreeMap<String, Look>> {
        // A folder is a document's place without the document: any name leads there.
        let inside = format!("{}/x", folder.trim_end_matches('/'));
        let look = |place: &Place| {
            let mut names: Vec<String> =
                place.folder.names()?.into_iter().filter(|name| !name.starts_with('.')).collect();
            names.extend(
                place
                    .aside
                    .names()?
                    .iter()
                    .filter_map(|name| name.strip_suffix(".json"))
                    .map(str::to_owned),
            );
            let mut looks = BTreeMap::new();
            for name in names {
                if looks.contains_key(&name) {
                    continue;
                }
                let (folder, aside) = (place.folder.again()?, place.aside.again()?);
                let one = Place { folder, aside, name: name.clone() };
                let look = match one.load() {
                    Ok(sidecar) => sidecar.look(),
                    // A folder, a link, or a file that others may read: where nothing of ours was
                    // written, it is nobody's business here.
                    Err(_) if one.aside.stat(&one.sidecar())?.is_none() => None,
                    Err(fault) => return Err(fault),
                };
                if let Some(look) = look {
                    looks.insert(name, look);
                }
            }
            Ok(looks)
        };
        Ok(self.with_said(folder, &inside, Way::Find, look).await?.unwrap_or_default())
    }

    async fn write(&self, path: &str, document: &Document, expect: Expect) -> Result<Version> {
        let bytes = document
            .to_json()
            .map_err(|reason| SinkError::Refused { place: path.to_owned(), reason })?;
        let written = self.with(path, Way::Make, move |place| write(place, &bytes, expect)).await?;
        written.flatten().ok_or_else(|| SinkError::Conflict { place: path.to_owned() })
    }

    async fn write_mirror(&self, path: &str, mirror: &Mirror) -> Result<()> {
        let mirror: Mirror = mirror
            .iter()
            .filter(|(_, v)| !v.is_empty())
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let write = move |place: &Place| {
            let known = place.load()?;
            place.save(&Sidecar { mirror, ..known })
        };
        self.with(path, Way::Make, write).await.map(drop)
    }

    async fn destroy_version(&self, path: &str, number: u64) -> Result<()> {
        let destroy = move |place: &Place| {
            let known = place.load()?;
            if known.version == number && known.digest.is_some() {
                place.folder.remove(&place.name)?;
                place.save(&Sidecar { digest: None, ..known })?;
            }
            place.aside.remove(&place.version(number))
        };
        self.with(path, Way::Find, destroy).await.map(drop)
    }

    async fn prepare_claim(&self, path: &str) -> Result<()> {
        let prepare = |place: &Place| {
            if place.folder.is_remote()? {
                return Err(Fault::Refused {
                    reason:
                        "it lies on another host's file system, where a lock cannot be relied on"
                            .into(),
                    next: "keep custody in a KV, or in a folder of this host".into(),
                });
            }
            let known = place.load()?;
            let prefix = format!("{}.v", place.name);
            for name in place.aside.names()? {
                let number = name.strip_prefix(&prefix);
                if number.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit())) {
                    place.aside.remove(&name)?;
                }
            }
            place.save(&Sidecar { keeps_one: true, ..known })
        };
        self.with(path, Way::Make, prepare).await.map(drop)
    }
}
