//! The one thread that writes: it takes what waits, keeps it in one transaction with one sync, and
//! answers everybody.

use std::{
    path::PathBuf,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use ledger::{
    Durability, Error, Hash, Head, NewEntry, Receipt, chain,
    entry::{self, Prepared},
    export::{Part, Parts, realm_of},
};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use tokio::sync::oneshot;

use crate::{
    archives, checkpoints, connection,
    fault::fault,
    leases::{self, Here},
    place::{self, Identity},
    reserve::{self, Reserve},
    rows,
};

/// The most appends in one transaction.
const BATCH_MAX: usize = 512;

/// A checkpoint is made at least every so many entries.
const CHECKPOINT_EVERY: u64 = 1000;

/// And at the latest so long after an entry that none covers yet.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(60);

/// How far a writer goes; other than usual in tests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The file may not grow beyond so many pages of 4 KiB, …
    pub(crate) pages: Option<u32>,
    /// … and so many more once the reserve is given up.
    pub(crate) spare: u32,
    /// When entries are stated at the latest.
    pub(crate) state_after: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { pages: None, spare: 0, state_after: CHECKPOINT_AFTER }
    }
}

/// What the thread is asked.
pub(crate) enum Job {
    /// Keep these entries.
    Append(Append),
    /// Do something else that writes.
    Other(Box<dyn FnOnce(&mut Writer) + Send>),
    /// Stop, after all that was asked before.
    Close(oneshot::Sender<()>),
}

pub(crate) struct Append {
    pub(crate) entries: Vec<Prepared>,
    pub(crate) durability: Durability,
    pub(crate) reply: oneshot::Sender<Result<Vec<Receipt>, Error>>,
}

/// What the thread owns.
pub(crate) struct Writer {
    path: PathBuf,
    realm: Option<String>,
    bounds: Bounds,
    /// Which process this is, once somebody needs it.
    here: Option<Here>,
    open: Option<Open>,
    /// The moment of the newest entry that was kept here since the last checkpoint, and when the
    /// first of them was kept.
    unstated: Option<(i64, Instant)>,
}

struct Open {
    connection: Connection,
    identity: Option<Identity>,
    reserve: Option<Reserve>,
}

/// A way to the thread, and to wait for its end.
pub(crate) struct Handle {
    pub(crate) jobs: mpsc::Sender<Job>,
    thread: thread::JoinHandle<()>,
}

impl Handle {
    /// Lets the thread end, and waits for it.
    pub(crate) fn end(self) {
        drop(self.jobs);
        // What it panicked of was told by the hook.
        let _ = self.thread.join();
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle(…)")
    }
}

/// Starts the thread. It opens the file when the first job comes.
pub(crate) fn start(
    path: PathBuf,
    realm: Option<String>,
    bounds: Bounds,
) -> std::io::Result<Handle> {
    let (sender, jobs) = mpsc::channel();
    let mut writer = Writer { path, realm, bounds, here: None, open: None, unstated: None };
    let thread = thread::Builder::new().name("ledger".to_owned()).spawn(move || {
        writer.run(&jobs);
        writer.end();
    })?;
    Ok(Handle { jobs: sender, thread })
}

