//! Streams of every kind through the API server: exec, attach, cp and
//! port-forward with all stock kubectls (SPDY before 1.31, WebSocket since),
//! proxies, ephemeral containers, and clients that stall or vanish.

use e2e::{Outcome, Scope, eventually, kubectls, suite, until};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, ExitCode};

fn main() -> ExitCode {
    suite(
        &[
            ("every_kubectl_streams", every_kubectl_streams),
            ("containers_run_attached", containers_run_attached),
            ("proxies_lead_to_what_listens", proxies_lead_to_what_listens),
            (
                "proxies_take_bodies_of_any_size",
                proxies_take_bodies_of_any_size,
            ),
            ("pods_are_debugged", pods_are_debugged),
            (
                "who_may_only_look_stays_outside",
                who_may_only_look_stays_outside,
            ),
            (
                "clients_that_stall_hold_nothing",
                clients_that_stall_hold_nothing,
            ),
            (
                "clients_that_vanish_hold_nothing",
                clients_that_vanish_hold_nothing,
            ),
        ],
        &[],
    )
}

fn every_kubectl_streams(t: &Scope) {
    let all = kubectls();
    for (version, _) in &all {
        t.pod(
            &name_of(version),
            "
            containers:
            - {name: main, image: busybox:1.35, stdin: true, command: [sh, -c, 'while read line; do echo got $line; done']}
            - {name: web, image: nginx:1.22}
            ",
        );
    }
    std::thread::scope(|scope| {
        for (version, program) in &all {
            scope.spawn(move || {
                let pod = name_of(version);
                t.wait_ready(&pod);
                let kubectl = t.with_program(program);
                executes(&kubectl, &pod);
                copies(&kubectl, &pod);
                attaches(&kubectl, &pod);
                forwards(&kubectl, &pod);
            });
        }
    });
}

fn name_of(version: &str) -> String {
    format!("v{}", version.replace('.', "-"))
}

fn executes(kubectl: &e2e::Kubectl, pod: &str) {
    let fed = kubectl.feed(
        &format!("exec -i {pod} -c web -- sh -c 'wc -c; echo oops >&2; exit 7'"),
        &"x".repeat(300_000),
    );
    assert_eq!(fed.stdout.trim(), "300000", "{fed:?}");
    assert!(fed.stderr.starts_with("oops\n"), "{fed:?}");
    assert_eq!(fed.code, Some(7), "{fed:?}");
    let much = kubectl.ok(&format!(
        "exec {pod} -c web -- sh -c 'yes | head -c 1000000'"
    ));
    assert_eq!(much.len(), 1_000_000);
    // What a command does not read is lost, and nothing else.
    let unread = kubectl.feed(
        &format!("exec -i {pod} -c web -- echo done"),
        &"x".repeat(300_000),
    );
    assert_eq!(unread.stdout, "done\n", "{unread:?}");
    let absent = kubectl.run(&format!("exec {pod} -c web -- no-such-program"));
    assert!(absent.stderr.contains("no-such-program"), "{absent:?}");
    let nobody = kubectl.fails(&format!("exec {pod} -c nobody -- true"));
    assert!(
        nobody.contains("container nobody is not valid for pod"),
        "{nobody}"
    );
    // A terminal, which `script` gives to kubectl.
    let said = in_terminal(
        kubectl,
        &format!(
            "exec -it {pod} -c web -- sh -c 'tty; until stty size 2>/dev/null | grep -v ^0; do usleep 100000; done'"
        ),
    );
    assert!(
        said.contains("/dev/pts/0") && said.contains("33 77"),
        "{said}"
    );
}

fn in_terminal(kubectl: &e2e::Kubectl, arguments: &str) -> String {
    let command = kubectl.command(arguments);
    let mut line = vec![command.get_program().to_string_lossy().into_owned()];
    let words = command.get_args();
    line.extend(words.map(|word| format!("'{}'", word.to_string_lossy())));
    let line = format!("stty rows 33 cols 77; {}", line.join(" "));
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &line, "/dev/null"]);
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            script.env(name, value);
        }
    }
    Outcome::of(&mut script).stdout
}

