//! A stock kubectl, verb by verb, in all versions that the machine has.

use e2e::{Kubectl, Scope, kubectls, suite, until};
use serde_json::Value;
use std::io::Read as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[
            ("all_versions_work", all_versions_work),
            (
                "apply_keeps_what_others_wrote",
                apply_keeps_what_others_wrote,
            ),
            ("bad_input_is_explained", bad_input_is_explained),
            ("changes_are_watched", changes_are_watched),
            (
                "columns_are_those_of_the_real_thing",
                columns_are_those_of_the_real_thing,
            ),
            ("commands_run_in_containers", commands_run_in_containers),
            ("descriptions_tell_the_story", descriptions_tell_the_story),
            ("discovery_is_complete", discovery_is_complete),
            ("edits_and_patches_arrive", edits_and_patches_arrive),
            ("generators_make_objects", generators_make_objects),
            (
                "lists_are_selected_and_sorted",
                lists_are_selected_and_sorted,
            ),
            ("logs_are_shown_as_asked", logs_are_shown_as_asked),
            (
                "server_side_apply_sees_conflicts",
                server_side_apply_sees_conflicts,
            ),
            ("things_are_deleted_as_asked", things_are_deleted_as_asked),
        ],
        &[],
    )
}

const SLEEPER: &str = "
containers:
- {name: main, image: busybox:1.35, command: [sleep, '3600']}
";

fn header(text: &str) -> Vec<&str> {
    text.lines()
        .next()
        .unwrap_or("")
        .split("  ")
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect()
}

/// Runs with a script as `KUBECTL_EXTERNAL_DIFF` or editor.
fn with(kubectl: &Kubectl, variable: &str, value: &str, arguments: &str) -> e2e::Outcome {
    e2e::Outcome::of(kubectl.command(arguments).env(variable, value))
}

fn all_versions_work(t: &Scope) {
    for (version, program) in kubectls() {
        let kubectl = t.with_program(&program);
        let name = format!("v{}", version.replace('.', "-"));
        let said = kubectl.ok("version");
        assert!(said.contains("v1.37."), "{version}: {said}");
        kubectl.ok(&format!("run {name} --image=nginx:1.22 --port=80"));
        kubectl.ok(&format!(
            "wait --for=condition=Ready pod/{name} --timeout=60s"
        ));
        kubectl.ok(&format!("expose pod {name}"));
        // Streams over SPDY are not served; 1.31 is the first to ask for WebSockets.
        if version.as_str() >= "1.31" {
            let said = kubectl.ok(&format!("exec {name} -- hostname"));
            assert_eq!(said, format!("{name}\n"), "{version}");
        }
        assert!(
            kubectl
                .ok(&format!("logs {name}"))
                .contains("start worker process"),
            "{version}"
        );
        assert!(
            kubectl
                .ok(&format!("describe pod {name}"))
                .contains("Started container"),
            "{version}"
        );
        assert!(
            kubectl.ok("get all").contains(&format!("service/{name}")),
            "{version}"
        );
        assert!(
            kubectl
                .ok("explain pod.spec.containers.image")
                .contains("Container image name"),
            "{version}"
        );
        kubectl.ok(&format!("label pod {name} seen=yes"));
        kubectl.ok(&format!("delete pod,service {name} --now --timeout=30s"));
    }
}

