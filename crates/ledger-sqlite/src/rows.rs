//! The inventory's rows: what a change does to them, and reading them.

use ledger::{
    Change, Credential, Document, Hash, Integration, Obligation, Observed, Person, Rebuilt, Scan,
    Selection, Slot, Tenant, canonical,
    entry::Entry,
    inventory::{self, Origin, with_facet},
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params, params_from_iter, types::Type};
use serde_json::Value;

use crate::connection;

type Rows<T> = rusqlite::Result<Vec<T>>;

/// Does what a change says, inside the caller's transaction.
pub(crate) fn apply(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Tenant(tenant) => {
            connection
                .prepare_cached(
                    "INSERT INTO tenant (key, connection, pinned_at) VALUES (?1, ?2, ?3)
                     ON CONFLICT (key) DO UPDATE SET connection = ?2, pinned_at = ?3",
                )?
                .execute(params![tenant.key, tenant.connection, tenant.pinned_at])?;
        }
        Change::Integration { integration, tenant, origin } => {
            let id = journalled(connection, integration)?;
            connection
                .prepare_cached("UPDATE integration SET tenant = ?2, origin = ?3 WHERE id = ?1")?
                .execute(params![id, tenant, origin.word()])?;
        }
        Change::Declared { integration, facet, document } => {
            let id = journalled(connection, integration)?;
            let before = facets(connection, id, "declared")?;
            let (bytes, digest) = stored(with_facet(before, facet.clone(), document.clone()))?;
            connection
                .prepare_cached(
                    "UPDATE integration SET declared = ?2, d16 = ?3,
                            origin = CASE WHEN ?4 AND origin = 'discovered'
                                          THEN 'declared' ELSE origin END
                     WHERE id = ?1",
                )?
                .execute(params![id, bytes, digest, document.is_some()])?;
        }
        Change::Applied { integration, facet, document } => {
            let id = journalled(connection, integration)?;
            let before = facets(connection, id, "applied")?;
            let (bytes, digest) = stored(with_facet(before, facet.clone(), document.clone()))?;
            connection
                .prepare_cached("UPDATE integration SET applied = ?2, a16 = ?3 WHERE id = ?1")?
                .execute(params![id, bytes, digest])?;
        }
        Change::Ended { integration } => {
            let id = journalled(connection, integration)?;
            connection
                .prepare_cached(
                    "UPDATE integration SET declared = NULL, d16 = NULL, applied = NULL, a16 = NULL
                     WHERE id = ?1",
                )?
                .execute([id])?;
            connection.prepare_cached("DELETE FROM slot WHERE integration = ?1")?.execute([id])?;
        }
        Change::Slot(slot) => put_slot(connection, slot)?,
        Change::SlotEnded { integration, name } => {
            connection
                .prepare_cached(
                    "DELETE FROM slot WHERE name = ?2
                     AND integration = (SELECT id FROM integration WHERE key = ?1)",
                )?
                .execute([integration, name])?;
        }
        Change::Credential(credential) => put_credential(connection, credential)?,
        Change::Obligation(obligation) => put_obligation(connection, obligation)?,
        // A change that this program does not know is none of its rows' business.
        _ => (),
    }
    Ok(())
}

fn put_slot(connection: &Connection, slot: &Slot) -> rusqlite::Result<()> {
    let id = journalled(connection, &slot.integration)?;
    connection
        .prepare_cached(
            "INSERT INTO slot (integration, name, generation, epoch, current, promoted_at,
                               schedule, sinks, status, next_due_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (integration, name) DO UPDATE
             SET generation = ?3, epoch = ?4, current = ?5, promoted_at = ?6, schedule = ?7,
                 sinks = ?8, status = ?9, next_due_at = ?10",
        )?
        .execute(params![
            id,
            slot.name,
            slot.generation,
            slot.epoch,
            slot.current,
            slot.promoted_at,
            written(slot.schedule.as_ref())?,
            written(slot.sinks.as_ref())?,
            slot.status,
            slot.next_due_at,
        ])?;
    Ok(())
}

