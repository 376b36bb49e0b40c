//! Applications of several parts, as upstream's conformance tests put them
//! together with kubectl: they answer each other, are described, exposed,
//! replaced, reached through the API server, and have many Services and volumes.

use e2e::wire::Door;
use e2e::{Scope, dose, eventually, patiently, suite, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[
            (
                "descriptions_tell_what_matters",
                descriptions_tell_what_matters,
            ),
            (
                "dry_runs_of_pods_change_nothing",
                dry_runs_of_pods_change_nothing,
            ),
            (
                "endpoints_come_and_go_with_services",
                endpoints_come_and_go_with_services,
            ),
            ("every_verb_passes_proxies", every_verb_passes_proxies),
            ("generations_converge", generations_converge),
            (
                "guestbooks_keep_what_guests_write",
                guestbooks_keep_what_guests_write,
            ),
            ("many_services_get_endpoints", many_services_get_endpoints),
            ("many_volumes_are_mounted", many_volumes_are_mounted),
            ("pods_are_replaced_in_place", pods_are_replaced_in_place),
            (
                "services_are_made_of_controllers",
                services_are_made_of_controllers,
            ),
            ("slices_add_up", slices_add_up),
        ],
        &[],
    )
}

/// A replication controller of one web server, and a Service in front of it.
fn primary(t: &Scope) {
    t.apply(
        "
apiVersion: v1
kind: ReplicationController
metadata: {name: primary, labels: {app: store, role: primary}}
spec:
  replicas: 1
  selector: {app: store, role: primary}
  template:
    metadata: {labels: {app: store, role: primary}}
    spec:
      containers:
      - {name: web, image: nginx:1.22, ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: primary, labels: {app: store, role: primary}}
spec:
  selector: {app: store, role: primary}
  ports: [{port: 6379, targetPort: 80}]
",
    );
    t.wait_field("rc primary", "{.status.readyReplicas}", "1");
}

/// Whether a text has each of these lines, however they are spaced: `Name: web`.
#[track_caller]
fn says(text: &str, lines: &[&str]) {
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let found: Vec<String> = text.lines().map(squeezed).collect();
    for line in lines {
        assert!(
            found.iter().any(|found| found.starts_with(line)),
            "{line:?} is not in:\n{text}"
        );
    }
}

fn descriptions_tell_what_matters(t: &Scope) {
    primary(t);
    let here = format!("Namespace: {}", t.namespace);
    let node = t.cluster.node();
    let pod = t.field("pods -l role=primary", "{.items[0].metadata.name}");
    says(
        &t.ok(&format!("describe pod {pod}")),
        &[
            &format!("Name: {pod}"),
            &here,
            &format!("Node: {node}/"),
            "Labels: app=store",
            "role=primary",
            "Status: Running",
            "IP: ",
            "Controlled By: ReplicationController/primary",
            "Image: nginx:1.22",
            "State: Running",
            "QoS Class: BestEffort",
        ],
    );
    says(
        &t.ok("describe rc primary"),
        &[
            "Name: primary",
            &here,
            "Selector: app=store,role=primary",
            "Labels: app=store",
            "Annotations: <none>",
            "Replicas: 1 current / 1 desired",
            "Pods Status: 1 Running / 0 Waiting / 0 Succeeded / 0 Failed",
            "Pod Template:",
            "Image: nginx:1.22",
            "Events:",
        ],
    );
    let address = t.field("service primary", "{.spec.clusterIP}");
    let endpoint = t.field("pods -l role=primary", "{.items[0].status.podIP}");
    says(
        &t.ok("describe service primary"),
        &[
            "Name: primary",
            &here,
            "Labels: app=store",
            "Selector: app=store,role=primary",
            "Type: ClusterIP",
            &format!("IP: {address}"),
            "Port: <unset> 6379/TCP",
            &format!("Endpoints: {endpoint}:80"),
            "Session Affinity: None",
        ],
    );
    says(
        &t.ok(&format!("describe node {node}")),
        &[
            &format!("Name: {node}"),
            "Labels: ",
            "Annotations: ",
            "CreationTimestamp: ",
            "Conditions:",
            "Type Status LastHeartbeatTime LastTransitionTime Reason Message",
            "Addresses:",
            "Capacity:",
            "System Info:",
            "Kernel Version: ",
            "OS Image: ",
            "Container Runtime Version: ",
            "Kubelet Version: v1.37",
            "Non-terminated Pods:",
        ],
    );
    says(
        &t.ok(&format!("describe namespace {}", t.namespace)),
        &[
            &format!("Name: {}", t.namespace),
            "Labels: ",
            "Annotations: ",
            "Status: Active",
            "No resource quota",
            "No LimitRange resource",
        ],
    );
}

