//! What upstream's conformance tests ask of a node and of the network, as far
//! as no other file here asks it. `docs/conformance.tsv` has the whole table.

use e2e::{Options, Scope, patiently, suite, until, with_cluster};
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[
            ("access_is_reviewed", access_is_reviewed),
            ("class_overhead_counts", class_overhead_counts),
            (
                "deadly_commands_can_be_deleted",
                deadly_commands_can_be_deleted,
            ),
            (
                "downward_files_tell_of_the_pod",
                downward_files_tell_of_the_pod,
            ),
            (
                "downward_variables_tell_of_the_pod",
                downward_variables_tell_of_the_pod,
            ),
            ("empty_dirs_keep_modes", empty_dirs_keep_modes),
            ("every_replica_serves", every_replica_serves),
            (
                "files_follow_optional_sources",
                files_follow_optional_sources,
            ),
            ("files_have_modes_and_places", files_have_modes_and_places),
            ("hooks_ask_web_servers", hooks_ask_web_servers),
            ("host_ports_are_told_apart", host_ports_are_told_apart),
            ("hosts_files_are_managed", hosts_files_are_managed),
            ("inits_hold_always_pods", inits_hold_always_pods),
            ("issuers_are_discovered", issuers_are_discovered),
            ("kernel_parameters_are_set", kernel_parameters_are_set),
            ("last_words_are_found", last_words_are_found),
            ("name_servers_are_chosen", name_servers_are_chosen),
            ("pods_talk_directly", pods_talk_directly),
            (
                "ports_and_protocols_are_told_apart",
                ports_and_protocols_are_told_apart,
            ),
            (
                "privileges_are_those_asked_for",
                privileges_are_those_asked_for,
            ),
            (
                "readiness_waits_and_never_restarts",
                readiness_waits_and_never_restarts,
            ),
            ("restarts_are_counted_upwards", restarts_are_counted_upwards),
            (
                "same_names_in_other_namespaces",
                same_names_in_other_namespaces,
            ),
            ("services_change_affinity", services_change_affinity),
            ("services_change_type", services_change_type),
            ("sub_paths_of_objects", sub_paths_of_objects),
            ("sub_paths_that_may_not_be", sub_paths_that_may_not_be),
            ("the_api_server_has_endpoints", the_api_server_has_endpoints),
            (
                "well_containers_are_left_alone",
                well_containers_are_left_alone,
            ),
        ],
        &[("taints_evict", taints_evict)],
    )
}

const SLEEPER: &str = "
containers:
- {name: main, image: busybox:1.35, command: [sleep, '3600']}
";

/// One with tools to ask others.
const CLIENT: &str = "
containers:
- {name: main, image: tools:1, command: [sleep, '3600']}
";

fn access_is_reviewed(t: &Scope) {
    let who = format!("system:serviceaccount:{}:default", t.namespace);
    let attributes = format!(
        "{{namespace: {}, verb: list, resource: configmaps}}",
        t.namespace
    );
    let allowed = |kind: &str, namespaced: &str| {
        let review = format!(
            "apiVersion: authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{{namespaced}}}\nspec: {{user: '{who}', resourceAttributes: {attributes}}}\n"
        );
        let said = t.feed(
            "create --validate=false -o jsonpath={.status.allowed} -f -",
            &review,
        );
        assert!(said.is_ok(), "{said:?}");
        said.stdout == "true"
    };
    let here = format!("namespace: {}", t.namespace);
    let itself = || {
        t.run(&format!("auth can-i list configmaps --as={who}"))
            .is_ok()
    };
    let answers = || {
        [
            allowed("SubjectAccessReview", ""),
            allowed("LocalSubjectAccessReview", &here),
            itself(),
        ]
    };
    assert_eq!(answers(), [false; 3]);
    t.ok("create role lister --verb=list --resource=configmaps");
    t.ok(&format!(
        "create rolebinding lister --role=lister --serviceaccount={}:default",
        t.namespace
    ));
    patiently("all three agree", answers, |answers| *answers == [true; 3]);
}

fn class_overhead_counts(t: &Scope) {
    let (class, plain) = (
        format!("{}-heavy", t.namespace),
        format!("{}-plain", t.namespace),
    );
    t.apply(&format!(
        "
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {{name: {class}}}
handler: runc
overhead: {{podFixed: {{cpu: 10m, memory: 1Mi}}}}
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {{name: {plain}}}
handler: runc
"
    ));
    let of_class = |name: &str, class: &str| {
        e2e::pod(
            name,
            &format!("runtimeClassName: {class}\n{}", SLEEPER.trim_start()),
        )
    };
    until("a pod of the class is admitted", || {
        t.feed("apply -f -", &of_class("heavy", &class)).is_ok()
    });
    assert_eq!(
        t.field("pod heavy", "{.spec.overhead.cpu} {.spec.overhead.memory}"),
        "10m 1Mi"
    );
    t.apply(&of_class("plain", &plain));
    assert_eq!(t.field("pod plain", "{.spec.overhead}"), "");
    for name in ["heavy", "plain"] {
        let scheduled = "{.status.conditions[?(@.type==\"PodScheduled\")].status}";
        t.wait_field(&format!("pod {name}"), scheduled, "True");
    }
    let refused = |name: &str, class: &str| {
        let said = t.feed("create -f -", &of_class(name, class));
        !said.is_ok() && said.stderr.contains("forbidden") && said.stderr.contains("not found")
    };
    assert!(refused("lost", "no-such-class"));
    t.ok(&format!("delete runtimeclass {class} {plain}"));
    until("the deleted class is refused", || refused("late", &class));
}

