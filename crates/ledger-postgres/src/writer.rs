//! The one task a process that appends: it takes what waits, keeps it in one transaction, and answers
//! everybody.
//!
//! What a transaction needs to know is asked with its begin, and what it says is said with its commit: two
//! journeys to the server, three where rows change.

use std::{collections::BTreeSet, time::Duration};

use futures::{FutureExt, future};
use ledger::{
    Change, Durability, Error, Fence, Hash, Head, NewEntry, Receipt, canonical,
    chain::{self, new_id},
    entry::{self, Prepared},
    export::{Part, Parts, realm_of},
    pieces::bad_end,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until},
};
use tokio_postgres::types::Type;

use crate::{
    address::Way,
    archives, checkpoints,
    entries::{hash, number, unsigned},
    fault::{PATIENCE_S, cause, fault, is_contention, is_gone},
    leases,
    rows::{Fold, Statement, put_person, restore},
    schema::TABLES,
    session::{self, Param, Session},
};

/// The most appends in one transaction.
const BATCH_MAX: usize = 512;

/// A checkpoint is made at least every so many entries.
const CHECKPOINT_EVERY: u64 = 1000;

/// And at the latest so long after an entry that none covers yet.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(60);

/// How often an append is begun again where nothing of it was kept.
const TRIES: usize = 3;

/// What the task is asked.
pub(crate) enum Job {
    /// Keep these entries.
    Append(Append),
    /// Stop, after all that was asked before.
    Close(oneshot::Sender<()>),
}

pub(crate) struct Append {
    pub(crate) entries: Vec<Prepared>,
    pub(crate) durability: Durability,
    pub(crate) reply: oneshot::Sender<Result<Vec<Receipt>, Error>>,
}

/// What the task owns.
pub(crate) struct Writer {
    way: Way,
    realm: Option<String>,
    answer: Duration,
    session: Option<Session>,
    /// The moment of the newest entry that was kept here since the last checkpoint, and when the first
    /// of them was kept.
    unstated: Option<(i64, Instant)>,
}

/// Why a transaction did not end well.
enum Fault {
    /// For good.
    Refused(Error),
    /// Nothing of it was kept, and the same again may be.
    Again(Error),
    /// The connection was lost while it was being kept: this is how it would have ended.
    Unknown(Vec<Vec<Receipt>>, Error),
}

/// Why a batch was not kept, as far as anybody knows.
enum Unkept {
    /// Nothing of it was.
    Not(Error),
    /// Whether it was, nobody can tell.
    Unknown { place: String, why: String },
}

impl From<Error> for Unkept {
    fn from(error: Error) -> Self {
        Unkept::Not(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Refused(error)
    }
}

impl Writer {
    pub(crate) fn new(way: Way, realm: Option<String>, answer: Duration) -> Self {
        Writer { way, realm, answer, session: None, unstated: None }
    }

    pub(crate) async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        let mut left_over = None;
        let closed = loop {
            let job = match left_over.take() {
                Some(job) => Some(job),
                None => self.next(&mut jobs).await,
            };
            match job {
                // While one batch is on its way, the next gathers by itself.
                Some(Job::Append(first)) => {
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
                    self.keep(batch).await;
                }
                Some(Job::Close(reply)) => break Some(reply),
                None => break None,
            }
        };
        self.state().await;
        drop(self.session);
        if let Some(reply) = closed {
            let _ = reply.send(());
        }
    }

    /// Waits for a job, and while it waits states what nobody has stated for too long.
    async fn next(&mut self, jobs: &mut mpsc::UnboundedReceiver<Job>) -> Option<Job> {
        while let Some((_, since)) = self.unstated {
            tokio::select! {
                biased;
                job = jobs.recv() => return job,
                () = sleep_until(since + CHECKPOINT_AFTER) => self.state().await,
            }
        }
        jobs.recv().await
    }

