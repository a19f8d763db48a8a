//! `expired`: it has outlived its end.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "expired",
    checks: &["PUR03", "OFF01"],
    title: "It has outlived its end",
    means: "The last day of an integration is over and it is live, or a credential has ended at its \
        platform and its consumers no longer get in.",
    cause: "Nobody prolonged it or took it out of service; or no run rotated the credential in time.",
    remedy: "Of an integration: apply switches it off, or what the policy says follows; prolong it by a \
        new `expires_on` only if it is still needed. Of a credential: apply issues another one.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[76, 79],
    waivable: true,
};
