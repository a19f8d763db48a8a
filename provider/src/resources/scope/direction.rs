//! Which way a change of scopes goes.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use domain::{Direction, Scope};
use jiff::Timestamp;
use operations::KindLattice;
use policy::scopes::{self, Declared, Enforcement, canonical, canonical_set, highest_action};

use super::{
    ScopeModel,
    model::{Temporary, classify_of, lattice_of},
    plan::wanted,
};
use crate::values::instant;

/// What a change of scopes gives and takes.
pub(super) struct Change {
    pub(super) way: Direction,
    /// What makes it so.
    pub(super) why: Vec<String>,
    /// Something goes that is there now.
    pub(super) takes: bool,
    /// What is declared no more and stays all the same.
    pub(super) stays: Vec<String>,
}

/// Which way a change goes, a first and a last one included, and what makes it so.
pub(crate) fn direction(
    prior: Option<&ScopeModel>,
    planned: Option<&ScopeModel>,
) -> (Direction, Vec<String>) {
    let lattice = planned.or(prior).and_then(|model| model.integration.value());
    let Some(lattice) = lattice.and_then(|integration| lattice_of(&integration.id)) else {
        return (Direction::Unknown, Vec::new());
    };
    let signed = |sign: &str, model: &ScopeModel| {
        let classify = classify_of(model);
        let one = |text: String| {
            format!("{sign} {text} ({})", highest_action(&lattice, [&text], &classify))
        };
        wanted(model).into_iter().map(one).collect::<Vec<_>>()
    };
    match (prior, planned) {
        (Some(prior), Some(planned)) if prior.scopes.is_value() && planned.scopes.is_value() => {
            let Change { way, why, .. } = change(lattice, prior, planned);
            (way, why)
        }
        (Some(_), Some(_)) => (Direction::Unknown, Vec::new()),
        // Nobody had said anything of them, so that whatever is there now may stay.
        (None, Some(planned))
            if planned.enforcement != "at_least" && wanted(planned).is_empty() =>
        {
            (Direction::None, Vec::new())
        }
        (None, Some(planned)) => (Direction::Widens, signed("+", planned)),
        (Some(prior), None) => (Direction::Narrows, signed("-", prior)),
        (None, None) => (Direction::None, Vec::new()),
    }
}

/// A scope may limit another one, so all that is live is compared with all that apply leaves, what
/// nobody declared and what is for a time included. Beside that goes what is said of single ones:
/// until when they hold, and what they count for.
pub(super) fn change(lattice: KindLattice, prior: &ScopeModel, planned: &ScopeModel) -> Change {
    let classify = classify_of(planned);
    let (was, is) = (running(prior), running(planned));
    let (was_dated, is_dated) =
        (canonical_set(&lattice, was.keys()), canonical_set(&lattice, is.keys()));
    let before = live(lattice, prior, &is_dated);
    let enforcement = Enforcement::from_word(planned.enforcement.text());
    let now = Timestamp::UNIX_EPOCH;
    let after: BTreeSet<Scope> =
        scopes::wanted(&lattice, &as_decided(planned), &before, enforcement, now)
            .into_keys()
            .collect();
    let within = |text: &str, set: &BTreeSet<Scope>| {
        canonical(&lattice, text).iter().all(|scope| set.contains(scope))
    };
    let named = |text: &String| format!("{text} ({})", highest_action(&lattice, [text], &classify));

    let mut way = lattice.platform.direction(lattice.kind, &before, &after);
    let mut why = Vec::new();
    for text in planned.scopes.value().into_iter().flatten() {
        if !within(text, &before) {
            why.push(format!("+ {}", named(text)));
        }
    }
    let standing = |model: &ScopeModel| {
        let parts = [&model.scopes, &model.undeclared].map(|part| part.value().cloned());
        parts.into_iter().flatten().flatten().collect::<BTreeSet<String>>()
    };
    let mut takes = false;
    for text in standing(prior).iter().filter(|text| !within(text, &after)) {
        takes = true;
        why.push(format!("- {}", named(text)));
    }
    let mut add = |direction: Direction, text: String| {
        way = way.and(direction);
        why.push(text);
    };
    for (direction, text) in said_of_all(lattice, prior, planned) {
        add(direction, text);
    }
    for (scope, one) in &is {
        let until = format!("{scope} until {}", one.until.text());
        let moves = |known: &Temporary| {
            let (was, is) = instant(&known.until).zip(instant(&one.until))?;
            Some(is.cmp(&was))
        };
        if !within(scope, &before) {
            // The comparison of all says which way it goes.
            add(Direction::None, format!("+ {until}"));
        } else if !within(scope, &was_dated) {
            // It had no end.
            add(Direction::Narrows, until);
        } else {
            match was.get(scope).and_then(moves) {
                Some(Ordering::Greater) => add(Direction::Widens, until),
                // What comes sooner is what its end does: one scope may hide another.
                Some(Ordering::Less) => {
                    let ends = canonical(&lattice, scope);
                    let without: BTreeSet<Scope> =
                        after.iter().filter(|held| !ends.contains(held)).cloned().collect();
                    add(lattice.platform.direction(lattice.kind, &after, &without), until);
                }
                _ => {}
            }
        }
    }
    for scope in was.keys() {
        let lived = within(scope, &before);
        if !within(scope, &after) {
            takes |= lived;
            // What is not live yet is in no comparison.
            let goes = if lived { Direction::None } else { Direction::Narrows };
            add(goes, format!("- {scope} (temporary)"));
        } else if lived && !within(scope, &is_dated) {
            add(Direction::Widens, format!("{scope} without an end"));
        }
    }
    let declared = canonical_set(&lattice, &wanted(planned));
    let stays = prior.scopes.value().into_iter().flatten().chain(was.keys());
    let stays: BTreeSet<String> = stays
        .filter(|text| within(text, &after) && !within(text, &declared))
        .map(|text| format!("{} is no longer declared and stays", named(text)))
        .collect();
    Change { way, why, takes, stays: stays.into_iter().collect() }
}

