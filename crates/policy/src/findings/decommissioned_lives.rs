//! `decommissioned-lives`: something of it works again after it was taken out of service.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "decommissioned-lives",
    checks: &["OFF04", "OFF06"],
    title: "Something of it works again after it was taken out of service",
    means: "A credential, a scope or the switch of an integration that is out of service is live.",
    cause: "Somebody made or switched on a part of it by hand.",
    remedy: "`nhi decommission` with its id ends what lives; then find out who needed it.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[198, 200],
    waivable: true,
};

/// One thing that works.
pub(super) fn judge(id: &str, what: &str) -> Finding {
    Finding {
        actual: what.to_owned(),
        why: format!("it is out of service, and this works again: nhi decommission {id} ends it"),
        ..found(&RULE, id, "object", Verdict::Added)
    }
}
