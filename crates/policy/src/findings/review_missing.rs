//! `review-missing`: it is never reviewed, and the policy asks for that.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "review-missing",
    checks: &["REV01", "INV05"],
    title: "It is never reviewed, and the policy asks for that",
    means: "The policy says `require_review_every`, and the integration has no interval.",
    cause: "It is older than the policy.",
    remedy: "Declare `review_every`, and apply.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[9, 182, 183],
    waivable: true,
};

/// The policy asks for it, and nothing says it.
pub(super) fn judge(id: &str) -> Finding {
    Finding {
        expected: "a review interval".into(),
        why: "the policy says require_review_every: declare review_every, and apply".into(),
        ..found(&RULE, id, "record.review_every", Verdict::Missing)
    }
}
