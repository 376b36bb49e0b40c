//! `nodes/proxy`: anything the kubelet serves.

use super::streams::kubelet_of;
use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use meta::Status;
use registry::Resource;
use std::sync::Arc;

pub(super) async fn serve(
    server: &Arc<Server>,
    _resource: &Arc<Resource>,
    request: Request,
) -> Result<Answer, Status> {
    let Some(address) = kubelet_of(server, &request.info.name).await? else {
        return Err(Status::no_such_path());
    };
    let path = format!("/{}", request.info.rest);
    server.kubelets.forward(&address, &path, request).await
}
