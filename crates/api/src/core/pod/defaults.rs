//! What a pod is when its author does not say. Follows
//! pkg/apis/core/v1/defaults.go and the conversions beside it.

use crate::fill::{self, items, part};
use meta::Value;

/// Fills in a pod.
pub(super) fn pod(pod: &mut Value) {
    let spec = pod.make_object().entry("spec");
    template_spec(spec);
    for list in ["containers", "initContainers"] {
        for container in items(spec, list) {
            request_the_limits(container);
        }
    }
    fill::absent(spec, "enableServiceLinks", true);
    if spec.is_true_at(&["hostNetwork"]) {
        for list in ["containers", "initContainers"] {
            items(spec, list).for_each(take_host_ports);
        }
    }
    if let Some(status) = part(pod, "status") {
        agree_on_ips(status);
    }
}

/// Fills in a pod's spec, in a pod or in a template of one.
pub(crate) fn template_spec(spec: &mut Value) {
    fill::empty(spec, "dnsPolicy", "ClusterFirst");
    fill::empty(spec, "restartPolicy", "Always");
    fill::absent(spec, "securityContext", Value::object());
    fill::absent(spec, "terminationGracePeriodSeconds", 30);
    fill::empty(spec, "schedulerName", "default-scheduler");
    agree_on_service_account(spec);
    fill::round_to_milli(spec.get_mut("overhead"));
    items(spec, "volumes").for_each(volume);
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        items(spec, list).for_each(container);
    }
}

/// `serviceAccount` is the older name; the newer wins.
fn agree_on_service_account(spec: &mut Value) {
    let name = match spec.str_at(&["serviceAccountName"]) {
        "" => spec.str_at(&["serviceAccount"]).to_string(),
        name => name.to_string(),
    };
    if name.is_empty() {
        return;
    }
    let spec = spec.make_object();
    spec.insert("serviceAccountName", name.as_str());
    spec.insert("serviceAccount", name);
}

/// `podIP` is the older name of the first of `podIPs`; where they differ, an
/// older kubelet has written the older.
fn agree_on_ips(status: &mut Value) {
    let first = status.items_at(&["podIPs"]).first();
    let first = first.map_or("", |ip| ip.str_at(&["ip"])).to_string();
    let one = status.str_at(&["podIP"]).to_string();
    if one.is_empty() && !first.is_empty() {
        status.make_object().insert("podIP", first);
    } else if !one.is_empty() && one != first {
        let ip = meta::value!({ "ip": one });
        status.make_object().insert("podIPs", vec![ip]);
    }
}

fn container(container: &mut Value) {
    let policy = pull_policy(container.str_at(&["image"]));
    fill::empty(container, "imagePullPolicy", policy);
    fill::empty(container, "terminationMessagePath", "/dev/termination-log");
    fill::empty(container, "terminationMessagePolicy", "File");
    fill::absent(container, "resources", Value::object());
    for list in ["limits", "requests"] {
        fill::round_to_milli(container.at_mut(&["resources", list]));
    }
    for port in items(container, "ports") {
        fill::empty(port, "protocol", "TCP");
    }
    for variable in items(container, "env") {
        if let Some(from) = part(variable, "valueFrom") {
            references(from);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = part(container, name) {
            fill_probe(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(handler) = container.at_mut(&["lifecycle", hook]) {
            fill_handler(handler);
        }
    }
}

/// `Always` for what moves, which is `latest`, said or meant.
fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    let moves = match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => digest.is_none() && is_image_name(name),
    };
    if moves { "Always" } else { "IfNotPresent" }
}

/// Upstream takes what it cannot parse for no tag at all.
fn is_image_name(name: &str) -> bool {
    let path = name.split_once('/').map_or(name, |(_, path)| path);
    !name.is_empty()
        && !path.is_empty()
        && !path.bytes().any(|b| b.is_ascii_uppercase() || b == b' ')
}

fn fill_probe(probe: &mut Value) {
    for (key, value) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        fill::empty(probe, key, value);
    }
    if let Some(grpc) = part(probe, "grpc") {
        fill::absent(grpc, "service", "");
    }
    fill_handler(probe);
}

fn fill_handler(handler: &mut Value) {
    if let Some(get) = part(handler, "httpGet") {
        fill::empty(get, "path", "/");
        fill::empty(get, "scheme", "HTTP");
    }
}

/// References to the pod's own fields and to its resources.
fn references(from: &mut Value) {
    if let Some(field) = part(from, "fieldRef") {
        fill::empty(field, "apiVersion", "v1");
    }
    if let Some(resource) = part(from, "resourceFieldRef") {
        fill::empty(resource, "divisor", "0");
    }
}

fn volume(volume: &mut Value) {
    let sources = volume.as_object().map_or(0, |v| {
        v.iter()
            .filter(|(k, v)| *k != "name" && !v.is_null())
            .count()
    });
    if sources == 0 {
        fill::absent(volume, "emptyDir", Value::object());
    }
    for name in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = part(volume, name) {
            fill::absent(source, "defaultMode", 0o644);
        }
    }
    if let Some(source) = part(volume, "hostPath") {
        fill::absent(source, "type", "");
    }
    if let Some(source) = part(volume, "image") {
        let policy = pull_policy(source.str_at(&["reference"]));
        fill::empty(source, "pullPolicy", policy);
    }
    if let Some(source) = part(volume, "downwardAPI") {
        items(source, "items").for_each(references);
    }
    let Some(projected) = part(volume, "projected") else {
        return;
    };
    for projection in items(projected, "sources") {
        if let Some(token) = part(projection, "serviceAccountToken") {
            fill::absent(token, "expirationSeconds", 3600);
        }
        if let Some(source) = part(projection, "downwardAPI") {
            items(source, "items").for_each(references);
        }
    }
}

/// What is limited and not asked for is asked for up to its limit.
fn request_the_limits(container: &mut Value) {
    let Some(limits) = container.at(&["resources", "limits"]).cloned() else {
        return;
    };
    let limits = limits.as_object().into_iter().flat_map(|l| l.iter());
    for (name, limit) in limits {
        let resources = container.make_object().object("resources");
        let requests = resources.object("requests");
        if !requests.contains_key(name) {
            requests.insert(name.clone(), limit.clone());
        }
    }
}

/// On the host's network a container's port is the host's.
fn take_host_ports(container: &mut Value) {
    for port in items(container, "ports") {
        let number = port.i64_at(&["containerPort"]).unwrap_or_default();
        fill::empty(port, "hostPort", number);
    }
}

#[cfg(test)]
mod tests {
    use super::pull_policy;

    #[test]
    fn what_moves_is_always_pulled() {
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.27", "IfNotPresent"),
            ("localhost:5000/nginx", "Always"),
            ("localhost:5000/nginx:1", "IfNotPresent"),
            ("nginx@sha256:abc", "IfNotPresent"),
            ("", "IfNotPresent"),
            ("UPPER", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }
}