fn apply_keeps_what_others_wrote(t: &Scope) {
    let manifest = |colour: &str, more: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: mixed}}\ndata: {{colour: {colour}{more}}}\n"
        )
    };
    t.apply(&manifest("blue", ", gone: soon"));
    t.ok(r#"patch configmap mixed --type=merge -p '{"data": {"other": "stays"}}'"#);
    let file = t.cluster.beside("mixed.yaml");
    std::fs::write(&file, manifest("red", "")).expect("a manifest");
    let difference = t.run(&format!("diff -f {}", file.display()));
    assert_eq!(difference.code, Some(1), "{difference:?}");
    assert!(
        difference.stdout.contains("-  colour: blue")
            && difference.stdout.contains("+  colour: red"),
        "{difference:?}"
    );
    assert!(
        t.feed("apply -f -", &manifest("red", ""))
            .stdout
            .contains("configmap/mixed configured")
    );
    assert!(
        t.feed("apply -f -", &manifest("red", ""))
            .stdout
            .contains("configmap/mixed unchanged")
    );
    assert_eq!(
        t.get("configmap mixed")["data"],
        serde_json::json!({"colour": "red", "other": "stays"})
    );
    let said = t
        .feed("apply --dry-run=server -f -", &manifest("green", ""))
        .stdout;
    assert!(said.contains("configured (server dry run)"), "{said}");
    assert_eq!(t.field("configmap mixed", "{.data.colour}"), "red");
    let folder = t.cluster.beside("pruned");
    std::fs::create_dir_all(&folder).expect("a folder");
    for name in ["one", "two"] {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{set: pruned}}}}\n"
        );
        std::fs::write(folder.join(format!("{name}.yaml")), text).expect("a manifest");
    }
    let apply = format!(
        "apply -f {} --prune -l set=pruned --prune-allowlist=core/v1/ConfigMap",
        folder.display()
    );
    t.ok(&apply);
    std::fs::remove_file(folder.join("two.yaml")).expect("remove");
    assert!(t.ok(&apply).contains("configmap/two pruned"));
}

fn bad_input_is_explained(t: &Scope) {
    let refused = |manifest: &str, flags: &str| {
        let outcome = t.feed(&format!("create {flags} -f -"), manifest);
        assert!(!outcome.is_ok(), "{manifest}: {outcome:?}");
        outcome.stderr
    };
    let said = refused(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndatum: {a: b}\n",
        "",
    );
    assert!(said.contains("unknown field \"datum\""), "{said}");
    let warned = t.feed(
        "create --validate=warn -f -",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndatum: {a: b}\n",
    );
    assert!(
        warned.is_ok() && warned.stderr.contains("Warning: unknown field \"datum\""),
        "{warned:?}"
    );
    let said = refused(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name}\n",
        "",
    );
    assert!(said.contains("The ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain must consist of"), "{said}");
    let said = refused(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: []}\n",
        "",
    );
    assert!(said.contains("spec.containers: Required value"), "{said}");
    let said = refused(
        "apiVersion: v1\nkind: Sail\nmetadata: {name: x}\n",
        "--validate=false",
    );
    assert!(
        said.contains("no matches for kind \"Sail\" in version \"v1\""),
        "{said}"
    );
    let said = refused(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {replicas: three, selector: {}, template: {}}\n",
        "--validate=false",
    );
    assert!(said.contains("replicas"), "{said}");
    let said = refused("{", "");
    assert!(said.contains("error"), "{said}");
    assert!(
        t.fails("get pod absent")
            .contains("Error from server (NotFound): pods \"absent\" not found")
    );
    assert!(
        t.fails("get sails")
            .contains("the server doesn't have a resource type \"sails\"")
    );
    t.ok("create configmap twice --from-literal=a=b");
    assert!(
        t.fails("create configmap twice")
            .contains("configmaps \"twice\" already exists")
    );
    t.pod("fixed", SLEEPER);
    let said = t.fails(r#"patch pod fixed -p '{"spec": {"nodeName": "elsewhere"}}'"#);
    assert!(
        said.contains("The Pod \"fixed\" is invalid: spec"),
        "{said}"
    );
    let said = t.fails("get pods --field-selector=spec.colour=blue");
    assert!(
        said.contains("field label not supported: spec.colour"),
        "{said}"
    );
    let stale = r#"replace -f -"#;
    let outcome = t.feed(
        stale,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: twice, resourceVersion: '1'}\n",
    );
    assert!(outcome.stderr.contains("the object has been modified; please apply your changes to the latest version and try again"), "{outcome:?}");
}

