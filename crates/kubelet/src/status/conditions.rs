//! The conditions of a pod that the kubelet owns.
//!
//! Follows pkg/kubelet/status/generate.go.

use stdx::Timestamp;
use typed::Time;
use typed::api::core::v1::{Container, ContainerStatus, Pod, PodCondition, PodStatus};

use crate::pod::{init_containers, is_sidecar, spec};

/// The types that only the kubelet writes.
pub const OWNED: [&str; 7] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    "PodResizePending",
    "PodResizeInProgress",
];

/// The type that the kubelet writes, too, when it ends a pod for the node's sake.
pub const DISRUPTION: &str = "DisruptionTarget";

/// A condition before it has times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl Verdict {
    fn yes() -> Verdict {
        Verdict {
            status: "True",
            reason: "",
            message: String::new(),
        }
    }

    fn no(reason: &'static str, message: String) -> Verdict {
        Verdict {
            status: "False",
            reason,
            message,
        }
    }
}

/// All conditions of the pod: others' as they are, the kubelet's own anew.
pub fn conditions(
    pod: &Pod,
    old: &PodStatus,
    statuses: &[ContainerStatus],
    phase: &str,
    has_network: bool,
    now: Timestamp,
) -> Vec<PodCondition> {
    let known = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let mut all: Vec<PodCondition> = known
        .iter()
        .filter(|condition| !OWNED.contains(&condition.type_.as_str()))
        .cloned()
        .collect();
    let network = if has_network {
        Verdict::yes()
    } else {
        Verdict::no("", String::new())
    };
    let containers = containers_ready(pod, statuses, phase);
    let ready = ready(pod, &all, &containers);
    let verdicts = [
        ("PodReadyToStartContainers", network),
        ("Initialized", initialized(pod, statuses, phase)),
        ("Ready", ready),
        ("ContainersReady", containers),
        ("PodScheduled", Verdict::yes()),
    ];
    for (kind, verdict) in verdicts {
        all.push(condition(pod, old, kind, verdict, now));
    }
    all
}

/// Tells that the pod ends for the node's sake.
pub fn disrupt(
    conditions: &mut Vec<PodCondition>,
    pod: &Pod,
    old: &PodStatus,
    message: String,
    now: Timestamp,
) {
    let verdict = Verdict {
        status: "True",
        reason: "TerminationByKubelet",
        message,
    };
    conditions.retain(|condition| condition.type_ != DISRUPTION);
    conditions.push(condition(pod, old, DISRUPTION, verdict, now));
}

/// Gives a verdict the time since which it is so.
fn condition(
    pod: &Pod,
    old: &PodStatus,
    kind: &str,
    verdict: Verdict,
    now: Timestamp,
) -> PodCondition {
    let before = old
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == kind && condition.status == verdict.status);
    let since = before.and_then(|condition| condition.last_transition_time.clone());
    let text = |text: String| (!text.is_empty()).then_some(text);
    PodCondition {
        type_: kind.to_owned(),
        status: verdict.status.to_owned(),
        reason: text(verdict.reason.to_owned()),
        message: text(verdict.message),
        last_probe_time: None,
        last_transition_time: Some(since.unwrap_or(Time(now))),
        observed_generation: pod.metadata.generation,
    }
}

fn find<'a>(container: &Container, statuses: &'a [ContainerStatus]) -> Option<&'a ContainerStatus> {
    statuses.iter().find(|status| status.name == container.name)
}

/// Names of containers without a status, and of those that are not `good`.
fn sort<'a>(
    containers: impl Iterator<Item = &'a Container>,
    statuses: &[ContainerStatus],
    good: impl Fn(&Container, &ContainerStatus) -> bool,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut unknown, mut bad) = (Vec::new(), Vec::new());
    for container in containers {
        match find(container, statuses) {
            None => unknown.push(container.name.as_str()),
            Some(status) if !good(container, status) => bad.push(container.name.as_str()),
            Some(_) => {}
        }
    }
    (unknown, bad)
}

fn complaint(unknown: &[&str], bad: &[&str], adjective: &str) -> String {
    let mut parts = Vec::new();
    if !unknown.is_empty() {
        parts.push(format!(
            "containers with unknown status: [{}]",
            unknown.join(" ")
        ));
    }
    if !bad.is_empty() {
        parts.push(format!(
            "containers with {adjective} status: [{}]",
            bad.join(" ")
        ));
    }
    parts.join(", ")
}

fn containers_ready(pod: &Pod, statuses: &[ContainerStatus], phase: &str) -> Verdict {
    let sidecars = init_containers(pod)
        .iter()
        .filter(|container| is_sidecar(container));
    let subjects = sidecars.chain(&spec(pod).containers);
    let (unknown, unready) = sort(subjects, statuses, |_, status| status.ready);
    if unknown.is_empty() {
        match phase {
            "Succeeded" => return Verdict::no("PodCompleted", String::new()),
            "Failed" => return Verdict::no("PodFailed", String::new()),
            _ => {}
        }
    }
    let message = complaint(&unknown, &unready, "unready");
    if message.is_empty() {
        Verdict::yes()
    } else {
        Verdict::no("ContainersNotReady", message)
    }
}

fn ready(pod: &Pod, others: &[PodCondition], containers: &Verdict) -> Verdict {
    if containers.status != "True" {
        return containers.clone();
    }
    let gates = spec(pod).readiness_gates.iter().flatten();
    let complaints = gates.filter_map(|gate| {
        let kind = &gate.condition_type;
        match others.iter().find(|condition| condition.type_ == *kind) {
            None => Some(format!(
                "corresponding condition of pod readiness gate \"{kind}\" does not exist."
            )),
            Some(condition) if condition.status != "True" => Some(format!(
                "the status of pod readiness gate \"{kind}\" is not \"True\", but {}",
                condition.status
            )),
            Some(_) => None,
        }
    });
    let complaints: Vec<String> = complaints.collect();
    if complaints.is_empty() {
        Verdict::yes()
    } else {
        Verdict::no("ReadinessGatesNotReady", complaints.join(", "))
    }
}

fn initialized(pod: &Pod, statuses: &[ContainerStatus], phase: &str) -> Verdict {
    let (unknown, incomplete) = sort(
        init_containers(pod).iter(),
        statuses,
        |container, status| {
            if is_sidecar(container) {
                status.started == Some(true)
            } else {
                status.ready
            }
        },
    );
    if phase == "Succeeded" && unknown.is_empty() {
        return Verdict {
            reason: "PodCompleted",
            ..Verdict::yes()
        };
    }
    let ran = spec(pod).containers.iter().any(|container| {
        find(container, statuses).is_some_and(|status| {
            let states = [status.state.as_ref(), status.last_state.as_ref()];
            states
                .into_iter()
                .flatten()
                .any(|state| state.running.is_some() || state.terminated.is_some())
        })
    });
    let message = complaint(&unknown, &incomplete, "incomplete");
    if ran || message.is_empty() {
        Verdict::yes()
    } else {
        Verdict::no("ContainersNotInitialized", message)
    }
}
