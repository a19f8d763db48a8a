//! A slot in the words of deeds, and what a deed came to in the words of state.

use std::collections::BTreeMap;

use connector::{CredentialType, Kind};
use domain::{CredentialId, IntegrationId, Settings};
use operations::{
    Context, Outcome, Problem, Revoked, SeenSlot, SlotSpec, at_rest, end_of_day,
    observe_integration, observe_slot,
};
use policy::{rotation::Goal, settings::with_defaults};
use tfplugin::{Attr, Diagnostics};

use super::{
    carried::asked_for,
    model::{CredentialModel, Previous, Revocation, consumers_of, schedule_of},
};
use crate::{
    resources::{
        platform_objects::{kind, kind_in},
        replacement::Slot,
    },
    values::{instant, moment, optional},
};

/// The kind of an id; from one whose key is unknown yet the kind still shows.
pub(super) fn kind_of(id: &Attr<String>) -> Option<&'static Kind> {
    kind(&kind_in(id)?).map(|(_, kind)| kind)
}

/// The type that is set, or the kind's own.
pub(super) fn type_of(
    model: &CredentialModel,
    kind: &'static Kind,
) -> Option<&'static CredentialType> {
    match model.credential_type.chosen() {
        Some((one, _)) => Some(one),
        None => kind.credential_types.first().copied(),
    }
}

/// The settings that a slot of that type has; what nobody wrote is what it stands for.
pub(super) fn settings_as(model: &CredentialModel, wanted: &CredentialType) -> Settings {
    with_defaults(wanted.fields, &model.credential_type.settings())
}

/// The places that a slot delivers to.
fn deliveries(model: &CredentialModel) -> Vec<operations::Delivery> {
    let all = model.deliver_to.value().into_iter().flatten();
    all.map(|(name, one)| operations::Delivery {
        name: name.clone(),
        connection: one.connection.text().to_owned(),
        path: one.path.text().trim_matches('/').to_owned(),
        fields: one.fields.value().cloned().unwrap_or_default(),
        merge: one.merge.value().copied().unwrap_or(false),
    })
    .collect()
}

/// A slot as it is declared. Where the reference does not say the incarnation, neither does this.
pub(super) fn spec_of(
    model: &CredentialModel,
    known: Option<&CredentialModel>,
) -> Option<SlotSpec> {
    let reference = model.integration.value()?;
    let integration: IntegrationId = reference.id.as_deref()?.parse().ok()?;
    let (_, kind) = kind(&integration.kind)?;
    let credential_type = type_of(model, kind)?;
    let known = known.unwrap_or(model);
    let deliveries = deliveries(model);
    let gone = |one: &operations::Delivery| deliveries.iter().all(|now| now.place() != one.place());
    let former = self::deliveries(known).into_iter().filter(gone).collect();
    Some(SlotSpec {
        id: CredentialId {
            integration,
            name: model.name.as_deref().unwrap_or("default").to_owned(),
        },
        vendor_id: reference.vendor_id.as_deref().unwrap_or_default().to_owned(),
        kind,
        credential_type,
        settings: settings_as(model, credential_type),
        schedule: schedule_of(&model.schedule),
        deliveries,
        former,
        asked: asked_for(model),
        consumers: consumers_of(model),
        drill: model.drill == true,
        integration_ends: reference.expires_on.as_deref().and_then(end_of_day),
        known: known.key_id.as_deref().map(|key_id| {
            let generation = known.generation.value().copied().unwrap_or(0);
            (
                key_id.to_owned(),
                u64::try_from(generation).unwrap_or(0),
                instant(&known.issued_at),
                instant(&known.expires_at),
            )
        }),
    })
}

/// The slot as deeds need it: an integration that is written out by its id alone is the one that is
/// there. `None` where none is.
pub(super) async fn found(context: &Context, spec: SlotSpec) -> Result<Option<SlotSpec>, Problem> {
    if !spec.vendor_id.is_empty() {
        return Ok(Some(spec));
    }
    let seen = observe_integration(context, &spec.id.integration, None, None).await?;
    Ok(seen.map(|seen| SlotSpec { vendor_id: seen.observed.vendor_id, ..spec }))
}

