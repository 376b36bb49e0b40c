//! The API server's way to the kubelets: always HTTPS, also to the one in this
//! process, so that a second node is nothing new. Connections that become
//! streams are joined to the client's.

use apiserver::relay::relay;
use apiserver::{Answer, KubeletAddress, Kubelets, Request};
use async_trait::async_trait;
use meta::{Reason, Status};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use stdx::Clock;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long a kubelet may take to answer the phone.
const CONNECT: Duration = Duration::from_secs(10);

/// Connects to kubelets with the API server's own certificate.
pub struct HttpsKubelets {
    /// Trusts the cluster's CA and shows the API server's client certificate.
    pub tls: Arc<ClientConfig>,
    /// The time.
    pub clock: Clock,
}

#[async_trait]
impl Kubelets for HttpsKubelets {
    async fn forward(
        &self,
        to: &KubeletAddress,
        path: &str,
        request: Request,
    ) -> Result<Answer, Status> {
        let stream = match self.clock.timeout(CONNECT, self.connect(to)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(to, path, &error)),
            Err(_) => return Err(unreachable(to, path, &"i/o timeout")),
        };
        let host = format!("{}:{}", to.host, to.port);
        relay(stream, &self.clock, &host, path, request)
            .await
            .map_err(|error| unreachable(to, path, &error))
    }
}

impl HttpsKubelets {
    async fn connect(&self, to: &KubeletAddress) -> Result<TlsStream<TcpStream>, anyhow::Error> {
        let socket = TcpStream::connect((to.host.as_str(), to.port)).await?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from(to.node.clone())?;
        let connector = TlsConnector::from(self.tls.clone());
        Ok(connector.connect(name, socket).await?)
    }
}

fn unreachable(to: &KubeletAddress, path: &str, why: &dyn std::fmt::Display) -> Status {
    let url = format!("https://{}:{}{path}", to.host, to.port);
    let mut status = Status::internal(format!(
        "error dialing backend: Get {}: {why}",
        meta::field::quote(&url)
    ));
    status.reason = Reason::InternalError;
    status.message = format!("Get {}: {why}", meta::field::quote(&url));
    status
}
