//! Which way a change of scopes goes.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use domain::{Direction, Scope};
use jiff::Timestamp;
use operations::KindLattice;
use policy::{
    elevation::{self, Approval},
    scopes::{self, Declared, Enforcement, canonical, canonical_set, highest_action},
};

use super::{
    ScopeModel,
    model::{Temporary, classify_of, lattice_of, on_request_of},
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
            if planned.enforcement != "at_least"
                && wanted(planned).is_empty()
                && on_request_of(planned).is_empty() =>
        {
            (Direction::None, Vec::new())
        }
        (None, Some(planned)) => {
            let mut why = signed("+", planned);
            why.extend(on_request(lattice, None, planned).into_iter().map(|(_, text)| text));
            (Direction::Widens, why)
        }
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
    let stay = stay_elevated(lattice, prior, planned);
    let now = Timestamp::UNIX_EPOCH;
    let after: BTreeSet<Scope> =
        scopes::wanted(&lattice, &as_decided(planned, &stay), &before, enforcement, now)
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
    for (direction, text) in on_request(lattice, Some(prior), planned) {
        add(direction, text);
    }
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
    // What was given by asking ends with its entry, or lasts.
    for text in by_asking(prior).difference(&stay) {
        if !within(text, &after) {
            takes = true;
            add(Direction::None, format!("- {text} (given by asking)"));
        } else if !within(text, &is_dated) {
            add(Direction::Widens, format!("{text} without an end"));
        }
    }
    let mut declared = canonical_set(&lattice, &wanted(planned));
    declared.extend(canonical_set(&lattice, &stay));
    let stays = prior.scopes.value().into_iter().flatten().chain(was.keys());
    let stays: BTreeSet<String> = stays
        .filter(|text| within(text, &after) && !within(text, &declared))
        .map(|text| format!("{} is no longer declared and stays", named(text)))
        .collect();
    Change { way, why, takes, stays: stays.into_iter().collect() }
}

/// What may be asked for, and for how long: what was had at all times is less by that.
fn on_request(
    lattice: KindLattice,
    prior: Option<&ScopeModel>,
    planned: &ScopeModel,
) -> Vec<(Direction, String)> {
    let classify = classify_of(planned);
    let was = prior.map(on_request_of).unwrap_or_default();
    let is = on_request_of(planned);
    let standing = prior.and_then(|prior| prior.scopes.value());
    let standing = canonical_set(&lattice, standing.into_iter().flatten());
    let mut said = Vec::new();
    for (scope, one) in &is {
        let by = match one.approval {
            Approval::Declared => "approved by its declaration".to_owned(),
            Approval::AtLeast(level) => format!("approval {level} or above"),
        };
        let action = highest_action(&lattice, [scope], &classify);
        let text = format!("on request: {scope} ({action}) for {}, {by}", one.longest);
        match was.get(scope) {
            Some(before) if before == one => {}
            Some(before) => {
                let longer = match one.longest.cmp(&before.longest) {
                    Ordering::Greater => Direction::Widens,
                    Ordering::Less => Direction::Narrows,
                    Ordering::Equal => Direction::None,
                };
                let less = match one.approval.cmp(&before.approval) {
                    Ordering::Less => Direction::Widens,
                    Ordering::Greater => Direction::Narrows,
                    Ordering::Equal => Direction::None,
                };
                said.push((longer.and(less), text));
            }
            None if canonical(&lattice, scope).iter().all(|one| standing.contains(one)) => {
                said.push((Direction::None, text));
            }
            None => said.push((Direction::Widens, format!("+ {text}"))),
        }
    }
    let gone = was.keys().filter(|scope| !is.contains_key(*scope));
    said.extend(gone.map(|scope| (Direction::Narrows, format!("- on request: {scope}"))));
    said
}

/// What is live by asking, as far as state knows.
fn by_asking(prior: &ScopeModel) -> BTreeSet<String> {
    let dated = prior.temporary.value();
    let is_dated = |scope: &String| dated.is_some_and(|all| all.contains_key(scope));
    let live = prior.elevated.value().into_iter().flatten();
    live.filter(|scope| !is_dated(scope)).cloned().collect()
}

/// What was given by asking and goes on: an entry covers it, and it is declared in no other way.
pub(super) fn stay_elevated(
    lattice: KindLattice,
    prior: &ScopeModel,
    planned: &ScopeModel,
) -> BTreeSet<String> {
    let entries = on_request_of(planned);
    let declared = canonical_set(&lattice, &wanted(planned));
    let mut all = by_asking(prior);
    all.retain(|scope| {
        elevation::is_listed(&lattice, &entries, scope)
            && canonical(&lattice, scope).iter().all(|one| !declared.contains(one))
    });
    all
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

/// The declaration with the statuses for a clock: what plan calls over has ended, and the rest holds, what
/// goes on by asking included.
fn as_decided(planned: &ScopeModel, stay: &BTreeSet<String>) -> Declared {
    let decided = |(scope, one): (&String, &Temporary)| {
        let until = if one.status == "ended" { Timestamp::MIN } else { Timestamp::MAX };
        (scope.clone(), scopes::Temporary { from: None, until })
    };
    let lasts = scopes::Temporary { from: None, until: Timestamp::MAX };
    let going_on = stay.iter().map(|scope| (scope.clone(), lasts.clone()));
    Declared {
        on_request: BTreeMap::new(),
        scopes: planned.scopes.value().cloned().unwrap_or_default(),
        temporary: planned
            .temporary
            .value()
            .into_iter()
            .flatten()
            .map(decided)
            .chain(going_on)
            .collect(),
    }
}