fn copies(kubectl: &e2e::Kubectl, pod: &str) {
    let here = std::fs::read_to_string("/etc/hostname").expect("a name");
    let back = std::env::temp_dir().join(format!("tiphys-e2e-copied-{}-{pod}", std::process::id()));
    kubectl.ok(&format!("cp /etc/hostname {pod}:/tmp/copied -c web"));
    kubectl.ok(&format!("cp {pod}:/tmp/copied {} -c web", back.display()));
    let copied = std::fs::read_to_string(&back);
    let _ = std::fs::remove_file(&back);
    assert_eq!(copied.expect("the copy"), here);
}

fn attaches(kubectl: &e2e::Kubectl, pod: &str) {
    let mut client = kubectl.spawn(&format!("attach -i {pod} -c main"));
    let mut stdin = client.stdin.take().expect("standard input");
    let mut stdout = BufReader::new(client.stdout.take().expect("standard output"));
    for word in ["one", "two"] {
        writeln!(stdin, "{word}").expect("a client that reads");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a client that speaks");
        assert_eq!(line, format!("got {word}\n"));
    }
    end(client);
}

fn forwards(kubectl: &e2e::Kubectl, pod: &str) {
    let (client, port) = forward(kubectl, pod, 80);
    let mut idle = TcpStream::connect(("127.0.0.1", port)).expect("the forwarded port");
    for _ in 0..3 {
        let said = get(port);
        assert!(said.starts_with("HTTP/1.1 200 OK"), "{said}");
    }
    // One connection does not wait for another.
    idle.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("send");
    let mut said = String::new();
    idle.read_to_string(&mut said).expect("an answer");
    assert!(said.contains("200 OK"), "{said}");
    end(client);
    let (mut client, port) = forward(kubectl, pod, 81);
    let mut refused = TcpStream::connect(("127.0.0.1", port)).expect("the forwarded port");
    let _ = refused.read_to_end(&mut Vec::new());
    let mut errors = BufReader::new(client.stderr.take().expect("standard error"));
    let mut line = String::new();
    errors.read_line(&mut line).expect("a complaint");
    assert!(
        line.contains("failed to connect to localhost:81 inside"),
        "{line}"
    );
    end(client);
}

fn forward(kubectl: &e2e::Kubectl, pod: &str, port: u16) -> (Child, u16) {
    let mut client = kubectl.spawn(&format!("port-forward pod/{pod} :{port}"));
    let line = first_line(client.stdout.as_mut().expect("standard output"));
    let local = line
        .strip_prefix("Forwarding from 127.0.0.1:")
        .and_then(|rest| rest.split(' ').next())
        .and_then(|port| port.parse().ok());
    (
        client,
        local.unwrap_or_else(|| panic!("no port in {line:?}")),
    )
}

fn first_line(from: &mut ChildStdout) -> String {
    let mut line = String::new();
    BufReader::new(from).read_line(&mut line).expect("a line");
    line
}

fn get(port: u16) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("the forwarded port");
    socket
        .write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
        .expect("send");
    let mut said = String::new();
    socket.read_to_string(&mut said).expect("an answer");
    said
}

fn end(mut client: Child) {
    let _ = client.kill();
    let _ = client.wait();
}

fn containers_run_attached(t: &Scope) {
    let said = t.feed(
        "run echo -i --rm --restart=Never --image=busybox:1.35 --quiet -- sh -c 'read word; echo hello $word'",
        "world\n",
    );
    assert!(said.stdout.contains("hello world"), "{said:?}");
    t.wait_gone("pod echo");
    let said = in_terminal(
        t,
        "run shell -it --rm --restart=Never --image=busybox:1.35 --quiet -- sh -c 'tty; until stty size | grep -v ^0; do usleep 100000; done; exit 3'",
    );
    assert!(said.contains("33 77"), "{said}");
    t.wait_gone("pod shell");
}

