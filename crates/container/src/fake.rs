//! [`FakeRuntime`]: the trait in memory, for tests of whoever uses it.
//!
//! Nothing runs: a container is RUNNING until a test (or its [`Script`]) says
//! how it ends. State changes, events and refusals are those of the real thing.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Notify, broadcast};

use crate::config::{ContainerConfig, NamespaceMode, Resources, SandboxConfig};
use crate::error::{Error, Result};
use crate::runtime::{Duplex, Event, EventKind, ExecOutput, Runtime, Streams};
use crate::status::{
    ContainerFilter, ContainerState, ContainerStatus, EXIT_KILLED, EXIT_START_ERROR, RuntimeStatus,
    SandboxFilter, SandboxState, SandboxStatus, Stats, Version, reason,
};

/// How containers of one name behave.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// `create_container` fails with this message.
    pub create_error: Option<String>,
    /// `start_container` fails with this message; the container ends with 128.
    pub start_error: Option<String>,
    /// `start_container` takes this long (of tokio's time, which tests pause).
    pub start_delay: Duration,
    /// It ends with this code as soon as it has started.
    pub exit: Option<i32>,
    /// It ignores its stop signal: stopping lasts the whole timeout.
    pub ignore_stop: bool,
    /// Exit code after a stop signal; 143 (SIGTERM) when absent.
    pub stop_code: Option<i32>,
}

/// A runtime without a kernel.
pub struct FakeRuntime {
    inner: Mutex<Inner>,
    events: broadcast::Sender<Event>,
    changed: Notify,
    now_ns: Arc<dyn Fn() -> i64 + Send + Sync>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    sandboxes: BTreeMap<String, FakeSandbox>,
    containers: BTreeMap<String, FakeContainer>,
    scripts: HashMap<String, Script>,
    execs: HashMap<(String, Vec<String>), ExecOutput>,
    calls: Vec<String>,
    sandbox_error: Option<String>,
}

struct FakeSandbox {
    config: SandboxConfig,
    status: SandboxStatus,
}

struct FakeContainer {
    config: ContainerConfig,
    status: ContainerStatus,
    stats: Stats,
}

impl Default for FakeRuntime {
    fn default() -> FakeRuntime {
        let ticks = AtomicI64::new(1_700_000_000_000_000_000);
        FakeRuntime::new(Arc::new(move || {
            ticks.fetch_add(1_000_000, Ordering::Relaxed)
        }))
    }
}

impl FakeRuntime {
    /// One whose timestamps come from `now_ns`. `default()` counts milliseconds by itself.
    pub fn new(now_ns: Arc<dyn Fn() -> i64 + Send + Sync>) -> FakeRuntime {
        FakeRuntime {
            inner: Mutex::default(),
            events: broadcast::channel(1024).0,
            changed: Notify::new(),
            now_ns,
        }
    }

    /// Sets how containers of this name behave from now on.
    pub fn script(&self, container_name: &str, script: Script) {
        self.lock()
            .scripts
            .insert(container_name.to_owned(), script);
    }

    /// Sets what a command in containers of this name answers; unknown commands answer 0.
    pub fn script_exec(&self, container_name: &str, command: &[&str], output: ExecOutput) {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        self.lock()
            .execs
            .insert((container_name.to_owned(), command), output);
    }

    /// Makes `run_sandbox` fail with this message, or succeed again.
    pub fn fail_sandboxes(&self, message: Option<&str>) {
        self.lock().sandbox_error = message.map(str::to_owned);
    }

    /// A running container ends with this code.
    pub fn exit(&self, id: &str, exit_code: i32) {
        let reason = if exit_code == 0 {
            reason::COMPLETED
        } else {
            reason::ERROR
        };
        self.end(id, exit_code, reason, "");
    }

    /// A running container meets the out-of-memory killer.
    pub fn oom(&self, id: &str) {
        self.end(id, EXIT_KILLED, reason::OOM_KILLED, "");
    }

    /// The monitor of a sandbox dies with all its containers.
    pub fn crash_sandbox(&self, id: &str) {
        for container in self.containers_of(id) {
            self.end(
                &container,
                EXIT_KILLED,
                reason::ERROR,
                "the monitor of the pod died",
            );
        }
        self.sandbox_not_ready(id);
    }

    /// Sets what `container_stats` answers.
    pub fn set_stats(&self, id: &str, stats: Stats) {
        if let Some(container) = self.lock().containers.get_mut(id) {
            container.stats = stats;
        }
    }

    /// The calls so far, such as `start_container web`: operation and name.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// The configuration a container was created with.
    pub fn container_config(&self, id: &str) -> Option<ContainerConfig> {
        self.lock()
            .containers
            .get(id)
            .map(|container| container.config.clone())
    }

    /// The configuration a sandbox was made with.
    pub fn sandbox_config(&self, id: &str) -> Option<SandboxConfig> {
        self.lock()
            .sandboxes
            .get(id)
            .map(|sandbox| sandbox.config.clone())
    }

