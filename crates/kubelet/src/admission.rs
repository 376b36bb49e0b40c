//! Whether the node takes a pod that was given to it.
//!
//! The scheduler decides on what it knows; the node decides again on what is
//! so. Follows pkg/kubelet/lifecycle/predicate.go and
//! component-helpers/scheduling/corev1/nodeaffinity.

use std::collections::BTreeMap;
use std::sync::Arc;

use meta::Quantity;
use typed::Typed;
use typed::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, Pod};

use crate::pod::{containers, spec, unsupported};
use crate::resources::{Amounts, add, pod_requests};
use crate::status::Failure;

/// From this priority on a pod is critical to the cluster.
const SYSTEM_CRITICAL: i32 = 2_000_000_000;

/// Why a pod is rejected whose selectors are not those of the node.
pub(crate) const NODE_AFFINITY: &str = "NodeAffinity";

/// Whether the node or the cluster cannot do without the pod.
pub fn is_critical(pod: &Pod) -> bool {
    spec(pod)
        .priority
        .is_some_and(|priority| priority >= SYSTEM_CRITICAL)
}

/// Decides. `others` are the pods that the node has taken; `forbidden_sysctl`
/// is what the sysctl check said.
pub fn admit(
    pod: &Pod,
    others: &[Arc<Pod>],
    node: &Node,
    allocatable: &Amounts,
    forbidden_sysctl: Option<String>,
) -> Result<(), Failure> {
    if let Some(message) = unsupported(pod) {
        return Err(reject("UnsupportedPod", &message));
    }
    if wants_app_armor(pod) {
        return Err(reject(
            "AppArmor",
            "Cannot enforce AppArmor: AppArmor is not enabled on the host",
        ));
    }
    if let Some(message) = forbidden_sysctl {
        return Err(reject("SysctlForbidden", &message));
    }
    let labels = node.labels();
    if let Some(os) = spec(pod).os.as_ref().filter(|os| os.name != "linux") {
        let message = format!(
            "Failed to admit pod as the OS field doesn't match node OS: {}",
            os.name
        );
        return Err(reject("PodOSNotSupported", &message));
    }
    let others: Vec<&Arc<Pod>> = others
        .iter()
        .filter(|other| other.uid() != pod.uid())
        .collect();
    fits(pod, &others, allocatable)?;
    if !affine(pod, labels, node.name()) {
        return Err(reject(
            NODE_AFFINITY,
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        ));
    }
    let named = spec(pod).node_name.as_deref().unwrap_or_default();
    if !named.is_empty() && named != node.name() {
        return Err(reject(
            "NodeName",
            "Predicate NodeName failed: node(s) didn't match the requested node name",
        ));
    }
    if ports_taken(pod, &others) {
        return Err(reject(
            "NodePorts",
            "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
        ));
    }
    tolerates(pod, node)
}

/// Whether a pod asks for a profile that nothing here would enforce.
///
/// Follows pkg/security/apparmor/validate.go.
fn wants_app_armor(pod: &Pod) -> bool {
    let of_pod = spec(pod).security_context.as_ref();
    let of_pod = of_pod.and_then(|context| context.app_armor_profile.as_ref());
    containers(pod).any(|(_, container)| {
        let own = container.security_context.as_ref();
        let own = own.and_then(|context| context.app_armor_profile.as_ref());
        own.or(of_pod)
            .is_some_and(|profile| profile.type_ != "Unconfined")
    })
}

fn reject(reason: &str, message: &str) -> Failure {
    Failure::new(reason, format!("Pod was rejected: {message}"))
}

/// Whether there is room for the pod beside the others.
fn fits(pod: &Pod, others: &[&Arc<Pod>], allocatable: &Amounts) -> Result<(), Failure> {
    let limit = |name: &str| allocatable.get(name).copied().unwrap_or_default();
    let pods = limit("pods").value();
    let count = i64::try_from(others.len()).unwrap_or(i64::MAX);
    if pods > 0 && count + 1 > pods {
        return Err(out_of("pods", 1, count, pods));
    }
    let mut used = Amounts::new();
    others
        .iter()
        .for_each(|other| add(&mut used, &pod_requests(other)));
    for (name, wish) in pod_requests(pod) {
        if wish.is_zero() {
            continue;
        }
        let taken = used.get(&name).copied().unwrap_or_default();
        if taken + wish > limit(&name) {
            let count = |quantity: Quantity| match name.as_str() {
                "cpu" => quantity.milli_value(),
                _ => quantity.value(),
            };
            return Err(out_of(
                &name,
                count(wish),
                count(taken),
                count(limit(&name)),
            ));
        }
    }
    Ok(())
}

fn out_of(name: &str, wish: i64, used: i64, capacity: i64) -> Failure {
    reject(
        &format!("OutOf{name}"),
        &format!(
            "Node didn't have enough resource: {name}, requested: {wish}, used: {used}, capacity: {capacity}"
        ),
    )
}

type Labels = BTreeMap<String, String>;

fn affine(pod: &Pod, labels: &Labels, node_name: &str) -> bool {
    let spec = spec(pod);
    let selected = spec
        .node_selector
        .iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value));
    let required = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| {
            affinity
                .required_during_scheduling_ignored_during_execution
                .as_ref()
        });
    selected
        && required.is_none_or(|selector| {
            selector
                .node_selector_terms
                .iter()
                .any(|term| term_matches(term, labels, node_name))
        })
}

fn term_matches(term: &NodeSelectorTerm, labels: &Labels, node_name: &str) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let name = Labels::from([("metadata.name".to_owned(), node_name.to_owned())]);
    expressions.iter().all(|e| requirement_matches(e, labels))
        && fields.iter().all(|field| requirement_matches(field, &name))
}

