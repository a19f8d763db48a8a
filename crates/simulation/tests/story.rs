//! The product's own deeds in a world that chooses. `NHI_TEST_SEEDS` tells more stories.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use simulation::{
    ports::{Bug, Fate},
    story::{Bounds, ROUGH, Teller, WAYS},
};

/// How many stories are told of one kind.
fn seeds(usual: u64) -> u64 {
    let asked = std::env::var("NHI_TEST_SEEDS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(usual)
}

/// So many stories of one way to issue; whoever tells them knows what was met on the way.
fn all_hold(way: &'static str, runs: usize) -> Teller {
    let bounds = Bounds { way: Some(way), runs, faults: 3, duel: false, cuts: false, bug: None };
    let mut teller = Teller::new();
    let begun = Instant::now();
    for seed in 0..seeds(120) {
        if let Err(told) = teller.seed(seed, &bounds) {
            let broken = told.broken.unwrap_or_default();
            panic!("{way}, seed {seed}: {broken}\n{:?}\n{}", told.choices, told.words);
        }
    }
    let (deeds, cells, took) = (teller.deeds, teller.coverage.len(), begun.elapsed());
    println!("{way}, {runs} at once: {deeds} deeds, {cells} calls and ends, {took:?}");
    teller
}

/// What the stories met: a teller that never comes somewhere shows nothing of it.
fn were_met(way: &str, teller: &Teller, met: &[(&str, Fate)]) {
    for (what, fate) in met {
        let found =
            teller.coverage.keys().any(|(_, call, end, _)| call.what == *what && end == fate);
        assert!(found, "{way}: no story in which {what} comes to {fate:?}");
    }
}

const EVERYWHERE: [(&str, Fate); 11] = [
    ("read claim", Fate::DiesBefore),
    ("write claim", Fate::DiesBefore),
    ("write claim", Fate::DiesAfter),
    ("write claim", Fate::AnswerLost),
    ("write claim", Fate::RequestLost),
    ("write sink", Fate::Done),
    ("issue", Fate::Done),
    ("sign in", Fate::FalselyRefused),
    ("journal", Fate::NotKept),
    ("list keys", Fate::NotKept),
    ("journal", Fate::DiesAfter),
];

#[test]
fn whatever_happens_to_one_run_at_a_time_no_promise_is_broken() {
    for way in WAYS {
        were_met(way, &all_hold(way, 1), &EVERYWHERE[5..7]);
    }
}

#[test]
fn whatever_happens_to_three_runs_at_once_no_promise_is_broken() {
    let mut all = Teller::new();
    for way in WAYS {
        let teller = all_hold(way, 3);
        were_met(way, &teller, &EVERYWHERE[5..7]);
        for (cell, times) in teller.coverage {
            *all.coverage.entry(cell).or_default() += times;
        }
    }
    were_met("all ways", &all, &EVERYWHERE);
}

#[test]
fn where_half_of_what_is_made_is_useless_and_people_write_over_it_no_promise_is_broken() {
    for way in WAYS {
        for (runs, duel) in [(1, false), (2, false), (2, true)] {
            // Two that take each other for dead are told apart by marks alone.
            if duel && !way.starts_with("add-m") && way != "add-ours" {
                continue;
            }
            let bounds =
                Bounds { way: Some(way), runs, faults: ROUGH, duel, cuts: false, bug: None };
            let mut teller = Teller::new();
            for seed in 0..seeds(60) {
                if let Err(told) = teller.seed(seed, &bounds) {
                    let broken = told.broken.unwrap_or_default();
                    panic!("{way}, seed {seed}: {broken}\n{:?}\n{}", told.choices, told.words);
                }
            }
            let met =
                if duel { ("sign in", Fate::FalselyRefused) } else { ("issue", Fate::Useless) };
            were_met(way, &teller, &[met]);
        }
    }
}

/// Seeds in which a promise was broken once, with what was wrong.
const BROKEN_ONCE: [(&str, &str, usize, u64); 2] = [
    ("what a listing with a gap did not show was taken for new", "add-unmarked", 1, 2163),
    ("the only key, whose answer was lost, was nobody's after a refusal", "first-only", 1, 2498),
];

#[test]
fn what_broke_a_promise_once_breaks_none_any_more() {
    for (what, way, runs, seed) in BROKEN_ONCE {
        let bounds =
            Bounds { way: Some(way), runs, faults: 3, duel: false, cuts: false, bug: None };
        if let Err(told) = Teller::new().seed(seed, &bounds) {
            panic!("{what}: {}\n{}", told.broken.unwrap_or_default(), told.words);
        }
    }
}

/// Where it shows soonest, and from which seed on: the search from the first one takes longer.
fn shows(bug: Bug) -> (Bounds, u64) {
    let all = Bounds {
        way: Some("add-marked"),
        runs: 2,
        faults: 3,
        duel: false,
        cuts: false,
        bug: Some(bug),
    };
    let duel = Bounds { duel: true, ..all };
    match bug {
        Bug::NothingIsWaitedFor => (Bounds { way: Some("add-unmarked"), ..all }, 280),
        Bug::EveryEpochLooksOld | Bug::TakingOverKeepsTheEpoch => (duel, 100),
        Bug::APromoteReplacesWhateverIsThere => (duel, 3170),
        Bug::TheListingIsOlderThanTheClaim => (all, 1050),
        Bug::AFenceStopsNobody => (Bounds { faults: ROUGH, ..duel }, 3170),
        Bug::RefusalsAreNotCounted => (Bounds { runs: 1, faults: ROUGH, ..all }, 0),
        Bug::WhatAPersonWroteIsWrittenOver => (Bounds { faults: ROUGH, ..all }, 0),
        Bug::NobodyIsWatchedFor => (Bounds { cuts: true, ..all }, 0),
        _ => (all, 0),
    }
}

#[test]
fn whatever_happens_in_a_soft_cut_nobody_is_cut_off_for_good_before_they_could_be_heard_of() {
    for way in ["add-ours", "add-marked", "slots", "add-unmarked"] {
        for runs in [1, 3] {
            let bounds =
                Bounds { way: Some(way), runs, faults: 3, duel: false, cuts: true, bug: None };
            let mut teller = Teller::new();
            for seed in 0..seeds(120) {
                if let Err(told) = teller.seed(seed, &bounds) {
                    let broken = told.broken.unwrap_or_default();
                    panic!("{way}, seed {seed}: {broken}\n{:?}\n{}", told.choices, told.words);
                }
            }
            for what in ["disable", "enable", "end"] {
                were_met(way, &teller, &[(what, Fate::Done)]);
            }
        }
    }
}

/// What this thread has had of a processor: a busy machine makes no search weaker.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[test]
fn a_rule_that_is_forgotten_is_found_within_a_minute() {
    let mut unseen = Vec::new();
    for bug in Bug::ALL {
        let (bounds, first) = shows(bug);
        let begun = worked();
        let minute = begun + Duration::from_secs(60);
        let mut teller = Teller::new();
        let found = (first..).take_while(|_| worked() < minute).find_map(|seed| {
            let told = teller.tell(simulation::choices::Choices::of_seed(seed), &bounds);
            // What a person loses is a promise of its own.
            let theirs = bug == Bug::WhatAPersonWroteIsWrittenOver;
            let broken = told.broken.filter(|broken| !theirs || broken.starts_with("R11"));
            broken.map(|broken| (seed, broken))
        });
        println!("{bug:?}: {found:?} after {:?}", worked() - begun);
        if found.is_none() {
            unseen.push(bug);
        }
    }
    assert!(unseen.is_empty(), "nobody found {unseen:?}");
}
