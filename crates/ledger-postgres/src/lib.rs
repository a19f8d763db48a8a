//! The ledger on PostgreSQL: one database for a fleet, one appending task a process, any number of
//! processes on any number of machines.
//!
//! Opening costs nothing: the tables are made by the first append, never by a look.
//!
//! `address` says where to and `tls` carries it; `session` is a connection that is known to lead to a ledger
//! of ours, `writer` appends over one, and `rows`, `entries`, `checkpoints` and `verify` are what is said over
//! it, a concern each.

#![warn(clippy::disallowed_methods)]

mod address;
mod archives;
mod carrier;
mod checkpoints;
mod entries;
mod fault;
mod leases;
mod rows;
mod schema;
mod session;
mod verify;
mod writer;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use ledger::{
    Archive, Change, Checkpoint, Compaction, Credential, Drawn, Durability, Error, Fence, Filter,
    Hash, Head, Integration, Leased, Ledger, NewEntry, Obligation, Observed, Page, Person, Range,
    Rebuilt, Receipt, Result, Scan, Selection, Slot, Tenant, Verification, Work, canonical,
    entry::Entry,
    export::Parts,
    port::{damaged_end, refuse_archived},
    tree,
};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio_postgres::{Row, types::Type};

pub use address::{Address, PORT, Way, is_here, shown};

use crate::{
    carrier::Carrier,
    entries::{Asked, hash, number, read, unsigned},
    fault::{fault, is_absent, is_contention, is_gone},
    rows::{Fold, Statement},
    session::{Param, Session},
    writer::{Append, Job, say_all, unwritable},
};

/// How many connections are kept while nobody uses them.
const IDLE: usize = 4;

/// How often what can be said again is.
const TRIES: usize = 3;

/// How long an answer, or the next part of one, is waited for. Whoever waits for another process is told
/// so earlier.
const ANSWER: Duration = Duration::from_secs(30);

/// How soon a server that could not be reached is asked again.
const AGAIN: Duration = Duration::from_secs(3);

/// So many entries are folded at once.
const FOLDED: usize = 2000;

/// A ledger in a database.
#[derive(Debug)]
pub struct PostgresLedger {
    place: Arc<Place>,
    read_only: bool,
}

#[derive(Debug)]
struct Place {
    way: Way,
    realm: Option<String>,
    /// How long an answer is waited for.
    answer: Duration,
    /// When a server was last in vain asked for a connection, and what came of it.
    in_vain: Mutex<Option<(Instant, String)>>,
    /// What carries connections, once there is one.
    carrier: Mutex<Option<Carrier>>,
    idle: Mutex<Vec<Session>>,
}

impl Place {
    /// Asks for something of what carries connections, which is started now if it is not there.
    fn carried<T>(self: &Arc<Self>, ask: impl FnOnce(&Carrier) -> T) -> Result<T> {
        let mut carrier = self.carrier.lock().unwrap_or_else(PoisonError::into_inner);
        let there = match carrier.take() {
            Some(there) => there,
            None => Carrier::start(self).map_err(|error| Error::Failed {
                place: self.way.shown.clone(),
                step: "start its thread",
                why: error.to_string(),
            })?,
        };
        Ok(ask(carrier.insert(there)))
    }

