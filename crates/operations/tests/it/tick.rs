//! What whoever works between applies does about everything that is declared, unasked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use connector::{
    Connector, NewIntegration, Want,
    fake::{APP, Fault, Verb},
};
use domain::{Gap, GapExtent, Record, Settings, Span};
use operations::{
    Asked, Context, EndingGate, Looked, Next, Problem, Taken, Tick, Wish, WishedScopes, WishedSlot,
    Wishes, Work,
};
use policy::{
    Rules,
    rotation::Goal,
    rules::{Unattended, Verdict},
    scopes::Enforcement,
};
use serde_json::json;

use crate::world::{Fuse, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const DAY: Span = Span::from_secs(86_400);

fn wish(world: &World) -> Wish {
    let mut wish = world.wish();
    for slot in &mut wish.slots {
        slot.settings = Some(json!({}));
    }
    wish
}

fn wishes(all: impl IntoIterator<Item = Wish>) -> Wishes {
    let integrations = all.into_iter().map(|wish| (wish.id.clone(), wish)).collect();
    Wishes { integrations, ..Wishes::default() }
}

pub(crate) fn context(world: &World, change: impl FnOnce(&mut Rules)) -> Context {
    let mut context = world.context("tick", &Fuse::none());
    let mut rules = (*context.rules).clone();
    change(&mut rules);
    context.rules = Arc::new(rules);
    context
}

pub(crate) async fn look(context: &Context, wishes: Wishes, asked: Asked) -> (Arc<Tick>, Looked) {
    let tick = Tick::begin(context, asked).await;
    let looked = tick.look(wishes, |_, _| ()).await;
    (tick, looked)
}

/// One whole tick: what became of each that was to be done.
async fn ticked(context: &Context, wishes: Wishes) -> Vec<(String, Taken)> {
    let (tick, looked) = look(context, wishes, Asked::default()).await;
    assert!(looked.unread.is_empty(), "{:?}", looked.unread);
    let mut all = Vec::new();
    tick.take_all(&looked.steps, |_, step, taken| {
        if matches!(step.next, Next::Do(..)) {
            all.push((step.subject.clone(), taken));
        }
    })
    .await;
    all
}

async fn next(context: &Context, wishes: Wishes, subject: &str) -> Next {
    let (_, looked) = look(context, wishes, Asked::default()).await;
    let step = looked.steps.iter().find(|one| one.subject == subject);
    step.unwrap_or_else(|| panic!("{subject}: {looked:?}")).next.clone()
}

fn slot(world: &World) -> String {
    world.spec().id.to_string()
}

/// One generation, and so much time since.
async fn after(span: Span) -> World {
    let world = World::new("add-marked").await;
    world.whole("a", FIRST).await;
    world.clock.advance(span);
    world
}

#[tokio::test(start_paused = true)]
async fn what_is_due_rotates_and_the_old_one_ends_when_its_overlap_is_over() {
    let world = after(Span::from_secs(86_400 * 40)).await;
    let context = || context(&world, |_| ());
    let done = ticked(&context(), wishes([wish(&world)])).await;
    assert!(matches!(&done[..], [(_, Taken::Rotated(to))] if to.generation == 2), "{done:?}");
    assert!(world.works().await);
    assert_eq!(world.live().await.len(), 2);
    assert!(ticked(&context(), wishes([wish(&world)])).await.is_empty(), "once is enough");
    world.clock.advance(OVERLAP);
    let done = ticked(&context(), wishes([wish(&world)])).await;
    assert!(matches!(&done[..], [(_, Taken::Met(Some(_)))]), "{done:?}");
    assert_eq!(world.live().await.len(), 1);
    assert!(world.works().await);
    // For who only meets what is owed nothing ever falls due.
    world.clock.advance(Span::from_secs(86_400 * 40));
    let owed = Asked { owed_only: true, ..Asked::default() };
    let (_, looked) = look(&context(), wishes([wish(&world)]), owed).await;
    assert!(looked.steps.iter().all(|step| step.next == Next::Nothing), "{looked:?}");
}

#[tokio::test(start_paused = true)]
async fn what_policy_does_not_approve_is_told_with_its_command_and_not_done() {
    let world = after(Span::from_secs(86_400 * 40)).await;
    let context = context(&world, |rules| rules.standing.rotate = false);
    match next(&context, wishes([wish(&world)]), &slot(&world)).await {
        Next::PutOff { why, next: Some(next), .. } => {
            assert!(why.contains("standing.rotate"), "{why}");
            assert_eq!(next, format!("nhi rotate {}", slot(&world)));
        }
        other => panic!("{other:?}"),
    }
    assert!(ticked(&context, wishes([wish(&world)])).await.is_empty());
    assert_eq!(world.live().await.len(), 1);
    // Nor where nobody knows what policy says.
    let mut context = context;
    context.rules = Arc::new(Rules::default());
    context.gate = Arc::new(EndingGate(Problem::new("E-CONFIG", "The policy is not right")));
    let now = next(&context, wishes([wish(&world)]), &slot(&world)).await;
    assert!(matches!(&now, Next::PutOff { why, .. } if why.contains("E-CONFIG")), "{now:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_issued_to_what_may_not_act_nor_where_a_person_ended_all() {
    let world = after(Span::from_secs(86_400 * 40)).await;
    let context = context(&world, |_| ());
    let quarantined = Record { quarantined: Some("INC-7".into()), ..Record::default() };
    world.fake.by_hand(APP, "sync", |hand| {
        hand.enable(false);
        hand.write_record(Some(quarantined));
    });
    assert!(ticked(&context, wishes([wish(&world)])).await.is_empty());
    // A hand on the switch is enough, whatever is declared.
    world.fake.by_hand(APP, "sync", |hand| hand.write_record(Some(Record::default())));
    let on = Wish { enabled: Some(true), ..wish(&world) };
    assert!(ticked(&context, wishes([on.clone()])).await.is_empty());
    world.fake.by_hand(APP, "sync", |hand| hand.enable(true));
    world.whole("person", Goal::Revoke).await;
    assert!(world.live().await.is_empty());
    assert!(ticked(&context, wishes([on])).await.is_empty(), "an apply issues the next one");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_deleted_is_issued_again_as_a_plan_would() {
    let world = after(DAY).await;
    let gone = world.live().await.into_iter().next().unwrap();
    world.fake.by_hand(APP, "sync", |hand| hand.end(&gone));
    let context = context(&world, |_| ());
    let done = ticked(&context, wishes([wish(&world)])).await;
    assert!(matches!(&done[..], [(_, Taken::Rotated(to))] if to.generation == 2), "{done:?}");
    assert!(world.works().await);
    let begun = world.entries().await.into_iter().rfind(|one| one.kind == "rotation.claimed");
    assert_eq!(begun.unwrap().detail["reason"], "custody", "the reason of a plan");
}

fn dated(world: &World, expires_on: &str) -> Wish {
    let record = BTreeMap::from([("expires_on".to_owned(), expires_on.to_owned())]);
    Wish { record: Some(record), ..wish(world) }
}

async fn enabled(world: &World) -> bool {
    world.fake.read(&world.object(), Want::DEED).await.unwrap().unwrap().enabled
}

#[tokio::test(start_paused = true)]
async fn what_outlived_its_day_is_switched_off_and_later_all_of_it_ends() {
    let world = after(DAY).await;
    // The clock of the world begins in November 2026.
    let wish = || dated(&world, "2026-11-20");
    let id = wish().id;
    let careful = context(&world, |rules| {
        rules.standing = Unattended { disable_expired: false, ..Unattended::default() };
    });
    let told = next(&careful, wishes([wish()]), &id).await;
    assert!(matches!(&told, Next::PutOff { why, .. } if why.contains("2026-11-20")), "{told:?}");
    assert!(ticked(&careful, wishes([wish()])).await.is_empty() && enabled(&world).await);
    let usual = context(&world, |_| ());
    let done = ticked(&usual, wishes([wish()])).await;
    assert!(matches!(&done[..], [(_, Taken::SwitchedOff)]), "{done:?}");
    assert!(!enabled(&world).await);
    assert!(ticked(&usual, wishes([wish()])).await.is_empty());
    let strict = context(&world, |rules| rules.expired = Verdict::Revoke);
    let done = ticked(&strict, wishes([wish()])).await;
    assert!(matches!(&done[..], [(_, Taken::Revoked(all))] if all.len() == 1), "{done:?}");
    assert!(world.live().await.is_empty());
    assert!(ticked(&strict, wishes([wish()])).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_workflow_that_is_gone_is_told_and_a_condition_that_is_met_is_followed() {
    let world = after(DAY).await;
    let tied =
        |ties: serde_json::Value| Wish { ties: domain::Ties::from_json(&ties), ..wish(&world) };
    let id = wish(&world).id;
    let job = id.replace("sync", "nightly");
    assert_ne!(job, id);
    let gone = tied(json!({ "workflows": { "nightly": { "id": job } } }));
    let usual = context(&world, |_| ());
    let told = next(&usual, wishes([gone.clone()]), &id).await;
    let named = "its workflow nightly is gone";
    assert!(matches!(&told, Next::PutOff { why, .. } if why.contains(named)), "{told:?}");
    assert!(ticked(&usual, wishes([gone])).await.is_empty() && enabled(&world).await);
    let ended = || {
        tied(json!({
            "expires_when": ["contract_ended"],
            "runs_on": { "id": "none/third_party/etl",
                "third_party": { "contract_ends_on": "2026-10-31" } },
        }))
    };
    let done = ticked(&usual, wishes([ended()])).await;
    assert!(matches!(&done[..], [(_, Taken::SwitchedOff)]), "{done:?}");
    assert!(!enabled(&world).await);
    assert!(ticked(&usual, wishes([ended()])).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_issued_to_what_policy_has_off_whether_it_may_switch_it_or_not() {
    let world = after(Span::from_secs(86_400 * 40)).await;
    let over = || wishes([dated(&world, "2026-11-20")]);
    let careful = context(&world, |rules| rules.standing.disable_expired = false);
    assert!(ticked(&careful, over()).await.is_empty());
    let done = ticked(&context(&world, |_| ()), over()).await;
    assert!(matches!(&done[..], [(_, Taken::SwitchedOff)]), "{done:?}");
    assert_eq!(world.live().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_half_read_is_a_gap_and_neither_judged_nor_rotated() {
    let world = after(Span::from_secs(86_400 * 40)).await;
    let extent = GapExtent::Facet("sync".into(), "scopes");
    world.fake.set_gaps(vec![Gap { extent, cause: "forbidden".into() }]);
    let context = context(&world, |_| ());
    let all = || wishes([dated(&world, "2026-11-20")]);
    let (tick, looked) = look(&context, all(), Asked::default()).await;
    assert!(looked.unread.iter().any(|one| one.problem.code == "E-UNREADABLE"), "{looked:?}");
    let does = looked.steps.iter().any(|step| matches!(step.next, Next::Do(..)));
    assert!(!does, "{looked:?}");
    // Nor where the gap came after the look.
    world.fake.set_gaps(Vec::new());
    let (_, whole) = look(&context, wishes([wish(&world)]), Asked::default()).await;
    let extent = GapExtent::Facet("sync".into(), "scopes");
    world.fake.set_gaps(vec![Gap { extent, cause: "forbidden".into() }]);
    let mut done = Vec::new();
    tick.take_all(&whole.steps, |_, _, taken| done.push(taken)).await;
    let refused =
        |one: &Taken| matches!(one, Taken::Not { problem, .. } if problem.code == "E-UNREADABLE");
    assert!(done.iter().any(refused), "{done:?}");
    assert_eq!(world.live().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_scope_that_is_over_goes_and_no_other() {
    let world = after(DAY).await;
    let all = ["repo:read", "repo:write", "repo:delete", "mail:read"];
    world.fake.by_hand(APP, "sync", |hand| all.iter().for_each(|scope| hand.grant(scope)));
    let at = |text: &str| text.parse().ok();
    let scopes = WishedScopes {
        standing: BTreeSet::from(["repo:read".to_owned()]),
        temporary: BTreeMap::from([
            ("repo:write".to_owned(), at("2026-11-01T00:00:00Z")),
            ("repo:delete".to_owned(), at("2027-01-01T00:00:00Z")),
            // Declared for good as well.
            ("repo:read".to_owned(), at("2026-11-01T00:00:00Z")),
        ]),
        on_request: BTreeMap::new(),
        enforcement: Enforcement::Exact,
        classify: BTreeMap::new(),
    };
    let wish = || Wish { scopes: Some(scopes.clone()), ..wish(&world) };
    let context = context(&world, |_| ());
    let done = ticked(&context, wishes([wish()])).await;
    let Some((_, Taken::Narrowed(taken))) = done.first() else { panic!("{done:?}") };
    assert_eq!(taken.iter().map(|one| one.as_str()).collect::<Vec<_>>(), ["repo:write"]);
    let live = world.fake.read(&world.object(), Want::DEED).await.unwrap().unwrap().scopes;
    let live: Vec<&str> = live.iter().map(|one| one.scope.as_str()).collect();
    assert_eq!(live, ["mail:read", "repo:delete", "repo:read"], "what a hand gave is a plan's");
    assert!(ticked(&context, wishes([wish()])).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_keeps_failing_is_counted_put_off_and_closed_when_it_works() {
    let world = after(Span::from_secs(86_400 * 40)).await;
    let context = context(&world, |_| ());
    let rows = async || {
        let ledger = world.ledger.lock().unwrap().clone();
        let open = ledger.open_obligations().await.unwrap();
        open.into_iter().filter(|row| row.deed == "rotate").collect::<Vec<_>>()
    };
    let refused = Fault::Refused(connector::Refusal::Forbidden);
    for failed in 1..4 {
        world.fake.fail(Verb::Issue, [refused; 8]);
        let done = ticked(&context, wishes([wish(&world)])).await;
        assert!(matches!(&done[..], [(_, Taken::Not { .. })]), "{failed}: {done:?}");
        let row = rows().await.into_iter().next().unwrap();
        assert_eq!(row.attempts, failed);
        world.fake.heal();
        let now = next(&context, wishes([wish(&world)]), &slot(&world)).await;
        let put_off = format!("failed {failed} time(s)");
        assert!(matches!(&now, Next::PutOff { why, .. } if why.contains(&put_off)), "{now:?}");
        // Whoever names it does not wait.
        let at_once = Asked { at_once: true, ..Asked::default() };
        let (_, looked) = look(&context, wishes([wish(&world)]), at_once).await;
        assert!(looked.steps.iter().any(|step| matches!(step.next, Next::Do(..))));
        world.clock.advance(Span::from_secs(60 << failed));
    }
    let done = ticked(&context, wishes([wish(&world)])).await;
    assert!(matches!(&done[..], [(_, Taken::Rotated(_))]), "{done:?}");
    assert!(rows().await.is_empty(), "it is met");
    assert!(world.works().await);
}

/// More integrations on the platform, each with a slot that was never filled.
async fn crowd(world: &World, count: usize) -> Vec<Wish> {
    let mut all = Vec::new();
    for at in 0..count {
        let name = format!("app-{at:02}");
        let new = NewIntegration {
            kind: APP.into(),
            name: name.clone(),
            settings: Settings::default(),
            record: Record::default(),
        };
        let made = world.fake.create(&new).await.unwrap();
        let slots = vec![WishedSlot {
            name: "default".into(),
            settings: Some(json!({})),
            ..WishedSlot::default()
        }];
        let id = format!("fake/{APP}/{name}");
        all.push(Wish { id, vendor_id: Some(made.vendor_id), slots, ..Wish::default() });
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_does_not_answer_is_left_alone_and_all_of_it_is_a_gap() {
    let world = World::new("add-marked").await;
    let all = crowd(&world, 30).await;
    world.fake.fail(Verb::Read, [Fault::NotSent; 500]);
    world.fake.calls();
    let context = context(&world, |_| ());
    let (tick, looked) = look(&context, wishes(all.clone()), Asked::default()).await;
    assert!(looked.steps.is_empty());
    assert_eq!(looked.unread.len(), 30, "each is told");
    let unasked = looked.unread.iter().filter(|one| one.problem.code == "E-UNHEARD").count();
    // Four are asked at once, so that many more may be under way when the fifth fails.
    assert!((30 - 5 - 4..=30 - 5).contains(&unasked), "{unasked}");
    assert_eq!(tick.open_breakers(), ["fake"]);
    let asked = world.fake.calls().len();
    assert!(asked < 30, "{asked}");
    // What stays unread is told since when.
    world.clock.advance(DAY);
    let (_, later) = look(&context, wishes(all.clone()), Asked::default()).await;
    assert!(later.unread.iter().all(|one| one.since.is_some()), "{later:?}");
    world.fake.heal();
    let (tick, read) = look(&context, wishes(all), Asked::default()).await;
    assert!(read.unread.is_empty() && tick.open_breakers().is_empty(), "{read:?}");
    let ledger = world.ledger.lock().unwrap().clone();
    let open = ledger.open_obligations().await.unwrap();
    assert!(open.iter().all(|row| row.deed != "look"), "{open:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_stops_no_other() {
    let world = after(Span::from_secs(86_400 * 40)).await;
    let mut all = crowd(&world, 3).await;
    let mut broken = wish(&world);
    broken.id = format!("fake/{APP}/app-00");
    broken.vendor_id = all[0].vendor_id.clone();
    broken.slots[0].credential_type = Some("no such".into());
    all[0] = broken;
    all.push(Wish { id: "no id".into(), ..Wish::default() });
    all.push(wish(&world));
    let context = context(&world, |_| ());
    let (tick, looked) = look(&context, wishes(all), Asked::default()).await;
    assert!(looked.unread.iter().any(|one| one.subject == "no id"), "{:?}", looked.unread);
    let mut done = Vec::new();
    tick.take_all(&looked.steps, |_, step, taken| {
        if let (Next::Do(Work::Rotate(_), _), Taken::Rotated(to)) = (&step.next, taken) {
            done.push(to.generation);
        }
    })
    .await;
    assert_eq!(done, [2]);
}
