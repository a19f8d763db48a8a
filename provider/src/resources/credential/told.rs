//! What a plan says of a slot: what cannot be done, and what is done that its values do not show.

use connector::{CredentialType, Effect, Kind, Profile, Promise};
use domain::{CredentialId, Direction, Span};
use operations::{
    Context, Outcome, Problem, SeenSlot, SlotSpec, best_grade, interrupts, limits, way_words, ways,
};
use policy::{Schedule, schedule::Lifetime, settings};
use tfplugin::{Attr, Diagnostic, Diagnostics, Path};

use super::{
    model::{CredentialModel, Delivery, Schedules, consumers_of, has_earlier},
    slot::{kind_of, type_of},
    work::{Work, asked, ends_first},
};
use crate::{
    diagnostics::error,
    resources::platform_objects::{connection_in, kinds},
    values::moment,
};

pub(super) fn tell(
    prior: &CredentialModel,
    planned: &CredentialModel,
    (work, reason): (Work, &str),
    profile: Option<&'static Profile>,
    done: bool,
    told: &mut Diagnostics,
) {
    let id = prior.id.text();
    let in_place = profile.filter(|profile| profile.effect == Effect::Replaces);
    if let (Work::Rotate { .. }, Some(profile)) = (work, in_place) {
        told.warning_at(
            "status",
            "Rotates without overlap",
            format!(
                "{id} ({reason}): {} ({}). What holds the old one stops working in that call, until it \
                 reads the new one. Where a run is cut off in between, nothing works before the next one \
                 has finished.\nNext: apply when that does no harm, and restart what reads it, by \
                 generation.",
                way_words(profile),
                profile.name
            ),
        );
    }
    match work {
        _ if ends_first(work, reason, planned) => told.warning_at(
            "on_incident",
            "Ends before there is another",
            format!(
                "{id} ({reason}, on_incident = \"revoke_first\"): all that it has is ended first. Nothing that \
                 uses it works until the next one is delivered in the same apply, and if that fails, not before \
                 another apply.\nNext: leave on_incident unset where the outage is worse than the exposure."
            ),
        ),
        Work::Cut => told.warning_at(
            "previous",
            "The old credential is switched off before it ends",
            format!(
                "{id}: what still holds it can no longer sign in. It is only off until retire_after, and the \
                 first apply after that ends it.\nNext: where somebody misses it meanwhile: nhi recover {id} \
                 --reenable."
            ),
        ),
        Work::End => told.warning_at(
            "status",
            "Ends without a successor",
            format!("{id} (exposed): its integration may not act, so nothing is issued. Whoever still holds it can no longer sign in; a new one is issued when the integration is active again.\nNext: make the integration active when the incident is over."),
        ),
        Work::Resume if !done && asked(prior, planned).is_some() => told.warning_at(
            "status",
            "What was begun is finished first",
            format!("{id} ({reason}): where a rotation is under way it is the one that is asked for; where an ending is, a rotation follows it.\nNext: nothing; generation says after the apply which of the two it was."),
        ),
        Work::Open => told.warning_at(
            "triggers",
            "Whether this rotates becomes known during apply",
            format!("{id}: a value in triggers is not known yet. If it is another one then, the credential rotates with overlap, and generation is the next.\nNext: write the value out where this plan must say so."),
        ),
        Work::Nothing if !done && asked(prior, planned).is_some() => told.warning_at(
            "integration",
            "Nothing is issued while the integration may not act",
            format!("{id}: what would rotate it is recorded and rotates nothing, now or later.\nNext: when the integration is active again, change a value in triggers."),
        ),
        Work::Rotate { at_once: true } if in_place.is_none() => told.warning_at(
            "status",
            "Rotates without overlap",
            format!("{id} ({reason}): the old credential ends in the same apply; what still holds it stops working.\nNext: restart what reads it, by generation."),
        ),
        // Where nobody reads the current one any more, its successor waits for no overlap.
        Work::Rotate { at_once: false }
            if has_earlier(prior)
                && !matches!(prior.status.text(), "missing" | "undelivered") =>
        {
            told.warning_at(
                "previous",
                "The earlier credential ends first",
                format!(
                    "{id} ({reason}): never three generations at once. While its overlap is not over, apply \
                     refuses (E-OLD-IN-USE).\nNext: apply when it is over, as retire_after says."
                ),
            );
        }
        _ => {}
    }
}

