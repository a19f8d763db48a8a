//! Listings that show what was there a while ago: nothing is decided by one that is too old, and nothing
//! is proven by it.

use connector::{
    Clock,
    fake::{APP, Fault, Verb},
};
use domain::{IntegrationId, Span};
use jiff::SignedDuration;
use operations::revoke_everything;
use policy::{proof::Grade, rotation::Goal};

use crate::world::{Ending, Fuse, OVERLAP, World};

const LAG: Span = Span::from_secs(30);
/// Shorter than a call may be under way, and promised by nobody.
const AGAIN: Span = Span::from_secs(8);
const WAYS: [&str; 4] = ["add-ours", "add-marked", "add-unmarked", "slots"];
const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };

async fn late(way: &'static str) -> World {
    let world = World::new(way).await;
    world.fake.list_late(LAG);
    world
}

fn count(world: &World, verb: Verb) -> usize {
    world.fake.calls().iter().filter(|(one, _)| *one == verb).count()
}

/// The listing has come to show what is there.
fn caught_up(world: &World) {
    world.clock.advance(LAG + Span::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn what_a_listing_does_not_show_yet_is_issued_once_and_what_it_shows_still_is_ended_once() {
    for way in WAYS {
        let world = late(way).await;
        world.whole("first", FIRST).await;
        caught_up(&world);
        world.fake.calls();
        let outcome = world.whole("second", SECOND).await;
        assert_eq!(count(&world, Verb::Issue), 1, "{way}");
        caught_up(&world);
        world.assert_at(&outcome, 2, way).await;
        world.clock.advance(OVERLAP);
        world.fake.calls();
        let outcome = world.whole("retires", Goal::Retire { at: 2 }).await;
        assert_eq!(count(&world, Verb::End), 1, "{way}");
        assert_eq!(outcome.revoked[0].grade, Grade::A, "{way}");
        caught_up(&world);
        world.assert_at(&outcome, 2, way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_proves_an_end_only_when_it_was_asked_for_after_its_lag() {
    for way in WAYS {
        let world = late(way).await;
        world.whole("first", FIRST).await;
        world.whole("second", SECOND).await;
        world.clock.advance(OVERLAP);
        // Nothing but the listing can show it.
        world.fake.accept_anything(true);
        let outcome = world.whole("retires", Goal::Retire { at: 2 }).await;
        assert_eq!(outcome.revoked[0].grade, Grade::B, "{way}");
        let entries = world.entries().await;
        let at = |kind: &str| {
            let found = entries.iter().rev().find(|entry| entry.kind == kind).unwrap();
            jiff::Timestamp::from_millisecond(found.at).unwrap()
        };
        let waited = at("rotation.proven").duration_since(at("rotation.retired"));
        assert!(waited >= SignedDuration::from_secs(LAG.as_signed_secs()), "{way}: {waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_of_an_answer_that_was_lost_is_looked_for_when_a_listing_can_show_it() {
    for way in ["add-marked", "add-unmarked"] {
        let world = late(way).await;
        world.whole("first", FIRST).await;
        caught_up(&world);
        world.fake.calls();
        world.fake.fail(Verb::Issue, [Fault::AnswerLost]);
        let outcome = world.whole("second", SECOND).await;
        let calls = world.fake.calls();
        let sent: Vec<Verb> = calls
            .iter()
            .map(|(verb, _)| *verb)
            .filter(|verb| matches!(verb, Verb::Issue | Verb::End))
            .collect();
        assert_eq!(sent, [Verb::Issue, Verb::End, Verb::Issue], "{way}");
        caught_up(&world);
        world.assert_at(&outcome, 2, way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_revoked_with_its_integration_is_looked_for_after_the_lag() {
    let world = late("add-ours").await;
    world.fake.by_hand(APP, "sync", |hand| {
        hand.issue("a", None);
        hand.issue("b", None);
    });
    caught_up(&world);
    let context = world.context("ends", &Fuse::none());
    let id = IntegrationId::new("fake", APP, "sync");
    let ended = revoke_everything(&context, &id, &world.vendor_id, "sync").await.unwrap();
    assert_eq!(ended.len(), 2);
    assert!(ended.iter().all(|one| one.grade == Grade::B), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_listing_of_a_while_ago_makes_no_second_key_and_no_rotation_without_end() {
    for way in ["add-ours", "add-marked", "add-unmarked"] {
        for (goal, kept) in [(SECOND, 1), (Goal::Rotate { to: 2, at_once: true }, 0)] {
            let how = format!("{way}, {goal:?}");
            let world = World::new(way).await;
            world.whole("before", FIRST).await;
            world.fake.calls();
            world.fake.list_again(AGAIN);
            let outcome = world.whole("rotates", goal).await;
            let issued = world.fake.calls().iter().filter(|(verb, _)| *verb == Verb::Issue).count();
            assert_eq!(issued, 1, "{how}");
            assert_eq!(outcome.previous.len(), kept, "{how}: {:?}", outcome.previous);
            world.clock.advance(AGAIN);
            world.assert_at(&outcome, 2, &how).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_called_ended_and_listed_on_and_on_is_an_error_that_says_so_and_no_end_of_it_is_proven()
 {
    for way in WAYS {
        let mut world = World::new(way).await;
        let first = world.whole("first", FIRST).await.key_id.unwrap();
        world.whole("second", SECOND).await;
        world.clock.advance(OVERLAP);
        world.undying = [first.clone()].into();
        world.fake.calls();
        let problem = match world.run("retires", &Fuse::none(), Goal::Retire { at: 2 }).await {
            Ending::Done(Err(problem)) => problem,
            other => panic!("{way}: {other:?}"),
        };
        assert_eq!(problem.code, "E-STILL-LIVE", "{way}: {problem}");
        assert!(problem.detail.contains(&first) && problem.next.is_some(), "{way}: {problem}");
        assert!(world.works().await, "{way}");
        let entries = world.entries().await;
        assert!(entries.iter().all(|entry| entry.kind != "rotation.proven"), "{way}");
        world.undying.clear();
        world.clock.advance(Span::from_secs(601));
        let outcome = world.whole("again", Goal::Retire { at: 2 }).await;
        world.assert_at(&outcome, 2, way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_is_waited_for_no_longer_than_it_lags_whatever_day_it_is_in_custody() {
    for days in [-3i64, 3] {
        let mut world = late("add-unmarked").await;
        let clock = world.clock.clone();
        let there = move || clock.now() + SignedDuration::from_hours(24 * days);
        world.vault = std::sync::Arc::new(secrets::MemorySink::with_clock(there));
        world.whole("first", FIRST).await;
        caught_up(&world);
        let begun = tokio::time::Instant::now();
        world.whole("second", SECOND).await;
        let took = begun.elapsed();
        assert!(took < std::time::Duration::from_secs(3_600), "{days} days: {took:?}");
    }
}
