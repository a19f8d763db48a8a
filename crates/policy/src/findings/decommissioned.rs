//! `decommissioned`: it is out of service and declared still.

use super::{
    Condition, Finding, Rule, Severity, Verdict, decommission_unfinished, decommissioned_lives,
    found,
};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "decommissioned",
    checks: &["OFF02"],
    title: "It is out of service and declared still",
    means: "The integration was taken out of service, and its configuration still declares it. No \
        apply gives it anything back.",
    cause: "The resources were not removed when it was decommissioned.",
    remedy: "Remove its nhi_integration, nhi_scope and nhi_credential from the configuration, and \
        apply.",
    severity: Severity::Medium,
    condition: Condition::Drift,
    rows: &[195, 199],
    waivable: true,
};

/// An integration that was taken out of service, or partly was, and is declared still; `lives` is what
/// of it works all the same.
pub fn decommissioned(id: &str, partly: bool, lives: &[String]) -> Vec<Finding> {
    let (rule, actual, why) = match partly {
        true => (
            &decommission_unfinished::RULE,
            "taken out of service in part",
            format!("somebody began to take it out of service: nhi decommission {id} goes on from there"),
        ),
        false => (
            &RULE,
            "out of service",
            "no apply gives it anything back: remove its nhi_integration, nhi_scope and nhi_credential from \
             the configuration, and apply"
                .to_owned(),
        ),
    };
    let first = Finding {
        expected: "in service".into(),
        actual: actual.into(),
        why,
        ..found(rule, id, "object", Verdict::Changed)
    };
    let lives = lives.iter().filter(|_| !partly);
    std::iter::once(first).chain(lives.map(|one| decommissioned_lives::judge(id, one))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_service_in_part_is_unfinished_and_what_lives_on_it_is_against_the_rules() {
        let lives = ["k1".to_owned()];
        let all = decommissioned("bao/openbao_approle/x", true, &lives);
        let [one] = &all[..] else { panic!("{all:?}") };
        assert_eq!((one.rule, one.condition), ("decommission-unfinished", Condition::Unfinished));
        assert!(one.why.contains("nhi decommission bao/openbao_approle/x"), "{}", one.why);
        let all = decommissioned("bao/openbao_approle/x", false, &lives);
        let told: Vec<_> = all.iter().map(|one| (one.rule, one.condition)).collect();
        assert_eq!(
            told,
            [("decommissioned", Condition::Drift), ("decommissioned-lives", Condition::Policy)]
        );
        assert_eq!(decommissioned("bao/openbao_approle/x", false, &[]).len(), 1);
    }
}
