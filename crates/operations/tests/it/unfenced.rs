//! Platforms on which nothing tells a late call of ours from somebody else's: only time does.

use std::{sync::Arc, time::Duration};

use connector::fake::{APP, Fault, GRACE, Verb};
use domain::Span;
use operations::{Outcome, Problem, SlotSpec, carry_out};
use policy::{proof::Grade, rotation::Goal};
use secrets::Sink;
use tokio::sync::Notify;

use crate::world::{Ending, Fuse, Moment, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };

#[tokio::test(start_paused = true)]
async fn a_key_whose_answer_was_lost_is_ended_and_another_one_issued() {
    let world = World::new("add-unmarked").await;
    world.whole("before", FIRST).await;
    world.fake.fail(Verb::Issue, [Fault::AnswerLost]);
    let outcome = world.whole("rotates", SECOND).await;
    world.assert_at(&outcome, 2, "an answer was lost").await;
    assert_eq!(outcome.previous.len(), 1, "the earlier one keeps its overlap");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_repeated_before_an_earlier_call_can_have_arrived() {
    for way in ["slots", "add-unmarked", "grace", "replace-ours", "replace-once", "replace-self"] {
        let world = World::new(way).await;
        world.whole("before", FIRST).await;
        world.fake.fail(Verb::Issue, [Fault::RequestLost]);
        let begun = tokio::time::Instant::now();
        let outcome = world.whole("rotates", SECOND).await;
        world.assert_at(&outcome, 2, way).await;
        assert!(begun.elapsed().as_secs() >= 60, "{way}: after {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn how_long_consumers_were_cut_off_is_written_down_and_told_where_it_was_too_long() {
    for (way, lost) in [("replace-once", false), ("replace-once", true), ("replace-ours", true)] {
        let world = World::new(way).await;
        world.whole("before", FIRST).await;
        if lost {
            // It was done, and the next call waits for as long as it might still arrive.
            world.fake.fail(Verb::Issue, [Fault::AnswerLost]);
        }
        let mut context = world.context("rotates", &Fuse::none());
        context.rules = Arc::new(policy::Rules {
            interruption_max: Span::from_secs(30),
            ..(*context.rules).clone()
        });
        carry_out(&context, &world.spec(), SECOND, "test").await.unwrap();
        let entries = ledger::all_entries(&*context.ledger, ledger::Filter::all()).await.unwrap();
        let parked = entries.iter().rfind(|one| one.kind == "rotation.overlapping").unwrap();
        let cut_off = parked.detail.get("interrupted_for").and_then(|text| text.as_str());
        let cut_off: Span = cut_off.unwrap().parse().unwrap();
        let long = lost;
        assert_eq!(cut_off >= Span::from_secs(60), long, "{way} {lost}: {cut_off}");
        let told: Vec<&str> = context.notices.take().iter().map(|one| one.code).collect();
        assert_eq!(told == ["E-INTERRUPTED"], long, "{way} {lost}: {told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_answer_was_lost_ends_with_everything_else_wherever_the_run_stopped() {
    for way in ["slots", "add-unmarked", "grace", "replace-ours", "replace-once"] {
        for call in 1..40 {
            let world = World::new(way).await;
            world.whole("before", FIRST).await;
            world.fake.fail(Verb::Issue, [Fault::AnswerLost]);
            let fuse = Fuse::at(call, Moment::Before);
            if matches!(world.run("killed", &fuse, SECOND).await, Ending::Done(_)) {
                break;
            }
            world.fake.heal();
            world.recover(Goal::Revoke).await;
            let how = format!("{way}, killed before call {call} of {:?}", fuse.log());
            assert!(world.live().await.is_empty(), "{how}: {:?}", world.live().await);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_key_whose_answer_was_lost_is_ours_after_a_refusal_too() {
    for way in ["first-only", "slots"] {
        let world = World::new(way).await;
        world.fake.fail(Verb::Issue, [Fault::AnswerLost, Fault::NotSent]);
        let ending = world.run("a", &Fuse::none(), FIRST).await;
        assert!(matches!(ending, Ending::Done(Err(_))), "{ending:?}");
        let outcome = world.recover(FIRST).await;
        world.assert_at(&outcome, 1, way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_a_person_made_meanwhile_is_never_ended_for_ours() {
    let world = World::new("add-unmarked").await;
    let fuse = Fuse::at(4, Moment::Before);
    let ending = world.run("killed", &fuse, FIRST).await;
    assert!(matches!(ending, Ending::Killed));
    assert_eq!(fuse.log().last(), Some(&"write"), "killed when it was to say that it calls");
    let mut theirs = String::new();
    world.fake.by_hand(APP, "sync", |hand| theirs = hand.issue("theirs", None));
    let outcome = world.recover(FIRST).await;
    assert_eq!(outcome.generation, 1);
    assert!(world.live().await.contains(&theirs));
    assert!(world.works().await);
}

/// A run that was killed when it had called for a key and not heard the answer; a person makes one too.
async fn called_for_beside_theirs() -> (World, String) {
    let calls = Fuse::at(200, Moment::Before);
    World::new("add-unmarked").await.run("counts", &calls, FIRST).await;
    let at = calls.log().iter().position(|call| *call == "issue").unwrap();
    let world = World::new("add-unmarked").await;
    let fuse = Fuse::at(u32::try_from(at).unwrap() + 1, Moment::After);
    assert!(matches!(world.run("killed", &fuse, FIRST).await, Ending::Killed));
    let mut theirs = String::new();
    world.fake.by_hand(APP, "sync", |hand| theirs = hand.issue("theirs", None));
    world.clock.advance(domain::Span::from_secs(601));
    (world, theirs)
}

#[tokio::test(start_paused = true)]
async fn two_keys_of_which_one_may_be_a_person_s_wait_for_a_person() {
    let (world, _) = called_for_beside_theirs().await;
    let before = world.live().await;
    let Ending::Done(Err(problem)) = world.run("later", &Fuse::none(), FIRST).await else {
        panic!()
    };
    assert_eq!(problem.code, "E-UNEXPLAINED", "{problem:?}");
    assert_eq!(world.live().await, before, "nothing was ended on a guess");
}

#[tokio::test(start_paused = true)]
async fn a_key_of_another_type_is_never_taken_for_one_that_was_called_for() {
    let (mut world, theirs) = called_for_beside_theirs().await;
    world.of_another_type.insert(theirs.clone());
    let outcome = world.whole("later", FIRST).await;
    assert_eq!(outcome.generation, 1);
    let live = world.live().await;
    assert!(live.contains(&theirs) && live.len() == 2 && world.works().await, "{live:?}");
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_is_full_is_told_so_with_the_names_of_whatever_is_not_ours() {
    let world = World::new("add-unmarked").await;
    world.whole("before", FIRST).await;
    let mut theirs = String::new();
    world.fake.by_hand(APP, "sync", |hand| theirs = hand.issue("theirs", None));
    let Ending::Done(Err(problem)) = world.run("rotates", &Fuse::none(), SECOND).await else {
        panic!()
    };
    assert_eq!(problem.code, "E-ROTATE");
    assert!(problem.detail.contains(&theirs), "{problem:?}");
    assert!(world.works().await);
}

#[tokio::test(start_paused = true)]
async fn what_a_platform_replaces_in_place_is_proven_gone_in_the_same_run() {
    for way in ["replace-ours", "replace-once", "replace-self"] {
        let world = World::new(way).await;
        world.whole("before", FIRST).await;
        let outcome = world.whole("rotates", SECOND).await;
        world.assert_at(&outcome, 2, way).await;
        let grades: Vec<Grade> = outcome.revoked.iter().map(|one| one.grade).collect();
        assert_eq!(grades, [Grade::A], "{way}");
        assert!(world.apps.read_version("apps/a", 1).await.unwrap().is_none(), "{way}");
    }
}

/// Another slot of the same integration.
fn sibling(world: &World) -> SlotSpec {
    let mut other = world.spec();
    other.id.name = "other".into();
    other.deliveries.retain(|one| one.name == "b");
    other
}

/// The slot of the world, and what delivers to one place alone.
fn one_of_two(world: &World) -> SlotSpec {
    let mut spec = world.spec();
    spec.deliveries.retain(|one| one.name == "a");
    spec
}

/// The number of the first call after a new key was answered for.
async fn after_issue() -> u32 {
    let world = World::new("add-unmarked").await;
    let fuse = Fuse::none();
    carry_out(&world.context("counts", &fuse), &sibling(&world), FIRST, "test").await.unwrap();
    let at = fuse.log().iter().position(|call| *call == "issue").unwrap();
    u32::try_from(at).unwrap() + 2
}

/// The first slot's call is lost. Another process issues for the second one meanwhile, and stores what
/// it got so many seconds after the first one began.
async fn two_processes(
    world: &World,
    stores_after: u64,
) -> (Result<Outcome, Problem>, Result<Outcome, Problem>) {
    let go_on = Arc::new(Notify::new());
    let slow = Fuse::held_up_at(after_issue().await, &go_on);
    let (here, there) = (world.context("here", &Fuse::none()), world.context("there", &slow));
    let (ours, theirs) = (one_of_two(world), sibling(world));
    world.fake.fail(Verb::Issue, [Fault::RequestLost]);
    let second = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        carry_out(&there, &theirs, FIRST, "test").await
    };
    let wakes = async {
        tokio::time::sleep(Duration::from_secs(stores_after)).await;
        go_on.notify_one();
    };
    let (first, second, ()) = tokio::join!(carry_out(&here, &ours, FIRST, "test"), second, wakes);
    (first, second)
}

#[tokio::test(start_paused = true)]
async fn a_key_of_another_slot_that_another_process_issues_is_never_ended_for_ours() {
    for stores_after in [10, 90] {
        let world = World::new("add-unmarked").await;
        let (first, second) = two_processes(&world, stores_after).await;
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(world.works().await, "{stores_after}: what either delivered works");
        let named = [first.key_id, second.key_id].map(Option::unwrap);
        assert_eq!(world.live().await, named.into(), "{stores_after}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_another_slot_says_so_and_goes_on_when_that_one_is_done() {
    let world = World::new("add-unmarked").await;
    let (first, second) = two_processes(&world, 400).await;
    let problem = first.unwrap_err();
    assert_eq!(problem.code, "E-BUSY");
    assert!(problem.detail.contains("/credential/other"), "{problem:?}");
    second.unwrap();
    world.clock.advance(Span::from_secs(601));
    let later = world.context("later", &Fuse::none());
    carry_out(&later, &one_of_two(&world), FIRST, "test").await.unwrap();
    assert!(world.works().await && world.live().await.len() == 2, "{:?}", world.live().await);
}

#[tokio::test(start_paused = true)]
async fn what_another_slot_may_have_left_behind_waits_for_a_person() {
    let world = World::new("add-unmarked").await;
    // Killed right before its call, as far as it knows.
    let fuse = Fuse::at(after_issue().await - 1, Moment::Before);
    let there = world.context("there", &fuse);
    let other = sibling(&world);
    tokio::select! {
        _ = carry_out(&there, &other, FIRST, "test") => panic!("it was to be killed"),
        () = fuse.died() => {}
    }
    world.fake.fail(Verb::Issue, [Fault::RequestLost]);
    let here = world.context("here", &Fuse::none());
    let ours = one_of_two(&world);
    let comes = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut key = String::new();
        world.fake.by_hand(APP, "sync", |hand| key = hand.issue("arrived late", None));
        world.clock.advance(Span::from_secs(601));
        key
    };
    let (ended, key) = tokio::join!(carry_out(&here, &ours, FIRST, "test"), comes);
    let problem = ended.unwrap_err();
    assert_eq!(problem.code, "E-UNEXPLAINED", "{problem:?}");
    assert_eq!(world.live().await, [key].into(), "nothing was ended on a guess");
}

/// The platform keeps the earlier one for a while of its own, and no longer than until the next call.
#[tokio::test(start_paused = true)]
async fn an_earlier_key_that_its_platform_ends_by_itself_is_shown_to_be_gone() {
    let world = World::new("grace").await;
    let first = world.whole("a", FIRST).await;
    let second = world.whole("b", SECOND).await;
    world.assert_at(&second, 2, "grace").await;
    assert_eq!(Some(&second.previous[0].key_id), first.key_id.as_ref());
    world.clock.advance(GRACE);
    assert_eq!(world.live().await.len(), 1, "the platform has ended it");
    world.fake.calls();
    let retired = world.whole("c", Goal::Retire { at: 2 }).await;
    world.assert_at(&retired, 2, "grace").await;
    let grades: Vec<Grade> = retired.revoked.iter().map(|one| one.grade).collect();
    assert_eq!(grades, [Grade::A]);
    assert!(world.fake.calls().iter().all(|(verb, _)| *verb != Verb::End), "nothing to end");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_takes_a_second_call_which_leaves_one_key_that_is_delivered() {
    let world = World::new("grace").await;
    world.whole("a", FIRST).await;
    world.fake.fail(Verb::Issue, [Fault::AnswerLost]);
    let second = world.whole("b", SECOND).await;
    world.assert_at(&second, 2, "grace").await;
    assert!(second.previous.is_empty(), "the call ended it: {:?}", second.previous);
    assert_eq!(world.live().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_that_is_refused_costs_consumers_nothing_while_the_old_one_works() {
    let world = World::new("grace").await;
    world.whole("a", FIRST).await;
    world.fake.refuse_new(1);
    let Ending::Done(Err(problem)) = world.run("b", &Fuse::none(), SECOND).await else { panic!() };
    assert_eq!(problem.code, "E-VERIFY", "{problem:?}");
    assert!(world.works().await, "the old one is delivered and works");
    let Ending::Done(Err(_)) = world.run("c", &Fuse::none(), SECOND).await else { panic!() };
    assert!(world.works().await, "asking again ends nothing either");
    world.clock.advance(GRACE);
    let second = world.whole("d", SECOND).await;
    world.assert_at(&second, 2, "another one is made when the old one has ended").await;
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_could_not_be_written_changes_nothing_else() {
    let world = World::new("add-unmarked").await;
    world.fake.fail(Verb::Mark, [Fault::NotSent, Fault::NotSent]);
    let outcome = world.whole("a", FIRST).await;
    world.assert_at(&outcome, 1, "unmarked").await;
    let outcome = world.whole("b", SECOND).await;
    world.assert_at(&outcome, 2, "the claim names what carries no mark").await;
    assert_eq!(outcome.previous.len(), 1);
}

/// The current one is gone by somebody's hand while an earlier one is in its overlap.
#[tokio::test(start_paused = true)]
async fn the_last_key_that_works_keeps_its_time_while_another_one_is_made() {
    for way in ["add-ours", "add-marked", "slots", "add-unmarked"] {
        let world = World::new(way).await;
        let first = world.whole("a", FIRST).await;
        let second = world.whole("b", SECOND).await;
        world.fake.by_hand(APP, "sync", |hand| hand.end(second.key_id.as_deref().unwrap()));
        let third = world.whole("c", Goal::Rotate { to: 3, at_once: false }).await;
        world.assert_at(&third, 3, way).await;
        assert_eq!(third.previous.len(), 1, "{way}");
        assert_eq!(Some(&third.previous[0].key_id), first.key_id.as_ref(), "{way}");
        assert_eq!(third.previous[0].retire_after, second.previous[0].retire_after, "{way}");
        world.clock.advance(OVERLAP);
        let retired = world.whole("d", Goal::Retire { at: 3 }).await;
        world.assert_at(&retired, 3, way).await;
        assert!(retired.previous.is_empty(), "{way}");
        let ended: Vec<&str> = retired.revoked.iter().map(|one| one.key_id.as_str()).collect();
        assert!(ended.contains(&first.key_id.as_deref().unwrap()), "{way}: {ended:?}");
        assert!(ended.contains(&second.key_id.as_deref().unwrap()), "{way}: {ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_makes_its_own_successor_is_called_with_again_only_where_it_works() {
    let not_done = |ending: Ending, how: &str| match ending {
        Ending::Done(Err(problem)) => assert_eq!(problem.code, "E-MANAGEMENT-LOST", "{how}"),
        _ => panic!("{how}: a person has to be asked"),
    };
    // It was not done: once more, when it can arrive no more.
    let world = World::new("replace-self").await;
    world.whole("a", FIRST).await;
    world.fake.fail(Verb::Issue, [Fault::RequestLost]);
    let begun = tokio::time::Instant::now();
    let second = world.whole("b", SECOND).await;
    world.assert_at(&second, 2, "it never arrived").await;
    assert!(begun.elapsed().as_secs() >= 60, "after {:?}", begun.elapsed());
    // Where a second call is punished, a person says so.
    let world = World::new("replace-self, once").await;
    world.whole("a", FIRST).await;
    world.fake.fail(Verb::Issue, [Fault::RequestLost]);
    not_done(world.run("b", &Fuse::none(), SECOND).await, "punished");
    assert!(world.works().await, "and what is delivered was not called with");
    let second = world.whole("c", SECOND).await;
    world.assert_at(&second, 2, "who was asked said so").await;
    // It was done, and what took its place is in nobody's hand.
    for way in ["replace-self", "replace-self, once"] {
        let world = World::new(way).await;
        world.whole("a", FIRST).await;
        world.fake.fail(Verb::Issue, [Fault::AnswerLost]);
        for run in ["b", "c"] {
            not_done(world.run(run, &Fuse::none(), SECOND).await, way);
            assert_eq!(world.live().await.len(), 1, "{way}: nothing dead was called with");
        }
        world.whole("d", Goal::Revoke).await;
        let third = world.whole("e", Goal::Rotate { to: 3, at_once: false }).await;
        world.assert_at(&third, 3, "its parent made a first one").await;
    }
}
