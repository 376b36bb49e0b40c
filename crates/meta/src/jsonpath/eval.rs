//! Nodes applied to a tree. Follows client-go's util/jsonpath/jsonpath.go.

use super::parse::{Filter, Node, Slice};
use super::{Error, Found, compare};
use crate::{Value, go};
use std::borrow::Cow;

/// What each top-level node finds in the data.
pub(super) fn find<'a>(
    nodes: &'a [Node],
    data: &'a Value,
    allow_missing: bool,
) -> Result<Vec<Found<'a>>, Error> {
    let mut walk = Walk {
        allow_missing,
        ..Walk::default()
    };
    walk.block(nodes, 0, vec![Cow::Borrowed(data)])
}

#[derive(Default)]
struct Walk {
    allow_missing: bool,
    begin_range: usize,
    in_range: usize,
    end_range: usize,
    last_end: Option<usize>,
}

impl Walk {
    /// The nodes from `first` on, up to the end of the innermost range.
    fn block<'a>(
        &mut self,
        nodes: &'a [Node],
        first: usize,
        current: Found<'a>,
    ) -> Result<Vec<Found<'a>>, Error> {
        let mut all = Vec::new();
        let mut i = first;
        while i < nodes.len() {
            let results = self.node(current.clone(), &nodes[i])?;
            if self.end_range > 0 && self.end_range <= self.in_range {
                self.end_range -= 1;
                self.last_end = Some(i);
                break;
            }
            if self.begin_range > 0 {
                self.begin_range -= 1;
                self.in_range += 1;
                if results.is_empty() {
                    self.block(nodes, i + 1, Vec::new())?;
                }
                for value in results {
                    all.extend(self.block(nodes, i + 1, vec![value])?);
                }
                self.in_range -= 1;
                i = self.last_end.filter(|&end| end > i).unwrap_or(i);
            } else {
                all.push(results);
            }
            i += 1;
        }
        Ok(all)
    }

    fn node<'a>(&mut self, input: Found<'a>, node: &'a Node) -> Result<Found<'a>, Error> {
        match node {
            Node::List(nodes) => self.list(input, nodes),
            Node::Text(text) => Ok(vec![Cow::Owned(text.as_str().into())]),
            Node::Field(name) => self.field(input, name),
            Node::Slice(slice) => slices(input, slice),
            Node::Filter(filter) => self.filter(input, filter),
            Node::Int(i) => Ok(each(&input, &(*i).into())),
            Node::Float(x) => Ok(each(&input, &(*x).into())),
            Node::Bool(b) => Ok(each(&input, &(*b).into())),
            Node::Wildcard => Ok(input.into_iter().flat_map(children).collect()),
            Node::Recursive => Ok(recursive(input)),
            Node::Union(lists) => {
                let mut all = Vec::new();
                for nodes in lists {
                    all.extend(self.list(input.clone(), nodes)?);
                }
                Ok(all)
            }
            Node::Identifier(name) => self.identifier(input, name),
        }
    }

    fn list<'a>(&mut self, input: Found<'a>, nodes: &'a [Node]) -> Result<Found<'a>, Error> {
        let mut current = input;
        for node in nodes {
            current = self.node(current, node)?;
        }
        Ok(current)
    }

    fn identifier<'a>(&mut self, input: Found<'a>, name: &str) -> Result<Found<'a>, Error> {
        match name {
            "range" => {
                self.begin_range += 1;
                Ok(input)
            }
            "end" if self.in_range > 0 => {
                self.end_range += 1;
                Ok(Vec::new())
            }
            "end" => Err(Error("not in range, nothing to end".to_string())),
            other => Err(Error(format!("unrecognized identifier {other}"))),
        }
    }

    fn field<'a>(&self, input: Found<'a>, name: &str) -> Result<Found<'a>, Error> {
        if input.is_empty() {
            return Ok(input);
        }
        let found: Found<'a> = input
            .into_iter()
            .filter_map(|value| match value {
                Cow::Borrowed(value) => value.get(name).map(Cow::Borrowed),
                Cow::Owned(value) => value.get(name).cloned().map(Cow::Owned),
            })
            .collect();
        match found.is_empty() && !self.allow_missing {
            true => Err(Error(format!("{name} is not found"))),
            false => Ok(found),
        }
    }

    fn filter<'a>(&mut self, input: Found<'a>, filter: &'a Filter) -> Result<Found<'a>, Error> {
        let mut kept = Vec::new();
        for value in input {
            let Some(items) = value.as_array() else {
                return Err(Error(format!(
                    "{} is not array or slice and cannot be filtered",
                    go::print(&value)
                )));
            };
            let mut passes = Vec::with_capacity(items.len());
            for item in items {
                passes.push(self.passes(item, filter)?);
            }
            let items = elements(value).into_iter().zip(passes);
            kept.extend(items.filter(|(_, pass)| *pass).map(|(item, _)| item));
        }
        Ok(kept)
    }

    fn passes(&mut self, item: &Value, filter: &Filter) -> Result<bool, Error> {
        let lefts = self.list(vec![Cow::Borrowed(item)], &filter.left);
        if filter.operator == "exists" {
            return Ok(lefts.is_ok_and(|found| !found.is_empty()));
        }
        let lefts = lefts?;
        if lefts.is_empty() {
            return Ok(false);
        }
        let one = || Error("can only compare one element at a time".to_string());
        let [left] = lefts.as_slice() else {
            return Err(one());
        };
        let rights = self.list(vec![Cow::Borrowed(item)], &filter.right)?;
        let [right] = rights.as_slice() else {
            return Err(one());
        };
        compare::holds(left, &filter.operator, right)
    }
}

