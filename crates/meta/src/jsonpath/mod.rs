//! JSONPath as kubectl and custom resources' printer columns speak it: text
//! with `{...}` parts, fields, indices, slices, filters, ranges.
//!
//! Follows the dialect of client-go's util/jsonpath, its gaps included (no
//! `&&` in filters), and words its errors as upstream does.

mod compare;
mod eval;
mod parse;
#[cfg(test)]
mod tests;

use crate::{Value, go};
use std::borrow::Cow;

/// Why a template cannot be read or does not fit the data. The words are
/// upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// A template, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct JsonPath {
    root: Vec<parse::Node>,
    allow_missing: bool,
}

/// What one part of a template found.
pub type Found<'a> = Vec<Cow<'a, Value>>;

impl JsonPath {
    /// Reads a template such as `{.metadata.name}`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(JsonPath {
            root: parse::parse(text)?,
            allow_missing: false,
        })
    }

    /// Reads the form of custom columns and `--sort-by`: braces and the first
    /// dot may be missing.
    pub fn parse_relaxed(text: &str) -> Result<Self, Error> {
        Self::parse(&relaxed(text)?)
    }

    /// Whether a field that is absent is nothing instead of an error.
    pub fn allow_missing_keys(mut self, allow: bool) -> Self {
        self.allow_missing = allow;
        self
    }

    /// What each part of the template finds, in order; ranges give the parts of
    /// each turn.
    pub fn find<'a>(&'a self, data: &'a Value) -> Result<Vec<Found<'a>>, Error> {
        eval::find(&self.root, data, self.allow_missing)
    }

    /// The template filled in.
    pub fn execute(&self, data: &Value) -> Result<String, Error> {
        let found = self.find(data)?;
        Ok(found.iter().map(|part| print(part)).collect())
    }

    /// Each part of the template as an indented JSON list: `jsonpath-as-json`.
    pub fn execute_as_json(&self, data: &Value) -> Result<String, Error> {
        let mut out = String::new();
        for part in self.find(data)? {
            let items = part.into_iter().map(Cow::into_owned).collect();
            go::write_json_indented(&Value::Array(items), "    ", 0, &mut out);
            out.push('\n');
        }
        Ok(out)
    }
}

/// Values side by side: text as it is, lists and objects as JSON.
pub fn print(values: &[Cow<'_, Value>]) -> String {
    let texts: Vec<String> = values.iter().map(|value| print_one(value)).collect();
    texts.join(" ")
}

fn print_one(value: &Value) -> String {
    match value {
        Value::Null => "null".to_string(),
        Value::Array(_) | Value::Object(_) => go::json(value),
        scalar => go::print(scalar),
    }
}

/// The full form `{.a.b}` of `a.b`, `.a.b`, `{a.b}` or `{.a.b}`.
pub fn relaxed(text: &str) -> Result<String, Error> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let inner = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or(text);
    let inner = match inner.strip_prefix('.') {
        Some(rest) if !rest.is_empty() => rest,
        _ => inner,
    };
    if inner.is_empty() || inner.contains(['{', '}']) {
        return Err(Error(
            "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'"
                .to_string(),
        ));
    }
    Ok(format!("{{.{inner}}}"))
}
