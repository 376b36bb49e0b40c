//! What each check says; the cases follow upstream's check_*_test.go.

use super::*;
use meta::value;

fn at(level: Level, version: Version, pod: &Value) -> String {
    details(&evaluate(Standard { level, version }, pod))
}

/// One check alone, as of the latest version.
fn check(id: &str, pod: Value, wanted: &str) {
    check_at(id, Version::Latest, pod, wanted);
}

fn check_at(id: &str, version: Version, object: Value, wanted: &str) {
    let check = CHECKS.iter().find(|check| check.id == id).unwrap();
    let pod = Pod {
        object: &object,
        spec: object.get("spec").unwrap(),
        version,
    };
    let found: Vec<Violation> = (check.check)(&pod).into_iter().collect();
    assert_eq!(details(&found), wanted, "{id}");
}

fn spec(spec: Value) -> Value {
    value!({"metadata": {"name": "p"}, "spec": spec})
}

/// Containers of which each has this security context.
fn contexts(contexts: &[Value]) -> Value {
    let names = ["a", "b", "c", "d"];
    let all = contexts.iter().zip(names);
    let all = all.map(|(context, name)| value!({"name": name, "securityContext": context.clone()}));
    spec(value!({"containers": all.collect::<Vec<_>>()}))
}

#[test]
fn the_table_is_in_upstreams_order() {
    let mut sorted: Vec<(Level, &str)> = CHECKS.iter().map(|c| (c.level, c.id)).collect();
    let order = sorted.clone();
    sorted.sort();
    assert_eq!(order, sorted);
}

#[test]
fn a_plain_pod_is_told_what_restricted_wants() {
    let pod = spec(value!({"containers": [{"name": "c"}]}));
    assert_eq!(at(Level::Privileged, Version::Latest, &pod), "");
    assert_eq!(at(Level::Baseline, Version::Latest, &pod), "");
    assert_eq!(
        at(Level::Restricted, Version::Latest, &pod),
        "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false), \
         unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]), \
         runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true), \
         seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
    );
    assert_eq!(
        at(Level::Restricted, Version::Minor(5), &pod),
        "runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true)"
    );
    let good = spec(value!({
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "c", "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        }}],
    }));
    assert_eq!(at(Level::Restricted, Version::Latest, &good), "");
}

#[test]
fn a_pod_of_the_host_is_told_what_baseline_wants() {
    let pod = spec(value!({
        "hostNetwork": true, "hostPID": true,
        "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
        "containers": [{"name": "c", "securityContext": {"privileged": true}, "ports": [{"hostPort": 80}]}],
    }));
    assert_eq!(
        at(Level::Baseline, Version::Latest, &pod),
        "host namespaces (hostNetwork=true, hostPID=true), hostPath volumes (volume \"host\"), \
         hostPort (container \"c\" uses hostPort 80), \
         privileged (container \"c\" must not set securityContext.privileged=true)"
    );
    let restricted = at(Level::Restricted, Version::Latest, &pod);
    assert!(restricted.starts_with("host namespaces (hostNetwork=true, hostPID=true), hostPort ("));
    assert!(restricted.contains(
        "restricted volume types (volume \"host\" uses restricted volume type \"hostPath\")"
    ));
}

#[test]
fn capabilities() {
    let caps = |add: Value, drop: Value| value!({"capabilities": {"add": add, "drop": drop}});
    check(
        "capabilities_baseline",
        contexts(&[
            caps(value!(["FOO", "CHOWN"]), value!([])),
            caps(value!(["BAR", "FOO"]), value!([])),
            caps(value!(["KILL"]), value!([])),
        ]),
        "non-default capabilities (containers \"a\", \"b\" must not include \"BAR\", \"FOO\" in securityContext.capabilities.add)",
    );
    check(
        "capabilities_restricted",
        contexts(&[
            value!({}),
            caps(value!(["FOO", "NET_BIND_SERVICE"]), value!(["ALL"])),
            caps(value!(["BAR"]), value!(["FOO"])),
            caps(value!(["NET_BIND_SERVICE"]), value!(["ALL", "X"])),
        ]),
        "unrestricted capabilities (containers \"a\", \"c\" must set securityContext.capabilities.drop=[\"ALL\"]; \
         containers \"b\", \"c\" must not include \"BAR\", \"FOO\" in securityContext.capabilities.add)",
    );
    let mut own_users = contexts(&[caps(value!(["FOO"]), value!([]))]);
    own_users.set_at(&["spec", "hostUsers"], false);
    check("capabilities_baseline", own_users, "");
}

