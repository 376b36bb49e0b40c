//! [`FakeRuntime`]: the trait in memory, for tests of whoever uses it.
//!
//! Nothing runs: a container is RUNNING until a test (or its [`Script`]) says
//! how it ends. State changes, events and refusals are those of the real thing.

mod runtime;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

use crate::config::{ContainerConfig, SandboxConfig};
use crate::error::{Error, Result};
use crate::runtime::{Event, EventKind, ExecOutput};
use crate::status::{
    ContainerState, ContainerStatus, EXIT_KILLED, SandboxState, SandboxStatus, Stats, reason,
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
