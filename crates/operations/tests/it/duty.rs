//! What is owed is done by whoever runs next, without a rotation; and the ledger's rows say what is.

use std::collections::BTreeSet;

use connector::{Clock, fake::APP};
use domain::Span;
use operations::{
    Consumers, Context, DueNow, EndingGate, Met, Problem, SeenSlot, SlotSpec, carry_out, catch_up,
    due_now, duties_of, meet, observe_slot,
};
use policy::{
    duty::{Duty, Standing, Task},
    rotation::Goal,
};

use crate::world::{Ending, Fuse, Moment, OVERLAP, World};

const FIRST: Goal = Goal::Rotate { to: 1, at_once: false };
const SECOND: Goal = Goal::Rotate { to: 2, at_once: false };
const WAYS: [&str; 4] = ["add-ours", "add-marked", "add-unmarked", "slots"];

/// Two generations, and the overlap of the first is over.
async fn over(way: &'static str) -> World {
    let world = World::new(way).await;
    world.whole("a", FIRST).await;
    world.whole("b", SECOND).await;
    world.clock.advance(OVERLAP);
    world
}

/// Somebody does what is owed; `None` where they are killed.
async fn met(
    world: &World,
    run: &str,
    fuse: &std::sync::Arc<Fuse>,
) -> Option<Result<Option<Met>, Problem>> {
    let (context, spec) = (world.context(run, fuse), world.spec());
    tokio::select! {
        biased;
        done = meet(&context, &spec, true) => Some(done),
        () = fuse.died() => None,
    }
}

async fn met_whole(world: &World, run: &str) -> Option<Met> {
    met(world, run, &Fuse::none()).await.unwrap().unwrap()
}

async fn now(world: &World, active: bool) -> DueNow {
    let (context, spec) = (world.context("looks", &Fuse::none()), world.spec());
    let seen = observe_slot(&context, &spec).await.unwrap().unwrap();
    due_now(&context, &spec, &seen, active).await.unwrap()
}

type Row = (String, Option<String>, i64, i64, String);

/// The ledger's open rows.
async fn rows(world: &World) -> BTreeSet<Row> {
    let ledger = world.ledger.lock().unwrap().clone();
    let open = ledger.open_obligations().await.unwrap();
    let text = |row: &ledger::Obligation, name: &str| {
        row.detail.as_ref().and_then(|detail| detail[name].as_str()).map(str::to_owned)
    };
    let one = |row: ledger::Obligation| {
        let (key, by) = (text(&row, "key"), text(&row, "carried_by").unwrap());
        (row.deed, key, row.not_before, row.due_by, by)
    };
    open.into_iter().map(one).collect()
}

fn as_rows<'a>(all: impl IntoIterator<Item = &'a Duty>) -> BTreeSet<Row> {
    let ms = |at: Option<jiff::Timestamp>| at.map_or(0, |at| at.as_second() * 1000);
    let one = |one: &Duty| {
        let (deed, by) = (one.task.as_str().to_owned(), one.carrier.as_str().to_owned());
        (deed, one.key_id.clone(), ms(one.not_before), ms(one.due_by), by)
    };
    all.into_iter().map(one).collect()
}

/// What the derivation says.
async fn derived(world: &World) -> BTreeSet<Row> {
    let context = world.context("looks", &Fuse::none());
    as_rows(&duties_of(&context, &world.spec(), None).await.unwrap())
}

