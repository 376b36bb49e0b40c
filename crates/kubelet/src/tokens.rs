//! Tokens of service accounts for pods, renewed at four fifths of their life.
//!
//! Follows pkg/kubelet/token/token_manager.go.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use client::Client;
use stdx::{Clock, Timestamp};
use typed::Typed;
use typed::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use typed::api::core::v1::{Pod, ServiceAccount};

use crate::pod::spec;

/// Seconds a token lives when the pod does not say.
const LIFE_DEFAULT: i64 = 3600;
/// The longest time until a token is renewed, in seconds.
const RENEWAL_MAX: i64 = 24 * 3600;

/// What token is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenWish {
    /// For whom; empty is the API server itself.
    pub audience: String,
    /// How long it shall live, in seconds.
    pub expiration_seconds: Option<i64>,
}

/// No token can be had.
#[derive(Debug, thiserror::Error)]
#[error("failed to fetch token: {0}")]
pub struct TokenError(pub String);

/// Makes tokens for pods.
#[async_trait]
pub trait Tokens: Send + Sync + 'static {
    /// A token that has a good part of its life before it.
    async fn token(&self, pod: &Pod, wish: &TokenWish) -> Result<String, TokenError>;

    /// Forgets the tokens of a pod that is gone.
    fn forget(&self, uid: &str);
}

/// Asks the API server and remembers.
pub struct TokenManager {
    client: Client,
    clock: Clock,
    known: Mutex<HashMap<(String, TokenWish), Token>>,
}

#[derive(Clone)]
struct Token {
    text: String,
    renew: Timestamp,
    expires: Timestamp,
}

impl TokenManager {
    /// One that asks through the client.
    pub fn new(client: Client, clock: Clock) -> Self {
        Self {
            client,
            clock,
            known: Mutex::default(),
        }
    }

    async fn request(&self, pod: &Pod, wish: &TokenWish) -> Result<Token, TokenError> {
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: (!wish.audience.is_empty()).then(|| vec![wish.audience.clone()]),
                expiration_seconds: Some(wish.expiration_seconds.unwrap_or(LIFE_DEFAULT)),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: Some(pod.name().to_owned()),
                    uid: Some(pod.uid().to_owned()),
                }),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let account = spec(pod).service_account_name.as_deref();
        let account = account.filter(|name| !name.is_empty()).unwrap_or("default");
        let api = self
            .client
            .api::<ServiceAccount>()
            .namespace(pod.namespace());
        let answer = api
            .create_token(account, &request)
            .await
            .map_err(|error| TokenError(error.message()))?;
        let status = answer
            .status
            .ok_or_else(|| TokenError("the answer has no status".to_owned()))?;
        let now = self.clock.wall();
        let incomplete = || TokenError("the answer is incomplete".to_owned());
        let expires = status.expiration_timestamp.ok_or_else(incomplete)?.0;
        let life = expires.as_second() - now.as_second();
        let until = (life * 4 / 5).clamp(0, RENEWAL_MAX);
        Ok(Token {
            text: status.token.ok_or_else(incomplete)?,
            renew: later(now, until),
            expires,
        })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(String, TokenWish), Token>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn later(time: Timestamp, seconds: i64) -> Timestamp {
    let span = jiff::SignedDuration::from_secs(seconds);
    time.saturating_add(span).unwrap_or(time)
}

#[async_trait]
impl Tokens for TokenManager {
    async fn token(&self, pod: &Pod, wish: &TokenWish) -> Result<String, TokenError> {
        let key = (pod.uid().to_owned(), wish.clone());
        let known = self.known().get(&key).cloned();
        let now = self.clock.wall();
        if let Some(token) = known.as_ref().filter(|token| now < token.renew) {
            return Ok(token.text.clone());
        }
        match self.request(pod, wish).await {
            Ok(token) => {
                self.known().insert(key, token.clone());
                Ok(token.text)
            }
            Err(error) => match known.filter(|token| now < token.expires) {
                Some(token) => {
                    tracing::warn!(pod = pod.key(), %error, "could not renew a token; the old one still holds");
                    Ok(token.text)
                }
                None => Err(error),
            },
        }
    }

    fn forget(&self, uid: &str) {
        self.known().retain(|(pod, _), _| pod != uid);
    }
}

/// Tokens for tests: the audience and a number.
#[derive(Default)]
pub struct FakeTokens {
    /// Goes into each token.
    pub serial: std::sync::atomic::AtomicU32,
}

#[async_trait]
impl Tokens for FakeTokens {
    async fn token(&self, pod: &Pod, wish: &TokenWish) -> Result<String, TokenError> {
        let serial = self.serial.load(std::sync::atomic::Ordering::SeqCst);
        Ok(format!("{} {} {serial}", pod.name(), wish.audience))
    }

    fn forget(&self, _uid: &str) {}
}
