//! Stopping containers: hooks, grace, order.
//!
//! Follows pkg/kubelet/kuberuntime/kuberuntime_container.go, killContainer, and
//! kuberuntime_termination_order.go: sidecars end after the containers that
//! they serve, in the reverse of their order, within the same grace.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use container::status::{ContainerState, ContainerStatus};
use futures::future::join_all;
use stdx::CancellationToken;
use typed::api::core::v1::{Container, Pod, Probe};

use crate::context::Context;
use crate::doors::Kind;
use crate::hooks;
use crate::observed::Observed;
use crate::plan::KillReason;
use crate::pod::{container, grace_seconds, init_containers, is_sidecar, spec};

/// The least time between the stop signal and the end.
const GRACE_MIN: Duration = Duration::from_secs(2);

/// Which containers have had their hook: it runs once even if the grace is shortened.
pub type HooksDone = Mutex<std::collections::HashSet<String>>;

/// How a container is stopped.
pub struct Kill<'a> {
    /// What to tell in the event; empty for the usual words.
    pub message: &'a str,
    /// Why.
    pub reason: KillReason,
    /// Seconds instead of the pod's own.
    pub grace: Option<i64>,
    /// What must have ended before.
    pub after: Vec<CancellationToken>,
}

/// Stops one container.
pub async fn container_now(
    cx: &Context,
    pod: &Pod,
    observed: &Observed,
    status: &ContainerStatus,
    kill: Kill<'_>,
    hooks_done: &HooksDone,
) -> Result<(), container::Error> {
    let name = &status.name;
    let spec = container(pod, name).map(|(_, container)| container.into_owned());
    let seconds = kill
        .grace
        .unwrap_or_else(|| grace(pod, spec.as_ref(), kill.reason));
    let message = match kill.message {
        "" => format!("Stopping container {name}"),
        message => message.to_owned(),
    };
    let first_time = hooks_done
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .insert(status.id.clone());
    if first_time {
        cx.container_event(pod, name, Kind::Normal, "Killing", message);
    }
    let deadline = cx.clock.now() + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    if let Some(spec) = spec.as_ref().filter(|_| first_time && seconds > 0) {
        let left = deadline - cx.clock.now();
        pre_stop(cx, pod, observed, spec, status, left).await;
    }
    if seconds > 0 {
        let turn = async {
            for before in &kill.after {
                before.cancelled().await;
            }
        };
        let _ = cx.clock.timeout(deadline - cx.clock.now(), turn).await;
    }
    let left = (deadline - cx.clock.now()).max(GRACE_MIN);
    cx.runtime.stop_container(&status.id, left).await
}

async fn pre_stop(
    cx: &Context,
    pod: &Pod,
    observed: &Observed,
    spec: &Container,
    status: &ContainerStatus,
    left: Duration,
) {
    let handler = spec.lifecycle.as_ref().and_then(|l| l.pre_stop.as_ref());
    let Some(handler) = handler.filter(|_| status.state == ContainerState::Running) else {
        return;
    };
    let ip = observed.ips.first().map(String::as_str);
    let ip = ip.or_else(|| cx.config.node_ips.first().map(String::as_str));
    let hook = hooks::run(
        &*cx.runtime,
        &cx.clock,
        handler,
        spec,
        &status.id,
        ip.unwrap_or_default(),
    );
    match cx.clock.timeout(left, hook).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(container = status.name, %error, "preStop hook failed");
            // The text may quote secrets and stays out of the event.
            cx.container_event(
                pod,
                &status.name,
                Kind::Warning,
                "FailedPreStopHook",
                "PreStopHook failed",
            );
        }
        Err(_) => tracing::warn!(
            container = status.name,
            "preStop hook took all of the grace"
        ),
    }
}

/// Seconds that a container may take to end.
fn grace(pod: &Pod, container: Option<&Container>, reason: KillReason) -> i64 {
    if let Some(seconds) = pod.metadata.deletion_grace_period_seconds {
        return seconds;
    }
    let own =
        |probe: Option<&Probe>| probe.and_then(|probe| probe.termination_grace_period_seconds);
    let by_probe = container.and_then(|container| match reason {
        KillReason::Liveness => own(container.liveness_probe.as_ref()),
        KillReason::Startup => own(container.startup_probe.as_ref()),
        _ => None,
    });
    by_probe.unwrap_or_else(|| grace_seconds(pod))
}

/// Stops all containers of a pod, and its sandboxes.
pub async fn whole_pod(
    cx: &Context,
    pod: &Pod,
    observed: &Observed,
    grace: Option<i64>,
    hooks_done: &HooksDone,
) -> Result<(), container::Error> {
    let order = Order::new(pod, observed);
    let kills = observed.alive().map(|status| {
        let kill = Kill {
            message: "",
            reason: KillReason::PodEnds,
            grace,
            after: order.before(&status.name),
        };
        let done = order.done(&status.name);
        async move {
            let result = container_now(cx, pod, observed, status, kill, hooks_done).await;
            done.cancel();
            result
        }
    });
    for result in join_all(kills).await {
        result?;
    }
    for sandbox in &observed.sandboxes {
        cx.runtime.stop_sandbox(&sandbox.id).await?;
    }
    Ok(())
}

/// Who ends before whom.
struct Order {
    done: HashMap<String, CancellationToken>,
    before: HashMap<String, Vec<String>>,
}

impl Order {
    fn new(pod: &Pod, observed: &Observed) -> Order {
        let done = observed
            .alive()
            .map(|status| (status.name.clone(), CancellationToken::new()))
            .collect();
        let mut earlier: Vec<String> = spec(pod)
            .containers
            .iter()
            .map(|container| container.name.clone())
            .collect();
        let mut before = HashMap::new();
        let sidecars = init_containers(pod)
            .iter()
            .filter(|container| is_sidecar(container));
        for sidecar in sidecars.rev() {
            before.insert(sidecar.name.clone(), earlier.clone());
            earlier.push(sidecar.name.clone());
        }
        Order { done, before }
    }

    fn done(&self, name: &str) -> CancellationToken {
        self.done.get(name).cloned().unwrap_or_default()
    }

    fn before(&self, name: &str) -> Vec<CancellationToken> {
        let names = self.before.get(name).map(Vec::as_slice).unwrap_or_default();
        names
            .iter()
            .filter_map(|name| self.done.get(name).cloned())
            .collect()
    }
}
