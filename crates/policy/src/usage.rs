//! What logs tell of the use of credentials and scopes: since when, until when, and what was last used
//! when. What no log tells is unknown, and never unused.

use std::collections::BTreeMap;

use domain::{LastUsed, Span};
use jiff::Timestamp;

use crate::schedule::{earlier, later};

/// Two parts of a log that are farther apart have something between them that nobody has shown us.
const ADJACENT: Span = Span::from_secs(86_400);

/// A scope in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeUse {
    /// Since when its use would have been seen.
    pub since: Timestamp,
    /// When it was last used; `None` where it was not seen in use.
    pub last: Option<Timestamp>,
}

/// What one log tells of one integration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// It tells all from then on,
    pub from: Timestamp,
    /// until then.
    pub to: Timestamp,
    /// When each credential was last used, by the platform's id.
    pub keys: BTreeMap<String, Timestamp>,
    /// What was used of the scopes; empty where the log does not tell what was used.
    pub scopes: BTreeMap<String, ScopeUse>,
}

impl Log {
    /// Takes in another part of the same log. Where something between the two is missing, what was used
    /// then is not known: it tells all from the later part on.
    pub fn take(&mut self, other: &Log) {
        let follows = other.from <= later(self.to, ADJACENT);
        let precedes = later(other.to, ADJACENT) >= self.from;
        if follows && precedes {
            self.from = self.from.min(other.from);
            self.to = self.to.max(other.to);
        } else if other.from > self.to {
            (self.from, self.to) = (other.from, other.to);
            for one in self.scopes.values_mut() {
                one.since = one.since.max(other.from);
            }
        }
        for (key, at) in &other.keys {
            let last = self.keys.entry(key.clone()).or_insert(*at);
            *last = (*last).max(*at);
        }
        for (scope, of) in &other.scopes {
            let have = self.scopes.entry(scope.clone()).or_insert(*of);
            have.last = have.last.max(of.last);
        }
    }
}

/// What all logs tell of one integration, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// By the log's name.
    pub logs: BTreeMap<String, Log>,
}

impl Usage {
    /// When a credential was last seen in use.
    pub fn last_seen(&self, key_id: &str) -> Option<Timestamp> {
        self.logs.values().filter_map(|log| log.keys.get(key_id)).max().copied()
    }

    /// When a credential was last used: as its platform tells, or a log, whichever is later. Where the
    /// platform does not tell, a log does as far as it goes on long enough after that use.
    pub fn last_used(&self, key_id: &str, platform: LastUsed, after: Span) -> LastUsed {
        let seen = self.last_seen(key_id);
        match (platform, seen) {
            (LastUsed::At(at), seen) => LastUsed::At(seen.map_or(at, |seen| seen.max(at))),
            (unknown, None) => unknown,
            (unknown, Some(at)) => {
                let told = self.logs.values().any(|log| {
                    log.keys.contains_key(key_id) && later(at, after) <= log.to && log.from <= at
                });
                if told { LastUsed::At(at) } else { unknown }
            }
        }
    }

    /// Whether a scope was not used for so long; `None` where no log tells it. The end of a log counts,
    /// and not today: a log that ended long ago tells nothing of today.
    pub fn unused_for(&self, scope: &str, after: Span, now: Timestamp) -> Option<bool> {
        let mut known = None;
        for log in self.logs.values() {
            let Some(of) = log.scopes.get(scope) else { continue };
            let begins = earlier(log.to, after);
            if of.last.is_some_and(|last| last > begins) {
                return Some(false);
            }
            let covers = log.from <= begins && of.since <= begins && now <= later(log.to, after);
            if covers {
                known = Some(true);
            }
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Span = Span::from_secs(86_400);

    fn day(number: i64) -> Timestamp {
        Timestamp::from_second(1_795_500_000 + number * 86_400).unwrap()
    }

    fn log(from: i64, to: i64) -> Log {
        Log { from: day(from), to: day(to), keys: BTreeMap::new(), scopes: BTreeMap::new() }
    }

    fn usage(log: Log) -> Usage {
        Usage { logs: BTreeMap::from([("audit".to_owned(), log)]) }
    }

    fn of(since: i64, last: Option<i64>) -> BTreeMap<String, ScopeUse> {
        BTreeMap::from([("s".to_owned(), ScopeUse { since: day(since), last: last.map(day) })])
    }

    fn days(count: u64) -> Span {
        Span::from_secs(count * 86_400)
    }

    #[test]
    fn a_scope_is_unused_where_a_log_shows_all_of_that_time_and_it_is_not_in_it() {
        let unused = |scopes, from, to, now| {
            usage(Log { scopes, ..log(from, to) }).unused_for("s", days(30), day(now))
        };
        assert_eq!(unused(of(0, None), 0, 40, 41), Some(true));
        assert_eq!(unused(of(0, Some(5)), 0, 40, 41), Some(true), "long ago");
        assert_eq!(unused(of(0, Some(20)), 0, 40, 41), Some(false));
        assert_eq!(unused(of(0, None), 20, 40, 41), None, "the log is too short");
        assert_eq!(unused(of(20, None), 0, 40, 41), None, "it was not given for so long");
        assert_eq!(unused(of(0, None), 0, 40, 90), None, "the log ended long ago");
        assert_eq!(unused(BTreeMap::new(), 0, 40, 41), None, "a log that does not tell");
        assert_eq!(Usage::default().unused_for("s", days(30), day(41)), None);
    }

    #[test]
    fn parts_of_a_log_that_do_not_meet_prove_nothing_of_what_is_between() {
        let mut joined = Log { scopes: of(0, None), ..log(0, 20) };
        joined.take(&Log { scopes: of(20, None), ..log(20, 40) });
        assert_eq!((joined.from, joined.to), (day(0), day(40)));
        assert_eq!(usage(joined).unused_for("s", days(30), day(41)), Some(true));
        let mut torn = Log { scopes: of(0, None), ..log(0, 20) };
        torn.take(&Log { scopes: of(25, None), ..log(25, 45) });
        assert_eq!((torn.from, torn.to), (day(25), day(45)));
        assert_eq!(usage(torn.clone()).unused_for("s", days(30), day(46)), None);
        // An older part that comes late takes nothing away and, torn off, adds no time.
        torn.take(&Log { keys: BTreeMap::from([("k".into(), day(3))]), ..log(0, 10) });
        assert_eq!((torn.from, torn.keys["k"]), (day(25), day(3)));
    }

    #[test]
    fn the_later_of_two_uses_counts_and_a_log_that_ended_proves_no_silence() {
        let keys = |at| BTreeMap::from([("k".to_owned(), day(at))]);
        let known = usage(Log { keys: keys(10), ..log(0, 200) });
        let at = |number| LastUsed::At(day(number));
        assert_eq!(known.last_used("k", at(5), days(90)), at(10));
        assert_eq!(known.last_used("k", at(15), days(90)), at(15));
        assert_eq!(known.last_used("k", LastUsed::Unknown, days(90)), at(10));
        assert_eq!(known.last_used("other", LastUsed::Unknown, days(90)), LastUsed::Unknown);
        let ended = usage(Log { keys: keys(10), ..log(0, 11) });
        assert_eq!(ended.last_used("k", LastUsed::Unknown, days(90)), LastUsed::Unknown);
        assert_eq!(ended.last_seen("k"), Some(day(10)));
        assert_eq!(DAY, days(1));
    }
}
