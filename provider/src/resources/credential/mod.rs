//! `nhi_credential`: one slot of one integration, whose credential changes inside it.

use std::collections::BTreeMap;

use connector::{CredentialType, Kind, Profile};
use domain::{CredentialId, IntegrationId};
use jiff::Timestamp;
use operations::{
    Context, Outcome, Problem, SlotSpec, UNKNOWN_CONNECTION, adjust, best_grade, carry_out,
    create_slot, declare_slot, find_connection, goal_of_resume, limits, observe_integration,
    observe_slot, park_for_replacement, revoke_first, set_ends, take_over, ways, withdraw,
};
use policy::{
    Schedule,
    proof::Grade,
    rotation::Goal,
    schedule::Lifetime,
    status::{Consequence, consequence_for},
};
use tfplugin::{
    Attr, Diagnostic, Diagnostics, Model, Path,
    erased::Call,
    resource::{
        By, Create, Delete, Done, Failure, Identity, Import, ImportState, MoveState, Plan, Read,
        Resource, Source, Update,
    },
};

use super::{
    credential_types::CredentialTypes,
    moved,
    platform_objects::{kind, kinds},
    references::CredentialedIntegration,
    replacement::{half, is_half_of, is_slot_note, slot_note},
    rotation_schedule::{Blackout, Parts, Window, contradictions, schedule},
};
use crate::{
    diagnostics::{
        Unseen, error, errors, notices, observed, on_integration, tell_unknown_connection,
        unknown_governed,
    },
    rules,
    shared::Shared,
    values::{instant, moment, optional},
};

/// A credential slot of an integration. The slot stays; what is inside it rotates in place.
///
/// Integration and schedule are handed over as whole objects: `integration = nhi_integration.x`,
/// `schedule = nhi_rotation_schedule.y`. The secret goes from the platform to the sinks of
/// `deliver_to` and is never in state.
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
    #[tf(optional)]
    pub function: Attr<String>,

    /// When it rotates: a whole `nhi_rotation_schedule`. Unset: only when asked.
    #[tf(optional)]
    pub schedule: Attr<ScheduleReference>,

    /// Change a value to rotate now, with overlap. The first setting of the map does nothing, nor
    /// does its removal. Where a value becomes known only during apply, so does whether it rotates.
    #[tf(optional)]
    pub triggers: Attr<BTreeMap<String, String>>,

    /// Set or change it when the credential is exposed: rotates now, without overlap.
    #[tf(optional)]
    pub incident: Attr<String>,

    /// In an incident: `issue_first`, or `revoke_first` (an outage is accepted).
    #[tf(default = "issue_first", validate = rules::on_incident)]
    pub on_incident: Attr<String>,

    /// Where the secret is delivered, by a name of your own. At least one, or `secret_source`.
    #[tf(optional)]
    pub deliver_to: Attr<BTreeMap<String, Delivery>>,

    /// Where the secret is documented to be, if we never hold it.
    #[tf(optional)]
    pub secret_source: Attr<String>,

    /// What counts as the consumer having picked up the new one: `timer`, the end of the overlap.
    /// No other sign is listened to yet.
    #[tf(optional, computed, validate = rules::confirm)]
    pub confirm: Attr<String>,

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
    /// `missing`, `unfinished`, `undelivered`, `stale_copy`, `foreign`, `retire_due`, `waiting`,
    /// `unheld`, `rotating` or `held`.
    #[tf(computed, not_null)]
    pub status: Attr<String>,

    /// Earlier credentials of the slot that still work.
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
    #[tf(required)]
    pub connection: Attr<String>,
    /// The document in it.
    #[tf(required)]
    pub path: Attr<String>,
    /// The document's fields: `id`, `secret`, or any fixed text. The type's own form unless set.
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
    /// When its overlap is over.
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
    /// `D` not provable.
    #[tf(computed)]
    pub grade: Attr<String>,
    /// Until when a token that was minted from it may live.
    #[tf(computed)]
    pub residual_until: Attr<String>,
}

/// The identity: the slot.
#[derive(Debug, Clone, PartialEq, Model)]
pub(crate) struct CredentialIdentity {
    /// The connection's name.
    #[tf(required)]
    pub connection: Attr<String>,
    /// The platform object's name.
    #[tf(required)]
    pub kind: Attr<String>,
    /// The vendor's key.
    #[tf(required)]
    pub key: Attr<String>,
    /// The slot's name.
    #[tf(required)]
    pub name: Attr<String>,
}

/// `nhi_credential`.
#[derive(Debug)]
pub(crate) struct Credential {
    shared: Shared,
}

impl Credential {
    pub(crate) fn new(shared: Shared) -> Credential {
        Credential { shared }
    }
}

/// What a plan is to do with the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Nothing beyond the record.
    Nothing,
    /// A new generation.
    Rotate { at_once: bool },
    /// Earlier ones end.
    Retire,
    /// Copies are made.
    Copy,
    /// What was begun is finished.
    Resume,
    /// Everything in the slot ends.
    End,
    /// Apply knows whether a new generation is asked for.
    Open,
}

fn schedule_of(reference: &Attr<ScheduleReference>) -> Option<Schedule> {
    schedule(&parts(reference.value()?))
}

fn parts(one: &ScheduleReference) -> Parts<'_> {
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