/// What is said of all scopes, and what single ones count for.
fn said_of_all(
    lattice: KindLattice,
    prior: &ScopeModel,
    planned: &ScopeModel,
) -> Vec<(Direction, String)> {
    let mut said = Vec::new();
    // at_least tolerates what others add; exact and at_most end it.
    let tolerates = |model: &ScopeModel| model.enforcement == "at_least";
    let enforcement = format!("enforcement = {:?}", planned.enforcement.text());
    match (tolerates(prior), tolerates(planned)) {
        (false, true) => said.push((Direction::Widens, enforcement)),
        (true, false) => said.push((Direction::Narrows, enforcement)),
        _ => {}
    }
    let before = classify_of(prior);
    for (scope, action) in &classify_of(planned) {
        let was = before
            .get(scope)
            .copied()
            .unwrap_or_else(|| highest_action(&lattice, [scope], &BTreeMap::new()));
        // What a person calls lower than it was counts for less from now on.
        if *action < was {
            said.push((Direction::Widens, format!("classify {scope:?} as {action}")));
        }
    }
    said
}

/// Those for a time that are not over, by what Read sampled and plan decided.
fn running(model: &ScopeModel) -> BTreeMap<String, Temporary> {
    let dated = model.temporary.value().into_iter().flatten();
    let running = dated.filter(|(_, one)| one.status != "ended");
    running.map(|(scope, one)| (scope.clone(), one.clone())).collect()
}

/// What is live as far as state knows. What was promised for later, and stays so, is no change.
fn live(lattice: KindLattice, prior: &ScopeModel, is_dated: &BTreeSet<Scope>) -> BTreeSet<Scope> {
    let parts = [&prior.scopes, &prior.undeclared, &prior.elevated];
    let mut live = canonical_set(&lattice, parts.iter().filter_map(|one| one.value()).flatten());
    let promised = canonical_set(&lattice, running(prior).keys());
    live.extend(promised.intersection(is_dated).cloned());
    live
}

/// The declaration with the statuses for a clock: what plan calls over has ended, and the rest holds.
fn as_decided(planned: &ScopeModel) -> Declared {
    let decided = |(scope, one): (&String, &Temporary)| {
        let until = if one.status == "ended" { Timestamp::MIN } else { Timestamp::MAX };
        (scope.clone(), scopes::Temporary { from: None, until })
    };
    Declared {
        scopes: planned.scopes.value().cloned().unwrap_or_default(),
        temporary: planned.temporary.value().into_iter().flatten().map(decided).collect(),
    }
}
