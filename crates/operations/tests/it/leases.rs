//! Several who work between applies: what one has, another leaves; and who lost it begins nothing more.

use std::{
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context as TaskContext, Poll, Waker},
    time::Duration,
};

use domain::Span;
use ledger::{Fence, Leased};
use operations::{Asked, Context, Lease, StopSign, Taken, Tick, Wishes, carry_out, lease_time};
use policy::{Rules, rotation::Goal};
use serde_json::json;

use crate::world::{Fuse, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const LONG: Duration = Duration::from_secs(3600);

fn wishes(world: &World) -> Wishes {
    let mut wish = world.wish();
    for slot in &mut wish.slots {
        slot.settings = Some(json!({}));
    }
    Wishes { integrations: [(wish.id.clone(), wish)].into(), ..Wishes::default() }
}

/// One whole tick of a run of its own.
async fn ticked(world: &World, run: &str) -> Vec<Taken> {
    let context = world.context(run, &Fuse::none());
    let tick = Tick::begin(&context, Asked::default()).await;
    let looked = tick.look(wishes(world), |_, _| ()).await;
    let mut all = Vec::new();
    tick.take_all(&looked.steps, |_, step, taken| {
        if !matches!(taken, Taken::Left) {
            assert!(step.slot().is_some(), "{taken:?}");
            all.push(taken);
        }
    })
    .await;
    all
}

fn integration(world: &World) -> String {
    world.spec().id.integration.to_string()
}

fn ours(leased: ledger::Result<Leased>) -> Fence {
    leased.unwrap().ours().expect("nobody else has it")
}

#[tokio::test(start_paused = true)]
async fn what_another_works_on_is_left_to_them_and_taken_up_when_they_have_it_no_more() {
    let world = World::new("add-marked").await;
    world.whole("a", FIRST).await;
    world.clock.advance(Span::from_secs(86_400 * 40));
    let context = world.context("another", &Fuse::none());
    let subject = integration(&world);
    let theirs = ours(context.ledger.lease(&subject, "another", LONG).await);
    let done = ticked(&world, "tick-1").await;
    assert!(matches!(&done[..], [Taken::Busy]), "{done:?}");
    assert_eq!(world.live().await.len(), 1, "nothing was issued");
    context.ledger.release(&theirs).await.unwrap();
    let done = ticked(&world, "tick-2").await;
    assert!(matches!(&done[..], [Taken::Rotated(to)] if to.generation == 2), "{done:?}");
    // And it was given back.
    ours(context.ledger.lease(&subject, "another", LONG).await);
    assert!(ticked(&world, "tick-3").await.is_empty(), "once is enough");
}

#[tokio::test(start_paused = true)]
async fn two_ticks_at_once_rotate_once() {
    let world = World::new("add-marked").await;
    world.whole("a", FIRST).await;
    world.clock.advance(Span::from_secs(86_400 * 40));
    let (one, two) = tokio::join!(ticked(&world, "tick-1"), ticked(&world, "tick-2"));
    let rotated = one.iter().chain(&two).filter(|taken| matches!(taken, Taken::Rotated(_)));
    assert_eq!(rotated.count(), 1, "{one:?} {two:?}");
    assert_eq!(world.live().await.len(), 2, "the new one and the one before");
    assert!(world.works().await);
}

/// The answer of a ledger in memory, which waits for nobody.
fn at_once<T>(asked: impl Future<Output = T>) -> T {
    match pin!(asked).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits"),
    }
}

/// A run under a lease that somebody else takes before its nth step, which it sees from then on or does not.
async fn loses_it_at(world: &World, nth: u32, sees: bool) -> (Context, Lease) {
    let context = world.context("loses it", &Fuse::none());
    let subject = integration(world);
    let held = Lease::take(&context, &subject).await.unwrap().expect("nobody else has it");
    let (looks, ledger) = (AtomicU32::new(0), context.ledger.clone());
    let guarded = held.guard(&context);
    let fence = guarded.under.clone().unwrap();
    let stop = StopSign::of(move || {
        let look = looks.fetch_add(1, Ordering::SeqCst) + 1;
        if look == nth {
            at_once(ledger.release(&fence)).unwrap();
            ours(at_once(ledger.lease(&fence.subject, "another", LONG)));
        }
        sees && look >= nth
    });
    (Context { stop, ..guarded }, held)
}

#[tokio::test(start_paused = true)]
async fn whenever_a_lease_is_lost_nothing_more_is_begun_and_nobody_is_cut_off() {
    for (way, sees) in ["add-ours", "add-marked", "add-unmarked", "replace-ours"]
        .into_iter()
        .flat_map(|way| [(way, true), (way, false)])
    {
        let (mut stopped, mut fenced) = (0, 0);
        for nth in 1..40 {
            let world = World::new(way).await;
            world.whole("a", FIRST).await;
            let before = world.live().await;
            let (context, held) = loses_it_at(&world, nth, sees).await;
            let done = carry_out(&context, &world.spec(), SECOND, "test").await;
            let how = format!("{way}, lost before step {nth}, seen: {sees}");
            drop(held);
            let after = world.live().await;
            assert!(world.works().await, "{how}: {done:?}");
            match &done {
                Ok(_) => {}
                Err(problem) if problem.code == "E-LEDGER-FENCED" => fenced += 1,
                Err(problem) => {
                    assert_eq!(problem.code, "E-STOPPED", "{how}: {problem}");
                    stopped += 1;
                }
            }
            if done.is_err() {
                let made = after.difference(&before).count();
                assert!(made <= 1, "{how}: no more than what was on its way: {made}");
            }
            // Whoever has the lease by now goes on, from wherever that was.
            let ended = world.whole("goes on", SECOND).await;
            assert_eq!(ended.generation, 2, "{how}");
            world.clock.advance(OVERLAP);
            let ended = world.whole("ends", Goal::Retire { at: 2 }).await;
            world.assert_at(&ended, 2, &how).await;
            if done.is_ok() && nth > 3 {
                break;
            }
        }
        // Who does not see it is refused where it would begin, and goes on where it had begun.
        let told = if sees { stopped } else { fenced };
        assert!(told >= 1, "{way}, seen: {sees}: {stopped} stopped, {fenced} fenced");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_lasts_while_it_is_renewed_and_is_over_before_another_can_have_it() {
    let world = World::new("add-marked").await;
    let context = world.context("one", &Fuse::none());
    let held = Lease::take(&context, "a/b/c").await.unwrap().expect("nobody else has it");
    let time = lease_time(&Rules::default());
    // Its margin is what one more call may take to arrive.
    assert_eq!(time, Duration::from_secs(180));
    for _ in 0..10 {
        tokio::time::sleep(time / 2).await;
        assert!(!held.is_lost(), "it is renewed in time");
    }
    let other = world.context("two", &Fuse::none());
    let theirs = Lease::take(&other, "a/b/c").await.unwrap();
    assert_eq!(theirs.expect_err("it is taken").0, "one");
    // Somebody takes it away: it is seen at the next renewal, and never believed again.
    let fence = held.guard(&context).under.unwrap();
    context.ledger.release(&fence).await.unwrap();
    let theirs = Lease::take(&other, "a/b/c").await.unwrap().expect("it is free");
    tokio::time::sleep(time / 4).await;
    assert!(held.is_lost() && held.guard(&context).stop.is_set());
    assert!(!theirs.is_lost());
    held.give_back().await;
    tokio::time::sleep(time).await;
    assert!(!theirs.is_lost(), "what was lost gives nothing back");
    theirs.give_back().await;
}
