//! What people write of scopes, what state holds, and both in the words below.

use std::collections::BTreeMap;

use domain::{Action, IntegrationId};
use operations::KindLattice;
use policy::{
    elevation::{self, Approval},
    scopes::{Declared, highest_action},
};
use tfplugin::{Attr, Model, Set};

use crate::{
    resources::{
        platform_objects::{kind, kind_in},
        references::ScopedIntegration,
    },
    rules,
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

    /// Why it needs them, in at least 20 characters. Required, unless the integration has an
    /// `adoption`.
    #[tf(optional, validate = rules::reason)]
    pub justification: Attr<String>,

    /// Why it needs single ones.
    #[tf(optional, validate = rules::all_said)]
    pub justifications: Attr<BTreeMap<String, String>>,

    /// Scopes for a time, by scope.
    #[tf(optional)]
    pub temporary: Attr<BTreeMap<String, Temporary>>,

    /// Scopes that it has only while somebody asks for them, by scope: `nhi elevate` gives one for a
    /// while, apply neither gives nor takes one that runs.
    #[tf(optional)]
    pub on_request: Attr<BTreeMap<String, OnRequest>>,

    /// Live scopes that nobody declared, tolerated under `at_least`.
    #[tf(computed)]
    pub undeclared: Attr<Set<String>>,

    /// Temporary scopes, and those given by asking, that are live now.
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
    #[tf(optional, validate = rules::said)]
    pub ticket: Attr<String>,

    /// `scheduled`, `starting`, `active`, `ending` (over and still live) or `ended`.
    #[tf(computed)]
    pub status: Attr<String>,
}

/// A scope that may be asked for.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct OnRequest {
    /// The longest that it is given for.
    #[tf(required, validate = rules::span)]
    pub max: Attr<String>,

    /// Whose approval it takes where the policy has changes reviewed: that of a change of this level or
    /// above (`low`, `medium`, `high`, `critical`), or `none`: whoever approves these lines approves it.
    /// Unset is what the policy's rules say.
    #[tf(optional, validate = rules::approval)]
    pub approval: Attr<String>,
}

pub(super) fn integration_of(id: &Attr<String>) -> Option<IntegrationId> {
    id.as_deref()?.parse().ok()
}

/// The scopes of an id's kind.
pub(super) fn lattice_of(id: &Attr<String>) -> Option<KindLattice> {
    let (platform, kind) = kind(&kind_in(id)?)?;
    Some(KindLattice { platform: platform?, kind: kind.name })
}

pub(super) fn classify_of(model: &ScopeModel) -> BTreeMap<String, Action> {
    let all = model.classify.value().into_iter().flatten();
    all.filter_map(|(scope, action)| Some((scope.clone(), action.parse().ok()?))).collect()
}

pub(super) fn declared_of(model: &ScopeModel) -> Declared {
    let dated = model.temporary.value().into_iter().flatten();
    Declared {
        on_request: on_request_of(model),
        scopes: model.scopes.value().cloned().unwrap_or_default(),
        temporary: dated
            .filter_map(|(scope, one)| {
                let until = instant(&one.until)?;
                Some((scope.clone(), policy::scopes::Temporary { from: instant(&one.from), until }))
            })
            .collect(),
    }
}

pub(super) fn on_request_of(model: &ScopeModel) -> BTreeMap<String, elevation::OnRequest> {
    let all = model.on_request.value().into_iter().flatten();
    all.filter_map(|(scope, one)| {
        let longest = one.max.as_deref()?.parse().ok()?;
        let approval = Approval::from_word(one.approval.as_deref()).ok()?;
        Some((scope.clone(), elevation::OnRequest { longest, approval }))
    })
    .collect()
}

/// The highest action of what may be asked for, where that changes.
pub(crate) fn asked_for(
    before: Option<&ScopeModel>,
    after: Option<&ScopeModel>,
    of: Option<&ScopeModel>,
) -> Action {
    let of_model = |model: Option<&ScopeModel>| model.map(on_request_of).unwrap_or_default();
    let (Some(model), true) = (of, of_model(before) != of_model(after)) else {
        return Action::None;
    };
    let lattice = model.integration.value().and_then(|one| lattice_of(&one.id));
    let Some(lattice) = lattice else { return Action::Unknown };
    highest_action(&lattice, on_request_of(model).keys(), &classify_of(model))
}

/// The highest action of what is wanted, where words about single ones that this change brings count for
/// nothing: no change makes itself smaller.
pub(crate) fn unspoken(before: Option<&ScopeModel>, after: &ScopeModel) -> Action {
    let lattice = after.integration.value().and_then(|one| lattice_of(&one.id));
    let Some(lattice) = lattice else { return Action::Unknown };
    let known = before.map(classify_of).unwrap_or_default();
    let mut said = classify_of(after);
    said.retain(|scope, action| known.get(scope) == Some(action));
    highest_action(&lattice, &counted(after), &said)
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

pub(super) fn highest(lattice: KindLattice, model: &ScopeModel) -> Attr<String> {
    let all = counted(model);
    highest_action(&lattice, &all, &classify_of(model)).as_str().into()
}
