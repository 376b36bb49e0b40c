//! One server with its node, in a place of its own.

use crate::kubectl::{Kubectl, Outcome};
use crate::slot::{self, Slot};
use crate::wait::look_for;
use crate::{leaks, report};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{File, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The disk of whoever runs tests may be fuller than that of a node.
const EVICTION: &str = "eviction-hard=memory.available<100Mi,nodefs.available<1%,nodefs.inodesFree<1%,imagefs.available<1%";

/// How a cluster differs from others.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Further arguments of the server.
    pub arguments: Vec<String>,
    /// Without the images of the tests.
    pub without_images: bool,
}

/// One server with its node. It ends when dropped, with all that it started.
pub struct Cluster {
    slot: Slot,
    root: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    server: Option<Child>,
    ended: bool,
}

/// Runs a test with a cluster of its own, which must leave nothing behind.
///
/// # Panics
/// With the test, or when something is left behind.
pub fn with_cluster(options: Options, test: impl FnOnce(&mut Cluster)) {
    let mut cluster = Cluster::start(options);
    let outcome = catch_unwind(AssertUnwindSafe(|| test(&mut cluster)));
    if let Err(panic) = outcome {
        eprintln!("{}", report::of(&cluster, None));
        resume_unwind(panic);
    }
    let left = cluster.end();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

impl Cluster {
    /// Starts one and waits until its node is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start(options: Options) -> Cluster {
        let mut cluster = Cluster::prepare(options);
        cluster.start_server();
        cluster.wait_for_node();
        cluster
    }

    /// Makes the place of one without starting it.
    ///
    /// # Panics
    /// When the place cannot be made.
    pub fn prepare(options: Options) -> Cluster {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        leaks::sweep();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = slot::folder().join(format!("{}-{number}", std::process::id()));
        let cluster = Cluster {
            slot: Slot::take(),
            root,
            arguments: options.arguments,
            variables: Vec::new(),
            server: None,
            ended: false,
        };
        std::fs::create_dir_all(cluster.data().join("images")).expect("make the data directory");
        if !options.without_images {
            crate::archive(&cluster.data().join("images/tests.tar"));
        }
        cluster
    }

    /// Sets a variable of the server's environment, from its next start on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_string(), value.to_string()));
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// A file or folder beside the data directory.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig.yaml")
    }

    /// What the server has said, without colours.
    pub fn log(&self) -> String {
        log_in(&self.root)
    }

    /// The name of its node.
    pub fn node(&self) -> String {
        self.slot.node()
    }

    /// The port of its API server.
    pub fn https_port(&self) -> u16 {
        self.slot.https_port()
    }

    /// The port of its kubelet.
    pub fn kubelet_port(&self) -> u16 {
        self.slot.kubelet_port()
    }

    /// A port of the machine that only this cluster's tests use.
    pub fn spare_port(&self, index: u16) -> u16 {
        self.slot.spare_port(index)
    }

    /// The port on which its proxy says how it does.
    pub fn proxy_health_port(&self) -> u16 {
        self.slot.spare_port(6)
    }

    /// The address of cluster DNS.
    pub fn dns(&self) -> String {
        format!("{}0.10", self.slot.service_prefix())
    }

    /// The first address of its Services.
    pub fn service_prefix(&self) -> String {
        self.slot.service_prefix()
    }

    /// The name that links, tables and cgroups of this server carry.
    pub fn instance(&self) -> String {
        leaks::instance(&self.data())
    }

    /// kubectl as administrator.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(&self.kubeconfig(), &self.root)
    }

    /// The process of the server.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> Pid {
        let server = self.server.as_ref().expect("a running server");
        Pid::from_child(server)
    }

    /// `tiphys` with this cluster's data directory.
    pub fn tiphys(&self, arguments: &str) -> Outcome {
        let mut command = Command::new(crate::tiphys());
        command
            .args(crate::words(arguments))
            .arg("--data-dir")
            .arg(self.data());
        Outcome::of(&mut command)
    }

    /// The command that would start the server.
    pub fn server_command(&self) -> Command {
        let slot = &self.slot;
        let healthz = format!(
            "healthz-bind-address=127.0.0.1:{}",
            self.proxy_health_port()
        );
        let mut command = Command::new(crate::tiphys());
        command
            .arg("server")
            .arg("--config")
            .arg(self.root.join("config.yaml"))
            .arg("--data-dir")
            .arg(self.data())
            .arg("--write-kubeconfig")
            .arg(self.kubeconfig())
            .args(["--https-listen-port", &slot.https_port().to_string()])
            .args(["--kubelet-port", &slot.kubelet_port().to_string()])
            .args(["--cluster-cidr", &slot.cluster_cidr()])
            .args(["--service-cidr", &slot.service_cidr()])
            .args(["--service-node-port-range", &slot.node_ports()])
            .args(["--node-name", &slot.node()])
            .args(["--kubelet-arg", EVICTION])
            .args(["--kubelet-arg", "image-gc-high-threshold=100"])
            .args(["--kube-proxy-arg", &healthz])
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Starts the server and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start_server(&mut self) {
        self.launch_server();
        self.wait_for_server();
    }

    /// Starts the server and waits for nothing.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn launch_server(&mut self) {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.root.join("server.log"))
            .expect("open the server's log");
        let errors: File = log.try_clone().expect("share the server's log");
        let server = self
            .server_command()
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("start the server");
        std::fs::write(self.root.join("pid"), server.id().to_string()).expect("note the pid");
        self.server = Some(server);
    }

    fn wait_for_server(&mut self) {
        let kubectl = self.kubectl();
        let ready = look_for(300, || {
            let server = self.server.as_mut().expect("a server");
            if let Some(status) = server.try_wait().expect("look at the server") {
                panic!("the server ended ({status}):\n{}", report::log_of(self));
            }
            (self.kubeconfig().exists() && kubectl.run("get --raw /readyz").is_ok()).then_some(())
        });
        assert!(
            ready.is_some(),
            "the server is not ready:\n{}",
            report::log_of(self)
        );
    }

    /// Waits until its node is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn wait_for_node(&self) {
        let node = format!("node/{}", self.node());
        let kubectl = self.kubectl();
        let ready = look_for(300, || {
            kubectl
                .run(&format!("wait --for=condition=Ready --timeout=30s {node}"))
                .is_ok()
                .then_some(())
        });
        let account = look_for(300, || {
            kubectl
                .run("get serviceaccount default")
                .is_ok()
                .then_some(())
        });
        assert!(
            ready.and(account).is_some(),
            "the node is not ready:\n{}",
            report::log_of(self)
        );
    }

    /// Ends the server as an administrator does; containers stay.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop_server(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Ends the server as a crash does.
    ///
    /// # Panics
    /// When it does not end.
    pub fn kill_server(&mut self) {
        self.signal(Signal::KILL);
    }

    fn signal(&mut self, signal: Signal) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        let _ = kill_process(Pid::from_child(&server), signal);
        let ended = look_for(300, || server.try_wait().ok().flatten());
        if ended.is_none() {
            let _ = server.kill();
            let _ = server.wait();
            panic!(
                "the server did not end on {signal:?}:\n{}",
                report::log_of(self)
            );
        }
    }

    /// Whether a person wants to look at it after a failure.
    fn is_kept(&self) -> bool {
        let kept = std::env::var_os("TIPHYS_E2E_KEEP").is_some();
        if kept {
            eprintln!("kept: export KUBECONFIG={}", self.kubeconfig().display());
        }
        kept
    }

    /// Ends the server, resets, and says what is left on the machine.
    pub fn end(mut self) -> Vec<String> {
        self.ended = true;
        let mut left = Vec::new();
        if catch_unwind(AssertUnwindSafe(|| self.stop_server())).is_err() {
            left.push("the server did not end when asked".to_string());
        }
        let seen = leaks::Seen::of(&self.data());
        let reset = self.tiphys("reset --purge");
        if !reset.is_ok() {
            left.push(format!("reset failed: {}", reset.text()));
        }
        left.extend(seen.left(&self.data(), &self.slot.service_prefix()));
        if left.is_empty() {
            remove(&self.root);
        }
        left
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.ended || self.is_kept() {
            return;
        }
        if let Some(mut server) = self.server.take() {
            let _ = kill_process(Pid::from_child(&server), Signal::TERM);
            if look_for(100, || server.try_wait().ok().flatten()).is_none() {
                let _ = server.kill();
                let _ = server.wait();
            }
        }
        let reset = self.tiphys("reset --purge");
        if !reset.is_ok() {
            eprintln!("reset failed: {}", reset.text());
        }
        remove(&self.root);
    }
}

/// What the server of the cluster in a folder has said.
pub(crate) fn log_in(root: &Path) -> String {
    let bytes = std::fs::read(root.join("server.log")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn remove(root: &Path) {
    if let Err(error) = std::fs::remove_dir_all(root) {
        eprintln!("remove {}: {error}", root.display());
    }
}
