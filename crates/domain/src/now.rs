//! The present as several clocks tell it: never one moment, but between two.

use jiff::{SignedDuration, Timestamp};

/// The present lies between these.
///
/// What ends something waits for the earlier one, what begins something that is due for the later: so
/// a clock that is wrong ends nothing too early, and leaves nothing undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Now {
    /// It is not before this.
    pub lo: Timestamp,
    /// Nor after this.
    pub hi: Timestamp,
}

impl Now {
    /// Clocks that are further apart disagree: what ends by time waits for a person.
    pub const FURTHEST: SignedDuration = SignedDuration::from_mins(5);

    /// The clocks agree, as far as clocks do.
    pub fn agrees(self) -> bool {
        self.hi.duration_since(self.lo) <= Now::FURTHEST
    }

    /// That time is over by every clock: what it ends may end.
    pub fn is_past(self, at: Timestamp) -> bool {
        self.lo >= at
    }

    /// That time has come by one clock at least: what is due then may begin.
    pub fn has_come(self, at: Timestamp) -> bool {
        self.hi >= at
    }
}

impl From<Timestamp> for Now {
    /// One clock alone.
    fn from(at: Timestamp) -> Now {
        Now { lo: at, hi: at }
    }
}
