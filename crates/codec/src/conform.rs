//! Makes a tree what Go's typed decoder and encoder would have made of it:
//! types checked, unknown fields and empty values dropped, quantities
//! canonical ([`conform`]); fields that Go always writes are there
//! ([`complete`]). The words of the complaints follow sigs.k8s.io/json.

use base64::Engine as _;
use meta::schema::{Field, Omit, Struct, Type};
use meta::{Map, Number, Path, Quantity, Value, time};
use std::fmt;

/// A value of the wrong type. Upstream answers 400 with these words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

/// Checks types, prunes what the schema does not know and drops what
/// `omitempty` would. Gives the unknown fields: `unknown field "spec.x"`.
pub fn conform(object: &mut Value, schema: &Struct) -> Result<Vec<String>, Mismatch> {
    let mut walk = Walk {
        go_path: Vec::new(),
        unknown: Vec::new(),
    };
    walk.structure(object, schema, &Path::root())?;
    Ok(walk.unknown)
}

struct Walk<'s> {
    /// The fields on the way, and the struct of the last: what Go's errors name.
    go_path: Vec<(&'s str, &'s str)>,
    unknown: Vec<String>,
}

impl<'s> Walk<'s> {
    fn structure(
        &mut self,
        value: &mut Value,
        schema: &'s Struct,
        path: &Path,
    ) -> Result<(), Mismatch> {
        let map = match value {
            Value::Object(map) => map,
            other => return Err(self.mismatch(other, &format!("v1.{}", schema.name))),
        };
        let mut failed = None;
        map.retain(|key, value| {
            if failed.is_some() {
                return true;
            }
            let Some(field) = schema.field(key) else {
                if !schema.preserve_unknown {
                    self.unknown.push(path.child(key).to_string());
                }
                return schema.preserve_unknown;
            };
            if field.omit == Omit::Keep {
                return true;
            }
            if value.is_null() {
                return false;
            }
            self.go_path.push((&schema.name, &field.json));
            let outcome = self.typed(value, &field.ty, &field.go, &|| path.child(key));
            self.go_path.pop();
            match outcome {
                Ok(()) => !is_omitted(value, field),
                Err(error) => {
                    failed = Some(error);
                    true
                }
            }
        });
        failed.map_or(Ok(()), Err)
    }

    fn typed(
        &mut self,
        value: &mut Value,
        ty: &'s Type,
        go: &str,
        path: &dyn Fn() -> Path,
    ) -> Result<(), Mismatch> {
        match ty {
            Type::Struct(schema) => self.structure(value, schema, &path()),
            Type::List(list) => {
                let Value::Array(items) = value else {
                    return Err(self.mismatch(value, go));
                };
                let go = go.trim_start_matches("[]");
                for (i, item) in items.iter_mut().enumerate() {
                    if item.is_null() {
                        *item = zero(&list.item);
                    }
                    if item.is_null() {
                        continue;
                    }
                    self.typed(item, &list.item, go, &|| path().index(i))?;
                }
                Ok(())
            }
            Type::Map(of) => {
                let Value::Object(map) = value else {
                    return Err(self.mismatch(value, go));
                };
                let go = go.split_once(']').map_or(go, |(_, value)| value);
                for (key, item) in map.iter_mut() {
                    if item.is_null() {
                        *item = zero(&of.value);
                    }
                    if item.is_null() {
                        continue;
                    }
                    self.typed(item, &of.value, go, &|| path().child(key))?;
                }
                Ok(())
            }
            Type::Any => Ok(()),
            _ => self.scalar(value, ty, go),
        }
    }

    fn scalar(&self, value: &mut Value, ty: &Type, go: &str) -> Result<(), Mismatch> {
        match (ty, &*value) {
            (Type::String, Value::String(_)) | (Type::Bool, Value::Bool(_)) => Ok(()),
            (Type::Int64, Value::Number(Number::Int(_))) => Ok(()),
            (Type::Int32 | Type::IntOrString, Value::Number(Number::Int(i))) => {
                match i32::try_from(*i) {
                    Ok(_) => Ok(()),
                    Err(_) => Err(self.mismatch(value, if go.is_empty() { "int32" } else { go })),
                }
            }
            (Type::IntOrString, Value::String(_)) => Ok(()),
            (Type::Float, Value::Number(_)) => Ok(()),
            (Type::Bytes, Value::String(text)) => check_base64(text),
            (Type::Time | Type::MicroTime, Value::String(text)) => match time::parse(text) {
                Some(at) => {
                    *value = match ty {
                        Type::Time => time::seconds(at),
                        _ => time::micros(at),
                    }
                    .into();
                    Ok(())
                }
                None => Err(bad_time(text)),
            },
            (Type::Duration, Value::String(text)) => match is_go_duration(text) {
                true => Ok(()),
                false => Err(Mismatch(format!(
                    "time: invalid duration {}",
                    meta::field::quote(text)
                ))),
            },
            (Type::Quantity, Value::String(_) | Value::Number(_)) => {
                let text = match &*value {
                    Value::String(text) => text.trim().to_string(),
                    other => other.to_json(),
                };
                let quantity: Quantity = text.parse().map_err(|e| Mismatch(format!("{e}")))?;
                *value = quantity.to_string().into();
                Ok(())
            }
            _ => Err(self.mismatch(value, go)),
        }
    }

