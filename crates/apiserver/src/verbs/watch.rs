//! GET of a collection with `watch=true`, as a stream of HTTP or over a WebSocket.

use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::websocket::Wish;
use crate::{negotiate, options, present};
use futures::StreamExt as _;
use meta::Status;
use registry::Resource;
use std::sync::Arc;

pub(crate) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    mut request: Request,
) -> Result<Answer, Status> {
    let form = negotiate::accept(&request.headers)?;
    let wish = Wish::take(&mut request)?;
    let info = &request.info;
    let query = options::watch(resource, &info.namespace, &info.name, &request.query)?;
    let timeout = options::watch_timeout(&request.query, server.registry.rng())?;
    let clock = server.registry.clock().clone();
    let notices = server.registry.watch(resource.clone(), query).await?;
    let end = Box::pin(async move { clock.sleep(timeout).await });
    let notices = notices.take_until(end).boxed();
    let answer = present::watch(&server.registry, resource, form, &request.query, notices)?;
    match wish {
        Some(wish) => wish.watch(answer, server.registry.clock()),
        None => Ok(answer),
    }
}
