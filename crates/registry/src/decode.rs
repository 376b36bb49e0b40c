//! From a request's body to a tree that conforms to its kind. Codes and words
//! follow apiserver's pkg/endpoints/handlers/rest.go and runtime/serializer/json.

mod places;

use crate::Call;
use api::{Card, Kind};
use codec::protobuf;
use meta::object::Object as _;
use meta::schema::Struct;
use meta::{Errors, FieldError, GroupVersion, GroupVersionKind, Path, Status, Value};
use places::places;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
    /// `application/vnd.kubernetes.protobuf`
    Protobuf,
}

/// What becomes of unknown and duplicate fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// Dropped in silence.
    Ignore,
    /// Dropped, and the client is told.
    #[default]
    Warn,
    /// Refused.
    Strict,
}

/// Reads an object of this kind.
pub fn decode(
    kind: &dyn Kind,
    body: &[u8],
    format: Format,
    validation: Validation,
    call: &Call<'_>,
) -> Result<Value, Status> {
    let card = kind.card();
    let (mut object, twice) = read(card, body, format)?;
    // Go reads null into whatever is empty.
    if object.is_null() {
        object = Value::object();
    }
    check_type(card, &object)?;
    let unknown = conform(kind, &mut object)?;
    let unknown = unknown
        .into_iter()
        .map(|path| format!("unknown field \"{path}\""));
    let mut odd: Vec<String> = twice.into_iter().chain(unknown).collect();
    if odd.len() > 1 && format == Format::Json {
        let places = places(body);
        odd.sort_by_key(|words| places.get(path_in(words)).copied());
    }
    settle(card, validation, odd, call)?;
    Ok(object)
}

/// The path in words about a field.
fn path_in(words: &str) -> &str {
    let path = words.split_once('"').map_or("", |(_, path)| path);
    path.trim_end_matches('"')
}

/// Reads what is no object of a kind: options, reviews of other paths, scales.
/// The tree has yet to be made conform to its schema.
pub fn tree(
    body: &[u8],
    format: Format,
    kind: &str,
    schema: &'static Struct,
) -> Result<Value, Status> {
    match format {
        Format::Json => codec::json::parse_value(body).map_err(bad),
        Format::Yaml => codec::yaml::parse(std::str::from_utf8(body).map_err(bad)?).map_err(bad),
        Format::Protobuf => {
            let envelope = protobuf::decode(body).map_err(bad)?;
            message(&envelope, "", kind, schema).map_err(bad)
        }
    }
}

fn bad(error: impl std::fmt::Display) -> Status {
    Status::bad_request(error.to_string())
}

/// The tree of an object in its envelope. One that says that it is something
/// else is left empty, so that whoever checks its type can complain of it.
fn message(
    envelope: &protobuf::Envelope<'_>,
    api_version: &str,
    kind: &str,
    schema: &'static Struct,
) -> Result<Value, protobuf::Error> {
    let says = |said: &str, expected: &str| said.is_empty() || said == expected;
    let is_other = !says(&envelope.kind, kind)
        || !(api_version.is_empty() || says(&envelope.api_version, api_version));
    let mut object = match is_other {
        true => Value::object(),
        false => protobuf::decode_message_with(envelope.raw, schema, &api::schema::of)?,
    };
    let map = object.make_object();
    for (key, said) in [
        ("apiVersion", &envelope.api_version),
        ("kind", &envelope.kind),
    ] {
        if !said.is_empty() {
            map.insert(key, said.as_str());
        }
    }
    Ok(object)
}

/// Makes a tree conform to its kind and names it; gives the unknown fields.
pub fn conform(kind: &dyn Kind, object: &mut Value) -> Result<Vec<String>, Status> {
    let card = kind.card();
    let mut unknown =
        codec::conform(object, &card.schema).map_err(|e| cannot_be_handled(card, card.kind, &e))?;
    unknown.extend(kind.prune(object));
    object.set_gvk(&card.gvk());
    Ok(unknown)
}

/// Refuses or tells of fields that are odd.
pub fn settle(
    card: &Card,
    validation: Validation,
    odd: Vec<String>,
    call: &Call<'_>,
) -> Result<(), Status> {
    match validation {
        Validation::Ignore => {}
        Validation::Warn => odd.into_iter().for_each(|warning| call.warn(warning)),
        Validation::Strict if odd.is_empty() => {}
        Validation::Strict => {
            let why = format!("strict decoding error: {}", odd.join(", "));
            return Err(cannot_be_handled(card, card.kind, &why));
        }
    }
    Ok(())
}

/// The tree of a body, and words for each key that stands twice in it.
fn read(card: &Card, body: &[u8], format: Format) -> Result<(Value, Vec<String>), Status> {
    match format {
        Format::Json => match codec::json::parse(body) {
            Ok(parsed) => {
                let twice = parsed.duplicates.into_iter();
                let twice = twice.map(|path| format!("duplicate field \"{path}\""));
                Ok((parsed.value, twice.collect()))
            }
            Err(error) => Err(unrecognized(
                card,
                body,
                &format!("couldn't get version/kind; json parse error: {error}"),
            )),
        },
        Format::Yaml => {
            let text =
                std::str::from_utf8(body).map_err(|e| unrecognized(card, body, &e.to_string()))?;
            let (value, twice) = codec::yaml::parse_lenient(text)
                .map_err(|e| unrecognized(card, body, &e.to_string()))?;
            Ok((value, twice.into_iter().collect()))
        }
        Format::Protobuf => {
            let envelope =
                protobuf::decode(body).map_err(|e| unrecognized(card, body, &e.to_string()))?;
            let version = card.group_version().to_string();
            let Some(schema) = card.schema.as_static() else {
                return Err(unrecognized(card, body, &"it has no such form"));
            };
            let object = message(&envelope, &version, card.kind, schema)
                .map_err(|e| cannot_be_handled(card, card.kind, &e))?;
            Ok((object, Vec::new()))
        }
    }
}

