//! What a change of scopes comes to: fixed rules over configuration and prior state.

use std::collections::BTreeSet;

use connector::OnlyShown;
use domain::{Action, Direction, IntegrationId, ScopeId};
use jiff::Timestamp;
use operations::{Context, KindLattice};
use policy::{
    Rules,
    rules::Wildcards,
    scopes::{above_ceiling, canonical, canonical_set, highest_action, limit},
};
use tfplugin::{Attr, Diagnostics, Path, Set, resource::Plan};

use super::{
    Scope, ScopeModel, check_grammar,
    direction::{change, stay_elevated},
    model::{classify_of, highest, integration_of, lattice_of, on_request_of},
    require_justification,
};
use crate::{
    diagnostics::{error, tell_unknown_connection, unknown_governed},
    resources::{
        applied::Applied,
        platform_objects::{kind, kind_in, unknown_below},
        references::ScopedIntegration,
        replacement::half,
    },
    values::instant,
};

impl Scope {
    /// `held`: what it is known to hold already; `None` where that cannot be asked now.
    pub(super) fn plan_change(
        &self,
        plan: &mut Plan<ScopeModel>,
        held: Option<&BTreeSet<domain::Scope>>,
    ) {
        let rules = self.shared.rules();
        let context = self.shared.context_if_ready();
        let mut told = Diagnostics::new();
        let mut replace = false;
        let mut half_of = None;
        let second_half = plan.prior.is_none() && Applied::is_in(&plan.prior_private);
        if let Some((config, prior, planned)) = plan.changing() {
            let reference = planned.integration.value().cloned().unwrap_or_default();
            planned.id = match &reference.id {
                // As apply writes it: people may spell a key in more than one way.
                Attr::Value(id) => match id.parse() {
                    Ok(id) => Attr::Value(ScopeId(id).to_string()),
                    Err(_) => Attr::unknown_not_null(),
                },
                unknown => unknown_below(unknown),
            };
            self.shared.tell_twice(&planned.id, config, &mut told);
            half_of = planned.id.value().cloned();
            if let Some(before) = prior.and_then(|prior| prior.integration.value()) {
                let other = integration_of(&before.id) != integration_of(&reference.id);
                replace = before.id.is_value() && before.id != reference.id && other
                    || before.vendor_id.is_value()
                        && !reference.vendor_id.is_null()
                        && before.vendor_id != reference.vendor_id;
            }
            if let Some(prior) = prior.filter(|_| replace) {
                told.warning_at(
                    "integration",
                    "This replaces what an integration may do",
                    format!(
                        "{}: all its scopes are taken away first, and those that are declared are then \
                         given to the integration that is there.\nNext: make sure first that nobody needs \
                         them meanwhile.",
                        prior.id.text()
                    ),
                );
            }
            if reference.vendor_id.is_null() {
                told.warning_at(
                    "integration",
                    "The integration was passed without its vendor_id",
                    "If somebody recreates it, this plan cannot see that.\nNext: pass the whole object, or declare vendor_id in the variable's type.",
                );
            }
            if holds_scopes(&reference.id, &mut told) {
                tell_unknown_connection(context.as_ref(), &reference.id, &mut told);
            }
            require_justification(planned, &mut told);
            let hidden = hidden(prior.is_some(), planned, &rules);
            let reviewable = hidden.is_empty();
            for at in hidden {
                told.push(unknown_governed(at));
            }
            let lattice = lattice_of(&reference.id);
            if let (Some(lattice), true) = (lattice, reviewable) {
                check_grammar(lattice, config, &mut told);
                let now = context.as_ref().map(Context::now);
                tell_over(&decide(lattice, prior, planned, now), &mut told);
                // What may be asked for is held to the same limits.
                let mut wanted = wanted(planned);
                wanted.extend(
                    planned.on_request.value().into_iter().flatten().map(|(s, _)| s.clone()),
                );
                check_ceiling(lattice, &reference, planned, &wanted, &mut told);
                check_environment(&rules, &reference, prior, planned, &wanted, &mut told);
                check_temporary(&rules, lattice, prior, planned, now, &mut told);
                check_on_request(&rules, lattice, planned, &mut told);
                if let Some(held) = held {
                    check_given(lattice, planned, &wanted, held, &mut told);
                }
                check_wildcards(&rules, prior, &wanted, &mut told);
                tell_unlisted(lattice, planned, &wanted, &mut told);
                let gives = match prior {
                    Some(prior) => tell_direction(lattice, prior, planned, &mut told).may_widen(),
                    None => true,
                };
                if let Some(closed) = self.shared.closed().filter(|_| gives) {
                    told.push(error(&closed));
                }
            }
        }
        plan.diagnostics.extend(told);
        if let (true, Some(id)) = (second_half, half_of) {
            // No plan is asked for the delete half of a replacement, so this half tells it.
            plan.planned_private = half(&id);
        }
        if replace {
            plan.require_replace(Path::attribute("integration"));
        }
    }
}

