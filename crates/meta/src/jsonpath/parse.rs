//! Text to nodes. Follows client-go's util/jsonpath/parser.go.

use super::Error;
use crate::go;

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// The parts between braces, one applied to what the one before it gave.
    List(Vec<Node>),
    /// Text, in or out of quotes.
    Text(String),
    /// `.name`
    Field(String),
    /// `[from:to:step]`
    Slice(Slice),
    /// `[?(left operator right)]`
    Filter(Filter),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// `true` or `false`
    Bool(bool),
    /// `.*`
    Wildcard,
    /// `..`
    Recursive,
    /// `[a,b]`
    Union(Vec<Vec<Node>>),
    /// `range`, `end` and words that mean nothing.
    Identifier(String),
}

/// What of a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slice {
    pub from: Option<i64>,
    pub to: Option<i64>,
    /// Whether `to` is only the end of a single index.
    pub derived: bool,
    pub step: Option<i64>,
}

/// A condition on the items of a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filter {
    pub left: Vec<Node>,
    pub operator: String,
    pub right: Vec<Node>,
}

/// Reads a template.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, Error> {
    let mut parser = Parser {
        input: text,
        start: 0,
        pos: 0,
    };
    parser.text()
}

/// Reads what could stand between braces.
fn parse_action(text: &str) -> Result<Vec<Node>, Error> {
    match parse(&format!("{{{text}}}"))?.into_iter().next() {
        Some(Node::List(nodes)) => Ok(nodes),
        _ => Ok(Vec::new()),
    }
}

fn fail<T>(words: impl Into<String>) -> Result<T, Error> {
    Err(Error(words.into()))
}

struct Parser<'a> {
    input: &'a str,
    start: usize,
    pos: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    /// The text since it was last taken.
    fn take(&mut self) -> &'a str {
        let text = &self.input[self.start..self.pos];
        self.start = self.pos;
        text
    }

    /// Whether the character just read follows a backslash.
    fn is_escaped(&self) -> bool {
        self.pos >= 2 && self.input.as_bytes()[self.pos - 2] == b'\\'
    }

    fn text(&mut self) -> Result<Vec<Node>, Error> {
        let mut root = Vec::new();
        while let Some(at) = self.rest().find('{') {
            self.pos += at;
            if self.pos > self.start {
                root.push(Node::Text(self.take().to_string()));
            }
            self.pos += 1;
            self.take();
            root.push(Node::List(self.action()?));
        }
        self.pos = self.input.len();
        if self.pos > self.start {
            root.push(Node::Text(self.take().to_string()));
        }
        Ok(root)
    }

    /// Reads up to and with the closing brace.
    fn action(&mut self) -> Result<Vec<Node>, Error> {
        let mut nodes = Vec::new();
        loop {
            let rest = self.rest();
            if rest.starts_with('}') {
                self.pos += 1;
                self.take();
                return Ok(nodes);
            }
            if rest.starts_with("[?(") {
                self.filter(&mut nodes)?;
                continue;
            }
            if rest.starts_with("..") {
                self.recursive(&mut nodes)?;
                continue;
            }
            match self.next() {
                None | Some('\n' | '\r') => return fail("unclosed action"),
                Some(' ' | '@' | '$') => {
                    self.take();
                }
                Some('[') => self.array(&mut nodes)?,
                Some(quote @ ('"' | '\'')) => self.quoted(&mut nodes, quote)?,
                Some('.') => self.field(&mut nodes),
                Some(c) if c == '+' || c == '-' || c.is_numeric() => {
                    self.pos -= c.len_utf8();
                    self.number(&mut nodes)?;
                }
                Some(c) if is_alphanumeric(c) => {
                    self.pos -= c.len_utf8();
                    self.identifier(&mut nodes);
                }
                Some(c) => {
                    let code = u32::from(c);
                    return fail(format!(
                        "unrecognized character in action: U+{code:04X} '{c}'"
                    ));
                }
            }
        }
    }

    fn identifier(&mut self, nodes: &mut Vec<Node>) {
        while self.peek().is_some_and(|c| !is_terminator(c)) {
            self.next();
        }
        nodes.push(match self.take() {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            word => Node::Identifier(word.to_string()),
        });
    }

    fn recursive(&mut self, nodes: &mut Vec<Node>) -> Result<(), Error> {
        if nodes.last() == Some(&Node::Recursive) {
            return fail("invalid multiple recursive descent");
        }
        self.pos += 2;
        self.take();
        nodes.push(Node::Recursive);
        if self.peek().is_some_and(is_alphanumeric) {
            self.field(nodes);
        }
        Ok(())
    }

    fn number(&mut self, nodes: &mut Vec<Node>) -> Result<(), Error> {
        if matches!(self.peek(), Some('+' | '-')) {
            self.next();
        }
        while self.peek().is_some_and(|c| c == '.' || c.is_numeric()) {
            self.next();
        }
        let text = self.take();
        if let Ok(i) = text.parse() {
            nodes.push(Node::Int(i));
        } else if let Ok(x) = text.parse() {
            nodes.push(Node::Float(x));
        } else {
            return fail(format!("cannot parse number {text}"));
        }
        Ok(())
    }

    fn array(&mut self, nodes: &mut Vec<Node>) -> Result<(), Error> {
        loop {
            match self.next() {
                None | Some('\n') => return fail("unterminated array"),
                Some(']') => break,
                Some(_) => {}
            }
        }
        let text = self.take();
        let text = &text[1..text.len() - 1];
        let text = if text == "*" { ":" } else { text };
        if text.contains(',') {
            let parts = text.split(',').map(|part| {
                let part = part.trim_matches(' ');
                parse_action(&format!("[{part}]"))
            });
            nodes.push(Node::Union(parts.collect::<Result<_, _>>()?));
            return Ok(());
        }
        let quoted = text
            .strip_prefix('\'')
            .and_then(|rest| rest.strip_suffix('\''));
        if let Some(key) = quoted.filter(|key| !key.contains('\'')) {
            nodes.extend(parse_action(&format!(".{key}"))?);
            return Ok(());
        }
        nodes.push(Node::Slice(slice(text)?));
        Ok(())
    }

    fn filter(&mut self, nodes: &mut Vec<Node>) -> Result<(), Error> {
        self.pos += "[?(".len();
        self.take();
        let (mut begin, mut end, mut pair) = (false, false, '"');
        loop {
            match self.next() {
                None | Some('\n') => return fail("unterminated filter"),
                Some(quote @ ('"' | '\'')) => {
                    if !begin {
                        (begin, pair) = (true, quote);
                    } else if !self.is_escaped() && quote == pair {
                        end = true;
                    }
                }
                Some(')') if begin == end => break,
                Some(_) => {}
            }
        }
        if self.next() != Some(']') {
            return fail("unclosed array expect ]");
        }
        let text = self.take();
        nodes.push(Node::Filter(condition(&text[..text.len() - 2])?));
        Ok(())
    }

    fn quoted(&mut self, nodes: &mut Vec<Node>, end: char) -> Result<(), Error> {
        loop {
            match self.next() {
                None | Some('\n') => return fail("unterminated quoted string"),
                Some(c) if c == end && !self.is_escaped() => break,
                Some(_) => {}
            }
        }
        let text = self.take();
        match go::unquote(text) {
            Some(plain) => nodes.push(Node::Text(plain)),
            None => return fail(format!("unquote string {text} error invalid syntax")),
        }
        Ok(())
    }

    fn field(&mut self, nodes: &mut Vec<Node>) {
        self.take();
        while let Some(c) = self.peek() {
            if is_terminator(c) {
                break;
            }
            self.next();
            if c == '\\' {
                self.next();
            }
        }
        nodes.push(match self.take() {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        });
    }
}

