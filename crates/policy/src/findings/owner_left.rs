//! `owner-left`: an owner has left.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "owner-left",
    checks: &["OWN04"],
    title: "An owner has left",
    means: "The directory shows the owner disabled or gone for longer than the grace. Nobody answers \
        for what they own.",
    cause: "They left, and what they owned was not handed over.",
    remedy: "Name another owner of the integrations that the finding lists.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[13, 30, 66, 70, 207],
    waivable: true,
};
