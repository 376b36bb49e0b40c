//! Walking a tree while remembering where one is, and the errors that name
//! the place. The kinds of error and their wording follow
//! apimachinery's pkg/util/validation/field/errors.go.

use crate::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

/// A place in an object: `spec.containers[0].name`. Cheap to extend.
#[derive(Clone, Debug, Default)]
pub struct Path(Option<Rc<Node>>);

#[derive(Debug)]
struct Node {
    parent: Path,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Child(crate::Str),
    Key(crate::Str),
    Index(usize),
}

impl Path {
    /// The object itself.
    pub fn root() -> Self {
        Path(None)
    }

    /// A place named by dotted words.
    pub fn new(words: &str) -> Self {
        words
            .split('.')
            .filter(|w| !w.is_empty())
            .fold(Path::root(), |path, word| path.child(word))
    }

    fn step(&self, step: Step) -> Self {
        Path(Some(Rc::new(Node {
            parent: self.clone(),
            step,
        })))
    }

    /// A named field of this: `.name`.
    pub fn child(&self, name: &str) -> Self {
        self.step(Step::Child(name.into()))
    }

    /// An entry of this map: `[key]`.
    pub fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// An item of this list: `[0]`.
    pub fn index(&self, i: usize) -> Self {
        self.step(Step::Index(i))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(node) = &self.0 else { return Ok(()) };
        node.parent.fmt(f)?;
        match &node.step {
            Step::Child(name) if node.parent.0.is_none() => f.write_str(name),
            Step::Child(name) => write!(f, ".{name}"),
            Step::Key(key) => write!(f, "[{key}]"),
            Step::Index(i) => write!(f, "[{i}]"),
        }
    }
}

/// A value and its place. Absent values have places too: that is how
/// `Required value` knows what to say.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    /// Where this is.
    pub path: Path,
    /// What is there; `None` when absent or null.
    pub value: Option<&'a Value>,
}

impl<'a> Field<'a> {
    /// The object itself.
    pub fn root(value: &'a Value) -> Self {
        Field {
            path: Path::root(),
            value: Some(value),
        }
    }

    /// A value at a given place.
    pub fn new(path: Path, value: Option<&'a Value>) -> Self {
        Field {
            path,
            value: value.filter(|v| !v.is_null()),
        }
    }

