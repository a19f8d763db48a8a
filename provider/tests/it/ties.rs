//! What an integration has to do with besides its platform: refused where it contradicts itself, kept in
//! state alone, and looked at by each plan.

use connector::fake::{Fault, Verb};
use domain::Ties;
use ledger::Selection;
use serde_json::{Value, json};
use tfplugin::mini_core::{Action, unknown};

use crate::world::{World, integration, with};

const ID: &str = "bao/openbao_approle/invoice-sync";

fn whole() -> Value {
    json!({
        "execution_mode": "agent",
        "offboarding_owner": { "id": "owner/desk", "email": null, "status": null },
        "expires_when": ["contract_ended", "owner_left"],
        "workflows": { "nightly": { "id": null, "version": "2", "reviewed_version": "1", "invokers": ["owner/ann"] } },
        "runs_on": { "id": "none/third_party/etl", "environment": "production",
            "third_party": { "contract_ends_on": "2099-12-31" } },
        "reaches": { "crm": { "category": "crm", "direction": "both", "data": "personal",
            "domain": "sales", "environment": null, "integration": null } },
        "tools": ["mail"],
        "stop_within": "5m",
        "replaces": null,
        "shared_with": ["owner/data"],
    })
}

#[tokio::test(start_paused = true)]
async fn it_stands_in_state_and_in_the_ledger_and_import_knows_nothing_of_it() {
    let world = World::new();
    let core = world.run().await;
    let config = with(integration(), whole());
    let made = core.create("nhi_integration", config.clone()).await.unwrap();
    for name in domain::ties::MEMBERS {
        assert_eq!(made.json()[name], whole()[name], "{name}");
    }
    let seen = core.refresh(&made).await.unwrap().unwrap();
    let plan = core.plan(&seen, config.clone()).await.unwrap();
    assert_eq!(plan.action, Action::Nothing, "{:?}", plan.planned);
    let rows = world.ledger.integrations(&Selection::of(ID)).await.unwrap();
    let kept = rows[0].declared.as_ref().unwrap().value["ties"].clone();
    assert_eq!(Ties::from_json(&kept), Ties::from_json(&whole()));
    let bare = core.update(&seen, integration()).await.unwrap();
    assert_eq!(bare.json()["workflows"], Value::Null);
    let rows = world.ledger.integrations(&Selection::of(ID)).await.unwrap();
    let kept = &rows[0].declared.as_ref().unwrap().value;
    assert!(kept.get("ties").is_none(), "what is not declared any more is not kept: {kept}");
    let core = world.run().await;
    let taken = core.import("nhi_integration", ID).await.unwrap().json();
    for name in domain::ties::MEMBERS {
        assert_eq!(taken[name], Value::Null, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_contradicts_itself_is_refused_where_it_stands() {
    let world = World::new();
    let core = world.run().await;
    for (slip, at, why) in [
        (json!({ "execution_mode": "batch", "tools": [] }), "tools", "Only an agent"),
        (json!({ "expires_when": ["never"] }), "expires_when", "workflow_retired"),
        (json!({ "expires_when": ["contract_ended"] }), "expires_when", "runs_on"),
        (
            json!({ "expires_when": ["workflow_retired"], "workflows": { "w": {} } }),
            "expires_when",
            "none of them has an id",
        ),
        (json!({ "workflows": { "w": { "id": "nightly" } } }), "workflows", "nhi scan"),
        (json!({ "workflows": { "a b": {} } }), "workflows", "letters, digits"),
        (json!({ "workflows": { "w": { "reviewed_version": "1" } } }), "workflows", "set version"),
        (json!({ "reaches": { "crm": { "category": "crn" } } }), "category", "ticketing"),
        (json!({ "reaches": { "crm": { "direction": "in" } } }), "direction", "both"),
        (json!({ "stop_within": "soon" }), "stop_within", "duration"),
        (json!({ "replaces": ID }), "replaces", "its own place"),
        (json!({ "runs_on": { "id": ID } }), "runs_on", "run on itself"),
    ] {
        let config = with(integration(), slip.clone());
        let said = core.plan_create("nhi_integration", config).await;
        let said = said.err().unwrap_or_else(|| panic!("it was taken: {slip}")).to_string();
        assert!(said.contains(at) && said.contains(why), "{slip}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_yet_is_waited_for() {
    let world = World::new();
    let core = world.run().await;
    for dark in [
        json!({ "workflows": unknown() }),
        json!({ "workflows": { "w": { "version": unknown(), "invokers": unknown() } } }),
        json!({ "reaches": { "crm": { "integration": unknown() } } }),
        json!({ "runs_on": { "id": unknown() }, "expires_when": ["contract_ended"] }),
        json!({ "replaces": unknown(), "tools": unknown(), "shared_with": unknown() }),
    ] {
        let plan = core.plan_create("nhi_integration", with(integration(), dark.clone())).await;
        let plan = plan.unwrap_or_else(|refusal| panic!("{dark}: {refusal}"));
        assert_eq!(plan.action, Action::Create, "{dark}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_no_workflow_left_is_planned_off_and_stays_off_while_nobody_can_look() {
    let world = World::new();
    let core = world.run().await;
    let other = with(integration(), json!({ "name": "nightly-job" }));
    let job = core.create("nhi_integration", other).await.unwrap();
    let tied = json!({ "workflows": { "nightly": { "id": "bao/openbao_approle/nightly-job", "invokers": [] } } });
    let config = with(integration(), tied);
    let made = core.create("nhi_integration", config.clone()).await.unwrap();
    let seen = core.refresh(&made).await.unwrap().unwrap();
    assert_eq!(core.plan(&seen, config.clone()).await.unwrap().action, Action::Nothing);
    core.destroy(job).await.unwrap();
    let core = world.run().await;
    let (gone, told) = core.observe(&seen).await.unwrap();
    let gone = gone.unwrap();
    assert_eq!(gone.json()["standing"], json!({ "workflow_retired": "disable" }), "{told:?}");
    let off = core.update(&gone, config.clone()).await.unwrap();
    assert_eq!(off.json()["state"], "disabled");
    // Its own look is the first.
    let core = world.run().await;
    world.fake.fail(Verb::Read, [Fault::None, Fault::Refused(connector::Refusal::RateLimited)]);
    let (unseen, told) = core.observe(&off).await.unwrap();
    let unseen = unseen.unwrap();
    assert!(format!("{told:?}").contains("could not be looked at"), "{told:?}");
    assert_eq!(unseen.json()["standing"], json!({ "workflow_retired": "disable" }));
    assert_eq!(core.plan(&unseen, config.clone()).await.unwrap().action, Action::Nothing);
    // Another workflow is an answer.
    let plan = core.plan(&off, with(integration(), json!({}))).await.unwrap();
    assert_eq!(plan.planned("state").as_str(), Some("active"));
}