fn deadly_commands_can_be_deleted(t: &Scope) {
    t.pod(
        "dies",
        "containers:\n- {name: main, image: busybox:1.35, command: ['false']}\n",
    );
    until("it has ended once", || {
        let status = t.get("pod dies")["status"]["containerStatuses"][0].clone();
        [&status["state"], &status["lastState"]]
            .iter()
            .any(|state| state["terminated"]["reason"] == "Error")
    });
    t.ok("delete pod dies --timeout=30s");
    t.wait_gone("pod dies");
}

const ITEMS: &str = "
items:
- {path: name, fieldRef: {fieldPath: metadata.name}}
- {path: labels, fieldRef: {fieldPath: metadata.labels}}
- {path: annotations, fieldRef: {fieldPath: metadata.annotations}, mode: 0440}
- {path: cpu_limit, resourceFieldRef: {containerName: main, resource: limits.cpu, divisor: 1m}}
- {path: cpu_request, resourceFieldRef: {containerName: main, resource: requests.cpu, divisor: 1m}}
- {path: memory_limit, resourceFieldRef: {containerName: main, resource: limits.memory}}
- {path: memory_request, resourceFieldRef: {containerName: main, resource: requests.memory}}
- {path: other_cpu, resourceFieldRef: {containerName: other, resource: limits.cpu}}
- {path: other_memory, resourceFieldRef: {containerName: other, resource: limits.memory}}
";

fn indented(text: &str, by: usize) -> String {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| format!("{:by$}{line}\n", "")).collect()
}

fn downward_files_tell_of_the_pod(t: &Scope) {
    t.pod(
        "teller",
        &format!(
            "
containers:
- name: main
  image: busybox:1.35
  command: [sleep, '3600']
  resources: {{limits: {{cpu: 1250m, memory: 64Mi}}, requests: {{cpu: 250m, memory: 32Mi}}}}
  volumeMounts: [{{name: plain, mountPath: /plain}}, {{name: projected, mountPath: /projected}}]
- {{name: other, image: busybox:1.35, command: [sleep, '3600']}}
volumes:
- name: plain
  downwardAPI:
    defaultMode: 0400
{}- name: projected
  projected:
    defaultMode: 0400
    sources:
    - downwardAPI:
{}",
            indented(ITEMS, 4),
            indented(ITEMS, 8)
        ),
    );
    t.ok("annotate pod teller builder=bar");
    t.wait_ready("teller");
    let cores = t.field("nodes", "{.items[0].status.allocatable.cpu}");
    let memory = t.field("nodes", "{.items[0].status.allocatable.memory}");
    let kilobytes: u64 = memory.trim_end_matches("Ki").parse().expect("memory in Ki");
    for folder in ["plain", "projected"] {
        let cat = |file: &str| t.sh_ok("teller -c main", &format!("cat /{folder}/{file}"));
        assert_eq!(cat("name"), "teller");
        assert_eq!(
            (cat("cpu_limit"), cat("cpu_request")),
            ("1250".into(), "250".into())
        );
        assert_eq!(
            (cat("memory_limit"), cat("memory_request")),
            ("67108864".into(), "33554432".into())
        );
        assert_eq!(
            (cat("other_cpu"), cat("other_memory")),
            (cores.clone(), (kilobytes * 1024).to_string())
        );
        let modes = t.sh_ok(
            "teller -c main",
            &format!("cd /{folder}; stat -Lc %a name annotations"),
        );
        assert_eq!(modes, "400\n440\n");
    }
    t.ok("annotate pod teller builder=foo --overwrite");
    t.ok("label pod teller more=yes");
    for folder in ["plain", "projected"] {
        t.sh_until(
            "teller -c main",
            &format!("cat /{folder}/annotations /{folder}/labels"),
            |said| said.contains("builder=\"foo\"") && said.contains("more=\"yes\""),
        );
    }
}

fn downward_variables_tell_of_the_pod(t: &Scope) {
    t.pod(
        "teller",
        "
        restartPolicy: Never
        containers:
        - name: main
          image: busybox:1.35
          command: [env]
          resources: {requests: {cpu: 250m, memory: 32Mi}}
          env:
          - {name: HOST, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
          - {name: HOSTS, valueFrom: {fieldRef: {fieldPath: status.hostIPs}}}
          - {name: ID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
          - {name: WHERE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
          - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
          - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory}}}
          - {name: LEAST_CPU, valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}}
          - {name: LEAST_MEMORY, valueFrom: {resourceFieldRef: {resource: requests.memory}}}
        ",
    );
    let said = t.said_at_end("teller");
    let host = t.field("pod teller", "{.status.hostIP}");
    assert!(!host.is_empty());
    let memory = t.field("nodes", "{.items[0].status.allocatable.memory}");
    let kilobytes: u64 = memory.trim_end_matches("Ki").parse().expect("memory in Ki");
    for line in [
        format!("HOST={host}"),
        format!("HOSTS={host}"),
        format!("ID={}", t.field("pod teller", "{.metadata.uid}")),
        format!("WHERE={}", t.namespace),
        format!(
            "CPU={}",
            t.field("nodes", "{.items[0].status.allocatable.cpu}")
        ),
        format!("MEMORY={}", kilobytes * 1024),
        "LEAST_CPU=250".into(),
        "LEAST_MEMORY=33554432".into(),
    ] {
        assert!(said.lines().any(|l| l == line), "{line:?} is not in {said}");
    }
}

