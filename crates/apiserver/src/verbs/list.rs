//! GET of a collection.

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
    let query = options::list(resource, &request.info.namespace, &request.query)?;
    let listed = server.registry.list(resource, &query).await?;
    present::list(&server.registry, resource, form, &request.query, listed)
}
