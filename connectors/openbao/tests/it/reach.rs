//! How we sign in, what we may, how much we ask.

use std::sync::Arc;

use connector::{
    Change, Connector, Error, Outcome, Platform, Refusal, Want,
    transport::{Answer, HttpOptions, HttpTransport},
};
use domain::{GapExtent, Record, Settings, settings::Setting};
use secrets::{Document, Expect};
use serde_json::json;

use crate::{
    server::Server,
    wire::{Counted, shared},
    world::{TYPE, World, address, call, for_a, new, object, record, root, setup},
};

#[tokio::test]
async fn an_unchanged_integration_costs_four_requests_and_the_policies_one_for_all() {
    let world = World::new().await;
    let ids = [world.integration("four-a").await.0, world.integration("four-b").await.0];
    for id in &ids {
        world.scope(id, &["secret/data/a:read"]).await.unwrap();
        world.issue(id, &Settings::default()).await;
    }
    // Another process: nothing is known from before.
    let world = World::new().await;
    world.wire.sent();
    // Three resources read each integration.
    for _ in 0..3 {
        for id in &ids {
            let seen = world.connector().read(id, Want::LEAN).await.unwrap().unwrap();
            assert_eq!((seen.scopes.len(), seen.credentials.unwrap().len()), (1, 1));
        }
    }
    let sent = world.wire.sent();
    assert_eq!(sent.len(), 1 + 2 * 4, "{sent:#?}");
    let one = world
        .connector()
        .read(&ids[0], Want::LEAN)
        .await
        .unwrap()
        .unwrap()
        .credentials
        .unwrap()
        .remove(0);
    assert_eq!(one.marker, None, "not asked for");
    let told = world.connector().credential(&ids[0], &one.key_id).await.unwrap().unwrap();
    assert!(told.marker.is_some());
    world.connector().credential(&ids[0], &one.key_id).await.unwrap();
    assert_eq!(world.wire.sent().len(), 1, "what is fixed is asked once");
}

#[tokio::test]
async fn a_role_of_our_own_signs_in_once_and_never_again_when_refused() {
    let world = World::new().await;
    let policy = json!({"policy": "path \"auth/approle/role\" { capabilities = [\"list\"] }\npath \"sys/auth\" { capabilities = [\"read\"] }"});
    world.by_hand("POST", "sys/policies/acl/hand", policy).await;
    world.by_hand("POST", "sys/auth/ours", json!({"type": "approle"})).await;
    world.by_hand("POST", "auth/ours/role/nhi", json!({"token_policies": ["hand"]})).await;
    let (_, role_id) = world.call("GET", "auth/ours/role/nhi/role-id", None).await;
    let role_id = role_id["data"]["role_id"].as_str().unwrap().to_owned();
    let secret_id = world.by_hand("POST", "auth/ours/role/nhi/secret-id", json!({})).await;
    let secret_id = secret_id["data"]["secret_id"].as_str().unwrap().to_owned();
    let mount = Settings::default().with("sign_in_mount", Setting::Text("ours".into()));
    let connect = |secret: &str| {
        let wire = Counted::to(address());
        let setup = setup(shared(wire.clone()), mount.clone(), Some(secret), Some(&role_id));
        (openbao::PLATFORM.connect(setup).unwrap().connector.unwrap(), wire)
    };
    let (good, wire) = connect(&format!("{secret_id}\n"));
    good.list(Want::LEAN).await.unwrap();
    let sign_ins =
        |wire: &Counted| wire.sent().iter().filter(|one| one.ends_with("/login")).count();
    assert_eq!(sign_ins(&wire), 1);
    let outlives = async |connector: &dyn Connector| {
        connector.notes().await.into_iter().any(|note| note.contains("leaves a token that lives"))
    };
    assert!(outlives(&*good).await, "the server's own limit is long");
    world.by_hand("POST", "auth/ours/role/nhi", json!({"token_ttl": "20m"})).await;
    assert!(!outlives(&*connect(&secret_id).0).await);
    let (bad, wire) = connect("wrong");
    for _ in 0..9 {
        let error = bad.read(&object("x", None), Want::LEAN).await.unwrap_err();
        assert!(error.to_string().contains("five refused sign-ins lock"), "{error}");
    }
    assert_eq!(sign_ins(&wire), 1);
}

