//! Showing that a credential is ended: rounds of sign-ins within the platform's patience, and the
//! listing.

use std::time::Duration;

use connector::{Children, Connector, ObjectRef, Probe, Profile};
use domain::Secret;
use policy::proof::{Answer, Round, RoundSays, judge};

use crate::journal::moment;

/// What a listing, asked for now, says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    /// It shows it as alive, or as switched off: that is no end.
    Alive,
    /// It is complete and does not.
    Gone,
    /// It could not be read, or not whole.
    Unknown,
}

/// Looks for a key.
pub(crate) async fn listed(connector: &dyn Connector, object: &ObjectRef, key_id: &str) -> Listed {
    match connector.credentials(object).await {
        Ok(listing)
            if listing.credentials.iter().any(|one| one.key_id == key_id && one.stands()) =>
        {
            Listed::Alive
        }
        Ok(listing) if listing.complete => Listed::Gone,
        // Of another incarnation it is none.
        Err(connector::Error::Recreated { .. }) => Listed::Gone,
        Ok(_) | Err(_) => Listed::Unknown,
    }
}

/// What became of what was minted from a credential, for the journal.
pub(crate) fn children_words(children: &Children) -> String {
    match children {
        Children::None => "none".to_owned(),
        Children::Swept(count) => format!("swept {count}"),
        Children::Residual(Some(until)) => format!("residual until {}", moment(*until)),
        Children::Residual(None) | Children::Unknown => "unknown".to_owned(),
    }
}

/// How many seconds are waited after each round in which the old one was let in.
const PAUSES: [u64; 6] = [1, 2, 5, 10, 20, 40];
/// And after all of these.
const LONGEST_PAUSE: u64 = 60;

/// What rounds of sign-ins came to.
pub(crate) struct Rounds {
    /// The old one is refused as a random one is, while the new one works.
    pub(crate) refused: bool,
    /// The old one is let in after the longest that the platform is known to take.
    pub(crate) outlives: bool,
    /// The new one was let in, and is not any more: what was refused beside it locked it out.
    pub(crate) locked: bool,
    /// In words, for the journal.
    pub(crate) says: String,
    /// How many rounds were sent.
    pub(crate) sent: u32,
    /// How long ago the old one was first refused, where it was, and is.
    pub(crate) first_refused: Option<Duration>,
}

impl Rounds {
    /// Nothing was shown, and no round was sent.
    fn none(says: &str) -> Rounds {
        Rounds {
            refused: false,
            outlives: false,
            locked: false,
            says: says.to_owned(),
            sent: 0,
            first_refused: None,
        }
    }
}

