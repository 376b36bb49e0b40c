//! An HTTP request: any status from 200 to 399 is the answer yes.
//!
//! Follows pkg/probe/http/http.go: certificates are not verified, redirects to
//! the same host are followed, one to another host is a warning.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use stdx::Clock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use typed::api::core::v1::{Container, HTTPGetAction};

use super::tcp_socket::{dial_error, join};
use super::{Outcome, Target, port_number};

const BODY_MAX: usize = 10 * 1024;
const REDIRECTS_MAX: u32 = 10;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The beginning of the body.
    pub body: String,
    /// Where it sends us.
    location: Option<String>,
}

/// A request of a probe or a hook.
#[derive(Clone, Debug)]
pub struct Get {
    host: String,
    port: u16,
    tls: bool,
    path: String,
    headers: Vec<(String, String)>,
    user_agent: &'static str,
}

impl Get {
    /// Reads an action; the pod's address stands in for an absent host.
    pub fn new(
        action: &HTTPGetAction,
        container: &Container,
        pod_ip: &str,
        user_agent: &'static str,
    ) -> Result<Get, String> {
        let host = action.host.as_deref().filter(|host| !host.is_empty());
        let path = action.path.as_deref().unwrap_or("/");
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        let headers = action.http_headers.iter().flatten();
        Ok(Get {
            host: host.unwrap_or(pod_ip).to_owned(),
            port: port_number(&action.port, container)?,
            tls: action
                .scheme
                .as_deref()
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            path,
            headers: headers
                .map(|header| (header.name.clone(), header.value.clone()))
                .collect(),
            user_agent,
        })
    }

    fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", join(&self.host, self.port), self.path)
    }

    /// Performs the request once. Errors are worded as Go words them.
    pub async fn send(&self, clock: &Clock, timeout: Duration) -> Result<Answer, String> {
        let url = self.url();
        match clock.timeout(timeout, self.exchange()).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(format!("Get \"{url}\": {error}")),
            Err(_) => Err(format!(
                "Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            )),
        }
    }

    async fn exchange(&self) -> Result<Answer, String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| dial_error(&self.host, self.port, &error))?;
        if !self.tls {
            return self.over(stream).await;
        }
        let name = ServerName::try_from(self.host.clone()).map_err(|error| error.to_string())?;
        let connector = tokio_rustls::TlsConnector::from(unverified()?);
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(|error| error.to_string())?;
        self.over(stream).await
    }

    async fn over<S>(&self, stream: S) -> Result<Answer, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .title_case_headers(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let exchange = async move {
            let response = sender
                .send_request(self.request()?)
                .await
                .map_err(|error| error.to_string())?;
            let location = response.headers().get(header::LOCATION);
            let location = location.and_then(|value| value.to_str().ok());
            let (status, location) = (response.status().as_u16(), location.map(str::to_owned));
            // A body that is too long is cut; only its beginning is told.
            let body = Limited::new(response.into_body(), BODY_MAX).collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            Ok(Answer {
                status,
                body: String::from_utf8_lossy(&body).into_owned(),
                location,
            })
        };
        tokio::pin!(connection);
        tokio::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            ended = &mut connection => match ended {
                // The server closed; what it sent may still be on its way up.
                Ok(()) => exchange.await,
                Err(error) => Err(error.to_string()),
            },
        }
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, String> {
        let uri: Uri = self.path.parse().map_err(|error| format!("{error}"))?;
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        let value = |text: &str| HeaderValue::from_str(text).map_err(|error| error.to_string());
        headers.insert(header::HOST, value(&join(&self.host, self.port))?);
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(self.user_agent),
        );
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        for (name, text) in &self.headers {
            let name: HeaderName = name.parse().map_err(|error| format!("{error}"))?;
            if text.is_empty() && (name == header::ACCEPT || name == header::USER_AGENT) {
                headers.remove(name);
            } else {
                headers.insert(name, value(text)?);
            }
        }
        Ok(request)
    }
}

