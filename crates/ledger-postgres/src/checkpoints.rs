//! Checkpoints: size, head and root, and the frontier to go on from.

use ledger::{Checkpoint, tree::Frontier};
use tokio_postgres::{Row, types::Type};

use crate::{
    entries::{hash, number, read, unsigned},
    session::Session,
};

/// So many entries are read at once.
const CHUNK: usize = 4096;

/// All, oldest first.
pub(crate) const ALL: &str = "SELECT size, at, root, head FROM nhi.checkpoint ORDER BY size";

/// Makes one of all there is, inside the caller's transaction, unless the newest says it already.
pub(crate) async fn make(
    session: &Session,
    at: i64,
) -> Result<Option<Checkpoint>, tokio_postgres::Error> {
    let newest = session
        .rows(
            "SELECT size, at, root, head, frontier FROM nhi.checkpoint ORDER BY size DESC LIMIT 1",
            &[],
        )
        .await?;
    let newest = newest.first().map(|row| Ok((of(row)?, row.try_get(4)?))).transpose()?;
    let newest: Option<(Checkpoint, Vec<u8>)> = newest;
    // A frontier that does not fit its size was edited; start from nothing rather than build on it.
    let mut frontier = newest
        .as_ref()
        .and_then(|(checkpoint, peaks)| Frontier::from_bytes(checkpoint.size, peaks))
        .unwrap_or_default();
    let mut head = newest.as_ref().map(|(checkpoint, _)| checkpoint.head);
    loop {
        let statement = format!(
            "SELECT seq, hash, body FROM nhi.entry WHERE seq > $1 ORDER BY seq LIMIT {CHUNK}"
        );
        let rows = session.rows(&statement, &[(&number(frontier.size()), Type::INT8)]).await?;
        for row in &rows {
            let (seq, hash, body) = read(row)?;
            if !frontier.fill(seq) {
                return Ok(None);
            }
            frontier.push(body);
            head = Some(hash);
        }
        if rows.len() < CHUNK {
            break;
        }
    }
    let Some(head) = head else { return Ok(None) };
    if let Some((checkpoint, _)) = newest.filter(|(newest, _)| newest.size == frontier.size()) {
        return Ok(Some(checkpoint));
    }
    let made = Checkpoint { size: frontier.size(), at, root: frontier.root(), head };
    keep(session, &made, &frontier).await?;
    Ok(Some(made))
}

/// Keeps one with its frontier.
pub(crate) async fn keep(
    session: &Session,
    made: &Checkpoint,
    frontier: &Frontier,
) -> Result<(), tokio_postgres::Error> {
    session
        .execute(
            "INSERT INTO nhi.checkpoint (size, at, root, head, frontier) VALUES ($1, $2, $3, $4, $5)",
            &[
                (&number(made.size), Type::INT8),
                (&made.at, Type::INT8),
                (&&made.root.0[..], Type::BYTEA),
                (&&made.head.0[..], Type::BYTEA),
                (&frontier.to_bytes(), Type::BYTEA),
            ],
        )
        .await?;
    Ok(())
}

/// One, from its first four columns.
pub(crate) fn of(row: &Row) -> Result<Checkpoint, tokio_postgres::Error> {
    Ok(Checkpoint {
        size: unsigned(row.try_get(0)?),
        at: row.try_get(1)?,
        root: hash(row, 2)?,
        head: hash(row, 3)?,
    })
}
