//! Somebody's hand on what was delivered.

use std::{collections::BTreeSet, sync::Arc};

use connector::{
    Connector, IssueRequest, Refusal,
    fake::{APP, Fault, KEY, Verb},
};
use domain::{Marker, Record, Secret, Settings};
use ledger::{Filter, MemoryLedger, all_entries};
use operations::{NotTakenBack, SlotSpec, carry_out, observe_slot};
use policy::{proof::Grade, rotation::Goal};
use secrets::{Document, Expect, Sink};

use crate::world::{Ending, Fuse, Moment, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };

/// Writes over a document, as a person at a console would.
async fn overwrite(world: &World, path: &str) {
    let version = world.apps.read(path).await.unwrap().unwrap().version.number;
    let hand = Document::default().with("key", Secret::new("by hand"));
    world.apps.write(path, &hand, Expect::Version(version)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_document_that_somebody_wrote_over_is_written_again_without_a_new_key() {
    let sinks: [&[&'static str]; 2] = [&["apps/a"], &["apps/a", "apps/b"]];
    for (places, parked) in sinks.into_iter().flat_map(|places| [(places, false), (places, true)]) {
        let mut world = World::new("add-ours").await;
        world.places = places.to_vec();
        let mut before = world.whole("a", FIRST).await;
        let mut at = FIRST;
        if parked {
            before = world.whole("b", SECOND).await;
            at = SECOND;
        }
        let live = world.live().await;
        for path in places {
            let how = format!("{path} of {places:?}, parked {parked}");
            overwrite(&world, path).await;
            assert!(!world.works().await, "{how}");
            let after = world.whole("copy", at).await;
            assert!(world.works().await, "{how}");
            assert_eq!(after.key_id, before.key_id, "{how}");
            assert_eq!(after.generation, before.generation, "{how}");
            assert_eq!(after.previous, before.previous, "{how}: the overlap goes on");
            assert_eq!(world.live().await, live, "{how}: nothing was issued or ended");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_only_promised_where_a_sink_still_keeps_what_it_is_made_of() {
    let mut world = World::new("add-ours").await;
    world.places = vec!["apps/a"];
    world.whole("a", FIRST).await;
    let context = world.context("look", &Fuse::none());
    let status = async || observe_slot(&context, &world.spec()).await.unwrap().unwrap().status;
    overwrite(&world, "apps/a").await;
    assert_eq!(status().await, "stale_copy");
    world.apps.destroy_version("apps/a", 1).await.unwrap();
    assert_eq!(status().await, "undelivered", "a new one is planned, and no copy");
    world.whole("b", SECOND).await;
    assert_eq!(status().await, "current");
}

#[tokio::test(start_paused = true)]
async fn a_document_whose_mirror_was_lost_is_told_and_says_itself_what_it_is() {
    for custody_too in [false, true] {
        let mut world = World::new("add-ours").await;
        world.places = vec!["apps/a"];
        let before = world.whole("a", FIRST).await;
        let known = (before.key_id.clone().unwrap(), 1, None, None);
        let spec = SlotSpec { known: Some(known), ..world.spec() };
        let context = world.context("look", &Fuse::none());
        let look = async || observe_slot(&context, &spec).await.unwrap().unwrap();
        world.apps.write_mirror("apps/a", &Default::default()).await.unwrap();
        if custody_too {
            for path in world.claims().await {
                world.vault.write_mirror(&path, &Default::default()).await.unwrap();
            }
        }
        let seen = look().await;
        assert_eq!(seen.status, "stale_copy", "custody too: {custody_too}");
        assert_eq!((seen.deliveries["a"].status, seen.generation), ("changed", 1));
        let version = world.apps.read("apps/a").await.unwrap().unwrap().version;
        let after = carry_out(&context, &spec, FIRST, "test").await.unwrap();
        assert_eq!((after.key_id, after.generation), (before.key_id, 1));
        let now = world.apps.read("apps/a").await.unwrap().unwrap().version;
        assert_eq!(now, version, "the document itself was right");
        let seen = look().await;
        assert_eq!((seen.status, seen.secret_held), ("current", true));
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_place_of_a_secret_moves_without_a_new_key() {
    for way in ["add-ours", "add-marked", "add-unmarked", "replace-once"] {
        let mut world = World::new(way).await;
        world.places = vec!["apps/a"];
        let before = world.whole("a", FIRST).await;
        let known = (before.key_id.clone().unwrap(), 1, None, None);
        let former = world.spec().deliveries;
        world.places = vec!["apps/c"];
        let spec = SlotSpec { former, known: Some(known), ..world.spec() };
        let context = world.context("moves", &Fuse::none());
        let after = carry_out(&context, &spec, FIRST, "test").await.unwrap();
        world.assert_at(&after, 1, way).await;
        assert_eq!(after.key_id, before.key_id, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_changed_on_a_platform_that_shows_it_is_delivered_without_a_new_key() {
    for gone in [false, true] {
        let world = World::new("first-only").await;
        let before = world.whole("a", FIRST).await;
        let key_id = before.key_id.clone().unwrap();
        world.fake.by_hand(APP, "sync", |hand| hand.turn(&key_id, "turned unasked"));
        if gone {
            for path in &world.places {
                let version = world.apps.read(path).await.unwrap().unwrap().version.number;
                world.apps.destroy_version(path, version).await.unwrap();
                world.apps.write_mirror(path, &Default::default()).await.unwrap();
            }
        }
        assert!(!world.works().await);
        let context = world.context("look", &Fuse::none());
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert_eq!(seen.status, "stale_copy", "gone: {gone}");
        assert!(seen.deliveries.values().all(|one| one.status != "delivered"));
        assert_ne!(seen.fingerprint, before.fingerprint);
        let after = world.whole("copy", FIRST).await;
        assert!(world.works().await, "gone: {gone}");
        assert_eq!((after.key_id, after.generation), (before.key_id, before.generation));
        assert_eq!(after.fingerprint, seen.fingerprint);
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert_eq!(seen.status, "current");
        assert!(seen.secret_held);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_somebody_deleted_is_shown_to_be_gone_with_all_that_was_minted_from_it() {
    for way in ["add-ours", "add-marked"] {
        for at_once in [false, true] {
            let how = format!("{way}, at once {at_once}");
            let world = World::new(way).await;
            let first = world.whole("a", FIRST).await.key_id.unwrap();
            let secret = world.delivered("apps/a").await.unwrap();
            let token = world.fake.sign_in(APP, "sync", &secret).unwrap();
            world.fake.by_hand(APP, "sync", |hand| hand.end(&first));
            let outcome = world.whole("b", Goal::Rotate { to: 2, at_once }).await;
            world.assert_at(&outcome, 2, &how).await;
            let revoked: Vec<&str> =
                outcome.revoked.iter().map(|one| one.key_id.as_str()).collect();
            assert_eq!(revoked, [first.as_str()], "{how}");
            assert!(outcome.revoked[0].grade >= Grade::B, "{how}: {:?}", outcome.revoked);
            assert!(!world.fake.works(token), "{how}: a token of it still works");
            let ledger = world.ledger.lock().unwrap().clone();
            let entries = ledger::all_entries(&*ledger, ledger::Filter::all()).await.unwrap();
            let proofs = entries.iter().filter(|one| one.kind == "rotation.proven").count();
            assert_eq!(proofs, 1, "{how}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_issued_under_the_name_of_one_that_went_missing_is_not_ended_for_it() {
    for at_once in [false, true] {
        let world = World::new("first-only").await;
        let first = world.whole("a", FIRST).await.key_id.unwrap();
        world.fake.by_hand(APP, "sync", |hand| hand.end(&first));
        let goal = Goal::Rotate { to: 2, at_once };
        let outcome = world.whole("b", goal).await;
        assert_eq!(outcome.key_id, Some(first), "there is one name for it");
        world.assert_at(&outcome, 2, "issued anew").await;
        assert!(outcome.revoked.is_empty(), "{:?}", outcome.revoked);
        let context = world.context("look", &Fuse::none());
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert_eq!(seen.status, "current");
        let after = world.whole("c", goal).await;
        world.assert_at(&after, 2, "and applied again").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_only_switches_a_secret_off_is_proven_as_accepted_and_no_more() {
    let world = World::new("first-only").await;
    let first = world.whole("a", FIRST).await.key_id.unwrap();
    let outcome = world.whole("b", Goal::Revoke).await;
    let [revoked] = &outcome.revoked[..] else { panic!("{:?}", outcome.revoked) };
    assert_eq!((&revoked.key_id, revoked.grade), (&first, Grade::C));
    // One that nobody declared is ended no more than that.
    let world = World::new("first-only").await;
    let (mut stray, id) = (String::new(), world.spec().id.integration);
    world.fake.by_hand(APP, "sync", |hand| stray = hand.issue("stray", None));
    let context = world.context("c", &Fuse::none());
    let keys = BTreeSet::from([stray.clone()]);
    let ended = operations::revoke_unmanaged(&context, &id, &world.vendor_id, "sync", &keys).await;
    let shown: Vec<_> = ended.unwrap().into_iter().map(|one| (one.key_id, one.grade)).collect();
    assert_eq!(shown, [(stray, Grade::C)]);
}

#[tokio::test(start_paused = true)]
async fn what_another_slot_of_ours_holds_is_not_called_a_stranger_s() {
    for way in ["first-only", "replace-ours", "replace-once"] {
        let world = World::new(way).await;
        world.whole("a", FIRST).await;
        let mut spec = world.spec();
        spec.id.name = "second".into();
        for delivery in &mut spec.deliveries {
            delivery.path = format!("{}-second", delivery.path);
        }
        let context = world.context("b", &Fuse::none());
        let refused = carry_out(&context, &spec, FIRST, "test").await.unwrap_err();
        assert_eq!(refused.code, "E-ROTATE", "{way}");
        let said = refused.to_string();
        assert!(said.contains(&world.spec().id.to_string()), "{way}, whose it is: {said}");
        assert!(!said.contains("did not issue") && !said.contains("revoke_unmanaged"), "{said}");
        assert!(world.works().await, "{way}: the one that is there works on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_somebody_copied_makes_no_credential_ours() {
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    let outcome = world.whole("b", SECOND).await;
    let context = world.context("looks", &Fuse::none());
    let spec = world.spec();
    let look = async || {
        let id = &spec.id.integration;
        let seen = operations::observe_integration(&context, id, None, None).await;
        seen.unwrap().unwrap().unmanaged
    };
    assert!(look().await.is_empty(), "both generations are ours");
    let listed = world.fake.credentials(&world.object()).await.unwrap().credentials;
    let current = listed.iter().find(|one| Some(&one.key_id) == outcome.key_id.as_ref()).unwrap();
    let mut copy = String::new();
    world.fake.by_hand(APP, "sync", |hand| copy = hand.issue("x", current.marker.as_deref()));
    assert_eq!(look().await, BTreeSet::from([copy]));
    // Nor is what somebody is at work on anybody's stray.
    for call in 1..30 {
        let world = World::new("add-marked").await;
        world.run("killed", &Fuse::at(call, Moment::After), FIRST).await;
        let (context, spec) = (world.context("looks", &Fuse::none()), world.spec());
        let id = &spec.id.integration;
        let seen = operations::observe_integration(&context, id, None, None).await;
        let strays = seen.unwrap().unwrap().unmanaged;
        assert!(strays.is_empty(), "call {call}: {strays:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn access_that_is_open_is_ours_until_its_end_and_a_copy_of_its_mark_is_nobodys() {
    let world = World::new("add-marked").await;
    world.whole("a", FIRST).await;
    let context = world.context("looks", &Fuse::none());
    let (realm, spec) = (context.realm.clone().unwrap(), world.spec());
    let tenant = world.fake.tenant().await.unwrap();
    let ends = context.now() + jiff::SignedDuration::from_mins(15);
    let key = realm.key.as_ref().unwrap();
    let marker = Marker::of_access(key, &realm.id, &tenant, &world.vendor_id, ends).to_string();
    let request = IssueRequest {
        credential_type: KEY,
        profile: "add-marked",
        marker: &marker,
        secret: None,
        settings: &Settings::default(),
        expires_at: Some(ends),
    };
    world.fake.issue(&world.object(), request).await.unwrap();
    let look = async || {
        let id = &spec.id.integration;
        let seen = operations::observe_integration(&context, id, None, None).await;
        seen.unwrap().unwrap().unmanaged
    };
    assert!(look().await.is_empty(), "it is in no slot, and ours");
    let mut copy = String::new();
    world.fake.by_hand(APP, "sync", |hand| copy = hand.issue("x", Some(&marker)));
    assert_eq!(look().await, BTreeSet::from([copy]), "what does not end with it is no access");
    // A rotation leaves it alone.
    world.whole("b", SECOND).await;
    assert_eq!(world.live().await.len(), 4, "two generations, the access, and the copy");
}

#[tokio::test(start_paused = true)]
async fn what_bears_another_realms_mark_is_foreign_and_never_ended_as_nobodys() {
    const THEIRS: &str = "nhi1-other1-abcdefgh-g1-e1-mabcdefghijklm";
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    let (mut theirs, mut stray) = (String::new(), String::new());
    world.fake.by_hand(APP, "sync", |hand| theirs = hand.issue("theirs", Some(THEIRS)));
    world.fake.by_hand(APP, "sync", |hand| stray = hand.issue("stray", None));
    let context = world.context("a", &Fuse::none());
    let id = world.spec().id.integration;
    let seen = operations::observe_integration(&context, &id, None, None).await.unwrap().unwrap();
    assert_eq!(seen.unmanaged, [stray.clone()].into());
    assert_eq!(seen.foreign, [(theirs.clone(), "other1".to_owned())].into());
    let facts = seen.facts(None, None, None);
    assert!(!facts.marker_forged, "a mark that cannot be checked is not called forged");
    // A plan of an earlier version asked for both.
    let planned = [theirs.clone(), stray].into();
    let vendor_id = &world.vendor_id;
    operations::revoke_unmanaged(&context, &id, vendor_id, "sync", &planned).await.unwrap();
    assert!(world.live().await.contains(&theirs), "theirs works on");
    // Nor does a slot of ours touch it, in what it rotates, takes in or ends.
    world.whole("b", SECOND).await;
    let mut spec = world.spec();
    spec.id.name = "taken".into();
    spec.known = Some((theirs.clone(), 1, None, None));
    let refused = operations::take_over(&context, &spec).await.unwrap_err();
    assert_eq!(refused.code, "E-FOREIGN-REALM");
    assert!(refused.detail.contains("other1"), "{refused}");
    world.whole("c", Goal::Revoke).await;
    assert_eq!(world.live().await, [theirs].into());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_to_what_another_realm_governs() {
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    let mut stray = String::new();
    world.fake.by_hand(APP, "sync", |hand| {
        stray = hand.issue("stray", None);
        hand.write_record(Some(Record { realm: Some("other1".into()), ..Record::default() }));
    });
    let before = world.live().await;
    let context = world.context("a", &Fuse::none());
    let mut spec = world.spec();
    let (id, vendor_id) = (spec.id.integration.clone(), world.vendor_id.clone());
    let keys = [stray].into();
    let seen = operations::observe_integration(&context, &id, None, None).await.unwrap().unwrap();
    spec.id.name = "second".into();
    for (what, refused) in [
        ("a look", seen.governed_here(&context, &id).await),
        (
            "strays",
            operations::revoke_unmanaged(&context, &id, &vendor_id, "sync", &keys).await.map(drop),
        ),
        (
            "everything",
            operations::revoke_everything(&context, &id, &vendor_id, "sync").await.map(drop),
        ),
        ("its end", operations::delete_integration(&context, &id, &vendor_id, "sync", false).await),
        ("its scopes", operations::park_scopes(&context, &id, None, false).await),
        ("a slot", operations::create_slot(&context, &spec).await.map(drop)),
    ] {
        let problem = refused.expect_err(what);
        assert_eq!(problem.code, "E-FOREIGN-REALM", "{what}");
        let said = problem.body();
        assert!(said.contains("\"other1\"") && said.contains("k3x9q2"), "{what}: {said}");
        assert!(problem.next.is_some() && !problem.attribute.is_empty(), "{what}");
    }
    assert_eq!(world.live().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_came_into_a_slot_after_the_plan_is_not_revoked_as_nobodys() {
    let world = World::new("add-ours").await;
    let (mut taken, mut stray) = (String::new(), String::new());
    world.fake.by_hand(APP, "sync", |hand| taken = hand.issue("taken", None));
    world.fake.by_hand(APP, "sync", |hand| stray = hand.issue("stray", None));
    let context = world.context("a", &Fuse::none());
    let id = world.spec().id.integration;
    let seen = operations::observe_integration(&context, &id, None, None).await.unwrap().unwrap();
    let planned = seen.unmanaged;
    assert_eq!(planned, [taken.clone(), stray.clone()].into());
    // Another run declares one of them before this one applies.
    let mut spec = world.spec();
    spec.known = Some((taken.clone(), 1, None, None));
    operations::take_over(&world.context("b", &Fuse::none()), &spec).await.unwrap();
    let vendor_id = &world.vendor_id;
    let ended = operations::revoke_unmanaged(&context, &id, vendor_id, "sync", &planned).await;
    assert_eq!(ended.unwrap().len(), 1);
    assert_eq!(world.live().await, [taken].into());
    // Nor is anything ended of another incarnation.
    world.fake.by_hand(APP, "sync", |hand| hand.recreate());
    let refused = operations::revoke_unmanaged(&context, &id, vendor_id, "sync", &planned).await;
    assert_eq!(refused.unwrap_err().code, "E-RECREATED");
}

#[tokio::test(start_paused = true)]
async fn what_we_sign_in_with_ourselves_is_ended_by_no_deed() {
    for tells in [true, false] {
        let mut world = World::new("add-ours").await;
        let (mut own, mut stray) = (String::new(), String::new());
        world.fake.by_hand(APP, "sync", |hand| own = hand.issue("our own", None));
        world.fake.by_hand(APP, "sync", |hand| stray = hand.issue("stray", None));
        let planned: BTreeSet<String> = [own.clone(), stray.clone()].into();
        world.fake = world.fake.signed_in_with(&Secret::new("our own"));
        if !tells {
            world.fake = world.fake.anonymous();
        }
        let context = world.context("a", &Fuse::none());
        let (id, vendor_id) = (world.spec().id.integration, world.vendor_id.clone());
        let look = async || operations::observe_integration(&context, &id, None, None).await;
        let seen = look().await.unwrap().unwrap();
        // Where the platform does not tell which one it is, it may be any of them.
        let (ours, nobodys) = match tells {
            true => ([own.clone()].into(), [stray.clone()].into()),
            false => (planned.clone(), BTreeSet::new()),
        };
        assert_eq!((&seen.own, &seen.unmanaged), (&ours, &nobodys));
        // A plan of an earlier version asked for both.
        operations::revoke_unmanaged(&context, &id, &vendor_id, "sync", &planned).await.unwrap();
        assert_eq!(world.live().await, ours);
        for (what, refused) in [
            (
                "everything",
                operations::revoke_everything(&context, &id, &vendor_id, "sync").await.map(drop),
            ),
            (
                "its end",
                operations::delete_integration(&context, &id, &vendor_id, "sync", false).await,
            ),
            (
                "its switch",
                operations::delete_integration(&context, &id, &vendor_id, "sync", true).await,
            ),
        ] {
            let problem = refused.expect_err(what);
            assert_eq!(problem.code, "E-OURSELVES", "{what}");
            assert!(problem.next.is_some() && problem.detail.contains("\"fake\""), "{problem}");
        }
        assert_eq!(world.live().await, ours);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_neither_takes_in_nor_rotates_what_we_sign_in_with_ourselves() {
    let mut world = World::new("add-ours").await;
    let mut own = String::new();
    world.fake.by_hand(APP, "sync", |hand| own = hand.issue("our own", None));
    let mut spec = world.spec();
    let before = world.fake.clone();
    world.fake = world.fake.signed_in_with(&Secret::new("our own"));
    let context = world.context("a", &Fuse::none());
    let id = spec.id.integration.clone();
    let seen = operations::observe_integration(&context, &id, None, None).await.unwrap().unwrap();
    let refused = operations::unmarked_key(&context, &spec.id, &seen).await.unwrap_err();
    assert_eq!(refused.code, "E-OURSELVES");
    // One that a slot has already, since somebody took it for ourselves later, stays as it is.
    spec.known = Some((own.clone(), 1, None, None));
    world.fake = before.clone();
    operations::take_over(&world.context("b", &Fuse::none()), &spec).await.unwrap();
    world.fake = before.signed_in_with(&Secret::new("our own"));
    let context = world.context("c", &Fuse::none());
    for goal in [SECOND, Goal::Rotate { to: 2, at_once: true }, Goal::Revoke] {
        let refused = carry_out(&context, &spec, goal, "test").await.unwrap_err();
        assert_eq!(refused.code, "E-OURSELVES", "{goal:?}");
        assert_eq!(world.live().await, [own.clone()].into(), "{goal:?}: nothing was begun");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_of_no_claim_that_is_to_be_replaced_is_ended_by_its_successor() {
    let world = World::new("add-ours").await;
    let mut old = String::new();
    world.fake.by_hand(APP, "sync", |hand| old = hand.issue("imported", None));
    let mut spec = world.spec();
    spec.known = Some((old.clone(), 1, None, None));
    let context = world.context("delete", &Fuse::none());
    operations::park_for_replacement(&context, &spec).await.unwrap();
    spec.known = None;
    let made = operations::create_slot(&world.context("create", &Fuse::none()), &spec).await;
    let made = made.unwrap();
    assert_eq!(made.generation, 2);
    assert!(world.works().await);
    assert!(!world.live().await.contains(&old), "the old one works on, known to nobody");
    assert_eq!(made.revoked.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_in_the_books_needs_no_sound_ledger_to_be_taken_over() {
    let world = World::new("add-ours").await;
    let ledger = Arc::new(MemoryLedger::new());
    *world.ledger.lock().unwrap() = ledger.clone();
    let first = world.whole("a", FIRST).await;
    ledger.tamper(2, |body| body[10] ^= 1);
    let mut spec = world.spec();
    spec.known = Some((first.key_id.unwrap(), 1, None, None));
    operations::take_over(&world.context("b", &Fuse::none()), &spec).await.unwrap();
    let mut shut = world.context("reads", &Fuse::none());
    shut.read_only = true;
    let refused = operations::take_over(&shut, &spec).await;
    assert_eq!(refused.unwrap_err().code, "E-READ-ONLY");
    // What is in no book yet would be written there.
    world.wipe_claims().await;
    let refused = operations::take_over(&world.context("c", &Fuse::none()), &spec).await;
    assert_eq!(refused.unwrap_err().code, "E-LEDGER-BROKEN");
}

#[tokio::test(start_paused = true)]
async fn with_a_ledger_that_somebody_changed_an_overlap_is_shortened_and_never_made_longer() {
    let world = World::new("add-ours").await;
    let ledger = Arc::new(MemoryLedger::new());
    *world.ledger.lock().unwrap() = ledger.clone();
    world.whole("a", FIRST).await;
    let second = world.whole("b", SECOND).await;
    ledger.tamper(2, |body| body[10] ^= 1);
    let (key_id, end) =
        (second.previous[0].key_id.clone(), second.previous[0].retire_after.unwrap());
    let context = world.context("moves", &Fuse::none());
    let hour = jiff::SignedDuration::from_hours(1);
    let move_to = async |end| {
        let ends = [(key_id.clone(), end)].into();
        operations::set_ends(&context, &world.spec(), &ends).await.map_err(|problem| problem.code)
    };
    let stands = async || {
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        seen.previous[0].retire_after.unwrap()
    };
    assert_eq!(move_to(end + hour).await, Err("E-LEDGER-BROKEN"));
    assert_eq!(move_to(end).await, Ok(()), "nothing is moved");
    assert_eq!(stands().await, end);
    assert_eq!(move_to(end - hour).await, Ok(()));
    assert_eq!(stands().await, end - hour);
}

#[tokio::test(start_paused = true)]
async fn an_overlap_ends_although_the_claim_that_named_it_is_lost() {
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    world.whole("b", SECOND).await;
    world.wipe_claims().await;
    world.whole("early", Goal::Retire { at: 2 }).await;
    assert_eq!(world.live().await.len(), 2, "its overlap is not over");
    world.clock.advance(OVERLAP);
    let outcome = world.whole("late", Goal::Retire { at: 2 }).await;
    world.assert_at(&outcome, 2, "late").await;
    assert_eq!(outcome.revoked.len(), 1);
    assert!(outcome.previous.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_no_sink_holds_any_more_is_told_and_the_next_generation_heals_it() {
    let mut world = World::new("add-ours").await;
    world.places = vec!["apps/a"];
    world.whole("a", FIRST).await;
    world.whole("b", SECOND).await;
    overwrite(&world, "apps/a").await;
    world.apps.destroy_version("apps/a", 2).await.unwrap();
    let Ending::Done(Err(problem)) = world.run("c", &Fuse::none(), SECOND).await else { panic!() };
    assert_eq!(problem.code, "E-SINK-COPY");
    assert!(problem.next.unwrap().contains("triggers"));
    let third = Goal::Rotate { to: 3, at_once: false };
    let outcome = world.whole("d", third).await;
    world.assert_at(&outcome, 3, "healed").await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_retired_early_nor_at_another_generation_than_planned() {
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    world.whole("b", SECOND).await;
    let outcome = world.whole("early", Goal::Retire { at: 2 }).await;
    assert_eq!(outcome.previous.len(), 1, "its overlap is not over");
    world.assert_at(&outcome, 2, "early").await;
    world.clock.advance(OVERLAP);
    let planned_before = world.run("old plan", &Fuse::none(), Goal::Retire { at: 1 }).await;
    let Ending::Done(Err(problem)) = planned_before else { panic!("{planned_before:?}") };
    assert_eq!(problem.code, "E-FURTHER");
    assert_eq!(problem.attribute, ["generation"]);
    assert_eq!(world.live().await.len(), 2);
    let outcome = world.whole("late", Goal::Retire { at: 2 }).await;
    assert_eq!(world.live().await, BTreeSet::from([outcome.key_id.clone().unwrap()]));
}

#[tokio::test(start_paused = true)]
async fn a_third_generation_within_the_overlap_is_refused_and_told_when() {
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    let second = world.whole("b", SECOND).await;
    let third = |at_once| Goal::Rotate { to: 3, at_once };
    let refused = world.run("c", &Fuse::none(), third(false)).await;
    let Ending::Done(Err(problem)) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.code, "E-OLD-IN-USE");
    assert_eq!(problem.attribute, ["schedule"]);
    let until = second.previous[0].retire_after.unwrap().strftime("%Y-%m-%dT%H:%M:%SZ");
    let next = problem.next.unwrap();
    assert!(next.contains(&until.to_string()) && next.contains("incident"), "{next}");
    assert_eq!(world.live().await.len(), 2, "nothing was changed");
    let outcome = world.whole("exposed", third(true)).await;
    world.assert_at(&outcome, 3, "at once").await;
    assert!(outcome.previous.is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_realms_never_write_to_one_place() {
    let ours = World::new("add-ours").await;
    let mut theirs = World::new("add-ours").await;
    (theirs.realm, theirs.apps, theirs.fake) = ("other1", ours.apps.clone(), ours.fake.clone());
    theirs.vendor_id.clone_from(&ours.vendor_id);
    let first = ours.whole("ours", FIRST).await;
    let refused = theirs.run("theirs", &Fuse::none(), FIRST).await;
    let Ending::Done(Err(problem)) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.code, "E-FOREIGN-REALM");
    assert_eq!(problem.attribute, ["deliver_to", "b", "path"]);
    ours.assert_at(&first, 1, "nothing of ours was touched").await;

    // They deliver elsewhere, and then to our place as well: a copy is refused like a rotation.
    theirs.places = vec!["apps/c"];
    theirs.whole("elsewhere", FIRST).await;
    theirs.places = vec!["apps/a", "apps/c"];
    let refused = theirs.run("copy", &Fuse::none(), FIRST).await;
    let Ending::Done(Err(problem)) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.code, "E-FOREIGN-REALM");

    // What one of them gives up is free for the other.
    ours.whole("given up", Goal::Revoke).await;
    theirs.whole("free", SECOND).await;
    assert!(theirs.works().await);
}

#[tokio::test(start_paused = true)]
async fn two_realms_take_back_only_what_is_theirs() {
    let ours = World::new("add-ours").await;
    let mut theirs = World::new("add-ours").await;
    (theirs.realm, theirs.apps, theirs.fake) = ("other1", ours.apps.clone(), ours.fake.clone());
    theirs.vendor_id.clone_from(&ours.vendor_id);
    ours.whole("ours", FIRST).await;
    theirs.places = vec!["apps/c"];
    theirs.whole("elsewhere", FIRST).await;
    theirs.places = vec!["apps/a", "apps/c"];
    let context = theirs.context("withdraw", &Fuse::none());
    let left = operations::withdraw(&context, &theirs.spec(), &theirs.spec().deliveries).await;
    assert_eq!(left.unwrap().written_over, ["apps:apps/a"]);
    assert!(ours.works().await);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_somebody_changed_stops_what_begins_and_neither_what_was_begun_nor_an_ending()
{
    let world = World::new("add-ours").await;
    let ledger = Arc::new(MemoryLedger::new());
    *world.ledger.lock().unwrap() = ledger.clone();
    world.whole("a", FIRST).await;

    // Killed as soon as a second key lives.
    for call in 1.. {
        world.run("killed", &Fuse::at(call, Moment::After), SECOND).await;
        if world.live().await.len() == 2 {
            break;
        }
        world.clock.advance(world.claim_ttl + domain::Span::from_secs(1));
    }
    ledger.tamper(2, |body| body[10] ^= 1);
    let second = world.recover(SECOND).await;
    world.assert_at(&second, 2, "what was begun is finished").await;

    let third = world.run("third", &Fuse::none(), Goal::Rotate { to: 3, at_once: false }).await;
    let Ending::Done(Err(problem)) = third else { panic!("{third:?}") };
    assert_eq!(problem.code, "E-LEDGER-BROKEN");
    assert!(problem.detail.contains("broken at entry 2"), "{problem}");
    assert_eq!(world.live().await.len(), 2, "nothing was begun");

    world.clock.advance(OVERLAP);
    world.whole("late", Goal::Retire { at: 2 }).await;
    assert_eq!(world.live().await.len(), 1, "an overlap comes to its end");

    let (context, spec) = (world.context("ends", &Fuse::none()), world.spec());
    carry_out(&context, &spec, Goal::Revoke, "exposed").await.expect("nothing locks it out");
    assert!(world.live().await.is_empty());
    world.assert_revoked("with a broken chain").await;
    let told = context.notices.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].summary, "The ledger needs a look");
    assert!(told[0].next.as_ref().unwrap().contains("nhi ledger"), "{told:?}");
    let known = Filter { kinds: vec!["ledger.broken".to_owned()], ..Filter::all() };
    let known = all_entries(&*ledger, known).await.unwrap();
    assert!(known.iter().all(|entry| entry.detail["seq"] == 2));
    assert_eq!(known.last().unwrap().actor.run, "ends", "the journal says that it was known");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_somebody_deleted_is_written_anew_by_whatever_comes_next() {
    for way in ["add-ours", "add-marked"] {
        let world = World::new(way).await;
        let first = world.whole("a", FIRST).await;
        world.delete_claims().await;
        let outcome = world.whole("b", SECOND).await;
        world.assert_at(&outcome, 2, way).await;

        world.delete_claims().await;
        let context = world.context("look", &Fuse::none());
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert_eq!(seen.previous.len(), 1, "{way}: the sink's word on the overlap stands");
        world.clock.advance(OVERLAP);
        let outcome = world.whole("late", Goal::Retire { at: 2 }).await;
        world.assert_at(&outcome, 2, way).await;
        assert_eq!(outcome.revoked[0].key_id, first.key_id.unwrap());

        world.delete_claims().await;
        world.whole("c", Goal::Revoke).await;
        assert!(world.live().await.is_empty(), "{way}");
        world.assert_revoked(way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_somebody_deleted_is_no_word_on_what_is_under_way() {
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    // Killed with the claim taken and nothing issued.
    world.run("killed", &Fuse::at(2, Moment::After), SECOND).await;
    let context = world.context("look", &Fuse::none());
    let status = async || observe_slot(&context, &world.spec()).await.unwrap().unwrap().status;
    assert_eq!(status().await, "rotating");
    world.delete_claims().await;
    assert_eq!(status().await, "current");
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_rotation_is_finished_although_its_claim_was_deleted_or_wiped() {
    for way in ["add-ours", "add-marked"] {
        for wiped in [false, true] {
            for call in 1..40 {
                for moment in [Moment::Before, Moment::After] {
                    let world = World::new(way).await;
                    world.whole("before", FIRST).await;
                    let fuse = Fuse::at(call, moment);
                    if matches!(world.run("killed", &fuse, SECOND).await, Ending::Done(_)) {
                        continue;
                    }
                    if wiped {
                        world.wipe_claims().await;
                    } else {
                        world.delete_claims().await;
                    }
                    let how = format!(
                        "{way}, wiped {wiped}, killed {moment:?} {call} of {:?}",
                        fuse.log()
                    );
                    let outcome = world.recover(SECOND).await;
                    world.assert_at(&outcome, 2, &how).await;
                }
            }
        }
    }
}

/// The versions of a place in which one of these secrets can be read.
async fn told(world: &World, path: &str, secrets: &[Secret]) -> Vec<u64> {
    let mut told = Vec::new();
    for number in world.apps.kept_versions(path).await.unwrap() {
        let document = world.apps.read_version(path, number).await.unwrap().unwrap();
        if secrets.iter().any(|secret| document.get("key") == Some(secret)) {
            told.push(number);
        }
    }
    told
}

#[tokio::test(start_paused = true)]
async fn no_version_of_a_place_that_is_given_up_tells_a_secret_that_works() {
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    let first = world.delivered("apps/b").await.unwrap();
    // An overlap leaves two live secrets, and a copy that is written again a second version.
    world.whole("b", SECOND).await;
    overwrite(&world, "apps/b").await;
    world.whole("copy", SECOND).await;
    let secrets = [first, world.delivered("apps/b").await.unwrap()];
    assert_eq!(told(&world, "apps/b", &secrets).await, [1, 2, 4]);
    let gone: Vec<_> =
        world.spec().deliveries.into_iter().filter(|one| one.path == "apps/b").collect();
    let context = world.context("withdraw", &Fuse::none());
    let left = operations::withdraw(&context, &world.spec(), &gone).await.unwrap();
    assert_eq!(left, NotTakenBack::default());
    assert!(told(&world, "apps/b", &secrets).await.is_empty());
    // What somebody else wrote there is theirs.
    let kept = world.apps.kept_versions("apps/b").await.unwrap();
    assert_eq!(kept, [3, 5]);
    // The key lives on, and nothing there calls it ended.
    let mirror = world.apps.look("apps/b").await.unwrap().unwrap().mirror;
    assert_eq!([&mirror["withdrawn"], &mirror["revoked"]], ["true", "false"]);
    assert_eq!(world.live().await.len(), 2, "the current one and the one in its overlap");
    let says = world.apps.read("apps/b").await.unwrap().unwrap().document.unwrap();
    let says = says.get("_nhi").unwrap().expose().to_owned();
    assert!(says.contains("\"withdrawn\":true") && says.contains("\"revoked\":false"), "{says}");
    // It goes there again like to any other place.
    world.whole("again", SECOND).await;
    assert_eq!(world.delivered("apps/b").await.as_ref(), Some(&secrets[1]));
    assert!(!world.apps.look("apps/b").await.unwrap().unwrap().mirror.contains_key("withdrawn"));
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_that_destroys_nothing_still_shows_is_told_and_never_called_destroyed() {
    let mut world = World::new("add-ours").await;
    world.apps = Arc::new(world.forgets_nothing());
    world.whole("a", FIRST).await;
    let first = world.delivered("apps/b").await.unwrap();
    world.whole("b", SECOND).await;
    world.clock.advance(OVERLAP);
    let ended = world.whole("c", Goal::Retire { at: 2 }).await;
    assert!(ended.previous.is_empty() && world.works().await, "{ended:?}");
    assert_eq!(ended.revoked.len(), 1, "the key is ended, and that is proven");
    assert_eq!(told(&world, "apps/b", &[first]).await, [1], "what it opened is over");
    let ledger = world.ledger.lock().unwrap().clone();
    let entries = all_entries(&*ledger, Filter::default()).await.unwrap();
    assert!(entries.iter().any(|entry| entry.kind == "rotation.closed"));
    assert!(entries.iter().all(|entry| entry.kind != "rotation.previous_destroyed"));

    let secret = [world.delivered("apps/b").await.unwrap()];
    let gone: Vec<_> =
        world.spec().deliveries.into_iter().filter(|one| one.path == "apps/b").collect();
    let context = world.context("withdraw", &Fuse::none());
    let left = operations::withdraw(&context, &world.spec(), &gone).await.unwrap();
    assert_eq!(left.in_earlier_versions, ["apps:apps/b"]);
    assert!(left.written_over.is_empty());
    let look = world.apps.look("apps/b").await.unwrap().unwrap();
    assert_eq!(look.mirror["withdrawn"], "true");
    assert!(world.delivered("apps/b").await.is_none(), "what is current is without it");
    assert_eq!(told(&world, "apps/b", &secret).await, [2], "what was before is as it was");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_destroys_nothing_is_no_custody() {
    let mut world = World::new("add-ours").await;
    world.vault = Arc::new(world.forgets_nothing());
    let Ending::Done(Err(problem)) = world.run("a", &Fuse::none(), FIRST).await else {
        panic!("it was taken")
    };
    assert_eq!(problem.code, "E-CUSTODY");
    assert!(problem.detail.contains("cannot destroy"), "{problem}");
    assert!(world.live().await.is_empty(), "nothing was issued");
}

#[tokio::test(start_paused = true)]
async fn a_place_is_given_up_wherever_its_giving_up_stopped() {
    for fault in [secrets::Fault::Unreachable, secrets::Fault::AnswerLost] {
        for nth in 0..3 {
            let how = format!("{fault:?} after {nth}");
            let world = World::new("add-ours").await;
            world.whole("a", FIRST).await;
            let secret = [world.delivered("apps/b").await.unwrap()];
            let gone: Vec<_> =
                world.spec().deliveries.into_iter().filter(|one| one.path == "apps/b").collect();
            world.apps.fail(std::iter::repeat_n(secrets::Fault::None, nth).chain([fault]));
            let context = world.context("withdraw", &Fuse::none());
            let withdraw = async || operations::withdraw(&context, &world.spec(), &gone).await;
            match withdraw().await {
                Err(problem) => assert_eq!(problem.code, "E-SINK", "{how}"),
                // The document tells whether what stands beside it was written.
                Ok(_) => assert_eq!((fault, nth), (secrets::Fault::AnswerLost, 2), "{how}"),
            }
            withdraw().await.unwrap();
            assert!(told(&world, "apps/b", &secret).await.is_empty(), "{how}");
            let look = world.apps.look("apps/b").await.unwrap().unwrap();
            assert_eq!(look.version.number, 2, "{how}: written once");
            assert_eq!(look.mirror["version"], "2", "{how}");
            assert_eq!(look.mirror["withdrawn"], "true", "{how}");
        }
    }
}

/// The slots that the ledger says are declared.
async fn declared(world: &World) -> Vec<String> {
    let integration = world.spec().id.integration.to_string();
    let ledger = world.ledger.lock().unwrap().clone();
    let rows = ledger.slots(&ledger::Selection::of(&integration)).await.unwrap();
    rows.into_iter().map(|row| row.name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_is_ended_is_declared_no_longer_whoever_ended_it() {
    let world = World::new("add-ours").await;
    let first = world.whole("a", FIRST).await.key_id.unwrap();
    assert_eq!(declared(&world).await, ["default"]);
    let token = world.fake.sign_in(APP, "sync", &world.delivered("apps/a").await.unwrap()).unwrap();
    // Somebody took all of it away before.
    world.fake.by_hand(APP, "sync", |hand| hand.end(&first));
    for path in &world.places {
        world.apps.wipe(path);
    }
    let (context, mut spec) = (world.context("b", &Fuse::none()), world.spec());
    spec.known = Some((first.clone(), 1, None, None));
    let outcome = operations::end_slot(&context, &spec, "test").await.unwrap();
    let revoked: Vec<_> = outcome.revoked.iter().map(|one| (&one.key_id, one.grade)).collect();
    assert_eq!(revoked, [(&first, Grade::B)], "shown to be gone");
    assert!(!world.fake.works(token), "what was minted from it works on");
    operations::declare_slot(&context, &spec).await.unwrap();
    assert!(declared(&world).await.is_empty());
    let outcome = operations::end_slot(&context, &spec, "test").await.unwrap();
    assert!(outcome.revoked.is_empty(), "shown once");

    let second = world.whole("c", SECOND).await;
    assert_eq!(declared(&world).await, ["default"]);
    spec.known = Some((second.key_id.unwrap(), 2, None, None));
    operations::end_slot(&context, &spec, "test").await.unwrap();
    operations::declare_slot(&context, &spec).await.unwrap();
    assert!(declared(&world).await.is_empty(), "it was declared with a key that is ended");
    // A ledger that began anew is told of what there is.
    let third = world.whole("d", Goal::Rotate { to: 3, at_once: false }).await;
    *world.ledger.lock().unwrap() = Arc::new(MemoryLedger::new());
    spec.known = Some((third.key_id.unwrap(), 3, None, None));
    operations::declare_slot(&world.context("e", &Fuse::none()), &spec).await.unwrap();
    assert_eq!(declared(&world).await, ["default"]);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_was_refused_is_declared_nowhere() {
    let mut world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    let sinks = async |world: &World| {
        let integration = world.spec().id.integration.to_string();
        let ledger = world.ledger.lock().unwrap().clone();
        let rows = ledger.slots(&ledger::Selection::of(&integration)).await.unwrap();
        rows[0].sinks.clone().unwrap().to_string()
    };
    let before = sinks(&world).await;
    let theirs = Document::default().with("password", Secret::new("theirs"));
    world.apps.write("apps/c", &theirs, Expect::Nothing).await.unwrap();
    world.places = vec!["apps/a", "apps/c"];
    let Ending::Done(Err(problem)) = world.run("b", &Fuse::none(), FIRST).await else { panic!() };
    assert_eq!(problem.code, "E-SINK-OCCUPIED");
    assert_eq!(sinks(&world).await, before);
    world.places = vec!["apps/a", "apps/d"];
    world.whole("c", FIRST).await;
    assert_ne!(sinks(&world).await, before, "what was done is declared");
}

#[tokio::test(start_paused = true)]
async fn a_ledger_says_all_that_another_generation_of_a_slot_is_made_of() {
    let world = World::new("add-ours").await;
    let (context, mut spec) = (world.context("a", &Fuse::none()), world.spec());
    spec.deliveries[0].fields = [("KEY", "secret"), ("USER", "sync")]
        .map(|(field, from)| (field.to_owned(), from.to_owned()))
        .into();
    spec.deliveries[0].merge = true;
    let text = domain::Setting::Text("x".into());
    for field in spec.credential_type.fields.iter().take(1) {
        spec.settings.0.insert(field.name.to_owned(), text.clone());
    }
    carry_out(&context, &spec, FIRST, "asked").await.unwrap();
    let declared = async || operations::declared_in_ledger(&*context.ledger).await.unwrap();
    let wishes = declared().await;
    let wish = wishes.integrations.values().next().unwrap();
    let found = operations::declared_slot(&context, wish, "default").await.unwrap();
    assert_eq!((&found.id, &found.vendor_id), (&spec.id, &spec.vendor_id));
    assert_eq!((&found.settings, &found.deliveries), (&spec.settings, &spec.deliveries));
    assert_eq!(found.credential_type.name, spec.credential_type.name);
    assert_eq!(found.schedule, spec.schedule);
    let other = operations::declared_slot(&context, wish, "other").await.unwrap_err();
    assert_eq!(other.code, "E-UNDECLARED");
    // What an earlier version kept says where it is, and not how it is issued.
    let mut bare = wish.clone();
    bare.slots[0].settings = None;
    let bare = operations::declared_slot(&context, &bare, "default").await.unwrap_err();
    assert!(bare.code == "E-FORM-UNKNOWN" && bare.to_string().contains("--state -"), "{bare}");

    carry_out(&context, &found, Goal::Revoke, "test").await.unwrap();
    let wish = declared().await.integrations.into_values().next().unwrap();
    let found = operations::declared_slot(&context, &wish, "default").await.unwrap();
    assert_eq!(found.deliveries, spec.deliveries, "its resource is there, and says the same");
    operations::end_slot(&context, &found, "test").await.unwrap();
    assert_eq!(declared().await.count(), 0, "what is ended with it is declared no longer");
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_declared_no_longer_wherever_its_ending_stopped() {
    for call in 1..40 {
        for moment in [Moment::Before, Moment::After] {
            let world = World::new("add-ours").await;
            world.whole("a", FIRST).await;
            let fuse = Fuse::at(call, moment);
            if matches!(world.run("killed", &fuse, Goal::Revoke).await, Ending::Done(_)) {
                continue;
            }
            world.recover(Goal::Revoke).await;
            let how = format!("killed {moment:?} {call} of {:?}", fuse.log());
            let context = world.context("destroys", &Fuse::none());
            operations::end_slot(&context, &world.spec(), "test").await.unwrap();
            assert!(declared(&world).await.is_empty(), "{how}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_overlap_goes_on_when_a_key_whose_claim_was_lost_is_taken_into_the_books() {
    // What is left to tell of it: the anchor, or the marks alone.
    for documents in [true, false] {
        let world = World::new("add-ours").await;
        let first = world.whole("a", FIRST).await.key_id.unwrap();
        let second = world.whole("b", SECOND).await;
        let until = second.previous[0].retire_after;
        world.wipe_claims().await;
        if !documents {
            world.places.iter().for_each(|path| world.apps.wipe(path));
        }
        let mut spec = world.spec();
        spec.known = Some((second.key_id.clone().unwrap(), 2, None, None));
        let context = world.context("c", &Fuse::none());
        operations::take_over(&context, &spec).await.unwrap();
        let seen = observe_slot(&context, &spec).await.unwrap().unwrap();
        assert_eq!(seen.previous.len(), 1, "documents {documents}");
        assert_eq!(seen.previous[0].key_id, first);
        assert!(seen.previous[0].retire_after >= until, "documents {documents}");
        let retire = Goal::Retire { at: 2 };
        if documents {
            world.whole("early", retire).await;
            assert_eq!(world.live().await.len(), 2, "its overlap is not over");
        }
        world.clock.advance(OVERLAP);
        let _ = world.run("late", &Fuse::none(), retire).await;
        let left = world.live().await;
        assert_eq!(left, [second.key_id.unwrap()].into(), "documents {documents}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_came_after_the_one_that_is_known_is_not_ended_with_a_lost_claim() {
    let world = World::new("add-ours").await;
    let first = world.whole("a", FIRST).await.key_id.unwrap();
    world.whole("b", SECOND).await;
    world.wipe_claims().await;
    // A state that is one generation behind.
    let mut spec = world.spec();
    spec.known = Some((first, 1, None, None));
    let context = world.context("c", &Fuse::none());
    operations::take_over(&context, &spec).await.unwrap();
    let _ = world.run("copy", &Fuse::none(), FIRST).await;
    assert_eq!(world.live().await.len(), 2);
    assert!(world.works().await);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_still_listed_is_not_called_revoked_and_keeps_no_other_alive() {
    let mut world = World::new("add-ours").await;
    let mut keys = Vec::new();
    world.fake.by_hand(APP, "sync", |hand| {
        keys = ["one", "two", "three"].map(|secret| hand.issue(secret, None)).to_vec();
    });
    let token = world.fake.sign_in(APP, "sync", &Secret::new("two")).unwrap();
    world.undying = [keys[0].clone()].into();
    let context = world.context("a", &Fuse::none());
    let (id, vendor_id) = (world.spec().id.integration, world.vendor_id.clone());
    let all: BTreeSet<String> = keys.iter().cloned().collect();
    let unmanaged = operations::revoke_unmanaged(&context, &id, &vendor_id, "sync", &all).await;
    let problem = unmanaged.unwrap_err();
    assert_eq!(problem.code, "E-STILL-LIVE");
    assert!(problem.detail.contains(&keys[0]), "{problem}");
    assert_eq!(world.live().await, world.undying);
    let ledger = world.ledger.lock().unwrap().clone();
    let told = Filter { kinds: vec!["credential.revoked".to_owned()], ..Filter::all() };
    let told = all_entries(&*ledger, told).await.unwrap();
    let told: Vec<_> = told.iter().map(|one| one.detail["key"].clone()).collect();
    assert_eq!(told, [keys[1].as_str(), keys[2].as_str()]);

    let everything = operations::revoke_everything(&context, &id, &vendor_id, "sync").await;
    assert_eq!(everything.unwrap_err().code, "E-STILL-LIVE");
    assert!(!world.fake.works(token), "what was minted from the others is ended");
    // Two that cannot be ended are both told of.
    world.undying.clear();
    world.fake.by_hand(APP, "sync", |hand| drop(hand.issue("four", None)));
    let refused = connector::fake::Fault::Refused(connector::Refusal::Forbidden);
    world.fake.fail(connector::fake::Verb::End, [refused, refused]);
    let context = world.context("b", &Fuse::none());
    let live = world.live().await;
    let problem = operations::revoke_everything(&context, &id, &vendor_id, "sync").await;
    let problem = problem.unwrap_err();
    assert_eq!(problem.code, "E-NOT-DONE");
    assert!(live.iter().all(|key_id| problem.detail.contains(key_id)), "{problem}");
    assert!(operations::revoke_everything(&context, &id, &vendor_id, "sync").await.is_ok());
    assert!(world.live().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_key_made_by_hand_that_a_slot_took_in_outlives_the_loss_of_its_book() {
    let world = World::new("add-ours").await;
    let (mut taken, mut stray) = (String::new(), String::new());
    world.fake.by_hand(APP, "sync", |hand| taken = hand.issue("imported", None));
    let (context, mut spec) = (world.context("a", &Fuse::none()), world.spec());
    spec.known = Some((taken.clone(), 0, None, None));
    operations::take_over(&context, &spec).await.unwrap();
    operations::declare_slot(&context, &spec).await.unwrap();
    world.fake.by_hand(APP, "sync", |hand| stray = hand.issue("stray", None));
    world.wipe_claims().await;

    let (id, vendor_id) = (&spec.id.integration, &world.vendor_id);
    let look = async |context: &operations::Context| {
        let seen = operations::observe_integration(context, id, None, Some(vendor_id)).await;
        seen.unwrap().unwrap()
    };
    let seen = look(&context).await;
    assert_eq!(seen.unmanaged, [stray.clone()].into());
    assert_eq!(seen.slots[&taken], spec.id.to_string());
    let found = operations::unmarked_key(&context, &spec.id, &seen).await.unwrap();
    assert_eq!(found.as_ref(), Some(&taken), "an import of that slot means this key");
    // Nor does a plan end it that was made of another look.
    let planned = BTreeSet::from([taken.clone(), stray.clone()]);
    let ended = operations::revoke_unmanaged(&context, id, vendor_id, "sync", &planned).await;
    assert!(ended.unwrap().iter().map(|one| &one.key_id).eq([&stray]));
    assert_eq!(world.live().await, [taken.clone()].into());
    // Without a ledger the record still says it, and without both nothing does.
    let mut forgetful = world.context("b", &Fuse::none());
    forgetful.ledger = Arc::new(ledger::NullLedger);
    assert!(look(&forgetful).await.unmanaged.is_empty());
    let wipe = |record| world.fake.by_hand(APP, "sync", |hand| hand.write_record(record));
    wipe(None);
    assert_eq!(look(&forgetful).await.unmanaged, [taken.clone()].into());
    assert!(look(&context).await.unmanaged.is_empty(), "the ledger says it");
    // Where there is a book, it is believed before a ledger that says otherwise.
    operations::take_over(&context, &spec).await.unwrap();
    world.fake.by_hand(APP, "sync", |hand| stray = hand.issue("another", None));
    let row = ledger::Slot {
        integration: id.to_string(),
        name: spec.id.name.clone(),
        current: Some(stray.clone()),
        status: "current".into(),
        ..ledger::Slot::default()
    };
    let entry = ledger::NewEntry::new(1, "slot.declared", spec.id.to_string());
    let entry = entry.change(ledger::Change::Slot(row));
    context.ledger.append(vec![entry], ledger::Durability::Durable).await.unwrap();
    assert_eq!(look(&context).await.unmanaged, [stray].into());
}

#[tokio::test(start_paused = true)]
async fn only_what_its_platform_does_not_show_is_forgotten() {
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    let id = world.spec().id.integration.to_string();
    let ledger = world.ledger.lock().unwrap().clone();
    let declared = ledger::Change::Declared {
        integration: id.clone(),
        facet: "settings".into(),
        document: Some(serde_json::json!({})),
    };
    let entry = ledger::NewEntry::new(1, "declared", &id).change(declared);
    ledger.append(vec![entry], ledger::Durability::Durable).await.unwrap();
    let context = world.context("person", &Fuse::none());
    let forget = async |id: &str, unread| {
        operations::forget(&context, id, "it's gone", unread).await.map_err(|problem| problem.code)
    };
    let left = async || operations::declared_in_ledger(&*ledger).await.unwrap().count();
    assert_eq!(forget("fake/x/none", false).await, Err("E-FORGET-UNKNOWN"));
    // What is there is there, whatever somebody says.
    assert_eq!(forget(&id, true).await, Err("E-FORGET-THERE"));
    world.fake.delete_by_hand(APP, "sync");
    world.fake.fail(Verb::Read, [Fault::Refused(Refusal::Forbidden)]);
    assert_eq!(forget(&id, false).await, Err("E-FORGET-UNREAD"));
    assert_eq!(left().await, 1);
    world.fake.fail(Verb::Read, [Fault::Refused(Refusal::Forbidden)]);
    assert_eq!(forget(&id, true).await, Ok(()));
    assert_eq!(left().await, 0);
    let all = all_entries(&*ledger, Filter::all()).await.unwrap();
    let last = all.last().unwrap();
    assert_eq!((&*last.kind, &*last.subject), ("integration.forgotten", &*id));
    assert!(format!("{last:?}").contains("it's gone"), "who forgets says why");
}

#[test]
fn what_stands_in_the_way_of_custody_is_what_to_see_to() {
    let next = "chmod go= /srv/secrets";
    let error = connector::Error::Keyring(secrets::SinkError::Unfit {
        place: "/srv/secrets/nhi/x".into(),
        reason: "/srv/secrets has mode 0755: others may look into it".into(),
        next: next.into(),
    });
    let problem = operations::Problem::unreadable("login/oauth_client/x", &error);
    assert_eq!(problem.next.as_deref(), Some(next), "and not the connection, which is in order");
}

#[tokio::test(start_paused = true)]
async fn what_a_backup_brought_back_is_not_what_is_delivered() {
    for both in [true, false] {
        let world = World::new("add-ours").await;
        world.whole("a", FIRST).await;
        let saved: Vec<_> =
            world.places.iter().map(|path| (*path, world.apps.save(path))).collect();
        let second = world.whole("b", SECOND).await.key_id.unwrap();
        world.clock.advance(OVERLAP);
        world.whole("c", Goal::Retire { at: 2 }).await;
        for (path, saved) in saved.into_iter().take(if both { 2 } else { 1 }) {
            world.apps.restore(path, saved);
        }
        let (context, mut spec) = (world.context("looks", &Fuse::none()), world.spec());
        spec.known = Some((second.clone(), 2, None, None));
        let seen = observe_slot(&context, &spec).await.unwrap().unwrap();
        assert_eq!(seen.status, if both { "undelivered" } else { "stale_copy" });
        let to = if both { 3 } else { 2 };
        let outcome = world.whole("d", Goal::Rotate { to, at_once: false }).await;
        world.assert_at(&outcome, to, "restored").await;
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert_eq!(seen.status, "current");
    }
}
