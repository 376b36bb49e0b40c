//! JSON text to tree. Notices duplicate keys and keeps integers exact; the
//! words of its complaints are those of Go's `encoding/json`.

use meta::value::Str;
use meta::{Map, Number, Path, Value};
use std::fmt;

/// How deep objects and lists may nest, as in Go's decoder.
const DEPTH_MAX: usize = 10_000;
/// How deep our own recursion may go; no schema nests deeper.
const RECURSION_MAX: usize = 512;

/// A tree and what was odd about its text.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The tree.
    pub value: Value,
    /// Where a key stands twice: `spec.replicas`.
    pub duplicates: Vec<String>,
}

/// Why text is not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It ended too early.
    UnexpectedEnd,
    /// A character that cannot stand there, and what was being read.
    InvalidCharacter(char, &'static str),
    /// It nests too deeply.
    TooDeep,
    /// A string is not UTF-8.
    InvalidUtf8,
    /// A number that no `float64` holds.
    OutOfRange(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::UnexpectedEnd => f.write_str("unexpected end of JSON input"),
            Error::InvalidCharacter(c, context) => {
                let shown = match c {
                    '\'' => r"'\''".to_string(),
                    '"' => "'\"'".to_string(),
                    c if c.is_control() => format!("'\\x{:02x}'", *c as u32),
                    c => format!("'{c}'"),
                };
                write!(f, "invalid character {shown} {context}")
            }
            Error::TooDeep => write!(f, "exceeded max depth"),
            Error::InvalidUtf8 => f.write_str("invalid UTF-8 in string"),
            Error::OutOfRange(number) => write!(
                f,
                "json: cannot unmarshal number {number} into Go value of type float64"
            ),
        }
    }
}

impl std::error::Error for Error {}

/// Reads one value; nothing but white space may follow it.
pub fn parse(text: &[u8]) -> Result<Parsed, Error> {
    let mut parser = Parser::new(text);
    parser.skip_space();
    let value = parser.value()?;
    parser.end()?;
    Ok(Parsed {
        value,
        duplicates: parser.duplicates,
    })
}

/// Reads an object whose text lacks its beginning `{"first":{`: what is left
/// of it after that.
pub fn parse_rest(first: &str, text: &[u8]) -> Result<Value, Error> {
    let mut parser = Parser::new(text);
    let inner = parser.entries()?;
    parser.skip_space();
    let mut map = match parser.peek() {
        Some(b',') => {
            parser.at += 1;
            parser.entries()?
        }
        Some(b'}') => {
            parser.at += 1;
            Map::new()
        }
        _ => return Err(parser.invalid("after object key:value pair")),
    };
    parser.end()?;
    map.insert(first, inner);
    Ok(Value::Object(map))
}

/// Reads a tree that we wrote ourselves.
pub fn parse_value(text: &[u8]) -> Result<Value, Error> {
    parse(text).map(|parsed| parsed.value)
}

pub(crate) struct Parser<'a> {
    text: &'a [u8],
    pub(crate) at: usize,
    depth: usize,
    /// The steps to what is being read, for the names of duplicates.
    steps: Vec<Step>,
    duplicates: Vec<String>,
}

enum Step {
    Key(Str),
    Index(usize),
}

