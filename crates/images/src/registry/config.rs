//! `registries.yaml`: mirrors, credentials and certificates of registries, in
//! the form that users of k3s know (its docs, "Private Registry
//! Configuration"; its pkg/agent/templates turns it into containerd's).

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use regex_lite::Regex;
use serde::Deserialize;

use crate::{Reference, document::null, keyring};

/// The registries of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registries {
    /// Where else to ask, by registry; `*` for those not named.
    #[serde(deserialize_with = "null")]
    pub mirrors: BTreeMap<String, Option<Mirror>>,
    /// How to ask, by host and port.
    #[serde(deserialize_with = "null")]
    pub configs: BTreeMap<String, Option<Access>>,
}

/// Where images of a registry are, too.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mirror {
    /// URLs, tried in this order before the registry itself.
    #[serde(alias = "endpoints", deserialize_with = "null")]
    pub endpoint: Vec<String>,
    /// Patterns of paths, and what to make of them.
    #[serde(deserialize_with = "null")]
    pub rewrite: BTreeMap<String, String>,
}

/// How to ask a registry.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// As whom.
    pub auth: Option<Auth>,
    /// Whom to believe.
    pub tls: Option<Tls>,
}

/// As whom to ask.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
    /// Both, in base64.
    pub auth: String,
    /// A token instead.
    pub identity_token: String,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Auth({:?})", self.username)
    }
}

/// Whom to believe, and what to show.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// An authority of the registry's own.
    pub ca_file: Option<PathBuf>,
    /// A certificate for us.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// Believe anybody.
    pub insecure_skip_verify: bool,
}

/// The registries' configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file has another form.
    #[error("{} does not describe registries: {message}", path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// An endpoint is no URL.
    #[error("endpoint {endpoint:?} of mirror {mirror:?} is not a URL like https://host:port")]
    Endpoint {
        /// Whose.
        mirror: String,
        /// The endpoint.
        endpoint: String,
    },
    /// A rewrite is no regular expression.
    #[error("rewrite {pattern:?} of mirror {mirror:?} is not a regular expression")]
    Rewrite {
        /// Whose.
        mirror: String,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: regex_lite::Error,
    },
    /// A proxy is none that can be used.
    #[error(transparent)]
    Proxy(#[from] detour::ProxyError),
    /// Certificates or keys cannot be used.
    #[error("TLS of registry {registry:?}: {what}")]
    Tls {
        /// Whose.
        registry: String,
        /// Which, and why.
        what: String,
    },
}

/// How to speak with an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    /// HTTPS, or plain HTTP if that is what is spoken there: on loopback.
    Either,
}

/// Where an image may be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub scheme: Scheme,
    /// Host and port.
    pub authority: String,
    /// `/v2`, or what a mirror has instead.
    pub base: String,
    /// The repository there.
    pub path: String,
    /// The registry for which it stands in, if it is not itself.
    pub mirror_of: Option<String>,
}

impl Registries {
    /// Reads the file; without one there is nothing special.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => {
                let path = path.to_owned();
                return Err(ConfigError::Read { path, source });
            }
        };
        Self::parse(&text, path)
    }

    /// Reads the text of a file.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let form = |message| ConfigError::Form {
            path: path.to_owned(),
            message,
        };
        let read: Option<Self> = serde_saphyr::from_str(text).map_err(|e| form(e.to_string()))?;
        let registries = read.unwrap_or_default();
        registries.check()?;
        Ok(registries)
    }

    fn check(&self) -> Result<(), ConfigError> {
        for (name, mirror) in &self.mirrors {
            let Some(mirror) = mirror else { continue };
            for endpoint in &mirror.endpoint {
                if parse_endpoint(endpoint).is_none() {
                    return Err(ConfigError::Endpoint {
                        mirror: name.clone(),
                        endpoint: endpoint.clone(),
                    });
                }
            }
            for pattern in mirror.rewrite.keys() {
                Regex::new(pattern).map_err(|source| ConfigError::Rewrite {
                    mirror: name.clone(),
                    pattern: pattern.clone(),
                    source,
                })?;
            }
        }
        Ok(())
    }

    /// Where an image may be had, the registry itself last.
    pub(super) fn endpoints(&self, reference: &Reference) -> Vec<Endpoint> {
        let domain = reference.domain();
        let named = self.mirrors.get(domain).or_else(|| self.mirrors.get("*"));
        let mut endpoints = Vec::new();
        if let Some(Some(mirror)) = named {
            for text in &mirror.endpoint {
                let Some((scheme, authority, base)) = parse_endpoint(text) else {
                    continue;
                };
                endpoints.push(Endpoint {
                    scheme,
                    mirror_of: (authority != domain).then(|| domain.to_owned()),
                    authority,
                    base,
                    path: rewritten(&mirror.rewrite, reference.path()),
                });
            }
        }
        let origin = self.origin(reference);
        if !endpoints
            .iter()
            .any(|one| one.authority == origin.authority)
        {
            endpoints.push(origin);
        }
        endpoints
    }

    /// The registry itself.
    pub(super) fn origin(&self, reference: &Reference) -> Endpoint {
        let domain = reference.domain();
        let has_tls = self
            .access(domain)
            .is_some_and(|access| access.tls.is_some());
        let scheme = if is_loopback(domain) && !has_tls {
            Scheme::Either
        } else {
            Scheme::Https
        };
        let authority = match domain {
            "docker.io" => "registry-1.docker.io",
            other => other,
        };
        Endpoint {
            scheme,
            authority: authority.to_owned(),
            base: "/v2".to_owned(),
            path: reference.path().to_owned(),
            mirror_of: None,
        }
    }

    /// Where an image is pushed: the registry itself, in the way in which its
    /// own entry among the mirrors says.
    pub(super) fn push_endpoint(&self, reference: &Reference) -> Endpoint {
        let origin = self.origin(reference);
        let mut all = self.endpoints(reference).into_iter();
        let own = all.find(|one| one.authority == origin.authority);
        let scheme = own.map_or(origin.scheme, |own| own.scheme);
        Endpoint { scheme, ..origin }
    }

    fn access(&self, authority: &str) -> Option<&Access> {
        self.configs.get(authority).and_then(Option::as_ref)
    }

    /// As whom to ask an endpoint, if the file says so.
    pub(super) fn auth(&self, endpoint: &Endpoint) -> Option<keyring::Credentials> {
        let names = match endpoint.authority.as_str() {
            "registry-1.docker.io" => &["registry-1.docker.io", "docker.io"][..],
            other => &[other][..],
        };
        let access = names.iter().find_map(|name| self.access(name))?;
        let auth = access.auth.as_ref()?;
        let (username, password) = match keyring::decode(&auth.auth) {
            Some(both) if !auth.auth.is_empty() => both,
            _ => (auth.username.clone(), auth.password.clone()),
        };
        Some(keyring::Credentials {
            registry: endpoint.authority.clone(),
            username,
            password,
            token: auth.identity_token.clone(),
            source: None,
        })
    }
}

