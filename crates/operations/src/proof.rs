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
    /// It shows it as alive.
    Alive,
    /// It is complete and does not.
    Gone,
    /// It could not be read, or not whole.
    Unknown,
}

/// Looks for a key.
pub(crate) async fn listed(connector: &dyn Connector, object: &ObjectRef, key_id: &str) -> Listed {
    match connector.credentials(object).await {
        Ok(listing) if listing.credentials.iter().any(|one| one.key_id == key_id && one.live) => {
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

/// What rounds of sign-ins came to.
pub(crate) struct Rounds {
    /// The old one is refused as a random one is, while the new one works.
    pub(crate) refused: bool,
    /// In words, for the journal.
    pub(crate) says: String,
    /// How many rounds were sent.
    pub(crate) sent: u32,
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
        let says = "the platform stands no refused sign-in".to_owned();
        return Rounds { refused: false, says, sent: 0 };
    }
    if most == 0 {
        let says = "the platform stands no more refused sign-ins now".to_owned();
        return Rounds { refused: false, says, sent: 0 };
    }
    let Ok(random) = connector.random_like(credential_type, old) else {
        let says = "no random secret can be made".to_owned();
        return Rounds { refused: false, says, sent: 0 };
    };
    let lag = profile.revocation_lag.to_std();
    // Only a round after the platform's time shows anything: the last one, or the only one, waits.
    let mut waited = if most == 1 { lag } else { Duration::ZERO };
    tokio::time::sleep(waited).await;
    let mut sent = 0;
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
        let done = |refused: bool, says: &str| Rounds { refused, says: says.to_owned(), sent };
        match says {
            RoundSays::Refused if waited >= lag => {
                return done(true, "old refused as a random one is, new accepted");
            }
            RoundSays::Locked => return done(false, "the new one stopped working: no more probes"),
            RoundSays::Nothing(why) => return done(false, why),
            RoundSays::Refused | RoundSays::StillAccepted => {}
        }
        let rest = lag.saturating_sub(waited);
        if sent >= most || rest.is_zero() {
            return done(false, "the old one was still accepted when the platform's time was over");
        }
        let last = says == RoundSays::Refused || sent + 1 >= most;
        let pause = if last { rest } else { rest.min(Duration::from_secs(60)) };
        tokio::time::sleep(pause).await;
        waited += pause;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use connector::{
        NewIntegration, ProbeBudget, SystemClock,
        fake::{APP, Fake, KEY},
    };
    use domain::{Record, Settings, Span};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_platform_that_ends_late_is_asked_once_more_when_its_time_is_over() {
        let fake = Fake::new(Arc::new(SystemClock));
        let new = NewIntegration {
            kind: APP.into(),
            name: "sync".into(),
            settings: Settings::default(),
            record: Record::default(),
        };
        let made = fake.create(&new).await.unwrap();
        fake.by_hand(APP, "sync", |hand| drop(hand.issue("new", None)));
        let object = ObjectRef {
            kind: APP.into(),
            key: "sync".into(),
            vendor_id: Some(made.vendor_id),
            name: "sync".into(),
        };
        let (new, old) = (Secret::new("new"), Secret::new("old"));
        let promised = fake.promises(KEY).await.unwrap()[0].profile;
        let late = Profile { revocation_lag: Span::from_secs(300), ..*promised };
        for (spent, sent) in [(0, 2), (2, 1)] {
            let begun = tokio::time::Instant::now();
            let shown = rounds(&fake, &object, KEY, &late, spent, &new, &old).await;
            assert!(shown.refused, "{}", shown.says);
            assert_eq!(shown.sent, sent);
            assert!(begun.elapsed() >= Duration::from_secs(300));
        }
        let narrow = ProbeBudget { between_successes: 1, in_window: 2, ..late.probe };
        let strict = Profile { probe: narrow, ..late };
        let shown = rounds(&fake, &object, KEY, &strict, 0, &new, &old).await;
        assert!(!shown.refused && shown.sent == 0, "a place that stands fewer is not asked");
    }
}
