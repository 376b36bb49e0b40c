//! What a request asks, read from its method and path. Follows apiserver's
//! pkg/endpoints/request/requestinfo.go.

use http::Method;
use meta::Status;

/// What a request asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// Whether it is about objects; else only `path` and `verb` count.
    pub is_resource: bool,
    /// The path, decoded.
    pub path: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`,
    /// `deletecollection`; the method in lower case for other paths.
    pub verb: &'static str,
    /// Empty for the core group.
    pub group: String,
    /// `v1`
    pub version: String,
    /// `pods`
    pub resource: String,
    /// `log`; empty for the object itself.
    pub subresource: String,
    /// Empty for all namespaces or none.
    pub namespace: String,
    /// Empty for collections.
    pub name: String,
    /// The one object that a list or watch is narrowed to by its field
    /// selector: authorisers take it for the name.
    pub selected_name: String,
    /// What follows the subresource, for proxies.
    pub rest: String,
}

impl RequestInfo {
    /// Reads method, path and query.
    pub fn parse(method: &Method, path: &str, query: &Query) -> RequestInfo {
        let decoded = decode(path);
        let plain = RequestInfo {
            path: decoded.clone(),
            verb: lower(method),
            ..RequestInfo::default()
        };
        let parts: Vec<&str> = decoded.split('/').filter(|part| !part.is_empty()).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return plain,
        };
        let mut info = RequestInfo {
            group: group.into(),
            version: version.into(),
            is_resource: true,
            ..plain
        };
        info.verb = verb_of(method);
        let rest = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => {
                info.verb = "watch";
                rest
            }
            rest => rest,
        };
        info.read_resource(rest);
        info.settle_verb(query);
        info
    }

    fn read_resource(&mut self, rest: &[&str]) {
        let rest = match rest {
            ["namespaces", namespace, tail @ ..]
                if !tail.is_empty() && !matches!(tail, ["status" | "finalize"]) =>
            {
                self.namespace = (*namespace).into();
                tail
            }
            ["namespaces", namespace, ..] => {
                self.namespace = (*namespace).into();
                rest
            }
            rest => rest,
        };
        let mut parts = rest.iter().map(ToString::to_string);
        self.resource = parts.next().unwrap_or_default();
        self.name = parts.next().unwrap_or_default();
        self.subresource = parts.next().unwrap_or_default();
        self.rest = parts.collect::<Vec<_>>().join("/");
    }

    fn settle_verb(&mut self, query: &Query) {
        if self.name.is_empty() {
            self.verb = match self.verb {
                "get" if query.is_true("watch") => "watch",
                "get" => "list",
                "delete" => "deletecollection",
                other => other,
            };
            if matches!(self.verb, "list" | "watch" | "deletecollection") {
                self.selected_name = selected_name(query.get("fieldSelector"));
            }
        } else if self.verb == "get" && query.is_true("watch") && self.subresource.is_empty() {
            self.verb = "watch";
        }
    }

    /// As authorisers see it.
    pub fn target(&self) -> auth::Target<'_> {
        match self.is_resource {
            true => auth::Target::Resource {
                group: &self.group,
                version: &self.version,
                resource: &self.resource,
                subresource: &self.subresource,
                namespace: &self.namespace,
                name: if self.name.is_empty() {
                    &self.selected_name
                } else {
                    &self.name
                },
            },
            false => auth::Target::Path(&self.path),
        }
    }
}

/// The name that a field selector asks for, when it asks for one.
fn selected_name(selector: &str) -> String {
    let selector = meta::FieldSelector::parse(selector).unwrap_or_default();
    let name = selector.required("metadata.name").unwrap_or_default();
    match meta::names::path_segment(name).is_empty() {
        true => name.into(),
        false => String::new(),
    }
}

fn verb_of(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::GET | Method::HEAD => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "",
    }
}

fn lower(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "",
    }
}

fn decode(path: &str) -> String {
    if !path.contains('%') {
        return path.into();
    }
    let escaped = path.replace('+', "%2B");
    let pair = form_urlencoded::parse(escaped.as_bytes()).next();
    pair.map(|(key, value)| {
        if value.is_empty() {
            key.into_owned()
        } else {
            format!("{key}={value}")
        }
    })
    .unwrap_or_default()
}

/// The query of a request.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d`.
    pub fn parse(text: &str) -> Self {
        Query(
            form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// The first value of a parameter, empty when there is none.
    pub fn get(&self, key: &str) -> &str {
        self.0
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
            .unwrap_or_default()
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    /// Whether a parameter is there.
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(k, _)| k == key)
    }

    /// Whether a parameter says yes, as Go's conversion reads it: `0` and
    /// `false` are no, everything else is yes.
    pub fn is_true(&self, key: &str) -> bool {
        self.has(key) && !matches!(self.get(key), "0" | "false" | "False" | "FALSE" | "f" | "F")
    }

    /// A parameter that is a number.
    pub fn integer(&self, key: &str) -> Result<Option<i64>, Status> {
        match self.get(key) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Status::bad_request(format!(
                    "strconv.ParseInt: parsing {}: invalid syntax",
                    meta::field::quote(text)
                ))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, uri: &str, expected: [&str; 7]) {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let i = RequestInfo::parse(&method, path, &Query::parse(query));
        assert_eq!(
            [
                i.verb,
                &*i.group,
                &*i.version,
                &*i.namespace,
                &*i.resource,
                &*i.name,
                &*i.subresource
            ],
            expected,
            "{uri}"
        );
    }

    #[test]
    fn paths_are_read_as_upstream_reads_them() {
        check(
            Method::GET,
            "/api/v1/pods",
            ["list", "", "v1", "", "pods", "", ""],
        );
        check(
            Method::GET,
            "/api/v1/namespaces/a/pods?watch=1",
            ["watch", "", "v1", "a", "pods", "", ""],
        );
        check(
            Method::GET,
            "/api/v1/namespaces/a/pods/b/log",
            ["get", "", "v1", "a", "pods", "b", "log"],
        );
        check(
            Method::GET,
            "/api/v1/namespaces/a",
            ["get", "", "v1", "a", "namespaces", "a", ""],
        );
        check(
            Method::PUT,
            "/api/v1/namespaces/a/finalize",
            ["update", "", "v1", "a", "namespaces", "a", "finalize"],
        );
        check(
            Method::DELETE,
            "/apis/apps/v1/namespaces/a/deployments",
            ["deletecollection", "apps", "v1", "a", "deployments", "", ""],
        );
        check(
            Method::POST,
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            [
                "create",
                "rbac.authorization.k8s.io",
                "v1",
                "",
                "clusterroles",
                "",
                "",
            ],
        );
        check(
            Method::GET,
            "/api/v1/nodes/n%2Fx",
            ["get", "", "v1", "", "nodes", "n", "x"],
        );
        let info = RequestInfo::parse(&Method::GET, "/healthz", &Query::default());
        assert_eq!(
            (info.is_resource, info.verb, info.path.as_str()),
            (false, "get", "/healthz")
        );
    }
}
