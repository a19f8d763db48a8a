//! What is particular to a hub: numbers that come back, power that is in force at once, filters.

use acceptance_tests::servers::JupyterHub;
use connector::{AccessRequest, Children, Ended, Error, Probe, Refusal, Want};
use domain::{LastUsed, Settings, settings::Setting};
use serde_json::json;

use crate::world::{MARKER, TYPE, World, hub, names, new, object};

#[tokio::test]
async fn a_token_that_got_the_number_of_an_ended_one_is_another_token() {
    // A hub of its own: elsewhere others take the number.
    let hub = JupyterHub::start().unwrap();
    let world = World::at(&hub, &hub.token, Settings::default());
    let bot = world.integration("again").await;
    let (_, first) = world.issue(&bot, MARKER, &[]).await.unwrap();
    assert_eq!(world.connector.end(&bot, &first.key_id).await.unwrap(), Ended::Now);
    let (secret, second) = world.issue(&bot, MARKER, &[]).await.unwrap();
    let number = |key: &str| key.split('.').next().map(str::to_owned);
    assert_eq!(number(&first.key_id), number(&second.key_id), "the hub does so no more");
    assert_ne!(first.key_id, second.key_id);
    assert_eq!(world.connector.end(&bot, &first.key_id).await.unwrap(), Ended::AlreadyGone);
    assert_eq!(world.connector.credential(&bot, &first.key_id).await.unwrap(), None);
    let probed = world.connector.probe(&bot, TYPE, &secret).await.unwrap();
    assert!(matches!(probed, Probe::Accepted { .. }), "{probed:?}");
}

#[tokio::test]
async fn a_token_may_at_once_what_its_user_may_now_and_never_more() {
    let world = World::new();
    let bot = world.integration("power").await;
    let (secret, _) = world.issue(&bot, MARKER, &["inherit"]).await.unwrap();
    let may = async |scope: &str| match world.connector.probe(&bot, TYPE, &secret).await.unwrap() {
        Probe::Accepted { scopes: Some(scopes), .. } => scopes.contains(scope),
        other => panic!("{other:?}"),
    };
    assert!(!may("list:users").await);
    let now = world.scope(&bot, &["group/readers"]).await.unwrap();
    assert_eq!(names(&now), ["group/readers"]);
    assert!(may("list:users").await);
    world.scope(&bot, &["start:servers!server=veteran"]).await.unwrap();
    assert!(!may("list:users").await && may("start:servers!server=veteran/").await);
    let now = world.scope(&bot, &["admin", "read:servers!server=veteran/"]).await.unwrap();
    assert_eq!(names(&now), ["admin", "read:servers!server=veteran/"]);
    assert!(may("shutdown").await);
    world.scope(&bot, &[]).await.unwrap();
    assert!(!may("shutdown").await && !may("read:servers!server=veteran/").await);
}

#[tokio::test]
async fn of_a_share_a_token_gets_what_is_written_in_it_and_not_what_is_inside_of_that() {
    // If the hub mends this, one scope implies another, and that is to be said in `scope`.
    let world = World::new();
    let bot = world.integration("inside").await;
    let (secret, _) = world.issue(&bot, MARKER, &["inherit"]).await.unwrap();
    let status = |scope: &str| {
        let path = format!("users/veteran/server?{scope}");
        hub().ask_as(secret.expose(), "GET", &path, None).unwrap().status
    };
    world.scope(&bot, &["servers!server=veteran/"]).await.unwrap();
    assert_eq!(status("servers"), 404);
    world.scope(&bot, &["servers!server=veteran/", "read:servers!server=veteran/"]).await.unwrap();
    assert_eq!(status("read:servers"), 200);
}

#[tokio::test]
async fn a_token_s_scopes_are_told_as_they_were_asked_for_though_the_hub_shows_more() {
    let world = World::new();
    let bot = world.integration("asked").await;
    let asked = ["read:users!user", "tokens!user=asked"];
    let (_, issued) = world.issue(&bot, MARKER, &asked).await.unwrap();
    let told = world.connector.credential(&bot, &issued.key_id).await.unwrap().unwrap();
    let wanted = Setting::Texts(asked.map(str::to_owned).into());
    assert_eq!(told.settings, Settings::default().with("scopes", wanted));
    assert_eq!((told.marker.as_deref(), told.last_used), (Some(MARKER), LastUsed::Unknown));
    let shown = hub().by_hand("GET", "users/asked/tokens", None).unwrap();
    assert!(shown["api_tokens"][0]["scopes"].as_array().unwrap().len() > 2, "{shown}");
}

