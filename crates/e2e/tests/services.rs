//! Services: who answers at their addresses.

use e2e::{Scope, patiently, suite, until};
use std::collections::BTreeSet;
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[
            ("addresses_spread_over_pods", addresses_spread_over_pods),
            ("affinity_stays_with_a_pod", affinity_stays_with_a_pod),
            ("datagrams_are_served", datagrams_are_served),
            (
                "headless_services_have_slices",
                headless_services_have_slices,
            ),
            (
                "load_balancers_are_told_where_endpoints_are",
                load_balancers_are_told_where_endpoints_are,
            ),
            ("node_ports_answer", node_ports_answer),
            (
                "nobody_ready_is_refused_at_once",
                nobody_ready_is_refused_at_once,
            ),
            (
                "pods_reach_themselves_through_a_service",
                pods_reach_themselves_through_a_service,
            ),
            (
                "selectorless_services_follow_endpoints",
                selectorless_services_follow_endpoints,
            ),
            ("the_api_server_is_a_service", the_api_server_is_a_service),
        ],
        &[],
    )
}

/// A deployment of web servers that say their names.
fn web(t: &Scope, replicas: u32) {
    t.ok(&format!(
        "create deployment web --image=nginx:1.22 --replicas={replicas}"
    ));
    t.ok("rollout status deployment/web --timeout=60s");
}

fn client(t: &Scope) {
    t.ready_pod(
        "client",
        "
        containers:
        - {name: main, image: tools:1, command: [sleep, '3600']}
        ",
    );
}

/// Who answers, over several questions.
fn answers(address: &str, port: u16, questions: usize) -> BTreeSet<String> {
    (0..questions)
        .filter_map(|_| e2e::fetch(address, port, "/hostname").ok())
        .collect()
}

fn addresses_spread_over_pods(t: &Scope) {
    web(t, 3);
    t.ok("expose deployment web --port=8080 --target-port=80");
    let address = t.field("service web", "{.spec.clusterIP}");
    patiently(
        "three pods answer",
        || answers(&address, 8080, 40).len(),
        |n| *n == 3,
    );
    client(t);
    let script = format!(
        "for i in $(seq 40); do wget -qO- http://{address}:8080/hostname; done | sort -u | wc -l"
    );
    assert_eq!(t.sh_ok("client", &script).trim(), "3");
    t.ok("scale deployment web --replicas=1");
    patiently(
        "one pod answers",
        || answers(&address, 8080, 20).len(),
        |n| *n == 1,
    );
    t.ok("delete service web");
    until("nobody answers", || {
        e2e::fetch(&address, 8080, "/").is_err()
    });
}

fn affinity_stays_with_a_pod(t: &Scope) {
    web(t, 3);
    client(t);
    t.apply(
        "
apiVersion: v1
kind: Service
metadata: {name: sticky}
spec:
  selector: {app: web}
  sessionAffinity: ClientIP
  ports: [{port: 80}]
",
    );
    let endpoints = "endpointslices -l kubernetes.io/service-name=sticky";
    patiently(
        "three endpoints",
        || t.field(endpoints, "{.items[0].endpoints[*].conditions.ready}"),
        |ready| ready == "true true true",
    );
    let address = t.field("service sticky", "{.spec.clusterIP}");
    let ask = format!("wget -qO- http://{address}/hostname");
    let first = t.sh_until("client", &ask, |said| said.starts_with("web-"));
    let many = t.sh_ok(
        "client",
        &format!("for i in $(seq 20); do {ask}; done | sort -u"),
    );
    assert_eq!(many, first);
}

fn datagrams_are_served(t: &Scope) {
    t.pod(
        "echo",
        "
        containers:
        - {name: main, image: tools:1, command: [socat, 'UDP-RECVFROM:5000,fork', 'EXEC:/bin/cat']}
        ",
    );
    t.wait_ready("echo");
    t.ok("expose pod echo --port=5001 --target-port=5000 --protocol=UDP");
    client(t);
    let address = t.field("service echo", "{.spec.clusterIP}");
    t.sh_until(
        "client",
        &format!("echo ping | socat -t 1 - UDP:{address}:5001"),
        |said| said == "ping\n",
    );
}

fn headless_services_have_slices(t: &Scope) {
    web(t, 2);
    t.ok("create service clusterip web --clusterip=None --tcp=80:80");
    let slices = "endpointslices -l kubernetes.io/service-name=web";
    let addresses = patiently(
        "two endpoints",
        || t.field(slices, "{.items[*].endpoints[*].addresses[0]}"),
        |said| said.split(' ').count() == 2,
    );
    let mut pods: Vec<String> = t
        .field("pods", "{.items[*].status.podIP}")
        .split(' ')
        .map(String::from)
        .collect();
    let mut found: Vec<String> = addresses.split(' ').map(String::from).collect();
    pods.sort();
    found.sort();
    assert_eq!(pods, found);
    assert_eq!(t.field("service web", "{.spec.clusterIP}"), "None");
}

