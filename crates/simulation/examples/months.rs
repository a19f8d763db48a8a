//! Months of what works between applies, from seeds that nobody has tried, for as long as wanted: a part of
//! `cargo xtask torture`. Words: how many seconds, and the first seed; or one seed alone, to have it told.

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use simulation::months::{Life, lived};

fn main() -> ExitCode {
    let words: Vec<u64> = std::env::args().skip(1).filter_map(|one| one.parse().ok()).collect();
    let (seconds, first) = match words[..] {
        [seconds, first] => (seconds, first),
        [seed] => {
            let told = lived(seed, Life::of_seed(seed), true);
            println!("{}\n{:?}", told.words, told.broken);
            return told.broken.map_or(ExitCode::SUCCESS, |_| ExitCode::FAILURE);
        }
        _ => {
            eprintln!("error: SECONDS SEED, or SEED");
            return ExitCode::FAILURE;
        }
    };
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get()) as u64;
    let begun = Instant::now();
    let found = Mutex::new((0_u64, BTreeMap::<&str, u64>::new(), Vec::new()));
    println!("lives from seed {first} on, for {seconds} s, on {cores} threads");
    thread::scope(|scope| {
        for one in 0..cores {
            let found = &found;
            scope.spawn(move || {
                let mut nth = one;
                while begun.elapsed() < Duration::from_secs(seconds) {
                    let seed = first.wrapping_add(nth);
                    let told = lived(seed, Life::of_seed(seed), false);
                    let mut found = found.lock().unwrap_or_else(|broken| broken.into_inner());
                    found.0 += u64::from(Life::of_seed(seed).days);
                    for (what, times) in told.met {
                        *found.1.entry(what).or_default() += times;
                    }
                    if let Some(broken) = told.broken {
                        println!("BROKEN {broken}");
                        println!(
                            "NHI_TEST_SEED={seed} cargo test -p simulation --test months -- whatever \
                             --nocapture"
                        );
                        found.2.push(seed);
                    }
                    nth += cores;
                }
            });
        }
    });
    let (days, met, broken) = found.into_inner().unwrap_or_else(|broken| broken.into_inner());
    println!("{days} days in {:?}", begun.elapsed());
    for (what, times) in met {
        println!("  {times:9} {what}");
    }
    match broken.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
