//! Who knocks, and may they.
//!
//! Certificates are checked here; tokens by TokenReview; what is allowed by
//! SubjectAccessReview on this node's subresources. Answers are remembered for a
//! while. Follows pkg/kubelet/server/auth.go and
//! apiserver/pkg/authorization/path in what asks for what.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::Client;
use http::{Method, Request, header};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use stdx::{Clock, Instant};
use typed::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use typed::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::ServeError;
use crate::context::Context;

const KNOWN: Duration = Duration::from_secs(120);
const ALLOWED: Duration = Duration::from_secs(300);
const REFUSED: Duration = Duration::from_secs(30);
const ENTRIES_MAX: usize = 1024;

/// Why somebody stays outside.
pub(super) enum Denied {
    /// Nobody knows them.
    Unauthenticated,
    /// They may not.
    Forbidden(String),
    /// Nobody could be asked.
    Unknown(String),
}

/// Checks callers.
pub(super) struct Authority {
    client: Client,
    clock: Clock,
    node: String,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    users: Remembered<String, Option<User>>,
    verdicts: Remembered<(User, &'static str, &'static str), bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct User {
    name: String,
    uid: String,
    groups: Vec<String>,
    extra: Vec<(String, Vec<String>)>,
}

impl Authority {
    pub(super) fn new(
        cx: &Context,
        client_ca: &[CertificateDer<'static>],
    ) -> Result<Self, ServeError> {
        let mut roots = RootCertStore::empty();
        for certificate in client_ca {
            let added = roots.add(certificate.clone());
            added.map_err(|error| ServeError::ClientCa(error.into()))?;
        }
        let verifier: Option<Arc<dyn ClientCertVerifier>> = if roots.is_empty() {
            None
        } else {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let built =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            Some(built.map_err(|error| ServeError::ClientCa(error.into()))?)
        };
        Ok(Self {
            client: cx.client.clone(),
            clock: cx.clock.clone(),
            node: cx.config.node_name.clone(),
            verifier,
            users: Remembered::default(),
            verdicts: Remembered::default(),
        })
    }

    /// Whether the request may be answered.
    pub(super) async fn check<B>(
        &self,
        request: &Request<B>,
        certificates: &[CertificateDer<'static>],
    ) -> Result<(), Denied> {
        let user = match self.by_certificate(certificates) {
            Some(user) => user,
            None => self.by_token(request).await?,
        };
        let verb = verb(request.method());
        let subresources = subresources(request.uri().path());
        for subresource in subresources {
            if self.allowed(&user, verb, subresource).await? {
                return Ok(());
            }
        }
        let subresource = subresources.first().copied().unwrap_or("proxy");
        Err(Denied::Forbidden(format!(
            "Forbidden (user={}, verb={verb}, resource=nodes, subresource(s)=[{subresource}])\n",
            user.name
        )))
    }

    /// The subject of a certificate that the cluster's CA vouches for.
    fn by_certificate(&self, certificates: &[CertificateDer<'static>]) -> Option<User> {
        let (first, rest) = certificates.split_first()?;
        let now = Duration::from_secs(u64::try_from(self.clock.wall().as_second()).ok()?);
        let verified = self.verifier.as_ref()?.verify_client_cert(
            first,
            rest,
            UnixTime::since_unix_epoch(now),
        );
        if let Err(error) = verified {
            tracing::debug!(%error, "a client certificate is not believed");
            return None;
        }
        let (_, certificate) = X509Certificate::from_der(first).ok()?;
        let subject = certificate.subject();
        let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let groups = subject
            .iter_organization()
            .filter_map(|group| group.as_str().ok().map(str::to_owned));
        let mut groups: Vec<String> = groups.collect();
        groups.push("system:authenticated".to_owned());
        Some(User {
            name,
            uid: String::new(),
            groups,
            extra: Vec::new(),
        })
    }

    async fn by_token<B>(&self, request: &Request<B>) -> Result<User, Denied> {
        let header = request.headers().get(header::AUTHORIZATION);
        let header = header.and_then(|value| value.to_str().ok()).unwrap_or("");
        let (scheme, token) = header.split_once(' ').unwrap_or_default();
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return Err(Denied::Unauthenticated);
        }
        let now = self.clock.now();
        let known = self.users.get(&token.to_owned(), now);
        let user = match known {
            Some(user) => user,
            None => {
                let user = self.review(token).await?;
                let time = if user.is_some() { KNOWN } else { REFUSED };
                self.users.put(token.to_owned(), user.clone(), now + time);
                user
            }
        };
        user.ok_or(Denied::Unauthenticated)
    }

    async fn review(&self, token: &str) -> Result<Option<User>, Denied> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: token.to_owned(),
                ..TokenReviewSpec::default()
            },
            ..TokenReview::default()
        };
        let answer = self.client.api::<TokenReview>().create(&review).await;
        let answer = answer.map_err(|error| Denied::Unknown(error.message()))?;
        let status = answer.status.unwrap_or_default();
        if status.authenticated != Some(true) {
            return Ok(None);
        }
        Ok(status.user.map(read_user))
    }

    async fn allowed(
        &self,
        user: &User,
        verb: &'static str,
        subresource: &'static str,
    ) -> Result<bool, Denied> {
        let key = (user.clone(), verb, subresource);
        let now = self.clock.now();
        if let Some(verdict) = self.verdicts.get(&key, now) {
            return Ok(verdict);
        }
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.name.clone()),
                uid: Some(user.uid.clone()).filter(|uid| !uid.is_empty()),
                groups: Some(user.groups.clone()),
                extra: Some(user.extra.iter().cloned().collect()),
                resource_attributes: Some(ResourceAttributes {
                    verb: Some(verb.to_owned()),
                    version: Some("v1".to_owned()),
                    resource: Some("nodes".to_owned()),
                    subresource: Some(subresource.to_owned()),
                    name: Some(self.node.clone()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let answer = self
            .client
            .api::<SubjectAccessReview>()
            .create(&review)
            .await;
        let answer = answer.map_err(|error| {
            Denied::Unknown(format!("Authorization error (user={}, verb={verb}, resource=nodes, subresource={subresource}): {}", user.name, error.message()))
        })?;
        let allowed = answer.status.is_some_and(|status| status.allowed);
        let time = if allowed { ALLOWED } else { REFUSED };
        self.verdicts.put(key, allowed, now + time);
        Ok(allowed)
    }
}

fn read_user(info: UserInfo) -> User {
    User {
        name: info.username.unwrap_or_default(),
        uid: info.uid.unwrap_or_default(),
        groups: info.groups.unwrap_or_default(),
        extra: info.extra.unwrap_or_default().into_iter().collect(),
    }
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    }
}

/// What of the node a path is about: any of these must be allowed.
fn subresources(path: &str) -> &'static [&'static str] {
    let root = path.trim_start_matches('/').split('/').next();
    match root.unwrap_or_default() {
        "stats" => &["stats"],
        "metrics" => &["metrics"],
        "logs" => &["log"],
        "checkpoint" => &["checkpoint"],
        "healthz" => &["healthz", "proxy"],
        "pods" | "runningpods" => &["pods", "proxy"],
        "configz" => &["configz", "proxy"],
        _ => &["proxy"],
    }
}

/// Answers that hold for a while.
struct Remembered<K, V> {
    entries: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    fn get(&self, key: &K, now: Instant) -> Option<V> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, value) = entries.get(key)?;
        (now < *until).then(|| value.clone())
    }

    fn put(&self, key: K, value: V, until: Instant) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(key, (until, value));
    }
}
