//! The narrow doors between the kubelet and the rest of the node, so that all
//! of it runs in a test without a kernel.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use container::config::{Image, PortMapping};
use typed::api::core::v1::{ContainerImage, ObjectReference};

pub use images::keyring::SecretSource;
pub use images::pull::{Credentials, Event as ImageEvent, Failure as ImageFailure, PullPolicy};

/// An error of which only the text matters.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The pod network of this node.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// Why pods cannot be given addresses now, if they cannot.
    fn unready(&self) -> Option<String>;

    /// Tells which addresses the cluster has given to this node's pods, and which
    /// pods an earlier kubelet left: their connections are taken over, others end.
    /// Doing it again with the same addresses is fine.
    async fn configure(&self, pod_cidrs: &[String], live: &[String]) -> Result<(), BoxError>;

    /// Connects a pod and answers with its addresses, the first one first.
    /// Doing it again answers the same.
    async fn attach(&self, pod: &PodNetwork) -> Result<Vec<String>, BoxError>;

    /// Disconnects a pod and gives its addresses back. Succeeds when there are none.
    async fn detach(&self, uid: &str) -> Result<(), BoxError>;

    /// The addresses of a connected pod.
    async fn addresses(&self, uid: &str) -> Vec<String>;
}

/// A pod as its network sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodNetwork {
    /// The pod's uid.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The network namespace of its sandbox.
    pub netns: PathBuf,
    /// Ports of the node that lead to it.
    pub port_mappings: Vec<PortMapping>,
}

/// The images of this node.
#[async_trait]
pub trait ImageStore: Send + Sync + 'static {
    /// Makes sure that the image is there, as the policy has it, and holds it
    /// for `owner` until that is released.
    async fn ensure(
        &self,
        owner: &ImageOwner,
        image: &str,
        policy: PullPolicy,
        credentials: &[Credentials],
    ) -> EnsuredImage;

    /// Gives back what all containers and volumes of a pod hold, and forgets
    /// failed pulls.
    async fn release(&self, pod_uid: &str);

    /// The images for the node's status.
    async fn list(&self) -> Vec<ContainerImage>;

    /// Bytes that all images take.
    async fn used_bytes(&self) -> u64;

    /// The images, for who decides which of them go.
    async fn stored(&self) -> Vec<StoredImage>;

    /// Removes an image with all its names.
    async fn remove(&self, id: &str) -> Result<(), String>;

    /// Forgets who could pull images that are gone.
    fn tidy(&self) -> Result<(), String>;
}

/// An image on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredImage {
    /// Its ID.
    pub id: String,
    /// Bytes that it takes.
    pub size: u64,
    /// Whether a container, running or not, or a volume has it.
    pub in_use: bool,
    /// Whether it must stay.
    pub pinned: bool,
}

/// Who needs an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageOwner {
    /// The pod's uid.
    pub pod_uid: String,
    /// For what.
    pub what: ImageUse,
}

/// What an image is needed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageUse {
    /// The container of this name runs it.
    Container(String),
    /// The volume of this name is it.
    Volume(String),
}

/// What came of wanting an image.
#[derive(Debug)]
pub struct EnsuredImage {
    /// The image, or why there is none.
    pub result: Result<Image, ImageFailure>,
    /// What to tell the pod's readers.
    pub events: Vec<ImageEvent>,
}

/// Where events go.
pub trait Events: Send + Sync + 'static {
    /// Something happened to an object.
    fn event(&self, object: &ObjectReference, kind: Kind, reason: &str, message: String);
}

/// Whether an event is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As it should be.
    Normal,
    /// Not as it should be.
    Warning,
}

impl Events for client::events::Recorder {
    fn event(&self, object: &ObjectReference, kind: Kind, reason: &str, message: String) {
        let kind = match kind {
            Kind::Normal => client::events::NORMAL,
            Kind::Warning => client::events::WARNING,
        };
        client::events::Recorder::event(self, object, kind, reason, message);
    }
}

/// File systems that volumes need.
pub trait Mounts: Send + Sync + 'static {
    /// Mounts memory at a directory; `size` in bytes limits it.
    fn tmpfs(&self, target: &Path, size: Option<u64>, mode: u32) -> io::Result<()>;

    /// Lays directories over each other, the topmost first, and mounts them at
    /// an empty directory: for reading, and without programs.
    fn layers(&self, target: &Path, lower: &[PathBuf]) -> io::Result<()>;

    /// Takes a mount away; succeeds when there is none.
    fn unmount(&self, target: &Path) -> io::Result<()>;

    /// Whether something is mounted exactly there.
    fn is_mounted(&self, target: &Path) -> io::Result<bool>;

    /// Looks for a path below a mounted directory, without leaving it.
    fn find(&self, target: &Path, path: &Path) -> io::Result<()>;

    /// All mount points at and below a directory, the deepest first.
    fn below(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;
}

/// The control groups above the containers.
pub trait Cgroups: Send + Sync + 'static {
    /// Makes a group if need be and weighs its use of the CPU.
    fn ensure(&self, path: &str, cpu_shares: Option<u64>) -> io::Result<()>;

    /// Ends what lives in a group and takes it away; succeeds when it is gone.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Names of the groups directly below.
    fn children(&self, path: &str) -> io::Result<Vec<String>>;
}

/// What the machine is and how it does.
pub trait Machine: Send + Sync + 'static {
    /// What does not change while it runs.
    fn facts(&self) -> MachineFacts;

    /// CPU time that was used since the start, all cores together.
    fn cpu_usage_ns(&self) -> io::Result<u64>;

    /// Memory that could be given out, in bytes.
    fn memory_available(&self) -> io::Result<u64>;

    /// Room in the file system of a path.
    fn disk(&self, path: &Path) -> io::Result<Disk>;

    /// Process ids in use, and how many there can be.
    fn pids(&self) -> io::Result<(u64, u64)>;
}

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineFacts {
    /// CPUs that can be used.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Bytes by size of huge page, such as `2Mi`.
    pub hugepages: BTreeMap<String, u64>,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// The firmware's id of the machine.
    pub system_uuid: String,
    /// The kernel's id of this boot.
    pub boot_id: String,
    /// `uname -r`.
    pub kernel_version: String,
    /// PRETTY_NAME of `/etc/os-release`.
    pub os_image: String,
    /// As GOARCH has it.
    pub architecture: String,
    /// Swap in bytes.
    pub swap_bytes: u64,
}

/// A file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Its size.
    pub capacity_bytes: u64,
    /// What can still be written.
    pub available_bytes: u64,
    /// All inodes.
    pub inodes: u64,
    /// Free inodes.
    pub inodes_free: u64,
}
