//! The life of an integration, from parked to gone.

use connector::{
    Change, Children, Ended, Freshness, IssueRequest, NewIntegration, Probe, Refusal, Want,
};
use domain::{Record, Secret, Settings, settings::Setting};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::world::{MARKER, TYPE, World, names, new, object, record, scopes};

const ACCEPTED: Probe = Probe::Accepted { residual: None, scopes: None };

#[tokio::test]
async fn an_integration_lives_from_parked_to_gone() {
    let world = World::new().await;
    live(&world, "life").await;
}

#[tokio::test]
async fn it_lives_the_same_life_on_a_server_without_listings_and_compare_and_set() {
    let world = World::vaultish().await;
    live(&world, "vaultish").await;
    let notes = world.connector().notes().await;
    assert_eq!(notes.len(), 2, "{notes:#?}");
    assert!(notes[0].contains("listed") && notes[1].contains("compare-and-set"), "{notes:#?}");
    secrets::conformance::assert_conforms(&*world.sink(), "secret/vaultish").await;
}

async fn live(world: &World, name: &str) {
    let bao = world.connector();
    let made = bao.create(&new(name)).await.unwrap();
    assert!(made.parked && made.enabled && made.scopes.is_empty(), "{made:?}");
    assert_eq!(made.record, Some(record()));
    let id = object(name, Some(&made.vendor_id));

    let again = bao.create(&new(name)).await.unwrap_err();
    assert_eq!(again.refusal(), Some(Refusal::Conflict), "{again}");

    let wanted = ["secret/data/invoices/*:read+list", "secret/metadata/invoices/*:list"];
    assert_eq!(world.scope(&id, &wanted).await.unwrap().scopes, scopes(&wanted));

    let (secret, issued) = world.issue(&id, &Settings::default()).await;
    assert!(!issued.already_there && issued.secret.is_none() && issued.issued_at.is_some());
    let settings = Settings::default();
    let request = IssueRequest {
        credential_type: TYPE,
        profile: "add-ours",
        marker: MARKER,
        secret: Some(&secret),
        settings: &settings,
        expires_at: None,
    };
    let repeated = bao.issue(&id, request).await.unwrap();
    assert!(repeated.already_there && repeated.key_id == issued.key_id);
    let found = bao.find(&id, TYPE, &secret).await.unwrap().unwrap();
    assert_eq!((&found.key_id, found.marker.as_deref()), (&issued.key_id, Some(MARKER)));

    assert_eq!(bao.probe(&id, TYPE, &secret).await.unwrap(), ACCEPTED);

    // A token that the app keeps.
    let login = json!({"role_id": made.vendor_id, "secret_id": secret.expose()});
    let body = world.by_hand("POST", "auth/approle/login", login).await;
    assert_eq!(body["auth"]["policies"], json!([format!("nhi/{name}")]));
    assert_eq!(bao.sweep(&id, Some("other")).await.unwrap(), Children::None);
    assert_eq!(bao.sweep(&id, Some(MARKER)).await.unwrap(), Children::Swept(1));

    let off = bao.modify(&id, &Change { enabled: Some(false), ..Change::default() }).await.unwrap();
    assert!(!off.enabled);
    assert!(matches!(bao.probe(&id, TYPE, &secret).await.unwrap(), Probe::Refused { .. }));
    bao.modify(&id, &Change { enabled: Some(true), ..Change::default() }).await.unwrap();
    assert_eq!(bao.probe(&id, TYPE, &secret).await.unwrap(), ACCEPTED);

    assert_eq!(bao.end(&id, &issued.key_id).await.unwrap(), Ended::Now);
    assert_eq!(bao.end(&id, &issued.key_id).await.unwrap(), Ended::AlreadyGone);
    let random = bao.random_like(TYPE, &secret).unwrap();
    let refused = bao.probe(&id, TYPE, &secret).await.unwrap();
    assert!(matches!(refused, Probe::Refused { .. }), "{refused:?}");
    assert_eq!(
        bao.probe(&id, TYPE, &random).await.unwrap(),
        refused,
        "a random one is refused alike"
    );

    assert_eq!(bao.delete(&id).await.unwrap(), Ended::Now);
    assert_eq!(bao.delete(&id).await.unwrap(), Ended::AlreadyGone);
    assert_eq!(bao.read(&id, Want::DEED).await.unwrap(), None);
    for path in [format!("sys/policies/acl/nhi/{name}"), format!("identity/entity/name/nhi/{name}")]
    {
        assert_eq!(world.call("GET", &path, None).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn deleting_ends_credentials_and_tokens_of_others_too() {
    let world = World::new().await;
    let (id, made) = world.integration("leftovers").await;
    let by_hand = world.by_hand("POST", "auth/approle/role/leftovers/secret-id", json!({})).await;
    let login = json!({"role_id": made.vendor_id, "secret_id": by_hand["data"]["secret_id"]});
    let signed_in = world.by_hand("POST", "auth/approle/login", login).await;
    assert_eq!(world.connector().delete(&id).await.unwrap(), Ended::Now);
    let accessor = json!({"accessor": signed_in["auth"]["accessor"]});
    assert_ne!(world.call("POST", "auth/token/lookup-accessor", Some(accessor)).await.0, 200);
}

#[tokio::test]
async fn a_create_that_was_cut_short_is_resumed_by_its_own_realm_only() {
    let world = World::new().await;
    let bao = world.connector();
    let unfinished = Record { unfinished: true, ..record() };
    let text = format!("# nhi: {}\n", unfinished.to_json());
    world.by_hand("POST", "sys/policies/acl/nhi/cut", json!({"policy": text})).await;
    let mut foreign = new("cut");
    foreign.record.realm = Some("zzzzzz".into());
    assert_eq!(bao.create(&foreign).await.unwrap_err().refusal(), Some(Refusal::Conflict));
    let made = bao.create(&new("cut")).await.unwrap();
    assert_eq!(made.record, Some(record()), "and it is finished now");
    assert_eq!(bao.create(&new("cut")).await.unwrap_err().refusal(), Some(Refusal::Conflict));
}

#[tokio::test]
async fn a_role_that_somebody_made_by_hand_is_not_taken_over_by_a_create() {
    let world = World::new().await;
    world.by_hand("POST", "auth/approle/role/theirs", json!({"token_policies": ["default"]})).await;
    let refused = world.connector().create(&new("theirs")).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Conflict), "{refused}");
    assert_eq!(
        world.call("GET", "sys/policies/acl/nhi/theirs", None).await.0,
        404,
        "nothing was begun"
    );
}

#[tokio::test]
async fn a_role_made_by_hand_can_be_adopted_and_then_governed() {
    let world = World::new().await;
    let bao = world.connector();
    world.by_hand("POST", "auth/approle/role/adopted", json!({"token_policies": ["legacy"]})).await;
    let id = object("adopted", None);
    let found = bao.read(&id, Want::PLAN).await.unwrap().unwrap();
    assert_eq!((names(&found), &found.record), (vec!["policy/legacy".to_owned()], &None));
    let change = Change { record: Some(record()), ..Change::default() };
    let kept = bao.modify(&id, &change).await.unwrap();
    assert_eq!((names(&kept), kept.record), (vec!["policy/legacy".to_owned()], Some(record())));
    let governed = world.scope(&id, &["secret/data/a:read"]).await.unwrap();
    assert_eq!(names(&governed), ["secret/data/a:read"]);
    let off = bao.modify(&id, &Change { enabled: Some(false), ..Change::default() }).await.unwrap();
    assert!(!off.enabled);
}

#[tokio::test]
async fn a_policy_s_name_is_one_however_it_is_spelled() {
    let world = World::new().await;
    let (id, _) = world.integration("spelled").await;
    let wanted = ["identity-policy/Pay", "policy/Foo Bar", "policy/\u{c4}\u{d6}"];
    let stands = ["identity-policy/pay", "policy/%C3%A4%C3%B6", "policy/foo%20bar"];
    let given = world.scope(&id, &wanted).await.unwrap();
    assert_eq!(names(&given), stands);
    // Another spelling by hand is no other policy: that is how the server looks it up.
    let role = json!({ "token_policies": ["NHI/spelled", " FOO bar", "\u{c4}\u{d6}"] });
    world.by_hand("POST", "auth/approle/role/spelled", role).await;
    let entity = json!({ "policies": ["PAY"] });
    world.by_hand("POST", "identity/entity/name/nhi/spelled", entity).await;
    let seen = world.connector().read(&id, Want::PLAN).await.unwrap().unwrap();
    assert_eq!(names(&seen), stands);
    let (secret, _) = world.issue(&id, &Settings::default()).await;
    let login = json!({ "role_id": seen.vendor_id, "secret_id": secret.expose() });
    let signed_in = world.by_hand("POST", "auth/approle/login", login).await;
    let held = json!(["foo bar", "nhi/spelled", "\u{e4}\u{f6}"]);
    assert_eq!(signed_in["auth"]["token_policies"], held);
    assert_eq!(signed_in["auth"]["identity_policies"], json!(["pay"]));
}

#[tokio::test]
async fn a_role_s_own_policy_and_root_are_never_given() {
    let world = World::new().await;
    let (id, made) = world.integration("rooted").await;
    for (text, why) in [
        ("policy/nhi/rooted", "the scopes of one integration"),
        ("policy/root", "root can do everything"),
        ("identity-policy/root", "root can do everything"),
    ] {
        let said = world.scope(&id, &[text]).await.unwrap_err();
        assert_eq!(said.refusal(), Some(Refusal::Invalid), "{said}");
        assert!(said.to_string().contains(why), "{said}");
    }
    // Given by hand it is seen, lets nobody in, and is taken away.
    let role = json!({ "token_policies": ["nhi/rooted", "root"] });
    world.by_hand("POST", "auth/approle/role/rooted", role).await;
    let seen = world.connector().read(&id, Want::PLAN).await.unwrap().unwrap();
    assert_eq!(names(&seen), ["policy/root"]);
    let (secret, _) = world.issue(&id, &Settings::default()).await;
    let login = json!({ "role_id": made.vendor_id, "secret_id": secret.expose() });
    assert_ne!(world.call("POST", "auth/approle/login", Some(login)).await.0, 200);
    assert!(names(&world.scope(&id, &[]).await.unwrap()).is_empty());
}

#[tokio::test]
async fn a_refused_setting_is_named_with_what_was_asked_for() {
    let world = World::new().await;
    let (id, _) = world.integration("refused").await;
    let text = |text: &str| Setting::Text(text.to_owned());
    let lives = Settings::default().with("token_ttl", text("2h")).with("token_max_ttl", text("1h"));
    let odd = Settings::default().with("token_type", text("bogus"));
    let uses = Settings::default().with("token_num_uses", Setting::Count(-5));
    for (settings, parts) in [
        (lives, ["token_ttl is above token_max_ttl", "token_max_ttl = 3600"]),
        (odd, ["does not take this token_type", "token_type = \"bogus\""]),
        (uses, ["does not take this token_num_uses", "token_num_uses = -5"]),
    ] {
        let change = Change { settings: Some(settings.clone()), ..Change::default() };
        let said = world.connector().modify(&id, &change).await.unwrap_err().to_string();
        assert!(parts.iter().all(|one| said.contains(one)), "{said}");
        let made = world.connector().create(&NewIntegration { settings, ..new("refused2") }).await;
        let said = made.unwrap_err().to_string();
        assert!(parts.iter().all(|one| said.contains(one)), "{said}");
    }
}

#[tokio::test]
async fn what_was_read_of_a_role_made_by_hand_changes_nothing_when_it_is_written_back() {
    let world = World::new().await;
    let bao = world.connector();
    let limited = json!({
        "token_bound_cidrs": ["127.0.0.1/32", "2001:DB8::/32", "::1"],
        "token_explicit_max_ttl": "12h",
        "secret_id_bound_cidrs": ["127.0.0.1/32", "10.0.0.0/8"], "secret_id_num_uses": 50,
        "secret_id_ttl": "40d", "token_type": "batch", "token_no_default_policy": true,
    });
    for (name, body) in [
        ("bare", json!({})),
        ("strict", json!({"token_strictly_bind_ip": true})),
        ("limited", limited),
    ] {
        let path = format!("auth/approle/role/{name}");
        world.by_hand("POST", &path, body).await;
        let (_, before) = world.call("GET", &path, None).await;
        let id = object(name, None);
        let found = bao.read(&id, Want::PLAN).await.unwrap().unwrap();
        let settings = found.settings.clone();
        if name == "bare" {
            assert_eq!(settings.text("token_ttl"), Some("0"), "said, or our default would stand");
            assert_eq!(settings.flag("no_default_policy"), Some(false));
            assert_eq!(settings.flag("token_strictly_bind_ip"), None);
        } else if name == "strict" {
            assert_eq!(settings.flag("token_strictly_bind_ip"), Some(true));
        } else {
            let blocks = |name: &str| settings.texts(name).unwrap().iter().cloned().collect();
            let tokens: Vec<String> = blocks("token_bound_cidrs");
            assert_eq!(tokens, ["127.0.0.1/32", "2001:db8::/32", "::1/128"]);
            let secret_ids: Vec<String> = blocks("secret_id_bound_cidrs");
            assert_eq!(secret_ids, ["10.0.0.0/8", "127.0.0.1/32"]);
            let lengths = ["token_explicit_max_ttl", "secret_id_ttl"].map(|one| settings.text(one));
            assert_eq!(lengths, [Some("12h"), Some("40d")]);
            assert_eq!(settings.count("secret_id_num_uses"), Some(50));
        }
        let change = Change { settings: Some(settings), ..Change::default() };
        assert_eq!(bao.modify(&id, &change).await.unwrap().settings, found.settings);
        let (_, after) = world.call("GET", &path, None).await;
        let (mut before, mut after) = (before["data"].clone(), after["data"].clone());
        for blocks in ["token_bound_cidrs", "secret_id_bound_cidrs"] {
            for role in [&mut before, &mut after] {
                if let Some(blocks) = role[blocks].as_array_mut() {
                    blocks.sort_by_key(ToString::to_string);
                }
            }
        }
        assert_eq!(after, before, "{name}");
    }
}

#[tokio::test]
async fn a_secret_id_beyond_the_limits_of_its_role_is_refused_by_their_names() {
    let world = World::new().await;
    let bao = world.connector();
    let (id, _) = world.integration("within").await;
    let issue = async |limits: serde_json::Value, settings: &Settings, ends: bool| {
        world.by_hand("POST", "auth/approle/role/within", limits).await;
        let secret = bao.choose_secret(TYPE, settings, MARKER).unwrap();
        let request = IssueRequest {
            credential_type: TYPE,
            profile: "add-ours",
            marker: MARKER,
            secret: Some(&secret),
            settings,
            expires_at: ends.then(|| Timestamp::now() + SignedDuration::from_hours(2)),
        };
        bao.issue(&id, request).await.unwrap_err()
    };
    let none = Settings::default();
    let uses = none.clone().with("num_uses", Setting::Count(9));
    let bounds = none.clone().with("bound_cidrs", Setting::Texts(["127.0.0.1/32".into()].into()));
    for refused in [
        issue(json!({"secret_id_ttl": "1h"}), &none, true).await,
        issue(json!({"secret_id_ttl": 0, "secret_id_num_uses": 5}), &uses, false).await,
        issue(
            json!({"secret_id_num_uses": 0, "secret_id_bound_cidrs": ["10.0.0.0/8"]}),
            &bounds,
            false,
        )
        .await,
    ] {
        assert_eq!(refused.refusal(), Some(Refusal::Invalid), "{refused}");
        assert!(refused.to_string().contains("secret_id_ttl"), "{refused}");
    }
}

#[tokio::test]
async fn a_credential_ends_when_it_was_told_to_and_keeps_to_its_bounds() {
    let world = World::new().await;
    let bao = world.connector();
    let (id, _) = world.integration("bounds").await;
    let settings = Settings::default()
        .with("bound_cidrs", Setting::Texts(["127.0.0.0/8".to_owned()].into()))
        .with("num_uses", Setting::Count(5));
    let end = Timestamp::now() + SignedDuration::from_hours(2);
    let request = IssueRequest {
        credential_type: TYPE,
        profile: "add-marked",
        marker: MARKER,
        secret: None,
        settings: &settings,
        expires_at: Some(end),
    };
    let issued = bao.issue(&id, request).await.unwrap();
    let secret = issued.secret.unwrap();
    let ends = issued.expires_at.unwrap();
    assert!((ends.as_second() - end.as_second()).abs() <= 5, "{ends} for {end}");
    assert_eq!(bao.probe(&id, TYPE, &secret).await.unwrap(), ACCEPTED);
    // Another process: nothing is known from before, and a use is gone.
    let listing = World::new().await.connector().credentials(&id).await.unwrap();
    assert!(listing.complete);
    let [one] = &listing.credentials[..] else { panic!("{listing:?}") };
    assert_eq!(
        (&one.key_id, one.marker.as_deref(), &one.settings),
        (&issued.key_id, Some(MARKER), &settings)
    );
    assert!(one.live && one.expires_at == Some(ends));
}

#[tokio::test]
async fn a_token_that_is_bound_to_other_addresses_is_revoked_all_the_same() {
    let world = World::new().await;
    let bao = world.connector();
    let (id, _) = world.integration("elsewhere").await;
    let settings = Settings::default()
        .with("token_ttl", Setting::Text("30m".into()))
        .with("token_bound_cidrs", Setting::Texts(["10.1.0.0/16".to_owned()].into()));
    let changed =
        bao.modify(&id, &Change { settings: Some(settings), ..Change::default() }).await.unwrap();
    assert_eq!(changed.settings.text("token_ttl"), Some("30m"));
    let (secret, _) = world.issue(&id, &Settings::default()).await;
    let probed = bao.probe(&id, TYPE, &secret).await.unwrap();
    assert!(!matches!(probed, Probe::Accepted { residual: Some(_), .. }), "{probed:?}");
    assert_eq!(bao.sweep(&id, None).await.unwrap(), Children::None, "nothing is left");
}

#[tokio::test]
async fn a_role_is_never_locked_by_proofs() {
    let world = World::new().await;
    let bao = world.connector();
    let (id, made) = world.integration("locked").await;
    let (secret, _) = world.issue(&id, &Settings::default()).await;
    let mut sent = 0;
    for _ in 0..9 {
        match bao.probe(&id, TYPE, &bao.random_like(TYPE, &secret).unwrap()).await {
            Ok(Probe::Refused { .. }) => sent += 1,
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert!(error.to_string().contains("5 in a row lock the role"), "{error}")
            }
        }
    }
    assert_eq!(sent, 2);
    let login = json!({"role_id": made.vendor_id, "secret_id": secret.expose()});
    world.by_hand("POST", "auth/approle/login", login).await;
}

