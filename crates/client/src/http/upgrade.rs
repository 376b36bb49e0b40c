//! Requests after which something else than HTTP is spoken on their connection.
//!
//! Each has a connection of its own, made as those of the pool are made (TLS, certificates,
//! tokens) but without HTTP/2, which has no upgrades of this kind. What is spoken afterwards is the
//! caller's matter.

use super::{HttpTransport, pieces};
use crate::transport::{Request, Response, TransportError};
use http::{HeaderMap, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

/// What came of the request for an upgrade.
pub enum Upgrade {
    /// The server switches: its headers, and the connection.
    Switched(HeaderMap, Box<TokioIo<Upgraded>>),
    /// The server answers instead.
    Refused(Response),
}

impl HttpTransport {
    /// Sends a request whose headers ask for an upgrade.
    pub async fn upgrade(&self, request: Request) -> Result<Upgrade, TransportError> {
        let mut formed = self.form(request)?;
        let address = || self.authority.to_string();
        let connected = self.upgrades.dial(formed.uri().clone()).await;
        let stream = connected.map_err(|source| TransportError::Connect {
            address: address(),
            source,
        })?;
        let broke = |source: hyper::Error| TransportError::Exchange {
            address: address(),
            source: source.into(),
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
            .await
            .map_err(broke)?;
        // It ends with the connection, or hands it over when it has been upgraded.
        tokio::spawn(connection.with_upgrades());
        name_only_the_path(&mut formed);
        let mut response = sender.send_request(formed).await.map_err(broke)?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let upgraded = hyper::upgrade::on(&mut response).await.map_err(broke)?;
            let headers = std::mem::take(response.headers_mut());
            return Ok(Upgrade::Switched(headers, Box::new(TokioIo::new(upgraded))));
        }
        let (head, body) = response.into_parts();
        Ok(Upgrade::Refused(Response {
            status: head.status,
            headers: head.headers,
            body: pieces(body),
        }))
    }
}

/// On a connection of HTTP/1.1 the target is a path, and the authority is the host's header.
fn name_only_the_path<B>(request: &mut http::Request<B>) {
    let uri = std::mem::take(request.uri_mut());
    let host = uri.authority().map(|authority| authority.as_str());
    if let Some(host) = host.and_then(|host| host.parse().ok()) {
        request.headers_mut().entry(header::HOST).or_insert(host);
    }
    if let Some(path) = uri.path_and_query() {
        *request.uri_mut() = path.clone().into();
    }
}
