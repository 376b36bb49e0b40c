//! Values while a template runs.

use meta::{Number, Value, go};

/// A value: Go tells a missing one, its own integers and those of the tree apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Val {
    /// What an absent key gives.
    Missing,
    /// A number that the template wrote or counted.
    Int(i64),
    /// Part of the object, or text made of it.
    Tree(Value),
}

impl Val {
    /// Whether Go calls it true.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Val::Missing => false,
            Val::Int(i) => *i != 0,
            Val::Tree(value) => !value.is_empty(),
        }
    }

    /// Whether there is nothing.
    pub(super) fn is_nil(&self) -> bool {
        matches!(self, Val::Missing | Val::Tree(Value::Null))
    }

    /// What Go calls its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Val::Missing => "<nil>",
            Val::Int(_) => "int",
            Val::Tree(value) => go::type_name(value),
        }
    }

    /// The whole number, when it is one.
    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Val::Int(i) | Val::Tree(Value::Number(Number::Int(i))) => Some(*i),
            _ => None,
        }
    }

    /// The text, when it is text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Val::Tree(value) => value.as_str(),
            _ => None,
        }
    }

    /// As `%v` prints it.
    pub(super) fn print(&self) -> String {
        match self {
            Val::Missing => "<nil>".to_string(),
            Val::Int(i) => i.to_string(),
            Val::Tree(value) => go::print(value),
        }
    }
}

impl<T: Into<Value>> From<T> for Val {
    fn from(value: T) -> Self {
        Val::Tree(value.into())
    }
}
