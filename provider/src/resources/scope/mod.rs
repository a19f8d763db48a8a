//! `nhi_scope`: what an integration may do. One resource holds all scopes of one integration.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Action, Direction, IntegrationId, ObservedIntegration, ScopeId};
use operations::{
    DeclaredScopes, KindLattice, Problem, observe_integration, park_scopes, set_scopes,
};
use policy::rules::Wildcards;
use policy::scopes::{
    Declared, Enforcement, above_ceiling, canonical_set, echo, highest_action, limit,
};
use tfplugin::{
    Attr, Diagnostic, Diagnostics, Model, Path, Set,
    erased::Call,
    resource::{
        By, Create, Delete, Done, Failure, Identity, Import, ImportState, Plan, Read, Resource,
        Update,
    },
};

use super::{
    applied::Applied,
    platform_objects::kind,
    references::ScopedIntegration,
    replacement::{half, is_half_of},
};
use crate::{
    diagnostics::{
        Unseen, errors, notices, observed, on_integration, tell_unknown_connection,
        unknown_governed,
    },
    rules,
    shared::Shared,
    values::instant,
};

/// Everything that one integration may do.
///
/// One resource for one integration, exclusive by default: a scope that somebody added by hand is
/// drift, and apply takes it away. The integration is handed over as a whole object:
/// `integration = nhi_integration.invoice_sync`. Contributions of several teams are composed in
/// HCL, where a review sees the sum: `scopes = setunion(module.a.scopes, module.b.scopes)`.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct ScopeModel {
    /// `<integration id>/scope`.
    #[tf(computed, not_null)]
    pub id: Attr<String>,

    /// The integration: a whole `nhi_integration`.
    #[tf(required)]
    pub integration: Attr<ScopedIntegration>,

    /// What it may do, in its platform's own grammar. `[]` is nothing at all.
    #[tf(required)]
    pub scopes: Attr<Set<String>>,

    /// Which differences are drift: `exact` (all), `at_most` (others may take away by hand) or
    /// `at_least` (others may add; what they added is in `undeclared`).
    #[tf(default = "exact", validate = rules::enforcement)]
    pub enforcement: Attr<String>,

    /// Why it needs them, in at least 20 characters.
    #[tf(required, validate = rules::reason)]
    pub justification: Attr<String>,

    /// Why it needs single ones.
    #[tf(optional)]
    pub justifications: Attr<BTreeMap<String, String>>,

    /// Scopes for a time, by scope.
    #[tf(optional)]
    pub temporary: Attr<BTreeMap<String, Temporary>>,

    /// Live scopes that nobody declared, tolerated under `at_least`.
    #[tf(computed)]
    pub undeclared: Attr<Set<String>>,

    /// Temporary scopes that are live now.
    #[tf(computed)]
    pub elevated: Attr<Set<String>>,

    /// What single scopes really let their holder do, by scope: an action. Below the connector's
    /// table it is a widening.
    #[tf(optional)]
    pub classify: Attr<BTreeMap<String, String>>,

    /// The highest action among all of them.
    #[tf(computed, not_null)]
    pub highest_action: Attr<String>,
}

/// A scope for a time.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Temporary {
    /// From when; unset is now.
    #[tf(optional, validate = rules::moment)]
    pub from: Attr<String>,

    /// Until when.
    #[tf(required, validate = rules::moment)]
    pub until: Attr<String>,

    /// Why, in at least 20 characters.
    #[tf(required, validate = rules::reason)]
    pub justification: Attr<String>,

    /// The ticket.
    #[tf(optional)]
    pub ticket: Attr<String>,

    /// `scheduled`, `starting`, `active`, `ending` (over and still live) or `ended`.
    #[tf(computed)]
    pub status: Attr<String>,
}

/// The identity: the integration's.
#[derive(Debug, Clone, PartialEq, Model)]
pub(crate) struct ScopeIdentity {
    /// The connection's name.
    #[tf(required)]
    pub connection: Attr<String>,
    /// The platform object's name.
    #[tf(required)]
    pub kind: Attr<String>,
    /// The vendor's key.
    #[tf(required)]
    pub key: Attr<String>,
}

/// `nhi_scope`.
#[derive(Debug)]
pub(crate) struct Scope {
    shared: Shared,
}

impl Scope {
    pub(crate) fn new(shared: Shared) -> Scope {
        Scope { shared }
    }
}

