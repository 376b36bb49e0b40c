//! Starting one container: image, configuration, creation, start, hook.
//!
//! Follows pkg/kubelet/kuberuntime/kuberuntime_container.go, startContainer;
//! reasons and events are its.

use std::time::Duration;

use container::config::Image;
use container::status::ContainerState;
use typed::Typed;
use typed::api::core::v1::{Container, Pod};

use super::backoff::Verdict;
use super::images::ImageVolumes;
use super::kill::{self, Kill};
use super::run::PodWorker;
use crate::container_config::{ContainerParts, container_config, has_hosts_file};
use crate::doors::Kind;
use crate::env::{self, Sources};
use crate::hooks;
use crate::hosts::{host_name, hosts_file};
use crate::labels::container_hash;
use crate::metrics;
use crate::observed::Observed;
use crate::plan::KillReason;
use crate::pod::{ContainerKind, container, describe, go_duration, is_host_network};
use crate::status::Failure;
use crate::status::manager::whole_seconds;
use crate::volumes::Mounted;

/// A container was not started.
pub struct NotStarted {
    /// What its status says.
    pub failure: Failure,
    /// When to try again, if that is known.
    pub again: Option<Duration>,
}

impl NotStarted {
    pub(super) fn new(reason: &str, message: impl Into<String>) -> NotStarted {
        NotStarted {
            failure: Failure::new(reason, message),
            again: None,
        }
    }
}

impl PodWorker {
    /// Starts the container of this name.
    pub(super) async fn start(
        &mut self,
        pod: &Pod,
        kind: ContainerKind,
        name: &str,
        volumes: &Mounted,
        images: &ImageVolumes,
    ) -> Result<(), NotStarted> {
        let Some((_, spec)) = container(pod, name) else {
            return Ok(());
        };
        let observed = self
            .look()
            .await
            .map_err(|error| NotStarted::new("CreateContainerError", error.chain()))?;
        self.check_backoff(pod, &spec, &observed)?;
        self.check_image_volumes(pod, &spec, images)?;
        let label = match kind {
            ContainerKind::Init | ContainerKind::Sidecar => "init_container",
            ContainerKind::Regular => "container",
            ContainerKind::Ephemeral => "ephemeral_container",
        };
        let labels = format!("container_type=\"{label}\"");
        self.cx
            .metrics
            .count(metrics::STARTED_CONTAINERS, labels.clone());
        let result = self.start_now(pod, &spec, &observed, volumes).await;
        if let Err(error) = &result {
            let labels = format!("{labels},code=\"{}\"", error.failure.reason);
            self.cx
                .metrics
                .count(metrics::STARTED_CONTAINERS_ERRORS, labels);
        }
        result
    }

    fn check_backoff(
        &mut self,
        pod: &Pod,
        spec: &Container,
        observed: &Observed,
    ) -> Result<(), NotStarted> {
        let ended = observed
            .newest(&spec.name)
            .filter(|status| status.state == ContainerState::Exited);
        let Some(ended) = ended else { return Ok(()) };
        let finished = stdx::Timestamp::from_nanosecond(i128::from(
            ended.finished_ns.unwrap_or(ended.created_ns),
        ))
        .unwrap_or_default();
        let now = self.cx.clock.wall();
        let hash = container_hash(spec);
        match self.backoff.decide(&spec.name, &hash, finished, now) {
            Verdict::Go => Ok(()),
            Verdict::Wait { delay, left } => {
                let (name, whose) = (&spec.name, describe(pod));
                let text = format!("Back-off restarting failed container {name} in pod {whose}");
                self.cx
                    .container_event(pod, name, Kind::Warning, "BackOff", text);
                let delay = go_duration(delay);
                Err(NotStarted {
                    failure: Failure::new(
                        "CrashLoopBackOff",
                        format!("back-off {delay} restarting failed container={name} pod={whose}"),
                    ),
                    again: Some(left),
                })
            }
        }
    }

    async fn start_now(
        &mut self,
        pod: &Pod,
        spec: &Container,
        observed: &Observed,
        volumes: &Mounted,
    ) -> Result<(), NotStarted> {
        let image = self.image(pod, spec).await?;
        let Some(sandbox) = observed.ready_sandbox() else {
            return Err(NotStarted::new(
                "CreateContainerError",
                "the pod has no sandbox",
            ));
        };
        let attempt = observed
            .newest(&spec.name)
            .map_or_else(|| self.attempts_in_logs(pod, &spec.name), |s| s.attempt + 1);
        let config = match self
            .configure(pod, spec, observed, image, attempt, volumes)
            .await
        {
            Ok(config) => config,
            Err(error) => {
                return Err(self.failed(pod, spec, "CreateContainerConfigError", error));
            }
        };
        if let Err(text) = self.check_image_paths(pod, &config, volumes) {
            return Err(self.failed(pod, spec, "CreateContainerError", text));
        }
        let logs = self.cx.log_directory(pod).join(&spec.name);
        if let Err(error) = std::fs::create_dir_all(&logs) {
            let text = format!("create {}: {error}", logs.display());
            return Err(self.failed(pod, spec, "CreateContainerError", text));
        }
        let created = self.cx.runtime.create_container(&sandbox.id, config).await;
        let id = match created {
            Ok(id) => id,
            Err(error) => {
                return Err(self.failed(pod, spec, "CreateContainerError", error.chain()));
            }
        };
        let text = format!("Created container: {}", spec.name);
        self.cx
            .container_event(pod, &spec.name, Kind::Normal, "Created", text);
        if let Err(error) = self.cx.runtime.start_container(&id).await {
            return Err(self.failed(pod, spec, "RunContainerError", error.chain()));
        }
        let text = format!("Started container {}", spec.name);
        self.cx
            .container_event(pod, &spec.name, Kind::Normal, "Started", text);
        self.post_start(pod, spec, &id, observed).await
    }

