//! Nodes to text. Follows Go's text/template/exec.go.

use super::node::{Branch, Command, Kind, Node, Pipe, Word};
use super::value::Val;
use super::{Error, NAME, Template, functions};
use meta::{Map, Value};

/// How deep templates may call templates.
const DEPTH_MAX: usize = 1000;

/// What was written, and how it ended.
pub(super) fn execute(template: &Template, data: &Value) -> (String, Result<(), Error>) {
    let dot = Val::Tree(data.clone());
    let mut run = Run {
        template,
        name: NAME,
        variables: vec![("$", dot.clone())],
        out: String::new(),
        depth: 0,
    };
    let result = match template.defined.get(NAME) {
        Some(nodes) => run.list(&dot, nodes).map(|_| ()),
        None => Ok(()),
    };
    (run.out, result)
}

/// How a list of nodes ended.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Run<'a> {
    template: &'a Template,
    name: &'a str,
    variables: Vec<(&'a str, Val)>,
    out: String,
    depth: usize,
}

impl<'a> Run<'a> {
    fn fail<T>(
        &self,
        pos: usize,
        place: impl ToString,
        why: impl std::fmt::Display,
    ) -> Result<T, Error> {
        let before = &self.template.text[..pos.min(self.template.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = pos - before.rfind('\n').map_or(0, |at| at + 1);
        let mut place = place.to_string();
        if place.chars().count() > 20 {
            place = place.chars().take(20).collect::<String>() + "...";
        }
        let name = meta::field::quote(self.name);
        Err(Error(format!(
            "template: {NAME}:{line}:{column}: executing {name} at <{place}>: {why}"
        )))
    }

    fn list(&mut self, dot: &Val, nodes: &'a [Node]) -> Result<Flow, Error> {
        for node in nodes {
            let flow = self.node(dot, node)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, dot: &Val, node: &'a Node) -> Result<Flow, Error> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Action(pipe) => {
                let value = self.pipe(dot, pipe)?;
                if pipe.variables.is_empty() {
                    match value.is_nil() {
                        true => self.out.push_str("<no value>"),
                        false => self.out.push_str(&value.print()),
                    }
                }
            }
            Node::If(branch) => return self.branch(dot, branch, false),
            Node::With(branch) => return self.branch(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Template { pos, name, pipe } => self.call(dot, *pos, name, pipe.as_ref())?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn branch(&mut self, dot: &Val, branch: &'a Branch, moves: bool) -> Result<Flow, Error> {
        let scope = self.variables.len();
        let value = self.pipe(dot, &branch.pipe)?;
        let flow = match value.is_true() {
            true => self.list(if moves { &value } else { dot }, &branch.then),
            false => self.list(dot, &branch.otherwise),
        };
        self.variables.truncate(scope);
        flow
    }

    fn range(&mut self, dot: &Val, branch: &'a Branch) -> Result<Flow, Error> {
        let scope = self.variables.len();
        let value = self.pipe_value(dot, &branch.pipe)?;
        let items: Vec<(Val, Val)> = match value {
            Val::Tree(Value::Array(items)) => items
                .into_iter()
                .enumerate()
                .map(|(i, item)| (Val::Int(i64::try_from(i).unwrap_or_default()), item.into()))
                .collect(),
            Val::Tree(Value::Object(map)) => Map::into_iter(map)
                .map(|(key, item)| (key.into(), item.into()))
                .collect(),
            value if value.is_nil() => Vec::new(),
            value => match value.int() {
                Some(n) => (0..n.clamp(0, 1_000_000))
                    .map(|i| (Val::Int(i), Val::Int(i)))
                    .collect(),
                None => {
                    let shown = value.print();
                    let why = format!("range can't iterate over {shown}");
                    return self.fail(position(&branch.pipe), &branch.pipe, why);
                }
            },
        };
        if items.is_empty() {
            let flow = self.list(dot, &branch.otherwise);
            self.variables.truncate(scope);
            return flow;
        }
        for (key, item) in items {
            self.variables.truncate(scope);
            let names = branch.pipe.variables.iter();
            let values = match branch.pipe.variables.len() {
                1 => vec![item.clone()],
                _ => vec![key, item.clone()],
            };
            for (name, value) in names.zip(values) {
                match branch.pipe.is_assignment {
                    true => self.assign(name, value),
                    false => self.variables.push((name, value)),
                }
            }
            if self.list(&item, &branch.then)? == Flow::Break {
                break;
            }
        }
        self.variables.truncate(scope);
        Ok(Flow::On)
    }

    fn call(
        &mut self,
        dot: &Val,
        pos: usize,
        name: &'a str,
        pipe: Option<&'a Pipe>,
    ) -> Result<(), Error> {
        let quoted = meta::field::quote(name);
        let place = match pipe {
            Some(pipe) => format!("{{{{template {quoted} {pipe}}}}}"),
            None => format!("{{{{template {quoted}}}}}"),
        };
        let template = self.template;
        let Some(nodes) = template.defined.get(name) else {
            return self.fail(pos, place, format!("template {quoted} not defined"));
        };
        if self.depth == DEPTH_MAX {
            let why = format!("exceeded maximum template depth ({DEPTH_MAX})");
            return self.fail(pos, place, why);
        }
        let dot = match pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Val::Missing,
        };
        let outer_name = std::mem::replace(&mut self.name, name);
        let outer = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        self.depth += 1;
        self.list(&dot, nodes)?;
        self.depth -= 1;
        self.variables = outer;
        self.name = outer_name;
        Ok(())
    }

    fn assign(&mut self, name: &str, value: Val) {
        let mut known = self.variables.iter_mut().rev();
        if let Some((_, slot)) = known.find(|(known, _)| *known == name) {
            *slot = value;
        }
    }

    /// The value of a pipeline, which its variables take.
    fn pipe(&mut self, dot: &Val, pipe: &'a Pipe) -> Result<Val, Error> {
        let value = self.pipe_value(dot, pipe)?;
        for name in &pipe.variables {
            match pipe.is_assignment {
                true => self.assign(name, value.clone()),
                false => self.variables.push((name, value.clone())),
            }
        }
        Ok(value)
    }

    fn pipe_value(&mut self, dot: &Val, pipe: &'a Pipe) -> Result<Val, Error> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(dot, command, value)?);
        }
        Ok(value.unwrap_or(Val::Missing))
    }

    fn command(
        &mut self,
        dot: &Val,
        command: &'a Command,
        last: Option<Val>,
    ) -> Result<Val, Error> {
        let (first, args) = command.words.split_first().ok_or(Error(String::new()))?;
        match &first.kind {
            Kind::Function(name) => return self.function(dot, command, name, args, last),
            Kind::Nil => return self.fail(first.pos, first, "nil is not a command"),
            Kind::Field(names) if !args.is_empty() || last.is_some() => {
                let name = names.last().map(String::as_str).unwrap_or_default();
                let why = format!("{name} is not a method but has arguments");
                return self.fail(first.pos, first, why);
            }
            _ if !args.is_empty() || last.is_some() => {
                let why = format!("can't give argument to non-function {first}");
                return self.fail(first.pos, first, why);
            }
            _ => {}
        }
        self.word(dot, first)
    }

    fn function(
        &mut self,
        dot: &Val,
        command: &'a Command,
        name: &str,
        args: &'a [Word],
        last: Option<Val>,
    ) -> Result<Val, Error> {
        if matches!(name, "and" | "or") {
            return self.short_circuit(dot, command, name, args, last);
        }
        let mut values = Vec::with_capacity(args.len() + 1);
        for arg in args {
            values.push(self.word(dot, arg)?);
        }
        values.extend(last);
        if name == "call" {
            let why = match (args.first(), values.first()) {
                (Some(arg), Some(value)) => {
                    format!(
                        "error calling call: non-function {arg} of type {}",
                        value.type_name()
                    )
                }
                _ => "wrong number of args for call: want at least 1 got 0".to_string(),
            };
            return self.fail(command.pos, command, why);
        }
        match functions::call(name, &values) {
            Err(why) => self.fail(command.words[0].pos, &command.words[0], why),
            Ok(Err(why)) => {
                let why = format!("error calling {name}: {why}");
                self.fail(command.pos, command, why)
            }
            Ok(Ok(value)) => Ok(value),
        }
    }

    /// `and` gives its first false argument, `or` its first true one.
    fn short_circuit(
        &mut self,
        dot: &Val,
        command: &'a Command,
        name: &str,
        args: &'a [Word],
        last: Option<Val>,
    ) -> Result<Val, Error> {
        let mut value = None;
        for arg in args {
            let found = self.word(dot, arg)?;
            if found.is_true() == (name == "or") {
                return Ok(found);
            }
            value = Some(found);
        }
        match last.or(value) {
            Some(value) => Ok(value),
            None => {
                let why = format!("wrong number of args for {name}: want at least 1 got 0");
                self.fail(command.words[0].pos, name, why)
            }
        }
    }

    fn word(&mut self, dot: &Val, word: &'a Word) -> Result<Val, Error> {
        match &word.kind {
            Kind::Dot => Ok(dot.clone()),
            Kind::Nil => Ok(Val::Missing),
            Kind::Field(names) => self.fields(dot.clone(), names, word),
            Kind::Variable(names) => {
                let mut known = self.variables.iter().rev();
                let value = known.find(|(known, _)| names.first().is_some_and(|n| n == known));
                let value = value.map_or(Val::Missing, |(_, value)| value.clone());
                self.fields(value, &names[1..], word)
            }
            Kind::Function(name) => match functions::call(name, &[]) {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(why)) => self.fail(word.pos, word, format!("error calling {name}: {why}")),
                Err(why) => self.fail(word.pos, word, why),
            },
            Kind::Literal(_, value) => Ok(value.clone()),
            Kind::Pipe(pipe) => self.pipe(dot, pipe),
            Kind::Chain(inner, names) => {
                let value = self.word(dot, inner)?;
                self.fields(value, names, word)
            }
        }
    }

    fn fields(&self, mut value: Val, names: &[String], word: &Word) -> Result<Val, Error> {
        for name in names {
            value = match value {
                Val::Missing => Val::Missing,
                Val::Tree(Value::Object(mut map)) => {
                    map.remove(name).map_or(Val::Missing, Val::Tree)
                }
                Val::Tree(Value::Null) => {
                    let why = format!("nil pointer evaluating interface {{}}.{name}");
                    return self.fail(word.pos, word, why);
                }
                _ => {
                    let why = format!("can't evaluate field {name} in type interface {{}}");
                    return self.fail(word.pos, word, why);
                }
            };
        }
        Ok(value)
    }
}

fn position(pipe: &Pipe) -> usize {
    pipe.commands.first().map_or(0, |command| command.pos)
}
