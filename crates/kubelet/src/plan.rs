//! What to do for a pod that shall run: a pure function of the pod and of what
//! was observed.
//!
//! Follows pkg/kubelet/kuberuntime/kuberuntime_manager.go, computePodActions,
//! and kuberuntime_container.go, computeInitContainerActions. One difference:
//! whether a pod was initialised is judged by its newest sandbox alone.

use std::collections::HashMap;

use container::status::{ContainerState, ContainerStatus, SandboxState};
use typed::api::core::v1::{Container, Pod};

use crate::labels::{CONTAINER_HASH, container_hash};
use crate::observed::Observed;
use crate::pod::{
    ContainerKind, ephemeral_containers, init_containers, init_kind, is_host_network, is_sidecar,
    restart_policy, restarts_after, spec,
};

/// A step towards the pod as it shall be. Steps are done in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stop all containers and the sandbox.
    KillPod {
        /// Whether a new sandbox follows.
        sandbox_changed: bool,
    },
    /// Forget the init containers of earlier sandboxes, so that they run again.
    PurgeInit,
    /// Stop one container.
    Kill {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// What to tell in the event.
        message: String,
        /// Why.
        reason: KillReason,
    },
    /// Mount the pod's volumes.
    Volumes,
    /// Make a sandbox and its network.
    Sandbox {
        /// How many the pod had before.
        attempt: u32,
        /// The one that it replaces.
        replaces: Option<String>,
    },
    /// Pull the image if need be, create the container, start it.
    Start {
        /// What it is to the pod.
        kind: ContainerKind,
        /// Its name.
        name: String,
    },
}

/// Why a container is stopped while its pod goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KillReason {
    /// Its definition changed.
    Changed,
    /// Its liveness probe failed.
    Liveness,
    /// Its startup probe failed.
    Startup,
    /// Its hook after the start failed.
    PostStart,
    /// Nobody knows whether it runs.
    Unknown,
    /// The pod ends.
    PodEnds,
}

/// What probes found out about containers, by container id.
#[derive(Clone, Debug, Default)]
pub struct ProbeResults {
    /// Whether it is alive.
    pub liveness: HashMap<String, bool>,
    /// Whether it has started.
    pub startup: HashMap<String, bool>,
}

/// Whether to make a sandbox: the attempt, and the one replaced.
/// Follows pkg/kubelet/kuberuntime/util/util.go, PodSandboxChanged.
fn sandbox_changed(pod: &Pod, observed: &Observed) -> Option<(u32, Option<String>)> {
    let Some(newest) = observed.sandbox() else {
        return Some((0, None));
    };
    let ready = observed
        .sandboxes
        .iter()
        .filter(|sandbox| sandbox.state == SandboxState::Ready)
        .count();
    let without_address =
        !is_host_network(pod) && newest.netns.is_some() && observed.ips.is_empty();
    let stays = ready == 1 && newest.state == SandboxState::Ready && !without_address;
    (!stays).then(|| (newest.attempt + 1, Some(newest.id.clone())))
}

/// What to do now. Nothing when the pod is as it shall be.
pub fn plan(pod: &Pod, observed: &Observed, probes: &ProbeResults) -> Vec<Action> {
    match sandbox_changed(pod, observed) {
        Some((attempt, replaces)) => plan_sandbox(pod, observed, attempt, replaces),
        None => plan_containers(pod, observed, probes),
    }
}

/// The pod has no usable sandbox: make one and start from the beginning, unless it is done.
fn plan_sandbox(
    pod: &Pod,
    observed: &Observed,
    attempt: u32,
    replaces: Option<String>,
) -> Vec<Action> {
    let end = vec![Action::KillPod {
        sandbox_changed: false,
    }];
    let ran = attempt != 0 && !observed.containers.is_empty();
    if ran && !any_may_restart(pod, observed) {
        return end;
    }
    let to_start: Vec<&Container> = spec(pod)
        .containers
        .iter()
        .filter(|container| !is_done(pod, container, observed))
        .collect();
    let initialized = spec(pod)
        .containers
        .iter()
        .any(|container| observed.newest(&container.name).is_some());
    if to_start.is_empty() && initialized {
        return end;
    }
    let mut actions = Vec::new();
    if replaces.is_some() {
        actions.push(Action::KillPod {
            sandbox_changed: true,
        });
        actions.push(Action::PurgeInit);
    }
    actions.push(Action::Volumes);
    actions.push(Action::Sandbox { attempt, replaces });
    match init_containers(pod).first() {
        Some(first) => actions.push(start(init_kind(first), first)),
        None => actions.extend(
            to_start
                .into_iter()
                .map(|container| start(ContainerKind::Regular, container)),
        ),
    }
    actions
}