    /// `json: cannot unmarshal string into Go struct field PodSpec.spec.x of type int32`
    fn mismatch(&self, value: &Value, go: &str) -> Mismatch {
        let found = match value {
            Value::Number(n) => format!("number {n}"),
            Value::Object(_) => "object".into(),
            other => other.kind_name().to_string(),
        };
        let Some((structure, _)) = self.go_path.last() else {
            return Mismatch(format!(
                "json: cannot unmarshal {found} into Go value of type {go}"
            ));
        };
        let path: Vec<&str> = self.go_path.iter().map(|(_, field)| *field).collect();
        Mismatch(format!(
            "json: cannot unmarshal {found} into Go struct field {structure}.{} of type {go}",
            path.join(".")
        ))
    }
}

fn is_omitted(value: &Value, field: &Field) -> bool {
    matches!(field.omit, Omit::Empty | Omit::Zero)
        && match value {
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty() && matches!(field.ty, Type::Map(_)),
            other => !field.pointer && other.is_empty(),
        }
}

fn check_base64(text: &str) -> Result<(), Mismatch> {
    let engine = base64::engine::general_purpose::STANDARD;
    match engine.decode(text.as_bytes()) {
        Ok(_) => Ok(()),
        Err(base64::DecodeError::InvalidByte(at, _)) => {
            Err(Mismatch(format!("illegal base64 data at input byte {at}")))
        }
        Err(_) => Err(Mismatch(format!(
            "illegal base64 data at input byte {}",
            text.len() / 4 * 4
        ))),
    }
}

fn bad_time(text: &str) -> Mismatch {
    const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";
    let quoted = meta::field::quote(text);
    Mismatch(format!(
        "parsing time {quoted} as \"{LAYOUT}\": cannot parse {quoted} as \"2006\""
    ))
}

/// Whether text reads as Go's `time.ParseDuration` takes it: `1h15m30.918s`.
fn is_go_duration(text: &str) -> bool {
    let mut rest = text.trim_start_matches(['+', '-']);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let number = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let unit = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"]
            .into_iter()
            .filter(|unit| rest[number..].starts_with(unit))
            .max_by_key(|unit| unit.len());
        let Some(unit) = unit.filter(|_| number > 0 && &rest[..number] != ".") else {
            return false;
        };
        rest = &rest[number + unit.len()..];
    }
    true
}

/// Go's zero value of a type, as JSON.
fn zero(ty: &Type) -> Value {
    match ty {
        Type::String | Type::Duration => "".into(),
        Type::Int32 | Type::Int64 | Type::IntOrString => 0.into(),
        Type::Float => Value::Number(Number::Int(0)),
        Type::Bool => false.into(),
        Type::Quantity => "0".into(),
        Type::Struct(_) => Value::object(),
        Type::Bytes | Type::Time | Type::MicroTime | Type::Any | Type::Map(_) | Type::List(_) => {
            Value::Null
        }
    }
}

/// Adds what Go's encoder always writes: fields without `omitempty`, and
/// structs that are no pointers (`resources: {}`, `status: {}`); drops what it
/// never writes.
pub fn complete(object: &mut Value, schema: &Struct) {
    if let Value::Object(map) = object {
        complete_struct(map, schema);
    }
}

fn complete_struct(map: &mut Map, schema: &Struct) {
    map.retain(|key, value| match schema.field(key) {
        None => true,
        Some(field) if value.is_null() => keeps_null(field),
        Some(field) => {
            complete_value(value, &field.ty);
            !is_omitted(value, field)
        }
    });
    for field in schema
        .fields
        .iter()
        .filter(|field| is_always_written(field))
    {
        if !map.contains_key(&field.json) {
            map.insert(field.json.as_ref(), unsaid(field));
        }
    }
}

