//! What is not done, and what a person is told.

use domain::Secret;
use jiff::Timestamp;
use policy::{
    overlap::{Evidence, Usage},
    rotation::{Claim, Phase, Previous, View, deliver_until, stopped},
};

use super::Machine;
use crate::{
    Problem,
    journal::moment,
    slot::{Delivery, Sinks},
};

/// Nobody is cut off who still holds an earlier one: another is issued when it was ended.
pub fn old_in_use(what: &str, until: Option<Timestamp>) -> Problem {
    let until = until.map_or_else(|| "its overlap is over".to_owned(), moment);
    Problem::new("E-OLD-IN-USE", "The earlier credential is still in its overlap")
        .detail(format!(
            "{what}: a third one would cut off whoever still holds the first, which is kept until \
             {until}. Nothing was changed."
        ))
        .next(format!(
            "apply again after {until}; or set incident: an exposed credential is rotated at once and \
             keeps none"
        ))
        .at(&["schedule"])
}

/// Somebody uses an earlier one after its overlap: it is kept a while longer.
fn still_in_use(what: &str, usage: &Usage) -> Problem {
    let used = usage.of.iter().filter_map(|(key_id, known)| match known {
        Evidence::Used(at) => Some(format!("{key_id}, last at {}", moment(*at))),
        Evidence::Quiet | Evidence::Replaced | Evidence::Unknown => None,
    });
    let used: Vec<String> = used.collect();
    let then = match usage.terms.asks {
        true => "a person is asked",
        false => "it ends",
    };
    Problem::new("E-OLD-IN-USE", "Somebody still uses the earlier credential")
        .detail(format!(
            "{what}: its overlap is over, and its platform shows that it is used: {}. Nothing was ended. \
             It is kept for {} from its successor on; then {then}.",
            used.join("; "),
            usage.terms.longest
        ))
        .next(format!(
            "find out who uses it, and let them read what is delivered; it ends when it was quiet for {}. \
             To end it now: nhi revoke, with its id; or set incident, which waits for nobody",
            usage.terms.quiet_for
        ))
        .at(&["previous"])
}