#[tokio::test]
async fn a_token_that_was_issued_by_hand_shows_the_least_that_gives_the_same() {
    let world = World::new();
    let bot = world.integration("byhand").await;
    let body = json!({ "note": "mine", "scopes": ["read:users!user"] });
    hub().by_hand("POST", "users/byhand/tokens", Some(&body)).unwrap();
    let all = world.connector.credentials(&bot).await.unwrap().credentials;
    let wanted = Setting::Texts(["read:users!user=byhand".to_owned()].into());
    assert_eq!(all[0].settings, Settings::default().with("scopes", wanted));
    assert_eq!(all[0].marker, None);
}

#[tokio::test]
async fn each_scope_of_the_hub_is_told_as_itself_and_what_is_inside_of_it_is_not() {
    let world = World::new();
    let bot = world.integration("every").await;
    world.scope(&bot, &["admin"]).await.unwrap();
    let me = hub().whose(&hub().token).unwrap().unwrap();
    let all: Vec<&str> =
        me["scopes"].as_array().unwrap().iter().flat_map(|one| one.as_str()).collect();
    assert!(all.len() > 40, "{all:?}");
    for scope in &all {
        let body = json!({ "note": "by hand", "scopes": [scope] });
        hub().by_hand("POST", "users/every/tokens", Some(&body)).unwrap();
    }
    let told = world.connector.credentials(&bot).await.unwrap().credentials;
    let mut told: Vec<String> = told
        .iter()
        .map(|one| one.settings.0.get("scopes").map(ToString::to_string).unwrap_or_default())
        .collect();
    told.sort();
    assert_eq!(told, all);
}

#[tokio::test]
async fn what_cannot_be_issued_is_said_with_the_way_out_and_without_the_hubs_words() {
    let world = World::new();
    let bot = world.integration("more").await;
    let said = world.issue(&bot, MARKER, &["read:users"]).await.unwrap_err();
    assert_eq!(said.refusal(), Some(Refusal::Invalid), "{said}");
    assert!(said.to_string().contains("give the user the scopes first"), "{said}");
    let said = world.issue(&bot, MARKER, &["fly:users"]).await.unwrap_err();
    assert!(said.to_string().contains("this hub does not have"), "{said}");
    world.wire.sent();
    let long = "read:users!user=".to_owned() + &"x".repeat(1_000);
    for wrong in [&["a b"][..], &["inherit", "read:users!user"], &[&long]] {
        let said = world.issue(&bot, MARKER, wrong).await.unwrap_err();
        assert!(matches!(said, Error::Configuration(_)), "{said}");
    }
    assert!(world.wire.sent().is_empty(), "nothing is sent for what is wrong");
}

#[tokio::test]
async fn last_use_is_told_to_the_moment_and_a_secret_finds_its_token() {
    let world = World::new();
    let bot = world.integration("used").await;
    let (secret, issued) = world.issue(&bot, MARKER, &[]).await.unwrap();
    hub().whose(secret.expose()).unwrap().unwrap();
    let found = world.connector.find(&bot, TYPE, &secret).await.unwrap().unwrap();
    assert_eq!(found.key_id, issued.key_id);
    let at = |at| matches!(at, LastUsed::At(at) if at >= issued.issued_at.unwrap());
    assert!(at(found.last_used), "{found:?}");
    let other = world.connector.random_like(TYPE, &secret).unwrap();
    assert_eq!(world.connector.find(&bot, TYPE, &other).await.unwrap(), None);
    // Another user's token is no proof of anything.
    let stranger = world.integration("stranger").await;
    assert!(world.connector.probe(&stranger, TYPE, &secret).await.is_err());
}

#[tokio::test]
async fn a_token_that_made_another_leaves_it_to_be_seen() {
    let world = World::new();
    let bot = world.integration("parent").await;
    let other = MARKER.replace("g1", "g2");
    let (secret, issued) = world.issue(&bot, MARKER, &["tokens!user"]).await.unwrap();
    let sweep = async |marker: &str| world.connector.sweep(&bot, Some(marker)).await.unwrap();
    assert_eq!(sweep(MARKER).await, Children::None);
    assert_eq!(sweep(&other).await, Children::Unknown, "one that nobody has seen");
    let made = hub().ask_as(secret.expose(), "POST", "users/parent/tokens", None).unwrap();
    assert_eq!(made.status, 201);
    world.connector.end(&bot, &issued.key_id).await.unwrap();
    assert_eq!(sweep(MARKER).await, Children::Unknown);
    let left = world.connector.credentials(&bot).await.unwrap().credentials;
    assert!(left.len() == 1 && left[0].marker.is_none() && left[0].live, "{left:?}");
}

