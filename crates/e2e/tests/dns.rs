//! Cluster DNS, asked from inside pods.

use e2e::{Scope, suite};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    suite(
        &[
            ("addresses_have_names", addresses_have_names),
            ("external_names_are_aliases", external_names_are_aliases),
            ("foreign_names_end_soon", foreign_names_end_soon),
            ("headless_names_are_pods", headless_names_are_pods),
            ("names_are_found_by_search", names_are_found_by_search),
            ("ports_have_records", ports_have_records),
        ],
        &[],
    )
}

/// What `dig` says, asked from the node.
fn dig(t: &Scope, question: &str) -> String {
    let mut command = Command::new("dig");
    command
        .args([
            &format!("@{}", t.cluster.dns()),
            "+short",
            "+time=5",
            "+tries=1",
        ])
        .args(question.split(' '));
    e2e::Outcome::of(&mut command).stdout
}

fn addresses_have_names(t: &Scope) {
    t.ok("create service clusterip web --tcp=80:80");
    let address = t.field("service web", "{.spec.clusterIP}");
    let name = format!("web.{}.svc.cluster.local.", t.namespace);
    e2e::until("the name resolves", || dig(t, &name).trim() == address);
    assert_eq!(dig(t, &format!("+tcp {name}")).trim(), address);
    assert_eq!(dig(t, &format!("-x {address}")).trim(), name);
    assert_eq!(dig(t, &format!("{name} AAAA")), "");
    t.ok("delete service web");
    e2e::until("the name is gone", || dig(t, &name).is_empty());
}

fn external_names_are_aliases(t: &Scope) {
    t.ok("create service externalname far --external-name=elsewhere.example");
    let name = format!("far.{}.svc.cluster.local.", t.namespace);
    e2e::until("the alias", || {
        dig(t, &format!("{name} CNAME")).trim() == "elsewhere.example."
    });
}

fn foreign_names_end_soon(t: &Scope) {
    let mut command = Command::new("dig");
    command.args([
        &format!("@{}", t.cluster.dns()),
        "+time=20",
        "+tries=1",
        "no-such-name.invalid",
    ]);
    let said = e2e::Outcome::of(&mut command).stdout;
    let ended = ["SERVFAIL", "NXDOMAIN", "REFUSED"]
        .iter()
        .any(|status| said.contains(&format!("status: {status}")));
    assert!(ended, "{said}");
    let absent = dig(t, &format!("absent.{}.svc.cluster.local.", t.namespace));
    assert_eq!(absent, "");
}

fn headless_names_are_pods(t: &Scope) {
    t.apply(&format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: crew}}
spec: {{clusterIP: None, selector: {{crew: 'yes'}}, ports: [{{port: 80, name: web}}]}}
---
{}  hostname: cook
  subdomain: crew
",
        e2e::pod(
            "cook",
            "
            containers:
            - {name: main, image: busybox:1.35, command: [sleep, '3600']}
            "
        )
        .replace("app: cook", "crew: 'yes'")
    ));
    t.wait_ready("cook");
    let pod = t.field("pod cook", "{.status.podIP}");
    let zone = format!("crew.{}.svc.cluster.local.", t.namespace);
    e2e::until("the name resolves to the pod", || {
        dig(t, &zone).trim() == pod
    });
    e2e::until("the pod has a name", || {
        dig(t, &format!("cook.{zone}")).trim() == pod
    });
    assert_eq!(
        t.sh_ok("cook", "hostname -f").trim(),
        format!("cook.{}", zone.trim_end_matches('.'))
    );
    let service = dig(t, &format!("_web._tcp.{zone} SRV"));
    assert_eq!(service.trim(), format!("0 100 80 cook.{zone}"));
}

fn names_are_found_by_search(t: &Scope) {
    t.ready_pod(
        "server",
        "
        containers:
        - {name: main, image: nginx:1.22}
        ",
    );
    t.ok("expose pod server --port=80");
    t.ready_pod(
        "client",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    let namespace = &t.namespace;
    for name in [
        "server".to_string(),
        format!("server.{namespace}"),
        format!("server.{namespace}.svc"),
        format!("server.{namespace}.svc.cluster.local"),
    ] {
        let script = format!("wget -qO- http://{name}/hostname");
        t.sh_until("client", &script, |said| said == "server\n");
    }
    let said = t.sh_ok("client", "nslookup kubernetes.default.svc.cluster.local");
    assert!(
        said.contains(&format!("{}0.1", t.cluster.service_prefix())),
        "{said}"
    );
}

fn ports_have_records(t: &Scope) {
    t.apply(
        "
apiVersion: v1
kind: Service
metadata: {name: many}
spec: {ports: [{port: 80, name: web}, {port: 5353, name: talk, protocol: UDP}]}
",
    );
    let zone = format!("many.{}.svc.cluster.local.", t.namespace);
    e2e::until("records of services", || {
        dig(t, &format!("_web._tcp.{zone} SRV")).trim() == format!("0 100 80 {zone}")
    });
    assert_eq!(
        dig(t, &format!("_talk._udp.{zone} SRV")).trim(),
        format!("0 100 5353 {zone}")
    );
    assert_eq!(dig(t, &format!("_talk._tcp.{zone} SRV")), "");
}
