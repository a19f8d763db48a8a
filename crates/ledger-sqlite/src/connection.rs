//! A connection that is known to lead to a ledger of ours.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use ledger::Error;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, config::DbConfig};

use crate::{
    fault::{PATIENCE_S, fault, is_contention},
    place,
    schema::MIGRATIONS,
};

/// The version of the tables that this program makes: the number of the newest migration.
pub(crate) const TABLES: u32 = MIGRATIONS.len() as u32;

/// What a connection for reading keeps of what it has read. It reads a row here and there, or all
/// once: what the system keeps of the file serves as well.
const READER_CACHE_KIB: i64 = 256;

/// `NHI1`, so that `file` and we can tell a ledger from any other database.
const APPLICATION: i64 = 0x4E48_4931;

/// The table in which earlier builds noted each migration that they had made.
pub(crate) const HISTORY: &str = "refinery_schema_history";

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
        Ok(found) if found > TABLES => Err(Error::Newer { place, found, known: TABLES }),
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
    let failed_to = |step| {
        let place = &place;
        move |error: rusqlite::Error| {
            if is_contention(&error) {
                Fault::Contended(error)
            } else {
                Fault::Final(fault(place, step, &error))
            }
        }
    };
    let failed = failed_to("open it");
    let refused_to = |step| {
        move |error| match error {
            Tables::Database(error) => failed_to(step)(error),
            Tables::Refused(error) => Fault::Final(error),
        }
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    settle(&connection).map_err(failed)?;
    let found = tables(&connection, &place)
        .and_then(|found| not_newer(found, &place))
        .map_err(refused_to("open it"))?;
    // SQLite opens what it may not write for reading only, and says so late.
    if connection.is_readonly("main").map_err(failed)? {
        return Err(Fault::Final(Error::ReadOnly {
            place: place.clone(),
            why: "this user may not write the file".to_owned(),
        }));
    }
    connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
    connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
    if found < TABLES {
        migrate(&mut connection, &place).map_err(refused_to("bring its tables up to date"))?;
    }
    check_realm(&connection, &place, realm).map_err(refused_to("open it"))?;
    Ok(connection)
}

/// Brings the tables up to date, and the number that says so, all or nothing.
fn migrate(connection: &mut Connection, place: &str) -> Result<(), Tables> {
    // Held while we look again: whoever else came to do the same waits, and then finds it done.
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = not_newer(seen(&change, place)?, place)?;
    if found == TABLES {
        return Ok(());
    }
    for migration in &MIGRATIONS[found as usize..] {
        change.execute_batch(migration)?;
    }
    // From here on the number alone counts. A program that still goes by the table would find in it
    // the version from before, and write what it does not know.
    change.execute_batch(&format!("DROP TABLE IF EXISTS {HISTORY}"))?;
    change.pragma_update(None, "user_version", TABLES)?;
    Ok(change.commit()?)
}

/// The version to begin from, 0 in an empty database, unless it is beyond ours.
fn not_newer(found: Option<u32>, place: &str) -> Result<u32, Tables> {
    match found.unwrap_or_default() {
        found if found > TABLES => {
            Err(Tables::Refused(Error::Newer { place: place.to_owned(), found, known: TABLES }))
        }
        found => Ok(found),
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
        // Each version only adds: a newer ledger still reads, and an older one has nothing yet of what
        // was added.
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
    let found = seen(&look, place)?;
    look.commit()?;
    Ok(found)
}

fn seen(look: &Connection, place: &str) -> Result<Option<u32>, Tables> {
    let version = version(look)?;
    match application(look)? {
        // Both are written together.
        APPLICATION if version == 0 => Err(Tables::Refused(Error::Damaged {
            place: place.to_owned(),
            what: "what says which version its tables have is gone".to_owned(),
        })),
        APPLICATION => Ok(Some(version)),
        0 if version == 0 && is_empty(look)? => Ok(None),
        _ => Err(Tables::Refused(Error::NotALedger {
            place: place.to_owned(),
            what: "it is a database of another program".to_owned(),
        })),
    }
}

fn application(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT application_id FROM pragma_application_id", [], |row| row.get(0))
}

/// Whether the database has nothing in it. An earlier build made its history first: killed right then,
/// it left that one, empty.
fn is_empty(look: &Connection) -> rusqlite::Result<bool> {
    let any = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE tbl_name <> ?1)";
    look.query_row(any, [HISTORY], |row| row.get(0))
}

/// The version that the file bears; 0 if none.
///
/// A file of an earlier build bears it in the history, and stays as it is until its tables change.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    let borne = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if borne != 0 {
        return Ok(borne);
    }
    let history = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = ?1", [HISTORY], |_| Ok(()))
        .optional()?;
    if history.is_none() {
        return Ok(0);
    }
    let newest = format!("SELECT coalesce(max(version), 0) FROM {HISTORY}");
    connection.query_row(&newest, [], |row| row.get(0))
}

/// Whether the tables of the second version are there: one that nobody has written to since has none.
pub(crate) fn has_fleet(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'archive')")?
        .query_row([], |row| row.get(0))
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
