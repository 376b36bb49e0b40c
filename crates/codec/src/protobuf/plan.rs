//! What a schema node means to the transcoder, worked out once and kept: a
//! table by number for reading, an order of numbers for writing, and the
//! fields by name, so that trees come out sorted.

use meta::schema::{Field, Omit, Ref, Struct, Type};
use meta::value::Str;
use std::collections::{BTreeMap, HashMap};
use std::sync::{OnceLock, PoisonError, RwLock};

/// A struct as the transcoder sees it.
pub(super) struct Plan {
    /// The type's name.
    pub(super) name: &'static str,
    /// The fields that have a protobuf number, sorted by JSON name.
    pub(super) slots: Box<[Slot]>,
    /// Whether it has a protobuf form: schemas that are made at run time have not.
    pub(super) has_form: bool,
    /// The struct's own message, then those embedded in it.
    pub(super) messages: Box<[Message]>,
}

/// A field of the tree.
pub(super) struct Slot {
    /// The JSON name.
    pub(super) key: Str,
    /// How the name begins, to compare names quickly.
    pub(super) begins: u64,
    /// `omitempty` on something that is no pointer: zero is left out.
    pub(super) drops_zero: bool,
}

/// A message: the struct's, or one embedded in it.
pub(super) struct Message {
    by_number: Box<[u16]>,
    /// The fields in the order of their numbers.
    pub(super) fields: Box<[Wire]>,
}

const NONE: u16 = u16::MAX;

/// The largest number that a table by number holds; the schema has none larger.
const NUMBER_MAX: u32 = 4096;

impl Message {
    /// The field of a number.
    pub(super) fn field(&self, number: u32) -> Option<&Wire> {
        let index = *self.by_number.get(number as usize)?;
        self.fields.get(usize::from(index))
    }
}

/// A field of a message.
pub(super) struct Wire {
    /// The protobuf number.
    pub(super) number: u32,
    /// Which slot holds it.
    pub(super) slot: usize,
    /// What it is.
    pub(super) shape: Shape,
}

/// How often a field comes.
pub(super) enum Shape {
    /// Once.
    One {
        /// What it holds.
        leaf: Leaf,
        /// Written also when it is absent, as zero.
        always: bool,
    },
    /// Any number of times.
    List(Leaf),
    /// As entries of key and value.
    Map(Leaf),
    /// A message whose fields are fields of the same tree.
    Embedded(usize),
}

/// What a field holds.
pub(super) enum Leaf {
    String,
    Int32,
    Int64,
    Float,
    Bool,
    Bytes,
    Time,
    MicroTime,
    Duration,
    Quantity,
    IntOrString,
    /// JSON, or an object in its envelope, as the only field of a message.
    Raw,
    /// A list of strings as a message of its own: `Verbs`, `ExtraValue`.
    Strings,
    /// `JSONSchemaPropsOrBool`
    PropsOrBool(Link),
    /// `JSONSchemaPropsOrArray`
    PropsOrArray(Link),
    /// `JSONSchemaPropsOrStringArray`
    PropsOrStrings(Link),
    Struct(Link),
    /// A schema made at run time, which has no protobuf form.
    NoForm,
}

/// The first eight bytes of a name, as a number that sorts as the name does.
pub(super) fn begins(name: &str) -> u64 {
    let mut first = [0; 8];
    let length = name.len().min(8);
    first[..length].copy_from_slice(&name.as_bytes()[..length]);
    u64::from_be_bytes(first)
}

/// The plan of a nested struct, made when it is first met.
pub(super) struct Link {
    schema: &'static Struct,
    plan: OnceLock<&'static Plan>,
}

impl Link {
    fn to(schema: &'static Struct) -> Self {
        Link {
            schema,
            plan: OnceLock::new(),
        }
    }

    pub(super) fn plan(&self) -> &'static Plan {
        self.plan.get_or_init(|| of(self.schema))
    }
}

/// The plan of a struct of the committed table. Plans live as long as the
/// statics they describe; there are as many as types are used.
pub(super) fn of(schema: &'static Struct) -> &'static Plan {
    static PLANS: OnceLock<RwLock<HashMap<usize, &'static Plan>>> = OnceLock::new();
    let plans = PLANS.get_or_init(RwLock::default);
    let id = std::ptr::from_ref(schema).addr();
    if let Some(plan) = plans
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&id)
    {
        return plan;
    }
    let mut plans = plans.write().unwrap_or_else(PoisonError::into_inner);
    plans
        .entry(id)
        .or_insert_with(|| Box::leak(Box::new(make(schema))))
}

