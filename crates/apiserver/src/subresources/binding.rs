//! `pods/binding`: the scheduler's word on where a pod runs. Follows
//! pkg/registry/core/pod/storage/storage.go.

use super::admit;
use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::verbs::with_warnings;
use crate::{negotiate, options, present};
use http::StatusCode;
use meta::object::Object as _;
use meta::{Errors, Field, GroupResource, Status, Value, value};
use registry::{Call, Resource, Wanted, decode};
use std::sync::Arc;

pub(super) async fn serve(
    server: &Arc<Server>,
    _resource: &Arc<Resource>,
    request: Request,
) -> Result<Answer, Status> {
    let call = options::write(&request)?;
    let validation = options::validation(&request)?;
    let format = negotiate::content(&request.headers)?;
    let form = negotiate::plain(&request.headers);
    let kind = &api::core::binding::Binding;
    let mut binding = decode::decode(kind, &request.body, format, validation, &call)?;
    let name = request.info.name.clone();
    if binding.name() != name {
        let text = "name in URL does not match name in Binding object";
        return Err(Status::bad_request(text));
    }
    bind(server, &request, &call, &name, &mut binding).await?;
    let success = value!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(with_warnings(
        present::written(form, StatusCode::CREATED, &success),
        &call,
    ))
}

/// `POST bindings`: the same, with the pod's name in the body.
pub(super) async fn bind_named(
    server: &Arc<Server>,
    request: &Request,
    call: &Call<'_>,
    mut binding: Value,
) -> Result<Value, Status> {
    let name = binding.name().to_string();
    bind(server, request, call, &name, &mut binding).await?;
    Ok(
        value!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
    )
}

async fn bind(
    server: &Arc<Server>,
    request: &Request,
    call: &Call<'_>,
    name: &str,
    binding: &mut Value,
) -> Result<(), Status> {
    let Some(pods) = server.registry.any_version("", "pods") else {
        return Err(Status::no_such_path());
    };
    admit(server, call, request, binding).await?;
    validate(name, binding)?;
    let now = meta::time::seconds(server.registry.clock().wall());
    let resource = GroupResource::new("", "pods/binding");
    let change = |pod: &mut Value| {
        assign(pod, binding, &now).map_err(|why| Status::conflict(&resource, name, why))
    };
    let wanted = Wanted {
        uid: binding.uid(),
        resource_version: binding.resource_version(),
    };
    let (registry, namespace) = (&server.registry, &request.info.namespace);
    registry
        .rewrite(call, &pods, namespace, name, wanted, &change)
        .await
}

fn validate(name: &str, binding: &Value) -> Result<(), Status> {
    let target = Field::root(binding).get("target");
    let mut errors = Errors::new();
    let kind = target.get("kind");
    if !matches!(kind.str(), "" | "Node") {
        errors.push(kind.not_supported(&["Node", "<empty>"]));
    }
    if target.get("name").is_empty() {
        errors.push(target.get("name").required(""));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid(
            &meta::GroupVersionKind::new("", "v1", "Binding"),
            name,
            &errors,
        )),
    }
}

fn assign(pod: &mut Value, binding: &Value, now: &str) -> Result<(), String> {
    let name = pod.name();
    if pod.is_deleting() {
        return Err(format!(
            "pod {name} is being deleted, cannot be assigned to a host"
        ));
    }
    let assigned = pod.str_at(&["spec", "nodeName"]);
    if !assigned.is_empty() {
        return Err(format!(
            "pod {name} is already assigned to node \"{assigned}\""
        ));
    }
    if !pod.items_at(&["spec", "schedulingGates"]).is_empty() {
        return Err(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    pod.set_at(&["spec", "nodeName"], binding.str_at(&["target", "name"]));
    for part in ["annotations", "labels"] {
        let extra = binding
            .metadata()
            .and_then(|m| m.get(part))
            .and_then(Value::as_object);
        for (key, value) in extra.into_iter().flat_map(|m| m.iter()) {
            pod.metadata_mut()
                .object(part)
                .insert(key.clone(), value.clone());
        }
    }
    set_scheduled(pod, now);
    Ok(())
}

/// Says that the pod is scheduled, in the place of what was said of it before.
/// Follows UpdatePodCondition of pkg/api/pod/util.go.
fn set_scheduled(pod: &mut Value, now: &str) {
    let status = pod.make_object().object("status");
    status.remove("nominatedNodeName");
    let conditions = status.entry("conditions").make_array();
    let found = conditions
        .iter_mut()
        .find(|c| c.str_at(&["type"]) == "PodScheduled");
    let since = match &found {
        Some(known) if known.str_at(&["status"]) == "True" => known.str_at(&["lastTransitionTime"]),
        _ => now,
    };
    let condition = value!({
        "type": "PodScheduled", "status": "True", "lastTransitionTime": since,
    });
    match found {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
}
