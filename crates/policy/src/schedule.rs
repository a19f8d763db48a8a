//! When a credential is due, and when it may change: pure arithmetic, the same for everybody.
//!
//! `slot(k) = anchor + spread × H(credential id) + k × every`, with `k` running both ways. A late
//! rotation moves nothing, an early one counts, and no clock in another time zone changes it.

use domain::{Span, realm::slot_number};
use jiff::{
    SignedDuration, Timestamp,
    civil::{Time, Weekday},
    tz::TimeZone,
};

/// When credentials change.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// How often.
    pub every: Span,
    /// Where counting begins.
    pub anchor: Timestamp,
    /// How far credentials are spread out.
    pub spread: Span,
    /// How old a credential must be at least.
    pub min_age: Span,
    /// How long the old one keeps working.
    pub overlap: Span,
    /// How long after it fell due it is overdue.
    pub overdue_after: Span,
    /// How long a credential may live.
    pub lifetime: Lifetime,
    /// When rotations are allowed; empty is always.
    pub windows: Vec<Window>,
    /// The zone of windows.
    pub timezone: TimeZone,
    /// When they are not, whatever the windows say.
    pub blackout: Vec<Blackout>,
    /// A due credential does not wait for a window.
    pub rotates_outside: bool,
}

/// How long a credential may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Long enough that only a schedule that nobody carries out lets it end.
    Derived,
    /// Without an end.
    Endless,
    /// This long.
    Fixed(Span),
}

/// A time of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The days on which it begins.
    pub days: Vec<Weekday>,
    /// When it begins.
    pub start: Time,
    /// How long it lasts.
    pub length: Span,
}

/// A time in which nothing rotates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blackout {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// A schedule as people write it: every member a text, absent where nobody said. What a resource, a
/// state and the ledger hold, and the one reading of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// How often, such as `30d`.
    pub every: String,
    /// The moment that times are counted from.
    pub anchor: Option<String>,
    /// How far credentials are spread out.
    pub spread: Option<String>,
    /// How old a credential must be at least.
    pub min_age: Option<String>,
    /// How long the old one keeps working.
    pub overlap: Option<String>,
    /// How long after it fell due it is overdue.
    pub overdue_after: Option<String>,
    /// How long a credential may live, or `none`.
    pub lifetime: Option<String>,
    /// When rotations are allowed: days (`mon` to `sun`), start (`HH:MM`), length.
    pub windows: Vec<(Vec<String>, String, String)>,
    /// The time zone of windows.
    pub timezone: Option<String>,
    /// When they are not: from, until, why.
    pub blackout: Vec<(String, String, String)>,
    /// `wait` or `rotate`.
    pub outside_window: Option<String>,
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// The day of a word, `mon` to `sun`.
pub fn weekday(word: &str) -> Option<Weekday> {
    DAYS.into_iter().find(|(known, _)| *known == word).map(|(_, day)| day)
}

impl Written {
    /// What it says; `None` where a member is outside its form.
    pub fn read(&self) -> Option<Schedule> {
        let span = |text: &Option<String>, usual: Span| match text {
            None => Some(usual),
            Some(text) => text.parse::<Span>().ok(),
        };
        let every = self.every.parse::<Span>().ok().filter(|every| *every > Span::ZERO)?;
        let usual = Schedule::every(&self.name, every);
        Some(Schedule {
            anchor: match &self.anchor {
                None => usual.anchor,
                Some(text) => text.parse().ok()?,
            },
            spread: span(&self.spread, usual.spread)?,
            min_age: span(&self.min_age, usual.min_age)?,
            overlap: span(&self.overlap, usual.overlap)?,
            overdue_after: span(&self.overdue_after, usual.overdue_after)?,
            lifetime: match self.lifetime.as_deref() {
                None => Lifetime::Derived,
                Some("none") => Lifetime::Endless,
                Some(text) => Lifetime::Fixed(text.parse().ok()?),
            },
            windows: self
                .windows
                .iter()
                .map(|(days, start, length)| {
                    let days = days.iter().map(|day| weekday(day)).collect::<Option<_>>()?;
                    Some(Window { days, start: start.parse().ok()?, length: length.parse().ok()? })
                })
                .collect::<Option<_>>()?,
            timezone: match &self.timezone {
                None => TimeZone::UTC,
                Some(name) => TimeZone::get(name).ok()?,
            },
            blackout: self
                .blackout
                .iter()
                .map(|(from, until, reason)| {
                    let reason = reason.clone();
                    Some(Blackout { from: from.parse().ok()?, until: until.parse().ok()?, reason })
                })
                .collect::<Option<_>>()?,
            rotates_outside: self.outside_window.as_deref() == Some("rotate"),
            ..usual
        })
    }
}

