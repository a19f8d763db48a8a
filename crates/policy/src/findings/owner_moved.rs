//! `owner-moved`: an owner moved to another department.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "owner-moved",
    checks: &["OWN04"],
    title: "An owner moved to another department",
    means: "The directory shows another department than the one that is declared.",
    cause: "They changed role; what they owned may not be theirs to answer for any more.",
    remedy: "Name another owner, or declare the new department.",
    severity: Severity::Low,
    condition: Condition::Drift,
    rows: &[66, 70],
    waivable: true,
};
