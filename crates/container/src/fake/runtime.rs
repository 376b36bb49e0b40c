//! The trait, over what the test said shall happen.

use super::{FakeContainer, FakeRuntime, FakeSandbox, wrong_state};
use crate::config::{ContainerConfig, NamespaceMode, Resources, SandboxConfig};
use crate::error::{Error, Result};
use crate::runtime::{Duplex, Event, EventKind, ExecOutput, Runtime, Streams};
use crate::status::{
    ContainerFilter, ContainerState, ContainerStatus, EXIT_KILLED, EXIT_START_ERROR, RuntimeStatus,
    SandboxFilter, SandboxState, SandboxStatus, Stats, Version, reason,
};
use async_trait::async_trait;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::broadcast;

#[async_trait]
impl Runtime for FakeRuntime {
    async fn version(&self) -> Result<Version> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Version {
            name: "fake".to_owned(),
            version,
            api_version: "v1".to_owned(),
        })
    }

    async fn status(&self) -> Result<RuntimeStatus> {
        Ok(RuntimeStatus {
            runtime_ready: true,
            message: String::new(),
            cgroup_version: 2,
        })
    }

    async fn run_sandbox(&self, config: SandboxConfig) -> Result<String> {
        let now = (self.now_ns)();
        let id = {
            let mut inner = self.lock();
            inner.calls.push(format!("run_sandbox {}", config.name));
            if let Some(message) = inner.sandbox_error.clone() {
                return Err(Error::Failed {
                    operation: "run sandbox",
                    message,
                });
            }
            inner.next += 1;
            let id = format!("sandbox-{}", inner.next);
            let own_net = config.namespaces.network != NamespaceMode::Node;
            let netns = own_net.then(|| PathBuf::from(format!("/fake/netns/{id}")));
            let status = SandboxStatus {
                id: id.clone(),
                name: config.name.clone(),
                namespace: config.namespace.clone(),
                uid: config.uid.clone(),
                attempt: config.attempt,
                state: SandboxState::Ready,
                created_ns: now,
                netns,
                cgroup_parent: config.cgroup_parent.clone(),
                labels: config.labels.clone(),
                annotations: config.annotations.clone(),
                monitor_pid: Some(1),
            };
            inner
                .sandboxes
                .insert(id.clone(), FakeSandbox { config, status });
            id
        };
        self.tell(EventKind::Created, &id, None);
        Ok(id)
    }

    async fn stop_sandbox(&self, id: &str) -> Result<()> {
        self.lock().calls.push(format!("stop_sandbox {id}"));
        for container in self.containers_of(id) {
            self.end(&container, EXIT_KILLED, reason::ERROR, "");
        }
        self.sandbox_not_ready(id);
        Ok(())
    }

    async fn remove_sandbox(&self, id: &str) -> Result<()> {
        self.stop_sandbox(id).await?;
        for container in self.containers_of(id) {
            self.remove_container(&container).await?;
        }
        self.tell(EventKind::Deleted, id, None);
        self.lock().sandboxes.remove(id);
        Ok(())
    }

    async fn sandbox_status(&self, id: &str) -> Result<SandboxStatus> {
        let inner = self.lock();
        let sandbox = inner
            .sandboxes
            .get(id)
            .ok_or_else(|| Error::no_sandbox(id))?;
        Ok(sandbox.status.clone())
    }

    async fn list_sandboxes(&self, filter: &SandboxFilter) -> Result<Vec<SandboxStatus>> {
        let inner = self.lock();
        let mut list: Vec<_> = inner.sandboxes.values().map(|s| s.status.clone()).collect();
        list.retain(|sandbox| filter.matches(sandbox));
        list.sort_by_key(|sandbox| sandbox.created_ns);
        Ok(list)
    }

    async fn create_container(&self, sandbox: &str, config: ContainerConfig) -> Result<String> {
        let now = (self.now_ns)();
        let id = {
            let mut inner = self.lock();
            inner
                .calls
                .push(format!("create_container {}", config.name));
            let found = inner
                .sandboxes
                .get(sandbox)
                .ok_or_else(|| Error::no_sandbox(sandbox))?;
            if found.status.state != SandboxState::Ready {
                return Err(Error::WrongState {
                    what: "sandbox",
                    id: sandbox.to_owned(),
                    state: format!("{:?}", found.status.state),
                    operation: "create a container in it",
                });
            }
            let logs = found.config.log_directory.clone();
            let script = inner.scripts.get(&config.name).cloned().unwrap_or_default();
            if let Some(message) = script.create_error {
                return Err(Error::Failed {
                    operation: "create container",
                    message,
                });
            }
            inner.next += 1;
            let id = format!("container-{}", inner.next);
            let status = ContainerStatus {
                id: id.clone(),
                sandbox_id: sandbox.to_owned(),
                name: config.name.clone(),
                attempt: config.attempt,
                state: ContainerState::Created,
                created_ns: now,
                started_ns: None,
                finished_ns: None,
                exit_code: 0,
                signal: None,
                reason: String::new(),
                message: String::new(),
                image: config.image.reference.clone(),
                image_ref: config.image.id.clone(),
                pid: None,
                log_path: logs
                    .zip(config.log_path.clone())
                    .map(|(dir, file)| dir.join(file)),
                labels: config.labels.clone(),
                annotations: config.annotations.clone(),
                resources: config.resources.clone(),
                user: None,
            };
            let container = FakeContainer {
                config,
                status,
                stats: Stats::default(),
            };
            inner.containers.insert(id.clone(), container);
            id
        };
        self.tell(EventKind::Created, sandbox, Some(&id));
        Ok(id)
    }

    async fn start_container(&self, id: &str) -> Result<()> {
        let script = {
            let mut inner = self.lock();
            let container = inner
                .containers
                .get(id)
                .ok_or_else(|| Error::no_container(id))?;
            if container.status.state != ContainerState::Created {
                return Err(wrong_state(&container.status, "start it"));
            }
            let name = container.config.name.clone();
            inner.calls.push(format!("start_container {name}"));
            inner.scripts.get(&name).cloned().unwrap_or_default()
        };
        if !script.start_delay.is_zero() {
            tokio::time::sleep(script.start_delay).await;
        }
        if let Some(message) = script.start_error {
            self.end(id, EXIT_START_ERROR, reason::START_ERROR, &message);
            return Err(Error::Start(message));
        }
        let now = (self.now_ns)();
        let sandbox = {
            let mut inner = self.lock();
            inner.next += 1;
            let pid = i32::try_from(inner.next).unwrap_or(i32::MAX);
            let container = inner
                .containers
                .get_mut(id)
                .ok_or_else(|| Error::no_container(id))?;
            if container.status.state != ContainerState::Created {
                return Err(wrong_state(&container.status, "start it"));
            }
            container.status.state = ContainerState::Running;
            container.status.started_ns = Some(now);
            container.status.pid = Some(pid);
            container.status.sandbox_id.clone()
        };
        self.tell(EventKind::Started, &sandbox, Some(id));
        if let Some(code) = script.exit {
            self.exit(id, code);
        }
        Ok(())
    }

    async fn stop_container(&self, id: &str, timeout: Duration) -> Result<()> {
        let script = {
            let mut inner = self.lock();
            let Some(container) = inner.containers.get(id) else {
                return Ok(());
            };
            let name = container.config.name.clone();
            if container.status.state != ContainerState::Running {
                return Ok(());
            }
            inner.calls.push(format!("stop_container {name}"));
            inner.scripts.get(&name).cloned().unwrap_or_default()
        };
        if timeout.is_zero() {
            self.end(id, EXIT_KILLED, reason::ERROR, "");
        } else if script.ignore_stop {
            let _ = tokio::time::timeout(timeout, self.ended(id)).await;
            self.end(id, EXIT_KILLED, reason::ERROR, "");
        } else {
            self.exit(id, script.stop_code.unwrap_or(143));
        }
        Ok(())
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        self.end(id, EXIT_KILLED, reason::ERROR, "");
        let removed = self.lock().containers.remove(id);
        if let Some(container) = removed {
            self.lock()
                .calls
                .push(format!("remove_container {}", container.config.name));
            self.tell(EventKind::Deleted, &container.status.sandbox_id, Some(id));
        }
        Ok(())
    }

    async fn list_containers(&self, filter: &ContainerFilter) -> Result<Vec<ContainerStatus>> {
        let inner = self.lock();
        let mut list: Vec<_> = inner
            .containers
            .values()
            .map(|c| c.status.clone())
            .collect();
        list.retain(|container| filter.matches(container));
        list.sort_by_key(|container| container.created_ns);
        Ok(list)
    }

    async fn container_status(&self, id: &str) -> Result<ContainerStatus> {
        let inner = self.lock();
        let container = inner
            .containers
            .get(id)
            .ok_or_else(|| Error::no_container(id))?;
        Ok(container.status.clone())
    }

    async fn update_resources(&self, id: &str, resources: Resources) -> Result<()> {
        let mut inner = self.lock();
        let container = inner
            .containers
            .get_mut(id)
            .ok_or_else(|| Error::no_container(id))?;
        container.status.resources.merge(resources);
        Ok(())
    }

    async fn reopen_log(&self, id: &str) -> Result<()> {
        self.running(id, "reopen its log")?;
        let path = self.container_status(id).await?.log_path;
        // Whoever wants no logs makes no directory for them.
        let directory = path.as_ref().and_then(|path| path.parent());
        if let (Some(path), true) = (&path, directory.is_some_and(|one| one.exists())) {
            let opened = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path);
            opened.map_err(|source| Error::Stream {
                operation: "reopen the log",
                source,
            })?;
        }
        Ok(())
    }

    async fn exec_sync(
        &self,
        id: &str,
        command: &[String],
        _timeout: Duration,
    ) -> Result<ExecOutput> {
        let config = self.running(id, "run a command in it")?;
        let mut inner = self.lock();
        inner
            .calls
            .push(format!("exec {} {}", config.name, command.join(" ")));
        Ok(inner
            .execs
            .get(&(config.name, command.to_vec()))
            .cloned()
            .unwrap_or_default())
    }

    async fn exec(&self, id: &str, command: &[String], streams: Streams) -> Result<i32> {
        let output = self.exec_sync(id, command, Duration::ZERO).await?;
        let broken = |source| Error::Stream {
            operation: "exec",
            source,
        };
        if let Some(mut stdout) = streams.stdout {
            stdout.write_all(&output.stdout).await.map_err(broken)?;
            stdout.shutdown().await.map_err(broken)?;
        }
        if let Some(mut stderr) = streams.stderr {
            stderr.write_all(&output.stderr).await.map_err(broken)?;
            stderr.shutdown().await.map_err(broken)?;
        }
        Ok(output.exit_code)
    }

    /// Echoes standard input to standard output.
    async fn attach(&self, id: &str, streams: Streams) -> Result<()> {
        self.running(id, "attach to it")?;
        let (Some(mut stdin), Some(mut stdout)) = (streams.stdin, streams.stdout) else {
            self.ended(id).await;
            return Ok(());
        };
        let copied = tokio::io::copy(&mut stdin, &mut stdout).await;
        copied.map(|_| ()).map_err(|source| Error::Stream {
            operation: "attach",
            source,
        })
    }

    /// Echoes what it is sent.
    async fn port_forward(
        &self,
        sandbox: &str,
        _port: u16,
        mut stream: Box<dyn Duplex>,
    ) -> Result<()> {
        self.sandbox_status(sandbox).await?;
        let broken = |source| Error::Stream {
            operation: "port-forward",
            source,
        };
        let mut buffer = [0; 4096];
        loop {
            let length = stream.read(&mut buffer).await.map_err(broken)?;
            if length == 0 {
                return stream.shutdown().await.map_err(broken);
            }
            stream.write_all(&buffer[..length]).await.map_err(broken)?;
        }
    }

    async fn container_stats(&self, id: &str) -> Result<Stats> {
        self.running(id, "read its stats")?;
        let inner = self.lock();
        Ok(inner
            .containers
            .get(id)
            .map(|container| container.stats.clone())
            .unwrap_or_default())
    }

    async fn sandbox_stats(&self, id: &str) -> Result<Stats> {
        let inner = self.lock();
        inner
            .sandboxes
            .get(id)
            .ok_or_else(|| Error::no_sandbox(id))?;
        let mut sum = Stats::default();
        for container in inner
            .containers
            .values()
            .filter(|c| c.status.sandbox_id == id)
        {
            sum.cpu_usage_ns += container.stats.cpu_usage_ns;
            sum.memory_usage_bytes += container.stats.memory_usage_bytes;
            sum.memory_working_set_bytes += container.stats.memory_working_set_bytes;
            sum.pids += container.stats.pids;
        }
        Ok(sum)
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}
