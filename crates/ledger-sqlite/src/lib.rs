//! The ledger on SQLite: one file, one writing thread a process, any number of processes.
//!
//! Opening costs nothing: the file is made by the first append, never by a look. Whoever deletes it
//! loses history and nothing else; the next append begins a new one.

mod archives;
mod carve;
mod checkpoints;
mod connection;
mod entries;
mod fault;
mod leases;
mod place;
mod reserve;
mod rows;
mod salvage;
mod schema;
mod verify;
mod writer;

pub mod bench;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use ledger::{
    Archive, Checkpoint, Compaction, Credential, Drawn, Durability, Error, Fence, Filter, Hash,
    Head, Integration, Leased, Ledger, NewEntry, Obligation, Observed, Page, Person, Range,
    Rebuilt, Receipt, Result, Scan, Selection, Slot, Tenant, Verification, Work,
    export::Parts,
    inventory::Document,
    port::{damaged_end, refuse_archived},
    tree,
};
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;
use tokio::sync::oneshot;

pub use salvage::{Salvaged, salvage};

use crate::{
    fault::fault,
    writer::{Append, Bounds, Handle, Job, Writer},
};

/// How many connections for reading are kept: each keeps the pages that it has read.
const IDLE: usize = 2;

/// A ledger in a file.
#[derive(Debug)]
pub struct SqliteLedger {
    place: Arc<Place>,
    writer: Mutex<Option<Handle>>,
}

#[derive(Debug)]
struct Place {
    path: PathBuf,
    realm: Option<String>,
    read_only: bool,
    bounds: Bounds,
    /// Connections for reading that nobody uses now, with the file that they lead to.
    idle: Mutex<Vec<(Connection, Option<place::Identity>)>>,
}

impl SqliteLedger {
    /// The ledger in this file, for reading and writing. Touches nothing yet.
    ///
    /// A realm is kept with the first entry; a ledger of another realm is refused.
    pub fn open(path: impl Into<PathBuf>, realm: Option<&str>) -> Self {
        Self::with(path.into(), realm, false, Bounds::default())
    }

    /// The ledger in this file, for reading only. Touches nothing yet.
    pub fn open_read_only(path: impl Into<PathBuf>, realm: Option<&str>) -> Self {
        Self::with(path.into(), realm, true, Bounds::default())
    }

    /// As [`SqliteLedger::open`], but the file may not grow beyond so many pages of 4 KiB, and so
    /// many more once the reserve is given up: for tests of a full disk.
    #[doc(hidden)]
    pub fn open_bounded(
        path: impl Into<PathBuf>,
        realm: Option<&str>,
        pages: u32,
        spare: u32,
    ) -> Self {
        let bounds = Bounds { pages: Some(pages), spare, ..Bounds::default() };
        Self::with(path.into(), realm, false, bounds)
    }

    /// As [`SqliteLedger::open`], but what was added is stated after so long: for tests that do not
    /// wait a minute.
    #[doc(hidden)]
    pub fn open_stating(path: impl Into<PathBuf>, realm: Option<&str>, after: Duration) -> Self {
        let bounds = Bounds { state_after: after, ..Bounds::default() };
        Self::with(path.into(), realm, false, bounds)
    }

