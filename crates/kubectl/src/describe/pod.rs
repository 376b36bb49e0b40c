//! Pods, and the parts that pods and pod templates share.

use super::containers::{self, Containers};
use super::writer::Writer;
use super::{Described, resources, text, volumes};
use meta::Value;

pub(super) async fn pod(it: &Described<'_>, w: &mut Writer) {
    let pod = it.object;
    it.head(w);
    identity(pod, w);
    it.labels(w);
    it.annotations(w);
    status(it, w);
    addresses(pod, w);
    if let Some(owner) = text::controller(pod) {
        w.field(0, "Controlled By", owner);
    }
    let nominated = pod.str_at(&["status", "nominatedNodeName"]);
    w.field_unless_empty(0, "NominatedNodeName", nominated);
    if let Some(resources) = pod.at(&["spec", "resources"]) {
        w.line(0, "Resources:");
        containers::resources(resources, 1, w);
    }
    all_containers(pod, w);
    readiness_gates(pod, w);
    conditions(pod, w);
    volumes::volumes(pod.items_at(&["spec", "volumes"]), "", w);
    w.field(0, "QoS Class", resources::qos_class(pod));
    text::labels(w, "", "Node-Selectors", pod.at(&["spec", "nodeSelector"]));
    tolerations(pod.items_at(&["spec", "tolerations"]), "", w);
    spread(pod.items_at(&["spec", "topologySpreadConstraints"]), "", w);
    let mirror = pod.str_at(&["metadata", "annotations", "kubernetes.io/config.mirror"]);
    let uid = match mirror {
        "" => pod.str_at(&["metadata", "uid"]),
        mirror => mirror,
    };
    it.events_about("", uid, w).await;
}

fn identity(pod: &Value, w: &mut Writer) {
    let spec = |key| pod.str_at(&["spec", key]);
    if let Some(priority) = pod.i64_at(&["spec", "priority"]) {
        w.field(0, "Priority", priority);
    }
    w.field_unless_empty(0, "Priority Class Name", spec("priorityClassName"));
    w.field_unless_empty(0, "Runtime Class Name", spec("runtimeClassName"));
    w.field_unless_empty(0, "Service Account", spec("serviceAccountName"));
    match spec("nodeName") {
        "" => w.field(0, "Node", "<none>"),
        node => {
            let host = pod.str_at(&["status", "hostIP"]);
            w.field(0, "Node", format!("{node}/{host}"));
        }
    }
    let started = pod.str_at(&["status", "startTime"]);
    if !started.is_empty() {
        w.field(0, "Start Time", text::time(started));
    }
}

fn status(it: &Described<'_>, w: &mut Writer) {
    let pod = it.object;
    let phase = pod.str_at(&["status", "phase"]);
    let deleted = pod.str_at(&["metadata", "deletionTimestamp"]);
    if !deleted.is_empty() && !matches!(phase, "Failed" | "Succeeded") {
        let age = text::age(deleted, it.source.now());
        w.field(0, "Status", format!("Terminating (lasts {age})"));
        let grace = pod.i64_at(&["metadata", "deletionGracePeriodSeconds"]);
        let grace = grace.unwrap_or_default();
        w.field(0, "Termination Grace Period", format!("{grace}s"));
    } else {
        w.field(0, "Status", phase);
    }
    w.field_unless_empty(0, "Reason", pod.str_at(&["status", "reason"]));
    w.field_unless_empty(0, "Message", pod.str_at(&["status", "message"]));
    let profile = ["spec", "securityContext", "seccompProfile"];
    if let Some(profile) = pod.at(&profile) {
        let kind = profile.str_at(&["type"]);
        w.field(0, "SeccompProfile", kind);
        if kind == "Localhost" {
            w.field(0, "LocalhostProfile", profile.str_at(&["localhostProfile"]));
        }
    }
}

fn addresses(pod: &Value, w: &mut Writer) {
    w.field(0, "IP", pod.str_at(&["status", "podIP"]));
    let ips = pod.items_at(&["status", "podIPs"]);
    if ips.is_empty() {
        return w.field(0, "IPs", "<none>");
    }
    w.line(0, "IPs:");
    for ip in ips {
        w.field(1, "IP", ip.str_at(&["ip"]));
    }
}

fn all_containers(pod: &Value, w: &mut Writer) {
    for (title, key, statuses, always) in [
        (
            "Init Containers",
            "initContainers",
            "initContainerStatuses",
            false,
        ),
        ("Containers", "containers", "containerStatuses", true),
        (
            "Ephemeral Containers",
            "ephemeralContainers",
            "ephemeralContainerStatuses",
            false,
        ),
    ] {
        let list = pod.items_at(&["spec", key]);
        if always || !list.is_empty() {
            let containers = Containers {
                title,
                containers: list,
                statuses: pod.items_at(&["status", statuses]),
                pod: Some(pod),
                indent: "",
            };
            containers.print(w);
        }
    }
}

