//! Objects of other providers that a `moved` block brings here.

use connector::fake::APP;
use domain::Setting;
use serde_json::{Value, json};
use tfplugin::mini_core::{Action, MiniCore, Refusal, State};

use crate::world::{World, credential, integration, with};

const VAULT: &str = "registry.terraform.io/hashicorp/vault";
const SECRET: &str = "0e2f1a3c-plain-in-the-other-s-state";

fn role(backend: Value, role_id: &str) -> Value {
    json!({
        "id": "auth/approle/role/invoice-sync",
        "backend": backend,
        "role_name": "invoice-sync",
        "role_id": role_id,
        "token_ttl": 3600,
        "token_policies": ["default"],
    })
}

async fn moved(
    core: &MiniCore,
    target: &str,
    source: &str,
    state: Value,
) -> Result<State, Refusal> {
    core.take_over(target, VAULT, source, 0, state).await
}

/// A move, the Read that every run begins with, and an apply that settles it.
async fn settled(core: &MiniCore, state: State, config: Value) -> State {
    let found = core.refresh(&state).await.unwrap().unwrap();
    assert!(found.identity.is_some(), "the identity is there as soon as the place is known");
    let plan = core.plan(&found, config.clone()).await.unwrap();
    assert!(plan.replace.is_empty());
    assert_eq!(plan.action, Action::Update);
    let state = core.apply(plan).await.unwrap().unwrap();
    let (again, _) = core.observe(&state).await.unwrap();
    let again = again.unwrap();
    assert_eq!(core.plan(&again, config).await.unwrap().action, Action::Nothing);
    again
}

#[tokio::test(start_paused = true)]
async fn a_role_of_the_vault_provider_becomes_an_integration() {
    let world = World::new();
    world.fake.create_by_hand(APP, "invoice-sync");
    let vendor_id = world.shown().await.vendor_id;
    let core = world.run().await;
    let state = role(json!("approle"), &vendor_id);
    let taken = moved(&core, "nhi_integration", "vault_approle_auth_backend_role", state).await;
    let taken = taken.unwrap();
    assert!(taken.identity.is_none(), "nobody knows yet where it is");
    let made = settled(&core, taken, integration()).await;
    assert_eq!(made.json()["id"], "bao/openbao_approle/invoice-sync");
    assert_eq!(made.json()["vendor_id"], vendor_id);
}

#[tokio::test(start_paused = true)]
async fn a_role_on_another_mount_keeps_it() {
    let world = World::new();
    world.fake.create_by_hand(APP, "teams/billing:invoice-sync");
    world.fake.by_hand(APP, "teams/billing:invoice-sync", |hand| {
        hand.set("mount", Setting::Text("teams/billing".into()));
    });
    let core = world.run().await;
    let state = with(role(json!("/teams/billing/"), ""), json!({ "role_id": null }));
    let taken = moved(&core, "nhi_integration", "vault_approle_auth_backend_role", state).await;
    let config = with(integration(), json!({ "openbao_approle": { "mount": "teams/billing" } }));
    let made = settled(&core, taken.unwrap(), config).await;
    assert_eq!(made.json()["id"], "bao/openbao_approle/teams%2Fbilling:invoice-sync");
    assert_eq!(made.json()["name"], "invoice-sync");
}