    /// The newest container of this name in the pod, if there is one.
    pub fn find(&self, pod_uid: &str, container_name: &str) -> Option<ContainerStatus> {
        let inner = self.lock();
        let of_pod = |container: &&FakeContainer| {
            container.config.name == container_name
                && inner
                    .sandboxes
                    .get(&container.status.sandbox_id)
                    .is_some_and(|sandbox| sandbox.config.uid == pod_uid)
        };
        let newest = inner
            .containers
            .values()
            .filter(of_pod)
            .max_by_key(|c| c.status.created_ns);
        newest.map(|container| container.status.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, kind: EventKind, sandbox_id: &str, container_id: Option<&str>) {
        let pod_uid = self
            .sandbox_config(sandbox_id)
            .map(|config| config.uid)
            .unwrap_or_default();
        let event = Event {
            kind,
            sandbox_id: sandbox_id.to_owned(),
            pod_uid,
            container_id: container_id.map(str::to_owned),
        };
        // Nobody listening is fine.
        let _ = self.events.send(event);
        self.changed.notify_waiters();
    }

    fn end(&self, id: &str, exit_code: i32, reason: &str, message: &str) {
        let now = (self.now_ns)();
        let sandbox = {
            let mut inner = self.lock();
            let Some(container) = inner.containers.get_mut(id) else {
                return;
            };
            if container.status.state == ContainerState::Exited {
                return;
            }
            let status = &mut container.status;
            status.state = ContainerState::Exited;
            status.finished_ns = Some(now);
            status.exit_code = exit_code;
            status.signal = (exit_code > 128).then_some(exit_code - 128);
            status.reason = reason.to_owned();
            status.message = message.to_owned();
            status.pid = None;
            status.sandbox_id.clone()
        };
        self.tell(EventKind::Stopped, &sandbox, Some(id));
    }

    fn containers_of(&self, sandbox: &str) -> Vec<String> {
        let inner = self.lock();
        let of_it = inner
            .containers
            .values()
            .filter(|c| c.status.sandbox_id == sandbox);
        of_it.map(|container| container.status.id.clone()).collect()
    }

    fn sandbox_not_ready(&self, id: &str) {
        let changed = match self.lock().sandboxes.get_mut(id) {
            Some(sandbox) if sandbox.status.state == SandboxState::Ready => {
                sandbox.status.state = SandboxState::NotReady;
                sandbox.status.monitor_pid = None;
                true
            }
            _ => false,
        };
        if changed {
            self.tell(EventKind::Stopped, id, None);
        }
    }

    fn running(&self, id: &str, operation: &'static str) -> Result<ContainerConfig> {
        let inner = self.lock();
        let container = inner
            .containers
            .get(id)
            .ok_or_else(|| Error::no_container(id))?;
        if container.status.state != ContainerState::Running {
            return Err(wrong_state(&container.status, operation));
        }
        Ok(container.config.clone())
    }

    async fn ended(&self, id: &str) {
        loop {
            let changed = self.changed.notified();
            let state = self
                .lock()
                .containers
                .get(id)
                .map(|container| container.status.state);
            if !matches!(state, Some(ContainerState::Running)) {
                return;
            }
            changed.await;
        }
    }
}

fn wrong_state(status: &ContainerStatus, operation: &'static str) -> Error {
    let state = format!("{:?}", status.state);
    Error::WrongState {
        what: "container",
        id: status.id.clone(),
        state,
        operation,
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    async fn started(runtime: &FakeRuntime, name: &str) -> (String, String) {
        let sandbox = runtime.run_sandbox(SandboxConfig::default()).await.unwrap();
        let config = ContainerConfig {
            name: name.to_owned(),
            ..Default::default()
        };
        let id = runtime.create_container(&sandbox, config).await.unwrap();
        runtime.start_container(&id).await.unwrap();
        (sandbox, id)
    }

    #[tokio::test]
    async fn lives_and_ends() {
        let runtime = FakeRuntime::default();
        let mut events = runtime.events();
        let (sandbox, id) = started(&runtime, "web").await;
        runtime.oom(&id);
        let status = runtime.container_status(&id).await.unwrap();
        assert_eq!(
            (status.exit_code, status.reason.as_str()),
            (137, "OOMKilled")
        );
        let mut kinds = Vec::new();
        while let Ok(event) = events.try_recv() {
            kinds.push(event.kind);
        }
        use EventKind::*;
        assert_eq!(kinds, [Created, Created, Started, Stopped]);
        assert!(runtime.start_container(&id).await.is_err());
        runtime.remove_sandbox(&sandbox).await.unwrap();
        assert!(
            runtime
                .container_status(&id)
                .await
                .is_err_and(|error| error.is_not_found())
        );
    }

    #[tokio::test]
    async fn follows_its_script() {
        let runtime = FakeRuntime::default();
        runtime.script(
            "bad",
            Script {
                start_error: Some("no such file".into()),
                ..Script::default()
            },
        );
        let sandbox = runtime.run_sandbox(SandboxConfig::default()).await.unwrap();
        let config = ContainerConfig {
            name: "bad".into(),
            ..Default::default()
        };
        let id = runtime.create_container(&sandbox, config).await.unwrap();
        assert!(matches!(
            runtime.start_container(&id).await,
            Err(Error::Start(_))
        ));
        let status = runtime.container_status(&id).await.unwrap();
        assert_eq!(
            (status.exit_code, status.reason.as_str()),
            (128, "StartError")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_deaf_container_is_killed_after_the_timeout() {
        let runtime = FakeRuntime::default();
        runtime.script(
            "deaf",
            Script {
                ignore_stop: true,
                ..Script::default()
            },
        );
        let (_, id) = started(&runtime, "deaf").await;
        runtime
            .stop_container(&id, Duration::from_secs(30))
            .await
            .unwrap();
        assert_eq!(runtime.container_status(&id).await.unwrap().exit_code, 137);
    }
}
