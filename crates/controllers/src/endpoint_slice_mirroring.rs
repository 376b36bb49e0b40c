//! Endpoints that users made for Services without a selector, told in slices too. Follows
//! pkg/controller/endpointslicemirroring.

use crate::context::{Context, enqueue_changed};
use crate::endpoint_slice::desired::{Desired, Group, endpoint_key, ports_key};
use crate::endpoint_slice::plan::{self, Template};
use crate::endpoint_slice::tracker::Tracker;
use crate::endpoint_slice::{self, MANAGED_BY, SERVICE_NAME};
use crate::rule::EVENTS;
use crate::services::TRIGGER_TIME;
use crate::{Controller, Rule};
use client::Api;
use client::events::{Recorder, WARNING};
use informer::{Action, BoxError, Index, ObjectKey, Reconcile, Store, Workers};
use std::net::IpAddr;
use std::sync::Arc;
use typed::Typed;
use typed::api::core::v1::{self as core, Endpoints, Service};
use typed::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};

pub(crate) const CONTROLLER: Controller = Controller {
    name: "endpointslice-mirroring-controller",
    identity: "endpointslicemirroring-controller",
    rules: &[
        Rule::new(&[""], &["endpoints", "services"], &["get", "list", "watch"]),
        Rule::new(&[""], &["services/finalizers"], &["update"]),
        // Owner references that block the Endpoints' deletion need this.
        Rule::new(&[""], &["endpoints/finalizers"], &["update"]),
        Rule::new(
            &["discovery.k8s.io"],
            &["endpointslices"],
            &["create", "delete", "get", "list", "update", "watch"],
        ),
        EVENTS,
    ],
    start,
};

const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
/// The label by which Endpoints opt out.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Endpoints that are no endpoints, but a lock.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const ENDPOINTS_MAX: usize = 1000;

fn start(context: &Context) {
    let services = context.factory.informer::<Service>();
    let endpoints = context.factory.informer::<Endpoints>();
    let slices = context.factory.informer::<EndpointSlice>();
    let queue = context.queue();
    let tracker = Arc::new(Tracker::default());
    enqueue_changed(&services, &queue);
    enqueue_changed(&endpoints, &queue);
    endpoint_slice::watch_slices(&slices, MANAGER, &queue, &tracker);
    let controller = Arc::new(Mirror {
        services: services.store(),
        endpoints: endpoints.store(),
        slices: slices.index("mirrored service", service_values),
        api: context.client.api(),
        recorder: context.recorder("endpoint-slice-mirroring-controller"),
        tracker,
    });
    let synced = async move {
        services.synced().await;
        endpoints.synced().await;
        slices.synced().await;
    };
    context.reconcile(queue, Workers::new(5).failures_max(15), synced, controller);
}

struct Mirror {
    services: Store<Service>,
    endpoints: Store<Endpoints>,
    slices: Index<EndpointSlice>,
    api: Api<EndpointSlice>,
    recorder: Recorder,
    tracker: Arc<Tracker>,
}

fn service_values(slice: &EndpointSlice) -> Vec<String> {
    let service = endpoint_slice::service_of(slice, MANAGER);
    service
        .map(|service| service.to_string())
        .into_iter()
        .collect()
}

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Mirror {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let slices = endpoint_slice::fresh(&self.api, &self.tracker, &self.slices, key).await?;
        let Some(slices) = slices else {
            return Ok(Action::Done);
        };
        let slices: Vec<_> = slices
            .into_iter()
            .filter(|slice| !slice.is_deleting())
            .collect();
        let service = self.services.by_key(key);
        let endpoints = self
            .endpoints
            .by_key(key)
            .filter(|endpoints| is_mirrored(endpoints, service.as_deref()));
        let plan = match &endpoints {
            Some(endpoints) => plan::plan(&template(endpoints), &slices, &desired(endpoints), None),
            None => plan::Plan {
                delete: slices.iter().map(|slice| (**slice).clone()).collect(),
                ..Default::default()
            },
        };
        if endpoints.is_none() && slices.is_empty() {
            self.tracker.forget(key);
            return Ok(Action::Done);
        }
        endpoint_slice::write(&self.api, &self.tracker, key, plan)
            .await
            .inspect_err(|error| {
                if let Some(endpoints) = &endpoints {
                    let message = format!(
                        "Error updating mirrored EndpointSlices for Endpoints {key}: {}",
                        error.message()
                    );
                    self.recorder.event(
                        &endpoints.object_reference(),
                        WARNING,
                        "FailedToUpdateEndpointSlices",
                        message,
                    );
                }
            })?;
        Ok(Action::Done)
    }
}

/// Whether the Endpoints are somebody's own, for a Service without a selector.
fn is_mirrored(endpoints: &Endpoints, service: Option<&Service>) -> bool {
    let skips = endpoints
        .labels()
        .get(SKIP)
        .is_some_and(|value| value == "true");
    let has_selector = |service: &Service| {
        service
            .spec
            .as_ref()
            .is_some_and(|spec| spec.selector.is_some())
    };
    !skips
        && !endpoints.annotations().contains_key(LEADER)
        && service.is_some_and(|service| !has_selector(service))
}

