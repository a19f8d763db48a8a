//! What must be known, and in order, before anything is given: ceilings, ends, scopes for a time.

use connector::fake::{Fault, Verb};
use serde_json::{Value, json};
use tfplugin::mini_core::{Action, MiniCore, Refusal, unknown};

use crate::world::{World, credential, integration, scope, with};

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
async fn a_scope_is_under_a_ceiling_that_covers_it_and_else_told_which_half_it_is_above() {
    let world = World::new();
    let core = world.run().await;
    let scopes = json!(["secret/data/*:read", "sys/policies/acl/x:update"]);
    let under =
        with(integration(), json!({ "ceiling": { "highest_action": "secret", "scopes": scopes } }));
    let made = core.create("nhi_integration", under).await.unwrap();
    let both = json!(["secret/data/x:read", "secret/data/+/y:read"]);
    let state = core.create("nhi_scope", scope(&made, both, Value::Null)).await.unwrap();
    let (action, covering) = ("ceiling.highest_action", "ceiling.scopes");
    for (text, told, not_told) in [
        ("secret/data/x:list", &[covering][..], &[action, "act as"][..]),
        ("sys/policies/acl/x:update", &[action, "act as: policy"], &[covering]),
        ("sys/policies/acl/y:update", &[action, covering, "act as: policy"], &[]),
    ] {
        let said = core.plan(&state, scope(&made, json!([text]), Value::Null)).await;
        let said = said.unwrap_err().to_string();
        assert!(said.contains("E-CEILING") && said.contains(text), "{said}");
        assert!(told.iter().all(|one| said.contains(one)), "{text}: {said}");
        assert!(!not_told.iter().any(|one| said.contains(one)), "{text}: {said}");
    }
    // Under another ceiling by the time of apply.
    let plan = core.plan(&state, scope(&made, json!(["secret/data/z:read"]), Value::Null)).await;
    let lower = |record: &mut domain::Record| {
        record.ceiling_scopes = Some(["secret/data/x:read".to_owned()].into());
    };
    world.edit_record(lower).await;
    let said = core.apply(plan.unwrap()).await.unwrap_err().to_string();
    assert!(said.contains("E-CEILING") && said.contains(covering), "{said}");
    assert!(!said.contains(action), "{said}");
}

