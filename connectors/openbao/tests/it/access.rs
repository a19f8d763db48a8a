//! Access for a while, on the real server.

use connector::{Ended, Error, Want};
use domain::{Settings, Span, settings::Setting};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    wire::Counted,
    world::{World, address, call, for_a, new, object},
};

const QUARTER: Span = Span::from_secs(900);

/// What the server says to a token that reads a document.
async fn reads(token: &domain::Secret, path: &str) -> u16 {
    call(&*Counted::to(address()), token.expose(), "GET", path, None).await.0
}

#[tokio::test]
async fn minted_access_holds_what_the_role_holds_for_no_longer_than_asked_and_is_refused_once_ended()
 {
    let world = World::new().await;
    let bao = world.connector();
    world.by_hand("POST", "secret/data/access/a", json!({"data": {"a": "b"}})).await;
    let (id, _) = world.integration("access").await;
    world.scope(&id, &["secret/data/access/*:read"]).await.unwrap();
    let (_, issued) = world.issue(&id, &Settings::default()).await;

    let before = Timestamp::now();
    let access = bao.mint(&id, for_a(QUARTER)).await.unwrap();
    let other = bao.mint(&id, for_a(QUARTER)).await.unwrap();
    // The role's own tokens live an hour.
    let lives = access.expires_at.as_second() - before.as_second();
    assert!((890..=901).contains(&lives), "{lives}");
    let shown = json!({"accessor": access.handle.expose()});
    let shown = world.by_hand("POST", "auth/token/lookup-accessor", shown).await;
    assert!(shown["data"]["ttl"].as_u64().unwrap() <= 900, "{shown}");
    assert_eq!(reads(&access.token, "secret/data/access/a").await, 200);
    assert_eq!(reads(&access.token, "secret/data/other").await, 403);
    let seen = bao.read(&id, Want::DEED).await.unwrap().unwrap().credentials.unwrap();
    assert!(seen.len() == 1 && seen[0].key_id == issued.key_id, "no credential is left: {seen:?}");

    assert_eq!(bao.end_access(&id, &access.handle).await.unwrap(), Ended::Now);
    assert_eq!(bao.end_access(&id, &access.handle).await.unwrap(), Ended::AlreadyGone);
    assert_eq!(reads(&access.token, "secret/data/access/a").await, 403);
    assert_eq!(
        reads(&other.token, "secret/data/access/a").await,
        200,
        "the other one is untouched"
    );
    bao.end_access(&id, &other.handle).await.unwrap();
}

#[tokio::test]
async fn no_access_is_minted_that_nobody_could_end_or_that_would_live_too_long() {
    let world = World::new().await;
    let bao = world.connector();
    let mut wanted = new("access-batch");
    wanted.settings = wanted.settings.with("token_type", Setting::Text("batch".into()));
    let made = bao.create(&wanted).await.unwrap();
    let batch = object("access-batch", Some(&made.vendor_id));
    let said = bao.mint(&batch, for_a(QUARTER)).await.unwrap_err();
    assert!(said.to_string().contains("token_type"), "{said}");

    let (periodic, _) = world.integration("access-periodic").await;
    let period = json!({"token_period": "2h"});
    world.by_hand("POST", "auth/approle/role/access-periodic", period).await;
    let said = bao.mint(&periodic, for_a(QUARTER)).await.unwrap_err();
    assert!(said.to_string().contains("7200s"), "{said}");
    let swept = bao.sweep(&periodic, None).await.unwrap();
    assert_eq!(swept, connector::Children::None, "what was too long-lived was ended");

    let (short, _) = world.integration("access-short").await;
    world.by_hand("POST", "auth/approle/role/access-short", json!({"secret_id_ttl": "20s"})).await;
    let access = bao.mint(&short, for_a(QUARTER)).await.unwrap();
    bao.end_access(&short, &access.handle).await.unwrap();
    let listed = world.connector().credentials(&short).await.unwrap();
    assert_eq!(listed.credentials, [], "the sign-in used it up");

    let gone = object("access-nowhere", None);
    assert!(matches!(bao.mint(&gone, for_a(QUARTER)).await, Err(Error::Refused { .. })));
}
