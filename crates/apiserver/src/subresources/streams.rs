//! `pods/attach`, `pods/exec`, `pods/log` and `pods/portforward`: passed on to the
//! kubelet of the pod's node, which speaks whatever the connection becomes.
//! Follows pkg/registry/core/pod/strategy.go (LogLocation, streamLocation).

use crate::answer::{Answer, Body};
use crate::kubelet::KubeletAddress;
use crate::request::{Query, RequestInfo};
use crate::server::Server;
use crate::stack::Request;
use crate::websocket::Wish;
use futures::StreamExt as _;
use http::StatusCode;
use meta::field::ErrorKind;
use meta::object::Object as _;
use meta::{Errors, FieldError, GroupVersionKind, Path, Reason, Status, Value};
use registry::Resource;
use std::sync::Arc;

/// How much of a kubelet's refusal is told.
const REFUSAL_BYTES_MAX: usize = 4096;

pub(super) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    mut request: Request,
    what: &'static str,
) -> Result<Answer, Status> {
    let info = &request.info;
    match what {
        "log" => check_log_options(&info.name, &request.query)?,
        _ => may_create(server, &request)?,
    }
    let pod = server
        .registry
        .get_value(resource, &info.namespace, &info.name)
        .await?;
    let container = match what {
        "portForward" => String::new(),
        what => container(&pod, request.query.get("container"), what)?,
    };
    let Some(address) = kubelet_of(server, pod.str_at(&["spec", "nodeName"])).await? else {
        // A pod that is placed nowhere has said nothing yet.
        return match what {
            "log" => Ok(Answer::text(StatusCode::NO_CONTENT, "")),
            _ => Err(Status::bad_request(format!(
                "pod {} does not have a host assigned",
                pod.name()
            ))),
        };
    };
    let (namespace, name) = (&info.namespace, &info.name);
    let query = forwarded(&request);
    let path = match what {
        "log" => format!("/containerLogs/{namespace}/{name}/{container}{query}"),
        "portForward" => format!("/portForward/{namespace}/{name}{query}"),
        other => format!("/{other}/{namespace}/{name}/{container}{query}"),
    };
    let wish = match what {
        "log" => Wish::take(&mut request)?,
        _ => None,
    };
    let answer = server.kubelets.forward(&address, &path, request).await?;
    match wish {
        _ if what != "log" => Ok(answer),
        _ if !answer.status.is_success() => Err(refusal(answer).await),
        Some(wish) => wish.log(answer, server.registry.clock()),
        None => Ok(answer),
    }
}

/// Follows pkg/apis/core/validation/validation.go, ValidatePodLogOptions.
fn check_log_options(pod: &str, query: &Query) -> Result<(), Status> {
    let mut errors = Errors::new();
    for (key, least, detail) in [
        ("tailLines", 0, "must be greater than or equal to 0"),
        ("limitBytes", 1, "must be greater than 0"),
        ("sinceSeconds", 1, "must be greater than 0"),
    ] {
        if let Some(found) = query.integer(key)?.filter(|found| *found < least) {
            errors.push(FieldError::invalid(&Path::new(key), found, detail));
        }
    }
    if query.has("sinceSeconds") && query.has("sinceTime") {
        let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        errors.push(FieldError::new(
            ErrorKind::Forbidden,
            &Path::new(""),
            "",
            why,
        ));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => {
            let kind = GroupVersionKind::new("", "v1", "PodLogOptions");
            Err(Status::invalid(&kind, pod, &errors))
        }
    }
}

/// A WebSocket is asked for with GET; who may only look must not get in by it.
/// Follows pkg/registry/core/pod/rest/subresources.go
/// (AuthorizePodWebsocketUpgradeCreatePermission).
fn may_create(server: &Server, request: &Request) -> Result<(), Status> {
    if request.info.verb == "create" {
        return Ok(());
    }
    let info = RequestInfo {
        verb: "create",
        ..request.info.clone()
    };
    server.authorize(&request.user, &info)
}

