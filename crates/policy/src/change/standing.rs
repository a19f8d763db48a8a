//! Standing approvals: classes of changes that the policy has approved beforehand.
//!
//! Only what gives no power that nobody has approved may be of one. A policy opens or shuts the classes;
//! that power may be taken away is never shut.

use std::collections::{BTreeMap, BTreeSet};

use domain::Direction;

use super::{Action, Change, Value};

/// A class of changes that needs nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It takes power away. Always open.
    Narrowing,
    /// A credential is issued anew because its approved schedule says so.
    Rotation,
    /// It gives back what was taken by hand, and nothing that the last approval did not give.
    Restore,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 3] = [Class::Narrowing, Class::Rotation, Class::Restore];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Narrowing => "narrowing",
            Class::Rotation => "rotation",
            Class::Restore => "restore",
        }
    }

    /// The class of this word.
    pub fn from_word(word: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// What is open where the policy says nothing.
    pub fn usual() -> BTreeSet<Class> {
        [Class::Narrowing, Class::Rotation].into()
    }
}

/// Which way a set of scopes goes, by the platform's own lattice.
pub type Lattice<'a> = &'a dyn Fn(&BTreeSet<String>, &BTreeSet<String>) -> Direction;

/// What is known of a change, to tell its class.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The change.
    pub change: &'a Change,
    /// Which way it goes.
    pub direction: Direction,
    /// Somebody is no longer an owner and nobody takes that place.
    pub removes_owner: bool,
    /// Its schedule, which is approved, says that it is due.
    pub is_scheduled: bool,
    /// What the last approval gave and nobody has given up since: [`envelope`]; null where nobody knows.
    pub approved: &'a Value,
    /// Which way scopes go on its platform.
    pub lattice: Lattice<'a>,
}

/// The class of a change, if it is of one that is open.
pub fn class(case: Case<'_>, open: &BTreeSet<Class>) -> Option<Class> {
    let is_open = |class: Class| class == Class::Narrowing || open.contains(&class);
    let of = match case.change.action {
        Action::Update | Action::Delete if narrows(&case) => Some(Class::Narrowing),
        Action::Rotate if case.is_scheduled && rotates_only(case.change) => Some(Class::Rotation),
        // What is made, replaced or taken under management has nothing that it could be given back.
        Action::Update if within(case.approved, &case.change.after, case.lattice) => {
            Some(Class::Restore)
        }
        _ => None,
    };
    of.filter(|class| is_open(*class))
}

/// To let somebody go who answers for it takes no power away.
fn narrows(case: &Case<'_>) -> bool {
    case.direction == Direction::Narrows && !case.removes_owner
}

/// What a rotation changes of a record, and nothing besides.
const OF_A_ROTATION: [&str; 3] = ["key_id", "generation", "previous"];

fn rotates_only(change: &Change) -> bool {
    let without = |value: &Value| match value {
        Value::Map(all) => {
            let mut all = all.clone();
            all.retain(|name, _| !OF_A_ROTATION.contains(&name.as_str()));
            Value::Map(all)
        }
        other => other.clone(),
    };
    matches!((&change.before, &change.after), (Value::Map(_), Value::Map(_)))
        && without(&change.before) == without(&change.after)
}

/// The member that a platform has a lattice for.
const SCOPES: &str = "scopes";

/// Whether a record is within what was approved: its scopes by the platform's lattice, and everything
/// else as it was.
pub fn within(approved: &Value, after: &Value, lattice: Lattice<'_>) -> bool {
    let (Value::Map(had), Value::Map(has)) = (approved, after) else { return false };
    let names: BTreeSet<&String> = had.keys().chain(has.keys()).collect();
    names.into_iter().all(|name| {
        let (was, is) = (approved.member(name), after.member(name));
        match (name.as_str(), was, is) {
            _ if was == is => true,
            (SCOPES, Value::Set(was), Value::Set(is)) => !lattice(was, is).may_widen(),
            _ => false,
        }
    })
}

/// Something that happened to an object, as the ledger keeps it.
#[derive(Debug, Clone)]
pub enum Step<'a> {
    /// An approval was used: this is what it gave.
    Approved(&'a Value),
    /// Power was taken away by a change that was applied.
    Narrowed(&'a Change),
    /// It ended, or nobody manages it any more.
    Ended,
}

/// What the last approval gave, lowered by what was given up since: what comes back needs approval.
/// Null where nothing was approved or nobody can tell.
pub fn envelope<'a>(steps: impl IntoIterator<Item = Step<'a>>, lattice: Lattice<'_>) -> Value {
    steps.into_iter().fold(Value::Null, |approved, step| match step {
        Step::Approved(after) => after.clone(),
        Step::Narrowed(change) => lowered(&approved, change, lattice),
        Step::Ended => Value::Null,
    })
}

