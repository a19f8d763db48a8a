//! Procedures as no good core calls them: strange names, garbage, state stores.

use tfplugin_proto::health::{HealthCheckRequest, health_client::HealthClient};
use tfplugin_proto::tfplugin6 as wire;
use tonic::client::GrpcService;
use tonic::codegen::http;
use tonic::{Code, body::Body};

use tfplugin::{Type, Value};

use crate::program::World;

/// No value of any type.
fn garbage() -> Option<wire::DynamicValue> {
    Some(wire::DynamicValue { msgpack: vec![0xc1, 0xff, 0x00], json: Vec::new() })
}

fn raw(json: &str) -> Option<wire::RawState> {
    Some(wire::RawState { json: json.as_bytes().to_vec(), ..wire::RawState::default() })
}

#[track_caller]
fn refused(name: &str, diagnostics: &[wire::Diagnostic]) {
    use wire::diagnostic::Severity;
    assert!(
        diagnostics.iter().any(|one| one.severity() == Severity::Error),
        "{name}: {diagnostics:?}"
    );
    for one in diagnostics {
        assert!(!one.summary.is_empty() && !one.summary.contains('\n'), "{name}: {one:?}");
    }
}

macro_rules! each {
    ($client:ident: $($method:ident($module:ident { $($field:ident: $value:expr),* $(,)? });)*) => {
        $(
            let request = wire::$module::Request {
                $($field: $value,)*
                ..wire::$module::Request::default()
            };
            let answer = $client.$method(request).await.unwrap().into_inner();
            refused(stringify!($method), &answer.diagnostics);
        )*
    };
}

