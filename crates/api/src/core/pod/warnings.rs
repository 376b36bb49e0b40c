//! What in a pod works, and is probably not meant. Follows pkg/api/pod/warnings.go.

use super::spec;
use meta::field::quote;
use meta::{Field, Path, Quantity, Value, names};
use std::collections::{BTreeMap, BTreeSet};

/// Labels of nodes that have newer names.
const OLD_NODE_LABELS: &[(&str, &str, &str)] = &[
    ("beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"),
    (
        "beta.kubernetes.io/instance-type",
        "v1.17",
        "node.kubernetes.io/instance-type",
    ),
    ("beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "v1.17",
        "topology.kubernetes.io/region",
    ),
    (
        "failure-domain.beta.kubernetes.io/zone",
        "v1.17",
        "topology.kubernetes.io/zone",
    ),
];

const OLD_ANNOTATIONS: &[(&str, &str)] = &[
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    (
        "security.alpha.kubernetes.io/sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
];

/// Warnings about a new pod.
pub(super) fn of_pod(pod: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    let root = Field::root(pod);
    let complaints = names::dns1123_label(root.at(&["metadata", "name"]).str());
    if !complaints.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [{}]",
            complaints.join(" ")
        ));
    }
    of_template(&root, &mut warnings);
    warnings
}

/// Warnings about a template of pods, or about a pod as one.
pub(crate) fn of_template(template: &Field<'_>, warnings: &mut Vec<String>) {
    let (metadata, spec) = (template.get("metadata"), template.get("spec"));
    node_labels(&spec, warnings);
    spread(&spec, warnings);
    annotations(&metadata.get("annotations"), &spec, warnings);
    duplicates(&spec.get("hostAliases"), "ip", "duplicate ip", warnings);
    duplicates(
        &spec.get("imagePullSecrets"),
        "name",
        "duplicate name",
        warnings,
    );
    for secret in spec.get("imagePullSecrets").items() {
        let name = secret.get("name");
        if name.is_empty() {
            warnings.push(format!("{}: invalid empty name \"\"", name.path));
        }
    }
    fractions(&spec.get("overhead"), warnings);
    for container in spec::containers(&spec) {
        for list in ["limits", "requests"] {
            fractions(&container.at(&["resources", list]), warnings);
        }
        hidden_variables(&container.get("env"), warnings);
    }
    ports(&spec, warnings);
    let grace = spec.get("terminationGracePeriodSeconds");
    if grace.int() < 0 {
        warnings.push(format!(
            "{}: must be >= 0; negative values are invalid and will be treated as 1",
            grace.path
        ));
    }
}

fn newer_label(key: &str) -> Option<String> {
    let old = OLD_NODE_LABELS.iter().find(|(old, ..)| *old == key);
    old.map(|(_, since, new)| format!("deprecated since {since}; use \"{new}\" instead"))
}

fn node_labels(spec: &Field<'_>, warnings: &mut Vec<String>) {
    for (key, value) in spec.get("nodeSelector").entries() {
        warnings.extend(newer_label(key).map(|m| format!("{}: {m}", value.path)));
    }
    let affinity = spec.at(&["affinity", "nodeAffinity"]);
    let required = affinity
        .at(&[
            "requiredDuringSchedulingIgnoredDuringExecution",
            "nodeSelectorTerms",
        ])
        .items();
    let preferred = affinity
        .get("preferredDuringSchedulingIgnoredDuringExecution")
        .items()
        .map(|term| term.get("preference"));
    let expressions = required
        .chain(preferred)
        .flat_map(|term| term.get("matchExpressions").items());
    for key in expressions.map(|e| e.get("key")) {
        let message = newer_label(key.str());
        warnings.extend(message.map(|m| format!("{}: {} is {m}", key.path, key.str())));
    }
}

fn spread(spec: &Field<'_>, warnings: &mut Vec<String>) {
    for constraint in spec.get("topologySpreadConstraints").items() {
        let (key, selector) = (
            constraint.get("topologyKey"),
            constraint.get("labelSelector"),
        );
        let message = newer_label(key.str());
        warnings.extend(message.map(|m| format!("{}: {} is {m}", key.path, key.str())));
        if !selector.is_present() {
            let message = "a null labelSelector results in matching no pod";
            warnings.push(format!("{}: {message}", selector.path));
        }
    }
}

fn annotations(annotations: &Field<'_>, spec: &Field<'_>, warnings: &mut Vec<String>) {
    let mut warn = |key: &str, message: &str| {
        if annotations.get(key).is_present() {
            warnings.push(format!("{}: {message}", annotations.path.key(key)));
        }
    };
    for (key, message) in OLD_ANNOTATIONS {
        warn(key, message);
    }
    let message = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
    if !spec.at(&["securityContext", "seccompProfile"]).is_present() {
        warn("seccomp.security.alpha.kubernetes.io/pod", message);
    }
    for container in spec::containers(spec) {
        if !container
            .at(&["securityContext", "seccompProfile"])
            .is_present()
        {
            let name = container.get("name").str();
            warn(
                &format!("container.seccomp.security.alpha.kubernetes.io/{name}"),
                message,
            );
        }
    }
}

fn duplicates(list: &Field<'_>, key: &str, what: &str, warnings: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for field in list.items().map(|item| item.get(key)) {
        if !seen.insert(field.str()) {
            warnings.push(format!("{}: {what} {}", field.path, quote(field.str())));
        }
    }
}

fn fractions(list: &Field<'_>, warnings: &mut Vec<String>) {
    for (name, field) in list.entries() {
        let quantity: Option<Quantity> = crate::check::quantity(&field);
        let whole = quantity.is_none_or(Quantity::is_whole);
        if matches!(name, "memory" | "ephemeral-storage") && !whole {
            warnings.push(format!(
                "{}: fractional byte value {} is invalid, must be an integer",
                field.path,
                quote(field.str())
            ));
        }
    }
}

/// A variable may be said again if it builds on what it was.
fn hidden_variables(env: &Field<'_>, warnings: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for variable in env.items() {
        let (name, value) = (variable.get("name").str(), variable.get("value").str());
        if seen.insert(name) {
            continue;
        }
        let reference = format!("$({name})");
        let builds = value.contains(&reference) && value != reference;
        if variable.get("valueFrom").is_present() || !builds {
            warnings.push(format!(
                "{}: hides previous definition of {}, which may be dropped when using apply",
                variable.path,
                quote(name)
            ));
        }
    }
}

/// Where a port is claimed, and at which address and port of the host.
type Claim<'a> = (Path, &'a str, i64);

/// Ports that several containers claim.
fn ports(spec: &Field<'_>, warnings: &mut Vec<String>) {
    let mut claimed: BTreeMap<(i64, &str), Vec<Claim<'_>>> = BTreeMap::new();
    for port in spec::containers(spec).flat_map(|c| c.get("ports").items()) {
        let (ip, host) = (port.get("hostIP").str(), port.get("hostPort").int());
        let key = (port.get("containerPort").int(), port.get("protocol").str());
        let others = claimed.entry(key).or_default();
        for (other, other_ip, other_host) in others.iter() {
            let what = if (ip, host) == (*other_ip, *other_host) {
                "duplicate"
            } else if host == 0 || *other_host == 0 {
                "overlapping"
            } else if host == *other_host && (ip.is_empty() || other_ip.is_empty()) {
                "dangerously ambiguous"
            } else {
                continue;
            };
            let message = format!("{what} port definition with {other}");
            warnings.push(format!("{}: {message}", port.path));
        }
        others.push((port.path.clone(), ip, host));
    }
}
