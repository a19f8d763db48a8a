//! What others change behind our back is seen, in every place where power can come from.

use std::collections::BTreeSet;

use connector::{Change, Ended, Error, Freshness, NewIntegration, Outcome, Refusal, Want};
use domain::{GrantedScope, Scope, Settings, settings::Setting};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::world::{World, names, new, object, record, scopes};

const FRESH: Want = Want { freshness: Freshness::Fresh, ..Want::LEAN };

#[tokio::test]
async fn a_scope_is_seen_wherever_it_comes_from_and_taken_away_again() {
    let world = World::new().await;
    let (id, made) = world.integration("drift").await;
    let declared = ["secret/data/a:read"];
    world.scope(&id, &declared).await.unwrap();

    let (_, policy) = world.call("GET", "sys/policies/acl/nhi/drift", None).await;
    let text = policy["data"]["policy"].as_str().unwrap();
    let text = format!(
        "{text}\npath \"sys/mounts\" {{ capabilities = [\"read\"] }}\npath \"kv/+/x\" {{\n  capabilities = [\"read\"]\n  min_wrapping_ttl = \"1h\"\n}}\n"
    );
    world.by_hand("POST", "sys/policies/acl/nhi/drift", json!({"policy": text})).await;
    let role = json!({
        "token_policies": ["nhi/drift", "admin"], "bind_secret_id": false, "token_period": "1h",
        "token_bound_cidrs": "127.0.0.1/32",
    });
    world.by_hand("POST", "auth/approle/role/drift", role).await;
    world.by_hand("POST", "identity/entity/name/nhi/drift", json!({"policies": ["extra"]})).await;

    let seen = world.connector().read(&id, FRESH).await.unwrap().unwrap();
    let all = names(&seen);
    assert!(seen.gaps.is_empty(), "{:?}", seen.gaps);
    let opaque = all.iter().find(|one| one.starts_with("rule/kv/+/x#")).unwrap().clone();
    let expected = BTreeSet::from([
        "identity-policy/extra".to_owned(),
        "policy/admin".to_owned(),
        "role/no-secret-needed".to_owned(),
        "role/periodic-tokens".to_owned(),
        "secret/data/a:read".to_owned(),
        "sys/mounts:read".to_owned(),
        opaque,
    ]);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected);

    // What is tolerated stays as it is, the opaque rule too.
    let kept: BTreeSet<GrantedScope> = seen
        .scopes
        .iter()
        .filter(|one| !one.scope.as_str().starts_with("role/"))
        .cloned()
        .collect();
    let change = Change { scopes: Some(kept.clone()), ..Change::default() };
    assert_eq!(world.connector().modify(&id, &change).await.unwrap().scopes, kept);

    let clean = world.scope(&id, &declared).await.unwrap();
    assert_eq!(clean.scopes, scopes(&declared));
    assert_eq!(clean.record, made.record, "the record stays");
    assert!(clean.settings.texts("token_bound_cidrs").is_some(), "what was not asked for stays");
}

#[tokio::test]
async fn one_rule_in_a_spelling_of_the_server_s_hides_no_other() {
    let world = World::new().await;
    let (id, _) = world.integration("spelt").await;
    let declared = ["secret/data/a:read"];
    world.scope(&id, &declared).await.unwrap();
    let (_, policy) = world.call("GET", "sys/policies/acl/nhi/spelt", None).await;
    let text = policy["data"]["policy"].as_str().unwrap();
    let odd = "path \"z/*\" { capabilities = [\"read\"], min_wrapping_ttl = \"1s\" }";
    let text = format!("{text}# by hand\n{odd}\n");
    world.by_hand("POST", "sys/policies/acl/nhi/spelt", json!({"policy": text})).await;
    let seen = world.connector().read(&id, FRESH).await.unwrap().unwrap();
    let all = names(&seen);
    assert!(all.len() == 2 && all.contains(&declared[0].to_owned()), "{all:?}");
    assert!(all.iter().any(|one| one.starts_with("rule/z/*#")), "{all:?}");
    let change = Change { scopes: Some(seen.scopes.clone()), ..Change::default() };
    assert_eq!(world.connector().modify(&id, &change).await.unwrap().scopes, seen.scopes);
    assert_eq!(names(&world.scope(&id, &declared).await.unwrap()), declared);
}

