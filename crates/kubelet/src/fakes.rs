//! Doubles of the kubelet's doors, for tests of the kubelet and of whole nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use container::config::{Image, ImageDefaults};
use typed::api::core::v1::{ContainerImage, ObjectReference};

use crate::doors::{
    BoxError, Cgroups, Credentials, Disk, EnsuredImage, Events, ImageEvent, ImageFailure,
    ImageOwner, ImageStore, Kind, Machine, MachineFacts, Mounts, Network, PodNetwork, PullPolicy,
    StoredImage,
};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers what would be mounted.
#[derive(Default)]
pub struct FakeMounts {
    mounted: Mutex<BTreeSet<PathBuf>>,
    missing: Mutex<BTreeSet<PathBuf>>,
}

impl FakeMounts {
    /// Says whether a path is in what is mounted; it is unless told otherwise.
    pub fn set_missing(&self, path: &str, is_missing: bool) {
        let mut missing = lock(&self.missing);
        match is_missing {
            true => missing.insert(path.into()),
            false => missing.remove(Path::new(path)),
        };
    }
}

impl Mounts for FakeMounts {
    fn tmpfs(&self, target: &Path, _size: Option<u64>, _mode: u32) -> io::Result<()> {
        lock(&self.mounted).insert(target.to_owned());
        Ok(())
    }

    fn layers(&self, target: &Path, _lower: &[PathBuf]) -> io::Result<()> {
        lock(&self.mounted).insert(target.to_owned());
        Ok(())
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        lock(&self.mounted).remove(target);
        Ok(())
    }

    fn is_mounted(&self, target: &Path) -> io::Result<bool> {
        Ok(lock(&self.mounted).contains(target))
    }

    fn find(&self, _target: &Path, path: &Path) -> io::Result<()> {
        match lock(&self.missing).contains(path) {
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(()),
        }
    }

    fn below(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let mounted = lock(&self.mounted);
        let below = mounted.iter().filter(|path| path.starts_with(directory));
        Ok(below.rev().cloned().collect())
    }
}

/// Gives out addresses 10.42.0.2 and on.
#[derive(Default)]
pub struct FakeNetwork {
    state: Mutex<FakeNetworkState>,
}

#[derive(Default)]
struct FakeNetworkState {
    addresses: BTreeMap<String, String>,
    next: u32,
    unready: Option<String>,
    opens: bool,
}

impl FakeNetwork {
    /// Makes the network unready until somebody asks it for an address, who does not get it yet.
    pub fn opens_when_asked(&self, why: &str) {
        let mut state = lock(&self.state);
        state.unready = Some(why.to_owned());
        state.opens = true;
    }

    /// Makes the network unready, or ready again.
    pub fn set_unready(&self, why: Option<&str>) {
        lock(&self.state).unready = why.map(str::to_owned);
    }
}

#[async_trait]
impl Network for FakeNetwork {
    fn unready(&self) -> Option<String> {
        lock(&self.state).unready.clone()
    }

    async fn configure(&self, _pod_cidrs: &[String], _live: &[String]) -> Result<(), BoxError> {
        Ok(())
    }

    async fn attach(&self, pod: &PodNetwork) -> Result<Vec<String>, BoxError> {
        let mut state = lock(&self.state);
        if let Some(known) = state.addresses.get(&pod.uid) {
            return Ok(vec![known.clone()]);
        }
        state.next += 1;
        let address = format!("10.42.0.{}", state.next + 1);
        state.addresses.insert(pod.uid.clone(), address.clone());
        Ok(vec![address])
    }

    async fn detach(&self, uid: &str) -> Result<(), BoxError> {
        lock(&self.state).addresses.remove(uid);
        Ok(())
    }

    async fn addresses(&self, uid: &str) -> Vec<String> {
        let mut state = lock(&self.state);
        if std::mem::take(&mut state.opens) {
            state.unready = None;
            return Vec::new();
        }
        state.addresses.get(uid).cloned().into_iter().collect()
    }
}

/// Has every image, but for those that a test takes away.
#[derive(Default)]
pub struct FakeImages {
    missing: Mutex<BTreeMap<String, ImageFailure>>,
    /// What may be collected.
    pub stored: Mutex<Vec<StoredImage>>,
}

impl FakeImages {
    /// Makes an image fail, or be there again.
    pub fn fail(&self, image: &str, failure: Option<ImageFailure>) {
        let mut missing = lock(&self.missing);
        match failure {
            Some(failure) => missing.insert(image.to_owned(), failure),
            None => missing.remove(image),
        };
    }
}

#[async_trait]
impl ImageStore for FakeImages {
    async fn stored(&self) -> Vec<StoredImage> {
        lock(&self.stored).clone()
    }

    async fn remove(&self, id: &str) -> Result<(), String> {
        lock(&self.stored).retain(|image| image.id != id);
        Ok(())
    }

