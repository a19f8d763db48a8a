//! Calls that are refused, lost, or answered into the void, and hands of others in between.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use connector::{
    Clock, Refusal,
    fake::{APP, Fault, Verb},
};
use domain::{Secret, Setting};
use ledger::{MemoryLedger, NullLedger};
use operations::{carry_out, observe_integration, observe_slot};
use policy::rotation::Goal;
use secrets::{Document, Expect, Sink};

use crate::world::{Ending, Fuse, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const AT_ONCE: Goal = Goal::Rotate { to: 2, at_once: true };

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_one_call_to_the_platform_the_next_run_finishes() {
    let faults = [
        Fault::NotSent,
        Fault::AnswerLost,
        Fault::RequestLost,
        Fault::Refused(Refusal::Forbidden),
        Fault::Refused(Refusal::RateLimited),
    ];
    for way in ["add-ours", "add-marked", "first-only"] {
        // The one that there is can be lost only while it is made.
        let (goal, generation) = if way == "first-only" { (FIRST, 1) } else { (AT_ONCE, 2) };
        for verb in
            [Verb::Issue, Verb::End, Verb::Sweep, Verb::Probe, Verb::Credentials, Verb::Read]
        {
            for fault in faults {
                for nth in 0..4 {
                    let how = format!("{way} {verb:?} {fault:?} after {nth}");
                    let world = World::new(way).await;
                    if goal != FIRST {
                        world.whole("before", FIRST).await;
                    }
                    let through = std::iter::repeat_n(Fault::None, nth);
                    world.fake.fail(verb, through.chain([fault]));
                    let _ = world.run("hit", &Fuse::none(), goal).await;
                    assert!(
                        goal == FIRST || world.works().await,
                        "{how}: nothing works right after"
                    );
                    world.fake.heal();
                    let outcome = world.recover(goal).await;
                    world.assert_at(&outcome, generation, &how).await;
                    assert!(outcome.previous.is_empty(), "{how}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_one_write_to_a_sink_the_next_run_finishes() {
    use secrets::Fault;
    for way in ["add-ours", "add-marked"] {
        for custody in [true, false] {
            for fault in [Fault::Unreachable, Fault::AnswerLost, Fault::RequestLost, Fault::Refused]
            {
                for nth in 0..12 {
                    let how = format!("{way} custody {custody} {fault:?} after {nth}");
                    let world = World::new(way).await;
                    world.whole("before", FIRST).await;
                    let sink = if custody { &world.vault } else { &world.apps };
                    sink.fail(std::iter::repeat_n(Fault::None, nth).chain([fault]));
                    let ending = world.run("hit", &Fuse::none(), AT_ONCE).await;
                    assert!(world.works().await, "{how}: nothing works right after");
                    // What was lost is looked for by the run that lost it, which goes on; and nobody
                    // else has to wait until its claim is silent.
                    if matches!(fault, Fault::AnswerLost | Fault::RequestLost) {
                        let Ending::Done(Ok(outcome)) = ending else { panic!("{how}: {ending:?}") };
                        world.assert_at(&outcome, 2, &how).await;
                        let context = world.context("looks", &Fuse::none());
                        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
                        assert_eq!((seen.status, seen.note), ("current", None), "{how}");
                    }
                    let outcome = world.recover(AT_ONCE).await;
                    world.assert_at(&outcome, 2, &how).await;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_says_is_told_at_the_delivery_that_it_is_about() {
    use secrets::Fault;
    let mut pointed = std::collections::BTreeSet::new();
    for nth in 0..4 {
        let world = World::new("add-ours").await;
        world.apps.fail(std::iter::repeat_n(Fault::None, nth).chain([Fault::Refused]));
        let Ending::Done(Err(problem)) = world.run("hit", &Fuse::none(), FIRST).await else {
            panic!("{nth}")
        };
        assert_eq!(problem.code, "E-SINK", "{nth}: {problem}");
        pointed.insert(problem.attribute);
    }
    let at = |name: &str| vec!["deliver_to".to_owned(), name.to_owned()];
    assert_eq!(pointed, [at("a"), at("b")].into());
    // Custody is no delivery.
    let world = World::new("add-ours").await;
    world.vault.fail([Fault::Refused]);
    let Ending::Done(Err(problem)) = world.run("hit", &Fuse::none(), FIRST).await else { panic!() };
    assert!(problem.attribute.is_empty(), "{problem:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_issued_that_would_end_before_it_begins() {
    let world = World::new("add-ours").await;
    let mut spec = world.spec();
    spec.integration_ends = Some(world.clock.now());
    let context = world.context("late", &Fuse::none());
    let refused = operations::carry_out(&context, &spec, FIRST, "test").await.unwrap_err();
    assert_eq!(refused.code, "E-ROTATE", "{refused}");
    assert!(refused.next.unwrap().contains("expires_on"));
    assert!(world.fake.calls().iter().all(|(verb, _)| *verb != Verb::Issue));
    // Nothing was begun: as soon as it may live longer, it is issued.
    let outcome = world.whole("again", FIRST).await;
    world.assert_at(&outcome, 1, "again").await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_a_human_made_survives_everything_but_revoking_by_name() {
    for way in ["add-ours", "add-marked"] {
        let world = World::new(way).await;
        world.whole("a", FIRST).await;
        let mut human = String::new();
        world.fake.by_hand(APP, "sync", |hand| human = hand.issue("by hand", None));
        let copied = "nhi1-k3x9q2-abcdefgh-g1-e1-maaaaaaaaaaaaa";
        let mut forged = String::new();
        world.fake.by_hand(APP, "sync", |hand| forged = hand.issue("forged", Some(copied)));
        world.whole("b", AT_ONCE).await;
        world.whole("c", Goal::Revoke).await;
        let left = world.live().await;
        assert_eq!(left, [human, forged].into(), "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_is_lost_takes_history_and_nothing_else() {
    for way in ["add-ours", "add-marked"] {
        let world = World::new(way).await;
        world.whole("a", FIRST).await;
        *world.ledger.lock().unwrap() = Arc::new(MemoryLedger::new());
        let outcome = world.whole("b", SECOND).await;
        world.assert_at(&outcome, 2, way).await;
        *world.ledger.lock().unwrap() = Arc::new(NullLedger);
        let outcome = world.whole("c", Goal::Rotate { to: 3, at_once: true }).await;
        world.assert_at(&outcome, 3, way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_of_somebody_else_is_never_written_over() {
    use domain::Secret;
    use secrets::{Document, Expect};
    let world = World::new("add-ours").await;
    let theirs = Document::default().with("password", Secret::new("theirs"));
    world.apps.write("apps/b", &theirs, Expect::Nothing).await.unwrap();
    let Ending::Done(Err(problem)) = world.run("a", &Fuse::none(), FIRST).await else { panic!() };
    assert_eq!(problem.code, "E-SINK-OCCUPIED");
    let stored = world.apps.read("apps/b").await.unwrap().unwrap();
    assert_eq!(stored.version.number, 1);
    assert!(world.live().await.is_empty(), "and nothing was issued for it");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_somebody_changed_is_written_again_from_another() {
    use domain::Secret;
    use secrets::{Document, Expect};
    let world = World::new("add-ours").await;
    let first = world.whole("a", FIRST).await;
    let hand = Document::default().with("key", Secret::new("by hand"));
    world.apps.write("apps/b", &hand, Expect::Version(1)).await.unwrap();
    assert!(!world.works().await);
    let outcome = world.whole("b", FIRST).await;
    world.assert_at(&outcome, 1, "repaired").await;
    assert_eq!(outcome.key_id, first.key_id, "without a rotation");
}

#[tokio::test(start_paused = true)]
async fn a_platform_whose_answers_are_always_lost_is_told_after_three_tries() {
    for (verb, goal) in [(Verb::Issue, SECOND), (Verb::End, AT_ONCE)] {
        let world = World::new("add-marked").await;
        world.whole("before", FIRST).await;
        world.fake.calls();
        world.fake.fail(verb, std::iter::repeat_n(Fault::RequestLost, 50));
        let ending = world.run("hit", &Fuse::none(), goal).await;
        let Ending::Done(Err(problem)) = ending else { panic!("{verb:?}: {ending:?}") };
        assert_eq!(problem.code, "E-NOT-DONE", "{verb:?}");
        let tries = world.fake.calls().iter().filter(|(one, _)| *one == verb).count();
        assert_eq!(tries, 3, "{verb:?}");
        assert!(world.works().await, "{verb:?}");
        world.fake.heal();
        let outcome = world.recover(goal).await;
        world.assert_at(&outcome, 2, &format!("{verb:?}")).await;
    }
}

/// The details of the newest entry of a kind.
async fn last_of(world: &World, kind: &str) -> std::collections::BTreeMap<String, String> {
    let ledger = world.ledger.lock().unwrap().clone();
    let filter = ledger::Filter { newest_first: true, ..ledger::Filter::default() };
    let page = ledger.entries(&filter).await.unwrap();
    let entry = page.entries.into_iter().find(|entry| entry.kind == kind).unwrap();
    let text =
        |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    entry.detail.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_failed_sweep_is_tried_again_and_what_stays_unknown_is_told_beside_the_grade() {
    let swept = |times: usize| async move {
        let world = World::new("add-marked").await;
        world.whole("before", FIRST).await;
        let secret = world.delivered("apps/a").await.unwrap();
        world.fake.sign_in(APP, "sync", &secret).unwrap();
        world.fake.fail(Verb::Sweep, std::iter::repeat_n(Fault::NotSent, times));
        let outcome = world.whole("rotates", AT_ONCE).await;
        world.assert_at(&outcome, 2, &format!("{times}")).await;
        let [one] = &outcome.revoked[..] else { panic!("{:?}", outcome.revoked) };
        let told = last_of(&world, "rotation.proven").await;
        assert_eq!(told["children"], one.children_words(), "{times}");
        assert_eq!(told["grade"], "A", "{times}");
        one.children_words()
    };
    assert_eq!(swept(0).await, "swept 1");
    assert_eq!(swept(2).await, "swept 1", "it was tried again");
    assert_eq!(swept(40).await, "unknown", "and not for ever");
}

#[tokio::test(start_paused = true)]
async fn what_was_promised_and_what_was_shown_stand_together_with_the_times() {
    let world = World::new("add-ours").await;
    world.whole("before", FIRST).await;
    let outcome = world.whole("rotates", AT_ONCE).await;
    let [one] = &outcome.revoked[..] else { panic!("{:?}", outcome.revoked) };
    assert_eq!((one.grade.as_str(), one.at_best.as_str()), ("A", "A"));
    let (first, last) = one.refused_at.unwrap();
    assert!(first <= last && last <= world.clock.now());
    let begun = last_of(&world, "rotation.retiring").await;
    assert_eq!(begun["grade_at_best"], "[\"A\"]");
    let shown = last_of(&world, "rotation.proven").await;
    assert_eq!((&*shown["grade"], &*shown["grade_at_best"]), ("A", "A"));
    assert!(shown.contains_key("first_refused_at") && shown.contains_key("last_refused_at"));
    // Nothing works beside it when all is ended, so nothing is tried, and nothing else was promised.
    let outcome = world.whole("revokes", Goal::Revoke).await;
    let [one] = &outcome.revoked[..] else { panic!("{:?}", outcome.revoked) };
    assert_eq!((one.grade.as_str(), one.at_best.as_str()), ("B", "B"));
    assert_eq!(one.refused_at, None);
}

#[tokio::test(start_paused = true)]
async fn what_was_minted_from_a_stray_is_ended_with_it() {
    let world = World::new("add-marked").await;
    world.whole("before", FIRST).await;
    let mut stray = String::new();
    let forged = "nhi1-k3x9q2-abcdefgh-g1-e1-maaaaaaaaaaaaa";
    world.fake.by_hand(APP, "sync", |hand| stray = hand.issue("forged", Some(forged)));
    world.fake.sign_in(APP, "sync", &Secret::new("forged")).unwrap();
    world.fake.fail(Verb::Sweep, [Fault::NotSent, Fault::NotSent]);
    let context = world.context("revokes", &Fuse::none());
    let id = &world.spec().id.integration;
    let keys = BTreeSet::from([stray.clone()]);
    let revoked = operations::revoke_unmanaged(&context, id, &world.vendor_id, "sync", &keys).await;
    let [one] = &revoked.unwrap()[..] else { panic!() };
    assert_eq!((&one.key_id, one.children_words()), (&stray, "swept 1".to_owned()));
    assert_eq!(last_of(&world, "credential.revoked").await["children"], "swept 1");
}

#[tokio::test(start_paused = true)]
async fn refused_sign_ins_never_come_so_close_that_the_good_one_is_locked_out() {
    for way in ["add-ours", "add-marked"] {
        for (goal, issued) in [(FIRST, 2), (SECOND, 3)] {
            let how = format!("{way} {goal:?}");
            let world = World::new(way).await;
            if goal == SECOND {
                world.whole("before", FIRST).await;
            }
            world.fake.calls();
            world.fake.refuse_new(u32::MAX);
            let ending = world.run("hit", &Fuse::none(), goal).await;
            let Ending::Done(Err(problem)) = ending else { panic!("{how}: {ending:?}") };
            assert_eq!(problem.code, "E-VERIFY", "{how}");
            let tries = world.fake.calls().iter().filter(|(one, _)| *one == Verb::Issue).count();
            assert_eq!(tries, issued, "{how}");
            assert!(world.most_refusals() <= 2, "{how}: {}", world.most_refusals());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refused_sign_ins_of_runs_in_a_row_are_counted_together_until_the_platform_forgets() {
    for way in ["add-ours", "add-marked"] {
        let world = World::new(way).await;
        world.fake.refuse_new(u32::MAX);
        for run in 0..8 {
            let ending = world.run(&format!("run {run}"), &Fuse::none(), FIRST).await;
            let Ending::Done(Err(problem)) = ending else { panic!("{way}: {ending:?}") };
            assert_eq!(problem.code, "E-VERIFY", "{way} {run}");
            assert!(world.most_refusals() <= 4, "{way} {run}: {}", world.most_refusals());
        }
        assert!(world.live().await.is_empty(), "{way}");
        world.fake.refuse_new(0);
        world.clock.advance(domain::Span::from_secs(900));
        let outcome = world.whole("later", FIRST).await;
        assert_eq!(outcome.generation, 1, "{way}");
        assert!(world.works().await, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_sign_ins_of_all_slots_of_an_integration_are_counted_together() {
    for way in ["add-ours", "add-marked"] {
        let world = World::new(way).await;
        world.fake.refuse_new(u32::MAX);
        let one = world.spec();
        let mut other = world.spec();
        other.id.name = "other".into();
        for delivery in &mut other.deliveries {
            delivery.path.push_str("-other");
        }
        for run in 0..4 {
            for spec in [&one, &other] {
                let context = world.context(&format!("run {run}"), &Fuse::none());
                let refused = carry_out(&context, spec, FIRST, "test").await.unwrap_err();
                assert_eq!(refused.code, "E-VERIFY", "{way} {run}");
                let most = world.most_refusals();
                assert!(most <= 4, "{way} {run}: {most} would lock out what works");
            }
        }
        // What one slot was refused is forgotten with the window, for the other one too.
        world.fake.refuse_new(0);
        world.clock.advance(domain::Span::from_secs(900));
        let context = world.context("later", &Fuse::none());
        assert_eq!(carry_out(&context, &other, FIRST, "test").await.unwrap().generation, 1);
    }
}

/// Documents of other integrations in custody.
async fn many_others(world: &World, count: usize) {
    for at in 0..count {
        let path = format!("nhi/{}/z{at:04}", world.realm);
        let document = Document::default().with("claim", Secret::new("{}"));
        world.vault.write(&path, &document, Expect::Nothing).await.unwrap();
        let mirror = [("vendor_id", format!("of-{at}")), ("phase", "free".to_owned())];
        let mirror = mirror.map(|(name, text)| (name.to_owned(), text)).into();
        world.vault.write_mirror(&path, &mirror).await.unwrap();
    }
}

/// Another slot of the same integration.
fn slot_named(world: &World, name: &str) -> operations::SlotSpec {
    let mut spec = world.spec();
    spec.id.name = name.into();
    spec.deliveries.iter_mut().for_each(|one| one.path.push_str(&format!("-{name}")));
    spec
}

#[tokio::test(start_paused = true)]
async fn a_long_custody_is_listed_once_a_run_and_not_for_each_rotation() {
    let world = World::new("add-ours").await;
    many_others(&world, 1_000).await;
    let context = world.context("applies", &Fuse::none());
    let mut looked = Vec::new();
    for at in 0..4 {
        let before = world.looked.swap(0, Ordering::SeqCst);
        looked.extend((at > 0).then_some(before));
        carry_out(&context, &slot_named(&world, &format!("s{at}")), FIRST, "test").await.unwrap();
    }
    looked.push(world.looked.load(Ordering::SeqCst));
    // Pages of a hundred once; then the names, and one look for each slot of the integration. What else
    // a rotation looks at is the same in each.
    let rest = looked[1] - 1 - 1;
    assert_eq!(looked[0], rest + 10, "{looked:?}");
    assert_eq!(looked[1..], [rest + 2, rest + 3, rest + 4], "{looked:?}");
}

/// Whatever a run remembers of custody: another one may have begun a slot since, or been refused in one
/// that is known.
#[tokio::test(start_paused = true)]
async fn refused_sign_ins_of_slots_that_came_since_are_counted_in_a_long_custody_too() {
    for known in [false, true] {
        let world = World::new("add-ours").await;
        many_others(&world, 1_000).await;
        let ours = world.context("applies", &Fuse::none());
        let theirs = world.context("theirs", &Fuse::none());
        let other = slot_named(&world, "other");
        if known {
            carry_out(&theirs, &other, FIRST, "test").await.unwrap();
        }
        carry_out(&ours, &slot_named(&world, "learns"), FIRST, "test").await.unwrap();
        world.fake.refuse_new(u32::MAX);
        let goal = Goal::Rotate { to: if known { 2 } else { 1 }, at_once: false };
        for _ in 0..4 {
            carry_out(&theirs, &other, goal, "test").await.unwrap_err();
            let refused = carry_out(&ours, &world.spec(), FIRST, "test").await.unwrap_err();
            assert_eq!(refused.code, "E-VERIFY", "{known}");
            let most = world.most_refusals();
            assert!(most <= 4, "{known}: {most} would lock out what works");
        }
        assert!(world.most_refusals() >= 2, "{known}: nobody was refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_is_no_refusal_of_the_new_credential() {
    for fault in [Fault::Refused(Refusal::Forbidden), Fault::NotSent] {
        let mut world = World::new("add-ours").await;
        world.takes_use = true;
        let mut spec = world.spec();
        spec.settings.0.insert("num_uses".into(), Setting::Count(5));
        world.fake.fail(Verb::Find, [fault]);
        let context = world.context("a", &Fuse::none());
        let refused = carry_out(&context, &spec, FIRST, "test").await.unwrap_err();
        assert_eq!(refused.code, "E-NOT-DONE", "{refused}");
        assert!(refused.detail.contains("look up"), "{refused}");
        let live = world.live().await;
        assert_eq!(live.len(), 1, "it was given up: {fault:?}");
        let context = world.context("a", &Fuse::none());
        let outcome = carry_out(&context, &spec, FIRST, "test").await.unwrap();
        world.assert_at(&outcome, 1, "again").await;
        assert_eq!(world.live().await, live, "{fault:?}");
        let probes = world.fake.calls().iter().filter(|(verb, _)| *verb == Verb::Probe).count();
        assert_eq!(probes, 0, "a use was taken");
    }
}

/// Lets nobody do anything, and keeps what was asked for.
#[derive(Debug, Default)]
struct Shut(std::sync::Mutex<Vec<operations::Deed>>);

impl operations::Gate for Shut {
    fn authorize(
        &self,
        deed: &operations::Deed,
    ) -> Result<operations::Authorization, operations::Problem> {
        self.0.lock().unwrap().push(deed.clone());
        Err(operations::Problem::new("E-SHUT", "The gate is shut"))
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_changed_or_ended_that_the_gate_does_not_allow() {
    let world = World::new("add-ours").await;
    world.whole("before", FIRST).await;
    let mut stray = String::new();
    world.fake.by_hand(APP, "sync", |hand| stray = hand.issue("by hand", None));
    world.fake.by_hand(APP, "sync", |hand| hand.grant("invoices:read"));
    let shut = Arc::new(Shut::default());
    let mut context = world.context("asks", &Fuse::none());
    context.gate = shut.clone();
    let spec = world.spec();
    let (id, vendor_id) = (&spec.id.integration, world.vendor_id.as_str());
    let keys = [stray.clone()].into();
    world.fake.calls();
    let mut problems = Vec::new();
    for goal in [SECOND, Goal::Revoke] {
        problems.extend(operations::carry_out(&context, &spec, goal, "test").await.err());
    }
    let revoked = operations::revoke_unmanaged(&context, id, vendor_id, "sync", &keys).await;
    problems.extend(revoked.err());
    for keep in [true, false] {
        let ended = operations::delete_integration(&context, id, vendor_id, "sync", keep).await;
        problems.extend(ended.err());
    }
    let parked = operations::park_scopes(&context, id, Some(vendor_id), false).await;
    problems.extend(parked.err());
    let declared = operations::DeclaredIntegration {
        connection: id.connection.clone(),
        kind: spec.kind,
        name: "sync".into(),
        settings: domain::Settings::default(),
        record: domain::Record { purpose: Some("Copies".into()), ..domain::Record::default() },
        enabled: false,
        revoke_unmanaged: false,
        ties: domain::Ties::default(),
    };
    let narrows = domain::Direction::Narrows;
    let updated = operations::update_integration(&context, id, vendor_id, &declared, narrows).await;
    problems.extend(updated.err());
    let deeds = shut.0.lock().unwrap().clone();
    let asked: Vec<&str> = deeds.iter().map(|deed| deed.action).collect();
    assert_eq!(asked, ["rotate", "revoke", "revoke", "disable", "delete", "narrow", "narrow"]);
    let update = &deeds[6];
    assert!(update.before.contains("\"enabled\":true"), "bound to what is there: {update:?}");
    assert!(update.after.contains("\"enabled\":false") && update.after.contains("Copies"));
    assert!(problems.iter().all(|one| one.code == "E-SHUT"), "{problems:?}");
    assert_eq!(problems.len(), asked.len());
    let reads = [Verb::Tenant, Verb::Read, Verb::Credentials];
    let calls = world.fake.calls();
    assert!(calls.iter().all(|(verb, _)| reads.contains(verb)), "{calls:?}");
    assert!(world.works().await);
}

#[tokio::test(start_paused = true)]
async fn a_listing_with_a_gap_makes_nobody_end_too_little_or_issue_too_much() {
    let world = World::new("add-marked").await;
    world.whole("before", FIRST).await;
    world.fake.hide_newest(true);
    let ending = world.run("hit", &Fuse::none(), SECOND).await;
    let Ending::Done(Err(problem)) = ending else { panic!("{ending:?}") };
    assert_eq!(problem.code, "E-UNREADABLE");
    assert_eq!(world.live().await.len(), 0, "hidden");
    world.fake.hide_newest(false);
    assert_eq!(world.live().await.len(), 1, "nothing was issued blindly");
    let second = world.recover(SECOND).await;
    world.assert_at(&second, 2, "healed").await;
    world.clock.advance(crate::world::OVERLAP);
    // The newest is hidden, which is the current one; the earlier one is ended all the same.
    let outcome = world.whole("retire", Goal::Retire { at: 2 }).await;
    assert_eq!(outcome.revoked.len(), 1);
    world.fake.hide_newest(true);
    let revoked = world.whole("revoke", Goal::Revoke).await;
    assert_eq!(revoked.revoked[0].key_id, outcome.key_id.unwrap());
    assert_eq!(revoked.revoked[0].grade, policy::proof::Grade::C, "nobody can see that it is gone");
    world.fake.hide_newest(false);
    assert_eq!(world.live().await.len(), 0, "and it was ended by its id");
}

#[tokio::test(start_paused = true)]
async fn a_replacement_whose_issue_is_refused_can_be_repeated() {
    use operations::{goal_of_create, park_for_replacement};
    for refusal in [Refusal::Forbidden, Refusal::RateLimited] {
        let world = World::new("add-ours").await;
        let first = world.whole("before", FIRST).await;
        let context = world.context("delete", &Fuse::none());
        park_for_replacement(&context, &world.spec()).await.unwrap();
        for again in 0..2 {
            world.fake.fail(Verb::Issue, [Fault::Refused(refusal)]);
            let goal = goal_of_create(&context, &world.spec()).await.unwrap();
            assert_eq!(goal, AT_ONCE, "{refusal:?} {again}");
            let ending = world.run("create", &Fuse::none(), goal).await;
            assert!(matches!(ending, Ending::Done(Err(_))), "{ending:?}");
            assert!(world.works().await);
        }
        // Killed in the middle, it is still a replacement.
        let fuse = Fuse::at(6, crate::world::Moment::Before);
        let killed = world.run("killed", &fuse, AT_ONCE).await;
        assert!(matches!(killed, Ending::Killed), "{:?}", fuse.log());
        let goal = goal_of_create(&context, &world.spec()).await.unwrap();
        assert_eq!(goal, AT_ONCE, "{refusal:?} {:?}", fuse.log());
        let outcome = world.recover(goal).await;
        world.assert_at(&outcome, 2, "replaced").await;
        assert!(outcome.previous.is_empty());
        assert_ne!(outcome.key_id, first.key_id);
        let done = goal_of_create(&context, &world.spec()).await.unwrap_err();
        assert_eq!(done.code, "E-SLOT-EXISTS", "the note is gone");
    }
}

#[tokio::test(start_paused = true)]
async fn an_imported_key_is_ended_although_no_claim_names_it() {
    let world = World::new("add-ours").await;
    let (mut imported, mut human) = (String::new(), String::new());
    world.fake.by_hand(APP, "sync", |hand| imported = hand.issue("imported", None));
    world.fake.by_hand(APP, "sync", |hand| human = hand.issue("by hand", None));
    let context = world.context("destroy", &Fuse::none());
    let mut spec = world.spec();
    spec.known = Some((imported.clone(), 0, None, None));
    operations::take_over(&context, &spec).await.unwrap();
    for name in world.vault.look_all("nhi/k3x9q2").await.unwrap().into_keys() {
        world.vault.wipe(&format!("nhi/k3x9q2/{name}"));
    }
    let outcome = operations::carry_out(&context, &spec, Goal::Revoke, "destroyed").await.unwrap();
    assert_eq!(outcome.revoked.len(), 1);
    assert_eq!(outcome.revoked[0].key_id, imported);
    assert_eq!(world.live().await, [human].into());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_journalled_is_not_begun_and_leaves_no_claim() {
    let world = World::new("add-ours").await;
    world.whole("before", FIRST).await;
    *world.ledger.lock().unwrap() = Arc::new(ledger::ReadOnly::new(Arc::new(NullLedger)));
    let ending = world.run("full", &Fuse::none(), SECOND).await;
    let Ending::Done(Err(problem)) = ending else { panic!("{ending:?}") };
    assert_eq!(problem.code, "E-LEDGER-READ-ONLY");
    assert_eq!(world.live().await.len(), 1, "nothing was issued");
    *world.ledger.lock().unwrap() = Arc::new(NullLedger);
    // Nobody has to wait for a claim of the dead.
    let before = world.clock.now();
    let outcome = world.whole("next", SECOND).await;
    assert_eq!(world.clock.now(), before);
    world.assert_at(&outcome, 2, "next").await;
}

#[tokio::test(start_paused = true)]
async fn one_key_s_refusal_is_never_the_next_one_s() {
    use secrets::Fault;
    for way in ["add-ours", "add-marked"] {
        for nth in 0..24 {
            let how = format!("{way}, the answer to write {nth} of custody lost");
            let world = World::new(way).await;
            world.whole("before", FIRST).await;
            world.fake.calls();
            world.fake.refuse_new(1);
            world.vault.fail(std::iter::repeat_n(Fault::None, nth).chain([Fault::AnswerLost]));
            let _ = world.run("hit", &Fuse::none(), SECOND).await;
            let outcome = world.recover(SECOND).await;
            world.assert_at(&outcome, 2, &how).await;
            let issued = world.fake.calls().iter().filter(|(one, _)| *one == Verb::Issue).count();
            assert_eq!(issued, 2, "{how}: one was refused, and the next one works");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_journal_tells_of_each_attempt_to_end_a_key_how_it_ended() {
    let attempts = async |world: &World| {
        let ledger = world.ledger.lock().unwrap().clone();
        let all = ledger::all_entries(&*ledger, ledger::Filter::all()).await.unwrap();
        let of_it = all
            .into_iter()
            .filter(|one| one.step.as_deref() == Some("end") || one.kind == "rotation.retired");
        of_it
            .map(|one| (one.kind.to_string(), one.outcome.as_deref().unwrap_or("").to_owned()))
            .collect::<Vec<_>>()
    };
    let started = || ("attempt.started".to_owned(), String::new());
    let ended = |how: &str| ("attempt.ended".to_owned(), how.to_owned());
    let refused = Fault::Refused(Refusal::Forbidden);
    let lost = [Fault::RequestLost, Fault::RequestLost, Fault::RequestLost];
    for (faults, outcomes) in [
        (&[refused][..], vec!["refused"]),
        (&lost[..], vec!["ambiguous", "ambiguous", "ambiguous"]),
        (&lost[..1], vec!["ambiguous", "done"]),
        (&[], vec!["done"]),
    ] {
        let world = World::new("add-ours").await;
        world.whole("before", FIRST).await;
        world.fake.fail(Verb::End, faults.iter().copied());
        let _ = world.run("hit", &Fuse::none(), AT_ONCE).await;
        let mut expected: Vec<_> =
            outcomes.iter().flat_map(|outcome| [started(), ended(outcome)]).collect();
        if outcomes.contains(&"done") {
            expected.push(("rotation.retired".to_owned(), String::new()));
        }
        assert_eq!(attempts(&world).await, expected, "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_never_served_is_not_called_retired() {
    let world = World::new("add-marked").await;
    world.fake.fail(Verb::Issue, [Fault::AnswerLost]);
    world.whole("a", FIRST).await;
    let ledger = world.ledger.lock().unwrap().clone();
    let all = ledger::all_entries(&*ledger, ledger::Filter::all()).await.unwrap();
    let told = |kind: &'static str| all.iter().filter(move |one| *one.kind == *kind);
    assert_eq!(told("rotation.retired").count(), 0);
    let ended = |one: &&ledger::Entry| one.detail.get("served") == Some(&false.into());
    assert_eq!(told("attempt.ended").filter(ended).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_key_that_is_all_that_works_is_not_forgotten_when_another_is_refused() {
    const THIRD: Goal = Goal::Rotate { to: 3, at_once: false };
    for way in ["add-ours", "add-marked", "add-unmarked", "slots"] {
        let world = World::new(way).await;
        let first = world.whole("a", FIRST).await;
        let second = world.whole("b", SECOND).await;
        let earlier = first.key_id.unwrap();
        let current = second.key_id.unwrap();
        world.fake.by_hand(APP, "sync", |hand| hand.end(&current));
        for again in 0..2 {
            world.fake.fail(Verb::Issue, [Fault::Refused(Refusal::Forbidden)]);
            let refused = world.run("c", &Fuse::none(), THIRD).await;
            assert!(matches!(refused, Ending::Done(Err(_))), "{way} {again}: {refused:?}");
            let context = world.context("observe", &Fuse::none());
            let id = world.spec().id.integration;
            let vendor_id = Some(world.vendor_id.as_str());
            let seen = observe_integration(&context, &id, Some("sync"), vendor_id).await;
            assert_eq!(seen.unwrap().unwrap().unmanaged, BTreeSet::new(), "{way} {again}");
            assert_eq!(world.live().await, BTreeSet::from([earlier.clone()]), "{way} {again}");
        }
        let third = world.whole("d", THIRD).await;
        world.assert_at(&third, 3, way).await;
        let kept: Vec<&str> = third.previous.iter().map(|one| one.key_id.as_str()).collect();
        assert!(kept.contains(&earlier.as_str()), "{way}: {kept:?}");
        world.clock.advance(OVERLAP);
        let done = world.whole("e", Goal::Retire { at: 3 }).await;
        assert_eq!(world.live().await, BTreeSet::from([done.key_id.unwrap()]), "{way}");
    }
}
