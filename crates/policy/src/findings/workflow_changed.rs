//! `workflow-changed`: a workflow changed and was not reviewed since.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "workflow-changed",
    checks: &["REV02", "PUR04"],
    title: "A workflow changed and was not reviewed since",
    means: "A workflow in `workflows` has another `version` than its `reviewed_version`: what \
        the integration may do was last looked at for another workflow.",
    cause: "A new version was deployed.",
    remedy: "Review whether its scopes, purpose and reach still fit the new version, apply what \
        follows from it, and declare the version as its `reviewed_version` in the same \
        change.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[35, 180],
    waivable: true,
};

/// One workflow of another version than the one that was reviewed.
pub(super) fn judge(id: &str, name: &str, version: &str, reviewed: Option<&str>) -> Finding {
    Finding {
        expected: reviewed.unwrap_or_default().to_owned(),
        actual: version.to_owned(),
        why: match reviewed {
            Some(_) => "its scopes were reviewed for another version".to_owned(),
            None => "nobody has said for which version its scopes were reviewed".to_owned(),
        },
        ..found(&RULE, id, &format!("workflows.{name}.version"), Verdict::Changed)
    }
}
