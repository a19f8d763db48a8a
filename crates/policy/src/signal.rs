//! What is heard from outside of an integration or a credential: that its secret may be in wrong hands,
//! that it behaves as it should not, that there was an incident.

use std::collections::BTreeSet;

use domain::Now;
use jiff::Timestamp;

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A secret is, or may be, in wrong hands.
    Exposure,
    /// Somebody saw it do what it does not usually do.
    Anomaly,
    /// There was an incident in which it had a part.
    Incident,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Exposure, Kind::Anomaly, Kind::Incident];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Exposure => "exposure",
            Kind::Anomaly => "anomaly",
            Kind::Incident => "incident",
        }
    }

    /// By its word.
    pub fn from_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Whether what was heard counts still. Where clocks disagree, it does.
pub fn counts(ends_at: Option<Timestamp>, now: Now) -> bool {
    ends_at.is_none_or(|end| !now.is_past(end))
}

/// Whether a slot is exposed: one of the credentials that were named still works. Another one, issued
/// since, is not exposed by what happened to its predecessor, whatever any clock says.
pub fn is_exposed<'a>(
    named: &BTreeSet<String>,
    works: impl IntoIterator<Item = &'a String>,
) -> bool {
    works.into_iter().any(|key_id| named.contains(key_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_reads_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::from_word("rumour"), None);
    }

    #[test]
    fn what_has_an_end_counts_until_every_clock_is_past_it() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let end = at("2026-12-01T10:00:00Z");
        let between = Now { lo: at("2026-12-01T09:59:00Z"), hi: at("2026-12-01T10:01:00Z") };
        assert!(counts(Some(end), between) && counts(None, end.into()));
        assert!(!counts(Some(end), end.into()));
    }

    #[test]
    fn a_slot_is_exposed_as_long_as_one_that_was_named_works_and_not_by_another() {
        let named = BTreeSet::from(["k1".to_owned()]);
        let keys = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        assert!(is_exposed(&named, &keys(&["k2", "k1"])));
        assert!(!is_exposed(&named, &keys(&["k2"])));
        assert!(!is_exposed(&named, &keys(&[])));
    }
}
