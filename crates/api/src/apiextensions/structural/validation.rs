//! Whether a value is what its schema says. Order and words of the complaints
//! follow kube-openapi's pkg/validation/{validate,errors} and
//! pkg/apiserver/validation/validation.go of apiextensions-apiserver.

use super::{ListType, Structural, formats};
use meta::field::ErrorKind;
use meta::{Errors, FieldError, Number, Value};

/// Where a value stands, as the library spells it: `spec.list[0].name`.
#[derive(Clone, Copy)]
struct At<'a>(&'a str);

impl At<'_> {
    fn child(self, name: &str) -> String {
        match self.0 {
            "" => name.to_string(),
            path => format!("{path}.{name}"),
        }
    }

    fn index(self, i: usize) -> String {
        format!("{}[{i}]", self.0)
    }

    /// An error of a field; the object itself has no name.
    fn error(self, kind: ErrorKind, value: impl Into<Value>, detail: String) -> FieldError {
        let field = match self.0 {
            "" => "<nil>",
            path => path,
        };
        FieldError {
            kind,
            field: field.into(),
            value: value.into(),
            detail,
        }
    }

    fn invalid(self, value: impl Into<Value>, what: std::fmt::Arguments<'_>) -> FieldError {
        let detail = format!("{} in body {what}", self.0);
        self.error(ErrorKind::Invalid, value, detail)
    }
}

/// A complaint that names its place in its words only.
fn nameless(detail: String) -> FieldError {
    At("").error(ErrorKind::Invalid, "", detail)
}

impl Structural {
    /// What is wrong with a value. What was there before, just so, is left
    /// alone: a schema that became stricter makes no object immutable.
    pub fn check(&self, value: &Value, old: Option<&Value>, errors: &mut Errors) {
        self.check_at(At(""), value, old, &mut errors.0);
    }

    fn check_at(
        &self,
        at: At<'_>,
        value: &Value,
        old: Option<&Value>,
        errors: &mut Vec<FieldError>,
    ) {
        if old == Some(value) {
            return;
        }
        errors.extend(self.check_type(at, value));
        if value.is_null() {
            errors.extend(self.check_values(at, value));
            return;
        }
        self.check_junctors(at, value, errors);
        match value {
            Value::String(text) => self.check_text(at, text, errors),
            Value::Number(number) => self.check_number(at, *number, errors),
            Value::Array(items) => self.check_items(at, items, old, errors),
            _ => {}
        }
        errors.extend(self.check_values(at, value));
        if value.as_object().is_some() {
            self.check_object(at, value, old, errors);
        }
    }

    fn holds(&self, at: At<'_>, value: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        self.check_at(at, value, None, &mut errors);
        errors
    }

    fn check_type(&self, at: At<'_>, value: &Value) -> Option<FieldError> {
        let wanted: &[&str] = match (self.int_or_string, self.ty.as_str()) {
            (true, _) => &["integer", "string"],
            (false, "") => return None,
            (false, ty) => &[ty],
        };
        let is = |ty: &str| wanted.contains(&ty);
        let (found, fits) = match value {
            Value::Null => ("null", self.nullable),
            Value::Bool(_) => ("boolean", is("boolean")),
            Value::String(_) => {
                let by_format = !self.rules.format.is_empty() && !is("integer") && !is("number");
                ("string", is("string") || by_format)
            }
            Value::Array(_) => ("array", is("array")),
            Value::Object(_) => ("object", is("object")),
            Value::Number(number) if number.as_i64().is_some() => {
                ("integer", is("integer") || is("number"))
            }
            Value::Number(_) => ("number", is("number")),
        };
        (!fits).then(|| {
            let ty = wanted.join(",");
            let detail = format!("{} in body must be of type {ty}: \"{found}\"", at.0);
            at.error(ErrorKind::TypeInvalid, found, detail)
        })
    }

