//! Names of images, normalised as Docker and containerd do.
//!
//! `nginx` is `docker.io/library/nginx:latest`. The grammar, the rules that
//! tell a registry's host from a path, and the words of the errors follow
//! github.com/distribution/reference (normalize.go, regexp.go).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digest;

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";
const NAME_MAX: usize = 255;

/// A normalised name of an image: a repository with a tag, a digest, or both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text does not name an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// 64 hexadecimal digits are an image's ID, not a name.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Identifier(String),
    /// The repository has upper-case letters.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// The text does not follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// The repository is too long.
    #[error("repository name must not be more than {NAME_MAX} characters")]
    TooLong,
    /// The digest is of no use.
    #[error(transparent)]
    Digest(#[from] crate::digest::ParseError),
}

impl Reference {
    /// Reads a name as a person or a pod writes it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if is_identifier(text) {
            return Err(Error::Identifier(text.to_owned()));
        }
        let (domain, remainder) = split_domain(text);
        let remote = remainder.split(':').next().unwrap_or_default();
        if remote.chars().any(char::is_uppercase) {
            return Err(Error::Uppercase(remote.to_owned()));
        }
        let (name, digest) = match remainder.split_once('@') {
            Some((name, digest)) => (name, Some(parse_digest(digest)?)),
            None => (remainder.as_str(), None),
        };
        let (path, tag) = match name.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(Error::Format);
        }
        let (domain, path) = named(domain, path)?;
        if path.len() > NAME_MAX {
            return Err(Error::TooLong);
        }
        let tag = match (tag, digest) {
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Self {
            domain,
            path,
            tag,
            digest,
        })
    }

    /// The registry's host, with its port: `docker.io`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The path inside the registry: `library/nginx`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if the name has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the name has one. It goes before the tag.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Host and path: `docker.io/library/nginx`.
    pub fn repository(&self) -> String {
        if self.domain.is_empty() {
            return self.path.clone();
        }
        format!("{}/{}", self.domain, self.path)
    }

    /// The same repository at `digest`: `docker.io/library/nginx@sha256:…`.
    pub fn at(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The name under which an image is kept: without the tag where there is
    /// a digest, as containerd's ParseDockerRef has it.
    pub fn canonical(&self) -> Self {
        match self.digest {
            Some(digest) => self.at(digest),
            None => self.clone(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Whether a text is the ID of an image: 64 lower-case hexadecimal digits.
pub(crate) fn is_identifier(text: &str) -> bool {
    Digest::from_hex(text).is_some()
}

/// Tells the host from the rest, and puts the defaults in.
fn split_domain(text: &str) -> (&str, String) {
    let Some((first, rest)) = text.split_once('/') else {
        return (DEFAULT_DOMAIN, format!("{OFFICIAL}{text}"));
    };
    let (domain, remainder) = if first == "localhost" {
        (first, rest)
    } else if first == LEGACY_DOMAIN {
        (DEFAULT_DOMAIN, rest)
    } else if first.contains(['.', ':']) || first.chars().any(char::is_uppercase) {
        (first, rest)
    } else {
        (DEFAULT_DOMAIN, text)
    };
    if domain == DEFAULT_DOMAIN && !remainder.contains('/') {
        return (domain, format!("{OFFICIAL}{remainder}"));
    }
    (domain, remainder.to_owned())
}

/// Checks host and path. What looks like a host but can only be a path is one.
fn named(domain: &str, path: &str) -> Result<(String, String), Error> {
    if !is_path(path) {
        return Err(Error::Format);
    }
    if is_domain(domain) {
        return Ok((domain.to_owned(), path.to_owned()));
    }
    let whole = format!("{domain}/{path}");
    if is_path(&whole) {
        return Ok((String::new(), whole));
    }
    Err(Error::Format)
}

fn parse_digest(text: &str) -> Result<Digest, Error> {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return Err(Error::Format);
    };
    let algorithm_ok = algorithm
        .split(['-', '_', '+', '.'])
        .all(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()) && is_alphanumeric(part));
    if !algorithm_ok || hex.len() < 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::Format);
    }
    Ok(text.parse()?)
}