/// Whether the id names something that can hold scopes, as far as it shows.
fn holds_scopes(id: &Attr<String>, told: &mut Diagnostics) -> bool {
    if let Some(Err(error)) = id.as_deref().map(str::parse::<IntegrationId>) {
        told.error_at(
            Path::attribute("integration").then("id"),
            "This is no integration's id",
            format!("{error}.\nNext: pass the whole nhi_integration.\n(E-ID)"),
        );
        return false;
    }
    match kind_in(id) {
        Some(kind) if lattice_of(id).is_none() => {
            told.error_at(
                "integration",
                "This integration has no scopes",
                format!("{kind}: nothing is known of its scopes here.\nNext: remove this nhi_scope.\n(E-KIND)"),
            );
            false
        }
        _ => true,
    }
}

/// Where a declared scope stands.
fn place_of(planned: &ScopeModel, scope: &str) -> Path {
    match planned.temporary.value() {
        Some(dated) if dated.contains_key(scope) => {
            return Path::attribute("temporary").key(scope);
        }
        _ => {}
    }
    let standing = planned.scopes.value().is_some_and(|all| all.contains(scope));
    match planned.on_request.value() {
        Some(all) if all.contains_key(scope) && !standing => {
            Path::attribute("on_request").key(scope)
        }
        _ => Path::attribute("scopes"),
    }
}

/// What state will hold, and which temporary scopes are over as they are written.
fn decide(
    lattice: KindLattice,
    prior: Option<&ScopeModel>,
    planned: &mut ScopeModel,
    now: Option<Timestamp>,
) -> Vec<String> {
    // The same set in another spelling is no change.
    if let Some(prior) = prior
        && let (Some(before), Some(after)) = (prior.scopes.value(), planned.scopes.value())
        && before != after
        && canonical_set(&lattice, before) == canonical_set(&lattice, after)
    {
        planned.scopes = prior.scopes.clone();
    }
    let stay = prior.map(|prior| stay_elevated(lattice, prior, planned)).unwrap_or_default();
    let over = plan_temporary(prior, planned, &stay, now);
    planned.undeclared = plan_undeclared(prior, planned);
    planned.highest_action = if planned.undeclared.is_unknown() {
        Attr::unknown_not_null()
    } else {
        highest(lattice, planned)
    };
    over
}

/// What is written with an end that is past: a year or a zone that is mistyped looks like power that is
/// given.
fn tell_over(over: &[String], told: &mut Diagnostics) {
    for scope in over {
        told.warning_at(
            Path::attribute("temporary").key(scope).then("until"),
            "This temporary scope is over already",
            format!(
                "{scope:?}: its end is past, so it is not given.\nNext: write a later until, or delete these \
                 lines."
            ),
        );
    }
}

/// What is shown where it is held and never given: wished for, it would be refused by apply.
fn check_given(
    lattice: KindLattice,
    planned: &ScopeModel,
    wanted: &Set<String>,
    held: &BTreeSet<domain::Scope>,
    told: &mut Diagnostics,
) {
    for text in wanted {
        for (scope, only) in only_shown(lattice, text).filter(|(scope, _)| !held.contains(scope)) {
            told.error_at(
                place_of(planned, text),
                "This scope is shown and never given",
                format!(
                    "{scope:?}: {}. It is listed where an integration holds it, and this one does not.\nNext: \
                     write instead: {}.\n(E-SCOPE-ONLY-SHOWN)",
                    only.why, only.instead,
                    scope = scope.as_str(),
                ),
            );
        }
    }
}

/// The scopes of a text that are shown and never given.
pub(super) fn only_shown(
    lattice: KindLattice,
    text: &str,
) -> impl Iterator<Item = (domain::Scope, OnlyShown)> {
    let scopes = lattice.platform.parse_scope(lattice.kind, text).unwrap_or_default();
    scopes.into_iter().filter_map(move |scope| {
        let only = lattice.platform.only_shown(lattice.kind, &scope)?;
        Some((scope, only))
    })
}