/// A slot as the halves of a replacement must agree on it.
pub(super) fn as_replaced(model: &CredentialModel) -> Slot<'_> {
    let reference = model.integration.value();
    let kind = reference.and_then(|one| kind_of(&one.id));
    Slot {
        id: model.id.text(),
        vendor_id: reference.and_then(|one| one.vendor_id.as_deref()),
        credential_type: kind.and_then(|kind| type_of(model, kind)).map(|one| one.name),
    }
}

/// Places that state still has and the plan has not.
pub(super) fn no_longer_delivered(
    prior: &CredentialModel,
    spec: &SlotSpec,
) -> Vec<operations::Delivery> {
    let before = spec_of(prior, None).map(|before| before.deliveries).unwrap_or_default();
    let kept: Vec<String> = spec.deliveries.iter().map(operations::Delivery::place).collect();
    before.into_iter().filter(|one| !kept.contains(&one.place())).collect()
}

pub(super) fn previous_of(all: &[operations::PreviousKey]) -> Vec<Previous> {
    all.iter()
        .map(|one| Previous {
            key_id: Attr::Value(one.key_id.clone()),
            generation: Attr::Value(i64::try_from(one.generation).unwrap_or(0)),
            retire_after: optional(one.retire_after.map(moment)),
        })
        .collect()
}

/// Takes in what a look at the slot found.
pub(super) fn take_seen(model: &mut CredentialModel, seen: &SeenSlot) {
    model.credential_type.take(&seen.settings);
    model.key_id =
        optional(seen.key_id.clone().or_else(|| model.key_id.as_deref().map(str::to_owned)));
    model.generation = Attr::Value(i64::try_from(seen.generation).unwrap_or(0));
    model.fingerprint = optional(seen.fingerprint.clone());
    model.issued_at = optional(seen.issued_at.map(moment));
    model.expires_at = optional(seen.expires_at.map(moment));
    model.secret_held = Attr::Value(seen.secret_held);
    model.previous = Attr::Value(previous_of(&seen.previous));
    for (name, one) in model.deliver_to.value_mut().into_iter().flatten() {
        if let Some(seen) = seen.deliveries.get(name) {
            one.version = optional(seen.version.map(|version| version.to_string()));
            one.status = seen.status.into();
        }
    }
    model.status = seen.status.into();
}

/// What is true after a rotation that ended in an error behind its last step: whoever asked for the
/// generation has it, so the next apply goes on and begins no other one. `None` where it was not
/// reached, or where earlier keys were to end and still work.
pub(super) async fn what_stands(
    context: &Context,
    spec: &SlotSpec,
    goal: Goal,
    prior: &CredentialModel,
    mut model: CredentialModel,
) -> Option<CredentialModel> {
    let Goal::Rotate { to, at_once } = goal else { return None };
    let reached = |generation: u64, previous: &[operations::PreviousKey]| {
        generation >= to && (!at_once || previous.is_empty())
    };
    match observe_slot(context, spec).await {
        Ok(Some(seen)) if reached(seen.generation, &seen.previous) => take_seen(&mut model, &seen),
        Ok(_) => return None,
        // The platform cannot be asked now, and custody knows; the next look fills in the rest.
        Err(_) => {
            let (key_id, generation, previous) = at_rest(context, spec).await.ok()??;
            if !reached(generation, &previous) {
                return None;
            }
            model.key_id = Attr::Value(key_id);
            model.generation = Attr::Value(i64::try_from(generation).unwrap_or(0));
            model.previous = Attr::Value(previous_of(&previous));
            (model.fingerprint, model.issued_at, model.expires_at) =
                (Attr::Null, Attr::Null, Attr::Null);
            for one in model.deliver_to.value_mut().into_iter().flat_map(BTreeMap::values_mut) {
                (one.version, one.status) = (Attr::Null, "unchecked".into());
            }
        }
    }
    if model.last_revocation.is_unknown() {
        model.last_revocation = prior.last_revocation.clone();
    }
    if !no_longer_delivered(prior, spec).is_empty() {
        // What is to be taken out of a sink is still there.
        model.deliver_to = prior.deliver_to.clone();
    }
    Some(model)
}

