//! Entries before and after each deed.

use jiff::Timestamp;
use ledger::{Actor, Durability, Entry, Filter, NewEntry, Subject, Trigger};

use crate::{Context, Problem};

/// What begins something: whoever lost a lease writes none of these any more. What goes on from there is for
/// who has begun it, as the claim in custody says: to leave it half way would cut somebody off.
const BEGINS: [&str; 9] = [
    "attempt.started",
    "claim.taken_over",
    "decommission.begun",
    "rotation.begun_again",
    "rotation.claimed",
    "rotation.cutting",
    "rotation.enabling",
    "rotation.retiring",
    "rotation.taken_over",
];

impl Context {
    /// An entry about an object, by this run, now.
    pub(crate) fn entry(&self, kind: &str, subject: &str) -> NewEntry {
        debug_assert!(ledger::KINDS.contains(&kind), "{kind} is missing in ledger::KINDS");
        let run = &self.run;
        NewEntry::new(self.now().as_millisecond(), kind, subject).by(
            Actor { program: run.program.clone(), run: run.id.clone(), principal: None },
            Trigger {
                what: run.trigger.clone(),
                ticket: run.ticket.clone(),
                url: run.url.clone(),
                requester: run.requester.clone(),
            },
        )
    }

    /// Writes an entry that must be there before the next call.
    pub(crate) async fn journal(&self, entry: NewEntry) -> Result<(), Problem> {
        self.journal_all(vec![entry]).await
    }

    /// Writes entries that belong together, and must be there before the next call.
    pub(crate) async fn journal_all(&self, mut entries: Vec<NewEntry>) -> Result<(), Problem> {
        if let Some(first) = entries.first_mut().filter(|one| BEGINS.contains(&one.kind.as_str())) {
            first.under.clone_from(&self.under);
        }
        self.ledger.append(entries, Durability::Durable).await?;
        Ok(())
    }

    /// Writes an entry about something that is done already: its loss is a gap in the history, which
    /// is told, and no reason to leave the deed half way.
    pub(crate) async fn note(&self, entry: NewEntry) {
        self.note_all(vec![entry]).await;
    }

    /// The same of entries that belong together; the first says what was done.
    pub(crate) async fn note_all(&self, entries: Vec<NewEntry>) {
        let Some(first) = entries.first() else { return };
        let what = format!("{} of {}", first.kind, first.subject);
        if let Err(error) = self.ledger.append(entries, Durability::Durable).await {
            tracing::warn!(%error, "an entry was not written");
            let problem = Problem::from(error);
            let detail = format!("{what} was done and is not in it: {}", problem.detail);
            self.notices.add(Problem { summary: "The ledger has a gap", detail, ..problem });
        }
    }

    /// Whether the run that a record says finished a create died before anybody heard of it: in our own
    /// ledger its last call about these subjects was begun, and nobody wrote how it ended. Another
    /// installation's run is in no ledger of ours, so nobody takes what somebody else has.
    pub(crate) async fn died_finishing(
        &self,
        subjects: &[&str],
        finished_by: Option<&str>,
    ) -> Died {
        let Some(by) = finished_by.filter(|by| *by != self.run.id) else { return Died::No };
        let mut last: Option<Entry> = None;
        for subject in subjects {
            let filter = Filter {
                subject: Some(Subject::Is((*subject).to_owned())),
                kinds: vec!["attempt".to_owned()],
                newest_first: true,
                ..Filter::all()
            };
            // A ledger that cannot be read proves nothing, and what is that far back is no matter of now.
            let Ok(page) = self.ledger.entries(&filter).await else { return Died::No };
            let theirs = |entry: &Entry| entry.actor.run == by;
            last = last
                .into_iter()
                .chain(page.entries.into_iter().find(theirs))
                .max_by_key(|one| one.seq);
        }
        let Some(last) = last.filter(|last| last.kind == "attempt.started") else {
            return Died::No;
        };
        let silent = Timestamp::from_millisecond(last.at).unwrap_or_default();
        let silent = policy::schedule::later(silent, self.rules.claim_ttl);
        if !self.time().is_past(silent) { Died::Perhaps(silent) } else { Died::Yes }
    }

    /// Journals a call before it is sent and after it ended.
    pub(crate) async fn attempt<T, F>(
        &self,
        subject: &str,
        step: &str,
        auth: &str,
        call: F,
    ) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, Problem>>,
    {
        let entry = |kind: &str| {
            let mut entry = self.entry(kind, subject);
            entry.step = Some(step.to_owned());
            entry.auth = Some(auth.to_owned());
            entry
        };
        self.journal(entry("attempt.started")).await?;
        let done = call.await;
        let mut ended = entry("attempt.ended");
        ended.outcome = Some(match &done {
            Ok(_) => "done".to_owned(),
            Err(problem) => problem.code.to_owned(),
        });
        self.note(ended).await;
        done
    }
}

