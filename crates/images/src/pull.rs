//! When an image is pulled, and what is said about it.
//!
//! Reasons, messages and events follow pkg/kubelet/images/image_manager.go
//! and pkg/kubelet/images/types.go: users and tools know them by heart. The
//! registry itself is behind a trait.

mod puller;

use async_trait::async_trait;

pub use crate::keyring::Credentials;
use crate::{Image, Images, Reference};
pub use puller::Puller;

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

/// An image that was pulled.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The image.
    pub image: Image,
    /// What the registry believed; nothing if it asked for nothing.
    pub credentials: Option<Credentials>,
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
    ) -> Result<Pulled, RegistryError>;
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
    ) -> Result<Pulled, RegistryError> {
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

#[cfg(test)]
mod tests;
