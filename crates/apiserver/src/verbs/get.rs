//! GET of one object.

use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::{negotiate, options, present};
use meta::Status;
use registry::Resource;
use std::sync::Arc;

pub(crate) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    request: Request,
) -> Result<Answer, Status> {
    let form = negotiate::accept(&request.headers)?;
    let info = &request.info;
    let version = request.query.get("resourceVersion");
    if !matches!(version, "" | "0") {
        let wanted = options::revision(version)?;
        server.registry.check_not_future(wanted).await?;
    }
    let stored = server
        .registry
        .get(resource, &info.namespace, &info.name)
        .await?;
    present::stored(&server.registry, resource, form, &request.query, &stored)
}