    fn check_values(&self, at: At<'_>, value: &Value) -> Option<FieldError> {
        let values = &self.rules.values;
        if values.is_empty() || values.contains(value) {
            return None;
        }
        let shown = |v: &Value| v.as_str().map_or_else(|| v.to_json(), str::to_string);
        let quoted = values.iter().map(|v| meta::field::quote(&shown(v)));
        let detail = format!(
            "supported values: {}",
            quoted.collect::<Vec<_>>().join(", ")
        );
        Some(at.error(ErrorKind::NotSupported, value.clone(), detail))
    }

    fn check_text(&self, at: At<'_>, text: &str, errors: &mut Vec<FieldError>) {
        let rules = &self.rules;
        let length = text.chars().count() as i64;
        if let Some(max) = rules.max_length.filter(|max| length > *max) {
            let bytes = if max == 1 { "byte" } else { "bytes" };
            let detail = format!("may not be more than {max} {bytes}");
            errors.push(at.error(ErrorKind::TooLong, text, detail));
        }
        if let Some(min) = rules.min_length.filter(|min| length < *min) {
            errors.push(at.invalid(text, format_args!("should be at least {min} chars long")));
        }
        if let Some(pattern) = rules.pattern.as_ref().filter(|p| !p.is_match(text)) {
            let pattern = pattern.as_str();
            errors.push(at.invalid(text, format_args!("should match '{pattern}'")));
        }
        let format = &rules.format;
        if !format.is_empty() && !formats::holds(format, text) {
            let detail = format!(
                "{} in body must be of type {format}: {}",
                at.0,
                meta::field::quote(text)
            );
            errors.push(at.error(ErrorKind::TypeInvalid, text, detail));
        }
    }

    fn check_number(&self, at: At<'_>, number: Number, errors: &mut Vec<FieldError>) {
        let rules = &self.rules;
        let value = Value::Number(number);
        let outside = match rules.format.as_str() {
            "int32" => number.as_i64().is_some_and(|i| i32::try_from(i).is_err()),
            _ => false,
        };
        if outside && self.ty == "integer" {
            errors.push(nameless(format!(
                "Checked value must be of type integer with format int32 in {}",
                at.0
            )));
        }
        let of = rules.multiple_of.filter(|of| !is_multiple(number, *of));
        if let Some(of) = of {
            errors.push(at.invalid(value.clone(), format_args!("should be a multiple of {of}")));
        }
        if let Some((max, exclusive)) = rules.maximum {
            let beyond = number.as_f64() > max.as_f64() || (exclusive && number == max);
            let or_equal = if exclusive { "" } else { "or equal to " };
            if beyond {
                let words = format_args!("should be less than {or_equal}{max}");
                errors.push(at.invalid(value.clone(), words));
            }
        }
        if let Some((min, exclusive)) = rules.minimum {
            let beyond = number.as_f64() < min.as_f64() || (exclusive && number == min);
            let or_equal = if exclusive { "" } else { "or equal to " };
            if beyond {
                let words = format_args!("should be greater than {or_equal}{min}");
                errors.push(at.invalid(value, words));
            }
        }
    }

    fn check_items(
        &self,
        at: At<'_>,
        items: &[Value],
        old: Option<&Value>,
        errors: &mut Vec<FieldError>,
    ) {
        if let Some(of) = &self.items {
            let old = old.and_then(Value::as_array).unwrap_or_default();
            for (i, item) in items.iter().enumerate() {
                let before = match &self.list {
                    ListType::Map(keys) => old
                        .iter()
                        .find(|old| keys.iter().all(|key| old.get(key) == item.get(key))),
                    _ => None,
                };
                of.check_at(At(&at.index(i)), item, before, errors);
            }
        }
        let count = items.len() as i64;
        if let Some(min) = self.rules.min_items.filter(|min| count < *min) {
            errors.push(at.invalid(count, format_args!("should have at least {min} items")));
        }
        if let Some(max) = self.rules.max_items.filter(|max| count > *max) {
            errors.push(too_many(at, count, max));
        }
    }