const VALUE: &str = "looking for beginning of value";

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Parser {
            text,
            at: 0,
            depth: 0,
            steps: Vec::new(),
            duplicates: Vec::new(),
        }
    }

    /// Nothing but white space may follow.
    fn end(&mut self) -> Result<(), Error> {
        self.skip_space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.invalid("after top-level value")),
        }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(crate) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The complaint about the character that stands here.
    pub(crate) fn invalid(&self, context: &'static str) -> Error {
        let rest = &self.text[self.at.min(self.text.len())..];
        let first = rest.utf8_chunks().next();
        let c = first.and_then(|chunk| chunk.valid().chars().next());
        match (c, rest.is_empty()) {
            (_, true) => Error::UnexpectedEnd,
            (Some(c), _) => Error::InvalidCharacter(c, context),
            (None, _) => Error::InvalidUtf8,
        }
    }

    pub(crate) fn value(&mut self) -> Result<Value, Error> {
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Value::String),
            Some(b't') => {
                self.literal("true", "in literal true (expecting 'r')", Value::Bool(true))
            }
            Some(b'f') => self.literal(
                "false",
                "in literal false (expecting 'a')",
                Value::Bool(false),
            ),
            Some(b'n') => self.literal("null", "in literal null (expecting 'u')", Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.invalid(VALUE)),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Error>) -> Result<Value, Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX.min(RECURSION_MAX) {
            return Err(Error::TooDeep);
        }
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn literal(
        &mut self,
        word: &'static str,
        context: &'static str,
        value: Value,
    ) -> Result<Value, Error> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                return Err(self.invalid(context));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn array(&mut self) -> Result<Value, Error> {
        self.at += 1;
        self.skip_space();
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.skip_space();
            let is_nested = self.is_at_nested();
            if is_nested {
                self.steps.push(Step::Index(items.len()));
            }
            items.push(self.value()?);
            if is_nested {
                self.steps.pop();
            }
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.invalid("after array element")),
            }
        }
        self.at += 1;
        Ok(Value::Array(items))
    }

    fn object(&mut self) -> Result<Value, Error> {
        self.at += 1;
        self.entries().map(Value::Object)
    }

    /// The entries of an object, up to and with its closing brace.
    pub(crate) fn entries(&mut self) -> Result<Map, Error> {
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Map::new());
        }
        let mut entries: Vec<(Str, Value)> = Vec::with_capacity(4);
        loop {
            self.skip_space();
            let key = self.key()?;
            let is_nested = self.is_at_nested();
            if is_nested {
                self.steps.push(Step::Key(key.clone()));
            }
            let value = self.value()?;
            if is_nested {
                self.steps.pop();
            }
            entries.push((key, value));
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.invalid("after object key:value pair")),
            }
        }
        self.at += 1;
        let (steps, duplicates) = (&self.steps, &mut self.duplicates);
        Ok(Map::from_entries(entries, |key| {
            duplicates.push(path(steps).child(key).to_string());
        }))
    }

    /// A key with the colon behind it.
    fn key(&mut self) -> Result<Str, Error> {
        if self.peek() != Some(b'"') {
            return Err(self.invalid("looking for beginning of object key string"));
        }
        let key = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.invalid("after object key"));
        }
        self.at += 1;
        self.skip_space();
        Ok(key)
    }

    /// Whether something with keys or items of its own stands here.
    fn is_at_nested(&self) -> bool {
        matches!(self.peek(), Some(b'{' | b'['))
    }

    fn string(&mut self) -> Result<Str, Error> {
        self.at += 1;
        let from = self.at;
        let rest = &self.text[from..];
        let found = memchr::memchr2(b'"', b'\\', rest);
        let plain = &rest[..found.unwrap_or(rest.len())];
        // Without branches, so that it is done many bytes at a time.
        if plain.iter().fold(false, |odd, b| odd | (*b < 0x20)) {
            self.at += plain.iter().position(|b| *b < 0x20).unwrap_or(0);
            return Err(self.invalid("in string literal"));
        }
        let Some(length) = found else {
            return Err(Error::UnexpectedEnd);
        };
        self.at += length;
        if rest[length] == b'\\' {
            return self.escaped_string(from);
        }
        let text = self.utf8(from, self.at)?;
        self.at += 1;
        Ok(Str::from(text))
    }

    fn utf8(&self, from: usize, to: usize) -> Result<&'a str, Error> {
        std::str::from_utf8(&self.text[from..to]).map_err(|_| Error::InvalidUtf8)
    }

    fn escaped_string(&mut self, from: usize) -> Result<Str, Error> {
        let mut out = String::from(self.utf8(from, self.at)?);
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Str::from(out));
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                Some(0..0x20) => return Err(self.invalid("in string literal")),
                Some(_) => {
                    let start = self.at;
                    while self
                        .peek()
                        .is_some_and(|b| b != b'"' && b != b'\\' && b >= 0x20)
                    {
                        self.at += 1;
                    }
                    out.push_str(self.utf8(start, self.at)?);
                }
                None => return Err(Error::UnexpectedEnd),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Error> {
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.invalid("in string escape code")),
        };
        self.at += 1;
        Ok(c)
    }

    /// `\u1234`, pairs of surrogates included; a lone one becomes U+FFFD as in Go.
    fn unicode_escape(&mut self) -> Result<char, Error> {
        self.at += 1;
        let first = self.hex4()?;
        if !(0xD800..0xDC00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let after = self.at;
        if self.text[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let second = self.hex4()?;
            if (0xDC00..0xE000).contains(&second) {
                let c = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = after;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex4(&mut self) -> Result<u32, Error> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| (b as char).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.invalid("in \\u hexadecimal character escape"));
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<Value, Error> {
        let from = self.at;
        let mut is_integer = true;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.invalid("in numeric literal")),
        }
        if self.peek() == Some(b'.') {
            is_integer = false;
            self.at += 1;
            if !matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.invalid("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            is_integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.invalid("in exponent of numeric literal"));
            }
            self.digits();
        }
        let text = self.utf8(from, self.at)?;
        let integer = is_integer.then(|| text.parse().ok()).flatten();
        let number = match integer {
            Some(i) => Number::Int(i),
            None => match text.parse() {
                Ok(float) if f64::is_finite(float) => Number::Float(float),
                _ => return Err(Error::OutOfRange(text.to_string())),
            },
        };
        Ok(Value::Number(number))
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }
}

