//! Namespace, prefix and suffix, labels, annotations, replicas and images.

use super::Error;
use super::build::Layer;
use super::fields::visit;
use super::resource::Resource;
use meta::{Map, Value};

/// Everything is put into a namespace.
pub(super) fn namespace(layer: &Layer<'_>, resources: &mut [Resource]) {
    let namespace = layer.kustomization.str_at(&["namespace"]);
    if namespace.is_empty() {
        return;
    }
    for resource in resources {
        resource.remember();
        let kind = resource.kind().to_string();
        if !resource.is_cluster_scoped() {
            resource.value.set_at(&["metadata", "namespace"], namespace);
        }
        match kind.as_str() {
            "Namespace" if resource.value.str_at(&["apiVersion"]) == "v1" => {
                resource.value.set_at(&["metadata", "name"], namespace);
            }
            "RoleBinding" | "ClusterRoleBinding" => {
                visit(
                    &mut resource.value,
                    &["subjects", "name"],
                    false,
                    &mut |_| {},
                );
                let subjects = resource
                    .value
                    .get_mut("subjects")
                    .and_then(Value::as_array_mut);
                for subject in subjects.into_iter().flatten() {
                    if subject.str_at(&["name"]) == "default" {
                        subject.set_at(&["namespace"], namespace);
                    }
                }
            }
            "APIService" => resource
                .value
                .set_at(&["spec", "service", "namespace"], namespace),
            "CustomResourceDefinition" => {
                let path = [
                    "spec",
                    "conversion",
                    "webhook",
                    "clientConfig",
                    "service",
                    "namespace",
                ];
                visit(&mut resource.value, &path, false, &mut |v| {
                    *v = namespace.into()
                });
            }
            _ => {}
        }
    }
}

/// Names get a prefix and a suffix.
pub(super) fn affixes(layer: &Layer<'_>, resources: &mut [Resource]) {
    let prefix = layer.kustomization.str_at(&["namePrefix"]);
    let suffix = layer.kustomization.str_at(&["nameSuffix"]);
    if prefix.is_empty() && suffix.is_empty() {
        return;
    }
    for resource in resources {
        if matches!(
            resource.kind(),
            "CustomResourceDefinition" | "APIService" | "Namespace"
        ) {
            continue;
        }
        resource.remember();
        resource.affixes.push(format!("{prefix}*{suffix}"));
        let name = resource.value.str_at(&["metadata", "name"]);
        let name = format!("{prefix}{name}{suffix}");
        resource.value.set_at(&["metadata", "name"], name);
    }
}

fn templates(kind: &str) -> &'static [&'static [&'static str]] {
    match kind {
        "ReplicationController"
        | "Deployment"
        | "ReplicaSet"
        | "DaemonSet"
        | "StatefulSet"
        | "Job" => &[&["spec", "template", "metadata"]],
        "CronJob" => &[
            &["spec", "jobTemplate", "metadata"],
            &["spec", "jobTemplate", "spec", "template", "metadata"],
        ],
        _ => &[],
    }
}

/// Selectors of a kind: their path, and whether they are made.
fn selectors(kind: &str) -> Vec<(Vec<&'static str>, bool)> {
    const TERMS: [&str; 2] = [
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    ];
    let mut paths = match kind {
        "Service" | "ReplicationController" => vec![(vec!["spec", "selector"], true)],
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" => {
            vec![(vec!["spec", "selector", "matchLabels"], true)]
        }
        "Job" | "PodDisruptionBudget" => vec![(vec!["spec", "selector", "matchLabels"], false)],
        "CronJob" => vec![(
            vec!["spec", "jobTemplate", "spec", "selector", "matchLabels"],
            false,
        )],
        "NetworkPolicy" => vec![
            (vec!["spec", "podSelector", "matchLabels"], false),
            (
                vec!["spec", "ingress", "from", "podSelector", "matchLabels"],
                false,
            ),
            (
                vec!["spec", "egress", "to", "podSelector", "matchLabels"],
                false,
            ),
        ],
        _ => Vec::new(),
    };
    if matches!(kind, "Deployment" | "StatefulSet") {
        let pod = ["spec", "template", "spec"];
        for affinity in ["podAffinity", "podAntiAffinity"] {
            for (i, terms) in TERMS.into_iter().enumerate() {
                let mut path = pod.to_vec();
                path.extend(["affinity", affinity, terms]);
                if i == 1 {
                    path.push("podAffinityTerm");
                }
                path.extend(["labelSelector", "matchLabels"]);
                paths.push((path, false));
            }
        }
        let mut path = pod.to_vec();
        path.extend(["topologySpreadConstraints", "labelSelector", "matchLabels"]);
        paths.push((path, false));
    }
    paths
}

fn set_all(value: &mut Value, path: &[&str], create: bool, pairs: &Map) {
    visit(value, path, create, &mut |map| {
        for (key, value) in pairs.iter() {
            map.make_object().insert(key.clone(), value.clone());
        }
    });
}

