//! `namespaces/finalize`: the namespace controller takes its finalizer away.

use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::verbs;
use api::Door;
use meta::Status;
use registry::Resource;
use std::sync::Arc;

pub(super) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    request: Request,
) -> Result<Answer, Status> {
    verbs::update::serve(server, resource, request, Door::Other("finalize")).await
}
