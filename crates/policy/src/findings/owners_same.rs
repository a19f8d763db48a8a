//! `owners-same`: one person is both owners.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "owners-same",
    checks: &["OWN03"],
    title: "One person is both owners",
    means: "The policy asks for two people from this power on (`two_owners_from`), and one is named \
        twice.",
    cause: "It is older than the policy.",
    remedy: "Name another `technical_owner`, or a lower `ceiling.highest_action`.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[60],
    waivable: true,
};

/// Both are this one.
pub(super) fn judge(id: &str, owner: &str) -> Finding {
    Finding {
        expected: "two owners".into(),
        actual: owner.to_owned(),
        why: "the policy asks for two people from this power on".into(),
        ..found(&RULE, id, "record.technical_owner", Verdict::Changed)
    }
}
