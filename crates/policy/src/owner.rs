//! Whether an owner is still there.

use domain::Now;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{Rules, rules::Verdict, schedule::later};

/// What a directory says of an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// There, perhaps disabled.
    There {
        /// The account is active.
        active: bool,
        /// Its department, where the directory tells.
        department: Option<String>,
        /// When the entry last changed.
        changed_at: Option<Timestamp>,
    },
    /// Proven gone.
    Gone,
}

/// The status word, and the day since when they are inactive.
pub fn status(
    seen: &Seen,
    department: Option<&str>,
    known_since: Option<Date>,
    rules: &Rules,
    now: Now,
) -> (&'static str, Option<Date>) {
    let day = |at: Timestamp| at.to_zoned_datetime(TimeZone::UTC).date();
    let since = match seen {
        Seen::There { active: true, department: theirs, .. } => {
            let moved = department.is_some_and(|ours| {
                theirs.as_deref().is_some_and(|theirs| !theirs.eq_ignore_ascii_case(ours))
            });
            return (if moved { "moved" } else { "active" }, None);
        }
        Seen::There { changed_at, .. } => changed_at.map(day).or(known_since),
        Seen::Gone => known_since,
    };
    // Without a date from the directory the grace counts from when it was first seen, which the
    // state remembers; never from "now" again and again.
    let since = since.unwrap_or_else(|| day(now.hi));
    let began = since.to_zoned_datetime(TimeZone::UTC).map_or(now.hi, |at| at.timestamp());
    let over = now.is_past(later(began, rules.owner_grace));
    let left = over && rules.owner_left > Verdict::Warn;
    (if left { "left" } else { "inactive" }, Some(since))
}

/// The day from which on an owner who is inactive since `since` counts as left; `None` where the
/// policy has nothing follow.
pub fn leaves_on(since: Date, rules: &Rules) -> Option<Date> {
    let began = since.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp();
    let left = later(began, rules.owner_grace).to_zoned_datetime(TimeZone::UTC).date();
    (rules.owner_left > Verdict::Warn).then_some(left)
}

/// What follows where nobody who lives answers for something since then: what an owner who has left has
/// follow, and after a while everything is revoked.
pub fn ownerless(since: Timestamp, rules: &Rules, now: Now) -> Verdict {
    let revoked = rules.owner_left_revoke_after.map(|after| later(since, after));
    match revoked.is_some_and(|at| now.is_past(at)) && rules.owner_left > Verdict::Warn {
        true => Verdict::Revoke,
        false => rules.owner_left,
    }
}

/// The moment from which on an owner who is inactive since that day counts as left.
pub fn left_at(since: Date, rules: &Rules) -> Option<Timestamp> {
    let began = since.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp();
    Some(later(began, rules.owner_grace))
}

/// What follows of something that nobody declares, and for which nobody answers, seen first then: nothing
/// within its grace.
pub fn unowned(first_seen: Timestamp, rules: &Rules, now: Now) -> Option<Verdict> {
    let over = later(first_seen, rules.unowned_grace?);
    now.is_past(over).then(|| ownerless(over, rules, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(since: &str, now: &str, rules: &Rules) -> &'static str {
        let since = since.parse().ok();
        status(&Seen::Gone, None, since, rules, now.parse::<Timestamp>().unwrap().into()).0
    }

    #[test]
    fn an_owner_who_is_gone_has_left_only_after_the_grace_and_if_the_policy_acts() {
        let rules = Rules::default();
        assert_eq!(gone("2026-11-01", "2026-11-20T00:00:00Z", &rules), "inactive");
        assert_eq!(gone("2026-11-01", "2026-12-01T00:00:00Z", &rules), "left");
        let since = "2026-11-01".parse().unwrap();
        assert_eq!(leaves_on(since, &rules), "2026-12-01".parse().ok());
        let lenient = Rules { owner_left: Verdict::Warn, ..rules };
        assert_eq!(leaves_on(since, &lenient), None);
        assert_eq!(gone("2026-11-01", "2026-12-01T00:00:00Z", &lenient), "inactive");
    }

    #[test]
    fn what_nobody_answers_for_is_switched_off_after_its_grace_and_revoked_later() {
        let rules = Rules {
            unowned_grace: "30d".parse().ok(),
            owner_left_revoke_after: "14d".parse().ok(),
            ..Rules::default()
        };
        let seen: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let at = |now: &str, rules: &Rules| {
            unowned(seen, rules, now.parse::<Timestamp>().unwrap().into())
        };
        assert_eq!(at("2026-11-30T23:59:59Z", &rules), None);
        assert_eq!(at("2026-12-01T00:00:00Z", &rules), Some(Verdict::Disable));
        assert_eq!(at("2026-12-15T00:00:00Z", &rules), Some(Verdict::Revoke));
        assert_eq!(at("2030-01-01T00:00:00Z", &Rules::default()), None, "nobody asked for it");
        let lenient = Rules { owner_left: Verdict::Warn, ..rules };
        assert_eq!(at("2030-01-01T00:00:00Z", &lenient), Some(Verdict::Warn));
    }

    #[test]
    fn another_department_is_moved() {
        let seen = Seen::There { active: true, department: Some("Sales".into()), changed_at: None };
        let rules = Rules::default();
        let now = Timestamp::UNIX_EPOCH.into();
        assert_eq!(status(&seen, Some("Payments"), None, &rules, now).0, "moved");
        assert_eq!(status(&seen, Some("sales"), None, &rules, now).0, "active");
        assert_eq!(status(&seen, None, None, &rules, now).0, "active");
    }
}
