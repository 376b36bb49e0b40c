//! The server that is measured: one of our own for each row, or one that runs
//! already and is named by its kubeconfig.

use crate::http2::{Connection, Request};
use crate::process::{self, Memory};
use crate::target::Target;
use anyhow::{Context as _, Result, bail};
use images::build::{busybox_image, write_oci};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use stdx::{Clock, Instant};
use tempfile::TempDir;

/// The image that pods run.
pub const IMAGE: &str = "docker.io/library/busybox:bench";
/// Where pods and Services get their addresses, apart from the usual ones.
const CLUSTER_CIDR: &str = "10.193.0.0/16";
const SERVICE_CIDR: &str = "10.194.0.0/16";
/// The address of cluster DNS that follows from it.
pub const CLUSTER_DNS: [u8; 4] = [10, 194, 0, 10];
const PATIENCE: Duration = Duration::from_secs(60);

/// How a server of our own is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// With a node.
    pub node: bool,
    /// Parts that do not run.
    pub disable: &'static str,
    /// With the image that pods run.
    pub image: bool,
}

/// A server that answers.
pub struct Server {
    /// Where it is, and that we are its administrator.
    pub target: Target,
    /// Its processes, as far as they are known.
    pub pids: Vec<u32>,
    /// Since when it was being started.
    pub started: Instant,
    /// How long it took until /readyz said ok.
    pub ready_after: Duration,
    clock: Clock,
    own: Option<Own>,
}

/// What must go when the server goes.
struct Own {
    child: Child,
    binary: PathBuf,
    data: PathBuf,
    _dir: TempDir,
}

impl Server {
    /// One that runs already.
    pub fn running(target: Target, pids: Vec<u32>, clock: Clock) -> Self {
        Server {
            target,
            pids,
            started: clock.now(),
            ready_after: Duration::ZERO,
            clock,
            own: None,
        }
    }

