//! The Secrets by whose grace some tokens live.

use async_trait::async_trait;
use meta::Value;

/// Reads Secrets as they are now.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// A Secret; `Ok(None)` when there is none. A failure says why.
    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Value>, String>;

    /// Notes on a Secret that its token was used on this day.
    async fn mark_used(&self, namespace: &str, name: &str, day: &str);
}

/// An entry of a Secret's data as the bytes that it stands for.
pub(crate) fn entry(secret: &Value, key: &str) -> Vec<u8> {
    use base64::Engine as _;
    let text = secret.str_at(&["data", key]);
    let decoded = base64::engine::general_purpose::STANDARD.decode(text);
    // The API server admits only base64; what is not says nothing.
    decoded.unwrap_or_default()
}
