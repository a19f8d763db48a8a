//! `switch-changed`: it is switched on or off, and should not be.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "switch-changed",
    checks: &["SCP01"],
    title: "It is switched on or off, and should not be",
    means: "The platform's own switch is not where the configuration has it.",
    cause: "A hand at the platform, or an apply that did not come to its end.",
    remedy: "Apply sets it. Who switched it off in an incident declares `enabled = false`.",
    severity: Severity::High,
    condition: Condition::Drift,
    rows: &[],
    waivable: true,
};

/// The switch, where it is not as declared.
pub(super) fn judge(id: &str, wanted: bool, is: bool) -> Option<Finding> {
    let word = |on: bool| if on { "active" } else { "disabled" }.to_owned();
    (wanted != is).then(|| Finding {
        expected: word(wanted),
        actual: word(is),
        ..found(&RULE, id, "enabled", Verdict::Changed)
    })
}