    /// States size and hash of what was added. Missing it costs nothing but the statement: the next one
    /// covers these entries too.
    async fn state(&mut self) {
        let Some((at, _)) = self.unstated.take() else { return };
        if let Ok(session) = self.session().await {
            let _ = state(session, at).await;
        }
    }

    /// The connection, opened now if it is not.
    async fn session(&mut self) -> Result<&Session, Error> {
        let kept = self.session.take().filter(|kept| !kept.client.is_closed());
        let session = match kept {
            Some(session) => session,
            None => {
                let mut session = session::open(&self.way, self.answer).await?;
                session.prepare(&self.way.shown, self.realm.as_deref()).await?;
                session
            }
        };
        Ok(self.session.insert(session))
    }

    async fn keep(&mut self, mut batch: Vec<Append>) {
        match self.kept(&batch).await {
            Ok(receipts) => {
                let last = batch.iter().flat_map(|append| &append.entries).next_back();
                if let Some(last) = last {
                    let since = self.unstated.map_or_else(Instant::now, |(_, since)| since);
                    self.unstated = Some((last.entry.at, since));
                    if since.elapsed() >= CHECKPOINT_AFTER {
                        self.state().await;
                    }
                }
                for (append, receipts) in batch.into_iter().zip(receipts) {
                    let _ = append.reply.send(Ok(receipts));
                }
            }
            // Appended once more, what was kept would stand there twice.
            Err(Unkept::Unknown { place, why }) => {
                for append in batch {
                    let (place, why) = (place.clone(), why.clone());
                    let _ = append.reply.send(Err(Error::Failed { place, step: "append", why }));
                }
            }
            // One that cannot be kept must not take the others with it.
            Err(Unkept::Not(_)) if batch.len() > 1 => {
                for append in batch {
                    self.keep(vec![append]).boxed_local().await;
                }
            }
            Err(Unkept::Not(error)) => {
                if let Some(append) = batch.pop() {
                    let _ = append.reply.send(Err(error));
                }
            }
        }
    }

    /// Keeps a batch; begun again where nothing of it was kept for no fault of its own.
    async fn kept(&mut self, batch: &[Append]) -> Result<Vec<Vec<Receipt>>, Unkept> {
        let mut tried = 0;
        loop {
            tried += 1;
            let (shown, realm) = (self.way.shown.clone(), self.realm.clone().unwrap_or_default());
            let session = self.session().await?;
            let error = match append(session, &shown, realm, batch).await {
                Ok(receipts) => return Ok(receipts),
                Err(Fault::Refused(error)) => {
                    session.roll_back().await;
                    return Err(error.into());
                }
                // What is left of it is rolled back by its end.
                Err(Fault::Again(error)) => {
                    self.session = None;
                    error
                }
                Err(Fault::Unknown(receipts, error)) => {
                    self.session = None;
                    if self.was_kept(&receipts, error).await? {
                        return Ok(receipts);
                    }
                    let why = "the connection was lost".to_owned();
                    Error::Unreachable { place: shown, why }
                }
            };
            if tried >= TRIES {
                return Err(error.into());
            }
        }
    }

    /// Whether what was on its way to be kept when the connection was lost was kept: the last hash covers
    /// all before it, so that no other entry can have it. Whoever holds the head's row is waited for.
    async fn was_kept(&mut self, receipts: &[Vec<Receipt>], lost: Error) -> Result<bool, Unkept> {
        let Some(last) = receipts.iter().flatten().next_back() else { return Ok(false) };
        let until = Instant::now() + Duration::from_secs(PATIENCE_S);
        let place = self.way.shown.clone();
        loop {
            let asked = match self.session().await {
                Ok(session) => {
                    let asked = ask(session, last).await;
                    session.roll_back().await;
                    asked.map_err(|error| fault(&place, "append", &error))
                }
                Err(error) => Err(error),
            };
            match asked {
                Ok(kept) => return Ok(kept),
                Err(_) if Instant::now() < until => sleep(Duration::from_millis(200)).await,
                Err(error) => {
                    let why = format!(
                        "{lost}; whether the entry {} was kept nobody can tell now: {error}",
                        last.seq
                    );
                    return Err(Unkept::Unknown { place, why });
                }
            }
        }
    }
}

