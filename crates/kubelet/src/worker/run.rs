//! The life of one pod on this node: run, end, be cleaned up, be forgotten.
//!
//! Follows pkg/kubelet/pod_workers.go in its stages and kubelet.go, SyncPod,
//! SyncTerminatingPod and SyncTerminatedPod, in what each does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use stdx::{Backoff, CancellationToken};
use tokio::sync::Notify;
use typed::Typed;
use typed::api::core::v1::{Pod, PodStatus};

use super::backoff::CrashBackoff;
use super::execute::Stuck;
use super::kill::HooksDone;
use super::mount::MountBackoff;
use super::{Desired, Shared, messages};
use crate::context::Context;
use crate::metrics;
use crate::observed::Observed;
use crate::plan::plan;
use crate::pod::{is_host_network, is_terminal, phase, spec};
use crate::status::{self, ContainerFailures, Facts, Failure};
use crate::volumes::Written;

/// A pod is looked at this often even if nothing happens.
const RESYNC: Duration = Duration::from_secs(60);

/// The worker of one pod.
pub struct PodWorker {
    pub(super) cx: Arc<Context>,
    pub(super) uid: String,
    shared: Arc<Shared>,
    wake: Arc<Notify>,
    /// Cancelled when the pod is to end, so that nothing long is waited for.
    pub(super) ending: CancellationToken,
    pub(super) backoff: CrashBackoff,
    pub(super) failures: ContainerFailures,
    pub(super) hooks_done: HooksDone,
    pub(super) written: Written,
    pub(super) mount_backoff: MountBackoff,
    messages: HashMap<String, String>,
    retry: Backoff,
}

/// What to do after a look.
enum Next {
    Wait(Duration),
    End,
}

impl PodWorker {
    pub(super) fn new(cx: Arc<Context>, uid: String, shared: Arc<Shared>) -> Self {
        let wake = cx.wakes.register(&uid);
        let ending = shared.ending.clone();
        Self {
            cx,
            uid,
            shared,
            wake,
            ending,
            backoff: CrashBackoff::default(),
            failures: ContainerFailures::new(),
            hooks_done: HooksDone::default(),
            written: Written::default(),
            mount_backoff: MountBackoff::default(),
            messages: HashMap::new(),
            retry: Backoff::new(Duration::from_secs(1), Duration::from_secs(10)).jitter(0.1),
        }
    }

    pub(super) async fn run(mut self) {
        self.live().await;
        self.cx.probes.stop_judging(&self.uid);
        self.end().await;
        self.cx.probes.remove(&self.uid);
        self.clean_up().await;
        self.forget().await;
    }

    fn desired(&self) -> Desired {
        self.shared.desired()
    }

    pub(super) async fn look(&self) -> Result<Observed, container::Error> {
        Observed::look(&*self.cx.runtime, &*self.cx.network, &self.uid).await
    }