#[tokio::test]
async fn unknown_names_are_told_by_every_procedure() {
    let world = World::new();
    let core = world.core().await;
    let mut client = core.procedures();
    let name = || "sample_nothing".to_owned();
    #[allow(clippy::needless_update)]
    {
        each! { client:
            validate_resource_config(validate_resource_config { type_name: name() });
            validate_data_resource_config(validate_data_resource_config { type_name: name() });
            validate_ephemeral_resource_config(
                validate_ephemeral_resource_config { type_name: name() });
            validate_list_resource_config(validate_list_resource_config { type_name: name() });
            validate_action_config(validate_action_config { type_name: name() });
            upgrade_resource_state(upgrade_resource_state { type_name: name() });
            upgrade_resource_identity(upgrade_resource_identity { type_name: name() });
            read_resource(read_resource { type_name: name() });
            plan_resource_change(plan_resource_change { type_name: name() });
            apply_resource_change(apply_resource_change { type_name: name() });
            import_resource_state(import_resource_state { type_name: name() });
            move_resource_state(move_resource_state { target_type_name: name() });
            generate_resource_config(generate_resource_config { type_name: name() });
            read_data_source(read_data_source { type_name: name() });
            open_ephemeral_resource(open_ephemeral_resource { type_name: name() });
            renew_ephemeral_resource(renew_ephemeral_resource { type_name: name() });
            close_ephemeral_resource(close_ephemeral_resource { type_name: name() });
            plan_action(plan_action { action_type: name() });
        }
    }
    let request = wire::call_function::Request { name: name(), arguments: Vec::new() };
    assert!(client.call_function(request).await.unwrap().into_inner().error.is_some());
    let request = wire::list_resource::Request {
        type_name: name(),
        ..wire::list_resource::Request::default()
    };
    let mut events = client.list_resource(request).await.unwrap().into_inner();
    refused("list_resource", &events.message().await.unwrap().unwrap().diagnostic);
    assert!(events.message().await.unwrap().is_none());
    let request = wire::invoke_action::Request {
        action_type: name(),
        ..wire::invoke_action::Request::default()
    };
    let mut events = client.invoke_action(request).await.unwrap().into_inner();
    match events.message().await.unwrap().unwrap().r#type.unwrap() {
        wire::invoke_action::event::Type::Completed(end) => {
            refused("invoke_action", &end.diagnostics);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn garbage_is_told_and_harms_nothing() {
    let world = World::new();
    let core = world.core().await;
    let mut client = core.procedures();
    let note = || "sample_note".to_owned();
    #[allow(clippy::needless_update)]
    {
        each! { client:
            validate_provider_config(validate_provider_config { config: garbage() });
            configure_provider(configure_provider { config: garbage() });
            validate_resource_config(
                validate_resource_config { type_name: note(), config: garbage() });
            read_resource(read_resource { type_name: note(), current_state: garbage() });
            plan_resource_change(
                plan_resource_change { type_name: note(), proposed_new_state: garbage() });
            apply_resource_change(
                apply_resource_change { type_name: note(), planned_state: garbage() });
            upgrade_resource_state(
                upgrade_resource_state { type_name: note(), version: 1, raw_state: raw("{nonsense") });
            upgrade_resource_state(
                upgrade_resource_state { type_name: note(), version: 1, raw_state: raw("[1]") });
            upgrade_resource_state(
                upgrade_resource_state { type_name: note(), version: 7, raw_state: raw("{}") });
            read_data_source(
                read_data_source { type_name: "sample_notes".to_owned(), config: garbage() });
            open_ephemeral_resource(
                open_ephemeral_resource { type_name: "sample_key".to_owned(), config: garbage() });
            plan_action(
                plan_action { action_type: "sample_write".to_owned(), config: garbage() });
        }
    }
    let old = wire::RawState {
        flatmap: [("id".to_owned(), "x".to_owned())].into(),
        ..wire::RawState::default()
    };
    let request = wire::upgrade_resource_state::Request {
        type_name: note(),
        version: 0,
        raw_state: Some(old),
    };
    let answer = client.upgrade_resource_state(request).await.unwrap().into_inner();
    refused("flatmap", &answer.diagnostics);
    // Null where an object must be: an error or nothing, and never an end of the process.
    let _ = client
        .plan_resource_change(wire::plan_resource_change::Request {
            type_name: note(),
            ..wire::plan_resource_change::Request::default()
        })
        .await
        .unwrap();
    let _ = client
        .apply_resource_change(wire::apply_resource_change::Request {
            type_name: note(),
            ..wire::apply_resource_change::Request::default()
        })
        .await
        .unwrap();
    let _ = client
        .read_resource(wire::read_resource::Request {
            type_name: note(),
            ..wire::read_resource::Request::default()
        })
        .await
        .unwrap();
    core.create("sample_note", serde_json::json!({"name": "after"})).await.unwrap();
}

#[tokio::test]
async fn what_is_not_offered_is_unimplemented() {
    let world = World::new();
    let core = world.core().await;
    let mut client = core.procedures();
    let mut codes = vec![
        client
            .validate_state_store_config(wire::validate_state_store::Request::default())
            .await
            .unwrap_err(),
        client
            .configure_state_store(wire::configure_state_store::Request::default())
            .await
            .unwrap_err(),
        client.lock_state(wire::lock_state::Request::default()).await.unwrap_err(),
        client.unlock_state(wire::unlock_state::Request::default()).await.unwrap_err(),
        client.get_states(wire::get_states::Request::default()).await.unwrap_err(),
        client.delete_state(wire::delete_state::Request::default()).await.unwrap_err(),
        client.read_state_bytes(wire::read_state_bytes::Request::default()).await.unwrap_err(),
    ];
    let nothing = tokio_stream::empty::<wire::write_state_bytes::RequestChunk>();
    codes.push(client.write_state_bytes(nothing).await.unwrap_err());
    for status in codes {
        assert_eq!(status.code(), Code::Unimplemented, "{status}");
    }
}

#[tokio::test]
async fn names_capabilities_and_functions_are_told_truly() {
    let world = World::new();
    let core = world.core().await;
    let mut client = core.procedures();
    let metadata = client.get_metadata(wire::get_metadata::Request {}).await.unwrap().into_inner();
    assert_eq!(metadata.resources[0].type_name, "sample_note");
    assert_eq!(metadata.actions[0].type_name, "sample_write");
    let can = metadata.server_capabilities.unwrap();
    assert!(can.plan_destroy && can.get_provider_schema_optional && can.move_resource_state);
    assert!(!can.generate_resource_config);
    // Cores ask for the schema, and look for the capabilities there.
    let schema = client.get_provider_schema(wire::get_provider_schema::Request {}).await.unwrap();
    assert_eq!(schema.into_inner().server_capabilities, Some(can));
    let functions = client.get_functions(wire::get_functions::Request {}).await.unwrap();
    assert!(functions.into_inner().functions["join"].r#return.is_some());
    // OpenTofu passes null as no bytes at all.
    let nothing = wire::DynamicValue::default();
    let request =
        wire::call_function::Request { name: "join".to_owned(), arguments: vec![nothing; 2] };
    let error = client.call_function(request).await.unwrap().into_inner().error.unwrap();
    assert_eq!(error.function_argument, Some(0), "{error:?}");
}

/// How the provider answers the beginning of a message that says to be this long. (One of that
/// size need not be sent to know: the length stands first.)
async fn announced(core: &tfplugin::mini_core::MiniCore, length: u32) -> Code {
    let mut frame = vec![0];
    frame.extend(length.to_be_bytes());
    let request = http::Request::post("http://localhost/tfplugin6.Provider/GetMetadata")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(String::from_utf8(frame).unwrap()))
        .unwrap();
    let mut channel = core.channel();
    std::future::poll_fn(|context| GrpcService::<Body>::poll_ready(&mut channel, context))
        .await
        .unwrap();
    let answer = GrpcService::<Body>::call(&mut channel, request).await.unwrap();
    let status = answer.headers()["grpc-status"].to_str().unwrap();
    Code::from_bytes(status.as_bytes())
}

#[tokio::test]
async fn a_message_of_256_mebibytes_is_taken_and_a_longer_one_is_not() {
    let world = World::new();
    let core = world.core().await;
    assert_eq!(announced(&core, (256 << 20) + 1).await, Code::OutOfRange);
    // Not refused for its length: it only ends too early.
    assert_ne!(announced(&core, 256 << 20).await, Code::OutOfRange);
    core.create("sample_note", serde_json::json!({"name": "after"})).await.unwrap();
}

#[tokio::test]
async fn an_identity_of_an_older_version_is_upgraded() {
    let world = World::new();
    let core = world.core().await;
    let mut client = core.procedures();
    for (version, stored) in [(0, "{\"title\":\"one\"}"), (1, "{\"name\":\"one\"}")] {
        let request = wire::upgrade_resource_identity::Request {
            type_name: "sample_note".to_owned(),
            version,
            raw_identity: raw(stored),
        };
        let answer = client.upgrade_resource_identity(request).await.unwrap().into_inner();
        assert!(answer.diagnostics.is_empty(), "{:?}", answer.diagnostics);
        let identity = answer.upgraded_identity.unwrap().identity_data.unwrap();
        let ty = Type::object([("name", Type::String)]);
        let identity = tfplugin::msgpack::decode(&identity.msgpack, &ty).unwrap();
        assert_eq!(identity, Value::object([("name", Value::string("one"))]));
    }
    let request = wire::upgrade_resource_identity::Request {
        type_name: "sample_note".to_owned(),
        version: 0,
        raw_identity: raw("{}"),
    };
    let answer = client.upgrade_resource_identity(request).await.unwrap().into_inner();
    refused("upgrade_resource_identity", &answer.diagnostics);
}

#[tokio::test]
async fn a_configuration_is_written_for_an_object_that_exists() {
    let world = World::new();
    let core = world.core().await;
    let config = serde_json::json!({
        "name": "one", "text": "hello", "tags": ["a"], "parts": [{"text": "x"}], "secret": "hush",
    });
    let note = core.create("sample_note", config).await.unwrap();
    let ty = core.schema("sample_note").unwrap().ty();
    let request = wire::generate_resource_config::Request {
        type_name: "sample_note".to_owned(),
        state: Some(wire::DynamicValue {
            msgpack: tfplugin::msgpack::encode(&note.value, ty).unwrap(),
            json: Vec::new(),
        }),
    };
    let answer = core.procedures().generate_resource_config(request).await.unwrap().into_inner();
    assert!(answer.diagnostics.is_empty(), "{:?}", answer.diagnostics);
    let config = tfplugin::msgpack::decode(&answer.config.unwrap().msgpack, ty).unwrap();
    let config = tfplugin::json::encode(&config, ty).unwrap();
    let expected = serde_json::json!({
        "id": null, "name": "one", "text": "hello", "size": null, "amount": null, "tags": ["a"],
        "labels": null, "parts": [{"text": "x", "weight": null}], "secret": null,
        "secret_length": null, "seconds": null,
    });
    assert_eq!(config, expected);
}

#[tokio::test]
async fn its_health_is_told() {
    let world = World::new();
    let core = world.core().await;
    let mut health = HealthClient::new(core.channel());
    for service in ["plugin", ""] {
        let request = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(health.check(request).await.unwrap().into_inner().status, 1);
    }
    let request = HealthCheckRequest { service: "other".to_owned() };
    assert_eq!(health.check(request).await.unwrap_err().code(), Code::NotFound);
}