impl Schedule {
    /// The same as people would write it, every member said.
    pub fn written(&self) -> Written {
        let day = |day: &Weekday| {
            DAYS.iter().find(|(_, known)| known == day).map_or("mon", |(word, _)| *word).to_owned()
        };
        Written {
            name: self.name.clone(),
            every: self.every.to_string(),
            anchor: Some(self.anchor.to_string()),
            spread: Some(self.spread.to_string()),
            min_age: Some(self.min_age.to_string()),
            overlap: Some(self.overlap.to_string()),
            overdue_after: Some(self.overdue_after.to_string()),
            lifetime: match self.lifetime {
                Lifetime::Derived => None,
                Lifetime::Endless => Some("none".to_owned()),
                Lifetime::Fixed(lifetime) => Some(lifetime.to_string()),
            },
            windows: self
                .windows
                .iter()
                .map(|one| {
                    let start = one.start.to_string();
                    (one.days.iter().map(day).collect(), start, one.length.to_string())
                })
                .collect(),
            timezone: self.timezone.iana_name().map(str::to_owned),
            blackout: self
                .blackout
                .iter()
                .map(|one| (one.from.to_string(), one.until.to_string(), one.reason.clone()))
                .collect(),
            outside_window: self.rotates_outside.then(|| "rotate".to_owned()),
        }
    }
}

/// How a credential stands against its schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Not due before this.
    NotYet(Timestamp),
    /// Due, and must wait; until then, where that can be told.
    Waiting(Option<Timestamp>),
    /// Due, and may rotate.
    Due,
    /// Too late to wait for a window.
    Overdue,
}

/// Adds a span, or stays at the end of time.
pub fn later(at: Timestamp, by: Span) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(by.as_signed_secs())).unwrap_or(Timestamp::MAX)
}

/// Takes a span away, or stays at the beginning of time.
pub fn earlier(at: Timestamp, by: Span) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(by.as_signed_secs())).unwrap_or(Timestamp::MIN)
}

impl Schedule {
    /// A schedule with defaults for all but its interval.
    pub fn every(name: &str, every: Span) -> Schedule {
        Schedule {
            name: name.to_owned(),
            every,
            anchor: Timestamp::constant(1_767_225_600, 0),
            spread: Span::ZERO,
            min_age: every / 4,
            overlap: Span::from_secs(86_400),
            overdue_after: every / 4,
            lifetime: Lifetime::Derived,
            windows: Vec::new(),
            timezone: TimeZone::UTC,
            blackout: Vec::new(),
            rotates_outside: false,
        }
    }

