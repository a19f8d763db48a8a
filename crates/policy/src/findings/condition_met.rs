//! `condition-met`: a condition that ends it is met.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "condition-met",
    checks: &["PUR03"],
    title: "A condition that ends it is met",
    means: "One of its `expires_when` holds: the contract with what it runs on is over, none of \
        its credentials was used for as long as `findings.dormant_after`, or the directory calls \
        an owner away. It has outlived what it was for, as if its last day were over.",
    cause: "What it was for has ended, and nobody removed it.",
    remedy: "Remove it, with its scopes and credentials. If it is still needed: declare the new \
        end of the contract, or take the condition out of `expires_when`.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[81],
    waivable: true,
};
