//! KV v2 as a sink.

use domain::Secret;
use secrets::{Document, Expect, Mirror, SinkError, conformance};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn kv_conforms() {
    let world = World::new().await;
    conformance::assert_conforms(&*world.sink(), "secret/conformance").await;
}

#[tokio::test]
async fn a_mount_of_several_segments_is_found() {
    let world = World::new().await;
    let kv = json!({"type": "kv", "options": {"version": "2"}});
    assert_eq!(world.call("POST", "sys/mounts/team/kv", Some(kv)).await.0, 204);
    let document = Document::default().with("a", Secret::new("1"));
    world.sink().write("team/kv/apps/x", &document, Expect::Nothing).await.unwrap();
    assert_eq!(
        world.call("GET", "team/kv/data/apps/x", None).await.1["data"]["data"],
        json!({"a": "1"})
    );
}

#[tokio::test]
async fn a_mount_that_is_no_kv_of_version_2_is_refused_by_name() {
    let world = World::new().await;
    world
        .call("POST", "sys/mounts/old", Some(json!({"type": "kv", "options": {"version": "1"}})))
        .await;
    world.call("POST", "sys/mounts/pki", Some(json!({"type": "pki"}))).await;
    for (path, says) in [("old/x", "version 1"), ("pki/x", "type \"pki\"")] {
        let refused = world.sink().read(path).await.unwrap_err();
        assert!(matches!(&refused, SinkError::Unfit { .. }), "{refused}");
        assert!(refused.to_string().contains(says), "{refused}");
    }
}

#[tokio::test]
async fn a_mount_that_is_not_there_is_told_from_one_that_we_may_not_use() {
    let world = World::new().await;
    let sink = world.sink();
    let document = Document::default();
    for missing in [
        sink.read("nowhere/apps/x").await.unwrap_err(),
        sink.look("nowhere/apps/x").await.unwrap_err(),
        sink.look_all("nowhere/apps").await.unwrap_err(),
        sink.write("nowhere/apps/x", &document, Expect::Nothing).await.unwrap_err(),
        sink.prepare_claim("nowhere/apps/x").await.unwrap_err(),
    ] {
        let SinkError::Unfit { next, .. } = &missing else { panic!("{missing}") };
        assert!(next.starts_with("bao secrets enable -path=nowhere kv-v2\n"), "{next}");
    }
    let token = world.by_hand("POST", "auth/token/create", json!({"policies": ["default"]})).await;
    let blind = token["auth"]["client_token"].as_str().unwrap();
    let blind = World::with(blind, domain::Settings::default()).await;
    for path in ["nowhere/apps/x", "secret/apps/x"] {
        let refused = blind.sink().read(path).await.unwrap_err();
        assert!(matches!(&refused, SinkError::Refused { .. }), "{refused}");
    }
}

#[tokio::test]
async fn other_peoples_metadata_and_fields_stay_as_they_are() {
    let world = World::new().await;
    let (sink, path) = (world.sink(), "secret/shared/app");
    let theirs = json!({"data": {"port": 5432, "hosts": ["a", "b"], "password": "p"}});
    world.call("POST", "secret/data/shared/app", Some(theirs)).await;
    world
        .call("POST", "secret/metadata/shared/app", Some(json!({"custom_metadata": {"team": "x"}})))
        .await;
    let stored = sink.read(path).await.unwrap().unwrap();
    let document = stored.document.unwrap().with("secret_id", Secret::new("s"));
    sink.write(path, &document, Expect::Version(1)).await.unwrap();
    sink.write_mirror(path, &Mirror::from([("gen".into(), "1".into())])).await.unwrap();
    sink.write_mirror(path, &Mirror::new()).await.unwrap();
    let (_, body) = world.call("GET", "secret/data/shared/app", None).await;
    let whole = json!({"port": 5432, "hosts": ["a", "b"], "password": "p", "secret_id": "s"});
    assert_eq!(body["data"]["data"], whole);
    assert_eq!(body["data"]["metadata"]["custom_metadata"], json!({"team": "x"}));
}