fn put_credential(connection: &Connection, credential: &Credential) -> rusqlite::Result<()> {
    let id = journalled(connection, &credential.integration)?;
    connection
        .prepare_cached(
            "INSERT INTO credential (integration, slot, vendor_id, kind, marker, fingerprint,
                                     created_at, expires_at, state, journalled)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1)
             ON CONFLICT (integration, vendor_id) DO UPDATE
             SET slot = ?2, kind = ?4, marker = ?5, fingerprint = ?6, created_at = ?7,
                 expires_at = ?8, state = ?9, journalled = 1",
        )?
        .execute(params![
            id,
            credential.slot,
            credential.vendor_id,
            credential.kind,
            credential.marker,
            credential.fingerprint,
            credential.created_at,
            credential.expires_at,
            credential.state,
        ])?;
    Ok(())
}

fn put_obligation(connection: &Connection, obligation: &Obligation) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO obligation (id, subject, deed, not_before, due_by, on_overdue, state,
                                     attempts, next_try_at, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (id) DO UPDATE
             SET subject = ?2, deed = ?3, not_before = ?4, due_by = ?5, on_overdue = ?6,
                 state = ?7, attempts = ?8, next_try_at = ?9, detail = ?10",
        )?
        .execute(params![
            obligation.id,
            obligation.subject,
            obligation.deed,
            obligation.not_before,
            obligation.due_by,
            obligation.on_overdue,
            obligation.state,
            obligation.attempts,
            obligation.next_try_at,
            written(obligation.detail.as_ref())?,
        ])?;
    Ok(())
}

/// Takes in what a scan saw, inside the caller's transaction. Documents are canonical already.
pub(crate) fn observe(connection: &Connection, seen: &Observed) -> rusqlite::Result<()> {
    let id = row_of(connection, &seen.integration)?;
    if !seen.tenant.is_empty() {
        connection
            .prepare_cached("UPDATE integration SET tenant = ?2 WHERE id = ?1")?
            .execute(params![id, seen.tenant])?;
    }
    match &seen.document {
        Some(value) => {
            let document = Document::new(value.clone()).map_err(unwritable)?;
            let (bytes, digest) = stored(Some(document))?;
            connection
                .prepare_cached(
                    "UPDATE integration SET observed = ?2, o16 = ?3, last_seen_at = ?4,
                            first_seen_at = coalesce(first_seen_at, ?4), absent_since = NULL
                     WHERE id = ?1",
                )?
                .execute(params![id, bytes, digest, seen.at])?;
        }
        None => {
            connection
                .prepare_cached(
                    "UPDATE integration SET absent_since = coalesce(absent_since, ?2) WHERE id = ?1",
                )?
                .execute(params![id, seen.at])?;
        }
    }
    for credential in &seen.credentials {
        connection
            .prepare_cached(
                "INSERT INTO credential (integration, slot, vendor_id, kind, marker, fingerprint,
                                         created_at, expires_at, state, last_used_at,
                                         last_seen_at, absent_since)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                 ON CONFLICT (integration, vendor_id) DO UPDATE
                 SET last_used_at = coalesce(?10, last_used_at), last_seen_at = ?11,
                     absent_since = ?12",
            )?
            .execute(params![
                id,
                credential.slot,
                credential.vendor_id,
                credential.kind,
                credential.marker,
                credential.fingerprint,
                credential.created_at,
                credential.expires_at,
                credential.state,
                credential.last_used_at,
                seen.at,
                credential.absent_since,
            ])?;
    }
    Ok(())
}

/// Folds all entries into the rows anew, inside the caller's transaction. A change whose document is
/// missing is refused: nothing that is still in the rows is given up for it.
pub(crate) fn rebuild(connection: &Connection) -> rusqlite::Result<Result<Rebuilt, (u64, String)>> {
    fold(connection, |seq, hash| Err((seq, format!("its document {hash} is missing"))))
}

/// The same, but a change whose document is missing is passed over.
pub(crate) fn refold(connection: &Connection) -> rusqlite::Result<Result<Rebuilt, (u64, String)>> {
    fold(connection, |_, _| Ok(()))
}

