//! Whole lives of the sample's notes, through the small core.

use serde_json::json;
use tfplugin::erased::Deferred;
use tfplugin::mini_core::{Action, MiniCore, Refusal, unknown};
use tfplugin::{Path, Value};

use crate::program::{World, example, in_hand, until};

#[tokio::test]
async fn a_note_is_made_changed_in_place_replaced_and_deleted() {
    let world = World::new();
    let core = world.core().await;
    let note = core
        .create(
            "sample_note",
            json!({
                "name": "one", "text": "hello", "amount": 12345678901234567890123.25,
                "tags": ["b", "a", "a"], "labels": {"k": "v"},
                "parts": [{"text": "first"}, {"text": "second", "weight": 7}],
            }),
        )
        .await
        .unwrap();
    assert_eq!(note.json()["id"], "note/one");
    assert_eq!(note.json()["size"], 5);
    assert_eq!(note.json()["tags"], json!(["a", "b"]));
    assert_eq!(note.json()["parts"][0]["weight"], 1);
    assert_eq!(note.private, b"made by the sample");
    assert_eq!(note.identity.as_ref().unwrap().as_object().unwrap()["name"], Value::string("one"));

    let plan = core.plan(&note, json!({"name": "one", "text": "bye"})).await.unwrap();
    assert_eq!(plan.action, Action::Update);
    assert!(plan.planned("size").is_unknown() && !plan.planned("id").is_unknown());
    let note = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(note.json()["size"], 3);

    let plan = core.plan(&note, json!({"name": "two", "text": "bye"})).await.unwrap();
    assert_eq!(plan.action, Action::Replace);
    assert_eq!(plan.replace, [Path::attribute("name")]);
    let note = core.apply(plan).await.unwrap().unwrap();
    assert!(world.has("two") && !world.has("one"));

    core.destroy(note).await.unwrap();
    assert!(!world.has("two"));
    core.shutdown().await.unwrap();
}

#[tokio::test]
async fn every_kind_of_attribute_lives_and_a_plan_in_between_is_quiet() {
    let core = MiniCore::launch(example("corner"), &[]).await.unwrap();
    core.configure(json!({})).await.unwrap();
    let number: serde_json::Value = serde_json::from_str("12345678901234567890123.25").unwrap();
    let big: serde_json::Value = serde_json::from_str("9223372036854775808").unwrap();
    let dynamic = json!({
        "type": ["object", {"a": ["tuple", ["number", "string"]], "c": "number"}],
        "value": {"a": [0.1, "x"], "c": big},
    });
    let config = |name: &str, integer: i64| {
        json!({
            "name": name, "integer": integer, "number": number, "anything": dynamic,
            "table": [["a", "b"], []], "one": {"name": "p"},
            "listed": [{"name": "a"}, {"name": "b", "mode": "odd", "words": ["y", "x"]}],
            "distinct": [{"name": "d"}, {"name": "e", "words": ["z"]}],
            "keyed": {"k": {"name": "k-k"}}, "secret": "hush",
        })
    };
    // Each of these ends with a run that finds nothing to do.
    let thing = core.create("corner_thing", config("one", 1)).await.unwrap();
    assert_eq!(thing.json()["number"], number);
    assert_eq!(thing.json()["anything"], dynamic);
    assert_eq!(thing.json()["keyed"]["k"]["serial"], 3);
    let thing = core.update(&thing, config("one", 2)).await.unwrap();
    assert_eq!(thing.json()["generation"], 2);

    let plan = core.plan(&thing, config("two", 2)).await.unwrap();
    assert_eq!(plan.action, Action::Replace);
    let thing = core.update(&thing, config("two", 2)).await.unwrap();
    assert_eq!(thing.json()["id"], "corner/two");

    let imported = core.import("corner_thing", "two").await.unwrap();
    let plan = core.plan(&imported, config("two", 2)).await.unwrap();
    assert_eq!(plan.action, Action::Update, "{:?}", plan.replace);
    let thing = core.update(&imported, config("two", 2)).await.unwrap();
    core.destroy(thing).await.unwrap();
}

