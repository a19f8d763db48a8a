//! `sink-missing`: a sink has no copy.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "sink-missing",
    checks: &["CRD07"],
    title: "A sink has no copy",
    means: "The place where the secret should be is empty. Who reads it there does not get in.",
    cause: "Somebody deleted it, or the sink was made anew.",
    remedy: "Apply copies the secret again, or rotates where no place has it any more.",
    severity: Severity::Medium,
    condition: Condition::Drift,
    rows: &[],
    waivable: true,
};

/// The place that is empty.
pub(super) fn judge(slot: &str, name: &str, place: &str) -> Finding {
    Finding {
        expected: place.to_owned(),
        ..found(&RULE, slot, &format!("sinks.{name}"), Verdict::Removed)
    }
}