    /// Keeps the pod as it shall be until it is to end.
    async fn live(&mut self) {
        loop {
            let desired = self.desired();
            if desired.is_ending() {
                return;
            }
            self.cx.metrics.count(metrics::POD_SYNCS, String::new());
            match self.sync(&desired.pod).await {
                Next::End => return,
                Next::Wait(time) => self.pause(time).await,
            }
        }
    }

    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = self.wake.notified() => {}
            () = self.cx.clock.sleep(time) => {}
        }
    }

    fn later(&mut self) -> Duration {
        self.retry.next(&self.cx.rng)
    }

    async fn sync(&mut self, pod: &Arc<Pod>) -> Next {
        if let Some(failure) = self.past_deadline(pod) {
            self.cx
                .normal(pod, &failure.reason, failure.message.clone());
            self.shared.end_with(failure);
            return Next::End;
        }
        // Asked before the look: while the network opens, a pod that runs has no addresses yet.
        let unready = self.cx.network.unready();
        let observed = match self.look().await {
            Ok(observed) => observed,
            Err(error) => {
                tracing::warn!(pod = pod.key(), error = error.chain(), "cannot look at pod");
                return Next::Wait(self.later());
            }
        };
        let status = self.say(pod, &observed);
        if is_terminal(status.phase.as_deref().unwrap_or_default()) {
            return Next::End;
        }
        if let Some(why) = unready.filter(|_| !is_host_network(pod)) {
            let text = format!("network is not ready: {why}");
            self.cx.warn(pod, "NetworkNotReady", text);
            return Next::Wait(self.later());
        }
        self.cx.objects.register(pod);
        self.cx.probes.add(pod);
        let ids = observed.containers.iter().map(|c| c.id.as_str());
        let actions = plan(pod, &observed, &self.cx.probes.results(ids));
        let acted = !actions.is_empty();
        let outcome = self.execute(pod, &observed, actions).await;
        if !acted {
            let refreshed = self.refresh_volumes(pod, &observed).await;
            return match refreshed {
                Ok(()) => self.next(pod, None),
                Err(stuck) => self.stuck(pod, &stuck),
            };
        }
        if let Ok(observed) = self.look().await {
            let status = self.say(pod, &observed);
            if is_terminal(status.phase.as_deref().unwrap_or_default()) {
                return Next::End;
            }
        }
        match outcome {
            Ok(again) => self.next(pod, again),
            Err(stuck) => self.stuck(pod, &stuck),
        }
    }

    /// All went well: look again when something is due.
    fn next(&mut self, pod: &Pod, again: Option<Duration>) -> Next {
        self.retry.reset();
        let mut wait = again.map_or(RESYNC, |again| again.min(RESYNC));
        if let Some(left) = self.until_deadline(pod) {
            wait = wait.min(left);
        }
        Next::Wait(wait.max(Duration::from_millis(1)))
    }

    /// Something failed: look again when it may be over.
    fn stuck(&mut self, pod: &Pod, stuck: &Stuck) -> Next {
        let wait = stuck.again.unwrap_or_else(|| self.later());
        let left = self.until_deadline(pod).unwrap_or(wait);
        Next::Wait(wait.min(left).max(Duration::from_millis(1)))
    }

    /// Says how the pod is.
    fn say(&mut self, pod: &Arc<Pod>, observed: &Observed) -> PodStatus {
        let status = self.status(pod, observed, false);
        self.cx.status.set(pod, status)
    }

    pub(super) fn status(
        &mut self,
        pod: &Arc<Pod>,
        observed: &Observed,
        is_terminal: bool,
    ) -> PodStatus {
        messages::read_all(&observed.containers, &mut self.messages);
        let words = self
            .messages
            .iter()
            .filter(|(_, words)| !words.is_empty())
            .map(|(id, words)| (id.clone(), words.clone()))
            .collect();
        let Desired {
            verdict,
            rejected,
            disrupted,
            ..
        } = self.desired();
        let facts = Facts {
            runtime: &self.cx.runtime_name,
            failures: &self.failures,
            messages: &words,
            probes: &self.cx.probes,
            host_ips: &self.cx.config.node_ips,
            now: self.now(),
            is_terminal,
            verdict: verdict.as_ref(),
            is_disrupted: disrupted,
        };
        let old = self.cx.status.last(pod);
        let mut status = status::generate(pod, &old, observed, &facts);
        if rejected {
            // Containers that will never be are not waited for.
            status.container_statuses = None;
            status.init_container_statuses = None;
        }
        status
    }

    /// What is left until the pod has been active for too long.
    fn until_deadline(&self, pod: &Pod) -> Option<Duration> {
        let seconds = spec(pod).active_deadline_seconds?;
        let start = self.cx.status.last(pod).start_time?.0;
        let passed = self.cx.clock.wall().duration_since(start);
        let allowed = jiff::SignedDuration::from_secs(seconds);
        Some(Duration::try_from(allowed.checked_sub(passed)?).unwrap_or_default())
    }

    fn past_deadline(&self, pod: &Pod) -> Option<Failure> {
        let left = self.until_deadline(pod)?;
        left.is_zero().then(|| {
            Failure::new(
                "DeadlineExceeded",
                "Pod was active on the node longer than the specified deadline",
            )
        })
    }

    /// Stops everything that runs.
    async fn end(&mut self) {
        self.ending.cancel();
        self.retry.reset();
        loop {
            let desired = self.desired();
            if !desired.gone && !is_terminal(phase(&desired.pod)) {
                let Ok(observed) = self.look().await else {
                    self.pause(Duration::from_secs(1)).await;
                    continue;
                };
                self.say(&desired.pod, &observed);
            }
            match self.kill_all(&desired).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    let text = format!("error killing pod: {}", error.chain());
                    self.cx.warn(&desired.pod, "FailedKillPod", text);
                    let time = self.later();
                    self.pause(time).await;
                }
            }
        }
    }

    /// Whether nothing runs any more. Begins anew when the grace is shortened.
    async fn kill_all(&mut self, desired: &Desired) -> Result<bool, container::Error> {
        let observed = self.look().await?;
        let grace = desired.grace();
        let kill =
            super::kill::whole_pod(&self.cx, &desired.pod, &observed, grace, &self.hooks_done);
        tokio::pin!(kill);
        loop {
            tokio::select! {
                result = &mut kill => {
                    result?;
                    return Ok(self.look().await?.alive().next().is_none());
                }
                () = self.wake.notified() => {
                    let now = self.shared.desired();
                    if now.grace() < grace || (grace.is_none() && now.grace().is_some()) {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Gives back what the pod had, says its last status, and waits until the
    /// API server forgets the pod.
    async fn clean_up(&mut self) {
        let mut said: Option<(bool, bool)> = None;
        loop {
            let desired = self.desired();
            let stage = (desired.pod.is_deleting(), desired.gone);
            if said != Some(stage) {
                match self.give_back(&desired).await {
                    Ok(()) => {
                        self.shared.set_over();
                        said = Some(stage);
                    }
                    Err(error) => {
                        tracing::warn!(pod = desired.pod.key(), error, "cannot clean up after pod");
                        let time = self.later();
                        self.pause(time).await;
                        continue;
                    }
                }
            }
            if desired.gone {
                return;
            }
            self.wake.notified().await;
        }
    }

    async fn give_back(&mut self, desired: &Desired) -> Result<(), String> {
        let (cx, pod) = (Arc::clone(&self.cx), &desired.pod);
        let observed = self.look().await.map_err(|error| error.chain())?;
        let last = self.last_status(pod, &observed);
        if !desired.gone {
            cx.status.set(pod, last.clone());
        }
        crate::volumes::tear_down(&*cx.mounts, &cx.pod_directory(pod))
            .map_err(|error| error.to_string())?;
        cx.network
            .detach(&self.uid)
            .await
            .map_err(|error| error.to_string())?;
        if stage_removes(desired) {
            for sandbox in &observed.sandboxes {
                let removed = cx.runtime.remove_sandbox(&sandbox.id).await;
                removed.map_err(|error| error.chain())?;
            }
        }
        let cgroup = observed
            .sandbox()
            .map(|sandbox| sandbox.cgroup_parent.clone());
        let cgroup = cgroup
            .filter(|path| !path.is_empty())
            .unwrap_or_else(|| crate::sandbox_config::cgroup(pod, &cx.config));
        cx.cgroups
            .remove(&cgroup)
            .map_err(|error| format!("remove cgroup {cgroup}: {error}"))?;
        cx.objects.unregister(&self.uid);
        cx.tokens.forget(&self.uid);
        if stage_removes(desired) {
            cx.images.release(&self.uid).await;
        }
        if !desired.gone {
            cx.status.finish(pod, last);
        }
        Ok(())
    }

    /// The status of a pod of which nothing runs any more: all has ended, seen or not.
    ///
    /// Follows pkg/kubelet/status/status_manager.go, TerminatePod.
    fn last_status(&mut self, pod: &Arc<Pod>, observed: &Observed) -> PodStatus {
        let mut status = self.status(pod, observed, true);
        let lost = |status: &mut typed::api::core::v1::ContainerStatus| {
            let ended = status
                .state
                .as_ref()
                .is_some_and(|s| s.terminated.is_some());
            if !ended {
                status.state = Some(typed::api::core::v1::ContainerState {
                    terminated: Some(status::containers::lost_at_the_end()),
                    ..Default::default()
                });
                status.ready = false;
                status.started = Some(false);
            }
        };
        let statuses = status.container_statuses.as_deref_mut().unwrap_or_default();
        let began = |status: &typed::api::core::v1::ContainerStatus| {
            let states = [status.state.as_ref(), status.last_state.as_ref()];
            let mut states = states.into_iter().flatten();
            states.any(|state| state.running.is_some() || state.terminated.is_some())
        };
        if statuses.iter().any(began) {
            statuses.iter_mut().for_each(lost);
        }
        let init = status
            .init_container_statuses
            .as_deref_mut()
            .unwrap_or_default();
        let last = init.iter().rposition(began);
        init.iter_mut()
            .take(last.map_or(0, |last| last + 1))
            .for_each(lost);
        if !is_terminal(status.phase.as_deref().unwrap_or_default()) {
            status.phase = Some("Failed".to_owned());
        }
        let phase = status.phase.clone().unwrap_or_default();
        let all: Vec<_> = status
            .container_statuses
            .iter()
            .chain(&status.init_container_statuses)
            .flatten()
            .cloned()
            .collect();
        let old = self.cx.status.last(pod);
        let mut conditions =
            status::conditions::conditions(pod, &old, &all, &phase, false, self.now());
        let Desired {
            verdict, disrupted, ..
        } = self.desired();
        if let Some(verdict) = verdict.filter(|_| disrupted) {
            status::conditions::disrupt(&mut conditions, pod, &old, verdict.message, self.now());
        }
        status.conditions = Some(conditions);
        status
    }

    /// The API server has forgotten the pod: so does the node.
    async fn forget(&mut self) {
        let pod = self.desired().pod;
        let logs = self.cx.log_directory(&pod);
        if let Err(error) = std::fs::remove_dir_all(&logs)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %logs.display(), %error, "cannot remove logs");
        }
        self.cx.status.forget(&self.uid);
    }
}

/// A pod that only completed keeps its dead containers for their logs.
fn stage_removes(desired: &Desired) -> bool {
    desired.gone || desired.pod.is_deleting()
}
