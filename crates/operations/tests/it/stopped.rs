//! A run that is asked to stop: it does when nothing is half done, says so, and is waited for by nobody.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use connector::{
    Clock, Refusal,
    fake::{Fault, Verb},
};
use operations::{Context, Outcome, Problem, StopSign, carry_out, observe_slot};
use policy::{duty::Task, rotation::Goal};

use crate::world::{Ending, Fuse, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const AT_ONCE: Goal = Goal::Rotate { to: 2, at_once: true };
const WAYS: [&str; 7] =
    ["add-ours", "add-marked", "add-unmarked", "slots", "grace", "replace-ours", "replace-once"];

/// A run that is asked to stop before its nth step.
fn asked_at(world: &World, run: &str, nth: u32) -> Context {
    let looks = Arc::new(AtomicU32::new(0));
    let stop = StopSign::of(move || looks.fetch_add(1, Ordering::SeqCst) + 1 >= nth);
    Context { stop, ..world.context(run, &Fuse::none()) }
}

#[tokio::test(start_paused = true)]
async fn whenever_it_is_asked_to_stop_consumers_have_what_works_and_the_next_run_goes_on_at_once() {
    for way in WAYS {
        for (goal, from) in [(FIRST, 0), (SECOND, 1), (AT_ONCE, 1)] {
            for nth in 1.. {
                let world = World::new(way).await;
                if from == 1 {
                    world.whole("a", FIRST).await;
                }
                let live = world.live().await;
                let spec = world.spec();
                let done = carry_out(&asked_at(&world, "stops", nth), &spec, goal, "test").await;
                let how = format!("{way} {goal:?}, asked to stop before step {nth}");
                let Err(problem) = done else {
                    assert!(nth > 2, "{how}: it never stopped");
                    break;
                };
                assert_eq!(problem.code, "E-STOPPED", "{how}: {problem}");
                assert!(problem.next.as_deref().unwrap().contains("apply again"), "{how}");
                assert!(from == 0 || world.works().await, "{how}: {problem}");
                // No key was made whose secret nobody has.
                let made = world.live().await.difference(&live).count();
                assert!(
                    made <= 1 && (made == 0 || world.pending().await == 1 || world.works().await)
                );
                let context = world.context("looks", &Fuse::none());
                let seen = observe_slot(&context, &spec).await.unwrap().unwrap();
                assert_ne!(seen.status, "rotating", "{how}: nobody is at work");
                let owes = seen.owed.is_due(Task::Finish);
                assert_eq!(
                    owes,
                    seen.status == "unfinished",
                    "{how}: whoever comes next finishes it"
                );
                // Nobody waits for who has stopped: only for what may be on its way.
                let before = world.clock.now();
                let done = world.whole("goes on", goal).await;
                let waited = world.clock.now().duration_since(before).as_secs();
                assert!(waited == 0 || !world.fences() && waited <= 61, "{how}: {waited}s");
                world.clock.advance(OVERLAP);
                let to = if goal == FIRST { 1 } else { 2 };
                let ended = world.whole("ends", Goal::Retire { at: to }).await;
                assert_eq!(done.generation, to, "{how}");
                world.assert_at(&ended, to, &how).await;
            }
        }
    }
}

/// What a second run does at once after one that met this and failed: how long it waited, and its end.
async fn after_failing(
    way: &'static str,
    goal: Goal,
    (verb, faults): (Verb, &[Fault]),
) -> (World, i64, Result<Outcome, Problem>) {
    let world = World::new(way).await;
    world.whole("a", FIRST).await;
    world.fake.fail(verb, faults.iter().copied());
    match world.run("fails", &Fuse::none(), goal).await {
        Ending::Done(Err(problem)) => assert_ne!(problem.code, "E-BUSY", "{way}: {problem}"),
        other => panic!("{way} {verb:?}: {other:?}"),
    }
    world.fake.heal();
    world.forget_refusals();
    let before = world.clock.now();
    let done = match world.run("at once", &Fuse::none(), goal).await {
        Ending::Done(done) => done,
        Ending::Killed => panic!("{way}: nobody kills it"),
    };
    let waited = world.clock.now().duration_since(before).as_secs();
    (world, waited, done)
}

#[tokio::test(start_paused = true)]
async fn who_failed_and_had_every_answer_is_waited_for_by_nobody() {
    let nothing_sent = [Fault::NotSent; 9];
    let refused = [Fault::Refused(Refusal::Forbidden); 9];
    for way in WAYS {
        for (verb, goal, faults) in [
            (Verb::Probe, SECOND, &nothing_sent[..]),
            (Verb::Issue, SECOND, &refused[..]),
            (Verb::End, AT_ONCE, &refused[..]),
        ] {
            if verb == Verb::End && (way.starts_with("replace-") || way == "grace") {
                continue;
            }
            let how = format!("{way} {verb:?}");
            let (world, waited, done) = after_failing(way, goal, (verb, faults)).await;
            let done = done.unwrap_or_else(|problem| panic!("{how}: {problem}"));
            // What may be on its way still is waited for where nothing fences it, and no claim.
            assert!(waited == 0 || !world.fences() && waited <= 61, "{how}: {waited}s");
            world.assert_at(&done, 2, &how).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_failed_and_lost_an_answer_is_waited_for_as_one_who_is_at_work() {
    let lost = [Fault::RequestLost; 3];
    let (_, waited, done) = after_failing("add-marked", SECOND, (Verb::Issue, &lost)).await;
    let busy = done.as_ref().is_err_and(|problem| problem.code == "E-BUSY");
    assert!(busy || waited >= 60, "{waited}s: {done:?}");
}
