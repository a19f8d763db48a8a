//! Creates that were begun and not finished: the next one goes on, and nobody has to import anything.

use std::collections::{BTreeMap, BTreeSet};

use connector::{
    Connector, ObjectRef, Want,
    fake::{APP, Fault, Verb},
};
use domain::{IntegrationId, Record, Settings, Span};
use operations::{
    Context, DeclaredIntegration, DeclaredScopes, KindLattice, create_integration, set_scopes,
};
use policy::scopes::{Declared, Enforcement};

use crate::world::{Fuse, Moment, World};

fn wish() -> DeclaredScopes {
    DeclaredScopes {
        declared: Declared {
            scopes: BTreeSet::from(["invoices:read".to_owned()]),
            ..Declared::default()
        },
        enforcement: Enforcement::Exact,
        classify: BTreeMap::new(),
        justification: Some("Copies invoices".into()),
        first: true,
    }
}

#[tokio::test(start_paused = true)]
async fn scopes_whose_first_apply_failed_after_its_write_can_be_applied_again() {
    let faults =
        [Fault::AnswerLost, Fault::RequestLost, Fault::Refused(connector::Refusal::RateLimited)];
    for (nth, fault) in (0..3).flat_map(|nth| faults.map(|fault| (nth, fault))) {
        let how = format!("{fault:?} after {nth}");
        let world = World::new("add-ours").await;
        let (context, id) = (world.context("a", &Fuse::none()), world.spec().id.integration);
        let lattice = KindLattice { platform: &connector::fake::PLATFORM, kind: APP };
        let set =
            async || set_scopes(&context, &id, Some(&world.vendor_id), lattice, &wish()).await;
        world.fake.fail(Verb::Modify, std::iter::repeat_n(Fault::None, nth).chain([fault]));
        let begun = set().await;
        world.fake.heal();
        if begun.is_err() {
            set().await.unwrap_or_else(|problem| panic!("{how}: {problem}"));
        }
        let there = world.fake.read(&world.object(), Want::LEAN).await.unwrap().unwrap();
        let record = there.record.unwrap();
        assert!(record.scopes_governed, "{how}");
        assert_eq!(record.justification.as_deref(), Some("Copies invoices"), "{how}");
        assert_eq!(there.scopes.len(), 1, "{how}");
        let twice = set().await.unwrap_err();
        assert_eq!(twice.code, "E-SLOT-EXISTS", "{how}: what is finished has an owner");
        assert_eq!(twice.attribute, ["integration"]);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_that_set_the_scopes_of_one_integration_in_one_run_one_is_refused() {
    for seed in 0..20 {
        let world = World::new("add-ours").await;
        let context = world.context("one run", &Fuse::uneven(seed + 1));
        let id = world.spec().id.integration;
        let lattice = KindLattice { platform: &connector::fake::PLATFORM, kind: APP };
        let set =
            async || set_scopes(&context, &id, Some(&world.vendor_id), lattice, &wish()).await;
        let (a, b) = tokio::join!(set(), set());
        let refused: Vec<_> = [a, b].into_iter().filter_map(Result::err).collect();
        assert_eq!(refused.len(), 1, "{seed}: {refused:?}");
        assert_eq!(refused[0].code, "E-SLOT-EXISTS", "{seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_integration_born_disabled_can_be_made_again_after_any_lost_call() {
    let faults =
        [Fault::AnswerLost, Fault::RequestLost, Fault::Refused(connector::Refusal::RateLimited)];
    for (nth, fault) in (0..3).flat_map(|nth| faults.map(|fault| (nth, fault))) {
        let how = format!("{fault:?} after {nth}");
        let world = World::new("add-ours").await;
        let context = world.context("a", &Fuse::none());
        let declared = DeclaredIntegration {
            connection: "fake".into(),
            kind: world.spec().kind,
            name: "quiet".into(),
            settings: Settings::default(),
            record: Record { purpose: Some("Copies".into()), ..Record::default() },
            enabled: false,
            revoke_unmanaged: false,
            ties: domain::Ties::default(),
        };
        world.fake.fail(Verb::Modify, std::iter::repeat_n(Fault::None, nth).chain([fault]));
        let begun = create_integration(&context, &declared).await;
        world.fake.heal();
        if begun.is_err() {
            let again = create_integration(&context, &declared).await;
            again.unwrap_or_else(|problem| panic!("{how}: {problem}"));
        }
        let id = IntegrationId::new("fake", APP, "quiet");
        let object =
            ObjectRef { kind: APP.into(), key: id.key, vendor_id: None, name: "quiet".into() };
        let there = world.fake.read(&object, Want::LEAN).await.unwrap().unwrap();
        assert!(!there.enabled, "{how}");
        assert!(!there.record.unwrap().unfinished, "{how}");
        let twice = create_integration(&context, &declared).await.unwrap_err();
        assert_eq!(twice.code, "E-EXISTS", "{how}: what is finished has an owner");
        assert_eq!(twice.attribute, ["name"]);
    }
}

/// Every call of a create at which it may be killed, before and after it is done.
fn moments(calls: u32) -> impl Iterator<Item = (u32, Moment)> {
    (1..=calls).flat_map(|call| [Moment::Before, Moment::After].map(|moment| (call, moment)))
}

/// A deed of a run that is killed, unless it is done before.
async fn killed<T>(fuse: &Fuse, deed: impl Future<Output = T>) -> bool {
    tokio::select! {
        biased;
        _ = deed => false,
        () = fuse.died() => true,
    }
}

#[tokio::test(start_paused = true)]
async fn scopes_that_a_killed_run_had_finished_are_taken_up_by_the_next_create_and_by_nobody_else()
{
    for (call, moment) in moments(2) {
        let how = format!("{moment:?} {call}");
        let world = World::new("add-ours").await;
        let id = world.spec().id.integration;
        let lattice = KindLattice { platform: &connector::fake::PLATFORM, kind: APP };
        let set = async |context| {
            set_scopes(&context, &id, Some(&world.vendor_id), lattice, &wish()).await
        };
        let fuse = Fuse::at(call, moment);
        assert!(killed(&fuse, set(world.context("a", &fuse))).await, "{how}");
        let finished = call == 2 && matches!(moment, Moment::After);
        if finished {
            let early = set(world.context("b", &Fuse::none())).await.unwrap_err();
            assert_eq!(early.code, "E-BUSY", "{how}: it may be at work yet");
            world.clock.advance(world.claim_ttl + Span::from_secs(1));
            // Another configuration has another ledger, which knows of no death.
            let other = Context {
                ledger: std::sync::Arc::new(ledger::MemoryLedger::new()),
                ..world.context("other", &Fuse::none())
            };
            let other = set(other).await.unwrap_err();
            assert_eq!(other.code, "E-SLOT-EXISTS", "{how}");
        }
        set(world.context("c", &Fuse::none()))
            .await
            .unwrap_or_else(|error| panic!("{how}: {error}"));
        world.clock.advance(world.claim_ttl + Span::from_secs(1));
        let twice = set(world.context("d", &Fuse::none())).await.unwrap_err();
        assert_eq!(twice.code, "E-SLOT-EXISTS", "{how}: now it has an owner");
    }
}

#[tokio::test(start_paused = true)]
async fn an_integration_that_a_killed_run_had_finished_is_taken_up_if_it_is_what_is_declared() {
    for (enabled, calls) in [(true, 1), (false, 3)] {
        for (call, moment) in moments(calls) {
            let how = format!("{enabled} {moment:?} {call}");
            let world = World::new("add-ours").await;
            let declared = |purpose: &str| DeclaredIntegration {
                connection: "fake".into(),
                kind: world.spec().kind,
                name: "quiet".into(),
                settings: Settings::default(),
                record: Record { purpose: Some(purpose.into()), ..Record::default() },
                enabled,
                revoke_unmanaged: false,
                ties: domain::Ties::default(),
            };
            let wanted = declared("Copies");
            let make = async |run: &str, declared: &DeclaredIntegration| {
                create_integration(&world.context(run, &Fuse::none()), declared).await
            };
            let fuse = Fuse::at(call, moment);
            let context = world.context("a", &fuse);
            assert!(killed(&fuse, create_integration(&context, &wanted)).await, "{how}");
            if call == calls && matches!(moment, Moment::After) {
                let early = make("b", &wanted).await.unwrap_err();
                assert_eq!(early.code, "E-BUSY", "{how}: it may be at work yet");
                world.clock.advance(world.claim_ttl + Span::from_secs(1));
                let other = make("c", &declared("Does something else")).await.unwrap_err();
                assert_eq!(other.code, "E-EXISTS", "{how}: that is not what is there");
                let other = Context {
                    ledger: std::sync::Arc::new(ledger::MemoryLedger::new()),
                    ..world.context("other", &Fuse::none())
                };
                let other = create_integration(&other, &wanted).await.unwrap_err();
                assert_eq!(other.code, "E-EXISTS", "{how}: another ledger knows of no death");
            }
            let made = make("d", &wanted).await.unwrap_or_else(|error| panic!("{how}: {error}"));
            assert_eq!(made.enabled, enabled, "{how}");
            assert!(!made.record.unwrap().unfinished, "{how}");
            world.clock.advance(world.claim_ttl + Span::from_secs(1));
            let twice = make("e", &wanted).await.unwrap_err();
            assert_eq!(twice.code, "E-EXISTS", "{how}: now it has an owner");
        }
    }
}
