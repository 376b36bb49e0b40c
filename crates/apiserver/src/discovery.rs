//! What is served: `/api`, `/apis` and below, plain and aggregated. Follows
//! apiserver's pkg/endpoints/discovery.

use crate::answer::{Answer, Body};
use crate::server::Server;
use crate::stack::{Request, no_such_path};
use crate::{negotiate, present};
use api::{Card, Subresource};
use http::header::{ACCEPT, HeaderValue};
use http::{Method, StatusCode};
use meta::{Map, Status, Value, value};
use registry::Resource;
use std::sync::Arc;

/// Reserved for what discovery remembers between requests.
#[derive(Debug, Default)]
pub struct Discovery {}

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The answer to a discovery path.
pub(crate) fn answer(server: &Server, request: &Request) -> Result<Answer, Status> {
    if request.method != Method::GET && request.method != Method::HEAD {
        return Ok(no_such_path());
    }
    let parts: Vec<&str> = request
        .info
        .path
        .split('/')
        .filter(|p| !p.is_empty())
        .collect();
    let aggregated = wants_aggregated(request);
    let groups = groups(server);
    let found = match parts.as_slice() {
        [] => Some(root_paths(&groups)),
        ["api"] if aggregated => {
            return Ok(aggregated_answer(
                groups.iter().filter(|g| g.name.is_empty()),
            ));
        }
        ["apis"] if aggregated => {
            return Ok(aggregated_answer(
                groups.iter().filter(|g| !g.name.is_empty()),
            ));
        }
        ["api"] => Some(value!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": request.header("host")}]
        })),
        ["apis"] => Some(value!({
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": Value::Array(groups.iter().filter(|g| !g.name.is_empty()).map(|g| g.to_value(false)).collect())
        })),
        ["apis", group] => groups
            .iter()
            .find(|g| g.name == *group)
            .map(|g| g.to_value(true)),
        ["api", version] => resource_list(&groups, "", version),
        ["apis", group, version] => resource_list(&groups, group, version),
        _ => None,
    };
    let form = negotiate::plain(&request.headers);
    Ok(found.map_or_else(no_such_path, |object| {
        let form = match api::schema::of("v1", object.str_at(&["kind"])) {
            Some(_) => form,
            None => negotiate::JSON,
        };
        present::written(form, StatusCode::OK, &object)
    }))
}

fn wants_aggregated(request: &Request) -> bool {
    let accept = request
        .headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|v| v.to_str().ok());
    let mut clauses = accept.flat_map(|text| text.split(','));
    clauses.any(|clause| {
        let clause = clause.replace(' ', "");
        ["g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"]
            .iter()
            .all(|parameter| clause.split(';').any(|p| p == *parameter))
    })
}

/// One group with its versions, best first.
struct Group {
    name: String,
    versions: Vec<(String, Vec<Arc<Resource>>)>,
}

/// The groups in upstream's order of priority, then by name.
fn groups(server: &Server) -> Vec<Group> {
    let order: Vec<&str> = api::kinds().map(|kind| kind.card().group).collect();
    let mut groups: Vec<Group> = Vec::new();
    let mut resources = server.registry.resources();
    resources.sort_by_key(|r| (r.card().plural.to_string(), r.card().version.to_string()));
    for resource in resources {
        let (name, version) = (
            resource.card().group.to_string(),
            resource.card().version.to_string(),
        );
        let at = groups
            .iter()
            .position(|g| g.name == name)
            .unwrap_or_else(|| {
                groups.push(Group {
                    name,
                    versions: Vec::new(),
                });
                groups.len() - 1
            });
        let versions = &mut groups[at].versions;
        match versions.iter_mut().find(|(v, _)| *v == version) {
            Some((_, list)) => list.push(resource),
            None => versions.push((version, vec![resource])),
        }
    }
    let rank = |name: &str| order.iter().position(|g| *g == name).unwrap_or(usize::MAX);
    groups.sort_by_key(|g| (rank(&g.name), g.name.clone()));
    groups.iter_mut().for_each(|g| {
        g.versions
            .sort_by_key(|(v, _)| std::cmp::Reverse(version_rank(v)))
    });
    groups
}

/// GA before beta before alpha, and the higher number first.
fn version_rank(version: &str) -> (u8, u32, u32) {
    let rest = version.strip_prefix('v').unwrap_or(version);
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let major = rest[..digits].parse().unwrap_or(0);
    match &rest[digits..] {
        "" => (2, major, 0),
        beta if beta.starts_with("beta") => (1, major, beta[4..].parse().unwrap_or(0)),
        alpha => (
            0,
            major,
            alpha.trim_start_matches("alpha").parse().unwrap_or(0),
        ),
    }
}