/// The type that is set, or the kind's own.
fn type_of(model: &CredentialModel, kind: &'static Kind) -> Option<&'static CredentialType> {
    match model.credential_type.chosen() {
        Some((one, _)) => Some(one),
        None => kind.credential_types.first().copied(),
    }
}

fn spec_of(model: &CredentialModel, known: Option<&CredentialModel>) -> Option<SlotSpec> {
    let reference = model.integration.value()?;
    let integration: IntegrationId = reference.id.as_deref()?.parse().ok()?;
    let (_, kind) = kind(&integration.kind)?;
    let known = known.unwrap_or(model);
    Some(SlotSpec {
        id: CredentialId {
            integration,
            name: model.name.as_deref().unwrap_or("default").to_owned(),
        },
        vendor_id: reference.vendor_id.as_deref()?.to_owned(),
        kind,
        credential_type: type_of(model, kind)?,
        settings: model.credential_type.settings(),
        schedule: schedule_of(&model.schedule),
        deliveries: model
            .deliver_to
            .value()
            .into_iter()
            .flatten()
            .map(|(name, one)| operations::Delivery {
                name: name.clone(),
                connection: one.connection.text().to_owned(),
                path: one.path.text().trim_matches('/').to_owned(),
                fields: one.fields.value().cloned().unwrap_or_default(),
                merge: one.merge.value().copied().unwrap_or(false),
            })
            .collect(),
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

/// Places that state still has and the plan has not.
fn no_longer_delivered(prior: &CredentialModel, spec: &SlotSpec) -> Vec<operations::Delivery> {
    let before = spec_of(prior, None).map(|before| before.deliveries).unwrap_or_default();
    let kept: Vec<String> = spec.deliveries.iter().map(operations::Delivery::place).collect();
    before.into_iter().filter(|one| !kept.contains(&one.place())).collect()
}

fn end_of_day(day: &str) -> Option<Timestamp> {
    let next = day.parse::<jiff::civil::Date>().ok()?.tomorrow().ok()?;
    Some(next.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// Known before, known now, and another.
fn changed<T: PartialEq>(before: &Attr<T>, after: &Attr<T>) -> bool {
    matches!((before, after), (Attr::Value(a), Attr::Value(b)) if a != b)
}

/// What came from an import or a move: nothing is known yet of what was asked of it before, so
/// nothing that is said for the first time is new.
fn is_taken_in(model: &CredentialModel) -> bool {
    model.deliver_to.is_null() && model.secret_source.is_null()
}

/// What asks for a new generation, as a reason in rank.
fn asked(prior: &CredentialModel, planned: &CredentialModel) -> Option<(&'static str, bool)> {
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
    if let Some((fields, before, after)) = settings_of(prior, planned)
        && policy::settings::needs_rotation(fields, &before, &after)
    {
        return Some(("settings_changed", false));
    }
    None
}

/// The settings of one type before and after. Without a type of its own a slot has the kind's, with
/// its defaults; what an import could not tell is not another.
fn settings_of(
    prior: &CredentialModel,
    planned: &CredentialModel,
) -> Option<(&'static [connector::Field], domain::Settings, domain::Settings)> {
    if is_taken_in(prior) && prior.credential_type.chosen().is_none() {
        return None;
    }
    let kind = kind_of(&planned.integration.value()?.id)?;
    let (before, after) = (type_of(prior, kind)?, type_of(planned, kind)?);
    let whole = |one: &CredentialModel| {
        policy::settings::with_defaults(before.fields, &one.credential_type.settings())
    };
    (before.name == after.name).then(|| (before.fields, whole(prior), whole(planned)))
}

/// Whether settings change that need no other credential.
fn adjusts(prior: &CredentialModel, planned: &CredentialModel) -> bool {
    settings_of(prior, planned).is_some_and(|(fields, before, after)| {
        policy::settings::needs_adjusting(fields, &before, &after)
    })
}

fn work_of(prior: &CredentialModel, planned: &CredentialModel) -> (Work, &'static str) {
    let state = planned.integration.value().map(|one| one.state.clone()).unwrap_or_default();
    let active = state.as_deref().is_none_or(|state| state == "active");
    let status = prior.status.text();
    let consequence = consequence_for(status, active);
    let asked = asked(prior, planned);
    if !active {
        return match (consequence, asked) {
            (Consequence::End, _) | (_, Some(("exposed", _))) => (Work::End, "exposed"),
            (Consequence::Retire, _) => (Work::Retire, "schedule"),
            _ => (Work::Nothing, ""),
        };
    }
    if let Some((reason, at_once)) = asked {
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
    match consequence {
        Consequence::RotateAtOnce => (Work::Rotate { at_once: true }, "expiring"),
        Consequence::Rotate => (Work::Rotate { at_once: false }, "schedule"),
        Consequence::Resume => (Work::Resume, "schedule"),
        Consequence::Retire => (Work::Retire, "schedule"),
        Consequence::Copy => (Work::Copy, "schedule"),
        Consequence::End => (Work::End, "exposed"),
        Consequence::Nothing => {
            let new = planned.deliver_to.value().into_iter().flatten().any(|(name, one)| {
                prior.deliver_to.value().and_then(|before| before.get(name)).is_none_or(|before| {
                    before.connection != one.connection || before.path != one.path
                })
            });
            if new && prior.secret_held == true {
                (Work::Copy, "schedule")
            } else {
                (Work::Nothing, "")
            }
        }
    }
}

/// The kind of an id; from one whose key is unknown yet the kind still shows.
fn kind_of(id: &Attr<String>) -> Option<&'static Kind> {
    let name = match id {
        Attr::Value(id) => id.parse::<IntegrationId>().ok()?.kind,
        Attr::Unknown(Some(promise)) => promise.prefix.as_deref()?.split('/').nth(1)?.to_owned(),
        _ => return None,
    };
    kind(&name).map(|(_, kind)| kind)
}

/// What a type of credential cannot do and this declaration asks of it.
fn cannot_rotate(
    wanted: &CredentialType,
    config: &CredentialModel,
    planned: &CredentialModel,
) -> Diagnostics {
    let mut found = Diagnostics::new();
    let overlaps = |one: &connector::Profile| matches!(one.effect, connector::Effect::Adds { max_live } if max_live.is_none_or(|most| most > 1));
    if config.schedule.is_null() || wanted.profiles.iter().any(overlaps) {
        return found;
    }
    if wanted.profiles.iter().all(|one| one.name == "first-only") {
        found.error_at(
            "schedule",
            "This credential cannot be rotated",
            format!(
                "The platform makes one {} and never another, so no schedule can be kept.\nNext: choose \
                 another type of credential, or remove the schedule.\n(E-ROTATE)",
                wanted.name
            ),
        );
    } else if !none_overlap(planned) {
        found.error_at(
            Path::attribute("schedule").then("overlap"),
            "This credential cannot overlap",
            format!(
                "The platform holds one {} at a time: the old one dies when the new one is made.\nNext: \
                 set overlap = \"0\" in the schedule, or choose another type of credential.\n(E-OVERLAP)",
                wanted.name
            ),
        );
    }
    found
}

/// Whoever asks for another one of what a platform makes once.
fn never_another(wanted: &CredentialType) -> Diagnostics {
    let mut found = Diagnostics::new();
    let once = |one: &CredentialType| one.profiles.iter().all(|way| way.name == "first-only");
    if once(wanted) {
        let others: Vec<String> = kinds()
            .map(|(_, kind)| kind.credential_types)
            .filter(|types| types.iter().any(|one| one.name == wanted.name))
            .flatten()
            .filter(|one| !once(one))
            .map(|one| format!("{} = {{}}", one.name))
            .collect();
        let choose = match others.as_slice() {
            [] => String::new(),
            _ => format!("choose another type of credential ({}), or ", others.join(" or ")),
        };
        found.error_at(
            wanted.name,
            "This credential cannot be rotated",
            format!(
                "The platform makes one {} and never another.\nNext: {choose}replace the \
                 integration.\n(E-ROTATE)",
                wanted.name,
            ),
        );
    }
    found
}

fn none_overlap(model: &CredentialModel) -> bool {
    schedule_of(&model.schedule).is_some_and(|one| one.overlap == domain::Span::ZERO)
}

impl Credential {
    /// Looks at the world and says what state should hold.
    async fn observe(
        &self,
        request: Read<CredentialModel>,
    ) -> Result<Option<Done<CredentialModel>>, Unseen> {
        let mut model = request.state;
        let context = self.shared.context()?;
        let Some(id) = model.id.as_deref().and_then(|id| id.parse::<CredentialId>().ok()) else {
            return Err(Diagnostic::error(
                "The id in state is not one of ours",
                format!("{:?}.\nNext: take it out of state with terraform state rm, and import it.\n(E-STATE)", model.id.text()),
            )
            .into());
        };
        let id = match id.integration.connection.as_str() {
            UNKNOWN_CONNECTION => CredentialId {
                integration: find_connection(&context, &id.integration, None).await?,
                ..id
            },
            _ => id,
        };
        model.id = Attr::Value(id.to_string());
        if model.integration.is_null() {
            let seen = observe_integration(&context, &id.integration, None, None).await?;
            let Some(seen) = seen else { return Ok(None) };
            model.integration = Attr::Value(CredentialedIntegration {
                id: Attr::Value(id.integration.to_string()),
                vendor_id: Attr::Value(seen.observed.vendor_id),
                ..CredentialedIntegration::default()
            });
            model.name = Attr::Value(id.name.clone());
            model.on_incident = "issue_first".into();
        }
        let Some(spec) = spec_of(&model, None) else {
            return Err(Diagnostic::error(
                "Unknown kind",
                format!("{id}: this version cannot read it.\nNext: use the version of the provider that made it.\n(E-KIND)"),
            )
            .into());
        };
        let seen = observe_slot(&context, &spec).await?;
        let Some(seen) = seen else { return Ok(None) };
        let mut told = Diagnostics::new();
        if seen.key_id.is_none() && model.key_id.is_null() {
            // An import of a slot that never was.
            return Ok(None);
        }
        model.credential_type.take(&seen.settings);
        model.key_id =
            optional(seen.key_id.clone().or_else(|| model.key_id.as_deref().map(str::to_owned)));
        model.generation = Attr::Value(i64::try_from(seen.generation).unwrap_or(0));
        model.fingerprint = optional(seen.fingerprint.clone());
        model.issued_at = optional(seen.issued_at.map(moment));
        model.expires_at = optional(seen.expires_at.map(moment));
        model.secret_held = Attr::Value(seen.secret_held);
        model.previous = Attr::Value(previous_of(&seen.previous));
        if let Some(deliveries) = model.deliver_to.value_mut() {
            for (name, one) in deliveries.iter_mut() {
                if let Some(seen) = seen.deliveries.get(name) {
                    one.version = optional(seen.version.map(|version| version.to_string()));
                    one.status = seen.status.into();
                }
            }
        }
        if model.confirm.is_null() {
            model.confirm = "timer".into();
        }
        model.status = seen.status.into();
        let note = seen.note.clone().unwrap_or_default();
        match seen.status {
            "rotating" => told.warning_at("status", "Somebody else is at work on this credential", format!("{id}: {note}.")),
            "held" => told.warning_at(
                "status",
                "This credential waits for a person",
                format!("{id}: {note}.\nNext: nhi ledger show {id}"),
            ),
            "waiting" => told.warning_at(
                "status",
                "This credential is due and waits for its window",
                format!(
                    "{id}: next opening {}.",
                    seen.next_opening.map_or_else(|| "unknown".to_owned(), moment)
                ),
            ),
            "unheld" => told.warning_at(
                "status",
                "This secret is in no sink of ours",
                format!("{id}: nobody can deliver it again.\nNext: take it into custody: set deliver_to, and change a value in triggers."),
            ),
            _ => {}
        }
        Ok(Some(Done::new(model).tell(told)))
    }
}

impl Resource for Credential {
    type Model = CredentialModel;
    const TYPE_NAME: &'static str = "nhi_credential";

    async fn validate(&self, config: &CredentialModel, _call: &Call) -> Diagnostics {
        let mut found = Diagnostics::new();
        let empty = config.deliver_to.value().is_some_and(BTreeMap::is_empty);
        if (config.deliver_to.is_null() || empty) && config.secret_source.is_null() {
            found.error_at(
                "deliver_to",
                "The secret needs a place",
                "No sink is named, and nothing says where it is documented to be.\nNext: name at least one sink, or say in secret_source where a secret is that we never hold.\n(E-NO-SINK)",
            );
        }
        if let [_, second, ..] = config.credential_type.present()[..] {
            found.error_at(
                second,
                "More than one type of credential",
                "A slot holds one.\nNext: set at most one.\n(E-KIND)",
            );
        }
        let id = config.integration.value().map(|one| one.id.clone()).unwrap_or_default();
        if let (Some(id), [name]) = (id.as_deref(), &config.credential_type.present()[..])
            && let Ok(id) = id.parse::<IntegrationId>()
            && let Some((_, kind)) = kind(&id.kind)
            && !kind.credential_types.iter().any(|one| one.name == *name)
        {
            let can: Vec<&str> = kind.credential_types.iter().map(|one| one.name).collect();
            found.error_at(
                *name,
                "This kind has no such credential",
                format!(
                    "{} has no {name}.\nNext: choose one that it may have: {}.\n(E-KIND)",
                    kind.name,
                    can.join(", ")
                ),
            );
        }
        for (name, one) in config.deliver_to.value().into_iter().flatten() {
            if one.fields.value().is_some_and(|fields| fields.contains_key("_nhi")) {
                found.error_at(
                    Path::attribute("deliver_to").key(name).then("fields"),
                    "This field is taken",
                    "_nhi holds what nhi itself must find again.\nNext: name the field otherwise.\n(E-FIELDS)",
                );
            }
            let has_secret =
                one.fields.value().is_none_or(|all| all.values().any(|what| what == "secret"));
            if !has_secret {
                found.error_at(
                    Path::attribute("deliver_to").key(name).then("fields"),
                    "The document would not hold the secret",
                    "No field is \"secret\".\nNext: let one field be \"secret\", or leave fields unset.\n(E-FIELDS)",
                );
            }
        }
        if let Some(schedule) = config.schedule.value() {
            let at = Path::attribute("schedule");
            contradictions(&parts(schedule), domain::Span::ZERO, &at, &mut found);
        }
        found
    }

    async fn plan(&self, plan: &mut Plan<CredentialModel>) {
        let rules = self.shared.rules();
        let context = self.shared.context_if_ready();
        if plan.planned.is_none() {
            // A delete that is not half of a replacement finds nothing of one here.
            plan.planned_private = Vec::new();
            if let Some(prior) = &plan.prior {
                plan.diagnostics.warning(
                    "This ends a credential",
                    format!("{}: whoever still uses it can no longer sign in.", prior.id.text()),
                );
            }
            return;
        }
        let mut told = Diagnostics::new();
        let mut replace = false;
        let mut other_type = None;
        let mut private = None;
        if plan.prior.is_none() && is_slot_note(&plan.prior_private) {
            // No plan is asked for the delete half of a replacement, so this half speaks for both.
            told.warning(
                "A replacement is a rotation without overlap",
                "The new credential is issued, delivered and tried first; the old one then ends in \
                 the same apply.\nNext: to rotate with overlap change a value in triggers instead.",
            );
        }
        if let Some((config, prior, planned)) = plan.changing() {
            let reference = planned.integration.value().cloned().unwrap_or_default();
            planned.id = match (&reference.id, planned.name.as_deref()) {
                (Attr::Value(id), Some(name)) => Attr::Value(match id.parse::<IntegrationId>() {
                    Ok(integration) => {
                        CredentialId { integration, name: name.to_owned() }.to_string()
                    }
                    Err(_) => format!("{id}/credential/{name}"),
                }),
                (Attr::Unknown(Some(promise)), _) => match &promise.prefix {
                    Some(prefix) => Attr::unknown_with_prefix(prefix.clone()),
                    None => Attr::unknown_not_null(),
                },
                _ => Attr::unknown_not_null(),
            };
            if config.confirm.is_null() && prior.is_none_or(|prior| prior.confirm.is_null()) {
                planned.confirm = "timer".into();
            }
            if reference.vendor_id.is_null() || reference.technical_owner.is_null() {
                told.warning_at(
                    "integration",
                    "The integration was passed without some of its facts",
                    "Without vendor_id and technical_owner, a recreated integration or another owner does not rotate this credential.\nNext: pass the whole object.",
                );
            }
            if rules.require_schedule && config.schedule.is_null() {
                told.error_at(
                    "schedule",
                    "The policy asks for more",
                    "A schedule is required here.\nNext: set schedule.\n(E-POLICY-REQUIRED)",
                );
            }
            if let Some(schedule) = planned.schedule.value() {
                let at = Path::attribute("schedule");
                contradictions(&parts(schedule), rules.every_floor, &at, &mut told);
            }
            let nowhere = planned
                .deliver_to
                .value()
                .map_or_else(|| planned.deliver_to.is_null(), BTreeMap::is_empty);
            if prior.is_none() && nowhere {
                told.push(error(&no_place()));
            }
            tell_unknown_connection(context.as_ref(), &reference.id, &mut told);
            if let Some(context) = &context {
                for (name, one) in planned.deliver_to.value().into_iter().flatten() {
                    let Some(connection) = one.connection.as_deref() else { continue };
                    match context.connections.platform(connection) {
                        Ok(platform) if platform.is_sink() => {}
                        Ok(platform) => told.push(error(
                            &Problem::new("E-SINK-KIND", "This connection is no sink")
                                .detail(format!(
                                    "{connection:?} is {}, which cannot hold secrets.",
                                    platform.name()
                                ))
                                .at(&["deliver_to", name, "connection"]),
                        )),
                        Err(problem) => {
                            told.push(error(&problem.at(&["deliver_to", name, "connection"])));
                        }
                    }
                }
            }
            if let Some(kind) = kind_of(&reference.id)
                && let Some(wanted) = type_of(config, kind)
            {
                told.extend(cannot_rotate(wanted, config, planned));
            }
            let issued_as = match (&context, kind_of(&reference.id)) {
                (Some(context), Some(kind)) => way_of(context, &reference.id, config, kind).await,
                _ => None,
            };
            if let Some(Err(none)) = &issued_as {
                told.extend(none.clone());
            }
            let profile = issued_as.and_then(Result::ok);
            if let Some(prior) = prior {
                for at in hidden(prior, config, planned) {
                    told.push(unknown_governed(at));
                }
            }
            match prior {
                None => {
                    tell_limits(profile, &mut told);
                    plan_create(planned);
                    let wanted = kind_of(&reference.id).and_then(|kind| type_of(config, kind));
                    private = planned.id.as_deref().map(|id| half(id, wanted.map(|one| one.name)));
                }
                Some(prior) => {
                    let before = prior.integration.value().cloned().unwrap_or_default();
                    replace = before.id.is_value() && before.id != reference.id
                        || before.vendor_id.is_value()
                            && !reference.vendor_id.is_null()
                            && before.vendor_id != reference.vendor_id;
                    let (work, reason) = work_of(prior, planned);
                    other_type = kind_of(&reference.id).and_then(|kind| {
                        // What an import could not tell is null, and replaces nothing.
                        let (before, _) = prior.credential_type.chosen()?;
                        let after = type_of(config, kind)?;
                        (before.name != after.name).then_some([before.name, after.name])
                    });
                    if !replace && other_type.is_none() {
                        if let (Work::Rotate { .. }, Some(kind)) = (work, kind_of(&reference.id))
                            && prior.status != "missing"
                            && let Some(wanted) = type_of(config, kind)
                        {
                            told.extend(never_another(wanted));
                        }
                        plan_update(prior, planned, work);
                        tell(prior, planned, work, reason, &mut told);
                        if let (Work::Rotate { at_once: false }, Some(profile)) = (work, profile) {
                            tell_end(prior, planned, profile, &mut told);
                        }
                        tell_direction(prior, planned, &mut told);
                    }
                    // The second half of a replacement finds it, and says what happens.
                    private = prior.id.as_deref().map(slot_note);
                }
            }
        }
        plan.diagnostics.extend(told);
        if replace {
            plan.require_replace(Path::attribute("integration"));
        }
        for name in other_type.into_iter().flatten() {
            plan.require_replace(Path::attribute(name));
        }
        if let Some(private) = private {
            plan.planned_private = private;
        }
    }

    async fn create(
        &self,
        request: Create<CredentialModel>,
    ) -> Result<Done<CredentialModel>, Failure<CredentialModel>> {
        let mut model = request.planned;
        let context = self.shared.context().map_err(errors)?;
        let spec = spec_of(&model, None).ok_or_else(not_whole)?;
        if spec.deliveries.is_empty() {
            return Err(errors(no_place()).into());
        }
        let spec = SlotSpec { known: None, ..spec };
        let outcome = create_slot(&context, &spec).await.map_err(errors)?;
        let mut told = take_outcome(&mut model, &spec, &outcome);
        told.extend(notices(&context));
        Ok(Done::new(model).private(Vec::new()).tell(told))
    }

    async fn read(
        &self,
        request: Read<CredentialModel>,
    ) -> Result<Option<Done<CredentialModel>>, Diagnostics> {
        let (state, call) = (request.state.clone(), request.call.clone());
        observed(self.observe(request).await.map_err(on_integration), state, &call)
    }

    async fn update(
        &self,
        request: Update<CredentialModel>,
    ) -> Result<Done<CredentialModel>, Failure<CredentialModel>> {
        let (prior, mut model) = (request.prior, request.planned);
        let context = self.shared.context().map_err(errors)?;
        let spec = spec_of(&model, Some(&prior)).ok_or_else(not_whole)?;
        let (work, reason) = work_of(&prior, &model);
        let at = u64::try_from(prior.generation.value().copied().unwrap_or(0)).unwrap_or(0);
        let goal = match work {
            Work::Nothing => None,
            Work::Rotate { at_once } => {
                window_is_open(&prior, &spec, reason, at_once, context.now())?;
                // Where the current one is gone, the plan says that nothing earlier is kept.
                let none_kept = at_once || none_overlap(&model) || prior.status == "missing";
                Some(Goal::Rotate { to: at + 1, at_once: none_kept })
            }
            Work::Retire => Some(Goal::Retire { at }),
            Work::End => Some(Goal::Revoke),
            Work::Open => return Err(super::integration::incomplete().into()),
            Work::Copy => Some(Goal::Rotate { to: at, at_once: false }),
            Work::Resume => Some(goal_of_resume(&context, &spec, at).await.map_err(errors)?),
        };
        let mut told = Diagnostics::new();
        match goal {
            Some(goal) => {
                let first = if ends_first(work, reason, &model) {
                    revoke_first(&context, &spec, reason).await.map_err(errors)?
                } else {
                    Vec::new()
                };
                let mut outcome = carry_out(&context, &spec, goal, reason).await.map_err(errors)?;
                outcome.revoked.splice(0..0, first);
                if goal == Goal::Revoke
                    && let Some(seen) = observe_slot(&context, &spec).await.map_err(errors)?
                {
                    outcome.deliveries = seen.deliveries;
                }
                told = take_outcome(&mut model, &spec, &outcome);
            }
            // A key that was imported or moved here is in no claim of ours yet.
            None => take_over(&context, &spec).await.map_err(errors)?,
        }
        if !matches!(work, Work::Rotate { .. } | Work::End) && adjusts(&prior, &model) {
            adjust(&context, &spec).await.map_err(errors)?;
        }
        if matches!(work, Work::Nothing | Work::Copy)
            && let Some(ends) = moved_ends(&prior, &model)
        {
            set_ends(&context, &spec, &ends).await.map_err(errors)?;
        }
        // The next deed writes it if the ledger cannot be read now.
        let _ = declare_slot(&context, &spec).await;
        let gone = no_longer_delivered(&prior, &spec);
        if !gone.is_empty() {
            let left = withdraw(&context, &spec, &gone).await.map_err(|problem| {
                // The rest is done; the next apply takes it out again.
                let mut partly = model.clone();
                partly.deliver_to = prior.deliver_to.clone();
                Failure::keeping(partly, errors(problem))
            })?;
            if !left.is_empty() {
                told.warning_at(
                    "deliver_to",
                    "A document was left where it is",
                    format!(
                        "{}: somebody wrote over what was delivered to {}; it is not ours to remove.",
                        spec.id,
                        left.join(", ")
                    ),
                );
            }
        }
        told.extend(notices(&context));
        Ok(Done::new(model).private(Vec::new()).tell(told))
    }

    async fn delete(
        &self,
        request: Delete<CredentialModel>,
    ) -> Result<Diagnostics, Failure<CredentialModel>> {
        let model = request.prior;
        let context = self.shared.context().map_err(errors)?;
        // Dropped from state it would work on, known to nobody.
        let spec = spec_of(&model, None).ok_or_else(|| {
            errors(
                Problem::new("E-STATE", "This credential cannot be ended from here")
                    .detail(format!(
                        "{:?}: its state does not say of which integration, in a kind that this \
                         version knows, it is. Nothing was revoked, and it stays in state.",
                        model.id.text()
                    ))
                    .next(
                        "use the version of the provider that made it, or end it at its platform \
                         and then: terraform state rm",
                    ),
            )
        })?;
        if is_half_of(
            &request.planned_private,
            &spec.id.to_string(),
            Some(spec.credential_type.name),
        ) {
            park_for_replacement(&context, &spec).await.map_err(errors)?;
            let mut told = Diagnostics::new();
            told.warning(
                "Kept alive until its replacement works",
                format!(
                    "{}: a replacement of a credential is a rotation without overlap.",
                    spec.id
                ),
            );
            return Ok(told);
        }
        let outcome =
            carry_out(&context, &spec, Goal::Revoke, "destroyed").await.map_err(errors)?;
        let mut told = Diagnostics::new();
        for one in outcome.revoked.iter().filter(|one| one.grade < Grade::B) {
            told.warning(
                "A revocation could not be proven",
                format!("{}: {} to grade {}.", spec.id, one.key_id, one.grade.as_str()),
            );
        }
        told.extend(notices(&context));
        Ok(told)
    }
}

fn no_place() -> Problem {
    Problem::new("E-NO-SINK", "There is no place for the secret")
        .detail("A new credential has nowhere to go; secret_source only documents one that exists.")
        .next("name a sink in deliver_to, or import the one that exists")
        .at(&["deliver_to"])
}

fn not_whole() -> Diagnostics {
    Diagnostic::error(
        "This integration has no credentials that can be governed here",
        "Its kind has none, or the reference lacks id and vendor_id.\nNext: pass the whole nhi_integration.\n(E-KIND)",
    )
    .at("integration")
    .into()
}

fn plan_create(planned: &mut CredentialModel) {
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

/// Planned values (resource model §8.3): `generation` is known, so consumers can be restarted by it.
fn plan_update(prior: &CredentialModel, planned: &mut CredentialModel, work: Work) {
    // The engine's own unknowns (volatile versions) are decided here, one by one.
    let before = prior.deliver_to.value().cloned().unwrap_or_default();
    let written = matches!(work, Work::Rotate { .. } | Work::Resume);
    let copied = work == Work::Copy;
    for (name, one) in planned.deliver_to.value_mut().into_iter().flatten() {
        let known = before.get(name);
        let same =
            known.filter(|known| known.connection == one.connection && known.path == one.path);
        match same {
            Some(known) if !(written || copied && known.status != "delivered") => {
                one.version = known.version.clone();
                one.status = known.status.clone();
            }
            None if work == Work::Nothing || work == Work::Retire => {
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
        Work::Nothing => planned.previous = with_ends(prior, planned),
        Work::Open => {
            // A word that calls for nothing is kept where nothing turns out to be asked for.
            if !matches!(prior.status.text(), "current" | "retire_due" | "stale_copy") {
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
            planned.previous = with_ends(prior, planned);
            planned.status = "current".into();
            planned.secret_held = Attr::Value(true);
            planned.fingerprint = Attr::unknown();
        }
        Work::Retire => {
            planned.status = "current".into();
            planned.previous = Attr::Value(Vec::new());
            planned.last_revocation = Attr::unknown();
        }
        Work::Resume => {
            planned.status = "current".into();
            planned.secret_held = Attr::Value(true);
            leave_open(planned);
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
            let nothing_kept = at_once || none_overlap(planned) || prior.status == "missing";
            let schedule = &planned.schedule;
            let overlap_unknown = schedule.is_unknown()
                || schedule.value().is_some_and(|one| one.overlap.is_unknown());
            planned.previous = if overlap_unknown && !nothing_kept {
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
            let ends = nothing_kept || prior.previous.value().is_some_and(|all| !all.is_empty());
            planned.last_revocation = if ends || overlap_unknown {
                Attr::unknown()
            } else {
                prior.last_revocation.clone()
            };
        }
    }
}

/// Which credential it will be, and of which generation, becomes known during apply.
fn leave_open(planned: &mut CredentialModel) {
    planned.key_id = Attr::unknown_not_null();
    planned.generation = Attr::unknown_not_null();
    planned.fingerprint = Attr::unknown();
    planned.issued_at = Attr::unknown();
    planned.expires_at = Attr::unknown();
    planned.previous = Attr::unknown();
    planned.last_revocation = Attr::unknown();
}

/// What decides over a secret here, is known of what is there, and is not known any more.
fn hidden(
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
fn moved_ends(
    prior: &CredentialModel,
    planned: &CredentialModel,
) -> Option<BTreeMap<String, Timestamp>> {
    let (before, after) = (schedule_of(&prior.schedule)?, schedule_of(&planned.schedule)?);
    if before.overlap == after.overlap {
        return None;
    }
    let ends = prior.previous.value()?.iter().filter_map(|one| {
        let end = policy::schedule::earlier(instant(&one.retire_after)?, before.overlap);
        Some((one.key_id.as_deref()?.to_owned(), policy::schedule::later(end, after.overlap)))
    });
    Some(ends.collect())
}

/// Earlier credentials as state has them, with the ends that another overlap gives them.
fn with_ends(prior: &CredentialModel, planned: &CredentialModel) -> Attr<Vec<Previous>> {
    let mut previous = prior.previous.clone();
    let ends = moved_ends(prior, planned).unwrap_or_default();
    for one in previous.value_mut().into_iter().flatten() {
        if let Some(end) = one.key_id.as_deref().and_then(|key_id| ends.get(key_id)) {
            one.retire_after = Attr::Value(moment(*end));
        }
    }
    previous
}

/// In an incident the exposed one ends before there is another.
fn ends_first(work: Work, reason: &str, model: &CredentialModel) -> bool {
    let at_once = work == Work::Rotate { at_once: true };
    at_once && reason == "exposed" && model.on_incident == "revoke_first"
}

fn tell(
    prior: &CredentialModel,
    planned: &CredentialModel,
    work: Work,
    reason: &str,
    told: &mut Diagnostics,
) {
    let id = prior.id.text();
    match work {
        _ if ends_first(work, reason, planned) => told.warning_at(
            "on_incident",
            "Ends before there is another",
            format!(
                "{id} ({reason}, on_incident = \"revoke_first\"): all that it has is ended first. Nothing that \
                 uses it works until the next one is delivered in the same apply, and if that fails, not before \
                 another apply."
            ),
        ),
        Work::End => told.warning_at(
            "status",
            "Ends without a successor",
            format!("{id} (exposed): its integration may not act, so nothing is issued. Whoever still holds it can no longer sign in; a new one is issued when the integration is active again."),
        ),
        Work::Open => told.warning_at(
            "triggers",
            "Whether this rotates becomes known during apply",
            format!("{id}: a value in triggers is not known yet. If it is another one then, the credential rotates with overlap, and generation is the next."),
        ),
        Work::Nothing if asked(prior, planned).is_some() => told.warning_at(
            "integration",
            "Nothing is issued while the integration may not act",
            format!("{id}: what would rotate it is recorded and rotates nothing, now or later.\nNext: when the integration is active again, change a value in triggers."),
        ),
        Work::Rotate { at_once: true } => told.warning_at(
            "status",
            "Rotates without overlap",
            format!("{id} ({reason}): the old credential ends in the same apply; what still holds it stops working."),
        ),
        Work::Rotate { at_once: false } if prior.previous.value().is_some_and(|all| !all.is_empty()) => {
            told.warning_at(
                "previous",
                "The earlier credential ends first",
                format!(
                    "{id} ({reason}): never three generations at once. While its overlap is not over, apply \
                     refuses (E-OLD-IN-USE)."
                ),
            );
        }
        _ => {}
    }
}

/// How a new credential would be issued; an error where the connection has no way. `None` where it
/// cannot be asked.
async fn way_of(
    context: &Context,
    integration: &Attr<String>,
    config: &CredentialModel,
    kind: &'static Kind,
) -> Option<Result<&'static Profile, Diagnostics>> {
    let text = match integration {
        Attr::Value(id) => id.as_str(),
        Attr::Unknown(Some(promise)) => promise.prefix.as_deref()?,
        _ => return None,
    };
    let connection = text.split('/').next()?;
    let wanted = type_of(config, kind)?;
    let ways = ways(context, connection, wanted).await?;
    Some(ways.first().map(|way| way.profile).ok_or_else(|| {
        error(
            &Problem::new("E-ISSUE", "This connection cannot issue such a credential")
                .detail(format!("{connection:?} has no way to make a {}.", wanted.name))
                .next("choose another type of credential")
                .at(&["integration"]),
        )
        .into()
    }))
}

/// Says before anything is issued what that way cannot do.
fn tell_limits(profile: Option<&'static Profile>, told: &mut Diagnostics) {
    let Some(profile) = profile else { return };
    let limits = limits(profile);
    if !limits.is_empty() {
        told.warning_at(
            "integration",
            "What this credential cannot do",
            format!("It is issued as {}: {}.", profile.name, limits.join("; ")),
        );
    }
}

/// Says who ends the old credential when its overlap is over.
fn tell_end(
    prior: &CredentialModel,
    planned: &CredentialModel,
    profile: &'static Profile,
    told: &mut Diagnostics,
) {
    let keeps = planned.previous.value().is_some_and(|all| !all.is_empty());
    let Some(overlap) = schedule_of(&planned.schedule).map(|one| one.overlap).filter(|_| keeps)
    else {
        return;
    };
    let alone = match prior.expires_at.as_deref() {
        Some(end) => format!("ends by itself at {end}"),
        None => "lives on".to_owned(),
    };
    told.warning_at(
        "previous",
        "A later run ends the old credential",
        format!(
            "{}: issued as {}. The old one works for another {overlap} and is ended by the first apply \
             after that, with proof to grade {} at best. If nobody runs anything again, it {alone}.",
            prior.id.text(),
            profile.name,
            best_grade(profile).as_str()
        ),
    );
}

/// Says what of a change lets the secret reach further or live longer.
fn tell_direction(prior: &CredentialModel, planned: &CredentialModel, told: &mut Diagnostics) {
    let mut why = Vec::new();
    // After an import nothing is known of where it went.
    if let (Some(before), Some(after)) = (prior.deliver_to.value(), planned.deliver_to.value()) {
        for (name, one) in after {
            let same = |was: &Delivery| was.connection == one.connection && was.path == one.path;
            if !before.values().any(same) {
                why.push(format!(
                    "+ deliver_to.{name} ({}:{})",
                    one.connection.text(),
                    one.path.text()
                ));
            }
        }
    }
    if let Some(before) = schedule_of(&prior.schedule) {
        match schedule_of(&planned.schedule) {
            None if planned.schedule.is_null() => why.push("- schedule".to_owned()),
            None => {}
            Some(after) => {
                if after.every > before.every {
                    why.push(format!("schedule.every {} -> {}", before.every, after.every));
                }
                if after.overlap > before.overlap {
                    why.push(format!("schedule.overlap {} -> {}", before.overlap, after.overlap));
                }
                if lives_longer(before.lifetime, after.lifetime) {
                    why.push("schedule.lifetime".to_owned());
                }
            }
        }
    }
    if !why.is_empty() {
        told.warning(
            "This change gives power",
            format!("{} widens: {}.", prior.id.text(), why.join(", ")),
        );
    }
}

fn lives_longer(before: Lifetime, after: Lifetime) -> bool {
    match (before, after) {
        (Lifetime::Endless, _) => false,
        (_, Lifetime::Endless) => true,
        (Lifetime::Fixed(before), Lifetime::Fixed(after)) => after > before,
        // Derived of the interval, which is judged by itself.
        _ => false,
    }
}

/// A plan that was made inside a window does not act outside of it, unless a person decided so.
fn window_is_open(
    prior: &CredentialModel,
    spec: &SlotSpec,
    reason: &str,
    at_once: bool,
    now: Timestamp,
) -> Result<(), Diagnostics> {
    let Some(schedule) = &spec.schedule else { return Ok(()) };
    // What works for nobody is not held back any longer.
    let broken = reason == "schedule" && matches!(prior.status.text(), "missing" | "undelivered");
    if !at_once && !broken && schedule.in_blackout(now) {
        let held = schedule.blackout.iter().find(|one| one.from <= now && now < one.until);
        return Err(Diagnostic::error(
            "Nothing rotates during a blackout",
            format!(
                "{}: {}. Nothing was changed. Only what is exposed or has ended is not held back.\nNext: apply \
                 after it, or set incident if the credential is exposed.\n(E-BLACKOUT)",
                spec.id,
                held.map_or_else(String::new, |one| format!(
                    "{} until {}",
                    one.reason,
                    moment(one.until)
                ))
            ),
        )
        .into());
    }
    let grace = policy::schedule::earlier(now, domain::Span::from_secs(900));
    let by_clock = reason == "schedule" && prior.status == "due";
    if !by_clock || schedule.may_rotate(now) || schedule.may_rotate(grace) {
        return Ok(());
    }
    let zone = schedule.timezone.iana_name().unwrap_or("UTC");
    let local = |at: Timestamp| {
        let there = at.to_zoned_datetime(schedule.timezone.clone());
        format!("{} {zone}", there.strftime("%a %Y-%m-%d %H:%M"))
    };
    let dates = instant(&prior.issued_at).map_or_else(String::new, |issued| {
        let due = schedule.first_due(&spec.id.to_string(), issued);
        let overdue = policy::schedule::later(due, schedule.overdue_after);
        format!(" It is due since {}, overdue on {}.", local(due), local(overdue))
    });
    let next = schedule
        .next_opening(now)
        .map_or_else(|| "unknown".to_owned(), |at| format!("{} ({})", local(at), moment(at)));
    Err(Diagnostic::error(
        "The rotation window has closed",
        format!(
            "{}: it was planned inside a window; it is now {}, outside of all of them.{dates} Nothing was changed. Next opening: {next}.\nNext: plan again then, or rotate now by changing triggers (a person's decision).\n(E-WINDOW-CLOSED)",
            spec.id,
            local(now),
        ),
    )
    .into())
}

fn previous_of(all: &[operations::PreviousKey]) -> Vec<Previous> {
    all.iter()
        .map(|one| Previous {
            key_id: Attr::Value(one.key_id.clone()),
            generation: Attr::Value(i64::try_from(one.generation).unwrap_or(0)),
            retire_after: optional(one.retire_after.map(moment)),
        })
        .collect()
}

/// Fills in what was unknown; what was planned known is what was done, or an error came before.
fn take_outcome(model: &mut CredentialModel, spec: &SlotSpec, outcome: &Outcome) -> Diagnostics {
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
        model.last_revocation = Attr::from(outcome.revoked.last().map(|one| Revocation {
            key_id: Attr::Value(one.key_id.clone()),
            grade: one.grade.as_str().into(),
            residual_until: optional(one.residual_until.map(moment)),
        }));
    }
    if let Some(by) = &outcome.done_by
        && outcome.revoked.is_empty()
        && !by.starts_with("apply:")
    {
        told.warning("This was done already", format!("{}: {by} had rotated it.", spec.id));
    }
    told
}

impl Identity for Credential {
    type Identity = CredentialIdentity;

    fn identity(&self, state: &CredentialModel) -> CredentialIdentity {
        let id = state.id.as_deref().and_then(|id| id.parse::<CredentialId>().ok());
        match id.filter(|id| moved::is_found(&id.integration)) {
            Some(CredentialId { integration, name }) => CredentialIdentity {
                connection: integration.connection.into(),
                kind: integration.kind.into(),
                key: integration.key.into(),
                name: name.into(),
            },
            None => CredentialIdentity {
                connection: Attr::unknown(),
                kind: Attr::unknown(),
                key: Attr::unknown(),
                name: Attr::unknown(),
            },
        }
    }
}

impl ImportState for Credential {
    async fn import(&self, request: Import) -> Result<Done<CredentialModel>, Diagnostics> {
        let id = match (&request.by, request.by.identity::<CredentialIdentity>()?) {
            (By::Id(id), _) => id.parse::<CredentialId>().map_err(|error| {
                Diagnostic::error(
                    "This is no credential's id",
                    format!("{error}.\nNext: nhi scan prints them.\n(E-ID)"),
                )
            })?,
            (_, Some(identity)) => CredentialId {
                integration: IntegrationId::new(
                    identity.connection.need("connection")?.clone(),
                    identity.kind.need("kind")?.clone(),
                    identity.key.need("key")?.clone(),
                ),
                name: identity.name.need("name")?.clone(),
            },
            (_, None) => {
                return Err(Diagnostic::error(
                    "No id",
                    "Nothing says what to import.\nNext: give an id or an identity.\n(E-ID)",
                )
                .into());
            }
        };
        Ok(CredentialModel { id: Attr::Value(id.to_string()), ..CredentialModel::default() }.into())
    }
}

impl MoveState for Credential {
    /// Takes over a `vault_approle_auth_backend_role_secret_id`. The secret in its state is left
    /// behind: it never was a secret any more.
    async fn move_state(
        &self,
        source: Source,
    ) -> Result<Option<Done<CredentialModel>>, Diagnostics> {
        let type_name = "vault_approle_auth_backend_role_secret_id";
        let Some(integration) = moved::role(&source, type_name, "role_name")? else {
            return Ok(None);
        };
        let Some(accessor) = source.state.get("accessor").and_then(serde_json::Value::as_str)
        else {
            return Err(Diagnostic::error(
                "The state of the source has no accessor",
                "A secret-id is known by its accessor.\nNext: remove the moved block and make a new nhi_credential.\n(E-MOVED)",
            )
            .into());
        };
        let mut told = Diagnostics::new();
        told.warning(
            "The secret stands in old versions of this state",
            format!(
                "{integration}: the other provider wrote the secret-id into state in clear, and every \
                 stored version of that state still has it. It is left out from now on.\nNext: deliver \
                 it to a sink, and rotate it by changing a value in triggers."
            ),
        );
        let id = CredentialId { integration, name: "default".to_owned() };
        let model = CredentialModel {
            id: Attr::Value(id.to_string()),
            key_id: Attr::Value(accessor.to_owned()),
            secret_held: Attr::Value(false),
            ..CredentialModel::default()
        };
        Ok(Some(Done::new(model).tell(told)))
    }
}
