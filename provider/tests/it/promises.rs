//! What resources promise beyond single attributes: imports that change nothing, one slot for two
//! workspaces, a policy that moves no planned value, drift that cannot hide, and plans that say
//! beforehand what they will not be able to do.

use std::sync::Arc;

use connector::fake::APP;
use secrets::{MemorySink, Sink, SinkCapabilities};
use serde_json::{Value, json};
use tfplugin::mini_core::{Action, MiniCore, Plan, Refusal, State, unknown};

use crate::world::{World, credential, integration, monthly, scope, with};

fn told(plan: &Plan) -> String {
    plan.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Integration and scope, with the configuration that made the latter.
async fn scoped(core: &MiniCore) -> (State, (State, Value)) {
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let scopes = scope(&made, json!(["secret/data/new/*:read"]), Value::Null);
    let scoped = core.create("nhi_scope", scopes.clone()).await.unwrap();
    (made, (scoped, scopes))
}

/// Integration, scope and credential, with the configurations that made the last two.
async fn all(core: &MiniCore) -> (State, (State, Value), (State, Value)) {
    let (made, scoped) = scoped(core).await;
    let config = credential(&made, monthly());
    let key = core.create("nhi_credential", config.clone()).await.unwrap();
    (made, scoped, (key, config))
}

#[tokio::test(start_paused = true)]
async fn what_is_imported_is_neither_replaced_nor_rotated() {
    let world = World::new();
    let core = world.run().await;
    let (made, (_, scopes), (key, config)) = all(&core).await;
    let secret = world.delivered().await;
    let core = world.run().await;
    let id = "bao/openbao_approle/invoice-sync";
    for (kind, id, config) in [
        ("nhi_integration", id.to_owned(), integration()),
        ("nhi_scope", format!("{id}/scope"), scopes),
        ("nhi_credential", format!("{id}/credential/default"), config),
    ] {
        let imported = core.import(kind, &id).await.unwrap();
        let plan = core.plan(&imported, config.clone()).await.unwrap();
        assert!(plan.replace.is_empty(), "{kind} would be replaced");
        let state = match plan.action {
            Action::Nothing => imported,
            _ => core.apply(plan).await.unwrap().unwrap(),
        };
        let (again, _) = core.observe(&state).await.unwrap();
        let plan = core.plan(&again.unwrap(), config).await.unwrap();
        assert_eq!(plan.action, Action::Nothing, "{kind} is not settled by the first apply");
        if kind == "nhi_credential" {
            assert_eq!(state.json()["generation"], 1);
            assert_eq!(state.json()["key_id"], key.json()["key_id"]);
        }
        if kind == "nhi_integration" {
            assert_eq!(state.json()["vendor_id"], made.json()["vendor_id"]);
        }
    }
    assert!(world.works(&secret));
}

#[tokio::test(start_paused = true)]
async fn two_workspaces_cannot_own_one_slot() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let config = credential(&made, monthly());
    let (one, two) = (world.run().await, world.run().await);
    let first = one.plan_create("nhi_credential", config.clone()).await.unwrap();
    let second = two.plan_create("nhi_credential", config.clone()).await.unwrap();
    one.apply(first).await.unwrap();
    let refusal = two.apply(second).await.unwrap_err().to_string();
    assert!(refusal.contains("E-SLOT-EXISTS"), "{refusal}");
    assert!(refusal.contains("terraform import <ADDRESS> 'bao/"), "{refusal}");
    assert!(refusal.contains(" at name"), "{refusal}");
    let scopes = scope(&made, json!([]), Value::Null);
    let second = two.plan_create("nhi_scope", scopes.clone()).await.unwrap();
    one.create("nhi_scope", scopes).await.unwrap();
    let refusal = two.apply(second).await.unwrap_err().to_string();
    assert!(refusal.contains("E-SLOT-EXISTS"), "{refusal}");
}

#[tokio::test(start_paused = true)]
async fn a_second_resource_of_one_run_is_told_so_and_not_to_be_imported() {
    let world = World::new();
    let core = world.run().await;
    let (made, (_, scopes), (_, config)) = all(&core).await;
    let again = core.create("nhi_credential", config.clone()).await.unwrap_err().to_string();
    let twice = core.create("nhi_scope", scopes.clone()).await.unwrap_err().to_string();
    for (said, remedy) in [(again, "another name"), (twice, "setunion")] {
        assert!(said.contains("E-SLOT-EXISTS") && said.contains(remedy), "{said}");
        assert!(said.contains("which this run made before"), "{said}");
        assert!(!said.contains("terraform import"), "both would have it: {said}");
    }
    // Of a later run nobody knows which it is: both ways are told.
    let core = world.run().await;
    let again = core.create("nhi_credential", config).await.unwrap_err().to_string();
    let twice = core.create("nhi_scope", scopes).await.unwrap_err().to_string();
    for (said, remedy) in [(again, "another name"), (twice, "setunion")] {
        assert!(said.contains(remedy) && said.contains("terraform import <ADDRESS> "), "{said}");
    }
    drop(made);
}

