//! PodDisruptionBudgets: how many pods are well, how many must be, and how many
//! may go. Follows pkg/controller/disruption/disruption.go.

mod plan;
mod scale;
mod stale;
#[cfg(test)]
mod tests;

use crate::context::{Context, enqueue_changed};
use crate::rule::EVENTS;
use crate::{Controller, Rule, pods};
use client::Api;
use client::events::{NORMAL, Recorder, WARNING};
use informer::{Action, BoxError, Change, ObjectKey, Reconcile, Store, Workers};
use scale::Scales;
use std::sync::Arc;
use stdx::Clock;
use typed::api::apps::v1::{Deployment, ReplicaSet};
use typed::api::core::v1::ReplicationController;
use typed::api::policy::v1::PodDisruptionBudget;
use typed::lean::Pod;
use typed::{Typed, selector_matches, selector_string};

pub(crate) const CONTROLLER: Controller = Controller {
    name: "disruption-controller",
    identity: "disruption-controller",
    rules: &[
        Rule::new(
            &["apps"],
            &["deployments", "replicasets"],
            &["get", "list", "watch"],
        ),
        Rule::new(
            &[""],
            &["replicationcontrollers"],
            &["get", "list", "watch"],
        ),
        Rule::new(
            &["policy"],
            &["poddisruptionbudgets"],
            &["get", "list", "watch"],
        ),
        Rule::new(&["policy"], &["poddisruptionbudgets/status"], &["update"]),
        Rule::new(&[""], &["pods"], &["get", "list", "watch"]),
        Rule::new(&[""], &["pods/status"], &["patch", "update"]),
        Rule::new(&["*"], &["*/scale"], &["get"]),
        EVENTS,
    ],
    start,
};

fn start(context: &Context) {
    let budgets = context.factory.informer::<PodDisruptionBudget>();
    let pods = pods::informer(context);
    let deployments = context.factory.informer::<Deployment>();
    let sets = context.factory.informer::<ReplicaSet>();
    let controllers = context.factory.informer::<ReplicationController>();
    let queue = context.queue();
    enqueue_changed(&budgets, &queue);
    let (known, changed) = (budgets.store(), queue.clone());
    pods.on_change(move |change: &Change<Pod>| {
        for budget in known.namespace(change.object().namespace()) {
            if change.states().any(|pod| covers(&budget, pod)) {
                changed.add(ObjectKey::of(&*budget));
            }
        }
    });
    stale::start(context, &pods);
    let controller = Arc::new(Budgets {
        budgets: budgets.store(),
        pods: pods.store(),
        scales: Scales {
            client: context.client.clone(),
            deployments: deployments.store(),
            sets: sets.store(),
            controllers: controllers.store(),
        },
        api: context.client.api(),
        recorder: context.recorder("controllermanager"),
        clock: context.clock.clone(),
    });
    let synced = async move {
        budgets.synced().await;
        pods.synced().await;
        deployments.synced().await;
        sets.synced().await;
        controllers.synced().await;
    };
    context.reconcile(queue, Workers::new(1), synced, controller);
}

/// Whether a pod falls under a budget: without a selector none does, with an
/// empty one all of the namespace do.
fn covers(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| selector_matches(selector, pod.labels()))
}

struct Budgets {
    budgets: Store<PodDisruptionBudget>,
    pods: Store<Pod>,
    scales: Scales,
    api: Api<PodDisruptionBudget>,
    recorder: Recorder,
    clock: Clock,
}

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Budgets {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let Some(budget) = self.budgets.by_key(key) else {
            return Ok(Action::Done);
        };
        let mut covered = self.pods.namespace(&key.namespace);
        covered.retain(|pod| covers(&budget, pod));
        if covered.is_empty() {
            self.record(&budget, NORMAL, "NoPods", "No matching pods found".into());
        }
        let (wanted, again) = match self.wanted(&budget, &covered).await {
            Ok(wanted) => wanted,
            Err(why) => {
                let text = format!("Failed to calculate the number of expected pods: {why}");
                self.record(&budget, WARNING, "CalculateExpectedPodCountFailed", text);
                (plan::failed(&budget, &why, self.clock.wall()), None)
            }
        };
        if let Some(wanted) = wanted {
            self.api.replace_status(&wanted).await?;
        }
        Ok(again.map_or(Action::Done, Action::After))
    }
}

impl Budgets {
    async fn wanted(
        &self,
        budget: &PodDisruptionBudget,
        covered: &[Arc<Pod>],
    ) -> Result<(Option<PodDisruptionBudget>, Option<std::time::Duration>), String> {
        let mut expected = i32::try_from(covered.len()).unwrap_or(i32::MAX);
        if plan::needs_scale(budget) {
            let (scale, has_unmanaged) = self.scales.of(covered).await?;
            expected = scale;
            if has_unmanaged {
                self.record(budget, WARNING, "UnmanagedPods", unmanaged(budget));
            }
        }
        let now = self.clock.wall();
        let (disrupted, overdue, again) = plan::disrupted(budget, covered, now);
        for pod in overdue {
            let (namespace, name) = (budget.namespace(), budget.name());
            let text =
                format!("Pod was expected by PDB {namespace}/{name} to be deleted but it wasn't");
            self.recorder
                .event(&pod.object_reference(), WARNING, "NotDeleted", text);
        }
        Ok((
            plan::plan(budget, covered, expected, disrupted, now)?,
            again,
        ))
    }

    fn record(
        &self,
        budget: &PodDisruptionBudget,
        kind: &'static str,
        reason: &'static str,
        text: String,
    ) {
        self.recorder
            .event(&budget.object_reference(), kind, reason, text);
    }
}

fn unmanaged(budget: &PodDisruptionBudget) -> String {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let selector = selector.map(selector_string).unwrap_or_default();
    format!(
        "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value."
    )
}