fn services_are_made_of_controllers(t: &Scope) {
    primary(t);
    t.ok("expose rc primary --name=second --port=1234 --target-port=80");
    t.ok("expose service second --name=third --port=2345 --target-port=80");
    for (name, port) in [("second", 1234), ("third", 2345)] {
        let address = t.field(&format!("service {name}"), "{.spec.clusterIP}");
        t.wait_field(
            &format!("endpoints {name}"),
            "{.subsets[*].ports[*].port}",
            "80",
        );
        until(&format!("{name} answers"), || {
            e2e::fetch(&address, port, "/hostname").is_ok_and(|said| said.starts_with("primary-"))
        });
    }
}

fn pods_are_replaced_in_place(t: &Scope) {
    t.ok("run web --image=nginx:1.22 --labels=run=web");
    t.wait_ready("web");
    let image = "{.spec.containers[0].image}";
    let whole = t.ok("get pod web -o json");
    let other = whole.replace("\"image\": \"nginx:1.22\"", "\"image\": \"busybox:1.35\"");
    let replaced = t.feed("replace -f -", &other);
    assert_eq!(replaced.stdout, "pod/web replaced\n", "{replaced:?}");
    assert_eq!(t.field("pod web", image), "busybox:1.35");
    // What only the first version said is no precondition any more.
    let late = t.feed("replace -f -", &whole);
    assert!(
        late.stderr.contains("Error from server (Conflict)"),
        "{late:?}"
    );
}

fn dry_runs_of_pods_change_nothing(t: &Scope) {
    t.ok("run web --image=nginx:1.22 --labels=run=web");
    let patch = json!({"spec": {"containers": [{"name": "web", "image": "busybox:1.35"}]}});
    let said = t.ok(&format!("patch pod web -p '{patch}' --dry-run=server"));
    assert!(said.starts_with("pod/web patched"), "{said}");
    assert_eq!(
        t.field("pod web", "{.spec.containers[0].image}"),
        "nginx:1.22"
    );
    t.wait_ready("web");
}

fn endpoints_come_and_go_with_services(t: &Scope) {
    t.ok("create service clusterip nobody --tcp=80:8080");
    let slices = "endpointslices -l kubernetes.io/service-name=nobody";
    until("both kinds are there", || {
        t.run("get endpoints nobody").is_ok()
            && t.field(slices, "{.items[*].metadata.name}")
                .starts_with("nobody-")
    });
    assert_eq!(t.field("endpoints nobody", "{.subsets}"), "");
    assert_eq!(t.field(slices, "{.items[*].endpoints[*].addresses}"), "");
    t.ok("delete service nobody");
    t.wait_gone("endpoints nobody");
    patiently(
        "no slice",
        || t.field(slices, "{.items[*].metadata.name}"),
        String::is_empty,
    );
}

