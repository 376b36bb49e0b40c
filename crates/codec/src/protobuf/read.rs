//! From messages to trees. A singular message that comes twice is not merged
//! but replaced: no client writes one twice.

use super::plan::{Leaf, Link, Message, Plan, Shape, Wire, of};
use super::wire::{BYTES, FIXED64, Input, VARINT};
use super::{DEPTH_MAX, Error, Find, Result, envelope, span};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meta::value::Str;
use meta::{Map, Number, Quantity, Value};

/// Reads one message and all within it.
pub(super) struct Reader<'f> {
    find: Find<'f>,
    /// Which slots the fields of the messages under way have, innermost last.
    slots: Vec<usize>,
    depth: usize,
}

/// A struct that is being read.
struct Frame {
    plan: &'static Plan,
    /// Where its fields begin in the reader's slots.
    base: usize,
    /// Its fields so far, sorted.
    entries: Vec<(Str, Value)>,
    /// The entries of its maps, which are sorted once, at the end.
    maps: Vec<(usize, Vec<(Str, Value)>)>,
}

impl<'f> Reader<'f> {
    pub(super) fn new(find: Find<'f>) -> Self {
        Reader {
            find,
            slots: Vec::with_capacity(64),
            depth: 0,
        }
    }

    pub(super) fn structure(&mut self, plan: &'static Plan, raw: &[u8]) -> Result<Value> {
        if raw.is_empty() {
            return Ok(Value::object());
        }
        if self.depth == DEPTH_MAX {
            return Err(Error::TooDeep.into());
        }
        self.depth += 1;
        // A field takes two bytes at least.
        let fields = plan.slots.len().min(raw.len() / 2).min(8);
        let mut frame = Frame {
            plan,
            base: self.slots.len(),
            entries: Vec::with_capacity(fields),
            maps: Vec::new(),
        };
        self.message(&mut frame, &plan.messages[0], raw)?;
        for (slot, entries) in std::mem::take(&mut frame.maps) {
            let map = Value::Object(Map::from_entries(entries, |_| {}));
            self.set(&mut frame, slot, map);
        }
        self.slots.truncate(frame.base);
        self.depth -= 1;
        Ok(Value::Object(Map::from_sorted(frame.entries)))
    }

    fn message(&mut self, frame: &mut Frame, message: &'static Message, raw: &[u8]) -> Result<()> {
        let mut input = Input(raw);
        while !input.is_empty() {
            let (number, wire) = input.tag(frame.plan.name)?;
            let Some(field) = message.field(number) else {
                input.skip(wire)?;
                continue;
            };
            self.field(frame, field, wire, &mut input)?;
        }
        Ok(())
    }

    fn field(
        &mut self,
        frame: &mut Frame,
        field: &'static Wire,
        wire: u8,
        input: &mut Input<'_>,
    ) -> Result<()> {
        let key = &frame.plan.slots[field.slot].key;
        match &field.shape {
            Shape::One {
                leaf: Leaf::String, ..
            } => {
                let text = text(bytes(input, wire, key)?, key)?;
                self.set(frame, field.slot, Value::String(text));
            }
            Shape::One { leaf, .. } => {
                let value = self.leaf(leaf, wire, input, key)?;
                self.set(frame, field.slot, value);
            }
            Shape::List(leaf) => match packed(leaf, wire) {
                Some(wire) => {
                    let mut run = Input(input.bytes()?);
                    while !run.is_empty() {
                        let item = self.leaf(leaf, wire, &mut run, key)?;
                        self.push(frame, field.slot, item);
                    }
                }
                None => {
                    let item = self.leaf(leaf, wire, input, key)?;
                    self.push(frame, field.slot, item);
                }
            },
            Shape::Map(leaf) => {
                let entry = self.entry(leaf, bytes(input, wire, key)?, key)?;
                match frame.maps.iter_mut().find(|(s, _)| *s == field.slot) {
                    Some((_, entries)) => entries.push(entry),
                    None => frame.maps.push((field.slot, vec![entry])),
                }
            }
            Shape::Embedded(inner) => {
                let raw = bytes(input, wire, key)?;
                self.message(frame, &frame.plan.messages[*inner], raw)?;
            }
        }
        Ok(())
    }

