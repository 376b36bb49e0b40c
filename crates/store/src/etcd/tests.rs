//! The contract on a real etcd, where there is one.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use super::*;
use crate::contract;

const BINARY: &str = "/usr/bin/etcd";

/// A member of an etcd cluster, which ends with the test.
struct Server {
    child: Child,
    url: String,
    _dir: tempfile::TempDir,
}

impl Server {
    /// A cluster of one; none if there is no etcd on this machine.
    fn start(scheme: &str, arguments: &[String]) -> Option<Self> {
        Self::cluster(scheme, 1, arguments)?.pop()
    }

    fn cluster(scheme: &str, size: usize, arguments: &[String]) -> Option<Vec<Self>> {
        if !Path::new(BINARY).exists() {
            println!("skipped: {BINARY} is absent");
            return None;
        }
        let ports: Vec<_> = (0..size).map(|_| free_port()).collect();
        let peers = ports.iter().map(|port| format!("http://127.0.0.1:{port}"));
        let peers: Vec<_> = peers.collect();
        let names = peers.iter().enumerate();
        let names: Vec<_> = names.map(|(n, peer)| format!("m{n}={peer}")).collect();
        let names = names.join(",");
        let members = peers.iter().enumerate();
        let members = members.map(|(n, peer)| Self::member(scheme, n, peer, &names, arguments));
        Some(members.collect())
    }

    fn member(scheme: &str, number: usize, peer: &str, names: &str, arguments: &[String]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("{scheme}://127.0.0.1:{}", free_port());
        let child = Command::new(BINARY)
            .arg("--data-dir")
            .arg(dir.path())
            .args(["--name", &format!("m{number}")])
            .args(["--listen-client-urls", &url])
            .args(["--advertise-client-urls", &url])
            .args(["--listen-peer-urls", peer])
            .args(["--initial-advertise-peer-urls", peer])
            .args(["--initial-cluster", names])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _dir = dir;
        Self { child, url, _dir }
    }