fn changes_are_watched(t: &Scope) {
    let mut watcher = t.spawn("get configmaps --watch-only --output-watch-events -o name");
    let mut output = std::io::BufReader::new(watcher.stdout.take().expect("its output"));
    let mut lines = Vec::new();
    // The watch has begun when it shows the first of many changes.
    let seen = std::thread::spawn(move || {
        let mut text = String::new();
        while !text.contains("last") {
            let mut line = String::new();
            if std::io::BufRead::read_line(&mut output, &mut line).unwrap_or(0) == 0 {
                break;
            }
            text.push_str(&line);
        }
        text
    });
    for n in 0..100 {
        if n > 0 && lines.len() > 3 {
            break;
        }
        t.ok(&format!("create configmap c{n}"));
        lines.push(n);
    }
    until("the watch has ended", || {
        t.run("create configmap last");
        t.run("delete configmap last");
        seen.is_finished()
    });
    let text = seen.join().expect("the watch");
    let _ = watcher.kill();
    let _ = watcher.wait();
    assert!(text.contains("configmap/last"), "{text}");
    let waited = t.spawn("wait --for=create configmap/awaited --timeout=30s");
    t.ok("create configmap awaited");
    assert!(waited.wait_with_output().expect("kubectl").status.success());
}

fn columns_are_those_of_the_real_thing(t: &Scope) {
    t.ok("create deployment web --image=nginx:1.22");
    t.ok("rollout status deployment/web --timeout=60s");
    t.ok("expose deployment web --port=80");
    t.ok("create secret generic keys --from-literal=a=b");
    for (what, columns) in [
        ("pods", "NAME READY STATUS RESTARTS AGE"),
        (
            "pods -o wide",
            "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED_NODE READINESS_GATES",
        ),
        ("deployments", "NAME READY UP-TO-DATE AVAILABLE AGE"),
        (
            "deployments -o wide",
            "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR",
        ),
        ("replicasets", "NAME DESIRED CURRENT READY AGE"),
        ("services", "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE"),
        ("endpoints", "NAME ENDPOINTS AGE"),
        ("endpointslices", "NAME ADDRESSTYPE PORTS ENDPOINTS AGE"),
        ("configmaps", "NAME DATA AGE"),
        ("secrets", "NAME TYPE DATA AGE"),
        ("serviceaccounts", "NAME SECRETS AGE"),
        ("namespaces", "NAME STATUS AGE"),
        ("nodes", "NAME STATUS ROLES AGE VERSION"),
        (
            "nodes -o wide",
            "NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION CONTAINER-RUNTIME",
        ),
        ("events", "LAST_SEEN TYPE REASON OBJECT MESSAGE"),
        ("leases -n kube-node-lease", "NAME HOLDER AGE"),
        ("clusterroles", "NAME CREATED_AT"),
        ("clusterrolebindings", "NAME ROLE AGE"),
        (
            "priorityclasses",
            "NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY",
        ),
        ("controllerrevisions -A", ""),
        ("servicecidrs", "NAME CIDRS AGE"),
        ("ipaddresses", "NAME PARENTREF AGE"),
    ] {
        let text = t.ok(&format!("get {what}"));
        let found: Vec<String> = header(&text)
            .iter()
            .map(|word| word.replace(' ', "_"))
            .collect();
        assert_eq!(found.join(" "), columns, "{what}");
    }
    let row = t.ok("get pods --no-headers");
    assert_eq!(
        row.split_whitespace().skip(1).take(3).collect::<Vec<_>>(),
        ["1/1", "Running", "0"]
    );
    let all = t.ok("get all");
    for part in [
        "pod/web-",
        "service/web",
        "deployment.apps/web",
        "replicaset.apps/web-",
    ] {
        assert!(all.contains(part), "{all}");
    }
    let custom = t.ok("get pods -o custom-columns=POD:.metadata.name,PHASE:.status.phase");
    assert_eq!(header(&custom), ["POD", "PHASE"]);
    let labels = t.ok("get pods --show-labels -L app");
    assert!(
        labels.contains("LABELS") && labels.contains("pod-template-hash="),
        "{labels}"
    );
}