#[test]
fn privilege() {
    let escalation = |says: bool| value!({"allowPrivilegeEscalation": says});
    let pod = contexts(&[value!({}), escalation(true), escalation(false)]);
    check(
        "allowPrivilegeEscalation",
        pod.clone(),
        "allowPrivilegeEscalation != false (containers \"a\", \"b\" must set securityContext.allowPrivilegeEscalation=false)",
    );
    let mut windows = pod;
    windows.set_at(&["spec", "os", "name"], "windows");
    check("allowPrivilegeEscalation", windows.clone(), "");
    check_at(
        "allowPrivilegeEscalation",
        Version::Minor(24),
        windows,
        "allowPrivilegeEscalation != false (containers \"a\", \"b\" must set securityContext.allowPrivilegeEscalation=false)",
    );
    check(
        "procMount",
        contexts(&[
            value!({"procMount": "Unmasked"}),
            value!({"procMount": "Default"}),
            value!({"procMount": "other"}),
        ]),
        "procMount (containers \"a\", \"c\" must not set securityContext.procMount to \"Unmasked\", \"other\")",
    );
    let mut pod = contexts(&[value!({"windowsOptions": {"hostProcess": true}})]);
    pod.set_at(
        &["spec", "securityContext", "windowsOptions", "hostProcess"],
        true,
    );
    check(
        "windowsHostProcess",
        pod,
        "hostProcess (pod and container \"a\" must not set securityContext.windowsOptions.hostProcess=true)",
    );
}

#[test]
fn users() {
    let root = |says: bool| value!({"runAsNonRoot": says});
    let mut pod = contexts(&[root(false), root(true), root(false), value!({})]);
    pod.set_at(&["spec", "securityContext", "runAsNonRoot"], false);
    check(
        "runAsNonRoot",
        pod,
        "runAsNonRoot != true (pod and containers \"a\", \"c\" must not set securityContext.runAsNonRoot=false)",
    );
    check(
        "runAsNonRoot",
        contexts(&[value!({}), root(true), value!({})]),
        "runAsNonRoot != true (pod or containers \"a\", \"c\" must set securityContext.runAsNonRoot=true)",
    );
    let mut pod = contexts(&[
        value!({"runAsUser": 0}),
        value!({"runAsUser": 1}),
        value!({}),
    ]);
    check(
        "runAsUser",
        pod.clone(),
        "runAsUser=0 (container \"a\" must not set runAsUser=0)",
    );
    pod.set_at(&["spec", "securityContext", "runAsUser"], 0);
    check(
        "runAsUser",
        pod.clone(),
        "runAsUser=0 (pod and container \"a\" must not set runAsUser=0)",
    );
    pod.set_at(&["spec", "hostUsers"], false);
    check("runAsUser", pod.clone(), "");
    check_at(
        "runAsUser",
        Version::Minor(34),
        pod,
        "runAsUser=0 (pod and container \"a\" must not set runAsUser=0)",
    );
}