#[tokio::test]
async fn a_policy_that_somebody_wrote_as_json_is_read_by_rule_and_written_anew() {
    let world = World::new().await;
    let (id, _) = world.integration("json").await;
    let text = json!({"path": {
        "js/*": {"capabilities": ["read"]},
        "odd/*": {"capabilities": ["update"], "allowed_parameters": {"a": ["b\"c"], "d": []}},
    }});
    let text = json!({"policy": text.to_string()});
    world.by_hand("POST", "sys/policies/acl/nhi/json", text).await;
    let seen = world.connector().read(&id, FRESH).await.unwrap().unwrap();
    let all = names(&seen);
    assert!(
        all.len() == 2 && all[0] == "js/*:read" && all[1].starts_with("rule/odd/*#"),
        "{all:?}"
    );
    let change = Change { record: Some(record()), ..Change::default() };
    let healed = world.connector().modify(&id, &change).await.unwrap();
    assert_eq!((healed.record, healed.scopes), (Some(record()), seen.scopes));
    assert!(world.scope(&id, &[]).await.unwrap().scopes.is_empty());
    // What else the server takes at the top and in a rule, and what it reads twice.
    let text = r#"{"name": "x", "path": [
        {"js/*": {"capabilities": ["read"], "max_wrapping_ttl": null}},
        {"two/*": {"capabilities": ["read"], "capabilities": ["list"]}}
    ], "path": {"more/*": {"capabilities": ["list"]}}}"#;
    world.by_hand("POST", "sys/policies/acl/nhi/json", json!({"policy": text})).await;
    let seen = world.connector().read(&id, FRESH).await.unwrap().unwrap();
    let all = names(&seen);
    assert_eq!(all[..2], ["js/*:read", "more/*:list"]);
    assert!(all.len() == 3 && all[2].starts_with("rule/two/*#"), "{all:?}");
    let healed = world.connector().modify(&id, &change).await.unwrap();
    assert_eq!(healed.scopes, seen.scopes);
    assert!(world.scope(&id, &[]).await.unwrap().scopes.is_empty());
}

#[tokio::test]
async fn a_role_opened_to_sign_ins_without_a_secret_is_closed_with_the_bounds_that_let_it_open() {
    let world = World::new().await;
    for (name, bounds) in [("open-t", "token_bound_cidrs"), ("open-s", "secret_id_bound_cidrs")] {
        let (id, made) = world.integration(name).await;
        let opened = json!({"bind_secret_id": false, bounds: ["0.0.0.0/0"]});
        world.by_hand("POST", &format!("auth/approle/role/{name}"), opened).await;
        let seen = world.connector().read(&id, FRESH).await.unwrap().unwrap();
        assert_eq!(names(&seen), ["role/no-secret-needed"]);
        // Bounds that stay are no reason to close it: that is the scope's to say.
        let settings = seen.settings.with("token_ttl", Setting::Text("2h".into()));
        let change = Change { settings: Some(settings), ..Change::default() };
        let kept = world.connector().modify(&id, &change).await.unwrap();
        assert_eq!(names(&kept), ["role/no-secret-needed"]);
        let change = Change { settings: Some(made.settings.clone()), ..Change::default() };
        let closed = world.connector().modify(&id, &change).await.unwrap();
        assert!(closed.scopes.is_empty(), "{:?}", closed.scopes);
        assert_eq!(closed.settings, made.settings);
        // The scope, which is changed after the settings, finds nothing left to do.
        assert!(world.scope(&id, &[]).await.unwrap().scopes.is_empty());
    }
}

