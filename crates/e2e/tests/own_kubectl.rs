//! Our own kubectl beside a stock one, command by command, on the same cluster.
//!
//! What differs on purpose is told to users in docs/kubectl.md; of that, here:
//! - `version` names the program's own version;
//! - the list of formats in errors has `kyaml`, which is newer than the stock program;
//! - the fields of an object that a generator makes are printed in alphabetical order in JSON,
//!   where the stock program follows its structs.

use e2e::{Kubectl, Scope, own, suite};
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[
            ("changes_are_told_alike", changes_are_told_alike),
            ("errors_are_worded_alike", errors_are_worded_alike),
            ("objects_are_shown_alike", objects_are_shown_alike),
        ],
        &[],
    )
}

const OBJECTS: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web}}
data: {text: \"a <b>\\nc\"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: 'nginx:1.22'}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
";

/// Ages pass while one looks: each is a word of digits and units at the end of a line or before
/// two spaces.
fn without_ages(text: &str) -> String {
    let is_age = |word: &str| {
        word.len() > 1
            && word.starts_with(|c: char| c.is_ascii_digit())
            && word
                .chars()
                .all(|c| c.is_ascii_digit() || "smhd".contains(c))
            && word.ends_with(['s', 'm', 'h', 'd'])
    };
    let line = |line: &str| {
        let words: Vec<&str> = line
            .split_whitespace()
            .map(|word| if is_age(word) { "AGE" } else { word })
            .collect();
        words.join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn same(stock: &Kubectl, own: &Kubectl, arguments: &str) {
    let (theirs, ours) = (stock.run(arguments), own.run(arguments));
    let shown = |outcome: &e2e::Outcome| {
        (
            outcome.code,
            without_ages(&outcome.stdout),
            without_ages(&outcome.stderr),
        )
    };
    assert_eq!(shown(&ours), shown(&theirs), "kubectl {arguments}");
}

fn objects_are_shown_alike(t: &Scope) {
    let (_folder, own) = own(t, "shown");
    t.apply(OBJECTS);
    t.ok("rollout status deployment/web");
    for arguments in [
        "api-resources",
        "api-resources -o wide",
        "api-resources -o name --namespaced=false",
        "api-versions",
        "auth can-i create pods",
        "describe configmap settings",
        "describe deployment web",
        "get all",
        "get cm settings -o yaml",
        "get configmaps,services -o name",
        "get deploy -l app=web --show-labels -L app",
        "get deploy web -o json",
        "get deploy web -o jsonpath={.spec.replicas}",
        "get deploy web -o wide",
        "get deploy,svc -o custom-columns=NAME:.metadata.name,KIND:.kind",
        "get deploy/web svc/web",
        "get nothing-of-the-kind",
        "get cm --sort-by=.metadata.name",
        "get pods",
        "get pods.v1. -A -o name",
        "get svc web -o yaml --show-managed-fields",
        "rollout history deployment/web",
        "rollout status deployment/web",
        "wait --for=jsonpath='{.spec.replicas}'=0 deployment/web",
    ] {
        same(t, &own, arguments);
    }
}

fn errors_are_worded_alike(t: &Scope) {
    let (_folder, own) = own(t, "errors");
    for arguments in [
        "create namespace default",
        "delete pods",
        "get",
        "get pod nothing",
        "get pod/nothing service/nothing",
        "label pod nothing a=b",
        "logs nothing",
        "scale deployment/nothing --replicas=1",
        "get pods --no-such-flag",
        "get pods --raw /",
    ] {
        same(t, &own, arguments);
    }
}

/// Each program does the same to an object of its own; what they say differs in its name only.
fn changes_are_told_alike(t: &Scope) {
    let (_folder, own) = own(t, "changes");
    let steps = [
        "create configmap NAME --from-literal=a=b",
        "create deployment NAME --image=nginx:1.22 --replicas=0",
        "create serviceaccount NAME -o name",
        "create role NAME --verb=get,list --resource=pods,deployments.apps",
        "create configmap NAME --from-literal=a=b --dry-run=client -o yaml",
        "create deployment NAME --image=nginx:1.22 --dry-run=client -o yaml",
        "create service nodeport NAME --tcp=80:8080 --dry-run=client -o yaml",
        "label configmap NAME x=y",
        "label configmap NAME x=z",
        "label configmap NAME x=z --overwrite",
        "label configmap NAME x-",
        "annotate configmap NAME note=1",
        "patch configmap NAME -p {\"data\":{\"c\":\"d\"}}",
        "patch configmap NAME -p {\"data\":{\"c\":\"d\"}}",
        "scale deployment/NAME --replicas=0",
        "set image deployment/NAME nginx=nginx:1.23",
        "set env deployment/NAME A=1",
        "rollout pause deployment/NAME",
        "rollout resume deployment/NAME",
        "rollout restart deployment/NAME",
        "expose deployment NAME --port=80",
        "delete service,deployment,configmap NAME",
        "delete service,deployment NAME",
        "delete service/NAME deployment/NAME configmap/NAME",
        "delete configmap NAME",
        "delete configmap NAME --ignore-not-found",
    ];
    for step in steps {
        let said = |kubectl: &Kubectl, name: &str| {
            let outcome = kubectl.run(&step.replace("NAME", name));
            let text = format!("{:?}\n{}", outcome.code, outcome.text());
            text.replace(name, "NAME")
        };
        assert_eq!(
            said(&own, "one-of-ours"),
            said(t, "one-of-theirs"),
            "{step}"
        );
    }
    for manifest in [
        OBJECTS.to_string(),
        OBJECTS.to_string(),
        OBJECTS.replace("blue", "green").replace("1.22", "1.23"),
    ] {
        let ours = own.feed(
            "apply -f -",
            &manifest.replace("name: web,", "name: web-a,"),
        );
        let theirs = t.feed(
            "apply -f -",
            &manifest.replace("name: web,", "name: web-b,"),
        );
        let plain = |outcome: &e2e::Outcome| {
            outcome
                .text()
                .replace("web-a", "web")
                .replace("web-b", "web")
        };
        assert!(ours.is_ok(), "{ours:#?}");
        assert_eq!(plain(&ours).lines().nth(1), plain(&theirs).lines().nth(1));
    }
    let applied = "get deployment web-a -o jsonpath={.metadata.annotations}";
    let theirs = t.ok(&applied.replace("web-a", "web-b"));
    let ours = own.ok(applied);
    assert_eq!(
        ours,
        theirs.replace("web-b", "web-a"),
        "what was applied last"
    );
}
