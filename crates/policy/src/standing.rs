//! What is wrong with an integration by the policy, and what follows.

use std::collections::BTreeMap;

use domain::Now;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{Rules, rules::Verdict, schedule::later};

/// What is known of one integration.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The last day it may live.
    pub expires_on: Option<Date>,
    /// How often it is to be reviewed.
    pub review_every: Option<domain::Span>,
    /// The newest valid review, or the day on which it was made.
    pub reviewed_or_created_on: Option<Date>,
    /// Its vendor id is another than the one that is known.
    pub recreated: bool,
    /// A credential carries a marker that is not genuine.
    pub marker_forged: bool,
    /// Live credentials that nobody declared.
    pub unmanaged: usize,
    /// The last day on which not everything need be said of it.
    pub adopted_until: Option<Date>,
    /// It is quarantined, and somebody switched it on all the same.
    pub quarantine_broken: bool,
    /// What was seen of what it has to do with.
    pub around: Around,
}

/// What was seen of what an integration has to do with. What could not be looked at is in none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Around {
    /// How many workflows it is declared to have.
    pub workflows: usize,
    /// Those of them that are gone or switched off.
    pub gone: Vec<String>,
    /// The one that it took the place of lives.
    pub predecessor_alive: bool,
    /// One of its workflows being gone ends it, where it has others too.
    pub ends_with_any_workflow: bool,
    /// Which conditions of `expires_when` hold, besides that one.
    pub met: Vec<&'static str>,
}

impl Around {
    /// What follows of its workflows: that all are gone has policy's own verdict.
    fn of_workflows(&self, rules: &Rules) -> Option<Verdict> {
        let all = self.gone.len() >= self.workflows;
        match self.gone.is_empty() {
            true => None,
            false if self.ends_with_any_workflow => Some(rules.expired),
            false if all => Some(rules.workflow_gone),
            false => Some(Verdict::Warn),
        }
    }
}

/// The words of `expires_when`, and which of them hold: the last day of the contract with what it runs
/// on, and when each of its live credentials was last used, where that is known of all.
pub fn conditions_met(
    expires_when: &std::collections::BTreeSet<String>,
    contract_ends_on: Option<Date>,
    last_used: &[domain::LastUsed],
    rules: &Rules,
    now: Now,
) -> Vec<&'static str> {
    let over = contract_ends_on.is_some_and(|last| now.is_past(end_of(last)));
    let quiet = |used: &domain::LastUsed| match (used, rules.findings.dormant_after) {
        (domain::LastUsed::At(at), Some(after)) => now.is_past(later(*at, after)),
        _ => false,
    };
    let dormant = !last_used.is_empty() && last_used.iter().all(quiet);
    [("contract_ended", over), ("dormant", dormant)]
        .into_iter()
        .filter_map(|(word, met)| (met && expires_when.contains(word)).then_some(word))
        .collect()
}

impl Facts {
    /// When the next review is due.
    pub fn review_due(&self) -> Option<Timestamp> {
        let last = self.reviewed_or_created_on?.to_zoned_datetime(TimeZone::UTC).ok()?;
        Some(later(last.timestamp(), self.review_every?))
    }
}

/// The moment at which the last day of something is over: it is valid through the end of that day.
pub fn end_of(last: Date) -> Timestamp {
    last.tomorrow()
        .and_then(|day| day.to_zoned_datetime(TimeZone::UTC))
        .map_or(Timestamp::MAX, |at| at.timestamp())
}

