//! Times in which nothing is changed, but what matters little enough and what takes power away.

use std::collections::BTreeSet;

use domain::{Now, Span};
use jiff::{Timestamp, tz::TimeZone};

use super::impact::Level;
use crate::schedule::{Window, openings};

/// A time in which nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// When it is.
    pub when: When,
    /// Why, in words that follow "frozen: ".
    pub reason: String,
    /// Changes of these levels are made all the same.
    pub but: BTreeSet<Level>,
}

/// When a freeze is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// From one moment until another.
    Once {
        /// From this moment on.
        from: Timestamp,
        /// Until before this one.
        until: Timestamp,
    },
    /// Each week anew.
    Weekly {
        /// On which days, from when on and how long.
        windows: Vec<Window>,
        /// By the clocks of which zone.
        timezone: TimeZone,
    },
}

/// A week: no window is longer, so that none which began earlier is still open.
const WEEK: u64 = 7 * 86_400;

impl Freeze {
    /// What contradicts itself in it, with the member at fault.
    pub fn faults(&self) -> Vec<(&'static str, &'static str)> {
        let mut faults = Vec::new();
        if self.reason.trim().is_empty() {
            faults.push(("reason", "must say something: it is what people are told"));
        }
        match &self.when {
            When::Once { from, until } if from >= until => {
                faults.push(("until", "must be after it begins"));
            }
            When::Weekly { windows, .. } => {
                let of = |what: fn(&Window) -> bool| windows.iter().any(what);
                if windows.is_empty() || of(|one| one.days.is_empty()) {
                    faults.push(("days", "must name a day at least"));
                }
                if of(|one| one.length == Span::ZERO || one.length.as_secs() > WEEK) {
                    faults.push(("length", "must be more than nothing and a week at most"));
                }
            }
            When::Once { .. } => {}
        }
        faults
    }

    /// Until when it holds, where it does by one clock at least.
    pub fn holds_until(&self, now: Now) -> Option<Timestamp> {
        let meets = |from: Timestamp, until: Timestamp| from <= now.hi && now.lo < until;
        match &self.when {
            When::Once { from, until } => meets(*from, *until).then_some(*until),
            When::Weekly { windows, timezone } => {
                // Where clocks are days apart it holds by one of them as soon as a window lies between.
                let apart = now.hi.duration_since(now.lo).as_hours() / 24;
                openings(windows, timezone, now.lo, -8, apart.clamp(0, 8) + 1)
                    .filter(|(from, until)| meets(*from, *until))
                    .map(|(_, until)| until)
                    .max()
            }
        }
    }
}

/// The freeze that keeps a change of this level from being made now, if there is one: of several the one
/// that holds longest.
pub fn frozen(all: &[Freeze], level: Level, now: Now) -> Option<(&Freeze, Timestamp)> {
    all.iter()
        .filter(|one| !one.but.contains(&level))
        .filter_map(|one| Some((one, one.holds_until(now)?)))
        .max_by_key(|(_, until)| *until)
}

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn once(from: &str, until: &str, but: &[Level]) -> Freeze {
        Freeze {
            when: When::Once { from: at(from), until: at(until) },
            reason: "the year ends".into(),
            but: but.iter().copied().collect(),
        }
    }

    fn weekend() -> Freeze {
        let window = Window {
            days: vec![Weekday::Friday],
            start: jiff::civil::time(16, 0, 0, 0),
            length: Span::from_secs(64 * 3600),
        };
        let timezone = TimeZone::get("Europe/Zurich").unwrap();
        let when = When::Weekly { windows: vec![window], timezone };
        Freeze { when, reason: "the weekend".into(), but: BTreeSet::new() }
    }

    #[test]
    fn it_is_frozen_as_soon_as_one_clock_says_so_and_until_all_say_it_is_over() {
        let all = [once("2027-12-20T00:00:00Z", "2028-01-03T00:00:00Z", &[])];
        let by = |lo: &str, hi: &str| {
            frozen(&all, Level::High, Now { lo: at(lo), hi: at(hi) }).map(|(_, until)| until)
        };
        let end = Some(at("2028-01-03T00:00:00Z"));
        assert_eq!(by("2027-12-19T23:58:00Z", "2027-12-19T23:59:59Z"), None);
        assert_eq!(by("2027-12-19T23:58:00Z", "2027-12-20T00:00:00Z"), end);
        assert_eq!(by("2028-01-02T23:59:59Z", "2028-01-03T00:01:00Z"), end);
        assert_eq!(by("2028-01-03T00:00:00Z", "2028-01-03T00:01:00Z"), None);
        // One clock is before it and the other behind it.
        assert_eq!(by("2027-12-01T00:00:00Z", "2028-02-01T00:00:00Z"), end);
    }

    #[test]
    fn what_matters_little_enough_is_made_all_the_same_and_of_several_the_longest_is_told() {
        let now = Now::from(at("2027-12-24T00:00:00Z"));
        let short = once("2027-12-24T00:00:00Z", "2027-12-25T00:00:00Z", &[]);
        let long = once("2027-12-20T00:00:00Z", "2028-01-03T00:00:00Z", &[Level::Low]);
        let all = [short.clone(), long.clone()];
        assert_eq!(frozen(&all, Level::High, now).unwrap().0, &long);
        assert_eq!(frozen(&all, Level::Low, now).unwrap().0, &short);
        assert!(frozen(&[long], Level::Low, now).is_none());
    }

    #[test]
    fn a_weekly_freeze_follows_the_clocks_of_its_zone() {
        let all = [weekend()];
        let is = |text: &str| frozen(&all, Level::Low, at(text).into()).is_some();
        // Zurich is an hour ahead of UTC in winter and two in summer.
        for (text, expected) in [
            ("2027-01-08T14:59:59Z", false),
            ("2027-01-08T15:00:00Z", true),
            ("2027-01-11T06:59:59Z", true),
            ("2027-01-11T07:00:00Z", false),
            ("2027-07-09T13:59:59Z", false),
            ("2027-07-09T14:00:00Z", true),
        ] {
            assert_eq!(is(text), expected, "{text}");
        }
        let apart = Now { lo: at("2027-01-12T00:00:00Z"), hi: at("2027-03-12T00:00:00Z") };
        assert!(frozen(&all, Level::Low, apart).is_some());
        let within = Now { lo: at("2027-01-11T08:00:00Z"), hi: at("2027-01-15T14:00:00Z") };
        assert!(frozen(&all, Level::Low, within).is_none());
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        assert_eq!(weekend().faults(), []);
        let named =
            |one: Freeze| one.faults().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let back = once("2028-01-03T00:00:00Z", "2027-12-20T00:00:00Z", &[]);
        assert_eq!(named(back.clone()), ["until"]);
        assert_eq!(named(Freeze { reason: " ".into(), ..weekend() }), ["reason"]);
        let of = |windows| Freeze {
            when: When::Weekly { windows, timezone: TimeZone::UTC },
            ..weekend()
        };
        assert_eq!(named(of(Vec::new())), ["days"]);
        let When::Weekly { windows, .. } = weekend().when else { unreachable!() };
        let long = Window { length: Span::from_secs(WEEK + 1), ..windows[0].clone() };
        assert_eq!(named(of(vec![long])), ["length"]);
    }
}
