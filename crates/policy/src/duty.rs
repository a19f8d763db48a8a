//! What is owed on a slot: derived from what is written down of it, and the same list for a plan, for
//! `nhi drift`, for `nhi reconcile` and for the rows of a ledger.

use std::fmt;

use domain::{Now, Span};
use jiff::Timestamp;

use crate::{
    overlap::{self, Evidence, Usage},
    proof::{Proofs, RETRY},
    rotation::{Claim, Cut, Phase, Previous, has_stopped},
    schedule::later,
};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// What a run began, and fell silent over, is finished.
    Finish,
    /// An earlier key is switched off, to be ended later.
    Disable,
    /// An earlier key ends.
    Retire,
    /// That it ended is shown.
    Prove,
    /// How far an end was shown is looked at once more.
    Reprove,
    /// The sink forgets the version that holds the secret of a key that ended.
    DestroyPrevious,
}

impl Task {
    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Task> {
        use Task::{DestroyPrevious, Disable, Finish, Prove, Reprove, Retire};
        let all = [Finish, Disable, Retire, Prove, Reprove, DestroyPrevious];
        all.into_iter().find(|task| task.as_str() == word)
    }

    /// The word in ledgers and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Task::Finish => "finish",
            Task::Disable => "disable",
            Task::Retire => "retire",
            Task::Prove => "prove",
            Task::Reprove => "reprove",
            Task::DestroyPrevious => "destroy_previous",
        }
    }
}

/// Who carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// Whoever runs next: an apply, or `nhi reconcile --due`.
    NextRun,
    /// Its platform, which was told when it ends: whoever runs before that ends it with proof.
    Platform,
    /// A person must say something first.
    Person,
}

impl Carrier {
    /// The word in ledgers and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Carrier::NextRun => "next_run",
            Carrier::Platform => "platform",
            Carrier::Person => "person",
        }
    }
}

/// Something that is to be done between two moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// What.
    pub task: Task,
    /// The key that it is about; none where it is about the slot.
    pub key_id: Option<String>,
    /// The generation of that key, or of the slot.
    pub generation: u64,
    /// Not before; `None` where it may be done at once.
    pub not_before: Option<Timestamp>,
    /// At the latest; `None` where it was to be done at once.
    pub due_by: Option<Timestamp>,
    /// Who carries it.
    pub carrier: Carrier,
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key_id {
            Some(key_id) => write!(f, "{} {key_id}", self.task.as_str()),
            None => write!(f, "{} generation {}", self.task.as_str(), self.generation),
        }
    }
}

/// How one stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Its time has not come.
    Early,
    /// Its time has come by one clock, and clocks disagree: nothing ends by time.
    Doubtful,
    /// Somebody is seen to use the earlier key: it is kept for a while.
    InUse,
    /// A person must say something first.
    Waits,
    /// It may be done now.
    Due,
    /// It was to be done before now.
    Overdue,
}

impl Standing {
    /// Whether whoever runs now does it.
    pub fn is_due(self) -> bool {
        self >= Standing::Due
    }
}

impl Duty {
    /// A key that is gone is to be shown as that, at once.
    pub fn to_show(one: &Previous) -> Duty {
        Duty {
            task: Task::Prove,
            key_id: Some(one.key_id.clone()),
            generation: one.generation,
            not_before: None,
            due_by: None,
            carrier: Carrier::NextRun,
        }
    }

    /// What a call made that came late is cleared away, at once: nobody has its secret.
    pub fn to_clear(key_id: &str, generation: u64) -> Duty {
        Duty {
            task: Task::Finish,
            key_id: Some(key_id.to_owned()),
            generation,
            not_before: None,
            due_by: None,
            carrier: Carrier::NextRun,
        }
    }

    /// How it stands.
    pub fn standing(&self, seen: &Seen) -> Standing {
        let now = seen.now;
        let past = |at: Option<Timestamp>| at.is_none_or(|at| now.is_past(at));
        let cuts_off = matches!(self.task, Task::Disable | Task::Retire);
        // What ends by no time waits for no clock, and nobody is cut off by a proof.
        let doubted = |at: Timestamp| cuts_off && !now.agrees() && now.has_come(at);
        if self.carrier == Carrier::Person {
            Standing::Waits
        } else if self.not_before.is_some_and(doubted) {
            Standing::Doubtful
        } else if !past(self.not_before) || self.task == Task::Finish && seen.at_work {
            Standing::Early
        } else if cuts_off && seen.in_use && self.not_before.is_some() {
            Standing::InUse
        } else if self.due_by.is_some_and(|at| now.is_past(at)) {
            Standing::Overdue
        } else {
            Standing::Due
        }
    }
}

