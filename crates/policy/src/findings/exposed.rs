//! `exposed`: a credential was exposed and has not been rotated.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "exposed",
    checks: &["CRD09"],
    title: "A credential was exposed and has not been rotated",
    means: "Somebody may know the secret who should not. Until it ends, so does nobody know who uses \
        it.",
    cause: "A person declared an incident for it, or its secret was found where it should not be.",
    remedy: "Apply, or `nhi rotate`: it issues another one and ends this one at once.",
    severity: Severity::Critical,
    condition: Condition::Policy,
    rows: &[115, 127],
    waivable: true,
};