fn integration_of(id: &Attr<String>) -> Option<IntegrationId> {
    id.as_deref()?.parse().ok()
}

/// The scopes of an id's kind. From an id whose key is unknown yet the kind still shows.
fn lattice_of(id: &Attr<String>) -> Option<KindLattice> {
    let kind_name = match id {
        Attr::Value(id) => id.parse::<IntegrationId>().ok()?.kind,
        Attr::Unknown(Some(promise)) => promise.prefix.as_deref()?.split('/').nth(1)?.to_owned(),
        _ => return None,
    };
    let (platform, kind) = kind(&kind_name)?;
    Some(KindLattice { platform: platform?, kind: kind.name })
}

fn classify_of(model: &ScopeModel) -> BTreeMap<String, Action> {
    let all = model.classify.value().into_iter().flatten();
    all.filter_map(|(scope, action)| Some((scope.clone(), action.parse().ok()?))).collect()
}

fn declared_of(model: &ScopeModel) -> Declared {
    let dated = model.temporary.value().into_iter().flatten();
    Declared {
        scopes: model.scopes.value().cloned().unwrap_or_default(),
        temporary: dated
            .filter_map(|(scope, one)| {
                let until = instant(&one.until)?;
                Some((scope.clone(), policy::scopes::Temporary { from: instant(&one.from), until }))
            })
            .collect(),
    }
}

/// Everything that counts for the highest action: the same in Read and in plan.
fn counted(model: &ScopeModel) -> Set<String> {
    let mut all = model.scopes.value().cloned().unwrap_or_default();
    all.extend(model.undeclared.value().into_iter().flatten().cloned());
    all.extend(model.elevated.value().into_iter().flatten().cloned());
    let dated = model.temporary.value().into_iter().flatten();
    all.extend(dated.filter(|(_, one)| one.status != "ended").map(|(scope, _)| scope.clone()));
    all
}

fn highest(lattice: KindLattice, model: &ScopeModel) -> Attr<String> {
    let all = counted(model);
    highest_action(&lattice, &all, &classify_of(model)).as_str().into()
}

impl Scope {
    /// Looks at the world and says what state should hold.
    async fn observe(&self, request: Read<ScopeModel>) -> Result<Option<Done<ScopeModel>>, Unseen> {
        let mut model = request.state;
        let id = model.id.as_deref().and_then(|id| id.parse::<ScopeId>().ok()).map(|id| id.0);
        let (Some(id), Some(lattice)) =
            (id.clone(), lattice_of(&id.map(|id| id.to_string()).into()))
        else {
            return Err(Diagnostic::error(
                "The id in state is not one of ours",
                format!("{:?}.\nNext: take it out of state with terraform state rm, and import it.\n(E-STATE)", model.id.text()),
            )
            .into());
        };
        let context = self.shared.context()?;
        let seen = observe_integration(&context, &id, None, None).await?;
        let Some(seen) = seen else { return Ok(None) };
        seen.whole(&id)?;
        let imported = model.integration.is_null();
        if imported {
            model.integration = Attr::Value(ScopedIntegration {
                id: Attr::Value(id.to_string()),
                vendor_id: Attr::Value(seen.observed.vendor_id.clone()),
                ..ScopedIntegration::default()
            });
            model.enforcement = "exact".into();
        }
        // Where the platform has room for a record, the reason stands there: a hand on it is drift.
        let keeps = kind(&id.kind).is_some_and(|(_, kind)| kind.capabilities.keeps_record);
        if let Some(record) = &seen.observed.record {
            model.justification = Attr::from(record.justification.clone());
        } else if keeps {
            model.justification = Attr::Null;
        }
        let live: BTreeSet<domain::Scope> =
            seen.observed.scopes.iter().map(|granted| granted.scope.clone()).collect();
        let declared = declared_of(&model);
        let enforcement = Enforcement::from_word(model.enforcement.text());
        let echo = echo(&lattice, &declared, &live, enforcement);
        let now = context.now();
        let mut told = Diagnostics::new();
        if let Some(dated) = model.temporary.value_mut() {
            for (scope, one) in dated.iter_mut() {
                if let Some(temporary) = declared.temporary.get(scope) {
                    let status = temporary.status(echo.elevated.contains(scope), now);
                    one.status = status.into();
                    if status == "ended" {
                        told.warning_at(
                            Path::attribute("temporary").key(scope),
                            "A temporary scope is over",
                            format!("{scope:?} ended.\nNext: delete these lines."),
                        );
                    }
                }
            }
        }
        if !echo.extra.is_empty() && enforcement == Enforcement::AtLeast {
            let extra: Vec<&str> = echo.extra.iter().map(String::as_str).collect();
            told.warning_at(
                "undeclared",
                "Scopes that nobody declared",
                format!("{id}: {}. They are left alone under at_least.", extra.join(", ")),
            );
        }
        let now_live = applied(lattice, &model, &seen.observed);
        if let Some(before) = Applied::from_bytes(&request.private) {
            let moved = moved(&before, &now_live);
            if !moved.is_empty() {
                told.warning_at(
                    "scopes",
                    "Changed outside of Terraform",
                    format!("{id}: {}, by somebody else than the last apply.", moved.join(", ")),
                );
            }
        }
        model.scopes = Attr::Value(echo.scopes);
        model.undeclared = Attr::Value(echo.undeclared);
        model.elevated = Attr::Value(echo.elevated);
        model.highest_action = highest(lattice, &model);
        Ok(Some(Done::new(model).tell(told)))
    }
}

