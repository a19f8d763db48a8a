//! One credential by its times: when it was issued, when it ends, when it was used.

use domain::{LastUsed, Now};
use jiff::Timestamp;

use super::{
    Finding, credential_long_lived, credential_old, credential_without_end, dormant,
    schedule_missing,
};
use crate::Rules;

/// What is known of the current credential of a slot.
#[derive(Debug, Clone, Copy)]
pub struct Times<'a> {
    /// The slot's id.
    pub slot: &'a str,
    /// When its platform issued it.
    pub issued_at: Option<Timestamp>,
    /// When its platform ends it.
    pub expires_at: Option<Timestamp>,
    /// Its platform takes an end, and tells it: without one there is none.
    pub can_end: bool,
    /// When it was last used.
    pub last_used: LastUsed,
    /// It has a schedule.
    pub scheduled: bool,
}

/// Judges its times by the thresholds.
pub fn times(facts: &Times<'_>, rules: &Rules, now: Now) -> Vec<Finding> {
    let most = &rules.findings;
    let mut all = Vec::new();
    if let (Some(issued), Some(oldest)) = (facts.issued_at, most.credential_oldest) {
        all.extend(credential_old::judge(facts.slot, issued, oldest, now));
    }
    if let (Some(issued), Some(ends), Some(longest)) =
        (facts.issued_at, facts.expires_at, most.credential_longest)
    {
        all.extend(credential_long_lived::judge(facts.slot, (issued, ends), longest));
    }
    // What was issued is known, so its end would be.
    let seen = facts.issued_at.is_some();
    if most.credential_ends && seen && facts.can_end && facts.expires_at.is_none() {
        all.push(credential_without_end::judge(facts.slot));
    }
    if let Some(after) = most.dormant_after {
        all.extend(dormant::judge(facts.slot, facts.last_used, after, now));
    }
    if rules.require_schedule && !facts.scheduled {
        all.push(schedule_missing::judge(facts.slot));
    }
    all
}

#[cfg(test)]
pub(super) use tests::worst;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Thresholds;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn strict() -> Rules {
        let day = domain::Span::from_secs(86_400);
        Rules {
            require_schedule: true,
            findings: Thresholds {
                credential_oldest: Some(day),
                credential_longest: Some(day),
                credential_ends: true,
                dormant_after: Some(day),
                ..Thresholds::default()
            },
            ..Rules::default()
        }
    }

    fn facts() -> Times<'static> {
        Times {
            slot: "x/credential/default",
            issued_at: Some(at("2026-01-01T00:00:00Z")),
            expires_at: None,
            can_end: true,
            last_used: LastUsed::At(at("2026-01-01T00:00:00Z")),
            scheduled: false,
        }
    }

    fn now(text: &str) -> Now {
        at(text).into()
    }

    /// One thing wrong of each kind.
    pub(in super::super) fn worst() -> Vec<Finding> {
        let now = now("2026-06-01T00:00:00Z");
        let mut all = times(&facts(), &strict(), now);
        let ends = Some(at("2026-03-01T00:00:00Z"));
        all.extend(times(&Times { expires_at: ends, ..facts() }, &strict(), now));
        all
    }

    fn told(facts: &Times<'_>, rules: &Rules, day: &str) -> Vec<&'static str> {
        times(facts, rules, now(day)).into_iter().map(|one| one.rule).collect()
    }

    #[test]
    fn nothing_is_concluded_from_what_its_platform_does_not_tell() {
        let blind =
            Times { issued_at: None, last_used: LastUsed::Unknown, scheduled: true, ..facts() };
        assert!(told(&blind, &strict(), "2026-06-01T00:00:00Z").is_empty());
        let endless = Times { can_end: false, ..facts() };
        let all = told(&endless, &strict(), "2026-06-01T00:00:00Z");
        assert!(!all.contains(&"credential-without-end"), "{all:?}");
    }

    #[test]
    fn a_credential_is_old_when_its_day_is_over_and_not_on_it() {
        let young =
            Times { scheduled: true, expires_at: Some(at("2026-01-02T00:00:00Z")), ..facts() };
        assert!(told(&young, &strict(), "2026-01-01T23:59:59Z").is_empty());
        let all = told(&young, &strict(), "2026-01-02T00:00:00Z");
        assert_eq!(all, ["credential-old", "dormant"]);
    }

    #[test]
    fn without_a_word_of_the_policy_only_a_year_and_ninety_days_without_use_are_told() {
        let rules = Rules::default();
        assert!(told(&facts(), &rules, "2026-03-31T00:00:00Z").is_empty());
        assert_eq!(told(&facts(), &rules, "2026-05-01T00:00:00Z"), ["dormant"]);
        assert_eq!(told(&facts(), &rules, "2027-02-01T00:00:00Z"), ["credential-old", "dormant"]);
    }
}
