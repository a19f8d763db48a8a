//! Keys that are taken back: OpenSSH's key revocation list, or a plain list of public keys.
//!
//! Source: OpenSSH, PROTOCOL.krl, and ssh-keygen(1), KEY REVOCATION LISTS.

use std::collections::BTreeSet;

use domain::realm::sha256;
use ssh_encoding::{Decode, Encode, Error};
use ssh_key::{Certificate, PublicKey, public::KeyData};

use crate::sshsig::Signed;

const MAGIC: &[u8] = b"SSHKRL\n\0";
const CERTIFICATES: u8 = 1;
const EXPLICIT_KEY: u8 = 2;
const FINGERPRINT_SHA1: u8 = 3;
const SIGNATURE: u8 = 4;
const FINGERPRINT_SHA256: u8 = 5;
const SERIAL_LIST: u8 = 0x20;
const SERIAL_RANGE: u8 = 0x21;
const SERIAL_BITMAP: u8 = 0x22;
const KEY_ID: u8 = 0x23;

/// The keys and certificates that are taken back.
#[derive(Debug, Clone, Default)]
pub struct Revoked {
    /// SHA-256 of the key's blob.
    keys: BTreeSet<[u8; 32]>,
    certificates: Vec<Certificates>,
}

/// Certificates of one authority, or of any.
#[derive(Debug, Clone, Default)]
struct Certificates {
    /// The authority's blob; empty for any.
    authority: Vec<u8>,
    /// From and to, both within.
    serials: Vec<(u64, u64)>,
    key_ids: BTreeSet<String>,
}

/// Why a list cannot be read; with a list that cannot be read nothing is approved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoList(String);

impl Revoked {
    /// Reads a list, binary or plain.
    ///
    /// # Errors
    ///
    /// It is neither, or holds what this version does not know: that might take back a key.
    pub fn parse(bytes: &[u8]) -> Result<Revoked, NoList> {
        if let Some(rest) = bytes.strip_prefix(MAGIC) {
            return binary(rest).map_err(|why| NoList(format!("the key revocation list: {why}")));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| NoList("it is no key revocation list and no text".to_owned()))?;
        let mut list = Revoked::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = PublicKey::from_openssh(line).map_err(|error| {
                NoList(format!("line {}: expected a public key: {error}", at + 1))
            })?;
            list.keys.insert(sha256(&blob(key.key_data())));
        }
        Ok(list)
    }

    /// Whether a key is taken back.
    pub fn has_key(&self, key: &KeyData) -> bool {
        self.keys.contains(&sha256(&blob(key)))
    }

    /// Whether what signed is taken back: its key, its certificate, or the authority behind it.
    pub fn has(&self, signed: &Signed) -> bool {
        let has = |key: &KeyData| self.has_key(key);
        let certificate = signed.certificate.as_deref();
        has(&signed.key)
            || certificate.is_some_and(|one| {
                has(one.signature_key())
                    || self.certificates.iter().any(|all| all.has(one))
                    // A key in a list may be a certificate itself.
                    || one.to_bytes().is_ok_and(|bytes| self.keys.contains(&sha256(&bytes)))
            })
    }
}

impl Certificates {
    fn has(&self, one: &Certificate) -> bool {
        let mine = self.authority.is_empty() || self.authority == blob(one.signature_key());
        // PROTOCOL.krl: no serial at all (0) is never taken back by its serial.
        let serial = one.serial();
        mine && ((serial != 0
            && self.serials.iter().any(|(from, to)| (*from..=*to).contains(&serial)))
            || self.key_ids.contains(one.key_id()))
    }
}

fn blob(key: &KeyData) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing into memory does not fail.
    let _ = key.encode(&mut bytes);
    bytes
}

fn binary(bytes: &[u8]) -> Result<Revoked, String> {
    let mut of = bytes;
    let torn = |error: Error| format!("it is torn: {error}");
    let head = |of: &mut &[u8]| -> Result<u32, Error> {
        let version = u32::decode(of)?;
        // Its number, when it was made, flags.
        for _ in 0..3 {
            u64::decode(of)?;
        }
        // Reserved, and a comment.
        for _ in 0..2 {
            Vec::<u8>::decode(of)?;
        }
        Ok(version)
    };
    let version = head(&mut of).map_err(torn)?;
    if version != 1 {
        return Err(format!("it is of version {version}, and this reads 1"));
    }
    let mut list = Revoked::default();
    while !of.is_empty() {
        let kind = u8::decode(&mut of).map_err(torn)?;
        let section = Vec::<u8>::decode(&mut of).map_err(torn)?;
        let mut inner = section.as_slice();
        match kind {
            CERTIFICATES => list.certificates.push(certificates(inner)?),
            EXPLICIT_KEY => {
                for key in strings(inner).map_err(torn)? {
                    list.keys.insert(sha256(&key));
                }
            }
            FINGERPRINT_SHA256 => {
                while !inner.is_empty() {
                    let print = Vec::<u8>::decode(&mut inner).map_err(torn)?;
                    let print = print.try_into().map_err(|_| "a fingerprint has not 32 bytes")?;
                    list.keys.insert(print);
                }
            }
            // What is signed says who made it, and not what it takes back.
            SIGNATURE => {}
            FINGERPRINT_SHA1 => {
                return Err("it has SHA-1 fingerprints; make it with keys or SHA-256".to_owned());
            }
            kind => return Err(format!("it has a section {kind} that is not known here")),
        }
    }
    Ok(list)
}

fn strings(mut of: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let mut all = Vec::new();
    while !of.is_empty() {
        all.push(Vec::<u8>::decode(&mut of)?);
    }
    Ok(all)
}

fn certificates(mut of: &[u8]) -> Result<Certificates, String> {
    let torn = |error: Error| format!("it is torn: {error}");
    let authority = Vec::<u8>::decode(&mut of).map_err(torn)?;
    let mut all = Certificates { authority, ..Certificates::default() };
    // Reserved.
    Vec::<u8>::decode(&mut of).map_err(torn)?;
    while !of.is_empty() {
        let kind = u8::decode(&mut of).map_err(torn)?;
        let section = Vec::<u8>::decode(&mut of).map_err(torn)?;
        let mut inner = section.as_slice();
        match kind {
            SERIAL_LIST => {
                while !inner.is_empty() {
                    let serial = u64::decode(&mut inner).map_err(torn)?;
                    all.serials.push((serial, serial));
                }
            }
            SERIAL_RANGE => {
                let from = u64::decode(&mut inner).map_err(torn)?;
                all.serials.push((from, u64::decode(&mut inner).map_err(torn)?));
            }
            SERIAL_BITMAP => {
                let offset = u64::decode(&mut inner).map_err(torn)?;
                let bits = Vec::<u8>::decode(&mut inner).map_err(torn)?;
                // A large number, its most significant byte first.
                for (at, byte) in bits.iter().rev().enumerate() {
                    for bit in (0..8u64).filter(|bit| byte >> bit & 1 == 1) {
                        let serial = offset.checked_add(8 * at as u64 + bit);
                        all.serials.extend(serial.map(|serial| (serial, serial)));
                    }
                }
            }
            KEY_ID => {
                for id in strings(inner).map_err(torn)? {
                    all.key_ids.insert(String::from_utf8_lossy(&id).into_owned());
                }
            }
            kind => return Err(format!("it has certificates by {kind:#x}, not known here")),
        }
    }
    Ok(all)
}
