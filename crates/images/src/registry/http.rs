//! HTTP/1.1 to registries: connections, TLS as configured per host, and time
//! limits on everything that a registry can be slow with.

use std::{
    collections::HashMap,
    error::Error as StdError,
    io,
    path::Path,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, rt::ReadBufCursor};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo},
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use stdx::Clock;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::config::{ConfigError, Registries, Tls};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(30);
/// How long a registry may say nothing, before an answer or within one.
/// Upstream gives up a pull that has not moved for a minute.
const SILENCE: Duration = Duration::from_secs(60);

/// What is sent with a request.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A request got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Connect(#[from] ConnectError),
    #[error("{0}")]
    Other(String),
    #[error("the registry said nothing for {}s", SILENCE.as_secs())]
    Silent,
}

/// A connection did not come about. Texts are those of Go's dialer, where it
/// has one.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("dial tcp {address}: {why}")]
    Dial { address: String, why: String },
    #[error("tls: {0}")]
    Tls(String),
    /// Whoever answered does not speak TLS.
    #[error("http: server gave HTTP response to HTTPS client")]
    NoTls,
    /// Whoever answered hung up at the first word of TLS.
    #[error("tls: the connection ended during the handshake")]
    HungUp,
    #[error("dial tcp {address}: i/o timeout")]
    Timeout { address: String },
    #[error("{0}")]
    Roots(String),
}

/// Makes requests. Connections are kept for the next.
pub(super) struct Http {
    client: Client<Connector, Body>,
    clock: Clock,
}

impl Http {
    pub(super) fn new(registries: &Registries, clock: Clock) -> Result<Self, ConfigError> {
        let mut own = HashMap::new();
        for (registry, access) in &registries.configs {
            let tls = access.as_ref().and_then(|access| access.tls.as_ref());
            let Some(tls) = tls else { continue };
            let config = tls_config(tls).map_err(|what| ConfigError::Tls {
                registry: registry.clone(),
                what,
            })?;
            own.insert(registry.clone(), Arc::new(config));
        }
        let connector = Connector {
            own: Arc::new(own),
            usual: Arc::default(),
            clock: clock.clone(),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(4)
            .build(connector);
        Ok(Self { client, clock })
    }

    /// Sends a request and waits for the head of the answer.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Failure> {
        let answer = self
            .clock
            .timeout(CONNECT + SILENCE, self.client.request(request));
        match answer.await {
            Err(_) => Err(Failure::Silent),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(explain(error)),
        }
    }

    /// The next bytes of an answer; none at its end.
    pub(super) async fn chunk(&self, body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = self.clock.timeout(SILENCE, body.frame());
            match frame.await {
                Err(_) => return Err(Failure::Silent),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(Failure::Other(crate::chain(&error))),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// A whole answer, if it is not larger than `max`; its start otherwise.
    pub(super) async fn whole(
        &self,
        body: &mut Incoming,
        max: u64,
    ) -> Result<(Vec<u8>, bool), Failure> {
        let mut content = Vec::new();
        while let Some(data) = self.chunk(body).await? {
            content.extend_from_slice(&data);
            if content.len() as u64 > max {
                return Ok((content, false));
            }
        }
        Ok((content, true))
    }
}

/// A body of bytes at hand.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn explain(error: hyper_util::client::legacy::Error) -> Failure {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(connect) = inner.downcast_ref::<ConnectError>() {
            return Failure::Connect(connect.copy());
        }
        cause = inner.source();
    }
    Failure::Other(crate::chain(&error))
}

impl ConnectError {
    /// Whether plain HTTP may be what is spoken there.
    pub(super) fn hints_at_plain(&self) -> bool {
        matches!(self, Self::NoTls | Self::HungUp)
    }

    /// The client keeps the error; we take its text out.
    fn copy(&self) -> Self {
        match self {
            Self::Dial { address, why } => Self::Dial {
                address: address.clone(),
                why: why.clone(),
            },
            Self::Tls(why) => Self::Tls(why.clone()),
            Self::NoTls => Self::NoTls,
            Self::HungUp => Self::HungUp,
            Self::Timeout { address } => Self::Timeout {
                address: address.clone(),
            },
            Self::Roots(why) => Self::Roots(why.clone()),
        }
    }

