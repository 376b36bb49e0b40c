//! What stored objects have in common: who owns which of their fields. It is
//! the same, letter for letter, for all that one template made, and a third of
//! a pod.

use memchr::memmem;
use std::ops::Range;

const OWNED: &[u8] = b"\"fieldsV1\":";

/// The parts of a stored value that are likely to stand in others too. What is
/// no object of ours has none, or others; nothing depends on it.
pub fn alike(value: &[u8]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut from = 0;
    while let Some(found) = value.get(from..).and_then(|rest| memmem::find(rest, OWNED)) {
        let begin = from + found + OWNED.len();
        from = begin + object(&value[begin..]);
        parts.push(begin..from);
    }
    parts
}

/// How long the JSON object is with which a text begins.
fn object(text: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b'"' => at += string(&text[at..]),
            _ => {}
        }
        if depth <= 0 {
            break;
        }
    }
    at
}

/// How long the rest of a JSON string is, with the quote that ends it.
fn string(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &text[at..]) {
        if text[at + found] == b'"' {
            return at + found + 1;
        }
        at = (at + found + 2).min(text.len());
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &[&str]) {
        let parts = alike(value.as_bytes()).into_iter();
        let parts: Vec<&str> = parts.map(|part| &value[part]).collect();
        assert_eq!(parts, expected, "{value}");
    }

    #[test]
    fn owned_fields_are_found() {
        check(r#"1{"metadata":{"name":"a"}}"#, &[]);
        check(
            r#"[{"fieldsV1":{"f:a":{"k:{\"b\":\"}\\\"}":{}}},"m":1},{"fieldsV1":{}}]"#,
            &[r#"{"f:a":{"k:{\"b\":\"}\\\"}":{}}}"#, "{}"],
        );
    }

    #[test]
    fn whatever_else_stands_there_does_no_harm() {
        for rest in [
            "", "1", "}", "{", "{\"", "{\"\\", "{\"a\\\"", "[{}", "\"x\"}",
        ] {
            let value = format!("\"fieldsV1\":{rest}");
            for part in alike(value.as_bytes()) {
                assert!(part.end <= value.len(), "{value}: {part:?}");
            }
        }
    }
}
