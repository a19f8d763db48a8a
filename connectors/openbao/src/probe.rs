//! Signing in with a credential under test, and never so often that the role is locked.
//!
//! Five refused sign-ins lock a role, the good secret id included; a success starts the count anew.
//! The count here is one for the whole process and for all of a role's credentials.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{LazyLock, Mutex},
};

use connector::{
    Clock, Error, Probe, Result,
    transport::{Effect, Request},
};
use domain::Secret;
use jiff::{SignedDuration, Timestamp};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    api::{Api, Auth, Envelope, Said, encode, json, parse, post, refused, told},
    tables::{BETWEEN_SUCCESSES, IN_WINDOW, WINDOW},
};

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
    fn take(&mut self, now: Timestamp, tag: &[u8; 32]) -> Result<()> {
        let window = SignedDuration::from_secs(WINDOW.as_signed_secs());
        while self.at.front().is_some_and(|first| now.duration_since(*first) >= window) {
            self.at.pop_front();
        }
        if self.at.is_empty() {
            self.since_success = 0;
        }
        let allowed = if self.good.contains(tag) {
            // Even if it was ended in the meantime: three refusals are fewer than five.
            self.since_success <= BETWEEN_SUCCESSES
        } else if self.at.len() >= usize::from(IN_WINDOW) {
            // The first after a success, such as the verification of a new secret.
            self.since_success == 0
        } else {
            self.since_success < BETWEEN_SUCCESSES
        };
        if allowed {
            self.since_success += 1;
            self.at.push_back(now);
            return Ok(());
        }
        Err(Error::Configuration(format!(
            "no sign-in is tried: {} sign-ins of this role were refused in the last fifteen minutes, {} \
             of them since one worked, and five lock the role with its good secret id; sign in with a \
             good one, or wait",
            self.at.len(),
            self.since_success
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

/// Signs in once and keeps what that minted.
pub(crate) async fn sign_in(
    api: &Api,
    clock: &dyn Clock,
    tenant: &str,
    mount: &str,
    role: &str,
    role_id: &str,
    secret: &Secret,
) -> Result<SignedIn> {
    let counted = format!("{tenant} {mount} {role}");
    let tag = tag(secret);
    with_refusals(&counted, |refusals| refusals.take(clock.now(), &tag))?;
    let mut request =
        Request::change("POST", format!("v1/auth/{}/login", encode(mount)), "auth/{mount}/login");
    request.effect = Effect::SignIn;
    request.fresh_connection = true;
    request.body = Some(json(&Login { role_id, secret_id: secret.expose() })?);
    let what = told(&request);
    let answer = api.send_anonymous(request).await?;
    let said = Said::read(&answer.body);
    match (answer.status, said) {
        (200, _) => with_refusals(&counted, |refusals| refusals.succeeded(tag)),
        (400, Said::InvalidLogin) => {
            with_refusals(&counted, |refusals| refusals.refused(&tag));
            return Ok(Err("400 invalid-credential".into()));
        }
        (401 | 403, _) => return Ok(Err(format!("{} denied", answer.status))),
        _ => {
            // Limits and failures are no judgment of the credential, and do not count for the lock.
            with_refusals(&counted, Refusals::give_back);
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
    let mut revoke = Request::change("POST", "v1/auth/token/revoke-self", "auth/token/revoke-self");
    revoke.effect = Effect::SignIn;
    let revoked = api.send_as(&auth.client_token, revoke).await;
    let mut done = revoked.is_ok_and(|answer| (200..300).contains(&answer.status));
    if !done && !auth.accessor.is_empty() && auth.token_type != "batch" {
        // Bound addresses: the sign-in works from here and its token does not. We can end it as
        // ourselves.
        let mut revoke = post(
            "v1/auth/token/revoke-accessor",
            "auth/token/revoke-accessor",
            &json!({ "accessor": auth.accessor }),
        )?;
        revoke.effect = Effect::SignIn;
        done = api.send(revoke).await.is_ok_and(|answer| (200..300).contains(&answer.status));
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
        refusals.take(at(0), &new).unwrap();
        refusals.succeeded(new);
        for one in [random, old] {
            refusals.take(at(1), &one).unwrap();
            refusals.refused(&one);
        }
        assert!(refusals.take(at(2), &old).is_err());
        refusals.take(at(2), &new).unwrap();
        refusals.refused(&new);
        assert!(
            refusals.take(at(3), &new).is_err(),
            "it failed where it should not: no more tries"
        );
        assert!(refusals.take(at(1000), &old).is_ok(), "the window is over");
    }

    #[test]
    fn after_four_refusals_in_the_window_only_the_first_try_after_a_success_is_let_through() {
        let (new, old) = ([1; 32], [2; 32]);
        let mut refusals = Refusals::default();
        for round in 0..2 {
            refusals.take(at(round), &new).unwrap();
            refusals.succeeded(new);
            refusals.take(at(round), &old).unwrap();
            refusals.take(at(round), &old).unwrap();
        }
        refusals.take(at(3), &new).unwrap();
        refusals.succeeded(new);
        refusals.take(at(4), &[7; 32]).unwrap();
        assert!(refusals.take(at(4), &[8; 32]).is_err());
    }

    #[test]
    fn what_was_no_judgment_does_not_count() {
        let mut refusals = Refusals::default();
        for second in 0..9 {
            refusals.take(at(second), &[1; 32]).unwrap();
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
