//! `/openapi/v3` and `/openapi/v2`: the schema as clients read it, made from
//! the same table that drives decoding, patches and apply.
//!
//! Documents are made when first asked for, kept compressed, and made anew when
//! other kinds are served. Follows kube-openapi's pkg/handler and pkg/handler3.

mod custom;
mod documents;
mod paths;
mod proto;
mod schemas;
mod v2;
mod v3;

pub use documents::Documents;

use crate::answer::{Answer, Body};
use crate::server::Server;
use crate::stack::{Request, no_such_path};
use documents::Document;
use http::header::{ACCEPT, HeaderValue};
use http::{Method, StatusCode};
use meta::{Reason, Status};
use std::sync::Arc;

const JSON: &str = "application/json";
/// What clients ask for, and what is answered: an `@` may not stand in a media type.
const PROTO_ASKED: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
];
const PROTO: &str = PROTO_ASKED[1];

/// The answer to an OpenAPI path.
pub(crate) async fn answer(server: &Arc<Server>, request: &Request) -> Result<Answer, Status> {
    if request.method != Method::GET && request.method != Method::HEAD {
        return Ok(no_such_path());
    }
    let path = request.info.path.trim_end_matches('/').to_string();
    let (is_v2, below) = match (path.as_str(), path.strip_prefix("/openapi/v3")) {
        ("/openapi/v2", _) => (true, String::new()),
        (_, Some("")) => (false, String::new()),
        (_, Some(rest)) if rest.starts_with('/') => (false, rest[1..].to_string()),
        _ => return Ok(no_such_path()),
    };
    let form = form(request, is_v2)?;
    let documents = server.clone();
    // Making documents takes longer than a request may hold up others.
    let found = tokio::task::spawn_blocking(move || {
        let all = documents.openapi.all(&documents.registry);
        match (is_v2, below.as_str()) {
            (true, _) if form == PROTO => Some(all.v2_proto()),
            (true, _) => Some(all.v2_json()),
            (false, "") => Some(all.index()),
            (false, below) => all.v3(below),
        }
    });
    match found.await.map_err(Status::internal)? {
        Some(document) => document.map(|d| serve(request, &d, form, &path)),
        None => Ok(no_such_path()),
    }
}

/// The media type that both sides know.
fn form(request: &Request, is_v2: bool) -> Result<&'static str, Status> {
    let accept = request.headers.get_all(ACCEPT);
    let text: Vec<&str> = accept.iter().filter_map(|v| v.to_str().ok()).collect();
    let clauses = text.iter().flat_map(|text| text.split(','));
    let mut known = clauses
        .map(|clause| clause.split(';').next().unwrap_or_default().trim())
        .filter_map(|media| match media {
            "" | JSON | "*/*" | "application/*" => Some(JSON),
            media if is_v2 && PROTO_ASKED.contains(&media) => Some(PROTO),
            _ => None,
        });
    match (known.next(), text.is_empty()) {
        (Some(form), _) => Ok(form),
        (None, true) => Ok(JSON),
        (None, false) => Err(Status::new(
            Reason::NotAcceptable,
            format!("only the following media types are accepted: {JSON}"),
        )),
    }
}

/// A document, or word that the client has it already.
fn serve(request: &Request, document: &Document, form: &'static str, path: &str) -> Answer {
    let etag = format!("\"{}\"", document.hash);
    let hash = request.query.get("hash");
    if !hash.is_empty() && hash != document.hash {
        let mut moved = Answer::text(StatusCode::MOVED_PERMANENTLY, "");
        moved = moved.with("location", &format!("{path}?hash={}", document.hash));
        return moved;
    }
    let known = request.header("if-none-match");
    let is_known = known
        .split(',')
        .any(|tag| matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == etag);
    let media = HeaderValue::from_static(form);
    let answer = match (is_known, crate::compress::is_accepted(&request.headers)) {
        (true, _) => Answer::new(
            StatusCode::NOT_MODIFIED,
            media,
            Body::Full(Default::default()),
        ),
        (false, true) => Answer::new(StatusCode::OK, media, Body::Full(document.packed.clone()))
            .with("content-encoding", "gzip"),
        (false, false) => Answer::new(StatusCode::OK, media, Body::Full(document.unpacked())),
    };
    let answer = answer
        .with("etag", &etag)
        .with("vary", "Accept")
        .with("vary", "Accept-Encoding");
    match hash.is_empty() {
        true => answer,
        // The hash names the content, which therefore never changes.
        false => answer.with("cache-control", "public, immutable, max-age=31536000"),
    }
}
