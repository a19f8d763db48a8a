//! The inventory's rows: what changes do to them, and reading them.
//!
//! What many changes make is folded here and written at once: one statement a table, however many
//! rows. The fold is the port's own, so that it means the same as everywhere.

use std::collections::BTreeSet;

use ledger::{
    Change, Credential, Document, Hash, Integration, Inventory, Obligation, Observed, Person, Scan,
    Selection, Slot, Tenant, canonical,
    inventory::{self, Origin},
};
use serde_json::Value;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use crate::{
    entries::{Asked, number, unsigned},
    session::Session,
};

type Database<T> = Result<T, tokio_postgres::Error>;

/// A statement that changes rows, with its parameters.
pub(crate) struct Statement {
    sql: &'static str,
    values: Vec<(Box<dyn ToSql + Send + Sync>, Type)>,
}

impl Statement {
    pub(crate) fn new(sql: &'static str) -> Self {
        Statement { sql, values: Vec::new() }
    }

    /// With one more parameter.
    pub(crate) fn with(mut self, value: impl ToSql + Send + Sync + 'static, of: Type) -> Self {
        self.values.push((Box::new(value), of));
        self
    }

    fn texts(self, values: Vec<String>) -> Self {
        self.with(values, Type::TEXT_ARRAY)
    }

    fn some_texts(self, values: Vec<Option<String>>) -> Self {
        self.with(values, Type::TEXT_ARRAY)
    }

    fn numbers(self, values: Vec<i64>) -> Self {
        self.with(values, Type::INT8_ARRAY)
    }

    fn some_numbers(self, values: Vec<Option<i64>>) -> Self {
        self.with(values, Type::INT8_ARRAY)
    }

    fn bytes(self, values: Vec<Option<Vec<u8>>>) -> Self {
        self.with(values, Type::BYTEA_ARRAY)
    }

    /// Says it; how many rows it changed.
    pub(crate) async fn say(&self, session: &Session) -> Database<u64> {
        let params: Vec<(&(dyn ToSql + Sync), Type)> =
            self.values.iter().map(|(value, of)| (&**value as _, of.clone())).collect();
        session.execute(self.sql, &params).await
    }
}

/// What changes make of the rows that they name.
#[derive(Default)]
pub(crate) struct Fold {
    inventory: Inventory,
    /// Integrations that a change names.
    named: BTreeSet<String>,
    /// Those whose facets it changes, …
    faceted: BTreeSet<String>,
    /// … and those whose tenant.
    placed: BTreeSet<String>,
    /// Integrations all of whose slots go, …
    ended: BTreeSet<String>,
    /// … and single slots that do.
    slots_ended: BTreeSet<(String, String)>,
}

impl Fold {
    /// Begins with the rows that these changes go on from, inside the caller's transaction.
    pub(crate) async fn of(
        session: &Session,
        changes: impl Iterator<Item = &Change>,
    ) -> Database<Fold> {
        let mut fold = Fold::default();
        let faceted: BTreeSet<&str> = changes
            .filter_map(|change| match change {
                Change::Declared { integration, .. }
                | Change::Applied { integration, .. }
                | Change::Integration { integration, .. }
                | Change::Ended { integration } => Some(&**integration),
                _ => None,
            })
            .collect();
        if faceted.is_empty() {
            return Ok(fold);
        }
        let ids: Vec<&str> = faceted.into_iter().collect();
        let rows = session
            .rows(
                "SELECT key, tenant, origin, declared, d16, applied, a16
                 FROM nhi.integration WHERE key = ANY($1)",
                &[(&ids, Type::TEXT_ARRAY)],
            )
            .await?;
        for row in &rows {
            let integration = Integration {
                id: row.try_get(0)?,
                tenant: row.try_get(1)?,
                origin: origin(row, 2)?,
                declared: document(row, 3)?,
                applied: document(row, 5)?,
                ..Integration::default()
            };
            fold.inventory.integrations.insert(integration.id.clone(), integration);
        }
        Ok(fold)
    }