#[tokio::test]
async fn what_is_changed_behind_the_core_s_back_is_seen_and_put_right() {
    let world = World::new();
    let core = world.core().await;
    let config = json!({"name": "one", "text": "ours"});
    let note = core.create("sample_note", config.clone()).await.unwrap();

    world.write("one", "theirs");
    let drifted = core.refresh(&note).await.unwrap().unwrap();
    assert_eq!(drifted.json()["text"], "theirs");
    let note = core.update(&drifted, config.clone()).await.unwrap();
    assert_eq!(note.json()["text"], "ours");

    world.remove("one");
    assert_eq!(core.refresh(&note).await.unwrap(), None);
}

#[tokio::test]
async fn a_value_that_apply_brings_may_be_unknown_at_plan() {
    let world = World::new();
    let core = world.core().await;
    let plan =
        core.plan_create("sample_note", json!({"name": "one", "text": unknown()})).await.unwrap();
    assert!(plan.planned("text").is_unknown());
    let refused = core.apply(plan.clone()).await.unwrap_err();
    assert!(matches!(refused, Refusal::Config(_)), "{refused}");
    let note = core.apply_with(plan, json!({"name": "one", "text": "late"})).await.unwrap();
    assert_eq!(note.unwrap().json()["text"], "late");
}

#[tokio::test]
async fn a_write_only_secret_is_used_and_is_nowhere_after() {
    let world = World::new();
    let core = world.core_with(&[("TF_LOG_PROVIDER", "trace")]).await;
    let config = json!({"name": "one", "secret": "correct horse"});
    let note = core.create("sample_note", config).await.unwrap();
    assert_eq!(note.json()["secret"], json!(null));
    assert_eq!(note.json()["secret_length"], 13);
    let log = core.log().join("\n");
    assert!(log.contains("a secret came along") && !log.contains("correct horse"), "{log}");
    // The whole configuration was logged.
    assert!(log.contains("secret: Value(Secret(…))"), "{log}");
}

#[tokio::test]
async fn an_existing_note_is_imported_by_id_and_by_identity() {
    let world = World::new();
    let core = world.core().await;
    world.write("old", "there already");
    let by_id = core.import("sample_note", "note/old").await.unwrap();
    let by_identity = core.import_identity("sample_note", json!({"name": "old"})).await.unwrap();
    assert_eq!(by_id.value, by_identity.value);
    let plan = core.plan(&by_id, json!({"name": "old", "text": "there already"})).await.unwrap();
    assert_eq!(plan.action, Action::Nothing);

    let refused = core.import("sample_note", "note/none").await.unwrap_err();
    assert!(refused.to_string().contains("No such note"), "{refused}");
}

#[tokio::test]
async fn state_of_an_older_version_and_of_another_type_is_taken_over() {
    let world = World::new();
    let core = world.core().await;
    let old = json!({"title": "aged", "text": "wine", "color": "red"});
    let note = core.adopt("sample_note", 0, old).await.unwrap();
    assert_eq!(note.json()["name"], "aged");
    let refused = core.adopt("sample_note", 0, json!({"text": "wine"})).await.unwrap_err();
    assert!(refused.to_string().contains("No title"), "{refused}");

    let source = json!({"id": "x", "input": {"value": "taken", "type": "string"}});
    let from = "registry.terraform.io/builtin/terraform";
    let note =
        core.take_over("sample_note", from, "terraform_data", 0, source.clone()).await.unwrap();
    assert_eq!(note.json()["name"], "taken");
    let refused =
        core.take_over("sample_note", from, "null_resource", 0, source).await.unwrap_err();
    assert!(refused.diagnostics().is_some(), "{refused}");

    // A typed source: what is named of it, whatever else it has, from any registry.
    let move_old =
        async |from: &str, state| core.take_over("sample_note", from, "old_note", 3, state).await;
    let source = json!({"title": "taken", "pages": 7});
    let note = move_old("registry.opentofu.org/acme/old", source.clone()).await.unwrap();
    assert_eq!(note.json()["id"], "note/taken");
    let refused = move_old("registry.terraform.io/badacme/old", source).await.unwrap_err();
    assert!(refused.to_string().contains("Move not supported"), "{refused}");
    let source = json!({"title": ["no", "name"]});
    let refused = move_old("registry.terraform.io/acme/old", source).await.unwrap_err();
    assert!(refused.to_string().contains("title"), "{refused}");
}

