//! The soft cut: an earlier key is switched off for a while before it ends, by whatever run is there,
//! and switched on again for whoever misses it.

use std::collections::BTreeSet;

use connector::{
    Connector, Refusal,
    fake::{APP, Fault, Verb},
};
use domain::Span;
use operations::{
    Begun, carry_out, everything_begun, goal_of_finish, goal_of_going_on, observe_slot,
};
use policy::{Rules, proof::Grade, rotation::Goal};

use crate::world::{Ending, Fuse, Moment, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const THIRD: Goal = Goal::Rotate { to: 3, at_once: false };
const CUT: Goal = Goal::Cut { at: 2, again: false };
const RETIRE: Goal = Goal::Retire { at: 2 };
/// How long an earlier key is only switched off, unless policy says otherwise.
const WATCHED: Span = Span::from_secs(3600);
/// The ways in which one key can be switched off today, and one that marks what it makes.
const WAYS: [&str; 3] = ["add-unmarked", "slots", "add-marked"];

/// Two generations, and the overlap of the first is over.
async fn over(way: &'static str) -> (World, String, String) {
    let world = World::new(way).await;
    world.fake.disable_keys();
    let first = world.whole("a", FIRST).await.key_id.unwrap();
    let second = world.whole("b", SECOND).await.key_id.unwrap();
    world.clock.advance(OVERLAP);
    (world, first, second)
}

async fn status(world: &World) -> &'static str {
    let context = world.context("looks", &Fuse::none());
    observe_slot(&context, &world.spec()).await.unwrap().unwrap().status
}

/// Keys that are there and switched off.
async fn off(world: &World) -> BTreeSet<String> {
    let all = world.fake.credentials(&world.object()).await.unwrap().credentials;
    all.into_iter().filter(|one| one.disabled).map(|one| one.key_id).collect()
}

async fn begun(world: &World) -> Vec<Begun> {
    everything_begun(&world.context("looks", &Fuse::none())).await.unwrap()
}

