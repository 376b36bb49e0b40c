//! Names of objects inside of other objects follow when the names change.

use super::Error;
use super::fields::{pod_spec, visit};
use super::resource::Resource;
use meta::{Str, Value};

/// Where a kind names another: the named kind, its group, the paths.
struct Reference {
    kind: &'static str,
    paths: Vec<Vec<&'static str>>,
}

fn in_pods(named: &str) -> &'static [&'static [&'static str]] {
    match named {
        "ConfigMap" => &[
            &["volumes", "configMap", "name"],
            &["volumes", "projected", "sources", "configMap", "name"],
            &["containers", "env", "valueFrom", "configMapKeyRef", "name"],
            &[
                "initContainers",
                "env",
                "valueFrom",
                "configMapKeyRef",
                "name",
            ],
            &["containers", "envFrom", "configMapRef", "name"],
            &["initContainers", "envFrom", "configMapRef", "name"],
        ],
        "Secret" => &[
            &["volumes", "secret", "secretName"],
            &["volumes", "projected", "sources", "secret", "name"],
            &["containers", "env", "valueFrom", "secretKeyRef", "name"],
            &["initContainers", "env", "valueFrom", "secretKeyRef", "name"],
            &["containers", "envFrom", "secretRef", "name"],
            &["initContainers", "envFrom", "secretRef", "name"],
            &["imagePullSecrets", "name"],
        ],
        "PersistentVolumeClaim" => &[&["volumes", "persistentVolumeClaim", "claimName"]],
        "PriorityClass" => &[&["priorityClassName"]],
        "ServiceAccount" => &[&["serviceAccountName"]],
        _ => &[],
    }
}

/// Paths of a kind outside of its pod template: what is named, where.
fn elsewhere(kind: &str) -> &'static [(&'static str, &'static [&'static str])] {
    match kind {
        "ClusterRole" | "Role" => &[
            ("ConfigMap", &["rules", "resourceNames"]),
            ("Secret", &["rules", "resourceNames"]),
        ],
        "ClusterRoleBinding" => &[("ClusterRole", &["roleRef", "name"])],
        "HorizontalPodAutoscaler" => &[
            ("Deployment", &["spec", "scaleTargetRef", "name"]),
            ("ReplicationController", &["spec", "scaleTargetRef", "name"]),
            ("ReplicaSet", &["spec", "scaleTargetRef", "name"]),
            ("StatefulSet", &["spec", "scaleTargetRef", "name"]),
        ],
        "Ingress" => &[
            ("Secret", &["spec", "tls", "secretName"]),
            (
                "Service",
                &["spec", "rules", "http", "paths", "backend", "serviceName"],
            ),
            ("Service", &["spec", "backend", "serviceName"]),
            (
                "Service",
                &[
                    "spec", "rules", "http", "paths", "backend", "service", "name",
                ],
            ),
            ("Service", &["spec", "defaultBackend", "service", "name"]),
            ("IngressClass", &["spec", "ingressClassName"]),
        ],
        "PersistentVolume" => &[("StorageClass", &["spec", "storageClassName"])],
        "PersistentVolumeClaim" => &[
            ("PersistentVolume", &["spec", "volumeName"]),
            ("StorageClass", &["spec", "storageClassName"]),
        ],
        "RoleBinding" => &[
            ("Role", &["roleRef", "name"]),
            ("ClusterRole", &["roleRef", "name"]),
        ],
        "ServiceAccount" => &[("Secret", &["imagePullSecrets", "name"])],
        "StatefulSet" => &[
            ("Service", &["spec", "serviceName"]),
            (
                "StorageClass",
                &["spec", "volumeClaimTemplates", "spec", "storageClassName"],
            ),
        ],
        "APIService" => &[("Service", &["spec", "service", "name"])],
        _ => &[],
    }
}

fn references(kind: &str) -> Vec<Reference> {
    const IN_PODS: [&str; 5] = [
        "ConfigMap",
        "Secret",
        "PersistentVolumeClaim",
        "PriorityClass",
        "ServiceAccount",
    ];
    let mut all = Vec::new();
    if let Some(pod) = pod_spec(kind) {
        for named in IN_PODS {
            let paths = in_pods(named).iter().map(|path| [pod, *path].concat());
            all.push(Reference {
                kind: named,
                paths: paths.collect(),
            });
        }
    }
    all.extend(elsewhere(kind).iter().map(|(named, path)| Reference {
        kind: named,
        paths: vec![path.to_vec()],
    }));
    all
}

