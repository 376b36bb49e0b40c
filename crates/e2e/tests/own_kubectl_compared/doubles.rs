//! Commands for APIs that are not served yet, against doubles of them: metrics, which are custom
//! resources here, and the few requests about autoscalers and certificates that such resources
//! cannot take, which are answered on the way.

use crate::compare::{Both, shown};
use e2e::{Folder, Kubectl, Options, until, with_cluster};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

const DEFINITIONS: &str = include_str!("doubles.yaml");

pub fn doubled_apis_are_used_alike() {
    with_cluster(Options::default(), |cluster| {
        let stock = cluster.kubectl();
        stock.apply(DEFINITIONS);
        for kind in ["nodes.metrics.k8s.io", "pods.metrics.k8s.io", "csr"] {
            until("the definition is served", || {
                stock.run(&format!("get {kind}")).is_ok()
            });
        }
        let folder = Folder::new("own-kubectl-doubles");
        let program = folder.path().join("kubectl");
        std::os::unix::fs::symlink(e2e::tiphys(), &program).expect("a link");
        let own = stock.with_program(&program);
        let both = Both {
            stock: &stock,
            own: &own,
        };
        metrics_are_shown_alike(&both);
        decisions_are_sent_alike(&both, &folder);
    });
}

fn metrics_are_shown_alike(both: &Both) {
    let node = both
        .stock
        .ok("get nodes -o jsonpath={.items[0].metadata.name}");
    both.agree("top pods");
    both.agree("top nodes");
    both.stock.apply(&metrics(&node));
    for flags in [
        "",
        "NODE",
        "nothing",
        "--show-capacity",
        "--no-headers",
        "--sort-by=cpu",
        "--sort-by=memory",
        "--sort-by=disk",
        "-l rank=first",
        "-l rank=none",
        "-l rank==x=",
        "NODE -l rank=first",
        "--use-protocol-buffers=false",
    ] {
        agree_wholly(both, &format!("top node {}", flags.replace("NODE", &node)));
    }
    for flags in [
        "",
        "one",
        "nothing",
        "unmeasured",
        "-A",
        "-n kube-system",
        "-n none",
        "--containers",
        "one --containers",
        "-A --containers --sum",
        "--sum",
        "--no-headers --sum",
        "--no-headers",
        "--sort-by=cpu",
        "--sort-by=memory",
        "--sort-by=cpu --containers",
        "--sort-by=disk",
        "-l app=web",
        "-l app=none",
        "--field-selector=metadata.name=two",
        "--field-selector=status.phase=Running",
        "one -l app=web",
        "--use-protocol-buffers=false",
    ] {
        agree_wholly(both, &format!("top pod {flags}"));
    }
}

/// What is measured looks like ages, and its columns are part of what is shown.
#[track_caller]
fn agree_wholly(both: &Both, arguments: &str) {
    let said = |kubectl: &Kubectl| {
        let outcome = kubectl.run(arguments);
        (outcome.code, outcome.stdout, outcome.stderr)
    };
    assert_eq!(said(both.own), said(both.stock), "kubectl {arguments}");
}

fn metrics(node: &str) -> String {
    let measured = |kind: &str, meta: &str, rest: &str| {
        format!(
            "---\n{{apiVersion: metrics.k8s.io/v1beta1, kind: {kind}, metadata: {{{meta}}}, \
             timestamp: '2026-01-01T00:00:00Z', window: 10s, {rest}}}\n"
        )
    };
    let usage = |cpu: &str, memory: &str| format!("usage: {{cpu: {cpu}, memory: {memory}}}");
    let mut text = measured(
        "NodeMetrics",
        &format!("name: {node}, labels: {{rank: first}}"),
        "usage: {cpu: 151m, memory: 1234Mi, swap: 5Mi}",
    );
    text += &measured(
        "NodeMetrics",
        "name: elsewhere",
        &usage("1500000000n", "3Gi"),
    );
    for (meta, containers) in [
        (
            "name: one, namespace: default, labels: {app: web}",
            format!(
                "[{{name: main, {}}}, {{name: side, {}}}]",
                usage("1250m", "12345Ki"),
                usage("1u", "1"),
            ),
        ),
        (
            "name: two, namespace: default",
            format!("[{{name: main, {}}}]", usage("999999n", "200Mi")),
        ),
        (
            "name: three, namespace: kube-system",
            format!("[{{name: main, {}}}]", usage("0", "0")),
        ),
    ] {
        let containers = format!("containers: {containers}");
        text += &measured("PodMetrics", meta, &containers);
    }
    for name in ["one", "two", "unmeasured"] {
        text += &format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeSelector: {{none: such}}, \
             containers: [{{name: main, image: none}}]}}}}\n"
        );
    }
    text
}