/// The newest revocation; without a newer one, the one that state has.
pub(super) fn revocation_of(
    prior: Option<&CredentialModel>,
    outcome: &Outcome,
) -> Attr<Revocation> {
    // What was looked at once more is told where it is the one that state tells of.
    let told = prior.and_then(|prior| prior.last_revocation.value()).map(|told| &told.key_id);
    let newest =
        |one: &&Revoked| !one.again || told.is_none_or(|told| told.value() == Some(&one.key_id));
    match (outcome.revoked.iter().rev().find(newest), prior) {
        (Some(one), _) => {
            let said: BTreeMap<&str, String> = one.modifiers().into_iter().collect();
            let word = |name: &str| optional(said.get(name).cloned());
            let now = Revocation {
                key_id: Attr::Value(one.key_id.clone()),
                grade: Attr::Value(one.grade_words()),
                grade_at_best: one.at_best.as_str().into(),
                first_refused_at: optional(one.refused_at.map(|(first, _)| moment(first))),
                last_refused_at: optional(one.refused_at.map(|(_, last)| moment(last))),
                time_to_stop: word("time_to_stop"),
                children: word("children"),
                residual_until: optional(one.residual_until().map(moment)),
                sessions: word("sessions"),
                surfaces: word("surfaces"),
                from: word("from"),
                holder: word("holder"),
                safety: word("safety"),
            };
            // Looked at once more by its listing: how it was tried stays true.
            let before = prior.and_then(|prior| prior.last_revocation.value());
            let tried = before.filter(|before| {
                before.key_id == now.key_id
                    && one.refused_at.is_none()
                    && before.first_refused_at.is_value()
            });
            Attr::Value(match tried {
                Some(before) => Revocation {
                    grade: now.grade,
                    children: now.children,
                    residual_until: now.residual_until,
                    ..before.clone()
                },
                None => now,
            })
        }
        (None, Some(prior)) => prior.last_revocation.clone(),
        (None, None) => Attr::Null,
    }
}

/// Fills in what was unknown; what was planned known is what was done, or an error came before.
pub(super) fn take_outcome(
    prior: Option<&CredentialModel>,
    model: &mut CredentialModel,
    spec: &SlotSpec,
    outcome: &Outcome,
) -> Diagnostics {
    let mut told = Diagnostics::new();
    model.id = Attr::Value(spec.id.to_string());
    let fill = |attr: &mut Attr<String>, value: Option<String>| {
        if !attr.is_value() || attr.is_unknown() {
            *attr = optional(value);
        }
    };
    if model.key_id.is_unknown() {
        model.key_id = optional(outcome.key_id.clone());
    }
    if model.generation.is_unknown() {
        model.generation = Attr::Value(i64::try_from(outcome.generation).unwrap_or(0));
    }
    if model.fingerprint.is_unknown() {
        fill(&mut model.fingerprint, outcome.fingerprint.clone());
    }
    if model.issued_at.is_unknown() {
        fill(&mut model.issued_at, outcome.issued_at.map(moment));
    }
    if model.expires_at.is_unknown() {
        fill(&mut model.expires_at, outcome.expires_at.map(moment));
    }
    if model.previous.is_unknown() {
        model.previous = Attr::Value(previous_of(&outcome.previous));
    }
    for one in model.previous.value_mut().into_iter().flatten() {
        let done = outcome.previous.iter().find(|done| one.key_id == done.key_id);
        if one.retire_after.is_unknown() {
            one.retire_after = optional(done.and_then(|done| done.retire_after).map(moment));
        }
    }
    for (name, one) in model.deliver_to.value_mut().into_iter().flatten() {
        let seen = outcome.deliveries.get(name);
        if one.version.is_unknown() {
            let version = seen.and_then(|seen| seen.version);
            one.version = optional(version.map(|version| version.to_string()));
        }
        if one.status.is_unknown() {
            one.status = seen.map_or("unchecked", |seen| seen.status).into();
        }
    }
    if model.last_revocation.is_unknown() {
        model.last_revocation = revocation_of(prior, outcome);
    }
    if let Some(by) = &outcome.done_by
        && outcome.revoked.is_empty()
        && !by.starts_with("apply:")
    {
        told.warning(
            "This was done already",
            format!(
                "{}: {by} had rotated it, and nothing was issued here.\nNext: nothing; state has what is there.",
                spec.id
            ),
        );
    }
    told
}
