//! The table: of all calls of one deed one ends badly, and everything else goes well. Every way to
//! issue, every deed, every call that changes something, every end that it can come to, every kind of
//! ledger, one run or two.

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

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Does {
    /// A rotation that keeps nothing earlier: all steps in one.
    AtOnce,
    /// A rotation that keeps the earlier one for its overlap.
    Rotate,
    /// A rotation that keeps nothing earlier since that is declared, and whoever comes after is asked for the
    /// same by a state that never heard of it.
    NoneKept,
    /// The end of an earlier one whose overlap is over.
    Retire,
    /// The end of everything.
    Revoke,
    /// The soft cut of an earlier one whose overlap is over.
    Cut,
    /// The end of one that is only switched off, when its time is over.
    EndCut,
    /// What is only switched off works again.
    Reenable,
    /// A rotation, and whoever comes after does only what is due.
    Finish,
    /// What is due when an overlap is over.
    Meet,
    /// A drill.
    Drill,
    /// The integration is taken out of service.
    Decommission,
}

impl Does {
    /// All of them.
    pub const ALL: [Does; 12] = [
        Does::AtOnce,
        Does::Rotate,
        Does::NoneKept,
        Does::Retire,
        Does::Revoke,
        Does::Cut,
        Does::EndCut,
        Does::Reenable,
        Does::Finish,
        Does::Meet,
        Does::Drill,
        Does::Decommission,
    ];

    /// Whether a platform that issues so does that.
    pub fn suits(self, way: &str) -> bool {
        match self {
            Does::AtOnce | Does::Rotate | Does::Revoke => true,
            Does::Finish | Does::Decommission => true,
            // An only one has no earlier one, and what a new one took the place of ended with it.
            // A call of which nobody heard cuts short what the platform keeps by itself.
            Does::NoneKept if way == "grace" => false,
            Does::NoneKept | Does::Retire | Does::Meet | Does::Drill => {
                !matches!(way, "first-only" | "replace-ours" | "replace-once" | "replace-self")
            }
            Does::Cut | Does::EndCut | Does::Reenable => Scene::Cut.suits(way),
        }
    }

    /// Whether it leaves an earlier one there, on a platform that can be told when that ends.
    pub fn tells_of_an_end(self, way: &str) -> bool {
        let leaves = matches!(self, Does::Rotate | Does::Cut | Does::EndCut | Does::Reenable);
        leaves && Scene::Cut.suits(way)
    }

    fn is_about_a_cut(self) -> bool {
        matches!(self, Does::Cut | Does::EndCut | Does::Reenable)
    }
}

/// Who else is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Second {
    /// Nobody.
    Nobody,
    /// Somebody begins the same in the middle of the call, and both go on by turns.
    Joins,
    /// The call takes so long that somebody takes the claim over and does the same to its end; then it
    /// ends.
    TakesOver,
}

impl Second {
    /// All of them.
    pub const ALL: [Second; 3] = [Second::Nobody, Second::Joins, Second::TakesOver];
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// How the platform issues.
    pub way: &'static str,
    /// What is done.
    pub does: Does,
    /// The ledger.
    pub books: Books,
    /// Who else is there.
    pub second: Second,
}

impl Row {
    /// Whether there is such a one.
    pub fn is_one(&self) -> bool {
        // Where there is one name for whatever is made, who is taken for dead and is not ends the successor.
        let alone = self.way == "first-only" && self.second == Second::TakesOver;
        self.does.suits(self.way) && !alone
    }
}

