//! What the database says, in the port's words.

use ledger::Error;
use rusqlite::{ErrorCode, ffi};

/// How long a writer waits for another process, in seconds.
pub(crate) const PATIENCE_S: u64 = 10;

/// Turns a database error into the port's, for a ledger at `place` that was about to `step`.
pub(crate) fn fault(place: &str, step: &'static str, error: &rusqlite::Error) -> Error {
    let place = place.to_owned();
    let why = error.to_string();
    let rusqlite::Error::SqliteFailure(code, _) = error else {
        return match error {
            // A column of another type or length than the tables allow: the file was edited.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..) => Error::Damaged { place, what: why },
            _ => Error::Failed { place, step, why },
        };
    };
    match code.code {
        // What readers and writers share is the first file that must grow.
        _ if code.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Error::Full { place },
        ErrorCode::DiskFull => Error::Full { place },
        ErrorCode::ReadOnly => Error::ReadOnly { place, why },
        ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::AuthorizationForStatementDenied => Error::Unreadable { place, why },
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Error::Busy { place, seconds: PATIENCE_S }
        }
        ErrorCode::DatabaseCorrupt => Error::Damaged { place, what: why },
        ErrorCode::NotADatabase => {
            Error::NotALedger { place, what: "it is not a SQLite database".to_owned() }
        }
        _ => Error::Failed { place, step, why },
    }
}

/// Whether waiting a little and trying again may help.
pub(crate) fn is_contention(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::SqliteFailure(code, _)
            if matches!(code.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}
