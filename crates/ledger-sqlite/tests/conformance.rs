//! SQLite passes the suite of the port.

use std::sync::Mutex;

use ledger::{
    Ledger as _,
    conformance::{self, REALM, Store, Tampering},
};
use ledger_sqlite::SqliteLedger;
use rusqlite::Connection;
use tempfile::TempDir;

#[derive(Default)]
struct Sqlite {
    folders: Mutex<Vec<TempDir>>,
}

#[async_trait::async_trait]
impl Store for Sqlite {
    type Ledger = SqliteLedger;

    async fn fresh(&self) -> SqliteLedger {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = SqliteLedger::open(folder.path().join("nhi.db"), Some(REALM));
        self.folders.lock().expect("the lock").push(folder);
        ledger
    }

    async fn another(&self, ledger: &SqliteLedger) -> Option<SqliteLedger> {
        Some(SqliteLedger::open(ledger.path(), Some(REALM)))
    }

    async fn tamper(&self, ledger: &SqliteLedger, seq: u64, how: Tampering) -> bool {
        ledger.close().await.expect("it closes");
        let connection = Connection::open(ledger.path()).expect("it opens");
        // A careful forger puts the guards back: then only the chain can tell.
        let guards: String = connection
            .query_row(
                "SELECT group_concat(sql || ';', '') FROM sqlite_schema WHERE type = 'trigger'",
                [],
                |row| row.get(0),
            )
            .expect("it has guards");
        connection
            .execute_batch("DROP TRIGGER entry_fixed; DROP TRIGGER entry_kept;")
            .expect("whoever can write the file can do so");
        let statement = match how {
            Tampering::Body => {
                "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), 'suite', 'sweet') AS BLOB) WHERE seq = ?1"
            }
            Tampering::Column => "UPDATE entry SET subject = 'other' WHERE seq = ?1",
            Tampering::Missing | Tampering::Tail => "DELETE FROM entry WHERE seq = ?1",
        };
        let done = connection.execute(statement, [seq]).expect("it is done") == 1;
        connection.execute_batch(&guards).expect("they are back");
        done
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_passes_the_suite() {
    conformance::run(&Sqlite::default()).await;
}
