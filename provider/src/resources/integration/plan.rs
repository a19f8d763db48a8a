//! What a change of an integration comes to: fixed rules over configuration and prior state.

use std::collections::BTreeMap;

use connector::Kind;
use domain::{Action, Direction, IntegrationId, Span};
use operations::{Context, Problem, not_ourselves, unfit_setting};
use policy::{
    Rules,
    rules::Verdict,
    settings,
    standing::{end_of, wanted_state},
};
use tfplugin::{Attr, Diagnostics, Path, Set, Value, resource::Plan};

use super::{
    Integration, IntegrationModel, NO_CONNECTION,
    adoption::{judge_adoption, tell_absent},
    direction::direction,
    is_third_party,
    standing::tell_absent_owners,
    third_party_name,
    ties::{forget_answered, judge_ties},
};
use crate::{
    diagnostics::{error, unknown_governed},
    resources::{
        applied::Applied,
        identity::in_words,
        platform_objects::{kind, settings_of},
        references::OwnerReference,
        replacement::half,
    },
};

impl Integration {
    pub(super) fn plan_change(&self, plan: &mut Plan<IntegrationModel>) {
        let rules = self.shared.rules();
        if plan.planned.is_none() {
            if let Some(prior) = &plan.prior {
                plan.diagnostics.warning(
                    "This ends an integration",
                    format!(
                        "{}: every credential of it is revoked, {} too, and the object is {}d.",
                        prior.id.text(),
                        strangers(prior),
                        prior.on_destroy.text()
                    ),
                );
            }
            return;
        }
        let mut told = Diagnostics::new();
        let context = match self.shared.context_for_plan() {
            Ok(context) => context,
            Err(problem) => {
                // What needs no connection needs no configuration either.
                if plan.config.as_ref().is_some_and(|one| !one.connection_name.is_null()) {
                    told.push(error(&problem.at(&["connection_name"])));
                }
                None
            }
        };
        let mut replace = Vec::new();
        let second_half = plan.prior.is_none() && Applied::is_in(&plan.prior_private);
        // The first Read of what was taken in ran before its credentials had slots.
        let taken_in = plan.prior.is_some() && !Applied::is_in(&plan.prior_private);
        if let Some((config, prior, planned)) = plan.changing() {
            replace = identify(config, prior, planned);
            self.shared.tell_twice(&planned.id, config, &mut told);
            let revokes = config.revoke_unmanaged == true && !taken_in;
            self.shared.note_revoking(planned.id.text(), revokes);
            self.shared.note_unnamed(&planned.id, planned.name.text());
            answer(config, prior, planned, taken_in, &mut told);
            refuse_unknown(config, prior, planned, &mut told);
            refuse_left(prior, planned, &mut told);
            judge_ties(prior, planned, &mut told);
            tell_absent_owners(planned, &rules, &mut told);
            tell_absent(planned, &mut told);
            decide_state(config, prior, planned, &mut told);
            let gives = gives(prior, planned);
            ask_policy(config, &rules, gives, &mut told);
            if let Some(closed) = self.shared.closed().filter(|_| gives) {
                told.push(error(&closed));
            }
            if let Some(context) = &context {
                fits_connection(config, context, &mut told);
            }
            let ready = self.shared.context_if_ready();
            judge_adoption(prior, planned, ready.as_ref(), &mut told);
            if let (None, Some(context)) = (prior, ready) {
                refuse_outlived(config, &context, &mut told);
            }
            if prior.is_none() {
                tell_management(planned, &mut told);
            }
            let ends = |prior: &&IntegrationModel| prior.kind != third_party_name();
            if let Some(prior) = prior.filter(ends).filter(|_| !replace.is_empty()) {
                told.warning(
                    "This replaces an integration",
                    format!(
                        "{}: {}. The new one is another object, with other credentials.\nNext: where its \
                         users must not stop, make a second integration first, and remove this one when \
                         nobody uses it.",
                        prior.id.text(),
                        ends_first(prior)
                    ),
                );
            }
            if let Some(prior) = prior.filter(|prior| *prior != planned) {
                let (way, why) = direction(prior, planned);
                if way.may_widen() {
                    told.warning(
                        "This change gives power",
                        format!(
                            "{} {way}: {}.\nNext: apply only if that is meant.",
                            planned.id.text(),
                            why.join(", ")
                        ),
                    );
                // What is revoked, or replaced, is told as that.
                } else if way == Direction::Narrows
                    && planned.state != "revoked"
                    && replace.is_empty()
                {
                    let off = match why_off(planned) {
                        why if why.is_empty() || planned.state != "disabled" => String::new(),
                        why => format!(" It is switched off for this: {}.", why.join(", ")),
                    };
                    told.warning(
                        "This change takes power away",
                        format!(
                            "{} {way}: {}.{off}\nNext: make sure first that nobody needs what goes.",
                            planned.id.text(),
                            why.join(", ")
                        ),
                    );
                }
            }
        }
        plan.diagnostics.extend(told);
        for name in replace {
            plan.require_replace(name);
        }
        if second_half {
            // The delete half finds it, and says what no plan could.
            plan.planned_private = half("");
        }
    }
}

