//! A runtime of a test's own, with a busybox image, that leaves nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use container::config::{ContainerConfig, Image, RootFs, SandboxConfig};
use container::embedded::{Config, Embedded};
use container::{ContainerState, ContainerStatus, Runtime};

const BUSYBOX: &str = "/bin/busybox";
/// More than any wait needs, so that only a hang meets it.
pub const BOUND: Duration = Duration::from_secs(60);

/// A runtime and its directories.
pub struct Node {
    pub runtime: Embedded,
    pub config: Config,
    pub cgroup: String,
    directory: tempfile::TempDir,
    before: Footprint,
}

impl Node {
    /// Starts one, or says why it cannot run here.
    pub async fn new() -> Option<Node> {
        Node::with(None).await
    }

    /// On cgroups of version 2 alone, also where the machine's limits are those of
    /// version 1.
    pub async fn version_2() -> Option<Node> {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
        let is_v2 = |root: &&&str| Path::new(root).join("cgroup.controllers").exists();
        let Some(root) = roots.iter().find(is_v2) else {
            eprintln!("skipped: no hierarchy of version 2");
            return None;
        };
        Node::with(Some(linux::cgroup::Cgroups::version_2(root.into()))).await
    }

    async fn with(cgroups: Option<linux::cgroup::Cgroups>) -> Option<Node> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: containers need root");
            return None;
        }
        let is_static = Command::new(BUSYBOX).arg("true").status();
        if !is_static.is_ok_and(|status| status.success()) {
            eprintln!("skipped: {BUSYBOX} (busybox-static) is missing");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        make_rootfs(&directory.path().join("rootfs"));
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let cgroup = format!("/tiphys-container-test-{}-{count}", std::process::id());
        let mut config = Config::new(
            directory.path().join("run"),
            directory.path().join("data"),
            cgroup.clone(),
        );
        config.monitor = vec![
            env!("CARGO_BIN_EXE_container-monitor").into(),
            "monitor".into(),
        ];
        config.cgroups = cgroups;
        let before = Footprint::of(directory.path(), &cgroup);
        let runtime = Embedded::open(config.clone()).await.unwrap();
        Some(Node {
            runtime,
            config,
            cgroup,
            directory,
            before,
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn sandbox_config(&self, name: &str) -> SandboxConfig {
        SandboxConfig {
            name: name.to_owned(),
            namespace: "default".to_owned(),
            uid: format!("uid-{name}"),
            hostname: name.to_owned(),
            log_directory: Some(self.path("logs").join(name)),
            cgroup_parent: format!("{}/kubepods/burstable/pod{name}", self.cgroup),
            ..SandboxConfig::default()
        }
    }

    pub fn container_config(&self, name: &str, script: &str) -> ContainerConfig {
        ContainerConfig {
            name: name.to_owned(),
            image: Image {
                reference: "busybox:test".to_owned(),
                id: "sha256:test".to_owned(),
                rootfs: RootFs {
                    lower: vec![self.path("rootfs")],
                },
                ..Image::default()
            },
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            log_path: Some(format!("{name}/0.log").into()),
            ..ContainerConfig::default()
        }
    }

    /// Starts a container in a sandbox of its own.
    pub async fn start(&self, config: ContainerConfig) -> (String, String) {
        let sandbox = self
            .runtime
            .run_sandbox(self.sandbox_config(&config.name))
            .await
            .unwrap();
        let id = self.start_in(&sandbox, config).await;
        (sandbox, id)
    }

    pub async fn start_in(&self, sandbox: &str, config: ContainerConfig) -> String {
        let id = self
            .runtime
            .create_container(sandbox, config)
            .await
            .unwrap();
        self.runtime.start_container(&id).await.unwrap();
        id
    }

    /// Runs a script to its end: its status and its log.
    pub async fn run(&self, config: ContainerConfig) -> (ContainerStatus, String) {
        let name = config.name.clone();
        let (sandbox, id) = self.start(config).await;
        let status = self.exited(&id).await;
        let log = self.log(&name);
        self.runtime.remove_sandbox(&sandbox).await.unwrap();
        fs::remove_dir_all(self.path("logs").join(&name)).unwrap();
        (status, log)
    }

    /// Runs a script with everything else as it is by default.
    pub async fn script(&self, script: &str) -> (ContainerStatus, String) {
        self.run(self.container_config("script", script)).await
    }

    pub async fn exited(&self, id: &str) -> ContainerStatus {
        let mut found = None;
        until("the container ends", async || {
            let status = self.runtime.container_status(id).await.unwrap();
            let ended = status.state == ContainerState::Exited;
            found = Some(status);
            ended
        })
        .await;
        found.unwrap()
    }

    /// The lines of a log without their times, stream and tag in front.
    pub fn log(&self, name: &str) -> String {
        let path = self.path("logs").join(name).join(name).join("0.log");
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = |line: &str| line.split_once(' ').map(|(_, rest)| rest.to_owned());
        text.lines().filter_map(line).collect::<Vec<_>>().join("\n")
    }

    /// What a container's shell prints for a script.
    pub async fn sh(&self, id: &str, script: &str) -> String {
        let command = ["sh", "-c", script].map(str::to_owned);
        let output = self.runtime.exec_sync(id, &command, BOUND).await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).trim_end().to_owned()
    }

    /// Drops the runtime; one with other directories stands in until it comes back.
    pub async fn leave(&mut self) {
        let (run, data) = (self.path("away/run"), self.path("away/data"));
        let away = Config::new(run, data, self.cgroup.clone());
        self.runtime = Embedded::open(away).await.unwrap();
    }

    /// Removes everything and compares with the beginning.
    pub async fn finish(self) {
        for sandbox in self
            .runtime
            .list_sandboxes(&Default::default())
            .await
            .unwrap()
        {
            self.runtime.remove_sandbox(&sandbox.id).await.unwrap();
        }
        let root = self.directory.path();
        let data: Vec<_> = fs::read_dir(root.join("data")).unwrap().collect();
        let run: Vec<_> = fs::read_dir(root.join("run")).unwrap().collect();
        assert!(data.is_empty() && run.is_empty(), "left: {data:?} {run:?}");
        let groups = Footprint::of(root, &self.cgroup).groups;
        let pods: Vec<_> = groups
            .iter()
            .filter(|group| group.contains("/pod"))
            .collect();
        assert!(pods.is_empty(), "left: {pods:?}");
        Embedded::reset(self.config.clone()).await.unwrap();
        assert_eq!(Footprint::of(root, &self.cgroup), self.before);
    }
}

impl Drop for Node {
    /// Clears away what a failed test leaves, on a thread that may block.
    fn drop(&mut self) {
        let config = self.config.clone();
        let clear = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                let _ = runtime.block_on(Embedded::reset(config));
            }
        };
        let _ = std::thread::spawn(clear).join();
    }
}

