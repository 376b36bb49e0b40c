//! From trees to messages, backwards: a message is written before its length.

use super::plan::{Leaf, Link, Message, Plan, Shape, Wire, begins};
use super::span;
use super::wire::{FIXED64, Output};
use super::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meta::{Map, Number, Value};

/// Writes one message and all within it.
pub(super) struct Writer<'v> {
    out: Output,
    /// The values of all messages that are being written, innermost last.
    values: Vec<Option<&'v Value>>,
}

/// Where a value stands, for complaints.
#[derive(Clone, Copy)]
struct Place {
    message: &'static str,
    field: &'static str,
}

impl Place {
    #[cold]
    fn mismatch(self, found: &Value) -> Box<Error> {
        Box::new(Error::Mismatch {
            message: self.message,
            field: self.field.to_string(),
            found: found.kind_name(),
        })
    }
}

impl<'v> Writer<'v> {
    pub(super) fn new() -> Self {
        Writer {
            out: Output::new(),
            values: Vec::with_capacity(128),
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out.finish()
    }

    pub(super) fn structure(&mut self, plan: &'static Plan, value: &'v Value) -> Result<()> {
        match value {
            Value::Object(map) => self.fields(plan, Some(map)),
            Value::Null => self.fields(plan, None),
            other => Err(Place {
                message: plan.name,
                field: "",
            }
            .mismatch(other)),
        }
    }

    fn fields(&mut self, plan: &'static Plan, map: Option<&'v Map>) -> Result<()> {
        let base = self.values.len();
        self.values.resize(base + plan.slots.len(), None);
        // Both are sorted by name.
        let mut next = 0;
        for (key, value) in map.into_iter().flat_map(Map::iter) {
            let begins = begins(key);
            let rest = plan.slots[next..].iter();
            next += rest
                .take_while(|slot| (slot.begins, &slot.key) < (begins, key))
                .count();
            match plan.slots.get(next) {
                Some(slot) if slot.begins == begins && slot.key == *key => {
                    self.values[base + next] = (!value.is_null()).then_some(value);
                    next += 1;
                }
                _ => {}
            }
        }
        self.message(plan, &plan.messages[0], base)?;
        self.values.truncate(base);
        Ok(())
    }

    fn message(
        &mut self,
        plan: &'static Plan,
        message: &'static Message,
        base: usize,
    ) -> Result<()> {
        for field in message.fields.iter().rev() {
            match &field.shape {
                Shape::Embedded(inner) => {
                    let before = self.out.len();
                    self.message(plan, &plan.messages[*inner], base)?;
                    self.out.close(field.number, before);
                }
                _ => self.field(plan, field, self.values[base + field.slot])?,
            }
        }
        Ok(())
    }

    fn field(
        &mut self,
        plan: &'static Plan,
        field: &'static Wire,
        value: Option<&'v Value>,
    ) -> Result<()> {
        let place = Place {
            message: plan.name,
            field: plan.slots[field.slot].key.as_str(),
        };
        let number = field.number;
        match (&field.shape, value) {
            (Shape::One { leaf, .. }, Some(value)) => self.leaf(number, leaf, value, place),
            (Shape::One { leaf, always: true }, None) => self.zero(number, leaf, place),
            (Shape::List(leaf), Some(Value::Array(items))) => {
                items.iter().rev().try_for_each(|item| match item {
                    Value::Null => self.zero(number, leaf, place),
                    item => self.leaf(number, leaf, item, place),
                })
            }
            (Shape::Map(leaf), Some(Value::Object(map))) => map
                .iter()
                .rev()
                .try_for_each(|(key, value)| self.entry(number, leaf, key, value, place)),
            (Shape::List(_) | Shape::Map(_), Some(other)) => Err(place.mismatch(other)),
            (_, None) | (Shape::Embedded(_), _) => Ok(()),
        }
    }

    fn entry(
        &mut self,
        number: u32,
        leaf: &'static Leaf,
        key: &str,
        value: &'v Value,
        place: Place,
    ) -> Result<()> {
        let before = self.out.len();
        match (value, leaf) {
            (Value::Null, Leaf::Bytes) => {}
            (Value::Null, leaf) => self.zero(2, leaf, place)?,
            (value, leaf) => self.leaf(2, leaf, value, place)?,
        }
        self.out.field(1, key.as_bytes());
        self.out.close(number, before);
        Ok(())
    }

    fn leaf(
        &mut self,
        number: u32,
        leaf: &'static Leaf,
        value: &'v Value,
        place: Place,
    ) -> Result<()> {
        let before = self.out.len();
        match (leaf, value) {
            (Leaf::Int32 | Leaf::Int64, Value::Number(n)) => {
                let value = n.as_i64().ok_or_else(|| place.mismatch(value))?;
                self.out.integer(number, value);
                return Ok(());
            }
            (Leaf::Bool, Value::Bool(b)) => {
                self.out.integer(number, i64::from(*b));
                return Ok(());
            }
            (Leaf::Float, Value::Number(n)) => {
                self.out.bytes(&n.as_f64().to_bits().to_le_bytes());
                self.out.tag(number, FIXED64);
                return Ok(());
            }
            (Leaf::String, Value::String(text)) => self.out.bytes(text.as_bytes()),
            (Leaf::Bytes, Value::String(text)) => {
                let bytes = STANDARD.decode(text.as_bytes());
                self.out.bytes(&bytes.map_err(|_| place.mismatch(value))?);
            }
            (Leaf::Struct(link), value) => self.structure(link.plan(), value)?,
            (Leaf::Time | Leaf::MicroTime, Value::String(text)) => {
                let (seconds, nanos) =
                    span::read_instant(text).ok_or_else(|| place.mismatch(value))?;
                let nanos = match leaf {
                    Leaf::MicroTime => nanos / 1000 * 1000,
                    _ => 0,
                };
                // Go's zero time is an empty message.
                if seconds != span::ZERO_TIME || nanos != 0 {
                    self.out.integer(2, i64::from(nanos));
                    self.out.integer(1, seconds);
                }
            }
            (Leaf::Duration, Value::String(text)) => {
                let nanos = span::parse(text).ok_or_else(|| place.mismatch(value))?;
                self.out.integer(1, nanos);
            }
            (Leaf::Quantity, Value::String(text)) => self.out.field(1, text.as_bytes()),
            (Leaf::IntOrString, Value::Number(n)) => {
                let value = n.as_i64().ok_or_else(|| place.mismatch(value))?;
                self.int_or_string(0, value, "");
            }
            (Leaf::IntOrString, Value::String(text)) => self.int_or_string(1, 0, text),
            (Leaf::Strings, Value::Array(items)) => self.strings(1, items, place)?,
            (Leaf::Raw, value) => {
                let mut json = Vec::with_capacity(256);
                value.write_json(&mut json);
                self.out.field(1, &json);
            }
            (Leaf::PropsOrBool(link), value) => self.props_or_bool(link, value)?,
            (Leaf::PropsOrArray(link), value) => self.props_or_array(link, value)?,
            (Leaf::PropsOrStrings(link), value) => self.props_or_strings(link, value, place)?,
            (Leaf::NoForm, _) => return Err(Error::NoForm(place.field.into()).into()),
            (_, other) => return Err(place.mismatch(other)),
        }
        self.out.close(number, before);
        Ok(())
    }

    /// The zero value of a field that is always written.
    fn zero(&mut self, number: u32, leaf: &'static Leaf, place: Place) -> Result<()> {
        static ZERO: Value = Value::Number(Number::Int(0));
        static FALSE: Value = Value::Bool(false);
        let before = self.out.len();
        match leaf {
            Leaf::Int32 | Leaf::Int64 | Leaf::Float => {
                return self.leaf(number, leaf, &ZERO, place);
            }
            Leaf::Bool => return self.leaf(number, leaf, &FALSE, place),
            Leaf::Struct(link) => self.fields(link.plan(), None)?,
            Leaf::Duration => self.out.integer(1, 0),
            Leaf::Quantity => self.out.field(1, b"0"),
            Leaf::IntOrString => self.int_or_string(0, 0, ""),
            Leaf::PropsOrBool(_) => self.out.integer(1, 0),
            Leaf::NoForm => return Err(Error::NoForm(place.field.into()).into()),
            Leaf::String
            | Leaf::Bytes
            | Leaf::Time
            | Leaf::MicroTime
            | Leaf::Strings
            | Leaf::Raw
            | Leaf::PropsOrArray(_)
            | Leaf::PropsOrStrings(_) => {}
        }
        self.out.close(number, before);
        Ok(())
    }

    fn int_or_string(&mut self, which: i64, number: i64, text: &str) {
        self.out.field(3, text.as_bytes());
        self.out.integer(2, number);
        self.out.integer(1, which);
    }

    fn strings(&mut self, number: u32, items: &[Value], place: Place) -> Result<()> {
        for item in items.iter().rev() {
            let text = item.as_str().ok_or_else(|| place.mismatch(item))?;
            self.out.field(number, text.as_bytes());
        }
        Ok(())
    }

    fn props(&mut self, number: u32, link: &'static Link, value: &'v Value) -> Result<()> {
        let before = self.out.len();
        self.structure(link.plan(), value)?;
        self.out.close(number, before);
        Ok(())
    }

    fn props_or_bool(&mut self, link: &'static Link, value: &'v Value) -> Result<()> {
        let allows = match value {
            Value::Bool(allows) => *allows,
            schema => {
                self.props(2, link, schema)?;
                true
            }
        };
        self.out.integer(1, i64::from(allows));
        Ok(())
    }

    fn props_or_array(&mut self, link: &'static Link, value: &'v Value) -> Result<()> {
        match value {
            Value::Array(schemas) => schemas
                .iter()
                .rev()
                .try_for_each(|schema| self.props(2, link, schema)),
            schema => self.props(1, link, schema),
        }
    }

    fn props_or_strings(
        &mut self,
        link: &'static Link,
        value: &'v Value,
        place: Place,
    ) -> Result<()> {
        match value {
            Value::Array(names) => self.strings(2, names, place),
            schema => self.props(1, link, schema),
        }
    }
}
