//! Deployments: ReplicaSets that come and go so that the pods change template without an outage.
//!
//! Follows pkg/controller/deployment. The plan works on copies, as if each of its changes had
//! succeeded; the changes are then made in order, and the first that fails ends the look.

mod hash;
mod plan;
mod rolling;
mod scale;
mod sets;
mod status;
#[cfg(test)]
mod tests;

use crate::context::{Context, enqueue_changed};
use crate::control::claim;
use crate::pods;
use crate::rule::EVENTS;
use crate::{Controller, Rule};
use client::events::{NORMAL, Recorder, WARNING};
use client::{Api, DeleteOptions, Error};
use informer::{
    Action, BoxError, Change, Index, Informer, ObjectKey, Queue, Reconcile, Store, Workers,
};
use plan::{Plan, Snapshot, Step};
use std::collections::BTreeMap;
use std::sync::Arc;
use stdx::Clock;
use typed::api::apps::v1::{Deployment, ReplicaSet};
use typed::lean::Pod;
use typed::{Typed, selector_matches};

pub(crate) const CONTROLLER: Controller = Controller {
    name: "deployment-controller",
    identity: "deployment-controller",
    rules: &[
        Rule::new(
            &["apps", "extensions"],
            &["deployments"],
            &["get", "list", "update", "watch"],
        ),
        Rule::new(
            &["apps", "extensions"],
            &["deployments/status"],
            &["update"],
        ),
        Rule::new(
            &["apps", "extensions"],
            &["deployments/finalizers"],
            &["update"],
        ),
        Rule::new(
            &["apps", "extensions"],
            &["replicasets"],
            &[
                "create", "delete", "get", "list", "patch", "update", "watch",
            ],
        ),
        Rule::new(&[""], &["pods"], &["get", "list", "update", "watch"]),
        EVENTS,
    ],
    start,
};

fn start(context: &Context) {
    let deployments = context.factory.informer::<Deployment>();
    let sets = context.factory.informer::<ReplicaSet>();
    let pods = pods::informer(context);
    let queue = context.queue();
    let sets_by_owner = sets.index("owner", pods::owner_values::<ReplicaSet>);
    let pods_by_owner = pods.index("owner", pods::owner_values::<Pod>);
    enqueue_changed(&deployments, &queue);
    watch_sets(&sets, deployments.store(), &queue);
    watch_pods(&pods, deployments.store(), sets.store(), &queue);
    let controller = Arc::new(Deployments {
        deployments: deployments.store(),
        sets_by_owner,
        pods_by_owner,
        deployment_api: context.client.api(),
        set_api: context.client.api(),
        recorder: context.recorder("deployment-controller"),
        clock: context.clock.clone(),
    });
    let synced = async move {
        deployments.synced().await;
        sets.synced().await;
        pods.synced().await;
    };
    context.reconcile(queue, Workers::new(5).failures_max(15), synced, controller);
}

struct Deployments {
    deployments: Store<Deployment>,
    sets_by_owner: Index<ReplicaSet>,
    pods_by_owner: Index<Pod>,
    deployment_api: Api<Deployment>,
    set_api: Api<ReplicaSet>,
    recorder: Recorder,
    clock: Clock,
}

/// A set concerns its deployment of before and of now; an orphan concerns whoever might adopt it.
fn watch_sets(
    sets: &Informer<ReplicaSet>,
    deployments: Store<Deployment>,
    queue: &Queue<ObjectKey>,
) {
    let queue = queue.clone();
    sets.on_change(move |change: &Change<ReplicaSet>| {
        for set in change.states() {
            if let Some(owner) = owner_key(&deployments, &**set) {
                queue.add(owner);
            }
        }
        if let Some(set) = change.new.as_ref().filter(|set| set.controller().is_none()) {
            adopters(&deployments, set)
                .into_iter()
                .for_each(|key| queue.add(key));
        }
    });
}

/// A Recreate deployment waits for the last of its old pods.
fn watch_pods(
    pods: &Informer<Pod>,
    deployments: Store<Deployment>,
    sets: Store<ReplicaSet>,
    queue: &Queue<ObjectKey>,
) {
    let queue = queue.clone();
    pods.on_change(move |change: &Change<Pod>| {
        let pod = change.object();
        let ended = change.is_removal() || pods::is_terminal(pod);
        let owner = pod
            .controller()
            .filter(|owner| ended && owner.kind == ReplicaSet::KIND);
        let Some(set) = owner.and_then(|owner| sets.get(pod.namespace(), &owner.name)) else {
            return;
        };
        if let Some(deployment) = owner_key(&deployments, &*set) {
            queue.add(deployment);
        }
    });
}

fn owner_key<T: Typed>(deployments: &Store<Deployment>, object: &T) -> Option<ObjectKey> {
    let owner = object
        .controller()
        .filter(|owner| owner.kind == Deployment::KIND)?;
    let deployment = deployments.get(object.namespace(), &owner.name)?;
    (deployment.uid() == owner.uid).then(|| ObjectKey::of(&*deployment))
}

