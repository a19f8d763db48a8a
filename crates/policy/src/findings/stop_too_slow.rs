//! `stop-too-slow`: stopping it takes too long.

use domain::Span;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "stop-too-slow",
    checks: &["OFF05"],
    title: "Stopping it takes too long",
    means: "Its `stop_within` allows longer than `stop_within_longest` of the policy; or the \
        last time that a credential of it was ended took longer than its `stop_within`, from \
        the word to the first refusal.",
    cause: "Its platform lets go slowly, or more was allowed than the organization stands.",
    remedy: "Shorten what lives on after an end (the life of tokens, caches), try it with `nhi \
        drill`, and declare what is true. Allow longer only where that is agreed.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[170],
    waivable: true,
};

/// More is allowed than the policy takes.
pub(super) fn allowed(id: &str, within: Span, longest: Span) -> Finding {
    Finding {
        expected: format!("at most {longest}"),
        actual: within.to_string(),
        why: "it allows longer than the policy does".into(),
        ..found(&RULE, id, "stop_within", Verdict::Changed)
    }
}

/// It took longer than is allowed.
pub(super) fn measured(id: &str, within: Span, took: Span) -> Finding {
    Finding {
        expected: format!("within {within}"),
        actual: format!("the last end took {took}"),
        why: "from the word to the first refusal".into(),
        ..found(&RULE, id, "time_to_stop", Verdict::Changed)
    }
}
