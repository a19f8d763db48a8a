//! Every order of events, for every way in which a platform issues.

use std::collections::BTreeMap;

use policy::rotation::{Goal, Way};
use simulation::model::{Bounds, Events, search};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const AT_ONCE: Goal = Goal::Rotate { to: 2, at_once: true };
const RETIRE: Goal = Goal::Retire { at: 2 };
/// Any faults of four kinds, each once, so many of them together.
const fn faults(together: u8, takeovers: u8) -> Events {
    Events {
        crashes: 1,
        lost: 1,
        late: 1,
        false_refusals: 1,
        takeovers,
        humans: 0,
        ends: 0,
        refusals: 0,
        together,
    }
}

/// How often each step was decided on.
type Steps = BTreeMap<String, u64>;

fn all_hold(way: Way, has_first: bool, runs: &[&[Goal]], events: Events) -> Steps {
    searched(way, (has_first, false, false), runs, events)
}

fn searched(
    way: Way,
    (has_first, soft_cut, limits): (bool, bool, bool),
    runs: &[&[Goal]],
    events: Events,
) -> Steps {
    let wide = std::env::var_os("NHI_TEST_WIDE").is_some();
    let bounds = Bounds {
        way,
        has_first,
        soft_cut,
        limits,
        runs: runs.iter().map(|goals| goals.to_vec()).collect(),
        events: if wide && events.takeovers > 0 {
            Events { together: if events.takeovers > 1 { 1 } else { 2 }, ..events }
        } else {
            events
        },
        fine: wide,
        most: if wide { 20_000_000 } else { 1_000_000 },
    };
    let begun = std::time::Instant::now();
    let found = search(&bounds).unwrap_or_else(|broken| {
        panic!("{way:?} {runs:?}: {}\n{}", broken.promise, broken.trace);
    });
    let took = begun.elapsed();
    println!(
        "{way:?} {runs:?}: {} states, {} at rest, {} of them locked out, {took:?}",
        found.states, found.rests, found.locked_out
    );
    // A first one is made by its parent; another one dies with the answer that nobody heard.
    let lost = events.together > 0 && runs.iter().all(|goals| goals[0] != Goal::Revoke);
    assert_eq!(found.locked_out > 0, way.is_by_itself() && has_first && lost, "{way:?} {runs:?}");
    found.steps
}

/// Each of these was decided on somewhere: a search that does not come there shows nothing.
fn were_decided_on(steps: &[Steps], names: &[&str]) {
    for name in names {
        assert!(steps.iter().any(|one| one.contains_key(*name)), "{name} was never decided on");
    }
}

const WAYS: [Way; 10] = [
    Way::AddOurs,
    Way::AddMarked,
    Way::Slots,
    Way::AddUnmarked,
    Way::FirstOnly,
    Way::Grace,
    Way::ReplaceOurs,
    Way::ReplaceOnce,
    Way::ReplaceSelf { punishes_reuse: false },
    Way::ReplaceSelf { punishes_reuse: true },
];

#[test]
fn one_run_that_dies_or_hears_nothing_is_put_right_by_the_next() {
    for way in WAYS {
        let mut steps = vec![all_hold(way, false, &[&[FIRST]], faults(4, 0))];
        if way != Way::FirstOnly {
            steps.push(all_hold(way, true, &[&[SECOND, RETIRE]], faults(4, 0)));
            steps.push(all_hold(way, true, &[&[AT_ONCE]], faults(4, 0)));
            steps.push(all_hold(way, true, &[&[Goal::Revoke]], faults(4, 0)));
            were_decided_on(&steps, &["BeginEnding", "End", "Sweep", "Prove", "Close"]);
        }
        let all = ["Begin", "TakeOver", "Issue", "Verify", "Promote", "Park", "GiveUp"];
        were_decided_on(&steps, &all);
        // What makes its own successor is not called with once more where it could be dead.
        match way {
            Way::ReplaceSelf { punishes_reuse: false } => were_decided_on(&steps, &["Hold"]),
            Way::ReplaceSelf { .. } => were_decided_on(&steps, &["Hold", "BeginAgain"]),
            _ => were_decided_on(&steps, &["BeginAgain"]),
        }
        if !way.replaces() {
            were_decided_on(&steps, &["Fence", "EndNew"]);
        }
        if !way.is_ours() {
            were_decided_on(&steps, &["Store"]);
        }
        if way.is_timed() {
            were_decided_on(&steps, &["Settle"]);
        }
        if matches!(way, Way::AddMarked | Way::AddUnmarked | Way::Grace) {
            were_decided_on(&steps, &["EndOrphan"]);
        }
    }
}

