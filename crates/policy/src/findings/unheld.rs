//! `unheld`: no sink of ours holds the secret.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "unheld",
    checks: &["CRD07"],
    title: "No sink of ours holds the secret",
    means: "The credential works, and its secret is in none of the declared places: somebody else \
        keeps it.",
    cause: "It was taken in with an import, and has not been rotated since.",
    remedy: "Nothing needs to be done. The next rotation delivers it to the declared places.",
    severity: Severity::Info,
    condition: Condition::Note,
    rows: &[32, 119],
    waivable: true,
};
