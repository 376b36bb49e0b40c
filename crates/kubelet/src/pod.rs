//! Reading a Pod: its containers in their kinds, its name in messages, its policies.
//!
//! The API leaves nearly everything optional; here the defaults that the API
//! server fills in are taken for granted only where they are harmless.

use std::borrow::Cow;

use typed::Typed;
use typed::api::core::v1::{Container, EphemeralContainer, Pod, PodSpec};

/// What a container is to its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerKind {
    /// Runs to completion before the regular ones.
    Init,
    /// A restartable init container: starts in its turn and stays.
    Sidecar,
    /// What the pod is for.
    Regular,
    /// Added for debugging; never restarted.
    Ephemeral,
}

/// `name_namespace(uid)`, as upstream names a pod in messages.
pub fn describe(pod: &Pod) -> String {
    format!("{}_{}({})", pod.name(), pod.namespace(), pod.uid())
}

/// The pod's spec; a pod without one has no containers.
pub fn spec(pod: &Pod) -> &PodSpec {
    static EMPTY: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);
    pod.spec.as_ref().unwrap_or(&EMPTY)
}

/// Whether an init container stays running beside the regular ones.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The init containers, sidecars among them, in order.
pub fn init_containers(pod: &Pod) -> &[Container] {
    spec(pod).init_containers.as_deref().unwrap_or_default()
}

/// The ephemeral containers.
pub fn ephemeral_containers(pod: &Pod) -> &[EphemeralContainer] {
    spec(pod)
        .ephemeral_containers
        .as_deref()
        .unwrap_or_default()
}

/// The kind of an init container.
pub fn init_kind(container: &Container) -> ContainerKind {
    if is_sidecar(container) {
        ContainerKind::Sidecar
    } else {
        ContainerKind::Init
    }
}

/// All containers with their kinds: init, regular, ephemeral.
pub fn containers(pod: &Pod) -> impl Iterator<Item = (ContainerKind, Cow<'_, Container>)> {
    let init = init_containers(pod)
        .iter()
        .map(|container| (init_kind(container), Cow::Borrowed(container)));
    let regular = spec(pod)
        .containers
        .iter()
        .map(|container| (ContainerKind::Regular, Cow::Borrowed(container)));
    let ephemeral = ephemeral_containers(pod)
        .iter()
        .map(|container| (ContainerKind::Ephemeral, Cow::Owned(plain(container))));
    init.chain(regular).chain(ephemeral)
}

/// The container of this name.
pub fn container<'a>(pod: &'a Pod, name: &str) -> Option<(ContainerKind, Cow<'a, Container>)> {
    containers(pod).find(|(_, container)| container.name == name)
}

/// An ephemeral container in the form of the others.
pub fn plain(ephemeral: &EphemeralContainer) -> Container {
    let from = ephemeral.clone();
    Container {
        args: from.args,
        command: from.command,
        env: from.env,
        env_from: from.env_from,
        image: from.image,
        image_pull_policy: from.image_pull_policy,
        lifecycle: from.lifecycle,
        liveness_probe: from.liveness_probe,
        name: from.name,
        ports: from.ports,
        readiness_probe: from.readiness_probe,
        resize_policy: from.resize_policy,
        resources: from.resources,
        restart_policy: from.restart_policy,
        restart_policy_rules: from.restart_policy_rules,
        security_context: from.security_context,
        startup_probe: from.startup_probe,
        stdin: from.stdin,
        stdin_once: from.stdin_once,
        termination_message_path: from.termination_message_path,
        termination_message_policy: from.termination_message_policy,
        tty: from.tty,
        volume_devices: from.volume_devices,
        volume_mounts: from.volume_mounts,
        working_dir: from.working_dir,
    }
}

/// Whether the pod lives in the node's network.
pub fn is_host_network(pod: &Pod) -> bool {
    spec(pod).host_network == Some(true)
}

/// The pod's restart policy; `Always` by default.
pub fn restart_policy(pod: &Pod) -> &str {
    spec(pod).restart_policy.as_deref().unwrap_or("Always")
}

/// The phase that the API server knows.
pub fn phase(pod: &Pod) -> &str {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or_default()
}

/// Whether a phase is never left again.
pub fn is_terminal(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed")
}

/// Whether a container that ended with this code is started again.
///
/// A rule of the container decides first, then its own policy, then the pod's.
/// Follows pkg/api/v1/pod/util.go, ContainerShouldRestart.
pub fn restarts_after(container: &Container, pod: &Pod, exit_code: i32) -> bool {
    let by_policy = |policy: &str| match policy {
        "Never" => false,
        "OnFailure" => exit_code != 0,
        _ => true,
    };
    match container.restart_policy.as_deref() {
        None => by_policy(restart_policy(pod)),
        Some(policy) => rule_restarts(container, exit_code) || by_policy(policy),
    }
}

