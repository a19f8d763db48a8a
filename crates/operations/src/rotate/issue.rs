//! A new key: issued once, stored before anything else, and signed in with.

use connector::{Freshness, IssueRequest, Marks, Probe, ProbeBudget, Refusal, Want};
use domain::Secret;
use jiff::Timestamp;
use ledger::NewEntry;
use policy::{
    rotation::{Claim, Goal, Key, Phase, View, Way},
    schedule::later,
    scopes::{Verified, is_wider_than, verified},
};

use super::Machine;
use crate::{KindLattice, Problem, claim::ClaimStore};

impl Machine<'_> {
    /// When a key that is issued now ends by itself, where its platform can do that.
    pub(super) fn expiry(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.spec.integration_ends;
        match &self.spec.schedule {
            _ if !self.profile.sets_expiry => None,
            Some(schedule) => schedule.expiry(now, ends),
            None => ends,
        }
    }

    /// S2: what nothing tells from somebody else's is called for only after it stands in the claim
    /// what was there before, and when.
    pub(super) async fn mark_calling(&mut self) -> Result<(), Problem> {
        let known = self.known_now();
        let now = self.context.time_in_custody().hi;
        let epoch = self.claimed()?.claim.epoch;
        let call = |claim: &mut Claim| {
            claim.phase = Phase::Calling;
            claim.known = known;
            claim.called_at = Some(now);
        };
        if self.change_claim(call, false).await? {
            self.uncalled = Some(epoch);
        }
        Ok(())
    }

    /// Nothing fences a call that is sent late: who was held up for long writes the time anew, and
    /// so finds out whether the claim is still theirs.
    fn is_late(&self, claim: &Claim) -> bool {
        self.way.is_timed() && self.has_outlived(claim)
    }

    /// It was written that a call is sent longer ago than a call is waited for.
    pub(super) fn has_outlived(&self, claim: &Claim) -> bool {
        let called = claim.called_at.unwrap_or(Timestamp::MIN);
        let now = self.context.time_in_custody();
        now.has_come(later(called, self.context.rules.call_deadline))
    }

    /// S3: the issuing call. Sent once.
    pub(super) async fn issue(&mut self, view: &View) -> Result<(), Problem> {
        let claim = self.claimed()?.claim.clone();
        if self.called == Some(claim.epoch) {
            return self.call_anew().await;
        }
        // What it is called with. To find it may take long, so it is asked after that how late it is.
        let itself = match self.way.is_by_itself() && claim.current.is_some() {
            true => match self.secret_anywhere(&claim).await? {
                Some(secret) => Some(secret),
                None => return Err(self.hold(view, "locked-out-of-management").await),
            },
            false => None,
        };
        if self.is_late(&claim) {
            let now = self.context.time_in_custody().hi;
            return match claim.phase {
                Phase::Calling => self.mark_calling().await,
                _ => {
                    let anew = |claim: &mut Claim| claim.called_at = Some(now);
                    if self.change_claim(anew, true).await? {
                        self.uncalled = Some(claim.epoch);
                    }
                    Ok(())
                }
            };
        }
        self.uncalled = None;
        let document = self.claimed()?;
        let marker = self.marker(claim.generation, claim.epoch)?;
        let expires_at = self.expiry(self.context.time().hi);
        let request = IssueRequest {
            credential_type: self.spec.credential_type.name,
            profile: self.profile.name,
            marker: &marker,
            secret: itself.as_ref().or(document.pending.as_ref()),
            settings: &self.spec.settings,
            expires_at,
        };
        self.context
            .journal(NewEntry {
                step: Some("issue".into()),
                ..self.entry("attempt.started", &claim)
            })
            .await?;
        let issued = self.connector.issue(&self.object, request).await;
        let mut ended = self.entry("attempt.ended", &claim);
        ended.step = Some("issue".into());
        match issued {
            Ok(issued) => {
                ended.outcome = Some("done".into());
                let marked = (self.profile.marks == Marks::AtIssue)
                    .then_some((claim.generation, claim.epoch));
                self.issued.insert(issued.key_id.clone(), (self.context.now(), marked));
                self.context.note(ended.detail("key", issued.key_id.clone())).await;
                match issued.secret {
                    Some(secret) if !self.way.is_ours() => {
                        self.memory = Some((issued.key_id, claim.epoch, secret));
                        Ok(())
                    }
                    _ => self.store_key(issued.key_id).await,
                }
            }
            Err(error) => {
                ended.outcome = Some(format!("{:?}", error.outcome()).to_lowercase());
                self.context.note(ended).await;
                let problem = Problem::not_done(&self.what, "issue a credential", &error);
                if error.outcome() == connector::Outcome::Ambiguous {
                    // Whether it is there only a listing of after this tells.
                    self.took = Some(self.context.now());
                    self.called = Some(claim.epoch).filter(|_| self.way == Way::AddMarked);
                    return self.lost("issue", || problem);
                }
                // What it was called with is refused, whatever a listing says of it.
                if itself.is_some() && error.refusal() == Some(Refusal::Unauthorized) {
                    return Err(self.hold(view, "locked-out-of-management").await);
                }
                if !self.may_be_there(&claim) {
                    self.release(&claim).await;
                }
                Err(problem)
            }
        }
    }

    /// What is marked as it is made is told from what an earlier call may still make by its epoch alone: who
    /// calls once more does so under another one.
    async fn call_anew(&mut self) -> Result<(), Problem> {
        let epoch = self.highest_epoch() + 1;
        if self.change_claim(|claim| claim.epoch = epoch, true).await? {
            self.begun = self.begun.map(|_| epoch);
        }
        Ok(())
    }

    /// An earlier call may have made the one that there can be, filled a place, or given what works its
    /// end, and no mark says whose it is: only the open claim tells the next run that it is ours.
    fn may_be_there(&self, claim: &Claim) -> bool {
        let asked = self.tries.contains_key("issue") || self.begun != Some(claim.epoch);
        // What worked when it was begun does no more: one of this deed took its place.
        let dead = |key_id: &String| self.keys.iter().all(|key| key.key_id != *key_id || !key.live);
        let replaced = self.way.replaces() && claim.current.as_ref().is_some_and(dead);
        let unmarked = self.way.is_alone() || matches!(self.way, Way::FirstOnly | Way::Slots);
        unmarked && asked || replaced
    }

    /// S4: the new key's id, and its secret where the platform made it, before anything else.
    pub(super) async fn store_key(&mut self, key_id: String) -> Result<(), Problem> {
        let document = self.claimed()?;
        let claim =
            Claim { phase: Phase::Stored, new: Some(key_id.clone()), ..document.claim.clone() };
        let version = document.version;
        let held =
            self.memory.as_ref().filter(|(held, ..)| *held == key_id).map(|(_, _, secret)| secret);
        let pending = held.or(document.pending.as_ref()).map(Secret::duplicate);
        if self.write_claim(&claim, pending.as_ref(), Some(version)).await?.is_some() {
            self.memory = None;
            let entry = self.entry("rotation.stored", &claim).detail("key", key_id.clone());
            self.context.journal(entry).await?;
            self.mark_afterwards(&claim, &key_id).await;
        }
        Ok(())
    }

    /// A mark that is written by a call of its own is for whoever reads the platform without our
    /// books; the claim names the key, so nothing rests on it.
    pub(super) async fn mark_afterwards(&self, claim: &Claim, key_id: &str) {
        if self.profile.marks != Marks::Afterwards {
            return;
        }
        let marked = match self.marker(claim.generation, claim.epoch) {
            Ok(marker) => self.connector.mark(&self.object, key_id, &marker).await,
            Err(_) => return,
        };
        if let Err(error) = marked {
            tracing::warn!(slot = self.what, %error, "the new credential carries no mark yet");
        }
    }

    /// S5: signs in with what custody gives back, so that a cut or wrongly encoded secret is found
    /// before anybody uses it.
    pub(super) async fn verify(&mut self, view: &View) -> Result<(), Problem> {
        let document = self.claimed()?;
        let claim = document.claim.clone();
        let Some(key_id) = claim.new.clone() else { return Ok(()) };
        let Some(pending) = document.pending.as_ref().map(Secret::duplicate) else {
            self.verified = Some((claim.epoch, key_id, false));
            return Ok(());
        };
        let takes_use =
            self.profile.verify.takes_use && self.spec.settings.count("num_uses").is_some();
        let (works, surface) = if takes_use {
            // A sign-in would use up what is not ours to use.
            let kind = self.spec.credential_type.name;
            let found =
                self.connector.find(&self.object, kind, &pending).await.map_err(|error| {
                    Problem::not_done(&self.what, "look up the new credential", &error)
                })?;
            (found.is_some(), "looked-up")
        } else {
            self.learn_budget().await;
            let works = self.sign_in(&pending).await.map_err(|error| {
                Problem::not_done(&self.what, "sign in with the new credential", &error)
            })?;
            // A platform counts refusals until one sign-in works. The current one is at hand, unless it
            // has ended and would be refused itself.
            let serves = |key: &Key| key.live && Some(&key.key_id) == claim.current.as_ref();
            if !works
                && self.keys.iter().any(serves)
                && let Some(current) = self.current_secret(&claim).await?
            {
                let _ = self.sign_in(&current).await;
            }
            (works, "sign-in")
        };
        let scopes = match works && surface == "sign-in" {
            true => self.verify_scopes(&claim).await?,
            false => (Verified::Unknown, false),
        };
        if let (Verified::Wider, true) = scopes {
            return Err(self.hold(view, "scopes-wider").await);
        }
        self.verified = Some((claim.epoch, key_id, works));
        if works {
            let entry = self
                .entry("rotation.verified", &claim)
                .detail("surface", surface)
                .detail("verified_scopes", scopes.0.as_str());
            self.context.journal(entry).await?;
        }
        Ok(())
    }

    /// What the new credential may do, beside what its integration is granted, and whether that is more
    /// than the one may do that it follows. Where the platform does not tell, nothing more is asked.
    async fn verify_scopes(&mut self, claim: &Claim) -> Result<(Verified, bool), Problem> {
        let Some(shown) = self.shown.take() else { return Ok((Verified::Unknown, false)) };
        let want = Want { credentials: false, ..Want::DEED };
        let found = self.connector.read(&self.object, want).await;
        let found = found.map_err(|error| Problem::unreadable(&self.what, &error))?;
        let Some(found) = found else { return Ok((Verified::Unknown, false)) };
        let granted = found.scopes.into_iter().map(|held| held.scope).collect();
        let lattice =
            KindLattice { platform: self.connector.platform(), kind: self.spec.kind.name };
        let verified = verified(&lattice, &granted, Some(&shown));
        if verified != Verified::Wider {
            return Ok((verified, false));
        }
        let serves = |key: &Key| key.live && Some(&key.key_id) == claim.current.as_ref();
        let current = match self.keys.iter().any(serves) {
            true => self.current_secret(claim).await?,
            false => None,
        };
        let Some(current) = current else { return Ok((verified, false)) };
        let works = self.sign_in(&current).await.map_err(|error| {
            Problem::not_done(&self.what, "sign in with the current credential", &error)
        })?;
        let old = self.shown.take().filter(|_| works);
        Ok((verified, is_wider_than(&lattice, Some(&shown), old.as_ref())))
    }

    /// What is stood where this integration is, asked for once and only where a sign-in may be
    /// refused.
    pub(super) async fn learn_budget(&mut self) -> ProbeBudget {
        if !self.learned {
            self.budget = self.connector.probe_budget(&self.object, self.profile.probe).await;
            self.learned = true;
        }
        self.budget
    }

    /// One sign-in, counted.
    pub(super) async fn sign_in(&mut self, secret: &Secret) -> connector::Result<bool> {
        let kind = self.spec.credential_type.name;
        match self.connector.probe(&self.object, kind, secret).await? {
            Probe::Accepted { scopes, .. } => {
                self.shown = scopes;
                self.refused = 0;
                self.elsewhere = (0, None);
                Ok(true)
            }
            Probe::Refused { class } => {
                tracing::warn!(slot = self.what, class, "a sign-in is refused");
                self.refused += 1;
                self.refused_at = Some(self.context.time().hi);
                self.refusals += 1;
                Ok(false)
            }
        }
    }

    /// What the claim says was refused before this run, as long as the platform may count it.
    pub(super) fn recall_refusals(&mut self) {
        let Some(claim) = self.claim.as_ref().map(|document| &document.claim) else { return };
        let Some(at) = claim.refused_at.filter(|at| self.refused_at < Some(*at)) else { return };
        if !self.context.time().is_past(later(at, self.budget.window)) {
            self.refused = claim.refused;
            self.refused_at = Some(at);
        }
    }

    /// What was refused to the other slots of the integration, as long as the platform may count it.
    pub(super) async fn count_elsewhere(&mut self) -> Result<(), Problem> {
        if self.goal == Goal::Revoke {
            return Ok(());
        }
        let (now, window) = (self.context.time(), self.budget.window);
        let (tenant, vendor_id) = (&self.tenant, &self.spec.vendor_id);
        let all = ClaimStore::mirrors_of(self.context, tenant, vendor_id, Freshness::Fresh).await?;
        for one in all.iter().filter(|one| one.slot != self.what) {
            let Some(at) = one.refused_at.filter(|at| !now.is_past(later(*at, window))) else {
                continue;
            };
            self.elsewhere.0 += one.refused;
            self.elsewhere.1 = self.elsewhere.1.max(Some(at));
        }
        Ok(())
    }

    /// Sign-ins that were refused since one worked, as the platform counts them.
    pub(super) fn refused_in_all(&self) -> u32 {
        self.refused + self.elsewhere.0
    }

    /// When the platform has forgotten what was refused.
    pub(super) fn forgotten_at(&self) -> Option<Timestamp> {
        let last = self.refused_at.max(self.elsewhere.1);
        last.map(|at| later(at, self.budget.window))
    }

    /// No sign-in is tried any more: the next refusal could lock out what works.
    pub(super) fn exhausted(&self) -> bool {
        self.refused_in_all() >= u32::from(self.budget.in_window).max(1)
    }

    /// One more refusal locks nobody out.
    pub(super) fn patience(&self) -> bool {
        self.refused_in_all() < u32::from(self.budget.between_successes).max(1)
    }
}
