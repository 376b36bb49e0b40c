//! `nodes/proxy`, `pods/proxy` and `services/proxy`: whatever listens there,
//! upgrades included. Names may carry scheme and port, `https:web:8443`. Follows
//! pkg/registry/core/{pod,service,node} (ResourceLocation) and
//! apimachinery/pkg/util/proxy/{upgradeaware,transport}.go.

mod html;
mod links;

use super::streams::kubelet_of;
use crate::answer::Answer;
use crate::backend::Backend;
use crate::server::Server;
use crate::stack::Request;
use http::{HeaderValue, Method, StatusCode, header};
use links::Links;
use meta::{Reason, Status, Value};
use registry::Resource;
use std::sync::Arc;

pub(super) async fn serve(
    server: &Arc<Server>,
    resource: &Arc<Resource>,
    request: Request,
) -> Result<Answer, Status> {
    let way = Way::of(&request, resource.card().plural);
    if way.path.is_empty() && matches!(request.method, Method::GET | Method::HEAD) {
        return Ok(redirect(&request));
    }
    match resource.card().plural {
        "nodes" => node(server, resource, way, request).await,
        "pods" => {
            let backend = pod(server, resource, &request).await?;
            through(server, backend, way, request).await
        }
        _ => {
            let backend = service(server, resource, &request).await?;
            through(server, backend, way, request).await
        }
    }
}

/// Where a request enters and where it goes on.
struct Way {
    /// `/api/v1/namespaces/a/pods/b/proxy`
    entrance: String,
    /// What follows, decoded; begins with a slash unless it is empty.
    path: String,
}

impl Way {
    fn of(request: &Request, plural: &str) -> Way {
        let info = &request.info;
        let place = match info.namespace.as_str() {
            "" => String::new(),
            namespace => format!("/namespaces/{namespace}"),
        };
        let entrance = format!("/api/{}{place}/{plural}/{}/proxy", info.version, info.name);
        let path = info.path.strip_prefix(entrance.as_str());
        let path = path.map_or_else(|| format!("/{}", info.rest), str::to_string);
        Way { entrance, path }
    }

    /// The path as it is asked for, with the query.
    fn target(&self, raw_query: &str) -> String {
        let mut target = encode(&self.path);
        if target.is_empty() {
            target.push('/');
        }
        if !raw_query.is_empty() {
            target.push('?');
            target.push_str(raw_query);
        }
        target
    }
}

/// A path's bytes as a URI may carry them.
fn encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
        match is_plain {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The root of what is proxied ends with a slash.
fn redirect(request: &Request) -> Answer {
    let query = match request.raw_query.as_str() {
        "" => String::new(),
        query => format!("?{query}"),
    };
    let place = format!("{}/{query}", encode(&request.info.path));
    let mut answer = Answer::text(StatusCode::MOVED_PERMANENTLY, "").with("location", &place);
    answer.headers.remove(header::CONTENT_TYPE);
    answer
}

async fn through(
    server: &Server,
    backend: Backend,
    way: Way,
    mut request: Request,
) -> Result<Answer, Status> {
    let host = request.header("host").to_string();
    for (name, value) in [
        (
            "x-forwarded-uri",
            encode(&format!("{}{}", way.entrance, way.path)),
        ),
        ("x-forwarded-host", host.clone()),
        ("x-forwarded-proto", "https".to_string()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            request.headers.insert(name, value);
        }
    }
    let target = way.target(&request.raw_query);
    let clock = server.registry.clock();
    let answer = backend.forward(clock, &target, request).await?;
    let links = Links {
        entrance: encode(&way.entrance),
        authority: backend.authority(),
        host,
    };
    Ok(links.lead_back(answer))
}

/// `scheme:name:port` apart. Follows apimachinery/pkg/util/net/port_split.go.
fn split(id: &str) -> Option<(&str, &str, &str)> {
    let parts: Vec<&str> = id.split(':').collect();
    let (scheme, name, port) = match parts.as_slice() {
        [name] => ("", *name, ""),
        [name, port] => ("", *name, *port),
        [scheme @ ("" | "http" | "https"), name, port] => (*scheme, *name, *port),
        _ => return None,
    };
    (!name.is_empty()).then_some((scheme, name, port))
}

fn split_or<'a>(id: &'a str, what: &str) -> Result<(&'a str, &'a str, &'a str), Status> {
    let invalid =
        || Status::bad_request(format!("invalid {what} request {}", meta::field::quote(id)));
    split(id).ok_or_else(invalid)
}

