//! The product's own deeds in a world that chooses. `NHI_TEST_SEEDS` tells more stories.

use std::{thread, time::Instant};

use simulation::{
    choices::Choices,
    ports::Fate,
    story::{Bounds, Coverage, ROUGH, Scene, Teller, WAYS, reachable, seldom, unforeseen},
};

/// How many stories are told of one kind.
fn seeds(usual: u64) -> u64 {
    let asked = std::env::var("NHI_TEST_SEEDS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(usual)
}

/// So many stories of one kind; whoever tells them knows what was met on the way.
fn all_hold(bounds: Bounds, many: u64) -> Teller {
    let mut teller = Teller::new();
    let begun = Instant::now();
    for seed in 0..seeds(many) {
        if let Err(told) = teller.seed(seed, &bounds) {
            let broken = told.broken.unwrap_or_default();
            panic!("{bounds:?}, seed {seed}: {broken}\n{:?}\n{}", told.choices, told.words);
        }
    }
    let (deeds, cells, took) = (teller.deeds, teller.coverage.len(), begun.elapsed());
    println!("{bounds:?}: {deeds} deeds, {cells} calls and ends, {took:?}");
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
        were_met(way, &all_hold(Bounds::of(way, 1, 3), 120), &EVERYWHERE[5..7]);
    }
}

#[test]
fn whatever_happens_to_three_runs_at_once_no_promise_is_broken() {
    let mut all = Teller::new();
    for way in WAYS {
        let teller = all_hold(Bounds::of(way, 3, 3), 120);
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
        for (runs, scene) in [(1, Scene::Usual), (2, Scene::Usual), (2, Scene::Duel)] {
            if scene.suits(way) {
                let teller = all_hold(Bounds::of(way, runs, ROUGH).about(scene), 60);
                let met = match scene {
                    Scene::Duel => ("sign in", Fate::FalselyRefused),
                    _ => ("issue", Fate::Useless),
                };
                were_met(way, &teller, &[met]);
            }
        }
    }
}

#[test]
fn whatever_happens_in_a_soft_cut_nobody_is_cut_off_for_good_before_they_could_be_heard_of() {
    for way in WAYS.into_iter().filter(|way| Scene::Cut.suits(way)) {
        for runs in [1, 3] {
            let teller = all_hold(Bounds::of(way, runs, 3).about(Scene::Cut), 120);
            for what in ["disable", "enable", "end"] {
                were_met(way, &teller, &[(what, Fate::Done)]);
            }
        }
    }
}

#[test]
fn two_slots_of_one_integration_never_end_each_other_s_keys() {
    for way in WAYS.into_iter().filter(|way| Scene::Beside.suits(way)) {
        for runs in [1, 2, 3] {
            let teller = all_hold(Bounds::of(way, runs, 3).about(Scene::Beside), 40);
            were_met(way, &teller, &EVERYWHERE[5..7]);
        }
    }
}

#[test]
fn whatever_people_do_by_hand_and_whatever_is_lost_a_rotation_puts_it_right_or_says_why_not() {
    for way in WAYS {
        for runs in [1, 2] {
            all_hold(Bounds::of(way, runs, 3).about(Scene::Hands), 40);
        }
    }
}

#[test]
fn whoever_is_asked_to_stop_leaves_nothing_half_done_and_the_next_one_goes_on_at_once() {
    for way in WAYS {
        for (runs, faults) in [(1, 0), (1, 3), (3, 3)] {
            let teller = all_hold(Bounds::of(way, runs, faults).about(Scene::Stopped), 40);
            assert!(teller.codes.contains_key("E-STOPPED"), "{way}: nobody stopped");
        }
    }
}

#[test]
fn while_a_place_takes_nothing_nobody_is_cut_off_and_when_it_does_the_next_run_ends_it() {
    for way in WAYS {
        for (runs, faults) in [(1, 0), (1, 3), (3, 3)] {
            let teller = all_hold(Bounds::of(way, runs, faults).about(Scene::Shut), 40);
            // Where the earlier one is dead no person is waited for.
            let says = if way.starts_with("replace-") { "E-SINK" } else { "E-SINK-REFUSES" };
            assert!(teller.codes.contains_key(says), "{way}: {:?}", teller.codes);
        }
    }
}

#[test]
fn who_does_only_what_is_due_ends_what_was_begun_and_cuts_nobody_off_who_is_slow_to_read() {
    for way in WAYS {
        for (runs, faults) in [(1, 3), (3, 3)] {
            all_hold(Bounds::of(way, runs, faults).about(Scene::Due), 40);
        }
    }
}

#[test]
fn of_what_is_taken_out_of_service_nothing_works_in_the_end_and_nothing_comes_back() {
    for way in WAYS {
        for (runs, faults) in [(1, 3), (3, 3)] {
            let teller = all_hold(Bounds::of(way, runs, faults).about(Scene::Out), 40);
            were_met(way, &teller, &[("modify", Fate::Done)]);
        }
    }
}

#[test]
fn what_a_person_wrote_into_a_place_works_on_and_is_the_current_one_by_their_word() {
    for way in WAYS.into_iter().filter(|way| Scene::Theirs.suits(way)) {
        for (runs, faults) in [(1, 0), (1, 3), (3, 3)] {
            let teller = all_hold(Bounds::of(way, runs, faults).about(Scene::Theirs), 60);
            assert!(teller.codes.contains_key("E-SINK-CHANGED"), "{way}: nobody saw it");
        }
    }
}

/// So many stories of all kinds on each of two threads, and how much of what can be met they meet: `cargo
/// xtask torture` asks a hundred times for each.
const SHARE: u64 = 1_000;
const MET: usize = 35;

#[test]
fn stories_of_all_kinds_break_no_promise_and_come_everywhere() {
    let threads = (0..2).map(|one| {
        thread::spawn(move || {
            let mut teller = Teller::new();
            for nth in (0..seeds(SHARE)).map(|nth| 2 * nth + one) {
                let told = teller.tell(Choices::of_seed(nth), &Bounds::nth(nth));
                if let Some(broken) = told.broken {
                    panic!("{:?}, seed {nth}: {broken}\n{}", Bounds::nth(nth), told.words);
                }
            }
            teller.coverage
        })
    });
    let threads: Vec<_> = threads.collect();
    let mut coverage = Coverage::new();
    for thread in threads {
        for (cell, times) in thread.join().expect("no promise is broken") {
            *coverage.entry(cell).or_default() += times;
        }
    }
    let (all, never) = (reachable().len(), seldom(&coverage, 1));
    println!("{} of {all} cells of way, call, end and number of runs are met", all - never.len());
    assert!((all - never.len()) * 100 >= all * MET, "{never:?}");
    assert_eq!(unforeseen(&coverage), [], "it is said that nothing comes there");
}