pub(super) async fn probe(clock: &Clock, target: &Target, action: &HTTPGetAction) -> Outcome {
    let get = Get::new(action, &target.container, &target.pod_ip, "kube-probe/1.37");
    let mut get = match get {
        Ok(get) => get,
        Err(error) => return Outcome::Error(error),
    };
    for _ in 0..=REDIRECTS_MAX {
        let answer = match get.send(clock, target.timeout()).await {
            Ok(answer) => answer,
            Err(error) => return Outcome::Failure(error),
        };
        let redirected = (300..400).contains(&answer.status);
        let location = answer.location.as_deref().filter(|_| redirected);
        match location.map(|location| follow(&get, location)) {
            Some(Some(next)) => get = next,
            Some(None) => {
                return Outcome::Warning(format!(
                    "Probe terminated redirects, Response body: {}",
                    answer.body
                ));
            }
            None if (200..400).contains(&answer.status) => return Outcome::Success,
            None => {
                let status = answer.status;
                return Outcome::Failure(format!("HTTP probe failed with statuscode: {status}"));
            }
        }
    }
    Outcome::Failure(format!("stopped after {REDIRECTS_MAX} redirects"))
}

/// The redirected request; none if it leads to another host.
fn follow(get: &Get, location: &str) -> Option<Get> {
    let uri: Uri = location.parse().ok()?;
    let mut next = get.clone();
    if let Some(host) = uri.host() {
        if host.trim_matches(['[', ']']) != get.host {
            return None;
        }
        next.tls = uri.scheme_str() == Some("https");
        next.port = uri.port_u16().unwrap_or(if next.tls { 443 } else { 80 });
    }
    next.path = uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    if !next.path.starts_with('/') {
        next.path = format!("/{}", next.path);
    }
    Some(next)
}

/// TLS that takes any certificate: a probe asks whether something answers.
fn unverified() -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(trust::anyone(provider))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::super::{Prober, RealProber};
    use super::*;
    use crate::testing::pod;
    use container::fake::FakeRuntime;
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers each connection with the same text; returns the port.
    async fn serve(text: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(text.as_bytes()).await;
            }
        });
        port
    }

    async fn check(probe: Value) -> Outcome {
        let pod = pod(json!({"containers": [{"name": "a", "readinessProbe": probe}]}));
        let container = crate::pod::spec(&pod).containers[0].clone();
        let target = Target {
            probe: container.readiness_probe.clone().unwrap(),
            pod: Arc::new(pod),
            container,
            container_id: "c".into(),
            pod_ip: "127.0.0.1".into(),
        };
        let prober = RealProber {
            runtime: Arc::new(FakeRuntime::default()),
            clock: Clock::system(),
        };
        prober.probe(&target).await
    }

    #[tokio::test]
    async fn statuses_are_judged() {
        for (answer, want) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                Outcome::Success,
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", Outcome::Success),
            (
                "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
                Outcome::Failure("HTTP probe failed with statuscode: 500".into()),
            ),
            (
                "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
                Outcome::Warning("Probe terminated redirects, Response body: ".into()),
            ),
        ] {
            let port = serve(answer).await;
            assert_eq!(
                check(json!({"httpGet": {"port": port}})).await,
                want,
                "{answer}"
            );
        }
    }

    #[tokio::test]
    async fn nobody_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(
            check(json!({"tcpSocket": {"port": port}})).await,
            Outcome::Success
        );
        drop(listener);
        let refused = format!("dial tcp 127.0.0.1:{port}: connect: connection refused");
        assert_eq!(
            check(json!({"tcpSocket": {"port": port}})).await,
            Outcome::Failure(refused.clone())
        );
        assert_eq!(
            check(json!({"httpGet": {"port": port, "path": "/x"}})).await,
            Outcome::Failure(format!("Get \"http://127.0.0.1:{port}/x\": {refused}"))
        );
        assert!(matches!(
            check(json!({"grpc": {"port": port}})).await,
            Outcome::Failure(_)
        ));
    }
}
