//! How far an ending can be shown.

use std::collections::BTreeSet;

use connector::{Children, Profile};
use domain::{Secret, Span};
use jiff::Timestamp;
use ledger::Change as Row;
use policy::{
    proof::{Again, Ended, Grade, Proofs, RETRY, Shown, grade},
    rotation::{Claim, Previous},
    schedule::later,
};
use secrets::Document;

use super::Machine;
use crate::{
    How, Problem, Revoked,
    document::{Meta, secret_in},
    journal::moment,
    promise::best_grade,
    proof::{Listed, SoFar, from_words, listed, rounds},
};

/// What trying an ended key came to.
#[derive(Debug, Clone, Copy, Default)]
struct Tried {
    /// When it was first seen to be refused, and when last.
    refused_at: Option<(Timestamp, Timestamp)>,
    /// It is let in after the longest that the platform is known to take.
    outlives: bool,
    /// Nothing was shown, and another time something may be.
    open: bool,
    /// The sink's version that its secret was read from, where it was sent.
    holder: Option<u64>,
}

impl Machine<'_> {
    /// S12: shows it, within what the platform stands.
    pub(super) async fn prove(&mut self) -> Result<(), Problem> {
        let claim = self.claimed()?.claim.clone();
        let mut outlive = Vec::new();
        self.proofs = claim.proofs.clone();
        for one in &claim.previous {
            let tried = self.try_ended(&claim, one).await?;
            if tried.outlives {
                // What lets somebody in is not proven to be gone by a listing that says so.
                outlive.push(one.key_id.as_str());
                continue;
            }
            // What shows it must be asked for when no end of it can be missing in a listing any more.
            self.let_lag(self.ended.get(&one.key_id).copied().max(self.took)).await;
            let gone = !self.profile.keeps_what_ended()
                && listed(&*self.connector, &self.object, &one.key_id).await == Listed::Gone;
            let accepted = self.accepted.contains(&one.key_id);
            let grade = grade(Shown { refused: tried.refused_at.is_some(), gone, accepted });
            let children = self.children.get(&one.key_id).copied().unwrap_or(Children::Unknown);
            let at_best = self.grade_at_best(one, claim.current.is_some());
            let open = tried.open && claim.current.is_some() && grade < at_best;
            let revoked = self.revoked_so(&one.key_id, grade, at_best, children, tried, false);
            self.note_proven(&claim, &revoked).await;
            let now = self.context.now();
            let ended = Ended {
                key_id: one.key_id.clone(),
                generation: one.generation,
                at: self.ended.get(&one.key_id).copied().unwrap_or(now),
                grade,
                // Nobody looks again at what all has ended.
                residual_until: revoked.residual_until().filter(|_| claim.current.is_some()),
                held_version: one.held_version,
                due: None,
            };
            self.proofs.note(ended.with_due(open, now, self.context.rules.proof_deadline));
            self.revoked.push(revoked);
        }
        if !outlive.is_empty() {
            // Whoever tries it next knows by this that one refusal shows nothing.
            let now = self.context.now();
            let noted = |claim: &mut Claim| _ = claim.proofs.outlived.get_or_insert(now);
            if let Err(problem) = self.change_claim(noted, false).await {
                tracing::warn!(%problem, "that it was let in after its end was not written down");
            }
            return Err(self.still_accepted(&outlive));
        }
        self.proven = Some(claim.epoch);
        Ok(())
    }

    /// Tries an ended key beside the current one, where the secrets of both are at hand.
    async fn try_ended(&mut self, claim: &Claim, one: &Previous) -> Result<Tried, Problem> {
        let profile = Profile { probe: self.learn_budget().await, ..*self.profile };
        let old = self.old_secret(one).await?;
        // What works could be locked out by the first sign-in that does not.
        let new = match self.exhausted() {
            true => None,
            false => self.current_secret(claim).await?,
        };
        let (Some(new), Some(old)) = (&new, &old) else {
            return Ok(Tried { open: old.is_some(), ..Tried::default() });
        };
        let kind = self.spec.credential_type.name;
        let was_let_in = claim.proofs.outlived.is_some() || self.outlived == Some(true);
        let so_far = SoFar {
            spent: self.refusals,
            outlived: was_let_in.then_some(self.context.rules.settle),
        };
        let shown = rounds(&*self.connector, &self.object, kind, &profile, so_far, new, old).await;
        self.outlived = match (shown.outlives, self.outlived) {
            (true, _) => Some(true),
            (false, None) if was_let_in && shown.refused => Some(false),
            (false, before) => before,
        };
        let now = self.context.now();
        let first = |ago| now.checked_sub(ago).unwrap_or(now);
        self.refusals += 2 * shown.sent;
        if shown.sent > 0 {
            // A round begins with one that works and, where it shows something, ends with one.
            self.refused = if shown.refused { 0 } else { 2 };
            self.refused_at = Some(self.context.time().hi);
        }
        self.accepts_anything = shown.accepts_anything.or(self.accepts_anything);
        let entry = self
            .entry("probe.round", claim)
            .detail("key", one.key_id.clone())
            .detail("rounds", shown.sent)
            .detail("says", shown.says);
        let entry = if shown.void { entry.detail("void", true) } else { entry };
        self.context.note(entry).await;
        if shown.accepts_anything == Some(true) {
            let key = one.key_id.clone();
            let entry = self.entry("probe.accepts_anything", claim).detail("key", key);
            self.context.note(entry).await;
        }
        if shown.locked {
            return Err(self.locked_out().await);
        }
        Ok(Tried {
            refused_at: shown.first_refused.filter(|_| shown.refused).map(|ago| (first(ago), now)),
            outlives: shown.outlives,
            open: shown.void || shown.spent,
            holder: one.held_version.filter(|_| shown.sent > 0),
        })
    }

    /// What is told of an ended key.
    fn revoked_so(
        &self,
        key_id: &str,
        grade: Grade,
        at_best: Grade,
        children: Children,
        tried: Tried,
        again: bool,
    ) -> Revoked {
        let stopped = tried.refused_at.zip(self.ended.get(key_id)).map(|((first, _), asked)| {
            let took = first.duration_since(*asked);
            Span::from_secs(u64::try_from(took.as_millis().max(0).div_euclid(1000)).unwrap_or(0))
        });
        let address = self.context.connections.address(&self.spec.id.integration.connection);
        Revoked {
            key_id: key_id.to_owned(),
            grade,
            at_best,
            refused_at: tried.refused_at,
            children,
            again,
            how: How {
                mints: self.connector.mints(),
                surfaces: (u32::from(tried.refused_at.is_some()), 1),
                from: from_words(address.as_deref()),
                holder: match tried.holder {
                    Some(version) => format!("sink version {version}"),
                    None => "none".to_owned(),
                },
                time_to_stop: stopped,
                safety: if self.way.is_timed() { "timed" } else { "fenced" },
            },
        }
    }

    /// What was shown, and what it says nothing of, in the ledger.
    async fn note_proven(&self, claim: &Claim, one: &Revoked) {
        let mut entry = self
            .entry("rotation.proven", claim)
            .detail("key", one.key_id.clone())
            .detail("grade", one.grade_words())
            .detail("grade_at_best", one.at_best.as_str());
        for (name, words) in one.modifiers() {
            entry = entry.detail(name, words);
        }
        if let Some((first, last)) = one.refused_at {
            entry = entry
                .detail("first_refused_at", moment(first))
                .detail("last_refused_at", moment(last));
        }
        let entry = entry.change(Row::Credential(ledger::Credential {
            integration: self.spec.id.integration.to_string(),
            slot: Some(self.spec.id.name.clone()),
            vendor_id: one.key_id.clone(),
            kind: self.spec.credential_type.name.to_owned(),
            state: "ended".to_owned(),
            ..ledger::Credential::default()
        }));
        self.context.note(entry).await;
    }

    /// Looks once more at what was ended and is not shown as far as it can be. That it is looked at is
    /// written first: whoever comes at the same time finds nothing due.
    pub(super) async fn reprove(&mut self) -> Result<(), Problem> {
        let now = self.context.now();
        let deadline = self.context.rules.proof_deadline;
        let before = self.claimed()?.claim.clone();
        let due: Vec<Ended> =
            before.proofs.ended.iter().filter(|one| one.is_due(now)).cloned().collect();
        let taken = |claim: &mut Claim| {
            for one in claim.proofs.ended.iter_mut().filter(|one| one.is_due(now)) {
                one.due = Some(later(now, RETRY));
            }
        };
        if !self.change_claim(taken, false).await? {
            return Ok(());
        }
        self.claim = self.written.take().or_else(|| self.claim.take());
        self.proofs = self.claimed()?.claim.proofs.clone();
        let mut outlive = Vec::new();
        for one in due {
            let kept = one.as_earlier();
            let at_best = self.grade_at_best(&kept, before.current.is_some());
            let named = before.current.iter().chain(before.previous.iter().map(|one| &one.key_id));
            let named: BTreeSet<&String> = named.collect();
            let stands = self.stands(&one.key_id) && !named.contains(&one.key_id);
            if stands {
                let key = one.key_id.clone();
                let entry = self.entry("credential.returned", &before).detail("key", key);
                self.context.note(entry).await;
            }
            let (grade, tried) = match one.again(now, deadline) {
                _ if stands => (one.grade, Tried::default()),
                Again::Forget => (one.grade, Tried::default()),
                Again::List => (Grade::A, Tried::default()),
                Again::Try => {
                    let tried = self.try_ended(&before, &kept).await?;
                    if tried.outlives {
                        outlive.push(one.key_id.clone());
                    }
                    // What lets somebody in is not shown by a listing that says it is gone.
                    let grade = match (&tried.refused_at, tried.outlives) {
                        (Some(_), _) => Grade::A,
                        (None, true) => one.grade.min(Grade::C),
                        (None, false) => one.grade,
                    };
                    (grade, tried)
                }
            };
            let open = tried.open || tried.outlives;
            let residual_until = one.residual_until.filter(|at| *at > now);
            let next = Ended { grade, residual_until, ..one.clone() };
            let next = match stands {
                true => Ended { due: None, held_version: None, ..next },
                false => next.with_due(open, now, deadline),
            };
            let forgets = next.held_version.is_none() && one.held_version.is_some();
            let next = match forgets && !self.forget_version(&kept, &before).await? {
                // Whether it is forgotten, the next look tells.
                true => Ended { held_version: one.held_version, due: Some(now), ..next },
                false => next,
            };
            if !stands && (grade != one.grade || one.residual_until != residual_until) {
                let children = match residual_until {
                    Some(at) => Children::Residual(Some(at)),
                    None if one.residual_until.is_some() => Children::None,
                    None => Children::Unknown,
                };
                let at_best = at_best.max(grade);
                let revoked = self.revoked_so(&one.key_id, grade, at_best, children, tried, true);
                self.note_proven(&before, &revoked).await;
                self.revoked.push(revoked);
            }
            self.proofs.note(next);
        }
        let proofs = self.proofs_now(&before);
        self.change_claim(|claim| claim.proofs = proofs, false).await?;
        let outlive: Vec<&str> = outlive.iter().map(String::as_str).collect();
        if outlive.is_empty() { Ok(()) } else { Err(self.still_accepted(&outlive)) }
    }

    /// What is remembered of proofs, with what this run has seen.
    pub(super) fn proofs_now(&self, before: &Claim) -> Proofs {
        let accepts_anything = match self.accepts_anything {
            Some(true) => before.proofs.accepts_anything.or(Some(self.context.now())),
            Some(false) => None,
            None => before.proofs.accepts_anything,
        };
        let outlived = match self.outlived {
            Some(true) => before.proofs.outlived.or(Some(self.context.now())),
            Some(false) => None,
            None => before.proofs.outlived,
        };
        Proofs { accepts_anything, outlived, ended: self.proofs.ended.clone() }
    }

    /// How far the end of a key can be shown, as far as the claim tells: tried is what an earlier version
    /// of the anchor's document still holds, beside one that works.
    pub(super) fn grade_at_best(&self, one: &Previous, serves: bool) -> Grade {
        let keeps = self.sinks.0.last().is_some_and(|(_, sink)| sink.capabilities().keeps_versions);
        let at_hand = serves && keeps && one.held_version.is_some();
        best_grade(&Profile { probe: self.budget, ..*self.profile }, at_hand)
    }

    /// The platform keeps the current one out since it was asked about the old one: somebody else's
    /// refused sign-ins counted with ours. Nobody of ours signs in before it has forgotten them, in this
    /// slot or in another: that stands in the claim.
    async fn locked_out(&mut self) -> Problem {
        self.refused = self.refused.max(u32::from(self.budget.in_window));
        // A claim at rest holds nothing.
        let held = |claim: &mut Claim| {
            claim.hold = claim.phase.is_open().then(|| "probe-locked".to_owned());
        };
        let noted = self.change_claim(held, false).await;
        if let Err(problem) = noted {
            tracing::warn!(%problem, "the refused sign-ins were not written down");
        }
        let until = self.forgotten_at().map_or_else(|| "later".to_owned(), moment);
        Problem::new("E-LOCKED-OUT", "The current credential is refused since the old one was tried")
            .detail(format!(
                "{}: it worked right before, and refused sign-ins have locked it out: ours were within \
                 what the platform stands, so others were refused too. It is delivered and was not \
                 ended. Nothing of ours signs in before {until}.",
                self.what
            ))
            .next(format!(
                "nhi doctor {}: it tells whom the platform keeps out and the command that lets them in, \
                 where the platform tells; else that ends by itself. Then apply, which goes on without \
                 a sign-in until {until}",
                self.spec.id.integration.connection
            ))
            .at(&["key_id"])
    }

    fn still_accepted(&self, keys: &[&str]) -> Problem {
        let waited = match self.profile.revocation_lag {
            Span::ZERO => String::new(),
            lag => format!(" after {lag}, the longest that it is known to take"),
        };
        Problem::new("E-STILL-ACCEPTED", "An ended credential still lets its holder in")
            .detail(format!(
                "{}: {}: the platform took its end, and accepts it{waited}. The current credential works. \
                 The end is not proven, and is tried again until it is.",
                self.what,
                keys.join(", "),
            ))
            .next(
                "see at the platform whether it is listed there, and end it there if it is; then apply, \
                 which tries once more",
            )
            .at(&["key_id"])
    }

    /// What the anchor holds, where it says that it is the current one's.
    pub(super) async fn current_secret(&self, claim: &Claim) -> Result<Option<Secret>, Problem> {
        self.secret_in_last(1, claim).await
    }

    /// The same, and where the anchor does not hold it what another sink does: nobody can make it anew.
    pub(super) async fn secret_anywhere(&self, claim: &Claim) -> Result<Option<Secret>, Problem> {
        self.secret_in_last(self.sinks.0.len(), claim).await
    }

    async fn secret_in_last(&self, sinks: usize, claim: &Claim) -> Result<Option<Secret>, Problem> {
        if claim.current.is_none() {
            return Ok(None);
        }
        let (realm, _) = self.context.realm_key()?;
        let says_so = |document: &Document| {
            Meta::of(document).is_some_and(|meta| {
                meta.is_in_force()
                    && meta.ours(realm, &self.what, &self.spec.vendor_id)
                    && Some(&meta.key_id) == claim.current.as_ref()
            })
        };
        for (delivery, sink) in self.sinks.0.iter().rev().take(sinks) {
            let stored = delivery.read(&**sink).await?.and_then(|stored| stored.document);
            let kind = self.spec.credential_type;
            let held = stored.filter(says_so);
            if let Some(secret) = held.and_then(|one| secret_in(kind, &delivery.fields, &one)) {
                return Ok(Some(secret));
            }
        }
        Ok(None)
    }

    pub(super) async fn old_secret(&self, one: &Previous) -> Result<Option<Secret>, Problem> {
        let Some((delivery, sink)) = self.sinks.0.last() else { return Ok(None) };
        let Some(version) = self.version_of(one).await? else { return Ok(None) };
        let document = sink
            .read_version(&delivery.path, version)
            .await
            .map_err(|error| delivery.problem(error))?;
        Ok(document
            .and_then(|document| secret_in(self.spec.credential_type, &delivery.fields, &document)))
    }
}
