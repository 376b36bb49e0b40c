//! The loop of one probe of one container.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use typed::Typed;
use typed::api::core::v1::{Container, ContainerStatus, Pod, PodStatus, Probe};

use super::{Inner, Kind, Outcome, Target};
use crate::doors;
use crate::events::container_reference;
use crate::pod::{is_terminal, restart_policy};
use crate::status::bare_id;

/// Attempts when the probe itself does not work.
const TRIES: u32 = 3;

pub(super) struct Worker {
    shared: Arc<Inner>,
    pod: Arc<Pod>,
    container: Container,
    kind: Kind,
    probe: Probe,
    trigger: Arc<Notify>,
    container_id: String,
    last: Option<bool>,
    run: i32,
    /// Nothing to find out until there is a new container.
    on_hold: bool,
}

enum Step {
    Go,
    End,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Inner>,
        pod: Arc<Pod>,
        container: Container,
        kind: Kind,
        probe: Probe,
        trigger: Arc<Notify>,
    ) -> Self {
        Self {
            shared,
            pod,
            container,
            kind,
            probe,
            trigger,
            container_id: String::new(),
            last: None,
            run: 0,
            on_hold: false,
        }
    }

    pub(super) async fn run(mut self) {
        let seconds = self.probe.period_seconds.unwrap_or(10).max(1);
        let period = Duration::from_secs(u64::try_from(seconds).unwrap_or(10));
        loop {
            if matches!(self.step().await, Step::End) {
                return;
            }
            // Pods that started together drift apart, so that they are not probed together.
            let pause = self.shared.rng.jitter(period, 0.02);
            tokio::select! {
                () = self.shared.clock.sleep(pause) => {}
                () = self.trigger.notified() => {}
            }
        }
    }

    async fn step(&mut self) -> Step {
        let Some(status) = self.shared.status.get(self.pod.uid()) else {
            return Step::Go;
        };
        if is_terminal(status.phase.as_deref().unwrap_or_default()) {
            return Step::End;
        }
        let Some(own) = find(&status, &self.container.name) else {
            return Step::Go;
        };
        let id = bare_id(own.container_id.as_deref());
        if id.is_empty() {
            return Step::Go;
        }
        self.follow(id);
        if self.on_hold {
            return Step::Go;
        }
        let state = own.state.clone().unwrap_or_default();
        let Some(running) = &state.running else {
            self.set(Some(false));
            let ended = state.terminated.is_some() && restart_policy(&self.pod) == "Never";
            let own_policy = self.container.restart_policy.is_some();
            return if ended && !own_policy {
                Step::End
            } else {
                Step::Go
            };
        };
        let since = running.started_at.as_ref().map(|time| time.0);
        let delay = i64::from(self.probe.initial_delay_seconds.unwrap_or(0));
        let now = self.shared.clock.wall();
        if since.is_some_and(|since| now.as_second() - since.as_second() < delay) {
            return Step::Go;
        }
        // The startup probe ends with the start; the others begin with it.
        let started = own.started == Some(true);
        if started == (self.kind == Kind::Startup) {
            return Step::Go;
        }
        self.attempt(&status).await;
        Step::Go
    }

    /// Begins anew when the container is a new one.
    fn follow(&mut self, id: &str) {
        if self.container_id == id {
            return;
        }
        if !self.container_id.is_empty() {
            let old = (std::mem::take(&mut self.container_id), self.kind);
            self.shared.state().results.remove(&old);
        }
        self.container_id = id.to_owned();
        self.last = None;
        self.run = 0;
        self.on_hold = false;
        self.set(match self.kind {
            Kind::Liveness => Some(true),
            Kind::Readiness => Some(false),
            Kind::Startup => None,
        });
    }

    fn set(&self, result: Option<bool>) {
        self.shared
            .set(self.pod.uid(), &self.container_id, self.kind, result);
    }

    async fn attempt(&mut self, status: &PodStatus) {
        let target = Target {
            pod: Arc::clone(&self.pod),
            container: self.container.clone(),
            container_id: self.container_id.clone(),
            pod_ip: status.pod_ip.clone().unwrap_or_default(),
            probe: self.probe.clone(),
        };
        let outcome = self.try_often(&target).await;
        let word = match &outcome {
            Outcome::Success | Outcome::Warning(_) => "successful",
            Outcome::Failure(_) => "failed",
            Outcome::Error(_) => "unknown",
        };
        self.shared.metrics.probe(self.kind, word);
        let result = match outcome {
            Outcome::Success => true,
            Outcome::Warning(text) => {
                let text = format!("{} probe warning: {text}", self.kind.as_str());
                self.tell("ProbeWarning", text);
                true
            }
            Outcome::Failure(text) => {
                let text = format!("{} probe failed: {text}", self.kind.as_str());
                self.tell("Unhealthy", text);
                false
            }
            Outcome::Error(text) => {
                let kind = self.kind.as_str();
                let text = format!("{kind} probe errored and resulted in unknown state: {text}");
                self.tell("Unhealthy", text);
                return;
            }
        };
        self.judge(result);
    }

    async fn try_often(&self, target: &Target) -> Outcome {
        let mut outcome = Outcome::Error(String::new());
        for _ in 0..TRIES {
            outcome = self.shared.prober.probe(target).await;
            if !matches!(outcome, Outcome::Error(_)) {
                break;
            }
        }
        outcome
    }

    /// A result counts when it was the same often enough.
    fn judge(&mut self, result: bool) {
        if self.last == Some(result) {
            self.run = self.run.saturating_add(1);
        } else {
            self.last = Some(result);
            self.run = 1;
        }
        let needed = if result {
            self.probe.success_threshold.unwrap_or(1)
        } else {
            self.probe.failure_threshold.unwrap_or(3)
        };
        if self.run < needed {
            return;
        }
        self.set(Some(result));
        if !result && self.kind != Kind::Readiness {
            // The container will be killed; what it answers until then is of no interest.
            self.on_hold = true;
            self.run = 0;
        }
    }

    fn tell(&self, reason: &str, message: String) {
        let object = container_reference(&self.pod, &self.container.name);
        self.shared
            .events
            .event(&object, doors::Kind::Warning, reason, message);
    }
}

fn find<'a>(status: &'a PodStatus, name: &str) -> Option<&'a ContainerStatus> {
    let regular = status.container_statuses.iter().flatten();
    let init = status.init_container_statuses.iter().flatten();
    regular.chain(init).find(|status| status.name == name)
}