    /// A connection that nobody uses now, or a new one.
    async fn session(self: &Arc<Self>) -> Result<Session> {
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match kept {
                Some(session) if session.client.is_closed() => (),
                Some(session) => return Ok(session),
                None => break,
            }
        }
        // A plan of many resources must not wait for each of them anew.
        let in_vain = || self.in_vain.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, why)) = in_vain().as_ref().filter(|(at, _)| at.elapsed() < AGAIN) {
            let (place, why) = (self.way.shown.clone(), why.clone());
            return Err(Error::Unreachable { place, why });
        }
        let (way, answer) = (self.way.clone(), self.answer);
        let opening = self.carried(|carrier| {
            carrier.runtime.spawn(async move { session::open(&way, answer).await })
        })?;
        let opened = opening.await.map_err(|_| Error::Closed { place: self.way.shown.clone() })?;
        *in_vain() = match &opened {
            Err(Error::Unreachable { why, .. }) => Some((Instant::now(), why.clone())),
            _ => None,
        };
        opened
    }

    /// A connection for reading; `None` if there is nothing to read yet.
    async fn reader(self: &Arc<Self>) -> Result<Option<Session>> {
        let mut session = self.session().await?;
        if !session.present {
            session.look(&self.way.shown, self.realm.as_deref()).await?;
        }
        if session.present {
            return Ok(Some(session));
        }
        self.give_back(session);
        Ok(None)
    }

    /// A connection over which rows are changed.
    async fn writer(self: &Arc<Self>) -> Result<Session> {
        let mut session = self.session().await?;
        if !session.is_writable() {
            session.prepare(&self.way.shown, self.realm.as_deref()).await?;
        }
        Ok(session)
    }

    fn give_back(&self, session: Session) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(session);
        }
    }

    fn forget_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl PostgresLedger {
    /// The ledger in this database, for reading and writing. Asks nobody yet.
    ///
    /// A realm is kept with the first entry; a ledger of another realm is refused.
    pub fn open(way: Way, realm: Option<&str>) -> Self {
        Self::with(way, realm, false, ANSWER)
    }

    /// As [`PostgresLedger::open`], but an answer is waited for for so long: for tests that do not wait for
    /// what never comes.
    #[doc(hidden)]
    pub fn open_within(way: Way, realm: Option<&str>, answer: Duration) -> Self {
        Self::with(way, realm, false, answer)
    }

    /// The ledger in this database, for reading only. Asks nobody yet.
    pub fn open_read_only(way: Way, realm: Option<&str>) -> Self {
        Self::with(way, realm, true, ANSWER)
    }

    fn with(way: Way, realm: Option<&str>, read_only: bool, answer: Duration) -> Self {
        let realm = realm.filter(|realm| !realm.is_empty()).map(str::to_owned);
        let (in_vain, carrier, idle) = (Mutex::default(), Mutex::default(), Mutex::default());
        let place = Place { way, realm, answer, in_vain, carrier, idle };
        PostgresLedger { place: Arc::new(place), read_only }
    }

    fn shown(&self) -> &str {
        &self.place.way.shown
    }

    fn closed(&self) -> Error {
        Error::Closed { place: self.place() }
    }

    fn may_write(&self) -> Result<()> {
        match self.read_only {
            false => Ok(()),
            true => {
                let why = "it was opened for reading only".to_owned();
                Err(Error::ReadOnly { place: self.place(), why })
            }
        }
    }

    /// Reads with one statement; nothing where there is no ledger.
    async fn rows(&self, step: &'static str, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        let mut tried = 0;
        loop {
            tried += 1;
            let Some(mut session) = self.place.reader().await? else { return Ok(Vec::new()) };
            match session.rows(sql, params).await {
                Ok(rows) => {
                    self.place.give_back(session);
                    return Ok(rows);
                }
                // It was closed while nobody used it, and so were the others.
                Err(error) if is_gone(&error) && tried < TRIES => self.place.forget_idle(),
                Err(error) => {
                    let told = session::denied(fault(self.shown(), step, &error));
                    // Whoever dropped all of it took history away and nothing else.
                    if is_absent(&error) {
                        session.look(self.shown(), self.place.realm.as_deref()).await?;
                        if !session.present {
                            return Ok(Vec::new());
                        }
                    }
                    return Err(told);
                }
            }
        }
    }

    /// Reads with one statement, and makes something of each row.
    async fn each<T>(
        &self,
        step: &'static str,
        (sql, values): Asked,
        make: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Vec<T>> {
        let params: Vec<Param<'_>> =
            values.iter().map(|(value, of)| (&**value as _, of.clone())).collect();
        let rows = self.rows(step, &sql, &params).await?;
        let made: Result<Vec<T>, tokio_postgres::Error> = rows.iter().map(make).collect();
        made.map_err(|error| fault(self.shown(), step, &error))
    }

    /// Changes rows in one transaction.
    async fn change(
        &self,
        step: &'static str,
        durable: bool,
        statements: Vec<Statement>,
    ) -> Result<()> {
        self.may_write()?;
        let mut tried = 0;
        loop {
            let session = self.place.writer().await?;
            let said = async {
                session.begin(durable).await?;
                say_all(&session, &statements).await?;
                session.commit().await
            };
            match said.await {
                Ok(()) => {
                    self.place.give_back(session);
                    return Ok(());
                }
                Err(error) => self.once_more(session, &mut tried, step, error).await?,
            }
        }
    }

    /// Whether something that failed is done once more: where it was in another's way, or the connection was
    /// lost, that does no harm.
    async fn once_more(
        &self,
        session: Session,
        tried: &mut usize,
        step: &'static str,
        error: tokio_postgres::Error,
    ) -> Result<()> {
        session.roll_back().await;
        if is_gone(&error) {
            self.place.forget_idle();
        }
        *tried += 1;
        match *tried < TRIES && (is_gone(&error) || is_contention(&error)) {
            true => Ok(()),
            false => Err(fault(self.shown(), step, &error)),
        }
    }

    /// Folds the entries anew, inside a transaction that nobody appends beside.
    async fn fold_anew(&self, session: &Session) -> Result<Result<Rebuilt>, tokio_postgres::Error> {
        let broken = |seq, what| Error::Broken { place: self.place(), seq, what };
        session.begin(true).await?;
        session.rows("SELECT FROM nhi.ledger FOR UPDATE", &[]).await?;
        session.batch(rows::EMPTY).await?;
        let mut rebuilt = Rebuilt { entries: 0, changes: 0 };
        let mut after = 0;
        loop {
            let page = format!(
                "SELECT seq, hash, body FROM nhi.entry WHERE seq > $1 ORDER BY seq LIMIT {FOLDED}"
            );
            let page = session.rows(&page, &[(&number(after), Type::INT8)]).await?;
            if page.is_empty() {
                break;
            }
            let mut changes: Vec<Change> = Vec::new();
            let mut of: Vec<u64> = Vec::new();
            for row in &page {
                let (seq, hash, body) = read(row)?;
                let entry = match Entry::read(seq, hash, body.to_owned()) {
                    Ok(entry) => entry,
                    Err(what) => return Ok(Err(broken(seq, what))),
                };
                after = seq;
                rebuilt.entries += 1;
                of.extend(entry.changes.iter().map(|_| seq));
                changes.extend(entry.changes.iter().cloned());
            }
            rows::restore(session, &mut changes).await?;
            rebuilt.changes += changes.len() as u64;
            let mut fold = Fold::of(session, changes.iter()).await?;
            for (change, seq) in changes.into_iter().zip(of) {
                // Nothing that is still in the rows is given up for it.
                if let Some(hash) = change.names().first() {
                    return Ok(Err(broken(seq, format!("its document {hash} is missing"))));
                }
                fold.apply(change);
            }
            match fold.statements() {
                Ok(statements) => say_all(session, &statements).await?,
                Err(error) => return Ok(Err(unwritable(error))),
            }
        }
        session.batch(rows::SWEEP).await?;
        session.commit().await?;
        Ok(Ok(rebuilt))
    }
}

/// Whoever lets go of it waits until its entries are stated.
impl Drop for PostgresLedger {
    fn drop(&mut self) {
        self.place.forget_idle();
        let mut carrier = self.place.carrier.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(carrier) = carrier.take() {
            carrier.end();
        }
    }
}

/// What is to be said of the server and of whom it takes us for.
async fn weaknesses(session: &Session) -> Result<Vec<String>, tokio_postgres::Error> {
    let rows = session
        .rows(
            "SELECT pg_catalog.current_setting('fsync') = 'on',
                    pg_catalog.current_setting('full_page_writes') = 'on',
                    pg_catalog.current_setting('is_superuser') = 'on',
                    (SELECT count(*) FROM pg_catalog.pg_stat_replication
                     WHERE coalesce(sync_state, 'async') IN ('async', 'potential'))",
            &[],
        )
        .await?;
    let row = &rows[0];
    let (fsync, pages, superuser): (bool, bool, bool) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let replicas: i64 = row.try_get(3)?;
    let mut found = Vec::new();
    if !fsync || !pages {
        let off = if fsync { "full_page_writes" } else { "fsync" };
        found.push(format!(
            "its server has {off} = off: a power cut may take what was acknowledged, or all of it.\nNext: switch it on there"
        ));
    }
    if replicas > 0 {
        found.push(format!(
            "{replicas} replica(s) follow its server asynchronously: where one takes over, the newest entries may be missing, and no chain tells so.\nNext: name them in synchronous_standby_names there, or keep the head that nhi ledger verify prints elsewhere"
        ));
    }
    if superuser {
        found.push(
            "nhi signs in as a superuser, who can lift what keeps entries from being changed.\nNext: let it sign in as a role of its own, with nhi_writer granted to it"
                .to_owned(),
        );
    }
    Ok(found)
}

fn seen_wrong(source: canonical::Error) -> Error {
    Error::Body { kind: "observation".to_owned(), source }
}

fn asked(sql: &str) -> Asked {
    (sql.to_owned(), Vec::new())
}

#[async_trait]
impl Ledger for PostgresLedger {
    fn place(&self) -> String {
        self.shown().to_owned()
    }

    async fn ready(&self, work: Work) -> Result<Option<Error>> {
        self.may_write()?;
        let session = self.place.writer().await?;
        let step = "write";
        let able = session
            .rows(
                "SELECT pg_catalog.pg_is_in_recovery()
                        OR pg_catalog.current_setting('transaction_read_only') = 'on',
                        pg_catalog.has_table_privilege('nhi.entry', 'INSERT')
                        AND pg_catalog.has_table_privilege('nhi.ledger', 'UPDATE')",
                &[],
            )
            .await;
        let able = able.and_then(|rows| {
            let row = &rows[0];
            Ok((row.try_get::<_, bool>(0)?, row.try_get::<_, bool>(1)?))
        });
        let why = match able.map_err(|error| fault(self.shown(), step, &error))? {
            (true, _) => "the server takes no changes: it is a replica, or was made read-only",
            (false, false) => "this user may not add entries",
            (false, true) => {
                self.place.give_back(session);
                return match (damaged_end(self).await?, work) {
                    (Some(wrong), Work::Begins) => Err(wrong),
                    (wrong, _) => Ok(wrong),
                };
            }
        };
        Err(Error::ReadOnly { place: self.place(), why: why.to_owned() })
    }

    async fn append(&self, entries: Vec<NewEntry>, durability: Durability) -> Result<Vec<Receipt>> {
        self.may_write()?;
        let realm = self.place.realm.as_deref();
        let prepared: Result<Vec<_>> =
            entries.into_iter().map(|entry| entry.prepare(realm)).collect();
        let (reply, answer) = oneshot::channel();
        let job = Job::Append(Append { entries: prepared?, durability, reply });
        self.place.carried(|carrier| carrier.jobs.send(job))?.map_err(|_| self.closed())?;
        answer.await.map_err(|_| self.closed())?
    }

    async fn head(&self) -> Result<Head> {
        let heads = self
            .each("read its head", asked("SELECT id, head_seq, head_hash FROM nhi.ledger"), |row| {
                let (ledger, seq) = (row.try_get(0)?, unsigned(row.try_get(1)?));
                Ok(Head { ledger, seq, hash: hash(row, 2)? })
            })
            .await?;
        let none = || Head { ledger: String::new(), seq: 0, hash: Hash::ZERO };
        Ok(heads.into_iter().next().unwrap_or_else(none))
    }

    async fn entries(&self, filter: &Filter) -> Result<Page> {
        let (sql, values) = entries::asked(filter);
        let params: Vec<Param<'_>> =
            values.iter().map(|(value, of)| (&**value as _, of.clone())).collect();
        let rows = self.rows("read its entries", &sql, &params).await?;
        entries::page(self.shown(), rows, filter)
    }

    async fn verify(&self, range: Range) -> Result<Verification> {
        verify::verify(&self.place, range).await
    }

    async fn checkpoint(&self, at: i64) -> Result<Option<Checkpoint>> {
        self.may_write()?;
        // Nothing to state is no reason to make tables.
        if self.head().await?.seq == 0 {
            return Ok(None);
        }
        let session = self.place.writer().await?;
        let made = writer::state(&session, at)
            .await
            .map_err(|error| fault(self.shown(), "make a checkpoint", &error))?;
        self.place.give_back(session);
        Ok(made)
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        self.each("read its checkpoints", asked(checkpoints::ALL), checkpoints::of).await
    }

    async fn prove(&self, seq: u64, size: u64) -> Result<Vec<Hash>> {
        let mut leaves: Vec<Hash> = Vec::new();
        let mut after = 0;
        loop {
            let page = self
                .rows(
                    "read its entries",
                    "SELECT seq, hash, body FROM nhi.entry WHERE seq > $1 AND seq <= $2
                     ORDER BY seq LIMIT 4096",
                    &[(&number(after), Type::INT8), (&number(size), Type::INT8)],
                )
                .await?;
            for row in &page {
                let (seq, _, body) =
                    read(row).map_err(|error| fault(self.shown(), "read its entries", &error))?;
                after = seq;
                leaves.push(tree::leaf(body));
            }
            if page.is_empty() {
                break;
            }
        }
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
        let bytes = hash.0.to_vec();
        let asked: Asked = (
            "SELECT body FROM nhi.document WHERE hash = $1".to_owned(),
            vec![(Box::new(bytes), Type::BYTEA)],
        );
        let found = self
            .each("read a document", asked, |row| Ok(rows::document_of(hash, row.try_get(0)?)))
            .await?;
        Ok(found.into_iter().next().flatten())
    }

    async fn tenants(&self) -> Result<Vec<Tenant>> {
        let all = asked("SELECT key, connection, pinned_at FROM nhi.tenant ORDER BY key");
        self.each("read its tenants", all, rows::tenant).await
    }

    async fn integrations(&self, selection: &Selection) -> Result<Vec<Integration>> {
        let asked = rows::selected(rows::INTEGRATIONS, selection);
        self.each("read its integrations", asked, rows::integration).await
    }

    async fn slots(&self, selection: &Selection) -> Result<Vec<Slot>> {
        self.each("read its slots", rows::selected(rows::SLOTS, selection), rows::slot).await
    }

    async fn credentials(&self, selection: &Selection) -> Result<Vec<Credential>> {
        let asked = rows::selected(rows::CREDENTIALS, selection);
        self.each("read its credentials", asked, rows::credential).await
    }

    async fn open_obligations(&self) -> Result<Vec<Obligation>> {
        let all: Asked = (rows::OPEN.to_owned(), vec![(Box::new(None::<String>), Type::TEXT)]);
        self.each("read its obligations", all, rows::obligation).await
    }

    async fn obligations_of(&self, subject: &str) -> Result<Vec<Obligation>> {
        let of: Asked = (rows::OPEN.to_owned(), vec![(Box::new(subject.to_owned()), Type::TEXT)]);
        self.each("read its obligations", of, rows::obligation).await
    }

    async fn obligations_with(&self, deed: &str) -> Result<Vec<Obligation>> {
        let of: Asked = (rows::WITH_DEED.to_owned(), vec![(Box::new(deed.to_owned()), Type::TEXT)]);
        self.each("read its obligations", of, rows::obligation).await
    }

    async fn due(&self, at: i64) -> Result<Vec<Slot>> {
        let due: Asked = (rows::DUE.to_owned(), vec![(Box::new(at), Type::INT8)]);
        self.each("read what is due", due, rows::slot).await
    }

    async fn observe(&self, seen: Vec<Observed>) -> Result<()> {
        let statements = rows::observed(seen).map_err(seen_wrong)?;
        if statements.is_empty() {
            return Ok(());
        }
        self.change("keep what was seen", false, statements).await
    }

    async fn record_scan(&self, scan: Scan) -> Result<()> {
        let statement = rows::scanned(scan).map_err(seen_wrong)?;
        self.change("note a scan", false, vec![statement]).await
    }

    async fn scans(&self) -> Result<Vec<Scan>> {
        self.each("read its scans", asked(rows::SCANS), rows::scan).await
    }

    async fn lease(&self, subject: &str, holder: &str, time: Duration) -> Result<Leased> {
        self.may_write()?;
        let mut tried = 0;
        loop {
            let session = self.place.writer().await?;
            match leases::take(&session, subject, holder, time).await {
                Ok(leased) => {
                    self.place.give_back(session);
                    return Ok(leased);
                }
                Err(error) => self.once_more(session, &mut tried, "take a lease", error).await?,
            }
        }
    }

    async fn release(&self, fence: &Fence) -> Result<()> {
        let (number, subject) = (number(fence.number), fence.subject.clone());
        let given = Statement::new("DELETE FROM nhi.lease WHERE subject = $1 AND fence = $2")
            .with(subject, Type::TEXT)
            .with(number, Type::INT8);
        self.change("give a lease back", false, vec![given]).await
    }

    async fn draw(&self, tenant: &str, most: u32, per_second: u32) -> Result<Drawn> {
        self.may_write()?;
        let session = self.place.writer().await?;
        let drawn = leases::draw(&session, tenant, (most, per_second)).await;
        if drawn.is_err() {
            session.roll_back().await;
        }
        self.place.give_back(session);
        drawn.map_err(|error| fault(self.shown(), "draw of a budget", &error))
    }

    async fn freeze(&self, tenant: &str, time: Duration) -> Result<()> {
        let frozen = Statement::new(
            "INSERT INTO nhi.budget AS b (tenant, tokens, at, frozen_until)
             VALUES ($1, 0, clock_timestamp(), clock_timestamp() + $2 * interval '1 millisecond')
             ON CONFLICT (tenant) DO UPDATE
             SET frozen_until = greatest(b.frozen_until, excluded.frozen_until)",
        )
        .with(tenant.to_owned(), Type::TEXT)
        .with(time.as_millis() as f64, Type::FLOAT8);
        self.change("keep a tenant's patience", false, vec![frozen]).await
    }

    async fn put_person(&self, person: Person) -> Result<()> {
        self.change("keep a person", true, vec![rows::put_person(person)]).await
    }

    async fn person(&self, id: &str) -> Result<Option<Person>> {
        let one: Asked = (
            "SELECT id, display, email, erased_at FROM nhi.person WHERE id = $1".to_owned(),
            vec![(Box::new(id.to_owned()), Type::TEXT)],
        );
        Ok(self.each("read a person", one, rows::person).await?.into_iter().next())
    }

    async fn persons(&self) -> Result<Vec<Person>> {
        let all = asked("SELECT id, display, email, erased_at FROM nhi.person ORDER BY id");
        self.each("read its persons", all, rows::person).await
    }

    async fn take_over(&self, parts: Parts) -> Result<Head> {
        self.may_write()?;
        let session = self.place.writer().await?;
        let realm = self.place.realm.as_deref();
        let taken = writer::take_over(&session, self.shown(), realm, parts).await;
        if taken.is_err() {
            session.roll_back().await;
        }
        self.place.give_back(session);
        taken
    }

    async fn archives(&self) -> Result<Vec<Archive>> {
        let of_version = self.place.reader().await?.map(|session| {
            let found = session.found;
            self.place.give_back(session);
            found
        });
        if of_version.is_none_or(|found| found < 2) {
            return Ok(Vec::new());
        }
        self.each("read its archives", asked(archives::ALL), archives::of).await
    }

    async fn compact(&self, compaction: Compaction) -> Result<()> {
        self.may_write()?;
        let session = self.place.writer().await?;
        let realm = self.place.realm.as_deref();
        let done = archives::compact(&session, self.shown(), realm, &compaction).await;
        if done.is_err() {
            session.roll_back().await;
        }
        self.place.give_back(session);
        done
    }

    async fn erase_person(&self, id: &str, at: i64) -> Result<()> {
        if self.person(id).await?.is_none() {
            return Ok(());
        }
        self.change("erase a person", true, vec![rows::erase_person(id.to_owned(), at)]).await
    }

    async fn rebuild(&self) -> Result<Rebuilt> {
        self.may_write()?;
        let session = self.place.writer().await?;
        let done = match self.fold_anew(&session).await {
            Ok(done) => done,
            Err(error) => Err(fault(self.shown(), "rebuild its inventory", &error)),
        };
        if done.is_err() {
            session.roll_back().await;
        }
        self.place.give_back(session);
        done
    }

    async fn weaknesses(&self) -> Result<Vec<String>> {
        let session = self.place.session().await?;
        let found = weaknesses(&session).await;
        let mut found = found.map_err(|error| fault(self.shown(), "be looked at", &error))?;
        self.place.give_back(session);
        let address = (self.place.way.address)();
        if address.is_ok_and(|address| !address.secured && !is_here(&address.host)) {
            found.push(
                "it is reached over a network in the clear.\nNext: take sslmode = \"disable\" out"
                    .to_owned(),
            );
        }
        Ok(found)
    }

    async fn close(&self) -> Result<()> {
        self.place.forget_idle();
        let carrier = self.place.carrier.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(carrier) = carrier else { return Ok(()) };
        let (reply, answer) = oneshot::channel();
        // A thread that has ended already has nothing left to close.
        if carrier.jobs.send(Job::Close(reply)).is_ok() {
            let _ = answer.await;
        }
        Ok(())
    }
}