/// Sets every name of another object to what that is called now.
pub(super) fn fix(resources: &mut [Resource]) -> Result<(), Error> {
    let named: Vec<Resource> = resources
        .iter()
        .filter(|r| !r.previous.is_empty())
        .cloned()
        .collect();
    let mut failed = None;
    for resource in resources.iter_mut() {
        let referrer = resource.clone();
        let kind = referrer.kind();
        for reference in references(kind) {
            let kinds = [reference.kind];
            // A roleRef says itself which kind it means.
            let meant = referrer.value.str_at(&["roleRef", "kind"]);
            if reference.paths[0][0] == "roleRef" && meant != reference.kind {
                continue;
            }
            let target = referrer.value.str_at(&["spec", "scaleTargetRef", "kind"]);
            if reference.paths[0].contains(&"scaleTargetRef") && target != reference.kind {
                continue;
            }
            for path in &reference.paths {
                visit(&mut resource.value, path, false, &mut |found| {
                    let names = match found {
                        Value::Array(items) => items.iter_mut().collect(),
                        one => vec![one],
                    };
                    for name in names {
                        match new_name(name.as_str(), kinds[0], None, &referrer, &named) {
                            Ok(Some((new, _))) => *name = new.into(),
                            Ok(None) => {}
                            Err(error) => failed = Some(error),
                        }
                    }
                });
            }
        }
        if matches!(kind, "RoleBinding" | "ClusterRoleBinding") {
            subjects(resource, &referrer, &named)?;
        }
        if matches!(
            kind,
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration"
        ) {
            let path = ["webhooks", "clientConfig", "service"];
            visit(&mut resource.value, &path, false, &mut |service| {
                if let Err(error) = set_both(service, "Service", &referrer, &named) {
                    failed = Some(error);
                }
            });
        }
    }
    failed.map_or(Ok(()), Err)
}

fn subjects(resource: &mut Resource, referrer: &Resource, named: &[Resource]) -> Result<(), Error> {
    let subjects = resource
        .value
        .get_mut("subjects")
        .and_then(Value::as_array_mut);
    for subject in subjects.into_iter().flatten() {
        if subject.str_at(&["kind"]) == "ServiceAccount" {
            set_both(subject, "ServiceAccount", referrer, named)?;
        }
    }
    Ok(())
}

/// Sets name and namespace of a reference that has both.
fn set_both(
    reference: &mut Value,
    kind: &str,
    referrer: &Resource,
    named: &[Resource],
) -> Result<(), Error> {
    let namespace = reference.str_at(&["namespace"]).to_string();
    let name = reference.get("name").and_then(Value::as_str);
    let found = new_name(name, kind, Some(&namespace), referrer, named)?;
    if let Some((name, namespace)) = found {
        reference.set_at(&["name"], name);
        if !namespace.is_empty() {
            reference.set_at(&["namespace"], namespace);
        }
    }
    Ok(())
}

/// What the object of a kind that once had this name is called now, and its
/// namespace.
fn new_name(
    name: Option<&str>,
    kind: &str,
    namespace: Option<&str>,
    referrer: &Resource,
    named: &[Resource],
) -> Result<Option<(Str, Str)>, Error> {
    let Some(name) = name else {
        return Ok(None);
    };
    let wanted_namespaces: Vec<String> = match namespace {
        Some("") | None => referrer
            .ids()
            .iter()
            .map(|id| id.effective_namespace().to_string())
            .collect(),
        Some(namespace) => vec![namespace.to_string()],
    };
    let mut candidates: Vec<&Resource> = named
        .iter()
        .filter(|r| r.kind() == kind)
        .filter(|r| {
            let scoped = !r.is_cluster_scoped() && !referrer.is_cluster_scoped();
            let ids = r.ids();
            let mut names = ids.iter().filter(|id| id.name == name);
            names.any(|id| {
                let namespace_fits = wanted_namespaces
                    .iter()
                    .any(|wanted| wanted == id.effective_namespace());
                namespace_fits || (!scoped && namespace.is_none_or(str::is_empty))
            })
        })
        .collect();
    if candidates.len() > 1 {
        let here = referrer.id();
        let same = |r: &&Resource| r.id().effective_namespace() == here.effective_namespace();
        narrow(&mut candidates, same);
    }
    if candidates.len() > 1 {
        narrow(&mut candidates, |r| r.affixes == referrer.affixes);
    }
    if candidates.len() > 1 {
        narrow(&mut candidates, |r| {
            let shorter = r.affixes.len().min(referrer.affixes.len());
            r.affixes
                .ends_with(&referrer.affixes[referrer.affixes.len() - shorter..])
        });
    }
    match candidates.as_slice() {
        [] => Ok(None),
        [one] => {
            let id = one.id();
            Ok(Some((id.name, id.namespace)))
        }
        many => {
            let ids: Vec<String> = many.iter().map(|r| r.id().to_string()).collect();
            Err(Error::Misfit(format!(
                "found multiple possible referrals: {}",
                ids.join(", ")
            )))
        }
    }
}

/// Keeps those that fit, unless none does.
fn narrow<'a>(candidates: &mut Vec<&'a Resource>, fits: impl Fn(&&'a Resource) -> bool) {
    let kept: Vec<&Resource> = candidates.iter().copied().filter(|r| fits(r)).collect();
    if !kept.is_empty() {
        *candidates = kept;
    }
}
