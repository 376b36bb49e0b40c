//! Sandboxes: made, watched, lost, adopted, stopped and removed.

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Stdio;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::link::{Asked, Link};
use super::state::{Container, Sandbox};
use super::{Shared, blocking, cgroup_error, cleanup, containers};
use crate::config::{NamespaceMode, SandboxConfig};
use crate::error::{Error, Result};
use crate::layout::{
    ContainerFile, SandboxDir, SandboxFile, failed, read_json, subdirectories, write_json,
};
use crate::protocol::{Answer, Operation, Record};
use crate::runtime::{Event, EventKind};
use crate::status::{ContainerState, EXIT_KILLED, Stats, reason};

/// How long a monitor may take to end its containers, which it kills.
const STOP_FOR: Duration = Duration::from_secs(10);
const SIGKILL: i32 = 9;
/// When to try again to reach a monitor that may live.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Makes a sandbox.
pub(super) async fn run(shared: &Arc<Shared>, config: SandboxConfig) -> Result<String> {
    check(shared, &config)?;
    let id = shared.new_id();
    let directory = SandboxDir(shared.config.run_dir.join(&id));
    let file = SandboxFile {
        id: id.clone(),
        cgroups: shared.cgroups.clone(),
        monitor_cgroup: format!("{}/monitors/{id}", shared.config.cgroup_root),
        data_dir: shared.config.data_dir.clone(),
        created_ns: shared.now_ns(),
        boot_id: shared.boot_id.clone(),
        stopped: false,
        config,
    };
    match start(shared, &file, &directory).await {
        Ok((link, monitor)) => {
            let pid = monitor.id().and_then(|pid| i32::try_from(pid).ok());
            enter(shared, file, directory, pid);
            watch(shared, id.clone(), Some(link), Some(monitor));
            tell(shared, EventKind::Created, &id, None);
            Ok(id)
        }
        Err(error) => {
            // The first failure is the one to tell.
            if cleanup::release(shared, &file, &directory).await.is_ok() {
                let _ = cleanup::remove_tree(&directory.0).await;
                let _ = cleanup::remove_pod_group(shared, &file);
            }
            Err(error)
        }
    }
}

fn check(shared: &Shared, config: &SandboxConfig) -> Result<()> {
    shared.group(&config.cgroup_parent)?;
    let unsupported = |what: &str| Err(Error::Unsupported(what.to_owned()));
    match (
        &config.namespaces.network,
        &config.namespaces.ipc,
        &config.namespaces.pid,
    ) {
        (NamespaceMode::Container | NamespaceMode::Target(_), _, _) => {
            unsupported("a network namespace per container")
        }
        (_, NamespaceMode::Container | NamespaceMode::Target(_), _) => {
            unsupported("an IPC namespace per container")
        }
        (_, _, NamespaceMode::Target(_)) => unsupported("a sandbox in a container's processes"),
        _ if !config.runtime_handler.is_empty() => {
            unsupported(&format!("runtime handler {:?}", config.runtime_handler))
        }
        _ => Ok(()),
    }
}

/// Makes the cgroups and starts the monitor.
async fn start(
    shared: &Arc<Shared>,
    file: &SandboxFile,
    directory: &SandboxDir,
) -> Result<(Link, Child)> {
    super::make_private(&directory.0).map_err(failed("create", &directory.0))?;
    write_json(&directory.file(), file)?;
    let mut monitor = {
        let (shared, file, directory) = (shared.clone(), file.clone(), directory.clone());
        blocking("start the sandbox", move || {
            make_groups(&shared, &file)?;
            spawn(&shared, &directory).map_err(unreachable(&file.id))
        })
        .await?
    };
    let said = hear(&mut monitor).await.map_err(unreachable(&file.id))?;
    if said != "ready" {
        let unspoken = || format!("the monitor ended early, see {:?}", directory.log());
        let message = if said.is_empty() { unspoken() } else { said };
        return Err(Error::Failed {
            operation: "start the sandbox",
            message,
        });
    }
    let asked = Asked {
        sandbox: &file.id,
        directory,
        operation: "subscribe",
    };
    let (link, _) = asked.ask(Operation::Subscribe, &[]).await?;
    Ok((link, monitor))
}

fn unreachable(sandbox: &str) -> impl FnOnce(io::Error) -> Error + use<> {
    let (sandbox, operation) = (sandbox.to_owned(), "start the sandbox");
    move |source| Error::Monitor {
        sandbox,
        operation,
        source,
    }
}

