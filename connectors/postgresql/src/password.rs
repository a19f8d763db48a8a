//! Passwords: chosen by us, of which the server is told a verifier only.
//!
//! The salt of a verifier comes from its password, which cannot be guessed. So a password has one
//! verifier and one key id: a repeat writes what stands there already, and whether a password is the one
//! in force is told without signing in.

use std::num::NonZeroU32;

use connector::{Error, Result};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use domain::Secret;
use ring::{
    digest, hmac, pbkdf2,
    rand::{SecureRandom, SystemRandom},
};

/// What the server itself takes when it makes a verifier.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
/// How much of a digest is a key id.
const KEY: usize = 8;
/// The fewest characters of a password that may have its salt from itself.
const SHORTEST: usize = 32;

/// A password that nobody has had.
pub(crate) fn choose() -> Result<Secret> {
    let mut bytes = zeroize::Zeroizing::new([0u8; 32]);
    SystemRandom::new()
        .fill(&mut *bytes)
        .map_err(|_| Error::Configuration("this machine gives no random numbers".into()))?;
    Ok(Secret::new(BASE64URL_NOPAD.encode(&*bytes)))
}

/// Another text of the same length and shape.
pub(crate) fn random_like(secret: &Secret) -> Result<Secret> {
    let mut text = zeroize::Zeroizing::new(String::with_capacity(secret.expose().len() + 64));
    while text.len() < secret.expose().len() {
        text.push_str(choose()?.expose());
    }
    Ok(Secret::new(&text[..secret.expose().len()]))
}

/// What the server keeps of a password: `SCRAM-SHA-256$<iterations>:<salt>$<stored>:<server>`.
pub(crate) fn verifier(password: &Secret) -> Result<Secret> {
    let salt = salt(password)?;
    let mut salted = zeroize::Zeroizing::new([0u8; digest::SHA256_OUTPUT_LEN]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ITERATIONS,
        &salt,
        password.expose().as_bytes(),
        &mut *salted,
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &*salted);
    let client = hmac::sign(&key, b"Client Key");
    let stored = digest::digest(&digest::SHA256, client.as_ref());
    let server = hmac::sign(&key, b"Server Key");
    Ok(Secret::new(format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        BASE64.encode(&salt),
        BASE64.encode(stored.as_ref()),
        BASE64.encode(server.as_ref())
    )))
}

/// The key id of a password: a digest of its salt, as the server computes it from what it keeps.
pub(crate) fn key_id(password: &Secret) -> Result<String> {
    let salt = BASE64.encode(&salt(password)?);
    Ok(HEXLOWER.encode(&digest::digest(&digest::SHA256, salt.as_bytes()).as_ref()[..KEY]))
}

fn salt(password: &Secret) -> Result<[u8; 16]> {
    // What is prepared for sign-in is the text itself, and what cannot be guessed tells nothing.
    let plain = password.expose().bytes().all(|b| b.is_ascii_graphic());
    if password.expose().len() < SHORTEST || !plain {
        return Err(Error::Configuration(format!(
            "a password that is set here has at least {SHORTEST} characters, all of them printable ASCII"
        )));
    }
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"nhi-postgresql-salt/1\0");
    context.update(password.expose().as_bytes());
    let mut salt = [0; 16];
    salt.copy_from_slice(&context.finish().as_ref()[..16]);
    Ok(salt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_one_verifier_and_one_key_id_and_neither_tells_it() {
        let one = Secret::new("0123456789abcdefghijklmnopqrstuvwxyzABCDEFG");
        let written = verifier(&one).unwrap();
        assert!(written.expose().starts_with("SCRAM-SHA-256$4096:"), "{}", written.expose());
        assert!(verifier(&one).unwrap() == written && !written.expose().contains(one.expose()));
        let salt = written.expose().split(['$', ':']).nth(2).unwrap();
        let digest = digest::digest(&digest::SHA256, salt.as_bytes());
        assert_eq!(key_id(&one).unwrap(), HEXLOWER.encode(&digest.as_ref()[..8]));
        let other = choose().unwrap();
        assert!(
            verifier(&other).unwrap() != written
                && key_id(&other).unwrap() != key_id(&one).unwrap()
        );
        for weak in ["short", "with a blank 0123456789abcdefghijklmnopqrstuvwxyz", &"ä".repeat(40)]
        {
            assert!(verifier(&Secret::new(weak)).is_err(), "{weak}");
        }
    }

    #[test]
    fn a_random_one_has_the_length_of_a_real_one() {
        for length in [8, 43, 100] {
            let real = Secret::new("x".repeat(length));
            assert_eq!(random_like(&real).unwrap().expose().len(), length);
        }
    }
}