#[tokio::test]
async fn a_role_is_not_locked_either_where_its_mount_locks_after_two_refusals() {
    let root = World::new().await;
    // The other tests ask what is weak outside of it.
    root.by_hand("POST", "sys/namespaces/strict", json!({})).await;
    root.by_hand("POST", "strict/sys/auth/approle", json!({"type": "approle"})).await;
    let tune =
        json!({"user_lockout_config": {"lockout_threshold": "2", "lockout_duration": "10m"}});
    root.by_hand("POST", "strict/sys/mounts/auth/approle/tune", tune).await;
    let settings = Settings::default().with("namespace", Setting::Text("strict/".into()));
    let world = World::with(crate::world::root(), settings).await;
    let bao = world.connector();
    let (id, made) = world.integration("strict").await;
    let (secret, _) = world.issue(&id, &Settings::default()).await;
    let usual = bao.promises(TYPE).await.unwrap()[0].profile.probe;
    let budget = bao.probe_budget(&id, usual).await;
    assert_eq!((budget.between_successes, budget.in_window), (0, 1), "no room for a round");
    let mut sent = 0;
    for _ in 0..3 {
        match bao.probe(&id, TYPE, &bao.random_like(TYPE, &secret).unwrap()).await {
            Ok(Probe::Refused { .. }) => sent += 1,
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(error.to_string().contains("2 in a row lock"), "{error}"),
        }
    }
    assert_eq!(sent, 1);
    let login = json!({"role_id": made.vendor_id, "secret_id": secret.expose()});
    root.by_hand("POST", "strict/auth/approle/login", login).await;
    let notes = bao.notes().await;
    assert!(notes.iter().any(|note| note.contains("auth/approle locks a role")), "{notes:#?}");
    let notes = root.connector().notes().await;
    assert!(!notes.iter().any(|note| note.contains("locks a role")), "{notes:#?}");
}

