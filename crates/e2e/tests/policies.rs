//! What upstream's conformance tests ask of quotas, limit ranges and disruption
//! budgets, with the controllers, the kubelet and a stock kubectl that keep them.

use e2e::{Scope, eventually, suite};
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[
            ("budgets_are_listed_and_go", budgets_are_listed_and_go),
            (
                "budgets_block_until_they_allow",
                budgets_block_until_they_allow,
            ),
            ("budgets_tell_their_status", budgets_tell_their_status),
            ("limit_ranges_live", limit_ranges_live),
            ("quotas_count_what_is_made", quotas_count_what_is_made),
            ("quotas_count_pods", quotas_count_pods),
            ("quotas_live", quotas_live),
            ("scopes_choose_pods", scopes_choose_pods),
        ],
        &[],
    )
}

fn used(t: &Scope, quota: &str, what: &str, amount: &str) {
    let path = format!("{{.status.used.{}}}", what.replace('.', "\\."));
    t.wait_field(&format!("quota {quota}"), &path, amount);
}

/// Each is charged when it is made and given back when it goes.
fn quotas_count_what_is_made(t: &Scope) {
    let hard = "configmaps=10,count/replicasets.apps=5,persistentvolumeclaims=10,replicationcontrollers=10,secrets=10,services=10,services.loadbalancers=1,services.nodeports=1";
    t.ok(&format!("create quota all --hard={hard}"));
    used(t, "all", "services", "0");
    let configmaps = t.field("quota all", "{.status.used.configmaps}");
    assert_eq!(configmaps, "1", "the authority's certificate counts");
    let set = |kind: &str, api: &str, selector: &str| {
        format!(
            "
apiVersion: {api}
kind: {kind}
metadata: {{name: made}}
spec:
  replicas: 0
  selector: {selector}
  template:
    metadata: {{labels: {{app: made}}}}
    spec: {{containers: [{{name: main, image: 'busybox:1.35'}}]}}
"
        )
    };
    t.apply(&set("ReplicaSet", "apps/v1", "{matchLabels: {app: made}}"));
    t.apply(&set("ReplicationController", "v1", "{app: made}"));
    t.ok("create secret generic made --from-literal=a=b");
    t.ok("create configmap made");
    t.ok("create service clusterip made --tcp=80");
    t.ok("create service nodeport open --tcp=80");
    let counted = [
        ("count/replicasets.apps", "1", "0"),
        ("replicationcontrollers", "1", "0"),
        ("secrets", "1", "0"),
        ("configmaps", "2", "1"),
        ("services", "2", "0"),
        ("services.nodeports", "1", "0"),
    ];
    for (what, made, _) in counted {
        used(t, "all", what, made);
    }
    let second = t.fails("create service nodeport second --tcp=80");
    assert!(
        second.contains("exceeded quota: all, requested: services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1"),
        "{second}"
    );
    t.ok("delete replicaset/made replicationcontroller/made secret/made configmap/made service/made service/open");
    for (what, _, left) in counted {
        used(t, "all", what, left);
    }
}

fn quotas_count_pods(t: &Scope) {
    t.ok("create quota pods --hard=pods=5,cpu=1,memory=500Mi");
    used(t, "pods", "pods", "0");
    let sized = |cpu: &str, memory: &str| {
        format!(
            "containers: [{{name: main, image: 'busybox:1.35', command: [sleep, '3600'], resources: {{requests: {{cpu: {cpu}, memory: {memory}}}}}}}]"
        )
    };
    t.pod("fits", &sized("500m", "252Mi"));
    for (what, amount) in [("pods", "1"), ("cpu", "500m"), ("memory", "252Mi")] {
        used(t, "pods", what, amount);
    }
    let refused = |spec: &str| {
        let outcome = t.feed("create -f -", &e2e::pod("more", spec));
        assert!(!outcome.is_ok(), "{outcome:?}");
        outcome.stderr
    };
    let large = refused(&sized("600m", "100Mi"));
    assert!(
        large.contains("exceeded quota: pods, requested: cpu=600m, used: cpu=500m, limited: cpu=1"),
        "{large}"
    );
    let silent = refused("containers: [{name: main, image: 'busybox:1.35'}]");
    assert!(
        silent.contains("failed quota: pods: must specify cpu for: main; memory for: main"),
        "{silent}"
    );
    // Nothing is charged for a change that needs nothing, and all is given back.
    t.ok("label pod fits updated=yes");
    used(t, "pods", "cpu", "500m");
    t.ok("delete pod fits --grace-period=0 --force");
    for (what, amount) in [("pods", "0"), ("cpu", "0"), ("memory", "0")] {
        used(t, "pods", what, amount);
    }
}

