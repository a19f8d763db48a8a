//! Killed before and after every single call: the next run finishes, and nothing is lost or left.

use connector::fake::APP;
use domain::Span;
use operations::{SlotSpec, carry_out, goal_of_resume, meet, observe_slot};
use policy::{Schedule, proof::Grade, rotation::Goal};
use secrets::Sink;

use crate::world::{Ending, Fuse, Moment, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const AT_ONCE: Goal = Goal::Rotate { to: 2, at_once: true };
const WAYS: [&str; 8] = [
    "add-ours",
    "add-marked",
    "slots",
    "first-only",
    "add-unmarked",
    "grace",
    "replace-ours",
    "replace-once",
];
/// Ways that can make a second one.
const AGAIN: [&str; 7] =
    ["add-ours", "add-marked", "slots", "add-unmarked", "grace", "replace-ours", "replace-once"];
/// Ways by whose marks what was minted is found.
const MARKED: [&str; 2] = ["add-ours", "add-marked"];

/// What was there before, what is done, and what must be true after.
#[derive(Debug, Clone, Copy)]
struct Story {
    before: &'static [Goal],
    /// The overlap is over.
    late: bool,
    goal: Goal,
    generation: u64,
    previous: usize,
}

/// Tells a story with every possible interruption.
async fn tell(story: Story) {
    let first = story.before.len() + usize::from(story.goal != Goal::Revoke) == 1;
    for way in if first { &WAYS[..] } else { &AGAIN } {
        let mut interrupted = 0;
        'calls: for call in 1..200 {
            for moment in [Moment::Before, Moment::After] {
                let world = World::new(way).await;
                for goal in story.before {
                    world.whole("before", *goal).await;
                }
                if story.late {
                    world.clock.advance(OVERLAP);
                }
                let fuse = Fuse::at(call, moment);
                let ending = world.run("killed", &fuse, story.goal).await;
                let log = fuse.log();
                let how =
                    format!("{way} {:?}, killed {moment:?} call {call} of {log:?}", story.goal);
                match ending {
                    Ending::Killed => interrupted += 1,
                    Ending::Done(Ok(_)) => break 'calls,
                    Ending::Done(Err(problem)) => panic!("{how}: {problem:?}"),
                }
                // What a platform replaces in place is out of work until the next run.
                let keeps = !story.before.is_empty() && story.goal != Goal::Revoke;
                if keeps && !world.replaces() {
                    assert!(world.works().await, "{how}: nothing works right after");
                }
                let outcome = world.recover(story.goal).await;
                if story.goal == Goal::Revoke {
                    assert!(world.live().await.is_empty(), "{how}: something is alive");
                    assert_eq!(world.pending().await, 0, "{how}");
                    world.assert_revoked(&how).await;
                    continue;
                }
                world.assert_at(&outcome, story.generation, &how).await;
                let previous = if world.replaces() { 0 } else { story.previous };
                // Where an answer is lost, the second call ends it.
                let fits = |kept: usize| kept == previous || *way == "grace" && kept == 0;
                assert!(fits(outcome.previous.len()), "{how}: {:?}", outcome.previous);
                // And once more, by anybody: nothing is left to do.
                let again = world.whole("again", story.goal).await;
                world.assert_at(&again, story.generation, &format!("{how}, again")).await;
                assert_eq!(again.key_id, outcome.key_id, "{how}: a second run changed it");
            }
        }
        // What a platform replaces in place leaves nothing to retire.
        let idle = way.starts_with("replace-") && matches!(story.goal, Goal::Retire { .. });
        assert!(
            interrupted >= 8 || idle,
            "{way} {:?}: only {interrupted} interruptions",
            story.goal
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_credential() {
    tell(Story { before: &[], late: false, goal: FIRST, generation: 1, previous: 0 }).await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_with_overlap() {
    tell(Story { before: &[FIRST], late: false, goal: SECOND, generation: 2, previous: 1 }).await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_without_overlap() {
    tell(Story { before: &[FIRST], late: false, goal: AT_ONCE, generation: 2, previous: 0 }).await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_of_which_nothing_is_kept_needs_one_more_run_wherever_it_was_killed() {
    for way in AGAIN {
        let mut interrupted = 0;
        'calls: for call in 1..200 {
            for moment in [Moment::Before, Moment::After] {
                let world = World::new(way).await;
                let schedule = world.spec().schedule.unwrap();
                let schedule = Some(Schedule { overlap: Span::ZERO, ..schedule });
                let spec = SlotSpec { schedule, ..world.spec() };
                carry_out(&world.context("before", &Fuse::none()), &spec, FIRST, "test")
                    .await
                    .unwrap();
                let fuse = Fuse::at(call, moment);
                let context = world.context("killed", &fuse);
                tokio::select! {
                    biased;
                    done = carry_out(&context, &spec, AT_ONCE, "asked") => {
                        done.unwrap();
                        break 'calls;
                    }
                    () = fuse.died() => interrupted += 1,
                }
                world.clock.advance(Span::from_secs(1_000));
                let how = format!("{way}, killed {moment:?} call {call} of {:?}", fuse.log());
                // One more run, as an apply after a look, or as cron.
                let context = world.context("later", &Fuse::none());
                let killed = observe_slot(&context, &spec).await.unwrap().unwrap();
                let by_cron = call % 2 == 0 && killed.status == "unfinished";
                if by_cron {
                    meet(&context, &spec, true).await.unwrap();
                } else {
                    let (at, asked) = (killed.generation, killed.generation < 2);
                    let (goal, _) = goal_of_resume(&context, &spec, at, asked).await.unwrap();
                    assert_eq!(goal, AT_ONCE, "{how}");
                    carry_out(&context, &spec, goal, "asked").await.unwrap();
                }
                let seen = observe_slot(&context, &spec).await.unwrap().unwrap();
                assert_eq!((seen.generation, seen.previous.len()), (2, 0), "{how}");
                assert!(matches!(seen.status, "current" | "proof_due"), "{how}: {}", seen.status);
                assert!(world.works().await, "{how}: what consumers read does not work");
                assert_eq!(world.live().await.len(), 1, "{how}: {:?}", world.live().await);
            }
        }
        assert!(interrupted >= 8, "{way}: only {interrupted} interruptions");
    }
}

#[tokio::test(start_paused = true)]
async fn a_third_generation_while_the_first_still_lives() {
    let third = Goal::Rotate { to: 3, at_once: false };
    tell(Story { before: &[FIRST, SECOND], late: true, goal: third, generation: 3, previous: 1 })
        .await;
    let exposed = Goal::Rotate { to: 3, at_once: true };
    tell(Story {
        before: &[FIRST, SECOND],
        late: false,
        goal: exposed,
        generation: 3,
        previous: 0,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn retiring_when_the_overlap_is_over() {
    let before = &[FIRST, SECOND];
    tell(Story { before, late: true, goal: Goal::Retire { at: 2 }, generation: 2, previous: 0 })
        .await;
}

#[tokio::test(start_paused = true)]
async fn ending_everything() {
    let before = &[FIRST, SECOND];
    tell(Story { before, late: false, goal: Goal::Revoke, generation: 0, previous: 0 }).await;
    let before = &[FIRST];
    tell(Story { before, late: false, goal: Goal::Revoke, generation: 0, previous: 0 }).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_minted_from_a_key_ends_with_it_wherever_the_ending_stopped() {
    for way in MARKED {
        for call in 1..40 {
            for moment in [Moment::Before, Moment::After] {
                let world = World::new(way).await;
                world.whole("before", FIRST).await;
                let secret = world.delivered("apps/a").await.unwrap();
                let token = world.fake.sign_in(APP, "sync", &secret).unwrap();
                let fuse = Fuse::at(call, moment);
                if matches!(world.run("killed", &fuse, AT_ONCE).await, Ending::Done(_)) {
                    continue;
                }
                world.recover(AT_ONCE).await;
                let how = format!("{way}, killed {moment:?} call {call} of {:?}", fuse.log());
                assert!(!world.fake.works(token), "{how}: a token still works");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_ending_that_shows_late_is_waited_for_and_one_that_never_does_is_told_until_it_does() {
    for way in MARKED {
        let world = World::new(way).await;
        world.whole("a", FIRST).await;
        world.fake.end_late(Span::from_secs(75), Span::from_secs(36));
        let begun = tokio::time::Instant::now();
        let outcome = world.whole("b", AT_ONCE).await;
        assert_eq!(outcome.revoked[0].grade, Grade::A, "{way}");
        assert!(begun.elapsed().as_secs() >= 75, "{way}: proven before it could be");

        let world = World::new(way).await;
        world.whole("a", FIRST).await;
        world.fake.end_late(Span::from_secs(75), Span::from_secs(3_600));
        let Ending::Done(Err(problem)) = world.run("b", &Fuse::none(), AT_ONCE).await else {
            panic!("{way}: it is called proven")
        };
        assert_eq!(problem.code, "E-STILL-ACCEPTED", "{way}: {problem:?}");
        assert!(problem.detail.contains("after 1m15s"), "{way}: {problem:?}");
        let old = world.apps.read_version("apps/a", 1).await.unwrap();
        assert!(old.is_some(), "{way}: the secret that proves it is gone");
        assert!(world.works().await, "{way}: the new one does not work");
        world.clock.advance(Span::from_secs(3_600));
        let outcome = world.recover(AT_ONCE).await;
        assert_eq!(outcome.revoked[0].grade, Grade::A, "{way}");
        world.assert_at(&outcome, 2, way).await;
        let old = world.apps.read_version("apps/a", 1).await.unwrap();
        assert!(old.is_none(), "{way}: the old secret is still in the anchor");
    }
}

#[tokio::test(start_paused = true)]
async fn an_ending_is_proven_by_use_within_the_platforms_patience() {
    for way in AGAIN {
        let world = World::new(way).await;
        world.whole("a", FIRST).await;
        let outcome = world.whole("b", AT_ONCE).await;
        assert_eq!(outcome.revoked.len(), 1, "{way}");
        assert_eq!(outcome.revoked[0].grade, Grade::A, "{way}");
        world.assert_at(&outcome, 2, way).await;
        let old = world.apps.read_version("apps/a", 1).await.unwrap();
        assert!(old.is_none(), "{way}: the old secret is still in the anchor");
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_credential_that_is_revoked_wherever_its_making_stopped() {
    for way in WAYS {
        for call in 1..40 {
            for moment in [Moment::Before, Moment::After] {
                let world = World::new(way).await;
                let fuse = Fuse::at(call, moment);
                if matches!(world.run("killed", &fuse, FIRST).await, Ending::Done(_)) {
                    continue;
                }
                let how = format!("{way}, killed {moment:?} call {call} of {:?}", fuse.log());
                world.recover(Goal::Revoke).await;
                assert!(world.live().await.is_empty(), "{how}: something is alive");
                assert_eq!(world.pending().await, 0, "{how}");
                world.assert_revoked(&how).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_generation_that_no_state_has_heard_of_says_what_it_was_begun_for() {
    for way in AGAIN {
        for goal in [SECOND, AT_ONCE] {
            let mut reached = 0;
            for call in 1..200 {
                for moment in [Moment::Before, Moment::After] {
                    let world = World::new(way).await;
                    world.whole("before", FIRST).await;
                    let fuse = Fuse::at(call, moment);
                    if matches!(world.run("killed", &fuse, goal).await, Ending::Done(_)) {
                        continue;
                    }
                    let context = world.context("look", &Fuse::none());
                    let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
                    let how = format!("{way}, killed {moment:?} call {call} of {:?}", fuse.log());
                    let begun = if seen.generation == 2 { goal } else { FIRST };
                    if seen.generation == 2 || seen.note.is_none() {
                        assert_eq!(seen.asked, Some(format!("{begun:?}")), "{how}");
                    }
                    reached += u32::from(seen.generation == 2);
                    // Whoever comes next for the same finishes it, and it still says so.
                    if seen.generation == 2 {
                        world.recover(goal).await;
                        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
                        assert_eq!(seen.asked, Some(format!("{goal:?}")), "{how}, finished");
                    }
                }
            }
            assert!(reached >= 2, "{way} {goal:?}: only {reached} reached it");
        }
    }
}
