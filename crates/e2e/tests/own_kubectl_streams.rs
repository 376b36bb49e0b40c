//! The streams of our own kubectl beside those of a stock one, on the same cluster: exec, attach,
//! run, cp, port-forward, debug and proxy.
//!
//! What differs on purpose, since the stock program is older than the API level:
//! - sessions begin with a warning that they are recorded, and can be left by keys;
//! - a container that does not exist is refused before the server is asked;
//! - `debug` has another default profile, so that profiles are named here, and a node's pod has a
//!   label;
//! - some complaints of `run` are shorter, and `run --expose` makes the pod before the service.

use e2e::{Folder, Kubectl, Outcome, Scope, Terminal, eventually, own, suite, until};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ExitCode, Stdio};

fn main() -> ExitCode {
    suite(
        &[
            ("apis_are_proxied", apis_are_proxied),
            ("clients_that_are_killed", clients_that_are_killed),
            ("commands_are_executed_alike", commands_are_executed_alike),
            (
                "containers_are_attached_alike",
                containers_are_attached_alike,
            ),
            ("debuggers_are_made_alike", debuggers_are_made_alike),
            ("files_are_copied_alike", files_are_copied_alike),
            ("pods_are_run_attached", pods_are_run_attached),
            ("ports_are_forwarded_alike", ports_are_forwarded_alike),
            ("sessions_have_a_terminal", sessions_have_a_terminal),
        ],
        &[],
    )
}

const SLEEPER: &str = "
containers:
- {name: main, image: 'busybox:1.35', command: [sleep, '3600']}
- {name: web, image: 'nginx:1.22', ports: [{containerPort: 80, name: http}]}
";

fn deployment(name: &str) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {{name: web, image: 'nginx:1.22', ports: [{{containerPort: 80, name: http}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: web, port: 8080, targetPort: http}}]}}
"
    )
}

/// What a program says, without what only the newer one says.
fn plain(outcome: &Outcome) -> (Option<i32>, String, String) {
    let is_new = |line: &&str| {
        !line.starts_with("All commands and output from this session will be recorded")
    };
    let lines = outcome.stderr.lines().filter(is_new);
    let stderr = lines.collect::<Vec<_>>().join("\n");
    (outcome.code, outcome.stdout.clone(), stderr)
}

#[track_caller]
fn same(stock: &Kubectl, own: &Kubectl, arguments: &str) {
    let (theirs, ours) = (stock.run(arguments), own.run(arguments));
    assert_eq!(plain(&ours), plain(&theirs), "kubectl {arguments}");
}

/// Runs it with bytes to read.
fn feed(kubectl: &Kubectl, arguments: &str, input: &[u8]) -> Outcome {
    let mut child = kubectl.spawn(arguments);
    let mut stdin = child.stdin.take().expect("standard input");
    std::thread::scope(|scope| {
        // A program that ends early does not read to the end.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("wait for kubectl").into()
    })
}

