//! How a credential would be issued, and what that way cannot do: told at plan, before anything is
//! issued.

use connector::{CredentialType, Effect, Marks, Origin, Profile, Promise};
use domain::Span;
use policy::proof::Grade;

use crate::{Context, Problem, slot::limit_of};

/// The ways in which a connection issues a type, best first; `None` where that cannot be asked now.
/// A plan is told by it and plans no value by it.
pub async fn ways(
    context: &Context,
    connection: &str,
    credential_type: &CredentialType,
) -> Option<Vec<Promise>> {
    let connector = context.connector(connection).await.ok()?;
    connector.promises(credential_type.name).await.ok()
}

/// How long after its overlap an earlier one ends by its platform's own hand, which is told of it once its
/// successor is delivered; `None` where that cannot be told of it, or not be asked now, or a person is
/// asked first.
pub async fn ends_by_itself_after(
    context: &Context,
    connection: &str,
    credential_type: &str,
    overlap: Span,
    refresh: Option<Span>,
) -> Option<Span> {
    let connector = context.connector(connection).await.ok()?;
    limit_of(context, &*connector, credential_type, overlap, refresh)
}

/// That a rotation cuts consumers off who stand none that does. `one`: what it is of.
pub fn interrupts(what: &str, one: &str) -> Problem {
    Problem::new("E-INTERRUPTS", "This rotation would cut its consumers off")
        .detail(format!(
            "{what} says interruption = \"refuse\", and the next {one} takes the place of the one that \
             consumers hold: that stops working before they can read the other. Nothing was changed."
        ))
        .next(
            "choose a type of credential that overlaps; or set interruption = \"accept\" for a time at which \
             that does no harm, and apply then. What is exposed (incident) rotates all the same",
        )
        .at(&["interruption"])
}

/// How far an end can be shown at best. `at_hand`: the secret of what ends can be read then, to be tried
/// beside one that works.
pub fn best_grade(profile: &Profile, at_hand: bool) -> Grade {
    // A round is refused twice.
    let stands = profile.probe.between_successes >= 2 && profile.probe.in_window >= 2;
    if profile.keeps_what_ended() {
        // It is refused, and listed no more, until somebody switches it on again.
        Grade::C
    } else if at_hand && stands {
        Grade::A
    } else if profile.lists {
        Grade::B
    } else {
        Grade::C
    }
}

/// Whether what a sink holds can still be read when the next one has taken its place. It is asked about
/// the one that is written last: the first of the deliveries by name.
pub async fn keeps_earlier(context: &Context, connection: &str) -> bool {
    // What cannot be reached now is not called wanting.
    context.sink(connection).await.map_or(true, |sink| sink.capabilities().keeps_versions)
}

/// What a way of issuing does, in words.
pub fn way_words(profile: &Profile) -> &'static str {
    match (profile.effect, profile.origin) {
        _ if profile.keeps_what_ended() => "the platform makes one, and never another",
        (Effect::Alternates, _) => {
            "of two places the one that is free gets a new one, with a secret that is chosen here"
        }
        (Effect::Supersedes { .. }, _) => {
            "the platform makes a new one, and ends the old one by itself after a while"
        }
        (Effect::Replaces, Origin::Itself { .. }) => {
            "it makes its own successor, which takes its place at once"
        }
        (Effect::Replaces, _) => "the new one takes the place of the old one at once",
        (Effect::Adds { .. }, Origin::Ours) => {
            "a new one is added, with a secret that is chosen here"
        }
        (Effect::Adds { .. }, Origin::OursPublicKey) => {
            "a new one is added, of which the platform gets the public half"
        }
        (Effect::Adds { .. }, _) => "a new one is added, with a secret that the platform makes",
    }
}

