//! DELETE of one object or of a collection.

use super::with_warnings;
use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::{negotiate, options, present};
use http::StatusCode;
use meta::object::Object as _;
use meta::{Map, Status, Value, value};
use registry::{Deleted, Resource, decode};
use std::sync::Arc;

/// The body of a delete: `DeleteOptions`, or nothing.
fn body(request: &Request) -> Result<Option<Value>, Status> {
    if request.body.is_empty() {
        return Ok(None);
    }
    let mut value = decode::tree(
        &request.body,
        negotiate::content(&request.headers)?,
        "DeleteOptions",
        &api::generated::meta_v1::DELETE_OPTIONS,
    )?;
    match value.str_at(&["kind"]) {
        "" | "DeleteOptions" => {
            // What it does not know it ignores, as upstream does.
            codec::conform(&mut value, &api::generated::meta_v1::DELETE_OPTIONS)
                .map_err(|error| Status::bad_request(error.to_string()))?;
            Ok(Some(value))
        }
        other => Err(Status::bad_request(format!(
            "{other} in version {} cannot be handled as a DeleteOptions: no kind {} is registered for the internal version",
            meta::field::quote(value.str_at(&["apiVersion"])),
            meta::field::quote(other)
        ))),
    }
}

pub(crate) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    request: Request,
) -> Result<Answer, Status> {
    let form = negotiate::accept(&request.headers)?;
    let mut call = options::write(&request)?;
    let delete = options::delete(&request.query, body(&request)?.as_ref(), &mut call)?;
    let info = &request.info;
    let deleted = server
        .registry
        .delete(&call, resource, &info.namespace, &info.name, &delete)
        .await?;
    let answer = match deleted {
        Deleted::Gone(object) if !resource.kind.returns_deleted() => {
            present::written(form, StatusCode::OK, &success(resource, &object))
        }
        deleted => present::one(
            &server.registry,
            resource,
            form,
            &request.query,
            StatusCode::OK,
            deleted.object(),
        )?,
    };
    Ok(with_warnings(answer, &call))
}

fn success(resource: &Resource, object: &Value) -> Value {
    let card = resource.card();
    let mut details = Map::new();
    details.insert("name", object.name());
    if !card.group.is_empty() {
        details.insert("group", card.group);
    }
    details.insert("kind", card.plural);
    details.insert("uid", object.uid());
    value!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

pub(crate) async fn serve_collection(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    request: Request,
) -> Result<Answer, Status> {
    let form = negotiate::accept(&request.headers)?;
    let mut call = options::write(&request)?;
    let delete = options::delete(&request.query, body(&request)?.as_ref(), &mut call)?;
    options::check_list(&request.query)?;
    let selection = options::selection(resource, &request.info.namespace, "", &request.query)?;
    let deleted = server
        .registry
        .delete_collection(&call, resource, &selection, &delete)
        .await?;
    let card = resource.card();
    let items = deleted.into_iter().map(|mut object| {
        object.remove_at(&["kind"]);
        object.remove_at(&["apiVersion"]);
        object
    });
    let revision = server.registry.seen().get();
    let list = value!({
        "kind": format!("{}List", card.kind), "apiVersion": card.group_version().to_string(),
        "metadata": {"resourceVersion": revision.to_string()}, "items": Value::Array(items.collect())
    });
    Ok(with_warnings(
        present::written(form, StatusCode::OK, &list),
        &call,
    ))
}
