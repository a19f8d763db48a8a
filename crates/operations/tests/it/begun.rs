//! Creates that were begun and not finished: the next one goes on, and nobody has to import anything.

use std::collections::{BTreeMap, BTreeSet};

use connector::{
    Connector, ObjectRef, Want,
    fake::{APP, Fault, Verb},
};
use domain::{IntegrationId, Record, Settings};
use operations::{
    DeclaredIntegration, DeclaredScopes, KindLattice, create_integration, set_scopes,
};
use policy::scopes::{Declared, Enforcement};

use crate::world::{Fuse, World};

fn wish() -> DeclaredScopes {
    DeclaredScopes {
        declared: Declared {
            scopes: BTreeSet::from(["invoices:read".to_owned()]),
            temporary: BTreeMap::new(),
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
