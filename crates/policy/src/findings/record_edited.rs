//! `record-edited`: what is written down of it was edited.

use std::collections::BTreeMap;

use super::{Condition, Finding, Rule, Severity, differences};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "record-edited",
    checks: &["SCP01"],
    title: "What is written down of it was edited",
    means: "The purpose, the owners, an end or another member of the record that stands with the \
        integration is not as declared.",
    cause: "Somebody edited it at the platform, or a change was not applied.",
    remedy: "Apply writes it again.",
    severity: Severity::Medium,
    condition: Condition::Drift,
    rows: &[13],
    waivable: true,
};

/// Each member of the record that is not as declared.
pub(super) fn judge(
    id: &str,
    wish: &BTreeMap<String, String>,
    have: &BTreeMap<String, String>,
) -> Vec<Finding> {
    differences(&RULE, (id, "record"), wish, have)
}