    /// Takes in the next change.
    pub(crate) fn apply(&mut self, change: Change) {
        let mut named = |id: &String| {
            self.named.insert(id.clone());
        };
        match &change {
            Change::Integration { integration, .. } => {
                named(integration);
                self.faceted.insert(integration.clone());
                self.placed.insert(integration.clone());
            }
            Change::Declared { integration, .. } | Change::Applied { integration, .. } => {
                named(integration);
                self.faceted.insert(integration.clone());
            }
            Change::Ended { integration } => {
                named(integration);
                self.faceted.insert(integration.clone());
                self.ended.insert(integration.clone());
            }
            Change::Slot(Slot { integration, .. })
            | Change::Credential(Credential { integration, .. }) => named(integration),
            Change::SlotEnded { integration, name } => {
                self.slots_ended.insert((integration.clone(), name.clone()));
            }
            // A change that this program does not know is none of its rows' business.
            _ => (),
        }
        self.inventory.apply(change);
    }

    /// What writes it all, in the order in which it must be said.
    pub(crate) fn statements(self) -> Result<Vec<Statement>, canonical::Error> {
        let Fold { inventory, named, faceted, placed, ended, slots_ended } = self;
        let mut all = Vec::new();
        if !named.is_empty() {
            let connections = named.iter().map(|id| inventory::connection_of(id).to_owned());
            let connections = connections.collect();
            all.push(
                Statement::new(
                    "INSERT INTO nhi.integration AS i (key, connection, journalled)
                     SELECT *, TRUE FROM unnest($1::text[], $2::text[])
                     ON CONFLICT (key) DO UPDATE SET journalled = TRUE WHERE NOT i.journalled",
                )
                .texts(named.into_iter().collect())
                .texts(connections),
            );
        }
        let row = |id: &String| inventory.integrations.get(id).cloned().unwrap_or_default();
        if !faceted.is_empty() {
            let rows: Vec<Integration> = faceted.iter().map(row).collect();
            let (mut declared, mut d16, mut applied, mut a16) = (vec![], vec![], vec![], vec![]);
            for row in &rows {
                put(&mut declared, &mut d16, row.declared.as_ref())?;
                put(&mut applied, &mut a16, row.applied.as_ref())?;
            }
            let origins = rows.iter().map(|row| row.origin.word().to_owned()).collect();
            all.push(
                Statement::new(
                    "UPDATE nhi.integration AS i
                     SET declared = u.declared, d16 = u.d16, applied = u.applied, a16 = u.a16,
                         origin = u.origin
                     FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[],
                                 $6::bytea[]) AS u (key, origin, declared, d16, applied, a16)
                     WHERE i.key = u.key",
                )
                .texts(faceted.into_iter().collect())
                .texts(origins)
                .bytes(declared)
                .bytes(d16)
                .bytes(applied)
                .bytes(a16),
            );
        }
        if !placed.is_empty() {
            let tenants = placed.iter().map(|id| row(id).tenant).collect();
            all.push(
                Statement::new(
                    "UPDATE nhi.integration AS i SET tenant = u.tenant
                     FROM unnest($1::text[], $2::text[]) AS u (key, tenant) WHERE i.key = u.key",
                )
                .texts(placed.into_iter().collect())
                .texts(tenants),
            );
        }
        if !ended.is_empty() {
            all.push(
                Statement::new("DELETE FROM nhi.slot WHERE integration = ANY($1)")
                    .texts(ended.into_iter().collect()),
            );
        }
        if !slots_ended.is_empty() {
            let (integrations, names) = slots_ended.into_iter().unzip();
            all.push(
                Statement::new(
                    "DELETE FROM nhi.slot AS s
                     USING unnest($1::text[], $2::text[]) AS u (integration, name)
                     WHERE s.integration = u.integration AND s.name = u.name",
                )
                .texts(integrations)
                .texts(names),
            );
        }
        all.extend(slots(inventory.slots.into_values().collect())?);
        all.extend(credentials(inventory.credentials.into_values().collect()));
        all.extend(obligations(inventory.obligations.into_values().collect())?);
        all.extend(tenants(inventory.tenants.into_values().collect()));
        Ok(all)
    }
}

