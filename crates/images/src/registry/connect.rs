//! Connections to registries: directly or through a proxy, with TLS as
//! configured per host.

use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use detour::{Io, Proxies, Proxy, Stream};
use futures::future::BoxFuture;
use http::Uri;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use stdx::Clock;
use tokio::net::TcpStream;

use super::config::{ConfigError, Registries, Tls};

/// How long a connection may take to come about.
pub(super) const CONNECT: Duration = Duration::from_secs(30);

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
    /// The proxy does not lead there.
    #[error("proxyconnect tcp: {0}")]
    Proxy(String),
}

impl ConnectError {
    /// Whether plain HTTP may be what is spoken there.
    pub(super) fn hints_at_plain(&self) -> bool {
        matches!(self, Self::NoTls | Self::HungUp)
    }

    /// The client keeps the error; we take its text out.
    pub(super) fn copy(&self) -> Self {
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
            Self::Proxy(why) => Self::Proxy(why.clone()),
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

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector {
    own: Arc<HashMap<String, Arc<ClientConfig>>>,
    usual: Arc<OnceLock<Arc<ClientConfig>>>,
    proxies: Proxies,
    clock: Clock,
}

impl Connector {
    pub(super) fn new(
        registries: &Registries,
        proxies: Proxies,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
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
        Ok(Self {
            own: Arc::new(own),
            usual: Arc::default(),
            proxies,
            clock,
        })
    }

    /// Reaches whom a request is for, directly or through a proxy.
    async fn connect(self, uri: Uri) -> Result<Stream, ConnectError> {
        let is_tls = uri.scheme_str() == Some("https");
        let io = match self.proxies.of(&uri) {
            None => self.dial(&uri).await?,
            Some(proxy) if is_tls || !proxy.passes_on() => self.tunnel(proxy, &uri).await?,
            Some(proxy) => return self.reach(proxy).await.map(Stream::proxied),
        };
        Ok(Stream::direct(match is_tls {
            true => self.secure(&uri, io).await?,
            false => io,
        }))
    }

    async fn dial(&self, uri: &Uri) -> Result<Box<dyn Io>, ConnectError> {
        let usual = match uri.scheme_str() {
            Some("https") => 443,
            _ => 80,
        };
        let host = uri.host().unwrap_or_default();
        dial(host, uri.port_u16().unwrap_or(usual)).await
    }

    /// A connection to a proxy.
    async fn reach(&self, proxy: &Proxy) -> Result<Box<dyn Io>, ConnectError> {
        let reached = async {
            let tcp = dial(proxy.host(), proxy.port()).await?;
            match proxy.is_tls() {
                true => self.secure(proxy.uri(), tcp).await,
                false => Ok(tcp),
            }
        };
        let failed = |error: ConnectError| ConnectError::Proxy(error.to_string());
        reached.await.map_err(failed)
    }

    /// A connection to a registry that a proxy makes for us.
    async fn tunnel(&self, proxy: &Proxy, target: &Uri) -> Result<Box<dyn Io>, ConnectError> {
        let io = self.reach(proxy).await?;
        let failed = |error| ConnectError::Proxy(crate::chain(&error));
        proxy.tunnel(io, target).await.map_err(failed)
    }

    /// Speaks TLS with whom a URL names.
    async fn secure(&self, uri: &Uri, io: Box<dyn Io>) -> Result<Box<dyn Io>, ConnectError> {
        let host = uri.host().unwrap_or_default();
        let authority = uri.authority().map_or(host, |authority| authority.as_str());
        let config = self.config(authority, host)?;
        let name = ServerName::try_from(bare(host).to_owned())
            .map_err(|error| ConnectError::Tls(error.to_string()))?;
        let stream = tokio_rustls::TlsConnector::from(config)
            .connect(name, io)
            .await
            .map_err(|error| ConnectError::tls(&error))?;
        Ok(Box::new(stream))
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

async fn dial(host: &str, port: u16) -> Result<Box<dyn Io>, ConnectError> {
    let tcp = TcpStream::connect((bare(host), port))
        .await
        .map_err(|error| ConnectError::dial(&format!("{host}:{port}"), &error))?;
    // It only makes small requests faster.
    let _ = tcp.set_nodelay(true);
    Ok(Box::new(tcp))
}

/// An address of version 6 without its brackets.
fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
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
