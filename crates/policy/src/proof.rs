//! How far a revocation is proven: never more than was seen.

use jiff::Timestamp;

/// A grade of proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Not provable.
    D,
    /// The platform accepted the end.
    C,
    /// The platform shows it as gone.
    B,
    /// The old one is refused as a random one is, while the new one works on the same surface.
    A,
}

impl Grade {
    /// The letter.
    pub fn as_str(self) -> &'static str {
        match self {
            Grade::A => "A",
            Grade::B => "B",
            Grade::C => "C",
            Grade::D => "D",
        }
    }
}

/// What one sign-in showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Accepted.
    Accepted,
    /// Refused, in this way.
    Refused(String),
    /// Neither: an outage, a limit, a page of somebody in between.
    Void(String),
}

/// One round: the new one, a random one, the old one, the new one again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// The new one, first.
    pub new_before: Answer,
    /// A random one.
    pub random: Answer,
    /// The old one.
    pub old: Answer,
    /// The new one, last.
    pub new_after: Answer,
}

/// What a round says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundSays {
    /// The old one is refused as the random one is, and the new one works.
    Refused,
    /// The old one still works.
    StillAccepted,
    /// A random one is let in: here no sign-in shows anything.
    AnythingGoes,
    /// The new one is refused before another was tried: no business of this proof's, and the end of it.
    NewRefused,
    /// The new one stopped working meanwhile: no more probes.
    Locked,
    /// Nothing, for this reason: another round may say more.
    Void(&'static str),
}

/// Judges one round.
pub fn judge(round: &Round) -> RoundSays {
    use Answer::{Accepted, Refused};
    // A limit or a failure is no judgment, however the platform words it.
    let says = |answer: &Answer| match answer {
        Refused(class) if is_no_judgment(class) => Answer::Void(class.clone()),
        answer => answer.clone(),
    };
    match (says(&round.new_before), says(&round.random), says(&round.old), says(&round.new_after)) {
        (Refused(_), ..) => RoundSays::NewRefused,
        (Answer::Void(_), ..) => RoundSays::Void("the new one got no answer"),
        (.., Refused(_)) => RoundSays::Locked,
        (_, Accepted, ..) => RoundSays::AnythingGoes,
        (_, _, Accepted, _) => RoundSays::StillAccepted,
        (_, Refused(random), Refused(old), Accepted) if random == old => RoundSays::Refused,
        (_, Refused(_), Refused(_), _) => {
            RoundSays::Void("the old one is refused in another way than a random one")
        }
        _ => RoundSays::Void("an answer was neither yes nor no"),
    }
}

/// Too many requests, or a server that fails: a class begins with the status where there is one.
fn is_no_judgment(class: &str) -> bool {
    let status = class.split_whitespace().next().filter(|word| word.len() == 3);
    status.and_then(|word| word.parse().ok()).is_some_and(|code: u16| code == 429 || code >= 500)
}

/// What a slot's proofs have come to, beyond the deed that they were part of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Proofs {
    /// When a secret that nobody issued was let in: there no sign-in shows anything.
    pub accepts_anything: Option<Timestamp>,
}

/// What is known when a grade is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown {
    /// Rounds that said [`RoundSays::Refused`], after the platform's lag.
    pub refused: bool,
    /// The platform's complete listing no longer shows it, or a lookup by id does not find it.
    pub gone: bool,
    /// The platform accepted the end.
    pub accepted: bool,
}

/// The grade that what was shown deserves.
pub fn grade(shown: Shown) -> Grade {
    match shown {
        Shown { refused: true, .. } => Grade::A,
        Shown { gone: true, .. } => Grade::B,
        Shown { accepted: true, .. } => Grade::C,
        _ => Grade::D,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(new: Answer, random: &str, old: Answer, after: Answer) -> RoundSays {
        judge(&Round {
            new_before: new,
            random: Answer::Refused(random.into()),
            old,
            new_after: after,
        })
    }

    #[test]
    fn only_a_refusal_like_a_random_one_s_proves() {
        use Answer::{Accepted, Refused};
        let refused = |class: &str| Refused(class.to_owned());
        assert_eq!(round(Accepted, "400", refused("400"), Accepted), RoundSays::Refused);
        assert_eq!(round(Accepted, "400", Accepted, Accepted), RoundSays::StillAccepted);
        assert_eq!(round(refused("400"), "400", refused("400"), Accepted), RoundSays::NewRefused);
        assert_eq!(round(Accepted, "400", refused("400"), refused("403")), RoundSays::Locked);
    }

    #[test]
    fn a_limit_a_failure_or_another_refusal_voids_a_round_and_proves_nothing() {
        use Answer::{Accepted, Refused, Void};
        let refused = |class: &str| Refused(class.to_owned());
        let void = |says: RoundSays| matches!(says, RoundSays::Void(_));
        for old in ["403 denied", "429 too many", "503 busy"] {
            assert!(void(round(Accepted, "400", refused(old), Accepted)), "{old}");
        }
        for class in ["429", "500 page", "502"] {
            assert!(void(round(Accepted, class, refused(class), Accepted)), "alike, {class}");
            assert!(void(round(Accepted, "400", refused("400"), refused(class))), "last, {class}");
            assert!(void(round(refused(class), "400", refused("400"), Accepted)), "first {class}");
        }
        assert!(void(round(Accepted, "400", Void("reset".into()), Accepted)));
        // No status: the classes of another protocol.
        assert_eq!(round(Accepted, "28P01", refused("28P01"), Accepted), RoundSays::Refused);
        assert_eq!(round(Accepted, "57000", refused("57000"), Accepted), RoundSays::Refused);
        // Whatever else the round says, the old one was let in.
        assert_eq!(round(Accepted, "429", Accepted, Accepted), RoundSays::StillAccepted);
    }

    #[test]
    fn where_anything_is_accepted_nothing_is_proven() {
        let open = Round {
            new_before: Answer::Accepted,
            random: Answer::Accepted,
            old: Answer::Refused("401".into()),
            new_after: Answer::Accepted,
        };
        assert_eq!(judge(&open), RoundSays::AnythingGoes);
        let all = Round { old: Answer::Accepted, ..open };
        assert_eq!(judge(&all), RoundSays::AnythingGoes, "nor disproven");
    }

    #[test]
    fn a_grade_is_never_higher_than_what_was_shown() {
        assert_eq!(grade(Shown { accepted: true, ..Shown::default() }), Grade::C);
        assert_eq!(grade(Shown { gone: true, accepted: true, refused: false }), Grade::B);
        assert_eq!(grade(Shown::default()), Grade::D);
    }
}
