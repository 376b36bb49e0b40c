//! Credentials of registries in pull secrets.
//!
//! Follows pkg/credentialprovider/secrets. Which of them are for an image is
//! the puller's business.

use typed::Typed;
use typed::api::core::v1::Secret;

use crate::doors::{Credentials, SecretSource};

/// All credentials of a secret.
pub fn read(secret: &Secret) -> Vec<Credentials> {
    let data = |key: &str| secret.data.as_ref()?.get(key).map(|value| &value.0);
    let config = data(".dockerconfigjson").or_else(|| data(".dockercfg"));
    let read = config.and_then(|json| images::keyring::parse(json));
    let mut read = read.unwrap_or_default();
    for credentials in &mut read {
        credentials.source = Some(SecretSource {
            namespace: secret.namespace().to_owned(),
            name: secret.name().to_owned(),
            uid: secret.uid().to_owned(),
        });
    }
    read
}
