//! Connections to what the proxy subresources lead to: pods, endpoints of
//! services, ports of nodes. Follows kubernetes' pkg/registry/core/rest (the
//! proxy transport believes any certificate, as nobody vouches for pods).

use crate::answer::Answer;
use crate::relay;
use crate::stack::Request;
use meta::{Reason, Status};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::error::Error as _;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use stdx::Clock;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a backend may take to answer the phone.
const CONNECT: Duration = Duration::from_secs(30);

/// A port somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) is_https: bool,
    pub(crate) address: String,
    pub(crate) port: u16,
}

impl Backend {
    /// A port of an address that may be proxied to. Follows
    /// pkg/proxy/util/utils.go (IsProxyableIP).
    pub(crate) fn new(scheme: &str, address: &str, port: u16) -> Result<Backend, Status> {
        let allowed = address.parse().is_ok_and(is_allowed);
        if !allowed {
            return Err(Status::bad_request("address not allowed"));
        }
        Ok(Backend {
            is_https: scheme == "https",
            address: address.into(),
            port,
        })
    }

    /// `10.0.0.1:80`
    pub(crate) fn authority(&self) -> String {
        match self.address.contains(':') {
            true => format!("[{}]:{}", self.address, self.port),
            false => format!("{}:{}", self.address, self.port),
        }
    }

    /// Passes a request on.
    pub(crate) async fn forward(
        &self,
        clock: &Clock,
        path_and_query: &str,
        request: Request,
    ) -> Result<Answer, Status> {
        let host = match request.header("host") {
            "" => self.authority(),
            host => host.to_string(),
        };
        let connecting = TcpStream::connect((self.address.as_str(), self.port));
        let socket = match clock.timeout(CONNECT, connecting).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => {
                return Err(self.unreachable(&format!("connect: {}", plain(&error))));
            }
            Err(_) => return Err(self.unreachable(&"i/o timeout")),
        };
        let _ = socket.set_nodelay(true);
        let relayed = if self.is_https {
            let name = ServerName::try_from(self.address.clone());
            let name = name.map_err(|error| self.unreachable(&error))?;
            let connector = TlsConnector::from(believer().map_err(|e| self.unreachable(&e))?);
            let shaking = clock
                .timeout(CONNECT, connector.connect(name, socket))
                .await;
            let stream = match shaking {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return Err(self.unreachable(&error)),
                Err(_) => return Err(self.unreachable(&"TLS handshake timeout")),
            };
            relay::relay(stream, clock, &host, path_and_query, request).await
        } else {
            relay::relay(socket, clock, &host, path_and_query, request).await
        };
        relayed.map_err(|error| match error.source() {
            Some(cause) => self.unreachable(&cause),
            None => self.unreachable(&error),
        })
    }

    fn unreachable(&self, why: &dyn Display) -> Status {
        let authority = self.authority();
        Status::new(
            Reason::ServiceUnavailable,
            format!("error trying to reach service: dial tcp {authority}: {why}"),
        )
    }
}

/// What Go says of an error of the system.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string().to_lowercase();
    match text.find(" (os error") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}

fn is_allowed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_unspecified()
                || v4.is_broadcast())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || v6.is_unspecified())
        }
    }
}

fn believer() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(trust::anyone(provider))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_others_are_reached() {
        for address in [
            "127.0.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "x",
        ] {
            assert!(Backend::new("", address, 80).is_err(), "{address}");
        }
        let backend = Backend::new("https", "10.0.0.1", 443).expect("an address");
        assert!(backend.is_https);
        assert_eq!(backend.authority(), "10.0.0.1:443");
        let backend = Backend::new("", "fd00::1", 80).expect("an address");
        assert_eq!(backend.authority(), "[fd00::1]:80");
    }
}
