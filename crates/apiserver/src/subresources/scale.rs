//! `scale`: how many replicas, whatever the kind. The body is an
//! `autoscaling/v1` Scale; it is read from and written to the object's spec.

use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::verbs::{self, with_warnings};
use crate::{negotiate, options};
use api::Door;
use codec::patch;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use meta::object::Object as _;
use meta::{Errors, Field, GroupVersionKind, LabelSelector, Map, Status, Value, value};
use registry::{Aim, Call, Resource, decode};
use std::sync::Arc;

pub(super) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    request: Request,
) -> Result<Answer, Status> {
    let form = negotiate::accept(&request.headers)?;
    let call = options::write(&request)?;
    let info = &request.info;
    let scale = match info.verb {
        "get" => scale_of(
            resource,
            &server
                .registry
                .get_value(resource, &info.namespace, &info.name)
                .await?,
        ),
        "update" => {
            let format = negotiate::content(&request.headers)?;
            let wanted = read(&request.body, format)?;
            verbs::update::check_name(&wanted, &info.name)?;
            write(server, resource, &request, &call, &|_| Ok(wanted.clone())).await?
        }
        _ => {
            let change = patched(&request)?;
            write(server, resource, &request, &call, &change).await?
        }
    };
    Ok(with_warnings(
        crate::present::written(form, StatusCode::OK, &scale),
        &call,
    ))
}

fn read(body: &[u8], format: registry::Format) -> Result<Value, Status> {
    let schema = &api::generated::autoscaling_v1::SCALE;
    let mut scale = decode::tree(body, format, "Scale", schema)?;
    conform(&mut scale)?;
    Ok(scale)
}

fn conform(scale: &mut Value) -> Result<(), Status> {
    codec::conform(scale, &api::generated::autoscaling_v1::SCALE)
        .map(|_| ())
        .map_err(|e| {
            Status::bad_request(format!(
                "Scale in version \"v1\" cannot be handled as a Scale: {e}"
            ))
        })
}

/// What a patch makes of a scale.
fn patched(
    request: &Request,
) -> Result<impl Fn(&Value) -> Result<Value, Status> + Send + Sync + use<>, Status> {
    let kind = request
        .headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
        .to_string();
    let patch = codec::json::parse_value(&request.body)
        .map_err(|e| Status::bad_request(format!("error decoding patch: {e}")))?;
    Ok(move |scale: &Value| {
        let mut scale = scale.clone();
        let outcome = match kind.split(';').next().unwrap_or_default() {
            "application/json-patch+json" => patch::json::apply(&mut scale, &patch),
            "application/merge-patch+json" => {
                patch::merge::apply(&mut scale, patch.clone());
                Ok(())
            }
            "application/strategic-merge-patch+json" => patch::strategic::apply(
                &mut scale,
                patch.clone(),
                &api::generated::autoscaling_v1::SCALE,
            ),
            _ => {
                return Err(Status::new(
                    meta::Reason::UnsupportedMediaType,
                    "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json",
                ));
            }
        };
        outcome.map_err(|e| Status::bad_request(e.to_string()))?;
        conform(&mut scale)?;
        Ok(scale)
    })
}

async fn write(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    request: &Request,
    call: &Call<'_>,
    change: &(dyn Fn(&Value) -> Result<Value, Status> + Send + Sync),
) -> Result<Value, Status> {
    let name = request.info.name.as_str();
    let apply = |object: Option<&Value>| {
        let Some(object) = object else {
            return Err(Status::not_found(&resource.card().group_resource(), name));
        };
        let scale = change(&scale_of(resource, object))?;
        validate(name, &scale)?;
        let mut object = object.clone();
        let version = scale.resource_version();
        if version.is_empty() {
            object.metadata_mut().remove("resourceVersion");
        } else {
            object.metadata_mut().insert("resourceVersion", version);
        }
        let replicas = scale.i64_at(&["spec", "replicas"]).unwrap_or(0);
        match resource.kind.scale() {
            Some(paths) => object.set_at(&names(&paths.spec), replicas),
            None => object.set_at(&["spec", "replicas"], replicas),
        }
        Ok(object)
    };
    let aim = Aim {
        namespace: &request.info.namespace,
        name,
        door: Door::Other("scale"),
        owns_fields: false,
        follows: true,
        may_create: false,
    };
    let written = server.registry.update(call, resource, aim, &apply).await?;
    Ok(scale_of(resource, &written.into_object(resource)?))
}

fn validate(name: &str, scale: &Value) -> Result<(), Status> {
    let replicas = Field::root(scale).at(&["spec", "replicas"]);
    let mut errors = Errors::new();
    if replicas.int() < 0 {
        errors.push(replicas.invalid("must be greater than or equal to 0"));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid(
            &GroupVersionKind::new("autoscaling", "v1", "Scale"),
            name,
            &errors,
        )),
    }
}

/// A chain of fields.
fn names(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// What runs, as text: where a kind says so, else the selector of its spec.
fn selector(resource: &Resource, object: &Value) -> String {
    if let Some(paths) = resource.kind.scale() {
        return match paths.selector.is_empty() {
            true => String::new(),
            false => object.str_at(&names(&paths.selector)).to_string(),
        };
    }
    let selector = match object.at(&["spec", "selector"]) {
        Some(s) if s.get("matchLabels").is_some() || s.get("matchExpressions").is_some() => {
            LabelSelector::from_object(Some(s))
        }
        Some(labels) => LabelSelector::from_map(labels),
        None => LabelSelector::nothing(),
    };
    selector.to_string()
}

fn scale_of(resource: &Resource, object: &Value) -> Value {
    let mut metadata = Map::new();
    for key in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if let Some(value) = object.metadata().and_then(|m| m.get(key)) {
            metadata.insert(key, value.clone());
        }
    }
    let mut spec = Map::new();
    let paths = resource.kind.scale();
    let count = |part: &str| match paths {
        Some(paths) if part == "spec" => object.i64_at(&names(&paths.spec)),
        Some(paths) => object.i64_at(&names(&paths.status)),
        None => object.i64_at(&[part, "replicas"]),
    };
    if let Some(replicas) = count("spec").filter(|n| *n != 0) {
        spec.insert("replicas", replicas);
    }
    let mut status = Map::new();
    status.insert("replicas", count("status").unwrap_or(0));
    let selector = selector(resource, object);
    if !selector.is_empty() {
        status.insert("selector", selector);
    }
    value!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status
    })
}
