//! Pods that want all processes or all memory: they get what they may have.

use crate::pods::{contained, end};
use e2e::{Cluster, Options, Scope, patiently};

pub fn fork_bombs_stay_in_their_limit(t: &Scope) {
    t.ready_pod(
        "quiet",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    t.pod(
        "bomb",
        "
        containers:
        - name: main
          image: busybox:1.35
          resources: {limits: {cpu: 200m, memory: 64Mi}}
          command: [sh, -c, 'bomb() { sleep 3600 & bomb & bomb; }; sleep 1; bomb; sleep 3600']
        ",
    );
    t.wait_ready("bomb");
    // Others go on, and it can be deleted.
    for _ in 0..5 {
        t.sh_ok("quiet", "echo alive");
    }
    t.ok("delete pod bomb quiet --timeout=60s");
}

pub fn memory_bombs_are_killed(t: &Scope) {
    t.pod(
        "bomb",
        "
        containers:
        - name: main
          image: busybox:1.35
          resources: {limits: {memory: 16Mi}}
          command: [sh, -c, 'x=xxxxxxxx; while true; do x=$x$x; done']
        ",
    );
    let last = "{.status.containerStatuses[0].lastState.terminated.reason}";
    t.wait_field("pod bomb", last, "OOMKilled");
    let restarts = "{.status.containerStatuses[0].restartCount}";
    assert_ne!(t.field("pod bomb", restarts), "0");
    // A part of a container can be killed without its first process.
    t.ready_pod(
        "part",
        "
        containers:
        - name: main
          image: busybox:1.35
          resources: {limits: {memory: 16Mi}}
          command: [sleep, '3600']
        ",
    );
    let outcome = t.sh("part", "x=xxxxxxxx; while true; do x=$x$x; done");
    assert_eq!(outcome.code, Some(137), "{outcome:#?}");
    // Another container of the pod does not notice.
    t.pod(
        "pair",
        "
        containers:
        - name: bomb
          image: busybox:1.35
          resources: {limits: {memory: 16Mi}}
          command: [sh, -c, 'x=xxxxxxxx; while true; do x=$x$x; done']
        - {name: quiet, image: busybox:1.35, resources: {limits: {memory: 16Mi}}, command: [sleep, '3600']}
        ",
    );
    let of = |name: &str, field: &str| {
        t.field(
            "pod pair",
            &format!("{{.status.containerStatuses[?(@.name==\"{name}\")].{field}}}"),
        )
    };
    patiently(
        "the bomb goes off again",
        || of("bomb", "restartCount"),
        |count| count.parse::<u32>().is_ok_and(|count| count > 0),
    );
    assert_eq!(of("bomb", "lastState.terminated.reason"), "OOMKilled");
    assert_eq!(of("quiet", "restartCount"), "0");
    check_no_pressure(&t.cluster);
    t.ok("delete pod bomb pair part --timeout=60s");
}

/// A bomb may have so many processes as its node says, and no more.
pub fn fork_bombs_stay_below_the_limit_of_their_node() {
    const LIMIT: usize = 64;
    let arguments = vec![format!("--kubelet-arg=pod-max-pids={LIMIT}")];
    let cluster = Cluster::start(Options {
        arguments,
        ..Options::default()
    });
    let kubectl = cluster.kubectl().within("default");
    for (name, script) in [
        ("quiet", "sleep 3600"),
        ("bomb", "while true; do sleep 3600 & done"),
    ] {
        kubectl.apply(&e2e::pod(
            name,
            &format!(
                "
                containers:
                - {{name: main, image: busybox:1.35, command: [sh, -c, '{script}']}}
                "
            ),
        ));
    }
    let uid = kubectl.ok("get pod bomb -o jsonpath='{.metadata.uid}'");
    let said = patiently(
        "the bomb can fork no more",
        || kubectl.run("logs bomb").text() + &kubectl.run("logs bomb --previous").stdout,
        |said| said.contains("can't fork: Resource temporarily unavailable"),
    );
    println!("the bomb says {said}");
    let count = contained(&cluster, &uid).len();
    assert!(count <= LIMIT, "the bomb has {count} processes");
    kubectl.ok("wait --for=condition=Ready --timeout=60s pod/quiet");
    assert_eq!(kubectl.ok("exec quiet -- echo alive"), "alive\n");
    check_no_pressure(&cluster);
    kubectl.ok("delete pod bomb quiet --timeout=60s");
    end(cluster);
}

/// The node is ready and short of nothing.
fn check_no_pressure(cluster: &Cluster) {
    let node = cluster.kubectl().get(&format!("node {}", cluster.node()));
    let conditions = node["status"]["conditions"].as_array();
    for condition in conditions.expect("conditions") {
        let right = if condition["type"] == "Ready" {
            "True"
        } else {
            "False"
        };
        assert_eq!(condition["status"], right, "{condition}");
    }
}
