//! Users by service-account token. A token holds as long as it says, and as
//! long as what it is bound to lives.

use super::jwt::{self, Parts};
use super::{Existing, Lookup, ServiceAccountTokens};
use crate::user::{CREDENTIAL_ID, NODE_NAME, NODE_UID, POD_NAME, POD_UID};
use crate::{Authenticator, Credentials, Rejected, User};
use async_trait::async_trait;
use rustc_hash::FxHashMap;
use serde_json::Value;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stdx::{Clock, Instant};

/// How far apart clocks may be, in seconds.
const LEEWAY: i64 = 60;
/// How long a token that was found good is taken for granted, as upstream does.
const TRUSTED: Duration = Duration::from_secs(10);
/// How many good tokens are remembered.
const REMEMBERED_MAX: usize = 4096;

/// Knows service accounts by their tokens.
pub struct ServiceAccountAuthenticator {
    tokens: Arc<ServiceAccountTokens>,
    lookup: Arc<dyn Lookup>,
    clock: Clock,
    trusted: Mutex<FxHashMap<Box<str>, Trusted>>,
}

struct Trusted {
    user: User,
    since: Instant,
    until: i64,
}

impl fmt::Debug for ServiceAccountAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccountAuthenticator")
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

impl ServiceAccountAuthenticator {
    /// Knows what `tokens` issued, while `lookup` finds what it is bound to.
    pub fn new(tokens: Arc<ServiceAccountTokens>, lookup: Arc<dyn Lookup>, clock: Clock) -> Self {
        ServiceAccountAuthenticator {
            tokens,
            lookup,
            clock,
            trusted: Mutex::default(),
        }
    }

    async fn judge(&self, parts: &Parts<'_>, audiences: &[String]) -> Result<User, String> {
        if !self.tokens.key.signed(parts) {
            return Err("invalid signature".into());
        }
        let claims = &parts.claims;
        check_audience(claims, audiences)?;
        let now = self.clock.wall().as_second();
        check_time(claims, now)?;
        let private = claims.get("kubernetes.io").unwrap_or(&Value::Null);
        let namespace = text(private, "namespace");
        let account = Reference::of(private, "serviceaccount").unwrap_or_default();
        let subject = format!("system:serviceaccount:{namespace}:{}", account.name);
        if namespace.is_empty() || account.name.is_empty() || text(claims, "sub") != subject {
            return Err("sub claim is invalid".into());
        }
        self.check_bindings(private, namespace, &account, now)
            .await?;
        Ok(user(claims, private, namespace, &account))
    }

    async fn check_bindings(
        &self,
        private: &Value,
        namespace: &str,
        account: &Reference<'_>,
        now: i64,
    ) -> Result<(), String> {
        self.check_lives("serviceaccounts", namespace, account, now)
            .await?;
        if let Some(secret) = Reference::of(private, "secret") {
            self.check_lives("secrets", namespace, &secret, now).await?;
        }
        match (
            Reference::of(private, "pod"),
            Reference::of(private, "node"),
        ) {
            // The pod's node is told, not asked for: the pod goes with it.
            (Some(pod), _) => self.check_lives("pods", namespace, &pod, now).await,
            (None, Some(node)) => self.check_lives("nodes", "", &node, now).await,
            (None, None) => Ok(()),
        }
    }

    async fn check_lives(
        &self,
        resource: &str,
        namespace: &str,
        wanted: &Reference<'_>,
        now: i64,
    ) -> Result<(), String> {
        let name = wanted.name;
        let Some(Existing { uid, deleted }) = self.lookup.find(resource, namespace, name).await?
        else {
            return Err(format!(
                "{resource} {namespace}/{name} is not there any more"
            ));
        };
        if uid != wanted.uid {
            return Err(format!(
                "{resource} {namespace}/{name} is another one by now"
            ));
        }
        match deleted {
            Some(at) if at < now - LEEWAY => {
                Err(format!("{resource} {namespace}/{name} has been deleted"))
            }
            _ => Ok(()),
        }
    }

