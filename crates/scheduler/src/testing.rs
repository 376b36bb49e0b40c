//! Builders of pods and nodes for this crate's tests.

use typed::api::core::v1 as core;
use typed::meta::{LabelSelector, LabelSelectorRequirement, OwnerReference};

/// A pod in the making.
#[derive(Clone)]
pub struct PodBuilder(core::Pod);

/// A node in the making.
#[derive(Clone)]
pub struct NodeBuilder(core::Node);

/// A pod of the namespace `default`.
pub fn pod(name: &str) -> PodBuilder {
    let mut pod = core::Pod::default();
    pod.metadata.name = Some(name.into());
    pod.metadata.namespace = Some("default".into());
    pod.metadata.uid = Some(format!("uid-{name}"));
    pod.spec = Some(core::PodSpec::default());
    PodBuilder(pod)
}

/// A node with room for 110 pods, 4 CPUs and 10000 bytes.
pub fn node(name: &str) -> NodeBuilder {
    let mut node = core::Node::default();
    node.metadata.name = Some(name.into());
    node.spec = Some(core::NodeSpec::default());
    node.status = Some(core::NodeStatus::default());
    NodeBuilder(node).allocatable("cpu=4,memory=10000,pods=110")
}

/// `a=1,b=2` as a resource list; the empty text is none.
fn resources(text: &str) -> core::ResourceRequirements {
    let requests = list(text);
    core::ResourceRequirements {
        requests: (!requests.is_empty()).then_some(requests),
        ..Default::default()
    }
}

fn list(text: &str) -> std::collections::BTreeMap<String, typed::Quantity> {
    let parts = text.split(',').filter_map(|part| part.split_once('='));
    parts
        .map(|(name, amount)| (name.to_owned(), typed::Quantity(amount.to_owned())))
        .collect()
}

/// A selector such as `app=web,tier in (a|b),!x,y,z notin (c)`; `-` is absent.
pub fn selector(text: &str) -> Option<LabelSelector> {
    if text == "-" {
        return None;
    }
    let mut selector = LabelSelector::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (key, operator, values) = requirement(part);
        if operator == "=" {
            let labels = selector.match_labels.get_or_insert_default();
            labels.insert(key, values.into_iter().collect());
            continue;
        }
        let expressions = selector.match_expressions.get_or_insert_default();
        expressions.push(LabelSelectorRequirement {
            key,
            operator,
            values: Some(values),
        });
    }
    Some(selector)
}

fn requirement(part: &str) -> (String, String, Vec<String>) {
    let values = |text: &str| {
        text.trim_end_matches(')')
            .split('|')
            .map(Into::into)
            .collect()
    };
    for (mark, operator) in [
        (" in (", "In"),
        (" notin (", "NotIn"),
        (" > ", "Gt"),
        (" < ", "Lt"),
        ("=", "="),
    ] {
        if let Some((key, rest)) = part.split_once(mark) {
            return (key.into(), operator.into(), values(rest));
        }
    }
    match part.strip_prefix('!') {
        Some(key) => (key.into(), "DoesNotExist".into(), Vec::new()),
        None => (part.into(), "Exists".into(), Vec::new()),
    }
}

/// A node selector term, written as [`selector`]; `@` before a key means the
/// node's field.
pub fn node_term(text: &str) -> core::NodeSelectorTerm {
    let mut term = core::NodeSelectorTerm::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (key, operator, values) = requirement(part);
        let field = key.strip_prefix('@').map(str::to_owned);
        let list = match field {
            Some(_) => &mut term.match_fields,
            None => &mut term.match_expressions,
        };
        list.get_or_insert_default()
            .push(core::NodeSelectorRequirement {
                key: field.unwrap_or(key),
                operator: if operator == "=" {
                    "In".into()
                } else {
                    operator
                },
                values: Some(values),
            });
    }
    term
}

/// A term of pod affinity.
pub fn term(selector_text: &str, topology_key: &str) -> core::PodAffinityTerm {
    core::PodAffinityTerm {
        label_selector: selector(selector_text),
        topology_key: topology_key.into(),
        ..Default::default()
    }
}

impl PodBuilder {
    /// The pod.
    pub fn build(self) -> core::Pod {
        self.0
    }

    /// Changes the pod at will.
    pub fn with(mut self, change: impl FnOnce(&mut core::Pod)) -> Self {
        change(&mut self.0);
        self
    }

    /// Changes the spec at will.
    pub fn spec(self, change: impl FnOnce(&mut core::PodSpec)) -> Self {
        self.with(|pod| change(pod.spec.get_or_insert_default()))
    }

