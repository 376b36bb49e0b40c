//! `downwardAPI`: fields of the pod and resources of its containers as files.

use std::path::PathBuf;

use async_trait::async_trait;
use typed::api::core::v1::{DownwardAPIVolumeFile, Volume};

use super::atomic_writer::{File, Payload};
use super::{Plugin, Setup, VolumeError};
use crate::env::field;

/// The plugin.
pub struct DownwardApiVolume;

#[async_trait]
impl Plugin for DownwardApiVolume {
    fn name(&self) -> &'static str {
        "kubernetes.io/downward-api"
    }

    fn knows(&self, volume: &Volume) -> bool {
        volume.downward_api.is_some()
    }

    async fn set_up(&self, volume: &Volume, setup: &Setup<'_>) -> Result<PathBuf, VolumeError> {
        let source = volume.downward_api.clone().unwrap_or_default();
        let payload = payload(
            setup,
            source.items.as_deref(),
            source.default_mode.unwrap_or(0o644),
        )?;
        setup.write(self, volume, &payload, true)
    }
}

/// The files of these items.
pub fn payload(
    setup: &Setup<'_>,
    items: Option<&[DownwardAPIVolumeFile]>,
    default_mode: i32,
) -> Result<Payload, VolumeError> {
    let mut payload = Payload::new();
    for item in items.unwrap_or_default() {
        let value = if let Some(selector) = &item.field_ref {
            field::field(setup.pod, &selector.field_path, setup.node)?
        } else if let Some(selector) = &item.resource_field_ref {
            field::resource(setup.pod, selector, None, setup.node)?
        } else {
            String::new()
        };
        let mode = item.mode.unwrap_or(default_mode);
        let file = File {
            data: value.into_bytes(),
            mode: u32::try_from(mode).unwrap_or(0o644),
            user: None,
        };
        payload.insert(PathBuf::from(&item.path), file);
    }
    Ok(payload)
}
