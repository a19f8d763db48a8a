//! Exit codes: what a pipeline may conclude from a run.

use std::process::ExitCode;

use serde_json::{Value, json};

/// How a run ended. Several may hold at once; [`Exit::worst`] says which one is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// In sync, and everything was read.
    Clean,
    /// What was asked could not be done.
    Failed,
    /// The world differs from what is declared.
    Drift,
    /// Something could not be read.
    Partial,
    /// Out of policy.
    Policy,
    /// Work was begun and not finished, or is overdue.
    Unfinished,
}

/// The codes, for help texts.
pub(crate) const CODES: &str = "Exit codes: 0 in sync · 1 could not do it · 2 drift · 3 partly unread · 4 out of policy ·\n\
     5 unfinished or overdue; of several the first of 1, 4, 5, 2, 3";

impl Exit {
    /// The code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Clean => 0,
            Exit::Failed => 1,
            Exit::Drift => 2,
            Exit::Partial => 3,
            Exit::Policy => 4,
            Exit::Unfinished => 5,
        }
    }

    fn rank(self) -> u8 {
        match self {
            Exit::Failed => 5,
            Exit::Policy => 4,
            Exit::Unfinished => 3,
            Exit::Drift => 2,
            Exit::Partial => 1,
            Exit::Clean => 0,
        }
    }

    /// The one that is shown when both hold: 1 > 4 > 5 > 2 > 3 > 0. What is certain and needs
    /// somebody to act wins over what is unknown, so an unreadable page cannot hide drift.
    pub(crate) fn worst(self, other: Exit) -> Exit {
        if other.rank() > self.rank() { other } else { self }
    }

    /// The same for who knows Terraform's codes alone: 1 could not, 2 there is something.
    pub(crate) fn as_terraform(self) -> Exit {
        match self {
            Exit::Clean => Exit::Clean,
            Exit::Failed | Exit::Partial => Exit::Failed,
            Exit::Drift | Exit::Policy | Exit::Unfinished => Exit::Drift,
        }
    }

    /// How a run ended, for programs: the same member of every report. `conditions` is all that holds,
    /// worst first.
    pub(crate) fn outcome(self, conditions: &[Exit]) -> Value {
        let words: Vec<&str> = conditions.iter().map(|one| one.word()).collect();
        json!({ "code": self.code(), "word": self.word(), "conditions": words })
    }

    /// The same, where nothing else can hold besides.
    pub(crate) fn sole_outcome(self) -> Value {
        self.outcome(if self == Exit::Clean { &[] } else { std::slice::from_ref(&self) })
    }

    /// In one word, for machines.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Exit::Clean => "in_sync",
            Exit::Failed => "failed",
            Exit::Drift => "drift",
            Exit::Partial => "partial",
            Exit::Policy => "policy",
            Exit::Unfinished => "unfinished",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_certain_wins_over_what_is_unknown() {
        let order =
            [Exit::Clean, Exit::Partial, Exit::Drift, Exit::Unfinished, Exit::Policy, Exit::Failed];
        for pair in order.windows(2) {
            assert_eq!(pair[0].worst(pair[1]), pair[1]);
            assert_eq!(pair[1].worst(pair[0]), pair[1]);
        }
        assert_eq!(order.map(Exit::code), [0, 3, 2, 5, 4, 1]);
    }
}
