//! PUT of one object, or of one of its subresources that shares its kind.

use super::with_warnings;
use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::{negotiate, options, present};
use api::Door;
use meta::object::Object as _;
use meta::{Status, Value};
use registry::{Aim, Resource, decode};
use std::sync::Arc;

pub(crate) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    request: Request,
    door: Door,
) -> Result<Answer, Status> {
    let form = negotiate::accept(&request.headers)?;
    let call = options::write(&request)?;
    let validation = options::validation(&request)?;
    let format = negotiate::content(&request.headers)?;
    let object = decode::decode(&*resource.kind, &request.body, format, validation, &call)?;
    let info = &request.info;
    check_name(&object, &info.name)?;
    let aim = Aim {
        namespace: &info.namespace,
        name: &info.name,
        door,
        owns_fields: false,
        follows: false,
        may_create: false,
    };
    let change = |_: Option<&Value>| Ok(object.clone());
    let written = server
        .registry
        .update(&call, resource, aim, &change)
        .await?;
    let answer = present::outcome(&server.registry, resource, form, &request.query, written)?;
    Ok(with_warnings(answer, &call))
}

/// The object's name is the URL's.
pub(crate) fn check_name(object: &Value, name: &str) -> Result<(), Status> {
    match object.name() {
        "" => Err(Status::bad_request("name must be provided")),
        found if found != name => Err(Status::bad_request(format!(
            "the name of the object ({found}) does not match the name on the URL ({name})"
        ))),
        _ => Ok(()),
    }
}
