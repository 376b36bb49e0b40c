//! Registries: pulling images over the distribution protocol.
//!
//! Follows the OCI distribution specification and, where that leaves a
//! choice, containerd's core/remotes/docker. A pull asks the mirrors of a
//! registry and then the registry; brings the layers that the store lacks,
//! several at a time; and then hands the image to the store, which verifies
//! and unpacks.

mod auth;
mod config;
mod connect;
mod download;
mod error;
mod http;
mod push;
mod resolve;
mod session;

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use stdx::Clock;

pub use config::{Access, Auth, ConfigError, Mirror, Registries, Tls};
pub use detour::Proxies;
pub use error::Error;

use self::{config::Endpoint, http::Http, resolve::Resolved, session::Session};
use crate::{
    Digest, Image, Images, ImportOptions, Reference,
    document::{Descriptor, Platform},
    keyring::{self, Credentials},
    pull::{Pulled, Registry, RegistryError},
    source::{Blobs, Layer},
};

const USER_AGENT: &str = concat!("tiphys/", env!("CARGO_PKG_VERSION"));

/// Layers of one image that are downloaded at a time, as with containerd.
const PARALLEL: usize = 3;

/// How a pull is getting on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The image is known, and so are its layers: digest, size, and whether
    /// the node has it.
    Resolved(Vec<(Digest, u64, bool)>),
    /// A layer is coming in.
    Layer {
        /// Which.
        digest: Digest,
        /// Bytes of it that are here.
        done: u64,
        /// All its bytes.
        total: u64,
    },
    /// A layer was cut off and is asked for again.
    Retry {
        /// Which.
        digest: Digest,
        /// What happened.
        why: String,
    },
    /// All is here and is unpacked.
    Unpacking,
}

/// Is told how a pull is getting on.
pub type Report = dyn Fn(Progress) + Send + Sync;

/// All registries, as this node may ask them.
pub struct Remote {
    registries: Registries,
    http: Http,
    clock: Clock,
    /// Docker's configuration files, which are read anew for each pull.
    docker_files: Vec<PathBuf>,
    platform: Platform,
    /// One pull of a name at a time: the others then find its layers.
    pulling: Mutex<HashMap<Reference, Arc<tokio::sync::Mutex<()>>>>,
}

impl Remote {
    /// Asks registries as configured, through the proxies of the environment.
    pub fn new(registries: Registries, clock: Clock) -> Result<Self, ConfigError> {
        Self::through(Proxies::from_environment()?, registries, clock)
    }

