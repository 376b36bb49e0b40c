//! Carrying out a plan, step by step.

use std::sync::Arc;
use std::time::Duration;

use typed::Typed;
use typed::api::core::v1::Pod;
use typed::api::node::v1::RuntimeClass;

use super::images::ImageVolumes;
use super::kill::{self, Kill};
use super::run::PodWorker;
use super::start::NotStarted;
use crate::dns;
use crate::doors::PodNetwork;
use crate::hosts::host_name;
use crate::metrics;
use crate::observed::Observed;
use crate::plan::{Action, KillReason};
use crate::pod::{ContainerKind, init_containers, is_host_network, spec};
use crate::sandbox_config::{SandboxParts, port_mappings, sandbox_config};
use crate::volumes::Mounted;

/// How it goes.
#[derive(Default)]
struct Course {
    mounted: Mounted,
    /// What came of the image volumes, once a container needed to know.
    images: Option<ImageVolumes>,
    /// When to look again.
    again: Option<Duration>,
    /// Something failed.
    failed: bool,
    /// What comes later must wait.
    held_up: bool,
}

/// The pod cannot go on now.
#[derive(Default)]
pub(super) struct Stuck {
    /// When to look again, if that is known.
    pub(super) again: Option<Duration>,
}

impl From<()> for Stuck {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl Course {
    fn note(&mut self, kind: ContainerKind, error: &NotStarted) {
        match error.again {
            Some(time) => self.again = Some(self.again.map_or(time, |known| known.min(time))),
            None => self.failed = true,
        }
        // A failed init container holds up the rest; a sidecar does not.
        self.held_up |= kind == ContainerKind::Init;
    }
}

impl PodWorker {
    /// Does the steps. Answers when to look again, or that something failed
    /// which no container's status tells.
    pub(super) async fn execute(
        &mut self,
        pod: &Arc<Pod>,
        observed: &Observed,
        actions: Vec<Action>,
    ) -> Result<Option<Duration>, Stuck> {
        let mut course = Course::default();
        for action in actions {
            if self.ending.is_cancelled() || course.held_up {
                break;
            }
            self.step(pod, observed, action, &mut course).await?;
        }
        if course.failed {
            Err(Stuck::default())
        } else {
            Ok(course.again)
        }
    }

    async fn step(
        &mut self,
        pod: &Arc<Pod>,
        observed: &Observed,
        action: Action,
        course: &mut Course,
    ) -> Result<(), Stuck> {
        match action {
            Action::KillPod { .. } => self.kill_pod(pod, observed).await?,
            Action::PurgeInit => self.purge_init(pod, observed).await?,
            Action::Kill {
                id,
                message,
                reason,
                ..
            } => self.kill_one(pod, observed, &id, &message, reason).await?,
            Action::Volumes => course.mounted = self.mount(pod, observed).await?,
            Action::Sandbox { attempt, replaces } => {
                self.make_sandbox(pod, attempt, replaces.is_some()).await?;
                // Volumes may tell the pod's address, which is known only now.
                let mounted = std::mem::take(&mut course.mounted);
                course.mounted = self.mount_again(pod, mounted).await?;
            }
            Action::Start { kind, name } => self.start_in(pod, kind, name, course).await,
        }
        Ok(())
    }

    async fn start_in(
        &mut self,
        pod: &Pod,
        kind: ContainerKind,
        name: String,
        course: &mut Course,
    ) {
        let images = match course.images.take() {
            Some(images) => images,
            None => self.image_volumes(pod, &course.mounted).await,
        };
        let started = self.start(pod, kind, &name, &course.mounted, &images).await;
        course.images = Some(images);
        match started {
            Ok(()) => {
                self.failures.remove(&name);
            }
            Err(error) => {
                course.note(kind, &error);
                self.failures.insert(name, error.failure);
            }
        }
    }

    async fn kill_one(
        &self,
        pod: &Pod,
        observed: &Observed,
        id: &str,
        message: &str,
        reason: KillReason,
    ) -> Result<(), ()> {
        let Some(status) = observed.by_id(id) else {
            return Ok(());
        };
        let kill = Kill {
            message,
            reason,
            grace: None,
            after: Vec::new(),
        };
        let killed =
            kill::container_now(&self.cx, pod, observed, status, kill, &self.hooks_done).await;
        killed.map_err(|error| {
            let text = format!("error killing pod: {}", error.chain());
            self.cx.warn(pod, "FailedKillPod", text);
        })?;
        self.cx.probes.forget(std::iter::once(id));
        Ok(())
    }

