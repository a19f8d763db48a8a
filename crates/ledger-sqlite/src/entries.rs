//! Reading entries, a page at a time.

use ledger::{Error, Filter, Hash, Page, Subject, entry::Entry};
use rusqlite::{Connection, ToSql, params_from_iter};

/// A row as it is stored; reading the body comes later, so that a bad one can be named.
pub(crate) type Raw = (u64, Hash, Vec<u8>);

/// The rows that a filter takes, one more than a page holds.
pub(crate) fn read(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Raw>> {
    let mut conditions = vec!["seq > ?".to_owned()];
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(bounded(filter.after))];
    let mut with = |condition: &str, of: Vec<Box<dyn ToSql>>| {
        conditions.push(condition.to_owned());
        values.extend(of);
    };
    if let Some(through) = filter.through {
        with("seq <= ?", vec![Box::new(bounded(through))]);
    }
    if let Some(since) = filter.since {
        with("at >= ?", vec![Box::new(since)]);
    }
    if let Some(rotation) = &filter.rotation {
        with("rotation = ?", vec![Box::new(rotation.clone())]);
    }
    match &filter.subject {
        None => (),
        Some(Subject::Is(id)) => with("subject = ?", vec![Box::new(id.clone())]),
        Some(Subject::Under(id)) => with(BELOW_SUBJECT, below(id, "/", "0")),
    }
    if !filter.kinds.is_empty() {
        let condition = vec![BELOW_KIND; filter.kinds.len()].join(" OR ");
        let of = filter.kinds.iter().flat_map(|kind| below(kind, ".", "/")).collect();
        with(&format!("({condition})"), of);
    }
    values.push(Box::new(filter.page() as i64 + 1));
    let statement = format!(
        "SELECT seq, hash, body FROM entry WHERE {} ORDER BY seq {} LIMIT ?",
        conditions.join(" AND "),
        if filter.newest_first { "DESC" } else { "ASC" }
    );
    connection
        .prepare_cached(&statement)?
        .query_map(params_from_iter(values), |row| {
            Ok((row.get(0)?, Hash(row.get(1)?), row.get(2)?))
        })?
        .collect()
}

/// Makes a page of what [`read`] gave.
pub(crate) fn page(place: &str, mut rows: Vec<Raw>, filter: &Filter) -> Result<Page, Error> {
    let more = rows.len() > filter.page();
    rows.truncate(filter.page());
    let entries: Result<Vec<Entry>, Error> = rows
        .into_iter()
        .map(|(seq, hash, body)| {
            Entry::read(seq, hash, body).map_err(|what| Error::Broken {
                place: place.to_owned(),
                seq,
                what,
            })
        })
        .collect();
    let entries = entries?;
    let next = entries.last().filter(|_| more).map(|last| filter.next(last.seq));
    Ok(Page { entries, next })
}

const BELOW_SUBJECT: &str = "(subject = ? OR (subject >= ? AND subject < ?))";
const BELOW_KIND: &str = "(kind = ? OR (kind >= ? AND kind < ?))";

/// The text itself, and the bounds of what begins with it and a separator; `after` is the character
/// that follows the separator.
fn below(text: &str, separator: &str, after: &str) -> Vec<Box<dyn ToSql>> {
    vec![
        Box::new(text.to_owned()),
        Box::new(format!("{text}{separator}")),
        Box::new(format!("{text}{after}")),
    ]
}

fn bounded(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
