//! Whether what an applier wants is of the form that the schema asks for. The
//! order of the looks and the words of the complaints follow
//! structured-merge-diff's typed/validate.go and typed/helpers.go.

use super::set::{Element, Scalar};
use super::walk::Shape;
use meta::schema::{List, ListKind, Struct, Type};
use meta::{Value, field};
use std::collections::BTreeSet;

/// What is wrong with an object, each with its path: `.spec.replicas: expected
/// numeric (int or float), got string`.
pub fn check(object: &Value, schema: &Struct) -> Vec<String> {
    let mut complaints = Vec::new();
    check_struct(object, schema, "", &mut complaints);
    complaints
}

fn check_value(value: &Value, ty: &Type, path: &str, complaints: &mut Vec<String>) {
    let fits = match (ty, value) {
        (_, Value::Null) | (Type::Any, _) => return,
        (Type::Struct(schema), _) => return check_struct(value, schema, path, complaints),
        (Type::List(list), _) => return check_list(value, list, path, complaints),
        (Type::Map(map), Value::Object(entries)) => {
            for (key, inner) in entries.iter() {
                check_value(inner, &map.value, &format!("{path}.{key}"), complaints);
            }
            return;
        }
        (Type::String | Type::Bytes | Type::Duration, value) => value.as_str().is_some(),
        (Type::Int32 | Type::Int64 | Type::Float, value) => matches!(value, Value::Number(_)),
        (Type::Bool, value) => matches!(value, Value::Bool(_)),
        (Type::Map(_), _) => false,
        (_, value) => !matches!(value, Value::Array(_) | Value::Object(_)),
    };
    if !fits {
        complaints.push(format!("{path}: {}", expected(ty, value)));
    }
}

fn expected(ty: &Type, value: &Value) -> String {
    let shown = in_go(value, false);
    match ty {
        Type::String | Type::Bytes | Type::Duration => {
            let shown = in_go(value, true);
            format!("expected string, got &value.valueUnstructured{{Value:{shown}}}")
        }
        Type::Int32 | Type::Int64 | Type::Float => {
            format!("expected numeric (int or float), got {}", go_type(value))
        }
        Type::Bool => format!("expected boolean, got &{{{shown}}}"),
        Type::Struct(_) | Type::Map(_) => format!("expected map, got &{{{shown}}}"),
        Type::List(_) => format!("expected list, got &{{{shown}}}"),
        _ => format!("expected any scalar, got &{{{shown}}}"),
    }
}

fn check_struct(value: &Value, schema: &Struct, path: &str, complaints: &mut Vec<String>) {
    let Some(map) = value.as_object() else {
        let shown = in_go(value, false);
        return complaints.push(format!("{path}: expected map, got &{{{shown}}}"));
    };
    for (key, inner) in map.iter() {
        let path = format!("{path}.{key}");
        match schema.field(key) {
            Some(field) => check_value(inner, &field.ty, &path, complaints),
            None if schema.preserve_unknown => {}
            None => complaints.push(format!("{path}: field not declared in schema")),
        }
    }
}

fn check_list(value: &Value, list: &List, path: &str, complaints: &mut Vec<String>) {
    let Some(items) = value.as_array() else {
        let shown = in_go(value, false);
        return complaints.push(format!("{path}: expected list, got &{{{shown}}}"));
    };
    let mut seen = BTreeSet::new();
    for (i, item) in items.iter().enumerate() {
        let element = match element(list, item, i) {
            Ok(element) => element,
            Err(why) => return complaints.push(format!("{path}: element {i}: {why}")),
        };
        let spelt = element.to_string();
        if !seen.insert(spelt.clone()) {
            complaints.push(format!("{path}: duplicate entries for key {spelt}"));
        }
        check_value(item, &list.item, &format!("{path}{spelt}"), complaints);
    }
}

/// How an item is told apart from the others of its list.
fn element(list: &List, item: &Value, index: usize) -> Result<Element, String> {
    match (&list.kind, item) {
        (ListKind::Atomic, _) => Ok(Element::Index(index)),
        (ListKind::Set, Value::Object(_)) => {
            Err("associative list without keys has an element that's a map type".into())
        }
        (ListKind::Set, Value::Array(_)) => {
            Err("associative list without keys has an element that's a list type".into())
        }
        (ListKind::Set, _) => Ok(Element::Value(Scalar(item.clone()))),
        (ListKind::Map(_), Value::Null) => {
            Err("associative list with keys may not have a null element".into())
        }
        (ListKind::Map(keys), Value::Object(_)) => {
            let element = Shape::List(list).element(item, index);
            let has = |name: &str| match &element {
                Element::Key(key) => key.iter().any(|(known, _)| known.as_str() == name),
                _ => false,
            };
            match keys.iter().find(|name| !has(name)) {
                None => Ok(element),
                Some(name) => Err(format!(
                    "associative list with keys has an element that omits key field {} (and doesn't have default value)",
                    field::quote(name)
                )),
            }
        }
        (ListKind::Map(_), _) => {
            Err("associative list with keys may not have non-map elements".into())
        }
    }
}

/// A tree as Go prints it: `%v`, or `%#v` with the types of what it is made of.
fn in_go(value: &Value, is_typed: bool) -> String {
    let each = |value: &Value| in_go(value, is_typed);
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) if is_typed => field::quote(text),
        Value::String(text) => text.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(each).collect();
            match is_typed {
                true => format!("[]interface {{}}{{{}}}", items.join(", ")),
                false => format!("[{}]", items.join(" ")),
            }
        }
        Value::Object(map) if is_typed => {
            let entry = |(key, value)| format!("{}:{}", field::quote(key), each(value));
            let entries = map.iter().map(|(key, value)| (key.as_str(), value));
            let entries: Vec<String> = entries.map(entry).collect();
            format!("map[string]interface {{}}{{{}}}", entries.join(", "))
        }
        Value::Object(map) => {
            let entries = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", each(value)));
            format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
        }
        other => other.to_json(),
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        Value::Number(_) | Value::Null => "<nil>",
    }
}