/// Bytes of every value, which no text has.
fn binary(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn commands_are_executed_alike(t: &Scope) {
    let (_folder, own) = own(t, "exec");
    t.apply(&deployment("web"));
    t.ready_pod("pod", SLEEPER);
    t.pod(
        "done",
        "
        restartPolicy: Never
        containers:
        - {name: main, image: 'busybox:1.35', command: ['true']}
        ",
    );
    t.wait_field("pod done", "{.status.phase}", "Succeeded");
    t.ok("rollout status deployment/web --timeout=60s");
    for arguments in [
        "exec pod -- echo hello",
        "exec pod -c web -- sh -c 'echo out; echo err >&2; exit 7'",
        "exec -q pod -- sh -c 'exit 255'",
        "exec pod/pod -c main -- printf %s, a '' 'b c' --flag -x",
        "exec deploy/web -- echo from the deployment",
        "exec service/web -- echo from the service",
        "exec pod -c main -- sh -c 'kill -9 $$'",
        "exec pod -c main -- no-such-program",
        "exec -it pod -c main -- sh -c 'tty; echo'",
        "exec nothing -- true",
        "exec configmap/kube-root-ca.crt -- true",
        "exec done -- true",
        "exec pod",
        "exec pod --",
        "exec -- true",
        "exec pod date",
        "exec pod --pod-running-timeout=0s -- true",
        "exec pod -i -c main -- cat",
    ] {
        same(t, &own, arguments);
    }
    let input = binary(1 << 20);
    let sum = "exec -i pod -c main -- sha256sum";
    let (ours, theirs) = (feed(&own, sum, &input), feed(t, sum, &input));
    assert_eq!(plain(&ours), plain(&theirs));
    assert_eq!(ours.stdout.len(), "  -\n".len() + 64, "{ours:?}");
    let echoed = own
        .command("exec -i pod -c main -- head -c 1000000 /dev/urandom")
        .output()
        .expect("run our kubectl");
    assert_eq!(echoed.stdout.len(), 1_000_000);
    // What a command does not read is lost, and nothing else.
    let unread = feed(&own, "exec -i pod -c main -- echo done", &input);
    assert_eq!(unread.stdout, "done\n", "{unread:?}");
    let refused = own.fails("exec pod -c nobody -- true");
    assert_eq!(
        refused,
        "error: container nobody is not valid for pod pod out of: main, web\n"
    );
    let denied = "exec pod -c main --as=nobody -- true";
    same(t, &own, denied);
}

fn containers_are_attached_alike(t: &Scope) {
    let (_folder, own) = own(t, "attach");
    t.ready_pod(
        "echo",
        "
        containers:
        - {name: main, image: 'busybox:1.35', stdin: true, command: [sh, -c, 'while read line; do echo got $line; done']}
        ",
    );
    for (kubectl, word) in [(t as &Kubectl, "theirs"), (&own, "ours")] {
        let mut client = kubectl.spawn("attach -i echo");
        let mut stdin = client.stdin.take().expect("standard input");
        writeln!(stdin, "{word}").expect("a client that reads");
        let mut line = String::new();
        let stdout = client.stdout.as_mut().expect("standard output");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("a client that speaks");
        assert_eq!(line, format!("got {word}\n"));
        end(client);
    }
    for arguments in [
        "attach",
        "attach a b c",
        "attach nothing",
        "attach echo --pod-running-timeout=0s",
        "attach configmap/kube-root-ca.crt",
    ] {
        same(t, &own, arguments);
    }
    // The container ends when its input does, and the session with it.
    t.apply(&e2e::pod(
        "once",
        "
        restartPolicy: Never
        containers:
        - {name: main, image: 'busybox:1.35', stdin: true, stdinOnce: true, command: [sh, -c, 'read a; echo $a; exit 3']}
        ",
    ));
    t.wait_ready("once");
    let attached = feed(&own, "attach -i once", b"last words\n");
    assert_eq!(
        (attached.code, &*attached.stdout),
        (Some(0), "last words\n")
    );
    assert_eq!(
        attached.stderr.lines().last(),
        Some("If you don't see a command prompt, try pressing enter.")
    );
    t.wait_field("pod once", "{.status.phase}", "Failed");
    same(t, &own, "attach once");
}

fn sessions_have_a_terminal(t: &Scope) {
    let (_folder, own) = own(t, "terminal");
    t.ready_pod(
        "shell",
        "
        containers:
        - {name: main, image: 'busybox:1.35', stdin: true, tty: true, command: [sh]}
        ",
    );
    let mut terminal = Terminal::start(&own.command("exec -it shell -- sh"), 33, 77);
    terminal.enter("tty; until stty size | grep -v '^0'; do usleep 100000; done\r");
    terminal.expect("/dev/pts/");
    terminal.expect("33 77");
    assert!(!terminal.is_at_rest());
    terminal.resize(44, 88);
    terminal.enter("until stty size | grep 44; do usleep 100000; done\r");
    terminal.expect("\n44 88");
    // Ctrl-C is for the command at the other side, and so is the end of its input.
    terminal.enter("echo sle''ep; sleep 1000\r");
    terminal.expect("\nsleep");
    terminal.enter("\u{3}");
    terminal.expect("# ");
    terminal.enter("echo $((6 * 7)); exit 5\r");
    terminal.expect("\n42");
    assert_eq!(terminal.end().code(), Some(5), "{}", terminal.said());
    terminal.expect("command terminated with exit code 5");
    assert!(terminal.is_at_rest());

    let mut terminal = Terminal::start(&own.command("attach -it shell"), 24, 80);
    terminal.expect("If you don't see a command prompt, try pressing enter.");
    terminal.enter("echo $((2 * 3))$((7 * 8))\r");
    terminal.expect("656");
    terminal.enter("\u{10}\u{11}");
    terminal.expect("Session ended, resume using 'kubectl attach shell -c main -n ");
    assert_eq!(terminal.end().code(), Some(0), "{}", terminal.said());
    assert!(terminal.is_at_rest());
    // The shell goes on, and is found again.
    let mut terminal = Terminal::start(
        &own.command("attach -itq shell --detach-keys=ctrl-x,d"),
        24,
        80,
    );
    terminal.enter("echo $((3 * 37))\r");
    terminal.expect("111");
    terminal.enter("\u{18}d");
    assert_eq!(terminal.end().code(), Some(0), "{}", terminal.said());
    let refused = own.run("attach -it shell --detach-keys=ctrl-1");
    assert!(
        refused.stderr.contains("Unable to use a TTY"),
        "{refused:?}"
    );
    t.ok("get pod shell -o jsonpath={.status.phase}");
}

fn files_are_copied_alike(t: &Scope) {
    let (_own, own) = own(t, "cp");
    let folder = Folder::new("copied");
    t.ready_pod("pod", SLEEPER);
    let tree = folder.path().join("tree");
    std::fs::create_dir_all(tree.join("sub/empty")).expect("folders");
    std::fs::write(tree.join("sub/large"), binary(1 << 20)).expect("a file");
    std::fs::write(tree.join("a name of words"), "text").expect("a file");
    std::os::unix::fs::symlink("sub/large", tree.join("link")).expect("a link");
    let path = tree.display();
    for (kubectl, name) in [(t as &Kubectl, "theirs"), (&own, "ours")] {
        kubectl.ok(&format!("cp {path} pod:/tmp/{name} -c main"));
        kubectl.ok(&format!(
            "cp --no-preserve {path} {}/pod:/tmp -c main",
            t.namespace
        ));
        kubectl.ok("exec pod -c main -- mv /tmp/tree /tmp/unpreserved");
        let there = t.sh_ok(
            "pod",
            &format!("cd /tmp/{name} && find . | sort && sha256sum sub/large && readlink link && rm -r /tmp/unpreserved"),
        );
        assert!(
            there.contains("./sub/empty\n") && there.ends_with("sub/large\n"),
            "{there}"
        );
        let back = folder.path().join(name);
        let copied = kubectl.run(&format!(
            "cp pod:/tmp/{name} {} -c main --retries=2",
            back.display()
        ));
        assert!(copied.is_ok(), "{copied:#?}");
        let warning = format!(
            "warning: skipping symlink: \"{}/link\" -> \"sub/large\"",
            back.display()
        );
        assert!(copied.stderr.contains(&warning), "{copied:#?}");
        assert_eq!(
            std::fs::read(back.join("sub/large")).expect("a file"),
            binary(1 << 20)
        );
        assert_eq!(
            std::fs::read(back.join("a name of words")).expect("a file"),
            b"text"
        );
        assert!(back.join("sub/empty").is_dir());
    }
    std::fs::write(folder.path().join("file"), "one").expect("a file");
    let file = folder.path().join("file");
    let file = file.display();
    own.ok(&format!("cp {file} pod:/tmp/renamed -c main"));
    own.ok(&format!("cp {file} pod:/tmp/ours -c main"));
    assert_eq!(t.sh_ok("pod", "cat /tmp/renamed /tmp/ours/file"), "oneone");
    for arguments in [
        "cp".to_string(),
        "cp a b".into(),
        "cp pod:/a pod:/b".into(),
        "cp :/a b".into(),
        "cp a/b/pod:/a b".into(),
        "cp pod: b".into(),
        "cp /no/such/file pod:/tmp/x".into(),
        format!("cp {file} nothing:/tmp/x"),
        format!("cp {file} pod:/no/such/folder/x -c main"),
    ] {
        same(t, &own, &arguments);
    }
    let missing = own.run("cp pod:/no/such/file /tmp/never -c main");
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(
        missing
            .stderr
            .contains("command terminated with exit code 1"),
        "{missing:?}"
    );
    assert!(!Path::new("/tmp/never").exists());
}

fn end(mut client: Child) {
    let _ = client.kill();
    let _ = client.wait();
}

/// A program that serves, and goes with its owner.
struct Serving {
    program: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Serving {
    fn start(kubectl: &Kubectl, arguments: &str) -> Serving {
        let mut program = kubectl
            .command(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start kubectl");
        let stdout = program.stdout.take().expect("standard output");
        Serving {
            program,
            lines: BufReader::new(stdout),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim_end().to_string()
    }

    /// The port in a line that ends with `:PORT`, up to a blank.
    #[track_caller]
    fn port(&mut self) -> u16 {
        let line = self.line();
        let place = line.split(" -> ").next().unwrap_or_default();
        let port = place.rsplit(':').next().and_then(|port| port.parse().ok());
        port.unwrap_or_else(|| panic!("no port in {line:?}"))
    }

    /// Its exit code and complaints, once it has ended.
    #[track_caller]
    fn end(mut self) -> (Option<i32>, String) {
        let status = eventually("the end of kubectl", || {
            self.program.try_wait().expect("a program of ours")
        });
        let mut said = String::new();
        let mut stderr = self.program.stderr.take().expect("standard error");
        stderr.read_to_string(&mut said).expect("complaints");
        (status.code(), said)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // What has ended cannot be killed.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn get(port: u16, path: &str, more: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("the port");
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}Connection: close\r\n\r\n"
    )
    .expect("send");
    let mut said = String::new();
    socket.read_to_string(&mut said).expect("an answer");
    said
}

fn ports_are_forwarded_alike(t: &Scope) {
    let (_folder, own) = own(t, "forward");
    t.apply(&deployment("web"));
    t.ready_pod("pod", SLEEPER);
    t.ok("rollout status deployment/web --timeout=60s");
    for (target, port) in [
        ("pod", ":80"),
        ("pod/pod", ":http"),
        ("deploy/web", ":http"),
        ("svc/web", ":8080"),
        ("svc/web", ":web"),
    ] {
        let mut forwarding = Serving::start(
            &own,
            &format!("port-forward {target} {port} --address=127.0.0.1"),
        );
        let port = forwarding.port();
        for _ in 0..3 {
            let said = get(port, "/", "");
            assert!(said.starts_with("HTTP/1.1 200 OK"), "{target}: {said}");
        }
        assert_eq!(forwarding.line(), format!("Handling connection for {port}"));
    }
    let curl = || std::process::Command::new("curl");
    let mut forwarding = Serving::start(&own, "port-forward pod :80 0:80");
    let (first, _) = (forwarding.port(), forwarding.line());
    let second = forwarding.port();
    assert_ne!(first, second);
    for port in [first, second] {
        let page = curl()
            .args(["-s", &format!("http://127.0.0.1:{port}/")])
            .output();
        let page = String::from_utf8_lossy(&page.expect("run curl").stdout).into_owned();
        assert!(page.contains("nginx"), "{page}");
    }
    // A port that is taken, and one that nobody listens on in the pod.
    let taken = own.run(&format!("port-forward pod {first}:80 --address 127.0.0.1"));
    let theirs = t.run(&format!("port-forward pod {first}:80 --address 127.0.0.1"));
    assert_eq!(plain(&taken), plain(&theirs));
    drop(forwarding);
    let mut forwarding = Serving::start(&own, "port-forward pod :81");
    let mut refused = TcpStream::connect(("127.0.0.1", forwarding.port())).expect("the port");
    // It is closed, with or without an error.
    let _ = refused.read_to_end(&mut Vec::new());
    let (code, said) = forwarding.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("failed to connect to localhost:81 inside"),
        "{said}"
    );
    assert_eq!(said.lines().last(), Some("error: lost connection to pod"));
    for arguments in [
        "port-forward",
        "port-forward pod",
        "port-forward nothing 80",
        "port-forward pod x",
        "port-forward pod 70000",
        "port-forward pod 0:0",
        "port-forward pod 80 --address=web",
        "port-forward svc/web 90",
        "port-forward svc/web nothing",
        "port-forward configmap/kube-root-ca.crt 80",
    ] {
        same(t, &own, arguments);
    }
    // It ends with the keyboard's signal as if all were done.
    let forwarding = Serving::start(&own, "port-forward pod :80");
    let mut forwarding = forwarding;
    forwarding.port();
    let pid = rustix::process::Pid::from_child(&forwarding.program);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal");
    assert_eq!(forwarding.end().0, Some(0));
    ends_with_the_pod(t, &own);
}

/// A pod that is gone is found out with the next connection.
fn ends_with_the_pod(t: &Scope, own: &Kubectl) {
    let mut forwarding = Serving::start(own, "port-forward pod :80");
    let port = forwarding.port();
    assert!(get(port, "/", "").contains("200 OK"));
    t.ok("delete pod pod --now");
    if let Ok(mut late) = TcpStream::connect(("127.0.0.1", port)) {
        let _ = late.read_to_end(&mut Vec::new());
    }
    let (code, said) = forwarding.end();
    assert_eq!(
        (code, said.lines().last()),
        (Some(1), Some("error: lost connection to pod"))
    );
}

fn pods_are_run_attached(t: &Scope) {
    let (_folder, own) = own(t, "run");
    let run = "run NAME -i --rm --restart=Never --image=busybox:1.35 -q -- sh -c 'read word; echo hello $word; exit 3'";
    let told = |kubectl: &Kubectl, name: &str| {
        let outcome = feed(kubectl, &run.replace("NAME", name), b"world\n");
        let text = |text: &str| text.replace(name, "NAME").trim_end().to_string();
        (outcome.code, text(&outcome.stdout), text(&outcome.stderr))
    };
    let ours = told(&own, "ours");
    assert_eq!(ours, told(t, "theirs"));
    assert_eq!((ours.0, ours.1.as_str()), (Some(3), "hello world"));
    t.wait_gone("pod ours");
    let ended = feed(
        &own,
        "run quick --attach --rm --restart=OnFailure --image=busybox:1.35 -- echo done",
        b"",
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("done\n"), "{ended:?}");
    assert!(
        ended.stdout.ends_with("pod \"quick\" deleted\n"),
        "{ended:?}"
    );
    let command = "run shell -it --rm --restart=Never --image=busybox:1.35 -- sh";
    let mut terminal = Terminal::start(&own.command(command), 33, 77);
    terminal.expect("try pressing enter.");
    terminal.enter("until stty size | grep 33; do usleep 100000; done; exit 4\r");
    terminal.expect("\n33 77");
    assert_eq!(terminal.end().code(), Some(4), "{}", terminal.said());
    terminal.expect("pod \"shell\" deleted");
    assert!(terminal.is_at_rest());
    for (arguments, complaint) in [
        (
            "-t",
            "-i/--stdin is required for containers with -t/--tty=true",
        ),
        ("--rm", "--rm should only be used for attached containers"),
        ("--expose", "--port must be set when exposing a service"),
        ("--port=x", "--port must be a number"),
        (
            "--restart=x",
            "invalid restart policy: x, valid values are: Always, OnFailure, Never",
        ),
        (
            "-i --dry-run=client",
            "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)",
        ),
    ] {
        let said = own.fails(&format!("run a --image=nginx {arguments}"));
        assert_eq!(said, format!("error: {complaint}\n"));
    }
    for arguments in [
        "run",
        "run a",
        "run a --image=nginx --env=x",
        "run a --image=nginx --labels=x",
        "run a --image= ",
        "run a --image=nginx --dry-run=client -o yaml -- x -y",
        "run a --image=nginx --dry-run=client -o yaml --command --env=A=b --labels=x=y,z=w -- x",
        "run a --image=nginx --dry-run=client -o yaml --overrides={\"spec\":{\"hostname\":\"h\"}}",
    ] {
        same(t, &own, arguments);
    }
}

fn debuggers_are_made_alike(t: &Scope) {
    let (_folder, own) = own(t, "debug");
    for pod in ["ours", "theirs"] {
        t.pod(pod, SLEEPER);
    }
    t.wait_ready("ours");
    t.wait_ready("theirs");
    let debugged = feed(
        &own,
        "debug ours -i --image=busybox:1.35 --target=main -c look --profile=general -- sh -c 'read word; echo $word; ps'",
        b"hello\n",
    );
    assert!(debugged.stdout.contains("hello"), "{debugged:?}");
    assert!(debugged.stdout.contains("sleep 3600"), "{debugged:?}");
    assert!(
        debugged.stdout.starts_with("Targeting container \"main\"."),
        "{debugged:?}"
    );
    let folder = Folder::new("profile");
    let custom = folder.path().join("custom.yaml");
    std::fs::write(
        &custom,
        "env: [{name: A, value: b}]\nsecurityContext: {runAsUser: 7}\n",
    )
    .expect("a file");
    for profile in [
        "legacy",
        "general",
        "baseline",
        "restricted",
        "netadmin",
        "sysadmin",
    ] {
        let custom = custom.display();
        for debug in [
            format!(
                "debug POD --image=busybox:1.35 -c c-{profile} --profile={profile} --env=X=y -- true"
            ),
            format!(
                "debug POD --image=busybox:1.35 -c d-{profile} --profile={profile} --custom={custom}"
            ),
        ] {
            debug_alike(t, &own, &debug);
        }
        let copy = format!(
            "debug POD --copy-to=POD-{profile} --image=busybox:1.35 -c new --profile={profile} --keep-labels --set-image=main=busybox:1.35 -- sleep 100"
        );
        debug_alike(t, &own, &copy);
        let spec = |pod: &str| comparable(&t.get(&format!("pod {pod}-{profile}")), pod);
        assert_eq!(spec("ours"), spec("theirs"), "{profile}");
    }
    let ephemeral = |pod: &str| {
        let pod = t.get(&format!("pod {pod}"));
        let all = pod["spec"]["ephemeralContainers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mut all: Vec<Value> = all
            .into_iter()
            .filter(|one| one["name"] != "look")
            .collect();
        all.sort_by_key(|one| one["name"].to_string());
        all
    };
    assert_eq!(ephemeral("ours"), ephemeral("theirs"));
    assert_eq!(ephemeral("ours").len(), 12);
    nodes_are_debugged(t, &own);
    for arguments in [
        "debug",
        "debug ours",
        "debug ours --image=Bad",
        "debug ours --image=busybox --profile=odd",
        "debug ours --replace --image=busybox",
        "debug ours --same-node --image=busybox",
        "debug ours --set-image=a=b",
        "debug ours --copy-to=x",
        "debug ours --copy-to=x -- sh",
        "debug ours --copy-to=x --target=main --image=busybox",
        "debug ours --image=busybox -t",
        "debug ours --image=busybox --image-pull-policy=odd",
        "debug ours --attach",
        "debug configmap/kube-root-ca.crt --image=busybox --profile=general",
        "debug nothing --image=busybox --profile=general",
    ] {
        same(t, &own, arguments);
    }
    own.ok("debug ours-general --copy-to=replaced --replace --set-image=*=nginx:1.22 --profile=general");
    t.wait_gone("pod ours-general");
    assert_eq!(
        t.field("pod replaced", "{.spec.containers[*].image}"),
        "nginx:1.22 nginx:1.22 nginx:1.22"
    );
}

#[track_caller]
fn debug_alike(t: &Kubectl, own: &Kubectl, debug: &str) {
    let told = |kubectl: &Kubectl, pod: &str| {
        let outcome = kubectl.run(&debug.replace("POD", pod));
        let old = "--profile=legacy is deprecated";
        let stderr = outcome.stderr.lines().filter(|line| !line.starts_with(old));
        let stderr = stderr.collect::<Vec<_>>().join("\n").replace(pod, "POD");
        (outcome.code, outcome.stdout.replace(pod, "POD"), stderr)
    };
    assert_eq!(told(own, "ours"), told(t, "theirs"), "{debug}");
}

/// A pod without what differs between any two.
fn comparable(pod: &Value, name: &str) -> Value {
    let mut pod = serde_json::json!({"metadata": pod["metadata"], "spec": pod["spec"]});
    if let Some(metadata) = pod["metadata"].as_object_mut() {
        metadata.retain(|key, _| ["labels", "annotations"].contains(&key.as_str()));
    }
    let text = pod.to_string();
    let token = |text: &str| {
        let at = text.find("kube-api-access-")? + "kube-api-access-".len();
        text.get(at..at + 5).map(str::to_string)
    };
    let token = token(&text).unwrap_or_default();
    let text = match token.is_empty() {
        true => text,
        false => text.replace(&token, "xxxxx"),
    };
    serde_json::from_str(&text.replace(name, "POD")).expect("JSON")
}

fn nodes_are_debugged(t: &Scope, own: &Kubectl) {
    let node = t.cluster.node();
    let debugged = own.run(&format!(
        "debug node/{node} -i --image=busybox:1.35 --profile=general -q -- ls /host/etc/hostname"
    ));
    assert!(debugged.is_ok(), "{debugged:?}");
    let made = own.ok(&format!(
        "debug node/{node} --image=busybox:1.35 --profile=sysadmin"
    ));
    let pod = made
        .split_whitespace()
        .nth(3)
        .expect("a pod's name")
        .to_string();
    assert!(pod.starts_with(&format!("node-debugger-{node}-")), "{made}");
    assert_eq!(
        made,
        format!("Creating debugging pod {pod} with container debugger on node {node}.\n")
    );
    let theirs = t.ok(&format!(
        "debug node/{node} --image=busybox:1.35 --profile=sysadmin"
    ));
    let their_pod = theirs
        .split_whitespace()
        .nth(3)
        .expect("a pod's name")
        .to_string();
    let spec = |pod: &str| comparable(&t.get(&format!("pod {pod}")), pod)["spec"].take();
    assert_eq!(spec(&pod), spec(&their_pod));
}

fn apis_are_proxied(t: &Scope) {
    let (folder, own) = own(t, "proxy");
    std::fs::write(folder.path().join("page.html"), "<p>hello").expect("a file");
    let www = folder.path().display();
    let mut proxy = Serving::start(&own, &format!("proxy --port=0 --www={www}"));
    let port = proxy.port();
    let namespace = format!("/api/v1/namespaces/{}", t.namespace);
    let said = get(port, &namespace, "");
    assert!(
        said.starts_with("HTTP/1.1 200 OK") && said.contains("\"kind\":\"Namespace\""),
        "{said}"
    );
    assert!(get(port, "/static/page.html", "").ends_with("<p>hello"));
    assert!(get(port, "/static/no.html", "").starts_with("HTTP/1.1 404"));
    for refused in [
        format!("{namespace}/pods/a/exec?command=x"),
        format!("{namespace}/pods/a/attach"),
    ] {
        assert!(get(port, &refused, "").starts_with("HTTP/1.1 403 Forbidden"));
    }
    let mut evil = TcpStream::connect(("127.0.0.1", port)).expect("the port");
    write!(
        evil,
        "GET /api HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    )
    .expect("send");
    let mut said = String::new();
    evil.read_to_string(&mut said).expect("an answer");
    assert!(
        said.starts_with("HTTP/1.1 403 Forbidden") && said.ends_with("Forbidden\n"),
        "{said}"
    );
    watches_come_as_they_happen(t, port);
    streams_pass(t, &own);
    let socket = folder.path().join("socket");
    let mut proxy = Serving::start(
        &own,
        &format!(
            "proxy --unix-socket={} --api-prefix=/custom",
            socket.display()
        ),
    );
    assert_eq!(
        proxy.line(),
        format!("Starting to serve on {}", socket.display())
    );
    for (path, expected) in [
        ("/custom/version", "200"),
        ("/version", "404"),
        ("/custom", "301"),
    ] {
        let mut stream = UnixStream::connect(&socket).expect("the socket");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        .expect("send");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("an answer");
        assert!(
            said.starts_with(&format!("HTTP/1.1 {expected}")),
            "{path}: {said}"
        );
    }
    for arguments in [
        "proxy --port=1234 --unix-socket=/tmp/x",
        "proxy --port=x",
        "proxy --keepalive=x",
    ] {
        let (ours, theirs) = (own.run(arguments), t.run(arguments));
        assert_eq!(ours.code, theirs.code, "{arguments}: {ours:?} {theirs:?}");
    }
}

fn watches_come_as_they_happen(t: &Scope, port: u16) {
    let path = format!("/api/v1/namespaces/{}/configmaps?watch=true", t.namespace);
    let mut watch = TcpStream::connect(("127.0.0.1", port)).expect("the port");
    write!(watch, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("send");
    let mut watch = BufReader::new(watch);
    t.ok("create configmap happened");
    let mut line = String::new();
    while !line.contains("\"happened\"") {
        line.clear();
        assert!(
            watch.read_line(&mut line).expect("an event") > 0,
            "the watch ended"
        );
    }
}

/// Stock and own clients stream through the proxy, once it lets them.
fn streams_pass(t: &Scope, own: &Kubectl) {
    t.ready_pod("pod", SLEEPER);
    let mut proxy = Serving::start(
        own,
        "proxy --port=0 --reject-paths=^/no --accept-hosts=^127",
    );
    let server = format!("--server=http://127.0.0.1:{}", proxy.port());
    let empty = t.cluster.beside("empty-kubeconfig.yaml");
    std::fs::write(&empty, "apiVersion: v1\nkind: Config\n").expect("a kubeconfig");
    for kubectl in [t as &Kubectl, own] {
        let kubectl = kubectl.with_kubeconfig(&empty);
        let said = feed(
            &kubectl,
            &format!("exec -i {server} pod -c main -- cat"),
            b"through",
        );
        assert_eq!(
            (said.code, said.stdout.as_str()),
            (Some(0), "through"),
            "{said:?}"
        );
    }
}

/// What a client that is killed had open is closed where it led to.
fn clients_that_are_killed(t: &Scope) {
    let (_folder, own) = own(t, "killed");
    t.ready_pod(
        "left",
        "
        containers:
        - {name: main, image: 'busybox:1.35', command: [sh, -c, 'nc -ll -p 7000 -e cat & sleep 3600']}
        ",
    );
    let mut client = own.spawn("exec -i left -- cat");
    let mut stdin = client.stdin.take().expect("standard input");
    writeln!(stdin, "hello").expect("a client that reads");
    let stdout = client.stdout.as_mut().expect("standard output");
    stdout.read_exact(&mut [0]).expect("a first byte");
    end(client);
    let mut forwarding = Serving::start(&own, "port-forward left :7000");
    let mut socket = TcpStream::connect(("127.0.0.1", forwarding.port())).expect("the port");
    socket.write_all(b"x").expect("send");
    socket.read_exact(&mut [0]).expect("an echo");
    assert!(has_cats(t));
    drop(forwarding);
    until("no cat is left", || !has_cats(t));
}

fn has_cats(t: &Scope) -> bool {
    let names = t.sh_ok("left", "ps -o comm");
    names.lines().any(|name| name.trim() == "cat")
}
