//! Custody that is another than it was, and documents that are others than they were.

use domain::Secret;
use operations::{Context, Custody, Outcome, Problem, carry_out, observe_slot};
use policy::rotation::Goal;
use secrets::{Document, Expect, Sink};

use crate::{
    holds::killed,
    world::{Fuse, Moment, World},
};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const AT_ONCE: Goal = Goal::Rotate { to: 2, at_once: true };
const THIRD: Goal = Goal::Rotate { to: 3, at_once: true };

fn with_custody(world: &World, run: &str, path: &str) -> Context {
    Context { custody: Some(Custody::new("vault", path)), ..world.context(run, &Fuse::none()) }
}

async fn by(context: &Context, world: &World, goal: Goal) -> Result<Outcome, Problem> {
    carry_out(context, &world.spec(), goal, "test").await
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_custody_is_another_is_refused_and_told_the_way() {
    let world = World::new("add-ours").await;
    world.whole("first", FIRST).await;
    let (live, versions) = (world.live().await, world.apps_versions().await);
    let other = with_custody(&world, "other", "elsewhere");
    let refused = by(&other, &world, AT_ONCE).await.unwrap_err();
    assert_eq!(refused.code, "E-CLAIM-PLACE");
    assert!(refused.detail.contains(":nhi as custody"), "{refused}");
    assert!(refused.next.as_deref().unwrap().contains("--custody-is-lost"), "{refused}");
    assert_eq!((world.live().await, world.apps_versions().await), (live, versions));
    observe_slot(&other, &world.spec()).await.unwrap().unwrap();
    let told = other.notices.take();
    assert_eq!(
        told.iter().map(|one| one.code).collect::<Vec<_>>(),
        ["E-CLAIM-PLACE"],
        "a plan too"
    );
    // The right one goes on, and nobody is kept from ending.
    world.assert_at(&world.whole("right", AT_ONCE).await, 2, "right").await;
    by(&other, &world, Goal::Revoke).await.unwrap();
    assert!(world.live().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn custody_that_was_copied_is_custody_and_the_former_one_is_refused_then() {
    let world = World::new("add-ours").await;
    world.whole("first", FIRST).await;
    for path in world.claims().await {
        let there = path.replacen("nhi/", "elsewhere/", 1);
        let document = world.vault.read(&path).await.unwrap().unwrap().document.unwrap();
        world.vault.write(&there, &document, Expect::Nothing).await.unwrap();
    }
    let moved = with_custody(&world, "moved", "elsewhere");
    world.assert_at(&by(&moved, &world, AT_ONCE).await.unwrap(), 2, "moved").await;
    let former = with_custody(&world, "former", "nhi");
    assert_eq!(by(&former, &world, THIRD).await.unwrap_err().code, "E-CLAIM-PLACE");
    world.assert_at(&by(&moved, &world, THIRD).await.unwrap(), 3, "moved").await;
}

#[tokio::test(start_paused = true)]
async fn custody_that_is_lost_is_followed_by_another_by_a_person_s_word() {
    let world = World::new("add-ours").await;
    world.whole("first", FIRST).await;
    world.wipe_claims().await;
    let mut other = with_custody(&world, "other", "elsewhere");
    assert_eq!(by(&other, &world, AT_ONCE).await.unwrap_err().code, "E-CLAIM-PLACE");
    other.custody.as_mut().unwrap().other_is_lost = true;
    world.assert_at(&by(&other, &world, AT_ONCE).await.unwrap(), 2, "followed").await;
    let later = with_custody(&world, "later", "elsewhere");
    world.assert_at(&by(&later, &world, THIRD).await.unwrap(), 3, "and from then on").await;
}

#[tokio::test(start_paused = true)]
async fn deleted_metadata_does_not_let_an_old_cas_through() {
    for way in ["add-ours", "add-marked"] {
        let world = killed(way, AT_ONCE, "write", 1, Moment::Before).await;
        let path = "apps/b";
        let number = world.apps.read(path).await.unwrap().unwrap().version.number;
        // Somebody removes it with its history, and writes until it has the same number.
        world.apps.wipe(path);
        let theirs = Document::default().with("password", Secret::new("theirs"));
        for at in 0..number {
            let expect = if at == 0 { Expect::Nothing } else { Expect::Version(at) };
            world.apps.write(path, &theirs, expect).await.unwrap();
        }
        assert_eq!(world.apps.read(path).await.unwrap().unwrap().version.number, number);
        let context = world.context("later", &Fuse::none());
        // Theirs is no document of ours either, but a place that merges takes it.
        let mut spec = world.spec();
        spec.deliveries.iter_mut().for_each(|one| one.merge = true);
        let held = carry_out(&context, &spec, AT_ONCE, "test").await.unwrap_err();
        assert_eq!(held.code, "E-SINK-CHANGED", "{way}: {held}");
        let stored = world.apps.read(path).await.unwrap().unwrap();
        assert!(stored.document.unwrap().get("_nhi").is_none(), "{way}: it was written over");
    }
}
