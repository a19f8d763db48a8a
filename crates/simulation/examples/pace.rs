//! How many simulated rotations there are in a second: `cargo xtask bench rotate` ends with this.

use std::{
    thread,
    time::{Duration, Instant},
};

use simulation::{
    choices::Choices,
    story::{Bounds, Teller, WAYS},
};

/// How long each way is told of.
const FOR: Duration = Duration::from_secs(5);

/// Stories of one way from a seed on, and how many deeds they had.
fn told(way: &'static str, from: u64, faults: usize) -> u64 {
    let bounds = Bounds { way: Some(way), runs: 3, faults, duel: false, bug: None };
    let mut teller = Teller::new();
    let begun = Instant::now();
    (from..).take_while(|_| begun.elapsed() < FOR).for_each(|seed| {
        teller.tell(Choices::of_seed(seed), &bounds);
    });
    teller.deeds
}

fn main() {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    println!("simulated rotations a second, {cores} threads, up to three runs at once:");
    let mut all = 0.0;
    for way in WAYS {
        let threads: Vec<_> = (0..cores as u64)
            .map(|one| thread::spawn(move || told(way, one * 1_000_000, 3)))
            .collect();
        let deeds: u64 = threads.into_iter().filter_map(|one| one.join().ok()).sum();
        let pace = deeds as f64 / FOR.as_secs_f64();
        println!("  {way:<14} {pace:7.0}");
        all += pace;
    }
    println!("  mean           {:7.0}   goal: at least 20,000", all / WAYS.len() as f64);
}
