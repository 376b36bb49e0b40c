//! Starting, restarting, refusing and resetting a server.

use e2e::{Cluster, Options, Outcome, suite, with_cluster};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    suite(
        &[],
        &[
            (
                "a_control_plane_runs_without_a_node",
                a_control_plane_runs_without_a_node,
            ),
            ("a_node_needs_root", a_node_needs_root),
            (
                "damage_is_told_from_a_torn_tail",
                damage_is_told_from_a_torn_tail,
            ),
            ("identity_is_kept", identity_is_kept),
            ("mistakes_are_refused", mistakes_are_refused),
            ("the_example_answers", the_example_answers),
            ("the_own_service_comes_back", the_own_service_comes_back),
            ("two_clusters_share_a_machine", two_clusters_share_a_machine),
            ("what_is_in_use_is_refused", what_is_in_use_is_refused),
        ],
    )
}

/// The journey of the README: apply, roll out, ask through the Service and by name.
fn the_example_answers() {
    with_cluster(Options::default(), |cluster| {
        let kubectl = cluster.kubectl();
        let examples = e2e::workspace().join("examples");
        kubectl.ok(&format!("apply -f {}", examples.display()));
        kubectl.ok("rollout status deployment/web --timeout=60s");
        let address = kubectl.ok("get service web -o jsonpath='{.spec.clusterIP}'");
        let page = e2e::fetch(&address, 80, "/").expect("the page");
        assert!(page.contains("Hello from Tiphys"), "{page}");
        kubectl.apply(&e2e::pod(
            "asker",
            "
            restartPolicy: Never
            containers:
            - {name: main, image: busybox:1.35, command: [wget, -qO-, 'http://web.default.svc.cluster.local/']}
            ",
        ));
        kubectl.ok("wait pod/asker --for=jsonpath='{.status.phase}'=Succeeded --timeout=60s");
        let said = kubectl.ok("logs asker");
        assert!(said.contains("Hello from Tiphys"), "{said}");
    });
}

/// The server's words when it must not start.
fn refusal(mut command: Command) -> String {
    let outcome = Outcome::of(
        Command::new("timeout")
            .arg("30")
            .arg(command.get_program())
            .args(command.get_args()),
    );
    assert!(
        outcome.code.is_some_and(|code| code != 0 && code != 124),
        "{command:?}: {outcome:?}"
    );
    let _ = &mut command;
    outcome.text()
}

fn without_node() -> Options {
    Options {
        arguments: vec!["--disable-agent".into()],
        without_images: true,
    }
}

fn started_without_node() -> Cluster {
    let mut cluster = Cluster::prepare(without_node());
    cluster.start_server();
    cluster
}

fn end(cluster: Cluster) {
    let left = cluster.end();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

fn a_control_plane_runs_without_a_node() {
    let cluster = started_without_node();
    let kubectl = cluster.kubectl();
    assert_eq!(kubectl.ok("get nodes -o name"), "");
    kubectl.ok("create deployment web --image=nginx:1.22");
    kubectl.ok("wait pod -l app=web --for=jsonpath='{.status.phase}'=Pending --timeout=30s");
    e2e::until("the scheduler says why", || {
        kubectl
            .ok("get events")
            .contains("no nodes available to schedule pods")
    });
    end(cluster);
}

fn a_node_needs_root() {
    let cluster = Cluster::prepare(Options::default());
    let inner = cluster.server_command();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(inner.get_program()).args(inner.get_args());
    let said = refusal(command);
    assert!(said.contains("root") && said.contains("hint:"), "{said}");
    end(cluster);
}

fn damage_is_told_from_a_torn_tail() {
    let mut cluster = started_without_node();
    let kubectl = cluster.kubectl();
    for n in 0..5 {
        kubectl.ok(&format!(
            "create configmap c{n} --from-literal=a={}",
            "x".repeat(2000)
        ));
    }
    cluster.kill_server();
    let log = newest_log(&cluster);
    let whole = std::fs::read(&log).expect("the log");
    // A record that was being written when the power went.
    let mut torn = whole.clone();
    torn.extend_from_slice(&[7; 100]);
    std::fs::write(&log, &torn).expect("write the log");
    cluster.start_server();
    assert_eq!(
        cluster
            .kubectl()
            .ok("get configmaps -o name")
            .matches("/c")
            .count(),
        5
    );
    cluster.kill_server();
    // A record in the middle that does not say what was written.
    let mut damaged = std::fs::read(&log).expect("the log");
    let middle = damaged
        .windows(1000)
        .position(|bytes| bytes.iter().all(|byte| *byte == b'x'));
    damaged[middle.expect("a record") + 500] ^= 0xff;
    std::fs::write(&log, &damaged).expect("write the log");
    let said = refusal(cluster.server_command());
    assert!(
        said.contains(&*log.file_name().expect("a name").to_string_lossy()),
        "{said}"
    );
    std::fs::write(&log, &whole).expect("write the log");
    cluster.start_server();
    end(cluster);
}

fn newest_log(cluster: &Cluster) -> std::path::PathBuf {
    let entries = std::fs::read_dir(cluster.data().join("server/db")).expect("the store");
    let files = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file());
    files
        .max_by_key(|path| path.metadata().map(|data| data.len()).unwrap_or(0))
        .expect("a log")
}

