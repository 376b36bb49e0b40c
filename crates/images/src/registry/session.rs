//! One endpoint, asked about one repository as one user: authentication,
//! redirects, and patience with what passes.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use stdx::Clock;

use super::{
    auth::{self, Challenge},
    config::{Endpoint, Scheme},
    error::Error,
    http::{Body, Failure, Http},
};
use crate::keyring::Credentials;

/// Attempts at one request.
const ATTEMPTS: u32 = 5;
/// Wait after the first failed attempt; each further one doubles it.
const DELAY: Duration = Duration::from_millis(250);
/// The longest that a registry may tell us to wait.
const DELAY_MAX: Duration = Duration::from_secs(20);
const REDIRECTS: usize = 10;
/// What is read of an answer that is an error.
const MESSAGE_MAX: u64 = 64 * 1024;

/// Asks one endpoint about one repository as one user.
pub(super) struct Session<'a> {
    http: &'a Http,
    clock: &'a Clock,
    endpoint: Endpoint,
    credentials: Option<Credentials>,
    /// What may be done there: `pull` or `pull,push`.
    actions: &'static str,
    /// Shown with each request, once something was asked for.
    authorization: Mutex<Option<String>>,
    /// Plain HTTP, where that had to be found out.
    plain: AtomicBool,
}

/// A request, which may have to be made again.
pub(super) struct Asked<'a> {
    pub method: Method,
    /// Below the repository, such as `manifests/latest`; or a whole URL.
    pub target: &'a str,
    pub headers: Vec<(HeaderName, String)>,
    pub body: &'a (dyn Fn() -> Body + Send + Sync),
}

fn nothing() -> Body {
    super::http::full("")
}

impl<'a> Asked<'a> {
    pub(super) fn get(target: &'a str) -> Self {
        Self::new(Method::GET, target)
    }

    pub(super) fn new(method: Method, target: &'a str) -> Self {
        Self {
            method,
            target,
            headers: Vec::new(),
            body: &nothing,
        }
    }

    pub(super) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(
        http: &'a Http,
        clock: &'a Clock,
        endpoint: Endpoint,
        credentials: Option<Credentials>,
        actions: &'static str,
    ) -> Self {
        Self {
            http,
            clock,
            endpoint,
            credentials,
            actions,
            authorization: Mutex::default(),
            plain: AtomicBool::new(false),
        }
    }

    pub(super) fn http(&self) -> &Http {
        self.http
    }

    pub(super) fn clock(&self) -> &Clock {
        self.clock
    }

