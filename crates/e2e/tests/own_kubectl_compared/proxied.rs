//! Proxies between a client and its cluster, named by the kubeconfig or by the environment.

use crate::compare::bare;
use e2e::{Folder, Kubectl, Outcome, Scope, own};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A proxy that leads everybody to one server, whatever its name, and notes who is asked for.
struct Way {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Way {
    fn to(server: String) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = asked.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, noted) = (server.clone(), noted.clone());
                std::thread::spawn(move || lead(client, &server, &noted));
            }
        });
        Way { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("the notes"))
    }
}

/// Whoever hangs up in between has heard enough.
fn lead(mut client: TcpStream, server: &str, noted: &Mutex<Vec<String>>) -> Option<()> {
    let mut first = [0];
    client.peek(&mut first).ok()?;
    let asked = match first {
        [5] => socks(&mut client)?,
        _ => connect(&mut client)?,
    };
    noted.lock().expect("the notes").push(asked);
    let server = TcpStream::connect(server).ok()?;
    let (from, to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    std::thread::spawn(move || pass(from, to));
    pass(server, client)
}

fn pass(mut from: TcpStream, mut to: TcpStream) -> Option<()> {
    std::io::copy(&mut from, &mut to).ok()?;
    to.shutdown(Shutdown::Write).ok()
}

fn connect(client: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let head = String::from_utf8_lossy(&head);
    Some(
        head.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" "),
    )
}

fn socks(client: &mut TcpStream) -> Option<String> {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting).ok()?;
    client.read_exact(&mut vec![0; greeting[1].into()]).ok()?;
    client.write_all(&[5, 0]).ok()?;
    let mut head = [0; 5];
    client.read_exact(&mut head).ok()?;
    // The host is an address of version 4, whose first byte was read, or a name.
    let (mut host, mut port) = (vec![0; 3], [0; 2]);
    if head[3] == 3 {
        host = vec![0; head[4].into()];
    }
    client.read_exact(&mut host).ok()?;
    client.read_exact(&mut port).ok()?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    Some(format!("SOCKS {}", u16::from_be_bytes(port)))
}

pub fn clusters_are_reached_through_proxies(t: &Scope) {
    let (folder, own) = own(t, "proxied");
    t.ready_pod(
        "pod",
        "
        containers:
        - {name: main, image: 'busybox:1.35', command: [sleep, '3600']}
        ",
    );
    let server = t.ok("config view --minify -o jsonpath={.clusters[0].cluster.server}");
    let address = server.trim_start_matches("https://").to_string();
    let port = address.rsplit(':').next().expect("a port").to_string();
    let way = Way::to(address.clone());
    for (scheme, asked) in [
        ("http", format!("CONNECT {address}")),
        ("socks5", format!("SOCKS {port}")),
    ] {
        let kubeconfig = folder.path().join(scheme);
        let text = std::fs::read_to_string(t.cluster.kubeconfig()).expect("a kubeconfig");
        std::fs::write(&kubeconfig, text).expect("a kubeconfig");
        let name = t.ok("config view -o jsonpath={.clusters[0].name}");
        t.with_kubeconfig(&kubeconfig).ok(&format!(
            "config set-cluster {name} --proxy-url={scheme}://127.0.0.1:{}",
            way.port
        ));
        for kubectl in [t as &Kubectl, &own] {
            let kubectl = kubectl.with_kubeconfig(&kubeconfig);
            assert_eq!(kubectl.ok("get pod pod -o name"), "pod/pod\n");
            assert_eq!(kubectl.ok("exec pod -- echo heard"), "heard\n");
            let lines = way.asked();
            assert!(lines.len() >= 2, "plain and upgraded requests: {lines:?}");
            assert!(lines.iter().all(|line| *line == asked), "{lines:?}");
        }
    }
    by_the_environment(t, &own, &way, &port);
    wrong_proxies(t, &folder);
}

/// A cluster on this machine is never reached through them, so it needs another name.
fn by_the_environment(t: &Scope, own: &Kubectl, way: &Way, port: &str) {
    let far = format!("--server=https://far.test:{port} --tls-server-name=localhost");
    let proxy = format!("http://127.0.0.1:{}", way.port);
    let run = |kubectl: &Kubectl, arguments: &str, no: &str| {
        let mut command = kubectl.command(arguments);
        command.env("HTTPS_PROXY", &proxy).env("NO_PROXY", no);
        Outcome::of(&mut command)
    };
    for kubectl in [t as &Kubectl, own] {
        let get = format!("get pod pod -o name {far}");
        let said = run(kubectl, &get, "near.test,.far.test");
        assert_eq!(said.stdout, "pod/pod\n", "{said:?}");
        let said = run(kubectl, &format!("exec {far} pod -- echo heard"), "");
        assert_eq!(said.stdout, "heard\n", "{said:?}");
        let lines = way.asked();
        let asked = format!("CONNECT far.test:{port}");
        assert!(lines.len() >= 2, "{lines:?}");
        assert!(lines.iter().all(|line| *line == asked), "{lines:?}");
        assert!(!run(kubectl, &get, "far.test").is_ok(), "asked directly");
        assert!(run(kubectl, "get pod pod", "").is_ok());
        assert_eq!(way.asked(), Vec::<String>::new());
    }
}

fn wrong_proxies(t: &Scope, folder: &Folder) {
    let (stock, own) = bare(t, folder);
    let kubeconfig = folder.path().join("wrong");
    for proxy in ["ftp://a", "a:1"] {
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: c,
            clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1', proxy-url: '{proxy}'}}}}],
            users: [{{name: c, user: {{token: t}}}}],
            contexts: [{{name: c, context: {{cluster: c, user: c}}}}]}}"
        );
        std::fs::write(&kubeconfig, text).expect("a kubeconfig");
        for arguments in ["get pods", "get --raw /", "api-versions"] {
            let said = |kubectl: &Kubectl| kubectl.with_kubeconfig(&kubeconfig).fails(arguments);
            assert_eq!(said(&own), said(&stock), "{arguments} through {proxy}");
        }
    }
}
