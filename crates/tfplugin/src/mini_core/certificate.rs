//! The certificate that a Go core makes for one start: P-521, its own authority.
//!
//! ring cannot make such signatures, so `p521` makes them, and the certificate is written here.

use std::sync::Arc;

use p521::ecdsa::signature::RandomizedSigner;
use p521::ecdsa::{DerSignature, Signature, SigningKey, VerifyingKey};
use p521::elliptic_curve::rand_core::{OsRng, RngCore};
use p521::pkcs8::EncodePublicKey;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey as TlsKey};

/// A certificate and its key.
#[derive(Clone)]
pub(super) struct Certificate {
    der: Vec<u8>,
    key: Arc<P521Key>,
}

impl Certificate {
    /// A fresh one.
    pub(super) fn generate() -> Result<Certificate, String> {
        let key = SigningKey::random(&mut OsRng);
        let der = certificate(&key)?;
        Ok(Certificate { der, key: Arc::new(P521Key(key)) })
    }

    /// As the environment carries it.
    pub(super) fn pem(&self) -> String {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let text = STANDARD.encode(&self.der);
        let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = more;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }

    /// For the client's side of a handshake.
    pub(super) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        let chain = vec![CertificateDer::from(self.der.clone())];
        Arc::new(Always(Arc::new(CertifiedKey::new(chain, self.key.clone()))))
    }
}

/// Sends the certificate where its scheme is offered, and as Go does nothing where it is not.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        schemes.contains(&SignatureScheme::ECDSA_NISTP521_SHA512).then(|| self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Clone)]
struct P521Key(SigningKey);

impl std::fmt::Debug for P521Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("P521Key")
    }
}

impl TlsKey for P521Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&SignatureScheme::ECDSA_NISTP521_SHA512)
            .then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> rustls::SignatureAlgorithm {
        rustls::SignatureAlgorithm::ECDSA
    }
}

impl Signer for P521Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        sign(&self.0, message).map_err(rustls::Error::General)
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}

fn sign(key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, String> {
    let signature: Signature =
        key.try_sign_with_rng(&mut OsRng, message).map_err(|error| error.to_string())?;
    Ok(DerSignature::from(signature).as_bytes().to_vec())
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const UTF8: u8 = 0x0c;

/// One DER element.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match length {
        0..=0x7f => out.push(length as u8),
        0x80..=0xff => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

fn certificate(key: &SigningKey) -> Result<Vec<u8>, String> {
    let public = p521::PublicKey::from_affine(*VerifyingKey::from(key).as_affine())
        .map_err(|error| error.to_string())?
        .to_public_key_der()
        .map_err(|error| error.to_string())?;
    // ecdsa-with-SHA512
    let algorithm =
        element(SEQUENCE, &[&element(OID, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4]])]);
    let mut serial = [0; 16];
    OsRng.fill_bytes(&mut serial);
    serial[0] = serial[0] & 0x7f | 0x40;
    let part = |which: u8, text: &str| {
        let pair = element(
            SEQUENCE,
            &[&element(OID, &[&[0x55, 4, which]]), &element(UTF8, &[text.as_bytes()])],
        );
        element(SET, &[&pair])
    };
    let name = element(SEQUENCE, &[&part(10, "HashiCorp"), &part(3, "localhost")]);
    let now = jiff::Timestamp::now();
    let year = 365 * 24 * 3600;
    let moment = |seconds: i64| {
        jiff::Timestamp::from_second(now.as_second() + seconds)
            .map(|at| element(0x18, &[at.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes()]))
            .map_err(|error| error.to_string())
    };
    let validity = element(SEQUENCE, &[&moment(-30)?, &moment(30 * year)?]);
    let extension = |id: &[u8], critical: bool, value: Vec<u8>| {
        let critical = if critical { element(BOOLEAN, &[&[0xff]]) } else { Vec::new() };
        element(SEQUENCE, &[&element(OID, &[id]), &critical, &element(OCTET_STRING, &[&value])])
    };
    let authority = element(SEQUENCE, &[&element(BOOLEAN, &[&[0xff]])]);
    let purpose = |last: u8| element(OID, &[&[0x2b, 6, 1, 5, 5, 7, 3, last]]);
    let extensions = element(
        SEQUENCE,
        &[
            // Key usage: digital signature, key encipherment, key agreement, certificate signing.
            &extension(&[0x55, 0x1d, 15], true, element(BIT_STRING, &[&[2, 0xac]])),
            &extension(&[0x55, 0x1d, 37], false, element(SEQUENCE, &[&purpose(2), &purpose(1)])),
            &extension(&[0x55, 0x1d, 19], true, authority),
            &extension(
                &[0x55, 0x1d, 17],
                false,
                element(SEQUENCE, &[&element(0x82, &[b"localhost"])]),
            ),
        ],
    );
    let body = element(
        SEQUENCE,
        &[
            &element(0xa0, &[&element(INTEGER, &[&[2]])]),
            &element(INTEGER, &[&serial]),
            &algorithm,
            &name,
            &validity,
            &name,
            public.as_bytes(),
            &element(0xa3, &[&extensions]),
        ],
    );
    let signature = sign(key, &body)?;
    Ok(element(SEQUENCE, &[&body, &algorithm, &element(BIT_STRING, &[&[0], &signature])]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_parses_and_its_key_is_a_p521_key() {
        let made = Certificate::generate().unwrap();
        let der = CertificateDer::from(made.der.clone());
        let parsed = rustls::server::ParsedCertificate::try_from(&der).unwrap();
        use p521::pkcs8::DecodePublicKey;
        let spki = parsed.subject_public_key_info();
        assert!(p521::PublicKey::from_public_key_der(spki.as_ref()).is_ok());
        assert!(made.pem().starts_with("-----BEGIN CERTIFICATE-----\n"));
    }
}
