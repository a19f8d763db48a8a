//! What a call made that came when nobody waited for it any more.

use connector::{Connector, fake::APP};
use domain::{Marker, RealmKey, Secret};
use operations::{DueNow, due_now, judge_integration, meet, observe_integration, observe_slot};
use policy::rotation::Goal;

use crate::world::{Fuse, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };

/// A slot at its second generation, and a key beside it that bears its mark under an epoch that is over,
/// made with a genuine key or not.
async fn with_a_late_one(way: &'static str, genuine: bool) -> (World, String) {
    let world = World::new(way).await;
    world.whole("a", FIRST).await;
    world.whole("b", SECOND).await;
    let key = RealmKey::new(&Secret::new(if genuine { "k" } else { "x" }.repeat(40))).unwrap();
    let tenant = world.fake.tenant().await.unwrap();
    let id = world.spec().id;
    let mark = Marker::new(&key, world.realm, &tenant, &world.vendor_id, &id, 2, 1).to_string();
    let mut late = String::new();
    world.fake.by_hand(APP, "sync", |hand| late = hand.issue("nobody has it", Some(&mark)));
    (world, late)
}

#[tokio::test(start_paused = true)]
async fn what_a_call_made_that_came_late_is_ours_is_told_as_that_and_ends_without_a_rotation() {
    for way in ["add-ours", "add-marked"] {
        let (world, late) = with_a_late_one(way, true).await;
        let context = world.context("looks", &Fuse::none());
        let spec = world.spec();
        let seen = observe_slot(&context, &spec).await.unwrap().unwrap();
        assert_eq!((seen.status, &seen.late[..]), ("unfinished", &[late.clone()][..]), "{way}");
        assert_eq!(seen.generation, 2, "{way}: it is not another generation");
        let id = &spec.id.integration;
        let beside = observe_integration(&context, id, None, None).await.unwrap().unwrap();
        assert!(beside.unmanaged.is_empty(), "{way}: {:?}", beside.unmanaged);
        assert_eq!(beside.late.keys().collect::<Vec<_>>(), [&late], "{way}");
        let judged = judge_integration(&context, &world.wish()).await.unwrap();
        let rules: Vec<&str> = judged.findings.iter().map(|(_, one)| one.rule).collect();
        assert_eq!(rules, ["unfinished"], "{way}");
        // Whoever does not declare the slot cannot end it, and is told of it all the same.
        let mut other = world.wish();
        other.slots.clear();
        let judged = judge_integration(&context, &other).await.unwrap();
        let unmanaged = |rule: &str| rule == "credential-unmanaged";
        assert!(judged.findings.iter().any(|(_, one)| unmanaged(one.rule)), "{way}");

        // What may not act is narrowed as well.
        let due = due_now(&context, &spec, &seen, false).await.unwrap();
        assert_eq!(due, DueNow::Do(SECOND, "schedule"), "{way}");
        let before = world.live().await.len();
        world.fake.calls();
        meet(&world.context("cron", &Fuse::none()), &spec, false).await.unwrap().unwrap();
        let live = world.live().await;
        assert!(!live.contains(&late) && live.len() + 1 == before, "{way}: {live:?}");
        let issued = |verb: &connector::fake::Verb| *verb == connector::fake::Verb::Issue;
        assert!(!world.fake.calls().iter().any(|(verb, _)| issued(verb)), "{way}");
        let seen = observe_slot(&context, &spec).await.unwrap().unwrap();
        assert_eq!((seen.status, seen.late.len()), ("current", 0), "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_was_copied_or_forged_makes_nothing_ours() {
    let (world, late) = with_a_late_one("add-marked", false).await;
    let context = world.context("looks", &Fuse::none());
    let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
    assert_eq!((seen.status, seen.late.len()), ("current", 0));
    let id = &world.spec().id.integration;
    let beside = observe_integration(&context, id, None, None).await.unwrap().unwrap();
    assert!(beside.unmanaged.contains(&late) && beside.forged.contains(&late));
    assert!(
        meet(&world.context("cron", &Fuse::none()), &world.spec(), true).await.unwrap().is_none()
    );
    assert!(world.live().await.contains(&late), "nobody ends what somebody else made");
}

#[tokio::test(start_paused = true)]
async fn while_somebody_is_at_work_what_they_have_made_is_not_called_late() {
    for call in 1..30 {
        let world = World::new("add-marked").await;
        world.whole("a", FIRST).await;
        let fuse = Fuse::at(call, crate::world::Moment::After);
        if matches!(world.run("killed", &fuse, SECOND).await, crate::world::Ending::Done(_)) {
            break;
        }
        let context = world.context("looks", &Fuse::none());
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert!(seen.late.is_empty(), "killed after call {call}: {:?}", seen.late);
    }
}