impl Resource for Scope {
    type Model = ScopeModel;
    const TYPE_NAME: &'static str = "nhi_scope";

    async fn validate(&self, config: &ScopeModel, _call: &Call) -> Diagnostics {
        let mut found = Diagnostics::new();
        let id = config.integration.value().map(|one| one.id.clone()).unwrap_or_default();
        if let Some(lattice) = lattice_of(&id) {
            check_grammar(lattice, config, &mut found);
        }
        for (scope, one) in config.temporary.value().into_iter().flatten() {
            if let (Some(from), Some(until)) = (instant(&one.from), instant(&one.until))
                && until <= from
            {
                found.error_at(
                    Path::attribute("temporary").key(scope).then("until"),
                    "This scope ends before it begins",
                    format!("{scope:?}.\nNext: let until be after from.\n(E-TEMPORARY)"),
                );
            }
            if config.scopes.value().is_some_and(|scopes| scopes.contains(scope)) {
                found.error_at(
                    Path::attribute("temporary").key(scope),
                    "This scope is standing as well",
                    format!("{scope:?} is in scopes, so it would not end.\nNext: keep it in one of them.\n(E-TEMPORARY)"),
                );
            }
        }
        let known = |scope: &String| {
            let standing = config.scopes.value().map(|all| all.contains(scope));
            let dated = config.temporary.value().map(|all| all.contains_key(scope));
            // What becomes known later may still name it.
            config.scopes.is_unknown()
                || config.temporary.is_unknown()
                || standing == Some(true)
                || dated == Some(true)
        };
        let named = [("classify", &config.classify), ("justifications", &config.justifications)];
        for (attribute, map) in named {
            for scope in map.value().into_iter().flat_map(BTreeMap::keys) {
                if !known(scope) {
                    found.error_at(
                        Path::attribute(attribute).key(scope),
                        "This scope is not declared here",
                        format!("{scope:?} is neither in scopes nor in temporary.\nNext: spell it as it stands there, or remove this line.\n(E-NOT-DECLARED)"),
                    );
                }
            }
        }
        for (scope, word) in config.classify.value().into_iter().flatten() {
            if let Err(error) = word.parse::<Action>() {
                found.error_at(
                    Path::attribute("classify").key(scope),
                    "This is no action",
                    format!("{error}.\nNext: correct the word.\n(E-ACTION)"),
                );
            }
        }
        found
    }

