//! The images of a pod: those that its containers run, and those that are its
//! volumes.

use std::collections::BTreeMap;
use std::path::Path;

use container::config::{ContainerConfig, Image};
use typed::Typed;
use typed::api::core::v1::{Container, ImageVolumeSource, Pod};

use super::run::PodWorker;
use super::start::NotStarted;
use crate::doors::{Credentials, ImageEvent, ImageFailure, ImageOwner, ImageUse, Kind, PullPolicy};
use crate::pod::spec;
use crate::status::Failure;
use crate::volumes::Mounted;

/// What came of a pod's image volumes, by name.
pub(super) type ImageVolumes = BTreeMap<String, Result<(), Failure>>;

/// Why there is no image.
enum Missing {
    /// It cannot be had.
    Failed(ImageFailure),
    /// Nobody needs it any more.
    Ending,
}

impl PodWorker {
    /// The image that a container runs.
    pub(super) async fn image(&self, pod: &Pod, spec: &Container) -> Result<Image, NotStarted> {
        let owner = ImageOwner {
            pod_uid: pod.uid().to_owned(),
            what: ImageUse::Container(spec.name.clone()),
        };
        let reference = spec.image.as_deref().unwrap_or_default();
        let policy = spec.image_pull_policy.as_deref();
        let (events, result) = self.ensure(pod, &owner, reference, policy).await;
        for event in events {
            let kind = kind(&event);
            self.cx
                .container_event(pod, &spec.name, kind, event.reason, event.message);
        }
        result.map_err(|missing| {
            let failure = missing.into_failure();
            self.tell_of_failure(pod, &spec.name, &failure);
            NotStarted::new(&failure.reason, failure.message)
        })
    }

    /// Has the pod's image volumes pulled and mounted. One that is mounted
    /// stays as it is until the pod ends, even if its name moves on.
    ///
    /// Follows getImageVolumes of pkg/kubelet/kuberuntime/kuberuntime_manager.go.
    pub(super) async fn image_volumes(&self, pod: &Pod, mounted: &Mounted) -> ImageVolumes {
        let mut done = ImageVolumes::new();
        for volume in spec(pod).volumes.iter().flatten() {
            if let Some(source) = &volume.image
                && let Some(place) = mounted.get(&volume.name)
            {
                let result = self.image_volume(pod, &volume.name, source, place).await;
                done.insert(volume.name.clone(), result);
            }
        }
        done
    }

    async fn image_volume(
        &self,
        pod: &Pod,
        name: &str,
        source: &ImageVolumeSource,
        place: &Path,
    ) -> Result<(), Failure> {
        let failed = |operation: &str, error: std::io::Error| {
            let text = format!("{operation} {}: {error}", place.display());
            Failure::new("CreateContainerError", text)
        };
        let mounts = &self.cx.mounts;
        match mounts.is_mounted(place) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => return Err(failed("inspect", error)),
        }
        let owner = ImageOwner {
            pod_uid: pod.uid().to_owned(),
            what: ImageUse::Volume(name.to_owned()),
        };
        let reference = source.reference.as_deref().unwrap_or_default();
        let policy = source.pull_policy.as_deref();
        let (events, result) = self.ensure(pod, &owner, reference, policy).await;
        for event in events {
            match kind(&event) {
                Kind::Normal => self.cx.normal(pod, event.reason, event.message),
                Kind::Warning => self.cx.warn(pod, event.reason, event.message),
            }
        }
        let image = result.map_err(Missing::into_failure)?;
        mounts
            .layers(place, &image.rootfs.lower)
            .map_err(|error| failed("mount the image at", error))
    }

    /// Whether the container has all image volumes that it mounts.
    ///
    /// Follows toKubeContainerImageVolumes of the same file.
    pub(super) fn check_image_volumes(
        &self,
        pod: &Pod,
        spec: &Container,
        images: &ImageVolumes,
    ) -> Result<(), NotStarted> {
        let mut last = None;
        for mount in spec.volume_mounts.iter().flatten() {
            if let Some(Err(failure)) = images.get(&mount.name) {
                self.tell_of_failure(pod, &spec.name, failure);
                last = Some(failure);
            }
        }
        match last {
            Some(failure) => Err(NotStarted::new(&failure.reason, failure.message.clone())),
            None => Ok(()),
        }
    }

    /// Whether the images have the paths that the container mounts of them.
    /// They are only read, so that what is missing cannot be made.
    ///
    /// Runtimes refuse to create the container; the words are those of
    /// internal/cri/server/container_image_mount.go of containerd.
    pub(super) fn check_image_paths(
        &self,
        pod: &Pod,
        config: &ContainerConfig,
        mounted: &Mounted,
    ) -> Result<(), String> {
        let volumes = spec(pod).volumes.iter().flatten();
        let images = volumes.filter(|volume| volume.image.is_some());
        let places: Vec<_> = images.filter_map(|v| mounted.get(&v.name)).collect();
        for mount in &config.mounts {
            let (place, Some(path)) = (&mount.host_path, &mount.sub_path) else {
                continue;
            };
            if places.contains(&place) {
                self.cx.mounts.find(place, path).map_err(|error| {
                    format!(
                        "failed to mount image volume: ImageVolumeMountFailed: failed to ensure image subpath {path:?} in {place:?}: {error}"
                    )
                })?;
            }
        }
        Ok(())
    }

    fn tell_of_failure(&self, pod: &Pod, container: &str, failure: &Failure) {
        let text = format!("Error: {}", failure.reason);
        self.cx
            .container_event(pod, container, Kind::Warning, "Failed", text);
    }

    async fn ensure(
        &self,
        pod: &Pod,
        owner: &ImageOwner,
        reference: &str,
        policy: Option<&str>,
    ) -> (Vec<ImageEvent>, Result<Image, Missing>) {
        let policy = policy.and_then(PullPolicy::parse);
        let policy = policy.unwrap_or(PullPolicy::IfNotPresent);
        let credentials = self.credentials(pod).await;
        let ensure = self
            .cx
            .images
            .ensure(owner, reference, policy, &credentials);
        // A pull may take long, and nobody waits for a pod that is to end.
        match self.ending.run_until_cancelled(ensure).await {
            Some(ensured) => (ensured.events, ensured.result.map_err(Missing::Failed)),
            None => (Vec::new(), Err(Missing::Ending)),
        }
    }

    /// What the pod's pull secrets say.
    async fn credentials(&self, pod: &Pod) -> Vec<Credentials> {
        let mut credentials = Vec::new();
        for reference in spec(pod).image_pull_secrets.iter().flatten() {
            let secret = self.cx.objects.secret(pod.namespace(), &reference.name);
            match secret.await {
                Ok(secret) => credentials.extend(super::credentials::read(&secret)),
                Err(error) => {
                    tracing::debug!(pod = pod.key(), %error, "pull secret is left out");
                }
            }
        }
        credentials
    }
}

impl Missing {
    fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) => Failure::new(failure.reason.as_str(), failure.message),
            Self::Ending => Failure::new("ErrImagePull", "the pod is to end"),
        }
    }
}

fn kind(event: &ImageEvent) -> Kind {
    if event.warning {
        Kind::Warning
    } else {
        Kind::Normal
    }
}
