//! One request passed on over a connection to another server: its answer comes
//! back piece by piece, and a connection that is upgraded is joined to the
//! client's, whatever is spoken over it. Follows
//! apimachinery/pkg/util/proxy/upgradeaware.go.

use crate::answer::{Answer, Body};
use crate::stack::Request;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use meta::Status;
use std::time::Duration;
use stdx::Clock;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// How long the other direction of a joined connection may take to end after
/// the first one has.
const LINGER: Duration = Duration::from_secs(300);
/// What is moved at a time: whole records of TLS, of which one that is cut in two costs twice.
const PIECE: usize = 64 << 10;
/// Headers that are about one connection only.
const HOP_BY_HOP: [HeaderName; 7] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
];

/// A request could not be passed on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be said in HTTP.
    #[error("write the request")]
    Request(#[from] http::Error),
    /// The other server does not speak HTTP, or is gone.
    #[error("pass the request on")]
    Connection(#[from] hyper::Error),
}

/// Passes a request on over `io`: `path_and_query` at the other server, which
/// is called `host`. Whoever asks, its credentials stay here.
pub async fn relay<T>(
    io: T,
    clock: &Clock,
    host: &str,
    path_and_query: &str,
    mut request: Request,
) -> Result<Answer, Error>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let upgrade = request.upgrade.take();
    let outbound = outbound(host, path_and_query, request, upgrade.is_some())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to another server broke");
        }
    });
    let response = sender.send_request(outbound).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(switch(response, upgrade, clock.clone()));
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
    strip(&mut answer.headers);
    for about_connection in [header::CONNECTION, header::UPGRADE, header::CONTENT_LENGTH] {
        answer.headers.remove(about_connection);
    }
    Ok(answer)
}

fn outbound(
    host: &str,
    path_and_query: &str,
    request: Request,
    upgrades: bool,
) -> Result<http::Request<Either<Incoming, Full<Bytes>>>, http::Error> {
    let body = match request.incoming {
        Some(incoming) => Either::Left(incoming),
        None => Either::Right(Full::new(request.body)),
    };
    let mut outbound = http::Request::builder()
        .method(request.method)
        .uri(path_and_query)
        .body(body)?;
    *outbound.headers_mut() = request.headers;
    let headers = outbound.headers_mut();
    headers.remove(header::AUTHORIZATION);
    let impersonation: Vec<_> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("impersonate-"))
        .cloned()
        .collect();
    for name in impersonation {
        headers.remove(name);
    }
    strip(headers);
    if upgrades {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    } else {
        headers.remove(header::CONNECTION);
        headers.remove(header::UPGRADE);
    }
    headers.insert(header::HOST, HeaderValue::from_str(host)?);
    Ok(outbound)
}

fn strip(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Joins the client's connection to the other server's.
fn switch(response: http::Response<Incoming>, upgrade: Option<OnUpgrade>, clock: Clock) -> Answer {
    let Some(client_side) = upgrade else {
        return Status::bad_request("Upgrade request required").into();
    };
    let headers = response.headers().clone();
    let server_side = hyper::upgrade::on(response);
    tokio::spawn(async move {
        match tokio::try_join!(client_side, server_side) {
            Ok((client, server)) => join(TokioIo::new(client), TokioIo::new(server), clock).await,
            Err(error) => tracing::debug!(%error, "a stream did not come about"),
        }
    });
    Answer {
        status: StatusCode::SWITCHING_PROTOCOLS,
        headers,
        body: Body::Full(Bytes::new()),
    }
}

/// Moves bytes until both sides have ended; one that stays when the other is
/// gone is given up after a while.
async fn join(
    client: impl AsyncRead + AsyncWrite,
    server: impl AsyncRead + AsyncWrite,
    clock: Clock,
) {
    let (client_reader, client_writer) = tokio::io::split(client);
    let (server_reader, server_writer) = tokio::io::split(server);
    let up = copy(client_reader, server_writer);
    let down = copy(server_reader, client_writer);
    tokio::pin!(up, down);
    // A side that cannot be written to any more is gone, and the rest with it.
    tokio::select! {
        is_whole = &mut up => if is_whole {
            let _ = clock.timeout(LINGER, down).await;
        },
        is_whole = &mut down => if is_whole {
            let _ = clock.timeout(LINGER, up).await;
        },
    }
}

/// Whether everything was delivered.
async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> bool {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece).await {
            Err(_) => return false,
            Ok(0) => return to.shutdown().await.is_ok(),
            Ok(length) => {
                let sent = to.write_all(&piece[..length]).await;
                if sent.is_err() || to.flush().await.is_err() {
                    return false;
                }
            }
        }
    }
}
