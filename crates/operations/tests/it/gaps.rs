//! Parts of an object that its platform would not show.

use connector::fake::APP;
use domain::{Gap, GapExtent};
use operations::{observe_integration, observe_slot, revoke_everything};
use policy::rotation::Goal;

use crate::world::{Fuse, World};

fn hidden(facet: &'static str) -> Vec<Gap> {
    vec![Gap { extent: GapExtent::Facet("sync".into(), facet), cause: "status 403".into() }]
}

#[tokio::test(start_paused = true)]
async fn an_integration_of_which_a_part_cannot_be_read_is_not_whole() {
    let world = World::new("add-ours").await;
    let context = world.context("looks", &Fuse::none());
    let id = world.spec().id.integration;
    let look = async || observe_integration(&context, &id, None, None).await.unwrap().unwrap();
    look().await.whole(&id).expect("everything was read");
    for facet in ["credentials", "enabled", "scopes"] {
        world.fake.set_gaps(hidden(facet));
        let problem = look().await.whole(&id).unwrap_err();
        assert_eq!(problem.code, "E-UNREADABLE", "{facet}");
        assert!(problem.detail.contains(facet), "{problem}");
        assert!(problem.detail.contains("status 403"), "{problem}");
        assert_eq!(problem.next.as_deref(), Some("nhi doctor fake"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_whose_keys_cannot_be_listed_is_not_called_current() {
    let world = World::new("add-ours").await;
    world.whole("a", Goal::Rotate { to: 1, at_once: false }).await;
    let context = world.context("looks", &Fuse::none());
    world.fake.set_gaps(hidden("credentials"));
    let problem = observe_slot(&context, &world.spec()).await.unwrap_err();
    assert_eq!(problem.code, "E-UNREADABLE");
    assert!(problem.detail.contains("fake/fake_app/sync/credential/default"), "{problem}");
    assert!(problem.detail.contains("credentials: status 403"), "{problem}");
    // What a slot does not show is no reason to call it unreadable.
    world.fake.set_gaps(hidden("scopes"));
    let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
    assert_eq!(seen.status, "current");
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_listed_are_never_taken_for_revoked() {
    let world = World::new("add-ours").await;
    world.fake.by_hand(APP, "sync", |hand| drop(hand.issue("by hand", None)));
    let context = world.context("revokes", &Fuse::none());
    let id = world.spec().id.integration;
    let revoke = async || revoke_everything(&context, &id, &world.vendor_id, "sync").await;
    world.fake.set_gaps(hidden("credentials"));
    assert_eq!(revoke().await.unwrap_err().code, "E-UNREADABLE");
    // A part that is no credential keeps nobody from ending them.
    world.fake.set_gaps(hidden("scopes"));
    assert_eq!(revoke().await.unwrap().len(), 1);
    assert!(world.live().await.is_empty());
}
