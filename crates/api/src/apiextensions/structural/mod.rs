//! The structural schema of a custom resource: what its fields are, as the
//! CustomResourceDefinition says it, in a form that is quick to walk. Follows
//! staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema.

mod defaulting;
mod formats;
mod pattern;
mod pruning;
mod shape;
#[cfg(test)]
mod tests;
mod uniqueness;
mod validation;

pub use pattern::Pattern;

use meta::{Number, Value};
use std::collections::BTreeMap;

/// One node of a schema.
#[derive(Debug, Default)]
pub struct Structural {
    /// `object`, `array`, `string`, `integer`, `number`, `boolean`; empty where
    /// anything goes.
    pub ty: String,
    /// Null is a value.
    pub nullable: bool,
    /// What stands in an absent field.
    pub default: Option<Value>,
    /// The fields of an object.
    pub properties: BTreeMap<String, Structural>,
    /// The values of a map.
    pub additional: Additional,
    /// The items of a list.
    pub items: Option<Box<Structural>>,
    /// Fields that are not named stay.
    pub preserve_unknown: bool,
    /// A whole object with apiVersion, kind and metadata.
    pub embedded: bool,
    /// An integer or text.
    pub int_or_string: bool,
    /// How apply sees a list.
    pub list: ListType,
    /// Apply sees an object as one value.
    pub atomic: bool,
    /// What a value must be besides its type.
    pub rules: Rules,
}

/// What else a map may hold.
#[derive(Debug, Default)]
pub enum Additional {
    /// Nothing is said.
    #[default]
    Unsaid,
    /// Anything, or nothing.
    Any(bool),
    /// Values of this form.
    Of(Box<Structural>),
}

/// How apply sees a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// Nothing is said, which means atomic.
    #[default]
    Unsaid,
    /// One value.
    Atomic,
    /// Scalars, each once.
    Set,
    /// Items told apart by these fields.
    Map(Vec<String>),
}

/// What a value must be besides its type.
#[derive(Debug, Default)]
pub struct Rules {
    /// One of these.
    pub values: Vec<Value>,
    /// The format of a text or number.
    pub format: String,
    /// The largest number, and whether it is one too many.
    pub maximum: Option<(Number, bool)>,
    /// The smallest number, and whether it is one too few.
    pub minimum: Option<(Number, bool)>,
    /// A number divides by this.
    pub multiple_of: Option<Number>,
    /// The most characters.
    pub max_length: Option<i64>,
    /// The fewest characters.
    pub min_length: Option<i64>,
    /// What a text looks like.
    pub pattern: Option<Pattern>,
    /// The most items.
    pub max_items: Option<i64>,
    /// The fewest items.
    pub min_items: Option<i64>,
    /// The most fields.
    pub max_properties: Option<i64>,
    /// The fewest fields.
    pub min_properties: Option<i64>,
    /// Fields that must be there.
    pub required: Vec<String>,
    /// All of these hold.
    pub all_of: Vec<Structural>,
    /// At least one of these holds.
    pub any_of: Vec<Structural>,
    /// Exactly one of these holds.
    pub one_of: Vec<Structural>,
    /// This does not hold.
    pub not: Option<Box<Structural>>,
}

impl Structural {
    /// From `openAPIV3Schema`, which validation has looked at already.
    pub fn new(props: &Value) -> Self {
        let is = |key: &str| props.is_true_at(&[key]);
        let properties = props.get("properties").and_then(Value::as_object);
        let properties = properties.into_iter().flat_map(|map| map.iter());
        Structural {
            ty: props.str_at(&["type"]).into(),
            nullable: is("nullable"),
            default: props.get("default").cloned(),
            properties: properties
                .map(|(name, of)| (name.to_string(), Structural::new(of)))
                .collect(),
            additional: match props.get("additionalProperties") {
                Some(Value::Bool(any)) => Additional::Any(*any),
                Some(of @ Value::Object(_)) => Additional::Of(Structural::new(of).into()),
                _ => Additional::Unsaid,
            },
            items: match props.get("items") {
                Some(of @ Value::Object(_)) => Some(Structural::new(of).into()),
                _ => None,
            },
            preserve_unknown: is("x-kubernetes-preserve-unknown-fields"),
            embedded: is("x-kubernetes-embedded-resource"),
            int_or_string: is("x-kubernetes-int-or-string"),
            list: list_type(props),
            atomic: props.str_at(&["x-kubernetes-map-type"]) == "atomic",
            rules: Rules::new(props),
        }
    }

    /// Whether anything below has a default.
    pub fn has_defaults(&self) -> bool {
        let below = self.properties.values().chain(self.items.as_deref());
        let additional = match &self.additional {
            Additional::Of(of) => of.has_defaults(),
            _ => false,
        };
        self.default.is_some() || additional || below.into_iter().any(Structural::has_defaults)
    }

    /// The node at the end of a chain of fields.
    pub fn at(&self, path: &[&str]) -> Option<&Structural> {
        path.iter()
            .try_fold(self, |node, name| node.properties.get(*name))
    }

    /// What stands for values that no field names.
    fn rest(&self) -> Option<&Structural> {
        match &self.additional {
            Additional::Of(of) => Some(of),
            _ => None,
        }
    }
}

fn list_type(props: &Value) -> ListType {
    match props.str_at(&["x-kubernetes-list-type"]) {
        "atomic" => ListType::Atomic,
        "set" => ListType::Set,
        "map" => ListType::Map(texts(props, "x-kubernetes-list-map-keys")),
        _ => ListType::Unsaid,
    }
}

fn texts(props: &Value, key: &str) -> Vec<String> {
    let items = props.items_at(&[key]).iter();
    items
        .filter_map(|v| v.as_str().map(str::to_string))
        .collect()
}

impl Rules {
    fn new(props: &Value) -> Self {
        let number = |key: &str| match props.get(key) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        };
        let int = |key: &str| props.i64_at(&[key]);
        let schemas = |key: &str| {
            let items = props.items_at(&[key]).iter();
            items.map(Structural::new).collect()
        };
        let bound = |key: &str, exclusive: &str| {
            number(key).map(|bound| (bound, props.is_true_at(&[exclusive])))
        };
        Rules {
            values: props.items_at(&["enum"]).to_vec(),
            format: props.str_at(&["format"]).into(),
            maximum: bound("maximum", "exclusiveMaximum"),
            minimum: bound("minimum", "exclusiveMinimum"),
            multiple_of: number("multipleOf"),
            max_length: int("maxLength"),
            min_length: int("minLength"),
            pattern: match props.str_at(&["pattern"]) {
                "" => None,
                text => Pattern::new(text).ok(),
            },
            max_items: int("maxItems"),
            min_items: int("minItems"),
            max_properties: int("maxProperties"),
            min_properties: int("minProperties"),
            required: texts(props, "required"),
            all_of: schemas("allOf"),
            any_of: schemas("anyOf"),
            one_of: schemas("oneOf"),
            not: props
                .get("not")
                .filter(|v| !v.is_null())
                .map(|of| Structural::new(of).into()),
        }
    }
}
