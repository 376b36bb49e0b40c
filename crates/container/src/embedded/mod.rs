//! The embedded runtime: no daemon and no image of a pause process, one monitor
//! per sandbox, everything it knows in files that a new process finds again.
//!
//! Answers come from memory, which the monitors' events keep true; the files are
//! read when the runtime opens. Limits and statistics are files of the cgroups
//! and need no monitor.

mod cleanup;
mod containers;
mod exec;
mod link;
mod sandboxes;
mod state;
mod terminal;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use linux::cgroup::Cgroups;
use stdx::{Clock, Rng};
use tokio::sync::broadcast;

use crate::config::{ContainerConfig, Resources, SandboxConfig};
use crate::error::{Error, Result};
use crate::layout::failed;
use crate::runtime::{Duplex, Event, ExecOutput, Runtime, Streams};
use crate::status::{
    ContainerFilter, ContainerStatus, RuntimeStatus, SandboxFilter, SandboxStatus, Stats, Version,
};
use state::State;

/// Where the runtime keeps things, and how a monitor is started.
#[derive(Clone, Debug)]
pub struct Config {
    /// Sockets, namespaces and records. Need not survive a reboot; not shared
    /// with another instance.
    pub run_dir: PathBuf,
    /// Writable layers of containers. A directory of the runtime's own.
    pub data_dir: PathBuf,
    /// Cgroup of the instance, such as `/tiphys-a`; monitors live below it.
    pub cgroup_root: String,
    /// Program and arguments that become a monitor when a directory is added.
    pub monitor: Vec<OsString>,
    /// The hierarchies to use; looked for when absent.
    pub cgroups: Option<Cgroups>,
}

impl Config {
    /// With this same binary as monitor: its `main` calls
    /// [`monitor::intercept`](crate::monitor::intercept) first.
    pub fn new(run_dir: PathBuf, data_dir: PathBuf, cgroup_root: String) -> Config {
        let monitor = vec!["/proc/self/exe".into(), crate::monitor::ROLE.into()];
        Config {
            run_dir,
            data_dir,
            cgroup_root,
            monitor,
            cgroups: None,
        }
    }
}

/// The embedded runtime. Dropping it leaves sandboxes running.
pub struct Embedded {
    shared: Arc<Shared>,
}

/// What operations and the watchers of monitors share.
struct Shared {
    config: Config,
    cgroups: Cgroups,
    clock: Clock,
    rng: Rng,
    boot_id: String,
    state: State,
    events: broadcast::Sender<Event>,
}

impl Embedded {
    /// Opens the directories, adopts the sandboxes whose monitors live, and clears
    /// away what is left of the others.
    pub async fn open(mut config: Config) -> Result<Embedded> {
        for directory in [&mut config.run_dir, &mut config.data_dir] {
            make_private(directory).map_err(failed("create", directory))?;
            // The kernel's mount table knows no symbolic links.
            *directory = directory
                .canonicalize()
                .map_err(failed("resolve", directory))?;
        }
        let found = config.cgroups.clone().map_or_else(Cgroups::detect, Ok);
        let cgroups = found.map_err(|error| cgroup_error("find cgroups", &error))?;
        let shared = Arc::new(Shared {
            config,
            cgroups,
            clock: Clock::system(),
            rng: Rng::system(),
            boot_id: crate::layout::boot_id()?,
            state: State::default(),
            events: broadcast::channel(4096).0,
        });
        sandboxes::adopt_all(&shared).await?;
        Ok(Embedded { shared })
    }

    /// Ends and removes everything of this instance: containers, namespaces,
    /// mounts, cgroups, writable layers.
    pub async fn reset(config: Config) -> Result<()> {
        let root = config.cgroup_root.clone();
        let runtime = Embedded::open(config).await?;
        for sandbox in runtime.list_sandboxes(&SandboxFilter::default()).await? {
            runtime.remove_sandbox(&sandbox.id).await?;
        }
        let shared = &runtime.shared;
        cleanup::remove_group(shared, &shared.group(&root)?).await?;
        for directory in [&shared.config.run_dir, &shared.config.data_dir] {
            std::fs::remove_dir_all(directory).map_err(failed("remove", directory))?;
        }
        Ok(())
    }
}

