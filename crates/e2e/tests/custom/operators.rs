//! Operators on frameworks of others reconcile custom resources: kopf (Python),
//! and in campaigns kube-rs, whose build takes minutes.

use e2e::{Scope, dose, python, until, workspace};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A process that ends with the test.
struct Operator {
    child: Child,
    log: PathBuf,
}

impl Operator {
    fn start(t: &Scope, command: &mut Command) -> Self {
        let log = t.cluster.beside(&format!("{}.log", t.namespace));
        let file = File::create(&log).expect("make the operator's log");
        let errors = file.try_clone().expect("share the operator's log");
        let child = command
            .env("KUBECONFIG", t.cluster.kubeconfig())
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .expect("start the operator");
        Operator { child, log }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = std::fs::read_to_string(&self.log).unwrap_or_default();
            eprintln!("the operator said:\n{said}");
        }
    }
}

/// What every greeter does: says, says otherwise, and says farewell.
fn check(t: &Scope, group: &str, (before, after): (&str, &str), (said, changed): (&str, &str)) {
    let greeting = |spec: &str| {
        format!("{{apiVersion: {group}/v1, kind: Greeting, metadata: {{name: a}}, spec: {spec}}}")
    };
    let text = |name: &str| t.field(&format!("configmap {name}"), "{.data.text}");
    let child = || {
        let owned = "{.items[?(@.metadata.ownerReferences[0].name==\"a\")].metadata.name}";
        t.field("configmaps", owned)
    };
    t.apply(&greeting(before));
    until("the greeting is said", || text(&child()) == said);
    let what = format!("greetings.{group} a");
    assert!(!t.field(&what, "{.metadata.finalizers}").is_empty());
    t.apply(&greeting(after));
    until("the greeting is changed", || text(&child()) == changed);
    let child = child();
    t.ok(&format!("delete {what} --timeout=30s"));
    assert_eq!(text("farewell-a"), "Bye, Ann!");
    t.wait_gone(&format!("configmap {child}"));
}

const GREETINGS: &str = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: greetings.kopf.example.com}, \
    spec: {group: kopf.example.com, scope: Namespaced, names: {plural: greetings, singular: greeting, kind: Greeting}, \
    versions: [{name: v1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, properties: {\
      spec: {type: object, properties: {name: {type: string}, greeting: {type: string, default: Hello}}}, \
      status: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}}]}}";

pub fn kopf_reconciles(t: &Scope) {
    let Some(python) = python() else {
        eprintln!("skipped: there is no kopf and it cannot be installed");
        return;
    };
    t.apply(GREETINGS);
    t.ok("wait --for=condition=Established --timeout=30s crd/greetings.kopf.example.com");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/kopf_operator.py");
    let mut command = Command::new(python);
    command.args([
        "-m",
        "kopf",
        "run",
        "--standalone",
        "--namespace",
        &t.namespace,
    ]);
    let operator = Operator::start(t, command.arg(script));
    let spoken = ("Hello, Ann!", "Good day, Ann!");
    let specs = ("{name: Ann}", "{name: Ann, greeting: Good day}");
    // What it watches beside its own kind it writes down, too.
    t.apply(
        "{apiVersion: kopf.example.com/v1, kind: Greeting, metadata: {name: b}, spec: {name: Ben}}",
    );
    t.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: other, labels: {greets: b}}}");
    t.wait_field("greetings.kopf.example.com b", "{.status.seen}", "other");
    t.event("b", "Greeted");
    check(t, "kopf.example.com", specs, spoken);
    t.ok("delete greetings.kopf.example.com --all --timeout=30s");
    drop(operator);
    t.ok("delete crd greetings.kopf.example.com --timeout=30s");
}

pub fn kube_rs_reconciles(t: &Scope) {
    let Some(operator) = dose(None, Some(())).map(|()| build()) else {
        eprintln!("skipped: its build takes minutes; TIPHYS_E2E_DOSE=large runs it");
        return;
    };
    let operator = Operator::start(t, Command::new(operator).arg(&t.namespace));
    let crd = "crd greetings.kube-rs.example.com";
    t.wait_field(
        crd,
        "{.status.conditions[?(@.type==\"Established\")].status}",
        "True",
    );
    let spoken = ("Hello, Ann!", "Good day, Ann! Good day, Ann!");
    check(
        t,
        "kube-rs.example.com",
        ("{name: Ann}", "{name: Ann, tone: Cool, times: 2}"),
        spoken,
    );
    let often = "{apiVersion: kube-rs.example.com/v1, kind: Greeting, metadata: {name: c}, spec: {name: Ann, times: 10}}";
    let refused = t.feed("create -f -", often);
    assert!(
        refused.stderr.contains("should be less than or equal to 9"),
        "{refused:?}"
    );
    drop(operator);
    t.ok(&format!("delete {crd} --timeout=30s"));
}

/// Builds the operator beside the workspace, and says where it is.
fn build() -> PathBuf {
    let folder = workspace().join("target/operator");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("operator/Cargo.toml");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--locked", "--manifest-path"]);
    let built = cargo
        .arg(manifest)
        .arg("--target-dir")
        .arg(&folder)
        .status();
    assert!(built.is_ok_and(|status| status.success()), "{cargo:?}");
    folder.join("debug/operator")
}
