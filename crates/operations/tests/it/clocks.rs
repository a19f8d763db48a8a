//! Runs whose clock is wrong, beside a platform and sinks whose clocks are right.

use std::sync::Arc;

use connector::{Clock, Clocks, Said};
use domain::Span;
use jiff::{SignedDuration, Timestamp};
use ledger::{Ledger, NewEntry};
use operations::{Context, Outcome, Problem, carry_out, observe_slot};
use policy::rotation::Goal;

use crate::world::{Ending, Fuse, Moment, OVERLAP, TestClock, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const AT_ONCE: Goal = Goal::Rotate { to: 2, at_once: true };
const RETIRE: Goal = Goal::Retire { at: 2 };

const DAYS: SignedDuration = SignedDuration::from_hours(72);
const MINUTES: SignedDuration = SignedDuration::from_mins(4);

/// So far ahead of what is right.
#[derive(Debug)]
struct Wrong(Arc<TestClock>, SignedDuration);

impl Clock for Wrong {
    fn now(&self) -> Timestamp {
        self.0.now() + self.1
    }
}

/// What a run on a machine has whose clock is so far ahead, when platform and sinks have said what time
/// it is: with their answers, to the second.
fn beside(world: &World, run: &str, ahead: SignedDuration, fuse: &Arc<Fuse>) -> Context {
    let clocks = Clocks::new(Arc::new(Wrong(world.clock.clone(), ahead)));
    let second = Timestamp::from_second(world.clock.now().as_second()).unwrap();
    for connection in ["apps", "fake", "vault"] {
        let said = Said {
            asked: clocks.now(),
            answered: clocks.now(),
            from: second,
            until: second + SignedDuration::from_secs(1),
        };
        clocks.saw(connection, said);
    }
    Context { clock: Arc::new(clocks), ..world.context(run, fuse) }
}

async fn by(context: &Context, world: &World, goal: Goal) -> Result<Outcome, Problem> {
    carry_out(context, &world.spec(), goal, "test").await
}

/// Two generations, and half of the overlap is over.
async fn in_overlap() -> World {
    let world = World::new("add-marked").await;
    world.whole("first", FIRST).await;
    world.whole("second", SECOND).await;
    world.clock.advance(OVERLAP / 2);
    world
}

#[tokio::test(start_paused = true)]
async fn a_fast_clock_ends_nothing_before_its_time() {
    for ahead in [DAYS, MINUTES] {
        let world = in_overlap().await;
        if ahead == MINUTES {
            world.clock.advance(Span::from_secs(OVERLAP.as_secs() / 2 - 120));
        }
        let both = world.live().await;
        let context = beside(&world, "fast", ahead, &Fuse::none());
        let done = by(&context, &world, RETIRE).await;
        assert_eq!(world.live().await, both, "{ahead:?}: {done:?}");
        match ahead {
            DAYS => assert_eq!(done.unwrap_err().code, "E-CLOCK"),
            _ => assert_eq!(done.unwrap().previous.len(), 1),
        }
        // It is ended when its time is over by every clock.
        world.clock.advance(OVERLAP);
        let context = beside(&world, "right", SignedDuration::ZERO, &Fuse::none());
        assert_eq!(by(&context, &world, RETIRE).await.unwrap().previous, []);
        assert_eq!(world.live().await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn clocks_that_disagree_keep_what_ends_by_time_and_are_told() {
    let world = in_overlap().await;
    world.clock.advance(OVERLAP);
    let context = beside(&world, "slow", -DAYS, &Fuse::none());
    let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
    assert_eq!(seen.status, "current", "no plan to end it");
    let told = context.notices.take();
    assert_eq!(told.iter().map(|one| one.code).collect::<Vec<_>>(), ["E-CLOCK"]);
    assert!(told[0].detail.contains("vault is 3d ahead of the clock here"), "{}", told[0]);
    let refused = by(&context, &world, RETIRE).await.unwrap_err();
    assert_eq!(refused.code, "E-CLOCK");
    let refused = by(&context, &world, Goal::Rotate { to: 3, at_once: false }).await.unwrap_err();
    assert_eq!(refused.code, "E-CLOCK", "nor is a third issued");
    assert_eq!(world.live().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_exposed_waits_for_no_clock() {
    let world = in_overlap().await;
    let context = beside(&world, "fast", DAYS, &Fuse::none());
    let done = by(&context, &world, Goal::Rotate { to: 3, at_once: true }).await.unwrap();
    world.assert_at(&done, 3, "at once").await;
    assert_eq!(world.live().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fast_clock_takes_nobody_for_dead_who_is_at_work() {
    let world = World::new("add-marked").await;
    world.whole("first", FIRST).await;
    let killed = world.run("at work", &Fuse::at(6, Moment::After), SECOND).await;
    assert!(matches!(killed, Ending::Killed));
    let owner = || async {
        let context = world.context("look", &Fuse::none());
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        (seen.status, seen.note.unwrap_or_default())
    };
    let (status, note) = owner().await;
    assert!(status == "rotating" && note.contains("at work is at work"), "{status} {note}");
    let fuse = Fuse::none();
    let mut context = beside(&world, "fast", DAYS, &fuse);
    let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
    assert_eq!(seen.status, "rotating", "nor for one that left something behind");
    context.rules =
        Arc::new(policy::Rules { lock_timeout: Span::from_secs(5), ..(*context.rules).clone() });
    assert_eq!(by(&context, &world, AT_ONCE).await.unwrap_err().code, "E-BUSY");
    assert_eq!(fuse.log(), Vec::<&str>::new(), "and it changed nothing");
    // By the sink's clock it is silent for long enough.
    world.clock.advance(world.claim_ttl);
    let context = beside(&world, "slow", -DAYS, &Fuse::none());
    world.assert_at(&by(&context, &world, AT_ONCE).await.unwrap(), 2, "taken over").await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_clock_at_the_promote_shortens_no_overlap() {
    let world = World::new("add-marked").await;
    world.whole("first", FIRST).await;
    let context = beside(&world, "slow", -DAYS, &Fuse::none());
    let done = by(&context, &world, SECOND).await.unwrap();
    let kept_until = done.previous[0].retire_after.unwrap();
    let whole = world.clock.now() + SignedDuration::from_secs(OVERLAP.as_signed_secs());
    assert!(kept_until >= whole, "{kept_until} {whole}");
}

#[tokio::test(start_paused = true)]
async fn an_entry_from_tomorrow_says_that_somebody_s_clock_is_wrong() {
    let world = in_overlap().await;
    world.clock.advance(OVERLAP);
    let ledger: Arc<dyn Ledger> = world.ledger.lock().unwrap().clone();
    let tomorrow = (world.clock.now() + DAYS).as_millisecond();
    let entry = NewEntry::new(tomorrow, "declared", "fake/app/other");
    ledger.append(vec![entry], ledger::Durability::Durable).await.unwrap();
    let context = beside(&world, "right", SignedDuration::ZERO, &Fuse::none());
    let refused = by(&context, &world, RETIRE).await.unwrap_err();
    assert_eq!(refused.code, "E-CLOCK");
    assert!(refused.detail.contains("the ledger's newest entry is 3d ahead"), "{refused}");
    world.clock.advance(Span::from_secs(72 * 3600));
    let context = beside(&world, "right", SignedDuration::ZERO, &Fuse::none());
    assert_eq!(by(&context, &world, RETIRE).await.unwrap().previous, []);
}
