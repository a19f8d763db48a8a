//! SSH signatures: made with a key file, read, and checked.
//!
//! Source: OpenSSH, PROTOCOL.sshsig and PROTOCOL.u2f. What `ssh-keygen -Y sign` makes is checked here,
//! and what is made here `ssh-keygen -Y verify` checks.

use data_encoding::BASE64;
use policy::change::quorum::Presence;
use ssh_encoding::{Decode, Encode, Reader};
use ssh_key::{
    Algorithm, Certificate, HashAlg, PrivateKey, PublicKey, Signature, SshSig,
    public::{EcdsaPublicKey, KeyData},
};

/// PROTOCOL.u2f: somebody touched the key.
const USER_PRESENT: u8 = 0x01;
/// WebAuthn §6.1: the key asked who uses it.
const USER_VERIFIED: u8 = 0x04;

/// A signature whose mathematics is right. Whether its key may sign is asked of the signers.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The key that signed.
    pub key: KeyData,
    /// The certificate that came with it.
    pub certificate: Option<Box<Certificate>>,
    /// What the key shows of whoever used it.
    pub presence: Presence,
}

/// Why a signature is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSignature {
    /// It cannot be read.
    #[error("it is no SSH signature: {0}")]
    Form(String),
    /// It was made for something else.
    #[error("it was made in the namespace {found:?}, not {wanted:?}")]
    Namespace {
        /// The namespace it has.
        found: String,
        /// The namespace it should have.
        wanted: String,
    },
    /// Its key is of a kind that is not accepted.
    #[error("{0} keys are not accepted here; ed25519, ECDSA (P-256, P-384) and hardware keys are")]
    Kind(String),
    /// It does not match what was signed.
    #[error("it is not of this statement and this key")]
    Mismatch,
}

/// Checks a signature (its bytes, without armour) over bytes.
///
/// # Errors
///
/// Why it is none.
pub fn check(signature: &[u8], bytes: &[u8], namespace: &str) -> Result<Signed, NoSignature> {
    let form = |error: ssh_key::Error| NoSignature::Form(error.to_string());
    let parts = Parts::read(signature).map_err(|error| NoSignature::Form(error.to_string()))?;
    if parts.namespace != namespace {
        return Err(NoSignature::Namespace {
            found: parts.namespace,
            wanted: namespace.to_owned(),
        });
    }
    // What nobody has defined yet might mean something.
    if !parts.reserved.is_empty() {
        return Err(NoSignature::Form("its reserved part is not empty".to_owned()));
    }
    // A certificate's signature is its key's.
    let (key, certificate) = match parts.is_certified() {
        true => {
            let certificate = Certificate::from_bytes(&parts.key).map_err(form)?;
            (certificate.public_key().clone(), Some(Box::new(certificate)))
        }
        false => (PublicKey::from_bytes(&parts.key).map_err(form)?.key_data().clone(), None),
    };
    let known = matches!(
        key,
        KeyData::Ed25519(_)
            | KeyData::SkEd25519(_)
            | KeyData::SkEcdsaSha2NistP256(_)
            | KeyData::Ecdsa(EcdsaPublicKey::NistP256(_) | EcdsaPublicKey::NistP384(_))
    );
    if !known {
        return Err(NoSignature::Kind(key.algorithm().to_string()));
    }
    let hash: HashAlg = parts
        .hash
        .parse()
        .map_err(|_| NoSignature::Form(format!("{:?} is no hash of SSH signatures", parts.hash)))?;
    let made = Signature::try_from(parts.signature.as_slice()).map_err(form)?;
    let shown = presence(&key, made.as_bytes())?;
    let plain = SshSig::new(key.clone(), namespace, hash, made).map_err(form)?;
    PublicKey::from(key.clone())
        .verify(namespace, bytes, &plain)
        .map_err(|_| NoSignature::Mismatch)?;
    Ok(Signed { presence: shown, key, certificate })
}

/// The parts of a signature, unread: PROTOCOL.sshsig, "Blob format".
struct Parts {
    key: Vec<u8>,
    namespace: String,
    reserved: Vec<u8>,
    hash: String,
    signature: Vec<u8>,
}

impl Parts {
    fn read(mut bytes: &[u8]) -> Result<Parts, ssh_encoding::Error> {
        let of = &mut bytes;
        let mut magic = [0; 6];
        of.read(&mut magic)?;
        if &magic != b"SSHSIG" || u32::decode(of)? != SshSig::VERSION {
            return Err(ssh_encoding::Error::Base64(ssh_encoding::base64::Error::InvalidEncoding));
        }
        let parts = Parts {
            key: Vec::decode(of)?,
            namespace: String::decode(of)?,
            reserved: Vec::decode(of)?,
            hash: String::decode(of)?,
            signature: Vec::decode(of)?,
        };
        of.finish(parts)
    }

