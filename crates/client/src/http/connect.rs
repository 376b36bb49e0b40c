//! Connections: TCP, and TLS above it, with HTTP/2 where the server offers it.

use super::config::{HttpConfig, HttpConfigError, Pem};
use super::credentials::ReloadingCertificate;
use crate::transport::BoxError;
use detour::{Io, Proxies, Proxy, Stream};
use futures::future::BoxFuture;
use http::Uri;
use http::uri::Scheme;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Follows client-go's dialer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes connections to one server.
#[derive(Clone)]
pub(super) struct Connector {
    tls: Option<Arc<ClientConfig>>,
    proxy_tls: Option<Arc<ClientConfig>>,
    proxies: Proxies,
    is_for_upgrades: bool,
    server_name: Option<ServerName<'static>>,
}

impl Connector {
    pub(super) fn new(config: &HttpConfig) -> Result<Self, HttpConfigError> {
        let (scheme, ..) = config.address()?;
        let is_tls = scheme == Scheme::HTTPS;
        let is_known = config.ca.is_some() || config.insecure_skip_tls_verify;
        let any = (is_tls || is_known).then(|| tls(config)).transpose()?;
        let any = any.map(Arc::new);
        let server_name = config.tls_server_name.as_ref().map(|name| {
            let bad = |_| HttpConfigError::ServerName { name: name.clone() };
            ServerName::try_from(name.clone()).map_err(bad)
        });
        Ok(Self {
            proxy_tls: any.clone().map(without_http2),
            tls: any.filter(|_| is_tls),
            proxies: config.proxies.clone(),
            is_for_upgrades: false,
            server_name: server_name.transpose()?,
        })
    }

    /// The same for connections that are to be upgraded, which HTTP/2 cannot be and a proxy that
    /// passes requests on does not let pass.
    pub(super) fn for_upgrades(self) -> Self {
        Self {
            tls: self.tls.map(without_http2),
            is_for_upgrades: true,
            ..self
        }
    }

    /// Makes a connection.
    pub(super) async fn dial(&self, uri: Uri) -> Result<Stream, BoxError> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.clone().connect(uri)).await?
    }

    /// Follows Go's net/http: the proxy's own TLS is that of the server.
    async fn connect(self, uri: Uri) -> Result<Stream, BoxError> {
        let is_tls = self.tls.is_some();
        let proxy = self.proxies.of(&uri);
        let io: Box<dyn Io> = match proxy {
            None => {
                let host = uri.host().ok_or("no host")?.trim_matches(['[', ']']);
                let usual = if is_tls { 443 } else { 80 };
                dial(host, uri.port_u16().unwrap_or(usual)).await?
            }
            Some(proxy) => {
                let io = self.reach(proxy).await.map_err(through_proxy)?;
                if proxy.passes_on() && !is_tls && !self.is_for_upgrades {
                    return Ok(Stream::proxied(io));
                }
                proxy.tunnel(io, &uri).await.map_err(through_proxy)?
            }
        };
        let Some(tls) = self.tls else {
            return Ok(Stream::direct(io));
        };
        let name = match self.server_name {
            Some(name) => name,
            None => name_of(uri.host().ok_or("no host")?)?,
        };
        let stream = TlsConnector::from(tls).connect(name, io).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream::direct(Box::new(stream)).with_http2(is_http2))
    }

    /// A connection to a proxy.
    async fn reach(&self, proxy: &Proxy) -> Result<Box<dyn Io>, BoxError> {
        let io = dial(proxy.host(), proxy.port()).await?;
        if !proxy.is_tls() {
            return Ok(io);
        }
        let tls = self.proxy_tls.clone().ok_or("nobody vouches for it")?;
        let name = name_of(proxy.host())?;
        Ok(Box::new(TlsConnector::from(tls).connect(name, io).await?))
    }
}

async fn dial(host: &str, port: u16) -> Result<Box<dyn Io>, BoxError> {
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    Ok(Box::new(tcp))
}

fn name_of(host: &str) -> Result<ServerName<'static>, BoxError> {
    Ok(ServerName::try_from(
        host.trim_matches(['[', ']']).to_owned(),
    )?)
}

/// Go's words for what goes wrong between.
fn through_proxy(error: impl Into<BoxError>) -> BoxError {
    format!("proxyconnect tcp: {}", crate::chain(&*error.into())).into()
}

impl tower::Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Stream, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.dial(uri).await })
    }
}

fn without_http2(mut tls: Arc<ClientConfig>) -> Arc<ClientConfig> {
    Arc::make_mut(&mut tls).alpn_protocols = vec![b"http/1.1".to_vec()];
    tls
}

fn tls(config: &HttpConfig) -> Result<ClientConfig, HttpConfigError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|source| HttpConfigError::Unusable {
            what: "TLS versions",
            source,
        })?;
    let builder = if config.insecure_skip_tls_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(trust::anyone(Arc::clone(&provider)))
    } else {
        let ca = config
            .ca
            .as_ref()
            .ok_or_else(|| HttpConfigError::NoAuthority {
                server: config.server.clone(),
            })?;
        builder.with_root_certificates(roots(ca)?)
    };
    let mut tls = match &config.client_certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let resolver = ReloadingCertificate::new(certificate.clone(), key.clone(), provider)?;
            builder.with_client_cert_resolver(Arc::new(resolver))
        }
    };
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

fn roots(ca: &Pem) -> Result<RootCertStore, HttpConfigError> {
    let mut roots = RootCertStore::empty();
    let text = ca.read()?;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let what = "certificate authority";
        let certificate = certificate.map_err(|source| HttpConfigError::Pem { what, source })?;
        roots
            .add(certificate)
            .map_err(|source| HttpConfigError::Unusable { what, source })?;
    }
    if roots.is_empty() {
        let source = rustls_pki_types::pem::Error::NoItemsFound;
        return Err(HttpConfigError::Pem {
            what: "certificate authority",
            source,
        });
    }
    Ok(roots)
}
