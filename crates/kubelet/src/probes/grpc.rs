//! The gRPC health service: SERVING is the answer yes.
//!
//! The two messages have one field each, so they are written and read here by
//! hand over HTTP/2. Follows pkg/probe/grpc/grpc.go.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use stdx::Clock;
use tokio::net::TcpStream;
use typed::api::core::v1::GRPCAction;

use super::tcp_socket::join;
use super::{Outcome, Target};
use crate::pod::go_duration;

const SERVING: u64 = 1;
const UNIMPLEMENTED: u32 = 12;
const NAMES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

pub(super) async fn probe(clock: &Clock, target: &Target, action: &GRPCAction) -> Outcome {
    let Ok(port) = u16::try_from(action.port) else {
        return Outcome::Error(format!("invalid port number: {}", action.port));
    };
    let service = action.service.as_deref().unwrap_or_default();
    let timeout = target.timeout();
    let check = check(&target.pod_ip, port, service, timeout);
    match clock.timeout(timeout, check).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Failure(connect_failed(
            &target.pod_ip,
            port,
            timeout,
            "context deadline exceeded",
        )),
    }
}

fn connect_failed(host: &str, port: u16, timeout: Duration, why: &str) -> String {
    let (address, within) = (join(host, port), go_duration(timeout));
    format!("timeout: failed to connect service \"{address}\" within {within}: {why}")
}

async fn check(host: &str, port: u16, service: &str, timeout: Duration) -> Outcome {
    let failed = |why: &str| Outcome::Failure(connect_failed(host, port, timeout, why));
    let stream = match TcpStream::connect((host, port)).await {
        Ok(stream) => stream,
        Err(error) => return failed(&error.to_string()),
    };
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = match handshake {
        Ok(pair) => pair,
        Err(error) => return failed(&error.to_string()),
    };
    let request = match request(host, port, service) {
        Ok(request) => request,
        Err(error) => return Outcome::Error(error.to_string()),
    };
    let exchange = async move {
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok::<_, hyper::Error>((head.headers, trailers, body.to_bytes()))
    };
    tokio::pin!(exchange);
    let answer = tokio::select! {
        answer = &mut exchange => answer,
        ended = connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(error),
        },
    };
    let (headers, trailers, body) = match answer {
        Ok(answer) => answer,
        Err(error) => {
            return Outcome::Failure(format!(
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {error}"
            ));
        }
    };
    // An answer without a body has its status in the headers.
    let status = trailers.get("grpc-status").or(headers.get("grpc-status"));
    let code: u32 = status
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(2);
    match code {
        0 => verdict(read_status(&body)),
        UNIMPLEMENTED => Outcome::Failure(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
                .to_owned(),
        ),
        code => {
            let message = trailers.get("grpc-message").or(headers.get("grpc-message"));
            let message = message.and_then(|value| value.to_str().ok()).unwrap_or("");
            Outcome::Failure(format!("error: health rpc probe failed: code = {code} desc = {message}"))
        }
    }
}

fn verdict(status: u64) -> Outcome {
    if status == SERVING {
        return Outcome::Success;
    }
    let name = usize::try_from(status)
        .ok()
        .and_then(|index| NAMES.get(index))
        .unwrap_or(&NAMES[0]);
    Outcome::Failure(format!("service unhealthy (responded with \"{name}\")"))
}

fn request(host: &str, port: u16, service: &str) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        put_varint(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(0));
    frame.put_slice(&message);
    Request::post(format!(
        "http://{}/grpc.health.v1.Health/Check",
        join(host, port)
    ))
    .header(header::CONTENT_TYPE, "application/grpc")
    .header(header::TE, "trailers")
    .header(header::USER_AGENT, "kube-probe/1.37")
    .body(Full::new(frame.freeze()))
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Field 1 of the answer, a varint; absent is 0.
fn read_status(body: &[u8]) -> u64 {
    let Some(mut message) = body.get(5..) else {
        return 0;
    };
    if !message.has_remaining() || message.get_u8() != 0x08 {
        return 0;
    }
    let (mut value, mut shift) = (0u64, 0);
    while message.has_remaining() && shift < 64 {
        let byte = message.get_u8();
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
        shift += 7;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        for (body, want) in [
            (&[0u8, 0, 0, 0, 2, 8, 1][..], Outcome::Success),
            (
                &[0, 0, 0, 0, 2, 8, 2][..],
                Outcome::Failure("service unhealthy (responded with \"NOT_SERVING\")".into()),
            ),
            (
                &[0, 0, 0, 0, 0][..],
                Outcome::Failure("service unhealthy (responded with \"UNKNOWN\")".into()),
            ),
            (
                &[][..],
                Outcome::Failure("service unhealthy (responded with \"UNKNOWN\")".into()),
            ),
        ] {
            assert_eq!(verdict(read_status(body)), want, "{body:?}");
        }
    }
}