#[tokio::test]
async fn what_our_token_may_not_see_is_never_absence() {
    let world = World::of("narrow");
    hub().by_hand("POST", "users/hidden", None).unwrap();
    let read = world.connector.read(&object("hidden", None), Want::DEED).await.unwrap_err();
    assert_eq!(read.refusal(), Some(Refusal::Forbidden), "{read}");
    assert!(read.to_string().contains("without a filter"), "{read}");
    let listed = world.connector.list(Want::PLAN).await.unwrap_err();
    assert_eq!(listed.refusal(), Some(Refusal::Forbidden), "{listed}");
    let notes = world.connector.notes().await.join("\n");
    assert!(notes.contains("lacks the scope list:users") && notes.contains("no admin"), "{notes}");
}

#[tokio::test]
async fn a_role_with_five_scopes_does_every_deed_but_the_admin_flag() {
    let world = World::of("keeper");
    let bot = world.integration("kept").await;
    let held = ["group/readers", "servers!server=veteran/"];
    assert_eq!(names(&world.scope(&bot, &held).await.unwrap()), held);
    let refused = world.scope(&bot, &["admin"]).await.unwrap_err().to_string();
    assert!(refused.contains("only an admin of the hub"), "{refused}");
    let (secret, issued) = world.issue(&bot, MARKER, &["read:users"]).await.unwrap();
    world.connector.probe(&bot, TYPE, &secret).await.unwrap();
    assert!(world.connector.list(Want::DEED).await.unwrap().is_complete());
    assert_eq!(world.connector.end(&bot, &issued.key_id).await.unwrap(), Ended::Now);
    assert_eq!(world.connector.delete(&bot).await.unwrap(), Ended::Now);
    assert_eq!(world.connector.notes().await.len(), 1, "only that it is no admin");
}

#[tokio::test]
async fn a_role_that_only_reads_is_enough_to_look() {
    let bot = World::new().integration("looked").await;
    let world = World::of("viewer");
    let seen = world.connector.read(&bot, Want::PLAN).await.unwrap().unwrap();
    assert!(seen.gaps.is_empty() && seen.record.is_some(), "{seen:?}");
    assert!(world.connector.list(Want::DEED).await.unwrap().is_complete());
    let refused = world.connector.delete(&bot).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Forbidden), "{refused}");
}

#[tokio::test]
async fn a_role_of_the_configuration_is_shown_and_stays_while_everything_else_goes() {
    let world = World::new();
    let veteran = object("veteran", None);
    hub().join("veteran", "graders").unwrap();
    let seen = world.connector.read(&veteran, Want::PLAN).await.unwrap().unwrap();
    assert_eq!(names(&seen), ["group/graders", "role/veteran"]);
    let refused = world.scope(&veteran, &[]).await.unwrap_err().to_string();
    assert!(refused.contains("load_roles") && refused.contains("a part was accepted"), "{refused}");
    let seen = world.connector.read(&veteran, Want::DEED).await.unwrap().unwrap();
    assert_eq!(names(&seen), ["role/veteran"]);
}

#[tokio::test]
async fn a_group_or_a_server_that_is_not_there_is_named_as_missing() {
    let world = World::new();
    let bot = world.integration("nowhere").await;
    for (scope, said) in [
        ("group/nobodys", "no such group: it has to be made in the hub first"),
        ("access:servers!server=veteran/lab", "no such server: its owner has to make it first"),
        ("role/veteran", "load_roles"),
    ] {
        let refused = world.scope(&bot, &[scope]).await.unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[tokio::test]
async fn an_account_that_came_in_between_is_not_made_one_of_ours() {
    let world = World::new();
    hub().by_hand("POST", "users/person", None).unwrap();
    let refused = world.connector.create(&new("person")).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Conflict), "{refused}");
    let seen = world.connector.read(&object("person", None), Want::DEED).await.unwrap().unwrap();
    assert_eq!(seen.record, None);
}

#[tokio::test]
async fn a_plan_costs_a_request_for_two_hundred_users_and_two_for_each_that_is_managed() {
    let hub = JupyterHub::start().unwrap();
    let people = Settings::default().with("people", Setting::Text("graders".into()));
    let world = World::at(&hub, &hub.token, people);
    let many: Vec<String> = (0..230).map(|n| format!("student-{n:03}")).collect();
    hub.by_hand("POST", "users", Some(&json!({ "usernames": many }))).unwrap();
    hub.by_hand("POST", "groups/graders/users", Some(&json!({ "users": many }))).unwrap();
    let mut bots = Vec::new();
    for name in ["bot-a", "bot-b", "bot-c"] {
        bots.push(world.integration(name).await);
    }
    world.wire.sent();
    for bot in &bots {
        let seen = world.connector.read(bot, Want::PLAN).await.unwrap().unwrap();
        assert!(seen.gaps.is_empty() && seen.record.is_some(), "{seen:?}");
    }
    let mut sent = world.wire.sent();
    sent.sort();
    let wanted = [
        &["GET groups"][..],
        &["GET users"; 2],
        &["GET users/{name}/shared"; 3],
        &["GET users/{name}/tokens"; 3],
    ];
    assert_eq!(sent, wanted.concat());
    // People are not listed; whoever has a record of ours is, whatever group they are in.
    hub.join("bot-a", "graders").unwrap();
    let listed = world.connector.list(Want::DEED).await.unwrap();
    let keys: Vec<&str> = listed.integrations.iter().map(|one| one.key.as_str()).collect();
    assert_eq!((keys, listed.gaps), (vec!["bot-a", "bot-b", "bot-c", "veteran"], Vec::new()));
    let everybody = World::at(&hub, &hub.token, Settings::default());
    let listed = everybody.connector.list(Want { credentials: false, ..Want::DEED }).await.unwrap();
    assert_eq!((listed.integrations.len(), listed.is_complete()), (234, true));
}