/// Sends rounds until one tells, the platform's lag is over, or its patience is used up, of which
/// some is spent already.
pub(crate) async fn rounds(
    connector: &dyn Connector,
    object: &ObjectRef,
    credential_type: &str,
    profile: &Profile,
    spent: u32,
    new: &Secret,
    old: &Secret,
) -> Rounds {
    let budget = profile.probe;
    // A round refuses twice: a random one and the old one. What this run was refused before counts.
    let most = u32::from(budget.in_window).saturating_sub(spent) / 2;
    if budget.between_successes < 2 {
        return Rounds::none("the platform stands no refused sign-in");
    }
    if most == 0 {
        return Rounds::none("the platform stands no more refused sign-ins now");
    }
    let Ok(random) = connector.random_like(credential_type, old) else {
        return Rounds::none("no random secret can be made");
    };
    let lag = profile.revocation_lag.to_std();
    // Only a round after the platform's time shows anything: the last one, or the only one, waits.
    let mut waited = if most == 1 { lag } else { Duration::ZERO };
    tokio::time::sleep(waited).await;
    let (mut sent, mut first_refused) = (0, None);
    loop {
        let ask =
            async |secret: &Secret| match connector.probe(object, credential_type, secret).await {
                Ok(Probe::Accepted { .. }) => Answer::Accepted,
                Ok(Probe::Refused { class }) => Answer::Refused(class),
                Err(error) => Answer::Void(error.to_string()),
            };
        let new_before = ask(new).await;
        let not_asked = || Answer::Void("not asked".into());
        let (random_answer, old_answer, new_after) = if new_before == Answer::Accepted {
            (ask(&random).await, ask(old).await, ask(new).await)
        } else {
            (not_asked(), not_asked(), not_asked())
        };
        sent += 1;
        let round = Round { new_before, random: random_answer, old: old_answer, new_after };
        let says = judge(&round);
        if says == RoundSays::Refused {
            first_refused.get_or_insert(waited);
        }
        let ago = first_refused.map(|first: Duration| waited.saturating_sub(first));
        let done = |refused: bool, says: &str| Rounds {
            refused,
            sent,
            first_refused: ago.filter(|_| refused),
            ..Rounds::none(says)
        };
        match says {
            RoundSays::Refused if waited >= lag => {
                let says = "old refused as a random one is, new accepted";
                return match first_refused.filter(|_| lag > Duration::ZERO) {
                    Some(after) => done(
                        true,
                        &format!(
                            "{says}; first after {}s, last after {}s",
                            after.as_secs(),
                            waited.as_secs()
                        ),
                    ),
                    None => done(true, says),
                };
            }
            RoundSays::Locked => {
                let says = "the new one stopped working: no more probes";
                return Rounds { locked: true, ..done(false, says) };
            }
            RoundSays::Nothing(why) => return done(false, why),
            RoundSays::Refused | RoundSays::StillAccepted => {}
        }
        let rest = lag.saturating_sub(waited);
        if sent >= most || rest.is_zero() {
            let says = "the old one was still accepted when the platform's time was over";
            return Rounds { outlives: true, ..done(false, says) };
        }
        // What was refused once is asked about once more, when no part of the platform may lag; what
        // was not, sooner at first, so that it is known when that began.
        let last = says == RoundSays::Refused || sent + 1 >= most;
        let step = PAUSES.get(sent as usize - 1).copied().unwrap_or(LONGEST_PAUSE);
        let pause = if last { rest } else { rest.min(Duration::from_secs(step)) };
        tokio::time::sleep(pause).await;
        waited += pause;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use connector::{
        Clock, NewIntegration, ProbeBudget,
        fake::{APP, Fake, KEY},
    };
    use domain::{Record, Settings, Span};
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    /// Time that passes when the paused runtime sleeps.
    #[derive(Debug)]
    struct Paused(tokio::time::Instant);

    impl Clock for Paused {
        fn now(&self) -> Timestamp {
            let slept = SignedDuration::try_from(self.0.elapsed()).unwrap();
            Timestamp::UNIX_EPOCH + slept
        }
    }

    /// A platform that lets an ended key in for `really`, with one key that works and one that ended.
    async fn late(really: u64) -> (Fake, ObjectRef, Secret, Secret) {
        let fake = Fake::new(Arc::new(Paused(tokio::time::Instant::now())));
        let new = NewIntegration {
            kind: APP.into(),
            name: "sync".into(),
            settings: Settings::default(),
            record: Record::default(),
        };
        let made = fake.create(&new).await.unwrap();
        let mut old = String::new();
        fake.by_hand(APP, "sync", |hand| {
            hand.issue("new", None);
            old = hand.issue("old", None);
        });
        let object = ObjectRef {
            kind: APP.into(),
            key: "sync".into(),
            vendor_id: Some(made.vendor_id),
            name: "sync".into(),
        };
        fake.end_late(Span::from_secs(300), Span::from_secs(really));
        fake.end(&object, &old).await.unwrap();
        (fake, object, Secret::new("new"), Secret::new("old"))
    }

    async fn profile(fake: &Fake, in_window: u8) -> Profile {
        let promised = *fake.promises(KEY).await.unwrap()[0].profile;
        Profile { probe: ProbeBudget { in_window, ..promised.probe }, ..promised }
    }

    #[tokio::test(start_paused = true)]
    async fn a_platform_that_ends_late_is_asked_once_more_when_its_time_is_over() {
        for (in_window, spent, sent) in [(4, 0, 2), (4, 2, 1), (40, 0, 2)] {
            let (fake, object, new, old) = late(0).await;
            let late = profile(&fake, in_window).await;
            let begun = tokio::time::Instant::now();
            let shown = rounds(&fake, &object, KEY, &late, spent, &new, &old).await;
            assert!(shown.refused, "{}", shown.says);
            assert_eq!(shown.sent, sent);
            assert!(begun.elapsed() >= Duration::from_secs(300));
        }
        let (fake, object, new, old) = late(0).await;
        let late = profile(&fake, 2).await;
        let narrow = ProbeBudget { between_successes: 1, ..late.probe };
        let strict = Profile { probe: narrow, ..late };
        let shown = rounds(&fake, &object, KEY, &strict, 0, &new, &old).await;
        assert!(!shown.refused && shown.sent == 0, "a place that stands fewer is not asked");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_late_is_proven_when_the_time_is_over_and_not_before() {
        for (in_window, really, first) in [(40, 36, 38), (40, 100, 138), (6, 36, 300), (4, 36, 300)]
        {
            let (fake, object, new, old) = late(really).await;
            let late = profile(&fake, in_window).await;
            let begun = tokio::time::Instant::now();
            let shown = rounds(&fake, &object, KEY, &late, 0, &new, &old).await;
            assert!(shown.refused && !shown.outlives, "{}", shown.says);
            assert!(begun.elapsed() >= Duration::from_secs(300), "{:?}", begun.elapsed());
            let said = format!("first after {first}s, last after 300s");
            assert!(shown.says.ends_with(&said), "{in_window}: {}", shown.says);
            assert!(2 * shown.sent <= u32::from(in_window), "more refusals than are stood");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_let_in_after_the_platforms_time_is_neither_proven_nor_waited_for_any_longer() {
        for in_window in [2, 4, 40] {
            let (fake, object, new, old) = late(1_000).await;
            let late = profile(&fake, in_window).await;
            let begun = tokio::time::Instant::now();
            let shown = rounds(&fake, &object, KEY, &late, 0, &new, &old).await;
            assert!(shown.outlives && !shown.refused, "{}", shown.says);
            assert_eq!(begun.elapsed().as_secs(), 300);
        }
    }
}