    async fn plan(&self, plan: &mut Plan<ScopeModel>) {
        let rules = self.shared.rules();
        let context = self.shared.context_if_ready();
        let mut told = Diagnostics::new();
        let mut replace = false;
        let mut half_of = None;
        let second_half = plan.prior.is_none() && Applied::is_in(&plan.prior_private);
        if second_half {
            told.warning(
                "This replaces what an integration may do",
                "All its scopes are taken away first, and those that are declared are then given to \
                 the integration that is there.",
            );
        }
        if let Some((config, prior, planned)) = plan.changing() {
            let reference = planned.integration.value().cloned().unwrap_or_default();
            planned.id = match &reference.id {
                Attr::Value(id) => Attr::Value(format!("{id}/scope")),
                Attr::Unknown(Some(promise)) => match &promise.prefix {
                    Some(prefix) => Attr::unknown_with_prefix(prefix.clone()),
                    None => Attr::unknown_not_null(),
                },
                _ => Attr::unknown_not_null(),
            };
            half_of = planned.id.value().cloned();
            if let Some(before) = prior.and_then(|prior| prior.integration.value()) {
                replace = before.id.is_value() && before.id != reference.id
                    || before.vendor_id.is_value()
                        && !reference.vendor_id.is_null()
                        && before.vendor_id != reference.vendor_id;
            }
            if reference.vendor_id.is_null() {
                told.warning_at(
                    "integration",
                    "The integration was passed without its vendor_id",
                    "If somebody recreates it, this plan cannot see that.\nNext: pass the whole object, or declare vendor_id in the variable's type.",
                );
            }
            tell_unknown_connection(context.as_ref(), &reference.id, &mut told);
            let hidden = hidden(prior.is_some(), planned, &rules);
            let reviewable = hidden.is_empty();
            for at in hidden {
                told.push(unknown_governed(at));
            }
            let lattice = lattice_of(&reference.id);
            if let (Some(lattice), true) = (lattice, reviewable) {
                check_grammar(lattice, config, &mut told);
                // The same set in another spelling is no change.
                if let Some(prior) = prior
                    && let (Some(before), Some(after)) =
                        (prior.scopes.value(), planned.scopes.value())
                    && before != after
                    && canonical_set(&lattice, before) == canonical_set(&lattice, after)
                {
                    planned.scopes = prior.scopes.clone();
                }
                plan_temporary(prior, planned);
                planned.undeclared = plan_undeclared(prior, planned);
                planned.highest_action = if planned.undeclared.is_unknown() {
                    Attr::unknown_not_null()
                } else {
                    highest(lattice, planned)
                };
                let ceiling = reference.ceiling.value().cloned().unwrap_or_default();
                let most = limit(ceiling.highest_action.as_deref()).unwrap_or_else(|word| {
                    told.error_at(
                        Path::attribute("integration").then("ceiling").then("highest_action"),
                        "This ceiling cannot be read",
                        format!("{word:?} is no action. What cannot be read limits nothing, so nothing is given under it.\nNext: correct ceiling.highest_action on the nhi_integration.\n(E-CEILING)"),
                    );
                    None
                });
                let wanted: Set<String> = planned
                    .scopes
                    .value()
                    .into_iter()
                    .flatten()
                    .chain(planned.temporary.value().into_iter().flatten().map(|(scope, _)| scope))
                    .cloned()
                    .collect();
                let over = above_ceiling(
                    &lattice,
                    &wanted,
                    &classify_of(planned),
                    most,
                    ceiling.scopes.value(),
                );
                for (scope, action) in over {
                    told.error_at(
                        "scopes",
                        "Scope above this integration's ceiling",
                        format!(
                            "{scope:?} lets it act as: {action}. Ceiling of {}: {}.\nThe ceiling is set on the nhi_integration, so that scopes and their limit have separate reviews.\nNext: drop the scope, or raise ceiling.highest_action there.\n(E-CEILING)",
                            reference.id.text(),
                            ceiling.highest_action.as_deref().unwrap_or("the listed scopes")
                        ),
                    );
                }
                let environment = reference.environment.as_deref().unwrap_or_default();
                for scope in &wanted {
                    if let Some(other) = policy::environment::names_another(
                        scope,
                        environment,
                        &rules.environment_words,
                    ) {
                        told.error_at(
                            "scopes",
                            "This scope is another environment's",
                            format!("{scope:?} names {other:?}, and the integration is of {environment:?}.\nNext: drop the scope, or make an integration of that environment.\n(ENV01)"),
                        );
                    }
                }
                for (scope, one) in planned.temporary.value().into_iter().flatten() {
                    if let (Some(from), Some(until)) = (instant(&one.from), instant(&one.until))
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
                    .filter(|(scope, one)| one.status != "ended" && new(scope))
                    .map(|(scope, _)| scope.as_str())
                    .collect();
                if !stay.is_empty() && !ends_scopes(lattice) {
                    told.warning_at(
                        "temporary",
                        "This platform ends no scope by itself",
                        format!(
                            "{}: when its time is over, it stays until somebody applies.",
                            stay.join(", ")
                        ),
                    );
                }
                check_wildcards(&rules, &wanted, &mut told);
                for scope in &wanted {
                    if highest_action(&lattice, [scope], &classify_of(planned)) == Action::Unknown {
                        told.warning_at(
                            "scopes",
                            "A scope that is not in the table",
                            format!("{scope:?}: what it gives is not known, so it counts as the highest of all.\nNext: say what it holds in classify."),
                        );
                    }
                }
                if let Some(prior) = prior
                    && let (Some(before), Some(after)) =
                        (prior.scopes.value(), planned.scopes.value())
                {
                    let way = lattice.platform.direction(
                        lattice.kind,
                        &canonical_set(&lattice, before),
                        &canonical_set(&lattice, after),
                    );
                    let (others, why) = other_directions(lattice, prior, planned);
                    let way = way.and(others);
                    let gained: Vec<String> = after
                        .difference(before)
                        .map(|scope| {
                            format!(
                                "+ {scope} ({})",
                                highest_action(&lattice, [scope], &classify_of(planned))
                            )
                        })
                        .collect();
                    let lost: Vec<String> = before
                        .difference(after)
                        .map(|scope| {
                            format!(
                                "- {scope} ({})",
                                highest_action(&lattice, [scope], &classify_of(planned))
                            )
                        })
                        .collect();
                    if way != Direction::None {
                        let title = if way.may_widen() {
                            "This change gives power"
                        } else {
                            "This change takes power away"
                        };
                        // What was handed out is not called back by another list of scopes.
                        let residual = if lost.is_empty() {
                            ""
                        } else {
                            " Tokens that were issued before may keep what they had until they end."
                        };
                        told.warning_at(
                            "scopes",
                            title,
                            format!(
                                "{} {way}: {}.{residual}",
                                planned.id.text(),
                                [gained, lost, why].concat().join(", ")
                            ),
                        );
                    }
                }
            }
        }
        plan.diagnostics.extend(told);
        if let (true, Some(id)) = (second_half, half_of) {
            // No plan is asked for the delete half of a replacement, so this half tells it.
            plan.planned_private = half(&id, None);
        }
        if replace {
            plan.require_replace(Path::attribute("integration"));
        }
    }

    async fn create(
        &self,
        request: Create<ScopeModel>,
    ) -> Result<Done<ScopeModel>, Failure<ScopeModel>> {
        self.set(request.planned, true).await
    }

    async fn read(
        &self,
        request: Read<ScopeModel>,
    ) -> Result<Option<Done<ScopeModel>>, Diagnostics> {
        let (state, call) = (request.state.clone(), request.call.clone());
        observed(self.observe(request).await.map_err(on_integration), state, &call)
    }

    async fn update(
        &self,
        request: Update<ScopeModel>,
    ) -> Result<Done<ScopeModel>, Failure<ScopeModel>> {
        self.set(request.planned, false).await
    }

    async fn delete(
        &self,
        request: Delete<ScopeModel>,
    ) -> Result<Diagnostics, Failure<ScopeModel>> {
        let model = request.prior;
        let reference = model.integration.value().cloned().unwrap_or_default();
        // Dropped from state it would be held on, known to nobody.
        let id = integration_of(&reference.id).ok_or_else(|| {
            errors(
                Problem::new("E-STATE", "These scopes cannot be taken away from here")
                    .detail(format!(
                        "The integration in state, {:?}, cannot be read. Nothing was changed, and it \
                         stays in state.",
                        reference.id.text()
                    ))
                    .next("take them away at the platform and then: terraform state rm"),
            )
        })?;
        let context = self.shared.context().map_err(errors)?;
        let replaced = is_half_of(&request.planned_private, model.id.text(), None);
        park_scopes(&context, &id, reference.vendor_id.as_deref(), replaced)
            .await
            .map_err(errors)?;
        Ok(notices(&context))
    }
}

impl Scope {
    async fn set(
        &self,
        mut model: ScopeModel,
        first: bool,
    ) -> Result<Done<ScopeModel>, Failure<ScopeModel>> {
        let context = self.shared.context().map_err(errors)?;
        let reference = model.integration.value().cloned().unwrap_or_default();
        let (Some(id), Some(lattice)) = (integration_of(&reference.id), lattice_of(&reference.id))
        else {
            return Err(Diagnostic::error(
                "This integration has no scopes",
                format!("{}: nothing is known of its scopes here.\nNext: remove this nhi_scope.\n(E-KIND)", reference.id.text()),
            )
            .at("integration")
            .into());
        };
        let wish = DeclaredScopes {
            declared: declared_of(&model),
            enforcement: Enforcement::from_word(model.enforcement.text()),
            classify: classify_of(&model),
            justification: model.justification.as_deref().map(str::to_owned),
            first,
        };
        let now = set_scopes(&context, &id, reference.vendor_id.as_deref(), lattice, &wish)
            .await
            .map_err(errors)?;
        let live: BTreeSet<domain::Scope> =
            now.scopes.iter().map(|granted| granted.scope.clone()).collect();
        let echo = echo(&lattice, &wish.declared, &live, wish.enforcement);
        let at = context.now();
        if let Some(dated) = model.temporary.value_mut() {
            for (scope, one) in dated.iter_mut() {
                if let (true, Some(temporary)) =
                    (one.status.is_unknown(), wish.declared.temporary.get(scope))
                {
                    one.status = temporary.status(echo.elevated.contains(scope), at).into();
                }
            }
        }
        if !model.elevated.is_value() {
            model.elevated = Attr::Value(echo.elevated);
        }
        if !model.undeclared.is_value() {
            model.undeclared = Attr::Value(echo.undeclared);
        }
        if model.highest_action.is_unknown() {
            model.highest_action = highest(lattice, &model);
        }
        model.id = Attr::Value(ScopeId(id).to_string());
        let applied = applied(lattice, &model, &now);
        Ok(Done::new(model).private(applied.to_bytes()).tell(notices(&context)))
    }
}

/// What is live and not for a time, by scope: as it is kept in private state.
fn applied(lattice: KindLattice, model: &ScopeModel, now: &ObservedIntegration) -> Applied {
    let none = BTreeMap::new();
    let dated = canonical_set(&lattice, model.temporary.value().unwrap_or(&none).keys());
    let live = now.scopes.iter().map(|granted| &granted.scope);
    let standing = live.filter(|scope| !dated.contains(*scope));
    Applied(standing.map(|scope| (scope.as_str().to_owned(), "live".to_owned())).collect())
}

/// What changed since the last apply, by scope: `+` was added, `-` was taken away.
fn moved(before: &Applied, now: &Applied) -> Vec<String> {
    let only = |a: &Applied, b: &Applied, sign: char| {
        let gone = a.0.keys().filter(|scope| !b.0.contains_key(*scope));
        gone.map(|scope| format!("{sign} {scope}")).collect::<Vec<_>>()
    };
    [only(now, before, '+'), only(before, now, '-')].concat()
}

/// Everything of a change that gives or takes power beside the scopes themselves.
fn other_directions(
    lattice: KindLattice,
    prior: &ScopeModel,
    planned: &ScopeModel,
) -> (Direction, Vec<String>) {
    let mut total = Direction::None;
    let mut why = Vec::new();
    let mut add = |way: Direction, text: String| {
        if way != Direction::None {
            why.push(text);
            total = total.and(way);
        }
    };
    // at_least tolerates what others add; exact and at_most end it.
    let tolerates = |model: &ScopeModel| model.enforcement == "at_least";
    match (tolerates(prior), tolerates(planned)) {
        (false, true) => add(Direction::Widens, "enforcement = \"at_least\"".to_owned()),
        (true, false) => {
            add(Direction::Narrows, format!("enforcement = {:?}", planned.enforcement.text()));
        }
        _ => {}
    }
    let (before, after) = (classify_of(prior), classify_of(planned));
    for (scope, action) in &after {
        let was = before
            .get(scope)
            .copied()
            .unwrap_or_else(|| highest_action(&lattice, [scope], &BTreeMap::new()));
        // What a person calls lower than it was counts for less from now on.
        if *action < was {
            add(Direction::Widens, format!("classify {scope:?} as {action}"));
        }
    }
    let none = BTreeMap::new();
    let (before, after) =
        (prior.temporary.value().unwrap_or(&none), planned.temporary.value().unwrap_or(&none));
    for (scope, one) in after {
        match (before.get(scope), instant(&one.until)) {
            (None, _) if one.status != "ended" => {
                add(Direction::Widens, format!("+ {scope} until {}", one.until.text()));
            }
            (Some(known), Some(until)) if instant(&known.until).is_some_and(|was| until > was) => {
                add(Direction::Widens, format!("{scope} until {}", one.until.text()));
            }
            _ => {}
        }
    }
    for (scope, one) in before {
        if !after.contains_key(scope) && one.status != "ended" {
            add(Direction::Narrows, format!("- {scope} (temporary)"));
        }
    }
    (total, why)
}

fn ends_scopes(lattice: KindLattice) -> bool {
    kind(lattice.kind).is_some_and(|(_, kind)| kind.capabilities.ends_scopes)
}

/// What the policy says of scopes over more than one thing.
fn check_wildcards(rules: &policy::Rules, wanted: &Set<String>, told: &mut Diagnostics) {
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
        Wildcards::Refuse => told.error_at(
            "scopes",
            "Scopes over more than one thing",
            format!("{text}: the policy allows no wildcard.\nNext: name each thing by itself.\n(E-WILDCARD)"),
        ),
    }
}