fn fold(
    connection: &Connection,
    missing: impl Fn(u64, &Hash) -> Result<(), (u64, String)>,
) -> rusqlite::Result<Result<Rebuilt, (u64, String)>> {
    connection.execute_batch(
        "DELETE FROM slot; DELETE FROM obligation; DELETE FROM tenant;
         UPDATE credential SET journalled = 0;
         UPDATE integration SET journalled = 0, declared = NULL, d16 = NULL, applied = NULL,
                                a16 = NULL, origin = 'discovered';",
    )?;
    let mut rebuilt = Rebuilt { entries: 0, changes: 0 };
    let mut select = connection.prepare("SELECT seq, hash, body FROM entry ORDER BY seq")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        let entry = match Entry::read(seq, Hash(row.get(1)?), row.get(2)?) {
            Ok(entry) => entry,
            Err(what) => return Ok(Err((seq, what))),
        };
        rebuilt.entries += 1;
        for change in &entry.changes {
            let mut change = change.clone();
            restore(connection, &mut change)?;
            if let Some(hash) = change.names().first() {
                if let Err(refused) = missing(seq, hash) {
                    return Ok(Err(refused));
                }
                continue;
            }
            apply(connection, &change)?;
            rebuilt.changes += 1;
        }
    }
    // What neither an entry nor a scan knows is nobody's row.
    connection.execute_batch(
        "DELETE FROM credential WHERE journalled = 0 AND last_seen_at IS NULL;
         DELETE FROM integration
         WHERE journalled = 0 AND observed IS NULL AND absent_since IS NULL
           AND id NOT IN (SELECT integration FROM credential);",
    )?;
    Ok(Ok(rebuilt))
}

/// Puts the documents of a change back in that are kept beside its entry.
pub(crate) fn restore(connection: &Connection, change: &mut Change) -> rusqlite::Result<()> {
    let mut found = std::collections::HashMap::new();
    for hash in change.names() {
        if let Some(value) = document_of(connection, &hash)? {
            found.insert(hash, value);
        }
    }
    change.restore(|hash| found.get(hash).cloned());
    Ok(())
}

/// A document that is kept beside the entries; `None` if it is missing or not what its hash says.
pub(crate) fn document_of(connection: &Connection, hash: &Hash) -> rusqlite::Result<Option<Value>> {
    let body: Option<Vec<u8>> = connection
        .prepare_cached("SELECT body FROM document WHERE hash = ?1")?
        .query_row([hash.0], |row| row.get(0))
        .optional()?;
    let body = body.filter(|body| Hash::of(body) == *hash);
    Ok(body.and_then(|body| canonical::decode(&body).ok()))
}

pub(crate) fn tenants(connection: &Connection) -> Rows<Tenant> {
    connection
        .prepare_cached("SELECT key, connection, pinned_at FROM tenant ORDER BY key")?
        .query_map([], |row| {
            Ok(Tenant { key: row.get(0)?, connection: row.get(1)?, pinned_at: row.get(2)? })
        })?
        .collect()
}

/// The conditions of a selection, over `integration`, and what stands for the question marks.
fn selected(selection: &Selection) -> (String, Vec<Box<dyn ToSql>>) {
    let mut conditions = vec!["1"];
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    for (condition, value) in [
        ("integration.connection = ?", &selection.connection),
        ("integration.tenant = ?", &selection.tenant),
        ("integration.key = ?", &selection.integration),
    ] {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(Box::new(value.clone()));
        }
    }
    if selection.declared {
        conditions.push("integration.declared IS NOT NULL");
    }
    (conditions.join(" AND "), values)
}

pub(crate) fn integrations(connection: &Connection, selection: &Selection) -> Rows<Integration> {
    let (conditions, values) = selected(selection);
    let statement = format!(
        "SELECT key, tenant, origin, declared, d16, applied, a16, observed, o16,
                first_seen_at, last_seen_at, absent_since
         FROM integration WHERE {conditions} ORDER BY key"
    );
    connection
        .prepare_cached(&statement)?
        .query_map(params_from_iter(values), |row| {
            let origin: String = row.get(2)?;
            Ok(Integration {
                id: row.get(0)?,
                tenant: row.get(1)?,
                origin: Origin::from_word(&origin).unwrap_or_default(),
                declared: document(row, 3)?,
                applied: document(row, 5)?,
                observed: document(row, 7)?,
                first_seen_at: row.get(9)?,
                last_seen_at: row.get(10)?,
                absent_since: row.get(11)?,
            })
        })?
        .collect()
}

const SLOT: &str = "SELECT integration.key, slot.name, slot.generation, slot.epoch, slot.current,
        slot.promoted_at, slot.schedule, slot.sinks, slot.status, slot.next_due_at
 FROM slot JOIN integration ON integration.id = slot.integration";

