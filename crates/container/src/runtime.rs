//! The trait [`Runtime`]: the seam between the kubelet and whatever runs containers.
//!
//! Its operations and their idempotence are those of the Container Runtime
//! Interface: stopping what is stopped and removing what is gone succeed, so
//! that a caller can repeat itself after a crash. Implementations: the embedded
//! runtime, and [`FakeRuntime`](crate::fake::FakeRuntime) for tests.

use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{broadcast, mpsc};

use crate::config::{ContainerConfig, Resources, SandboxConfig};
use crate::error::Result;
use crate::status::{
    ContainerFilter, ContainerStatus, RuntimeStatus, SandboxFilter, SandboxStatus, Stats, Version,
};

/// Runs sandboxes and containers. Shared by all workers of a kubelet.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Name and version.
    async fn version(&self) -> Result<Version>;

    /// Whether containers can be run.
    async fn status(&self) -> Result<RuntimeStatus>;

    /// Makes a sandbox and answers with its id once containers can be created
    /// in it. Its network namespace exists then, with the loopback link up;
    /// addresses are the caller's business.
    async fn run_sandbox(&self, config: SandboxConfig) -> Result<String>;

    /// Ends all processes of the sandbox at once and gives its namespaces back.
    /// Succeeds when it is stopped or gone.
    async fn stop_sandbox(&self, id: &str) -> Result<()>;

    /// Stops the sandbox if need be and forgets it with its containers.
    /// Succeeds when it is gone.
    async fn remove_sandbox(&self, id: &str) -> Result<()>;

    /// The sandbox as it is.
    async fn sandbox_status(&self, id: &str) -> Result<SandboxStatus>;

    /// All sandboxes that match, oldest first.
    async fn list_sandboxes(&self, filter: &SandboxFilter) -> Result<Vec<SandboxStatus>>;

    /// Prepares a container and answers with its id. Nothing runs yet.
    async fn create_container(&self, sandbox: &str, config: ContainerConfig) -> Result<String>;

    /// Runs a created container; returns when its program has been executed.
    async fn start_container(&self, id: &str) -> Result<()>;

    /// Sends the stop signal, waits up to `timeout`, then kills. Returns when
    /// the container is EXITED. A zero timeout kills at once. Succeeds when it
    /// has ended or is gone.
    async fn stop_container(&self, id: &str, timeout: Duration) -> Result<()>;

    /// Kills the container if need be and forgets it with its writable layer.
    /// Its log file stays. Succeeds when it is gone.
    async fn remove_container(&self, id: &str) -> Result<()>;

    /// All containers that match, oldest first.
    async fn list_containers(&self, filter: &ContainerFilter) -> Result<Vec<ContainerStatus>>;

    /// The container as it is.
    async fn container_status(&self, id: &str) -> Result<ContainerStatus>;

    /// Changes the limits of a created or running container; absent fields stay.
    async fn update_resources(&self, id: &str, resources: Resources) -> Result<()>;

    /// Opens the container's log file anew, after the caller renamed it.
    async fn reopen_log(&self, id: &str) -> Result<()>;

    /// Runs a command in a running container and collects what it writes. A zero
    /// timeout means none; after the timeout it is killed: [`Error::Timeout`](crate::Error::Timeout).
    async fn exec_sync(
        &self,
        id: &str,
        command: &[String],
        timeout: Duration,
    ) -> Result<ExecOutput>;

    /// Runs a command in a running container with streams; returns its exit code
    /// when it has ended and all that it wrote was delivered.
    async fn exec(&self, id: &str, command: &[String], streams: Streams) -> Result<i32>;

    /// Connects streams to a running container's own; returns when it ends or
    /// the streams do. With a terminal there is no stderr.
    async fn attach(&self, id: &str, streams: Streams) -> Result<()>;

    /// Connects a stream to a port on the sandbox's loopback address; returns
    /// when both directions have ended.
    async fn port_forward(&self, sandbox: &str, port: u16, stream: Box<dyn Duplex>) -> Result<()>;

    /// What a container uses. An ended one is [`Error::WrongState`](crate::Error::WrongState).
    async fn container_stats(&self, id: &str) -> Result<Stats>;

    /// What the pod's cgroup uses.
    async fn sandbox_stats(&self, id: &str) -> Result<Stats>;

    /// What happens from now on. A receiver that lags has missed some and should
    /// list again.
    fn events(&self) -> broadcast::Receiver<Event>;
}

/// Something happened to a sandbox or container: a reason to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// Where.
    pub sandbox_id: String,
    /// The pod's uid.
    pub pod_uid: String,
    /// To which container; `None` for the sandbox itself.
    pub container_id: Option<String>,
}

/// Kinds of [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A container was created, or a sandbox made.
    Created,
    /// A container's program runs.
    Started,
    /// A container ended, or a sandbox is not ready any more.
    Stopped,
    /// It is gone.
    Deleted,
}

/// What [`Runtime::exec_sync`] collected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecOutput {
    /// Standard output, cut at 16 MiB.
    pub stdout: Vec<u8>,
    /// Standard error, cut at 16 MiB.
    pub stderr: Vec<u8>,
    /// 128 + signal when killed.
    pub exit_code: i32,
}

/// A readable end.
pub type Input = Box<dyn AsyncRead + Send + Unpin>;
/// A writable end.
pub type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// A stream of both directions, such as a forwarded port.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// The caller's ends of exec and attach.
#[derive(Default)]
pub struct Streams {
    /// Fed to the process until its end of file; absent is empty.
    pub stdin: Option<Input>,
    /// Receives standard output, or the terminal's.
    pub stdout: Option<Output>,
    /// Receives standard error; unused with a terminal.
    pub stderr: Option<Output>,
    /// Whether the process gets a terminal. Exec only: attach takes the container's.
    pub tty: bool,
    /// Sizes of the caller's terminal, as they change.
    pub resize: Option<mpsc::Receiver<TerminalSize>>,
}

/// Size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}
