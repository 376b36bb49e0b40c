//! Which credentials are for which image.
//!
//! Follows pkg/credentialprovider/config.go (what files and secrets look
//! like) and keyring.go (which entry is for an image): entries name hosts
//! with wildcards and optional paths; the most specific goes first.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::Reference;

/// The entry of Docker Hub, under which `docker login` writes it.
const DEFAULT_REGISTRY: &str = "index.docker.io";

/// Who pulls, and from where that name is good.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Images that these are for, such as `*.example.com:5000/team`.
    pub registry: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
    /// An identity token instead of the password.
    pub token: String,
    /// The Secret that they stand in; the node's own if absent.
    pub source: Option<SecretSource>,
}

/// A Secret of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretSource {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (registry, username) = (&self.registry, &self.username);
        write!(f, "Credentials({username:?} at {registry:?})")
    }
}

/// Reads `config.json` and the older `.dockercfg`, which lacks the level
/// `auths`. Entries that are none are left out.
pub fn parse(json: &[u8]) -> Option<Vec<Credentials>> {
    let document: Value = serde_json::from_slice(json).ok()?;
    let entries = document.get("auths").unwrap_or(&document).as_object()?;
    let read = |(registry, value): (&String, &Value)| entry(registry, value);
    Some(entries.iter().filter_map(read).collect())
}

/// What lies on the node: the kubelet's own file, and Docker's of root.
///
/// Follows ReadDockerConfigFile, which looks in further places that depend on
/// the working directory.
pub fn node_files(kubelet_root: Option<&Path>) -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    let docker = std::env::var_os("DOCKER_CONFIG");
    let docker = docker.map_or_else(|| home.join(".docker"), PathBuf::from);
    let kubelet = kubelet_root
        .into_iter()
        .map(|root| root.join("config.json"));
    kubelet.chain([docker.join("config.json")]).collect()
}

/// Those of `all` that are for an image, the most specific first.
pub fn select<'a>(all: &'a [Credentials], reference: &Reference) -> Vec<&'a Credentials> {
    let image = reference.repository();
    let mut keyed: Vec<(String, &Credentials)> =
        all.iter().map(|one| (key(&one.registry), one)).collect();
    keyed.sort_by(|a, b| b.0.cmp(&a.0));
    let mut found: Vec<&Credentials> = Vec::new();
    let mut add = |one| {
        if !found.contains(&one) {
            found.push(one);
        }
    };
    let matching = keyed.iter().filter(|(key, _)| matches(key, &image));
    matching.for_each(|(_, one)| add(*one));
    if found.is_empty() && reference.domain() == "docker.io" {
        let default = keyed.iter().filter(|(key, _)| key == DEFAULT_REGISTRY);
        return default.map(|(_, one)| *one).collect();
    }
    found
}

