//! For which images a pod has to prove that it may use them.
//!
//! Follows pkg/kubelet/images/pullmanager/image_pull_policies.go.

use crate::Reference;

/// Which images need no proof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// All.
    NeverVerify,
    /// Those that were not pulled for a pod.
    #[default]
    NeverVerifyPreloadedImages,
    /// Those that a list names.
    NeverVerifyAllowlistedImages(Vec<Pattern>),
    /// None.
    AlwaysVerify,
}

/// Repositories that a list names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This one.
    Exact(String),
    /// All below this prefix, which ends with a slash.
    Below(String),
}

/// A policy or a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// There is no such policy.
    #[error(
        "unknown image pull credential verification policy {0:?}; there are NeverVerify, NeverVerifyPreloadedImages, NeverVerifyAllowlistedImages and AlwaysVerify"
    )]
    Unknown(String),
    /// A list is of no use with another policy.
    #[error(
        "a list of images can only be given with the policy NeverVerifyAllowlistedImages, not with {0}"
    )]
    NoList(String),
    /// A pattern has another form.
    #[error(
        "{0:?} names no images: a repository with its registry is wanted, without tag or digest, or a part of it that ends with /*"
    )]
    Pattern(String),
}

impl Policy {
    /// Reads the policy's name, and the list that goes with it.
    pub fn parse(name: &str, allowed: &[String]) -> Result<Self, PolicyError> {
        let policy = match name {
            "NeverVerify" => Self::NeverVerify,
            "" | "NeverVerifyPreloadedImages" => Self::NeverVerifyPreloadedImages,
            "NeverVerifyAllowlistedImages" => {
                let patterns = allowed.iter().map(|text| Pattern::parse(text));
                return Ok(Self::NeverVerifyAllowlistedImages(
                    patterns.collect::<Result<_, _>>()?,
                ));
            }
            "AlwaysVerify" => Self::AlwaysVerify,
            other => return Err(PolicyError::Unknown(other.to_owned())),
        };
        match allowed {
            [] => Ok(policy),
            _ => Err(PolicyError::NoList(name.to_owned())),
        }
    }

    /// Whether a pod has to prove that it may use an image.
    pub(super) fn wants_proof(&self, reference: &Reference, is_pulled: bool) -> bool {
        match self {
            Self::NeverVerify => false,
            Self::NeverVerifyPreloadedImages => is_pulled,
            Self::NeverVerifyAllowlistedImages(patterns) => {
                let repository = reference.repository();
                !patterns.iter().any(|pattern| pattern.fits(&repository))
            }
            Self::AlwaysVerify => true,
        }
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, PolicyError> {
        let bad = || PolicyError::Pattern(text.to_owned());
        let (plain, is_prefix) = match text.strip_suffix('*') {
            Some(prefix) if prefix.ends_with('/') => (prefix, true),
            _ => (text, false),
        };
        if plain.len() < 2 || plain.contains('*') || plain != plain.trim() {
            return Err(bad());
        }
        if is_prefix {
            return Ok(Self::Below(plain.to_owned()));
        }
        let reference = Reference::parse(plain).map_err(|_| bad())?;
        if reference.repository() != plain {
            return Err(bad());
        }
        Ok(Self::Exact(plain.to_owned()))
    }

    fn fits(&self, repository: &str) -> bool {
        match self {
            Self::Exact(exact) => repository == exact,
            Self::Below(prefix) => repository.starts_with(prefix),
        }
    }
}
