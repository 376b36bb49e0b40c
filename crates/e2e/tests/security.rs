//! Who containers run as, what they may do, and what the API lets them do.

use e2e::{Scope, suite};
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[
            (
                "accounts_are_limited_by_roles",
                accounts_are_limited_by_roles,
            ),
            (
                "both_versions_of_http_are_spoken",
                both_versions_of_http_are_spoken,
            ),
            ("capabilities_are_chosen", capabilities_are_chosen),
            ("namespaces_enforce_standards", namespaces_enforce_standards),
            (
                "privileged_containers_may_everything",
                privileged_containers_may_everything,
            ),
            ("roots_are_read_only", roots_are_read_only),
            ("strangers_are_refused", strangers_are_refused),
            ("system_calls_are_filtered", system_calls_are_filtered),
            ("tokens_are_made_and_reviewed", tokens_are_made_and_reviewed),
            ("users_and_groups_are_set", users_and_groups_are_set),
        ],
        &[],
    )
}

fn accounts_are_limited_by_roles(t: &Scope) {
    t.ok("create serviceaccount reader");
    t.ok("create role reader --verb=get,list --resource=pods");
    t.ok(&format!(
        "create rolebinding reader --role=reader --serviceaccount={}:reader",
        t.namespace
    ));
    t.ready_pod(
        "inside",
        "
        serviceAccountName: reader
        containers:
        - {name: main, image: tools:1, command: [sleep, '3600']}
        ",
    );
    let ask = |path: &str| {
        let script = format!(
            "cd /var/run/secrets/kubernetes.io/serviceaccount; curl -sS --cacert ca.crt -H \"Authorization: Bearer $(cat token)\" https://kubernetes.default.svc{path} 2>&1"
        );
        t.sh("inside", &script).stdout.replace(' ', "")
    };
    let namespace = &t.namespace;
    let said = ask(&format!("/api/v1/namespaces/{namespace}/pods/inside"));
    assert!(said.contains("\"name\":\"inside\""), "{said}");
    for path in [
        format!("/api/v1/namespaces/{namespace}/secrets"),
        "/api/v1/namespaces/default/pods".into(),
    ] {
        let said = ask(&path);
        assert!(said.contains("\"code\":403"), "{said}");
    }
    assert_eq!(
        t.sh_ok(
            "inside",
            "cat /var/run/secrets/kubernetes.io/serviceaccount/namespace"
        ),
        *namespace
    );
    t.sh_ok(
        "inside",
        "grep -q BEGIN /var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
    );
    let who = format!("--as=system:serviceaccount:{namespace}:reader");
    assert_eq!(t.ok(&format!("auth can-i list pods {who}")).trim(), "yes");
    assert_eq!(
        t.run(&format!("auth can-i delete pods {who}"))
            .stdout
            .trim(),
        "no"
    );
    let message = t.fails(&format!("delete pod inside {who}"));
    assert!(
        message.contains(&format!(
            "pods \"inside\" is forbidden: User \"system:serviceaccount:{namespace}:reader\" cannot delete resource \"pods\" in API group \"\" in the namespace \"{namespace}\""
        )),
        "{message}"
    );
    t.ready_pod(
        "tokenless",
        "
        automountServiceAccountToken: false
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    t.sh_ok("tokenless", "test ! -e /var/run/secrets/kubernetes.io");
}

fn both_versions_of_http_are_spoken(t: &Scope) {
    let token = t.ok("create token default");
    let url = format!("https://127.0.0.1:{}/api", t.cluster.https_port());
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let mut command = std::process::Command::new("curl");
        command
            .args(["--noproxy", "*", "-sk", "-o", "/dev/null", flag, &url])
            .args(["-w", "%{http_version} %{http_code}"])
            .args(["--oauth2-bearer", token.trim()]);
        let said = e2e::Outcome::of(&mut command);
        assert_eq!(said.stdout, format!("{version} 200"), "{said:?}");
    }
}

/// One field of the status of a container's process.
fn status_of(t: &Scope, pod: &str, field: &str) -> String {
    let line = t.sh_ok(pod, &format!("grep {field}: /proc/1/status"));
    line.split_whitespace().nth(1).unwrap_or("").to_string()
}

fn capabilities_are_chosen(t: &Scope) {
    for (name, context, expected) in [
        ("usual", "{}", 0xa804_25fb_u64),
        ("none", "{capabilities: {drop: [ALL]}}", 0),
        (
            "one",
            "{capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}",
            1 << 10,
        ),
        (
            "more",
            "{capabilities: {add: [NET_ADMIN]}}",
            0xa804_25fb | 1 << 12,
        ),
    ] {
        t.ready_pod(
            name,
            &format!(
                "
                containers:
                - {{name: main, image: busybox:1.35, command: [sleep, '3600'], securityContext: {context}}}
                "
            ),
        );
        let found = u64::from_str_radix(&status_of(t, name, "CapEff"), 16).expect("capabilities");
        assert_eq!(found, expected, "{name}: {found:x}");
    }
}

fn namespaces_enforce_standards(t: &Scope) {
    let namespace = &t.namespace;
    t.ok(&format!("label namespace {namespace} pod-security.kubernetes.io/enforce=baseline pod-security.kubernetes.io/warn=restricted"));
    let manifest = |name: &str, more: &str| {
        e2e::pod(
            name,
            &format!(
                "
                {more}
                containers:
                - {{name: main, image: busybox:1.35, command: [sleep, '3600']}}
                "
            ),
        )
    };
    let refused = t.feed("create -f -", &manifest("host", "hostNetwork: true"));
    assert!(!refused.is_ok(), "{refused:?}");
    assert!(
        refused.stderr.contains("pods \"host\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)"),
        "{refused:?}"
    );
    let warned = t.feed("create -f -", &manifest("plain", "restartPolicy: Always"));
    assert!(warned.is_ok(), "{warned:?}");
    assert!(
        warned
            .stderr
            .contains("Warning: would violate PodSecurity \"restricted:latest\""),
        "{warned:?}"
    );
}

