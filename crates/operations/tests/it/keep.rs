//! Somebody wrote over a delivered document, and what they wrote stays: by a person's word, and only where
//! it is a credential of this integration that works and is nobody else's.

use connector::{Connector, fake::APP};
use domain::Secret;
use operations::{Problem, carry_out, goal_of_finish, keep_sink};
use policy::rotation::Goal;
use secrets::{Document, Expect, Sink};

use crate::{
    holds::killed,
    world::{Ending, Fuse, Moment, OVERLAP, World},
};

const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const RETIRE: Goal = Goal::Retire { at: 2 };

/// A rotation that finds another document at the second place; what it says is as given.
async fn held(way: &'static str, document: impl Fn(&World) -> Document) -> World {
    let world = killed(way, SECOND, "write", 1, Moment::Before).await;
    let document = document(&world);
    world.apps.write("apps/b", &document, Expect::Version(1)).await.unwrap();
    match world.run("comes to it", &Fuse::none(), SECOND).await {
        Ending::Done(Err(problem)) => assert_eq!(problem.code, "E-SINK-CHANGED", "{problem}"),
        other => panic!("{other:?}"),
    }
    world
}

fn with_key(secret: &str) -> Document {
    Document::default().with("app", Secret::new("x")).with("key", Secret::new(secret))
}

/// A person makes a key at the platform, and writes it where ours goes.
async fn rotated_by_hand(way: &'static str) -> (World, String) {
    let world = held(way, |world| {
        world.fake.by_hand(APP, "sync", |hand| {
            hand.issue("made-by-hand", None);
        });
        with_key("made-by-hand")
    })
    .await;
    let listed = world.fake.credentials(&world.object()).await.unwrap().credentials;
    let theirs = listed.into_iter().rfind(|one| one.marker.is_none()).unwrap().key_id;
    (world, theirs)
}

async fn finish(world: &World) -> operations::Outcome {
    let context = world.context("recovers", &Fuse::none());
    let goal = goal_of_finish(&context, &world.spec()).await.unwrap().unwrap();
    carry_out(&context, &world.spec(), goal, "recovered").await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_somebody_wrote_becomes_the_current_one_and_ours_ends_after_an_overlap() {
    for way in ["add-ours", "add-marked"] {
        let (world, theirs) = rotated_by_hand(way).await;
        assert_eq!(world.live().await.len(), 3, "{way}");
        keep_sink(&world.context("keeps", &Fuse::none()), &world.spec()).await.unwrap();
        let done = finish(&world).await;
        assert_eq!((done.key_id.as_ref(), done.generation), (Some(&theirs), 2), "{way}");
        for place in ["apps/a", "apps/b"] {
            let secret = world.delivered(place).await.unwrap();
            assert_eq!(secret.expose(), "made-by-hand", "{way} {place}");
        }
        assert_eq!(done.previous.len(), 2, "{way}: ours may have been read somewhere");
        assert_eq!(world.live().await.len(), 3, "{way}");
        world.clock.advance(OVERLAP);
        let done = world.whole("ends", RETIRE).await;
        assert_eq!(done.revoked.len(), 2, "{way}");
        assert_eq!(world.live().await, [theirs].into(), "{way}: what a person made stays");
        assert_eq!(world.pending().await, 0, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_by_a_run_that_is_killed_anywhere_is_finished_by_the_next() {
    for call in 1..20 {
        for moment in [Moment::Before, Moment::After] {
            let (world, theirs) = rotated_by_hand("add-ours").await;
            let fuse = Fuse::at(call, moment);
            let (context, spec) = (world.context("killed", &fuse), world.spec());
            let ended = tokio::select! {
                biased;
                done = keep_sink(&context, &spec) => Some(done),
                () = fuse.died() => None,
            };
            let how = format!("killed {moment:?} call {call} of {:?}", fuse.log());
            if let Some(done) = ended {
                done.unwrap_or_else(|problem| panic!("{how}: {problem}"));
                assert!(call > 3, "{how}");
                return;
            }
            assert_eq!(world.live().await.len(), 3, "{how}: nothing was ended");
            // Whoever goes on says it once more, where it was not written down.
            let context = world.context("again", &Fuse::none());
            match keep_sink(&context, &world.spec()).await {
                Ok(()) => {}
                Err(problem) => assert_eq!(problem.code, "E-KEEP-SINK", "{how}: {problem}"),
            }
            let done = finish(&world).await;
            assert_eq!(done.key_id.as_ref(), Some(&theirs), "{how}");
            world.clock.advance(OVERLAP);
            world.whole("ends", RETIRE).await;
            assert_eq!(world.live().await, [theirs].into(), "{how}");
        }
    }
    panic!("it never ended");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_credential_that_a_slot_may_take_is_refused_with_the_reason_and_nothing_changes()
{
    async fn refused(world: &World) -> Problem {
        let before = (world.live().await, world.apps_versions().await);
        let context = world.context("keeps", &Fuse::none());
        let problem = keep_sink(&context, &world.spec()).await.unwrap_err();
        assert_eq!(before, (world.live().await, world.apps_versions().await), "{problem}");
        problem
    }
    let world = held("add-ours", |_| with_key("nobody-issued-this")).await;
    assert!(refused(&world).await.detail.contains("lists no live credential"));
    let world =
        held("add-ours", |_| Document::default().with("password", Secret::new("theirs"))).await;
    assert!(refused(&world).await.detail.contains("holds no secret"));
    let (world, theirs) = rotated_by_hand("add-ours").await;
    world.fake.by_hand(APP, "sync", |hand| hand.end(&theirs));
    let problem = refused(&world).await;
    assert_eq!(problem.code, "E-KEEP-SINK");
    assert!(problem.next.unwrap().contains("--keep ours"));
    let (world, theirs) = rotated_by_hand("add-ours").await;
    world.fake.by_hand(APP, "sync", |hand| {
        hand.mark(&theirs, Some("nhi1-other1-abcdefgh-g1-e1-m0000000000000"));
    });
    let problem = refused(&world).await;
    assert!(problem.detail.contains("another"), "{problem}");
    // What nhi itself signs in with is no slot's.
    let (mut world, _) = rotated_by_hand("add-ours").await;
    world.fake = world.fake.signed_in_with(&Secret::new("made-by-hand"));
    assert_eq!(refused(&world).await.code, "E-OURSELVES");
    // Where nobody waits for that word there is nothing to keep.
    let world = World::new("add-ours").await;
    assert_eq!(refused(&world).await.code, "E-NOTHING-OPEN");
}
