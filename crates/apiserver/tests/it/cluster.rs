//! An API server on a loopback port over a store in memory, for tests of what
//! clients see. Everybody may do everything here: who may do what is the
//! business of crate `auth` and of the whole-cluster tests.

use apiserver::{Answer, KubeletAddress, Kubelets, Server, TokenClaims, TokenIssuer, edge};
use async_trait::async_trait;
use auth::{Attributes, Authenticator, Authorizer, Credentials, Decision, Rejected, Rules, User};
use meta::schema::Ref;
use meta::{Status, Value};
use registry::Registry;
use registry::hooks::Hooks;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use stdx::{Clock, Rng};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub struct Cluster {
    pub url: String,
    pub dir: tempfile::TempDir,
    _stop: DropGuard,
}

struct Anybody;

#[async_trait]
impl Authenticator for Anybody {
    async fn authenticate(&self, _: &Credentials<'_>) -> Result<Option<User>, Rejected> {
        Ok(Some(User::new(
            "tester",
            &["system:masters", "system:authenticated"],
        )))
    }
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
    fn issue(&self, _: &TokenClaims) -> Result<(String, i64), Status> {
        Err(Status::internal("no tokens here"))
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

impl Cluster {
    pub async fn start() -> Cluster {
        let clock = Clock::system();
        let store = Arc::new(store::memory(clock.clone(), Rng::system()));
        let kinds = api::kinds().map(Ref::Static);
        let registry = Arc::new(Registry::new(
            store,
            clock,
            Rng::system(),
            Default::default(),
            Hooks::default(),
            kinds,
        ));
        let feed = registry.start().await.expect("the caches fill");
        tokio::spawn(feed);
        let server = Server::new(
            registry,
            Arc::new(Anybody),
            Arc::new(Anything),
            Arc::new(Nobody),
            Arc::new(Nobody),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        tokio::spawn(edge::serve(Arc::new(server), listener, tls(), stop.clone()));
        let dir = tempfile::tempdir().expect("a directory");
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"{url}\", insecure-skip-tls-verify: true}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        );
        std::fs::write(dir.path().join("kubeconfig"), kubeconfig).expect("a kubeconfig");
        Cluster {
            url,
            dir,
            _stop: stop.drop_guard(),
        }
    }

    /// Runs kubectl; gives its output, or what it complains of.
    pub async fn kubectl(&self, args: &[&str], input: Option<&str>) -> Result<String, String> {
        use std::process::Stdio;
        use tokio::io::AsyncWriteExt as _;
        let mut command = tokio::process::Command::new("kubectl");
        command
            .args(args)
            .env("KUBECONFIG", self.dir.path().join("kubeconfig"))
            .env("HOME", self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("kubectl starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin
            .write_all(input.unwrap_or_default().as_bytes())
            .await
            .expect("kubectl reads");
        drop(stdin);
        let output = child.wait_with_output().await.expect("kubectl ends");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        match output.status.success() {
            true => Ok(text(output.stdout)),
            false => Err(text(output.stderr)),
        }
    }
}

/// Whether kubectl is there; tests that need it say so when they skip.
pub fn has_kubectl() -> bool {
    let there = Command::new("kubectl")
        .arg("version")
        .arg("--client")
        .output()
        .is_ok_and(|o| o.status.success());
    if !there {
        eprintln!("skipped: kubectl is not installed");
    }
    there
}

fn tls() -> Arc<rustls::ServerConfig> {
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

#[allow(dead_code)]
pub fn path_of(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

#[allow(dead_code)]
pub fn parse(text: &str) -> Value {
    codec::json::parse_value(text.as_bytes()).expect("JSON")
}
