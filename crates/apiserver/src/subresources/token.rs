//! `serviceaccounts/token`: a token for a service account. Follows
//! pkg/registry/core/serviceaccount/storage/token.go.

use super::admit;
use crate::answer::Answer;
use crate::server::Server;
use crate::stack::Request;
use crate::tokens::TokenClaims;
use crate::verbs::with_warnings;
use crate::{negotiate, options};
use http::StatusCode;
use meta::object::Object as _;
use meta::{Errors, Field, GroupResource, GroupVersionKind, Status, Value, value};
use registry::{Resource, decode};
use std::sync::Arc;
use std::time::Duration;

/// How long a token holds when nobody says.
const LIFETIME: i64 = 3600;
/// The shortest life of a token, in seconds.
const LIFETIME_MIN: i64 = 600;
/// The longest life of a token, in seconds.
const LIFETIME_MAX: i64 = 1 << 32;

pub(super) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    request: Request,
) -> Result<Answer, Status> {
    let form = negotiate::accept(&request.headers)?;
    let call = options::write(&request)?;
    let info = &request.info;
    let account = server
        .registry
        .get_value(resource, &info.namespace, &info.name)
        .await?;
    let mut asked = read(&request)?;
    default(&mut asked, server);
    admit(server, &call, &request, &mut asked).await?;
    validate(&info.name, &asked)?;
    let mut claims = TokenClaims {
        namespace: info.namespace.clone(),
        name: info.name.clone(),
        uid: account.uid().into(),
        audiences: asked
            .items_at(&["spec", "audiences"])
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_string)
            .collect(),
        lifetime: Duration::from_secs(
            asked
                .i64_at(&["spec", "expirationSeconds"])
                .unwrap_or(LIFETIME) as u64,
        ),
        ..TokenClaims::default()
    };
    bind(server, &info.namespace, &info.name, &mut asked, &mut claims).await?;
    if call.dry_run {
        let answer = crate::present::written(form, StatusCode::CREATED, &asked);
        return Ok(with_warnings(answer, &call));
    }
    let (token, ends) = server.tokens.issue(&claims)?;
    let ends = jiff::Timestamp::from_second(ends).map_err(Status::internal)?;
    asked.make_object().insert(
        "status",
        value!({
            "token": token, "expirationTimestamp": meta::time::seconds(ends)
        }),
    );
    let answer = crate::present::written(form, StatusCode::CREATED, &asked);
    Ok(with_warnings(answer, &call))
}

fn read(request: &Request) -> Result<Value, Status> {
    let mut asked = decode::tree(
        &request.body,
        negotiate::content(&request.headers)?,
        "TokenRequest",
        &api::generated::authentication_v1::TOKEN_REQUEST,
    )?;
    codec::conform(
        &mut asked,
        &api::generated::authentication_v1::TOKEN_REQUEST,
    )
    .map_err(|e| {
        Status::bad_request(format!(
            "TokenRequest in version \"v1\" cannot be handled as a TokenRequest: {e}"
        ))
    })?;
    asked.set_gvk(&GroupVersionKind::new(
        "authentication.k8s.io",
        "v1",
        "TokenRequest",
    ));
    Ok(asked)
}

fn default(asked: &mut Value, server: &Server) {
    if asked.items_at(&["spec", "audiences"]).is_empty() {
        asked.set_at(&["spec", "audiences"], server.tokens.default_audiences());
    }
    if asked.i64_at(&["spec", "expirationSeconds"]).is_none() {
        asked.set_at(&["spec", "expirationSeconds"], LIFETIME);
    }
    asked.remove_at(&["status"]);
}

fn validate(name: &str, asked: &Value) -> Result<(), Status> {
    let expiration = Field::root(asked).at(&["spec", "expirationSeconds"]);
    let mut errors = Errors::new();
    if expiration.int() < LIFETIME_MIN {
        errors.push(expiration.invalid("may not specify a duration less than 10 minutes"));
    }
    if expiration.int() > LIFETIME_MAX {
        errors.push(expiration.invalid("may not specify a duration larger than 2^32 seconds"));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => {
            let kind = GroupVersionKind::new("authentication.k8s.io", "v1", "TokenRequest");
            Err(Status::invalid(&kind, name, &errors))
        }
    }
}

/// Binds a token to the pod, node or secret that is named.
async fn bind(
    server: &Server,
    namespace: &str,
    account: &str,
    asked: &mut Value,
    claims: &mut TokenClaims,
) -> Result<(), Status> {
    let Some(reference) = asked.at(&["spec", "boundObjectRef"]).cloned() else {
        return Ok(());
    };
    let (kind, name) = (reference.str_at(&["kind"]), reference.str_at(&["name"]));
    let (plural, place) = match (reference.str_at(&["apiVersion"]), kind) {
        ("" | "v1", "Pod") => ("pods", namespace),
        ("" | "v1", "Secret") => ("secrets", namespace),
        ("" | "v1", "Node") => ("nodes", ""),
        (version, _) => {
            return Err(Status::bad_request(format!(
                "cannot bind token for serviceaccount {} to object of kind {version}, Kind={kind}",
                meta::field::quote(account)
            )));
        }
    };
    let Some(resource) = server.registry.any_version("", plural) else {
        return Err(Status::no_such_path());
    };
    let object = server.registry.get_value(&resource, place, name).await?;
    let wanted = reference.str_at(&["uid"]);
    if !wanted.is_empty() && wanted != object.uid() {
        let why = format!(
            "the UID in the bound object reference ({wanted}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(Status::conflict(&GroupResource::new("", plural), name, why));
    }
    if kind == "Pod" {
        let runs_as = object.str_at(&["spec", "serviceAccountName"]);
        if runs_as != account {
            return Err(Status::bad_request(format!(
                "cannot bind token for serviceaccount {} to pod running with different serviceaccount name.",
                meta::field::quote(account)
            )));
        }
        bind_node(server, &object, claims).await?;
    }
    claims.bound_to = Some((kind.into(), name.into(), object.uid().into()));
    asked.set_at(&["spec", "boundObjectRef", "uid"], object.uid());
    Ok(())
}

async fn bind_node(server: &Server, pod: &Value, claims: &mut TokenClaims) -> Result<(), Status> {
    let node = pod.str_at(&["spec", "nodeName"]);
    if node.is_empty() {
        return Ok(());
    }
    let Some(nodes) = server.registry.any_version("", "nodes") else {
        return Ok(());
    };
    let uid = match server.registry.get_value(&nodes, "", node).await {
        Ok(found) => found.uid().to_string(),
        Err(status) if status.reason == meta::Reason::NotFound => String::new(),
        Err(status) => return Err(status),
    };
    claims.node = Some((node.into(), uid));
    Ok(())
}
