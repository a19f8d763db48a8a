//! What has no state: data source, ephemeral resource, function, list, action.

use serde_json::json;
use tfplugin::mini_core::Refusal;
use tfplugin::{Type, Value};
use tfplugin_proto::tfplugin6 as wire;

use crate::program::{World, until};

#[tokio::test]
async fn a_data_source_answers_and_echoes_what_was_asked() {
    let world = World::new();
    let core = world.core().await;
    for name in ["a-1", "a-2", "b-1"] {
        world.write(name, "");
    }
    let found = core.read_data("sample_notes", json!({"prefix": "a-"})).await.unwrap();
    assert_eq!(found, json!({"prefix": "a-", "names": ["a-1", "a-2"]}));
}

#[tokio::test]
async fn close_gets_the_bytes_of_open_whatever_renew_gave() {
    let world = World::new();
    let core = world.core_with(&[("TF_LOG_PROVIDER", "trace")]).await;
    let mut key = core.open("sample_key", json!({"note": "one"})).await.unwrap();
    assert_eq!(key.value.as_object().unwrap()["key"], tfplugin::Value::string("key-to-one"));
    let first = key.renew_at.unwrap();
    core.renew(&mut key).await.unwrap();
    assert!(key.renew_at.unwrap() > first);
    core.close(key).await.unwrap();
    let log = core.log().join("\n");
    assert!(log.contains("key: Value(Secret(…))") && !log.contains("key-to-one"), "{log}");
    assert!(world.has("closed-one"));
}

#[tokio::test]
async fn a_function_takes_further_arguments_and_names_the_wrong_one() {
    let world = World::new();
    let core = world.core().await;
    let joined = core.call("join", &[json!("-"), json!("a"), json!("b")]).await.unwrap();
    assert_eq!(joined, "a-b");
    let refused = core.call("join", &[json!("-")]).await.unwrap_err();
    assert!(refused.to_string().contains("(argument 1)"), "{refused}");
}

#[tokio::test]
async fn a_list_keeps_its_limit_and_gives_objects_only_when_asked() {
    let world = World::new();
    let core = world.core().await;
    for index in 0..40 {
        world.write(&format!("n-{index:02}"), "");
    }
    let some = core.list("sample_note", json!({"prefix": "n-"}), 3, false).await.unwrap();
    assert_eq!(some.len(), 3);
    assert_eq!(some[0].display_name, "Note n-00");
    let all = core.list("sample_note", json!({}), 100, true).await.unwrap();
    assert_eq!(all.len(), 40);
    assert!(all.iter().all(|found| found.object.is_some()));
    // The abandoned stream has done no harm.
    assert_eq!(core.list("sample_note", json!({"prefix": "x"}), 9, false).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_list_that_nobody_reads_any_more_is_given_up() {
    let world = World::new();
    let core = world.talking_core().await;
    let config = Value::object([("prefix", Value::string("endless"))]);
    let ty = Type::object([("prefix", Type::String)]);
    let request = wire::list_resource::Request {
        type_name: "sample_note".to_owned(),
        config: Some(wire::DynamicValue {
            msgpack: tfplugin::msgpack::encode(&config, &ty).unwrap(),
            json: Vec::new(),
        }),
        ..wire::list_resource::Request::default()
    };
    let events = core.procedures().list_resource(request).await.unwrap();
    let said = |what: &str| core.log().iter().any(|line| line.contains(what));
    until("the list is begun", || said("this list takes long")).await;
    drop(events);
    until("the list is given up", || said("this list is given up")).await;
}

#[tokio::test]
async fn a_listed_note_without_a_complete_identity_is_told() {
    let world = World::new();
    let core = world.core().await;
    world.write("slip-1", "");
    let refused = core.list("sample_note", json!({"prefix": "slip"}), 9, false).await.unwrap_err();
    assert!(refused.to_string().contains("IdentityIsKnown"), "{refused}");
}

#[tokio::test]
async fn an_action_tells_its_progress_and_then_its_end() {
    let world = World::new();
    let core = world.core().await;
    let told = core.invoke("sample_write", json!({"note": "one", "text": "hi"})).await.unwrap();
    assert_eq!(told, ["writing one", "written"]);
    assert!(world.has("one"));
    let refused = core.invoke("sample_write", json!({"note": "a/b", "text": "hi"})).await;
    assert!(matches!(refused, Err(Refusal::Provider(_))), "{refused:?}");
    let refused = core.invoke("sample_write", json!({"note": "a", "text": "panic"})).await;
    assert!(matches!(refused, Err(Refusal::Provider(_))), "{refused:?}");
}

#[tokio::test]
async fn an_action_takes_a_write_only_value() {
    let world = World::new();
    let core = world.core_with(&[("TF_LOG_PROVIDER", "trace")]).await;
    let config =
        |password: &str| json!({"note": "one", "text": "hi", "password": password.to_owned()});
    core.invoke("sample_write", config("open sesame")).await.unwrap();
    assert!(world.has("one"));
    let refused = core.invoke("sample_write", config("mellon")).await.unwrap_err();
    let told = refused.to_string();
    assert!(told.contains("Wrong password") && !told.contains("mellon"), "{told}");
    let log = core.log().join("\n");
    assert!(log.contains("password: Value(Secret(…))"), "{log}");
    assert!(!log.contains("mellon") && !log.contains("sesame"), "{log}");
}
