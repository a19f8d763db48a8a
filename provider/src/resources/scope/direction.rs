//! Which way a change goes, beside the scopes themselves.

use std::collections::BTreeMap;

use domain::Direction;
use operations::KindLattice;
use policy::scopes::highest_action;

use super::{ScopeModel, model::classify_of};
use crate::values::instant;

/// Everything of a change that gives or takes power beside the scopes themselves.
pub(super) fn other_directions(
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
            (Some(known), Some(until))
                if one.status != "ended"
                    && instant(&known.until).is_some_and(|was| until > was) =>
            {
                add(Direction::Widens, format!("{scope} until {}", one.until.text()));
            }
            _ => {}
        }
    }
    for (scope, one) in before {
        let stays = after.get(scope).is_some_and(|after| after.status != "ended");
        if !stays && one.status != "ended" {
            add(Direction::Narrows, format!("- {scope} (temporary)"));
        }
    }
    (total, why)
}
