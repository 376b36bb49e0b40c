//! Credentials of registries in pull secrets.
//!
//! Follows pkg/credentialprovider/secrets. Which registry they are for is the
//! puller's business when it comes; now all are handed over.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use typed::api::core::v1::Secret;

use crate::doors::Credentials;

/// All credentials of a secret.
pub fn read(secret: &Secret) -> Vec<Credentials> {
    let data = |key: &str| secret.data.as_ref()?.get(key).map(|value| value.0.clone());
    let parsed = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).ok();
    let auths = match data(".dockerconfigjson").and_then(parsed) {
        Some(config) => config.get("auths").cloned(),
        None => data(".dockercfg").and_then(parsed),
    };
    let entries = auths.as_ref().and_then(Value::as_object);
    let entries = entries.into_iter().flat_map(|entries| entries.values());
    entries.filter_map(entry).collect()
}

fn entry(entry: &Value) -> Option<Credentials> {
    let text = |key: &str| entry.get(key)?.as_str().map(str::to_owned);
    if let (Some(username), Some(password)) = (text("username"), text("password")) {
        return Some(Credentials {
            username,
            password,
            token: text("identitytoken").unwrap_or_default(),
        });
    }
    let decoded = STANDARD.decode(text("auth")?).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(Credentials {
        username: username.to_owned(),
        password: password.trim_end_matches('\0').to_owned(),
        token: String::new(),
    })
}