fn empty_dirs_keep_modes(t: &Scope) {
    for (name, user) in [("root", 0), ("other", 1001)] {
        let script = "for d in /disk /memory; do stat -c %a $d; for m in 644 666 777; do echo content > $d/$m; chmod $m $d/$m; stat -c %a:%u $d/$m; cat $d/$m; done; done; grep -c \"/memory tmpfs\" /proc/mounts";
        t.pod(
            name,
            &format!(
                "
                restartPolicy: Never
                securityContext: {{runAsUser: {user}}}
                containers:
                - name: main
                  image: busybox:1.35
                  command: [sh, -c, '{script}']
                  volumeMounts: [{{name: disk, mountPath: /disk}}, {{name: memory, mountPath: /memory}}]
                volumes:
                - {{name: disk, emptyDir: {{}}}}
                - {{name: memory, emptyDir: {{medium: Memory}}}}
                "
            ),
        );
        let files: String = ["644", "666", "777"]
            .map(|mode| format!("{mode}:{user}\ncontent\n"))
            .concat();
        assert_eq!(
            t.said_at_end(name),
            format!("777\n{files}777\n{files}1\n"),
            "{name}"
        );
    }
}

fn every_replica_serves(t: &Scope) {
    for (version, kind, selector) in [
        ("apps/v1", "ReplicaSet", "{matchLabels: {app: set}}"),
        ("v1", "ReplicationController", "{app: set}"),
    ] {
        let name = kind.to_lowercase();
        let labels = selector.replace("set", &name);
        t.apply(&format!(
            "
apiVersion: {version}
kind: {kind}
metadata: {{name: {name}}}
spec:
  replicas: 2
  selector: {labels}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{{name: main, image: nginx:1.22}}]
"
        ));
        t.wait_field(&format!("{name} {name}"), "{.status.readyReplicas}", "2");
        let pods = t.get(&format!("pods -l app={name}"));
        let pods = pods["items"].as_array().expect("pods").clone();
        assert_eq!(pods.len(), 2);
        for pod in pods {
            let address = pod["status"]["podIP"].as_str().expect("an address");
            let expected = format!("{}\n", pod["metadata"]["name"].as_str().expect("a name"));
            until("it serves", || {
                e2e::fetch(address, 80, "/hostname").is_ok_and(|said| said == expected)
            });
        }
    }
}

/// The ways in which config maps and secrets become files.
const SOURCES: [&str; 4] = [
    "configmap",
    "secret",
    "projected-configmap",
    "projected-secret",
];

/// The fields of a volume from a source.
fn volume(source: &str, name: &str, more: &str, mode: &str) -> String {
    match source {
        "configmap" => format!("configMap: {{name: {name}{more}{mode}}}"),
        "secret" => format!("secret: {{secretName: {name}{more}{mode}}}"),
        "projected-configmap" => {
            format!("projected: {{sources: [{{configMap: {{name: {name}{more}}}}}]{mode}}}")
        }
        _ => format!("projected: {{sources: [{{secret: {{name: {name}{more}}}}}]{mode}}}"),
    }
}

