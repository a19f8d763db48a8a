//! Signatures in the form of hardware keys. They are made here by software after PROTOCOL.u2f, and none was
//! recorded from a device: what a device does besides is not shown by these tests.

use std::{
    fs,
    process::{Command, Stdio},
};

use approval::sshsig::{NoSignature, armour, assembled, check, to_sign};
use policy::change::quorum::Presence;
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use ssh_encoding::Encode as _;

const NAMESPACE: &str = "nhi-approval@acme.example";
const APPLICATION: &str = "ssh:";
const WORDS: &[u8] = b"what is signed";

/// A key as a device has it, of either kind.
enum Device {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl Device {
    fn both() -> [Device; 2] {
        let random = SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let p256 = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let p256 = EcdsaKeyPair::from_pkcs8(kind, p256.as_ref(), &random).unwrap();
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        [Device::Ed25519(ed25519), Device::P256(p256)]
    }

    fn kind(&self) -> &'static str {
        match self {
            Device::Ed25519(_) => "sk-ssh-ed25519@openssh.com",
            Device::P256(_) => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    /// Its public key, as the protocol writes it.
    fn public(&self) -> Vec<u8> {
        let application = APPLICATION.as_bytes();
        match self {
            Device::Ed25519(pair) => {
                strings(&[self.kind().as_bytes(), pair.public_key().as_ref(), application])
            }
            Device::P256(pair) => strings(&[
                self.kind().as_bytes(),
                b"nistp256",
                pair.public_key().as_ref(),
                application,
            ]),
        }
    }

    /// Signs as a device does: the hash of the application, the flags, the counter, the hash of the message.
    fn sign(&self, application: &str, flags: u8, message: &[u8]) -> Vec<u8> {
        let trailer = [&[flags][..], &0x0102_0304_u32.to_be_bytes()].concat();
        let hash = |bytes: &[u8]| digest(&SHA256, bytes).as_ref().to_vec();
        let signed = [hash(application.as_bytes()), trailer.clone(), hash(message)].concat();
        let signature = match self {
            Device::Ed25519(pair) => pair.sign(&signed).as_ref().to_vec(),
            Device::P256(pair) => {
                let both = pair.sign(&SystemRandom::new(), &signed).unwrap();
                let (r, s) = both.as_ref().split_at(32);
                strings(&[&number(r), &number(s)])
            }
        };
        [strings(&[self.kind().as_bytes(), &signature]), trailer].concat()
    }

    /// A whole SSH signature over words.
    fn signature(&self, application: &str, flags: u8, words: &[u8]) -> Vec<u8> {
        let message = to_sign(NAMESPACE, words).unwrap();
        let made = self.sign(application, flags, &message);
        assembled(&self.public(), NAMESPACE, &made).unwrap()
    }
}

fn strings(all: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    all.iter().for_each(|one| one.encode(&mut bytes).unwrap());
    bytes
}

/// A number as the protocol writes it: no zeros before it but the one that says that it is not negative.
fn number(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let sign = bytes.get(start).is_some_and(|byte| byte & 0x80 != 0);
    [&[0][..usize::from(sign)], &bytes[start..]].concat()
}

#[test]
fn a_made_signature_of_a_hardware_key_shows_whether_somebody_touched_it_and_was_asked() {
    for device in Device::both() {
        for (flags, shows) in [
            (0x00, Presence::Key),
            (0x01, Presence::Touched),
            (0x05, Presence::Verified),
            // Asked without a touch shows no more than a file.
            (0x04, Presence::Key),
        ] {
            let made = device.signature(APPLICATION, flags, WORDS);
            let found = check(&made, WORDS, NAMESPACE);
            let found = found.unwrap_or_else(|why| panic!("{} {flags}: {why}", device.kind()));
            assert_eq!(found.presence, shows, "{} {flags}", device.kind());
            assert_eq!(found.key.algorithm().as_str(), device.kind());
        }
    }
}

#[test]
fn a_made_signature_of_a_hardware_key_that_says_more_than_was_signed_is_refused() {
    for device in Device::both() {
        let made = device.signature(APPLICATION, 0x01, WORDS);
        let refused = |signature: &[u8], words: &[u8]| {
            check(signature, words, NAMESPACE).map(|one| one.presence).unwrap_err()
        };
        assert_eq!(refused(&made, b"other words"), NoSignature::Mismatch);
        // The flags and the counter are signed: nobody makes a touch of none, or more of one.
        let at = made.len() - 5;
        for (place, to) in [(at, 0x05), (at, 0x00), (at + 4, 0x05)] {
            let mut forged = made.clone();
            forged[place] = to;
            assert_eq!(refused(&forged, WORDS), NoSignature::Mismatch, "{place} {to}");
        }
        // A key that was made for signing in on the web signs for another application.
        let elsewhere = device.signature("https://acme.example", 0x05, WORDS);
        assert_eq!(refused(&elsewhere, WORDS), NoSignature::Mismatch);
        // A signature over the message itself, as a file's key makes it, is none of a hardware key.
        let message = to_sign(NAMESPACE, WORDS).unwrap();
        if let Device::Ed25519(pair) = &device {
            let plain = pair.sign(&message);
            let plain = strings(&[device.kind().as_bytes(), plain.as_ref()]);
            let plain = [plain, vec![0x05, 0, 0, 0, 1]].concat();
            let plain = assembled(&device.public(), NAMESPACE, &plain).unwrap();
            assert_eq!(refused(&plain, WORDS), NoSignature::Mismatch);
        }
        let cut = &made[..made.len() - 1];
        assert!(matches!(refused(cut, WORDS), NoSignature::Form(_)));
    }
}

#[test]
fn ssh_keygen_believes_a_made_signature_of_a_hardware_key_as_we_do() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for device in Device::both() {
        let public = data_encoding::BASE64.encode(&device.public());
        fs::write(at.join("signers"), format!("ann@acme {} {public}\n", device.kind())).unwrap();
        let made = device.signature(APPLICATION, 0x05, WORDS);
        fs::write(at.join("sig"), armour(&made)).unwrap();
        for (words, believed) in [(WORDS, true), (b"other words", false)] {
            let mut child = Command::new("ssh-keygen")
                .args(["-Y", "verify", "-f", "signers", "-I", "ann@acme", "-n", NAMESPACE])
                .args(["-s", "sig"])
                .current_dir(at)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("ssh-keygen is on the PATH");
            child.stdin.take().unwrap().write_all(words).unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.success(), believed, "{}: {output:?}", device.kind());
        }
    }
}
