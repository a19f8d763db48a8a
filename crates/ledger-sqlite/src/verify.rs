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
    BadEntry, Checkpoint, Error, Hash, Range, Verification, canonical, chain, entry,
    tree::{Frontier, leaf},
};
use rusqlite::{Connection, OptionalExtension, Row, types::ValueRef};
use serde_json::Value;

use crate::{checkpoints, connection, fault::fault, place, schema};

/// A piece is a complete subtree, so that roots of pieces make the root of all.
const PIECE_HEIGHT: u32 = 13;
const PIECE: u64 = 1 << PIECE_HEIGHT;

/// More readers than this only wait for the disk.
const READERS_MAX: usize = 8;

/// What reading one piece gave.
#[derive(Default)]
struct Piece {
    /// Its place among all pieces.
    index: u64,
    entries: u64,
    /// How many of them are steps of a rotation.
    steps: u64,
    bad: Option<BadEntry>,
    frontier: Frontier,
    /// At each checkpoint in the piece: the frontier of the piece so far and the entry's hash.
    at_checkpoint: BTreeMap<u64, (Frontier, Hash)>,
    fault: Option<Error>,
}

/// Verifies a range of the ledger in `path`.
pub(crate) fn verify(
    path: &Path,
    realm: Option<&str>,
    range: Range,
) -> Result<Verification, Error> {
    let shown = place::shown(path);
    let failed = |error| fault(&shown, "verify it", &error);
    let mut found = Verification {
        entries: 0,
        lost: Vec::new(),
        first_bad: None,
        last_good_checkpoint: None,
        problems: Vec::new(),
        remedy: None,
    };
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
    let Ends { head, end, checkpoints } = match Ends::read(&reader, &mut found.problems) {
        Ok(ends) => ends,
        Err(error) => return told(found, failed(error)),
    };
    found.lost = lost(&reader).unwrap_or_else(|error| {
        found.problems.push(format!("what a salvage said cannot be read: {error}"));
        Vec::new()
    });

    let first = range.first.max(1);
    // Whatever the head claims, there is nothing to read behind the last entry, nor to trust behind
    // the head.
    let last =
        range.last.unwrap_or(u64::MAX).min(end.seq).min(head.map_or(u64::MAX, |(seq, _)| seq));
    let told = Told { checkpoints: &checkpoints, lost: &found.lost };
    let pieces = read_pieces(path, realm, first, last, told);
    let mut whole = Frontier::new();
    let mut steps = 0;
    let mut rooted = first == 1;
    for (place, piece) in pieces.into_iter().enumerate() {
        // Behind pieces that were passed over, no root can be told.
        rooted &= piece.index == place as u64;
        if let Some(error) = piece.fault {
            // Damage below the level of rows: it is found, and it is where this piece stopped.
            found.problems.push(error.to_string());
        }
        found.entries += piece.entries;
        steps += piece.steps;
        if found.first_bad.is_none() {
            found.first_bad = piece.bad;
        }
        for checkpoint in &checkpoints {
            let Some((part, hash)) = piece.at_checkpoint.get(&checkpoint.size) else { continue };
            let agrees = checkpoint.head == *hash
                && (!rooted || joined(&whole, part).root() == checkpoint.root);
            if !agrees {
                found
                    .problems
                    .push(format!("the checkpoint of size {} does not agree", checkpoint.size));
            } else if found.first_bad.as_ref().is_none_or(|bad| bad.seq > checkpoint.size) {
                found.last_good_checkpoint = Some(checkpoint.clone());
            }
        }
        whole = joined(&whole, &piece.frontier);
    }

    if found.first_bad.is_none() && range.last.is_none_or(|last| last >= end.seq) {
        found.first_bad = bad_end(head, &end);
    }
    // These cost nothing, and belong to every look at how the ledger ends.
    if range.last.is_none() {
        match schema::astray(&reader) {
            Ok(astray) => found.problems.extend(astray),
            Err(error) => found.problems.push(format!("its tables cannot be told: {error}")),
        }
        if let Some(beyond) = checkpoints.iter().find(|checkpoint| checkpoint.size > end.seq) {
            let (size, what) = (beyond.size, "entries were taken away");
            found.problems.push(format!("there is a checkpoint of size {size}, but {what}"));
        }
    }
    if range == Range::ALL {
        check_file(&reader, found.entries, steps, &mut found.problems);
        check_documents(&reader, &mut found.problems);
    }
    found.remedy = match (&found.first_bad, found.problems.first()) {
        (Some(BadEntry { seq, what }), _) => {
            Some(Error::Broken { place: shown, seq: *seq, what: what.clone() }.way_out())
        }
        (None, Some(what)) => Some(Error::Damaged { place: shown, what: what.clone() }.way_out()),
        (None, None) => None,
    };
    Ok(found)
}

