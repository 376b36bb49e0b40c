//! The door, over real TLS on a free port, before a fake runtime and API server.

use super::*;
use crate::config::Config;
use crate::fakes::{FakeCgroups, FakeEvents, FakeImages, FakeMachine, FakeMounts, FakeNetwork};
use crate::kubelet::Doors;
use container::fake::FakeRuntime;
use container::runtime::ExecOutput;
use futures::{SinkExt, StreamExt};
use informer::Factory;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use stdx::{Clock, Rng, Supervisor};
use testkit::FakeApi;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

struct Ca {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new(name: &str) -> Ca {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Ca {
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn issue(&self, name: &str, group: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(vec!["node1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (certificate.der().clone(), key.into())
    }
}

#[derive(Debug)]
struct Shown(Arc<rustls::sign::CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(
        &self,
        _hello: rustls::server::ClientHello<'_>,
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

struct House {
    ca: Ca,
    port: u16,
    api: FakeApi,
    runtime: Arc<FakeRuntime>,
    _supervisor: Supervisor,
    temp: tempfile::TempDir,
}

impl House {
    async fn new() -> House {
        House::configured(|_| {}).await
    }

    async fn configured(change: impl FnOnce(&mut Config)) -> House {
        let clock = Clock::system();
        let api = FakeApi::new(clock.clone(), Rng::seeded(1));
        let client = client::Client::new(Arc::new(Reviewing(api.clone())));
        let temp = tempfile::tempdir().unwrap();
        let supervisor = Supervisor::new("kubelet");
        let informers = Factory::new(
            api.client(),
            clock.clone(),
            Rng::seeded(2),
            supervisor.child("informers"),
        );
        let wall = clock.clone();
        let now = move || i64::try_from(wall.wall().as_nanosecond()).unwrap_or(0);
        let runtime = Arc::new(FakeRuntime::new(Arc::new(now)));
        let doors = Doors {
            runtime: runtime.clone(),
            images: Arc::new(FakeImages::default()),
            network: Arc::new(FakeNetwork::default()),
            mounts: Arc::new(FakeMounts::default()),
            cgroups: Arc::new(FakeCgroups::default()),
            machine: Arc::new(FakeMachine::default()),
            prober: None,
            events: Some(Arc::new(FakeEvents::default())),
        };
        let mut config = Config::new("node1", temp.path());
        change(&mut config);
        let handle = crate::run(
            config,
            client,
            doors,
            &informers,
            clock,
            Rng::seeded(3),
            supervisor.clone(),
        )
        .await
        .unwrap();
        let ca = Ca::new("cluster");
        let (certificate, key) = ca.issue("node1", "nodes");
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let shown = rustls::sign::CertifiedKey::new(vec![certificate], key);
        let door = Door {
            certificate: Arc::new(Shown(Arc::new(shown))),
            client_ca: vec![ca.certificate.clone()],
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        serve(&handle, listener, door).unwrap();
        House {
            ca,
            port,
            api,
            runtime,
            _supervisor: supervisor,
            temp,
        }
    }

    async fn with_pod() -> House {
        House::new().await.and_pod().await
    }

    async fn and_pod(self) -> House {
        let house = self;
        house.api.create(
            "pods",
            json!({
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {"nodeName": "node1", "containers": [{"name": "a", "image": "busybox"}]},
                "status": {"phase": "Pending"},
            }),
        );
        for _ in 0..500 {
            let pod = house.api.get("pods", "default", "web").unwrap_or_default();
            if pod["status"]["phase"] == "Running" {
                return house;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the pod never ran");
    }

    async fn connect(
        &self,
        who: Option<(&str, &Ca)>,
    ) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match who {
            None => builder.with_no_client_auth(),
            Some((name, ca)) => {
                let (certificate, key) = ca.issue(name, "people");
                builder
                    .with_client_auth_cert(vec![certificate], key)
                    .unwrap()
            }
        };
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("node1").unwrap();
        connector.connect(name, stream).await.unwrap()
    }

    async fn send(
        &self,
        who: Option<(&str, &Ca)>,
        request: Request<Full<Bytes>>,
    ) -> Response<Incoming> {
        let stream = TokioIo::new(self.connect(who).await);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.unwrap()
    }

    async fn get(&self, who: Option<(&str, &Ca)>, path: &str) -> (u16, String) {
        let request = Request::get(path).header("host", "node1");
        let answer = self.send(who, request.body(Full::default()).unwrap()).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn open(
        &self,
        path: &str,
        protocol: &str,
    ) -> Result<WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>, String> {
        let request = Request::get(path)
            .header("host", "node1")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", protocol);
        let request = request.body(Full::default()).unwrap();
        let answer = self.send(Some(("admin", &self.ca)), request).await;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            return Err(String::from_utf8_lossy(&body).into_owned());
        }
        assert_eq!(answer.headers()["sec-websocket-protocol"], protocol);
        assert_eq!(
            answer.headers()["sec-websocket-accept"],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        let upgraded = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
        Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await)
    }

    async fn listen(&self, path: &str, protocol: &str, send: &[&[u8]]) -> Vec<(u8, String)> {
        let mut socket = self.open(path, protocol).await.unwrap();
        for bytes in send {
            let message = Message::Binary(Bytes::copy_from_slice(bytes));
            socket.send(message).await.unwrap();
        }
        let mut heard: Vec<(u8, String)> = Vec::new();
        while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
            let text = String::from_utf8_lossy(&bytes[1..]).into_owned();
            heard.push((bytes[0], text));
        }
        heard
    }
}

/// The double of the API server, with reviews: `admin` may do anything, the token
/// `good` is admin's, nobody else may do anything.
struct Reviewing(FakeApi);

#[async_trait::async_trait]
impl client::Transport for Reviewing {
    async fn call(
        &self,
        request: client::Request,
    ) -> Result<client::Response, client::TransportError> {
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let status = if request.path.contains("/tokenreviews") {
            let good = asked["spec"]["token"] == "good";
            json!({"authenticated": good, "user": {"username": "admin"}})
        } else if request.path.contains("/subjectaccessreviews") {
            let spec = &asked["spec"];
            assert_eq!(spec["resourceAttributes"]["name"], "node1");
            json!({"allowed": spec["user"] == "admin"})
        } else {
            return self.0.call(request).await;
        };
        let body = json!({"metadata": {}, "spec": asked["spec"], "status": status});
        Ok(client::Response {
            status: StatusCode::CREATED,
            headers: http::HeaderMap::new(),
            body: client::Body::Full(body.to_string().into()),
        })
    }
}

#[tokio::test]
async fn who_may_not_stays_outside() {
    let house = House::new().await;
    let admin = Some(("admin", &house.ca));
    assert_eq!(house.get(admin, "/healthz").await, (200, "ok".into()));
    assert_eq!(house.get(None, "/healthz").await.0, 401);
    let other = Ca::new("another");
    assert_eq!(house.get(Some(("admin", &other)), "/healthz").await.0, 401);
    let (status, words) = house.get(Some(("guest", &house.ca)), "/pods").await;
    assert_eq!(status, 403);
    assert_eq!(
        words,
        "Forbidden (user=guest, verb=get, resource=nodes, subresource(s)=[pods])\n"
    );
    for (token, want) in [("good", 200), ("bad", 401)] {
        let request = Request::get("/healthz")
            .header("host", "node1")
            .header("authorization", format!("Bearer {token}"));
        let request = request.body(Full::default()).unwrap();
        assert_eq!(
            house.send(None, request).await.status().as_u16(),
            want,
            "{token}"
        );
    }
    assert_eq!(house.get(admin, "/nowhere").await.0, 404);
}

#[tokio::test]
async fn pods_logs_and_numbers() {
    let house = House::with_pod().await;
    let admin = Some(("admin", &house.ca));
    let (status, body) = house.get(admin, "/pods").await;
    let list: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &list["items"][0]["metadata"]["name"]),
        (200, &json!("web"))
    );
    let (_, body) = house.get(admin, "/runningpods/").await;
    assert!(body.contains("\"name\":\"a\""), "{body}");
    let uid = house.api.get("pods", "default", "web").unwrap()["metadata"]["uid"].clone();
    let uid = uid.as_str().unwrap().to_owned();
    let log = house.runtime.find(&uid, "a").unwrap().log_path.unwrap();
    assert!(log.starts_with(house.temp.path()));
    std::fs::write(&log, "t stdout F one\nt stderr F two\n").unwrap();
    let path = "/containerLogs/default/web/a";
    assert_eq!(house.get(admin, path).await, (200, "one\ntwo\n".into()));
    let (_, body) = house.get(admin, &format!("{path}?tailLines=1")).await;
    assert_eq!(body, "two\n");
    for (path, status, words) in [
        (
            "/containerLogs/default/web/b",
            404,
            "container \"b\" not found in pod \"web\"",
        ),
        (
            "/containerLogs/default/nope/a",
            404,
            "pod \"nope\" does not exist",
        ),
        (
            "/containerLogs/default/web/a?previous=true",
            400,
            "previous terminated container \"a\" in pod \"web\" not found",
        ),
    ] {
        assert_eq!(house.get(admin, path).await, (status, words.to_owned()));
    }
    assert_eq!(
        house.get(admin, &format!("{path}?tailLines=x")).await.0,
        422
    );
    let (_, body) = house.get(admin, "/metrics").await;
    assert!(body.contains("kubelet_started_pods_total 1"), "{body}");
    let (_, body) = house.get(admin, "/metrics/resource").await;
    assert!(
        body.contains(
            "container_cpu_usage_seconds_total{container=\"a\",namespace=\"default\",pod=\"web\"}"
        ),
        "{body}"
    );
    let (_, body) = house.get(admin, "/stats/summary").await;
    let summary: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(summary["pods"][0]["podRef"]["name"], "web");
}

#[tokio::test]
async fn commands_have_streams_and_an_outcome() {
    let house = House::with_pod().await;
    let output = |code: i32| ExecOutput {
        stdout: b"out".to_vec(),
        stderr: b"err".to_vec(),
        exit_code: code,
    };
    house.runtime.script_exec("a", &["ls", "a b"], output(0));
    house.runtime.script_exec("a", &["bad"], output(3));
    let path = "/exec/default/web/a?command=ls&command=a%20b&output=1&error=1";
    let mut heard = house.listen(path, "v5.channel.k8s.io", &[]).await;
    let outcome = heard.pop().unwrap();
    heard.sort();
    assert_eq!(heard, [(1, "out".into()), (2, "err".into())]);
    let outcome: (u8, Value) = (outcome.0, serde_json::from_str(&outcome.1).unwrap());
    assert_eq!(outcome, (3, json!({"metadata": {}, "status": "Success"})));
    let heard = house
        .listen(
            "/exec/default/web/a?command=bad&stdout=true",
            "v4.channel.k8s.io",
            &[],
        )
        .await;
    let outcome: Value = serde_json::from_str(&heard.last().unwrap().1).unwrap();
    assert_eq!(outcome["reason"], "NonZeroExitCode");
    assert_eq!(
        outcome["details"]["causes"][0],
        json!({"reason": "ExitCode", "message": "3"})
    );
    for (path, protocol, words) in [
        (
            "/exec/default/web/a?output=1",
            "v5.channel.k8s.io",
            "you must specify a command",
        ),
        (
            "/exec/default/web/a?command=ls",
            "v5.channel.k8s.io",
            "you must specify at least 1 of stdin, stdout, stderr",
        ),
        (
            "/exec/default/web/b?command=ls&output=1",
            "v5.channel.k8s.io",
            "container not found (\"b\")",
        ),
        (
            "/exec/default/web/a?command=ls&output=1",
            "odd",
            "none of the offered streaming protocols [odd] is supported; supported are [v5.channel.k8s.io v4.channel.k8s.io]",
        ),
    ] {
        assert_eq!(
            house.open(path, protocol).await.err(),
            Some(words.to_owned())
        );
    }
}

#[tokio::test]
async fn attached_streams_and_forwarded_ports_echo() {
    let house = House::with_pod().await;
    let path = "/attach/default/web/a?stdin=1&stdout=1";
    let close_stdin: &[u8] = &[255, 0];
    let heard = house
        .listen(path, "v5.channel.k8s.io", &[b"\0hello", close_stdin])
        .await;
    assert_eq!(heard[0], (1, "hello".to_owned()));
    assert_eq!(heard.last().unwrap().0, 3);
    let mut socket = house
        .open("/portForward/default/web?ports=80", "v4.channel.k8s.io")
        .await
        .unwrap();
    let mut heard = Vec::new();
    for _ in 0..2 {
        heard.push(socket.next().await.unwrap().unwrap().into_data().to_vec());
    }
    assert_eq!(heard, [vec![0, 80, 0], vec![1, 80, 0]]);
    socket
        .send(Message::Binary(Bytes::from_static(b"\0ping")))
        .await
        .unwrap();
    let answer = socket.next().await.unwrap().unwrap();
    assert_eq!(&answer.into_data()[..], b"\0ping");
}

#[tokio::test]
async fn streams_end_when_nothing_is_said() {
    let short = |config: &mut Config| config.streaming_idle_timeout = Duration::from_millis(600);
    let house = House::configured(short).await.and_pod().await;
    for (path, protocol) in [
        (
            "/attach/default/web/a?stdin=1&stdout=1",
            "v5.channel.k8s.io",
        ),
        ("/portForward/default/web?ports=80", "v4.channel.k8s.io"),
    ] {
        let mut socket = house.open(path, protocol).await.unwrap();
        for _ in 0..5 {
            // Longer than it may be silent, all together.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let word = Message::Binary(Bytes::from_static(b"\0word"));
            socket.send(word).await.unwrap();
            while !socket
                .next()
                .await
                .unwrap()
                .unwrap()
                .into_data()
                .ends_with(b"word")
            {}
        }
        let ended = async { while let Some(Ok(_)) = socket.next().await {} };
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
        assert!(ended.is_ok(), "{path}");
    }
}

mod spdy;