fn entry(registry: &str, entry: &Value) -> Option<Credentials> {
    let text = |key: &str| {
        let text = entry.get(key)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    let (mut username, mut password) = (text("username"), text("password"));
    if let Some(auth) = text("auth") {
        let (user, word) = decode(&auth)?;
        (username, password) = (Some(user), Some(word));
    }
    let token = text("identitytoken").or_else(|| text("registrytoken"));
    if username.is_none() && token.is_none() {
        return None;
    }
    Some(Credentials {
        registry: registry.to_owned(),
        username: username.unwrap_or_default(),
        password: password.unwrap_or_default(),
        token: token.unwrap_or_default(),
        source: None,
    })
}

/// Reads `user:password` in base64, padded or not.
pub(crate) fn decode(auth: &str) -> Option<(String, String)> {
    let padded = auth.trim();
    let padding = "=".repeat((4 - padded.trim_end_matches('=').len() % 4) % 4);
    let whole = format!("{}{padding}", padded.trim_end_matches('='));
    let decoded = String::from_utf8(STANDARD.decode(whole).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    let password = password.trim_end_matches('\0');
    Some((user.to_owned(), password.to_owned()))
}

/// An entry's name without scheme and API version.
fn key(registry: &str) -> String {
    let bare = ["https://", "http://"]
        .iter()
        .find_map(|scheme| registry.strip_prefix(scheme))
        .unwrap_or(registry);
    let (host, path) = match bare.split_once('/') {
        Some((host, path)) => (host, format!("/{path}")),
        None => (bare, String::new()),
    };
    let path = ["/v2/", "/v1/"]
        .iter()
        .find(|version| path.starts_with(**version))
        .map_or(path.as_str(), |_| &path[3..]);
    if path.is_empty() || path == "/" {
        return host.to_owned();
    }
    format!("{host}{path}")
}

/// Whether an entry is for an image: same port, host by host part with
/// wildcards, and a path that the image's begins with.
fn matches(key: &str, image: &str) -> bool {
    let split = |text: &str| -> (Vec<String>, String, String) {
        let (authority, path) = text.split_once('/').unwrap_or((text, ""));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (authority, ""),
        };
        let parts = host.split('.').map(str::to_owned).collect();
        (parts, port.to_owned(), path.to_owned())
    };
    let (globs, glob_port, glob_path) = split(key);
    let (parts, port, path) = split(image);
    globs.len() == parts.len()
        && glob_port == port
        && path.starts_with(&glob_path)
        && globs
            .iter()
            .zip(&parts)
            .all(|(glob, part)| glob_matches(glob, part))
}

/// `*` for any number of characters and `?` for one.
fn glob_matches(glob: &str, text: &str) -> bool {
    match glob.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &glob[1..];
            let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.any(|at| glob_matches(rest, &text[at..]))
        }
        Some(wanted) => match text.chars().next() {
            Some(found) if wanted == '?' || wanted == found => {
                glob_matches(&glob[wanted.len_utf8()..], &text[found.len_utf8()..])
            }
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(config: &str, image: &str) -> Vec<String> {
        let all = parse(config.as_bytes()).unwrap();
        let reference = Reference::parse(image).unwrap();
        let found = select(&all, &reference);
        found.iter().map(|one| one.username.clone()).collect()
    }

    fn config(names: &[&str]) -> String {
        let entry =
            |name: &&str| format!("{name:?}: {{\"username\": {name:?}, \"password\": \"p\"}}");
        let entries: Vec<_> = names.iter().map(entry).collect();
        format!("{{\"auths\": {{{}}}}}", entries.join(", "))
    }

    #[test]
    fn entries_are_for_images() {
        for (names, image, want) in [
            (
                &["a.example.com"][..],
                "a.example.com/x",
                &["a.example.com"][..],
            ),
            (
                &["https://a.example.com/v1/"],
                "a.example.com/x",
                &["https://a.example.com/v1/"],
            ),
            (
                &["http://a.example.com:5000/v2/"],
                "a.example.com:5000/x",
                &["http://a.example.com:5000/v2/"],
            ),
            (&["a.example.com"], "b.example.com/x", &[]),
            (&["a.example.com"], "a.example.com:5000/x", &[]),
            (&["*.example.com"], "a.example.com/x", &["*.example.com"]),
            (&["*.example.com"], "b.a.example.com/x", &[]),
            (&["*.*.com:5000"], "a.example.com:5000/x", &["*.*.com:5000"]),
            (&["r-?.io"], "r-1.io/x", &["r-?.io"]),
            (&["a.io/team"], "a.io/team/x", &["a.io/team"]),
            (&["a.io/team"], "a.io/other/x", &[]),
            (
                &["a.io", "a.io/team"],
                "a.io/team/x",
                &["a.io/team", "a.io"],
            ),
            (
                &["https://index.docker.io/v1/"],
                "nginx",
                &["https://index.docker.io/v1/"],
            ),
            (&["docker.io"], "nginx", &["docker.io"]),
            (&["index.docker.io"], "quay.io/nginx", &[]),
            (&["127.0.0.1:5000"], "127.0.0.1:5000/x", &["127.0.0.1:5000"]),
        ] {
            assert_eq!(users(&config(names), image), want, "{names:?} for {image}");
        }
    }

    #[test]
    fn forms_of_entries() {
        let all = parse(
            br#"{"a.io": {"auth": "dXNlcjpwYXNzOndvcmQ="}, "b.io": {"auth": "dXNlcjpw"},
                "c.io": {"identitytoken": "t"}, "d.io": {"auth": "%"}, "e.io": {}}"#,
        )
        .unwrap();
        let read: Vec<_> = all
            .iter()
            .map(|one| [&one.registry[..], &one.username, &one.password, &one.token].join("|"))
            .collect();
        assert_eq!(read, ["a.io|user|pass:word|", "b.io|user|p|", "c.io|||t"]);
        assert_eq!(parse(b"[]"), None);
        assert_eq!(parse(b"nonsense"), None);
        assert!(!format!("{all:?}").contains("word"));
    }
}