fn commands_run_in_containers(t: &Scope) {
    t.ready_pod(
        "shell",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        - {name: side, image: nginx:1.22}
        ",
    );
    assert_eq!(t.ok("exec shell -c main -- echo hello"), "hello\n");
    assert!(t.ok("exec shell -c side -- ps").contains("nginx"));
    let failed = t.run("exec shell -c main -- sh -c 'echo oops >&2; exit 42'");
    assert_eq!(failed.code, Some(42), "{failed:?}");
    assert!(failed.stderr.starts_with("oops\n"), "{failed:?}");
    let fed = t.feed("exec -i shell -c main -- wc -c", &"x".repeat(300_000));
    assert_eq!(fed.stdout.trim(), "300000", "{fed:?}");
    let much = t.ok("exec shell -c main -- sh -c 'yes | head -c 2000000'");
    assert_eq!(much.len(), 2_000_000);
    let absent = t.run("exec shell -c main -- no-such-program");
    assert!(
        !absent.is_ok() && absent.stderr.contains("no-such-program"),
        "{absent:?}"
    );
    assert!(t.fails("exec shell -c nobody -- true").contains("nobody"));
    assert!(
        t.fails("exec absent -- true")
            .contains("pods \"absent\" not found")
    );
    t.ok("cp /etc/hostname shell:/tmp/copied -c main");
    let here = std::fs::read_to_string("/etc/hostname").expect("a name");
    assert_eq!(t.ok("exec shell -c main -- cat /tmp/copied"), here);
    // A terminal, which `script` gives to kubectl.
    let kubectl = t.command("exec -it shell -c main -- sh -c 'tty; until stty size 2>/dev/null | grep -v ^0; do usleep 100000; done'");
    // The size comes by another channel and perhaps after the shell has begun.
    let mut line = vec![kubectl.get_program().to_string_lossy().into_owned()];
    line.extend(
        kubectl
            .get_args()
            .map(|word| format!("'{}'", word.to_string_lossy())),
    );
    let mut script = std::process::Command::new("script");
    script
        .args([
            "-qec",
            &format!("stty rows 33 cols 77; {}", line.join(" ")),
            "/dev/null",
        ])
        .env("KUBECONFIG", t.cluster.kubeconfig());
    let said = e2e::Outcome::of(&mut script).stdout;
    assert!(said.contains("/dev/pts/0"), "{said}");
    assert!(said.contains("33 77"), "{said}");
}

