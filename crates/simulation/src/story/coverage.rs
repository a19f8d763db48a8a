//! What stories must meet: every call of every way to issue, every end that it can come to, with one run,
//! two or three. What cannot be met is named with the reason; what can and is not shows a search that
//! never comes there.

use std::collections::BTreeMap;

use super::{Scene, WAYS};
use crate::ports::{Call, Fate};

/// How often each call came to each end, by way of issuing and the number of runs.
pub type Coverage = BTreeMap<Cell, u64>;

/// One call that comes to one end, where the platform issues so and so many runs may be at work.
pub type Cell = (&'static str, Call, Fate, usize);

/// What one call can come to. The first is what usually happens.
pub(super) fn fates(way: &str, what: &str) -> &'static [Fate] {
    use Fate::{
        AnswerLost, ArrivesLate, DiesAfter, DiesBefore, Done, FalselyRefused, NotKept, NotSent,
        RequestLost, Useless,
    };
    // Where there is one name for whatever is made, an ending that is late reaches the next one.
    let late = !(what == "end" && way == "first-only");
    match what {
        "read claim" | "read sink" => &[Done, DiesBefore, NotSent],
        "list keys" => &[Done, DiesBefore, NotSent, NotKept],
        "sign in" => &[Done, DiesBefore, NotSent, FalselyRefused, FalselyRefused],
        "journal" => &[Done, DiesBefore, DiesAfter, NotKept],
        "issue" => &[
            Done,
            DiesBefore,
            DiesAfter,
            NotSent,
            RequestLost,
            AnswerLost,
            ArrivesLate,
            ArrivesLate,
            Useless,
        ],
        _ if late => &[Done, DiesBefore, DiesAfter, NotSent, RequestLost, AnswerLost, ArrivesLate],
        _ => &[Done, DiesBefore, DiesAfter, NotSent, RequestLost, AnswerLost],
    }
}

/// The calls of a deed; of a claim, by the phase that is written.
const CALLS: [(&str, &str); 26] = [
    ("read claim", ""),
    ("read sink", ""),
    ("list keys", ""),
    ("sign in", ""),
    ("journal", ""),
    ("issue", ""),
    ("mark", ""),
    ("end", ""),
    ("disable", ""),
    ("enable", ""),
    ("modify", ""),
    ("write sink", ""),
    ("write mirror", ""),
    ("prepare claim", ""),
    ("destroy version", ""),
    ("write claim", "intent"),
    ("write claim", "calling"),
    ("write claim", "stored"),
    ("write claim", "giving_up"),
    ("write claim", "parked"),
    ("write claim", "cutting"),
    ("write claim", "enabling"),
    ("write claim", "retiring"),
    ("write claim", "proving"),
    ("write claim", "held"),
    ("write claim", "free"),
];

/// Why no story of this way comes there.
fn never(way: &str, what: &str, phase: &str, runs: usize) -> Option<&'static str> {
    let ours = ["add-ours", "slots", "replace-ours"].contains(&way);
    let unmarked = ["add-unmarked", "grace", "replace-once", "replace-self"].contains(&way);
    match (what, phase) {
        _ if way == "first-only" && runs > 1 => {
            Some("one name for whatever is made: who is taken for dead ends the successor")
        }
        ("mark", _) if way != "add-unmarked" => Some("it is marked as it is issued, or never"),
        ("disable" | "enable", _) | (_, "cutting" | "enabling") if !Scene::Cut.suits(way) => {
            Some("no earlier one stands beside it that could be switched off")
        }
        (_, "intent") if ours => Some("the secret is stored with the claim"),
        (_, "calling") if !unmarked => Some("what is called for is told by its mark or its secret"),
        (_, "parked") if way == "first-only" => Some("nothing earlier is kept"),
        ("destroy version", _) if way == "first-only" => Some("nothing earlier is kept"),
        _ => None,
    }
}

/// The cells of one way and number of runs that stories can meet.
pub(super) fn cells_of(way: &'static str, runs: usize) -> Vec<Cell> {
    let mut all = Vec::new();
    for (what, phase) in CALLS {
        if never(way, what, phase, runs).is_none() {
            let mut ends = fates(way, what).to_vec();
            ends.dedup();
            all.extend(ends.into_iter().map(|fate| (way, Call { what, phase }, fate, runs)));
        }
    }
    all
}

/// Every cell that stories can meet.
pub fn reachable() -> Vec<Cell> {
    WAYS.into_iter().flat_map(|way| (1..=3).flat_map(move |runs| cells_of(way, runs))).collect()
}

/// What no story can meet, by way and call, with the reason.
pub fn unreachable() -> Vec<String> {
    let mut all = Vec::new();
    for way in WAYS {
        for (what, phase) in CALLS {
            if let Some(why) = never(way, what, phase, 1) {
                all.push(format!("{way}: {what} {phase}: {why}"));
            }
        }
        if let Some(why) = never(way, "issue", "", 2) {
            all.push(format!("{way}, two at once: {why}"));
        }
    }
    all
}

/// The cells that were met less often than that, the rarest first.
pub fn seldom(coverage: &Coverage, least: u64) -> Vec<(u64, Cell)> {
    let met = |cell: &Cell| coverage.get(cell).copied().unwrap_or_default();
    let mut all: Vec<(u64, Cell)> =
        reachable().into_iter().map(|cell| (met(&cell), cell)).collect();
    all.retain(|(times, _)| *times < least);
    all.sort();
    all
}

/// What was met although it is said that nothing can meet it.
pub fn unforeseen(coverage: &Coverage) -> Vec<Cell> {
    let all: std::collections::BTreeSet<Cell> = reachable().into_iter().collect();
    coverage.keys().filter(|cell| !all.contains(*cell)).copied().collect()
}
