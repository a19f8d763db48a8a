//! S7x: an earlier key ends by its platform's own hand, although nobody runs anything again.

use connector::{Outcome, Refusal};
use jiff::Timestamp;
use policy::rotation::{Claim, Told, View};

use super::{MOST_TRIES, Machine};
use crate::{Problem, ends::tell, ourselves::not_our_key};

impl Machine<'_> {
    /// What cannot be written is not told.
    pub(super) async fn note_expiry(&mut self, key_id: &str, told: Told) -> Result<(), Problem> {
        let note = |claim: &mut Claim| {
            for one in claim.previous.iter_mut().filter(|one| one.key_id == key_id) {
                one.told = told;
            }
        };
        if let Err(problem) = self.change_claim(note, true).await {
            self.not_told(key_id, problem);
        }
        Ok(())
    }

    /// By id; without a time, that it does not end by itself. What is not taken is told, and stops nothing:
    /// whoever comes when its overlap is over ends it.
    pub(super) async fn set_expiry(
        &mut self,
        view: &View,
        key_id: &str,
        at: Option<Timestamp>,
    ) -> Result<(), Problem> {
        let seen = view.keys.iter().find(|key| key.key_id == key_id);
        let ends = seen.and_then(|key| key.ends);
        if at.is_some_and(|at| ends.is_none_or(|ends| at < ends))
            && let Err(problem) = not_our_key(self.context, &self.spec.id.integration, key_id).await
        {
            self.told.insert(key_id.to_owned());
            self.context.notices.add(problem);
            return Ok(());
        }
        let claim = self.claimed()?.claim.clone();
        let entry = |kind: &str| self.entry(kind, &claim);
        let done = tell(self.context, &*self.connector, &self.object, (key_id, at), entry).await;
        let done = match done {
            Ok(done) => done,
            Err(problem) => {
                self.not_told(key_id, problem);
                return Ok(());
            }
        };
        match done {
            Ok(()) => {
                self.told.insert(key_id.to_owned());
            }
            // Somebody ended it.
            Err(error) if error.refusal() == Some(Refusal::NotFound) => {
                self.told.insert(key_id.to_owned());
            }
            // Whether it was done, the next look tells.
            Err(error) if error.outcome() == Outcome::Ambiguous => {
                let tries = self.tries.entry(format!("expiry {key_id}")).or_default();
                *tries += 1;
                if *tries >= MOST_TRIES {
                    self.not_told(key_id, self.not_taken(&error));
                }
            }
            Err(error) => self.not_told(key_id, self.not_taken(&error)),
        }
        Ok(())
    }

    fn not_taken(&self, error: &connector::Error) -> Problem {
        Problem::not_done(&self.what, "set when an earlier credential ends by itself", error)
    }

    fn not_told(&mut self, key_id: &str, problem: Problem) {
        self.told.insert(key_id.to_owned());
        let detail = format!("{} It stays as it is, and the rotation is done.", problem.detail);
        let next =
            "apply again when its overlap is over: that ends it; without a run it may live on";
        self.context.notices.add(Problem { detail, ..problem }.next(next));
    }
}
