//! Tokens to nodes. Follows Go's text/template/parse/parse.go.

use super::lex::{Placed, Token, fail, lex};
use super::node::{Branch, Command, Kind, Node, Pipe, Word};
use super::value::Val;
use super::{Error, NAME, functions};
use std::collections::BTreeMap;

/// All templates that a text defines; it is itself the one called `output`.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, Vec<Node>>, Error> {
    let mut parser = Parser {
        text,
        tokens: lex(text)?,
        at: 0,
        variables: vec!["$".to_string()],
        range_depth: 0,
        defined: BTreeMap::new(),
    };
    let (nodes, end) = parser.list()?;
    if let Some(end) = end {
        return parser.fail(format!("unexpected {{{{{}}}}}", end.word()));
    }
    parser.defined.insert(NAME.to_string(), nodes);
    Ok(parser.defined)
}

/// What ended a list of nodes.
enum End {
    End,
    /// `else`, with what follows it.
    Else(Option<&'static str>),
}

impl End {
    fn word(&self) -> &'static str {
        match self {
            End::End => "end",
            End::Else(_) => "else",
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    at: usize,
    variables: Vec<String>,
    range_depth: usize,
    defined: BTreeMap<String, Vec<Node>>,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].1
    }

    fn pos(&self) -> usize {
        self.tokens[self.at].0
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].1.clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn skip_space(&mut self) {
        while *self.peek() == Token::Space {
            self.next();
        }
    }

    fn fail<T>(&self, why: impl std::fmt::Display) -> Result<T, Error> {
        fail(self.text, self.pos(), why)
    }

    fn unexpected<T>(&self, context: &str) -> Result<T, Error> {
        let shown = match self.peek() {
            Token::End => "unexpected EOF".to_string(),
            Token::Close => format!("unexpected \"}}}}\" in {context}"),
            Token::Word(word) if is_keyword(word) => format!("unexpected <{word}> in {context}"),
            Token::Word(text) | Token::Number(text) | Token::Variable(text) => {
                format!("unexpected {} in {context}", meta::field::quote(text))
            }
            Token::Quoted(text, _) => {
                format!("unexpected {} in {context}", meta::field::quote(text))
            }
            Token::Field(name) => format!("unexpected \".{name}\" in {context}"),
            Token::Dot => format!("unexpected <.> in {context}"),
            Token::Sign(sign) => format!("unexpected \"{sign}\" in {context}"),
            _ => format!("unexpected \" \" in {context}"),
        };
        self.fail(shown)
    }

    /// Nodes up to the end of the text, `end` or `else`.
    fn list(&mut self) -> Result<(Vec<Node>, Option<End>), Error> {
        let mut nodes = Vec::new();
        loop {
            match self.next() {
                Token::Text(text) => nodes.push(Node::Text(text)),
                Token::Open => match self.action()? {
                    Ok(Some(node)) => nodes.push(node),
                    Ok(None) => {}
                    Err(end) => return Ok((nodes, Some(end))),
                },
                _ => return Ok((nodes, None)),
            }
        }
    }

    /// An action: a node, none, or the end of a list.
    fn action(&mut self) -> Result<Result<Option<Node>, End>, Error> {
        self.skip_space();
        let word = match self.peek() {
            Token::Word(word) => word.clone(),
            _ => String::new(),
        };
        let start = self.at;
        self.next();
        let node = match word.as_str() {
            "end" => {
                self.close("end")?;
                return Ok(Err(End::End));
            }
            "else" => {
                self.skip_space();
                let then = match self.peek() {
                    Token::Word(word) if word == "if" => Some("if"),
                    Token::Word(word) if word == "with" => Some("with"),
                    _ => None,
                };
                match then {
                    Some(_) => {
                        self.next();
                    }
                    None => self.close("else")?,
                }
                return Ok(Err(End::Else(then)));
            }
            "if" => Some(Node::If(self.branch("if")?)),
            "with" => Some(Node::With(self.branch("with")?)),
            "range" => Some(Node::Range(self.branch("range")?)),
            "break" | "continue" => {
                self.close(&word)?;
                if self.range_depth == 0 {
                    return self.fail(format!("{{{{{word}}}}} outside {{{{range}}}}"));
                }
                Some(if word == "break" {
                    Node::Break
                } else {
                    Node::Continue
                })
            }
            "define" => {
                self.define()?;
                None
            }
            "template" | "block" => Some(self.template(word == "block")?),
            _ => {
                self.at = start;
                let pipe = self.pipe("command", false)?;
                self.close("command")?;
                Some(Node::Action(pipe))
            }
        };
        Ok(Ok(node))
    }

