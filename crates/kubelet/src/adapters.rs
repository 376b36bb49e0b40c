//! The doors to this project's own pod network and image store.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use container::config::{Image, ImageDefaults, RootFs};
use images::pull::{Ensured, Puller, Reason};
use linux::cidr::Cidr;
use linux::netns::Netns;
use podnet::Podnet;
use typed::api::core::v1::ContainerImage;

use crate::doors::{
    BoxError, Credentials, EnsuredImage, ImageEvent, ImageFailure, ImageOwner, ImageStore,
    ImageUse, Network, PodNetwork, PullPolicy, StoredImage,
};

/// The pod network of crate `podnet`, opened when the node's range is known.
pub struct RoutedNetwork {
    settings: NetworkSettings,
    network: RwLock<State>,
}

/// Is told of an open network.
pub type Opened = dyn Fn(&Arc<Podnet>) -> Result<(), BoxError> + Send + Sync;

/// What the network needs besides the node's range.
pub struct NetworkSettings {
    /// The cluster's name on this machine.
    pub instance: String,
    /// Where the addresses of all pods come from.
    pub cluster_cidr: Cidr,
    /// The node's own address.
    pub node_ip: Ipv4Addr,
    /// Where given addresses are recorded.
    pub state_dir: PathBuf,
    /// The largest packet, if it is not to be found out.
    pub mtu: Option<u32>,
    /// Opens the network namespace of the node.
    pub node: Box<dyn Fn() -> Result<Netns, BoxError> + Send + Sync>,
    /// Is told of the network once it is open, for what else stands on it.
    pub opened: Box<Opened>,
}

enum State {
    Closed(String),
    Open { cidr: String, network: Arc<Podnet> },
}

impl RoutedNetwork {
    /// Waits for the node's range.
    pub fn new(settings: NetworkSettings) -> Self {
        let why = "Network plugin returns error: no pod CIDR has been assigned to the node yet";
        Self {
            settings,
            network: RwLock::new(State::Closed(why.to_owned())),
        }
    }

    /// The network, once it is open.
    pub fn podnet(&self) -> Option<Arc<Podnet>> {
        match &*self.network.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open { network, .. } => Some(Arc::clone(network)),
            State::Closed(_) => None,
        }
    }

    fn open(&self, text: &str, live: &[String]) -> Result<Arc<Podnet>, BoxError> {
        let pod_cidr: Cidr = text
            .parse()
            .map_err(|_| format!("{text:?} is no address range"))?;
        let config = podnet::Config {
            instance: self.settings.instance.clone(),
            pod_cidr,
            cluster_cidr: self.settings.cluster_cidr,
            node_ip: self.settings.node_ip,
            state_dir: self.settings.state_dir.clone(),
            mtu: self.settings.mtu,
        };
        let network = Arc::new(Podnet::open(config, (self.settings.node)()?)?);
        let adoption = network.adopt(live.iter().map(String::as_str))?;
        for uid in adoption.broken {
            tracing::warn!(uid, "a pod has lost its network and is made anew");
        }
        (self.settings.opened)(&network)?;
        Ok(network)
    }

    fn set(&self, state: State) {
        *self.network.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn usable(&self) -> Result<Arc<Podnet>, BoxError> {
        self.podnet()
            .ok_or_else(|| "the pod network is not open".into())
    }
}

#[async_trait]
impl Network for RoutedNetwork {
    fn unready(&self) -> Option<String> {
        match &*self.network.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open { .. } => None,
            State::Closed(why) => Some(why.clone()),
        }
    }

    async fn configure(&self, pod_cidrs: &[String], live: &[String]) -> Result<(), BoxError> {
        let is_v4 = |cidr: &&String| !cidr.contains(':');
        let Some(wanted) = pod_cidrs.iter().find(is_v4) else {
            return Ok(());
        };
        match &*self.network.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open { cidr, .. } if cidr == wanted => return Ok(()),
            State::Open { cidr, .. } => {
                return Err(
                    format!("the node's range cannot change from {cidr} to {wanted}").into(),
                );
            }
            State::Closed(_) => {}
        }
        match self.open(wanted, live) {
            Ok(network) => {
                self.set(State::Open {
                    cidr: wanted.clone(),
                    network,
                });
                Ok(())
            }
            Err(error) => {
                let text = chain(&*error);
                self.set(State::Closed(format!(
                    "Network plugin returns error: {text}"
                )));
                Err(error)
            }
        }
    }

    async fn attach(&self, pod: &PodNetwork) -> Result<Vec<String>, BoxError> {
        let network = self.usable()?;
        let (uid, netns) = (pod.uid.clone(), pod.netns.clone());
        let attached = tokio::task::spawn_blocking(move || network.attach(&uid, &netns)).await?;
        let place = attached.map_err(|error| chain(&error))?;
        Ok(vec![place.ip.to_string()])
    }

    async fn detach(&self, uid: &str) -> Result<(), BoxError> {
        let Some(network) = self.podnet() else {
            return Ok(());
        };
        let uid = uid.to_owned();
        let detached = tokio::task::spawn_blocking(move || network.detach(&uid)).await?;
        Ok(detached.map_err(|error| chain(&error))?)
    }

    async fn addresses(&self, uid: &str) -> Vec<String> {
        let place = self.podnet().and_then(|network| network.address(uid));
        let ip = place.map(|place: podnet::PodAddress| place.ip);
        ip.iter().map(IpAddr::to_string).collect()
    }
}

