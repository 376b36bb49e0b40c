//! Containers: created, started, stopped, limited, measured and removed.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::link::Asked;
use super::state::{Container, Found};
use super::{Shared, blocking, cgroup_error, cleanup, sandboxes};
use crate::config::{ContainerConfig, Resources};
use crate::error::{Error, Result};
use crate::layout::{ContainerFile, failed, write_json};
use crate::process;
use crate::protocol::{Operation, Record};
use crate::runtime::EventKind;
use crate::status::{ContainerState, FsUsage, Stats};

/// How long a killed process may take to be gone: it may hang in the kernel.
const KILL_FOR: Duration = Duration::from_secs(30);
/// How old the measure of a writable layer may be, as the kubelet of upstream has it.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// Prepares a container's directories.
pub(super) async fn create(
    shared: &Arc<Shared>,
    sandbox: &str,
    config: ContainerConfig,
) -> Result<String> {
    let (sandbox_file, directory) = {
        let tables = shared.state.lock();
        let found = tables
            .sandboxes
            .get(sandbox)
            .ok_or_else(|| Error::no_sandbox(sandbox))?;
        if !found.ready() {
            return Err(Error::WrongState {
                what: "sandbox",
                id: sandbox.to_owned(),
                state: "NotReady".to_owned(),
                operation: "create a container in it",
            });
        }
        (found.file.clone(), found.directory.clone())
    };
    check(&config, sandbox_file.config.privileged)?;
    let id = shared.new_id();
    let record = Record::created(config.attempt);
    let file = ContainerFile {
        id: id.clone(),
        config,
        created_ns: shared.now_ns(),
    };
    let (container_dir, layer) = (directory.container(&id), shared.config.data_dir.join(&id));
    let prepared = {
        let file = file.clone();
        blocking("create a container", move || {
            make_layer(&layer, &file.config)?;
            super::make_private(&container_dir.0).map_err(failed("create", &container_dir.0))?;
            write_json(&container_dir.file(), &file)
        })
        .await
    };
    if let Err(error) = prepared {
        // The first failure is the one to tell; what stays is swept at the next start.
        let _ = cleanup::remove_tree(&shared.config.data_dir.join(&id)).await;
        let _ = cleanup::remove_tree(&directory.container(&id).0).await;
        return Err(error);
    }
    let container = Container::new(&sandbox_file, file, record);
    shared.state.lock().containers.insert(id.clone(), container);
    sandboxes::tell(shared, EventKind::Created, sandbox, Some(&id));
    Ok(id)
}

fn check(config: &ContainerConfig, privileged: bool) -> Result<()> {
    let invalid = |field: &str, message: String| {
        Err(Error::Invalid {
            field: field.to_owned(),
            message,
        })
    };
    if config.security.privileged && !privileged {
        return invalid(
            "security.privileged",
            "the sandbox is not privileged".to_owned(),
        );
    }
    if config.image.rootfs.lower.is_empty() {
        return invalid("image.rootfs.lower", "the image has no layers".to_owned());
    }
    if process::arguments(config).is_empty() {
        return invalid("command", "no command specified".to_owned());
    }
    for mount in &config.mounts {
        for path in [&mount.container_path, &mount.host_path] {
            if !path.is_absolute() {
                return invalid("mounts", format!("{} is not absolute", path.display()));
            }
        }
        if mount.recursive_readonly && !mount.readonly {
            return invalid("mounts", "recursive_readonly needs readonly".to_owned());
        }
    }
    let leaves = |path: &Path| {
        path.components()
            .any(|part| part == std::path::Component::ParentDir)
    };
    match &config.log_path {
        Some(path) if path.is_absolute() || leaves(path) => invalid(
            "log_path",
            format!("{} leaves the log directory", path.display()),
        ),
        _ => Ok(()),
    }
}