/// What a look adds to what is written down.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// The present, as far as clocks tell it.
    pub now: Now,
    /// Whoever has the claim is at work, and not silent.
    pub at_work: bool,
    /// Somebody is seen to use an earlier key whose overlap is over. They end together, so all are kept.
    pub in_use: bool,
}

/// What is written down of a slot: in its claim or, where that is lost, in the anchor's document.
#[derive(Debug, Clone, Copy)]
pub struct Books<'a> {
    /// How far the claim has come; parked or free where only the anchor says anything.
    pub phase: Phase,
    /// The generation that the slot is at, or is going to.
    pub generation: u64,
    /// Earlier keys.
    pub previous: &'a [Previous],
    /// Those of them that are known to be off already, whoever did that.
    pub off: &'a [String],
    /// What is remembered of ends.
    pub proofs: &'a Proofs,
    /// When it was written, by the clock of custody.
    pub written_at: Option<Timestamp>,
    /// Its owner stopped as it was asked to.
    pub stopped: bool,
    /// What is known of the use of earlier keys; where nobody has looked, nothing is.
    pub used: Option<&'a Usage>,
}

impl<'a> Books<'a> {
    /// Those of a claim.
    pub fn of(claim: &'a Claim, written_at: Option<Timestamp>) -> Books<'a> {
        Books {
            phase: claim.phase,
            generation: claim.generation,
            previous: &claim.previous,
            off: &[],
            proofs: &claim.proofs,
            written_at,
            stopped: has_stopped(&claim.owner),
            used: None,
        }
    }

    /// The same, with what a look told of the use of earlier keys.
    #[must_use]
    pub fn with_use(self, used: &'a Usage) -> Books<'a> {
        Books { used: Some(used), ..self }
    }
}

/// What a slot's declaration, its platform and policy say of its duties.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// How long after its time an earlier key is to be ended at the latest.
    pub window: Span,
    /// For how long whom is waited for who uses an earlier key, or may.
    pub whom: overlap::Terms,
    /// How long one is only switched off first; `None` where none is.
    pub soft_cut: Option<Span>,
    /// How long after an end more of it may be shown.
    pub proof_deadline: Span,
    /// After how long a run that says nothing is taken for dead; by the claim's way of issuing.
    pub silent_after: Span,
}

/// What is owed, by its time.
pub fn duties(books: Books<'_>, terms: &Terms) -> Vec<Duty> {
    let mut all = Vec::new();
    let mut owe = |task, key: Option<(&str, u64)>, not_before, due_by, carrier| {
        all.push(Duty {
            task,
            key_id: key.map(|(key_id, _)| key_id.to_owned()),
            generation: key.map_or(books.generation, |(_, generation)| generation),
            not_before,
            due_by,
            carrier,
        });
    };
    if books.phase.is_open() {
        let silent = books.written_at.map(|at| later(at, terms.silent_after));
        let held = books.phase == Phase::Held;
        let carrier = if held { Carrier::Person } else { Carrier::NextRun };
        // Nobody waits for who has stopped.
        let from = if books.stopped { books.written_at } else { silent }.filter(|_| !held);
        let by = silent.map(|at| later(at, terms.silent_after));
        owe(Task::Finish, None, from, by, carrier);
    }
    let by = |at: Option<Timestamp>| at.map(|at| later(at, terms.window));
    for one in books.previous {
        let key = Some((one.key_id.as_str(), one.generation));
        let known = books.used.map_or(Evidence::Unknown, |used| used.known(&one.key_id));
        // Consumers that nobody sees may not have read its successor before.
        let unread = overlap::unread_until(one.retire_not_before, known, &terms.whom);
        let unread = |at: Option<Timestamp>| at.max(unread.filter(|_| at.is_some()));
        // Whoever is seen to use it is waited for, and nobody is late who does.
        let waited = one.retire_not_before.filter(|_| matches!(known, Evidence::Used(_)));
        let waited = waited.map(|at| later(overlap::waited_until(at, &terms.whom), terms.window));
        let by_use = |at: Option<Timestamp>| by(at).max(waited.filter(|_| at.is_some()));
        // Who ends it if nobody runs any more.
        let told = one.told.last.is_some();
        let carrier = if told { Carrier::Platform } else { Carrier::NextRun };
        match (books.phase, one.cut) {
            (Phase::Proving, _) => {
                owe(Task::Prove, key, None, None, Carrier::NextRun);
                if one.held_version.is_some() {
                    owe(Task::DestroyPrevious, key, None, None, Carrier::NextRun);
                }
            }
            (Phase::Retiring, _) => {
                let at = one.kept_until();
                owe(Task::Retire, key, at, by(at), Carrier::NextRun);
            }
            // What is to be kept, and for how long, is said when its successor is delivered.
            (phase, _) if phase.is_open() && !phase.is_about_earlier() => {
                if let Some(at) = unread(one.kept_until()) {
                    owe(Task::Retire, key, Some(at), by_use(Some(at)), Carrier::NextRun);
                }
            }
            (_, Some(Cut::Needed { since })) => {
                owe(Task::Retire, key, Some(since), by(Some(since)), Carrier::Person);
            }
            (phase, Some(Cut::Off { .. })) => {
                if phase == Phase::Cutting {
                    owe(Task::Disable, key, None, None, Carrier::NextRun);
                }
                let at = unread(one.kept_until());
                owe(Task::Retire, key, at, by(at), carrier);
            }
            (_, None) => {
                let at = unread(one.retire_not_before);
                let is_on = !books.off.contains(&one.key_id);
                match terms.soft_cut.filter(|_| at.is_some() && is_on) {
                    Some(span) => {
                        owe(Task::Disable, key, at, by_use(at), Carrier::NextRun);
                        let ends = at.map(|at| later(at, span));
                        let by = by_use(at).map(|at| later(at, span));
                        owe(Task::Retire, key, ends, by, carrier);
                    }
                    None => owe(Task::Retire, key, at, by_use(at), carrier),
                }
            }
        }
    }
    for one in &books.proofs.ended {
        let key = Some((one.key_id.as_str(), one.generation));
        let Some(due) = one.due else { continue };
        let deadline = later(one.at, terms.proof_deadline);
        owe(Task::Reprove, key, Some(due), Some(deadline.max(due)), Carrier::NextRun);
        if one.held_version.is_some() {
            let by = later(deadline, RETRY);
            owe(Task::DestroyPrevious, key, Some(deadline), Some(by), Carrier::NextRun);
        }
    }
    all.sort_by_key(|one| (one.not_before, one.task));
    all
}

/// What is owed, each with how it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owed(pub Vec<(Duty, Standing)>);

impl Owed {
    /// Judges each.
    pub fn now(duties: Vec<Duty>, seen: &Seen) -> Owed {
        let judged = duties.into_iter().map(|one| {
            let standing = one.standing(seen);
            (one, standing)
        });
        Owed(judged.collect())
    }

