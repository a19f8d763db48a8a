//! `decommission-unfinished`: it was taken out of service in part.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "decommission-unfinished",
    checks: &["OFF02"],
    title: "It was taken out of service in part",
    means: "Somebody began to take the integration out of service, and a part of it works still.",
    cause: "The run was cut off, or a platform refused a part of it.",
    remedy: "`nhi decommission` with its id goes on from there.",
    severity: Severity::High,
    condition: Condition::Unfinished,
    rows: &[195, 196],
    waivable: true,
};
