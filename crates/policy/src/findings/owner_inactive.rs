//! `owner-inactive`: an owner is inactive in the directory.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "owner-inactive",
    checks: &["OWN04"],
    title: "An owner is inactive in the directory",
    means: "The directory shows the owner disabled or gone, and the grace is not over yet.",
    cause: "They left, changed role, or are away for long.",
    remedy: "Name another owner before the grace ends.",
    severity: Severity::Medium,
    condition: Condition::Drift,
    rows: &[66, 70],
    waivable: true,
};
