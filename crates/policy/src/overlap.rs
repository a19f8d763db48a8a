//! What becomes of an earlier credential when its overlap is over: it ends, unless somebody is seen to use
//! it still. Nobody is waited for for ever, and that nothing is known is no use.

use std::collections::BTreeMap;

use domain::{
    LastUsed, Span,
    realm::{digest_of, short},
};
use jiff::Timestamp;

use crate::{
    findings::Severity,
    schedule::{earlier, later},
};

/// What is known of the use of an earlier credential since its successor was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Nothing: what a platform does not tell is unknown, and never unused.
    Unknown,
    /// Nobody used it for long enough, by its platform's own account.
    Quiet,
    /// Its platform tells nothing, and the consumers of every place have said that they hold the next one.
    Replaced,
    /// Somebody did, then.
    Used(Timestamp),
}

/// What consumers have said: by place, the newest generation that they hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Confirmed(BTreeMap<String, u64>);

impl Confirmed {
    /// A place in as few characters as it takes to tell it from the others of its slot.
    fn brief(place: &str) -> String {
        short(&digest_of("nhi-confirmed/1", &[place]), 10)
    }

    /// Those who read a place have said that they hold a generation.
    pub fn say(&mut self, place: &str, generation: u64) {
        let known = self.0.entry(Confirmed::brief(place)).or_default();
        *known = generation.max(*known);
    }

    /// Whether they have said that of this generation, or of a later one.
    pub fn holds(&self, place: &str, generation: u64) -> bool {
        self.0.get(&Confirmed::brief(place)).is_some_and(|known| *known >= generation)
    }

    /// Nobody has said anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In one line: `<place, in brief>,<generation>;…`.
    pub fn text(&self) -> String {
        let all = self.0.iter().map(|(place, generation)| format!("{place},{generation}"));
        all.collect::<Vec<_>>().join(";")
    }

    /// Reads [`Confirmed::text`]; what is no such line is left out.
    pub fn from_text(text: &str) -> Confirmed {
        let one = |part: &str| {
            let (place, generation) = part.split_once(',')?;
            Some((place.to_owned(), generation.parse().ok()?))
        };
        Confirmed(text.split(';').filter_map(one).collect())
    }
}

/// What is known where consumers may have said something as well. Whoever is seen to use an earlier one is
/// waited for, whatever they say.
pub fn with_word(seen: Evidence, all_have_said: bool) -> Evidence {
    match seen {
        Evidence::Unknown if all_have_said => Evidence::Replaced,
        seen => seen,
    }
}

/// How long is waited for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Terms {
    /// How long an earlier one is kept.
    pub overlap: Span,
    /// How long it must be quiet to count as unused.
    pub quiet_for: Span,
    /// The longest that it is kept for whoever still uses it.
    pub longest: Span,
    /// What follows then: a person is asked, or it ends.
    pub asks: bool,
    /// How long consumers take to read what is delivered; `None` where nobody said.
    pub refresh: Option<Span>,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms::of(Span::ZERO, None, None, true)
    }
}

impl Terms {
    /// Those of an overlap, where policy does not say otherwise.
    pub fn of(overlap: Span, quiet_for: Option<Span>, longest: Option<Span>, asks: bool) -> Terms {
        let half = Span::from_secs(overlap.as_secs() / 2);
        let thrice = Span::from_secs(overlap.as_secs().saturating_mul(3));
        let week = Span::from_secs(7 * 86_400);
        Terms {
            overlap,
            quiet_for: quiet_for.unwrap_or(half.min(Span::from_secs(86_400))),
            longest: longest.unwrap_or(thrice.max(week)).max(overlap),
            asks,
            refresh: None,
        }
    }

    /// The same for consumers who take so long to read what is delivered.
    #[must_use]
    pub fn read_within(self, refresh: Option<Span>) -> Terms {
        Terms { refresh, ..self }
    }
}

