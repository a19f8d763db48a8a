//! `observe-and-act`: it both watches and acts.

use domain::Action;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "observe-and-act",
    checks: &["SCP05"],
    title: "It both watches and acts",
    means: "It reads, and it may also start workflows, change closure states or mute alarms. What it \
        sees decides what it does, and nobody stands between.",
    cause: "It is declared so, or somebody widened it.",
    remedy: "Split it in two integrations where that can be: one that reads, and one that acts.",
    severity: Severity::Info,
    condition: Condition::Note,
    rows: &[42],
    waivable: true,
};

/// All scopes of one integration together.
pub(super) fn judge(id: &str, scopes: &[(String, Action)]) -> Option<Finding> {
    let named = |is: fn(Action) -> bool| {
        let such: Vec<&str> = scopes
            .iter()
            .filter(|(_, action)| is(*action))
            .map(|(scope, _)| scope.as_str())
            .collect();
        (!such.is_empty()).then(|| such.join(", "))
    };
    let watches = named(|action| matches!(action, Action::Read | Action::Export))?;
    let acts =
        named(|action| matches!(action, Action::Execute | Action::Close | Action::Suppress))?;
    Some(Finding {
        actual: format!("watches: {watches}; acts: {acts}"),
        why: "what it sees decides what it does, and nobody stands between".into(),
        ..found(&RULE, &format!("{id}/scope"), "reach", Verdict::Added)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_both_and_to_write_data_is_not_to_act() {
        let told = |all: &[Action]| {
            let scopes: Vec<_> = all.iter().map(|action| (action.to_string(), *action)).collect();
            judge("x", &scopes).is_some()
        };
        assert!(told(&[Action::Read, Action::Suppress]));
        assert!(!told(&[Action::Read, Action::Write]));
        assert!(!told(&[Action::Suppress]));
    }
}