    fn with(path: PathBuf, realm: Option<&str>, read_only: bool, bounds: Bounds) -> Self {
        let realm = realm.filter(|realm| !realm.is_empty()).map(str::to_owned);
        let idle = Mutex::new(Vec::new());
        let place = Arc::new(Place { path, realm, read_only, bounds, idle });
        SqliteLedger { place, writer: Mutex::new(None) }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    fn closed(&self) -> Error {
        Error::Closed { place: self.place() }
    }

    /// Hands a job to the writing thread, which is started now if it does not run.
    fn ask(&self, job: Job) -> Result<()> {
        if self.place.read_only {
            let why = "it was opened for reading only".to_owned();
            return Err(Error::ReadOnly { place: self.place(), why });
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = match writer.take() {
            Some(handle) => handle,
            None => {
                let place = &self.place;
                writer::start(place.path.clone(), place.realm.clone(), place.bounds).map_err(
                    |error| Error::Failed {
                        place: self.place(),
                        step: "start its thread",
                        why: error.to_string(),
                    },
                )?
            }
        };
        handle.jobs.send(job).map_err(|_| self.closed())?;
        *writer = Some(handle);
        Ok(())
    }

    /// Does something that writes, on the writing thread.
    async fn change<T: Send + 'static>(
        &self,
        deed: impl FnOnce(&mut Writer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Other(Box::new(move |writer| {
            let _ = reply.send(deed(writer));
        })))?;
        answer.await.map_err(|_| self.closed())?
    }

    /// Reads, off the runtime's threads; an absent ledger gives `T::default()`.
    async fn read<T: Default + Send + 'static>(
        &self,
        step: &'static str,
        look: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = Arc::clone(&self.place);
        let reading = tokio::task::spawn_blocking(move || {
            let found = place::look(&place.path)?.map(|(identity, _)| identity);
            let mut idle = place.idle.lock().unwrap_or_else(PoisonError::into_inner);
            // What leads to a file that was replaced or deleted tells yesterday's story.
            idle.retain(|(_, opened)| *opened == found);
            let kept = idle.pop();
            drop(idle);
            let connection = match kept {
                Some((connection, _)) => connection,
                None => match connection::reader(&place.path, place.realm.as_deref())? {
                    Some(connection) => connection,
                    None => return Ok(T::default()),
                },
            };
            let seen =
                look(&connection).map_err(|error| fault(&place::shown(&place.path), step, &error));
            let mut idle = place.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE {
                idle.push((connection, found));
            }
            seen
        });
        reading.await.map_err(|_| self.closed())?
    }
}

/// Whoever lets go of it waits until its entries are stated.
impl Drop for SqliteLedger {
    fn drop(&mut self) {
        self.place.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if let Some(handle) = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            handle.end();
        }
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    fn place(&self) -> String {
        place::shown(&self.place.path)
    }

    async fn ready(&self, work: Work) -> Result<Option<Error>> {
        let short = self.change(Writer::ready).await?;
        match (damaged_end(self).await?.or(short), work) {
            (Some(wrong), Work::Begins) => Err(wrong),
            (wrong, _) => Ok(wrong),
        }
    }

