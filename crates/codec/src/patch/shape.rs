//! What patches know of the objects that they walk: what the schema says, as far as there is one.

use meta::Value;
use meta::schema::{Field, Patch, Struct, Type};

/// What is known of an object.
#[derive(Clone, Copy)]
pub(super) enum Shape<'s> {
    /// All its fields.
    Struct(&'s Struct),
    /// Any key may stand there, with values of one type.
    Map(&'s Type),
    /// Nothing.
    Unknown,
}

impl<'s> Shape<'s> {
    /// Of values of a type.
    pub(super) fn of(ty: Option<&'s Type>) -> Self {
        match ty {
            Some(Type::Struct(schema)) => Shape::Struct(schema),
            Some(Type::Map(map)) => Shape::Map(&map.value),
            _ => Shape::Unknown,
        }
    }

    /// Of the items of a list.
    pub(super) fn of_items(list: Option<&'s Type>) -> Self {
        Shape::of(match list {
            Some(Type::List(list)) => Some(&list.item),
            _ => None,
        })
    }

    fn field(self, key: &str) -> Option<&'s Field> {
        match self {
            Shape::Struct(schema) => schema.field(key),
            _ => None,
        }
    }

    /// The type of what stands at a key.
    pub(super) fn ty(self, key: &str) -> Option<&'s Type> {
        match self {
            Shape::Map(ty) => Some(ty),
            _ => self.field(key).map(|field| &field.ty),
        }
    }

    /// How what stands at a key is patched.
    pub(super) fn patch(self, key: &str) -> Patch {
        self.field(key).map_or(Patch::NONE, |field| field.patch)
    }
}

/// Whether two items of a list are the same one: by their key, or, in a list without keys, wholly.
pub(super) fn same_key(a: &Value, b: &Value, key: &str) -> bool {
    match key {
        "" => a == b,
        key => a.get(key).is_some() && a.get(key) == b.get(key),
    }
}
