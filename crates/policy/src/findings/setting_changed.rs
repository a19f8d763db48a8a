//! `setting-changed`: a setting is not as declared.

use std::collections::BTreeMap;

use super::{Condition, Finding, Rule, Severity, differences};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "setting-changed",
    checks: &["SCP01"],
    title: "A setting is not as declared",
    means: "A setting of the integration at its platform, such as how long its tokens last, differs \
        from the configuration.",
    cause: "Somebody changed it by hand, or a change was not applied.",
    remedy: "Apply puts it right, or declare what is there.",
    severity: Severity::Medium,
    condition: Condition::Drift,
    rows: &[],
    waivable: true,
};

/// Each setting that is not as declared.
pub(super) fn judge(
    id: &str,
    wish: &BTreeMap<String, String>,
    have: &BTreeMap<String, String>,
) -> Vec<Finding> {
    differences(&RULE, (id, "settings"), wish, have)
}