fn files_have_modes_and_places(t: &Scope) {
    t.ok("create configmap source --from-literal=data-1=value-1 --from-literal=data-2=value-2");
    t.ok(
        "create secret generic source --from-literal=data-1=value-1 --from-literal=data-2=value-2",
    );
    t.ok(r#"patch configmap source -p '{"binaryData": {"dump": "3sr++w=="}}'"#);
    for source in SOURCES {
        let items = ", items: [{key: data-2, path: path/to/data-2}]";
        let item_mode = ", items: [{key: data-2, path: path/to/data-2, mode: 0400}]";
        let volumes = [
            ("plain", volume(source, "source", "", "")),
            ("again", volume(source, "source", "", "")),
            ("mode", volume(source, "source", "", ", defaultMode: 0400")),
            ("mapped", volume(source, "source", items, "")),
            ("chosen", volume(source, "source", item_mode, "")),
            ("group", volume(source, "source", "", ", defaultMode: 0440")),
        ];
        let declared: String = volumes
            .iter()
            .map(|(name, fields)| format!("- name: {name}\n  {fields}\n"))
            .collect();
        let mounts: Vec<String> = volumes
            .iter()
            .map(|(name, _)| format!("{{name: {name}, mountPath: /{name}}}"))
            .collect();
        let pod = |name: &str, context: &str, script: &str| {
            t.pod(
                &format!("{source}-{name}"),
                &format!(
                    "
restartPolicy: Never
securityContext: {context}
containers:
- name: main
  image: busybox:1.35
  command: [sh, -c, '{script}']
  volumeMounts: [{}]
volumes:
{declared}",
                    mounts.join(", ")
                ),
            );
        };
        pod(
            "root",
            "{}",
            "cat /plain/data-1 /again/data-2 /mapped/path/to/data-2; echo; ls /mapped; stat -Lc %a /plain/data-1 /mode/data-1 /mapped/path/to/data-2 /chosen/path/to/data-2",
        );
        pod(
            "other",
            "{runAsUser: 1000}",
            "cat /plain/data-1 /mapped/path/to/data-2",
        );
        pod(
            "group",
            "{runAsUser: 1000, fsGroup: 1001}",
            "cat /group/data-1; stat -Lc :%a:%g /group/data-1",
        );
        let said = t.said_at_end(&format!("{source}-root"));
        assert_eq!(
            said, "value-1value-2value-2\npath\n644\n400\n644\n400\n",
            "{source}"
        );
        let said = t.said_at_end(&format!("{source}-other"));
        assert_eq!(said, "value-1value-2", "{source}");
        let said = t.said_at_end(&format!("{source}-group"));
        assert_eq!(said, "value-1:440:1001\n", "{source}");
    }
    t.pod(
        "binary",
        "
        restartPolicy: Never
        containers:
        - {name: main, image: busybox:1.35, command: [sh, -c, 'cat /files/data-1; od -An -tx1 /files/dump'], volumeMounts: [{name: files, mountPath: /files}]}
        volumes: [{name: files, configMap: {name: source}}]
        ",
    );
    assert_eq!(t.said_at_end("binary"), "value-1 de ca fe fb\n");
}

fn files_follow_optional_sources(t: &Scope) {
    let create = |name: &str, literal: &str| {
        t.ok(&format!("create configmap {name} --from-literal={literal}"));
        t.ok(&format!(
            "create secret generic {name} --from-literal={literal}"
        ));
    };
    create("goes", "data-1=value-1");
    create("stays", "data-1=value-1");
    for source in SOURCES {
        let volumes: String = ["goes", "stays", "comes"]
            .map(|name| {
                format!(
                    "- name: {name}\n  {}\n",
                    volume(source, name, ", optional: true", "")
                )
            })
            .concat();
        t.pod(
            source,
            &format!(
                "
containers:
- name: main
  image: busybox:1.35
  command: [sleep, '3600']
  volumeMounts: [{{name: goes, mountPath: /goes}}, {{name: stays, mountPath: /stays}}, {{name: comes, mountPath: /comes}}]
volumes:
{volumes}"
            ),
        );
    }
    let files = "cd /; cat goes/data-1 stays/data-1 stays/data-3 comes/data-1 2>/dev/null; true";
    for source in SOURCES {
        t.wait_ready(source);
        assert_eq!(t.sh_ok(source, files), "value-1value-1", "{source}");
    }
    t.ok("delete configmap,secret goes");
    t.ok(r#"patch configmap stays -p '{"data": {"data-1": null, "data-3": "value-3"}}'"#);
    t.ok(r#"patch secret stays -p '{"data": {"data-1": null, "data-3": "dmFsdWUtMw=="}}'"#);
    create("comes", "data-1=value-c");
    for source in SOURCES {
        t.sh_until(source, files, |said| said == "value-3value-c");
    }
}

fn hooks_ask_web_servers(t: &Scope) {
    t.ready_pod(
        "listener",
        "containers:\n- {name: main, image: nginx:1.22}\n",
    );
    let address = t.field("pod listener", "{.status.podIP}");
    t.ready_pod(
        "hooked",
        &format!(
            "
            containers:
            - name: main
              image: busybox:1.35
              command: [sleep, '3600']
              lifecycle:
                postStart: {{httpGet: {{host: {address}, port: 80, path: '/?begins', httpHeaders: [{{name: User-Agent, value: hook}}]}}}}
                preStop: {{httpGet: {{host: {address}, port: 80, path: '/?ends'}}}}
            "
        ),
    );
    let log = || t.ok("logs listener");
    until("the first hook asked", || log().contains("GET /?begins"));
    assert!(!log().contains("GET /?ends"));
    t.ok("delete pod hooked --timeout=30s");
    until("the last hook asked", || log().contains("GET /?ends"));
}

fn host_ports_are_told_apart(t: &Scope) {
    let port = t.cluster.spare_port(3);
    let node = t.field("nodes", "{.items[0].status.addresses[0].address}");
    let pod = |name: &str, address: &str, protocol: &str| {
        let ports = format!(
            "[{{containerPort: 80, hostPort: {port}, hostIP: {address}, protocol: {protocol}}}]"
        );
        t.pod(
            name,
            &format!("containers:\n- {{name: main, image: nginx:1.22, ports: {ports}}}\n"),
        );
    };
    pod("one", "127.0.0.1", "TCP");
    pod("two", &node, "TCP");
    pod("three", &node, "UDP");
    for name in ["one", "two", "three"] {
        t.wait_ready(name);
    }
    for (address, name) in [("127.0.0.1", "one"), (node.as_str(), "two")] {
        until(&format!("{address} leads to {name}"), || {
            e2e::fetch(address, port, "/hostname").is_ok_and(|said| said.trim() == name)
        });
    }
    pod("all", "0.0.0.0", "TCP");
    t.event("all", "FailedScheduling");
}

fn hosts_files_are_managed(t: &Scope) {
    let container = |name: &str, more: &str| {
        format!("- {{name: {name}, image: busybox:1.35, command: [sleep, '3600']{more}}}\n")
    };
    let own = container(
        "own",
        ", volumeMounts: [{name: own, mountPath: /etc/hosts, subPath: hosts}]",
    );
    t.ok("create configmap own --from-literal=hosts=mine");
    let spec = format!(
        "containers:\n{}{own}volumes: [{{name: own, configMap: {{name: own}}}}]\n",
        container("managed", "")
    );
    t.ready_pod("apart", &spec);
    t.ready_pod("host", &format!("hostNetwork: true\n{spec}"));
    let hosts =
        |pod: &str, container: &str| t.sh_ok(&format!("{pod} -c {container}"), "cat /etc/hosts");
    let header = "# Kubernetes-managed hosts file";
    let managed = hosts("apart", "managed");
    assert!(managed.starts_with(header), "{managed}");
    let line = format!("{}\tapart", t.field("pod apart", "{.status.podIP}"));
    assert!(managed.lines().any(|l| l == line), "{managed}");
    assert_eq!(hosts("apart", "own"), "mine");
    assert_eq!(hosts("host", "own"), "mine");
    let of_the_host = std::fs::read_to_string("/etc/hosts").expect("the machine's hosts");
    assert!(hosts("host", "managed").contains(of_the_host.trim()));
    t.sh_ok("apart -c managed", "ping -c 1 -W 5 apart");
}

fn inits_hold_always_pods(t: &Scope) {
    t.ready_pod(
        "goes",
        "
        initContainers:
        - {name: one, image: busybox:1.35, command: ['true']}
        - {name: two, image: busybox:1.35, command: ['true']}
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    let ended = "{.status.initContainerStatuses[*].state.terminated.exitCode}";
    assert_eq!(t.field("pod goes", ended), "0 0");
    t.pod(
        "fails",
        "
        initContainers:
        - {name: one, image: busybox:1.35, command: ['false']}
        - {name: two, image: busybox:1.35, command: ['true']}
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    until("the first was tried again", || {
        let count = t.field(
            "pod fails",
            "{.status.initContainerStatuses[0].restartCount}",
        );
        count.parse::<u32>().is_ok_and(|count| count >= 2)
    });
    let pod = t.get("pod fails");
    assert_eq!(pod["status"]["phase"], "Pending");
    assert_eq!(
        pod["status"]["initContainerStatuses"][1]["state"]["waiting"]["reason"],
        "PodInitializing"
    );
    assert_eq!(
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"],
        "PodInitializing"
    );
    let initialized = "{.status.conditions[?(@.type==\"Initialized\")].reason}";
    assert_eq!(
        t.field("pod fails", initialized),
        "ContainersNotInitialized"
    );
}

fn issuers_are_discovered(t: &Scope) {
    use base64::Engine as _;
    let token = t.ok("create token default");
    let parts: Vec<serde_json::Value> = token
        .split('.')
        .take(2)
        .map(|part| {
            let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
            serde_json::from_slice(&bytes.expect("base64")).expect("JSON")
        })
        .collect();
    let who = format!(
        "--as=system:serviceaccount:{}:default --as-group=system:serviceaccounts --as-group=system:authenticated",
        t.namespace
    );
    let read = |path: &str| -> serde_json::Value {
        let text = t.ok(&format!("get --raw {path} {who}"));
        serde_json::from_str(&text).expect("JSON")
    };
    let document = read("/.well-known/openid-configuration");
    assert_eq!(document["issuer"], parts[1]["iss"], "{document}");
    let jwks = document["jwks_uri"].as_str().expect("where the keys are");
    assert!(jwks.ends_with("/openid/v1/jwks"), "{jwks}");
    let keys = read("/openid/v1/jwks");
    let keys = keys["keys"].as_array().expect("keys").clone();
    assert!(
        keys.iter().any(|key| key["kid"] == parts[0]["kid"]),
        "{keys:?}"
    );
}

fn kernel_parameters_are_set(t: &Scope) {
    t.pod(
        "tuned",
        "
        restartPolicy: Never
        securityContext: {sysctls: [{name: kernel.shm_rmid_forced, value: '1'}]}
        containers:
        - {name: main, image: busybox:1.35, command: [cat, /proc/sys/kernel/shm_rmid_forced]}
        ",
    );
    assert_eq!(t.said_at_end("tuned"), "1\n");
}

fn last_words_are_found(t: &Scope) {
    for (name, context, script, path, policy, expected) in [
        (
            "from-file",
            "{}",
            "echo -n OK > /dev/termination-log; echo said",
            "/dev/termination-log",
            "FallbackToLogsOnError",
            "OK",
        ),
        (
            "none",
            "{}",
            "echo said",
            "/dev/termination-log",
            "FallbackToLogsOnError",
            "",
        ),
        (
            "from-log",
            "{}",
            "echo -n DONE; exit 1",
            "/dev/termination-log",
            "FallbackToLogsOnError",
            "DONE",
        ),
        (
            "elsewhere",
            "{runAsUser: 1000}",
            "echo -n DONE > /dev/termination-custom-log",
            "/dev/termination-custom-log",
            "File",
            "DONE",
        ),
    ] {
        t.pod(
            name,
            &format!(
                "
                restartPolicy: Never
                containers:
                - name: main
                  image: busybox:1.35
                  command: [sh, -c, '{script}']
                  securityContext: {context}
                  terminationMessagePath: {path}
                  terminationMessagePolicy: {policy}
                "
            ),
        );
        until("it ended", || {
            ["Succeeded", "Failed"]
                .contains(&t.field(&format!("pod {name}"), "{.status.phase}").as_str())
        });
        let message = "{.status.containerStatuses[0].state.terminated.message}";
        assert_eq!(t.field(&format!("pod {name}"), message), expected, "{name}");
    }
}

fn name_servers_are_chosen(t: &Scope) {
    t.pod(
        "chooses",
        "
        restartPolicy: Never
        dnsPolicy: None
        dnsConfig: {nameservers: [1.1.1.1], searches: [resolv.conf.local]}
        containers:
        - {name: main, image: busybox:1.35, command: [cat, /etc/resolv.conf]}
        ",
    );
    let said = t.said_at_end("chooses");
    let mut lines: Vec<&str> = said.lines().filter(|l| !l.is_empty()).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["nameserver 1.1.1.1", "search resolv.conf.local"]);
}

/// A web server on two ports and an answer to datagrams on the first.
const SERVER: &str = "
containers:
- {name: web, image: nginx:1.22}
- {name: more, image: busybox:1.35, command: [sh, -c, 'mkdir /www; echo more > /www/index.html; httpd -f -p 81 -h /www']}
- {name: talk, image: tools:1, command: [socat, 'UDP-RECVFROM:80,fork', 'EXEC:/bin/cat']}
";

fn ports_and_protocols_are_told_apart(t: &Scope) {
    t.ready_pod("server", SERVER);
    t.ready_pod("client", CLIENT);
    t.apply(
        "
apiVersion: v1
kind: Service
metadata: {name: many}
spec:
  selector: {app: server}
  ports:
  - {name: web, port: 80, targetPort: 80}
  - {name: more, port: 8081, targetPort: 81}
  - {name: talk, port: 80, targetPort: 80, protocol: UDP}
",
    );
    let address = t.field("service many", "{.spec.clusterIP}");
    until("the first port", || {
        e2e::fetch(&address, 80, "/hostname").is_ok_and(|said| said == "server\n")
    });
    until("the second port", || {
        e2e::fetch(&address, 8081, "/").is_ok_and(|said| said == "more\n")
    });
    t.sh_until(
        "client",
        &format!("echo ping | socat -t 1 - UDP:{address}:80"),
        |said| said == "ping\n",
    );
    let slices = "endpointslices -l kubernetes.io/service-name=many";
    let ports = t.field(
        slices,
        "{range .items[0].ports[*]}{.name}:{.port}/{.protocol} {end}",
    );
    let mut ports: Vec<&str> = ports.split_whitespace().collect();
    ports.sort_unstable();
    assert_eq!(ports, ["more:81/TCP", "talk:80/UDP", "web:80/TCP"]);
    t.ok("delete pod server --timeout=30s");
    until("nobody answers", || e2e::fetch(&address, 80, "/").is_err());
}

fn pods_talk_directly(t: &Scope) {
    t.ready_pod("server", SERVER);
    t.ready_pod("client", CLIENT);
    let address = t.field("pod server", "{.status.podIP}");
    let said = t.sh_ok("client", &format!("wget -qO- http://{address}/hostname"));
    assert_eq!(said, "server\n");
    let ask = format!("echo ping | socat -t 1 - UDP:{address}:80");
    t.sh_until("client", &ask, |said| said == "ping\n");
    // And from the node.
    let said = e2e::fetch(&address, 80, "/hostname").expect("an answer");
    assert_eq!(said, "server\n");
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
    let patience = std::time::Duration::from_secs(1);
    socket.set_read_timeout(Some(patience)).expect("a timeout");
    until("a datagram comes back", || {
        let mut answer = [0; 16];
        let sent = socket.send_to(b"ping", (address.as_str(), 80));
        let got = socket.recv(&mut answer);
        sent.is_ok() && got.is_ok_and(|count| &answer[..count] == b"ping")
    });
}

fn privileges_are_those_asked_for(t: &Scope) {
    for (name, context, script, expected) in [
        (
            "weak",
            "{privileged: false}",
            "ip link add dummy0 type dummy 2>&1 || true",
            "Operation not permitted",
        ),
        (
            "writer",
            "{readOnlyRootFilesystem: false}",
            "touch /x && echo written",
            "written",
        ),
        ("nobody", "{runAsUser: 65534}", "id -u", "65534"),
        (
            "both",
            "{runAsUser: 1001, runAsGroup: 2002}",
            "echo $(id -u):$(id -g)",
            "1001:2002",
        ),
        (
            "bound",
            "{runAsUser: 1000, allowPrivilegeEscalation: false}",
            "grep NoNewPrivs: /proc/self/status",
            "NoNewPrivs:\t1",
        ),
    ] {
        t.pod(
            name,
            &format!(
                "
                restartPolicy: Never
                containers:
                - {{name: main, image: busybox:1.35, securityContext: {context}, command: [sh, -c, '{script}']}}
                "
            ),
        );
        let said = t.said_at_end(name);
        assert!(said.contains(expected), "{name}: {said}");
    }
}

fn readiness_waits_and_never_restarts(t: &Scope) {
    t.pod(
        "late",
        "
        containers:
        - name: main
          image: busybox:1.35
          command: [sleep, '3600']
          readinessProbe: {exec: {command: ['true']}, initialDelaySeconds: 6, periodSeconds: 1}
        ",
    );
    t.pod(
        "never",
        "
        containers:
        - name: main
          image: busybox:1.35
          command: [sleep, '3600']
          readinessProbe: {exec: {command: [sh, -c, 'echo asked >> /tmp/asked; false']}, periodSeconds: 1}
        ",
    );
    t.wait_ready("late");
    let seconds = |path: &str| {
        let time = t.field("pod late", path);
        let clock = time
            .split(['T', 'Z'])
            .nth(1)
            .unwrap_or_default()
            .to_string();
        let parts: Vec<u32> = clock.split(':').filter_map(|p| p.parse().ok()).collect();
        assert_eq!(parts.len(), 3, "{time}");
        parts[0] * 3600 + parts[1] * 60 + parts[2]
    };
    let began = seconds("{.status.containerStatuses[0].state.running.startedAt}");
    let ready = seconds("{.status.conditions[?(@.type==\"Ready\")].lastTransitionTime}");
    // The day may have changed between the two.
    assert!((ready + 86_400 - began) % 86_400 >= 5, "{began} {ready}");
    t.sh_until("never", "wc -l < /tmp/asked", |said| {
        said.trim().parse::<u32>().is_ok_and(|n| n >= 5)
    });
    assert_eq!(
        t.field("pod never", "{.status.containerStatuses[0].ready}"),
        "false"
    );
    for name in ["late", "never"] {
        assert_eq!(
            t.field(
                &format!("pod {name}"),
                "{.status.containerStatuses[0].restartCount}"
            ),
            "0"
        );
    }
}

fn restarts_are_counted_upwards(t: &Scope) {
    t.pod(
        "ill",
        "
        containers:
        - name: main
          image: busybox:1.35
          command: [sleep, '3600']
          livenessProbe: {exec: {command: ['false']}, periodSeconds: 1, failureThreshold: 1}
        ",
    );
    let mut seen = vec![0];
    until("it was restarted three times", || {
        let count = t.field("pod ill", "{.status.containerStatuses[0].restartCount}");
        let count: u32 = count.parse().unwrap_or(0);
        let last = seen.last().copied().unwrap_or(0);
        assert!(count >= last, "{seen:?} {count}");
        if count > last {
            seen.push(count);
        }
        count >= 3
    });
}

fn same_names_in_other_namespaces(t: &Scope) {
    let other = format!("{}-2", t.namespace);
    t.ok(&format!("create namespace {other}"));
    t.ok("create secret generic same --from-literal=key=here");
    t.within(&other)
        .ok("create secret generic same --from-literal=key=there");
    t.pod(
        "reader",
        "
        restartPolicy: Never
        containers:
        - {name: main, image: busybox:1.35, command: [cat, /same/key], volumeMounts: [{name: same, mountPath: /same}]}
        volumes: [{name: same, secret: {secretName: same}}]
        ",
    );
    assert_eq!(t.said_at_end("reader"), "here");
    t.ok(&format!("delete namespace {other} --wait=false"));
}

fn services_change_affinity(t: &Scope) {
    t.ok("create deployment web --image=nginx:1.22 --replicas=3");
    t.ok("rollout status deployment/web --timeout=60s");
    t.ready_pod("client", CLIENT);
    t.ok("expose deployment web --port=80 --type=NodePort");
    let slices = "endpointslices -l kubernetes.io/service-name=web";
    t.wait_field(
        slices,
        "{.items[0].endpoints[*].conditions.ready}",
        "true true true",
    );
    let address = t.field("service web", "{.spec.clusterIP}");
    let node = t.field("nodes", "{.items[0].status.addresses[0].address}");
    let port = t.field("service web", "{.spec.ports[0].nodePort}");
    for place in [address, format!("{node}:{port}")] {
        let who = |times: u32| {
            let script = format!(
                "for i in $(seq {times}); do wget -qO- http://{place}/hostname; done | sort -u | wc -l"
            );
            t.sh("client", &script).stdout.trim().to_string()
        };
        for (affinity, expected) in [("None", "3"), ("ClientIP", "1"), ("None", "3")] {
            t.ok(&format!(
                r#"patch service web -p '{{"spec": {{"sessionAffinity": "{affinity}"}}}}'"#
            ));
            patiently(
                &format!("{affinity} at {place}"),
                || who(30),
                |who| who == expected,
            );
        }
    }
}

fn services_change_type(t: &Scope) {
    t.ready_pod("server", "containers:\n- {name: main, image: nginx:1.22}\n");
    t.ready_pod("client", CLIENT);
    t.ok("create service externalname moves --external-name=elsewhere.example");
    let change = |patch: &str| t.ok(&format!("patch service moves --type=merge -p '{patch}'"));
    let field = |path: &str| t.field("service moves", path);
    let to_name = r#"{"spec": {"type": "ExternalName", "externalName": "server.example", "clusterIP": null, "clusterIPs": null, "selector": null}}"#;
    let answers = || {
        let said = t.sh("client", "wget -qO- http://moves/hostname").stdout;
        said == "server\n"
    };
    for kind in ["ClusterIP", "NodePort"] {
        let ports = r#""ports": [{"port": 80, "protocol": "TCP"}]"#;
        change(&format!(
            r#"{{"spec": {{"type": "{kind}", "externalName": null, "selector": {{"app": "server"}}, {ports}}}}}"#
        ));
        assert!(!field("{.spec.clusterIP}").is_empty());
        until(&format!("{kind} answers"), answers);
        if kind == "NodePort" {
            let node = t.field("nodes", "{.items[0].status.addresses[0].address}");
            let port: u16 = field("{.spec.ports[0].nodePort}")
                .parse()
                .expect("a node port");
            until("the node's port answers", || {
                e2e::fetch(&node, port, "/hostname").is_ok()
            });
        }
        change(to_name);
        assert_eq!(field("{.spec.clusterIP}"), "");
        let canonical = "server.example";
        t.sh_until("client", "nslookup -type=cname moves.$(cat /var/run/secrets/kubernetes.io/serviceaccount/namespace).svc.cluster.local", |said| said.contains(canonical));
    }
}

fn sub_paths_of_objects(t: &Scope) {
    t.ok("create configmap source --from-literal=file=from-map");
    t.ok("create secret generic source --from-literal=file=from-secret");
    t.pod(
        "reader",
        "
        restartPolicy: Never
        containers:
        - name: main
          image: busybox:1.35
          command: [sh, -c, 'for i in map secret projected downward; do cat /files/$i; echo; done; cat /etc/group']
          volumeMounts:
          - {name: map, mountPath: /files/map, subPath: file}
          - {name: secret, mountPath: /files/secret, subPath: file}
          - {name: projected, mountPath: /files/projected, subPath: file}
          - {name: downward, mountPath: /files/downward, subPath: file}
          - {name: map, mountPath: /etc/group, subPath: file}
        volumes:
        - {name: map, configMap: {name: source}}
        - {name: secret, secret: {secretName: source}}
        - {name: projected, projected: {sources: [{configMap: {name: source}}]}}
        - {name: downward, downwardAPI: {items: [{path: file, fieldRef: {fieldPath: metadata.name}}]}}
        ",
    );
    assert_eq!(
        t.said_at_end("reader"),
        "from-map\nfrom-secret\nfrom-map\nreader\nfrom-map"
    );
}

fn sub_paths_that_may_not_be(t: &Scope) {
    let spec = |value: &str| {
        format!(
            "
            containers:
            - name: main
              image: busybox:1.35
              command: [sleep, '3600']
              env: [{{name: WHERE, valueFrom: {{fieldRef: {{fieldPath: 'metadata.annotations[''where'']'}}}}}}]
              volumeMounts: [{{name: work, mountPath: /work, subPathExpr: $(WHERE)}}, {{name: work, mountPath: /all}}]
            volumes: [{{name: work, emptyDir: {{}}}}]
            # {value}
            "
        )
    };
    let waits = |name: &str| {
        let reason = "{.status.containerStatuses[0].state.waiting.reason}";
        let reason = patiently(
            "it may not begin",
            || t.field(&format!("pod {name}"), reason),
            |r| r.contains("Error"),
        );
        assert_eq!(reason, "CreateContainerConfigError", "{name}");
    };
    for (name, value) in [("absolute", "/tmp"), ("upwards", "../x")] {
        let manifest = e2e::pod(name, &spec(value)).replace(
            "metadata: {",
            &format!("metadata: {{annotations: {{where: '{value}'}}, "),
        );
        t.apply(&manifest);
        waits(name);
    }
    // What changes later is looked at again.
    t.ok("annotate pod absolute where=mypath --overwrite");
    t.wait_ready("absolute");
    t.sh_ok("absolute", "touch /work/x; test -e /all/mypath/x");
    t.pod(
        "backticks",
        "
        containers:
        - name: main
          image: busybox:1.35
          command: [sleep, '3600']
          env: [{name: WHERE, value: '..'}]
          volumeMounts: [{name: work, mountPath: /work, subPathExpr: $(WHERE)}]
        volumes: [{name: work, emptyDir: {}}]
        ",
    );
    waits("backticks");
}

fn the_api_server_has_endpoints(t: &Scope) {
    let slices = "endpointslices -n default -l kubernetes.io/service-name=kubernetes";
    let port = t.cluster.https_port().to_string();
    let addresses = t.field(
        "endpoints -n default kubernetes",
        "{.subsets[*].addresses[*].ip}",
    );
    assert!(!addresses.is_empty());
    let of_slices = t.field(slices, "{.items[*].endpoints[*].addresses[*]}");
    assert_eq!(of_slices, addresses);
    for (what, path) in [
        (
            "endpoints -n default kubernetes",
            "{.subsets[0].ports[0].port}",
        ),
        (slices, "{.items[0].ports[0].port}"),
    ] {
        assert_eq!(t.field(what, path), port, "{what}");
    }
    let service = "service -n default kubernetes";
    assert_eq!(
        t.field(service, "{.spec.ports[0].name}:{.spec.ports[0].port}"),
        "https:443"
    );
}

fn well_containers_are_left_alone(t: &Scope) {
    t.pod(
        "well",
        "
        containers:
        - {name: http, image: nginx:1.22, livenessProbe: {httpGet: {path: /index.html, port: 80}, periodSeconds: 1, failureThreshold: 1}}
        - {name: tcp, image: busybox:1.35, command: [sleep, '3600'], livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 1, failureThreshold: 2, initialDelaySeconds: 2}}
        - {name: exec, image: busybox:1.35, command: [sh, -c, 'echo ok > /tmp/health; sleep 3600'], livenessProbe: {exec: {command: [sh, -c, 'cat /tmp/health && echo asked >> /tmp/asked']}, periodSeconds: 1, failureThreshold: 1, initialDelaySeconds: 1}}
        ",
    );
    t.wait_ready("well");
    t.sh_until("well -c exec", "wc -l < /tmp/asked", |said| {
        said.trim().parse::<u32>().is_ok_and(|n| n >= 8)
    });
    until("the web server was asked", || {
        t.ok("logs well -c http").matches("/index.html").count() >= 8
    });
    assert_eq!(
        t.field("pod well", "{.status.containerStatuses[*].restartCount}"),
        "0 0 0"
    );
}

fn taints_evict() {
    with_cluster(Options::default(), |cluster| {
        let kubectl = cluster.kubectl();
        let node = cluster.node();
        let tolerates = |name: &str, seconds: u32| {
            e2e::pod(
                name,
                &format!(
                    "
                    tolerations: [{{key: kubernetes.io/e2e-evict-taint-key, operator: Equal, value: evictTaintVal, effect: NoExecute, tolerationSeconds: {seconds}}}]
                    containers:
                    - {{name: main, image: busybox:1.35, command: [sleep, '3600']}}
                    "
                ),
            )
        };
        kubectl.apply(&tolerates("short", 3));
        kubectl.apply(&tolerates("second", 5));
        kubectl.apply(&tolerates("long", 3600));
        kubectl.apply(&tolerates("saved", 25));
        kubectl.ok("wait --for=condition=Ready --timeout=60s pod --all");
        let taint = "kubernetes.io/e2e-evict-taint-key=evictTaintVal:NoExecute";
        kubectl.ok(&format!("taint node {node} {taint}"));
        kubectl.ok("wait --for=delete pod/short pod/second --timeout=60s");
        kubectl.ok(&format!("taint node {node} {taint}-"));
        // Longer than the tolerated time, by the clock of a container.
        kubectl.apply(&e2e::pod(
            "clock",
            "
            restartPolicy: Never
            containers:
            - {name: main, image: busybox:1.35, command: [sleep, '30']}
            ",
        ));
        kubectl.ok("wait --for=jsonpath={.status.phase}=Succeeded --timeout=60s pod/clock");
        let names = kubectl.ok("get pods -o name --sort-by=.metadata.name");
        assert_eq!(names, "pod/clock\npod/long\npod/saved\n");
        assert!(
            kubectl
                .ok("get pods -o jsonpath={.items[*].metadata.deletionTimestamp}")
                .is_empty()
        );
    });
}