fn descriptions_tell_the_story(t: &Scope) {
    t.ok("create deployment web --image=nginx:1.22 --replicas=2");
    t.ok("rollout status deployment/web --timeout=60s");
    t.ok("expose deployment web --port=80");
    let said = t.ok("describe deployment web");
    for part in [
        "Replicas:               2 desired | 2 updated | 2 total | 2 available | 0 unavailable",
        "NewReplicaSet:   web-",
        "ScalingReplicaSet",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    let said = t.ok("describe pods -l app=web");
    for part in [
        "Controlled By:  ReplicaSet/web-",
        "QoS Class:                   BestEffort",
        "Successfully assigned",
        "Image:          nginx:1.22",
        "kube-api-access-",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    e2e::patiently(
        "endpoints",
        || t.ok("describe service web"),
        |said| said.contains(":80,"),
    );
    let said = t.ok(&format!("describe node {}", t.cluster.node()));
    for part in [
        "Non-terminated Pods:",
        "Allocated resources:",
        "KubeletReady",
        "PodCIDR:",
        "web-",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    t.ok("create secret generic keys --from-literal=word=xyzzy");
    let said = t.ok("describe secret keys");
    assert!(
        said.contains("word:  5 bytes") && !said.contains("xyzzy"),
        "{said}"
    );
    for what in [
        "namespace default",
        "serviceaccount default",
        "configmap kube-root-ca.crt",
        "clusterrole view",
        "replicaset",
        "endpointslices",
        "events",
    ] {
        t.ok(&format!("describe {what}"));
    }
}

fn discovery_is_complete(t: &Scope) {
    let resources = t.ok("api-resources");
    for row in [
        "pods                                po           v1                                     true         Pod",
        "deployments                         deploy       apps/v1",
    ] {
        let words: Vec<&str> = row.split_whitespace().collect();
        let found = resources.lines().any(|line| {
            line.split_whitespace()
                .collect::<Vec<_>>()
                .starts_with(&words)
        });
        assert!(found, "{row:?} is not in {resources}");
    }
    let versions = t.ok("api-versions");
    for version in [
        "apps/v1",
        "v1",
        "rbac.authorization.k8s.io/v1",
        "coordination.k8s.io/v1",
        "discovery.k8s.io/v1",
        "events.k8s.io/v1",
    ] {
        assert!(
            versions.lines().any(|line| line == version),
            "{version} is not in {versions}"
        );
    }
    assert!(
        t.ok("explain deployment.spec.strategy")
            .contains("rollingUpdate")
    );
    assert!(
        t.ok("explain pods --recursive")
            .contains("terminationGracePeriodSeconds")
    );
    assert!(t.ok("cluster-info").contains("is running at"));
    assert_eq!(t.ok("get --raw /healthz"), "ok");
    assert!(
        t.ok("get --raw /readyz?verbose")
            .contains("readyz check passed")
    );
    assert!(
        t.ok("get --raw /metrics")
            .contains("apiserver_request_total")
    );
    let version: Value = serde_json::from_str(&t.ok("get --raw /version")).expect("JSON");
    assert_eq!(version["minor"], "37");
    assert_eq!(t.ok("auth can-i create pods").trim(), "yes");
    assert!(t.ok("auth can-i --list").contains("*.*"));
    assert!(t.ok("auth whoami").contains("system:masters"));
}

fn edits_and_patches_arrive(t: &Scope) {
    t.ok("create deployment app --image=busybox:1.35 --replicas=0");
    let edited = with(
        t,
        "KUBE_EDITOR",
        "sed -i s/replicas:.0/replicas:\\ 1/",
        "edit deployment app",
    );
    assert!(
        edited.stdout.contains("deployment.apps/app edited"),
        "{edited:?}"
    );
    assert_eq!(t.field("deployment app", "{.spec.replicas}"), "1");
    t.ok(r#"patch deployment app -p '{"spec": {"replicas": 0, "template": {"spec": {"containers": [{"name": "busybox", "env": [{"name": "A", "value": "1"}]}]}}}}'"#);
    assert_eq!(
        t.field(
            "deployment app",
            "{.spec.template.spec.containers[0].image}"
        ),
        "busybox:1.35"
    );
    t.ok(r#"patch deployment app --type=json -p '[{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": {"name": "B", "value": "2"}}]'"#);
    t.ok(r#"patch deployment app --type=merge -p '{"metadata": {"annotations": {"note": "x"}}}'"#);
    assert_eq!(
        t.field(
            "deployment app",
            "{.spec.template.spec.containers[0].env[*].name}"
        ),
        "A B"
    );
    let said = t.fails(r#"patch deployment app --type=json -p '[{"op": "test", "path": "/spec/replicas", "value": 7}]'"#);
    assert!(
        said.contains("Error from server") || said.contains("testing"),
        "{said}"
    );
    t.ok("set image deployment/app busybox=busybox:2");
    t.ok("set env deployment/app B- C=3");
    t.ok("set resources deployment app --limits=memory=64Mi");
    t.ok("set serviceaccount deployment app default");
    let container = &t.get("deployment app")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "busybox:2");
    assert_eq!(container["resources"]["limits"]["memory"], "64Mi");
    t.ok("label deployment app tier=deck");
    assert!(
        t.fails("label deployment app tier=hold")
            .contains("already has a value")
    );
    t.ok("label deployment app tier=hold --overwrite");
    t.ok("label deployment app tier-");
    t.ok("annotate deployment app note-");
    assert_eq!(
        t.field("deployment app", "{.metadata.labels}"),
        "{\"app\":\"app\"}"
    );
    let whole = t.ok("get deployment app -o yaml");
    assert!(t.feed("replace -f -", &whole).is_ok());
    assert!(t.feed("replace --force -f -", &whole).is_ok());
}

fn generators_make_objects(t: &Scope) {
    t.ok("run web --image=nginx:1.22 --labels=app=web,tier=front --env=A=B --port=80");
    t.wait_ready("web");
    t.ok("expose pod web --name=front --port=8080 --target-port=80 --type=NodePort");
    assert_eq!(
        t.field("service front", "{.spec.selector}"),
        "{\"app\":\"web\",\"tier\":\"front\"}"
    );
    let said =
        t.run("run once --image=busybox:1.35 --restart=Never --attach --quiet -- echo hello");
    if said.is_ok() {
        assert_eq!(said.stdout, "hello\n");
    }
    t.ok("create deployment app --image=busybox:1.35 --replicas=0 --dry-run=server -o yaml");
    assert!(t.fails("get deployment app").contains("NotFound"));
    t.ok("create secret docker-registry hub --docker-username=u --docker-password=p");
    assert_eq!(
        t.field("secret hub", "{.type}"),
        "kubernetes.io/dockerconfigjson"
    );
    t.ok("create configmap files --from-file=/etc/hostname --from-literal=a=b");
    t.ok("create role r --verb=get --resource=pods");
    t.ok("create rolebinding b --role=r --user=somebody");
    t.ok("create priorityclass generators --value=7");
    t.ok("delete priorityclass generators");
    t.ok("create clusterrole generators --verb=get --non-resource-url=/logs");
    t.ok("delete clusterrole generators");
    assert_eq!(t.ok("auth can-i get pods --as=somebody").trim(), "yes");
    assert!(t.ok("create token default").contains('.'));
    let forward = t.ok("get configmap files -o jsonpath='{.data.a}'");
    assert_eq!(forward, "b");
    let template = t.ok("get configmap files -o go-template='{{.data.a}}'");
    assert_eq!(template, "b");
}

fn lists_are_selected_and_sorted(t: &Scope) {
    for (name, tier) in [("c", "deck"), ("a", "hold"), ("b", "deck")] {
        t.ok(&format!("create configmap {name} --from-literal=a={tier}"));
        t.ok(&format!("label configmap {name} tier={tier}"));
    }
    let names = |arguments: &str| {
        let text = t.ok(&format!("get configmaps -o name {arguments}"));
        let names = text
            .lines()
            .filter_map(|line| line.strip_prefix("configmap/"))
            .filter(|name| name.len() == 1);
        names.map(String::from).collect::<Vec<_>>().join("")
    };
    assert_eq!(names(""), "abc");
    assert_eq!(names("-l tier=deck"), "bc");
    assert_eq!(names("-l 'tier in (hold),tier'"), "a");
    assert_eq!(names("-l '!tier'"), "");
    assert_eq!(names("-l tier!=hold"), "bc");
    assert_eq!(names("--field-selector=metadata.name=b"), "b");
    assert_eq!(names("--field-selector=metadata.name!=b"), "ac");
    assert_eq!(names("--sort-by=.data.a -l tier"), "bca");
    assert_eq!(names("--chunk-size=1"), "abc");
    t.pod("held", &format!("nodeSelector: {{no: where}}\n{SLEEPER}"));
    until("it is pending", || {
        t.ok("get pods -o name --field-selector=status.phase=Pending") == "pod/held\n"
    });
    assert_eq!(
        t.ok("get pods -o name --field-selector=spec.nodeName=x"),
        ""
    );
    let everywhere = t.ok("get configmaps -A --no-headers");
    assert!(everywhere.lines().count() > 6, "{everywhere}");
    assert!(
        t.run("get pods -l none=such")
            .stderr
            .contains("No resources found")
    );
}

fn logs_are_shown_as_asked(t: &Scope) {
    t.pod(
        "talker",
        "
        restartPolicy: Never
        containers:
        - {name: main, image: busybox:1.35, command: [sh, -c, 'for i in 1 2 3 4 5; do echo line $i; done; echo problem >&2']}
        - {name: side, image: busybox:1.35, command: [sh, -c, 'printf unfinished']}
        ",
    );
    t.wait_field("pod talker", "{.status.phase}", "Succeeded");
    assert_eq!(
        t.ok("logs talker -c main"),
        "line 1\nline 2\nline 3\nline 4\nline 5\nproblem\n"
    );
    assert_eq!(t.ok("logs talker -c main --tail=2"), "line 5\nproblem\n");
    assert_eq!(t.ok("logs talker -c main --limit-bytes=6"), "line 1");
    assert_eq!(t.ok("logs talker -c side"), "unfinished");
    let stamped = t.ok("logs talker -c main --timestamps --tail=1");
    assert!(
        stamped.starts_with("20") && stamped.contains("Z problem"),
        "{stamped}"
    );
    assert_eq!(t.ok("logs talker -c main --since=1h --tail=1"), "problem\n");
    assert_eq!(
        t.ok("logs talker -c main --since-time=2100-01-01T00:00:00Z"),
        ""
    );
    let both = t.ok("logs talker --all-containers --prefix");
    assert!(both.contains("[pod/talker/side] unfinished"), "{both}");
    assert!(
        t.fails("logs talker -c nobody")
            .contains("container nobody is not valid for pod talker")
    );
    assert!(
        t.fails("logs talker -c main --previous")
            .contains("previous terminated container \"main\" in pod \"talker\" not found")
    );
    t.pod(
        "runner",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sh, -c, 'i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.2; done']}
        ",
    );
    t.wait_ready("runner");
    let mut follower = t.spawn("logs -f runner --tail=1");
    let mut output = follower.stdout.take().expect("its output");
    let mut text = String::new();
    while text.matches("tick").count() < 4 {
        let mut bytes = [0; 100];
        let count = output.read(&mut bytes).expect("lines");
        assert_ne!(count, 0, "the log ended: {text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    t.ok("delete pod runner --wait=false");
    output
        .read_to_string(&mut text)
        .expect("the end of the log");
    assert!(follower.wait().expect("kubectl ends").success());
}

fn server_side_apply_sees_conflicts(t: &Scope) {
    let manifest = |colour: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: owned}}\ndata: {{colour: {colour}}}\n"
        )
    };
    let apply = |manager: &str, colour: &str, more: &str| {
        t.feed(
            &format!("apply --server-side --field-manager={manager} {more} -f -"),
            &manifest(colour),
        )
    };
    assert!(
        apply("one", "blue", "")
            .stdout
            .contains("configmap/owned serverside-applied")
    );
    let conflict = apply("two", "red", "");
    assert!(
        conflict
            .stderr
            .contains("Apply failed with 1 conflict: conflict with \"one\": .data.colour"),
        "{conflict:?}"
    );
    assert_eq!(t.field("configmap owned", "{.data.colour}"), "blue");
    assert!(apply("two", "red", "--force-conflicts").is_ok());
    assert_eq!(t.field("configmap owned", "{.data.colour}"), "red");
    let fields = t.ok("get configmap owned -o yaml --show-managed-fields");
    assert!(
        fields.contains("manager: two") && fields.contains("f:colour: {}"),
        "{fields}"
    );
    // What a manager no longer names goes, when nobody else names it.
    assert!(
        t.feed(
            "apply --server-side --field-manager=two -f -",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owned}\n"
        )
        .is_ok()
    );
    e2e::patiently(
        "the field",
        || t.field("configmap owned", "{.data}"),
        |data| data.is_empty() || data.contains("colour"),
    );
    t.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: client}\ndata: {a: b}\n");
    let migrated = t.feed(
        "apply --server-side -f -",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: client}\ndata: {a: c}\n",
    );
    assert!(migrated.is_ok(), "{migrated:?}");
}

