//! How far an ending can be shown.

use connector::{Children, Profile};
use domain::{Secret, Span};
use ledger::Change as Row;
use policy::{
    proof::{Grade, Shown, grade},
    rotation::{Claim, Previous},
};

use super::Machine;
use crate::{
    Problem, Revoked,
    document::{Meta, secret_in},
    journal::moment,
    promise::best_grade,
    proof::{Listed, children_words, listed, rounds},
};

impl Machine<'_> {
    /// S12: shows it, within what the platform stands.
    pub(super) async fn prove(&mut self) -> Result<(), Problem> {
        let claim = self.claimed()?.claim.clone();
        let profile = Profile { probe: self.learn_budget().await, ..*self.profile };
        // What works could be locked out by the first sign-in that does not.
        let new = match self.exhausted() {
            true => None,
            false => self.current_secret(&claim).await?,
        };
        let mut outlive = Vec::new();
        for one in &claim.previous {
            let old = self.old_secret(one).await?;
            let (mut refused, mut refused_at) = (false, None);
            if let (Some(new), Some(old)) = (&new, &old) {
                let kind = self.spec.credential_type.name;
                let spent = self.refusals;
                let shown =
                    rounds(&*self.connector, &self.object, kind, &profile, spent, new, old).await;
                refused = shown.refused;
                let now = self.context.now();
                let first = |ago| now.checked_sub(ago).unwrap_or(now);
                refused_at = shown.first_refused.map(|ago| (first(ago), now));
                self.refusals += 2 * shown.sent;
                if shown.sent > 0 {
                    // A round begins with one that works and, where it shows something, ends with one.
                    self.refused = if shown.refused { 0 } else { 2 };
                    self.refused_at = Some(self.context.time().hi);
                }
                self.accepts_anything = shown.accepts_anything.or(self.accepts_anything);
                let entry = self
                    .entry("probe.round", &claim)
                    .detail("key", one.key_id.clone())
                    .detail("rounds", shown.sent)
                    .detail("says", shown.says);
                let entry = if shown.void { entry.detail("void", true) } else { entry };
                self.context.note(entry).await;
                if shown.accepts_anything == Some(true) {
                    let key = one.key_id.clone();
                    let entry = self.entry("probe.accepts_anything", &claim).detail("key", key);
                    self.context.note(entry).await;
                }
                if shown.locked {
                    return Err(self.locked_out().await);
                }
                if shown.outlives {
                    // What lets somebody in is not proven to be gone by a listing that says so.
                    outlive.push(one.key_id.as_str());
                    continue;
                }
            }
            // What shows it must be asked for when no end of it can be missing in a listing any more.
            self.let_lag(self.ended.get(&one.key_id).copied().max(self.took)).await;
            let gone = !self.profile.keeps_what_ended()
                && listed(&*self.connector, &self.object, &one.key_id).await == Listed::Gone;
            let accepted = self.accepted.contains(&one.key_id);
            let grade = grade(Shown { refused, gone, accepted });
            let children = self.children.get(&one.key_id).copied().unwrap_or(Children::Unknown);
            let at_best = self.grade_at_best(one, claim.current.is_some());
            let mut entry = self
                .entry("rotation.proven", &claim)
                .detail("key", one.key_id.clone())
                .detail("grade", grade.as_str())
                .detail("grade_at_best", at_best.as_str())
                .detail("children", children_words(&children));
            if let Some((first, last)) = refused_at {
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
            let key_id = one.key_id.clone();
            self.revoked.push(Revoked { key_id, grade, at_best, refused_at, children });
        }
        if !outlive.is_empty() {
            return Err(self.still_accepted(&outlive));
        }
        self.proven = Some(claim.epoch);
        Ok(())
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
        let held = |claim: &mut Claim| claim.hold = Some("probe-locked".to_owned());
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
                 The end is not proven, and the rotation stays open until it is.",
                self.what,
                keys.join(", "),
            ))
            .next(
                "see at the platform whether it is listed there, and end it there if it is; then apply, \
                 which tries once more",
            )
            .at(&["key_id"])
    }

    pub(super) async fn current_secret(&self, claim: &Claim) -> Result<Option<Secret>, Problem> {
        if claim.current.is_none() {
            return Ok(None);
        }
        let Some((delivery, sink)) = self.sinks.0.last() else { return Ok(None) };
        let stored = delivery.read(&**sink).await?.and_then(|stored| stored.document);
        let (realm, _) = self.context.realm_key()?;
        Ok(stored
            .filter(|document| {
                Meta::of(document).is_some_and(|meta| {
                    meta.is_in_force()
                        && meta.ours(realm, &self.what, &self.spec.vendor_id)
                        && Some(&meta.key_id) == claim.current.as_ref()
                })
            })
            .and_then(|document| secret_in(self.spec.credential_type, &delivery.fields, &document)))
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
