//! The transport against a server on loopback, plain and with TLS and a client certificate.

use super::*;
use crate::Client;
use crate::options::ListOptions;
use futures::TryStreamExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use typed::api::core::v1::{ConfigMap, Pod};

/// Answers with what it saw: the path as the object's name, HTTP version and token as labels.
async fn answer(
    mut request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    if request.headers().contains_key(http::header::UPGRADE) {
        return Ok(echo(&mut request));
    }
    let path = request.uri().path().replace('/', ".");
    let token = request
        .headers()
        .get(AUTHORIZATION)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    if path.ends_with("missing") {
        let body = r#"{"kind":"Status","status":"Failure","reason":"NotFound","code":404,"message":"configmaps \"missing\" not found"}"#;
        return Ok(http::Response::builder()
            .status(404)
            .body(Full::from(body))
            .unwrap_or_default());
    }
    let object = serde_json::json!({"metadata": {"name": path, "labels": {
        "version": format!("{:?}", request.version()), "token": token.unwrap_or_default(),
    }}});
    if request
        .uri()
        .query()
        .is_some_and(|query| query.contains("watch=true"))
    {
        let event = format!("{{\"type\":\"ADDED\",\"object\":{object}}}\n");
        return Ok(http::Response::new(Full::from(event.repeat(2))));
    }
    Ok(http::Response::new(Full::from(object.to_string())))
}

/// Speaks "echo" from now on, after a word about the HTTP version that was spoken before.
fn echo(request: &mut http::Request<Incoming>) -> http::Response<Full<Bytes>> {
    let (version, upgrade) = (request.version(), hyper::upgrade::on(request));
    tokio::spawn(async move {
        let mut io = TokioIo::new(upgrade.await.unwrap());
        let greeting = format!("{version:?}");
        tokio::io::AsyncWriteExt::write_all(&mut io, greeting.as_bytes())
            .await
            .unwrap();
        let (mut reader, mut writer) = tokio::io::split(io);
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    });
    http::Response::builder()
        .status(101)
        .header(http::header::CONNECTION, "Upgrade")
        .header(http::header::UPGRADE, "echo")
        .body(Full::default())
        .unwrap()
}

pub(super) async fn serve(tls: Option<TlsAcceptor>) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                match tls {
                    None => drop(
                        builder
                            .serve_connection_with_upgrades(TokioIo::new(tcp), service_fn(answer))
                            .await,
                    ),
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(tcp).await {
                            drop(
                                builder
                                    .serve_connection_with_upgrades(
                                        TokioIo::new(stream),
                                        service_fn(answer),
                                    )
                                    .await,
                            );
                        }
                    }
                }
            });
        }
    });
    (port, server)
}

fn client(config: &HttpConfig) -> Client {
    Client::new(Arc::new(
        HttpTransport::new(config, stdx::Clock::system()).unwrap(),
    ))
}

#[tokio::test]
async fn plain_http_with_a_token_file_that_changes() {
    let (port, server) = serve(None).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "one\n").unwrap();
    let server_url = format!("http://127.0.0.1:{port}/prefix/");
    let config = HttpConfig {
        server: server_url,
        token: Some(Token::File(file.clone())),
        ..Default::default()
    };
    let api = client(&config).api::<ConfigMap>().namespace("a");
    let read = api.get("b").await.unwrap();
    assert_eq!(
        read.metadata.name.as_deref(),
        Some(".prefix.api.v1.namespaces.a.configmaps.b")
    );
    assert_eq!(read.metadata.labels.unwrap()["token"], "Bearer one");
    assert!(api.get("missing").await.unwrap_err().is_not_found());
    std::fs::remove_file(&file).unwrap();
    assert!(api.get("b").await.is_ok(), "the last token stays in use");
    let fresh = client(&config)
        .api::<ConfigMap>()
        .namespace("a")
        .get("b")
        .await
        .unwrap_err();
    assert!(
        matches!(
            fresh,
            crate::Error::Transport {
                source: TransportError::Credential { .. },
                ..
            }
        ),
        "{fresh}"
    );
    server.abort();
}

