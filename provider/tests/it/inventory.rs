//! The inventory, and what a hand on the platform does to what it says.

use connector::fake::APP;
use domain::{Gap, GapExtent};
use serde_json::{Value, json};
use tfplugin::mini_core::{Action, MiniCore, Refusal};

use crate::world::{World, credential, integration, monthly, scope, with};

async fn all(core: &MiniCore, block: Value) -> Value {
    core.read_data("nhi_integrations", block).await.unwrap()
}

/// The only integration of an inventory.
async fn one(core: &MiniCore, block: Value) -> Value {
    let found = all(core, block).await;
    let listed = found["integrations"].as_array().unwrap().clone();
    assert_eq!(listed.len(), 1, "{listed:?}");
    listed[0].clone()
}

async fn everything(world: &World) {
    let core = world.run().await;
    let config = with(integration(), json!({ "review_every": "10d", "expires_on": "2027-06-30" }));
    let made = core.create("nhi_integration", config).await.unwrap();
    let scopes = scope(&made, json!(["secret/data/new/*:read"]), Value::Null);
    core.create("nhi_scope", scopes).await.unwrap();
    core.create("nhi_credential", credential(&made, monthly())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_is_listed_as_its_resource_has_it() {
    let world = World::new();
    everything(&world).await;
    let found = one(&world.run().await, json!({})).await;
    assert_eq!(found["id"], "bao/openbao_approle/invoice-sync");
    assert_eq!(found["managed"], true);
    assert_eq!(found["state"], "active");
    assert_eq!(found["standing"], json!({}));
    assert_eq!(found["scopes"], json!(["secret/data/new/*:read"]));
    assert_eq!(found["highest_action"], "secret");
    assert_eq!(found["business_owner"], "owner/payments");
    let id = "bao/openbao_approle/invoice-sync/credential/default";
    assert_eq!(found["credentials"][0]["id"], id);
    assert_eq!(found["credentials"][0]["managed"], true);
    assert_eq!(found["credentials"][0]["last_used_on"], Value::Null);
    world.at("2026-12-05T00:00:00Z");
    let found = one(&world.run().await, json!({ "standing": "review_overdue" })).await;
    assert_eq!(found["standing"]["review_overdue"], "warn");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_adds_forges_or_quarantines_shows() {
    let world = World::new();
    everything(&world).await;
    let mark = world.shown().await.credentials.unwrap()[0].marker.clone().unwrap();
    let (last, forged) = (mark.chars().last().unwrap(), &mark[..mark.len() - 1]);
    let forged = format!("{forged}{}", if last == 'a' { 'b' } else { 'a' });
    world.by_hand(|hand| {
        hand.issue("somebody's", None);
        hand.issue("a copy", Some(&forged));
    });
    let found = one(&world.run().await, json!({})).await;
    assert_eq!(found["standing"]["unmanaged_credentials"], "warn");
    assert_eq!(found["standing"]["marker_forged"], "warn");
    let managed = found["credentials"].as_array().unwrap().iter();
    assert_eq!(managed.filter(|one| one["managed"] == true).count(), 1);
    let named = found["credentials"].as_array().unwrap().iter();
    assert!(named.clone().any(|one| one["managed"] == true && one["id"].is_string()));
    assert!(named.clone().all(|one| one["managed"] == true || one["id"].is_null()), "{found}");
    world.edit_record(|record| record.quarantined = Some("INC-7, by ana".into())).await;
    world.by_hand(|hand| hand.enable(false));
    assert_eq!(one(&world.run().await, json!({})).await["state"], "quarantined");
}

#[tokio::test(start_paused = true)]
async fn what_another_realm_or_nobody_governs_is_not_managed_here() {
    let world = World::new();
    everything(&world).await;
    world.edit_record(|record| record.realm = Some("zzzzzz".into())).await;
    world.fake.create_by_hand(APP, "stray");
    let core = world.run().await;
    let found = all(&core, json!({ "managed": false })).await;
    let counts = json!({ "bao": 1, "managed": 0, "unmanaged": 1, "foreign": 0 });
    assert_eq!(found["counts"], counts, "what somebody declares elsewhere is not nobody's");
    assert_eq!(found["integrations"][0]["id"], "bao/openbao_approle/stray");
    let found = all(&core, json!({})).await;
    let counts = json!({ "bao": 2, "managed": 0, "unmanaged": 1, "foreign": 1 });
    assert_eq!(found["counts"], counts);
    let of = |name: &str| {
        let all = found["integrations"].as_array().unwrap();
        all.iter().filter(|one| one[name] == true).map(|one| &one["id"]).collect::<Vec<_>>()
    };
    assert_eq!(of("managed").len(), 0);
    assert_eq!(of("foreign"), ["bao/openbao_approle/invoice-sync"]);
    let found = all(&core, json!({ "managed": true })).await;
    assert_eq!(found["integrations"], json!([]));
    let stray = one(&core, json!({ "action_at_least": "admin" })).await;
    assert_eq!(stray["id"], "bao/openbao_approle/stray");
}

#[tokio::test(start_paused = true)]
async fn half_an_inventory_is_an_error_unless_it_is_asked_for() {
    let world = World::new();
    everything(&world).await;
    world
        .fake
        .set_gaps(vec![Gap { extent: GapExtent::Page("2".into()), cause: "status 403".into() }]);
    let core = world.run().await;
    let said = core.read_data("nhi_integrations", json!({})).await.unwrap_err().to_string();
    assert!(said.contains("E-INCOMPLETE") && said.contains("403"), "{said}");
    let found = all(&core, json!({ "allow_incomplete": true })).await;
    assert_eq!(found["complete"], false);
    assert_eq!(found["gaps"][0]["connection"], "bao");
    assert_eq!(found["gaps"][0]["what"], "the listing from 2 on");
    world.fake.set_gaps(Vec::new());
    let over = core.read_data("nhi_integrations", json!({ "limit": 0 })).await.unwrap_err();
    assert!(over.to_string().contains("1 were found"), "{over}");
    let nobody = core.read_data("nhi_integrations", json!({ "connections": ["boa"] })).await;
    let said = nobody.unwrap_err().to_string();
    assert!(said.contains("E-CONNECTION-UNKNOWN") && said.contains("connections"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn custody_that_cannot_be_read_is_a_gap_where_gaps_are_accepted() {
    let mut world = World::new();
    everything(&world).await;
    world.by_hand(|hand| {
        hand.issue("somebody's", None);
    });
    world.sealed = true;
    let core = world.run().await;
    let said = core.read_data("nhi_integrations", json!({})).await.unwrap_err().to_string();
    assert!(said.contains("it is sealed"), "{said}");
    let found = all(&world.run().await, json!({ "allow_incomplete": true })).await;
    assert_eq!(found["complete"], false);
    assert_eq!(found["gaps"][0]["what"], "credentials of invoice-sync");
    assert_eq!(found["gaps"][0]["why"], "it is sealed");
    assert_eq!(found["integrations"][0]["credentials"], Value::Null);
    assert_eq!(found["integrations"][0]["scopes"], json!(["secret/data/new/*:read"]));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_known_yet_is_waited_for_and_never_skipped() {
    let mut world = World::new();
    world.unknown = true;
    let mut core = world.run().await;
    for block in [json!({}), json!({ "allow_incomplete": true })] {
        let said = core.read_data("nhi_integrations", block.clone()).await.unwrap_err();
        assert!(said.to_string().contains("E-NOT-YET-KNOWN"), "{said}");
        core.capabilities.deferral_allowed = true;
        let waits = core.read_data("nhi_integrations", block).await.unwrap_err();
        assert!(matches!(waits, Refusal::Deferred(_)), "{waits}");
        core.capabilities.deferral_allowed = false;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hand_on_the_switch_does_not_end_a_quarantine() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    world.edit_record(|record| record.quarantined = Some("INC-7, by ana".into())).await;
    world.by_hand(|hand| hand.enable(false));
    let core = world.run().await;
    let (quiet, told) = core.observe(&made).await.unwrap();
    let quiet = quiet.unwrap();
    assert_eq!(quiet.json()["state"], "quarantined");
    assert!(told.iter().any(|one| one.detail.contains("INC-7")));
    assert_eq!(core.plan(&quiet, integration()).await.unwrap().action, Action::Nothing);
    world.by_hand(|hand| hand.enable(true));
    let core = world.run().await;
    let (broken, told) = core.observe(&quiet).await.unwrap();
    assert!(told.iter().any(|one| one.detail.contains("switched it on")));
    let plan = core.plan(&broken.unwrap(), integration()).await.unwrap();
    assert_eq!(*plan.planned("state"), "quarantined".into());
    let again = core.apply(plan).await.unwrap().unwrap();
    assert!(!world.shown().await.enabled);
    let (again, _) = core.observe(&again).await.unwrap();
    let again = again.unwrap();
    assert_eq!(again.json()["state"], "quarantined");
    assert_eq!(core.plan(&again, integration()).await.unwrap().action, Action::Nothing);
}
