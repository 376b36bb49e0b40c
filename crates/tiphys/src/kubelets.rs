//! The API server's way to the kubelets: always HTTPS, also to the one in this
//! process, so that a second node is nothing new. Connections that become
//! streams are joined to the client's.

use apiserver::{Answer, Body, KubeletAddress, Kubelets, Request};
use async_trait::async_trait;
use futures::StreamExt as _;
use http::{Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use meta::{Reason, Status};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use stdx::Clock;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

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
        mut request: Request,
    ) -> Result<Answer, Status> {
        let connecting = self.clock.timeout(CONNECT, self.connect(to)).await;
        let mut sender = match connecting {
            Ok(Ok(sender)) => sender,
            Ok(Err(error)) => return Err(unreachable(to, path, &error)),
            Err(_) => return Err(unreachable(to, path, &"i/o timeout")),
        };
        let upgrade = request.upgrade.take();
        let outbound = outbound(to, path, request).map_err(Status::internal)?;
        let response = sender
            .send_request(outbound)
            .await
            .map_err(|e| unreachable(to, path, &e))?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return switch(response, upgrade);
        }
        let (parts, body) = response.into_parts();
        let pieces = body
            .into_data_stream()
            .map(|piece| piece.map_err(std::io::Error::other));
        let mut answer = Answer {
            status: parts.status,
            headers: parts.headers,
            body: Body::Foreign(pieces.boxed()),
        };
        for hop in [
            header::CONNECTION,
            header::TRANSFER_ENCODING,
            header::CONTENT_LENGTH,
        ] {
            answer.headers.remove(hop);
        }
        Ok(answer)
    }
}

impl HttpsKubelets {
    async fn connect(
        &self,
        to: &KubeletAddress,
    ) -> Result<http1::SendRequest<Full<bytes::Bytes>>, anyhow::Error> {
        let socket = TcpStream::connect((to.host.as_str(), to.port)).await?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from(to.node.clone())?;
        let stream = TlsConnector::from(self.tls.clone())
            .connect(name, socket)
            .await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to a kubelet broke");
            }
        });
        Ok(sender)
    }
}

/// The request as the kubelet gets it: without the client's credentials.
fn outbound(
    to: &KubeletAddress,
    path: &str,
    request: Request,
) -> Result<http::Request<Full<bytes::Bytes>>, http::Error> {
    let method = if request.method == Method::HEAD {
        Method::GET
    } else {
        request.method
    };
    let mut outbound = http::Request::builder()
        .method(method)
        .uri(path)
        .body(Full::new(request.body))?;
    *outbound.headers_mut() = request.headers;
    let headers = outbound.headers_mut();
    headers.remove(header::AUTHORIZATION);
    headers.remove(header::HOST);
    let impersonation: Vec<_> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("impersonate-"))
        .cloned()
        .collect();
    for name in impersonation {
        headers.remove(name);
    }
    headers.insert(
        header::HOST,
        http::HeaderValue::from_str(&format!("{}:{}", to.host, to.port))?,
    );
    Ok(outbound)
}

/// Joins the client's connection to the kubelet's.
fn switch(
    response: http::Response<hyper::body::Incoming>,
    upgrade: Option<OnUpgrade>,
) -> Result<Answer, Status> {
    let Some(client_side) = upgrade else {
        return Err(Status::bad_request("Upgrade request required"));
    };
    let headers = response.headers().clone();
    let kubelet_side = hyper::upgrade::on(response);
    tokio::spawn(async move {
        let (client_side, kubelet_side) = match tokio::try_join!(client_side, kubelet_side) {
            Ok(both) => both,
            Err(error) => return tracing::debug!(%error, "a stream did not come about"),
        };
        let (mut client_side, mut kubelet_side) =
            (TokioIo::new(client_side), TokioIo::new(kubelet_side));
        if let Err(error) = tokio::io::copy_bidirectional(&mut client_side, &mut kubelet_side).await
        {
            tracing::debug!(%error, "a stream broke");
        }
    });
    Ok(Answer {
        status: StatusCode::SWITCHING_PROTOCOLS,
        headers,
        body: Body::Full(bytes::Bytes::new()),
    })
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