fn identity_is_kept() {
    let mut cluster = started_without_node();
    let mode = cluster
        .kubeconfig()
        .metadata()
        .expect("the kubeconfig")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read_to_string(cluster.kubeconfig()).expect("the kubeconfig");
    let token = cluster.kubectl().ok("create token default --duration=1h");
    cluster.stop_server();
    cluster.start_server();
    let after = std::fs::read_to_string(cluster.kubeconfig()).expect("the kubeconfig");
    assert_eq!(before, after);
    let said = cluster.kubectl().ok(&format!(
        "auth whoami --kubeconfig=/dev/null --server=https://127.0.0.1:{} --insecure-skip-tls-verify --token={}",
        cluster.https_port(),
        token.trim()
    ));
    assert!(
        said.contains("system:serviceaccount:default:default"),
        "{said}"
    );
    let keys = std::fs::read_dir(cluster.data().join("server/tls")).expect("keys");
    for key in keys
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".key"))
    {
        let mode = key.metadata().expect("a key").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", key.path());
    }
    end(cluster);
}

fn mistakes_are_refused() {
    let cluster = Cluster::prepare(without_node());
    for (arguments, expected) in [
        (["--cluster-cidr", "10.0.0.0"], "cluster-cidr"),
        (["--service-cidr", "nonsense"], "service-cidr"),
        (["--disable", "sails"], "sails"),
        (["--https-listen-port", "70000"], "70000"),
        (["--no-such-flag", "x"], "--no-such-flag"),
    ] {
        let mut command = cluster.server_command();
        command.args(arguments);
        let said = refusal(command);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    for (arguments, expected) in [
        ("agent", "not supported"),
        ("token create --ttl=soon", "soon"),
        ("kubectl completion powershell", "powershell"),
    ] {
        let mut command = Command::new(e2e::tiphys());
        command.args(arguments.split(' '));
        let said = refusal(command);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    end(cluster);
}

fn the_own_service_comes_back() {
    let cluster = started_without_node();
    let kubectl = cluster.kubectl();
    kubectl.ok("delete service kubernetes --wait=false");
    let comes_back = || kubectl.run("get service kubernetes").is_ok();
    e2e::until("the API server's Service is back", comes_back);
    assert!(
        kubectl
            .fails("delete namespace kube-system")
            .contains("this namespace may not be deleted")
    );
    end(cluster);
}

fn two_clusters_share_a_machine() {
    with_cluster(Options::default(), |one| {
        with_cluster(Options::default(), |two| {
            for cluster in [&*one, &*two] {
                let kubectl = cluster.kubectl();
                kubectl.ok("run web --image=nginx:1.22");
                kubectl.ok("wait --for=condition=Ready pod/web --timeout=60s");
                kubectl.ok("expose pod web --port=80");
                let address = kubectl.ok("get service web -o jsonpath='{.spec.clusterIP}'");
                e2e::until("it answers", || {
                    e2e::fetch(&address, 80, "/hostname").is_ok()
                });
            }
        });
        let address = one
            .kubectl()
            .ok("get service web -o jsonpath='{.spec.clusterIP}'");
        e2e::fetch(&address, 80, "/hostname").expect("the first goes on when the second has gone");
    });
}

fn what_is_in_use_is_refused() {
    let one = started_without_node();
    let two = Cluster::prepare(without_node());
    let mut command = two.server_command();
    command.args(["--https-listen-port", &one.https_port().to_string()]);
    let said = refusal(command);
    assert!(
        said.contains(&format!("port {} is in use", one.https_port())),
        "{said}"
    );
    let mut command = two.server_command();
    command.arg("--data-dir").arg(one.data());
    let said = refusal(command);
    assert!(said.contains("in use by"), "{said}");
    end(two);
    end(one);
}
