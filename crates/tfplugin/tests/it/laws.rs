//! For each law a resource that breaks it and nothing else is refused, and told by its name.

use serde_json::json;
use tfplugin::laws::Law;
use tfplugin::mini_core::{MiniCore, Refusal};

use crate::program::example;

/// `PlanKeepsConfig` is broken by `wrong_plan_keeps_config`.
pub(crate) fn type_name(law: Law) -> String {
    let mut name = "wrong".to_owned();
    for letter in law.to_string().chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// A life that comes by every law.
async fn live(core: &MiniCore, type_name: &str) -> Result<(), Refusal> {
    core.read_data("wrong_names", json!({})).await.ok();
    core.import(type_name, "imported").await?;
    let config = |note: Option<&str>| {
        json!({
            "name": "one", "note": note, "secret": "hush",
            "parts": [{"text": "first"}, {"text": "second"}],
        })
    };
    let thing = core.create(type_name, config(None)).await?;
    let thing = core.update(&thing, config(Some("more"))).await?;
    core.destroy(thing).await
}

#[tokio::test]
async fn a_resource_that_breaks_a_law_is_refused_by_that_law() {
    let core = MiniCore::launch(example("wrong"), &[]).await.unwrap();
    core.configure(json!({})).await.unwrap();
    live(&core, "wrong_thing").await.unwrap();
    for law in Law::ALL {
        let refused = match law {
            Law::AnswerKeepsConfig => {
                core.read_data("wrong_names", json!({"prefix": "a"})).await.map(drop)
            }
            _ => live(&core, &type_name(law)).await,
        };
        match (law, refused) {
            // The SDK does not even put these two on the wire.
            (Law::FitsSchema, Err(Refusal::Provider(told))) => {
                assert!(told.to_string().contains("note"), "{told}");
            }
            (Law::ImportFinds, Err(Refusal::Provider(told))) => {
                assert!(told.to_string().contains("Nothing imported"), "{told}");
            }
            (law, Err(refused)) => assert_eq!(refused.law(), Some(law), "{law}: {refused}"),
            (law, Ok(())) => panic!("{law} was broken and nobody saw"),
        }
    }
}