/// Everything that is declared, for a time or not.
pub(super) fn wanted(planned: &ScopeModel) -> Set<String> {
    let standing = planned.scopes.value().into_iter().flatten();
    let dated = planned.temporary.value().into_iter().flatten();
    standing.chain(dated.map(|(scope, _)| scope)).cloned().collect()
}

fn check_ceiling(
    lattice: KindLattice,
    reference: &ScopedIntegration,
    planned: &ScopeModel,
    wanted: &Set<String>,
    told: &mut Diagnostics,
) {
    let ceiling = reference.ceiling.value().cloned().unwrap_or_default();
    let most = limit(ceiling.highest_action.as_deref()).unwrap_or_else(|word| {
        told.error_at(
            Path::attribute("integration").then("ceiling").then("highest_action"),
            "This ceiling cannot be read",
            format!("{word:?} is no action. What cannot be read limits nothing, so nothing is given under it.\nNext: correct ceiling.highest_action on the nhi_integration.\n(E-CEILING)"),
        );
        None
    });
    let (standing, none) = (planned.scopes.value(), Set::new());
    let (standing, covering) = (standing.unwrap_or(&none), ceiling.scopes.value());
    let classify = classify_of(planned);
    for over in above_ceiling(&lattice, wanted, standing, &classify, most, covering) {
        told.error_at(
            place_of(planned, &over.scope),
            "Scope above this integration's ceiling",
            format!(
                "{}: {}.\nThe ceiling is set on the nhi_integration, so that scopes and their limit have separate reviews.\nNext: {}.\n(E-CEILING)",
                reference.id.text(),
                over.why(),
                over.remedy()
            ),
        );
    }
}

/// It is held already, and no policy that came after it stops what takes power away.
fn is_held(prior: Option<&ScopeModel>, scope: &str) -> bool {
    let held = prior.and_then(|prior| prior.scopes.value());
    held.is_some_and(|held| held.iter().any(|one| one == scope))
}

fn check_environment(
    rules: &Rules,
    reference: &ScopedIntegration,
    prior: Option<&ScopeModel>,
    planned: &ScopeModel,
    wanted: &Set<String>,
    told: &mut Diagnostics,
) {
    // Of what is being adopted nobody may have said it yet.
    let Some(environment) = reference.environment.as_deref() else { return };
    for scope in wanted {
        if let Some(other) =
            policy::environment::names_another(scope, environment, &rules.environment_words)
        {
            let (at, summary) = (place_of(planned, scope), "This scope is another environment's");
            let detail = format!(
                "{scope:?} names {other:?}, and the integration is of {environment:?}.\nNext: drop the scope, or make an integration of that environment.\n(ENV01)"
            );
            match is_held(prior, scope) {
                true => told.warning_at(at, summary, detail),
                false => told.error_at(at, summary, detail),
            }
        }
    }
}

/// How long a scope for a time may last, and whether it ends by itself.
fn check_temporary(
    rules: &Rules,
    lattice: KindLattice,
    prior: Option<&ScopeModel>,
    planned: &ScopeModel,
    now: Option<Timestamp>,
    told: &mut Diagnostics,
) {
    for (scope, one) in planned.temporary.value().into_iter().flatten() {
        // Without a beginning it is from now on. The clock decides over no planned value here: only over
        // a refusal, which apply repeats.
        let from = if one.from.is_null() { now } else { instant(&one.from) };
        if let (Some(from), Some(until)) = (from, instant(&one.until))
            && until > policy::schedule::later(from, rules.temporary_longest)
        {
            told.error_at(
                Path::attribute("temporary").key(scope).then("until"),
                "This is too long to be temporary",
                format!(
                    "The policy allows {} at most.\nNext: choose an earlier until.\n(E-TOO-LONG)",
                    rules.temporary_longest
                ),
            );
        }
    }
    let new = |scope: &String| {
        let known = prior.and_then(|prior| prior.temporary.value());
        !known.is_some_and(|known| known.contains_key(scope))
    };
    let dated = planned.temporary.value().into_iter().flatten();
    let stay: Vec<&str> = dated
        .filter(|(scope, one)| {
            one.status != "ended" && new(scope) && !ends_by_itself(lattice, scope)
        })
        .map(|(scope, _)| scope.as_str())
        .collect();
    if !stay.is_empty() {
        told.warning_at(
            "temporary",
            "The platform does not end this scope by itself",
            format!("{}: when its time is over, it stays until somebody applies.", stay.join(", ")),
        );
    }
}

