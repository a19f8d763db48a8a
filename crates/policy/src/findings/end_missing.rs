//! `end-missing`: it has no end, and the policy asks for one.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "end-missing",
    checks: &["PUR03", "INV05"],
    title: "It has no end, and the policy asks for one",
    means: "The policy says `require_expires_on`, and the integration has no last day.",
    cause: "It is older than the policy.",
    remedy: "Declare `expires_on`, and apply.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[2, 76, 77],
    waivable: true,
};

/// The policy asks for it, and nothing says it.
pub(super) fn judge(id: &str) -> Finding {
    Finding {
        expected: "a last day".into(),
        why: "the policy says require_expires_on: declare expires_on, and apply".into(),
        ..found(&RULE, id, "record.expires_on", Verdict::Missing)
    }
}
