//! Signing in with a credential under test, and never so often that the role is locked.
//!
//! Five refused sign-ins lock a role, or as many as its mount was told, the good secret id included; a
//! success starts the count anew.
//! The count here is one for the whole process and for all of a role's credentials.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{LazyLock, Mutex},
};

use connector::{
    Clock, Error, Probe, ProbeBudget, Result,
    transport::{Effect, Request},
};
use domain::{Secret, Span};
use jiff::{SignedDuration, Timestamp};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    api::{Api, Auth, Envelope, Said, Tune, encode, json, parse, post, refused, told},
    tables::{BETWEEN_SUCCESSES, IN_WINDOW, WINDOW},
};

/// When a mount locks a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lockout {
    /// This many refusals in a row do.
    pub(crate) threshold: u64,
    /// They are forgotten after this.
    window: Span,
}

impl Lockout {
    /// The server's own, where a mount was told nothing else.
    pub(crate) const BUILT_IN: Lockout = Lockout { threshold: 5, window: WINDOW };

    /// What a mount was told. One that never locks is treated as any other: it can be told to lock
    /// at any moment.
    pub(crate) fn of(tune: &Tune) -> Lockout {
        if tune.user_lockout_disable {
            return Lockout::BUILT_IN;
        }
        let told = |told: u64, built_in: u64| if told == 0 { built_in } else { told };
        let reset = Span::from_secs(tune.user_lockout_counter_reset_duration);
        Lockout {
            threshold: told(tune.user_lockout_threshold, Lockout::BUILT_IN.threshold),
            window: WINDOW.max(reset),
        }
    }

    /// What is sent: always one refusal fewer than locks, and between successes two fewer, since what
    /// worked a moment ago may be refused too.
    pub(crate) fn budget(self) -> ProbeBudget {
        let below = |fewer: u64, most: u8| {
            u8::try_from(self.threshold.saturating_sub(fewer)).unwrap_or(most).min(most)
        };
        ProbeBudget {
            between_successes: below(2, BETWEEN_SUCCESSES),
            in_window: below(1, IN_WINDOW),
            window: self.window,
        }
    }
}

/// The refusals of one role, and the secrets that it accepts.
#[derive(Debug, Default)]
struct Refusals {
    since_success: u8,
    at: VecDeque<Timestamp>,
    /// Tags of secrets that were accepted and not refused since: trying one is no risk, and is what
    /// ends a row of refusals.
    good: HashSet<[u8; 32]>,
}

impl Refusals {
    /// Takes one try; it counts as refused until it is known not to be.
    fn take(&mut self, now: Timestamp, tag: &[u8; 32], lockout: Lockout) -> Result<()> {
        let budget = lockout.budget();
        let window = SignedDuration::from_secs(budget.window.as_signed_secs());
        // A new secret is tried wherever nothing was refused before.
        let between = budget.between_successes.max(1);
        while self.at.front().is_some_and(|first| now.duration_since(*first) >= window) {
            self.at.pop_front();
        }
        if self.at.is_empty() {
            self.since_success = 0;
        }
        let allowed = if self.good.contains(tag) {
            // Even if it was ended in the meantime: one refusal more is below the threshold, wherever
            // there is room for a round.
            self.since_success <= between
        } else if self.at.len() >= usize::from(budget.in_window) {
            // The first after a success, such as the verification of a new secret.
            self.since_success == 0
        } else {
            self.since_success < between
        };
        if allowed {
            self.since_success += 1;
            self.at.push_back(now);
            return Ok(());
        }
        Err(Error::Configuration(format!(
            "no sign-in is tried: {} sign-ins of this role were refused in the last {}, {} of \
             them since one worked, and {} in a row lock the role with its good secret id; sign in with a \
             good one, or wait",
            self.at.len(),
            budget.window,
            self.since_success,
            lockout.threshold
        )))
    }

    /// The last try was no refusal.
    fn give_back(&mut self) {
        self.since_success = self.since_success.saturating_sub(1);
        self.at.pop_back();
    }

    fn succeeded(&mut self, tag: [u8; 32]) {
        self.give_back();
        self.since_success = 0;
        self.good.insert(tag);
    }

    fn refused(&mut self, tag: &[u8; 32]) {
        self.good.remove(tag);
    }
}

/// What a secret is recognised by within this process, and nowhere else.
fn tag(secret: &Secret) -> [u8; 32] {
    static KEY: LazyLock<Option<hmac::Key>> =
        LazyLock::new(|| hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok());
    let mut tag = [0; 32];
    if let Some(key) = &*KEY {
        tag.copy_from_slice(hmac::sign(key, secret.expose().as_bytes()).as_ref());
    }
    tag
}

