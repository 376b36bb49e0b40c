//! The links of a page of HTML, found while it passes.
//!
//! What is no link stays as it is, byte for byte. Which attributes are links is
//! said in apimachinery/pkg/util/proxy/transport.go; where tags begin and end in
//! the standard's chapter on tokenization.

use std::ops::Range;

/// Attributes that are links, by tag; alphabetic.
const LINKS: [(&str, &[&str]); 25] = [
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("video", &["poster", "src"]),
];
/// Tags in which nothing but their end is a tag.
const RAW: [&str; 8] = [
    "iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp",
];
/// What is longer than this is taken for no tag.
const TAG_MAX: usize = 64 * 1024;

/// Gives a link's new text, if it has one.
pub(super) type Relink = Box<dyn Fn(&str) -> Option<String> + Send>;

/// A page on its way through.
pub(super) struct Html {
    relink: Relink,
    /// What is not understood yet.
    rest: Vec<u8>,
    place: Place,
}

/// Where in the page the rest begins.
#[derive(Clone, Copy)]
enum Place {
    Text,
    Comment,
    /// Inside of a tag that has no tags in it.
    Raw(&'static str),
}

/// What was made of the beginning of the rest.
enum Step {
    /// This much of it is as it should be, and another place begins.
    Pass(usize, Place),
    /// A tag of this length, with links at these places.
    Tag(usize, Vec<Range<usize>>, Place),
    /// This much is as it should be; what follows has to be seen first.
    Wait(usize),
}

impl Html {
    /// A page of which nothing has come yet.
    pub(super) fn new(relink: Relink) -> Html {
        Html {
            relink,
            rest: Vec::new(),
            place: Place::Text,
        }
    }

    /// Takes more of the page and gives what is ready of it.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(self.rest.len());
        let mut done = 0;
        loop {
            let rest = &self.rest[done..];
            match self.place.step(rest) {
                Step::Pass(length, place) => {
                    out.extend_from_slice(&rest[..length]);
                    done += length;
                    self.place = place;
                }
                Step::Tag(length, links, place) => {
                    relink(&rest[..length], &links, &self.relink, &mut out);
                    done += length;
                    self.place = place;
                }
                Step::Wait(length) => {
                    out.extend_from_slice(&rest[..length]);
                    done += length;
                    break;
                }
            }
        }
        self.rest.drain(..done);
        out
    }

    /// What is left when the page has ended in the middle of something.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rest)
    }
}

fn relink(tag: &[u8], links: &[Range<usize>], relink: &Relink, out: &mut Vec<u8>) {
    let mut done = 0;
    for link in links {
        let new = std::str::from_utf8(&tag[link.clone()])
            .ok()
            .and_then(relink);
        if let Some(new) = new {
            out.extend_from_slice(&tag[done..link.start]);
            out.extend_from_slice(new.as_bytes());
            done = link.end;
        }
    }
    out.extend_from_slice(&tag[done..]);
}

impl Place {
    fn step(self, rest: &[u8]) -> Step {
        match self {
            Place::Text => text(rest),
            Place::Comment => until(rest, b"-->"),
            Place::Raw(tag) => raw(rest, tag),
        }
    }
}

fn text(rest: &[u8]) -> Step {
    let Some(start) = rest.iter().position(|byte| *byte == b'<') else {
        return Step::Wait(rest.len());
    };
    if start > 0 {
        return Step::Pass(start, Place::Text);
    }
    match &rest[1..] {
        [] | [b'!'] | [b'!', b'-'] => Step::Wait(0),
        // `<!-->` is a whole comment.
        [b'!', b'-', b'-', ..] => Step::Pass(2, Place::Comment),
        [b'!' | b'?', ..] => until(rest, b">"),
        [b'/', first, ..] | [first, ..] if first.is_ascii_alphabetic() => match tag(rest) {
            Some(tag) => tag.step(rest),
            None if rest.len() > TAG_MAX => Step::Pass(1, Place::Text),
            None => Step::Wait(0),
        },
        [b'/'] => Step::Wait(0),
        _ => Step::Pass(1, Place::Text),
    }
}

/// Passes all until an end, and that too.
fn until(rest: &[u8], end: &[u8]) -> Step {
    let found = rest.windows(end.len()).position(|window| window == end);
    match found {
        Some(start) => Step::Pass(start + end.len(), Place::Text),
        // A part of the end may be there already.
        None => Step::Wait(rest.len().saturating_sub(end.len() - 1)),
    }
}

/// Passes all until the tag ends, whose end is a tag again.
fn raw(rest: &[u8], tag: &'static str) -> Step {
    let length = tag.len() + 3;
    let is_end = |window: &[u8]| {
        window.starts_with(b"</")
            && window[2..length - 1].eq_ignore_ascii_case(tag.as_bytes())
            && matches!(
                window[length - 1],
                b'>' | b'/' | b' ' | b'\t' | b'\n' | b'\r' | b'\x0c'
            )
    };
    match rest.windows(length).position(is_end) {
        Some(start) => Step::Pass(start, Place::Text),
        None => Step::Wait(rest.len().saturating_sub(length - 1)),
    }
}

/// A tag with its name and its attributes, as far as they say something.
struct Tag {
    length: usize,
    name: Range<usize>,
    attributes: Vec<(Range<usize>, Range<usize>)>,
}

