//! `configMap`: the keys of a ConfigMap as files, on disk.

use std::path::PathBuf;

use async_trait::async_trait;
use typed::Typed;
use typed::api::core::v1::{ConfigMap, KeyToPath, Volume};

use super::atomic_writer::Payload;
use super::{Plugin, Setup, VolumeError, project};
use crate::objects::FetchError;

/// The plugin.
pub struct ConfigMapVolume;

#[async_trait]
impl Plugin for ConfigMapVolume {
    fn name(&self) -> &'static str {
        "kubernetes.io/configmap"
    }

    fn knows(&self, volume: &Volume) -> bool {
        volume.config_map.is_some()
    }

    async fn set_up(&self, volume: &Volume, setup: &Setup<'_>) -> Result<PathBuf, VolumeError> {
        let source = volume.config_map.clone().unwrap_or_default();
        let payload = payload(
            setup,
            &source.name,
            source.items.as_deref(),
            source.default_mode.unwrap_or(0o644),
            source.optional == Some(true),
        )
        .await?;
        setup.write(self, volume, &payload, false)
    }
}

/// The files of a ConfigMap.
pub async fn payload(
    setup: &Setup<'_>,
    name: &str,
    items: Option<&[KeyToPath]>,
    default_mode: i32,
    optional: bool,
) -> Result<Payload, VolumeError> {
    let map = match setup.objects.config_map(setup.pod.namespace(), name).await {
        Ok(map) => map,
        Err(FetchError::NotFound { .. }) if optional => return Ok(Payload::new()),
        Err(error) => return Err(error.into()),
    };
    let all = map
        .data
        .iter()
        .flatten()
        .map(|(key, value)| (key, value.as_bytes()));
    let binary = map.binary_data.iter().flatten();
    let all = all.chain(binary.map(|(key, value)| (key, value.0.as_slice())));
    project(
        |key| value(&map, key),
        all,
        items,
        default_mode,
        optional,
        "config",
    )
}

fn value<'a>(map: &'a ConfigMap, key: &str) -> Option<&'a [u8]> {
    let text = map.data.as_ref().and_then(|data| data.get(key));
    let binary = map.binary_data.as_ref().and_then(|data| data.get(key));
    text.map(|value| value.as_bytes())
        .or(binary.map(|value| value.0.as_slice()))
}
