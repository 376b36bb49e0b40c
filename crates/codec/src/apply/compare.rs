//! What differs between two objects, as sets of fields.

use super::set::{Element, Set};
use super::walk::Shape;
use meta::Value;

/// What a change did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Fields that were not there.
    pub added: Set,
    /// Fields with another value.
    pub modified: Set,
    /// Fields that are there no more.
    pub removed: Set,
}

impl Comparison {
    /// Whether nothing differs.
    pub fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }
}

/// Compares what was with what is. Both should be complete, so that what Go
/// always writes is on both sides.
pub fn compare(old: &Value, new: &Value, shape: Shape<'_>) -> Comparison {
    let mut out = Comparison::default();
    walk(Some(old), Some(new), shape, &mut Vec::new(), &mut out);
    out
}

fn walk(
    old: Option<&Value>,
    new: Option<&Value>,
    shape: Shape<'_>,
    path: &mut Vec<Element>,
    out: &mut Comparison,
) {
    let is_leaf = match shape {
        Shape::Struct(_) | Shape::Map(_) => count(old) == 0 && count(new) == 0,
        Shape::List(_) => false,
        Shape::Leaf => true,
    };
    if is_leaf {
        return leaf(old, new, path, out);
    }
    match shape {
        Shape::List(list) => walk_list(old, new, shape, Shape::of(&list.item), path, out),
        _ => walk_object(old, new, shape, path, out),
    }
    match (old, new) {
        (None, Some(_)) => out.added.insert(path),
        (Some(_), None) => out.removed.insert(path),
        _ => {}
    }
}

fn count(value: Option<&Value>) -> usize {
    value.and_then(Value::as_object).map_or(0, meta::Map::len)
}

fn leaf(old: Option<&Value>, new: Option<&Value>, path: &[Element], out: &mut Comparison) {
    match (old, new) {
        (None, Some(_)) => out.added.insert(path),
        (Some(_), None) => out.removed.insert(path),
        (Some(old), Some(new)) if old != new => out.modified.insert(path),
        _ => {}
    }
}

fn walk_object(
    old: Option<&Value>,
    new: Option<&Value>,
    shape: Shape<'_>,
    path: &mut Vec<Element>,
    out: &mut Comparison,
) {
    let (before, after) = (
        old.and_then(Value::as_object),
        new.and_then(Value::as_object),
    );
    for (key, value) in after.into_iter().flat_map(|m| m.iter()) {
        path.push(Element::Field(key.clone()));
        walk(
            before.and_then(|m| m.get(key)),
            Some(value),
            shape.field(key),
            path,
            out,
        );
        path.pop();
    }
    for (key, value) in before.into_iter().flat_map(|m| m.iter()) {
        if after.is_none_or(|m| !m.contains_key(key)) {
            path.push(Element::Field(key.clone()));
            walk(Some(value), None, shape.field(key), path, out);
            path.pop();
        }
    }
}

fn walk_list(
    old: Option<&Value>,
    new: Option<&Value>,
    shape: Shape<'_>,
    item_shape: Shape<'_>,
    path: &mut Vec<Element>,
    out: &mut Comparison,
) {
    let keyed = |value: Option<&'_ Value>| -> Vec<(Element, Value)> {
        let items = value.and_then(Value::as_array).unwrap_or_default();
        items
            .iter()
            .enumerate()
            .map(|(i, item)| (shape.element(item, i), item.clone()))
            .collect()
    };
    let (before, after) = (keyed(old), keyed(new));
    for (element, item) in &after {
        path.push(element.clone());
        walk(find(&before, element), Some(item), item_shape, path, out);
        path.pop();
    }
    for (element, item) in &before {
        if find(&after, element).is_none() {
            path.push(element.clone());
            walk(Some(item), None, item_shape, path, out);
            path.pop();
        }
    }
}

fn find<'a>(items: &'a [(Element, Value)], element: &Element) -> Option<&'a Value> {
    items
        .iter()
        .find(|(e, _)| e == element)
        .map(|(_, item)| item)
}
