//! `$(NAME)` in commands, arguments and values.
//!
//! Follows third_party/forked/golang/expansion/expand.go: `$$` is a dollar, an
//! unknown name stays as it is written.

/// Replaces references; `lookup` knows the names.
pub fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    expand_noting(text, lookup, |_| {})
}

/// Replaces references and tells which names are unknown.
pub fn expand_noting(
    text: &str,
    lookup: impl Fn(&str) -> Option<String>,
    mut unknown: impl FnMut(&str),
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(next) = after.strip_prefix('$') {
            out.push('$');
            rest = next;
        } else if let Some((name, next)) = after.strip_prefix('(').and_then(|s| s.split_once(')')) {
            match lookup(name) {
                Some(value) => out.push_str(&value),
                None => {
                    unknown(name);
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = next;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_values() {
        for (text, want) in [
            ("$(A)", "1"),
            ("x-$(A)-$(B)", "x-1-2"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$(C)", "$(C)"),
            ("$(A", "$(A"),
            ("$A $", "$A $"),
            ("$()", "$()"),
            ("plain", "plain"),
        ] {
            let lookup = |name: &str| match name {
                "A" => Some("1".to_owned()),
                "B" => Some("2".to_owned()),
                _ => None,
            };
            assert_eq!(expand(text, lookup), want, "{text}");
        }
    }
}