    /// A named field of this.
    pub fn get(&self, name: &str) -> Field<'a> {
        Field::new(self.path.child(name), self.value.and_then(|v| v.get(name)))
    }

    /// The end of a chain of names.
    pub fn at(&self, names: &[&str]) -> Field<'a> {
        names
            .iter()
            .fold(self.clone(), |field, name| field.get(name))
    }

    /// The items of a list, none when it is absent.
    pub fn items(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let path = self.path.clone();
        let items = self.value.and_then(Value::as_array).unwrap_or_default();
        items.iter().enumerate().map(move |(i, item)| Field {
            path: path.index(i),
            value: Some(item),
        })
    }

    /// The entries of a map, none when it is absent. Paths use the key.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Field<'a>)> + use<'a> {
        let path = self.path.clone();
        let map = self.value.and_then(Value::as_object);
        map.into_iter()
            .flat_map(|m| m.iter())
            .map(move |(k, v)| (k.as_str(), Field::new(path.key(k), Some(v))))
    }

    /// Whether something is there (an empty string or list is something).
    pub fn is_present(&self) -> bool {
        self.value.is_some()
    }

    /// Whether nothing is there, or only what `omitempty` leaves out.
    pub fn is_empty(&self) -> bool {
        self.value.is_none_or(Value::is_empty)
    }

    /// The text, empty when absent.
    pub fn str(&self) -> &'a str {
        self.value.and_then(Value::as_str).unwrap_or_default()
    }

    /// The integer, when there is one.
    pub fn i64(&self) -> Option<i64> {
        self.value.and_then(Value::as_i64)
    }

    /// The integer, 0 when absent.
    pub fn int(&self) -> i64 {
        self.i64().unwrap_or_default()
    }

    /// Whether `true` is there.
    pub fn is_true(&self) -> bool {
        self.value.and_then(Value::as_bool) == Some(true)
    }

    /// How many items or entries there are.
    pub fn len(&self) -> usize {
        match self.value {
            Some(Value::Array(items)) => items.len(),
            Some(Value::Object(map)) => map.len(),
            _ => 0,
        }
    }

    fn shown(&self) -> Value {
        self.value.cloned().unwrap_or_else(|| Value::from(""))
    }

    /// `Required value`
    pub fn required(&self, detail: impl Into<String>) -> FieldError {
        FieldError::new(ErrorKind::Required, &self.path, Value::from(""), detail)
    }

    /// `Invalid value: "x": detail`
    pub fn invalid(&self, detail: impl Into<String>) -> FieldError {
        FieldError::new(ErrorKind::Invalid, &self.path, self.shown(), detail)
    }

    /// `Unsupported value: "x": supported values: "a", "b"`
    pub fn not_supported(&self, supported: &[&str]) -> FieldError {
        FieldError::not_supported(&self.path, self.shown(), supported)
    }

    /// `Duplicate value: "x"`
    pub fn duplicate(&self) -> FieldError {
        FieldError::new(ErrorKind::Duplicate, &self.path, self.shown(), "")
    }

    /// `Forbidden: detail`
    pub fn forbidden(&self, detail: impl Into<String>) -> FieldError {
        FieldError::new(ErrorKind::Forbidden, &self.path, Value::from(""), detail)
    }

    /// `Not found: "x"`
    pub fn not_found(&self) -> FieldError {
        FieldError::new(ErrorKind::NotFound, &self.path, self.shown(), "")
    }

    /// `Too long: may not be more than N bytes`
    pub fn too_long(&self, max: usize) -> FieldError {
        FieldError::too_long(&self.path, max)
    }

    /// `Too many: N: must have at most M items`
    pub fn too_many(&self, max: usize) -> FieldError {
        let items = if max == 1 { "item" } else { "items" };
        let detail = format!("must have at most {max} {items}");
        FieldError::new(
            ErrorKind::TooMany,
            &self.path,
            Value::from(self.len() as i64),
            detail,
        )
    }
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The value cannot be found.
    NotFound,
    /// The value is missing.
    Required,
    /// The value is there twice.
    Duplicate,
    /// The value is malformed.
    Invalid,
    /// The value is none of the known ones.
    NotSupported,
    /// The value is well-formed but not permitted.
    Forbidden,
    /// The value is too long.
    TooLong,
    /// The list has too many items.
    TooMany,
    /// Something went wrong on our side.
    Internal,
    /// The value is of a wrong type.
    TypeInvalid,
}

impl ErrorKind {
    /// The words that open the message.
    pub fn text(self) -> &'static str {
        match self {
            ErrorKind::NotFound => "Not found",
            ErrorKind::Required => "Required value",
            ErrorKind::Duplicate => "Duplicate value",
            ErrorKind::Invalid | ErrorKind::TypeInvalid => "Invalid value",
            ErrorKind::NotSupported => "Unsupported value",
            ErrorKind::Forbidden => "Forbidden",
            ErrorKind::TooLong => "Too long",
            ErrorKind::TooMany => "Too many",
            ErrorKind::Internal => "Internal error",
        }
    }

    /// The cause's `reason` in a Status.
    pub fn reason(self) -> &'static str {
        match self {
            ErrorKind::NotFound => "FieldValueNotFound",
            ErrorKind::Required => "FieldValueRequired",
            ErrorKind::Duplicate => "FieldValueDuplicate",
            ErrorKind::Invalid => "FieldValueInvalid",
            ErrorKind::NotSupported => "FieldValueNotSupported",
            ErrorKind::Forbidden => "FieldValueForbidden",
            ErrorKind::TooLong => "FieldValueTooLong",
            ErrorKind::TooMany => "FieldValueTooMany",
            ErrorKind::Internal => "InternalError",
            ErrorKind::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

/// One thing wrong with one field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Where.
    pub field: String,
    /// What is there.
    pub value: Value,
    /// Why that is wrong; may be empty.
    pub detail: String,
}