/// Before the monitor starts: while a process is moved, the kernel lets no other
/// work on cgroups happen, and the monitor moves itself first of all.
fn make_groups(shared: &Shared, file: &SandboxFile) -> Result<()> {
    let failed = |error| cgroup_error("prepare cgroups", &error);
    shared
        .group(&file.monitor_cgroup)?
        .create()
        .map_err(failed)?;
    let pod = shared.group(&file.config.cgroup_parent)?;
    pod.create().map_err(failed)?;
    match &file.config.resources {
        Some(resources) => pod
            .apply(&crate::monitor::limits(resources))
            .map_err(failed),
        None => Ok(()),
    }
}

fn spawn(shared: &Shared, directory: &SandboxDir) -> io::Result<Child> {
    let (program, arguments) = shared
        .config
        .monitor
        .split_first()
        .ok_or(io::ErrorKind::InvalidInput)?;
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(directory.log())?;
    Command::new(program)
        .args(arguments)
        .arg(&directory.0)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
}

/// What the monitor says before it closes its standard output.
async fn hear(monitor: &mut Child) -> io::Result<String> {
    let mut stdout = monitor.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut text = String::new();
    stdout.read_to_string(&mut text).await?;
    Ok(text)
}

fn enter(shared: &Shared, file: SandboxFile, directory: SandboxDir, monitor_pid: Option<i32>) {
    let sandbox = Sandbox {
        directory,
        monitor_pid,
        stopping: false,
        file,
    };
    shared
        .state
        .lock()
        .sandboxes
        .insert(sandbox.file.id.clone(), sandbox);
}

/// Follows a monitor until it ends. The task belongs to the connection: it ends
/// with the monitor, or with the runtime, which it does not keep alive. A
/// connection that breaks, or is not there yet, while the monitor lives is made anew.
fn watch(shared: &Arc<Shared>, id: String, link: Option<Link>, monitor: Option<Child>) {
    let weak = Arc::downgrade(shared);
    tokio::spawn(async move {
        let mut link = link;
        loop {
            while let Some(Ok(answer)) = receive(&mut link).await {
                let Some(shared) = Weak::upgrade(&weak) else {
                    return;
                };
                if let Answer::Changed { container, record } = answer {
                    containers::advance(&shared, &id, &container, record);
                }
            }
            let Some(shared) = Weak::upgrade(&weak) else {
                return;
            };
            let Ok(directory) = shared.state.sandbox_dir(&id) else {
                break;
            };
            match greet(&id, &directory).await {
                Ok(Some((again, _))) => {
                    link = Some(again);
                    catch_up(&shared, &id, &directory);
                }
                Ok(None) => break,
                // Only certainty may cost the containers their lives.
                Err(error) => {
                    tracing::error!(sandbox = id, "{}", error.chain());
                    link = None;
                    shared.clock.sleep(RETRY_AFTER).await;
                }
            }
        }
        if let Some(mut monitor) = monitor {
            // Only so that it does not stay a zombie.
            let _ = monitor.wait().await;
        }
        let Some(shared) = Weak::upgrade(&weak) else {
            return;
        };
        if let Err(error) = lost(&shared, &id).await {
            tracing::error!(
                sandbox = id,
                "cannot clear away a lost sandbox: {}",
                error.chain()
            );
        }
    });
}

async fn receive(link: &mut Option<Link>) -> Option<io::Result<Answer>> {
    match link {
        Some(link) => Some(link.receive().await),
        None => None,
    }
}

/// Takes from the records what was not told.
fn catch_up(shared: &Shared, id: &str, directory: &SandboxDir) {
    for (container, _) in containers_of(shared, id) {
        match directory.container(&container).read_record(0) {
            Ok(record) => containers::advance(shared, id, &container, record),
            Err(error) => tracing::error!(container, "{}", error.chain()),
        }
    }
}

/// Looks whether the monitor lives, and clears away after one that does not.
pub(super) async fn look(shared: &Arc<Shared>, id: &str, directory: &SandboxDir) -> Result<()> {
    match greet(id, directory).await {
        Ok(None) => lost(shared, id).await,
        Ok(Some(_)) | Err(_) => Ok(()),
    }
}

/// The monitor has ended. Unless that was wanted, its containers are killed and
/// the sandbox is not ready any more.
async fn lost(shared: &Arc<Shared>, id: &str) -> Result<()> {
    let (file, directory) = {
        let mut tables = shared.state.lock();
        let Some(sandbox) = tables.sandboxes.get_mut(id) else {
            return Ok(());
        };
        sandbox.monitor_pid = None;
        if !sandbox.ready() {
            return Ok(());
        }
        sandbox.stopping = true;
        (sandbox.file.clone(), sandbox.directory.clone())
    };
    tracing::warn!(
        sandbox = id,
        pod = file.config.name,
        "the monitor of a pod died"
    );
    end(shared, file, &directory, "the monitor of the pod died").await
}