    fn check_object(
        &self,
        at: At<'_>,
        value: &Value,
        old: Option<&Value>,
        errors: &mut Vec<FieldError>,
    ) {
        let Some(map) = value.as_object() else { return };
        let count = map.len() as i64;
        if let Some(min) = self.rules.min_properties.filter(|min| count < *min) {
            errors.push(at.invalid(count, format_args!("should have at least {min} properties")));
            return;
        }
        if let Some(max) = self.rules.max_properties.filter(|max| count > *max) {
            errors.push(too_many(at, count, max));
            return;
        }
        let absent = self.rules.required.iter().filter(|k| !map.contains_key(k));
        for name in absent {
            errors.push(At(&at.child(name)).error(ErrorKind::Required, "", String::new()));
        }
        for (key, inner) in map.iter() {
            let named = self.properties.get(key.as_str());
            if let Some(of) = named.or_else(|| self.rest()) {
                let before = old.and_then(|old| old.get(key));
                of.check_at(At(&at.child(key)), inner, before, errors);
            }
        }
    }

    fn check_junctors(&self, at: At<'_>, value: &Value, errors: &mut Vec<FieldError>) {
        let rules = &self.rules;
        let complaints = |of: &[Structural]| -> Vec<Vec<FieldError>> {
            of.iter().map(|of| of.holds(at, value)).collect()
        };
        if !rules.any_of.is_empty() && !self.int_or_string_only() {
            let mut all = complaints(&rules.any_of);
            if all.iter().all(|errors| !errors.is_empty()) {
                errors.push(nameless(format!(
                    "\"{}\" must validate at least one schema (anyOf)",
                    at.0
                )));
                all.sort_by_key(Vec::len);
                errors.extend(all.into_iter().next().unwrap_or_default());
            }
        }
        if !rules.one_of.is_empty() {
            let mut all = complaints(&rules.one_of);
            let valid = all.iter().filter(|errors| errors.is_empty()).count();
            if valid != 1 {
                let why = match valid {
                    0 => "Found none valid".to_string(),
                    valid => format!("Found {valid} valid alternatives"),
                };
                errors.push(nameless(format!(
                    "\"{}\" must validate one and only one schema (oneOf). {why}",
                    at.0
                )));
            }
            if valid == 0 {
                all.sort_by_key(Vec::len);
                errors.extend(all.into_iter().next().unwrap_or_default());
            }
        }
        if !rules.all_of.is_empty() {
            let all = complaints(&rules.all_of);
            let valid = all.iter().filter(|errors| errors.is_empty()).count();
            if valid < all.len() {
                let none = if valid == 0 { ". None validated" } else { "" };
                errors.extend(all.into_iter().flatten());
                errors.push(nameless(format!(
                    "\"{}\" must validate all the schemas (allOf){none}",
                    at.0
                )));
            }
        }
        if rules
            .not
            .as_ref()
            .is_some_and(|not| not.holds(at, value).is_empty())
        {
            errors.push(nameless(format!(
                "\"{}\" must not validate the schema (not)",
                at.0
            )));
        }
    }

    /// The spelling of integers or texts says nothing that the type does not.
    fn int_or_string_only(&self) -> bool {
        let types: Vec<&str> = self.rules.any_of.iter().map(|of| of.ty.as_str()).collect();
        self.int_or_string && types == ["integer", "string"]
    }
}

fn too_many(at: At<'_>, count: i64, max: i64) -> FieldError {
    let items = if max == 1 { "item" } else { "items" };
    let detail = format!("must have at most {max} {items}");
    at.error(ErrorKind::TooMany, count, detail)
}

fn is_multiple(number: Number, of: Number) -> bool {
    match (number.as_i64(), of.as_i64()) {
        (_, Some(0)) => true,
        (Some(number), Some(of)) => number % of == 0,
        _ => {
            let parts = number.as_f64() / of.as_f64();
            (parts - parts.round()).abs() < 1e-9
        }
    }
}