fn is_alphanumeric(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => {
                if address.is_empty()
                    || !address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
                {
                    return false;
                }
                (
                    None,
                    port.strip_prefix(':').or(port.is_empty().then_some("0")),
                )
            }
            None => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(text), Some("0")),
        },
    };
    let port_ok = port.is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    port_ok && host.is_none_or(|host| host.split('.').all(is_domain_component))
}

fn is_domain_component(text: &str) -> bool {
    !text.starts_with('-')
        && !text.ends_with('-')
        && !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_path(text: &str) -> bool {
    text.split('/').all(is_path_component)
}

/// Letters and digits, with `.`, `_`, `__` or any number of `-` between them.
fn is_path_component(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(|b| plain(*b)) && bytes.last().is_some_and(|b| plain(*b));
    ends && bytes
        .split(|b| plain(*b))
        .filter(|separator| !separator.is_empty())
        .all(|separator| {
            matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn normalises() {
        for (text, want) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.25", "docker.io/library/nginx:1.25"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
            ("index.docker.io/a/b", "docker.io/a/b:latest"),
            ("library/nginx", "docker.io/library/nginx:latest"),
            ("team/app:v1", "docker.io/team/app:v1"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("localhost:5000/a/b:v1", "localhost:5000/a/b:v1"),
            ("registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.9"),
            ("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest"),
            ("[::1]:5000/a", "[::1]:5000/a:latest"),
            ("[fe80::1]/a", "[fe80::1]/a:latest"),
            ("Upper/app", "Upper/app:latest"),
            ("a__b/c---d/e.f_g", "docker.io/a__b/c---d/e.f_g:latest"),
            ("foo.bar_baz/x", "foo.bar_baz/x:latest"),
            ("name:_A.b-c", "docker.io/library/name:_A.b-c"),
        ] {
            let reference = Reference::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(reference.to_string(), want, "{text}");
            assert_eq!(Reference::parse(want).unwrap(), reference, "{want}");
        }
    }

    #[test]
    fn digests_go_before_tags() {
        let both = Reference::parse(&format!("nginx:1@sha256:{HEX}")).unwrap();
        assert_eq!(both.tag(), Some("1"));
        assert_eq!(
            both.canonical().to_string(),
            format!("docker.io/library/nginx@sha256:{HEX}")
        );
        let only = Reference::parse(&format!("nginx@sha256:{HEX}")).unwrap();
        assert_eq!(only.tag(), None);
        assert_eq!(only.canonical(), only);
        assert_eq!(only.domain(), "docker.io");
        assert_eq!(only.path(), "library/nginx");
    }

    #[test]
    fn refuses() {
        for (text, want) in [
            ("", "invalid reference format"),
            (":tag", "invalid reference format"),
            ("a:", "invalid reference format"),
            ("a b", "invalid reference format"),
            ("-a", "invalid reference format"),
            ("a-", "invalid reference format"),
            ("a___b", "invalid reference format"),
            ("a..b", "invalid reference format"),
            ("a//b", "invalid reference format"),
            ("/a", "invalid reference format"),
            ("host:port/a", "invalid reference format"),
            ("[::1/a", "invalid reference format"),
            ("http://host/a", "invalid reference format"),
            ("a@sha256:00", "invalid reference format"),
            (
                "a@sha512:00000000000000000000000000000000",
                "unsupported digest algorithm \"sha512\"",
            ),
            (
                "a@sha256:00000000000000000000000000000000",
                "invalid checksum digest length: \"sha256:00000000000000000000000000000000\"",
            ),
            (
                "NGINX",
                "invalid reference format: repository name (library/NGINX) must be lowercase",
            ),
            (
                HEX,
                "invalid repository name (e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855), cannot specify 64-byte hexadecimal strings",
            ),
        ] {
            match Reference::parse(text) {
                Err(error) => assert_eq!(error.to_string(), want, "{text}"),
                Ok(reference) => panic!("{text} became {reference}"),
            }
        }
        let long = format!("{}/b", "a".repeat(256));
        assert_eq!(Reference::parse(&long), Err(Error::TooLong));
        assert_eq!(
            Reference::parse(&format!("a:{}", "t".repeat(129))),
            Err(Error::Format)
        );
    }
}
