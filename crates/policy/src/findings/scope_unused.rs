//! `scope-unused`: it may do what it does not do.

use domain::Span;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "scope-unused",
    checks: &["SCP03"],
    title: "It may do what it does not do",
    means: "A log that tells what is used shows all of `findings.dormant_after`, and nothing in it needs \
        this scope. Whoever has its secret can use what its owner does not need. Where no log tells, \
        nothing is concluded.",
    cause: "It was given more than it needs, or no longer does what it did.",
    remedy: "Take the scope out of its `nhi_scope`, and apply. Where it is needed once a year: accept it, \
        with who answers for that.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[82, 98, 254],
    waivable: true,
};

/// A scope that is not used.
pub fn scope_unused(id: &str, scope: &str, after: Span) -> Finding {
    Finding {
        expected: format!("it is used within {after}"),
        actual: scope.to_owned(),
        why: "no log that was imported shows a use of it: take it away, or say who needs it".into(),
        ..found(&RULE, id, "scopes", Verdict::Added)
    }
}
