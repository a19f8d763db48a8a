//! Stories of a consumers' place that takes nothing for a while: nothing is rolled back, each run tries again,
//! and when it was tried for long enough a person is asked. When the place takes what is written, the next
//! run brings everything to its end.

use super::*;

/// For so long each run tries again.
pub(super) const DELIVER_BY: Span = Span::from_secs(600);
/// What is said of it: what the sink says itself, and when a person is asked.
const REFUSES: [&str; 2] = ["E-SINK", "E-SINK-REFUSES"];

impl Story<'_> {
    /// A place takes nothing any more, or takes what is written again.
    pub(super) fn somebody_shuts_a_place(&mut self) {
        let which = self.choices.any(places_of(0).len() + 1);
        // As often as not nobody does: most stories begin with all of them open.
        let Some(path) = places_of(0).rev().nth(which.wrapping_sub(1)).map(|at| PLACES[at]) else {
            return;
        };
        let mut told = self.shared.told();
        let shuts = told.shut.insert(path.to_owned());
        if !shuts {
            told.shut.remove(path);
        }
        drop(told);
        say!(self, "{path} {}", if shuts { "takes nothing" } else { "takes what is written" });
    }

    /// As long as it takes nothing whoever comes says so, and in the end a person is asked; what consumers
    /// hold works all the time. Then the place is open again.
    pub(super) async fn put_shut_right(&mut self) -> Result<(), String> {
        if !self.shared.told().shut.is_empty() && !self.revoking[0] {
            tokio::time::advance(Duration::from_secs(1_000)).await;
            let goal = Goal::Rotate { to: self.before[0] + 1, at_once: false };
            let mut done = self.calmly("meanwhile", 0, goal).await?;
            // What a document says beside itself keeps nobody waiting for a person.
            if stopped_by(&done) == Some(REFUSES[0]) && self.undelivered().await {
                tokio::time::advance(Duration::from_secs(DELIVER_BY.as_secs() + 1)).await;
                done = self.calmly("after that", 0, goal).await?;
                let stopped = stopped_by(&done);
                // Who gives up what does not work brings nothing anywhere, and says what it cannot undo.
                if stopped == Some(REFUSES[0]) && self.gives_up().await {
                    self.shared.told().shut.clear();
                    return self.put_right().await;
                }
                // Where the earlier one is dead nobody is helped by a person who is waited for.
                if stopped != Some(REFUSES[usize::from(!self.replaces())]) {
                    return Err(format!("P7: a place takes nothing for long: {stopped:?}"));
                }
            }
            let claim = self.acting[0].port.claim().await.unwrap_or_default();
            let held = claim["hold"].as_str() == Some("sink-refuses");
            if stopped_by(&done) == Some(REFUSES[1]) && !held {
                return Err("P7: a person is asked, and the claim does not say so".to_owned());
            }
        }
        self.shared.told().shut.clear();
        say!(self, "every place takes what is written");
        self.put_right().await
    }

    /// A new one did not work, and what was written of it is taken back.
    async fn gives_up(&self) -> bool {
        let claim = self.acting[0].port.claim().await.unwrap_or_default();
        claim["phase"].as_str() == Some("giving_up")
    }

    /// The claim says since when a place takes nothing that has not got it meanwhile.
    async fn undelivered(&self) -> bool {
        let claim = self.acting[0].port.claim().await.unwrap_or_default();
        let noted = claim["undelivered"].as_str();
        let lacks = |noted: &str| {
            let place = places_of(0).find(|index| noted.ends_with(PLACES[*index]));
            place.is_none_or(|index| self.places[index].generation <= self.before[0])
        };
        noted.is_some_and(lacks)
    }
}

/// With what a run stopped.
fn stopped_by(done: &Result<Outcome, Problem>) -> Option<&'static str> {
    done.as_ref().err().map(|problem| problem.code)
}