/// Whether anything of a pod that lost its sandbox may run again.
fn any_may_restart(pod: &Pod, observed: &Observed) -> bool {
    if restart_policy(pod) != "Never" {
        return true;
    }
    let own_policy = spec(pod)
        .containers
        .iter()
        .chain(init_containers(pod))
        .filter(|container| container.restart_policy.is_some());
    let mut may = own_policy.filter(|container| {
        let exit_code = observed
            .newest(&container.name)
            .map_or(0, |status| status.exit_code);
        !is_sidecar(container) && restarts_after(container, pod, exit_code)
    });
    may.next().is_some()
}

/// Whether a regular container ended in a way that lets it rest.
fn is_done(pod: &Pod, container: &Container, observed: &Observed) -> bool {
    observed.newest(&container.name).is_some_and(|status| {
        status.state == ContainerState::Exited && !restarts_after(container, pod, status.exit_code)
    })
}

fn plan_containers(pod: &Pod, observed: &Observed, probes: &ProbeResults) -> Vec<Action> {
    let mut changes = Changes::default();
    for ephemeral in ephemeral_containers(pod) {
        if observed.newest(&ephemeral.name).is_none() {
            changes.start_now.push(Action::Start {
                kind: ContainerKind::Ephemeral,
                name: ephemeral.name.clone(),
            });
        }
    }
    match plan_init(pod, observed, probes, &mut changes) {
        Init::Failed => return changes.kill_pod(),
        Init::UnderWay => return changes.finish(),
        Init::Done => {}
    }
    let mut kept = 0;
    for container in &spec(pod).containers {
        let status = observed.newest(&container.name);
        match status.filter(|status| is_current(status, observed)) {
            Some(status) if status.state == ContainerState::Running => {
                match unwanted(container, status, probes) {
                    None => kept += 1,
                    Some((message, reason)) => {
                        changes.replace(pod, container, status, message, reason);
                    }
                }
            }
            _ if should_restart(pod, container, observed) => {
                if let Some(status) = status.filter(|s| s.state == ContainerState::Unknown) {
                    changes.kill.push(kill_unknown("Container", status));
                }
                changes.start.push(start(ContainerKind::Regular, container));
            }
            _ => {}
        }
    }
    if kept == 0 && changes.start.is_empty() {
        return changes.kill_pod();
    }
    changes.finish()
}

/// A container of an earlier sandbox cannot run any more, whatever it says.
fn is_current(status: &ContainerStatus, observed: &Observed) -> bool {
    observed
        .sandbox()
        .is_some_and(|sandbox| sandbox.id == status.sandbox_id)
}

/// Whether a container that does not run shall be started.
///
/// Follows pkg/kubelet/container/helpers.go, ShouldContainerBeRestarted.
pub fn should_restart(pod: &Pod, container: &Container, observed: &Observed) -> bool {
    if pod.metadata.deletion_timestamp.is_some() {
        return false;
    }
    match observed.newest(&container.name) {
        None => true,
        Some(status) => match status.state {
            ContainerState::Running => false,
            ContainerState::Created | ContainerState::Unknown => true,
            ContainerState::Exited => restarts_after(container, pod, status.exit_code),
        },
    }
}

/// Why a running container must go, if it must.
fn unwanted(
    container: &Container,
    status: &ContainerStatus,
    probes: &ProbeResults,
) -> Option<(String, KillReason)> {
    let name = &container.name;
    if has_changed(container, status) {
        let message = format!("Container {name} definition changed");
        return Some((message, KillReason::Changed));
    }
    if probes.liveness.get(&status.id) == Some(&false) {
        let message = format!("Container {name} failed liveness probe");
        return Some((message, KillReason::Liveness));
    }
    if probes.startup.get(&status.id) == Some(&false) {
        let message = format!("Container {name} failed startup probe");
        return Some((message, KillReason::Startup));
    }
    None
}

fn has_changed(container: &Container, status: &ContainerStatus) -> bool {
    status
        .annotations
        .get(CONTAINER_HASH)
        .is_some_and(|hash| *hash != container_hash(container))
}

/// How far the pod's initialisation has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Init {
    Done,
    UnderWay,
    Failed,
}

/// Goes through the init containers from the last to the first: the last one
/// that has a status tells how far initialisation has come; before that one
/// only sidecars matter, which must be kept running.
fn plan_init(pod: &Pod, observed: &Observed, probes: &ProbeResults, changes: &mut Changes) -> Init {
    let all = init_containers(pod);
    if all.is_empty() {
        return Init::Done;
    }
    let mut done = spec(pod)
        .containers
        .iter()
        .any(|container| observed.active(&container.name).is_some());
    let mut passed = done;
    let mut starts: Vec<usize> = Vec::new();
    for (index, container) in all.iter().enumerate().rev() {
        let sidecar = is_sidecar(container);
        let Some(status) = observed.active(&container.name) else {
            if passed && sidecar {
                starts.push(index);
            }
            continue;
        };
        if passed && !sidecar {
            continue;
        }
        let step = init_step(pod, container, status, probes);
        if step.failed {
            return Init::Failed;
        }
        if step.over {
            if index + 1 == all.len() {
                done = true;
            } else if !passed {
                starts.push(index + 1);
            }
        }
        if step.start {
            starts.push(index);
        }
        changes.kill.extend(step.kill);
        passed = true;
    }
    if !passed {
        starts.push(0);
    }
    starts.sort_unstable();
    starts.dedup();
    changes.init = starts
        .into_iter()
        .map(|index| start(init_kind(&all[index]), &all[index]))
        .collect();
    if done { Init::Done } else { Init::UnderWay }
}