/// Problem to verdict. Timings are the policy's; only the verdicts are kept.
///
/// What a verdict would switch off or revoke is over by every clock; what only warns, by one.
pub fn standing(facts: &Facts, rules: &Rules, now: Now) -> BTreeMap<&'static str, Verdict> {
    let mut standing = BTreeMap::new();
    if let Some(last) = facts.expires_on {
        let end = end_of(last);
        if now.is_past(end) {
            let revoke =
                rules.expired_revoke_after.is_some_and(|after| now.is_past(later(end, after)));
            standing.insert("expired", if revoke { Verdict::Revoke } else { rules.expired });
        }
    }
    if let Some(due) = facts.review_due().filter(|due| now.has_come(*due)) {
        let late = rules.review_grace.is_some_and(|grace| now.is_past(later(due, grace)));
        standing.insert("review_overdue", if late { Verdict::Disable } else { Verdict::Warn });
    }
    if facts.recreated {
        standing.insert("recreated", Verdict::Warn);
    }
    if facts.marker_forged {
        standing.insert("marker_forged", Verdict::Warn);
    }
    if facts.unmanaged > 0 {
        standing.insert("unmanaged_credentials", Verdict::Warn);
    }
    if facts.adopted_until.is_some_and(|last| now.has_come(end_of(last))) {
        standing.insert("adoption_overdue", Verdict::Warn);
    }
    if facts.quarantine_broken {
        standing.insert("quarantine_broken", Verdict::Disable);
    }
    if let Some(verdict) = facts.around.of_workflows(rules) {
        standing.insert("workflow_retired", verdict);
    }
    if !facts.around.met.is_empty() {
        standing.insert("condition_met", rules.expired);
    }
    if facts.around.predecessor_alive {
        standing.insert("predecessor_alive", Verdict::Warn);
    }
    standing
}

/// The dates of an integration that its vendor runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThirdParty {
    /// The last day it may live.
    pub expires_on: Option<Date>,
    /// The last day of its contract.
    pub contract_ends_on: Option<Date>,
    /// The day on which stopping it was last tried.
    pub tested_on: Option<Date>,
    /// How often the vendor's access is reviewed; to try the way to stop it is a part of that.
    pub test_every: Option<domain::Span>,
}

/// Problem to verdict of an integration that its vendor runs. We hold none of its switches, so
/// nothing follows by itself but a warning.
pub fn third_party(dates: &ThirdParty, rules: &Rules, now: Now) -> BTreeMap<&'static str, Verdict> {
    let over = |last| {
        let facts = Facts { expires_on: last, ..Facts::default() };
        standing(&facts, rules, now).contains_key("expired")
    };
    let late = Facts {
        review_every: dates.test_every,
        reviewed_or_created_on: dates.tested_on,
        ..Facts::default()
    };
    let untried = standing(&late, rules, now).contains_key("review_overdue");
    [
        ("expired", over(dates.expires_on)),
        ("contract_ended", over(dates.contract_ends_on)),
        ("drill_overdue", untried),
    ]
    .into_iter()
    .filter_map(|(name, over)| over.then_some((name, Verdict::Warn)))
    .collect()
}