/// What decides over power here and is not known yet.
fn hidden(exists: bool, planned: &ScopeModel, rules: &policy::Rules) -> Vec<Path> {
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

/// Statuses and what is elevated, by fixed rules over what Read sampled.
fn plan_temporary(prior: Option<&ScopeModel>, planned: &mut ScopeModel) {
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
                None => {
                    open = true;
                    Attr::unknown_not_null()
                }
            };
        }
        if let Some(set) = elevated.value_mut() {
            set.retain(|scope| dated.contains_key(scope));
        }
    } else if let Some(set) = elevated.value_mut() {
        set.clear();
    }
    planned.elevated = if open { Attr::unknown_not_null() } else { elevated };
}

fn check_grammar(lattice: KindLattice, config: &ScopeModel, found: &mut Diagnostics) {
    let dated =
        config.temporary.value().into_iter().flatten().map(|(scope, _)| (scope, "temporary"));
    let standing = config.scopes.value().into_iter().flatten().map(|scope| (scope, "scopes"));
    for (scope, attribute) in standing.chain(dated) {
        if let Err(error) = lattice.platform.parse_scope(lattice.kind, scope) {
            let meant = error
                .suggestion
                .as_deref()
                .map(|meant| format!(" Did you mean {meant:?}?"))
                .unwrap_or_default();
            let path = match attribute {
                "temporary" => Path::attribute("temporary").key(scope),
                _ => Path::attribute("scopes"),
            };
            found.error_at(
                path,
                "This is no scope of this platform",
                format!(
                    "{}.{meant}\nNext: correct it.\n(E-SCOPE-GRAMMAR)",
                    error.message.trim_end_matches('.')
                ),
            );
        }
    }
}

