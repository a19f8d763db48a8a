//! One governing installation, and the key that makes its marks its own.

use std::fmt;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use ring::{digest, hmac};

use crate::Secret;

/// A governing installation: its short random id and its key.
#[derive(Debug)]
pub struct Realm {
    /// Six characters of lower-case base32.
    pub id: String,
    /// The key, where this process has it.
    pub key: Option<RealmKey>,
}

/// The realm's key. It keys fingerprints and the MAC in markers, and nothing else.
pub struct RealmKey {
    id: String,
    key: hmac::Key,
    place: Option<String>,
}

impl RealmKey {
    /// Takes the key's text as `nhi init` made it: at least 32 characters.
    ///
    /// # Errors
    ///
    /// `None` if it is shorter: such a key could be guessed.
    pub fn new(text: &Secret) -> Option<RealmKey> {
        let material = text.expose().trim();
        if material.len() < 32 {
            return None;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, material.as_bytes());
        // The id names the key without telling it: fingerprints compare only under the same id.
        let tag = hmac::sign(&key, b"nhi-key-id/1");
        Some(RealmKey { id: format!("k{}", short(tag.as_ref(), 4)), key, place: None })
    }

    /// The same, with the place that it was read from, in words.
    #[must_use]
    pub fn kept_in(self, place: impl Into<String>) -> RealmKey {
        RealmKey { place: Some(place.into()), ..self }
    }

    /// Where it was read, if that was said.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// The key's id, as it stands before every fingerprint.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What a secret can be recognised by, under this key only.
    pub fn fingerprint(&self, secret: &Secret) -> Fingerprint {
        let print = self.print_of(secret.expose().as_bytes());
        Fingerprint(format!("{}:{}", self.id, HEXLOWER.encode(&print)))
    }

    /// The same of any bytes that may be one, without the key's id.
    pub fn print_of(&self, text: &[u8]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"nhi-fingerprint/1\n");
        context.update(text);
        let mut print = [0u8; 16];
        print.copy_from_slice(&context.sign().as_ref()[..16]);
        print
    }

    /// A MAC over parts that cannot run into each other.
    pub fn mac(&self, purpose: &str, parts: &[&str]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [purpose].iter().chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut tag = [0u8; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}

impl fmt::Debug for RealmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RealmKey({})", self.id)
    }
}

/// A keyed fingerprint of a secret: `k<key id>:<16 bytes in hex>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub String);

impl Fingerprint {
    /// The id of the key that a fingerprint was made with; `None` where there is no fingerprint.
    pub fn key_id(print: &str) -> Option<&str> {
        print.split_once(':').map(|(key, _)| key)
    }

    /// Whether two fingerprints name the same secret; `None` where they are under different keys,
    /// which says nothing.
    pub fn same_as(&self, other: &Fingerprint) -> Option<bool> {
        (Self::key_id(&self.0) == Self::key_id(&other.0)).then(|| self == other)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first characters of bytes in lower-case base32.
pub fn short(bytes: &[u8], characters: usize) -> String {
    // Five bits make a character: what comes after those that are wanted is not looked at.
    let wanted = (5 * characters).div_ceil(8).min(bytes.len());
    let mut text = BASE32_NOPAD.encode(&bytes[..wanted]);
    text.truncate(characters);
    text.make_ascii_lowercase();
    text
}

/// SHA-256 of bytes as they are.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// SHA-256 of parts that cannot run into each other: the unkeyed name of a slot or a document.
pub fn digest_of(purpose: &str, parts: &[&str]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [purpose].iter().chain(parts) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut out = [0u8; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// The number that spreads slots over a schedule: the same for everybody, for ever.
pub fn slot_number(credential_id: &str) -> u64 {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"nhi-slot-v1\0");
    context.update(credential_id.as_bytes());
    let mut first = [0u8; 8];
    first.copy_from_slice(&context.finish().as_ref()[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_the_beginning_of_the_whole_one() {
        let bytes: Vec<u8> = (0..32).map(|one: u8| one.wrapping_mul(37)).collect();
        let whole = BASE32_NOPAD.encode(&bytes).to_lowercase();
        for characters in 0..60 {
            assert_eq!(short(&bytes, characters), whole[..characters.min(whole.len())]);
        }
    }

    fn key(c: char) -> RealmKey {
        RealmKey::new(&Secret::new(c.to_string().repeat(40))).unwrap()
    }

    #[test]
    fn fingerprints_under_different_keys_say_nothing() {
        let secret = Secret::new("s");
        let (a, b) = (key('a').fingerprint(&secret), key('b').fingerprint(&secret));
        assert_eq!(a.same_as(&b), None);
        assert_eq!(a.same_as(&key('a').fingerprint(&secret)), Some(true));
        assert_eq!(a.same_as(&key('a').fingerprint(&Secret::new("t"))), Some(false));
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(RealmKey::new(&Secret::new("short")).is_none());
    }
}
