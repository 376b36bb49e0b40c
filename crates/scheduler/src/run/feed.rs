//! Watches to core: everything that is and will be.

use std::sync::Arc;

use informer::{Cached, Change, Factory, Informer};
use typed::Typed;
use typed::api::apps::v1::ReplicaSet;
use typed::api::core::v1::{Namespace, Node, ReplicationController, Service};

use super::Core;
use super::pods::{self, CachedPod};
use crate::pod::PodReader;
use crate::scheduler::Scheduler;

/// The caches that the scheduler follows.
pub struct Caches {
    pub pods: Informer<CachedPod>,
    nodes: Informer<Node>,
    namespaces: Informer<Namespace>,
    services: Informer<Service>,
    replica_sets: Informer<ReplicaSet>,
    controllers: Informer<ReplicationController>,
}

impl Caches {
    /// The caches of a process; `reader` is the core's.
    pub fn of(factory: &Factory, reader: PodReader) -> Self {
        Self {
            pods: pods::informer(factory, reader),
            nodes: factory.informer(),
            namespaces: factory.informer(),
            services: factory.informer(),
            replica_sets: factory.informer(),
            controllers: factory.informer(),
        }
    }

    /// Has the core told of everything that is and will be.
    pub fn feed(&self, core: &Arc<Core>) {
        follow(&self.namespaces, core, |scheduler, change| {
            match &change.new {
                Some(namespace) => scheduler.namespace_updated(namespace),
                None => scheduler.namespace_deleted(change.object().name()),
            }
        });
        follow(&self.services, core, |scheduler, change| {
            match &change.new {
                Some(service) => scheduler.service_updated(service),
                None => {
                    let gone = change.object();
                    scheduler.service_deleted(gone.namespace(), gone.name());
                }
            }
        });
        follow(
            &self.replica_sets,
            core,
            |scheduler, change| match &change.new {
                Some(set) => complain(set.key(), scheduler.replica_set_updated(set)),
                None => controller_gone(scheduler, &**change.object()),
            },
        );
        follow(&self.controllers, core, |scheduler, change| {
            match &change.new {
                Some(controller) => scheduler.replication_controller_updated(controller),
                None => controller_gone(scheduler, &**change.object()),
            }
        });
        follow(&self.nodes, core, |scheduler, change| match &change.new {
            Some(node) => complain(node.key(), scheduler.node_updated(node)),
            None => scheduler.node_deleted(change.object().name()),
        });
        follow(&self.pods, core, pod_changed);
    }

    /// Waits until all caches hold what the server has.
    pub async fn synced(&self) {
        self.pods.synced().await;
        self.nodes.synced().await;
        self.namespaces.synced().await;
        self.services.synced().await;
        self.replica_sets.synced().await;
        self.controllers.synced().await;
    }
}

fn follow<V: Cached>(
    informer: &Informer<V>,
    core: &Arc<Core>,
    news: impl Fn(&mut Scheduler, &Change<V>) + Send + 'static,
) {
    let core = Arc::clone(core);
    informer.on_change(move |change| core.tell(|scheduler| news(scheduler, change)));
}

fn pod_changed(scheduler: &mut Scheduler, change: &Change<CachedPod>) {
    if let Some(old) = &change.old
        && change.new.as_ref().is_none_or(|new| new.uid() != old.uid())
    {
        scheduler.pod_gone(old.uid());
    }
    if let Some(pod) = &change.new {
        match &pod.info {
            Ok(info) => scheduler.pod_seen(Arc::clone(info)),
            Err(error) => tell_unreadable(&pod.object_key().to_string(), &**error),
        }
    }
}

fn controller_gone<K: Typed>(scheduler: &mut Scheduler, gone: &K) {
    scheduler.controller_deleted(K::KIND, gone.namespace(), gone.name());
}

fn complain<E: std::error::Error>(object: String, outcome: Result<(), E>) {
    if let Err(error) = outcome {
        tell_unreadable(&object, &error);
    }
}

/// An object that cannot be read is one that validation should have refused.
fn tell_unreadable(object: &str, error: &dyn std::error::Error) {
    tracing::error!(object, %error, "object is left out of scheduling");
}
