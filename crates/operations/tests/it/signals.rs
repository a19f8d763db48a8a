//! What is heard from outside: an exposure rotates what it names and nothing else, an anomaly and an
//! incident are told until somebody closes them.

use std::sync::Arc;

use connector::fake::APP;
use domain::{Record, Secret, Span};
use ledger::{Ledger, MemoryLedger, NullLedger};
use operations::{
    Asked, Context, NewSignal, Next, Signal, Taken, Tick, Wish, Wishes, all_heard, close_signal,
    judge_heard, judge_integration, observe_slot, receive_signal,
};
use policy::{rotation::Goal, signal::Kind};
use serde_json::json;

use crate::world::{Fuse, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };

fn context(world: &World) -> Context {
    world.context("tick", &Fuse::none())
}

fn slot(world: &World) -> String {
    world.spec().id.to_string()
}

fn integration(world: &World) -> String {
    world.spec().id.integration.to_string()
}

fn said(kind: Kind, subject: &str) -> NewSignal {
    NewSignal {
        id: None,
        kind,
        subject: subject.to_owned(),
        key: None,
        at: None,
        source: "scanner".to_owned(),
        evidence: None,
        ends_at: None,
        note: None,
    }
}

async fn hears(world: &World, new: &NewSignal) -> Vec<Signal> {
    let received = receive_signal(&context(world), new).await.unwrap();
    assert!(!received.known);
    received.signals
}

async fn refuses(world: &World, new: &NewSignal) -> &'static str {
    let problem = receive_signal(&context(world), new).await.unwrap_err();
    assert!(problem.next.is_some(), "{problem}");
    problem.code
}

async fn status(world: &World) -> &'static str {
    observe_slot(&context(world), &world.spec()).await.unwrap().unwrap().status
}

async fn open(world: &World) -> Vec<Signal> {
    all_heard(&context(world), false).await.unwrap()
}

fn wishes(world: &World) -> Wishes {
    let mut wish: Wish = world.wish();
    for slot in &mut wish.slots {
        slot.settings = Some(json!({}));
    }
    Wishes { integrations: [(wish.id.clone(), wish)].into(), ..Wishes::default() }
}

/// One whole tick: what became of each that was to be done.
async fn ticked(world: &World) -> Vec<Taken> {
    let context = context(world);
    let tick = Tick::begin(&context, Asked::default()).await;
    let looked = tick.look(wishes(world), |_, _| ()).await;
    assert!(looked.unread.is_empty(), "{:?}", looked.unread);
    let mut all = Vec::new();
    tick.take_all(&looked.steps, |_, step, taken| {
        if matches!(step.next, Next::Do(..)) {
            all.push(taken);
        }
    })
    .await;
    all
}

