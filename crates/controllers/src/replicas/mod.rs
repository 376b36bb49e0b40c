//! So many pods of one template: what ReplicaSets and ReplicationControllers have in common.
//!
//! Follows pkg/controller/replicaset/replica_set.go, where a ReplicationController is looked at as a
//! ReplicaSet too.

mod plan;
mod rank;
mod status;

pub(crate) use status::seconds;

use crate::context::{Context, enqueue_changed};
use crate::control::{Expectations, claim, slow_start};
use crate::pods;
use client::events::{NORMAL, Recorder, WARNING};
use client::{Api, DeleteOptions, Error};
use futures::future::join_all;
use informer::{
    Action, BoxError, Change, Index, Informer, ObjectKey, Queue, Reconcile, Store, Workers,
};
use plan::Manage;
use std::sync::Arc;
use std::time::Duration;
use typed::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use typed::api::core::v1 as core;
use typed::lean::Pod;
use typed::{Typed, selector_matches};

/// A kind that wants so many pods of one template.
pub(crate) trait Replicated: Typed {
    /// The object as a ReplicaSet with the same metadata. Nothing if it is incomplete.
    fn as_replica_set(&self) -> Option<ReplicaSet>;
    /// The object with this status.
    fn with_status(&self, status: ReplicaSetStatus) -> Self;
}

/// Starts the controller of a kind whose events come from the component.
pub(crate) fn start<T: Replicated>(context: &Context, component: &str) {
    let sets = context.factory.informer::<T>();
    let pods = pods::informer(context);
    let by_owner = pods.index("owner", pods::owner_values::<Pod>);
    let queue = context.queue();
    let expectations = Expectations::new(context.clock.clone());
    enqueue_changed(&sets, &queue);
    watch_pods(&pods, sets.store(), &queue, &expectations);
    let controller = Arc::new(Replicas {
        sets: sets.store(),
        siblings: sets.index("owner", pods::owner_values::<T>),
        pods: by_owner,
        set_api: context.client.api(),
        pod_api: context.client.api(),
        whole_pod_api: context.client.api(),
        recorder: context.recorder(component),
        expectations,
        clock: context.clock.clone(),
    });
    let synced = async move {
        sets.synced().await;
        pods.synced().await;
    };
    context.reconcile(queue, Workers::new(5), synced, controller);
}

struct Replicas<T> {
    sets: Store<T>,
    siblings: Index<T>,
    pods: Index<Pod>,
    set_api: Api<T>,
    pod_api: Api<Pod>,
    /// By which pods are made.
    whole_pod_api: Api<core::Pod>,
    recorder: Recorder,
    expectations: Expectations,
    clock: stdx::Clock,
}

/// A pod concerns its owner of before and of now; an orphan concerns whoever might adopt it.
fn watch_pods<T: Replicated>(
    pods: &Informer<Pod>,
    sets: Store<T>,
    queue: &Queue<ObjectKey>,
    expectations: &Expectations,
) {
    let (queue, expectations) = (queue.clone(), expectations.clone());
    pods.on_change(move |change| {
        observe(change, &sets, &expectations);
        for pod in change.states() {
            if let Some(owner) = owner_key(&sets, pod) {
                queue.add(owner);
            }
        }
        if let Some(pod) = &change.new
            && pod.controller().is_none()
            && !pod.is_deleting()
            && has_new_labels(change)
        {
            adopters(&sets, pod).for_each(|key| queue.add(key));
        }
    });
}

fn observe<T: Replicated>(change: &Change<Pod>, sets: &Store<T>, expectations: &Expectations) {
    let pod = change.object();
    let Some(owner) = owner_key(sets, pod) else {
        return;
    };
    if change.old.is_none() {
        expectations.creations_observed(&owner, 1);
    }
    if change.is_removal() || pod.is_deleting() {
        expectations.deletion_observed(&owner, &ObjectKey::of(&**pod));
    }
}

fn has_new_labels(change: &Change<Pod>) -> bool {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => {
            old.labels() != new.labels() || old.controller() != new.controller()
        }
        _ => true,
    }
}

/// The set that manages the pod, if it is of this kind and still the same.
fn owner_key<T: Replicated>(sets: &Store<T>, pod: &Pod) -> Option<ObjectKey> {
    let owner = pod.controller().filter(|owner| owner.kind == T::KIND)?;
    let set = sets.get(pod.namespace(), &owner.name)?;
    (set.uid() == owner.uid).then(|| ObjectKey::of(&*set))
}

fn adopters<T: Replicated>(sets: &Store<T>, pod: &Pod) -> impl Iterator<Item = ObjectKey> {
    sets.namespace(pod.namespace())
        .into_iter()
        .filter_map(move |set| {
            let replica_set = set.as_replica_set()?;
            let selector = replica_set.spec.selector;
            selector_matches(&selector, pod.labels()).then(|| ObjectKey::of(&*set))
        })
}

#[async_trait::async_trait]
impl<T: Replicated> Reconcile<ObjectKey> for Replicas<T> {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let Some(object) = self.sets.by_key(key) else {
            self.expectations.forget(key);
            return Ok(Action::Done);
        };
        let Some(set) = object.as_replica_set() else {
            tracing::warn!(%key, kind = T::KIND, "object without selector or template is left alone");
            return Ok(Action::Done);
        };
        let may_manage = self.expectations.satisfied(key) && !set.is_deleting();
        let (active, terminating) = self.pods_of(&*object, &set).await?;
        let managed = if may_manage {
            self.manage(key, &*object, &set, &active).await
        } else {
            Ok(())
        };
        let now = self.clock.wall();
        let status = status::calculate(&set, &active, terminating, managed.as_ref().err(), now);
        self.write_status(&*object, &set, status).await?;
        managed?;
        let looks = [
            plan::next_look(&set, &active, now),
            self.expectations.time_left(key),
        ];
        Ok(looks
            .into_iter()
            .flatten()
            .min()
            .map_or(Action::Done, Action::After))
    }
}

