//! Checkpoints: size, head and root, and the frontier to go on from.

use ledger::{Checkpoint, Hash, tree::Frontier};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// The size of the newest checkpoint; 0 if there is none.
pub(crate) fn newest_size(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT coalesce(max(size), 0) FROM checkpoint")?
        .query_row([], |row| row.get(0))
}

/// Makes one of all there is, inside the caller's transaction, unless the newest says it already.
pub(crate) fn make(connection: &Connection, at: i64) -> rusqlite::Result<Option<Checkpoint>> {
    let newest: Option<(Checkpoint, Vec<u8>)> = connection
        .prepare_cached(
            "SELECT size, at, root, head, frontier FROM checkpoint ORDER BY size DESC LIMIT 1",
        )?
        .query_row([], |row| Ok((read(row)?, row.get(4)?)))
        .optional()?;
    // A frontier that does not fit its size was edited; start from nothing rather than build on it.
    let mut frontier = newest
        .as_ref()
        .and_then(|(checkpoint, peaks)| Frontier::from_bytes(checkpoint.size, peaks))
        .unwrap_or_default();
    let mut select = connection
        .prepare_cached("SELECT body, hash, seq FROM entry WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = select.query([frontier.size()])?;
    let mut head = newest.as_ref().map(|(checkpoint, _)| checkpoint.head);
    while let Some(row) = rows.next()? {
        if !frontier.fill(row.get(2)?) {
            return Ok(None);
        }
        frontier.push(row.get_ref(0)?.as_blob()?);
        head = Some(Hash(row.get(1)?));
    }
    let Some(head) = head else { return Ok(None) };
    if let Some((checkpoint, _)) = newest.filter(|(newest, _)| newest.size == frontier.size()) {
        return Ok(Some(checkpoint));
    }
    let made = Checkpoint { size: frontier.size(), at, root: frontier.root(), head };
    keep(connection, &made, &frontier)?;
    Ok(Some(made))
}

/// Keeps one with its frontier.
pub(crate) fn keep(
    connection: &Connection,
    made: &Checkpoint,
    frontier: &Frontier,
) -> rusqlite::Result<()> {
    let peaks = frontier.to_bytes();
    connection
        .prepare_cached(
            "INSERT INTO checkpoint (size, at, root, head, frontier) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![made.size, made.at, made.root.0, made.head.0, peaks])?;
    Ok(())
}

/// All, oldest first.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<Checkpoint>> {
    connection
        .prepare_cached("SELECT size, at, root, head FROM checkpoint ORDER BY size")?
        .query_map([], read)?
        .collect()
}

/// One, from its first four columns.
pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Checkpoint> {
    Ok(Checkpoint {
        size: row.get(0)?,
        at: row.get(1)?,
        root: Hash(row.get(2)?),
        head: Hash(row.get(3)?),
    })
}
