//! `clock-disagrees`: clocks are more than five minutes apart.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "clock-disagrees",
    checks: &[],
    title: "Clocks are more than five minutes apart",
    means: "The clock of this machine and that of a server disagree. What ends when its time is over \
        waits, so that nothing ends early.",
    cause: "A clock is not kept by a time server, or a virtual machine was asleep.",
    remedy: "Set the clock that is wrong; `nhi doctor` says how far each is away.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[],
    waivable: true,
};

/// Clocks that disagree: what ends when its time is over waits for them.
pub fn clocks_apart(which: &str) -> Finding {
    Finding {
        expected: "clocks that agree to five minutes".into(),
        actual: which.to_owned(),
        why: "what ends when its time is over waits until they agree".into(),
        ..found(&RULE, "clock", "time", Verdict::Changed)
    }
}