/// What one init container's status means.
#[derive(Default)]
struct InitStep {
    /// The pod cannot be initialised.
    failed: bool,
    /// The next one may start.
    over: bool,
    /// It is started (again).
    start: bool,
    /// It is stopped first.
    kill: Option<Action>,
}

fn init_step(
    pod: &Pod,
    container: &Container,
    status: &ContainerStatus,
    probes: &ProbeResults,
) -> InitStep {
    let sidecar = is_sidecar(container);
    let again = || InitStep {
        start: true,
        ..InitStep::default()
    };
    match status.state {
        ContainerState::Created => again(),
        ContainerState::Running if sidecar => {
            let step = sidecar_step(container, status, probes);
            InitStep {
                failed: false,
                over: step.started,
                start: step.unwanted.is_some(),
                kill: step
                    .unwanted
                    .map(|(message, reason)| kill(status, message, reason)),
            }
        }
        ContainerState::Running => InitStep::default(),
        ContainerState::Exited if sidecar => again(),
        ContainerState::Exited if status.exit_code == 0 => InitStep {
            over: true,
            ..InitStep::default()
        },
        ContainerState::Exited | ContainerState::Unknown
            if !sidecar && !init_restarts(pod, container, status) =>
        {
            InitStep {
                failed: true,
                ..InitStep::default()
            }
        }
        ContainerState::Exited => again(),
        ContainerState::Unknown => InitStep {
            kill: Some(kill_unknown("Init container", status)),
            ..again()
        },
    }
}

/// A failed init container runs again unless the policy says never.
fn init_restarts(pod: &Pod, container: &Container, status: &ContainerStatus) -> bool {
    let code = match status.state {
        ContainerState::Exited => status.exit_code,
        _ => container::status::EXIT_KILLED,
    };
    restarts_after(container, pod, code)
}

struct SidecarStep {
    /// Whether the next container may start.
    started: bool,
    /// Why it must go.
    unwanted: Option<(String, KillReason)>,
}

fn sidecar_step(
    container: &Container,
    status: &ContainerStatus,
    probes: &ProbeResults,
) -> SidecarStep {
    let name = &container.name;
    let started =
        container.startup_probe.is_none() || probes.startup.get(&status.id) == Some(&true);
    let unwanted = if has_changed(container, status) {
        let message = format!("Init container {name} definition changed");
        Some((message, KillReason::Changed))
    } else if probes.startup.get(&status.id) == Some(&false) {
        let message = format!("Init container {name} failed startup probe");
        Some((message, KillReason::Startup))
    } else if started && probes.liveness.get(&status.id) == Some(&false) {
        let message = format!("Init container {name} failed liveness probe");
        Some((message, KillReason::Liveness))
    } else {
        None
    };
    SidecarStep { started, unwanted }
}

/// The steps while they are collected.
#[derive(Default)]
struct Changes {
    kill: Vec<Action>,
    start_now: Vec<Action>,
    init: Vec<Action>,
    start: Vec<Action>,
}

impl Changes {
    fn replace(
        &mut self,
        pod: &Pod,
        container: &Container,
        status: &ContainerStatus,
        message: String,
        reason: KillReason,
    ) {
        // A changed definition is applied whatever the policy says.
        let restart = reason == KillReason::Changed
            || restarts_after(container, pod, container::status::EXIT_KILLED);
        let message = if restart {
            self.start.push(start(ContainerKind::Regular, container));
            format!("{message}, will be restarted")
        } else {
            message
        };
        self.kill.push(kill(status, message, reason));
    }

    /// Nothing is left to run: sidecars must not keep the pod alive.
    fn kill_pod(self) -> Vec<Action> {
        vec![Action::KillPod {
            sandbox_changed: false,
        }]
    }

    fn finish(self) -> Vec<Action> {
        let starts: Vec<Action> = self
            .start_now
            .into_iter()
            .chain(self.init)
            .chain(self.start)
            .collect();
        let mut actions = self.kill;
        if !starts.is_empty() {
            actions.push(Action::Volumes);
        }
        actions.extend(starts);
        actions
    }
}

fn start(kind: ContainerKind, container: &Container) -> Action {
    Action::Start {
        kind,
        name: container.name.clone(),
    }
}

fn kill(status: &ContainerStatus, message: String, reason: KillReason) -> Action {
    Action::Kill {
        id: status.id.clone(),
        name: status.name.clone(),
        message,
        reason,
    }
}

fn kill_unknown(what: &str, status: &ContainerStatus) -> Action {
    let message = format!("{what} is in \"Unknown\" state, try killing it before restart");
    kill(status, message, KillReason::Unknown)
}

#[cfg(test)]
mod tests;
