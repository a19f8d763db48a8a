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

/// How long after a tenant was left alone it is asked once for the first time.
pub const FIRST_AGAIN: Span = Span::from_secs(30);

/// Whether a tenant is asked any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Breaker {
    unheard: u32,
    /// How often it was asked once since it was left alone, and when it is again.
    again: Option<(u64, Timestamp)>,
}

impl Breaker {
    /// It was asked. Once open it stays so: nobody tells what a late answer is an answer to.
    pub fn note(&mut self, answered: bool) {
        if !self.is_open() {
            self.unheard = if answered { 0 } else { self.unheard + 1 };
        }
    }

    /// It lets nobody in: it is asked no more, at once.
    pub fn shut(&mut self) {
        self.unheard = self.unheard.max(UNHEARD_MOST);
    }

    /// It is asked no more.
    pub fn is_open(self) -> bool {
        self.unheard >= UNHEARD_MOST
    }

    /// Whether one that is open is asked once now, whether it answers: later each time.
    pub fn may_ask(self, now: Timestamp) -> bool {
        self.again.is_none_or(|(_, again)| again <= now)
    }

    /// It was asked once, by the cheapest call there is: an answer begins anew, and without one it is left
    /// alone for longer than before.
    pub fn asked_once(&mut self, tenant: &str, answered: bool, now: Timestamp) {
        *self = match answered {
            true => Breaker::default(),
            false => {
                let asked = self.again.map_or(0, |(asked, _)| asked) + 1;
                let again = Some((asked, next_try(tenant, asked, FIRST_AGAIN, now)));
                Breaker { unheard: self.unheard.max(UNHEARD_MOST), again }
            }
        };
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
    #[test]
    fn one_that_is_left_alone_is_asked_once_later_each_time_and_an_answer_begins_anew() {
        let mut breaker = Breaker::default();
        (0..5).for_each(|_| breaker.note(false));
        let mut now = Timestamp::UNIX_EPOCH;
        assert!(breaker.is_open() && breaker.may_ask(now), "the next run asks once");
        let mut waits = Vec::new();
        for _ in 0..4 {
            breaker.asked_once("bao", false, now);
            assert!(breaker.is_open() && !breaker.may_ask(now));
            let begun = now;
            while !breaker.may_ask(now) {
                now = later(now, Span::from_secs(1));
            }
            waits.push(now.as_second() - begun.as_second());
        }
        assert!(waits.is_sorted_by(|one, next| *next >= one * 2 - 1), "{waits:?}");
        breaker.asked_once("bao", true, now);
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn who_lets_nobody_in_is_asked_no_more_at_once() {
        let mut breaker = Breaker::default();
        breaker.shut();
        assert!(breaker.is_open());
    }
}
