//! `sink-changed`: a sink's copy was written over.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "sink-changed",
    checks: &["CRD08"],
    title: "A sink's copy was written over",
    means: "The place where the secret is delivered holds something else.",
    cause: "Somebody wrote there by hand.",
    remedy: "Apply copies the secret again, or rotates where no place has it any more.",
    severity: Severity::Medium,
    condition: Condition::Drift,
    rows: &[],
    waivable: true,
};

/// The place that holds something else. Which key it should hold is part of what was seen: who accepts this
/// one has not accepted what is written over the next.
pub(super) fn judge(slot: &str, name: &str, place: &str, key_id: Option<&str>) -> Finding {
    let key = key_id.map(|key| format!("{key} at "));
    Finding {
        expected: format!("{}{place}", key.unwrap_or_default()),
        actual: "written over by somebody else".into(),
        ..found(&RULE, slot, &format!("sinks.{name}"), Verdict::Changed)
    }
}
