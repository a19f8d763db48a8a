//! Scopes that may be asked for: a plan shows what runs and leaves it, takes away what is over, and says
//! what an entry gives.

use domain::{IntegrationId, Span};
use operations::{ElevateRequest, KindLattice, declared_in_ledger, elevate};
use serde_json::{Value, json};
use tfplugin::mini_core::{Action, MiniCore, State};

use crate::world::{World, integration, scope, with};

const STANDING: &str = "secret/data/new/*:read";
const ASKED: &str = "secret/data/payroll/*:read";

fn may_ask(integration: &State, on_request: Value) -> Value {
    with(scope(integration, json!([STANDING]), Value::Null), json!({ "on_request": on_request }))
}

fn an_hour() -> Value {
    json!({ (ASKED): { "max": "1h" } })
}

async fn made(core: &MiniCore, on_request: Value) -> (State, State) {
    let integration = core.create("nhi_integration", integration()).await.unwrap();
    let scopes = core.create("nhi_scope", may_ask(&integration, on_request)).await.unwrap();
    (integration, scopes)
}

/// Somebody asks, for half an hour.
async fn asks(world: &World, integration: &State) {
    let context = world.context();
    let id: IntegrationId = integration.json()["id"].as_str().unwrap().parse().unwrap();
    let platform = context.connections.platform(&id.connection).unwrap();
    let kind = platform.kinds().iter().find(|kind| kind.name == id.kind).unwrap();
    let lattice = KindLattice { platform, kind: kind.name };
    let wishes = declared_in_ledger(&*context.ledger).await.unwrap();
    let scopes = wishes.integrations[&id.to_string()].scopes.clone().unwrap();
    let asked = ElevateRequest {
        scope: ASKED,
        span: Span::from_secs(1_800),
        reason: "INC-9",
        ticket: None,
    };
    elevate(&context, &id, None, lattice, &scopes, asked).await.unwrap();
}

/// What state says after a look, and what is told of it.
async fn seen(core: &MiniCore, state: &State) -> (State, String) {
    let (state, told) = core.observe(state).await.unwrap();
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    (state.expect("it is there"), told.join("\n"))
}

