//! `dormant`: nobody has used it for long.

use crate::schedule::later;
use domain::{LastUsed, Now, Span};

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "dormant",
    checks: &["OFF01"],
    title: "Nobody has used it for long",
    means: "Its platform tells when it was last used, and that is longer ago than \
        `findings.dormant_after`. Where a platform does not tell, nothing is concluded.",
    cause: "What it was for has ended, or its consumer uses another one.",
    remedy: "Find out whether it is needed. If not: remove it, or `nhi decommission` its integration.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[79, 80, 198],
    waivable: true,
};

/// A key that nobody has used for too long. What its platform does not tell is not concluded.
pub(super) fn judge(slot: &str, used: LastUsed, after: Span, now: Now) -> Option<Finding> {
    let LastUsed::At(at) = used else { return None };
    now.is_past(later(at, after)).then(|| Finding {
        expected: format!("it is used within {after}"),
        actual: format!("last used at {at}"),
        why: "find out whether it is needed; if not, remove it or decommission its integration"
            .into(),
        ..found(&RULE, slot, "last_used", Verdict::Changed)
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn it_takes_a_use_that_is_known_and_long_ago() {
        let now = Now::from("2026-06-01T00:00:00Z".parse::<Timestamp>().unwrap());
        let used = |day: &str| LastUsed::At(format!("{day}T00:00:00Z").parse().unwrap());
        let told = |used| judge("x", used, Span::from_secs(90 * 86_400), now).is_some();
        assert!(told(used("2026-02-01")));
        assert!(!told(used("2026-05-01")));
        assert!(!told(LastUsed::Unknown), "unknown is never unused");
    }
}