async fn ask(session: &Session, last: &Receipt) -> Result<bool, tokio_postgres::Error> {
    session.begin(false).await?;
    session.rows("SELECT FROM nhi.ledger FOR UPDATE", &[]).await?;
    let found = session
        .rows("SELECT seq, hash FROM nhi.entry WHERE seq = $1", &[(&number(last.seq), Type::INT8)])
        .await?;
    found.first().map_or(Ok(false), |row| Ok(hash(row, 1)? == last.hash))
}

/// Makes a checkpoint in a transaction of its own.
pub(crate) async fn state(
    session: &Session,
    at: i64,
) -> Result<Option<ledger::Checkpoint>, tokio_postgres::Error> {
    let made = async {
        session.begin(true).await?;
        session.rows("SELECT FROM nhi.ledger FOR UPDATE", &[]).await?;
        let made = checkpoints::make(session, at).await?;
        session.commit().await?;
        Ok(made)
    };
    let made = made.await;
    if made.is_err() {
        session.roll_back().await;
    }
    made
}

/// The end of the chain while a transaction extends it.
struct Chain {
    seq: u64,
    hash: Hash,
}

/// What a transaction says of entries: each table once.
#[derive(Default)]
pub(crate) struct Written {
    seqs: Vec<i64>,
    ats: Vec<i64>,
    kinds: Vec<String>,
    subjects: Vec<String>,
    rotations: Vec<Option<String>>,
    bodies: Vec<Vec<u8>>,
    hashes: Vec<Vec<u8>>,
    documents: (Vec<Vec<u8>>, Vec<Vec<u8>>),
}

impl Written {
    /// One entry, as it stands under its number.
    pub(crate) fn entry(&mut self, seq: u64, hash: Hash, body: Vec<u8>, entry: &NewEntry) {
        self.seqs.push(number(seq));
        self.ats.push(entry.at);
        self.kinds.push(entry.kind.clone());
        self.subjects.push(entry.subject.clone());
        self.rotations.push(entry.rotation.clone());
        self.bodies.push(body);
        self.hashes.push(hash.0.to_vec());
    }

    /// A document beside them.
    pub(crate) fn document(&mut self, hash: &Hash, body: &[u8]) {
        self.documents.0.push(hash.0.to_vec());
        self.documents.1.push(body.to_vec());
    }

    pub(crate) fn statements(self) -> Vec<Statement> {
        let mut all = Vec::new();
        if !self.documents.0.is_empty() {
            all.push(
                Statement::new(
                    "INSERT INTO nhi.document (hash, body)
                     SELECT * FROM unnest($1::bytea[], $2::bytea[]) ON CONFLICT (hash) DO NOTHING",
                )
                .with(self.documents.0, Type::BYTEA_ARRAY)
                .with(self.documents.1, Type::BYTEA_ARRAY),
            );
        }
        if !self.seqs.is_empty() {
            all.push(
                Statement::new(
                    "INSERT INTO nhi.entry (seq, at, kind, subject, rotation, body, hash)
                     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[],
                                          $5::text[], $6::bytea[], $7::bytea[])",
                )
                .with(self.seqs, Type::INT8_ARRAY)
                .with(self.ats, Type::INT8_ARRAY)
                .with(self.kinds, Type::TEXT_ARRAY)
                .with(self.subjects, Type::TEXT_ARRAY)
                .with(self.rotations, Type::TEXT_ARRAY)
                .with(self.bodies, Type::BYTEA_ARRAY)
                .with(self.hashes, Type::BYTEA_ARRAY),
            );
        }
        all
    }
}

