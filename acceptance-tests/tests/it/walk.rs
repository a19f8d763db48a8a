//! Many things that are done to a rotation, one after the other in one world: what came of each is asserted,
//! and the next begins where it left things.
//!
//! A usual run does a share of them, the same each time, so that a change is judged by what it changes;
//! `NHI_TEST_WIDE` does all, and `NHI_TEST_POINT` those of these numbers, after it has listed them all.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use acceptance_tests::{
    Result,
    world::{LEDGER, STATE},
};

use crate::places::{Place, begun, locked};

/// At every so many of them nobody says that a dead run is dead: the next waits until its claim is old.
const UNTOLD: usize = 16;
/// How much of the ledger is shown where something is wrong.
const LINES: usize = 40;
/// How many may be wrong until the walk ends.
const ENOUGH: usize = 5;

/// How many a usual run does, and in how many worlds at once.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) share: usize,
    pub(crate) lanes: usize,
}

/// One thing that is done.
pub(crate) struct Case<'a> {
    /// In words.
    pub(crate) says: String,
    /// What does it, and asserts what came of it; false where it came to nothing. It is told whether
    /// somebody says that a dead run is dead.
    pub(crate) does: Box<Does<'a>>,
}

type Does<'a> = dyn Fn(&dyn Place, bool) -> Result<bool> + Sync + 'a;

/// What starts a world.
pub(crate) type Start<'a> = dyn Fn() -> Result<Box<dyn Place>> + Sync + 'a;

pub(crate) fn is_wide() -> bool {
    std::env::var_os("NHI_TEST_WIDE").is_some()
}

/// Which of so many, by their numbers from 1.
fn chosen(all: usize, pace: Pace) -> (String, Vec<usize>) {
    if let Ok(named) = std::env::var("NHI_TEST_POINT") {
        let numbers = named.split(',').flat_map(str::parse).collect();
        return (format!("of which {named}"), numbers);
    }
    if is_wide() {
        return ("all of them".to_owned(), (1..=all).collect());
    }
    let every = all.div_ceil(pace.share).max(1);
    let from = every.div_ceil(2);
    (format!("every {every}th from {from} on"), (from..=all).step_by(every).collect())
}

/// What came of a walk.
#[derive(Debug, Default)]
struct Tally {
    walked: usize,
    wrong: Vec<String>,
    missed: Vec<String>,
    slowest: (Duration, usize),
}

/// Those that are left: whether their dead runs are said to be dead, and their numbers.
type Left = Mutex<std::vec::IntoIter<(bool, usize)>>;

/// Does what nobody else of the same walk has taken, in one world; where something is wrong in it, in a
/// new one.
fn walk_in(
    mut place: Box<dyn Place>,
    start: &Start<'_>,
    all: &[Case<'_>],
    left: &Left,
    tally: &Mutex<Tally>,
) -> Result<()> {
    while let Some((told, number)) = { locked(left).next() } {
        let Some(case) = all.get(number.wrapping_sub(1)) else { continue };
        let since = Instant::now();
        let done = (case.does)(&*place, told);
        let mut tally = locked(tally);
        tally.walked += 1;
        tally.slowest = tally.slowest.max((since.elapsed(), number));
        match done {
            Ok(true) => {}
            Ok(false) => tally.missed.push(format!("{number}, {}", case.says)),
            Err(error) => {
                let said = place.world().nhi(&["ledger", "show"]).map(|ran| ran.said);
                let said = said.unwrap_or_default();
                let from = said.lines().count().saturating_sub(LINES);
                let last = said.lines().skip(from).collect::<Vec<_>>().join("\n");
                println!("wrong: {number}, {}", case.says);
                tally.wrong.push(format!("{number}, {}: {error}\n{last}", case.says));
                if tally.wrong.len() >= ENOUGH {
                    return Ok(());
                }
                drop(tally);
                place = begun(start)?;
            }
        }
    }
    place.world().note(place.secrets())?;
    place.world().no_secret_leaked(&[STATE, LEDGER])
}

/// Does all that is due to be done.
pub(crate) fn walk(
    name: &str,
    pace: Pace,
    start: &Start<'_>,
    first: Box<dyn Place>,
    all: &[Case<'_>],
) {
    let (which, numbers) = chosen(all.len(), pace);
    println!("{name}: {}, {which}", all.len());
    if which.starts_with("of") {
        for (number, case) in all.iter().enumerate() {
            println!("{name} {}: {}", number + 1, case.says);
        }
    }
    let (since, lanes) = (Instant::now(), pace.lanes.min(numbers.len()));
    let told = |at: usize| at % UNTOLD != UNTOLD - 1;
    let numbers: Vec<_> =
        numbers.into_iter().enumerate().map(|(at, one)| (told(at), one)).collect();
    let (left, tally) = (Mutex::new(numbers.into_iter()), Mutex::new(Tally::default()));
    let ended = thread::scope(|scope| {
        let others: Vec<_> = (1..lanes)
            .map(|_| scope.spawn(|| walk_in(begun(start)?, start, all, &left, &tally)))
            .collect();
        let mut ended = vec![walk_in(first, start, all, &left, &tally)];
        ended.extend(others.into_iter().map(|one| one.join().unwrap_or(Err("it fell".into()))));
        ended
    });
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (walked, missed, slowest) = (tally.walked, &tally.missed, tally.slowest);
    println!(
        "{name}: {walked} in {:?}, {} wrong; the slowest {slowest:?}; came to nothing: {missed:?}",
        since.elapsed(),
        tally.wrong.len()
    );
    let wrong: Vec<String> =
        tally.wrong.iter().cloned().chain(ended.into_iter().filter_map(Result::err)).collect();
    assert!(wrong.is_empty(), "{name}: {} wrong\n{}", wrong.len(), wrong.join("\n\n"));
    // What is sent at once may come in another order, and not much is.
    assert!(missed.len() <= 1 + walked / 10, "{name}: came to nothing: {missed:?}");
}
