//! Entries that lie in files: what is kept of them, and taking them out.

use std::collections::BTreeSet;

use ledger::{Archive, Compaction, Error, Hash, tree::Frontier};
use rusqlite::{Connection, Row, params};

use crate::{
    connection,
    fault::{PATIENCE_S, fault},
    writer::Chain,
};

/// Of one, for [`read`].
pub(crate) const COLUMNS: &str =
    "first_seq, last_seq, at, root, head, frontier, file_sha256, place";

/// One, from its columns.
pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Archive> {
    let (last, peaks): (u64, Vec<u8>) = (row.get(1)?, row.get(5)?);
    Ok(Archive {
        first: row.get(0)?,
        last,
        at: row.get(2)?,
        root: Hash(row.get(3)?),
        head: Hash(row.get(4)?),
        // One that does not fit was edited: no root agrees with it.
        frontier: Frontier::from_bytes(last, &peaks).unwrap_or_default(),
        file: Hash(row.get(6)?),
        place: row.get(7)?,
    })
}

/// All, oldest first.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<Archive>> {
    if !connection::has_fleet(connection)? {
        return Ok(Vec::new());
    }
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM archive ORDER BY first_seq"))?
        .query_map([], read)?
        .collect()
}

/// Keeps one.
pub(crate) fn keep(connection: &Connection, one: &Archive) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO archive (first_seq, last_seq, at, root, head, frontier, file_sha256, place)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            one.first,
            one.last,
            one.at,
            one.root.0,
            one.head.0,
            one.frontier.to_bytes(),
            one.file.0,
            one.place,
        ])?;
    Ok(())
}

/// Takes entries out, inside the caller's transaction. It is the only way past the guard that keeps them,
/// which is put back as it was.
pub(crate) fn compact(
    connection: &Connection,
    place: &str,
    realm: &str,
    asked: &Compaction,
) -> Result<(), Error> {
    let failed = |error| fault(place, "be compacted", &error);
    let Some(about) = asked.entries.first() else { return Ok(()) };
    let mut chain = Chain::continued(connection, place, realm, about)?;
    if (chain.seq, chain.hash) != (asked.head.seq, asked.head.hash) {
        return Err(Error::Busy { place: place.to_owned(), seconds: PATIENCE_S });
    }
    take_out(connection, asked.archive.last, &asked.documents).map_err(failed)?;
    keep(connection, &asked.archive).map_err(failed)?;
    for entry in &asked.entries {
        chain.extend(connection, place, &entry.clone().prepare(Some(realm))?)?;
    }
    chain.note(connection).map_err(failed)
}

fn take_out(connection: &Connection, last: u64, left: &BTreeSet<Hash>) -> rusqlite::Result<()> {
    const GUARD: &str =
        "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = 'entry_kept'";
    let guard: String = connection.query_row(GUARD, [], |row| row.get(0))?;
    connection.execute_batch("DROP TRIGGER entry_kept")?;
    connection.execute("DELETE FROM entry WHERE seq <= ?1", [last])?;
    connection.execute_batch(&guard)?;
    let all: rusqlite::Result<Vec<[u8; 32]>> =
        connection.prepare("SELECT hash FROM document")?.query_map([], |row| row.get(0))?.collect();
    let mut delete = connection.prepare("DELETE FROM document WHERE hash = ?1")?;
    for hash in all?.into_iter().filter(|hash| !left.contains(&Hash(*hash))) {
        delete.execute([hash])?;
    }
    Ok(())
}
