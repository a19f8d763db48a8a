//! S7x: an earlier key ends by its platform's own hand where that can be told of it, although nobody runs
//! anything again; and whatever becomes of that call, the rotation is done.

use std::collections::BTreeMap;

use connector::{
    Clock, Connector, Refusal,
    fake::{APP, Fault, Verb},
};
use domain::{Secret, Span};
use jiff::Timestamp;
use operations::{EndingGate, Problem, SlotSpec, carry_out, observe_slot, set_ends};
use policy::{proof::Grade, rotation::Goal, schedule::later};

use crate::world::{Ending, Fuse, Moment, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const RETIRE: Goal = Goal::Retire { at: 2 };
const WAYS: [&str; 4] = ["add-ours", "add-marked", "add-unmarked", "slots"];
/// An earlier key is kept for its overlap, and ended within as long again.
const SPARE: Span = OVERLAP;

/// One generation, on a platform that can be told.
async fn first(way: &'static str) -> (World, String) {
    let world = World::new(way).await;
    world.fake.move_expiries();
    let first = world.whole("a", FIRST).await.key_id.unwrap();
    (world, first)
}

async fn ends(world: &World, key_id: &str) -> Option<Timestamp> {
    let all = world.fake.credentials(&world.object()).await.unwrap().credentials;
    all.into_iter().find(|one| one.key_id == key_id).and_then(|one| one.expires_at)
}

fn told(world: &World) -> usize {
    world.fake.calls().iter().filter(|(verb, _)| *verb == Verb::SetExpiry).count()
}

#[tokio::test(start_paused = true)]
async fn an_earlier_key_ends_by_itself_and_a_later_run_only_shows_it() {
    for way in WAYS {
        let (world, first) = first(way).await;
        let own = ends(&world, &first).await;
        let done = world.whole("b", SECOND).await;
        let [previous] = &done.previous[..] else { panic!("{way}: {:?}", done.previous) };
        let end = later(previous.retire_after.unwrap(), SPARE);
        assert_eq!(previous.ends, Some(end), "{way}");
        assert!(own.is_none_or(|own| own > end), "{way}: {own:?}");
        assert_eq!(told(&world), 1, "{way}");
        // Whoever comes next finds it told.
        world.whole("again", SECOND).await;
        assert_eq!(told(&world), 0, "{way}");
        world.clock.advance(OVERLAP);
        assert_eq!(world.live().await.len(), 2, "{way}: not within its overlap");
        world.clock.advance(SPARE);
        assert_eq!(world.live().await, [done.key_id.clone().unwrap()].into(), "{way}");
        let context = world.context("looks", &Fuse::none());
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert_eq!(seen.status, "retire_due", "{way}: that it ended is still to be shown");
        let shown = world.whole("shows", RETIRE).await;
        let context = world.context("looks", &Fuse::none());
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert_eq!(seen.status, "current", "{way}");
        assert_eq!(shown.revoked.len(), 1, "{way}");
        assert_eq!((&shown.revoked[0].key_id, shown.revoked[0].grade), (&first, Grade::A), "{way}");
        world.assert_at(&shown, 2, way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_is_killed_anywhere_is_told_of_by_the_next_run() {
    for way in WAYS {
        let (mut interrupted, mut at_the_call) = (0, 0);
        'calls: for call in 1..100 {
            for moment in [Moment::Before, Moment::After] {
                let (world, first) = first(way).await;
                let fuse = Fuse::at(call, moment);
                let ending = world.run("killed", &fuse, SECOND).await;
                let how = format!("{way}, killed {moment:?} call {call} of {:?}", fuse.log());
                match ending {
                    Ending::Killed => interrupted += 1,
                    Ending::Done(Ok(_)) => break 'calls,
                    Ending::Done(Err(problem)) => panic!("{how}: {problem:?}"),
                }
                at_the_call += u32::from(fuse.log().last() == Some(&"set_expiry"));
                assert!(world.works().await, "{how}");
                let done = world.recover(SECOND).await;
                let end = ends(&world, &first).await;
                let kept = done.previous[0].retire_after.unwrap();
                assert_eq!(end, Some(later(kept, SPARE)), "{how}");
                world.clock.advance(OVERLAP);
                let done = world.whole("ends", RETIRE).await;
                world.assert_at(&done, 2, &how).await;
            }
        }
        assert!(interrupted >= 8 && at_the_call == 2, "{way}: {interrupted}, {at_the_call}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_takes_no_word_of_an_end_is_told_of_and_stops_nothing() {
    for (faults, says) in [
        (vec![Fault::Refused(Refusal::Forbidden)], true),
        (vec![Fault::NotSent], true),
        (vec![Fault::RequestLost; 3], true),
        (vec![Fault::RequestLost], false),
        (vec![Fault::AnswerLost], false),
    ] {
        let (world, first) = first("add-marked").await;
        world.fake.fail(Verb::SetExpiry, faults.clone());
        let context = world.context("b", &Fuse::none());
        let own = ends(&world, &first).await;
        let done = carry_out(&context, &world.spec(), SECOND, "test").await.unwrap();
        let notices = context.notices.take();
        assert_eq!(!notices.is_empty(), says, "{faults:?}: {notices:?}");
        assert!(notices.iter().all(|one| one.next.is_some()), "{notices:?}");
        assert_eq!(ends(&world, &first).await == own, says, "{faults:?}");
        world.fake.heal();
        world.clock.advance(OVERLAP);
        assert_eq!(world.whole("ends", RETIRE).await.revoked.len(), 1, "{faults:?}");
        assert_eq!(done.generation, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_ends_at_once_is_told_of_no_later_end() {
    for goal in [Goal::Rotate { to: 2, at_once: true }, Goal::Revoke] {
        let (world, _) = first("add-marked").await;
        told(&world);
        world.whole("b", goal).await;
        assert_eq!(told(&world), 0, "{goal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_needs_ends_when_it_was_issued_to_end_and_no_sooner() {
    for way in WAYS {
        let (world, first) = first(way).await;
        world.fake.disable_keys();
        let own = ends(&world, &first).await;
        world.whole("b", SECOND).await;
        world.clock.advance(OVERLAP);
        world.whole("cuts", Goal::Cut { at: 2, again: false }).await;
        assert!(ends(&world, &first).await.is_some() && own != ends(&world, &first).await, "{way}");
        world.whole("needs", Goal::Reenable).await;
        assert_eq!(ends(&world, &first).await, own, "{way}");
        world.clock.advance(Span::from_secs(7 * 86_400));
        assert_eq!(world.live().await.len(), 2, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_overlap_that_is_made_longer_is_longer_at_its_platform_too() {
    let (world, first) = first("add-marked").await;
    let done = world.whole("b", SECOND).await;
    let longer = later(done.previous[0].retire_after.unwrap(), Span::from_secs(9 * 86_400));
    let context = world.context("apply", &Fuse::none());
    let ends_at = BTreeMap::from([(first.clone(), longer)]);
    set_ends(&context, &world.spec(), &ends_at).await.unwrap();
    assert_eq!(ends(&world, &first).await, Some(later(longer, SPARE)));
    let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
    assert_eq!(seen.previous[0].retire_after, Some(longer));
    assert_eq!(seen.previous[0].ends, Some(later(longer, SPARE)));
}

/// Consumers take so long to read what is delivered, says somebody after the platform was told.
fn read_slowly(world: &World) -> SlotSpec {
    let mut spec = world.spec();
    spec.consumers.refresh = Some(Span::from_secs(3 * 86_400));
    spec
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_told_is_known_for_ours_when_the_terms_are_others() {
    for way in WAYS {
        let (world, first) = first(way).await;
        world.fake.disable_keys();
        let own = ends(&world, &first).await;
        world.whole("b", SECOND).await;
        let before = ends(&world, &first).await.unwrap();
        let spec = read_slowly(&world);
        let context = world.context("later", &Fuse::none());
        carry_out(&context, &spec, SECOND, "test").await.unwrap();
        let end = later(before, Span::from_secs(2 * 86_400));
        assert_eq!(ends(&world, &first).await, Some(end), "{way}: no sooner than plan says");
        assert_eq!(told(&world), 2, "{way}");
        world.whole("as it was", SECOND).await;
        assert_eq!(ends(&world, &first).await, Some(before), "{way}");
        // Whatever they are: what somebody needs gets its own end back.
        world.clock.advance(OVERLAP);
        world.whole("cuts", Goal::Cut { at: 2, again: false }).await;
        let context = world.context("needs", &Fuse::none());
        carry_out(&context, &spec, Goal::Reenable, "test").await.unwrap();
        assert_eq!(ends(&world, &first).await, own, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_dies_when_it_tells_a_platform_anew_leaves_it_known_for_ours() {
    let (mut interrupted, mut at_the_call) = (0, 0);
    'calls: for call in 1..100 {
        for moment in [Moment::Before, Moment::After] {
            let (world, first) = first("add-marked").await;
            world.whole("b", SECOND).await;
            let before = ends(&world, &first).await.unwrap();
            let (spec, fuse) = (read_slowly(&world), Fuse::at(call, moment));
            let context = world.context("killed", &fuse);
            let ending = tokio::select! {
                biased;
                done = carry_out(&context, &spec, SECOND, "test") => Ending::Done(done),
                () = fuse.blown.notified() => Ending::Killed,
            };
            match ending {
                Ending::Killed => interrupted += 1,
                Ending::Done(Ok(_)) => break 'calls,
                Ending::Done(Err(problem)) => panic!("{call}: {problem:?}"),
            }
            at_the_call += u32::from(fuse.log().last() == Some(&"set_expiry"));
            let context = world.context("later", &Fuse::none());
            carry_out(&context, &spec, SECOND, "test").await.unwrap();
            let end = later(before, Span::from_secs(2 * 86_400));
            assert_eq!(ends(&world, &first).await, Some(end), "{call} {moment:?}");
        }
    }
    assert!(interrupted >= 4 && at_the_call == 2, "{interrupted}, {at_the_call}");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_somebody_made_sooner_at_the_platform_stays_when_an_overlap_is_made_longer() {
    let (world, first) = first("add-marked").await;
    let done = world.whole("b", SECOND).await;
    let longer = later(done.previous[0].retire_after.unwrap(), Span::from_secs(9 * 86_400));
    let theirs = later(world.clock.now(), Span::from_secs(3600));
    world.fake.set_expiry(&world.object(), &first, Some(theirs)).await.unwrap();
    let context = world.context("apply", &Fuse::none());
    let ends_at = BTreeMap::from([(first.clone(), longer)]);
    set_ends(&context, &world.spec(), &ends_at).await.unwrap();
    world.whole("again", SECOND).await;
    assert_eq!(ends(&world, &first).await, Some(theirs));
}

#[tokio::test(start_paused = true)]
async fn a_platform_is_told_of_a_later_end_only_where_power_may_be_given() {
    let (world, first) = first("add-marked").await;
    let done = world.whole("b", SECOND).await;
    let before = ends(&world, &first).await;
    let kept = done.previous[0].retire_after.unwrap();
    let mut context = world.context("apply", &Fuse::none());
    context.gate = std::sync::Arc::new(EndingGate(Problem::new("E-POLICY", "It has a slip")));
    let move_to = async |end| {
        let ends_at = BTreeMap::from([(first.clone(), end)]);
        set_ends(&context, &world.spec(), &ends_at).await.map_err(|problem| problem.code)
    };
    let hour = Span::from_secs(3600);
    assert_eq!(move_to(later(kept, hour)).await, Err("E-POLICY"));
    assert_eq!(ends(&world, &first).await, before);
    let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
    assert_eq!(seen.previous[0].retire_after, Some(kept));
    assert_eq!(move_to(later(world.clock.now(), hour)).await, Ok(()), "sooner is open");
}

#[tokio::test(start_paused = true)]
async fn what_we_sign_in_with_ourselves_is_given_no_earlier_end() {
    let mut world = World::new("add-ours").await;
    world.fake.move_expiries();
    let mut own = String::new();
    world.fake.by_hand(APP, "sync", |hand| own = hand.issue("our own", None));
    let spec = SlotSpec { known: Some((own.clone(), 1, None, None)), ..world.spec() };
    operations::take_over(&world.context("takes in", &Fuse::none()), &spec).await.unwrap();
    // Its platform takes no word of it, and somebody takes it for ourselves before the next run.
    world.fake.fail(Verb::SetExpiry, vec![Fault::NotSent]);
    let context = world.context("b", &Fuse::none());
    let done = carry_out(&context, &spec, SECOND, "test").await.unwrap();
    assert_eq!(done.previous[0].key_id, own);
    world.fake.heal();
    world.fake = world.fake.signed_in_with(&Secret::new("our own"));
    let before = ends(&world, &own).await;
    let context = world.context("again", &Fuse::none());
    carry_out(&context, &world.spec(), SECOND, "test").await.unwrap();
    assert_eq!(ends(&world, &own).await, before);
    let notices = context.notices.take();
    assert!(matches!(&notices[..], [one] if one.code == "E-OURSELVES"), "{notices:?}");
    assert_eq!(told(&world), 1, "only what was refused");
}

#[tokio::test(start_paused = true)]
async fn where_a_person_is_asked_about_what_is_still_used_its_platform_ends_nothing_before() {
    let (world, first) = first("add-marked").await;
    let own = ends(&world, &first).await;
    world.whole("told", SECOND).await;
    assert!(ends(&world, &first).await != own);
    // Uses are told of from now on: what was told before is taken back.
    world.fake.tell_last_use(Span::from_secs(60));
    let mut context = world.context("asks", &Fuse::none());
    std::sync::Arc::make_mut(&mut context.rules).asks_when_used = true;
    carry_out(&context, &world.spec(), SECOND, "test").await.unwrap();
    assert_eq!(ends(&world, &first).await, own);
    let mut context = world.context("cuts", &Fuse::none());
    std::sync::Arc::make_mut(&mut context.rules).asks_when_used = false;
    carry_out(&context, &world.spec(), SECOND, "test").await.unwrap();
    assert!(ends(&world, &first).await.is_some_and(|end| own.is_none_or(|own| end < own)));
}
