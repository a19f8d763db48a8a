//! Entries that lie in files: what is kept of them, and taking them out.

use ledger::{Archive, Compaction, Error, chain, tree::Frontier};
use tokio_postgres::{Row, types::Type};

use crate::{
    entries::{hash, number, unsigned},
    fault::{PATIENCE_S, fault},
    rows::{Fold, Statement},
    session::Session,
    writer::{Written, head, say_all, unwritable},
};

/// So many entries are taken out at once: each part is answered in time.
const TAKEN_OUT: u64 = 20_000;

/// All, oldest first.
pub(crate) const ALL: &str =
    "SELECT first_seq, last_seq, at, root, head, frontier, file_sha256, place
     FROM nhi.archive ORDER BY first_seq";

/// One, from its columns.
pub(crate) fn of(row: &Row) -> Result<Archive, tokio_postgres::Error> {
    let (last, peaks): (u64, &[u8]) = (unsigned(row.try_get(1)?), row.try_get(5)?);
    Ok(Archive {
        first: unsigned(row.try_get(0)?),
        last,
        at: row.try_get(2)?,
        root: hash(row, 3)?,
        head: hash(row, 4)?,
        // One that does not fit was edited: no root agrees with it.
        frontier: Frontier::from_bytes(last, peaks).unwrap_or_default(),
        file: hash(row, 6)?,
        place: row.try_get(7)?,
    })
}

/// Keeps one.
pub(crate) fn keep(one: &Archive) -> Statement {
    Statement::new(
        "INSERT INTO nhi.archive (first_seq, last_seq, at, root, head, frontier, file_sha256, place)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .with(number(one.first), Type::INT8)
    .with(number(one.last), Type::INT8)
    .with(one.at, Type::INT8)
    .with(one.root.0.to_vec(), Type::BYTEA)
    .with(one.head.0.to_vec(), Type::BYTEA)
    .with(one.frontier.to_bytes(), Type::BYTEA)
    .with(one.file.0.to_vec(), Type::BYTEA)
    .with(one.place.clone(), Type::TEXT)
}

/// Takes entries out, in one transaction that the caller rolls back where it fails. It is the only way past
/// the guard that keeps them, which only the role that owns the tables can go.
pub(crate) async fn compact(
    session: &Session,
    shown: &str,
    realm: Option<&str>,
    asked: &Compaction,
) -> Result<(), Error> {
    let failed = |error: tokio_postgres::Error| match fault(shown, "be compacted", &error) {
        Error::ReadOnly { place, .. } => {
            let why = "only the role that owns its tables takes entries out".to_owned();
            Error::ReadOnly { place, why }
        }
        error => error,
    };
    session.begin(true).await.map_err(failed)?;
    let found = session
        .rows("SELECT head_seq, head_hash FROM nhi.ledger WHERE one = 1 FOR UPDATE", &[])
        .await
        .map_err(failed)?;
    let at = match found.first() {
        Some(row) => (unsigned(row.try_get(0).map_err(failed)?), hash(row, 1).map_err(failed)?),
        None => return Err(Error::Usage(format!("there is no ledger in {shown}"))),
    };
    if at != (asked.head.seq, asked.head.hash) {
        return Err(Error::Busy { place: shown.to_owned(), seconds: PATIENCE_S });
    }
    take_out(session, asked).await.map_err(failed)?;
    let (mut seq, mut hash) = at;
    let mut written = Written::default();
    let mut prepared = Vec::with_capacity(asked.entries.len());
    for entry in &asked.entries {
        let entry = entry.clone().prepare(realm)?;
        seq += 1;
        let body = entry.body(seq)?;
        hash = chain::link(&hash, &body);
        for (hash, document) in &entry.documents {
            written.document(hash, document);
        }
        written.entry(seq, hash, body, &entry.entry);
        prepared.push(entry);
    }
    let mut said = vec![keep(&asked.archive)];
    said.extend(written.statements());
    said.push(head(seq, hash));
    let changes = || prepared.iter().flat_map(|prepared| &prepared.entry.changes);
    let mut fold = Fold::of(session, changes()).await.map_err(failed)?;
    changes().for_each(|change| fold.apply(change.clone()));
    said.extend(fold.statements().map_err(unwritable)?);
    say_all(session, &said).await.map_err(failed)?;
    session.commit().await.map_err(failed)
}

async fn take_out(session: &Session, asked: &Compaction) -> Result<(), tokio_postgres::Error> {
    session.batch("ALTER TABLE nhi.entry DISABLE TRIGGER entry_kept").await?;
    let Archive { first, last, .. } = asked.archive;
    let mut up_to = first.saturating_sub(1);
    while up_to < last {
        up_to = (up_to + TAKEN_OUT).min(last);
        let delete = "DELETE FROM nhi.entry WHERE seq <= $1";
        session.execute(delete, &[(&number(up_to), Type::INT8)]).await?;
    }
    session.batch("ALTER TABLE nhi.entry ENABLE TRIGGER entry_kept").await?;
    let left: Vec<&[u8]> = asked.documents.iter().map(|hash| &hash.0[..]).collect();
    let delete = "DELETE FROM nhi.document AS d
                  WHERE NOT EXISTS (SELECT FROM unnest($1::bytea[]) AS l (hash) WHERE l.hash = d.hash)";
    session.execute(delete, &[(&left, Type::BYTEA_ARRAY)]).await?;
    Ok(())
}