/// Says before there is one that what manages it can be lost.
fn tell_management(planned: &IntegrationModel, told: &mut Diagnostics) {
    let kind = kind(planned.kind.text()).map(|(_, kind)| kind);
    if let Some(kind) = kind.filter(|kind| kind.capabilities.needs_keyring) {
        told.warning(
            "What manages this integration can be lost",
            format!(
                "{} {:?}: its platform gives one token that manages it, and may give another with each \
                 change, which ends the one before (replace-self). It is in custody and nowhere else. Where \
                 the answer to a change is lost, or custody is, the integration and its credentials work on, \
                 and nobody can change them before its administrator gives a new one.\nNext: keep backups of \
                 custody.",
                kind.name,
                planned.name.text()
            ),
        );
    }
}

/// What a replacement does to the integration that was there.
pub(super) fn ends_first(prior: &IntegrationModel) -> String {
    let end = if prior.on_destroy == "disable" { "switched off" } else { "deleted" };
    format!(
        "the old one is {end} first, and every credential of it is revoked, {} too",
        strangers(prior)
    )
}

impl Integration {
    /// What is declared and cannot be had through this connection, as it is set up.
    pub(super) async fn refuse_unfit(&self, plan: &mut Plan<IntegrationModel>) {
        let (Some(config), Some(context)) = (&plan.config, self.shared.context_if_ready()) else {
            return;
        };
        let Some((kind, value)) =
            config.platform.chosen().filter(|(_, value)| value.is_wholly_known())
        else {
            return;
        };
        let Some(connection) = config.connection_name.as_deref() else { return };
        let settings = settings_of(kind.fields, value);
        if let Some(problem) = unfit_setting(&context, connection, kind, &settings).await {
            plan.diagnostics.push(error(&problem));
        }
    }

    /// What nhi signs in as is neither ended nor switched off. What cannot be asked now is asked again
    /// by the deed.
    pub(super) async fn refuse_ending_ourselves(&self, plan: &mut Plan<IntegrationModel>) {
        let off = ["disabled", "revoked"];
        let ends = match (&plan.prior, &plan.planned) {
            (Some(prior), None) => Some(prior),
            (Some(prior), Some(planned)) => {
                let switched_off = prior.state == "active"
                    && planned.state.as_deref().is_some_and(|state| off.contains(&state));
                (switched_off || !plan.replace.is_empty()).then_some(prior)
            }
            // The second half of a replacement: of one by -replace the first knows nothing.
            (None, Some(planned)) if Applied::is_in(&plan.prior_private) => Some(planned),
            _ => None,
        };
        let id = ends.and_then(|model| model.id.as_deref()?.parse::<IntegrationId>().ok());
        let (Some(id), Some(context)) = (id, self.shared.context_if_ready()) else { return };
        if id.connection == NO_CONNECTION {
            return;
        }
        if let Err(problem) = not_ourselves(&context, &id).await
            && problem.code == "E-OURSELVES"
        {
            plan.diagnostics.push(error(&problem));
        }
    }
}

/// Whose credentials end with an integration besides its own.
fn strangers(prior: &IntegrationModel) -> &'static str {
    match prior.foreign_credentials.value().is_some_and(|keys| !keys.is_empty()) {
        true => "those that nobody declared and those of another installation",
        false => "those that nobody declared",
    }
}

