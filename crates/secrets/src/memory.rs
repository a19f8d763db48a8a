//! A sink in memory, for tests of whatever writes to sinks: complete, and with faults on request.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    Document, Expect, Home, Look, Mirror, Result, Sink, SinkCapabilities, SinkError, Stored,
    Version, segments,
};

/// What goes wrong with one changing call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is sent.
    Unreachable,
    /// It is done and the answer is lost.
    AnswerLost,
    /// It is not done and the answer is lost.
    RequestLost,
    /// The sink says no.
    Refused,
    /// It goes through: for putting a fault behind calls that shall work.
    None,
}

/// A sink in memory.
pub struct MemorySink {
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    capabilities: SinkCapabilities,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    keys: BTreeMap<String, Key>,
    faults: VecDeque<Fault>,
    calls: u64,
}

#[derive(Default)]
struct Key {
    current: u64,
    written_at: Option<Timestamp>,
    /// Versions that can still be read.
    versions: BTreeMap<u64, Document>,
    mirror: Mirror,
    keeps_one: bool,
}

/// What a backup has of a document.
pub struct Saved(Option<Key>);

impl fmt::Debug for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Saved")
    }
}

impl fmt::Debug for MemorySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemorySink")
    }
}

impl Default for MemorySink {
    fn default() -> Self {
        MemorySink::new()
    }
}

impl MemorySink {
    /// An empty one, dated by the machine's clock.
    pub fn new() -> MemorySink {
        MemorySink::with_clock(Timestamp::now)
    }