#[tokio::test(start_paused = true)]
async fn settings_that_the_platform_does_not_take_are_refused_where_they_stand() {
    let world = World::new();
    let core = world.run().await;
    let with_role = |role: Value| with(integration(), json!({ "openbao_approle": role }));
    for (role, at, why) in [
        (
            json!({ "token_ttl": "2h", "token_max_ttl": "1h" }),
            "token_ttl",
            "may live with renewals",
        ),
        (json!({ "token_max_ttl": "30m" }), "token_max_ttl", "token_ttl is 1h"),
        (json!({ "token_type": "batch", "token_num_uses": 7 }), "token_num_uses", "counted"),
        (json!({ "token_type": "bogus" }), "token_type", "one of default, service, batch"),
        (json!({ "token_num_uses": -5 }), "token_num_uses", "0 or more"),
        (json!({ "secret_id_num_uses": -1 }), "secret_id_num_uses", "0 or more"),
    ] {
        let said = refused(&core, "nhi_integration", with_role(role)).await;
        assert!(said.contains("E-VALUE") && said.contains(why), "{said}");
        assert!(said.contains(&format!("openbao_approle.{at}")), "{said}");
    }
    for fits in [
        json!({ "token_ttl": "2h", "token_max_ttl": "0" }),
        json!({ "token_type": "batch", "token_num_uses": 0 }),
    ] {
        let run = world.run().await;
        run.plan_create("nhi_integration", with_role(fits)).await.unwrap();
    }
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let slot =
        with(credential(&made, Value::Null), json!({ "openbao_secret_id": { "num_uses": -1 } }));
    let said = refused(&core, "nhi_credential", slot).await;
    assert!(said.contains("openbao_secret_id.num_uses") && said.contains("0 or more"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_holds_one_integration_s_scopes_and_root_are_refused_at_plan() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    for (text, why) in [
        ("policy/nhi/invoice-sync", "holds the scopes of one integration"),
        ("policy/NHI/other", "holds the scopes of one integration"),
        ("policy/root", "root can do everything"),
    ] {
        let said = refused(&core, "nhi_scope", scope(&made, json!([text]), Value::Null)).await;
        assert!(said.contains("E-SCOPE-ONLY-SHOWN") && said.contains(why), "{said}");
    }
    let shared = scope(&made, json!(["policy/Shared By All"]), Value::Null);
    let state = core.create("nhi_scope", shared.clone()).await.unwrap();
    assert_eq!(world.scopes().await, ["policy/shared%20by%20all"]);
    let (seen, _) = core.observe(&state).await.unwrap();
    assert_eq!(core.plan(&seen.unwrap(), shared).await.unwrap().action, Action::Nothing);
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_apply_did_is_not_called_somebody_else_s() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let one = |text: &str| scope(&made, json!([text]), Value::Null);
    let old = core.create("nhi_scope", one("secret/data/old/*:read")).await.unwrap();
    let plan = core.plan(&old, one("secret/data/new/*:read")).await.unwrap();
    world.fake.fail(Verb::Modify, [Fault::AnswerLost]);
    let failed = core.apply(plan).await.unwrap_err();
    let Refusal::Failed { state: Some(state), .. } = failed else { panic!("{failed}") };
    assert_eq!(world.scopes().await, ["secret/data/new/*:read"], "it was done all the same");
    let (_, told) = core.observe(&state).await.unwrap();
    assert!(!said(&told).contains("outside of Terraform"), "{}", said(&told));
    // What is somebody else's in the same moment still is.
    world.by_hand(|hand| hand.grant("secret/data/theirs/*:read"));
    let plan = core.plan(&state, one("secret/data/next/*:read")).await.unwrap();
    world.fake.fail(Verb::Modify, [Fault::NotSent]);
    let failed = core.apply(plan).await.unwrap_err();
    let Refusal::Failed { state: Some(state), .. } = failed else { panic!("{failed}") };
    let (_, told) = core.observe(&state).await.unwrap();
    let told = said(&told);
    assert!(told.contains("+ secret/data/theirs/*:read, by somebody else"), "{told}");
    assert!(!told.contains("new") && !told.contains("next"), "{told}");
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

fn said(told: &tfplugin::Diagnostics) -> String {
    told.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn what_a_narrowing_does_not_reach_is_said() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let two = json!(["secret/data/new/*:read", "secret/data/old/*:read"]);
    let scoped = core.create("nhi_scope", scope(&made, two, Value::Null)).await.unwrap();
    let one = scope(&made, json!(["secret/data/new/*:read"]), Value::Null);
    let plan = core.plan(&scoped, one).await.unwrap();
    assert!(
        said(&plan.diagnostics).contains("issued before may keep"),
        "{}",
        said(&plan.diagnostics)
    );
    let dated = json!({ "invoices.read": {
        "until": "2026-12-05T00:00:00Z", "justification": "Re-run of the 2025 closing" } });
    let mut elsewhere = scope(&made, json!(["other.read"]), dated);
    elsewhere["integration"]["id"] = json!("bao/oauth_client/x");
    let plan = core.plan_create("nhi_scope", elsewhere).await.unwrap();
    assert!(
        said(&plan.diagnostics).contains("stays until somebody applies"),
        "{}",
        said(&plan.diagnostics)
    );
}

#[tokio::test(start_paused = true)]
async fn a_reason_that_somebody_rewrote_is_drift() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let config = scope(&made, json!(["secret/data/new/*:read"]), Value::Null);
    let scoped = core.create("nhi_scope", config.clone()).await.unwrap();
    world
        .edit_record(|record| record.justification = Some("Because I may, and want to".into()))
        .await;
    let core = world.run().await;
    let (seen, _) = core.observe(&scoped).await.unwrap();
    let seen = seen.unwrap();
    assert_eq!(seen.json()["justification"], "Because I may, and want to");
    assert_eq!(core.plan(&seen, config.clone()).await.unwrap().action, Action::Update);
    core.update(&seen, config.clone()).await.unwrap();
    assert_eq!(
        world.shown().await.record.unwrap().justification.as_deref(),
        config["justification"].as_str()
    );
}

#[tokio::test(start_paused = true)]
async fn wildcards_are_the_policy_s_to_allow() {
    let mut world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let wide = scope(&made, json!(["secret/data/new/*:read"]), Value::Null);
    world.rules.wildcards = policy::rules::Wildcards::Warn;
    let plan = world.run().await.plan_create("nhi_scope", wide.clone()).await.unwrap();
    assert!(said(&plan.diagnostics).contains("more than one thing"));
    world.rules.wildcards = policy::rules::Wildcards::Refuse;
    let core = world.run().await;
    assert!(refused(&core, "nhi_scope", wide).await.contains("E-WILDCARD"));
    let one = scope(&made, json!(["secret/data/new/db:read"]), Value::Null);
    core.plan_create("nhi_scope", one).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_owner_who_is_away_is_told_on_what_they_own_before_anything_follows() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let mut away = integration();
    away["technical_owner"]["status"] = json!("inactive");
    let plan = core.plan(&made, away).await.unwrap();
    let text = said(&plan.diagnostics);
    assert!(text.contains("technical owner of bao/openbao_approle/invoice-sync"), "{text}");
    assert!(text.contains("owner/payments is inactive") && text.contains("30d after"), "{text}");
    world.person("2819c223", Some(true));
    let entry = json!({ "connection": "people", "id": "2819c223" });
    let owner = json!({ "name": "payments", "email": "p@acme.example", "directory": entry });
    let owner = core.create("nhi_owner", owner).await.unwrap();
    world.person("2819c223", Some(false));
    let (_, told) = world.run().await.observe(&owner).await.unwrap();
    assert!(
        said(&told).contains("inactive in the directory since 2026-11-24. On 2026-12-24"),
        "{}",
        said(&told)
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_vendor_runs_is_neither_switched_off_nor_left_untried() {
    let world = World::new();
    let core = world.run().await;
    let mut config = with(
        integration(),
        json!({ "connection_name": null, "third_party": {
            "vendor": "Salaries Ltd",
            "contract": "https://contracts.acme.example/4711",
            "contract_ends_on": "2030-12-31",
            "telemetry": "siem/payroll-bureau",
            "disable_path": "https://runbooks.acme.example/payroll-bureau",
            "disable_tested_on": "2026-11-01",
            "admin_review_every": "90d",
        } }),
    );
    config.as_object_mut().unwrap().remove("openbao_approle");
    let made = core.create("nhi_integration", config.clone()).await.unwrap();
    let plan = core.plan(&made, with(config, json!({ "enabled": false }))).await.unwrap();
    assert!(said(&plan.diagnostics).contains("Nothing is switched off here"));
    world.at("2027-02-01T00:00:00Z");
    let (seen, told) = world.run().await.observe(&made).await.unwrap();
    assert_eq!(seen.unwrap().json()["standing"]["drill_overdue"], "warn");
    assert!(said(&told).contains("disable_tested_on"), "{}", said(&told));
}

#[tokio::test(start_paused = true)]
async fn an_update_that_fails_on_its_way_is_not_told_as_somebody_else_s() {
    use connector::fake::{Fault, Verb};
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    world.by_hand(|hand| {
        hand.issue("somebody's", None);
    });
    let strict = with(
        integration(),
        json!({ "revoke_unmanaged": true, "openbao_approle": { "token_ttl": "2h" } }),
    );
    let found = core.refresh(&made).await.unwrap().unwrap();
    let plan = core.plan(&found, strict.clone()).await.unwrap();
    world.fake.fail(Verb::End, [Fault::Refused(connector::Refusal::Forbidden)]);
    let failed = core.apply(plan).await.unwrap_err();
    let Refusal::Failed { state: Some(state), .. } = failed else { panic!("{failed}") };
    let (seen, told) = world.run().await.observe(&state).await.unwrap();
    assert!(!said(&told).contains("Changed outside"), "{}", said(&told));
    let seen = seen.unwrap();
    assert_eq!(seen.json()["openbao_approle"]["token_ttl"], "2h");
    let done = core.update(&seen, strict).await.unwrap();
    assert_eq!(done.json()["unmanaged_credentials"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn scopes_of_what_has_none_are_refused_before_anything_is_applied() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let of = |id: &str| {
        let mut config = scope(&made, json!(["secret/data/new/*:read"]), Value::Null);
        config["integration"]["id"] = json!(id);
        config
    };
    for id in ["none/third_party/payroll", "bao/no_such_kind/x"] {
        let said = refused(&core, "nhi_scope", of(id)).await;
        assert!(said.contains("E-KIND") && said.contains("integration"), "{said}");
    }
    let said = refused(&core, "nhi_scope", of("no id at all")).await;
    assert!(said.contains("E-ID") && said.contains("integration.id"), "{said}");
    // Another spelling of the same id is the same id.
    let odd = of("bao/openbao_approle/invoice%2Dsync");
    let plan = core.plan_create("nhi_scope", odd).await.unwrap();
    let state = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(state.json()["id"], "bao/openbao_approle/invoice-sync/scope");
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_scope_for_a_time_is_said_at_that_scope() {
    let mut world = World::new();
    world.rules.environment_words.insert("test".into(), ["sandbox".to_owned()].into());
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let dated = json!({ "secret/data/sandbox/*:update": {
        "until": "2026-12-05T00:00:00Z", "justification": "Re-run of the 2025 closing" } });
    let mut config = scope(&made, json!([]), dated);
    config["integration"]["ceiling"] = json!({ "highest_action": "read", "scopes": null });
    let said = refused(&core, "nhi_scope", config).await;
    for code in ["E-CEILING", "ENV01"] {
        assert!(said.contains(code), "{said}");
    }
    assert_eq!(said.matches("temporary[\"secret/data/sandbox/*:update\"]").count(), 2, "{said}");
}

#[tokio::test(start_paused = true)]
async fn whoever_has_left_is_not_named_beside_another_who_left_before() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let mut both = integration();
    both["business_owner"]["status"] = json!("left");
    both["technical_owner"] = json!({ "id": "owner/ana", "email": null, "status": "left" });
    let said = core.plan(&made, both.clone()).await.unwrap_err().to_string();
    assert!(said.contains("E-OWNER-LEFT") && said.contains("technical_owner"), "{said}");
    both["technical_owner"]["status"] = json!("active");
    core.plan(&made, both).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_directory_s_own_word_for_what_an_owner_is_wins() {
    let world = World::new();
    world.person_of_kind("2819c223", "person");
    let core = world.run().await;
    let entry = json!({ "connection": "people", "id": "2819c223" });
    let config = json!({ "name": "payments", "email": "p@acme.example", "directory": entry });
    let owner = core.create("nhi_owner", config.clone()).await.unwrap();
    assert_eq!(owner.json()["kind"], "person");
    let (seen, _) = world.run().await.observe(&owner).await.unwrap();
    let seen = seen.unwrap();
    assert_eq!(core.plan(&seen, config.clone()).await.unwrap().action, Action::Nothing);
    let other = with(config.clone(), json!({ "kind": "team" }));
    let plan = core.plan_create("nhi_owner", other).await.unwrap();
    let told = core.apply(plan).await.unwrap_err().to_string();
    assert!(told.contains("E-OWNER-KIND"), "{told}");
    let unbound = with(config, json!({ "directory": null }));
    let plain = core.update(&seen, unbound).await.unwrap();
    assert_eq!(plain.json()["kind"], "team");
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_the_platform_does_not_have_is_refused_at_plan() {
    let core = World::new().run().await;
    let mut hub = with(integration(), json!({ "enabled": false, "jupyterhub_user": {} }));
    hub.as_object_mut().unwrap().remove("openbao_approle");
    let refused = core.plan_create("nhi_integration", hub.clone()).await.expect_err("no switch");
    assert!(refused.to_string().contains("E-NO-SWITCH"), "{refused}");
    hub["enabled"] = json!(true);
    let other = core.plan_create("nhi_integration", hub).await.expect_err("another platform's");
    assert!(!other.to_string().contains("E-NO-SWITCH"), "{other}");
}
