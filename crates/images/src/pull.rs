//! When an image is pulled, and what is said about it.
//!
//! Reasons, messages and events follow pkg/kubelet/images/image_manager.go
//! and pkg/kubelet/images/types.go: users and tools know them by heart. The
//! registry itself is behind a trait.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use stdx::{Clock, Instant};
use tokio::sync::Semaphore;

pub use crate::keyring::Credentials;
use crate::{Image, Images, Reference, chain, reference};

/// When to pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// Before each start of a container.
    Always,
    /// When the node lacks the image.
    IfNotPresent,
    /// Never.
    Never,
}

impl PullPolicy {
    /// Reads the field `imagePullPolicy`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "Always" => Some(Self::Always),
            "IfNotPresent" => Some(Self::IfNotPresent),
            "Never" => Some(Self::Never),
            _ => None,
        }
    }
}

/// Why a container waits for its image: the reason in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The node lacks the image and may not pull it.
    ErrImageNeverPull,
    /// A pull failed.
    ErrImagePull,
    /// A pull failed, and the next one has to wait.
    ImagePullBackOff,
    /// The store could not be asked.
    ImageInspectError,
    /// The name is none.
    InvalidImageName,
    /// The registry cannot be reached.
    RegistryUnavailable,
}

impl Reason {
    /// As it stands in a container's state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ErrImageNeverPull => "ErrImageNeverPull",
            Self::ErrImagePull => "ErrImagePull",
            Self::ImagePullBackOff => "ImagePullBackOff",
            Self::ImageInspectError => "ImageInspectError",
            Self::InvalidImageName => "InvalidImageName",
            Self::RegistryUnavailable => "RegistryUnavailable",
        }
    }
}

/// An image cannot be had (now).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", reason.as_str())]
pub struct Failure {
    /// The reason of the container's waiting state.
    pub reason: Reason,
    /// Its message.
    pub message: String,
}

/// Something to tell the pod's readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// The event's reason.
    pub reason: &'static str,
    /// Its message.
    pub message: String,
}

impl Event {
    fn normal(reason: &'static str, message: String) -> Self {
        Self {
            warning: false,
            reason,
            message,
        }
    }

    fn warning(reason: &'static str, message: String) -> Self {
        Self {
            warning: true,
            reason,
            message,
        }
    }
}

/// What to do about a container's image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The image is there and will do.
    Use(Event),
    /// Pull it.
    Pull(Event),
    /// Do without.
    Wait(Failure, Event),
}

/// Decides from the policy, from whether the image is there, and from the
/// last failure if its back-off still lasts.
pub fn decide(
    image: &str,
    policy: PullPolicy,
    present: bool,
    backing_off: Option<&Failure>,
) -> Decision {
    if present && policy != PullPolicy::Always {
        let message = format!(
            "Container image \"{image}\" already present on machine and can be accessed by the pod"
        );
        return Decision::Use(Event::normal("Pulled", message));
    }
    if policy == PullPolicy::Never {
        let message =
            format!("Container image \"{image}\" is not present with pull policy of Never");
        let failure = Failure {
            reason: Reason::ErrImageNeverPull,
            message: message.clone(),
        };
        return Decision::Wait(failure, Event::warning("ErrImageNeverPull", message));
    }
    if let Some(last) = backing_off {
        let message = format!("Back-off pulling image \"{image}\"");
        let failure = Failure {
            reason: Reason::ImagePullBackOff,
            message: format!("{message}: {last}"),
        };
        return Decision::Wait(failure, Event::normal("BackOff", message));
    }
    Decision::Pull(Event::normal(
        "Pulling",
        format!("Pulling image \"{image}\""),
    ))
}

/// Why a registry does not give an image.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It cannot be reached.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Where images come from that the node lacks. An implementation finds the
/// image's blobs and hands them to [`Images::add`].
#[async_trait]
pub trait Registry: Send + Sync {
    /// Brings an image into the store.
    async fn pull(
        &self,
        images: &Images,
        reference: &Reference,
        credentials: &[Credentials],
    ) -> Result<Image, RegistryError>;
}

/// The registry of a node that cannot pull: it refuses, and says what to do.
pub struct NoRegistry;

#[async_trait]
impl Registry for NoRegistry {
    async fn pull(
        &self,
        _images: &Images,
        reference: &Reference,
        _credentials: &[Credentials],
    ) -> Result<Image, RegistryError> {
        Err(RegistryError::Failed(format!(
            "failed to pull image \"{reference}\": this node does not pull; \
             bring the image with \"tiphys image import\" and use imagePullPolicy IfNotPresent or Never"
        )))
    }
}

/// What came of an attempt to have an image.
#[derive(Clone, Debug)]
pub struct Ensured {
    /// The image, or why it cannot be had.
    pub result: Result<Image, Failure>,
    /// What to tell the pod's readers, in this order.
    pub events: Vec<Event>,
}

/// Sees to it that containers have their images, and that failed pulls are
/// not tried all the time: 10 s, doubling to 5 min, per pod and image.
pub struct Puller {
    images: Images,
    registry: Arc<dyn Registry>,
    clock: Clock,
    backoff: std::sync::Mutex<HashMap<(String, String), Failed>>,
    /// How many pulls may go on at a time.
    places: Semaphore,
}

/// The last failure of one image for one pod.
struct Failed {
    at: Instant,
    delay: Duration,
    failure: Failure,
}