impl Machine<'_> {
    /// It is not done, and everything stays as it is.
    pub(super) fn refuse(&self, view: &View, why: &'static str) -> Problem {
        match why {
            "old-in-use" => {
                // Where the claim is lost, the anchor says it.
                let kept = match (&self.claim, view.mains.last()) {
                    (Some(document), _) => &document.claim.previous[..],
                    (None, Some(anchor)) => &anchor.previous[..],
                    (None, None) => &[],
                };
                old_in_use(&self.what, kept.iter().filter_map(Previous::kept_until).max())
            }
            "listing-incomplete" => Problem::new(
                "E-UNREADABLE",
                "Not all credentials could be listed",
            )
            .detail(format!(
                "{}: a part of the listing is missing, and what cannot be seen is not taken \
                         for absent. What was begun waits.",
                self.what
            ))
            .next(format!(
                "nhi doctor {}, and apply again when all of it can be read",
                self.spec.id.integration.connection
            ))
            .at(&["integration"]),
            "sign-ins-exhausted" => {
                let until = self.forgotten_at().map_or_else(|| "later".to_owned(), moment);
                Problem::new("E-VERIFY", "Too many sign-ins were refused")
                    .detail(format!(
                        "{}: {} new credentials were refused one after the other. A platform that \
                         counts them would lock out what works with the next one, so none is tried \
                         before {until}.",
                        self.what,
                        self.refused_in_all()
                    ))
                    .next(format!(
                        "find out why they are refused (nhi doctor), and apply again after {until}"
                    ))
                    .at(&["status"])
            }
            "clock" => {
                let problem = self.context.clocks_apart();
                let detail = format!("{}: {} Nothing was changed.", self.what, problem.detail);
                Problem { detail, ..problem }.at(&["previous"])
            }
            "still-in-use" => still_in_use(&self.what, &view.usage),
            "sink-refuses" => self.undelivered(view),
            other => held_problem(&self.what, other, occupied_place(view), &self.sinks),
        }
    }

    pub(super) async fn hold(&mut self, view: &View, why: &'static str) -> Problem {
        let mine =
            self.claim.as_ref().filter(|document| document.claim.owner == self.context.run.id);
        if let Some(document) = mine
            && document.claim.phase.is_open()
            && document.claim.phase != Phase::Held
        {
            let held =
                Claim { phase: Phase::Held, hold: Some(why.into()), ..document.claim.clone() };
            let (pending, version) =
                (document.pending.as_ref().map(Secret::duplicate), document.version);
            if let Err(problem) = self.write_claim(&held, pending.as_ref(), Some(version)).await {
                tracing::warn!(%problem, "the hold was not written");
            }
            let entry = self.entry("rotation.held", &held).detail("why", why);
            self.note_owed(entry, &held).await;
        }
        let why = match &self.claim {
            Some(document) if why == "held" => {
                document.claim.hold.clone().unwrap_or_else(|| why.to_owned())
            }
            _ => why.to_owned(),
        };
        if why == "sink-refuses" {
            return self.never_delivered();
        }
        held_problem(&self.what, &why, occupied_place(view), &self.sinks)
    }

    /// It was asked to stop, and nothing is half done: whoever comes next goes on at once.
    pub(super) async fn stop(&mut self, view: &View) -> Problem {
        let mine = view.claim.as_ref().filter(|claim| view.mine && claim.phase.is_open());
        let far = match mine.map(|claim| claim.phase) {
            None => "nothing was begun",
            Some(Phase::Intent) => "no new credential was asked for",
            Some(Phase::Calling) => "a new credential was asked for, and its answer is lost",
            Some(Phase::Stored) => "the new credential is in custody, and in no consumer's place",
            Some(Phase::GivingUp) => "the new credential does not serve, and is being ended",
            _ => "what is to end is written down",
        };
        let current = mine.and_then(|claim| claim.current.as_ref());
        let works = |key_id: &String| view.keys.iter().any(|key| key.live && key.key_id == *key_id);
        let keeps = current.is_none_or(works);
        let keep = mine.is_some_and(|claim| claim.new.is_some() || claim.phase == Phase::Stored);
        if let Some(owner) = mine.map(|claim| stopped(&claim.owner)) {
            let left = |claim: &mut Claim| claim.owner = owner;
            if let Err(problem) = self.change_claim(left, keep).await {
                tracing::warn!(%problem, "whoever comes next waits as for somebody at work");
            }
        }
        let earlier = match keeps {
            true => " What consumers hold works as before.",
            false => "",
        };
        Problem::new("E-STOPPED", "Stopped as it was asked to")
            .detail(format!("{}: {far}. Nothing is lost.{earlier}", self.what))
            .next("apply again: it goes on from there, at once")
            .at(&["status"])
    }

    fn undelivered_since(&self) -> (String, String) {
        let noted = self.claim.as_ref().and_then(|one| one.claim.undelivered.as_ref());
        noted.map_or_else(
            || ("a sink".to_owned(), "a while".to_owned()),
            |one| (one.place.clone(), moment(one.since)),
        )
    }

    /// A place takes nothing now: what its sink said, and what that means for the rotation.
    fn undelivered(&self, view: &View) -> Problem {
        let (place, since) = self.undelivered_since();
        let claim = self.claim.as_ref().map(|document| &document.claim);
        let earlier = match claim.and_then(|claim| claim.current.as_ref()) {
            Some(_) if self.way.replaces() => {
                "What consumers hold works no longer, and the new one is in custody."
            }
            Some(_) => {
                "The old one still works, and its overlap begins when every place has the new one."
            }
            None => "The new one is in custody.",
        };
        let until = claim.and_then(|claim| claim.undelivered.as_ref()).map(|one| {
            let current = claim.and_then(|claim| claim.current.as_ref());
            let key = view.keys.iter().find(|key| Some(&key.key_id) == current);
            let end = key.and_then(|key| key.ends);
            moment(deliver_until(one.since, view.deliver_by, end))
        });
        let asked = match until.filter(|_| !self.way.replaces()) {
            Some(until) => format!(" If that lasts until {until}, a person is asked."),
            None => String::new(),
        };
        let problem = self.refusing.get(&place).cloned();
        let problem = problem.unwrap_or_else(|| {
            Problem::new("E-SINK-REFUSES", "A sink takes nothing").at(&["deliver_to"])
        });
        let detail = format!(
            "{} {}: nothing was rolled back, and each run tries again; it takes nothing since {since}. \
             {earlier}{asked}",
            problem.detail, self.what
        );
        Problem { detail, ..problem }
    }

    /// It took nothing for as long as that was tried.
    fn never_delivered(&self) -> Problem {
        let (place, since) = self.undelivered_since();
        Problem::new("E-SINK-REFUSES", "A sink takes nothing")
            .detail(format!(
                "{}: {place} has not taken the new credential since {since}. The old one still works, \
                 nothing was rolled back, and the new one is in custody.",
                self.what
            ))
            .next(format!(
                "see what keeps it from writing there (nhi doctor); when that is mended: nhi recover {}; or \
                 give deliver_to another path and change a value in triggers",
                self.what
            ))
            .at(&["deliver_to"])
    }
}

