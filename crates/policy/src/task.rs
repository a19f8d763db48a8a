//! Tasks of people: what no platform can be asked for, when it is to be done again, and what is late.
//!
//! A contract is read, a vendor's list of administrators is gone through, an end is tried out: somebody
//! does it and shows a file. What counts is when that was last, by the policy's cadence.

use domain::{Now, Span};
use jiff::{Timestamp, civil::Date};

use crate::{schedule::later, standing::end_of, waiver::matches};

/// A task, as the policy has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// What is to be done, in words.
    pub what: String,
    /// Who does it, or sees to it.
    pub owner: String,
    /// The ids that it is to be done for, each: `*` stands for any text. `None`: once for all.
    pub each: Option<String>,
    /// The last day on which it may be done for the first time.
    pub first_by: Date,
    /// How long after that it is to be done again; `None`: once.
    pub every: Option<Span>,
    /// It is a drill: `nhi drill` does it, for each credential that is there for that.
    pub drill: bool,
}

impl Task {
    /// Whether it is to be done for this object.
    pub fn is_for(&self, object: &str) -> bool {
        self.each.as_ref().is_some_and(|each| matches(each, object))
    }

    /// When it is to be done at the latest; `None` where it is done for good.
    pub fn due(&self, last_done: Option<Timestamp>) -> Option<Timestamp> {
        match (last_done, self.every) {
            (None, _) => Some(end_of(self.first_by)),
            (Some(at), Some(every)) => Some(later(at, every)),
            (Some(_), None) => None,
        }
    }
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is done for good.
    Met,
    /// It is to be done until then.
    Due(Timestamp),
    /// It was to be done until then.
    Overdue(Timestamp),
}

impl Standing {
    /// The word that people see.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Met => "met",
            Standing::Due(_) => "due",
            Standing::Overdue(_) => "overdue",
        }
    }

    /// Until when it is, or was, to be done.
    pub fn by(self) -> Option<Timestamp> {
        match self {
            Standing::Met => None,
            Standing::Due(at) | Standing::Overdue(at) => Some(at),
        }
    }

    /// How what is due at that moment stands.
    pub fn of(due: Option<Timestamp>, now: Now) -> Standing {
        match due {
            None => Standing::Met,
            Some(at) if now.has_come(at) => Standing::Overdue(at),
            Some(at) => Standing::Due(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        Task {
            name: "vendor-admins".into(),
            what: "Go through the vendor's administrators".into(),
            owner: "owner/finance".into(),
            each: Some("none/third_party/*".into()),
            first_by: "2026-12-31".parse().unwrap(),
            every: "90d".parse().ok(),
            drill: false,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_was_never_done_is_late_when_its_first_day_is_over() {
        let due = task().due(None);
        let of = |now: &str| Standing::of(due, at(now).into());
        assert_eq!(of("2026-12-31T23:59:59Z").as_str(), "due");
        assert_eq!(of("2027-01-01T00:00:00Z").as_str(), "overdue");
    }

    #[test]
    fn what_was_done_is_due_again_by_its_cadence_and_what_is_once_is_met() {
        let done = Some(at("2026-11-01T12:00:00Z"));
        assert_eq!(task().due(done), Some(at("2027-01-30T12:00:00Z")));
        let once = Task { every: None, ..task() };
        assert_eq!(Standing::of(once.due(done), at("2099-01-01T00:00:00Z").into()), Standing::Met);
        assert_eq!(Standing::Met.by(), None);
    }

    #[test]
    fn it_is_for_what_its_form_means_and_for_nothing_else() {
        assert!(task().is_for("none/third_party/etl"));
        assert!(!task().is_for("bao/openbao_approle/etl"));
        assert!(!Task { each: None, ..task() }.is_for("none/third_party/etl"));
    }
}
