//! `credential-without-end`: a credential has no end.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "credential-without-end",
    checks: &["CRD03"],
    title: "A credential has no end",
    means: "Its platform would end it by itself, and was told of no end: forgotten, it works for ever.",
    cause: "Its schedule says `lifetime = \"none\"`, it has none, or somebody issued it by hand.",
    remedy: "Give its schedule a lifetime, and rotate.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[111, 126],
    waivable: true,
};

/// A key that its platform could end.
pub(super) fn judge(slot: &str) -> Finding {
    Finding {
        expected: "it ends by itself".into(),
        actual: "no end".into(),
        why: "give its schedule a lifetime, and rotate it".into(),
        ..found(&RULE, slot, "lifetime", Verdict::Changed)
    }
}