    async fn connect(&self, endpoints: Endpoints) -> Etcd {
        let urls = vec![self.url.clone()];
        connect(Endpoints { urls, ..endpoints }).await
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn connect(endpoints: Endpoints) -> Etcd {
    let clock = Clock::system();
    let options = EtcdOptions {
        compaction_interval: None,
        ..EtcdOptions::default()
    };
    let mut attempts = 0;
    loop {
        let error = match Etcd::connect(&endpoints, clock.clone(), options.clone()).await {
            // Answers begin before there is a leader.
            Ok(etcd) if etcd.revision().await.is_ok() => return etcd,
            Ok(_) => None,
            Err(error) => Some(error),
        };
        attempts += 1;
        assert!(attempts < 600, "etcd does not answer: {error:?}");
        clock.sleep(Duration::from_millis(50)).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_keeps_the_contract() {
    let Some(server) = Server::start("http", &[]) else {
        return;
    };
    let etcd = server.connect(Endpoints::default()).await;
    let tells_progress = etcd.tells_progress();
    contract::check(Arc::new(etcd), Clock::system(), tells_progress).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_ends_everything() {
    let Some(server) = Server::start("http", &[]) else {
        return;
    };
    let etcd = server.connect(Endpoints::default()).await;
    let now = etcd.revision().await.unwrap();
    let from = WatchFrom::new(Span::all(), now);
    let mut watch = etcd.watch(from).await.unwrap();
    etcd.close().await;
    assert!(watch.next().await.is_none());
    assert!(matches!(etcd.get(b"a", None).await, Err(Error::Closed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_may_fail() {
    let Some(mut members) = Server::cluster("http", 3, &[]) else {
        return;
    };
    let urls = members.iter().map(|member| member.url.clone()).collect();
    let etcd = connect(Endpoints {
        urls,
        ..Endpoints::default()
    })
    .await;
    let mut acknowledged = Vec::new();
    for number in 0..60 {
        if number == 20 {
            // The member in use is the first.
            members[0].kill();
        }
        let key = format!("k{number:02}");
        let mut attempts = 0;
        loop {
            let txn = Txn::default().put(key.clone(), "v");
            match etcd.txn(txn).await {
                Ok(_) => break,
                Err(error) => {
                    attempts += 1;
                    assert!(attempts < 100, "{error:?}");
                    etcd.clock.sleep(Duration::from_millis(100)).await;
                }
            }
        }
        acknowledged.push(key);
    }
    let page = etcd.range(Range::new(Span::prefix("k"))).await.unwrap();
    let found: Vec<_> = page.records.into_iter().map(|record| record.key).collect();
    assert_eq!(found, acknowledged);
    let from = WatchFrom::new(Span::all(), Revision(page.revision.0 - 1));
    let mut watch = etcd.watch(from).await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap().events.len(), 1);
}

#[tokio::test]
async fn what_was_not_sent_did_not_happen() {
    let nobody = Endpoints {
        urls: vec![format!("http://127.0.0.1:{}", free_port())],
        ..Endpoints::default()
    };
    let connection = Connection::new(&nobody, Clock::system()).await.unwrap();
    let status = connection.txn(TxnRequest::default()).await.unwrap_err();
    let error = backend("committing", status);
    assert!(!error.outcome_unknown(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_of_compaction_are_shared() {
    let Some(server) = Server::start("http", &[]) else {
        return;
    };
    let etcd = server.connect(Endpoints::default()).await;
    for number in 0..20 {
        let txn = Txn::default().put("k", number.to_string());
        etcd.txn(txn).await.unwrap();
    }
    assert_eq!(etcd.compacted().await.unwrap(), Revision::ZERO);
    let clock = Clock::system();
    let interval = Duration::from_millis(100);
    let compactors: Vec<_> = (0..2)
        .map(|_| compactor::run(etcd.connection.clone(), clock.clone(), interval))
        .map(tokio::spawn)
        .collect();
    let mut compacted = Revision::ZERO;
    for _ in 0..600 {
        compacted = etcd.compacted().await.unwrap();
        if compacted > Revision(20) {
            break;
        }
        clock.sleep(interval).await;
    }
    assert!(compacted > Revision(20));
    for compactor in compactors {
        compactor.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_of_tls_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_cert = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    std::fs::write(file("ca.crt"), ca_cert.pem()).unwrap();
    for name in ["server", "client"] {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned()];
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![
            rcgen::ExtendedKeyUsagePurpose::ServerAuth,
            rcgen::ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let cert = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(file(&format!("{name}.crt")), cert.pem()).unwrap();
        std::fs::write(file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
    let path = |name: &str| file(name).display().to_string();
    let arguments = [
        format!("--trusted-ca-file={}", path("ca.crt")),
        format!("--cert-file={}", path("server.crt")),
        format!("--key-file={}", path("server.key")),
        "--client-cert-auth".to_owned(),
    ];
    let Some(server) = Server::start("https", &arguments) else {
        return;
    };
    let known = Endpoints {
        cafile: Some(file("ca.crt")),
        certfile: Some(file("client.crt")),
        keyfile: Some(file("client.key")),
        ..Endpoints::default()
    };
    let etcd = server.connect(known.clone()).await;
    let txn = Txn::create("a", "1");
    assert!(etcd.txn(txn).await.unwrap().committed().is_some());

    let unknown = Endpoints {
        urls: vec![server.url.clone()],
        certfile: None,
        keyfile: None,
        ..known
    };
    let options = EtcdOptions::default();
    let refused = Etcd::connect(&unknown, Clock::system(), options).await;
    assert!(
        matches!(refused, Err(ConnectError::Unreachable { .. })),
        "{:?}",
        refused.err()
    );
}

#[tokio::test]
async fn incomplete_endpoints_are_refused_by_name() {
    let https = vec!["https://127.0.0.1:1".to_owned()];
    let file = || Some("/nonexistent".into());
    for (endpoints, expected) in [
        (Endpoints::default(), "no etcd endpoint is given"),
        (
            Endpoints {
                urls: vec!["ftp://a".to_owned()],
                ..Endpoints::default()
            },
            "etcd endpoint ftp://a: its scheme is neither http nor https",
        ),
        (
            Endpoints {
                urls: https.clone(),
                ..Endpoints::default()
            },
            "an https endpoint is given without a CA file",
        ),
        (
            Endpoints {
                urls: https,
                cafile: file(),
                ..Endpoints::default()
            },
            "reading /nonexistent",
        ),
    ] {
        let options = EtcdOptions::default();
        let refused = Etcd::connect(&endpoints, Clock::system(), options).await;
        assert_eq!(refused.err().unwrap().to_string(), expected);
    }
}

#[test]
fn versions_with_ordered_progress() {
    for (version, expected) in [
        ("3.4.23", false),
        ("3.4.31", true),
        ("3.5.12", false),
        ("3.5.13", true),
        ("3.6.0-rc.1", true),
        ("4.0.0", true),
        ("nonsense", false),
    ] {
        assert_eq!(tells_progress(version), expected, "{version}");
    }
}
