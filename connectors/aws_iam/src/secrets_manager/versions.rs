//! Versions by number. AWS knows them by ids that whoever writes them chooses: in ours are the number,
//! the time and what makes it unique.
//!
//! So the number of a version is what AWS itself keeps with it, and no tag can lag behind it.

use jiff::Timestamp;
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use secrets::Version;

/// What our ids begin with.
const OURS: &str = "nhi";

/// An id for a version that nobody has: `nhi-<number>-<milliseconds>-<96 bits in hex>`, within the 32 to
/// 64 characters that AWS takes. `None` where the machine gives no random bits.
pub(super) fn new(number: u64, at: Timestamp) -> Option<String> {
    let mut bits = [0; 12];
    SystemRandom::new().fill(&mut bits).ok()?;
    let bits = data_encoding::HEXLOWER.encode(&bits);
    Some(format!("{OURS}-{number}-{}-{bits}", at.as_millisecond()))
}

/// What an id of ours says; `None` of another's.
pub(super) fn ours(id: &str) -> Option<Version> {
    let mut parts = id.split('-');
    if parts.next()? != OURS {
        return None;
    }
    let number = parts.next()?.parse().ok().filter(|number| *number > 0)?;
    let at = Timestamp::from_millisecond(parts.next()?.parse().ok()?).ok()?;
    let bits = parts.next().filter(|bits| bits.len() == 24)?;
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (bits.bytes().all(hex) && parts.next().is_none())
        .then_some(Version { number, created_at: Some(at) })
}

/// The number of a version that somebody else wrote, and which is current: above ours before it. One
/// that we wrote to replace it and that never became current does not move it.
pub(super) fn of_current(id: &str, ids: &[&str]) -> u64 {
    let numbers: Vec<u64> = ids.iter().filter_map(|id| Some(ours(id)?.number)).collect();
    let after_it = |number: &u64| {
        let mut bases = numbers.iter().chain([&0]);
        bases.any(|base| of_another(id, *base) + 1 == *number)
    };
    let base = numbers.iter().filter(|number| !after_it(number)).max();
    of_another(id, base.copied().unwrap_or(0))
}

/// Whether any of these ids is ours.
pub(super) fn has_ours(ids: &[&str]) -> bool {
    ids.iter().any(|id| ours(id).is_some())
}

/// The number of a version that somebody else wrote after one of ours: above it, and another one for
/// another id, but for one chance in sixteen million.
fn of_another(id: &str, above: u64) -> u64 {
    let hash = digest(&SHA256, id.as_bytes());
    let spread = hash.as_ref().iter().take(3).fold(0, |all, byte| all << 8 | u64::from(*byte));
    above + 1 + spread
}

/// Which of these ids has a number: ours, or another's that stood above one of ours or above none.
/// `None` where nothing tells which of several was ever current.
pub(super) fn find<'a>(ids: &[&'a str], number: u64) -> Option<&'a str> {
    let mut of_ours = ids.iter().filter(|id| ours(id).is_some_and(|one| one.number == number));
    match (of_ours.next(), of_ours.next()) {
        (Some(id), None) => return Some(id),
        (Some(_), Some(_)) => return None,
        (None, _) => {}
    }
    let below = |id: &&str| ours(id).map(|one| one.number).filter(|below| *below < number);
    let bases: Vec<u64> = ids.iter().filter_map(below).chain([0]).collect();
    let others = ids.iter().filter(|id| ours(id).is_none());
    let is_it = |id: &&&str| bases.iter().any(|base| of_another(id, *base) == number);
    others.copied().find(|id| is_it(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Timestamp {
        "2026-01-02T03:04:05.678Z".parse().unwrap()
    }

    #[test]
    fn an_id_says_its_number_and_its_time_and_fits_whatever_they_are() {
        for number in [1, 9, 16_777_216, u64::MAX] {
            let id = new(number, at()).unwrap();
            assert!((32..=64).contains(&id.len()), "{id}");
            assert_eq!(ours(&id), Some(Version { number, created_at: Some(at()) }));
        }
        assert_ne!(new(1, at()), new(1, at()), "no two are the same");
    }

    #[test]
    fn ids_of_others_are_none_of_ours() {
        let id = new(7, at()).unwrap();
        for other in [
            "",
            "nhi",
            "EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE",
            "nhi-0-1-0123456789abcdef01234567",
            "nhi-1-1-0123456789ABCDEF01234567",
            "nhi-1-1-0123456789abcdef0123456",
            "nhi-x-1-0123456789abcdef01234567",
            &format!("{id}-"),
        ] {
            assert_eq!(ours(other), None, "{other:?}");
        }
    }

    #[test]
    fn what_somebody_else_wrote_stands_above_ours_and_each_of_it_is_another() {
        let (one, two) =
            ("3d0d2c3e-0000-4000-8000-000000000001", "3d0d2c3e-0000-4000-8000-000000000002");
        assert!(of_another(one, 7) > 7 && of_another(two, 7) > 7);
        assert_ne!(of_another(one, 7), of_another(two, 7));
        let ids = [new(6, at()).unwrap(), new(7, at()).unwrap()];
        let after = of_another(one, 7) + 1;
        let later = new(after, at()).unwrap();
        let all = [&ids[0], &ids[1], one, &later].map(|id: &str| id);
        assert_eq!(find(&all, of_another(one, 7)), Some(one), "also when we wrote after it");
        assert_eq!(find(&all, after), Some(later.as_str()));
        assert_eq!(find(&all, 6), Some(ids[0].as_str()));
        assert_eq!(find(&all, 5), None);
    }

    #[test]
    fn what_we_failed_to_replace_keeps_its_number() {
        let theirs = "3d0d2c3e-0000-4000-8000-000000000001";
        let before = new(5, at()).unwrap();
        let number = of_current(theirs, &[theirs, &before]);
        assert_eq!(number, of_another(theirs, 5));
        let never_current = new(number + 1, at()).unwrap();
        assert_eq!(of_current(theirs, &[theirs, &before, &never_current]), number);
        assert_eq!(of_current(theirs, &[theirs]), of_another(theirs, 0));
    }

    #[test]
    fn of_two_that_claim_one_number_neither_is_taken() {
        let (one, two) = (new(3, at()).unwrap(), new(3, at()).unwrap());
        assert_eq!(find(&[&one, &two], 3), None);
        assert_eq!(find(&[&one], 3), Some(one.as_str()));
    }
}