/// The writable layer's root takes mode and owner of the image's.
fn make_layer(layer: &Path, config: &ContainerConfig) -> Result<()> {
    let top = config
        .image
        .rootfs
        .lower
        .first()
        .map(std::path::PathBuf::as_path);
    let top = top.unwrap_or(Path::new("/"));
    let like = std::fs::metadata(top).map_err(failed("read", top))?;
    let mut private = std::fs::DirBuilder::new();
    private.mode(0o700);
    private.create(layer).map_err(failed("create", layer))?;
    for name in ["upper", "work", "rootfs"] {
        let path = layer.join(name);
        private.create(&path).map_err(failed("create", &path))?;
    }
    let upper = layer.join("upper");
    std::os::unix::fs::chown(&upper, Some(like.uid()), Some(like.gid()))
        .map_err(failed("chown", &upper))?;
    std::fs::set_permissions(&upper, like.permissions()).map_err(failed("chmod", &upper))
}

/// Runs a container.
pub(super) async fn start(shared: &Arc<Shared>, id: &str) -> Result<()> {
    let found = shared.state.container(id)?;
    found.require(ContainerState::Created, "start it")?;
    let asked = found.asked("start a container");
    let result = asked
        .ask(
            Operation::Start {
                container: id.to_owned(),
            },
            &[],
        )
        .await;
    if matches!(result, Err(Error::Monitor { .. })) {
        // Whoever tries again shall find the sandbox as it is.
        sandboxes::look(shared, &found.sandbox, &found.directory).await?;
    }
    // The record says the same as the event that is on its way.
    refresh(shared, &found, id)?;
    result.map(|_| ())
}

fn refresh(shared: &Shared, found: &Found, id: &str) -> Result<()> {
    let record = found
        .directory
        .container(id)
        .read_record(found.file.config.attempt)?;
    advance(shared, &found.sandbox, id, record);
    Ok(())
}

/// Takes a record and tells what happened.
pub(super) fn advance(shared: &Shared, sandbox: &str, id: &str, record: Record) {
    for event in shared.state.advance(id, record) {
        sandboxes::tell(shared, event, sandbox, Some(id));
    }
}

/// Asks a container to end, then makes it.
pub(super) async fn stop(shared: &Arc<Shared>, id: &str, timeout: Duration) -> Result<()> {
    let found = match shared.state.container(id) {
        Err(error) if error.is_not_found() => return Ok(()),
        found => found?,
    };
    if found.state() != ContainerState::Running {
        return Ok(());
    }
    if !timeout.is_zero() {
        signal(&found, id, process::stop_signal(&found.file.config)).await?;
        if shared.clock.timeout(timeout, ended(&found)).await.is_ok() {
            return Ok(());
        }
    }
    kill(shared, &found, id).await
}

async fn kill(shared: &Shared, found: &Found, id: &str) -> Result<()> {
    // Not through the monitor, which has only to see it end.
    let group = shared.group(&found.cgroup)?;
    if let Err(error) = group.kill() {
        tracing::warn!(container = id, "{}", cgroup_error("kill", &error).chain());
    }
    let after_ms = u64::try_from(KILL_FOR.as_millis()).unwrap_or(u64::MAX);
    let waited = shared.clock.timeout(KILL_FOR, ended(found)).await;
    waited.map_err(|_| Error::Timeout {
        operation: "killing a container",
        after_ms,
    })
}

async fn signal(found: &Found, id: &str, signal: i32) -> Result<()> {
    let asked = found.asked("signal a container");
    let operation = Operation::Signal {
        container: id.to_owned(),
        signal,
    };
    asked.ask(operation, &[]).await.map(|_| ())
}

async fn ended(found: &Found) {
    let mut record = found.record.clone();
    // A record whose owner is gone belongs to a removed container.
    let _ = record
        .wait_for(|record| record.state == ContainerState::Exited)
        .await;
}

/// Kills and forgets a container.
pub(super) async fn remove(shared: &Arc<Shared>, id: &str) -> Result<()> {
    let found = match shared.state.container(id) {
        Err(error) if error.is_not_found() => return Ok(()),
        found => found?,
    };
    if found.state() == ContainerState::Running {
        kill(shared, &found, id).await?;
    }
    cleanup::remove_group(shared, &shared.group(&found.cgroup)?).await?;
    let ready = shared
        .state
        .lock()
        .sandboxes
        .get(&found.sandbox)
        .is_some_and(|one| one.ready());
    if ready {
        let operation = Operation::Forget {
            container: id.to_owned(),
        };
        // A monitor that is gone has forgotten.
        let _ = found.asked("forget a container").ask(operation, &[]).await;
    }
    cleanup::remove_tree(&shared.config.data_dir.join(id)).await?;
    cleanup::remove_tree(&found.directory.container(id).0).await?;
    sandboxes::tell(shared, EventKind::Deleted, &found.sandbox, Some(id));
    shared.state.lock().containers.remove(id);
    Ok(())
}

