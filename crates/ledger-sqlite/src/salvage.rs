//! A damaged ledger's readable part in a new file, and in it what is lost.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use ledger::{
    Error, Hash, NewEntry, Range, chain,
    entry::{self, Entry},
    tree::Frontier,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::{
    archives,
    carve::Pages,
    checkpoints, connection,
    fault::fault,
    place,
    reserve::Reserve,
    rows, schema,
    verify::{columns, verify},
    writer::Chain,
};

/// So many numbers are read at once; one by one only where that fails.
const CHUNK: u64 = 1000;

/// After so many numbers without a row nothing more is looked for.
const SILENCE: u64 = 1 << 16;

/// The runs of lost numbers that one entry can hold.
const RUNS: usize = 64;

/// What a salvage did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// How many entries the new file took over.
    pub kept: u64,
    /// The numbers of those that are lost, first and last of each run.
    pub lost: Vec<(u64, u64)>,
    /// Where the damaged file is now.
    pub aside: PathBuf,
}

/// Takes what can be read and agrees with the chain over into a new file in the same place, says in
/// it what is lost, and sets the damaged file aside. `by` has the moment and the actor.
///
/// # Errors
///
/// Nothing at all can be read, another process is at work, or the new file cannot be written. Then
/// the damaged file is where it was.
pub fn salvage(path: &Path, realm: Option<&str>, by: &NewEntry) -> Result<Salvaged, Error> {
    let shown = place::shown(path);
    // The damaged file is behind a link, and so are its log and its reserve.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    save(&real, realm, by).map_err(|error| match error {
        // Another salvage would find no more.
        Error::Damaged { what, .. } | Error::Broken { what, .. } => {
            Error::Lost { place: shown, what }
        }
        error => error,
    })
}

fn save(path: &Path, realm: Option<&str>, by: &NewEntry) -> Result<Salvaged, Error> {
    let shown = place::shown(path);
    let failed = |why: String| Error::Failed { place: shown.clone(), step: "be salvaged", why };
    if place::look(path)?.is_none() {
        return Err(Error::Usage(format!("there is no ledger {shown}")));
    }
    place::refuse_network(path)?;
    // Held to the end: whoever opens the ledger meanwhile waits for the new file's name.
    let _held = match Reserve::hold(path) {
        Some((reserve, true)) => reserve,
        Some((_, false)) => {
            return Err(failed("another process has it open; let that finish first".to_owned()));
        }
        None => {
            let why = "no file can be made beside it".to_owned();
            return Err(Error::ReadOnly { place: shown, why });
        }
    };
    let new = place::beside(path, "-salvaged");
    remove(&new).map_err(|error| failed(error.to_string()))?;
    let (old, unread) = match connection::salvaging(path) {
        Ok(old) => (old, None),
        // What says what kind of file this is may be what was lost.
        Err(error @ (Error::NotALedger { .. } | Error::Damaged { .. })) => {
            let none = schema::fresh().map_err(|error| failed(error.to_string()))?;
            (none, Some(error))
        }
        Err(error) => return Err(error),
    };
    let pages = Pages::read(path);
    let mut into = connection::writer(&new, realm)?;
    let copied = copy(&old, pages, &mut into, &shown, realm, by);
    drop(old);
    connection::close(into);
    let checked = copied.and_then(|copied| Ok((copied, verify(&new, realm, Range::ALL)?)));
    let wrong = match checked {
        Ok(((kept, lost), found)) if found.is_sound() && kept > 0 => Ok((kept, lost)),
        Ok((_, found)) => {
            if let Some(unread) = unread {
                let _ = remove(&new);
                return Err(unread);
            }
            let wrong = found.first_bad.map(|bad| bad.what).or(found.problems.into_iter().next());
            let what = wrong.unwrap_or_else(|| "no entry of it can be read".to_owned());
            Err(Error::Damaged { place: shown.clone(), what })
        }
        Err(error) => Err(error),
    };
    let (kept, lost) = wrong.inspect_err(|_| {
        let _ = remove(&new);
    })?;
    let aside = place::beside(path, &format!("-damaged-{}", by.at));
    swap(path, &new, &aside).map_err(|error| failed(error.to_string()))?;
    Ok(Salvaged { kept, lost, aside })
}

/// Removes a file with its log; absent is removed.
fn remove(path: &Path) -> io::Result<()> {
    for file in [path.to_owned(), place::beside(path, "-wal"), place::beside(path, "-shm")] {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => (),
        }
    }
    Ok(())
}