    /// Where a slot's entry stands, or should.
    fn position(&self, frame: &Frame, slot: usize) -> std::result::Result<usize, usize> {
        let known = &self.slots[frame.base..];
        // Mostly it belongs near the end.
        match known.iter().rposition(|s| *s <= slot) {
            Some(at) if known[at] == slot => Ok(at),
            Some(at) => Err(at + 1),
            None => Err(0),
        }
    }

    /// A field that comes once. Of two the later counts.
    fn set(&mut self, frame: &mut Frame, slot: usize, value: Value) {
        let is = &frame.plan.slots[slot];
        let keeps = match &value {
            Value::Null => false,
            Value::Object(_) => true,
            other => !(is.drops_zero && other.is_empty()),
        };
        match (self.position(frame, slot), keeps) {
            (Err(at), true) => self.insert(frame, at, slot, value),
            (Err(_), false) => {}
            (Ok(at), true) => frame.entries[at].1 = value,
            (Ok(at), false) => {
                frame.entries.remove(at);
                self.slots.remove(frame.base + at);
            }
        }
    }

    /// An item of a field that comes many times.
    fn push(&mut self, frame: &mut Frame, slot: usize, item: Value) {
        match self.position(frame, slot) {
            Ok(at) => frame.entries[at].1.make_array().push(item),
            Err(at) => self.insert(frame, at, slot, Value::Array(vec![item])),
        }
    }

    fn insert(&mut self, frame: &mut Frame, at: usize, slot: usize, value: Value) {
        let key = frame.plan.slots[slot].key.clone();
        frame.entries.insert(at, (key, value));
        self.slots.insert(frame.base + at, slot);
    }

    fn entry(&mut self, leaf: &'static Leaf, raw: &[u8], of: &Str) -> Result<(Str, Value)> {
        let mut input = Input(raw);
        let (mut key, mut value) = (Str::default(), None);
        while !input.is_empty() {
            match input.tag("entry")? {
                (1, wire) => key = text(bytes(&mut input, wire, of)?, of)?,
                (2, wire) => value = Some(self.leaf(leaf, wire, &mut input, of)?),
                (_, wire) => input.skip(wire)?,
            }
        }
        match value {
            Some(value) => Ok((key, value)),
            None => Ok((key, self.zero(leaf, of)?)),
        }
    }

    /// What stands for a value that the wire leaves out.
    fn zero(&mut self, leaf: &'static Leaf, key: &Str) -> Result<Value> {
        match leaf {
            Leaf::Int32 | Leaf::Int64 | Leaf::Bool => {
                self.leaf(leaf, VARINT, &mut Input(&[0]), key)
            }
            Leaf::Float => self.leaf(leaf, FIXED64, &mut Input(&[0; 8]), key),
            Leaf::Bytes => Ok(Value::Null),
            _ => self.leaf(leaf, BYTES, &mut Input(&[0]), key),
        }
    }

    fn leaf(
        &mut self,
        leaf: &'static Leaf,
        wire: u8,
        input: &mut Input<'_>,
        key: &Str,
    ) -> Result<Value> {
        match leaf {
            Leaf::String => Ok(Value::String(text(bytes(input, wire, key)?, key)?)),
            Leaf::Struct(link) => {
                let raw = bytes(input, wire, key)?;
                self.structure(link.plan(), raw)
            }
            Leaf::Int32 => Ok(integer(i64::from(varint(input, wire, key)? as i32))),
            Leaf::Int64 => Ok(integer(varint(input, wire, key)? as i64)),
            Leaf::Bool => Ok(Value::Bool(varint(input, wire, key)? != 0)),
            Leaf::Float => float(input, wire, key),
            Leaf::Bytes => Ok(STANDARD.encode(bytes(input, wire, key)?).into()),
            Leaf::Time => time(bytes(input, wire, key)?, false, key),
            Leaf::MicroTime => time(bytes(input, wire, key)?, true, key),
            Leaf::Duration => {
                let nanos = numbers(bytes(input, wire, key)?, key)?.0;
                Ok(Value::String(span::print(nanos)))
            }
            Leaf::Quantity => quantity(bytes(input, wire, key)?, key),
            Leaf::IntOrString => int_or_string(bytes(input, wire, key)?, key),
            Leaf::Strings => strings(bytes(input, wire, key)?, 1, key).map(Value::Array),
            Leaf::Raw => {
                let raw = bytes(input, wire, key)?;
                self.raw(raw, key)
            }
            Leaf::PropsOrBool(link) => {
                let raw = bytes(input, wire, key)?;
                self.props_or_bool(link, raw, key)
            }
            Leaf::PropsOrArray(link) => {
                let raw = bytes(input, wire, key)?;
                self.props_or_array(link, raw, key)
            }
            Leaf::PropsOrStrings(link) => {
                let raw = bytes(input, wire, key)?;
                self.props_or_strings(link, raw, key)
            }
            Leaf::NoForm => Err(Error::NoForm(key.to_string()).into()),
        }
    }

