//! How many entries a second, in a ledger of any kind: what the numbers in the documentation were measured with.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ledger::{Actor, Change, Durability, Ledger, NewEntry, Range, Result, Slot, Verification};

/// An entry of about 300 bytes, as a step of a rotation writes.
pub fn typical(number: u64) -> NewEntry {
    let actor =
        Actor { program: "nhi/0.1.0".to_owned(), run: "tick-8f14e45f".to_owned(), principal: None };
    let mut entry = NewEntry::new(
        1_764_000_000_000,
        "rotation.promoted",
        format!("bao/openbao_approle/app-{:05}/credential/main", number % 5000),
    )
    .by(actor, "schedule".into());
    entry.rotation = Some(format!("rotation-{:08}", number / 15));
    entry.generation = Some(7);
    entry.outcome = Some("done".to_owned());
    entry
}

/// Durable appends a second from so many producers at once, each waiting for its receipt.
///
/// # Errors
///
/// Those of the ledger.
pub async fn appends<L: Ledger + 'static>(
    ledger: L,
    producers: usize,
    time: Duration,
) -> Result<f64> {
    let ledger = Arc::new(ledger);
    ledger.append(vec![typical(0)], Durability::Durable).await?;
    let started = Instant::now();
    let tasks: Vec<_> = (0..producers as u64)
        .map(|producer| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move {
                let mut kept = 0u64;
                while started.elapsed() < time {
                    let entry = typical(producer * 1_000_000 + kept);
                    ledger.append(vec![entry], Durability::Durable).await?;
                    kept += 1;
                }
                Ok::<u64, ledger::Error>(kept)
            })
        })
        .collect();
    let mut kept = 0;
    for task in tasks {
        kept += task.await.map_err(|_| ledger::Error::Closed { place: ledger.place() })??;
    }
    let seconds = started.elapsed().as_secs_f64();
    ledger.close().await?;
    Ok(kept as f64 / seconds)
}

/// Fills a ledger with so many entries and verifies all of it: entries a second, bytes a body.
///
/// # Errors
///
/// Those of the ledger.
pub async fn verifies<L: Ledger>(ledger: L, entries: u64) -> Result<(f64, Verification)> {
    let mut number = 0;
    while number < entries {
        let end = (number + 5000).min(entries);
        let batch = (number..end).map(typical).collect();
        ledger.append(batch, Durability::RideAlong).await?;
        number = end;
    }
    let started = Instant::now();
    let found = ledger.verify(Range::ALL).await?;
    let seconds = started.elapsed().as_secs_f64();
    ledger.close().await?;
    Ok((found.entries as f64 / seconds, found))
}

/// Fills a ledger with so many slots, one in a hundred of them due, and asks which are: the slots
/// found and how long it took.
///
/// # Errors
///
/// Those of the ledger.
pub async fn due<L: Ledger>(ledger: L, slots: u64) -> Result<(usize, Duration)> {
    const NOW: i64 = 1_764_000_000_000;
    let slot = |number: u64| {
        Change::Slot(Slot {
            integration: format!("bao/openbao_approle/app-{number:07}"),
            name: "main".to_owned(),
            generation: 1,
            epoch: 1,
            status: "scheduled".to_owned(),
            next_due_at: Some(if number.is_multiple_of(100) { NOW - 1 } else { NOW + 1 }),
            ..Slot::default()
        })
    };
    let mut number = 0;
    while number < slots {
        let end = (number + 10_000).min(slots);
        let numbers: Vec<u64> = (number..end).collect();
        let entries = numbers
            .chunks(10)
            .map(|part| NewEntry {
                changes: part.iter().copied().map(slot).collect(),
                ..typical(part[0])
            })
            .collect();
        ledger.append(entries, Durability::RideAlong).await?;
        number = end;
    }
    let started = Instant::now();
    let found = ledger.due(NOW).await?.len();
    let took = started.elapsed();
    ledger.close().await?;
    Ok((found, took))
}
