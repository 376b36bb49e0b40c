//! The status of a pod, made from its definition and from what was observed,
//! and brought to the API server.

pub mod conditions;
pub mod containers;
pub mod manager;
pub mod phase;
pub mod report;

use std::collections::HashMap;

use container::status::ContainerState as RuntimeState;
use stdx::Timestamp;
use typed::Typed;
use typed::api::core::v1::{Container, ContainerStatus, HostIP, Pod, PodIP, PodStatus};

use crate::observed::Observed;
use crate::pod::{
    ephemeral_containers, init_containers, is_host_network, is_sidecar, is_terminal, plain, spec,
};
use crate::probes::Readings;
use crate::qos::qos;

/// Why a container could not be started the last time, by name.
pub type ContainerFailures = HashMap<String, Failure>;

/// Why something waits: a word for machines and words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Such as `CrashLoopBackOff`.
    pub reason: String,
    /// More about it.
    pub message: String,
}

impl Failure {
    /// A failure.
    pub fn new(reason: &str, message: impl Into<String>) -> Failure {
        Failure {
            reason: reason.to_owned(),
            message: message.into(),
        }
    }
}

/// What goes into a status besides the pod and what was observed.
pub struct Facts<'a> {
    /// The runtime's name, the scheme of container ids.
    pub runtime: &'a str,
    /// Why containers could not be started.
    pub failures: &'a ContainerFailures,
    /// Last words of ended containers, by container id.
    pub messages: &'a HashMap<String, String>,
    /// What probes say.
    pub probes: &'a dyn Readings,
    /// The node's addresses.
    pub host_ips: &'a [String],
    /// Now.
    pub now: Timestamp,
    /// Whether no container will be started again.
    pub is_terminal: bool,
    /// What ends the pod from outside: phase Failed with this reason.
    pub verdict: Option<&'a Failure>,
    /// The verdict is no fault of the pod's.
    pub is_disrupted: bool,
}

impl Facts<'_> {
    fn container_id(&self, id: &str) -> String {
        format!("{}://{id}", self.runtime)
    }
}

