//! `foreign`: the secret in a sink is not ours.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "foreign",
    checks: &["CRD08"],
    title: "The secret in a sink is not ours",
    means: "The sink holds a secret that was not issued here, where the slot's own should be.",
    cause: "Somebody wrote another secret there, or two slots were given one place.",
    remedy: "Find out who wrote it. Apply rotates, and delivers the slot's own.",
    severity: Severity::High,
    condition: Condition::Drift,
    rows: &[120],
    waivable: true,
};
