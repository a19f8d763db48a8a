//! Several runs at once on one slot, in many orders.

use std::sync::Arc;

use connector::fake::APP;
use operations::{carry_out, create_slot, everything_begun};
use policy::rotation::Goal;
use tokio::sync::Notify;

use crate::world::{Ending, Fuse, Moment, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const AT_ONCE: Goal = Goal::Rotate { to: 2, at_once: true };

/// Orders to try; more with `NHI_TEST_SEEDS`.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let asked = std::env::var("NHI_TEST_SEEDS").ok().and_then(|text| text.parse().ok());
    0..asked.unwrap_or(usual)
}

async fn race(world: &World, seed: u64, goals: [Goal; 2]) -> [Ending; 2] {
    let fuses = [Fuse::uneven(seed * 2 + 1), Fuse::uneven(seed * 2 + 2)];
    let (a, b) =
        tokio::join!(world.run("a", &fuses[0], goals[0]), world.run("b", &fuses[1], goals[1]),);
    [a, b]
}

#[tokio::test(start_paused = true)]
async fn two_runs_of_one_rotation_make_one_generation() {
    for way in ["add-ours", "add-marked"] {
        for seed in seeds(30) {
            let how = format!("{way} {seed}");
            let world = World::new(way).await;
            world.whole("before", FIRST).await;
            let endings = race(&world, seed, [AT_ONCE, AT_ONCE]).await;
            let done = endings.iter().filter(|one| matches!(one, Ending::Done(Ok(_)))).count();
            assert!(done >= 1, "{how}: {endings:?}");
            assert!(world.works().await, "{how}: nothing works right after");
            let outcome = world.recover(AT_ONCE).await;
            world.assert_at(&outcome, 2, &how).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn runs_that_take_over_at_any_moment_still_lose_nothing() {
    for way in ["add-ours", "add-marked"] {
        for seed in seeds(40) {
            let how = format!("{way} {seed}");
            let mut world = World::new(way).await;
            // Nobody's claim holds: everybody believes that the others are dead.
            world.claim_ttl = domain::Span::ZERO;
            // Two who prove at once; the fifth would lock the role.
            world.patience = 4;
            world.whole("before", FIRST).await;
            let endings = race(&world, seed, [AT_ONCE, AT_ONCE]).await;
            assert!(world.works().await, "{how}: nothing works right after: {endings:?}");
            let outcome = world.recover(AT_ONCE).await;
            world.assert_at(&outcome, 2, &how).await;
        }
    }
}

/// One stands still before any of its calls, another takes over, finds that the new key is refused
/// and gives it up; and at any of the other's calls the first one's call goes through after all.
#[tokio::test(start_paused = true)]
async fn what_somebody_promotes_late_is_never_ended_by_who_gave_it_up() {
    for way in ["add-ours", "add-marked"] {
        for (frozen, wakes) in (1..14).flat_map(|frozen| (1..24).map(move |wakes| (frozen, wakes)))
        {
            let how = format!("{way}, frozen before {frozen}, woken before {wakes}");
            let mut world = World::new(way).await;
            world.claim_ttl = domain::Span::ZERO;
            world.patience = 20;
            world.whole("before", FIRST).await;
            let second = Goal::Rotate { to: 2, at_once: false };
            let wake = Arc::new(Notify::new());
            let fuses = [Fuse::frozen_at(frozen, &wake), Fuse::waking_at(wakes, &wake)];
            let other = async {
                world.fake.by_hand(APP, "sync", |hand| hand.enable(false));
                let ending = world.run("b", &fuses[1], second).await;
                world.fake.by_hand(APP, "sync", |hand| hand.enable(true));
                wake.notify_one();
                ending
            };
            let endings = tokio::join!(world.run("a", &fuses[0], second), other);
            assert!(world.works().await, "{how}: nothing works right after: {endings:?}");
            let outcome = world.recover(second).await;
            world.assert_at(&outcome, 2, &how).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_revocation_wins_over_a_rotation_that_is_under_way() {
    for way in ["add-ours", "add-marked"] {
        for seed in seeds(30) {
            let how = format!("{way} {seed}");
            let world = World::new(way).await;
            world.whole("before", FIRST).await;
            race(&world, seed, [AT_ONCE, Goal::Revoke]).await;
            world.recover(Goal::Revoke).await;
            assert!(world.live().await.is_empty(), "{how}: {:?}", world.live().await);
            assert_eq!(world.pending().await, 0, "{how}");
        }
    }
}

/// Two resources of one configuration that name one slot: both belong to one run, whose claim does
/// not tell them apart.
#[tokio::test(start_paused = true)]
async fn of_two_creates_of_one_slot_in_one_run_one_is_refused() {
    for way in ["add-ours", "add-marked", "add-unmarked"] {
        for seed in seeds(20) {
            let how = format!("{way} {seed}");
            let world = World::new(way).await;
            let context = world.context("one run", &Fuse::uneven(seed + 1));
            let spec = world.spec();
            let (a, b) = tokio::join!(create_slot(&context, &spec), create_slot(&context, &spec));
            let (made, refused): (Vec<_>, Vec<_>) = [a, b].into_iter().partition(Result::is_ok);
            let codes: Vec<_> = refused.into_iter().filter_map(Result::err).collect();
            assert_eq!(codes.len(), 1, "{how}: {codes:?}");
            assert_eq!(codes[0].code, "E-SLOT-EXISTS", "{how}");
            let outcome = made.into_iter().next().unwrap().unwrap();
            world.assert_at(&outcome, 1, &how).await;
        }
    }
}

/// A run for a reason, which is killed at this call; whether it was.
async fn killed_for(world: &World, goal: Goal, reason: &str, call: u32) -> bool {
    let fuse = Fuse::at(call, Moment::After);
    let (context, spec) = (world.context("killed", &fuse), world.spec());
    tokio::select! {
        biased;
        _ = carry_out(&context, &spec, goal, reason) => false,
        () = fuse.died() => true,
    }
}

#[tokio::test(start_paused = true)]
async fn a_higher_reason_joins_what_is_under_way_and_a_lower_one_takes_nothing_back() {
    let slow = Goal::Rotate { to: 2, at_once: false };
    for (first, second) in
        [("schedule", "exposed"), ("exposed", "schedule"), ("emergency", "asked")]
    {
        let goal = |reason| if matches!(reason, "schedule" | "asked") { slow } else { AT_ONCE };
        let mut joined = 0;
        for call in 1..60 {
            let world = World::new("add-marked").await;
            world.whole("before", FIRST).await;
            let versions = world.apps_versions().await;
            if !killed_for(&world, goal(first), first, call).await {
                continue;
            }
            let how = format!("{first} killed at {call}, then {second}");
            let delivered = world.apps_versions().await > versions;
            let under_way = everything_begun(&world.context("look", &Fuse::none())).await.unwrap();
            world.clock.advance(world.claim_ttl + domain::Span::from_secs(1));
            let context = world.context("later", &Fuse::none());
            let done = carry_out(&context, &world.spec(), goal(second), second).await.unwrap();
            // Before its first write nobody knows what it was to be.
            if under_way.is_empty() && !delivered {
                continue;
            }
            joined += 1;
            assert_eq!(done.previous, [], "{how}: nothing is kept");
            world.assert_at(&done, 2, &how).await;
        }
        assert!(joined >= 8, "{first}, then {second}: {joined}");
    }
}