    /// JSON, or an object in an envelope of its own.
    fn raw(&mut self, message: &[u8], key: &Str) -> Result<Value> {
        let mut raw: &[u8] = &[];
        let mut input = Input(message);
        while !input.is_empty() {
            match input.tag("RawExtension")? {
                (1, wire) => raw = bytes(&mut input, wire, key)?,
                (_, wire) => input.skip(wire)?,
            }
        }
        if raw.is_empty() {
            return Ok(Value::Null);
        }
        if raw.starts_with(envelope::MAGIC) {
            return self.enveloped(raw);
        }
        crate::json::parse_value(raw).map_err(|source| {
            Box::new(Error::Json {
                field: key.to_string(),
                source,
            })
        })
    }

    fn enveloped(&mut self, bytes: &[u8]) -> Result<Value> {
        let envelope = envelope::decode(bytes)?;
        let Some(schema) = (self.find)(&envelope.api_version, &envelope.kind) else {
            return Err(Box::new(Error::UnknownKind {
                api_version: envelope.api_version.to_string(),
                kind: envelope.kind.to_string(),
            }));
        };
        let mut object = self.structure(of(schema), envelope.raw)?;
        let map = object.make_object();
        map.insert("apiVersion", envelope.api_version.as_str());
        map.insert("kind", envelope.kind.as_str());
        Ok(object)
    }

    /// `{1: bool, 2: schema}`
    fn props_or_bool(&mut self, link: &'static Link, raw: &[u8], key: &Str) -> Result<Value> {
        let (mut allows, mut schema) = (false, None);
        let mut input = Input(raw);
        while !input.is_empty() {
            match input.tag("JSONSchemaPropsOrBool")? {
                (1, wire) => allows = varint(&mut input, wire, key)? != 0,
                (2, wire) => {
                    schema = Some(self.structure(link.plan(), bytes(&mut input, wire, key)?)?);
                }
                (_, wire) => input.skip(wire)?,
            }
        }
        Ok(schema.unwrap_or(Value::Bool(allows)))
    }

    /// `{1: schema, 2: schemas}`
    fn props_or_array(&mut self, link: &'static Link, raw: &[u8], key: &Str) -> Result<Value> {
        let mut schema = None;
        let mut schemas = Vec::new();
        let mut input = Input(raw);
        while !input.is_empty() {
            match input.tag("JSONSchemaPropsOrArray")? {
                (number @ (1 | 2), wire) => {
                    let props = self.structure(link.plan(), bytes(&mut input, wire, key)?)?;
                    match number {
                        1 => schema = Some(props),
                        _ => schemas.push(props),
                    }
                }
                (_, wire) => input.skip(wire)?,
            }
        }
        Ok(match schemas.is_empty() {
            false => Value::Array(schemas),
            true => schema.unwrap_or_default(),
        })
    }

    /// `{1: schema, 2: strings}`
    fn props_or_strings(&mut self, link: &'static Link, raw: &[u8], key: &Str) -> Result<Value> {
        let names = strings(raw, 2, key)?;
        if !names.is_empty() {
            return Ok(Value::Array(names));
        }
        let mut input = Input(raw);
        let mut schema = None;
        while !input.is_empty() {
            match input.tag("JSONSchemaPropsOrStringArray")? {
                (1, wire) => {
                    schema = Some(self.structure(link.plan(), bytes(&mut input, wire, key)?)?);
                }
                (_, wire) => input.skip(wire)?,
            }
        }
        Ok(schema.unwrap_or_default())
    }
}

/// The wire type of the items, when a list comes as one run of numbers.
fn packed(leaf: &Leaf, wire: u8) -> Option<u8> {
    match leaf {
        _ if wire != BYTES => None,
        Leaf::Int32 | Leaf::Int64 | Leaf::Bool => Some(VARINT),
        Leaf::Float => Some(FIXED64),
        _ => None,
    }
}

#[cold]
fn wrong(wire: u8, key: &Str) -> Box<Error> {
    Box::new(Error::WrongWire {
        wire,
        field: key.to_string(),
    })
}

