//! Who comes in by a token that lies in a Secret, what a node says of itself,
//! and what the server says of all this in its log.

use e2e::{Options, Outcome, Scope, eventually, suite, until, with_cluster};
use serde_json::Value;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    suite(
        &[
            ("bootstrap_tokens_come_and_go", bootstrap_tokens_come_and_go),
            ("tokens_in_secrets_are_filled", tokens_in_secrets_are_filled),
            ("the_node_says_what_it_is", the_node_says_what_it_is),
            ("the_log_is_klogs", the_log_is_klogs),
            ("commands_explain_themselves", commands_explain_themselves),
        ],
        &[("a_log_file_keeps_objects", a_log_file_keeps_objects)],
    )
}

/// `tiphys token` against the cluster.
fn token(t: &Scope, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(e2e::tiphys());
    command.arg("token").args(arguments);
    Outcome::of(command.env("KUBECONFIG", t.cluster.kubeconfig()))
}

#[track_caller]
fn token_ok(t: &Scope, arguments: &[&str]) -> String {
    let outcome = token(t, arguments);
    assert!(outcome.is_ok(), "{arguments:?} {outcome:?}");
    outcome.stdout
}

/// Who somebody with a token is: the name and the groups.
fn whoami(t: &Scope, token: &str) -> Result<(String, Vec<String>), String> {
    let outcome = t.run(&format!(
        "auth whoami -o json --kubeconfig=/dev/null --server=https://127.0.0.1:{} --insecure-skip-tls-verify --token={token}",
        t.cluster.https_port()
    ));
    if !outcome.is_ok() {
        return Err(outcome.text());
    }
    let review: Value = serde_json::from_str(&outcome.stdout).expect("JSON of kubectl");
    let user = &review["status"]["userInfo"];
    let groups = user["groups"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    Ok((text(&user["username"]), groups.map(text).collect()))
}

fn bootstrap_tokens_come_and_go(t: &Scope) {
    let made = token_ok(t, &["create", "--description", "for a test"]);
    let made = made.trim();
    let (id, _) = made.split_once('.').expect("a point");
    let (name, groups) = whoami(t, made).expect("the token holds");
    assert_eq!(name, format!("system:bootstrap:{id}"));
    let expected = [
        "system:bootstrappers",
        "system:bootstrappers:tiphys:default-node-token",
        "system:authenticated",
    ];
    assert_eq!(groups, expected);
    let list = token_ok(t, &["ls"]);
    let row = list
        .lines()
        .find(|line| line.starts_with(made))
        .expect("its row");
    assert!(
        row.contains("authentication,signing") && row.contains("for a test"),
        "{list}"
    );
    assert!(list.starts_with("TOKEN "), "{list}");
    let objects: Value = serde_json::from_str(&token_ok(t, &["list", "-o", "json"])).expect("JSON");
    let found = objects
        .as_array()
        .into_iter()
        .flatten()
        .find(|o| o["token"] == made);
    assert_eq!(found.expect("its object")["description"], "for a test");
    let again = token(t, &["create", made]);
    assert_eq!(
        again.stderr,
        format!("error: a token with id {id:?} already exists\n")
    );
    let removed = token_ok(t, &["rm", id]);
    assert_eq!(removed, format!("bootstrap token {id:?} deleted\n"));
    let refused = whoami(t, made).expect_err("the token is gone");
    assert!(refused.contains("Unauthorized"), "{refused}");
    // What is not for authentication is no way in.
    let signing = token_ok(t, &["create", "--usages", "signing", "--ttl", "0"]);
    assert!(whoami(t, signing.trim()).is_err());
    token_ok(t, &["delete", signing.trim()]);
    // One whose time is over goes by itself.
    let short = token_ok(t, &["create", "--ttl", "1s"]);
    let (id, _) = short.split_once('.').expect("a point");
    until("a token ends at its time", || {
        let secret = format!("get secret bootstrap-token-{id} --namespace kube-system");
        t.run(&secret).stderr.contains("NotFound")
    });
    let generated = token_ok(t, &["generate"]);
    assert!(whoami(t, generated.trim()).is_err());
}

fn secret_of(account: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, \
         metadata: {{name: {account}-token, annotations: {{kubernetes.io/service-account.name: {account}}}}}}}"
    )
}