#[test]
fn profiles() {
    let seccomp = |ty: &str| value!({"seccompProfile": {"type": ty}});
    let mut pod = contexts(&[
        seccomp("Unconfined"),
        seccomp("Localhost"),
        seccomp("other"),
        value!({}),
    ]);
    let containers =
        "must not set securityContext.seccompProfile.type to \"Unconfined\", \"other\")";
    check(
        "seccompProfile_baseline",
        pod.clone(),
        &format!("seccompProfile (containers \"a\", \"c\" {containers}"),
    );
    pod.set_at(
        &["spec", "securityContext", "seccompProfile", "type"],
        "Unconfined",
    );
    check(
        "seccompProfile_restricted",
        pod,
        &format!("seccompProfile (pod and containers \"a\", \"c\" {containers}"),
    );
    check(
        "seccompProfile_restricted",
        contexts(&[value!({}), seccomp("RuntimeDefault")]),
        "seccompProfile (pod or container \"a\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
    );
    let mut old = contexts(&[value!({})]);
    for (key, says) in [
        ("seccomp.security.alpha.kubernetes.io/pod", "unconfined"),
        ("container.seccomp.security.alpha.kubernetes.io/a", "x"),
        ("container.seccomp.security.alpha.kubernetes.io/gone", "x"),
    ] {
        old.set_at(&["metadata", "annotations", key], says);
    }
    check_at(
        "seccompProfile_baseline",
        Version::Minor(18),
        old,
        "seccompProfile (forbidden annotations container.seccomp.security.alpha.kubernetes.io/a=\"x\", seccomp.security.alpha.kubernetes.io/pod=\"unconfined\")",
    );
    let mut pod = contexts(&[
        value!({"appArmorProfile": {"type": "Unconfined"}}),
        value!({"appArmorProfile": {"type": "RuntimeDefault"}}),
    ]);
    check(
        "appArmorProfile",
        pod.clone(),
        "forbidden AppArmor profile (container \"a\" must not set AppArmor profile type to \"Unconfined\")",
    );
    pod.set_at(
        &[
            "metadata",
            "annotations",
            "container.apparmor.security.beta.kubernetes.io/b",
        ],
        "unconfined",
    );
    check(
        "appArmorProfile",
        pod,
        "forbidden AppArmor profiles (container \"a\" and annotation must not set AppArmor profile type to \"Unconfined\", \"container.apparmor.security.beta.kubernetes.io/b=\"unconfined\"\")",
    );
    let selinux = |key: &'static str, says: &'static str| value!({"seLinuxOptions": {key: says}});
    check(
        "seLinuxOptions",
        contexts(&[
            selinux("type", "foo"),
            selinux("type", "container_t"),
            selinux("user", "u"),
            selinux("role", "r"),
        ]),
        "seLinuxOptions (containers \"a\", \"c\", \"d\" set forbidden securityContext.seLinuxOptions: type \"foo\"; user may not be set; role may not be set)",
    );
    let engine = contexts(&[selinux("type", "container_engine_t")]);
    check("seLinuxOptions", engine.clone(), "");
    check_at(
        "seLinuxOptions",
        Version::Minor(30),
        engine,
        "seLinuxOptions (container \"a\" set forbidden securityContext.seLinuxOptions: type \"container_engine_t\")",
    );
}

#[test]
fn volumes_ports_hosts_and_sysctls() {
    check(
        "restrictedVolumes",
        spec(
            value!({"volumes": [{"name": "a", "nfs": {}}, {"name": "b", "secret": {}}, {"name": "c", "hostPath": {}}, {"name": "d"}]}),
        ),
        "restricted volume types (volumes \"a\", \"c\", \"d\" use restricted volume types \"hostPath\", \"nfs\", \"unknown\")",
    );
    check(
        "hostPathVolumes",
        spec(value!({"volumes": [{"name": "a", "hostPath": {}}, {"name": "b", "hostPath": {}}]})),
        "hostPath volumes (volumes \"a\", \"b\")",
    );
    let ports = |name: &'static str, port: i64| value!({"name": name, "ports": [{"containerPort": 1}, {"hostPort": port}]});
    check(
        "hostPorts",
        spec(value!({"containers": [ports("a", 80)], "initContainers": [ports("i", 8080)]})),
        "hostPort (containers \"i\", \"a\" use hostPorts 80, 8080)",
    );
    let probes = spec(value!({"containers": [
        {"name": "b", "livenessProbe": {"httpGet": {"host": "x"}}, "lifecycle": {"preStop": {"tcpSocket": {"host": "y"}}}},
        {"name": "a", "readinessProbe": {"tcpSocket": {"port": 1}}},
    ]}));
    check(
        "hostProbesAndHostLifecycle",
        probes.clone(),
        "probe or lifecycle host (container \"b\" uses probe or lifecycle hosts \"x\", \"y\")",
    );
    assert_eq!(at(Level::Baseline, Version::Minor(33), &probes), "");
    let sysctls = spec(
        value!({"securityContext": {"sysctls": [{"name": "a.b"}, {"name": "net.ipv4.tcp_rmem"}, {"name": "kernel.shm_rmid_forced"}]}}),
    );
    check("sysctls", sysctls.clone(), "forbidden sysctls (a.b)");
    check_at(
        "sysctls",
        Version::Minor(31),
        sysctls,
        "forbidden sysctls (a.b, net.ipv4.tcp_rmem)",
    );
}
