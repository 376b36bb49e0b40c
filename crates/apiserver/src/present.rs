//! From objects to what the client asked to read: plain, as a table, or
//! metadata only; one, a list, or the events of a watch.

use crate::answer::{Answer, Body};
use crate::negotiate::{Form, Shape};
use crate::request::Query;
use crate::table;
use bytes::Bytes;
use codec::protobuf;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::StatusCode;
use http::header::HeaderValue;
use meta::object::Object as _;
use meta::{Map, Reason, Status, Value, value};
use registry::{Format, Listed, Notice, NoticeKind, Registry, Resource, Stored, Written};
use std::sync::Arc;

/// How much of a list is written at once, in bytes.
const PIECE: usize = 64 * 1024;

/// One object that is a tree already.
pub(crate) fn one(
    registry: &Registry,
    resource: &Resource,
    form: Form,
    query: &Query,
    code: StatusCode,
    object: Value,
) -> Result<Answer, Status> {
    let object = match form.shape {
        Shape::Object => object,
        Shape::Table => {
            let revision = object.resource_version().to_string();
            table::of(
                resource,
                &[object],
                &revision,
                table::include(query)?,
                registry.clock().wall(),
            )
        }
        Shape::Metadata => metadata_only(&object),
        Shape::MetadataList => return Err(not_acceptable()),
    };
    Ok(written(form, code, &object))
}

/// One object as it is stored: nothing is parsed when it is wanted plain.
pub(crate) fn stored(
    registry: &Registry,
    resource: &Resource,
    form: Form,
    query: &Query,
    object: &Stored,
) -> Result<Answer, Status> {
    if is_as_stored(form, resource) {
        return Ok(Answer::json(StatusCode::OK, object.whole(&resource.layout)));
    }
    let object = registry.serve(resource, object)?;
    one(registry, resource, form, query, StatusCode::OK, object)
}

/// One object after a write.
pub(crate) fn outcome(
    registry: &Registry,
    resource: &Resource,
    form: Form,
    query: &Query,
    written: Written,
) -> Result<Answer, Status> {
    let code = match written.created {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    match written.as_stored() {
        Some(stored) if is_as_stored(form, resource) => {
            Ok(Answer::json(code, stored.whole(&resource.layout)))
        }
        _ => {
            let object = written.into_object(resource)?;
            one(registry, resource, form, query, code, object)
        }
    }
}

/// Whether what is asked for is what lies in the store.
fn is_as_stored(form: Form, resource: &Resource) -> bool {
    form.shape == Shape::Object && form.format == Format::Json && resource.kind.hub().is_none()
}

fn not_acceptable() -> Status {
    Status::new(
        Reason::NotAcceptable,
        "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    )
}

/// An error in the format that was asked for.
pub(crate) fn status(form: Form, status: Status) -> Answer {
    match form.format {
        Format::Json => status.into(),
        _ => {
            let plain = Answer::from(status.clone());
            let mut answer = written(form, plain.status, &status.to_value());
            for (name, value) in &plain.headers {
                if !answer.headers.contains_key(name) {
                    answer.headers.append(name, value.clone());
                }
            }
            answer
        }
    }
}

const PROTOBUF: HeaderValue = HeaderValue::from_static(protobuf::MEDIA_TYPE);

/// An object in its envelope. One that has no such form, as a table, should not
/// have been asked for.
fn message(object: &Value) -> Result<Vec<u8>, Status> {
    let (version, kind) = (object.str_at(&["apiVersion"]), object.str_at(&["kind"]));
    let schema = api::schema::of(version, kind).ok_or_else(not_acceptable)?;
    // `APIVersions` does not say in JSON what it is a version of.
    let version = if version.is_empty() { "v1" } else { version };
    protobuf::encode(object, version, kind, schema).map_err(Status::internal)
}

/// An object in the format that was asked for.
pub(crate) fn written(form: Form, code: StatusCode, object: &Value) -> Answer {
    match form.format {
        Format::Json => Answer::object(code, object),
        Format::Yaml => {
            let yaml = HeaderValue::from_static("application/yaml");
            Answer::new(code, yaml, Body::Full(codec::yaml::write(object).into()))
        }
        Format::Protobuf => match message(object) {
            Ok(message) => Answer::new(code, PROTOBUF, Body::Full(message.into())),
            Err(status) => status.into(),
        },
    }
}

fn metadata_only(object: &Value) -> Value {
    value!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_else(Value::object)
    })
}

/// A list.
pub(crate) fn list(
    registry: &Arc<Registry>,
    resource: &Arc<Resource>,
    form: Form,
    query: &Query,
    listed: Listed,
) -> Result<Answer, Status> {
    if is_as_stored(form, resource) {
        return Ok(plain_list(resource, listed));
    }
    if form.format == Format::Protobuf && form.shape == Shape::Object {
        return message_list(registry, resource, listed);
    }
    let objects: Result<Vec<Value>, Status> = listed
        .items
        .iter()
        .map(|o| registry.serve(resource, o))
        .collect();
    let objects = objects?;
    let metadata = list_metadata(&listed);
    let card = resource.card();
    let object = match form.shape {
        Shape::Table => {
            let include = table::include(query)?;
            let mut table = table::of(resource, &objects, "", include, registry.clock().wall());
            table.make_object().insert("metadata", metadata);
            table
        }
        Shape::Metadata | Shape::MetadataList => value!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "items": Value::Array(objects.iter().map(metadata_only).collect())
        }),
        Shape::Object => {
            let items = objects.into_iter().map(|mut object| {
                // Items of custom lists say each what they are.
                if !card.is_custom() {
                    object.remove_at(&["kind"]);
                    object.remove_at(&["apiVersion"]);
                }
                object
            });
            value!({
                "kind": resource.kind.list_kind(), "apiVersion": card.group_version().to_string(),
                "metadata": metadata, "items": Value::Array(items.collect())
            })
        }
    };
    Ok(written(form, StatusCode::OK, &object))
}

