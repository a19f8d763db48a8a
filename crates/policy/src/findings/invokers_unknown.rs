//! `invokers-unknown`: nobody has said who may start a workflow.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "invokers-unknown",
    checks: &["REV04"],
    title: "Nobody has said who may start a workflow",
    means: "A workflow in `workflows` has no `invokers`. Whoever may start it acts with what the \
        integration may do, and nobody can review who that is.",
    cause: "The workflow was declared, and not who starts it.",
    remedy: "Find out at its platform who may start it, and declare them: `invokers = []` where \
        nothing but its schedule does.",
    severity: Severity::Low,
    condition: Condition::Policy,
    rows: &[184],
    waivable: true,
};

/// One workflow of which that is not said.
pub(super) fn judge(id: &str, name: &str) -> Finding {
    Finding {
        why: "whoever may start it acts with what the integration may do".into(),
        ..found(&RULE, id, &format!("workflows.{name}.invokers"), Verdict::Removed)
    }
}
