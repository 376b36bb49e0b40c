//! Deployments, replica sets and replication controllers over real pods, and
//! what becomes of things whose owner or namespace goes.

use e2e::{Options, Scope, patiently, suite, until, with_cluster};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

fn main() -> ExitCode {
    suite(
        &[
            ("deleted_pods_are_replaced", deleted_pods_are_replaced),
            (
                "failed_rollouts_say_so_and_keep_the_old",
                failed_rollouts_say_so_and_keep_the_old,
            ),
            (
                "namespaces_take_all_with_them",
                namespaces_take_all_with_them,
            ),
            (
                "namespaces_stay_within_their_quota",
                namespaces_stay_within_their_quota,
            ),
            ("owners_go_as_is_asked", owners_go_as_is_asked),
            (
                "pods_are_adopted_and_released",
                pods_are_adopted_and_released,
            ),
            (
                "recreation_ends_the_old_first",
                recreation_ends_the_old_first,
            ),
            (
                "replication_controllers_still_work",
                replication_controllers_still_work,
            ),
            ("rolling_updates_keep_serving", rolling_updates_keep_serving),
            ("rollouts_are_undone", rollouts_are_undone),
            ("rollouts_pause_and_resume", rollouts_pause_and_resume),
            ("scaling_follows", scaling_follows),
        ],
        &[(
            "nodes_are_drained_and_tainted",
            nodes_are_drained_and_tainted,
        )],
    )
}

/// A deployment whose pods sleep, or serve when an image is a web server.
fn deployment(t: &Scope, name: &str, replicas: u32, more: &str) {
    t.apply(&format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
{more}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {{name: main, image: busybox:1.35, command: [sleep, '3600']}}
"
    ));
    rolled_out(t, name);
}

fn rolled_out(t: &Scope, name: &str) -> String {
    t.ok(&format!("rollout status deployment/{name} --timeout=60s"))
}

fn names(t: &Scope, what: &str) -> Vec<String> {
    let names = t.field(what, "{.items[*].metadata.name}");
    names.split_whitespace().map(String::from).collect()
}

fn deleted_pods_are_replaced(t: &Scope) {
    deployment(t, "crew", 2, "");
    let before = names(t, "pods");
    t.ok(&format!("delete pod {} --timeout=30s", before[0]));
    let after = patiently("two pods", || names(t, "pods"), |pods| pods.len() == 2);
    assert!(
        !after.contains(&before[0]) && after.contains(&before[1]),
        "{before:?} {after:?}"
    );
    rolled_out(t, "crew");
}

fn failed_rollouts_say_so_and_keep_the_old(t: &Scope) {
    deployment(t, "web", 2, "  progressDeadlineSeconds: 3");
    t.ok("set image deployment/web main=busybox:absent");
    let said = t.fails("rollout status deployment/web --timeout=60s");
    assert!(said.contains("exceeded its progress deadline"), "{said}");
    assert_eq!(
        t.field("deployment web", "{.status.availableReplicas}"),
        "2"
    );
    let reason = "{.status.conditions[?(@.type==\"Progressing\")].reason}";
    assert_eq!(
        t.field("deployment web", reason),
        "ProgressDeadlineExceeded"
    );
    t.ok("rollout undo deployment/web");
    rolled_out(t, "web");
}

