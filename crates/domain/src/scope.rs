//! Permissions: a scope's name, what it lets its holder do, and which way a change goes.

use std::{collections::BTreeSet, fmt, str::FromStr};

use jiff::Timestamp;

/// A permission in its platform's canonical spelling. Only the platform's parser makes one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(String);

impl Scope {
    /// Wraps a text that the platform's parser has brought into canonical form.
    pub fn canonical(text: impl Into<String>) -> Self {
        Scope(text.into())
    }

    /// The canonical spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A scope that is held, with its end where the platform itself enforces one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrantedScope {
    /// What is held.
    pub scope: Scope,
    /// When the platform ends it by itself; `None` where it lasts, or where the platform cannot.
    pub until: Option<Timestamp>,
}

impl GrantedScope {
    /// A scope without an end.
    pub fn standing(scope: Scope) -> Self {
        GrantedScope { scope, until: None }
    }
}

/// What a scope lets its holder do, ranked: a later one outranks all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Nothing at all.
    None,
    /// Looks.
    Read,
    /// Looks at everything at once.
    Export,
    /// Creates or changes data.
    Write,
    /// Removes data.
    Delete,
    /// Starts or chains workflows.
    Execute,
    /// Changes closure states.
    Close,
    /// Mutes alarms, switches logs and audit off.
    Suppress,
    /// Reads credentials.
    Secret,
    /// Edits policies.
    Policy,
    /// Creates, changes or revokes access.
    Identity,
    /// Everything: wildcard, root, sudo.
    Admin,
    /// Not in the table; ranked above everything, since nobody knows.
    Unknown,
}

impl Action {
    /// Every action, lowest first.
    pub const ALL: [Action; 13] = [
        Action::None,
        Action::Read,
        Action::Export,
        Action::Write,
        Action::Delete,
        Action::Execute,
        Action::Close,
        Action::Suppress,
        Action::Secret,
        Action::Policy,
        Action::Identity,
        Action::Admin,
        Action::Unknown,
    ];

    /// The word that people write and read.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::None => "none",
            Action::Read => "read",
            Action::Export => "export",
            Action::Write => "write",
            Action::Delete => "delete",
            Action::Execute => "execute",
            Action::Close => "close",
            Action::Suppress => "suppress",
            Action::Secret => "secret",
            Action::Policy => "policy",
            Action::Identity => "identity",
            Action::Admin => "admin",
            Action::Unknown => "unknown",
        }
    }

    /// Whether it can change who may do what: policy, identity, admin (and unknown).
    pub fn is_control_plane(self) -> bool {
        self >= Action::Policy
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an action: none, read, export, write, delete, execute, close, suppress, secret, policy, identity or admin"
)]
pub struct UnknownAction(String);

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        Action::ALL
            .into_iter()
            .find(|action| action.as_str() == text)
            .ok_or_else(|| UnknownAction(text.to_owned()))
    }
}

/// Which way a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Nothing changes.
    None,
    /// Power shrinks.
    Narrows,
    /// Power grows.
    Widens,
    /// Some grows, some shrinks: judged as widening.
    Mixed,
    /// It cannot be told: judged as widening.
    Unknown,
}

impl Direction {
    /// Its word, for programs; [`Display`](fmt::Display) is for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::None => "none",
            Direction::Narrows => "narrows",
            Direction::Widens => "widens",
            Direction::Mixed => "mixed",
            Direction::Unknown => "unknown",
        }
    }

    /// Whether the change must be judged as one that gives power.
    pub fn may_widen(self) -> bool {
        matches!(self, Direction::Widens | Direction::Mixed | Direction::Unknown)
    }

    /// The direction of two changes made together.
    pub fn and(self, other: Direction) -> Direction {
        use Direction::{Mixed, Narrows, None, Unknown, Widens};
        match (self, other) {
            (Unknown, _) | (_, Unknown) => Unknown,
            (None, d) | (d, None) => d,
            (Narrows, Narrows) => Narrows,
            (Widens, Widens) => Widens,
            _ => Mixed,
        }
    }

    /// Set difference under `implies`, which is right wherever one permission never limits another.
    pub fn by_difference(
        before: &BTreeSet<Scope>,
        after: &BTreeSet<Scope>,
        implies: impl Fn(&Scope, &Scope) -> bool,
    ) -> Direction {
        let uncovered = |of: &BTreeSet<Scope>, by: &BTreeSet<Scope>| {
            of.iter()
                .any(|scope| !by.iter().any(|holder| holder == scope || implies(holder, scope)))
        };
        match (uncovered(after, before), uncovered(before, after)) {
            (false, false) => Direction::None,
            (true, false) => Direction::Widens,
            (false, true) => Direction::Narrows,
            (true, true) => Direction::Mixed,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::None => "changes nothing",
            Direction::Narrows => "narrows",
            Direction::Widens => "widens",
            Direction::Mixed => "widens and narrows",
            Direction::Unknown => "may widen",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(scopes: &[&str]) -> BTreeSet<Scope> {
        scopes.iter().map(|s| Scope::canonical(*s)).collect()
    }

    #[test]
    fn actions_are_ranked_as_listed_and_read_as_written() {
        assert!(Action::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(action));
        }
    }

    #[test]
    fn a_difference_has_the_direction_of_what_is_not_covered() {
        let never = |_: &Scope, _: &Scope| false;
        let check = |a: &[&str], b: &[&str]| Direction::by_difference(&set(a), &set(b), never);
        assert_eq!(check(&["a"], &["a"]), Direction::None);
        assert_eq!(check(&["a"], &["a", "b"]), Direction::Widens);
        assert_eq!(check(&["a", "b"], &["a"]), Direction::Narrows);
        assert_eq!(check(&["a"], &["b"]), Direction::Mixed);
    }

    #[test]
    fn what_is_implied_adds_nothing() {
        let admin_has_all = |a: &Scope, _: &Scope| a.as_str() == "admin";
        assert_eq!(
            Direction::by_difference(&set(&["admin"]), &set(&["admin", "read"]), admin_has_all),
            Direction::None
        );
    }
}
