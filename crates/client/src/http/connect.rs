//! Connections: TCP, and TLS above it, with HTTP/2 where the server offers it.

use super::config::{HttpConfig, HttpConfigError, Pem};
use super::credentials::ReloadingCertificate;
use crate::transport::BoxError;
use futures::future::BoxFuture;
use http::Uri;
use http::uri::Scheme;
use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Follows client-go's dialer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes connections to one server.
#[derive(Clone)]
pub(super) struct Connector {
    tls: Option<Arc<ClientConfig>>,
    server_name: Option<ServerName<'static>>,
}

impl Connector {
    pub(super) fn new(config: &HttpConfig) -> Result<Self, HttpConfigError> {
        let (scheme, ..) = config.address()?;
        let tls = (scheme == Scheme::HTTPS).then(|| tls(config)).transpose()?;
        let server_name = config.tls_server_name.as_ref().map(|name| {
            let bad = |_| HttpConfigError::ServerName { name: name.clone() };
            ServerName::try_from(name.clone()).map_err(bad)
        });
        Ok(Self {
            tls: tls.map(Arc::new),
            server_name: server_name.transpose()?,
        })
    }

    /// The same for connections that are to be upgraded, which HTTP/2 cannot be.
    pub(super) fn without_http2(mut self) -> Self {
        if let Some(tls) = &mut self.tls {
            Arc::make_mut(tls).alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        self
    }

    /// Makes a connection.
    pub(super) async fn dial(&self, uri: Uri) -> Result<Stream, BoxError> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.clone().connect(uri)).await?
    }

    async fn connect(self, uri: Uri) -> Result<Stream, BoxError> {
        let host = uri
            .host()
            .ok_or("no host")?
            .trim_matches(['[', ']'])
            .to_owned();
        let default_port = if self.tls.is_some() { 443 } else { 80 };
        let tcp =
            TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(default_port))).await?;
        tcp.set_nodelay(true)?;
        let Some(tls) = self.tls else {
            return Ok(Stream {
                io: TokioIo::new(Box::new(tcp)),
                http2: false,
            });
        };
        let name = match self.server_name {
            Some(name) => name,
            None => ServerName::try_from(host)?,
        };
        let stream = TlsConnector::from(tls).connect(name, tcp).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream {
            io: TokioIo::new(Box::new(stream)),
            http2,
        })
    }
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

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection, and whether it speaks HTTP/2.
pub(super) struct Stream {
    io: TokioIo<Box<dyn Io>>,
    http2: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.http2 {
            connected.negotiated_h2()
        } else {
            connected
        }
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
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