impl FieldError {
    /// From its parts.
    pub fn new(
        kind: ErrorKind,
        path: &Path,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> Self {
        // Upstream writes the object itself as a path of one step without a name.
        let field = match path.to_string() {
            root if root.is_empty() => "[]".to_string(),
            field => field,
        };
        FieldError {
            kind,
            field,
            value: value.into(),
            detail: detail.into(),
        }
    }

    /// `Invalid value` with a value that is not the one found there.
    pub fn invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        FieldError::new(ErrorKind::Invalid, path, value, detail)
    }

    /// `Unsupported value`
    pub fn not_supported(path: &Path, value: impl Into<Value>, supported: &[&str]) -> Self {
        let quoted: Vec<String> = supported.iter().map(|s| format!("{s:?}")).collect();
        let detail = match quoted.is_empty() {
            true => String::new(),
            false => format!("supported values: {}", quoted.join(", ")),
        };
        FieldError::new(ErrorKind::NotSupported, path, value, detail)
    }

    /// `Too long`
    pub fn too_long(path: &Path, max: usize) -> Self {
        let bytes = if max == 1 { "byte" } else { "bytes" };
        let detail = format!("may not be more than {max} {bytes}");
        FieldError::new(ErrorKind::TooLong, path, "", detail)
    }

    /// The message without the field.
    pub fn body(&self) -> String {
        let mut text = self.kind.text().to_string();
        let bare = matches!(
            self.kind,
            ErrorKind::Required | ErrorKind::Forbidden | ErrorKind::TooLong | ErrorKind::Internal
        );
        if !bare {
            match &self.value {
                Value::String(s) => text.push_str(&format!(": {}", quote(s))),
                value => text.push_str(&format!(": {value}")),
            }
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

/// Quotes text as Go's `%q` does.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                out.push_str(&format!("\\x{:02x}", c as u32))
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// Everything wrong with an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Errors(pub Vec<FieldError>);

impl Errors {
    /// Nothing wrong.
    pub fn new() -> Self {
        Errors::default()
    }

    /// Adds one.
    pub fn push(&mut self, error: FieldError) {
        self.0.push(error);
    }

    /// Adds `Invalid value` for each complaint about a field's text.
    pub fn invalid_each(
        &mut self,
        field: &Field<'_>,
        complaints: impl IntoIterator<Item = String>,
    ) {
        for detail in complaints {
            self.push(field.invalid(detail));
        }
    }

    /// Adds all of another list.
    pub fn extend(&mut self, other: Errors) {
        self.0.extend(other.0);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `a`, or `[a, b]`; each once.
    pub fn aggregate(&self) -> String {
        let mut seen = BTreeSet::new();
        let texts: Vec<String> = self
            .0
            .iter()
            .map(ToString::to_string)
            .filter(|text| seen.insert(text.clone()))
            .collect();
        match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        }
    }
}

impl IntoIterator for Errors {
    type Item = FieldError;
    type IntoIter = std::vec::IntoIter<FieldError>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value;

    #[test]
    fn errors_name_their_field() {
        let pod = value!({"spec": {"containers": [{"name": "A"}], "nodeSelector": {"k": "v"}}});
        let root = Field::root(&pod);
        let container = root
            .at(&["spec", "containers"])
            .items()
            .next()
            .expect("one container");
        assert_eq!(
            container
                .get("name")
                .invalid("must be lower case")
                .to_string(),
            "spec.containers[0].name: Invalid value: \"A\": must be lower case"
        );
        assert_eq!(
            container.get("image").required("").to_string(),
            "spec.containers[0].image: Required value"
        );
        let (_, entry) = root
            .at(&["spec", "nodeSelector"])
            .entries()
            .next()
            .expect("one entry");
        assert_eq!(
            entry.not_supported(&["a", "b"]).to_string(),
            "spec.nodeSelector[k]: Unsupported value: \"v\": supported values: \"a\", \"b\""
        );
    }

    #[test]
    fn an_aggregate_says_each_thing_once() {
        let root = value!({"a": ""});
        let field = Field::root(&root).get("a");
        let mut errors = Errors::new();
        errors.push(field.required(""));
        assert_eq!(errors.aggregate(), "a: Required value");
        errors.push(field.required(""));
        errors.push(field.forbidden("no"));
        assert_eq!(errors.aggregate(), "[a: Required value, a: Forbidden: no]");
    }
}
