//! `scope-wildcard`: a scope reaches over more than one thing.

use domain::Action;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "scope-wildcard",
    checks: &["SCP02", "SCP07"],
    title: "A scope reaches over more than one thing",
    means: "It has a wildcard, and the policy says that each thing is named (`wildcards`).",
    cause: "It is older than the policy, or somebody widened it.",
    remedy: "Name each thing by itself in nhi_scope, and apply.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[38, 90, 91, 92, 93, 102, 126],
    waivable: true,
};

/// One scope. Where the policy only warns of them, nothing follows.
pub(super) fn judge(id: &str, scope: &str, action: Action, refused: bool) -> Finding {
    let (severity, condition) = match refused {
        true => (RULE.severity, RULE.condition),
        false => (Severity::Info, Condition::Note),
    };
    Finding {
        actual: scope.to_owned(),
        action: Some(action),
        severity,
        condition,
        why: "name each thing by itself".into(),
        ..found(&RULE, &format!("{id}/scope"), "scopes", Verdict::Added)
    }
}
