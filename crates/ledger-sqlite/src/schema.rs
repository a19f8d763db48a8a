//! What the migrations leave, and whether it is still there.
//!
//! The triggers are what keeps entries from being changed by a slip, and the indexes are how they
//! are found: a file without them is not the one that was made, however well its chain agrees.

use std::{collections::BTreeMap, sync::OnceLock};

use rusqlite::Connection;

use crate::connection::{self, HISTORY, TABLES};

/// The text of each part of a file, by its kind and name.
type Parts = BTreeMap<(String, String), String>;

/// The migrations, in their order. Each landed one stays as it is.
pub(crate) const MIGRATIONS: &[&str] =
    &[include_str!("../migrations/V1__tables.sql"), include_str!("../migrations/V2__fleet.sql")];

/// What the migrations leave, after each: the same all the time that a process lives.
static MADE: OnceLock<Vec<Parts>> = OnceLock::new();

/// An empty ledger in memory.
pub(crate) fn fresh() -> rusqlite::Result<Connection> {
    of_version(TABLES)
}

/// The same with the tables of this version.
fn of_version(version: u32) -> rusqlite::Result<Connection> {
    let fresh = Connection::open_in_memory()?;
    for migration in MIGRATIONS.iter().take(version as usize) {
        fresh.execute_batch(migration)?;
    }
    Ok(fresh)
}

/// What differs from what the migrations leave, each in words; nothing if all is as it was.
pub(crate) fn astray(reader: &Connection) -> rusqlite::Result<Vec<String>> {
    let all_made = match MADE.get() {
        Some(made) => made,
        None => {
            let made: rusqlite::Result<Vec<Parts>> =
                (1..=TABLES).map(|version| parts(&of_version(version)?)).collect();
            let made = made?;
            MADE.get_or_init(|| made)
        }
    };
    let found = parts(reader)?;
    // Later versions add parts, and columns to the tables there are; one that nobody has written to since
    // has those of its time.
    let version = connection::version(reader)?;
    let later = version > TABLES;
    let Some(made) = all_made.get(version.clamp(1, TABLES) as usize - 1) else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for (part @ (kind, name), text) in made {
        match found.get(part) {
            None => all.push(format!("the {kind} {name} is gone")),
            Some(found) if found == text || (later && kind == "table") => (),
            Some(_) => all.push(format!("the {kind} {name} is not what it was")),
        }
    }
    if !later {
        let added = found.keys().filter(|part| !made.contains_key(*part));
        all.extend(added.map(|(kind, name)| format!("the {kind} {name} was added")));
    }
    Ok(all)
}

/// All but what the database keeps for itself, and what an earlier build kept of the migrations.
fn parts(connection: &Connection) -> rusqlite::Result<Parts> {
    connection
        .prepare(
            "SELECT type, name, sql FROM sqlite_schema
             WHERE name NOT GLOB 'sqlite_*' AND tbl_name <> ?1",
        )?
        .query_map([HISTORY], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?
        .collect()
}
