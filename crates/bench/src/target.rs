//! Where an API server is, and who we are to it.

use crate::http2::Error;
use anyhow::{Context as _, Result, bail};
use client::http::{Kubeconfig, Pem, Token};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::net::ToSocketAddrs as _;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An API server and an identity.
#[derive(Clone)]
pub struct Target {
    /// Host and port.
    pub authority: String,
    /// The token of our identity, if it is one.
    pub bearer: Option<String>,
    address: std::net::SocketAddr,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
}

impl Target {
    /// What a kubeconfig says.
    pub fn read(kubeconfig: &Path) -> Result<Self> {
        let config = Kubeconfig::read(kubeconfig)?.http_config(None)?;
        let identity = match &config.client_certificate {
            Some((certificate, key)) => Some((text(certificate)?, text(key)?)),
            None => None,
        };
        let bearer = match config.token {
            None => None,
            Some(Token::Value(token)) => Some(token),
            Some(Token::File(path)) => Some(
                std::fs::read_to_string(&path)
                    .with_context(|| format!("read token {}", path.display()))?
                    .trim()
                    .to_owned(),
            ),
        };
        let Some(authority) = config.server.strip_prefix("https://") else {
            bail!("the server {} is not at https://", config.server);
        };
        Self::new(authority.trim_end_matches('/'), identity, bearer)
    }

    /// A server of which nothing is known yet but where it is.
    pub fn stranger(authority: &str) -> Result<Self> {
        Self::new(authority, None, None)
    }

    fn new(
        authority: &str,
        identity: Option<(Vec<u8>, Vec<u8>)>,
        bearer: Option<String>,
    ) -> Result<Self> {
        let address = authority
            .to_socket_addrs()
            .ok()
            .and_then(|mut addresses| addresses.next())
            .with_context(|| format!("find {authority}"))?;
        Ok(Target {
            authority: authority.to_owned(),
            bearer,
            address,
            name: ServerName::IpAddress(address.ip().into()),
            tls: Arc::new(tls(identity)?),
        })
    }

    /// Connects.
    pub async fn connect(&self) -> Result<TlsStream<TcpStream>, Error> {
        let failed = |source| Error::Connect {
            to: self.authority.clone(),
            source,
        };
        let socket = TcpStream::connect(self.address).await.map_err(failed)?;
        socket.set_nodelay(true).map_err(failed)?;
        TlsConnector::from(self.tls.clone())
            .connect(self.name.clone(), socket)
            .await
            .map_err(failed)
    }
}

fn text(pem: &Pem) -> Result<Vec<u8>> {
    match pem {
        Pem::Data(data) => Ok(data.clone()),
        Pem::File(path) => std::fs::read(path).with_context(|| format!("read {}", path.display())),
    }
}

/// Measures work on the machine's own loopback, so it does not ask who signed
/// the server's certificate.
fn tls(identity: Option<(Vec<u8>, Vec<u8>)>) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .context("set up TLS")?
        .dangerous()
        .with_custom_certificate_verifier(trust::anyone(provider));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
            let key = PrivateKeyDer::from_pem_slice(&key).context("read the client's key")?;
            builder
                .with_client_auth_cert(chain.context("read the client's certificate")?, key)
                .context("use the client's certificate")?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