fn tokens_in_secrets_are_filled(t: &Scope) {
    t.ok("create serviceaccount robot");
    t.apply(&secret_of("robot"));
    let token = eventually("the token is there", || {
        let encoded = t.field("secret robot-token", "{.data.token}");
        let outcome = t.run("get secret robot-token -o go-template={{.data.token|base64decode}}");
        (!encoded.is_empty() && outcome.is_ok()).then_some(outcome.stdout)
    });
    let data = t.ok("get secret robot-token -o go-template={{.data.namespace|base64decode}}");
    assert_eq!(data, t.namespace);
    let ca =
        t.ok(r#"get secret robot-token -o go-template='{{index .data "ca.crt"|base64decode}}'"#);
    assert!(ca.starts_with("-----BEGIN CERTIFICATE-----"), "{ca}");
    let uid = t.field("serviceaccount robot", "{.metadata.uid}");
    let noted = r"{.metadata.annotations.kubernetes\.io/service-account\.uid}";
    assert_eq!(t.field("secret robot-token", noted), uid);
    let (name, groups) = whoami(t, &token).expect("the token holds");
    assert_eq!(name, format!("system:serviceaccount:{}:robot", t.namespace));
    assert!(
        groups.contains(&"system:serviceaccounts".to_string()),
        "{groups:?}"
    );
    let used = r"{.metadata.labels.kubernetes\.io/legacy-token-last-used}";
    assert_eq!(
        t.field("secret robot-token", used).len(),
        "2026-11-30".len()
    );
    let described = t.ok("describe serviceaccount robot");
    assert!(described.contains("robot-token"), "{described}");
    t.ok("label secret robot-token kubernetes.io/legacy-token-invalid-since=2026-11-30");
    assert!(whoami(t, &token).is_err());
    t.ok("label secret robot-token kubernetes.io/legacy-token-invalid-since-");
    assert!(whoami(t, &token).is_ok());
    t.ok("delete serviceaccount robot");
    t.wait_gone("secret robot-token");
    assert!(whoami(t, &token).is_err());
    t.apply(&secret_of("nobody"));
    t.wait_gone("secret nobody-token");
}

fn the_node_says_what_it_is(t: &Scope) {
    let node = t.cluster.node();
    let row = eventually("the node has its role", || {
        let shown = t.ok(&format!("get node {node} --no-headers -o wide"));
        let words: Vec<String> = shown.split_whitespace().map(String::from).collect();
        (words[2] == "control-plane").then_some(words)
    });
    assert_eq!((row[0].as_str(), row[1].as_str()), (node.as_str(), "Ready"));
    assert!(row[4].starts_with("v1.37."), "{row:?}");
    let object = t.get(&format!("node {node}"));
    let labels = &object["metadata"]["labels"];
    for (label, value) in [
        ("node-role.kubernetes.io/control-plane", "true"),
        ("kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/hostname", &node),
        ("node.kubernetes.io/instance-type", "tiphys"),
        ("beta.kubernetes.io/instance-type", "tiphys"),
    ] {
        assert_eq!(labels[label], value, "{labels}");
    }
    assert!(
        ["amd64", "arm64"].contains(&labels["kubernetes.io/arch"].as_str().unwrap_or_default())
    );
    let annotations = &object["metadata"]["annotations"];
    assert_eq!(annotations["tiphys.io/hostname"], node.as_str());
    let arguments = annotations["tiphys.io/node-args"]
        .as_str()
        .unwrap_or_default();
    let arguments: Vec<String> = serde_json::from_str(arguments).expect("a list of arguments");
    assert_eq!(arguments[0], "server");
    let info = &object["status"]["nodeInfo"];
    for key in [
        "kubeletVersion",
        "kernelVersion",
        "osImage",
        "containerRuntimeVersion",
        "machineID",
    ] {
        assert!(
            !info[key].as_str().unwrap_or_default().is_empty(),
            "{key}: {info}"
        );
    }
}

/// `I1130 19:22:48.123456   12345 file.rs:12] "message" …`
fn is_klogs(line: &str) -> bool {
    let Some((header, message)) = line.split_once("] \"") else {
        return false;
    };
    let words: Vec<&str> = header.split_whitespace().collect();
    let [day, time, process, place] = words[..] else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_place = place
        .rsplit_once(':')
        .is_some_and(|(file, line)| file.ends_with(".rs") && digits(line));
    day.len() == 5
        && ["I", "W", "E"].contains(&&day[..1])
        && digits(&day[1..])
        && time.len() == "19:22:48.123456".len()
        && digits(process)
        && is_place
        && message.contains('"')
}

fn the_log_is_klogs(t: &Scope) {
    let log = t.cluster.log();
    let ready = log
        .lines()
        .find(|line| line.contains("] \"tiphys is ready\" "));
    assert!(ready.is_some_and(is_klogs), "{log}");
    let odd: Vec<&str> = log
        .lines()
        .filter(|line| !line.starts_with(['\t', ' ']) && !is_klogs(line))
        .collect();
    assert!(odd.is_empty(), "{odd:#?}");
}

fn a_log_file_keeps_objects() {
    let folder = std::env::temp_dir().join(format!("tiphys-log-{}", std::process::id()));
    let file = folder.join("server.log");
    let options = Options {
        arguments: vec![
            "--logging-format=json".into(),
            format!("--log={}", file.display()),
            "--vmodule=manager=4".into(),
        ],
        without_images: true,
    };
    with_cluster(options, |cluster| {
        assert_eq!(cluster.log(), "");
        let text = std::fs::read_to_string(&file).expect("the log");
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
            .collect();
        let ready = lines
            .iter()
            .find(|line| line["msg"] == "tiphys is ready")
            .expect("that it is ready");
        assert!(
            ready["ts"].as_f64().is_some_and(|ts| ts > 1.7e12),
            "{ready}"
        );
        assert_eq!(ready["v"], 0);
        let caller = ready["caller"].as_str().unwrap_or_default();
        assert!(caller.starts_with("roles/server.rs:"), "{ready}");
        // One file says more than the others.
        let more: Vec<&Value> = lines.iter().filter(|line| line["v"] == 4).collect();
        let is_manager = |line: &&Value| {
            let caller = line["caller"].as_str().unwrap_or_default();
            caller.starts_with("controllers/manager.rs:")
        };
        assert!(!more.is_empty() && more.iter().all(is_manager), "{more:#?}");
    });
    std::fs::remove_dir_all(&folder).expect("remove the log");
}

fn commands_explain_themselves(t: &Scope) {
    let help = |arguments: &[&str]| {
        let mut command = Command::new(e2e::tiphys());
        let outcome = Outcome::of(command.args(arguments).arg("--help"));
        assert!(outcome.is_ok(), "{arguments:?} {outcome:?}");
        outcome.stdout
    };
    let all = help(&[]);
    let commands = all
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    let mut seen = 0;
    for line in commands {
        let mut words = line.split_whitespace();
        let name = words.next().expect("a name");
        assert!(words.next().is_some(), "{name} says nothing of itself");
        if !["help", "kubectl"].contains(&name) {
            let text = help(&[name]);
            assert!(text.contains("Usage: tiphys"), "{text}");
            seen += 1;
        }
    }
    assert!(seen >= 10, "{all}");
    let create = help(&["token", "create"]);
    let words: Vec<&str> = create.split_whitespace().collect();
    assert!(words.join(" ").contains("[default: 24h0m0s]"), "{create}");
    // An unknown word is said to be one.
    let odd = token(t, &["crate"]);
    assert_eq!(odd.code, Some(2), "{odd:?}");
}
