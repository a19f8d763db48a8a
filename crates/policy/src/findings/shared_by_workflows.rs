//! `shared-by-workflows`: several workflows share it.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "shared-by-workflows",
    checks: &["PUR02", "CRD05"],
    title: "Several workflows share it",
    means: "More than one workflow uses the integration, and `shared_with` does not say who \
        shares it. What one of them does cannot be told from what another does, each has \
        what all of them need, and none can be stopped alone.",
    cause: "A new workflow took what was there already.",
    remedy: "Make an integration of its own for each workflow, with the scopes that it needs. \
        Where that cannot be: name who shares it in `shared_with`.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[69, 126, 138],
    waivable: true,
};

/// One that more than one workflow uses.
pub(super) fn judge<'a>(id: &str, names: impl Iterator<Item = &'a str>) -> Finding {
    Finding {
        actual: names.collect::<Vec<_>>().join(", "),
        why: "what one of them does cannot be told from what another does".into(),
        ..found(&RULE, id, "workflows", Verdict::Added)
    }
}
