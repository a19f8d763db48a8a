//! Checks the chain in pieces, several at once, then the checkpoints, the documents and the tables.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::{TryStreamExt, future, pin_mut};
use ledger::{
    Archive, Checkpoint, Error, Hash, Range, Result, Verification, entry,
    pieces::{self, Columns, PIECE, Piece, Told, bad_end, in_order, lost_by},
};
use tokio_postgres::types::{ToSql, Type};

use crate::{
    Place, archives, checkpoints,
    entries::{hash, number, read, unsigned},
    fault::fault,
    schema,
    session::Session,
};

/// So many pieces are read at once at most: each has a connection of its own.
const READERS_MAX: usize = 4;

/// So many documents are read at once.
const DOCUMENTS: i64 = 256;

/// What is read of, and held against, by all readers.
struct Work {
    place: Arc<Place>,
    first: u64,
    last: u64,
    /// The place of the first piece among all there are.
    from: u64,
    next: AtomicU64,
    checkpoints: Vec<Checkpoint>,
    lost: Vec<(u64, u64)>,
    archive: Option<Archive>,
    done: Mutex<BTreeMap<u64, Piece>>,
}

/// Verifies a range.
pub(crate) async fn verify(place: &Arc<Place>, range: Range) -> Result<Verification> {
    let shown = &place.way.shown;
    let failed = |error: tokio_postgres::Error| fault(shown, "verify it", &error);
    let mut found = Verification::nothing();
    let Some(session) = place.reader().await? else { return Ok(found) };
    let looked = look(&session).await;
    let Ends { head, end, checkpoints, lost, archive } = match looked.map_err(failed) {
        Ok(ends) => ends,
        // Damage that bars the way to every entry is what was looked for, and no failure to look.
        Err(error @ Error::Damaged { .. }) => {
            found.problems.push(format!("no entry can be reached: {error}"));
            found.remedy = Some(error.way_out());
            return Ok(found);
        }
        Err(error) => return Err(error),
    };
    found.lost.clone_from(&lost);

    // What was taken out is in a file, and is verified there.
    let first = range.first.max(archive.as_ref().map_or(1, |archive| archive.last + 1));
    // Whatever the head claims, there is nothing to read behind the last entry, nor to trust behind
    // the head.
    let last = range.last.unwrap_or(u64::MAX).min(end.0).min(head.map_or(u64::MAX, |(seq, _)| seq));
    let work = Work {
        place: Arc::clone(place),
        first,
        last,
        from: (first - 1) / PIECE,
        next: AtomicU64::new(0),
        checkpoints,
        lost,
        archive: archive.clone(),
        done: Mutex::default(),
    };
    let (session, pieces, checkpoints) = read_pieces(session, work).await?;
    found.take(pieces, &checkpoints, first, archive.as_ref());

    if found.first_bad.is_none() && range.last.is_none_or(|last| last >= end.0) {
        found.first_bad = bad_end(head, end);
    }
    // These cost nothing, and belong to every look at how the ledger ends.
    if range.last.is_none() {
        match schema::astray(&session).await {
            Ok(astray) => found.problems.extend(astray),
            Err(error) => {
                let error = failed(error);
                if is_no_look(&error) {
                    return Err(error);
                }
                found.problems.push(format!("its tables cannot be told: {error}"));
            }
        }
        found.take_end(&checkpoints, end.0);
    }
    if range == Range::ALL {
        check_documents(&session, &mut found.problems).await.map_err(failed)?;
    }
    place.give_back(session);
    Ok(found.advised(shown.clone()))
}

/// What the head says, where the entries end, the checkpoints, and what salvages say is lost.
struct Ends {
    head: Option<(u64, Hash)>,
    end: (u64, Hash),
    checkpoints: Vec<Checkpoint>,
    lost: Vec<(u64, u64)>,
    archive: Option<Archive>,
}

async fn look(session: &Session) -> std::result::Result<Ends, tokio_postgres::Error> {
    // Before the head: others may be appending, and none of these may be of more entries than it.
    let rows = session.rows(checkpoints::ALL, &[]).await?;
    let checkpoints = rows.iter().map(checkpoints::of).collect::<std::result::Result<_, _>>()?;
    // Of one moment, since it is one statement.
    let ends = session
        .rows(
            "SELECT TRUE, head_seq, head_hash FROM nhi.ledger
             UNION ALL
             (SELECT FALSE, seq, hash FROM nhi.entry ORDER BY seq DESC LIMIT 1)",
            &[],
        )
        .await?;
    let (mut head, mut end) = (None, (0, Hash::ZERO));
    for row in &ends {
        let this = (unsigned(row.try_get(1)?), hash(row, 2)?);
        match row.try_get(0)? {
            true => head = Some(this),
            false => end = this,
        }
    }
    let salvages = session
        .rows(
            "SELECT seq, hash, body FROM nhi.entry
             WHERE subject = (SELECT 'ledger/' || id FROM nhi.ledger) AND kind = $1 ORDER BY seq",
            &[(&entry::SALVAGED, Type::TEXT)],
        )
        .await?;
    let mut lost = Vec::new();
    for row in &salvages {
        let (seq, _, body) = read(row)?;
        lost.extend(lost_by(seq, body));
    }
    let archive = match session.found < 2 {
        true => None,
        false => {
            let rows = session.rows(archives::ALL, &[]).await?;
            rows.last().map(archives::of).transpose()?
        }
    };
    Ok(Ends { head, end, checkpoints, lost: in_order(lost), archive })
}

