//! `recreated`: it is another object of the same name.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "recreated",
    checks: &["INV02"],
    title: "It is another object of the same name",
    means: "Somebody deleted the integration and made another of its name. Nothing that was approved \
        for the first was approved for this one.",
    cause: "A hand at the platform, or another tool.",
    remedy: "Apply makes what is declared on it anew. Find out who made it, and what they gave it.",
    severity: Severity::High,
    condition: Condition::Drift,
    rows: &[28],
    waivable: true,
};