fn slot(row: &Row<'_>) -> rusqlite::Result<Slot> {
    Ok(Slot {
        integration: row.get(0)?,
        name: row.get(1)?,
        generation: row.get(2)?,
        epoch: row.get(3)?,
        current: row.get(4)?,
        promoted_at: row.get(5)?,
        schedule: value(row, 6)?,
        sinks: value(row, 7)?,
        status: row.get(8)?,
        next_due_at: row.get(9)?,
    })
}

pub(crate) fn slots(connection: &Connection, selection: &Selection) -> Rows<Slot> {
    let (conditions, values) = selected(selection);
    connection
        .prepare_cached(&format!("{SLOT} WHERE {conditions} ORDER BY integration.key, slot.name"))?
        .query_map(params_from_iter(values), slot)?
        .collect()
}

pub(crate) fn due(connection: &Connection, at: i64) -> Rows<Slot> {
    connection
        .prepare_cached(&format!(
            "{SLOT} WHERE slot.next_due_at <= ?1
             ORDER BY slot.next_due_at, integration.key, slot.name"
        ))?
        .query_map([at], slot)?
        .collect()
}

pub(crate) fn credentials(connection: &Connection, selection: &Selection) -> Rows<Credential> {
    let (conditions, values) = selected(selection);
    connection
        .prepare_cached(&format!(
            "SELECT integration.key, credential.slot, vendor_id, kind, marker, fingerprint,
                    created_at, expires_at, state, last_used_at, credential.last_seen_at,
                    credential.absent_since
             FROM credential JOIN integration ON integration.id = credential.integration
             WHERE {conditions} ORDER BY integration.key, vendor_id"
        ))?
        .query_map(params_from_iter(values), |row| {
            Ok(Credential {
                integration: row.get(0)?,
                slot: row.get(1)?,
                vendor_id: row.get(2)?,
                kind: row.get(3)?,
                marker: row.get(4)?,
                fingerprint: row.get(5)?,
                created_at: row.get(6)?,
                expires_at: row.get(7)?,
                state: row.get(8)?,
                last_used_at: row.get(9)?,
                last_seen_at: row.get(10)?,
                absent_since: row.get(11)?,
            })
        })?
        .collect()
}

pub(crate) fn open_obligations(connection: &Connection, subject: Option<&str>) -> Rows<Obligation> {
    connection
        .prepare_cached(
            "SELECT id, subject, deed, not_before, due_by, on_overdue, state, attempts,
                    next_try_at, detail
             FROM obligation WHERE state = 'open' AND (?1 IS NULL OR subject = ?1)
             ORDER BY next_try_at, id",
        )?
        .query_map([subject], obligation)?
        .collect()
}

pub(crate) fn obligations_with(connection: &Connection, deed: &str) -> Rows<Obligation> {
    connection
        .prepare_cached(
            "SELECT id, subject, deed, not_before, due_by, on_overdue, state, attempts,
                    next_try_at, detail
             FROM obligation WHERE deed = ?1 ORDER BY id",
        )?
        .query_map([deed], obligation)?
        .collect()
}

fn obligation(row: &Row<'_>) -> rusqlite::Result<Obligation> {
    Ok(Obligation {
        id: row.get(0)?,
        subject: row.get(1)?,
        deed: row.get(2)?,
        not_before: row.get(3)?,
        due_by: row.get(4)?,
        on_overdue: row.get(5)?,
        state: row.get(6)?,
        attempts: row.get(7)?,
        next_try_at: row.get(8)?,
        detail: value(row, 9)?,
    })
}

pub(crate) fn record_scan(connection: &Connection, scan: &Scan) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO scan (tenant, what, started_at, finished_at, expected, read, failed, gaps,
                               skipped)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT DO UPDATE
             SET finished_at = ?4, expected = ?5, read = ?6, failed = ?7, gaps = ?8, skipped = ?9",
        )?
        .execute(params![
            scan.tenant,
            scan.what,
            scan.started_at,
            scan.finished_at,
            scan.expected,
            scan.read,
            scan.failed,
            written(scan.gaps.as_ref())?,
            scan.skipped,
        ])?;
    if scan.finished_at.is_some() {
        // Only the newest is ever read: else there would be one more for each look, for ever.
        connection
            .prepare_cached("DELETE FROM scan WHERE tenant = ?1 AND what = ?2 AND started_at < ?3")?
            .execute(params![scan.tenant, scan.what, scan.started_at])?;
    }
    Ok(())
}

