//! What an object uses of a quota, and which quotas it is counted in: pods and
//! services have words of their own, everything else is counted. Follows
//! pkg/quota/v1/evaluator/core and
//! staging/src/k8s.io/apiserver/pkg/quota/v1/generic.

use crate::core::pod::amounts::{self, Amounts};
use crate::core::pod::qos;
use jiff::{SignedDuration, Timestamp};
use meta::object::Object as _;
use meta::{GroupResource, Quantity, Value, time};

/// What comes and goes in great numbers and is nobody's to limit.
const IGNORED: [(&str, &str); 2] = [("", "events"), ("events.k8s.io", "events")];

/// What each container must say when a quota is about it.
const MUST_SAY: [&str; 6] = [
    "cpu",
    "limits.cpu",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.memory",
];

const OF_PODS: [&str; 10] = [
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "pods",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

const OF_SERVICES: [&str; 3] = ["services", "services.loadbalancers", "services.nodeports"];

/// What has a plain name for its count.
const NAMED: [&str; 5] = [
    "configmaps",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
];

/// Whether quotas count objects of this resource at all.
pub fn is_counted(group: &str, resource: &str) -> bool {
    !IGNORED.contains(&(group, resource))
}

/// `count/pods`, `count/deployments.apps`
pub fn count_name(group: &str, resource: &str) -> String {
    format!("count/{}", GroupResource::new(group, resource))
}

/// Whether what a quota names so is used by objects of this resource.
pub fn concerns(group: &str, resource: &str, name: &str) -> bool {
    if name.strip_prefix("count/").is_some() {
        return name == count_name(group, resource);
    }
    match (group, resource) {
        ("", "pods") => OF_PODS.contains(&name) || is_pods_own(name),
        ("", "services") => OF_SERVICES.contains(&name),
        ("", resource) => NAMED.contains(&name) && name == resource,
        _ => false,
    }
}

/// The resource whose objects use what a quota names so.
pub fn resource_of(name: &str) -> Option<GroupResource> {
    if let Some(counted) = name.strip_prefix("count/") {
        let (resource, group) = counted.split_once('.').unwrap_or((counted, ""));
        return Some(GroupResource::new(group, resource));
    }
    let resources = ["pods", "services"].into_iter().chain(NAMED);
    let mut resources = resources.filter(|resource| concerns("", resource, name));
    resources
        .next()
        .map(|resource| GroupResource::new("", resource))
}

/// Huge pages and what has a domain.
fn is_pods_own(name: &str) -> bool {
    let asked = name.strip_prefix("requests.");
    name.starts_with("hugepages-")
        || asked.is_some_and(|name| name.starts_with("hugepages-") || is_extended(name))
}

fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.")
}

/// What an object uses.
pub fn usage(group: &str, resource: &str, object: &Value, now: Timestamp) -> Amounts {
    let mut usage = Amounts::new();
    usage.insert(count_name(group, resource), Quantity::from_units(1));
    match (group, resource) {
        ("", "pods") if is_at_work(object, now) => {
            let (requests, limits) = (amounts::requests(object), amounts::limits(object));
            usage.extend(of_compute(&requests, &limits));
        }
        ("", "services") => usage.extend(of_service(object)),
        ("", resource) if NAMED.contains(&resource) => {
            usage.insert(resource.into(), Quantity::from_units(1));
        }
        _ => {}
    }
    usage
}

/// A pod that has ended, or whose grace is over, needs nothing any more.
fn is_at_work(pod: &Value, now: Timestamp) -> bool {
    let ended = matches!(pod.str_at(&["status", "phase"]), "Failed" | "Succeeded");
    let deleted = time::parse(pod.meta_str("deletionTimestamp"));
    let grace = pod.i64_at(&["metadata", "deletionGracePeriodSeconds"]);
    let overdue = match (deleted, grace) {
        (Some(at), Some(grace)) => now > at + SignedDuration::from_secs(grace),
        _ => false,
    };
    !ended && !overdue
}

/// Requests and limits under the names that quotas have for them.
fn of_compute(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut usage = Amounts::from([("pods".to_string(), Quantity::from_units(1))]);
    for (name, request) in requests {
        let plain = matches!(&**name, "cpu" | "memory" | "ephemeral-storage")
            || name.starts_with("hugepages-");
        if plain {
            usage.insert(name.clone(), *request);
        }
        if plain || is_extended(name) {
            usage.insert(format!("requests.{name}"), *request);
        }
    }
    for (name, limit) in limits {
        if matches!(&**name, "cpu" | "memory" | "ephemeral-storage") {
            usage.insert(format!("limits.{name}"), *limit);
        }
    }
    usage
}