fn make(schema: &'static Struct) -> Plan {
    let mut fields: Vec<&'static Field> = match &schema.fields {
        Ref::Static(fields) => fields.iter().collect(),
        Ref::Shared(_) => Vec::new(),
    };
    fields.retain(|f| f.number > 0 && f.number <= NUMBER_MAX);
    fields.sort_by(|a, b| a.json.cmp(&b.json));
    let slots = fields.iter().map(|f| Slot {
        key: Str::from(f.json.as_ref()),
        begins: begins(&f.json),
        drops_zero: f.omit != Omit::Never && !f.pointer,
    });
    let mut messages = vec![BTreeMap::new()];
    let mut embedded = BTreeMap::new();
    for (slot, field) in fields.iter().enumerate() {
        let message = embed(&mut messages, &mut embedded, field.via);
        messages[message].insert(field.number, (slot, shape(schema, field)));
    }
    Plan {
        name: schema.name.as_ref(),
        slots: slots.collect(),
        has_form: matches!(schema.fields, Ref::Static(_)),
        messages: messages.into_iter().map(message).collect(),
    }
}

/// The message that a chain of embedded messages ends in: the low 16 bits are
/// the number of the outermost, the high ones that of the next.
fn embed(
    messages: &mut Vec<BTreeMap<u32, (usize, Shape)>>,
    known: &mut BTreeMap<u32, usize>,
    via: u32,
) -> usize {
    if via == 0 {
        return 0;
    }
    if let Some(message) = known.get(&via) {
        return *message;
    }
    let (parent, number) = match via >> 16 {
        0 => (0, via),
        inner => (embed(messages, known, via & 0xffff), inner),
    };
    let message = messages.len();
    messages.push(BTreeMap::new());
    messages[parent].insert(number, (0, Shape::Embedded(message)));
    known.insert(via, message);
    message
}

fn message(fields: BTreeMap<u32, (usize, Shape)>) -> Message {
    let size = fields.keys().next_back().map_or(0, |n| *n as usize + 1);
    let mut by_number = vec![NONE; size].into_boxed_slice();
    let fields: Box<[Wire]> = fields
        .into_iter()
        .map(|(number, (slot, shape))| Wire {
            number,
            slot,
            shape,
        })
        .collect();
    for (index, field) in fields.iter().enumerate() {
        by_number[field.number as usize] = index as u16;
    }
    Message { by_number, fields }
}

fn shape(within: &'static Struct, field: &'static Field) -> Shape {
    match &field.ty {
        // `Verbs`: a named list of strings is a message; other named lists
        // (`ValidationRules`) are not.
        Type::List(list) if matches!(list.item, Type::String) && !field.go.starts_with("[]") => {
            Shape::One {
                leaf: Leaf::Strings,
                always: false,
            }
        }
        Type::List(Ref::Static(list)) => Shape::List(leaf(within, &list.item, &field.go)),
        Type::Map(Ref::Static(map)) => Shape::Map(leaf(within, &map.value, &field.go)),
        ty => {
            let leaf = leaf(within, ty, &field.go);
            let always = !field.pointer && !matches!(leaf, Leaf::Bytes);
            Shape::One { leaf, always }
        }
    }
}

fn leaf(within: &'static Struct, ty: &'static Type, go: &str) -> Leaf {
    match ty {
        Type::String => Leaf::String,
        Type::Int32 => Leaf::Int32,
        Type::Int64 => Leaf::Int64,
        Type::Float => Leaf::Float,
        Type::Bool => Leaf::Bool,
        Type::Bytes => Leaf::Bytes,
        Type::Time => Leaf::Time,
        Type::MicroTime => Leaf::MicroTime,
        Type::Duration => Leaf::Duration,
        Type::Quantity => Leaf::Quantity,
        Type::IntOrString => Leaf::IntOrString,
        Type::Any => any(within, go),
        Type::List(_) => Leaf::Strings,
        Type::Struct(Ref::Static(schema)) => Leaf::Struct(Link::to(schema)),
        Type::Struct(Ref::Shared(_)) | Type::Map(_) => Leaf::NoForm,
    }
}

/// The types that JSON writes as anything: only their names tell them apart, and
/// those of JSON schemas stand only within a JSON schema.
fn any(within: &'static Struct, go: &str) -> Leaf {
    match go.rsplit_once('.').map_or(go, |(_, name)| name) {
        "JSONSchemaPropsOrBool" => Leaf::PropsOrBool(Link::to(within)),
        "JSONSchemaPropsOrArray" => Leaf::PropsOrArray(Link::to(within)),
        "JSONSchemaPropsOrStringArray" | "JSONSchemaDependencies" => {
            Leaf::PropsOrStrings(Link::to(within))
        }
        _ => Leaf::Raw,
    }
}
