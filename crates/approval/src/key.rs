//! A file that holds a key, as OpenSSH writes it: a private key, encrypted or not, or a public one whose
//! private half is elsewhere.

use ssh_key::{Algorithm, Certificate, PrivateKey, PublicKey};

use crate::{
    signers::fingerprint,
    sshsig::{self, NoSignature},
};

/// What a key's file holds.
#[derive(Debug, Clone)]
pub enum KeyFile {
    /// A private key that signs here.
    Private(Box<PrivateKey>),
    /// A private key that a passphrase opens.
    Encrypted(Box<PrivateKey>),
    /// A handle of a hardware key: `ssh-keygen` speaks to it.
    Hardware,
    /// A public key, or a certificate: an agent has the private half.
    Public(Vec<u8>),
}

/// Why a file holds no key that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoKey(String);

impl KeyFile {
    /// Reads a key's file.
    ///
    /// # Errors
    ///
    /// It is none that is known.
    pub fn read(bytes: &[u8]) -> Result<KeyFile, NoKey> {
        let text = std::str::from_utf8(bytes).map_err(|_| NoKey("it is no text".to_owned()))?;
        if let Ok(public) = PublicKey::from_openssh(text.trim()) {
            return blob(public.to_bytes());
        }
        if let Ok(certificate) = Certificate::from_openssh(text.trim()) {
            return blob(certificate.to_bytes());
        }
        let key = PrivateKey::from_openssh(text).map_err(|_| {
            let hint = match text.contains("PRIVATE KEY") {
                true => "; ssh-keygen -p -f FILE writes it in the form of OpenSSH",
                false => "",
            };
            NoKey(format!("it is no key of OpenSSH{hint}"))
        })?;
        // The kind stands outside of what is encrypted.
        let kind = key.public_key().algorithm();
        Ok(match kind {
            Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => KeyFile::Hardware,
            Algorithm::Ed25519 | Algorithm::Ecdsa { .. } if key.is_encrypted() => {
                KeyFile::Encrypted(Box::new(key))
            }
            Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => KeyFile::Private(Box::new(key)),
            kind => {
                return Err(NoKey(format!(
                    "it is a key of the kind {kind}; ed25519, ECDSA and hardware keys are taken"
                )));
            }
        })
    }

    /// Opens what is encrypted.
    ///
    /// # Errors
    ///
    /// It is not that passphrase.
    pub fn opened(&self, passphrase: &[u8]) -> Result<KeyFile, NoKey> {
        match self {
            KeyFile::Encrypted(key) => key
                .decrypt(passphrase)
                .map(|key| KeyFile::Private(Box::new(key)))
                .map_err(|_| NoKey("that is not its passphrase".to_owned())),
            other => Ok(other.clone()),
        }
    }

    /// Signs, where the private key is at hand.
    ///
    /// # Errors
    ///
    /// It is not, or does not sign.
    pub fn sign(&self, namespace: &str, bytes: &[u8]) -> Result<Vec<u8>, NoSignature> {
        match self {
            KeyFile::Private(key) => sshsig::sign(key, namespace, bytes),
            _ => Err(NoSignature::Form("its private key is not at hand".to_owned())),
        }
    }
}

fn blob(bytes: Result<Vec<u8>, ssh_key::Error>) -> Result<KeyFile, NoKey> {
    bytes.map(KeyFile::Public).map_err(|error| NoKey(error.to_string()))
}

/// The fingerprint of a public key or a certificate as the protocol writes it.
pub fn fingerprint_of(blob: &[u8]) -> Option<String> {
    if let Ok(key) = PublicKey::from_bytes(blob) {
        return Some(fingerprint(key.key_data()));
    }
    Certificate::from_bytes(blob).ok().map(|one| fingerprint(one.public_key()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_told_with_what_makes_it_one() {
        let no = |text: &str| KeyFile::read(text.as_bytes()).unwrap_err().to_string();
        assert!(no("hello").contains("no key"));
        assert!(
            no("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----").contains("-p -f")
        );
        assert!(KeyFile::read(&[0xff, 0xfe]).is_err());
    }
}
