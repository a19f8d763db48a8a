//! The attributes of a slot.

use std::collections::BTreeMap;

use connector::{Effect, Profile};
use operations::{Consumers, consumers};
use policy::Schedule;
use tfplugin::{Attr, Model};

use super::types::CredentialTypes;
use crate::{
    resources::{
        references::CredentialedIntegration,
        rotation_schedule::{Blackout, Parts, Window, schedule},
    },
    rules,
};

/// A credential slot of an integration. The slot stays; what is inside it rotates in place.
///
/// Integration and schedule are handed over as whole objects: `integration = nhi_integration.x`,
/// `schedule = nhi_rotation_schedule.y`. The secret goes from the platform to the sinks of
/// `deliver_to` and is never in state.
///
/// `-replace` rotates it too, without overlap: the old one ends when the new one is seen to work.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct CredentialModel {
    /// `<integration id>/credential/<name>`.
    #[tf(computed, not_null)]
    pub id: Attr<String>,

    /// The integration: a whole `nhi_integration`.
    #[tf(required)]
    pub integration: Attr<CredentialedIntegration>,

    /// The slot's name; an integration may have several.
    #[tf(default = "default", replace, validate = rules::short_name)]
    pub name: Attr<String>,

    /// What it is used for, where an integration has several. Another one rotates it.
    #[tf(optional, validate = rules::said)]
    pub function: Attr<String>,

    /// Nobody reads it: `nhi drill` ends it at once, to show how an end goes and how long it takes.
    #[tf(optional)]
    pub drill: Attr<bool>,

    /// When it rotates: a whole `nhi_rotation_schedule`. Unset: only when asked.
    #[tf(optional)]
    pub schedule: Attr<ScheduleReference>,

    /// Change a value to rotate now, with overlap. The first setting of the map does nothing (except
    /// together with the first place of a secret in no sink of ours), nor does its removal. Where a value becomes known only during apply, so does whether it rotates.
    #[tf(optional)]
    pub triggers: Attr<BTreeMap<String, String>>,

    /// Set or change it when the credential is exposed: rotates now, without overlap.
    #[tf(optional, validate = rules::said)]
    pub incident: Attr<String>,

    /// In an incident: `issue_first`, or `revoke_first` (an outage is accepted).
    #[tf(default = "issue_first", validate = rules::on_incident)]
    pub on_incident: Attr<String>,

    /// Where the secret is delivered, by a name of your own. At least one, or `secret_source`, or an
    /// integration that has an `adoption`.
    #[tf(optional)]
    pub deliver_to: Attr<BTreeMap<String, Delivery>>,

    /// Where the secret is documented to be, if we never hold it.
    #[tf(optional, validate = rules::said)]
    pub secret_source: Attr<String>,

    /// What counts as the consumer having picked up the new one: `timer`, the end of the overlap.
    /// No other sign is listened to yet.
    #[tf(optional, computed, validate = rules::confirm)]
    pub confirm: Attr<String>,

    /// Where a rotation would cut consumers off, since the new one takes the place of the old one at once
    /// (or `overlap` is `"0"`): `accept`, or `refuse`, and the plan is refused. What is exposed rotates all
    /// the same. `accept` unless set.
    #[tf(optional, validate = rules::interruption)]
    pub interruption: Attr<String>,

    /// How long consumers take to read what is delivered, such as `1h`. An earlier credential of whose use
    /// its platform tells nothing is kept at least so long, whatever the overlap.
    #[tf(optional, validate = rules::span)]
    pub consumer_refresh: Attr<String>,

    /// The vendor's id of the current credential.
    #[tf(computed, not_null)]
    pub key_id: Attr<String>,

    /// Counts the slot's credentials. Known at plan, so consumers can be restarted by it.
    #[tf(computed, not_null)]
    pub generation: Attr<i64>,

    /// What the current secret can be recognised by, under the realm's key only.
    #[tf(computed)]
    pub fingerprint: Attr<String>,

    /// When the vendor issued it.
    #[tf(computed)]
    pub issued_at: Attr<String>,

    /// When it ends by itself.
    #[tf(computed)]
    pub expires_at: Attr<String>,

    /// Whether a sink of ours holds the current secret.
    #[tf(computed)]
    pub secret_held: Attr<bool>,

    /// What is to be done, if anything: `current`, `due`, `overdue`, `expired`, `exposed`,
    /// `missing`, `unfinished`, `undelivered`, `stale_copy`, `foreign`, `cut_due`, `retire_due`, `proof_due`,
    /// `waiting`, `unheld`, `rotating` or `held`.
    #[tf(computed, not_null)]
    pub status: Attr<String>,

    /// Earlier credentials of the slot that still work, or are only switched off.
    #[tf(computed)]
    pub previous: Attr<Vec<Previous>>,

    /// The newest revocation of this slot, and how far it was proven.
    #[tf(computed)]
    pub last_revocation: Attr<Revocation>,

    /// The type of credential: at most one; the kind's own default unless set.
    #[tf(flatten)]
    pub credential_type: CredentialTypes,
}

