//! Keys that somebody made by hand, taken in by an import.

use connector::fake::APP;
use domain::Secret;
use serde_json::json;
use tfplugin::{
    Diagnostics, Value,
    mini_core::{Action, State},
};

use crate::world::{World, credential, integration, monthly, scope, with};

const SLOT: &str = "bao/openbao_approle/invoice-sync/credential/default";
const BY_HAND: &str = "made-by-hand-0e2f1a3c";

/// A world with an integration and `keys` made by hand, the integration taken in, and a run.
async fn by_hand(keys: &[&str]) -> (World, State, Vec<String>) {
    let world = World::new();
    world.fake.create_by_hand(APP, "invoice-sync");
    let mut ids = Vec::new();
    world.by_hand(|hand| ids = keys.iter().map(|secret| hand.issue(secret, None)).collect());
    let core = world.run().await;
    let made = core.import("nhi_integration", "bao/openbao_approle/invoice-sync").await.unwrap();
    let made = core.update(&made, integration()).await.unwrap();
    (world, made, ids)
}

#[tokio::test(start_paused = true)]
async fn the_only_key_without_a_mark_is_imported_and_replaced_only_after_its_successor_works() {
    let (world, made, ids) = by_hand(&[BY_HAND]).await;
    let core = world.run().await;
    let taken = core.import("nhi_credential", SLOT).await.unwrap();
    assert_eq!(taken.json()["key_id"], ids[0].as_str());
    assert_eq!(taken.json()["status"], "unheld");
    assert_eq!(taken.json()["generation"], 0);
    assert_eq!(taken.json()["secret_held"], false);
    // The first apply writes down what was said, and it is nobody's no more.
    let config = credential(&made, monthly());
    let plan = core.plan(&taken, config.clone()).await.unwrap();
    assert!(plan.replace.is_empty());
    assert_eq!(plan.planned("generation"), &Value::from(0));
    assert_eq!(plan.planned("key_id"), &Value::from(ids[0].as_str()));
    let state = core.apply(plan).await.unwrap().unwrap();
    let core = world.run().await;
    let (seen, _) = core.observe(&made).await.unwrap();
    assert_eq!(seen.unwrap().json()["unmanaged_credentials"], json!([]));
    // The plan after it shows what takes over.
    let state = core.refresh(&state).await.unwrap().unwrap();
    let plan = core.plan(&state, config.clone()).await.unwrap();
    assert_eq!(plan.planned("generation"), &Value::from(1));
    let state = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(state.json()["previous"][0]["key_id"], ids[0].as_str());
    let old = Secret::new(BY_HAND);
    assert!(world.works(&old) && world.works(&world.delivered().await));
    // And the old one ends when its overlap is over.
    world.pass_hours(25);
    let core = world.run().await;
    let state = core.refresh(&state).await.unwrap().unwrap();
    let state = core.update(&state, config.clone()).await.unwrap();
    assert!(!world.works(&old) && world.works(&world.delivered().await));
    let state = core.refresh(&state).await.unwrap().unwrap();
    assert_eq!(core.plan(&state, config).await.unwrap().action, Action::Nothing);
}

