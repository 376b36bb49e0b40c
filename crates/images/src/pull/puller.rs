//! Seeing to it that pods have their images: whether to pull, waiting for a
//! turn, and waiting ever longer while that fails.

use std::{collections::HashMap, sync::Arc, time::Duration};

use stdx::{Clock, Instant};
use tokio::sync::Semaphore;

use super::{
    Credentials, Decision, Ensured, Event, Failure, PullPolicy, Pulled, Reason, Registry,
    RegistryError, decide,
};
use crate::{
    Image, Images, Reference,
    access::{Access, Attempt},
    chain, reference,
};

/// Sees to it that containers have their images, and that failed pulls are
/// not tried all the time: 10 s, doubling to 5 min, per pod and image.
pub struct Puller {
    images: Images,
    registry: Arc<dyn Registry>,
    clock: Clock,
    /// Who may use what is here; everybody everything if absent.
    access: Option<Access>,
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
            access: None,
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

    /// Lets pods use private images only if they could have pulled them.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// Forgets who could pull images that are gone.
    pub fn tidy(&self) -> Result<(), crate::Error> {
        let Some(access) = &self.access else {
            return Ok(());
        };
        let now = self.clock.wall();
        let images = self.images.list()?;
        let kept: Vec<_> = images.into_iter().map(|image| image.id).collect();
        access.forget_others(&kept, now)
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
        // One that may not be used is as good as absent: nobody learns of it.
        let present = present.filter(|present| {
            policy == PullPolicy::Always || self.allows(&reference, present, credentials)
        });
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

    /// Whether a pod may use an image that is here. What cannot be found out
    /// is for the registry to say.
    fn allows(&self, reference: &Reference, image: &Image, credentials: &[Credentials]) -> bool {
        let Some(access) = &self.access else {
            return true;
        };
        let allowed = access.allows(reference, &image.id, credentials);
        allowed.unwrap_or_else(|error| {
            let error = chain(&error);
            tracing::warn!(%reference, error, "cannot look up who may use an image");
            false
        })
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
        match self.pull_noting(&image, reference, credentials).await {
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

    /// Pulls, and keeps record of it.
    async fn pull_noting(
        &self,
        image: &str,
        reference: &Reference,
        credentials: &[Credentials],
    ) -> Result<Image, RegistryError> {
        let attempt = match self.access.as_ref().map(|access| access.begin(reference)) {
            None => None,
            Some(Ok(attempt)) => Some(attempt),
            Some(Err(error)) => {
                let why = chain(&error);
                return Err(RegistryError::Failed(format!(
                    "Failed to record image pull intent for container image \"{image}\": {why}"
                )));
            }
        };
        let pulled = self.registry.pull(&self.images, reference, credentials);
        let pulled = pulled.await;
        if let Some(attempt) = attempt
            && let Err(error) = conclude(attempt, &pulled)
        {
            // The image can be used, and the next pod has the registry asked.
            let error = chain(&error);
            tracing::warn!(%reference, error, "cannot record a pull");
        }
        pulled.map(|pulled| pulled.image)
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

fn conclude(
    attempt: Attempt<'_>,
    pulled: &Result<Pulled, RegistryError>,
) -> Result<(), crate::Error> {
    match pulled {
        Ok(pulled) => attempt.succeeded(&pulled.image.id, pulled.credentials.as_ref()),
        Err(_) => attempt.failed(),
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
pub(super) fn seconds(duration: Duration) -> String {
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
