//! Leases: who works on something now, where several processes share a ledger; and what they may ask of
//! a tenant together.
//!
//! A lease is no lock at a platform: what somebody asked of it before their lease ran out is not undone by
//! that. It keeps two from doing the same work, and its number keeps whoever lost it from writing down that
//! they begin one thing more. Where a lease and a claim disagree, the claim is right.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What stands before everything that is begun under a lease: whose it is may have changed since.
///
/// Numbers only grow, over all subjects of a ledger; 0 is that of a ledger which keeps nothing and is shared
/// with nobody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence {
    /// What it is about.
    pub subject: String,
    /// The number that it was given when it was taken.
    pub number: u64,
}

/// What became of asking for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leased {
    /// It is ours, for as long again as was asked for.
    Ours(Fence),
    /// Somebody else has it.
    Theirs {
        /// Who.
        holder: String,
        /// For how long at most, unless they ask again.
        left: Duration,
    },
}

impl Leased {
    /// The fence, where it is ours.
    pub fn ours(self) -> Option<Fence> {
        match self {
            Leased::Ours(fence) => Some(fence),
            Leased::Theirs { .. } => None,
        }
    }
}

/// What a tenant may be asked now by whoever asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    /// So many requests: one at least.
    Requests(u32),
    /// None before so much time has passed.
    Wait(Duration),
}

/// What a tenant may still be asked, in thousandths of a request: what is left of it after a time, and what
/// is drawn of that. A second's worth is the most that is saved up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// What is left, in thousandths.
    pub tokens: i64,
}

impl Bucket {
    /// The one that nobody has drawn of yet.
    pub fn full(per_second: u32) -> Bucket {
        Bucket { tokens: i64::from(per_second.max(1)) * 1000 }
    }

    /// After so many milliseconds more.
    #[must_use]
    pub fn after(self, milliseconds: i64, per_second: u32) -> Bucket {
        let earned = milliseconds.clamp(0, 1000) * i64::from(per_second.max(1));
        Bucket { tokens: (self.tokens + earned).min(Bucket::full(per_second).tokens) }
    }

    /// What is drawn where so much is asked for, and what is left then.
    #[must_use]
    pub fn draw(self, most: u32, per_second: u32) -> (Drawn, Bucket) {
        match self.tokens / 1000 {
            whole @ 1.. => {
                let drawn = i64::from(most.max(1)).min(whole);
                let requests = u32::try_from(drawn).unwrap_or(1);
                (Drawn::Requests(requests), Bucket { tokens: self.tokens - drawn * 1000 })
            }
            _ => {
                let missing = 1000 - self.tokens;
                let wait =
                    u64::try_from(missing).unwrap_or(1).div_ceil(u64::from(per_second.max(1)));
                (Drawn::Wait(Duration::from_millis(wait.max(1))), self)
            }
        }
    }
}

/// Leases in memory: of one process, by the clock of its machine.
#[derive(Debug)]
pub(crate) struct Leases {
    now: fn() -> Instant,
    next: u64,
    held: BTreeMap<String, Held>,
    budgets: BTreeMap<String, Spent>,
}

/// What is left of a tenant's budget, when that was so, and until when it is left alone.
#[derive(Debug)]
struct Spent {
    bucket: Bucket,
    at: Instant,
    frozen_until: Instant,
}

#[derive(Debug)]
struct Held {
    holder: String,
    number: u64,
    until: Instant,
}

impl Default for Leases {
    fn default() -> Leases {
        Leases::by_clock(Instant::now)
    }
}

impl Leases {
    /// With another clock: one that runs as fast as whoever simulates wants.
    pub(crate) fn by_clock(now: fn() -> Instant) -> Leases {
        Leases { now, next: 0, held: BTreeMap::new(), budgets: BTreeMap::new() }
    }

    pub(crate) fn take(&mut self, subject: &str, holder: &str, time: Duration) -> Leased {
        let now = (self.now)();
        let held = self.held.get(subject).filter(|held| held.until > now);
        let number = match held {
            Some(held) if held.holder != holder => {
                let left = held.until - now;
                return Leased::Theirs { holder: held.holder.clone(), left };
            }
            Some(held) => held.number,
            None => {
                self.next += 1;
                self.next
            }
        };
        let held = Held { holder: holder.to_owned(), number, until: now + time };
        self.held.insert(subject.to_owned(), held);
        Leased::Ours(Fence { subject: subject.to_owned(), number })
    }

    fn spent(&mut self, tenant: &str, per_second: u32, now: Instant) -> &mut Spent {
        let full = || Spent { bucket: Bucket::full(per_second), at: now, frozen_until: now };
        self.budgets.entry(tenant.to_owned()).or_insert_with(full)
    }

    pub(crate) fn draw(&mut self, tenant: &str, most: u32, per_second: u32) -> Drawn {
        let now = (self.now)();
        let spent = self.spent(tenant, per_second, now);
        if spent.frozen_until > now {
            return Drawn::Wait(spent.frozen_until - now);
        }
        let passed = i64::try_from((now - spent.at).as_millis()).unwrap_or(i64::MAX);
        let (drawn, left) = spent.bucket.after(passed, per_second).draw(most, per_second);
        (spent.bucket, spent.at) = (left, now);
        drawn
    }

    pub(crate) fn freeze(&mut self, tenant: &str, time: Duration) {
        let now = (self.now)();
        let spent = self.spent(tenant, 1, now);
        spent.frozen_until = spent.frozen_until.max(now + time);
    }

    pub(crate) fn holds(&self, fence: &Fence) -> bool {
        let held = self.held.get(&fence.subject);
        held.is_some_and(|held| held.number == fence.number && held.until > (self.now)())
    }

    pub(crate) fn release(&mut self, fence: &Fence) {
        if self.held.get(&fence.subject).is_some_and(|held| held.number == fence.number) {
            self.held.remove(&fence.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_drawn_in_a_second_than_a_second_gives_however_it_is_asked_for() {
        for (per_second, most) in [(1, 1), (10, 1), (10, 4), (100, 10), (7, 100)] {
            let mut bucket = Bucket { tokens: 0 };
            let mut drawn = 0;
            // Ten seconds, asked for at each millisecond that it is said to be worth it.
            let (mut now, mut asked) = (0i64, 0i64);
            while now < 10_000 {
                let (got, left) = bucket.after(now - asked, per_second).draw(most, per_second);
                (bucket, asked) = (left, now);
                now += match got {
                    Drawn::Requests(requests) => {
                        drawn += requests;
                        1
                    }
                    Drawn::Wait(wait) => i64::try_from(wait.as_millis()).unwrap(),
                };
            }
            let gives = 10 * per_second;
            assert!((gives - per_second..=gives).contains(&drawn), "{per_second}/s: {drawn}");
        }
        let idle = Bucket { tokens: 0 }.after(3_600_000, 10);
        assert_eq!(idle, Bucket::full(10), "more than a second is not saved up");
    }
}