    fn tidy(&self) -> Result<(), String> {
        Ok(())
    }

    async fn ensure(
        &self,
        _owner: &ImageOwner,
        image: &str,
        _policy: PullPolicy,
        _credentials: &[Credentials],
    ) -> EnsuredImage {
        if let Some(failure) = lock(&self.missing).get(image) {
            let event = ImageEvent {
                warning: true,
                reason: "Failed",
                message: failure.message.clone(),
            };
            return EnsuredImage {
                result: Err(failure.clone()),
                events: vec![event],
            };
        }
        let event = ImageEvent {
            warning: false,
            reason: "Pulled",
            message: format!("Container image \"{image}\" already present on machine"),
        };
        let image = Image {
            reference: image.to_owned(),
            id: format!("sha256:{image}"),
            repo_digest: String::new(),
            rootfs: Default::default(),
            defaults: ImageDefaults::default(),
        };
        EnsuredImage {
            result: Ok(image),
            events: vec![event],
        }
    }

    async fn release(&self, _pod_uid: &str) {}

    async fn list(&self) -> Vec<ContainerImage> {
        Vec::new()
    }

    async fn used_bytes(&self) -> u64 {
        0
    }
}

/// Remembers events as `Kind Reason object: message`.
#[derive(Default)]
pub struct FakeEvents {
    lines: Mutex<Vec<String>>,
}

impl FakeEvents {
    /// The events so far.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }
}

impl Events for FakeEvents {
    fn event(&self, object: &ObjectReference, kind: Kind, reason: &str, message: String) {
        let name = object.name.as_deref().unwrap_or_default();
        lock(&self.lines).push(format!("{kind:?} {reason} {name}: {message}"));
    }
}

/// Remembers groups.
#[derive(Default)]
pub struct FakeCgroups {
    groups: Mutex<BTreeSet<String>>,
}

impl Cgroups for FakeCgroups {
    fn ensure(&self, path: &str, _cpu_shares: Option<u64>) -> io::Result<()> {
        lock(&self.groups).insert(path.to_owned());
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        lock(&self.groups).remove(path);
        Ok(())
    }

    fn children(&self, path: &str) -> io::Result<Vec<String>> {
        let prefix = format!("{path}/");
        let groups = lock(&self.groups);
        let below = groups
            .iter()
            .filter_map(|group| group.strip_prefix(&prefix));
        Ok(below
            .filter(|name| !name.contains('/'))
            .map(str::to_owned)
            .collect())
    }
}

/// A machine with 4 CPUs and 8 GiB, of which half is free.
pub struct FakeMachine {
    /// Memory that could be given out, in bytes.
    pub memory_available: AtomicU64,
    /// Free room on the disk of 100 GiB, in bytes.
    pub disk_available: AtomicU64,
    freed: Mutex<Option<Box<dyn Fn() -> bool + Send>>>,
}

impl FakeMachine {
    /// Leaves 4 GiB on the disk until something is so, and 50 GiB from then on.
    pub fn fill_disk_until(&self, is_so: impl Fn() -> bool + Send + 'static) {
        self.disk_available.store(4 * GIB, Ordering::Relaxed);
        *lock(&self.freed) = Some(Box::new(is_so));
    }
}

const GIB: u64 = 1 << 30;

impl Default for FakeMachine {
    fn default() -> Self {
        Self {
            memory_available: AtomicU64::new(4 * GIB),
            disk_available: AtomicU64::new(60 * GIB),
            freed: Mutex::default(),
        }
    }
}

impl Machine for FakeMachine {
    fn facts(&self) -> MachineFacts {
        MachineFacts {
            cpus: 4,
            memory_bytes: 8 * GIB,
            hugepages: BTreeMap::new(),
            machine_id: "machine".into(),
            system_uuid: "system".into(),
            boot_id: "boot".into(),
            kernel_version: "6.18.0".into(),
            os_image: "Debian GNU/Linux 12 (bookworm)".into(),
            architecture: "amd64".into(),
            swap_bytes: 0,
        }
    }

    fn cpu_usage_ns(&self) -> io::Result<u64> {
        Ok(1_000_000_000)
    }

    fn memory_available(&self) -> io::Result<u64> {
        Ok(self.memory_available.load(Ordering::Relaxed))
    }

    fn disk(&self, _path: &Path) -> io::Result<Disk> {
        if lock(&self.freed).take_if(|is_so| is_so()).is_some() {
            self.disk_available.store(50 * GIB, Ordering::Relaxed);
        }
        Ok(Disk {
            capacity_bytes: 100 * GIB,
            available_bytes: self.disk_available.load(Ordering::Relaxed),
            inodes: 1_000_000,
            inodes_free: 900_000,
        })
    }

    fn pids(&self) -> io::Result<(u64, u64)> {
        Ok((100, 32_768))
    }
}