impl<T: Replicated> Replicas<T> {
    /// The active pods of the set, and the number of those that are ending.
    async fn pods_of(&self, object: &T, set: &ReplicaSet) -> Result<(Vec<Arc<Pod>>, usize), Error> {
        let mut pods = self.pods.get(set.uid());
        pods.extend(self.pods.get(&pods::orphans_of(set.namespace())));
        let selector = set.spec.selector.clone();
        let is_own = |pod: &&Arc<Pod>| pod.controller().is_some_and(|owner| owner.uid == set.uid());
        let terminating = pods
            .iter()
            .filter(is_own)
            .filter(|pod| pods::is_terminating(pod) && selector_matches(&selector, pod.labels()));
        let terminating = terminating.count();
        pods.retain(|pod| pods::is_active(pod));
        let active = claim(object, &self.set_api, &selector, pods, &self.pod_api).await?;
        Ok((active, terminating))
    }

    /// Pods of all sets with the same owner: of two pods on one node, the second can go first.
    fn related(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let siblings = match set.controller() {
            Some(owner) => self.siblings.get(&owner.uid),
            None => Vec::new(),
        };
        let uids = siblings
            .iter()
            .map(|sibling| sibling.uid().to_owned())
            .filter(|uid| uid != set.uid());
        let uids = uids.chain([set.uid().to_owned()]);
        uids.flat_map(|uid| self.pods.get(&uid))
            .filter(|pod| pods::is_active(pod))
            .collect()
    }

    async fn manage(
        &self,
        key: &ObjectKey,
        object: &T,
        set: &ReplicaSet,
        active: &[Arc<Pod>],
    ) -> Result<(), Error> {
        match plan::manage(set, active, &self.related(set), self.clock.wall()) {
            Manage::Nothing => Ok(()),
            Manage::Create(count) => self.create(key, object, set, count).await,
            Manage::Delete(pods) => self.delete(key, object, &pods).await,
        }
    }

    async fn create(
        &self,
        key: &ObjectKey,
        object: &T,
        set: &ReplicaSet,
        count: usize,
    ) -> Result<(), Error> {
        self.expectations.expect_creations(key, count);
        let pod = plan::pod_of(set, object.controller_reference());
        let (succeeded, failure) = slow_start(count, || self.create_one(object, &pod)).await;
        self.expectations.creations_observed(key, count - succeeded);
        match failure {
            // Nothing can be created there any more, and nothing needs to be said about it.
            Some(error) if error.is_namespace_terminating() => Ok(()),
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    async fn create_one(&self, object: &T, pod: &core::Pod) -> Result<(), Error> {
        match self.whole_pod_api.create(pod).await {
            Ok(created) => {
                self.record(
                    object,
                    NORMAL,
                    "SuccessfulCreate",
                    format!("Created pod: {}", created.name()),
                );
                Ok(())
            }
            Err(error) => {
                if !error.is_namespace_terminating() {
                    self.record(
                        object,
                        WARNING,
                        "FailedCreate",
                        format!("Error creating: {}", error.message()),
                    );
                }
                Err(error)
            }
        }
    }

    async fn delete(&self, key: &ObjectKey, object: &T, pods: &[Arc<Pod>]) -> Result<(), Error> {
        self.expectations
            .expect_deletions(key, pods.iter().map(|pod| ObjectKey::of(&**pod)));
        let outcomes = join_all(pods.iter().map(|pod| self.delete_one(key, object, pod))).await;
        outcomes.into_iter().find(Result::is_err).unwrap_or(Ok(()))
    }

    async fn delete_one(&self, key: &ObjectKey, object: &T, pod: &Pod) -> Result<(), Error> {
        let api = self.pod_api.namespace(pod.namespace());
        match api.delete(pod.name(), &DeleteOptions::default()).await {
            Ok(()) => {
                self.record(
                    object,
                    NORMAL,
                    "SuccessfulDelete",
                    format!("Deleted pod: {}", pod.name()),
                );
                Ok(())
            }
            Err(error) => {
                self.expectations
                    .deletion_observed(key, &ObjectKey::of(pod));
                if error.is_not_found() {
                    return Ok(());
                }
                self.record(
                    object,
                    WARNING,
                    "FailedDelete",
                    format!("Error deleting: {}", error.message()),
                );
                Err(error)
            }
        }
    }

    fn record(&self, object: &T, kind: &str, reason: &str, message: String) {
        self.recorder
            .event(&object.object_reference(), kind, reason, message);
    }

    /// Writes the status if it says something new; after a conflict once more on the fresh object.
    async fn write_status(
        &self,
        object: &T,
        set: &ReplicaSet,
        status: ReplicaSetStatus,
    ) -> Result<(), Error> {
        let updated = object.with_status(status.clone());
        if updated == *object {
            return Ok(());
        }
        match self.set_api.replace_status(&updated).await {
            Err(error) if error.is_conflict() => {
                let sets = self.set_api.namespace(set.namespace());
                let fresh = match sets.get(set.name()).await {
                    // Another one of the same name has a status of its own.
                    Ok(fresh) if fresh.uid() != set.uid() => return Ok(()),
                    Err(error) if error.is_not_found() => return Ok(()),
                    fresh => fresh?,
                };
                self.set_api
                    .replace_status(&fresh.with_status(status))
                    .await
                    .map(drop)
            }
            // It is gone: nobody needs its status.
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

/// The longest that a plan looks ahead.
const LOOK_AHEAD_MIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
