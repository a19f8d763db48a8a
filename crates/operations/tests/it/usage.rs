//! What a log tells of use counts where the platform tells of none, and what no log tells is unknown.

use std::sync::Arc;

use connector::{LogLine, LogUse};
use domain::{CredentialId, Marker, RealmKey, Secret, Span};
use jiff::{SignedDuration, Timestamp};
use ledger::{Change, Durability, NewEntry};
use operations::{
    ImportedUsage, Line, UseLine, all_usage, import_usage, judge_integration, observe_slot,
};
use policy::rotation::Goal;
use serde_json::json;

use crate::world::{Ending, Fuse, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const RETIRE: Goal = Goal::Retire { at: 2 };

fn slot(world: &World) -> CredentialId {
    world.spec().id
}

fn now(world: &World) -> Timestamp {
    world.context("now", &Fuse::none()).now()
}

fn used(world: &World, key: &str, at: Timestamp) -> Option<Line> {
    let integration = slot(world).integration.to_string();
    Some(Line::Use(UseLine { at, integration, key: Some(key.to_owned()), scope: None }))
}

fn until(at: Timestamp) -> Option<Line> {
    Some(Line::Platform(LogLine::Other(Some(at))))
}

async fn imports(
    world: &World,
    connection: Option<&str>,
    lines: Vec<Option<Line>>,
) -> ImportedUsage {
    let context = world.context("imports", &Fuse::none());
    import_usage(&context, "gateway", connection, lines).await.unwrap()
}

async fn rules(world: &World) -> Vec<&'static str> {
    let mut context = world.context("looks", &Fuse::none());
    let mut rules = (*context.rules).clone();
    rules.findings.dormant_after = Some(Span::from_secs(10 * 86_400));
    context.rules = Arc::new(rules);
    let judged = judge_integration(&context, &world.wish()).await.unwrap();
    judged.findings.iter().map(|(_, one)| one.rule).collect()
}

#[tokio::test(start_paused = true)]
async fn an_earlier_one_that_only_a_log_shows_in_use_is_waited_for_until_it_is_quiet() {
    let world = World::new("add-marked").await;
    let first = world.whole("first", FIRST).await.key_id.unwrap();
    world.whole("second", SECOND).await;
    world.clock.advance(OVERLAP);
    let hour_ago = now(&world) - SignedDuration::from_hours(1);
    let imported = imports(&world, None, vec![used(&world, &first, hour_ago)]).await;
    assert_eq!((imported.uses, imported.unknown), (1, 0));
    let context = world.context("looks", &Fuse::none());
    let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
    assert_eq!(seen.in_use[0].0, first);
    assert!(rules(&world).await.contains(&"old-still-used"));
    match world.run("waits", &Fuse::none(), RETIRE).await {
        Ending::Done(Err(problem)) => assert_eq!(problem.code, "E-OLD-IN-USE"),
        other => panic!("{other:?}"),
    }
    assert!(world.live().await.contains(&first));
    world.clock.advance(Span::from_secs(OVERLAP.as_secs() / 2));
    let ended = world.whole("ends", RETIRE).await;
    assert_eq!(ended.revoked.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_later_use_that_a_log_shows_counts_where_the_platform_tells_of_an_earlier_one() {
    let world = World::new("add-marked").await;
    let first = world.whole("first", FIRST).await.key_id.unwrap();
    let begun = now(&world);
    world.clock.advance(Span::from_secs(20 * 86_400));
    assert!(rules(&world).await.contains(&"dormant"), "its platform tells");
    let long_ago = used(&world, &first, begun + SignedDuration::from_hours(1));
    imports(&world, None, vec![long_ago, until(now(&world))]).await;
    assert!(rules(&world).await.contains(&"dormant"));
    let used_now = used(&world, &first, now(&world));
    imports(&world, None, vec![used_now]).await;
    assert!(!rules(&world).await.contains(&"dormant"));
}

#[tokio::test(start_paused = true)]
async fn a_mark_in_a_log_names_its_key_where_it_was_made_here_and_no_other_is_believed() {
    let world = World::new("add-marked").await;
    let first = world.whole("first", FIRST).await.key_id.unwrap();
    // As an apply writes down which incarnation it made.
    let made = Change::Applied {
        integration: slot(&world).integration.to_string(),
        facet: "object".to_owned(),
        document: Some(json!({ "vendor_id": world.vendor_id })),
    };
    let entry = NewEntry::new(1, "declared", slot(&world).integration.to_string()).change(made);
    let ledger = world.ledger.lock().unwrap().clone();
    ledger.append(vec![entry], Durability::Durable).await.unwrap();
    let tenant = {
        let context = world.context("looks", &Fuse::none());
        context.connections.get("fake").await.unwrap().connector.unwrap().tenant().await.unwrap()
    };
    let key = |c: &str| RealmKey::new(&Secret::new(c.repeat(40))).unwrap();
    let mark = |key: &RealmKey, vendor_id: &str| {
        Marker::new(key, world.realm, &tenant, vendor_id, &slot(&world), 1, 1).to_string()
    };
    let at = now(&world);
    let line = |mark: Option<String>, name: Option<&str>| {
        let name = name.map(str::to_owned);
        Some(Line::Platform(LogLine::Use(LogUse { at, mark, name, scopes: Vec::new() })))
    };
    let lines = vec![
        line(Some(mark(&key("k"), &world.vendor_id)), None),
        line(Some(mark(&key("x"), &world.vendor_id)), None),
        line(Some("nhi1-not-a-mark".to_owned()), Some("sync")),
        line(Some(mark(&key("k"), "another")), None),
        line(None, Some("sync")),
        line(None, Some("somebody")),
        None,
    ];
    let imported = imports(&world, Some("fake"), lines).await;
    let counted =
        (imported.uses, imported.foreign, imported.unknown, imported.unreadable, imported.lines);
    assert_eq!(counted, (2, 2, 2, 1, 7));
    let context = world.context("looks", &Fuse::none());
    let known = all_usage(&context).await.unwrap();
    let log = &known[&slot(&world).integration.to_string()].logs["gateway"];
    assert_eq!(log.keys.keys().collect::<Vec<_>>(), [&first]);
    assert!(context.ledger.compare().await.unwrap().is_empty());
    // What a line calls a credential and is none of it is not kept: it may be a secret.
    let (used_by, to_come) =
        (used(&world, "a-secret", at), until(at + SignedDuration::from_hours(1)));
    let told = imports(&world, None, vec![used_by, to_come]).await;
    assert_eq!(
        (told.uses, told.unreadable, told.to),
        (1, 1, Some(at)),
        "nor is what is to come over"
    );
    let known = all_usage(&context).await.unwrap();
    let log = &known[&slot(&world).integration.to_string()].logs["gateway"];
    assert_eq!(log.keys.keys().collect::<Vec<_>>(), [&first]);
    let wrong = import_usage(&context, "a b", None, Vec::new()).await.unwrap_err();
    assert_eq!(wrong.code, "E-USAGE");
}