/// Says before anything is issued what that way cannot do.
pub(super) fn tell_limits(profile: Option<&'static Profile>, told: &mut Diagnostics) {
    let Some(profile) = profile else { return };
    let limits = limits(profile);
    if !limits.is_empty() {
        told.warning_at(
            "integration",
            "What this credential cannot do",
            format!(
                "How it is issued: {} ({}). What that cannot do: {}.\nNext: where that does not do, choose \
                 another type of credential.",
                way_words(profile),
                profile.name,
                limits.join("; ")
            ),
        );
    }
}

/// Says what a look found that no plan does anything about. `placed`: where its secret goes is known;
/// of what was just taken in, only the configuration says it, which a look is not shown.
pub(super) fn tell_status(
    id: &CredentialId,
    seen: &SeenSlot,
    placed: bool,
    told: &mut Diagnostics,
) {
    let note = seen.note.as_deref().unwrap_or_default();
    if let Some(at) = seen.accepts_anything {
        told.warning_at(
            "status",
            "A secret that nobody issued was let in",
            format!(
                "{id}: at {}, when the end of an earlier one was shown: no end is shown by use there.\nNext: \
                 see what stands between here and the platform (nhi doctor {}); the next proof looks again.",
                moment(at),
                id.integration.connection
            ),
        );
    }
    for (key_id, at, _) in &seen.in_use {
        told.warning_at(
            "previous",
            "Somebody still uses the earlier credential",
            format!(
                "{id}: {key_id}: its overlap is over, and it was last used at {}. It is kept until it is quiet, or \
                 its longest overlap is over.\nNext: find out who uses it, and let them read what is delivered.",
                moment(*at)
            ),
        );
    }
    for (key_id, until) in &seen.unread {
        told.warning_at(
            "previous",
            "The earlier credential is kept for its consumers",
            format!(
                "{id}: {key_id}: its overlap is over, and it is kept until {} for consumers that may not have read \
                 the next.\nNext: where all of them have: nhi ack {id} --generation {}",
                moment(*until),
                seen.generation
            ),
        );
    }
    if !seen.late.is_empty() {
        told.warning_at(
            "status",
            "A call of ours came late",
            format!(
                "{id}: it made {}, of which nobody has the secret.\nNext: apply, or nhi reconcile --due: either \
                 ends it, and issues nothing for it.",
                seen.late.join(", ")
            ),
        );
    }
    if !seen.returned.is_empty() {
        told.warning_at(
            "status",
            "A credential that was revoked is back",
            format!(
                "{id}: {}: it was ended, and its platform shows it again.\nNext: find out who brought it back, \
                 and end it: nhi revoke {} {}.",
                seen.returned.join(", "),
                id.integration,
                seen.returned[0]
            ),
        );
    }
    match seen.status {
        "rotating" => told.warning_at(
            "status",
            "Somebody else is at work on this credential",
            format!("{id}: {note}.\nNext: plan again when that run has ended."),
        ),
        "held" if seen.still_used => told.warning_at(
            "status",
            "Somebody still uses the earlier credential",
            format!(
                "{id}: it was missed when it was switched off, so it works again, and nothing ends it before \
                 you say so.\nNext: let who uses it read what is delivered; then nhi recover {id}."
            ),
        ),
        "held" => told.warning_at(
            "status",
            "This credential waits for a person",
            format!("{id}: {note}.\nNext: nhi ledger show {id}"),
        ),
        "waiting" => {
            let opens = seen.next_opening.map_or_else(|| "unknown".to_owned(), moment);
            told.warning_at(
                "status",
                "This credential is due and waits for its window",
                format!(
                    "{id}: next opening {opens}.\nNext: apply then, or change a value in triggers to \
                     rotate now."
                ),
            );
        }
        "unheld" if placed => told.warning_at(
            "status",
            "This secret is in no sink of ours",
            format!("{id}: nobody can deliver it again.\nNext: take it into custody: set deliver_to, and change a value in triggers."),
        ),
        _ => {}
    }
}

/// Says in which order the halves go of a replacement that the change asks for.
pub(super) fn tell_replacement(id: &str, told: &mut Diagnostics) {
    told.warning(
        "The old credential ends before there is another",
        format!(
            "{id}: the new one is another slot's, of another type, or of another incarnation of the \
             integration, so the old one cannot be kept until it works: what uses it stops, until \
             the new one is delivered in the same apply.\nNext: where that must not be, make a \
             second credential first, and remove this one when it is no longer used."
        ),
    );
}