#[tokio::test]
async fn without_a_credential_the_error_says_what_to_set() {
    let setup = setup(shared(Counted::to(address())), Settings::default(), None, None);
    let bao = openbao::PLATFORM.connect(setup).unwrap().connector.unwrap();
    let error = bao.read(&object("x", None), Want::LEAN).await.unwrap_err();
    assert!(
        matches!(&error, Error::Configuration(text) if text.contains("`credential`")),
        "{error}"
    );
}

#[tokio::test]
async fn what_we_may_not_read_is_an_error_and_never_absence() {
    let world = World::new().await;
    world.integration("hidden").await;
    let token = world.by_hand("POST", "auth/token/create", json!({"policies": ["default"]})).await;
    let blind =
        World::with(token["auth"]["client_token"].as_str().unwrap(), Settings::default()).await;
    let refused = blind.connector().read(&object("hidden", None), Want::LEAN).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Forbidden), "{refused}");
    let listed = blind.connector().list(Want::LEAN).await.unwrap();
    assert!(!listed.is_complete() && listed.integrations.is_empty(), "{listed:?}");
    let notes = blind.connector().notes().await;
    assert!(notes.iter().any(|note| note.contains("auth/token/accessors")), "{notes:#?}");
    assert!(world.connector().notes().await.is_empty());
}

#[tokio::test]
async fn a_token_that_the_server_refuses_is_told_from_one_that_may_do_nothing() {
    let stranger = World::with("s.nobody", Settings::default()).await;
    let refused = stranger.connector().check_credential().await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Forbidden), "{refused}");
    let world = World::new().await;
    world.connector().check_credential().await.unwrap();
    let policy = json!({"policy": "path \"auth/approle/role\" { capabilities = [\"list\"] }"});
    world.by_hand("POST", "sys/policies/acl/lists", policy).await;
    for token in [
        json!({"policies": ["default"]}),
        json!({"policies": ["lists"], "no_default_policy": true}),
    ] {
        let token = world.by_hand("POST", "auth/token/create", token).await;
        let token = token["auth"]["client_token"].as_str().unwrap();
        World::with(token, Settings::default()).await.connector().check_credential().await.unwrap();
    }
}

#[tokio::test]
async fn the_permissions_of_the_readme_are_enough() {
    let world = World::new().await;
    let readme = include_str!("../../README.md");
    let policy =
        readme.split("```hcl\n").find(|part| part.contains("sys/policies/acl/nhi/*")).unwrap();
    let policy = policy.split("```").next().unwrap();
    world.by_hand("POST", "sys/policies/acl/readme", json!({"policy": policy})).await;
    let token = json!({"policies": ["readme"], "no_default_policy": true});
    let token = world.by_hand("POST", "auth/token/create", token).await;
    let ours =
        World::with(token["auth"]["client_token"].as_str().unwrap(), Settings::default()).await;
    let bao = ours.connector();
    // Mounts that other tests made are none of this policy's.
    let elsewhere =
        |note: &String| !note.contains("auth/approle/") && note.contains("do nothing on");
    let notes = bao.notes().await;
    assert!(notes.iter().all(elsewhere), "{notes:#?}");
    let (id, _) = ours.integration("permitted").await;
    ours.scope(&id, &["secret/data/a:read"]).await.unwrap();
    let (secret, issued) = ours.issue(&id, &Settings::default()).await;
    bao.probe(&id, TYPE, &secret).await.unwrap();
    let access = bao.mint(&id, for_a(domain::Span::from_secs(600))).await.unwrap();
    bao.end_access(&id, &access.handle).await.unwrap();
    bao.modify(&id, &Change { enabled: Some(false), ..Change::default() }).await.unwrap();
    let listed = bao.list(Want::PLAN).await.unwrap();
    let of_ours = |gap: &&domain::Gap| !matches!(&gap.extent, GapExtent::Page(page) if page != "auth/approle/role");
    assert_eq!(listed.gaps.iter().filter(of_ours).collect::<Vec<_>>(), Vec::<&domain::Gap>::new());
    assert!(listed.integrations.iter().any(|one| one.key == "permitted" && one.gaps.is_empty()));
    bao.end(&id, &issued.key_id).await.unwrap();
    bao.sweep(&id, None).await.unwrap();
    bao.delete(&id).await.unwrap();
    for folder in ["secret/apps/readme", "secret/nhi/readme"] {
        secrets::conformance::assert_conforms(&*ours.sink(), folder).await;
    }
}

