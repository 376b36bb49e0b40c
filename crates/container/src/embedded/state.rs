//! What the runtime knows of its sandboxes and containers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stdx::Instant;
use tokio::sync::watch;

use crate::config::NamespaceMode;
use crate::error::{Error, Result};
use crate::layout::{ContainerFile, SandboxDir, SandboxFile};
use crate::protocol::Record;
use crate::runtime::EventKind;
use crate::status::{
    ContainerFilter, ContainerState, ContainerStatus, FsUsage, SandboxFilter, SandboxState,
    SandboxStatus, reason,
};

/// Everything, behind one lock that is never held across an await.
#[derive(Default)]
pub(super) struct State {
    tables: Mutex<Tables>,
}

#[derive(Default)]
pub(super) struct Tables {
    pub(super) sandboxes: BTreeMap<String, Sandbox>,
    pub(super) containers: BTreeMap<String, Container>,
}

pub(super) struct Sandbox {
    pub(super) file: SandboxFile,
    pub(super) directory: SandboxDir,
    pub(super) monitor_pid: Option<i32>,
    /// Whether its end is wanted, so that the monitor's is no accident.
    pub(super) stopping: bool,
}

pub(super) struct Container {
    pub(super) sandbox: String,
    pub(super) file: ContainerFile,
    pub(super) log_path: Option<PathBuf>,
    pub(super) record: watch::Sender<Record>,
    /// What the writable layer held when it was last measured.
    pub(super) measured: Option<(Instant, FsUsage)>,
}

impl State {
    pub(super) fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sandbox_status(&self, id: &str) -> Result<SandboxStatus> {
        let tables = self.lock();
        tables
            .sandboxes
            .get(id)
            .map(Sandbox::status)
            .ok_or_else(|| Error::no_sandbox(id))
    }

    pub(super) fn list_sandboxes(&self, filter: &SandboxFilter) -> Vec<SandboxStatus> {
        let mut list: Vec<_> = self
            .lock()
            .sandboxes
            .values()
            .map(Sandbox::status)
            .collect();
        list.retain(|sandbox| filter.matches(sandbox));
        list.sort_by_key(|sandbox| sandbox.created_ns);
        list
    }

    pub(super) fn container_status(&self, id: &str) -> Result<ContainerStatus> {
        let tables = self.lock();
        tables
            .containers
            .get(id)
            .map(Container::status)
            .ok_or_else(|| Error::no_container(id))
    }

    pub(super) fn list_containers(&self, filter: &ContainerFilter) -> Vec<ContainerStatus> {
        let mut list: Vec<_> = self
            .lock()
            .containers
            .values()
            .map(Container::status)
            .collect();
        list.retain(|container| filter.matches(container));
        list.sort_by_key(|container| container.created_ns);
        list
    }

    /// The directory of a sandbox whose monitor should be there.
    pub(super) fn sandbox_dir(&self, id: &str) -> Result<SandboxDir> {
        let tables = self.lock();
        let sandbox = tables
            .sandboxes
            .get(id)
            .ok_or_else(|| Error::no_sandbox(id))?;
        Ok(sandbox.directory.clone())
    }

    /// The sandbox of a container, its directory, and a view of its record.
    pub(super) fn container(&self, id: &str) -> Result<Found> {
        let tables = self.lock();
        let container = tables
            .containers
            .get(id)
            .ok_or_else(|| Error::no_container(id))?;
        let sandbox = tables.sandboxes.get(&container.sandbox);
        let sandbox = sandbox.ok_or_else(|| Error::no_sandbox(&container.sandbox))?;
        Ok(Found {
            sandbox: container.sandbox.clone(),
            directory: sandbox.directory.clone(),
            cgroup: format!("{}/{id}", sandbox.file.config.cgroup_parent),
            file: container.file.clone(),
            record: container.record.subscribe(),
        })
    }

