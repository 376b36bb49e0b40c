//! An API server on a loopback port over a store in memory, for tests of what
//! clients see. Everybody may do everything here: who may do what is the
//! business of crate `auth` and of the whole-cluster tests.

#![allow(dead_code, reason = "each test and benchmark uses its part of it")]

use apiserver::{
    Answer, Body, Inbound, KubeletAddress, Kubelets, Server, TokenClaims, TokenIssuer, edge,
};
use async_trait::async_trait;
use auth::{Attributes, Authenticator, Authorizer, Credentials, Decision, Rejected, Rules, User};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use meta::schema::Ref;
use meta::{Status, Value};
use registry::hooks::Hooks;
use registry::{Notice, Registry, ServiceAllocator};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use stdx::{Clock, Rng};
use store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub struct Cluster {
    pub server: Arc<Server>,
    pub store: Arc<dyn Store>,
    pub url: String,
    pub dir: tempfile::TempDir,
    _stop: DropGuard,
}

struct Anybody;

#[async_trait]
impl Authenticator for Anybody {
    async fn authenticate(&self, _: &Credentials<'_>) -> Result<Option<User>, Rejected> {
        Ok(Some(tester()))
    }
}

fn tester() -> User {
    User::new("tester", &["system:masters", "system:authenticated"])
}

struct Anything;

impl Authorizer for Anything {
    fn authorize(&self, _: &Attributes<'_>) -> Decision {
        Decision::Allow(String::new())
    }
    fn rules(&self, _: &User, _: &str) -> Rules {
        Rules::default()
    }
}

struct Nobody;

impl TokenIssuer for Nobody {
    fn issue(&self, claims: &TokenClaims) -> Result<(String, i64), Status> {
        Ok((format!("token of {}", claims.name), 4_000_000_000))
    }
    fn default_audiences(&self) -> Vec<String> {
        vec!["test".into()]
    }
    fn jwks(&self) -> String {
        String::new()
    }
    fn discovery_document(&self) -> String {
        String::new()
    }
}

#[async_trait]
impl Kubelets for Nobody {
    async fn forward(
        &self,
        _: &KubeletAddress,
        _: &str,
        _: apiserver::Request,
    ) -> Result<Answer, Status> {
        Err(Status::internal("no kubelets here"))
    }
}

/// What the server said.
pub struct Reply {
    pub code: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn value(&self) -> Value {
        codec::json::parse_value(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {} {}", self.code, self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    }

    pub fn warnings(&self) -> Vec<String> {
        let all = self.headers.get_all("warning").iter();
        all.map(|v| v.to_str().unwrap_or_default().to_string())
            .collect()
    }

    /// The object, when all went well.
    pub fn ok(&self) -> Value {
        assert!(
            (200..300).contains(&self.code),
            "{} {}",
            self.code,
            self.text()
        );
        self.value()
    }

    /// `422 Invalid: message`
    pub fn failure(&self) -> String {
        let status = self.value();
        assert_eq!(status.str_at(&["kind"]), "Status", "{status}");
        assert_eq!(
            status.i64_at(&["code"]),
            Some(i64::from(self.code)),
            "{status}"
        );
        let (reason, message) = (status.str_at(&["reason"]), status.str_at(&["message"]));
        format!("{} {reason}: {message}", self.code)
    }
}

impl Cluster {
    pub async fn start() -> Cluster {
        let clock = Clock::system();
        let store = Arc::new(store::memory(clock.clone(), Rng::system()));
        Self::over(store, clock).await
    }

    pub async fn over(store: Arc<dyn Store>, clock: Clock) -> Cluster {
        Self::made_of(store, clock, Default::default()).await
    }

    /// A cluster with these admission plugins.
    pub async fn with(chain: admission::Chain) -> Cluster {
        let clock = Clock::system();
        let store = Arc::new(store::memory(clock.clone(), Rng::system()));
        Self::made_of(store, clock, chain).await
    }

    async fn made_of(store: Arc<dyn Store>, clock: Clock, chain: admission::Chain) -> Cluster {
        let kinds = api::kinds().map(Ref::Static);
        let allocator = ServiceAllocator {
            network: (Ipv4Addr::new(10, 43, 0, 0), 16),
            reserved: vec![Ipv4Addr::new(10, 43, 0, 1)],
            ports: (30000, 32767),
        };
        let registry = Arc::new(Registry::new(
            store.clone(),
            clock,
            Rng::system(),
            chain,
            Hooks::default().with("", "services", allocator),
            kinds,
        ));
        let feed = registry.start().await.expect("the caches fill");
        tokio::spawn(feed);
        let server = Arc::new(Server::new(
            registry,
            Arc::new(Anybody),
            Arc::new(Anything),
            Arc::new(Nobody),
            Arc::new(Nobody),
        ));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        tokio::spawn(edge::serve(server.clone(), listener, tls(), stop.clone()));
        let dir = tempfile::tempdir().expect("a directory");
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"{url}\", insecure-skip-tls-verify: true}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        );
        std::fs::write(dir.path().join("kubeconfig"), kubeconfig).expect("a kubeconfig");
        Cluster {
            server,
            store,
            url,
            dir,
            _stop: stop.drop_guard(),
        }
    }

    /// What a loop of the same process would be answered.
    pub async fn answer(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a header's name");
            map.append(name, HeaderValue::from_str(value).expect("a header"));
        }
        let inbound = Inbound {
            method: Method::from_bytes(method.as_bytes()).expect("a method"),
            path: path.into(),
            query: query.into(),
            headers: map,
            body: body.into(),
            user: Some(tester()),
            ..Inbound::default()
        };
        self.server.handle(inbound).await
    }

    /// One request and its whole answer.
    pub async fn ask(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let answer = self.answer(method, uri, headers, body).await;
        let body = match answer.body {
            Body::Full(bytes) => bytes,
            Body::Pieces(pieces) => pieces.collect::<Vec<_>>().await.concat().into(),
            Body::Notices(_) => panic!("{uri} is a watch"),
            Body::Foreign(_) => panic!("{uri} is foreign"),
        };
        Reply {
            code: answer.status.as_u16(),
            headers: answer.headers,
            body,
        }
    }

    pub async fn get(&self, uri: &str) -> Reply {
        self.ask("GET", uri, &[], "").await
    }

    pub async fn delete(&self, uri: &str) -> Reply {
        self.ask("DELETE", uri, &[], "").await
    }

    pub async fn post(&self, uri: &str, object: &Value) -> Reply {
        self.ask("POST", uri, &[], object.to_json()).await
    }

    pub async fn put(&self, uri: &str, object: &Value) -> Reply {
        self.ask("PUT", uri, &[], object.to_json()).await
    }

    /// `json`, `merge` or `strategic-merge`.
    pub async fn patch(&self, kind: &str, uri: &str, patch: &Value) -> Reply {
        let media = format!("application/{kind}-patch+json");
        self.ask("PATCH", uri, &[("content-type", &media)], patch.to_json())
            .await
    }

    pub async fn apply(&self, uri: &str, config: &Value) -> Reply {
        let media = [("content-type", "application/apply-patch+yaml")];
        self.ask("PATCH", uri, &media, config.to_json()).await
    }

    /// A watch, which must begin.
    pub async fn watch(&self, uri: &str, headers: &[(&str, &str)]) -> BoxStream<'static, Notice> {
        let answer = self.answer("GET", uri, headers, "").await;
        match answer.body {
            Body::Notices(notices) => notices,
            Body::Full(bytes) => panic!("{uri}: {}", String::from_utf8_lossy(&bytes)),
            _ => panic!("{uri} is no watch"),
        }
    }

