//! The same suite with GitHub's published contract in between: what we ask is what it takes, and what our
//! own GitHub answers is what it says. Second ring: the contract is a large download.

use acceptance_tests::servers::Contract;
use connector::{Ended, Platform, Probe, Want, conformance};
use domain::{Settings, settings::Setting};

use crate::{
    conformance::{Of, table},
    fake::Fake,
    world::{
        DEPLOY_KEY, GRANT, INSTALLATION, SECRET, SSH_CLIENT, WEBHOOK, World, app_key, hook, object,
        of_repository, whole,
    },
};

/// A connection that goes through the contract, as an App.
fn through(fake: &Fake, contract: &Contract) -> World {
    let mut there = fake.clone();
    there.address = contract.address();
    let (key, public) = app_key();
    fake.let_app_in("4711", public, 3600);
    let settings = whole(&there.address).with("app_id", Setting::Text("4711".into()));
    World::with(&there, &key, settings)
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn whatever_a_connector_must_do_is_done_by_the_contract() {
    for (kind, name) in [(SSH_CLIENT, "conformance.txt"), (WEBHOOK, "conformance-webhook.txt")] {
        let fake = Fake::start();
        let contract = Contract::before(&fake.address).unwrap();
        conformance::run(&Of::new(kind, fake, contract.address())).await.hold(&table(name));
        assert_eq!(contract.violations().unwrap(), [""; 0]);
    }
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn each_deed_is_one_that_the_contract_knows() {
    let fake = Fake::start();
    let contract = Contract::before(&fake.address).unwrap();
    let world = through(&fake, &contract);
    fake.page_by(1);
    fake.grant("bob", "deploy");
    let seen = world.connector.list(Want::DEED).await.unwrap();
    assert!(seen.is_complete() && seen.integrations.len() == 3, "{seen:?}");
    let none = Settings::default();
    for repository in [None, Some("web")] {
        let wanted = hook("https://ci.acme.example/hook", &["push"], repository);
        let ci = world.make(WEBHOOK, "ci", wanted).await;
        let (secret, issued) = world.issue(&ci, SECRET, &none).await.unwrap();
        let probed = world.connector.probe(&ci, SECRET, &secret).await.unwrap();
        assert!(matches!(probed, Probe::Accepted { .. }), "{probed:?}");
        let form = hook("https://ci.acme.example/moved", &["issues"], repository)
            .with("content_type", Setting::Text("form".into()))
            .with("insecure_ssl", Setting::Flag(true));
        let change = connector::Change {
            settings: Some(form),
            enabled: Some(false),
            ..connector::Change::default()
        };
        assert!(!world.connector.modify(&ci, &change).await.unwrap().enabled);
        assert_eq!(world.connector.end(&ci, &issued.key_id).await.unwrap(), Ended::Now);
        assert_eq!(world.connector.delete(&ci).await.unwrap(), Ended::Now);
    }
    let shop = world.make(SSH_CLIENT, "checkout", of_repository("api")).await;
    let (_, issued) = world.issue(&shop, DEPLOY_KEY, &none).await.unwrap();
    assert_eq!(world.connector.end(&shop, &issued.key_id).await.unwrap(), Ended::Now);
    assert_eq!(world.connector.delete(&shop).await.unwrap(), Ended::Now);
    for (kind, key) in [(INSTALLATION, "ci-bot"), (GRANT, "102")] {
        let one = object(kind, key);
        world.write(&one, "Taken in").await.unwrap();
        assert_eq!(world.connector.delete(&one).await.unwrap(), Ended::Now);
    }
    assert!(fake.variables().is_empty());
    assert_eq!(contract.violations().unwrap(), [""; 0]);
    assert_eq!(github::PLATFORM.name(), "github");
}

#[tokio::test]
#[ignore = "second ring: cargo xtask test second"]
async fn an_answer_that_breaks_the_contract_is_caught_and_told() {
    let fake = Fake::start();
    let contract = Contract::before(&fake.address).unwrap();
    fake.add_key("api", "old server");
    fake.break_contract();
    let seen = through(&fake, &contract).connector.list(Want::DEED).await.unwrap();
    assert!(!seen.is_complete(), "{seen:?}");
    let told = contract.violations().unwrap().join("\n");
    assert!(told.contains("/repos/acme/api/keys") && told.contains("VIOLATIONS"), "{told}");
}