/// How long what may be asked for may last, and that it is not had anyway.
fn check_on_request(
    rules: &Rules,
    lattice: KindLattice,
    planned: &ScopeModel,
    told: &mut Diagnostics,
) {
    let declared = canonical_set(&lattice, &wanted(planned));
    for (scope, one) in on_request_of(planned) {
        let at = Path::attribute("on_request").key(&scope);
        if one.longest > rules.temporary_longest {
            told.error_at(
                at.clone().then("max"),
                "This is too long to be had by asking",
                format!(
                    "{scope:?}: the policy allows {} at most.\nNext: choose a shorter max.\n(E-TOO-LONG)",
                    rules.temporary_longest
                ),
            );
        }
        if canonical(&lattice, &scope).iter().any(|one| declared.contains(one)) {
            told.error_at(
                at,
                "This scope is declared as well",
                format!(
                    "{scope:?}, or a part of it, is in scopes or temporary, so nobody needs to ask for it.\nNext: \
                     keep it in one of them.\n(E-ON-REQUEST)"
                ),
            );
        }
    }
}

/// Scopes of which the connector's table says nothing.
fn tell_unlisted(
    lattice: KindLattice,
    planned: &ScopeModel,
    wanted: &Set<String>,
    told: &mut Diagnostics,
) {
    let unlisted: Vec<&str> = wanted
        .iter()
        .filter(|scope| {
            highest_action(&lattice, [*scope], &classify_of(planned)) == Action::Unknown
        })
        .map(String::as_str)
        .collect();
    // One by one they would hide each other: a core shows one warning of a kind.
    if !unlisted.is_empty() {
        told.warning_at(
            "scopes",
            "A scope that is not in the table",
            format!(
                "{}: what each gives is not known, so it counts as the highest of all.\nNext: say what it \
                 holds in classify.",
                unlisted.join(", ")
            ),
        );
    }
}

/// Which way the change goes, which is told with what makes it so.
fn tell_direction(
    lattice: KindLattice,
    prior: &ScopeModel,
    planned: &ScopeModel,
    told: &mut Diagnostics,
) -> Direction {
    if !(prior.scopes.is_value() && planned.scopes.is_value()) {
        return Direction::Unknown;
    }
    let change = change(lattice, prior, planned);
    if !change.stays.is_empty() {
        told.warning_at(
            "scopes",
            "What is no longer declared stays",
            format!(
                "{}: {}. Under at_least no apply takes it away.\nNext: enforcement = \"exact\" has apply \
                 take away what is not declared.",
                planned.id.text(),
                change.stays.join(", ")
            ),
        );
    }
    let way = change.way;
    if way == Direction::None {
        return way;
    }
    let (title, next) = if way.may_widen() {
        ("This change gives power", "apply only if that is meant")
    } else {
        ("This change takes power away", "make sure first that nobody needs what goes")
    };
    // What was handed out is not called back by another list of scopes.
    let residual = if change.takes {
        " Tokens that were issued before may keep what they had until they end."
    } else {
        ""
    };
    told.warning_at(
        "scopes",
        title,
        format!("{} {way}: {}.{residual}\nNext: {next}.", planned.id.text(), change.why.join(", ")),
    );
    way
}

fn ends_by_itself(lattice: KindLattice, text: &str) -> bool {
    let scopes = lattice.platform.parse_scope(lattice.kind, text).unwrap_or_default();
    kind(lattice.kind).is_some_and(|(_, kind)| kind.capabilities.ends_scopes)
        && scopes.iter().all(|scope| lattice.platform.ends_scope(lattice.kind, scope))
}

/// What the policy says of scopes over more than one thing.
fn check_wildcards(
    rules: &Rules,
    prior: Option<&ScopeModel>,
    wanted: &Set<String>,
    told: &mut Diagnostics,
) {
    let wide: Vec<&str> = wanted
        .iter()
        .map(String::as_str)
        .filter(|scope| policy::scopes::is_wildcard(scope))
        .collect();
    if wide.is_empty() {
        return;
    }
    let text = wide.join(", ");
    match rules.wildcards {
        Wildcards::Allow => {}
        Wildcards::Warn => told.warning_at(
            "scopes",
            "Scopes over more than one thing",
            format!("{text}: the policy would rather have each thing named."),
        ),
        Wildcards::Refuse => {
            let summary = "Scopes over more than one thing";
            let detail = format!(
                "{text}: the policy allows no wildcard.\nNext: name each thing by itself.\n(E-WILDCARD)"
            );
            match wide.iter().all(|scope| is_held(prior, scope)) {
                true => told.warning_at("scopes", summary, detail),
                false => told.error_at("scopes", summary, detail),
            }
        }
    }
}

