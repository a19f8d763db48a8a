//! `purpose-says-nothing`: its purpose says nothing.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "purpose-says-nothing",
    checks: &["PUR01"],
    title: "Its purpose says nothing",
    means: "The record has no purpose, or one that is a filler. A reviewer cannot tell whether the \
        integration is still needed.",
    cause: "Somebody wrote something to get on, or edited the record at the platform.",
    remedy: "Say what it does, for whom and how often, and apply.",
    severity: Severity::Low,
    condition: Condition::Policy,
    rows: &[35, 62, 75, 76, 77],
    waivable: true,
};

/// Drift where an apply writes the declared one again.
pub(super) fn judge(id: &str, purpose: &str, put_right: bool) -> Finding {
    Finding {
        expected: "what it does, for whom and how often".into(),
        actual: purpose.to_owned(),
        condition: if put_right { Condition::Drift } else { RULE.condition },
        why: "a reviewer cannot tell from it whether the integration is still needed".into(),
        ..found(&RULE, id, "purpose", Verdict::Changed)
    }
}
