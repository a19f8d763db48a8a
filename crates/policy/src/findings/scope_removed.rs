//! `scope-removed`: a declared scope is gone.

use domain::Action;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "scope-removed",
    checks: &["SCP01"],
    title: "A declared scope is gone",
    means: "The integration may do less than is declared, and may be failing.",
    cause: "Somebody narrowed it at the platform by hand.",
    remedy: "Apply gives it back, which is a change that gives power; or remove it from nhi_scope.",
    severity: Severity::Medium,
    condition: Condition::Drift,
    rows: &[97],
    waivable: true,
};

/// One scope, with what it let its holder do.
pub(super) fn judge(subject: &str, scope: &str, action: Action) -> Finding {
    Finding {
        expected: scope.to_owned(),
        action: Some(action),
        why: "giving it back is a change that gives power".into(),
        ..found(&RULE, subject, "scopes", Verdict::Removed)
    }
}