#[tokio::test]
async fn a_pinned_tenant_keeps_us_off_another_one() {
    let world = World::new().await;
    let id = world.connector().tenant().await.unwrap();
    let pinned = |id: &str| Settings::default().with("tenant", Setting::Text(id.to_owned()));
    let right = World::with(root(), pinned(&id)).await;
    assert_eq!(right.connector().tenant().await.unwrap(), id);
    let wrong = World::with(root(), pinned("another")).await;
    wrong.wire.sent();
    for refused in [
        wrong.connector().create(&new("pinned")).await.unwrap_err(),
        wrong.connector().read(&object("pinned", None), Want::LEAN).await.unwrap_err(),
    ] {
        assert!(matches!(refused, Error::Tenant { .. }), "{refused}");
    }
    assert_eq!(wrong.wire.sent(), ["GET sys/health"], "asked once, and nothing else");
}

#[tokio::test]
async fn a_namespace_holds_its_own_integrations() {
    let world = World::new().await;
    world.by_hand("POST", "sys/namespaces/team-n", json!({})).await;
    world.by_hand("POST", "team-n/sys/auth/approle", json!({"type": "approle"})).await;
    world
        .by_hand("POST", "team-n/sys/mounts/kv", json!({"type": "kv", "options": {"version": "2"}}))
        .await;
    let settings = Settings::default().with("namespace", Setting::Text("team-n/".into()));
    let inside = World::with(root(), settings).await;
    let tenant = inside.connector().tenant().await.unwrap();
    assert_eq!(tenant, format!("{}/team-n", world.connector().tenant().await.unwrap()));
    let (id, _) = inside.integration("inside").await;
    inside.scope(&id, &["kv/data/a:read"]).await.unwrap();
    let (secret, _) = inside.issue(&id, &Settings::default()).await;
    inside.connector().probe(&id, TYPE, &secret).await.unwrap();
    let document = Document::default().with("a", domain::Secret::new("1"));
    inside.sink().write("kv/apps/x", &document, Expect::Nothing).await.unwrap();
    assert_eq!(world.connector().read(&object("inside", None), Want::DEED).await.unwrap(), None);
    assert_eq!(world.call("GET", "team-n/auth/approle/role/inside", None).await.0, 200);
    inside.connector().delete(&id).await.unwrap();
}

#[tokio::test]
async fn a_server_with_a_private_authority_is_trusted_by_its_file_only() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_tls(folder.path());
    let to = |ca_file| {
        let address = server.address.clone();
        Arc::new(HttpTransport::new(HttpOptions { address, ca_file }).unwrap())
    };
    let trusted = to(Some(folder.path().join("vault-ca.pem")));
    let (status, _) =
        call(&*trusted, &server.root, "POST", "sys/auth/approle", Some(json!({"type": "approle"})))
            .await;
    assert_eq!(status, 204);
    let connect = |transport: Arc<HttpTransport>| {
        let setup = setup(transport, Settings::default(), Some(&server.root), None);
        openbao::PLATFORM.connect(setup).unwrap().connector.unwrap()
    };
    let bao = connect(trusted);
    let made = bao.create(&new("private")).await.unwrap();
    let id = object("private", Some(&made.vendor_id));
    let secret = bao.choose_secret(TYPE, &Settings::default(), "m").unwrap();
    // The probe's connection of its own trusts the same file.
    assert!(matches!(
        bao.probe(&id, TYPE, &secret).await.unwrap(),
        connector::Probe::Refused { .. }
    ));
    let refused = connect(to(None)).tenant().await.unwrap_err();
    assert!(matches!(refused, Error::Untrusted { .. }), "{refused}");
}

