//! Parts of an object that its platform would not show: an error, never less than there is.

use domain::{Gap, GapExtent};
use serde_json::{Value, json};

use crate::world::{World, credential, integration, monthly, scope};

#[tokio::test(start_paused = true)]
async fn nothing_is_planned_for_an_object_of_which_a_part_cannot_be_read() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let scopes = scope(&made, json!(["secret/data/new/*:read"]), Value::Null);
    let scoped = core.create("nhi_scope", scopes).await.unwrap();
    let keyed = core.create("nhi_credential", credential(&made, monthly())).await.unwrap();
    for (facet, states) in
        [("credentials", vec![&made, &keyed]), ("enabled", vec![&made]), ("scopes", vec![&scoped])]
    {
        world.fake.set_gaps(vec![Gap {
            extent: GapExtent::Facet("invoice-sync".into(), facet),
            cause: "status 403".into(),
        }]);
        let core = world.run().await;
        for state in states {
            let refused = core.observe(state).await.expect_err("it cannot be read").to_string();
            assert!(refused.contains("E-UNREADABLE"), "{facet}: {refused}");
            assert!(refused.contains(&format!("{facet}: status 403")), "{refused}");
            assert!(refused.contains("Next: nhi doctor bao"), "{refused}");
        }
    }
}
