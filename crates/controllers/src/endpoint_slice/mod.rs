//! EndpointSlices: the addresses of a Service's pods, in slices of at most a hundred.
//!
//! Follows pkg/controller/endpointslice and staging/src/k8s.io/endpointslice. Topology hints are
//! not given.

pub(crate) mod desired;
pub(crate) mod plan;
#[cfg(test)]
mod tests;
pub(crate) mod tracker;

use crate::context::{Context, enqueue_changed};
use crate::nodes::node_values;
use crate::rule::EVENTS;
use crate::services::{self, HEADLESS, TriggerTimes};
use crate::{Controller, Rule};
use client::events::{Recorder, WARNING};
use client::{Api, DeleteOptions, Error};
use desired::Desired;
use informer::{
    Action, BoxError, Change, Index, Informer, ObjectKey, Queue, Reconcile, Store, Workers,
};
use plan::{Plan, Template};
use std::sync::Arc;
use tracker::Tracker;
use typed::api::core::v1::{Node, Service};
use typed::api::discovery::v1::EndpointSlice;
use typed::lean::Pod;
use typed::{Labels, Typed};

pub(crate) const CONTROLLER: Controller = Controller {
    name: "endpointslice-controller",
    identity: "endpointslice-controller",
    rules: &[
        Rule::new(
            &[""],
            &["nodes", "pods", "services"],
            &["get", "list", "watch"],
        ),
        // Owner references that block the Service's deletion need this.
        Rule::new(&[""], &["services/finalizers"], &["update"]),
        Rule::new(
            &["discovery.k8s.io"],
            &["endpointslices"],
            &["create", "delete", "get", "list", "update", "watch"],
        ),
        EVENTS,
    ],
    start,
};

/// The label that names a slice's Service.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label that names who keeps a slice.
pub(crate) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// Who keeps these slices.
const MANAGER: &str = "endpointslice-controller.k8s.io";

fn start(context: &Context) {
    let services = context.factory.informer::<Service>();
    let pods = crate::pods::informer(context);
    let nodes = context.factory.informer::<Node>();
    let slices = context.factory.informer::<EndpointSlice>();
    let queue = context.queue();
    let tracker = Arc::new(Tracker::default());
    enqueue_changed(&services, &queue);
    services::enqueue_services_of(&pods, services.store(), &queue);
    watch_slices(&slices, MANAGER, &queue, &tracker);
    let pods_by_node = pods.index("node", node_values);
    watch_nodes(&nodes, pods_by_node, services.store(), &queue);
    let controller = Arc::new(EndpointSlices {
        services: services.store(),
        pods: pods.store(),
        nodes: nodes.store(),
        slices: slices.index("service", service_values),
        api: context.client.api(),
        recorder: context.recorder("endpoint-slice-controller"),
        triggers: TriggerTimes::default(),
        tracker,
    });
    let synced = async move {
        services.synced().await;
        pods.synced().await;
        nodes.synced().await;
        slices.synced().await;
    };
    context.reconcile(queue, Workers::new(5).failures_max(15), synced, controller);
}

struct EndpointSlices {
    services: Store<Service>,
    pods: Store<Pod>,
    nodes: Store<Node>,
    slices: Index<EndpointSlice>,
    api: Api<EndpointSlice>,
    recorder: Recorder,
    triggers: TriggerTimes,
    tracker: Arc<Tracker>,
}

/// A pod is on a node that does not exist, and was left out.
#[derive(Debug, thiserror::Error)]
#[error("skipping Pod {pod} for Service {service}: Node {node} Not Found")]
struct NodeMissing {
    pod: String,
    service: ObjectKey,
    node: String,
}

/// Pods on a node that was not there were left out; upstream looks at them again when they change.
fn watch_nodes(
    nodes: &Informer<Node>,
    pods: Index<Pod>,
    services: Store<Service>,
    queue: &Queue<ObjectKey>,
) {
    let queue = queue.clone();
    nodes.on_change(move |change: &Change<Node>| {
        if change.old.is_some() {
            return;
        }
        for pod in pods.get(change.object().name()) {
            let mut services = services.namespace(pod.namespace());
            services.retain(|service| services::selects(service, &pod));
            services
                .iter()
                .for_each(|service| queue.add(ObjectKey::of(&**service)));
        }
    });
}

/// A slice that changed otherwise than we left it has its Service looked at.
pub(crate) fn watch_slices(
    slices: &Informer<EndpointSlice>,
    manager: &'static str,
    queue: &Queue<ObjectKey>,
    tracker: &Arc<Tracker>,
) {
    let (queue, tracker) = (queue.clone(), Arc::clone(tracker));
    slices.on_change(move |change: &Change<EndpointSlice>| {
        for slice in change.states() {
            let Some(service) = service_of(slice, manager) else {
                continue;
            };
            let expected = match &change.new {
                Some(new) => tracker.is_expected(&service, new),
                None => tracker.is_expected_deletion(&service, slice),
            };
            if tracker.end_wait(&service) || !expected {
                queue.add(service);
            }
        }
    });
}