/// Somebody is at work on another slot of the integration.
pub(super) fn busy_beside(what: &str, sibling: &str) -> Problem {
    Problem::new("E-BUSY", "Somebody else is at work on this integration")
        .detail(format!(
            "{what}: {sibling} is being issued too, and what came may be that one's. Nothing of it was \
             ended."
        ))
        .next(format!(
            "apply again when that run has ended; if it is dead: nhi recover {sibling} --take"
        ))
        .at(&["status"])
}

/// Somebody rotated the slot after the plan was made.
pub(crate) fn further(what: &str, planned: u64, at: u64) -> Problem {
    Problem::new("E-FURTHER", "It was rotated further meanwhile")
        .detail(format!(
            "{what}: generation {planned} was planned and {at} is current. Nothing was changed."
        ))
        .next("plan again")
        .at(&["generation"])
}

pub(super) fn occupied_place(view: &View) -> Option<&str> {
    view.mains.iter().find(|main| main.occupied.is_some()).map(|main| main.place.as_str())
}

pub(super) fn held_problem(what: &str, why: &str, place: Option<&str>, sinks: &Sinks) -> Problem {
    match why {
        "sink-occupied" | "another-slot" | "foreign-realm" => {
            let place = place.and_then(|place| sinks.0.iter().find(|(one, _)| one.place() == place));
            match place.or(sinks.0.first()) {
                Some((delivery, _)) => occupied(why, delivery),
                None => Problem::new("E-SINK-OCCUPIED", "Something else is there already")
                    .detail(format!("{what}: a document that no rotation of ours wrote."))
                    .next("name another path")
                    .at(&["deliver_to"]),
            }
        }
        "sink-changed-by-others" => Problem::new("E-SINK-CHANGED", "Somebody wrote over the document")
            .detail(format!(
                "{what}: the sink's document is at another version than when this rotation began. \
                 Both credentials still work; nothing was overwritten."
            ))
            .next(format!(
                "see who wrote it; then nhi recover {what} --keep ours, or change a value in triggers: \
                 the new credential is written over it; or --keep sink: what stands there becomes the \
                 current one, if it is one that works"
            ))
            .at(&["deliver_to"]),
        "verify-failed" => Problem::new("E-VERIFY", "New credentials are refused")
            .detail(format!(
                "{what}: none that was issued could sign in, and all of them were ended. What was \
                 there before was kept."
            ))
            .next(format!(
                "nhi doctor: is the integration disabled, or bound to other addresses? Then nhi \
                 recover {what}, or change a value in triggers, or apply again if it is new: others \
                 are issued"
            ))
            .at(&["status"]),
        "scopes-wider" => Problem::new("E-SCOPES-WIDER", "The new credential may do more than the old one")
            .detail(format!(
                "{what}: its platform lets it do more than the integration is granted, and more than the one \
                 that it follows. It is in no place of a consumer; what consumers hold works as before."
            ))
            .next(format!(
                "see at the platform what gives it more, and take that away; then nhi recover {what}, or \
                 change a value in triggers: it is looked at once more, and delivered"
            ))
            .at(&["status"]),
        "new-refused" => Problem::new("E-VERIFY", "The new credential is refused")
            .detail(format!(
                "{what}: it could not sign in, and a further call would end the one that consumers hold. \
                 That one works until its platform ends it."
            ))
            .next(format!(
                "nhi doctor: is the integration disabled, or bound to other addresses? Then nhi recover \
                 {what}, or change a value in triggers, or apply again if it is new: it is tried once \
                 more, and another one is issued when the old one has ended"
            ))
            .at(&["status"]),
        "new-switched-off" => Problem::new("E-HELD", "Somebody switched the new credential off")
            .detail(format!(
                "{what}: it was switched off before every place had it. What was there before was kept, \
                 and nothing was ended."
            ))
            .next(format!(
                "find out why, and switch it on again; then nhi recover {what}, or change a value in \
                 triggers, or apply again if it is new: it goes on from there, or with another one"
            ))
            .at(&["status"]),
        "unexplained-credential" => {
            Problem::new("E-UNEXPLAINED", "It is not known whose a credential is")
                .detail(format!(
                    "{what}: a call of ours was not answered, and what came since cannot be told \
                     from a person's, or from another slot's: it is not one alone, it was made at another \
                     time, somebody used it, or another slot of this integration was left while it \
                     called for one. Nothing of it was ended."
                ))
                .next(format!(
                    "find out whose it is and end what nobody needs; then nhi recover {what}, or \
                     change a value in triggers, or apply again if the credential is new"
                ))
                .at(&["status"])
        }
        "locked-out-of-management" => Problem::new("E-MANAGEMENT-LOST", "Nobody can make another credential")
            .detail(format!(
                "{what}: it makes its own successor and dies in that call. The one that is delivered is refused, \
                 or whether a call with it was done is not known, and what took its place is in nobody's hand. \
                 It is not called with again; what its integration works with otherwise is untouched."
            ))
            .next(format!(
                "have it made anew by what made the first: nhi revoke {what}, then apply, which issues one by \
                 its parent's credential; or reset it at its platform. Where the delivered one works after \
                 all: nhi recover {what}"
            ))
            .at(&["status"]),
        "still-used" => Problem::new("E-OLD-IN-USE", "Somebody still uses the earlier credential")
            .detail(format!(
                "{what}: it was switched on again, or used until the longest overlap was over. Both \
                 credentials work, and the earlier one is not ended before a person says that nobody needs it."
            ))
            .next(format!(
                "find out who still uses it, and let them read what is delivered; then nhi recover {what}: \
                 it is switched off once more, and ended when nobody misses it. To end it at once: nhi revoke"
            ))
            .at(&["previous"]),
        other => Problem::new("E-HELD", "This slot waits for a person")
            .detail(format!("{what}: {other}."))
            .next(format!(
                "nhi ledger show; then nhi recover {what}, or change a value in triggers: it goes on \
                 from there"
            ))
            .at(&["status"]),
    }
}

