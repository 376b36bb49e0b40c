//! What differs between two objects, as sets of fields.

use super::set::{Element, Set};
use super::walk::Shape;
use meta::schema::Struct;
use meta::{Map, Value};

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

/// What happened to one field as such.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Added,
    Modified,
    Removed,
}

impl Comparison {
    /// Whether nothing differs.
    pub fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// Puts what happened below a step, and to its end, in its place.
    fn attach(&mut self, element: Element, (below, fate): (Comparison, Option<Fate>)) {
        for (set, below, own) in [
            (&mut self.added, below.added, Fate::Added),
            (&mut self.modified, below.modified, Fate::Modified),
            (&mut self.removed, below.removed, Fate::Removed),
        ] {
            set.attach(&element, fate == Some(own), below);
        }
    }
}

/// Compares what was with what is. Both should be complete, so that what Go
/// always writes is on both sides.
pub fn compare(old: &Value, new: &Value, shape: Shape<'_>) -> Comparison {
    walk(Some(old), Some(new), shape, Keys::All).0
}

/// Compares two objects in what somebody can own.
pub fn compare_ownable(old: &Value, new: &Value, schema: &Struct) -> Comparison {
    walk(Some(old), Some(new), Shape::Struct(schema), Keys::OfObject).0
}

/// Which keys of an object are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    All,
    OfObject,
    OfMetadata,
}

impl Keys {
    fn has(self, key: &str) -> bool {
        match self {
            Keys::All => true,
            Keys::OfObject => !matches!(key, "apiVersion" | "kind"),
            Keys::OfMetadata => !is_servers(key),
        }
    }

    fn below(self, key: &str) -> Keys {
        match (self, key) {
            (Keys::OfObject, "metadata") => Keys::OfMetadata,
            _ => Keys::All,
        }
    }
}

/// What of metadata nobody can own.
pub(super) fn is_servers(key: &str) -> bool {
    matches!(
        key,
        "name"
            | "namespace"
            | "creationTimestamp"
            | "selfLink"
            | "uid"
            | "generation"
            | "managedFields"
            | "resourceVersion"
            | "deletionTimestamp"
            | "deletionGracePeriodSeconds"
    )
}

/// What happened below a field, and to the field itself.
fn walk(
    old: Option<&Value>,
    new: Option<&Value>,
    shape: Shape<'_>,
    keys: Keys,
) -> (Comparison, Option<Fate>) {
    let is_leaf = match shape {
        Shape::Struct(_) | Shape::Map(_) => count(old, keys) == 0 && count(new, keys) == 0,
        Shape::List(_) => false,
        Shape::Leaf => true,
    };
    let appeared = match (old, new) {
        (None, Some(_)) => Some(Fate::Added),
        (Some(_), None) => Some(Fate::Removed),
        _ => None,
    };
    if is_leaf {
        let changed = matches!((old, new), (Some(old), Some(new)) if differ(old, new, keys));
        let fate = appeared.or(changed.then_some(Fate::Modified));
        return (Comparison::default(), fate);
    }
    let mut below = Comparison::default();
    match shape {
        Shape::List(list) => walk_list(old, new, shape, Shape::of(&list.item), &mut below),
        _ => walk_object(old, new, shape, keys, &mut below),
    }
    (below, appeared)
}

/// Of two empty objects only those keys count that are looked at.
fn differ(old: &Value, new: &Value, keys: Keys) -> bool {
    match (old, new) {
        (Value::Object(_), Value::Object(_)) if keys != Keys::All => false,
        _ => old != new,
    }
}

fn count(value: Option<&Value>, keys: Keys) -> usize {
    let map = value.and_then(Value::as_object);
    match keys {
        Keys::All => map.map_or(0, Map::len),
        keys => map.map_or(0, |m| m.keys().filter(|key| keys.has(key)).count()),
    }
}

fn walk_object(
    old: Option<&Value>,
    new: Option<&Value>,
    shape: Shape<'_>,
    keys: Keys,
    out: &mut Comparison,
) {
    let (before, after) = (
        old.and_then(Value::as_object),
        new.and_then(Value::as_object),
    );
    for (key, value) in after.into_iter().flat_map(Map::iter) {
        if keys.has(key) {
            let was = before.and_then(|m| m.get(key));
            let outcome = walk(was, Some(value), shape.field(key), keys.below(key));
            out.attach(Element::Field(key.clone()), outcome);
        }
    }
    for (key, value) in before.into_iter().flat_map(Map::iter) {
        if keys.has(key) && after.is_none_or(|m| !m.contains_key(key)) {
            let outcome = walk(Some(value), None, shape.field(key), keys.below(key));
            out.attach(Element::Field(key.clone()), outcome);
        }
    }
}

fn walk_list(
    old: Option<&Value>,
    new: Option<&Value>,
    shape: Shape<'_>,
    item_shape: Shape<'_>,
    out: &mut Comparison,
) {
    let (before, after) = (keyed(old, shape), keyed(new, shape));
    for (element, item) in &after {
        let was = find(&before, element);
        let outcome = walk(was, Some(item), item_shape, Keys::All);
        out.attach(element.clone(), outcome);
    }
    for (element, item) in &before {
        if find(&after, element).is_none() {
            let outcome = walk(Some(item), None, item_shape, Keys::All);
            out.attach(element.clone(), outcome);
        }
    }
}

fn keyed<'v>(value: Option<&'v Value>, shape: Shape<'_>) -> Vec<(Element, &'v Value)> {
    let items = value.and_then(Value::as_array).unwrap_or_default();
    let items = items.iter().enumerate();
    items
        .map(|(i, item)| (shape.element(item, i), item))
        .collect()
}

fn find<'v>(items: &[(Element, &'v Value)], element: &Element) -> Option<&'v Value> {
    items
        .iter()
        .find(|(e, _)| e == element)
        .map(|(_, item)| *item)
}