/// A schedule, as a credential takes it.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct ScheduleReference {
    /// Its name.
    #[tf(required)]
    pub name: Attr<String>,
    /// How often.
    #[tf(required)]
    pub every: Attr<String>,
    /// The moment that times are counted from.
    #[tf(optional)]
    pub anchor: Attr<String>,
    /// How far credentials are spread out.
    #[tf(optional)]
    pub spread: Attr<String>,
    /// How old a credential must be at least.
    #[tf(optional)]
    pub min_age: Attr<String>,
    /// How long the old one keeps working.
    #[tf(optional)]
    pub overlap: Attr<String>,
    /// How long after it fell due it is overdue.
    #[tf(optional)]
    pub overdue_after: Attr<String>,
    /// How long a credential may live.
    #[tf(optional)]
    pub lifetime: Attr<String>,
    /// When rotations are allowed.
    #[tf(optional)]
    pub windows: Attr<Vec<Window>>,
    /// The time zone of windows.
    #[tf(optional)]
    pub timezone: Attr<String>,
    /// When rotations are not allowed.
    #[tf(optional)]
    pub blackout: Attr<Vec<Blackout>>,
    /// What a due credential does outside its windows.
    #[tf(optional)]
    pub outside_window: Attr<String>,
}

/// A place where the secret is delivered.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Delivery {
    /// The connection's name; it must be a sink.
    #[tf(required, validate = rules::said)]
    pub connection: Attr<String>,
    /// The document in it.
    #[tf(required, validate = rules::said)]
    pub path: Attr<String>,
    /// The document's fields: `id` (the integration's), `key_id` or `user` (where the type has one), `secret`,
    /// or any fixed text. The type's own form unless set.
    /// Other fields need another path.
    #[tf(optional)]
    pub fields: Attr<BTreeMap<String, String>>,
    /// Whether other fields that are there already are kept.
    #[tf(optional)]
    pub merge: Attr<bool>,
    /// The sink's version of the document.
    #[tf(computed)]
    pub version: Attr<String>,
    /// `delivered`, `changed` (somebody wrote over it), `missing` or `unchecked`.
    #[tf(computed)]
    pub status: Attr<String>,
}

/// An earlier credential of a slot.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Previous {
    /// The vendor's id.
    #[tf(computed)]
    pub key_id: Attr<String>,
    /// Its generation.
    #[tf(computed)]
    pub generation: Attr<i64>,
    /// When its overlap is over, or the time for which it is only switched off.
    #[tf(computed)]
    pub retire_after: Attr<String>,
}