/// How long after its overlap an earlier credential ends by its platform's own hand, where that can be told
/// of it: when everybody was waited for, and whoever ends it with proof had as long again as the overlap was,
/// a day at most. `watched`: how long it is only switched off first. `heard`: its platform tells of uses that
/// are waited for. `None` where a person is to be asked then: nobody knows when they answer.
pub fn limit(terms: &Terms, watched: Option<Span>, heard: bool) -> Option<Span> {
    if heard && terms.asks {
        return None;
    }
    let waited = if heard { terms.longest } else { terms.overlap };
    let waited = waited.max(terms.refresh.unwrap_or(Span::ZERO));
    let waited = waited.as_secs().saturating_sub(terms.overlap.as_secs());
    let spare = terms.overlap.min(Span::from_secs(86_400));
    let watched = watched.unwrap_or(Span::ZERO);
    Some(Span::from_secs(waited.saturating_add(watched.as_secs()).saturating_add(spare.as_secs())))
}

/// What becomes of an earlier credential now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its overlap is not over.
    Keep,
    /// It is, and somebody uses it: it is kept a while longer, and people are told.
    Wait(Severity),
    /// It was used until the longest was over: a person says when it may end.
    Ask,
    /// It ends.
    End,
}

/// What is known of the use since a successor was delivered. `lag`: the longest after which the platform
/// tells of a use, and by which it may date one late; `None` where what it tells is no evidence. Our own
/// sign-ins with it were before that delivery, or are dated no later than its lag.
pub fn evidence(
    last_used: LastUsed,
    promoted_at: Timestamp,
    lag: Option<Span>,
    quiet_for: Span,
    now: Timestamp,
) -> Evidence {
    let (Some(lag), LastUsed::At(at)) = (lag, last_used) else { return Evidence::Unknown };
    let counts_from = later(promoted_at, lag);
    let quiet_since = at.max(promoted_at);
    if now >= later(later(quiet_since, quiet_for), lag) {
        Evidence::Quiet
    } else if at > counts_from {
        Evidence::Used(at)
    } else {
        Evidence::Unknown
    }
}

/// Until when one that is used is kept, where its overlap is over at that time.
pub fn waited_until(not_before: Timestamp, terms: &Terms) -> Timestamp {
    later(earlier(not_before, terms.overlap), terms.longest).max(not_before)
}

/// Until when one of whose use nothing is known is kept beyond its overlap: consumers that were never seen
/// to use it may not have read its successor yet. `None` where it is not kept beyond it.
pub fn unread_until(
    not_before: Option<Timestamp>,
    evidence: Evidence,
    terms: &Terms,
) -> Option<Timestamp> {
    let refresh = terms.refresh.filter(|refresh| *refresh > terms.overlap)?;
    let read = later(earlier(not_before?, terms.overlap), refresh);
    (evidence == Evidence::Unknown).then_some(read)
}

/// The table. `not_before`: when its overlap is over; `None` where nobody is waited for, as of what is
/// exposed.
pub fn judge(
    now: Timestamp,
    not_before: Option<Timestamp>,
    evidence: Evidence,
    terms: &Terms,
) -> Verdict {
    let Some(not_before) = not_before else { return Verdict::End };
    if now < not_before {
        return Verdict::Keep;
    }
    let Evidence::Used(_) = evidence else { return Verdict::End };
    if now < waited_until(not_before, terms) {
        let late = now >= later(not_before, terms.overlap);
        Verdict::Wait(if late { Severity::High } else { Severity::Medium })
    } else if terms.asks {
        Verdict::Ask
    } else {
        Verdict::End
    }
}

/// What is known of the use of a slot's earlier credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    /// By the vendor's id; of what is not here nothing is known.
    pub of: BTreeMap<String, Evidence>,
    /// How long is waited for whom.
    pub terms: Terms,
}

impl Usage {
    /// What is known of the use of one of them.
    pub fn known(&self, key_id: &str) -> Evidence {
        self.of.get(key_id).copied().unwrap_or(Evidence::Unknown)
    }

    /// Until when it is kept beyond its overlap for consumers that nobody sees.
    pub fn unread_until(&self, key_id: &str, not_before: Option<Timestamp>) -> Option<Timestamp> {
        unread_until(not_before, self.known(key_id), &self.terms)
    }

