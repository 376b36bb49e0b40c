//! ConfigMaps and Secrets that pods refer to, kept up to date while they do.
//!
//! A kubelet may read only what its pods refer to, one object at a time, so
//! each object has a watch of its own, shared by all pods that refer to it.
//! When it changes, those pods are looked at again. Follows
//! pkg/kubelet/util/manager/watch_based_manager.go.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use client::{Client, Gvr, ListOptions};
use informer::{Informer, Reflector};
use stdx::{CancellationToken, Clock, Importance, Rng, Supervisor};
use typed::api::core::v1::{ConfigMap, Pod, Secret};
use typed::{Typed, Wire};

use crate::pod::{containers, spec};

/// How long a pod waits for an object that is not there yet.
const SYNC_MAX: Duration = Duration::from_secs(10);

/// An object cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// There is none.
    #[error("{kind} \"{name}\" not found")]
    NotFound {
        /// `configmap` or `secret`.
        kind: &'static str,
        /// Which.
        name: String,
    },
    /// The server did not say in time.
    #[error("failed to sync {kind} cache: timed out waiting for the condition")]
    Unsynced {
        /// `configmap` or `secret`.
        kind: &'static str,
    },
}

/// Reads the objects that pods refer to.
#[async_trait]
pub trait Objects: Send + Sync + 'static {
    /// A ConfigMap.
    async fn config_map(&self, namespace: &str, name: &str) -> Result<Arc<ConfigMap>, FetchError>;

    /// A Secret.
    async fn secret(&self, namespace: &str, name: &str) -> Result<Arc<Secret>, FetchError>;

    /// Keeps what the pod refers to.
    fn register(&self, pod: &Pod);

    /// Lets go of what only this pod referred to.
    fn unregister(&self, uid: &str);
}

/// What a pod refers to: names of ConfigMaps, names of Secrets.
pub fn references(pod: &Pod) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut maps, mut secrets) = (BTreeSet::new(), BTreeSet::new());
    for (_, container) in containers(pod) {
        for source in container.env_from.iter().flatten() {
            maps.extend(source.config_map_ref.iter().map(|r| r.name.clone()));
            secrets.extend(source.secret_ref.iter().map(|r| r.name.clone()));
        }
        let sources = container
            .env
            .iter()
            .flatten()
            .filter_map(|variable| variable.value_from.as_ref());
        for source in sources {
            maps.extend(source.config_map_key_ref.iter().map(|r| r.name.clone()));
            secrets.extend(source.secret_key_ref.iter().map(|r| r.name.clone()));
        }
    }
    for volume in spec(pod).volumes.iter().flatten() {
        maps.extend(volume.config_map.iter().map(|source| source.name.clone()));
        let named = volume.secret.iter().filter_map(|s| s.secret_name.clone());
        secrets.extend(named);
        let projected = volume
            .projected
            .iter()
            .flat_map(|p| p.sources.iter().flatten());
        for source in projected {
            maps.extend(source.config_map.iter().map(|r| r.name.clone()));
            secrets.extend(source.secret.iter().map(|r| r.name.clone()));
        }
    }
    let pull = spec(pod).image_pull_secrets.iter().flatten();
    secrets.extend(pull.map(|reference| reference.name.clone()));
    maps.remove("");
    secrets.remove("");
    (maps, secrets)
}

/// Tells that a pod shall be looked at again.
pub type Notify = Arc<dyn Fn(&str) + Send + Sync>;

/// The real thing.
pub struct WatchedObjects {
    client: Client,
    clock: Clock,
    rng: Rng,
    supervisor: Supervisor,
    config_maps: Watched<ConfigMap>,
    secrets: Watched<Secret>,
    notify: Notify,
}

type Key = (String, String);

struct Watched<T> {
    entries: Mutex<HashMap<Key, Entry<T>>>,
}

struct Entry<T> {
    informer: Informer<T>,
    pods: Arc<Mutex<HashSet<String>>>,
    stop: CancellationToken,
}

impl<T> Default for Watched<T> {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
        }
    }
}

impl<T> Watched<T> {
    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry<T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of a pod's objects, except for those that it still refers to.
    fn release(&self, uid: &str, keep: &BTreeSet<Key>) {
        self.entries().retain(|key, entry| {
            if keep.contains(key) {
                return true;
            }
            let mut pods = entry.pods.lock().unwrap_or_else(PoisonError::into_inner);
            pods.remove(uid);
            if pods.is_empty() {
                entry.stop.cancel();
            }
            !pods.is_empty()
        });
    }
}

impl WatchedObjects {
    /// Reads through the client; `notify` is told of pods whose objects changed.
    pub fn new(
        client: Client,
        clock: Clock,
        rng: Rng,
        supervisor: Supervisor,
        notify: Notify,
    ) -> Self {
        Self {
            client,
            clock,
            rng,
            supervisor,
            config_maps: Watched::default(),
            secrets: Watched::default(),
            notify,
        }
    }

    fn keep<T: Typed>(&self, watched: &Watched<T>, uid: &str, key: Key) {
        let mut entries = watched.entries();
        let entry = entries
            .entry(key.clone())
            .or_insert_with(|| self.watch(&key));
        let mut pods = entry.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.insert(uid.to_owned());
    }