/// A revocation and its proof.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Revocation {
    /// What was revoked.
    #[tf(computed)]
    pub key_id: Attr<String>,
    /// How far it was proven: `A` refused by use, `B` listed as gone, `C` accepted by the platform,
    /// `D` not provable; `A, residual until` when, as long as what was minted from it may live: an apply
    /// after that makes it `A`.
    #[tf(computed)]
    pub grade: Attr<String>,
    /// How far that could have been: a secret that nobody can read any more is not tried.
    #[tf(computed)]
    pub grade_at_best: Attr<String>,
    /// When it was first seen to be refused; null where it was not tried.
    #[tf(computed)]
    pub first_refused_at: Attr<String>,
    /// When it was last seen to be refused, after the longest that the platform is known to take.
    #[tf(computed)]
    pub last_refused_at: Attr<String>,
    /// What became of tokens that were minted from it: `none`, `swept` and how many, `residual until` when,
    /// or `unknown`. The grade says nothing of them.
    #[tf(computed)]
    pub children: Attr<String>,
    /// Until when a token that was minted from it may live; null where that is not known either.
    #[tf(computed)]
    pub residual_until: Attr<String>,
    /// What became of sessions that began with it: `none`, `terminated` and how many, or `unknown`.
    #[tf(computed)]
    pub sessions: Attr<String>,
    /// On how many of the places where it lets somebody in it was tried, such as `1 of 1`.
    #[tf(computed)]
    pub surfaces: Attr<String>,
    /// What kind of address it was tried at, as the connection has it: `loopback`, `private`, `public`, or
    /// `unknown` for a name.
    #[tf(computed)]
    pub from: Attr<String>,
    /// Where its secret was when it was tried, such as `sink version 3`; `none` where it was not.
    #[tf(computed)]
    pub holder: Attr<String>,
    /// How long after its end was asked for it was first refused; null where that was not seen.
    #[tf(computed)]
    pub time_to_stop: Attr<String>,
    /// `fenced` where the platform itself keeps a late call of the rotation from doing harm, `timed` where
    /// only time does.
    #[tf(computed)]
    pub safety: Attr<String>,
}

/// The schedules of a change.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    pub(super) before: Option<Schedule>,
    pub(super) after: Option<Schedule>,
    /// Whether the old one dies in the call that makes the new one; `None` where that cannot be told
    /// now.
    pub(super) in_place: Option<bool>,
}

impl Schedules {
    pub(super) fn of(prior: Option<&CredentialModel>, planned: &CredentialModel) -> Schedules {
        Schedules {
            before: prior.and_then(|prior| schedule_of(&prior.schedule)),
            after: schedule_of(&planned.schedule),
            in_place: Some(false),
        }
    }

    /// The same where it is known in which of these ways one is issued.
    pub(super) fn issued_in(self, ways: &[&Profile]) -> Schedules {
        let replaces = |one: &&Profile| one.effect == Effect::Replaces;
        let in_place = match (ways.iter().any(replaces), ways.iter().all(replaces)) {
            (false, _) => Some(false),
            (true, true) => Some(true),
            (true, false) => None,
        };
        Schedules { in_place, ..self }
    }

    /// Whether nothing earlier works on when the next one is there. Where the current one is gone, an
    /// earlier one in its overlap is all that works, and keeps its time.
    pub(super) fn nothing_kept(&self, prior: &CredentialModel, at_once: bool) -> bool {
        at_once
            || self.none_overlap()
            || self.in_place == Some(true)
            || (prior.status == "missing" && !has_earlier(prior))
    }

    pub(super) fn none_overlap(&self) -> bool {
        self.after.as_ref().is_some_and(|one| one.overlap == domain::Span::ZERO)
    }
}

/// Whether an earlier one is in its overlap.
pub(super) fn has_earlier(model: &CredentialModel) -> bool {
    model.previous.value().is_some_and(|all| !all.is_empty())
}

/// What is said of those who read the secret.
pub(super) fn consumers_of(model: &CredentialModel) -> Consumers {
    consumers(model.interruption.as_deref(), model.consumer_refresh.as_deref())
}

pub(crate) fn schedule_of(reference: &Attr<ScheduleReference>) -> Option<Schedule> {
    schedule(&parts(reference.value()?))
}

pub(super) fn parts(one: &ScheduleReference) -> Parts<'_> {
    Parts {
        name: &one.name,
        every: &one.every,
        anchor: &one.anchor,
        spread: &one.spread,
        min_age: &one.min_age,
        overlap: &one.overlap,
        overdue_after: &one.overdue_after,
        lifetime: &one.lifetime,
        windows: &one.windows,
        timezone: &one.timezone,
        blackout: &one.blackout,
        outside_window: &one.outside_window,
    }
}