    /// What contradicts itself in it, with the attribute at fault.
    pub fn faults(&self, floor: Span) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut say = |bad: bool, name, text: String| {
            if bad {
                faults.push((name, text));
            }
        };
        say(self.every < floor, "every", format!("must be at least {floor}"));
        say(self.spread >= self.every, "spread", format!("must be below every ({})", self.every));
        say(self.min_age >= self.every, "min_age", format!("must be below every ({})", self.every));
        let room = Span::from_secs(self.every.as_secs().saturating_sub(self.spread.as_secs()));
        say(self.overlap >= room, "overlap", format!("must be below every minus spread ({room})"));
        if let Lifetime::Fixed(lifetime) = self.lifetime {
            let least = self.every + self.min_age + self.overlap;
            say(
                lifetime <= least,
                "lifetime",
                format!("must be above every + min_age + overlap ({least}), or \"none\""),
            );
        }
        say(self.blackout.len() > 16, "blackout", "at most 16".into());
        say(
            self.blackout.iter().any(|one| one.from >= one.until),
            "blackout",
            "each must end after it begins".into(),
        );
        let shortest = floor.min(Span::from_secs(900));
        say(
            self.windows.iter().any(|one| one.length < shortest),
            "windows",
            format!("each must last at least {shortest}"),
        );
        say(
            self.windows.iter().any(|one| one.length > Span::from_secs(7 * 86_400)),
            "windows",
            "none may last longer than a week".into(),
        );
        faults
    }

    /// The first moment at which a credential of this age is due.
    pub fn first_due(&self, credential_id: &str, issued_at: Timestamp) -> Timestamp {
        let every = i128::from(self.every.as_secs().max(1));
        let offset =
            (u128::from(self.spread.as_secs()) * u128::from(slot_number(credential_id))) >> 64;
        let base = i128::from(self.anchor.as_second()) + i128::try_from(offset).unwrap_or(0);
        let least = i128::from(later(issued_at, self.min_age).as_second());
        // The smallest k with base + k × every ≥ least; k may be negative.
        let k =
            (least - base).div_euclid(every) + i128::from((least - base).rem_euclid(every) != 0);
        i64::try_from(base + k * every)
            .ok()
            .and_then(|second| Timestamp::from_second(second).ok())
            .unwrap_or(Timestamp::MAX)
    }

    /// The end of a credential, where a rotation would put it off. What ends with its integration ends
    /// then, whoever rotates it.
    pub fn put_off(
        expires_at: Option<Timestamp>,
        integration_ends: Option<Timestamp>,
    ) -> Option<Timestamp> {
        // Platforms count in seconds from when they were asked.
        let minute = Span::from_secs(60);
        expires_at.filter(|end| integration_ends.is_none_or(|last| later(*end, minute) < last))
    }

    /// When a credential that is due can no longer wait. `expires_at`: an end that a rotation puts off,
    /// see [`Schedule::put_off`].
    pub fn overdue_at(
        &self,
        credential_id: &str,
        issued_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Timestamp {
        let late = later(self.first_due(credential_id, issued_at), self.overdue_after);
        expires_at.map_or(late, |end| late.min(earlier(end, self.overlap)))
    }

    /// How a credential stands now. `expires_at` as for [`Schedule::overdue_at`].
    pub fn due(
        &self,
        credential_id: &str,
        issued_at: Timestamp,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Due {
        let first = self.first_due(credential_id, issued_at);
        let overdue = now >= self.overdue_at(credential_id, issued_at, expires_at);
        if now < first && !overdue {
            Due::NotYet(first)
        } else if overdue {
            // Too late for windows; a blackout is meant for everything.
            if self.in_blackout(now) { Due::Waiting(self.blackout_ends(now)) } else { Due::Overdue }
        } else if self.may_rotate(now) {
            Due::Due
        } else {
            Due::Waiting(self.next_opening(now))
        }
    }

    /// The first moment at which a plan proposes to rotate it; none where blackouts leave none within
    /// five weeks.
    pub fn next_rotation(
        &self,
        credential_id: &str,
        issued_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let first = self.first_due(credential_id, issued_at);
        let overdue = self.overdue_at(credential_id, issued_at, expires_at);
        let moments = [first, overdue]
            .into_iter()
            .flat_map(|at| [Some(at), self.next_opening(at), self.blackout_ends(at)]);
        let due = |at: &Timestamp| {
            matches!(self.due(credential_id, issued_at, expires_at, *at), Due::Due | Due::Overdue)
        };
        moments.flatten().filter(due).min()
    }

    /// Whether a due credential may rotate now.
    pub fn may_rotate(&self, now: Timestamp) -> bool {
        !self.in_blackout(now) && (self.rotates_outside || self.in_window(now))
    }

    /// Whether a blackout holds.
    pub fn in_blackout(&self, now: Timestamp) -> bool {
        self.blackout_at(now).is_some()
    }

    /// The blackout that holds.
    pub fn blackout_at(&self, now: Timestamp) -> Option<&Blackout> {
        self.blackout.iter().find(|one| one.from <= now && now < one.until)
    }

    /// When no blackout holds any more.
    fn blackout_ends(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.blackout.iter().map(|one| one.until);
        ends.filter(|end| *end > now && !self.in_blackout(*end)).min()
    }

    fn in_window(&self, now: Timestamp) -> bool {
        self.windows.is_empty()
            || self.openings(now, -8, 1).any(|(from, until)| from <= now && now < until)
    }

    /// The next moment at which it may rotate, if there is one within five weeks.
    pub fn next_opening(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.blackout.iter().map(|one| one.until);
        let mut candidates: Vec<Timestamp> = self
            .openings(now, 0, 36)
            .map(|(from, _)| from)
            .chain(ends)
            .filter(|at| *at > now)
            .collect();
        candidates.sort();
        candidates.into_iter().find(|at| self.may_rotate(*at))
    }

    /// Windows that begin on days around now, as intervals.
    fn openings(
        &self,
        now: Timestamp,
        first_day: i64,
        last_day: i64,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        openings(&self.windows, &self.timezone, now, first_day, last_day)
    }

    /// When a credential issued now should end by itself, if the platform can do that.
    pub fn expiry(
        &self,
        issued_at: Timestamp,
        integration_ends: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let own = match self.lifetime {
            Lifetime::Endless => None,
            Lifetime::Fixed(lifetime) => Some(later(issued_at, lifetime)),
            Lifetime::Derived => Some(later(
                issued_at,
                self.every + self.min_age + self.overdue_after + self.overlap,
            )),
        };
        match (own, integration_ends) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, None) | (None, one) => one,
        }
    }
}