    async fn append(&self, entries: Vec<NewEntry>, durability: Durability) -> Result<Vec<Receipt>> {
        let realm = self.place.realm.as_deref();
        let prepared: Result<Vec<_>> =
            entries.into_iter().map(|entry| entry.prepare(realm)).collect();
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Append(Append { entries: prepared?, durability, reply }))?;
        answer.await.map_err(|_| self.closed())?
    }

    async fn head(&self) -> Result<Head> {
        let head = self
            .read("read its head", |connection| {
                connection
                    .prepare_cached("SELECT id, head_seq, head_hash FROM ledger")?
                    .query_row([], |row| {
                        let hash = Hash(row.get(2)?);
                        Ok(Head { ledger: row.get(0)?, seq: row.get(1)?, hash })
                    })
                    .optional()
            })
            .await?;
        Ok(head.unwrap_or(Head { ledger: String::new(), seq: 0, hash: Hash::ZERO }))
    }

    async fn entries(&self, filter: &Filter) -> Result<Page> {
        let wanted = filter.clone();
        let rows = self
            .read("read its entries", move |connection| entries::read(connection, &wanted))
            .await?;
        entries::page(&self.place(), rows, filter)
    }

    async fn verify(&self, range: Range) -> Result<Verification> {
        let place = Arc::clone(&self.place);
        tokio::task::spawn_blocking(move || {
            verify::verify(&place.path, place.realm.as_deref(), range)
        })
        .await
        .map_err(|_| self.closed())?
    }

    async fn checkpoint(&self, at: i64) -> Result<Option<Checkpoint>> {
        // Nothing to state is no reason to make a file.
        if self.head().await?.seq == 0 {
            return Ok(None);
        }
        self.change(move |writer| {
            writer.transact("make a checkpoint", true, |connection, place| {
                checkpoints::make(connection, at)
                    .map_err(|error| fault(place, "make a checkpoint", &error))
            })
        })
        .await
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        self.read("read its checkpoints", checkpoints::all).await
    }

    async fn prove(&self, seq: u64, size: u64) -> Result<Vec<Hash>> {
        let leaves: Vec<Hash> = self
            .read("read its entries", move |connection| {
                connection
                    .prepare_cached("SELECT body FROM entry WHERE seq <= ?1 ORDER BY seq")?
                    .query_map([size], |row| Ok(tree::leaf(row.get_ref(0)?.as_blob()?)))?
                    .collect()
            })
            .await?;
        refuse_archived(self, seq.min(size)).await?;
        if leaves.len() as u64 != size {
            return Err(Error::Usage(format!("there are fewer than {size} entries")));
        }
        seq.checked_sub(1)
            .and_then(|index| usize::try_from(index).ok())
            .and_then(|index| tree::prove_inclusion(&leaves, index))
            .ok_or_else(|| Error::Usage(format!("there is no entry {seq} among the first {size}")))
    }

    async fn document(&self, hash: &Hash) -> Result<Option<Value>> {
        let hash = *hash;
        self.read("read a document", move |connection| rows::document_of(connection, &hash)).await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>> {
        self.read("read its tenants", rows::tenants).await
    }

    async fn integrations(&self, selection: &Selection) -> Result<Vec<Integration>> {
        let selection = selection.clone();
        self.read("read its integrations", move |connection| {
            rows::integrations(connection, &selection)
        })
        .await
    }

    async fn slots(&self, selection: &Selection) -> Result<Vec<Slot>> {
        let selection = selection.clone();
        self.read("read its slots", move |connection| rows::slots(connection, &selection)).await
    }

    async fn credentials(&self, selection: &Selection) -> Result<Vec<Credential>> {
        let selection = selection.clone();
        self.read("read its credentials", move |connection| {
            rows::credentials(connection, &selection)
        })
        .await
    }

    async fn open_obligations(&self) -> Result<Vec<Obligation>> {
        self.read("read its obligations", |connection| rows::open_obligations(connection, None))
            .await
    }

    async fn obligations_of(&self, subject: &str) -> Result<Vec<Obligation>> {
        let subject = subject.to_owned();
        self.read("read its obligations", move |connection| {
            rows::open_obligations(connection, Some(&subject))
        })
        .await
    }

    async fn obligations_with(&self, deed: &str) -> Result<Vec<Obligation>> {
        let deed = deed.to_owned();
        self.read("read its obligations", move |connection| {
            rows::obligations_with(connection, &deed)
        })
        .await
    }

    async fn due(&self, at: i64) -> Result<Vec<Slot>> {
        self.read("read what is due", move |connection| rows::due(connection, at)).await
    }

    async fn observe(&self, seen: Vec<Observed>) -> Result<()> {
        for seen in &seen {
            if let Some(value) = &seen.document {
                Document::new(value.clone())
                    .map_err(|source| Error::Body { kind: "observation".to_owned(), source })?;
            }
        }
        self.change(move |writer| {
            writer.transact("keep what was seen", false, |connection, place| {
                seen.iter()
                    .try_for_each(|seen| rows::observe(connection, seen))
                    .map_err(|error| fault(place, "keep what was seen", &error))
            })
        })
        .await
    }

    async fn record_scan(&self, scan: Scan) -> Result<()> {
        self.change(move |writer| {
            writer.transact("note a scan", false, |connection, place| {
                rows::record_scan(connection, &scan)
                    .map_err(|error| fault(place, "note a scan", &error))
            })
        })
        .await
    }

    async fn scans(&self) -> Result<Vec<Scan>> {
        self.read("read its scans", rows::scans).await
    }

    async fn lease(&self, subject: &str, holder: &str, time: Duration) -> Result<Leased> {
        let (subject, holder) = (subject.to_owned(), holder.to_owned());
        self.change(move |writer| {
            let here = writer.here();
            writer.transact("take a lease", false, |connection, place| {
                leases::take(connection, &here, &subject, &holder, time)
                    .map_err(|error| fault(place, "take a lease", &error))
            })
        })
        .await
    }

    async fn release(&self, fence: &Fence) -> Result<()> {
        let fence = fence.clone();
        self.change(move |writer| {
            writer.transact("give a lease back", false, |connection, place| {
                leases::release(connection, &fence)
                    .map_err(|error| fault(place, "give a lease back", &error))
            })
        })
        .await
    }

    async fn draw(&self, tenant: &str, most: u32, per_second: u32) -> Result<Drawn> {
        let tenant = tenant.to_owned();
        self.change(move |writer| {
            let here = writer.here();
            writer.transact("draw of a budget", false, |connection, place| {
                leases::draw(connection, &here, (&tenant, most, per_second))
                    .map_err(|error| fault(place, "draw of a budget", &error))
            })
        })
        .await
    }

    async fn freeze(&self, tenant: &str, time: Duration) -> Result<()> {
        let tenant = tenant.to_owned();
        self.change(move |writer| {
            let here = writer.here();
            writer.transact("keep a tenant's patience", false, |connection, place| {
                leases::freeze(connection, &here, &tenant, time)
                    .map_err(|error| fault(place, "keep a tenant's patience", &error))
            })
        })
        .await
    }

    async fn put_person(&self, person: Person) -> Result<()> {
        self.change(move |writer| {
            writer.transact("keep a person", true, |connection, place| {
                rows::put_person(connection, &person)
                    .map_err(|error| fault(place, "keep a person", &error))
            })
        })
        .await
    }

    async fn person(&self, id: &str) -> Result<Option<Person>> {
        let id = id.to_owned();
        self.read("read a person", move |connection| rows::person(connection, &id)).await
    }

    async fn persons(&self) -> Result<Vec<Person>> {
        self.read("read its persons", rows::persons).await
    }

    async fn take_over(&self, parts: Parts) -> Result<Head> {
        let realm = self.place.realm.clone();
        let mut parts = Some(parts);
        self.change(move |writer| {
            writer.transact("take a ledger over", true, |connection, place| {
                // What was read of it is gone when a full disk asks for a second time.
                let full = || Error::Full { place: place.to_owned() };
                let parts = parts.take().ok_or_else(full)?;
                writer::take_over(connection, place, realm.as_deref(), parts)
            })
        })
        .await
    }

    async fn archives(&self) -> Result<Vec<Archive>> {
        self.read("read its archives", archives::all).await
    }

    async fn compact(&self, compaction: Compaction) -> Result<()> {
        let realm = self.place.realm.clone().unwrap_or_default();
        self.change(move |writer| {
            writer.transact("be compacted", true, |connection, place| {
                archives::compact(connection, place, &realm, &compaction)
            })
        })
        .await
    }

    async fn erase_person(&self, id: &str, at: i64) -> Result<()> {
        if self.person(id).await?.is_none() {
            return Ok(());
        }
        let (id, place) = (id.to_owned(), self.place());
        self.change(move |writer| {
            // What is overwritten is zeroed, not only unlinked.
            writer
                .connection()?
                .query_row("PRAGMA secure_delete = ON", [], |_| Ok(()))
                .map_err(|error| fault(&place, "erase a person", &error))?;
            writer.transact("erase a person", true, |connection, place| {
                rows::erase_person(connection, &id, at)
                    .map_err(|error| fault(place, "erase a person", &error))
            })?;
            // The log still holds the page as it was. Somebody who reads just now keeps it open;
            // then the next turn of the log overwrites it.
            writer
                .connection()?
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                .map_err(|error| fault(&place, "erase a person", &error))
        })
        .await
    }

    async fn rebuild(&self) -> Result<Rebuilt> {
        self.change(|writer| {
            writer.transact("rebuild its inventory", true, |connection, place| {
                rows::rebuild(connection)
                    .map_err(|error| fault(place, "rebuild its inventory", &error))?
                    .map_err(|(seq, what)| Error::Broken { place: place.to_owned(), seq, what })
            })
        })
        .await
    }

    async fn close(&self) -> Result<()> {
        self.place.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return Ok(()) };
        let (reply, answer) = oneshot::channel();
        // A thread that has ended already has nothing left to close.
        if writer.jobs.send(Job::Close(reply)).is_ok() {
            let _ = answer.await;
        }
        Ok(())
    }
}
