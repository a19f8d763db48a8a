//! What holds when the books are lost: custody's, the ledger's, or both.

use std::collections::BTreeSet;

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
    world.fake.by_hand(connector::fake::APP, "sync", |hand| hand.end(&second));
    let third = world.whole("c", THIRD).await;
    assert!(world.live().await.contains(&first));
    assert!(world.works().await && third.generation == 3);
}
