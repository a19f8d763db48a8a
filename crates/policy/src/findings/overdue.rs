//! `overdue`: a rotation is overdue.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "overdue",
    checks: &["CRD01"],
    title: "A rotation is overdue",
    means: "The credential should have been rotated, and its grace is over as well.",
    cause: "No run came, or each was refused.",
    remedy: "Apply, or `nhi rotate`. For the future: `nhi reconcile --due` from cron, and an apply on a \
        schedule.",
    severity: Severity::High,
    condition: Condition::Unfinished,
    rows: &[115, 116, 117, 118, 206],
    waivable: true,
};