    /// Asks registries as configured, through these proxies.
    pub fn through(
        proxies: Proxies,
        registries: Registries,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            http: Http::new(&registries, proxies, clock.clone())?,
            registries,
            clock,
            docker_files: Vec::new(),
            platform: Platform::here(),
            pulling: Mutex::default(),
        })
    }

    /// Uses credentials of these files too, where they are there.
    #[must_use]
    pub fn docker_files(mut self, files: Vec<PathBuf>) -> Self {
        self.docker_files = files;
        self
    }

    /// Brings an image into the store.
    pub async fn bring(
        &self,
        images: &Images,
        reference: &Reference,
        credentials: &[Credentials],
        report: &Report,
    ) -> Result<Pulled, Error> {
        let turn = self.turn(reference);
        let _turn = turn.lock().await;
        let all = self.credentials(credentials);
        let users = keyring::select(&all, reference);
        let mut errors = Vec::new();
        for endpoint in self.registries.endpoints(reference) {
            let pulled = self
                .from(&endpoint, &users, images, reference, report)
                .await;
            match pulled {
                Ok(pulled) => return Ok(pulled),
                Err(error) if error.is_ours() => return Err(error),
                Err(error) => errors.push(error),
            }
        }
        match errors.pop() {
            Some(only) if errors.is_empty() => Err(only),
            Some(last) => {
                errors.push(last);
                Err(Error::All(errors))
            }
            None => Err(Error::NotFound(reference.to_string())),
        }
    }

    fn turn(&self, reference: &Reference) -> Arc<tokio::sync::Mutex<()>> {
        let locked = self.pulling.lock();
        let mut all = locked.unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, turn| Arc::strong_count(turn) > 1);
        all.entry(reference.clone()).or_default().clone()
    }

    /// Those given go before those of the node.
    fn credentials(&self, given: &[Credentials]) -> Vec<Credentials> {
        let mut all = given.to_vec();
        for file in &self.docker_files {
            let content = std::fs::read(file).unwrap_or_default();
            all.extend(keyring::parse(&content).unwrap_or_default());
        }
        all
    }

    /// As whom to ask an endpoint, in turn. What the node's configuration says
    /// about a mirror goes before what a pod says about the registry.
    fn users(&self, endpoint: &Endpoint, users: &[&Credentials]) -> Vec<Option<Credentials>> {
        let configured = self.registries.auth(endpoint);
        let given = users.iter().map(|user| Some((*user).clone()));
        match (configured, users) {
            (None, []) => vec![None],
            (Some(configured), []) => vec![Some(configured)],
            (Some(configured), _) if endpoint.mirror_of.is_some() => vec![Some(configured)],
            (Some(configured), _) => given.chain([Some(configured)]).collect(),
            (None, _) => given.collect(),
        }
    }

    async fn from(
        &self,
        endpoint: &Endpoint,
        users: &[&Credentials],
        images: &Images,
        reference: &Reference,
        report: &Report,
    ) -> Result<Pulled, Error> {
        let mut last = None;
        for user in self.users(endpoint, users) {
            let credentials = user.clone();
            let session = Session::new(&self.http, &self.clock, endpoint.clone(), user, "pull");
            match resolve::resolve(&session, reference, &self.platform).await {
                Ok(resolved) => {
                    let image = self.fetch(&session, resolved, images, report).await?;
                    return Ok(Pulled { image, credentials });
                }
                Err(error) if error.is_denial() => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::NotFound(reference.to_string())))
    }

    /// Downloads what the store lacks and hands the image over.
    async fn fetch(
        &self,
        session: &Session<'_>,
        resolved: Resolved,
        images: &Images,
        report: &Report,
    ) -> Result<Image, Error> {
        let id = resolved.candidate.id;
        let present = images.present(&resolved.candidate.configuration.rootfs.diff_ids);
        let state = resolved.layers.iter().enumerate();
        let state = state.map(|(i, one)| (one.digest, one.size, present.get(i) == Some(&true)));
        let state: Vec<(Digest, u64, bool)> = state.collect();
        let missing = resolved.layers.iter().zip(&state);
        let mut missing: Vec<&Descriptor> = missing
            .filter(|(_, (.., is_here))| !is_here)
            .map(|(one, _)| one)
            .collect();
        report(Progress::Resolved(state.clone()));
        let mut seen = std::collections::HashSet::new();
        missing.retain(|one| seen.insert(one.digest));
        let place = images.scratch()?;
        let downloads: Vec<_> = missing
            .into_iter()
            .map(|descriptor| fetch_layer(session, descriptor, place.path(), report))
            .collect();
        stream::iter(downloads)
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await?;
        report(Progress::Unpacking);
        let (store, candidate) = (images.clone(), resolved.candidate);
        let platform = self.platform.clone();
        let added = tokio::task::spawn_blocking(move || {
            let options = ImportOptions {
                platform,
                ..ImportOptions::default()
            };
            store.add(&candidate, &Downloaded(place.path().to_owned()), &options)?;
            drop(place);
            store.image(&id)
        });
        let image = added.await.map_err(|error| Error::File {
            operation: "unpack the image in",
            path: images.directory().to_owned(),
            source: io::Error::other(error),
        })??;
        image.ok_or_else(|| Error::Store(crate::Error::NotFound(id.to_string())))
    }
}

async fn fetch_layer(
    session: &Session<'_>,
    descriptor: &Descriptor,
    place: &Path,
    report: &Report,
) -> Result<(), Error> {
    let path = place.join(descriptor.digest.hex());
    let downloaded = download::download(session, descriptor, &path, report).await;
    downloaded.map_err(Error::of_layer)
}

/// Layers that were downloaded.
struct Downloaded(PathBuf);

impl Blobs for Downloaded {
    fn open(&self, layer: &Layer) -> io::Result<Box<dyn Read + Send + '_>> {
        let digest = layer.digest.map(|digest| digest.hex()).unwrap_or_default();
        Ok(Box::new(File::open(self.0.join(digest))?))
    }
}

#[async_trait]
impl Registry for Remote {
    async fn pull(
        &self,
        images: &Images,
        reference: &Reference,
        credentials: &[Credentials],
    ) -> Result<Pulled, RegistryError> {
        let brought = self.bring(images, reference, credentials, &|_| {}).await;
        brought.map_err(|error| RegistryError::Failed(explain(reference, &error)))
    }
}

/// What users read: containerd's sentence around the cause.
pub fn explain(reference: &Reference, error: &Error) -> String {
    let step = match error {
        Error::Layer(_) => String::new(),
        Error::File { .. } | Error::Store(_) => {
            format!("failed to unpack image \"{reference}\": ")
        }
        _ => format!("failed to resolve reference \"{reference}\": "),
    };
    let cause = crate::chain(error);
    format!("failed to pull and unpack image \"{reference}\": {step}{cause}")
}