/// What a plan sees owed.
fn seen_owed(seen: &SeenSlot) -> BTreeSet<Row> {
    as_rows(seen.owed.0.iter().map(|(one, _)| one))
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_is_done_without_a_rotation() {
    for way in WAYS {
        let world = over(way).await;
        assert!(matches!(now(&world, true).await, DueNow::Do(Goal::Retire { at: 2 }, _)), "{way}");
        let done = met_whole(&world, "cron").await.unwrap();
        assert_eq!(done.outcome.revoked.len(), 1, "{way}");
        world.assert_at(&done.outcome, 2, way).await;
        assert!(done.outcome.previous.is_empty(), "{way}");
        assert_eq!(now(&world, true).await, DueNow::Nothing, "{way}");
        assert!(met_whole(&world, "cron").await.is_none(), "{way}: nothing is left");
        // What may not act is narrowed as well.
        let world = over(way).await;
        let (context, spec) = (world.context("cron", &Fuse::none()), world.spec());
        let done = meet(&context, &spec, false).await.unwrap().unwrap();
        assert_eq!(done.outcome.revoked.len(), 1, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_and_a_plan_say_the_same_of_a_key_that_is_kept_for_who_has_not_read_the_next() {
    for way in WAYS {
        let world = World::new(way).await;
        let day = OVERLAP.as_secs();
        let refresh = Some(Span::from_secs(3 * day));
        let consumers = Consumers { refresh, ..Consumers::default() };
        let spec = SlotSpec { consumers, ..world.spec() };
        let context = world.context("a", &Fuse::none());
        carry_out(&context, &spec, FIRST, "test").await.unwrap();
        let begun = world.clock.now();
        carry_out(&context, &spec, SECOND, "test").await.unwrap();
        let kept = rows(&world).await;
        for days in [0, 2, 4] {
            world.clock.advance(Span::from_secs(if days == 0 { 0 } else { 2 * day }));
            let seen = observe_slot(&context, &spec).await.unwrap().unwrap();
            assert_eq!(seen_owed(&seen), kept, "{way} {days}");
            let [(one, standing)] = &seen.owed.0[..] else { panic!("{way}: {:?}", seen.owed) };
            let expected = [Standing::Early, Standing::Early, Standing::Overdue][days / 2];
            assert_eq!(*standing, expected, "{way} {days}");
            let at = one.not_before.unwrap().duration_since(begun).as_secs();
            assert!((at - 3 * 86_400).abs() < 60, "{way}: {at}");
        }
        assert_eq!(rows(&world).await, kept, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_of_a_key_that_somebody_still_uses_is_late_no_sooner_than_they_are_waited_for() {
    for way in ["add-ours", "add-marked", "add-unmarked"] {
        let world = World::new(way).await;
        world.fake.tell_last_use(Span::from_secs(60));
        world.whole("a", FIRST).await;
        let secret = world.delivered("apps/a").await.unwrap();
        world.whole("b", SECOND).await;
        let before = rows(&world).await;
        world.clock.advance(Span::from_secs(OVERLAP.as_secs() - 3600));
        assert!(world.fake.sign_in(APP, "sync", &secret).is_some(), "{way}");
        world.clock.advance(Span::from_secs(7200));
        let (context, spec) = (world.context("looks", &Fuse::none()), world.spec());
        let seen = observe_slot(&context, &spec).await.unwrap().unwrap();
        assert_eq!(seen.owed.0[0].1, Standing::InUse, "{way}");
        catch_up(&context, &spec, &seen).await;
        let after = rows(&world).await;
        assert_eq!(after, seen_owed(&seen), "{way}: one list");
        let by = |rows: &BTreeSet<Row>| rows.first().unwrap().3;
        // A week from its successor's delivery, and a window; not two days.
        let days = (by(&after) - by(&before)) / 86_400_000;
        assert_eq!((before.len(), after.len(), days), (1, 1, 6), "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_before_its_time_nor_where_the_current_one_is_gone() {
    let world = World::new("add-marked").await;
    world.whole("a", FIRST).await;
    assert_eq!(now(&world, true).await, DueNow::Nothing);
    let second = world.whole("b", SECOND).await;
    assert_eq!(now(&world, true).await, DueNow::Nothing, "in its overlap");
    world.clock.advance(OVERLAP);
    let current = second.key_id.unwrap();
    world.fake.by_hand(APP, "sync", |hand| hand.end(&current));
    assert!(matches!(now(&world, true).await, DueNow::PutOff(_)));
    assert!(met_whole(&world, "cron").await.is_none());
    assert_eq!(world.live().await.len(), 1, "whoever holds the earlier one keeps it");
}

#[tokio::test(start_paused = true)]
async fn whoever_does_what_is_owed_may_be_killed_at_any_call_and_the_next_goes_on() {
    for way in WAYS {
        for soft in [false, true] {
            if soft && !["add-unmarked", "slots", "add-marked"].contains(&way) {
                continue;
            }
            let mut interrupted = 0;
            'calls: for call in 1..100 {
                for moment in [Moment::Before, Moment::After] {
                    let world = World::new(way).await;
                    if soft {
                        world.fake.disable_keys();
                    }
                    world.whole("a", FIRST).await;
                    world.whole("b", SECOND).await;
                    world.clock.advance(OVERLAP);
                    let fuse = Fuse::at(call, moment);
                    let ended = met(&world, "killed", &fuse).await;
                    let how =
                        format!("{way}, {soft}, killed {moment:?} call {call} of {:?}", fuse.log());
                    match ended {
                        None => interrupted += 1,
                        Some(Ok(_)) => break 'calls,
                        Some(Err(problem)) => panic!("{how}: {problem:?}"),
                    }
                    assert!(world.works().await, "{how}");
                    world.forget_refusals();
                    // Whoever is not silent yet is not disturbed.
                    let early = met(&world, "early", &Fuse::none()).await.unwrap();
                    assert!(early.is_ok() || early.unwrap_err().code == "E-BUSY", "{how}");
                    for _ in 0..3 {
                        world.clock.advance(Span::from_secs(7200));
                        met(&world, "later", &Fuse::none()).await.unwrap().unwrap();
                    }
                    assert_eq!(now(&world, true).await, DueNow::Nothing, "{how}");
                    let last = world.whole("looks", Goal::Retire { at: 2 }).await;
                    assert!(last.previous.is_empty() && last.revoked.is_empty(), "{how}");
                    world.assert_at(&last, 2, &how).await;
                    assert_eq!(rows(&world).await, derived(&world).await, "{how}");
                }
            }
            assert!(interrupted >= 8, "{way}: only {interrupted} interruptions");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_run_left_is_finished_and_nothing_besides() {
    for way in ["add-ours", "add-marked", "add-unmarked", "slots", "replace-ours", "replace-once"] {
        let mut interrupted = 0;
        'calls: for call in 1..100 {
            for moment in [Moment::Before, Moment::After] {
                let world = World::new(way).await;
                world.whole("a", FIRST).await;
                let fuse = Fuse::at(call, moment);
                let how = format!("{way}, killed {moment:?} call {call}");
                match world.run("killed", &fuse, SECOND).await {
                    Ending::Killed => interrupted += 1,
                    Ending::Done(Ok(_)) => break 'calls,
                    Ending::Done(Err(problem)) => panic!("{how}: {problem:?}"),
                }
                world.clock.advance(Span::from_secs(700));
                world.forget_refusals();
                for _ in 0..2 {
                    met(&world, "later", &Fuse::none()).await.unwrap().unwrap();
                }
                assert_eq!(now(&world, true).await, DueNow::Nothing, "{how}");
                assert_eq!(world.pending().await, 0, "{how}");
                assert!(world.works().await, "{how}");
                assert_eq!(rows(&world).await, derived(&world).await, "{how}");
            }
        }
        assert!(interrupted >= 8, "{way}: only {interrupted} interruptions");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_overdue_is_written_down_once() {
    let world = over("add-marked").await;
    world.clock.advance(OVERLAP);
    // Whoever meets it is killed before it is met.
    for run in ["one", "two"] {
        let fuse = Fuse::at(3, Moment::Before);
        assert!(met(&world, run, &fuse).await.is_none());
        world.clock.advance(Span::from_secs(700));
    }
    met_whole(&world, "three").await;
    let kinds = world.kinds().await;
    let of = |kind: &str| kinds.iter().filter(|one| *one == kind).count();
    // What a dead run left is overdue by itself.
    let overdue: Vec<String> = world
        .entries()
        .await
        .iter()
        .filter(|one| one.kind == "obligation.overdue")
        .map(|one| one.detail["deed"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(overdue.iter().filter(|one| *one == "retire").count(), 1, "{overdue:?}");
    assert!(of("obligation.made") >= 2 && of("obligation.met") >= 2, "{kinds:?}");
    assert!(rows(&world).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deed_and_what_it_makes_or_meets_are_one_append() {
    let world = over("add-marked").await;
    met_whole(&world, "cron").await;
    let entries = world.entries().await;
    let after = |kind: &str| {
        let at = entries.iter().position(|one| one.kind == kind).unwrap();
        (entries[at + 1].kind.clone(), entries[at + 1].detail["deed"].as_str().unwrap().to_owned())
    };
    assert_eq!(after("rotation.overlapping"), ("obligation.made".into(), "retire".into()));
    assert_eq!(after("rotation.retired"), ("obligation.met".into(), "retire".into()));
    let ledger = world.ledger.lock().unwrap().clone();
    assert!(ledger.compare().await.unwrap().is_empty());
}

/// A little generator: what comes is the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, of: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % of
    }
}

#[tokio::test(start_paused = true)]
async fn rows_after_any_sequence_are_what_the_claim_says_is_owed() {
    let (mut compared, mut open) = (0, BTreeSet::new());
    for seed in 1..=60_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let way = WAYS[usize::try_from(dice.roll(4)).unwrap()];
        let world = World::new(way).await;
        if dice.roll(2) == 0 {
            world.fake.disable_keys();
        }
        let mut told = vec![format!("{seed} {way}")];
        for step in 0..14 {
            let context = world.context("looks", &Fuse::none());
            let at = observe_slot(&context, &world.spec())
                .await
                .unwrap()
                .map_or(0, |one| one.generation);
            let next = Goal::Rotate { to: at + 1, at_once: dice.roll(4) == 0 };
            let goal = match dice.roll(9) {
                0..=3 => Some(next),
                4 => Some(Goal::Retire { at }),
                5 => Some(Goal::Cut { at, again: false }),
                6 => Some(Goal::Reenable),
                7 if dice.roll(4) == 0 => Some(Goal::Revoke),
                _ => None,
            };
            let fuse = match dice.roll(3) {
                0 => Fuse::at(u32::try_from(dice.roll(25)).unwrap() + 1, Moment::After),
                _ => Fuse::none(),
            };
            let run = format!("run{step}");
            told.push(format!("{goal:?}"));
            let ended = match goal {
                Some(goal) => !matches!(world.run(&run, &fuse, goal).await, Ending::Killed),
                None => met(&world, &run, &fuse).await.is_some(),
            };
            world.forget_refusals();
            // Whoever was killed could write nothing; whoever comes next does.
            if !ended {
                world.clock.advance(Span::from_secs(700));
                let comes = format!("next{step}");
                let _ = world.run(&comes, &Fuse::none(), Goal::Retire { at }).await;
                world.forget_refusals();
            }
            let rows = rows(&world).await;
            assert_eq!(rows, derived(&world).await, "{told:?} at {}", world.clock.now());
            compared += 1;
            open.extend(rows.into_iter().map(|(deed, ..)| deed));
            let spans = [0, 60, 3600, 43_200, 86_400, 90_000];
            let span = spans[usize::try_from(dice.roll(6)).unwrap()];
            world.clock.advance(Span::from_secs(span));
        }
        let ledger = world.ledger.lock().unwrap().clone();
        assert!(ledger.compare().await.unwrap().is_empty(), "{told:?}");
    }
    assert!(compared >= 800, "{compared}");
    for task in [Task::Retire, Task::Disable] {
        assert!(open.contains(task.as_str()), "no sequence had {task:?} open: {open:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_policy_cannot_be_read_what_would_issue_is_put_off_and_what_ends_is_not() {
    let closed = |world: &World| Context {
        gate: std::sync::Arc::new(EndingGate(Problem::new("E-CONFIG", "It cannot be read"))),
        ..world.context("looks", &Fuse::none())
    };
    let world = crate::holds::killed("add-marked", SECOND, "issue", 1, Moment::After).await;
    let (context, spec) = (closed(&world), world.spec());
    let seen = observe_slot(&context, &spec).await.unwrap().unwrap();
    let put_off = due_now(&context, &spec, &seen, true).await.unwrap();
    assert!(matches!(put_off, DueNow::PutOff(why) if why.contains("policy")), "{put_off:?}");
    assert!(matches!(now(&world, true).await, DueNow::Do(Goal::Rotate { .. }, _)));
    let world = over("add-marked").await;
    let (context, spec) = (closed(&world), world.spec());
    let seen = observe_slot(&context, &spec).await.unwrap().unwrap();
    let ends = due_now(&context, &spec, &seen, true).await.unwrap();
    assert!(matches!(ends, DueNow::Do(Goal::Retire { .. } | Goal::Cut { .. }, _)), "{ends:?}");
}