    fn dial(address: &str, error: &io::Error) -> Self {
        let why = match error.kind() {
            io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
            io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
            _ if error.raw_os_error().is_none() => {
                let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
                return Self::Dial {
                    address: format!("lookup {host}"),
                    why: "no such host".to_owned(),
                };
            }
            _ => error.to_string(),
        };
        Self::Dial {
            address: address.to_owned(),
            why,
        }
    }

    fn tls(error: &io::Error) -> Self {
        let inner = error
            .get_ref()
            .and_then(|e| e.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidMessage(_)) => Self::NoTls,
            Some(error) => Self::Tls(error.to_string()),
            None => match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Self::HungUp,
                _ => Self::Tls(error.to_string()),
            },
        }
    }
}

#[derive(Clone)]
struct Connector {
    own: Arc<HashMap<String, Arc<ClientConfig>>>,
    usual: Arc<OnceLock<Arc<ClientConfig>>>,
    clock: Clock,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<Stream, ConnectError> {
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let bare = host.trim_matches(['[', ']']).to_owned();
        let address = format!("{host}:{port}");
        let tcp = TcpStream::connect((bare.as_str(), port))
            .await
            .map_err(|error| ConnectError::dial(&address, &error))?;
        // It only makes small requests faster.
        let _ = tcp.set_nodelay(true);
        if !is_tls {
            return Ok(Stream(TokioIo::new(Box::new(tcp))));
        }
        let authority = uri.authority().map_or(host, |authority| authority.as_str());
        let config = self.config(authority, host)?;
        let name = ServerName::try_from(bare).map_err(|e| ConnectError::Tls(e.to_string()))?;
        let stream = tokio_rustls::TlsConnector::from(config)
            .connect(name, tcp)
            .await
            .map_err(|error| ConnectError::tls(&error))?;
        Ok(Stream(TokioIo::new(Box::new(stream))))
    }

    fn config(&self, authority: &str, host: &str) -> Result<Arc<ClientConfig>, ConnectError> {
        let hub = (host == "registry-1.docker.io").then_some("docker.io");
        let names = [Some(authority), Some(host), hub];
        if let Some(own) = names
            .into_iter()
            .flatten()
            .find_map(|name| self.own.get(name))
        {
            return Ok(Arc::clone(own));
        }
        if let Some(usual) = self.usual.get() {
            return Ok(Arc::clone(usual));
        }
        let made = tls_config(&Tls::default()).map_err(ConnectError::Roots)?;
        Ok(Arc::clone(self.usual.get_or_init(|| Arc::new(made))))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Stream, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (clock, connector) = (self.clock.clone(), self.clone());
        let address = uri.authority().map(ToString::to_string).unwrap_or_default();
        Box::pin(async move {
            let connected = clock.timeout(CONNECT, connector.connect(uri)).await;
            connected.unwrap_or(Err(ConnectError::Timeout { address }))
        })
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

struct Stream(TokioIo<Box<dyn Io>>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn tls_config(tls: &Tls) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if tls.insecure_skip_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(trust::anyone(provider))
    } else {
        builder.with_root_certificates(roots(tls.ca_file.as_deref())?)
    };
    match (&tls.cert_file, &tls.key_file) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("read {}: {error}", key.display()))?;
            let with_certificate = builder.with_client_auth_cert(chain, key);
            with_certificate.map_err(|e| format!("use {}: {e}", certificate.display()))
        }
        _ => Err("cert_file and key_file go together".to_owned()),
    }
}

/// The machine's authorities, and one's own.
fn roots(own: Option<&Path>) -> Result<RootCertStore, String> {
    const BUNDLES: [&str; 5] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    let mut store = RootCertStore::empty();
    let given = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let bundles = BUNDLES.iter().map(|path| Path::new(path).to_owned());
    let bundle = given.into_iter().chain(bundles).find(|path| path.is_file());
    if let Some(bundle) = bundle {
        store.add_parsable_certificates(certificates(&bundle)?);
    }
    if let Some(own) = own {
        for certificate in certificates(own)? {
            let added = store.add(certificate);
            added.map_err(|error| format!("use {}: {error}", own.display()))?;
        }
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let said = |error: rustls_pki_types::pem::Error| format!("read {}: {error}", path.display());
    let read = CertificateDer::pem_file_iter(path).map_err(said)?;
    let all: Vec<_> = read.collect::<Result<_, _>>().map_err(said)?;
    if all.is_empty() {
        return Err(format!("{} has no certificate", path.display()));
    }
    Ok(all)
}
