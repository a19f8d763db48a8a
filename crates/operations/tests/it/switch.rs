//! What a person stops in an incident, and lets go on.

use connector::{Connector, Want, fake::APP};
use domain::{IntegrationId, ObservedIntegration, Record};
use operations::{Problem, Switch, turn};
use policy::rotation::Goal;

use crate::world::{Fuse, Moment, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };

fn id() -> IntegrationId {
    IntegrationId::new("fake", APP, "sync")
}

async fn seen(world: &World) -> ObservedIntegration {
    world.fake.read(&world.object(), Want::DEED).await.unwrap().unwrap()
}

async fn quarantined(world: &World) -> Option<String> {
    seen(world).await.record.and_then(|record| record.quarantined)
}

/// Turns it; `None` where whoever did was killed.
async fn turned(
    world: &World,
    run: &str,
    fuse: &std::sync::Arc<Fuse>,
    how: &Switch,
) -> Option<Result<bool, Problem>> {
    let context = world.context(run, fuse);
    let id = id();
    tokio::select! {
        biased;
        done = turn(&context, &id, &world.vendor_id, false, how) => Some(done),
        () = fuse.died() => None,
    }
}

async fn whole(world: &World, how: &Switch) -> Result<bool, Problem> {
    turned(world, "person", &Fuse::none(), how).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_quarantine_that_is_killed_at_any_call_is_gone_on_with_and_lifted_by_a_word() {
    let (on, off) = (Switch::Lift, Switch::Quarantine("INC-7".into()));
    let mut interrupted = 0;
    'calls: for call in 1..20 {
        for moment in [Moment::Before, Moment::After] {
            let world = World::new("add-marked").await;
            world.whole("a", FIRST).await;
            match turned(&world, "killed", &Fuse::at(call, moment), &off).await {
                None => interrupted += 1,
                Some(Ok(_)) => break 'calls,
                Some(Err(problem)) => panic!("{problem:?}"),
            }
            whole(&world, &off).await.unwrap();
            assert!(!seen(&world).await.enabled);
            assert_eq!(quarantined(&world).await.as_deref(), Some("INC-7"));
            assert!(!whole(&world, &off).await.unwrap(), "it is so already");
            // Whoever comes later writes over nobody's word.
            whole(&world, &Switch::Quarantine("INC-8".into())).await.unwrap();
            assert_eq!(quarantined(&world).await.as_deref(), Some("INC-7"));
            assert!(whole(&world, &on).await.unwrap());
            assert!(seen(&world).await.enabled && quarantined(&world).await.is_none());
            assert!(world.works().await, "nothing of it was ended");
        }
    }
    assert!(interrupted >= 2, "{interrupted}");
}

#[tokio::test(start_paused = true)]
async fn what_is_out_of_service_is_not_lifted_and_what_a_hand_switched_off_keeps_its_word() {
    let world = World::new("add-marked").await;
    let out = Record {
        quarantined: Some("decommission".into()),
        decommission: Some("decommissioned 2026-11-01 by x".into()),
        ..Record::default()
    };
    world.fake.by_hand(APP, "sync", |hand| {
        hand.write_record(Some(out));
        hand.enable(false);
    });
    assert_eq!(whole(&world, &Switch::Lift).await.unwrap_err().code, "E-DECOMMISSIONED");
    assert!(!seen(&world).await.enabled);
    let word = Record { quarantined: Some("INC-7".into()), ..Record::default() };
    world.fake.by_hand(APP, "sync", |hand| {
        hand.write_record(Some(word));
        hand.enable(true);
    });
    assert!(whole(&world, &Switch::Off).await.unwrap());
    assert_eq!(quarantined(&world).await.as_deref(), Some("INC-7"));
}