impl Shared {
    fn group(&self, path: &str) -> Result<linux::cgroup::Group> {
        self.cgroups
            .group(path)
            .map_err(|error| cgroup_error("name a cgroup", &error))
    }

    fn now_ns(&self) -> i64 {
        crate::layout::wall_ns(&self.clock)
    }

    /// 64 hexadecimal digits, as other runtimes name things.
    fn new_id(&self) -> String {
        let mut bytes = [0; 32];
        self.rng.fill(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn cgroup_error(operation: &'static str, error: &linux::cgroup::Error) -> Error {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    Error::Failed {
        operation,
        message: format!("{error}{}", cause.unwrap_or_default()),
    }
}

fn make_private(directory: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

/// Runs blocking work away from the async threads.
async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Failed {
            operation,
            message: error.to_string(),
        }),
    }
}

#[async_trait]
impl Runtime for Embedded {
    async fn version(&self) -> Result<Version> {
        Ok(Version {
            name: "tiphys".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api_version: "v1".to_owned(),
        })
    }

    async fn status(&self) -> Result<RuntimeStatus> {
        let cgroup_version = self.shared.cgroups.version();
        Ok(RuntimeStatus {
            runtime_ready: true,
            message: String::new(),
            cgroup_version,
        })
    }

    async fn run_sandbox(&self, config: SandboxConfig) -> Result<String> {
        sandboxes::run(&self.shared, config).await
    }

    async fn stop_sandbox(&self, id: &str) -> Result<()> {
        sandboxes::stop(&self.shared, id).await
    }

    async fn remove_sandbox(&self, id: &str) -> Result<()> {
        sandboxes::remove(&self.shared, id).await
    }

    async fn sandbox_status(&self, id: &str) -> Result<SandboxStatus> {
        self.shared.state.sandbox_status(id)
    }

    async fn list_sandboxes(&self, filter: &SandboxFilter) -> Result<Vec<SandboxStatus>> {
        Ok(self.shared.state.list_sandboxes(filter))
    }

    async fn create_container(&self, sandbox: &str, config: ContainerConfig) -> Result<String> {
        containers::create(&self.shared, sandbox, config).await
    }

    async fn start_container(&self, id: &str) -> Result<()> {
        containers::start(&self.shared, id).await
    }

    async fn stop_container(&self, id: &str, timeout: Duration) -> Result<()> {
        containers::stop(&self.shared, id, timeout).await
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        containers::remove(&self.shared, id).await
    }

    async fn list_containers(&self, filter: &ContainerFilter) -> Result<Vec<ContainerStatus>> {
        Ok(self.shared.state.list_containers(filter))
    }

    async fn container_status(&self, id: &str) -> Result<ContainerStatus> {
        self.shared.state.container_status(id)
    }

    async fn update_resources(&self, id: &str, resources: Resources) -> Result<()> {
        containers::update(&self.shared, id, resources).await
    }

    async fn reopen_log(&self, id: &str) -> Result<()> {
        containers::reopen_log(&self.shared, id).await
    }

    async fn exec_sync(
        &self,
        id: &str,
        command: &[String],
        timeout: Duration,
    ) -> Result<ExecOutput> {
        exec::collect(&self.shared, id, command, timeout).await
    }

    async fn exec(&self, id: &str, command: &[String], streams: Streams) -> Result<i32> {
        exec::stream(&self.shared, id, command, streams, false).await
    }

    async fn attach(&self, id: &str, streams: Streams) -> Result<()> {
        exec::attach(&self.shared, id, streams).await
    }

    async fn port_forward(&self, sandbox: &str, port: u16, stream: Box<dyn Duplex>) -> Result<()> {
        exec::forward(&self.shared, sandbox, port, stream).await
    }

    async fn container_stats(&self, id: &str) -> Result<Stats> {
        containers::stats(&self.shared, id).await
    }

    async fn sandbox_stats(&self, id: &str) -> Result<Stats> {
        sandboxes::stats(&self.shared, id).await
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }
}
