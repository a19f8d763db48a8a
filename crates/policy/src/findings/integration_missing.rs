//! `integration-missing`: a declared integration is proven absent.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "integration-missing",
    checks: &["INV02"],
    title: "A declared integration is proven absent",
    means: "The platform was read and does not have it. Whatever used it does not work.",
    cause: "Somebody deleted it at the platform.",
    remedy: "Apply makes it again, with its scopes and another credential. Where it is to stay away: \
        remove it from the configuration, or `nhi ledger forget` where none names it.",
    severity: Severity::High,
    condition: Condition::Drift,
    rows: &[],
    waivable: true,
};

/// A declared integration that is proven absent.
pub fn missing(id: &str) -> Finding {
    Finding {
        expected: "it exists".into(),
        why: format!(
            "the next apply makes it again; where it is to stay away and no configuration names it: nhi \
             ledger forget {id} --reason \"…\""
        ),
        ..found(&RULE, id, "object", Verdict::Missing)
    }
}
