//! `due`: a credential is due.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "due",
    checks: &["CRD01"],
    title: "A credential is due",
    means: "Its schedule says that it rotates now.",
    cause: "Its time has come; that is the usual course.",
    remedy: "Apply, or `nhi rotate`, issues the next generation.",
    severity: Severity::Low,
    condition: Condition::Drift,
    rows: &[115, 116],
    waivable: true,
};
