//! Tree to YAML text, character by character as sigs.k8s.io/yaml writes it:
//! keys in alphabetical order, the styles of scalars, long lines folded.
//!
//! The rules of styles follow libyaml's emitter and goyaml.v2's encode.go.

use meta::{Map, Number, Value, go};
use std::fmt::Write;

/// From which column on a line is folded at its next space.
const WIDTH: usize = 80;
/// A longer key is written with a question mark.
const KEY_MAX: usize = 128;

/// Writes a document, keys in alphabetical order as sigs.k8s.io/yaml does.
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_map(map, 0, &mut out),
        Value::Array(items) if !items.is_empty() => write_list(items, 0, &mut out),
        scalar => {
            write_inline(scalar, 0, &mut out);
            end_line(&mut out);
        }
    }
    out
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', depth));
}

/// Ends a line that has begun.
fn end_line(out: &mut String) {
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

fn write_map(map: &Map, depth: usize, out: &mut String) {
    for (i, (key, value)) in map.iter().enumerate() {
        if i > 0 || !out.ends_with("- ") {
            indent(depth, out);
        }
        if key.contains('\n') || key.len() > KEY_MAX {
            out.push_str("? ");
            write_text(key, depth + 2, true, out);
            end_line(out);
            indent(depth, out);
        } else {
            write_text(key, depth, false, out);
        }
        out.push(':');
        write_below(value, depth, out);
    }
}

fn write_below(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            write_map(map, depth + 2, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            write_list(items, depth, out);
        }
        scalar => {
            out.push(' ');
            write_inline(scalar, depth + 2, out);
            end_line(out);
        }
    }
}

fn write_list(items: &[Value], depth: usize, out: &mut String) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 || !out.ends_with("- ") {
            indent(depth, out);
        }
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => write_map(map, depth + 2, out),
            Value::Array(inner) if !inner.is_empty() => write_list(inner, depth + 2, out),
            scalar => {
                write_inline(scalar, depth + 2, out);
                end_line(out);
            }
        }
    }
}

fn write_inline(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::String(text) => write_text(text, depth, true, out),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
        Value::Number(Number::Float(x)) if x.fract() != 0.0 || x.abs() >= 1e21 => {
            out.push_str(&go::float(*x));
        }
        other => out.push_str(&other.to_json()),
    }
}

/// Text in the style that suits it; only values are folded.
fn write_text(text: &str, depth: usize, fold: bool, out: &mut String) {
    let styles = Styles::of(text);
    let is_block = text.contains('\n');
    if is_block && styles.block && fold {
        write_block(text, depth, out);
    } else if !is_block && styles.plain && !is_something_else(text) {
        write_plain(text, depth, fold, out);
    } else if !is_block && styles.single && !is_something_else(text) {
        write_single(text, depth, fold, out);
    } else {
        write_double(text, depth, fold, out);
    }
}

/// In which styles a text can stand.
struct Styles {
    plain: bool,
    single: bool,
    block: bool,
}

impl Styles {
    fn of(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let (Some(&first), Some(&last)) = (chars.first(), chars.last()) else {
            return Styles {
                plain: true,
                single: true,
                block: false,
            };
        };
        let blank = |c: Option<&char>| c.is_none_or(|c| matches!(c, ' ' | '\t') || is_break(*c));
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut break_space, mut space_break) = (false, false, false);
        for (i, &c) in chars.iter().enumerate() {
            let before = i.checked_sub(1).map(|i| chars[i]);
            let followed = blank(chars.get(i + 1));
            indicators |= match c {
                '#' => before.is_none_or(|c| blank(Some(&c))),
                ':' => followed,
                '?' | '-' if i == 0 => followed,
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
                | '@' | '`' => i == 0,
                _ => false,
            };
            special |= !is_printable(c);
            break_space |= c == ' ' && before.is_some_and(is_break);
            space_break |= is_break(c) && before == Some(' ');
        }
        let at_edge = |c: char| c == ' ' || is_break(c);
        let has_breaks = chars.iter().any(|c| is_break(*c));
        let bad = space_break || special;
        Styles {
            plain: !(indicators || at_edge(first) || at_edge(last) || has_breaks || bad),
            single: !(break_space || bad),
            block: !(last == ' ' || bad),
        }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What libyaml thinks can be printed; nothing beyond the first plane.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

fn column(out: &str) -> usize {
    out[out.rfind('\n').map_or(0, |at| at + 1)..]
        .chars()
        .count()
}

/// Writes text with the long lines folded at single spaces within it.
fn folded(text: &str, depth: usize, fold: bool, out: &mut String, put: impl Fn(char, &mut String)) {
    let chars: Vec<char> = text.chars().collect();
    let mut column = column(out);
    for (i, &c) in chars.iter().enumerate() {
        let inner = i > 0 && i + 1 < chars.len();
        let alone = inner && chars[i - 1] != ' ' && chars[i + 1] != ' ';
        if fold && c == ' ' && column > WIDTH && alone {
            out.push('\n');
            indent(depth, out);
            column = depth;
            continue;
        }
        let before = out.len();
        put(c, out);
        column += out[before..].chars().count();
    }
}

fn write_plain(text: &str, depth: usize, fold: bool, out: &mut String) {
    folded(text, depth, fold, out, |c, out| out.push(c));
}

fn write_single(text: &str, depth: usize, fold: bool, out: &mut String) {
    out.push('\'');
    folded(text, depth, fold, out, |c, out| match c {
        '\'' => out.push_str("''"),
        c => out.push(c),
    });
    out.push('\'');
}

fn write_double(text: &str, depth: usize, fold: bool, out: &mut String) {
    out.push('"');
    folded(text, depth, fold, out, write_escaped);
    out.push('"');
}

fn write_escaped(c: char, out: &mut String) {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        c if is_printable(c) => return out.push(c),
        c => {
            let code = u32::from(c);
            let _ = match code {
                0..=0xff => write!(out, "\\x{code:02X}"),
                0x100..=0xffff => write!(out, "\\u{code:04X}"),
                _ => write!(out, "\\U{code:08X}"),
            };
            return;
        }
    };
    out.push('\\');
    out.push(short);
}

