//! How far a revocation is proven: never more than was seen.

use domain::Span;
use jiff::Timestamp;

use crate::{rotation::Previous, schedule::later};

/// A grade of proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

    /// Reads the letter.
    pub fn from_letter(letter: &str) -> Option<Grade> {
        [Grade::A, Grade::B, Grade::C, Grade::D].into_iter().find(|one| one.as_str() == letter)
    }

    /// The letter, with the time until which it says too much: what was minted may live as long.
    pub fn words(self, residual_until: Option<Timestamp>) -> String {
        match residual_until.filter(|_| self == Grade::A) {
            Some(until) => format!("A, residual until {}", until.strftime("%Y-%m-%dT%H:%M:%SZ")),
            None => self.as_str().to_owned(),
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
    /// When a key was let in after the longest that its platform is known to take to end it: there one
    /// refusal shows nothing.
    pub outlived: Option<Timestamp>,
    /// The last keys that were ended, the newest last.
    pub ended: Vec<Ended>,
}

/// A key that was ended, and how far that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ended {
    /// The vendor's id.
    pub key_id: String,
    /// Its generation.
    pub generation: u64,
    /// When its end was asked for, or seen.
    pub at: Timestamp,
    /// How far it was shown.
    pub grade: Grade,
    /// Until when something that was minted from it may live.
    pub residual_until: Option<Timestamp>,
    /// Which version of the anchor's document still holds its secret, because more may be shown with it.
    pub held_version: Option<u64>,
    /// When it is to be looked at again; `None` where the grade is final.
    pub due: Option<Timestamp>,
}

/// What is done about a key that was ended, once its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Its grade is final: the sink forgets what no longer opens anything.
    Forget,
    /// What was minted from it has ended by now: a complete listing makes the grade whole.
    List,
    /// It is tried once more, beside one that works.
    Try,
}

impl Ended {
    /// The key as a claim names those that are to end.
    pub fn as_earlier(&self) -> Previous {
        let held_version = self.held_version;
        Previous { held_version, ..Previous::new(&self.key_id, self.generation) }
    }

    /// What a proof leaves to be done. `open`: another round may show more, as long as the secret is kept.
    #[must_use]
    pub fn with_due(self, open: bool, now: Timestamp, deadline: Span) -> Ended {
        let ends = later(self.at, deadline);
        let residual = self.residual_until.filter(|at| self.grade == Grade::A && *at > now);
        let held_version = self.held_version.filter(|_| open && now < ends);
        let due = match held_version {
            Some(_) => Some(later(now, RETRY).min(ends)),
            None => residual,
        };
        Ended { held_version, due, ..self }
    }

    /// Whether it is to be looked at now.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|due| now >= due)
    }

    /// What is done then.
    pub fn again(&self, now: Timestamp, deadline: Span) -> Again {
        match self.held_version {
            Some(_) if now >= later(self.at, deadline) => Again::Forget,
            Some(_) => Again::Try,
            None => Again::List,
        }
    }
}

/// How long after a proof that came to nothing another is tried.
pub const RETRY: Span = Span::from_secs(300);
/// How many ended keys are remembered.
const REMEMBERED: usize = 8;

impl Proofs {
    /// Notes one that was ended. Of those that nothing is due of, the oldest are forgotten.
    pub fn note(&mut self, one: Ended) {
        self.ended.retain(|have| have.key_id != one.key_id);
        self.ended.push(one);
        while self.ended.len() > REMEMBERED {
            let done = self.ended.iter().position(|one| one.due.is_none()).unwrap_or(0);
            self.ended.remove(done);
        }
    }

    /// Whether one is to be looked at now.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.ended.iter().any(|one| one.is_due(now))
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

    const AT: Timestamp = Timestamp::constant(1_795_500_000, 0);
    const DAY: Span = Span::from_secs(86_400);

    fn ended(key_id: &str, grade: Grade) -> Ended {
        Ended {
            key_id: key_id.into(),
            generation: 1,
            at: AT,
            grade,
            residual_until: None,
            held_version: Some(3),
            due: None,
        }
    }

    #[test]
    fn what_may_be_shown_better_is_tried_again_until_the_deadline_and_forgotten_then() {
        let one = ended("k", Grade::B).with_due(true, AT, DAY);
        assert_eq!((one.held_version, one.due), (Some(3), Some(later(AT, RETRY))));
        assert!(!one.is_due(AT) && one.is_due(later(AT, RETRY)));
        assert_eq!(one.again(later(AT, RETRY), DAY), Again::Try);
        let last = later(AT, Span::from_secs(86_399));
        let late = one.clone().with_due(true, last, DAY);
        assert_eq!(late.due, Some(later(AT, DAY)), "the deadline is no later");
        assert_eq!(late.again(later(AT, DAY), DAY), Again::Forget);
        let over = one.clone().with_due(true, later(AT, DAY), DAY);
        assert_eq!((over.held_version, over.due), (None, None));
        let done = one.with_due(false, AT, DAY);
        assert_eq!((done.held_version, done.due), (None, None), "the grade is final");
    }

    #[test]
    fn an_a_beside_what_was_minted_becomes_whole_when_that_has_ended() {
        let until = later(AT, Span::from_secs(3600));
        let minted = |grade| Ended { residual_until: Some(until), ..ended("k", grade) };
        let one = minted(Grade::A).with_due(false, AT, DAY);
        assert_eq!((one.due, one.again(until, DAY)), (Some(until), Again::List));
        assert_eq!(minted(Grade::A).with_due(false, until, DAY).due, None, "it has ended");
        assert_eq!(minted(Grade::B).with_due(false, AT, DAY).due, None, "a listing shows no more");
        let words = Grade::A.words(Some(until));
        assert!(words.starts_with("A, residual until 20"), "{words}");
        assert_eq!(Grade::B.words(Some(until)), "B");
    }

    #[test]
    fn of_many_ended_keys_those_are_remembered_of_which_something_is_due() {
        let mut proofs = Proofs::default();
        proofs.note(ended("open", Grade::B).with_due(true, AT, DAY));
        for at in 0..40 {
            proofs.note(ended(&format!("k{at}"), Grade::A).with_due(false, AT, DAY));
        }
        assert_eq!(proofs.ended.len(), REMEMBERED);
        assert_eq!(proofs.ended[0].key_id, "open");
        assert_eq!(proofs.ended.last().unwrap().key_id, "k39");
        proofs.note(ended("open", Grade::A).with_due(false, AT, DAY));
        let open = proofs.ended.iter().filter(|one| one.key_id == "open");
        assert_eq!(open.map(|one| one.grade).collect::<Vec<_>>(), [Grade::A]);
    }
}
