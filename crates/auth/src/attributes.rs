//! What is asked of an authoriser, and what it answers.

use crate::User;

/// A request as authorisers see it.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// Who asks.
    pub user: &'a User,
    /// `get`, `list`, `watch`, `create`, …; the HTTP method in lower case for
    /// paths that are no resources.
    pub verb: &'a str,
    /// What is asked for.
    pub target: Target<'a>,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// Objects.
    Resource {
        /// Empty for the core group.
        group: &'a str,
        /// The version, `*` when any.
        version: &'a str,
        /// `pods`
        resource: &'a str,
        /// `log`; empty for the object itself.
        subresource: &'a str,
        /// Empty for all namespaces or none.
        namespace: &'a str,
        /// Empty for all objects, or one that is being made.
        name: &'a str,
    },
    /// A path that is no resource: `/healthz`.
    Path(&'a str),
}

/// What an authoriser says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes, and why.
    Allow(String),
    /// No, whatever others say.
    Deny(String),
    /// Somebody else may know; with what stood in the way, if anything did.
    NoOpinion(String),
}

/// Somebody who can tell whether a user may do something.
pub trait Authorizer: Send + Sync {
    /// Whether it may be done.
    fn authorize(&self, attributes: &Attributes<'_>) -> Decision;

    /// What a user may do in a namespace, as far as it can be listed.
    fn rules(&self, user: &User, namespace: &str) -> Rules;
}

/// What a user may do in a namespace, as a SelfSubjectRulesReview lists it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// `ResourceRule` objects.
    pub resource: Vec<meta::Value>,
    /// `NonResourceRule` objects.
    pub path: Vec<meta::Value>,
    /// Whether there may be more.
    pub incomplete: bool,
    /// What went wrong in finding them.
    pub error: String,
}

impl Rules {
    /// All parts.
    pub fn into_parts(self) -> (Vec<meta::Value>, Vec<meta::Value>, bool, String) {
        (self.resource, self.path, self.incomplete, self.error)
    }
}