/// Scheme, host with port, and base path of an endpoint.
fn parse_endpoint(text: &str) -> Option<(Scheme, String, String)> {
    let (scheme, rest) = match text.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(_) => return None,
        None => (Scheme::Https, text),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    authority.parse::<http::uri::Authority>().ok()?;
    let path = path.trim_matches('/');
    let base = if path.is_empty() { "v2" } else { path };
    Some((scheme, authority.to_owned(), format!("/{base}")))
}

/// The first pattern that fits makes the path.
fn rewritten(rewrites: &BTreeMap<String, String>, path: &str) -> String {
    for (pattern, replacement) in rewrites {
        if let Ok(regex) = Regex::new(pattern)
            && regex.is_match(path)
        {
            return regex.replace_all(path, replacement).into_owned();
        }
    }
    path.to_owned()
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    };
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str, image: &str) -> Vec<String> {
        let registries = Registries::parse(text, Path::new("r.yaml")).unwrap();
        let endpoints = registries.endpoints(&Reference::parse(image).unwrap());
        let show = |one: &Endpoint| {
            format!(
                "{:?} {}{} {}",
                one.scheme, one.authority, one.base, one.path
            )
        };
        endpoints.iter().map(show).collect()
    }

    #[test]
    fn mirrors_are_asked_first() {
        let text = r#"
mirrors:
  docker.io:
    endpoint: ["http://m.example.com:5000", "https://p.example.com/proxy/v2"]
    rewrite: {"^library/(.*)": "hub/$1"}
  "*":
    endpoint: ["https://all.example.com"]
  own.example.com:
    endpoint: ["http://own.example.com"]
  nothing.example.com:
"#;
        for (image, want) in [
            (
                "nginx",
                &[
                    "Http m.example.com:5000/v2 hub/nginx",
                    "Https p.example.com/proxy/v2 hub/nginx",
                    "Https registry-1.docker.io/v2 library/nginx",
                ][..],
            ),
            (
                "q.example.com/a/b",
                &["Https all.example.com/v2 a/b", "Https q.example.com/v2 a/b"],
            ),
            ("own.example.com/x", &["Http own.example.com/v2 x"]),
            ("nothing.example.com/x", &["Https nothing.example.com/v2 x"]),
        ] {
            assert_eq!(asked(text, image), want, "{image}");
        }
        assert_eq!(
            asked("", "127.0.0.1:5000/x"),
            ["Either 127.0.0.1:5000/v2 x"]
        );
        let tls = "configs: {'localhost:5000': {tls: {insecure_skip_verify: true}}}";
        assert_eq!(
            asked(tls, "localhost:5000/x"),
            ["Https localhost:5000/v2 x"]
        );
        assert_eq!(
            asked("mirrors:\nconfigs:\n", "[::1]:5000/x"),
            ["Either [::1]:5000/v2 x"]
        );
    }

    #[test]
    fn refusals_name_what_is_wrong() {
        for (text, want) in [
            (
                "mirrors: {a.io: {endpoint: ['ftp://b']}}",
                "endpoint \"ftp://b\" of mirror \"a.io\"",
            ),
            (
                "mirrors: {a.io: {rewrite: {'(': x}}}",
                "rewrite \"(\" of mirror \"a.io\"",
            ),
            ("mirrors: {a.io: {endpiont: []}}", "endpiont"),
            ("configs: {a.io: {auth: {user: x}}}", "user"),
        ] {
            let error = Registries::parse(text, Path::new("r.yaml")).unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
        }
    }

    #[test]
    fn credentials_of_the_file() {
        let text = "
configs:
  docker.io: {auth: {username: u, password: p}}
  'a.io:5000': {auth: {auth: dXNlcjpwYXNz}}
";
        let registries = Registries::parse(text, Path::new("r.yaml")).unwrap();
        for (image, want) in [("nginx", "u p"), ("a.io:5000/x", "user pass")] {
            let origin = registries.origin(&Reference::parse(image).unwrap());
            let auth = registries.auth(&origin).unwrap();
            assert_eq!(format!("{} {}", auth.username, auth.password), want);
        }
        assert!(!format!("{registries:?}").contains("dXNlcjpwYXNz"));
    }
}