/// Says who ends the old credential when its overlap is over, that it is only switched `off` for so long
/// before, and how long after its overlap its platform ends it `alone`, where that can be told of it.
pub(super) fn tell_end(
    prior: &CredentialModel,
    planned: &CredentialModel,
    schedules: &Schedules,
    (profile, at_hand, off, alone): (&'static Profile, bool, Span, Option<Span>),
    told: &mut Diagnostics,
) {
    let keeps = planned.previous.value().is_some_and(|all| !all.is_empty());
    let Some(overlap) = schedules.after.as_ref().map(|one| one.overlap).filter(|_| keeps) else {
        return;
    };
    let overlap = profile.effect.kept(overlap);
    let by_itself = match (prior.expires_at.as_deref(), profile.effect) {
        _ if let Some(after) = alone => {
            format!("is ended by its platform {after} after its overlap")
        }
        (Some(end), _) => format!("ends by itself at {end}"),
        (None, Effect::Supersedes { keeps }) => format!("ends by itself after {keeps}"),
        (None, _) => "lives on".to_owned(),
    };
    let end = match off.min(overlap) {
        Span::ZERO => "and is ended by the first apply after that".to_owned(),
        off => format!(
            "and is switched off by the first apply after that, and ended by the first one {off} later"
        ),
    };
    told.warning_at(
        "previous",
        match alone {
            Some(_) => "The old credential ends after its overlap, whoever comes",
            None => "A later run ends the old credential",
        },
        format!(
            "{}: {} ({}). The old one works for another {overlap} {end}, with proof to grade {} at best{}. \
             If nobody runs anything again, it {by_itself}.\n\
             Next: apply again when its overlap is over, or let cron run nhi reconcile --due --yes.",
            prior.id.text(),
            way_words(profile),
            profile.name,
            best_grade(profile, at_hand).as_str(),
            if at_hand { "" } else { ", as its secret can be tried by nobody then" }
        ),
    );
}

/// Which way a change of a slot goes, and what makes it so: a rotation alone goes neither way.
pub(crate) fn direction(
    prior: &CredentialModel,
    planned: &CredentialModel,
) -> (Direction, Vec<String>) {
    let schedules = Schedules::of(Some(prior), planned);
    let mut why = widening(prior, planned, &schedules);
    let mut way = if why.is_empty() { Direction::None } else { Direction::Widens };
    if let (Some((was, _)), Some((is, _))) =
        (prior.credential_type.chosen(), planned.credential_type.chosen())
        && was.name == is.name
    {
        let (before, after) =
            (prior.credential_type.settings(), planned.credential_type.settings());
        for field in settings::changed(is.fields, &before, &after) {
            let one = settings::direction(std::slice::from_ref(field), &before, &after);
            if one != Direction::None {
                why.push(format!("{}.{} ({one})", is.name, field.name));
            }
            way = way.and(one);
        }
    }
    (way, why)
}

/// Says what of a change lets the secret reach further or live longer.
pub(super) fn tell_direction(
    prior: &CredentialModel,
    planned: &CredentialModel,
    schedules: &Schedules,
    told: &mut Diagnostics,
) {
    let why = widening(prior, planned, schedules);
    if !why.is_empty() {
        told.warning(
            "This change gives power",
            format!(
                "{} widens: {}.\nNext: apply only if that is meant.",
                prior.id.text(),
                why.join(", ")
            ),
        );
    }
}

/// What of a change lets the secret reach further or live longer.
fn widening(
    prior: &CredentialModel,
    planned: &CredentialModel,
    schedules: &Schedules,
) -> Vec<String> {
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
    if let Some(before) = &schedules.before {
        match &schedules.after {
            None if planned.schedule.is_null() => why.push("- schedule".to_owned()),
            None => {}
            Some(after) => {
                let spans = |one: &Schedule| {
                    [
                        ("every", one.every, false),
                        // A quarter of the interval unless set: that is judged by itself.
                        ("min_age", one.min_age, one.min_age == one.every / 4),
                        ("overlap", one.overlap, false),
                        ("overdue_after", one.overdue_after, one.overdue_after == one.every / 4),
                    ]
                };
                for ((name, was, derived), (_, is, still)) in
                    spans(before).into_iter().zip(spans(after))
                {
                    if is > was && !(derived && still) {
                        why.push(format!("schedule.{name} {was} -> {is}"));
                    }
                }
                if lives_longer(before.lifetime, after.lifetime) {
                    why.push("schedule.lifetime".to_owned());
                }
            }
        }
    }
    why
}

pub(super) fn lives_longer(before: Lifetime, after: Lifetime) -> bool {
    match (before, after) {
        (Lifetime::Endless, _) => false,
        (_, Lifetime::Endless) => true,
        (Lifetime::Fixed(before), Lifetime::Fixed(after)) => after > before,
        // Derived of the interval, which is judged by itself.
        _ => false,
    }
}

/// How a new credential would be issued; an error where the connection has no way. `None` where it
/// cannot be asked.
pub(super) async fn way_of(
    context: &Context,
    integration: &Attr<String>,
    config: &CredentialModel,
    kind: &'static Kind,
) -> Option<Result<Promise, Diagnostics>> {
    let connection = connection_in(integration)?;
    let wanted = type_of(config, kind)?;
    let ways = ways(context, &connection, wanted).await?;
    Some(ways.first().copied().ok_or_else(|| {
        error(
            &Problem::new("E-ISSUE", "This connection cannot issue such a credential")
                .detail(format!("{connection:?} has no way to make a {}.", wanted.name))
                .next("choose another type of credential")
                .at(&["integration"]),
        )
        .into()
    }))
}

/// The way in which one is issued, or all in which it may be where the connection cannot be asked.
pub(super) fn possible(
    wanted: &'static CredentialType,
    way: Option<&Promise>,
) -> Vec<&'static Profile> {
    way.map_or_else(|| wanted.profiles.iter().collect(), |way| vec![way.profile])
}

