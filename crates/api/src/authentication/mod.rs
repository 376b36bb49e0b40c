//! authentication.k8s.io: who one is.

pub mod selfsubjectreview;
pub mod tokenreview;

use crate::kind::Kind;

/// The kinds of this group, alphabetically.
pub static KINDS: &[&dyn Kind] = &[
    &selfsubjectreview::SelfSubjectReview,
    &tokenreview::TokenReview,
];