    pub fn namespace(self, namespace: &str) -> Self {
        self.with(|pod| pod.metadata.namespace = Some(namespace.into()))
    }

    pub fn label(self, key: &str, value: &str) -> Self {
        self.with(|pod| {
            let labels = pod.metadata.labels.get_or_insert_default();
            labels.insert(key.into(), value.into());
        })
    }

    pub fn node(self, name: &str) -> Self {
        self.spec(|spec| spec.node_name = Some(name.into()))
    }

    pub fn container(self, requests: &str) -> Self {
        self.spec(|spec| {
            let container = core::Container {
                name: format!("c{}", spec.containers.len()),
                resources: Some(resources(requests)),
                ..Default::default()
            };
            spec.containers.push(container);
        })
    }

    pub fn image(self, image: &str) -> Self {
        self.container("").spec(|spec| {
            if let Some(container) = spec.containers.last_mut() {
                container.image = Some(image.into());
            }
        })
    }

    pub fn init(self, requests: &str) -> Self {
        self.init_container(requests, None)
    }

    pub fn sidecar(self, requests: &str) -> Self {
        self.init_container(requests, Some("Always".into()))
    }

    fn init_container(self, requests: &str, restart_policy: Option<String>) -> Self {
        self.spec(|spec| {
            let containers = spec.init_containers.get_or_insert_default();
            containers.push(core::Container {
                name: format!("i{}", containers.len()),
                resources: Some(resources(requests)),
                restart_policy,
                ..Default::default()
            });
        })
    }

    pub fn overhead(self, amounts: &str) -> Self {
        self.spec(|spec| spec.overhead = Some(list(amounts)))
    }

    pub fn pod_level(self, requests: &str) -> Self {
        self.spec(|spec| spec.resources = Some(resources(requests)))
    }

    pub fn priority(self, priority: i32) -> Self {
        self.spec(|spec| spec.priority = Some(priority))
    }

    pub fn gate(self, name: &str) -> Self {
        self.spec(|spec| {
            let gates = spec.scheduling_gates.get_or_insert_default();
            gates.push(core::PodSchedulingGate { name: name.into() });
        })
    }

    pub fn claim(self, name: &str) -> Self {
        self.spec(|spec| {
            let claim = core::PersistentVolumeClaimVolumeSource {
                claim_name: name.into(),
                ..Default::default()
            };
            spec.volumes.get_or_insert_default().push(core::Volume {
                name: name.into(),
                persistent_volume_claim: Some(claim),
                ..Default::default()
            });
        })
    }

    /// A host port, as `[ip:]port[/protocol]`.
    pub fn host_port(self, ip: &str, protocol: &str, port: i32) -> Self {
        self.container("").spec(|spec| {
            let Some(container) = spec.containers.last_mut() else {
                return;
            };
            container.ports = Some(vec![core::ContainerPort {
                container_port: port,
                host_port: Some(port),
                host_ip: Some(ip.into()),
                protocol: Some(protocol.into()),
                name: None,
            }]);
        })
    }

    pub fn node_selector(self, key: &str, value: &str) -> Self {
        self.spec(|spec| {
            let selector = spec.node_selector.get_or_insert_default();
            selector.insert(key.into(), value.into());
        })
    }

    /// Adds a required node selector term.
    pub fn node_affinity(self, text: &str) -> Self {
        self.spec(|spec| {
            let affinity = spec.affinity.get_or_insert_default();
            let node = affinity.node_affinity.get_or_insert_default();
            let required = &mut node.required_during_scheduling_ignored_during_execution;
            let required = required.get_or_insert_default();
            required.node_selector_terms.push(node_term(text));
        })
    }

    pub fn preferred_node(self, weight: i32, text: &str) -> Self {
        self.spec(|spec| {
            let affinity = spec.affinity.get_or_insert_default();
            let node = affinity.node_affinity.get_or_insert_default();
            let preferred = &mut node.preferred_during_scheduling_ignored_during_execution;
            let preferred = preferred.get_or_insert_default();
            preferred.push(core::PreferredSchedulingTerm {
                preference: node_term(text),
                weight,
            });
        })
    }

    pub fn toleration(self, key: &str, operator: &str, value: &str, effect: &str) -> Self {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.spec(|spec| {
            let tolerations = spec.tolerations.get_or_insert_default();
            tolerations.push(core::Toleration {
                key: some(key),
                operator: some(operator),
                value: some(value),
                effect: some(effect),
                toleration_seconds: None,
            });
        })
    }

