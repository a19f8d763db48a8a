//! When the owners of something are told: so long before it ends, and once for each such mark.

use std::collections::BTreeSet;

use domain::{Now, Span};
use jiff::{SignedDuration, Timestamp};

use crate::findings::Severity;

/// When owners are told of what is theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Telling {
    /// How long before the end of something; none: never.
    pub before: BTreeSet<Span>,
    /// From how much on they are told what is found, and when it is over; `None`: never.
    pub findings: Option<Severity>,
}

/// What ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// The integration itself: the last day that it may live.
    LastDay,
    /// The time until its next review.
    Review,
    /// A scope that was given for a while.
    Scope(String),
    /// A credential that nothing replaces, by its slot.
    Credential(String),
    /// The time in which not everything need be said of what was adopted.
    Adoption,
    /// The contract with who runs it.
    Contract,
}

impl Ending {
    /// Its name in a row of the ledger.
    pub fn key(&self) -> String {
        match self {
            Ending::LastDay => "last_day".to_owned(),
            Ending::Review => "review".to_owned(),
            Ending::Scope(scope) => format!("scope/{scope}"),
            Ending::Credential(slot) => format!("credential/{slot}"),
            Ending::Adoption => "adoption".to_owned(),
            Ending::Contract => "contract".to_owned(),
        }
    }

    /// What ends, in words that go on: `ends on …`.
    pub fn words(&self) -> String {
        match self {
            Ending::LastDay => "it".to_owned(),
            Ending::Review => "the time until its next review".to_owned(),
            Ending::Scope(scope) => format!("its scope {scope}"),
            Ending::Credential(slot) => format!("its credential {slot}, which nothing replaces,"),
            Ending::Adoption => "the time in which not everything need be said of it".to_owned(),
            Ending::Contract => "the contract with who runs it".to_owned(),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Ending::LastDay => {
                "If it is needed longer, set a later expires_on and apply; if not, remove it, or nhi decommission"
            }
            Ending::Review => "Review its scopes, owners and purpose: nhi explain review-overdue",
            Ending::Scope(_) => "If it is needed longer, set a later end of it and apply",
            Ending::Credential(_) => "nhi rotate, or give it a schedule",
            Ending::Adoption => "Say what is missing in its configuration, and apply",
            Ending::Contract => {
                "Have the contract prolonged, or the integration taken out of service"
            }
        }
    }
}

/// The moment of a mark.
fn moment(at: Timestamp, before: Span) -> Timestamp {
    let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
    at.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
}

/// The mark of which owners are told now: the last that has come, where none so late was told. What is
/// over is told by a finding, and no more by this.
pub fn mark(before: &BTreeSet<Span>, at: Timestamp, told: Option<Span>, now: Now) -> Option<Span> {
    if now.has_come(at) {
        return None;
    }
    let come = before.iter().copied().find(|before| now.has_come(moment(at, *before)))?;
    told.is_none_or(|told| come < told).then_some(come)
}

/// When there is something to tell again after a mark was told: at the next mark, or never.
pub fn next(before: &BTreeSet<Span>, at: Timestamp, told: Span) -> Option<Timestamp> {
    let next = before.iter().copied().rev().find(|before| *before < told)?;
    Some(moment(at, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> Span {
        text.parse().unwrap()
    }

    #[test]
    fn each_mark_is_told_once_and_of_those_that_were_missed_the_last_alone() {
        let before: BTreeSet<Span> = ["30d", "7d", "1d"].map(span).into();
        let end: Timestamp = "2027-02-01T00:00:00Z".parse().unwrap();
        let at = |now: &str, told: Option<&str>| {
            let now: Timestamp = now.parse().unwrap();
            mark(&before, end, told.map(span), now.into())
        };
        assert_eq!(at("2027-01-01T00:00:00Z", None), None, "it is far");
        assert_eq!(at("2027-01-02T00:00:00Z", None), Some(span("30d")));
        assert_eq!(at("2027-01-03T00:00:00Z", Some("30d")), None, "once");
        assert_eq!(at("2027-01-25T00:00:00Z", Some("30d")), Some(span("7d")));
        // Who looks for the first time six days before tells that, and not thirty days too late.
        assert_eq!(at("2027-01-26T00:00:00Z", None), Some(span("7d")));
        assert_eq!(at("2027-01-31T00:00:00Z", Some("7d")), Some(span("1d")));
        assert_eq!(at("2027-01-31T12:00:00Z", Some("1d")), None);
        assert_eq!(at("2027-02-01T00:00:00Z", Some("7d")), None, "it is over");
        assert_eq!(next(&before, end, span("30d")), "2027-01-25T00:00:00Z".parse().ok());
        assert_eq!(next(&before, end, span("1d")), None);
    }

    #[test]
    fn without_marks_nobody_is_told() {
        let end: Timestamp = "2027-02-01T00:00:00Z".parse().unwrap();
        let now: Timestamp = "2027-01-31T00:00:00Z".parse().unwrap();
        assert_eq!(mark(&BTreeSet::new(), end, None, now.into()), None);
    }
}
