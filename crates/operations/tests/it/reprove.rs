//! What is shown of an end after the deed that brought it: how it was shown, what may be shown later, and
//! what is forgotten when nothing more can be.

use std::collections::BTreeMap;

use connector::fake::{APP, Fault, Verb};
use domain::{Secret, Span};
use jiff::Timestamp;
use operations::{Outcome, judge_integration, observe_slot};
use policy::{
    findings::{Condition, Severity},
    proof::Grade,
    rotation::Goal,
};
use secrets::Sink;

use crate::world::{Ending, Fuse, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const AT_ONCE: Goal = Goal::Rotate { to: 2, at_once: true };
const AGAIN: Goal = Goal::Retire { at: 2 };
const HOUR: Span = Span::from_secs(3600);

async fn status(world: &World) -> &'static str {
    let context = world.context("looks", &Fuse::none());
    observe_slot(&context, &world.spec()).await.unwrap().unwrap().status
}

async fn rules(world: &World) -> Vec<(&'static str, Severity, Condition)> {
    let context = world.context("looks", &Fuse::none());
    let judged = judge_integration(&context, &world.wish()).await.unwrap();
    judged.findings.iter().map(|(_, one)| (one.rule, one.severity, one.condition)).collect()
}

/// The details of the newest entry of a kind.
async fn last(world: &World, kind: &str) -> BTreeMap<String, String> {
    let entries = world.entries().await;
    let entry = entries.iter().rev().find(|entry| entry.kind == kind).unwrap();
    let text =
        |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    entry.detail.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// A rotation at once whose old key could not be tried, since the platform sent a limit.
async fn limited(way: &'static str) -> (World, Outcome, String) {
    let world = World::new(way).await;
    let first = world.whole("first", FIRST).await.key_id.unwrap();
    world.fake.calls();
    // The sign-in that verifies the new one goes through.
    let limit = Fault::Refused(connector::Refusal::RateLimited);
    world.fake.fail(Verb::Probe, std::iter::once(Fault::None).chain([limit; 40]));
    let outcome = world.whole("second", AT_ONCE).await;
    world.fake.heal();
    world.forget_refusals();
    (world, outcome, first)
}

/// Whether a version of the anchor's document still tells a secret other than the current one.
async fn keeps_the_old_one(world: &World) -> bool {
    let now = world.delivered("apps/a").await.unwrap();
    for version in world.apps.kept_versions("apps/a").await.unwrap() {
        let document = world.apps.read_version("apps/a", version).await.unwrap();
        if document.is_some_and(|one| one.get("key").is_some_and(|key| *key != now)) {
            return true;
        }
    }
    false
}

#[tokio::test(start_paused = true)]
async fn how_an_end_was_shown_is_told_beside_its_grade_and_kept_in_the_ledger() {
    for (way, safety) in [("add-ours", "fenced"), ("add-unmarked", "timed")] {
        let world = World::new(way).await;
        world.whole("first", FIRST).await;
        world.fake.end_late(Span::from_secs(60), Span::from_secs(20));
        let outcome = world.whole("second", AT_ONCE).await;
        let one = &outcome.revoked[0];
        let told: BTreeMap<&str, String> = one.modifiers().into_iter().collect();
        assert_eq!(one.grade_words(), "A", "{way}");
        assert_eq!(told["safety"], safety, "{way}");
        assert_eq!(told["surfaces"], "1 of 1", "{way}");
        assert_eq!(told["sessions"], "unknown", "{way}");
        assert_eq!(told["from"], "unknown", "{way}: nobody said where the platform is");
        assert!(told["holder"].starts_with("sink version "), "{way}: {told:?}");
        // The last of the few rounds that are stood waits for the platform's time.
        assert_eq!(told["time_to_stop"], "1m", "{way}");
        let entry = last(&world, "rotation.proven").await;
        for (name, words) in one.modifiers() {
            assert_eq!(entry[name], words, "{way}: {name}");
        }
        assert!(entry.contains_key("first_refused_at"), "{way}");
    }
    let world = World::new("replace-once").await;
    world.whole("first", FIRST).await;
    let outcome = world.whole("second", AT_ONCE).await;
    let told: BTreeMap<&str, String> = outcome.revoked[0].modifiers().into_iter().collect();
    assert!(!told.contains_key("time_to_stop"), "nobody here asked for its end");
}

#[tokio::test(start_paused = true)]
async fn what_was_let_in_after_its_end_is_not_proven_by_one_refusal_of_a_later_run() {
    for way in ["add-ours", "add-marked", "add-unmarked"] {
        let world = World::new(way).await;
        world.whole("first", FIRST).await;
        // Nothing is declared to lag, and every second sign-in with what ended is accepted.
        world.fake.end_late(Span::ZERO, Span::from_secs(7200));
        world.fake.linger_by_turns();
        let tried = async |run: &'static str| {
            world.forget_refusals();
            world.run(run, &Fuse::none(), AT_ONCE).await
        };
        for run in ["second", "third", "fourth", "fifth"] {
            match tried(run).await {
                Ending::Done(Err(problem)) => {
                    assert_eq!(problem.code, "E-STILL-ACCEPTED", "{way} {run}: {problem}");
                }
                other => panic!("{way} {run}: {other:?}"),
            }
            assert!(world.works().await, "{way} {run}");
            world.clock.advance(Span::from_secs(900));
        }
        world.clock.advance(Span::from_secs(7200));
        let outcome = world.whole("last", AT_ONCE).await;
        assert_eq!(outcome.revoked[0].grade, Grade::A, "{way}");
        assert_eq!(status(&world).await, "current", "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_could_not_be_tried_is_tried_again_by_whoever_comes_next() {
    for way in ["add-ours", "add-marked", "add-unmarked"] {
        let (world, outcome, first) = limited(way).await;
        assert_eq!(outcome.revoked[0].grade, Grade::B, "{way}");
        assert!(keeps_the_old_one(&world).await, "{way}: it is needed once more");
        assert_eq!(status(&world).await, "current", "{way}: not yet");
        world.clock.advance(Span::from_secs(900));
        assert_eq!(status(&world).await, "proof_due", "{way}");
        let told = rules(&world).await;
        assert!(told.contains(&("proof-due", Severity::Low, Condition::Drift)), "{way}: {told:?}");
        let outcome = world.whole("again", AGAIN).await;
        let shown = outcome.revoked.iter().map(|one| (&one.key_id, one.grade, one.again));
        assert_eq!(shown.collect::<Vec<_>>(), [(&first, Grade::A, true)], "{way}");
        assert!(!keeps_the_old_one(&world).await, "{way}: the grade is final");
        assert_eq!(status(&world).await, "current", "{way}");
        assert_eq!(last(&world, "rotation.proven").await["grade"], "A", "{way}");
        assert!(world.most_refusals() <= 2, "{way}");
        let outcome = world.whole("done", AGAIN).await;
        assert!(outcome.revoked.is_empty(), "{way}: nothing is left to show");
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_shown_until_the_deadline_is_forgotten_and_keeps_its_grade() {
    for way in ["add-ours", "add-marked"] {
        let (world, _, _) = limited(way).await;
        world.clock.advance(Span::from_secs(86_400));
        assert_eq!(status(&world).await, "proof_due", "{way}");
        world.fake.calls();
        let outcome = world.whole("late", AGAIN).await;
        let tried = world.fake.calls().iter().any(|(verb, _)| *verb == Verb::Probe);
        assert!(!tried, "{way}: after the deadline nothing is tried");
        assert!(outcome.revoked.is_empty(), "{way}: no other grade");
        assert!(!keeps_the_old_one(&world).await, "{way}");
        assert_eq!(status(&world).await, "current", "{way}");
        assert!(world.works().await, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_everything_ended_no_secret_is_kept_to_show_more_of_an_earlier_end() {
    for way in ["add-ours", "add-unmarked"] {
        let (world, _, first) = limited(way).await;
        assert!(keeps_the_old_one(&world).await, "{way}");
        let outcome = world.whole("all", Goal::Revoke).await;
        let ended: Vec<&String> = outcome.revoked.iter().map(|one| &one.key_id).collect();
        assert!(!ended.contains(&&first), "{way}: that ended before");
        assert!(!keeps_the_old_one(&world).await, "{way}");
        world.clock.advance(Span::from_secs(900));
        assert_ne!(status(&world).await, "proof_due", "{way}: beside nothing that works");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_who_come_at_once_to_try_an_end_again_one_does() {
    let (world, _, _) = limited("add-ours").await;
    world.clock.advance(Span::from_secs(900));
    world.fake.calls();
    let (fuse_a, fuse_b) = (Fuse::uneven(3), Fuse::uneven(5));
    let (a, b) = tokio::join!(world.run("a", &fuse_a, AGAIN), world.run("b", &fuse_b, AGAIN));
    let probes = world.fake.calls().iter().filter(|(verb, _)| *verb == Verb::Probe).count();
    assert_eq!(probes, 4, "one round: {a:?} {b:?}");
    assert!(world.most_refusals() <= 2);
    assert_eq!(status(&world).await, "current");
}

#[tokio::test(start_paused = true)]
async fn an_a_beside_what_was_minted_is_said_so_and_becomes_whole_by_a_listing_alone() {
    let world = World::new("add-ours").await;
    world.whole("first", FIRST).await;
    world.fake.sweep_nothing(true);
    let outcome = world.whole("second", AT_ONCE).await;
    let one = &outcome.revoked[0];
    let until: Timestamp = one.residual_until().unwrap();
    let said = format!("A, residual until {}", until.strftime("%Y-%m-%dT%H:%M:%SZ"));
    assert_eq!(one.grade_words(), said);
    assert_eq!(last(&world, "rotation.proven").await["grade"], said);
    assert!(!keeps_the_old_one(&world).await, "it was tried");
    assert_eq!(status(&world).await, "current");
    world.clock.advance(HOUR);
    assert_eq!(status(&world).await, "proof_due");
    // A listing that is not whole shows nothing.
    world.fake.hide_newest(true);
    assert!(world.whole("blind", AGAIN).await.revoked.is_empty());
    world.fake.hide_newest(false);
    world.fake.calls();
    let outcome = world.whole("again", AGAIN).await;
    let calls = world.fake.calls();
    assert!(calls.iter().all(|(verb, _)| !matches!(verb, Verb::Probe | Verb::End)), "{calls:?}");
    assert_eq!(outcome.revoked[0].grade_words(), "A");
    assert_eq!(last(&world, "rotation.proven").await["grade"], "A");
    assert_eq!(status(&world).await, "current");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_that_its_platform_shows_again_is_told_without_asking_more() {
    for way in ["add-ours", "add-unmarked"] {
        let world = World::new(way).await;
        let first = world.whole("first", FIRST).await.key_id.unwrap();
        world.whole("second", AT_ONCE).await;
        let told = async |world: &World| {
            let told = rules(world).await;
            told.into_iter().find(|(rule, ..)| *rule == "revoked-credential-returned")
        };
        world.clock.advance(HOUR);
        assert_eq!(told(&world).await, None, "{way}");
        world.fake.calls();
        observe_slot(&world.context("looks", &Fuse::none()), &world.spec()).await.unwrap();
        let before = world.fake.calls().len();
        world.fake.by_hand(APP, "sync", |hand| hand.bring_back(&first, &Secret::new("again")));
        let returned = ("revoked-credential-returned", Severity::Critical, Condition::Policy);
        assert_eq!(told(&world).await, Some(returned), "{way}");
        world.fake.calls();
        let context = world.context("looks", &Fuse::none());
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert_eq!(seen.returned, [first], "{way}");
        assert_eq!(world.fake.calls().len(), before, "{way}: no further request");
    }
}