#[tokio::test(start_paused = true)]
async fn what_was_given_by_asking_is_shown_left_alone_and_is_an_extra_when_its_time_is_over() {
    let world = World::new();
    let core = world.run().await;
    let (integration, scopes) = made(&core, an_hour()).await;
    let config = may_ask(&integration, an_hour());
    assert_eq!(scopes.json()["elevated"], json!([]));
    asks(&world, &integration).await;
    let (running, told) = seen(&core, &scopes).await;
    assert_eq!(running.json()["elevated"], json!([ASKED]));
    assert_eq!(running.json()["scopes"], json!([STANDING]));
    assert!(told.contains("given by asking") && !told.contains("outside of Terraform"), "{told}");
    assert_eq!(core.plan(&running, config.clone()).await.unwrap().action, Action::Nothing);
    // An apply for another reason leaves it.
    let other = with(config.clone(), json!({ "justification": "Reads invoices, since last May" }));
    let applied = core.update(&running, other.clone()).await.unwrap();
    assert_eq!(applied.json()["elevated"], json!([ASKED]));
    assert_eq!(world.scopes().await, [STANDING, ASKED]);
    // When its time is over and it is in force all the same, it is an extra.
    let granted = |hand: &mut connector::fake::Hand<'_>| {
        hand.withdraw(ASKED);
        hand.grant(ASKED);
    };
    world.by_hand(granted);
    world.pass_hours(1);
    let core = world.run().await;
    let (over, _) = seen(&core, &applied).await;
    assert_eq!(over.json()["elevated"], json!([]));
    assert_eq!(over.json()["scopes"], json!([STANDING, ASKED]));
    let done = core.update(&over, other.clone()).await.unwrap();
    assert_eq!(world.scopes().await, [STANDING]);
    let (quiet, _) = seen(&core, &done).await;
    assert_eq!(core.plan(&quiet, other).await.unwrap().action, Action::Nothing);
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_no_more_is_planned_away_with_its_entry() {
    let world = World::new();
    let core = world.run().await;
    let (integration, scopes) = made(&core, an_hour()).await;
    asks(&world, &integration).await;
    let (running, _) = seen(&core, &scopes).await;
    let without = scope(&integration, json!([STANDING]), Value::Null);
    let plan = core.plan(&running, without).await.unwrap();
    let told: String = plan.diagnostics.iter().map(ToString::to_string).collect();
    assert!(told.contains("takes power away") && told.contains("given by asking"), "{told}");
    let done = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(done.json()["elevated"], json!([]));
    assert_eq!(world.scopes().await, [STANDING]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_new_longer_or_asks_for_less_gives_power_and_the_contrary_takes_it() {
    let world = World::new();
    let core = world.run().await;
    let (integration, scopes) = made(&core, an_hour()).await;
    let told = async |on_request: Value| {
        let plan = core.plan(&scopes, may_ask(&integration, on_request)).await.unwrap();
        let all = plan.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>();
        let all = all.join("\n");
        let gives = all.contains("This change gives power");
        (gives, all.contains("This change takes power away"), all)
    };
    let is = |max: &str, word: Value| json!({ (ASKED): { "max": max, "approval": word } });
    for (gives, on_request) in [
        (true, is("2h", Value::Null)),
        (true, is("1h", json!("none"))),
        (false, is("30m", Value::Null)),
        (false, is("1h", json!("high"))),
        (false, Value::Null),
        (true, json!({ (ASKED): { "max": "1h" }, "secret/data/b/*:read": { "max": "1m" } })),
    ] {
        let (gave, took, all) = told(on_request.clone()).await;
        assert_eq!((gave, took), (gives, !gives), "{on_request}: {all}");
    }
    // What was had at all times is less once it has to be asked for.
    let less = with(
        scope(&integration, json!([]), Value::Null),
        json!({ "on_request": { (STANDING): { "max": "1h" } } }),
    );
    let plan = core.plan(&scopes, less).await.unwrap();
    let all: String = plan.diagnostics.iter().map(ToString::to_string).collect();
    assert!(all.contains("takes power away"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn what_may_be_asked_for_is_held_to_what_anything_else_is() {
    let world = World::new();
    let core = world.run().await;
    let integration = core.create("nhi_integration", integration()).await.unwrap();
    let refused = async |on_request: Value| {
        let config = may_ask(&integration, on_request);
        let told = core.validate("nhi_scope", config.clone()).await.unwrap();
        let mut all: String = told.iter().map(ToString::to_string).collect();
        match core.plan_create("nhi_scope", config).await {
            Ok(plan) => all.extend(plan.diagnostics.iter().map(ToString::to_string)),
            Err(refusal) => all.push_str(&refusal.to_string()),
        }
        all
    };
    for (code, on_request) in [
        ("E-SCOPE-GRAMMAR", json!({ "secret/data/x:raed": { "max": "1h" } })),
        ("E-ON-REQUEST", json!({ (STANDING): { "max": "1h" } })),
        ("E-TOO-LONG", json!({ (ASKED): { "max": "400d" } })),
        ("E-VALUE", json!({ (ASKED): { "max": "soon" } })),
        ("E-VALUE", json!({ (ASKED): { "max": "1h", "approval": "somebody" } })),
    ] {
        let all = refused(on_request.clone()).await;
        assert!(all.contains(code), "{on_request}: {all}");
    }
    let mut low = may_ask(&integration, json!({ "secret/data/x/*:update": { "max": "1h" } }));
    low["integration"]["ceiling"] = json!({ "highest_action": "read" });
    let refusal = core.plan_create("nhi_scope", low).await.err().map(|one| one.to_string());
    assert!(refusal.is_some_and(|all| all.contains("E-CEILING")));
    let fine = refused(an_hour()).await;
    // Plans of one walk see one another.
    assert!(!fine.replace("(E-GOVERNED-TWICE)", "").contains("(E-"), "{fine}");
}
