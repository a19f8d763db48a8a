//! `scope-outlived`: a temporary scope is live after its time.

use domain::Action;
use jiff::Timestamp;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "scope-outlived",
    checks: &["BRK04"],
    title: "A temporary scope is live after its time",
    means: "A scope was given for a while. That is over, and it is live.",
    cause: "No run came since, and the platform cannot end scopes by itself.",
    remedy: "Apply takes it away.",
    severity: Severity::High,
    condition: Condition::Unfinished,
    rows: &[123, 240, 242],
    waivable: true,
};

/// A temporary scope that is still live after its time.
pub fn scope_outlived(id: &str, scope: &str, until: Timestamp, action: Action) -> Finding {
    Finding {
        expected: format!("ended at {until}"),
        actual: scope.to_owned(),
        action: Some(action),
        why: "its time is over and it is still live; apply takes it away".into(),
        ..found(&RULE, &format!("{id}/scope"), "scopes", Verdict::Added)
    }
}
