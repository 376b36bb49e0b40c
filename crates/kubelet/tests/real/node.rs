//! A node of a test's own, that leaves nothing behind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use container::Runtime;
use container::embedded::{Config as RuntimeConfig, Embedded};
use container::status::{ContainerFilter, ContainerState};
use images::pull::{NoRegistry, Puller};
use images::{Images, ImportOptions, build};
use informer::Factory;
use kubelet::adapters::LocalImages;
use kubelet::fakes::{FakeEvents, FakeNetwork};
use kubelet::machine::{LinuxCgroups, LinuxMachine, LinuxMounts};
use kubelet::{Config, Doors, Handle};
use serde_json::{Value, json};
use stdx::{Clock, Rng, Supervisor};
use testkit::FakeApi;

const BUSYBOX: &str = "/bin/busybox";
pub const IMAGE: &str = "busybox:test";
/// More than any wait needs, so that only a hang meets it.
const BOUND: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

impl Drop for Below {
    /// A test that failed leaves nothing either.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let groups = linux::cgroup::Cgroups::detect();
        if let Ok(group) = groups.and_then(|groups| groups.group(&self.cgroup)) {
            for _ in 0..100 {
                let _ = group.kill();
                if group.remove().is_ok() {
                    break;
                }
                std::thread::sleep(LOOK);
            }
        }
        let _ = linux::mount::unmount_below(self.temp.path());
    }
}

/// A kubelet over real things.
pub struct Node {
    pub api: FakeApi,
    pub runtime: Arc<Embedded>,
    pub events: Arc<FakeEvents>,
    pub supervisor: Supervisor,
    pub handle: Handle,
    below: Below,
}

/// What outlives a kubelet.
pub struct Below {
    api: FakeApi,
    images: Images,
    network: Arc<FakeNetwork>,
    runtime: RuntimeConfig,
    cgroup: String,
    temp: tempfile::TempDir,
}

impl Below {
    /// Makes one, or says why it cannot be here.
    fn new() -> Option<Below> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: containers need root");
            return None;
        }
        if !Command::new(BUSYBOX)
            .arg("true")
            .status()
            .is_ok_and(|s| s.success())
        {
            eprintln!("skipped: {BUSYBOX} (busybox-static) is missing");
            return None;
        }
        let temp = tempfile::tempdir().unwrap();
        let path = |name: &str| temp.path().join(name);
        let images = Images::open(path("images")).unwrap();
        let recipe = build::busybox_image(IMAGE, Path::new(BUSYBOX)).unwrap();
        let archive = path("busybox.tar");
        let file = std::fs::File::create(&archive).unwrap();
        build::write_oci(&[&recipe], file).unwrap();
        images.import(&archive, &ImportOptions::default()).unwrap();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let cgroup = format!("/tiphys-kubelet-test-{}-{count}", std::process::id());
        let mut runtime = RuntimeConfig::new(path("run"), path("data"), cgroup.clone());
        runtime.monitor = vec![
            env!("CARGO_BIN_EXE_kubelet-monitor").into(),
            "monitor".into(),
        ];
        Some(Below {
            api: FakeApi::new(Clock::system(), Rng::system()),
            images,
            network: Arc::default(),
            runtime,
            cgroup,
            temp,
        })
    }

    /// Starts a kubelet.
    pub async fn start(self) -> Node {
        let clock = Clock::system();
        let supervisor = Supervisor::new("kubelet");
        let runtime = Arc::new(Embedded::open(self.runtime.clone()).await.unwrap());
        let informers = Factory::new(
            self.api.client(),
            clock.clone(),
            Rng::system(),
            supervisor.child("informers"),
        );
        let events = Arc::new(FakeEvents::default());
        let puller = Puller::new(self.images.clone(), Arc::new(NoRegistry), clock.clone());
        let doors = Doors {
            runtime: runtime.clone(),
            images: Arc::new(LocalImages::new(puller)),
            network: self.network.clone(),
            mounts: Arc::new(LinuxMounts),
            cgroups: Arc::new(LinuxCgroups::detect().unwrap()),
            machine: Arc::new(LinuxMachine),
            prober: None,
            events: Some(events.clone()),
        };
        let mut config = Config::new("node1", self.temp.path().join("kubelet"));
        config.node_ips = vec!["127.0.0.1".into()];
        config.cgroup_root = self.cgroup.clone();
        let handle = kubelet::run(
            config,
            self.api.client(),
            doors,
            &informers,
            clock,
            Rng::system(),
            supervisor.clone(),
        )
        .await
        .unwrap();
        Node {
            api: self.api.clone(),
            runtime,
            events,
            supervisor,
            handle,
            below: self,
        }
    }
}

impl Node {
    pub async fn new() -> Option<Node> {
        Some(Below::new()?.start().await)
    }

    /// Ends the kubelet; containers go on.
    pub async fn stop(self) -> Below {
        self.supervisor.shutdown(Duration::from_secs(5)).await;
        self.below
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.below.temp.path().join(name)
    }

    pub fn kubelet_path(&self, name: &str) -> PathBuf {
        self.path("kubelet").join(name)
    }

