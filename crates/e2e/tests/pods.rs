//! What a pod may ask for and what becomes of it.

use e2e::{Scope, suite, until};
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[
            ("a_deadline_ends_a_pod", a_deadline_ends_a_pod),
            ("a_failed_init_fails_the_pod", a_failed_init_fails_the_pod),
            ("a_gate_holds_a_pod_back", a_gate_holds_a_pod_back),
            ("aliases_and_names_are_known", aliases_and_names_are_known),
            ("commands_expand_variables", commands_expand_variables),
            ("containers_share_processes", containers_share_processes),
            ("crashes_back_off", crashes_back_off),
            ("deaf_containers_are_killed", deaf_containers_are_killed),
            ("endings_are_reported", endings_are_reported),
            (
                "environments_come_from_objects",
                environments_come_from_objects,
            ),
            ("failed_hooks_end_containers", failed_hooks_end_containers),
            ("hooks_run", hooks_run),
            ("host_namespaces_are_shared", host_namespaces_are_shared),
            ("host_ports_answer", host_ports_answer),
            ("inits_run_in_order", inits_run_in_order),
            ("limits_reach_the_kernel", limits_reach_the_kernel),
            ("memory_is_limited", memory_is_limited),
            ("only_failures_are_restarted", only_failures_are_restarted),
            ("sidecars_serve_and_end_last", sidecars_serve_and_end_last),
            ("unfit_pods_wait_and_say_why", unfit_pods_wait_and_say_why),
        ],
        &[],
    )
}

