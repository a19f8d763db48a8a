//! What must be known, and in order, before anything is given: ceilings, ends, scopes for a time.

use serde_json::{Value, json};
use tfplugin::mini_core::{Action, MiniCore, unknown};

use crate::world::{World, integration, scope, with};

async fn refused(core: &MiniCore, kind: &str, config: Value) -> String {
    core.plan_create(kind, config).await.expect_err("it is refused").to_string()
}

#[tokio::test(start_paused = true)]
async fn a_ceiling_that_cannot_be_read_gives_nothing() {
    let world = World::new();
    let core = world.run().await;
    for word in ["wirte", "unknown"] {
        let slip = with(integration(), json!({ "ceiling": { "highest_action": word } }));
        let said = refused(&core, "nhi_integration", slip).await;
        assert!(said.contains("ceiling.highest_action") && said.contains("write"), "{said}");
    }
    let slip = with(integration(), json!({ "ceiling": { "scopes": ["secret/data/x:raed"] } }));
    let said = refused(&core, "nhi_integration", slip).await;
    assert!(said.contains("E-SCOPE-GRAMMAR") && said.contains("ceiling.scopes"), "{said}");
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let mut config = scope(&made, json!(["secret/data/new/*:read"]), Value::Null);
    let plan = core.plan_create("nhi_scope", config.clone()).await.unwrap();
    config["integration"]["ceiling"] = json!({ "highest_action": "wirte", "scopes": null });
    let said = refused(&core, "nhi_scope", config).await;
    assert!(said.contains("integration.ceiling.highest_action"), "{said}");
    // Somebody's hand on the record, between plan and apply.
    world.edit_record(|record| record.ceiling_action = Some("wirte".into())).await;
    let said = core.apply(plan).await.unwrap_err().to_string();
    assert!(said.contains("E-CEILING"), "{said}");
    assert!(world.scopes().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_decides_over_power_must_be_known_at_plan() {
    let world = World::new();
    let core = world.run().await;
    for (name, value) in [
        ("ceiling", unknown()),
        ("ceiling", json!({ "highest_action": unknown() })),
        ("expires_on", unknown()),
        ("enabled", unknown()),
    ] {
        let said =
            refused(&core, "nhi_integration", with(integration(), json!({ name: value }))).await;
        assert!(said.contains("E-UNKNOWN-GOVERNED") && said.contains(name), "{said}");
    }
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let elsewhere = with(integration(), json!({ "environment": unknown() }));
    let said = core.plan(&made, elsewhere).await.unwrap_err().to_string();
    assert!(said.contains("E-UNKNOWN-GOVERNED") && said.contains("environment"), "{said}");
    let until = "2026-12-05T00:00:00Z";
    let why = "Re-run of the 2025 closing";
    let scopes =
        |more: Value| with(scope(&made, json!(["secret/data/new/*:read"]), Value::Null), more);
    let dated = |from: Value, until: Value| {
        json!({ "temporary": { "secret/data/old/*:read":
            { "from": from, "until": until, "justification": why } } })
    };
    for (name, more) in [
        ("temporary", json!({ "temporary": unknown() })),
        ("until", dated(Value::Null, unknown())),
        ("from", dated(unknown(), json!(until))),
        ("classify", json!({ "classify": unknown() })),
        ("classify", json!({ "classify": { "secret/data/new/*:read": unknown() } })),
        ("enforcement", json!({ "enforcement": unknown() })),
    ] {
        let said = refused(&core, "nhi_scope", scopes(more)).await;
        assert!(said.contains("E-UNKNOWN-GOVERNED") && said.contains(name), "{name}: {said}");
    }
    let mut under = scopes(json!({}));
    under["integration"]["ceiling"] = unknown();
    let said = refused(&core, "nhi_scope", under).await;
    assert!(said.contains("E-UNKNOWN-GOVERNED") && said.contains("ceiling"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn what_others_added_is_in_state_from_the_first_apply_on() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    world.by_hand(|hand| hand.grant("secret/data/theirs/*:read"));
    let tolerant = with(
        scope(&made, json!(["secret/data/new/*:read"]), Value::Null),
        json!({ "enforcement": "at_least" }),
    );
    let plan = core.plan_create("nhi_scope", tolerant.clone()).await.unwrap();
    let state = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(state.json()["undeclared"], json!(["secret/data/theirs/*:read"]));
    assert_eq!(state.json()["highest_action"], "secret");
    // What is declared no longer is somebody else's from then on, and stays.
    let fewer = with(tolerant, json!({ "scopes": [] }));
    let plan = core.plan(&state, fewer.clone()).await.unwrap();
    let state = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(state.json()["undeclared"].as_array().unwrap().len(), 2);
    let (seen, _) = core.observe(&state).await.unwrap();
    assert_eq!(core.plan(&seen.unwrap(), fewer.clone()).await.unwrap().action, Action::Nothing);
    // exact ends it, and at_least takes whatever there is by then.
    let exact = core.update(&state, with(fewer.clone(), json!({ "enforcement": "exact" }))).await;
    let exact = exact.unwrap();
    assert!(world.scopes().await.is_empty());
    world.by_hand(|hand| hand.grant("secret/data/theirs/*:read"));
    let (seen, _) = core.observe(&exact).await.unwrap();
    let plan = core.plan(&seen.unwrap(), fewer).await.unwrap();
    let state = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(state.json()["undeclared"], json!(["secret/data/theirs/*:read"]));
}
