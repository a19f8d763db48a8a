//! A sink that takes nothing: nothing is rolled back, each run tries again, and in the end a person is asked.

use domain::Span;
use operations::{Problem, carry_out, everything_begun, goal_of_finish, observe_slot};
use policy::rotation::Goal;
use secrets::{Fault, Sink};

use crate::world::{Ending, Fuse, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const RETIRE: Goal = Goal::Retire { at: 2 };
const WAYS: [&str; 4] = ["add-ours", "add-marked", "add-unmarked", "slots"];
const HOUR: Span = Span::from_secs(3600);

async fn fails(world: &World, run: &str) -> Problem {
    world.apps.fail([Fault::Refused]);
    world.clock.advance(Span::from_secs(601));
    match world.run(run, &Fuse::none(), SECOND).await {
        Ending::Done(Err(problem)) => problem,
        other => panic!("{run}: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_run_tries_again_and_the_overlap_begins_when_every_place_has_it() {
    for way in WAYS {
        let world = World::new(way).await;
        let first = world.whole("a", FIRST).await.key_id.unwrap();
        let problem = fails(&world, "b").await;
        assert!(problem.detail.contains("nothing was rolled back"), "{way}: {problem}");
        assert!(problem.detail.contains("The old one still works"), "{way}: {problem}");
        let live = world.live().await;
        assert!(live.len() == 2 && world.works().await, "{way}");
        // It is the same new one that is tried, for as long as policy says.
        for _ in 0..3 {
            world.clock.advance(HOUR);
            fails(&world, "c").await;
            assert_eq!(world.live().await, live, "{way}");
        }
        world.clock.advance(Span::from_secs(601));
        let done = world.whole("d", SECOND).await;
        let kept = done.previous[0].retire_after.unwrap();
        let now = connector::Clock::now(&*world.clock);
        assert_eq!(kept.duration_since(now).as_secs(), OVERLAP.as_signed_secs(), "{way}");
        assert!(world.live().await == live && live.contains(&first), "{way}");
        assert!(everything_begun(&world.context("l", &Fuse::none())).await.unwrap().is_empty());
        world.clock.advance(OVERLAP);
        let done = world.whole("ends", RETIRE).await;
        world.assert_at(&done, 2, way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_takes_nothing_for_as_long_as_policy_says_waits_for_a_person_who_then_goes_on() {
    for way in WAYS {
        let world = World::new(way).await;
        let first = world.whole("a", FIRST).await.key_id.unwrap();
        fails(&world, "b").await;
        let since = connector::Clock::now(&*world.clock);
        let live = world.live().await;
        world.clock.advance(Span::from_secs(25 * 3600));
        let problem = fails(&world, "c").await;
        assert_eq!(problem.code, "E-SINK-REFUSES", "{way}: {problem}");
        for part in ["apps:apps/", "The old one still works", &since.to_string()[..16]] {
            assert!(problem.detail.contains(part), "{way}, {part}: {problem}");
        }
        assert!(problem.next.as_deref().unwrap().contains("nhi recover"), "{way}");
        let context = world.context("looks", &Fuse::none());
        let seen = observe_slot(&context, &world.spec()).await.unwrap().unwrap();
        assert_eq!((seen.status, seen.note.as_deref()), ("held", Some("sink-refuses")), "{way}");
        let [open] = &everything_begun(&context).await.unwrap()[..] else { panic!("{way}") };
        let (place, at) = open.undelivered.as_ref().unwrap();
        assert!(
            place.starts_with("apps:") && at.duration_since(since).as_secs().abs() <= 1,
            "{way}"
        );
        // The sink works again, and a person says so.
        let goal = goal_of_finish(&context, &world.spec()).await.unwrap().unwrap();
        world.apps.fail([Fault::None]);
        let done = carry_out(&context, &world.spec(), goal, "recovered").await.unwrap();
        assert_eq!(done.generation, 2, "{way}");
        assert!(world.live().await == live && live.contains(&first), "{way}: the same new one");
        world.clock.advance(OVERLAP);
        let done = world.whole("ends", RETIRE).await;
        world.assert_at(&done, 2, way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_is_looked_for_and_a_call_that_is_lost_is_tried_by_the_next_run() {
    for (fault, told) in [(Fault::AnswerLost, false), (Fault::Unreachable, true)] {
        let world = World::new("add-ours").await;
        world.whole("a", FIRST).await;
        world.apps.fail([fault]);
        match world.run("b", &Fuse::none(), SECOND).await {
            Ending::Done(Ok(_)) => assert!(!told, "{fault:?}"),
            Ending::Done(Err(problem)) => {
                assert!(told && problem.detail.contains("each run tries again"), "{problem}");
                let done = world.recover(SECOND).await;
                assert_eq!(done.generation, 2);
            }
            other => panic!("{other:?}"),
        }
        assert!(world.apps.look("apps/a").await.unwrap().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_earlier_one_is_dead_no_person_is_waited_for() {
    for way in ["replace-ours", "replace-once"] {
        let world = World::new(way).await;
        world.whole("a", FIRST).await;
        fails(&world, "b").await;
        world.clock.advance(Span::from_secs(48 * 3600));
        let problem = fails(&world, "c").await;
        assert!(problem.detail.contains("works no longer"), "{way}: {problem}");
        world.clock.advance(Span::from_secs(601));
        assert_eq!(world.whole("d", SECOND).await.generation, 2, "{way}");
        assert!(world.works().await, "{way}");
    }
}