/// The state that an integration should have.
pub fn wanted_state<'a>(
    quarantined: bool,
    enabled: bool,
    an_owner_left: bool,
    standing: impl IntoIterator<Item = &'a Verdict>,
) -> &'static str {
    let worst = standing.into_iter().max().copied();
    if quarantined {
        "quarantined"
    } else if worst == Some(Verdict::Revoke) {
        "revoked"
    } else if !enabled || an_owner_left || worst == Some(Verdict::Disable) {
        "disabled"
    } else {
        "active"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lives_through_its_last_day_and_no_longer() {
        let facts = Facts { expires_on: "2027-06-30".parse().ok(), ..Facts::default() };
        let at = |text: &str| {
            let now = text.parse::<Timestamp>().unwrap();
            standing(&facts, &Rules::default(), now.into())
        };
        assert!(at("2027-06-30T23:59:59Z").is_empty());
        assert_eq!(at("2027-07-01T00:00:00Z").get("expired"), Some(&Verdict::Disable));
    }

    #[test]
    fn a_review_is_asked_for_before_anything_follows() {
        let facts = Facts {
            review_every: "90d".parse().ok(),
            reviewed_or_created_on: "2026-01-01".parse().ok(),
            ..Facts::default()
        };
        let at = |text: &str| {
            standing(&facts, &Rules::default(), text.parse::<Timestamp>().unwrap().into())
                .get("review_overdue")
                .copied()
        };
        assert_eq!(at("2026-03-01T00:00:00Z"), None);
        assert_eq!(at("2026-04-02T00:00:00Z"), Some(Verdict::Warn));
        assert_eq!(at("2026-05-10T00:00:00Z"), Some(Verdict::Disable));
    }

    #[test]
    fn what_is_not_said_of_what_was_adopted_is_overdue_when_its_day_is_over() {
        let facts = Facts { adopted_until: "2026-12-15".parse().ok(), ..Facts::default() };
        let at = |text: &str| {
            let now = text.parse::<Timestamp>().unwrap();
            standing(&facts, &Rules::default(), now.into())
        };
        assert!(at("2026-12-15T23:59:59Z").is_empty());
        assert_eq!(at("2026-12-16T00:00:00Z").get("adoption_overdue"), Some(&Verdict::Warn));
    }

    #[test]
    fn a_hand_on_the_switch_does_not_end_a_quarantine() {
        let facts = Facts { quarantine_broken: true, ..Facts::default() };
        let all = standing(&facts, &Rules::default(), Timestamp::UNIX_EPOCH.into());
        assert_eq!(all.get("quarantine_broken"), Some(&Verdict::Disable));
    }

    #[test]
    fn what_has_no_workflow_left_is_switched_off_and_what_has_one_is_told() {
        let of = |workflows, gone: &[&str], any| {
            let gone = gone.iter().map(|name| (*name).to_owned()).collect();
            let around =
                Around { workflows, gone, ends_with_any_workflow: any, ..Around::default() };
            let facts = Facts { around, ..Facts::default() };
            let rules = Rules { expired: Verdict::Revoke, ..Rules::default() };
            let all = standing(&facts, &rules, Timestamp::UNIX_EPOCH.into());
            all.get("workflow_retired").copied()
        };
        assert_eq!(of(1, &[], false), None);
        assert_eq!(of(1, &["nightly"], false), Some(Verdict::Disable));
        assert_eq!(of(2, &["nightly"], false), Some(Verdict::Warn));
        assert_eq!(of(2, &["nightly"], true), Some(Verdict::Revoke), "any of them ends it");
    }

    #[test]
    fn a_condition_holds_where_it_is_named_and_what_is_not_known_meets_none() {
        use domain::LastUsed::{At, Unknown};
        let words = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        let now: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
        let long_ago = At("2026-01-01T00:00:00Z".parse().unwrap());
        let met = |named: &[&str], ends: &str, used: &[domain::LastUsed]| {
            let rules = Rules::default();
            conditions_met(&words(named), ends.parse().ok(), used, &rules, now.into())
        };
        assert_eq!(met(&["contract_ended"], "2026-05-30", &[]), ["contract_ended"]);
        assert_eq!(met(&["contract_ended"], "2026-06-01", &[]), [""; 0]);
        assert_eq!(met(&[], "2026-05-30", &[long_ago]), [""; 0]);
        assert_eq!(met(&["dormant"], "", &[long_ago, long_ago]), ["dormant"]);
        assert_eq!(met(&["dormant"], "", &[long_ago, Unknown]), [""; 0]);
        assert_eq!(met(&["dormant"], "", &[]), [""; 0], "nothing that could be used");
    }

    #[test]
    fn quarantine_outranks_and_revoked_outranks_disabled() {
        let none: [&Verdict; 0] = [];
        assert_eq!(wanted_state(true, true, false, none), "quarantined");
        assert_eq!(wanted_state(false, false, false, [&Verdict::Revoke]), "revoked");
        assert_eq!(wanted_state(false, true, true, none), "disabled");
        assert_eq!(wanted_state(false, true, false, [&Verdict::Warn]), "active");
    }
}