    /// Those that whoever runs now does.
    pub fn due(&self) -> impl Iterator<Item = &Duty> {
        self.0.iter().filter(|(_, standing)| standing.is_due()).map(|(one, _)| one)
    }

    /// Whether one of these is done by whoever runs now.
    pub fn is_due(&self, task: Task) -> bool {
        self.due().any(|one| one.task == task)
    }

    /// When the next one's time comes.
    pub fn next(&self) -> Option<&Duty> {
        let early = self.0.iter().filter(|(_, standing)| *standing == Standing::Early);
        early.map(|(one, _)| one).min_by_key(|one| one.not_before)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        proof::{Ended, Grade},
        rotation::Told,
    };

    const HOUR: Span = Span::from_secs(3600);
    const DAY: Span = Span::from_secs(86_400);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn terms(soft_cut: Option<Span>) -> Terms {
        Terms {
            window: DAY,
            whom: overlap::Terms::of(DAY, None, None, true),
            soft_cut,
            proof_deadline: DAY,
            silent_after: Span::from_secs(120),
        }
    }

    fn seen(now: Timestamp) -> Seen {
        Seen { now: now.into(), at_work: false, in_use: false }
    }

    fn previous(cut: Option<Cut>) -> Previous {
        Previous {
            epoch: Some(1),
            retire_not_before: Some(at(0)),
            held_version: Some(1),
            cut,
            ..Previous::new("k1", 1)
        }
    }

    fn owed(phase: Phase, cut: Option<Cut>, soft_cut: Option<Span>, off: bool) -> Vec<Duty> {
        let (proofs, all) = (Proofs::default(), [previous(cut)]);
        let off: Vec<String> = if off { vec!["k1".into()] } else { Vec::new() };
        let books = Books {
            phase,
            generation: 2,
            previous: &all,
            off: &off,
            proofs: &proofs,
            written_at: Some(at(-100)),
            stopped: false,
            used: None,
        };
        duties(books, &terms(soft_cut))
    }

