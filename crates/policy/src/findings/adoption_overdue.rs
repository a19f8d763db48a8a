//! `adoption-overdue`: what was adopted is not complete, and its day is over.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "adoption-overdue",
    checks: &["INV05"],
    title: "What was adopted is not complete, and its day is over",
    means: "The integration was taken over as it was, and the day until which owners, purpose, environment or a justification may be left out is over.",
    cause: "What only a person knows was not said.",
    remedy: "Say what is missing and remove `adoption`, or agree on a later `complete_by`; a plan is refused until then.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[2],
    waivable: true,
};
