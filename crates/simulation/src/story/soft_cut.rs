//! Stories of the soft cut: two generations, the overlap of the first is over, and one consumer never
//! heard of the second.

use super::*;

/// How long an earlier key is only switched off.
const WATCHED: Span = Span::from_secs(3_600);

/// What whoever still holds the first key has met.
#[derive(Default)]
pub(super) struct Straggler {
    /// What it holds.
    secret: Option<Secret>,
    /// Since when that is switched off without a break.
    off_since: Option<Timestamp>,
    /// It was switched off once.
    was_off: bool,
    /// Somebody said that it is needed, and it was switched on.
    needed: bool,
}

impl Story<'_> {
    /// The overlap of the first is over.
    pub(super) async fn is_over(&mut self) {
        self.straggler.secret =
            self.places[0].earlier.first().map(|(secret, _)| secret.duplicate());
        tokio::time::advance(Duration::from_secs(OVERLAP.as_secs() + 1)).await;
    }

    pub(super) fn some_goal_of_a_cut(&mut self) -> Goal {
        let at = self.before[0];
        let cut = Goal::Cut { at, again: false };
        match self.choices.any(8) {
            0..=3 => cut,
            4 | 5 => Goal::Retire { at },
            6 => Goal::Reenable,
            _ => {
                let at_once = Goal::Rotate { to: at, at_once: true };
                [cut, Goal::Retire { at }, at_once, Goal::Revoke][self.choices.any(4)]
            }
        }
    }

    /// A run that carried out somebody's word is done. What was sent to end it before is not undone.
    pub(super) async fn word_was_heard(&mut self) {
        let ends = {
            let told = self.shared.told();
            let waits = self.acting.iter().filter(|one| one.deed.is_some());
            let mut waits = waits.filter_map(|one| told.waits[one.port.run]);
            waits.any(|call| call.what == "end") || told.late.iter().any(|one| one.0.what == "end")
        };
        let works = self.first_key().await.is_some_and(|one| one.live);
        // What was never off cannot be switched on: nothing is written down of such a word.
        self.straggler.needed |= works && !ends && self.straggler.was_off;
    }

    fn at_work(&self) -> usize {
        self.acting.iter().filter(|one| one.deed.is_some()).count()
    }

    async fn first_key(&self) -> Option<domain::ObservedCredential> {
        let secret = self.straggler.secret.as_ref()?;
        self.shared.fake.find(&object(), "", secret).await.ok().flatten()
    }

    /// Nobody is cut off for good before they could be heard of.
    pub(super) async fn check_straggler(&mut self) -> Result<(), String> {
        if self.straggler.secret.is_none() || self.revoking[0] || self.at_once[0] {
            return Ok(());
        }
        let now = self.clock.now();
        let first = self.first_key().await;
        let off_since = self.straggler.off_since;
        match first {
            Some(one) if one.disabled => {
                self.straggler.off_since = off_since.or(Some(now));
                self.straggler.was_off = true;
            }
            // Where claims hold nobody off, who had decided to end it may not have heard of that yet.
            Some(_)
                if off_since.is_some() && self.claim_ttl == Span::ZERO && self.at_work() > 1 => {}
            Some(_) => self.straggler.off_since = None,
            None if self.straggler.needed => {
                return Err("P1: what somebody needs is ended without a word".to_owned());
            }
            None => {
                let watched = jiff::SignedDuration::from_secs(WATCHED.as_signed_secs());
                // Who was taken for dead may have switched it off when its book was given back: nobody
                // knows then for how long it is off.
                let raced = self.claim_ttl == Span::ZERO && self.most > 1 && off_since.is_some();
                if !raced && off_since.is_none_or(|since| now < since + watched) {
                    return Err("P1: an earlier key is ended before it was off for its time".into());
                }
                self.straggler.secret = None;
            }
        }
        Ok(())
    }

    /// One more without faults; then a person says that nobody needs it, and it is ended.
    pub(super) async fn put_cut_right(&mut self) -> Result<(), String> {
        say!(self, "-- at rest");
        tokio::time::advance(Duration::from_secs(1_000)).await;
        let stops = |problem: Problem| format!("P7: the run after it stops: {}", problem.code);
        if self.revoking[0] {
            self.calmly("later", 0, Goal::Revoke).await?.map_err(stops)?;
            return self.nothing_else(&BTreeSet::new()).await;
        }
        let at = self.before[0];
        let finish = Goal::Rotate { to: at, at_once: false };
        self.calmly("later", 0, finish).await?.map_err(stops)?;
        self.works(0)?;
        self.straggler.needed = false;
        let again = Goal::Cut { at, again: true };
        self.calmly("nobody needs it", 0, again).await?.map_err(stops)?;
        tokio::time::advance(Duration::from_secs(WATCHED.as_secs() + 1)).await;
        let done = self.calmly("ends", 0, Goal::Retire { at }).await?.map_err(stops)?;
        self.works(0)?;
        self.nothing_else(&done.key_id.into_iter().collect()).await
    }
}
