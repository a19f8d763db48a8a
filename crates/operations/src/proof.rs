//! Showing that a credential is ended: rounds of sign-ins within the platform's patience, and the
//! listing.

use std::{net::IpAddr, time::Duration};

use connector::{Children, Connector, ObjectRef, Probe, Profile};
use domain::{Secret, Span};
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

/// What kind of address a platform is asked at, as its configuration has it. A name is not looked up.
pub(crate) fn from_words(address: Option<&str>) -> &'static str {
    let rest = address.map(|address| address.split_once("://").map_or(address, |(_, rest)| rest));
    let Some(place) = rest.and_then(|rest| rest.split(['/', '?']).next()) else { return "unknown" };
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let host = match place.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => place.rsplit_once(':').map_or(place, |(host, _)| host),
    };
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_loopback() => "loopback",
        Ok(IpAddr::V4(ip)) if ip.is_private() || ip.is_link_local() => "private",
        Ok(IpAddr::V6(ip)) if ip.is_unique_local() || ip.is_unicast_link_local() => "private",
        Ok(_) => "public",
        Err(_) if host == "localhost" => "loopback",
        Err(_) => "unknown",
    }
}

/// How many seconds are waited after each round in which the old one was let in.
const PAUSES: [u64; 6] = [1, 2, 5, 10, 20, 40];
/// And after all of these.
const LONGEST_PAUSE: u64 = 60;
/// How long a platform that ends at once is given to answer where a round said nothing, in seconds.
const PATIENCE: u64 = 30;
/// The least that is waited after such a round: a limit is not over in a moment.
const BREATH: u64 = 5;

/// What rounds of sign-ins came to.
pub(crate) struct Rounds {
    /// The old one is refused as a random one is, while the new one works.
    pub(crate) refused: bool,
    /// The old one is let in after the longest that the platform is known to take.
    pub(crate) outlives: bool,
    /// The new one was let in, and is not any more: what was refused beside it locked it out.
    pub(crate) locked: bool,
    /// A random one was let in; `None` where none was judged.
    pub(crate) accepts_anything: Option<bool>,
    /// Nothing was shown, and another round at another time may show it.
    pub(crate) void: bool,
    /// In words, for the journal.
    pub(crate) says: String,
    /// How many rounds were sent.
    pub(crate) sent: u32,
    /// How long ago the old one was first refused, where it was, and is.
    pub(crate) first_refused: Option<Duration>,
    /// None was sent that refuses: what the platform stands is used up for now.
    pub(crate) spent: bool,
}

impl Rounds {
    /// Nothing was shown, and no round was sent.
    fn none(says: &str) -> Rounds {
        Rounds {
            refused: false,
            outlives: false,
            locked: false,
            accepts_anything: None,
            void: false,
            says: says.to_owned(),
            sent: 0,
            first_refused: None,
            spent: false,
        }
    }
}

/// What is known before the first round.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SoFar {
    /// Refused sign-ins of this run: what the platform stands is less by them.
    pub(crate) spent: u32,
    /// For how long it is tried where a key was let in after its end before: a part of the platform may let
    /// it in still, and one refusal shows nothing.
    pub(crate) outlived: Option<Span>,
}

/// So many refusals in a row show it where one shows nothing.
const IN_A_ROW: u32 = 2;

