//! The values that a plan promises.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tfplugin::{Attr, Path};

use super::{
    carried::Finish,
    model::{CredentialModel, Previous, Schedules, has_earlier},
    work::Work,
};
use crate::values::{instant, moment};

pub(super) fn plan_create(planned: &mut CredentialModel) {
    planned.key_id = Attr::unknown_not_null();
    planned.fingerprint = Attr::unknown_not_null();
    planned.issued_at = Attr::unknown();
    planned.expires_at = Attr::unknown();
    planned.generation = Attr::unknown_not_null();
    planned.status = "current".into();
    planned.secret_held = Attr::Value(true);
    planned.previous = Attr::unknown();
    planned.last_revocation = Attr::unknown();
    for one in planned.deliver_to.value_mut().into_iter().flat_map(BTreeMap::values_mut) {
        one.version = Attr::unknown_not_null();
        one.status = "delivered".into();
    }
}

/// Planned values: `generation` is known, so consumers can be restarted by it.
pub(super) fn plan_update(
    prior: &CredentialModel,
    planned: &mut CredentialModel,
    work: Work,
    schedules: &Schedules,
    finish: Option<Finish>,
) {
    // What replaces the old one is tried only in its places, and may be given up for another.
    let stays = |finish: &Finish| finish.ending || schedules.in_place == Some(false);
    let made = finish.filter(|finish| work == Work::Resume && finish.made && stays(finish));
    // The engine's own unknowns (volatile versions) are decided here, one by one.
    let before = prior.deliver_to.value().cloned().unwrap_or_default();
    let written = matches!(work, Work::Rotate { .. } | Work::Resume) && made.is_none();
    let copied = work == Work::Copy || made.is_some();
    for (name, one) in planned.deliver_to.value_mut().into_iter().flatten() {
        let known = before.get(name);
        let same =
            known.filter(|known| known.connection == one.connection && known.path == one.path);
        match same {
            Some(known) if !(written || copied && known.status != "delivered") => {
                one.version = known.version.clone();
                one.status = known.status.clone();
            }
            None if matches!(work, Work::Nothing | Work::Cut | Work::Retire | Work::Prove) => {
                one.version = Attr::Null;
                one.status = "unchecked".into();
            }
            _ => {
                one.version = Attr::unknown_not_null();
                one.status = "delivered".into();
            }
        }
    }
    match work {
        Work::Nothing => planned.previous = with_ends(prior, schedules),
        Work::Open => {
            // A word that calls for nothing is kept where nothing turns out to be asked for.
            if !matches!(prior.status.text(), "current" | "retire_due" | "proof_due" | "stale_copy")
            {
                planned.status = Attr::unknown_not_null();
            } else {
                planned.status = "current".into();
            }
            if prior.secret_held != true {
                planned.secret_held = Attr::unknown_not_null();
            }
            leave_open(planned);
            for one in planned.deliver_to.value_mut().into_iter().flat_map(BTreeMap::values_mut) {
                one.version = Attr::unknown();
                if one.status != "delivered" {
                    one.status = Attr::unknown_not_null();
                }
            }
        }
        Work::End => {
            planned.status = "missing".into();
            planned.secret_held = Attr::Value(false);
            planned.fingerprint = Attr::Null;
            planned.previous = Attr::Value(Vec::new());
            planned.last_revocation = Attr::unknown();
            for one in planned.deliver_to.value_mut().into_iter().flat_map(BTreeMap::values_mut) {
                one.version = Attr::unknown();
                one.status = Attr::unknown_not_null();
            }
        }
        Work::Copy => {
            planned.previous = with_ends(prior, schedules);
            planned.status = "current".into();
            planned.secret_held = Attr::Value(true);
            planned.fingerprint = Attr::unknown();
        }
        Work::Cut => {
            planned.status = "current".into();
            planned.previous = with_open_ends(prior);
        }
        Work::Retire => {
            planned.status = "current".into();
            planned.previous = Attr::Value(Vec::new());
            planned.last_revocation = Attr::unknown();
        }
        Work::Prove => {
            planned.status = "current".into();
            planned.previous = with_open_ends(prior);
            planned.last_revocation = Attr::unknown();
        }
        Work::Resume => {
            planned.status = "current".into();
            planned.secret_held = Attr::Value(true);
            leave_open(planned);
            if let Some(finish) = finish {
                planned.generation = Attr::Value(finish.generation);
            }
            if let Some(finish) = made {
                planned.key_id = prior.key_id.clone();
                planned.fingerprint = prior.fingerprint.clone();
                planned.issued_at = prior.issued_at.clone();
                planned.expires_at = prior.expires_at.clone();
                planned.previous = match finish.ending {
                    true => Attr::Value(Vec::new()),
                    // Where nothing is kept, whoever finishes it ends the earlier one as well.
                    false if schedules.none_overlap() => Attr::Value(Vec::new()),
                    false => with_open_ends(prior),
                };
            }
        }
        Work::Rotate { at_once } => {
            let generation = prior.generation.value().copied().unwrap_or(0);
            planned.status = "current".into();
            planned.secret_held = Attr::Value(true);
            planned.key_id = Attr::unknown_not_null();
            planned.fingerprint = Attr::unknown_not_null();
            planned.issued_at = Attr::unknown();
            planned.expires_at = Attr::unknown();
            planned.generation = Attr::Value(generation + 1);
            let nothing_kept = schedules.nothing_kept(prior, at_once);
            let earlier = has_earlier(prior);
            let schedule = &planned.schedule;
            let overlap_unknown = schedule.is_unknown()
                || schedule.value().is_some_and(|one| one.overlap.is_unknown());
            let only_earlier = matches!(prior.status.text(), "missing" | "undelivered") && earlier;
            let overlap_unknown = overlap_unknown || schedules.in_place.is_none();
            planned.previous = if (overlap_unknown || only_earlier) && !nothing_kept {
                Attr::unknown()
            } else if nothing_kept {
                Attr::Value(Vec::new())
            } else if prior.key_id.is_value() {
                Attr::Value(vec![Previous {
                    key_id: prior.key_id.clone(),
                    generation: Attr::Value(generation),
                    retire_after: Attr::unknown(),
                }])
            } else {
                Attr::unknown()
            };
            let ends = nothing_kept || earlier;
            planned.last_revocation = if ends || overlap_unknown {
                Attr::unknown()
            } else {
                prior.last_revocation.clone()
            };
        }
    }
}

