//! `credential-long-lived`: a credential lives longer than the policy allows.

use crate::schedule::later;
use domain::Span;
use jiff::Timestamp;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "credential-long-lived",
    checks: &["CRD02"],
    title: "A credential lives longer than the policy allows",
    means: "From its issue to its end it has more time than `findings.credential_longest`.",
    cause: "Its schedule has a longer lifetime, or it was issued before the policy said so.",
    remedy: "Give its schedule a shorter `lifetime` or `every`, and rotate.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[111, 126],
    waivable: true,
};

/// A key that lives longer than it may.
pub(super) fn judge(
    slot: &str,
    (issued, ends): (Timestamp, Timestamp),
    longest: Span,
) -> Option<Finding> {
    (ends > later(issued, longest)).then(|| Finding {
        expected: format!("it ends {longest} after its issue at the latest"),
        actual: format!("issued at {issued}, ends at {ends}"),
        why: "give its schedule a shorter lifetime, and rotate it".into(),
        ..found(&RULE, slot, "lifetime", Verdict::Changed)
    })
}