fn slots(rows: Vec<Slot>) -> Result<Option<Statement>, canonical::Error> {
    if rows.is_empty() {
        return Ok(None);
    }
    let schedules = each_written(&rows, |row| row.schedule.as_ref())?;
    let sinks = each_written(&rows, |row| row.sinks.as_ref())?;
    Ok(Some(
        Statement::new(
            "INSERT INTO nhi.slot (integration, name, generation, epoch, current, promoted_at,
                                   schedule, sinks, status, next_due_at)
             SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[],
                                  $6::bigint[], $7::bytea[], $8::bytea[], $9::text[],
                                  $10::bigint[])
             ON CONFLICT (integration, name) DO UPDATE
             SET generation = EXCLUDED.generation, epoch = EXCLUDED.epoch,
                 current = EXCLUDED.current, promoted_at = EXCLUDED.promoted_at,
                 schedule = EXCLUDED.schedule, sinks = EXCLUDED.sinks, status = EXCLUDED.status,
                 next_due_at = EXCLUDED.next_due_at",
        )
        .texts(each(&rows, |row| row.integration.clone()))
        .texts(each(&rows, |row| row.name.clone()))
        .numbers(each(&rows, |row| number(row.generation)))
        .numbers(each(&rows, |row| number(row.epoch)))
        .some_texts(each(&rows, |row| row.current.clone()))
        .some_numbers(each(&rows, |row| row.promoted_at))
        .bytes(schedules)
        .bytes(sinks)
        .texts(each(&rows, |row| row.status.clone()))
        .some_numbers(each(&rows, |row| row.next_due_at)),
    ))
}

fn credentials(rows: Vec<Credential>) -> Option<Statement> {
    if rows.is_empty() {
        return None;
    }
    let sql = "INSERT INTO nhi.credential (integration, slot, vendor_id, kind, marker, fingerprint,
                                 created_at, expires_at, state, journalled)
         SELECT *, TRUE FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                                    $6::text[], $7::bigint[], $8::bigint[], $9::text[])
         ON CONFLICT (integration, vendor_id) DO UPDATE
         SET slot = EXCLUDED.slot, kind = EXCLUDED.kind, marker = EXCLUDED.marker,
             fingerprint = EXCLUDED.fingerprint, created_at = EXCLUDED.created_at,
             expires_at = EXCLUDED.expires_at, state = EXCLUDED.state, journalled = TRUE";
    Some(journalled_of(sql, &rows))
}

/// The columns of credentials that are not observed.
fn journalled_of(sql: &'static str, rows: &[Credential]) -> Statement {
    Statement::new(sql)
        .texts(each(rows, |row| row.integration.clone()))
        .some_texts(each(rows, |row| row.slot.clone()))
        .texts(each(rows, |row| row.vendor_id.clone()))
        .texts(each(rows, |row| row.kind.clone()))
        .some_texts(each(rows, |row| row.marker.clone()))
        .some_texts(each(rows, |row| row.fingerprint.clone()))
        .some_numbers(each(rows, |row| row.created_at))
        .some_numbers(each(rows, |row| row.expires_at))
        .texts(each(rows, |row| row.state.clone()))
}

fn obligations(rows: Vec<Obligation>) -> Result<Option<Statement>, canonical::Error> {
    if rows.is_empty() {
        return Ok(None);
    }
    let details = each_written(&rows, |row| row.detail.as_ref())?;
    Ok(Some(
        Statement::new(
            "INSERT INTO nhi.obligation (id, subject, deed, not_before, due_by, on_overdue, state,
                                         attempts, next_try_at, detail)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[],
                                  $6::text[], $7::text[], $8::bigint[], $9::bigint[],
                                  $10::bytea[])
             ON CONFLICT (id) DO UPDATE
             SET subject = EXCLUDED.subject, deed = EXCLUDED.deed,
                 not_before = EXCLUDED.not_before, due_by = EXCLUDED.due_by,
                 on_overdue = EXCLUDED.on_overdue, state = EXCLUDED.state,
                 attempts = EXCLUDED.attempts, next_try_at = EXCLUDED.next_try_at,
                 detail = EXCLUDED.detail",
        )
        .texts(each(&rows, |row| row.id.clone()))
        .texts(each(&rows, |row| row.subject.clone()))
        .texts(each(&rows, |row| row.deed.clone()))
        .numbers(each(&rows, |row| row.not_before))
        .numbers(each(&rows, |row| row.due_by))
        .texts(each(&rows, |row| row.on_overdue.clone()))
        .texts(each(&rows, |row| row.state.clone()))
        .numbers(each(&rows, |row| number(row.attempts)))
        .some_numbers(each(&rows, |row| row.next_try_at))
        .bytes(details),
    ))
}