#[tokio::test]
async fn a_role_that_nobody_has_read_yet_is_read_at_once() {
    const ROLES: usize = 200;
    let world = World::new().await;
    world.by_hand("POST", "sys/namespaces/unread", json!({})).await;
    world.by_hand("POST", "unread/sys/auth/approle", json!({"type": "approle"})).await;
    for n in 0..ROLES {
        let path = format!("unread/auth/approle/role/unread-{n}");
        world.by_hand("POST", &path, json!({"token_ttl": "1h"})).await;
    }
    let settings = Settings::default().with("namespace", Setting::Text("unread".into()));
    let inside = World::with(root(), settings).await;
    inside.wire.sent();
    let listed = inside.connector().list(Want::LEAN).await.unwrap();
    assert!(listed.is_complete(), "{:?}", listed.gaps);
    assert_eq!(listed.integrations.len(), ROLES);
    assert!(listed.integrations.iter().all(|one| one.gaps.is_empty()));
    // The server fails one of two first reads of a role: healed by asking again, never provoked.
    let sent = inside.wire.sent();
    for look in ["", "/role-id"].map(|below| format!("GET auth/{{mount}}/role/{{name}}{below}")) {
        assert_eq!(sent.iter().filter(|one| **one == look).count(), ROLES, "{look}");
    }
}

#[tokio::test]
async fn every_mount_with_roles_is_asked_about_and_told_by_its_name() {
    let world = World::new().await;
    for mount in ["team-a", "team-b"] {
        world.by_hand("POST", &format!("sys/auth/{mount}"), json!({"type": "approle"})).await;
    }
    let policy = r#"
        path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
        path "auth/team-a/*" { capabilities = ["deny"] }
        path "auth/team-b/role/+/secret-id-accessor/destroy" { capabilities = ["deny"] }
    "#;
    world.by_hand("POST", "sys/policies/acl/partly", json!({ "policy": policy })).await;
    let token = json!({"policies": ["partly"], "no_default_policy": true});
    let token = world.by_hand("POST", "auth/token/create", token).await;
    let partly = token["auth"]["client_token"].as_str().unwrap();
    let partly = World::with(partly, Settings::default()).await;
    let notes = partly.connector().notes().await;
    let [a, b] = &notes[..] else { panic!("{notes:#?}") };
    assert!(a.contains("may do nothing on auth/team-a/role:"), "{a}");
    assert!(
        b.contains("lacks update on auth/team-b/role/nhi-probe/secret-id-accessor/destroy"),
        "{b}"
    );
    let refused = partly.connector().read(&object("team-a:x", None), Want::LEAN).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.starts_with("GET auth/team-a/role/x: "), "{refused}");
}

const ROLE: &str = "auth/{mount}/role/{name}";

#[tokio::test]
async fn a_setting_that_the_server_takes_and_does_not_have_is_told() {
    let world = World::meddled(|request| {
        let body = request.body.as_mut().filter(|_| request.template == ROLE)?;
        let mut value: serde_json::Value = serde_json::from_slice(&body.bytes).unwrap();
        if value["token_ttl"] == json!(1200) {
            value["token_ttl"] = json!(7200);
            body.bytes = zeroize::Zeroizing::new(value.to_string().into_bytes());
        }
        None
    })
    .await;
    let (id, _) = world.integration("untaken").await;
    let settings = Settings::default().with("token_ttl", Setting::Text("20m".into()));
    let change = Change { settings: Some(settings), ..Change::default() };
    let error = world.connector().modify(&id, &change).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Ambiguous);
    assert!(error.to_string().contains("token_ttl is 7200"), "{error}");
}

#[tokio::test]
async fn what_is_refused_after_a_part_was_accepted_is_ambiguous() {
    let forbidden =
        || Answer::new(403, Vec::new(), b"{\"errors\":[\"permission denied\"]}".to_vec());
    // The policy is written, the role may not be; or it may not be read any more.
    let world = World::new().await;
    let (id, _) = world.integration("partly").await;
    for (method, also) in [("POST", true), ("GET", false)] {
        let armed = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let arm = armed.clone();
        let meddled = World::meddled(move |request| {
            if request.template == "sys/policies/acl/{name}" && request.method == "POST" {
                arm.store(true, std::sync::atomic::Ordering::SeqCst);
            }
            let now = arm.load(std::sync::atomic::Ordering::SeqCst);
            (now && request.method == method && request.template == ROLE).then(forbidden)
        })
        .await;
        let settings = Settings::default().with("token_ttl", Setting::Text("30m".into()));
        let change = Change {
            record: Some(Record { justification: Some(method.into()), ..record() }),
            settings: also.then_some(settings),
            ..Change::default()
        };
        let error = meddled.connector().modify(&id, &change).await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Ambiguous, "{method}: {error}");
    }
}

