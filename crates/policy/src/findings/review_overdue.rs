//! `review-overdue`: a review is overdue.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "review-overdue",
    checks: &["REV01"],
    title: "A review is overdue",
    means: "Nobody has looked at the integration for longer than `review_every` says.",
    cause: "The review was forgotten.",
    remedy: "Review its scopes, owners and purpose, and apply what follows from it.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[9, 13, 51, 99, 182, 183, 186],
    waivable: true,
};