/// Makes the status of a pod. `old` is what was last said of it.
///
/// Follows pkg/kubelet/kubelet_pods.go, generateAPIPodStatus.
pub fn generate(pod: &Pod, old: &PodStatus, observed: &Observed, facts: &Facts<'_>) -> PodStatus {
    let of = |statuses: &Option<Vec<ContainerStatus>>| statuses.clone().unwrap_or_default();
    let regular = &spec(pod).containers;
    let mut statuses = containers::statuses(
        pod,
        regular,
        false,
        &of(&old.container_statuses),
        observed,
        facts,
    );
    let old_init = of(&old.init_container_statuses);
    let init = init_containers(pod);
    let mut init_statuses = containers::statuses(pod, init, true, &old_init, observed, facts);
    let debug: Vec<Container> = ephemeral_containers(pod).iter().map(plain).collect();
    let old_debug = of(&old.ephemeral_container_statuses);
    let mut debug_statuses = containers::statuses(pod, &debug, false, &old_debug, observed, facts);
    for status in &mut statuses {
        mark_ready(pod, status, facts);
    }
    for (status, container) in init_statuses.iter_mut().zip(init) {
        mark_init_ready(pod, status, container, facts);
    }
    // Upstream's order: init containers as they run, the others by name.
    statuses.sort_by(|one, two| one.name.cmp(&two.name));
    debug_statuses.sort_by(|one, two| one.name.cmp(&two.name));
    let all: Vec<ContainerStatus> = statuses.iter().chain(&init_statuses).cloned().collect();
    let has_initialized = regular.iter().any(|container| {
        observed
            .active(&container.name)
            .is_some_and(|status| status.state != RuntimeState::Created)
    });
    let known = crate::pod::phase(pod);
    let mut phase = phase::phase(pod, &all, facts.is_terminal, has_initialized).to_owned();
    if let Some(ended) = [old.phase.as_deref().unwrap_or_default(), known]
        .into_iter()
        .find(|phase| is_terminal(phase))
    {
        // A pod never leaves a terminal phase.
        phase = ended.to_owned();
    } else if facts.verdict.is_some() {
        phase = "Failed".to_owned();
    }
    let (reason, message) = explanation(pod, old, &phase, facts);
    let has_network =
        observed.ready_sandbox().is_some() && (is_host_network(pod) || !observed.ips.is_empty());
    let mut conditions = conditions::conditions(pod, old, &all, &phase, has_network, facts.now);
    if let Some(verdict) = facts.verdict.filter(|_| facts.is_disrupted) {
        let message = verdict.message.clone();
        conditions::disrupt(&mut conditions, pod, old, message, facts.now);
    }
    let mut status = PodStatus {
        phase: Some(phase),
        reason,
        message,
        conditions: Some(conditions),
        container_statuses: some(statuses),
        init_container_statuses: some(init_statuses),
        ephemeral_container_statuses: some(debug_statuses),
        qos_class: Some(qos(pod).as_str().to_owned()),
        start_time: old.start_time.clone(),
        observed_generation: pod.metadata.generation,
        nominated_node_name: old.nominated_node_name.clone(),
        ..PodStatus::default()
    };
    addresses(pod, &mut status, old, observed, facts);
    status
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// Why the pod is in its phase: said once, kept as long as the phase lasts.
fn explanation(
    pod: &Pod,
    old: &PodStatus,
    phase: &str,
    facts: &Facts<'_>,
) -> (Option<String>, Option<String>) {
    if old.phase.as_deref() == Some(phase) {
        let known = pod.status.as_ref();
        let reason = old.reason.clone().or(known.and_then(|s| s.reason.clone()));
        let message = old
            .message
            .clone()
            .or(known.and_then(|s| s.message.clone()));
        if reason.is_some() || message.is_some() || facts.verdict.is_none() {
            return (reason, message);
        }
    }
    match facts.verdict {
        Some(verdict) => (Some(verdict.reason.clone()), Some(verdict.message.clone())),
        None => (None, None),
    }
}

fn addresses(
    pod: &Pod,
    status: &mut PodStatus,
    old: &PodStatus,
    observed: &Observed,
    facts: &Facts<'_>,
) {
    let hosts: Vec<HostIP> = facts
        .host_ips
        .iter()
        .map(|ip| HostIP { ip: ip.clone() })
        .collect();
    status.host_ip = facts.host_ips.first().cloned();
    status.host_ips = some(hosts);
    let ips: &[String] = if is_host_network(pod) {
        facts.host_ips
    } else {
        &observed.ips
    };
    if ips.is_empty() && facts.is_terminal {
        // The network of an ended pod is given back; where it was is still of interest.
        status.pod_ip = old.pod_ip.clone();
        status.pod_ips = old.pod_ips.clone();
        return;
    }
    let list: Vec<PodIP> = ips.iter().map(|ip| PodIP { ip: ip.clone() }).collect();
    status.pod_ip = ips.first().cloned();
    status.pod_ips = some(list);
}

/// Follows pkg/kubelet/prober/prober_manager.go, UpdatePodStatus.
fn mark_ready(pod: &Pod, status: &mut ContainerStatus, facts: &Facts<'_>) {
    let running = status
        .state
        .as_ref()
        .is_some_and(|state| state.running.is_some());
    let id = bare_id(status.container_id.as_deref());
    let started = running && facts.probes.started(pod.uid(), &status.name, id);
    status.started = Some(started);
    status.ready = started && facts.probes.ready(pod.uid(), &status.name, id);
}

fn mark_init_ready(
    pod: &Pod,
    status: &mut ContainerStatus,
    container: &Container,
    facts: &Facts<'_>,
) {
    if is_sidecar(container) {
        mark_ready(pod, status, facts);
        return;
    }
    let succeeded = status
        .state
        .as_ref()
        .and_then(|state| state.terminated.as_ref())
        .is_some_and(|ended| ended.exit_code == 0);
    status.ready = succeeded;
    status.started = Some(false);
}

/// The id without the runtime's name.
pub fn bare_id(id: Option<&str>) -> &str {
    let id = id.unwrap_or_default();
    id.split_once("://").map_or(id, |(_, id)| id)
}

#[cfg(test)]
mod tests;
