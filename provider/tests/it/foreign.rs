//! What another installation governs is told, and never touched.

use connector::fake::APP;
use domain::Record;
use serde_json::{Value, json};
use tfplugin::mini_core::{MiniCore, State};

use crate::world::{World, credential, integration, monthly, scope, with};

const ID: &str = "bao/openbao_approle/invoice-sync";
const THEIRS: &str = "nhi1-zzzzzz-abcdefgh-g1-e1-mabcdefghijklm";

async fn made(world: &World) -> State {
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    core.create("nhi_credential", credential(&made, monthly())).await.unwrap();
    core.create("nhi_scope", scope(&made, json!(["secret/data/new/*:read"]), Value::Null))
        .await
        .unwrap();
    made
}

async fn given_away(world: &World) {
    world.edit_record(|record| record.realm = Some("zzzzzz".into())).await;
}

fn refused(said: &str) {
    let names = [ID, "\"zzzzzz\"", "\"k3x9q2\"", "owner/payments", "Next: ", "(E-FOREIGN-REALM)"];
    for name in names {
        assert!(said.contains(name), "{name}: {said}");
    }
}

async fn looks(core: &MiniCore, state: &State) -> String {
    core.refresh(state).await.unwrap_err().to_string()
}

#[tokio::test(start_paused = true)]
async fn what_another_installation_governs_is_neither_imported_nor_changed() {
    let world = World::new();
    let ours = made(&world).await;
    given_away(&world).await;
    let before = world.shown().await;
    let core = world.run().await;
    for (kind, id) in [
        ("nhi_integration", ID.to_owned()),
        ("nhi_scope", format!("{ID}/scope")),
        ("nhi_credential", format!("{ID}/credential/default")),
    ] {
        refused(&core.import(kind, &id).await.unwrap_err().to_string());
    }
    refused(&looks(&core, &ours).await);
    // A plan that was saved before, and one that looked at nothing.
    let wider =
        with(integration(), json!({ "purpose": "Copies everything that there is every day" }));
    refused(&core.update(&ours, wider).await.unwrap_err().to_string());
    refused(&core.destroy(ours).await.unwrap_err().to_string());
    assert_eq!(world.shown().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_is_told_with_whoever_has_it() {
    let world = World::new();
    let ours = made(&world).await;
    let again = async || {
        let core = world.run().await;
        core.create("nhi_integration", integration()).await.unwrap_err().to_string()
    };
    let said = again().await;
    assert!(said.contains("E-EXISTS") && said.contains("This installation"), "{said}");
    assert!(said.contains("owner/payments") && said.contains("terraform import"), "{said}");
    given_away(&world).await;
    let said = again().await;
    assert!(said.contains("E-EXISTS") && said.contains("\"zzzzzz\""), "{said}");
    assert!(said.contains("owner/payments, p@acme.example"), "{said}");
    assert!(!said.contains("terraform import"), "an import would be refused: {said}");
    world.by_hand(|hand| hand.write_record(None));
    let said = again().await;
    assert!(said.contains("no record") && said.contains("terraform import"), "{said}");
    drop(ours);
}

#[tokio::test(start_paused = true)]
async fn a_credential_with_another_installations_mark_is_told_and_outlives_revoke_unmanaged() {
    let world = World::new();
    let ours = made(&world).await;
    let (mut theirs, mut stray) = (String::new(), String::new());
    world.by_hand(|hand| {
        theirs = hand.issue("theirs", Some(THEIRS));
        stray = hand.issue("stray", None);
    });
    let core = world.run().await;
    let (seen, told) = core.observe(&ours).await.unwrap();
    let seen = seen.unwrap();
    assert_eq!(seen.json()["unmanaged_credentials"], json!([stray]));
    assert_eq!(seen.json()["foreign_credentials"], json!([theirs]));
    let told: Vec<String> =
        told.iter().map(|one| format!("{} {}", one.summary, one.detail)).collect();
    let told = told.join("\n");
    assert!(told.contains("Credentials of another installation"), "{told}");
    // Whatever this plan imports is imported after its integration was looked at.
    assert!(told.contains("this very plan imports"), "{told}");
    assert!(told.contains("\"zzzzzz\"") && told.contains("Next: ask"), "{told}");
    assert!(told.contains("; revoke_unmanaged = true ends what is left"), "{told}");
    let strict = with(integration(), json!({ "revoke_unmanaged": true }));
    let done = core.update(&seen, strict.clone()).await.unwrap();
    assert_eq!(done.json()["unmanaged_credentials"], json!([]));
    assert_eq!(done.json()["foreign_credentials"], json!([theirs]));
    let live = world.shown().await.credentials.unwrap();
    let has = |id: &str| live.iter().any(|one| one.key_id == id);
    assert!(has(&theirs) && !has(&stray), "{live:?}");
    // And the next plan asks for nothing.
    let core = world.run().await;
    let seen = core.refresh(&done).await.unwrap().unwrap();
    let plan = core.plan(&seen, strict).await.unwrap();
    assert_eq!(plan.action, tfplugin::mini_core::Action::Nothing);
    // The inventory tells them apart as well.
    let found = core.read_data("nhi_integrations", json!({})).await.unwrap();
    let one = &found["integrations"][0];
    assert_eq!((&one["managed"], &one["foreign"]), (&json!(true), &json!(false)));
    let all = one["credentials"].as_array().unwrap().iter();
    let foreign: Vec<&Value> = all.filter(|one| one["foreign"] == true).collect();
    assert_eq!(foreign.len(), 1);
    assert_eq!((&foreign[0]["key_id"], &foreign[0]["managed"]), (&json!(theirs), &json!(false)));
    // What ends with the integration itself is said before.
    let plan = core.plan_destroy(&seen).await.unwrap();
    assert!(plan.diagnostics.iter().any(|one| one.detail.contains("of another installation")));
    // Nobody is told to set what is set.
    world.by_hand(|hand| drop(hand.issue("another stray", None)));
    let core = world.run().await;
    let (_, told) = core.observe(&done).await.unwrap();
    let told: Vec<String> = told.into_iter().map(|one| one.detail).collect();
    let told = told.join("\n");
    assert!(told.contains("is set, the next apply ends what is left"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_slot_on_what_another_installation_governs_is_not_made() {
    let world = World::new();
    world.fake.create_by_hand(APP, "invoice-sync");
    let record = Record { realm: Some("zzzzzz".into()), ..Record::default() };
    world.by_hand(|hand| hand.write_record(Some(record)));
    let vendor_id = world.shown().await.vendor_id;
    let config = json!({
        "integration": { "id": ID, "vendor_id": vendor_id },
        "deliver_to": { "app": { "connection": "apps", "path": "apps/invoice-sync" } },
    });
    let core = world.run().await;
    let said = core.create("nhi_credential", config).await.unwrap_err().to_string();
    assert!(said.contains("E-FOREIGN-REALM") && said.contains("\"zzzzzz\""), "{said}");
    assert_eq!(world.shown().await.credentials.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn what_nhi_itself_signs_in_with_is_told_and_no_plan_ends_it() {
    let mut world = World::new();
    let ours = made(&world).await;
    let (mut own, mut stray) = (String::new(), String::new());
    world.by_hand(|hand| {
        own = hand.issue("our own", None);
        stray = hand.issue("stray", None);
    });
    world.fake = world.fake.signed_in_with(&domain::Secret::new("our own"));
    let core = world.run().await;
    let (seen, told) = core.observe(&ours).await.unwrap();
    let seen = seen.unwrap();
    assert_eq!(seen.json()["unmanaged_credentials"], json!([stray]));
    let says = |one: &&tfplugin::Diagnostic| one.summary.contains("nhi itself signs in");
    let warning = told.iter().find(says).expect("it is told");
    assert!(warning.detail.contains(&own) && warning.detail.contains("Next:"), "{warning:?}");
    let strict = with(integration(), json!({ "revoke_unmanaged": true }));
    let done = core.update(&seen, strict.clone()).await.unwrap();
    let live = world.shown().await.credentials.unwrap();
    let has = |id: &str| live.iter().any(|one| one.key_id == id);
    assert!(has(&own) && !has(&stray), "{live:?}");
    let core = world.run().await;
    let seen = core.refresh(&done).await.unwrap().unwrap();
    let plan = core.plan(&seen, strict).await.unwrap();
    assert_eq!(plan.action, tfplugin::mini_core::Action::Nothing);
    // Neither its end nor its switch is planned.
    let off = with(integration(), json!({ "enabled": false }));
    let other = with(integration(), json!({ "name": "invoices" }));
    let (off, other) = (core.plan(&seen, off).await, core.plan(&seen, other).await);
    for refused in [core.plan_destroy(&seen).await, off, other] {
        let told = refused.expect_err("it is refused").to_string();
        assert!(told.contains("E-OURSELVES") && told.contains("removed block"), "{told}");
    }
}