/// What notes where the chain ends.
pub(crate) fn head(seq: u64, hash: Hash) -> Statement {
    Statement::new("UPDATE nhi.ledger SET head_seq = $1, head_hash = $2 WHERE one = 1")
        .with(number(seq), Type::INT8)
        .with(hash.0.to_vec(), Type::BYTEA)
}

/// Says all of it, one behind the other without waiting for the answers; the first that failed.
pub(crate) async fn say_all(
    session: &Session,
    statements: &[Statement],
) -> Result<(), tokio_postgres::Error> {
    // A small join polls in order, so that this is the order in which they are sent.
    debug_assert!(statements.len() < 30);
    let said = future::join_all(statements.iter().map(|one| one.say(session))).await;
    said.into_iter().try_for_each(|one| one.map(|_| ()))
}

/// What is behind a canonical form that is none: only what was not prepared.
pub(crate) fn unwritable(source: canonical::Error) -> Error {
    Error::Body { kind: "row".to_owned(), source }
}

async fn append(
    session: &Session,
    shown: &str,
    realm: String,
    batch: &[Append],
) -> Result<Vec<Vec<Receipt>>, Fault> {
    let failed = |error: tokio_postgres::Error| {
        let told = fault(shown, "append", &error);
        if is_gone(&error) || is_contention(&error) { Fault::Again(told) } else { told.into() }
    };
    let all = || batch.iter().flat_map(|append| &append.entries);
    let Some(about) = all().next().map(|prepared| &prepared.entry) else {
        return Ok(batch.iter().map(|_| Vec::new()).collect());
    };
    let durable = batch.iter().any(|append| append.durability == Durability::Durable);

    const HEAD: &str =
        "SELECT id, realm, head_seq, head_hash FROM nhi.ledger WHERE one = 1 FOR UPDATE";
    // Asked behind the lock, as a statement of its own: it sees what whoever was waited for has kept.
    const END: &str = "SELECT seq, hash FROM nhi.entry ORDER BY seq DESC LIMIT 1";
    const STATED: &str = "SELECT coalesce(max(size), 0) FROM nhi.checkpoint";
    let fences: Vec<&Fence> = all().filter_map(|prepared| prepared.entry.under.as_ref()).collect();
    let subjects: Vec<&str> = fences.iter().map(|fence| &*fence.subject).collect();
    let numbers: Vec<i64> = fences.iter().map(|fence| number(fence.number)).collect();
    let held = async {
        match fences.is_empty() {
            true => Ok(Vec::new()),
            false => {
                let asked: [Param<'_>; 2] =
                    [(&subjects, Type::TEXT_ARRAY), (&numbers, Type::INT8_ARRAY)];
                session.rows(leases::HELD, &asked).await
            }
        }
    };
    let (begun, held, mut heads, mut end, stated) = future::join5(
        session.begin(durable),
        held,
        session.rows(HEAD, &[]),
        session.rows(END, &[]),
        session.rows(STATED, &[]),
    )
    .await;
    begun.map_err(failed)?;
    let held = held.map_err(failed)?;
    let mut still = BTreeSet::new();
    for row in &held {
        still.insert((
            row.try_get::<_, String>(0).map_err(failed)?,
            unsigned(row.try_get(1).map_err(failed)?),
        ));
    }
    let lost = fences.iter().find(|fence| !still.contains(&(fence.subject.clone(), fence.number)));
    if let Some(lost) = lost {
        return Err(Error::fenced(shown.to_owned(), lost).into());
    }
    let mut said = Vec::new();
    let mut created = None;
    if heads.as_ref().is_ok_and(Vec::is_empty) {
        let id = new_id().ok_or_else(|| Error::Failed {
            place: shown.to_owned(),
            step: "give it an id",
            why: "the operating system gave no random bytes".to_owned(),
        })?;
        // Whoever does the same at once waits here for the other, and then finds it done.
        let begin = Statement::new(
            "INSERT INTO nhi.ledger (one, id, realm, created_at, head_seq, head_hash)
             VALUES (1, $1, $2, $3, 0, $4) ON CONFLICT (one) DO NOTHING",
        )
        .with(id.clone(), Type::TEXT)
        .with(realm.clone(), Type::TEXT)
        .with(about.at, Type::INT8)
        .with(Hash::ZERO.0.to_vec(), Type::BYTEA);
        if begin.say(session).await.map_err(failed)? == 1 {
            created = Some(id);
        }
        (heads, end) = future::join(session.rows(HEAD, &[]), session.rows(END, &[])).await;
    }
    let (heads, end) = (heads.map_err(failed)?, end.map_err(failed)?);
    let row = heads.first().ok_or_else(|| Error::Damaged {
        place: shown.to_owned(),
        what: "the row of its head is gone".to_owned(),
    })?;
    let found: String = row.try_get(1).map_err(failed)?;
    let known = (unsigned(row.try_get(2).map_err(failed)?), hash(row, 3).map_err(failed)?);
    let last = match end.first() {
        Some(row) => (unsigned(row.try_get(0).map_err(failed)?), hash(row, 1).map_err(failed)?),
        None => (0, Hash::ZERO),
    };
    let stated = unsigned(stated.map_err(failed)?[0].try_get(0).map_err(failed)?);
    if found.is_empty() && !realm.is_empty() {
        said.push(
            Statement::new("UPDATE nhi.ledger SET realm = $1").with(realm.clone(), Type::TEXT),
        );
    } else if !realm.is_empty() && found != realm {
        let place = shown.to_owned();
        return Err(Error::OtherRealm { place, found, expected: realm }.into());
    }

    let mut chain = Chain { seq: known.0, hash: known.1 };
    if let Some(bad) = bad_end(Some(known), last) {
        if about.kind != entry::BROKEN {
            let (seq, what) = (bad.seq, bad.what);
            return Err(Error::Broken { place: shown.to_owned(), seq, what }.into());
        }
        // A new segment, behind whatever numbers were given.
        chain.seq = chain.seq.max(last.0);
    }
    let mut written = Written::default();
    let mut add = |prepared: &Prepared| -> Result<Receipt, Error> {
        let seq = chain.seq + 1;
        let body = prepared.body(seq)?;
        let hash = chain::link(&chain.hash, &body);
        for (hash, document) in &prepared.documents {
            written.document(hash, document);
        }
        written.entry(seq, hash, body, &prepared.entry);
        chain = Chain { seq, hash };
        Ok(Receipt { seq, hash })
    };
    if let Some(id) = created {
        let created = NewEntry::new(about.at, "ledger.created", format!("ledger/{id}"))
            .by(about.actor.clone(), about.trigger.clone())
            .detail("tables", TABLES);
        add(&created.prepare(Some(&realm))?)?;
    }
    let mut receipts = Vec::with_capacity(batch.len());
    for append in batch {
        let of_append: Result<Vec<Receipt>, Error> = append.entries.iter().map(&mut add).collect();
        receipts.push(of_append?);
    }
    said.extend(written.statements());
    said.push(head(chain.seq, chain.hash));
    let changes = || all().flat_map(|prepared| &prepared.entry.changes);
    if changes().next().is_some() {
        let mut fold = Fold::of(session, changes()).await.map_err(failed)?;
        changes().for_each(|change| fold.apply(change.clone()));
        said.extend(fold.statements().map_err(unwritable)?);
    }
    if chain.seq / CHECKPOINT_EVERY > stated / CHECKPOINT_EVERY {
        say_all(session, &said).await.map_err(failed)?;
        said.clear();
        let at = all().next_back().map_or(0, |prepared| prepared.entry.at);
        checkpoints::make(session, at).await.map_err(failed)?;
    }
    let (said, committed) = future::join(say_all(session, &said), session.commit()).await;
    match said.and(committed) {
        Ok(()) => Ok(receipts),
        Err(error) if is_gone(&error) => {
            let place = shown.to_owned();
            Err(Fault::Unknown(receipts, Error::Unreachable { place, why: cause(&error) }))
        }
        Err(error) => Err(failed(error)),
    }
}

/// So many entries are taken over at once.
const TAKEN: usize = 2000;

/// Takes another ledger over, in one transaction that the caller rolls back where it fails.
pub(crate) async fn take_over(
    session: &Session,
    shown: &str,
    realm: Option<&str>,
    parts: Parts,
) -> Result<Head, Error> {
    let failed = |error: tokio_postgres::Error| fault(shown, "take a ledger over", &error);
    session.begin(true).await.map_err(failed)?;
    // Nobody begins another one meanwhile.
    session.batch("LOCK TABLE nhi.ledger IN EXCLUSIVE MODE").await.map_err(failed)?;
    let begun = session
        .rows("SELECT EXISTS (SELECT FROM nhi.ledger) OR EXISTS (SELECT FROM nhi.entry)", &[])
        .await;
    if begun.and_then(|rows| rows[0].try_get(0)).map_err(failed)? {
        return Err(Error::NotEmpty { place: shown.to_owned() });
    }
    let mut taken = Head { ledger: String::new(), seq: 0, hash: Hash::ZERO };
    let mut written = Written::default();
    let mut changes = Vec::new();
    for part in parts {
        match part? {
            Part::Begin { ledger, realm: theirs, created_at } => {
                let realm = realm_of(shown, realm, theirs)?;
                Statement::new(
                    "INSERT INTO nhi.ledger (one, id, realm, created_at, head_seq, head_hash)
                     VALUES (1, $1, $2, $3, 0, $4)",
                )
                .with(ledger.clone(), Type::TEXT)
                .with(realm, Type::TEXT)
                .with(created_at, Type::INT8)
                .with(Hash::ZERO.0.to_vec(), Type::BYTEA)
                .say(session)
                .await
                .map_err(failed)?;
                taken.ledger = ledger;
            }
            Part::Archive(archive) => {
                archives::keep(&archive).say(session).await.map_err(failed)?;
            }
            Part::Document(hash, body) => written.document(&hash, &body),
            Part::Entry(entry) => {
                changes.extend(entry.changes.iter().cloned());
                written.entry(entry.seq, entry.hash, entry.body.clone(), entry.said());
                if written.seqs.len() >= TAKEN {
                    let (written, changes) =
                        (std::mem::take(&mut written), std::mem::take(&mut changes));
                    take(session, written, changes, failed).await?;
                }
            }
            Part::Checkpoint(checkpoint, frontier) => {
                checkpoints::keep(session, &checkpoint, &frontier).await.map_err(failed)?;
            }
            Part::Person(person) => {
                put_person(person).say(session).await.map_err(failed)?;
            }
            Part::End { seq, hash } => (taken.seq, taken.hash) = (seq, hash),
        }
    }
    take(session, written, changes, failed).await?;
    head(taken.seq, taken.hash).say(session).await.map_err(failed)?;
    session.commit().await.map_err(failed)?;
    Ok(taken)
}

/// Writes some entries, and what they make of the rows.
async fn take(
    session: &Session,
    written: Written,
    mut changes: Vec<Change>,
    failed: impl Fn(tokio_postgres::Error) -> Error,
) -> Result<(), Error> {
    say_all(session, &written.statements()).await.map_err(&failed)?;
    restore(session, &mut changes).await.map_err(&failed)?;
    let mut fold = Fold::of(session, changes.iter()).await.map_err(&failed)?;
    changes.into_iter().for_each(|change| fold.apply(change));
    say_all(session, &fold.statements().map_err(unwritable)?).await.map_err(&failed)
}