fn tenants(rows: Vec<Tenant>) -> Option<Statement> {
    if rows.is_empty() {
        return None;
    }
    Some(
        Statement::new(
            "INSERT INTO nhi.tenant (key, connection, pinned_at)
             SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
             ON CONFLICT (key) DO UPDATE
             SET connection = EXCLUDED.connection, pinned_at = EXCLUDED.pinned_at",
        )
        .texts(each(&rows, |row| row.key.clone()))
        .texts(each(&rows, |row| row.connection.clone()))
        .numbers(each(&rows, |row| row.pinned_at)),
    )
}

/// What takes in what scans saw: folded first, so that each row is written once.
pub(crate) fn observed(seen: Vec<Observed>) -> Result<Vec<Statement>, canonical::Error> {
    let mut fold = Inventory::default();
    for seen in seen {
        fold.observe(seen)?;
    }
    let rows: Vec<Integration> = fold.integrations.into_values().collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let (mut observed, mut o16) = (Vec::new(), Vec::new());
    for row in &rows {
        put(&mut observed, &mut o16, row.observed.as_ref())?;
    }
    let mut all = vec![
        Statement::new(
            "INSERT INTO nhi.integration AS i (key, connection, tenant, observed, o16,
                                               first_seen_at, last_seen_at, absent_since)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[],
                                  $6::bigint[], $7::bigint[], $8::bigint[])
             ON CONFLICT (key) DO UPDATE
             SET tenant = CASE WHEN EXCLUDED.tenant = '' THEN i.tenant ELSE EXCLUDED.tenant END,
                 observed = coalesce(EXCLUDED.observed, i.observed),
                 o16 = coalesce(EXCLUDED.o16, i.o16),
                 first_seen_at = coalesce(i.first_seen_at, EXCLUDED.first_seen_at),
                 last_seen_at = coalesce(EXCLUDED.last_seen_at, i.last_seen_at),
                 absent_since = CASE WHEN EXCLUDED.observed IS NULL
                                     THEN coalesce(i.absent_since, EXCLUDED.absent_since)
                                     ELSE EXCLUDED.absent_since END",
        )
        .texts(each(&rows, |row| row.id.clone()))
        .texts(each(&rows, |row| row.connection().to_owned()))
        .texts(each(&rows, |row| row.tenant.clone()))
        .bytes(observed)
        .bytes(o16)
        .some_numbers(each(&rows, |row| row.first_seen_at))
        .some_numbers(each(&rows, |row| row.last_seen_at))
        .some_numbers(each(&rows, |row| row.absent_since)),
    ];
    let keys: Vec<Credential> = fold.credentials.into_values().collect();
    if !keys.is_empty() {
        let sql = "INSERT INTO nhi.credential AS c (integration, slot, vendor_id, kind, marker,
                       fingerprint, created_at, expires_at, state, last_used_at, last_seen_at,
                       absent_since)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                                  $6::text[], $7::bigint[], $8::bigint[], $9::text[],
                                  $10::bigint[], $11::bigint[], $12::bigint[])
             ON CONFLICT (integration, vendor_id) DO UPDATE
             SET last_used_at = coalesce(EXCLUDED.last_used_at, c.last_used_at),
                 last_seen_at = EXCLUDED.last_seen_at, absent_since = EXCLUDED.absent_since";
        all.push(
            journalled_of(sql, &keys)
                .some_numbers(each(&keys, |row| row.last_used_at))
                .some_numbers(each(&keys, |row| row.last_seen_at))
                .some_numbers(each(&keys, |row| row.absent_since)),
        );
    }
    Ok(all)
}

