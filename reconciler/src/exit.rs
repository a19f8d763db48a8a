//! Exit codes: what a pipeline may conclude from a run.

use std::process::ExitCode;

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
}

impl Exit {
    /// The code: what is certain and needs somebody to act wins over what is unknown.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Clean => 0,
            Exit::Failed => 1,
            Exit::Drift => 2,
            Exit::Partial => 3,
            Exit::Policy => 4,
        }
    }

    fn rank(self) -> u8 {
        match self {
            Exit::Failed => 5,
            Exit::Policy => 4,
            Exit::Drift => 2,
            Exit::Partial => 1,
            Exit::Clean => 0,
        }
    }

    /// The one that is shown when both hold: 1 > 4 > 2 > 3 > 0.
    pub(crate) fn worst(self, other: Exit) -> Exit {
        if other.rank() > self.rank() { other } else { self }
    }

    /// In one word, for machines.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Exit::Clean => "in_sync",
            Exit::Failed => "failed",
            Exit::Drift => "drift",
            Exit::Partial => "partial",
            Exit::Policy => "policy",
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
        let order = [Exit::Clean, Exit::Partial, Exit::Drift, Exit::Policy, Exit::Failed];
        for pair in order.windows(2) {
            assert_eq!(pair[0].worst(pair[1]), pair[1]);
            assert_eq!(pair[1].worst(pair[0]), pair[1]);
        }
        assert_eq!(order.map(Exit::code), [0, 3, 2, 4, 1]);
    }
}