/// Whether nothing was seen: who could not look knows of no damage.
fn is_no_look(error: &Error) -> bool {
    matches!(error, Error::Unreachable { .. } | Error::Busy { .. })
}

async fn read_pieces(
    session: Session,
    work: Work,
) -> Result<(Session, Vec<Piece>, Vec<Checkpoint>)> {
    if work.first > work.last {
        return Ok((session, Vec::new(), work.checkpoints));
    }
    let count = (work.last - 1) / PIECE - work.from + 1;
    let others = READERS_MAX.min(usize::try_from(count).unwrap_or(READERS_MAX)) - 1;
    let work = Arc::new(work);
    let others = (0..others).map(|_| {
        let work = Arc::clone(&work);
        // On the caller's runtime: hashing is what takes the time.
        tokio::spawn(async move {
            // One reader less is no damage: the others read what it would have.
            if let Ok(Some(session)) = work.place.reader().await {
                read_some(&session, &work, count).await;
                work.place.give_back(session);
            }
        })
    });
    let others: Vec<_> = others.collect();
    read_some(&session, &work, count).await;
    for ended in future::join_all(others).await {
        // The piece that it was at is missing.
        ended.map_err(|error| Error::Failed {
            place: work.place.way.shown.clone(),
            step: "verify it",
            why: format!("a reader was cut off: {error}"),
        })?;
    }
    let done = std::mem::take(&mut *work.done.lock().unwrap_or_else(PoisonError::into_inner));
    let mut pieces = Vec::with_capacity(done.len());
    for mut piece in done.into_values() {
        match piece.fault.take() {
            Some(error) if is_no_look(&error) => return Err(error),
            fault => piece.fault = fault,
        }
        pieces.push(piece);
    }
    Ok((session, pieces, work.checkpoints.clone()))
}

async fn read_some(session: &Session, work: &Work, count: u64) {
    loop {
        let index = work.next.fetch_add(1, Ordering::Relaxed);
        if index >= count {
            return;
        }
        let start = ((work.from + index) * PIECE + 1).max(work.first);
        let end = ((work.from + index + 1) * PIECE).min(work.last);
        let mut piece = Piece::at(index);
        if let Err(error) = read_piece(session, start, end, work, &mut piece).await {
            piece.fault = Some(fault(&work.place.way.shown, "read it", &error));
        }
        // A forged number must not make us look at a million pieces of nothing.
        if piece.entries == 0
            && let Ok(Some(following)) = seq_after(session, end).await
        {
            work.next.fetch_max((following - 1) / PIECE - work.from, Ordering::Relaxed);
        }
        work.done.lock().unwrap_or_else(PoisonError::into_inner).insert(index, piece);
    }
}

async fn read_piece(
    session: &Session,
    first: u64,
    last: u64,
    work: &Work,
    piece: &mut Piece,
) -> std::result::Result<(), tokio_postgres::Error> {
    let before = session
        .rows("SELECT seq, hash FROM nhi.entry WHERE seq = $1", &[(&number(first - 1), Type::INT8)])
        .await?;
    let previous = before.first().map(|row| hash(row, 1)).transpose()?;
    let told = Told { checkpoints: &work.checkpoints, lost: &work.lost };
    let behind = work.archive.as_ref().filter(|archive| archive.last + 1 == first);
    let mut reading = match behind {
        Some(archive) => piece.begin_behind(archive, told),
        None => piece.begin(first, previous, told),
    };
    let (from, to) = (number(first), number(last));
    let params: [(&(dyn ToSql + Sync), Type); 2] = [(&from, Type::INT8), (&to, Type::INT8)];
    let rows = session.client.query_typed_raw(
        "SELECT seq, hash, body, at, kind, subject, rotation FROM nhi.entry
         WHERE seq BETWEEN $1 AND $2 ORDER BY seq",
        params,
    );
    let rows = session.within(rows).await?;
    pin_mut!(rows);
    while let Some(row) = session.within(rows.try_next()).await? {
        let (seq, hash, body) = read(&row)?;
        let text = |column| row.try_get::<_, &str>(column).map(str::as_bytes);
        let rotation: Option<&str> = row.try_get(6)?;
        let columns = Columns {
            at: row.try_get(3)?,
            kind: text(4)?,
            subject: text(5)?,
            rotation: rotation.map(str::as_bytes),
        };
        reading.row(pieces::Row { seq, hash, body, columns });
    }
    reading.end(last);
    Ok(())
}

/// The first number there is behind this one.
async fn seq_after(
    session: &Session,
    seq: u64,
) -> std::result::Result<Option<u64>, tokio_postgres::Error> {
    let found = session
        .rows(
            "SELECT seq FROM nhi.entry WHERE seq > $1 ORDER BY seq LIMIT 1",
            &[(&number(seq), Type::INT8)],
        )
        .await?;
    found.first().map(|row| row.try_get(0).map(unsigned)).transpose()
}

async fn check_documents(
    session: &Session,
    problems: &mut Vec<String>,
) -> std::result::Result<(), tokio_postgres::Error> {
    let mut after: Vec<u8> = Vec::new();
    loop {
        let rows = session
            .rows(
                "SELECT hash, body FROM nhi.document WHERE hash > $1 ORDER BY hash LIMIT $2",
                &[(&after, Type::BYTEA), (&DOCUMENTS, Type::INT8)],
            )
            .await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.try_get(0)?;
        for row in &rows {
            let hash = hash(row, 0)?;
            if Hash::of(row.try_get(1)?) != hash {
                problems.push(format!("the document {hash} is not what its hash says"));
            }
        }
    }
}
