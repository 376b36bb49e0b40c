//! What a template is made of. Each part prints itself as Go prints it in
//! messages.

use super::value::Val;
use std::fmt;

/// A part of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template {
        pos: usize,
        name: String,
        pipe: Option<Pipe>,
    },
    Break,
    Continue,
}

/// What depends on a value.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) then: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// Commands that hand their value on, and the variables that take the last one.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe {
    pub(super) variables: Vec<String>,
    pub(super) is_assignment: bool,
    pub(super) commands: Vec<Command>,
}

/// A word and its arguments.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) pos: usize,
    pub(super) words: Vec<Word>,
}

/// One word, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) pos: usize,
    pub(super) kind: Kind,
}

/// What a word is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Dot,
    Nil,
    Field(Vec<String>),
    /// The name with its dollar sign, and fields.
    Variable(Vec<String>),
    Function(String),
    /// A literal as written.
    Literal(String, Val),
    Pipe(Pipe),
    /// Fields of something else than a field or variable.
    Chain(Box<Word>, Vec<String>),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Dot => f.write_str("."),
            Kind::Nil => f.write_str("nil"),
            Kind::Field(names) => names.iter().try_for_each(|name| write!(f, ".{name}")),
            Kind::Variable(names) => f.write_str(&names.join(".")),
            Kind::Function(name) => f.write_str(name),
            Kind::Literal(text, _) => f.write_str(text),
            Kind::Pipe(pipe) => write!(f, "({pipe})"),
            Kind::Chain(word, names) => {
                write!(f, "{word}")?;
                names.iter().try_for_each(|name| write!(f, ".{name}"))
            }
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.words.iter().map(Word::to_string).collect();
        f.write_str(&words.join(" "))
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.is_assignment { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.variables.join(", "))?;
        }
        let commands: Vec<String> = self.commands.iter().map(Command::to_string).collect();
        f.write_str(&commands.join(" | "))
    }
}
