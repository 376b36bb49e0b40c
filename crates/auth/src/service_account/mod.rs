//! Service-account tokens: issued to pods and people, and known again. Follows
//! pkg/serviceaccount/{claims,jwt,openidmetadata}.go.

mod authenticator;
mod jwt;
mod legacy;
mod lookup;
#[cfg(test)]
mod tests;

pub use authenticator::ServiceAccountAuthenticator;
pub use legacy::{LAST_USED, LegacyTokens};
pub use lookup::{Existing, Lookup};

use jwt::Key;
use serde_json::{Value, json};
use std::time::Duration;
use stdx::{Clock, Rng};

/// The issuer when nobody names another; also the API server's own audience.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// A pod that asks for exactly this lifetime is of a time before tokens ended:
/// what it gets lasts longer, and is noted when it is used late.
const WARN_AFTER: Duration = Duration::from_secs(60 * 60 + 7);
/// How long the tokens of such pods last.
const EXTENDED: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How tokens are made.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who issues them.
    pub issuer: String,
    /// The audiences of the API server; the issuer when empty.
    pub audiences: Vec<String>,
    /// Where the API server is reached, for the discovery document:
    /// `https://192.0.2.1:6443`.
    pub server_url: String,
}

/// What a token says.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The service account's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// For whom the token is meant; empty for the API server.
    pub audiences: Vec<String>,
    /// How long it holds.
    pub lifetime: Duration,
    /// The object whose life bounds the token's: kind (`Pod`, `Node`, `Secret`),
    /// name and uid.
    pub bound_to: Option<(String, String, String)>,
    /// The node on which a pod that the token is bound to runs: name and uid.
    pub node: Option<(String, String)>,
}

/// A token could not be made, or nothing that makes them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The signing key is of another kind.
    #[error("the service-account key is not a P-256 key in PKCS#8")]
    Key,
    /// The cryptographic library failed.
    #[error("signing a token of service account {namespace}/{name}")]
    Sign {
        /// The service account's namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Tokens cannot be bound to objects of this kind.
    #[error("a token cannot be bound to a {kind}")]
    Kind {
        /// Which.
        kind: String,
    },
}

/// Makes tokens, and tells others how to verify them.
#[derive(Debug)]
pub struct ServiceAccountTokens {
    config: Config,
    key: Key,
    clock: Clock,
    rng: Rng,
}

impl ServiceAccountTokens {
    /// Signs with a P-256 key in PKCS#8 DER.
    pub fn new(mut config: Config, pkcs8: &[u8], clock: Clock, rng: Rng) -> Result<Self, Error> {
        let key = Key::new(pkcs8).ok_or(Error::Key)?;
        if config.audiences.is_empty() {
            config.audiences.push(config.issuer.clone());
        }
        Ok(ServiceAccountTokens {
            config,
            key,
            clock,
            rng,
        })
    }

    /// A signed token, and when it ends for who asked, in seconds since 1970.
    pub fn issue(&self, claims: &Claims) -> Result<(String, i64), Error> {
        let now = self.clock.wall().as_second();
        let ends = now + seconds(claims.lifetime);
        let token = self.key.sign(&self.write(claims, now)?);
        let token = token.ok_or_else(|| Error::Sign {
            namespace: claims.namespace.clone(),
            name: claims.name.clone(),
        })?;
        Ok((token, ends))
    }

    /// The audiences of the API server itself.
    pub fn default_audiences(&self) -> Vec<String> {
        self.config.audiences.clone()
    }

    /// The public keys, as a JWK set.
    pub fn jwks(&self) -> String {
        json!({"keys": [self.key.jwk()]}).to_string()
    }

    /// The OpenID discovery document.
    pub fn discovery_document(&self) -> String {
        json!({
            "issuer": self.config.issuer,
            "jwks_uri": format!("{}/openid/v1/jwks", self.config.server_url),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
        .to_string()
    }

    fn write(&self, claims: &Claims, now: i64) -> Result<Value, Error> {
        let audiences = match claims.audiences.is_empty() {
            true => &self.config.audiences,
            false => &claims.audiences,
        };
        let of_pod = matches!(&claims.bound_to, Some((kind, _, _)) if kind == "Pod");
        let for_us = audiences.iter().all(|a| self.config.audiences.contains(a));
        let extended = of_pod && for_us && claims.lifetime == WARN_AFTER;
        let lifetime = if extended { EXTENDED } else { claims.lifetime };
        let mut private = json!({
            "namespace": claims.namespace,
            "serviceaccount": reference(&claims.name, &claims.uid),
        });
        if let Some((kind, name, uid)) = &claims.bound_to {
            let key = match kind.as_str() {
                "Pod" => "pod",
                "Node" => "node",
                "Secret" => "secret",
                _ => return Err(Error::Kind { kind: kind.clone() }),
            };
            private[key] = reference(name, uid);
        }
        if let (true, Some((name, uid))) = (of_pod, &claims.node) {
            private["node"] = reference(name, uid);
        }
        if extended {
            private["warnafter"] = json!(now + seconds(WARN_AFTER));
        }
        Ok(json!({
            "aud": audiences,
            "exp": now + seconds(lifetime),
            "iat": now,
            "iss": self.config.issuer,
            "jti": self.rng.uuid().to_string(),
            "kubernetes.io": private,
            "nbf": now,
            "sub": format!("system:serviceaccount:{}:{}", claims.namespace, claims.name),
        }))
    }
}

fn reference(name: &str, uid: &str) -> Value {
    match uid {
        "" => json!({"name": name}),
        _ => json!({"name": name, "uid": uid}),
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / 4)
}
