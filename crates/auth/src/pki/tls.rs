//! rustls as the cluster speaks it: servers that ask for a client's certificate
//! without judging it, and certificates that change under a running server.

use super::Error;
use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, PeerMisbehaved,
    RootCertStore, ServerConfig, SignatureScheme,
};
use std::sync::{Arc, LazyLock};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));

/// The cryptography that everything here uses.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}

/// A certificate that is replaced while in use.
#[derive(Debug)]
pub(super) struct Current(ArcSwap<CertifiedKey>);

impl Current {
    pub(super) fn new(key: Arc<CertifiedKey>) -> Arc<Self> {
        Arc::new(Current(ArcSwap::new(key)))
    }

    pub(super) fn set(&self, key: Arc<CertifiedKey>) {
        self.0.store(key);
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl ResolvesClientCert for Current {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
    fn has_certs(&self) -> bool {
        true
    }
}

/// A server that asks clients for certificates and lets [`crate::certificate`]
/// judge them.
pub(super) fn server(
    what: &'static str,
    certificate: Arc<Current>,
    authorities: Vec<DistinguishedName>,
) -> Result<ServerConfig, Error> {
    let versions =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let mut config = versions
        .map_err(|source| Error::Tls { what, source })?
        .with_client_cert_verifier(Arc::new(AnyCertificate { authorities }))
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A client that trusts servers of one authority, and shows a certificate when
/// it has one.
pub(super) fn client(
    what: &'static str,
    authority: &CertificateDer<'static>,
    certificate: Option<Arc<Current>>,
) -> Result<ClientConfig, Error> {
    let tls = |source| Error::Tls { what, source };
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(tls)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| tls(rustls::Error::General(error.to_string())))?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .with_webpki_verifier(verifier);
    Ok(match certificate {
        Some(certificate) => builder.with_client_cert_resolver(certificate),
        None => builder.with_no_client_auth(),
    })
}

/// Takes any certificate whose key the client proves to hold. Whether it means
/// anything is for the authenticator to say: a client whose certificate is of
/// an authority that nobody knows may still have a token (upstream asks for
/// certificates with `tls.RequestClientCert`).
#[derive(Debug)]
struct AnyCertificate {
    authorities: Vec<DistinguishedName>,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify(message, certificate, signed, usize::MAX)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let scheme = signed.scheme;
        if !is_of_tls13(scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        // In TLS 1.3 a scheme names its curve, which rustls lists first.
        verify(message, certificate, signed, 1)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn is_of_tls13(scheme: SignatureScheme) -> bool {
    !matches!(
        scheme,
        SignatureScheme::RSA_PKCS1_SHA1
            | SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512
            | SignatureScheme::ECDSA_SHA1_Legacy
    )
}

/// Checks the handshake's signature with the certificate's key. rustls' own
/// check refuses certificates of X.509 version 1, which upstream takes and
/// which many tutorials make with `openssl x509 -req`.
fn verify(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    tries: usize,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let malformed = || rustls::Error::InvalidCertificate(CertificateError::BadEncoding);
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| malformed())?;
    let key = certificate.public_key();
    let algorithms = &PROVIDER.signature_verification_algorithms;
    let (_, candidates) = algorithms
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signed.scheme)
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    let algorithm_of_key = algorithm_id(key.raw).ok_or_else(malformed)?;
    let valid = candidates
        .iter()
        .take(tries)
        .filter(|a| a.public_key_alg_id().as_ref() == algorithm_of_key)
        .any(|a| {
            let bits = &key.subject_public_key.data;
            a.verify_signature(bits, message, signed.signature())
                .is_ok()
        });
    match valid {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(rustls::Error::InvalidCertificate(
            CertificateError::BadSignature,
        )),
    }
}

/// What is inside the AlgorithmIdentifier that opens a SubjectPublicKeyInfo.
fn algorithm_id(public_key: &[u8]) -> Option<&[u8]> {
    let inside = sequence(public_key)?;
    sequence(inside)
}

/// What is inside a DER sequence, whatever follows it.
fn sequence(der: &[u8]) -> Option<&[u8]> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => {
            let (high, low) = (*rest.first()?, *rest.get(1)?);
            (usize::from(high) << 8 | usize::from(low), &rest[2..])
        }
        _ => return None,
    };
    (tag == 0x30).then(|| rest.get(..length)).flatten()
}
