//! Where a resource lives: paths and queries.

use std::borrow::Cow;

/// Group, version and resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gvr {
    /// The API group, empty for the core group.
    pub group: Cow<'static, str>,
    /// The version.
    pub version: Cow<'static, str>,
    /// The plural name.
    pub resource: Cow<'static, str>,
}

impl Gvr {
    /// Names a resource.
    pub fn new(
        group: impl Into<Cow<'static, str>>,
        version: impl Into<Cow<'static, str>>,
        resource: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            resource: resource.into(),
        }
    }

    /// The resource of a typed kind.
    pub fn of<T: typed::Typed>() -> Self {
        Self::new(T::GROUP, T::VERSION, T::PLURAL)
    }

    /// `group/version`, or the version alone in the core group.
    pub fn api_version(&self) -> String {
        match self.group.as_ref() {
            "" => self.version.to_string(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `/api/v1` or `/apis/group/version`.
    pub fn root(&self) -> String {
        let root = if self.group.is_empty() {
            "/api"
        } else {
            "/apis"
        };
        format!("{root}/{}", self.api_version())
    }
}

impl std::fmt::Display for Gvr {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.api_version(), self.resource)
    }
}

/// The path of a collection, an object or a subresource.
pub(crate) fn path(gvr: &Gvr, namespace: Option<&str>, name: &str, subresource: &str) -> String {
    let mut path = gvr.root();
    if let Some(namespace) = namespace {
        path.push_str("/namespaces/");
        path.push_str(&escape(namespace));
    }
    for segment in [&gvr.resource, name, subresource] {
        if !segment.is_empty() {
            path.push('/');
            path.push_str(&escape(segment));
        }
    }
    path
}

/// A query from names and values; empty if there are none.
pub(crate) fn query(pairs: &[(&'static str, String)]) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", escape(value)))
        .collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("?{}", pairs.join("&"))
    }
}

/// Percent-encodes everything but unreserved characters (RFC 3986), the colon of RBAC names
/// included, and leaves slashes of subresource paths as separators.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                escaped.push(char::from(byte))
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let pods = Gvr::new("", "v1", "pods");
        let roles = Gvr::new("rbac.authorization.k8s.io", "v1", "clusterroles");
        assert_eq!(path(&pods, None, "", ""), "/api/v1/pods");
        assert_eq!(
            path(&pods, Some("a"), "b", "status"),
            "/api/v1/namespaces/a/pods/b/status"
        );
        assert_eq!(
            path(&roles, None, "system:node", ""),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode"
        );
        assert_eq!(
            query(&[("labelSelector", "a in (b,c)".into())]),
            "?labelSelector=a%20in%20%28b%2Cc%29"
        );
    }
}
