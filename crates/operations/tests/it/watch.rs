//! What whoever works between applies does beside deeds: it asks again who fell silent, tells owners once,
//! and sees to what nobody answers for.

use std::collections::{BTreeMap, BTreeSet};

use connector::{
    Connector, NewIntegration, Refusal,
    fake::{APP, Fault, Verb},
};
use domain::{Record, Settings, Span};
use operations::{
    Asked, Context, LookedUp, Next, Taken, Wish, Wishes, ends_to_tell, findings_to_tell,
    forget_ends, judge_all, note_told,
};
use policy::{Rules, findings::Severity, retry::Breaker, rotation::Goal, rules::Verdict};
use serde_json::json;

use crate::{
    tick::{context, look},
    world::World,
};

const DAY: Span = Span::from_secs(86_400);

async fn world() -> World {
    let world = World::new("add-marked").await;
    world.whole("a", Goal::Rotate { to: 1, at_once: false }).await;
    world
}

fn wishes(world: &World, change: impl FnOnce(&mut Wish)) -> Wishes {
    let mut wish = world.wish();
    for slot in &mut wish.slots {
        slot.settings = Some(json!({}));
    }
    change(&mut wish);
    Wishes { integrations: BTreeMap::from([(wish.id.clone(), wish)]), ..Wishes::default() }
}

fn after(breakers: BTreeMap<String, Breaker>) -> Asked {
    Asked { breakers, ..Asked::default() }
}

#[tokio::test(start_paused = true)]
async fn who_fell_silent_is_asked_one_thing_until_it_answers() {
    let world = world().await;
    let context = context(&world, |_| ());
    let mut breaker = Breaker::default();
    (0..5).for_each(|_| breaker.note(false));
    let mut breakers = BTreeMap::from([("fake".to_owned(), breaker)]);
    for _ in 0..3 {
        world.fake.heal();
        world.fake.fail(Verb::Tenant, [Fault::NotSent; 50]);
        world.fake.calls();
        let (tick, looked) = look(&context, wishes(&world, |_| ()), after(breakers)).await;
        assert_eq!(world.fake.calls().len(), 1, "one call and no other");
        assert!(looked.steps.is_empty(), "{looked:?}");
        assert_eq!(looked.unread[0].problem.code, "E-UNHEARD");
        // Nor that one, before its time has come.
        breakers = tick.breakers();
        let (tick, looked) = look(&context, wishes(&world, |_| ()), after(breakers)).await;
        assert!(world.fake.calls().is_empty() && looked.steps.is_empty());
        breakers = tick.breakers();
        world.clock.advance(Span::from_secs(3600));
    }
    world.fake.heal();
    let (tick, looked) = look(&context, wishes(&world, |_| ()), after(breakers)).await;
    assert!(looked.unread.is_empty() && !looked.steps.is_empty(), "{looked:?}");
    assert_eq!(tick.breakers()["fake"], Breaker::default());
}

#[tokio::test(start_paused = true)]
async fn who_lets_nobody_in_is_asked_nothing_else_and_is_told_as_that() {
    let world = world().await;
    let context = context(&world, |_| ());
    for refusal in [Refusal::Unauthorized, Refusal::Forbidden] {
        world.fake.heal();
        world.fake.fail(Verb::Tenant, [Fault::Refused(refusal); 50]);
        world.fake.calls();
        let (tick, looked) = look(&context, wishes(&world, |_| ()), Asked::default()).await;
        assert_eq!(world.fake.calls().len(), 1);
        assert!(looked.steps.is_empty(), "nothing of it is called gone: {looked:?}");
        assert_eq!(looked.unread[0].problem.code, "E-UNAUTHORIZED");
        assert_eq!(tick.open_breakers(), ["fake"]);
        let found = judge_all(&context, wishes(&world, |_| ())).await;
        let rules: Vec<&str> = found.findings.iter().map(|(_, one)| one.rule).collect();
        assert!(rules.contains(&"connection-unauthorized"), "{rules:?}");
        assert!(!found.gaps.is_empty(), "and it is a gap");
    }
    world.fake.heal();
    let found = judge_all(&context, wishes(&world, |_| ())).await;
    let rules: Vec<&str> = found.findings.iter().map(|(_, one)| one.rule).collect();
    assert!(!rules.contains(&"connection-unauthorized"), "{rules:?}");
}

