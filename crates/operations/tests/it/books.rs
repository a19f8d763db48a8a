//! What holds when the books are lost: custody's, the ledger's, or both.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use connector::{Connector, Want, fake::APP};
use domain::{Marker, Realm, RealmKey, Record, Secret, Settings};
use ledger::MemoryLedger;
use operations::{
    Context, DeclaredIntegration, carry_out, create_slot, delete_integration, observe_integration,
    observe_slot, realm_key_fits_custody, revoke_unmanaged, take_over, update_integration,
};
use policy::rotation::Goal;

use crate::world::{Ending, Fuse, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const THIRD: Goal = Goal::Rotate { to: 3, at_once: false };

#[tokio::test(start_paused = true)]
async fn an_overlap_whose_claim_is_lost_is_still_waited_for() {
    for way in ["add-ours", "add-marked"] {
        let world = World::new(way).await;
        let first = world.whole("a", FIRST).await.key_id.unwrap();
        let second = world.whole("b", SECOND).await;
        let until = second.previous[0].retire_after.unwrap();
        let second = second.key_id.unwrap();
        world.wipe_claims().await;
        let Ending::Done(Err(problem)) = world.run("c", &Fuse::none(), THIRD).await else {
            panic!("{way}: a third generation was issued")
        };
        assert_eq!(problem.code, "E-OLD-IN-USE", "{way}");
        assert!(problem.detail.contains(&until.to_string()), "{way}: {problem}");
        let both: BTreeSet<String> = [first.clone(), second.clone()].into();
        assert_eq!(world.live().await, both, "{way}");
        // An exposed one is rotated at once all the same, and so is one whose overlap is over.
        world.clock.advance(OVERLAP);
        let third = world.whole("d", THIRD).await;
        assert_eq!(third.generation, 3, "{way}");
        let left = world.live().await;
        assert!(!left.contains(&first) && left.contains(&second), "{way}: the oldest went first");
        assert!(world.works().await, "{way}");
    }
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    world.whole("b", SECOND).await;
    world.wipe_claims().await;
    let third = world.whole("c", Goal::Rotate { to: 3, at_once: true }).await;
    world.assert_at(&third, 3, "exposed").await;
    // The current one is gone: the earlier one is all that works, and it keeps its time.
    let world = World::new("add-ours").await;
    let first = world.whole("a", FIRST).await.key_id.unwrap();
    let second = world.whole("b", SECOND).await.key_id.unwrap();
    world.wipe_claims().await;
    world.fake.by_hand(APP, "sync", |hand| hand.end(&second));
    let third = world.whole("c", THIRD).await;
    assert!(world.live().await.contains(&first));
    assert!(world.works().await && third.generation == 3);
}

/// Everything that this installation keeps for itself is lost.
async fn lose_books(world: &World) {
    world.wipe_claims().await;
    *world.ledger.lock().unwrap() = Arc::new(MemoryLedger::new());
}

#[tokio::test(start_paused = true)]
async fn what_another_tenant_has_under_the_same_id_names_nothing_here() {
    let world = World::new("add-unmarked").await;
    let key = world.whole("a", FIRST).await.key_id.unwrap();
    let (named, slots) = strangers(&world).await;
    assert!(named.is_empty() && slots.contains_key(&key), "{slots:?}");
    // The same ids at another tenant: a small number is soon that of two integrations, and of two keys.
    world.fake.set_tenant("another");
    *world.ledger.lock().unwrap() = Arc::new(MemoryLedger::new());
    let (named, slots) = strangers(&world).await;
    assert_eq!(named, [key].into());
    assert!(slots.is_empty(), "{slots:?}");
}

/// What a plan and the apply after it would end, with a stranger's key among them.
async fn strangers(world: &World) -> (BTreeSet<String>, BTreeMap<String, String>) {
    let context = world.context("looks", &Fuse::none());
    let id = world.spec().id.integration;
    let vendor_id = world.vendor_id.as_str();
    let seen = observe_integration(&context, &id, None, Some(vendor_id)).await.unwrap().unwrap();
    let all = world.live().await;
    let ended = revoke_unmanaged(&context, &id, vendor_id, "sync", &all).await.unwrap();
    let ended: BTreeSet<String> = ended.into_iter().map(|one| one.key_id).collect();
    assert_eq!(ended, seen.unmanaged, "what a plan showed is what an apply ends");
    (ended, seen.slots)
}

/// A governed integration with a key that somebody made by hand and a slot took in.
async fn adopted(way: &'static str) -> (World, String) {
    let world = World::new(way).await;
    let mut taken = String::new();
    world.fake.by_hand(APP, "sync", |hand| {
        taken = hand.issue("imported", None);
        hand.write_record(Some(Record {
            realm: Some("k3x9q2".into()),
            purpose: Some("Copies".into()),
            ..Record::default()
        }));
    });
    let (context, mut spec) = (world.context("a", &Fuse::none()), world.spec());
    spec.known = Some((taken.clone(), 0, None, None));
    take_over(&context, &spec).await.unwrap();
    (world, taken)
}

#[tokio::test(start_paused = true)]
async fn a_key_made_by_hand_that_a_slot_took_in_outlives_the_loss_of_all_books() {
    let (world, taken) = adopted("add-ours").await;
    let mut stray = String::new();
    world.fake.by_hand(APP, "sync", |hand| stray = hand.issue("stray", None));
    lose_books(&world).await;
    let (ended, slots) = strangers(&world).await;
    assert_eq!(ended, [stray].into());
    assert_eq!(slots[&taken], world.spec().id.to_string());
    assert_eq!(world.live().await, [taken.clone()].into());
    // The rest of the record is what it was, and stays so when it is taken in again.
    let mut spec = world.spec();
    spec.known = Some((taken.clone(), 0, None, None));
    take_over(&world.context("b", &Fuse::none()), &spec).await.unwrap();
    let record = world.fake.read(&world.object(), Want::DEED).await.unwrap().unwrap().record;
    let record = record.unwrap();
    assert_eq!(record.purpose.as_deref(), Some("Copies"));
    assert!(record.adopted.keys().eq([&taken]), "{record:?}");
}

#[tokio::test(start_paused = true)]
async fn an_adopted_key_in_its_overlap_outlives_the_loss_of_custody_and_ends_when_that_is_over() {
    let (world, taken) = adopted("add-ours").await;
    let mut spec = world.spec();
    spec.known = Some((taken.clone(), 0, None, None));
    let rotate = carry_out(&world.context("b", &Fuse::none()), &spec, FIRST, "test").await;
    let first = rotate.unwrap().key_id.unwrap();
    // With the ledger, which names the new one, and without.
    world.wipe_claims().await;
    let both: BTreeSet<String> = [taken.clone(), first.clone()].into();
    for lose_ledger in [false, true] {
        if lose_ledger {
            lose_books(&world).await;
        }
        assert!(strangers(&world).await.0.is_empty());
        assert_eq!(world.live().await, both);
    }
    world.clock.advance(OVERLAP);
    world.whole("c", Goal::Retire { at: 1 }).await;
    assert_eq!(world.live().await, [first].into());
}

#[tokio::test(start_paused = true)]
async fn nobody_makes_a_key_of_theirs_ours_by_writing_it_into_the_record() {
    let (world, taken) = adopted("add-ours").await;
    lose_books(&world).await;
    let mut stray = String::new();
    world.fake.by_hand(APP, "sync", |hand| stray = hand.issue("stray", None));
    let there = world.fake.read(&world.object(), Want::DEED).await.unwrap().unwrap();
    let mut record = there.record.unwrap();
    let copied = record.adopted[&taken].clone();
    record.adopted.insert(stray.clone(), copied);
    world.fake.by_hand(APP, "sync", |hand| hand.write_record(Some(record)));
    assert_eq!(strangers(&world).await.0, [stray].into());
}

#[tokio::test(start_paused = true)]
async fn what_lives_on_of_a_slot_that_was_ended_is_nobody_s() {
    let (world, taken) = adopted("add-ours").await;
    // One that the slot took in before, of which the books tell no more.
    let mut earlier = String::new();
    world.fake.by_hand(APP, "sync", |hand| earlier = hand.issue("earlier", None));
    let key = RealmKey::new(&Secret::new("k".repeat(40))).unwrap();
    let tenant = world.fake.tenant().await.unwrap();
    let mark = Marker::beside(&key, "k3x9q2", &tenant, &world.vendor_id, "default", &earlier);
    let there = world.fake.read(&world.object(), Want::DEED).await.unwrap().unwrap();
    let mut record = there.record.unwrap();
    record.adopted.insert(earlier.clone(), mark);
    world.fake.by_hand(APP, "sync", |hand| hand.write_record(Some(record)));
    assert!(strangers(&world).await.0.is_empty(), "it may be in its overlap");
    let mut spec = world.spec();
    spec.known = Some((taken, 0, None, None));
    let context = world.context("b", &Fuse::none());
    carry_out(&context, &spec, Goal::Revoke, "test").await.unwrap();
    assert_eq!(strangers(&world).await.0, [earlier].into());
}

/// A run whose key is another one than the realm's, and where it says that is.
fn with_another_key(world: &World) -> Context {
    let key = RealmKey::new(&Secret::new("x".repeat(40))).unwrap().kept_in("the file /etc/n.key");
    let realm = Some(Arc::new(Realm { id: world.realm.into(), key: Some(key) }));
    Context { realm, ..world.context("another key", &Fuse::none()) }
}

#[tokio::test(start_paused = true)]
async fn under_another_realm_key_nothing_is_judged_and_nothing_is_done() {
    let right = RealmKey::new(&Secret::new("k".repeat(40))).unwrap().id().to_owned();
    // Each of the three that name it does so where the others are lost.
    for left in ["record", "custody", "sinks"] {
        let world = World::new("add-ours").await;
        let (spec, context) = (world.spec(), world.context("a", &Fuse::none()));
        let id = &spec.id.integration;
        let vendor_id = world.vendor_id.as_str();
        let declared = DeclaredIntegration {
            connection: id.connection.clone(),
            kind: spec.kind,
            name: "sync".into(),
            settings: Settings::default(),
            record: Record::default(),
            enabled: true,
            revoke_unmanaged: false,
            ties: domain::Ties::default(),
        };
        let none = domain::Direction::None;
        update_integration(&context, id, vendor_id, &declared, none).await.unwrap();
        world.whole("a", FIRST).await;
        let live = world.live().await;
        if left != "custody" {
            world.wipe_claims().await;
        }
        if left != "sinks" {
            world.places.iter().for_each(|path| world.apps.wipe(path));
        }
        if left != "record" {
            world.fake.by_hand(APP, "sync", |hand| hand.write_record(Some(Record::default())));
        }
        let wrong = with_another_key(&world);
        let mut told = Vec::new();
        for goal in [SECOND, Goal::Revoke] {
            // A deed on a slot reads what is in custody and in the sinks.
            if left != "record" {
                told.push(carry_out(&wrong, &spec, goal, "test").await.unwrap_err());
            }
        }
        if left != "sinks" {
            let seen = observe_integration(&wrong, id, None, None).await;
            told.push(seen.unwrap_err());
            let ended = revoke_unmanaged(&wrong, id, vendor_id, "sync", &live).await;
            told.push(ended.unwrap_err());
        }
        if left == "record" {
            let deleted = delete_integration(&wrong, id, vendor_id, "sync", false).await;
            told.push(deleted.unwrap_err());
            let again = update_integration(&wrong, id, vendor_id, &declared, none).await;
            told.push(again.unwrap_err());
            told.push(create_slot(&wrong, &spec).await.unwrap_err());
        } else {
            told.push(observe_slot(&wrong, &spec).await.unwrap_err());
        }
        if left == "custody" {
            told.push(realm_key_fits_custody(&wrong).await.unwrap_err());
        }
        for problem in &told {
            assert_eq!(problem.code, "E-REALM-KEY", "{left}: {problem}");
            let all = problem.to_string();
            assert!(all.contains(&right) && all.contains("the file /etc/n.key"), "{left}: {all}");
        }
        assert_eq!(world.live().await, live, "{left}");
        // With the right one back, all goes on.
        let back = world.context("back", &Fuse::none());
        assert!(realm_key_fits_custody(&back).await.is_ok());
        observe_integration(&back, id, None, None).await.unwrap();
        if left != "record" {
            world.whole("back", SECOND).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn books_from_a_backup_end_nobody_s_key_and_a_state_that_lies_names_none() {
    for lies in [false, true] {
        let world = World::new("add-ours").await;
        let first = world.whole("first", FIRST).await;
        let claims = world.claims().await;
        let saved: Vec<_> = claims.iter().map(|path| (path, world.vault.save(path))).collect();
        let sinks: Vec<_> = world.places.iter().map(|path| (path, world.apps.save(path))).collect();
        let second = world.whole("second", SECOND).await;
        saved.into_iter().for_each(|(path, saved)| world.vault.restore(path, saved));
        sinks.into_iter().for_each(|(path, saved)| world.apps.restore(path, saved));

        let mut stray = String::new();
        world.fake.by_hand(APP, "sync", |hand| stray = hand.issue("stray", None));
        let mut spec = world.spec();
        let told = if lies { (stray.clone(), 7) } else { (second.key_id.clone().unwrap(), 2) };
        spec.known = Some((told.0.clone(), told.1, None, None));
        let context = world.context("looks", &Fuse::none());
        let seen = observe_slot(&context, &spec).await.unwrap().unwrap();
        assert_eq!(
            (seen.key_id, seen.generation),
            (Some(told.0), told.1),
            "what it knows of lives"
        );
        assert_eq!(seen.status, "undelivered", "and is nowhere to be read");

        let goal = Goal::Rotate { to: told.1 + 1, at_once: false };
        let context = world.context("rotates", &Fuse::none());
        let third = carry_out(&context, &spec, goal, "custody").await.unwrap();
        let kept: BTreeSet<String> = third.previous.into_iter().map(|one| one.key_id).collect();
        let both = [first.key_id.clone().unwrap(), second.key_id.clone().unwrap()];
        assert_eq!(kept, BTreeSet::from(both.clone()), "each has its overlap, a stray has none");
        let live = world.live().await;
        for key_id in both.iter().chain([&stray]) {
            assert!(live.contains(key_id), "{key_id} lives on");
        }
    }
}
