//! PostgreSQL passes the suite of the port, and is found where it was damaged.

mod world;

use std::sync::Mutex;

use ledger::{
    Ledger as _,
    conformance::{self, REALM, Store, Tampering},
};
use ledger_postgres::PostgresLedger;

use crate::world::Database;

#[derive(Default)]
struct Postgres {
    databases: Mutex<Vec<Database>>,
}

#[async_trait::async_trait]
impl Store for Postgres {
    type Ledger = PostgresLedger;

    async fn fresh(&self) -> PostgresLedger {
        let database = Database::new();
        let ledger = database.open(REALM);
        self.databases.lock().expect("the lock").push(database);
        ledger
    }

    async fn another(&self, ledger: &PostgresLedger) -> Option<PostgresLedger> {
        Some(Database::of(&ledger.place()).open(REALM))
    }

    async fn tamper(&self, ledger: &PostgresLedger, seq: u64, how: Tampering) -> bool {
        let statement = match how {
            Tampering::Body => {
                "UPDATE nhi.entry SET body = convert_to(replace(convert_from(body, 'UTF8'), 'suite', 'sweet'), 'UTF8')"
            }
            Tampering::Column => "UPDATE nhi.entry SET subject = 'other'",
            Tampering::Missing | Tampering::Tail => "DELETE FROM nhi.entry",
        };
        // A careful forger puts the guards back: then only the chain can tell.
        let statements = format!(
            "ALTER TABLE nhi.entry DISABLE TRIGGER USER; {statement} WHERE seq = {seq} RETURNING seq;
             ALTER TABLE nhi.entry ENABLE TRIGGER USER"
        );
        Database::of(&ledger.place()).by_hand(&statements) == [seq.to_string()]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_passes_the_suite() {
    conformance::run(&Postgres::default()).await;
}
