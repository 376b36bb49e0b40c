//! Reads a few values out of an object's text without making a tree of the
//! rest: what indexes need of objects that are served as the bytes they are.

use crate::json::{Error, Parser};
use meta::{Map, Value};
use std::borrow::Cow;
use std::ops::Range;

/// Which values are wanted.
#[derive(Clone, Debug, Default)]
pub struct Picks(Vec<Pick>);

#[derive(Clone, Debug)]
struct Pick {
    key: String,
    /// All of it is wanted, not only some of what is in it.
    whole: bool,
    below: Picks,
}

impl Picks {
    /// Those at the ends of these dotted paths.
    pub fn new<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        let mut picks = Picks::default();
        for path in paths {
            picks.add(path);
        }
        picks
    }

    fn add(&mut self, path: &str) {
        let (key, rest) = path.split_once('.').unwrap_or((path, ""));
        let at = match self.0.iter().position(|pick| pick.key == key) {
            Some(at) => at,
            None => {
                self.0.push(Pick {
                    key: key.into(),
                    whole: false,
                    below: Picks::default(),
                });
                self.0.len() - 1
            }
        };
        match rest {
            "" => self.0[at].whole = true,
            rest => self.0[at].below.add(rest),
        }
    }

    fn find(&self, key: &[u8]) -> Option<&Pick> {
        self.0.iter().find(|pick| pick.key.as_bytes() == key)
    }
}

/// Reads what is wanted of an object whose text lacks its beginning
/// `{"first":{`. The text must be JSON; what is not wanted is not looked at.
pub fn pick_rest(first: &str, text: &[u8], picks: &Picks) -> Result<Value, Error> {
    let mut skim = Skim {
        parser: Parser::new(text),
        text,
    };
    let mut map = Map::new();
    match picks.find(first.as_bytes()) {
        Some(pick) if pick.whole => {
            map.insert(first, skim.parser.entries()?);
        }
        Some(pick) => {
            map.insert(first, skim.entries(&pick.below)?);
        }
        None => skim.skip_entries()?,
    }
    if skim.parser.peek() == Some(b',') {
        skim.parser.at += 1;
        for (key, value) in skim.entries(picks)? {
            map.insert(key, value);
        }
    }
    Ok(Value::Object(map))
}

/// An object's text without one entry of an object in it: `metadata` without
/// `managedFields`. Text that has no such entry, or is not JSON, stays as it is.
pub fn without<'t>(text: &'t [u8], outer: &str, inner: &str) -> Cow<'t, [u8]> {
    let mut skim = Skim {
        parser: Parser::new(text),
        text,
    };
    let found = skim.enter(outer).and_then(|()| skim.entry(inner));
    match found {
        Some(entry) => Cow::Owned([&text[..entry.start], &text[entry.end..]].concat()),
        None => Cow::Borrowed(text),
    }
}

struct Skim<'a> {
    parser: Parser<'a>,
    text: &'a [u8],
}

