//! What a look tells, as HCL sees it.

use domain::{Gap, GapExtent};
use serde_json::{Value, json};

use crate::world::{World, credential, integration, monthly, scope};

async fn everything(world: &World) {
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let scopes = scope(&made, json!(["secret/data/new/*:read"]), Value::Null);
    core.create("nhi_scope", scopes).await.unwrap();
    core.create("nhi_credential", credential(&made, monthly())).await.unwrap();
}

async fn found(world: &World, block: Value) -> Value {
    world.run().await.read_data("nhi_findings", block).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_somebody_does_by_hand_is_found_with_its_rule_and_gone_when_it_is_put_right() {
    let world = World::new();
    everything(&world).await;
    let clean = found(&world, json!({})).await;
    assert_eq!((&clean["findings"], &clean["complete"]), (&json!([]), &json!(true)), "{clean}");
    world.by_hand(|hand| hand.enable(false));
    let told = found(&world, json!({ "severity_at_least": "high" })).await;
    let one = &told["findings"][0];
    assert_eq!((&one["rule"], &one["condition"]), (&json!("switch-changed"), &json!("drift")));
    assert_eq!(one["subject"], "bao/openbao_approle/invoice-sync");
    assert_eq!(told["counts"], json!({ "switch-changed": 1 }));
    assert_eq!(one["fingerprint"].as_str().unwrap().len(), 32, "{one}");
    world.by_hand(|hand| hand.enable(true));
    assert_eq!(found(&world, json!({})).await["findings"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_is_counted_where_there_is_none_and_what_is_no_rule_is_refused() {
    let world = World::new();
    everything(&world).await;
    world.by_hand(|hand| {
        hand.issue("somebody's", None);
    });
    let asked = json!({ "rules": ["credential-unmanaged", "dormant"] });
    let told = found(&world, asked.clone()).await;
    assert_eq!(told["counts"], json!({ "credential-unmanaged": 1, "dormant": 0 }));
    for (id, expected) in [("bao/openbao_approle/invoice-sync", 1), ("bao/openbao_approle/inv", 0)]
    {
        let told = found(&world, json!({ "of": id })).await;
        assert_eq!(told["findings"].as_array().unwrap().len(), expected, "{told}");
    }
    let core = world.run().await;
    let over = core.read_data("nhi_findings", json!({ "limit": 0 })).await.unwrap_err();
    assert!(over.to_string().contains("E-LIMIT"), "{over}");
    let none = core.read_data("nhi_findings", json!({ "rules": ["doormat"] })).await.unwrap_err();
    assert!(none.to_string().contains("nhi explain"), "{none}");
}

#[tokio::test(start_paused = true)]
async fn half_a_look_is_an_error_unless_it_is_asked_for() {
    let world = World::new();
    everything(&world).await;
    world.fake.set_gaps(vec![Gap {
        extent: GapExtent::Facet("invoice-sync".into(), "credentials"),
        cause: "status 403".into(),
    }]);
    let core = world.run().await;
    let said = core.read_data("nhi_findings", json!({})).await.unwrap_err().to_string();
    assert!(said.contains("E-INCOMPLETE") && said.contains("403"), "{said}");
    let told = found(&world, json!({ "allow_incomplete": true })).await;
    assert_eq!(told["complete"], false);
    let gaps = told["gaps"].as_array().unwrap();
    let of = |id: &str| gaps.iter().any(|gap| gap["subject"] == id);
    // The object, and the listing that something nobody heard of would be in.
    assert!(of("bao/openbao_approle/invoice-sync") && of("bao"), "{told}");
}