/// What notes a scan.
///
/// A finished one takes the row of the one before: only the newest is ever read, a row for each look would
/// be one more for ever, and a writer may take no row out.
pub(crate) fn scanned(scan: Scan) -> Result<Statement, canonical::Error> {
    Ok(Statement::new(
        "WITH moved AS (
             UPDATE nhi.scan
             SET started_at = $3, finished_at = $4, expected = $5, read = $6, failed = $7, gaps = $8,
                 skipped = $9
             WHERE tenant = $1 AND what = $2 AND $4 IS NOT NULL
               AND started_at = (SELECT max(started_at) FROM nhi.scan
                                 WHERE tenant = $1 AND what = $2 AND started_at < $3)
               AND NOT EXISTS (SELECT FROM nhi.scan
                               WHERE tenant = $1 AND what = $2 AND started_at = $3)
             RETURNING 1)
         INSERT INTO nhi.scan (tenant, what, started_at, finished_at, expected, read, failed, gaps,
                               skipped)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 WHERE NOT EXISTS (SELECT FROM moved)
         ON CONFLICT (tenant, what, started_at) DO UPDATE
         SET finished_at = $4, expected = $5, read = $6, failed = $7, gaps = $8, skipped = $9",
    )
    .with(scan.tenant, Type::TEXT)
    .with(scan.what, Type::TEXT)
    .with(scan.started_at, Type::INT8)
    .with(scan.finished_at, Type::INT8)
    .with(scan.expected.map(number), Type::INT8)
    .with(number(scan.read), Type::INT8)
    .with(number(scan.failed), Type::INT8)
    .with(written(scan.gaps.as_ref())?, Type::BYTEA)
    .with(number(scan.skipped), Type::INT8))
}

/// What keeps persons' names and addresses.
pub(crate) fn put_person(person: Person) -> Statement {
    Statement::new(
        "INSERT INTO nhi.person (id, display, email, erased_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE SET display = $2, email = $3, erased_at = $4",
    )
    .with(person.id, Type::TEXT)
    .with(person.display, Type::TEXT)
    .with(person.email, Type::TEXT)
    .with(person.erased_at, Type::INT8)
}

/// What erases one.
pub(crate) fn erase_person(id: String, at: i64) -> Statement {
    Statement::new(
        "UPDATE nhi.person SET display = NULL, email = NULL, erased_at = $2 WHERE id = $1",
    )
    .with(id, Type::TEXT)
    .with(at, Type::INT8)
}

/// Empties what is folded from entries, before it is folded anew. What was observed stays.
pub(crate) const EMPTY: &str = "
    DELETE FROM nhi.slot; DELETE FROM nhi.obligation; DELETE FROM nhi.tenant;
    UPDATE nhi.credential SET journalled = FALSE;
    UPDATE nhi.integration SET journalled = FALSE, declared = NULL, d16 = NULL, applied = NULL,
                               a16 = NULL, origin = 'discovered'";

/// Takes away what neither an entry nor a scan knows: it is nobody's row.
pub(crate) const SWEEP: &str = "
    DELETE FROM nhi.credential WHERE NOT journalled AND last_seen_at IS NULL;
    DELETE FROM nhi.integration AS i
    WHERE NOT journalled AND observed IS NULL AND absent_since IS NULL
      AND NOT EXISTS (SELECT FROM nhi.credential WHERE integration = i.key)";

/// Puts the documents of changes back in that are kept beside their entries; what is missing stays a
/// name.
pub(crate) async fn restore(session: &Session, changes: &mut [Change]) -> Database<()> {
    let names: BTreeSet<Hash> = changes.iter().flat_map(Change::names).collect();
    if names.is_empty() {
        return Ok(());
    }
    let hashes: Vec<&[u8]> = names.iter().map(|hash| &hash.0[..]).collect();
    let rows = session
        .rows(
            "SELECT hash, body FROM nhi.document WHERE hash = ANY($1)",
            &[(&hashes, Type::BYTEA_ARRAY)],
        )
        .await?;
    let mut found = std::collections::BTreeMap::new();
    for row in &rows {
        let (hash, body): (&[u8], &[u8]) = (row.try_get(0)?, row.try_get(1)?);
        if let Some(hash) = Hash::from_slice(hash)
            && let Some(value) = document_of(&hash, body)
        {
            found.insert(hash, value);
        }
    }
    for change in changes {
        change.restore(|hash| found.get(hash).cloned());
    }
    Ok(())
}