/// Which object it is, and the attributes that make it another one.
fn identify(
    config: &IntegrationModel,
    prior: Option<&IntegrationModel>,
    planned: &mut IntegrationModel,
) -> Vec<&'static str> {
    let mut replace = Vec::new();
    let chosen = config.platform.chosen();
    if let Some((kind, _)) = chosen {
        planned.kind = kind.name.into();
        if prior.is_some_and(|prior| prior.kind.is_value() && prior.kind != kind.name) {
            replace.push("kind");
        }
        let connection = if is_third_party(kind) {
            Attr::from(NO_CONNECTION)
        } else {
            config.connection_name.clone()
        };
        // An object that stays keeps its id: one on another mount is known by that too.
        let stays = prior.filter(|prior| {
            prior.id.is_value()
                && prior.kind == kind.name
                && prior.name == planned.name
                && prior.connection_name == planned.connection_name
        });
        planned.id = match (&connection, &config.name, kind.capabilities.key_is_ours) {
            _ if stays.is_some() => stays.map(|one| one.id.clone()).unwrap_or_default(),
            (Attr::Value(connection), Attr::Value(name), true) => Attr::Value(
                IntegrationId::new(connection.clone(), kind.name, name.clone()).to_string(),
            ),
            (Attr::Value(connection), ..) if prior.is_none() => {
                Attr::unknown_with_prefix(IntegrationId::prefix(connection, kind.name))
            }
            (_, _, false) if prior.is_some() => {
                prior.map(|prior| prior.id.clone()).unwrap_or_default()
            }
            _ => Attr::unknown_not_null(),
        };
        if kind.capabilities.key_is_ours
            && prior.is_some_and(|prior| prior.name.is_value() && prior.name != planned.name)
        {
            replace.push("name");
        }
        let (before, after) = (prior.map(|prior| &prior.connection_name), &planned.connection_name);
        if before.is_some_and(|before| before.is_value() && before != after) {
            replace.push("connection_name");
        }
        if let Some((_, planned_value)) = planned.platform.chosen() {
            let before = prior.and_then(|prior| prior.platform.chosen());
            if let Some((_, before)) =
                before.filter(|(before, value)| before.name == kind.name && *value != planned_value)
            {
                let kept = keep_spelling(kind, planned_value, before);
                planned.platform.set_value(kind, kept);
            }
        }
    }
    // Equal to prior in every update, else everything below is replaced.
    planned.vendor_id = match (prior, chosen) {
        (Some(prior), _) => prior.vendor_id.clone(),
        (None, Some((kind, _))) if is_third_party(kind) => planned.id.clone(),
        (None, _) => Attr::unknown_not_null(),
    };
    replace
}

/// What the configuration answers of what Read found to be wrong.
fn answer(
    config: &IntegrationModel,
    prior: Option<&IntegrationModel>,
    planned: &mut IntegrationModel,
    taken_in: bool,
    told: &mut Diagnostics,
) {
    let Some(prior) = prior else {
        planned.standing = Attr::Value(BTreeMap::new());
        planned.unmanaged_credentials = Attr::Value(Set::new());
        planned.foreign_credentials = Attr::Value(Set::new());
        planned.reviewed_on = Attr::Null;
        return;
    };
    let mut standing = prior.standing.value().cloned().unwrap_or_default();
    let later = match (prior.expires_on.as_deref(), config.expires_on.as_deref()) {
        (Some(before), Some(after)) => after > before,
        (Some(_), None) => true,
        _ => false,
    };
    if later {
        standing.remove("expired");
    }
    let adopted_until = |model: &IntegrationModel| {
        model.adoption.value().and_then(|one| one.complete_by.as_deref()).map(str::to_owned)
    };
    if adopted_until(config).is_none_or(|after| adopted_until(prior).is_some_and(|day| after > day))
    {
        standing.remove("adoption_overdue");
    }
    forget_answered(config, prior, &mut standing);
    if config.revoke_unmanaged == true
        && prior.unmanaged_credentials.value().is_some_and(|keys| !keys.is_empty())
    {
        if taken_in {
            // An nhi_credential of the same apply may take one over, and it comes after this.
            told.warning_at(
                "revoke_unmanaged",
                "Nothing is revoked by the first apply",
                format!(
                    "{} was taken over from elsewhere, and its credentials may be in use. Those that \
                     are in no slot after this apply are revoked by the next.\nNext: declare the \
                     credentials that stay as nhi_credential, in this apply.",
                    prior.id.text()
                ),
            );
        } else {
            planned.unmanaged_credentials = Attr::Value(Set::new());
            standing.remove("unmanaged_credentials");
        }
    }
    if prior.standing.is_value() || !standing.is_empty() {
        planned.standing = Attr::Value(standing);
    }
}

