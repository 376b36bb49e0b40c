//! POST to a collection.

use super::with_warnings;
use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::{negotiate, options, present, subresources};
use api::Verbs;
use http::StatusCode;
use meta::Status;
use registry::{Resource, decode};
use std::sync::Arc;

pub(crate) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    mut request: Request,
) -> Result<Answer, Status> {
    // Nobody needs the text while the object is made durable.
    let body = std::mem::take(&mut request.body);
    let is_review = resource.card().verbs == Verbs::CreateOnly;
    let form = match is_review {
        true => negotiate::accept_without_table(&request.headers)?,
        false => negotiate::accept(&request.headers)?,
    };
    let call = options::write(&request)?;
    let validation = options::validation(&request)?;
    let format = negotiate::content(&request.headers)?;
    let object = decode::decode(&*resource.kind, &body, format, validation, &call)?;
    drop(body);
    if is_review {
        let answered = subresources::review(server, resource, &request, &call, object).await?;
        return present::one(
            &server.registry,
            resource,
            form,
            &request.query,
            StatusCode::CREATED,
            answered,
        )
        .map(|answer| with_warnings(answer, &call));
    }
    let written = server
        .registry
        .create(&call, resource, &request.info.namespace, object)
        .await?;
    let answer = present::outcome(&server.registry, resource, form, &request.query, written)?;
    Ok(with_warnings(answer, &call))
}