#[tokio::test(start_paused = true)]
async fn a_role_that_no_connection_has_is_not_called_gone() {
    let world = World::new();
    let core = world.run().await;
    let state = role(json!("approle"), "another-incarnation");
    let taken = moved(&core, "nhi_integration", "vault_approle_auth_backend_role", state).await;
    let said = core.refresh(&taken.unwrap()).await.unwrap_err().to_string();
    assert!(said.contains("E-MOVED"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_secret_id_of_the_vault_provider_becomes_a_slot_without_its_secret() {
    let world = World::new();
    world.fake.create_by_hand(APP, "invoice-sync");
    let mut accessor = String::new();
    world.by_hand(|hand| accessor = hand.issue(SECRET, None));
    let core = world.run().await;
    let made = core.import("nhi_integration", "bao/openbao_approle/invoice-sync").await.unwrap();
    let made = core.update(&made, integration()).await.unwrap();
    let state = json!({
        "id": format!("backend=approle::role=invoice-sync::accessor={accessor}"),
        "backend": "approle",
        "role_name": "invoice-sync",
        "accessor": accessor,
        "secret_id": SECRET,
        "wrapping_token": null,
    });
    let source = "vault_approle_auth_backend_role_secret_id";
    let taken = moved(&core, "nhi_credential", source, state.clone()).await.unwrap();
    assert!(!taken.json().to_string().contains(SECRET));
    assert_eq!(taken.json()["secret_held"], false);
    assert!(taken.identity.is_none());
    let config = with(
        credential(&made, Value::Null),
        json!({ "deliver_to": null,
        "secret_source": "the runbook of the night shift" }),
    );
    let key = settled(&core, taken, config.clone()).await;
    assert_eq!(key.json()["id"], "bao/openbao_approle/invoice-sync/credential/default");
    assert_eq!(key.json()["key_id"], accessor);
    assert_eq!(key.json()["status"], "unheld");
    // It is in the books from then on: nobody's no more.
    let (seen, _) = world.run().await.observe(&made).await.unwrap();
    assert_eq!(seen.unwrap().json()["unmanaged_credentials"], json!([]));
    let nameless = with(state, json!({ "accessor": null }));
    let said = moved(&core, "nhi_credential", source, nameless).await.unwrap_err().to_string();
    assert!(said.contains("no accessor"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_in_time_becomes_a_schedule() {
    let world = World::new();
    let core = world.run().await;
    let rotating = |more: Value| {
        let nothing = json!({ "id": "2026-11-01T00:00:00Z", "rfc3339": "2026-11-01T00:00:00Z",
            "rotation_days": null, "rotation_hours": null, "rotation_minutes": null,
            "rotation_months": null, "rotation_years": null, "triggers": null });
        with(nothing, more)
    };
    let provider = "registry.opentofu.org/hashicorp/time";
    let target = "nhi_rotation_schedule";
    let taken = core
        .take_over(target, provider, "time_rotating", 0, rotating(json!({ "rotation_days": 30 })))
        .await
        .unwrap();
    let config = json!({ "name": "monthly", "every": "30d", "anchor": "2026-11-01T00:00:00Z" });
    let plan = core.plan(&taken, config.clone()).await.unwrap();
    assert!(plan.replace.is_empty());
    assert_eq!(plan.action, Action::Update);
    let made = core.update(&taken, config).await.unwrap();
    assert_eq!(made.json()["id"], "schedule/monthly");
    let months = rotating(json!({ "rotation_months": 1 }));
    let said = core.take_over(target, provider, "time_rotating", 0, months).await;
    assert!(said.unwrap_err().to_string().contains("no interval"));
    let other = rotating(json!({ "rotation_days": 30 }));
    let said = core.take_over(target, provider, "time_offset", 0, other).await;
    assert!(said.unwrap_err().to_string().contains("cannot become"));
}

#[tokio::test(start_paused = true)]
async fn the_first_apply_after_a_taking_in_ends_nothing_that_nobody_declared_yet() {
    let world = World::new();
    world.fake.create_by_hand(APP, "invoice-sync");
    let mut accessor = String::new();
    world.by_hand(|hand| accessor = hand.issue(SECRET, None));
    let core = world.run().await;
    let strict = with(integration(), json!({ "revoke_unmanaged": true }));
    let role = role(json!("approle"), &world.shown().await.vendor_id);
    let moved = moved(&core, "nhi_integration", "vault_approle_auth_backend_role", role).await;
    let imported = core.import("nhi_integration", "bao/openbao_approle/invoice-sync").await;
    let lives = async || world.shown().await.credentials.unwrap().iter().any(|one| one.live);
    let mut last = None;
    for taken in [moved.unwrap(), imported.unwrap()] {
        let found = core.refresh(&taken).await.unwrap().unwrap();
        let plan = core.plan(&found, strict.clone()).await.unwrap();
        let told = format!("{:?}", plan.diagnostics);
        assert!(told.contains("Nothing is revoked by the first apply"), "{told}");
        let made = core.apply(plan).await.unwrap().unwrap();
        assert_eq!(made.json()["unmanaged_credentials"], json!([accessor]));
        assert!(lives().await, "a sibling may be about to take it over");
        last = Some(made);
    }
    // What is nobody's after that is ended, as it is declared.
    let found = core.refresh(&last.unwrap()).await.unwrap().unwrap();
    let made = core.update(&found, strict).await.unwrap();
    assert_eq!(made.json()["unmanaged_credentials"], json!([]));
    assert!(!lives().await);
}

#[tokio::test(start_paused = true)]
async fn an_interval_beyond_all_time_is_no_interval() {
    let core = World::new().run().await;
    let state = json!({ "id": "x", "rfc3339": "2026-11-01T00:00:00Z",
        "rotation_days": u64::MAX / 2, "rotation_hours": 1, "rotation_minutes": null });
    let provider = "registry.terraform.io/hashicorp/time";
    let said = core.take_over("nhi_rotation_schedule", provider, "time_rotating", 0, state).await;
    assert!(said.unwrap_err().to_string().contains("E-MOVED"));
}