/// Which credential it will be, and of which generation, becomes known during apply.
pub(super) fn leave_open(planned: &mut CredentialModel) {
    planned.key_id = Attr::unknown_not_null();
    planned.generation = Attr::unknown_not_null();
    planned.fingerprint = Attr::unknown();
    planned.issued_at = Attr::unknown();
    planned.expires_at = Attr::unknown();
    planned.previous = Attr::unknown();
    planned.last_revocation = Attr::unknown();
}

/// What decides over a secret here, is known of what is there, and is not known any more.
pub(super) fn hidden(
    prior: &CredentialModel,
    config: &CredentialModel,
    planned: &CredentialModel,
) -> Vec<Path> {
    let mut hidden = Vec::new();
    let mut say = |unknown: bool, at: Path| {
        if unknown {
            hidden.push(at);
        }
    };
    let was = |before: &Attr<String>, after: &Attr<String>| before.is_value() && after.is_unknown();
    say(planned.incident.is_unknown(), Path::attribute("incident"));
    say(was(&prior.function, &planned.function), Path::attribute("function"));
    say(planned.deliver_to.is_unknown(), Path::attribute("deliver_to"));
    for (name, one) in planned.deliver_to.value().into_iter().flatten() {
        let known = prior.deliver_to.value().and_then(|before| before.get(name));
        let at = Path::attribute("deliver_to").key(name);
        if let Some(known) = known {
            say(was(&known.connection, &one.connection), at.then("connection"));
            say(was(&known.path, &one.path), at.then("path"));
            say(one.fields.is_unknown(), at.then("fields"));
        }
    }
    // What the platform fills in is null in the configuration.
    if let Some((one, value)) = config.credential_type.chosen() {
        say(!value.is_wholly_known(), Path::attribute(one.name));
    }
    let at = Path::attribute("integration");
    say(planned.integration.is_unknown(), at.clone());
    let before = prior.integration.value().cloned().unwrap_or_default();
    if let Some(after) = planned.integration.value() {
        let owner = after.technical_owner.value();
        let unknown =
            after.technical_owner.is_unknown() || owner.is_some_and(|one| one.id.is_unknown());
        say(unknown && before.technical_owner.is_value(), at.then("technical_owner").then("id"));
        say(was(&before.environment, &after.environment), at.then("environment"));
        say(after.incident.is_unknown(), at.then("incident"));
        say(after.state.is_unknown(), at.then("state"));
    }
    hidden
}

/// The moments at which earlier credentials end, where another overlap moves them. Pure: the same at
/// plan and at apply.
pub(super) fn moved_ends(
    prior: &CredentialModel,
    schedules: &Schedules,
) -> Option<BTreeMap<String, Timestamp>> {
    let (before, after) = (schedules.before.as_ref()?, schedules.after.as_ref()?);
    if before.overlap == after.overlap {
        return None;
    }
    let ends = prior.previous.value()?.iter().filter_map(|one| {
        let end = policy::schedule::earlier(instant(&one.retire_after)?, before.overlap);
        Some((one.key_id.as_deref()?.to_owned(), policy::schedule::later(end, after.overlap)))
    });
    Some(ends.collect())
}

/// Earlier credentials as state has them; when each ends, apply says.
fn with_open_ends(prior: &CredentialModel) -> Attr<Vec<Previous>> {
    let mut previous = prior.previous.clone();
    for one in previous.value_mut().into_iter().flatten() {
        one.retire_after = Attr::unknown();
    }
    previous
}

/// Earlier credentials as state has them, with the ends that another overlap gives them.
fn with_ends(prior: &CredentialModel, schedules: &Schedules) -> Attr<Vec<Previous>> {
    let mut previous = prior.previous.clone();
    let ends = moved_ends(prior, schedules).unwrap_or_default();
    for one in previous.value_mut().into_iter().flatten() {
        if let Some(end) = one.key_id.as_deref().and_then(|key_id| ends.get(key_id)) {
            one.retire_after = Attr::Value(moment(*end));
        }
    }
    previous
}