fn requirement_matches(requirement: &NodeSelectorRequirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    let values = requirement.values.as_deref().unwrap_or_default();
    let listed = value.is_some_and(|value| values.contains(value));
    let compare = |above: bool| {
        let have = value.and_then(|value| value.parse::<i64>().ok());
        let want = values.first().and_then(|value| value.parse::<i64>().ok());
        matches!((have, want), (Some(have), Some(want)) if if above { have > want } else { have < want })
    };
    match requirement.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compare(true),
        "Lt" => compare(false),
        _ => false,
    }
}

/// Ports of the node that a pod wants: protocol, address, port.
fn host_ports(pod: &Pod) -> Vec<(String, String, i32)> {
    let mut ports = Vec::new();
    for (_, container) in containers(pod) {
        for port in container.ports.iter().flatten() {
            let number = port.host_port.unwrap_or(0);
            if number > 0 {
                let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
                let address = port.host_ip.clone().unwrap_or_default();
                ports.push((protocol, address, number));
            }
        }
    }
    ports
}

fn ports_taken(pod: &Pod, others: &[&Arc<Pod>]) -> bool {
    let wished = host_ports(pod);
    if wished.is_empty() {
        return false;
    }
    let any = |address: &str| matches!(address, "" | "0.0.0.0" | "::");
    let taken: Vec<_> = others.iter().flat_map(|other| host_ports(other)).collect();
    wished.iter().any(|(protocol, address, port)| {
        taken.iter().any(|(its_protocol, its_address, its_port)| {
            protocol == its_protocol
                && port == its_port
                && (address == its_address || any(address) || any(its_address))
        })
    })
}

/// Pods that do not tolerate an eviction taint would be evicted at once.
fn tolerates(pod: &Pod, node: &Node) -> Result<(), Failure> {
    let taints = node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten())
        .filter(|taint| taint.effect == "NoExecute");
    for taint in taints {
        let tolerated = spec(pod).tolerations.iter().flatten().any(|toleration| {
            let effect = toleration.effect.as_deref().unwrap_or_default();
            let key = toleration.key.as_deref().unwrap_or_default();
            let exists = toleration.operator.as_deref() == Some("Exists");
            let same_value = toleration.value.as_deref().unwrap_or_default()
                == taint.value.as_deref().unwrap_or_default();
            (effect.is_empty() || effect == taint.effect)
                && (key == taint.key || (key.is_empty() && exists))
                && (exists || same_value)
        });
        if !tolerated {
            return Err(reject(
                "TaintToleration",
                "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod_named;
    use serde_json::{Value, json};
    use typed::Wire;

    fn check(spec: Value, others: &[Value]) -> String {
        let node = json!({"metadata": {"name": "node1", "labels": {"disk": "ssd"}},
            "spec": {"taints": [{"key": "bad", "effect": "NoExecute"}]}});
        let node = Node::decode(node.to_string().as_bytes()).unwrap();
        let amount = |text: &str| text.parse::<Quantity>().unwrap();
        let allocatable = Amounts::from([
            ("cpu".to_owned(), amount("2")),
            ("memory".to_owned(), amount("4Gi")),
            ("pods".to_owned(), amount("3")),
        ]);
        let tolerant = |mut spec: Value| {
            spec["tolerations"] = json!([{"operator": "Exists"}]);
            spec
        };
        let others: Vec<Arc<Pod>> = others
            .iter()
            .enumerate()
            .map(|(i, spec)| Arc::new(pod_named(&format!("o{i}"), spec.clone())))
            .collect();
        let spec = if spec.get("tolerations").is_none() {
            tolerant(spec)
        } else {
            spec
        };
        match admit(&pod_named("web", spec), &others, &node, &allocatable, None) {
            Ok(()) => "ok".to_owned(),
            Err(failure) => format!("{}: {}", failure.reason, failure.message),
        }
    }

    fn cpu(amount: &str) -> Value {
        json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": amount}}}]})
    }

    #[test]
    fn room() {
        assert_eq!(check(cpu("1"), &[cpu("1")]), "ok");
        assert_eq!(
            check(cpu("1500m"), &[cpu("1")]),
            "OutOfcpu: Pod was rejected: Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000"
        );
        let full = [json!({}), json!({}), json!({})];
        assert!(check(json!({}), &full).starts_with("OutOfpods: "));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let profile = |kind: &str| json!({"containers": [{"name": "a"}], "securityContext": {"appArmorProfile": {"type": kind}}});
        assert_eq!(check(profile("Unconfined"), &[]), "ok");
        assert_eq!(
            check(profile("RuntimeDefault"), &[]),
            "AppArmor: Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host"
        );
        assert_eq!(
            check(json!({"hostUsers": false}), &[]),
            "UnsupportedPod: Pod was rejected: hostUsers: false is not supported by this node"
        );
    }

    #[test]
    fn selectors_ports_and_taints() {
        assert_eq!(check(json!({"nodeSelector": {"disk": "ssd"}}), &[]), "ok");
        assert!(check(json!({"nodeSelector": {"disk": "hdd"}}), &[]).starts_with("NodeAffinity: "));
        let port = json!({"containers": [{"name": "a", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
        assert!(check(port.clone(), std::slice::from_ref(&port)).starts_with("NodePorts: "));
        assert_eq!(check(port, &[]), "ok");
        assert!(check(json!({"tolerations": []}), &[]).starts_with("TaintToleration: "));
    }
}