fn bytes<'a>(input: &mut Input<'a>, wire: u8, key: &Str) -> Result<&'a [u8]> {
    match wire {
        BYTES => input.bytes(),
        other => Err(wrong(other, key)),
    }
}

fn varint(input: &mut Input<'_>, wire: u8, key: &Str) -> Result<u64> {
    match wire {
        VARINT => input.varint(),
        other => Err(wrong(other, key)),
    }
}

fn text(bytes: &[u8], key: &Str) -> Result<Str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(_) => Err(Box::new(Error::InvalidUtf8 {
            field: key.to_string(),
        })),
    }
}

fn integer(value: i64) -> Value {
    Value::Number(Number::Int(value))
}

#[cold]
fn invalid(key: &Str, why: impl Into<String>) -> Box<Error> {
    Box::new(Error::Invalid {
        field: key.to_string(),
        why: why.into(),
    })
}

fn float(input: &mut Input<'_>, wire: u8, key: &Str) -> Result<Value> {
    let value = match wire {
        FIXED64 => f64::from_bits(input.fixed64()?),
        other => return Err(wrong(other, key)),
    };
    match value.is_finite() {
        true => Ok(Value::Number(Number::Float(value))),
        false => Err(invalid(key, "the number is not finite")),
    }
}

/// The fields 1 and 2 of a message of two integers, zero where they are absent.
fn numbers(raw: &[u8], key: &Str) -> Result<(i64, i64)> {
    let mut input = Input(raw);
    let (mut first, mut second) = (0, 0);
    while !input.is_empty() {
        match input.tag("Timestamp")? {
            (1, wire) => first = varint(&mut input, wire, key)? as i64,
            (2, wire) => second = varint(&mut input, wire, key)? as i64,
            (_, wire) => input.skip(wire)?,
        }
    }
    Ok((first, second))
}

/// `{1: seconds, 2: nanos}`; nothing at all is Go's zero time, which JSON calls
/// null.
fn time(raw: &[u8], with_micros: bool, key: &Str) -> Result<Value> {
    if raw.is_empty() {
        return Ok(Value::Null);
    }
    let (seconds, nanos) = numbers(raw, key)?;
    let micros = with_micros.then(|| nanos.clamp(0, 999_999_999) as u32 / 1000);
    if seconds == span::ZERO_TIME && micros.unwrap_or(0) == 0 {
        return Ok(Value::Null);
    }
    span::instant(seconds, micros)
        .map(Value::String)
        .ok_or_else(|| invalid(key, "year outside of range [0,9999]"))
}

/// `{1: text}`
fn quantity(raw: &[u8], key: &Str) -> Result<Value> {
    let mut input = Input(raw);
    let mut found = Str::default();
    while !input.is_empty() {
        match input.tag("Quantity")? {
            (1, wire) => found = text(bytes(&mut input, wire, key)?, key)?,
            (_, wire) => input.skip(wire)?,
        }
    }
    if found.is_empty() {
        return Ok("0".into());
    }
    match found.parse::<Quantity>() {
        Ok(quantity) => Ok(quantity.to_string().into()),
        Err(why) => Err(invalid(key, why.to_string())),
    }
}

/// `{1: which, 2: integer, 3: text}`
fn int_or_string(raw: &[u8], key: &Str) -> Result<Value> {
    let mut input = Input(raw);
    let (mut is_text, mut number, mut found) = (false, 0, Str::default());
    while !input.is_empty() {
        match input.tag("IntOrString")? {
            (1, wire) => is_text = varint(&mut input, wire, key)? != 0,
            (2, wire) => number = varint(&mut input, wire, key)? as i32,
            (3, wire) => found = text(bytes(&mut input, wire, key)?, key)?,
            (_, wire) => input.skip(wire)?,
        }
    }
    Ok(match is_text {
        true => Value::String(found),
        false => integer(i64::from(number)),
    })
}

/// The strings of one field of a message.
fn strings(raw: &[u8], number: u32, key: &Str) -> Result<Vec<Value>> {
    let mut input = Input(raw);
    let mut items = Vec::new();
    while !input.is_empty() {
        match input.tag("items")? {
            (found, wire) if found == number => {
                items.push(Value::String(text(bytes(&mut input, wire, key)?, key)?));
            }
            (_, wire) => input.skip(wire)?,
        }
    }
    Ok(items)
}
