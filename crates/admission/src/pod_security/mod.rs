//! Pods are held to the standard that their namespace names. Follows
//! pod-security-admission's admission/admission.go; nobody is exempt.

mod checks;
mod policy;
#[cfg(test)]
mod tests;

use crate::{Operation, Plugin, Request, View};
use async_trait::async_trait;
use meta::object::Object as _;
use meta::{Errors, Status, Value};
use policy::{Level, Policy, Standard};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many pods of a namespace are looked at when its labels change.
const PODS_MAX: usize = 3000;
/// Pod subresources that do not change what a pod may do.
const HARMLESS: [&str; 8] = [
    "attach",
    "binding",
    "eviction",
    "exec",
    "log",
    "portforward",
    "proxy",
    "status",
];
/// Annotations that said once what fields say now.
const ANNOTATIONS: [&str; 3] = [
    "container.apparmor.security.beta.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
    "seccomp.security.alpha.kubernetes.io/pod",
];

pub(crate) struct PodSecurity;

#[async_trait]
impl Plugin for PodSecurity {
    fn name(&self) -> &'static str {
        "PodSecurity"
    }

    async fn validate(
        &self,
        request: &Request<'_>,
        object: &Value,
        old: Option<&Value>,
        view: &dyn View,
        warnings: &mut Vec<String>,
    ) -> Result<(), Status> {
        if !matches!(request.operation, Operation::Create | Operation::Update) {
            return Ok(());
        }
        match (request.group, request.resource, request.subresource) {
            ("", "namespaces", "") => namespace(request, object, old, view, warnings).await,
            ("", "pods", subresource) if !HARMLESS.contains(&subresource) => {
                if old.is_some_and(|old| !matters(object, old)) {
                    return Ok(());
                }
                let policy = policy_of(request, view).await?;
                pod(request, object, policy, warnings)
            }
            (_, _, "") => match template(request, object) {
                Some(template) => {
                    let policy = policy_of(request, view).await?;
                    warn(template, policy.warn, warnings);
                    Ok(())
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

async fn policy_of(request: &Request<'_>, view: &dyn View) -> Result<Policy, Status> {
    let name = request.namespace;
    let found = view.get("", "namespaces", "", name).await?;
    let missing = || Status::internal(format!("failed to lookup namespace \"{name}\""));
    Ok(policy::of_namespace(&*found.ok_or_else(missing)?).0)
}

fn pod(
    request: &Request<'_>,
    pod: &Value,
    policy: Policy,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    if policy.asks_nothing() {
        return Ok(());
    }
    let violations = checks::evaluate(policy.enforce, pod);
    if !violations.is_empty() {
        let details = checks::details(&violations);
        let standard = policy.enforce;
        return Err(request.forbidden(format!("violates PodSecurity \"{standard}\": {details}")));
    }
    warn(pod, policy.warn, warnings);
    Ok(())
}

fn warn(pod: &Value, standard: Standard, warnings: &mut Vec<String>) {
    let violations = checks::evaluate(standard, pod);
    if !violations.is_empty() {
        let details = checks::details(&violations);
        warnings.push(format!(
            "would violate PodSecurity \"{standard}\": {details}"
        ));
    }
}

/// The template from which a workload makes its pods.
fn template<'a>(request: &Request<'_>, object: &'a Value) -> Option<&'a Value> {
    let keys: &[&str] = match (request.group, request.resource) {
        ("", "podtemplates") => &["template"],
        ("", "replicationcontrollers")
        | ("apps", "replicasets" | "deployments" | "statefulsets" | "daemonsets")
        | ("batch", "jobs") => &["spec", "template"],
        ("batch", "cronjobs") => &["spec", "jobTemplate", "spec", "template"],
        _ => return None,
    };
    object.at(keys).filter(|template| !template.is_null())
}

/// Whether an update changes anything that checks look at.
fn matters(new: &Value, old: &Value) -> bool {
    let spec = |pod: &Value| {
        let mut spec = pod.get("spec").cloned().unwrap_or_default();
        for key in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
            spec.make_object().remove(key);
        }
        for list in ["containers", "initContainers"] {
            let containers = spec.get_mut(list).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                container.make_object().remove("image");
            }
        }
        spec
    };
    let annotations = |pod: &Value| {
        let mut all = pod
            .at(&["metadata", "annotations"])
            .cloned()
            .unwrap_or_default();
        let of_checks = |key: &str| ANNOTATIONS.iter().any(|prefix| key.starts_with(prefix));
        all.make_object().retain(|key, _| of_checks(key));
        all
    };
    spec(new) != spec(old) || annotations(new) != annotations(old)
}

async fn namespace(
    request: &Request<'_>,
    namespace: &Value,
    old: Option<&Value>,
    view: &dyn View,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    let (policy, errors) = policy::of_namespace(namespace);
    let Some(old) = old else {
        return check_labels(request, &errors);
    };
    let (before, old_errors) = policy::of_namespace(old);
    if errors != old_errors {
        check_labels(request, &errors)?;
    }
    let (new, before) = (policy.enforce, before.enforce);
    let relaxed = new.version == before.version && new.level <= before.level;
    if new == before || new.level == Level::Privileged || relaxed {
        return Ok(());
    }
    let pods = view.list("", "pods", namespace.name()).await?;
    warnings.extend(existing(namespace.name(), new, &pods));
    Ok(())
}

fn check_labels(request: &Request<'_>, errors: &Errors) -> Result<(), Status> {
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid(request.kind, request.name, errors)),
    }
}

/// Warnings of pods that run already and would not be admitted any more.
fn existing(namespace: &str, standard: Standard, pods: &[Arc<Value>]) -> Vec<String> {
    let mut names: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for pod in pods.iter().take(PODS_MAX) {
        let violations = checks::evaluate(standard, pod);
        if !violations.is_empty() {
            let reasons: Vec<String> = violations.into_iter().map(|v| v.reason).collect();
            names
                .entry(reasons.join(", "))
                .or_default()
                .push(pod.name());
        }
    }
    let mut lines: Vec<String> = names
        .into_iter()
        .map(|(reasons, mut names)| {
            names.sort_unstable();
            match names.len() - 1 {
                0 => format!("{}: {reasons}", names[0]),
                1 => format!("{} (and 1 other pod): {reasons}", names[0]),
                others => format!("{} (and {others} other pods): {reasons}", names[0]),
            }
        })
        .collect();
    lines.sort();
    if !lines.is_empty() {
        lines.insert(0, format!(
            "existing pods in namespace \"{namespace}\" violate the new PodSecurity enforce level \"{standard}\""
        ));
    }
    lines
}
