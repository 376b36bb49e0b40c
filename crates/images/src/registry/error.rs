//! What goes wrong between us and a registry, in the words of containerd
//! where it has some: users look for them.

use std::{io, path::PathBuf};

use http::{Method, StatusCode};

use crate::Digest;

/// A registry does not give or take an image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer.
    #[error("failed to do request: {} \"{url}\": {why}", title(method))]
    Request {
        /// The request's method.
        method: Method,
        /// Where it went.
        url: String,
        /// Why there is no answer.
        why: String,
        /// Whether another attempt may do better.
        transient: bool,
        /// Whether plain HTTP is spoken there.
        plain: bool,
    },
    /// Another answer than was hoped for.
    #[error("unexpected status from {method} request to {url}: {status}{message}")]
    Status {
        /// The request's method.
        method: Method,
        /// Where it went.
        url: String,
        /// The answer's status.
        status: StatusCode,
        /// What the registry says about it.
        message: String,
    },
    /// The registry has no such thing.
    #[error("{0}: not found")]
    NotFound(String),
    /// Whoever asks may not have it.
    #[error(
        "pull access denied, repository does not exist or may require authorization: server message: {0}"
    )]
    Denied(String),
    /// No token is to be had.
    #[error("failed to authorize: failed to fetch token: {0}")]
    Token(String),
    /// The registry wants a kind of authentication that we lack.
    #[error("authentication scheme {0:?} of the registry is not supported (Basic and Bearer are)")]
    Scheme(String),
    /// Content is not what it should be.
    #[error("{what} should have digest {expected} but has {found}")]
    Digest {
        /// Which content.
        what: String,
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// Content is longer or shorter than it should be.
    #[error("{what} should have {expected} bytes but has {found}")]
    Size {
        /// Which content.
        what: String,
        /// What it should have.
        expected: u64,
        /// What it has, or how far it was read.
        found: u64,
    },
    /// A document is too large to be one.
    #[error("{what} is larger than {max} bytes")]
    TooLarge {
        /// Which.
        what: String,
        /// The most that is read.
        max: u64,
    },
    /// A document is none.
    #[error("{what} is not valid: {why}")]
    Document {
        /// Which.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Content of a kind that cannot be used.
    #[error("media type {media_type:?} of {what} is not supported")]
    MediaType {
        /// Which content.
        what: String,
        /// Its kind.
        media_type: String,
    },
    /// An index has nothing for this machine.
    #[error(
        "no match for platform in manifest: not found (it has {found}, this machine is {here})"
    )]
    Platform {
        /// What there is.
        found: String,
        /// What would do.
        here: String,
    },
    /// Indexes within indexes.
    #[error("indexes are nested more than {0} deep")]
    Nested(usize),
    /// A file cannot be used.
    #[error("{operation} {}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The store does not take or give it.
    #[error(transparent)]
    Store(#[from] crate::Error),
    /// The image is known, and one of its layers does not come.
    #[error("{}", of_layer(.0))]
    Layer(Box<Error>),
    /// Several places were asked.
    #[error("{}", several(.0))]
    All(Vec<Error>),
}

impl Error {
    /// Whether asking elsewhere may help: not when it is our own disk.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Store(_))
    }

    /// As one that happened to a layer.
    pub(super) fn of_layer(self) -> Self {
        match self.is_ours() {
            true => self,
            false => Self::Layer(Box::new(self)),
        }
    }

    /// Whether asking as somebody else may help.
    pub(super) fn is_denial(&self) -> bool {
        match self {
            Self::Denied(_) | Self::Token(_) => true,
            // Registries hide what one may not see.
            Self::NotFound(_) => true,
            Self::Status { status, .. } => {
                matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            }
            _ => false,
        }
    }

    pub(super) fn document(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Document {
            what: what.into(),
            why: why.to_string(),
        }
    }
}

/// As Go's client writes methods.
fn title(method: &Method) -> String {
    let (first, rest) = method.as_str().split_at(1);
    format!("{first}{}", rest.to_ascii_lowercase())
}

/// What containerd says of content that it fetches (core/content/helpers.go
/// and core/remotes/docker/httpreadseeker.go).
fn of_layer(error: &Error) -> String {
    match error {
        Error::Digest {
            expected, found, ..
        } => format!(
            "failed commit on ref \"layer-{expected}\": commit failed: unexpected commit digest {found}, expected {expected}: failed precondition"
        ),
        Error::Size {
            what,
            expected,
            found,
        } if found > expected => {
            let digest = what.trim_start_matches("blob ");
            format!(
                "failed commit on ref \"layer-{digest}\": commit failed: unexpected commit size {found}, expected {expected}: failed precondition"
            )
        }
        other => format!(
            "failed to copy: httpReadSeeker: failed open: {}",
            crate::chain(other)
        ),
    }
}

fn several(errors: &[Error]) -> String {
    let texts: Vec<String> = errors.iter().map(|error| crate::chain(error)).collect();
    texts.join("; ")
}
