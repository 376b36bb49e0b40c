//! Clients that send rubbish, too much, too slowly, nothing at all, or vanish.

use e2e::seed::Seeded;
use e2e::wire::{Door, Events, Wire};
use e2e::{Cluster, Kubectl, Options, Vitals, dose, patiently, until};
use std::io::{Read as _, Write as _};
use std::process::Child;
use std::time::Duration;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A control plane without a node.
fn start() -> (Cluster, Door) {
    let mut cluster = Cluster::prepare(Options {
        arguments: vec!["--disable-agent".into()],
        without_images: true,
    });
    cluster.start_server();
    let door = Door::of(&cluster);
    until("the namespace is there", || {
        let namespace = door.ask("GET", "/api/v1/namespaces/default", "");
        namespace.is_ok_and(|reply| reply.code == 200)
    });
    (cluster, door)
}

fn end(cluster: Cluster) {
    let log = cluster.log();
    assert!(!log.contains("panicked"), "{log}");
    let left = cluster.end();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

pub fn rubbish_is_refused() {
    let (cluster, door) = start();
    let before = Vitals::of(&cluster);
    let mut seeded = Seeded::new(0x5eed_0001);
    for _ in 0..100 {
        let mut socket = door.knock().expect("a connection");
        let mut bytes = seeded.bytes(2000);
        if seeded.below(2) == 0 {
            // The beginning of a handshake.
            bytes.splice(0..0, [22, 3, 1, 0, 200, 1]);
        }
        // A server that has hung up already is right.
        let _ = socket.write_all(&bytes);
    }
    for _ in 0..100 {
        let mut wire = door.enter().expect("a connection");
        let _ = wire.send(&seeded.bytes(3000));
    }
    for number in 0..dose(100, 300) {
        let request = mutated(&mut seeded);
        let mut wire = door.enter().expect("a connection");
        let patience = Duration::from_millis(300);
        wire.set_patience(patience).expect("patience");
        let _ = wire.send(&request);
        if let Ok(reply) = wire.receive() {
            let shown = String::from_utf8_lossy(&request);
            // What happens to be right is served; what is not is refused, and
            // nothing is the server's fault.
            assert!(reply.code < 500, "{number}: {shown:?}: {reply:?}");
        }
    }
    assert_eq!(
        door.ask("GET", CONFIG_MAPS, "").expect("an answer").code,
        200
    );
    before.wait_for(&cluster);
    end(cluster);
}

/// A good request with some bytes that are not.
fn mutated(seeded: &mut Seeded) -> Vec<u8> {
    let body = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"b":"c"}},"data":{"k":"v"}}"#;
    let (method, path) = [
        ("POST", CONFIG_MAPS),
        ("PUT", "/api/v1/namespaces/default/configmaps/a"),
        (
            "GET",
            "/api/v1/namespaces/default/pods?labelSelector=a%3Db&limit=3",
        ),
        (
            "PATCH",
            "/api/v1/namespaces/default/configmaps/a?fieldManager=x",
        ),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/default/deployments/none",
        ),
    ][seeded.below(5)];
    let kind = [
        "json",
        "yaml",
        "merge-patch+json",
        "vnd.kubernetes.protobuf",
    ][seeded.below(4)];
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: trouble\r\nAccept: application/json\r\nContent-Type: application/{kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut bytes = [head.as_bytes(), body.as_bytes()].concat();
    for _ in 0..=seeded.below(4) {
        let at = seeded.below(bytes.len());
        match seeded.below(3) {
            0 => bytes[at] = seeded.number() as u8,
            1 => drop(bytes.remove(at)),
            _ => {
                let more = seeded.bytes(6);
                bytes.splice(at..at, more);
            }
        }
    }
    bytes
}