fn quotas_live(t: &Scope) {
    t.ok("create quota one --hard=cpu=1,memory=500Mi");
    t.ok("label quota one life=short");
    t.ok("patch quota one -p '{\"spec\":{\"hard\":{\"cpu\":\"2\",\"memory\":\"1Gi\"}}}'");
    t.wait_field("quota one", "{.status.hard.memory}", "1Gi");
    let listed = t.ok("get quota -A -l life=short -o jsonpath={.items[*].spec.hard.cpu}");
    assert_eq!(listed, "2");
    let status =
        "{\"status\":{\"hard\":{\"cpu\":\"2\",\"memory\":\"1Gi\"},\"used\":{\"cpu\":\"1\"}}}";
    let patched = t.ok(&format!(
        "patch quota one --subresource=status --type=merge -p '{status}' -o jsonpath={{.status.used.cpu}}"
    ));
    assert_eq!(patched, "1");
    t.ok("delete quota -l life=short");
    t.wait_gone("quota one");
    t.ok("create configmap free");
}

/// A pod belongs to a quota by what it says, and to no other.
fn scopes_choose_pods(t: &Scope) {
    for (name, scope) in [
        ("best-effort", "BestEffort"),
        ("not-best-effort", "NotBestEffort"),
        ("terminating", "Terminating"),
        ("not-terminating", "NotTerminating"),
    ] {
        t.ok(&format!(
            "create quota {name} --hard=pods=5 --scopes={scope}"
        ));
        used(t, name, "pods", "0");
    }
    let check = |pod: &str, spec: &str, by: [&str; 4]| {
        t.pod(pod, spec);
        let names = [
            "best-effort",
            "not-best-effort",
            "terminating",
            "not-terminating",
        ];
        for (name, amount) in names.into_iter().zip(by) {
            used(t, name, "pods", amount);
        }
        t.ok(&format!("delete pod {pod} --grace-period=0 --force"));
        for name in names {
            used(t, name, "pods", "0");
        }
    };
    let main = "image: 'busybox:1.35', command: [sleep, '3600']";
    let small = format!("{main}, resources: {{requests: {{cpu: 10m}}}}");
    let of = |main: &str| format!("containers: [{{name: main, {main}}}]");
    check("free", &of(main), ["1", "0", "0", "1"]);
    check("sized", &of(&small), ["0", "1", "0", "1"]);
    let short = format!("{}\nactiveDeadlineSeconds: 3600", of(&small));
    check("short", &short, ["0", "1", "1", "0"]);
}

