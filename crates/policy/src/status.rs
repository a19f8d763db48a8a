//! The one word that says what is to be done with a credential slot: the first that fits.

use crate::schedule::Due;

/// What was sampled of a slot.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Somebody else is at work on it now.
    pub claimed_by_other: bool,
    /// It waits for a person.
    pub held: bool,
    /// It is known to be exposed.
    pub exposed: bool,
    /// Its key is not there, under a parent that was readable.
    pub missing: bool,
    /// Its key has ended by itself.
    pub expired: bool,
    /// A deed on it was begun and not finished.
    pub unfinished: bool,
    /// A copy is missing or changed, and no other holds this generation.
    pub undelivered: bool,
    /// A copy is missing or changed, and another holds this generation.
    pub stale_copy: bool,
    /// A platform with one secret shows one that is not ours.
    pub foreign: bool,
    /// How it stands against its schedule.
    pub due: Option<Due>,
    /// Somebody missed an earlier key when it was switched off: a person says when it may end.
    pub still_used: bool,
    /// An earlier key's overlap is over, and it is switched off before it ends.
    pub cut_due: bool,
    /// An earlier key is switched off, and its end is not due yet.
    pub watched: bool,
    /// An earlier key's overlap is over, and so is the time for which it is only switched off.
    pub retire_due: bool,
    /// How far an end was shown may be shown better by now, or what was kept for that be forgotten.
    pub proof_due: bool,
    /// A sink of ours holds the secret.
    pub held_secret: bool,
}

fn is_due(due: Due) -> bool {
    matches!(due, Due::Overdue | Due::Due)
}

/// The status word.
pub fn status(facts: &Facts) -> &'static str {
    let table = [
        (facts.claimed_by_other, "rotating"),
        (facts.held, "held"),
        (facts.exposed, "exposed"),
        (facts.missing, "missing"),
        (facts.expired, "expired"),
        (facts.unfinished, "unfinished"),
        (facts.undelivered, "undelivered"),
        (facts.stale_copy, "stale_copy"),
        (facts.foreign, "foreign"),
        (facts.still_used, "held"),
        // The older one goes before there is a third: first it is off, and then it waits.
        (facts.cut_due, "cut_due"),
        (facts.watched && facts.due.is_some_and(is_due), "waiting"),
        (facts.due == Some(Due::Overdue), "overdue"),
        (facts.due == Some(Due::Due), "due"),
        (facts.retire_due, "retire_due"),
        (facts.proof_due, "proof_due"),
        (matches!(facts.due, Some(Due::Waiting(_))), "waiting"),
        (!facts.held_secret, "unheld"),
    ];
    table.into_iter().find(|(fits, _)| *fits).map_or("current", |(_, word)| word)
}

/// What plan does about a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing.
    Nothing,
    /// A new generation with overlap.
    Rotate,
    /// A new generation, nothing kept.
    RotateAtOnce,
    /// The earlier ones are switched off, and end later.
    Cut,
    /// The earlier ones end.
    Retire,
    /// What was ended is looked at once more.
    Prove,
    /// A copy is made again, same generation.
    Copy,
    /// What was begun is finished.
    Resume,
    /// Everything in the slot ends, and nothing new is made.
    End,
}

/// What plan does about a status word where the integration may act, and where it may not: ending
/// is always open, and nothing is issued to what may not act. What is exposed ends there too: the
/// switch may be turned on again while the secret is still in wrong hands.
pub fn consequence_for(status: &str, integration_is_active: bool) -> Consequence {
    match consequence(status) {
        one if integration_is_active => one,
        _ if status == "exposed" => Consequence::End,
        one @ (Consequence::Cut | Consequence::Retire | Consequence::Prove) => one,
        _ => Consequence::Nothing,
    }
}

/// Why, in the word that claims and entries have: the same for a plan and for who works between applies.
pub fn reason_of(status: &str, consequence: Consequence) -> &'static str {
    match consequence {
        Consequence::RotateAtOnce if status == "exposed" => "exposed",
        Consequence::RotateAtOnce => "expiring",
        Consequence::Rotate if matches!(status, "missing" | "undelivered" | "foreign") => "custody",
        Consequence::End => "exposed",
        _ => "schedule",
    }
}

/// What plan does about a status word.
pub fn consequence(status: &str) -> Consequence {
    match status {
        "exposed" | "expired" => Consequence::RotateAtOnce,
        "missing" | "undelivered" | "foreign" | "overdue" | "due" => Consequence::Rotate,
        "unfinished" => Consequence::Resume,
        "stale_copy" => Consequence::Copy,
        "cut_due" => Consequence::Cut,
        "retire_due" => Consequence::Retire,
        "proof_due" => Consequence::Prove,
        _ => Consequence::Nothing,
    }
}

/// Every status word, in the order in which they are judged.
pub const WORDS: [&str; 17] = [
    "rotating",
    "held",
    "exposed",
    "missing",
    "expired",
    "unfinished",
    "undelivered",
    "stale_copy",
    "foreign",
    "cut_due",
    "overdue",
    "due",
    "retire_due",
    "proof_due",
    "waiting",
    "unheld",
    "current",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_issued_to_what_may_not_act_and_ending_is_open() {
        for word in WORDS {
            let one = consequence_for(word, false);
            let ends = matches!(
                one,
                Consequence::Cut | Consequence::Retire | Consequence::Prove | Consequence::End
            );
            assert!(ends || one == Consequence::Nothing, "{word}");
            assert_eq!(consequence_for(word, true), consequence(word));
        }
        assert_eq!(consequence_for("retire_due", false), Consequence::Retire);
        assert_eq!(consequence_for("exposed", false), Consequence::End);
        assert_eq!(consequence_for("missing", false), Consequence::Nothing);
    }

    #[test]
    fn the_first_that_fits_is_said() {
        let held = Facts { held_secret: true, ..Facts::default() };
        assert_eq!(status(&held), "current");
        assert_eq!(status(&Facts::default()), "unheld");
        let both = Facts { retire_due: true, due: Some(Due::Overdue), ..held.clone() };
        assert_eq!(status(&both), "overdue");
        assert_eq!(status(&Facts { missing: true, ..both }), "missing");
    }

    #[test]
    fn an_earlier_one_is_switched_off_and_watched_before_another_rotation_is_due() {
        let due = Facts { held_secret: true, due: Some(Due::Due), ..Facts::default() };
        assert_eq!(status(&Facts { cut_due: true, ..due.clone() }), "cut_due");
        assert_eq!(status(&Facts { watched: true, ..due.clone() }), "waiting");
        assert_eq!(status(&Facts { still_used: true, ..due.clone() }), "held");
        assert_eq!(status(&Facts { still_used: true, missing: true, ..due }), "missing");
        let watched = Facts { held_secret: true, watched: true, ..Facts::default() };
        assert_eq!(status(&watched), "current");
    }

    #[test]
    fn what_is_exposed_rotates_for_that_reason_and_keeps_nothing() {
        let reason = |status| crate::reason::Reason::of(reason_of(status, consequence(status)));
        assert!(reason("exposed").keeps_none());
        assert!(!reason("expired").keeps_none());
    }

    #[test]
    fn every_word_has_a_consequence_or_is_told_as_a_warning() {
        for word in ["rotating", "held", "waiting", "unheld", "current"] {
            assert_eq!(consequence(word), Consequence::Nothing);
        }
        assert_eq!(consequence("exposed"), Consequence::RotateAtOnce);
        assert_eq!(consequence("retire_due"), Consequence::Retire);
    }
}