    fn close(&mut self, context: &str) -> Result<(), Error> {
        self.skip_space();
        match self.peek() {
            Token::Close => {
                self.next();
                Ok(())
            }
            _ => self.unexpected(context),
        }
    }

    fn branch(&mut self, context: &'static str) -> Result<Branch, Error> {
        let scope = self.variables.len();
        let pipe = self.pipe(context, context == "range")?;
        self.close(context)?;
        self.range_depth += usize::from(context == "range");
        let (then, end) = self.list()?;
        self.range_depth -= usize::from(context == "range");
        let otherwise = match end {
            None => return self.fail("unexpected EOF"),
            Some(End::End) => Vec::new(),
            Some(End::Else(Some("if"))) if context == "if" => vec![Node::If(self.branch("if")?)],
            Some(End::Else(Some("with"))) if context == "with" => {
                vec![Node::With(self.branch("with")?)]
            }
            Some(End::Else(Some(word))) => {
                return self.fail(format!("unexpected <{word}> in else"));
            }
            Some(End::Else(None)) => match self.list()? {
                (nodes, Some(End::End)) => nodes,
                (_, Some(End::Else(_))) => return self.fail("expected end; found {{else}}"),
                (_, None) => return self.fail("unexpected EOF"),
            },
        };
        self.variables.truncate(scope);
        Ok(Branch {
            pipe,
            then,
            otherwise,
        })
    }

    fn name(&mut self, context: &str) -> Result<(String, String), Error> {
        self.skip_space();
        match self.peek().clone() {
            Token::Quoted(source, name) => {
                self.next();
                Ok((source, name))
            }
            _ => self.unexpected(context),
        }
    }

