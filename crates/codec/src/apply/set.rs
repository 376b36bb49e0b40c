//! A set of fields of an object, as a tree, and its `FieldsV1` spelling.

use meta::schema::ListKind;
use meta::{Map, Number, Str, Value};
use std::cmp::Ordering;
use std::fmt;

/// One step into an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// A field of a struct or an entry of a map.
    Field(Str),
    /// An item of a list that is a map, by its key fields.
    Key(Scalars),
    /// An item of a list that is a set.
    Value(Scalar),
    /// An item of a list by position.
    Index(usize),
}

/// The key fields of an item, by name.
pub type Scalars = Vec<(Str, Scalar)>;

/// A scalar, ordered so that sets have one spelling.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar(pub Value);

impl Eq for Scalar {}
impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |v: &Value| match v {
            Value::Number(_) => 0,
            Value::String(_) => 1,
            Value::Bool(_) => 2,
            _ => 3,
        };
        match (&self.0, &other.0) {
            (Value::Number(Number::Int(a)), Value::Number(Number::Int(b))) => a.cmp(b),
            (Value::Number(a), Value::Number(b)) => a.as_f64().total_cmp(&b.as_f64()),
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (a, b) => rank(a).cmp(&rank(b)),
        }
    }
}

impl Element {
    /// The element of a list's item, when the list's kind gives it one.
    pub fn of_item(
        kind: &ListKind,
        item: &Value,
        default: impl Fn(&str) -> Option<Value>,
    ) -> Option<Element> {
        match kind {
            ListKind::Atomic => None,
            ListKind::Set => Some(Element::Value(Scalar(item.clone()))),
            ListKind::Map(keys) => {
                let mut key: Scalars = keys
                    .iter()
                    .filter_map(|name| {
                        let value = item.get(name).cloned().or_else(|| default(name))?;
                        Some((Str::from(name.as_ref()), Scalar(value)))
                    })
                    .collect();
                key.sort();
                Some(Element::Key(key))
            }
        }
    }

    fn spell(&self) -> Str {
        match self {
            Element::Field(name) => ["f:", name.as_str()].into_iter().collect(),
            Element::Key(key) => {
                let map: Map = key.iter().map(|(k, v)| (k.clone(), v.0.clone())).collect();
                format!("k:{}", Value::Object(map)).into()
            }
            Element::Value(value) => format!("v:{}", value.0).into(),
            Element::Index(i) => format!("i:{i}").into(),
        }
    }

    fn read(text: &str) -> Option<Element> {
        let (tag, rest) = text.split_once(':')?;
        Some(match tag {
            "f" => Element::Field(rest.into()),
            "v" => Element::Value(Scalar(crate::json::parse_value(rest.as_bytes()).ok()?)),
            "i" => Element::Index(rest.parse().ok()?),
            "k" => {
                let Value::Object(map) = crate::json::parse_value(rest.as_bytes()).ok()? else {
                    return None;
                };
                Element::Key(map.into_iter().map(|(k, v)| (k, Scalar(v))).collect())
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Element {
    /// As conflicts spell paths: `.spec.containers[name="a"].image`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Key(key) => {
                let parts: Vec<String> = key.iter().map(|(k, v)| format!("{k}={}", v.0)).collect();
                write!(f, "[{}]", parts.join(","))
            }
            Element::Value(value) => write!(f, "[={}]", value.0),
            Element::Index(i) => write!(f, "[{i}]"),
        }
    }
}

/// A set of fields: its first steps in order. Most sets are small and made in
/// order, on every write, and a list is then cheaper than a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    nodes: Vec<(Element, Node)>,
}

/// What is known below one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// The path that ends here is in the set.
    member: bool,
    /// What follows.
    below: Set,
}

impl Set {
    /// No fields.
    pub fn new() -> Self {
        Set::default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds the path.
    pub fn insert(&mut self, path: &[Element]) {
        let Some((last, way)) = path.split_last() else {
            return;
        };
        let mut set = self;
        for element in way {
            set = &mut set.entry(element).below;
        }
        set.entry(last).member = true;
    }

    /// Where a step is, or would be.
    fn position(&self, element: &Element) -> Result<usize, usize> {
        match self.nodes.last() {
            Some((last, _)) if last < element => Err(self.nodes.len()),
            _ => self.nodes.binary_search_by(|(e, _)| e.cmp(element)),
        }
    }

    fn get(&self, element: &Element) -> Option<&Node> {
        let at = self.position(element).ok()?;
        Some(&self.nodes[at].1)
    }

    fn get_mut(&mut self, element: &Element) -> Option<&mut Node> {
        let at = self.position(element).ok()?;
        Some(&mut self.nodes[at].1)
    }

    fn entry(&mut self, element: &Element) -> &mut Node {
        let at = self.position(element).unwrap_or_else(|at| {
            self.nodes.insert(at, (element.clone(), Node::default()));
            at
        });
        &mut self.nodes[at].1
    }

    fn put(&mut self, element: Element, node: Node) {
        match self.position(&element) {
            Ok(at) => self.nodes[at].1 = node,
            Err(at) => self.nodes.insert(at, (element, node)),
        }
    }

    /// Adds a step with what is below it, if there is anything to add.
    pub(super) fn attach(&mut self, element: &Element, member: bool, below: Set) {
        if member || !below.is_empty() {
            self.put(element.clone(), Node { member, below });
        }
    }

    /// Whether the path is in the set.
    pub fn has(&self, element: &Element) -> bool {
        self.get(element).is_some_and(|node| node.member)
    }

    /// What is known below a step.
    pub fn below(&self, element: &Element) -> Option<&Set> {
        let below = self.get(element).map(|node| &node.below);
        below.filter(|set| !set.is_empty())
    }

    /// The steps that begin paths of this set.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().map(|(element, _)| element)
    }