fn proxies_lead_to_what_listens(t: &Scope) {
    t.ready_pod(
        "web",
        "
        containers:
        - {name: web, image: nginx:1.22, ports: [{containerPort: 80, name: http}]}
        ",
    );
    t.ok("expose pod web --port=8080 --target-port=80 --name=web");
    let here = format!("/api/v1/namespaces/{}", t.namespace);
    let direct = t.ok("exec web -- wget -qO- http://127.0.0.1:80/");
    for place in ["pods/web", "pods/web:80", "pods/http:web:80"] {
        assert_eq!(t.ok(&format!("get --raw {here}/{place}/proxy/")), direct);
    }
    for place in ["services/web:8080", "services/http:web:8080"] {
        eventually("the endpoint of the service", || {
            let outcome = t.run(&format!("get --raw {here}/{place}/proxy/"));
            (outcome.stdout == direct).then_some(())
        });
    }
    let root = t.ok("exec web -- sh -c 'cat /etc/nginx/conf.d/*.conf | grep -m1 root'");
    let root = root.trim().trim_start_matches("root").trim();
    let root = root.trim_end_matches(';');
    let page = format!("echo \"<a href=/next>next</a><p title=/next>\" > {root}/links.html");
    t.ok(&format!("exec web -- sh -c '{page}'"));
    let place = format!("{here}/pods/web/proxy");
    assert_eq!(
        t.ok(&format!("get --raw {place}/links.html")).trim(),
        format!("<a href={place}/next>next</a><p title=/next>")
    );
    let node = format!("/api/v1/nodes/{}/proxy", t.cluster.node());
    assert_eq!(t.ok(&format!("get --raw {node}/healthz")), "ok");
    assert!(t.ok(&format!("get --raw {node}/pods")).contains("PodList"));
    for (path, complaint) in [
        (
            format!("{here}/pods/web:81/proxy/"),
            "error trying to reach service",
        ),
        (
            format!("{here}/pods/ftp:web:80/proxy/"),
            "invalid pod request",
        ),
        (
            format!("{here}/pods/absent/proxy/"),
            "pods \"absent\" not found",
        ),
        (
            format!("{here}/services/web:1/proxy/"),
            "no service port 1 found for service",
        ),
    ] {
        let said = t.fails(&format!("get --raw {path}"));
        assert!(said.contains(complaint), "{path}: {said}");
    }
    let missing = t.fails(&format!("get --raw {here}/pods/web/proxy/no/such/page"));
    assert!(
        missing.contains("404") || missing.contains("could not find"),
        "{missing}"
    );
}

/// What an object may not exceed is no limit for what another server is sent.
fn proxies_take_bodies_of_any_size(t: &Scope) {
    let script = "mkdir -p /www/cgi-bin; printf \'#!/bin/sh\\necho Content-Type: text/plain; echo; wc -c\' > /www/cgi-bin/count; chmod +x /www/cgi-bin/count; exec httpd -f -p 8080 -h /www";
    t.ready_pod(
        "counter",
        &format!(
            "
            containers:
            - name: main
              image: busybox:1.35
              command: [sh, -c, \"{}\"]
              readinessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1}}
            ",
            script.replace('\\', "\\\\")
        ),
    );
    t.ok("create role caller --verb=create --resource=pods/proxy");
    t.ok(&format!(
        "create rolebinding caller --role=caller --serviceaccount={}:default",
        t.namespace
    ));
    let token = t.ok("create token default");
    let mut curl = std::process::Command::new("curl");
    let body = t.cluster.beside("body");
    std::fs::write(&body, vec![b'x'; 8_000_000]).expect("a file");
    curl.args(["-sS", "-k", "--data-binary"]);
    curl.arg(format!("@{}", body.display())).arg("-H");
    curl.arg(format!("Authorization: Bearer {}", token.trim()));
    curl.arg(format!(
        "https://127.0.0.1:{}/api/v1/namespaces/{}/pods/counter:8080/proxy/cgi-bin/count",
        t.cluster.https_port(),
        t.namespace
    ));
    let said = Outcome::of(&mut curl);
    assert_eq!(said.stdout.trim(), "8000000", "{said:?}");
}