fn limit_ranges_live(t: &Scope) {
    t.apply(
        "
apiVersion: v1
kind: LimitRange
metadata: {name: range, labels: {life: short}}
spec:
  limits:
  - type: Container
    min: {cpu: 50m, memory: 10Mi}
    max: {cpu: 500m, memory: 100Mi}
    default: {cpu: 200m, memory: 60Mi}
    defaultRequest: {cpu: 100m, memory: 20Mi}
    maxLimitRequestRatio: {cpu: '4'}
",
    );
    eventually("the range fills in what a pod leaves out", || {
        t.pod(
            "plain",
            "containers: [{name: main, image: 'busybox:1.35', command: [sleep, '3600']}]",
        );
        let cpu = t.field("pod plain", "{.spec.containers[0].resources.requests.cpu}");
        t.ok("delete pod plain --grace-period=0 --force");
        (cpu == "100m").then_some(())
    });
    let outcome = t.feed(
        "create -f -",
        &e2e::pod(
            "greedy",
            "containers: [{name: main, image: 'busybox:1.35', resources: {requests: {cpu: 100m}, limits: {cpu: '1', memory: 5Mi}}}]",
        ),
    );
    for words in [
        "maximum cpu usage per Container is 500m, but limit is 1",
        "minimum memory usage per Container is 10Mi, but request is 5Mi",
        "cpu max limit to request ratio per Container is 4, but provided ratio is 10.000000",
    ] {
        assert!(outcome.stderr.contains(words), "{words}: {outcome:?}");
    }
    t.ok("patch limits range --type=merge -p '{\"metadata\":{\"labels\":{\"patched\":\"yes\"}}}'");
    let listed = t.ok("get limits -A -l patched=yes -o name");
    assert_eq!(listed, "limitrange/range\n");
    t.ok("delete limits -l life=short");
    t.wait_gone("limits range");
}

const WEB: &str = "
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: 'busybox:1.35', command: [sleep, '3600']}]
";

/// Asks for the eviction of a pod of the set; what is said of it.
fn evict(t: &Scope) -> String {
    let pod = t.field("pods -l app=web", "{.items[0].metadata.name}");
    let eviction = format!(
        "{{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{{\"name\":\"{pod}\",\"namespace\":\"{}\"}}}}",
        t.namespace
    );
    let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", t.namespace);
    t.feed(&format!("create --raw {path} -f -"), &eviction)
        .text()
}

fn budgets_block_until_they_allow(t: &Scope) {
    t.apply(WEB);
    t.wait_field("replicaset web", "{.status.readyReplicas}", "3");
    t.ok("create poddisruptionbudget web --selector=app=web --min-available=3");
    t.wait_field("pdb web", "{.status.currentHealthy}", "3");
    let refused = evict(t);
    assert!(
        refused.contains("Cannot evict pod as it would violate the pod's disruption budget."),
        "{refused}"
    );
    t.ok("patch pdb web --type=merge -p '{\"spec\":{\"minAvailable\":2}}'");
    t.wait_field("pdb web", "{.status.disruptionsAllowed}", "1");
    let allowed = evict(t);
    assert!(allowed.contains("\"status\":\"Success\""), "{allowed}");
    t.wait_field("replicaset web", "{.status.readyReplicas}", "3");
    // As a share, and as what may be missing.
    t.ok("patch pdb web --type=merge -p '{\"spec\":{\"minAvailable\":null,\"maxUnavailable\":\"34%\"}}'");
    t.wait_field("pdb web", "{.status.disruptionsAllowed}", "2");
}

fn budgets_tell_their_status(t: &Scope) {
    t.ok("create poddisruptionbudget none --selector=app=none --min-available=1");
    t.wait_field("pdb none", "{.status.observedGeneration}", "1");
    let status = t.get("pdb none")["status"].clone();
    assert_eq!(status["disruptionsAllowed"], 0);
    assert_eq!(status["conditions"][0]["reason"], "InsufficientPods");
    let told = "{\"status\":{\"disruptedPods\":{\"gone\":\"2000-01-01T00:00:00Z\"}}}";
    let patched = t.ok(&format!(
        "patch pdb none --subresource=status --type=merge -p '{told}' -o jsonpath={{.status.disruptedPods}}"
    ));
    assert!(patched.contains("gone"), "{patched}");
    // What was to be gone so long ago is forgotten.
    t.wait_field("pdb none", "{.status.disruptedPods}", "");
}

fn budgets_are_listed_and_go(t: &Scope) {
    for name in ["one", "two"] {
        t.ok(&format!(
            "create poddisruptionbudget {name} --selector=app={name} --max-unavailable=1"
        ));
        t.ok(&format!("label pdb {name} life=short"));
    }
    let listed = t.ok("get pdb -A -l life=short -o name");
    assert_eq!(listed.lines().count(), 2, "{listed}");
    t.ok("delete pdb --all");
    assert_eq!(t.ok("get pdb -o name"), "");
}
