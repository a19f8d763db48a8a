//! A connection that is known to lead to a ledger of ours.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use ledger::Error;
use rusqlite::{Connection, OpenFlags, OptionalExtension, config::DbConfig};

use crate::{
    fault::{PATIENCE_S, fault, is_contention},
    place,
};

/// The version of the tables that this program makes: the number of the newest migration.
pub(crate) const TABLES: u32 = 1;

/// What a connection for reading keeps of what it has read. It reads a row here and there, or all
/// once: what the system keeps of the file serves as well.
const READER_CACHE_KIB: i64 = 256;

/// `NHI1`, so that `file` and we can tell a ledger from any other database.
const APPLICATION: i64 = 0x4E48_4931;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Opens for writing: makes the file and brings its tables up to date if need be.
pub(crate) fn writer(path: &Path, realm: Option<&str>) -> Result<Connection, Error> {
    place::look(path)?;
    place::refuse_network(path)?;
    place::create(path)?;
    let place = place::shown(path);
    let started = Instant::now();
    loop {
        match prepare(path, realm) {
            // Another process may be making the same tables: look again rather than fail.
            Err(Fault::Contended(error)) if started.elapsed() >= patience() => {
                return Err(fault(&place, "open it", &error));
            }
            Err(Fault::Contended(_)) => thread::sleep(Duration::from_millis(20)),
            Err(Fault::Final(error)) => return Err(error),
            Ok(connection) => return Ok(connection),
        }
    }
}