fn pods_are_debugged(t: &Scope) {
    t.ready_pod(
        "target",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3456']}
        ",
    );
    let debugged = t.feed(
        "debug target -i --image=busybox:1.35 --target=main -c look --quiet -- sh -c 'read word; echo $word; ps'",
        "hello\n",
    );
    assert!(debugged.stdout.contains("hello"), "{debugged:?}");
    assert!(debugged.stdout.contains("sleep 3456"), "{debugged:?}");
    t.wait_field(
        "pod target",
        "{.status.ephemeralContainerStatuses[0].state.terminated.exitCode}",
        "0",
    );
    let raw = format!(
        "/api/v1/namespaces/{}/pods/target/ephemeralcontainers",
        t.namespace
    );
    assert!(t.ok(&format!("get --raw {raw}")).contains("\"look\""));
    let refused = t.fails(
        "patch pod target --subresource=ephemeralcontainers --type=json -p '[{\"op\":\"remove\",\"path\":\"/spec/ephemeralContainers/0\"}]'",
    );
    assert!(refused.contains("may not be removed"), "{refused}");
}

fn who_may_only_look_stays_outside(t: &Scope) {
    t.ready_pod(
        "quiet",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    t.ok("create role looker --verb=get --resource=pods,pods/exec,pods/attach,pods/portforward");
    t.ok("create rolebinding looker --role=looker --user=looker");
    t.ok("get pod quiet --as=looker");
    let pod = format!("/api/v1/namespaces/{}/pods/quiet", t.namespace);
    for what in [
        "exec?command=true&stdout=true",
        "attach?stdout=true",
        "portforward?ports=80",
    ] {
        let said = t.fails(&format!("get --raw {pod}/{what} --as=looker"));
        assert!(said.contains("cannot create resource"), "{what}: {said}");
        let said = t.fails(&format!("get --raw {pod}/{what}"));
        assert!(
            said.contains("pgrade request required") || said.contains("Bad"),
            "{what}: {said}"
        );
    }
}

/// A container writes on when who is attached to it does not read.
fn clients_that_stall_hold_nothing(t: &Scope) {
    t.ready_pod(
        "flood",
        "
        containers:
        - name: main
          image: busybox:1.35
          stdin: true
          command: [sh, -c, 'read word; head -c 30000000 /dev/zero | tr \"\\\\0\" x; echo; touch /tmp/done; sleep 3600']
        ",
    );
    let mut client = t.spawn("attach -i flood");
    let mut stdin = client.stdin.take().expect("standard input");
    let pid = Pid::from_child(&client);
    // The word starts the flood; nobody takes it from kubectl's standard output.
    writeln!(stdin, "go").expect("a client that reads");
    first_byte(&mut client);
    kill_process(pid, Signal::STOP).expect("stop kubectl");
    t.sh_until("flood", "ls /tmp", |files| files.contains("done"));
    end(client);
}

fn first_byte(client: &mut Child) {
    let stdout = client.stdout.as_mut().expect("standard output");
    stdout.read_exact(&mut [0]).expect("a first byte");
}

/// What a client that is killed had open is closed where it led to.
fn clients_that_vanish_hold_nothing(t: &Scope) {
    t.ready_pod(
        "left",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sh, -c, 'nc -ll -p 7000 -e cat & sleep 3600']}
        ",
    );
    let programs: Vec<_> = kubectls();
    let ends = [programs.first(), programs.last()];
    for (_, program) in ends.into_iter().flatten() {
        let kubectl = t.with_program(program);
        let mut client = kubectl.spawn("exec -i left -- cat");
        let mut stdin = client.stdin.take().expect("standard input");
        writeln!(stdin, "hello").expect("a client that reads");
        first_byte(&mut client);
        end(client);
        let (client, port) = forward(&kubectl, "left", 7000);
        let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("the forwarded port");
        socket.write_all(b"x").expect("send");
        socket.read_exact(&mut [0]).expect("an echo");
        assert!(has_cats(t));
        end(client);
        until("no cat is left", || !has_cats(t));
    }
}

fn has_cats(t: &Scope) -> bool {
    let names = t.sh_ok("left", "ps -o comm");
    names.lines().any(|name| name.trim() == "cat")
}
