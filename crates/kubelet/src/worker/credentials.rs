//! Credentials of registries in pull secrets.
//!
//! Follows pkg/credentialprovider/secrets. Which of them are for an image is
//! the puller's business.

use typed::api::core::v1::Secret;

use crate::doors::Credentials;

/// All credentials of a secret.
pub fn read(secret: &Secret) -> Vec<Credentials> {
    let data = |key: &str| secret.data.as_ref()?.get(key).map(|value| &value.0);
    let config = data(".dockerconfigjson").or_else(|| data(".dockercfg"));
    let read = config.and_then(|json| images::keyring::parse(json));
    read.unwrap_or_default()
}