/// Opens a damaged file for what can be read of it.
pub(crate) fn salvaging(path: &Path) -> Result<Connection, Error> {
    let place = place::shown(path);
    let failed = |error| fault(&place, "open it", &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    // A file that is shorter than its header says is refused otherwise, whatever is left of it. With
    // query_only nothing is written to its schema or anywhere else.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true).map_err(failed)?;
    settle(&connection).map_err(failed)?;
    connection.pragma_update(None, "query_only", true).map_err(failed)?;
    if application(&connection).map_err(failed)? != APPLICATION {
        let what = "it is a database of another program".to_owned();
        return Err(Error::NotALedger { place, what });
    }
    // Where even the version cannot be read, the rest may be.
    match version(&connection) {
        Ok(Some(found)) if found > TABLES => Err(Error::Newer { place, found, known: TABLES }),
        _ => Ok(connection),
    }
}

/// Checks the file's structure, for a writer that finds what another one left when it stopped.
///
/// A process that was killed leaves a sound file; a machine that lost power may not.
pub(crate) fn check(connection: &Connection, place: &str) -> Result<(), Error> {
    let found: rusqlite::Result<String> =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match found {
        Ok(fine) if fine == "ok" => Ok(()),
        Ok(what) => Err(Error::Damaged { place: place.to_owned(), what }),
        Err(error) => Err(fault(place, "check it", &error)),
    }
}

/// Closes a writer's connection. If it was the last, the log is gone with it: nothing is left to
/// check.
pub(crate) fn close(connection: Connection) {
    // With a reader at work both do less, and the next writer checks a file that is sound.
    let _ = connection.busy_timeout(Duration::from_millis(100));
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
    drop(connection);
}

enum Fault {
    Contended(rusqlite::Error),
    Final(Error),
}

fn prepare(path: &Path, realm: Option<&str>) -> Result<Connection, Fault> {
    let place = place::shown(path);
    let failed = |error: rusqlite::Error| {
        if is_contention(&error) {
            Fault::Contended(error)
        } else {
            Fault::Final(fault(&place, "open it", &error))
        }
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    settle(&connection).map_err(failed)?;
    let found = tables(&connection, &place).map_err(|error| match error {
        Tables::Database(error) => failed(error),
        Tables::Refused(error) => Fault::Final(error),
    })?;
    if found.is_some_and(|found| found > TABLES) {
        let found = found.unwrap_or_default();
        return Err(Fault::Final(Error::Newer { place, found, known: TABLES }));
    }
    // SQLite opens what it may not write for reading only, and says so late.
    if connection.is_readonly("main").map_err(failed)? {
        return Err(Fault::Final(Error::ReadOnly {
            place: place.clone(),
            why: "this user may not write the file".to_owned(),
        }));
    }
    connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
    connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
    if found.is_none_or(|found| found < TABLES) {
        migrate(&mut connection, &place)?;
    }
    check_realm(&connection, &place, realm).map_err(|error| match error {
        Tables::Database(error) => failed(error),
        Tables::Refused(error) => Fault::Final(error),
    })?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, place: &str) -> Result<(), Fault> {
    // Each migration is a transaction of its own, so what another process did meanwhile shows as a
    // table that is there already: then its work is ours, and the next look finds it done.
    match embedded::migrations::runner().run(connection) {
        Ok(_) => Ok(()),
        Err(error) => {
            let done = version(connection).ok().flatten().is_some_and(|found| found >= TABLES);
            let why = error.to_string();
            if done || why.contains("already exists") || why.contains("locked") {
                return Err(Fault::Contended(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
                    Some(why),
                )));
            }
            if why.contains("full") {
                return Err(Fault::Final(Error::Full { place: place.to_owned() }));
            }
            let place = place.to_owned();
            Err(Fault::Final(Error::Failed { place, step: "bring its tables up to date", why }))
        }
    }
}

/// Opens for reading; `None` if there is nothing to read yet. Makes no file.
pub(crate) fn reader(path: &Path, realm: Option<&str>) -> Result<Option<Connection>, Error> {
    match place::look(path)? {
        None | Some((_, 0)) => return Ok(None),
        Some(_) => place::refuse_network(path)?,
    }
    let place = place::shown(path);
    let failed = |error| fault(&place, "open it", &error);
    let connection = open_reader(path).map_err(|error| match error {
        rusqlite::Error::SqliteFailure(code, _)
            if code.code == rusqlite::ErrorCode::CannotOpen && place::log_size(path) > 0 =>
        {
            Error::Unreadable {
                place: place.clone(),
                why:
                    "its -wal file holds entries that only a user who may write the folder can read"
                        .to_owned(),
            }
        }
        other => failed(other),
    })?;
    match tables(&connection, &place) {
        Ok(None) => return Ok(None),
        Ok(Some(found)) if found < TABLES => {
            return Err(Error::Older { place, found, known: TABLES });
        }
        // Later versions only add, so a newer ledger still reads.
        Ok(Some(_)) => (),
        Err(Tables::Database(error)) => return Err(failed(error)),
        Err(Tables::Refused(error)) => return Err(error),
    }
    match check_realm(&connection, &place, realm) {
        Ok(()) => Ok(Some(connection)),
        Err(Tables::Database(error)) => Err(failed(error)),
        Err(Tables::Refused(error)) => Err(error),
    }
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let look = |connection: Connection| -> rusqlite::Result<Connection> {
        settle(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    };
    // Opened for writing, though it never will: what a killed writer left in the log can then be
    // read. SQLite falls back to reading only where the file's mode says so.
    let writing = flags | OpenFlags::SQLITE_OPEN_READ_WRITE;
    let error = match Connection::open_with_flags(path, writing).and_then(look) {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    // In a folder where nothing can be made, or on a full disk, the log cannot be shared. If there is
    // no log, the file itself is all there is.
    let no_log = place::log_size(path) == 0;
    let closed = matches!(
        &error,
        rusqlite::Error::SqliteFailure(code, _) if matches!(
            code.code,
            rusqlite::ErrorCode::CannotOpen
                | rusqlite::ErrorCode::ReadOnly
                | rusqlite::ErrorCode::SystemIoFailure
        )
    );
    if !(no_log && closed) {
        return Err(error);
    }
    let uri = format!("file:{}?immutable=1", uri_path(path));
    let reading = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, reading).and_then(look)
}

/// A path as it stands in a URI of SQLite's.
fn uri_path(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let mut text = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                text.push(char::from(*byte));
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(patience())?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // What a stopped process left in the log stays there until a writer has checked the file.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

enum Tables {
    Database(rusqlite::Error),
    Refused(Error),
}

impl From<rusqlite::Error> for Tables {
    fn from(error: rusqlite::Error) -> Self {
        Tables::Database(error)
    }
}

/// The version of the tables; `None` in an empty database.
fn tables(connection: &Connection, place: &str) -> Result<Option<u32>, Tables> {
    // One look, since another process may be making the tables between two.
    let look = connection.unchecked_transaction()?;
    let application = application(connection)?;
    let version = version(connection)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    look.commit()?;
    match version {
        // The number and the migrator's note of it are written together.
        None | Some(0) if application == APPLICATION => {
            return Err(Tables::Refused(Error::Damaged {
                place: place.to_owned(),
                what: "what says which version its tables have is gone".to_owned(),
            }));
        }
        found if application == APPLICATION => return Ok(found),
        _ => (),
    }
    // Between making its own table and our first migration, the migrator leaves this behind.
    if application == 0 && (tables == 0 || version == Some(0)) {
        return Ok(None);
    }
    Err(Tables::Refused(Error::NotALedger {
        place: place.to_owned(),
        what: "it is a database of another program".to_owned(),
    }))
}

fn application(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT application_id FROM pragma_application_id", [], |row| row.get(0))
}

/// What the migrator noted; `None` if it never ran.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<Option<u32>> {
    let history: Option<i64> = connection
        .query_row(
            "SELECT 1 FROM sqlite_schema WHERE name = 'refinery_schema_history'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    if history.is_none() {
        return Ok(None);
    }
    connection
        .query_row("SELECT coalesce(max(version), 0) FROM refinery_schema_history", [], |row| {
            row.get(0)
        })
        .map(Some)
}

fn check_realm(connection: &Connection, place: &str, realm: Option<&str>) -> Result<(), Tables> {
    let found: Option<String> =
        connection.query_row("SELECT realm FROM ledger", [], |row| row.get(0)).optional()?;
    match (found, realm) {
        (Some(found), Some(expected)) if !found.is_empty() && found != expected => {
            Err(Tables::Refused(Error::OtherRealm {
                place: place.to_owned(),
                found,
                expected: expected.to_owned(),
            }))
        }
        _ => Ok(()),
    }
}

fn patience() -> Duration {
    Duration::from_secs(PATIENCE_S)
}