/// The frontier of a whole number of pieces, then of a part of the next.
fn joined(whole: &Frontier, part: &Frontier) -> Frontier {
    let mut joined = whole.clone();
    let mut rest = part.size();
    for peak in part.peaks() {
        let height = 63 - rest.leading_zeros();
        // Fails only behind a hole, which is reported as such.
        let _ = joined.push_subtree(*peak, height);
        rest -= 1 << height;
    }
    joined
}

fn read_pieces(
    path: &Path,
    realm: Option<&str>,
    first: u64,
    last: u64,
    told: Told<'_>,
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
            let mut piece = Piece { index, ..Piece::default() };
            let outcome = match reader.take() {
                Some(opened) => Ok(Some(opened)),
                None => connection::reader(path, realm),
            };
            match outcome {
                Ok(Some(opened)) => {
                    if let Err(error) = read_piece(&opened, start, end, told, &mut piece) {
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
    piece: &mut Piece,
) -> rusqlite::Result<()> {
    let Told { checkpoints, lost } = told;
    let mut bad = |seq, what: String| {
        piece.bad.get_or_insert(BadEntry { seq, what });
    };
    let mut previous = match first {
        1 => Some(Hash::ZERO),
        // If the entry before is missing, the piece before says so.
        _ => reader
            .query_row("SELECT hash FROM entry WHERE seq = ?1", [first - 1], |row| row.get(0))
            .optional()?
            .map(Hash),
    };
    let mut checkpoints = checkpoints.iter().filter(|one| one.size >= first).peekable();
    let mut expected = first;
    let mut select = reader.prepare_cached(
        "SELECT seq, hash, body, at, kind, subject, rotation FROM entry
         WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq",
    )?;
    let mut rows = select.query([first, last])?;
    while let Some(row) = rows.next()? {
        let seq: u64 = row.get(0)?;
        if seq != expected {
            if let Some(missing) = untold(lost, expected, seq - 1) {
                bad(missing, "it is missing".to_owned());
            }
            (expected..seq).for_each(|_| piece.frontier.push_leaf(Hash::ZERO));
            previous = None;
        }
        expected = seq + 1;
        let hash = Hash(row.get(1)?);
        let body = row.get_ref(2)?.as_blob()?;
        match previous {
            Some(previous) if chain::link(&previous, body) != hash => {
                bad(seq, "its hash does not cover its body and the hash before it".to_owned());
            }
            _ => {
                if let Some(what) = column_astray(row, seq, body)? {
                    bad(seq, what);
                }
            }
        }
        piece.entries += 1;
        piece.steps += u64::from(row.get_ref(6)? != ValueRef::Null);
        piece.frontier.push_leaf(leaf(body));
        previous = Some(hash);
        while checkpoints.next_if(|checkpoint| checkpoint.size < seq).is_some() {}
        if checkpoints.next_if(|checkpoint| checkpoint.size == seq).is_some() {
            piece.at_checkpoint.insert(seq, (piece.frontier.clone(), hash));
        }
    }
    if expected <= last {
        if let Some(missing) = untold(lost, expected, last) {
            bad(missing, "it is missing".to_owned());
        }
        (expected..=last).for_each(|_| piece.frontier.push_leaf(Hash::ZERO));
    }
    Ok(())
}

/// What pieces are held against.
#[derive(Clone, Copy)]
struct Told<'a> {
    checkpoints: &'a [Checkpoint],
    lost: &'a [(u64, u64)],
}

/// The first number from `first` to `last` that no salvage spoke of; `lost` is in order.
fn untold(lost: &[(u64, u64)], first: u64, last: u64) -> Option<u64> {
    let mut next = first;
    for (from, to) in lost {
        if (*from..=*to).contains(&next) {
            next = to + 1;
        }
    }
    (next <= last).then_some(next)
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
        let body: Value = serde_json::from_slice(row.get_ref(1)?.as_blob()?).unwrap_or_default();
        let runs: Vec<(u64, u64)> =
            serde_json::from_value(body["detail"]["lost"].clone()).unwrap_or_default();
        lost.extend(runs.into_iter().filter(|(from, to)| from <= to && *to < seq));
    }
    // A second salvage says again what the first one said.
    lost.sort_unstable();
    lost.dedup_by(|later, one| {
        let follows = later.0 <= one.1 + 1;
        if follows {
            one.1 = one.1.max(later.1);
        }
        follows
    });
    Ok(lost)
}

/// The first number there is behind this one.
fn seq_after(reader: &Connection, seq: u64) -> rusqlite::Result<Option<u64>> {
    reader
        .query_row("SELECT seq FROM entry WHERE seq > ?1 ORDER BY seq LIMIT 1", [seq], |row| {
            row.get(0)
        })
        .optional()
}

/// The first column that says something else than the body, if any.
pub(crate) fn column_astray(
    row: &Row<'_>,
    seq: u64,
    body: &[u8],
) -> rusqlite::Result<Option<String>> {
    let mut seen = [false; 4];
    let mut rotation = None;
    for (name, value) in canonical::members(body) {
        let column = match name {
            b"at" => {
                seen[0] = same_number(value, row.get(3)?);
                continue;
            }
            b"seq" => {
                seen[1] = same_number(value, i64::try_from(seq).unwrap_or(-1));
                continue;
            }
            b"kind" => 2,
            b"subject" => 3,
            b"rotation" => {
                rotation = Some(value);
                continue;
            }
            _ => continue,
        };
        seen[column] = same_text(value, row.get_ref(column + 2)?.as_bytes()?);
    }
    let name = ["at", "seq", "kind", "subject"];
    if let Some(astray) = seen.iter().position(|same| !same) {
        return Ok(Some(format!("its body and its column {} differ", name[astray])));
    }
    let same = match (rotation, row.get_ref(6)?.as_bytes_or_null()?) {
        (None, None) => true,
        (Some(value), Some(column)) => same_text(value, column),
        (Some(_), None) | (None, Some(_)) => false,
    };
    Ok((!same).then(|| "its body and its column rotation differ".to_owned()))
}

fn same_number(raw: &[u8], number: i64) -> bool {
    std::str::from_utf8(raw).ok().and_then(|raw| raw.parse().ok()) == Some(number)
}

fn same_text(raw: &[u8], text: &[u8]) -> bool {
    match raw {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => inner == text,
        _ => serde_json::from_slice::<String>(raw).is_ok_and(|decoded| decoded.as_bytes() == text),
    }
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
        moment.commit()?;
        let end = end.unwrap_or(End { seq: 0, hash: Hash::ZERO });
        Ok(Ends { head, end, checkpoints })
    }
}

/// What is wrong where the entries end, given that each follows from the one before.
fn bad_end(head: Option<(u64, Hash)>, end: &End) -> Option<BadEntry> {
    let bad = |seq, what: &str| Some(BadEntry { seq, what: what.to_owned() });
    match head {
        None if end.seq == 0 => None,
        None => bad(1, "there are entries but no head"),
        Some((seq, _)) if end.seq > seq => bad(seq + 1, "it lies beyond the head"),
        Some((seq, _)) if end.seq < seq => {
            bad(end.seq + 1, "it is missing: the head says that there are more entries")
        }
        Some((_, hash)) if end.hash != hash => bad(end.seq, "its hash is not the head's"),
        Some(_) => None,
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