impl Skim<'_> {
    /// Goes into the object that stands here, up to the value of a key.
    fn enter(&mut self, key: &str) -> Option<()> {
        self.open()?;
        loop {
            let name = self.key().ok()?;
            if &self.text[name] == key.as_bytes() {
                return Some(());
            }
            self.skip_value().ok()?;
            self.comma()?;
        }
    }

    /// Where the entry of a key stands in the object that stands here, with
    /// the comma that parts it from the others.
    fn entry(&mut self, key: &str) -> Option<Range<usize>> {
        self.open()?;
        let mut start = self.parser.at;
        loop {
            let is_first = self.text[start - 1] == b'{';
            let name = self.key().ok()?;
            self.skip_value().ok()?;
            let before_comma = self.parser.at;
            let is_last = self.comma().is_none();
            if &self.text[name] == key.as_bytes() {
                return Some(match (is_first, is_last) {
                    (true, false) => start..self.parser.at,
                    (true, true) => start..before_comma,
                    (false, _) => start - 1..before_comma,
                });
            }
            if is_last {
                return None;
            }
            start = self.parser.at;
        }
    }

    fn open(&mut self) -> Option<()> {
        self.parser.skip_space();
        (self.parser.peek()? == b'{').then(|| self.parser.at += 1)
    }

    fn comma(&mut self) -> Option<()> {
        self.parser.skip_space();
        (self.parser.peek()? == b',').then(|| self.parser.at += 1)
    }

    /// Goes over a key and its colon; gives where its text stands.
    fn key(&mut self) -> Result<Range<usize>, Error> {
        self.parser.skip_space();
        if self.parser.peek() != Some(b'"') {
            return Err(self
                .parser
                .invalid("looking for beginning of object key string"));
        }
        let (from, to) = self.skip_string()?;
        self.parser.skip_space();
        if self.parser.peek() != Some(b':') {
            return Err(self.parser.invalid("after object key"));
        }
        self.parser.at += 1;
        self.parser.skip_space();
        Ok(from..to)
    }

    /// What is wanted of the entries of an object, up to its closing brace.
    fn entries(&mut self, picks: &Picks) -> Result<Map, Error> {
        let mut map = Map::new();
        loop {
            self.parser.skip_space();
            match self.parser.peek() {
                Some(b'}') => {
                    self.parser.at += 1;
                    return Ok(map);
                }
                Some(b',') => self.parser.at += 1,
                Some(b'"') => {
                    let key = self.key()?;
                    match picks.find(&self.text[key]) {
                        Some(pick) => {
                            let value = self.picked(pick)?;
                            map.insert(pick.key.as_str(), value);
                        }
                        None => self.skip_value()?,
                    }
                }
                _ => return Err(self.parser.invalid("after object key:value pair")),
            }
        }
    }

    fn picked(&mut self, pick: &Pick) -> Result<Value, Error> {
        match self.parser.peek() {
            Some(b'{') if !pick.whole => {
                self.parser.at += 1;
                self.entries(&pick.below).map(Value::Object)
            }
            _ => self.parser.value(),
        }
    }

    /// Goes over a string; gives where its text stands, escapes and all.
    fn skip_string(&mut self) -> Result<(usize, usize), Error> {
        let from = self.parser.at + 1;
        let mut at = from;
        loop {
            let rest = self.text.get(at..).unwrap_or_default();
            match memchr::memchr2(b'"', b'\\', rest) {
                Some(n) if rest[n] == b'"' => {
                    self.parser.at = at + n + 1;
                    return Ok((from, at + n));
                }
                Some(n) => at += n + 2,
                None => return Err(Error::UnexpectedEnd),
            }
        }
    }

    fn skip_value(&mut self) -> Result<(), Error> {
        match self.parser.peek() {
            Some(b'"') => self.skip_string().map(|_| ()),
            Some(b'{' | b'[') => {
                self.parser.at += 1;
                self.skip_nested(1)
            }
            Some(_) => {
                let rest = &self.text[self.parser.at..];
                let end = rest.iter().position(|b| matches!(b, b',' | b'}' | b']'));
                self.parser.at += end.ok_or(Error::UnexpectedEnd)?;
                Ok(())
            }
            None => Err(Error::UnexpectedEnd),
        }
    }

    fn skip_entries(&mut self) -> Result<(), Error> {
        self.skip_nested(1)
    }

    /// Goes on until so many brackets are closed.
    fn skip_nested(&mut self, mut open: usize) -> Result<(), Error> {
        while open > 0 {
            match self.parser.peek() {
                Some(b'"') => {
                    self.skip_string()?;
                    continue;
                }
                Some(b'{' | b'[') => open += 1,
                Some(b'}' | b']') => open -= 1,
                Some(_) => {}
                None => return Err(Error::UnexpectedEnd),
            }
            self.parser.at += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(paths: &[&str], expected: &str) {
        let text = br#""annotations":{"a\"}":"{[\\"},"labels":{"l":"m"},"name":"x"},"spec":{"list":[{"a":"]"},[1]],"n":-1.5e3,"node":"n1","on":true},"status":{"phase":"P"},"type":"T"}"#;
        let found = pick_rest("metadata", text, &Picks::new(paths.iter().copied()));
        assert_eq!(
            found.map(|v| v.to_json()).as_deref(),
            Ok(expected),
            "{paths:?}"
        );
    }

    #[test]
    fn only_what_is_wanted_is_read() {
        check(&[], "{}");
        check(&["metadata.labels"], r#"{"metadata":{"labels":{"l":"m"}}}"#);
        check(
            &[
                "metadata.labels",
                "spec.node",
                "status.phase",
                "type",
                "spec.absent",
                "absent",
            ],
            r#"{"metadata":{"labels":{"l":"m"}},"spec":{"node":"n1"},"status":{"phase":"P"},"type":"T"}"#,
        );
        check(
            &["spec"],
            r#"{"spec":{"list":[{"a":"]"},[1]],"n":-1500,"node":"n1","on":true}}"#,
        );
        check(&["spec.on", "spec.n"], r#"{"spec":{"n":-1500,"on":true}}"#);
    }

    #[test]
    fn an_entry_is_left_out_with_one_comma() {
        let check = |text: &str, expected: &str| {
            let left = without(text.as_bytes(), "m", "f");
            assert_eq!(std::str::from_utf8(&left), Ok(expected));
        };
        check(
            r#"{"a":1,"m":{"f":[{"}":1}],"n":2}}"#,
            r#"{"a":1,"m":{"n":2}}"#,
        );
        check(
            r#"{"m":{"e":0,"f":{},"n":2},"f":3}"#,
            r#"{"m":{"e":0,"n":2},"f":3}"#,
        );
        check(r#"{"m":{"e":0 , "f":"x" } }"#, r#"{"m":{"e":0  } }"#);
        check(r#"{"m":{"f":1}}"#, r#"{"m":{}}"#);
        for same in [
            r#"{"m":{"e":{"f":1}}}"#,
            r#"{"f":1}"#,
            r#"{"m":[1]}"#,
            r#"{"m":{"f":1"#,
            r#"{"m":{"f""#,
            "",
            "[]",
        ] {
            check(same, same);
        }
    }

    #[test]
    fn torn_text_is_refused() {
        for text in ["", "\"a", "\"a\":{", "\"a\":1},\"b\":\"", "},\"b\"x"] {
            let picks = Picks::new(["b"]);
            assert!(
                pick_rest("metadata", text.as_bytes(), &picks).is_err(),
                "{text}"
            );
        }
    }
}
