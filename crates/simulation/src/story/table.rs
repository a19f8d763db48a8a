//! The table: of all calls of one deed one ends badly, and everything else goes well. Every way to
//! issue, every call that changes something, every end that it can come to, every kind of ledger, one
//! run or two.

use super::*;

/// What becomes of the ledger between the deed and whoever comes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Books {
    /// All runs have the same one.
    Shared,
    /// Each run has its own.
    Own,
    /// There is none.
    None,
    /// It was shared, and is gone.
    Lost,
}

impl Books {
    /// All of them.
    pub const ALL: [Books; 4] = [Books::Shared, Books::Own, Books::None, Books::Lost];
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// How the platform issues.
    pub way: &'static str,
    /// Nothing earlier is kept: all steps in one deed.
    pub at_once: bool,
    /// The ledger.
    pub books: Books,
    /// Whether somebody else begins the same in the middle of the call.
    pub two: bool,
}

/// How such a call can end badly.
pub fn ends(what: &str) -> &'static [Fate] {
    match what {
        "read claim" | "read sink" | "list keys" => &[],
        "sign in" => &[Fate::DiesBefore, Fate::FalselyRefused],
        "journal" => &[Fate::DiesBefore, Fate::DiesAfter, Fate::NotKept],
        _ => &[Fate::DiesBefore, Fate::DiesAfter, Fate::RequestLost, Fate::AnswerLost],
    }
}

impl Story<'_> {
    async fn row(&mut self, row: &Row, nth: usize, end: usize) -> Result<Option<Call>, String> {
        self.ledgers = match row.books {
            Books::Shared | Books::Lost => 0,
            Books::Own => 1,
            Books::None => 2,
        };
        self.most = 1 + usize::from(row.two);
        for generation in 1..=self.before {
            let goal = Goal::Rotate { to: generation, at_once: false };
            self.calmly("before", goal).await?.map_err(|problem| problem.code.to_string())?;
        }
        let goal = Goal::Rotate { to: self.before + 1, at_once: row.at_once };
        let first = self.acting.len();
        self.begin("first", goal);
        self.go_on(first);
        let (mut met, mut changes) = (None, 0);
        for turn in 0..MOST_EVENTS {
            let all = || first..self.acting.len();
            if all().all(|run| self.acting[run].deed.is_none()) {
                break;
            }
            let waiting: Vec<usize> = all().filter(|run| self.call_of(*run).is_some()).collect();
            if waiting.is_empty() {
                self.time_passes(first, 61).await;
                continue;
            }
            let run = waiting[turn % waiting.len()];
            let call = self.call_of(run).expect("it waits");
            let mut fate = Fate::Done;
            if run == first && !ends(call.what).is_empty() {
                if changes == nth {
                    let Some(bad) = ends(call.what).get(end) else { return Ok(None) };
                    (fate, met) = (*bad, Some(call));
                    if row.two {
                        self.begin("second", goal);
                        self.go_on(first + 1);
                    }
                }
                changes += 1;
            }
            self.end_call(run, fate);
            self.check().await?;
        }
        if met.is_some() {
            if row.books == Books::Lost {
                self.common = Arc::new(MemoryLedger::new());
            }
            self.put_right().await?;
        }
        Ok(met)
    }
}

impl Teller {
    /// Lets the nth call of a deed that changes something end in one of its ways. `None`: it has fewer
    /// calls, or this one has fewer ends.
    ///
    /// # Errors
    ///
    /// The promise that is broken, and what happened.
    pub fn row(&mut self, row: &Row, nth: usize, end: usize) -> Result<Option<Call>, String> {
        let bounds =
            Bounds { way: Some(row.way), runs: 1, faults: 0, duel: false, cuts: false, bug: None };
        let told = self.runtime.block_on(async {
            let mut story = Story::new(Choices::of(Vec::new()), &bounds).await;
            let told = tokio::task::unconstrained(story.row(row, nth, end)).await;
            told.map_err(|broken| format!("{row:?}: {broken}\n{}", story.words))
        });
        self.deeds += 1;
        told
    }
}