/// An error with its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The image store of crate `images`.
pub struct LocalImages {
    puller: Puller,
}

impl LocalImages {
    /// Takes images from the puller's store, and has missing ones pulled.
    pub fn new(puller: Puller) -> Self {
        Self { puller }
    }

    /// How the store names a holder. Neither containers' nor volumes' names
    /// have dots.
    fn holder(owner: &ImageOwner) -> String {
        let uid = &owner.pod_uid;
        match &owner.what {
            ImageUse::Container(name) => format!("{uid}.{name}"),
            ImageUse::Volume(name) => format!("{uid}.volume.{name}"),
        }
    }

    fn hold(&self, owner: &ImageOwner, image: &images::Image) -> Result<Vec<PathBuf>, String> {
        let holder = Self::holder(owner);
        let held = self.puller.images().hold(&holder, &image.id);
        held.map_err(|error| images::chain(&error))
    }
}

#[async_trait]
impl ImageStore for LocalImages {
    async fn ensure(
        &self,
        owner: &ImageOwner,
        image: &str,
        policy: PullPolicy,
        credentials: &[Credentials],
    ) -> EnsuredImage {
        let Ensured { result, events } = self
            .puller
            .ensure(&owner.pod_uid, image, policy, credentials)
            .await;
        let result = result.and_then(|found| {
            let lower = self.hold(owner, &found).map_err(|message| ImageFailure {
                reason: Reason::ImageInspectError,
                message,
            })?;
            Ok(describe(image, &found, lower))
        });
        let events: Vec<ImageEvent> = events;
        EnsuredImage { result, events }
    }

    async fn release(&self, pod_uid: &str) {
        self.puller.forget(pod_uid);
        let prefix = format!("{pod_uid}.");
        let holders = self.puller.images().holders().unwrap_or_default();
        for (holder, _) in holders {
            if !holder.starts_with(&prefix) {
                continue;
            }
            if let Err(error) = self.puller.images().release(&holder) {
                let error = images::chain(&error);
                tracing::warn!(holder, error, "cannot release an image");
            }
        }
    }

    async fn list(&self) -> Vec<ContainerImage> {
        let list = self.puller.images().list().unwrap_or_default();
        let image = |image: images::Image| ContainerImage {
            names: Some([image.repo_digests, image.repo_tags].concat()),
            size_bytes: i64::try_from(image.size).ok(),
        };
        list.into_iter().map(image).collect()
    }

    async fn stored(&self) -> Vec<StoredImage> {
        let store = self.puller.images();
        // Who holds images is asked first: an image is there before it is held.
        let (Ok(held), Ok(list)) = (store.holders(), store.list()) else {
            return Vec::new();
        };
        let stored = |image: images::Image| StoredImage {
            id: image.id.to_string(),
            size: image.size,
            in_use: held.iter().any(|(_, id)| *id == image.id),
            pinned: image.pinned,
        };
        list.into_iter().map(stored).collect()
    }

    async fn remove(&self, id: &str) -> Result<(), String> {
        let (store, id) = (self.puller.images().clone(), id.to_owned());
        let removed = tokio::task::spawn_blocking(move || store.remove(&id)).await;
        match removed {
            Ok(removed) => removed.map(drop).map_err(|error| images::chain(&error)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn tidy(&self) -> Result<(), String> {
        let tidied = self.puller.tidy();
        tidied.map_err(|error| images::chain(&error))
    }

    async fn used_bytes(&self) -> u64 {
        // Layers are shared, so this is the most that they can take.
        let list = self.puller.images().list().unwrap_or_default();
        list.iter().map(|image| image.size).sum()
    }
}

fn describe(reference: &str, image: &images::Image, lower: Vec<PathBuf>) -> Image {
    let settings = &image.settings;
    Image {
        reference: image
            .repo_tags
            .first()
            .cloned()
            .unwrap_or_else(|| reference.to_owned()),
        id: image.id.to_string(),
        repo_digest: image.image_ref(),
        rootfs: RootFs { lower },
        defaults: ImageDefaults {
            entrypoint: settings.entrypoint.clone(),
            cmd: settings.cmd.clone(),
            env: settings.env.clone(),
            working_dir: settings.working_dir.clone(),
            user: settings.user.clone(),
            stop_signal: settings.stop_signal.clone(),
        },
    }
}
