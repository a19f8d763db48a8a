//! What was live after the last apply, and what somebody changed since.

use std::collections::{BTreeMap, BTreeSet};

use domain::{ObservedIntegration, Scope};
use operations::KindLattice;
use policy::scopes::canonical_set;

use super::ScopeModel;
use crate::resources::applied::Applied;

/// What is live and not for a time, by scope: as it is kept in private state.
pub(super) fn applied(
    lattice: KindLattice,
    model: &ScopeModel,
    now: &ObservedIntegration,
) -> Applied {
    let none = BTreeMap::new();
    let dated = model.temporary.value().unwrap_or(&none).keys();
    // So is what was given by asking.
    let elevated = model.elevated.value().into_iter().flatten();
    let dated = canonical_set(&lattice, dated.chain(elevated));
    let live = now.scopes.iter().map(|granted| &granted.scope);
    let standing = live.filter(|scope| !dated.contains(*scope));
    Applied(standing.map(|scope| (scope.as_str().to_owned(), "live".to_owned())).collect())
}

/// What changed since the last apply, by scope: `+` was added, `-` was taken away.
pub(super) fn moved(before: &Applied, now: &Applied) -> Vec<String> {
    let only = |a: &Applied, b: &Applied, sign: char| {
        let gone = a.0.keys().filter(|scope| !b.0.contains_key(*scope));
        gone.map(|scope| format!("{sign} {scope}")).collect::<Vec<_>>()
    };
    [only(now, before, '+'), only(before, now, '-')].concat()
}

/// What stands applied after an apply that failed on its way: what is now as it asked for is its doing,
/// and everything else is as it was.
pub(super) fn in_part(before: &Applied, now: &Applied, asked: &BTreeSet<Scope>) -> Applied {
    let asked: BTreeSet<&str> = asked.iter().map(Scope::as_str).collect();
    let counts = |(scope, _): &(&String, &String)| {
        let live = now.0.contains_key(*scope);
        let done = live == asked.contains(scope.as_str());
        if done { live } else { before.0.contains_key(*scope) }
    };
    let all = before.0.iter().chain(&now.0).filter(counts);
    Applied(all.map(|(scope, word)| (scope.clone(), word.clone())).collect())
}