#[tokio::test]
async fn what_is_needed_to_revoke_and_to_keep_is_asked_about() {
    let world = World::new().await;
    // Everything but what ends a credential, and of custody no more than its listing.
    let policy = r#"
        path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
        path "auth/approle/role/+/secret-id-accessor/destroy" { capabilities = ["deny"] }
        path "secret/data/nhi/*" { capabilities = ["deny"] }
    "#;
    world.by_hand("POST", "sys/policies/acl/nearly", json!({ "policy": policy })).await;
    let token = json!({"policies": ["nearly"], "no_default_policy": true});
    let token = world.by_hand("POST", "auth/token/create", token).await;
    let token = token["auth"]["client_token"].as_str().unwrap();
    let nearly = World::with(token, Settings::default()).await;
    let notes = nearly.connector().notes().await;
    assert!(
        notes.len() == 1 && notes[0].contains("secret-id-accessor/destroy: credentials cannot"),
        "{notes:#?}"
    );
    let lacks = nearly.sink().lacks("secret/nhi").await.unwrap();
    assert!(
        lacks.len() == 1 && lacks[0].contains("create, read, update on secret/data/nhi/nhi-probe"),
        "{lacks:#?}"
    );
    assert!(world.sink().lacks("secret/nhi").await.unwrap().is_empty());
}

#[tokio::test]
async fn the_secret_id_that_a_connection_signs_in_with_is_known_wherever_its_role_is() {
    let world = World::new().await;
    let (own, _) = world.integration("own-role").await;
    let may = ["auth/approle/role/own-role/secret-id/lookup:update", "auth/token/lookup-self:read"];
    world.scope(&own, &may).await.unwrap();
    let (secret, issued) = world.issue(&own, &Settings::default()).await;
    world.issue(&own, &Settings::default()).await;
    let connect = |secret: &str, role_id: Option<&str>, settings: Settings| {
        let wire = Counted::to(address());
        let setup = setup(shared(wire.clone()), settings, Some(secret), role_id);
        (openbao::PLATFORM.connect(setup).unwrap().connector.unwrap(), wire)
    };
    let none = Settings::default();
    let (bao, wire) = connect(secret.expose(), own.vendor_id.as_deref(), none.clone());
    for _ in 0..2 {
        let found = bao.ourselves().await.unwrap().unwrap();
        assert_eq!((found.kind.as_str(), found.key.as_str()), ("openbao_approle", "own-role"));
        assert_eq!(found.key_id.as_ref(), Some(&issued.key_id));
    }
    let sent = wire.sent();
    assert!(sent.len() <= 5, "it is asked once: {sent:#?}");
    // A token tells its role, and not which of the role's secret ids it was minted from.
    let login = json!({ "role_id": own.vendor_id, "secret_id": secret.expose() });
    let minted = world.by_hand("POST", "auth/approle/login", login).await;
    let token = minted["auth"]["client_token"].as_str().unwrap();
    let found = connect(token, None, none.clone()).0.ourselves().await.unwrap().unwrap();
    assert_eq!((found.key.as_str(), found.key_id), ("own-role", None));
    assert_eq!(world.connector().ourselves().await.unwrap(), None, "root is no role");
    // On another mount a role has its mount's name before its own.
    let _ = world.call("POST", "sys/auth/own-mount", Some(json!({"type": "approle"}))).await;
    world.by_hand("POST", "auth/own-mount/role/own-role", json!({})).await;
    let (_, role) = world.call("GET", "auth/own-mount/role/own-role/role-id", None).await;
    let made = world.by_hand("POST", "auth/own-mount/role/own-role/secret-id", json!({})).await;
    let settings = none.with("sign_in_mount", Setting::Text("own-mount".into()));
    let (secret, role_id) = (&made["data"]["secret_id"], &role["data"]["role_id"]);
    let (bao, _) = connect(secret.as_str().unwrap(), role_id.as_str(), settings);
    let found = bao.ourselves().await.unwrap().unwrap();
    assert_eq!(found.key, "own-mount:own-role");
}