fn rule_restarts(container: &Container, exit_code: i32) -> bool {
    let matching = container
        .restart_policy_rules
        .iter()
        .flatten()
        .find(|rule| {
            rule.exit_codes.as_ref().is_some_and(|codes| {
                let listed = codes.values.iter().flatten().any(|code| *code == exit_code);
                match codes.operator.as_str() {
                    "In" => listed,
                    "NotIn" => !listed,
                    _ => false,
                }
            })
        });
    matching.is_some_and(|rule| rule.action == "Restart")
}

/// The feature that the pod asks for and this node does not have, if there is one.
pub fn unsupported(pod: &Pod) -> Option<String> {
    let spec = spec(pod);
    let rule = containers(pod).any(|(_, container)| {
        let mut rules = container.restart_policy_rules.iter().flatten();
        rules.any(|rule| rule.action == "RestartAllContainers")
    });
    let found = [
        (rule, "container restart rule action RestartAllContainers"),
        (spec.host_users == Some(false), "hostUsers: false"),
        (
            spec.resource_claims
                .as_ref()
                .is_some_and(|claims| !claims.is_empty()),
            "resourceClaims",
        ),
        (
            containers(pod).any(|(_, container)| {
                container
                    .volume_devices
                    .as_ref()
                    .is_some_and(|devices| !devices.is_empty())
            }),
            "volumeDevices",
        ),
    ];
    found
        .into_iter()
        .find(|(asked, _)| *asked)
        .map(|(_, feature)| format!("{feature} is not supported by this node"))
}

/// Seconds that the pod may take to end.
///
/// What the deletion asks for wins over the pod's own wish.
pub fn grace_seconds(pod: &Pod) -> i64 {
    pod.metadata
        .deletion_grace_period_seconds
        .or(spec(pod).termination_grace_period_seconds)
        .unwrap_or(30)
}

/// The signal that asks a container to end, where the container names one.
pub fn stop_signal(container: &Container) -> Option<&str> {
    container
        .lifecycle
        .as_ref()
        .and_then(|lifecycle| lifecycle.stop_signal.as_deref())
}

/// The directory below the log root that holds the pod's logs.
pub fn log_directory_name(pod: &Pod) -> String {
    format!("{}_{}_{}", pod.namespace(), pod.name(), pod.uid())
}

/// Prints a duration as Go does: `10s`, `1m20s`, `5m0s`, `1.5s`.
pub fn go_duration(duration: std::time::Duration) -> String {
    if duration.as_secs() < 1 {
        return match duration.as_millis() {
            0 => "0s".to_owned(),
            millis => format!("{millis}ms"),
        };
    }
    let whole = duration.as_secs();
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    let fraction = match duration.subsec_millis() {
        0 => String::new(),
        millis => format!(".{millis:03}").trim_end_matches('0').to_owned(),
    };
    match (hours, minutes) {
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, _) => format!("{minutes}m{seconds}{fraction}s"),
        _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;
    use std::time::Duration;

    #[test]
    fn durations_print_as_go_prints_them() {
        for (millis, text) in [
            (0, "0s"),
            (250, "250ms"),
            (10_000, "10s"),
            (80_000, "1m20s"),
            (300_000, "5m0s"),
            (3_600_000, "1h0m0s"),
            (1_500, "1.5s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn restarts_by_rule_then_container_then_pod() {
        let case = |pod_policy: &str, rest: serde_json::Value, code: i32| {
            let mut container = serde_json::json!({"name": "a", "image": "i"});
            let fields = rest.as_object().cloned().unwrap_or_default();
            container.as_object_mut().unwrap().extend(fields);
            let pod = pod(serde_json::json!({
                "restartPolicy": pod_policy, "containers": [container]
            }));
            restarts_after(&spec(&pod).containers[0], &pod, code)
        };
        let none = serde_json::json!({});
        assert!(case("Always", none.clone(), 0));
        assert!(!case("OnFailure", none.clone(), 0));
        assert!(case("OnFailure", none.clone(), 1));
        assert!(!case("Never", none, 1));
        let own = serde_json::json!({"restartPolicy": "OnFailure"});
        assert!(case("Never", own, 1));
        let rule = serde_json::json!({"restartPolicy": "Never", "restartPolicyRules": [
            {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
        ]});
        assert!(case("Never", rule.clone(), 42));
        assert!(!case("Never", rule, 43));
    }
}
