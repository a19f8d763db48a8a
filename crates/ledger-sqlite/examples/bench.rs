//! Prints how many entries a second this machine appends and verifies.
//!
//! `cargo run --release -p ledger-sqlite --example bench [folder]`

use std::{error::Error, path::PathBuf, time::Duration};

use ledger_sqlite::{SqliteLedger, bench};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    for producers in [1, 8, 64] {
        let path = folder.join(format!("nhi-bench-{}-{producers}.db", std::process::id()));
        let rate = bench::appends(open(&path), producers, Duration::from_secs(3)).await?;
        println!("{producers:>3} producers: {rate:>9.0} durable entries/s");
        remove(&path);
    }
    let path = folder.join(format!("nhi-bench-{}-verify.db", std::process::id()));
    let (rate, found) = bench::verifies(open(&path), 1_000_000).await?;
    println!("verify: {rate:>9.0} entries/s, sound: {}", found.is_sound());
    remove(&path);
    let path = folder.join(format!("nhi-bench-{}-due.db", std::process::id()));
    let (found, took) = bench::due(open(&path), 1_000_000).await?;
    println!("due: {found} of 1,000,000 slots in {took:?}");
    remove(&path);
    Ok(())
}

fn open(path: &std::path::Path) -> SqliteLedger {
    SqliteLedger::open(path, Some("bench0"))
}

fn remove(path: &std::path::Path) {
    for end in ["", "-wal", "-shm", "-reserve"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        // What is not there need not be removed.
        let _ = std::fs::remove_file(name);
    }
}