    fn watch<T: Typed>(&self, key: &Key) -> Entry<T> {
        let (namespace, name) = key;
        let resource = self
            .client
            .resource(Gvr::of::<T>(), true)
            .namespace(namespace);
        let selection = ListOptions::fields(format!("metadata.name={name}"));
        let informer = Informer::new(|bytes| T::decode(bytes));
        let reflector = Reflector::new(
            resource,
            selection,
            &informer,
            self.clock.clone(),
            self.rng.fork(),
        );
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = format!("{} {namespace}/{name}", T::KIND);
        self.supervisor
            .spawn(task, Importance::Ordinary, async move {
                stopped.run_until_cancelled(reflector.run()).await;
            });
        let pods: Arc<Mutex<HashSet<String>>> = Arc::default();
        let (told, notify) = (Arc::clone(&pods), Arc::clone(&self.notify));
        informer.on_change(move |_| {
            let pods = told.lock().unwrap_or_else(PoisonError::into_inner);
            pods.iter().for_each(|uid| notify(uid));
        });
        Entry {
            informer,
            pods,
            stop,
        }
    }

    async fn read<T: Typed>(
        &self,
        watched: &Watched<T>,
        kind: &'static str,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<T>, FetchError> {
        let key = (namespace.to_owned(), name.to_owned());
        let informer = watched.entries().get(&key).map(|e| e.informer.clone());
        let Some(informer) = informer else {
            return self.fetch(kind, namespace, name).await;
        };
        self.clock
            .timeout(SYNC_MAX, informer.synced())
            .await
            .map_err(|_| FetchError::Unsynced { kind })?;
        let found = informer.store().get(namespace, name);
        found.ok_or_else(|| FetchError::NotFound {
            kind,
            name: name.to_owned(),
        })
    }

    /// Reads what no pod is registered for.
    async fn fetch<T: Typed>(
        &self,
        kind: &'static str,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<T>, FetchError> {
        let api = self.client.api::<T>().namespace(namespace);
        api.get(name).await.map(Arc::new).map_err(|error| {
            if error.is_not_found() {
                let name = name.to_owned();
                return FetchError::NotFound { kind, name };
            }
            FetchError::Unsynced { kind }
        })
    }
}

#[async_trait]
impl Objects for WatchedObjects {
    async fn config_map(&self, namespace: &str, name: &str) -> Result<Arc<ConfigMap>, FetchError> {
        self.read(&self.config_maps, "configmap", namespace, name)
            .await
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Arc<Secret>, FetchError> {
        self.read(&self.secrets, "secret", namespace, name).await
    }

    fn register(&self, pod: &Pod) {
        let (maps, secrets) = references(pod);
        let key = |name: String| (pod.namespace().to_owned(), name);
        let maps: BTreeSet<Key> = maps.into_iter().map(key).collect();
        let secrets: BTreeSet<Key> = secrets.into_iter().map(key).collect();
        for key in &maps {
            self.keep(&self.config_maps, pod.uid(), key.clone());
        }
        for key in &secrets {
            self.keep(&self.secrets, pod.uid(), key.clone());
        }
        self.config_maps.release(pod.uid(), &maps);
        self.secrets.release(pod.uid(), &secrets);
    }

    fn unregister(&self, uid: &str) {
        self.config_maps.release(uid, &BTreeSet::new());
        self.secrets.release(uid, &BTreeSet::new());
    }
}

/// Objects in memory, for tests.
#[derive(Default)]
pub struct FakeObjects {
    config_maps: Mutex<BTreeMap<Key, Arc<ConfigMap>>>,
    secrets: Mutex<BTreeMap<Key, Arc<Secret>>>,
}

impl FakeObjects {
    /// Puts a ConfigMap with this data.
    pub fn add_config_map(&self, namespace: &str, name: &str, data: serde_json::Value) {
        let object = serde_json::json!({
            "metadata": {"name": name, "namespace": namespace}, "data": data
        });
        let Ok(map) = ConfigMap::decode(object.to_string().as_bytes()) else {
            return;
        };
        let key = (namespace.to_owned(), name.to_owned());
        let mut maps = self
            .config_maps
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        maps.insert(key, Arc::new(map));
    }

    /// Puts a Secret with this data.
    pub fn add_secret(&self, namespace: &str, name: &str, data: &[(&str, &str)]) {
        let data = data.iter().map(|(key, value)| {
            let value = typed::k8s_openapi::ByteString(value.as_bytes().to_vec());
            ((*key).to_owned(), value)
        });
        let mut secret = Secret {
            data: Some(data.collect()),
            ..Secret::default()
        };
        secret.metadata.name = Some(name.to_owned());
        secret.metadata.namespace = Some(namespace.to_owned());
        let key = (namespace.to_owned(), name.to_owned());
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.insert(key, Arc::new(secret));
    }
}

#[async_trait]
impl Objects for FakeObjects {
    async fn config_map(&self, namespace: &str, name: &str) -> Result<Arc<ConfigMap>, FetchError> {
        let maps = self
            .config_maps
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let found = maps.get(&(namespace.to_owned(), name.to_owned())).cloned();
        found.ok_or_else(|| FetchError::NotFound {
            kind: "configmap",
            name: name.to_owned(),
        })
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Arc<Secret>, FetchError> {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let found = secrets
            .get(&(namespace.to_owned(), name.to_owned()))
            .cloned();
        found.ok_or_else(|| FetchError::NotFound {
            kind: "secret",
            name: name.to_owned(),
        })
    }

    fn register(&self, _pod: &Pod) {}

    fn unregister(&self, _uid: &str) {}
}
