//! For each law, in each answer that can break it, a part that does so and nothing else is refused,
//! and told by the law's name.

use serde_json::json;
use tfplugin::laws::Law;
use tfplugin::mini_core::{MiniCore, Refusal};

use crate::program::example;

#[path = "../../examples/wrong/breaches.rs"]
pub(crate) mod breaches;

use breaches::{BREACHES, Breach, Phase, Place};

/// A life that comes by every law.
async fn live(core: &MiniCore, type_name: &str) -> Result<(), Refusal> {
    core.import(type_name, "imported").await?;
    core.import_identity(type_name, json!({"name": "imported"})).await?;
    let config = |note: Option<&str>| {
        json!({
            "name": "one", "note": note, "secret": "hush",
            "parts": [{"text": "first", "secret": "hush"}, {"text": "second"}],
            "marks": [{"word": "a"}, {"word": "b"}],
            "by_key": {"k": {"text": "kept"}}, "one": {"text": "single"},
        })
    };
    let thing = core.create(type_name, config(None)).await?;
    let thing = core.update(&thing, config(Some("more"))).await?;
    core.destroy(thing).await
}

async fn commit(core: &MiniCore, breach: &Breach) -> Result<(), Refusal> {
    let name = breach.type_name();
    match breach.place {
        Place::Data => core.read_data(&name, json!({"prefix": "a"})).await.map(drop),
        Place::Open | Place::OpenUnasked => {
            core.open(&name, json!({"prefix": "a"})).await.map(drop)
        }
        _ => live(core, &name).await,
    }
}

#[tokio::test]
async fn a_part_that_breaks_a_law_is_refused_by_that_law_wherever_it_does() {
    let core = MiniCore::launch(example("wrong"), &[]).await.unwrap();
    core.configure(json!({})).await.unwrap();
    live(&core, "wrong_thing").await.unwrap();
    for breach in BREACHES {
        match commit(&core, breach).await {
            Err(refused) => assert_eq!(refused.law(), Some(breach.law), "{breach:?}: {refused}"),
            Ok(()) => panic!("{breach:?}, and nobody saw"),
        }
    }
}

#[test]
fn every_law_is_tried_and_what_no_core_refuses_is_marked_as_ours() {
    for law in Law::ALL {
        let tried: Vec<&Breach> = BREACHES.iter().filter(|breach| breach.law == law).collect();
        assert!(!tried.is_empty(), "{law}");
        let refused = tried.iter().any(|breach| breach.core);
        assert_eq!(refused, law.enforced_by_core(), "{law}");
    }
    let mut names: Vec<String> = BREACHES.iter().map(Breach::type_name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), BREACHES.len());
    // Each is met where a core can meet it.
    assert!(BREACHES.iter().any(|breach| breach.phase() == Phase::Delete));
}