/// What decides over power here and is not known yet.
fn hidden(exists: bool, planned: &ScopeModel, rules: &Rules) -> Vec<Path> {
    let mut hidden = Vec::new();
    let mut say = |unknown: bool, at: Path| {
        if unknown {
            hidden.push(at);
        }
    };
    say(planned.scopes.is_unknown(), Path::attribute("scopes"));
    say(planned.enforcement.is_unknown(), Path::attribute("enforcement"));
    say(planned.classify.is_unknown(), Path::attribute("classify"));
    say(planned.temporary.is_unknown(), Path::attribute("temporary"));
    for (scope, one) in planned.temporary.value().into_iter().flatten() {
        let at = Path::attribute("temporary").key(scope);
        say(one.from.is_unknown(), at.then("from"));
        say(one.until.is_unknown(), at.then("until"));
    }
    say(planned.on_request.is_unknown(), Path::attribute("on_request"));
    for (scope, one) in planned.on_request.value().into_iter().flatten() {
        let at = Path::attribute("on_request").key(scope);
        say(one.max.is_unknown(), at.clone().then("max"));
        say(one.approval.is_unknown(), at.then("approval"));
    }
    let at = Path::attribute("integration");
    say(exists && planned.integration.is_unknown(), at.clone());
    if let Some(reference) = planned.integration.value() {
        let ceiling = reference.ceiling.value();
        let part =
            ceiling.is_some_and(|one| one.highest_action.is_unknown() || one.scopes.is_unknown());
        say(part || reference.ceiling.is_unknown(), at.then("ceiling"));
        let asked = !rules.environment_words.is_empty();
        say(asked && reference.environment.is_unknown(), at.then("environment"));
    }
    hidden
}

/// What others added and is tolerated. Which of it that is after a change, only apply sees.
fn plan_undeclared(prior: Option<&ScopeModel>, planned: &ScopeModel) -> Attr<Set<String>> {
    if planned.enforcement != "at_least" {
        return Attr::Value(Set::new());
    }
    let same = prior.filter(|prior| {
        let spans = |model: &ScopeModel| {
            let dated = model.temporary.value().into_iter().flatten();
            dated.map(|(scope, _)| scope.clone()).collect::<Set<String>>()
        };
        prior.enforcement == planned.enforcement
            && prior.scopes == planned.scopes
            && spans(prior) == spans(planned)
    });
    same.map_or_else(Attr::unknown_not_null, |prior| prior.undeclared.clone())
}

/// Statuses and what is elevated, by fixed rules over what Read sampled. Read knows nothing of what is
/// new; of that an end that is past is told here, since no later moment makes it come again. The answer
/// is which those are.
fn plan_temporary(
    prior: Option<&ScopeModel>,
    planned: &mut ScopeModel,
    stay: &BTreeSet<String>,
    now: Option<Timestamp>,
) -> Vec<String> {
    let mut over = Vec::new();
    let before = prior.and_then(|prior| prior.temporary.value()).cloned().unwrap_or_default();
    let mut elevated: Attr<Set<String>> = match prior.map(|prior| prior.elevated.clone()) {
        Some(Attr::Value(set)) => Attr::Value(set),
        _ => Attr::Value(Set::new()),
    };
    let mut open = false;
    if let Some(dated) = planned.temporary.value_mut() {
        for (scope, one) in dated.iter_mut() {
            let same = before
                .get(scope)
                .filter(|known| known.from == one.from && known.until == one.until);
            one.status = match same.and_then(|known| known.status.as_deref()) {
                Some("starting") => {
                    open = true;
                    "active".into()
                }
                Some("ending") => {
                    if let Some(set) = elevated.value_mut() {
                        set.remove(scope);
                    }
                    "ended".into()
                }
                Some(status) => status.into(),
                None if instant(&one.until).zip(now).is_some_and(|(until, now)| until <= now) => {
                    if let Some(set) = elevated.value_mut() {
                        set.remove(scope);
                    }
                    over.push(scope.clone());
                    "ended".into()
                }
                None => {
                    open = true;
                    Attr::unknown_not_null()
                }
            };
        }
        if let Some(set) = elevated.value_mut() {
            set.retain(|scope| dated.contains_key(scope) || stay.contains(scope));
        }
    } else if let Some(set) = elevated.value_mut() {
        set.retain(|scope| stay.contains(scope));
    }
    planned.elevated = if open { Attr::unknown_not_null() } else { elevated };
    over
}
