//! Slots that wait for a person: what the message says is what helps.

use connector::fake::APP;
use domain::Secret;
use policy::rotation::Goal;
use secrets::{Document, Expect, Sink};

use crate::world::{Ending, Fuse, Moment, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };

async fn refused(world: &World, run: &str, goal: Goal) -> operations::Problem {
    match world.run(run, &Fuse::none(), goal).await {
        Ending::Done(Err(problem)) => problem,
        other => panic!("{run}: {other:?}"),
    }
}

/// A run that dies right before it writes to a consumer's sink for the nth time.
async fn killed_before_promote(world: &World, goal: Goal, nth: usize) {
    for call in 1..40 {
        let fresh = World::new(world.way).await;
        if goal == SECOND {
            fresh.whole("before", FIRST).await;
        }
        let fuse = Fuse::at(call, Moment::Before);
        let before = fresh.apps_versions().await;
        if matches!(fresh.run("killed", &fuse, goal).await, Ending::Done(_)) {
            continue;
        }
        let written = fresh.apps_versions().await - before;
        let promotes = fuse.log().iter().filter(|one| **one == "write").count();
        if written + 1 == nth as u64 && fuse.log().last() == Some(&"write") && promotes > nth {
            let fuse = Fuse::at(call, Moment::Before);
            let ending = world.run("killed", &fuse, goal).await;
            assert!(matches!(ending, Ending::Killed), "{ending:?}");
            world.clock.advance(world.claim_ttl + domain::Span::from_secs(1));
            return;
        }
    }
    panic!("no such call");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_cannot_sign_in_are_issued_again_once_the_cause_is_gone() {
    for way in ["add-ours", "add-marked"] {
        for goal in [FIRST, SECOND] {
            let world = World::new(way).await;
            if goal == SECOND {
                world.whole("before", FIRST).await;
            }
            let live = world.live().await;
            world.fake.by_hand(APP, "sync", |hand| hand.enable(false));
            let problem = refused(&world, "a", goal).await;
            assert_eq!(problem.code, "E-VERIFY", "{way}");
            assert!(problem.next.unwrap().contains("triggers"), "{way}");
            assert_eq!(world.live().await, live, "{way}: all of them were ended");
            world.fake.by_hand(APP, "sync", |hand| hand.enable(true));
            let outcome = world.whole("decided", goal).await;
            let generation = if goal == SECOND { 2 } else { 1 };
            assert_eq!(outcome.generation, generation, "{way}");
            assert!(world.works().await, "{way}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_that_changed_under_a_rotation_is_written_over_once_a_person_said_so() {
    for way in ["add-ours", "add-marked"] {
        for (nth, path) in [(1, "apps/b"), (2, "apps/a")] {
            let how = format!("{way} {path}");
            let world = World::new(way).await;
            world.whole("before", FIRST).await;
            killed_before_promote(&world, SECOND, nth).await;
            let hand = Document::default().with("key", Secret::new("by hand"));
            world.apps.write(path, &hand, Expect::Version(1)).await.unwrap();
            let problem = refused(&world, "a", SECOND).await;
            assert_eq!(problem.code, "E-SINK-CHANGED", "{how}");
            assert!(problem.next.unwrap().contains("triggers"), "{how}");
            let copy = Goal::Rotate { to: 1, at_once: false };
            assert_eq!(refused(&world, "copy", copy).await.code, "E-SINK-CHANGED", "{how}");
            let live = world.live().await;
            let outcome = world.whole("decided", SECOND).await;
            world.assert_at(&outcome, 2, &how).await;
            assert_eq!(world.live().await, live, "{how}: what was promoted already is kept");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_was_taken_under_a_create_is_left_and_the_create_goes_on_elsewhere() {
    for way in ["add-ours", "add-marked"] {
        let mut world = World::new(way).await;
        killed_before_promote(&world, FIRST, 2).await;
        let theirs = Document::default().with("password", Secret::new("theirs"));
        world.apps.write("apps/a", &theirs, Expect::Nothing).await.unwrap();
        assert_eq!(refused(&world, "a", FIRST).await.code, "E-SINK-OCCUPIED", "{way}");
        world.places = vec!["apps/c", "apps/b"];
        let outcome = world.whole("decided", FIRST).await;
        world.assert_at(&outcome, 1, way).await;
        assert_eq!(world.apps.read("apps/a").await.unwrap().unwrap().version.number, 1, "{way}");
    }
}

/// What the newest entry says that was verified of scopes.
async fn verified_scopes(world: &World) -> String {
    let entries = world.entries().await;
    let entry = entries.iter().rev().find(|entry| entry.kind == "rotation.verified").unwrap();
    entry.detail["verified_scopes"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_new_key_that_may_do_more_than_the_old_one_is_delivered_to_nobody() {
    for way in ["add-ours", "add-marked", "add-unmarked"] {
        let world = World::new(way).await;
        world.fake.by_hand(APP, "sync", |hand| hand.grant("data:read"));
        world.whole("first", FIRST).await;
        assert_eq!(verified_scopes(&world).await, "unknown", "{way}: the platform does not say");
        let before = world.delivered("apps/a").await;
        world.fake.show_scopes(&["data:read", "data:write"], &["data:read"]);
        let problem = refused(&world, "second", SECOND).await;
        assert_eq!(problem.code, "E-SCOPES-WIDER", "{way}: {problem}");
        assert_eq!(world.delivered("apps/a").await, before, "{way}");
        assert!(world.works().await, "{way}: what consumers hold works");
        assert_eq!(refused(&world, "again", FIRST).await.code, "E-SCOPES-WIDER", "{way}");
        // What gave it more was taken away, and a person says so.
        world.fake.show_scopes(&["data:read"], &["data:read"]);
        let outcome = world.whole("person", SECOND).await;
        world.assert_at(&outcome, 2, way).await;
        assert_eq!(verified_scopes(&world).await, "equal", "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_new_key_may_do_is_kept_and_blocks_nothing_where_the_old_one_may_the_same() {
    for (newest, others, expected) in [
        (&["data:read", "data:write"][..], &["data:read", "data:write"][..], "wider"),
        (&["data:all"], &["data:all"], "wider"),
        (&["data:read"], &["data:write"], "equal"),
        (&[], &["data:read"], "narrower"),
        (&["what is this"], &["data:read"], "unknown"),
    ] {
        let world = World::new("add-ours").await;
        world.fake.by_hand(APP, "sync", |hand| hand.grant("data:read"));
        world.whole("first", FIRST).await;
        world.fake.show_scopes(newest, others);
        let outcome = world.whole("second", SECOND).await;
        assert_eq!(verified_scopes(&world).await, expected, "{newest:?}");
        world.assert_at(&outcome, 2, expected).await;
    }
}
