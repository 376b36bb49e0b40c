//! Spans of the keyspace, and reading them page by page.

use bytes::Bytes;

use crate::{Record, Revision};

/// The keys from `start` on that lie before `end`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first key, if it exists.
    pub start: Bytes,
    /// The first key beyond; none for the end of the keyspace.
    pub end: Option<Bytes>,
}

/// What to read of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The keys to read.
    pub span: Span,
    /// The most records to return; none for all.
    pub limit: Option<usize>,
    /// The revision to read at; none for the present.
    pub at: Option<Revision>,
}

/// Records of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The records in key order, no more than the limit.
    pub records: Vec<Record>,
    /// Whether the limit cut records off.
    pub more: bool,
    /// How many records the span has, those cut off included.
    pub count: usize,
    /// The revision that was read: the one asked for, or the present one.
    pub revision: Revision,
}

impl Span {
    /// All keys.
    pub fn all() -> Self {
        Self {
            start: Bytes::new(),
            end: None,
        }
    }

    /// The keys that begin with `prefix`.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let start = prefix.into();
        let end = prefix_end(&start);
        Self { start, end }
    }

    /// A single key.
    pub fn key(key: impl Into<Bytes>) -> Self {
        let start = key.into();
        let end = Some(successor(&start));
        Self { start, end }
    }

    /// The part of this span that lies after `key`: where the next page
    /// begins.
    #[must_use]
    pub fn after(&self, key: &[u8]) -> Self {
        let start = successor(key).max(self.start.clone());
        let end = self.end.clone();
        Self { start, end }
    }

    /// Whether `key` lies in this span.
    pub fn contains(&self, key: &[u8]) -> bool {
        *key >= *self.start && self.end.as_ref().is_none_or(|end| key < end)
    }

    /// Whether no key can lie in this span.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }
}

impl Range {
    /// All of a span, now.
    pub fn new(span: Span) -> Self {
        Self {
            span,
            limit: None,
            at: None,
        }
    }

    /// No more than `limit` records.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// As it was at `revision`.
    #[must_use]
    pub fn at(mut self, revision: Revision) -> Self {
        self.at = Some(revision);
        self
    }
}

/// The smallest key that is greater than `key`.
fn successor(key: &[u8]) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next.into()
}

/// The smallest key beyond all that begin with `prefix`.
fn prefix_end(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_covers_what_begins_with_it() {
        let span = Span::prefix("/pods/");
        for (key, inside) in [
            ("/pods/", true),
            ("/pods/a", true),
            ("/pods/\u{10ffff}", true),
            ("/pods", false),
            ("/pods0", false),
            ("/q", false),
        ] {
            assert_eq!(span.contains(key.as_bytes()), inside, "{key}");
        }
        assert_eq!(Span::prefix("").end, None);
        assert_eq!(Span::prefix(&b"\xff\xff"[..]).end, None);
        assert_eq!(Span::prefix(&b"a\xff"[..]).end.as_deref(), Some(&b"b"[..]));
    }

    #[test]
    fn after_a_key_the_rest_begins() {
        let span = Span::prefix("a");
        let rest = span.after(b"ab");
        assert!(!rest.contains(b"ab"));
        assert!(rest.contains(b"ab\0"));
        assert_eq!(rest.end, span.end);
        assert!(Span::key("a").after(b"a").is_empty());
    }
}
