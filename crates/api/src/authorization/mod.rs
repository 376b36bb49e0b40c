//! authorization.k8s.io: what one may.

mod attributes;
pub mod localsubjectaccessreview;
pub mod selfsubjectaccessreview;
pub mod selfsubjectrulesreview;
pub mod subjectaccessreview;

use crate::kind::Kind;

/// The kinds of this group, alphabetically.
pub static KINDS: &[&dyn Kind] = &[
    &localsubjectaccessreview::LocalSubjectAccessReview,
    &selfsubjectaccessreview::SelfSubjectAccessReview,
    &selfsubjectrulesreview::SelfSubjectRulesReview,
    &subjectaccessreview::SubjectAccessReview,
];
