//! `stop-within-missing`: nobody has said how fast it must be possible to stop it.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "stop-within-missing",
    checks: &["OFF02"],
    title: "Nobody has said how fast it must be possible to stop it",
    means: "The policy has `require_stop_within`, and the integration has no `stop_within`. In \
        an incident nobody can tell whether stopping it went well.",
    cause: "It was declared before the policy asked, or it was forgotten.",
    remedy: "Agree on a time with its owners, and declare it in `stop_within`.",
    severity: Severity::Low,
    condition: Condition::Policy,
    rows: &[170],
    waivable: true,
};

/// One without a time.
pub(super) fn judge(id: &str) -> Finding {
    found(&RULE, id, "stop_within", Verdict::Removed)
}
