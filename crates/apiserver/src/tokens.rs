//! The seam to whoever makes service-account tokens.

use meta::Status;
use std::time::Duration;

/// What a token shall say.
#[derive(Clone, Debug, Default)]
pub struct TokenClaims {
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
    /// The object whose life bounds the token's: kind, name and uid.
    pub bound_to: Option<(String, String, String)>,
    /// The node on which a pod that the token is bound to runs: name and uid.
    pub node: Option<(String, String)>,
}

/// Makes tokens.
pub trait TokenIssuer: Send + Sync {
    /// A signed token and when it ends, in seconds since 1970.
    fn issue(&self, claims: &TokenClaims) -> Result<(String, i64), Status>;
    /// The audiences of the API server itself.
    fn default_audiences(&self) -> Vec<String>;
    /// The public keys, as a JWK set.
    fn jwks(&self) -> String;
    /// The OpenID discovery document.
    fn discovery_document(&self) -> String;
}