/// Requests about autoscalers and certificates, as both programs make them.
fn decisions_are_sent_alike(both: &Both, folder: &Folder) {
    both.stock.apply(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 0, \
         selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, \
         spec: {containers: [{name: c, image: none}]}}}}",
    );
    for arguments in [
        "--max=3",
        "--max=3 --min=2 --name=other",
        "--max=3 --cpu-percent=50",
        "--max=2 --min=3",
    ] {
        // The option for percents is deprecated in ours, which is newer.
        let made = |kubectl: &Kubectl| {
            let step = format!("autoscale deployment web {arguments} --dry-run=client -o yaml");
            let outcome = kubectl.run(&step);
            (outcome.code, outcome.stdout)
        };
        assert_eq!(made(both.own), made(both.stock), "autoscale {arguments}");
    }
    let server = Server::between(both.stock);
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "apiVersion: v1\nkind: Config\n").expect("a kubeconfig");
    let far = format!("--server=http://127.0.0.1:{}", server.port);
    let asks = |kubectl: &Kubectl, arguments: &str| {
        let said = kubectl
            .with_kubeconfig(&empty)
            .run(&format!("{arguments} {far}"));
        (shown(&said), server.asked())
    };
    for name in ["wish", "denied"] {
        both.stock.apply(&format!(
            "{{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {{name: {name}}}, \
             spec: {{request: aGk=, signerName: example.org/any, usages: [any]}}}}"
        ));
    }
    both.stock.ok("patch csr denied --subresource=status --type=merge -p '{\"status\":{\"conditions\":[{\"type\":\"Denied\",\"status\":\"True\"}]}}'");
    for (arguments, asked) in [
        ("autoscale deployment web --max=3", 1),
        ("autoscale deploy/web --max=3 --name=x -o name", 1),
        ("autoscale deploy/web --max=3 --dry-run=server", 1),
        ("autoscale deploy/web --max=3 --field-manager=me", 1),
        ("certificate approve wish", 1),
        ("certificate deny wish nothing", 1),
        ("certificate approve csr/wish", 1),
        ("certificate approve denied", 0),
        ("certificate deny denied", 0),
        ("certificate deny denied --force", 1),
        ("certificate approve wish -o name", 1),
    ] {
        let (theirs, ours) = (asks(both.stock, arguments), asks(both.own, arguments));
        assert_eq!(ours, theirs, "kubectl {arguments}");
        assert_eq!(ours.1.len(), asked, "kubectl {arguments}: {ours:?}");
    }
}

/// What both programs say in a body, one in JSON and one in protobuf.
const WORDS: [&str; 12] = [
    "KubectlApprove",
    "KubectlDeny",
    "This CSR was approved by kubectl certificate approve.",
    "This CSR was denied by kubectl certificate deny.",
    "Approved",
    "Denied",
    "example.org/any",
    "HorizontalPodAutoscaler",
    "Deployment",
    "apps/v1",
    "Utilization",
    "CertificateSigningRequest",
];

/// A server that answers what custom resources cannot, and passes on everything else.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    proxy: Child,
}

impl Server {
    fn between(kubectl: &Kubectl) -> Server {
        let mut proxy = kubectl
            .command("proxy --port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start kubectl");
        let mut line = String::new();
        let stdout = proxy.stdout.as_mut().expect("standard output");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let behind = line
            .trim()
            .rsplit(' ')
            .next()
            .expect("an address")
            .to_string();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = asked.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (behind, noted) = (behind.clone(), noted.clone());
                // Whoever hangs up has heard enough.
                std::thread::spawn(move || serve(client, &behind, &noted));
            }
        });
        Server { port, asked, proxy }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("the notes"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

/// One request of a connection, which then ends.
fn serve(mut client: TcpStream, behind: &str, noted: &Mutex<Vec<String>>) -> Option<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let (line, rest) = head.split_once("\r\n")?;
    let is_autoscaler = line.starts_with("POST /apis/autoscaling/v2/");
    if !is_autoscaler && !line.contains("/approval") {
        let mut server = TcpStream::connect(behind).ok()?;
        write!(server, "{line}\r\nConnection: close\r\n{rest}").ok()?;
        let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        std::io::copy(&mut server, &mut client).ok()?;
        return client.shutdown(std::net::Shutdown::Both).ok();
    }
    let length = rest.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.parse::<usize>().ok())?
    });
    let mut body = vec![0; length?];
    client.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body);
    let said: Vec<&str> = WORDS
        .into_iter()
        .filter(|word| body.contains(word))
        .collect();
    noted
        .lock()
        .expect("the notes")
        .push(format!("{line} {said:?}"));
    let answer = match is_autoscaler {
        true => {
            "{\"kind\":\"HorizontalPodAutoscaler\",\"apiVersion\":\"autoscaling/v2\",\"metadata\":{\"name\":\"made\",\"namespace\":\"default\"}}"
        }
        false => {
            "{\"kind\":\"CertificateSigningRequest\",\"apiVersion\":\"certificates.k8s.io/v1\",\"metadata\":{\"name\":\"wish\"}}"
        }
    };
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    )
    .ok()
}
