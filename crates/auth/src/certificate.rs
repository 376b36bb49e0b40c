//! Users by client certificate: the common name is the user, the organisations
//! are the groups. Follows apiserver's pkg/authentication/request/x509.

use crate::pki::facts::{self, Facts};
use crate::pki::tls;
use crate::user::CREDENTIAL_ID;
use crate::{Authenticator, Credentials, Rejected, User};
use async_trait::async_trait;
use rustc_hash::FxHashMap;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stdx::Clock;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

/// How long a verified chain is taken for granted, in seconds. Verifying costs
/// more than serving a small request, and a client sends many over one connection.
const TRUSTED_SECONDS: i64 = 300;
/// How many verified chains are remembered.
const REMEMBERED_MAX: usize = 1024;

/// An authority cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("using the client authority's certificate")]
pub struct BadAuthority(#[source] rustls::Error);

/// Knows clients by their certificates.
#[derive(Debug)]
pub struct CertificateAuthenticator {
    authority: CertificateDer<'static>,
    verifier: Arc<dyn ClientCertVerifier>,
    clock: Clock,
    trusted: Mutex<FxHashMap<Vec<u8>, Trusted>>,
}

#[derive(Clone, Debug)]
struct Trusted {
    user: User,
    since: i64,
    until: i64,
}

impl CertificateAuthenticator {
    /// Trusts what this authority signs.
    pub fn new(authority: CertificateDer<'static>, clock: Clock) -> Result<Self, BadAuthority> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).map_err(BadAuthority)?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider())
                .build()
                .map_err(|error| BadAuthority(rustls::Error::General(error.to_string())))?;
        Ok(CertificateAuthenticator {
            authority,
            verifier,
            clock,
            trusted: Mutex::default(),
        })
    }

    fn judge(&self, chain: &[Vec<u8>], now: i64) -> Result<Option<User>, Rejected> {
        if let Some(user) = self.remembered(&chain[0], now) {
            return Ok(Some(user));
        }
        let facts = self
            .verify(chain, now)
            .map_err(|why| Rejected(format!("verifying the client's certificate failed: {why}")))?;
        if facts.common_name.is_empty() {
            return Ok(None);
        }
        let trusted = Trusted {
            user: user(&facts, &chain[0]),
            since: now,
            until: facts.not_after.min(now + TRUSTED_SECONDS),
        };
        let user = trusted.user.clone();
        self.remember(&chain[0], trusted);
        Ok(Some(user))
    }

    fn verify(&self, chain: &[Vec<u8>], now: i64) -> Result<Facts, String> {
        let leaf = CertificateDer::from(chain[0].as_slice());
        let others: Vec<_> = chain[1..]
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let seconds = Duration::from_secs(u64::try_from(now).unwrap_or(0));
        let time = UnixTime::since_unix_epoch(seconds);
        let facts = Facts::read(&leaf)?;
        if is_version_1(&leaf) {
            return match facts::is_signed_by(&leaf, &self.authority) && facts.holds_at(now) {
                true => Ok(facts),
                false => Err("no authority signed it, or it holds no more".into()),
            };
        }
        match self.verifier.verify_client_cert(&leaf, &others, time) {
            Ok(_) => Ok(facts),
            Err(error) => Err(error.to_string()),
        }
    }

    fn remembered(&self, leaf: &[u8], now: i64) -> Option<User> {
        let trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        let found = trusted.get(leaf)?;
        (found.since..=found.until)
            .contains(&now)
            .then(|| found.user.clone())
    }

    fn remember(&self, leaf: &[u8], found: Trusted) {
        let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        if trusted.len() >= REMEMBERED_MAX {
            trusted.clear();
        }
        trusted.insert(leaf.to_vec(), found);
    }
}

#[async_trait]
impl Authenticator for CertificateAuthenticator {
    async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Option<User>, Rejected> {
        if credentials.certificates.is_empty() {
            return Ok(None);
        }
        self.judge(credentials.certificates, self.clock.wall().as_second())
    }
}

/// Certificates of version 1 say nothing of their use: upstream takes one that
/// the authority itself signed, and rustls knows none.
fn is_version_1(leaf: &[u8]) -> bool {
    X509Certificate::from_der(leaf).is_ok_and(|(_, c)| c.version() == X509Version::V1)
}

fn user(facts: &Facts, leaf: &[u8]) -> User {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, leaf);
    let mut id = String::from("X509SHA256=");
    for byte in digest.as_ref() {
        let _ = write!(id, "{byte:02x}");
    }
    User {
        name: facts.common_name.clone(),
        groups: facts.organizations.clone(),
        extra: [(CREDENTIAL_ID.to_string(), vec![id])].into(),
        ..User::default()
    }
}