pub(super) struct Authority(pub(super) CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn issue(&self, name: &str) -> (String, KeyPair) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key)
    }
}

pub(super) fn acceptor(authority: &Authority) -> TlsAcceptor {
    use rustls_pki_types::pem::PemObject;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::clone(&provider),
    );
    let (certificate, key) = authority.issue("server");
    let certificate =
        rustls_pki_types::CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key =
        rustls_pki_types::PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn tls_with_a_client_certificate_speaks_http2() {
    let authority = Authority::new();
    let (port, server) = serve(Some(acceptor(&authority))).await;
    let (certificate, key) = authority.issue("me");
    let config = HttpConfig {
        server: format!("https://127.0.0.1:{port}"),
        ca: Some(Pem::Data(authority.0.pem().into_bytes())),
        client_certificate: Some((
            Pem::Data(certificate.into_bytes()),
            Pem::Data(key.serialize_pem().into_bytes()),
        )),
        ..Default::default()
    };
    let read = client(&config)
        .api::<ConfigMap>()
        .namespace("a")
        .get("b")
        .await
        .unwrap();
    assert_eq!(read.metadata.labels.unwrap()["version"], "HTTP/2.0");
    let watch = client(&config)
        .api::<Pod>()
        .watch(&ListOptions::default())
        .await
        .unwrap();
    assert_eq!(watch.try_collect::<Vec<_>>().await.unwrap().len(), 2);

    upgrades(&HttpTransport::new(&config, stdx::Clock::system()).unwrap()).await;

    let stranger = HttpConfig {
        ca: Some(Pem::Data(Authority::new().0.pem().into_bytes())),
        ..config.clone()
    };
    let error = client(&stranger)
        .api::<Pod>()
        .namespace("a")
        .get("b")
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            crate::Error::Transport {
                source: TransportError::Connect { .. },
                ..
            }
        ),
        "{error}"
    );
    let careless = HttpConfig {
        insecure_skip_tls_verify: true,
        ca: None,
        ..config
    };
    assert!(
        client(&careless)
            .api::<Pod>()
            .namespace("a")
            .get("b")
            .await
            .is_ok()
    );
    server.abort();
}

/// Connections are upgraded over HTTP/1.1, also where others speak HTTP/2.
pub(super) async fn upgrades(transport: &HttpTransport) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut asked = Request {
        path: "/a".into(),
        ..Request::default()
    };
    let headers = &mut asked.headers;
    headers.insert(http::header::CONNECTION, "Upgrade".parse().unwrap());
    headers.insert(http::header::UPGRADE, "echo".parse().unwrap());
    let Upgrade::Switched(answer, mut io) = transport.upgrade(asked).await.unwrap() else {
        panic!("refused");
    };
    assert_eq!(answer[http::header::UPGRADE], "echo");
    io.write_all(b" hello").await.unwrap();
    let mut heard = [0; 14];
    io.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"HTTP/1.1 hello");
    let plain = Request {
        path: "/missing".into(),
        ..Request::default()
    };
    match transport.upgrade(plain).await.unwrap() {
        Upgrade::Refused(response) => assert_eq!(response.status, 404),
        Upgrade::Switched(..) => panic!("nobody asked for it"),
    }
}

#[test]
fn a_server_without_an_authority_is_refused() {
    let config = HttpConfig {
        server: "https://127.0.0.1:1".into(),
        ..Default::default()
    };
    let error = HttpTransport::new(&config, stdx::Clock::system())
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "no certificate authority given for https://127.0.0.1:1"
    );
    let config = HttpConfig {
        server: "127.0.0.1".into(),
        ..Default::default()
    };
    assert!(HttpTransport::new(&config, stdx::Clock::system()).is_err());
}