fn template(endpoints: &Endpoints) -> Template {
    let mut labels = endpoints.labels().clone();
    labels.insert(SERVICE_NAME.to_owned(), endpoints.name().to_owned());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    let mut annotations = endpoints.annotations().clone();
    annotations.retain(|name, _| name != TRIGGER_TIME && name != LAST_APPLIED);
    Template {
        namespace: endpoints.namespace().to_owned(),
        prefix: endpoints.name().to_owned(),
        labels,
        annotations: Some(annotations),
        owner: endpoints.controller_reference(),
        is_ending: endpoints.is_deleting(),
        has_placeholder: false,
        endpoints_max: ENDPOINTS_MAX,
    }
}

fn desired(endpoints: &Endpoints) -> Desired {
    let mut desired = Desired::default();
    desired.families.insert("IPv4", Default::default());
    desired.families.insert("IPv6", Default::default());
    for subset in endpoints.subsets.iter().flatten() {
        let ports: Vec<EndpointPort> = subset.ports.iter().flatten().map(port).collect();
        let ready = subset
            .addresses
            .iter()
            .flatten()
            .map(|address| (address, true));
        let not_ready = subset
            .not_ready_addresses
            .iter()
            .flatten()
            .map(|address| (address, false));
        for (address, is_ready) in ready.chain(not_ready).take(ENDPOINTS_MAX) {
            // What is no address was refused by validation.
            let Ok(ip) = address.ip.parse::<IpAddr>() else {
                continue;
            };
            let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
            let group: &mut Group = desired
                .families
                .entry(family)
                .or_default()
                .entry(ports_key(&ports))
                .or_default();
            group.ports.clone_from(&ports);
            let endpoint = endpoint(address, is_ready);
            group.endpoints.insert(endpoint_key(&endpoint), endpoint);
        }
    }
    desired
}

fn port(port: &core::EndpointPort) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(port.port),
        protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
        app_protocol: port.app_protocol.clone(),
    }
}

fn endpoint(address: &core::EndpointAddress, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions {
            ready: Some(ready),
            ..Default::default()
        }),
        hostname: address.hostname.clone().filter(|name| !name.is_empty()),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Cluster;
    use serde_json::{Value, json};

    fn lines(cluster: &Cluster) -> Vec<String> {
        let line = |slice: &Value, endpoint: &Value| {
            let (family, ready) = (
                slice["addressType"].as_str().unwrap(),
                &endpoint["conditions"]["ready"],
            );
            format!(
                "{family} {}:{} {ready}",
                endpoint["addresses"][0].as_str().unwrap(),
                slice["ports"][0]["port"]
            )
        };
        let slices = cluster.api.list("endpointslices");
        let mut lines: Vec<String> = slices
            .iter()
            .flat_map(|slice| {
                slice["endpoints"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|endpoint| line(slice, endpoint))
                    .collect::<Vec<_>>()
            })
            .collect();
        lines.sort();
        lines
    }

    #[tokio::test(start_paused = true)]
    async fn own_endpoints_are_mirrored() {
        let cluster = Cluster::start(&[
            "endpointslice-controller",
            "endpointslice-mirroring-controller",
        ]);
        cluster.api.create("services", json!({"metadata": {"name": "db", "namespace": "a"}, "spec": {"ports": [{"port": 80}]}}));
        cluster.api.create(
            "services",
            json!({"metadata": {"name": "web", "namespace": "a"},
            "spec": {"selector": {"a": "b"}, "clusterIP": "10.43.0.1", "ports": [{"port": 80}]}}),
        );
        for name in ["db", "web", "alone"] {
            cluster.api.create("endpoints", json!({"metadata": {"name": name, "namespace": "a", "labels": {"x": "y"}}, "subsets": [{
                "addresses": [{"ip": "10.1.2.3"}, {"ip": "fd00::1"}], "notReadyAddresses": [{"ip": "10.1.2.4"}], "ports": [{"port": 5432}]}]}));
        }
        cluster.settle().await;
        assert_eq!(
            lines(&cluster),
            [
                "IPv4 10.1.2.3:5432 true",
                "IPv4 10.1.2.4:5432 false",
                "IPv6 fd00::1:5432 true"
            ]
        );
        let mirrored: Vec<Value> = cluster
            .api
            .list("endpointslices")
            .into_iter()
            .filter(|slice| slice["metadata"]["ownerReferences"][0]["kind"] == "Endpoints")
            .collect();
        assert_eq!(mirrored.len(), 2);
        assert_eq!(
            mirrored[0]["metadata"]["labels"],
            json!({"x": "y", "kubernetes.io/service-name": "db",
            "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io"})
        );
        cluster.api.edit("endpoints", "a", "db", |endpoints| {
            endpoints["subsets"] =
                json!([{"addresses": [{"ip": "10.1.2.9"}], "ports": [{"port": 5433}]}]);
        });
        cluster.settle().await;
        assert_eq!(lines(&cluster), ["IPv4 10.1.2.9:5433 true"]);
        cluster.api.take_writes();
        cluster.pass(3600).await;
        assert_eq!(cluster.api.take_writes(), Vec::<String>::new());
        cluster.api.remove("endpoints", "a", "db");
        cluster.settle().await;
        assert_eq!(lines(&cluster), Vec::<String>::new());
    }
}
