//! `schedule-missing`: a credential has no schedule, and the policy asks for one.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "schedule-missing",
    checks: &["CRD01"],
    title: "A credential has no schedule, and the policy asks for one",
    means: "The policy says `require_schedule`, and nothing says when this one rotates.",
    cause: "It is older than the policy.",
    remedy: "Give the nhi_credential a `schedule`, and apply.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[116, 117, 118],
    waivable: true,
};

/// The policy asks for it, and nothing says it.
pub(super) fn judge(slot: &str) -> Finding {
    Finding {
        expected: "a schedule".into(),
        why: "the policy says require_schedule: give it a schedule, and apply".into(),
        ..found(&RULE, slot, "schedule", Verdict::Missing)
    }
}
