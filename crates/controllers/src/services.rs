//! Which pods belong to which Services, and how they are reached: what Endpoints and EndpointSlices
//! have in common. Follows staging/src/k8s.io/endpointslice/util.

use crate::pods;
use informer::{Change, Informer, ObjectKey, Queue, Store};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use stdx::Timestamp;
use typed::api::core::v1::{ObjectReference, Service, ServicePort};
use typed::lean::{Container, Pod};
use typed::{IntOrString, Typed, set_matches};

/// The annotation with the time of the change that led to the present addresses.
pub(crate) const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// The label of addresses that belong to a Service without an address of its own.
pub(crate) const HEADLESS: &str = "service.kubernetes.io/headless";

/// Has the Services of a pod looked at when something changes that addresses tell of.
pub(crate) fn enqueue_services_of(
    pods: &Informer<Pod>,
    services: Store<Service>,
    queue: &Queue<ObjectKey>,
) {
    let queue = queue.clone();
    pods.on_change(move |change: &Change<Pod>| {
        if let (Some(old), Some(new)) = (&change.old, &change.new)
            && !is_told_of(old, new)
        {
            return;
        }
        let namespace = change.object().namespace();
        for service in services.namespace(namespace) {
            if change.states().any(|pod| selects(&service, pod)) {
                queue.add(ObjectKey::of(&*service));
            }
        }
    });
}

/// Whether the Service has a selector and it matches the pod.
pub(crate) fn selects(service: &Service, pod: &Pod) -> bool {
    let selector = service
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| set_matches(selector, pod.labels()))
}

/// Whether controllers make the Service's addresses, rather than somebody else or nobody.
pub(crate) fn is_managed(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.is_some_and(|spec| {
        spec.selector.is_some() && spec.type_.as_deref() != Some("ExternalName")
    })
}

/// Whether the Service has no address of its own.
pub(crate) fn is_headless(service: &Service) -> bool {
    let address = service
        .spec
        .as_ref()
        .and_then(|spec| spec.cluster_ip.as_deref())
        .unwrap_or_default();
    address.is_empty() || address == "None"
}

/// Whether pods are published before they are ready.
pub(crate) fn publishes_not_ready(service: &Service) -> bool {
    service
        .spec
        .as_ref()
        .and_then(|spec| spec.publish_not_ready_addresses)
        .unwrap_or(false)
}

/// The Service's ports.
pub(crate) fn ports_of(service: &Service) -> &[ServicePort] {
    service
        .spec
        .as_ref()
        .and_then(|spec| spec.ports.as_deref())
        .unwrap_or_default()
}

/// Whether the pod has an address worth telling of.
pub(crate) fn is_endpoint(pod: &Pod, include_terminating: bool) -> bool {
    !pods::is_terminal(pod)
        && pod_ips(pod).next().is_some()
        && (include_terminating || !pod.is_deleting())
}

/// The pod's addresses.
pub(crate) fn pod_ips(pod: &Pod) -> impl Iterator<Item = IpAddr> {
    let status = pod.status.as_ref();
    let listed = status
        .and_then(|status| status.pod_ips.as_ref())
        .into_iter()
        .flatten();
    let mut listed = listed.filter_map(|ip| ip.ip.parse().ok()).peekable();
    let single = match listed.peek() {
        Some(_) => None,
        None => status.and_then(|status| status.pod_ip.as_ref()?.parse().ok()),
    };
    listed.chain(single)
}

/// The name that the pod has within the Service's domain.
pub(crate) fn hostname_in<'a>(pod: &'a Pod, service: &Service) -> Option<&'a str> {
    let spec = pod.spec.as_ref()?;
    let hostname = spec.hostname.as_deref().filter(|name| !name.is_empty())?;
    let belongs =
        spec.subdomain.as_deref() == Some(service.name()) && pod.namespace() == service.namespace();
    belongs.then_some(hostname)
}

/// The number of the pod's port that the Service's port leads to: a name is looked up among the
/// ports of containers and of sidecars.
pub(crate) fn find_port(pod: &Pod, port: &ServicePort) -> Option<i32> {
    let name = match &port.target_port {
        None => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) => name,
    };
    let spec = pod.spec.as_ref()?;
    let is_sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(is_sidecar);
    let mut ports = spec
        .containers
        .iter()
        .chain(sidecars)
        .flat_map(|container| container.ports.iter().flatten());
    let protocol = |protocol: &Option<String>| protocol.clone().unwrap_or_else(|| "TCP".to_owned());
    let found = ports.find(|candidate| {
        candidate.name.as_ref() == Some(name)
            && protocol(&candidate.protocol) == protocol(&port.protocol)
    });
    found.map(|port| port.container_port)
}

/// A reference to the pod, as addresses carry it.
pub(crate) fn target_of(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        ..Default::default()
    }
}

/// Whether two states of a pod differ in something that addresses tell of.
fn is_told_of(old: &Pod, new: &Pod) -> bool {
    let facts = |pod: &Pod| {
        let spec = pod.spec.as_ref();
        (
            pods::is_ready(pod),
            pods::is_terminal(pod),
            pod.is_deleting(),
            pod_ips(pod).collect::<Vec<_>>(),
            spec.map(|spec| {
                (
                    spec.node_name.clone(),
                    spec.hostname.clone(),
                    spec.subdomain.clone(),
                )
            }),
        )
    };
    old.labels() != new.labels() || old.uid() != new.uid() || facts(old) != facts(new)
}

/// Remembers which changes of pods and Services were told of, to name the oldest that was not.
/// Follows trigger_time_tracker.go.
#[derive(Default)]
pub(crate) struct TriggerTimes {
    known: Mutex<BTreeMap<ObjectKey, Known>>,
}

#[derive(Default)]
struct Known {
    service: Option<Timestamp>,
    pods: BTreeMap<String, Timestamp>,
}

impl TriggerTimes {
    /// The time of the oldest change since the last look, if there was one.
    pub(crate) fn oldest_change<'a>(
        &self,
        service: &Service,
        pods: impl Iterator<Item = &'a Pod>,
    ) -> Option<Timestamp> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.entry(ObjectKey::of(service)).or_default();
        let created = service.created().map(|time| time.0);
        let mut changes = Vec::new();
        changes
            .extend(created.filter(|created| known.service.is_none_or(|known| *created > known)));
        let mut times = BTreeMap::new();
        for pod in pods {
            let Some(time) =
                pods::condition(pod, "Ready").and_then(|ready| ready.last_transition_time.as_ref())
            else {
                continue;
            };
            times.insert(pod.name().to_owned(), time.0);
            if known
                .pods
                .get(pod.name())
                .is_none_or(|known| time.0 > *known)
            {
                changes.push(time.0);
            }
        }
        *known = Known {
            service: created,
            pods: times,
        };
        changes.into_iter().min()
    }

    /// Forgets a Service that is gone.
    pub(crate) fn forget(&self, service: &ObjectKey) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(service);
    }
}

/// A time as the annotation carries it.
pub(crate) fn format_trigger(time: Timestamp) -> String {
    time.to_string()
}