async fn refused(world: &World, run: &str, goal: Goal) -> operations::Problem {
    match world.run(run, &Fuse::none(), goal).await {
        Ending::Done(Err(problem)) => problem,
        other => panic!("{run}: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_earlier_key_is_switched_off_then_watched_and_then_ended_with_proof() {
    for way in WAYS {
        let (world, first, second) = over(way).await;
        assert_eq!(status(&world).await, "cut_due", "{way}");
        let cut = world.whole("cuts", CUT).await;
        assert_eq!(off(&world).await, [first.clone()].into(), "{way}");
        assert_eq!(world.live().await, [second.clone()].into(), "{way}");
        assert!(cut.revoked.is_empty(), "{way}: switched off is not revoked");
        assert_eq!(cut.previous.len(), 1, "{way}: and it is still there");
        assert_eq!(status(&world).await, "current", "{way}");
        // Nobody ends it before its time, and no third one comes meanwhile.
        let early = world.whole("early", RETIRE).await;
        assert!(early.revoked.is_empty(), "{way}");
        assert_eq!(refused(&world, "third", THIRD).await.code, "E-OLD-IN-USE", "{way}");
        assert_eq!(off(&world).await, [first.clone()].into(), "{way}");
        let [one] = &begun(&world).await[..] else { panic!("{way}") };
        assert_eq!(one.off_until, cut.previous[0].retire_after, "{way}");
        world.clock.advance(WATCHED);
        assert_eq!(status(&world).await, "retire_due", "{way}");
        let done = world.whole("ends", RETIRE).await;
        assert_eq!(done.revoked.len(), 1, "{way}");
        assert_eq!((&done.revoked[0].key_id, done.revoked[0].grade), (&first, Grade::A), "{way}");
        assert!(off(&world).await.is_empty() && begun(&world).await.is_empty(), "{way}");
        world.assert_at(&done, 2, way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_that_is_killed_anywhere_is_finished_by_the_next_run_and_ends_nothing() {
    for way in WAYS {
        let mut interrupted = 0;
        'calls: for call in 1..100 {
            for moment in [Moment::Before, Moment::After] {
                let (world, first, second) = over(way).await;
                let fuse = Fuse::at(call, moment);
                let ending = world.run("killed", &fuse, CUT).await;
                let how = format!("{way}, killed {moment:?} call {call} of {:?}", fuse.log());
                match ending {
                    Ending::Killed => interrupted += 1,
                    Ending::Done(Ok(_)) => break 'calls,
                    Ending::Done(Err(problem)) => panic!("{how}: {problem:?}"),
                }
                assert!(world.works().await, "{how}");
                let done = world.recover(CUT).await;
                assert_eq!(off(&world).await, [first.clone()].into(), "{how}");
                assert_eq!(world.live().await, [second.clone()].into(), "{how}");
                assert_eq!(done.previous.len(), 1, "{how}");
                // The whole of its time, from when it is known to be off.
                let until = done.previous[0].retire_after.unwrap();
                let left = until.duration_since(connector::Clock::now(&*world.clock)).as_secs();
                world.clock.advance(Span::from_secs(u64::try_from(left).unwrap() - 1));
                assert!(world.whole("early", RETIRE).await.revoked.is_empty(), "{how}");
                world.clock.advance(Span::from_secs(1));
                let done = world.whole("ends", RETIRE).await;
                assert_eq!(done.revoked.len(), 1, "{how}");
                world.assert_at(&done, 2, &how).await;
            }
        }
        assert!(interrupted >= 8, "{way}: only {interrupted} interruptions");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_switched_off_works_again_by_a_word_and_no_run_cuts_it_off_again() {
    for way in WAYS {
        let (world, first, second) = over(way).await;
        world.whole("cuts", CUT).await;
        let done = world.whole("recover", Goal::Reenable).await;
        assert_eq!(world.live().await, [first.clone(), second.clone()].into(), "{way}");
        assert_eq!(done.previous.len(), 1, "{way}");
        assert_eq!(status(&world).await, "held", "{way}");
        world.clock.advance(Span::from_secs(30 * 86_400));
        for goal in [CUT, RETIRE] {
            let problem = refused(&world, "apply", goal).await;
            assert_eq!(problem.code, "E-OLD-IN-USE", "{way} {goal:?}");
            assert!(problem.next.unwrap().contains("nhi recover"), "{way}");
        }
        assert_eq!(world.live().await.len(), 2, "{way}");
        let [one] = &begun(&world).await[..] else { panic!("{way}") };
        assert_eq!(one.hold.as_deref(), Some("still-used"), "{way}");
        assert_eq!((one.off_until, one.at_work), (None, false), "{way}");
        // The consumer was moved: a person says so, and it is off for its time once more.
        let context = world.context("recover", &Fuse::none());
        let goal = goal_of_going_on(&context, &world.spec()).await.unwrap().unwrap();
        world.whole("recover again", goal).await;
        assert_eq!(off(&world).await, [first.clone()].into(), "{way}");
        world.clock.advance(WATCHED);
        let done = world.whole("ends", RETIRE).await;
        assert_eq!(done.revoked.len(), 1, "{way}");
        world.assert_at(&done, 2, way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_word_that_is_killed_anywhere_is_carried_out_by_the_next_run() {
    for finishes in [false, true] {
        let mut interrupted = 0;
        'calls: for call in 1..100 {
            for moment in [Moment::Before, Moment::After] {
                let (world, first, second) = over("add-unmarked").await;
                world.whole("cuts", CUT).await;
                let fuse = Fuse::at(call, moment);
                let ending = world.run("killed", &fuse, Goal::Reenable).await;
                let how = format!("killed {moment:?} call {call} of {:?}", fuse.log());
                match ending {
                    Ending::Killed => interrupted += 1,
                    Ending::Done(Ok(_)) => break 'calls,
                    Ending::Done(Err(problem)) => panic!("{how}: {problem:?}"),
                }
                world.clock.advance(world.claim_ttl + Span::from_secs(1));
                let context = world.context("finishes", &Fuse::none());
                let goal = goal_of_finish(&context, &world.spec()).await.unwrap();
                // An apply finishes it as well, where it was begun.
                let goal = goal.filter(|_| finishes).unwrap_or(Goal::Reenable);
                world.whole("later", goal).await;
                assert_eq!(world.live().await, [first, second].into(), "{how}");
                assert_eq!(status(&world).await, "held", "{how}");
                world.clock.advance(WATCHED);
                assert_eq!(refused(&world, "apply", RETIRE).await.code, "E-OLD-IN-USE", "{how}");
            }
        }
        assert!(interrupted >= 8, "only {interrupted} interruptions");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_is_looked_for_and_a_refusal_leaves_everything_on() {
    for verb in [Verb::Disable, Verb::Enable] {
        for fault in [Fault::AnswerLost, Fault::RequestLost] {
            let (world, first, _) = over("add-unmarked").await;
            if verb == Verb::Enable {
                world.whole("cuts", CUT).await;
            }
            world.fake.fail(verb, [fault]);
            let goal = if verb == Verb::Enable { Goal::Reenable } else { CUT };
            world.whole("loses", goal).await;
            let is_off = off(&world).await == [first].into();
            assert_eq!(is_off, verb == Verb::Disable, "{verb:?} {fault:?}");
        }
    }
    let (world, _, _) = over("add-unmarked").await;
    world.fake.fail(Verb::Disable, [Fault::Refused(Refusal::Forbidden)]);
    let problem = refused(&world, "may not", CUT).await;
    assert!(problem.next.unwrap().contains("soft_cut_for"));
    assert_eq!(world.live().await.len(), 2);
    assert_eq!(status(&world).await, "cut_due", "nothing is left open by it");
    world.whole("may", CUT).await;
    assert_eq!(off(&world).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_switches_on_past_us_is_not_ended() {
    let (world, first, second) = over("add-unmarked").await;
    world.whole("cuts", CUT).await;
    world.fake.by_hand(APP, "sync", |hand| hand.switch(&first, true));
    world.clock.advance(WATCHED);
    assert_eq!(refused(&world, "apply", RETIRE).await.code, "E-OLD-IN-USE");
    assert_eq!(status(&world).await, "held");
    assert_eq!(world.live().await, [first, second].into());
}

#[tokio::test(start_paused = true)]
async fn an_incident_and_an_ending_wait_for_nobody_who_may_miss_it() {
    for goal in [Goal::Rotate { to: 2, at_once: true }, Goal::Revoke] {
        for needed in [false, true] {
            let (world, first, _) = over("add-unmarked").await;
            world.whole("cuts", CUT).await;
            if needed {
                world.whole("recover", Goal::Reenable).await;
            }
            let done = world.whole("exposed", goal).await;
            assert!(done.revoked.iter().any(|one| one.key_id == first), "{goal:?} {needed}");
            assert!(off(&world).await.is_empty(), "{goal:?} {needed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_word_comes_in_time_while_what_was_switched_off_is_about_to_be_ended() {
    // Killed with everything written down, and the first key not ended yet.
    for call in 1..100 {
        let (world, first, second) = over("add-unmarked").await;
        world.whole("cuts", CUT).await;
        world.clock.advance(WATCHED);
        let fuse = Fuse::at(call, Moment::Before);
        assert!(matches!(world.run("killed", &fuse, RETIRE).await, Ending::Killed));
        let ends = fuse.log().last().is_some_and(|call| call.contains("end"));
        if ends {
            world.clock.advance(world.claim_ttl + Span::from_secs(1));
            world.whole("recover", Goal::Reenable).await;
            assert_eq!(world.live().await, [first, second].into());
            assert_eq!(status(&world).await, "held");
            return;
        }
    }
    panic!("nothing was ended");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_switched_off_where_policy_wants_none_or_the_platform_cannot() {
    let (world, first, _) = over("add-unmarked").await;
    let mut context = world.context("ends", &Fuse::none());
    context.rules = Rules { soft_cut_for: Span::ZERO, ..(*context.rules).clone() }.into();
    let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
    assert_eq!(seen.status, "retire_due");
    let done = carry_out(&context, &world.spec(), RETIRE, "test").await.unwrap();
    assert_eq!(done.revoked[0].key_id, first);

    let world = World::new("add-unmarked").await;
    world.whole("a", FIRST).await;
    world.whole("b", SECOND).await;
    world.clock.advance(OVERLAP);
    assert_eq!(status(&world).await, "retire_due");
    world.fake.calls();
    assert_eq!(world.whole("ends", RETIRE).await.revoked.len(), 1);
    let calls = world.fake.calls();
    assert!(calls.iter().all(|(verb, _)| !matches!(verb, Verb::Disable | Verb::Enable)));
}

#[tokio::test(start_paused = true)]
async fn what_a_hand_switched_off_is_ended_and_not_taken_for_gone() {
    let (world, first, second) = over("add-unmarked").await;
    world.fake.by_hand(APP, "sync", |hand| hand.switch(&first, false));
    // It has nobody to be missed by: it was off already.
    assert_eq!(status(&world).await, "retire_due");
    let done = world.whole("ends", RETIRE).await;
    assert_eq!(done.revoked[0].key_id, first);
    assert!(off(&world).await.is_empty());
    assert_eq!(world.live().await, [second].into());
}
