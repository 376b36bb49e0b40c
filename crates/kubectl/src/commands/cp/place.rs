//! Where files are: `path`, `pod:path` or `namespace/pod:path`, and the arithmetic of paths.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/cp/filespec.go and Go's path package.

use crate::error::{Result, said};

const FORM: &str = "filespec must match the canonical format: [[namespace/]pod:]file/path";

/// A place for files, here or in a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) namespace: String,
    /// Empty for a place here.
    pub(super) pod: String,
    pub(super) path: String,
}

impl Place {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let Some((pod, path)) = text.split_once(':') else {
            return Ok(Place {
                path: without_slash(text).to_string(),
                ..Place::default()
            });
        };
        // A path in a container that was made on Windows is a path all the same.
        let path = without_slash(path).replace('\\', "/");
        let (namespace, pod) = match pod.split('/').collect::<Vec<_>>().as_slice() {
            [""] => return said(FORM),
            [pod] => (String::new(), pod.to_string()),
            [namespace, pod] => (namespace.to_string(), pod.to_string()),
            _ => return said(FORM),
        };
        Ok(Place {
            namespace,
            pod,
            path,
        })
    }
}

fn without_slash(path: &str) -> &str {
    match path {
        "/" => "/",
        path => path.strip_suffix('/').unwrap_or(path),
    }
}

/// The shortest path that means the same.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_string(),
        (false, false) => joined,
    }
}

/// One path below another.
pub(super) fn join(base: &str, below: &str) -> String {
    match (base.is_empty(), below.is_empty()) {
        (true, true) => String::new(),
        (true, false) => clean(below),
        (false, true) => clean(base),
        (false, false) => clean(&format!("{base}/{below}")),
    }
}

/// The folder of a path.
pub(super) fn folder(path: &str) -> String {
    match path.rsplit_once('/') {
        Some(("", _)) => "/".to_string(),
        Some((folder, _)) => clean(folder),
        None => ".".to_string(),
    }
}

/// The last part of a path.
pub(super) fn last(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    match path.rsplit_once('/') {
        Some((_, last)) => last,
        None if path.is_empty() => "/",
        None => path,
    }
}

/// A path without what leads out of its beginning.
pub(super) fn without_shortcuts(path: &str) -> String {
    let mut path = path;
    while let Some(rest) = path.strip_prefix("../") {
        path = rest;
    }
    match path {
        "." | ".." => String::new(),
        path => path.strip_prefix('/').unwrap_or(path).to_string(),
    }
}

/// Whether a path lies at or below another; both are clean.
pub(super) fn is_below(base: &str, path: &str) -> bool {
    let base = clean(base);
    if base == path {
        return true;
    }
    match base.as_str() {
        "/" => path.starts_with('/'),
        "." => !path.starts_with('/') && path != ".." && !path.starts_with("../"),
        base => path
            .strip_prefix(base)
            .is_some_and(|rest| rest.starts_with('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_upstream_reads_them() {
        let place = |text: &str| Place::parse(text).map(|p| [p.namespace, p.pod, p.path]);
        let read = |text: &str| place(text).map_or("refused".into(), |parts| parts.join("|"));
        assert_eq!(read("/tmp/a/"), "||/tmp/a");
        assert_eq!(read("web:/tmp/a"), "|web|/tmp/a");
        assert_eq!(read("b/web:\\tmp\\a"), "b|web|/tmp/a");
        assert_eq!(read("web:/"), "|web|/");
        for wrong in [":/tmp", "a/b/c:/tmp"] {
            assert_eq!(read(wrong), "refused", "{wrong}");
        }
    }

    #[test]
    fn paths_are_calculated_as_go_does() {
        for (path, expected) in [
            ("a/../b", "b"),
            ("../a/./b/", "../a/b"),
            ("/../a", "/a"),
            ("", "."),
            ("a/..", "."),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
        assert_eq!(
            (
                folder("/a").as_str(),
                folder("a").as_str(),
                folder("/a/b").as_str()
            ),
            ("/", ".", "/a")
        );
        assert_eq!((last("/a/b/"), last("/"), last("a")), ("b", "/", "a"));
        for (path, expected) in [
            ("../../a", "a"),
            ("..", ""),
            (".", ""),
            ("/a", "a"),
            ("a/../b", "a/../b"),
        ] {
            assert_eq!(without_shortcuts(path), expected, "{path}");
        }
    }

    #[test]
    fn what_leads_outside_is_not_below() {
        assert!(is_below("/tmp/a", "/tmp/a") && is_below("/tmp/a", "/tmp/a/b"));
        assert!(is_below(".", "b") && is_below("/", "/x") && is_below("a/../c", "c/d"));
        for (base, path) in [
            ("/tmp/a", "/tmp/ab"),
            ("/tmp/a", "/tmp"),
            (".", "../x"),
            (".", "/x"),
        ] {
            assert!(!is_below(base, path), "{base} {path}");
        }
    }
}