/// Gives everything back, closes the records, and tells.
async fn end(
    shared: &Arc<Shared>,
    mut file: SandboxFile,
    directory: &SandboxDir,
    message: &str,
) -> Result<()> {
    cleanup::release(shared, &file, directory).await?;
    for (container, _) in containers_of(shared, &file.id) {
        close_record(shared, &file, directory, &container, message)?;
    }
    file.stopped = true;
    write_json(&directory.file(), &file)?;
    if let Some(sandbox) = shared.state.lock().sandboxes.get_mut(&file.id) {
        sandbox.file.stopped = true;
        sandbox.monitor_pid = None;
    }
    tell(shared, EventKind::Stopped, &file.id, None);
    Ok(())
}

/// Takes the monitor's last word on a container, or says that it was killed.
fn close_record(
    shared: &Shared,
    file: &SandboxFile,
    directory: &SandboxDir,
    container: &str,
    message: &str,
) -> Result<()> {
    let container_dir = directory.container(container);
    let mut record = match container_dir.read_record(0) {
        Err(Error::Damaged { .. }) => Record::unknown(0),
        record => record?,
    };
    if record.state == ContainerState::Running && file.boot_id != shared.boot_id {
        record = Record {
            finished_ns: Some(file.created_ns),
            ..Record::unknown(record.attempt)
        };
        write_json(&container_dir.record(), &record)?;
    } else if record.state == ContainerState::Running {
        record = Record {
            state: ContainerState::Exited,
            pid: None,
            finished_ns: Some(shared.now_ns()),
            exit_code: EXIT_KILLED,
            signal: Some(9),
            reason: reason::ERROR.to_owned(),
            message: message.to_owned(),
            ..record
        };
        write_json(&container_dir.record(), &record)?;
    }
    containers::advance(shared, &file.id, container, record);
    Ok(())
}

/// Ids of a sandbox's containers, with whether they run.
pub(super) fn containers_of(shared: &Shared, sandbox: &str) -> Vec<(String, bool)> {
    let tables = shared.state.lock();
    let of_it = tables
        .containers
        .iter()
        .filter(|(_, one)| one.sandbox == sandbox);
    of_it
        .map(|(id, one)| {
            (
                id.clone(),
                one.record.borrow().state == ContainerState::Running,
            )
        })
        .collect()
}

/// Stops a sandbox.
pub(super) async fn stop(shared: &Arc<Shared>, id: &str) -> Result<()> {
    let (file, directory) = {
        let mut tables = shared.state.lock();
        let Some(sandbox) = tables.sandboxes.get_mut(id) else {
            return Ok(());
        };
        if sandbox.file.stopped {
            return Ok(());
        }
        sandbox.stopping = true;
        (sandbox.file.clone(), sandbox.directory.clone())
    };
    let asked = Asked {
        sandbox: id,
        directory: &directory,
        operation: "stop the sandbox",
    };
    let stopped = shared
        .clock
        .timeout(STOP_FOR, asked.ask(Operation::Stop, &[]))
        .await;
    if !matches!(stopped, Ok(Ok(_))) {
        tracing::warn!(
            sandbox = id,
            "the monitor does not stop; its processes are killed"
        );
    }
    end(shared, file, &directory, "the sandbox was stopped").await
}

/// Stops and forgets a sandbox with its containers.
pub(super) async fn remove(shared: &Arc<Shared>, id: &str) -> Result<()> {
    stop(shared, id).await?;
    for (container, _) in containers_of(shared, id) {
        containers::remove(shared, &container).await?;
    }
    let Some((file, directory)) = ({
        let tables = shared.state.lock();
        tables
            .sandboxes
            .get(id)
            .map(|one| (one.file.clone(), one.directory.clone()))
    }) else {
        return Ok(());
    };
    cleanup::remove_tree(&directory.0).await?;
    let others = {
        let mut tables = shared.state.lock();
        tables.sandboxes.remove(id);
        let parent = &file.config.cgroup_parent;
        tables
            .sandboxes
            .values()
            .any(|other| other.file.config.cgroup_parent == *parent)
    };
    if !others {
        cleanup::remove_pod_group(shared, &file)?;
    }
    send(shared, EventKind::Deleted, &file, None);
    Ok(())
}

/// What the pod's cgroup uses.
pub(super) async fn stats(shared: &Arc<Shared>, id: &str) -> Result<Stats> {
    let status = shared.state.sandbox_status(id)?;
    containers::usage(shared, &status.cgroup_parent)
}

/// Finds the sandboxes of an earlier process.
pub(super) async fn adopt_all(shared: &Arc<Shared>) -> Result<()> {
    for id in subdirectories(&shared.config.run_dir)? {
        let directory = SandboxDir(shared.config.run_dir.join(&id));
        match read_json::<SandboxFile>(&directory.file()) {
            Ok(Some(file)) => adopt(shared, file, directory).await?,
            // It was being made or removed.
            Ok(None) => discard(shared, &id, &directory).await?,
            // A power cut can tear it. Nobody will know what it was.
            Err(error @ Error::Damaged { .. }) => {
                tracing::error!(sandbox = id, "a sandbox is given up: {}", error.chain());
                discard(shared, &id, &directory).await?;
            }
            Err(error) => return Err(error),
        }
    }
    sweep_layers(shared).await
}