#[tokio::test]
async fn a_stop_cuts_work_short_and_what_exists_is_kept_tainted_and_replaced() {
    let world = World::new();
    let core = world.talking_core().await;
    let config = json!({"name": "slow", "seconds": 3600});
    let plan = core.plan_create("sample_note", config.clone()).await.unwrap();
    let (refused, stopped) = tokio::join!(core.apply(plan), async {
        until("the note is being written", || in_hand(&core) == 1).await;
        core.stop().await
    });
    stopped.unwrap();
    let Err(Refusal::Failed { state: Some(kept), diagnostics }) = refused else {
        panic!("{refused:?}");
    };
    assert!(kept.tainted && diagnostics.to_string().contains("Stopped"), "{diagnostics}");
    let plan = core.plan(&kept, json!({"name": "slow"})).await.unwrap();
    assert_eq!(plan.action, Action::Replace);
    let note = core.apply(plan).await.unwrap().unwrap();
    assert!(!note.tainted && world.has("slow"));
}

#[tokio::test]
async fn errors_point_at_attributes_and_nothing_is_planned() {
    let world = World::new();
    let core = world.core().await;
    let wrong = json!({"name": "one", "text": "nonsense"});
    let told = core.validate("sample_note", wrong.clone()).await.unwrap();
    let error = told.iter().next().unwrap();
    assert_eq!(error.path, Some(Path::attribute("text")));
    let refused = core.plan_create("sample_note", wrong).await.unwrap_err();
    assert!(matches!(refused, Refusal::Provider(_)), "{refused}");
    let told = core.validate("sample_note", json!({"name": "no/slash"})).await.unwrap();
    assert!(told.has_errors());
}

#[tokio::test]
async fn the_provider_may_refuse_a_destroy_at_plan() {
    let world = World::new();
    let core = world.core().await;
    let note = core.create("sample_note", json!({"name": "one", "text": "keep"})).await.unwrap();
    let refused = core.destroy(note).await.unwrap_err();
    assert!(refused.to_string().contains("Note is kept"), "{refused}");
    assert!(world.has("one"));
}

#[tokio::test]
async fn a_core_that_knows_no_write_only_attributes_is_refused_before_a_secret_is_stored() {
    let world = World::new();
    let mut core = world.core().await;
    core.capabilities.write_only_attributes_allowed = false;
    let told = core.validate("sample_note", json!({"name": "a", "secret": "s"})).await.unwrap();
    assert!(told.has_errors(), "{told}");
    let told = core.validate("sample_note", json!({"name": "a"})).await.unwrap();
    assert!(!told.has_errors(), "{told}");
}

#[tokio::test]
async fn twenty_megabytes_travel_both_ways() {
    let world = World::new();
    let core = world.core().await;
    let text = "x".repeat(20 << 20);
    let plan = core
        .plan_create("sample_note", json!({"name": "big", "text": text.clone()}))
        .await
        .unwrap();
    let note = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(note.json()["size"], text.len());
}

/// The sample provider with a folder that only apply will bring, and a note from before.
async fn unknown_folder(world: &World, deferral: bool) -> (MiniCore, tfplugin::mini_core::State) {
    let note = world.core().await.create("sample_note", json!({"name": "old"})).await.unwrap();
    let mut core = MiniCore::launch(example("sample"), &[]).await.unwrap();
    core.capabilities.deferral_allowed = deferral;
    core.configure(json!({ "folder": unknown() })).await.unwrap();
    (core, note)
}

#[tokio::test]
async fn what_hangs_on_an_unknown_provider_configuration_waits_where_the_core_allows_it() {
    let world = World::new();
    let (core, note) = unknown_folder(&world, true).await;
    for answer in [
        core.plan_create("sample_note", json!({"name": "new"})).await.map(drop),
        core.refresh(&note).await.map(drop),
        core.import("sample_note", "note/old").await.map(drop),
        core.read_data("sample_notes", json!({})).await.map(drop),
    ] {
        let refused = answer.unwrap_err();
        assert!(
            matches!(refused, Refusal::Deferred(Deferred::ProviderConfigUnknown)),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn what_hangs_on_an_unknown_provider_configuration_is_an_error_elsewhere() {
    let world = World::new();
    let (core, note) = unknown_folder(&world, false).await;
    // A plan needs no folder; what would look into it says what is missing.
    core.plan_create("sample_note", json!({"name": "new"})).await.unwrap();
    for answer in [
        core.refresh(&note).await.map(drop),
        core.import("sample_note", "note/old").await.map(drop),
        core.read_data("sample_notes", json!({})).await.map(drop),
    ] {
        let refused = answer.unwrap_err();
        assert!(refused.to_string().contains("Folder not known yet"), "{refused}");
    }
}