#[tokio::test(start_paused = true)]
async fn an_import_that_could_mean_one_of_several_keys_names_them_and_the_way() {
    let (world, _, ids) = by_hand(&[BY_HAND, "made-by-hand-too-77aa"]).await;
    let said = world.run().await.import("nhi_credential", SLOT).await.unwrap_err().to_string();
    for part in [&*ids[0], &*ids[1], "E-SEVERAL-KEYS", "revoke_unmanaged"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_key_is_taken_into_one_slot_only() {
    let (world, made, ids) = by_hand(&[BY_HAND]).await;
    let core = world.run().await;
    let taken = core.import("nhi_credential", SLOT).await.unwrap();
    let unheld = json!({ "deliver_to": null, "secret_source": "the runbook of the night shift" });
    let config = with(credential(&made, serde_json::Value::Null), unheld);
    core.update(&taken, config).await.unwrap();
    let core = world.run().await;
    let again = core.import("nhi_credential", SLOT).await.unwrap();
    assert_eq!(again.json()["key_id"], ids[0].as_str(), "its own slot has it");
    let other = SLOT.replace("default", "other");
    assert!(core.import("nhi_credential", &other).await.is_err(), "and no other one");
    // What came later is nobody's, and the slot has a key: it is not taken for another's.
    world.by_hand(|hand| drop(hand.issue("made-by-hand-later-11", None)));
    let again = core.import("nhi_credential", SLOT).await.unwrap();
    assert_eq!(again.json()["key_id"], ids[0].as_str());
}

#[tokio::test(start_paused = true)]
async fn an_import_of_what_is_governed_already_says_whose_it_is_and_how_it_moves() {
    let world = World::new();
    let core = world.run().await;
    let id = "bao/openbao_approle/invoice-sync";
    let ids = [
        ("nhi_integration", id.to_owned()),
        ("nhi_scope", format!("{id}/scope")),
        ("nhi_credential", SLOT.to_owned()),
    ];
    let made = core.create("nhi_integration", integration()).await.unwrap();
    core.create("nhi_scope", scope(&made, json!([]), serde_json::Value::Null)).await.unwrap();
    core.create("nhi_credential", credential(&made, monthly())).await.unwrap();
    let core = world.run().await;
    for (kind, id) in &ids {
        let (_, told) = core.import_telling(kind, id).await.unwrap();
        let told = words(&told);
        for part in [&**id, "E-GOVERNED-TWICE", "since 2026-11-24", "owner/payments", "moved {"] {
            assert!(told.contains(part), "{kind}: {part}: {told}");
        }
    }
    // The record is gone and the ledger knows it.
    world.by_hand(|hand| hand.write_record(None));
    let core = world.run().await;
    for (kind, id) in &ids[..2] {
        let (_, told) = core.import_telling(kind, id).await.unwrap();
        assert!(words(&told).contains("the ledger says"), "{kind}: {}", words(&told));
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_governs_is_imported_without_a_word_and_under_two_addresses_with_one() {
    let (world, ..) = by_hand(&[BY_HAND]).await;
    world.fake.create_by_hand(APP, "other");
    let core = world.run().await;
    let id = "bao/openbao_approle/other";
    let (_, told) = core.import_telling("nhi_integration", id).await.unwrap();
    assert!(told.iter().next().is_none(), "{}", words(&told));
    let (_, told) = core.import_telling("nhi_integration", id).await.unwrap();
    assert!(words(&told).contains("Two addresses import one object"), "{}", words(&told));
    // The next walk begins anew, in the same process too.
    core.configure(json!({})).await.unwrap();
    let (_, told) = core.import_telling("nhi_integration", id).await.unwrap();
    assert!(told.iter().next().is_none(), "{}", words(&told));
}

#[tokio::test(start_paused = true)]
async fn an_import_of_a_kind_that_its_connection_does_not_have_names_those_that_it_has() {
    let (world, ..) = by_hand(&[BY_HAND]).await;
    let core = world.run().await;
    for (resource, id) in [
        ("nhi_integration", "bao/oauth_client/invoice-sync"),
        ("nhi_scope", "bao/oauth_client/invoice-sync/scope"),
        ("nhi_credential", "bao/oauth_client/invoice-sync/credential/default"),
    ] {
        let said = core.import(resource, id).await.unwrap_err().to_string();
        for part in
            ["E-KIND", "It can hold: openbao_approle", "import bao/openbao_approle/invoice-sync"]
        {
            assert!(said.contains(part), "{resource}: {part}: {said}");
        }
        let said = core.import(resource, &id.replace("bao/", "apps/")).await.unwrap_err();
        assert!(said.to_string().contains("It can hold: no integrations"), "{said}");
        let said = core.import(resource, &id.replace("oauth_client", "oauth")).await.unwrap_err();
        assert!(said.to_string().contains("no kind of integration"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_document_of_a_slot_that_is_imported_again_is_known_by_its_mark_before_it_is_adopted() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let config = credential(&made, monthly());
    core.create("nhi_credential", config.clone()).await.unwrap();
    let (core, unheld) = (world.run().await, "in no sink of ours");
    let (taken, told) = core.import_telling("nhi_credential", SLOT).await.unwrap();
    assert!(!words(&told).contains(unheld), "its places are not known yet: {}", words(&told));
    let plan = core.plan(&taken, config.clone()).await.unwrap();
    assert!(!words(&plan.diagnostics).contains("written down"), "{}", words(&plan.diagnostics));
    let state = core.apply(plan).await.unwrap().unwrap();
    let core = world.run().await;
    let state = core.refresh(&state).await.unwrap().unwrap();
    assert_eq!(
        (&state.json()["status"], &state.json()["generation"]),
        (&json!("current"), &json!(1))
    );
    assert_eq!(core.plan(&state, config.clone()).await.unwrap().action, Action::Nothing);
    // Where one place has it and another not, it is copied; where none has, it rotates, and both are said.
    let two = json!({ "deliver_to": {
        "app": { "connection": "apps", "path": "apps/invoice-sync" },
        "copy": { "connection": "apps", "path": "apps/copy" },
    } });
    let none = json!({ "deliver_to": { "copy": { "connection": "apps", "path": "apps/copy" } } });
    for (places, says) in [
        (two, "is not at apps:apps/copy. The plan after it copies it"),
        (none, "in no sink of ours (no document of it is at apps:apps/copy)"),
    ] {
        let plan = core.plan(&taken, with(config.clone(), places)).await.unwrap();
        assert!(words(&plan.diagnostics).contains(says), "{says}: {}", words(&plan.diagnostics));
    }
}

/// The integration as `nhi adopt` writes it.
fn as_found(complete_by: &str) -> serde_json::Value {
    json!({
        "connection_name": "bao",
        "name": "invoice-sync",
        "openbao_approle": {},
        "adoption": { "complete_by": complete_by, "steward": "owner/payments" },
    })
}

/// What is handed over of an integration, as a core does it.
fn handed(made: &State, names: &[&str]) -> serde_json::Value {
    let made = made.json();
    names.iter().map(|name| ((*name).to_owned(), made[*name].clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_adopted_may_be_incomplete_until_its_day_and_is_told_at_each_plan() {
    let world = World::new();
    world.fake.create_by_hand(APP, "invoice-sync");
    let core = world.run().await;
    let taken = core.import("nhi_integration", "bao/openbao_approle/invoice-sync").await.unwrap();
    let bare = with(as_found(""), json!({ "adoption": null }));
    let said = core.plan(&taken, bare.clone()).await.unwrap_err().to_string();
    for name in ["purpose", "environment", "business_owner", "technical_owner"] {
        assert!(said.contains(&format!("{name} is not set")), "{name}: {said}");
    }
    assert!(said.contains("E-REQUIRED"), "{said}");
    // Nothing is made that way.
    let said = core.plan_create("nhi_integration", as_found("2026-12-15")).await.unwrap_err();
    assert!(said.to_string().contains("E-ADOPTION"), "{said}");

    let config = as_found("2026-12-15");
    let plan = core.plan(&taken, config.clone()).await.unwrap();
    assert_eq!(plan.action, Action::Update);
    let told = words(&plan.diagnostics);
    for part in [
        "purpose, environment, business_owner, technical_owner, expires_on",
        "owner/payments",
        "2026-12-15",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("E-POLICY-REQUIRED"), "{told}");
    let made = core.apply(plan).await.unwrap().unwrap();
    let core = world.run().await;
    let made = core.refresh(&made).await.unwrap().unwrap();
    assert_eq!(made.json()["adoption"]["steward"], "owner/payments", "it stands in the record");
    let plan = core.plan(&made, config.clone()).await.unwrap();
    assert_eq!(plan.action, Action::Nothing);
    assert!(words(&plan.diagnostics).contains("purpose"), "it is told again");

    // Somebody takes it out of the record: that is drift.
    world.edit_record(|record| record.adoption = None).await;
    let core = world.run().await;
    let edited = core.refresh(&made).await.unwrap().unwrap();
    assert_eq!(core.plan(&edited, config.clone()).await.unwrap().action, Action::Update);
    let made = core.update(&edited, config.clone()).await.unwrap();

    // The day is over: nothing goes on before somebody said what is missing.
    world.at("2026-12-16T00:10:00Z");
    let core = world.run().await;
    let late = core.refresh(&made).await.unwrap().unwrap();
    assert_eq!(late.json()["standing"]["adoption_overdue"], "warn");
    let said = core.plan(&late, config.clone()).await.unwrap_err().to_string();
    for part in ["E-ADOPTION", "no purpose, environment", "owner/payments", "later complete_by"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // To switch it off, to agree on a later day, and to complete it are ways out.
    for (way, off) in [
        (with(config.clone(), json!({ "enabled": false })), true),
        (as_found("2027-01-15"), false),
        (with(integration(), json!({ "adoption": null, "expires_on": "2027-06-30" })), false),
    ] {
        let plan = core.plan(&late, way).await.unwrap();
        let standing = format!("{:?}", plan.planned("standing"));
        assert_eq!(standing.contains("adoption_overdue"), off, "{standing}");
        assert!(plan.replace.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn under_an_adoption_scopes_need_no_reason_and_what_exists_no_place_and_without_it_they_do() {
    let (world, _, ids) = by_hand(&[BY_HAND, "made-by-hand-too-77aa"]).await;
    let core = world.run().await;
    let id = "bao/openbao_approle/invoice-sync";
    let taken = core.import("nhi_integration", id).await.unwrap();
    let made = core.update(&taken, as_found("2026-12-15")).await.unwrap();
    let names = ["id", "vendor_id", "environment", "ceiling", "adoption"];
    let held = core.import("nhi_scope", &format!("{id}/scope")).await.unwrap();
    let wish = |adoption: bool| {
        let mut reference = handed(&made, &names);
        if !adoption {
            reference["adoption"] = serde_json::Value::Null;
        }
        json!({ "integration": reference, "scopes": [], "enforcement": "at_least" })
    };
    let plan = core.plan(&held, wish(true)).await.unwrap();
    assert_eq!(plan.action, Action::Update);
    let before = world.scopes().await;
    core.apply(plan).await.unwrap();
    assert_eq!(world.scopes().await, before);
    let said = core.plan(&held, wish(false)).await.unwrap_err().to_string();
    assert!(said.contains("E-REQUIRED") && said.contains("justification"), "{said}");

    // Each key has the slot that is called after it, whichever is imported first.
    let names = ["id", "vendor_id", "environment", "expires_on", "state", "adoption", "incident"];
    let of = |key: &str| operations::slot_name_of(key, ids.iter().map(String::as_str));
    let mut states = Vec::new();
    for key in ids.iter().rev() {
        let slot = format!("{id}/credential/{}", of(key));
        let taken = core.import("nhi_credential", &slot).await.unwrap();
        assert_eq!(taken.json()["key_id"], key.as_str());
        let config = json!({ "integration": handed(&made, &names), "name": of(key) });
        let mut without = config.clone();
        without["integration"]["adoption"] = serde_json::Value::Null;
        let said = core.plan(&taken, without).await.unwrap_err().to_string();
        assert!(said.contains("E-NO-SINK"), "{said}");
        let plan = core.plan(&taken, config.clone()).await.unwrap();
        assert_eq!(plan.planned("generation"), &Value::from(0));
        assert_eq!(plan.planned("key_id"), &Value::from(key.as_str()));
        states.push((core.apply(plan).await.unwrap().unwrap(), config));
    }
    let core = world.run().await;
    for (state, config) in states {
        let state = core.refresh(&state).await.unwrap().unwrap();
        assert_eq!(state.json()["status"], "unheld");
        let plan = core.plan(&state, config.clone()).await.unwrap();
        assert_eq!(plan.action, Action::Nothing, "{}", words(&plan.diagnostics));
        // An incident asks for another one, and there is no place for that: it is not passed over.
        let exposed = with(config, json!({ "incident": "INC-7" }));
        let said = core.plan(&state, exposed).await.unwrap_err().to_string();
        assert!(said.contains("E-NO-SINK"), "{said}");
    }
    let (seen, _) = core.observe(&made).await.unwrap();
    assert_eq!(seen.unwrap().json()["unmanaged_credentials"], json!([]));
    assert!(world.works(&Secret::new(BY_HAND)));
}

#[tokio::test(start_paused = true)]
async fn two_imports_of_one_run_never_take_in_the_same_key() {
    let (world, _, ids) = by_hand(&[BY_HAND]).await;
    let core = world.run().await;
    let taken = core.import("nhi_credential", SLOT).await.unwrap();
    assert_eq!(taken.json()["key_id"], ids[0].as_str());
    let said = core.import("nhi_credential", &SLOT.replace("default", "other")).await.unwrap_err();
    assert!(said.to_string().contains("E-SLOT-EXISTS"), "{said}");
}

fn words(told: &Diagnostics) -> String {
    told.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
