//! TLS on both sides: our certificate for one start, and the core's, pinned byte for byte.
//!
//! The core makes a certificate for this one start and hands it over in the environment, so the
//! strongest check there is costs nothing: the very same bytes, and a signature by its key. A chain
//! check would be weaker and impossible too, for the certificate is its own authority. Go cores
//! sign with P-521, which ring cannot verify, so that one signature is verified by `p521`.

use std::sync::Arc;

use p521::ecdsa::{DerSignature, VerifyingKey, signature::Verifier};
use p521::pkcs8::DecodePublicKey;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use tokio_rustls::TlsAcceptor;

/// Our side of the connection.
pub(super) struct Tls {
    certificate: Vec<u8>,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// For the core whose certificate this is.
    pub(super) fn for_client(pem: &str) -> Result<Tls, String> {
        let client = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| format!("PLUGIN_CLIENT_CERT is no certificate: {error}"))?
            .into_owned();
        let made = || -> Result<_, rcgen::Error> {
            let key = rcgen::KeyPair::generate()?;
            let certificate =
                rcgen::CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
            Ok((certificate.der().to_vec(), key.serialize_der()))
        };
        let (certificate, key) =
            made().map_err(|error| format!("no certificate could be made: {error}"))?;
        let key = PrivateKeyDer::try_from(key)
            .map_err(|error| format!("the key just made is unusable: {error}"))?;
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(Pinned { client, provider: provider.clone() });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_client_cert_verifier(verifier)
                    .with_single_cert(vec![CertificateDer::from(certificate.clone())], key)
            })
            .map_err(|error| format!("TLS cannot be set up: {error}"))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Tls { certificate, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Our certificate, for the line that the core reads.
    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(super) fn acceptor(self) -> TlsAcceptor {
        self.acceptor
    }
}

/// Takes the one client and no other.
#[derive(Debug)]
struct Pinned {
    client: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if certificate.as_ref() == self.client.as_ref() {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if signed.scheme == SignatureScheme::ECDSA_NISTP521_SHA512 {
            return verify_p521(message, certificate, signed);
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if signed.scheme == SignatureScheme::ECDSA_NISTP521_SHA512 {
            return verify_p521(message, certificate, signed);
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    // A scheme that is not offered here makes a Go core send no certificate at all.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.provider.signature_verification_algorithms.supported_schemes();
        schemes.push(SignatureScheme::ECDSA_NISTP521_SHA512);
        schemes
    }
}

fn verify_p521(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let bad = || Error::InvalidCertificate(CertificateError::BadSignature);
    let certificate = ParsedCertificate::try_from(certificate)?;
    let spki = certificate.subject_public_key_info();
    let key = p521::PublicKey::from_public_key_der(spki.as_ref()).map_err(|_| bad())?;
    let signature = DerSignature::try_from(signed.signature()).map_err(|_| bad())?;
    let signature: p521::ecdsa::Signature = signature.try_into().map_err(|_| bad())?;
    VerifyingKey::from_affine(*key.as_affine())
        .and_then(|key| key.verify(message, &signature))
        .map_err(|_| bad())?;
    Ok(HandshakeSignatureValid::assertion())
}