/// Runs that read, act and take each other for dead in every order. With `NHI_TEST_WIDE` two faults
/// come together, and sink and listing are read one after the other: minutes.
fn two_runs(way: Way) {
    all_hold(way, true, &[&[SECOND], &[SECOND]], faults(1, 1));
    // Each takes the claim from the other in turn, where no time fences.
    if !way.is_timed() {
        all_hold(way, true, &[&[SECOND], &[SECOND]], faults(1, 2));
    }
    all_hold(way, true, &[&[SECOND], &[Goal::Revoke]], faults(u8::from(way.is_timed()), 0));
}

#[test]
fn two_runs_of_one_rotation_whose_secret_is_ours() {
    two_runs(Way::AddOurs);
}

#[test]
fn two_runs_of_one_rotation_that_marks_what_it_makes() {
    two_runs(Way::AddMarked);
}

#[test]
fn two_runs_of_one_rotation_that_only_time_fences() {
    let fenced = [Way::AddOurs, Way::AddMarked, Way::FirstOnly];
    for way in WAYS.into_iter().filter(|way| !fenced.contains(way)) {
        two_runs(way);
    }
}

#[test]
fn a_key_that_a_person_makes_at_any_moment_outlives_every_rotation() {
    let events = Events { humans: 1, ..faults(1, 0) };
    for way in [Way::AddOurs, Way::AddMarked, Way::AddUnmarked] {
        all_hold(way, true, &[&[SECOND, RETIRE]], events);
        all_hold(way, true, &[&[Goal::Revoke]], events);
    }
}

/// The rotation after the one whose overlap is under way.
const THIRD: Goal = Goal::Rotate { to: 3, at_once: false };

#[test]
fn an_earlier_key_that_is_all_that_works_stays_named_when_its_platform_refuses_another() {
    // A call that arrives after a person has ended what it made makes that once more: the person is right.
    let events = Events { ends: 1, refusals: 1, late: 0, ..faults(1, 0) };
    for way in [Way::AddOurs, Way::AddMarked, Way::AddUnmarked, Way::Slots] {
        all_hold(way, true, &[&[SECOND, THIRD]], events);
    }
}

/// Earlier keys are switched off for a while before they end: in these ways a platform may do so.
const CUTS: [Way; 4] = [Way::AddOurs, Way::AddMarked, Way::AddUnmarked, Way::Slots];
const CUT: Goal = Goal::Cut { at: 2, again: false };

#[test]
fn nobody_is_cut_off_for_good_before_the_soft_cut_is_over_and_a_word_undoes_it() {
    nobody_is_cut_off_for_good(false);
}

#[test]
fn what_somebody_needs_outlives_the_end_that_its_platform_was_told_of() {
    nobody_is_cut_off_for_good(true);
}

#[test]
fn an_earlier_key_ends_by_itself_after_its_overlap_and_never_within_it() {
    for way in CUTS {
        let all: [&[&[Goal]]; 3] = [&[&[SECOND, RETIRE]], &[&[SECOND], &[SECOND]], &[&[AT_ONCE]]];
        let mut steps = Vec::new();
        for runs in all {
            let events = if runs.len() == 1 { faults(4, 0) } else { faults(1, 1) };
            steps.push(searched(way, (true, false, true), runs, events));
        }
        were_decided_on(&steps, &["Park", "SetExpiry", "BeginEnding", "End", "Close"]);
    }
}

fn nobody_is_cut_off_for_good(limits: bool) {
    for way in CUTS {
        let all: [&[&[Goal]]; 6] = [
            &[&[CUT, RETIRE]],
            &[&[CUT, RETIRE], &[Goal::Reenable]],
            &[&[CUT, RETIRE], &[RETIRE]],
            &[&[CUT], &[THIRD]],
            &[&[CUT], &[Goal::Reenable, RETIRE]],
            &[&[CUT, AT_ONCE], &[Goal::Reenable]],
        ];
        // Where its platform is told of an end, those in which a word undoes it: the others grow too large.
        let few =
            |runs: &&&[&[Goal]]| !limits || runs.len() == 1 || runs[1].contains(&Goal::Reenable);
        let mut steps = Vec::new();
        for runs in all.iter().filter(few) {
            let events = if runs.len() == 1 { faults(4, 0) } else { faults(1, 1) };
            steps.push(searched(way, (true, true, limits), runs, events));
        }
        steps.push(searched(way, (true, true, limits), &[&[CUT], &[Goal::Revoke]], faults(1, 0)));
        let cuts = ["BeginCut", "Disable", "Watch", "BeginEnabling", "Enable", "Keep"];
        were_decided_on(&steps, &cuts);
        let others = ["Settle", "Hold", "Refuse", "BeginEnding", "End", "Close"];
        were_decided_on(&steps, if limits { &others[3..] } else { &others });
        assert!(!limits || steps.iter().any(|one| one.contains_key("SetExpiry")));
    }
}
