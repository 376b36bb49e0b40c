//! The statuses of a pod's containers as the API shows them.
//!
//! Follows pkg/kubelet/kubelet_pods.go, convertToAPIContainerStatuses.

use container::status::{ContainerState as RuntimeState, ContainerStatus as RuntimeStatus};
use stdx::Timestamp;
use typed::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, ContainerUser, LinuxContainerUser, Pod,
    VolumeMountStatus,
};
use typed::{Time, Typed};

use super::{ContainerFailures, Facts};
use crate::observed::Observed;
use crate::plan::should_restart;
use crate::pod::{init_containers, is_sidecar, spec, stop_signal};

const CREATING: &str = "ContainerCreating";
const INITIALIZING: &str = "PodInitializing";
const UNKNOWN: &str = "ContainerStatusUnknown";

/// The statuses of these containers, in their order.
pub fn statuses(
    pod: &Pod,
    containers: &[Container],
    is_init: bool,
    old: &[ContainerStatus],
    observed: &Observed,
    facts: &Facts<'_>,
) -> Vec<ContainerStatus> {
    containers
        .iter()
        .map(|container| {
            let old = old.iter().find(|status| status.name == container.name);
            let mut status = current(pod, container, old, observed, facts);
            if is_init && treat_as_completed(pod, container, &status, observed) {
                status.state = Some(completed_unseen());
                return status;
            }
            apply_failure(
                pod,
                container,
                is_init,
                &mut status,
                observed,
                facts.failures,
            );
            status
        })
        .collect()
}

fn current(
    pod: &Pod,
    container: &Container,
    old: Option<&ContainerStatus>,
    observed: &Observed,
    facts: &Facts<'_>,
) -> ContainerStatus {
    let mut seen = observed
        .containers
        .iter()
        .filter(|status| status.name == container.name);
    let Some(newest) = seen.next() else {
        return unseen(pod, container, old);
    };
    let mut status = convert(container, newest, old, facts);
    if let Some(previous) = seen.next() {
        status.last_state = Some(
            convert(container, previous, old, facts)
                .state
                .unwrap_or_default(),
        );
    } else if let Some(old) = old {
        // The container before this one is gone from the runtime; what was known of it stays.
        let before = if old.container_id == status.container_id {
            old.last_state.clone()
        } else {
            old.state
                .clone()
                .filter(|state| state.terminated.is_some())
                .or(old.last_state.clone())
        };
        status.last_state = before;
    }
    status
}

/// A container that the runtime does not have: not yet, or not any more.
fn unseen(pod: &Pod, container: &Container, old: Option<&ContainerStatus>) -> ContainerStatus {
    let reason = if init_containers(pod).is_empty() {
        CREATING
    } else {
        INITIALIZING
    };
    let mut status = ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        state: Some(waiting(reason, "")),
        last_state: Some(ContainerState::default()),
        volume_mounts: mounts(container),
        ..ContainerStatus::default()
    };
    let Some(old) = old else { return status };
    let old_state = old.state.clone().unwrap_or_default();
    if old_state.terminated.is_some() {
        return old.clone();
    }
    status.restart_count = old.restart_count;
    status.last_state = old.last_state.clone();
    let ended_before = old
        .last_state
        .as_ref()
        .is_some_and(|state| state.terminated.is_some());
    if old_state.running.is_some() && !ended_before {
        status.last_state = Some(ContainerState {
            terminated: Some(lost(
                "The container could not be located when the pod was deleted.  The container used to be Running",
            )),
            ..ContainerState::default()
        });
        if !pod.is_deleting() {
            status.restart_count += 1;
        }
    }
    status
}

fn lost(message: &str) -> ContainerStateTerminated {
    ContainerStateTerminated {
        reason: Some(UNKNOWN.to_owned()),
        message: Some(message.to_owned()),
        exit_code: container::status::EXIT_KILLED,
        ..ContainerStateTerminated::default()
    }
}

/// What is written when a pod ends with a container that nobody saw end.
pub fn lost_at_the_end() -> ContainerStateTerminated {
    lost("The container could not be located when the pod was terminated")
}