#[tokio::test]
async fn a_write_by_hand_moves_the_version_and_leaves_the_mirror() {
    let world = World::new().await;
    let (sink, path) = (world.sink(), "secret/hand/app");
    sink.write(path, &Document::default().with("a", Secret::new("1")), Expect::Nothing)
        .await
        .unwrap();
    let mirror = Mirror::from([("version".into(), "1".into())]);
    sink.write_mirror(path, &mirror).await.unwrap();
    world.call("POST", "secret/data/hand/app", Some(json!({"data": {"a": "2"}}))).await;
    let look = sink.look(path).await.unwrap().unwrap();
    assert_eq!((look.version.number, &look.mirror), (2, &mirror));
    world.call("DELETE", "secret/data/hand/app", None).await;
    assert!(sink.look(path).await.unwrap().unwrap().deleted);
    assert!(sink.read(path).await.unwrap().unwrap().document.is_none());
    world.call("DELETE", "secret/metadata/hand/app", None).await;
    assert!(sink.look(path).await.unwrap().is_none(), "wiped: it begins anew");
}

#[tokio::test]
async fn a_place_that_cannot_hold_a_document_is_told_before_anything_is_written() {
    let world = World::new().await;
    world
        .call("POST", "sys/mounts/old", Some(json!({"type": "kv", "options": {"version": "1"}})))
        .await;
    let sink = world.sink();
    assert_eq!(sink.check("secret/apps/x").await.unwrap(), None);
    for path in ["old/x", "secret", "secret/", "secret/../x", "secret//x"] {
        let never = sink.check(path).await.unwrap_err();
        let kind = matches!(&never, SinkError::Refused { .. } | SinkError::Unfit { .. });
        assert!(kind, "{path}: {never}");
    }
    let why = sink.check("nowhere/x").await.unwrap().unwrap();
    assert!(why.contains("no mount"), "{why}");
}

#[tokio::test]
async fn one_place_is_one_whatever_connection_and_namespace_lead_to_it() {
    let world = World::new().await;
    let (root, team) = (world.sink(), world.sink_in("team"));
    let folder = root.home("team/secret/nhi").await.unwrap();
    assert_eq!(team.home("/secret/nhi/").await.unwrap(), folder);
    assert!(team.home("secret/nhi/x").await.unwrap().is_within(&folder));
    assert!(!root.home("secret/nhi/x").await.unwrap().is_within(&folder));
}

#[tokio::test]
async fn a_folder_of_more_than_one_page_is_seen_as_a_whole_whether_the_server_gives_pages_or_not() {
    let world = World::new().await;
    let mut names: Vec<String> = (0..200).map(|at| format!("{at:03}")).collect();
    // The last of the first page: the next one is asked for by its name.
    names[99] = "099 & 100+%?=x".to_owned();
    world.call("POST", "sys/mounts/paged", Some(json!({"type": "kv-v2"}))).await;
    // A new mount is upgraded for a moment.
    while world.call("POST", "paged/data/long/000", Some(json!({"data": {"a": "1"}}))).await.0
        != 200
    {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let document = Document::default().with("a", Secret::new("1"));
    for name in &names[1..] {
        world
            .sink()
            .write(&format!("paged/long/{name}"), &document, Expect::Nothing)
            .await
            .unwrap();
    }
    world.wire.sent();
    let listed = |sink: std::sync::Arc<dyn secrets::Sink>| async move {
        let looks = sink.look_all_shared("paged/long").await.unwrap();
        looks.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(world.sink()).await, names);
    let lists = |sent: Vec<String>| sent.iter().filter(|one| one.starts_with("LIST")).count();
    assert_eq!(lists(world.wire.sent()), 3, "two pages, and that nothing follows");
    assert_eq!(listed(world.sink()).await, names);
    assert_eq!(lists(world.wire.sent()), 0, "readers share them");
    assert!(world.sink().names("paged/long").await.unwrap().iter().eq(&names));
    assert_eq!(lists(world.wire.sent()), 1, "names alone come all at once");
    let whole = World::meddled(|request| {
        request.path = request.path.split('?').next().unwrap_or_default().to_owned();
        None
    })
    .await;
    assert_eq!(listed(whole.sink()).await, names);
    assert_eq!(lists(whole.wire.sent()), 1);
}