impl Tag {
    fn step(self, rest: &[u8]) -> Step {
        let name = &rest[self.name.clone()];
        // The name of an end has its slash, and is none of these.
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let raw = RAW.into_iter().find(|known| is(known));
        let place = raw.map_or(Place::Text, Place::Raw);
        let known = LINKS.iter().find(|(known, _)| is(known));
        let links = known.map_or(&[][..], |(_, links)| links);
        let is_link = |attribute: &[u8]| {
            let mut links = links.iter();
            links.any(|link| attribute.eq_ignore_ascii_case(link.as_bytes()))
        };
        let found = self.attributes.into_iter();
        let found = found.filter(|(attribute, _)| is_link(&rest[attribute.clone()]));
        Step::Tag(self.length, found.map(|(_, value)| value).collect(), place)
    }
}

/// Reads a tag that begins here; `None` if its end is not there yet.
fn tag(bytes: &[u8]) -> Option<Tag> {
    let mut at = Cursor { bytes, at: 1 };
    let name = at.word(b"");
    let mut attributes = Vec::new();
    loop {
        at.skip(|byte| is_space(byte) || byte == b'/');
        if at.peek()? == b'>' {
            return Some(Tag {
                length: at.at + 1,
                name,
                attributes,
            });
        }
        let attribute = at.word(b"=");
        at.skip(is_space);
        if at.peek()? == b'=' {
            at.at += 1;
            at.skip(is_space);
            let value = at.value()?;
            attributes.push((attribute, value));
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip(&mut self, is_skipped: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&is_skipped) {
            self.at += 1;
        }
    }

    /// A name: what is there until a space, the end of the tag or one of `ends`.
    /// Its first byte is part of it, whatever it is.
    fn word(&mut self, ends: &[u8]) -> Range<usize> {
        let start = self.at;
        self.at += 1;
        self.skip(|byte| !is_space(byte) && !matches!(byte, b'/' | b'>') && !ends.contains(&byte));
        start..self.at.min(self.bytes.len())
    }

    fn value(&mut self) -> Option<Range<usize>> {
        match self.peek()? {
            quote @ (b'"' | b'\'') => {
                let start = self.at + 1;
                let length = self.bytes[start..].iter().position(|byte| *byte == quote)?;
                self.at = start + length + 1;
                Some(start..start + length)
            }
            _ => {
                let start = self.at;
                self.skip(|byte| !is_space(byte) && byte != b'>');
                Some(start..self.at)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(pieces: &[&str]) -> String {
        let absolute = |link: &str| link.starts_with('/').then(|| format!("/p{link}"));
        let mut html = Html::new(Box::new(absolute));
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(html.push(piece.as_bytes()));
        }
        out.extend(html.finish());
        String::from_utf8(out).unwrap()
    }

    fn check(before: &str, after: &str) {
        assert_eq!(page(&[before]), after);
        let bytes: Vec<String> = before.chars().map(String::from).collect();
        let bytes: Vec<&str> = bytes.iter().map(String::as_str).collect();
        assert_eq!(page(&bytes), after, "byte for byte");
    }

    #[test]
    fn links_lead_elsewhere_and_the_rest_stays() {
        assert!(LINKS.is_sorted_by_key(|(tag, _)| *tag));
        for (before, after) in [
            ("", ""),
            ("no tags, 1 < 2 & 3 > 2", "no tags, 1 < 2 & 3 > 2"),
            (r#"<a href="/x">x</a>"#, r#"<a href="/p/x">x</a>"#),
            (
                "<A\n  CLASS=c HREF = '/x' >",
                "<A\n  CLASS=c HREF = '/p/x' >",
            ),
            ("<a href=/x>", "<a href=/p/x>"),
            ("<a href=/x/>", "<a href=/p/x/>"),
            (
                r#"<img src="/a"alt="b"longdesc='/c'/>"#,
                r#"<img src="/p/a"alt="b"longdesc='/p/c'/>"#,
            ),
            (r#"<a title="/x" href="x">"#, r#"<a title="/x" href="x">"#),
            (r#"<p href="/x" hidden>"#, r#"<p href="/x" hidden>"#),
            (
                r#"<a title="> href='/x'" href="/y">"#,
                r#"<a title="> href='/x'" href="/p/y">"#,
            ),
            (
                r#"<!-- <a href="/x"> --><a href="/y">"#,
                r#"<!-- <a href="/x"> --><a href="/p/y">"#,
            ),
            (r#"<!--><a href="/x">"#, r#"<!--><a href="/p/x">"#),
            (
                r#"<!DOCTYPE html><base href="/">"#,
                r#"<!DOCTYPE html><base href="/p/">"#,
            ),
            (
                r#"<script src="/a">"<a href='/b'>" + '</scripts>'</SCRIPT ><a href="/c">"#,
                r#"<script src="/p/a">"<a href='/b'>" + '</scripts>'</SCRIPT ><a href="/p/c">"#,
            ),
            (
                "<form action=/go?a=1&amp;b=2>",
                "<form action=/p/go?a=1&amp;b=2>",
            ),
            (r#"<a href="/x"#, r#"<a href="/x"#),
            ("<a", "<a"),
            ("</", "</"),
            ("<", "<"),
            (
                r#"</a href="/x"><a ="/x" =/x>"#,
                r#"</a href="/x"><a ="/x" =/x>"#,
            ),
        ] {
            check(before, after);
        }
    }

    #[test]
    fn what_never_ends_is_not_kept() {
        let mut html = Html::new(Box::new(|_| None));
        let quote = format!("<a href=\"{}", "x".repeat(2 * TAG_MAX));
        assert_eq!(html.push(quote.as_bytes()).len(), quote.len());
    }
}