/// A document that is kept beside the entries; `None` if it is not what its hash says.
pub(crate) fn document_of(hash: &Hash, body: &[u8]) -> Option<Value> {
    (Hash::of(body) == *hash).then(|| canonical::decode(body).ok()).flatten()
}

pub(crate) fn tenant(row: &Row) -> Database<Tenant> {
    Ok(Tenant { key: row.try_get(0)?, connection: row.try_get(1)?, pinned_at: row.try_get(2)? })
}

/// A statement over `i`, with the conditions of a selection in the place of `{}`.
pub(crate) fn selected(statement: &str, selection: &Selection) -> Asked {
    let mut conditions = vec!["TRUE".to_owned()];
    let mut values: Vec<(Box<dyn ToSql + Send + Sync>, Type)> = Vec::new();
    for (column, value) in [
        ("connection", &selection.connection),
        ("tenant", &selection.tenant),
        ("key", &selection.integration),
    ] {
        if let Some(value) = value {
            values.push((Box::new(value.clone()), Type::TEXT));
            conditions.push(format!("i.{column} = ${}", values.len()));
        }
    }
    if selection.declared {
        conditions.push("i.declared IS NOT NULL".to_owned());
    }
    (statement.replace("{}", &conditions.join(" AND ")), values)
}

pub(crate) const INTEGRATIONS: &str =
    "SELECT i.key, i.tenant, i.origin, i.declared, i.d16, i.applied, i.a16, i.observed, i.o16,
            i.first_seen_at, i.last_seen_at, i.absent_since
     FROM nhi.integration AS i WHERE {} ORDER BY i.key";

pub(crate) fn integration(row: &Row) -> Database<Integration> {
    Ok(Integration {
        id: row.try_get(0)?,
        tenant: row.try_get(1)?,
        origin: origin(row, 2)?,
        declared: document(row, 3)?,
        applied: document(row, 5)?,
        observed: document(row, 7)?,
        first_seen_at: row.try_get(9)?,
        last_seen_at: row.try_get(10)?,
        absent_since: row.try_get(11)?,
    })
}

pub(crate) const SLOTS: &str =
    "SELECT s.integration, s.name, s.generation, s.epoch, s.current, s.promoted_at, s.schedule,
            s.sinks, s.status, s.next_due_at
     FROM nhi.slot AS s JOIN nhi.integration AS i ON i.key = s.integration
     WHERE {} ORDER BY s.integration, s.name";

pub(crate) const DUE: &str =
    "SELECT s.integration, s.name, s.generation, s.epoch, s.current, s.promoted_at, s.schedule,
            s.sinks, s.status, s.next_due_at
     FROM nhi.slot AS s WHERE s.next_due_at <= $1
     ORDER BY s.next_due_at, s.integration, s.name";

pub(crate) fn slot(row: &Row) -> Database<Slot> {
    Ok(Slot {
        integration: row.try_get(0)?,
        name: row.try_get(1)?,
        generation: unsigned(row.try_get(2)?),
        epoch: unsigned(row.try_get(3)?),
        current: row.try_get(4)?,
        promoted_at: row.try_get(5)?,
        schedule: value(row, 6)?,
        sinks: value(row, 7)?,
        status: row.try_get(8)?,
        next_due_at: row.try_get(9)?,
    })
}

pub(crate) const CREDENTIALS: &str =
    "SELECT c.integration, c.slot, c.vendor_id, c.kind, c.marker, c.fingerprint, c.created_at,
            c.expires_at, c.state, c.last_used_at, c.last_seen_at, c.absent_since
     FROM nhi.credential AS c JOIN nhi.integration AS i ON i.key = c.integration
     WHERE {} ORDER BY c.integration, c.vendor_id";

pub(crate) fn credential(row: &Row) -> Database<Credential> {
    Ok(Credential {
        integration: row.try_get(0)?,
        slot: row.try_get(1)?,
        vendor_id: row.try_get(2)?,
        kind: row.try_get(3)?,
        marker: row.try_get(4)?,
        fingerprint: row.try_get(5)?,
        created_at: row.try_get(6)?,
        expires_at: row.try_get(7)?,
        state: row.try_get(8)?,
        last_used_at: row.try_get(9)?,
        last_seen_at: row.try_get(10)?,
        absent_since: row.try_get(11)?,
    })
}

