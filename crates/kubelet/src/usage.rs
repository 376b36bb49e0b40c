//! What the node, its pods and their containers use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use container::status::{
    ContainerFilter, ContainerState, FsUsage, SandboxFilter, SandboxState, SandboxStatus, Stats,
};
use typed::Typed;
use typed::api::core::v1::Pod;

use crate::context::Context;
use crate::labels;
use crate::pod::spec;

/// What was used at one moment.
pub struct Usage {
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// CPU time of the node, all cores.
    pub node_cpu_ns: u64,
    /// Memory of the node.
    pub node_memory: u64,
    /// The pods that have a sandbox.
    pub pods: Vec<PodUsage>,
    /// Whether something could not be read.
    pub failed: bool,
}

/// What a pod uses.
#[derive(Clone, Debug, Default)]
pub struct PodUsage {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// When its sandbox was made.
    pub created_ns: i64,
    /// All its containers together.
    pub stats: Stats,
    /// Its containers that run.
    pub containers: Vec<ContainerUsage>,
    /// Its volumes on the node's disk, where they were measured.
    pub volumes: BTreeMap<String, FsUsage>,
}

/// What a container uses.
#[derive(Clone, Debug, Default)]
pub struct ContainerUsage {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// When it was started.
    pub started_ns: i64,
    /// What it uses.
    pub stats: Stats,
    /// Its logs, where they were measured.
    pub logs: FsUsage,
}

impl PodUsage {
    /// All that it wrote to the node's disk.
    pub fn disk(&self) -> FsUsage {
        let mut total = FsUsage::default();
        self.volumes.values().for_each(|volume| total += *volume);
        let containers = self.containers.iter();
        containers.for_each(|container| total += container.disk());
        total
    }
}

impl ContainerUsage {
    /// All that it wrote to the node's disk itself.
    pub fn disk(&self) -> FsUsage {
        let mut total = self.logs;
        total += self.stats.writable_layer.unwrap_or_default();
        total
    }
}

/// Reads what is used now.
pub async fn read(cx: &Context) -> Usage {
    let facts = cx.machine.facts();
    let available = cx.machine.memory_available();
    let mut usage = Usage {
        time_ms: cx.clock.wall().as_millisecond(),
        node_cpu_ns: cx.machine.cpu_usage_ns().unwrap_or(0),
        node_memory: facts
            .memory_bytes
            .saturating_sub(*available.as_ref().unwrap_or(&0)),
        pods: Vec::new(),
        failed: available.is_err(),
    };
    let filter = SandboxFilter {
        state: Some(SandboxState::Ready),
        ..SandboxFilter::default()
    };
    let Ok(sandboxes) = cx.runtime.list_sandboxes(&filter).await else {
        usage.failed = true;
        return usage;
    };
    for sandbox in sandboxes {
        match of_sandbox(cx, sandbox).await {
            Ok(pod) => usage.pods.push(pod),
            // A pod that ended just now is no failure.
            Err(error) => tracing::debug!(error = error.chain(), "cannot read a pod's stats"),
        }
    }
    usage
}

/// Reads what one pod uses, its logs and volumes measured; nothing if it does
/// not run.
pub async fn of_pod(cx: &Context, pod: &Pod) -> Option<PodUsage> {
    let uid = (labels::POD_UID.to_owned(), pod.uid().to_owned());
    let filter = SandboxFilter {
        state: Some(SandboxState::Ready),
        labels: [uid].into(),
        ..SandboxFilter::default()
    };
    let sandboxes = cx.runtime.list_sandboxes(&filter).await.ok()?;
    let mut usage = of_sandbox(cx, sandboxes.into_iter().next()?).await.ok()?;
    let logs = cx.log_directory(pod);
    for container in &mut usage.containers {
        container.logs = measure(logs.join(&container.name)).await;
    }
    let volumes = cx
        .pod_directory(pod)
        .join("volumes/kubernetes.io~empty-dir");
    for volume in spec(pod).volumes.iter().flatten() {
        // What is in memory is charged as that.
        let on_disk = volume.empty_dir.as_ref().filter(|volume| {
            let medium = volume.medium.as_deref().unwrap_or_default();
            medium.is_empty()
        });
        if on_disk.is_some() {
            let used = measure(volumes.join(&volume.name)).await;
            usage.volumes.insert(volume.name.clone(), used);
        }
    }
    Some(usage)
}

async fn measure(directory: PathBuf) -> FsUsage {
    let measured = tokio::task::spawn_blocking(move || FsUsage::of(Path::new(&directory)));
    measured.await.unwrap_or_default()
}

async fn of_sandbox(cx: &Context, sandbox: SandboxStatus) -> Result<PodUsage, container::Error> {
    let runtime = &cx.runtime;
    let filter = ContainerFilter {
        sandbox_id: Some(sandbox.id.clone()),
        state: Some(ContainerState::Running),
        ..ContainerFilter::default()
    };
    let mut containers = Vec::new();
    for status in runtime.list_containers(&filter).await? {
        if let Ok(stats) = runtime.container_stats(&status.id).await {
            containers.push(ContainerUsage {
                name: status.name,
                id: status.id,
                started_ns: status.started_ns.unwrap_or(0),
                stats,
                logs: FsUsage::default(),
            });
        }
    }
    Ok(PodUsage {
        stats: runtime.sandbox_stats(&sandbox.id).await?,
        name: sandbox.name,
        namespace: sandbox.namespace,
        uid: sandbox.uid,
        created_ns: sandbox.created_ns,
        containers,
        volumes: BTreeMap::new(),
    })
}
