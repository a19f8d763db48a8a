//! What is particular to Unleash: a listing that shows secrets, ends that show late, names that hold
//! everything.

use connector::{Change, Ended, Error, Probe, Refusal, Want};
use domain::{GrantedScope, LastUsed, Scope, Secret, Settings, settings::Setting};
use serde_json::json;

use crate::world::{KIND, MARKER, TYPE, World, flags, new, object, reaching, record};

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn no_secret_that_the_listing_shows_is_in_what_is_read_of_it_or_in_a_log() {
    let world = World::new();
    let shop = world.integration("shown").await;
    let (secret, issued) = world.issue(&shop, &Settings::default()).await.unwrap();
    let theirs = flags().issue("shown", "backend", "production").unwrap();
    let theirs = theirs["secret"].as_str().unwrap().to_owned();
    let listing = flags().by_hand("GET", "admin/api-tokens", None).unwrap().to_string();
    assert!(listing.contains(secret.expose()), "the server shows it no more: say so in the README");

    let mut told = format!("{:?}", world.connector.list(Want::DEED).await.unwrap());
    told += &format!("{:?}", world.connector.credentials(&shop).await.unwrap());
    told += &format!("{:?}", world.connector.find(&shop, TYPE, &secret).await.unwrap());
    told += &format!("{:?}", world.connector.shown(&shop, &issued.key_id).await.unwrap());
    world.connector.end(&shop, &issued.key_id).await.unwrap();
    world.connector.delete(&shop).await.unwrap();
    let sent = world.wire.sent().join("\n");
    assert!(sent.contains("DELETE admin/api-tokens/{secret}"), "{sent}");
    for one in [secret.expose(), &theirs, &flags().token] {
        let (_, hidden) = one.rsplit_once('.').unwrap();
        assert!(!told.contains(hidden) && !sent.contains(hidden), "{told}\n{sent}");
    }
    let notes = world.connector.notes().await.join("\n");
    assert!(notes.contains("shows the secret of every API token"), "{notes}");
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn a_token_asks_where_and_about_what_it_was_issued_for_and_a_change_of_that_does_nothing() {
    let world = World::new();
    let shop = world.integration("reach").await;
    let backend = reaching("backend", "production", &["default"]);
    let (secret, issued) = world.issue(&shop, &backend).await.unwrap();
    let asks =
        async |secret: &Secret| match world.connector.probe(&shop, TYPE, secret).await.unwrap() {
            Probe::Accepted { scopes, .. } => scopes.map(|all| all.into_iter().collect::<Vec<_>>()),
            other => panic!("{other:?}"),
        };
    let is = Some(vec!["backend/production/default".to_owned()]);
    assert_eq!(asks(&secret).await, is);
    // A change of what it reaches is answered with 200.
    let path: String = secret.expose().replace(':', "%3A");
    let body = json!({ "expiresAt": "2199-01-01T00:00:00Z", "projects": ["*"] });
    flags().by_hand("PUT", &format!("admin/api-tokens/{path}"), Some(&body)).unwrap();
    let told = world.connector.credential(&shop, &issued.key_id).await.unwrap().unwrap();
    assert_eq!((&told.settings, told.marker.as_deref()), (&backend, Some(MARKER)));
    assert_eq!(told.expires_at.map(|end| end.to_string()).as_deref(), Some("2199-01-01T00:00:00Z"));
    assert_eq!(told.last_used, LastUsed::Unknown, "told late, and not as never");

    let all = reaching("backend", "development", &["*"]);
    let (everything, _) = world.issue(&shop, &all).await.unwrap();
    assert_eq!(asks(&everything).await, Some(vec!["backend/development/*".to_owned()]));
    let (frontend, _) =
        world.issue(&shop, &reaching("frontend", "production", &["default"])).await.unwrap();
    assert_eq!(asks(&frontend).await, None, "a frontend is not told where it asks");
    let seen = world.connector.read(&shop, Want::PLAN).await.unwrap().unwrap();
    let held: Vec<&str> = seen.scopes.iter().map(|one| Scope::as_str(&one.scope)).collect();
    let reach =
        ["backend/development/*", "backend/production/default", "frontend/production/default"];
    assert_eq!((held, seen.parked), (reach.to_vec(), false));
    let scopes = Some([GrantedScope::standing(Scope::canonical("admin"))].into());
    let refused = world.connector.modify(&shop, &Change { scopes, ..Change::default() }).await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn what_cannot_be_issued_is_said_without_the_servers_words() {
    let world = World::new();
    let shop = world.integration("wrong").await;
    for (settings, said) in [
        (reaching("backend", "moon", &["default"]), "no such environment"),
        (reaching("backend", "development", &["moon"]), "does not have one of the projects"),
    ] {
        let refused = world.issue(&shop, &settings).await.unwrap_err();
        assert_eq!(refused.refusal(), Some(Refusal::Invalid), "{refused}");
        assert!(refused.to_string().contains(said), "{refused}");
    }
    let mixed = reaching("backend", "development", &["*", "default"]);
    let refused = world.issue(&shop, &mixed).await.unwrap_err();
    assert!(matches!(refused, Error::Configuration(_)), "{refused}");
    let seen = world.connector.read(&shop, Want::PLAN).await.unwrap().unwrap();
    assert_eq!((seen.credentials, seen.parked), (Some(Vec::new()), true));
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn tokens_that_somebody_made_are_an_integration_of_their_name_until_it_is_taken_in_and_after()
{
    let world = World::new();
    let first = flags().issue("old shop", "backend", "production").unwrap();
    flags().issue("old shop", "frontend", "production").unwrap();
    let seen = world.connector.read(&object("old shop", None), Want::DEED).await.unwrap().unwrap();
    assert_eq!((seen.record.as_ref(), seen.kind.as_str()), (None, KIND));
    let keys = |seen: &domain::ObservedIntegration| {
        let all = seen.credentials.iter().flatten();
        all.map(|one| (one.key_id.clone(), one.marker.clone())).collect::<Vec<_>>()
    };
    let before = keys(&seen);
    assert_eq!(before.len(), 2);
    assert!(before.iter().all(|(_, marker)| marker.is_none()));
    let refused = world.connector.create(&new("old shop")).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Conflict), "{refused}");

    let shop = object("old shop", Some(&seen.vendor_id));
    for purpose in ["The first", "Another one"] {
        let change = Change { record: Some(record(purpose)), ..Change::default() };
        let taken = world.connector.modify(&shop, &change).await.unwrap();
        assert_eq!(
            (taken.record, taken.vendor_id),
            (Some(record(purpose)), seen.vendor_id.clone())
        );
    }
    // Its oldest token goes, and it is the same integration.
    flags().end(first["secret"].as_str().unwrap()).unwrap();
    let now = world.connector.read(&shop, Want::DEED).await.unwrap().unwrap();
    assert_eq!(keys(&now), before[1..]);
    let records = flags().tokens().unwrap().into_iter().filter(|one| {
        one["tokenName"].as_str().unwrap_or_default().starts_with("old shop nhi-record ")
    });
    assert_eq!(records.count(), 1, "an earlier record goes once the new one is there");
    assert_eq!(world.connector.delete(&shop).await.unwrap(), Ended::Now);
    let left = flags().tokens().unwrap();
    let of_it =
        |one: &&serde_json::Value| one["tokenName"].as_str().unwrap().starts_with("old shop");
    assert_eq!(left.iter().filter(of_it).count(), 0);
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn a_record_lets_nobody_in_and_one_that_somebody_revives_is_a_credential() {
    let world = World::new();
    let shop = world.integration("revived").await;
    let its = |one: &serde_json::Value| one["tokenName"].as_str().unwrap().starts_with("revived ");
    let kept = flags().tokens().unwrap().into_iter().find(its).unwrap();
    let secret = kept["secret"].as_str().unwrap();
    let asked = flags().ask_as(secret, "GET", "frontend", None).unwrap();
    assert_eq!(asked.status, 401);
    let seen = world.connector.read(&shop, Want::DEED).await.unwrap().unwrap();
    assert!(seen.parked && seen.credentials.unwrap().is_empty());
    let body = json!({ "expiresAt": "2199-01-01T00:00:00Z" });
    let path = secret.replace('*', "%2A").replace(':', "%3A");
    flags().by_hand("PUT", &format!("admin/api-tokens/{path}"), Some(&body)).unwrap();
    let seen = world.connector.read(&shop, Want::DEED).await.unwrap().unwrap();
    let [one] = &seen.credentials.unwrap()[..] else { panic!("it is not shown") };
    assert!(one.live && one.marker.is_none() && !seen.parked, "{one:?}");
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn a_plan_costs_one_listing_and_our_own_token_is_known_in_it() {
    let world = World::new();
    let mut all = Vec::new();
    for name in ["cost-a", "cost-b", "cost-c"] {
        let one = world.integration(name).await;
        world.issue(&one, &Settings::default()).await.unwrap();
        all.push(one);
    }
    world.wire.sent();
    for one in &all {
        let seen = world.connector.read(one, Want::LEAN).await.unwrap().unwrap();
        assert_eq!(seen.credentials.map(|all| all.len()), Some(1));
    }
    assert_eq!(world.wire.sent(), ["Request(GET admin/api-tokens)"]);
    let ourselves = world.connector.ourselves().await.unwrap().unwrap();
    assert!(ourselves.is(KIND, "admin"), "{ourselves:?}");
    let listed = world.connector.credentials(&object("admin", None)).await.unwrap().credentials;
    assert_eq!(ourselves.key_id.as_ref(), Some(&listed[0].key_id));
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn another_server_or_a_token_of_another_type_is_refused_before_anything_is_concluded() {
    let pinned = Settings::default().with("tenant", Setting::Text("another".into()));
    let world = World::with(&flags().token, pinned);
    let shop = object("elsewhere", None);
    for said in [
        world.connector.tenant().await.map(drop),
        world.connector.list(Want::DEED).await.map(drop),
        world.connector.create(&new("elsewhere")).await.map(drop),
        world.connector.end(&shop, "1.1").await.map(drop),
        world.connector.probe(&shop, TYPE, &Secret::new("default:development.x")).await.map(drop),
    ] {
        assert!(matches!(said, Err(Error::Tenant { .. })), "{said:?}");
    }
    assert!(world.wire.sent().iter().all(|one| !one.contains("api-tokens")));
    let made = flags().issue("weak", "backend", "development").unwrap();
    for (token, refusal) in [
        (made["secret"].as_str().unwrap(), Refusal::Forbidden),
        ("*:*.nobody", Refusal::Unauthorized),
    ] {
        let weak = World::with(token, Settings::default());
        let said = weak.connector.list(Want::DEED).await.unwrap_err();
        assert_eq!(said.refusal(), Some(refusal), "{said}");
        assert!(!said.to_string().contains(token), "{said}");
    }
}
