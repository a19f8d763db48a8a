//! `drill-overdue`: the way to stop a vendor was not tried for too long.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "drill-overdue",
    checks: &["OFF03"],
    title: "The way to stop a vendor was not tried for too long",
    means: "Nobody has tried whether the integration that a vendor runs can be stopped, for longer \
        than its review interval.",
    cause: "The trial was forgotten, or was done and its day not declared.",
    remedy: "Try the way to stop it, and declare the day in `third_party.disable_tested_on`.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[187, 204, 249],
    waivable: true,
};