    fn remembered(&self, token: &str) -> Option<User> {
        let trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        let found = trusted.get(token)?;
        let fresh = self.clock.since(found.since) < TRUSTED;
        (fresh && self.clock.wall().as_second() <= found.until).then(|| found.user.clone())
    }

    fn remember(&self, token: &str, user: &User, parts: &Parts<'_>) {
        let since = self.clock.now();
        let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        if trusted.len() >= REMEMBERED_MAX {
            trusted.retain(|_, found| since - found.since < TRUSTED);
        }
        if trusted.len() >= REMEMBERED_MAX {
            trusted.clear();
        }
        let found = Trusted {
            user: user.clone(),
            since,
            until: number(&parts.claims, "exp").unwrap_or(0) + LEEWAY,
        };
        trusted.insert(token.into(), found);
    }
}

#[async_trait]
impl Authenticator for ServiceAccountAuthenticator {
    async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Option<User>, Rejected> {
        let Some(token) = credentials.bearer else {
            return Ok(None);
        };
        let own = credentials.audiences.is_empty();
        if let (true, Some(user)) = (own, self.remembered(token)) {
            return Ok(Some(user));
        }
        let Some(parts) = jwt::parse(token) else {
            return Ok(None);
        };
        if text(&parts.claims, "iss") != self.tokens.config.issuer {
            return Ok(None);
        }
        let audiences = match own {
            true => &self.tokens.config.audiences,
            false => credentials.audiences,
        };
        let user = self.judge(&parts, audiences).await.map_err(Rejected)?;
        if own {
            self.remember(token, &user, &parts);
        }
        Ok(Some(user))
    }
}

fn check_audience(claims: &Value, wanted: &[String]) -> Result<(), String> {
    let found: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    match found.iter().any(|a| wanted.iter().any(|w| w == a)) {
        true => Ok(()),
        false => Err(format!(
            "token audiences {found:?} is invalid for the target audiences {wanted:?}"
        )),
    }
}

fn check_time(claims: &Value, now: i64) -> Result<(), String> {
    let ends = number(claims, "exp").ok_or("the token says no end")?;
    if now - LEEWAY > ends {
        return Err("service account token has expired".into());
    }
    let begins = [number(claims, "nbf"), number(claims, "iat")];
    match begins.into_iter().flatten().any(|at| now + LEEWAY < at) {
        true => Err("service account token is not valid yet".into()),
        false => Ok(()),
    }
}

fn user(claims: &Value, private: &Value, namespace: &str, account: &Reference<'_>) -> User {
    let mut user = User::service_account(namespace, account.name);
    user.uid = account.uid.into();
    let mut tell = |key: &str, value: &str| {
        if !value.is_empty() {
            user.extra.insert(key.into(), vec![value.into()]);
        }
    };
    if let Some(pod) = Reference::of(private, "pod") {
        tell(POD_NAME, pod.name);
        tell(POD_UID, pod.uid);
    }
    if let Some(node) = Reference::of(private, "node") {
        tell(NODE_NAME, node.name);
        tell(NODE_UID, node.uid);
    }
    match text(claims, "jti") {
        "" => {}
        id => tell(CREDENTIAL_ID, &format!("JTI={id}")),
    }
    user
}

/// An object that a token names.
#[derive(Default)]
struct Reference<'a> {
    name: &'a str,
    uid: &'a str,
}

impl<'a> Reference<'a> {
    fn of(private: &'a Value, key: &str) -> Option<Reference<'a>> {
        let value = private.get(key).filter(|v| !v.is_null())?;
        Some(Reference {
            name: text(value, "name"),
            uid: text(value, "uid"),
        })
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A NumericDate; a fraction of a second does not matter.
fn number(value: &Value, key: &str) -> Option<i64> {
    let value = value.get(key)?;
    value.as_i64().or_else(|| value.as_f64().map(|f| f as i64))
}