fn adopters(deployments: &Store<Deployment>, set: &ReplicaSet) -> Vec<ObjectKey> {
    let candidates = deployments.namespace(set.namespace()).into_iter();
    let matching =
        candidates.filter(|deployment| selector_matches(&deployment.spec.selector, set.labels()));
    matching
        .map(|deployment| ObjectKey::of(&*deployment))
        .collect()
}

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Deployments {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let Some(deployment) = self.deployments.by_key(key) else {
            return Ok(Action::Done);
        };
        let spec = &deployment.spec;
        let sets = if plan::selects_all(&deployment) {
            Vec::new()
        } else {
            let mut sets = self.sets_by_owner.get(deployment.uid());
            sets.extend(
                self.sets_by_owner
                    .get(&pods::orphans_of(deployment.namespace())),
            );
            claim(
                &*deployment,
                &self.deployment_api,
                &spec.selector,
                sets,
                &self.set_api,
            )
            .await?
        };
        let pods = sets
            .iter()
            .flat_map(|set| self.pods_by_owner.get(set.uid()))
            .collect();
        let snapshot = Snapshot {
            deployment: &deployment,
            sets: &sets,
            pods,
            now: self.clock.wall(),
        };
        let plan = plan::plan(&snapshot);
        Ok(self.apply(&deployment, plan).await?)
    }
}

impl Deployments {
    async fn apply(&self, deployment: &Deployment, mut plan: Plan) -> Result<Action, Error> {
        let mut revisions = BTreeMap::new();
        for step in std::mem::take(&mut plan.steps) {
            match step {
                Step::Warn(reason, message) => self.record(deployment, WARNING, reason, message),
                Step::Create(set) => self.create(&mut plan.deployment, *set).await?,
                Step::Update(set, scaled) => {
                    let revision = self.update(deployment, &revisions, *set, scaled).await?;
                    revisions.insert(revision.0, revision.1);
                }
                Step::Delete(name) => self.delete(deployment, &name).await?,
            }
        }
        if plan.deployment != *deployment {
            self.deployment_api.replace_status(&plan.deployment).await?;
        }
        Ok(plan.action)
    }

    /// Creates a set. If its name is taken by a set with another template, the hash collides: the
    /// next look counts one collision more and so finds another name.
    async fn create(&self, planned: &mut Deployment, set: ReplicaSet) -> Result<(), Error> {
        let error = match self.set_api.create(&set).await {
            Ok(created) => {
                let replicas = sets::replicas(&set);
                if replicas > 0 {
                    let message = format!(
                        "Scaled up replica set {} from 0 to {replicas}",
                        created.name()
                    );
                    self.record(planned, NORMAL, "ScalingReplicaSet", message);
                }
                return Ok(());
            }
            Err(error) => error,
        };
        if error.is_already_exists() {
            // Upstream asks its cache, which may still have a set of that name which is gone.
            let sets = self.set_api.namespace(set.namespace());
            let existing = match sets.get(set.name()).await {
                Ok(existing) => existing,
                Err(gone) if gone.is_not_found() => return Err(error),
                Err(failure) => return Err(failure),
            };
            if plan::is_set_of(&existing, planned) {
                return Ok(());
            }
            self.count_collision(planned.namespace(), planned.name())
                .await?;
            return Err(error);
        }
        if error.is_namespace_terminating() {
            return Err(error);
        }
        let message = format!(
            "Failed to create new replica set \"{}\": {}",
            set.name(),
            error.message()
        );
        self.record(planned, WARNING, status::SET_CREATE_ERROR, message.clone());
        if let Some(failed) = self.deployments.get(planned.namespace(), planned.name())
            && let Some(failed) = status::with_create_error(&failed, message, self.clock.wall())
        {
            self.deployment_api.replace_status(&failed).await?;
        }
        Err(error)
    }

    async fn count_collision(&self, namespace: &str, name: &str) -> Result<(), Error> {
        let Some(deployment) = self.deployments.get(namespace, name) else {
            return Ok(());
        };
        let mut deployment = (*deployment).clone();
        let status = deployment.status.get_or_insert_default();
        status.collision_count = Some(status.collision_count.unwrap_or(0).saturating_add(1));
        tracing::info!(
            namespace,
            name,
            "template hash collides with another template's"
        );
        self.deployment_api
            .replace_status(&deployment)
            .await
            .map(drop)
    }

    /// Updates a set, on top of what an earlier step made of it. Returns its name and revision.
    async fn update(
        &self,
        deployment: &Deployment,
        revisions: &BTreeMap<String, String>,
        mut set: ReplicaSet,
        scaled: Option<(i32, i32)>,
    ) -> Result<(String, String), Error> {
        if let Some(revision) = revisions.get(set.name()) {
            set.metadata.resource_version = Some(revision.clone());
        }
        let updated = self.set_api.replace(&set).await?;
        if let Some((from, to)) = scaled {
            let direction = if from < to { "up" } else { "down" };
            let message = format!(
                "Scaled {direction} replica set {} from {from} to {to}",
                set.name()
            );
            self.record(deployment, NORMAL, "ScalingReplicaSet", message);
        }
        Ok((
            updated.name().to_owned(),
            updated.resource_version().to_owned(),
        ))
    }

    async fn delete(&self, deployment: &Deployment, name: &str) -> Result<(), Error> {
        let api = self.set_api.namespace(deployment.namespace());
        match api.delete(name, &DeleteOptions::default()).await {
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome,
        }
    }

    fn record(&self, deployment: &Deployment, kind: &str, reason: &str, message: String) {
        self.recorder
            .event(&deployment.object_reference(), kind, reason, message);
    }
}
