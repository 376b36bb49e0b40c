//! One informer per kind, shared by all loops of a process.

use crate::informer::Informer;
use crate::reflector::Reflector;
use crate::store::Cached;
use client::{Client, Gvr, ListOptions};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use stdx::{Clock, Importance, Rng, Supervisor};
use typed::{DecodeError, Typed};

/// Makes and keeps informers. Clones share them.
#[derive(Clone)]
pub struct Factory {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    clock: Clock,
    rng: Rng,
    supervisor: Supervisor,
    informers: Mutex<BTreeMap<String, Box<dyn Any + Send>>>,
}

impl Factory {
    /// A factory whose informers read through the client, as tasks of the supervisor.
    pub fn new(client: Client, clock: Clock, rng: Rng, supervisor: Supervisor) -> Self {
        let informers = Mutex::default();
        Self {
            inner: Arc::new(Inner {
                client,
                clock,
                rng,
                supervisor,
                informers,
            }),
        }
    }

    /// The informer of a kind.
    pub fn informer<T: Typed>(&self) -> Informer<T> {
        self.selected(ListOptions::default())
    }

    /// The informer of those objects of a kind that the options select.
    pub fn selected<T: Typed>(&self, selection: ListOptions) -> Informer<T> {
        self.projected(Gvr::of::<T>(), T::NAMESPACED, selection, T::decode)
    }

    /// The informer of a kind whose objects keep only what `trim` leaves of them. Those who ask with
    /// the same function share it. What was trimmed must not be written back whole.
    pub fn trimmed<T: Typed>(&self, trim: fn(&mut T)) -> Informer<T> {
        let name = format!("trimmed by {:x}", trim as usize);
        let decode = move |bytes: &[u8]| {
            let mut object = T::decode(bytes)?;
            trim(&mut object);
            Ok(object)
        };
        self.shared(
            &name,
            Gvr::of::<T>(),
            T::NAMESPACED,
            ListOptions::default(),
            Informer::new(decode),
        )
    }

    /// An informer that keeps a projection of a resource's objects.
    pub fn projected<V: Cached>(
        &self,
        gvr: Gvr,
        namespaced: bool,
        selection: ListOptions,
        decode: impl Fn(&[u8]) -> Result<V, DecodeError> + Send + Sync + 'static,
    ) -> Informer<V> {
        let name = std::any::type_name::<V>();
        self.shared(name, gvr, namespaced, selection, Informer::new(decode))
    }

    /// The informer that is known under the name and selection, or else this new one.
    fn shared<V: Cached>(
        &self,
        name: &str,
        gvr: Gvr,
        namespaced: bool,
        selection: ListOptions,
        new: Informer<V>,
    ) -> Informer<V> {
        let inner = &self.inner;
        let name = format!("{gvr} {name} {selection:?}");
        let mut informers = inner
            .informers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = informers
            .get(&name)
            .and_then(|informer| informer.downcast_ref::<Informer<V>>());
        if let Some(known) = known {
            return known.clone();
        }
        let task = format!("reflector {gvr}");
        let resource = inner.client.resource(gvr, namespaced);
        let reflector = Reflector::new(
            resource,
            selection,
            &new,
            inner.clock.clone(),
            inner.rng.fork(),
        );
        inner
            .supervisor
            .spawn(task, Importance::Essential, reflector.run());
        informers.insert(name, Box::new(new.clone()));
        new
    }
}