/// What is unknown cannot be reviewed.
fn refuse_unknown(
    config: &IntegrationModel,
    prior: Option<&IntegrationModel>,
    planned: &IntegrationModel,
    told: &mut Diagnostics,
) {
    for at in hidden(prior.is_some(), planned) {
        told.push(unknown_governed(at));
    }
    // What the platform fills in is null here.
    if let Some((kind, value)) = config.platform.chosen()
        && !value.is_wholly_known()
    {
        told.error_at(
            kind.name,
            "Settings must be known to be reviewed",
            "A part of them becomes known during apply, so this plan cannot say what it would give.\nNext: write it out, or apply what it comes from first.\n(E-UNKNOWN-GOVERNED)",
        );
    }
    let owners = [
        ("business_owner", &planned.business_owner),
        ("technical_owner", &planned.technical_owner),
    ];
    for (name, owner) in owners {
        let unknown = owner.is_unknown() || owner.value().is_some_and(|one| one.id.is_unknown());
        if prior.is_some() && unknown {
            told.error_at(
                name,
                "An owner must be known to be reviewed",
                "Who it is becomes known during apply.\nNext: apply what it comes from first, with -target.\n(E-UNKNOWN-GOVERNED)",
            );
        }
    }
}

/// Nobody is named who is not there. Whom the integration had already is a matter of its standing.
fn refuse_left(
    prior: Option<&IntegrationModel>,
    planned: &IntegrationModel,
    told: &mut Diagnostics,
) {
    let newly = |name: &str| {
        let of = |model: &IntegrationModel| match name {
            "business_owner" => model.business_owner.value().map(|one| one.id.clone()),
            _ => model.technical_owner.value().map(|one| one.id.clone()),
        };
        prior.and_then(of) != of(planned)
    };
    for name in left(planned).filter(|name| newly(name)) {
        told.error_at(
            name,
            "This owner is not there any more",
            "Somebody who has left cannot be made responsible.\nNext: name somebody else.\n(E-OWNER-LEFT)",
        );
    }
}

/// Nothing is made that would have to be switched off at once. What is there already and outlives its
/// day is a matter of its standing. The clock decides over no planned value: only over a refusal.
fn refuse_outlived(config: &IntegrationModel, context: &Context, told: &mut Diagnostics) {
    let Some(day) = config.expires_on.as_deref() else { return };
    let over = day.parse().is_ok_and(|last| context.time().is_past(end_of(last)));
    if over {
        told.error_at(
            "expires_on",
            "This day is over",
            format!(
                "{day} was the last day on which it may live, and it would be made after it.\nNext: set a \
                 later expires_on, or leave this integration out.\n(E-OUTLIVED)"
            ),
        );
    }
}

/// Whether it may act, by the standing and the declaration.
fn decide_state(
    config: &IntegrationModel,
    prior: Option<&IntegrationModel>,
    planned: &mut IntegrationModel,
    told: &mut Diagnostics,
) {
    let third = config.platform.chosen().is_some_and(|(kind, _)| is_third_party(kind));
    if config.enabled == false && third {
        told.warning_at(
            "enabled",
            "Nothing is switched off here",
            format!("{}: its vendor runs it and none of its switches is ours. Only the declaration changes.\nNext: stop it by its disable_path.", planned.id.text()),
        );
    }
    let verdicts: Vec<Verdict> = planned
        .standing
        .value()
        .into_iter()
        .flat_map(|standing| standing.values())
        .filter_map(|word| Verdict::from_word(word))
        .collect();
    // A hand on the platform's switch does not end it.
    let broken = planned
        .standing
        .value_mut()
        .is_some_and(|standing| standing.remove("quarantine_broken").is_some());
    let quarantined = broken || prior.is_some_and(|prior| prior.state == "quarantined");
    let enabled = config.enabled.value().copied().unwrap_or(true);
    let mut state = wanted_state(quarantined, enabled, left(planned).next().is_some(), &verdicts);
    let switches = config.platform.chosen().is_none_or(|(kind, _)| kind.capabilities.disables);
    if enabled && state == "disabled" && !switches && !third {
        told.warning_at(
            "state",
            "The policy wants this off, and its platform has no switch",
            format!(
                "{}: {}. It lives on as it is.\nNext: mend that, or remove its resources. Under expired = \
                 \"revoke\" in policy.hcl the credentials of what has expired are ended.\n(E-NO-SWITCH)",
                planned.id.text(),
                why_off(planned).join(", ")
            ),
        );
        state = prior.map_or("active", |prior| match prior.state.text() {
            "revoked" => "revoked",
            _ => "active",
        });
    }
    if !enabled && !switches && !third {
        told.error_at(
            "enabled",
            "This platform switches nothing off",
            format!("{}: such an integration can be ended there, and not switched off.\nNext: remove enabled = false; to stop it, remove its resources.\n(E-NO-SWITCH)", planned.id.text()),
        );
    }
    planned.state = state.into();
    if state == "revoked" {
        // Every credential ends with it.
        planned.unmanaged_credentials = Attr::Value(Set::new());
        planned.foreign_credentials = Attr::Value(Set::new());
        if let Some(standing) = planned.standing.value_mut() {
            standing.remove("unmanaged_credentials");
        }
        if prior.is_some_and(|prior| prior.state != "revoked") {
            told.warning_at(
                "state",
                "This revokes an integration",
                format!(
                    "{}: the policy has every credential of it ended, {} too, and it is switched \
                     off.",
                    planned.id.text(),
                    prior.map_or("those that nobody declared", strangers)
                ),
            );
        }
    }
}

