//! `contract-ended`: the contract with its vendor has ended.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "contract-ended",
    checks: &["TPR04"],
    title: "The contract with its vendor has ended",
    means: "An integration that its vendor runs has no contract any more, and its access stands.",
    cause: "The contract was not renewed, or was and nobody said so.",
    remedy: "Have the vendor's access stopped by the way that the third party names, or declare the new \
        end of the contract.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[247, 249],
    waivable: true,
};
