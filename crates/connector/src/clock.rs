//! Time as an input: the only place where the machine's clock is read, and what other clocks say
//! beside it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::Now;
use jiff::{SignedDuration, Timestamp};

/// Where the present comes from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present by our own clock.
    fn now(&self) -> Timestamp;

    /// The present by all clocks that were seen in this run.
    fn time(&self) -> Now {
        self.now().into()
    }

    /// The present by the clock of one connection; by ours where it was not seen.
    fn time_of(&self, connection: &str) -> Now {
        let _ = connection;
        self.now().into()
    }

    /// A connection said what time it is there.
    fn saw(&self, connection: &str, said: Said) {
        let _ = (connection, said);
    }

    /// Something was written at that time by somebody's clock: it is not earlier now.
    fn saw_written(&self, at: Timestamp) {
        let _ = at;
    }

    /// How far clocks are ahead of ours (behind, where negative), by the words that people know them
    /// by. Those that agree with ours are not among them.
    fn apart(&self) -> Vec<(String, SignedDuration)> {
        Vec::new()
    }
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// What another clock said, and when by ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// By ours, when it was asked.
    pub asked: Timestamp,
    /// By ours, when the answer was there.
    pub answered: Timestamp,
    /// In between it was not earlier there.
    pub from: Timestamp,
    /// Nor later.
    pub until: Timestamp,
}

/// How far another clock is ahead of ours: between these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ahead(SignedDuration, SignedDuration);

impl Ahead {
    fn of(said: Said) -> Ahead {
        Ahead(said.from.duration_since(said.answered), said.until.duration_since(said.asked))
    }

    /// Each answer says a little more; where one contradicts, somebody set a clock meanwhile.
    fn and(self, newer: Ahead) -> Ahead {
        let both = Ahead(self.0.max(newer.0), self.1.min(newer.1));
        if both.0 <= both.1 { both } else { newer }
    }

    /// Both may be right: it tells a second, and an answer takes a while.
    fn may_agree(self) -> bool {
        !self.0.is_positive() && !self.1.is_negative()
    }

    /// What it adds to ours at most: nothing where both may be right.
    fn beyond(self) -> SignedDuration {
        match self {
            one if one.may_agree() => SignedDuration::ZERO,
            Ahead(from, until) if from.is_positive() => until,
            Ahead(from, _) => from,
        }
    }
}

#[derive(Debug, Default)]
struct Others {
    ahead: BTreeMap<String, Ahead>,
    /// The latest time that somebody wrote something at.
    written: Option<Timestamp>,
}

/// Our own clock with those that were seen beside it: platforms and sinks say the time with every
/// answer, and the ledger with every entry.
#[derive(Debug)]
pub struct Clocks {
    ours: Arc<dyn Clock>,
    others: Mutex<Others>,
}

impl Clocks {
    /// No other was seen yet.
    pub fn new(ours: Arc<dyn Clock>) -> Clocks {
        Clocks { ours, others: Mutex::default() }
    }

    fn others(&self) -> MutexGuard<'_, Others> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn moved(at: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(by).unwrap_or(end)
}

impl Clock for Clocks {
    fn now(&self) -> Timestamp {
        self.ours.now()
    }

    fn time(&self) -> Now {
        let now = self.now();
        let others = self.others();
        let times = others.ahead.values().map(|ahead| moved(now, ahead.beyond()));
        // It was not earlier when somebody wrote, and says nothing of how late it is.
        let times = times.chain(others.written.filter(|at| *at > now));
        times.fold(now.into(), |time: Now, at| Now { lo: time.lo.min(at), hi: time.hi.max(at) })
    }

    fn time_of(&self, connection: &str) -> Now {
        let now = self.now();
        match self.others().ahead.get(connection) {
            Some(ahead) if !ahead.may_agree() => {
                Now { lo: moved(now, ahead.0), hi: moved(now, ahead.1) }
            }
            _ => now.into(),
        }
    }

    fn saw(&self, connection: &str, said: Said) {
        let ahead = Ahead::of(said);
        let mut others = self.others();
        let known = others.ahead.get(connection).map_or(ahead, |known| known.and(ahead));
        others.ahead.insert(connection.to_owned(), known);
    }

    fn saw_written(&self, at: Timestamp) {
        let mut others = self.others();
        others.written = others.written.max(Some(at));
    }

    fn apart(&self) -> Vec<(String, SignedDuration)> {
        let now = self.now();
        let others = self.others();
        let clocks = others.ahead.iter().map(|(name, ahead)| (name.clone(), ahead.beyond()));
        let written = others.written.map(|at| at.duration_since(now));
        let written = written.filter(|ahead| ahead.is_positive());
        let written = written.map(|ahead| ("the ledger's newest entry".to_owned(), ahead));
        clocks.chain(written).filter(|(_, ahead)| !ahead.is_zero()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Still(Timestamp);

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    const NOW: Timestamp = Timestamp::constant(1_795_500_000, 0);

    fn at(seconds: i64) -> Timestamp {
        NOW + SignedDuration::from_secs(seconds)
    }

    fn said(seconds: i64) -> Said {
        Said { asked: NOW, answered: NOW, from: at(seconds), until: at(seconds + 1) }
    }

    fn clocks() -> Clocks {
        Clocks::new(Arc::new(Still(NOW)))
    }

    #[test]
    fn the_present_lies_between_the_earliest_clock_and_the_latest() {
        let clocks = clocks();
        assert_eq!(clocks.time(), NOW.into());
        clocks.saw("bao", said(-100));
        assert_eq!(clocks.time(), Now { lo: at(-100), hi: NOW });
        clocks.saw("aws", said(20));
        assert_eq!(clocks.time(), Now { lo: at(-100), hi: at(21) });
        clocks.saw_written(at(500));
        clocks.saw_written(at(40));
        assert_eq!(clocks.time(), Now { lo: at(-100), hi: at(500) });
        assert!(!clocks.time().agrees());
        assert_eq!(clocks.time_of("bao"), Now { lo: at(-100), hi: at(-99) });
        assert_eq!(clocks.time_of("file"), NOW.into());
    }

    #[test]
    fn a_clock_that_tells_whole_seconds_and_may_be_right_moves_nothing() {
        let clocks = clocks();
        // Said at the end of its second, and half a second on the way.
        clocks.saw("bao", Said { answered: at(1), ..said(0) });
        assert_eq!(clocks.time(), NOW.into());
        assert_eq!(clocks.apart(), []);
        clocks.saw_written(at(-1));
        assert_eq!((clocks.time(), clocks.apart().len()), (NOW.into(), 0));
    }

    #[test]
    fn a_slow_answer_says_less_and_takes_nothing_back() {
        let clocks = clocks();
        clocks.saw("bao", said(-100));
        clocks.saw("bao", Said { asked: at(-200), ..said(-100) });
        assert_eq!(clocks.time_of("bao"), Now { lo: at(-100), hi: at(-99) });
        // Somebody set it right.
        clocks.saw("bao", said(0));
        assert_eq!(clocks.time(), NOW.into());
    }
}
