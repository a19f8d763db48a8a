//! The chain: each entry's hash covers its body and the hash before it, hence all before it.

use std::{fmt, io};

use data_encoding::HEXLOWER;
use ring::{
    digest::{Context, SHA256},
    rand::{SecureRandom, SystemRandom},
};

/// What every hashed entry begins with, so that no other hash of ours can be taken for it.
const DOMAIN: &[u8] = b"nhi-entry/1\n";

/// A SHA-256 hash, written in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash before the first entry.
    pub const ZERO: Hash = Hash([0; 32]);

    /// The plain SHA-256 of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(bytes);
        Hash::finish(context)
    }

    /// The same of all that can be read.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn of_reader(mut from: impl io::Read) -> io::Result<Self> {
        let mut context = Context::new(&SHA256);
        let mut bytes = vec![0; 1 << 16];
        loop {
            match from.read(&mut bytes)? {
                0 => return Ok(Hash::finish(context)),
                length => context.update(&bytes[..length]),
            }
        }
    }

    /// From a stored column; `None` unless there are 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Hash)
    }

    /// From 64 hexadecimal digits in lower case.
    pub fn from_hex(text: &str) -> Option<Self> {
        Hash::from_slice(&HEXLOWER.decode(text.as_bytes()).ok()?)
    }

    /// The first 16 bytes, where a row only needs to tell "same" from "other".
    pub fn short(&self) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&self.0[..16]);
        short
    }

    pub(crate) fn finish(context: Context) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Hash(bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A new ledger's id; `None` if the operating system gives no random bytes.
pub fn new_id() -> Option<String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).ok()?;
    let mut id = Hash::of(&bytes).to_string();
    id.truncate(26);
    Some(id)
}

/// The hash of an entry: SHA-256 over `nhi-entry/1\n`, the previous hash, and the body.
pub fn link(previous: &Hash, body: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(DOMAIN);
    context.update(&previous.0);
    context.update(body);
    Hash::finish(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_over_domain_previous_and_body() {
        let mut input = b"nhi-entry/1\n".to_vec();
        input.extend([0; 32]);
        input.extend(b"{}");
        assert_eq!(link(&Hash::ZERO, b"{}"), Hash::of(&input));
    }

    #[test]
    fn a_known_answer_from_another_implementation() {
        // printf 'nhi-entry/1\n' | cat - <(head -c32 /dev/zero) <(printf '{}') | sha256sum
        assert_eq!(
            link(&Hash::ZERO, b"{}").to_string(),
            "a3c6531afddbc1e46b7054bdcacb1ddafd378d9526f4427c6800579466315d5a"
        );
    }

    #[test]
    fn hexadecimal_goes_there_and_back() {
        let hash = Hash::of(b"x");
        assert_eq!(Hash::from_hex(&hash.to_string()), Some(hash));
        assert_eq!(Hash::from_hex("zz"), None);
    }
}