    /// Creates a pod with one container `a` that runs a script.
    pub fn script(&self, name: &str, script: &str, more: Value) {
        let mut container = json!({
            "name": "a", "image": IMAGE, "command": ["sh", "-c", script],
            "imagePullPolicy": "IfNotPresent",
        });
        let mut spec = more;
        if let Some(fields) = spec["container"].take().as_object() {
            container.as_object_mut().unwrap().extend(fields.clone());
        }
        spec.as_object_mut().unwrap().remove("container");
        spec["containers"] = json!([container]);
        self.pod(name, spec);
    }

    pub fn pod(&self, name: &str, mut spec: Value) {
        spec["nodeName"] = json!("node1");
        self.api.create(
            "pods",
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
                "spec": spec, "status": {"phase": "Pending"},
            }),
        );
    }

    pub fn get(&self, name: &str) -> Value {
        self.api.get("pods", "default", name).unwrap_or_default()
    }

    pub fn uid(&self, name: &str) -> String {
        let pod = self.get(name);
        pod["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub async fn until(&self, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let clock = Clock::system();
        let begin = clock.now();
        loop {
            let pod = self.get(name);
            if is_so(&pod) {
                return pod;
            }
            assert!(
                clock.since(begin) < BOUND,
                "{name} never became {what}: {:#}\nevents: {:#?}",
                pod["status"],
                self.events.lines()
            );
            clock.sleep(LOOK).await;
        }
    }

    pub async fn until_true(&self, what: &str, is_so: impl Fn() -> bool) {
        self.until("", what, |_| is_so()).await;
    }

    pub async fn until_ready(&self, name: &str) -> Value {
        self.until(name, "ready", |pod| {
            let conditions = pod["status"]["conditions"].as_array().cloned();
            let mut conditions = conditions.unwrap_or_default().into_iter();
            conditions.any(|c| c["type"] == "Ready" && c["status"] == "True")
        })
        .await
    }

    pub async fn until_phase(&self, name: &str, phase: &str) -> Value {
        self.until(name, phase, |pod| pod["status"]["phase"] == phase)
            .await
    }

    /// What the newest container of a pod wrote.
    pub async fn log(&self, pod: &str, container: &str) -> String {
        let filter = ContainerFilter {
            labels: [("io.kubernetes.pod.uid".to_owned(), self.uid(pod))].into(),
            ..ContainerFilter::default()
        };
        let list = self.runtime.list_containers(&filter).await.unwrap();
        let newest = list.into_iter().rfind(|c| c.name == container);
        let text = std::fs::read_to_string(newest.unwrap().log_path.unwrap()).unwrap();
        let lines = text
            .lines()
            .map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default());
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Runs a command in a pod's running container.
    pub async fn exec(&self, pod: &str, script: &str) -> String {
        let filter = ContainerFilter {
            state: Some(ContainerState::Running),
            labels: [("io.kubernetes.pod.uid".to_owned(), self.uid(pod))].into(),
            ..ContainerFilter::default()
        };
        let list = self.runtime.list_containers(&filter).await.unwrap();
        let command = ["sh", "-c", script].map(str::to_owned);
        let output = self.runtime.exec_sync(&list[0].id, &command, BOUND).await;
        let output = output.unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).trim_end().to_owned()
    }

    /// Deletes a pod as the API server does and waits until the node has let go.
    pub async fn delete(&self, name: &str, grace: i64) {
        self.api.edit("pods", "default", name, |pod| {
            pod["metadata"]["deletionTimestamp"] = json!("2026-11-20T17:31:00Z");
            pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
            pod["metadata"]["finalizers"] = json!(["test/wait"]);
        });
        let asked = || {
            let path = format!("DELETE /api/v1/namespaces/default/pods/{name}");
            self.api
                .take_writes()
                .iter()
                .any(|write| write.starts_with(&path))
        };
        self.until_true("let go", asked).await;
        self.api.remove("pods", "default", name);
    }

    /// Ends all pods and the kubelet, and checks that nothing is left.
    pub async fn end(self) {
        for pod in self.api.list("pods") {
            let name = pod["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            self.api.remove("pods", "default", &name);
        }
        self.until_true("without pods", || self.handle.pod_count() == 0)
            .await;
        let (root, cgroup) = (self.below.temp.path().to_owned(), self.below.cgroup.clone());
        let runtime_config = self.below.runtime.clone();
        let below = self.stop().await;
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let root = root.to_string_lossy().into_owned();
        let left: Vec<&str> = mounts.lines().filter(|line| line.contains(&root)).collect();
        assert_eq!(left, Vec::<&str>::new(), "mounts are left");
        let pods = below.temp.path().join("kubelet/pods");
        assert_eq!(
            std::fs::read_dir(pods).unwrap().count(),
            0,
            "pod directories are left"
        );
        let logs = below.temp.path().join("kubelet/logs");
        assert_eq!(std::fs::read_dir(logs).unwrap().count(), 0, "logs are left");
        let held = below.images.holders().unwrap();
        assert!(held.is_empty(), "images are held: {held:?}");
        Embedded::reset(runtime_config).await.unwrap();
        let groups = linux::cgroup::Cgroups::detect().unwrap();
        let group = groups.group(&cgroup).unwrap();
        let left = group.processes().unwrap();
        assert!(left.is_empty(), "processes are left: {left:?}");
        group.remove().unwrap();
    }
}
