//! `nhi_scope`: what an integration may do. One resource holds all scopes of one integration.

mod direction;
mod drift;
mod model;
mod plan;
mod taking_in;

use std::collections::{BTreeMap, BTreeSet};

use domain::{Action, ScopeId};
use operations::{
    DeclaredScopes, KindLattice, Part, Problem, governed_already, observe_integration, park_scopes,
    running, set_scopes,
};
use policy::{
    elevation::with_given,
    scopes::{Declared, Enforcement, canonical_set, echo},
};
use tfplugin::{
    Attr, Diagnostic, Diagnostics, Path,
    erased::Call,
    resource::{Create, Delete, Done, Failure, Plan, Read, Resource, Update},
};

pub(crate) use self::{
    direction::direction,
    model::{ScopeModel, asked_for, unspoken},
};
use self::{
    drift::{applied, in_part, moved},
    model::{classify_of, declared_of, highest, integration_of, lattice_of},
    plan::{only_shown, wanted},
};
use super::{
    applied::Applied,
    platform_objects::kind,
    references::{Adoption, ScopedIntegration},
    replacement::is_half_of,
};
use crate::{
    diagnostics::{
        Unseen, about, about_planned, errors, notices, observed, of_integration, on_integration,
        warning,
    },
    shared::Shared,
    values::instant,
};

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
        seen.governed_here(&context, &id).await.map_err(|problem| problem.at(&["integration"]))?;
        seen.whole(&id)?;
        let mut told = Diagnostics::new();
        if model.integration.is_null() {
            let already = governed_already(&context, &id, &seen, Part::Scopes).await;
            told.extend(already.as_ref().map(warning));
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
        // What runs by asking is one of those for a time; what is over is an extra.
        let runs = running(&context, &seen.observed, lattice, &declared);
        let declared = with_given(&declared, &runs);
        let enforcement = Enforcement::from_word(model.enforcement.text());
        let echo = echo(&lattice, &declared, &live, enforcement);
        // It begins and ends when every clock says so.
        let now = context.time().lo;
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
                format!(
                    "{id}: {}. They are left alone under at_least.\nNext: declare in scopes what is \
                     meant; enforcement = \"exact\" has apply take the rest away.",
                    extra.join(", ")
                ),
            );
        }
        for (scope, until) in &runs {
            told.warning_at(
                "elevated",
                "A scope that was given by asking",
                format!("{id}: {scope} until {until:.0}. Apply leaves it, and its end takes it away.\nNext: nhi elevate --end {id} {scope} ends it now."),
            );
        }
        model.elevated = Attr::Value(echo.elevated);
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
        model.highest_action = highest(lattice, &model);
        let told = about(told, &model.id);
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
        require_justification(config, &mut found);
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
            let asked = config.on_request.value().map(|all| all.contains_key(scope));
            // What becomes known later may still name it.
            config.scopes.is_unknown()
                || config.temporary.is_unknown()
                || config.on_request.is_unknown()
                || standing == Some(true)
                || dated == Some(true)
                || asked == Some(true)
        };
        let named = [("classify", &config.classify), ("justifications", &config.justifications)];
        for (attribute, map) in named {
            for scope in map.value().into_iter().flat_map(BTreeMap::keys) {
                if !known(scope) {
                    found.error_at(
                        Path::attribute(attribute).key(scope),
                        "This scope is not declared here",
                        format!("{scope:?} is in none of scopes, temporary and on_request.\nNext: spell it as it stands there, or remove this line.\n(E-NOT-DECLARED)"),
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
        let held = self.held(plan).await;
        self.plan_change(plan, held.as_ref());
        self.shared.tell_remade(plan, |model| &model.id);
        about_planned(plan, |model| &model.id);
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
        let (planned, before) = (request.planned, Applied::from_bytes(&request.planned_private));
        match (self.set(planned.clone(), false).await, before) {
            (Err(failure), Some(before)) => {
                Err(self.failed_after(failure, &planned, &before).await)
            }
            (done, _) => done,
        }
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
        let replaced = is_half_of(&request.planned_private, model.id.text());
        park_scopes(&context, &id, reference.vendor_id.as_deref(), replaced)
            .await
            .map_err(|problem| errors(of_integration(problem)))?;
        Ok(notices(&context))
    }
}

impl Scope {
    /// What an integration holds already, as far as a plan must know it: by its state, or by a look
    /// where it has none and something is wished for that is never given. `None` where that look is
    /// not to be had: then apply tells.
    async fn held(&self, plan: &Plan<ScopeModel>) -> Option<BTreeSet<domain::Scope>> {
        let planned = plan.planned.as_ref()?;
        let reference = planned.integration.value()?;
        let lattice = lattice_of(&reference.id)?;
        if let Some(prior) = &plan.prior {
            let parts = [&prior.scopes, &prior.undeclared, &prior.elevated];
            return Some(canonical_set(
                &lattice,
                parts.iter().filter_map(|one| one.value()).flatten(),
            ));
        }
        let wishes_for_it =
            wanted(planned).iter().any(|text| only_shown(lattice, text).next().is_some());
        let there = integration_of(&reference.id).filter(|_| reference.vendor_id.is_value());
        let (true, Some(id)) = (wishes_for_it, there) else { return Some(BTreeSet::new()) };
        let context = self.shared.context_if_ready()?;
        let seen = observe_integration(&context, &id, None, None).await.ok()?;
        Some(seen.into_iter().flat_map(|seen| seen.observed.scopes).map(|one| one.scope).collect())
    }

    /// A failure with what it did before it failed: the next plan is not to call that somebody else's.
    async fn failed_after(
        &self,
        failure: Failure<ScopeModel>,
        planned: &ScopeModel,
        before: &Applied,
    ) -> Failure<ScopeModel> {
        let id = planned.integration.value().map(|one| &one.id);
        let id = id.and_then(|id| integration_of(id).zip(lattice_of(id)));
        let (Some((id, lattice)), Ok(context)) = (id, self.shared.context()) else {
            return failure;
        };
        let Ok(Some(seen)) = observe_integration(&context, &id, None, None).await else {
            return failure;
        };
        let asked = canonical_set(&lattice, planned.scopes.value().into_iter().flatten());
        let now = applied(lattice, planned, &seen.observed);
        failure.private(in_part(before, &now, &asked).to_bytes())
    }

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
        let at = context.time().lo;
        refuse_over(&model, &wish.declared, at)?;
        let now = set_scopes(&context, &id, reference.vendor_id.as_deref(), lattice, &wish)
            .await
            .map_err(|problem| errors(of_integration(problem)))?;
        let live: BTreeSet<domain::Scope> =
            now.scopes.iter().map(|granted| granted.scope.clone()).collect();
        let runs = running(&context, &now, lattice, &wish.declared);
        let with_runs = with_given(&wish.declared, &runs);
        let echo = echo(&lattice, &with_runs, &live, wish.enforcement);
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

/// A plan of before a scope's end would have state call active what is over; and where the clock of apply
/// is behind the plan's, what was shown as over would be given.
fn refuse_over(
    model: &ScopeModel,
    declared: &Declared,
    now: jiff::Timestamp,
) -> Result<(), Diagnostics> {
    let mut found = Diagnostics::new();
    for (scope, one) in model.temporary.value().into_iter().flatten() {
        let Some(temporary) = declared.temporary.get(scope) else { continue };
        let at = Path::attribute("temporary").key(scope);
        match one.status.text() {
            "active" if !temporary.holds(now) => found.error_at(
                at,
                "A temporary scope is over since this was planned",
                format!(
                    "{scope:?} was planned as active, and it is not its time any more. Nothing was \
                     changed.\nNext: plan again.\n(E-TEMPORARY)"
                ),
            ),
            "ended" if temporary.holds(now) => found.error_at(
                at,
                "A temporary scope was planned as over",
                format!(
                    "{scope:?} is not over by the clock of this machine, which is behind that of the plan. \
                     Nothing was changed.\nNext: set the clock right, and plan again.\n(E-TEMPORARY)"
                ),
            ),
            _ => {}
        }
    }
    if found.has_errors() { Err(found) } else { Ok(()) }
}

/// Why it needs them is said of every scope, but for a while of those that were adopted.
fn require_justification(config: &ScopeModel, found: &mut Diagnostics) {
    let adoption = config.integration.value().map(|one| &one.adoption);
    if config.justification.is_null() && Adoption::is_over(adoption) {
        found.error_at(
            "justification",
            "This must be said of scopes",
            "justification is not set.\nNext: say in it why the integration needs them. Of scopes that exist it \
             may be missing while the nhi_integration has an adoption, which comes with the whole object: \
             integration = nhi_integration.NAME.\n(E-REQUIRED)",
        );
    }
}

fn check_grammar(lattice: KindLattice, config: &ScopeModel, found: &mut Diagnostics) {
    let dated =
        config.temporary.value().into_iter().flatten().map(|(scope, _)| (scope, "temporary"));
    let standing = config.scopes.value().into_iter().flatten().map(|scope| (scope, "scopes"));
    let asked = config.on_request.value().into_iter().flatten();
    let asked = asked.map(|(scope, _)| (scope, "on_request"));
    for (scope, attribute) in standing.chain(dated).chain(asked) {
        if let Err(error) = lattice.platform.parse_scope(lattice.kind, scope) {
            let meant = error
                .suggestion
                .as_deref()
                .map(|meant| format!(" Did you mean {meant:?}?"))
                .unwrap_or_default();
            let path = match attribute {
                "temporary" | "on_request" => Path::attribute(attribute).key(scope),
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
