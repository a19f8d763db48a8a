//! What a hand on an integration does to what drift tells of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use connector::{Connector, fake::APP};
use domain::{CredentialId, Realm, Record, Span};
use operations::{
    Custody, Wish, carry_out, declared_in_ledger, declared_slot, everything_begun,
    everything_left_open, goal_of_finish, goal_of_resume, held_in_custody, judge_integration,
    judge_left_behind, never_heard_of, undeclared_slot,
};
use policy::{
    findings::{Condition, Finding},
    rotation::Goal,
};
use serde_json::json;

use crate::world::{Ending, Fuse, Moment, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const THEIRS: &str = "nhi1-other1-abcdefgh-g1-e1-mabcdefghijklm";

fn wish(world: &World, enabled: bool) -> Wish {
    Wish { enabled: Some(enabled), ..world.wish() }
}

async fn rules(world: &World, wish: &Wish) -> Vec<&'static str> {
    let judged = judge_integration(&world.context("looks", &Fuse::none()), wish).await.unwrap();
    assert!(judged.gaps.is_empty(), "{:?}", judged.gaps);
    judged.findings.iter().map(|(_, one)| one.rule).collect()
}

/// A world with a slot, and a key that nobody declared.
async fn drifted() -> World {
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    assert!(rules(&world, &wish(&world, true)).await.is_empty());
    world.fake.by_hand(APP, "sync", |hand| {
        hand.issue("stray", None);
    });
    world
}

