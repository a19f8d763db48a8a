//! `held`: a deed waits for a person.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "held",
    checks: &["LIF01"],
    title: "A deed waits for a person",
    means: "A rotation or an end was begun and cannot go on by itself. What it waits for is in the \
        finding.",
    cause: "A sink refused, a consumer uses the earlier credential still, or somebody changed \
        something by hand in the middle.",
    remedy: "`nhi recover` says what helps, and does it.",
    severity: Severity::High,
    condition: Condition::Unfinished,
    rows: &[10],
    waivable: true,
};
