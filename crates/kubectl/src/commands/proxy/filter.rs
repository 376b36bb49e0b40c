//! Which requests the proxy lets through, so that no page in a browser can use it.

use crate::error::{Result, said};
use regex::bytes::{Regex, RegexBuilder};

pub(super) const ACCEPT_HOSTS: &str = r"^localhost$,^127\.0\.0\.1$,^\[::1\]$";
pub(super) const ACCEPT_PATHS: &str = "^.*";
pub(super) const REJECT_METHODS: &str = "^$";
pub(super) const REJECT_PATHS: &str = "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach";

/// Regular expressions of what is let through.
pub(super) struct Filter {
    accept_paths: Vec<Regex>,
    reject_paths: Vec<Regex>,
    accept_hosts: Vec<Regex>,
    reject_methods: Vec<Regex>,
}

impl Filter {
    pub(super) fn new(
        accept_paths: &str,
        reject_paths: &str,
        accept_hosts: &str,
        reject_methods: &str,
    ) -> Result<Self> {
        Ok(Filter {
            accept_paths: expressions(accept_paths)?,
            reject_paths: expressions(reject_paths)?,
            accept_hosts: expressions(accept_hosts)?,
            reject_methods: expressions(reject_methods)?,
        })
    }

    /// Whether a request is let through; `host` is the header's value.
    pub(super) fn accepts(&self, method: &str, path: &str, host: &str) -> bool {
        let host = without_port(host);
        !matches(&self.reject_paths, path)
            && !matches(&self.reject_methods, method)
            && matches(&self.accept_paths, path)
            && matches(&self.accept_hosts, host)
    }
}

/// Letters are those of ASCII, as in Go's expressions.
fn expressions(list: &str) -> Result<Vec<Regex>> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let compile = |text: &str| {
        let compiled = RegexBuilder::new(text).unicode(false).build();
        compiled.or_else(|error| said(format!("Error compiling re: {error}")))
    };
    list.split(',').map(compile).collect()
}

fn matches(expressions: &[Regex], text: &str) -> bool {
    expressions.iter().any(|one| one.is_match(text.as_bytes()))
}

/// `localhost:8001` is `localhost`; `[::1]:8001` is `::1`, and `[::1]` stays as it is.
fn without_port(host: &str) -> &str {
    let Some((name, port)) = host.rsplit_once(':') else {
        return host;
    };
    match name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
    {
        Some(name) => name,
        None if name.contains(':') || port.contains(']') => host,
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_requests_pass_and_none_that_execute() {
        let filter = Filter::new(ACCEPT_PATHS, REJECT_PATHS, ACCEPT_HOSTS, REJECT_METHODS);
        let filter = filter.expect("a filter");
        for (method, path, host, passes) in [
            ("GET", "/api/v1/pods", "localhost:8001", true),
            ("POST", "/api/v1/pods", "127.0.0.1", true),
            ("GET", "/", "[::1]", true),
            ("GET", "/api/v1/pods", "evil.example", false),
            ("GET", "/api/v1/pods", "localhost.evil.example:8001", false),
            (
                "POST",
                "/api/v1/namespaces/a/pods/b/exec",
                "localhost",
                false,
            ),
            (
                "POST",
                "/api/v1/namespaces/a/pods/b/attach",
                "localhost",
                false,
            ),
            (
                "POST",
                "/api/v1/namespaces/a/pods/b/portforward",
                "localhost",
                true,
            ),
        ] {
            assert_eq!(
                filter.accepts(method, path, host),
                passes,
                "{method} {path} {host}"
            );
        }
        let strict = Filter::new("^/api", "", "^a$", "POST,PUT").expect("a filter");
        assert!(strict.accepts("GET", "/api/v1", "a:1"));
        assert!(!strict.accepts("PUT", "/api/v1", "a:1") && !strict.accepts("GET", "/x", "a"));
        assert!(Filter::new("(", "", "", "").is_err());
    }
}
