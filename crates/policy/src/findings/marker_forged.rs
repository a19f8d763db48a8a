//! `marker-forged`: a mark of ours is copied or forged.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "marker-forged",
    checks: &["LOG03"],
    title: "A mark of ours is copied or forged",
    means: "A credential carries this installation's mark, and was not made here for it. Who trusts \
        the mark would take it for ours.",
    cause: "Somebody copied the mark from another credential to hide one.",
    remedy: "End it with `nhi revoke`, and find out who made it.",
    severity: Severity::Critical,
    condition: Condition::Policy,
    rows: &[],
    waivable: false,
};