fn of_service(service: &Value) -> Amounts {
    let ports = service.items_at(&["spec", "ports"]);
    let with_node_port = |port: &&Value| port.i64_at(&["nodePort"]).unwrap_or(0) != 0;
    let allocates = service.at(&["spec", "allocateLoadBalancerNodePorts"]);
    let allocates = allocates.and_then(Value::as_bool).unwrap_or(true);
    let (balancers, node_ports) = match service.str_at(&["spec", "type"]) {
        "NodePort" => (0, ports.len()),
        "LoadBalancer" if allocates => (1, ports.len()),
        "LoadBalancer" => (1, ports.iter().filter(with_node_port).count()),
        _ => (0, 0),
    };
    let count = |count: usize| Quantity::from_units(i64::try_from(count).unwrap_or(i64::MAX));
    Amounts::from([
        ("services".into(), count(1)),
        ("services.loadbalancers".into(), count(balancers)),
        ("services.nodeports".into(), count(node_ports)),
    ])
}

/// What a pod's containers must say and do not, given what a quota is about.
pub fn unsaid<'a>(pod: &Value, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut parts = Vec::new();
    let mut names: Vec<&str> = names.filter(|name| MUST_SAY.contains(name)).collect();
    names.sort_unstable();
    for name in names {
        let lists = ["containers", "initContainers"];
        let containers = lists.iter().flat_map(|list| pod.items_at(&["spec", list]));
        let mut silent: Vec<&str> = containers
            .filter(|container| !says(container, name))
            .map(|container| container.str_at(&["name"]))
            .collect();
        silent.sort_unstable();
        silent.dedup();
        if !silent.is_empty() {
            parts.push(format!("{name} for: {}", silent.join(",")));
        }
    }
    (!parts.is_empty()).then(|| format!("must specify {}", parts.join("; ")))
}

fn says(container: &Value, name: &str) -> bool {
    let requests = amounts::of_container(container, "requests");
    let limits = amounts::of_container(container, "limits");
    of_compute(&requests, &limits).contains_key(name)
}

/// Whether a quota's scopes mean an object.
pub fn is_in_scope(group: &str, resource: &str, quota: &Value, object: &Value) -> bool {
    let is_pod = (group, resource) == ("", "pods");
    let plain = quota.items_at(&["spec", "scopes"]).iter();
    let mut plain = plain.filter_map(Value::as_str);
    let mut chosen = quota
        .items_at(&["spec", "scopeSelector", "matchExpressions"])
        .iter();
    plain.all(|scope| is_pod && is_pod_in(scope, None, object))
        && chosen.all(|r| is_pod && is_pod_in(r.str_at(&["scopeName"]), Some(r), object))
}

fn is_pod_in(scope: &str, requirement: Option<&Value>, pod: &Value) -> bool {
    let deadline = pod.i64_at(&["spec", "activeDeadlineSeconds"]);
    let terminating = deadline.is_some_and(|seconds| seconds >= 0);
    let best_effort = qos::class(pod) == "BestEffort";
    match scope {
        "Terminating" => terminating,
        "NotTerminating" => !terminating,
        "BestEffort" => best_effort,
        "NotBestEffort" => !best_effort,
        "PriorityClass" => has_class(requirement, pod.str_at(&["spec", "priorityClassName"])),
        "CrossNamespacePodAffinity" => reaches_other_namespaces(pod),
        _ => false,
    }
}

fn has_class(requirement: Option<&Value>, class: &str) -> bool {
    let operator = requirement.map_or("Exists", |r| r.str_at(&["operator"]));
    let values = requirement.map_or(&[][..], |r| r.items_at(&["values"]));
    let listed = values.iter().any(|value| value.as_str() == Some(class));
    match operator {
        "In" => !class.is_empty() && listed,
        "NotIn" => class.is_empty() || !listed,
        "Exists" => !class.is_empty(),
        "DoesNotExist" => class.is_empty(),
        _ => false,
    }
}

