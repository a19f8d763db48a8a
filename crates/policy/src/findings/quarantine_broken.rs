//! `quarantine-broken`: a quarantined integration was switched on.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "quarantine-broken",
    checks: &["OFF02"],
    title: "A quarantined integration was switched on",
    means: "Somebody stopped it for a reason, and its switch at the platform is on again.",
    cause: "A hand at the platform. No apply of ours lifts a quarantine.",
    remedy: "Apply switches it off again. Only whoever may lift the quarantine ends it.",
    severity: Severity::Critical,
    condition: Condition::Drift,
    rows: &[155, 265],
    waivable: true,
};