fn list_metadata(listed: &Listed) -> Value {
    let mut metadata = Map::new();
    metadata.insert("resourceVersion", listed.revision.to_string());
    if !listed.continue_token.is_empty() {
        metadata.insert("continue", listed.continue_token.as_str());
    }
    if let Some(remaining) = listed.remaining {
        metadata.insert("remainingItemCount", remaining as i64);
    }
    Value::Object(metadata)
}

/// A list that is assembled from stored bytes while it is sent.
fn plain_list(resource: &Resource, listed: Listed) -> Answer {
    let card = resource.card();
    let metadata = list_metadata(&listed).to_json();
    let head = format!(
        "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
        resource.kind.list_kind(),
        card.group_version()
    );
    // Items of custom lists say each what they are.
    let layout = card.is_custom().then(|| resource.layout.clone());
    let mut items = listed.items.into_iter().peekable();
    let mut first = Some(head.into_bytes());
    let mut ended = false;
    let pieces = std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let mut piece = first
            .take()
            .unwrap_or_else(|| Vec::with_capacity(PIECE + 8192));
        while piece.len() < PIECE {
            let Some(item) = items.next() else {
                piece.extend_from_slice(b"]}\n");
                ended = true;
                break;
            };
            match &layout {
                Some(layout) => item.write_alone(layout, &mut piece),
                None => item.write_item(&mut piece),
            }
            if items.peek().is_some() {
                piece.push(b',');
            }
        }
        Some(Bytes::from(piece))
    });
    let json = HeaderValue::from_static("application/json");
    let body = Body::Pieces(futures::stream::iter(pieces).boxed());
    Answer::new(StatusCode::OK, json, body)
}

/// A list as a message: its length stands in front of it, so all items are
/// written before the first is sent.
fn message_list(
    registry: &Registry,
    resource: &Resource,
    listed: Listed,
) -> Result<Answer, Status> {
    let card = resource.card();
    let schema = card.schema.as_static().ok_or_else(not_acceptable)?;
    let mut items = Vec::with_capacity(listed.items.len());
    for item in &listed.items {
        let object = registry.serve(resource, item)?;
        items.push(protobuf::item(&object, schema).map_err(Status::internal)?);
    }
    let pieces = protobuf::list(
        &card.group_version().to_string(),
        &resource.kind.list_kind(),
        &list_metadata(&listed),
        &api::generated::meta_v1::LIST_META,
        items,
    );
    let pieces = pieces.map_err(Status::internal)?;
    let pieces = futures::stream::iter(pieces.into_iter().map(Bytes::from));
    Ok(Answer::new(
        StatusCode::OK,
        PROTOBUF,
        Body::Pieces(pieces.boxed()),
    ))
}

/// The events of a watch.
pub(crate) fn watch(
    registry: &Arc<Registry>,
    resource: &Arc<Resource>,
    form: Form,
    query: &Query,
    notices: BoxStream<'static, Notice>,
) -> Result<Answer, Status> {
    if form.format == Format::Yaml {
        return Err(not_acceptable());
    }
    let notices = match form.shape {
        Shape::Object => notices,
        Shape::Metadata => notices
            .map(|notice| reshaped(notice, metadata_only))
            .boxed(),
        Shape::MetadataList => return Err(not_acceptable()),
        Shape::Table => {
            let (registry, resource) = (registry.clone(), resource.clone());
            let include = table::include(query)?;
            let mut first = true;
            notices
                .map(move |notice| {
                    let with_columns = std::mem::take(&mut first);
                    reshaped(notice, |object| {
                        let revision = object.resource_version().to_string();
                        let now = registry.clock().wall();
                        let mut table = table::of(
                            &resource,
                            std::slice::from_ref(object),
                            &revision,
                            include,
                            now,
                        );
                        if !with_columns {
                            table.make_object().insert("columnDefinitions", Value::Null);
                        }
                        table
                    })
                })
                .boxed()
        }
    };
    if form.format == Format::Protobuf {
        return Ok(message_watch(notices));
    }
    let json = HeaderValue::from_static("application/json");
    Ok(Answer::new(StatusCode::OK, json, Body::Notices(notices)))
}

/// The events of a watch as messages. It ends at an object that has no such
/// form, which none of ours is.
fn message_watch(notices: BoxStream<'static, Notice>) -> Answer {
    let frames = notices.map(|notice| {
        let object = codec::json::parse_value(&notice.object).map_err(Status::internal);
        object.and_then(|object| message(&object)).map_or_else(
            |status| Err(std::io::Error::other(status.message)),
            |message| Ok(protobuf::event(notice.kind.as_str(), &message).into()),
        )
    });
    let media = HeaderValue::from_static("application/vnd.kubernetes.protobuf;stream=watch");
    Answer::new(StatusCode::OK, media, Body::Foreign(frames.boxed()))
}

fn reshaped(notice: Notice, shape: impl FnOnce(&Value) -> Value) -> Notice {
    if notice.kind == NoticeKind::Error {
        return notice;
    }
    match codec::json::parse_value(&notice.object) {
        Ok(object) => {
            let mut out = Vec::with_capacity(notice.object.len());
            shape(&object).write_object(&mut out);
            Notice::new(notice.kind, &out)
        }
        Err(_) => notice,
    }
}
