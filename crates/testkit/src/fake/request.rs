//! A request's path and query, taken apart.

use super::kinds::{self, Kind};
use super::store::Refusal;
use std::collections::BTreeMap;

/// What a request is about.
pub(super) struct Target {
    pub(super) kind: &'static Kind,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) subresource: String,
    pub(super) query: BTreeMap<String, String>,
}

impl Target {
    /// Reads `/api/v1/...` and `/apis/group/version/...`.
    pub(super) fn parse(path_and_query: &str) -> Result<Self, Refusal> {
        let (path, query) = path_and_query
            .split_once('?')
            .unwrap_or((path_and_query, ""));
        let segments: Vec<String> = path.trim_matches('/').split('/').map(unescape).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (api_version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ((*version).to_owned(), rest),
            ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
            _ => return Err(Refusal::not_found("path", path)),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, resource, rest @ ..]
                if !["status", "finalize"].contains(resource) =>
            {
                (*namespace, [&[*resource], rest].concat())
            }
            rest => ("", rest.to_vec()),
        };
        let resource = rest.first().copied().unwrap_or_default();
        let kind = kinds::by_resource(resource).filter(|kind| kind.api_version == api_version);
        let part = |index: usize| rest.get(index).copied().unwrap_or_default().to_owned();
        Ok(Self {
            kind: kind.ok_or_else(|| Refusal::not_found("resource", path))?,
            namespace: namespace.to_owned(),
            name: part(1),
            subresource: part(2),
            query: parse_query(query),
        })
    }

    pub(super) fn asks(&self, flag: &str) -> bool {
        self.query.get(flag).is_some_and(|value| value == "true")
    }
}

fn parse_query(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), unescape(value)))
        .collect()
}

fn unescape(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let digits =
            (byte == b'%').then(|| [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')]);
        let decoded = digits
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok());
        plain.push(decoded.unwrap_or(byte));
    }
    String::from_utf8_lossy(&plain).into_owned()
}