    /// An empty one, dated by another clock.
    pub fn with_clock(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> MemorySink {
        MemorySink {
            now: Box::new(now),
            capabilities: SinkCapabilities {
                compare_and_set: true,
                readable: true,
                keeps_versions: true,
                destroys_versions: true,
                lists_mirrors: true,
                this_host_only: true,
            },
            inner: Mutex::default(),
        }
    }

    /// Claims less than it can, for code that must do with less.
    #[must_use]
    pub fn claiming(mut self, capabilities: SinkCapabilities) -> MemorySink {
        self.capabilities = capabilities;
        self
    }

    /// The next changing calls end so, in this order; later ones go through.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    /// How many calls of any kind came in.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// The current version of a document, 0 where there is none; no call comes in for that.
    pub fn version(&self, path: &str) -> u64 {
        self.lock().keys.get(path).map_or(0, |key| key.current)
    }

    /// Forgets a document with its history, as somebody's hand would: the next write counts from
    /// one again.
    pub fn wipe(&self, path: &str) {
        self.lock().keys.remove(path);
    }

    /// Deletes the current version's content and leaves the history.
    pub fn delete(&self, path: &str) {
        if let Some(key) = self.lock().keys.get_mut(path) {
            key.versions.remove(&key.current);
        }
    }

    /// The name of the first document of a folder.
    pub fn first(&self, folder: &str) -> Option<String> {
        let inner = self.lock();
        let within =
            |path: &String| path.strip_prefix(folder)?.strip_prefix('/').map(str::to_owned);
        inner.keys.keys().find_map(within)
    }

    /// A document with its history, as a backup has it.
    pub fn save(&self, path: &str) -> Saved {
        let saved = |key: &Key| Key {
            versions: key.versions.iter().map(|(at, one)| (*at, one.duplicate())).collect(),
            mirror: key.mirror.clone(),
            ..*key
        };
        Saved(self.lock().keys.get(path).map(saved))
    }

    /// Brings back what was saved, as a backup does.
    pub fn restore(&self, path: &str, saved: Saved) {
        match saved.0 {
            Some(key) => self.lock().keys.insert(path.to_owned(), key),
            None => self.lock().keys.remove(path),
        };
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn look_at(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.lock();
        inner.calls += 1;
        inner
    }

    fn change<T>(&self, path: &str, act: impl FnOnce(&mut Inner) -> Result<T>) -> Result<T> {
        crate::segments(path)?;
        let mut inner = self.look_at();
        let place = path.to_owned();
        match inner.faults.pop_front() {
            None | Some(Fault::None) => act(&mut inner),
            Some(Fault::Unreachable) => {
                Err(SinkError::Unreachable { place, reason: "a fault on request".into() })
            }
            Some(Fault::Refused) => {
                Err(SinkError::Refused { place, reason: "a fault on request".into() })
            }
            Some(Fault::RequestLost) => {
                Err(SinkError::Ambiguous { place, reason: "a fault on request".into() })
            }
            Some(Fault::AnswerLost) => {
                act(&mut inner)?;
                Err(SinkError::Ambiguous { place, reason: "a fault on request".into() })
            }
        }
    }
}

impl Key {
    fn version(&self) -> Version {
        Version { number: self.current, created_at: self.written_at }
    }

    fn look(&self) -> Option<Look> {
        (self.current > 0).then(|| Look {
            version: self.version(),
            mirror: self.mirror.clone(),
            deleted: !self.versions.contains_key(&self.current),
        })
    }
}

#[async_trait]
impl Sink for MemorySink {
    fn capabilities(&self) -> SinkCapabilities {
        self.capabilities
    }

    async fn home(&self, path: &str) -> Result<Home> {
        Ok(Home { store: format!("memory {self:p}"), path: segments(path)?.join("/") })
    }

    async fn read(&self, path: &str) -> Result<Option<Stored>> {
        let inner = self.look_at();
        let found = inner.keys.get(path).filter(|key| key.current > 0);
        Ok(found.map(|key| Stored {
            document: key.versions.get(&key.current).map(Document::duplicate),
            version: key.version(),
        }))
    }

    async fn read_version(&self, path: &str, number: u64) -> Result<Option<Document>> {
        let inner = self.look_at();
        Ok(inner.keys.get(path).and_then(|key| key.versions.get(&number)).map(Document::duplicate))
    }

    async fn kept_versions(&self, path: &str) -> Result<Vec<u64>> {
        let inner = self.look_at();
        let kept = inner.keys.get(path).map(|key| key.versions.keys().copied().collect());
        Ok(kept.unwrap_or_default())
    }

    async fn look(&self, path: &str) -> Result<Option<Look>> {
        Ok(self.look_at().keys.get(path).and_then(Key::look))
    }

    async fn look_all(&self, folder: &str) -> Result<BTreeMap<String, Look>> {
        let prefix = format!("{}/", folder.trim_end_matches('/'));
        let inner = self.look_at();
        let below =
            inner.keys.iter().filter_map(|(path, key)| Some((path.strip_prefix(&prefix)?, key)));
        Ok(below
            .filter(|(name, _)| !name.contains('/'))
            .filter_map(|(name, key)| Some((name.to_owned(), key.look()?)))
            .collect())
    }

    async fn write(&self, path: &str, document: &Document, expect: Expect) -> Result<Version> {
        let now = (self.now)();
        self.change(path, |inner| {
            let current = inner.keys.get(path).map_or(0, |key| key.current);
            let expected = match expect {
                Expect::Nothing => 0,
                Expect::Version(number) => number,
            };
            if current != expected {
                return Err(SinkError::Conflict { place: path.to_owned() });
            }
            let key = inner.keys.entry(path.to_owned()).or_default();
            if key.keeps_one {
                key.versions.clear();
            }
            key.current += 1;
            key.written_at = Some(now);
            key.versions.insert(key.current, document.duplicate());
            Ok(key.version())
        })
    }

    async fn write_mirror(&self, path: &str, mirror: &Mirror) -> Result<()> {
        self.change(path, |inner| {
            let key = inner.keys.entry(path.to_owned()).or_default();
            key.mirror = mirror
                .iter()
                .filter(|(_, v)| !v.is_empty())
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            Ok(())
        })
    }

    async fn destroy_version(&self, path: &str, number: u64) -> Result<()> {
        if !self.capabilities.destroys_versions {
            let what = "destroy one version";
            return Err(SinkError::Unsupported { place: path.to_owned(), what });
        }
        self.change(path, |inner| {
            if let Some(key) = inner.keys.get_mut(path) {
                key.versions.remove(&number);
            }
            Ok(())
        })
    }

    async fn prepare_claim(&self, path: &str) -> Result<()> {
        self.change(path, |inner| {
            let key = inner.keys.entry(path.to_owned()).or_default();
            key.keeps_one = true;
            let current = key.current;
            key.versions.retain(|number, _| *number == current);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn faults_come_in_the_order_asked_for_and_only_once() {
        let sink = MemorySink::new();
        sink.fail([Fault::AnswerLost, Fault::RequestLost, Fault::Unreachable]);
        let document = Document::default();
        let lost = sink.write("a", &document, Expect::Nothing).await.unwrap_err();
        assert!(matches!(lost, SinkError::Ambiguous { .. }));
        assert_eq!(sink.look("a").await.unwrap().unwrap().version.number, 1, "it was done");
        assert!(sink.write("a", &document, Expect::Version(1)).await.is_err());
        assert!(sink.write("a", &document, Expect::Version(1)).await.is_err());
        assert_eq!(sink.write("a", &document, Expect::Version(1)).await.unwrap().number, 2);
    }
}