/// What became of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// The deed has fewer calls, or this one fewer ends.
    No,
    /// Where only time fences, such a call does not take so long.
    Never(Call),
    /// The call came to that end, and no promise was broken.
    Yes(Call),
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
    /// What there is before the deed, and the deed's goal.
    async fn begins(&mut self, row: &Row) -> Result<Doing, String> {
        let first = [Does::AtOnce, Does::Rotate, Does::NoneKept, Does::Finish, Does::Drill];
        let earlier = !first.contains(&row.does);
        self.keeps_none = row.does == Does::NoneKept;
        if earlier {
            self.before[0] = if self.way == "first-only" { 1 } else { 2 };
        }
        if row.does.is_about_a_cut() {
            self.shared.fake.disable_keys();
        }
        if row.does.tells_of_an_end(self.way) {
            self.shared.fake.move_expiries();
        }
        let code = |problem: Problem| problem.code.to_string();
        for generation in 1..=self.before[0] {
            let goal = Goal::Rotate { to: generation, at_once: false };
            self.calmly("before", 0, goal).await?.map_err(code)?;
        }
        let at = self.before[0];
        let cut = Goal::Cut { at, again: false };
        if row.does.is_about_a_cut() {
            self.is_over().await;
        }
        if matches!(row.does, Does::EndCut | Does::Reenable) {
            self.calmly("before", 0, cut).await?.map_err(code)?;
        }
        match row.does {
            Does::Retire | Does::Meet => {
                tokio::time::advance(Duration::from_secs(OVERLAP.as_secs() + 1)).await
            }
            Does::EndCut => tokio::time::advance(Duration::from_secs(3_601)).await,
            _ => {}
        }
        Ok(match row.does {
            Does::AtOnce | Does::NoneKept => Goal::Rotate { to: at + 1, at_once: true }.into(),
            Does::Rotate | Does::Finish => Goal::Rotate { to: at + 1, at_once: false }.into(),
            Does::Retire | Does::EndCut => Goal::Retire { at }.into(),
            Does::Revoke => Goal::Revoke.into(),
            Does::Cut => cut.into(),
            Does::Reenable => Goal::Reenable.into(),
            Does::Meet => Doing::Meet,
            Does::Drill => Doing::Drill { to: at + 1 },
            Does::Decommission => Doing::Decommission,
        })
    }

    async fn row(&mut self, row: &Row, nth: usize, end: usize) -> Result<Filled, String> {
        self.ledgers = match row.books {
            Books::Shared | Books::Lost => 0,
            Books::Own => 1,
            Books::None => 2,
        };
        self.most = 1 + usize::from(row.second != Second::Nobody);
        if row.second == Second::TakesOver {
            self.claim_ttl = Span::ZERO;
        }
        let doing = self.begins(row).await?;
        let first = self.acting.len();
        self.begin("first", 0, doing);
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
                    let Some(bad) = ends(call.what).get(end) else { return Ok(Filled::No) };
                    (fate, met) = (*bad, Some(call));
                    match row.second {
                        Second::Nobody => {}
                        Second::Joins => {
                            self.begin("second", 0, doing);
                            self.go_on(first + 1);
                        }
                        Second::TakesOver => {
                            if self.timed() && ["issue", "journal"].contains(&call.what) {
                                return Ok(Filled::Never(call));
                            }
                            tokio::time::advance(Duration::from_secs(1_000)).await;
                            // What it stops with is a promise that the last one holds.
                            let _ = self.calmly("takes over", 0, doing).await?;
                        }
                    }
                }
                changes += 1;
            }
            let done = self.end_call(run, fate);
            if matches!(done, Some(Ok(_))) && row.does == Does::Reenable {
                self.word_was_heard().await;
            }
            self.check().await?;
        }
        let Some(met) = met else { return Ok(Filled::No) };
        if row.books == Books::Lost {
            self.common = Arc::new(MemoryLedger::new());
        }
        match row.does {
            Does::AtOnce | Does::Rotate | Does::Revoke => self.put_right().await?,
            Does::NoneKept => self.put_resumed_right().await?,
            Does::Retire => self.put_retired_right(doing).await?,
            Does::Finish | Does::Meet => self.put_met_right().await?,
            Does::Drill => self.put_drilled_right().await?,
            Does::Decommission => self.put_out_right().await?,
            Does::Cut | Does::EndCut | Does::Reenable => self.put_cut_right().await?,
        }
        Ok(Filled::Yes(met))
    }

    /// Once more without faults: only the current one is left.
    async fn put_retired_right(&mut self, doing: Doing) -> Result<(), String> {
        say!(self, "-- at rest");
        tokio::time::advance(Duration::from_secs(1_000)).await;
        let done = self.calmly("later", 0, doing).await?;
        let done =
            done.map_err(|problem| format!("P7: the run after it stops: {}", problem.code))?;
        self.works(0)?;
        self.nothing_else(&done.key_id.into_iter().collect()).await
    }
}

impl Teller {
    /// Lets the nth call of a deed that changes something end in one of its ways.
    ///
    /// # Errors
    ///
    /// The promise that is broken, and what happened.
    pub fn row(&mut self, row: &Row, nth: usize, end: usize) -> Result<Filled, String> {
        let told = self.of_row(row, nth, end, false);
        // Told once more, in words.
        told.or_else(|_| self.of_row(row, nth, end, true))
    }

    fn of_row(&mut self, row: &Row, nth: usize, end: usize, aloud: bool) -> Result<Filled, String> {
        let scene = if row.does.is_about_a_cut() { Scene::Cut } else { Scene::Usual };
        let bounds = Bounds::of(row.way, 1, 0).about(scene);
        let told = self.runtime.block_on(async {
            let mut story = Story::new(Choices::of(Vec::new()), &bounds).await;
            story.aloud = aloud;
            let told = tokio::task::unconstrained(story.row(row, nth, end)).await;
            told.map_err(|broken| format!("{row:?}: {broken}\n{}", story.words))
        });
        self.deeds += 1;
        told
    }
}