    /// Asks until there is an answer that is no passing trouble: a success,
    /// or an error that stays.
    pub(super) async fn ask(&self, asked: Asked<'_>) -> Result<Response<Incoming>, Error> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (error, wait) = match self.once(&asked).await {
                Ok(response) if is_passing(response.status()) => {
                    let wait = retry_after(response.headers());
                    (self.error(&asked, response).await, wait)
                }
                Ok(response) if is_good(response.status()) => return Ok(response),
                Ok(response) => return Err(self.error(&asked, response).await),
                Err(Error::Request { plain: true, .. }) if self.may_be_plain() => {
                    self.plain.store(true, Ordering::Relaxed);
                    attempt = 0;
                    continue;
                }
                Err(
                    error @ Error::Request {
                        transient: true, ..
                    },
                ) => (error, None),
                Err(error) => return Err(error),
            };
            if attempt >= ATTEMPTS {
                return Err(error);
            }
            let wait = wait.unwrap_or(DELAY * 2u32.pow(attempt - 1));
            self.clock.sleep(wait.min(DELAY_MAX)).await;
        }
    }

    /// Requests go out several at a time: another one may have found it out.
    fn may_be_plain(&self) -> bool {
        self.endpoint.scheme == Scheme::Either
    }

    /// One attempt, with the answer to a challenge if there is one.
    async fn once(&self, asked: &Asked<'_>) -> Result<Response<Incoming>, Error> {
        let used = self.shown().clone();
        let response = self.follow(asked).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let challenges = auth::challenges(response.headers());
        let scope = format!("repository:{}:{}", self.endpoint.path, self.actions);
        let credentials = self.credentials.as_ref();
        let answer = auth::answer(self.http, &challenges, credentials, &scope).await?;
        let Some(answer) = answer else {
            return Ok(response);
        };
        if used.as_ref() == Some(&answer) {
            // It was shown and did not do.
            return Ok(response);
        }
        *self.shown() = Some(answer);
        drop(response);
        self.follow(asked).await
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        let locked = self.authorization.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends, and goes where the registry sends us. What lets us in is shown
    /// to the registry only.
    async fn follow(&self, asked: &Asked<'_>) -> Result<Response<Incoming>, Error> {
        let mut url = self.url(asked.target);
        for _ in 0..=REDIRECTS {
            let response = self.send(asked, &url).await?;
            let is_read = matches!(asked.method, Method::GET | Method::HEAD);
            if !response.status().is_redirection() || !is_read {
                return Ok(response);
            }
            let location = response.headers().get(header::LOCATION);
            let Some(location) = location.and_then(|value| value.to_str().ok()) else {
                return Ok(response);
            };
            url = join(&url, location);
        }
        Err(self.failed(
            asked,
            &url,
            "stopped after 10 redirects".to_owned(),
            false,
            false,
        ))
    }

    async fn send(&self, asked: &Asked<'_>, url: &str) -> Result<Response<Incoming>, Error> {
        let bad = |why: String| self.failed(asked, url, why, false, false);
        let uri: Uri = url
            .parse()
            .map_err(|e: http::uri::InvalidUri| bad(e.to_string()))?;
        let is_home = uri.authority().map(http::uri::Authority::as_str)
            == Some(self.endpoint.authority.as_str());
        let mut request = Request::builder()
            .method(asked.method.clone())
            .uri(uri)
            .header(header::USER_AGENT, super::USER_AGENT);
        for (name, value) in &asked.headers {
            request = request.header(name, value);
        }
        let shown = self.shown().clone();
        if let Some(shown) = shown.filter(|_| is_home) {
            request = request.header(header::AUTHORIZATION, shown);
        }
        let request = request
            .body((asked.body)())
            .map_err(|e| bad(e.to_string()))?;
        self.http.send(request).await.map_err(|failure| {
            let plain = matches!(&failure, Failure::Connect(error) if error.hints_at_plain());
            let transient = !matches!(failure, Failure::Connect(_));
            self.failed(asked, url, failure.to_string(), transient, plain)
        })
    }

    fn failed(
        &self,
        asked: &Asked<'_>,
        url: &str,
        why: String,
        transient: bool,
        plain: bool,
    ) -> Error {
        Error::Request {
            method: asked.method.clone(),
            url: url.to_owned(),
            why,
            transient,
            plain,
        }
    }

    /// Where something of the repository is.
    pub(super) fn url(&self, target: &str) -> String {
        if target.starts_with("http://") || target.starts_with("https://") {
            return target.to_owned();
        }
        let endpoint = &self.endpoint;
        let is_plain = self.plain.load(Ordering::Relaxed) || endpoint.scheme == Scheme::Http;
        let scheme = if is_plain { "http" } else { "https" };
        let (authority, base, path) = (&endpoint.authority, &endpoint.base, &endpoint.path);
        if target.starts_with('/') {
            return format!("{scheme}://{authority}{target}");
        }
        let url = format!("{scheme}://{authority}{base}/{path}/{target}");
        // A mirror of several registries has to know which one is meant.
        match &endpoint.mirror_of {
            Some(registry) => format!("{url}?ns={registry}"),
            None => url,
        }
    }

    /// What an answer that is no success means.
    async fn error(&self, asked: &Asked<'_>, mut response: Response<Incoming>) -> Error {
        let status = response.status();
        let body = self.http.whole(response.body_mut(), MESSAGE_MAX).await;
        let message = body
            .map(|(content, _)| message(&content))
            .unwrap_or_default();
        let url = self.url(asked.target);
        match status {
            StatusCode::NOT_FOUND => Error::NotFound(url),
            StatusCode::UNAUTHORIZED => {
                let challenges = auth::challenges(response.headers());
                let denied = challenges.iter().find_map(|challenge| match challenge {
                    Challenge::Bearer { error, .. } if !error.is_empty() => Some(error.clone()),
                    _ => None,
                });
                match denied {
                    Some(error) => Error::Denied(format!("{error}: authorization failed")),
                    None => self.status(asked, url, status, message),
                }
            }
            _ => self.status(asked, url, status, message),
        }
    }

    fn status(&self, asked: &Asked<'_>, url: String, status: StatusCode, message: String) -> Error {
        Error::Status {
            method: asked.method.clone(),
            url,
            status,
            message,
        }
    }
}

/// The registry's own words in an answer, as a tail of ours.
pub(super) fn message(content: &[u8]) -> String {
    let text = |value: &serde_json::Value| {
        let error = value.get("errors")?.get(0)?;
        let code = error.get("code")?.as_str()?.to_owned();
        let message = error
            .get("message")
            .and_then(|m| m.as_str())
            .unwrap_or_default();
        Some(format!(": {code}: {message}"))
    };
    let document: Option<serde_json::Value> = serde_json::from_slice(content).ok();
    let said = document.as_ref().and_then(text).unwrap_or_default();
    said.chars().filter(|c| !c.is_control()).take(300).collect()
}

fn is_good(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE
}

/// Trouble that may be over soon.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(text.trim().parse().ok()?))
}

/// A location, which may be relative to where it was said.
pub(super) fn join(url: &str, location: &str) -> String {
    if location.contains("://") {
        return location.to_owned();
    }
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if location.starts_with("//") {
        return format!("{scheme}:{location}");
    }
    if location.starts_with('/') {
        return format!("{scheme}://{authority}{location}");
    }
    let path = path.split('?').next().unwrap_or_default();
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    format!("{scheme}://{authority}/{parent}/{location}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        for (location, want) in [
            ("https://b/x?y", "https://b/x?y"),
            ("/x", "http://a:5/x"),
            ("x", "http://a:5/v2/x"),
            ("//b/x", "http://b/x"),
        ] {
            assert_eq!(join("http://a:5/v2/repo?q=/", location), want);
        }
    }

    #[test]
    fn words_of_registries() {
        let content = br#"{"errors":[{"code":"DENIED","message":"no\nway"}]}"#;
        assert_eq!(message(content), ": DENIED: noway");
        assert_eq!(message(b"<html>"), "");
    }
}