impl Group {
    fn to_value(&self, alone: bool) -> Value {
        let versions = self.versions.iter().map(|(version, _)| {
            value!({"groupVersion": format!("{}/{version}", self.name), "version": version.as_str()})
        });
        let versions: Vec<Value> = versions.collect();
        let mut group = value!({
            "name": self.name.as_str(), "preferredVersion": versions.first().cloned(),
            "versions": Value::Array(versions)
        });
        if alone {
            let map = group.make_object();
            map.insert("kind", "APIGroup");
            map.insert("apiVersion", "v1");
        }
        group
    }
}

fn root_paths(groups: &[Group]) -> Value {
    let mut paths = vec!["/api".to_string(), "/api/v1".into(), "/apis".into()];
    for group in groups.iter().filter(|g| !g.name.is_empty()) {
        paths.push(format!("/apis/{}", group.name));
        paths.extend(
            group
                .versions
                .iter()
                .map(|(version, _)| format!("/apis/{}/{version}", group.name)),
        );
    }
    for path in [
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ] {
        paths.push(path.into());
    }
    paths.sort();
    value!({"paths": paths})
}

fn verbs(verbs: &[&str]) -> Value {
    Value::Array(verbs.iter().map(|v| Value::from(*v)).collect())
}

fn texts(texts: &[&str]) -> Option<Value> {
    (!texts.is_empty()).then(|| verbs(texts))
}

fn resource_list(groups: &[Group], group: &str, version: &str) -> Option<Value> {
    let found = groups.iter().find(|g| g.name == group)?;
    let (_, resources) = found.versions.iter().find(|(v, _)| v == version)?;
    let mut list = Vec::new();
    for resource in resources {
        let card = resource.card();
        list.push(plain_resource(card));
        list.extend(
            card.subresources
                .iter()
                .map(|sub| plain_subresource(card, sub)),
        );
    }
    let group_version = if group.is_empty() {
        version.to_string()
    } else {
        format!("{group}/{version}")
    };
    Some(value!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
        "resources": Value::Array(list)
    }))
}

fn plain_resource(card: &Card) -> Value {
    let mut map = Map::new();
    map.insert("name", card.plural);
    map.insert("singularName", card.singular);
    map.insert("namespaced", card.namespaced);
    map.insert("kind", card.kind);
    map.insert("verbs", verbs(card.verbs.names()));
    if let Some(names) = texts(card.short_names) {
        map.insert("shortNames", names);
    }
    if let Some(names) = texts(card.categories) {
        map.insert("categories", names);
    }
    Value::Object(map)
}

fn plain_subresource(card: &Card, sub: &Subresource) -> Value {
    let mut map = Map::new();
    map.insert("name", format!("{}/{}", card.plural, sub.name));
    map.insert("singularName", "");
    map.insert("namespaced", card.namespaced);
    map.insert("kind", sub.body.map_or(card.kind, |(_, _, kind)| kind));
    if let Some((group, version, _)) = sub
        .body
        .filter(|(g, v, _)| (*g, *v) != (card.group, card.version))
    {
        map.insert("group", group);
        map.insert("version", version);
    }
    map.insert("verbs", verbs(sub.verbs));
    Value::Object(map)
}

fn aggregated_answer<'a>(groups: impl Iterator<Item = &'a Group>) -> Answer {
    let items = groups.map(|group| {
        let versions = group.versions.iter().map(|(version, resources)| {
            let resources = resources.iter().map(|r| aggregated_resource(r.card())).collect();
            value!({"version": version.as_str(), "resources": Value::Array(resources), "freshness": "Current"})
        });
        value!({"metadata": {"name": group.name.as_str()}, "versions": Value::Array(versions.collect())})
    });
    let object = value!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": Value::Array(items.collect())
    });
    let mut out = Vec::new();
    object.write_object(&mut out);
    Answer::new(
        StatusCode::OK,
        HeaderValue::from_static(AGGREGATED),
        Body::Full(out.into()),
    )
}

fn kind_value(group: &str, version: &str, kind: &str) -> Value {
    value!({"group": group, "version": version, "kind": kind})
}

fn aggregated_resource(card: &Card) -> Value {
    let mut map = Map::new();
    map.insert("resource", card.plural);
    map.insert(
        "responseKind",
        kind_value(card.group, card.version, card.kind),
    );
    map.insert(
        "scope",
        if card.namespaced {
            "Namespaced"
        } else {
            "Cluster"
        },
    );
    map.insert("singularResource", card.singular);
    map.insert("verbs", verbs(card.verbs.names()));
    if let Some(names) = texts(card.short_names) {
        map.insert("shortNames", names);
    }
    if let Some(names) = texts(card.categories) {
        map.insert("categories", names);
    }
    if !card.subresources.is_empty() {
        let subresources = card.subresources.iter().map(|sub| {
            let (group, version, kind) = sub.body.unwrap_or((card.group, card.version, card.kind));
            value!({
                "subresource": sub.name, "responseKind": kind_value(group, version, kind), "verbs": verbs(sub.verbs)
            })
        });
        map.insert("subresources", Value::Array(subresources.collect()));
    }
    Value::Object(map)
}
