//! Credentials that change under a running client: rotated certificates and token files.

use super::config::{HttpConfigError, Pem, Token};
use crate::transport::TransportError;
use http::HeaderValue;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Follows client-go's transport/token_source.go: a token file is read again after a minute, less
/// ten seconds of leeway.
const TOKEN_AGE_MAX: Duration = Duration::from_secs(50);

/// A bearer token as a header.
pub(super) struct Bearer {
    token: Token,
    clock: stdx::Clock,
    cached: Mutex<Option<(HeaderValue, stdx::Instant)>>,
}

impl Bearer {
    pub(super) fn new(token: Token, clock: stdx::Clock) -> Self {
        Self {
            token,
            clock,
            cached: Mutex::new(None),
        }
    }

    /// The header's value. A file that cannot be read any more leaves the last token in force, as a
    /// token that is replaced may be absent for a moment.
    pub(super) fn header(&self) -> Result<HeaderValue, TransportError> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if let Some((header, read_at)) = cached.as_ref()
            && (matches!(self.token, Token::Value(_)) || now - *read_at < TOKEN_AGE_MAX)
        {
            return Ok(header.clone());
        }
        match (self.read(), cached.as_ref()) {
            (Ok(header), _) => {
                *cached = Some((header.clone(), now));
                Ok(header)
            }
            (Err(error), Some((header, _))) => {
                tracing::warn!(%error, "token file cannot be read; the last token stays in use");
                Ok(header.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    fn read(&self) -> Result<HeaderValue, TransportError> {
        let (token, path) = match &self.token {
            Token::Value(token) => (token.clone(), String::new()),
            Token::File(path) => {
                let failed = |source: std::io::Error| credential_error(path, source.into());
                (
                    std::fs::read_to_string(path).map_err(failed)?,
                    path.display().to_string(),
                )
            }
        };
        let token = token.trim();
        if token.is_empty() {
            return Err(TransportError::Credential {
                path,
                source: "the token is empty".into(),
            });
        }
        let header = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut header = header.map_err(|source| TransportError::Credential {
            path,
            source: source.into(),
        })?;
        header.set_sensitive(true);
        Ok(header)
    }
}

fn credential_error(path: &Path, source: crate::transport::BoxError) -> TransportError {
    TransportError::Credential {
        path: path.display().to_string(),
        source,
    }
}

/// A client certificate that is read again for a handshake when its files have changed.
#[derive(Debug)]
pub(super) struct ReloadingCertificate {
    certificate: Pem,
    key: Pem,
    provider: Arc<CryptoProvider>,
    loaded: Mutex<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    certified: Arc<CertifiedKey>,
    modified: [Option<SystemTime>; 2],
}

impl ReloadingCertificate {
    pub(super) fn new(
        certificate: Pem,
        key: Pem,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, HttpConfigError> {
        let loaded = Mutex::new(load(&certificate, &key, &provider)?);
        Ok(Self {
            certificate,
            key,
            provider,
            loaded,
        })
    }
}

impl ResolvesClientCert for ReloadingCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.modified != modified(&self.certificate, &self.key) {
            match load(&self.certificate, &self.key, &self.provider) {
                Ok(fresh) => *loaded = fresh,
                // Certificate and key are two files and may be read between their replacements.
                Err(error) => {
                    tracing::warn!(%error, "client certificate cannot be read; the last one stays in use")
                }
            }
        }
        Some(Arc::clone(&loaded.certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn load(
    certificate: &Pem,
    key: &Pem,
    provider: &CryptoProvider,
) -> Result<Loaded, HttpConfigError> {
    let modified = modified(certificate, key);
    let pem = |what| move |source| HttpConfigError::Pem { what, source };
    let unusable = |source| HttpConfigError::Unusable {
        what: "client certificate",
        source,
    };
    let text = certificate.read()?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(pem("client certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(&key.read()?).map_err(pem("client key"))?;
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(unusable)?;
    Ok(Loaded {
        certified: Arc::new(certified),
        modified,
    })
}

fn modified(certificate: &Pem, key: &Pem) -> [Option<SystemTime>; 2] {
    [certificate, key].map(|pem| match pem {
        Pem::Data(_) => None,
        Pem::File(path) => std::fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .ok(),
    })
}
