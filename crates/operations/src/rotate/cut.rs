//! The soft cut: an earlier key is switched off for a while before it ends, so that whoever still uses
//! it is heard of while it can be switched on again. What is switched off is not ended.

use std::collections::BTreeSet;

use connector::{Outcome, Refusal};
use domain::{Direction, Span};
use jiff::Timestamp;
use ledger::NewEntry;
use policy::{
    overlap::Verdict,
    rotation::{Claim, Cut, Phase, Previous, View},
    schedule::later,
};
use serde_json::json;

use super::Machine;
use crate::{Deed, Problem, journal::moment, ourselves::not_our_key, slot::soft_cut};

impl Machine<'_> {
    fn until(&self, now: Timestamp) -> Timestamp {
        let span = soft_cut(self.context, &*self.connector, self.spec);
        later(now, span.unwrap_or(Span::ZERO))
    }

    /// The keys are named in the claim, and that they are switched off, before one of them is.
    pub(super) async fn begin_cut(
        &mut self,
        view: &View,
        keys: Vec<Previous>,
    ) -> Result<(), Problem> {
        let now = self.context.time().hi;
        let cut = Some(Cut::Off { since: now, until: self.until(now) });
        let keys = keys.into_iter().map(|one| Previous { cut, ..one }).collect();
        let claim = self.about_earlier(view, Phase::Cutting, keys);
        let claim = Claim {
            called_at: Some(self.context.time_in_custody().hi),
            auth: "policy:narrowing".to_owned(),
            ..claim
        };
        let entry = self.naming("rotation.cutting", &claim);
        self.take_claim(&claim, None, entry).await.map(drop)
    }

    pub(super) async fn disable(&mut self, key_id: &str) -> Result<(), Problem> {
        // Whoever was held up for long writes the time anew, and so finds out whether the claim is still
        // theirs: nothing fences a call that switches off what a word has switched on meanwhile.
        if self.has_outlived(&self.claimed()?.claim) {
            let now = self.context.time_in_custody().hi;
            return self.change_claim(|claim| claim.called_at = Some(now), false).await.map(drop);
        }
        not_our_key(self.context, &self.spec.id.integration, key_id).await?;
        let Some(refused) = self.switch(key_id, false).await? else { return Ok(()) };
        let claim = self.claimed()?.claim.clone();
        self.leave_on(&claim).await?;
        Err(refused.next(
            "see in the README of its connector what nhi needs to be allowed for that; or set \
             soft_cut_for = \"0s\" in policy, and earlier credentials end without being switched off \
             first",
        ))
    }

    pub(super) async fn enable(&mut self, key_id: &str) -> Result<(), Problem> {
        self.switch(key_id, true).await?.map_or(Ok(()), Err)
    }

    /// S9: by id, never by name. The answer is what was refused; whether a call was done whose answer is
    /// lost, the next look tells.
    async fn switch(&mut self, key_id: &str, on: bool) -> Result<Option<Problem>, Problem> {
        let (step, kind, deed) = match on {
            true => ("enable", "rotation.enabled", "switch on a credential"),
            false => ("disable", "rotation.disabled", "switch off a credential"),
        };
        let claim = self.claimed()?.claim.clone();
        self.context.journal(self.switching("attempt.started", step, key_id, &claim)).await?;
        let done = match on {
            true => self.connector.enable(&self.object, key_id).await,
            false => self.connector.disable(&self.object, key_id).await,
        };
        let outcome = match &done {
            Ok(()) => "done".to_owned(),
            Err(error) => format!("{:?}", error.outcome()).to_lowercase(),
        };
        let ended = self.switching("attempt.ended", step, key_id, &claim);
        self.context.note(NewEntry { outcome: Some(outcome), ..ended }).await;
        match done {
            Ok(()) => {
                self.note_switched(key_id, on);
                let entry = self.entry(kind, &claim).detail("key", key_id);
                self.context.note(entry).await;
                Ok(None)
            }
            // Somebody ended it.
            Err(error) if error.refusal() == Some(Refusal::NotFound) => {
                self.note_switched(key_id, on);
                Ok(None)
            }
            Err(error) => {
                let problem = Problem::not_done(&self.what, deed, &error);
                match error.outcome() {
                    Outcome::Ambiguous => {
                        self.lost(&format!("{step} {key_id}"), || problem).map(|()| None)
                    }
                    _ => Ok(Some(problem)),
                }
            }
        }
    }

    /// What could not be switched off is as it was: nobody waits for that.
    async fn leave_on(&mut self, claim: &Claim) -> Result<(), Problem> {
        let off = self.off.clone();
        let entry = self.entry("rotation.overlapping", claim);
        let done = self
            .change_claim(
                |claim| {
                    claim.phase = Phase::Parked;
                    for one in &mut claim.previous {
                        one.cut = one.cut.filter(|_| off.contains(&one.key_id));
                    }
                },
                false,
            )
            .await?;
        if done {
            self.note_owed(entry, &self.claim_now()?).await;
        }
        Ok(())
    }

    /// All are off. From now on somebody may miss one.
    pub(super) async fn watch(&mut self) -> Result<(), Problem> {
        let until = self.until(self.context.time().hi);
        let called_at = self.context.time_in_custody().hi;
        let done = self
            .change_claim(
                |claim| {
                    claim.phase = Phase::Parked;
                    // What was sent to switch them off was sent before this.
                    claim.called_at = Some(called_at);
                    for one in &mut claim.previous {
                        if let Some(Cut::Off { since, .. }) = one.cut {
                            one.cut = Some(Cut::Off { since, until });
                        }
                    }
                },
                false,
            )
            .await?;
        if done {
            let claim = self.claim_now()?;
            let entry = self.entry("rotation.watching", &claim).detail("until", moment(until));
            self.note_owed(entry, &claim).await;
        }
        Ok(())
    }

    /// A person says that somebody needs what was switched off. Whoever would end it meanwhile finds
    /// the claim taken.
    pub(super) async fn begin_enabling(&mut self, view: &View) -> Result<(), Problem> {
        let before = self.claimed()?.claim.clone();
        let named: Vec<&str> = before.previous.iter().map(|one| one.key_id.as_str()).collect();
        let deed = Deed {
            object: self.what.clone(),
            tenant: self.tenant.clone(),
            action: "enable",
            before: String::new(),
            after: named.join("\n"),
            direction: Direction::Widens,
        };
        let auth = self.context.gate.authorize(&deed)?.auth().to_owned();
        let claim = self.about_earlier(view, Phase::Enabling, before.previous.clone());
        // Of a run that was cut off a call may be on its way still.
        let called_at = match before.phase {
            Phase::Parked => before.called_at,
            _ => Some(self.context.time_in_custody().hi),
        };
        let claim = Claim { called_at, auth, ..claim };
        let entry = self.naming("rotation.enabling", &claim);
        self.take_claim(&claim, None, entry).await.map(drop)
    }

    /// Somebody needs what was switched off: it stays until a person says otherwise.
    pub(super) async fn keep(&mut self, view: &View) -> Result<(), Problem> {
        let before = self.claimed()?.claim.clone();
        let now = self.context.now();
        let mut keys = before.previous.clone();
        let asked = |one: &Previous| {
            let judged = view.usage.judge(view.now.lo, &one.key_id, one.retire_not_before);
            one.cut.is_none() && judged == Verdict::Ask
        };
        let missed =
            |one: &&mut Previous| (one.cut.is_some() || asked(one)) && self.stands(&one.key_id);
        for one in keys.iter_mut().filter(missed) {
            one.cut = Some(Cut::Needed { since: now });
        }
        let mine = before.phase == Phase::Enabling;
        let claim = Claim {
            epoch: if mine { before.epoch } else { self.highest_epoch() + 1 },
            phase: Phase::Parked,
            auth: before.auth,
            called_at: None,
            ..self.about_earlier(view, Phase::Parked, keys)
        };
        let entry = self.naming("rotation.still_used", &claim);
        self.take_claim(&claim, None, entry).await.map(drop)
    }

    fn claim_now(&self) -> Result<Claim, Problem> {
        Ok(match &self.written {
            Some(written) => written.claim.clone(),
            None => self.claimed()?.claim.clone(),
        })
    }

    fn note_switched(&mut self, key_id: &str, on: bool) {
        if on {
            self.off.remove(key_id);
            self.on.insert(key_id.to_owned(), self.context.now());
        } else {
            self.on.remove(key_id);
            self.off.insert(key_id.to_owned());
        }
    }

    /// What was switched on so short a time ago that a listing may not show it.
    pub(super) fn just_on(&self, now: Timestamp) -> BTreeSet<String> {
        let lag = self.profile.list_lag;
        let young = self.on.iter().filter(|(_, at)| now < later(**at, lag));
        young.map(|(key_id, _)| key_id.clone()).collect()
    }

    fn naming(&self, kind: &str, claim: &Claim) -> NewEntry {
        let named: Vec<&str> = claim.previous.iter().map(|one| one.key_id.as_str()).collect();
        self.entry(kind, claim).detail("reason", self.reason).detail("keys", json!(named))
    }

    fn switching(&self, kind: &str, step: &str, key_id: &str, claim: &Claim) -> NewEntry {
        let entry = self.entry(kind, claim).detail("key", key_id);
        NewEntry { step: Some(step.to_owned()), ..entry }
    }
}