fn load_balancers_are_told_where_endpoints_are(t: &Scope) {
    web(t, 2);
    t.apply(
        "
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  selector: {app: web}
  ports: [{port: 80}]
",
    );
    let port = t.field("service balanced", "{.spec.healthCheckNodePort}");
    let port: u16 = port.parse().expect("a port");
    let node = t.field("nodes", "{.items[0].status.addresses[0].address}");
    let said = |address: &str| match e2e::fetch(address, port, "/") {
        Ok(body) => body,
        Err(error) => error.to_string(),
    };
    let expected = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{}\",\n\t\t\"name\": \"balanced\"\n\t}},\n\t\"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": true\n}}",
        t.namespace
    );
    for address in [node.as_str(), "127.0.0.1"] {
        patiently("two endpoints", || said(address), |said| *said == expected);
    }
    t.ok("scale deployment web --replicas=0");
    patiently(
        "no endpoint",
        || said(&node).to_lowercase(),
        |said| {
            said.starts_with("http/1.0 503 ")
                && said.contains("x-load-balancing-endpoint-weight: 0\r\n")
                && said.contains("\"localendpoints\": 0")
        },
    );
    t.ok("delete service balanced");
    until("nobody answers", || {
        std::net::TcpStream::connect((node.as_str(), port)).is_err()
    });
    let own = t.cluster.proxy_health_port();
    let health = e2e::fetch("127.0.0.1", own, "/healthz").expect("a healthy proxy");
    assert!(health.ends_with("\"nodeEligible\": true}"), "{health}");
    assert!(e2e::fetch("127.0.0.1", own, "/livez").is_ok());
    let absent = e2e::fetch("127.0.0.1", own, "/").expect_err("a refusal");
    assert!(absent.to_string().contains(" 404 "), "{absent}");
}

fn node_ports_answer(t: &Scope) {
    web(t, 2);
    for policy in ["Cluster", "Local"] {
        t.apply(&format!(
            "
apiVersion: v1
kind: Service
metadata: {{name: {}}}
spec:
  type: NodePort
  externalTrafficPolicy: {policy}
  selector: {{app: web}}
  ports: [{{port: 80}}]
",
            policy.to_lowercase()
        ));
    }
    let node = t.field("nodes", "{.items[0].status.addresses[0].address}");
    for name in ["cluster", "local"] {
        let port = t.field(&format!("service {name}"), "{.spec.ports[0].nodePort}");
        let port: u16 = port.parse().expect("a node port");
        for address in [node.as_str(), "127.0.0.1"] {
            until(&format!("{name} answers at {address}:{port}"), || {
                e2e::fetch(address, port, "/hostname").is_ok_and(|said| said.starts_with("web-"))
            });
        }
    }
    // With the local policy a pod sees the asker as it is.
    client(t);
    let port = t.field("service local", "{.spec.ports[0].nodePort}");
    t.sh_ok(
        "client",
        &format!("wget -qO- http://{node}:{port}/hostname"),
    );
    let address = t.field("pod client", "{.status.podIP}");
    until("the asker is in a log", || {
        t.ok("logs -l app=web").contains(&address)
    });
}

fn nobody_ready_is_refused_at_once(t: &Scope) {
    t.ok("create service clusterip nobody --tcp=80:80");
    let address = t.field("service nobody", "{.spec.clusterIP}");
    let refused = || {
        e2e::fetch(&address, 80, "/")
            .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    until("it refuses", refused);
    client(t);
    let said = t
        .sh(
            "client",
            &format!("curl -sS --max-time 20 http://{address}/"),
        )
        .text();
    assert!(said.contains("curl: (7)"), "{said}");
}

fn pods_reach_themselves_through_a_service(t: &Scope) {
    t.ready_pod(
        "self",
        "
        containers:
        - {name: main, image: nginx:1.22}
        ",
    );
    t.ok("expose pod self --port=80");
    let address = t.field("service self", "{.spec.clusterIP}");
    t.sh_until(
        "self",
        &format!("timeout 5 wget -qO- http://{address}/hostname"),
        |said| said.starts_with("self\n"),
    );
}

fn selectorless_services_follow_endpoints(t: &Scope) {
    t.ready_pod(
        "server",
        "
        containers:
        - {name: main, image: nginx:1.22}
        ",
    );
    let pod = t.field("pod server", "{.status.podIP}");
    t.apply(&format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: manual}}
spec: {{ports: [{{port: 80, name: web}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: manual}}
subsets: [{{addresses: [{{ip: {pod}}}], ports: [{{port: 80, name: web}}]}}]
"
    ));
    let address = t.field("service manual", "{.spec.clusterIP}");
    until("the service answers", || {
        e2e::fetch(&address, 80, "/hostname").is_ok_and(|said| said == "server\n")
    });
    t.ok("delete endpoints manual");
    until("the service refuses", || {
        e2e::fetch(&address, 80, "/").is_err()
    });
}

fn the_api_server_is_a_service(t: &Scope) {
    client(t);
    let said = t.sh_ok(
        "client",
        "curl -sS --cacert /var/run/secrets/kubernetes.io/serviceaccount/ca.crt https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/readyz",
    );
    assert_eq!(said, "ok");
}
