//! What a plan is to do with a slot, judged of its prior state and its declaration alone.

use std::collections::BTreeMap;

use operations::end_of_day;
use policy::status::{Consequence, consequence_for, reason_of};
use tfplugin::Attr;

use super::{
    model::CredentialModel,
    slot::{kind_of, settings_as, type_of},
};
use crate::{
    resources::references::{Adoption, CredentialedIntegration},
    values::instant,
};

/// What a plan is to do with the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing beyond the record.
    Nothing,
    /// A new generation.
    Rotate { at_once: bool },
    /// Earlier ones are switched off, and end later.
    Cut,
    /// Earlier ones end.
    Retire,
    /// What was ended is looked at once more.
    Prove,
    /// Copies are made.
    Copy,
    /// What was begun is finished.
    Resume,
    /// Everything in the slot ends.
    End,
    /// Apply knows whether a new generation is asked for.
    Open,
}

/// Known before, known now, and another.
pub(super) fn changed<T: PartialEq>(before: &Attr<T>, after: &Attr<T>) -> bool {
    matches!((before, after), (Attr::Value(a), Attr::Value(b)) if a != b)
}

/// What came from an import or a move: nothing is known yet of what was asked of it before, so
/// nothing that is said for the first time is new. What is adopted has no place either, and its
/// integration says so from the first apply on.
pub(super) fn is_taken_in(model: &CredentialModel) -> bool {
    let is_adopted = model.integration.value().is_some_and(|one| one.adoption.is_value());
    model.deliver_to.is_null() && model.secret_source.is_null() && !is_adopted
}

/// Whether nothing says where its secret is, though it must be said.
pub(super) fn has_no_place(model: &CredentialModel) -> bool {
    let nowhere =
        model.deliver_to.value().map_or_else(|| model.deliver_to.is_null(), BTreeMap::is_empty);
    let adoption = model.integration.value().map(|one| &one.adoption);
    nowhere && model.secret_source.is_null() && Adoption::is_over(adoption)
}

/// What asks for a new generation, as a reason in rank.
pub(super) fn asked(
    prior: &CredentialModel,
    planned: &CredentialModel,
) -> Option<(&'static str, bool)> {
    let before = prior.integration.value().cloned().unwrap_or_default();
    let after = planned.integration.value().cloned().unwrap_or_default();
    let first = is_taken_in(prior);
    let new_incident = |before: &Attr<String>, after: &Attr<String>| {
        after.is_value() && before != after && (before.is_value() || !first)
    };
    if new_incident(&prior.incident, &planned.incident)
        || new_incident(&before.incident, &after.incident)
    {
        return Some(("exposed", true));
    }
    let owner = |one: &CredentialedIntegration| {
        one.technical_owner.value().map(|owner| owner.id.clone()).unwrap_or_default()
    };
    if changed(&owner(&before), &owner(&after)) {
        return Some(("owner_changed", false));
    }
    if changed(&before.environment, &after.environment) {
        return Some(("environment_changed", false));
    }
    if changed(&prior.function, &planned.function) {
        return Some(("function_changed", false));
    }
    // The first setting of the map does nothing, nor does its removal.
    if changed(&prior.triggers, &planned.triggers) {
        return Some(("asked", false));
    }
    // It does where a secret that nobody can copy gets its first place: that is how it is taken into
    // custody.
    if prior.triggers.is_null() && planned.triggers.is_value() && cannot_copy(prior, planned) {
        return Some(("custody", false));
    }
    if let Some((fields, before, after)) = settings_of(prior, planned)
        && policy::settings::needs_rotation(fields, &before, &after)
    {
        return Some(("settings_changed", false));
    }
    if planned.schedule.is_null() && outlived(prior, &before, &after) {
        return Some(("expiring", false));
    }
    None
}

/// Whether a place is new and no sink of ours holds the secret that is to go there. Just taken in, a
/// slot's places are only written down: what stands there is seen by the next look.
pub(super) fn cannot_copy(prior: &CredentialModel, planned: &CredentialModel) -> bool {
    !is_taken_in(prior) && prior.status == "unheld" && new_places(prior, planned)
}