fn namespaces_stay_within_their_quota(t: &Scope) {
    t.ok("create quota crew --hard=pods=3,limits.cpu=1,count/deployments.apps=1");
    t.apply(
        "
apiVersion: v1
kind: LimitRange
metadata: {name: bounds}
spec:
  limits:
  - {type: Container, default: {cpu: 100m}, defaultRequest: {cpu: 10m}, max: {cpu: 500m}}
",
    );
    t.wait_field("quota crew", "{.status.hard.pods}", "3");
    deployment(t, "crew", 2, "");
    let limit = "{.items[0].spec.containers[0].resources.limits.cpu}";
    assert_eq!(t.field("pods", limit), "100m");
    t.wait_field("quota crew", "{.status.used.limits\\.cpu}", "200m");
    let said = t.fails("create deployment more --image=busybox:1.35");
    assert!(
        said.contains("exceeded quota: crew, requested: count/deployments.apps=1, used: count/deployments.apps=1, limited: count/deployments.apps=1"),
        "{said}"
    );
    let said = t.fails("run greedy --image=busybox:1.35 --overrides={\"spec\":{\"containers\":[{\"name\":\"greedy\",\"image\":\"busybox:1.35\",\"resources\":{\"limits\":{\"cpu\":\"2\"}}}]}}");
    assert!(
        said.contains("maximum cpu usage per Container is 500m, but limit is 2"),
        "{said}"
    );
    t.ok("scale deployment crew --replicas=5");
    t.wait_field("quota crew", "{.status.used.pods}", "3");
    let set = &names(t, "replicasets")[0];
    let refused = t.event(set, "FailedCreate").to_string();
    assert!(refused.contains("exceeded quota: crew"), "{refused}");
    assert_eq!(names(t, "pods").len(), 3);
    t.ok("scale deployment crew --replicas=1");
    t.wait_field("quota crew", "{.status.used.pods}", "1");
    let described = t.ok("describe quota crew");
    assert!(described.contains("limits.cpu"), "{described}");
}

fn namespaces_take_all_with_them(t: &Scope) {
    let other = format!("{}-2", t.namespace);
    t.ok(&format!("create namespace {other}"));
    let there = t.within(&other);
    until("the account", || {
        there.run("get serviceaccount default").is_ok()
    });
    there.ok("create deployment web --image=nginx:1.22 --replicas=2");
    there.ok("create configmap settings --from-literal=a=b");
    there.ok("expose deployment web --port=80");
    there.ok("rollout status deployment/web --timeout=60s");
    t.ok(&format!("delete namespace {other} --timeout=60s"));
    assert!(
        t.fails(&format!("get namespace {other}"))
            .contains("NotFound")
    );
    for kind in [
        "pods",
        "deployments",
        "replicasets",
        "configmaps",
        "services",
        "endpointslices",
        "secrets",
        "serviceaccounts",
    ] {
        assert!(names(t, &format!("{kind} -n {other}")).is_empty(), "{kind}");
    }
    let refused = t.fails("create configmap x -n no-such-namespace --from-literal=a=b");
    assert!(
        refused.contains("namespaces \"no-such-namespace\" not found"),
        "{refused}"
    );
}

fn nodes_are_drained_and_tainted() {
    with_cluster(Options::default(), |cluster| {
        let kubectl = cluster.kubectl();
        let node = cluster.node();
        kubectl.ok("create deployment web --image=nginx:1.22 --replicas=2");
        kubectl.ok("rollout status deployment/web --timeout=60s");
        let pods = || kubectl.ok("get pods --no-headers");
        kubectl.ok("create poddisruptionbudget web --selector=app=web --min-available=1");
        patiently(
            "one may go",
            || kubectl.ok("get poddisruptionbudget web -o jsonpath={.status.disruptionsAllowed}"),
            |allowed| allowed == "1",
        );
        let said = kubectl.fails(&format!("drain {node} --grace-period=1 --timeout=7s"));
        assert!(
            said.contains("Cannot evict pod as it would violate the pod's disruption budget."),
            "{said}"
        );
        patiently("one stays", pods, |rows| {
            rows.matches("Running").count() == 1 && rows.matches("Pending").count() == 1
        });
        kubectl.ok("delete poddisruptionbudget web");
        kubectl.ok(&format!("drain {node} --grace-period=1 --timeout=60s"));
        let table = kubectl.ok("get nodes");
        assert!(table.contains("Ready,SchedulingDisabled"), "{table}");
        patiently("both wait", pods, |rows| {
            rows.matches("Pending").count() == 2
        });
        kubectl.ok(&format!("uncordon {node}"));
        kubectl.ok("rollout status deployment/web --timeout=60s");
        kubectl.ok(&format!("taint node {node} storm=yes:NoExecute"));
        patiently("both are put out", pods, |rows| {
            rows.matches("Pending").count() == 2 && rows.lines().count() == 2
        });
        kubectl.apply(&e2e::pod(
            "tolerant",
            "
            tolerations: [{key: storm, operator: Exists}]
            containers:
            - {name: main, image: busybox:1.35, command: [sleep, '3600']}
            ",
        ));
        kubectl.ok("wait --for=condition=Ready pod/tolerant --timeout=60s");
        kubectl.ok(&format!("taint node {node} storm-"));
        kubectl.ok("rollout status deployment/web --timeout=60s");
    });
}