#[tokio::test]
async fn a_role_on_another_mount_is_not_gone_because_its_record_was_wiped() {
    let world = World::new().await;
    world.call("POST", "sys/auth/ci", Some(json!({"type": "approle"}))).await;
    for (name, deleted) in [("ci-wiped", false), ("ci-unruled", true)] {
        let settings = Settings::default()
            .with("token_ttl", Setting::Text("1h".into()))
            .with("mount", Setting::Text("ci".into()));
        let made = NewIntegration { settings, ..new(name) };
        let made = world.connector().create(&made).await.unwrap();
        let id = object(name, Some(&made.vendor_id));
        let path = format!("sys/policies/acl/nhi/{name}");
        match deleted {
            true => drop(world.call("DELETE", &path, None).await),
            false => drop(world.by_hand("POST", &path, json!({"policy": "# nothing"})).await),
        }
        // As another process would see it, which remembers nothing.
        let other = World::new().await;
        let seen = other.connector().read(&id, FRESH).await.unwrap().expect("it is there");
        assert_eq!(seen.settings.text("mount"), Some("ci"));
        assert_eq!(seen.record, None);
        assert!(other.connector().credentials(&id).await.unwrap().complete);
        let change = Change { record: Some(record()), ..Change::default() };
        let now = other.connector().modify(&id, &change).await.unwrap();
        assert_eq!(now.record, Some(record()));
        drop(world.call("DELETE", &path, None).await);
        let other = World::new().await;
        assert_eq!(other.connector().delete(&id).await.unwrap(), Ended::Now);
        let (status, _) = world.call("GET", &format!("auth/ci/role/{name}"), None).await;
        assert_eq!(status, 404, "{name}: no role is left behind");
    }
}

#[tokio::test]
async fn a_policy_that_comes_through_a_group_is_seen_and_named() {
    let world = World::new().await;
    let (id, _) = world.integration("grouped").await;
    let (_, entity) = world.call("GET", "identity/entity/name/nhi/grouped", None).await;
    let group = json!({"name": "payments", "policies": ["pay"], "member_entity_ids": [entity["data"]["id"]]});
    world.by_hand("POST", "identity/group", group).await;
    let seen = world.connector().read(&id, FRESH).await.unwrap().unwrap();
    assert_eq!(names(&seen), ["identity-policy/pay"]);
    assert!(!seen.parked);
    let refused = world.scope(&id, &[]).await.unwrap_err();
    assert!(refused.to_string().contains("\"payments\""), "{refused}");
    assert_eq!(refused.outcome(), Outcome::Refused, "there was nothing else to do");
}

#[tokio::test]
async fn what_a_group_gives_keeps_nothing_else_from_being_taken_away() {
    let world = World::new().await;
    let (id, _) = world.integration("mixed").await;
    let (_, entity) = world.call("GET", "identity/entity/name/nhi/mixed", None).await;
    let entity = entity["data"]["id"].as_str().unwrap();
    let group = json!({"name": "mixers", "policies": ["pay"], "member_entity_ids": [entity]});
    world.by_hand("POST", "identity/group", group).await;
    let extra = json!({"policies": ["extra"]});
    world.by_hand("POST", &format!("identity/entity/id/{entity}"), extra).await;
    let more = json!({"token_policies": ["nhi/mixed", "more"]});
    world.by_hand("POST", "auth/approle/role/mixed", more).await;
    let seen = world.connector().read(&id, FRESH).await.unwrap().unwrap();
    assert_eq!(names(&seen), ["identity-policy/extra", "identity-policy/pay", "policy/more"]);
    let change = Change { scopes: Some(scopes(&[])), enabled: Some(false), ..Change::default() };
    let refused = world.connector().modify(&id, &change).await.unwrap_err();
    assert!(refused.to_string().contains("\"mixers\""), "{refused}");
    assert_eq!(refused.outcome(), Outcome::Ambiguous, "the rest was done");
    let seen = world.connector().read(&id, FRESH).await.unwrap().unwrap();
    assert_eq!((names(&seen), seen.enabled), (vec!["identity-policy/pay".to_owned()], false));
}