pub fn too_much_is_refused() {
    let (cluster, door) = start();
    let before = Vitals::of(&cluster);
    // A body that says how large it is, and one that does not.
    let mut wire = door.enter().expect("a connection");
    wire.send_head("POST", CONFIG_MAPS, 100 << 20)
        .expect("a head");
    let reply = wire.receive().expect("an answer");
    assert_eq!(reply.code, 413, "{:?}", reply.json());
    assert_eq!(reply.json()["reason"], "RequestEntityTooLarge");
    let mut wire = door.enter().expect("a connection");
    let head = format!(
        "POST {CONFIG_MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    wire.send(head.as_bytes()).expect("a head");
    let chunk = [&b"10000\r\n"[..], &[b' '; 0x10000], b"\r\n"].concat();
    let sent = (0..4096).take_while(|_| wire.send(&chunk).is_ok()).count();
    assert!(sent < 2048, "the server took {sent} chunks of 64 KiB");
    // A head that does not end, and one with very many fields.
    let mut wire = door.enter().expect("a connection");
    let _ = wire.send(b"GET /api HTTP/1.1\r\nHost: x\r\nX: ");
    let more = [b'y'; 1 << 16];
    let sent = (0..256).take_while(|_| wire.send(&more).is_ok()).count();
    assert!(sent < 256, "the server took a head of 16 MiB");
    let fields: String = (0..2000).map(|n| format!("X-{n}: y\r\n")).collect();
    let head = format!("GET /api HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let mut wire = door.enter().expect("a connection");
    let _ = wire.send(head.as_bytes());
    let code = wire.receive().map_or(431, |reply| reply.code);
    assert!(matches!(code, 400 | 431), "{code}");
    // Deep nesting must not reach the end of a stack.
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"deep"}},"data":{}1{}}}"#,
            open.repeat(200_000),
            close.repeat(200_000)
        );
        let reply = door.ask("POST", CONFIG_MAPS, &deep).expect("an answer");
        assert!((400..500).contains(&reply.code), "{:?}", reply.json());
    }
    let name = "n".repeat(100_000);
    let reply = door.ask("GET", &format!("{CONFIG_MAPS}/{name}"), "");
    assert!(reply.is_err() || reply.is_ok_and(|reply| (400..500).contains(&reply.code)));
    before.wait_for(&cluster);
    let after = Vitals::of(&cluster);
    let grown = after.memory_kib.saturating_sub(before.memory_kib);
    assert!(grown < 64 << 10, "{grown} KiB more than before");
    end(cluster);
}

pub fn slow_clients_are_let_go() {
    let (cluster, door) = start();
    let before = Vitals::of(&cluster);
    const EACH: usize = 20;
    // Those who say nothing, those who say nothing after the handshake, those
    // who do not end their head, those who do not send their body.
    let silent: Vec<_> = (0..EACH).map(|_| door.knock().expect("a socket")).collect();
    let shaken: Vec<_> = (0..EACH).map(|_| door.enter().expect("a socket")).collect();
    let mut heads: Vec<_> = (0..EACH).map(|_| door.enter().expect("a socket")).collect();
    // A body may take a minute.
    let mut bodies: Vec<_> = (0..dose(0, EACH))
        .map(|_| door.enter().expect("a socket"))
        .collect();
    for wire in &mut heads {
        wire.send(b"GET /api HTTP/1.1\r\nHost:")
            .expect("half a head");
    }
    for wire in &mut bodies {
        wire.send_head("POST", CONFIG_MAPS, 1000).expect("a head");
        wire.send(b"{\"apiVersion\":").expect("a part of a body");
    }
    // Others are served meanwhile.
    assert_eq!(
        door.ask("GET", CONFIG_MAPS, "").expect("an answer").code,
        200
    );
    for (what, wires) in [("shaken", shaken), ("heads", heads), ("bodies", bodies)] {
        for mut wire in wires {
            wire.set_patience(Duration::from_secs(90))
                .expect("patience");
            assert!(wire.is_ended(), "{what}: the server waits for ever");
        }
    }
    for mut socket in silent {
        let mut buffer = [0; 100];
        let said = socket.read(&mut buffer);
        assert!(matches!(said, Ok(0)), "the server waits for ever: {said:?}");
    }
    before.wait_for(&cluster);
    end(cluster);
}

pub fn idle_watches_cost_little() {
    const WATCHES: usize = 2000;
    let (cluster, door) = start();
    // What the first connections bring up once is no cost of a watch.
    let warm: Vec<Events> = (0..50).map(|_| watch(&door)).collect();
    drop(warm);
    let before = Vitals::of(&cluster);
    let mut watches: Vec<Events> = (0..WATCHES).map(|_| watch(&door)).collect();
    let during = Vitals::of(&cluster);
    let each = during.memory_kib.saturating_sub(before.memory_kib) * 1024 / WATCHES as u64;
    println!("a watch on a connection of its own costs {each} bytes");
    assert!(each < 64 << 10, "a watch costs {each} bytes");
    let created = door
        .ask("POST", CONFIG_MAPS, CONFIG_MAP)
        .expect("an answer");
    assert_eq!(created.code, 201);
    for events in &mut watches {
        let event = events.event().expect("an event").expect("an event");
        assert_eq!(event["object"]["metadata"]["name"], "seen");
    }
    drop(watches);
    before.wait_for(&cluster);
    end(cluster);
}