    pub fn near(self, term: core::PodAffinityTerm) -> Self {
        self.spec(|spec| {
            let affinity = spec.affinity.get_or_insert_default();
            let pods = affinity.pod_affinity.get_or_insert_default();
            let terms = &mut pods.required_during_scheduling_ignored_during_execution;
            terms.get_or_insert_default().push(term);
        })
    }

    pub fn far(self, term: core::PodAffinityTerm) -> Self {
        self.spec(|spec| {
            let affinity = spec.affinity.get_or_insert_default();
            let pods = affinity.pod_anti_affinity.get_or_insert_default();
            let terms = &mut pods.required_during_scheduling_ignored_during_execution;
            terms.get_or_insert_default().push(term);
        })
    }

    /// A preference; a negative weight is one of anti-affinity.
    pub fn preferred(self, weight: i32, pod_affinity_term: core::PodAffinityTerm) -> Self {
        let term = core::WeightedPodAffinityTerm {
            pod_affinity_term,
            weight: weight.abs(),
        };
        self.spec(|spec| {
            let affinity = spec.affinity.get_or_insert_default();
            let terms = if weight > 0 {
                let pods = affinity.pod_affinity.get_or_insert_default();
                &mut pods.preferred_during_scheduling_ignored_during_execution
            } else {
                let pods = affinity.pod_anti_affinity.get_or_insert_default();
                &mut pods.preferred_during_scheduling_ignored_during_execution
            };
            terms.get_or_insert_default().push(term);
        })
    }

    /// A spread constraint.
    pub fn spread(self, max_skew: i32, key: &str, hard: bool, selector_text: &str) -> Self {
        self.spread_with(max_skew, key, hard, selector_text, |_| {})
    }

    pub fn spread_with(
        self,
        max_skew: i32,
        key: &str,
        hard: bool,
        selector_text: &str,
        change: impl FnOnce(&mut core::TopologySpreadConstraint),
    ) -> Self {
        let when = if hard {
            "DoNotSchedule"
        } else {
            "ScheduleAnyway"
        };
        let mut constraint = core::TopologySpreadConstraint {
            label_selector: selector(selector_text),
            max_skew,
            topology_key: key.into(),
            when_unsatisfiable: when.into(),
            ..Default::default()
        };
        change(&mut constraint);
        self.spec(|spec| {
            let constraints = spec.topology_spread_constraints.get_or_insert_default();
            constraints.push(constraint);
        })
    }

    pub fn owner(self, kind: &str, name: &str) -> Self {
        self.with(|pod| {
            let owners = pod.metadata.owner_references.get_or_insert_default();
            owners.push(OwnerReference {
                api_version: "apps/v1".into(),
                kind: kind.into(),
                name: name.into(),
                controller: Some(true),
                ..Default::default()
            });
        })
    }

    pub fn terminating(self) -> Self {
        let time = typed::Time(stdx::Timestamp::UNIX_EPOCH);
        self.with(|pod| pod.metadata.deletion_timestamp = Some(time))
    }
}

impl NodeBuilder {
    /// The node.
    pub fn build(self) -> core::Node {
        self.0
    }

    /// Changes the node at will.
    pub fn with(mut self, change: impl FnOnce(&mut core::Node)) -> Self {
        change(&mut self.0);
        self
    }

    pub fn label(self, key: &str, value: &str) -> Self {
        self.with(|node| {
            let labels = node.metadata.labels.get_or_insert_default();
            labels.insert(key.into(), value.into());
        })
    }

    /// Several labels, as `a=1,b=2`.
    pub fn labels(self, text: &str) -> Self {
        let parts = text.split(',').filter_map(|part| part.split_once('='));
        parts.fold(self, |node, (key, value)| node.label(key, value))
    }

    /// Replaces what can be allocated.
    pub fn allocatable(self, amounts: &str) -> Self {
        self.with(|node| {
            node.status.get_or_insert_default().allocatable = Some(list(amounts));
        })
    }

    pub fn taint(self, key: &str, value: &str, effect: &str) -> Self {
        self.with(|node| {
            let taints = &mut node.spec.get_or_insert_default().taints;
            taints.get_or_insert_default().push(core::Taint {
                key: key.into(),
                value: Some(value.into()),
                effect: effect.into(),
                time_added: None,
            });
        })
    }

    pub fn unschedulable(self) -> Self {
        self.with(|node| node.spec.get_or_insert_default().unschedulable = Some(true))
    }

    pub fn image(self, names: &[&str], size: i64) -> Self {
        self.with(|node| {
            let images = &mut node.status.get_or_insert_default().images;
            images.get_or_insert_default().push(core::ContainerImage {
                names: Some(names.iter().map(ToString::to_string).collect()),
                size_bytes: Some(size),
            });
        })
    }
}