/// Looks again and again until a condition holds.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(
        tokio::time::timeout(BOUND, looking).await.is_ok(),
        "never: {what}"
    );
}

/// What an instance has taken from the machine.
#[derive(Debug, PartialEq, Eq)]
pub struct Footprint {
    pub mounts: BTreeSet<PathBuf>,
    pub groups: BTreeSet<String>,
    pub processes: BTreeSet<i32>,
}

impl Footprint {
    pub fn of(directory: &Path, cgroup: &str) -> Footprint {
        let mounts = linux::mount::table()
            .unwrap()
            .into_iter()
            .map(|mount| mount.mount_point);
        let mounts = mounts
            .filter(|point| point.starts_with(directory))
            .collect();
        let mut groups = BTreeSet::new();
        let mut processes = BTreeSet::new();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            walk(
                &hierarchy.path().join(&cgroup[1..]),
                &mut groups,
                &mut processes,
            );
        }
        // Monitors and their children name the directory, wherever they are.
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let pid = entry.file_name().to_string_lossy().parse::<i32>().ok();
            let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            if line.contains(directory.to_str().unwrap()) {
                processes.extend(pid);
            }
        }
        Footprint {
            mounts,
            groups,
            processes,
        }
    }
}

fn walk(directory: &Path, groups: &mut BTreeSet<String>, processes: &mut BTreeSet<i32>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    groups.insert(directory.to_string_lossy().into_owned());
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    processes.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        walk(&entry.path(), groups, processes);
    }
}

fn make_rootfs(root: &Path) {
    for directory in ["bin", "etc", "tmp", "var", "home/web"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::copy(BUSYBOX, root.join("bin/busybox")).unwrap();
    let list = Command::new(BUSYBOX).arg("--list").output().unwrap();
    for applet in String::from_utf8_lossy(&list.stdout)
        .lines()
        .filter(|name| *name != "busybox")
    {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/home/web:/bin/sh\n",
    )
    .unwrap();
    fs::write(
        root.join("etc/group"),
        "root:x:0:\nwww:x:34:\nlog:x:50:web\n",
    )
    .unwrap();
    // As images of systemd distributions have it: a link to nowhere.
    symlink("../run/resolve/stub.conf", root.join("etc/resolv.conf")).unwrap();
}
