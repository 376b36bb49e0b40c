//! POST to a collection.

use super::{with_warnings, write_code};
use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::{negotiate, options, present, subresources};
use api::Verbs;
use meta::Status;
use registry::{Resource, decode};
use std::sync::Arc;

pub(crate) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    request: Request,
) -> Result<Answer, Status> {
    let is_review = resource.card().verbs == Verbs::CreateOnly;
    let form = match is_review {
        true => negotiate::accept_without_table(&request.headers)?,
        false => negotiate::accept(&request.headers)?,
    };
    let call = options::write(&request)?;
    let validation = options::validation(&request)?;
    let format = negotiate::content(&request.headers)?;
    let object = decode::decode(&*resource.kind, &request.body, format, validation, &call)?;
    if is_review {
        let answered = subresources::review(server, resource, &request, &call, object).await?;
        return present::one(
            &server.registry,
            resource,
            form,
            &request.query,
            write_code(true),
            answered,
        )
        .map(|answer| with_warnings(answer, &call));
    }
    let written = server
        .registry
        .create(&call, resource, &request.info.namespace, object)
        .await?;
    let answer = present::one(
        &server.registry,
        resource,
        form,
        &request.query,
        write_code(written.created),
        written.object,
    )?;
    Ok(with_warnings(answer, &call))
}
