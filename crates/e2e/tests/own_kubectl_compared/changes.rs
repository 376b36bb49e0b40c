//! What changes objects, each program on objects of its own.

use crate::compare::Both;
use e2e::{Kubectl, Outcome, Scope, own};
use std::io::Write as _;
use std::process::Stdio;

const STEPS: &[&str] = &[
    "create deployment NAME --image=nginx:1.22 --replicas=0",
    "create role NAME --verb=get --resource=pods",
    "create rolebinding NAME --role=NAME --user=anna,b --user=c",
    "set subject rolebinding NAME --user=eve --serviceaccount=default:robot",
    "set subject rolebinding NAME --user=eve",
    "get rolebinding NAME -o jsonpath={.subjects}",
    "set env deployment/NAME A=1 B=2",
    "set env deployment/NAME A=2 --overwrite=false",
    "set env deployment/NAME --list",
    "set env deployment/NAME B-",
    "set env deployment/NAME --env=C=3 -o jsonpath={.spec.template.spec.containers[0].env}",
    "set resources deployment NAME --limits=cpu=1 --requests=memory=1Mi",
    "set serviceaccount deployment NAME robot",
    "create service clusterip NAME --tcp=80:8080",
    "set selector service NAME a=b,c=d",
    "get service NAME -o jsonpath={.spec.selector}",
    "expose deployment NAME --name=NAME-2 --port=80 --overrides={\"spec\":{\"type\":\"NodePort\"}}",
    "patch deployment NAME -p {\"spec\":{\"paused\":true}} --dry-run=client",
    "patch deployment NAME -p {\"spec\":{\"paused\":true}} --dry-run=server",
    "create secret generic hashed --from-literal=a=b --append-hash --dry-run=client -o name",
    "create ingress NAME --rule=a.io/=web:80,tls=cert --rule=a.io/b*=web:http --class=x --dry-run=client -o yaml",
    "create ingress NAME --default-backend=web:80 --annotation=a=b --dry-run=client -o yaml",
    "autoscale deployment NAME --max=3 --dry-run=client -o name",
    "create deployment NAME-a --image=nginx:1.22 --replicas=0 --save-config",
    "apply view-last-applied deployment/NAME-a",
    "delete deployment NAME NAME-a --wait=false",
];

pub fn changes_are_made_alike(t: &Scope) {
    let (_folder, own) = own(t, "made");
    let both = Both {
        stock: t,
        own: &own,
    };
    for step in STEPS {
        both.do_alike(step);
    }
    let roles = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: NAME, namespace: SPACE}
rules: [{apiGroups: [''], resources: [pods, secrets], verbs: [get, list]}]
";
    let said = |kubectl: &Kubectl, name: &str, more: &str| {
        let arguments = format!("auth reconcile -f - {more}");
        let roles = roles.replace("NAME", name).replace("SPACE", &t.namespace);
        let outcome = kubectl.feed(&arguments, &roles);
        outcome.text().replace(name, "NAME")
    };
    for more in ["--dry-run=client", "", "", "--remove-extra-permissions"] {
        assert_eq!(
            said(&own, "one-of-ours", more),
            said(t, "one-of-theirs", more),
            "{more}"
        );
    }
    for (kubectl, keep, set) in [
        (t as &Kubectl, "keep-1", "set-1"),
        (&own, "keep-2", "set-2"),
    ] {
        let both = format!("{}---{}", config_map(keep, set), config_map("gone-", set));
        let both = both.replace("gone-", &format!("gone-{set}"));
        assert!(kubectl.feed("apply -f -", &both).is_ok());
    }
    // The stock program prunes kinds that this cluster may not serve yet: they are named.
    let allowed = "--prune --prune-allowlist=core/v1/ConfigMap";
    let pruned = |kubectl: &Kubectl, keep: &str, set: &str| {
        let arguments = format!("apply -f - -l set={set} {allowed}");
        let outcome = kubectl.feed(&arguments, &config_map(keep, set));
        outcome.text().replace(keep, "KEEP").replace(set, "SET")
    };
    assert_eq!(
        pruned(&own, "keep-2", "set-2"),
        pruned(t, "keep-1", "set-1")
    );
}

fn config_map(name: &str, set: &str) -> String {
    format!(
        "\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{set: {set}}}}}\n"
    )
}

/// An editor that changes a word, and one that changes nothing.
pub fn editors_save_alike(t: &Scope) {
    let (folder, own) = own(t, "edit");
    let script = folder.path().join("editor");
    let mut file = std::fs::File::create(&script).expect("an editor");
    writeln!(file, "#!/bin/sh\nsed -i s/blue/green/ \"$1\"").expect("an editor");
    drop(file);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).expect("an editor that runs");
    let edited = |kubectl: &Kubectl, name: &str, arguments: &str| {
        let mut command = kubectl.command(&arguments.replace("NAME", name));
        command.env("EDITOR", &script).stdin(Stdio::null());
        let outcome = Outcome::from(command.output().expect("kubectl"));
        format!(
            "{:?}\n{}",
            outcome.code,
            outcome.text().replace(name, "NAME")
        )
    };
    for (kubectl, name) in [(t as &Kubectl, "theirs"), (&own, "ours")] {
        let map = format!("{}data: {{colour: blue}}\n", config_map(name, "edited"));
        assert!(kubectl.feed("apply -f -", &map).is_ok());
    }
    for arguments in [
        "edit configmap NAME",
        "edit configmap NAME",
        "edit configmap NAME -o json --save-config",
        "apply edit-last-applied configmap NAME",
        "get configmap NAME -o jsonpath={.data.colour}",
    ] {
        assert_eq!(
            edited(&own, "ours", arguments),
            edited(t, "theirs", arguments),
            "{arguments}"
        );
    }
}
