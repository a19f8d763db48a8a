//! How far a revocation is proven: never more than was seen.

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoundSays {
    /// The old one is refused as the random one is, and the new one works.
    Refused,
    /// The old one still works.
    StillAccepted,
    /// Nothing: for this reason.
    Nothing(&'static str),
    /// The new one stopped working meanwhile: no more probes.
    Locked,
}

/// Judges one round.
pub fn judge(round: &Round) -> RoundSays {
    if round.new_before != Answer::Accepted {
        return RoundSays::Nothing("the new one was not accepted before");
    }
    match (&round.random, &round.old, &round.new_after) {
        (_, _, Answer::Refused(_)) => RoundSays::Locked,
        (Answer::Accepted, _, _) => RoundSays::Nothing("anything is accepted here"),
        (_, Answer::Accepted, _) => RoundSays::StillAccepted,
        (Answer::Refused(random), Answer::Refused(old), Answer::Accepted) if random == old => {
            RoundSays::Refused
        }
        (Answer::Refused(_), Answer::Refused(_), Answer::Accepted) => {
            RoundSays::Nothing("the old one is refused in another way than a random one")
        }
        _ => RoundSays::Nothing("an answer was neither yes nor no"),
    }
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
        assert!(matches!(round(Accepted, "400", refused("429"), Accepted), RoundSays::Nothing(_)));
        assert!(matches!(
            round(refused("400"), "400", refused("400"), Accepted),
            RoundSays::Nothing(_)
        ));
        assert_eq!(round(Accepted, "400", refused("400"), refused("403")), RoundSays::Locked);
    }

    #[test]
    fn where_anything_is_accepted_nothing_is_proven() {
        let open = Round {
            new_before: Answer::Accepted,
            random: Answer::Accepted,
            old: Answer::Refused("401".into()),
            new_after: Answer::Accepted,
        };
        assert!(matches!(judge(&open), RoundSays::Nothing(_)));
    }

    #[test]
    fn a_grade_is_never_higher_than_what_was_shown() {
        assert_eq!(grade(Shown { accepted: true, ..Shown::default() }), Grade::C);
        assert_eq!(grade(Shown { gone: true, accepted: true, refused: false }), Grade::B);
        assert_eq!(grade(Shown::default()), Grade::D);
    }
}