fn things_are_deleted_as_asked(t: &Scope) {
    for name in ["one", "two", "three"] {
        t.pod(name, SLEEPER);
    }
    t.ok("wait --for=condition=Ready pod --all --timeout=60s");
    t.ok("delete pod one --now");
    let said = t.run("delete pod two --force --grace-period=0");
    assert!(
        said.stderr
            .contains("Warning: Immediate deletion does not wait"),
        "{said:?}"
    );
    assert!(t.ok("delete pods --all").contains("pod \"three\" deleted"));
    assert_eq!(t.ok("get pods -o name"), "");
    assert!(t.fails("delete pod absent").contains("NotFound"));
    t.ok("delete pod absent --ignore-not-found");
    t.apply(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.com/hold]}\n",
    );
    t.ok("delete configmap held --wait=false");
    assert_ne!(
        t.field("configmap held", "{.metadata.deletionTimestamp}"),
        ""
    );
    t.ok(r#"patch configmap held --type=json -p '[{"op": "remove", "path": "/metadata/finalizers"}]'"#);
    t.wait_gone("configmap held");
    for name in ["x", "y"] {
        t.ok(&format!("create configmap {name}"));
        t.ok(&format!("label configmap {name} set=gone"));
    }
    t.ok("delete configmaps -l set=gone");
    assert_eq!(t.ok("get configmaps -o name -l set=gone"), "");
}
