//! Watches to core: everything that is and will be.

use std::sync::Arc;

use informer::{Cached, Change, Factory, Informer};
use typed::Typed;
use typed::api::apps::v1::ReplicaSet;
use typed::api::core::v1::{Namespace, Node, Pod, ReplicationController, Service};

use super::Core;
use crate::scheduler::Scheduler;

/// The caches that the scheduler follows.
pub struct Caches {
    pub pods: Informer<Pod>,
    nodes: Informer<Node>,
    namespaces: Informer<Namespace>,
    services: Informer<Service>,
    replica_sets: Informer<ReplicaSet>,
    controllers: Informer<ReplicationController>,
}

impl Caches {
    /// The caches of a process.
    pub fn of(factory: &Factory) -> Self {
        Self {
            pods: factory.informer(),
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
        follow(&self.pods, core, |scheduler, change| {
            if let Some(old) = &change.old
                && change.new.as_ref().is_none_or(|new| new.uid() != old.uid())
            {
                scheduler.pod_deleted(old);
            }
            if let Some(pod) = &change.new {
                complain(pod.key(), scheduler.pod_updated(pod));
            }
        });
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

fn controller_gone<K: Typed>(scheduler: &mut Scheduler, gone: &K) {
    scheduler.controller_deleted(K::KIND, gone.namespace(), gone.name());
}

/// An object that cannot be read is one that validation should have refused.
fn complain<E: std::error::Error>(object: String, outcome: Result<(), E>) {
    if let Err(error) = outcome {
        tracing::error!(object, %error, "object is left out of scheduling");
    }
}