    /// What becomes of one of them now.
    pub fn judge(&self, now: Timestamp, key_id: &str, not_before: Option<Timestamp>) -> Verdict {
        judge(now, not_before, self.known(key_id), &self.terms)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROMOTED: Timestamp = Timestamp::constant(1_795_500_000, 0);
    const HOUR: Span = Span::from_secs(3600);
    const DAY: Span = Span::from_secs(86_400);

    fn at(hours: u64) -> Timestamp {
        later(PROMOTED, Span::from_secs(hours * 3600))
    }

    #[test]
    fn a_word_of_consumers_counts_where_nothing_is_seen_and_for_nothing_where_something_is() {
        let terms = Terms::of(DAY, None, None, true).read_within(Some(Span::from_secs(3 * 86_400)));
        let over = Some(at(24));
        for seen in [Evidence::Unknown, Evidence::Quiet, Evidence::Used(at(20))] {
            assert_eq!(with_word(seen, false), seen);
        }
        assert_eq!(with_word(Evidence::Quiet, true), Evidence::Quiet);
        assert_eq!(with_word(Evidence::Used(at(20)), true), Evidence::Used(at(20)));
        let said = with_word(Evidence::Unknown, true);
        assert_eq!(said, Evidence::Replaced);
        assert_eq!(unread_until(over, Evidence::Unknown, &terms), Some(at(72)));
        assert_eq!(unread_until(over, said, &terms), None, "nobody is waited for");
        assert_eq!(judge(at(23), over, said, &terms), Verdict::Keep, "its overlap stands");
        assert_eq!(judge(at(24), over, said, &terms), Verdict::End);
    }

    #[test]
    fn what_consumers_said_is_of_a_place_and_a_generation_and_reads_as_it_was_written() {
        let mut all = Confirmed::default();
        assert!(all.is_empty() && Confirmed::from_text("") == all);
        all.say("bao:apps/a;,x", 3);
        all.say("bao:apps/a;,x", 2);
        all.say("bao:apps/b", 4);
        assert!(all.holds("bao:apps/a;,x", 3) && all.holds("bao:apps/a;,x", 2));
        assert!(!all.holds("bao:apps/a;,x", 4) && !all.holds("bao:apps/c", 1));
        assert_eq!(Confirmed::from_text(&all.text()), all);
        for odd in ["x", "x,", ",;", "x,y;"] {
            assert!(Confirmed::from_text(odd).is_empty(), "{odd}");
        }
    }

    #[test]
    fn the_table_holds_row_by_row() {
        let used = Evidence::Used(at(20));
        let terms = Terms::of(DAY, None, None, true);
        let cuts = Terms { asks: false, ..terms };
        let over = Some(at(24));
        for (now, evidence, terms, expected) in [
            (23, Evidence::Quiet, terms, Verdict::Keep),
            (23, Evidence::Unknown, terms, Verdict::Keep),
            (23, used, terms, Verdict::Keep),
            (24, Evidence::Quiet, terms, Verdict::End),
            (24, Evidence::Unknown, terms, Verdict::End),
            (24, used, terms, Verdict::Wait(Severity::Medium)),
            (48, used, terms, Verdict::Wait(Severity::High)),
            (7 * 24 - 1, used, cuts, Verdict::Wait(Severity::High)),
            (7 * 24, used, terms, Verdict::Ask),
            (7 * 24, used, cuts, Verdict::End),
            (7 * 24, Evidence::Unknown, terms, Verdict::End),
        ] {
            assert_eq!(judge(at(now), over, evidence, &terms), expected, "{now} {evidence:?}");
            assert_eq!(judge(at(now), None, evidence, &terms), Verdict::End, "exposed");
        }
    }

    #[test]
    fn a_platform_ends_it_by_itself_when_nobody_is_waited_for_any_more() {
        let of = |hours: u64| Terms::of(Span::from_secs(hours * 3600), None, None, false);
        assert_eq!(limit(&of(2), None, false), Some(DAY / 12));
        assert_eq!(
            limit(&of(48), Some(HOUR), false),
            Some(Span::from_secs(25 * 3600)),
            "a day is enough to come in"
        );
        assert_eq!(
            limit(&of(24), None, true),
            Some(Span::from_secs(7 * 86_400)),
            "a week, and a day"
        );
        let asks = Terms { asks: true, ..of(24) };
        assert_eq!(limit(&asks, None, true), None, "no platform answers for a person");
        assert_eq!(limit(&asks, None, false), limit(&of(24), None, false), "nobody is asked");
        for heard in [false, true] {
            let terms = of(24);
            let end = later(at(24), limit(&terms, Some(HOUR), heard).unwrap());
            let used = if heard { Evidence::Used(at(20)) } else { Evidence::Unknown };
            let then = judge(earlier(end, DAY / 12), Some(at(24)), used, &terms);
            assert_eq!(then, Verdict::End, "{heard}: somebody is waited for");
        }
    }

    #[test]
    fn what_is_not_told_is_unknown_and_a_use_before_the_delivery_is_none_after_it() {
        let told = |hours| LastUsed::At(at(hours));
        let known = |used, lag, now| evidence(used, PROMOTED, lag, DAY / 2, at(now));
        assert_eq!(known(LastUsed::Unknown, Some(HOUR), 1000), Evidence::Unknown);
        assert_eq!(known(told(3), None, 1000), Evidence::Unknown, "its word is no evidence");
        assert_eq!(known(told(1), Some(HOUR), 5), Evidence::Unknown, "it may be dated late");
        assert_eq!(known(told(2), Some(HOUR), 5), Evidence::Used(at(2)));
        assert_eq!(known(told(2), Some(HOUR), 14), Evidence::Used(at(2)), "the lag is not over");
        assert_eq!(known(told(2), Some(HOUR), 15), Evidence::Quiet);
        assert_eq!(known(told(0), Some(HOUR), 13), Evidence::Quiet);
        let before = LastUsed::At(earlier(PROMOTED, DAY));
        assert_eq!(known(before, Some(HOUR), 12), Evidence::Unknown, "not long enough");
        assert_eq!(known(before, Some(HOUR), 13), Evidence::Quiet);
    }

    #[test]
    fn one_of_whose_use_nothing_is_known_is_kept_until_its_consumers_have_read_the_next() {
        let known = |evidence| Usage {
            of: BTreeMap::from([("k".to_owned(), evidence)]),
            terms: Terms::of(DAY, None, None, true).read_within(Some(Span::from_secs(2 * 86_400))),
        };
        let over = Some(at(24));
        assert_eq!(known(Evidence::Unknown).unread_until("k", over), Some(at(48)));
        assert_eq!(known(Evidence::Unknown).unread_until("other", over), Some(at(48)));
        assert_eq!(known(Evidence::Quiet).unread_until("k", over), None, "it is not needed");
        assert_eq!(known(Evidence::Used(at(2))).unread_until("k", over), None, "it is waited for");
        assert_eq!(known(Evidence::Unknown).unread_until("k", None), None, "exposed");
        let usage = known(Evidence::Unknown);
        assert_eq!(
            limit(&usage.terms, None, false),
            Some(Span::from_secs(2 * 86_400)),
            "a day, and a day"
        );
        for refresh in [None, Some(HOUR), Some(DAY)] {
            let terms = usage.terms.read_within(refresh);
            assert_eq!(Usage { terms, ..usage.clone() }.unread_until("k", over), None);
        }
    }

    proptest! {
        #[test]
        fn nothing_ends_early_nobody_is_waited_for_for_ever_and_only_a_use_is_waited_for(
            overlap in 0u64..90, quiet in 0u64..90, longest in 0u64..400, asks: bool,
            lag in proptest::option::of(0u64..12), used in proptest::option::of(-50i64..500),
            now in 0u64..600,
        ) {
            let hours = |hours: u64| Span::from_secs(hours * 3600);
            let terms = Terms::of(hours(overlap), Some(hours(quiet)), Some(hours(longest)), asks);
            let last = used.map_or(LastUsed::Unknown, |hours| {
                LastUsed::At(PROMOTED + jiff::SignedDuration::from_hours(hours))
            });
            let lag = lag.map(hours);
            let known = evidence(last, PROMOTED, lag, terms.quiet_for, at(now));
            let not_before = later(PROMOTED, terms.overlap);
            let verdict = judge(at(now), Some(not_before), known, &terms);
            prop_assert_eq!(verdict == Verdict::Keep, at(now) < not_before);
            if matches!(verdict, Verdict::Wait(_) | Verdict::Ask) {
                prop_assert!(used.is_some_and(|hours| hours > 0) && lag.is_some());
            }
            let over = at(now) >= later(PROMOTED, terms.longest).max(not_before);
            prop_assert!(!(over && matches!(verdict, Verdict::Wait(_))), "waited for too long");
            prop_assert!(over || verdict != Verdict::Ask);
            prop_assert!(asks || verdict != Verdict::Ask);
            // Later it is never kept for less than an end.
            let next = judge(at(now + 1), Some(not_before), known, &terms);
            prop_assert!(verdict != Verdict::End || next == Verdict::End);
        }
    }
}
