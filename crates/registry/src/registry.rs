//! The registry: every kind with its cache, and what all operations share.

use crate::cache::Cache;
use crate::custom::Installed;
use crate::decoded::Decoded;
use crate::hooks::Hooks;
use crate::quota::Turns;
use crate::stored::Layout;
use crate::{custom, feed, keys};
use admission::Chain;
use api::{Card, Kind};
use meta::Status;
use meta::schema::Ref;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use stdx::latest;
use stdx::{Clock, Rng};
use store::{ProgressRequest, Revision, Store};

/// One kind and where it lies.
pub struct Resource {
    /// What the kind does differently.
    pub kind: Ref<dyn Kind>,
    /// The store's prefix of its objects.
    pub prefix: String,
    /// Its watch cache, shared by all kinds that are stored as the same.
    pub cache: Arc<Cache>,
    /// How its stored objects are laid out.
    pub layout: Arc<Layout>,
}

/// The field that watches are cut by: a kubelet watches the pods of its node.
const INDEXED: &str = "spec.nodeName";

impl Resource {
    /// Who the kind is.
    pub fn card(&self) -> &Card {
        self.kind.card()
    }

    /// The kind as which its objects are stored.
    pub fn hub(&self) -> &dyn Kind {
        self.kind.hub().map_or(&*self.kind, |hub| hub.kind())
    }
}

/// Everything that can be stored, and the way to it.
pub struct Registry {
    store: Arc<dyn Store>,
    clock: Clock,
    rng: Rng,
    /// The admission plugins.
    pub admission: Chain,
    /// What kinds do to other objects in the same transaction.
    pub hooks: Hooks,
    resources: RwLock<BTreeMap<(String, String, String), Arc<Resource>>>,
    by_prefix: RwLock<BTreeMap<Vec<u8>, Arc<Resource>>>,
    seen: latest::Sender<Revision>,
    progress: RwLock<Option<ProgressRequest>>,
    pub(crate) decoded: Decoded,
    pub(crate) turns: Turns,
    /// The custom kinds that are served, by the name of their definition.
    pub(crate) custom: Mutex<BTreeMap<String, Installed>>,
}

impl Registry {
    /// A registry of these kinds over a store. [`Registry::start`] fills its caches.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        rng: Rng,
        admission: Chain,
        hooks: Hooks,
        kinds: impl IntoIterator<Item = Ref<dyn Kind>>,
    ) -> Self {
        let registry = Registry {
            store,
            clock,
            rng,
            admission,
            hooks,
            resources: RwLock::default(),
            by_prefix: RwLock::default(),
            seen: latest::Sender::new(Revision::ZERO),
            progress: RwLock::default(),
            decoded: Decoded::default(),
            turns: Turns::default(),
            custom: Mutex::default(),
        };
        let (hubs, spokes): (Vec<_>, Vec<_>) =
            kinds.into_iter().partition(|kind| kind.hub().is_none());
        hubs.into_iter()
            .chain(spokes)
            .for_each(|kind| registry.add(kind));
        registry
    }

    /// Begins to serve a kind. One that is stored as another comes after it.
    fn add(&self, kind: Ref<dyn Kind>) {
        let (id, prefix, is_hub) = {
            let card = kind.card();
            let stored = kind.hub().map_or(card, |hub| hub.kind().card());
            let id = (
                card.group.to_string(),
                card.version.to_string(),
                card.plural.to_string(),
            );
            (id, keys::prefix(stored), kind.hub().is_none())
        };
        let (cache, layout) = match self.stored_as(prefix.as_bytes()) {
            Some(resource) => (resource.cache.clone(), resource.layout.clone()),
            None => {
                let indexed = kind.selectable().iter().position(|f| *f == INDEXED);
                let layout = Layout::new(&*kind, prefix.len());
                (Arc::new(Cache::new(indexed)), Arc::new(layout))
            }
        };
        let resource = Arc::new(Resource {
            kind,
            prefix,
            cache,
            layout,
        });
        if is_hub {
            let mut by_prefix = self
                .by_prefix
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            by_prefix.insert(resource.prefix.clone().into_bytes(), resource.clone());
        }
        self.resources
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, resource);
    }

    /// Fills the caches and follows the store from then on, in a task that
    /// lives as long as the store.
    pub async fn start(
        self: &Arc<Self>,
    ) -> Result<impl Future<Output = ()> + Send + use<>, Status> {
        let revision = feed::load(self).await?;
        let (feed, custom) = (feed::run(self.clone(), revision), custom::run(self.clone()));
        // The definitions have nothing to follow once the feed has ended.
        Ok(async move {
            futures::future::select(Box::pin(feed), Box::pin(custom)).await;
        })
    }

    /// Serves a kind beside or in place of what was served there.
    pub(crate) fn serve_at(&self, resource: Arc<Resource>) {
        let card = resource.card();
        let id = (
            card.group.to_string(),
            card.version.to_string(),
            card.plural.to_string(),
        );
        self.resources
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, resource);
    }

    /// Serves a kind no more.
    pub(crate) fn end_at(&self, id: &(String, String, String)) {
        self.resources
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
    }

    /// Follows the objects below a prefix, or no more.
    pub(crate) fn follow(&self, prefix: &str, resource: Option<Arc<Resource>>) {
        let mut by_prefix = self
            .by_prefix
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        match resource {
            Some(resource) => by_prefix.insert(prefix.as_bytes().to_vec(), resource),
            None => by_prefix.remove(prefix.as_bytes()),
        };
    }

    /// The kind served at group, version and resource.
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let id = (group.to_string(), version.to_string(), plural.to_string());
        self.resources
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    /// The kind of a group and resource in whatever version it is stored.
    pub fn any_version(&self, group: &str, plural: &str) -> Option<Arc<Resource>> {
        let group = if group.is_empty() { "core" } else { group };
        self.stored_as(format!("{}{group}/{plural}/", keys::ROOT).as_bytes())
    }

    /// Every kind that is served.
    pub fn resources(&self) -> Vec<Arc<Resource>> {
        self.resources
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// The kinds as which objects are stored.
    pub(crate) fn hubs(&self) -> Vec<Arc<Resource>> {
        self.by_prefix
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    pub(crate) fn stored_as(&self, prefix: &[u8]) -> Option<Arc<Resource>> {
        self.by_prefix
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(prefix)
            .cloned()
    }

    /// The store.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Randomness.
    pub fn rng(&self) -> &Rng {
        &self.rng
    }

    /// How far the caches are.
    pub fn seen(&self) -> latest::Receiver<Revision> {
        self.seen.subscribe()
    }

    /// How far the caches are at this moment.
    pub fn seen_now(&self) -> Revision {
        self.seen.get()
    }

    pub(crate) fn set_seen(&self, revision: Revision) {
        self.seen.send_if_modified(|seen| {
            let moves = revision > *seen;
            *seen = revision.max(*seen);
            moves
        });
    }

    pub(crate) fn set_progress(&self, progress: ProgressRequest) {
        *self
            .progress
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    pub(crate) fn ask_progress(&self) {
        if let Some(progress) = &*self.progress.read().unwrap_or_else(PoisonError::into_inner) {
            progress.send();
        }
    }
}
