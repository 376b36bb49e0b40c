//! `secret`: the keys of a Secret as files, in memory only.

use std::path::PathBuf;

use async_trait::async_trait;
use typed::Typed;
use typed::api::core::v1::{KeyToPath, Volume};

use super::atomic_writer::Payload;
use super::{Plugin, Setup, VolumeError, project};
use crate::objects::FetchError;

/// The plugin.
pub struct SecretVolume;

#[async_trait]
impl Plugin for SecretVolume {
    fn name(&self) -> &'static str {
        "kubernetes.io/secret"
    }

    fn knows(&self, volume: &Volume) -> bool {
        volume.secret.is_some()
    }

    async fn set_up(&self, volume: &Volume, setup: &Setup<'_>) -> Result<PathBuf, VolumeError> {
        let source = volume.secret.clone().unwrap_or_default();
        let payload = payload(
            setup,
            source.secret_name.as_deref().unwrap_or_default(),
            source.items.as_deref(),
            source.default_mode.unwrap_or(0o644),
            source.optional == Some(true),
        )
        .await?;
        setup.write(self, volume, &payload, true)
    }
}

/// The files of a Secret.
pub async fn payload(
    setup: &Setup<'_>,
    name: &str,
    items: Option<&[KeyToPath]>,
    default_mode: i32,
    optional: bool,
) -> Result<Payload, VolumeError> {
    let secret = match setup.objects.secret(setup.pod.namespace(), name).await {
        Ok(secret) => secret,
        Err(FetchError::NotFound { .. }) if optional => return Ok(Payload::new()),
        Err(error) => return Err(error.into()),
    };
    let value = |key: &str| {
        let data = secret.data.as_ref()?;
        data.get(key).map(|value| value.0.as_slice())
    };
    let all = secret
        .data
        .iter()
        .flatten()
        .map(|(key, value)| (key, value.0.as_slice()));
    project(value, all, items, default_mode, optional, "secret")
}