/// What a kubelet says when it shows no log, as a Status. Follows
/// registry/generic/rest/response_checker.go.
async fn refusal(answer: Answer) -> Status {
    let mut said = Vec::new();
    match answer.body {
        Body::Foreign(mut pieces) => {
            while let Some(Ok(piece)) = pieces.next().await
                && said.len() < REFUSAL_BYTES_MAX
            {
                said.extend_from_slice(&piece);
            }
        }
        Body::Full(bytes) => said.extend_from_slice(&bytes),
        _ => {}
    }
    let text = String::from_utf8_lossy(&said);
    match answer.status {
        StatusCode::BAD_REQUEST => Status::bad_request(text),
        StatusCode::NOT_FOUND => Status::new(
            Reason::NotFound,
            "the server could not find the requested resource",
        )
        .cause("UnexpectedServerResponse", text, ""),
        _ => Status::internal(text),
    }
}

/// The query as the kubelet reads it: `stdin` is `input` there, and so on.
fn forwarded(request: &Request) -> String {
    let mut out = form_urlencoded::Serializer::new(String::new());
    for (theirs, ours) in [
        ("stdin", "input"),
        ("stdout", "output"),
        ("stderr", "error"),
        ("tty", "tty"),
    ] {
        if request.query.is_true(theirs) {
            out.append_pair(ours, "1");
        }
    }
    for command in request.query.all("command") {
        out.append_pair("command", command);
    }
    for port in request.query.all("ports") {
        out.append_pair("port", port);
    }
    for key in [
        "follow",
        "previous",
        "sinceSeconds",
        "sinceTime",
        "tailLines",
        "limitBytes",
        "timestamps",
        "stream",
    ] {
        if request.query.has(key) {
            out.append_pair(key, request.query.get(key));
        }
    }
    let query = out.finish();
    if query.is_empty() {
        query
    } else {
        format!("?{query}")
    }
}

fn names<'a>(pod: &'a Value, list: &'a str) -> impl Iterator<Item = &'a str> {
    pod.items_at(&["spec", list])
        .iter()
        .map(|c| c.str_at(&["name"]))
}

/// The container that is meant: the one named, the annotated default, or the
/// only one.
fn container(pod: &Value, asked: &str, what: &str) -> Result<String, Status> {
    let all: Vec<&str> = ["containers", "initContainers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|list| names(pod, list).collect::<Vec<_>>())
        .collect();
    let name = pod.name();
    if !asked.is_empty() {
        return match all.contains(&asked) {
            true => Ok(asked.into()),
            false => Err(Status::bad_request(format!(
                "container {asked} is not valid for pod {name}"
            ))),
        };
    }
    if let Some(default) = pod
        .annotation("kubectl.kubernetes.io/default-container")
        .filter(|d| all.contains(d))
    {
        return Ok(default.into());
    }
    let containers: Vec<&str> = names(pod, "containers").collect();
    match containers.as_slice() {
        [one] => Ok((*one).into()),
        [] => Err(Status::bad_request(format!(
            "a container name must be specified for pod {name}"
        ))),
        many => {
            let init: Vec<&str> = names(pod, "initContainers").collect();
            let init = if init.is_empty() || what != "log" {
                String::new()
            } else {
                format!(" or one of the init containers: [{}]", init.join(" "))
            };
            Err(Status::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{}]{init}",
                many.join(" ")
            )))
        }
    }
}

/// Where a node's kubelet listens; `None` for no node.
pub(super) async fn kubelet_of(
    server: &Server,
    node: &str,
) -> Result<Option<KubeletAddress>, Status> {
    if node.is_empty() {
        return Ok(None);
    }
    let Some(nodes) = server.registry.any_version("", "nodes") else {
        return Ok(None);
    };
    let found = server.registry.get_value(&nodes, "", node).await?;
    let addresses = found.items_at(&["status", "addresses"]);
    let of_type = |ty: &str| {
        addresses
            .iter()
            .find(|a| a.str_at(&["type"]) == ty)
            .map(|a| a.str_at(&["address"]))
    };
    let host = ["InternalIP", "ExternalIP", "Hostname"]
        .into_iter()
        .find_map(of_type);
    let Some(host) = host else {
        return Err(Status::internal(format!(
            "no preferred addresses found; known addresses: {}",
            addresses.len()
        )));
    };
    let port = found
        .i64_at(&["status", "daemonEndpoints", "kubeletEndpoint", "Port"])
        .unwrap_or(10250);
    Ok(Some(KubeletAddress {
        node: node.into(),
        host: host.into(),
        port: port as u16,
    }))
}
