//! `credential-missing`: a declared credential is not there.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "credential-missing",
    checks: &["INV02"],
    title: "A declared credential is not there",
    means: "The slot has no credential that its platform knows: whoever uses it does not get in any \
        more.",
    cause: "Somebody deleted it by hand, `nhi revoke` ended it, or the integration was made anew.",
    remedy: "Apply: it issues another one and delivers it. Where none is wanted, remove its \
        nhi_credential.",
    severity: Severity::High,
    condition: Condition::Drift,
    rows: &[],
    waivable: true,
};
