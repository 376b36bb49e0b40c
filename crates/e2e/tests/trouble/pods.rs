//! Pods that behave badly, and very many of them.

use e2e::machine::{cgroups, parent, processes_below, said};
use e2e::wire::Door;
use e2e::{Cluster, Options, Outcome, Scope, Traces, Vitals, dose, patiently, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub fn deaf_containers_end(t: &Scope) {
    let before = names(t);
    for number in 0..5 {
        t.pod(
            &format!("deaf-{number}"),
            r#"
            containers:
            - {name: main, image: busybox:1.35, command: [sh, -c, 'trap "" TERM INT HUP; while true; do sleep 1; done']}
            - {name: side, image: busybox:1.35, command: [sh, -c, 'trap "" TERM; (trap "" TERM; sleep 3600) & sleep 3600']}
            "#,
        );
    }
    t.ok("wait --for=condition=Ready --timeout=60s pod --all");
    t.ok("delete pod --all --timeout=60s");
    assert_eq!(names(t), before);
}

fn names(t: &Scope) -> String {
    t.ok("get pods -o name")
}

pub fn floods_of_logs_are_rotated(t: &Scope) {
    t.pod(
        "flood",
        "
        containers:
        - name: main
          image: busybox:1.35
          command: [sh, -c, 'echo the beginning; seq 10000000 11500000; echo the end; while true; do echo still here; sleep 0.1; done']
        ",
    );
    t.wait_ready("flood");
    let follower = Follower::start(t);
    patiently(
        "the end of the flood",
        || t.run("logs flood --tail=1").stdout,
        |line| line == "still here\n",
    );
    let uid = t.field("pod flood", "{.metadata.uid}");
    let logs = format!("agent/kubelet/logs/{}_flood_{uid}/main", t.namespace);
    let logs = t.cluster.data().join(logs);
    // The open file is small again, and there are five at the most.
    patiently(
        "rotated files",
        || files_of(&logs),
        |files| {
            let current = files.iter().find(|(path, _)| path.ends_with("0.log"));
            let is_small = current.is_some_and(|(_, size)| *size < 10 << 20);
            is_small && (2..=5).contains(&files.len())
        },
    );
    let tail = patiently(
        "lines after the rotation",
        || t.ok("logs flood --tail=3"),
        |tail| tail.lines().count() == 3,
    );
    assert_eq!(tail, "still here\n".repeat(3));
    let limited = t.ok("logs flood --limit-bytes=15");
    assert_eq!(limited.len(), 15);
    follower.check();
    t.ok("delete pod flood --timeout=60s");
}

/// A client that follows a log and must miss no line.
struct Follower {
    client: std::process::Child,
    reader: std::thread::JoinHandle<Vec<String>>,
}

impl Follower {
    fn start(t: &Scope) -> Follower {
        use std::io::BufRead as _;
        let mut client = t.spawn("logs -f flood");
        let stdout = client.stdout.take().expect("standard output");
        let reader = std::thread::spawn(move || {
            let lines = std::io::BufReader::new(stdout)
                .lines()
                .map_while(Result::ok);
            let mut wrong = vec!["the end did not come".to_string()];
            let mut next = 10_000_000_u32;
            for line in lines.skip_while(|line| line != "the beginning").skip(1) {
                if line == "the end" {
                    wrong.remove(0);
                    break;
                }
                if line != next.to_string() && wrong.len() < 10 {
                    wrong.push(format!("{line} instead of {next}"));
                    next = line.parse().unwrap_or(next);
                }
                next += 1;
            }
            wrong
        });
        Follower { client, reader }
    }

    fn check(mut self) {
        let wrong = self.reader.join().expect("the reader");
        let _ = self.client.kill();
        let _ = self.client.wait();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

fn files_of(folder: &PathBuf) -> Vec<(PathBuf, u64)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sized = entries.map(|entry| (entry.path(), entry.metadata().map_or(0, |m| m.len())));
    sized.collect()
}

pub fn many_execs_leave_nothing(t: &Scope) {
    const EXECS: usize = 1000;
    const AT_ONCE: usize = 50;
    t.ready_pod(
        "busy",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    t.sh_ok("busy", "true");
    let before = Vitals::of(&t.cluster);
    let uid = t.field("pod busy", "{.metadata.uid}");
    let process = contained(&t.cluster, &uid).pop_first().expect("a process");
    let monitor = parent(process).expect("a monitor");
    let monitor_before = Vitals::of_process(monitor).expect("a monitor");
    let door = Door::of(&t.cluster);
    let execute = |word: String| {
        let said = e2e::exec::run(&door, &t.namespace, "busy", &["echo", &word]);
        assert_eq!(said.expect("an exec").trim(), word);
    };
    for number in 0..dose(50, EXECS) {
        execute(format!("alone-{number}"));
    }
    std::thread::scope(|scope| {
        for lane in 0..AT_ONCE {
            let execute = &execute;
            scope.spawn(move || {
                for number in 0..EXECS / AT_ONCE {
                    execute(format!("{lane}-{number}"));
                }
            });
        }
    });
    before.wait_for(&t.cluster);
    patiently(
        "one process in the pod",
        || contained(&t.cluster, &uid),
        |now| now.iter().eq([&process]),
    );
    patiently(
        "a monitor that holds no more than before",
        || Vitals::of_process(monitor).map(|now| now.descriptors),
        |now| *now == Some(monitor_before.descriptors),
    );
    let after = Vitals::of_process(monitor).expect("a monitor");
    let grown = after.memory_kib.saturating_sub(monitor_before.memory_kib);
    println!("{grown} KiB more in the monitor after its execs");
    assert!(grown < 4 << 10, "{grown} KiB more in the monitor");
    t.ok("delete pod busy --timeout=60s");
}

/// The processes in the cgroups of a pod.
pub fn contained(cluster: &Cluster, uid: &str) -> BTreeSet<u32> {
    let pods = cgroups(&cluster.instance()).into_iter().flat_map(|root| {
        let above = root.join("kubepods");
        let classes = ["besteffort", "burstable", ""].map(|class| above.join(class));
        classes.map(|class| class.join(format!("pod{uid}")))
    });
    pods.flat_map(|pod| processes_below(&pod)).collect()
}

/// A Deployment of pods that end at once when asked.
fn crowd(name: &str, replicas: u32) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - {{name: main, image: 'busybox:1.35', command: [sh, -c, 'trap \"exit 0\" TERM; while true; do sleep 3600 & wait; done']}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  type: NodePort
  selector: {{app: {name}}}
  ports: [{{port: 80}}]
"
    )
}

pub fn a_crowd_comes_and_goes() {
    let cluster = Cluster::start(Options::default());
    let (kubectl, before) = (cluster.kubectl(), Traces::of(&cluster));
    let vitals = Vitals::of(&cluster);
    kubectl.apply(&crowd("crowd", dose(50, 110)));
    kubectl.ok("rollout status deployment/crowd --timeout=120s");
    kubectl.ok("delete deployment,service crowd --timeout=60s");
    kubectl.ok("delete pod -l app=crowd --timeout=120s");
    before.wait_for(&cluster);
    // Deleted while they start.
    for round in 0..dose(2, 3) {
        let name = format!("brief-{round}");
        kubectl.apply(&crowd(&name, dose(20, 40)));
        let some = 5 * (round + 1);
        until("some pods have begun", || {
            let pods = kubectl.run(&format!("get pods -l app={name} -o name"));
            pods.stdout.lines().count() >= some
        });
        kubectl.ok(&format!("delete deployment,service {name} --timeout=60s"));
        kubectl.ok(&format!("delete pod -l app={name} --timeout=120s"));
    }
    before.wait_for(&cluster);
    vitals.wait_for(&cluster);
    end(cluster);
}

pub fn a_server_dies_among_pods() {
    let mut cluster = Cluster::start(Options::default());
    let (kubectl, before) = (cluster.kubectl(), Traces::of(&cluster));
    // While they start.
    kubectl.apply(&crowd("crowd", 30));
    let mut ran = BTreeMap::new();
    for ready in [1, 10, 20] {
        until("some pods run", || {
            count(&kubectl.run(RUNNING).stdout) >= ready
        });
        ran.extend(containers(&kubectl.get("pods -l app=crowd")));
        cluster.kill_server();
        cluster.start_server();
    }
    kubectl.ok("rollout status deployment/crowd --timeout=90s");
    let pods = kubectl.get("pods -l app=crowd");
    assert_eq!(pods["items"].as_array().map(Vec::len), Some(30));
    // Those that ran before a death were adopted, not made anew.
    let run = containers(&pods);
    for (pod, container) in &ran {
        assert_eq!(run.get(pod), Some(container), "{pod} was not adopted");
    }
    // While they stop.
    kubectl.ok("delete deployment,service crowd --cascade=background --wait=false");
    for left in [29, 15, 3] {
        until("some pods are gone", || {
            count(&kubectl.run("get pods -l app=crowd -o name").stdout) <= left
        });
        cluster.kill_server();
        cluster.start_server();
    }
    until("all pods are gone", || {
        let outcome = kubectl.run("get pods -o name");
        outcome.is_ok() && outcome.stdout.is_empty()
    });
    before.wait_for(&cluster);
    end(cluster);
}

const RUNNING: &str = "get pods -l app=crowd --field-selector=status.phase=Running -o name";

fn count(text: &str) -> usize {
    text.lines().count()
}

/// The containers that run, with how often they were restarted, by pod.
fn containers(pods: &Value) -> BTreeMap<String, String> {
    let pods = pods["items"].as_array().into_iter().flatten();
    let running = pods.filter_map(|pod| {
        let name = pod["metadata"]["name"].as_str()?.to_string();
        let status = &pod["status"]["containerStatuses"][0];
        status["state"]["running"].as_object()?;
        let container = format!("{} {}", status["containerID"], status["restartCount"]);
        Some((name, container))
    });
    running.collect()
}

pub fn monitors_die_under_load() {
    let cluster = Cluster::start(Options::default());
    let (kubectl, before) = (cluster.kubectl(), Traces::of(&cluster));
    let vitals = Vitals::of(&cluster);
    let pods = dose(10, 20);
    kubectl.apply(&crowd("crowd", pods));
    kubectl.ok("rollout status deployment/crowd --timeout=60s");
    let (pods, deaths) = (pods as usize, pods as usize / 2);
    for _ in 0..dose(2, 3) {
        let monitors = monitors(&cluster);
        assert!(monitors.len() >= deaths, "{monitors:?}");
        for monitor in monitors.iter().take(deaths) {
            Outcome::of(std::process::Command::new("kill").args(["-9", monitor]));
        }
        // Their pods come back, in sandboxes of their own.
        until("the dead monitors are seen", || {
            let found = kubectl.run("get pods -l app=crowd -o json");
            let found: Value = serde_json::from_str(&found.stdout).unwrap_or_default();
            self::monitors(&cluster).len() >= pods && is_all_ready(&found, pods)
        });
        kubectl.ok("rollout status deployment/crowd --timeout=60s");
    }
    kubectl.ok("delete deployment,service crowd --timeout=60s");
    kubectl.ok("delete pod -l app=crowd --timeout=120s");
    before.wait_for(&cluster);
    vitals.wait_for(&cluster);
    end(cluster);
}

fn is_all_ready(pods: &Value, count: usize) -> bool {
    let pods: Vec<&Value> = pods["items"].as_array().into_iter().flatten().collect();
    let is_ready = |pod: &&&Value| {
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        conditions
            .clone()
            .any(|c| c["type"] == "Ready" && c["status"] == "True")
    };
    pods.len() == count && pods.iter().filter(is_ready).count() == count
}

/// The processes that hold sandboxes.
fn monitors(cluster: &Cluster) -> Vec<String> {
    let root = format!("/sys/fs/cgroup/pids/tiphys-{}/monitors", cluster.instance());
    let root = match std::path::Path::new(&root).exists() {
        true => root,
        false => format!("/sys/fs/cgroup/tiphys-{}/monitors", cluster.instance()),
    };
    let found = said("find", &[&root, "-name", "cgroup.procs"]);
    let texts = found
        .lines()
        .map(|path| std::fs::read_to_string(path).unwrap_or_default());
    texts
        .flat_map(|text| text.lines().map(String::from).collect::<Vec<_>>())
        .collect()
}

/// Ends a cluster that must have had no accident and leave nothing.
pub fn end(cluster: Cluster) {
    let log = cluster.log();
    assert!(!log.contains("panicked"), "{log}");
    let left = cluster.end();
    assert!(left.is_empty(), "left behind: {left:#?}");
}