fn a_deadline_ends_a_pod(t: &Scope) {
    t.pod(
        "late",
        "
        activeDeadlineSeconds: 2
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    t.wait_field("pod late", "{.status.phase}", "Failed");
    assert_eq!(t.field("pod late", "{.status.reason}"), "DeadlineExceeded");
}

fn a_failed_init_fails_the_pod(t: &Scope) {
    t.pod(
        "broken",
        "
        restartPolicy: Never
        initContainers:
        - {name: first, image: busybox:1.35, command: [sh, -c, 'exit 7']}
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    t.wait_field("pod broken", "{.status.phase}", "Failed");
    let table = t.ok("get pod broken");
    assert!(table.contains("Init:Error"), "{table}");
    let code = "{.status.initContainerStatuses[0].state.terminated.exitCode}";
    assert_eq!(t.field("pod broken", code), "7");
}

fn a_gate_holds_a_pod_back(t: &Scope) {
    t.pod(
        "gated",
        "
        schedulingGates: [{name: example.com/wait}]
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    let reason = "{.status.conditions[?(@.type==\"PodScheduled\")].reason}";
    t.wait_field("pod gated", reason, "SchedulingGated");
    let table = t.ok("get pod gated");
    assert!(table.contains("SchedulingGated"), "{table}");
    t.ok(r#"patch pod gated --type=json -p '[{"op": "remove", "path": "/spec/schedulingGates"}]'"#);
    t.wait_ready("gated");
}

fn aliases_and_names_are_known(t: &Scope) {
    t.pod(
        "named",
        "
        restartPolicy: Never
        hostname: helm
        subdomain: bridge
        hostAliases: [{ip: 203.0.113.7, hostnames: [lighthouse]}]
        dnsConfig: {options: [{name: ndots, value: '3'}], searches: [example.org]}
        containers:
        - {name: main, image: busybox:1.35, command: [sh, -c, 'hostname; cat /etc/hosts /etc/resolv.conf']}
        ",
    );
    let said = t.said_at_end("named");
    assert!(said.starts_with("helm\n"), "{said}");
    let full = format!("helm.bridge.{}.svc.cluster.local", t.namespace);
    let dns = format!("nameserver {}", t.cluster.dns());
    for part in [
        "203.0.113.7\tlighthouse",
        &full,
        &dns,
        "example.org",
        "ndots:3",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

fn commands_expand_variables(t: &Scope) {
    t.pod(
        "expanded",
        "
        restartPolicy: Never
        containers:
        - name: main
          image: busybox:1.35
          workingDir: /tmp
          env:
          - {name: WHO, value: world}
          - {name: GREETING, value: 'hello $(WHO)'}
          command: [sh, -c]
          args: ['pwd; echo \"$(GREETING) $$(WHO) $(NOBODY)\"']
        ",
    );
    // The shell sees $(WHO) as a command that does not exist.
    let said = t.said_at_end("expanded");
    assert!(said.starts_with("/tmp\n"), "{said}");
    assert!(said.contains("hello world"), "{said}");
    assert!(said.contains("WHO: not found"), "{said}");
    assert!(said.contains("NOBODY: not found"), "{said}");
}

fn containers_share_processes(t: &Scope) {
    t.ready_pod(
        "shared",
        "
        shareProcessNamespace: true
        containers:
        - {name: one, image: busybox:1.35, command: [sleep, '3601']}
        - {name: two, image: busybox:1.35, command: [sleep, '3602']}
        ",
    );
    let seen = t.ok("exec shared -c one -- ps");
    assert!(seen.contains("sleep 3602"), "{seen}");
    t.ready_pod(
        "apart",
        "
        containers:
        - {name: one, image: busybox:1.35, command: [sleep, '3601']}
        - {name: two, image: busybox:1.35, command: [sleep, '3602']}
        ",
    );
    let seen = t.ok("exec apart -c one -- ps");
    assert!(!seen.contains("sleep 3602"), "{seen}");
}

fn crashes_back_off(t: &Scope) {
    t.pod(
        "crasher",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sh, -c, 'echo attempt; exit 1']}
        ",
    );
    t.wait_field(
        "pod crasher",
        "{.status.containerStatuses[0].state.waiting.reason}",
        "CrashLoopBackOff",
    );
    let status = &t.get("pod crasher")["status"]["containerStatuses"][0];
    assert!(
        status["restartCount"].as_u64().is_some_and(|n| n >= 1),
        "{status}"
    );
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 1, "{status}");
    let message = status["state"]["waiting"]["message"].as_str().unwrap_or("");
    assert!(
        message.starts_with("back-off 10s restarting failed container=main pod=crasher_"),
        "{message}"
    );
    t.event("crasher", "BackOff");
    assert_eq!(t.ok("logs crasher --previous"), "attempt\n");
}

fn deaf_containers_are_killed(t: &Scope) {
    t.ready_pod(
        "deaf",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sh, -c, 'trap \"\" TERM; while true; do sleep 1; done']}
        ",
    );
    t.ok("delete pod deaf --grace-period=2 --timeout=30s");
    t.wait_gone("pod deaf");
}

fn endings_are_reported(t: &Scope) {
    t.pod(
        "ended",
        "
        restartPolicy: Never
        containers:
        - {name: well, image: busybox:1.35, command: ['true']}
        - {name: ill, image: busybox:1.35, command: [sh, -c, 'echo sunk > /dev/termination-log; exit 3']}
        - name: talks
          image: busybox:1.35
          command: [sh, -c, 'echo last words; exit 4']
          terminationMessagePolicy: FallbackToLogsOnError
        - {name: missing, image: busybox:1.35, command: [/no/such/program]}
        ",
    );
    t.wait_field("pod ended", "{.status.phase}", "Failed");
    let pod = t.get("pod ended");
    let ended = |name: &str| {
        let list = pod["status"]["containerStatuses"]
            .as_array()
            .expect("statuses");
        let found = list.iter().find(|status| status["name"] == name);
        found.expect("the container")["state"]["terminated"].clone()
    };
    assert_eq!(
        (&ended("well")["reason"], &ended("well")["exitCode"]),
        (&"Completed".into(), &0.into())
    );
    assert_eq!(
        (&ended("ill")["reason"], &ended("ill")["exitCode"]),
        (&"Error".into(), &3.into())
    );
    assert_eq!(ended("ill")["message"], "sunk\n");
    assert_eq!(ended("talks")["message"], "last words\n");
    let missing = ended("missing");
    assert_eq!(missing["exitCode"], 128, "{missing}");
    assert_eq!(missing["reason"], "StartError", "{missing}");
}

fn environments_come_from_objects(t: &Scope) {
    t.ok("create configmap settings --from-literal=COLOUR=blue --from-literal=SIZE=big");
    t.ok("create secret generic keys --from-literal=PASSWORD=xyzzy");
    t.ok("create service clusterip buoy --tcp=80:80");
    t.pod(
        "reader",
        "
        restartPolicy: Never
        containers:
        - name: main
          image: busybox:1.35
          command: [env]
          resources: {limits: {cpu: 500m, memory: 32Mi}}
          envFrom:
          - {configMapRef: {name: settings}}
          - {secretRef: {name: keys}, prefix: SECRET_}
          - {configMapRef: {name: absent, optional: true}}
          env:
          - {name: ONE, valueFrom: {configMapKeyRef: {name: settings, key: SIZE}}}
          - {name: NONE, valueFrom: {secretKeyRef: {name: keys, key: absent, optional: true}}}
          - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
          - {name: LABEL, valueFrom: {fieldRef: {fieldPath: 'metadata.labels[''app'']'}}}
          - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
          - {name: ADDRESS, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
          - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
          - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
        ",
    );
    let said = t.said_at_end("reader");
    let node = format!("NODE={}", t.cluster.node());
    let address = format!("ADDRESS={}", t.field("pod reader", "{.status.podIP}"));
    for line in [
        "COLOUR=blue",
        "SECRET_PASSWORD=xyzzy",
        "ONE=big",
        "POD=reader",
        "LABEL=reader",
        "MEMORY=32",
        "CPU=1",
        "HOSTNAME=reader",
        "KUBERNETES_SERVICE_PORT=443",
        "BUOY_SERVICE_PORT=80",
        &node,
        &address,
    ] {
        assert!(said.lines().any(|l| l == line), "{line:?} is not in {said}");
    }
    assert!(!said.contains("NONE="), "{said}");
}

fn failed_hooks_end_containers(t: &Scope) {
    t.pod(
        "unhooked",
        "
        restartPolicy: Never
        containers:
        - name: main
          image: busybox:1.35
          command: [sleep, '3600']
          lifecycle: {postStart: {exec: {command: ['false']}}}
        ",
    );
    t.wait_field("pod unhooked", "{.status.phase}", "Failed");
    let message = t.event("unhooked", "FailedPostStartHook")["message"].clone();
    assert_eq!(message, "PostStartHook failed");
}

fn hooks_run(t: &Scope) {
    let folder = t.cluster.beside("hooks");
    t.pod(
        "hooked",
        &format!(
            "
            terminationGracePeriodSeconds: 20
            containers:
            - name: main
              image: busybox:1.35
              command: [sleep, '3600']
              lifecycle:
                postStart: {{exec: {{command: [sh, -c, 'echo started > /hooks/start']}}}}
                preStop: {{exec: {{command: [sh, -c, 'echo stopped > /hooks/stop; kill -9 -1']}}}}
              volumeMounts: [{{name: hooks, mountPath: /hooks}}]
            volumes:
            - {{name: hooks, hostPath: {{path: {}, type: DirectoryOrCreate}}}}
            ",
            folder.display()
        ),
    );
    t.wait_ready("hooked");
    assert_eq!(t.sh_ok("hooked", "cat /hooks/start"), "started\n");
    t.ok("delete pod hooked --timeout=30s");
    let stopped = std::fs::read_to_string(folder.join("stop")).expect("the hook's file");
    assert_eq!(stopped, "stopped\n");
}

fn host_namespaces_are_shared(t: &Scope) {
    t.ready_pod(
        "host",
        "
        hostNetwork: true
        hostPID: true
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    let pod = t.get("pod host");
    assert_eq!(pod["status"]["podIP"], pod["status"]["hostIP"]);
    let server = t.cluster.pid().as_raw_nonzero();
    t.sh_ok("host", &format!("grep -q server /proc/{server}/cmdline"));
    t.sh_ok(
        "host",
        &format!("ip address show lo | grep -F {}", t.cluster.dns()),
    );
}

fn host_ports_answer(t: &Scope) {
    let port = t.cluster.spare_port(0);
    t.ready_pod(
        "ported",
        &format!(
            "
            containers:
            - name: main
              image: nginx:1.22
              ports: [{{containerPort: 80, hostPort: {port}}}]
            "
        ),
    );
    let host = t.field("pod ported", "{.status.hostIP}");
    for address in [host.as_str(), "127.0.0.1"] {
        until(&format!("{address}:{port} answers"), || {
            e2e::fetch(address, port, "/hostname").is_ok_and(|said| said == "ported\n")
        });
    }
    // A second one does not fit.
    t.pod(
        "second",
        &format!(
            "
            containers:
            - name: main
              image: nginx:1.22
              ports: [{{containerPort: 80, hostPort: {port}}}]
            "
        ),
    );
    let message = t.event("second", "FailedScheduling")["message"].clone();
    let expected =
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports";
    assert!(
        message.as_str().is_some_and(|m| m.starts_with(expected)),
        "{message}"
    );
}

fn inits_run_in_order(t: &Scope) {
    t.pod(
        "ordered",
        "
        restartPolicy: Never
        initContainers:
        - {name: first, image: busybox:1.35, command: [sh, -c, 'echo first >> /work/log'], volumeMounts: [{name: work, mountPath: /work}]}
        - {name: second, image: busybox:1.35, command: [sh, -c, 'echo second >> /work/log'], volumeMounts: [{name: work, mountPath: /work}]}
        containers:
        - {name: main, image: busybox:1.35, command: [cat, /work/log], volumeMounts: [{name: work, mountPath: /work}]}
        volumes: [{name: work, emptyDir: {}}]
        ",
    );
    assert_eq!(t.said_at_end("ordered"), "first\nsecond\n");
}

fn limits_reach_the_kernel(t: &Scope) {
    t.pod(
        "limited",
        "
        restartPolicy: Never
        containers:
        - name: main
          image: busybox:1.35
          resources: {limits: {cpu: 250m, memory: 48Mi}, requests: {cpu: 100m}}
          command: [sh, -c, 'cd /sys/fs/cgroup; if [ -e cpu.max ]; then cat cpu.max memory.max; else cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us memory/memory.limit_in_bytes cpu/cpu.shares; fi']
        ",
    );
    let said: Vec<String> = t
        .said_at_end("limited")
        .split_whitespace()
        .map(String::from)
        .collect();
    assert_eq!(said[..3], ["25000", "100000", "50331648"]);
    if let Some(shares) = said.get(3) {
        assert_eq!(shares, "102");
    }
    assert_eq!(t.field("pod limited", "{.status.qosClass}"), "Burstable");
}

fn memory_is_limited(t: &Scope) {
    t.pod(
        "greedy",
        "
        restartPolicy: Never
        containers:
        - name: main
          image: busybox:1.35
          command: [sh, -c, 'tail /dev/zero']
          resources: {limits: {memory: 24Mi}}
        ",
    );
    t.wait_field("pod greedy", "{.status.phase}", "Failed");
    let ended =
        t.get("pod greedy")["status"]["containerStatuses"][0]["state"]["terminated"].clone();
    assert_eq!(ended["reason"], "OOMKilled", "{ended}");
    assert_eq!(ended["exitCode"], 137, "{ended}");
}

fn only_failures_are_restarted(t: &Scope) {
    t.pod(
        "retried",
        "
        restartPolicy: OnFailure
        containers:
        - name: main
          image: busybox:1.35
          command: [sh, -c, 'test -e /work/seen && exit 0; touch /work/seen; exit 1']
          volumeMounts: [{name: work, mountPath: /work}]
        volumes: [{name: work, emptyDir: {}}]
        ",
    );
    t.wait_field("pod retried", "{.status.phase}", "Succeeded");
    assert_eq!(
        t.field("pod retried", "{.status.containerStatuses[0].restartCount}"),
        "1"
    );
}

fn sidecars_serve_and_end_last(t: &Scope) {
    t.pod(
        "escorted",
        "
        restartPolicy: Never
        initContainers:
        - name: sidecar
          image: nginx:1.22
          restartPolicy: Always
          startupProbe: {httpGet: {path: /healthz, port: 80}, periodSeconds: 1}
        containers:
        - {name: main, image: busybox:1.35, command: [wget, -qO-, 'http://127.0.0.1/hostname']}
        ",
    );
    t.wait_field("pod escorted", "{.status.phase}", "Succeeded");
    assert_eq!(t.ok("logs escorted -c main"), "escorted\n");
    let sidecar = t.get("pod escorted")["status"]["initContainerStatuses"][0].clone();
    assert!(sidecar["state"]["terminated"].is_object(), "{sidecar}");
    assert_eq!(sidecar["restartCount"], 0, "{sidecar}");
}

fn unfit_pods_wait_and_say_why(t: &Scope) {
    t.pod(
        "picky",
        "
        nodeSelector: {colour: blue}
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    t.pod(
        "huge",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600'], resources: {requests: {cpu: '1000'}}}
        ",
    );
    let picky = t.event("picky", "FailedScheduling")["message"].clone();
    let expected = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector";
    assert!(
        picky.as_str().is_some_and(|m| m.starts_with(expected)),
        "{picky}"
    );
    let huge = t.event("huge", "FailedScheduling")["message"].clone();
    let expected = "0/1 nodes are available: 1 Insufficient cpu";
    assert!(
        huge.as_str().is_some_and(|m| m.starts_with(expected)),
        "{huge}"
    );
    t.ok(&format!("label node {} colour=blue", t.cluster.node()));
    t.wait_ready("picky");
}
