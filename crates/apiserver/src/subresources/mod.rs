//! Paths below an object, and the reviews: a file each and one table.

mod binding;
mod eviction;
mod finalize;
mod proxy;
mod reviews;
mod scale;
mod streams;
mod token;

use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::verbs;
use api::Door;
use futures::future::BoxFuture;
use http::Method;
use meta::object::Object as _;
use meta::{Status, Value};
use registry::{Call, Resource};
use std::sync::Arc;

type Handler = for<'a> fn(
    &'a Arc<Server>,
    &'a Arc<Resource>,
    Request,
) -> BoxFuture<'a, Result<Answer, Status>>;

/// The truly special ones, by group, resource and subresource.
const HANDLERS: &[(&str, &str, &str, Handler)] = &[
    ("", "namespaces", "finalize", |s, r, q| {
        Box::pin(finalize::serve(s, r, q))
    }),
    ("", "nodes", "proxy", |s, r, q| {
        Box::pin(proxy::serve(s, r, q))
    }),
    ("", "pods", "attach", |s, r, q| {
        Box::pin(streams::serve(s, r, q, "attach"))
    }),
    ("", "pods", "binding", |s, r, q| {
        Box::pin(binding::serve(s, r, q))
    }),
    ("", "pods", "eviction", |s, r, q| {
        Box::pin(eviction::serve(s, r, q))
    }),
    ("", "pods", "exec", |s, r, q| {
        Box::pin(streams::serve(s, r, q, "exec"))
    }),
    ("", "pods", "log", |s, r, q| {
        Box::pin(streams::serve(s, r, q, "log"))
    }),
    ("", "pods", "portforward", |s, r, q| {
        Box::pin(streams::serve(s, r, q, "portForward"))
    }),
    ("", "pods", "proxy", |s, r, q| {
        Box::pin(proxy::serve(s, r, q))
    }),
    ("", "serviceaccounts", "token", |s, r, q| {
        Box::pin(token::serve(s, r, q))
    }),
    ("", "services", "proxy", |s, r, q| {
        Box::pin(proxy::serve(s, r, q))
    }),
];

/// Serves a request about a subresource.
pub(crate) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    request: Request,
) -> Result<Answer, Status> {
    let card = resource.card();
    let name = request.info.subresource.as_str();
    let Some(known) = card.subresource(name) else {
        return Err(Status::no_such_path());
    };
    // What a proxy leads to may be asked for its options, which is none of the API's verbs.
    let is_passed_on = name == "proxy" && request.method == Method::OPTIONS;
    if !known.verbs.contains(&request.info.verb) && !is_passed_on {
        return Ok(verbs::not_allowed(&request));
    }
    let special = HANDLERS
        .iter()
        .find(|(g, r, s, _)| (*g, *r, *s) == (card.group, card.plural, name));
    if let Some((.., handler)) = special {
        return handler(server, resource, request).await;
    }
    let door = match known.name {
        "status" => Door::Status,
        "scale" => return scale::serve(server, resource, request).await,
        other => Door::Other(other),
    };
    match request.info.verb {
        "get" => verbs::get::serve(server, resource, request).await,
        "update" => verbs::update::serve(server, resource, request, door).await,
        "patch" => verbs::patch::serve(server, resource, request, door).await,
        _ => Ok(verbs::not_allowed(&request)),
    }
}

/// Asks the admission plugins about what is posted below an object and not
/// kept: a token, an eviction.
pub(super) async fn admit(
    server: &Server,
    call: &Call<'_>,
    request: &Request,
    object: &mut Value,
) -> Result<(), Status> {
    let (info, kind) = (&request.info, object.gvk().unwrap_or_default());
    let asked = admission::Request {
        user: call.user,
        operation: admission::Operation::Create,
        group: &info.group,
        resource: &info.resource,
        subresource: &info.subresource,
        kind: &kind,
        namespace: &info.namespace,
        name: &info.name,
        dry_run: call.dry_run,
    };
    let (plugins, view) = (&server.registry.admission, &*server.registry);
    plugins.mutate(&asked, object, None, view).await?;
    let mut warnings = Vec::new();
    plugins
        .validate(&asked, object, None, view, &mut warnings)
        .await?;
    warnings.into_iter().for_each(|w| call.warn(w));
    Ok(())
}

/// Answers an object that is asked and not kept.
pub(crate) async fn review(
    server: &Arc<Server>,
    resource: &Resource,
    request: &Request,
    call: &Call<'_>,
    object: Value,
) -> Result<Value, Status> {
    match resource.card().kind {
        "Binding" => binding::bind_named(server, request, call, object).await,
        _ => reviews::answer(server, resource, request, object).await,
    }
}
