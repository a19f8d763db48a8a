//! `credential-unmanaged`: a live credential that nobody declared.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "credential-unmanaged",
    checks: &["INV01", "CRD11"],
    title: "A live credential that nobody declared",
    means: "The integration has a credential that is in no slot: nobody rotates it, nobody is told of \
        its end, and it gives the same power as the others.",
    cause: "Somebody made it at the platform by hand, or a deed was cut off before it could say what \
        it made.",
    remedy: "Find out who uses it. Then take it in with an import, or have apply end it with \
        `revoke_unmanaged = true`, or end it now with `nhi revoke`.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[20, 21, 22, 23, 27, 28, 31, 121],
    waivable: true,
};

/// Drift is what an apply puts right, and a plan shows. Where an apply is not to end a credential,
/// both would say so for ever and neither do anything: then a person has to.
pub(super) fn judge(id: &str, key: &str, known: &str, ended_by_apply: bool) -> Finding {
    let (condition, next) = match ended_by_apply {
        true => (Condition::Drift, "apply ends it"),
        false => (RULE.condition, "find out who uses it; then adopt it or have it ended"),
    };
    let space = if known.is_empty() { "" } else { " " };
    Finding {
        actual: key.to_owned(),
        condition,
        why: format!("{known}{space}{next}"),
        ..found(&RULE, id, "credentials", Verdict::Unmanaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stray_credential_is_drift_only_where_an_apply_ends_it() {
        let asked = judge("x", "k9", "(issued 2026-11-20)", true);
        assert_eq!(asked.condition, Condition::Drift);
        assert_eq!(asked.why, "(issued 2026-11-20) apply ends it");
        let unasked = judge("x", "k9", "", false);
        assert_eq!(unasked.condition, Condition::Policy);
        assert!(unasked.why.starts_with("find out who uses it"), "{}", unasked.why);
    }
}