/// Windows that begin on days around now by the clocks of a zone, as intervals.
pub(crate) fn openings(
    windows: &[Window],
    timezone: &TimeZone,
    now: Timestamp,
    first_day: i64,
    last_day: i64,
) -> impl Iterator<Item = (Timestamp, Timestamp)> {
    let today = now.to_zoned_datetime(timezone.clone()).date();
    (first_day..=last_day).flat_map(move |day| {
        let date = today.checked_add(jiff::Span::new().days(day)).ok();
        windows.iter().filter_map(move |window| {
            let date = date?;
            if !window.days.contains(&date.weekday()) {
                return None;
            }
            // A start that a clock change skips begins when the clock has moved on.
            let from = date
                .to_datetime(window.start)
                .to_zoned_datetime(timezone.clone())
                .ok()?
                .timestamp();
            Some((from, later(from, window.length)))
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "bao/openbao_approle/invoice-sync/credential/default";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn monthly() -> Schedule {
        Schedule::every("monthly", Span::from_secs(30 * 86_400))
    }

    #[test]
    fn a_window_says_when_and_the_schedule_says_that() {
        let zurich = Schedule {
            windows: vec![Window {
                days: vec![Weekday::Saturday],
                start: jiff::civil::time(2, 0, 0, 0),
                length: Span::from_secs(4 * 3600),
            }],
            timezone: TimeZone::get("Europe/Zurich").unwrap(),
            ..monthly()
        };
        // Saturday 02:30 in Zurich, in winter.
        assert!(zurich.may_rotate(at("2026-11-21T01:30:00Z")));
        assert!(!zurich.may_rotate(at("2026-11-21T06:12:00Z")));
        assert_eq!(
            zurich.next_opening(at("2026-11-21T06:12:00Z")),
            Some(at("2026-11-28T01:00:00Z"))
        );
    }

    #[test]
    fn what_ends_with_its_integration_is_not_rotated_for_its_end() {
        let (issued, last) = (at("2026-11-20T00:00:00Z"), at("2026-12-01T00:00:00Z"));
        let schedule = Schedule { overlap: Span::from_secs(2 * 86_400), ..monthly() };
        let stands = |end: Timestamp, integration_ends| {
            let end = Schedule::put_off(Some(end), integration_ends);
            schedule.due(ID, issued, end, at("2026-11-30T12:00:00Z"))
        };
        for end in [last, earlier(last, Span::from_secs(1)), later(last, Span::from_secs(1))] {
            assert!(matches!(stands(end, Some(last)), Due::NotYet(_)), "{end}");
            // A successor would live longer.
            assert_eq!(stands(end, Some(later(last, Span::from_secs(7 * 86_400)))), Due::Overdue);
            assert_eq!(stands(end, None), Due::Overdue);
        }
    }

    #[test]
    fn a_blackout_outranks_a_window() {
        let (from, until) = (at("2026-12-20T00:00:00Z"), at("2027-01-04T00:00:00Z"));
        let frozen = Schedule {
            blackout: vec![Blackout { from, until, reason: "freeze".into() }],
            ..monthly()
        };
        assert!(!frozen.may_rotate(at("2026-12-24T00:00:00Z")));
        assert_eq!(frozen.next_opening(at("2026-12-24T00:00:00Z")), Some(until));
    }

    #[test]
    fn a_blackout_holds_what_is_overdue_until_the_last_of_them_ends() {
        let one = |from: &str, until: &str| Blackout {
            from: at(from),
            until: at(until),
            reason: "freeze".into(),
        };
        let frozen = Schedule {
            blackout: vec![
                one("2026-12-20T00:00:00Z", "2026-12-27T00:00:00Z"),
                one("2026-12-26T00:00:00Z", "2027-01-04T00:00:00Z"),
            ],
            ..monthly()
        };
        let stands = |now: &str| frozen.due(ID, at("2026-01-01T00:00:00Z"), None, at(now));
        assert_eq!(stands("2026-12-19T23:59:59Z"), Due::Overdue);
        let end = Some(at("2027-01-04T00:00:00Z"));
        assert_eq!(stands("2026-12-21T00:00:00Z"), Due::Waiting(end));
        assert_eq!(stands("2027-01-04T00:00:00Z"), Due::Overdue);
    }

    #[test]
    fn contradictions_are_named_with_their_attribute() {
        let wrong = Schedule { overlap: Span::from_secs(40 * 86_400), ..monthly() };
        let faults = wrong.faults(Span::from_secs(900));
        assert_eq!(faults.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["overlap"]);
        assert!(monthly().faults(Span::from_secs(900)).is_empty());
    }

    #[test]
    fn a_fresh_credential_is_not_rotated_the_day_after() {
        // Issued just before a slot: too young for it.
        let schedule = monthly();
        let slot = schedule.first_due(ID, at("2026-06-01T00:00:00Z"));
        let issued = earlier(slot, Span::from_secs(60));
        assert!(schedule.first_due(ID, issued) >= later(issued, schedule.min_age));
    }

    proptest! {
        #[test]
        fn what_is_written_down_reads_back(
            every in 1u64..10_000_000, spread in 0u64..9_000_000, anchor in -4_000_000_000i64..4_000_000_000,
            day in 0usize..7, minute in 0i8..60, outside: bool, lifetime in proptest::option::of(1u64..90_000_000)
        ) {
            let schedule = Schedule {
                spread: Span::from_secs(spread),
                anchor: Timestamp::from_second(anchor).unwrap(),
                windows: vec![Window {
                    days: vec![DAYS[day].1],
                    start: jiff::civil::time(2, minute, 0, 0),
                    length: Span::from_secs(every),
                }],
                timezone: TimeZone::get("Europe/Zurich").unwrap(),
                blackout: vec![Blackout {
                    from: Timestamp::from_second(anchor).unwrap(),
                    until: Timestamp::MAX,
                    reason: "freeze".into(),
                }],
                rotates_outside: outside,
                lifetime: lifetime.map_or(Lifetime::Derived, |one| Lifetime::Fixed(Span::from_secs(one))),
                ..Schedule::every("x", Span::from_secs(every))
            };
            prop_assert_eq!(schedule.written().read(), Some(schedule));
        }

        #[test]
        fn being_late_moves_nothing(every in 900u64..10_000_000, late in 0u64..5_000_000, issued in 0i64..4_000_000_000) {
            let schedule = Schedule::every("x", Span::from_secs(every));
            let issued = Timestamp::from_second(issued).unwrap();
            let first = schedule.first_due(ID, issued);
            // Rotated late, but within the same interval: the next slot is on the same grid.
            let again = later(first, Span::from_secs(late));
            let next = schedule.first_due(ID, again);
            prop_assert_eq!((next.as_second() - first.as_second()).rem_euclid(every as i64), 0);
        }

        #[test]
        fn a_rotation_just_done_is_never_due(every in 900u64..10_000_000, spread in 0u64..800, now in 0i64..4_000_000_000) {
            let schedule = Schedule { spread: Span::from_secs(spread), ..Schedule::every("x", Span::from_secs(every)) };
            let now = Timestamp::from_second(now).unwrap();
            prop_assert!(matches!(schedule.due(ID, now, None, now), Due::NotYet(_)));
        }

        #[test]
        fn nothing_is_proposed_before_the_next_rotation_and_it_is_then(
            day in 0usize..7, hour in 0i8..24, length in 900u64..400_000, spread in 0u64..2_000_000,
            frozen in 0i64..4_000_000, for_days in 1i64..20, ends in proptest::option::of(0i64..9_000_000),
            sooner in 0.0..1.0
        ) {
            let issued = at("2026-06-01T00:00:00Z");
            let from = Timestamp::from_second(issued.as_second() + frozen).unwrap();
            let schedule = Schedule {
                spread: Span::from_secs(spread),
                windows: vec![Window {
                    days: vec![DAYS[day].1],
                    start: jiff::civil::time(hour, 0, 0, 0),
                    length: Span::from_secs(length),
                }],
                timezone: TimeZone::get("Europe/Zurich").unwrap(),
                blackout: vec![Blackout {
                    from,
                    until: later(from, Span::from_secs(for_days as u64 * 86_400)),
                    reason: "freeze".into(),
                }],
                ..monthly()
            };
            let ends = ends.map(|after| Timestamp::from_second(issued.as_second() + after).unwrap());
            let proposed = |now| matches!(schedule.due(ID, issued, ends, now), Due::Due | Due::Overdue);
            let next = schedule.next_rotation(ID, issued, ends).unwrap();
            prop_assert!(proposed(next), "{next}");
            let life = (next.as_second() - issued.as_second()).max(0) as f64;
            let before = Timestamp::from_second(issued.as_second() + (life * sooner) as i64).unwrap();
            prop_assert!(before >= next || !proposed(before), "{before} is before {next}");
        }

        #[test]
        fn an_anchor_in_the_future_is_no_reason_to_rotate_without_end(anchor in 0i64..8_000_000_000, now in 0i64..4_000_000_000) {
            let schedule = Schedule { anchor: Timestamp::from_second(anchor).unwrap(), ..monthly() };
            let now = Timestamp::from_second(now).unwrap();
            let first = schedule.first_due(ID, now);
            let most = later(later(now, schedule.every), schedule.min_age);
            prop_assert!(first <= most && first >= now);
        }
    }
}
