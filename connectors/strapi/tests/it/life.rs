//! What is particular to Strapi: an own token whose secret is replaced in one call, secrets that are
//! shown by id, a record in pieces.

use connector::{
    Change, Ended, Error, Freshness, Outcome, Refusal, Want,
    fault_proxy::{Effect, FaultProxy, Rule},
};
use domain::{LastUsed, Scope, Secret, Settings, settings::Setting};
use serde_json::{Value, json};

use crate::world::{FIND, KIND, MARKER, OWN, TOKEN, World, cms, new, object, record};

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn put(id: &Value, change: &Value) {
    cms().by_hand("PUT", &format!("admin/api-tokens/{id}"), Some(change)).unwrap();
}

/// The names of all tokens that begin so.
fn named(beginning: &str) -> Vec<String> {
    let all = cms().tokens().unwrap();
    let names = all.iter().map(|one| text(&one["name"]));
    names.filter(|name| name.starts_with(beginning)).collect()
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn another_secret_of_an_own_token_is_all_that_works_from_that_call_on() {
    let world = World::new();
    let shop = world.integration("own").await;
    world.give(&shop, &[FIND]).await.unwrap();
    assert!(world.keys(&shop).await.is_empty(), "nobody holds what it was born with");
    let (first, one) = world.issue(&shop, OWN).await.unwrap();
    assert_eq!(cms().lists_tickets(first.expose()).unwrap(), 200);
    let (beside, further) = world.issue(&shop, TOKEN).await.unwrap();
    let (second, two) = world.issue(&shop, OWN).await.unwrap();
    assert_eq!(cms().lists_tickets(first.expose()).unwrap(), 401);
    assert!(!world.lets_in(&shop, &first).await && world.lets_in(&shop, &second).await);
    assert!(world.lets_in(&shop, &beside).await, "a further one is another token");
    let mut keys = [further.key_id.clone(), two.key_id.clone()];
    keys.sort();
    let mut told = world.keys(&shop).await;
    told.sort();
    assert!(told == keys && one.key_id != two.key_id, "{told:?} {keys:?}");
    // The server says of a token when it was last used, with whichever secret.
    let listed = world.connector.credential(&shop, &two.key_id).await.unwrap().unwrap();
    assert_eq!((listed.last_used, listed.marker), (LastUsed::Unknown, None));
    assert_eq!(world.connector.end(&shop, &one.key_id).await.unwrap(), Ended::AlreadyGone);
    assert!(world.lets_in(&shop, &second).await, "what is gone is not what is there");
    assert_eq!(world.connector.end(&shop, &two.key_id).await.unwrap(), Ended::Now);
    assert!(!world.lets_in(&shop, &second).await && world.lets_in(&shop, &beside).await);
    assert_eq!(world.keys(&shop).await, [further.key_id]);
    let (third, _) = world.issue(&shop, OWN).await.unwrap();
    assert_eq!(
        cms().lists_tickets(third.expose()).unwrap(),
        200,
        "the token was there all the time"
    );
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn a_regeneration_without_an_answer_leaves_no_dead_secret_that_is_told_to_live() {
    let direct = World::new();
    let shop = direct.integration("cut").await;
    direct.give(&shop, &[FIND]).await.unwrap();
    let (first, one) = direct.issue(&shop, OWN).await.unwrap();
    for effect in [Effect::LoseAnswer, Effect::LoseRequest] {
        let proxy = FaultProxy::start(&cms().address()).await.unwrap();
        let world = World::at(proxy.address(), &cms().token, Settings::default());
        proxy.add(Rule::once("POST", "regenerate", effect));
        let lost = world.issue(&shop, OWN).await.unwrap_err();
        assert_eq!(lost.outcome(), Outcome::Ambiguous, "{lost}");
        let told = direct.keys(&shop).await;
        assert!(told.len() == 1 && told[0] != one.key_id, "{told:?}");
    }
    assert!(!direct.lets_in(&shop, &first).await);
    let (again, new) = direct.issue(&shop, OWN).await.unwrap();
    assert!(direct.lets_in(&shop, &again).await);
    assert_eq!(direct.keys(&shop).await, [new.key_id.as_str()]);

    // Where it is refused, what was there is there.
    let weak = cms().admin_token("no-regenerate", &["read", "update"]).unwrap();
    let weak = World::with(&weak, Settings::default());
    let refused = weak.issue(&shop, OWN).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Forbidden), "{refused}");
    assert_eq!(direct.keys(&shop).await, [new.key_id.as_str()]);
    assert!(direct.lets_in(&shop, &again).await);
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn only_an_own_token_s_secret_is_asked_for_by_id_and_none_is_in_what_is_read_or_in_a_log() {
    let world = World::new();
    let shop = world.integration("shown").await;
    let (secret, issued) = world.issue(&shop, TOKEN).await.unwrap();
    let (own, of_own) = world.issue(&shop, OWN).await.unwrap();
    for (name, secret) in [("shown", &own), (&*format!("shown {MARKER}"), &secret)] {
        let id = cms().named(name).unwrap()["id"].clone();
        let told = cms().shown(&id).unwrap();
        assert_eq!(told, secret.expose(), "the server shows it no more: say so in the README");
    }
    let mut told = format!("{:?}", world.connector.list(Want::DEED).await.unwrap());
    told += &format!("{:?}", world.connector.credentials(&shop).await.unwrap());
    assert!(
        world.connector.shown(&shop, &issued.key_id).await.unwrap().is_none(),
        "it never changes"
    );
    let sent = world.wire.sent().join("\n");
    assert!(!sent.contains("GET admin/api-tokens/{id}"), "{sent}");
    told += &sent;
    told += &format!("{:?}", world.connector.shown(&shop, &of_own.key_id).await.unwrap());
    let shown = async || world.connector.shown(&shop, &of_own.key_id).await.unwrap();
    assert!(shown().await.is_some_and(|one| one.expose() == own.expose()));
    let id = cms().named("shown").unwrap()["id"].clone();
    cms().by_hand("POST", &format!("admin/api-tokens/{id}/regenerate"), None).unwrap();
    let theirs = shown().await.unwrap();
    assert!(theirs.expose() != own.expose() && world.lets_in(&shop, &theirs).await);
    told += &format!("{:?}", world.connector.find(&shop, TOKEN, &secret).await.unwrap());
    world.connector.end(&shop, &issued.key_id).await.unwrap();
    world.connector.end(&shop, &of_own.key_id).await.unwrap();
    world.connector.delete(&shop).await.unwrap();
    let sent = world.wire.sent().join("\n");
    assert!(sent.contains("POST admin/api-tokens/{id}/regenerate"), "{sent}");
    for one in [secret.expose(), own.expose(), theirs.expose(), &cms().token] {
        assert!(!told.contains(one) && !sent.contains(one), "{told}\n{sent}");
    }
    let notes = world.connector.notes().await.join("\n");
    assert!(notes.contains("shows the secret of each API token"), "{notes}");
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn a_token_that_somebody_made_keeps_its_secret_when_it_is_taken_in_until_that_is_ended() {
    let world = World::new();
    let made = cms().issue("old shop", &[FIND]).unwrap();
    put(&made["id"], &json!({ "description": "Ask Bob" }));
    let secret = Secret::new(text(&made["accessKey"]));
    let seen = world.connector.read(&object("old shop", None), Want::DEED).await.unwrap().unwrap();
    assert_eq!((seen.record.as_ref(), seen.kind.as_str(), seen.builtin), (None, KIND, false));
    let before = seen.credentials.clone().unwrap();
    assert_eq!(before.len(), 1);
    let refused = world.connector.create(&new("old shop")).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Conflict), "{refused}");

    let shop = object("old shop", Some(&seen.vendor_id));
    let long = "Two lines\nof it, ".repeat(40);
    for purpose in ["The first", &long, "Another one"] {
        let change = Change { record: Some(record(purpose)), ..Change::default() };
        let taken = world.connector.modify(&shop, &change).await.unwrap();
        assert_eq!(
            (taken.record, taken.vendor_id),
            (Some(record(purpose)), seen.vendor_id.clone())
        );
        let now = world.connector.credentials(&shop).await.unwrap().credentials;
        assert_eq!(now, before, "its credential is the same");
    }
    let told = text(&cms().named("old shop").unwrap()["description"]);
    assert!(told.starts_with("Ask Bob\n"), "{told}");
    assert_eq!(named("old shop nhi-record ").len(), 1, "earlier pieces go");
    assert!(world.lets_in(&shop, &secret).await);
    assert_eq!(world.connector.end(&shop, &before[0].key_id).await.unwrap(), Ended::Now);
    assert!(!world.lets_in(&shop, &secret).await && world.keys(&shop).await.is_empty());
    let told = text(&cms().named("old shop").unwrap()["description"]);
    assert!(told.starts_with("Ask Bob\n"), "{told}");

    // Whoever empties the description takes the record with it, and what is said of the secret.
    put(&made["id"], &json!({ "description": "" }));
    let now = world.connector.read(&shop, Want::DEED).await.unwrap().unwrap();
    assert_eq!((now.record, now.credentials.unwrap().len()), (None, 1));
    let full = json!({ "description": "x".repeat(250) });
    put(&made["id"], &full);
    let change = Change { record: Some(record("No room")), ..Change::default() };
    let said = world.connector.modify(&shop, &change).await.unwrap_err();
    assert!(said.to_string().contains("longer than 255 characters"), "{said}");
    assert_eq!(world.connector.delete(&shop).await.unwrap(), Ended::Now);
    assert!(named("old shop").is_empty());
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn what_an_integration_may_every_token_of_it_may_and_no_other() {
    let world = World::new();
    let shop = world.integration("reach").await;
    let (secret, _) = world.issue(&shop, TOKEN).await.unwrap();
    assert_eq!(cms().lists_tickets(secret.expose()).unwrap(), 403);
    assert!(world.lets_in(&shop, &secret).await, "who may do nothing is known all the same");
    world.give(&shop, &[FIND]).await.unwrap();
    assert_eq!(cms().lists_tickets(secret.expose()).unwrap(), 200);
    // Somebody widens a further token.
    let further = cms().named(&format!("reach {MARKER}")).unwrap();
    for change in [
        json!({ "permissions": [FIND, "api::ticket.ticket.delete"] }),
        json!({ "type": "full-access" }),
    ] {
        put(&further["id"], &change);
        let seen = world.connector.read(&shop, Want::DEED).await.unwrap().unwrap();
        assert_eq!(seen.scopes.len(), 2, "{:?}", seen.scopes);
        let now = world.give(&shop, &[FIND]).await.unwrap();
        let held: Vec<&str> = now.scopes.iter().map(|one| Scope::as_str(&one.scope)).collect();
        assert_eq!(held, [FIND]);
    }
    let no_such = world.give(&shop, &[FIND, "api::moon.moon.find"]).await.unwrap_err();
    assert_eq!(no_such.refusal(), Some(Refusal::Invalid), "{no_such}");
    assert!(no_such.to_string().contains("has no such action"), "{no_such}");
    let mixed = world.give(&shop, &[FIND, "read-only"]).await.unwrap_err();
    assert_eq!(mixed.refusal(), Some(Refusal::Invalid), "{mixed}");
    let all = world.connector.list(Want::DEED).await.unwrap().integrations;
    for (name, scope) in [("Full Access", "full-access"), ("Read Only", "read-only")] {
        let one = all.iter().find(|one| one.key == name).unwrap();
        let held: Vec<&str> = one.scopes.iter().map(|one| Scope::as_str(&one.scope)).collect();
        assert!(one.builtin && held == [scope], "{one:?}");
    }
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn a_piece_of_a_record_is_no_credential_unless_somebody_gives_it_power() {
    let world = World::new();
    let shop = world.integration("revived").await;
    let piece = named("revived nhi-record ").remove(0);
    let piece = cms().named(&piece).unwrap();
    let secret = Secret::new(cms().shown(&piece["id"]).unwrap());
    assert_eq!(cms().lists_tickets(secret.expose()).unwrap(), 403);
    assert!(world.keys(&shop).await.is_empty());
    put(&piece["id"], &json!({ "permissions": [FIND] }));
    let seen = world.connector.read(&shop, Want::DEED).await.unwrap().unwrap();
    let [one] = &seen.credentials.unwrap()[..] else { panic!("it is not shown") };
    assert!(one.live && one.marker.is_none() && !seen.parked && seen.record.is_none());
    assert_eq!(world.connector.end(&shop, &one.key_id).await.unwrap(), Ended::Now);
    assert_eq!(cms().lists_tickets(secret.expose()).unwrap(), 401);
    let again = async |purpose: &str| {
        let change = Change { record: Some(record(purpose)), ..Change::default() };
        let now = world.connector.modify(&shop, &change).await.unwrap();
        assert_eq!(now.record, Some(record(purpose)));
        let piece = named("revived nhi-record ").remove(0);
        let piece = cms().named(&piece).unwrap();
        put(&piece["id"], &json!({ "type": "full-access" }));
    };
    again("Written again").await;
    again("Written again").await;
    let now = world.give(&shop, &[FIND]).await.unwrap();
    assert_eq!(now.record, Some(record("Written again")), "a piece keeps no power");
    assert!(world.keys(&shop).await.is_empty());
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn a_plan_costs_one_listing() {
    let world = World::new();
    let mut all = Vec::new();
    for name in ["cost-a", "cost-b", "cost-c"] {
        let one = world.integration(name).await;
        world.issue(&one, TOKEN).await.unwrap();
        all.push(one);
    }
    world.wire.sent();
    for one in &all {
        let seen = world.connector.read(one, Want::LEAN).await.unwrap().unwrap();
        assert_eq!(seen.credentials.map(|all| all.len()), Some(1));
    }
    assert_eq!(world.wire.sent(), ["Request(GET admin/api-tokens)"]);
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn another_project_or_a_token_of_another_kind_is_refused_before_anything_is_concluded() {
    let pinned = Settings::default().with("tenant", Setting::Text("another".into()));
    let world = World::with(&cms().token, pinned);
    let shop = object("elsewhere", None);
    for said in [
        world.connector.tenant().await.map(drop),
        world.connector.list(Want::DEED).await.map(drop),
        world.connector.create(&new("elsewhere")).await.map(drop),
        world.connector.end(&shop, "1.1").await.map(drop),
        world.connector.probe(&shop, TOKEN, &Secret::new("ab".repeat(128))).await.map(drop),
    ] {
        assert!(matches!(said, Err(Error::Tenant { .. })), "{said:?}");
    }
    assert!(world.wire.sent().iter().all(|one| !one.contains("api-tokens")));
    let made = cms().issue("weak", &[FIND]).unwrap();
    let blind = cms().admin_token("blind", &["create"]).unwrap();
    for (token, refusal) in [
        (text(&made["accessKey"]), Refusal::Unauthorized),
        (blind, Refusal::Forbidden),
        ("ab".repeat(128), Refusal::Unauthorized),
    ] {
        let weak = World::with(&token, Settings::default());
        let want = Want { freshness: Freshness::Fresh, ..Want::PLAN };
        let said = weak.connector.list(want).await.unwrap_err();
        assert_eq!(said.refusal(), Some(refusal), "{said}");
        assert!(!said.to_string().contains(&token), "{said}");
        assert!(said.to_string().contains("admin token"), "{said}");
    }
}
