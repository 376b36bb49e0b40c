//! A connection: that it is accepted is the answer.

use stdx::Clock;
use tokio::net::TcpStream;
use typed::api::core::v1::TCPSocketAction;

use super::{Outcome, Target, port_number};

pub(super) async fn probe(clock: &Clock, target: &Target, action: &TCPSocketAction) -> Outcome {
    let port = match port_number(&action.port, &target.container) {
        Ok(port) => port,
        Err(error) => return Outcome::Error(error),
    };
    let host = action.host.as_deref().filter(|host| !host.is_empty());
    let host = host.unwrap_or(&target.pod_ip);
    match clock
        .timeout(target.timeout(), TcpStream::connect((host, port)))
        .await
    {
        Ok(Ok(_)) => Outcome::Success,
        Ok(Err(error)) => Outcome::Failure(dial_error(host, port, &error)),
        Err(_) => Outcome::Failure(format!("dial tcp {}: i/o timeout", join(host, port))),
    }
}

/// The words of Go's net package, which people search for.
pub(super) fn dial_error(host: &str, port: u16, error: &std::io::Error) -> String {
    let what = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        std::io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        std::io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        _ => error.to_string(),
    };
    format!("dial tcp {}: {what}", join(host, port))
}

/// `host:port`, with brackets around what has colons.
pub(super) fn join(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