#[tokio::test]
async fn a_hub_is_its_address_unless_it_is_named() {
    let hub = hub();
    assert_eq!(World::new().connector.tenant().await.unwrap(), hub.address());
    let text = |text: &str| Setting::Text(text.to_owned());
    let moved = Settings::default().with("tenant", text("http://hub.old.example"));
    let refused = World::at(hub, &hub.token, moved.clone());
    for said in [
        refused.connector.tenant().await.map(drop),
        refused.connector.list(Want::DEED).await.map(drop),
        refused.connector.create(&new("elsewhere")).await.map(drop),
        refused.connector.end(&object("veteran", None), "a1.1").await.map(drop),
    ] {
        assert!(matches!(said, Err(Error::Tenant { .. })), "{said:?}");
    }
    assert!(refused.wire.sent().is_empty());
    let known = World::at(hub, &hub.token, moved.with("known_as", text("http://hub.old.example")));
    assert_eq!(known.connector.tenant().await.unwrap(), "http://hub.old.example");
    let wrong = World::at(hub, "nobody", Settings::default()).connector.tenant().await.unwrap_err();
    assert_eq!(wrong.refusal(), Some(Refusal::Forbidden), "{wrong}");
}

#[tokio::test]
async fn the_token_that_a_connection_signs_in_with_is_known_among_its_users() {
    hub().by_hand("POST", "users/boss", Some(&json!({ "admin": true }))).unwrap();
    let made = hub().by_hand("POST", "users/boss/tokens", None).unwrap();
    hub().by_hand("POST", "users/boss/tokens", None).unwrap();
    let world = World::at(hub(), made["token"].as_str().unwrap(), Settings::default());
    let boss = object("boss", None);
    let listed = world.connector.credentials(&boss).await.unwrap().credentials;
    let number = made["id"].as_str().unwrap();
    let is_it = |key_id: &str| key_id.split('.').next() == Some(number);
    let own: Vec<_> = listed.iter().filter(|one| is_it(&one.key_id)).collect();
    world.wire.sent();
    for _ in 0..3 {
        let found = world.connector.ourselves().await.unwrap().unwrap();
        assert_eq!((found.kind.as_str(), found.key.as_str()), ("jupyterhub_user", "boss"));
        assert_eq!(found.key_id.as_ref(), Some(&own[0].key_id), "{listed:?}");
    }
    let sent = world.wire.sent();
    assert!(sent.len() <= 2, "it is asked once: {sent:?}");
    // A service is no user.
    assert_eq!(World::new().connector.ourselves().await.unwrap(), None);
}

#[tokio::test]
async fn access_may_what_its_user_may_stands_marked_with_its_end_and_is_deleted_with_its_use() {
    let world = World::new();
    let bot = world.integration("visitor").await;
    world.scope(&bot, &["group/readers"]).await.unwrap();
    let request = AccessRequest { life: domain::Span::from_secs(900), marker: MARKER, with: None };
    let access = world.connector.mint(&bot, request).await.unwrap();
    let lists = || hub().ask_as(access.token.expose(), "GET", "users", None).unwrap().status;
    assert_eq!(lists(), 200, "what its group lets it");
    let all = world.connector.credentials(&bot).await.unwrap().credentials;
    let [one] = &all[..] else { panic!("{all:?}") };
    assert_eq!(one.marker.as_deref(), Some(MARKER));
    assert_eq!(one.expires_at, Some(access.expires_at));
    assert_eq!(world.connector.end_access(&bot, &access.handle).await.unwrap(), Ended::Now);
    assert_eq!(lists(), 403);
    let again = world.connector.end_access(&bot, &access.handle).await.unwrap();
    assert_eq!(again, Ended::AlreadyGone);
    assert!(world.connector.credentials(&bot).await.unwrap().credentials.is_empty());
    // Another incarnation of the user is nobody's to get in as.
    let other = object("visitor", Some("2020-01-01T00:00:00Z"));
    let error = world.connector.mint(&other, request).await.unwrap_err();
    assert!(matches!(error, Error::Recreated { .. }), "{error}");
}