fn owners_go_as_is_asked(t: &Scope) {
    deployment(t, "orphans", 1, "");
    t.ok("delete deployment orphans --cascade=orphan");
    let sets = names(t, "replicasets -l app=orphans");
    assert_eq!(sets.len(), 1);
    until("the set has no owner", || {
        t.field(
            &format!("replicaset {}", sets[0]),
            "{.metadata.ownerReferences}",
        )
        .is_empty()
    });
    t.ok(&format!(
        "delete replicaset {} --cascade=background",
        sets[0]
    ));
    t.ok("wait --for=delete pod -l app=orphans --timeout=60s");
    deployment(t, "front", 1, "");
    t.ok("delete deployment front --cascade=foreground --timeout=60s");
    assert!(names(t, "replicasets,pods -l app=front").is_empty());
}

fn pods_are_adopted_and_released(t: &Scope) {
    t.pod(
        "stray",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    t.ok("label pod stray app=herd --overwrite");
    t.apply(
        "
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: herd}
spec:
  replicas: 1
  selector: {matchLabels: {app: herd}}
  template:
    metadata: {labels: {app: herd}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: busybox:1.35, command: [sleep, '3600']}]
",
    );
    t.wait_field("pod stray", "{.metadata.ownerReferences[0].name}", "herd");
    assert_eq!(names(t, "pods -l app=herd"), ["stray"]);
    t.ok("label pod stray app=free --overwrite");
    patiently(
        "another takes its place",
        || names(t, "pods -l app=herd"),
        |pods| pods.len() == 1,
    );
    t.wait_field("pod stray", "{.metadata.ownerReferences}", "");
}

fn recreation_ends_the_old_first(t: &Scope) {
    deployment(t, "single", 2, "  strategy: {type: Recreate}");
    let before = names(t, "pods");
    t.ok("set env deployment/single A=B");
    rolled_out(t, "single");
    let after = names(t, "pods");
    assert!(
        before.iter().all(|name| !after.contains(name)),
        "{before:?} {after:?}"
    );
}

fn replication_controllers_still_work(t: &Scope) {
    t.apply(
        "
apiVersion: v1
kind: ReplicationController
metadata: {name: old}
spec:
  replicas: 1
  selector: {app: old}
  template:
    metadata: {labels: {app: old}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: busybox:1.35, command: [sleep, '3600']}]
",
    );
    t.wait_field("replicationcontroller old", "{.status.readyReplicas}", "1");
    t.ok("scale rc old --replicas=2");
    t.wait_field("replicationcontroller old", "{.status.readyReplicas}", "2");
    let table = t.ok("get rc old");
    assert_eq!(
        table.split_whitespace().take(5).collect::<Vec<_>>(),
        ["NAME", "DESIRED", "CURRENT", "READY", "AGE"]
    );
}

