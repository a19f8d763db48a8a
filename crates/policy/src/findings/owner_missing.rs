//! `owner-missing`: it has no owner.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "owner-missing",
    checks: &["OWN01", "OWN02", "INV05"],
    title: "It has no owner",
    means: "The record that stands with it names no business owner, or no technical one. Nobody \
        answers for it.",
    cause: "Somebody edited the record at the platform.",
    remedy: "Apply writes the declared owners again; where none are declared, declare them.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[2, 13, 60, 61, 62, 63, 64, 69, 75],
    waivable: true,
};

/// One of the owners. Drift where an apply writes the declared one again.
pub(super) fn judge(id: &str, member: &str, declared: bool) -> Finding {
    Finding {
        expected: "an owner".into(),
        condition: if declared { Condition::Drift } else { RULE.condition },
        why: match declared {
            true => "the record at the platform names none; apply writes the declared one again",
            false => "nothing names one: declare it, and apply",
        }
        .into(),
        ..found(&RULE, id, &format!("owner.{member}"), Verdict::Missing)
    }
}
