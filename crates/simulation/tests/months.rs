//! Months of what works between applies. `NHI_TEST_SEED` lives one of them alone, and tells it;
//! `NHI_TEST_SEEDS` lives more.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use simulation::months::{LAPSES, Life, Lived, lived};

/// Somewhat more than three months.
const DAYS: u32 = 100;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// One life; what is broken in it is told whole, with the line that tells it again.
fn tell(seed: u64, life: Life) -> Lived {
    let lived_quietly = lived(seed, life, false);
    if lived_quietly.broken.is_none() {
        return lived_quietly;
    }
    let again = lived(seed, life, true);
    let broken = again.broken.unwrap_or_else(|| "nothing, the second time".to_owned());
    let lines: Vec<&str> = again.words.lines().collect();
    let last = lines.len().saturating_sub(120);
    panic!(
        "{}\n{broken}\nNHI_TEST_SEED={seed} cargo test -p simulation --test months -- whatever \
         --nocapture",
        lines[last..].join("\n")
    );
}

/// So many lives on two threads, and what was met in them.
fn tell_all(from: u64, many: u64, life: fn(u64) -> Life) -> BTreeMap<&'static str, u64> {
    let threads: Vec<_> = (0..2)
        .map(|one| {
            thread::spawn(move || {
                let mut met = BTreeMap::new();
                for seed in (from..from + many).filter(|seed| seed % 2 == one) {
                    for (what, times) in tell(seed, life(seed)).met {
                        *met.entry(what).or_insert(0) += times;
                    }
                }
                met
            })
        })
        .collect();
    let mut all = BTreeMap::new();
    for thread in threads {
        for (what, times) in thread.join().expect("no promise is broken") {
            *all.entry(what).or_insert(0) += times;
        }
    }
    all
}

#[test]
fn whatever_happens_for_months_no_promise_of_what_works_between_applies_is_broken() {
    if let Some(seed) = number("NHI_TEST_SEED") {
        let one = lived(seed, Life::of_seed(seed), true);
        println!("{}\n{:?}\n{:?}", one.words, one.met, one.broken);
        assert_eq!(one.broken, None);
        return;
    }
    let begun = Instant::now();
    let many = number("NHI_TEST_SEEDS").unwrap_or(8);
    let met = tell_all(0, many, Life::of_seed);
    println!("{many} lives, {:?}: {met:?}", begun.elapsed());
    for what in [
        "rotations",
        "what is owed",
        "switches turned off",
        "temporary scopes taken away",
        "deaths",
        "applies",
        "looks that say clean",
        "clocks that are wrong",
        "places that are away",
        "owners who leave",
        "changes by hand",
        "what failed",
    ] {
        assert!(met.contains_key(what), "no life in which there are {what}: {met:?}");
    }
    // What waits for a person is excused from its deadlines: that may not be most of it.
    let waits = met.get("waits for a person").copied().unwrap_or_default();
    assert!(waits * 20 < met["ticks"] * 5, "{met:?}");
}

#[test]
fn where_nothing_goes_wrong_all_is_rotated_in_time_and_nobody_is_asked() {
    let calm = |_| Life { faults: false, hands: false, ..Life::of(DAYS) };
    let met = tell_all(0, 4, calm);
    assert!(!met.contains_key("waits for a person"), "{met:?}");
    assert!(!met.contains_key("what failed"), "{met:?}");
    // Five integrations, every fourteen days.
    assert!(met["rotations"] >= 4 * 5 * 6 - 8, "{met:?}");
}

#[test]
fn a_life_is_the_same_each_time_it_is_told() {
    let (one, other) = (lived(7, Life::of(30), true), lived(7, Life::of(30), true));
    assert_eq!(one.words, other.words);
    assert!(one.words.lines().count() > 100, "{}", one.words);
}

/// What this thread has had of a processor: a busy machine makes no search weaker.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[test]
fn what_somebody_forgets_of_what_works_between_applies_is_found_within_a_minute() {
    let searches = LAPSES.map(|(lapse, promise)| {
        thread::spawn(move || {
            let begun = worked();
            let life = |seed| Life { lapse: Some(lapse), ..Life::of_seed(seed) };
            let found =
                (0..).take_while(|_| worked() - begun < Duration::from_secs(60)).find_map(|seed| {
                    Some((
                        seed,
                        lived(seed, life(seed), false)
                            .broken
                            .filter(|one| one.starts_with(promise))?,
                    ))
                });
            // Whoever runs in the way of others is told by what their own runs say.
            println!("{lapse:?}: {found:?} after {:?}", worked() - begun);
            found.is_none().then_some(lapse)
        })
    });
    let unseen: Vec<_> =
        searches.into_iter().filter_map(|one| one.join().expect("it ends")).collect();
    assert!(unseen.is_empty(), "nobody found {unseen:?}");
}
