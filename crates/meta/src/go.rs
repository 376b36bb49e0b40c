//! How Go's `fmt` prints the trees that its JSON decoder makes: what templates,
//! JSONPath and error texts of upstream show. And how Go reads durations.

use crate::{Number, Value};
use std::fmt::Write;

/// From which power of ten on `%v` writes an exponent.
const EXPONENT_FROM: i32 = 6;

/// As `%v` prints: `map[a:1 b:[x y]]`.
pub fn print(value: &Value) -> String {
    let mut out = String::new();
    write_plain(value, &mut out);
    out
}

/// As `%#v` prints: `map[string]interface {}{"a":1}`.
pub fn syntax(value: &Value) -> String {
    let mut out = String::new();
    write_syntax(value, &mut out);
    out
}

/// What Go calls the type of a value: `map[string]interface {}`.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(Number::Int(_)) => "int64",
        Value::Number(Number::Float(_)) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A `float64` as `%v` prints it: with an exponent below 1e-4 and from 1e6 on.
pub fn float(x: f64) -> String {
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let text = format!("{x:e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or_default();
    if x == 0.0 || (-4..EXPONENT_FROM).contains(&power) {
        return format!("{x}");
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", power.abs())
}

/// Reads a duration, in seconds: `1h30m`, `1.5s`, `-1s`; bare numbers only when
/// zero.
pub fn duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0.0);
    }
    let mut seconds = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        seconds += number
            * match &rest[..end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Some(sign * seconds)
}

fn write_plain(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(Number::Int(i)) => {
            let _ = write!(out, "{i}");
        }
        Value::Number(Number::Float(x)) => out.push_str(&float(*x)),
        Value::String(s) => out.push_str(s),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                write_plain(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push_str("map[");
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                write_plain(item, out);
            }
            out.push(']');
        }
    }
}

fn write_syntax(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("interface {}(nil)"),
        Value::String(s) => out.push_str(&crate::field::quote(s)),
        Value::Array(items) => {
            out.push_str("[]interface {}{");
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_syntax(item, out);
            }
            out.push('}');
        }
        Value::Object(map) => {
            out.push_str("map[string]interface {}{");
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                out.push_str(&crate::field::quote(key));
                out.push(':');
                write_syntax(item, out);
            }
            out.push('}');
        }
        scalar => write_plain(scalar, out),
    }
}

/// Compact JSON as Go's `json.Marshal` writes it: `<`, `>` and `&` escaped.
pub fn json(value: &Value) -> String {
    let text = value.to_json();
    if !text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            other => out.push(other),
        }
    }
    out
}

/// JSON over lines, as `json.MarshalIndent` writes it.
pub fn write_json_indented(value: &Value, indent: &str, depth: usize, out: &mut String) {
    let line = |depth: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n(indent, depth));
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                line(depth + 1, out);
                write_json_indented(item, indent, depth + 1, out);
            }
            line(depth, out);
            out.push(']');
        }
        Value::Object(map) if !map.is_empty() => {
            out.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                line(depth + 1, out);
                out.push_str(&json(&key.into()));
                out.push_str(": ");
                write_json_indented(item, indent, depth + 1, out);
            }
            line(depth, out);
            out.push('}');
        }
        other => out.push_str(&json(other)),
    }
}

/// The text of a Go string in double or single quotes; nothing when an escape
/// means nothing.
pub fn unquote(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut rest = text.strip_prefix(quote)?.strip_suffix(quote)?.chars();
    let mut out = Vec::new();
    while let Some(c) = rest.next() {
        if c == quote {
            return None;
        }
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let simple = match rest.next()? {
            'a' => b'\x07',
            'b' => b'\x08',
            'f' => b'\x0c',
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => b'\x0b',
            '\\' => b'\\',
            c @ ('"' | '\'') if c == quote => u8::try_from(c).ok()?,
            'x' => u8::try_from(number(&mut rest, 2, 16)?).ok()?,
            'u' => {
                push_char(number(&mut rest, 4, 16)?, &mut out)?;
                continue;
            }
            'U' => {
                push_char(number(&mut rest, 8, 16)?, &mut out)?;
                continue;
            }
            first @ '0'..='7' => {
                let high = first.to_digit(8)?;
                u8::try_from(high * 64 + number(&mut rest, 2, 8)?).ok()?
            }
            _ => return None,
        };
        out.push(simple);
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

fn number(rest: &mut std::str::Chars<'_>, digits: usize, radix: u32) -> Option<u32> {
    (0..digits).try_fold(0_u32, |sum, _| {
        let digit = rest.next()?.to_digit(radix)?;
        sum.checked_mul(radix)?.checked_add(digit)
    })
}

fn push_char(code: u32, out: &mut Vec<u8>) -> Option<()> {
    let c = char::from_u32(code)?;
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value;

    #[test]
    fn trees_print_as_go_prints_them() {
        let tree = value!({"b": [1, "x", null, true], "a": {"c": 1.5}});
        assert_eq!(print(&tree), "map[a:map[c:1.5] b:[1 x <nil> true]]");
        assert_eq!(
            syntax(&tree),
            r#"map[string]interface {}{"a":map[string]interface {}{"c":1.5}, "b":[]interface {}{1, "x", interface {}(nil), true}}"#
        );
        assert_eq!(json(&value!("a<b>&c")), r#""a\u003cb\u003e\u0026c""#);
    }

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("1h30m"), Some(5400.0));
        assert_eq!(duration("-1.5s"), Some(-1.5));
        assert_eq!(duration("10"), None);
    }

    #[test]
    fn floats_get_an_exponent_as_in_go() {
        for (x, text) in [
            (0.5, "0.5"),
            (1e6, "1e+06"),
            (123456.0, "123456"),
            (123456789.5, "1.234567895e+08"),
            (1e-5, "1e-05"),
        ] {
            assert_eq!(float(x), text);
        }
    }
}
