//! What consumers read: promoted at the version that the claim found, fenced, and put to rest.

use std::collections::BTreeMap;

use connector::Effect;
use domain::{Now, Secret, Span};
use jiff::SignedDuration;
use ledger::{Change as Row, NewEntry};
use policy::{
    rotation::{Claim, Goal, Phase, Previous, Undelivered},
    schedule::later,
};
use secrets::{Document, Expect, SinkError};
use serde_json::json;

use super::Machine;
use crate::{
    Problem,
    beside::{shows, write_mirror},
    document::{META, Meta, compose},
    drift::schedule_json,
    journal::moment,
    prints::{KEY, PRINT},
};

impl Machine<'_> {
    /// S6: the document that consumers read, at the very version that the claim found.
    pub(super) async fn promote(&mut self, place: &str) -> Result<(), Problem> {
        let document = self.claimed()?;
        let claim = document.claim.clone();
        let (Some(pending), Some(key_id)) = (&document.pending, &claim.new) else { return Ok(()) };
        let Some((delivery, sink)) = self.sinks.0.iter().find(|(one, _)| one.place() == place)
        else {
            return Ok(());
        };
        let (realm, key) = self.context.realm_key()?;
        let now = self.context.now();
        let meta = Meta {
            realm: realm.to_owned(),
            slot: self.what.clone(),
            vendor_id: self.spec.vendor_id.clone(),
            generation: claim.generation,
            epoch: claim.epoch,
            key_id: key_id.clone(),
            fingerprint: key.fingerprint(pending).to_string(),
            promoted_at: Some(now),
            previous: self.kept(&claim.previous),
            revoked: false,
            withdrawn: false,
            custody: self.custody.clone(),
        };
        let expected = claim.mains.get(place).copied().unwrap_or(0);
        let keep = match (delivery.merge, expected) {
            (true, 1..) => delivery.read(&**sink).await?.and_then(|stored| stored.document),
            _ => None,
        };
        let composed = compose(
            self.spec.credential_type,
            &delivery.fields,
            &self.spec.vendor_id,
            pending,
            &meta,
            keep,
        );
        let expect = if expected == 0 { Expect::Nothing } else { Expect::Version(expected) };
        match sink.write(&delivery.path, &composed, expect).await {
            Ok(version) => {
                let mirror = meta.mirror(version.number);
                write_mirror(&**sink, &delivery.path, &mirror, version.number)
                    .await
                    .map_err(|error| delivery.problem(error))?;
                let entry = self
                    .entry("rotation.promoted", &claim)
                    .detail("sink", place)
                    .detail("version", version.number)
                    .detail(KEY, key_id.clone())
                    .detail(PRINT, meta.fingerprint.clone());
                self.context.journal(entry).await
            }
            // Who was faster is seen at the next look, and so is what stands there now.
            Err(SinkError::Conflict { .. }) => Ok(()),
            Err(error) => {
                let maybe_written = error.maybe_written();
                let problem = delivery.problem(error);
                let told = problem.clone();
                if !maybe_written || self.lost(place, || problem).is_err() {
                    self.refusing.insert(place.to_owned(), told);
                }
                Ok(())
            }
        }
    }

    /// Since when a place takes nothing: whoever tries last knows how long that was tried.
    pub(super) async fn note_undelivered(&mut self, place: &str) -> Result<(), Problem> {
        let since = self.context.time().hi;
        let noted = Undelivered { place: place.to_owned(), since };
        let note = |claim: &mut Claim| claim.undelivered = Some(noted);
        match self.change_claim(note, true).await {
            Ok(_) => Ok(()),
            // What custody does not take either is told by what the sink said first.
            Err(problem) => Err(self.refusing.remove(place).unwrap_or(problem)),
        }
    }

    pub(super) fn at_once(&self) -> bool {
        matches!(self.goal(), Goal::Rotate { at_once: true, .. })
    }

    /// Earlier keys with the end of their overlap; without one where nobody is to be waited for.
    pub(super) fn kept(&self, previous: &[Previous]) -> Vec<Previous> {
        if self.at_once() {
            let ends = |one: &Previous| Previous { retire_not_before: None, ..one.clone() };
            return previous.iter().map(ends).collect();
        }
        // From the latest that it may be now: whoever ends them goes by the earliest.
        let Now { lo: now, hi } = self.context.time();
        let mut until = if self.way.replaces() { now } else { later(hi, self.spec.overlap()) };
        // Since then the platform counts, and not since anybody reads the new one.
        if let Effect::Supersedes { keeps } = self.profile.effect
            && let Some(called) = self.claim.as_ref().and_then(|one| one.claim.called_at)
        {
            until = until.min(later(called, keeps));
        }
        // What was kept before keeps its time; nobody waits for what is gone.
        let lives = |one: &Previous| self.stands(&one.key_id);
        let until_of = |one: &Previous| match one.retire_not_before {
            Some(at) => at.min(until),
            None if self.complete && !lives(one) => now,
            None => until,
        };
        let kept = previous
            .iter()
            .map(|one| Previous { retire_not_before: Some(until_of(one)), ..one.clone() });
        if !self.connector.moves_expiry(self.spec.credential_type.name) {
            return kept.collect();
        }
        // Whoever tells the platform needs no further write before it.
        let after = crate::slot::limit(self.context, &*self.connector, self.spec);
        kept.map(|one| one.expecting(after)).collect()
    }

    /// S7: the pending secret leaves custody; earlier keys are kept for their time.
    pub(super) async fn park(&mut self) -> Result<(), Problem> {
        let document = self.claimed()?;
        let version = document.version;
        let mut claim = document.claim.clone();
        self.repair_mirrors().await?;
        if let Some(key_id) = claim.new.as_deref().filter(|key_id| self.epoch_of(key_id).is_none())
        {
            self.mark_afterwards(&claim, key_id).await;
        }
        claim.previous = self.kept(&claim.previous);
        claim.current = claim.new.take();
        claim.current_epoch = claim.current.as_deref().and_then(|key_id| self.epoch_of(key_id));
        claim.phase = if claim.previous.is_empty() { Phase::Free } else { Phase::Parked };
        // The earlier one died in the call.
        let cut_off = match self.first_call.filter(|_| self.way.replaces()) {
            Some(called) if !claim.previous.is_empty() => {
                Some(self.context.time_in_custody().hi.duration_since(called))
            }
            _ => None,
        };
        claim.known.clear();
        claim.called_at = None;
        claim.undelivered = None;
        claim.parked_for_replace = false;
        if self.write_claim(&claim, None, Some(version)).await?.is_some() {
            let kind =
                if claim.phase == Phase::Free { "rotation.closed" } else { "rotation.overlapping" };
            let mut entry = self.entry(kind, &claim);
            if let Some(until) = claim.previous.iter().filter_map(|one| one.retire_not_before).max()
            {
                entry = entry.detail("retire_not_before", moment(until));
            }
            if let Some(cut_off) = cut_off {
                entry =
                    entry.detail("interrupted_for", self.tell_interruption(cut_off).to_string());
            }
            let entry = self.rows(entry, &claim, "current");
            self.note_owed(entry, &claim).await;
        }
        Ok(())
    }

    /// How long nobody could sign in with what they held, at most; longer than policy wants it is told.
    fn tell_interruption(&self, cut_off: SignedDuration) -> Span {
        let (cut_off, most) = (
            Span::from_secs(cut_off.unsigned_abs().as_secs()),
            self.context.rules.interruption_max,
        );
        if cut_off > most {
            self.context.notices.add(
                Problem::new("E-INTERRUPTED", "Consumers were cut off for longer than policy wants")
                    .detail(format!(
                        "{}: for up to {cut_off}, and interruption_max is {most}. What is delivered now works.",
                        self.what
                    ))
                    .next("nhi ledger show tells the steps with their times; see what took so long")
                    .at(&["deliver_to"]),
            );
        }
        cut_off
    }

    /// A mirror that a crash left behind is repaired before plan reads it.
    pub(super) async fn repair_mirrors(&self) -> Result<(), Problem> {
        let (realm, _) = self.context.realm_key()?;
        for (delivery, sink) in &self.sinks.0 {
            if let Some(stored) = delivery.read(&**sink).await?
                && let Some(meta) = stored.document.as_ref().and_then(Meta::of)
                && meta.of_slot(realm, &self.what)
            {
                let mirror = meta.mirror(stored.version.number);
                let look =
                    sink.look(&delivery.path).await.map_err(|error| delivery.problem(error))?;
                if look.is_none_or(|look| !shows(&look, &mirror)) {
                    write_mirror(&**sink, &delivery.path, &mirror, stored.version.number)
                        .await
                        .map_err(|error| delivery.problem(error))?;
                }
            }
        }
        Ok(())
    }

    /// The slot's rows in the inventory.
    pub(super) fn rows(&self, entry: NewEntry, claim: &Claim, status: &str) -> NewEntry {
        let integration = self.spec.id.integration.to_string();
        let now = self.context.now();
        let sinks: BTreeMap<&str, String> =
            self.spec.deliveries.iter().map(|one| (one.name.as_str(), one.place())).collect();
        let mut entry = entry.change(Row::Slot(ledger::Slot {
            integration: integration.clone(),
            name: self.spec.id.name.clone(),
            generation: claim.generation,
            epoch: claim.epoch,
            current: claim.current.clone(),
            promoted_at: Some(now.as_millisecond()),
            schedule: self.spec.schedule.as_ref().map(schedule_json),
            sinks: Some(json!(sinks)),
            status: status.to_owned(),
            next_due_at: self
                .spec
                .schedule
                .as_ref()
                .map(|one| one.first_due(&self.what, now).as_millisecond()),
        }));
        let row = |key_id: &str, state: &str| {
            Row::Credential(ledger::Credential {
                integration: integration.clone(),
                slot: Some(self.spec.id.name.clone()),
                vendor_id: key_id.to_owned(),
                kind: self.spec.credential_type.name.to_owned(),
                state: state.to_owned(),
                ..ledger::Credential::default()
            })
        };
        if let Some(current) = &claim.current {
            entry = entry.change(row(current, "current"));
        }
        for one in &claim.previous {
            entry = entry.change(row(&one.key_id, "previous"));
        }
        entry
    }

    /// R4: the same content once more, so that a promote that is still on its way finds another
    /// version; where nothing is current any more, it says so. Where there is nothing yet, a document
    /// without a secret takes the place.
    pub(super) async fn fence(&mut self, place: &str) -> Result<(), Problem> {
        let claim = self.claimed()?.claim.clone();
        // A document of an earlier day may come back while it is being shown already.
        let revoking = matches!(claim.phase, Phase::Retiring | Phase::Proving);
        let Some((delivery, sink)) = self.sinks.0.iter().find(|(one, _)| one.place() == place)
        else {
            return Ok(());
        };
        let (realm, _) = self.context.realm_key()?;
        let stored = delivery.read(&**sink).await?;
        // Whoever lost the claim meanwhile would move what the next one expects to find.
        let seen =
            self.mains.iter().find(|main| main.place == place).map_or(0, |main| main.version);
        if stored.as_ref().map_or(0, |one| one.version.number) != seen {
            return Ok(());
        }
        let expect =
            stored.as_ref().map_or(Expect::Nothing, |one| Expect::Version(one.version.number));
        let document = stored.and_then(|stored| stored.document);
        let (again, meta) = match document {
            Some(document) => {
                match Meta::of(&document).filter(|meta| meta.of_slot(realm, &self.what)) {
                    Some(meta) => {
                        let meta = Meta { revoked: meta.revoked || revoking, ..meta };
                        (document.with(META, Secret::new(meta.to_json())), Some(meta))
                    }
                    None => (document, None),
                }
            }
            None => {
                let meta = Meta {
                    realm: realm.to_owned(),
                    slot: self.what.clone(),
                    vendor_id: self.spec.vendor_id.clone(),
                    generation: claim.generation,
                    epoch: claim.epoch,
                    key_id: String::new(),
                    fingerprint: String::new(),
                    promoted_at: None,
                    previous: Vec::new(),
                    revoked: true,
                    withdrawn: false,
                    custody: self.custody.clone(),
                };
                (Document::default().with(META, Secret::new(meta.to_json())), Some(meta))
            }
        };
        match sink.write(&delivery.path, &again, expect).await {
            Ok(version) => {
                if let Some(meta) = meta {
                    let mirror = meta.mirror(version.number);
                    write_mirror(&**sink, &delivery.path, &mirror, version.number)
                        .await
                        .map_err(|error| delivery.problem(error))?;
                }
                Ok(())
            }
            Err(SinkError::Conflict { .. }) => Ok(()),
            Err(error) if error.maybe_written() => {
                let problem = delivery.problem(error);
                self.lost(place, || problem)
            }
            Err(error) => Err(delivery.problem(error)),
        }
    }
}
