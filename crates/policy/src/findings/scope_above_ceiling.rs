//! `scope-above-ceiling`: a scope is above the ceiling.

use domain::Action;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "scope-above-ceiling",
    checks: &["BLA02", "INV06"],
    title: "A scope is above the ceiling",
    means: "The integration holds a scope that its own ceiling does not let through.",
    cause: "Somebody widened it at the platform, or the ceiling came later.",
    remedy: "Take the scope away; raise the ceiling only where that is reviewed.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[42, 226, 233],
    waivable: true,
};

/// One scope, and which half of the ceiling it is above.
pub(super) fn judge(id: &str, scope: &str, action: Action, why: String) -> Finding {
    Finding {
        expected: "within the ceiling".into(),
        actual: scope.to_owned(),
        action: Some(action),
        why,
        ..found(&RULE, &format!("{id}/scope"), "scopes", Verdict::Added)
    }
}
