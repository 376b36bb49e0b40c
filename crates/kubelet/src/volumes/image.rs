//! `image`: what is in an image, to be read.
//!
//! Setting up only makes the place: the image is pulled when the pod has its
//! sandbox and a container is about to start, because a pull fails in the words
//! of a container's status (`worker/images.rs`). Follows
//! pkg/volume/image/image.go, which does nothing for the same reason.

use std::path::PathBuf;

use async_trait::async_trait;
use typed::api::core::v1::Volume;

use super::{Plugin, Setup, VolumeError, make};

/// The plugin.
pub struct ImageVolume;

#[async_trait]
impl Plugin for ImageVolume {
    fn name(&self) -> &'static str {
        "kubernetes.io/image"
    }

    fn knows(&self, volume: &Volume) -> bool {
        volume.image.is_some()
    }

    async fn set_up(&self, volume: &Volume, setup: &Setup<'_>) -> Result<PathBuf, VolumeError> {
        let directory = setup.directory(self, volume);
        make(&directory)?;
        Ok(directory)
    }
}