/// `the object provided is unrecognized (must be of type Pod): why (7b22…)`
fn unrecognized(card: &Card, body: &[u8], why: &str) -> Status {
    let shown = match body {
        [] => "<empty>".to_string(),
        body => {
            let hex: String = body.iter().take(30).map(|b| format!("{b:02x}")).collect();
            if body.len() > 30 {
                format!("{hex} ...")
            } else {
                hex
            }
        }
    };
    let kind = card.kind;
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {why} ({shown})"
    ))
}

fn cannot_be_handled(card: &Card, found: &str, why: &dyn std::fmt::Display) -> Status {
    let (version, kind) = (card.version, card.kind);
    Status::bad_request(format!(
        "{found} in version \"{version}\" cannot be handled as a {kind}: {why}"
    ))
}

/// The body must be an object that says it is of this kind, or does not say.
fn check_type(card: &Card, object: &Value) -> Result<(), Status> {
    if object.as_object().is_none() {
        let found = object.kind_name();
        let why = format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
        );
        return Err(unrecognized(card, object.to_json().as_bytes(), &why));
    }
    let (version, kind) = (object.str_at(&["apiVersion"]), object.str_at(&["kind"]));
    let expected = card.group_version().to_string();
    if card.is_custom() {
        return check_custom_type(card, object, &expected);
    }
    if !version.is_empty() && version != expected {
        let group = GroupVersion::parse(version)
            .map(|gv| gv.group.to_string())
            .unwrap_or_default();
        if kind.is_empty() || group == card.group || kind == card.kind {
            return Err(Status::bad_request(format!(
                "the API version in the data ({version}) does not match the expected API version ({expected})"
            )));
        }
    }
    if !kind.is_empty() && kind != card.kind {
        let from = version.rsplit('/').next().unwrap_or_default();
        let why = format!(
            "converting ({from}.{kind}) to ({}.{}): unknown conversion",
            internal(card),
            card.kind
        );
        return Err(cannot_be_handled(card, kind, &why));
    }
    Ok(())
}

/// A custom resource must say what it is. Follows apimachinery's
/// pkg/apis/meta/v1/unstructured/unstructuredscheme and
/// pkg/registry/customresource/validator.go of apiextensions-apiserver.
fn check_custom_type(card: &Card, object: &Value, expected: &str) -> Result<(), Status> {
    let (version, kind) = (object.str_at(&["apiVersion"]), object.str_at(&["kind"]));
    if kind.is_empty() {
        let why = "Object 'Kind' is missing in 'unstructured object has no kind'";
        return Err(Status::bad_request(why));
    }
    if version != expected {
        return Err(Status::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({expected})"
        )));
    }
    if kind != card.kind {
        let must = format!("must be {}", card.kind);
        let error = FieldError::invalid(&Path::new("kind"), kind, must);
        let found = GroupVersionKind::new(card.group, card.version, kind);
        return Err(Status::invalid(&found, object.name(), &Errors(vec![error])));
    }
    Ok(())
}

/// The package of upstream's internal types.
fn internal(card: &Card) -> &str {
    match card.group {
        "" => "core",
        group => group.split('.').next().unwrap_or(group),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::core::configmap::ConfigMap;

    fn check(body: &str, validation: Validation, expected: &str, warnings: &[&str]) {
        let user = auth::User::anonymous();
        let call = Call::new(&user);
        let shown = match decode(&ConfigMap, body.as_bytes(), Format::Json, validation, &call) {
            Ok(object) => object.to_json(),
            Err(status) => format!("{} {}", status.code, status.message),
        };
        assert_eq!(shown, expected);
        assert_eq!(call.take_warnings(), warnings);
    }

    #[test]
    fn bodies_are_read_or_refused_as_upstream_does() {
        use Validation::{Ignore, Strict, Warn};
        let ok = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#;
        check(
            r#"{"metadata":{"name":"a","nam":"b"},"data":{}}"#,
            Ignore,
            ok,
            &[],
        );
        check(
            r#"{"metadata":{"name":"a","nam":"b"}}"#,
            Warn,
            ok,
            &["unknown field \"metadata.nam\""],
        );
        check(
            r#"{"metadata":{"name":"b","name":"a"},"x":1}"#,
            Strict,
            r#"400 ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "metadata.name", unknown field "x""#,
            &[],
        );
        check(
            "{",
            Warn,
            "400 the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (7b)",
            &[],
        );
        check(
            r#"{"kind":"Pod","apiVersion":"v1"}"#,
            Warn,
            r#"400 Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion"#,
            &[],
        );
        check(
            r#"{"kind":"ConfigMap","apiVersion":"v2"}"#,
            Warn,
            "400 the API version in the data (v2) does not match the expected API version (v1)",
            &[],
        );
        check(
            r#"{"data":{"a":1}}"#,
            Warn,
            r#"400 ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number 1 into Go struct field ConfigMap.data of type string"#,
            &[],
        );
    }
}