const DELAY_FIRST: Duration = Duration::from_secs(10);
const DELAY_MAX: Duration = Duration::from_secs(300);

impl Puller {
    /// Pulls from `registry` into `images`.
    pub fn new(images: Images, registry: Arc<dyn Registry>, clock: Clock) -> Self {
        Self {
            images,
            registry,
            clock,
            backoff: std::sync::Mutex::default(),
            places: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }

    /// Pulls no more than so many images at a time; one is what upstream calls
    /// serialized.
    #[must_use]
    pub fn parallel(mut self, max: usize) -> Self {
        self.places = Semaphore::new(max.clamp(1, Semaphore::MAX_PERMITS));
        self
    }

    /// The store.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// Makes sure that the node has `image` for a container of the pod.
    pub async fn ensure(
        &self,
        pod_uid: &str,
        image: &str,
        policy: PullPolicy,
        credentials: &[Credentials],
    ) -> Ensured {
        let reference = match Reference::parse(image) {
            Ok(reference) => reference,
            Err(error) => return invalid(image, &error),
        };
        let present = match self.images.resolve(image) {
            Ok(present) => present,
            Err(error) => return uninspectable(image, &chain(&error)),
        };
        let key = (pod_uid.to_owned(), image.to_owned());
        let waiting = self.backing_off(&key);
        match decide(image, policy, present.is_some(), waiting.as_ref()) {
            Decision::Use(event) => match present {
                Some(present) => Ensured {
                    result: Ok(present),
                    events: vec![event],
                },
                None => uninspectable(image, "it vanished"),
            },
            Decision::Wait(failure, event) => Ensured {
                result: Err(failure),
                events: vec![event],
            },
            Decision::Pull(event) => {
                let mut ensured = self.pull(key, &reference, credentials).await;
                ensured.events.insert(0, event);
                ensured
            }
        }
    }

    /// Forgets the failures of a pod that is gone.
    pub fn forget(&self, pod_uid: &str) {
        self.failures().retain(|(uid, _), _| uid != pod_uid);
    }

    async fn pull(
        &self,
        key: (String, String),
        reference: &Reference,
        credentials: &[Credentials],
    ) -> Ensured {
        let image = key.1.clone();
        let asked = self.clock.now();
        // The semaphore is never closed.
        let _place = self.places.acquire().await.ok();
        let start = self.clock.now();
        let pulled = self.registry.pull(&self.images, reference, credentials);
        match pulled.await {
            Ok(pulled) => {
                self.failures().remove(&key);
                let took = seconds(self.clock.since(start));
                let waited = seconds(self.clock.since(asked));
                let message = format!(
                    "Successfully pulled image \"{image}\" in {took} ({waited} including waiting). Image size: {} bytes.",
                    pulled.size
                );
                Ensured {
                    result: Ok(pulled),
                    events: vec![Event::normal("Pulled", message)],
                }
            }
            Err(error) => {
                let failure = failure(&image, &error);
                self.note(key, failure.clone());
                let message = format!("Failed to pull image \"{image}\": {error}");
                Ensured {
                    result: Err(failure),
                    events: vec![Event::warning("Failed", message)],
                }
            }
        }
    }

    /// The last failure, while the next attempt has to wait.
    fn backing_off(&self, key: &(String, String)) -> Option<Failure> {
        let now = self.clock.now();
        let failures = self.failures();
        let failed = failures.get(key)?;
        (now - failed.at < failed.delay).then(|| failed.failure.clone())
    }

    fn note(&self, key: (String, String), failure: Failure) {
        let at = self.clock.now();
        let mut failures = self.failures();
        failures.retain(|_, failed| at - failed.at <= 2 * DELAY_MAX);
        let before = failures.get(&key).map(|failed| failed.delay);
        let delay = before.map_or(DELAY_FIRST, |delay| (2 * delay).min(DELAY_MAX));
        failures.insert(key, Failed { at, delay, failure });
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Failed>> {
        let locked = self.backoff.lock();
        locked.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn invalid(image: &str, error: &reference::Error) -> Ensured {
    let message = format!(
        "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": {error}"
    );
    Ensured {
        result: Err(Failure {
            reason: Reason::InvalidImageName,
            message: message.clone(),
        }),
        events: vec![Event::warning("InspectFailed", message)],
    }
}

fn uninspectable(image: &str, why: &str) -> Ensured {
    let message = format!("Failed to inspect image \"{image}\": {why}");
    Ensured {
        result: Err(Failure {
            reason: Reason::ImageInspectError,
            message: message.clone(),
        }),
        events: vec![Event::warning("InspectFailed", message)],
    }
}

fn failure(image: &str, error: &RegistryError) -> Failure {
    match error {
        RegistryError::Unavailable(why) => Failure {
            reason: Reason::RegistryUnavailable,
            message: format!(
                "image pull failed for {image} because the registry is unavailable: {why}"
            ),
        },
        RegistryError::Failed(why) => Failure {
            reason: Reason::ErrImagePull,
            message: why.clone(),
        },
    }
}

/// A duration as Go prints it, to the millisecond.
fn seconds(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let fraction = format!(".{:03}", rest % 1000);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    if minutes == 0 {
        return format!("{}{fraction}s", rest / 1000);
    }
    format!("{minutes}m{}{fraction}s", rest / 1000)
}

#[cfg(test)]
mod tests;