impl Identity for Scope {
    type Identity = ScopeIdentity;

    fn identity(&self, state: &ScopeModel) -> ScopeIdentity {
        match state.id.as_deref().and_then(|id| id.parse::<ScopeId>().ok()) {
            Some(ScopeId(id)) => ScopeIdentity {
                connection: id.connection.into(),
                kind: id.kind.into(),
                key: id.key.into(),
            },
            None => ScopeIdentity {
                connection: Attr::unknown(),
                kind: Attr::unknown(),
                key: Attr::unknown(),
            },
        }
    }
}

impl ImportState for Scope {
    async fn import(&self, request: Import) -> Result<Done<ScopeModel>, Diagnostics> {
        let id = match (&request.by, request.by.identity::<ScopeIdentity>()?) {
            (By::Id(id), _) => id.parse::<ScopeId>().map_err(|error| {
                Diagnostic::error(
                    "This is no scope's id",
                    format!("{error}.\nNext: nhi scan prints them.\n(E-ID)"),
                )
            })?,
            (_, Some(identity)) => ScopeId(IntegrationId::new(
                identity.connection.need("connection")?.clone(),
                identity.kind.need("kind")?.clone(),
                identity.key.need("key")?.clone(),
            )),
            (_, None) => {
                return Err(Diagnostic::error(
                    "No id",
                    "Nothing says what to import.\nNext: give an id or an identity.\n(E-ID)",
                )
                .into());
            }
        };
        Ok(ScopeModel { id: Attr::Value(id.to_string()), ..ScopeModel::default() }.into())
    }
}
