//! Where fields stand in a body. Trees are sorted, and upstream tells of odd
//! fields in the order in which they were written.

use std::collections::HashMap;

/// What is open around a place: the path of an object, or that of an array and
/// how many of its items are over.
enum Around {
    Object { path: String, key: Option<String> },
    Array { path: String, index: usize },
}

impl Around {
    /// The path of the value that comes next.
    fn next(&self) -> String {
        match self {
            Around::Object { path, key } => {
                let key = key.as_deref().unwrap_or_default();
                let dot = if path.is_empty() { "" } else { "." };
                format!("{path}{dot}{key}")
            }
            Around::Array { path, index } => format!("{path}[{index}]"),
        }
    }
}

/// The offset of the last key of each path, in JSON that was parsed before.
pub(super) fn places(body: &[u8]) -> HashMap<String, usize> {
    let (mut places, mut open, mut at) = (HashMap::new(), Vec::<Around>::new(), 0);
    while let Some(byte) = body.get(at) {
        let begin = at;
        at += 1;
        let path = || open.last().map_or_else(String::new, Around::next);
        match byte {
            b'{' => {
                let path = path();
                open.push(Around::Object { path, key: None });
            }
            b'[' => {
                let path = path();
                open.push(Around::Array { path, index: 0 });
            }
            b'}' | b']' => drop(open.pop()),
            b',' => match open.last_mut() {
                Some(Around::Object { key, .. }) => *key = None,
                Some(Around::Array { index, .. }) => *index += 1,
                None => {}
            },
            b'"' => {
                at = end_of_text(body, at);
                if let Some(Around::Object {
                    key: key @ None, ..
                }) = open.last_mut()
                {
                    *key = Some(text(&body[begin..at]));
                    places.insert(open.last().map_or_else(String::new, Around::next), begin);
                }
            }
            _ => {}
        }
    }
    places
}

/// Behind the quote that ends a text.
fn end_of_text(body: &[u8], mut at: usize) -> usize {
    while let Some(byte) = body.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => at += 1,
            _ => {}
        }
    }
    at.min(body.len())
}

fn text(quoted: &[u8]) -> String {
    let value = codec::json::parse_value(quoted).unwrap_or_default();
    value.as_str().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn the_last_of_equal_keys_counts() {
        let places =
            places(br#"{"a": [{"b": 1}, {"b": "}\\\""}], "c\u0064": {"b": 1, "b": []}, "a": {}}"#);
        let mut paths: Vec<_> = places
            .iter()
            .map(|(path, at)| (*at, path.as_str()))
            .collect();
        paths.sort();
        let paths: Vec<_> = paths.into_iter().map(|(_, path)| path).collect();
        assert_eq!(paths, ["a[0].b", "a[1].b", "cd", "cd.b", "a"]);
    }
}