fn keeps_null(field: &Field) -> bool {
    matches!(field.omit, Omit::Never | Omit::Keep)
}

fn complete_value(value: &mut Value, ty: &Type) {
    match (value, ty) {
        (Value::Object(map), Type::Struct(schema)) => complete_struct(map, schema),
        (Value::Array(items), Type::List(list)) if !is_scalar(&list.item) => {
            items
                .iter_mut()
                .for_each(|item| complete_value(item, &list.item));
        }
        (Value::Object(map), Type::Map(of)) if !is_scalar(&of.value) => {
            map.iter_mut()
                .for_each(|(_, item)| complete_value(item, &of.value));
        }
        _ => {}
    }
}

fn is_scalar(ty: &Type) -> bool {
    !matches!(ty, Type::Struct(_) | Type::List(_) | Type::Map(_))
}

/// Whether Go writes a field that nobody filled in.
fn is_always_written(field: &Field) -> bool {
    let is_struct = matches!(field.ty, Type::Struct(_)) && !field.pointer;
    let is_written = field.omit == Omit::Never || (field.omit == Omit::Empty && is_struct);
    is_written && !matches!(&*field.json, "kind" | "apiVersion")
}

/// What Go writes in a field that nobody filled in.
fn unsaid(field: &Field) -> Value {
    match &field.ty {
        _ if field.pointer => Value::Null,
        Type::Struct(schema) => {
            let mut map = Map::new();
            complete_struct(&mut map, schema);
            Value::Object(map)
        }
        ty => zero(ty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    fn pod() -> &'static Struct {
        api::schema::find("k8s.io/api/core/v1", "Pod").expect("the schema of Pod")
    }

    fn check(mut object: Value, expected: Value) {
        conform(&mut object, pod()).expect("a pod");
        assert_eq!(object, expected, "\n got {object}\nwant {expected}");
    }

    #[test]
    fn empty_values_are_dropped_and_pointers_kept() {
        check(
            value!({"metadata": {"name": "", "labels": {}}, "spec": {
                "hostNetwork": false, "automountServiceAccountToken": false, "nodeName": "",
                "containers": [{"name": "a", "resources": {"limits": {"cpu": "1000m", "memory": 1.5}}, "args": null}],
                "volumes": [], "securityContext": {}
            }}),
            value!({"metadata": {}, "spec": {
                "automountServiceAccountToken": false,
                "containers": [{"name": "a", "resources": {"limits": {"cpu": "1", "memory": "1500m"}}}],
                "securityContext": {}
            }}),
        );
    }

    #[test]
    fn unknown_fields_are_pruned_and_named() {
        let mut object =
            value!({"spec": {"containers": [{"name": "a", "imagee": "x"}], "replicas": 1}});
        let unknown = conform(&mut object, pod()).expect("a pod");
        assert_eq!(unknown, ["spec.containers[0].imagee", "spec.replicas"]);
        assert_eq!(object, value!({"spec": {"containers": [{"name": "a"}]}}));
    }

    #[test]
    fn wrong_types_are_named_in_gos_words() {
        for (object, words) in [
            (
                value!({"spec": {"terminationGracePeriodSeconds": "x"}}),
                "json: cannot unmarshal string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64",
            ),
            (
                value!({"spec": {"containers": {"name": "x"}}}),
                "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
            ),
            (
                value!({"spec": {"containers": [{"ports": [{"containerPort": 99999999999i64}]}]}}),
                "json: cannot unmarshal number 99999999999 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
            ),
            (
                value!({"spec": {"containers": [{"resources": {"limits": {"cpu": "lots"}}}]}}),
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            ),
        ] {
            let mut object = object;
            assert_eq!(
                conform(&mut object, pod()).map_err(|e| e.to_string()),
                Err(words.into())
            );
        }
    }

    #[test]
    fn what_go_always_writes_is_added() {
        let mut object =
            value!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}]}});
        complete(&mut object, pod());
        assert_eq!(
            object,
            value!({
                "metadata": {"name": "a"},
                "spec": {"containers": [{"name": "c", "resources": {}}]},
                "status": {}
            })
        );
    }

    #[test]
    fn durations_are_gos() {
        for (text, ok) in [
            ("1h15m30.918s", true),
            ("0", true),
            ("-1.5h", true),
            ("", false),
            ("1", false),
            ("1d", false),
        ] {
            assert_eq!(is_go_duration(text), ok, "{text}");
        }
    }
}
