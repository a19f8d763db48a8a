//! `waiting`: it is due outside its windows.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "waiting",
    checks: &["CRD01"],
    title: "It is due outside its windows",
    means: "The credential is due, and its schedule lets it rotate later only.",
    cause: "That is the usual course of a schedule with windows.",
    remedy: "Wait for the window.",
    severity: Severity::Info,
    condition: Condition::Note,
    rows: &[116],
    waivable: true,
};
