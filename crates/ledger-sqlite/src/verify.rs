//! Checks the chain in pieces on all cores, then the checkpoints, the documents and the file.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use ledger::{
    Archive, Checkpoint, Error, Hash, Range, Verification, entry,
    pieces::{self, Columns, PIECE, Piece, Told, bad_end, in_order, lost_by},
};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::{archives, checkpoints, connection, fault::fault, place, schema};

/// More readers than this only wait for the disk.
const READERS_MAX: usize = 8;

/// Verifies a range of the ledger in `path`.
pub(crate) fn verify(
    path: &Path,
    realm: Option<&str>,
    range: Range,
) -> Result<Verification, Error> {
    let shown = place::shown(path);
    let failed = |error| fault(&shown, "verify it", &error);
    let mut found = Verification::nothing();
    // Damage that bars the way to every entry is what was looked for, and no failure to look.
    let told = |mut found: Verification, error: Error| match error {
        Error::Damaged { ref what, .. } => {
            found.problems.push(format!("no entry can be reached: {what}"));
            found.remedy = Some(error.way_out());
            Ok(found)
        }
        error => Err(error),
    };
    let reader = match connection::reader(path, realm) {
        Ok(Some(reader)) => reader,
        Ok(None) => return Ok(found),
        Err(error) => return told(found, error),
    };
    let Ends { head, end, checkpoints, archive } = match Ends::read(&reader, &mut found.problems) {
        Ok(ends) => ends,
        Err(error) => return told(found, failed(error)),
    };
    found.lost = lost(&reader).unwrap_or_else(|error| {
        found.problems.push(format!("what a salvage said cannot be read: {error}"));
        Vec::new()
    });

    // What was taken out is in a file, and is verified there.
    let first = range.first.max(archive.as_ref().map_or(1, |archive| archive.last + 1));
    // Whatever the head claims, there is nothing to read behind the last entry, nor to trust behind
    // the head.
    let last =
        range.last.unwrap_or(u64::MAX).min(end.seq).min(head.map_or(u64::MAX, |(seq, _)| seq));
    let told = Told { checkpoints: &checkpoints, lost: &found.lost };
    let pieces = read_pieces(path, realm, first, last, told, archive.as_ref());
    let steps = found.take(pieces, &checkpoints, first, archive.as_ref());

    if found.first_bad.is_none() && range.last.is_none_or(|last| last >= end.seq) {
        found.first_bad = bad_end(head, (end.seq, end.hash));
    }
    // These cost nothing, and belong to every look at how the ledger ends.
    if range.last.is_none() {
        match schema::astray(&reader) {
            Ok(astray) => found.problems.extend(astray),
            Err(error) => found.problems.push(format!("its tables cannot be told: {error}")),
        }
        found.take_end(&checkpoints, end.seq);
    }
    if range == Range::ALL {
        check_file(&reader, found.entries, steps, &mut found.problems);
        check_documents(&reader, &mut found.problems);
    }
    Ok(found.advised(shown))
}

