//! What the policy says is wrong with an integration.

use std::collections::BTreeMap;

use super::{
    Finding, Rule, Verdict, adoption_overdue, condition_met, contract_ended, drill_overdue,
    expired, found, marker_forged, predecessor_alive, quarantine_broken, recreated, review_overdue,
    workflow_gone,
};
use crate::rules::Verdict as Follows;

/// The rule of a problem. Stray credentials are named one by one by [`super::compare`].
fn rule_of(problem: &str) -> Option<&'static Rule> {
    Some(match problem {
        "expired" => &expired::RULE,
        "contract_ended" => &contract_ended::RULE,
        "drill_overdue" => &drill_overdue::RULE,
        "review_overdue" => &review_overdue::RULE,
        "adoption_overdue" => &adoption_overdue::RULE,
        "marker_forged" => &marker_forged::RULE,
        "recreated" => &recreated::RULE,
        "quarantine_broken" => &quarantine_broken::RULE,
        "workflow_retired" => &workflow_gone::RULE,
        "condition_met" => &condition_met::RULE,
        "predecessor_alive" => &predecessor_alive::RULE,
        _ => return None,
    })
}

/// What the policy says is wrong with an integration.
pub fn standing(id: &str, standing: &BTreeMap<&'static str, Follows>) -> Vec<Finding> {
    let ruled = standing
        .iter()
        .filter_map(|(problem, follows)| Some((*problem, rule_of(problem)?, follows)));
    ruled
        .map(|(problem, rule, follows)| Finding {
            actual: problem.to_owned(),
            why: match follows {
                Follows::Warn => String::new(),
                Follows::Disable => "the policy has it switched off by the next apply".into(),
                Follows::Revoke => "the policy has it revoked by the next apply".into(),
            },
            ..found(rule, id, &format!("standing.{problem}"), Verdict::Added)
        })
        .collect()
}

#[cfg(test)]
pub(super) use tests::PROBLEMS;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standing::{Facts, ThirdParty, standing as judged, third_party};

    /// Every problem that has a rule.
    pub(in super::super) const PROBLEMS: [&str; 11] = [
        "expired",
        "contract_ended",
        "drill_overdue",
        "review_overdue",
        "adoption_overdue",
        "marker_forged",
        "recreated",
        "quarantine_broken",
        "workflow_retired",
        "condition_met",
        "predecessor_alive",
    ];

    #[test]
    fn every_problem_that_there_is_has_a_rule_but_the_one_that_is_named_key_by_key() {
        let long_ago = "2020-01-01".parse().ok();
        let day: Option<domain::Span> = "1d".parse().ok();
        let facts = Facts {
            expires_on: long_ago,
            review_every: day,
            reviewed_or_created_on: long_ago,
            recreated: true,
            marker_forged: true,
            unmanaged: 1,
            adopted_until: long_ago,
            quarantine_broken: true,
            around: crate::standing::Around {
                workflows: 1,
                gone: vec!["nightly".to_owned()],
                predecessor_alive: true,
                met: vec!["dormant"],
                ..Default::default()
            },
        };
        let dates = ThirdParty {
            expires_on: long_ago,
            contract_ends_on: long_ago,
            tested_on: long_ago,
            test_every: day,
        };
        let now = "2026-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap();
        let rules = crate::Rules::default();
        let mut all: Vec<&str> = judged(&facts, &rules, now.into()).into_keys().collect();
        all.extend(third_party(&dates, &rules, now.into()).into_keys());
        let bare: Vec<&str> =
            all.iter().copied().filter(|problem| rule_of(problem).is_none()).collect();
        assert_eq!(bare, ["unmanaged_credentials"]);
        assert!(PROBLEMS.iter().all(|problem| all.contains(problem)), "{all:?}");
    }
}