#[tokio::test(start_paused = true)]
async fn what_a_hand_switched_off_hides_nothing_of_its_credentials() {
    let world = drifted().await;
    let current = world.whole("b", FIRST).await.key_id.unwrap();
    world.fake.by_hand(APP, "sync", |hand| {
        hand.end(&current);
        hand.enable(false);
    });
    let told = rules(&world, &wish(&world, true)).await;
    assert_eq!(told, ["switch-changed", "credential-unmanaged", "credential-missing"]);
    // Where it is to be off, nothing is issued for it, and that is no drift.
    let told = rules(&world, &wish(&world, false)).await;
    assert_eq!(told, ["credential-unmanaged"]);
    // Nor while it is quarantined: what is declared does not lift that.
    let quarantined = Record { quarantined: Some("INC-7".into()), ..Record::default() };
    world.fake.by_hand(APP, "sync", |hand| hand.write_record(Some(quarantined)));
    let told = rules(&world, &wish(&world, true)).await;
    assert!(!told.contains(&"credential-missing"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_custody_says_of_an_integration_that_is_gone_is_history() {
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    let held = async || held_in_custody(&world.context("looks", &Fuse::none())).await.unwrap();
    assert_eq!(held().await, BTreeSet::from([world.spec().id.to_string()]));
    world.fake.by_hand(APP, "sync", |hand| hand.recreate());
    assert!(held().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_issued_here_and_the_given_state_does_not_declare_is_noted() {
    let world = World::new("add-ours").await;
    let key = world.whole("a", FIRST).await.key_id.unwrap();
    let bare = Wish { slots: Vec::new(), ..wish(&world, true) };
    let context = world.context("looks", &Fuse::none());
    let judged = judge_integration(&context, &bare).await.unwrap();
    let [(_, noted)] = &judged.findings[..] else { panic!("{judged:?}") };
    assert_eq!((noted.rule, noted.condition), ("not-in-given-states", Condition::Note));
    assert!(noted.actual.contains(&key) && noted.why.contains("nhi revoke"), "{noted:?}");
}

#[tokio::test(start_paused = true)]
async fn without_the_key_that_checks_marks_nothing_of_ours_is_called_nobodys() {
    let world = World::new("add-ours").await;
    let ours = world.whole("a", FIRST).await.key_id.unwrap();
    let (mut theirs, mut stray) = (String::new(), String::new());
    world.fake.by_hand(APP, "sync", |hand| {
        theirs = hand.issue("theirs", Some(THEIRS));
        stray = hand.issue("stray", None);
    });
    let id = world.spec().id.integration;
    let mut context = world.context("looks", &Fuse::none());
    context.realm = Some(Arc::new(Realm { id: "k3x9q2".into(), key: None }));
    let seen = operations::observe_integration(&context, &id, None, None).await.unwrap().unwrap();
    assert_eq!(seen.unmanaged, [stray.clone()].into());
    assert!(seen.foreign.contains_key(&theirs) && seen.forged.is_empty());
    // A plan that was made of another look ends nothing of ours either.
    let all = [ours.clone(), theirs.clone(), stray].into();
    let ended = operations::revoke_unmanaged(&context, &id, &world.vendor_id, "sync", &all).await;
    assert_eq!(ended.unwrap().len(), 1);
    assert_eq!(world.live().await, [ours, theirs].into());
}

#[tokio::test(start_paused = true)]
async fn what_another_installation_has_there_is_drift_that_names_it() {
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    world.fake.by_hand(APP, "sync", |hand| {
        hand.issue("theirs", Some(THEIRS));
    });
    let context = world.context("looks", &Fuse::none());
    let judged = judge_integration(&context, &wish(&world, true)).await.unwrap();
    let [(_, found)] = &judged.findings[..] else { panic!("{judged:?}") };
    assert_eq!((found.rule, found.facet.as_str()), ("other-realm", "credentials"));
    assert!(found.why.contains("other1"), "{found:?}");
    // Whoever writes over the record hides nothing by that; of what was never ours no more is told.
    let record = Record { realm: Some("other1".into()), ..Record::default() };
    let bare = World::new("add-ours").await;
    for (world, was_ours) in [(&world, true), (&bare, false)] {
        world.fake.by_hand(APP, "sync", |hand| hand.write_record(Some(record.clone())));
        let context = world.context("looks", &Fuse::none());
        let judged = judge_integration(&context, &wish(world, true)).await.unwrap();
        let all = judged.findings.iter().map(|(_, found)| found);
        let facets: Vec<&str> = all.clone().map(|found| found.facet.as_str()).collect();
        assert_eq!(facets.contains(&"credentials"), was_ours, "{facets:?}");
        assert_eq!(facets.len() == 1, !was_ours, "{facets:?}");
        let found = all.into_iter().find(|found| found.facet == "installation").unwrap();
        assert_eq!(found.rule, "other-realm");
        assert_eq!((found.expected.as_str(), found.actual.as_str()), ("k3x9q2", "other1"));
        assert_eq!(found.why.contains("wrote over"), was_ours, "{}", found.why);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_create_left_is_told_although_nothing_declares_the_slot() {
    let mut told = 0;
    for call in 1..8 {
        let world = World::new("add-ours").await;
        let ending = world.run("a", &Fuse::at(call, Moment::After), FIRST).await;
        assert!(matches!(ending, Ending::Killed), "{call}");
        let undeclared = Wish { slots: Vec::new(), ..wish(&world, true) };
        let works = !world.live().await.is_empty();
        let fresh = rules(&world, &undeclared).await;
        assert!(!fresh.contains(&"unfinished"), "{call}: somebody may be at work: {fresh:?}");
        // Killed in the second call, its facts do not stand beside the claim yet, and no look sees it.
        assert_eq!(fresh.contains(&"rotating"), call > 2, "{call}: {fresh:?}");
        world.clock.advance(world.claim_ttl.max(Span::from_secs(3600)));
        let context = world.context("looks", &Fuse::none());
        let judged = judge_integration(&context, &undeclared).await.unwrap();
        assert!(judged.gaps.is_empty(), "{call}: {:?}", judged.gaps);
        let open = judged.findings.iter().find(|(_, one)| one.rule == "unfinished");
        assert!(open.is_some() || !works, "{call}: a key works and nobody says so");
        if let Some((_, open)) = open {
            assert_eq!(open.condition, Condition::Unfinished);
            assert_eq!(open.subject, world.spec().id.to_string());
            assert!(open.why.contains("nhi recover") && open.why.contains("--end"), "{open:?}");
            left_behind(&world, open).await;
            told += 1;
            // Declared again, the slot says it itself, once.
            let again = rules(&world, &wish(&world, true)).await;
            assert_eq!(again.iter().filter(|rule| **rule == "unfinished").count(), 1, "{call}");
        }
        // What its remedy says ends it, of what custody alone knows.
        let context = world.context("person", &Fuse::none());
        for open in everything_left_open(&context).await.unwrap() {
            let spec = undeclared_slot(&context, &open.slot, &open.vendor_id).unwrap();
            assert!(goal_of_finish(&context, &spec).await.unwrap().is_some(), "{call}");
            carry_out(&context, &spec, Goal::Revoke, "revoked").await.unwrap();
            assert_eq!(goal_of_finish(&context, &spec).await.unwrap(), None, "{call}");
        }
        assert!(everything_left_open(&context).await.unwrap().is_empty(), "{call}");
        assert!(rules(&world, &undeclared).await.is_empty(), "{call}");
        assert!(world.live().await.is_empty(), "{call}");
    }
    assert!(told > 2, "{told}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_person_is_told_at_once_by_whoever_declares_it_and_by_nobody() {
    for goal in [FIRST, Goal::Rotate { to: 2, at_once: false }] {
        let world = World::new("add-ours").await;
        if goal != FIRST {
            world.whole("before", FIRST).await;
        }
        world.fake.by_hand(APP, "sync", |hand| hand.enable(false));
        let ending = world.run("a", &Fuse::none(), goal).await;
        assert!(matches!(ending, Ending::Done(Err(_))), "{goal:?}: {ending:?}");
        world.fake.by_hand(APP, "sync", |hand| hand.enable(true));
        let context = world.context("looks", &Fuse::none());
        let [open] = &everything_begun(&context).await.unwrap()[..] else { panic!("{goal:?}") };
        assert_eq!(open.hold.as_deref(), Some("verify-failed"), "{goal:?}");
        let undeclared = Wish { slots: Vec::new(), ..wish(&world, true) };
        for wish in [wish(&world, true), undeclared] {
            let judged = judge_integration(&context, &wish).await.unwrap();
            let held = judged.findings.iter().find(|(_, one)| one.rule == "held");
            let (_, held) = held.unwrap_or_else(|| panic!("{goal:?}: {judged:?}"));
            assert_eq!(held.condition, Condition::Unfinished, "{goal:?}");
            let helps = held.why.contains("nhi recover") && held.why.contains("verify-failed");
            assert!(helps, "{goal:?}: {held:?}");
        }
        let judged = judge_left_behind(&context, &BTreeMap::new(), &[], true).await.unwrap();
        let [(_, held)] = &judged.findings[..] else { panic!("{goal:?}: {judged:?}") };
        assert_eq!((held.rule, held.condition), ("held", Condition::Unfinished), "{goal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_may_be_at_work_on_is_noted_at_once_with_whom_to_ask() {
    let world = World::new("add-ours").await;
    let ending = world.run("a", &Fuse::at(4, Moment::After), FIRST).await;
    assert!(matches!(ending, Ending::Killed), "{ending:?}");
    let context = world.context("looks", &Fuse::none());
    assert_eq!(everything_begun(&context).await.unwrap().len(), 1);
    let undeclared = Wish { slots: Vec::new(), ..wish(&world, true) };
    let mut all = Vec::new();
    for wish in [wish(&world, true), undeclared] {
        all.extend(judge_integration(&context, &wish).await.unwrap().findings);
    }
    all.extend(judge_left_behind(&context, &BTreeMap::new(), &[], true).await.unwrap().findings);
    all.retain(|(_, one)| one.rule == "rotating");
    assert_eq!(all.len(), 3, "{all:?}");
    for (_, one) in all {
        assert_eq!(one.condition, Condition::Note, "{one:?}");
        assert!(one.why.contains("nhi recover") && one.why.contains(": a"), "{one:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forged_mark_is_told_with_the_key_that_bears_it() {
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    let listed = world.fake.credentials(&world.object()).await.unwrap().credentials;
    let genuine = listed[0].marker.clone().unwrap();
    let (last, rest) = (genuine.chars().last().unwrap(), &genuine[..genuine.len() - 1]);
    let forged = format!("{rest}{}", if last == 'a' { 'b' } else { 'a' });
    let mut key_id = String::new();
    world.fake.by_hand(APP, "sync", |hand| key_id = hand.issue("x", Some(&forged)));
    let context = world.context("looks", &Fuse::none());
    let judged = judge_integration(&context, &wish(&world, true)).await.unwrap();
    let told = |rule: &str| judged.findings.iter().find(|(_, one)| one.rule == rule).unwrap();
    assert!(told("marker-forged").1.why.contains(&key_id));
    let unmanaged = &told("credential-unmanaged").1;
    assert!(format!("{unmanaged:?}").contains("its mark is copied or forged"), "{unmanaged:?}");
}

/// What a look at an integration tells of its open slots is told as well where nothing looks at it.
async fn left_behind(world: &World, told: &Finding) {
    let mut context = world.context("looks", &Fuse::none());
    let id = world.spec().id.integration.to_string();
    let looked =
        |vendor_id: Option<&str>| BTreeMap::from([(id.clone(), vendor_id.map(str::to_owned))]);
    // Nothing declares it, or what is there is another one than it was begun for.
    for looked_at in [BTreeMap::new(), looked(Some("another incarnation"))] {
        let judged = judge_left_behind(&context, &looked_at, &[], true).await.unwrap();
        let [(_, found)] = &judged.findings[..] else { panic!("{judged:?}") };
        assert_eq!((&found.subject, &found.actual), (&told.subject, &told.actual));
        assert_eq!(found.condition, Condition::Unfinished);
        let [open] = &everything_left_open(&context).await.unwrap()[..] else { panic!() };
        assert!(found.why.contains(&open.place), "{found:?}");
    }
    // Of another state's nothing follows here.
    let judged = judge_left_behind(&context, &BTreeMap::new(), &[], false).await.unwrap();
    assert_eq!(judged.findings[0].1.condition, Condition::Note);
    // What was looked at tells it itself; what could not be read is a gap already.
    for looked_at in [looked(Some(&world.vendor_id)), looked(None)] {
        let judged = judge_left_behind(&context, &looked_at, &[], true).await.unwrap();
        assert!(judged.findings.is_empty(), "{judged:?}");
    }
    // Custody that cannot be read is no custody with nothing in it.
    context.custody = Some(Custody::new("fake", "nhi"));
    let gap = judge_left_behind(&context, &BTreeMap::new(), &[], true).await.unwrap_err();
    assert_eq!(gap.code, "E-DRIFT-HALF");
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_run_died_before_it_could_say_so_is_told_as_begun() {
    for first in [true, false] {
        let world = World::new("add-ours").await;
        let (fuse, goal) = match first {
            true => (Fuse::at(2, Moment::After), FIRST),
            false => {
                world.whole("before", FIRST).await;
                (Fuse::at(1, Moment::After), Goal::Rotate { to: 2, at_once: false })
            }
        };
        assert!(matches!(world.run("a", &fuse, goal).await, Ending::Killed));
        assert_eq!(fuse.log().last(), Some(&"write"), "the claim is there and what says so is not");
        let context = world.context("looks", &Fuse::none());
        let looked_at = BTreeMap::from([(
            world.spec().id.integration.to_string(),
            Some(world.vendor_id.clone()),
        )]);
        let bare = Wish { slots: Vec::new(), ..wish(&world, true) };
        // Of a slot that was there before it is known whose claim it is; of a new one only where.
        let told = async |wish: &Wish, slots: &[CredentialId]| {
            let mut all = judge_integration(&context, wish).await.unwrap().findings;
            let left = judge_left_behind(&context, &looked_at, slots, true).await.unwrap();
            all.extend(left.findings);
            all.retain(|(_, one)| one.actual.contains("begun") || one.facet == "status");
            all.into_iter().map(|(_, one)| (one.rule, one.condition)).collect::<Vec<_>>()
        };
        assert_eq!(told(&bare, &[]).await, [("rotating", Condition::Note)], "first: {first}");
        world.clock.advance(Span::from_secs(3600));
        let unfinished = ("unfinished", Condition::Unfinished);
        assert_eq!(told(&bare, &[]).await, [unfinished], "first: {first}");
        if !first {
            assert_eq!(told(&wish(&world, true), &[world.spec().id]).await, [unfinished]);
        }
        assert_eq!(everything_begun(&context).await.unwrap().len(), 1, "recover knows the rest");
        world.whole("b", goal).await;
        assert_eq!(told(&wish(&world, true), &[world.spec().id]).await, [], "first: {first}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_is_finished_and_nothing_besides() {
    let second = Goal::Rotate { to: 2, at_once: false };
    for goal in [second, Goal::Revoke] {
        let mut finished = 0;
        for call in 1..30 {
            let world = World::new("add-ours").await;
            world.whole("before", FIRST).await;
            if !matches!(world.run("a", &Fuse::at(call, Moment::After), goal).await, Ending::Killed)
            {
                break;
            }
            world.clock.advance(world.claim_ttl.max(Span::from_secs(3600)));
            let (context, spec) = (world.context("person", &Fuse::none()), world.spec());
            let begun = everything_begun(&context).await.unwrap();
            let Some(finish) = goal_of_finish(&context, &spec).await.unwrap() else {
                assert!(begun.is_empty(), "{goal:?} {call}: it is listed and nothing is open");
                continue;
            };
            let [open] = &begun[..] else { panic!("{goal:?} {call}: {begun:?}") };
            let how = format!("{goal:?} {call}: {open:?}");
            assert_eq!(open.ends_all, goal == Goal::Revoke, "{how}");
            assert_eq!(finish, goal, "{how}");
            let outcome = carry_out(&context, &spec, finish, "recovered").await.unwrap();
            assert!(everything_begun(&context).await.unwrap().is_empty(), "{how}");
            match goal {
                Goal::Revoke => assert!(world.live().await.is_empty(), "{how}"),
                _ => world.assert_at(&outcome, 2, &how).await,
            }
            finished += 1;
        }
        assert!(finished > 2, "{goal:?}: {finished}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_person_ended_stays_declared_and_is_missed_until_it_is_issued_again() {
    let world = World::new("add-ours").await;
    world.whole("a", FIRST).await;
    let context = world.context("b", &Fuse::none());
    carry_out(&context, &world.spec(), Goal::Revoke, "revoked").await.unwrap();
    let id = world.spec().id.integration.to_string();
    let declared = async || {
        let ledger = world.ledger.lock().unwrap().clone();
        let mut wishes = declared_in_ledger(&*ledger).await.unwrap();
        let wish = wishes.integrations.remove(&id).unwrap();
        // How the integration itself is declared is no matter here.
        Wish { pieced_together: false, ..wish }
    };
    let wish = declared().await;
    // Our own mark, that nothing is current there, is nobody's hand.
    assert_eq!(rules(&world, &wish).await, ["credential-missing", "sink-missing", "sink-missing"]);
    let spec = declared_slot(&context, &wish, "default").await.unwrap();
    let (goal, begins) = goal_of_resume(&context, &spec, 1, true).await.unwrap();
    assert!(begins);
    carry_out(&context, &spec, goal, "asked").await.unwrap();
    assert_eq!(world.live().await.len(), 1);
    assert!(rules(&world, &declared().await).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_younger_ledger_never_heard_of_is_a_gap() {
    let world = World::new("add-ours").await;
    let ours =
        Record { realm: Some(world.realm.into()), scopes_governed: true, ..Record::default() };
    world.fake.by_hand(APP, "sync", |hand| hand.write_record(Some(ours)));
    world.whole("a", FIRST).await;
    let context = world.context("looks", &Fuse::none());
    let id = world.spec().id.integration.to_string();
    let gap = async |wish: &Wish| {
        let judged = judge_integration(&context, wish).await.unwrap();
        judged.gaps.into_iter().map(|(_, problem)| problem.to_string()).collect::<String>()
    };
    let mut wish = Wish { pieced_together: true, ..wish(&world, true) };
    let told = gap(&wish).await;
    assert!(told.contains("its settings and record, nor about its scopes"), "{told}");
    assert!(told.contains("--state") && !told.contains("its credential"), "{told}");
    (wish.settings, wish.record) = (Some(json!({})), Some(BTreeMap::new()));
    wish.slots.clear();
    let told = gap(&wish).await;
    assert!(told.contains("its scopes, nor about its credential \"default\""), "{told}");
    assert!(!told.contains("settings"), "{told}");
    // A state is whole: what it does not name is declared elsewhere.
    assert_eq!(gap(&Wish { pieced_together: false, ..wish }).await, "");

    let unheard = async |heard_of: &[&String]| {
        let heard_of = heard_of.iter().map(|id| (*id).clone()).collect();
        let gaps = never_heard_of(&context, &heard_of).await.unwrap();
        // Neither sink can be asked what it has of ours.
        let ids = gaps.into_iter().map(|(id, _)| id).filter(|id| id.contains('/'));
        ids.collect::<Vec<_>>()
    };
    assert_eq!(unheard(&[]).await, std::slice::from_ref(&id));
    assert!(unheard(&[&id]).await.is_empty());
    // Another installation's is not ours to know.
    let theirs = Record { realm: Some("other1".into()), ..Record::default() };
    world.fake.by_hand(APP, "sync", |hand| hand.write_record(Some(theirs)));
    assert!(unheard(&[]).await.is_empty());
}
