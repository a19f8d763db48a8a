//! The claim: taken, taken over, given back. It is written before anything else is done.

use std::collections::{BTreeMap, BTreeSet};

use connector::{Effect, Freshness};
use domain::{Direction, Marker, Secret};
use jiff::Timestamp;
use ledger::NewEntry;
use policy::{
    reason::higher,
    rotation::{Claim, Goal, Key, OwnEnd, Phase, Previous, Siblings, View},
};
use secrets::SinkError;
use serde_json::json;

use super::{CLAIM, Machine};
use crate::{
    Deed, Problem,
    claim::{ClaimDocument, ClaimMirror, ClaimStore},
    journal::moment,
    refused::no_place,
};

impl Machine<'_> {
    /// Writes a claim; losing the race is no error: the next look sees who won.
    pub(super) async fn write_claim(
        &mut self,
        claim: &Claim,
        pending: Option<&Secret>,
        version: Option<u64>,
    ) -> Result<Option<u64>, Problem> {
        let claim = Claim { refused: self.refused, refused_at: self.refused_at, ..claim.clone() };
        self.written = None;
        match self.store.write(&claim, pending, version).await {
            Ok(written) => {
                let version = written.number;
                // What is signed in with next is read back.
                let verifies = pending.is_some() && claim.new.is_some();
                self.written = (!verifies).then(|| ClaimDocument {
                    claim,
                    pending: pending.map(Secret::duplicate),
                    version,
                    written_at: written.created_at,
                });
                Ok(Some(version))
            }
            Err(SinkError::Conflict { .. }) => Ok(None),
            Err(error) if error.maybe_written() => self.lost(CLAIM, || error.into()).map(|()| None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the claim and journals it. What cannot be journalled is not begun: the claim goes back
    /// to what it was, under the new epoch.
    pub(super) async fn take_claim(
        &mut self,
        claim: &Claim,
        pending: Option<&Secret>,
        entry: NewEntry,
    ) -> Result<bool, Problem> {
        let version = self.claim.as_ref().map(|document| document.version);
        let Some(version) = self.write_claim(claim, pending, version).await? else {
            return Ok(false);
        };
        self.began = true;
        self.took = Some(self.context.now());
        if !self.way.is_by_itself() {
            self.memory = None;
        }
        let entries = self.with_owed(entry, claim).await;
        if let Err(problem) = self.context.journal_all(entries).await {
            let (back, pending) = match self.claim.take() {
                Some(before) => (Claim { epoch: claim.epoch, ..before.claim }, before.pending),
                None => (claim.released(), None),
            };
            if let Err(problem) = self.write_claim(&back, pending.as_ref(), Some(version)).await {
                tracing::warn!(%problem, "the credential was not given back in custody; that ends by itself");
            }
            return Err(problem);
        }
        Ok(true)
    }

    /// The same, to call for a key: where its secret is ours that is written with the claim.
    async fn take_to_call(
        &mut self,
        claim: &Claim,
        pending: Option<&Secret>,
        entry: NewEntry,
    ) -> Result<(), Problem> {
        if self.take_claim(claim, pending, entry).await? {
            self.begun = Some(claim.epoch);
            self.uncalled = self.begun.filter(|_| pending.is_some());
        }
        Ok(())
    }

    /// Changes the claim; `false` where somebody else was faster.
    pub(super) async fn change_claim(
        &mut self,
        change: impl FnOnce(&mut Claim),
        keep_pending: bool,
    ) -> Result<bool, Problem> {
        let document = self.claimed()?;
        let mut claim = document.claim.clone();
        change(&mut claim);
        let version = document.version;
        let pending = document.pending.as_ref().filter(|_| keep_pending).map(Secret::duplicate);
        Ok(self.write_claim(&claim, pending.as_ref(), Some(version)).await?.is_some())
    }

    pub(super) fn marker(&self, generation: u64, epoch: u64) -> Result<String, Problem> {
        let (realm, key) = self.context.realm_key()?;
        let id = &self.spec.id;
        let vendor_id = &self.spec.vendor_id;
        Ok(Marker::new(key, realm, &self.tenant, vendor_id, id, generation, epoch).to_string())
    }

    pub(super) fn choose(&self, generation: u64, epoch: u64) -> Result<Option<Secret>, Problem> {
        if !self.way.is_ours() {
            return Ok(None);
        }
        let marker = self.marker(generation, epoch)?;
        self.connector
            .choose_secret(self.spec.credential_type.name, &self.spec.settings, &marker)
            .map(Some)
            .map_err(|error| Problem::not_done(&self.what, "choose a secret", &error))
    }

    /// The epoch in the mark of a key that is listed.
    pub(super) fn epoch_of(&self, key_id: &str) -> Option<u64> {
        let key = self.keys.iter().find(|key| key.key_id == key_id)?;
        key.ours.map(|(_, epoch)| epoch)
    }

    /// The keys that are there, none of which this deed has called for. Where there is one at a time,
    /// whatever came since the deed began is what it called for, although an answer was lost.
    pub(super) fn known_now(&self) -> BTreeSet<String> {
        match &self.claim {
            Some(document) if self.way.is_alone() => document.claim.known.clone(),
            _ => self.keys.iter().map(|key| key.key_id.clone()).collect(),
        }
    }

    /// It is listed, and has not ended.
    pub(super) fn stands(&self, key_id: &str) -> bool {
        self.keys.iter().any(|key| key.key_id == key_id && (key.live || key.disabled))
    }

    pub(super) fn highest_epoch(&self) -> u64 {
        let claimed = self.claim.as_ref().map_or(0, |document| document.claim.epoch);
        let marked = self.keys.iter().filter_map(|key| key.ours).map(|(_, epoch)| epoch);
        let written = self.mains.iter().map(|main| main.epoch);
        marked.chain(written).fold(claimed, u64::max)
    }

    /// S1: the first write. Everything that a later run needs is in it.
    pub(super) async fn begin(&mut self, view: &View) -> Result<(), Problem> {
        let Goal::Rotate { to, .. } = self.goal else { return Ok(()) };
        if self.spec.deliveries.is_empty() {
            return Err(no_place(Some(&self.spec.id)));
        }
        if let Some(most) = self.profile.effect.most()
            && !view.room
        {
            return Err(self.full(view, most).await?);
        }
        if self.profile.effect == Effect::Replaces
            && let (_, siblings) = self.others(view).await?
            && let Some(sibling) = siblings.first()
        {
            return Err(self.taken(1, sibling));
        }
        let now = self.context.time().lo;
        if let Some(end) = self.expiry(now).filter(|end| *end <= now) {
            return Err(Problem::new("E-ROTATE", "A new credential would be at its end already")
                .detail(format!(
                    "{}: its integration ends, and with it everything that is issued for it, at {}. \
                     Nothing was changed.",
                    self.what,
                    moment(end)
                ))
                .next("move expires_on of the nhi_integration, or remove this credential")
                .at(&["integration"]));
        }
        let deed = Deed {
            object: self.what.clone(),
            tenant: self.tenant.clone(),
            action: "rotate",
            before: (to - 1).to_string(),
            after: to.to_string(),
            direction: Direction::None,
        };
        let leave = self.context.gate.authorize(&deed)?;
        let before = self.claim.as_ref();
        let anchor = view.mains.last();
        // A state may say anything: the mark tells whose it is.
        let marked = |(key_id, generation): &(&String, u64)| {
            let is_it = |key: &Key| {
                key.key_id == **key_id && key.ours.is_some_and(|(marked, _)| marked == *generation)
            };
            view.keys.iter().any(|key| key.live && is_it(key))
        };
        let written = before.map(|document| document.claim.generation);
        let written = written.max(anchor.and_then(|main| main.generation));
        let books = self
            .spec
            .known_beyond(written)
            .filter(marked)
            .map(|(key_id, _)| key_id.clone())
            .or_else(|| before.and_then(|document| document.claim.current.clone()))
            .or_else(|| anchor.and_then(|main| main.key_id.clone()));
        let known = self.spec.known.as_ref().map(|(key_id, ..)| key_id.clone());
        // What half a listing does not show is not gone: it would be ended as what nobody uses.
        let unseen =
            |key_id: &String| !view.complete && view.keys.iter().all(|key| key.key_id != *key_id);
        let lives = |key_id: &String| {
            unseen(key_id) || view.keys.iter().any(|key| key.live && key.key_id == *key_id)
        };
        let current = books.clone().or_else(|| known.clone()).filter(lives);
        let held_version = |key_id: &str| {
            anchor.filter(|main| main.key_id.as_deref() == Some(key_id)).map(|main| main.version)
        };
        let mut previous: Vec<Previous> = Vec::new();
        // Whoever ended it by hand showed nobody that it is ended. What the caller's books alone
        // name was shown already, if there is a claim that names nothing.
        let gone = books.or_else(|| known.filter(|_| before.is_none()));
        if let Some(key_id) = gone.filter(|key_id| !lives(key_id)) {
            previous.push(Previous {
                epoch: before.and_then(|document| document.claim.current_epoch),
                held_version: held_version(&key_id),
                ..Previous::new(key_id, to - 1)
            });
        }
        for key in view.keys.iter().filter(|key| key.live) {
            let is_current = Some(&key.key_id) == current.as_ref();
            let older = key.ours.is_some_and(|(generation, _)| generation < to);
            // Promoted to some places when the claim was lost: consumers may hold it.
            let is_read = view.mains.iter().any(|main| main.key_id.as_ref() == Some(&key.key_id));
            if is_current || older || is_read {
                let generation = key.ours.map_or(to - 1, |(generation, _)| generation);
                previous.push(Previous {
                    epoch: key.ours.map(|(_, epoch)| epoch),
                    held_version: held_version(&key.key_id),
                    own_end: if view.moves_expiry { OwnEnd::of(key.ends) } else { OwnEnd::Unknown },
                    ..Previous::new(&key.key_id, generation)
                });
            }
        }
        if let Some(key_id) = current.as_ref().filter(|key_id| unseen(key_id)) {
            previous.push(Previous {
                epoch: before.and_then(|document| document.claim.current_epoch),
                held_version: held_version(key_id),
                ..Previous::new(key_id, to - 1)
            });
        }
        // What is kept already keeps its time.
        let kept = before.map_or(&[][..], |document| &document.claim.previous);
        for one in kept.iter().filter(|one| self.stands(&one.key_id)) {
            previous.retain(|have| have.key_id != one.key_id);
            previous.push(one.clone());
        }
        let epoch = self.highest_epoch() + 1;
        let pending = self.choose(to, epoch)?;
        let claim = Claim {
            generation: to,
            epoch,
            phase: if pending.is_some() { Phase::Stored } else { Phase::Intent },
            owner: self.context.run.id.clone(),
            attempt: 0,
            known: view.keys.iter().map(|key| &key.key_id).chain(&current).cloned().collect(),
            current_epoch: current.as_deref().and_then(|key_id| self.epoch_of(key_id)),
            current,
            new: None,
            mains: versions(view),
            mains_at: times(view),
            previous,
            reason: self.reason.to_owned(),
            asked: self.spec.asked.clone(),
            auth: leave.auth().to_owned(),
            hold: None,
            refused: self.refused,
            refused_at: self.refused_at,
            // Until its successor is promoted: what fails before that can be tried again.
            parked_for_replace: before.is_some_and(|document| document.claim.parked_for_replace),
            timed: self.way.is_timed(),
            called_at: Some(self.context.time_in_custody().hi).filter(|_| self.way.is_timed()),
            undelivered: None,
            proofs: before.map(|document| document.claim.proofs.clone()).unwrap_or_default(),
            confirmed: before.map(|document| document.claim.confirmed.clone()).unwrap_or_default(),
        };
        let entry = self
            .entry("rotation.claimed", &claim)
            .detail("reason", self.reason)
            .detail("profile", self.profile.name);
        self.take_to_call(&claim, pending.as_ref(), entry).await
    }

    pub(super) async fn take_over(&mut self, view: &View) -> Result<(), Problem> {
        let document = self.claimed()?;
        let mut claim = document.claim.clone();
        let from = std::mem::replace(&mut claim.owner, self.context.run.id.clone());
        // What is under way is what this run is asked for.
        if matches!(self.goal, Goal::Rotate { to, .. } if to == claim.generation) {
            claim.asked = self.spec.asked.clone().or(claim.asked);
            claim.reason = higher(&claim.reason, self.reason).to_owned();
        }
        claim.epoch = self.highest_epoch() + 1;
        if claim.phase == Phase::Held {
            // Who decided has seen what stands in the sinks now.
            claim.phase = Phase::Stored;
            claim.hold = None;
            claim.undelivered = None;
            claim.mains = versions(view);
            claim.mains_at = times(view);
        }
        let pending = document.pending.as_ref().map(Secret::duplicate);
        let entry = self.entry("claim.taken_over", &claim).detail("from", from);
        self.take_claim(&claim, pending.as_ref(), entry).await.map(drop)
    }

    /// Nothing was issued: the claim goes back to what was there before.
    pub(super) async fn release(&mut self, claim: &Claim) {
        let Some(version) = self.claim.as_ref().map(|document| document.version) else { return };
        match self.write_claim(&claim.released(), None, Some(version)).await {
            Ok(_) => self.note_owed(self.entry("rotation.gave_up", claim), &claim.released()).await,
            Err(problem) => {
                tracing::warn!(%problem, "the credential was not given back in custody; that ends by itself");
            }
        }
    }

    pub(super) async fn begin_again(&mut self, view: &View) -> Result<(), Problem> {
        let document = self.claimed()?;
        let held = document.claim.phase == Phase::Held;
        let epoch = self.highest_epoch() + 1;
        let pending = self.choose(document.claim.generation, epoch)?;
        let mut previous = document.claim.previous.clone();
        // Somewhere consumers read it already, and it may work again.
        if let Some(key_id) = document.claim.new.as_ref().filter(|one| held && self.stands(one))
            && !self.way.is_alone()
            && !previous.iter().any(|one| one.key_id == *key_id)
        {
            let one = Previous::new(key_id, document.claim.generation);
            previous.push(Previous { epoch: self.epoch_of(key_id), ..one });
        }
        let claim = Claim {
            previous,
            epoch,
            phase: if pending.is_some() { Phase::Stored } else { Phase::Intent },
            owner: self.context.run.id.clone(),
            attempt: if held { 0 } else { document.claim.attempt + 1 },
            known: self.known_now(),
            new: None,
            mains: versions(view),
            mains_at: times(view),
            hold: None,
            reason: higher(&document.claim.reason, self.reason).to_owned(),
            // Who decided asks for what is declared now.
            asked: self
                .spec
                .asked
                .clone()
                .filter(|_| held)
                .or_else(|| document.claim.asked.clone()),
            timed: self.way.is_timed(),
            called_at: Some(self.context.time_in_custody().hi).filter(|_| self.way.is_timed()),
            undelivered: None,
            ..document.claim.clone()
        };
        let entry = self.entry("rotation.begun_again", &claim);
        self.take_to_call(&claim, pending.as_ref(), entry).await
    }

    /// The claim of a deed that is about earlier keys alone, taken under a new epoch.
    pub(super) fn about_earlier(
        &self,
        view: &View,
        phase: Phase,
        previous: Vec<Previous>,
    ) -> Claim {
        let before = self.claim.as_ref().map(|document| &document.claim);
        let revoking = self.goal == Goal::Revoke;
        let (generation, current) = match (before, view.mains.last()) {
            (Some(claim), _) => (claim.generation, claim.current.clone()),
            (None, Some(main)) if !revoking => (main.generation.unwrap_or(0), main.key_id.clone()),
            _ => (previous.iter().map(|one| one.generation).max().unwrap_or(0), None),
        };
        let current = current.filter(|_| !revoking);
        // A promote may be on its way only where somebody was at work.
        let at_work = before.is_some_and(|claim| claim.phase.is_open());
        Claim {
            generation,
            epoch: self.highest_epoch() + 1,
            phase,
            owner: self.context.run.id.clone(),
            attempt: 0,
            known: Default::default(),
            current_epoch: current.as_deref().and_then(|key_id| self.epoch_of(key_id)),
            current,
            new: None,
            mains: if at_work { versions(view) } else { BTreeMap::new() },
            mains_at: if at_work { times(view) } else { BTreeMap::new() },
            previous,
            reason: self.reason.to_owned(),
            asked: before.filter(|_| !revoking).and_then(|claim| claim.asked.clone()),
            auth: String::new(),
            hold: None,
            refused: self.refused,
            refused_at: self.refused_at,
            parked_for_replace: !revoking && before.is_some_and(|claim| claim.parked_for_replace),
            // What is named is ended, or switched, by its id, and a second time does no harm.
            timed: false,
            called_at: None,
            undelivered: None,
            proofs: before.map(|claim| claim.proofs.clone()).unwrap_or_default(),
            confirmed: before.map(|claim| claim.confirmed.clone()).unwrap_or_default(),
        }
    }

    /// The keys to end are named in the claim before one of them is touched.
    pub(super) async fn begin_ending(
        &mut self,
        view: &View,
        keys: Vec<Previous>,
    ) -> Result<(), Problem> {
        let revoking = self.goal == Goal::Revoke;
        // What a rotation leaves behind it was allowed with that rotation.
        let auth = if revoking {
            let named: Vec<&str> = keys.iter().map(|one| one.key_id.as_str()).collect();
            let deed = Deed::ending(&self.what, &self.tenant, "revoke", named.join("\n"));
            self.context.gate.authorize(&deed)?.auth().to_owned()
        } else {
            "policy:narrowing".to_owned()
        };
        let claim = Claim { auth, ..self.about_earlier(view, Phase::Retiring, keys) };
        let named: Vec<&str> = claim.previous.iter().map(|one| one.key_id.as_str()).collect();
        let serves = claim.current.is_some();
        let at_best = claim.previous.iter().map(|one| self.grade_at_best(one, serves).as_str());
        let at_best: Vec<&str> = at_best.collect();
        let entry = self
            .entry("rotation.retiring", &claim)
            .detail("reason", self.reason)
            .detail("keys", json!(named))
            .detail("grade_at_best", json!(at_best));
        self.take_claim(&claim, None, entry).await.map(drop)
    }
}

impl Machine<'_> {
    /// What lives and is not this slot's: of nobody here, and the slots of the same integration that hold
    /// the rest.
    async fn others(&self, view: &View) -> Result<(Vec<String>, BTreeSet<String>), Problem> {
        let claim = self.claim.as_ref().map(|document| &document.claim);
        let named = |key_id: &String| {
            claim.is_some_and(|claim| {
                claim.current.as_ref() == Some(key_id)
                    || claim.previous.iter().any(|one| one.key_id == *key_id)
            })
        };
        let strange = |key: &&Key| key.live && key.ours.is_none() && !named(&key.key_id);
        let all: Vec<&Key> = view.keys.iter().filter(strange).collect();
        let (mut strangers, mut siblings) = (Vec::new(), BTreeSet::new());
        if all.is_empty() {
            return Ok((strangers, siblings));
        }
        let (tenant, vendor_id) = (&self.tenant, &self.spec.vendor_id);
        let books =
            ClaimStore::mirrors_of(self.context, tenant, vendor_id, Freshness::Fresh).await?;
        for key in all {
            let other = |book: &&ClaimMirror| book.slot != self.what;
            let holds = |book: &&ClaimMirror| book.keys().any(|known| known == key.key_id);
            match books.iter().filter(other).find(holds) {
                Some(book) => drop(siblings.insert(book.slot.clone())),
                None => strangers.push(key.key_id.clone()),
            }
        }
        Ok((strangers, siblings))
    }

    /// What the other slots' claims say, once the keys are listed: what those name is theirs, and one that
    /// is called for may have any.
    pub(super) async fn siblings(&mut self) -> Result<Siblings, Problem> {
        let (rules, now) = (&self.context.rules, self.context.time_in_custody());
        let mut siblings = Siblings::default();
        for one in self.store.siblings().await? {
            siblings.keys.extend(one.keys().map(str::to_owned));
            // What cannot be read, or nobody knows the phase of, may be anything.
            let phase = Phase::from_word(&one.phase).filter(|_| !one.lags);
            if !phase.is_none_or(Siblings::may_hold_more) {
                continue;
            }
            if one.is_at_work(rules, now) {
                siblings.at_work = true;
                self.sibling = Some(one.slot);
            } else {
                siblings.left = true;
            }
        }
        Ok(siblings)
    }

    /// The place is another slot's.
    fn taken(&self, most: u8, sibling: &str) -> Problem {
        Problem::new("E-ROTATE", "This platform makes no further credential")
            .at(&["integration"])
            .detail(format!(
                "{}: {most} may live at a time, and that is there. It is that of {sibling}, and the \
                 integration holds no other beside it. Nothing was changed.",
                self.what
            ))
            .next(
                "keep one of the two nhi_credential: remove the other, and let its consumers read what \
                 the one that is kept delivers; or give the other an nhi_integration of its own",
            )
    }

    /// No further one may live, and none of those that do may be ended for it.
    async fn full(&self, view: &View, most: u8) -> Result<Problem, Problem> {
        let (strangers, siblings) = self.others(view).await?;
        if let Some(sibling) = siblings.first() {
            return Ok(self.taken(most, sibling));
        }
        let problem = Problem::new("E-ROTATE", "This platform makes no further credential")
            .at(&["integration"]);
        let most = format!("{}: {most} may live at a time, and that is there.", self.what);
        Ok(if strangers.is_empty() {
            problem
                .detail(format!("{most} Nothing was changed."))
                .next("choose another type of credential, or replace the integration")
        } else {
            problem
                .detail(format!(
                    "{most} This configuration did not issue {}, and ends nothing that is \
                     somebody's. Nothing was changed.",
                    strangers.join(", ")
                ))
                .next(
                    "find out who uses it; then end it, by hand or with revoke_unmanaged = true on \
                     the nhi_integration",
                )
        })
    }
}

/// When each of those was written.
fn times(view: &View) -> BTreeMap<String, Timestamp> {
    let all = view.mains.iter();
    all.filter_map(|main| Some((main.place.clone(), main.written_at?))).collect()
}

pub(super) fn versions(view: &View) -> BTreeMap<String, u64> {
    view.mains.iter().map(|main| (main.place.clone(), main.version)).collect()
}