/// What a way of issuing cannot do, a clause each; empty where it can do everything.
pub fn limits(profile: &Profile) -> Vec<String> {
    let mut limits = Vec::new();
    match profile.effect {
        Effect::Replaces => {
            limits.push("without overlap: the old one dies when the new one is made".to_owned());
        }
        Effect::Adds { max_live: Some(1) } => {
            limits.push("without overlap: one may live at a time".to_owned());
        }
        Effect::Supersedes { keeps } => limits.push(format!(
            "the old one works for {keeps} at most, and where the answer to a call is lost no longer than \
             until the next call"
        )),
        Effect::Adds { .. } | Effect::Alternates => {}
    }
    if matches!(profile.origin, Origin::Itself { .. }) {
        limits.push(
            "called with itself: where the answer is lost, only what made the first can make another, or \
             its platform"
                .to_owned(),
        );
    }
    if profile.marks == Marks::Never {
        limits
            .push("no mark of ours stands on it: only custody knows which one is ours".to_owned());
    }
    if !profile.lists {
        limits.push("what nobody declared cannot be seen".to_owned());
    }
    if !profile.sets_expiry {
        limits.push(
            "it does not end by itself: if nobody runs anything again, it lives on".to_owned(),
        );
    }
    if profile.keeps_what_ended() {
        limits.push(
            "an end only switches it off, and switched on again it is the same one: after an end none is \
             issued any more"
                .to_owned(),
        );
    }
    match best_grade(profile, true) {
        Grade::A => {}
        grade => limits.push(format!("its end can be shown to grade {} at best", grade.as_str())),
    }
    limits
}

#[cfg(test)]
mod tests {
    use connector::{ProbeBudget, VerifyCost};

    use super::*;

    const WHOLE: Profile = Profile {
        name: "add-ours",
        effect: Effect::Adds { max_live: None },
        origin: Origin::Ours,
        marks: Marks::AtIssue,
        lists: true,
        sets_expiry: true,
        disables: false,
        moves_expiry: false,
        verify: VerifyCost { takes_use: false },
        probe: ProbeBudget { between_successes: 2, in_window: 4, window: Span::from_secs(900) },
        revocation_lag: Span::ZERO,
        list_lag: Span::ZERO,
    };

    #[test]
    fn a_way_that_can_do_everything_has_no_limits() {
        assert!(limits(&WHOLE).is_empty());
        assert!(limits(&Profile { effect: Effect::Alternates, ..WHOLE }).is_empty());
        assert_eq!(best_grade(&WHOLE, true), Grade::A);
    }

    #[test]
    fn what_cannot_be_tried_is_promised_no_more_than_its_listing() {
        assert_eq!(best_grade(&WHOLE, false), Grade::B, "nobody has its secret then");
        assert_eq!(best_grade(&Profile { lists: false, ..WHOLE }, false), Grade::C);
        let once = ProbeBudget { between_successes: 1, ..WHOLE.probe };
        assert_eq!(best_grade(&Profile { probe: once, ..WHOLE }, true), Grade::B, "a round is two");
    }

    #[test]
    fn what_a_way_does_is_told_in_words_and_not_by_its_code_name() {
        let once = Profile { name: "first-only", ..WHOLE };
        let replaces = Profile { effect: Effect::Replaces, ..WHOLE };
        let supersedes =
            Profile { effect: Effect::Supersedes { keeps: Span::from_secs(3600) }, ..WHOLE };
        let alternates = Profile { effect: Effect::Alternates, ..WHOLE };
        for (profile, expected) in [
            (WHOLE, "chosen here"),
            (once, "never another"),
            (replaces, "takes the place"),
            (alternates, "of two places"),
            (supersedes, "by itself"),
        ] {
            let said = way_words(&profile);
            assert!(said.contains(expected) && !said.contains(profile.name), "{said}");
        }
    }

    #[test]
    fn each_thing_that_a_way_cannot_do_is_said_once() {
        let blind = ProbeBudget { between_successes: 0, ..WHOLE.probe };
        for (profile, expected) in [
            (Profile { effect: Effect::Replaces, ..WHOLE }, "overlap"),
            (
                Profile { effect: Effect::Supersedes { keeps: Span::from_secs(3600) }, ..WHOLE },
                "1h",
            ),
            (Profile { effect: Effect::Adds { max_live: Some(1) }, ..WHOLE }, "one may live"),
            (Profile { marks: Marks::Never, ..WHOLE }, "custody"),
            (Profile { lists: false, ..WHOLE }, "nobody declared"),
            (Profile { sets_expiry: false, ..WHOLE }, "lives on"),
            (Profile { probe: blind, ..WHOLE }, "grade B"),
        ] {
            let said = limits(&profile);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].contains(expected), "{said:?}");
        }
        assert_eq!(best_grade(&Profile { probe: blind, lists: false, ..WHOLE }, true), Grade::C);
    }

    #[test]
    fn the_end_of_what_a_platform_keeps_is_promised_as_no_more_than_it_is() {
        let kept = Profile { name: "first-only", ..WHOLE };
        let said = limits(&kept).join("; ");
        assert!(said.contains("only switches it off") && said.contains("grade C"), "{said}");
        assert_eq!(best_grade(&kept, true), Grade::C);
    }
}