fn readiness_gates(pod: &Value, w: &mut Writer) {
    let gates = pod.items_at(&["spec", "readinessGates"]);
    if gates.is_empty() {
        return;
    }
    w.line(0, "Readiness Gates:\n  Type\tStatus");
    for gate in gates {
        let kind = gate.str_at(&["conditionType"]);
        let conditions = pod.items_at(&["status", "conditions"]).iter();
        let condition = conditions.clone().find(|c| c.str_at(&["type"]) == kind);
        let status = condition.map_or("<none>", |c| c.str_at(&["status"]));
        w.line(1, &format!("{kind} \t{status} "));
    }
}

fn conditions(pod: &Value, w: &mut Writer) {
    let conditions = pod.items_at(&["status", "conditions"]);
    if conditions.is_empty() {
        return;
    }
    w.line(0, "Conditions:\n  Type\tStatus");
    for c in conditions {
        let (kind, status) = (c.str_at(&["type"]), c.str_at(&["status"]));
        w.line(1, &format!("{kind} \t{status} "));
    }
}

/// A template of pods.
pub(super) fn template(template: Option<&Value>, w: &mut Writer) {
    w.line(0, "Pod Template:");
    let Some(template) = template else {
        return w.put(1, "<unset>");
    };
    text::labels(w, "", "  Labels", template.at(&["metadata", "labels"]));
    let annotations = template.at(&["metadata", "annotations"]);
    if annotations.is_some_and(|a| !a.is_empty()) {
        text::annotations(w, "  Annotations", annotations);
    }
    let spec = |key| template.str_at(&["spec", key]);
    w.field_unless_empty(1, "Service Account", spec("serviceAccountName"));
    for (title, key, always) in [
        ("Init Containers", "initContainers", false),
        ("Containers", "containers", true),
    ] {
        let list = template.items_at(&["spec", key]);
        if always || !list.is_empty() {
            let containers = Containers {
                title,
                containers: list,
                statuses: &[],
                pod: None,
                indent: "  ",
            };
            containers.print(w);
        }
    }
    volumes::volumes(template.items_at(&["spec", "volumes"]), "  ", w);
    spread(
        template.items_at(&["spec", "topologySpreadConstraints"]),
        "  ",
        w,
    );
    w.field_unless_empty(1, "Priority Class Name", spec("priorityClassName"));
    text::labels(
        w,
        "",
        "  Node-Selectors",
        template.at(&["spec", "nodeSelector"]),
    );
    tolerations(template.items_at(&["spec", "tolerations"]), "  ", w);
}

fn spread(constraints: &[Value], indent: &str, w: &mut Writer) {
    if constraints.is_empty() {
        return;
    }
    let mut sorted: Vec<&Value> = constraints.iter().collect();
    sorted.sort_by_key(|c| c.str_at(&["topologyKey"]));
    w.put(0, &format!("{indent}Topology Spread Constraints:\t"));
    for (i, constraint) in sorted.into_iter().enumerate() {
        if i > 0 {
            w.put(0, &format!("{indent}\t"));
        }
        let key = constraint.str_at(&["topologyKey"]);
        let when = constraint.str_at(&["whenUnsatisfiable"]);
        let skew = constraint.i64_at(&["maxSkew"]).unwrap_or_default();
        let selector = constraint.get("labelSelector");
        let selector = selector.map(|s| format!(" for selector {}", text::selector(Some(s))));
        let selector = selector.unwrap_or_default();
        w.line(
            0,
            &format!("{key}:{when} when max skew {skew} is exceeded{selector}"),
        );
    }
}

fn tolerations(tolerations: &[Value], indent: &str, w: &mut Writer) {
    w.put(0, &format!("{indent}Tolerations:\t"));
    if tolerations.is_empty() {
        return w.line(0, "<none>");
    }
    let mut sorted: Vec<&Value> = tolerations.iter().collect();
    sorted.sort_by_key(|t| t.str_at(&["key"]));
    for (i, toleration) in sorted.into_iter().enumerate() {
        if i > 0 {
            w.put(0, "\t");
        }
        w.line(0, &one_toleration(toleration));
    }
}

fn one_toleration(toleration: &Value) -> String {
    let [key, value, effect, operator] =
        ["key", "value", "effect", "operator"].map(|name| toleration.str_at(&[name]));
    let mut out = key.to_string();
    if !value.is_empty() {
        out.push_str(&format!("={value}"));
    }
    if !effect.is_empty() {
        out.push_str(&format!(":{effect}"));
    }
    if operator == "Exists" && value.is_empty() {
        let gap = if key.is_empty() && effect.is_empty() {
            ""
        } else {
            " "
        };
        out.push_str(&format!("{gap}op=Exists"));
    }
    if let Some(seconds) = toleration.i64_at(&["tolerationSeconds"]) {
        out.push_str(&format!(" for {seconds}s"));
    }
    out
}
