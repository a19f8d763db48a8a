//! A drill ends what nobody reads, at once, and says how long that took.

use std::sync::Arc;

use operations::{Drilled, Problem, SlotSpec, drill};
use policy::{proof::Grade, rotation::Goal};

use crate::world::{Fuse, Moment, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const WAYS: [&str; 5] = ["add-ours", "add-marked", "add-unmarked", "slots", "replace-ours"];

fn canary(world: &World) -> SlotSpec {
    SlotSpec { drill: true, ..world.spec() }
}

async fn drilled(
    world: &World,
    run: &str,
    fuse: &Arc<Fuse>,
    to: u64,
) -> Option<Result<Drilled, Problem>> {
    let (context, spec) = (world.context(run, fuse), canary(world));
    tokio::select! {
        biased;
        done = drill(&context, &spec, to, None) => Some(done),
        () = fuse.died() => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_drill_issues_another_ends_the_earlier_at_once_and_tells_its_time() {
    for way in WAYS {
        let world = World::new(way).await;
        let first = world.whole("a", FIRST).await.key_id.unwrap();
        let done = drilled(&world, "drill", &Fuse::none(), 2).await.unwrap().unwrap();
        assert_eq!((&done.ended.key_id, done.platform), (&first, "fake"), "{way}");
        assert!(done.ended.grade >= Grade::B, "{way}: {:?}", done.ended);
        world.assert_at(&done.outcome, 2, way).await;
        assert!(done.outcome.previous.is_empty(), "{way}");
        let entries = world.entries().await;
        let [entry] =
            &entries.iter().filter(|one| one.kind == "drill.ended").collect::<Vec<_>>()[..]
        else {
            panic!("{way}: one entry")
        };
        assert_eq!(entry.detail["platform"], "fake", "{way}");
        assert_eq!(entry.detail["grade"], done.ended.grade.as_str(), "{way}");
        let seen = done.ended.how.time_to_stop.is_some();
        assert_eq!(entry.detail.contains_key("time_to_stop"), seen, "{way}");
        assert!(seen || way == "replace-ours", "{way}: {:?}", done.ended);
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_reads_is_not_drilled() {
    let world = World::new("add-marked").await;
    world.whole("a", FIRST).await;
    let (context, before) = (world.context("drill", &Fuse::none()), world.kinds().await.len());
    let refused = drill(&context, &world.spec(), 2, None).await.unwrap_err();
    assert_eq!(refused.code, "E-NO-CANARY");
    assert_eq!(world.kinds().await.len(), before, "and nothing is begun");
}

#[tokio::test(start_paused = true)]
async fn a_drill_that_is_killed_at_any_call_is_gone_on_with_by_the_next() {
    let mut interrupted = 0;
    'calls: for call in 1..100 {
        for moment in [Moment::Before, Moment::After] {
            let world = World::new("add-marked").await;
            world.whole("a", FIRST).await;
            let how = format!("killed {moment:?} call {call}");
            match drilled(&world, "killed", &Fuse::at(call, moment), 2).await {
                None => interrupted += 1,
                Some(Ok(_)) => break 'calls,
                Some(Err(problem)) => panic!("{how}: {problem:?}"),
            }
            world.clock.advance(domain::Span::from_secs(700));
            world.forget_refusals();
            // What ended in the run that died was told by nobody; then there is another to end.
            let done = match drilled(&world, "next", &Fuse::none(), 2).await.unwrap() {
                Err(problem) if problem.code == "E-DRILL" => {
                    drilled(&world, "once more", &Fuse::none(), 3).await.unwrap()
                }
                done => done,
            };
            let done = done.unwrap_or_else(|problem| panic!("{how}: {problem}"));
            world.assert_at(&done.outcome, done.outcome.generation, &how).await;
            assert!(done.outcome.previous.is_empty(), "{how}");
        }
    }
    assert!(interrupted >= 16, "only {interrupted} interruptions");
}