#[tokio::test(start_paused = true)]
async fn what_fails_again_and_again_is_found_and_matters_more_with_time() {
    let world = world().await;
    world.clock.advance(Span::from_secs(86_400 * 40));
    let context = context(&world, |_| ());
    let severity = async || {
        let found = judge_all(&context, wishes(&world, |_| ())).await;
        let one = found.findings.into_iter().find(|(_, one)| one.rule == "keeps-failing");
        one.map(|(_, one)| one.severity)
    };
    world.fake.fail(Verb::Issue, [Fault::Refused(Refusal::Invalid); 500]);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let at_once = Asked { at_once: true, ..Asked::default() };
        let (tick, looked) = look(&context, wishes(&world, |_| ()), at_once).await;
        tick.take_all(&looked.steps, |_, _, _| ()).await;
        seen.push(severity().await);
        world.clock.advance(Span::from_secs(1));
    }
    assert_eq!(seen[..2], [None, None], "it is tried again first");
    assert_eq!(seen[3], Some(Severity::Low), "{seen:?}");
    world.clock.advance(Span::from_secs(86_400 * 8));
    assert_eq!(severity().await, Some(Severity::High));
    world.fake.heal();
    let at_once = Asked { at_once: true, ..Asked::default() };
    let (tick, looked) = look(&context, wishes(&world, |_| ()), at_once).await;
    tick.take_all(&looked.steps, |_, _, taken| assert!(!matches!(taken, Taken::Not { .. }))).await;
    let (_, _) = look(&context, wishes(&world, |_| ()), Asked::default()).await;
    assert_eq!(severity().await, None, "it is done");
}

/// With an owner, and a last day so many days from now.
fn ends_in(world: &World, days: i64, context: &Context) -> Wishes {
    let day = context.time().lo + jiff::SignedDuration::from_hours(24 * days);
    let day = day.to_zoned_datetime(jiff::tz::TimeZone::UTC).date().to_string();
    wishes(world, |wish| {
        wish.record = Some(BTreeMap::from([
            ("expires_on".to_owned(), day),
            ("technical_owner.id".to_owned(), "owner/ana".to_owned()),
            ("business_owner.id".to_owned(), "owner/bo".to_owned()),
        ]));
    })
}

#[tokio::test(start_paused = true)]
async fn owners_are_told_of_an_end_once_for_each_mark_whichever_run_does_it() {
    let world = world().await;
    let context = || {
        context(&world, |rules| {
            rules.telling.before = ["30d", "7d"].map(|text| text.parse().unwrap()).into();
        })
    };
    let declared = ends_in(&world, 20, &context());
    let known = LookedUp::default();
    let due = async || ends_to_tell(&context(), &declared, &known).await.unwrap();
    let first = due().await;
    let owners: BTreeSet<&str> = first.iter().map(|one| one.owner.as_str()).collect();
    assert_eq!(owners, ["owner/ana", "owner/bo"].into());
    // One could be told, and the other not: only that one is told again, by another run.
    note_told(&context(), &[&first[0]]).await.unwrap();
    let again = due().await;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].owner, first[1].owner);
    note_told(&context(), &[&again[0]]).await.unwrap();
    assert!(due().await.is_empty(), "each once");
    world.clock.advance(Span::from_secs(86_400 * 15));
    let second = due().await;
    assert_eq!(second.len(), 2, "the next mark has come");
    note_told(&context(), &second.iter().collect::<Vec<_>>()).await.unwrap();
    assert!(due().await.is_empty());
    // What is over is told by a finding, and its rows are closed.
    world.clock.advance(Span::from_secs(86_400 * 15));
    assert!(due().await.is_empty());
    forget_ends(&context(), &declared, &known).await;
    let ledger = world.ledger.lock().unwrap().clone();
    let open = ledger.open_obligations().await.unwrap();
    assert!(open.iter().all(|row| row.deed != "tell_owner"), "{open:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_where_policy_says_nothing_of_it_or_cannot_be_read() {
    let world = world().await;
    let silent = context(&world, |_| ());
    let declared = ends_in(&world, 3, &silent);
    let known = LookedUp::default();
    assert!(ends_to_tell(&silent, &declared, &known).await.unwrap().is_empty());
    let found = judge_all(&silent, declared.clone()).await;
    let none = BTreeSet::new();
    let told = findings_to_tell(&silent, &declared, &found.findings, &none).await.unwrap();
    assert!(told.is_empty());
}