fn each<'a>(input: &[Cow<'a, Value>], value: &Value) -> Found<'a> {
    input.iter().map(|_| Cow::Owned(value.clone())).collect()
}

fn slices<'a>(input: Found<'a>, slice: &Slice) -> Result<Found<'a>, Error> {
    let mut all = Vec::new();
    for value in input {
        match &*value {
            Value::Null => {}
            Value::Array(items) => {
                if let Some((from, to, step)) = bounds(slice, items.len())? {
                    let picked = elements(value).into_iter().take(to).skip(from);
                    all.extend(picked.step_by(step));
                }
            }
            other => {
                let kind = go::type_name(other);
                return Err(Error(format!("{kind} is not array or slice")));
            }
        }
    }
    Ok(all)
}

/// First, past the last, and step; nothing when nothing is asked for.
fn bounds(slice: &Slice, length: usize) -> Result<Option<(usize, usize, usize)>, Error> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let out = |index: i64| {
        Error(format!(
            "array index out of bounds: index {index}, length {length}"
        ))
    };
    let mut from = slice.from.unwrap_or(0);
    if from < 0 {
        from += length;
    }
    let mut to = slice.to.unwrap_or(length);
    if to < 0 || (to == 0 && slice.derived) {
        to += length;
    }
    if from == to {
        return Ok(None);
    }
    if from >= length || from < 0 {
        return Err(out(from));
    }
    if to > length || to < 0 {
        return Err(out(to - 1));
    }
    if from > to {
        return Err(Error(format!(
            "starting index {from} is greater than ending index {to}"
        )));
    }
    let step = slice.step.unwrap_or(1);
    if step <= 0 {
        return Err(Error("step must be > 0".to_string()));
    }
    let as_size = |n: i64| usize::try_from(n).unwrap_or_default();
    Ok(Some((as_size(from), as_size(to), as_size(step))))
}

fn elements(value: Cow<'_, Value>) -> Found<'_> {
    match value {
        Cow::Borrowed(Value::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
        Cow::Owned(Value::Array(items)) => items.into_iter().map(Cow::Owned).collect(),
        _ => Vec::new(),
    }
}

/// What is directly below a value. Of a string these are its bytes.
fn children(value: Cow<'_, Value>) -> Found<'_> {
    match value {
        Cow::Borrowed(Value::Object(map)) => map.iter().map(|(_, v)| Cow::Borrowed(v)).collect(),
        Cow::Owned(Value::Object(map)) => map.into_iter().map(|(_, v)| Cow::Owned(v)).collect(),
        Cow::Borrowed(Value::String(text)) => bytes(text),
        Cow::Owned(Value::String(text)) => bytes(&text),
        list => elements(list),
    }
}

fn bytes<'a>(text: &str) -> Found<'a> {
    text.bytes()
        .map(|b| Cow::Owned(i64::from(b).into()))
        .collect()
}

fn recursive(input: Found<'_>) -> Found<'_> {
    let mut all = Vec::new();
    for value in input {
        let below = children(value.clone());
        if !below.is_empty() {
            let leaf = matches!(*value, Value::String(_));
            all.push(value);
            if !leaf {
                all.extend(recursive(below));
            }
        }
    }
    all
}