#[tokio::test(start_paused = true)]
async fn what_is_exposed_is_rotated_once_without_an_overlap_and_is_over_by_itself() {
    for way in ["add-ours", "add-marked", "add-unmarked", "slots", "replace-ours", "replace-once"] {
        let world = World::new(way).await;
        let first = world.whole("first", FIRST).await.key_id.unwrap();
        assert_eq!(status(&world).await, "current", "{way}");
        let kept = hears(&world, &said(Kind::Exposure, &integration(&world))).await;
        assert_eq!(kept.len(), 1, "{way}");
        assert_eq!((kept[0].subject.clone(), kept[0].keys.contains(&first)), (slot(&world), true));
        assert_eq!(status(&world).await, "exposed", "{way}");
        let told = judge_integration(&context(&world), &world.wish()).await.unwrap();
        let one = told.findings.iter().find(|(_, one)| one.rule == "exposed").expect("it is told");
        assert!(one.1.why.contains("scanner said so"), "{}", one.1.why);
        let done = ticked(&world).await;
        assert!(
            matches!(&done[..], [Taken::Rotated(to)] if to.generation == 2 && to.previous.is_empty()),
            "{way}: {done:?}"
        );
        assert_eq!(world.live().await.len(), 1, "{way}");
        assert!(world.works().await, "{way}");
        // The one that was issued next is not exposed by it, whatever the platform's clock says.
        assert_eq!(status(&world).await, "current", "{way}");
        assert!(ticked(&world).await.is_empty(), "{way}: once is enough");
        assert!(open(&world).await.is_empty(), "{way}: it is over");
        let all = all_heard(&context(&world), true).await.unwrap();
        assert_eq!(all.iter().map(|one| one.state.as_str()).collect::<Vec<_>>(), ["met"], "{way}");
        let kinds = world.kinds().await;
        assert!(kinds.iter().any(|kind| kind == "signal.received"), "{kinds:?}");
        assert!(kinds.iter().any(|kind| kind == "signal.met"), "{kinds:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_earlier_one_that_is_exposed_in_its_overlap_does_not_live_to_its_end() {
    let world = World::new("add-marked").await;
    let first = world.whole("first", FIRST).await.key_id.unwrap();
    let second = world.whole("second", SECOND).await.key_id.unwrap();
    assert_eq!(world.live().await.len(), 2);
    let key = Some(first.clone());
    let new = NewSignal { key, ..said(Kind::Exposure, &integration(&world)) };
    let kept = hears(&world, &new).await;
    assert!(kept[0].keys.contains(&first) && !kept[0].keys.contains(&second));
    assert_eq!(status(&world).await, "exposed");
    ticked(&world).await;
    assert!(!world.live().await.contains(&first));
    assert!(world.works().await);
    assert!(open(&world).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_same_report_twice_is_one_and_another_under_its_id_is_refused() {
    let world = World::new("add-marked").await;
    world.whole("first", FIRST).await;
    let subject = integration(&world);
    let new = NewSignal { id: Some("siem-7".into()), ..said(Kind::Exposure, &subject) };
    let kept = hears(&world, &new).await;
    let again = receive_signal(&context(&world), &new).await.unwrap();
    assert!(again.known && again.signals == kept);
    let other = NewSignal { kind: Kind::Anomaly, ..new.clone() };
    assert_eq!(refuses(&world, &other).await, "E-SIGNAL");
    let another = NewSignal { key: Some("another".into()), ..new.clone() };
    assert_eq!(refuses(&world, &another).await, "E-SIGNAL");
    // Nor does it open what is over: a replay rotates nothing.
    ticked(&world).await;
    let late = receive_signal(&context(&world), &new).await.unwrap();
    assert!(late.known && late.signals[0].state == "met", "{late:?}");
    assert_eq!(status(&world).await, "current");
    // Without an id the same words are the same report, and of another credential they are another.
    let bare = said(Kind::Exposure, &subject);
    let one = hears(&world, &bare).await;
    assert!(receive_signal(&context(&world), &bare).await.unwrap().known);
    ticked(&world).await;
    let next = hears(&world, &bare).await;
    assert_ne!(one[0].id, next[0].id);
}

#[tokio::test(start_paused = true)]
async fn a_false_alarm_is_closed_by_a_word_and_then_nothing_rotates() {
    let world = World::new("add-marked").await;
    world.whole("first", FIRST).await;
    let kept = hears(&world, &said(Kind::Exposure, &slot(&world))).await;
    let closed = close_signal(&context(&world), &kept[0].id, "a test").await.unwrap();
    assert_eq!(closed.len(), 1);
    assert_eq!(status(&world).await, "current");
    assert!(ticked(&world).await.is_empty());
    let again = close_signal(&context(&world), &kept[0].id, "a test").await.unwrap_err();
    assert_eq!(again.code, "E-SIGNAL-UNKNOWN");
}

#[tokio::test(start_paused = true)]
async fn a_report_names_what_the_ledger_knows_and_is_right_or_it_is_refused() {
    let world = World::new("add-marked").await;
    let subject = integration(&world);
    assert_eq!(refuses(&world, &said(Kind::Exposure, &subject)).await, "E-SIGNAL-UNKNOWN");
    let first = world.whole("first", FIRST).await.key_id.unwrap();
    for unknown in ["fake/app/other", "nothing", &format!("{subject}/credential/other")] {
        assert_eq!(refuses(&world, &said(Kind::Exposure, unknown)).await, "E-SIGNAL-UNKNOWN");
    }
    // The platform's own id of it, and the connection with all that it has.
    for of in [first.as_str(), "fake"] {
        let kept = hears(&world, &said(Kind::Exposure, of)).await;
        assert_eq!(kept[0].subject, slot(&world), "{of}");
    }
    let now = context(&world).now();
    let good = said(Kind::Anomaly, &subject);
    let later = now + jiff::SignedDuration::from_hours(1);
    for wrong in [
        NewSignal { source: " ".into(), ..good.clone() },
        NewSignal { source: "a\nb".into(), ..good.clone() },
        NewSignal { note: Some("x".repeat(501)), ..good.clone() },
        NewSignal { evidence: Some("sha256:12".into()), ..good.clone() },
        NewSignal { id: Some("a b".into()), ..good.clone() },
        NewSignal { at: Some(later), ..good.clone() },
        NewSignal { ends_at: Some(now), ..good.clone() },
        NewSignal { kind: Kind::Exposure, ends_at: Some(later), ..good.clone() },
    ] {
        assert_eq!(refuses(&world, &wrong).await, "E-SIGNAL", "{wrong:?}");
    }
    let key = Some("another".to_owned());
    let none = NewSignal { key, ..said(Kind::Exposure, &subject) };
    assert_eq!(refuses(&world, &none).await, "E-SIGNAL-NOTHING");
    *world.ledger.lock().unwrap() = Arc::new(NullLedger) as Arc<dyn Ledger>;
    assert_eq!(refuses(&world, &good).await, "E-SIGNAL-LEDGER");
}

#[tokio::test(start_paused = true)]
async fn an_anomaly_and_an_incident_are_told_until_they_are_closed_or_their_end_has_come() {
    let world = World::new("add-marked").await;
    world.whole("first", FIRST).await;
    let told = async |asked: &str| {
        let of = judge_heard(&context(&world), |subject| subject.starts_with(asked)).await;
        let rules = of.findings.iter().map(|(_, one)| one.rule);
        rules.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    assert!(told("").await.is_empty());
    let ends_at = Some(context(&world).now() + jiff::SignedDuration::from_hours(24));
    let note = Some("4,000 exports at night".to_owned());
    let anomaly = NewSignal { ends_at, note, ..said(Kind::Anomaly, &slot(&world)) };
    hears(&world, &anomaly).await;
    let incident = hears(&world, &said(Kind::Incident, &integration(&world))).await;
    assert_eq!(told("").await, ["anomaly", "incident"]);
    assert!(told("hub").await.is_empty(), "what was not asked for is not told");
    // Neither says that a secret is in wrong hands.
    assert_eq!(status(&world).await, "current");
    assert!(ticked(&world).await.is_empty());
    world.clock.advance(OVERLAP);
    assert_eq!(told("").await, ["incident"]);
    close_signal(&context(&world), &incident[0].id, "reviewed").await.unwrap();
    assert!(told("").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_exposed_and_may_not_act_is_told_with_its_command_and_gets_nothing() {
    let world = World::new("add-marked").await;
    world.whole("first", FIRST).await;
    hears(&world, &said(Kind::Exposure, &slot(&world))).await;
    let quarantined = Record { quarantined: Some("INC-7".into()), ..Record::default() };
    world.fake.by_hand(APP, "sync", |hand| {
        hand.enable(false);
        hand.write_record(Some(quarantined));
    });
    let context = context(&world);
    let tick = Tick::begin(&context, Asked::default()).await;
    let looked = tick.look(wishes(&world), |_, _| ()).await;
    let step = looked.steps.iter().find(|one| one.subject == slot(&world)).unwrap();
    match &step.next {
        Next::PutOff { why, next: Some(next), late: true } => {
            assert!(why.contains("exposed"), "{why}");
            assert_eq!(*next, format!("nhi revoke {}", slot(&world)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.live().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_ledger_keeps_no_secret_of_it_and_rebuilding_its_rows_gives_the_same() {
    let world = World::new("add-marked").await;
    world.whole("first", FIRST).await;
    let ledger = Arc::new(MemoryLedger::new());
    *world.ledger.lock().unwrap() = ledger.clone() as Arc<dyn Ledger>;
    // This ledger has not heard of the first one, and hears of the second.
    let secret: Secret = world.delivered("apps/a").await.unwrap();
    world.clock.advance(Span::from_secs(86_400 * 40));
    world.whole("second", SECOND).await;
    hears(&world, &said(Kind::Exposure, &slot(&world))).await;
    let before = open(&world).await;
    assert!(ledger.compare().await.unwrap().is_empty());
    ledger.rebuild().await.unwrap();
    assert_eq!(open(&world).await, before);
    for entry in world.entries().await {
        let body = String::from_utf8_lossy(&entry.body).into_owned();
        assert!(!body.contains(secret.expose()), "{body}");
    }
}
