//! Probes: what is asked of containers and what follows from the answers.

use e2e::{Scope, suite, until};
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[
            (
                "dead_containers_are_restarted",
                dead_containers_are_restarted,
            ),
            ("health_is_asked_by_grpc", health_is_asked_by_grpc),
            ("readiness_decides_on_traffic", readiness_decides_on_traffic),
            ("sockets_are_asked", sockets_are_asked),
            (
                "startup_holds_the_others_back",
                startup_holds_the_others_back,
            ),
            ("web_servers_are_asked", web_servers_are_asked),
        ],
        &[],
    )
}

fn dead_containers_are_restarted(t: &Scope) {
    t.pod(
        "mortal",
        "
        containers:
        - name: main
          image: busybox:1.35
          command: [sh, -c, 'touch /tmp/alive; sleep 3600']
          livenessProbe: {exec: {command: [cat, /tmp/alive]}, periodSeconds: 1, failureThreshold: 2}
        ",
    );
    t.wait_ready("mortal");
    t.sh_ok("mortal", "rm /tmp/alive");
    t.wait_field(
        "pod mortal",
        "{.status.containerStatuses[0].restartCount}",
        "1",
    );
    let unhealthy = t.event("mortal", "Unhealthy")["message"].clone();
    let expected = "Liveness probe failed: cat: can't open '/tmp/alive'";
    assert!(
        unhealthy.as_str().is_some_and(|m| m.starts_with(expected)),
        "{unhealthy}"
    );
    let killing = t.event("mortal", "Killing")["message"].clone();
    assert_eq!(
        killing,
        "Container main failed liveness probe, will be restarted"
    );
    t.wait_ready("mortal");
}

/// Also shows that an archive as docker writes it can be imported and run.
fn health_is_asked_by_grpc(t: &Scope) {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_grpc-health"));
    let archive = t.cluster.beside("health.tar");
    e2e::archive_program(&archive, "example.com/tests/health:1", program);
    let imported = t
        .cluster
        .tiphys(&format!("image import {}", archive.display()));
    assert_eq!(
        imported.stdout, "example.com/tests/health:1\n",
        "{imported:?}"
    );
    t.pod(
        "grpc",
        "
        containers:
        - name: main
          image: example.com/tests/health:1
          command: [/program, '9000', /tmp/serves]
          startupProbe: {tcpSocket: {port: 9000}, periodSeconds: 1, failureThreshold: 60}
          readinessProbe: {grpc: {port: 9000}, periodSeconds: 1, failureThreshold: 1}
        ",
    );
    let message = t.event("grpc", "Unhealthy")["message"].clone();
    let expected = "Readiness probe failed: service unhealthy (responded with \"NOT_SERVING\")";
    assert_eq!(message, expected);
    t.sh_ok("grpc", "touch /tmp/serves");
    t.wait_ready("grpc");
    t.sh_ok("grpc", "rm /tmp/serves");
    t.ok("wait --for=condition=Ready=false pod/grpc --timeout=30s");
    for (name, serves) in [("doomed", "/tmp/never"), ("well", "/program")] {
        t.pod(
            name,
            &format!(
                "
        containers:
        - name: main
          image: example.com/tests/health:1
          command: [/program, '9000', {serves}]
          startupProbe: {{tcpSocket: {{port: 9000}}, periodSeconds: 1, failureThreshold: 60}}
          livenessProbe: {{grpc: {{port: 9000}}, periodSeconds: 1, failureThreshold: 1}}
        "
            ),
        );
    }
    let restarts = |pod: &str| {
        t.field(
            &format!("pod {pod}"),
            "{.status.containerStatuses[0].restartCount}",
        )
    };
    until("the doomed is restarted", || {
        restarts("doomed") > "0".to_string()
    });
    t.wait_ready("well");
    assert_eq!(restarts("well"), "0");
}

fn readiness_decides_on_traffic(t: &Scope) {
    t.pod(
        "shy",
        "
        containers:
        - name: main
          image: nginx:1.22
          readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1, failureThreshold: 1}
        ",
    );
    t.ok("expose pod shy --port=80");
    t.wait_field("pod shy", "{.status.phase}", "Running");
    let endpoints = "endpointslices -l kubernetes.io/service-name=shy";
    let ready = "{.items[0].endpoints[0].conditions.ready}";
    t.wait_field(endpoints, ready, "false");
    let address = t.field("service shy", "{.spec.clusterIP}");
    assert!(e2e::fetch(&address, 80, "/").is_err());
    t.sh_ok("shy", "touch /tmp/ready");
    t.wait_field(endpoints, ready, "true");
    until("the service answers", || {
        e2e::fetch(&address, 80, "/").is_ok()
    });
    t.sh_ok("shy", "rm /tmp/ready");
    t.wait_field(endpoints, ready, "false");
    until("the service refuses", || {
        e2e::fetch(&address, 80, "/").is_err()
    });
    assert_eq!(
        t.field("pod shy", "{.status.containerStatuses[0].restartCount}"),
        "0"
    );
}

fn sockets_are_asked(t: &Scope) {
    t.ready_pod(
        "socket",
        "
        containers:
        - name: main
          image: nginx:1.22
          ports: [{name: web, containerPort: 80}]
          readinessProbe: {tcpSocket: {port: web}, periodSeconds: 1}
        ",
    );
    t.pod(
        "closed",
        "
        containers:
        - name: main
          image: nginx:1.22
          readinessProbe: {tcpSocket: {port: 81}, periodSeconds: 1}
        ",
    );
    let address = || t.field("pod closed", "{.status.podIP}");
    let message = t.event("closed", "Unhealthy")["message"].clone();
    let expected = format!(
        "Readiness probe failed: dial tcp {}:81: connect: connection refused",
        address()
    );
    assert_eq!(message, expected.as_str());
}

fn startup_holds_the_others_back(t: &Scope) {
    t.pod(
        "slow",
        "
        containers:
        - name: main
          image: busybox:1.35
          command: [sh, -c, 'sleep 4; touch /tmp/started; sleep 3600']
          startupProbe: {exec: {command: [test, -e, /tmp/started]}, periodSeconds: 1, failureThreshold: 60}
          livenessProbe: {exec: {command: [test, -e, /tmp/started]}, periodSeconds: 1, failureThreshold: 1}
        ",
    );
    t.wait_field("pod slow", "{.status.phase}", "Running");
    assert_eq!(
        t.field("pod slow", "{.status.containerStatuses[0].started}"),
        "false"
    );
    t.wait_ready("slow");
    let status = t.get("pod slow")["status"]["containerStatuses"][0].clone();
    assert_eq!(status["started"], true, "{status}");
    assert_eq!(status["restartCount"], 0, "{status}");
}

fn web_servers_are_asked(t: &Scope) {
    t.ready_pod(
        "web",
        "
        containers:
        - name: main
          image: nginx:1.22
          readinessProbe:
            httpGet: {path: /healthz, port: 80, httpHeaders: [{name: X-Asked-By, value: probe}]}
            periodSeconds: 1
        ",
    );
    t.pod(
        "lost",
        "
        containers:
        - name: main
          image: nginx:1.22
          livenessProbe: {httpGet: {path: /absent, port: 80}, periodSeconds: 1, failureThreshold: 1}
        ",
    );
    let message = t.event("lost", "Unhealthy")["message"].clone();
    assert_eq!(
        message,
        "Liveness probe failed: HTTP probe failed with statuscode: 404"
    );
    until("it is restarted", || {
        let count = t.field("pod lost", "{.status.containerStatuses[0].restartCount}");
        count.parse::<u32>().is_ok_and(|count| count >= 1)
    });
}