    /// All that is in either.
    pub fn union(&self, other: &Set) -> Set {
        let mut out = self.clone();
        for (element, node) in &other.nodes {
            match out.get_mut(element) {
                Some(found) => {
                    found.member |= node.member;
                    found.below = found.below.union(&node.below);
                }
                None => out.put(element.clone(), node.clone()),
            }
        }
        out
    }

    /// All that is in either, made of both.
    pub fn into_union(mut self, other: Set) -> Set {
        if self.is_empty() {
            return other;
        }
        for (element, node) in other.nodes {
            match self.get_mut(&element) {
                Some(found) => {
                    found.member |= node.member;
                    found.below = std::mem::take(&mut found.below).into_union(node.below);
                }
                None => self.put(element, node),
            }
        }
        self
    }

    /// Takes a step out, but not what is below it.
    pub(super) fn leave(&mut self, element: &Element) {
        if let Ok(at) = self.position(element) {
            self.nodes[at].1.member = false;
            if self.nodes[at].1.below.is_empty() {
                self.nodes.remove(at);
            }
        }
    }

    /// What is in both.
    pub fn intersection(&self, other: &Set) -> Set {
        self.combine(other, |a, b| a && b, |a, b| a.intersection(b), false)
    }

    /// What is in this and not in the other.
    pub fn difference(&self, other: &Set) -> Set {
        self.combine(other, |a, b| a && !b, |a, b| a.difference(b), true)
    }

    /// What is in this, without the members of the other and all below them.
    pub fn difference_below(&self, other: &Set) -> Set {
        let mut out = Set::new();
        for (element, node) in &self.nodes {
            let kept = match other.get(element) {
                Some(gone) if gone.member => continue,
                Some(gone) => Node {
                    member: node.member,
                    below: node.below.difference_below(&gone.below),
                },
                None => node.clone(),
            };
            out.keep(element, kept);
        }
        out
    }

    fn combine(
        &self,
        other: &Set,
        member: fn(bool, bool) -> bool,
        below: fn(&Set, &Set) -> Set,
        keep_foreign: bool,
    ) -> Set {
        let mut out = Set::new();
        for (element, node) in &self.nodes {
            match other.get(element) {
                Some(found) => out.keep(
                    element,
                    Node {
                        member: member(node.member, found.member),
                        below: below(&node.below, &found.below),
                    },
                ),
                None if keep_foreign => out.keep(element, node.clone()),
                None => {}
            }
        }
        out
    }

    fn keep(&mut self, element: &Element, node: Node) {
        if node.member || !node.below.is_empty() {
            self.put(element.clone(), node);
        }
    }

    /// Adds the named fields on the way to a member; `is_struct_field` says of
    /// a path's last step whether a schema names it.
    pub fn with_named_parents(&self, shape: super::walk::Shape<'_>) -> Set {
        let mut out = Set::new();
        for (element, node) in &self.nodes {
            let named = matches!(element, Element::Field(name) if shape.names(name));
            let below = node.below.with_named_parents(shape.step(element));
            out.keep(
                element,
                Node {
                    member: node.member || (named && !below.is_empty()),
                    below,
                },
            );
        }
        out
    }

    /// The paths of all members.
    pub fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.collect("", &mut out);
        out
    }

    fn collect(&self, before: &str, out: &mut Vec<String>) {
        for (element, node) in &self.nodes {
            let path = format!("{before}{element}");
            if node.member {
                out.push(path.clone());
            }
            node.below.collect(&path, out);
        }
    }

    /// As `FieldsV1`.
    pub fn to_value(&self) -> Value {
        let entries = self.nodes.iter().map(|(element, node)| {
            let mut below = node.below.to_value();
            if node.member && !node.below.is_empty() {
                below.make_object().insert(".", Value::object());
            }
            (element.spell(), below)
        });
        Value::Object(Map::from_entries(entries.collect(), |_| {}))
    }

    /// From `FieldsV1`. What is malformed is left out.
    pub fn from_value(value: &Value) -> Set {
        let mut out = Set::new();
        for (text, below) in value.as_object().into_iter().flat_map(|m| m.iter()) {
            let Some(element) = Element::read(text) else {
                continue;
            };
            let inner = Set::from_value(below);
            let member = inner.is_empty() || below.get(".").is_some();
            out.keep(
                &element,
                Node {
                    member,
                    below: inner,
                },
            );
        }
        out
    }
}