#[tokio::test(start_paused = true)]
async fn two_resources_that_are_one_are_told_in_the_plan_of_the_second_and_a_repeat_is_none() {
    let world = World::new();
    let core = world.run().await;
    let (made, (scoped, scopes), (key, config)) = all(&core).await;
    let owner = json!({ "name": "payments", "email": "p@acme.example" });
    let owned = core.create("nhi_owner", owner.clone()).await.unwrap();
    for (state, config, other) in [
        (made, integration(), json!({ "expires_on": "2027-06-30" })),
        (scoped, scopes, json!({ "scopes": [] })),
        (key, config, json!({ "triggers": { "a": "1" } })),
        (owned, owner, json!({ "email": "q@acme.example" })),
    ] {
        let core = world.run().await;
        for _ in 0..2 {
            let plan = core.plan(&state, config.clone()).await.unwrap();
            assert!(!told(&plan).contains("E-GOVERNED-TWICE"), "{}", told(&plan));
        }
        let plan = core.plan(&state, with(config.clone(), other.clone())).await.unwrap();
        assert!(told(&plan).contains("E-GOVERNED-TWICE"), "{}", told(&plan));
        // Another walk of the same process has nothing to do with it.
        core.configure(json!({})).await.unwrap();
        let plan = core.plan(&state, with(config, other)).await.unwrap();
        assert!(!told(&plan).contains("E-GOVERNED-TWICE"), "{}", told(&plan));
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_outlived_its_day_is_not_made_and_what_is_there_is_drift_as_ever() {
    let world = World::new();
    let core = world.run().await;
    let until = |day: &str| with(integration(), json!({ "expires_on": day }));
    let said = core.plan_create("nhi_integration", until("2026-11-23")).await.unwrap_err();
    assert!(said.to_string().contains("E-OUTLIVED"), "{said}");
    // Through its last day it may live.
    let made = core.create("nhi_integration", until("2026-11-24")).await.unwrap();
    world.pass_hours(24);
    let core = world.run().await;
    let made = core.refresh(&made).await.unwrap().unwrap();
    let plan = core.plan(&made, until("2026-11-24")).await.unwrap();
    assert_eq!(*plan.planned("state"), "disabled".into());
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_is_never_given_is_refused_by_the_plan_and_kept_where_it_is_held() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let wish = |all: Value| scope(&made, all, Value::Null);
    for (text, says) in [
        ("role/no-secret-needed", "leave it out"),
        ("rule/secret/data/x#0011aabb", "secret/data/x:<capability>"),
    ] {
        let said = core.plan_create("nhi_scope", wish(json!([text]))).await.unwrap_err();
        let said = said.to_string();
        for part in ["E-SCOPE-ONLY-SHOWN", text, says, " at scopes"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let dated = json!({ "role/no-secret-needed": {
        "until": "2026-12-01T00:00:00Z", "justification": "Only until the next release is out",
    } });
    let said = core.plan_create("nhi_scope", scope(&made, json!([]), dated)).await.unwrap_err();
    assert!(said.to_string().contains("E-SCOPE-ONLY-SHOWN"), "{said}");
    // Somebody gave it by hand: a first nhi_scope may keep it, and so may every later one.
    world.by_hand(|hand| hand.grant("role/no-secret-needed"));
    let core = world.run().await;
    let kept = wish(json!(["role/no-secret-needed"]));
    let scoped = core.create("nhi_scope", kept.clone()).await.unwrap();
    let scoped = core.refresh(&scoped).await.unwrap().unwrap();
    assert_eq!(core.plan(&scoped, kept.clone()).await.unwrap().action, Action::Nothing);
    // Taken away, it does not come back.
    let scoped = core.update(&scoped, wish(json!([]))).await.unwrap();
    let said = core.plan(&scoped, kept).await.unwrap_err().to_string();
    assert!(said.contains("E-SCOPE-ONLY-SHOWN"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_edited_between_plan_and_apply_moves_no_planned_value() {
    let mut world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let config = with(integration(), json!({ "review_every": "90d", "expires_on": "2027-06-30" }));
    let plan = core.plan(&made, config).await.unwrap();
    world.rules.expired = policy::rules::Verdict::Revoke;
    world.rules.review_grace = None;
    world.rules.owner_left = policy::rules::Verdict::Warn;
    // The laws are held to at apply: a value that moved would be refused.
    let made = world.run().await.apply(plan).await.unwrap().unwrap();
    assert_eq!(made.json()["state"], "active");
}

#[tokio::test(start_paused = true)]
async fn tighter_rules_stop_what_gives_power_and_nothing_that_takes_it_away() {
    let mut world = World::new();
    let core = world.run().await;
    let (made, (scoped, scopes), (key, config)) = all(&core).await;
    world.rules.require_review_every = true;
    world.rules.require_schedule = true;
    world.rules.wildcards = policy::rules::Wildcards::Refuse;
    let core = world.run().await;
    // As a core plans before it destroys.
    let plan = core.plan(&made, integration()).await.unwrap();
    assert!(told(&plan).contains("E-POLICY-REQUIRED"), "{}", told(&plan));
    let off = with(integration(), json!({ "enabled": false }));
    core.plan(&made, off).await.unwrap();
    let plan = core.plan(&scoped, scopes.clone()).await.unwrap();
    assert!(told(&plan).contains("E-WILDCARD"), "{}", told(&plan));
    let exposed = with(config, json!({ "incident": "INC-1" }));
    core.plan(&key, exposed).await.unwrap();

    let other = with(integration(), json!({ "environment": "staging" }));
    let said = core.plan(&made, other).await.unwrap_err().to_string();
    assert!(said.contains("E-POLICY-REQUIRED"), "{said}");
    let wider = json!({ "scopes": ["secret/data/new/*:read", "secret/data/old/*:read"] });
    let said = core.plan(&scoped, with(scopes, wider)).await.unwrap_err().to_string();
    assert!(said.contains("E-WILDCARD"), "{said}");
    let another = with(integration(), json!({ "name": "another" }));
    let said = core.plan_create("nhi_integration", another).await.unwrap_err().to_string();
    assert!(said.contains("E-POLICY-REQUIRED"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_cannot_be_read_stops_what_gives_power_and_no_destroy() {
    let mut world = World::new();
    let core = world.run().await;
    let dated = with(integration(), json!({ "expires_on": "2027-01-10" }));
    let made = core.create("nhi_integration", dated.clone()).await.unwrap();
    let scopes = scope(&made, json!(["secret/data/new/*:read"]), Value::Null);
    let scoped = core.create("nhi_scope", scopes.clone()).await.unwrap();
    let config = credential(&made, monthly());
    let key = core.create("nhi_credential", config.clone()).await.unwrap();
    world.lawless = true;
    world.pass_hours(31 * 24);
    let core = world.run().await;
    let seen = async |state: &State| core.observe(state).await.unwrap().0.unwrap();
    let (made, scoped, key) = (seen(&made).await, seen(&scoped).await, seen(&key).await);
    assert_eq!(key.json()["status"], "overdue");

    let refused = |refusal: Refusal| {
        let said = refusal.to_string();
        assert!(said.contains("policy.hcl") && said.contains("-refresh=false"), "{said}");
    };
    let another = with(integration(), json!({ "name": "another" }));
    refused(core.plan_create("nhi_integration", another).await.unwrap_err());
    let longer = with(integration(), json!({ "expires_on": "2027-12-15" }));
    refused(core.plan(&made, longer).await.unwrap_err());
    let wider = json!({ "scopes": ["secret/data/new/*:read", "secret/data/old/*:read"] });
    refused(core.plan(&scoped, with(scopes.clone(), wider)).await.unwrap_err());
    let exposed = with(config.clone(), json!({ "incident": "INC-1" }));
    refused(core.plan(&key, exposed).await.unwrap_err());
    // As a core plans before it destroys; what fell due is refused where it is to be done.
    core.plan(&made, dated.clone()).await.unwrap();
    core.plan(&scoped, scopes.clone()).await.unwrap();
    let due = core.plan(&key, config).await.unwrap();
    let before = world.delivered().await;
    let said = core.apply(due).await.unwrap_err().to_string();
    assert!(said.contains("policy.hcl"), "{said}");
    assert_eq!(world.delivered().await, before);

    // Its last day is over, and what follows from that no rule says.
    world.pass_hours(20 * 24);
    let core = world.run().await;
    let made = core.observe(&made).await.unwrap().0.unwrap();
    assert_eq!(made.json()["standing"], json!({}));
    core.plan(&made, dated.clone()).await.unwrap();
    let fewer = with(scopes, json!({ "scopes": [] }));
    let scoped = core.update(&scoped, fewer).await.unwrap();
    assert!(world.scopes().await.is_empty());
    let made = core.update(&made, with(dated, json!({ "enabled": false }))).await.unwrap();
    for state in [key, scoped, made] {
        core.destroy(state).await.unwrap();
    }
    assert!(!world.fake.delete_by_hand(APP, "invoice-sync"), "nothing is left");
}

#[tokio::test(start_paused = true)]
async fn two_credentials_are_never_delivered_to_one_place() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let config = credential(&made, monthly());
    core.plan_create("nhi_credential", config.clone()).await.unwrap();
    core.plan_create("nhi_credential", config.clone()).await.unwrap();
    let other = with(config, json!({ "name": "other" }));
    let said = core.plan_create("nhi_credential", other.clone()).await.unwrap_err().to_string();
    assert!(said.contains("E-SINK-OCCUPIED") && said.contains("credential/default"), "{said}");
    // In another walk the first may have moved.
    world.run().await.plan_create("nhi_credential", other).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_handed_on_in_one_apply_is_refused_and_goes_on_in_two() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let slot = |name: &str, path: &str| {
        let place = json!({ "name": name,
            "deliver_to": { "app": { "connection": "apps", "path": path } } });
        with(credential(&made, monthly()), place)
    };
    let names = ["one", "two", "three"];
    let mut keys = Vec::new();
    for name in names {
        let place = format!("apps/{name}");
        keys.push(core.create("nhi_credential", slot(name, &place)).await.unwrap());
    }
    let refused = |refusal: Refusal| {
        let said = refusal.to_string();
        for part in ["E-SINK-OCCUPIED", "in two applies", "deliver_to", "credential/two"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    };
    // Whoever is planned second is refused, under another name of the place too, whether the first one
    // takes or gives.
    let core = world.run().await;
    core.plan(&keys[0], slot("one", "/apps/two/")).await.unwrap();
    refused(core.plan(&keys[1], slot("two", "apps/one")).await.unwrap_err());
    let core = world.run().await;
    core.plan(&keys[0], slot("one", "apps/elsewhere")).await.unwrap();
    refused(core.plan(&keys[1], slot("two", "apps/one")).await.unwrap_err());
    let core = world.run().await;
    core.plan(&keys[1], slot("two", "apps/one")).await.unwrap();
    refused(core.plan(&keys[0], slot("one", "apps/elsewhere")).await.unwrap_err());
    // The same of one that is new, and of one that goes with its resource.
    let core = world.run().await;
    core.plan(&keys[1], slot("two", "apps/elsewhere")).await.unwrap();
    refused(core.plan_create("nhi_credential", slot("new", "apps/two")).await.unwrap_err());
    let core = world.run().await;
    core.plan(&keys[1], slot("two", "apps/three")).await.unwrap();
    let said = core.plan_destroy(&keys[2]).await.unwrap_err().to_string();
    assert!(said.contains("handed on in one apply"), "{said}");
    // In another walk nothing of that is remembered.
    world.run().await.plan_destroy(&keys[2]).await.unwrap();
    // What is said to do works, for a swap too.
    let [mut one, mut two, three]: [State; 3] = keys.try_into().unwrap();
    for (taker, place) in [("one", "third"), ("two", "one"), ("one", "two")] {
        let core = world.run().await;
        let state = if taker == "one" { &mut one } else { &mut two };
        *state = core.refresh(state).await.unwrap().unwrap();
        *state = core.update(state, slot(taker, &format!("apps/{place}"))).await.unwrap();
    }
    world.run().await.destroy(three).await.unwrap();
    let new = slot("new", "apps/three");
    world.run().await.create("nhi_credential", new).await.unwrap();
    assert!(world.works(&world.stored("apps/three").await.unwrap()));
    let core = world.run().await;
    for (state, config) in [(&one, slot("one", "apps/two")), (&two, slot("two", "apps/one"))] {
        let state = core.refresh(state).await.unwrap().unwrap();
        assert_eq!(core.plan(&state, config).await.unwrap().action, Action::Nothing);
        let place = if state.json()["name"] == "one" { "apps/two" } else { "apps/one" };
        assert!(world.works(&world.stored(place).await.unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_plan_ends_and_makes_again_is_told_whichever_comes_first() {
    let world = World::new();
    let core = world.run().await;
    let (made, _, _) = all(&core).await;
    let remade = "One object goes and comes: bao/openbao_approle/invoice-sync";
    let core = world.run().await;
    let plan = core.plan_destroy(&made).await.unwrap();
    assert!(!told(&plan).contains(remade), "{}", told(&plan));
    let plan = core.plan_create("nhi_integration", integration()).await.unwrap();
    assert!(told(&plan).contains(remade) && told(&plan).contains("moved {"), "{}", told(&plan));
    let core = world.run().await;
    core.plan_create("nhi_integration", integration()).await.unwrap();
    let plan = core.plan_destroy(&made).await.unwrap();
    assert!(told(&plan).contains(remade), "{}", told(&plan));
    // A replacement has a way of its own to say so.
    let mut tainted = made.clone();
    tainted.tainted = true;
    let plan = world.run().await.plan(&tainted, integration()).await.unwrap();
    assert!(!told(&plan).contains(remade), "{}", told(&plan));
}

#[tokio::test(start_paused = true)]
async fn whoever_moves_a_secret_is_told_what_readers_of_the_old_place_are_left_with() {
    let world = World::new();
    let core = world.run().await;
    let (_, _, (key, config)) = all(&core).await;
    let plan = core.plan(&key, config.clone()).await.unwrap();
    assert!(!told(&plan).contains("taken out"), "{}", told(&plan));
    let moved =
        json!({ "deliver_to": { "app": { "connection": "apps", "path": "apps/new-place" } } });
    let plan = core.plan(&key, with(config, moved)).await.unwrap();
    assert!(told(&plan).contains("taken out of where it was"), "{}", told(&plan));
}

#[tokio::test(start_paused = true)]
async fn drift_is_told_where_the_configuration_ignores_changes() {
    let world = World::new();
    let core = world.run().await;
    let (_, (scoped, scopes), _) = all(&core).await;
    world.by_hand(|hand| hand.grant("secret/data/payroll/*:read"));
    let core = world.run().await;
    let (seen, warned) = core.observe(&scoped).await.unwrap();
    let seen = seen.unwrap();
    // As `ignore_changes = [scopes]` has it: the live value is the wish.
    let ignoring = with(scopes, json!({ "scopes": seen.json()["scopes"] }));
    let plan = core.plan(&seen, ignoring).await.unwrap();
    assert_eq!(plan.action, Action::Nothing);
    let warned: Vec<String> = warned.iter().map(ToString::to_string).collect();
    assert!(warned.join("\n").contains("+ secret/data/payroll/*:read"), "{warned:?}");
}

#[tokio::test(start_paused = true)]
async fn another_incarnation_replaces_what_hangs_on_it_and_no_update_moves_the_vendor_id() {
    let world = World::new();
    let core = world.run().await;
    let (made, (scoped, _), (key, _)) = all(&core).await;
    let plan = core
        .plan(&made, with(integration(), json!({ "labels": { "team": "payments" } })))
        .await
        .unwrap();
    assert_eq!(*plan.planned("vendor_id"), made.json()["vendor_id"].as_str().unwrap().into());
    world.by_hand(|hand| hand.recreate());
    let core = world.run().await;
    let (seen, warned) = core.observe(&made).await.unwrap();
    let seen = seen.unwrap();
    assert_ne!(seen.json()["vendor_id"], made.json()["vendor_id"]);
    assert!(warned.iter().any(|one| one.summary.contains("recreated")));
    let scopes = scope(&seen, json!(["secret/data/new/*:read"]), Value::Null);
    let (scoped, _) = core.observe(&scoped).await.unwrap();
    assert_eq!(core.plan(&scoped.unwrap(), scopes).await.unwrap().action, Action::Replace);
    let (key, _) = core.observe(&key).await.unwrap();
    let plan = core.plan(&key.unwrap(), credential(&seen, monthly())).await.unwrap();
    assert_eq!(plan.action, Action::Replace);
    let key = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(key.json()["generation"], 1);
    assert!(world.works(&world.delivered().await));
}

#[tokio::test(start_paused = true)]
async fn another_tenant_behind_the_same_name_is_never_written_to() {
    let mut world = World::new();
    world.pinned = Some("fake-1".to_owned());
    let core = world.run().await;
    let (made, (scoped, _), (key, config)) = all(&core).await;
    let scopes = scope(&made, json!([]), Value::Null);
    let saved = [
        core.plan(&scoped, scopes).await.unwrap(),
        core.plan(&key, with(config, json!({ "incident": "INC-4711" }))).await.unwrap(),
        core.plan(&made, with(integration(), json!({ "enabled": false }))).await.unwrap(),
        core.plan_destroy(&made).await.unwrap(),
    ];
    world.fake.set_tenant("fake-2");
    world.fake.calls();
    let core = world.run().await;
    for plan in saved {
        let kind = plan.type_name.clone();
        let refusal = core.apply(plan).await.unwrap_err().to_string();
        assert!(refusal.contains("E-TENANT"), "{kind}: {refusal}");
    }
    let refusal = core.observe(&made).await.unwrap_err().to_string();
    assert!(refusal.contains("E-TENANT"), "{refusal}");
    use connector::fake::Verb;
    let wrote = |verb: &Verb| {
        matches!(verb, Verb::Create | Verb::Modify | Verb::Delete | Verb::Issue | Verb::End)
    };
    assert!(!world.fake.calls().iter().any(|(verb, _)| wrote(verb)));
}

#[tokio::test(start_paused = true)]
async fn a_tainted_credential_is_replaced_without_a_moment_without_one() {
    let world = World::new();
    let core = world.run().await;
    let (_, _, (key, config)) = all(&core).await;
    let old = world.delivered().await;
    let mut tainted = key;
    tainted.tainted = true;
    let plan = core.plan(&tainted, config.clone()).await.unwrap();
    assert_eq!(plan.action, Action::Replace);
    let made = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(made.json()["generation"], 2);
    assert_eq!(made.json()["previous"], json!([]));
    assert!(!world.works(&old) && world.works(&world.delivered().await));
    let core = world.run().await;
    let (again, _) = core.observe(&made).await.unwrap();
    assert_eq!(core.plan(&again.unwrap(), config).await.unwrap().action, Action::Nothing);
}

#[tokio::test(start_paused = true)]
async fn what_goes_with_its_integration_is_ended_and_the_plan_says_so() {
    let world = World::new();
    let core = world.run().await;
    let (_, _, (key, config)) = all(&core).await;
    let old = world.delivered().await;
    let mut tainted = key.clone();
    tainted.tainted = true;
    let same = core.plan(&tainted, config.clone()).await.unwrap();
    assert!(!told(&same).contains("ends before"), "{}", told(&same));
    // As a replacement of the integration has it: its next incarnation is made during apply.
    let mut replaced = config.clone();
    replaced["integration"]["vendor_id"] = unknown();
    let plan = core.plan(&key, replaced).await.unwrap();
    assert_eq!(plan.action, Action::Replace);
    assert!(told(&plan).contains("ends before there is another"), "{}", told(&plan));
    let next = world.run().await;
    let renamed = next.plan(&key, with(config.clone(), json!({ "name": "second" }))).await.unwrap();
    assert_eq!(renamed.action, Action::Replace);
    assert!(told(&renamed).contains("ends before there is another"), "{}", told(&renamed));
    let mut other = config;
    other["integration"]["vendor_id"] = json!("another");
    core.apply_with(plan, other).await.unwrap_err();
    assert!(!world.works(&old), "it is not kept for a successor that it cannot have");
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_who_ends_the_old_credential_and_what_its_way_cannot_do() {
    let world = World::new();
    let core = world.run().await;
    let (made, _, (key, config)) = all(&core).await;
    world.at("2026-12-01T08:00:00Z");
    let core = world.run().await;
    let (due, _) = core.observe(&key).await.unwrap();
    let plan = core.plan(&due.unwrap(), config).await.unwrap();
    let said = told(&plan);
    assert!(
        said.contains("a new one is added, with a secret that is chosen here (add-ours)"),
        "{said}"
    );
    assert!(said.contains("Next: apply again when its overlap is over"), "{said}");
    assert!(said.contains("grade A"), "{said}");
    assert!(said.contains("ends by itself at 2027-01-01T11:00:00Z"), "{said}");
    // A connection that has no way to make one says so before anything is done.
    world.fake.promise_only("none of them");
    let other = with(credential(&made, monthly()), json!({ "name": "second" }));
    let refusal = world.run().await.plan_create("nhi_credential", other).await.unwrap_err();
    assert!(refusal.to_string().contains("E-ISSUE"), "{refusal}");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_in_place_is_announced_and_promises_to_keep_nothing() {
    for way in ["replace-ours", "replace-once", "replace-self"] {
        let world = World::new();
        world.fake.promise_only(way);
        let core = world.run().await;
        let (made, _) = scoped(&core).await;
        // Without a schedule nobody says that there is no overlap.
        let triggers = |now: &str| json!({ "schedule": null, "triggers": { "now": now } });
        let config = with(credential(&made, Value::Null), triggers("1"));
        let key = core.create("nhi_credential", config.clone()).await.unwrap();
        let old = world.delivered().await;
        let config = with(config, triggers("2"));
        let plan = core.plan(&key, config.clone()).await.unwrap();
        let said = told(&plan);
        for part in ["Rotates without overlap", way, "stops working in that call", "Next: apply"] {
            assert!(said.contains(part), "{way}, {part}: {said}");
        }
        let rotated = core.apply(plan).await.unwrap().unwrap().json();
        assert_eq!(rotated["previous"], json!([]), "{way}");
        assert_eq!(rotated["generation"], 2, "{way}");
        assert_eq!(rotated["last_revocation"]["grade"], "A", "{way}");
        let new = world.delivered().await;
        assert!(world.works(&new) && !world.works(&old), "{way}");
        // A schedule that keeps the old one for a while cannot be kept.
        let kept = core.plan_create("nhi_credential", credential(&made, monthly())).await;
        let said = kept.unwrap_err().to_string();
        assert!(said.contains("E-OVERLAP"), "{way}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn consumers_that_stand_no_interruption_are_cut_off_by_no_plan_and_by_an_incident_alone() {
    for way in ["replace-ours", "replace-once"] {
        let world = World::new();
        world.fake.promise_only(way);
        let core = world.run().await;
        let (made, _) = scoped(&core).await;
        let refuses = |more: Value| {
            let config = with(credential(&made, Value::Null), json!({ "interruption": "refuse" }));
            with(config, more)
        };
        // A schedule would cut them off by itself, so it is refused before there is anything.
        let at_once = with(monthly(), json!({ "overlap": "0" }));
        let planned = core.plan_create("nhi_credential", refuses(json!({ "schedule": at_once })));
        let said = planned.await.unwrap_err().to_string();
        assert!(said.contains("E-INTERRUPTS") && said.contains("Next: "), "{way}: {said}");
        let config = refuses(json!({ "schedule": null, "triggers": { "now": "1" } }));
        let key = core.create("nhi_credential", config.clone()).await.unwrap();
        assert_eq!(core.plan(&key, config.clone()).await.unwrap().action, Action::Nothing, "{way}");
        let old = world.delivered().await;
        let asked = json!({ "triggers": { "now": "2" } });
        let said =
            core.plan(&key, with(config.clone(), asked.clone())).await.unwrap_err().to_string();
        assert!(
            said.contains("E-INTERRUPTS") && said.contains(" at interruption"),
            "{way}: {said}"
        );
        assert!(world.works(&old), "{way}");
        let accepts = with(with(config.clone(), asked), json!({ "interruption": "accept" }));
        core.plan(&key, accepts).await.unwrap();
        let exposed = with(config, json!({ "incident": "INC-4711" }));
        let done = core.update(&key, exposed).await.unwrap();
        assert_eq!(done.json()["generation"], 2, "{way}");
        assert!(!world.works(&old), "{way}");
    }
    // Where the old one lives on, only an overlap of nothing cuts anybody off.
    let core = World::new().run().await;
    let (made, _) = scoped(&core).await;
    let plan = |overlap: &str| {
        let schedule = with(monthly(), json!({ "overlap": overlap }));
        let config = with(credential(&made, schedule), json!({ "interruption": "refuse" }));
        core.plan_create("nhi_credential", config)
    };
    let said = plan("0").await.unwrap_err().to_string();
    assert!(said.contains("E-INTERRUPTS") && said.contains("schedule.overlap"), "{said}");
    plan("24h").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_overlap_that_is_over_before_consumers_have_read_is_told_and_the_old_one_is_kept() {
    let world = World::new();
    let core = world.run().await;
    let (made, _) = scoped(&core).await;
    let config = with(credential(&made, monthly()), json!({ "consumer_refresh": "3d" }));
    let plan = core.plan_create("nhi_credential", config.clone()).await.unwrap();
    assert!(told(&plan).contains("The overlap is shorter than consumers take"), "{}", told(&plan));
    let fits = with(config.clone(), json!({ "consumer_refresh": "1d" }));
    let fits = core.plan_create("nhi_credential", fits).await.unwrap();
    assert!(!told(&fits).contains("consumers take"));
    let key = core.apply(plan).await.unwrap().unwrap();
    let old = world.delivered().await;
    world.at("2026-12-01T00:00:00Z");
    let core = world.run().await;
    let due = core.observe(&key).await.unwrap().0.unwrap();
    let second = core.update(&due, config.clone()).await.unwrap();
    for (at, word) in [
        ("2026-12-02T00:00:00Z", "current"),
        ("2026-12-03T23:59:59Z", "current"),
        ("2026-12-04T00:00:00Z", "retire_due"),
    ] {
        world.at(at);
        let seen = world.run().await.observe(&second).await.unwrap().0.unwrap();
        assert_eq!(seen.json()["status"], word, "{at}");
        assert!(world.works(&old), "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_credential_that_leaves_no_place_to_rotate_is_told_by_its_plan() {
    for (way, crowds) in [("add-unmarked", true), ("slots", true), ("add-ours", false)] {
        let world = World::new();
        world.fake.promise_only(way);
        let core = world.run().await;
        let (made, _) = scoped(&core).await;
        let config = with(credential(&made, Value::Null), json!({ "schedule": null }));
        let plan = core.plan_create("nhi_credential", config.clone()).await.unwrap();
        assert!(!told(&plan).contains("E-CROWDED"), "{way}: one alone");
        core.apply(plan).await.unwrap();
        let other = json!({
            "name": "other",
            "deliver_to": { "app": { "connection": "apps", "path": "apps/other" } },
        });
        let second = with(config, other);
        // Another run, which knows the first one from custody alone.
        for core in [core, world.run().await] {
            let plan = core.plan_create("nhi_credential", second.clone()).await.unwrap();
            let said = told(&plan);
            assert_eq!(said.contains("E-CROWDED"), crowds, "{way}: {said}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_lets_a_secret_reach_further_is_called_a_widening() {
    let world = World::new();
    let core = world.run().await;
    let (_, _, (key, config)) = all(&core).await;
    let more = json!({ "deliver_to": {
        "app": { "connection": "apps", "path": "apps/invoice-sync" },
        "copy": { "connection": "apps", "path": "apps/copy" },
    } });
    let plan = core.plan(&key, with(config.clone(), more)).await.unwrap();
    assert!(told(&plan).contains("+ deliver_to.copy (apps:apps/copy)"), "{}", told(&plan));
    let rarely = credential_schedule(&config, json!({ "every": "90d" }));
    let plan = core.plan(&key, rarely).await.unwrap();
    assert!(told(&plan).contains("schedule.every 30d -> 90d"), "{}", told(&plan));
    let plan = core.plan(&key, with(config.clone(), json!({ "schedule": null }))).await.unwrap();
    assert!(told(&plan).contains("- schedule"), "{}", told(&plan));
    let set = json!({ "min_age": "9d", "overdue_after": "8d" });
    let plan = core.plan(&key, credential_schedule(&config, set)).await.unwrap();
    for part in ["schedule.min_age 1h -> 9d", "schedule.overdue_after 7d -> 8d"] {
        assert!(told(&plan).contains(part), "{part}: {}", told(&plan));
    }
    let often = credential_schedule(&config, json!({ "every": "15d" }));
    let plan = core.plan(&key, often).await.unwrap();
    assert!(!told(&plan).contains("gives power"), "{}", told(&plan));
}

fn credential_schedule(config: &Value, more: Value) -> Value {
    with(config.clone(), json!({ "schedule": with(config["schedule"].clone(), more) }))
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_reviewed_is_refused_at_plan() {
    let mut world = World::new();
    let words = [("production", "prod"), ("staging", "staging")];
    world.rules.environment_words =
        words.map(|(name, word)| (name.to_owned(), [word.to_owned()].into())).into();
    let core = world.run().await;
    let hidden =
        with(integration(), json!({ "openbao_approle": { "token_bound_cidrs": unknown() } }));
    let refusal = core.plan_create("nhi_integration", hidden).await.unwrap_err().to_string();
    assert!(refusal.contains("E-UNKNOWN-GOVERNED"), "{refusal}");
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let owner = json!({ "id": unknown(), "email": null, "status": null });
    let somebody = with(integration(), json!({ "technical_owner": owner }));
    let refusal = core.plan(&made, somebody).await.unwrap_err().to_string();
    assert!(refusal.contains("E-UNKNOWN-GOVERNED"), "{refusal}");
    let hidden = scope(&made, unknown(), Value::Null);
    let refusal = core.plan_create("nhi_scope", hidden).await.unwrap_err().to_string();
    assert!(refusal.contains("E-UNKNOWN-GOVERNED"), "{refusal}");
    let foreign = scope(&made, json!(["secret/data/staging/db:read"]), Value::Null);
    let refusal = core.plan_create("nhi_scope", foreign).await.unwrap_err().to_string();
    assert!(refusal.contains("ENV01"), "{refusal}");
}

#[tokio::test(start_paused = true)]
async fn a_copy_follows_deliver_to_both_ways() {
    let world = World::new();
    let core = world.run().await;
    let (_, _, (key, config)) = all(&core).await;
    let both = with(
        config.clone(),
        json!({ "deliver_to": {
            "app": { "connection": "apps", "path": "apps/invoice-sync" },
            "copy": { "connection": "apps", "path": "apps/copy" },
        } }),
    );
    let copied = core.update(&key, both).await.unwrap();
    assert_eq!(copied.json()["generation"], 1, "a copy is no rotation");
    let copy = world.stored("apps/copy").await.expect("a copy is there");
    assert!(world.works(&copy));
    let kept = core.update(&copied, config).await.unwrap();
    assert_eq!(kept.json()["generation"], 1);
    assert!(world.stored("apps/copy").await.is_none(), "the copy is taken out again");
    assert!(world.works(&world.delivered().await));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_cannot_forget_is_told_before_it_is_given_up_and_when_it_is() {
    let mut world = World::new();
    let able = world.apps.capabilities();
    let able = SinkCapabilities { destroys_versions: false, ..able };
    world.apps = Arc::new(MemorySink::new().claiming(able));
    let core = world.run().await;
    let (_, _, (key, config)) = all(&core).await;
    let both = with(
        config.clone(),
        json!({ "deliver_to": {
            "app": { "connection": "apps", "path": "apps/invoice-sync" },
            "copy": { "connection": "apps", "path": "apps/copy" },
        } }),
    );
    let plan = core.plan(&key, both.clone()).await.unwrap();
    assert!(!told(&plan).contains("stays readable"), "{}", told(&plan));
    let copied = core.update(&key, both).await.unwrap();
    let plan = core.plan(&copied, config.clone()).await.unwrap();
    let said = told(&plan);
    assert!(
        said.contains("stays readable where it was") && said.contains("apps:apps/copy"),
        "{said}"
    );
    let before = world.apps.read("apps/copy").await.unwrap().unwrap();
    core.update(&copied, config).await.unwrap();
    assert!(world.stored("apps/copy").await.is_none(), "the current version is without it");
    let earlier = world.apps.read_version("apps/copy", before.version.number).await.unwrap();
    assert_eq!(earlier, before.document, "and the plan was right about the one before");
}

#[tokio::test(start_paused = true)]
async fn the_fields_of_a_document_that_is_there_stay() {
    let world = World::new();
    let core = world.run().await;
    let (_, _, (key, config)) = all(&core).await;
    let delivered = |name: &str, path: &str, fields: Value| {
        let one = json!({ "connection": "apps", "path": path, "fields": fields });
        with(config.clone(), json!({ "deliver_to": { name: one } }))
    };
    let other = json!({ "role": "id", "password": "secret" });
    for (name, path) in [("app", "apps/invoice-sync"), ("renamed", "/apps/invoice-sync")] {
        let said = core.plan(&key, delivered(name, path, other.clone())).await.unwrap_err();
        let said = said.to_string();
        assert!(said.contains("E-FIELDS") && said.contains("fields"), "{said}");
    }
    let said = core.plan(&key, delivered("app", "apps/invoice-sync", unknown())).await;
    let said = said.unwrap_err().to_string();
    assert!(said.contains("E-UNKNOWN-GOVERNED") && said.contains("fields"), "{said}");
    // Written out, the type's own are what they were.
    let own = json!({ "role_id": "id", "secret_id": "secret" });
    let asked = |config: Value, n: &str| with(config, json!({ "triggers": { "n": n } }));
    let same = asked(delivered("app", "apps/invoice-sync", own), "1");
    let same = core.update(&key, same).await.unwrap();
    assert_eq!(same.json()["generation"], 1);
    core.update(&same, asked(delivered("app", "apps/other", other), "2")).await.unwrap();
    assert!(world.stored("apps/invoice-sync").await.is_none(), "it is taken out of the old place");
}

#[tokio::test(start_paused = true)]
async fn a_contract_that_ended_is_told_in_every_plan() {
    let world = World::new();
    let core = world.run().await;
    let mut config = with(
        integration(),
        json!({ "connection_name": null, "third_party": {
            "vendor": "Salaries Ltd",
            "contract": "https://contracts.acme.example/4711",
            "contract_ends_on": "2026-12-31",
            "telemetry": "siem/payroll-bureau",
            "disable_path": "https://runbooks.acme.example/payroll-bureau",
            "admin_review_every": "90d",
        } }),
    );
    config.as_object_mut().unwrap().remove("openbao_approle");
    let made = core.create("nhi_integration", config).await.unwrap();
    world.at("2027-01-01T00:00:00Z");
    let (seen, warned) = world.run().await.observe(&made).await.unwrap();
    assert_eq!(seen.unwrap().json()["standing"]["contract_ended"], "warn");
    assert!(warned.iter().any(|one| one.summary.contains("contract")));
}