/// A pod that answers `what` at a port.
fn teller(t: &Scope, name: &str, ports: &[u16]) {
    let listen = |port: &u16| {
        format!(
            "(while true; do printf 'HTTP/1.1 200 OK\\r\\n\\r\\n{name} {port}' | nc -l -p {port} >/dev/null; done) & "
        )
    };
    let script: String = ports.iter().map(listen).collect();
    t.pod(
        name,
        &format!(
            "
            containers:
            - name: main
              image: busybox:1.35
              command: [sh, -c, \"{} wait\"]
            ",
            script.replace('\\', "\\\\")
        ),
    );
}

/// Who answers at an address.
fn tell(address: &str, port: u16) -> String {
    e2e::fetch(address, port, "/").unwrap_or_default()
}

/// A Service without a selector has what all its slices have, each with ports of its own.
fn slices_add_up(t: &Scope) {
    teller(t, "one", &[8080, 8081]);
    teller(t, "two", &[9090]);
    t.wait_ready("one");
    t.wait_ready("two");
    let address_of = |pod: &str| t.field(&format!("pod {pod}"), "{.status.podIP}");
    let slice = |name: &str, service: &str, address: &str, ports: &str| {
        format!(
            "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, labels: {{kubernetes.io/service-name: {service}}}}}
addressType: IPv4
endpoints: [{{addresses: ['{address}']}}]
ports: [{ports}]
---"
        )
    };
    t.apply(&format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: addresses}}
spec: {{ports: [{{name: web, port: 80}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: ports}}
spec: {{ports: [{{name: web, port: 80}}, {{name: more, port: 81}}]}}
---{}{}{}{}",
        slice(
            "addresses-1",
            "addresses",
            &address_of("one"),
            "{name: web, port: 8080}"
        ),
        slice(
            "addresses-2",
            "addresses",
            &address_of("two"),
            "{name: web, port: 9090}"
        ),
        slice(
            "ports-1",
            "ports",
            &address_of("one"),
            "{name: web, port: 8081}"
        ),
        slice(
            "ports-2",
            "ports",
            &address_of("two"),
            "{name: more, port: 9090}"
        ),
    ));
    let service = |name: &str| t.field(&format!("service {name}"), "{.spec.clusterIP}");
    let addresses = service("addresses");
    let mut heard = BTreeSet::new();
    until("both pods answer", || {
        heard.insert(tell(&addresses, 80));
        ["one 8080", "two 9090"]
            .iter()
            .all(|said| heard.contains(*said))
    });
    let ports = service("ports");
    until("the first port leads to one", || {
        tell(&ports, 80) == "one 8081"
    });
    until("the second port leads to the other", || {
        tell(&ports, 81) == "two 9090"
    });
}

/// A server that says which method and path it was asked with, for all methods.
const ECHO: &str = r#"
read -r method path version
while read -r line; do [ "$line" = "$(printf '\r')" ] && break; done
printf 'HTTP/1.1 200 OK\r\nConnection: close\r\nX-Method: %s\r\n\r\n' "$method"
[ "$method" = HEAD ] || printf '%s %s' "$method" "$path"
"#;

fn every_verb_passes_proxies(t: &Scope) {
    let script = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "echo"},
        "data": {"echo.sh": ECHO}});
    t.apply(&script.to_string());
    t.ready_pod(
        "echo",
        "
        containers:
        - name: main
          image: tools:1
          command: [socat, 'TCP-LISTEN:8080,fork,reuseaddr', 'EXEC:sh /scripts/echo.sh']
          readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
          volumeMounts: [{name: scripts, mountPath: /scripts}]
        volumes: [{name: scripts, configMap: {name: echo}}]
        ",
    );
    t.ok("expose pod echo --port=80 --target-port=8080");
    until("the service has its pod", || {
        !t.field("endpoints echo", "{.subsets[0].addresses[0].ip}")
            .is_empty()
    });
    let door = Door::of(&t.cluster);
    let here = format!("/api/v1/namespaces/{}", t.namespace);
    for place in ["pods/echo:8080", "services/echo:80", "services/echo"] {
        let proxy = format!("{here}/{place}/proxy");
        for verb in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            for path in ["/", "/some/path?with=query"] {
                let reply = door
                    .ask(verb, &format!("{proxy}{path}"), "")
                    .expect("an answer");
                let said = String::from_utf8_lossy(&reply.body).into_owned();
                assert_eq!(
                    (reply.code, said),
                    (200, format!("{verb} {path}")),
                    "{place}"
                );
            }
        }
        let mut wire = door.enter().expect("a connection");
        wire.send_head("HEAD", &format!("{proxy}/"), 0)
            .expect("a question");
        assert_eq!(wire.receive_head().expect("an answer"), 200, "{place}");
        // Relative links would lead astray without the slash.
        let moved = door.ask("GET", &proxy, "").expect("an answer");
        assert_eq!(moved.code, 301, "{place}");
    }
}

