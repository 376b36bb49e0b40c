//! Which fields an object has, and taking fields out of one.

use super::set::{Element, Set};
use meta::schema::{ListKind, Struct, Type};
use meta::{Value, schema};

/// What is known of a value while walking.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'s> {
    /// An object with named fields.
    Struct(&'s Struct),
    /// An object with free keys.
    Map(&'s schema::Map),
    /// A list.
    List(&'s schema::List),
    /// Something that is one value to apply.
    Leaf,
}

impl<'s> Shape<'s> {
    /// Of a type.
    pub fn of(ty: &'s Type) -> Self {
        match ty {
            Type::Struct(s) if s.atomic => Shape::Leaf,
            Type::Struct(s) => Shape::Struct(s),
            Type::Map(m) if m.atomic => Shape::Leaf,
            Type::Map(m) => Shape::Map(m),
            Type::List(l) if matches!(l.kind, ListKind::Atomic) => Shape::Leaf,
            Type::List(l) => Shape::List(l),
            _ => Shape::Leaf,
        }
    }

    /// Of a field or entry.
    pub fn field(self, name: &str) -> Shape<'s> {
        match self {
            Shape::Struct(s) => s
                .field(name)
                .map_or(Shape::Leaf, |f| match f.atomic_struct() {
                    true => Shape::Leaf,
                    false => Shape::of(&f.ty),
                }),
            Shape::Map(m) => Shape::of(&m.value),
            _ => Shape::Leaf,
        }
    }

    /// After a step.
    pub fn step(self, element: &Element) -> Shape<'s> {
        match (self, element) {
            (Shape::List(l), _) => Shape::of(&l.item),
            (_, Element::Field(name)) => self.field(name),
            _ => Shape::Leaf,
        }
    }

    /// Whether a schema names this field.
    pub fn names(self, field: &str) -> bool {
        matches!(self, Shape::Struct(s) if s.field(field).is_some())
    }

    /// The element of a list's item. `protocol` is the one key field with a
    /// default upstream; it stands in where it is absent.
    pub fn element(self, item: &Value, index: usize) -> Element {
        let Shape::List(list) = self else {
            return Element::Index(index);
        };
        let default = |name: &str| (name == "protocol").then(|| Value::from("TCP"));
        Element::of_item(&list.kind, item, default).unwrap_or(Element::Index(index))
    }
}

trait AtomicStruct {
    fn atomic_struct(&self) -> bool;
}

impl AtomicStruct for schema::Field {
    /// A struct field may be marked atomic where it stands, as selectors are.
    fn atomic_struct(&self) -> bool {
        matches!(&self.ty, Type::Struct(s) if s.atomic)
    }
}

/// The fields that an object has, as an applier owns them.
pub fn fields_of(object: &Value, shape: Shape<'_>) -> Set {
    let mut set = Set::new();
    collect(object, shape, &mut Vec::new(), &mut set);
    set
}

fn collect(value: &Value, shape: Shape<'_>, path: &mut Vec<Element>, set: &mut Set) {
    match (shape, value) {
        (Shape::Struct(_) | Shape::Map(_), Value::Object(map)) => {
            for (key, inner) in map.iter() {
                path.push(Element::Field(key.clone()));
                collect(inner, shape.field(key), path, set);
                let is_empty =
                    inner.is_null() || inner.as_object().is_some_and(meta::Map::is_empty);
                if is_empty || matches!(shape, Shape::Map(_)) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        (Shape::List(list), Value::Array(items)) => {
            for (i, item) in items.iter().enumerate() {
                path.push(shape.element(item, i));
                collect(item, Shape::of(&list.item), path, set);
                set.insert(path);
                path.pop();
            }
        }
        (Shape::Struct(_) | Shape::Map(_) | Shape::List(_), Value::Null) => {}
        _ => set.insert(path),
    }
}

/// Takes the members of a set out of an object: fields, entries and items.
pub fn remove(object: &mut Value, gone: &Set, shape: Shape<'_>) {
    if gone.is_empty() {
        return;
    }
    match (shape, object) {
        (Shape::Struct(_) | Shape::Map(_), Value::Object(map)) => map.retain(|key, inner| {
            let element = Element::Field(key.into());
            if gone.has(&element) {
                return false;
            }
            if let Some(below) = gone.below(&element) {
                remove(inner, below, shape.field(key));
            }
            true
        }),
        (Shape::List(list), Value::Array(items)) => {
            let mut i = 0;
            items.retain_mut(|item| {
                let element = shape.element(item, i);
                i += 1;
                if gone.has(&element) {
                    return false;
                }
                if let Some(below) = gone.below(&element) {
                    remove(item, below, Shape::of(&list.item));
                }
                true
            });
        }
        _ => {}
    }
}