fn write_block(text: &str, depth: usize, out: &mut String) {
    out.push('|');
    if text.starts_with(|c| c == ' ' || is_break(c)) {
        out.push('2');
    }
    let body = text.trim_end_matches('\n');
    let breaks = text.len() - body.len();
    match breaks {
        0 => out.push('-'),
        1 if !body.is_empty() => {}
        _ => out.push('+'),
    }
    let lines = text.strip_suffix('\n').unwrap_or(text);
    for line in lines.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(depth.max(2), out);
            out.push_str(line);
        }
    }
    if breaks > 0 {
        out.push('\n');
    }
}

/// Whether YAML 1.1 reads the bare text as something else than text.
fn is_something_else(text: &str) -> bool {
    const WORDS: [&str; 22] = [
        "", "~", "null", "Null", "NULL", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N",
        "no", "No", "NO", "off", "Off", "OFF", ".nan",
    ];
    const MORE: [&str; 17] = [
        ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf",
        "-.INF", "true", "True", "TRUE", "false", "False", "FALSE",
    ];
    if WORDS.contains(&text) || MORE.contains(&text) {
        return true;
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return false;
    }
    is_number(text) || is_base_60(text) || is_time(text)
}

fn is_number(text: &str) -> bool {
    let plain = text.replace('_', "");
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let lower = unsigned.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            return u64::from_str_radix(digits, radix).is_ok();
        }
    }
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | '+' | '-');
    lower.contains(|c: char| c.is_ascii_digit())
        && lower.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && lower.chars().all(numeric)
        && lower.parse::<f64>().is_ok()
}

/// `12:30` and `1:2:3.5`
fn is_base_60(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let minutes = |part: &str| {
        let two = part.len() == 2 && part.as_bytes()[0] <= b'5';
        part.bytes().all(|b| b.is_ascii_digit()) && (part.len() == 1 || two)
    };
    first.starts_with(|c: char| c.is_ascii_digit())
        && digits(first)
        && whole.contains(':')
        && parts.all(minutes)
        && digits(fraction)
}

/// `2024-01-01`, with or without a time.
fn is_time(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let mut numbers = date
        .split('-')
        .map(|part| (part.len(), part.parse::<u32>()));
    let date = matches!(numbers.next(), Some((4, Ok(_))))
        && matches!(numbers.next(), Some((1..=2, Ok(1..=12))))
        && matches!(numbers.next(), Some((1..=2, Ok(1..=31))))
        && numbers.next().is_none();
    let clock = |time: &str| {
        let time = time.trim_end_matches(['Z']);
        let time = time.find(['+', '-']).map_or(time, |at| &time[..at]);
        let mut parts = time.split(':');
        let fits = |part: Option<&str>, most: f64| {
            part.and_then(|part| part.parse::<f64>().ok())
                .is_some_and(|n| n < most)
        };
        fits(parts.next(), 24.0) && fits(parts.next(), 60.0) && fits(parts.next(), 60.0)
    };
    date && time.is_none_or(clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stands_as_upstream_writes_it() {
        let wanted = include_str!("testdata/written.yaml");
        let object = include_bytes!("testdata/written.json");
        let object = crate::json::parse(object).expect("JSON").value;
        let written = write(&object);
        for (ours, theirs) in written.lines().zip(wanted.lines()) {
            assert_eq!(ours, theirs);
        }
        assert_eq!(written, wanted);
    }
}