/// `labels`, `commonLabels` and `commonAnnotations`.
pub(super) fn labels(layer: &Layer<'_>, resources: &mut [Resource]) -> Result<(), Error> {
    let kustomization = &layer.kustomization;
    for entry in layer.items("labels") {
        if entry.get("fields").is_some_and(|fields| !fields.is_empty()) {
            return Err(Error::Unsupported("the field labels.fields".into()));
        }
        if let Some(pairs) = entry.get("pairs").and_then(Value::as_object) {
            let selectors = entry.is_true_at(&["includeSelectors"]);
            let templates = selectors || entry.is_true_at(&["includeTemplates"]);
            add_labels(pairs, selectors, templates, resources);
        }
    }
    if let Some(pairs) = kustomization.get("commonLabels").and_then(Value::as_object) {
        add_labels(pairs, true, true, resources);
    }
    let annotations = kustomization
        .get("commonAnnotations")
        .and_then(Value::as_object);
    for resource in resources.iter_mut() {
        let Some(pairs) = annotations.filter(|pairs| !pairs.is_empty()) else {
            break;
        };
        set_all(
            &mut resource.value,
            &["metadata", "annotations"],
            true,
            pairs,
        );
        let kind = resource.kind().to_string();
        for path in templates(&kind) {
            let path = [*path, &["annotations"]].concat();
            set_all(&mut resource.value, &path, true, pairs);
        }
    }
    Ok(())
}

fn add_labels(pairs: &Map, in_selectors: bool, in_templates: bool, resources: &mut [Resource]) {
    if pairs.is_empty() {
        return;
    }
    for resource in resources {
        let kind = resource.kind().to_string();
        let value = &mut resource.value;
        set_all(value, &["metadata", "labels"], true, pairs);
        if in_templates {
            for path in templates(&kind) {
                set_all(value, &[*path, &["labels"]].concat(), true, pairs);
            }
        }
        if in_selectors {
            for (path, create) in selectors(&kind) {
                set_all(value, &path, create, pairs);
            }
            if kind == "StatefulSet" {
                let path = ["spec", "volumeClaimTemplates", "metadata", "labels"];
                set_all(value, &path, true, pairs);
            }
        }
    }
}

/// `replicas`
pub(super) fn replicas(layer: &Layer<'_>, resources: &mut [Resource]) -> Result<(), Error> {
    for entry in layer.items("replicas") {
        let name = entry.str_at(&["name"]);
        let count = entry.get("count").cloned().unwrap_or_default();
        let mut found = false;
        for resource in resources.iter_mut() {
            let scales = matches!(
                resource.kind(),
                "Deployment" | "ReplicationController" | "ReplicaSet" | "StatefulSet"
            );
            if scales && resource.ids().iter().any(|id| id.name == name) {
                resource.value.set_at(&["spec", "replicas"], count.clone());
                found = true;
            }
        }
        if !found {
            return Err(Error::Misfit(format!(
                "resource with name {name} does not match a config with the following GVK [Deployment.[noVer].[noGrp] ReplicationController.[noVer].[noGrp] ReplicaSet.[noVer].[noGrp] StatefulSet.[noVer].[noGrp]]"
            )));
        }
    }
    Ok(())
}

/// `images`
pub(super) fn images(layer: &Layer<'_>, resources: &mut [Resource]) {
    for entry in layer.items("images") {
        for resource in resources.iter_mut() {
            if resource.kind() != "CustomResourceDefinition" {
                containers(&mut resource.value, entry);
            }
        }
    }
}

fn containers(value: &mut Value, entry: &Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| containers(item, entry)),
        Value::Object(map) => {
            for (key, below) in map.iter_mut() {
                if matches!(key.as_str(), "containers" | "initContainers") {
                    for container in below.as_array_mut().into_iter().flatten() {
                        if let Some(image) = container.get_mut("image") {
                            replace_image(image, entry);
                        }
                    }
                }
                containers(below, entry);
            }
        }
        _ => {}
    }
}

fn replace_image(image: &mut Value, entry: &Value) {
    let Some(text) = image.as_str() else {
        return;
    };
    let (name, tag, digest) = split_image(text);
    if name != entry.str_at(&["name"]) {
        return;
    }
    let field = |key| entry.str_at(&[key]);
    let name = if field("newName").is_empty() {
        name
    } else {
        field("newName")
    };
    let (new_tag, new_digest, suffix) = (field("newTag"), field("digest"), field("tagSuffix"));
    let (tag, digest) = match (new_tag, new_digest) {
        ("", "") => (format!("{tag}{suffix}"), digest),
        ("", new_digest) => (String::new(), new_digest),
        (new_tag, new_digest) => (new_tag.to_string(), new_digest),
    };
    let mut out = name.to_string();
    if !tag.is_empty() {
        out.push_str(&format!(":{tag}"));
    }
    if !digest.is_empty() {
        out.push_str(&format!("@{digest}"));
    }
    *image = out.into();
}

/// Name, tag and digest; the last two may be empty.
fn split_image(text: &str) -> (&str, &str, &str) {
    let (rest, digest) = text.split_once('@').unwrap_or((text, ""));
    let from = rest.rfind('/').map_or(0, |at| at + 1);
    match rest[from..].find(':') {
        Some(at) => (&rest[..from + at], &rest[from + at + 1..], digest),
        None => (rest, "", digest),
    }
}
