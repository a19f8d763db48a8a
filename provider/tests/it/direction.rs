//! What a plan says of a change of scopes: which way it goes by all that is live, and what stays.

use serde_json::{Value, json};
use tfplugin::mini_core::{MiniCore, Plan, State};

use crate::world::{World, integration, scope, with};

/// OpenBao's most specific rule decides alone: beside the first, the second hides one document.
const WIDE: &str = "secret/data/x/*:read";
const NARROW: &str = "secret/data/x/pay:list";
const OTHER: &str = "secret/data/b:read";

const GIVES: &str = "This change gives power";
const TAKES: &str = "This change takes power away";

fn told(plan: &Plan) -> String {
    plan.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn held_as(config: Value, enforcement: &str) -> Value {
    with(config, json!({ "enforcement": enforcement }))
}

fn until(scope: &str, end: &str) -> Value {
    json!({ scope: { "until": end, "justification": "Re-run of the 2025 closing" } })
}

async fn seen(core: &MiniCore, state: &State) -> State {
    core.observe(state).await.unwrap().0.expect("it is there")
}

async fn made(core: &MiniCore) -> State {
    core.create("nhi_integration", integration()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_goes_with_what_was_tolerated_gives_power_where_it_hid_a_declared_scope() {
    let world = World::new();
    let core = world.run().await;
    let config = scope(&made(&core).await, json!([WIDE]), Value::Null);
    let state = core.create("nhi_scope", held_as(config.clone(), "at_least")).await.unwrap();
    world.by_hand(|hand| hand.grant(NARROW));
    let core = world.run().await;
    let state = seen(&core, &state).await;
    let plan = core.plan(&state, held_as(config.clone(), "exact")).await.unwrap();
    let said = told(&plan);
    assert!(said.contains(GIVES) && !said.contains(TAKES), "{said}");
    assert!(said.contains(&format!("widens and narrows: - {NARROW} (")), "{said}");
    core.apply(plan).await.unwrap();
    assert_eq!(world.scopes().await, [WIDE]);
    // What hides nothing only goes.
    let state = core.update(&state, held_as(config.clone(), "at_least")).await.unwrap();
    world.by_hand(|hand| hand.grant(OTHER));
    let core = world.run().await;
    let plan = core.plan(&seen(&core, &state).await, held_as(config, "exact")).await.unwrap();
    let said = told(&plan);
    assert!(said.contains(TAKES) && said.contains(&format!("- {OTHER} (secret)")), "{said}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_temporary_scope_gives_power_where_it_hid_a_standing_one() {
    let world = World::new();
    let core = world.run().await;
    let made = made(&core).await;
    let config = |temporary: Value| scope(&made, json!([WIDE]), temporary);
    let dated = config(until(NARROW, "2026-12-05T00:00:00Z"));
    let state = core.create("nhi_scope", dated).await.unwrap();
    let plan = core.plan(&state, config(Value::Null)).await.unwrap();
    let said = told(&plan);
    assert!(said.contains(GIVES), "{said}");
    assert!(said.contains(&format!("widens and narrows: - {NARROW} (temporary)")), "{said}");
    // The same where its end moves into the past.
    let over = config(until(NARROW, "2026-11-01T00:00:00Z"));
    let said = told(&core.plan(&state, over).await.unwrap());
    assert!(said.contains(GIVES), "{said}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_declared_and_stays_is_not_called_taken_away() {
    let world = World::new();
    let core = world.run().await;
    let made = made(&core).await;
    let config = |scopes: Value| scope(&made, scopes, Value::Null);
    let both = held_as(config(json!([OTHER, WIDE])), "at_least");
    let state = core.create("nhi_scope", both).await.unwrap();
    let fewer = held_as(config(json!([WIDE])), "at_least");
    let plan = core.plan(&state, fewer.clone()).await.unwrap();
    let said = told(&plan);
    assert!(!said.contains(TAKES) && !said.contains(GIVES), "{said}");
    let stays = format!("{OTHER} (secret) is no longer declared and stays");
    assert!(said.contains(&stays), "{said}");
    let state = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(world.scopes().await, [OTHER, WIDE]);
    // It is told once: from then on it is nobody's, which a look says.
    let more =
        with(fewer, json!({ "justification": "Reads tonight's invoices, twice if need be" }));
    let said = told(&core.plan(&state, more).await.unwrap());
    assert!(!said.contains("no longer declared"), "{said}");
    // A scope that was added by hand stays, too, when exact becomes at_least.
    let exact = core.update(&state, config(json!([WIDE]))).await.unwrap();
    world.by_hand(|hand| hand.grant(OTHER));
    let core = world.run().await;
    let exact = seen(&core, &exact).await;
    let plan = core.plan(&exact, held_as(config(json!([WIDE])), "at_least")).await.unwrap();
    let said = told(&plan);
    assert!(said.contains(&stays) && !said.contains(&format!("- {OTHER}")), "{said}");
    assert!(said.contains("widens: enforcement = \"at_least\""), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_loses_its_end_gives_power_and_one_that_gets_an_end_takes_it() {
    let world = World::new();
    let core = world.run().await;
    let made = made(&core).await;
    let config = |scopes: Value, temporary: Value| scope(&made, scopes, temporary);
    let dated = until(OTHER, "2026-12-05T00:00:00Z");
    let state = core.create("nhi_scope", config(json!([WIDE]), dated.clone())).await.unwrap();
    let plan = core.plan(&state, config(json!([OTHER, WIDE]), Value::Null)).await.unwrap();
    let said = told(&plan);
    let endless = format!("widens: {OTHER} without an end");
    assert!(said.contains(GIVES) && said.contains(&endless), "{said}");
    let standing = core.apply(plan).await.unwrap().unwrap();
    let said = told(&core.plan(&standing, config(json!([WIDE]), dated.clone())).await.unwrap());
    assert!(said.contains(&format!("narrows: {OTHER} until 2026-12-05")), "{said}");
    // Under at_least what is no longer written down stays, and nothing ends it any more.
    let tolerant = held_as(config(json!([WIDE]), dated), "at_least");
    let state = core.update(&standing, tolerant).await.unwrap();
    let tolerant = held_as(config(json!([WIDE]), Value::Null), "at_least");
    let plan = core.plan(&state, tolerant).await.unwrap();
    let said = told(&plan);
    assert!(said.contains(&endless) && said.contains("no longer declared and stays"), "{said}");
    core.apply(plan).await.unwrap();
    assert_eq!(world.scopes().await, [OTHER, WIDE]);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_scope_that_ends_sooner_takes_power_away_unless_it_hid_another() {
    let world = World::new();
    let core = world.run().await;
    let made = made(&core).await;
    let (late, soon) = ("2026-12-05T00:00:00Z", "2026-12-02T00:00:00Z");
    let config = |temporary: Value| scope(&made, json!([WIDE]), temporary);
    let dated = |text: &str, end: &str| config(until(text, end));
    let state = core.create("nhi_scope", dated(OTHER, late)).await.unwrap();
    let said = told(&core.plan(&state, dated(OTHER, soon)).await.unwrap());
    assert!(said.contains(TAKES) && !said.contains(GIVES), "{said}");
    assert!(said.contains(&format!("narrows: {OTHER} until {soon}")), "{said}");
    // The same moment in another spelling is none.
    let said = told(&core.plan(&state, dated(OTHER, "2026-12-05T01:00:00+01:00")).await.unwrap());
    assert!(!said.contains(TAKES) && !said.contains(GIVES), "{said}");
    let state = core.update(&state, dated(NARROW, late)).await.unwrap();
    let said = told(&core.plan(&state, dated(NARROW, soon)).await.unwrap());
    assert!(said.contains(GIVES), "its end uncovers a document: {said}");
}

#[tokio::test(start_paused = true)]
async fn a_temporary_scope_that_begins_at_once_and_is_too_long_is_refused_at_plan() {
    let world = World::new();
    let core = world.run().await;
    let made = made(&core).await;
    let config = |end: &str| scope(&made, json!([WIDE]), until(OTHER, end));
    let refused = core.plan_create("nhi_scope", config("2027-11-24T10:00:00Z")).await;
    let said = refused.unwrap_err().to_string();
    let at = format!("temporary[\"{OTHER}\"].until");
    assert!(said.contains("E-TOO-LONG") && said.contains(&at), "{said}");
    core.plan_create("nhi_scope", config("2026-12-05T00:00:00Z")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_of_an_integration_that_goes_both_ways_names_both() {
    let world = World::new();
    let core = world.run().await;
    let of = |more: Value| with(integration(), more);
    let before = json!({ "expires_on": "2026-12-15", "review_every": "90d" });
    let state = core.create("nhi_integration", of(before)).await.unwrap();
    let after = json!({ "expires_on": "2027-06-30", "review_every": "30d",
        "ceiling": { "highest_action": "read" } });
    let said = told(&core.plan(&state, of(after)).await.unwrap());
    let all = "widens and narrows: expires_on (widens), review_every (narrows), ceiling (narrows)";
    assert!(said.contains(all), "{said}");
}