#[tokio::test]
async fn a_role_that_the_server_locked_is_named_with_what_opens_it() {
    let root = World::new().await;
    root.by_hand("POST", "sys/namespaces/locks", json!({})).await;
    root.by_hand("POST", "locks/sys/auth/approle", json!({"type": "approle"})).await;
    let settings = || Settings::default().with("namespace", Setting::Text("locks/".into()));
    let world = World::with(crate::world::root(), settings()).await;
    let bao = world.connector();
    let (_, open) = world.integration("open").await;
    let (id, shut) = world.integration("shut").await;
    let (secret, _) = world.issue(&id, &Settings::default()).await;
    let told = async |world: &World| {
        let notes = world.connector().notes().await;
        notes.into_iter().filter(|note| note.contains("locked")).collect::<Vec<_>>()
    };
    assert_eq!(told(&world).await, [""; 0]);
    let login = |secret: &str| json!({"role_id": shut.vendor_id, "secret_id": secret});
    for _ in 0..5 {
        root.call("POST", "locks/auth/approle/login", Some(login("wrong"))).await;
    }
    let good = Some(login(secret.expose()));
    let (status, _) = root.call("POST", "locks/auth/approle/login", good.clone()).await;
    assert_eq!(status, 403, "the good one is refused too");
    let [note] = &told(&world).await[..] else { panic!("{:#?}", bao.notes().await) };
    assert!(note.contains("the role \"shut\"") && !note.contains(&open.vendor_id), "{note}");
    // Another namespace's roles are not ours.
    assert_eq!(told(&root).await, [""; 0]);
    let (_, command) = note.split_once("bao write -f -namespace=locks ").unwrap();
    root.by_hand("POST", &format!("locks/{command}"), json!({})).await;
    assert_eq!(told(&world).await, [""; 0]);
    let (status, _) = root.call("POST", "locks/auth/approle/login", good).await;
    assert_eq!(status, 200);
    // Who may not look is told that, and no more.
    let policy = r#"
        path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
        path "sys/locked-users" { capabilities = ["deny"] }
    "#;
    let policy = json!({ "policy": policy });
    root.by_hand("POST", "locks/sys/policies/acl/blind", policy).await;
    let token = json!({"policies": ["blind"], "no_default_policy": true});
    let token = root.by_hand("POST", "locks/auth/token/create", token).await;
    let token = token["auth"]["client_token"].as_str().unwrap();
    let [note] = &told(&World::with(token, settings()).await).await[..] else { panic!() };
    assert!(note.contains("lacks read on sys/locked-users"), "{note}");
}