/// Sends rounds until one tells, the platform's lag is over, or its patience is used up, of which
/// some is spent already.
pub(crate) async fn rounds(
    connector: &dyn Connector,
    object: &ObjectRef,
    credential_type: &str,
    profile: &Profile,
    so_far: SoFar,
    new: &Secret,
    old: &Secret,
) -> Rounds {
    let budget = profile.probe;
    // A round refuses twice: a random one and the old one. What this run was refused before counts.
    let most = u32::from(budget.in_window).saturating_sub(so_far.spent) / 2;
    if budget.between_successes < 2 {
        return Rounds::none("the platform stands no refused sign-in");
    }
    if most == 0 {
        let says = "the platform stands no more refused sign-ins now";
        return Rounds { spent: true, ..Rounds::none(says) };
    }
    let Ok(random) = connector.random_like(credential_type, old) else {
        return Rounds::none("no random secret can be made");
    };
    let wants = if so_far.outlived.is_some() { IN_A_ROW } else { 1 };
    if most < wants {
        let says =
            "it was let in after its end before, and the platform stands no second round now";
        return Rounds { spent: true, ..Rounds::none(says) };
    }
    let lag = profile.revocation_lag.max(so_far.outlived.unwrap_or(Span::ZERO)).to_std();
    // Only a round after the platform's time shows anything: the last one, or the only one, waits.
    let mut waited = if most == 1 { lag } else { Duration::ZERO };
    tokio::time::sleep(waited).await;
    let time = lag.max(Duration::from_secs(PATIENCE));
    let (mut sent, mut asked, mut first_refused) = (0, 0, None);
    let (mut in_a_row, mut let_in) = (0, false);
    loop {
        let round = ask_round(connector, object, credential_type, [new, &random, old]).await;
        asked += 1;
        // Where the first got no answer none was refused.
        sent += u32::from(!matches!(round.new_before, Answer::Void(_)));
        let says = judge(&round);
        match says {
            RoundSays::Refused => {
                first_refused.get_or_insert(waited);
                in_a_row += 1;
            }
            // What was refused before was so by a part of the platform.
            RoundSays::StillAccepted => (first_refused, in_a_row, let_in) = (None, 0, true),
            _ => {}
        }
        let ago = first_refused.map(|first: Duration| waited.saturating_sub(first));
        let done = |refused: bool, says: &str| Rounds {
            refused,
            sent,
            first_refused: ago.filter(|_| refused),
            accepts_anything: match round.random {
                Answer::Accepted => Some(true),
                Answer::Refused(_) => Some(false),
                Answer::Void(_) => None,
            },
            ..Rounds::none(says)
        };
        match says {
            RoundSays::Refused if waited >= lag && in_a_row >= wants => {
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
            RoundSays::AnythingGoes => {
                return done(false, "a random one was let in: anything is accepted here");
            }
            RoundSays::NewRefused => {
                let says = "the new one was not accepted before";
                return Rounds { void: true, ..done(false, says) };
            }
            RoundSays::Refused | RoundSays::StillAccepted | RoundSays::Void(_) => {}
        }
        let void = matches!(says, RoundSays::Void(_));
        let rest = if void { time } else { lag }.saturating_sub(waited);
        if sent >= most || rest.is_zero() {
            if let RoundSays::Void(why) = says {
                return Rounds { void, ..done(false, why) };
            }
            if says == RoundSays::Refused && !let_in {
                let says = "refused once, and it was let in after its end before";
                return Rounds { void: true, ..done(false, says) };
            }
            let says = "the old one was still accepted when the platform's time was over";
            return Rounds { outlives: true, ..done(false, says) };
        }
        let step = PAUSES.get(asked as usize - 1).copied().unwrap_or(LONGEST_PAUSE);
        // The last one that is stood shows nothing before the platform's time is over.
        let due = if sent + 1 >= most { lag.saturating_sub(waited) } else { Duration::ZERO };
        let pause = match says {
            RoundSays::Void(_) => rest.min(Duration::from_secs(step.max(BREATH))).max(due),
            // What was refused once is asked about once more, when no part of the platform may lag;
            // what was not, sooner at first, so that it is known when that began.
            RoundSays::Refused if wants == 1 => rest,
            _ => rest.min(Duration::from_secs(step)).max(due),
        };
        tokio::time::sleep(pause).await;
        waited += pause;
    }
}

/// One round: the new one, a random one, the old one, the new one again. What an answer makes needless
/// is not asked.
async fn ask_round(
    connector: &dyn Connector,
    object: &ObjectRef,
    credential_type: &str,
    [new, random, old]: [&Secret; 3],
) -> Round {
    let ask = async |secret: &Secret| match connector.probe(object, credential_type, secret).await {
        Ok(Probe::Accepted { .. }) => Answer::Accepted,
        Ok(Probe::Refused { class }) => Answer::Refused(class),
        Err(error) => Answer::Void(error.to_string()),
    };
    let not_asked = || Answer::Void("not asked".into());
    let new_before = ask(new).await;
    if new_before != Answer::Accepted {
        return Round { new_before, random: not_asked(), old: not_asked(), new_after: not_asked() };
    }
    let random = ask(random).await;
    let old = if matches!(random, Answer::Refused(_)) { ask(old).await } else { not_asked() };
    // Whatever was refused, what works ends the round: a platform that counts begins anew.
    Round { new_before, random, old, new_after: ask(new).await }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use connector::{
        Clock, NewIntegration, ProbeBudget, Refusal,
        fake::{APP, Fake, Fault, KEY, Verb},
    };
    use domain::{Record, Settings};
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

    fn after(spent: u32) -> SoFar {
        SoFar { spent, outlived: None }
    }

    async fn profile(fake: &Fake, in_window: u8) -> Profile {
        let promised = *fake.promises(KEY).await.unwrap()[0].profile;
        Profile { probe: ProbeBudget { in_window, ..promised.probe }, ..promised }
    }

    #[test]
    fn what_kind_of_address_it_is_tried_at_is_told_and_a_name_is_not_looked_up() {
        for (address, expected) in [
            (Some("http://127.0.0.1:8200"), "loopback"),
            (Some("https://localhost/hub"), "loopback"),
            (Some("postgresql://nhi@[::1]:5432/app"), "loopback"),
            (Some("https://10.1.2.3"), "private"),
            (Some("https://[fd00::1]:8200/v1"), "private"),
            (Some("https://203.0.113.7/a@b"), "public"),
            (Some("https://bao.acme.example:8200"), "unknown"),
            (None, "unknown"),
        ] {
            assert_eq!(from_words(address), expected, "{address:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_platform_that_ends_late_is_asked_once_more_when_its_time_is_over() {
        for (in_window, spent, sent) in [(4, 0, 2), (4, 2, 1), (40, 0, 2)] {
            let (fake, object, new, old) = late(0).await;
            let late = profile(&fake, in_window).await;
            let begun = tokio::time::Instant::now();
            let shown = rounds(&fake, &object, KEY, &late, after(spent), &new, &old).await;
            assert!(shown.refused, "{}", shown.says);
            assert_eq!(shown.sent, sent);
            assert!(begun.elapsed() >= Duration::from_secs(300));
        }
        let (fake, object, new, old) = late(0).await;
        let late = profile(&fake, 2).await;
        let narrow = ProbeBudget { between_successes: 1, ..late.probe };
        let strict = Profile { probe: narrow, ..late };
        let shown = rounds(&fake, &object, KEY, &strict, after(0), &new, &old).await;
        assert!(!shown.refused && shown.sent == 0, "a place that stands fewer is not asked");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_late_is_proven_when_the_time_is_over_and_not_before() {
        for (in_window, really, first) in [(40, 36, 38), (40, 100, 138), (6, 36, 300), (4, 36, 300)]
        {
            let (fake, object, new, old) = late(really).await;
            let late = profile(&fake, in_window).await;
            let begun = tokio::time::Instant::now();
            let shown = rounds(&fake, &object, KEY, &late, after(0), &new, &old).await;
            assert!(shown.refused && !shown.outlives, "{}", shown.says);
            assert!(begun.elapsed() >= Duration::from_secs(300), "{:?}", begun.elapsed());
            let said = format!("first after {first}s, last after 300s");
            assert!(shown.says.ends_with(&said), "{in_window}: {}", shown.says);
            assert!(2 * shown.sent <= u32::from(in_window), "more refusals than are stood");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_in_which_somebody_gave_no_answer_is_sent_again_within_time_and_budget() {
        let limit = Fault::Refused(Refusal::RateLimited);
        let faults: [&[Fault]; 4] = [
            &[limit],
            &[Fault::None, limit],
            &[Fault::None, Fault::None, Fault::NotSent],
            &[Fault::None, Fault::None, Fault::None, Fault::AnswerLost],
        ];
        for (at, faults) in faults.into_iter().enumerate() {
            let (fake, object, new, old) = late(0).await;
            let patient = Profile { revocation_lag: Span::ZERO, ..profile(&fake, 4).await };
            fake.calls();
            fake.fail(Verb::Probe, faults.iter().copied());
            let begun = tokio::time::Instant::now();
            let shown = rounds(&fake, &object, KEY, &patient, after(0), &new, &old).await;
            assert!(shown.refused && !shown.void, "{at}: {}", shown.says);
            assert_eq!(begun.elapsed(), Duration::from_secs(BREATH), "{at}");
            // Where the first got no answer nothing else was sent, and nothing refused.
            assert_eq!(shown.sent, if at == 0 { 1 } else { 2 }, "{at}");
            assert!(fake.calls().len() <= 8, "{at}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_platform_that_never_answers_voids_the_proof_and_is_asked_no_more_than_it_stands() {
        for (first, most) in [(0, 6), (1, 2)] {
            let (fake, object, new, old) = late(0).await;
            let patient = Profile { revocation_lag: Span::ZERO, ..profile(&fake, 4).await };
            let faults = (0..40).map(|call| match call % 3 {
                // The first works, the random one gets none, the last works.
                0 | 2 if first == 1 => Fault::None,
                _ => Fault::Refused(Refusal::RateLimited),
            });
            fake.fail(Verb::Probe, faults);
            let begun = tokio::time::Instant::now();
            let shown = rounds(&fake, &object, KEY, &patient, after(0), &new, &old).await;
            assert!(shown.void && !shown.refused && !shown.outlives, "{}", shown.says);
            assert!(begun.elapsed() <= Duration::from_secs(PATIENCE));
            assert!(shown.sent <= 2, "{}", shown.sent);
            let asked = fake.calls().iter().filter(|(verb, _)| *verb == Verb::Probe).count();
            assert!(asked <= most * (1 + 2 * first), "{asked}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_anything_is_let_in_one_round_tells_and_the_old_one_is_not_shown() {
        let (fake, object, new, old) = late(0).await;
        fake.accept_anything(true);
        let late = profile(&fake, 40).await;
        fake.calls();
        let shown = rounds(&fake, &object, KEY, &late, after(0), &new, &old).await;
        assert_eq!(shown.accepts_anything, Some(true));
        assert!(!shown.refused && !shown.void && !shown.outlives, "{}", shown.says);
        assert_eq!(fake.calls().len(), 3, "the new one, a random one, the new one");
        fake.accept_anything(false);
        let shown = rounds(&fake, &object, KEY, &late, after(0), &new, &old).await;
        assert_eq!((shown.accepts_anything, shown.refused), (Some(false), true));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_let_in_after_the_platforms_time_is_neither_proven_nor_waited_for_any_longer() {
        for in_window in [2, 4, 40] {
            let (fake, object, new, old) = late(1_000).await;
            let late = profile(&fake, in_window).await;
            let begun = tokio::time::Instant::now();
            let shown = rounds(&fake, &object, KEY, &late, after(0), &new, &old).await;
            assert!(shown.outlives && !shown.refused, "{}", shown.says);
            assert_eq!(begun.elapsed().as_secs(), 300);
        }
    }

    /// By turns: one in two is let in. Budgets: the least with two rounds, and more.
    #[tokio::test(start_paused = true)]
    async fn where_one_was_let_in_after_its_end_it_is_refused_in_a_row_before_that_shows_anything()
    {
        let before = SoFar { spent: 0, outlived: Some(Span::from_secs(60)) };
        for in_window in [4, 8, 20, 40] {
            let (fake, object, new, old) = late(1_000).await;
            fake.linger_by_turns();
            let at_once = Profile { revocation_lag: Span::ZERO, ..profile(&fake, in_window).await };
            let tried =
                async |so_far| rounds(&fake, &object, KEY, &at_once, so_far, &new, &old).await;
            let first = tried(after(0)).await;
            assert!(first.outlives && !first.refused, "{in_window}: {}", first.says);
            let shown = tried(after(0)).await;
            assert!(shown.refused, "{in_window}: without the note one refusal is believed");
            for _ in 0..3 {
                let shown = tried(before).await;
                assert!(!shown.refused && shown.outlives, "{in_window}: {}", shown.says);
                assert!(2 * shown.sent <= u32::from(in_window), "{in_window}");
            }
            // It is refused everywhere.
            tokio::time::sleep(Duration::from_secs(1_000)).await;
            let begun = tokio::time::Instant::now();
            let shown = tried(before).await;
            assert!(shown.refused && shown.sent >= IN_A_ROW, "{in_window}: {}", shown.says);
            assert_eq!(begun.elapsed().as_secs(), 60, "{in_window}");
            let one = Profile { probe: ProbeBudget { in_window: 2, ..at_once.probe }, ..at_once };
            let shown = rounds(&fake, &object, KEY, &one, before, &new, &old).await;
            assert!(!shown.refused && shown.spent && shown.sent == 0, "{}", shown.says);
        }
    }
}
