//! `predecessor-alive`: the one that it took the place of lives.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "predecessor-alive",
    checks: &["OFF06"],
    title: "The one that it took the place of lives",
    means: "The integration that `replaces` names is still there, and switched on. Two have the \
        access that one is to have.",
    cause: "A migration was not finished: the new one works, and nobody ended the old one.",
    remedy: "Find out whether somebody still uses the old one, and take it out of service: remove \
        its resources, or `nhi decommission`. Then remove `replaces`.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[200],
    waivable: true,
};
