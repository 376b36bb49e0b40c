//! A tree as compact JSON.

use super::{Number, Value};
use std::fmt;

impl Value {
    /// Compact JSON.
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(256);
        self.write_json(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Appends an API object as compact JSON: kind, apiVersion and metadata come
    /// first, as people expect to read them.
    pub fn write_object(&self, out: &mut Vec<u8>) {
        const FIRST: [&str; 3] = ["kind", "apiVersion", "metadata"];
        let Some(map) = self.as_object() else {
            return self.write_json(out);
        };
        let first = FIRST.iter().filter_map(|key| Some((*key, map.get(key)?)));
        let rest = map
            .iter()
            .map(|(k, v)| (k.as_str(), v))
            .filter(|(k, _)| !FIRST.contains(k));
        out.push(b'{');
        for (i, (key, value)) in first.chain(rest).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_string(key, out);
            out.push(b':');
            value.write_json(out);
        }
        out.push(b'}');
    }

    /// Appends compact JSON.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Number(Number::Int(i)) => write_int(*i, out),
            Value::Number(n) => out.extend_from_slice(n.to_string().as_bytes()),
            Value::String(s) => write_string(s, out),
            Value::Array(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write_json(out);
                }
                out.push(b']');
            }
            Value::Object(map) => {
                out.push(b'{');
                for (i, (key, value)) in map.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    write_string(key, out);
                    out.push(b':');
                    value.write_json(out);
                }
                out.push(b'}');
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

fn write_int(i: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = i.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if i < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a JSON string with its quotes.
pub fn write_string(s: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = s.as_bytes();
    let is_special = |b: u8| b < 0x20 || b == b'"' || b == b'\\';
    // Without branches, so that it is done many bytes at a time.
    if !bytes.iter().fold(false, |odd, b| odd | is_special(*b)) {
        out.extend_from_slice(bytes);
        return out.push(b'"');
    }
    let mut from = 0;
    for (i, &b) in bytes.iter().enumerate() {
        if !is_special(b) {
            continue;
        }
        out.extend_from_slice(&bytes[from..i]);
        from = i + 1;
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.extend_from_slice(format!("\\u{b:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use crate::value;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(
            value!("a\"\\\n\u{1}é").to_json(),
            "\"a\\\"\\\\\\n\\u0001é\""
        );
    }

    #[test]
    fn the_macro_writes_trees() {
        let v = value!({"a": [1, "two", null, {"b": true}], "c": {}, "d": null});
        assert_eq!(
            v.to_json(),
            r#"{"a":[1,"two",null,{"b":true}],"c":{},"d":null}"#
        );
    }
}