fn service_values(slice: &EndpointSlice) -> Vec<String> {
    service_of(slice, MANAGER)
        .map(|service| service.to_string())
        .into_iter()
        .collect()
}

/// The Service of a slice that the manager keeps.
pub(crate) fn service_of(slice: &EndpointSlice, manager: &str) -> Option<ObjectKey> {
    let labels = slice.labels();
    let ours = labels.get(MANAGED_BY).is_some_and(|found| found == manager);
    let name = labels
        .get(SERVICE_NAME)
        .filter(|name| ours && !name.is_empty())?;
    Some(ObjectKey::new(slice.namespace(), name))
}

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for EndpointSlices {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let Some(service) = self.services.by_key(key) else {
            // Its slices go with it, as it owns them.
            self.triggers.forget(key);
            self.tracker.forget(key);
            return Ok(Action::Done);
        };
        if !services::is_managed(&service) {
            return Ok(Action::Done);
        }
        let slices = fresh(&self.api, &self.tracker, &self.slices, key).await?;
        let Some(slices) = slices else {
            return Ok(Action::Done);
        };
        let slices: Vec<_> = slices
            .into_iter()
            .filter(|slice| !slice.is_deleting())
            .collect();
        let mut pods = self.pods.namespace(service.namespace());
        pods.retain(|pod| services::selects(&service, pod));
        let trigger = self
            .triggers
            .oldest_change(&service, pods.iter().map(|pod| &**pod));
        let desired = Desired::of(&service, &pods, |name| self.nodes.get("", name));
        let plan = plan::plan(&template(&service), &slices, &desired, trigger);
        self.apply(key, plan).await.inspect_err(|error| {
            let message = format!(
                "Error updating Endpoint Slices for Service {key}: {}",
                error.message()
            );
            self.recorder.event(
                &service.object_reference(),
                WARNING,
                "FailedToUpdateEndpointSlices",
                message,
            );
        })?;
        match desired.missing_nodes.into_iter().next() {
            Some((pod, node)) => Err(NodeMissing {
                pod,
                service: key.clone(),
                node,
            }
            .into()),
            None => Ok(Action::Done),
        }
    }
}

impl EndpointSlices {
    async fn apply(&self, key: &ObjectKey, plan: Plan) -> Result<(), Error> {
        write(&self.api, &self.tracker, key, plan).await
    }
}

/// The slices of a Service as the cache has them; `None` while it has not shown yet what was
/// written, in which case the Service is looked at again when it does. A slice that came and went
/// while no watch was open will never be shown: the API server knows.
///
/// Upstream retries instead, and gives up after a while (`StaleInformerCache`).
pub(crate) async fn fresh(
    api: &Api<EndpointSlice>,
    tracker: &Tracker,
    cache: &Index<EndpointSlice>,
    key: &ObjectKey,
) -> Result<Option<Vec<Arc<EndpointSlice>>>, Error> {
    tracker.wait(key);
    let slices = cache.get(&key.to_string());
    for (uid, name) in tracker.missing(key, &slices) {
        match api.namespace(&key.namespace).get(&name).await {
            Ok(found) if found.uid() == uid => {}
            Ok(_) => tracker.forget_slice(key, &uid),
            Err(error) if error.is_not_found() => tracker.forget_slice(key, &uid),
            Err(error) => return Err(error),
        }
    }
    if tracker.is_stale(key, &slices) {
        return Ok(None);
    }
    tracker.end_wait(key);
    Ok(Some(slices))
}

/// Makes the changes of a plan and expects to see them.
pub(crate) async fn write(
    api: &Api<EndpointSlice>,
    tracker: &Tracker,
    key: &ObjectKey,
    plan: Plan,
) -> Result<(), Error> {
    for slice in plan.create {
        match api.create(&slice).await {
            Ok(created) => tracker.expect(key, &created),
            // Nothing can be created there any more.
            Err(error) if error.is_namespace_terminating() => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    for slice in plan.update {
        let updated = api.replace(&slice).await?;
        tracker.expect(key, &updated);
    }
    for slice in plan.delete {
        match api
            .namespace(slice.namespace())
            .delete(slice.name(), &DeleteOptions::default())
            .await
        {
            Ok(()) => tracker.expect_deletion(key, &slice),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn template(service: &Service) -> Template {
    Template {
        namespace: service.namespace().to_owned(),
        prefix: service.name().to_owned(),
        labels: labels(service),
        annotations: None,
        owner: service.controller_reference(),
        is_ending: service.is_deleting(),
        has_placeholder: true,
        endpoints_max: 100,
    }
}

/// The Service's labels and ours, which it cannot override.
fn labels(service: &Service) -> Labels {
    let mut labels = service.labels().clone();
    labels.remove(HEADLESS);
    if services::is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(SERVICE_NAME.to_owned(), service.name().to_owned());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}