static REFUSALS: LazyLock<Mutex<HashMap<String, Refusals>>> = LazyLock::new(Mutex::default);

fn with_refusals<T>(role: &str, act: impl FnOnce(&mut Refusals) -> T) -> T {
    let mut all = REFUSALS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    act(all.entry(role.to_owned()).or_default())
}

#[derive(Serialize)]
struct Login<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

/// What a sign-in came to: a token, or how it was refused.
pub(crate) type SignedIn = std::result::Result<Auth, String>;

/// Signs in once and keeps what that minted; `counted` names the role in all the world.
pub(crate) async fn sign_in(
    api: &Api,
    clock: &dyn Clock,
    counted: &str,
    lockout: Lockout,
    mount: &str,
    role_id: &str,
    secret: &Secret,
) -> Result<SignedIn> {
    let tag = tag(secret);
    with_refusals(counted, |refusals| refusals.take(clock.now(), &tag, lockout))?;
    let mut request =
        Request::change("POST", format!("v1/auth/{}/login", encode(mount)), "auth/{mount}/login");
    request.effect = Effect::SignIn;
    request.fresh_connection = true;
    request.body = Some(json(&Login { role_id, secret_id: secret.expose() })?);
    let what = told(&request);
    let answer = api.send_anonymous(request).await?;
    let said = Said::read(&answer.body);
    match (answer.status, said) {
        (200, _) => with_refusals(counted, |refusals| refusals.succeeded(tag)),
        (400, Said::InvalidLogin) => {
            with_refusals(counted, |refusals| refusals.refused(&tag));
            return Ok(Err("400 invalid-credential".into()));
        }
        (401 | 403, _) => return Ok(Err(format!("{} denied", answer.status))),
        _ => {
            // Limits and failures are no judgment of the credential, and do not count for the lock.
            with_refusals(counted, Refusals::give_back);
            return Err(refused(&what, &answer, false));
        }
    }
    let auth =
        parse::<Envelope<serde::de::IgnoredAny>>(&what, &answer.body)?.auth.ok_or_else(|| {
            Error::UnexpectedAnswer {
                what: what.clone(),
                message: "a sign-in without a token".into(),
            }
        })?;
    Ok(Ok(auth))
}

/// Revokes what a sign-in under test minted, and tells what it showed.
pub(crate) async fn shown(api: &Api, clock: &dyn Clock, signed_in: SignedIn) -> Result<Probe> {
    let auth = match signed_in {
        Ok(auth) => auth,
        Err(class) => return Ok(Probe::Refused { class }),
    };
    let lives_until = || {
        let life = i64::try_from(auth.lease_duration).ok()?;
        clock.now().checked_add(SignedDuration::from_secs(life)).ok()
    };
    // As ourselves first: what is born without any policy may not even revoke its own token, and bound
    // addresses may shut its token out from here.
    let mut done = false;
    if !auth.accessor.is_empty() && auth.token_type != "batch" {
        let mut revoke = post(
            "v1/auth/token/revoke-accessor",
            "auth/token/revoke-accessor",
            &json!({ "accessor": auth.accessor }),
        )?;
        revoke.effect = Effect::SignIn;
        done = api.send(revoke).await.is_ok_and(|answer| (200..300).contains(&answer.status));
    }
    if !done {
        let mut revoke =
            Request::change("POST", "v1/auth/token/revoke-self", "auth/token/revoke-self");
        revoke.effect = Effect::SignIn;
        let revoked = api.send_as(&auth.client_token, revoke).await;
        done = revoked.is_ok_and(|answer| (200..300).contains(&answer.status));
    }
    let residual = if done { None } else { lives_until() };
    Ok(Probe::Accepted { residual, scopes: None })
}