    /// Whether the key is a certificate: its kind says so.
    fn is_certified(&self) -> bool {
        let kind = String::decode(&mut self.key.as_slice()).unwrap_or_default();
        kind.ends_with("-cert-v01@openssh.com")
    }
}

/// What a hardware key says of whoever used it: its last five bytes are flags and a counter, and they
/// are part of what it signed.
fn presence(key: &KeyData, signature: &[u8]) -> Result<Presence, NoSignature> {
    if !matches!(key, KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_)) {
        return Ok(Presence::Key);
    }
    let flags = signature.len().checked_sub(5).and_then(|at| signature.get(at)).copied();
    let flags = flags.ok_or_else(|| NoSignature::Form("it has no flags".to_owned()))?;
    Ok(match (flags & USER_PRESENT != 0, flags & USER_VERIFIED != 0) {
        (true, true) => Presence::Verified,
        (true, false) => Presence::Touched,
        // A hardware key that nobody touched shows no more than a file.
        (false, _) => Presence::Key,
    })
}

/// Signs bytes with a key that is at hand, and gives the signature's bytes.
///
/// # Errors
///
/// The key is encrypted, or of a kind that signs elsewhere (a hardware key).
pub fn sign(key: &PrivateKey, namespace: &str, bytes: &[u8]) -> Result<Vec<u8>, NoSignature> {
    if !matches!(key.algorithm(), Algorithm::Ed25519 | Algorithm::Ecdsa { .. }) {
        return Err(NoSignature::Kind(key.algorithm().to_string()));
    }
    let signed = key
        .sign(namespace, HashAlg::Sha512, bytes)
        .map_err(|error| NoSignature::Form(error.to_string()))?;
    let mut bytes = Vec::new();
    signed.encode(&mut bytes).map_err(|error| NoSignature::Form(error.to_string()))?;
    Ok(bytes)
}

/// What an agent is given to sign in the place of bytes: PROTOCOL.sshsig, "Signed Data".
///
/// # Errors
///
/// The namespace is none.
pub fn to_sign(namespace: &str, bytes: &[u8]) -> Result<Vec<u8>, NoSignature> {
    SshSig::signed_data(namespace, HashAlg::Sha512, bytes)
        .map_err(|error| NoSignature::Form(error.to_string()))
}

/// The signature's bytes, of a key (or certificate) and of what an agent made of [`to_sign`].
///
/// # Errors
///
/// They are too long to be written.
pub fn assembled(key: &[u8], namespace: &str, signature: &[u8]) -> Result<Vec<u8>, NoSignature> {
    let mut bytes = b"SSHSIG".to_vec();
    let mut write = || -> Result<(), ssh_encoding::Error> {
        SshSig::VERSION.encode(&mut bytes)?;
        for part in [key, namespace.as_bytes(), b"", b"sha512", signature] {
            part.encode(&mut bytes)?;
        }
        Ok(())
    };
    write().map_err(|error| NoSignature::Form(error.to_string()))?;
    Ok(bytes)
}

/// The armour of a signature.
const ARMOUR: [&str; 2] = ["-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"];

/// The bytes of an armoured signature, as `ssh-keygen -Y sign` writes it.
///
/// # Errors
///
/// It is no armoured SSH signature.
pub fn from_armour(text: &str) -> Result<Vec<u8>, NoSignature> {
    let [begin, end] = ARMOUR;
    let inner = text.trim().strip_prefix(begin).and_then(|text| text.strip_suffix(end));
    let bytes = inner.and_then(|inner| {
        let all: String = inner.split_whitespace().collect();
        BASE64.decode(all.as_bytes()).ok()
    });
    bytes.ok_or_else(|| NoSignature::Form("it has not the armour of one".to_owned()))
}

/// A signature in its armour, for `ssh-keygen -Y verify`.
pub fn armour(signature: &[u8]) -> String {
    let [begin, end] = ARMOUR;
    let text = BASE64.encode(signature);
    let lines: Vec<&str> =
        (0..text.len()).step_by(70).map(|at| &text[at..text.len().min(at + 70)]).collect();
    format!("{begin}\n{}\n{end}\n", lines.join("\n"))
}
