//! `control-plane`: it can change who may do what.

use domain::Action;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "control-plane",
    checks: &["INV07", "AGT01"],
    title: "It can change who may do what",
    means: "Its scopes let it edit policies, or make, change or revoke access. Whoever has its \
        credential has that power too, used or not.",
    cause: "It is declared so, or somebody widened it.",
    remedy: "Nothing, where that is what it is for: give it two owners, a ceiling and a short review. \
        Else narrow its scopes.",
    severity: Severity::Info,
    condition: Condition::Note,
    rows: &[1, 3, 5, 43, 45, 52],
    waivable: true,
};

/// All such scopes of one integration, as one thing.
pub(super) fn judge(id: &str, scopes: &[(String, Action)]) -> Option<Finding> {
    let known = |action: Action| action.is_control_plane() && action != Action::Unknown;
    let such: Vec<&(String, Action)> = scopes.iter().filter(|(_, action)| known(*action)).collect();
    let names: Vec<&str> = such.iter().map(|(scope, _)| scope.as_str()).collect();
    Some(Finding {
        actual: names.join(", "),
        action: Some(such.iter().map(|(_, action)| *action).max()?),
        why: "whoever has its credential can change who may do what".into(),
        ..found(&RULE, &format!("{id}/scope"), "power", Verdict::Added)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_the_catalogue_is_not_called_power_over_access() {
        let scopes = [("a".to_owned(), Action::Secret), ("b".to_owned(), Action::Unknown)];
        assert_eq!(judge("x", &scopes), None);
        let scopes = [("a".to_owned(), Action::Policy), ("b".to_owned(), Action::Identity)];
        let one = judge("x", &scopes).unwrap();
        assert_eq!((one.actual.as_str(), one.action), ("a, b", Some(Action::Identity)));
    }
}