/// Another text of the same shape: letters for letters of the same case, digits for digits, and in a
/// UUID or other hexadecimal text hexadecimal digits.
pub(crate) fn random_like(secret: &Secret) -> Result<Secret> {
    let random = SystemRandom::new();
    let hexadecimal = secret.expose().chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let mut text = String::with_capacity(secret.expose().len());
    for c in secret.expose().chars() {
        let choices: &[u8] = match c {
            'a'..='f' | '0'..='9' if hexadecimal => b"0123456789abcdef",
            'a'..='z' => b"abcdefghijklmnopqrstuvwxyz",
            'A'..='Z' => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            '2'..='7' => b"234567",
            '0'..='9' => b"0123456789",
            other => {
                text.push(other);
                continue;
            }
        };
        let mut byte = [0u8; 8];
        random
            .fill(&mut byte)
            .map_err(|_| Error::Configuration("this machine gives no random numbers".into()))?;
        let at = usize::try_from(u64::from_le_bytes(byte) % choices.len() as u64).unwrap_or(0);
        text.push(char::from(choices[at]));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_third_refusal_in_a_row_is_risked_only_for_a_secret_that_worked() {
        let (new, old, random) = ([1; 32], [2; 32], [3; 32]);
        let mut refusals = Refusals::default();
        refusals.take(at(0), &new, Lockout::BUILT_IN).unwrap();
        refusals.succeeded(new);
        for one in [random, old] {
            refusals.take(at(1), &one, Lockout::BUILT_IN).unwrap();
            refusals.refused(&one);
        }
        assert!(refusals.take(at(2), &old, Lockout::BUILT_IN).is_err());
        refusals.take(at(2), &new, Lockout::BUILT_IN).unwrap();
        refusals.refused(&new);
        assert!(
            refusals.take(at(3), &new, Lockout::BUILT_IN).is_err(),
            "it failed where it should not: no more tries"
        );
        assert!(refusals.take(at(1000), &old, Lockout::BUILT_IN).is_ok(), "the window is over");
    }

    #[test]
    fn after_four_refusals_in_the_window_only_the_first_try_after_a_success_is_let_through() {
        let (new, old) = ([1; 32], [2; 32]);
        let mut refusals = Refusals::default();
        for round in 0..2 {
            refusals.take(at(round), &new, Lockout::BUILT_IN).unwrap();
            refusals.succeeded(new);
            refusals.take(at(round), &old, Lockout::BUILT_IN).unwrap();
            refusals.take(at(round), &old, Lockout::BUILT_IN).unwrap();
        }
        refusals.take(at(3), &new, Lockout::BUILT_IN).unwrap();
        refusals.succeeded(new);
        refusals.take(at(4), &[7; 32], Lockout::BUILT_IN).unwrap();
        assert!(refusals.take(at(4), &[8; 32], Lockout::BUILT_IN).is_err());
    }

    fn tuned(tune: serde_json::Value) -> Lockout {
        Lockout::of(&serde_json::from_value(tune).unwrap())
    }

    #[test]
    fn a_mount_that_locks_early_leaves_room_for_a_round_only_from_four_refusals_on() {
        for (threshold, between, in_window) in
            [(1, 0, 0), (2, 0, 1), (3, 1, 2), (4, 2, 3), (5, 2, 4), (900, 2, 4)]
        {
            let budget = tuned(json!({ "user_lockout_threshold": threshold })).budget();
            assert_eq!((budget.between_successes, budget.in_window), (between, in_window));
        }
        for tune in [json!({}), json!({"user_lockout_threshold": 2, "user_lockout_disable": true})]
        {
            assert_eq!(tuned(tune), Lockout::BUILT_IN);
        }
        let long = tuned(json!({ "user_lockout_counter_reset_duration": 3600 }));
        assert_eq!((long.threshold, long.budget().window), (5, Span::from_secs(3600)));
    }

    #[test]
    fn where_two_refusals_lock_one_is_risked_and_no_other_before_a_success() {
        let two = tuned(json!({ "user_lockout_threshold": 2 }));
        let mut refusals = Refusals::default();
        refusals.take(at(0), &[1; 32], two).unwrap();
        refusals.refused(&[1; 32]);
        assert!(refusals.take(at(1), &[2; 32], two).is_err());
    }

    #[test]
    fn what_was_no_judgment_does_not_count() {
        let mut refusals = Refusals::default();
        for second in 0..9 {
            refusals.take(at(second), &[1; 32], Lockout::BUILT_IN).unwrap();
            refusals.give_back();
        }
    }

    #[test]
    fn a_random_secret_has_the_shape_of_the_real_one_and_is_another() {
        for text in ["622b3b7e-5f2c-6f3d-7a6b-0123456789ab", "mzxw6ytboi2q", "Abc-12_x"] {
            let random = random_like(&Secret::new(text)).unwrap();
            assert_eq!(random.expose().len(), text.len());
            assert_ne!(random.expose(), text);
            let shape =
                |text: &str| text.chars().map(|c| c.is_ascii_alphanumeric()).collect::<Vec<_>>();
            assert_eq!(shape(random.expose()), shape(text));
        }
    }
}
