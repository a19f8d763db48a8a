//! An earlier key that somebody uses after its overlap: nobody is cut off who is seen, nobody is waited
//! for for ever, and that nothing is known is no use.

use connector::fake::{APP, Verb};
use domain::{Secret, Span};
use operations::{
    Consumers, Outcome, Problem, SlotSpec, carry_out, goal_of_going_on, judge_integration,
    observe_slot,
};
use policy::{Rules, findings::Severity, rotation::Goal};

use crate::world::{Ending, Fuse, Moment, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const THIRD: Goal = Goal::Rotate { to: 3, at_once: false };
const RETIRE: Goal = Goal::Retire { at: 2 };
const LAG: Span = Span::from_secs(600);
const HOUR: Span = Span::from_secs(3600);

/// A rotation whose overlap is about to be over, its first key, and the secret of that.
async fn rotated(way: &'static str) -> (World, String, Secret) {
    let world = World::new(way).await;
    world.fake.tell_last_use(LAG);
    let first = world.whole("first", FIRST).await.key_id.unwrap();
    let secret = world.delivered("apps/a").await.unwrap();
    world.whole("second", SECOND).await;
    (world, first, secret)
}

async fn refused(world: &World, run: &str, goal: Goal) -> Problem {
    match world.run(run, &Fuse::none(), goal).await {
        Ending::Done(Err(problem)) => problem,
        other => panic!("{run}: {other:?}"),
    }
}

async fn ends(world: &World, run: &str, first: &str) -> Outcome {
    let outcome = world.whole(run, RETIRE).await;
    assert_eq!(outcome.revoked.len(), 1, "{run}");
    assert!(!world.live().await.contains(first), "{run}");
    outcome
}

async fn told(world: &World) -> Option<Severity> {
    let context = world.context("looks", &Fuse::none());
    let judged = judge_integration(&context, &world.wish()).await.unwrap();
    let found = judged.findings.iter().find(|(_, one)| one.rule == "old-still-used");
    found.map(|(_, one)| one.severity)
}

#[tokio::test(start_paused = true)]
async fn one_of_whose_use_nothing_is_told_is_kept_until_consumers_have_read_the_next() {
    for way in ["add-ours", "add-marked", "add-unmarked", "slots"] {
        let world = World::new(way).await;
        let refresh = Some(Span::from_secs(3 * OVERLAP.as_secs()));
        let slow = Consumers { refresh, ..Consumers::default() };
        let spec = SlotSpec { consumers: slow, ..world.spec() };
        let bring = |run: &'static str, goal: Goal| {
            let (context, spec) = (world.context(run, &Fuse::none()), spec.clone());
            async move { carry_out(&context, &spec, goal, "test").await }
        };
        bring("first", FIRST).await.unwrap();
        let second = bring("second", SECOND).await.unwrap();
        world.clock.advance(OVERLAP);
        let early = bring("early", RETIRE).await.unwrap();
        assert!(early.revoked.is_empty() && world.live().await.len() == 2, "{way}");
        assert_eq!(early.previous[0].retire_after, second.previous[0].retire_after, "{way}");
        assert_eq!(bring("third", THIRD).await.unwrap_err().code, "E-OLD-IN-USE", "{way}");
        let context = world.context("looks", &Fuse::none());
        assert_eq!(observe_slot(&context, &spec).await.unwrap().unwrap().status, "current");
        world.clock.advance(Span::from_secs(2 * OVERLAP.as_secs()));
        assert_eq!(bring("ends", RETIRE).await.unwrap().revoked.len(), 1, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_would_cut_off_who_stands_no_interruption_is_not_begun() {
    for way in ["replace-ours", "replace-once"] {
        let world = World::new(way).await;
        world.whole("first", FIRST).await;
        let consumers = Consumers { refuse_interruption: true, ..Consumers::default() };
        let spec = SlotSpec { consumers, ..world.spec() };
        let context = world.context("second", &Fuse::none());
        world.fake.calls();
        let problem = carry_out(&context, &spec, SECOND, "schedule").await.unwrap_err();
        assert_eq!(problem.code, "E-INTERRUPTS", "{way}");
        assert!(problem.next.is_some() && world.works().await, "{way}");
        let issued = |(verb, _): &(Verb, String)| *verb == Verb::Issue;
        assert!(!world.fake.calls().iter().any(issued), "{way}");
        let at_once = Goal::Rotate { to: 2, at_once: true };
        let done = carry_out(&context, &spec, at_once, "exposed").await.unwrap();
        assert_eq!(done.generation, 2, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_seen_to_use_an_earlier_key_is_waited_for_and_it_ends_when_it_is_quiet() {
    for way in ["add-ours", "add-marked", "add-unmarked"] {
        let (world, first, secret) = rotated(way).await;
        world.clock.advance(Span::from_secs(OVERLAP.as_secs() - 3600));
        assert!(world.fake.sign_in(APP, "sync", &secret).is_some(), "{way}");
        assert_eq!(told(&world).await, None, "{way}: its overlap is not over");
        world.clock.advance(HOUR);
        assert_eq!(told(&world).await, Some(Severity::Medium), "{way}");
        let context = world.context("looks", &Fuse::none());
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert_eq!(seen.status, "current", "{way}: no apply ends it");
        assert_eq!(seen.in_use[0].0, first, "{way}");
        for goal in [RETIRE, THIRD] {
            let problem = refused(&world, "waits", goal).await;
            assert_eq!(problem.code, "E-OLD-IN-USE", "{way} {goal:?}");
            assert!(problem.detail.contains(&first), "{way} {goal:?}: {problem}");
        }
        assert!(world.live().await.contains(&first), "{way}: nothing was ended");
        // Half the overlap, and the lag of what is told.
        world.clock.advance(OVERLAP);
        assert_eq!(told(&world).await, None, "{way}");
        ends(&world, "quiet", &first).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_used_until_the_longest_overlap_is_asked_about_or_ends_as_policy_says() {
    for asks in [true, false] {
        let (world, first, secret) = rotated("add-ours").await;
        for _ in 0..16 {
            world.clock.advance(OVERLAP / 2);
            assert!(world.fake.sign_in(APP, "sync", &secret).is_some());
        }
        let mut context = world.context("over", &Fuse::none());
        context.rules = Rules { asks_when_used: asks, ..(*context.rules).clone() }.into();
        let run = async |goal| operations::carry_out(&context, &world.spec(), goal, "test").await;
        if !asks {
            assert_eq!(run(RETIRE).await.unwrap().revoked.len(), 1);
            assert!(!world.live().await.contains(&first));
            continue;
        }
        let problem = run(RETIRE).await.unwrap_err();
        assert_eq!(problem.code, "E-OLD-IN-USE", "{problem}");
        assert!(world.live().await.contains(&first));
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert!(seen.still_used && seen.status == "held", "{}", seen.status);
        // A person says that it may end.
        let goal = goal_of_going_on(&context, &world.spec()).await.unwrap().unwrap();
        let outcome = run(goal).await.unwrap();
        assert_eq!(outcome.revoked.len(), 1);
        assert!(!world.live().await.contains(&first));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_to_be_used_ends_when_its_overlap_is_over() {
    for tells in [true, false] {
        let (world, first, secret) = rotated("add-ours").await;
        if !tells {
            // Used up to now, by a word that is no evidence.
            let other = World::new("add-ours").await;
            let first = other.whole("first", FIRST).await.key_id.unwrap();
            let secret = other.delivered("apps/a").await.unwrap();
            other.whole("second", SECOND).await;
            other.clock.advance(OVERLAP);
            assert!(other.fake.sign_in(APP, "sync", &secret).is_some());
            ends(&other, "unknown", &first).await;
            continue;
        }
        // Right after the delivery it may be our own sign-in that is told.
        assert!(world.fake.sign_in(APP, "sync", &secret).is_some());
        world.clock.advance(OVERLAP);
        ends(&world, "ours", &first).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_exposed_ends_at_once_whoever_uses_it() {
    let (world, first, secret) = rotated("add-ours").await;
    world.clock.advance(OVERLAP);
    assert!(world.fake.sign_in(APP, "sync", &secret).is_some());
    refused(&world, "waits", RETIRE).await;
    let outcome = world.whole("exposed", Goal::Rotate { to: 3, at_once: true }).await;
    assert!(outcome.previous.is_empty());
    assert!(!world.live().await.contains(&first));
}

#[tokio::test(start_paused = true)]
async fn what_was_to_end_at_once_is_waited_for_by_nobody_who_finishes_it() {
    let at_once = Goal::Rotate { to: 2, at_once: true };
    let mut left = 0;
    for call in 1.. {
        let world = World::new("add-ours").await;
        world.fake.tell_last_use(LAG);
        let first = world.whole("first", FIRST).await.key_id.unwrap();
        let secret = world.delivered("apps/a").await.unwrap();
        let fuse = Fuse::at(call, Moment::After);
        if let Ending::Done(_) = world.run("exposed", &fuse, at_once).await {
            break;
        }
        let context = world.context("looks", &Fuse::none());
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        // Every place has the new one, and the run died before it ended the old one.
        if seen.status != "retire_due" || !world.live().await.contains(&first) {
            continue;
        }
        left += 1;
        assert!(world.fake.sign_in(APP, "sync", &secret).is_some(), "{call}");
        world.clock.advance(LAG);
        world.clock.advance(LAG);
        ends(&world, "finishes", &first).await;
    }
    assert!(left > 0, "no run died there");
}