fn rolling_updates_keep_serving(t: &Scope) {
    t.apply(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: nginx:1.22
        readinessProbe: {httpGet: {path: /healthz, port: 80}, periodSeconds: 1}
        lifecycle: {preStop: {exec: {command: [sleep, '2']}}}
",
    );
    rolled_out(t, "web");
    t.ok("expose deployment web --port=80");
    let address = t.field("service web", "{.spec.clusterIP}");
    until("the service answers", || {
        e2e::fetch(&address, 80, "/").is_ok()
    });
    let (ends, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let asker = scope.spawn(|| {
            let mut failures = Vec::new();
            while !ends.load(Ordering::Relaxed) {
                asked.fetch_add(1, Ordering::Relaxed);
                failures.extend(e2e::fetch(&address, 80, "/hostname").err());
            }
            failures
        });
        t.ok("set env deployment/web VERSION=2");
        let rolled = t.run("rollout status deployment/web --timeout=60s");
        ends.store(true, Ordering::Relaxed);
        let failures = asker.join().expect("the asker");
        assert!(rolled.is_ok(), "{rolled:?}");
        let asked = asked.load(Ordering::Relaxed);
        assert!(
            failures.is_empty(),
            "{} of {asked} failed: {failures:?}",
            failures.len()
        );
        assert!(asked > 10);
    });
    assert_eq!(t.field("deployment web", "{.status.updatedReplicas}"), "3");
}

fn rollouts_are_undone(t: &Scope) {
    deployment(t, "app", 1, "");
    t.ok("annotate deployment app kubernetes.io/change-cause=first");
    t.ok("set env deployment/app VERSION=2");
    t.ok("annotate deployment app kubernetes.io/change-cause=second --overwrite");
    rolled_out(t, "app");
    until("the second revision is in the history", || {
        t.ok("rollout history deployment/app").contains("second")
    });
    let history = t.ok("rollout history deployment/app");
    assert!(
        history.contains("1         first") && history.contains("2         second"),
        "{history}"
    );
    let detail = t.ok("rollout history deployment/app --revision=2");
    assert!(detail.contains("VERSION:\t2"), "{detail}");
    t.ok("rollout undo deployment/app");
    rolled_out(t, "app");
    assert_eq!(
        t.field("deployment app", "{.spec.template.spec.containers[0].env}"),
        ""
    );
    t.wait_field(
        "deployment app",
        "{.metadata.annotations.deployment\\.kubernetes\\.io/revision}",
        "3",
    );
    t.ok("rollout undo deployment/app --to-revision=2");
    rolled_out(t, "app");
    assert_eq!(
        t.field(
            "deployment app",
            "{.spec.template.spec.containers[0].env[0].value}"
        ),
        "2"
    );
    let before = names(t, "pods");
    t.ok("rollout restart deployment/app");
    rolled_out(t, "app");
    t.ok(&format!(
        "wait --for=delete pod {} --timeout=60s",
        before.join(" ")
    ));
    assert_eq!(names(t, "replicasets").len(), 3);
}

fn rollouts_pause_and_resume(t: &Scope) {
    deployment(t, "app", 1, "");
    t.ok("rollout pause deployment/app");
    t.ok("set env deployment/app VERSION=2");
    t.wait_field(
        "deployment app",
        "{.status.conditions[?(@.type==\"Progressing\")].reason}",
        "DeploymentPaused",
    );
    let observed = || {
        t.field("deployment app", "{.metadata.generation}")
            == t.field("deployment app", "{.status.observedGeneration}")
    };
    until("the controller has seen it", observed);
    assert_eq!(names(t, "replicasets").len(), 1);
    t.ok("rollout resume deployment/app");
    rolled_out(t, "app");
    assert_eq!(names(t, "replicasets").len(), 2);
}

fn scaling_follows(t: &Scope) {
    deployment(t, "app", 1, "");
    t.ok("scale deployment app --replicas=4 --current-replicas=1");
    rolled_out(t, "app");
    assert_eq!(names(t, "pods").len(), 4);
    t.ok("scale deployment app --replicas=0");
    t.ok("wait --for=delete pod -l app=app --timeout=60s");
    assert_eq!(t.field("deployment app", "{.status.replicas}"), "");
    let said = t.fails("scale deployment app --replicas=1 --current-replicas=7");
    assert!(said.contains("Expected replicas to be 7, was 0"), "{said}");
}