fn read_pieces(
    path: &Path,
    realm: Option<&str>,
    first: u64,
    last: u64,
    told: Told<'_>,
    archive: Option<&Archive>,
) -> Vec<Piece> {
    if first > last {
        return Vec::new();
    }
    let from = (first - 1) / PIECE;
    let count = (last - 1) / PIECE - from + 1;
    let next = AtomicU64::new(0);
    let done = Mutex::new(BTreeMap::new());
    let cores = thread::available_parallelism().map_or(1, usize::from).min(READERS_MAX);
    let read = || {
        let mut reader = None;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            let start = ((from + index) * PIECE + 1).max(first);
            let end = ((from + index + 1) * PIECE).min(last);
            let mut piece = Piece::at(index);
            let outcome = match reader.take() {
                Some(opened) => Ok(Some(opened)),
                None => connection::reader(path, realm),
            };
            match outcome {
                Ok(Some(opened)) => {
                    let behind = archive.filter(|archive| archive.last + 1 == start);
                    let read = read_piece(&opened, start, end, told, behind, &mut piece);
                    if let Err(error) = read {
                        piece.fault = Some(fault(&place::shown(path), "read it", &error));
                    }
                    // A forged number must not make us look at a million pieces of nothing.
                    if piece.entries == 0
                        && let Ok(Some(following)) = seq_after(&opened, end)
                    {
                        next.fetch_max((following - 1) / PIECE - from, Ordering::Relaxed);
                    }
                    reader = Some(opened);
                }
                Ok(None) => piece.fault = Some(Error::Closed { place: place::shown(path) }),
                Err(error) => piece.fault = Some(error),
            }
            done.lock().unwrap_or_else(PoisonError::into_inner).insert(index, piece);
        }
    };
    thread::scope(|scope| {
        let others = cores.min(usize::try_from(count).unwrap_or(usize::MAX)) - 1;
        for _ in 0..others {
            scope.spawn(read);
        }
        read();
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn read_piece(
    reader: &Connection,
    first: u64,
    last: u64,
    told: Told<'_>,
    behind: Option<&Archive>,
    piece: &mut Piece,
) -> rusqlite::Result<()> {
    let previous = reader
        .query_row("SELECT hash FROM entry WHERE seq = ?1", [first - 1], |row| row.get(0))
        .optional()?
        .map(Hash);
    let mut reading = match behind {
        Some(archive) => piece.begin_behind(archive, told),
        None => piece.begin(first, previous, told),
    };
    let mut select = reader.prepare_cached(
        "SELECT seq, hash, body, at, kind, subject, rotation FROM entry
         WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq",
    )?;
    let mut rows = select.query([first, last])?;
    while let Some(row) = rows.next()? {
        let (seq, hash) = (row.get(0)?, Hash(row.get(1)?));
        let body = row.get_ref(2)?.as_blob()?;
        reading.row(pieces::Row { seq, hash, body, columns: columns(row)? });
    }
    reading.end(last);
    Ok(())
}

/// The columns beside a body, from the fourth on.
pub(crate) fn columns<'a>(row: &'a Row<'_>) -> rusqlite::Result<Columns<'a>> {
    Ok(Columns {
        at: row.get(3)?,
        kind: row.get_ref(4)?.as_bytes()?,
        subject: row.get_ref(5)?.as_bytes()?,
        rotation: row.get_ref(6)?.as_bytes_or_null()?,
    })
}

/// What salvages say is lost, in order.
fn lost(reader: &Connection) -> rusqlite::Result<Vec<(u64, u64)>> {
    let mut select = reader.prepare(
        "SELECT seq, body FROM entry
         WHERE subject = (SELECT 'ledger/' || id FROM ledger) AND kind = ?1 ORDER BY seq",
    )?;
    let mut rows = select.query([entry::SALVAGED])?;
    let mut lost = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: u64 = row.get(0)?;
        lost.extend(lost_by(seq, row.get_ref(1)?.as_blob()?));
    }
    Ok(in_order(lost))
}

/// The first number there is behind this one.
fn seq_after(reader: &Connection, seq: u64) -> rusqlite::Result<Option<u64>> {
    reader
        .query_row("SELECT seq FROM entry WHERE seq > ?1 ORDER BY seq LIMIT 1", [seq], |row| {
            row.get(0)
        })
        .optional()
}

/// The last entry there is.
struct End {
    seq: u64,
    hash: Hash,
}

/// What the head says, where the entries end and the checkpoints: all of one moment, since other
/// processes may be appending.
struct Ends {
    head: Option<(u64, Hash)>,
    end: End,
    checkpoints: Vec<Checkpoint>,
    archive: Option<Archive>,
}

impl Ends {
    fn read(reader: &Connection, problems: &mut Vec<String>) -> rusqlite::Result<Self> {
        let moment = reader.unchecked_transaction()?;
        let head = moment
            .query_row("SELECT head_seq, head_hash FROM ledger", [], |row| {
                Ok((row.get(0)?, Hash(row.get(1)?)))
            })
            .optional()?;
        let end = moment
            .query_row("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1", [], |row| {
                Ok(End { seq: row.get(0)?, hash: Hash(row.get(1)?) })
            })
            .optional()?;
        let checkpoints = checkpoints::all(&moment).unwrap_or_else(|error| {
            problems.push(format!("the checkpoints cannot be read: {error}"));
            Vec::new()
        });
        let archive = archives::all(&moment)?.pop();
        moment.commit()?;
        let end = end.unwrap_or(End { seq: 0, hash: Hash::ZERO });
        Ok(Ends { head, end, checkpoints, archive })
    }
}

/// Checks the structure of everything but the entries, which are read one by one anyway, and of
/// the indexes through which they are found.
fn check_file(reader: &Connection, entries: u64, steps: u64, problems: &mut Vec<String>) {
    let damage = |what: &str| format!("the file is damaged: {}", what.trim());
    let checked = (|| {
        let tables: rusqlite::Result<Vec<String>> = reader
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'entry'")?
            .query_map([], |row| row.get(0))?
            .collect();
        for table in tables? {
            let mut check = reader.prepare("SELECT quick_check FROM pragma_quick_check(?1)")?;
            let lines: rusqlite::Result<Vec<String>> =
                check.query_map([table], |row| row.get(0))?.collect();
            problems.extend(lines?.iter().filter(|line| *line != "ok").map(|line| damage(line)));
        }
        let count = |statement| reader.query_row(statement, [], |row| row.get::<_, u64>(0));
        let subjects =
            count("SELECT count(*) FROM entry INDEXED BY entry_subject WHERE subject >= ''")?;
        let rotations = count(
            "SELECT count(*) FROM entry INDEXED BY entry_rotation WHERE rotation IS NOT NULL",
        )?;
        Ok::<_, rusqlite::Error>((subjects, rotations))
    })();
    match checked {
        // Another process may have appended since.
        Ok((subjects, rotations)) if subjects >= entries && rotations >= steps => (),
        Ok((subjects, _)) => {
            let index = if subjects < entries { "subject" } else { "rotation" };
            problems.push(damage(&format!("the index by {index} does not hold every entry")));
        }
        Err(error) => problems.push(damage(&error.to_string())),
    }
}

fn check_documents(reader: &Connection, problems: &mut Vec<String>) {
    let checked = reader.prepare("SELECT hash, body FROM document").and_then(|mut select| {
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let hash = Hash(row.get(0)?);
            if Hash::of(row.get_ref(1)?.as_blob()?) != hash {
                problems.push(format!("the document {hash} is not what its hash says"));
            }
        }
        Ok(())
    });
    if let Err(error) = checked {
        problems.push(format!("the documents cannot be read: {error}"));
    }
}
