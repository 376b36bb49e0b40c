//! PATCH: JSON patch, merge patch, strategic merge patch and apply. Follows
//! apiserver's pkg/endpoints/handlers/patch.go.

use super::with_warnings;
use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::{negotiate, options, present};
use api::Door;
use codec::patch;
use http::header::CONTENT_TYPE;
use meta::field::ErrorKind;
use meta::object::Object as _;
use meta::{Errors, FieldError, GroupVersionKind, Path, Reason, Status, Value};
use registry::{Aim, Call, Resource, Validation, decode};
use std::sync::Arc;

/// How a patch says what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Merge,
    Strategic,
    Apply,
}

/// Go's name of what patches that are objects are read into.
const GO_MAP: &str = "map[string]interface {}";
/// Nothing says of a custom resource how a strategic patch merges its lists.
const CUSTOM_TYPES: &str =
    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
const TYPES: &str = "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml";

pub(crate) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    request: Request,
    door: Door,
) -> Result<Answer, Status> {
    let form = negotiate::accept(&request.headers)?;
    let call = options::write(&request)?;
    let validation = options::validation(&request)?;
    let kind = kind(resource, &request)?;
    check_options(kind, &request)?;
    let info = &request.info;
    let written = if kind == Kind::Apply {
        let config = read_apply(resource, &request, validation, &call)?;
        let force = request.query.is_true("force");
        let now = server.registry.clock().wall();
        let subresource = info.subresource.clone();
        let aim = Aim {
            namespace: &info.namespace,
            name: &info.name,
            door,
            owns_fields: true,
            follows: true,
            may_create: true,
        };
        let change = |live: Option<&Value>| {
            registry::applied(resource, &call, now, live, &config, &subresource, force)
        };
        server
            .registry
            .update(&call, resource, aim, &change)
            .await?
    } else {
        let (patch, found) = read(kind, &request.body)?;
        let odd = Odd {
            kind,
            patch: &patch,
            found: &found,
            validation,
        };
        let aim = Aim {
            namespace: &info.namespace,
            name: &info.name,
            door,
            owns_fields: false,
            follows: true,
            may_create: false,
        };
        let change = |old: Option<&Value>| {
            let Some(old) = old else {
                return Err(Status::not_found(
                    &resource.card().group_resource(),
                    &info.name,
                ));
            };
            let mut object = old.clone();
            patched(resource, kind, &mut object, &patch)?;
            odd.conform(resource, &mut object, &call)?;
            super::update::check_name(&object, &info.name)?;
            Ok(object)
        };
        server
            .registry
            .update(&call, resource, aim, &change)
            .await?
    };
    let answer = present::outcome(&server.registry, resource, form, &request.query, written)?;
    Ok(with_warnings(answer, &call))
}

fn kind(resource: &Resource, request: &Request) -> Result<Kind, Status> {
    let is_custom = resource.card().is_custom();
    let text = request
        .headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    match text.split(';').next().unwrap_or_default().trim() {
        "application/json-patch+json" => Ok(Kind::Json),
        "application/merge-patch+json" => Ok(Kind::Merge),
        "application/strategic-merge-patch+json" if !is_custom => Ok(Kind::Strategic),
        "application/apply-patch+yaml" => Ok(Kind::Apply),
        _ => Err(Status::new(
            Reason::UnsupportedMediaType,
            format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                if is_custom { CUSTOM_TYPES } else { TYPES }
            ),
        )),
    }
}

/// Only an apply can be forced, and it must say who applies.
fn check_options(kind: Kind, request: &Request) -> Result<(), Status> {
    let mut errors = Errors::new();
    let blame = |kind, field: &str, why: &str| FieldError::new(kind, &Path::new(field), "", why);
    if kind == Kind::Apply && request.query.get("fieldManager").is_empty() {
        errors.push(blame(
            ErrorKind::Required,
            "fieldManager",
            "is required for apply patch",
        ));
    }
    if kind != Kind::Apply && request.query.has("force") {
        errors.push(blame(
            ErrorKind::Forbidden,
            "force",
            "may not be specified for non-apply patch",
        ));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid(
            &GroupVersionKind::new("meta.k8s.io", "v1", "PatchOptions"),
            "",
            &errors,
        )),
    }
}

/// The patch, and what is odd about it: keys that stand twice, and those that
/// an operation of a JSON patch does not know.
fn read(kind: Kind, body: &[u8]) -> Result<(Value, Vec<String>), Status> {
    let unreadable = |why: &dyn std::fmt::Display| match kind {
        Kind::Strategic => Status::bad_request(why.to_string()),
        _ => Status::bad_request(format!("error decoding patch: {why}")),
    };
    let parsed = codec::json::parse(body).map_err(|e| unreadable(&e))?;
    let twice = parsed.duplicates.into_iter();
    let mut odd: Vec<String> = twice
        .map(|path| format!("duplicate field \"{path}\""))
        .collect();
    match (kind, &parsed.value) {
        (Kind::Json, Value::Array(operations)) => {
            odd.extend(patch::json::unknown_fields(operations));
            odd.iter_mut()
                .for_each(|words| words.insert_str(0, "json patch "));
        }
        (Kind::Json, other) => {
            let found = other.kind_name();
            return Err(unreadable(&format!(
                "json: cannot unmarshal {found} into Go value of type []handlers.jsonPatchOp"
            )));
        }
        (_, Value::Object(_)) => {}
        (_, other) => {
            let (found, into) = (other.kind_name(), GO_MAP);
            return Err(unreadable(&format!(
                "json: cannot unmarshal {found} into Go value of type {into}"
            )));
        }
    }
    Ok((parsed.value, odd))
}

