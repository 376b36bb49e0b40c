//! GET of one object.

use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::{negotiate, present};
use meta::Status;
use registry::Resource;
use std::sync::Arc;
use store::Revision;

pub(crate) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    request: Request,
) -> Result<Answer, Status> {
    let form = negotiate::accept(&request.headers)?;
    let info = &request.info;
    let version = request.query.get("resourceVersion");
    if let Some(wanted) = version
        .parse()
        .ok()
        .map(Revision)
        .filter(|r| *r > Revision::ZERO)
    {
        server.registry.check_not_future(wanted).await?;
    }
    let stored = server
        .registry
        .get(resource, &info.namespace, &info.name)
        .await?;
    present::stored(&server.registry, resource, form, &request.query, &stored)
}