pub(crate) fn scans(connection: &Connection) -> Rows<Scan> {
    // Older tables have nowhere to say that something was skipped.
    let skipped = if connection::has_fleet(connection)? { "skipped" } else { "0" };
    connection
        .prepare_cached(&format!(
            "SELECT tenant, what, max(started_at), finished_at, expected, read, failed, gaps, {skipped}
             FROM scan GROUP BY tenant, what ORDER BY tenant, what",
        ))?
        .query_map([], |row| {
            Ok(Scan {
                tenant: row.get(0)?,
                what: row.get(1)?,
                started_at: row.get(2)?,
                finished_at: row.get(3)?,
                expected: row.get(4)?,
                read: row.get(5)?,
                failed: row.get(6)?,
                gaps: value(row, 7)?,
                skipped: row.get(8)?,
            })
        })?
        .collect()
}

pub(crate) fn put_person(connection: &Connection, person: &Person) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO person (id, display, email, erased_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET display = ?2, email = ?3, erased_at = ?4",
        )?
        .execute(params![person.id, person.display, person.email, person.erased_at])?;
    Ok(())
}

pub(crate) fn person(connection: &Connection, id: &str) -> rusqlite::Result<Option<Person>> {
    connection
        .prepare_cached("SELECT id, display, email, erased_at FROM person WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(Person {
                id: row.get(0)?,
                display: row.get(1)?,
                email: row.get(2)?,
                erased_at: row.get(3)?,
            })
        })
        .optional()
}

pub(crate) fn persons(connection: &Connection) -> Rows<Person> {
    connection
        .prepare_cached("SELECT id, display, email, erased_at FROM person ORDER BY id")?
        .query_map([], |row| {
            Ok(Person {
                id: row.get(0)?,
                display: row.get(1)?,
                email: row.get(2)?,
                erased_at: row.get(3)?,
            })
        })?
        .collect()
}

pub(crate) fn erase_person(connection: &Connection, id: &str, at: i64) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE person SET display = NULL, email = NULL, erased_at = ?2 WHERE id = ?1",
        params![id, at],
    )?;
    Ok(())
}

/// The row number of an integration, made if need be.
fn row_of(connection: &Connection, key: &str) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached("SELECT id FROM integration WHERE key = ?1")?;
    if let Some(id) = select.query_row([key], |row| row.get(0)).optional()? {
        return Ok(id);
    }
    connection
        .prepare_cached("INSERT INTO integration (key, connection) VALUES (?1, ?2) RETURNING id")?
        .query_row([key, inventory::connection_of(key)], |row| row.get(0))
}

/// As [`row_of`], and an entry speaks of it.
fn journalled(connection: &Connection, key: &str) -> rusqlite::Result<i64> {
    let id = row_of(connection, key)?;
    connection
        .prepare_cached("UPDATE integration SET journalled = 1 WHERE id = ?1 AND journalled = 0")?
        .execute([id])?;
    Ok(id)
}

fn facets(connection: &Connection, id: i64, column: &str) -> rusqlite::Result<Option<Document>> {
    connection
        .prepare_cached(&format!("SELECT {column} FROM integration WHERE id = ?1"))?
        .query_row([id], |row| {
            let value = value(row, 0)?;
            Ok(value.map(|value| Document { value, digest: [0; 16] }))
        })
}

fn value(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Value>> {
    let bytes: Option<Vec<u8>> = row.get(column)?;
    bytes
        .map(|bytes| canonical::decode(&bytes).map_err(|error| unreadable(column, error)))
        .transpose()
}

/// A document and, in the next column, its digest.
fn document(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Document>> {
    let Some(value) = value(row, column)? else { return Ok(None) };
    Ok(Some(Document { value, digest: row.get(column + 1)? }))
}

type Stored = (Option<Vec<u8>>, Option<[u8; 16]>);

fn stored(document: Option<Document>) -> rusqlite::Result<Stored> {
    let bytes = written(document.as_ref().map(|document| &document.value))?;
    Ok((bytes, document.map(|document| document.digest)))
}

fn written(value: Option<&Value>) -> rusqlite::Result<Option<Vec<u8>>> {
    value.map(|value| canonical::encode(value).map_err(unwritable)).transpose()
}

fn unwritable(error: canonical::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

fn unreadable(column: usize, error: canonical::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error))
}