    fn body(&mut self, name: String) -> Result<(), Error> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_string()]);
        let (nodes, end) = self.list()?;
        if !matches!(end, Some(End::End)) {
            return self.fail("unexpected EOF");
        }
        self.variables = outer;
        self.defined.insert(name, nodes);
        Ok(())
    }

    fn define(&mut self) -> Result<(), Error> {
        let (_, name) = self.name("define clause")?;
        self.close("define clause")?;
        self.body(name)
    }

    fn template(&mut self, is_block: bool) -> Result<Node, Error> {
        let context = if is_block {
            "block clause"
        } else {
            "template clause"
        };
        self.skip_space();
        let pos = self.pos();
        let (_, name) = self.name(context)?;
        self.skip_space();
        let pipe = match self.peek() {
            Token::Close if !is_block => None,
            _ => Some(self.pipe(context, false)?),
        };
        self.close(context)?;
        if is_block {
            self.body(name.clone())?;
        }
        Ok(Node::Template { pos, name, pipe })
    }

    /// A pipeline, up to the closing of its action or parenthesis.
    fn pipe(&mut self, context: &str, is_range: bool) -> Result<Pipe, Error> {
        let mut pipe = Pipe::default();
        self.skip_space();
        self.declarations(&mut pipe, context, is_range)?;
        loop {
            self.skip_space();
            match self.peek() {
                Token::Close | Token::Sign(")") => break,
                Token::Sign("|") => return self.fail(format!("missing value for {context}")),
                Token::Sign("(") => {
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                Token::Sign(_) | Token::End | Token::Text(_) | Token::Open => {
                    return self.unexpected(context);
                }
                _ => {
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
            }
        }
        if pipe.commands.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        let is_literal = |command: &Command| {
            let kind = &command.words[0].kind;
            matches!(kind, Kind::Dot | Kind::Nil | Kind::Literal(..))
        };
        if let Some(i) = pipe.commands.iter().skip(1).position(is_literal) {
            let stage = i + 2;
            return self.fail(format!("non executable command in pipeline stage {stage}"));
        }
        Ok(pipe)
    }

    fn declarations(&mut self, pipe: &mut Pipe, context: &str, range: bool) -> Result<(), Error> {
        let start = self.at;
        let mut names = Vec::new();
        while let Token::Variable(name) = self.peek().clone() {
            self.next();
            self.skip_space();
            names.push(name);
            match self.peek() {
                Token::Sign(sign @ (":=" | "=")) => {
                    pipe.is_assignment = *sign == "=";
                    self.next();
                    if names.len() > if range { 2 } else { 1 } {
                        return self.fail(format!("too many declarations in {context}"));
                    }
                    if pipe.is_assignment {
                        names.iter().try_for_each(|name| self.known(name))?;
                    } else {
                        self.variables.extend(names.iter().cloned());
                    }
                    pipe.variables = names;
                    return Ok(());
                }
                Token::Sign(",") if range => {
                    self.next();
                    self.skip_space();
                }
                _ => break,
            }
        }
        self.at = start;
        Ok(())
    }

    fn known(&self, name: &str) -> Result<(), Error> {
        match self.variables.iter().any(|known| known == name) {
            true => Ok(()),
            false => self.fail(format!("undefined variable {}", meta::field::quote(name))),
        }
    }

    /// Words up to a bar or the end of the pipeline.
    fn command(&mut self) -> Result<Command, Error> {
        let pos = self.pos();
        let mut words = Vec::new();
        loop {
            self.skip_space();
            if let Some(word) = self.operand()? {
                words.push(word);
            }
            match self.peek() {
                Token::Space => {}
                Token::Sign("|") => {
                    self.next();
                    break;
                }
                Token::Close | Token::Sign(")") => break,
                Token::Sign("(") if !words.is_empty() => {}
                _ => return self.unexpected("operand"),
            }
            self.skip_space();
        }
        if words.is_empty() {
            return self.fail("empty command");
        }
        Ok(Command { pos, words })
    }

    fn operand(&mut self) -> Result<Option<Word>, Error> {
        let Some(mut word) = self.term()? else {
            return Ok(None);
        };
        let mut fields = Vec::new();
        let pos = self.pos();
        while let Token::Field(name) = self.peek().clone() {
            self.next();
            fields.push(name);
        }
        if fields.is_empty() {
            return Ok(Some(word));
        }
        match &mut word.kind {
            Kind::Field(names) | Kind::Variable(names) => {
                names.extend(fields);
                word.pos = pos;
            }
            Kind::Dot | Kind::Nil | Kind::Literal(..) => {
                let shown = format!(
                    "unexpected . after term {}",
                    meta::field::quote(&word.to_string())
                );
                return self.fail(shown);
            }
            Kind::Function(_) | Kind::Pipe(_) | Kind::Chain(..) => {
                let inner = Box::new(word);
                let kind = Kind::Chain(inner, fields);
                return Ok(Some(Word { pos, kind }));
            }
        }
        Ok(Some(word))
    }

    fn term(&mut self) -> Result<Option<Word>, Error> {
        let pos = self.pos();
        let kind = match self.peek().clone() {
            Token::Dot => Kind::Dot,
            Token::Field(name) => Kind::Field(vec![name]),
            Token::Variable(name) => {
                self.known(&name)?;
                Kind::Variable(vec![name])
            }
            Token::Quoted(source, text) => Kind::Literal(source, text.into()),
            Token::Number(text) => match number(&text) {
                Some(value) => Kind::Literal(text, value),
                None => {
                    return self.fail(format!("bad number syntax: {}", meta::field::quote(&text)));
                }
            },
            Token::Word(word) => match word.as_str() {
                "true" => Kind::Literal(word, true.into()),
                "false" => Kind::Literal(word, false.into()),
                "nil" => Kind::Nil,
                _ if is_keyword(&word) => return Ok(None),
                _ if functions::is_known(&word) => Kind::Function(word),
                _ => {
                    let quoted = meta::field::quote(&word);
                    return self.fail(format!("function {quoted} not defined"));
                }
            },
            Token::Sign("(") => {
                self.next();
                let pipe = self.pipe("parenthesized pipeline", false)?;
                if *self.peek() != Token::Sign(")") {
                    return self.fail("unclosed left paren");
                }
                Kind::Pipe(pipe)
            }
            _ => return Ok(None),
        };
        self.next();
        Ok(Some(Word { pos, kind }))
    }
}

fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "block"
            | "break"
            | "continue"
            | "define"
            | "else"
            | "end"
            | "if"
            | "range"
            | "template"
            | "with"
    )
}

/// A Go literal: `1`, `0x1f`, `1_000`, `1e3`, `'a'`.
fn number(text: &str) -> Option<Val> {
    if let Some(inner) = text.strip_prefix('\'') {
        let inner = inner.strip_suffix('\'')?;
        let plain = meta::go::unquote(&format!("\"{}\"", inner.replace('"', "\\\"")))?;
        let mut chars = plain.chars();
        let c = chars.next().filter(|_| chars.next().is_none())?;
        return Some(Val::Int(i64::from(u32::from(c))));
    }
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let lower = digits.to_ascii_lowercase();
    let based = match lower.get(..2) {
        Some("0x") => i64::from_str_radix(&lower[2..], 16).ok(),
        Some("0b") => i64::from_str_radix(&lower[2..], 2).ok(),
        Some("0o") => i64::from_str_radix(&lower[2..], 8).ok(),
        _ if lower.len() > 1 && lower.starts_with('0') && !lower.contains(['.', 'e']) => {
            i64::from_str_radix(&lower, 8).ok()
        }
        _ => lower.parse().ok(),
    };
    match based {
        Some(i) => Some(Val::Int(sign * i)),
        None => plain.parse::<f64>().ok().map(Val::from),
    }
}