/// Whether a run died in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Died {
    /// Nothing shows that it did.
    No,
    /// It may be at work until then.
    Perhaps(Timestamp),
    /// It did.
    Yes,
}

impl Died {
    /// Whether what it finished is to be taken up.
    ///
    /// # Errors
    ///
    /// `E-BUSY`: it may still be at work.
    pub(crate) fn takes_up(self, what: &str, attribute: &str) -> Result<bool, Problem> {
        match self {
            Died::No => Ok(false),
            Died::Yes => Ok(true),
            Died::Perhaps(until) => Err(Problem::new(
                "E-BUSY",
                "Another run may still be at work on this",
            )
            .detail(format!(
                "{what}: a run of ours began to make it and has not said how that ended. If it says \
                 nothing until {}, it is taken for dead, and what it made is taken up.",
                moment(until)
            ))
            .next("apply again after that")
            .at(&[attribute])),
        }
    }
}

/// A moment as entries and mirrors have it.
pub(crate) fn moment(at: Timestamp) -> String {
    format!("{at:.0}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use connector::{Connection, Platform, SystemClock};
    use ledger::{Filter, Ledger, MemoryLedger, ReadOnly, all_entries};

    use super::*;
    use crate::{Connections, RulesGate, Run};

    #[derive(Debug)]
    struct None;

    #[async_trait]
    impl Connections for None {
        fn names(&self) -> Vec<String> {
            Vec::new()
        }

        fn platform(&self, _: &str) -> Result<&'static dyn Platform, Problem> {
            Err(Problem::new("E-NONE", "There is none"))
        }

        async fn get(&self, _: &str) -> Result<Connection, Problem> {
            Err(Problem::new("E-NONE", "There is none"))
        }

        fn pinned_tenant(&self, _: &str) -> Option<String> {
            Option::None
        }
    }

    fn context(ledger: Arc<dyn Ledger>) -> Context {
        Context {
            connections: Arc::new(None),
            realm: Option::None,
            custody: Option::None,
            rules: Arc::default(),
            ledger,
            clock: Arc::new(SystemClock),
            run: Run::default(),
            gate: Arc::new(RulesGate),
            read_only: false,
            notices: Default::default(),
            turns: Default::default(),
            claims: Default::default(),
            signals: Default::default(),
            stop: Default::default(),
            under: Default::default(),
        }
    }

    async fn kinds(ledger: &dyn Ledger) -> Vec<(String, Option<String>)> {
        let all = all_entries(ledger, Filter::all()).await.unwrap();
        let attempts = all.into_iter().filter(|entry| entry.kind.starts_with("attempt."));
        attempts.map(|entry| (entry.kind.clone(), entry.outcome.clone())).collect()
    }

    #[test]
    fn a_moment_is_written_in_whole_seconds_that_are_over() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_795_500_000_000, "2026-11-24T06:00:00Z"),
            (1_795_500_000_999, "2026-11-24T06:00:00Z"),
        ] {
            assert_eq!(moment(Timestamp::from_millisecond(millis).unwrap()), text);
        }
    }

    #[tokio::test]
    async fn a_call_is_journalled_before_it_is_sent_and_after_it_ended_whatever_the_end() {
        for (end, word) in [(Ok(()), "done"), (Err(Problem::new("E-X", "No")), "E-X")] {
            let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
            let call = async {
                assert_eq!(kinds(&*ledger).await, [("attempt.started".to_owned(), Option::None)]);
                end.clone()
            };
            let done = context(ledger.clone()).attempt("bao/x/y", "narrow", "a", call).await;
            assert_eq!(done, end);
            let last = kinds(&*ledger).await.pop().unwrap();
            assert_eq!(last, ("attempt.ended".to_owned(), Some(word.to_owned())));
        }
    }

    #[tokio::test]
    async fn what_was_done_and_not_journalled_is_told_once() {
        let context = context(Arc::new(ReadOnly::new(Arc::new(MemoryLedger::new()))));
        for _ in 0..2 {
            context.note(context.entry("declared", "bao/x/y")).await;
        }
        let told = context.notices.take();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].detail.starts_with("declared of bao/x/y was done"), "{}", told[0]);
        assert!(context.notices.take().is_empty());
    }

    #[tokio::test]
    async fn what_cannot_be_journalled_is_not_sent() {
        let ledger = Arc::new(ReadOnly::new(Arc::new(MemoryLedger::new())));
        let call = async { panic!("it was sent") };
        let done: Result<(), Problem> =
            context(ledger).attempt("bao/x/y", "narrow", "a", call).await;
        assert!(done.is_err());
    }
}