async fn pod(server: &Server, resource: &Resource, request: &Request) -> Result<Backend, Status> {
    let info = &request.info;
    let (scheme, name, port) = split_or(&info.name, "pod")?;
    let pod = server
        .registry
        .get_value(resource, &info.namespace, name)
        .await?;
    let first = pod
        .items_at(&["spec", "containers"])
        .iter()
        .find_map(|container| container.items_at(&["ports"]).first())
        .and_then(|port| port.i64_at(&["containerPort"]));
    let port = match port {
        "" => first
            .and_then(|port| u16::try_from(port).ok())
            .unwrap_or(if scheme == "https" { 443 } else { 80 }),
        port => number(port)?,
    };
    Backend::new(scheme, pod.str_at(&["status", "podIP"]), port)
}

fn number(port: &str) -> Result<u16, Status> {
    port.parse()
        .map_err(|_| Status::bad_request(format!("invalid port {}", meta::field::quote(port))))
}

async fn service(
    server: &Server,
    resource: &Resource,
    request: &Request,
) -> Result<Backend, Status> {
    let info = &request.info;
    let (scheme, name, port) = split_or(&info.name, "service")?;
    let service = server
        .registry
        .get_value(resource, &info.namespace, name)
        .await?;
    let unavailable = |message| Status::new(Reason::ServiceUnavailable, message);
    let port = match port.parse::<i64>() {
        Err(_) => port,
        Ok(number) => {
            let ports = service.items_at(&["spec", "ports"]).iter();
            let mut known = ports.filter(|port| port.i64_at(&["port"]) == Some(number));
            let known = known.next().ok_or_else(|| {
                unavailable(format!(
                    "no service port {number} found for service {name:?}"
                ))
            })?;
            known.str_at(&["name"])
        }
    };
    let nobody = |of: &str| unavailable(format!("no endpoints available for service {of:?}"));
    let Some(endpoints) = server.registry.any_version("", "endpoints") else {
        return Err(nobody(name));
    };
    let endpoints = server.registry.get_value(&endpoints, &info.namespace, name);
    let endpoints = endpoints.await?;
    let subsets = endpoints.items_at(&["subsets"]);
    if subsets.is_empty() {
        return Err(nobody(name));
    }
    let mut ready: Vec<(&str, u16)> = Vec::new();
    for subset in subsets {
        let ports = subset.items_at(&["ports"]).iter();
        let mut named = ports.filter(|one| one.str_at(&["name"]) == port);
        let number = named.next().and_then(|one| one.i64_at(&["port"]));
        if let Some(number) = number.and_then(|number| u16::try_from(number).ok()) {
            let addresses = subset.items_at(&["addresses"]).iter();
            ready.extend(addresses.map(|one| (one.str_at(&["ip"]), number)));
        }
    }
    let (address, port) = any(&ready).ok_or_else(|| nobody(&info.name))?;
    Backend::new(scheme, address, port)
}

/// One of several, another one each time.
fn any<T: Copy>(all: &[T]) -> Option<T> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let turn = NEXT.fetch_add(1, Ordering::Relaxed);
    all.get(turn.checked_rem(all.len())?).copied()
}

/// A node's kubelet, with the API server's own certificate; or another port.
async fn node(
    server: &Server,
    resource: &Resource,
    way: Way,
    request: Request,
) -> Result<Answer, Status> {
    let (scheme, name, port) = split_or(&request.info.name, "node")?;
    let (scheme, name, port) = (scheme.to_string(), name.to_string(), port.to_string());
    let Some(kubelet) = kubelet_of(server, &name).await? else {
        return Err(Status::no_such_path());
    };
    if port.is_empty() || port == kubelet.port.to_string() {
        let target = way.target(&request.raw_query);
        return server.kubelets.forward(&kubelet, &target, request).await;
    }
    // Whoever may not see the node is told so before anything is connected.
    let _: Value = server.registry.get_value(resource, "", &name).await?;
    let backend = Backend::new(&scheme, &kubelet.host, number(&port)?)?;
    through(server, backend, way, request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_schemes_and_ports() {
        for (id, parts) in [
            ("a", Some(("", "a", ""))),
            ("a:80", Some(("", "a", "80"))),
            ("a:web", Some(("", "a", "web"))),
            ("https:a:", Some(("https", "a", ""))),
            ("https:a:web", Some(("https", "a", "web"))),
            (":a:80", Some(("", "a", "80"))),
            ("ftp:a:80", None),
            ("", None),
            ("a:b:c:d", None),
        ] {
            assert_eq!(split(id), parts, "{id}");
        }
    }

    #[test]
    fn paths_are_written_as_uris_carry_them() {
        let way = Way {
            entrance: String::new(),
            path: "/a b/ä/%/".into(),
        };
        assert_eq!(way.target("q=1"), "/a%20b/%C3%A4/%25/?q=1");
    }
}