const CONFIG_MAP: &str =
    r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"seen"},"data":{"k":"v"}}"#;

/// A watch of what comes from now on.
fn watch(door: &Door) -> Events {
    let path = format!("{CONFIG_MAPS}?watch=1&fieldSelector=metadata.name%3Dseen");
    door.watch(&path).expect("a watch")
}

pub fn a_deaf_watcher_harms_nobody() {
    let (cluster, door) = start();
    let before = Vitals::of(&cluster);
    let deaf: Vec<Events> = (0..20)
        .map(|_| {
            door.watch(&format!("{CONFIG_MAPS}?watch=1"))
                .expect("a watch")
        })
        .collect();
    let mut hearing = door
        .watch(&format!("{CONFIG_MAPS}?watch=1"))
        .expect("a watch");
    // Sixty megabytes for each of the deaf.
    const WRITES: usize = 300;
    let writer = {
        let door = door.clone();
        std::thread::spawn(move || {
            let mut wire = door.enter().expect("a connection");
            (0..WRITES).for_each(|number| write_large(&mut wire, number));
        })
    };
    let mut heard = 0;
    while heard < WRITES {
        let event = hearing.event().expect("an event").expect("an event");
        heard += usize::from(event["object"]["metadata"]["name"] == "large");
    }
    writer.join().expect("the writer");
    let during = Vitals::of(&cluster);
    let grown = during.memory_kib.saturating_sub(before.memory_kib);
    assert!(grown < 256 << 10, "the deaf cost {grown} KiB");
    drop(deaf);
    drop(hearing);
    before.wait_for(&cluster);
    end(cluster);
}

fn write_large(wire: &mut Wire, number: usize) {
    let filler = "x".repeat(200 << 10);
    let body = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"large"}},"data":{{"n":"{number}","filler":"{filler}"}}}}"#
    );
    let reply = match number {
        0 => wire.ask("POST", CONFIG_MAPS, &body),
        _ => wire.ask("PUT", &format!("{CONFIG_MAPS}/large"), &body),
    };
    let reply = reply.expect("an answer");
    assert!(matches!(reply.code, 200 | 201), "{:?}", reply.json());
}

pub fn vanished_clients_leave_nothing() {
    let cluster = Cluster::start(Options::default());
    let kubectl = cluster.kubectl();
    kubectl.apply(&e2e::pod(
        "talker",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sh, -c, 'while true; do date; sleep 0.1; done']}
        ",
    ));
    kubectl.ok("wait --for=condition=Ready --timeout=60s pod/talker");
    kubectl.ok("exec talker -- true");
    let (before, processes) = (Vitals::of(&cluster), processes_in(&kubectl));
    let mut clients = Vec::new();
    for _ in 0..5 {
        for arguments in [
            "logs -f talker",
            "exec -i talker -- cat",
            "exec talker -- sh -c 'while true; do echo x; sleep 0.1; done'",
            "get pods --watch",
        ] {
            clients.push(kubectl.spawn(arguments));
        }
    }
    clients.iter_mut().for_each(wait_for_words);
    assert!(Vitals::of(&cluster).descriptors > before.descriptors);
    for client in &mut clients {
        client.kill().expect("kill a client");
        client.wait().expect("wait for a client");
    }
    before.wait_for(&cluster);
    // What reads its input ends with it; the loop ends when it writes to nobody.
    patiently(
        "no more processes than before",
        || processes_in(&kubectl),
        |now| *now <= processes,
    );
    kubectl.ok("delete pod talker --timeout=60s");
    end(cluster);
}

/// A client that waits for its input says nothing.
fn wait_for_words(client: &mut Child) {
    let mut stdin = client.stdin.take().expect("standard input");
    let stdout = client.stdout.as_mut().expect("standard output");
    let _ = stdin.write_all(b"words\n");
    client.stdin = Some(stdin);
    let mut byte = [0];
    stdout.read_exact(&mut byte).expect("a word of the client");
}

fn processes_in(kubectl: &Kubectl) -> usize {
    let outcome = kubectl.run("exec talker -- ps -o comm");
    let names = outcome.stdout.lines();
    names
        .filter(|name| ["cat", "sh"].contains(&name.trim()))
        .count()
}
