//! What consumers say of what they have read, and what follows from it.

use connector::fake::APP;
use domain::Span;
use operations::{Consumers, SlotSpec, acknowledge, carry_out, duties_of, meet, observe_slot};
use policy::rotation::Goal;

use crate::world::{Fuse, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };

/// A slot whose consumers take three overlaps to read what is delivered.
fn slow(world: &World) -> SlotSpec {
    let refresh = Some(Span::from_secs(3 * OVERLAP.as_secs()));
    SlotSpec { consumers: Consumers { refresh, ..Consumers::default() }, ..world.spec() }
}

/// Two generations, the overlap of the first of which is over.
async fn after_an_overlap(world: &World) -> SlotSpec {
    let spec = slow(world);
    for goal in [FIRST, SECOND] {
        let context = world.context("rotates", &Fuse::none());
        carry_out(&context, &spec, goal, "test").await.unwrap();
    }
    world.clock.advance(OVERLAP + Span::from_secs(60));
    spec
}

#[tokio::test(start_paused = true)]
async fn when_the_consumers_of_every_place_have_said_so_nobody_is_waited_for_any_more() {
    for way in ["add-ours", "add-marked", "add-unmarked"] {
        let world = World::new(way).await;
        let spec = after_an_overlap(&world).await;
        let context = world.context("says", &Fuse::none());
        let cron = || world.context("cron", &Fuse::none());
        let seen = observe_slot(&context, &spec).await.unwrap().unwrap();
        assert_eq!((seen.status, seen.unread.len()), ("current", 1), "{way}");
        assert!(meet(&cron(), &spec, true).await.unwrap().is_none(), "{way}: it is waited");

        // Of another generation, or of a place that is none, nothing is taken down.
        for (place, generation, code) in
            [(None, 1, "E-STALE"), (None, 3, "E-STALE"), (Some("x"), 2, "E-UNDECLARED")]
        {
            let refused = acknowledge(&context, &spec, place, generation).await.unwrap_err();
            assert_eq!(refused.code, code, "{way} {place:?} {generation}");
        }
        let said = acknowledge(&context, &spec, Some("a"), 2).await.unwrap();
        assert_eq!(
            (&said.said[..], &said.open[..]),
            (&["a".to_owned()][..], &["b".to_owned()][..])
        );
        assert_eq!(said.seen.unread.len(), 1, "{way}: the other one may still need it");
        assert!(meet(&cron(), &spec, true).await.unwrap().is_none(), "{way}: it is waited");
        let said = acknowledge(&context, &spec, None, 2).await.unwrap();
        assert!(said.open.is_empty() && said.seen.unread.is_empty(), "{way}");
        assert_eq!(said.seen.status, "retire_due", "{way}");
        assert_eq!(world.live().await.len(), 2, "{way}: a word ends nothing");
        // The row says the same as a look.
        let owed = duties_of(&context, &spec, Some(&said.seen.used)).await.unwrap();
        assert_eq!(owed, said.seen.owed.0.iter().map(|(one, _)| one.clone()).collect::<Vec<_>>());
        let before = world.entries().await.len();
        acknowledge(&context, &spec, None, 2).await.unwrap();
        assert_eq!(world.entries().await.len(), before, "{way}: the same word is said once");
        let kinds = world.kinds().await;
        let said = kinds.iter().filter(|kind| *kind == "consumer.acknowledged").count();
        assert_eq!(said, 2, "{way}: {kinds:?}");

        let met = meet(&cron(), &spec, true).await.unwrap().unwrap();
        assert_eq!(met.outcome.revoked.len(), 1, "{way}");
        assert!(world.works().await && world.live().await.len() == 1, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_word_is_of_one_generation_and_outlives_neither_the_next_nor_a_use_that_is_seen() {
    let world = World::new("add-ours").await;
    let spec = after_an_overlap(&world).await;
    let context = world.context("says", &Fuse::none());
    acknowledge(&context, &spec, None, 2).await.unwrap();
    meet(&world.context("cron", &Fuse::none()), &spec, true).await.unwrap().unwrap();
    let third = Goal::Rotate { to: 3, at_once: false };
    carry_out(&world.context("third", &Fuse::none()), &spec, third, "test").await.unwrap();
    world.clock.advance(OVERLAP + Span::from_secs(60));
    let seen = observe_slot(&context, &spec).await.unwrap().unwrap();
    assert_eq!(seen.unread.len(), 1, "nobody has said that of the third");

    // Whoever is seen to use the earlier one is waited for, whatever anybody says.
    let world = World::new("add-ours").await;
    world.fake.tell_last_use(Span::from_secs(60));
    let spec = slow(&world);
    for goal in [FIRST, SECOND] {
        let secret = world.delivered("apps/a").await;
        let context = world.context("rotates", &Fuse::none());
        carry_out(&context, &spec, goal, "test").await.unwrap();
        if let Some(secret) = secret {
            world.clock.advance(Span::from_secs(OVERLAP.as_secs() - 3_600));
            assert!(world.fake.sign_in(APP, "sync", &secret).is_some());
            world.clock.advance(Span::from_secs(7_200));
        }
    }
    let context = world.context("says", &Fuse::none());
    let said = acknowledge(&context, &spec, None, 2).await.unwrap();
    assert_eq!(said.seen.in_use.len(), 1, "somebody uses it");
    assert!(meet(&world.context("cron", &Fuse::none()), &spec, true).await.unwrap().is_none());
    assert_eq!(world.live().await.len(), 2);
}
