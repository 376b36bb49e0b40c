//! A key and its certificate: made, read back, and held together.

use super::Error;
use super::facts::Facts;
use super::files::Files;
use rcgen::{KeyPair, PublicKeyData as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A key and its certificate.
pub struct Pair {
    /// The certificate, and those that lead from it to the authority.
    pub certificates: String,
    /// The private key as PEM.
    pub key: String,
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) signer: KeyPair,
    pub(super) facts: Facts,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl Pair {
    /// What the certificate says.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The certificate itself.
    pub(super) fn der(&self) -> &CertificateDer<'static> {
        &self.chain[0]
    }

    /// As rustls presents it to a peer.
    pub(super) fn certified(&self, what: &'static str) -> Result<Arc<CertifiedKey>, Error> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.signer.serialized_der()));
        let tls = |source| Error::Tls { what, source };
        let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(tls)?;
        Ok(Arc::new(CertifiedKey::new(self.chain.clone(), signer)))
    }

    /// From what was just made.
    pub(super) fn made(certificate: &rcgen::Certificate, signer: KeyPair) -> Result<Pair, Error> {
        let der = certificate.der().clone();
        let facts = Facts::read(&der).map_err(|why| Error::damaged("a new certificate", why))?;
        Ok(Pair {
            certificates: certificate.pem(),
            key: signer.serialize_pem(),
            chain: vec![der],
            signer,
            facts,
        })
    }
}

/// What is found of a pair in the directory.
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// The key alone, as after a crash between the two writes.
    Key(KeyPair),
    /// Both.
    Both(Box<Pair>),
}

/// Reads `NAME.crt` and `NAME.key`, and refuses what is damaged or does not
/// belong together.
pub(super) fn read(files: &Files, name: &str) -> Result<Found, Error> {
    let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
    let (certificates, pem) = (files.read(&certificate)?, files.read(&key)?);
    let (certificate, key) = (files.path(&certificate), files.path(&key));
    match (certificates, pem) {
        (None, None) => Ok(Found::Nothing),
        (None, Some(pem)) => Ok(Found::Key(read_key(&key, &pem)?)),
        (Some(_), None) => Err(Error::Missing {
            path: key,
            other: certificate,
        }),
        (Some(certificates), Some(pem)) => {
            let signer = read_key(&key, &pem)?;
            let chain = read_chain(&certificate, &certificates)?;
            let facts =
                Facts::read(&chain[0]).map_err(|why| Error::damaged(certificate.clone(), why))?;
            if facts.public_key != signer.subject_public_key_info() {
                return Err(Error::Mismatched {
                    path: certificate,
                    other: key,
                    why: "it is of another key",
                });
            }
            Ok(Found::Both(Box::new(Pair {
                certificates,
                key: pem,
                chain,
                signer,
                facts,
            })))
        }
    }
}

/// Reads a private key.
pub(super) fn read_key(path: &PathBuf, pem: &str) -> Result<KeyPair, Error> {
    KeyPair::from_pem(pem)
        .map_err(|error| Error::damaged(path, format!("it holds no key: {error}")))
}

fn read_chain(path: &PathBuf, pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(Error::damaged(path, "it holds no certificate")),
        Err(error) => Err(Error::damaged(path, error.to_string())),
    }
}
