//! Every hold: how a slot comes to wait for a person, who is told of it, and that what helps does.

use std::sync::atomic::Ordering;

use connector::fake::{APP, GRACE};
use domain::{Secret, Span};
use operations::{
    Problem, SlotSpec, carry_out, everything_begun, judge_integration, observe_slot, withdraw,
};
use policy::{
    findings::{Condition, Severity},
    proof::Grade,
    rotation::Goal,
};
use secrets::{Document, Expect, Fault, Sink};

use crate::world::{Ending, Fuse, Moment, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const AT_ONCE: Goal = Goal::Rotate { to: 2, at_once: true };

/// What a person writes.
fn by_hand() -> Document {
    Document::default().with("password", Secret::new("theirs"))
}

/// A run that dies right before it writes to a consumer's sink for the nth time, or at its first call
/// for a key, which was done. The world is where the next run finds the claim silent.
pub(crate) async fn killed(
    way: &'static str,
    goal: Goal,
    at: &str,
    nth: usize,
    moment: Moment,
) -> World {
    for call in 1..40 {
        let world = World::new(way).await;
        if goal != FIRST {
            world.whole("before", FIRST).await;
        }
        let before = world.apps_versions().await;
        let fuse = Fuse::at(call, moment);
        if !matches!(world.run("killed", &fuse, goal).await, Ending::Killed) {
            continue;
        }
        let log = fuse.log();
        let written = world.apps_versions().await - before;
        let writes = log.iter().filter(|one| **one == "write").count();
        let delivers = written + 1 == nth as u64 && writes > nth;
        if log.last() == Some(&at) && (at != "write" || delivers) {
            world.clock.advance(Span::from_secs(601));
            return world;
        }
    }
    panic!("{way}: no such call");
}

/// Another credential of the same integration, which delivers to the anchor's place.
fn sibling(world: &World) -> SlotSpec {
    let mut other = world.spec();
    other.id.name = "other".into();
    other.deliveries.retain(|delivery| delivery.path == "apps/a");
    other
}

/// The world in which a rotation comes to this hold, and what was wanted.
async fn on_the_way_to(hold: &str) -> (World, Goal) {
    match hold {
        "verify-failed" => {
            let world = World::new("add-ours").await;
            world.whole("before", FIRST).await;
            world.fake.by_hand(APP, "sync", |hand| hand.enable(false));
            (world, SECOND)
        }
        "new-refused" => {
            let world = World::new("grace").await;
            world.whole("before", FIRST).await;
            world.fake.refuse_new(1);
            (world, SECOND)
        }
        "unexplained-credential" => {
            let world = killed("add-unmarked", SECOND, "issue", 1, Moment::After).await;
            world.fake.by_hand(APP, "sync", |hand| {
                hand.issue("theirs", None);
            });
            (world, SECOND)
        }
        "sink-changed-by-others" => {
            let world = killed("add-ours", SECOND, "write", 1, Moment::Before).await;
            world.apps.write("apps/b", &by_hand(), Expect::Version(1)).await.unwrap();
            (world, SECOND)
        }
        _ => {
            let world = killed("add-ours", FIRST, "write", 2, Moment::Before).await;
            match hold {
                "sink-occupied" => {
                    world.apps.write("apps/a", &by_hand(), Expect::Nothing).await.unwrap();
                }
                "another-slot" => {
                    let context = world.context("sibling", &Fuse::none());
                    carry_out(&context, &sibling(&world), FIRST, "test").await.unwrap();
                }
                _ => {
                    let mut theirs = World::new("add-ours").await;
                    theirs.realm = "other1";
                    theirs.apps = world.apps.clone();
                    theirs.places = vec!["apps/a"];
                    theirs.whole("theirs", FIRST).await;
                }
            }
            (world, FIRST)
        }
    }
}

/// What the table of the operator's guide says is to be done, but for asking again.
async fn helped(world: &mut World, hold: &str) {
    match hold {
        "verify-failed" => {
            world.fake.by_hand(APP, "sync", |hand| hand.enable(true));
        }
        // Whoever let the new one in again is asked by the next run.
        "new-refused" => world.clock.advance(GRACE),
        "unexplained-credential" => {
            let live = world.live().await;
            world.fake.by_hand(APP, "sync", |hand| {
                // Nobody needs either: whose they are was found out.
                for key_id in live.iter().skip(1) {
                    hand.end(key_id);
                }
            });
        }
        "sink-changed-by-others" => {}
        "another-slot" => {
            let context = world.context("taken out", &Fuse::none());
            let other = sibling(world);
            let left = withdraw(&context, &other, &other.deliveries).await.unwrap();
            assert!(left.written_over.is_empty(), "{left:?}");
        }
        _ => world.places = vec!["apps/c", "apps/b"],
    }
}

async fn refused(world: &World, run: &str, goal: Goal) -> Problem {
    match world.run(run, &Fuse::none(), goal).await {
        Ending::Done(Err(problem)) => problem,
        other => panic!("{run}: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_a_slot_waits_for_is_told_by_everybody_and_what_helps_helps() {
    for (hold, code) in [
        ("sink-changed-by-others", "E-SINK-CHANGED"),
        ("sink-occupied", "E-SINK-OCCUPIED"),
        ("another-slot", "E-SINK-OCCUPIED"),
        ("foreign-realm", "E-FOREIGN-REALM"),
        ("verify-failed", "E-VERIFY"),
        ("new-refused", "E-VERIFY"),
        ("unexplained-credential", "E-UNEXPLAINED"),
    ] {
        let (mut world, goal) = on_the_way_to(hold).await;
        let live = world.live().await;
        let problem = refused(&world, "comes to it", goal).await;
        assert_eq!(problem.code, code, "{hold}: {problem}");
        assert!(live.is_subset(&world.live().await), "{hold}: something was ended");

        // Plan, drift and recover name it to whoever looks.
        let context = world.context("looks", &Fuse::none());
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert_eq!((seen.status, seen.note.as_deref()), ("held", Some(hold)), "{hold}");
        let judged = judge_integration(&context, &world.wish()).await.unwrap();
        let told = judged.findings.iter().find(|(_, one)| one.rule == "held");
        let (_, told) = told.unwrap_or_else(|| panic!("{hold}: {judged:?}"));
        assert_eq!(told.condition, Condition::Unfinished, "{hold}");
        assert!(told.why.contains(hold) && told.why.contains("nhi recover"), "{hold}: {told:?}");
        let begun = everything_begun(&context).await.unwrap();
        let [open] = &begun[..] else { panic!("{hold}: {begun:?}") };
        assert_eq!((open.phase.as_str(), open.hold.as_deref()), ("held", Some(hold)));
        assert!(!open.at_work, "{hold}: nobody waits for whoever came to it");

        helped(&mut world, hold).await;
        let generation = if goal == FIRST { 1 } else { 2 };
        let outcome = world.whole("decided", goal).await;
        assert_eq!(outcome.generation, generation, "{hold}");
        assert!(world.works().await, "{hold}: what consumers read does not work");
        assert_eq!(world.pending().await, 0, "{hold}: a secret waits in custody");
        let context = world.context("looks", &Fuse::none());
        assert!(everything_begun(&context).await.unwrap().is_empty(), "{hold}: it stays open");
    }
}

/// No hold: nothing waits for a decision, and each run tries again.
#[tokio::test(start_paused = true)]
async fn a_sink_that_refuses_is_told_by_every_run_and_once_it_does_not_the_rotation_goes_on() {
    for way in ["add-ours", "add-marked"] {
        let world = World::new(way).await;
        let first = world.whole("before", FIRST).await;
        for run in ["a", "b", "c"] {
            world.apps.fail([Fault::Refused]);
            let problem = refused(&world, run, SECOND).await;
            assert_eq!(problem.code, "E-SINK", "{way} {run}: {problem}");
            assert_eq!(problem.attribute, ["deliver_to", "b"], "{way} {run}");
            assert!(world.works().await, "{way} {run}: consumers read what worked before");
            assert_eq!(world.live().await.len(), 2, "{way} {run}: no more are issued");
            world.clock.advance(Span::from_secs(601));
        }
        let context = world.context("looks", &Fuse::none());
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert_eq!(seen.status, "unfinished", "{way}");
        let judged = judge_integration(&context, &world.wish()).await.unwrap();
        let told = judged.findings.iter().any(|(_, one)| one.condition == Condition::Unfinished);
        assert!(told, "{way}: {judged:?}");
        assert_eq!(everything_begun(&context).await.unwrap().len(), 1, "{way}");
        let outcome = world.whole("d", SECOND).await;
        world.assert_at(&outcome, 2, way).await;
        let kept: Vec<_> = outcome.previous.iter().map(|one| Some(one.key_id.clone())).collect();
        assert_eq!(kept, [first.key_id], "{way}: the overlap begins when the last sink has it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_current_key_that_is_locked_out_while_an_end_is_shown_is_told_and_the_rotation_ends() {
    for (way, let_in) in [("add-ours", true), ("add-ours", false), ("add-marked", true)] {
        let how = format!("{way}, let in by a person: {let_in}");
        let mut world = World::new(way).await;
        // The lockout itself is one more than may come of our own.
        world.patience = 3;
        world.whole("before", FIRST).await;
        // What others were refused counts with ours.
        world.refusals.lock_at.store(2, Ordering::SeqCst);
        let problem = refused(&world, "proves", AT_ONCE).await;
        assert_eq!(problem.code, "E-LOCKED-OUT", "{how}: {problem}");
        let next = problem.next.as_deref().unwrap();
        assert!(next.contains("nhi doctor fake"), "{how}: {problem}");
        let context = world.context("looks", &Fuse::none());
        let open = everything_begun(&context).await.unwrap();
        assert_eq!(open.len(), 1, "{how}: it is not done");
        assert_eq!(open[0].hold.as_deref(), Some("probe-locked"), "{how}");
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert_eq!(seen.note.as_deref(), Some("probe-locked"), "{how}");

        // Nobody signs in while the platform may count it: not here, and not for another slot.
        let before = world.most_refusals();
        let mut other = world.spec();
        other.id.name = "other".into();
        other.deliveries.iter_mut().for_each(|delivery| delivery.path.push_str("-other"));
        let refused = carry_out(&context, &other, FIRST, "test").await.unwrap_err();
        assert_eq!(refused.code, "E-VERIFY", "{how}: {refused}");
        assert_eq!(world.most_refusals(), before, "{how}: one more sign-in was sent");

        world.refusals.lock_at.store(0, Ordering::SeqCst);
        if !let_in {
            world.clock.advance(Span::from_secs(900));
        }
        let outcome = world.recover(AT_ONCE).await;
        world.assert_at(&outcome, 2, &how).await;
        // Without a sign-in the listing is what shows it.
        let grade = if let_in { Grade::B } else { Grade::A };
        assert_eq!(outcome.revoked[0].grade, grade, "{how}");
        let context = world.context("looks", &Fuse::none());
        assert!(everything_begun(&context).await.unwrap().is_empty(), "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_anything_is_let_in_no_end_is_shown_by_use_and_everybody_is_told_until_it_is_not() {
    let told = async |world: &World| {
        let context = world.context("looks", &Fuse::none());
        let judged = judge_integration(&context, &world.wish()).await.unwrap();
        let found = judged.findings.iter().find(|(_, one)| one.rule == "accepts-anything");
        found.map(|(_, one)| one.clone())
    };
    for way in ["add-ours", "add-marked"] {
        let world = World::new(way).await;
        world.whole("first", FIRST).await;
        world.fake.accept_anything(true);
        let outcome = world.whole("second", AT_ONCE).await;
        assert_eq!(outcome.revoked[0].grade, Grade::B, "{way}: the listing is all that shows it");
        let found = told(&world).await.unwrap();
        assert_eq!((found.severity, found.condition), (Severity::High, Condition::Policy), "{way}");
        let kinds = world.kinds().await;
        assert!(kinds.contains(&"probe.accepts_anything".to_owned()), "{way}: {kinds:?}");

        world.fake.accept_anything(false);
        assert!(told(&world).await.is_some(), "{way}: nobody has looked again");
        let outcome = world.whole("third", Goal::Rotate { to: 3, at_once: true }).await;
        assert_eq!(outcome.revoked[0].grade, Grade::A, "{way}");
        assert_eq!(told(&world).await, None, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_key_that_a_hand_switched_off_is_ended_by_whoever_goes_on_without_it() {
    for way in ["add-ours", "add-marked", "add-unmarked", "slots"] {
        // No place that somebody reads has it.
        let world = killed(way, SECOND, "probe", 1, Moment::Before).await;
        let context = world.context("looks", &Fuse::none());
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        let current = seen.key_id.unwrap();
        let mut new = world.live().await;
        new.remove(&current);
        let new = new.pop_first().unwrap();
        world.fake.by_hand(APP, "sync", |hand| hand.switch(&new, false));
        let Ending::Done(Err(problem)) = world.run("asks", &Fuse::none(), SECOND).await else {
            panic!("{way}: it waits for a person");
        };
        assert_eq!(problem.code, "E-HELD", "{way}");
        // Who comes now has seen that.
        world.whole("goes on", SECOND).await;
        assert!(world.works().await, "{way}");
        let ends = world.entries().await.into_iter().filter(|one| one.kind == "attempt.ended");
        let ends = ends.filter(|one| one.step.as_deref() == Some("end"));
        let ended: Vec<_> = ends.map(|one| one.detail["key"].clone()).collect();
        assert_eq!(ended, [new.as_str()], "{way}");
        assert_eq!(world.live().await.len(), 2, "{way}: the new one and the earlier one");
    }
}