/// A document that is not ours is where ours should go: `sink-occupied`, `another-slot` or
/// `foreign-realm`.
pub(crate) fn occupied(why: &str, delivery: &Delivery) -> Problem {
    if why == "foreign-realm" {
        return foreign_realm(delivery);
    }
    let place = delivery.place();
    let (detail, next) = match why {
        "another-slot" => (
            format!(
                "{place} holds what another nhi_credential delivers there, and each would write over the \
                 other's. It was left as it is."
            ),
            "name another path; or, where this one is to take its place, take it out of the other's \
             deliver_to first, and apply",
        ),
        _ => (
            format!(
                "{place} holds a document that no rotation of ours wrote. It was left as it is."
            ),
            "name another path, or set merge = true to keep its other fields",
        ),
    };
    Problem::new("E-SINK-OCCUPIED", "Something else is there already")
        .detail(detail)
        .next(next)
        .at(&["deliver_to", &delivery.name, "path"])
}

/// Another installation governs the same slot, or delivers to the same place.
fn foreign_realm(delivery: &Delivery) -> Problem {
    Problem::new("E-FOREIGN-REALM", "Another installation delivers there")
        .detail(format!(
            "{} holds a document that the rotation of another installation wrote. Two that write there would cut \
             each other's consumers off, so neither does. It was left as it is.",
            delivery.place()
        ))
        .next(
            "name another path, or end the credential in the other configuration (terraform destroy \
             -target there), which frees this one",
        )
        .at(&["deliver_to", &delivery.name, "path"])
}