/// Clears away a sandbox of which only its id is known. With its monitor, whose
/// cgroup has the id as its name, its containers die.
async fn discard(shared: &Arc<Shared>, id: &str, directory: &SandboxDir) -> Result<()> {
    if let Ok(Some((_, pid))) = greet(id, directory).await {
        // It may have ended meanwhile.
        let _ = linux::process::kill(pid, SIGKILL);
    }
    let monitor = format!("{}/monitors/{id}", shared.config.cgroup_root);
    cleanup::remove_group(shared, &shared.group(&monitor)?).await?;
    let path = &directory.0;
    linux::mount::unmount_below(path).map_err(failed("unmount below", path))?;
    cleanup::remove_tree(path).await
}

async fn adopt(shared: &Arc<Shared>, file: SandboxFile, directory: SandboxDir) -> Result<()> {
    let id = file.id.clone();
    let may_live = !file.stopped && file.boot_id == shared.boot_id;
    let live = if may_live {
        greet(&id, &directory).await
    } else {
        Ok(None)
    };
    let pid = live
        .as_ref()
        .ok()
        .and_then(|live| live.as_ref().map(|(_, pid)| *pid));
    enter(shared, file.clone(), directory.clone(), pid);
    for container in directory.containers()? {
        let container_dir = directory.container(&container);
        let config = match read_json::<ContainerFile>(&container_dir.file()) {
            Ok(Some(config)) => config,
            Ok(None) | Err(Error::Damaged { .. }) => {
                cleanup::remove_tree(&container_dir.0).await?;
                continue;
            }
            Err(error) => return Err(error),
        };
        let record = match container_dir.read_record(config.config.attempt) {
            Err(Error::Damaged { .. }) => Record::unknown(config.config.attempt),
            record => record?,
        };
        let container = Container::new(&file, config, record);
        shared
            .state
            .lock()
            .containers
            .insert(container.file.id.clone(), container);
    }
    match live {
        Ok(Some((link, _))) => {
            watch(shared, id.clone(), Some(link), None);
            // Something may have happened before it was subscribed to.
            catch_up(shared, &id, &directory);
            Ok(())
        }
        Ok(None) if file.stopped => Ok(()),
        Ok(None) => lost(shared, &id).await,
        Err(error) => {
            tracing::error!(sandbox = id, "{}", error.chain());
            watch(shared, id, None, None);
            Ok(())
        }
    }
}

/// Connects to a monitor that may be there: `None` when it is not.
async fn greet(id: &str, directory: &SandboxDir) -> Result<Option<(Link, i32)>> {
    let asked = Asked {
        sandbox: id,
        directory,
        operation: "adopt the sandbox",
    };
    let hello = async {
        let (_, hello) = asked.ask(Operation::Hello, &[]).await?;
        let Answer::Hello { pid, .. } = hello else {
            return Err(asked.failed(io::ErrorKind::InvalidData.into()));
        };
        let (link, _) = asked.ask(Operation::Subscribe, &[]).await?;
        Ok((link, pid))
    };
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof};
    const DEAD: [io::ErrorKind; 5] = [
        NotFound,
        ConnectionRefused,
        ConnectionReset,
        BrokenPipe,
        UnexpectedEof,
    ];
    match hello.await {
        Ok(live) => Ok(Some(live)),
        Err(Error::Monitor { source, .. }) if DEAD.contains(&source.kind()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes writable layers that no container has.
async fn sweep_layers(shared: &Arc<Shared>) -> Result<()> {
    for name in subdirectories(&shared.config.data_dir)? {
        let known = shared.state.lock().containers.contains_key(&name);
        if !known {
            cleanup::remove_tree(&shared.config.data_dir.join(name)).await?;
        }
    }
    Ok(())
}

/// Tells the runtime's user that something happened.
pub(super) fn tell(shared: &Shared, kind: EventKind, sandbox: &str, container: Option<&str>) {
    let file = shared
        .state
        .lock()
        .sandboxes
        .get(sandbox)
        .map(|one| one.file.clone());
    if let Some(file) = file {
        send(shared, kind, &file, container);
    }
}

fn send(shared: &Shared, kind: EventKind, file: &SandboxFile, container: Option<&str>) {
    let event = Event {
        kind,
        sandbox_id: file.id.clone(),
        pod_uid: file.config.uid.clone(),
        container_id: container.map(str::to_owned),
    };
    // Nobody listening is fine.
    let _ = shared.events.send(event);
}