/// Puts the new file into the place of the old one, or leaves the old one where it is. The old log
/// goes first: it would be taken for the new file's.
fn swap(path: &Path, new: &Path, aside: &Path) -> io::Result<()> {
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(place::beside(new, end));
    }
    let mut moved = Vec::new();
    let mut to = |from: PathBuf, to: PathBuf| -> io::Result<()> {
        fs::rename(&from, &to)?;
        moved.push((from, to));
        Ok(())
    };
    let ends = ["-wal", "-shm", ""].into_iter().filter(|end| place::beside(path, end).exists());
    let done = ends
        .map(|end| (place::beside(path, end), place::beside(aside, end)))
        .chain([(new.to_owned(), path.to_owned())])
        .try_for_each(|(from, there)| to(from, there));
    if done.is_err() {
        for (from, to) in moved.into_iter().rev() {
            let _ = fs::rename(to, from);
        }
        return done;
    }
    File::open(place::folder(path))?.sync_all()
}

type Lost = Vec<(u64, u64)>;

fn copy(
    old: &Connection,
    pages: Option<Pages>,
    into: &mut Connection,
    place: &str,
    realm: Option<&str>,
    by: &NewEntry,
) -> Result<(u64, Lost), Error> {
    let failed = |error| fault(place, "be salvaged", &error);
    let transaction = into.transaction().map_err(failed)?;
    let Entries { kept, ends, last, created } =
        entries(old, pages, &transaction).map_err(failed)?;
    if kept == 0 {
        return Ok((0, Vec::new()));
    }
    let mut lost = ends.lost;
    // The old head may name numbers behind the last that is left; a forged one is not believed.
    let head = old
        .query_row("SELECT head_seq, head_hash FROM ledger", [], |row| {
            Ok((row.get::<_, u64>(0)?, Hash(row.get(1)?)))
        })
        .ok()
        .filter(|(seq, _)| (last.0 + 1..=last.0 + SILENCE).contains(seq));
    lost.extend(head.map(|(seq, _)| (last.0 + 1, seq)));
    let end = head.unwrap_or(last);

    let row: Option<(String, String, i64)> = old
        .query_row("SELECT id, realm, created_at FROM ledger", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .ok();
    let (id, of_realm, at) = row.or(created).unwrap_or_else(|| {
        let id = Hash::of(&last.1.0).to_string()[..26].to_owned();
        (id, realm.unwrap_or_default().to_owned(), by.at)
    });
    transaction
        .execute(
            "INSERT INTO ledger (one, id, realm, created_at, head_seq, head_hash)
             VALUES (1, ?1, ?2, ?3, ?4, ?5)",
            params![id, of_realm, at, end.0, end.1.0],
        )
        .map_err(failed)?;
    beside(old, &transaction).map_err(failed)?;
    rows::refold(&transaction).map_err(failed)?.map_err(|(seq, what)| Error::Broken {
        place: place.to_owned(),
        seq,
        what,
    })?;

    let mut chain = Chain { seq: end.0, hash: end.1 };
    for runs in lost.chunks(RUNS).chain(lost.is_empty().then_some(&[][..])) {
        let told = NewEntry::new(by.at, entry::SALVAGED, format!("ledger/{id}"))
            .by(by.actor.clone(), by.trigger.clone())
            .detail("kept", kept)
            .detail("lost", serde_json::json!(runs));
        chain.extend(&transaction, place, &told.prepare(Some(&of_realm))?)?;
    }
    chain.note(&transaction).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok((kept, lost))
}

/// What was found out about the old entries on the way.
struct Entries {
    kept: u64,
    ends: Ends,
    /// The last that was kept.
    last: (u64, Hash),
    /// Id, realm and moment of the ledger, as its first entry has them.
    created: Option<(String, String, i64)>,
}

#[derive(Default)]
struct Ends {
    next: u64,
    lost: Lost,
}

impl Ends {
    fn kept(&mut self, seq: u64) {
        if seq > self.next + 1 {
            self.lost.push((self.next + 1, seq - 1));
        }
        self.next = seq;
    }
}

/// Copies entries that can be read, say the same in body and columns, and follow from the recorded
/// hash before them where there is one; with them the checkpoints that agree with what is copied.
fn entries(
    old: &Connection,
    mut pages: Option<Pages>,
    into: &Transaction<'_>,
) -> rusqlite::Result<Entries> {
    type Found = (u64, Option<Hash>, Option<Vec<u8>>);
    let read = |row: &Row<'_>| -> rusqlite::Result<Found> {
        let seq = row.get(0)?;
        let hash = row.get(1).ok().map(Hash);
        let whole = || {
            let body: Vec<u8> = row.get(2)?;
            if columns(row)?.astray(seq, &body).is_some() {
                return Ok(None);
            }
            Ok::<_, rusqlite::Error>(Some(body))
        };
        Ok((seq, hash, whole().ok().flatten()))
    };
    let mut done = Entries { kept: 0, ends: Ends::default(), last: (0, Hash::ZERO), created: None };
    let mut points = BTreeMap::new();
    each(old, "checkpoint", "size, at, root, head", checkpoints::read, |point| {
        points.insert(point.size, point);
        Ok(())
    })?;
    let mut frontier = Frontier::new();
    let mut before: Option<(u64, Hash)> = Some((0, Hash::ZERO));
    // What lies in files is lost to nobody.
    let mut archived = 0;
    each(old, "archive", archives::COLUMNS, archives::read, |archive| {
        archives::keep(into, &archive)?;
        archived = archive.last;
        (before, frontier) = (Some((archived, archive.head)), archive.frontier);
        Ok(())
    })?;
    (done.ends.next, done.last) = (archived, (archived, before.map_or(Hash::ZERO, |one| one.1)));
    let mut take = |(seq, hash, body): Found| {
        if seq <= archived {
            return Ok(());
        }
        let previous = before.filter(|(last, _)| last + 1 == seq).map(|(_, hash)| hash);
        before = hash.map(|hash| (seq, hash));
        let (Some(hash), Some(body)) = (hash, body) else { return Ok(()) };
        if previous.is_some_and(|previous| chain::link(&previous, &body) != hash) {
            return Ok(());
        }
        // A number far from all others is forged: nothing could be added behind it.
        if seq - done.last.0 > SILENCE {
            return Ok(());
        }
        let Ok(entry) = Entry::read(seq, hash, body) else { return Ok(()) };
        if entry.kind == "ledger.created"
            && let Some(id) = entry.subject.strip_prefix("ledger/")
        {
            let realm = entry.realm.clone().unwrap_or_default();
            done.created = Some((id.to_owned(), realm, entry.at));
        }
        into.prepare_cached(
            "INSERT INTO entry (seq, at, kind, subject, rotation, body, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            seq,
            entry.at,
            entry.kind,
            entry.subject,
            entry.rotation,
            entry.body,
            hash.0
        ])?;
        done.kept += 1;
        done.ends.kept(seq);
        done.last = (seq, hash);
        let _ = frontier.fill(seq);
        frontier.push(&entry.body);
        match points.get(&seq) {
            Some(point) if point.head == hash && point.root == frontier.root() => {
                checkpoints::keep(into, point, &frontier)
            }
            _ => Ok(()),
        }
    };
    // What the database does not find is taken from its page, in its place.
    let mut carved = |below| {
        let (seq, hash, body) = pages.as_mut()?.next(below)?;
        Some((seq, Some(hash), Some(body)))
    };
    each(old, "entry", "seq, hash, body, at, kind, subject, rotation", read, |found| {
        while let Some(found) = carved(Some(found.0)) {
            take(found)?;
        }
        take(found)
    })?;
    while let Some(found) = carved(None) {
        take(found)?;
    }
    Ok(done)
}

