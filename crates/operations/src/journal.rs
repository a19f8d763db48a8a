//! Entries before and after each deed.

use jiff::Timestamp;
use ledger::{Actor, Durability, NewEntry, Trigger};

use crate::{Context, Problem};

impl Context {
    /// An entry about an object, by this run, now.
    pub(crate) fn entry(&self, kind: &str, subject: &str) -> NewEntry {
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
        self.ledger.append(vec![entry], Durability::Durable).await?;
        Ok(())
    }

    /// Writes an entry about something that is done already: its loss is a gap in the history, and
    /// no reason to leave the deed half way.
    pub(crate) async fn note(&self, entry: NewEntry) {
        if let Err(error) = self.ledger.append(vec![entry], Durability::Durable).await {
            tracing::warn!(%error, "an entry was not written");
        }
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

/// A moment as entries and mirrors have it.
pub(crate) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
