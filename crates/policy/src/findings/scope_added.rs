//! `scope-added`: a scope that nobody declared.

use domain::Action;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "scope-added",
    checks: &["SCP01", "SCP04"],
    title: "A scope that nobody declared",
    means: "The integration may do more than is declared. What the scope lets it do is in the finding.",
    cause: "Somebody widened it at the platform by hand, or another tool did.",
    remedy: "Apply takes it away. Where it is needed: declare it in nhi_scope, so that it is reviewed.",
    severity: Severity::High,
    condition: Condition::Drift,
    rows: &[94, 99, 216],
    waivable: true,
};

/// One scope, with what it lets its holder do.
pub(super) fn judge(subject: &str, scope: &str, action: Action) -> Finding {
    Finding {
        actual: scope.to_owned(),
        action: Some(action),
        severity: match action {
            Action::Policy | Action::Identity | Action::Admin | Action::Unknown => {
                Severity::Critical
            }
            Action::None | Action::Read => Severity::Medium,
            _ => RULE.severity,
        },
        ..found(&RULE, subject, "scopes", Verdict::Added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_power_over_access_and_what_nobody_knows_weighs_most() {
        let weight = |action| judge("x/scope", "s", action).severity;
        assert_eq!(weight(Action::Unknown), Severity::Critical);
        assert_eq!(weight(Action::Identity), Severity::Critical);
        assert_eq!(weight(Action::Secret), Severity::High);
        assert_eq!(weight(Action::Read), Severity::Medium);
    }

    #[test]
    fn a_fingerprint_tells_two_scopes_apart_and_two_tenants() {
        let print = |scope, tenant| judge("x/scope", scope, Action::Read).fingerprint(tenant, "v");
        assert_ne!(print("a", "t"), print("b", "t"));
        assert_ne!(print("a", "t"), print("a", "other"));
    }
}