impl Writer {
    fn run(&mut self, jobs: &mpsc::Receiver<Job>) {
        let mut left_over = None;
        // While one batch is being synced, the next gathers by itself; waiting for more to come
        // would only make a lone writer slower.
        while let Some(job) = left_over.take().or_else(|| self.next(jobs)) {
            match job {
                Job::Append(first) => {
                    let mut batch = vec![first];
                    while batch.len() < BATCH_MAX {
                        match jobs.try_recv() {
                            Ok(Job::Append(next)) => batch.push(next),
                            Ok(other) => {
                                left_over = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.keep(batch);
                }
                Job::Other(deed) => deed(self),
                Job::Close(reply) => {
                    self.end();
                    let _ = reply.send(());
                    return;
                }
            }
        }
    }

    /// Waits for a job, and while it waits states what nobody has stated for too long.
    fn next(&mut self, jobs: &mpsc::Receiver<Job>) -> Option<Job> {
        while let Some((_, since)) = self.unstated {
            match jobs.recv_timeout(self.bounds.state_after.saturating_sub(since.elapsed())) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Timeout) => self.state(),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        jobs.recv().ok()
    }

    /// The end of a command or of a provider.
    fn end(&mut self) {
        self.state();
        if let Some(open) = self.open.take() {
            connection::close(open.connection);
        }
    }

    /// States size and hash of what was added. Missing it costs nothing but the statement: the next
    /// one covers these entries too.
    fn state(&mut self) {
        let Some((at, _)) = self.unstated.take() else { return };
        // A file that is gone is not made again.
        if !matches!(place::look(&self.path), Ok(Some(_))) {
            return;
        }
        let _ = self.transact("make a checkpoint", true, |connection, place| {
            checkpoints::make(connection, at)
                .map_err(|error| fault(place, "make a checkpoint", &error))
        });
    }

    fn keep(&mut self, mut batch: Vec<Append>) {
        let durable = batch.iter().any(|append| append.durability == Durability::Durable);
        match self.try_keep(&mut batch, durable) {
            Ok(receipts) => {
                let last = batch.iter().flat_map(|append| &append.entries).next_back();
                if let Some(last) = last {
                    let since = self.unstated.map_or_else(Instant::now, |(_, since)| since);
                    self.unstated = Some((last.entry.at, since));
                    if since.elapsed() >= self.bounds.state_after {
                        self.state();
                    }
                }
                for (append, receipts) in batch.into_iter().zip(receipts) {
                    let _ = append.reply.send(Ok(receipts));
                }
            }
            // One that cannot be kept must not take the others with it.
            Err(_) if batch.len() > 1 => {
                batch.into_iter().for_each(|append| self.keep(vec![append]));
            }
            Err(error) => {
                if let Some(append) = batch.pop() {
                    let _ = append.reply.send(Err(error));
                }
            }
        }
    }

    fn try_keep(
        &mut self,
        batch: &mut [Append],
        durable: bool,
    ) -> Result<Vec<Vec<Receipt>>, Error> {
        let realm = self.realm.clone().unwrap_or_default();
        self.transact("append", durable, |connection, place| {
            let failed = |error| fault(place, "append", &error);
            let Some(about) = batch.iter().flat_map(|append| &append.entries).next() else {
                return Ok(batch.iter().map(|_| Vec::new()).collect());
            };
            let all = batch.iter().flat_map(|append| &append.entries);
            for fence in all.filter_map(|prepared| prepared.entry.under.as_ref()) {
                if !leases::holds(connection, fence).map_err(failed)? {
                    return Err(Error::fenced(place.to_owned(), fence));
                }
            }
            let mut chain = Chain::continued(connection, place, &realm, &about.entry)?;
            let mut receipts = Vec::with_capacity(batch.len());
            for append in batch.iter_mut() {
                let mut of_append = Vec::with_capacity(append.entries.len());
                for prepared in &mut append.entries {
                    of_append.push(chain.extend(connection, place, prepared)?);
                }
                receipts.push(of_append);
            }
            chain.note(connection).map_err(failed)?;
            let before = checkpoints::newest_size(connection).map_err(failed)?;
            if chain.seq / CHECKPOINT_EVERY > before / CHECKPOINT_EVERY {
                let at = batch
                    .iter()
                    .flat_map(|append| &append.entries)
                    .next_back()
                    .map_or(0, |prepared| prepared.entry.at);
                checkpoints::make(connection, at).map_err(failed)?;
            }
            Ok(receipts)
        })
    }

    pub(crate) fn here(&mut self) -> Here {
        self.here.get_or_insert_with(Here::look).clone()
    }

    /// Runs one transaction that takes the write lock at once; a second time with the room of the
    /// reserve if the disk is full.
    pub(crate) fn transact<T>(
        &mut self,
        step: &'static str,
        durable: bool,
        mut deed: impl FnMut(&Connection, &str) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self.once(step, durable, &mut deed) {
            Err(Error::Full { .. }) if self.give_up_reserve() => self.once(step, durable, deed),
            done => done,
        }
    }

    /// Whether there was one.
    fn give_up_reserve(&mut self) -> bool {
        let Some(Open { connection, reserve: Some(reserve), .. }) = &self.open else {
            return false;
        };
        let given = reserve.give_up();
        if let Some(pages) = self.bounds.pages.filter(|_| given) {
            let pages = pages + self.bounds.spare;
            return connection.pragma_update(None, "max_page_count", pages).is_ok();
        }
        given
    }

    /// Makes sure that something can be written, and tells if there is too little room for
    /// something new.
    pub(crate) fn ready(&mut self) -> Result<Option<Error>, Error> {
        self.transact("write", false, |_, _| Ok(()))?;
        let (free, needed) = place::room(&self.path);
        if free >= needed {
            if let Some(Open { reserve: Some(reserve), .. }) = &self.open {
                reserve.fill(free, needed);
            }
            return Ok(None);
        }
        Ok(Some(Error::Short { place: place::shown(&self.path), free: free >> 20 }))
    }

    fn once<T>(
        &mut self,
        step: &'static str,
        durable: bool,
        mut deed: impl FnMut(&Connection, &str) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let place = place::shown(&self.path);
        let failed = |error| fault(&place, step, &error);
        let connection = self.connection()?;
        let synchronous = if durable { "full" } else { "normal" };
        connection.pragma_update(None, "synchronous", synchronous).map_err(failed)?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        // Dropped on an error, the transaction rolls back.
        let done = deed(&transaction, &place)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }

    /// The connection, opened now if it is not, and anew if the file was replaced or deleted.
    pub(crate) fn connection(&mut self) -> Result<&mut Connection, Error> {
        let found = place::look(&self.path)?.map(|(identity, _)| identity);
        if self.open.as_ref().is_some_and(|open| open.identity != found) {
            self.open = None;
        }
        let open = match self.open.take() {
            Some(open) => open,
            // On a full disk not even this works.
            None => match self.opened() {
                Err(Error::Full { .. }) if reserve::give_up(&self.path) => self.opened()?,
                done => done?,
            },
        };
        Ok(&mut self.open.insert(open).connection)
    }

    fn opened(&self) -> Result<Open, Error> {
        let place = place::shown(&self.path);
        let look = || place::look(&self.path).map(|found| found.map(|(identity, _)| identity));
        let left = place::log_size(&self.path) > 0;
        let connection = connection::writer(&self.path, self.realm.as_deref())?;
        let identity = look()?;
        let mut reserve = None;
        if let Some((held, alone)) = Reserve::hold(&self.path) {
            // Whoever had it to themselves until now put another file there.
            if look()? != identity {
                drop(held);
                return self.opened();
            }
            if left && alone {
                connection::check(&connection, &place)?;
            }
            let (free, needed) = place::room(&self.path);
            held.fill(free, needed);
            held.share();
            reserve = Some(held);
        }
        if let Some(pages) = self.bounds.pages {
            connection
                .pragma_update(None, "max_page_count", pages)
                .map_err(|error| fault(&place, "open it", &error))?;
        }
        Ok(Open { connection, identity, reserve })
    }
}

/// The end of the chain while a transaction extends it.
pub(crate) struct Chain {
    pub(crate) seq: u64,
    pub(crate) hash: Hash,
}

impl Chain {
    /// Reads the head and makes sure that it is where the entries end; begins a ledger that has
    /// none, with the moment and the actor of its first entry.
    pub(crate) fn continued(
        connection: &Connection,
        place: &str,
        realm: &str,
        about: &NewEntry,
    ) -> Result<Self, Error> {
        let failed = |error| fault(place, "read its head", &error);
        match head(connection).map_err(failed)? {
            Some((_, found, head)) => {
                if found.is_empty() && !realm.is_empty() {
                    connection.execute("UPDATE ledger SET realm = ?1", [realm]).map_err(failed)?;
                }
                match check_end(connection, place, &head) {
                    Err(Error::Broken { .. }) if about.kind == entry::BROKEN => {
                        // A new segment, behind whatever numbers were given.
                        let last = last_seq(connection).map_err(failed)?;
                        Ok(Chain { seq: head.seq.max(last), hash: head.hash })
                    }
                    Err(error) => Err(error),
                    Ok(()) => Ok(head),
                }
            }
            None => {
                let mut chain = Chain { seq: 0, hash: Hash::ZERO };
                let last = last_seq(connection).map_err(failed)?;
                if last > 0 && about.kind != entry::BROKEN {
                    let what = "there are entries but no head".to_owned();
                    return Err(Error::Broken { place: place.to_owned(), seq: last, what });
                }
                chain.seq = last;
                let id = new_id(place)?;
                connection
                    .execute(
                        "INSERT INTO ledger (one, id, realm, created_at, head_seq, head_hash)
                         VALUES (1, ?1, ?2, ?3, 0, ?4)",
                        params![id, realm, about.at, Hash::ZERO.0],
                    )
                    .map_err(failed)?;
                let created = NewEntry::new(about.at, "ledger.created", format!("ledger/{id}"))
                    .by(about.actor.clone(), about.trigger.clone())
                    .detail("tables", connection::TABLES);
                let created = created.prepare(Some(realm))?;
                chain.extend(connection, place, &created)?;
                Ok(chain)
            }
        }
    }

    pub(crate) fn extend(
        &mut self,
        connection: &Connection,
        place: &str,
        prepared: &Prepared,
    ) -> Result<Receipt, Error> {
        let failed = |error| fault(place, "append", &error);
        let seq = self.seq + 1;
        let body = prepared.body(seq)?;
        let hash = chain::link(&self.hash, &body);
        for (hash, document) in &prepared.documents {
            put_document(connection, hash, document).map_err(failed)?;
        }
        let entry = &prepared.entry;
        put_entry(connection, seq, hash, &body, entry).map_err(failed)?;
        for change in &entry.changes {
            rows::apply(connection, change).map_err(failed)?;
        }
        self.seq = seq;
        self.hash = hash;
        Ok(Receipt { seq, hash })
    }

    pub(crate) fn note(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached("UPDATE ledger SET head_seq = ?1, head_hash = ?2 WHERE one = 1")?
            .execute(params![self.seq, self.hash.0])?;
        Ok(())
    }
}

fn put_document(connection: &Connection, hash: &Hash, body: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO document (hash, body) VALUES (?1, ?2)")?
        .execute(params![hash.0, body])?;
    Ok(())
}

fn put_entry(
    connection: &Connection,
    seq: u64,
    hash: Hash,
    body: &[u8],
    entry: &NewEntry,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO entry (seq, at, kind, subject, rotation, body, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![seq, entry.at, entry.kind, entry.subject, entry.rotation, body, hash.0])?;
    Ok(())
}

/// Takes another ledger over, inside the caller's transaction.
pub(crate) fn take_over(
    connection: &Connection,
    place: &str,
    realm: Option<&str>,
    parts: Parts,
) -> Result<Head, Error> {
    let failed = |error| fault(place, "take a ledger over", &error);
    if head(connection).map_err(failed)?.is_some() || last_seq(connection).map_err(failed)? > 0 {
        return Err(Error::NotEmpty { place: place.to_owned() });
    }
    let mut id = String::new();
    let mut chain = Chain { seq: 0, hash: Hash::ZERO };
    for part in parts {
        match part? {
            Part::Begin { ledger, realm: theirs, created_at } => {
                let realm = realm_of(place, realm, theirs)?;
                connection
                    .execute(
                        "INSERT INTO ledger (one, id, realm, created_at, head_seq, head_hash)
                         VALUES (1, ?1, ?2, ?3, 0, ?4)",
                        params![ledger, realm, created_at, Hash::ZERO.0],
                    )
                    .map_err(failed)?;
                id = ledger;
            }
            Part::Archive(archive) => archives::keep(connection, &archive).map_err(failed)?,
            Part::Document(hash, body) => {
                put_document(connection, &hash, &body).map_err(failed)?;
            }
            Part::Entry(entry) => {
                put_entry(connection, entry.seq, entry.hash, &entry.body, entry.said())
                    .map_err(failed)?;
                for change in &entry.changes {
                    let mut change = change.clone();
                    rows::restore(connection, &mut change).map_err(failed)?;
                    rows::apply(connection, &change).map_err(failed)?;
                }
            }
            Part::Checkpoint(checkpoint, frontier) => {
                checkpoints::keep(connection, &checkpoint, &frontier).map_err(failed)?;
            }
            Part::Person(person) => rows::put_person(connection, &person).map_err(failed)?,
            Part::End { seq, hash } => chain = Chain { seq, hash },
        }
    }
    chain.note(connection).map_err(failed)?;
    Ok(Head { ledger: id, seq: chain.seq, hash: chain.hash })
}

/// The ledger's id, its realm and its head; `None` before the first entry.
fn head(connection: &Connection) -> rusqlite::Result<Option<(String, String, Chain)>> {
    connection
        .prepare_cached("SELECT id, realm, head_seq, head_hash FROM ledger")?
        .query_row([], |row| {
            let hash = Hash(row.get(3)?);
            Ok((row.get(0)?, row.get(1)?, Chain { seq: row.get(2)?, hash }))
        })
        .optional()
}

/// The number of the last entry; 0 if there is none.
fn last_seq(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(seq), 0) FROM entry", [], |row| row.get(0))
}

/// Refuses to extend a chain whose end is not where its head says.
fn check_end(connection: &Connection, place: &str, head: &Chain) -> Result<(), Error> {
    let end: Option<(u64, [u8; 32])> = connection
        .prepare_cached("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1")
        .and_then(|mut select| {
            select.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(|error| fault(place, "read its last entry", &error))?;
    let broken = |seq, what: &str| {
        Err(Error::Broken { place: place.to_owned(), seq, what: what.to_owned() })
    };
    match end {
        Some((seq, hash)) if seq == head.seq && hash == head.hash.0 => Ok(()),
        Some((seq, _)) if seq < head.seq => {
            broken(seq + 1, "it is missing: the head says that there are more entries")
        }
        Some((seq, _)) if seq > head.seq => broken(head.seq + 1, "it lies beyond the head"),
        Some((seq, _)) => broken(seq, "its hash is not the head's"),
        None if head.seq == 0 => Ok(()),
        None => broken(1, "it is missing: the head says that there are entries"),
    }
}

fn new_id(place: &str) -> Result<String, Error> {
    chain::new_id().ok_or_else(|| Error::Failed {
        place: place.to_owned(),
        step: "give it an id",
        why: "the operating system gave no random bytes".to_owned(),
    })
}