pub(crate) const OPEN: &str =
    "SELECT id, subject, deed, not_before, due_by, on_overdue, state, attempts, next_try_at, detail
     FROM nhi.obligation WHERE state = 'open' AND ($1::text IS NULL OR subject = $1)
     ORDER BY next_try_at NULLS FIRST, id";

pub(crate) const WITH_DEED: &str =
    "SELECT id, subject, deed, not_before, due_by, on_overdue, state, attempts, next_try_at, detail
     FROM nhi.obligation WHERE deed = $1 ORDER BY id COLLATE \"C\"";

pub(crate) fn obligation(row: &Row) -> Database<Obligation> {
    Ok(Obligation {
        id: row.try_get(0)?,
        subject: row.try_get(1)?,
        deed: row.try_get(2)?,
        not_before: row.try_get(3)?,
        due_by: row.try_get(4)?,
        on_overdue: row.try_get(5)?,
        state: row.try_get(6)?,
        attempts: unsigned(row.try_get(7)?),
        next_try_at: row.try_get(8)?,
        detail: value(row, 9)?,
    })
}

// Older tables have nowhere to say that something was skipped.
pub(crate) const SCANS: &str = "SELECT DISTINCT ON (tenant, what)
            tenant, what, started_at, finished_at, expected, read, failed, gaps,
            coalesce((to_jsonb(s) ->> 'skipped')::bigint, 0)
     FROM nhi.scan AS s ORDER BY tenant, what, started_at DESC";

pub(crate) fn scan(row: &Row) -> Database<Scan> {
    Ok(Scan {
        tenant: row.try_get(0)?,
        what: row.try_get(1)?,
        started_at: row.try_get(2)?,
        finished_at: row.try_get(3)?,
        expected: row.try_get::<_, Option<i64>>(4)?.map(unsigned),
        read: unsigned(row.try_get(5)?),
        failed: unsigned(row.try_get(6)?),
        gaps: value(row, 7)?,
        skipped: unsigned(row.try_get(8)?),
    })
}

pub(crate) fn person(row: &Row) -> Database<Person> {
    Ok(Person {
        id: row.try_get(0)?,
        display: row.try_get(1)?,
        email: row.try_get(2)?,
        erased_at: row.try_get(3)?,
    })
}

fn origin(row: &Row, column: usize) -> Database<Origin> {
    Ok(Origin::from_word(row.try_get(column)?).unwrap_or_default())
}

/// A document of canonical JSON. What is none was changed by hand, and [`ledger::Ledger::compare`] tells
/// so.
fn value(row: &Row, column: usize) -> Database<Option<Value>> {
    let bytes: Option<&[u8]> = row.try_get(column)?;
    Ok(bytes.map(|bytes| canonical::decode(bytes).unwrap_or_default()))
}

/// A document and, in the next column, its digest.
fn document(row: &Row, column: usize) -> Database<Option<Document>> {
    let Some(value) = value(row, column)? else { return Ok(None) };
    let digest: Option<&[u8]> = row.try_get(column + 1)?;
    let digest = digest.and_then(|digest| digest.try_into().ok()).unwrap_or_default();
    Ok(Some(Document { value, digest }))
}

type Column = Vec<Option<Vec<u8>>>;

/// Adds a document to its column and to that of its digest.
fn put(
    bodies: &mut Column,
    digests: &mut Column,
    document: Option<&Document>,
) -> Result<(), canonical::Error> {
    bodies.push(written(document.map(|document| &document.value))?);
    digests.push(document.map(|document| document.digest.to_vec()));
    Ok(())
}

fn written(value: Option<&Value>) -> Result<Option<Vec<u8>>, canonical::Error> {
    value.map(canonical::encode).transpose()
}

fn each<T, V>(rows: &[T], of: impl Fn(&T) -> V) -> Vec<V> {
    rows.iter().map(of).collect()
}

fn each_written<T>(
    rows: &[T],
    of: impl Fn(&T) -> Option<&Value>,
) -> Result<Column, canonical::Error> {
    rows.iter().map(|row| written(of(row))).collect()
}
