//! What the migrations leave, and whether it is still there.
//!
//! The triggers are what keeps entries from being changed by a slip, and the indexes are how they are
//! found: tables without them are not those that were made, however well the chain agrees.

use crate::session::Session;

/// The migrations, in their order. Each landed one stays as it is.
pub(crate) const MIGRATIONS: &[&str] =
    &[include_str!("../migrations/V1__tables.sql"), include_str!("../migrations/V2__fleet.sql")];

/// The version of the tables that this program makes: the number of the newest migration.
pub(crate) const TABLES: u32 = MIGRATIONS.len() as u32;

/// What must be there and at work: an index by its name, a trigger of the entries by its name and what
/// it does.
const PARTS: &str = r#"
    SELECT part.kind, part.name
    FROM (VALUES ('index', 'entry_pkey'), ('index', 'entry_subject'), ('index', 'entry_rotation'),
                 ('index', 'slot_due'), ('index', 'obligation_open'),
                 ('trigger', 'entry_kept'), ('trigger', 'entry_fixed'), ('trigger', 'entry_whole'))
         AS part (kind, name)
    WHERE NOT CASE part.kind
        WHEN 'index' THEN EXISTS (
            SELECT FROM pg_catalog.pg_index AS i
            JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = 'nhi' AND c.relname = part.name AND i.indisvalid)
        ELSE EXISTS (
            SELECT FROM pg_catalog.pg_trigger AS t
            JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
            WHERE n.nspname = 'nhi' AND c.relname = 'entry' AND t.tgname = part.name
              AND t.tgenabled IN ('O', 'A') AND p.proname = 'keep_entries'
              AND p.prosrc = 'BEGIN RAISE EXCEPTION ''entries are kept''; END')
        END
    ORDER BY 1, 2"#;

/// What is gone or switched off, each in words; nothing if all is as it was.
pub(crate) async fn astray(session: &Session) -> Result<Vec<String>, tokio_postgres::Error> {
    let rows = session.rows(PARTS, &[]).await?;
    rows.iter()
        .map(|row| {
            let (kind, name): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
            Ok(format!("the {kind} {name} is gone, or not what it was"))
        })
        .collect()
}