/// What has an integration switched off, beside its own declaration.
fn why_off(planned: &IntegrationModel) -> Vec<&str> {
    let standing = planned.standing.value().into_iter().flatten();
    let off = standing.filter(|(_, word)| *word == Verdict::Disable.as_str());
    let owner = left(planned).next().map(|_| "an owner has left");
    off.map(|(name, _)| name.as_str()).chain(owner).collect()
}

/// Whether the rules are asked before power is given. What is there already, and gets no more, is told:
/// whoever tightens the rules must still be able to switch off, rotate and destroy, and before a
/// destruction a core plans everything as it is declared.
fn gives(prior: Option<&IntegrationModel>, planned: &IntegrationModel) -> bool {
    prior.is_none_or(|prior| {
        let owners = |one: &IntegrationModel| {
            let id = |owner: &Attr<OwnerReference>| owner.value().map(|one| one.id.clone());
            (id(&one.business_owner), id(&one.technical_owner))
        };
        prior != planned
            && (owners(prior) != owners(planned) || direction(prior, planned).0.may_widen())
    })
}

/// What the rules ask of the declaration itself: a refusal of what gives power, and else a warning.
fn ask_policy(config: &IntegrationModel, rules: &Rules, gives: bool, told: &mut Diagnostics) {
    if let Some(purpose) = config.purpose.as_deref()
        && policy::purpose::says_nothing(purpose, config.name.as_deref().unwrap_or(""))
    {
        told.warning_at(
            "purpose",
            "This purpose says nothing",
            format!("{purpose:?}: a reviewer cannot tell from it whether the integration is still needed.\nNext: say what it does, for whom, and how often."),
        );
    }
    let mut refuse = |name: &str, summary: &str, detail: String| match gives {
        true => told.error_at(name, summary, detail),
        false => told.warning_at(name, summary, detail),
    };
    let missing = |attr: &Attr<String>, asked: bool| asked && attr.is_null();
    // What is missing of what was adopted is told as that.
    let adopted = config.adoption.is_value();
    for (name, bad) in [
        ("expires_on", missing(&config.expires_on, rules.require_expires_on)),
        ("review_every", missing(&config.review_every, rules.require_review_every)),
        ("logs", missing(&config.logs, rules.require_logs)),
        ("stop_within", missing(&config.stop_within, rules.require_stop_within)),
        (
            "offboarding_owner",
            rules.require_offboarding_owner && config.offboarding_owner.is_null(),
        ),
    ] {
        if bad && !adopted {
            refuse(
                name,
                "The policy asks for more",
                format!("{name} is required here.\nNext: set it.\n(E-POLICY-REQUIRED)"),
            );
        }
    }
    let within = config.stop_within.as_deref().and_then(|text| text.parse::<Span>().ok());
    if let (Some(within), Some(longest)) = (within, rules.stop_within_longest)
        && within > longest
    {
        refuse(
            "stop_within",
            "The policy has it stopped faster",
            format!(
                "{within} is allowed, and the policy allows {longest}.\nNext: allow {longest} at most.\n(E-POLICY-REQUIRED)"
            ),
        );
    }
    if let Some(environment) = config.environment.as_deref()
        && !rules.environments.is_empty()
        && !rules.environments.contains(environment)
    {
        let known: Vec<&str> = rules.environments.iter().map(String::as_str).collect();
        refuse(
            "environment",
            "There is no such environment",
            format!(
                "{environment:?}.\nNext: name one that the policy knows: {}.\n(E-ENVIRONMENT)",
                known.join(", ")
            ),
        );
    }
    let same_owner = !adopted
        && config.business_owner.value().map(|one| &one.id).filter(|id| id.is_value())
            == config.technical_owner.value().map(|one| &one.id).filter(|id| id.is_value());
    let high = config
        .ceiling
        .value()
        .and_then(|one| one.highest_action.as_deref()?.parse::<Action>().ok())
        .unwrap_or(Action::Unknown);
    if same_owner && rules.two_owners_from.is_some_and(|from| high >= from) {
        refuse(
            "technical_owner",
            "Two owners are needed",
            "From this ceiling on the policy asks for two different owners.\nNext: name another technical_owner, or a lower ceiling.highest_action.\n(E-TWO-OWNERS)".to_owned(),
        );
    }
}