    /// Starts one with an empty data directory and waits until /readyz says ok.
    pub async fn start(binary: &Path, options: Options, clock: &Clock) -> Result<Self> {
        let dir = TempDir::with_prefix("tiphys-bench-").context("make a directory")?;
        // A copy of its own tells this server's processes from all others.
        let copy = dir.path().join("tiphys");
        std::fs::copy(binary, &copy).with_context(|| format!("copy {}", binary.display()))?;
        let data = dir.path().join("data");
        if options.image {
            write_image(&data)?;
        }
        let kubeconfig = dir.path().join("kubeconfig.yaml");
        let (port, kubelet_port) = (free_port()?, free_port()?);
        let log = File::create(dir.path().join("log")).context("make the server's log")?;
        let mut command = Command::new(&copy);
        command
            .arg("server")
            .arg("--config")
            .arg(dir.path().join("none.yaml"))
            .arg("--data-dir")
            .arg(&data)
            .arg("--write-kubeconfig")
            .arg(&kubeconfig)
            .args(["--https-listen-port", &port.to_string()])
            .args(["--kubelet-port", &kubelet_port.to_string()])
            .args(["--cluster-cidr", CLUSTER_CIDR])
            .args(["--service-cidr", SERVICE_CIDR])
            .args(["--node-name", "bench"]);
        if !options.node {
            command.arg("--disable-agent");
        }
        if !options.disable.is_empty() {
            command.args(["--disable", options.disable]);
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share the server's log")?)
            .stderr(log);
        let started = clock.now();
        let child = command.spawn().context("start the server")?;
        let authority = format!("127.0.0.1:{port}");
        let mut server = Server {
            target: Target::stranger(&authority)?,
            pids: vec![child.id()],
            started,
            ready_after: Duration::ZERO,
            clock: clock.clone(),
            own: Some(Own {
                child,
                binary: copy,
                data,
                _dir: dir,
            }),
        };
        server.wait_ready().await?;
        server.ready_after = server.age();
        server.wait_identity(&kubeconfig).await?;
        Ok(server)
    }

    /// Whether it is one of our own.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// A connection.
    pub async fn connect(&self) -> Result<Connection> {
        Ok(Connection::open(&self.target).await?)
    }

    /// Time since it was being started.
    pub fn age(&self) -> Duration {
        self.clock.since(self.started)
    }

    /// All its processes: the server and the monitors of its pods.
    pub fn family(&self) -> Vec<u32> {
        match &self.own {
            Some(own) => process::running(&own.binary),
            None => self.pids.clone(),
        }
    }

    /// The memory of the server itself.
    pub fn memory(&self) -> Memory {
        sum(&self.pids)
    }

    /// Waits until the memory of the server stands still.
    pub async fn settle(&self) -> Memory {
        let (mut last, mut calm) = (self.memory(), 0);
        for _ in 0..120 {
            self.clock.sleep(Duration::from_millis(250)).await;
            let now = self.memory();
            let moved = now.resident.abs_diff(last.resident) > 256 * 1024;
            calm = if moved { 0 } else { calm + 1 };
            last = now;
            if calm == 8 {
                break;
            }
        }
        last
    }

    async fn wait_ready(&mut self) -> Result<()> {
        loop {
            if let Ok(mut connection) = Connection::open(&self.target).await
                && let Ok(body) = connection.fetch(&Request::get("/readyz")).await
                && body == b"ok"
            {
                return Ok(());
            }
            self.check_alive()?;
            self.clock.sleep(Duration::from_micros(500)).await;
        }
    }

    async fn wait_identity(&mut self, kubeconfig: &Path) -> Result<()> {
        while !kubeconfig.exists() {
            self.check_alive()?;
            self.clock.sleep(Duration::from_millis(1)).await;
        }
        self.target = Target::read(kubeconfig)?;
        Ok(())
    }

    fn check_alive(&mut self) -> Result<()> {
        let late = self.age() > PATIENCE;
        let Some(own) = &mut self.own else {
            return Ok(());
        };
        let ended = own.child.try_wait().context("look at the server")?;
        if ended.is_none() && !late {
            return Ok(());
        }
        let log = own.data.with_file_name("log");
        let log = std::fs::read_to_string(log).unwrap_or_default();
        match ended {
            Some(status) => bail!("the server ended ({status}):\n{log}"),
            None => bail!("the server does not become ready:\n{log}"),
        }
    }
}

/// The memory of several processes.
pub fn sum(pids: &[u32]) -> Memory {
    let each = pids.iter().map(|pid| process::memory(*pid));
    each.fold(Memory::default(), |sum, one| Memory {
        resident: sum.resident + one.resident,
        proportional: sum.proportional + one.proportional,
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(own) = &mut self.own else { return };
        if let Some(log) = std::env::var_os("TIPHYS_BENCH_KEEP_LOG") {
            let _ = std::fs::copy(own.data.with_file_name("log"), log);
        }
        let pid = rustix::process::Pid::from_child(&own.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = own.child.wait();
        let reset = Command::new(&own.binary)
            .args(["reset", "--purge", "--data-dir"])
            .arg(&own.data)
            .output();
        match reset {
            Ok(output) if output.status.success() => {}
            Ok(output) => eprintln!(
                "tiphys reset failed: {}",
                String::from_utf8_lossy(&output.stderr)
            ),
            Err(error) => eprintln!("tiphys reset failed: {error}"),
        }
    }
}

fn write_image(data: &Path) -> Result<()> {
    let folder = data.join("images");
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let path = folder.join("busybox.tar");
    let image = busybox_image(IMAGE, Path::new("/bin/busybox")).context("make an image")?;
    let mut file = File::create(&path).with_context(|| format!("write {}", path.display()))?;
    write_oci(&[&image], &mut file).with_context(|| format!("write {}", path.display()))
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    Ok(listener.local_addr().context("find a free port")?.port())
}
