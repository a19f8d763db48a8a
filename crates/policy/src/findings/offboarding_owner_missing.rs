//! `offboarding-owner-missing`: nobody sees to its end.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "offboarding-owner-missing",
    checks: &["OWN07"],
    title: "Nobody sees to its end",
    means: "The policy has `require_offboarding_owner`, and the integration has no \
        `offboarding_owner`. When it is no longer needed, ending it is nobody's duty.",
    cause: "It was declared before the policy asked, or it was forgotten.",
    remedy: "Name who ends it when it is no longer needed: `offboarding_owner = nhi_owner.x`.",
    severity: Severity::Low,
    condition: Condition::Policy,
    rows: &[67],
    waivable: true,
};

/// One without.
pub(super) fn judge(id: &str) -> Finding {
    found(&RULE, id, "offboarding_owner", Verdict::Removed)
}