    fn tasks(duties: &[Duty]) -> Vec<Task> {
        duties.iter().map(|one| one.task).collect()
    }

    #[test]
    fn a_platform_that_was_told_of_an_end_carries_it_and_whoever_runs_before_does_it_all_the_same()
    {
        let told = Told { last: Some(at(90_000)), before: None };
        let one = [Previous { told, ..previous(None) }];
        let proofs = Proofs::default();
        let books = Books {
            phase: Phase::Parked,
            generation: 2,
            previous: &one,
            off: &[],
            proofs: &proofs,
            written_at: Some(at(-100)),
            stopped: false,
            used: None,
        };
        let all = duties(books, &terms(None));
        let [duty] = &all[..] else { panic!("{all:?}") };
        assert_eq!((duty.task, duty.carrier), (Task::Retire, Carrier::Platform));
        assert_eq!(duty.standing(&seen(at(0))), Standing::Due);
        assert_eq!(duty.standing(&seen(at(86_400))), Standing::Overdue);
        let untold = owed(Phase::Parked, None, None, false);
        assert_eq!(untold[0].carrier, Carrier::NextRun);
    }

    #[test]
    fn an_earlier_key_is_to_end_between_its_time_and_a_window_after_it() {
        let all = owed(Phase::Parked, None, None, false);
        let [one] = &all[..] else { panic!("{all:?}") };
        assert_eq!(
            (one.task, one.not_before, one.due_by),
            (Task::Retire, Some(at(0)), Some(at(86_400)))
        );
        for (now, standing) in [
            (-1, Standing::Early),
            (0, Standing::Due),
            (86_399, Standing::Due),
            (86_400, Standing::Overdue),
        ] {
            assert_eq!(one.standing(&seen(at(now))), standing, "{now}");
        }
    }

    #[test]
    fn one_that_can_be_switched_off_is_so_first_and_ends_when_nobody_missed_it() {
        let all = owed(Phase::Parked, None, Some(HOUR), false);
        assert_eq!(tasks(&all), [Task::Disable, Task::Retire]);
        assert_eq!(all[1].not_before, Some(at(3600)));
        // Who has switched it off already is missed by nobody.
        assert_eq!(tasks(&owed(Phase::Parked, None, Some(HOUR), true)), [Task::Retire]);
        let off = Some(Cut::Off { since: at(10), until: at(3610) });
        let all = owed(Phase::Parked, off, Some(HOUR), true);
        assert_eq!((all[0].task, all[0].not_before), (Task::Retire, Some(at(3610))));
        let needed = Some(Cut::Needed { since: at(20) });
        let all = owed(Phase::Parked, needed, Some(HOUR), false);
        assert_eq!(
            (all[0].carrier, all[0].standing(&seen(at(99_999)))),
            (Carrier::Person, Standing::Waits)
        );
    }

    #[test]
    fn what_is_begun_is_to_be_finished_by_whoever_comes_when_its_owner_is_silent() {
        for phase in [
            Phase::Intent,
            Phase::Calling,
            Phase::Stored,
            Phase::GivingUp,
            Phase::Cutting,
            Phase::Enabling,
            Phase::Retiring,
            Phase::Proving,
        ] {
            let all = owed(phase, None, None, false);
            let finish = all.iter().find(|one| one.task == Task::Finish).unwrap();
            assert_eq!(finish.not_before, Some(at(20)), "{phase:?}");
            assert_eq!(finish.standing(&seen(at(19))), Standing::Early);
            assert!(finish.standing(&seen(at(20))).is_due());
            let busy = Seen { at_work: true, ..seen(at(20)) };
            assert_eq!(finish.standing(&busy), Standing::Early, "{phase:?}");
        }
        let all = owed(Phase::Held, None, None, false);
        let finish = all.iter().find(|one| one.task == Task::Finish).unwrap();
        assert_eq!(finish.standing(&seen(at(1_000_000))), Standing::Waits);
        assert_eq!(tasks(&owed(Phase::Free, None, None, false)), [Task::Retire]);
        assert_eq!(
            tasks(&owed(Phase::Proving, None, None, false)).into_iter().collect::<BTreeSet<_>>(),
            [Task::Finish, Task::Prove, Task::DestroyPrevious].into()
        );
    }