#[tokio::test(start_paused = true)]
async fn owners_are_told_what_is_found_and_that_it_is_over_each_once() {
    let world = world().await;
    let context = context(&world, |rules| rules.telling.findings = Some(Severity::High));
    let declared = wishes(&world, |wish| {
        wish.enabled = Some(true);
        wish.record =
            Some(BTreeMap::from([("technical_owner.id".to_owned(), "owner/ana".to_owned())]));
    });
    let tell = async |unread: &BTreeSet<String>| {
        let found = judge_all(&context, declared.clone()).await;
        let all = findings_to_tell(&context, &declared, &found.findings, unread).await.unwrap();
        note_told(&context, &all.iter().collect::<Vec<_>>()).await.unwrap();
        all.iter().map(|one| (one.event, one.owner.clone())).collect::<Vec<_>>()
    };
    let none = BTreeSet::new();
    let before = tell(&none).await;
    let mut key = String::new();
    world.fake.by_hand(APP, "sync", |hand| key = hand.issue("stranger", None));
    let opened = tell(&none).await;
    assert_eq!(opened, [("opened", "owner/ana".to_owned())], "before: {before:?}");
    assert!(tell(&none).await.is_empty(), "it lasts");
    world.fake.by_hand(APP, "sync", |hand| hand.end(&key));
    let id = declared.integrations.keys().next().unwrap().clone();
    assert!(tell(&BTreeSet::from([id])).await.is_empty(), "nobody could look, so it is not over");
    assert_eq!(tell(&none).await, [("closed", "owner/ana".to_owned())]);
    assert!(tell(&none).await.is_empty());
}

/// One that somebody made by hand.
async fn by_hand(world: &World) -> String {
    let new = NewIntegration {
        kind: APP.into(),
        name: "stray".into(),
        settings: Settings::default(),
        record: Record::default(),
    };
    world.fake.create(&new).await.unwrap();
    world.fake.by_hand(APP, "stray", |hand| hand.write_record(None));
    format!("fake/{APP}/stray")
}

fn beside(wishes: &Wishes) -> Asked {
    let declared = wishes.integrations.keys().cloned().collect();
    let beside = Some((declared, BTreeSet::from(["fake".to_owned()])));
    Asked { beside, ..Asked::default() }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_declares_or_answers_for_is_told_with_its_command_and_stopped_where_approved() {
    let world = world().await;
    let id = by_hand(&world).await;
    let rules = |approved: bool, then: Option<&'static str>| {
        move |rules: &mut Rules| {
            rules.unowned_grace = "10d".parse().ok();
            rules.owner_left = Verdict::Disable;
            rules.owner_left_revoke_after = then.and_then(|text| text.parse().ok());
            rules.standing.disable_ownerless = approved;
        }
    };
    let next = async |context: &Context| {
        let declared = wishes(&world, |_| ());
        let asked = beside(&declared);
        let (tick, looked) = look(context, declared, asked).await;
        let step = looked.steps.iter().find(|one| one.subject == id).cloned();
        (tick, step)
    };
    let told = context(&world, rules(false, None));
    assert!(next(&told).await.1.is_none(), "it has its grace");
    world.clock.advance(Span::from_secs(86_400 * 9));
    assert!(next(&told).await.1.is_none());
    world.clock.advance(DAY);
    let (_, step) = next(&told).await;
    match step.unwrap().next.clone() {
        Next::PutOff { next: Some(next), late: true, .. } => {
            assert!(next.starts_with(&format!("nhi disable {id}")), "{next}");
        }
        other => panic!("{other:?}"),
    }
    let approved = context(&world, rules(true, Some("5d")));
    let (tick, step) = next(&approved).await;
    let taken = tick.take(&step.unwrap()).await;
    assert!(matches!(taken, Taken::SwitchedOff), "{taken:?}");
    assert!(next(&approved).await.1.is_none(), "it is off");
    // And later all of it ends.
    world.fake.by_hand(APP, "stray", |hand| drop(hand.issue("k1", None)));
    world.clock.advance(Span::from_secs(86_400 * 5));
    let (tick, step) = next(&approved).await;
    match tick.take(&step.unwrap()).await {
        Taken::Revoked(ended) => assert!(!ended.is_empty()),
        other => panic!("{other:?}"),
    }
    assert!(next(&approved).await.1.is_none(), "nothing of it lives");
    // What is declared was never meant, nor is anything where nobody asked for it.
    let silent = context(&world, |_| ());
    assert!(next(&silent).await.1.is_none());
    assert!(world.works().await);
}