    /// The next so many notices, as `ADDED name resourceVersion`.
    pub async fn told(notices: &mut BoxStream<'static, Notice>, count: usize) -> Vec<String> {
        let mut told = Vec::new();
        while told.len() < count {
            let next = tokio::time::timeout(std::time::Duration::from_secs(20), notices.next());
            match next.await {
                Ok(Some(notice)) => told.push(shown(&notice)),
                Ok(None) => told.push("end".into()),
                Err(_) => panic!("nothing more after {told:?}"),
            }
        }
        told
    }

    /// Runs kubectl; gives its output, or what it complains of.
    pub async fn kubectl(&self, args: &[&str], input: Option<&str>) -> Result<String, String> {
        self.run("kubectl", args, input).await
    }

    /// Runs a kubectl; gives its output, or what it complains of.
    pub async fn run(
        &self,
        program: &str,
        args: &[&str],
        input: Option<&str>,
    ) -> Result<String, String> {
        use std::process::Stdio;
        use tokio::io::AsyncWriteExt as _;
        let mut command = tokio::process::Command::new(program);
        command
            .args(args)
            .env("KUBECONFIG", self.dir.path().join("kubeconfig"))
            .env("HOME", self.dir.path())
            .env_remove("KUBECTL_COMMAND_HEADERS")
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // It may end before it has read everything.
        let _ = stdin.write_all(input.unwrap_or_default().as_bytes()).await;
        drop(stdin);
        let bound = std::time::Duration::from_secs(60);
        let Ok(output) = tokio::time::timeout(bound, child.wait_with_output()).await else {
            panic!("{program} {args:?} does not end");
        };
        let output = output.expect("the program ends");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        match output.status.success() {
            true => Ok(text(output.stdout)),
            false => Err(format!("{}{}", text(output.stdout), text(output.stderr))),
        }
    }
}

fn shown(notice: &Notice) -> String {
    let object = codec::json::parse_value(&notice.object).expect("JSON");
    match notice.kind {
        registry::NoticeKind::Error => {
            format!(
                "ERROR {:?} {}",
                object.i64_at(&["code"]),
                object.str_at(&["reason"])
            )
        }
        kind => {
            let name = object.str_at(&["metadata", "name"]);
            let revision = object.str_at(&["metadata", "resourceVersion"]);
            format!("{} {name} {revision}", kind.as_str())
        }
    }
}

/// The kubectls that are there; tests that need one say so when they skip.
pub fn kubectls() -> Vec<String> {
    let mut found = Vec::new();
    let known = (27..=37).map(|minor| format!("/usr/lib/google-cloud-sdk/bin/kubectl.1.{minor}"));
    for program in std::iter::once("kubectl".to_string()).chain(known) {
        let works = std::process::Command::new(&program)
            .args(["version", "--client"])
            .output();
        if works.is_ok_and(|o| o.status.success()) {
            found.push(program);
        }
    }
    if found.is_empty() {
        eprintln!("skipped: kubectl is not installed");
    }
    found
}

/// Whether kubectl is there; tests that need it say so when they skip.
pub fn has_kubectl() -> bool {
    kubectls().iter().any(|k| k == "kubectl")
}

pub fn tls() -> Arc<rustls::ServerConfig> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()])
        .expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(made.cert.der().to_vec())], key)
        .expect("a server configuration");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Writes a file; gives its path.
pub fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

pub fn parse(text: &str) -> Value {
    codec::json::parse_value(text.as_bytes()).expect("JSON")
}