/// A specification that changes often is seen in the end, and each change is counted.
fn generations_converge(t: &Scope) {
    t.ready_pod(
        "often",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    let door = Door::of(&t.cluster);
    let mut wire = door.enter().expect("a connection");
    let path = format!("/api/v1/namespaces/{}/pods/often", t.namespace);
    let mut ask = |method: &str, body: &str| wire.ask(method, &path, body).expect("an answer");
    let changes = dose(100, 500);
    for left in 0..changes {
        eventually("a change that meets no other", || {
            let mut pod = ask("GET", "").json();
            pod["spec"]["activeDeadlineSeconds"] = json!(10_000 - left);
            let reply = ask("PUT", &pod.to_string());
            assert!([200, 409].contains(&reply.code), "{:?}", reply.json());
            (reply.code == 200).then_some(())
        });
    }
    let expected = (changes + 1).to_string();
    assert_eq!(t.field("pod often", "{.metadata.generation}"), expected);
    t.wait_field("pod often", "{.status.observedGeneration}", &expected);
    t.wait_field(
        "pod often",
        "{.status.conditions[?(@.type==\"Ready\")].observedGeneration}",
        &expected,
    );
}

/// What a guest writes at a front end is kept by the primary and read at the replicas.
const GUESTBOOK: &str = r##"
apiVersion: v1
kind: ConfigMap
metadata: {name: guestbook}
data:
  # The store: a file.
  write: "#!/bin/sh\nprintf '%s' \"$QUERY_STRING\" > /data/entry\nprintf 'Content-Type: text/plain\\r\\n\\r\\nkept'\n"
  read: "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\ncat /data/entry\n"
  # A replica asks the primary, a front end asks either.
  replica-read: "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nwget -qO- http://primary/cgi-bin/read\n"
  front-write: "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nwget -qO- \"http://primary/cgi-bin/write?$QUERY_STRING\"\n"
  front-read: "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nwget -qO- http://replica/cgi-bin/read\n"
"##;

fn guestbooks_keep_what_guests_write(t: &Scope) {
    let tier = |name: &str, replicas: u32, scripts: &[(&str, &str)]| {
        let items: Vec<Value> = scripts
            .iter()
            .map(|(key, path)| json!({"key": key, "path": path, "mode": 0o755}))
            .collect();
        let container = json!({"name": "main", "image": "busybox:1.35",
            "command": ["httpd", "-f", "-p", "80", "-h", "/www"],
            "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}},
            "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1},
            "volumeMounts": [{"name": "scripts", "mountPath": "/www/cgi-bin"}, {"name": "data", "mountPath": "/data"}]});
        let labels = json!({"app": "guestbook", "tier": name});
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container],
                    "volumes": [{"name": "scripts", "configMap": {"name": "guestbook", "items": items}}, {"name": "data", "emptyDir": {}}]}}}});
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"port": 80}]}});
        format!("{deployment}\n---\n{service}\n")
    };
    let all = [
        GUESTBOOK.to_owned(),
        tier("primary", 1, &[("write", "write"), ("read", "read")]),
        tier("replica", 2, &[("replica-read", "read")]),
        tier(
            "frontend",
            3,
            &[("front-write", "write"), ("front-read", "read")],
        ),
    ]
    .join("\n---\n");
    t.apply(&all);
    for name in ["primary", "replica", "frontend"] {
        t.ok(&format!("rollout status deployment/{name} --timeout=90s"));
    }
    let address = t.field("service frontend", "{.spec.clusterIP}");
    let ask = |path: &str| e2e::fetch(&address, 80, path).unwrap_or_default();
    until("an entry is kept", || {
        ask("/cgi-bin/write?TestEntry") == "kept"
    });
    for _ in 0..6 {
        until("every front end reads it", || {
            ask("/cgi-bin/read") == "TestEntry"
        });
    }
    let gone = t.feed("delete --grace-period=0 --force -f -", &all);
    assert!(gone.is_ok(), "{gone:?}");
    patiently(
        "nothing is left",
        || t.ok("get deployments,services,pods -l app=guestbook -o name"),
        String::is_empty,
    );
}