    async fn kill_pod(&self, pod: &Pod, observed: &Observed) -> Result<(), ()> {
        let killed = kill::whole_pod(&self.cx, pod, observed, None, &self.hooks_done).await;
        killed.map_err(|error| {
            let text = format!("error killing pod: {}", error.chain());
            self.cx.warn(pod, "FailedKillPod", text);
        })?;
        // The address goes with the sandbox.
        if let Err(error) = self.cx.network.detach(&self.uid).await {
            tracing::warn!(pod = pod.key(), %error, "cannot disconnect pod");
            return Err(());
        }
        Ok(())
    }

    async fn purge_init(&self, pod: &Pod, observed: &Observed) -> Result<(), ()> {
        for init in init_containers(pod) {
            let old = observed.containers.iter().filter(|c| c.name == init.name);
            for status in old {
                if let Err(error) = self.cx.runtime.remove_container(&status.id).await {
                    tracing::warn!(
                        pod = pod.key(),
                        error = error.chain(),
                        "cannot remove init container"
                    );
                    return Err(());
                }
            }
        }
        Ok(())
    }

    async fn make_sandbox(&self, pod: &Pod, attempt: u32, changed: bool) -> Result<(), ()> {
        let cx = &self.cx;
        if changed {
            let text = "Pod sandbox changed, it will be killed and re-created.";
            cx.normal(pod, "SandboxChanged", text);
        }
        cx.metrics.count(metrics::STARTED_PODS, String::new());
        self.run_sandbox(pod, attempt).await.map_err(|error| {
            cx.metrics
                .count(metrics::STARTED_PODS_ERRORS, String::new());
            let text = format!("Failed to create pod sandbox: {error}");
            cx.warn(pod, "FailedCreatePodSandBox", text);
        })
    }

    async fn run_sandbox(&self, pod: &Pod, attempt: u32) -> Result<(), String> {
        let cx = &self.cx;
        let host = std::fs::read_to_string(&cx.config.resolv_conf).unwrap_or_default();
        let logs = cx.log_directory(pod);
        std::fs::create_dir_all(&logs)
            .map_err(|error| format!("create {}: {error}", logs.display()))?;
        let parts = SandboxParts {
            attempt,
            host_name: host_name(pod, &cx.config.cluster_domain)?,
            dns: dns::resolver(pod, &cx.config, &host),
            log_directory: logs,
            runtime_handler: self.runtime_handler(pod).await?,
        };
        let config = sandbox_config(pod, &cx.config, parts);
        let id = cx
            .runtime
            .run_sandbox(config)
            .await
            .map_err(|error| error.chain())?;
        if is_host_network(pod) {
            return Ok(());
        }
        let connected = self.connect(pod, &id).await;
        if connected.is_err() {
            // A sandbox without a network is of no use; the next try makes another.
            if let Err(error) = cx.runtime.remove_sandbox(&id).await {
                tracing::warn!(
                    pod = pod.key(),
                    error = error.chain(),
                    "cannot remove sandbox"
                );
            }
        }
        connected
    }

    async fn connect(&self, pod: &Pod, sandbox: &str) -> Result<(), String> {
        let cx = &self.cx;
        let status = cx
            .runtime
            .sandbox_status(sandbox)
            .await
            .map_err(|error| error.chain())?;
        let network = PodNetwork {
            uid: pod.uid().to_owned(),
            namespace: pod.namespace().to_owned(),
            name: pod.name().to_owned(),
            netns: status.netns.unwrap_or_default(),
            port_mappings: port_mappings(pod),
        };
        let attached = cx.network.attach(&network).await;
        let addresses = attached.map_err(|error| {
            format!("failed to setup network for sandbox \"{sandbox}\": {error}")
        })?;
        if addresses.is_empty() {
            return Err(format!("no address for sandbox \"{sandbox}\""));
        }
        Ok(())
    }

    async fn runtime_handler(&self, pod: &Pod) -> Result<String, String> {
        let name = spec(pod).runtime_class_name.as_deref();
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Ok(String::new());
        };
        let class = self.cx.client.api::<RuntimeClass>().get(name).await;
        let class =
            class.map_err(|error| format!("failed to get sandbox runtime: {}", error.message()))?;
        Ok(class.handler)
    }
}
