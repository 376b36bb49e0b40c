//! `projected`: several sources in one directory, tokens among them.

use std::path::PathBuf;

use async_trait::async_trait;
use typed::api::core::v1::{ServiceAccountTokenProjection, Volume, VolumeProjection};

use super::atomic_writer::{File, Payload};
use super::{Plugin, Setup, VolumeError, config_map, downward_api, only_user, secret, whose};
use crate::tokens::TokenWish;

/// The plugin.
pub struct ProjectedVolume;

#[async_trait]
impl Plugin for ProjectedVolume {
    fn name(&self) -> &'static str {
        "kubernetes.io/projected"
    }

    fn knows(&self, volume: &Volume) -> bool {
        volume.projected.is_some()
    }

    async fn set_up(&self, volume: &Volume, setup: &Setup<'_>) -> Result<PathBuf, VolumeError> {
        let source = volume.projected.clone().unwrap_or_default();
        let mode = source.default_mode.unwrap_or(0o644);
        let mut payload = Payload::new();
        for projection in source.sources.iter().flatten() {
            payload.extend(one(setup, projection, mode).await?);
        }
        setup.write(self, volume, &payload, true)
    }
}

async fn one(
    setup: &Setup<'_>,
    projection: &VolumeProjection,
    mode: i32,
) -> Result<Payload, VolumeError> {
    if let Some(source) = &projection.config_map {
        let optional = source.optional == Some(true);
        return config_map::payload(setup, &source.name, source.items.as_deref(), mode, optional)
            .await;
    }
    if let Some(source) = &projection.secret {
        let optional = source.optional == Some(true);
        return secret::payload(setup, &source.name, source.items.as_deref(), mode, optional).await;
    }
    if let Some(source) = &projection.downward_api {
        return downward_api::payload(setup, source.items.as_deref(), mode);
    }
    if let Some(source) = &projection.service_account_token {
        return token(setup, source, mode).await;
    }
    let name = if projection.cluster_trust_bundle.is_some() {
        "projected/clusterTrustBundle"
    } else if projection.pod_certificate.is_some() {
        "projected/podCertificate"
    } else {
        return Ok(Payload::new());
    };
    tracing::warn!(pod = whose(setup.pod), name, "unsupported volume source");
    Err(VolumeError::Type(name.to_owned()))
}

/// A token is readable by the pod's user or group alone, where there is such.
/// Follows pkg/volume/projected/projected.go, collectData.
async fn token(
    setup: &Setup<'_>,
    source: &ServiceAccountTokenProjection,
    mode: i32,
) -> Result<Payload, VolumeError> {
    let wish = TokenWish {
        audience: source.audience.clone().unwrap_or_default(),
        expiration_seconds: source.expiration_seconds,
    };
    let text = setup.tokens.token(setup.pod, &wish).await?;
    let user = only_user(setup.pod);
    let private = user.is_some() || setup.fs_group().is_some();
    let mode = if private { 0o600 } else { mode };
    let file = File {
        data: text.into_bytes(),
        mode: u32::try_from(mode).unwrap_or(0o600),
        user,
    };
    Ok(Payload::from([(PathBuf::from(&source.path), file)]))
}
