//! `rotating`: somebody is at work on it.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "rotating",
    checks: &["LIF01"],
    title: "Somebody is at work on it",
    means: "A run has begun a deed and may be at work on it still.",
    cause: "That is the usual course; a run that was killed looks the same until it has been silent \
        for `claim_ttl`.",
    remedy: "Wait. `nhi recover` says how to tell a slow run from one that is gone.",
    severity: Severity::Info,
    condition: Condition::Note,
    rows: &[10],
    waivable: true,
};
