//! Access for a while: open for the length of a run, and nowhere afterwards.

use connector::{
    Refusal as Says,
    fake::{Fault, Verb},
};
use ledger::{Filter, all_entries};
use serde_json::{Value, json};
use tfplugin::{
    Path, Step,
    mini_core::{MiniCore, Opened, Refusal, State},
};

use crate::world::{World, credential, integration, monthly};

const KIND: &str = "nhi_access_token";

/// A world with the integration, and access that is to be opened.
async fn made() -> (World, State, Value) {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let reference = json!({ "id": made.json()["id"], "vendor_id": made.json()["vendor_id"] });
    (world, made, json!({ "integration": reference, "expires_in": "10m" }))
}

fn text(opened: &Opened, name: &str) -> String {
    let found = opened.value.at(&Path::root().with(Step::Attribute(name.to_owned())));
    found.and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

/// Whether the platform lets a token in.
fn works(world: &World, token: &str) -> bool {
    let id = token.strip_prefix("fake-access-").unwrap();
    world.fake.works(id.parse().unwrap())
}

async fn refused(core: &MiniCore, config: &Value) -> String {
    match core.open(KIND, config.clone()).await {
        Err(refusal) => refusal.to_string(),
        Ok(opened) => panic!("{opened:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn access_works_until_it_is_closed_and_the_ledger_has_both_and_nothing_of_the_token() {
    let (world, _, config) = made().await;
    let core = world.run().await;
    let opened = core.open(KIND, config.clone()).await.unwrap();
    let token = text(&opened, "token");
    assert_eq!(text(&opened, "expires_at"), "2026-11-24T10:10:00Z");
    let other = core.open(KIND, config).await.unwrap();
    let others = text(&other, "token");
    assert!(works(&world, &token) && works(&world, &others) && token != others);
    let told = core.close(opened).await.unwrap();
    assert!(told.is_empty(), "{told:?}");
    assert!(!works(&world, &token) && works(&world, &others), "each is closed by itself");
    core.close(other).await.unwrap();
    assert!(!works(&world, &others));
    let all = all_entries(&*world.ledger, Filter::all()).await.unwrap();
    let about = all.iter().filter(|one| one.subject.ends_with("/invoice-sync/access"));
    let deeds: Vec<(&str, &str)> =
        about.map(|one| (&*one.kind, one.step.as_deref().unwrap_or_default())).collect();
    let (mint, end) = (
        [("attempt.started", "mint"), ("attempt.ended", "mint")],
        [("attempt.started", "end"), ("attempt.ended", "end")],
    );
    assert_eq!(deeds, [mint, mint, end, end].concat());
    let ledger = format!("{all:?}");
    assert!(!ledger.contains(&token) && !ledger.contains("fake-access"), "{ledger}");
}

#[tokio::test(start_paused = true)]
async fn access_that_could_not_be_ended_is_told_with_what_is_left_of_it_and_fails_no_run() {
    let (world, _, config) = made().await;
    let core = world.run().await;
    let opened = core.open(KIND, config.clone()).await.unwrap();
    world.fake.fail(Verb::EndAccess, [Fault::Refused(Says::Forbidden)]);
    let told = format!("{:?}", core.close(opened).await.unwrap());
    for part in
        ["E-ACCESS-OPEN", "2026-11-24T10:10:00Z", "nhi revoke 'bao/openbao_approle/invoice-sync'"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    // Over, it has ended by itself, whatever the platform says.
    for fault in [Fault::None, Fault::Refused(Says::Forbidden)] {
        let opened = core.open(KIND, config.clone()).await.unwrap();
        world.pass_hours(1);
        world.fake.fail(Verb::EndAccess, [fault]);
        let told = core.close(opened).await.unwrap();
        assert!(told.is_empty(), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_minted_is_told_and_leaves_nothing_to_close() {
    let (mut world, made, config) = made().await;
    let core = world.run().await;
    world.fake.fail(Verb::Mint, [Fault::Refused(Says::Forbidden)]);
    let said = refused(&core, &config).await;
    assert!(said.contains("mint access") && said.contains("E-NOT-DONE"), "{said}");
    let off = crate::world::with(integration(), json!({ "enabled": false }));
    core.update(&made, off).await.unwrap();
    let said = refused(&core, &config).await;
    assert!(said.contains("E-NO-ACCESS") && said.contains("switched off"), "{said}");
    for (expires_in, says) in [("10s", "1m"), ("13h", "12h"), ("soon", "duration")] {
        let config = crate::world::with(config.clone(), json!({ "expires_in": expires_in }));
        let said = refused(&core, &config).await;
        assert!(said.contains(says), "{expires_in}: {said}");
    }
    let elsewhere = json!({ "integration": { "id": "bao/nosuch_kind/x" } });
    let said = refused(&core, &elsewhere).await;
    assert!(said.contains("E-NO-ACCESS") && said.contains("bao (openbao_approle)"), "{said}");
    let gone = json!({ "integration": { "id": "bao/openbao_approle/nosuch" } });
    assert!(refused(&core, &gone).await.contains("E-GONE"));
    world.read_only = true;
    let said = refused(&world.run().await, &config).await;
    assert!(said.contains("E-READ-ONLY") && said.contains("in plan already"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_credential_to_sign_in_with_is_the_integration_s_own_and_as_it_is_delivered() {
    let (world, made, config) = made().await;
    let core = world.run().await;
    let key = core.create("nhi_credential", credential(&made, monthly())).await.unwrap();
    let with = |more: Value| {
        let key = key.json();
        let place = json!({ "app": { "connection": "apps", "path": "apps/invoice-sync" } });
        let key = json!({ "id": key["id"], "generation": key["generation"], "deliver_to": place });
        let key = crate::world::with(key, more);
        crate::world::with(config.clone(), json!({ "credential": key }))
    };
    let opened = core.open(KIND, with(json!({}))).await.unwrap();
    let token = text(&opened, "token");
    assert!(works(&world, &token));
    core.close(opened).await.unwrap();
    assert!(!works(&world, &token));
    for (more, code) in [
        (json!({ "generation": 2 }), "E-NOT-DELIVERED"),
        (json!({ "id": "bao/openbao_approle/other/credential/default" }), "E-ID"),
        (json!({ "id": "nothing" }), "E-ID"),
        (json!({ "deliver_to": {} }), "E-NO-SINK"),
    ] {
        let said = refused(&core, &with(more)).await;
        assert!(said.contains(code) && said.contains("Next:"), "{code}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn access_of_another_installation_is_not_minted() {
    let (world, _, config) = made().await;
    world.edit_record(|record| record.realm = Some("zzzzzz".into())).await;
    let said = refused(&world.run().await, &config).await;
    assert!(said.contains("E-FOREIGN-REALM"), "{said}");
    assert!(!world.fake.calls().iter().any(|(verb, _)| *verb == Verb::Mint));
}

#[tokio::test(start_paused = true)]
async fn access_through_a_connection_that_is_not_known_yet_waits() {
    let (mut world, _, config) = made().await;
    world.unknown = true;
    let mut core = world.run().await;
    let said = refused(&core, &config).await;
    assert!(said.contains("E-NOT-YET-KNOWN"), "{said}");
    core.capabilities.deferral_allowed = true;
    let waits = core.open(KIND, config).await.unwrap_err();
    assert!(matches!(waits, Refusal::Deferred(_)), "{waits}");
}