/// Changes limits.
pub(super) async fn update(shared: &Arc<Shared>, id: &str, resources: Resources) -> Result<()> {
    let found = shared.state.container(id)?;
    if found.state() == ContainerState::Exited {
        found.require(ContainerState::Running, "change its limits")?;
    }
    if found.state() == ContainerState::Running {
        let group = shared.group(&found.cgroup)?;
        let limits = crate::monitor::limits(&resources);
        group
            .apply(&limits)
            .map_err(|error| cgroup_error("change limits", &error))?;
        if let Some(adjustment) = resources.oom_score_adj
            && let Some(pid) = found.record.borrow().pid
        {
            // Lowering needs CAP_SYS_RESOURCE; without it the value stays.
            let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), adjustment.to_string());
        }
    }
    let mut file = found.file.clone();
    file.config.resources.merge(resources);
    write_json(&found.directory.container(id).file(), &file)?;
    if let Some(container) = shared.state.lock().containers.get_mut(id) {
        container.file = file;
    }
    Ok(())
}

/// Opens a log file anew.
pub(super) async fn reopen_log(shared: &Arc<Shared>, id: &str) -> Result<()> {
    let found = shared.state.container(id)?;
    found.require(ContainerState::Running, "reopen its log")?;
    let operation = Operation::ReopenLog {
        container: id.to_owned(),
    };
    found
        .asked("reopen a log")
        .ask(operation, &[])
        .await
        .map(|_| ())
}

/// What a container uses.
pub(super) async fn stats(shared: &Arc<Shared>, id: &str) -> Result<Stats> {
    let found = shared.state.container(id)?;
    found.require(ContainerState::Running, "read its statistics")?;
    let mut stats = usage(shared, &found.cgroup)?;
    stats.writable_layer = Some(writable_layer(shared, id).await?);
    Ok(stats)
}

/// Measured by walking it, so not more often than [`MEASURE_EVERY`].
async fn writable_layer(shared: &Arc<Shared>, id: &str) -> Result<FsUsage> {
    let now = shared.clock.now();
    let last = shared
        .state
        .lock()
        .containers
        .get(id)
        .and_then(|container| container.measured);
    if let Some((_, usage)) = last.filter(|(then, _)| now - *then < MEASURE_EVERY) {
        return Ok(usage);
    }
    let upper = shared.config.data_dir.join(id).join("upper");
    let usage = blocking("measure the writable layer", move || {
        Ok(FsUsage::of(&upper))
    })
    .await?;
    if let Some(container) = shared.state.lock().containers.get_mut(id) {
        container.measured = Some((now, usage));
    }
    Ok(usage)
}

/// What a cgroup uses.
pub(super) fn usage(shared: &Shared, cgroup: &str) -> Result<Stats> {
    let usage = shared.group(cgroup)?.usage();
    let usage = usage.map_err(|error| cgroup_error("read statistics", &error))?;
    Ok(Stats {
        timestamp_ns: shared.now_ns(),
        cpu_usage_ns: usage.cpu_ns,
        memory_usage_bytes: usage.memory_bytes,
        memory_working_set_bytes: usage.working_set_bytes,
        memory_rss_bytes: usage.rss_bytes,
        memory_limit_bytes: usage.memory_limit_bytes,
        page_faults: usage.page_faults,
        major_page_faults: usage.major_page_faults,
        pids: usage.pids,
        writable_layer: None,
    })
}

impl Found {
    pub(super) fn asked(&self, operation: &'static str) -> Asked<'_> {
        Asked {
            sandbox: &self.sandbox,
            directory: &self.directory,
            operation,
        }
    }
}