#[tokio::test]
async fn a_policy_that_is_not_attached_gives_nothing_and_one_that_is_gone_is_made_again() {
    let world = World::new().await;
    let (id, _) = world.integration("detached").await;
    world.scope(&id, &["secret/data/a:read"]).await.unwrap();
    world.by_hand("POST", "auth/approle/role/detached", json!({"token_policies": []})).await;
    let seen = world.connector().read(&id, FRESH).await.unwrap().unwrap();
    assert!(seen.scopes.is_empty() && seen.parked);
    assert_eq!(world.call("DELETE", "sys/policies/acl/nhi/detached", None).await.0, 204);
    let seen = world.connector().read(&id, FRESH).await.unwrap().unwrap();
    assert_eq!(seen.record, None);
    let change = Change {
        record: Some(record()),
        scopes: Some(scopes(&["secret/data/a:read"])),
        ..Change::default()
    };
    let healed = world.connector().modify(&id, &change).await.unwrap();
    assert_eq!(
        (names(&healed), healed.record),
        (vec!["secret/data/a:read".into()], Some(record()))
    );
}

#[tokio::test]
async fn a_record_that_was_wiped_is_absent_and_the_rules_stay() {
    let world = World::new().await;
    let (id, _) = world.integration("wiped").await;
    let text = "# by hand\npath \"secret/data/a\" { capabilities = [\"read\"] } # note\n";
    world.by_hand("POST", "sys/policies/acl/nhi/wiped", json!({"policy": text})).await;
    let seen = world.connector().read(&id, FRESH).await.unwrap().unwrap();
    assert_eq!((seen.record.as_ref(), names(&seen)), (None, vec!["secret/data/a:read".to_owned()]));
    let change = Change { record: Some(record()), ..Change::default() };
    world.connector().modify(&id, &change).await.unwrap();
    let (_, policy) = world.call("GET", "sys/policies/acl/nhi/wiped", None).await;
    let written = policy["data"]["policy"].as_str().unwrap();
    assert!(written.contains("# by hand\n") && written.contains("} # note"), "{written}");
}

#[tokio::test]
async fn a_role_that_was_recreated_is_another_one() {
    let world = World::new().await;
    let (id, made) = world.integration("again").await;
    assert_eq!(world.call("DELETE", "auth/approle/role/again", None).await.0, 204);
    assert_eq!(world.connector().read(&id, FRESH).await.unwrap(), None);
    world
        .by_hand("POST", "auth/approle/role/again", json!({"token_policies": ["nhi/again"]}))
        .await;
    for refused in [
        world.connector().read(&id, FRESH).await.unwrap_err(),
        world.scope(&id, &[]).await.unwrap_err(),
        world.connector().delete(&id).await.unwrap_err(),
    ] {
        assert!(matches!(refused, Error::Recreated { .. }), "{refused}");
    }
    let anew = world.connector().read(&object("again", None), FRESH).await.unwrap().unwrap();
    assert_ne!(anew.vendor_id, made.vendor_id);
    // Its sign-ins belong to no entity of ours yet; switching it off makes that so.
    let off = Change { enabled: Some(false), ..Change::default() };
    assert!(!world.connector().modify(&object("again", None), &off).await.unwrap().enabled);
}

