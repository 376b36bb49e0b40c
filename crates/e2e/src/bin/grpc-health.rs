//! A server of gRPC's health protocol, for a container whose probe asks it:
//! `grpc-health PORT FILE` says SERVING as long as FILE exists.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::path::PathBuf;
use tokio::net::TcpListener;

/// `grpc.health.v1.HealthCheckResponse`, framed: its field 1 says how it is.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];
const NOT_SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 2];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    let file = PathBuf::from(arguments.next().expect("a file"));
    let listener = TcpListener::bind(("0.0.0.0", port)).await.expect("listen");
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            continue;
        };
        let file = file.clone();
        let service = service_fn(move |request| answer(request, file.exists()));
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(socket), service);
        tokio::spawn(connection);
    }
}

async fn answer(
    request: Request<Incoming>,
    serves: bool,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let is_check = request.uri().path() == "/grpc.health.v1.Health/Check";
    let mut trailers = HeaderMap::new();
    let status = if is_check { "0" } else { "12" };
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    let body = match serves {
        true => SERVING,
        false => NOT_SERVING,
    };
    let body = Full::new(Bytes::from_static(body)).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(response)
}
