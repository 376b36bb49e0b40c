//! A pod as the scheduler sees it, read once when it arrives.
//!
//! What pods of one template have in common is a [`Shape`], of which there is
//! one copy; a pod itself is little more than its names.

use std::sync::{Arc, Mutex, PoisonError};

use typed::api::core::v1 as core;
use typed::{Typed, controller_of};

use crate::affinity::Affinity;
use crate::labels::{Labels, Names, Shared};
use crate::node_selector::{NodeSelection, NodeTerm};
use crate::resources::{PodResources, QuantityError, is_sidecar};
use crate::selector::SelectorError;
use crate::spread::SpreadConstraint;
use crate::taint::Toleration;

/// One pod.
#[derive(Debug, PartialEq, Eq)]
pub struct PodInfo {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) uid: Arc<str>,
    pub(crate) labels: Arc<Labels>,
    pub(crate) shape: Arc<Shape>,
    /// The node that the pod is bound to.
    pub(crate) node_name: Option<Arc<str>>,
    pub(crate) gates: Box<[Box<str>]>,
    /// Which scheduler the pod asks for.
    pub(crate) scheduler_name: Arc<str>,
    pub(crate) terminating: bool,
    /// Whether all containers ended for good.
    pub(crate) finished: bool,
}

/// What decides a pod's placement and is the same for all pods of a template.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    pub(crate) resources: PodResources,
    pub(crate) priority: i32,
    /// Whether the pod may displace others.
    pub(crate) preempts: bool,
    pub(crate) host_ports: Box<[HostPort]>,
    pub(crate) node_selection: Option<NodeSelection>,
    pub(crate) preferred_nodes: Box<[(NodeTerm, i64)]>,
    pub(crate) tolerations: Box<[Toleration]>,
    pub(crate) affinity: Affinity,
    pub(crate) spread: Box<[SpreadConstraint]>,
    pub(crate) images: Box<[Box<str>]>,
    pub(crate) owner: Option<Owner>,
    /// Names of PersistentVolumeClaims that the pod mounts.
    pub(crate) volume_claims: Box<[Box<str>]>,
    /// Names of the pod's claims to devices.
    pub(crate) resource_claims: Box<[Box<str>]>,
    pub(crate) scheduling_group: bool,
}

/// A port of the node that a pod occupies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    ip: Box<str>,
    protocol: Box<str>,
    port: i32,
}

/// The controller that made a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    pub(crate) kind: Box<str>,
    pub(crate) name: Box<str>,
}

/// Why a pod cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// An amount is none.
    #[error("cannot read the resources of pod {pod}: {source}")]
    Quantity {
        /// The pod.
        pod: String,
        /// What is wrong.
        source: QuantityError,
    },
    /// A selector can never be evaluated.
    #[error("cannot read a selector of pod {pod}: {source}")]
    Selector {
        /// The pod.
        pod: String,
        /// What is wrong.
        source: SelectorError,
    },
}

/// Reads pods and keeps what they have in common. Clones keep it together.
#[derive(Clone, Debug, Default)]
pub struct PodReader {
    common: Arc<Mutex<Common>>,
}

/// One copy of all that several pods have.
#[derive(Debug, Default)]
struct Common {
    labels: Shared<Labels>,
    shapes: Shared<Shape>,
    names: Names,
}

impl PodReader {
    /// Reads a pod.
    pub fn read(&self, pod: &core::Pod) -> Result<PodInfo, PodError> {
        let labels = Labels::from_map(pod.metadata.labels.as_ref());
        let shape = Shape::of(pod, &labels)?;
        let mut common = self.common.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(common.keep(pod, labels, shape))
    }
}

impl Common {
    fn keep(&mut self, pod: &core::Pod, labels: Labels, shape: Shape) -> PodInfo {
        let spec = pod.spec.as_ref();
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        let node_name = spec.and_then(|spec| spec.node_name.as_deref());
        let gates = spec.and_then(|spec| spec.scheduling_gates.as_deref());
        let gates = gates.unwrap_or_default().iter();
        let scheduler = spec.and_then(|spec| spec.scheduler_name.as_deref());
        let uid = match pod.uid() {
            "" => pod.key().into(),
            uid => uid.into(),
        };
        PodInfo {
            namespace: self.names.share(pod.namespace()),
            name: pod.name().into(),
            uid,
            labels: self.labels.share(labels),
            shape: self.shapes.share(shape),
            node_name: node_name
                .filter(|name| !name.is_empty())
                .map(|name| self.names.share(name)),
            gates: gates.map(|gate| gate.name.as_str().into()).collect(),
            scheduler_name: self.names.share(scheduler.unwrap_or("default-scheduler")),
            terminating: pod.is_deleting(),
            finished: matches!(phase, Some("Succeeded" | "Failed")),
        }
    }
}

impl PodInfo {
    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The uid; `namespace/name` for a pod that has none.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The priority.
    pub fn priority(&self) -> i32 {
        self.shape.priority
    }

    /// The labels.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Gates that keep the pod from being scheduled.
    pub fn scheduling_gates(&self) -> impl Iterator<Item = &str> {
        self.gates.iter().map(|gate| &**gate)
    }

    /// Whether two readings of a pod are the same for placement.
    pub(crate) fn same_needs(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.labels, &other.labels)
            && Arc::ptr_eq(&self.shape, &other.shape)
            && self.terminating == other.terminating
    }
}

