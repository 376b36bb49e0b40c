//! Reads a few values out of an object's text without making a tree of the
//! rest: what indexes need of objects that are served as the bytes they are.

use crate::json::{Error, Parser};
use meta::{Map, Value};

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

struct Skim<'a> {
    parser: Parser<'a>,
    text: &'a [u8],
}

impl Skim<'_> {
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
                    let key = self.skip_string()?;
                    self.parser.skip_space();
                    if self.parser.peek() != Some(b':') {
                        return Err(self.parser.invalid("after object key"));
                    }
                    self.parser.at += 1;
                    self.parser.skip_space();
                    match picks.find(&self.text[key.0..key.1]) {
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