    fn failed(&self, pod: &Pod, spec: &Container, reason: &str, message: String) -> NotStarted {
        let text = format!("Error: {message}");
        self.cx
            .container_event(pod, &spec.name, Kind::Warning, "Failed", text);
        NotStarted::new(reason, message)
    }

    /// How often a container was started before, when the runtime has forgotten.
    fn attempts_in_logs(&self, pod: &Pod, name: &str) -> u32 {
        let directory = self.cx.log_directory(pod).join(name);
        let Ok(entries) = std::fs::read_dir(directory) else {
            return 0;
        };
        let numbers = entries.filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let number = name.to_str()?.split('.').next()?.parse::<u32>().ok()?;
            Some(number + 1)
        });
        numbers.max().unwrap_or(0)
    }

    async fn configure(
        &self,
        pod: &Pod,
        spec: &Container,
        observed: &Observed,
        image: Image,
        attempt: u32,
        volumes: &Mounted,
    ) -> Result<container::ContainerConfig, String> {
        let cx = &self.cx;
        let ips = if is_host_network(pod) {
            cx.config.node_ips.clone()
        } else {
            observed.ips.clone()
        };
        let node = cx.node_facts(ips.clone());
        let services = cx.services.list();
        let sources = Sources {
            objects: &*cx.objects,
            services: &services,
            node: &node,
        };
        let environment = env::environment(pod, spec, &sources)
            .await
            .map_err(|error| error.to_string())?;
        let hosts = self.hosts(pod, &observed.ips)?;
        let parts = ContainerParts {
            config: &cx.config,
            image,
            attempt,
            environment,
            volumes,
            pod_directory: cx.pod_directory(pod),
            hosts,
            memory: cx.memory,
            observed,
            serial: cx.rng.next_u64() & 0xffff_ffff,
        };
        container_config(pod, spec, parts).map_err(|error| error.to_string())
    }

    /// Writes the pod's hosts file.
    fn hosts(&self, pod: &Pod, ips: &[String]) -> Result<Option<std::path::PathBuf>, String> {
        if !has_hosts_file(pod, ips) {
            return Ok(None);
        }
        let path = self.cx.pod_directory(pod).join("etc-hosts");
        let name = host_name(pod, &self.cx.config.cluster_domain)?;
        let node = if is_host_network(pod) {
            std::fs::read_to_string("/etc/hosts").unwrap_or_default()
        } else {
            String::new()
        };
        let text = hosts_file(pod, ips, &name, &node);
        let written = std::fs::create_dir_all(self.cx.pod_directory(pod))
            .and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| format!("write {}: {error}", path.display()))?;
        Ok(Some(path))
    }

    async fn post_start(
        &mut self,
        pod: &Pod,
        spec: &Container,
        id: &str,
        before: &Observed,
    ) -> Result<(), NotStarted> {
        let handler = spec.lifecycle.as_ref().and_then(|l| l.post_start.as_ref());
        let Some(handler) = handler else {
            return Ok(());
        };
        let ip = before.ips.first().or(self.cx.config.node_ips.first());
        let ip = ip.map(String::as_str).unwrap_or_default();
        let hook = hooks::run(&*self.cx.runtime, &self.cx.clock, handler, spec, id, ip);
        let Some(result) = self.ending.run_until_cancelled(hook).await else {
            return Ok(());
        };
        let Err(error) = result else { return Ok(()) };
        tracing::warn!(pod = pod.key(), container = spec.name, %error, "postStart hook failed");
        // The text may quote secrets and stays out of the event.
        self.cx.container_event(
            pod,
            &spec.name,
            Kind::Warning,
            "FailedPostStartHook",
            "PostStartHook failed",
        );
        if let Ok(observed) = self.look().await
            && let Some(status) = observed.by_id(id)
        {
            let kill = Kill {
                message: "FailedPostStartHook",
                reason: KillReason::PostStart,
                grace: None,
                after: Vec::new(),
            };
            let killed =
                kill::container_now(&self.cx, pod, &observed, status, kill, &self.hooks_done);
            if let Err(error) = killed.await {
                tracing::warn!(container = spec.name, error = error.chain(), "kill failed");
            }
        }
        Err(NotStarted::new("PostStartHookError", error.to_string()))
    }

    /// Now, in whole seconds as objects carry it.
    pub(super) fn now(&self) -> stdx::Timestamp {
        whole_seconds(self.cx.clock.wall())
    }
}