/// A watch tells of the endpoints of each of many Services.
fn many_services_get_endpoints(t: &Scope) {
    const SERVICES: usize = 200;
    t.ready_pod(
        "backend",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    t.ok("label pod backend app=backend");
    let door = Door::of(&t.cluster);
    let here = format!("/api/v1/namespaces/{}", t.namespace);
    let mut events = door
        .watch(&format!("{here}/endpoints?watch=true"))
        .expect("a watch");
    let mut wire = door.enter().expect("a connection");
    for number in 0..SERVICES {
        let service = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": format!("latency-{number}")},
            "spec": {"selector": {"app": "backend"}, "ports": [{"port": 80}]}});
        let made = wire.ask("POST", &format!("{here}/services"), &service.to_string());
        assert_eq!(made.expect("an answer").code, 201);
    }
    let mut told = BTreeSet::new();
    while told.len() < SERVICES {
        let event = events
            .event()
            .expect("an event")
            .expect("no end of the watch");
        let endpoints = &event["object"];
        if endpoints["subsets"][0]["addresses"][0]["ip"].is_string() {
            told.insert(
                endpoints["metadata"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
    }
}

/// Volumes of the same kind in pods that start together do not get into each other's way.
fn many_volumes_are_mounted(t: &Scope) {
    const VOLUMES: usize = 50;
    let name = |number: usize| format!("many-{number}");
    let maps: Vec<Value> = (0..VOLUMES)
        .map(|number| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name(number)},
                "data": {"data": format!("value {number}\n")}})
        })
        .collect();
    t.apply(&json!({"apiVersion": "v1", "kind": "List", "items": maps}).to_string());
    let volumes: Vec<Value> = (0..VOLUMES)
        .map(|number| json!({"name": name(number), "configMap": {"name": name(number)}}))
        .collect();
    let mounts: Vec<Value> = (0..VOLUMES)
        .map(|number| json!({"name": name(number), "mountPath": format!("/etc/many/{number}")}))
        .collect();
    let labels = json!({"app": "many"});
    let controller = json!({"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "many"},
        "spec": {"replicas": 5, "selector": labels, "template": {"metadata": {"labels": labels}, "spec": {
            "volumes": volumes, "containers": [{"name": "main", "image": "busybox:1.35",
                "command": ["sleep", "10000"], "volumeMounts": mounts}]}}}});
    t.apply(&controller.to_string());
    t.wait_field("rc many", "{.status.readyReplicas}", "5");
    let pods = t.field("pods -l app=many", "{.items[*].metadata.name}");
    for pod in pods.split(' ') {
        let read = t.sh_ok(pod, "cat /etc/many/*/data | sort | uniq | wc -l");
        assert_eq!(read.trim(), VOLUMES.to_string());
        assert_eq!(
            t.field(
                &format!("pod {pod}"),
                "{.status.containerStatuses[0].restartCount}"
            ),
            "0"
        );
    }
}