fn privileged_containers_may_everything(t: &Scope) {
    t.ready_pod(
        "mighty",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600'], securityContext: {privileged: true}}
        ",
    );
    let last: u32 = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")
        .expect("capabilities")
        .trim()
        .parse()
        .expect("a number");
    let found = u64::from_str_radix(&status_of(t, "mighty", "CapEff"), 16).expect("capabilities");
    let own = std::fs::read_to_string("/proc/self/status").expect("our own status");
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .expect("our own capabilities");
    let own = u64::from_str_radix(own.trim(), 16).expect("our own capabilities");
    assert_eq!(found, own & ((1 << (last + 1)) - 1));
    t.sh_ok(
        "mighty",
        "mkdir /tmp/m; mount -t tmpfs none /tmp/m; test -e /dev/kmsg",
    );
}

fn roots_are_read_only(t: &Scope) {
    t.ready_pod(
        "fixed",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600'], securityContext: {readOnlyRootFilesystem: true}, volumeMounts: [{name: work, mountPath: /work}]}
        volumes: [{name: work, emptyDir: {}}]
        ",
    );
    let said = t.sh("fixed", "touch /x").text();
    assert!(said.contains("Read-only file system"), "{said}");
    t.sh_ok("fixed", "touch /work/x");
}

fn strangers_are_refused(t: &Scope) {
    let url = format!("https://127.0.0.1:{}", t.cluster.https_port());
    let stranger = |arguments: &str| {
        let mut command = std::process::Command::new("curl");
        command
            .args(["--noproxy", "*", "-sk"])
            .args(arguments.split(' '));
        e2e::Outcome::of(&mut command).stdout
    };
    assert_eq!(stranger(&format!("{url}/readyz")), "ok");
    let said = stranger(&format!("{url}/api/v1/secrets")).replace(' ', "");
    assert!(said.contains("\"reason\":\"Forbidden\""), "{said}");
    let said = stranger(&format!("--oauth2-bearer x {url}/api/v1/secrets")).replace(' ', "");
    assert!(said.contains("\"reason\":\"Unauthorized\""), "{said}");
    let kubelet = format!("https://127.0.0.1:{}", t.cluster.kubelet_port());
    let said = stranger(&format!("{kubelet}/pods"));
    assert!(said.contains("Unauthorized"), "{said}");
}

fn system_calls_are_filtered(t: &Scope) {
    for (name, context, mode) in [
        ("usual", "{}", "2"),
        ("runtime", "{seccompProfile: {type: RuntimeDefault}}", "2"),
        ("open", "{seccompProfile: {type: Unconfined}}", "0"),
    ] {
        t.ready_pod(
            name,
            &format!(
                "
                containers:
                - {{name: main, image: busybox:1.35, command: [sleep, '3600'], securityContext: {context}}}
                "
            ),
        );
        assert_eq!(status_of(t, name, "Seccomp"), mode, "{name}");
    }
    t.ready_pod(
        "bound",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600'], securityContext: {allowPrivilegeEscalation: false}}
        ",
    );
    assert_eq!(status_of(t, "bound", "NoNewPrivs"), "1");
    assert_eq!(status_of(t, "usual", "NoNewPrivs"), "0");
}

fn tokens_are_made_and_reviewed(t: &Scope) {
    let namespace = &t.namespace;
    let token = t.ok("create token default --duration=20m");
    let review = format!(
        "apiVersion: authentication.k8s.io/v1\nkind: TokenReview\nspec: {{token: {}}}\n",
        token.trim()
    );
    let said = t
        .feed("create --validate=false -o yaml -f -", &review)
        .stdout;
    assert!(said.contains("authenticated: true"), "{said}");
    assert!(
        said.contains(&format!("system:serviceaccount:{namespace}:default")),
        "{said}"
    );
    let said = t.ok(&format!(
        "auth whoami --as=system:serviceaccount:{namespace}:default"
    ));
    assert!(
        said.contains(&format!("system:serviceaccount:{namespace}:default")),
        "{said}"
    );
}

fn users_and_groups_are_set(t: &Scope) {
    t.pod(
        "sailor",
        "
        restartPolicy: Never
        securityContext: {runAsUser: 1001, runAsGroup: 1002, supplementalGroups: [1003]}
        containers:
        - {name: pod, image: busybox:1.35, command: [id]}
        ",
    );
    assert_eq!(
        t.said_at_end("sailor"),
        "uid=1001 gid=1002 groups=1002,1003\n"
    );
    t.pod(
        "captain",
        "
        securityContext: {runAsNonRoot: true}
        containers:
        - {name: main, image: busybox:1.35, command: [id]}
        ",
    );
    t.wait_field(
        "pod captain",
        "{.status.containerStatuses[0].state.waiting.reason}",
        "CreateContainerConfigError",
    );
    let message = t.field(
        "pod captain",
        "{.status.containerStatuses[0].state.waiting.message}",
    );
    assert!(
        message.starts_with("container has runAsNonRoot and image will run as root"),
        "{message}"
    );
}
