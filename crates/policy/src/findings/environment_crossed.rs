//! `environment-crossed`: it reaches into another environment.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "environment-crossed",
    checks: &["ENV01"],
    title: "It reaches into another environment",
    means: "A scope that it holds names another environment than its own, by the words of \
        `environment_words`; or what it runs on, or a system that it reaches, is declared to be of \
        another one.",
    cause: "Somebody widened it, or it was given before the policy had the word.",
    remedy: "Take the scope, or the entry of `reaches`, away, and make an integration of its own for that \
        environment.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[145, 146, 147],
    waivable: true,
};

/// One scope that names another environment.
pub(super) fn judge(id: &str, scope: &str, ours: &str, theirs: &str) -> Finding {
    Finding {
        actual: scope.to_owned(),
        why: format!("it names {theirs}, and the integration is of {ours}"),
        ..found(&RULE, &format!("{id}/scope"), "scopes", Verdict::Added)
    }
}

/// What it runs on, or reaches, that is of another environment.
pub(super) fn beside(id: &str, facet: &str, what: &str, ours: &str, theirs: &str) -> Finding {
    Finding {
        expected: ours.to_owned(),
        actual: format!("{what}: {theirs}"),
        why: format!("it is of {theirs}, and the integration is of {ours}"),
        ..found(&RULE, id, facet, Verdict::Added)
    }
}