impl Shape {
    fn of(pod: &core::Pod, labels: &Labels) -> Result<Self, PodError> {
        let Some(spec) = &pod.spec else {
            return Ok(Self::default());
        };
        let selector_error = |source| PodError::Selector {
            pod: pod.key(),
            source,
        };
        let constraints = spec.topology_spread_constraints.iter().flatten();
        let spread = constraints.map(|constraint| SpreadConstraint::new(constraint, labels));
        let affinity = Affinity::of(spec, pod.namespace(), labels).map_err(selector_error)?;
        Ok(Self {
            resources: PodResources::of(pod).map_err(|source| PodError::Quantity {
                pod: pod.key(),
                source,
            })?,
            priority: spec.priority.unwrap_or_default(),
            preempts: spec.preemption_policy.as_deref() != Some("Never"),
            host_ports: host_ports(spec),
            node_selection: NodeSelection::of(spec),
            preferred_nodes: preferred_nodes(spec),
            tolerations: spec
                .tolerations
                .iter()
                .flatten()
                .map(Toleration::new)
                .collect(),
            affinity,
            spread: spread.collect::<Result<_, _>>().map_err(selector_error)?,
            images: images(spec),
            owner: controller_of(&pod.metadata).map(|owner| Owner {
                kind: owner.kind.as_str().into(),
                name: owner.name.as_str().into(),
            }),
            volume_claims: volume_claims(pod.name(), spec),
            resource_claims: spec
                .resource_claims
                .iter()
                .flatten()
                .map(|claim| claim.name.as_str().into())
                .collect(),
            scheduling_group: spec.scheduling_group.is_some(),
        })
    }
}

impl HostPort {
    /// Whether two pods cannot both have their port on one node.
    pub fn conflicts(&self, other: &Self) -> bool {
        const ANY: &str = "0.0.0.0";
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || &*self.ip == ANY || &*other.ip == ANY)
    }
}

fn host_ports(spec: &core::PodSpec) -> Box<[HostPort]> {
    let sidecars = spec
        .init_containers
        .iter()
        .flatten()
        .filter(|c| is_sidecar(c));
    let ports = spec.containers.iter().chain(sidecars);
    let ports = ports.flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let or = |text: &Option<String>, default: &str| -> Box<str> {
                let text = text.as_deref().filter(|text| !text.is_empty());
                text.unwrap_or(default).into()
            };
            Some(HostPort {
                ip: or(&port.host_ip, "0.0.0.0"),
                protocol: or(&port.protocol, "TCP"),
                port: port.host_port.filter(|port| *port > 0)?,
            })
        })
        .collect()
}

fn preferred_nodes(spec: &core::PodSpec) -> Box<[(NodeTerm, i64)]> {
    let affinity = spec.affinity.as_ref();
    let node = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
    let preferred = node.and_then(|node| {
        node.preferred_during_scheduling_ignored_during_execution
            .as_ref()
    });
    let preferred = preferred.into_iter().flatten();
    preferred
        .filter(|term| term.weight != 0)
        .filter_map(|term| Some((NodeTerm::new(&term.preference)?, term.weight.into())))
        .collect()
}

fn images(spec: &core::PodSpec) -> Box<[Box<str>]> {
    let init = spec.init_containers.iter().flatten();
    let containers = init.chain(&spec.containers);
    let of_containers = containers.map(|container| container.image.as_deref());
    let volumes = spec.volumes.iter().flatten();
    let of_volumes = volumes.filter_map(|volume| volume.image.as_ref());
    of_containers
        .map(|image| normalized_image_name(image.unwrap_or_default()))
        .chain(
            of_volumes
                .map(|image| normalized_image_name(image.reference.as_deref().unwrap_or_default())),
        )
        .collect()
}

/// The claims of a pod; a generic ephemeral volume's is named after both.
fn volume_claims(pod: &str, spec: &core::PodSpec) -> Box<[Box<str>]> {
    let volumes = spec.volumes.iter().flatten();
    volumes
        .filter_map(|volume| match &volume.persistent_volume_claim {
            Some(claim) => Some(claim.claim_name.as_str().into()),
            None => volume
                .ephemeral
                .is_some()
                .then(|| format!("{pod}-{}", volume.name).into()),
        })
        .collect()
}

/// An image's name with the tag that it has when it states none.
/// Follows pkg/scheduler/framework/plugins/imagelocality.
pub(crate) fn normalized_image_name(name: &str) -> Box<str> {
    if name.rfind(':') <= name.rfind('/') {
        format!("{name}:latest").into()
    } else {
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;

    #[test]
    fn pods_of_one_template_share_their_shape() {
        let reader = PodReader::default();
        let a = pod("a").label("app", "web").container("cpu=1").build();
        let b = pod("b").label("app", "web").container("cpu=1").build();
        let c = pod("c").label("app", "web").container("cpu=2").build();
        let [a, b, c] = [a, b, c].map(|pod| reader.read(&pod).unwrap());
        assert!(a.same_needs(&b));
        assert!(!a.same_needs(&c));
        assert!(Arc::ptr_eq(&a.labels, &c.labels));
    }

    #[test]
    fn images_without_a_tag_are_latest() {
        for (name, want) in [
            ("root:80/nginx:1", "root:80/nginx:1"),
            ("root:80/nginx", "root:80/nginx:latest"),
            ("nginx", "nginx:latest"),
            ("nginx:1", "nginx:1"),
        ] {
            assert_eq!(&*normalized_image_name(name), want);
        }
    }

    #[test]
    fn claims_of_volumes_are_named() {
        let reader = PodReader::default();
        let pod = reader.read(&pod("a").claim("data").build()).unwrap();
        assert_eq!(&*pod.shape.volume_claims, ["data".into()]);
    }
}