/// What was approved, without what a change gave up. What somebody took by hand before is not given up
/// by it.
fn lowered(approved: &Value, change: &Change, lattice: Lattice<'_>) -> Value {
    let Value::Map(had) = approved else { return Value::Null };
    let (Value::Map(before), Value::Map(after)) = (&change.before, &change.after) else {
        return Value::Null;
    };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut left: BTreeMap<String, Value> = had.clone();
    for name in names {
        let (was, is) = (change.before.member(name), change.after.member(name));
        if was == is {
            continue;
        }
        match (name.as_str(), had.get(name), was, is) {
            (SCOPES, Some(Value::Set(had)), Value::Set(was), Value::Set(is)) => {
                let kept = had.iter().filter(|one| is.contains(*one) || !was.contains(*one));
                let kept: BTreeSet<String> = kept.cloned().collect();
                // Where one scope limits another, fewer of them may be more.
                if lattice(had, &kept).may_widen() {
                    return Value::Null;
                }
                left.insert(name.clone(), Value::Set(kept));
            }
            (.., Value::Null) => drop(left.remove(name)),
            (.., is) => drop(left.insert(name.clone(), is.clone())),
        }
    }
    Value::Map(left)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Set difference; and one scope that limits: without it there is more.
    fn lattice(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Direction {
        let limit = |all: &BTreeSet<String>| all.contains("x:deny");
        let (grows, shrinks) = (
            after.iter().any(|one| one != "x:deny" && !before.contains(one))
                || (limit(before) && !limit(after)),
            before.iter().any(|one| one != "x:deny" && !after.contains(one))
                || (!limit(before) && limit(after)),
        );
        match (grows, shrinks) {
            (true, true) => Direction::Mixed,
            (true, false) => Direction::Widens,
            (false, true) => Direction::Narrows,
            (false, false) => Direction::None,
        }
    }

    fn record(scopes: &[&str], why: &str) -> Value {
        Value::map([
            ("scopes", Value::set(scopes.iter().copied())),
            ("justification", Value::text(why)),
        ])
    }

    fn update(before: Value, after: Value) -> Change {
        Change {
            tenant: "t".into(),
            kind: "nhi_scope".into(),
            object: "openbao_approle/x".into(),
            action: Action::Update,
            generation: 0,
            before,
            after,
        }
    }

    fn case<'a>(change: &'a Change, direction: Direction, approved: &'a Value) -> Case<'a> {
        let (removes_owner, is_scheduled) = (false, false);
        Case { change, direction, removes_owner, is_scheduled, approved, lattice: &lattice }
    }

    #[test]
    fn what_takes_power_away_is_open_whatever_the_policy_shuts() {
        let shut = BTreeSet::new();
        let less = update(record(&["a", "b"], "w"), record(&["a"], "w"));
        let one = case(&less, Direction::Narrows, &Value::Null);
        assert_eq!(class(one, &shut), Some(Class::Narrowing));
        let end = Change { action: Action::Delete, after: Value::Null, ..less.clone() };
        let one = case(&end, Direction::Narrows, &Value::Null);
        assert_eq!(class(one, &shut), Some(Class::Narrowing));
        // What lives on unmanaged, or without anybody who answers for it, is not less power.
        for other in [
            Case { change: &Change { action: Action::Forget, ..end.clone() }, ..one },
            Case { change: &Change { action: Action::Replace, ..less.clone() }, ..one },
            Case { removes_owner: true, ..one },
            Case { direction: Direction::Mixed, ..one },
            Case { direction: Direction::None, ..one },
        ] {
            assert_eq!(class(other, &Class::usual()), None, "{:?}", other.change);
        }
    }

    #[test]
    fn a_rotation_is_pre_approved_where_it_is_due_and_changes_nothing_besides() {
        let of = |generation, more: &str| {
            Value::map([
                ("key_id", Value::text(if generation == 6 { "k6" } else { "(new)" })),
                ("generation", Value::Count(generation)),
                ("name", Value::text(more)),
            ])
        };
        let rotate = Change { action: Action::Rotate, ..update(of(6, "a"), of(7, "a")) };
        let due = Case { is_scheduled: true, ..case(&rotate, Direction::None, &Value::Null) };
        assert_eq!(class(due, &Class::usual()), Some(Class::Rotation));
        assert_eq!(class(due, &BTreeSet::new()), None);
        assert_eq!(class(Case { is_scheduled: false, ..due }, &Class::usual()), None);
        let more = Change { action: Action::Rotate, ..update(of(6, "a"), of(7, "b")) };
        assert_eq!(class(Case { change: &more, ..due }, &Class::usual()), None);
    }

    #[test]
    fn what_was_taken_by_hand_is_given_back_and_nothing_more() {
        let approved = record(&["a", "b"], "w");
        let open: BTreeSet<Class> = [Class::Restore].into();
        let of = |after: Value| {
            let change = update(record(&[], "w"), after);
            class(case(&change, Direction::Widens, &approved), &open)
        };
        assert_eq!(of(record(&["a", "b"], "w")), Some(Class::Restore));
        assert_eq!(of(record(&["b"], "w")), Some(Class::Restore));
        assert_eq!(of(record(&["a", "b", "c"], "w")), None);
        assert_eq!(of(record(&["a"], "another")), None);
        assert_eq!(of(Value::Null), None);
        let change = update(record(&[], "w"), record(&["a"], "w"));
        let unknown = case(&change, Direction::Widens, &Value::Null);
        assert_eq!(class(unknown, &open), None, "nobody has approved anything");
        let made = Change { action: Action::Create, ..change.clone() };
        assert_eq!(class(case(&made, Direction::Widens, &approved), &open), None);
        assert_eq!(class(case(&change, Direction::Widens, &approved), &Class::usual()), None);
    }

    #[test]
    fn what_was_given_up_needs_approval_to_come_back_and_what_was_taken_by_hand_does_not() {
        let all = record(&["a", "b", "c"], "w");
        // Somebody took b by hand; then c was given up.
        let given_up = update(record(&["a", "c"], "w"), record(&["a"], "w"));
        let steps = || [Step::Approved(&all), Step::Narrowed(&given_up)];
        assert_eq!(envelope(steps(), &lattice), record(&["a", "b"], "w"));
        let ended = envelope(steps().into_iter().chain([Step::Ended]), &lattice);
        assert_eq!(ended, Value::Null);
        let renewed = envelope(steps().into_iter().chain([Step::Approved(&all)]), &lattice);
        assert_eq!(renewed, all);
        assert_eq!(envelope([Step::Narrowed(&given_up)], &lattice), Value::Null);
        // A limit that goes with what it limits leaves nothing that could be said to be approved.
        let limited = record(&["a", "x:deny"], "w");
        let without = update(limited.clone(), record(&[], "w"));
        let left = envelope([Step::Approved(&limited), Step::Narrowed(&without)], &lattice);
        assert_eq!(left, Value::Null);
    }

    fn scopes() -> impl Strategy<Value = BTreeSet<String>> {
        prop::collection::btree_set(
            prop::sample::select(vec!["a", "b", "c", "d", "x:deny"]).prop_map(str::to_owned),
            0..5,
        )
    }

    fn of(scopes: BTreeSet<String>) -> Value {
        Value::map([("scopes", Value::Set(scopes))])
    }

    proptest! {
        #[test]
        fn whatever_is_given_up_nothing_comes_back_that_no_approval_gave(
            approved in scopes(),
            hand in prop::collection::vec((scopes(), scopes()), 0..5),
            wanted in scopes(),
        ) {
            let first = of(approved.clone());
            let changes: Vec<Change> =
                hand.into_iter().map(|(before, after)| update(of(before), of(after))).collect();
            let narrowing = |one: &&Change| match (one.before.member("scopes"), one.after.member("scopes")) {
                (Value::Set(before), Value::Set(after)) => lattice(before, after) == Direction::Narrows,
                _ => false,
            };
            let narrowed: Vec<&Change> = changes.iter().filter(narrowing).collect();
            let steps = narrowed.iter().map(|one| Step::Narrowed(one));
            let left = envelope([Step::Approved(&first)].into_iter().chain(steps), &lattice);
            if within(&left, &of(wanted.clone()), &lattice) {
                prop_assert!(!lattice(&approved, &wanted).may_widen(), "more than was approved");
                // What the last narrowing gave up is not among it.
                if let Some(Change { before: Value::Map(before), after: Value::Map(after), .. }) = narrowed.last() {
                    let (Value::Set(was), Value::Set(is)) = (&before["scopes"], &after["scopes"]) else {
                        unreachable!()
                    };
                    let gone = was.difference(is).filter(|one| *one != "x:deny");
                    for one in gone {
                        prop_assert!(!wanted.contains(one), "{one} was given up");
                    }
                }
            }
        }
    }
}