    #[test]
    fn nothing_ends_by_time_where_clocks_disagree_or_while_somebody_uses_it() {
        let all = owed(Phase::Parked, None, None, false);
        let apart = Now { lo: at(-10_000), hi: at(10) };
        assert_eq!(all[0].standing(&Seen { now: apart, ..seen(at(0)) }), Standing::Doubtful);
        let used = Seen { in_use: true, ..seen(at(10)) };
        assert_eq!(all[0].standing(&used), Standing::InUse);
        assert!(Owed::now(all, &used).due().next().is_none());
    }

    #[test]
    fn who_may_not_have_read_the_next_and_who_uses_the_earlier_are_waited_for_before_it_is_late() {
        let (proofs, all) = (Proofs::default(), [previous(None)]);
        let whom = terms(None).whom.read_within(Some(Span::from_secs(3 * 86_400)));
        let owed = |known: Option<Evidence>, refresh: bool, soft_cut| {
            let of = known.map(|known| ("k1".to_owned(), known)).into_iter().collect();
            let usage = Usage { of, terms: whom };
            let books = Books {
                phase: Phase::Parked,
                generation: 2,
                previous: &all,
                off: &[],
                proofs: &proofs,
                written_at: Some(at(-100)),
                stopped: false,
                used: Some(&usage),
            };
            let whom = if refresh { whom } else { terms(None).whom };
            duties(books, &Terms { whom, ..terms(soft_cut) })
        };
        let day = 86_400;
        let times = |all: Vec<Duty>| {
            let times = all.iter().map(|one| (one.task, one.not_before.unwrap()));
            times.zip(all.iter().map(|one| one.due_by.unwrap())).collect::<Vec<_>>()
        };
        // They read it two days after the overlap of one day, and then a window follows.
        let kept = [((Task::Retire, at(2 * day)), at(3 * day))];
        assert_eq!(times(owed(Some(Evidence::Unknown), true, None)), kept);
        assert_eq!(times(owed(None, true, None)), kept, "nobody has looked");
        assert_eq!(times(owed(None, false, None)), [((Task::Retire, at(0)), at(day))]);
        // Nobody needs it: its overlap is all that it is kept for.
        let quiet = owed(Some(Evidence::Quiet), true, None);
        assert_eq!(times(quiet), [((Task::Retire, at(0)), at(day))]);
        // A week after its successor was delivered, and then a window.
        let used = owed(Some(Evidence::Used(at(-9))), true, None);
        assert_eq!(times(used), [((Task::Retire, at(0)), at(7 * day))]);
        assert_eq!(
            times(owed(None, true, Some(HOUR))),
            [
                ((Task::Disable, at(2 * day)), at(3 * day)),
                ((Task::Retire, at(2 * day + 3600)), at(3 * day + 3600))
            ]
        );
    }

    #[test]
    fn an_end_is_looked_at_again_in_its_time_and_its_secret_forgotten_after_the_deadline() {
        let ended = |due, held_version| Ended {
            key_id: "k1".into(),
            generation: 1,
            at: at(0),
            grade: Grade::B,
            residual_until: None,
            held_version,
            due,
        };
        let owed = |one: Ended| {
            let proofs = Proofs { ended: vec![one], ..Proofs::default() };
            let books = Books {
                phase: Phase::Free,
                generation: 2,
                previous: &[],
                off: &[],
                proofs: &proofs,
                written_at: None,
                stopped: false,
                used: None,
            };
            duties(books, &terms(None))
        };
        let all = owed(ended(Some(at(300)), Some(1)));
        assert_eq!(tasks(&all), [Task::Reprove, Task::DestroyPrevious]);
        assert_eq!(all[0].not_before, Some(at(300)));
        assert_eq!(all[1].not_before, Some(at(86_400)));
        assert_eq!(tasks(&owed(ended(Some(at(300)), None))), [Task::Reprove]);
        assert!(owed(ended(None, None)).is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_due_before_its_time_and_nothing_that_is_due_stops_being_so(
            cut in 0_u8..3, soft in any::<bool>(), off in any::<bool>(), now in -10_000_i64..200_000,
        ) {
            let cut = match cut {
                0 => None,
                1 => Some(Cut::Off { since: at(0), until: at(3600) }),
                _ => Some(Cut::Needed { since: at(0) }),
            };
            for one in owed(Phase::Parked, cut, soft.then_some(HOUR), off) {
                let standing = one.standing(&seen(at(now)));
                if standing.is_due() {
                    prop_assert!(one.not_before.is_none_or(|at_last| at(now) >= at_last));
                    prop_assert!(one.standing(&seen(at(now + 1))) >= standing);
                }
            }
        }
    }
}