    /// Takes a newer record. Answers what happened since the last one.
    pub(super) fn advance(&self, id: &str, record: Record) -> Vec<EventKind> {
        let tables = self.lock();
        let Some(container) = tables.containers.get(id) else {
            return Vec::new();
        };
        let mut events = Vec::new();
        container.record.send_if_modified(|current| {
            if rank(record.state) <= rank(current.state) {
                return false;
            }
            // A short life may be seen only when it is over.
            if current.state == ContainerState::Created && record.started_ns.is_some() {
                events.push(EventKind::Started);
            }
            if record.state == ContainerState::Exited {
                events.push(EventKind::Stopped);
            }
            *current = record;
            true
        });
        events
    }
}

/// A life goes one way only.
fn rank(state: ContainerState) -> u8 {
    match state {
        ContainerState::Unknown => 0,
        ContainerState::Created => 1,
        ContainerState::Running => 2,
        ContainerState::Exited => 3,
    }
}

/// A container as an operation needs it.
pub(super) struct Found {
    pub(super) sandbox: String,
    pub(super) directory: SandboxDir,
    pub(super) cgroup: String,
    pub(super) file: ContainerFile,
    pub(super) record: watch::Receiver<Record>,
}

impl Found {
    pub(super) fn state(&self) -> ContainerState {
        self.record.borrow().state
    }

    /// Refuses unless it is in the state that the operation needs.
    pub(super) fn require(&self, state: ContainerState, operation: &'static str) -> Result<()> {
        let actual = self.state();
        if actual == state {
            return Ok(());
        }
        Err(Error::WrongState {
            what: "container",
            id: self.file.id.clone(),
            state: format!("{actual:?}"),
            operation,
        })
    }
}

impl Sandbox {
    pub(super) fn ready(&self) -> bool {
        !self.file.stopped && !self.stopping
    }

    fn status(&self) -> SandboxStatus {
        let config = &self.file.config;
        let host_network = config.namespaces.network == NamespaceMode::Node;
        let netns = config
            .namespaces
            .netns
            .clone()
            .unwrap_or_else(|| self.directory.netns());
        SandboxStatus {
            id: self.file.id.clone(),
            name: config.name.clone(),
            namespace: config.namespace.clone(),
            uid: config.uid.clone(),
            attempt: config.attempt,
            state: if self.ready() {
                SandboxState::Ready
            } else {
                SandboxState::NotReady
            },
            created_ns: self.file.created_ns,
            netns: (!host_network).then_some(netns),
            cgroup_parent: config.cgroup_parent.clone(),
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
            monitor_pid: self.monitor_pid,
        }
    }
}

impl Container {
    pub(super) fn new(sandbox: &SandboxFile, file: ContainerFile, record: Record) -> Container {
        let directory = sandbox.config.log_directory.as_ref();
        let log_path = directory.zip(file.config.log_path.as_ref());
        Container {
            sandbox: sandbox.id.clone(),
            log_path: log_path.map(|(directory, path)| directory.join(path)),
            file,
            record: watch::Sender::new(record),
            measured: None,
        }
    }

    fn status(&self) -> ContainerStatus {
        let config = &self.file.config;
        let record = self.record.borrow().clone();
        let image = &config.image;
        let image_ref = [&image.repo_digest, &image.id]
            .into_iter()
            .find(|one| !one.is_empty());
        ContainerStatus {
            id: self.file.id.clone(),
            sandbox_id: self.sandbox.clone(),
            name: config.name.clone(),
            attempt: config.attempt,
            state: record.state,
            created_ns: self.file.created_ns,
            started_ns: record.started_ns,
            finished_ns: record.finished_ns,
            exit_code: record.exit_code,
            signal: record.signal,
            reason: why(&record).to_owned(),
            message: record.message,
            image: image.reference.clone(),
            image_ref: image_ref.cloned().unwrap_or_default(),
            pid: record.pid,
            log_path: self.log_path.clone(),
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
            resources: config.resources.clone(),
            user: record.user,
        }
    }
}

fn why(record: &Record) -> &str {
    match record.state {
        _ if !record.reason.is_empty() => &record.reason,
        ContainerState::Exited if record.oom => reason::OOM_KILLED,
        ContainerState::Exited if record.exit_code == 0 => reason::COMPLETED,
        ContainerState::Exited => reason::ERROR,
        _ => "",
    }
}
