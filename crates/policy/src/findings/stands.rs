//! How what was begun and is not finished stands.

use super::{Rule, held, rotating, unfinished};

/// How a run that is open is told. Whether the run still lives nobody can see; a person may know.
pub(super) const AT_WORK: &str =
    "somebody is at work on it, or ended without a word (see nhi recover)";
/// How one that waits is told.
pub(super) const WAITS: &str = "it waits for a person (nhi recover says what helps)";

/// How what was begun and is not finished stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands<'a> {
    /// This run may be at work on it.
    AtWork(&'a str),
    /// It waits for a person, for this reason.
    Waits(&'a str),
    /// Whoever began it has been silent for too long.
    Silent,
}

impl Stands<'_> {
    /// Which rule tells it: from what may be finished in a moment, nothing follows.
    pub(super) fn rule(self) -> &'static Rule {
        match self {
            Stands::AtWork(_) => &rotating::RULE,
            Stands::Waits(_) => &held::RULE,
            Stands::Silent => &unfinished::RULE,
        }
    }

    pub(super) fn words(self) -> String {
        match self {
            Stands::AtWork(owner) => format!("; {AT_WORK}: {owner}"),
            Stands::Waits(why) => format!("; {WAITS}: {why}"),
            Stands::Silent => String::new(),
        }
    }
}