#[tokio::test]
async fn somebody_else_s_entity_is_neither_switched_nor_changed_with_ours() {
    let world = World::new().await;
    let named = json!({"name": "people", "policies": ["extra"]});
    let entity = world.by_hand("POST", "identity/entity", named).await;
    world.by_hand("POST", "sys/auth/others", json!({"type": "approle"})).await;
    let (_, mounts) = world.call("GET", "sys/auth", None).await;
    let (id, made) = world.integration("guest").await;
    let (_, own) = world.call("GET", "identity/entity/name/nhi/guest", None).await;
    let own = own["data"]["id"].as_str().unwrap().to_owned();
    assert_eq!(world.call("DELETE", &format!("identity/entity/id/{own}"), None).await.0, 204);
    for (alias, mount) in [(made.vendor_id.as_str(), "approle/"), ("somebody", "others/")] {
        let alias = json!({
            "name": alias,
            "canonical_id": entity["data"]["id"],
            "mount_accessor": mounts["data"][mount]["accessor"],
        });
        world.by_hand("POST", "identity/entity-alias", alias).await;
    }
    let off = Change { enabled: Some(false), ..Change::default() };
    let error = world.connector().modify(&id, &off).await.unwrap_err().to_string();
    assert!(error.contains("\"people\"") && error.contains("identity/entity-alias/id/"), "{error}");
    assert!(world.scope(&id, &["secret/data/a:read"]).await.is_err(), "its policy is not ours");
    world.connector().delete(&id).await.unwrap();
    let (_, stands) = world.call("GET", "identity/entity/name/people", None).await;
    assert_eq!(stands["data"]["disabled"], json!(false));
    assert_eq!(stands["data"]["policies"], json!(["extra"]));
    // The remedy does: the next one gets an entity of its own.
    let (id, _) = world.integration("guest").await;
    assert!(!world.connector().modify(&id, &off).await.unwrap().enabled);
}

#[tokio::test]
async fn a_scope_with_an_end_is_ended_by_the_server() {
    let world = World::new().await;
    let (id, _) = world.integration("dated").await;
    let until = Timestamp::now() + SignedDuration::from_secs(6);
    let until = Timestamp::from_second(until.as_second()).unwrap();
    let dated = GrantedScope { scope: Scope::canonical("secret/data/b:read"), until: Some(until) };
    let mut wanted = scopes(&["secret/data/a:read", "secret/data/b:list"]);
    wanted.insert(dated);
    let change = Change { scopes: Some(wanted.clone()), ..Change::default() };
    assert_eq!(world.connector().modify(&id, &change).await.unwrap().scopes, wanted);
    let token = json!({"policies": ["nhi/dated"], "no_default_policy": true});
    let token = world.by_hand("POST", "auth/token/create", token).await;
    let ask = json!({"token": token["auth"]["client_token"], "paths": ["secret/data/b"]});
    let may = world.by_hand("POST", "sys/capabilities", ask.clone()).await;
    assert_eq!(may["data"]["secret/data/b"], json!(["list", "read"]));
    // Allowed until its end at least, and not for long after it.
    loop {
        let may = world.by_hand("POST", "sys/capabilities", ask.clone()).await;
        if may["data"]["secret/data/b"] == json!(["list"]) {
            break;
        }
        let late = Timestamp::now().duration_since(until);
        assert!(late < SignedDuration::from_secs(15), "{late:#} after its end: {may}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert!(Timestamp::now() >= until, "it ended before its time");
    let seen = world.connector().read(&id, FRESH).await.unwrap().unwrap();
    assert_eq!(names(&seen), ["secret/data/a:read", "secret/data/b:list"]);
}

#[tokio::test]
async fn two_writers_of_one_integration_do_not_overwrite_each_other() {
    let (one, two) = (World::new().await, World::new().await);
    let (id, _) = one.integration("contended").await;
    let (a, b) = tokio::join!(
        one.scope(&id, &["secret/data/a:read"]),
        two.scope(&id, &["secret/data/b:read"])
    );
    let done = [&a, &b].iter().filter(|one| one.is_ok()).count();
    assert!(done >= 1, "{a:?} {b:?}");
    for refused in [a, b].into_iter().filter_map(Result::err) {
        let fits = refused.refusal() == Some(Refusal::Conflict)
            || matches!(refused, Error::UnexpectedAnswer { .. });
        assert!(fits, "{refused}");
    }
    let seen = one.connector().read(&id, FRESH).await.unwrap().unwrap();
    assert_eq!(seen.scopes.len(), 1, "{:?}", names(&seen));
}
