//! A wall clock that jumps under a running server. The machine's own clock is
//! never touched: Debian's libfaketime stands before the server's.

use e2e::wire::Door;
use e2e::{Cluster, Kubectl, Options, Traces, dose, patiently, until};
use serde_json::Value;
use std::path::{Path, PathBuf};

const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
/// How often the node renews its lease before a jump counts as survived; it
/// does so every ten seconds, and is given up after fifty.
const RENEWALS: [usize; 2] = [1, 7];

pub fn jumps_of_the_clock_are_survived() {
    let Some(library) = LIBRARIES.iter().find(|path| Path::new(path).exists()) else {
        eprintln!("skipped: libfaketime is absent");
        return;
    };
    let mut cluster = Cluster::prepare(Options::default());
    let offset = cluster.beside("offset");
    jump(&offset, "+0");
    let variables: [(&str, &str); 5] = [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", &offset.display().to_string()),
        ("FAKETIME_CACHE_DURATION", "1"),
        // Nothing but the wall clock jumps.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("NO_FAKE_STAT", "1"),
    ];
    for (name, value) in variables {
        cluster.set_variable(name, value);
    }
    cluster.start_server();
    cluster.wait_for_node();
    let before = Traces::of(&cluster);
    let kubectl = cluster.kubectl().within("default");
    kubectl.ok("create deployment web --image=nginx:1.22 --replicas=2");
    kubectl.ok("expose deployment web --port=80");
    kubectl.ok("rollout status deployment/web --timeout=60s");
    let lasting = Lasting::of(&cluster, &kubectl);
    let jumps = [("ahead", 2), ("back", 0), ("further", 26), ("home", 0)];
    for (name, hours) in jumps.into_iter().take(dose(2, 4)) {
        jump(&offset, &format!("+{}", hours * 3600));
        wait_for_the_jump(&cluster, hours);
        work(&kubectl, name);
        renew(&cluster);
        lasting.check(&cluster, &kubectl);
    }
    kubectl.ok("delete deployment,service web --timeout=60s");
    kubectl.ok("delete pod --all --timeout=60s");
    before.wait_for(&cluster);
    let log = cluster.log();
    assert!(!log.contains("panicked"), "{log}");
    let left = cluster.end();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

fn jump(offset: &PathBuf, by: &str) {
    // Replaced whole: it is read at any time.
    let new = offset.with_extension("new");
    std::fs::write(&new, by).expect("write the offset");
    std::fs::rename(&new, offset).expect("place the offset");
}

/// Waits until what the server writes is dated so many hours ahead.
fn wait_for_the_jump(cluster: &Cluster, hours: i64) {
    let door = Door::of(cluster);
    let body = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"dated-"}}"#;
    patiently(
        "the server's clock has jumped",
        || {
            let path = "/api/v1/namespaces/default/configmaps?dryRun=All";
            let made = door.ask("POST", path, body).expect("an answer").json();
            let made = made["metadata"]["creationTimestamp"].clone();
            let made: stdx::Timestamp = made.as_str().unwrap_or_default().parse().ok()?;
            let now = stdx::Clock::system().wall();
            Some(now.duration_until(made).as_secs())
        },
        |ahead| ahead.is_some_and(|ahead| (ahead - hours * 3600).abs() < 60),
    );
}

/// New pods start, say something, and can be executed in.
fn work(kubectl: &Kubectl, name: &str) {
    kubectl.apply(&e2e::pod(
        name,
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sh, -c, 'echo hello; sleep 3600']}
        ",
    ));
    kubectl.ok(&format!(
        "wait --for=condition=Ready --timeout=60s pod/{name}"
    ));
    assert_eq!(kubectl.ok(&format!("exec {name} -- echo here")), "here\n");
    patiently(
        "its log",
        || kubectl.run(&format!("logs {name}")).stdout,
        |said| said == "hello\n",
    );
    let events =
        format!("get events --field-selector involvedObject.name={name},reason=Started -o name");
    until("its events", || !kubectl.run(&events).stdout.is_empty());
    kubectl.ok(&format!("delete pod {name} --timeout=60s"));
}

/// Waits until the node has renewed its lease some times.
fn renew(cluster: &Cluster) {
    let door = Door::of(cluster);
    let path = format!("{LEASE}/{}", cluster.node());
    let time = || {
        let lease = door.ask("GET", &path, "").expect("an answer").json();
        lease["spec"]["renewTime"].clone()
    };
    let [usual, large] = RENEWALS;
    for _ in 0..dose(usual, large) {
        let known = time();
        patiently("the node renews its lease", time, |now| *now != known);
    }
}

/// What no jump may change.
#[derive(Debug)]
struct Lasting {
    ready_since: Value,
    pods: String,
}

impl Lasting {
    fn of(cluster: &Cluster, kubectl: &Kubectl) -> Lasting {
        let node = kubectl.get(&format!("node {}", cluster.node()));
        let conditions = node["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten();
        let mut ready = conditions.filter(|condition| condition["type"] == "Ready");
        let path = "{range .items[*]}{.metadata.uid} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}";
        Lasting {
            ready_since: ready
                .next()
                .map_or(Value::Null, |ready| ready["lastTransitionTime"].clone()),
            pods: kubectl.ok(&format!("get pods -l app=web -o jsonpath='{path}'")),
        }
    }

    /// The node was ready all the time, and no pod was touched.
    #[track_caller]
    fn check(&self, cluster: &Cluster, kubectl: &Kubectl) {
        let now = Lasting::of(cluster, kubectl);
        assert_eq!(now.ready_since, self.ready_since, "the node was not ready");
        assert_eq!(now.pods, self.pods, "pods were replaced or restarted");
        let taints = format!("get node {} -o jsonpath='{{.spec.taints}}'", cluster.node());
        assert_eq!(kubectl.ok(&taints), "");
    }
}
