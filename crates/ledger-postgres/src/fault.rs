//! What the database says, in the port's words.

use std::error::Error as _;

use ledger::Error;
use tokio_postgres::error::SqlState;

/// How long a writer waits for another process, in seconds.
pub(crate) const PATIENCE_S: u64 = 10;

/// Turns what the database says into the port's words, for a ledger at `place` that was about to `step`.
pub(crate) fn fault(place: &str, step: &'static str, error: &tokio_postgres::Error) -> Error {
    let place = place.to_owned();
    let why = cause(error);
    let Some(said) = error.as_db_error() else {
        if is_gone(error) {
            return Error::Unreachable { place, why };
        }
        // A column of another type than the tables have: they were changed.
        return Error::Damaged { place, what: why };
    };
    let code = said.code();
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        let why = "the server takes no changes: it is a replica, or was made read-only".to_owned();
        return Error::ReadOnly { place, why };
    }
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return Error::ReadOnly { place, why };
    }
    if *code == SqlState::DISK_FULL {
        return Error::Full { place };
    }
    if *code == SqlState::LOCK_NOT_AVAILABLE || is_contention(error) {
        return Error::Busy { place, seconds: PATIENCE_S };
    }
    match &code.code()[..2] {
        // It starts or stops, or has no room for one more.
        "57" if is_gone(error) => Error::Unreachable { place, why },
        "53" | "08" => Error::Unreachable { place, why },
        "28" | "3D" => Error::Unreadable { place, why },
        // A table or a column is not there, or its pages are not what they were.
        "42" | "3F" | "XX" => Error::Damaged { place, what: why },
        _ => Error::Failed { place, step, why },
    }
}

/// Whether the connection is no more, or the server is about to end it.
pub(crate) fn is_gone(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error() {
        Some(said) => matches!(&said.code().code()[..3], "57P"),
        None => {
            error.is_closed()
                || error
                    .source()
                    .is_some_and(|source| source.downcast_ref::<std::io::Error>().is_some())
        }
    }
}

/// Whether the server gave one of two transactions up for the other: the same again may help.
pub(crate) fn is_contention(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE].contains(code)
    })
}

/// Whether a table, or the schema that it is in, is not there.
pub(crate) fn is_absent(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].contains(code)
    })
}

/// What is behind an error, without what it was about: a value may stand in that.
pub(crate) fn cause(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => said.message().to_owned(),
        None => error.source().map_or_else(|| error.to_string(), ToString::to_string),
    }
}
