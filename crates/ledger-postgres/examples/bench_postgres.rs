//! Prints how many entries a second a PostgreSQL on this machine keeps, and how many of them are verified.
//!
//! `cargo run --release -p ledger-postgres --example bench_postgres`

use std::{error::Error, sync::Arc, time::Duration};

use acceptance_tests::servers::PostgreSql;
use ledger_postgres::{Address, PostgresLedger, Way};
use ledger_sqlite::bench;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = PostgreSql::durable()?;
    let open = |database: &str| -> Result<PostgresLedger, Box<dyn Error>> {
        server.by_hand(&format!("CREATE DATABASE {database}"))?;
        let address = Address {
            host: "127.0.0.1".to_owned(),
            port: server.port,
            database: database.to_owned(),
            user: "postgres".to_owned(),
            password: Some(server.password.clone().into()),
            secured: false,
        };
        let way = Way {
            shown: address.shown(),
            address: Arc::new(move || Ok(address.clone())),
            trust: Arc::new(|| Err("nobody is trusted here".to_owned())),
        };
        Ok(PostgresLedger::open(way, Some("bench0")))
    };
    for producers in [1, 8, 64] {
        let ledger = open(&format!("appends_{producers}"))?;
        let rate = bench::appends(ledger, producers, Duration::from_secs(3)).await?;
        println!("{producers:>3} producers: {rate:>9.0} durable entries/s");
    }
    let (rate, found) = bench::verifies(open("verifies")?, 1_000_000).await?;
    println!("verify: {rate:>9.0} entries/s, sound: {}", found.is_sound());
    let (found, took) = bench::due(open("due")?, 1_000_000).await?;
    println!("due: {found} of 1,000,000 slots in {took:?}");
    Ok(())
}
