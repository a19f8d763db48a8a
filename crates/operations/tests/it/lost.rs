//! Calls that are refused, lost, or answered into the void, and hands of others in between.

use std::sync::Arc;

use connector::{
    Refusal,
    fake::{APP, Fault, Verb},
};
use ledger::{MemoryLedger, NullLedger};
use policy::rotation::Goal;
use secrets::Sink;

use crate::world::{Ending, Fuse, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const AT_ONCE: Goal = Goal::Rotate { to: 2, at_once: true };

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_one_call_to_the_platform_the_next_run_finishes() {
    let faults = [
        Fault::NotSent,
        Fault::AnswerLost,
        Fault::RequestLost,
        Fault::Refused(Refusal::Forbidden),
        Fault::Refused(Refusal::RateLimited),
    ];
    for way in ["add-ours", "add-marked"] {
        for verb in
            [Verb::Issue, Verb::End, Verb::Sweep, Verb::Probe, Verb::Credentials, Verb::Read]
        {
            for fault in faults {
                for nth in 0..4 {
                    let how = format!("{way} {verb:?} {fault:?} after {nth}");
                    let world = World::new(way).await;
                    world.whole("before", FIRST).await;
                    let through = std::iter::repeat_n(Fault::None, nth);
                    world.fake.fail(verb, through.chain([fault]));
                    let _ = world.run("hit", &Fuse::none(), AT_ONCE).await;
                    assert!(world.works().await, "{how}: nothing works right after");
                    world.fake.heal();
                    let outcome = world.recover(AT_ONCE).await;
                    world.assert_at(&outcome, 2, &how).await;
                    assert!(outcome.previous.is_empty(), "{how}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_one_write_to_a_sink_the_next_run_finishes() {
    use secrets::Fault;
    for way in ["add-ours", "add-marked"] {
        for custody in [true, false] {
            for fault in [Fault::Unreachable, Fault::AnswerLost, Fault::RequestLost, Fault::Refused]
            {
                for nth in 0..12 {
                    let how = format!("{way} custody {custody} {fault:?} after {nth}");
                    let world = World::new(way).await;
                    world.whole("before", FIRST).await;
                    let sink = if custody { &world.vault } else { &world.apps };
                    sink.fail(std::iter::repeat_n(Fault::None, nth).chain([fault]));
                    let _ = world.run("hit", &Fuse::none(), AT_ONCE).await;
                    assert!(world.works().await, "{how}: nothing works right after");
                    let outcome = world.recover(AT_ONCE).await;
                    world.assert_at(&outcome, 2, &how).await;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_a_human_made_survives_everything_but_revoking_by_name() {
    for way in ["add-ours", "add-marked"] {
        let world = World::new(way).await;
        world.whole("a", FIRST).await;
        let mut human = String::new();
        world.fake.by_hand(APP, "sync", |hand| human = hand.issue("by hand", None));
        let copied = "nhi1-k3x9q2-abcdefgh-g1-e1-maaaaaaaaaaaaa";
        let mut forged = String::new();
        world.fake.by_hand(APP, "sync", |hand| forged = hand.issue("forged", Some(copied)));
        world.whole("b", AT_ONCE).await;
        world.whole("c", Goal::Revoke).await;
        let left = world.live().await;
        assert_eq!(left, [human, forged].into(), "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_is_lost_takes_history_and_nothing_else() {
    for way in ["add-ours", "add-marked"] {
        let world = World::new(way).await;
        world.whole("a", FIRST).await;
        *world.ledger.lock().unwrap() = Arc::new(MemoryLedger::new());
        let outcome = world.whole("b", SECOND).await;
        world.assert_at(&outcome, 2, way).await;
        *world.ledger.lock().unwrap() = Arc::new(NullLedger);
        let outcome = world.whole("c", Goal::Rotate { to: 3, at_once: true }).await;
        world.assert_at(&outcome, 3, way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_of_somebody_else_is_never_written_over() {
    use domain::Secret;
    use secrets::{Document, Expect};
    let world = World::new("add-ours").await;
    let theirs = Document::default().with("password", Secret::new("theirs"));
    world.apps.write("apps/b", &theirs, Expect::Nothing).await.unwrap();
    let Ending::Done(Err(problem)) = world.run("a", &Fuse::none(), FIRST).await else { panic!() };
    assert_eq!(problem.code, "E-SINK-OCCUPIED");
    let stored = world.apps.read("apps/b").await.unwrap().unwrap();
    assert_eq!(stored.version.number, 1);
    assert!(world.live().await.is_empty(), "and nothing was issued for it");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_somebody_changed_is_written_again_from_another() {
    use domain::Secret;
    use secrets::{Document, Expect};
    let world = World::new("add-ours").await;
    let first = world.whole("a", FIRST).await;
    let hand = Document::default().with("key", Secret::new("by hand"));
    world.apps.write("apps/b", &hand, Expect::Version(1)).await.unwrap();
    assert!(!world.works().await);
    let outcome = world.whole("b", FIRST).await;
    world.assert_at(&outcome, 1, "repaired").await;
    assert_eq!(outcome.key_id, first.key_id, "without a rotation");
}
