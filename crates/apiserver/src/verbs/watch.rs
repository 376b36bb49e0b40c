//! GET of a collection with `watch=true`.

use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::{negotiate, options, present};
use futures::StreamExt as _;
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
    let query = options::watch(resource, &info.namespace, &info.name, &request.query)?;
    let timeout = options::watch_timeout(&request.query, server.registry.rng())?;
    let clock = server.registry.clock().clone();
    let notices = server.registry.watch(resource.clone(), query).await?;
    let end = Box::pin(async move { clock.sleep(timeout).await });
    let notices = notices.take_until(end).boxed();
    present::watch(&server.registry, resource, form, &request.query, notices)
}