/// What may be odd about a patch and what it makes of an object.
struct Odd<'a> {
    kind: Kind,
    patch: &'a Value,
    /// What is odd about the patch itself, in words.
    found: &'a [String],
    validation: Validation,
}

impl Odd<'_> {
    /// Makes the patched object conform to its kind, or says what is wrong.
    fn conform(
        &self,
        resource: &Resource,
        object: &mut Value,
        call: &Call<'_>,
    ) -> Result<(), Status> {
        let card = resource.card();
        let shown = match self.kind {
            Kind::Strategic => go_syntax(self.patch),
            _ => object.to_json(),
        };
        let mut unknown = codec::conform(object, &card.schema).map_err(|e| invalid(&shown, &e))?;
        unknown.extend(resource.kind.prune(object));
        object.set_gvk(&card.gvk());
        let unknown = unknown
            .iter()
            .map(|path| format!("unknown field \"{path}\""));
        let odd: Vec<String> = self.found.iter().cloned().chain(unknown).collect();
        match self.validation {
            Validation::Strict if !odd.is_empty() => {
                let why = format!("strict decoding error: {}", odd.join(", "));
                Err(invalid(&shown, &why))
            }
            Validation::Warn => {
                odd.into_iter().for_each(|warning| call.warn(warning));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// ` "" is invalid: patch: Invalid value: "…": why`
fn invalid(shown: &str, why: &dyn std::fmt::Display) -> Status {
    let error = FieldError::invalid(&Path::new("patch"), shown, why.to_string());
    let nameless = GroupVersionKind::new("", "", "");
    Status::invalid(&nameless, "", &Errors(vec![error]))
}

/// A tree as Go's `%+v` prints maps: `map[a:1 b:[x y]]`.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", go_syntax(value)))
                .collect();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_json(),
    }
}

fn patched(
    resource: &Resource,
    kind: Kind,
    object: &mut Value,
    patch: &Value,
) -> Result<(), Status> {
    match kind {
        Kind::Json => patch::json::apply(object, patch).map_err(refused),
        Kind::Merge => {
            patch::merge::apply(object, patch.clone());
            Ok(())
        }
        _ => {
            patch::strategic::apply(object, patch.clone(), &resource.card().schema).map_err(refused)
        }
    }
}

fn refused(error: patch::Error) -> Status {
    match error {
        patch::Error::Malformed(why) => Status::bad_request(why),
        patch::Error::TooLarge(why) => Status::new(
            Reason::RequestEntityTooLarge,
            format!("Request entity too large: {why}"),
        ),
        patch::Error::DoesNotApply(why) => Status::new(
            Reason::Invalid,
            "the server rejected our request due to an error in our request",
        )
        .cause("UnexpectedServerResponse", why, ""),
    }
}

/// The configuration of an apply: an object that says what it is, and nothing
/// that only the server writes.
fn read_apply(
    resource: &Resource,
    request: &Request,
    validation: Validation,
    call: &Call<'_>,
) -> Result<Value, Status> {
    let unreadable =
        |why: &dyn std::fmt::Display| Status::bad_request(format!("error decoding YAML: {why}"));
    let text = std::str::from_utf8(&request.body).map_err(|e| unreadable(&e))?;
    let (mut config, twice) = codec::yaml::parse_lenient(text).map_err(|e| unreadable(&e))?;
    if !matches!(config, Value::Null | Value::Object(_)) {
        let (found, into) = (config.kind_name(), GO_MAP);
        return Err(unreadable(&format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go value of type {into}"
        )));
    }
    check_config(resource, &config)?;
    let mut complaints = codec::apply::check(&config, &resource.card().schema);
    if complaints.is_empty() {
        let unknown = decode::conform(&*resource.kind, &mut config)?;
        let unknown = unknown.iter();
        complaints.extend(unknown.map(|path| format!(".{path}: field not declared in schema")));
    }
    if !complaints.is_empty() {
        return Err(untyped(resource, &config, &complaints));
    }
    match (validation, twice) {
        (Validation::Strict, Some(why)) => {
            return Err(Status::bad_request(format!(
                "error strict decoding YAML: error converting YAML to JSON: {why}"
            )));
        }
        (Validation::Warn, Some(why)) => {
            call.warn(format!("error converting YAML to JSON: {why}"));
        }
        _ => {}
    }
    if config.name().is_empty() {
        config
            .metadata_mut()
            .insert("name", request.info.name.as_str());
    }
    super::update::check_name(&config, &request.info.name)?;
    Ok(config)
}

/// A configuration says of what kind it is, and nothing of owners.
fn check_config(resource: &Resource, config: &Value) -> Result<(), Status> {
    let card = resource.card();
    match config.gvk() {
        Some(gvk) if gvk == card.gvk() => {}
        Some(gvk) => {
            let (found, wanted) = (gvk.group_version(), card.group_version());
            return Err(Status::bad_request(match gvk.kind == card.kind {
                true => format!(
                    "Incorrect version specified in apply patch. Specified patch version: {found}, expected: {wanted}"
                ),
                false => format!("invalid object type: {gvk}"),
            }));
        }
        None => return Err(Status::bad_request("invalid object type: /, Kind=")),
    }
    let managers = config.metadata().and_then(|m| m.get("managedFields"));
    match managers.is_none_or(Value::is_null) {
        true => Ok(()),
        false => Err(Status::bad_request("metadata.managedFields must be nil")),
    }
}

/// Follows structured-merge-diff's typed/helpers.go in how many errors are one.
fn untyped(resource: &Resource, config: &Value, complaints: &[String]) -> Status {
    let why = match complaints {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    let (namespace, name, gvk) = (config.namespace(), config.name(), resource.card().gvk());
    let message = format!("failed to create typed patch object ({namespace}/{name}; {gvk}): {why}");
    Status::new(Reason::Unknown, message)
}
