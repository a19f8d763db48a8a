//! Stories from seeds that nobody has tried, for as long as wanted: `cargo xtask torture` ends with
//! this. Words: how many seconds, the first seed, and, to tell of one alone, the way and the scene; or the
//! files of stories that were kept, to have them told once more.
//!
//! It fails where a promise is broken, and where a call that a story can meet came to one of its ends less
//! often than so: of that nothing is known. What is asked is less where there is less time.

use std::{
    fs,
    process::ExitCode,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use simulation::story::{
    Bounds, Coverage, Kept, Scene, Teller, Told, WAYS, reachable, seldom, unforeseen, unreachable,
};

/// So often every cell is met by so many stories as ten minutes have.
const LEAST: u64 = 100;
const TEN_MINUTES: u64 = 1_000_000;
/// Where a story that breaks a promise is kept.
const KEPT: &str = "target/torture";

/// What all threads found.
#[derive(Default)]
struct Found {
    stories: u64,
    deeds: u64,
    coverage: Coverage,
    broken: Vec<String>,
}

/// Of which way and scene alone.
#[derive(Clone, Copy, Default)]
struct Only {
    way: Option<&'static str>,
    scene: Option<Scene>,
}

impl Only {
    fn nth(self, nth: u64) -> Bounds {
        let suits = |way: &&str| self.scene.is_none_or(|scene| scene.suits(way));
        let ways: Vec<_> = match self.way {
            Some(way) => vec![way],
            None => WAYS.into_iter().filter(suits).collect(),
        };
        let many = ways.len() as u64;
        let way = ways[usize::try_from(nth % many).unwrap_or_default()];
        let bounds = Bounds::nth_of(way, nth / many);
        match self.scene {
            Some(scene) => bounds.about(scene),
            None => bounds,
        }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
    let (Some(seconds), Some(first)) = (number(0), number(1)) else {
        if words.first().is_some_and(|word| word.ends_with(".json")) {
            return again(&words);
        }
        eprintln!("error: SECONDS SEED [WAY [SCENE]], or FILE...");
        return ExitCode::FAILURE;
    };
    let only = Only {
        way: words.get(2).and_then(|word| WAYS.into_iter().find(|way| way == word)),
        scene: words
            .get(3)
            .and_then(|word| Scene::ALL.into_iter().find(|scene| scene.as_str() == word)),
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
                        let (bounds, seed) = (only.nth(nth), first.wrapping_add(nth));
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
    let covered = tell(&found, only);
    if found.broken.is_empty() && covered { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tells what was kept once more, as it is now.
fn again(files: &[String]) -> ExitCode {
    let mut broken = false;
    for file in files {
        let read = fs::read_to_string(file).map_err(|error| error.to_string());
        let told = read.and_then(|text| Kept::read(&text)).and_then(|kept| {
            let told = kept.again(&mut Teller::new())?;
            Ok(told.text())
        });
        broken |= told.is_err();
        match told {
            Ok(text) => println!("--- {file}: holds\n{text}"),
            Err(what) => println!("--- {file}: BROKEN {what}"),
        }
    }
    if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn lock(found: &Mutex<Found>) -> std::sync::MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Keeps the smallest story that breaks it, in words and as a file for the repository.
fn keep(bounds: &Bounds, seed: u64, told: &Told) -> String {
    let (way, broken) = (bounds.way, told.broken.clone().unwrap_or_default());
    let what = format!(
        "{way}, seed {seed}, {} at once, {} faults, {}: {broken}",
        bounds.runs,
        bounds.faults,
        bounds.scene.as_str()
    );
    let file = format!("{KEPT}/{way}-{seed}");
    let text = format!("{what}\n{:?}\n{}", told.choices, told.words);
    let write = || {
        fs::create_dir_all(KEPT)?;
        fs::write(format!("{file}.txt"), &text)?;
        fs::write(format!("{file}.json"), Kept::of("say what was wrong", bounds, told).text())
    };
    match write() {
        Ok(()) => format!(
            "{what}\n  in words in {file}.txt; put right, {file}.json goes to \
             crates/simulation/tests/regressions"
        ),
        Err(error) => format!("{what}\n  {file}: {error}\n{}", told.words),
    }
}

/// What was met, and what was met too seldom. Whether all was met often enough.
fn tell(found: &Found, only: Only) -> bool {
    println!("{} stories, {} deeds, {} broken", found.stories, found.deeds, found.broken.len());
    for broken in &found.broken {
        println!("BROKEN {broken}");
    }
    if only.scene.is_some() {
        return true;
    }
    let least = (found.stories * LEAST / TEN_MINUTES).min(LEAST);
    let of_way = |way: &str| only.way.is_none_or(|only| only == way);
    let all = reachable().into_iter().filter(|cell| of_way(cell.0)).count();
    let mut rare = seldom(&found.coverage, least.max(1));
    rare.retain(|(_, cell)| of_way(cell.0));
    let met: u64 = found.coverage.values().sum();
    println!(
        "coverage: {all} cells of way, call, end and number of runs, met {met} times; {} of them less \
         often than {least}",
        rare.len()
    );
    for (times, (way, call, fate, runs)) in rare.iter().take(60) {
        println!("  {times:3} {way}: {} {} {fate:?}, {runs} at once", call.what, call.phase);
    }
    for (way, call, fate, runs) in unforeseen(&found.coverage) {
        println!("  unforeseen {way}: {} {} {fate:?}, {runs} at once", call.what, call.phase);
    }
    println!("  {} cannot be met, each for a reason:", unreachable().len());
    for why in unreachable() {
        println!("    {why}");
    }
    rare.is_empty() && unforeseen(&found.coverage).is_empty()
}