/// Whether the current key ends on the day that was the integration's last one, and no longer is.
/// Where there is a schedule, that key falls due before it ends.
fn outlived(
    prior: &CredentialModel,
    before: &CredentialedIntegration,
    after: &CredentialedIntegration,
) -> bool {
    let Some(end) = before.expires_on.as_deref().and_then(end_of_day) else { return false };
    let later = match &after.expires_on {
        Attr::Value(day) => end_of_day(day).is_some_and(|after| after > end),
        other => other.is_null(),
    };
    later && instant(&prior.expires_at) == Some(end)
}

/// The settings of one type before and after. Without a type of its own a slot has the kind's, with
/// its defaults; what an import could not tell is not another.
pub(super) fn settings_of(
    prior: &CredentialModel,
    planned: &CredentialModel,
) -> Option<(&'static [connector::Field], domain::Settings, domain::Settings)> {
    if is_taken_in(prior) && prior.credential_type.chosen().is_none() {
        return None;
    }
    let kind = kind_of(&planned.integration.value()?.id)?;
    let (before, after) = (type_of(prior, kind)?, type_of(planned, kind)?);
    (before.name == after.name)
        .then(|| (before.fields, settings_as(prior, before), settings_as(planned, after)))
}

/// Whether settings change that need no other credential.
pub(super) fn adjusts(prior: &CredentialModel, planned: &CredentialModel) -> bool {
    settings_of(prior, planned).is_some_and(|(fields, before, after)| {
        policy::settings::needs_adjusting(fields, &before, &after)
    })
}

/// Whether the integration may act, as it is planned.
pub(super) fn is_active(planned: &CredentialModel) -> bool {
    let state = planned.integration.value().map(|one| one.state.clone()).unwrap_or_default();
    state.as_deref().is_none_or(|state| state == "active")
}

pub(super) fn new_places(prior: &CredentialModel, planned: &CredentialModel) -> bool {
    planned.deliver_to.value().into_iter().flatten().any(|(name, one)| {
        prior
            .deliver_to
            .value()
            .and_then(|before| before.get(name))
            .is_none_or(|before| before.connection != one.connection || before.path != one.path)
    })
}

/// `done`: what state has now came by the very thing that is asked for.
pub(super) fn work_of(
    prior: &CredentialModel,
    planned: &CredentialModel,
    done: bool,
) -> (Work, &'static str) {
    let active = is_active(planned);
    let status = prior.status.text();
    let consequence = consequence_for(status, active);
    let asked = asked(prior, planned).filter(|_| !done);
    if !active {
        return match (consequence, asked) {
            (Consequence::End, _) | (_, Some(("exposed", _))) => (Work::End, "exposed"),
            (Consequence::Cut, _) => (Work::Cut, "schedule"),
            (Consequence::Retire, _) => (Work::Retire, "schedule"),
            (Consequence::Prove, _) => (Work::Prove, "schedule"),
            _ => (Work::Nothing, ""),
        };
    }
    if let Some((reason, at_once)) = asked {
        // What is under way is what is asked for: beginning another one would end the first early.
        if !at_once && matches!(status, "unfinished" | "rotating") {
            return (Work::Resume, reason);
        }
        return (
            Work::Rotate { at_once: at_once || consequence == Consequence::RotateAtOnce },
            reason,
        );
    }
    let rotates = matches!(
        consequence,
        Consequence::Rotate | Consequence::RotateAtOnce | Consequence::Resume
    );
    if planned.triggers.is_unknown() && prior.triggers.is_value() && !rotates {
        return (Work::Open, "asked");
    }
    let reason = reason_of(status, consequence);
    match consequence {
        Consequence::RotateAtOnce => (Work::Rotate { at_once: true }, reason),
        Consequence::Rotate => (Work::Rotate { at_once: false }, reason),
        Consequence::Resume => (Work::Resume, reason),
        Consequence::Cut => (Work::Cut, reason),
        Consequence::Retire => (Work::Retire, reason),
        Consequence::Prove => (Work::Prove, reason),
        Consequence::Copy => (Work::Copy, reason),
        Consequence::End => (Work::End, reason),
        Consequence::Nothing => {
            if new_places(prior, planned) && prior.secret_held == true {
                (Work::Copy, "schedule")
            } else {
                (Work::Nothing, "")
            }
        }
    }
}

/// In an incident the exposed one ends before there is another.
pub(super) fn ends_first(work: Work, reason: &str, model: &CredentialModel) -> bool {
    let at_once = work == Work::Rotate { at_once: true };
    at_once && reason == "exposed" && model.on_incident == "revoke_first"
}
