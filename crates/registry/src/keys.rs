//! Where objects lie in the store: `/registry/<group>/<resource>/<namespace>/<name>`,
//! without the namespace for objects that have none; the core group is `core`.

use api::Card;
use bytes::Bytes;
use store::Span;

/// Everything.
pub(crate) const ROOT: &str = "/registry/";

/// The part that all objects of a kind share.
pub(crate) fn prefix(card: &Card) -> String {
    let group = if card.group.is_empty() {
        "core"
    } else {
        card.group
    };
    format!("{ROOT}{group}/{}/", card.plural)
}

/// The key of an object.
pub(crate) fn key(prefix: &str, namespace: &str, name: &str) -> Bytes {
    let mut key = String::with_capacity(prefix.len() + namespace.len() + name.len() + 1);
    key.push_str(prefix);
    if !namespace.is_empty() {
        key.push_str(namespace);
        key.push('/');
    }
    key.push_str(name);
    Bytes::from(key)
}

/// The keys of a kind, or of one namespace of it.
pub(crate) fn span(prefix: &str, namespace: &str) -> Span {
    match namespace.is_empty() {
        true => Span::prefix(prefix.to_string()),
        false => Span::prefix(format!("{prefix}{namespace}/")),
    }
}

/// The part of a key that tells the kind.
pub(crate) fn kind_of(key: &[u8]) -> Option<&[u8]> {
    let rest = key.strip_prefix(ROOT.as_bytes())?;
    let group = rest.iter().position(|b| *b == b'/')?;
    let resource = rest[group + 1..].iter().position(|b| *b == b'/')?;
    Some(&key[..ROOT.len() + group + resource + 2])
}

/// Namespace (empty when it has none) and name.
pub(crate) fn names(key: &[u8], prefix_len: usize) -> (&str, &str) {
    let rest = key
        .get(prefix_len..)
        .and_then(|rest| std::str::from_utf8(rest).ok())
        .unwrap_or_default();
    rest.split_once('/').unwrap_or(("", rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_kind_namespace_and_name() {
        let key = key("/registry/core/pods/", "default", "web");
        assert_eq!(&*key, b"/registry/core/pods/default/web");
        assert_eq!(kind_of(&key), Some(&b"/registry/core/pods/"[..]));
        assert_eq!(
            names(&key, "/registry/core/pods/".len()),
            ("default", "web")
        );
        assert_eq!(kind_of(b"/other"), None);
    }
}