fn path(steps: &[Step]) -> Path {
    steps.iter().fold(Path::root(), |path, step| match step {
        Step::Key(key) => path.child(key),
        Step::Index(i) => path.index(*i),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match parse(text.as_bytes()) {
            Ok(parsed) => parsed.value.to_json(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn json_is_read() {
        check(
            r#" {"b": [1, -2.5, 1e3, true, null], "a": "x"} "#,
            r#"{"a":"x","b":[1,-2.5,1000,true,null]}"#,
        );
        check(r#""\u00e9\ud83d\ude00\n\/\ud800""#, "\"é😀\\n/\u{fffd}\"");
        check("9223372036854775807", "9223372036854775807");
        check("9223372036854775808", "9223372036854776000");
    }

    #[test]
    fn rubbish_is_refused_in_gos_words() {
        for (text, words) in [
            ("", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            (
                "{a",
                "invalid character 'a' looking for beginning of object key string",
            ),
            (r#"{"a" 1}"#, "invalid character '1' after object key"),
            (
                r#"{"a":1 "b"}"#,
                "invalid character '\"' after object key:value pair",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            ("1 2", "invalid character '2' after top-level value"),
            (
                "trux",
                "invalid character 'x' in literal true (expecting 'r')",
            ),
            ("-", "unexpected end of JSON input"),
            (
                "1.x",
                "invalid character 'x' after decimal point in numeric literal",
            ),
            ("\"\u{1}\"", "invalid character '\\x01' in string literal"),
        ] {
            check(text, words);
        }
        let deep = "[".repeat(100_000);
        assert_eq!(parse(deep.as_bytes()).err(), Some(Error::TooDeep));
        assert_eq!(parse(b"\"\xff\"").err(), Some(Error::InvalidUtf8));
    }

    #[test]
    fn an_object_without_its_beginning_is_read() {
        for (text, whole) in [
            (
                r#""name":"a","x":{}},"z":1,"b":2}"#,
                r#"{"b":2,"metadata":{"name":"a","x":{}},"z":1}"#,
            ),
            ("}}", r#"{"metadata":{}}"#),
        ] {
            let value = parse_rest("metadata", text.as_bytes()).expect("JSON");
            assert_eq!(value.to_json(), whole);
        }
        for torn in ["", "}", "\"a\":1", "}}x", "},"] {
            assert!(parse_rest("metadata", torn.as_bytes()).is_err(), "{torn}");
        }
    }

    #[test]
    fn duplicates_are_named() {
        let parsed = parse(br#"{"a": {"b": 1, "c": [{"d": 1, "d": 2}], "b": 3}}"#).expect("JSON");
        assert_eq!(parsed.duplicates, ["a.c[0].d", "a.b"]);
        assert_eq!(parsed.value.to_json(), r#"{"a":{"b":3,"c":[{"d":2}]}}"#);
    }
}
