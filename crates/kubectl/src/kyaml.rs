//! KYAML, the strict form of YAML of `-o kyaml`: braces, quotes where there
//! could be doubt, no meaning in white space. Follows the layout of
//! sigs.k8s.io/yaml/kyaml.

use meta::{Map, Value};
use std::fmt::Write;

/// A document with its separator.
pub fn document(value: &Value) -> String {
    let mut out = String::from("---\n");
    render(value, 0, &mut out);
    out.push('\n');
    out
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn render(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) => mapping(map, depth, out),
        Value::Array(items) => sequence(items, depth, out),
        Value::String(text) => string(text, depth + 1, false, out),
        scalar => out.push_str(&scalar.to_json()),
    }
}

fn mapping(map: &Map, depth: usize, out: &mut String) {
    if map.is_empty() {
        return out.push_str("{}");
    }
    out.push_str("{\n");
    for (key, value) in map.iter() {
        indent(depth + 1, out);
        match needs_quotes(key) {
            true => string(key, depth + 1, true, out),
            false => out.push_str(key),
        }
        out.push_str(": ");
        render(value, depth + 1, out);
        out.push_str(",\n");
    }
    indent(depth, out);
    out.push('}');
}

fn sequence(items: &[Value], depth: usize, out: &mut String) {
    if items.is_empty() {
        return out.push_str("[]");
    }
    let nested = |item: &Value| matches!(item, Value::Array(_) | Value::Object(_));
    if items.iter().all(nested) {
        out.push('[');
        for (i, item) in items.iter().enumerate() {
            out.push_str(if i > 0 { ", " } else { "" });
            render(item, depth, out);
        }
        return out.push(']');
    }
    out.push_str("[\n");
    for item in items {
        indent(depth + 1, out);
        render(item, depth + 1, out);
        out.push_str(",\n");
    }
    indent(depth, out);
    out.push(']');
}

/// A quoted string; lines are folded unless `compact`.
fn string(text: &str, depth: usize, compact: bool, out: &mut String) {
    let folded = !compact && text.contains('\n');
    out.push('"');
    if folded {
        out.push_str("\\\n");
    }
    for c in text.chars() {
        if out.ends_with('\n') {
            indent(depth, out);
            out.push(match c {
                '\n' => ' ',
                c if c.is_whitespace() => '\\',
                _ => ' ',
            });
        }
        match c {
            '\n' if folded => out.push_str("\\n\\\n"),
            c => escaped(c, out),
        }
    }
    if folded {
        if !out.ends_with('\n') {
            out.push_str("\\\n");
        }
        indent(depth, out);
    }
    out.push('"');
}

fn escaped(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        '\0' => out.push_str("\\0"),
        '\u{1b}' => out.push_str("\\e"),
        '\u{85}' => out.push_str("\\N"),
        '\u{a0}' => out.push_str("\\_"),
        '\u{2028}' => out.push_str("\\L"),
        '\u{2029}' => out.push_str("\\P"),
        c if c == ' ' || !(c.is_control() || c.is_whitespace()) => out.push(c),
        c => {
            let code = u32::from(c);
            let _ = match code {
                0..0x20 | 0x7f => write!(out, "\\x{code:02x}"),
                0..0x1_0000 => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
        }
    }
}

fn needs_quotes(key: &str) -> bool {
    let last = key.chars().count().saturating_sub(1);
    let allowed = |(i, c): (usize, char)| {
        c.is_alphanumeric() || c == '_' || (i > 0 && i < last && matches!(c, '-' | '.' | '/'))
    };
    key.is_empty() || !key.chars().enumerate().all(allowed) || guessed_wrong(key)
}

/// Whether a reader of YAML could take the text for something else.
fn guessed_wrong(text: &str) -> bool {
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "~" | "t" | "true" | "y" | "yes" | "on" | "f" | "false" | "n" | "no" | "off"
    );
    let digits = text.replace('_', "");
    let unsigned = digits.trim_start_matches(['+', '-']);
    let radix = [
        ("0x", 16),
        ("0X", 16),
        ("0b", 2),
        ("0B", 2),
        ("0o", 8),
        ("0O", 8),
    ];
    let based = radix.iter().any(|(prefix, radix)| {
        let rest = unsigned.strip_prefix(prefix);
        rest.is_some_and(|rest| i64::from_str_radix(rest, *radix).is_ok())
    });
    let date = text.len() > 4
        && text.as_bytes()[4] == b'-'
        && text.bytes().take(4).all(|b| b.is_ascii_digit())
        && text.split('-').count() == 3;
    word || based || date || digits.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn documents_are_laid_out_as_upstreams() {
        let tree = value!({
            "kind": "Pod", "n": 1, "yes": true, "empty": {}, "none": [], "app.kubernetes.io/name": null,
            "items": [{"a": "b"}, {"c": ["x", 1]}],
            "text": "one\n  two\n\nthree\n", "tail": "a\nb", "quote": "say \"hi\"\t"
        });
        let wanted = r#"---
{
  app.kubernetes.io/name: null,
  empty: {},
  items: [{
    a: "b",
  }, {
    c: [
      "x",
      1,
    ],
  }],
  kind: "Pod",
  "n": 1,
  none: [],
  quote: "say \"hi\"\t",
  tail: "\
     a\n\
     b\
    ",
  text: "\
     one\n\
    \  two\n\
     \n\
     three\n\
    ",
  "yes": true,
}
"#;
        assert_eq!(document(&tree), wanted);
    }
}
