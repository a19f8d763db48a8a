//! The states that every landed version left behind: each is read, compared with what is there, and
//! planned to nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tfplugin::mini_core::{Action, MiniCore, State};

use crate::world::{World, credential, integration, monthly, scope};

/// The resources, each made from the ones before it.
const KINDS: [&str; 5] =
    ["nhi_owner", "nhi_rotation_schedule", "nhi_integration", "nhi_scope", "nhi_credential"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The configuration of one kind, given the integration as it stands in state.
fn config(kind: &str, made: &[State]) -> Value {
    match kind {
        "nhi_owner" => json!({ "name": "payments", "email": "p@acme.example", "kind": "team" }),
        "nhi_rotation_schedule" => monthly(),
        "nhi_integration" => integration(),
        "nhi_scope" => scope(&made[2], json!(["a:read", "b:write"]), Value::Null),
        _ => credential(&made[2], monthly()),
    }
}

async fn all_made(core: &MiniCore) -> Vec<State> {
    let mut made = Vec::new();
    for kind in KINDS {
        made.push(core.create(kind, config(kind, &made)).await.unwrap());
    }
    made
}

/// What names a vendor's object is chosen by the platform, and by this test's platform from a
/// counter, and a secret with it: the old state is read as if it had met those of today.
fn with_todays_ids(old: &Value, names: &mut Vec<(String, String)>, today: &Value) -> Value {
    for member in ["vendor_id", "key_id", "fingerprint"] {
        if let (Some(old), Some(today)) = (old[member].as_str(), today[member].as_str()) {
            names.push((format!("{old:?}"), format!("{today:?}")));
        }
    }
    let text = names.iter().fold(old.to_string(), |text, (old, new)| text.replace(old, new));
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_state_of_every_landed_version_is_read_and_its_plan_is_empty() {
    let world = World::new();
    let core = world.run().await;
    let made = all_made(&core).await;
    if let Some(version) = std::env::var_os("NHI_LEAVE_GOLDEN") {
        let folder = folder().join(version);
        fs::create_dir_all(&folder).unwrap();
        for (kind, state) in KINDS.iter().zip(&made) {
            let kept = json!({ "schema_version": core.schema(kind).unwrap().version, "attributes": state.json() });
            let text = format!("{}\n", serde_json::to_string_pretty(&kept).unwrap());
            fs::write(folder.join(format!("{kind}.json")), text).unwrap();
        }
    }
    let mut versions = 0;
    for version in fs::read_dir(folder()).unwrap() {
        let version = version.unwrap().path();
        let mut names = Vec::new();
        for (index, kind) in KINDS.into_iter().enumerate() {
            let text = fs::read_to_string(version.join(format!("{kind}.json"))).unwrap();
            let old: Value = serde_json::from_str(&text).unwrap();
            let attributes = with_todays_ids(&old["attributes"], &mut names, &made[index].json());
            let schema_version = old["schema_version"].as_i64().unwrap();
            let state = core.adopt(kind, schema_version, attributes).await.unwrap();
            let (seen, warnings) = core.observe(&state).await.unwrap();
            let seen = seen.unwrap_or_else(|| panic!("{kind} of {} is gone", version.display()));
            let plan = core.plan(&seen, config(kind, &made)).await.unwrap();
            assert_eq!(plan.action, Action::Nothing, "{kind}: {:?} {warnings:?}", plan.planned);
        }
        versions += 1;
    }
    assert!(versions > 0, "there is at least one");
}