/// Whether the connection is there, and its platform has objects of this kind.
fn fits_connection(config: &IntegrationModel, context: &Context, told: &mut Diagnostics) {
    let (Some((kind, _)), Some(name)) =
        (config.platform.chosen(), config.connection_name.as_deref())
    else {
        return;
    };
    match context.connections.platform(name) {
        Err(problem) => told.push(error(&problem)),
        Ok(platform) if !platform.kinds().iter().any(|one| one.name == kind.name) => {
            let can = in_words(platform);
            told.push(error(
                &Problem::new("E-KIND", "This connection cannot hold it")
                    .detail(format!(
                        "{} cannot be made on connection {name:?}, which is {}. It can hold: {can}.",
                        kind.name,
                        platform.name()
                    ))
                    .next("name a connection that fits")
                    .at(&["connection_name"]),
            ));
        }
        Ok(_) => {}
    }
}

/// The owners of the object who have left, by what the references say.
pub(super) fn left(model: &IntegrationModel) -> impl Iterator<Item = &'static str> {
    let ends = |words: &Set<String>| words.contains("owner_left");
    let without_grace = model.expires_when.value().is_some_and(ends);
    [("business_owner", &model.business_owner), ("technical_owner", &model.technical_owner)]
        .into_iter()
        .filter(move |(_, owner)| {
            owner.value().is_some_and(|owner| {
                owner.status == "left" || (without_grace && owner.status == "inactive")
            })
        })
        .map(|(name, _)| name)
}

/// The live settings where they differ in meaning, the known spelling where they do not.
fn keep_spelling(kind: &'static Kind, planned: &Value, prior: &Value) -> Value {
    let (Value::Object(object), Value::Object(before)) = (planned, prior) else {
        return planned.clone();
    };
    let (after, known) = (settings_of(kind.fields, planned), settings_of(kind.fields, prior));
    let mut object = object.clone();
    for field in kind.fields {
        let (a, b) = (after.0.get(field.name), known.0.get(field.name));
        if a.is_some()
            && b.is_some()
            && settings::same(field, a, b)
            && let Some(value) = before.get(field.name)
        {
            object.insert(field.name.to_owned(), value.clone());
        }
    }
    Value::Object(object)
}

/// What decides over power here and is not known yet, beside owners and settings.
fn hidden(exists: bool, planned: &IntegrationModel) -> Vec<Path> {
    let mut hidden = Vec::new();
    let mut say = |unknown: bool, at: Path| {
        if unknown {
            hidden.push(at);
        }
    };
    say(planned.ceiling.is_unknown(), Path::attribute("ceiling"));
    if let Some(ceiling) = planned.ceiling.value() {
        say(ceiling.highest_action.is_unknown(), Path::attribute("ceiling").then("highest_action"));
        say(ceiling.scopes.is_unknown(), Path::attribute("ceiling").then("scopes"));
    }
    say(planned.expires_on.is_unknown(), Path::attribute("expires_on"));
    say(planned.adoption.is_unknown(), Path::attribute("adoption"));
    if let Some(adoption) = planned.adoption.value() {
        say(adoption.complete_by.is_unknown(), Path::attribute("adoption").then("complete_by"));
        say(adoption.steward.is_unknown(), Path::attribute("adoption").then("steward"));
    }
    // State and what is revoked are planned from these.
    say(planned.enabled.is_unknown(), Path::attribute("enabled"));
    say(planned.revoke_unmanaged.is_unknown(), Path::attribute("revoke_unmanaged"));
    // Another one rotates every credential below.
    say(exists && planned.environment.is_unknown(), Path::attribute("environment"));
    hidden
}
