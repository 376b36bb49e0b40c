//! The document of version 2 as gnostic's `openapi.v2.Document`, written from
//! its field numbers: what client-go asks for. Reads the JSON form, which is
//! the only other truth.

use meta::{Map, Value};

/// The whole document.
pub(super) fn document(document: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, document.str_at(&["swagger"]));
    out.message(2, &info(document.get("info")));
    out.message(8, &paths(document.get("paths")));
    out.message(9, &named_schemas(document.get("definitions")));
    out.0
}

/// A message as it grows.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push((n as u8) | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.varint(u64::from(field << 3 | 2));
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u32, inner: &Message) {
        self.bytes(field, &inner.0);
    }

    /// A text; an empty one is not written.
    fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn texts(&mut self, field: u32, texts: &[Value]) {
        for text in texts.iter().filter_map(Value::as_str) {
            self.bytes(field, text.as_bytes());
        }
    }

    fn flag(&mut self, field: u32, flag: bool) {
        if flag {
            self.varint(u64::from(field << 3));
            self.varint(1);
        }
    }

    /// Entries of an object as `NamedX { name = 1, value = 2 }`.
    fn named(&mut self, field: u32, name: &str, value: &Message) {
        let mut entry = Message::default();
        entry.text(1, name);
        entry.message(2, value);
        self.message(field, &entry);
    }
}

fn wrapped(field: u32, inner: Message) -> Message {
    let mut out = Message::default();
    out.message(field, &inner);
    out
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = (&meta::Str, &Value)> {
    value
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::iter)
}

/// `Any`, whose text is YAML; JSON is YAML.
fn any(value: &Value) -> Message {
    let mut out = Message::default();
    out.text(2, &value.to_json());
    out
}

fn extensions(out: &mut Message, field: u32, value: &Value) {
    for (key, value) in entries(Some(value)).filter(|(key, _)| key.starts_with("x-")) {
        out.named(field, key, &any(value));
    }
}

fn info(value: Option<&Value>) -> Message {
    let mut out = Message::default();
    if let Some(value) = value {
        out.text(1, value.str_at(&["title"]));
        out.text(2, value.str_at(&["version"]));
    }
    out
}

fn paths(value: Option<&Value>) -> Message {
    let mut out = Message::default();
    for (path, item) in entries(value) {
        out.named(2, path, &path_item(item));
    }
    out
}

fn path_item(value: &Value) -> Message {
    let mut out = Message::default();
    for (field, method) in [
        (2, "get"),
        (3, "put"),
        (4, "post"),
        (5, "delete"),
        (8, "patch"),
    ] {
        if let Some(found) = value.get(method) {
            out.message(field, &operation(found));
        }
    }
    for found in value.items_at(&["parameters"]) {
        out.message(9, &wrapped(1, parameter(found)));
    }
    out
}

fn operation(value: &Value) -> Message {
    let mut out = Message::default();
    out.texts(1, value.items_at(&["tags"]));
    out.text(3, value.str_at(&["description"]));
    out.text(5, value.str_at(&["operationId"]));
    out.texts(6, value.items_at(&["produces"]));
    out.texts(7, value.items_at(&["consumes"]));
    for found in value.items_at(&["parameters"]) {
        out.message(8, &wrapped(1, parameter(found)));
    }
    let mut responses = Message::default();
    for (code, response) in entries(value.get("responses")) {
        responses.named(1, code, &wrapped(1, self::response(response)));
    }
    out.message(9, &responses);
    out.texts(10, value.items_at(&["schemes"]));
    extensions(&mut out, 13, value);
    out
}

/// `Parameter`: the body, or one of the query or path.
fn parameter(value: &Value) -> Message {
    let (name, place) = (value.str_at(&["name"]), value.str_at(&["in"]));
    let required = value.is_true_at(&["required"]);
    let mut out = Message::default();
    if place == "body" {
        out.text(2, name);
        out.text(3, place);
        out.flag(4, required);
        out.message(5, &schema(value.get("schema").unwrap_or(&Value::Null)));
        return wrapped(1, out);
    }
    // QueryParameterSubSchema has one field more than PathParameterSubSchema.
    let (which, shift) = match place {
        "query" => (3, 1),
        _ => (4, 0),
    };
    out.flag(1, required);
    out.text(2, place);
    out.text(3, value.str_at(&["description"]));
    out.text(4, name);
    out.text(5 + shift, value.str_at(&["type"]));
    out.flag(19 + shift, value.is_true_at(&["uniqueItems"]));
    wrapped(2, wrapped(which, out))
}

fn response(value: &Value) -> Message {
    let mut out = Message::default();
    out.text(1, value.str_at(&["description"]));
    if let Some(found) = value.get("schema") {
        out.message(2, &wrapped(1, schema(found)));
    }
    out
}

fn named_schemas(value: Option<&Value>) -> Message {
    let mut out = Message::default();
    for (name, found) in entries(value) {
        out.named(1, name, &schema(found));
    }
    out
}

fn schema(value: &Value) -> Message {
    let mut out = Message::default();
    out.text(1, value.str_at(&["$ref"]));
    out.text(2, value.str_at(&["format"]));
    out.text(4, value.str_at(&["description"]));
    if let Some(default) = value.get("default") {
        out.message(5, &any(default));
    }
    out.texts(19, value.items_at(&["required"]));
    for one in value.items_at(&["enum"]) {
        out.message(20, &any(one));
    }
    if let Some(found) = value.get("additionalProperties") {
        out.message(21, &wrapped(1, schema(found)));
    }
    if let Some(ty) = value.get("type") {
        let mut types = Message::default();
        types.text(1, ty.as_str().unwrap_or_default());
        out.message(22, &types);
    }
    if let Some(found) = value.get("items") {
        out.message(23, &wrapped(1, schema(found)));
    }
    if let Some(properties) = value.get("properties") {
        out.message(25, &named_schemas(Some(properties)));
    }
    extensions(&mut out, 31, value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn messages_are_framed() {
        let found = document(&value!({"swagger": "2.0", "definitions": {"A": {"type": "object"}}}));
        let expected = b"\x0a\x032.0\x12\x00\x42\x00\x4a\x12\x0a\x10\x0a\x01A\x12\x0b\xb2\x01\x08\x0a\x06object";
        assert_eq!(found, expected, "{found:02x?}");
    }
}
