//! The verbs on objects and collections, a file each.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod patch;
pub(crate) mod update;
pub(crate) mod watch;

use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::{negotiate, present};
use meta::{Reason, Status};
use registry::{Call, Resource};
use std::sync::Arc;

/// Serves a request about a resource itself.
pub(crate) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    request: Request,
) -> Result<Answer, Status> {
    let info = &request.info;
    let (verb, card) = (info.verb, resource.card());
    let names_place = !card.namespaced || !info.namespace.is_empty();
    let is_served = card.verbs.names().contains(&verb);
    let is_collection = info.name.is_empty();
    match (verb, is_collection) {
        _ if !names_place && !is_collection => Err(Status::no_such_path()),
        _ if !is_served => Ok(not_allowed(&request)),
        ("list", true) => list::serve(server, resource, request).await,
        ("watch", _) => watch::serve(server, resource, request).await,
        _ if !names_place => Ok(not_allowed(&request)),
        ("create", true) => create::serve(server, resource, request).await,
        ("deletecollection", true) => delete::serve_collection(server, resource, request).await,
        ("get", false) => get::serve(server, resource, request).await,
        ("update", false) => update::serve(server, resource, request, api::Door::Main).await,
        ("patch", false) => patch::serve(server, resource, request, api::Door::Main).await,
        ("delete", false) => delete::serve(server, resource, request).await,
        _ => Ok(not_allowed(&request)),
    }
}

/// 405
pub(crate) fn not_allowed(request: &Request) -> Answer {
    let message = "the server does not allow this method on the requested resource";
    let status = Status::new(Reason::MethodNotAllowed, message);
    present::status(negotiate::plain(&request.headers), status)
}

/// Puts the warnings that a call has collected into headers, as RFC 7234 has it.
pub(crate) fn with_warnings(answer: Answer, call: &Call<'_>) -> Answer {
    let warnings = call.take_warnings().into_iter();
    warnings.fold(answer, |answer, warning| with_warning(answer, &warning))
}

/// Puts one warning into a header.
pub(crate) fn with_warning(answer: Answer, warning: &str) -> Answer {
    let text: String = warning
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
    answer.with("warning", &format!("299 - \"{quoted}\""))
}
