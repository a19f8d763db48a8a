//! When what failed is tried again, and when a tenant that nobody hears from is left alone.

use domain::{Span, realm::slot_number};
use jiff::Timestamp;

use crate::schedule::later;

/// The longest that something which keeps failing is put off.
pub const LONGEST: Span = Span::from_secs(3600);

/// When something that failed so many times in a row is tried again: each time it waits twice as long,
/// an hour at most. Where in the second half of that is the subject's own, so that what failed together
/// is not tried together.
pub fn next_try(subject: &str, failed: u64, first: Span, now: Timestamp) -> Timestamp {
    let doubled = u32::try_from(failed.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
    let whole = first.as_secs().saturating_mul(1 << doubled).min(LONGEST.as_secs().max(1));
    let half = whole / 2;
    let jitter = (u128::from(whole - half) * u128::from(slot_number(subject))) >> 64;
    later(now, Span::from_secs(half + u64::try_from(jitter).unwrap_or(0)))
}

/// How many times in a row nobody may answer before a tenant is left alone for the rest of a run.
pub const UNHEARD_MOST: u32 = 5;

/// Whether a tenant is asked any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Breaker {
    unheard: u32,
}

impl Breaker {
    /// It was asked. Once open it stays so: nobody tells what a late answer is an answer to.
    pub fn note(&mut self, answered: bool) {
        if !self.is_open() {
            self.unheard = if answered { 0 } else { self.unheard + 1 };
        }
    }

    /// It is asked no more.
    pub fn is_open(self) -> bool {
        self.unheard >= UNHEARD_MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_failing_waits_longer_each_time_and_never_longer_than_an_hour() {
        let (now, first) = (Timestamp::UNIX_EPOCH, Span::from_secs(60));
        let waits = |subject: &str, failed| next_try(subject, failed, first, now).as_second();
        for failed in 1..7 {
            let whole = 60 << (failed - 1);
            let wait = waits("bao/openbao_approle/a", failed);
            assert!((whole / 2..=whole).contains(&wait), "{failed}: {wait} of {whole}");
        }
        for failed in [7, 8, 30, u64::MAX] {
            assert!((1800..=3600).contains(&waits("bao/openbao_approle/a", failed)), "{failed}");
        }
        let all: std::collections::BTreeSet<i64> =
            (0..50).map(|at| waits(&format!("bao/openbao_approle/{at}"), 4)).collect();
        assert!(all.len() > 25, "they do not come back together: {all:?}");
    }

    #[test]
    fn a_tenant_is_left_alone_after_five_in_a_row_and_an_answer_begins_anew() {
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            (0..4).for_each(|_| breaker.note(false));
            assert!(!breaker.is_open());
            breaker.note(true);
        }
        (0..5).for_each(|_| breaker.note(false));
        assert!(breaker.is_open());
        breaker.note(true);
        assert!(breaker.is_open());
    }
}
