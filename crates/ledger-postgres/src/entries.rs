//! Reading entries, a page at a time.

use ledger::{Error, Filter, Hash, Page, Subject, entry::Entry};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

/// A statement with its parameters.
pub(crate) type Asked = (String, Vec<(Box<dyn ToSql + Send + Sync>, Type)>);

/// What asks for the rows that a filter takes, one more than a page holds.
pub(crate) fn asked(filter: &Filter) -> Asked {
    let mut values: Vec<(Box<dyn ToSql + Send + Sync>, Type)> = Vec::new();
    let mut conditions = Vec::new();
    let mut value = |value: Box<dyn ToSql + Send + Sync>, of: Type| {
        values.push((value, of));
        format!("${}", values.len())
    };
    conditions.push(format!("seq > {}", value(Box::new(number(filter.after)), Type::INT8)));
    if let Some(through) = filter.through {
        conditions.push(format!("seq <= {}", value(Box::new(number(through)), Type::INT8)));
    }
    if let Some(since) = filter.since {
        conditions.push(format!("at >= {}", value(Box::new(since), Type::INT8)));
    }
    if let Some(rotation) = &filter.rotation {
        let rotation = value(Box::new(rotation.clone()), Type::TEXT);
        conditions.push(format!("rotation = {rotation}"));
    }
    // What begins with the text and a separator lies between it and the text with what follows that.
    let mut below = |column: &str, text: &str, separator: &str, after: &str| {
        let is = value(Box::new(text.to_owned()), Type::TEXT);
        let from = value(Box::new(format!("{text}{separator}")), Type::TEXT);
        let to = value(Box::new(format!("{text}{after}")), Type::TEXT);
        format!("({column} = {is} OR ({column} >= {from} AND {column} < {to}))")
    };
    if let Some(Subject::Under(id)) = &filter.subject {
        conditions.push(below("subject", id, "/", "0"));
    }
    if !filter.kinds.is_empty() {
        let kinds: Vec<String> =
            filter.kinds.iter().map(|kind| below("kind", kind, ".", "/")).collect();
        conditions.push(format!("({})", kinds.join(" OR ")));
    }
    if let Some(Subject::Is(id)) = &filter.subject {
        values.push((Box::new(id.clone()), Type::TEXT));
        conditions.push(format!("subject = ${}", values.len()));
    }
    let statement = format!(
        "SELECT seq, hash, body FROM nhi.entry WHERE {} ORDER BY seq {} LIMIT {}",
        conditions.join(" AND "),
        if filter.newest_first { "DESC" } else { "ASC" },
        filter.page() + 1,
    );
    (statement, values)
}

/// Makes a page of what came back.
pub(crate) fn page(place: &str, mut rows: Vec<Row>, filter: &Filter) -> Result<Page, Error> {
    let more = rows.len() > filter.page();
    rows.truncate(filter.page());
    let entries: Result<Vec<Entry>, Error> = rows
        .iter()
        .map(|row| {
            let (seq, hash, body) = read(row).map_err(|error| Error::Damaged {
                place: place.to_owned(),
                what: error.to_string(),
            })?;
            Entry::read(seq, hash, body.to_owned()).map_err(|what| Error::Broken {
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

/// Number, hash and body, from the first three columns.
pub(crate) fn read(row: &Row) -> Result<(u64, Hash, &[u8]), tokio_postgres::Error> {
    Ok((unsigned(row.try_get(0)?), hash(row, 1)?, row.try_get(2)?))
}

/// A hash; one of another length than the tables allow is none that any entry has.
pub(crate) fn hash(row: &Row, column: usize) -> Result<Hash, tokio_postgres::Error> {
    Ok(Hash::from_slice(row.try_get(column)?).unwrap_or(Hash::ZERO))
}

/// As the database keeps a number.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that the database keeps.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