#[tokio::test]
async fn an_integration_can_live_on_another_mount() {
    let world = World::new().await;
    let bao = world.connector();
    world.by_hand("POST", "sys/auth/team/roles", json!({"type": "approle"})).await;
    let one = new("moved");
    let settings = one.settings.clone().with("mount", Setting::Text("team/roles".into()));
    let made = bao.create(&NewIntegration { settings, ..one }).await.unwrap();
    assert_eq!((made.key.as_str(), made.settings.text("mount")), ("moved", Some("team/roles")));
    assert_eq!(made.record, Some(record()));
    let id = object("moved", Some(&made.vendor_id));
    let (secret, _) = world.issue(&id, &Settings::default()).await;
    assert_eq!(bao.probe(&id, TYPE, &secret).await.unwrap(), ACCEPTED);
    world.by_hand("POST", "auth/team/roles/role/stray", json!({})).await;
    let listed = bao.list(Want { freshness: Freshness::Fresh, ..Want::LEAN }).await.unwrap();
    let keys: Vec<&str> = listed.integrations.iter().map(|one| one.key.as_str()).collect();
    assert!(keys.contains(&"moved") && keys.contains(&"team/roles:stray"), "{keys:?}");
    let stray = bao.read(&object("team/roles:stray", None), Want::PLAN).await.unwrap().unwrap();
    assert_eq!(stray.settings.text("mount"), Some("team/roles"));
    assert_eq!(bao.delete(&id).await.unwrap(), Ended::Now);
    assert_eq!(world.call("GET", "auth/team/roles/role/moved", None).await.0, 404);
}

#[tokio::test]
async fn a_secret_that_nobody_registered_is_not_found() {
    let world = World::new().await;
    let (id, _) = world.integration("lookup").await;
    assert_eq!(world.connector().find(&id, TYPE, &Secret::new("nobody")).await.unwrap(), None);
}