/// `-1`, `1:`, `:-1:2`
fn slice(text: &str) -> Result<Slice, Error> {
    let invalid = || Error(format!("invalid array index {text}"));
    let mut parts = text.split(':');
    let mut numbers = [None; 3];
    for number in &mut numbers {
        let Some(part) = parts.next() else { break };
        let digits = part.strip_prefix('-').unwrap_or(part);
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        if !part.is_empty() {
            let parsed = part.parse();
            *number =
                Some(parsed.map_err(|_| Error(format!("array index {part} is not a number")))?);
        }
    }
    if parts.next().is_some() {
        return Err(invalid());
    }
    let [from, to, step] = numbers;
    let single = !text.contains(':');
    Ok(Slice {
        from,
        to: if single {
            Some(from.unwrap_or(0) + 1)
        } else {
            to
        },
        derived: single,
        step,
    })
}

/// `@.a == "b"` or `@.a`
fn condition(text: &str) -> Result<Filter, Error> {
    let is_operator = |c: char| matches!(c, '!' | '<' | '>' | '=');
    let compared = text.find(is_operator).filter(|&at| at > 0).and_then(|at| {
        let rest = &text[at..];
        let mut length = rest.find(|c| !is_operator(c)).unwrap_or(rest.len());
        if length == rest.len() {
            length -= 1; // the last character must be the right side
        }
        (length > 0).then(|| (&text[..at], &rest[..length], &rest[length..]))
    });
    match compared {
        Some((left, operator, right)) => Ok(Filter {
            left: parse_action(left)?,
            operator: operator.to_string(),
            right: parse_action(right)?,
        }),
        None => Ok(Filter {
            left: parse_action(text)?,
            operator: "exists".to_string(),
            right: Vec::new(),
        }),
    }
}

fn is_terminator(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}'
    )
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}
