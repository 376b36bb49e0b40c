//! Being let in: challenges, Basic, and tokens.
//!
//! Follows the distribution project's docs/content/spec/auth (token.md,
//! oauth.md, scope.md) and containerd's core/remotes/docker/authorizer.go.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde::Deserialize;

use super::{
    error::Error,
    http::{Body, Http, full},
};
use crate::keyring::Credentials;

/// The largest answer of a token server.
const TOKEN_MAX: u64 = 1 << 20;

/// What a registry wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: String,
        scope: String,
        /// Why what was shown did not do.
        error: String,
    },
    Other(String),
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

/// The challenges of an answer, the strongest first.
pub(super) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(header::WWW_AUTHENTICATE).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut all: Vec<Challenge> = texts.map(challenge).collect();
    all.sort_by_key(|one| match one {
        Challenge::Bearer { .. } => 0,
        Challenge::Basic => 1,
        Challenge::Other(_) => 2,
    });
    all
}

fn challenge(text: &str) -> Challenge {
    let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Challenge::Basic;
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Challenge::Other(scheme.to_owned());
    }
    let (mut realm, mut service, mut scope, mut error) =
        (String::new(), String::new(), String::new(), String::new());
    for (name, value) in parameters(rest) {
        match name.to_ascii_lowercase().as_str() {
            "realm" => realm = value,
            "service" => service = value,
            "scope" => scope = value,
            "error" => error = value,
            _ => {}
        }
    }
    Challenge::Bearer {
        realm,
        service,
        scope,
        error,
    }
}

/// `name="value"`, separated by commas, which values may have, too.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',', '\t']).to_owned();
        let after = after.trim_start();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.push((name, value.trim().to_owned()));
        rest = left;
    }
    found
}

/// What to show a registry that asks for a name and a password.
pub(super) fn basic(credentials: &Credentials) -> String {
    let both = format!("{}:{}", credentials.username, credentials.password);
    format!("Basic {}", STANDARD.encode(both))
}

/// What to show after a challenge; nothing if there is nothing to show.
pub(super) async fn answer(
    http: &Http,
    challenges: &[Challenge],
    credentials: Option<&Credentials>,
    scope: &str,
) -> Result<Option<String>, Error> {
    for challenge in challenges {
        match (challenge, credentials) {
            (
                Challenge::Bearer {
                    realm,
                    service,
                    scope: wanted,
                    ..
                },
                _,
            ) => {
                let scope = if wanted.is_empty() { scope } else { wanted };
                let token = token(http, realm, service, scope, credentials).await?;
                return Ok(Some(format!("Bearer {token}")));
            }
            (Challenge::Basic, Some(credentials)) => return Ok(Some(basic(credentials))),
            _ => {}
        }
    }
    match challenges {
        [Challenge::Other(scheme), ..] => Err(Error::Scheme(scheme.clone())),
        _ => Ok(None),
    }
}

async fn token(
    http: &Http,
    realm: &str,
    service: &str,
    scope: &str,
    credentials: Option<&Credentials>,
) -> Result<String, Error> {
    let request = match credentials {
        Some(identity) if !identity.token.is_empty() => {
            refresh_request(realm, service, scope, identity)
        }
        other => fetch_request(realm, service, scope, other),
    };
    let request = request.map_err(|error| Error::Token(format!("{realm:?}: {error}")))?;
    let (method, url) = (request.method().clone(), request.uri().to_string());
    let failed = |why: String| Error::Token(why);
    let sent = http.send(request).await;
    let mut response = sent.map_err(|e| failed(format!("{method} {url}: {e}")))?;
    let status = response.status();
    let read = http.whole(response.body_mut(), TOKEN_MAX).await;
    let (content, _) = read.map_err(|e| failed(format!("{method} {url}: {e}")))?;
    if status != StatusCode::OK {
        let message = super::session::message(&content);
        return Err(failed(format!(
            "unexpected status from {method} request to {url}: {status}{message}"
        )));
    }
    let token: Token = serde_json::from_slice(&content)
        .map_err(|error| failed(format!("the answer of {url} is not valid: {error}")))?;
    let given = [token.token, token.access_token];
    let first = given.into_iter().find(|token| !token.is_empty());
    first.ok_or_else(|| failed(format!("the answer of {url} has no token")))
}

fn fetch_request(
    realm: &str,
    service: &str,
    scope: &str,
    credentials: Option<&Credentials>,
) -> Result<Request<Body>, http::Error> {
    let query = form(&[("service", service), ("scope", scope)]);
    let joint = if realm.contains('?') { '&' } else { '?' };
    let mut request = Request::builder()
        .method(Method::GET)
        .uri(format!("{realm}{joint}{query}"))
        .header(header::USER_AGENT, super::USER_AGENT);
    if let Some(credentials) = credentials {
        request = request.header(header::AUTHORIZATION, basic(credentials));
    }
    request.body(full(""))
}

/// An identity token is exchanged as OAuth has it.
fn refresh_request(
    realm: &str,
    service: &str,
    scope: &str,
    identity: &Credentials,
) -> Result<Request<Body>, http::Error> {
    let body = form(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", &identity.token),
        ("service", service),
        ("scope", scope),
        ("client_id", "tiphys"),
    ]);
    Request::builder()
        .method(Method::POST)
        .uri(realm)
        .header(header::USER_AGENT, super::USER_AGENT)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(full(body))
}

fn form(pairs: &[(&str, &str)]) -> String {
    let mut out = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        out.append_pair(name, value);
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let mut headers = HeaderMap::new();
        for text in [
            "Basic realm=\"r\"",
            "Bearer realm=\"https://a/t\",service=\"s\", scope=\"repository:x:pull,push\",error=\"insufficient_scope\"",
            "Negotiate",
        ] {
            headers.append(header::WWW_AUTHENTICATE, text.parse().unwrap());
        }
        let bearer = Challenge::Bearer {
            realm: "https://a/t".into(),
            service: "s".into(),
            scope: "repository:x:pull,push".into(),
            error: "insufficient_scope".into(),
        };
        let want = [
            bearer,
            Challenge::Basic,
            Challenge::Other("Negotiate".into()),
        ];
        assert_eq!(challenges(&headers), want);
    }
}