fn convert(
    container: &Container,
    seen: &RuntimeStatus,
    old: Option<&ContainerStatus>,
    facts: &Facts<'_>,
) -> ContainerStatus {
    let id = facts.container_id(&seen.id);
    let mut status = ContainerStatus {
        name: seen.name.clone(),
        restart_count: i32::try_from(seen.attempt).unwrap_or(i32::MAX),
        image: seen.image.clone(),
        image_id: seen.image_ref.clone(),
        container_id: Some(id.clone()),
        volume_mounts: old
            .and_then(|old| old.volume_mounts.clone())
            .or_else(|| mounts(container)),
        resources: container.resources.clone(),
        allocated_resources: container
            .resources
            .as_ref()
            .and_then(|resources| resources.requests.clone()),
        stop_signal: stop_signal(container).map(str::to_owned),
        user: user(seen),
        last_state: Some(ContainerState::default()),
        ..ContainerStatus::default()
    };
    status.state = Some(match seen.state {
        RuntimeState::Running => ContainerState {
            running: Some(ContainerStateRunning {
                started_at: time(seen.started_ns),
            }),
            ..ContainerState::default()
        },
        RuntimeState::Exited => ContainerState {
            terminated: Some(ContainerStateTerminated {
                exit_code: seen.exit_code,
                reason: some(&seen.reason),
                message: facts
                    .messages
                    .get(&seen.id)
                    .cloned()
                    .or(some(&seen.message)),
                started_at: time(seen.started_ns).or_else(|| time(Some(seen.created_ns))),
                finished_at: time(seen.finished_ns),
                container_id: Some(id),
                ..ContainerStateTerminated::default()
            }),
            ..ContainerState::default()
        },
        RuntimeState::Unknown if was_running(old) => {
            status.restart_count = old.map_or(0, |old| old.restart_count) + 1;
            ContainerState {
                terminated: Some(lost_at_the_end()),
                ..ContainerState::default()
            }
        }
        RuntimeState::Created | RuntimeState::Unknown => waiting("", ""),
    });
    status
}

fn was_running(old: Option<&ContainerStatus>) -> bool {
    old.and_then(|old| old.state.as_ref())
        .is_some_and(|state| state.running.is_some())
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: some(reason),
            message: some(message),
        }),
        ..ContainerState::default()
    }
}

fn time(nanos: Option<i64>) -> Option<Time> {
    let seconds = nanos?.div_euclid(1_000_000_000);
    Timestamp::from_second(seconds).ok().map(Time)
}

fn user(seen: &RuntimeStatus) -> Option<ContainerUser> {
    let user = seen.user.as_ref()?;
    let groups = user.supplemental_groups.iter().map(|gid| i64::from(*gid));
    Some(ContainerUser {
        linux: Some(LinuxContainerUser {
            uid: i64::from(user.uid),
            gid: i64::from(user.gid),
            supplemental_groups: Some(groups.collect()),
        }),
    })
}

fn mounts(container: &Container) -> Option<Vec<VolumeMountStatus>> {
    let mounts = container.volume_mounts.as_ref()?;
    let status = mounts.iter().map(|mount| {
        let read_only = mount.read_only == Some(true);
        let recursive = match mount.recursive_read_only.as_deref() {
            Some("Enabled" | "IfPossible") => "Enabled",
            _ => "Disabled",
        };
        VolumeMountStatus {
            name: mount.name.clone(),
            mount_path: mount.mount_path.clone(),
            read_only: mount.read_only,
            recursive_read_only: read_only.then(|| recursive.to_owned()),
            volume_status: None,
        }
    });
    Some(status.collect())
}

/// An init container whose record is gone must have succeeded if the regular
/// containers were started.
fn treat_as_completed(
    pod: &Pod,
    container: &Container,
    status: &ContainerStatus,
    observed: &Observed,
) -> bool {
    let waits = status
        .state
        .as_ref()
        .is_some_and(|state| state.waiting.is_some());
    let initialized = spec(pod)
        .containers
        .iter()
        .any(|container| observed.newest(&container.name).is_some());
    waits && initialized && !is_sidecar(container) && observed.newest(&container.name).is_none()
}

fn completed_unseen() -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            reason: Some("Completed".to_owned()),
            message: Some(
                "Unable to get init container status from container runtime and pod has been initialized, treat it as exited normally".to_owned(),
            ),
            exit_code: 0,
            ..ContainerStateTerminated::default()
        }),
        ..ContainerState::default()
    }
}

/// A container that is to be started again and cannot be, waits.
fn apply_failure(
    pod: &Pod,
    container: &Container,
    is_init: bool,
    status: &mut ContainerStatus,
    observed: &Observed,
    failures: &ContainerFailures,
) {
    let newest = observed.newest(&container.name);
    let succeeded =
        newest.is_some_and(|seen| seen.state == RuntimeState::Exited && seen.exit_code == 0);
    if is_init && succeeded && !is_sidecar(container) {
        return;
    }
    if !should_restart(pod, container, observed) {
        return;
    }
    let Some(failure) = failures.get(&container.name) else {
        return;
    };
    let ended = status
        .state
        .as_ref()
        .is_some_and(|state| state.terminated.is_some());
    if ended {
        status.last_state = status.state.take();
    }
    status.state = Some(waiting(&failure.reason, &failure.message));
}
