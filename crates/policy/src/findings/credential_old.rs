//! `credential-old`: a credential is older than the policy allows.

use crate::schedule::later;
use domain::{Now, Span};
use jiff::Timestamp;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "credential-old",
    checks: &["CRD01"],
    title: "A credential is older than the policy allows",
    means: "It was issued longer ago than `findings.credential_oldest`, whatever its schedule says.",
    cause: "It has no schedule, or one that is too slow, or it was taken in as it was.",
    remedy: "Rotate it, and give it a schedule.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[115, 116, 118, 124],
    waivable: true,
};

/// A key that is older than it may be.
pub(super) fn judge(slot: &str, issued: Timestamp, oldest: Span, now: Now) -> Option<Finding> {
    now.is_past(later(issued, oldest)).then(|| Finding {
        expected: format!("it is {oldest} old at most"),
        actual: format!("issued at {issued}"),
        why: "rotate it, and give it a schedule that does".into(),
        ..found(&RULE, slot, "age", Verdict::Changed)
    })
}
