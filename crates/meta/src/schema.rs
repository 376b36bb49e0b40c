//! Schema as data: what decoding, pruning, patches, apply, OpenAPI and
//! explain are driven by, the same for built-in kinds and custom resources.
//!
//! Built-in schemas are statics of crate `api`; schemas of custom resources
//! are built at run time. [`Ref`] lets one node type serve both.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

/// A schema node: a static, or counted.
#[derive(Debug)]
pub enum Ref<T: ?Sized + 'static> {
    /// Part of the committed table.
    Static(&'static T),
    /// Built at run time.
    Shared(Arc<T>),
}

impl<T: ?Sized> Ref<T> {
    /// The committed one; none for what was built at run time.
    pub fn as_static(&self) -> Option<&'static T> {
        match self {
            Ref::Static(t) => Some(t),
            Ref::Shared(_) => None,
        }
    }
}

impl<T: ?Sized> Clone for Ref<T> {
    fn clone(&self) -> Self {
        match self {
            Ref::Static(t) => Ref::Static(t),
            Ref::Shared(t) => Ref::Shared(t.clone()),
        }
    }
}

impl<T: ?Sized> Deref for Ref<T> {
    type Target = T;
    fn deref(&self) -> &T {
        match self {
            Ref::Static(t) => t,
            Ref::Shared(t) => t,
        }
    }
}

/// An object type with named fields.
#[derive(Debug)]
pub struct Struct {
    /// The Go type's name: `PodSpec`. Errors of the decoder name it.
    pub name: Cow<'static, str>,
    /// The package it lives in: `k8s.io/api/core/v1`.
    pub package: Cow<'static, str>,
    /// In the order of declaration; `kind` and `apiVersion` come first where
    /// the type has them.
    pub fields: Ref<[Field]>,
    /// Fields that `fields` does not name are kept rather than pruned.
    pub preserve_unknown: bool,
    /// `x-kubernetes-map-type: atomic`: apply treats the object as one value.
    pub atomic: bool,
}

impl Struct {
    /// The field of a JSON name.
    pub fn field(&self, json: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.json == json)
    }

    /// The position of a JSON name in the order of declaration.
    pub fn position(&self, json: &str) -> Option<usize> {
        self.fields.iter().position(|f| f.json == json)
    }
}

/// One field of a [`Struct`].
#[derive(Debug)]
pub struct Field {
    /// The JSON name.
    pub json: Cow<'static, str>,
    /// The protobuf number; 0 where there is none.
    pub number: u32,
    /// The protobuf number of the embedded message that holds this field; 0
    /// where the field is the struct's own. Where that message embeds another,
    /// the number of the inner one stands in the high 16 bits.
    pub via: u32,
    /// What it holds.
    pub ty: Type,
    /// Go's spelling of the type, for the decoder's errors: `int32`, `[]Container`.
    pub go: Cow<'static, str>,
    /// The Go field is a pointer: null and zero differ.
    pub pointer: bool,
    /// What the serialiser leaves out.
    pub omit: Omit,
    /// OpenAPI lists it among the required.
    pub required: bool,
    /// What a strategic merge patch does with it.
    pub patch: Patch,
    /// The declared default, as JSON.
    pub default: Option<&'static str>,
    /// The texts it (or each of its items) may be, where upstream closes the set.
    pub values: &'static [&'static str],
}

impl Field {
    /// With a declared default and a closed set of values.
    pub const fn with(
        mut self,
        default: Option<&'static str>,
        values: &'static [&'static str],
    ) -> Self {
        self.default = default;
        self.values = values;
        self
    }
}

/// When Go's serialiser leaves a field out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Omit {
    /// Never: an absent value is written as null, zero or empty.
    Never,
    /// `omitempty`: nil pointers, false, 0, "", empty lists and maps. Structs stay.
    Empty,
    /// `omitzero`: as `omitempty`, and structs whose fields are all zero.
    Zero,
    /// Nothing is left out and nothing added: the fields of custom resources,
    /// which no Go type holds.
    Keep,
}

/// How a strategic merge patch treats a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Lists are merged rather than replaced.
    pub merge: bool,
    /// Keys that the patch does not name are dropped (`retainKeys`).
    pub retain_keys: bool,
    /// The field by which items of a merged list are told apart; empty for
    /// lists of scalars.
    pub key: &'static str,
}

impl Patch {
    /// Replace.
    pub const NONE: Patch = Patch {
        merge: false,
        retain_keys: false,
        key: "",
    };
}

/// What a field holds.
#[derive(Clone, Debug)]
pub enum Type {
    /// Text.
    String,
    /// A signed integer of 32 bits.
    Int32,
    /// A signed integer of 64 bits.
    Int64,
    /// A `float64`.
    Float,
    /// True or false.
    Bool,
    /// Base64 text.
    Bytes,
    /// `metav1.Time`: RFC 3339 to the second, or null.
    Time,
    /// `metav1.MicroTime`: RFC 3339 to the microsecond, or null.
    MicroTime,
    /// `metav1.Duration`: Go's `1m30s`.
    Duration,
    /// `resource.Quantity`: text, or a number taken as its text.
    Quantity,
    /// An integer of 32 bits or text.
    IntOrString,
    /// Any JSON at all (`runtime.RawExtension`, `JSON`, `FieldsV1`).
    Any,
    /// An object with free keys.
    Map(Ref<Map>),
    /// A list.
    List(Ref<List>),
    /// An object with named fields.
    Struct(Ref<Struct>),
}

impl Type {
    /// The struct, when it is one.
    pub fn as_struct(&self) -> Option<&Struct> {
        match self {
            Type::Struct(s) => Some(s),
            _ => None,
        }
    }
}

/// An object with free keys.
#[derive(Debug)]
pub struct Map {
    /// What its values are.
    pub value: Type,
    /// Apply treats it as one value.
    pub atomic: bool,
}

/// A list.
#[derive(Debug)]
pub struct List {
    /// What its items are.
    pub item: Type,
    /// How apply sees it.
    pub kind: ListKind,
    /// Whether upstream says so; a list of which nothing is said is atomic.
    pub declared: bool,
}

/// How apply sees a list.
#[derive(Clone, Debug)]
pub enum ListKind {
    /// One value.
    Atomic,
    /// A set of scalars.
    Set,
    /// Items told apart by these fields; a field's default stands in where it
    /// is absent.
    Map(Ref<[Cow<'static, str>]>),
}