/// What an integration of that kind, as far as it is known, does not have.
pub(super) fn of_its_kind(config: &CredentialModel, id: &Attr<String>) -> Diagnostics {
    let mut found = Diagnostics::new();
    let Some(kind) = kind_of(id) else {
        if let Attr::Value(id) = id {
            found.error_at(
                Path::attribute("integration").then("id"),
                "This is no integration of a kind that is known",
                format!("{id:?}.\nNext: pass the whole nhi_integration.\n(E-KIND)"),
            );
        }
        return found;
    };
    let can: Vec<&str> = kind.credential_types.iter().map(|one| one.name).collect();
    if can.is_empty() {
        found.error_at(
            "integration",
            "This integration has no credentials that can be governed here",
            format!(
                "What {} signs in with is issued elsewhere.\nNext: remove this credential.\n(E-KIND)",
                kind.name
            ),
        );
        return found;
    }
    for name in config.credential_type.present().into_iter().filter(|name| !can.contains(name)) {
        found.error_at(
            name,
            "This kind has no such credential",
            format!(
                "{} has no {name}.\nNext: choose one that it may have: {}.\n(E-KIND)",
                kind.name,
                can.join(", ")
            ),
        );
    }
    found
}

/// What a type of credential cannot do and this declaration asks of it.
pub(super) fn cannot_rotate(
    wanted: &'static CredentialType,
    way: Option<&Promise>,
    config: &CredentialModel,
    schedules: &Schedules,
) -> Diagnostics {
    let mut found = Diagnostics::new();
    let ways = possible(wanted, way);
    if config.schedule.is_null() || ways.iter().any(|one| one.effect.overlaps()) {
        return found;
    }
    if is_one_for_ever(&ways) {
        let next = "choose another type of credential, or remove the schedule";
        let never = operations::never_another(wanted.name, because(way)).next(next);
        found.push(error(&never.at(&["schedule"])));
    } else if !schedules.none_overlap() {
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

/// What the schedule asks for, and the work that is planned, where consumers are not to be cut off by it.
pub(super) fn cuts_off(
    wanted: &'static CredentialType,
    way: Option<&Promise>,
    config: &CredentialModel,
    (schedules, work): (&Schedules, Option<(Work, &str)>),
) -> Diagnostics {
    let mut found = Diagnostics::new();
    if config.interruption != "refuse" {
        return found;
    }
    let ways = possible(wanted, way);
    let in_place = !ways.is_empty() && ways.iter().all(|one| one.effect == Effect::Replaces);
    let rotates = matches!(work, Some((Work::Rotate { .. }, reason)) if reason != "exposed");
    if in_place && (rotates || !config.schedule.is_null()) {
        let what = if rotates { "What is planned" } else { "This credential" };
        found.push(error(&interrupts(what, wanted.name)));
    } else if schedules.none_overlap() {
        found.error_at(
            Path::attribute("schedule").then("overlap"),
            "This rotation would cut its consumers off",
            "interruption is \"refuse\", and with overlap = \"0\" the old one ends as soon as the new one is \
             delivered, whether consumers have read it or not.\nNext: give the schedule an overlap, or set \
             interruption = \"accept\".\n(E-INTERRUPTS)",
        );
    }
    found
}

/// That an overlap is over before its consumers have read the new one.
pub(super) fn tell_refresh(
    config: &CredentialModel,
    schedules: &Schedules,
    told: &mut Diagnostics,
) {
    let overlap = schedules.after.as_ref().map(|one| one.overlap);
    let refresh = consumers_of(config).refresh;
    let (Some(overlap), Some(refresh)) = (overlap, refresh) else { return };
    if overlap < refresh && overlap > Span::ZERO && schedules.in_place == Some(false) {
        told.warning_at(
            "consumer_refresh",
            "The overlap is shorter than consumers take",
            format!(
                "What is delivered is read within {refresh}, and the old one is kept for {overlap}. Where its \
                 platform does not tell that nobody uses it, it is kept for {refresh}, and no other rotation \
                 begins before that.\nNext: make overlap {refresh} at least."
            ),
        );
    }
}

/// The platform makes one, and never another.
fn is_one_for_ever(ways: &[&Profile]) -> bool {
    ways.iter().all(|one| one.keeps_what_ended())
}

/// Why a better way is not used.
fn because(way: Option<&Promise>) -> Option<&str> {
    way.and_then(|way| way.because)
}

/// Whoever asks for another one of what a platform makes once.
pub(super) fn never_another(wanted: &'static CredentialType, way: Option<&Promise>) -> Diagnostics {
    let mut found = Diagnostics::new();
    if is_one_for_ever(&possible(wanted, way)) {
        let others: Vec<String> = kinds()
            .map(|(_, kind)| kind.credential_types)
            .filter(|types| types.iter().any(|one| one.name == wanted.name))
            .flatten()
            .filter(|one| one.name != wanted.name && !is_one_for_ever(&possible(one, None)))
            .map(|one| format!("{} = {{}}", one.name))
            .collect();
        let choose = match others.as_slice() {
            [] => String::new(),
            _ => format!("choose another type of credential ({}), or ", others.join(" or ")),
        };
        let next = format!(
            "{choose}replace the integration. Where the secret is known to others, enabled = false with \
             incident on the nhi_integration switches it off at once"
        );
        let never = operations::never_another(wanted.name, because(way)).next(next);
        found.push(error(&never.at(&[wanted.name])));
    }
    found
}

/// A run that ended before it could say so has done what is asked for.
pub(super) fn carried_out(prior: &CredentialModel) -> Problem {
    Problem::new("E-DONE", "This was done already")
        .detail(format!(
            "{}: a run that was cut off before it could say so issued generation {} for the very thing that is \
             asked for here. This apply notes that, and issues no other one.",
            prior.id.text(),
            prior.generation.value().copied().unwrap_or_default()
        ))
        .next("apply; where another one is wanted all the same, change a value in triggers")
        .at(&["generation"])
}

/// A secret that no sink of ours holds cannot be copied.
pub(super) fn no_copy() -> Problem {
    Problem::new("E-SINK-COPY", "No readable copy is left")
        .detail("deliver_to names a place for a secret that is in no sink of ours, so nobody can bring it there.")
        .next("change or set a value in triggers as well: a new credential is then delivered, and the old one ends after its overlap")
        .at(&["deliver_to"])
}

/// Planned when the overlap was over, and by now it is not: a clock went back, or somebody moved the
/// end.
pub(super) fn not_ended(spec: &SlotSpec, outcome: &Outcome) -> Diagnostics {
    let kept: Vec<String> = outcome
        .previous
        .iter()
        .map(|one| match one.retire_after {
            Some(end) => format!("{} until {}", one.key_id, moment(end)),
            None => one.key_id.clone(),
        })
        .collect();
    error(
        &Problem::new("E-OLD-IN-USE", "The earlier credential is still in its overlap")
            .detail(format!(
                "{}: it was to be ended, and by what custody says now it is kept: {}. It still works.",
                spec.id,
                kept.join(", ")
            ))
            .next("plan again; where this clock is right, the plan after that moment ends it")
            .at(&["previous"]),
    )
    .into()
}

pub(super) fn not_whole() -> Diagnostics {
    Diagnostic::error(
        "This integration has no credentials that can be governed here",
        "Its kind has none, or the reference does not say which it is.\nNext: pass the whole nhi_integration.\n(E-KIND)",
    )
    .at("integration")
    .into()
}

pub(super) fn not_there() -> Diagnostics {
    error(
        &Problem::new("E-GONE", "The integration is not there")
            .detail("No object of that id is on its platform, so nothing can be issued for it.")
            .next("correct the id, or pass the whole nhi_integration that makes it")
            .at(&["integration", "id"]),
    )
    .into()
}
