//! Stories from seeds that nobody has tried, for as long as wanted: `cargo xtask torture` ends with
//! this. Two words: how many seconds, and the first seed.

use std::{
    collections::BTreeMap,
    fs,
    process::ExitCode,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use simulation::story::{Bounds, Coverage, ROUGH, Teller, Told, WAYS};

/// Ways whose marks tell two runs apart that take each other for dead.
const DUELS: [&str; 2] = ["add-ours", "add-marked"];
/// A call that came to an end less often than this is told: nothing is known of it.
const SELDOM: u64 = 100;
/// Where a story that breaks a promise is kept.
const KEPT: &str = "target/torture";

/// The ways in which a platform may switch one key off.
const CUTS: [&str; 4] = ["add-ours", "add-marked", "slots", "add-unmarked"];

/// What may happen in the nth story.
fn bounds(nth: u64) -> Bounds {
    let of = |all: u64, each: u64| usize::try_from(nth / each % all).unwrap_or_default();
    let way = WAYS[of(WAYS.len() as u64, 1)];
    let each = WAYS.len() as u64;
    let duel = DUELS.contains(&way) && of(5, each) == 0;
    let faults = [3, 6, 1, ROUGH][of(4, 5 * each)];
    // One in four where one key can be switched off, with the faults of a usual world.
    let cuts = !duel && CUTS.contains(&way) && of(4, 7) == 0;
    let faults = if cuts { faults.min(3) } else { faults };
    let runs = if duel { 2 } else { 1 + of(3, each) };
    Bounds { way: Some(way), runs, faults, duel, cuts, bug: None }
}

/// What all threads found.
#[derive(Default)]
struct Found {
    stories: u64,
    deeds: u64,
    coverage: Coverage,
    broken: Vec<String>,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).map_while(|word| word.parse::<u64>().ok());
    let (Some(seconds), Some(first)) = (words.next(), words.next()) else {
        eprintln!("error: SECONDS SEED");
        return ExitCode::FAILURE;
    };
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get()) as u64;
    let (begun, found) = (Instant::now(), Mutex::new(Found::default()));
    let over = || begun.elapsed() > Duration::from_secs(seconds);
    println!("stories from seed {first} on, for {seconds} s, on {cores} threads");
    thread::scope(|scope| {
        for one in 0..cores {
            let (found, over) = (&found, &over);
            scope.spawn(move || {
                let mut nth = one;
                while !over() {
                    // A teller's coverage grows: it is handed over and begun anew.
                    let mut teller = Teller::new();
                    let (from, pause) = (nth, Instant::now());
                    while !over() && pause.elapsed() < Duration::from_secs(1) {
                        let (bounds, seed) = (bounds(nth), first.wrapping_add(nth));
                        if let Err(told) = teller.seed(seed, &bounds) {
                            let what = keep(&bounds, seed, &told);
                            println!("BROKEN {what}");
                            lock(found).broken.push(what);
                        }
                        nth += cores;
                    }
                    let mut found = lock(found);
                    found.stories += (nth - from) / cores;
                    found.deeds += teller.deeds;
                    for (cell, times) in teller.coverage {
                        *found.coverage.entry(cell).or_default() += times;
                    }
                }
            });
        }
        scope.spawn(|| {
            let mut told = Instant::now();
            while !over() {
                thread::sleep(Duration::from_millis(200));
                if told.elapsed() > Duration::from_secs(30) {
                    told = Instant::now();
                    let found = lock(&found);
                    let at = begun.elapsed().as_secs();
                    println!("  {at:5} s: {} stories, {} deeds", found.stories, found.deeds);
                }
            }
        });
    });
    let found = found.into_inner().unwrap_or_default();
    tell(&found);
    if found.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn lock(found: &Mutex<Found>) -> std::sync::MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Keeps the smallest story that breaks it, and says in a line what to keep in the repository.
fn keep(bounds: &Bounds, seed: u64, told: &Told) -> String {
    let (way, broken) = (bounds.way.unwrap_or_default(), told.broken.clone().unwrap_or_default());
    let what = format!(
        "{way}, seed {seed}, {} at once, {} faults{}: {broken}",
        bounds.runs,
        bounds.faults,
        if bounds.duel { ", a duel" } else { "" }
    );
    let file = format!("{KEPT}/{way}-{seed}.txt");
    let text = format!("{what}\n{:?}\n{}", told.choices, told.words);
    match fs::create_dir_all(KEPT).and_then(|()| fs::write(&file, text)) {
        Ok(()) => format!("{what}\n  kept in {file}; put right, it becomes a row of BROKEN_ONCE"),
        Err(error) => format!("{what}\n  {file}: {error}\n{}", told.words),
    }
}

/// Of one way: how many kinds of calls and ends, how often, and which hardly ever.
#[derive(Default)]
struct Met {
    cells: usize,
    all: u64,
    seldom: Vec<(u64, String)>,
}

/// What was met, and what hardly was.
fn tell(found: &Found) {
    println!("{} stories, {} deeds, {} broken", found.stories, found.deeds, found.broken.len());
    let mut ways: BTreeMap<&str, Met> = BTreeMap::new();
    for ((way, call, fate, runs), times) in &found.coverage {
        let met = ways.entry(way).or_default();
        met.cells += 1;
        met.all += times;
        if *times < SELDOM {
            let cell = format!("{} {} {fate:?}, {runs} at once", call.what, call.phase);
            met.seldom.push((*times, cell));
        }
    }
    println!("coverage: calls by phase, end and number of runs");
    for (way, Met { cells, all, mut seldom }) in ways {
        seldom.sort();
        println!("  {way:<14} {cells:4} met {all} times, {} of them seldom", seldom.len());
        for (times, cell) in seldom.iter().take(5) {
            println!("      {times:3} {cell}");
        }
    }
    for broken in &found.broken {
        println!("BROKEN {broken}");
    }
}