fn reaches_other_namespaces(pod: &Value) -> bool {
    let reaches = |term: &Value| {
        !term.items_at(&["namespaces"]).is_empty() || term.get("namespaceSelector").is_some()
    };
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let at = |list| pod.items_at(&["spec", "affinity", kind, list]);
        let required = at("requiredDuringSchedulingIgnoredDuringExecution");
        let preferred = at("preferredDuringSchedulingIgnoredDuringExecution");
        let preferred = preferred.iter().filter_map(|p| p.get("podAffinityTerm"));
        required.iter().chain(preferred).any(reaches)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    fn shown(resource: &str, object: Value) -> String {
        amounts::write(&usage("", resource, &object, Timestamp::UNIX_EPOCH)).to_json()
    }

    #[test]
    fn objects_use_what_quotas_name() {
        let pod = value!({"spec": {"containers": [{"resources": {
            "requests": {"cpu": "1", "example.com/gpu": "2"}, "limits": {"memory": "1Gi"},
        }}]}});
        assert_eq!(
            shown("pods", pod.clone()),
            r#"{"count/pods":"1","cpu":"1","limits.memory":"1Gi","pods":"1","requests.cpu":"1","requests.example.com/gpu":"2"}"#
        );
        let mut ended = pod;
        ended.set_at(&["status", "phase"], "Failed");
        assert_eq!(shown("pods", ended), r#"{"count/pods":"1"}"#);
        let service = value!({"spec": {"type": "LoadBalancer", "ports": [{}, {"nodePort": 5}]}});
        assert_eq!(
            shown("services", service.clone()),
            r#"{"count/services":"1","services":"1","services.loadbalancers":"1","services.nodeports":"2"}"#
        );
        let mut few = service;
        few.set_at(&["spec", "allocateLoadBalancerNodePorts"], false);
        assert!(shown("services", few).ends_with(r#""services.nodeports":"1"}"#));
        assert_eq!(
            shown("secrets", value!({})),
            r#"{"count/secrets":"1","secrets":"1"}"#
        );
        assert_eq!(shown("leases", value!({})), r#"{"count/leases":"1"}"#);
    }

    #[test]
    fn names_lead_to_resources() {
        for (name, resource) in [
            ("pods", "pods"),
            ("requests.cpu", "pods"),
            ("requests.example.com/gpu", "pods"),
            ("services.nodeports", "services"),
            ("secrets", "secrets"),
            ("count/deployments.apps", "deployments.apps"),
            ("count/pods", "pods"),
            ("unknown", ""),
        ] {
            let found = resource_of(name).map(|found| found.to_string());
            assert_eq!(found.unwrap_or_default(), resource, "{name}");
        }
        assert!(!concerns("apps", "pods", "pods"));
    }

    #[test]
    fn scopes_mean_some_pods() {
        let check = |scope: Value, pod: Value, wanted: bool| {
            let mut quota =
                value!({"spec": {"scopeSelector": {"matchExpressions": [scope.clone()]}}});
            if let Some(name) = scope.as_str() {
                quota = value!({"spec": {"scopes": [name]}});
            }
            assert_eq!(
                is_in_scope("", "pods", &quota, &pod),
                wanted,
                "{scope} {pod}"
            );
            assert!(!is_in_scope("", "secrets", &quota, &pod));
        };
        let busy = value!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}]}});
        check("BestEffort".into(), value!({}), true);
        check("NotBestEffort".into(), busy.clone(), true);
        check("BestEffort".into(), busy.clone(), false);
        check(
            "Terminating".into(),
            value!({"spec": {"activeDeadlineSeconds": 5}}),
            true,
        );
        check("NotTerminating".into(), busy, true);
        let among = value!({"scopeName": "PriorityClass", "operator": "In", "values": ["high"]});
        check(
            among.clone(),
            value!({"spec": {"priorityClassName": "high"}}),
            true,
        );
        check(among, value!({"spec": {"priorityClassName": "low"}}), false);
        let abroad = value!({"spec": {"affinity": {"podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["x"]}],
        }}}});
        check("CrossNamespacePodAffinity".into(), abroad, true);
    }

    #[test]
    fn containers_must_say_what_is_limited() {
        let pod = value!({"spec": {
            "containers": [{"name": "b"}, {"name": "a", "resources": {"requests": {"cpu": "1"}}}],
            "initContainers": [{"name": "i"}],
        }});
        let why = unsaid(&pod, ["requests.cpu", "limits.memory", "pods"].into_iter());
        assert_eq!(
            why.unwrap_or_default(),
            "must specify limits.memory for: a,b,i; requests.cpu for: b,i"
        );
        assert_eq!(unsaid(&pod, ["pods"].into_iter()), None);
    }
}
