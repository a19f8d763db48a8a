//! Deploy keys as SSH has them: a private key of ours in OpenSSH's own form, and the line of its public
//! half.

use base64::{Engine, engine::general_purpose::STANDARD};
use connector::{Error, Result};
use domain::Secret;
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{Ed25519KeyPair, KeyPair},
};
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
/// What the form begins with.
const MAGIC: &[u8] = b"openssh-key-v1\0";
const ALGORITHM: &[u8] = b"ssh-ed25519";
/// An unencrypted key is padded to this.
const BLOCK: usize = 8;

fn broken(what: &str) -> Error {
    Error::Configuration(format!("the private key {what}"))
}

/// A string as SSH writes it: its length, and its bytes.
fn put(into: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(bytes);
}

/// Takes such a string off.
fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (bytes, rest) = rest.split_at_checked(length)?;
    *from = rest;
    Some(bytes)
}

/// The public half as SSH writes it.
fn public_blob(public: &[u8]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(64);
    put(&mut blob, ALGORITHM);
    put(&mut blob, public);
    blob
}

/// Makes a key that nobody has had.
pub(crate) fn generate() -> Result<Secret> {
    let poor = || broken("cannot be made: this machine gives no random numbers");
    let random = SystemRandom::new();
    let mut seed = Zeroizing::new([0u8; 32]);
    random.fill(&mut *seed).map_err(|_| poor())?;
    let mut check = [0u8; 4];
    random.fill(&mut check).map_err(|_| poor())?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|_| poor())?;
    let public = pair.public_key().as_ref();

    let mut both = Zeroizing::new(Vec::with_capacity(64));
    both.extend_from_slice(&*seed);
    both.extend_from_slice(public);
    let mut private = Zeroizing::new(Vec::with_capacity(256));
    private.extend_from_slice(&check);
    private.extend_from_slice(&check);
    put(&mut private, ALGORITHM);
    put(&mut private, public);
    put(&mut private, &both);
    put(&mut private, b"");
    for number in 1u8.. {
        if private.len().is_multiple_of(BLOCK) {
            break;
        }
        private.push(number);
    }
    let mut whole = Zeroizing::new(Vec::with_capacity(512));
    whole.extend_from_slice(MAGIC);
    put(&mut whole, b"none");
    put(&mut whole, b"none");
    put(&mut whole, b"");
    whole.extend_from_slice(&1u32.to_be_bytes());
    put(&mut whole, &public_blob(public));
    put(&mut whole, &private);

    let body = Zeroizing::new(STANDARD.encode(&*whole));
    let mut pem = String::with_capacity(body.len() + 128);
    pem.push_str(BEGIN);
    for (at, c) in body.char_indices() {
        if at % 70 == 0 {
            pem.push('\n');
        }
        pem.push(c);
    }
    pem.push('\n');
    pem.push_str(END);
    pem.push('\n');
    Ok(Secret::new(pem))
}

/// The line of its public half, without a comment: as GitHub takes and shows it.
pub(crate) fn public(secret: &Secret) -> Result<String> {
    let text = secret.expose().trim();
    let body = text.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let body = body.ok_or_else(|| broken("is none in OpenSSH's form"))?;
    let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    let der = Zeroizing::new(STANDARD.decode(&*body).map_err(|_| broken("is no PEM"))?);
    let seed = seed(&der).ok_or_else(|| broken("is no unencrypted Ed25519 key"))?;
    // What the form says of the public half is not believed.
    let pair =
        Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| broken("is no Ed25519 key"))?;
    Ok(format!("ssh-ed25519 {}", STANDARD.encode(public_blob(pair.public_key().as_ref()))))
}

fn seed(der: &[u8]) -> Option<&[u8]> {
    let mut rest = der.strip_prefix(MAGIC)?;
    let (cipher, derivation, _) = (take(&mut rest)?, take(&mut rest)?, take(&mut rest)?);
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    if (cipher, derivation, u32::from_be_bytes(*count)) != (b"none", b"none", 1) {
        return None;
    }
    take(&mut rest)?;
    let private = take(&mut rest)?;
    let mut private = private.get(8..)?;
    let (algorithm, _, both) = (take(&mut private)?, take(&mut private)?, take(&mut private)?);
    (algorithm == ALGORITHM && both.len() == 64).then(|| &both[..32])
}

/// Whether two lines are of one key: comments and what stands around them count for nothing.
pub(crate) fn same(a: &str, b: &str) -> bool {
    let key = |line: &str| {
        let mut parts = line.split_whitespace().map(str::to_owned);
        parts.next().zip(parts.next())
    };
    key(a).is_some_and(|a| Some(a) == key(b))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_key_is_another_every_time_and_shows_the_same_public_half() {
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert!(one != two && public(&one).unwrap() != public(&two).unwrap());
        let line = public(&one).unwrap();
        assert_eq!(line, public(&one).unwrap());
        assert!(same(&line, &format!(" {line} somebody@somewhere\n")));
        assert!(
            !same(&line, &public(&two).unwrap()) && !same(&line, "ssh-ed25519") && !same("", "")
        );
    }

    #[test]
    fn ssh_itself_reads_a_key_of_ours() {
        let folder = std::env::temp_dir().join(format!("nhi-github-key-{}", std::process::id()));
        let key = generate().unwrap();
        std::fs::write(&folder, key.expose()).unwrap();
        let _ = Command::new("chmod").arg("600").arg(&folder).status();
        let said = Command::new("ssh-keygen").args(["-y", "-f"]).arg(&folder).output();
        std::fs::remove_file(&folder).unwrap();
        // Where there is no SSH, the form is still what it is.
        let Ok(said) = said else { return };
        let told = String::from_utf8(said.stdout).unwrap();
        assert!(same(&told, &public(&key).unwrap()), "{told}");
    }

    #[test]
    fn what_is_no_key_is_refused_without_quoting_it() {
        let whole = generate().unwrap();
        let cut: String = whole.expose().lines().take(3).map(|line| format!("{line}\n")).collect();
        let cut = format!("{cut}{END}");
        for text in ["", "verysecret", &cut, &format!("{BEGIN}\nverysecret\n{END}")] {
            let error = public(&Secret::new(text)).unwrap_err().to_string();
            assert!(!error.contains("verysecret"), "{error}");
        }
    }
}
