//! An integration is taken out of service: whatever dies on the way, a second run goes on, and nothing
//! is given back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use connector::{
    Connector, Want,
    fake::{APP, Verb},
};
use domain::{Direction, Gap, GapExtent, Record, Settings};
use operations::{
    Checklist, DeclaredIntegration, DeclaredScopes, Decommissioned, KindLattice, Problem, Step,
    carry_out, create_slot, decommission, judge_integration, set_scopes, update_integration,
};
use policy::{
    findings::Condition,
    rotation::Goal,
    scopes::{Declared, Enforcement},
};

use crate::world::{Ending, Fuse, Moment, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const THIRD: Goal = Goal::Rotate { to: 3, at_once: false };
const LATTICE: KindLattice = KindLattice { platform: &connector::fake::PLATFORM, kind: APP };

/// One that holds a scope, two generations of a slot, and a key that nobody declared.
async fn in_service() -> World {
    let world = World::new("add-marked").await;
    let record = Record { realm: Some(world.realm.into()), ..Record::default() };
    world.fake.by_hand(APP, "sync", |hand| {
        hand.grant("invoices:read");
        hand.write_record(Some(record));
        hand.issue("somebody's", None);
    });
    world.whole("a", FIRST).await;
    world.whole("b", SECOND).await;
    world
}

async fn ended(
    world: &World,
    run: &str,
    fuse: &Arc<Fuse>,
) -> Option<(Checklist, Result<(), Problem>)> {
    let (context, spec) = (world.context(run, fuse), world.spec());
    let (id, slots) = (spec.id.integration.clone(), [spec]);
    let mut checklist = Checklist::default();
    let done = tokio::select! {
        biased;
        done = decommission(&context, &id, &world.vendor_id, "sync", &slots, &mut checklist) => done,
        () = fuse.died() => return None,
    };
    Some((checklist, done))
}

async fn out_of_service(world: &World, how: &str) {
    let there = world.fake.read(&world.object(), Want::DEED).await.unwrap().unwrap();
    assert!(there.scopes.is_empty(), "{how}");
    assert!(!there.enabled, "{how}");
    assert!(world.live().await.is_empty(), "{how}");
    assert_eq!(Decommissioned::of(there.record.as_ref()), Some(Decommissioned::Wholly), "{how}");
    world.assert_revoked(how).await;
}

async fn found(world: &World) -> Vec<(String, Condition)> {
    let context = world.context("looks", &Fuse::none());
    let judged = judge_integration(&context, &world.wish()).await.unwrap();
    judged.findings.into_iter().map(|(_, one)| (one.rule.to_string(), one.condition)).collect()
}

async fn given(world: &World) -> Result<(), Problem> {
    let wish = DeclaredScopes {
        declared: Declared {
            scopes: BTreeSet::from(["invoices:read".to_owned()]),
            ..Declared::default()
        },
        enforcement: Enforcement::Exact,
        classify: BTreeMap::new(),
        justification: None,
        first: false,
    };
    let (context, id) = (world.context("apply", &Fuse::none()), world.spec().id.integration);
    set_scopes(&context, &id, Some(&world.vendor_id), LATTICE, &wish).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn all_of_it_goes_step_by_step_and_nothing_is_given_back() {
    let world = in_service().await;
    let (checklist, done) = ended(&world, "one", &Fuse::none()).await.unwrap();
    done.unwrap();
    for (name, step) in &checklist.steps {
        assert!(matches!(step, Step::Done(_) | Step::Already(_)), "{name}: {step:?}");
    }
    assert_eq!(checklist.revoked.len(), 3, "{:?}", checklist.revoked);
    out_of_service(&world, "at once").await;
    assert_eq!(found(&world).await, [("decommissioned".to_owned(), Condition::Drift)]);
    assert_eq!(given(&world).await.unwrap_err().code, "E-DECOMMISSIONED");
    // A second one finds nothing to do, and writes nothing.
    let before = world.kinds().await.len();
    let (checklist, done) = ended(&world, "two", &Fuse::none()).await.unwrap();
    done.unwrap();
    for (name, step) in &checklist.steps {
        assert!(matches!(step, Step::Already(_)), "{name}: {step:?}");
    }
    let more: Vec<String> = world.kinds().await.split_off(before);
    assert!(!more.iter().any(|kind| kind.starts_with("decommission")), "{more:?}");
    // What comes back by another hand is told, and ended by another run.
    world.fake.by_hand(APP, "sync", |hand| drop(hand.issue("again", None)));
    assert!(found(&world).await.contains(&("decommissioned-lives".to_owned(), Condition::Policy)));
    ended(&world, "three", &Fuse::none()).await.unwrap().1.unwrap();
    out_of_service(&world, "again").await;
}

/// What a plan that was made while it was in service says of the integration itself.
async fn updated(world: &World, enabled: bool, direction: Direction) -> Result<(), Problem> {
    let (context, spec) = (world.context("apply", &Fuse::none()), world.spec());
    let id = &spec.id.integration;
    let declared = DeclaredIntegration {
        connection: id.connection.clone(),
        kind: spec.kind,
        name: "sync".into(),
        settings: Settings::default(),
        record: Record { purpose: Some("Copies".into()), ..Record::default() },
        enabled,
        revoke_unmanaged: false,
        ties: domain::Ties::default(),
    };
    update_integration(&context, id, &world.vendor_id, &declared, direction).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_plan_from_before_gives_nothing_back() {
    let world = in_service().await;
    ended(&world, "one", &Fuse::none()).await.unwrap().1.unwrap();
    let (spec, context) = (world.spec(), world.context("apply", &Fuse::none()));
    world.fake.calls();
    for (how, done) in [
        ("the switch", updated(&world, true, Direction::None).await),
        ("more", updated(&world, false, Direction::Widens).await),
        ("rotate", carry_out(&context, &spec, THIRD, "test").await.map(drop)),
        ("create", create_slot(&context, &spec).await.map(drop)),
    ] {
        let problem = done.expect_err(how);
        assert_eq!(problem.code, "E-DECOMMISSIONED", "{how}: {problem}");
    }
    let reads = [Verb::Tenant, Verb::Ourselves, Verb::Read, Verb::Credentials, Verb::Find];
    let calls = world.fake.calls();
    assert!(calls.iter().all(|(verb, _)| reads.contains(verb)), "{calls:?}");
    out_of_service(&world, "after all of that").await;
    // What gives nothing back is done.
    updated(&world, false, Direction::None).await.unwrap();
    world.whole("apply", Goal::Revoke).await;
    out_of_service(&world, "and after that").await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_from_before_a_quarantine_switches_nothing_on_and_issues_nothing() {
    let world = in_service().await;
    let (spec, context) = (world.spec(), world.context("apply", &Fuse::none()));
    let there = async || world.fake.read(&world.object(), Want::DEED).await.unwrap().unwrap();
    let record = there().await.record.unwrap();
    let why = Some("INC-4711 by the night shift".to_owned());
    world.fake.by_hand(APP, "sync", |hand| {
        hand.write_record(Some(Record { quarantined: why.clone(), ..record.clone() }));
        hand.enable(false);
    });
    let live = world.live().await;
    world.clock.advance(crate::world::OVERLAP);
    for (how, done) in [
        ("the switch", updated(&world, true, Direction::None).await),
        ("more", updated(&world, true, Direction::Widens).await),
        ("rotate", carry_out(&context, &spec, THIRD, "test").await.map(drop)),
    ] {
        let problem = done.expect_err(how);
        assert_eq!(problem.code, "E-QUARANTINED", "{how}: {problem}");
        assert!(problem.detail.contains("INC-4711 by the night shift"), "{how}: {problem}");
        assert!(problem.next.as_deref().unwrap().contains("plan again"), "{how}: {problem}");
    }
    assert!(world.live().await.is_subset(&live), "nothing was issued");
    // What leaves it off is done, and does not lift it; and ending is always open.
    updated(&world, false, Direction::None).await.unwrap();
    let now = there().await;
    assert_eq!((now.enabled, now.record.unwrap().quarantined), (false, why));
    world.whole("apply", Goal::Revoke).await;
    // Whoever lifted it is asked for nothing more.
    world.fake.by_hand(APP, "sync", |hand| hand.write_record(Some(record)));
    updated(&world, true, Direction::None).await.unwrap();
    assert!(there().await.enabled);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_died_before_it_had_a_key_gets_none_once_a_decommission_is_begun() {
    let with_one = async || {
        let world = World::new("add-marked").await;
        world.whole("a", FIRST).await;
        world
    };
    let rehearsal = Fuse::none();
    with_one().await.run("whole", &rehearsal, SECOND).await;
    let call = rehearsal.log().iter().position(|call| *call == "issue").unwrap() + 1;
    let world = with_one().await;
    let fuse = Fuse::at(u32::try_from(call).unwrap(), Moment::Before);
    assert!(matches!(world.run("dies", &fuse, SECOND).await, Ending::Killed));
    let live = world.live().await;
    assert!(ended(&world, "killed", &Fuse::at(1, Moment::After)).await.is_none());
    let there = world.fake.read(&world.object(), Want::DEED).await.unwrap().unwrap();
    assert_eq!(Decommissioned::of(there.record.as_ref()), Some(Decommissioned::Partly));
    world.clock.advance(domain::Span::from_secs(700));
    match world.run("apply", &Fuse::none(), SECOND).await {
        Ending::Done(Err(problem)) => assert_eq!(problem.code, "E-DECOMMISSIONED", "{problem}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.live().await, live);
    ended(&world, "next", &Fuse::none()).await.unwrap().1.unwrap();
    out_of_service(&world, "at last").await;
}

#[tokio::test(start_paused = true)]
async fn the_record_is_read_once_more_for_another_generation_and_not_for_a_first_one() {
    let world = World::new("add-marked").await;
    let reads = || {
        let calls = world.fake.calls();
        calls.iter().filter(|(verb, _)| *verb == Verb::Read).count()
    };
    let (context, mut counts) = (world.context("a", &Fuse::none()), Vec::new());
    reads();
    create_slot(&context, &world.spec()).await.unwrap();
    counts.push(reads());
    // One that changes nothing reads what every deed reads at its end.
    for goal in [FIRST, SECOND] {
        carry_out(&context, &world.spec(), goal, "test").await.unwrap();
        counts.push(reads());
    }
    let [first, nothing, second] = counts[..] else { panic!("{counts:?}") };
    assert_eq!((first, second), (nothing + 1, nothing + 1), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_of_one_that_is_out_of_service_is_not_taken_for_ended() {
    let world = in_service().await;
    ended(&world, "one", &Fuse::none()).await.unwrap().1.unwrap();
    world.fake.set_gaps(vec![Gap {
        extent: GapExtent::Facet("sync".into(), "credentials"),
        cause: "status 403".into(),
    }]);
    let context = world.context("looks", &Fuse::none());
    let judged = judge_integration(&context, &world.wish()).await.unwrap();
    assert!(judged.findings.iter().any(|(_, one)| one.rule == "decommissioned"));
    let [(what, problem)] = &judged.gaps[..] else { panic!("{:?}", judged.gaps) };
    assert_eq!((what.as_str(), problem.code), ("fake/fake_app/sync", "E-UNREADABLE"));
    assert!(problem.detail.contains("credentials: status 403"), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn what_a_person_wrote_of_a_quarantine_is_no_decommission_and_is_kept_by_one() {
    let world = in_service().await;
    for says in ["decommissioned by Ann", "decommission begun by Ann"] {
        let realm = Some(world.realm.into());
        let record = Record { realm, quarantined: Some(says.into()), ..Record::default() };
        assert_eq!(Decommissioned::of(Some(&record)), None, "{says}");
        world.fake.by_hand(APP, "sync", |hand| hand.write_record(Some(record)));
        ended(&world, "one", &Fuse::none()).await.unwrap().1.unwrap();
        out_of_service(&world, says).await;
        let there = world.fake.read(&world.object(), Want::DEED).await.unwrap().unwrap();
        assert_eq!(there.record.unwrap().quarantined.as_deref(), Some(says));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_killed_at_any_call_is_told_gives_nothing_back_and_is_gone_on_with() {
    let mut partly = 0;
    'calls: for call in 1..100 {
        for moment in [Moment::Before, Moment::After] {
            let world = in_service().await;
            let fuse = Fuse::at(call, moment);
            let how = format!("killed {moment:?} call {call}");
            match ended(&world, "killed", &fuse).await {
                None => {}
                Some((_, Ok(()))) => break 'calls,
                Some((_, Err(problem))) => panic!("{how}: {problem:?}"),
            }
            let there = world.fake.read(&world.object(), Want::DEED).await.unwrap().unwrap();
            match Decommissioned::of(there.record.as_ref()) {
                Some(Decommissioned::Partly) => {
                    partly += 1;
                    let told = found(&world).await;
                    assert_eq!(
                        told,
                        [("decommission-unfinished".to_owned(), Condition::Unfinished)],
                        "{how}"
                    );
                    assert_eq!(given(&world).await.unwrap_err().code, "E-DECOMMISSIONED", "{how}");
                }
                Some(Decommissioned::Wholly) => {}
                // Nothing was taken that nobody could tell of.
                None => assert_eq!(there.scopes.len(), 1, "{how}"),
            }
            world.clock.advance(domain::Span::from_secs(700));
            let (_, done) = ended(&world, "next", &Fuse::none()).await.unwrap();
            done.unwrap_or_else(|problem| panic!("{how}: {problem}"));
            out_of_service(&world, &how).await;
        }
    }
    assert!(partly >= 10, "only {partly} interruptions");
}