/// Copies what stands beside the entries. Scans are made again.
fn beside(old: &Connection, into: &Transaction<'_>) -> rusqlite::Result<()> {
    let document = |row: &Row<'_>| Ok((row.get::<_, [u8; 32]>(1)?, row.get::<_, Vec<u8>>(2)?));
    each(old, "document", "rowid, hash, body", document, |(hash, body)| {
        if Hash::of(&body) == Hash(hash) {
            into.prepare_cached("INSERT OR IGNORE INTO document (hash, body) VALUES (?1, ?2)")?
                .execute(params![hash, body])?;
        }
        Ok(())
    })?;
    let person = |row: &Row<'_>| {
        Ok(ledger::Person {
            id: row.get(1)?,
            display: row.get(2)?,
            email: row.get(3)?,
            erased_at: row.get(4)?,
        })
    };
    each(old, "person", "rowid, id, display, email, erased_at", person, |person| {
        rows::put_person(into, &person)
    })
}

/// Hands over each row of a table that can be read, by number, which is the first column; none where
/// the database no longer knows the table.
fn each<T>(
    old: &Connection,
    table: &str,
    columns: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    mut take: impl FnMut(T) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let range =
        format!("SELECT {columns} FROM {table} WHERE rowid BETWEEN ?1 AND ?2 ORDER BY rowid");
    let next = format!("SELECT rowid FROM {table} WHERE rowid > ?1 ORDER BY rowid LIMIT 1");
    if old.prepare(&range).is_err() {
        return Ok(());
    }
    // A range is read whole before any of it is taken, so that no row is taken twice.
    let rows = |first: u64, last: u64| -> rusqlite::Result<BTreeMap<u64, T>> {
        old.prepare_cached(&range)?
            .query_map([first, last], |row| Ok((row.get(0)?, read(row)?)))?
            .collect()
    };
    let mut first = 1;
    let mut heard = 0;
    while first - heard <= SILENCE {
        let last = first + CHUNK - 1;
        let found = rows(first, last).unwrap_or_else(|_| {
            (first..=last).filter_map(|one| rows(one, one).ok()).flatten().collect()
        });
        if let Some(newest) = found.keys().next_back() {
            heard = *newest;
        }
        found.into_values().try_for_each(&mut take)?;
        first = match old.query_row(&next, [last], |row| row.get(0)).optional() {
            Ok(None) => return Ok(()),
            Ok(Some(next)) => {
                heard = next;
                next
            }
            // The way there is damaged; what lies behind may not be.
            Err(_) => last + 1,
        };
    }
    Ok(())
}
